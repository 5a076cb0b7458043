"""An article is a Markdown file whose front matter lists the claims that it cites."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, cast

import yaml

from saeprobe.claims import did_you_mean
from saeprobe.files import DEEPEST, FileError, UnusableError, check_values, quoted, read_text, shortened

_FRONT_MATTER: Final = re.compile(r"---[ \t]*\n(?P<yaml>.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_WITH_SUBJECT: Final = re.compile(r"([^[]+)\[(.+)]")  # as reports and the gate print a citation
_LONGEST: Final = 50_000  # characters of front matter; PyYAML takes a second for them
_KEYS: Final = ("title", "language", "day", "claims")
_CITATION_KEYS: Final = ("id", "subject")


class ArticleError(UnusableError):
    """The front matter of an article cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Citation:
    """A citation names a claim; `subject` None cites it on every subject that a report ran it on."""

    id: str
    subject: str | None = None

    def __str__(self) -> str:
        return self.id if self.subject is None else f"{self.id}[{self.subject}]"


@dataclass(frozen=True, kw_only=True)
class Article:
    """An article says this of itself; `day` is its place in a release plan, where it has one."""

    path: Path
    title: str
    language: str
    claims: tuple[Citation, ...]
    day: int | None = None


Refuse = Callable[..., ArticleError]  # of one path, still without the problem and the `remedy`


def read_article(path: Path) -> Article:
    """Read the front matter of an article: YAML between two lines `---` at the very top.

    Its keys are `title`, `language`, optionally `day`, and `claims`, a list of claim ids or of mappings
    `{id: day1.sparse, subject: sparrow}`. The same claim may be cited on several subjects, an entry each.

    Raises:
        ArticleError: the file cannot be read; there is no front matter, or it is not a mapping; a key is missing,
            unknown, repeated or of the wrong type; no claim is cited, or one is cited twice.
    """
    refuse = partial(ArticleError, path=path)
    front = _front_matter(path, refuse)
    for key in front:
        if key not in _KEYS:
            near = did_you_mean(str(key), _KEYS)
            raise refuse(f"the key {key!r} is unknown{near}", remedy=f"wanted: {', '.join(_KEYS)}")
    for key, example in _EXAMPLES.items():
        if key not in front:
            raise refuse(f"the front matter has no {key!r}", remedy=f"add it: {key}: {example}")
    day = front.get("day")
    if day is not None and (not isinstance(day, int) or isinstance(day, bool) or day < 1):
        raise refuse(f"day is {shortened(day)}", remedy="write a whole number from 1, or leave it out")
    return Article(
        path=path,
        title=_text(front["title"], "title", refuse),
        language=_text(front["language"], "language", refuse),
        claims=_citations(front["claims"], refuse),
        day=day,
    )


_EXAMPLES: Final = {"title": '"What sparrow shows"', "language": "en", "claims": "[day1.sparse]"}


def _front_matter(path: Path, refuse: Refuse) -> dict[object, object]:
    if path.is_dir():
        raise refuse("it is a folder", remedy="name a .md file in it")
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        remedy = "give the path of a Markdown file that exists"
        raise refuse("it cannot be read (there is no such file)", remedy=remedy) from error
    except FileError as error:
        raise refuse(error.problem, remedy=error.remedy) from error
    found = _FRONT_MATTER.match(text)
    if found is None:
        began = text.startswith("---")
        raise refuse(
            "the front matter is not closed" if began else "there is no front matter",
            remedy="end it with a line ---" if began else "begin the file with a line ---, the keys, and a line ---",
        )
    front = _mapping(found["yaml"], path, refuse)
    if not isinstance(front, dict):
        raise refuse("the front matter is not a mapping", remedy="write lines like 'title: ...'")
    return cast("dict[object, object]", front)


def _mapping(text: str, path: Path, refuse: Refuse) -> object:
    """Read YAML that cannot be more than it looks like: an alias may stand for a million lines, a tag for any type."""
    if len(text) > _LONGEST:
        length = f"the front matter has {len(text):,} characters, more than {_LONGEST:,}"
        raise refuse(length, remedy="keep the keys alone between the lines ---")
    # The stubs leave the loader's type open.
    read = cast("Callable[..., Iterator[object]]", yaml.parse)  # pyright: ignore[reportUnknownMemberType]
    compose = cast("Callable[..., yaml.Node | None]", yaml.compose)  # pyright: ignore[reportUnknownMemberType]
    remedy, depth = "correct the syntax there", 0
    try:
        for event in read(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:  # PyYAML takes ever longer for each level
                raise refuse("its values are nested too deeply", remedy=f"wanted at most {DEEPEST} levels")
            if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None):
                found = "the front matter is not YAML without aliases (*) and tags (!)"
                raise refuse(found, remedy="write the values themselves")
        _refuse_repeated_keys(compose(text, Loader=yaml.SafeLoader), refuse)
        front = cast("object", yaml.safe_load(text))
        check_values(path, front)
    except FileError as error:
        raise refuse(error.found, remedy=f"wanted {error.wanted}") from error
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 2} of the file"
        raise refuse(f"the front matter is not YAML: {error.problem}{line}", remedy=remedy) from error
    except (yaml.YAMLError, ArithmeticError, ValueError, RecursionError) as error:
        raise refuse(f"the front matter is not YAML: {quoted(error)}", remedy=remedy) from error
    return front


def _refuse_repeated_keys(node: yaml.Node | None, refuse: Refuse) -> None:
    """YAML keeps the last of two equal keys: a second `claims:` would take the first out of the gate unseen."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if isinstance(here, yaml.MappingNode):
            pairs = cast("list[tuple[yaml.Node, yaml.Node]]", here.value)
            keys = Counter(cast("Hashable", key.value) for key, _ in pairs if isinstance(key, yaml.ScalarNode))
            repeated, times = next(iter(keys.most_common(1)), ("", 0))
            if times > 1:
                raise refuse(f"the key {repeated!r} stands twice in the front matter", remedy="make one of the two")
            waiting += [value for _, value in pairs]
        elif isinstance(here, yaml.SequenceNode):
            waiting += cast("list[yaml.Node]", here.value)


def _citations(value: object, refuse: Refuse) -> tuple[Citation, ...]:
    if not isinstance(value, list) or not value:
        found = f"claims is {shortened(cast('object', value))}, which lists no claim"
        raise refuse(found, remedy="list the ids of those it cites, one at least")
    entries = enumerate(cast("list[object]", value), start=1)
    citations = [_citation(entry, f"claim {number}", refuse) for number, entry in entries]
    by_id: dict[str, list[Citation]] = {}
    for citation in citations:
        by_id.setdefault(citation.id, []).append(citation)
    for citation in citations:
        same = by_id[citation.id]
        if same.count(citation) > 1:
            raise refuse(f"{citation} is cited twice", remedy="leave one of the entries out")
        if citation.subject is None and len(same) > 1:
            found = f"{citation} is cited both on every subject and on {same[-1].subject or same[0].subject!r}"
            raise refuse(found, remedy="name the subject in every entry, or in none")
    return tuple(citations)


def _citation(entry: object, where: str, refuse: Refuse) -> Citation:
    if isinstance(entry, dict):
        fields = cast("dict[object, object]", entry)
        for key in fields:
            if key not in _CITATION_KEYS:
                found = f"{where}: the key {key!r} is unknown{did_you_mean(str(key), _CITATION_KEYS)}"
                raise refuse(found, remedy="wanted: id, and subject where it matters")
        if "id" not in fields:
            raise refuse(f"{where} has no id", remedy="write {id: day1.sparse, subject: sparrow}")
        return Citation(**{str(key): _text(one, f"{where}, {key}", refuse) for key, one in fields.items()})
    name = _text(entry, where, refuse)
    if (on := _WITH_SUBJECT.fullmatch(name)) is not None:
        remedy = f"write {{id: {on[1]}, subject: {on[2]}}}"
        raise refuse(f"{where}, {shortened(name)}, is an id with a subject", remedy=remedy)
    return Citation(id=name)


def _text(value: object, what: str, refuse: Refuse) -> str:
    if not isinstance(value, str) or not value.strip():
        raise refuse(f"{what} is {shortened(value)}, which is not a text", remedy="write one, in quotes")
    return value.strip()

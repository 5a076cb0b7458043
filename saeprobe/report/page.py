"""The page is one self-contained HTML file, made from the report alone, whose interface speaks English and Chinese."""

from __future__ import annotations

import json
import re
import tomllib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from hashlib import sha256
from importlib import resources
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from markupsafe import Markup

from saeprobe import files as in_words
from saeprobe.claims import WORDS
from saeprobe.evidence.units import fixed_wordings
from saeprobe.files import shown_as_text, visible, write_whole
from saeprobe.git import named
from saeprobe.report import overview, pictures
from saeprobe.report.rebuilt import samples_at
from saeprobe.report.shape import Document, Evidence, Interval, Probe, Published, Subject

if TYPE_CHECKING:
    from jinja2 import Template

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
MOST_OPEN: Final = 20  # claims up to which the script leaves the evidence of all open when the page is opened
LONGEST_TEXT: Final = 2_000  # characters of a prompt or continuation that the page shows
MOST_PROMPT_TEXT: Final = 600_000  # characters of all prompts together that it shows
MOST_TOKENS: Final = 500  # tokens of one prompt that it shows
_ADDRESS: Final = re.compile(r"https?://\S+", re.IGNORECASE)
_NONE: Final = "\N{EN DASH}"


def _text(name: str) -> str:
    return resources.files("saeprobe.report").joinpath(name).read_text(encoding="utf-8")


@cache
def words() -> dict[str, dict[Language, str]]:
    """Read every word of the interface by key and language, from `words.toml`."""
    return cast("dict[str, dict[Language, str]]", tomllib.loads(_text("words.toml")))


def say(key: str, language: Language, **values: object) -> str:
    """Give the word under `key` with `values` in its places, as plain text; a KeyError says that there is none."""
    if key not in words():
        raise KeyError(f"words.toml has no entry {key!r}; add it in {' and '.join(LANGUAGES)}")
    text = words()[key][language]
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text


def mark(key: str, language: Language, **values: object) -> Markup:
    """Give the word under `key`, marked so that the page's script can say it in the other language."""
    values = {name: visible(str(value)) for name, value in values.items()}  # the page's script puts them in again
    text = say(key, language, **values)
    if not values:
        return Markup('<span data-w="{}">{}</span>').format(key, text)
    held = json.dumps(values, ensure_ascii=False)
    return Markup('<span data-w="{}" data-v="{}">{}</span>').format(key, held, text)


def _attribute(name: str, key: str, language: Language) -> Markup:
    return Markup('{}="{}" data-a="{}:{}"').format(name, say(key, language), name, key)


def clip(text: str, *, language: Language) -> Markup:
    """Escape `text`, and cut it where it is too long for the page, saying how much is left out."""
    rest = len(text) - LONGEST_TEXT
    if rest <= 0:
        return Markup("{}").format(text)
    return Markup("{}… {}").format(text[:LONGEST_TEXT], mark("clipped", language, n=f"{rest:,}"))


def escaped(text: str) -> str:
    """Write control characters, and all that is not seen or turns other text round, as Python writes them."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode() for one in text
    )


def _signed(text: str) -> str:
    return re.sub(r"(?<!\w)-|(?<=e)-", "\N{MINUS SIGN}", text)


def number(value: float | None, unit: str = "") -> str:
    """Write a value as people do, with a true minus sign; a dash where there is none."""
    return _NONE if value is None else _signed(in_words.number(value, unit))


def exact(value: float | None, unit: str = "") -> str:
    """Write a value with every digit that was printed in its source: 132.4, 0.10 as 0.1, a share of 0.125 as 12.5 %."""
    if value is None:
        return _NONE
    return _signed(f"{100 * value:.10g} %" if in_words.is_share(unit) else repr(value).removesuffix(".0"))


def estimate(value: float | None, ends: Interval, unit: str = "") -> Markup:
    """Write a number with its interval: `**2.5** [1.6, 3.4]`."""
    if value is None or ends is None:
        return Markup("<b>{}</b>").format(number(value, unit))
    shown = number(value, unit), _signed(in_words.span(ends, unit))
    return Markup('<b>{}</b> <span class="whole">{}</span>').format(*shown)


def share(part: float | None) -> str:
    """Write a share in percent, or a dash."""
    return number(part, in_words.SHARE)


def p_value(p: float | None, *, bare: bool = False) -> str:
    """Write `p = 0.031`, or `0.031` alone under a heading; never zero."""
    if p is None:
        return _NONE
    return re.sub("^p (= )?", "", in_words.p_value(p)) if bare else in_words.p_value(p)


def seconds(duration: float) -> str:
    """Write a duration to a tenth of a second, never as zero."""
    return "< 0.1" if duration < 0.1 else f"{duration:,.1f}"  # noqa: PLR2004 - the last digit shown


def linked(source: str) -> Markup:
    """Write a source as a link where it is a web address, else as text."""
    if _ADDRESS.fullmatch(source) is None:
        return Markup("{}").format(source)
    return Markup('<a href="{0}" rel="noopener noreferrer">{0}</a>').format(source)


def _inline(name: str) -> Markup:
    """Give a script or style sheet of this package as it goes into the page, its one part that is not escaped."""
    text = _text(name)
    if "</" in text:
        raise ValueError(f"{name} holds '</', which could end its element early; write it otherwise")
    return Markup(text)  # noqa: S704 - our own file, not the report's text


def _hash(text: str) -> str:
    """Give the source expression by which the page's Content-Security-Policy allows exactly `text`."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    # jinja2 types these by its own filters' signatures.
    filters, tests = cast("dict[str, Any]", environment.filters), cast("dict[str, Any]", environment.tests)
    written = (number, exact, estimate, share, p_value, seconds, linked, escaped)
    slug = methodcaller("replace", " ", "-")  # it writes `not run` as a class name and key: `not-run`
    filters |= {one.__name__: one for one in written} | {"slug": slug}
    tests["chinese"] = re.compile("[\u4e00-\u9fff]").search  # a screen reader and the choice of font want to know
    return environment.from_string(_text("page.html.j2"))


def _rows_of(table: Sequence[object], rows: Sequence[int]) -> list[object]:
    return [table[row] for row in rows]


def published_rows(probe: Probe, document: Document) -> Iterator[tuple[Published, Interval]]:
    """Give the published numbers of a probe, each with the interval of what was measured here."""
    samples = samples_at(document, probe.evidence)
    ends = {(one.label, one.unit, one.mean): one.interval for one in samples}
    for row in probe.published:
        yield row, None if row.measured is None else ends.get((row.label, row.unit, row.measured))


def near_threshold(rows: Iterable[int], document: Document) -> list[tuple[str, str]]:
    """Give (label, sentence) of each sample, parts included, of which rounding decides something."""
    samples = samples_at(document, rows)
    return list(dict.fromkeys((one.label, one.near_threshold) for one in samples if one.near_threshold is not None))


def arms(evidence: Evidence) -> dict[str, list[tuple[str, str]]]:
    """Give (prompt, continuation) of a steering experiment by arm, in order of first appearance."""
    groups: dict[str, list[tuple[str, str]]] = {}
    held = evidence.continuations
    for arm, prompt, text in zip(held.arm, held.prompt, held.text, strict=True):
        groups.setdefault(arm, []).append((prompt, text))
    return groups


def prompt_groups(document: Document) -> tuple[dict[tuple[str, str], list[tuple[str, str]]], int]:
    """Give (topic, text) of the prompts by style and template, and how many the page has no room for."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    room, left_out, held = MOST_PROMPT_TEXT, 0, document.prompts
    for text, style, topic, template in zip(held.text, held.style, held.topic, held.template, strict=True):
        room -= min(len(text), LONGEST_TEXT) + len(topic)
        if room < 0:
            left_out += 1
        else:
            groups.setdefault((style, template), []).append((topic, text))
    return groups, left_out


Step = tuple[Subject, int | None]
"""A protocol, and how many of its separating features are those of the one it is a protocol of; None is not known."""


def steps(document: Document) -> list[tuple[str, list[Step]]]:
    """Arrange by family the protocols of which figures are known, each behind the one that it is a protocol of."""
    known = {subject.name: subject for subject in document.subjects if subject.figures is not None}

    def lines(subject: Subject) -> Iterator[Step]:
        of = known.get(subject.protocol_of or "")
        held = [set(one.figures.separating) for one in (subject, of) if one is not None and one.figures is not None]
        yield subject, len(held[0] & held[1]) if len(held) > 1 else None
        yield from (step for one in known.values() if one.protocol_of == subject.name for step in lines(one))

    found: dict[str, list[Step]] = {}
    for subject in known.values():
        if subject.protocol_of not in known:
            found.setdefault(subject.protocol_of or subject.name, []).extend(lines(subject))
    return [(name, rows) for name, rows in found.items() if len(rows) > 1]


def render(document: Document, *, language: Language = "en") -> str:
    """Make the page of a report: all evidence in one HTML text that loads nothing, the same for the same document.

    The interface speaks `language` at first; the reader can change it.
    """
    style, script = _inline("page.css"), _inline("page.js")
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
    policy += "base-uri 'none'; form-action 'none'"
    rows = overview.tallies(document)
    lines = overview.headline(rows)
    of_document = [pictures.forest, pictures.strips, near_threshold, published_rows, overview.side_by_side]
    of_document += [overview.values_table]
    as_they_are = [overview.anchor, overview.as_declared, overview.cell, overview.rivals, overview.runs]
    as_they_are += [overview.unit_sides]
    page = _template().render(
        document=document,
        changed=visible(named(document.run.changed)),
        language=language,
        policy=policy,
        style=style,
        script=script,
        table=Markup(json.dumps(words(), ensure_ascii=False).replace("<", "\\u003c")),  # noqa: S704 - escaped here
        title="; ".join(say(key, language, **values) for key, values in lines),
        headline=lines,
        tallies=rows,
        names=overview.subject_names(document),
        silent=overview.silent(document),
        steps=steps(document),
        prompt_groups=prompt_groups(document),
        declared=sum(probe.declaration is not None for claim in document.claims for probe in claim.probes),
        WORDS=WORDS,
        MOST_LEFT_OUT=overview.MOST_LEFT_OUT,
        MOST_OPEN=MOST_OPEN,
        MOST_TOKENS=MOST_TOKENS,
        DIFFERENCES=pictures.DIFFERENCES,
        w=partial(mark, language=language),
        attr=partial(_attribute, language=language),
        clip=partial(clip, language=language),
        samples=partial(samples_at, document),
        sides=partial(_rows_of, document.samples),
        parts=partial(_rows_of, document.evidence),
        arms=arms,
        fixed_wordings=fixed_wordings,
        **{one.__name__: one for one in as_they_are},
        **{one.__name__: partial(one, document=document) for one in of_document},
    )
    return shown_as_text(page)


def write_page(document: Document, path: Path, *, language: Language = "en") -> None:
    """Render `document` and write it to `path`, whole or not at all; folders are made as needed."""
    write_whole(path, render(document, language=language).encode())

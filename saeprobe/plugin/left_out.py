"""What a run leaves out is found: probes that pytest made and something took away, and functions that it never met."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from types import CodeType
from typing import Any, Final

import pytest

from saeprobe.claims import claim_of, members
from saeprobe.git import SETTINGS, named
from saeprobe.plugin.collecting import claim_of_item, subject_of
from saeprobe.plugin.names import REFUSED, function_of
from saeprobe.report.shape import LeftOut
from saeprobe.report.sources import Function, Sources

DEFAULTS: Final = "saeprobe_default_subjects"
_TOP: Final = (SETTINGS, ".git", "pytest.ini", "setup.cfg", "tox.ini")  # one of these lies at the top of a project


class Watch:
    """The watch takes note of each probe that pytest makes, and says at the end of collection what will not run."""

    def __init__(self, config: pytest.Config, root: Path) -> None:
        self._config = config
        self._root = root
        self._made: list[pytest.Item] = []
        self._failed: set[Path] = set()
        self.variants: dict[str, tuple[str, Sequence[str]]] = {}
        """By the node id of a test function: its claim, and the subjects that it has a variant for."""
        self.by_default: set[pytest.Item] = set()
        """Variants on subjects that run only where they are asked for."""

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Take note of a probe, which may be taken out again."""
        if claim_of_item(item) is not None:
            self._made.append(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Take note of a file that could not be imported."""
        report = yield
        if report.failed:
            self._failed.add(collector.path.resolve())
        return report

    def found(self, items: Sequence[pytest.Item], defaults: Collection[str], unmarked: Sequence[str]) -> list[LeftOut]:
        """List what is not among the items that will run; a subject that nothing asks for is not left out.

        `defaults` are the subjects that run where nothing selects any, and `unmarked` those of a probe that names none.
        """
        kept = set(items)
        asked = {*defaults, *(subject_of(item) or "" for item in items)}
        options = [f"-o {one}" for one in self._config.option.override_ini or () if one.startswith(DEFAULTS)]
        options += self._other_settings()
        if options:  # somebody changed for this run what runs unasked
            asked |= {subject_of(item) or "" for item in self._made}
        elsewhere = set[pytest.Item]() if options else self.by_default
        gone = [item for item in self._made if item not in kept and item not in elsewhere]
        left = [*(self._item(item, options if item in self.by_default else []) for item in gone)]
        left += self._variants()
        left += self._functions(unmarked, [item for item in items if REFUSED in item.stash])
        return [one for one in left if one.subject in ("", *asked) or asked.issuperset(members(one.subject))]

    def _other_settings(self) -> Iterator[str]:
        """Say where the settings of the run are not those that pytest finds at the top of the project."""
        given, found = self._config.option.inifilename, self._config.inipath
        if given and not (found is not None and found.parent == self._root and found.name in _TOP):
            yield f"-c {given}"

    def _item(self, item: pytest.Item, said: Sequence[str]) -> LeftOut:
        claim, option = claim_of_item(item), self._config.option
        options = [("-k", "keyword"), ("-m", "markexpr")]
        by = [f"{name} {shlex.quote(text)}" for name, key in options if (text := str(getattr(option, key, "")))]
        flags = [("--deselect", "deselect"), ("--lf", "lf"), ("--stepwise", "stepwise")]
        by += [name for name, key in flags if getattr(option, key, None)]
        why = " and ".join(said or by) or "taken out by a plugin or a conftest.py"
        return LeftOut(claim=claim.id if claim else "", subject=subject_of(item) or "", where=item.nodeid, why=why)

    def _variants(self) -> Iterator[LeftOut]:
        """Yield the variants that pytest never made, since another one was asked for by its name."""
        made = {(item.nodeid.partition("[")[0], subject_of(item)) for item in self._made}
        why = "another test was asked for by its name"
        for where, (claim, names) in self.variants.items():
            for name in (name for name in names if (where, name) not in made):
                yield LeftOut(claim=claim, subject=name, where=f"{where}[{name}]", why=why)

    def _functions(self, unmarked: Sequence[str], refused: Sequence[pytest.Item]) -> Iterator[LeftOut]:
        """Yield functions of which pytest made nothing: in the folders of the run, or of a claim that it decides."""
        tests = [*self._made, *refused]
        files, made = {item.path.resolve() for item in tests}, {item.nodeid.partition("[")[0] for item in tests}
        ids = {claim.id for item in self._made if (claim := claim_of(function_of(item))) is not None}
        folders, project = [*self._asked(), *sorted({file.parent for file in files})], list[Path]()
        if any((self._root / name).exists() for name in _TOP):
            project = [self._root.resolve()]
        sources = Sources([*folders, *project])
        there = dict.fromkeys(sources.functions(under=folders))
        there |= dict.fromkeys(one for one in sources.functions(ids, under=project) if project and one.claim in ids)
        for one in _unmet(there, tests):
            where = one.where(self._root)
            if where in self.variants and where not in made:  # its variants say so themselves
                continue
            if one.file in self._failed:
                why = "its file could not be imported"
            elif one.file not in files:
                why = "its file was not collected"
            else:
                why = "pytest made no test of it: by its name, its class or another function of that name below"
            for subject in unmarked if one.subjects == () else one.subjects or ("",):
                yield LeftOut(claim=one.claim, subject=subject, where=where, why=why)

    def _asked(self) -> list[Path]:
        """Return the folders that were asked for, or those of the files that were."""
        here = self._config.invocation_params.dir
        paths = [(here / argument.partition("::")[0]).resolve() for argument in self._config.args]
        return [path if path.is_dir() else path.parent for path in paths if path.exists()]


def whole(variants: Iterable[str], left_out: Iterable[LeftOut]) -> set[str]:
    """Return those subjects of which nothing was left out; what may be of any subject was left out of each."""
    parts = {one.subject for one in left_out}
    return set() if "" in parts else set(variants) - parts


def _name(item: pytest.Item) -> str:
    """Name a test within its file, as `Function` does."""
    return item.nodeid.partition("::")[2].partition("[")[0]


def _unmet(functions: Iterable[Function], tests: Iterable[pytest.Item]) -> Iterator[Function]:
    """Yield the functions that none of the tests runs.

    A test whose code is not in its file by that name, as a decorator may have it, is the last function of the name.
    """
    lines: dict[tuple[Path, str], set[int]] = {}
    for item in tests:
        found = lines.setdefault((item.path.resolve(), _name(item)), set())
        found |= {code.co_firstlineno for code in _codes(item)}
    by_name: dict[tuple[Path, str], list[Function]] = {}
    for one in functions:
        by_name.setdefault((one.file, one.name), []).append(one)
    for place, several in by_name.items():
        run = [one for one in several if one.line in lines.get(place, ())]
        met = run or several[-1:] if place in lines else []
        yield from (one for one in several if one not in met)


def _codes(item: pytest.Item) -> Iterator[CodeType]:
    """Yield the code of a probe, also where Hypothesis calls it."""
    function: Any = function_of(item)
    inner = getattr(getattr(function, "hypothesis", None), "inner_test", None)
    for each in (function, inner):
        code = getattr(inspect.unwrap(each), "__code__", None) if callable(each) else None
        if isinstance(code, CodeType):
            yield code


def in_words(left_out: Iterable[LeftOut]) -> Iterator[str]:
    """Write a line for each reason why functions that make a claim do not run; options say theirs themselves."""
    whys: dict[str, dict[str, None]] = {}
    for one in left_out:
        if "[" not in one.where:
            whys.setdefault(one.why, {})[f"{one.where} ({one.claim})" if one.claim else one.where] = None
    yield from (f"left out: {named(list(where))}: {why}" for why, where in whys.items())

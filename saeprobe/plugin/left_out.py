"""What a run leaves out is found: probes that pytest made and something took away, and functions that it never met."""

from __future__ import annotations

import ast
import inspect
import os
import shlex
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any, Final, cast

import pytest

from saeprobe.claims import claim_of, members
from saeprobe.git import SETTINGS, named
from saeprobe.plugin.collecting import claim_of_item, subject_of
from saeprobe.plugin.names import REFUSED, function_of
from saeprobe.report.shape import LeftOut

DEFAULTS: Final = "saeprobe_default_subjects"
_SKIPPED: Final = frozenset({"__pycache__", "build", "dist", "node_modules", "site-packages"})
_TOP: Final = (SETTINGS, ".git", "pytest.ini", "setup.cfg", "tox.ini")  # one of these lies at the top of a project
_INNER: Final = ("body", "orelse", "finalbody", "handlers", "cases")  # of a statement that holds others


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function makes a claim by its source; `claim` is empty, and `subjects` None, where the source does not say."""

    file: Path
    name: str
    line: int
    claim: str
    subjects: tuple[str, ...] | None


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
        options = [one for one in self._config.option.override_ini or () if one.startswith(DEFAULTS)]
        if options:  # somebody changed for this run what runs unasked
            asked |= {subject_of(item) or "" for item in self._made}
        elsewhere = set[pytest.Item]() if options else self.by_default
        gone = [item for item in self._made if item not in kept and item not in elsewhere]
        said = [f"-o {one}" for one in options]
        left = [*(self._item(item, said if item in self.by_default else []) for item in gone)]
        left += self._variants()
        refused = {(item.path.resolve(), _name(item)) for item in items if REFUSED in item.stash}
        left += self._functions(unmarked, refused)
        return [one for one in left if one.subject in ("", *asked) or asked.issuperset(members(one.subject))]

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

    def _functions(self, unmarked: Sequence[str], refused: Collection[tuple[Path, str]]) -> Iterator[LeftOut]:
        """Yield functions of which pytest made nothing: in the folders of the run, or of a claim that it decides."""
        codes = [code for item in self._made for code in _codes(item)]
        met = {(Path(code.co_filename).resolve(), code.co_firstlineno) for code in codes}
        files, made = {file for file, _ in met}, {item.nodeid.partition("[")[0] for item in self._made}
        ids = {claim.id for item in self._made if (claim := claim_of(function_of(item))) is not None}
        folders = dict.fromkeys([*self._asked(), *(file.parent for file in files)])
        elsewhere = [self._root] if any((self._root / name).exists() for name in _TOP) else []
        there = [*functions_in(folders), *(one for one in functions_in(elsewhere, naming=ids) if one.claim in ids)]
        there = [one for one in there if (one.file, one.line) not in met and (one.file, one.name) not in refused]
        for one in dict.fromkeys(there):
            where = f"{Path(os.path.relpath(one.file, self._root)).as_posix()}::{one.name}".removesuffix("::")
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


def _codes(item: pytest.Item) -> Iterator[CodeType]:
    """Yield the code of a probe, also where Hypothesis calls it."""
    function: Any = function_of(item)
    inner = getattr(getattr(function, "hypothesis", None), "inner_test", None)
    for each in (function, inner):
        code = getattr(inspect.unwrap(each), "__code__", None) if callable(each) else None
        if isinstance(code, CodeType):
            yield code


def functions_in(folders: Iterable[Path], *, naming: Collection[str] = ()) -> Iterator[Function]:
    """Yield the functions that make a claim in the Python files of some folders, read without running them.

    Where ids are given, only files are looked at in which one of these stands.
    """
    wanted = [one.encode() for one in naming]
    seen: set[Path] = set()
    for top in folders:
        for folder, inner, names in os.walk(top):
            here = Path(folder).resolve()
            inner[:] = [name for name in inner if name[:1] != "." and name not in _SKIPPED]
            if here in seen or "pyvenv.cfg" in names:
                inner.clear()
                continue
            seen.add(here)
            for file in ((here / name).resolve() for name in sorted(names) if name.endswith(".py")):
                yield from _functions_of(file, wanted)


def _functions_of(file: Path, wanted: Sequence[bytes]) -> Iterator[Function]:
    try:
        content = file.read_bytes()
        known = b"claim" in content and b"saeprobe" in content
        tree = ast.parse(content) if known and (not wanted or any(one in content for one in wanted)) else None
    except OSError:
        return
    except (SyntaxError, ValueError, RecursionError):  # it may make any claim
        yield Function(file=file, name="", line=0, claim="", subjects=None)
        return
    if tree is not None:
        source = _Source(tree)
        yield from source.functions(file, tree.body, "", source.marked(tree.body))


class _Source:
    """The source of a file says which of its names are saeprobe's, and which are claims made before."""

    def __init__(self, tree: ast.Module) -> None:
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and _of_saeprobe(node.module)]
        self._names = {alias.asname or alias.name: alias.name for node in imports for alias in node.names}
        self._names |= dict.fromkeys(("claim", "subjects"), "") if "*" in self._names else {}
        self._names = {here: name or here for here, name in self._names.items()}
        given = [node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)]
        self._values = {cast("ast.Name", node.targets[0]).id: node.value for node in given}

    def functions(
        self, file: Path, body: Iterable[ast.AST], within: str, marked: tuple[str, ...] | None
    ) -> Iterator[Function]:
        """Yield those of a module, of its classes, and of the blocks of either."""
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                decorators = [self._value(one) for one in node.decorator_list]
                claims = [one for one in decorators if self._calls(one) == "claim"]
                own = self._subjects(decorators)
                subjects = marked if own == () else own
                for one in claims[:1]:
                    line, name = node.decorator_list[0].lineno, f"{within}{node.name}"
                    yield Function(file=file, name=name, line=line, claim=self._id(one), subjects=subjects)
            elif isinstance(node, ast.ClassDef):
                own = self._subjects(node.decorator_list) or self.marked(node.body)
                of_class = marked if own == () else own
                yield from self.functions(file, node.body, f"{within}{node.name}::", of_class)
            else:
                for part in _INNER:
                    yield from self.functions(file, getattr(node, part, ()), within, marked)

    def marked(self, body: Iterable[ast.stmt]) -> tuple[str, ...] | None:
        """Return the subjects of a `pytestmark`; none where there is no such mark."""
        for node in body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
                listed = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
                return self._subjects(listed)
        return ()

    def _subjects(self, marks: Iterable[ast.expr]) -> tuple[str, ...] | None:
        """Return the subjects that marks name, none without such a mark; None where only running them would say it."""
        for one in map(self._value, marks):
            if isinstance(one, ast.Name):  # from another file
                return None
            if self._calls(one) == "subjects":
                names = [self._text(argument) for argument in cast("ast.Call", one).args]
                return tuple(names) if all(names) else None
        return ()

    def _calls(self, node: ast.expr) -> str:
        """Name the function of saeprobe that is called; empty for anything else."""
        match node:
            case ast.Call(func=ast.Name(id=name)):
                return self._names.get(name, "")
            case ast.Call(func=ast.Attribute(attr="claim" | "subjects" as name)):
                return name
            case _:
                return ""

    def _value(self, node: ast.expr) -> ast.expr:
        return self._values.get(node.id, node) if isinstance(node, ast.Name) else node

    def _text(self, node: ast.expr) -> str:
        value = self._value(node)
        return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""

    def _id(self, claim: ast.expr) -> str:
        keywords = cast("ast.Call", claim).keywords
        return next((self._text(one.value) for one in keywords if one.arg == "id"), "")


def _of_saeprobe(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] == "saeprobe"


def in_words(left_out: Iterable[LeftOut]) -> Iterator[str]:
    """Write a line for each reason why functions that make a claim do not run; options say theirs themselves."""
    whys: dict[str, dict[str, None]] = {}
    for one in left_out:
        if "[" not in one.where:
            whys.setdefault(one.why, {})[f"{one.where} ({one.claim})" if one.claim else one.where] = None
    yield from (f"left out: {named(list(where))}: {why}" for why, where in whys.items())

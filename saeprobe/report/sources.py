"""The source of a project says which of its functions make a claim, and on which subjects; it is read, never run."""

from __future__ import annotations

import ast
import os
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final, cast

_SKIPPED: Final = frozenset({"__pycache__", "build", "dist", "node_modules", "site-packages"})
_INNER: Final = ("body", "orelse", "finalbody", "handlers", "cases")  # of a statement that holds others
_IMPORTS: Final = re.compile(rb"^[ \t]*(?:from|import)\b.*", re.MULTILINE)
_WORD: Final = re.compile(rb"\w+")
_PACKAGE: Final = Path(__file__).resolve().parents[1]
_STEPS: Final = 9  # from a name to what it stands for, through as many files

Subjects = tuple[str, ...] | None
"""The subjects that marks name: none where there is no mark, None where only running the file would say it."""


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function makes a claim by its source; `claim` is empty where that does not say which.

    `line` is that of its first decorator, 0 where it is made by a call. `name` is empty where the file cannot be read.
    """

    file: Path
    name: str
    line: int
    claim: str
    subjects: Subjects

    def where(self, root: Path) -> str:
        """Name it as its node id does."""
        return f"{Path(os.path.relpath(self.file, root)).as_posix()}::{self.name}".removesuffix("::")


class Sources:
    """The Python files of some folders, each of which is read once; with `more` that do not lie there."""

    def __init__(self, folders: Iterable[Path], more: Mapping[Path, bytes] | None = None) -> None:
        self._folders, self._more = tuple(folders), more or {}
        self._parsed: dict[Path, _Source | None] = {}

    def functions(self, naming: Collection[str] = (), under: Collection[Path] = ()) -> list[Function]:
        """List the functions that make a claim.

        Ids limit them to files in which one of these stands and those that import them, folders to what lies there.
        """
        files = [file for file in self._with(naming) if not under or {*under} & {*file.parents}]
        found = [one for file in files for one in self._of(file)]
        return [one for one in found if not self._taken_over(one)]

    @cached_property
    def _contents(self) -> dict[Path, bytes]:
        found, seen = {**self._more}, set[Path]()
        for top in self._folders:
            for folder, inner, names in os.walk(top):
                here = Path(folder).resolve()
                inner[:] = [name for name in inner if name[:1] != "." and name not in _SKIPPED]
                if here in seen or "pyvenv.cfg" in names:
                    inner.clear()
                    continue
                seen.add(here)
                for file in ((here / name).resolve() for name in sorted(names) if name.endswith(".py")):
                    with suppress(OSError):
                        found[file] = file.read_bytes()
        return {file: content for file, content in found.items() if _PACKAGE not in file.parents}

    @cached_property
    def _imported(self) -> dict[Path, set[bytes]]:
        """Return the words in the lines of each file that import something."""
        contents = self._contents.items()
        return {file: set(_WORD.findall(b" ".join(_IMPORTS.findall(content)))) for file, content in contents}

    def _with(self, ids: Collection[str]) -> dict[Path, None]:
        """Return the files in which one of the ids stands, or the name of the package, and those that import them."""
        words = [one.encode() for one in ids or ("saeprobe",)]
        new = [file for file, content in self._contents.items() if any(word in content for word in words)]
        found = dict.fromkeys(new)
        while new:
            names = {(file.parent.name if file.stem == "__init__" else file.stem).encode() for file in new}
            new = [file for file, imported in self._imported.items() if file not in found and names & imported]
            found |= dict.fromkeys(new)
        return found

    def _of(self, file: Path) -> Iterable[Function]:
        if (source := self._source(file)) is not None:
            return source.functions()
        may = all(word in self._contents[file] for word in (b"saeprobe", b"claim"))  # it may make any claim then
        return [Function(file=file, name="", line=0, claim="", subjects=None)] if may else []

    def _taken_over(self, one: Function) -> bool:
        """Say whether others inherit or import it, and pytest makes no test of it where it is written."""
        stem, name, source = one.file.stem, one.name.partition("::")[0], self._source(one.file)
        by_itself = name.startswith("Test") if "::" in one.name else stem.startswith("test_") or stem.endswith("_test")
        return source is not None and name in source.taken and not by_itself

    def _source(self, file: Path) -> _Source | None:
        """Read a file; None where it is none of these, or no Python."""
        if file not in self._parsed:
            self._parsed[file] = None
            with suppress(KeyError, SyntaxError, ValueError, RecursionError), warnings.catch_warnings(action="ignore"):
                self._parsed[file] = _Source(file, ast.parse(self._contents[file]), self._source)
        return self._parsed[file]


@dataclass(frozen=True, kw_only=True)
class _Import:
    """A name stands for a module, or for what a module calls by this name."""

    module: str
    level: int = 0
    name: str = ""

    @property
    def ours(self) -> bool:
        return not self.level and self.module.partition(".")[0] == "saeprobe"


_Node = ast.AST | _Import


class _Source:
    """The source of one file: what its names stand for, through other files of the project."""

    def __init__(self, file: Path, tree: ast.Module, read: Callable[[Path], _Source | None]) -> None:
        self.file, self.body, self.read = file, tree.body, read
        self.names: dict[str, list[_Node]] = {}
        self.known: dict[tuple[str, int], _Source | None] = {}
        self.taken: set[str] = set()
        """Names of what others inherit or import."""
        imports = (pair for node in ast.walk(tree) for pair in _imports(node))
        for name, value in (*(pair for node in _flat(tree.body) for pair in _bound(node)), *imports):
            self.names.setdefault(name, []).append(value)
        self.stars = [cast("_Import", star) for star in self.names.pop("*", [])]

    def functions(self) -> Iterator[Function]:
        """Yield the functions of the file, those that it imports too."""
        marked = self.marked(self.body)
        yield from self.of(self.body, "", marked)
        of_stars = [other.names for star in self.stars if (other := self.find(star)) is not None]
        for name in sorted({name for names in (self.names, *of_stars) for name in names if name.startswith("test")}):
            for source, node in self.resolve(ast.Name(id=name)):
                if source is not self and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    source.taken.add(node.name)
                    for one in source.of([node], "", marked):
                        yield replace(one, file=self.file, name=name)

    def of(self, body: Sequence[ast.stmt], within: str, marked: Subjects, steps: int = _STEPS) -> Iterator[Function]:
        """Yield those of a module or of a class, with what the class inherits."""
        for node in _flat(body):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                ids = [found for one in node.decorator_list if (found := self.claim(one)) is not None]
                if ids:
                    line, name = node.decorator_list[0].lineno, f"{within}{node.name}"
                    subjects = marked if (own := self.subjects(node.decorator_list)) == () else own
                    yield Function(file=self.file, name=name, line=line, claim=ids[0], subjects=subjects)
            elif isinstance(node, ast.ClassDef) and steps:
                yield from self.of_class(node, f"{within}{node.name}::", marked, steps)
            elif isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr) and isinstance(made := node.value, ast.Call):
                found = self.claim(made.func)  # claim(...)(function)
                names = [name for name, _ in _bound(node)] or [one.id for one in made.args if isinstance(one, ast.Name)]
                for name in names if found is not None and made.args else ():
                    yield Function(file=self.file, name=f"{within}{name}", line=0, claim=found or "", subjects=marked)

    def of_class(self, node: ast.ClassDef, within: str, marked: Subjects, steps: int) -> Iterator[Function]:
        own = [one for one in (self.subjects(node.decorator_list), self.marked(node.body)) if one != ()]
        marked = own[0] if own else marked
        own_names = {name for inner in _flat(node.body) for name, _ in _bound(inner)}
        yield from self.of(node.body, within, marked, steps - 1)
        for base in node.bases:
            for source, found in self.resolve(base):
                if isinstance(found, ast.ClassDef):
                    source.taken.add(found.name)
                    for one in source.of_class(found, within, marked, steps - 1) if steps else ():
                        if one.name.removeprefix(within) not in own_names:
                            yield replace(one, file=self.file)

    def marked(self, body: Sequence[ast.stmt]) -> Subjects:
        """Return the subjects of a `pytestmark`."""
        for name, value in (pair for node in _flat(body) for pair in _bound(node)):
            if name == "pytestmark":
                return self.subjects(value.elts if isinstance(value, ast.List | ast.Tuple) else [value])
        return ()

    def subjects(self, marks: Iterable[_Node]) -> Subjects:
        for mark in marks:
            found = list(self.resolve(mark))
            elsewhere = [node for _, node in found if isinstance(node, ast.Name | ast.BinOp | _Import)]
            if any(not getattr(node, "module", "").startswith("pytest") for node in elsewhere):
                return None
            for source, node in found:
                if isinstance(node, ast.Call) and source.calls(node, "subjects"):
                    names = tuple(map(source.text, node.args))
                    return names if all(names) and len(found) == 1 else None
        return ()

    def claim(self, node: _Node, steps: int = _STEPS) -> str | None:
        """Return the id of the claim that an expression makes, empty where it is not plain; None without a claim."""
        ids = [source.id(one, steps - 1) for source, one in self.resolve(node)] if steps else []
        made = {one for one in ids if one is not None}
        return None if not made else made.pop() if len(made) == 1 and None not in ids else ""

    def id(self, node: _Node, steps: int) -> str | None:
        if isinstance(node, ast.IfExp):
            both = {self.claim(one, steps) for one in (node.body, node.orelse)}
            return both.pop() if len(both) == 1 else ""
        if not isinstance(node, ast.Call):
            return "" if self.mentions(node) else None
        if self.calls(node, "claim"):
            return next((self.text(one.value) for one in node.keywords if one.arg == "id"), "")
        return "" if any(source.mentions(made) for source, made in self.resolve(node.func)) else None

    def mentions(self, node: _Node) -> bool:
        """Say whether this is a function that makes a claim."""
        inner = ast.walk(node) if isinstance(node, ast.FunctionDef | ast.Lambda) else ()
        return any(isinstance(one, ast.Call) and self.calls(one, "claim") for one in inner)

    def calls(self, node: ast.Call, name: str) -> bool:
        """Say whether this calls the function of saeprobe that has this name."""
        return any(isinstance(one, _Import) and one.ours and one.name == name for _, one in self.resolve(node.func))

    def text(self, node: ast.expr) -> str:
        """Return the text that an expression stands for; empty where it is not plain, or one of several."""
        found = [one for _, one in self.resolve(node)]
        texts = {one.value if isinstance(one, ast.Constant) and isinstance(one.value, str) else "" for one in found}
        return texts.pop() if len(texts) == 1 else ""

    def resolve(self, node: _Node, steps: int = _STEPS) -> Iterator[tuple[_Source, _Node]]:
        """Yield all that an expression may stand for, each with the source that its own names are of."""
        if steps and isinstance(node, ast.Name) and (found := self.bound(node.id, steps)):
            for one in found:
                yield from self.resolve(one, steps - 1)
        elif steps and isinstance(node, _Import) and node.name and (other := self.find(node)) is not None:
            known = other.bound(node.name, steps)  # or else a module of that package
            yield from other.resolve(ast.Name(id=node.name), steps - 1) if known else [(self, node)]
        elif steps and isinstance(node, ast.Attribute):
            for source, base in self.resolve(node.value, steps - 1):
                if isinstance(base, _Import):
                    module = base.module if base.ours else f"{base.module}.{base.name}".strip(".")
                    yield from source.resolve(replace(base, module=module, name=node.attr), steps - 1)
                else:
                    yield self, node
        else:
            yield self, node

    def bound(self, name: str, steps: int) -> list[_Node]:
        """Return what a name is bound to here, or by a module all of whose names are imported."""
        others = [(star, self.find(star)) for star in self.stars] if steps and name not in self.names else []
        ours = {star for star, _ in others if star.ours and name in ("claim", "subjects")}
        known = [star for star, other in others if star in ours or (other is not None and other.bound(name, steps - 1))]
        return self.names.get(name, [replace(star, name=name) for star in known])

    def find(self, wanted: _Import) -> _Source | None:
        """Find the file of a module: a relative one, or one beside this file, above it or in a folder `src` there."""
        key = wanted.module, wanted.level
        if key not in self.known:
            parents, path = list(self.file.parents), wanted.module.replace(".", "/")
            above = parents[wanted.level - 1 : wanted.level] if wanted.level else parents[:_STEPS]
            folders = [] if wanted.ours else [inner for folder in above for inner in (folder, folder / "src")]
            files = (folder / end for folder in folders for end in (f"{path or '__init__'}.py", f"{path}/__init__.py"))
            self.known[key] = next((source for file in files if (source := self.read(file)) is not None), None)
        return self.known[key]


def _flat(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield statements, and those of their blocks; not those of functions and classes."""
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for part in _INNER:
                yield from _flat(getattr(node, part, ()))


def _bound(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield the names that a statement binds, with what they stand for."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name, node
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from ((target.id, node.value) for target in targets if isinstance(target, ast.Name))


def _imports(node: ast.AST) -> Iterator[tuple[str, _Import]]:
    for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, _Import(module=node.module or "", level=node.level, name=alias.name)
        else:
            module = alias.name if alias.asname else alias.name.partition(".")[0]
            yield alias.asname or module, _Import(module=module)

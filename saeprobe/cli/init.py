"""A new project gets one probe, its prompts, an article that cites it, and what runs them here and on GitHub."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from saeprobe.cli.terminal import RefusedError, facts, pytest_root, say
from saeprobe.files import FileError, read_text
from saeprobe.subject.registry import project_of

_TEMPLATES: Final = Path(__file__).parent / "project"
_FILES: Final = {
    "probes/test_first.py": "a claim: its sentence, its controls, its assert",
    "prompts/first.toml": "its prompts: styles, templates, topics",
    "articles/first.md": "an article that cites the claim",
    "pyproject.toml": "where the probes are, and how to declare your own model and SAE",
    ".gitignore": "what a run makes",
    ".github/workflows/probes.yml": "runs the probes and the gate on GitHub",
}


def run(arguments: argparse.Namespace) -> int:
    """Write the files of a project that are not there yet, and name the commands that come next."""
    folder = Path.cwd() / arguments.folder
    contents = {name: _template(name) for name in _FILES}
    _check(folder / name for name in _FILES)
    written = [name for name, content in contents.items() if _wrote(folder / name, content)]
    left = [name for name in _FILES if name not in written]
    lines = [f"written to {folder}:" if written else "nothing was written"]
    lines += [facts([(name, _FILES[name]) for name in written])] if written else []
    lines += [f"there already, and left as it was: {name}" for name in left]
    if "pyproject.toml" in left and (lacking := _lacking(folder / "pyproject.toml")):
        lines += ["", "to declare a model and an SAE of your own, add to pyproject.toml:", "", lacking]
    quote = shlex.quote if os.name == "posix" else '"{}"'.format
    models = [] if find_spec("torch") else ['pip install "saeprobe[models]"']
    enter = [] if folder.resolve() == Path.cwd() else [f"cd {quote(str(arguments.folder))}"]
    then = [*models, *enter, "pytest probes/", "saeprobe gate articles/first.md"]
    say("\n".join([*lines, *_surrounding(folder), "", "next:", *(f"  {line}" for line in then)]))
    return 0


def _template(name: str) -> bytes:
    """Return a file of the project; inside the package it ends in .txt, so that no tool obeys it there."""
    return (_TEMPLATES / f"{name.rpartition('/')[2]}.txt").read_text(encoding="utf-8").encode()


def _check(targets: Iterable[Path]) -> None:
    """Refuse what stands in the way of a file, and a folder that cannot be written to, before anything is written."""
    for target in targets:
        for above in target.parents:
            if os.path.lexists(above) and not above.is_dir():
                raise RefusedError(f"{above} is no folder, and the project needs one there; name another folder")
        if target.is_dir():
            raise RefusedError(f"{target} is a folder, and the project has a file of that name; name another folder")
        there = next(folder for folder in target.parents if folder.is_dir())
        if not os.path.lexists(target) and not os.access(there, os.W_OK | os.X_OK):
            raise RefusedError(f"{there} cannot be written to; name another folder, or allow yourself to write there")


def _wrote(target: Path, content: bytes) -> bool:
    """Write a file where there is none of that name, not even a link that leads nowhere; say whether it was written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def _lacking(there: Path) -> str:
    """Return the lines about subjects that a pyproject.toml of the user does not have; nothing where it has some."""
    try:
        has = "tool.saeprobe" in read_text(there)
    except (OSError, FileError):  # pytest will say what is wrong with it
        has = True
    return "" if has else _template("pyproject.toml").decode().partition("\n\n")[2].rstrip()


def _surrounding(folder: Path) -> list[str]:
    """Say where pytest takes a folder above for the project, and where it collects these probes with others."""
    folder, lines = folder.resolve(), list[str]()
    root = project_of(folder, pytest_root(folder))
    if root != folder:
        lines += ["", f"pytest takes {root} for the project and writes reports/ there; add to pyproject.toml:"]
        lines += ["", "[tool.pytest.ini_options]", 'testpaths = ["probes"]']
    outer = pytest_root(folder.parent)
    around = (above for above in folder.parents if outer in (above, *above.parents))
    if (tests := next((above for above in around if any(above.glob("test_*.py"))), None)) is not None:
        lines += ["", f"warning: {tests} holds tests of another project. pytest collects these probes with them, and"]
        lines += ["refuses two files of the name test_first.py: move the new project out of it, or rename the file"]
    return lines

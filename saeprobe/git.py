"""Git leaves out what a run writes, and says which files differ from its commit; hashes say which files it has read."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

from saeprobe.files import FileError, parsed_toml, read_text

_PATIENCE: Final = 20.0  # seconds; a status of a large tree takes one
_NAMED: Final = 3  # names in a sentence
REPORTS: Final = tuple(f"{name}.{form}" for name in ("report", "part", "superseded") for form in ("json", "html"))
"""What runs write into their folder; its other files are somebody's own."""
SETTINGS: Final = "pyproject.toml"
_BLAMED: Final = re.compile(r"([0-9a-f]{40,64}) \d+ (\d+)")  # a commit, a line there and here
_PACKAGE: Final = Path(__file__).resolve().parent


def leave_out(folder: Path, *names: str, kept: str = "") -> None:
    """Make a folder, and let git leave out what a run writes there: the files of these names, or else all.

    As pytest's cache does, the `.gitignore` leaves itself out too. None is written where one is, or where anything lies
    but these files and what is `kept`: such a folder is somebody's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not {path.name for path in folder.iterdir()} <= {*names, kept}:
        return
    lines = [f"/{name}" for name in (".gitignore", *names)] if names else ["*"]
    with suppress(FileExistsError), (folder / ".gitignore").open("x", encoding="utf-8", newline="\n") as file:
        file.write("\n".join(["# Made by saeprobe: what a run writes.", *lines, ""]))


def commit_of(root: Path, *, store: Path, report: Path) -> tuple[str | None, tuple[str, ...] | None]:
    """Return the commit that the probes run at and the files that differ from it; None without a repository.

    What runs write by themselves is no difference: the store, the reports and Python's bytecode.
    """
    commit, top = _git(root, "rev-parse", "HEAD"), _git(root, "rev-parse", "--show-toplevel")
    status = _git(root, "status", "--porcelain", "-z", "--untracked-files=all") if commit and top else None
    if commit is None or top is None or status is None:
        return commit, None
    own = {_place(file) for file in (store, *(report / name for name in (".gitignore", *REPORTS)))}
    changed: list[str] = []
    entries = iter(status.split("\0"))
    for entry in entries:
        state, name = entry[:2], entry[3:]
        if "R" in state or "C" in state:
            next(entries)  # where it was before
        file = Path(top) / name
        bytecode = state == "??" and "__pycache__" in Path(name).parts
        if name and not bytecode and own.isdisjoint((_place(file), *file.parents)):
            changed.append(name.encode(errors="backslashreplace").decode())
    return commit, tuple(changed)


def where_it_stands(root: Path) -> tuple[str | None, str]:
    """Return the commit of a folder, and its path from the top of the repository, ending in `/` unless it is the top.

    The commit is None without a repository, or before its first commit.
    """
    found = _git(root, "rev-parse", "HEAD", "--show-prefix")
    commit, _, prefix = (found or "").partition("\n")
    return commit or None, prefix


def uncommitted(root: Path, names: Iterable[str]) -> list[str]:
    """Name those files that HEAD does not hold as they lie here, whatever git's index and status say of them.

    They are compared as git would add them, with its line ends and filters; a submodule is to be at the commit that
    HEAD has of it. Of pyproject.toml only what `digest_of` hashes counts. What lies outside the repository is left out.
    """
    _, prefix = where_it_stands(root)
    places = {name: os.path.normpath(f"{prefix}{name}").replace(os.sep, "/") for name in names}
    places = {name: place for name, place in places.items() if not place.startswith(("../", "/"))}
    held, modules = dict[str, str](), dict[str, str]()
    for entry in (_git(root, "ls-tree", "-r", "-z", "--full-tree", "HEAD") or "").split("\0"):
        about, _, place = entry.partition("\t")
        (modules if about.startswith("160000") else held)[place] = about.rpartition(" ")[2]
    top = Path(_git(root, "rev-parse", "--show-toplevel") or root)
    there = [place for place in places.values() if place in held and "\n" not in place and (top / place).is_file()]
    hashed = (_git(top, "hash-object", "--stdin-paths", given="\n".join(there)) or "").split("\n")
    same = {place for place, digest in zip(there, hashed, strict=False) if digest == held[place]}
    missing: list[str] = []
    for name, place in places.items():
        module = next((one for one in modules if place.startswith(f"{one}/")), "")
        if module:
            folder, inner = top / module, place.removeprefix(f"{module}/")
            kept = where_it_stands(folder) == (modules[module], "") and not uncommitted(folder, [inner])
        elif name == SETTINGS:
            kept = _digest_of_settings(_git(root, "show", f"HEAD:./{name}")) == digest_of(root, name)
        else:
            kept = place in same
        missing += [] if kept else [name]
    return missing


def absent(root: Path) -> dict[str, bytes]:
    """Return the Python files that HEAD has in a folder and that do not lie there, by their path from it."""
    listed = (_git(root, "ls-tree", "-r", "-z", "--name-only", "HEAD") or "").split("\0")
    gone = [name for name in listed if name.endswith(".py") and not (root / name).exists()]
    texts = {name: _git(root, "show", f"HEAD:./{name}") or "" for name in gone}
    return {name: text.encode(errors="surrogateescape") for name, text in texts.items()}


def commits_of(root: Path, file: str) -> Mapping[int, str]:
    """Return the commit that last changed each line of a file as it lies there, the lines of the newest commit last.

    Uncommitted lines are left out, and so are those that a shallow clone knows no history of.
    """
    commit, lines, times, edge = "", dict[int, str](), dict[str, int](), set[str]()
    for line in (_git(root, "blame", "--porcelain", "--", file) or "").split("\n"):
        if (begun := _BLAMED.match(line)) is not None:
            commit = begun[1]
            lines[int(begun[2])] = commit
        elif line.startswith("committer-time "):
            times[commit] = int(line.split()[1])
        elif line == "boundary":
            edge.add(commit)
    if edge and _git(root, "rev-parse", "--is-shallow-repository") != "true":
        edge.clear()  # it is the first commit of all
    known = [line for line in lines if lines[line] not in edge and lines[line].strip("0")]
    return {line: lines[line] for line in sorted(known, key=lambda line: times[lines[line]])}


def _git(root: Path, *arguments: str, given: str = "") -> str | None:
    command, said = ["git", "--no-optional-locks", "-C", str(root), *arguments], given.encode(errors="surrogateescape")
    try:
        ran = subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE, input=said)  # noqa: S603 - fixed words
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout.decode(errors="surrogateescape").removesuffix("\n") if ran.returncode == 0 else None


def _place(file: Path) -> Path:
    """Return where a file lies by the folder it is in; a link is a file of its own."""
    return file.parent.resolve() / file.name


def named(names: Sequence[str]) -> str:
    """List names, such as those of files; of many the first, and how many more: `a.py, b.py, c.py and 2 more`."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def digest_of(root: Path, name: str) -> str | None:
    """Return the SHA-256 of a file of the project, its line ends made alike; None where it cannot be read.

    Of pyproject.toml only the settings of saeprobe and of pytest count, without what the gate demands of a report.
    """
    try:
        if name != SETTINGS:
            return hashlib.sha256((root / name).read_bytes().replace(b"\r\n", b"\n")).hexdigest()
        return _digest_of_settings(read_text(root / name))
    except (OSError, FileError):
        return None


def _digest_of_settings(text: str | None) -> str | None:
    try:
        held = None if text is None else parsed_toml(text, Path(SETTINGS)).get("tool")
    except FileError:
        return None
    tool = cast("dict[str, object]", held) if isinstance(held, dict) else {}
    own = tool.get("saeprobe", {})
    if isinstance(own, dict):
        own = {key: value for key, value in cast("dict[str, object]", own).items() if key != "gate"}
    return hashlib.sha256(json.dumps([own, tool.get("pytest")], sort_keys=True, default=str).encode()).hexdigest()


def files_read(root: Path, others: Iterable[Path]) -> dict[str, str]:
    """Hash the files that this process has read: modules of the project's repository, `others`, and the settings.

    They are named by their path from `root`, with `/`; what is installed, also below it, is none of the project's.
    """
    modules = (getattr(module, "__dict__", {}).get("__file__") for module in list(sys.modules.values()))
    code = {Path(file).resolve() for file in modules if isinstance(file, str) and "site-packages" not in file}
    top = Path(_git(root, "rev-parse", "--show-toplevel") or root)
    installed = [Path(one).resolve() for one in (sys.prefix, sys.base_prefix, sys.exec_prefix)]
    installed = [one for one in installed if one not in (root, *root.parents)]
    own = {file for file in code if {root, top} & {*file.parents} and not {*installed} & {*file.parents}}
    own |= {file.resolve() for file in others}
    own = {file for file in own if root in file.parents or _PACKAGE not in file.parents}
    names = sorted(Path(os.path.relpath(file, root)).as_posix() for file in own)
    return {name: digest for name in (*names, SETTINGS) if (digest := digest_of(root, name)) is not None}

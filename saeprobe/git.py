"""Git leaves out what a run writes, and says which other files differ from the commit that it runs at."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_PATIENCE: Final = 20.0  # seconds; a status of a large tree takes one
_NAMED: Final = 3  # names in a sentence
REPORTS: Final = ("report.json", "report.html")  # the other files of their folder are somebody's own


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
    status = _git(root, "status", "--porcelain", "-z", "--untracked-files=normal") if commit and top else None
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


def _git(root: Path, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        ran = subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE)  # noqa: S603 - fixed words
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

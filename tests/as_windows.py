"""Windows, as far as Linux can play it: imported first, it takes away and refuses what Windows has not or refuses."""

from __future__ import annotations

import builtins
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
NAMES = {"fork", "getloadavg", "getuid", "killpg", "mkfifo", "posix_fadvise", "sched_getaffinity", "setsid", "uname"}
NAMES |= {"O_DIRECTORY", "O_NOFOLLOW", "POSIX_FADV_DONTNEED"}
LONGEST = ["", ""]
"""The longest path that was given a name, and the one that it had before."""


class _Os(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name in NAMES:
            raise AttributeError(name)
        return getattr(os, name)


_without = _Os("os")
_import = builtins.__import__
_real = {name: getattr(os, name) for name in ("replace", "rename", "unlink", "remove")}


def _importing(name: str, *scopes: Any, **how: Any) -> Any:
    """Import for saeprobe what Windows has; libraries get all, as they have files of their own for each system."""
    if scopes and scopes[0] and str(scopes[0].get("__name__")).startswith("saeprobe"):
        if name in MODULES:
            raise ImportError(f"No module named {name!r}")
        if name == "os":
            return _without
    return _import(name, *scopes, **how)


def _is_open(path: str) -> bool:
    opened = list(Path("/proc/self/fd").iterdir())
    mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    return any(os.path.realpath(one) == path for one in opened) or any(line.endswith(path) for line in mapped)


def _refusing(name: str) -> Any:
    def call(*paths: Any, **how: Any) -> Any:
        given = [Path(path) for path in paths if isinstance(path, str | os.PathLike) and not how]
        for path in given:
            if path.is_file() and _is_open(os.path.realpath(path)):
                raise PermissionError(13, "The process cannot access the file: it is being used", str(path))
            if set(path.name) & set('<>:"|?*\\') or path.name[-1] in ". " or path.name.split(".")[0] in ("con", "nul"):
                raise OSError(22, "The filename, directory name, or volume label syntax is incorrect", str(path))
        LONGEST[:] = max(LONGEST, [str(path.absolute()) for path in given], key=lambda one: max(map(len, one)))
        return _real[name](*paths, **how)

    return call


def _no_links(*paths: Any, **_: Any) -> None:
    raise OSError(1314, "A required privilege is not held by the client", str(paths[1]))


if sys.platform == "linux":
    builtins.__import__ = _importing
    os.symlink = _no_links
    for each in _real:
        setattr(os, each, _refusing(each))

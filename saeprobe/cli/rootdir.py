"""Where the user's project begins: the folder whose pyproject.toml declares their own subjects."""

from __future__ import annotations

from pathlib import Path


def project_root(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` (the working folder) with a pyproject.toml; `start` where none has one."""
    here = (start or Path.cwd()).resolve()
    return next((folder for folder in (here, *here.parents) if (folder / "pyproject.toml").is_file()), here)

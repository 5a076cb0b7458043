"""Provenance: what a run is made with, for its report and to say what changed since a value was approved."""

from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path
from typing import Final

PACKAGES: Final = ("saeprobe", "torch", "transformers", "transformer-lens", "sae-lens", "numpy", "scipy", "pytest")
"""Those whose versions are told."""


def versions() -> dict[str, str]:
    """Version by distribution name."""
    return {name: metadata.version(name) for name in PACKAGES}


def commit_of(root: Path) -> tuple[str | None, bool | None]:
    """The commit that the probes were run at and whether the tree differed from it; None without a repository."""

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(root), *arguments]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)  # noqa: S603 - fixed words
        except (OSError, subprocess.TimeoutExpired):
            return None
        return ran.stdout.strip() if ran.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    status = None if commit is None else git("status", "--porcelain")
    return commit, None if status is None else bool(status)

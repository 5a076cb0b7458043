"""The door and the parts behind it agree on these names, and on the settings of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

if TYPE_CHECKING:  # the door lets nothing in
    from saeprobe.prompts import PromptFile, PromptSet

SUBJECT: Final = "saeprobe_subject"  # this parameter of a probe's variant names the subject that it runs on
RECORD: Final = "_saeprobe_record"  # this attribute of a test report carries the probe's record, in plain types
BROKEN: Final = pytest.StashKey[str]()  # a claim is broken for this reason, which is known before its probe runs
REFUSED: Final = pytest.StashKey[tuple[str, str]]()
"""A test fails at its setup without a record: the id of the claim that it would decide, or nothing, and the reason."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a run come from its options; paths are absolute.

    `evidence` are recorded files, and folders of them; `neutral` has by subject the prompts of its check, and
    `prompts` those that it reads in the place of STYLES, or what is wrong with their file.
    """

    rootdir: Path
    store: Path
    report: Path
    baselines: Path
    evidence: tuple[Path, ...]
    default_subjects: tuple[str, ...]
    neutral: dict[str, PromptSet]
    prompts: dict[str, PromptFile | str | None]
    alpha: float
    seed: int
    batch_size: int

    @property
    def recorded(self) -> list[Path]:
        """List the recorded files that lie in the project."""
        given = (file for path in self.evidence for file in (path.iterdir() if path.is_dir() else [path]))
        return [file for file in given if self.rootdir in file.parents and file.is_file()]

    @property
    def evidence_names(self) -> str | None:
        """Name the recorded evidence that was given, as the report and baselines do; None where none was."""
        return ", ".join(path.name for path in self.evidence) or None


def function_of(item: pytest.Item) -> Any:
    """Return the function of a test that pytest itself made.

    It is None for an item of another plugin's own class: its attributes may be anything, whatever they are called.
    """
    return getattr(item, "function", None) if isinstance(item, pytest.Function) else None


def params_of(item: pytest.Item) -> dict[str, Any]:
    """Return the parameters of a test that pytest itself made, by name; the subject is among those of a variant."""
    return dict(item.callspec.params) if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}


def fixtures_of(item: pytest.Item) -> Any:
    """Return what pytest knows of the fixtures of a test that it made itself."""
    return getattr(item, "_fixtureinfo", None) if isinstance(item, pytest.Function) else None


def record_of(report: object) -> Any:
    """Return the record that a report carries, None where it carries none, or something that is not ours."""
    found: Any = getattr(report, RECORD, None)
    ours = type(found) is dict and "verdict" in cast("dict[object, object]", found)
    return cast("Any", found) if ours else None

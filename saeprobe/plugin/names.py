"""The door and the parts behind it agree on these names, and on how an option and a refusal are read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

SUBJECT: Final = "saeprobe_subject"
"""This parameter of a probe's variant is the name of the subject that it runs on."""
RECORD: Final = "saeprobe"
"""This attribute of a test report carries the probe's record, in plain types, to the xdist controller too."""


def directory(config: pytest.Config, name: str) -> Path | None:
    """Return the folder that an option names, from where pytest was called; None where it is not given."""
    given: str | None = vars(config.option)[f"saeprobe_{name}"]
    return None if given is None else (config.invocation_params.dir / given).resolve()


def refused(config: pytest.Config, problem: str) -> Exception:
    """Return the error that stops the run; xdist shows nothing of a usage error of a worker."""
    return RuntimeError(problem) if hasattr(config, "workerinput") else pytest.UsageError(problem)

"""The door and the parts behind it agree on these names, and on how a run is refused."""

from __future__ import annotations

from typing import Final

import pytest

SUBJECT: Final = "saeprobe_subject"
"""This parameter of a probe's variant is the name of the subject that it runs on."""
RECORD: Final = "saeprobe"
"""This attribute of a test report carries the probe's record, in plain types, to the xdist controller too."""


def refused(config: pytest.Config, problem: str) -> Exception:
    """Return the error that stops the run; xdist shows nothing of a usage error of a worker."""
    return RuntimeError(problem) if hasattr(config, "workerinput") else pytest.UsageError(problem)

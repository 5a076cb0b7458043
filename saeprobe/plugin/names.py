"""The door and the parts behind it agree on these names."""

from __future__ import annotations

from typing import Final

import pytest

SUBJECT: Final = "saeprobe_subject"
"""This parameter of a probe's variant is the name of the subject that it runs on."""
RECORD: Final = "saeprobe"
"""This attribute of a test report carries the probe's record, in plain types, to the xdist controller too."""
BROKEN: Final = pytest.StashKey[str]()
"""A claim is broken for this reason, which is known before its probe runs."""
REFUSED: Final = pytest.StashKey[tuple[str, str]]()
"""A test fails at its setup without a record: the id of the claim that it would decide, or nothing, and the reason."""

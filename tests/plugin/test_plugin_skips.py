"""Probes that are skipped: their claims were not run, and the reason is told."""

from __future__ import annotations

import pytest
from runs import REFUTED, SUPPORTED, Go

NAME = "rank.up[llama70b-as-published]"


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ("skip", "skipped: unconditional skip"),
        ("skip(reason='not today')", "skipped: not today"),
        ("skipif(True, reason='later')", "skipped: later"),
    ],
)
def test_a_mark_leaves_the_claim_not_run(go: Go, mark: str, reason: str) -> None:
    """The claim is in the report, which releases nothing, and not lost."""
    run = go(probes=f"import pytest\n@pytest.mark.{mark}\n{SUPPORTED.lstrip()}")
    assert (run.code, run.verdicts) == (0, {"rank.up": "not run"})
    assert run.probes[NAME]["reason"] == reason
    assert run.lines(reason)
    assert not run.lines("LOST")


@pytest.mark.parametrize("said", ["not today", ""])
def test_a_skip_inside_a_probe_leaves_the_claim_not_run(go: Go, said: str) -> None:
    """The reason is that of pytest.skip, also where an article waits for the claim."""
    run = go(probes=SUPPORTED.replace("    assert", f"    import pytest\n    pytest.skip({said!r})\n    assert"))
    assert (run.code, run.verdicts) == (0, {"rank.up": "not run"})
    assert run.probes[NAME]["reason"] == f"skipped: {said or 'no reason is given'}"


def test_a_skip_in_a_fixture_leaves_the_claim_not_run(go: Go) -> None:
    """So does one that comes before the probe."""
    fixture = "import pytest\n@pytest.fixture\ndef scale():\n    pytest.skip('no scale')\n"
    run = go(probes=fixture + SUPPORTED.replace("test_up(ranks)", "test_up(ranks, scale)"))
    assert (run.code, run.verdicts) == (0, {"rank.up": "not run"})
    assert run.probes[NAME]["reason"] == "skipped: no scale"


def test_a_skip_takes_nothing_back(go: Go) -> None:
    """What was refuted before the skip stays so."""
    skips = REFUTED.replace("    assert ", "    import pytest\n    shown = ") + "    pytest.skip('enough')\n"
    run = go(probes=skips)
    assert (run.code, run.verdicts) == (1, {"rank.down": "refuted"})

"""Ways in which a claim could look established without being so, each of which the plugin must see through."""

from __future__ import annotations

import pytest
from runs import REFUTED, SUPPORTED, Go

CLAIM = '@claim("An expert prompt has the higher effective rank.", id="rank.down", source="table 1")\n'
FALSE = 'effective_rank(ranks["expert"]) > effective_rank(ranks["novice"])'


def test_a_supported_claim_passes(go: Go) -> None:
    """The control of this file: with true claims only, the exit code is 0."""
    run = go(probes=SUPPORTED)
    assert (run.code, run.verdicts) == (0, {"rank.up": "supported"})


@pytest.mark.parametrize(
    "body",
    [
        f"    assert not ({FALSE})",
        f"    {FALSE}",
        f"    return\n    assert {FALSE}",
        f"    if {FALSE}:\n        assert True",
        f"    try:\n        assert {FALSE}\n    except AssertionError:\n        pass",
        f"    import contextlib\n    with contextlib.suppress(Exception):\n        assert {FALSE}",
        f"    import pytest\n    with pytest.raises(AssertionError):\n        assert {FALSE}",
        f"    assert ({FALSE}) or True",
        f"    assert {FALSE}, 'a message of its own'",
        f"    import pytest\n    pytest.skip('not today') if not ({FALSE}) else None",
        f"    import pytest\n    pytest.xfail('known') if not ({FALSE}) else None",
        f"    import pytest\n    pytest.fail('no') if not ({FALSE}) else None",
        f"    import pytest\n    pytest.importorskip('no_such_module') if not ({FALSE}) else None",
        f"    raise SystemExit(0) if not ({FALSE}) else None",
        f"    import pytest\n    pytest.exit('enough', returncode=0) if not ({FALSE}) else None",
    ],
    ids=[
        "negated", "no-assert", "returns", "branch", "caught", "suppressed", "raises", "or-true", "message",
        "skip", "xfail", "fail", "importorskip", "exit", "pytest-exit",
    ],
)  # fmt: skip
def test_a_refuted_claim_never_passes(go: Go, body: str) -> None:
    """However the assert is written, left out or got round, the run fails and the report does not say supported."""
    run = go(probes=f"{CLAIM}def test_down(ranks):\n{body}\n")
    assert run.code != 0
    assert run.verdicts.get("rank.down") in ("refuted", "broken", None)
    if run.verdicts.get("rank.down") is None:
        assert run.lines("LOST")


@pytest.mark.parametrize("mark", ["xfail(strict=False)", "xfail(strict=True)", "xfail(run=False)"])
def test_a_mark_hides_no_claim(go: Go, mark: str) -> None:
    """A mark of xfail is no verdict: the run fails and names the claim."""
    run = go(probes=f"import pytest\n@pytest.mark.{mark}\n{CLAIM}def test_down(ranks):\n    assert {FALSE}\n")
    assert run.code == 1
    assert run.verdicts.get("rank.down") != "supported"
    assert run.lines("test_down[llama70b-as-published]")


def test_xfail_does_not_turn_a_supported_claim_into_a_pass_of_another_kind(go: Go) -> None:
    """A claim that holds under xfail(strict=False) stays supported in the report."""
    run = go(probes=f"import pytest\n@pytest.mark.xfail(strict=False)\n{SUPPORTED.lstrip()}")
    assert run.verdicts == {"rank.up": "supported"}


def test_a_claim_that_needs_a_fixture_which_fails_is_broken(go: Go) -> None:
    """An error in setup is the claim's own."""
    fixture = "import pytest\n@pytest.fixture\ndef scale():\n    raise OSError('no scale')\n"
    run = go(probes=fixture + CLAIM + f"def test_down(ranks, scale):\n    assert {FALSE}\n")
    assert (run.code, run.verdicts) == (1, {"rank.down": "broken"})
    assert run.lines("the probe raised OSError: no scale")


def test_a_claim_whose_teardown_fails_is_broken(go: Go) -> None:
    """What it showed before may rest on something that was not as it should be."""
    fixture = "import pytest\n@pytest.fixture\ndef scale():\n    yield\n    raise OSError('it fell')\n"
    run = go(probes=fixture + SUPPORTED.replace("test_up(ranks)", "test_up(ranks, scale)"))
    assert (run.code, run.verdicts) == (1, {"rank.up": "broken"})


def test_an_ordinary_assert_beside_the_evidence_is_broken(go: Go) -> None:
    """A probe whose evidence supports the sentence but which fails for another reason decides nothing."""
    run = go(probes=SUPPORTED + "    assert 1 == 2\n")
    assert (run.code, run.verdicts) == (1, {"rank.up": "broken"})


def test_the_worst_of_several_comparisons_decides(go: Go) -> None:
    """A supported comparison does not make up for a refuted one."""
    run = go(probes=SUPPORTED + f"    assert {FALSE}\n")
    assert (run.code, run.verdicts) == (1, {"rank.up": "refuted"})


def test_a_numpy_number_as_a_published_one_is_refused_before_the_run(go: Go) -> None:
    """Its digits are not those of the source; the error says how to write it, and nothing passes."""
    published = 'published={"llama70b-as-published": published(novice=np.float64(11.975), unit="dimensions")}'
    run = go(probes="import numpy as np\n" + SUPPORTED.replace('source="table 1"', f'source="t", {published}'))
    assert run.code == 2
    assert run.lines("write it as printed, such as 132.4")


def test_only_the_report_of_this_run_is_left(go: Go) -> None:
    """A second run overwrites what the first one said."""
    assert go(probes=SUPPORTED).verdicts == {"rank.up": "supported"}
    run = go(probes=REFUTED)
    assert (run.code, run.verdicts) == (1, {"rank.down": "refuted"})

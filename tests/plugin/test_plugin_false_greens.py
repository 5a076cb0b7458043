"""Ways in which a claim could look established without being so, each of which the plugin must see through."""

from __future__ import annotations

from pathlib import Path

import pytest
from records import INI
from runs import HEAD, REFUTED, SUPPORTED, Go, apart, properties

from saeprobe.gate import decide_release
from saeprobe.gate.article import Article, Citation
from saeprobe.report import read_report

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


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        ("pytest.fail('no data')", "Failed: no data"),
        ("pytest.xfail('later')", "XFailed: later"),
        ("raise SystemExit(0)", "SystemExit: 0"),
    ],
    ids=["fail", "xfail", "exit"],
)
@pytest.mark.parametrize("where", ["probe", "fixture"])
def test_a_probe_that_ends_by_no_error_is_broken(go: Go, ends: str, reason: str, where: str) -> None:
    """What pytest and Python end a test by, in a fixture or in the probe, is the reason of the verdict."""
    fixture = f"import pytest\n@pytest.fixture\ndef scale():\n    {ends if where == 'fixture' else 'pass'}\n"
    run = go(probes=f"{fixture}{CLAIM}def test_down(ranks, scale):\n    {ends if where == 'probe' else 'pass'}\n")
    assert (run.code, run.verdicts) == (1, {"rank.down": "broken"})
    assert run.lines(f"the probe raised {reason}")


SOFT = """
import pytest
@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        report.outcome, report.longrepr = "failed", "the prompts differ"
    return report
"""
LATE = """
def pytest_report_teststatus(report):
    if report.when == "call":
        report.outcome, report.longrepr = "failed", "the prompts differ"
"""
SUBTEST = SUPPORTED.replace("(ranks)", "(ranks, subtests)") + "    with subtests.test('x'):\n        {}\n"
XFAIL = "import pytest\n@pytest.mark.xfail\n"


DECLARED = 'table 1", not_reproduced={"llama70b-as-published": refuted("known")})'
KNOWN = REFUTED.replace("down", "up").replace('table 1")', DECLARED)
KNOWN_SUBTEST = KNOWN.replace("(ranks)", "(ranks, subtests)").replace(
    "    assert", "    with subtests.test('x'):\n        raise ValueError('bad')\n    assert"
)


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["here", "workers"])
@pytest.mark.parametrize(
    ("conftest", "probes", "reason"),
    [
        (SOFT, SUPPORTED, "another check of the probe failed: the prompts differ"),
        (LATE, SUPPORTED, "another check of the probe failed: the prompts differ"),
        ("", SUBTEST.format("raise ValueError('bad')"), "a subtest failed: ValueError: bad"),
        ("", XFAIL + SUBTEST.format("raise ValueError('bad')").lstrip(), "a subtest failed: ValueError: bad"),
        (SOFT, KNOWN, "another check of the probe failed: the prompts differ"),
        (LATE, KNOWN, "another check of the probe failed: the prompts differ"),
        ("", KNOWN_SUBTEST, "a subtest failed: ValueError: bad"),
    ],
    ids=["soft", "late", "subtest", "xfail", "known-soft", "known-late", "known-subtest"],
)
def test_a_probe_that_another_plugin_fails_is_broken(
    pytester: pytest.Pytester, evidence: Path, conftest: str, probes: str, reason: str, workers: tuple[str, ...]
) -> None:
    """The report says no more than pytest does, so that the gate does not release the claim."""
    if "subtests" in probes and not hasattr(pytest, "Subtests"):
        pytest.skip("this pytest has no subtests")
    pytester.makepyprojecttoml(INI)
    pytester.makeconftest(conftest)
    pytester.makepyfile(test_probes=HEAD + probes)
    run = apart(pytester.path, f"--saeprobe-evidence={evidence}", *workers)
    assert (run.code, run.verdicts) == (1, {"rank.up": "broken"})
    assert run.probes["rank.up[llama70b-as-published]"]["reason"] == reason
    assert run.lines("BROKEN test_probes.py::test_up")
    if conftest != LATE:  # which fails it when the JUnit file has its outcome
        assert run.junit_outcomes()["test_up"] == "failure"
    assert not run.lines("DECLARATION")
    path = run.folder / "reports" / "report.json"
    article = Article(path=path, title="A", language="en", claims=(Citation(id="rank.up", subject=None),))
    assert decide_release(article, read_report(path)).decision != "release"


@pytest.mark.parametrize("probe", [SUPPORTED, KNOWN], ids=["supported", "declared"])
def test_a_claim_whose_teardown_fails_is_broken(go: Go, probe: str) -> None:
    """What it showed before may rest on something that was not as it should be."""
    fixture = "import pytest\n@pytest.fixture\ndef scale():\n    yield\n    raise OSError('it fell')\n"
    run = go(probes=fixture + probe.replace("test_up(ranks", "test_up(ranks, scale"))
    assert (run.code, run.verdicts) == (1, {"rank.up": "broken"})
    said = properties(run.junit["test_up"])
    assert (said["verdict"], said["reason"]) == ("broken", "the teardown of the probe failed")


def test_the_junit_file_says_broken_where_a_strict_mark_fails_a_supported_claim(go: Go) -> None:
    """Its properties are those of the report."""
    run = go(probes=f"import pytest\n@pytest.mark.xfail(strict=True)\n{SUPPORTED.lstrip()}")
    assert (run.code, run.verdicts) == (1, {"rank.up": "broken"})
    (probe,) = run.probes.values()
    said = properties(run.junit["test_up"])
    assert (said["verdict"], said["reason"]) == ("broken", probe["reason"])


def test_an_ordinary_assert_beside_the_evidence_is_broken(go: Go) -> None:
    """A probe whose evidence supports the sentence but which fails for another reason decides nothing."""
    run = go(probes=SUPPORTED + "    assert 1 == 2\n")
    assert (run.code, run.verdicts) == (1, {"rank.up": "broken"})


def test_the_worst_of_several_comparisons_decides(go: Go) -> None:
    """A supported comparison does not make up for a refuted one."""
    run = go(probes=SUPPORTED + f"    assert {FALSE}\n")
    assert (run.code, run.verdicts) == (1, {"rank.up": "refuted"})


@pytest.mark.parametrize("number", ["{}", "np.float64({})"])
def test_a_numpy_number_as_a_published_one_has_the_digits_of_a_plain_one(go: Go, number: str) -> None:
    """11.975 may agree, 50 has moved, and True of numpy is no number."""
    for value, code in (("11.975", 0), ("50.0", 1)):
        stated = f'published(novice={number.format(value)}, unit="dimensions")'
        published = f'published={{"llama70b-as-published": {stated}}}'
        run = go(probes="import numpy as np\n" + SUPPORTED.replace('source="table 1"', f'source="t", {published}'))
        assert (run.code, run.verdicts) == (code, {"rank.up": "drifted" if code else "supported"})
    published = 'published={"llama70b-as-published": published(novice=np.True_, unit="dimensions")}'
    run = go(probes="import numpy as np\n" + SUPPORTED.replace('source="table 1"', f'source="t", {published}'))
    assert run.code == 2
    assert run.lines("write it as printed, in the digits 0 to 9 and a point, such as 132.4")


def test_only_the_report_of_this_run_is_left(go: Go) -> None:
    """A second run overwrites what the first one said."""
    assert go(probes=SUPPORTED).verdicts == {"rank.up": "supported"}
    run = go(probes=REFUTED)
    assert (run.code, run.verdicts) == (1, {"rank.down": "refuted"})

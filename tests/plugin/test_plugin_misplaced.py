"""A claim where nothing would decide it is refused, and a capture without a claim is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import REFUTED, SUPPORTED, Go, apart

from saeprobe.claims import claim

CLAIM = '@claim("X.", id="x.x", source="none")'
FALSE = 'assert effective_rank(ranks["expert"]) > effective_rank(ranks["novice"])'
METHOD = "makes the claim 'x.x' and is a method of a unittest.TestCase, which runs on no subject; "
IN_TESTCASE = f"import unittest\nclass TestIt(unittest.TestCase):\n    {CLAIM}\n    def test_it(self):\n        pass\n"
MIXIN = (
    f"import unittest\nclass Mixin:\n    {CLAIM}\n    def test_it(self):\n        pass\n"
    "class TestIt(Mixin, unittest.TestCase):\n    pass\n"
)
HIDES = "def deco(f):\n    def test(ranks):\n        f(ranks)\n    return test\n"
HIDDEN = f"{HIDES}@deco\n{CLAIM}\ndef test_it(ranks):\n    pass\n"
FIXTURE = f"import pytest\n@pytest.fixture\n{CLAIM}\ndef it():\n    pass\ndef test_it(it):\n    pass\n"
ABOVE = f"import pytest\n{CLAIM}\n@pytest.fixture\ndef it():\n    pass\ndef test_it(it):\n    pass\n"
CLASS = f"{CLAIM}\nclass TestIt:\n    def test_it(self):\n        pass\n"


@pytest.mark.parametrize(
    ("head", "probes", "code", "said"),
    [
        (
            "from saeprobe import claim\n",
            IN_TESTCASE,
            1,
            f"TestIt::test_it {METHOD}",
        ),
        (
            None,
            MIXIN,
            1,
            f"TestIt::test_it {METHOD}",
        ),
        (None, HIDDEN, 1, "a decorator of test_probes.py::test_it hides its claim 'x.x'; write @claim(...) above it"),
        (None, FIXTURE, 2, "test_probes.py: a fixture makes the claim 'x.x'; write it above the test that decides it"),
        (None, ABOVE, 2, "claim 'x.x' stands above a fixture; write it above the test that decides it"),
        (None, CLASS, 2, "claim 'x.x' stands above the class TestIt; write it above one of its tests"),
    ],
    ids=["testcase", "mixin", "hidden", "fixture", "above-fixture", "class"],
)
def test_a_claim_that_nothing_would_decide_fails(go: Go, head: str | None, probes: str, code: int, said: str) -> None:
    """The test would pass, or never run, and nobody would miss the claim."""
    run = go(probes=probes) if head is None else go(head=head, probes=probes)
    assert run.code == code
    assert run.lines(said)
    if code == 1:
        assert (run.report["planned"], run.verdicts) == (
            ["x.x[llama70b-as-published]" if probes == HIDDEN else "x.x"],
            {},
        )


def test_workers_plan_what_they_could_not_decide(tmp_path: Path) -> None:
    """No record comes to the controller, and the report that it writes takes the place of an earlier one."""
    (tmp_path / "test_it.py").write_text(f"from saeprobe import claim\n{IN_TESTCASE}", encoding="utf-8")
    run = apart(tmp_path, "-n", "1")
    assert (run.code, run.report["planned"], run.verdicts) == (1, ["x.x"], {})


ALONE = {
    "one-id": SUPPORTED.replace("_up(", "_other(").replace("A novice", "Some"),
    "cases": "import pytest\n"
    + REFUTED.replace("(ranks)", "(ranks, by)").replace("@claim", "@pytest.mark.parametrize('by', ['+', '-'])\n@claim"),
    "capture": REFUTED.replace("(ranks)", "(rancs)"),
    "control": REFUTED.replace('table 1"', "table 1\", controls=('injection',)").replace("(ranks)", "(span)"),
    "subject": REFUTED.replace('table 1"', "table 1\", not_reproduced={'sparow': refuted('x')}"),
    "unknown": "@subjects('sparow')" + REFUTED,
    "testcase": IN_TESTCASE,
    "hidden": HIDDEN,
    "xfail": HIDDEN.replace("@deco", "@__import__('pytest').mark.xfail(strict=False)\n@deco"),
}


@pytest.mark.parametrize("slip", ALONE)
def test_one_slip_stops_nothing_else(go: Go, slip: str) -> None:
    """What is wrong of one probe fails it, with the reason in the plan; a foreign test and another probe run."""
    more = "span = capture(STYLES, span='a')\n" + ALONE[slip]
    sound = SUPPORTED.replace("rank.up", "rank.sound")
    run = go(probes=SUPPORTED + more if slip == "one-id" else more, sound=sound, other="def test_plain():\n    pass\n")
    assert (run.code, run.verdicts["rank.sound"]) == (1, "supported")
    assert run.lines("2 passed")
    assert {*run.verdicts.values()} <= {"supported", "broken"}
    assert go("--collect-only", sound=sound).lines("plan: broken: ")


@pytest.mark.parametrize("kind", ["staticmethod", "classmethod"])
@pytest.mark.parametrize("place", ["above", "below"])
def test_a_static_method_is_a_probe_whichever_decorator_comes_first(go: Go, kind: str, place: str) -> None:
    """The claim is tied to the function that pytest calls."""
    lines = [CLAIM, f"@{kind}"] if place == "above" else [f"@{kind}", CLAIM]
    first = "cls, " if kind == "classmethod" else ""
    body = "".join(f"    {line}\n" for line in [*lines, f"def test_it({first}ranks):", f"    {FALSE}"])
    run = go(probes=f"class TestIt:\n{body}")
    assert (run.code, run.verdicts) == (1, {"x.x": "refuted"})


@pytest.mark.parametrize(
    ("probe", "verdict"),
    [
        (f"{CLAIM}\nasync def test_it(ranks):\n    {FALSE}\n", "broken"),
        (f"{CLAIM}\ndef test_it(ranks):\n    return {FALSE.removeprefix('assert ')}\n", "broken"),
        (f"{CLAIM}\ndef test_it(ranks, subtests):\n    with subtests.test('a'):\n        {FALSE}\n", "broken"),
        (
            HIDDEN.replace("    def", "    @__import__('functools').wraps(f)\n    def").replace("pass", FALSE),
            "refuted",
        ),
    ],
    ids=["async", "returns", "subtests", "wraps"],
)
def test_what_pytest_calls_in_its_own_way_is_never_supported(go: Go, probe: str, verdict: str) -> None:
    """The sentence is false, and none of these ways makes it pass."""
    run = go("-Wdefault", probes=probe)
    assert (run.code, run.verdicts) == (1, {"x.x": verdict})


def test_a_capture_without_a_claim_is_said_and_fails_nothing(go: Go) -> None:
    """Somebody may mean it so; the plan and the summary say that nothing is decided."""
    run = go(probes=SUPPORTED + "def test_bare(ranks):\n    pass\ndef test_plain():\n    pass\n")
    assert run.code == 0
    assert len(run.lines("1 test takes a capture and makes no claim: test_bare; nothing is decided")) == 2
    run = go("--collect-only", "-q", probes="def test_bare(ranks):\n    pass\ndef test_more(styles):\n    pass\n")
    assert run.lines("2 tests take a capture and make no claim: test_bare, test_more; nothing is decided")


def test_a_claim_of_a_function_that_is_no_test_is_said(go: Go) -> None:
    """Its name was misspelt, or it was put by; the claim is in no report."""
    run = go(probes=SUPPORTED + f"{CLAIM}\ndef tset_it(ranks):\n    pass\n")
    assert (run.code, len(run.lines("rank.up"))) == (0, 1)
    assert len(run.lines("left out: test_probes.py::tset_it (x.x): pytest made no test of it: by its name, ")) == 2


def test_a_claim_above_a_class_is_refused_outside_pytest_too() -> None:
    """The decorator itself says so."""
    with pytest.raises(TypeError, match="stands above the class Odd"):
        claim("X.", id="x.x", source="none")(type("Odd", (), {}))

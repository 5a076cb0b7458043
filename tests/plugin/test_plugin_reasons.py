"""What a run says beside the word: why, what else was declared, and what was never looked at."""

from __future__ import annotations

import pytest
from runs import HEAD, REFUTED, Go, Run

ON = "[llama70b-as-published]"
UP = 'effective_rank(ranks["novice"]) > effective_rank(ranks["expert"])'
DOWN = 'effective_rank(ranks["expert"]) > effective_rank(ranks["novice"])'
OPEN = 'effective_rank(ranks["twin"]) > effective_rank(ranks["expert"])'


def probe(*lines: str, claim: str = "", name: str = "a") -> str:
    """A probe of these lines."""
    body = "".join(f"    {line}\n" for line in lines)
    return f'@claim("It is so.", id="rank.{name}", source="t", {claim})\ndef test_{name}(ranks):\n{body}'


def reason(run: Run, name: str = "a") -> str:
    """Why a probe of the run has its verdict."""
    return run.probes[f"rank.{name}{ON}"]["reason"]


# what was never reached


@pytest.mark.parametrize(
    ("lines", "word", "told"),
    [
        ((f"assert {OPEN}", f"assert {DOWN}"), "inconclusive", "1 later assert was"),
        ((f"assert {UP}", f"assert {DOWN}", f"assert {OPEN}", "assert True"), "refuted", "2 later asserts were"),
        ((f"assert {OPEN} and (", f"    {UP}", ")", f"assert {DOWN}"), "inconclusive", "1 later assert was"),
        ((f"assert {DOWN}", "if ranks:", f"    assert {UP}"), "refuted", "1 later assert was"),
        ((f"assert {UP}", f"assert {OPEN}"), "inconclusive", None),
    ],
    ids=["one", "two", "on-several-lines", "nested", "none"],
)  # fmt: skip
def test_asserts_that_were_never_reached_are_counted(
    go: Go, lines: tuple[str, ...], word: str, told: str | None
) -> None:
    """A verdict on the first assert says how many others of its probe it does not speak of; other probes' are none."""
    run = go(probes=probe(*lines) + probe(f"assert {UP}", name="other"))
    assert run.verdicts == {"rank.a": word, "rank.other": "supported"}
    assert reason(run).partition(" never reached")[0].endswith(f"; {told}") == (told is not None)
    assert ("never reached" in reason(run)) == (told is not None)


def test_asserts_of_a_method_are_counted_too(go: Go) -> None:
    """Behind decorators, in a class, with a text that does not keep to its indentation."""
    text = '"""not\nindented"""'
    lines = probe(text, f"assert {OPEN}", f"assert {DOWN}").replace("(ranks)", "(self, ranks)").splitlines()
    body = "\n".join(line if line == 'indented"""' else f"    {line}" for line in lines)
    run = go(probes=f"class TestRanks:\n{body}\n\ndef test_ordinary():\n    assert True\n")
    assert reason(run).endswith("; 1 later assert was never reached")


@pytest.mark.parametrize("line", [f"assert not ({DOWN})", f"assert ({OPEN}) or {UP}", DOWN])
def test_a_comparison_that_is_passed_over_breaks_its_probe(go: Go, line: str) -> None:
    """The assert states another sentence than the comparison that decides; what is wrong is told, and fails the run."""
    run = go(probes=probe(line, claim='not_reproduced={"llama70b-as-published": refuted("known")}'))
    assert (run.code, run.verdicts) == (1, {"rank.a": "broken"})
    assert "and yet the probe went on: the comparison is negated, or-ed, caught or not asserted" in reason(run)


# published numbers


def test_numbers_that_are_printed_the_other_way_round_do_not_pass(go: Go) -> None:
    """11.975 and 11.75 are measured; 11.9 and 12 lie near, and say the opposite."""
    numbers = 'published(novice=11.9, expert="12.0", unit="dimensions", tolerance=0.5)'
    run = go(probes=probe(f"assert {UP}", claim=f'published={{"llama70b-as-published": {numbers}}}'))
    assert (run.code, run.verdicts) == (1, {"rank.a": "drifted"})
    assert [row["answer"] for row in run.probes[f"rank.a{ON}"]["published"]] == ["drifted", "drifted"]
    assert run.lines("novice lies 0.225 dimensions above expert here, and is published 0.1 below it")


# the table


def test_a_declared_verdict_shows_what_was_found(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be refuted for another reason than the one declared; both stand under the row."""
    monkeypatch.setenv("COLUMNS", "200")
    run = go(probes=probe(f"assert {DOWN}", claim='not_reproduced={"llama70b-as-published": refuted("too small")}'))
    assert run.verdicts == {"rank.a": "refuted"}
    (line,) = run.lines("* as declared: too small; found here: ")
    assert line.strip() == (
        "* as declared: too small; found here: of this wording only, over 8 topics: the contrary holds: 11.8 "
        "against 12 dimensions, a difference of -0.225, p = 0.0078"
    )


def test_a_reason_of_several_rows_says_so(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is printed once, below them; that of a single row says nothing of others."""
    monkeypatch.setenv("COLUMNS", "200")
    run = go(
        probes=REFUTED + REFUTED.replace("rank.down", "rank.again").replace("_down", "_again") + probe(f"assert {UP}")
    )
    told = [line.strip() for line in run.table if line.startswith(" ") and "dimensions" in line]
    scope = "of this wording only, over 8 topics:"
    contrary = f"{scope} the contrary holds: 11.8 against 12 dimensions, a difference of -0.225, p = 0.0078"
    assert told == [
        f"each of these 2: {contrary}", f"{scope} 12 against 11.8 dimensions, a difference of +0.225, p = 0.0078"
    ]  # fmt: skip
    assert run.lines(
        "3 claims on llama70b-as-published were decided by a test; if all were false, chance would confirm"
    )


# errors of a claim

ERRORS = {
    "controls": (probe("pass", claim="controls='length'"), "TypeError: claim 'rank.a' has controls='length'; wanted"),
    "published": (
        probe("pass", claim="published={'finch': 1}"),
        "TypeError: claim 'rank.a' has published={'finch': 1}",
    ),
    "no-value": (probe("pass", claim="published={'finch': published(unit='u')}"), "ValueError: published() names no"),
    "id": (probe("pass", name="Upper"), "ValueError: claim id 'rank.Upper' is not like"),
    "two-claims": (
        '@claim("It is not.", id="rank.b", source="t")\n' + probe("pass"),
        "ValueError: test_a has two claims,",
    ),
}


@pytest.mark.parametrize("wrong", ERRORS)
def test_an_error_in_a_claim_points_at_its_line(go: Go, wrong: str) -> None:
    """Nothing of saeprobe's own code stands between the line of the file and the sentence."""
    lines, told = ERRORS[wrong]
    run = go(probes=lines, head=HEAD.lstrip())
    assert run.code == 2
    assert run.lines(f"test_probes.py:{len(HEAD.lstrip().splitlines()) + 1}: in <module>")
    assert run.lines(f"E   {told}")
    assert not run.lines("claims.py:")
    assert not run.lines("<string>")

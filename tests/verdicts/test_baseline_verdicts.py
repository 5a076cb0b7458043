"""What a baseline does to a verdict: a sentence that holds drifts with its values, another keeps its word."""

from __future__ import annotations

import pytest
from baselines_made import baseline, found, summary

from saeprobe.claims import (
    Claim,
    NonReproduction,
    NotRun,
    Published,
    Unverifiable,
    Verdict,
    drifted,
    explained,
    inconclusive,
    published,
    refuted,
)
from saeprobe.evidence import EvidenceOutcome
from saeprobe.verdicts import decide
from saeprobe.verdicts.baseline_files import Baseline, Provenance

MOVED = (
    'novice moved from 18.83 to 21.20 features since Ada approved it on 2026-11-20 ("as in table 1"); '
    "nothing that is recorded changed in between"
)


def claimed(numbers: Published | None = None, known: NonReproduction | None = None) -> Claim:
    """A claim with these published numbers and this declaration for sparrow."""
    return Claim(
        sentence="Novice activates more.",
        id="a.b",
        source="here",
        published={} if numbers is None else {"sparrow": numbers},
        not_reproduced={} if known is None else {"sparrow": known},
    )


def judged(
    mean: float,
    *,
    outcome: EvidenceOutcome = "supported",
    claim: Claim | None = None,
    approved: Baseline | None = None,
    **more: object,
) -> Verdict:
    """The verdict where novice is measured at `mean` and was approved at 18.83."""
    one = approved or baseline(summary("novice", 18.83), **more)
    ended = None if outcome == "supported" else AssertionError()
    return decide(claim or claimed(), "sparrow", [found(summary("novice", mean), outcome=outcome)], ended, one)[0]


def test_a_value_that_stands_changes_nothing() -> None:
    """Supported as approved, for the same reason as without a baseline."""
    verdict, _, beside = decide(
        claimed(), "sparrow", [found(summary("novice", 18.83))], None, baseline(summary("novice", 18.83))
    )
    assert verdict == Verdict(word="supported", reason="told supported", scope="these templates")
    assert beside is not None
    assert [row.agrees for row in beside.rows] == [True]


def test_a_value_that_moved_is_drifted() -> None:
    """The sentence holds and the probe fails: what moved, who approved it and why, and what changed."""
    verdict = judged(21.2)
    assert (verdict.word, verdict.outcome, verdict.scope) == ("drifted", "failed", "these templates")
    assert verdict.reason == f"the sentence holds, but {MOVED}"


def test_what_changed_in_between_is_told() -> None:
    """By name and version."""
    approved = baseline(summary("novice", 18.83), measured_with=Provenance(versions={"transformers": "5.23.0"}))
    now = Provenance(versions={"transformers": "5.24.1"})
    verdict = decide(claimed(), "sparrow", [found(summary("novice", 21.2))], None, approved, now)[0]
    assert verdict.reason.endswith("; changed in between: transformers 5.23.0 -> 5.24.1")


def test_a_value_that_is_measured_no_more_is_drifted() -> None:
    """A probe that was rewritten does not carry its approval on."""
    verdict = judged(21.2, approved=baseline(summary("expert", 3.5)))
    assert verdict.word == "drifted"
    assert "the sentence holds, but l0 of expert, 3.5 features, is measured no more since Ada" in verdict.reason


@pytest.mark.parametrize("outcome", ["refuted", "inconclusive"])
def test_another_verdict_keeps_its_word_and_tells_the_move(outcome: EvidenceOutcome) -> None:
    """And that it was approved as another; what an assert kept from being measured is not held against it."""
    verdict = judged(21.2, outcome=outcome)
    assert (verdict.word, verdict.outcome) == (outcome, "failed")
    assert verdict.reason == f"told {outcome}; {MOVED}; approved as supported by Ada on 2026-11-20, now {outcome}"
    still = judged(18.83, outcome=outcome, verdict=outcome)
    assert still.reason == f"told {outcome}"
    lost = judged(18.83, outcome=outcome, verdict=outcome, approved=baseline(summary("expert", 1.0), verdict=outcome))
    assert lost.reason == f"told {outcome}"


def test_a_claim_that_is_supported_now_says_what_it_was_approved_as() -> None:
    """Its values stand, its verdict does not."""
    verdict = judged(18.83, verdict="inconclusive")
    assert (verdict.word, verdict.outcome) == ("supported", "passed")
    assert verdict.reason == "told supported; approved as inconclusive by Ada on 2026-11-20, now supported"


@pytest.mark.parametrize("ended", [NotRun("no weights"), Unverifiable("no test"), KeyError("guru")])
def test_what_was_not_decided_is_not_held_against_its_baseline(ended: Exception) -> None:
    """Not run, unverifiable and broken stay what they are, without rows."""
    approved = baseline(summary("novice", 18.83))
    verdict, _, beside = decide(claimed(), "sparrow", [found(summary("novice", 21.2))], ended, approved)
    assert verdict == decide(claimed(), "sparrow", [found(summary("novice", 21.2))], ended)[0]
    assert beside is None


def test_without_a_baseline_there_is_nothing_beside() -> None:
    """The third of what `decide` gives is None."""
    assert decide(claimed(), "sparrow", [found(summary("novice", 21.2))], None)[2] is None


# beside what was published


def test_a_number_that_left_what_was_printed_stays_drifted_once_approved() -> None:
    """Approving what is measured does not change what an article prints."""
    numbers = claimed(published(novice="132.4", unit="features"))
    verdict = judged(18.83, claim=numbers, verdict="drifted")
    assert verdict.word == "drifted"
    assert verdict.reason == (
        "the sentence holds, but its numbers have moved: novice is 18.83 features, published 132.4 ± 0.05"
    )


def test_a_number_that_left_both_tells_both() -> None:
    """First what was printed, then what was approved."""
    verdict = judged(21.2, claim=claimed(published(novice="132.4", unit="features")), verdict="drifted")
    assert verdict.word == "drifted"
    assert verdict.reason == (
        f"the sentence holds, but its numbers have moved: novice is 21.2 features, published 132.4 ± 0.05; and {MOVED}"
    )


# declarations


def test_a_declared_drift_does_not_cover_a_move_from_the_baseline() -> None:
    """The declaration speaks of the printed number, whose distance was known; this move is another."""
    claim = claimed(published(novice="132.4", unit="features"), drifted("another SAE"))
    known = judged(18.83, claim=claim, verdict="drifted")
    assert (known.word, known.outcome) == ("drifted", "xfailed")
    moved = judged(21.2, claim=claim, verdict="drifted")
    assert (moved.word, moved.outcome) == ("drifted", "failed")


@pytest.mark.parametrize(
    ("known", "outcome"),
    [
        (refuted("small"), "refuted"),
        (explained("small"), "explained"),
        (inconclusive("small"), "inconclusive"),
    ],
)
def test_no_declared_word_covers_a_move_from_the_baseline(known: NonReproduction, outcome: EvidenceOutcome) -> None:
    """The probe keeps its word and fails, for the declaration says nothing of the move that the reason names."""
    moved = judged(21.2, outcome=outcome, claim=claimed(known=known), verdict=outcome)
    assert (moved.word, moved.outcome, moved.reason) == (outcome, "failed", f"told {outcome}; {MOVED}")
    stands = judged(18.83, outcome=outcome, claim=claimed(known=known), verdict=outcome)
    assert (stands.word, stands.outcome, stands.reason) == (outcome, "xfailed", f"told {outcome}")


def test_support_against_a_declaration_is_drifted_where_its_values_moved() -> None:
    """It fails either way, and keeps its declaration."""
    verdict = judged(21.2, claim=claimed(known=refuted("small")))
    assert (verdict.word, verdict.outcome, verdict.declaration) == ("drifted", "failed", refuted("small"))
    assert verdict.reason == f"the sentence holds, but {MOVED}"
    stands = judged(18.83, claim=claimed(known=refuted("small")))
    assert (stands.word, stands.outcome) == ("supported", "failed")
    assert stands.reason == "declared refuted (small), yet supported: told supported. Take the declaration away"

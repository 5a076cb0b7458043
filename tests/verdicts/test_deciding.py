"""From evidence to verdict: the worst piece decides, and no way of writing the assert gets round it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from grids import templates
from hypothesis import given
from hypothesis import strategies as st

from saeprobe.claims import (
    Claim,
    Control,
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
    unverifiable,
)
from saeprobe.evidence import ControlResult, Evidence, EvidenceOutcome, Recorder, Sample, Spread, recording
from saeprobe.verdicts import decide

HIGH = templates("novice", (10, 11, 12, 13))
LOW = templates("expert", (1, 2, 3, 4))
MIXED = templates("guru", (0, 5, 9, 14))
outcomes = st.sampled_from(["supported", "explained", "refuted", "inconclusive"])


def claimed(
    numbers: Published | None = None, known: NonReproduction | None = None, *, subject: str = "sparrow"
) -> Claim:
    """A claim with these published numbers and this declaration for one subject."""
    return Claim(
        sentence="Novice activates more.",
        id="x",
        source="here",
        published={} if numbers is None else {subject: numbers},
        not_reproduced={} if known is None else {subject: known},
    )


def run(probe: Callable[[], object], claim: Claim | None = None) -> Verdict:
    """The verdict on a probe, run as a test would be: whatever it raises ends it."""
    ended: BaseException | None = None
    with recording(Recorder()) as recorder:
        try:
            probe()
        except Exception as error:  # noqa: BLE001 - whatever it is, it decides
            ended = error
    return decide(claim or claimed(), "sparrow", recorder.evidence, ended)[0]


def asserting(*pieces: Callable[[], object]) -> Callable[[], None]:
    """A probe that asserts each of these in order."""

    def probe() -> None:
        for piece in pieces:
            assert piece()

    return probe


def found(outcome: EvidenceOutcome, *, samples: tuple[Sample, ...] = (), scope: str = "these templates") -> Evidence:
    """A piece of evidence with this outcome, whose reason is its outcome."""
    return Evidence(
        kind="greater",
        statement="a > b",
        outcome=outcome,
        reason=f"told {outcome}",
        scope=scope,
        unit="features",
        samples=samples,
    )


SCATTER = (Spread(units="templates", n=4, deviation=1e-6),)
"""A printed number is drifted beyond its precision."""


def sample(label: str, mean: float, *, interval: tuple[float, float] | None = None, unit: str = "features") -> Sample:
    """The mean of one style."""
    return Sample(label=label, measure="l0", unit=unit, mean=mean, n=8, interval=interval, spreads=SCATTER)


def decided(evidence: list[Evidence], claim: Claim | None = None) -> Verdict:
    """The verdict on evidence of which each piece was asserted in turn."""
    ended = None if all(evidence) else AssertionError()
    return decide(claim or claimed(), "sparrow", evidence, ended)[0]


# the words


def test_supported_refuted_and_inconclusive_come_from_the_evidence() -> None:
    """Three probes on separated and mixed templates earn the three words, and only the first passes."""
    verdicts = [run(asserting(piece)) for piece in (lambda: HIGH > LOW, lambda: LOW > HIGH, lambda: MIXED > LOW)]
    assert [verdict.word for verdict in verdicts] == ["supported", "refuted", "inconclusive"]
    assert [verdict.outcome for verdict in verdicts] == ["passed", "failed", "failed"]
    assert verdicts[0].scope == "these 4 + 4 templates"


def test_unverifiable_and_not_run_carry_their_reason() -> None:
    """The two exceptions that are verdicts skip, with their text."""

    def absent() -> None:
        raise NotRun("weights are absent; saeprobe fetch brings them")

    verdict = run(lambda: unverifiable("names no label"))
    assert (verdict.word, verdict.reason, verdict.outcome) == ("unverifiable", "names no label", "skipped")
    verdict = run(absent)
    assert (verdict.word, verdict.outcome) == ("not run", "skipped")
    assert verdict.reason == "weights are absent; saeprobe fetch brings them"


@pytest.mark.parametrize("ended", [NotRun("no weights"), Unverifiable("no test")])
def test_evidence_against_a_claim_is_not_skipped_away(ended: Exception) -> None:
    """What was refuted or explained before a record or a sentence gave out stays so; without it the skip stands."""
    assert decide(claimed(), "sparrow", [found("refuted")], ended)[0].word == "refuted"
    assert decide(claimed(), "sparrow", [found("explained")], ended)[0].word == "explained"
    assert decide(claimed(), "sparrow", [found("inconclusive")], ended)[0].outcome == "skipped"
    assert decide(claimed(), "sparrow", [found("supported")], ended)[0].outcome == "skipped"


def test_a_probe_that_raises_is_broken() -> None:
    """An exception that is neither an assert nor a verdict breaks the probe, evidence or not."""

    def crash() -> None:
        assert HIGH > LOW
        raise KeyError("guru")

    verdict = run(crash)
    assert (verdict.word, verdict.outcome) == ("broken", "error")
    assert verdict.reason == "the probe raised KeyError: 'guru'"


def test_a_probe_without_evidence_is_broken() -> None:
    """A probe that compares nothing is broken, whether it returns, asserts truth or fails an assert of its own."""
    for probe in (lambda: None, asserting(lambda: True), asserting(lambda: False)):
        verdict = run(probe)
        assert verdict.word == "broken"
        assert "there is no evidence for its sentence" in verdict.reason


def test_an_assert_beside_supporting_evidence_breaks_the_probe() -> None:
    """An assert that fails though all evidence supports is a fault of the probe."""
    verdict = run(asserting(lambda: HIGH > LOW, lambda: LOW.label == "novice"))
    assert verdict.word == "broken"
    assert "assert on comparisons alone" in verdict.reason


# no way round


def fails() -> None:
    """An assert on a refuted comparison that is caught."""
    with pytest.raises(AssertionError):
        assert LOW > HIGH


@pytest.mark.parametrize(
    ("probe", "passed_over"),
    [
        (asserting(lambda: not (LOW > HIGH)), "l0 of expert > l0 of novice is refuted"),
        (asserting(lambda: (LOW > HIGH) or HIGH > LOW), "l0 of expert > l0 of novice is refuted"),
        (asserting(lambda: (LOW > HIGH) is not None), "l0 of expert > l0 of novice is refuted"),
        (asserting(lambda: any([HIGH > LOW, LOW > HIGH])), "l0 of expert > l0 of novice is refuted"),
        (asserting(lambda: max(HIGH, LOW) is HIGH), "l0 of expert > l0 of novice is refuted"),
        (asserting(lambda: (MIXED > LOW) or HIGH > LOW), "l0 of guru > l0 of expert is inconclusive"),
        (asserting(lambda: not (MIXED > LOW)), "l0 of guru > l0 of expert is inconclusive"),
        (lambda: LOW > HIGH, "l0 of expert > l0 of novice is refuted"),
        (fails, "l0 of expert > l0 of novice is refuted"),
    ],
    ids=["negated", "or", "is-not", "any", "max", "open-or", "open-negated", "not-asserted", "caught"],
)
def test_a_comparison_that_the_probe_passes_over_breaks_it(probe: Callable[[], object], passed_over: str) -> None:
    """What `assert not (a > b)`, `or`, `any`, `max` or a caught assert states is another sentence than a > b."""
    verdict = run(probe, claimed(known=refuted("known")))
    assert (verdict.word, verdict.outcome, verdict.scope) == ("broken", "error", "these 4 + 4 templates")
    assert verdict.reason == (
        f"{passed_over}, and yet the probe went on: the comparison is negated, or-ed, caught or not asserted, so that "
        "the probe states another sentence; state each comparison in an assert of its own"
    )


def test_a_negated_comparison_that_holds_breaks_the_probe() -> None:
    """The assert fails beside evidence that supports."""
    assert run(asserting(lambda: not (HIGH > LOW))).word == "broken"


def test_an_assert_on_several_comparisons_is_decided_by_the_worst() -> None:
    """`and` and `all` state all that they hold, and end the probe where one does not."""
    assert run(asserting(lambda: LOW < HIGH and LOW > HIGH)).word == "refuted"
    assert run(asserting(lambda: all([MIXED > LOW, LOW > HIGH]))).word == "refuted"
    assert run(asserting(lambda: all([HIGH > LOW, LOW < HIGH]))).word == "supported"


@given(st.lists(outcomes, min_size=1, max_size=5))
def test_the_worst_evidence_wins(told: list[EvidenceOutcome]) -> None:
    """Refuted before inconclusive before explained before supported, in whatever order; what is alike is said once."""
    verdict = decided([found(outcome) for outcome in told])
    words: tuple[EvidenceOutcome, ...] = ("refuted", "inconclusive", "explained", "supported")
    worst = next(word for word in words if word in told)
    assert verdict.word == worst
    assert verdict.reason == f"told {worst}"


def test_the_scope_names_each_scope_once() -> None:
    """The verdict reaches as far as its evidence."""
    pieces = [found("supported", scope=scope) for scope in ("these templates", "this wording only", "these templates")]
    assert decided(pieces).scope == "these templates; this wording only"


# controls

ASKING = replace(claimed(published(novice=132.4, unit="features")), controls=("length", "activity"))


def under(name: Control, *, parts: tuple[Evidence, ...] = (), p: float | None = 0.01) -> Evidence:
    """A supported comparison under this control."""
    control = ControlResult(name=name, answer="withstood", estimate=1.0, interval=None, p=p, detail="as it was")
    of = sample("novice", 132.4)
    return replace(found("supported", samples=(of,)), controls=(control,), parts=parts)


@pytest.mark.parametrize(
    ("evidence", "missing"),
    [
        ([under("length")], "activity, and no comparison of the probe ran it"),
        ([under("activity"), under("wording")], "length, and no comparison of the probe ran it"),
        ([under("wording")], "length and activity, and no comparison of the probe ran them"),
    ],
)
def test_a_control_that_nothing_ran_breaks_the_probe(evidence: list[Evidence], missing: str) -> None:
    """A sentence is not supported under a control that no comparison was put under."""
    verdict, _, _ = decide(ASKING, "sparrow", evidence, None)
    assert (verdict.word, verdict.outcome, verdict.scope) == ("broken", "error", "these templates")
    assert verdict.reason == f"the claim asks for the control {missing}"


def test_a_control_that_a_part_ran_was_run() -> None:
    """It counts wherever it was run: in a piece of its own, in a part, or in a part of a part."""
    whole = replace(found("supported"), parts=(replace(found("supported"), parts=(under("length"),)),))
    for pieces in (
        [under("length"), under("activity")],
        [under("activity", parts=(whole,))],
        [whole, under("activity")],
    ):
        assert decide(ASKING, "sparrow", pieces, None)[0].word == "supported"


CANNOT_TELL = replace(under("length").controls[0], answer="cannot tell")
FOUND = replace(under("length"), outcome="inconclusive", estimate=1.0, p=0.01, alpha=0.05, controls=(CANNOT_TELL,))
"""An effect of p = 0.01 that the control leaves open."""
OPEN = replace(FOUND, p=0.06)
WHOLE = replace(found("inconclusive"), kind="every")


@pytest.mark.parametrize(
    ("piece", "word"),
    [
        (FOUND, "explained"),
        (replace(WHOLE, parts=(found("supported"), FOUND, FOUND)), "explained"),
        (OPEN, "inconclusive"),
        (replace(FOUND, p=None), "inconclusive"),
        (replace(FOUND, estimate=-1.0), "inconclusive"),
        (replace(FOUND, controls=()), "inconclusive"),
        (replace(WHOLE, parts=(FOUND, OPEN)), "inconclusive"),
    ],
    ids=["by-control", "parts-by-control", "not-found", "not-tested", "contrary", "no-control", "a-part"],
)
def test_what_a_control_leaves_open_says_less_than_what_one_explains(piece: Evidence, word: str) -> None:
    """An effect that is found and left open by a control comes after an explained one; one not found before it."""
    for pieces in ([piece, found("explained")], [found("explained"), piece]):
        assert decided(pieces).word == word
        assert decided([*pieces, found("refuted")]).word == "refuted"
    assert decided([piece, found("supported")]).word == "inconclusive"


def test_an_explained_comparison_that_the_probe_passes_over_breaks_it() -> None:
    """It is not asserted, so that the probe states another sentence."""
    assert decide(claimed(), "sparrow", [found("explained")], None)[0].word == "broken"


def test_numbers_that_moved_do_not_hide_what_accounts_for_them() -> None:
    """An explained sentence is no drifted one, and a number that moved stays beside it: 140 is not 132.4 ± 5."""
    claim = claimed(published(novice=132.4, unit="features", tolerance=5))
    explained_, compared, _ = decide(
        claim, "sparrow", [found("explained", samples=(sample("novice", 140.0),))], AssertionError()
    )
    assert explained_.word == "explained"
    assert [row.answer for row in compared] == ["drifted"]


def test_a_control_that_nothing_ran_does_not_hide_what_was_found() -> None:
    """Refuted, explained and inconclusive keep their word; a number that moved does not go before the control."""
    words: tuple[EvidenceOutcome, ...] = ("refuted", "explained", "inconclusive")
    for outcome in words:
        assert decided([found(outcome)], ASKING).word == outcome
    moved = found("supported", samples=(sample("novice", 140.0),))
    assert decide(ASKING, "sparrow", [moved], None)[0].word == "broken"


# declarations

DECLARED: Mapping[str, NonReproduction] = {
    "explained": explained("known"),
    "refuted": refuted("known"),
    "inconclusive": inconclusive("known"),
    "drifted": drifted("known"),
}


@pytest.mark.parametrize("known", DECLARED)
@pytest.mark.parametrize(
    ("word", "outcome"),
    [("explained", "explained"), ("refuted", "refuted"), ("inconclusive", "inconclusive"), ("drifted", "supported")],
)
def test_a_declaration_expects_only_the_verdict_it_names(known: str, word: str, outcome: EvidenceOutcome) -> None:
    """Declared `refuted` expects `refuted` and no other failing verdict; likewise the others."""
    claim = claimed(published(novice=132.4, unit="features"), DECLARED[known])
    verdict = decided([found(outcome, samples=(sample("novice", 140.0),))], claim)
    assert verdict.word == word
    assert verdict.outcome == ("xfailed" if word == known else "failed")
    assert verdict.declaration == DECLARED[known]


def test_a_declaration_does_not_cover_a_broken_probe() -> None:
    """A probe that raises is broken, declared or not."""
    verdict, _, _ = decide(claimed(known=refuted("known")), "sparrow", [], KeyError("guru"))
    assert (verdict.word, verdict.outcome) == ("broken", "error")


def test_a_declaration_leaves_what_was_not_run() -> None:
    """Without weights nothing is confirmed, not even a declaration."""
    for ended, word in ((NotRun("no weights"), "not run"), (Unverifiable("no test"), "unverifiable")):
        verdict, _, _ = decide(claimed(known=refuted("known")), "sparrow", [], ended)
        assert (verdict.word, verdict.outcome) == (word, "skipped")


def test_support_against_the_declaration_is_a_surprise_and_fails() -> None:
    """Declared refuted, yet supported: the probe fails until the declaration is taken away."""
    verdict = run(asserting(lambda: HIGH > LOW), claimed(known=refuted("too small a model")))
    assert (verdict.word, verdict.outcome) == ("supported", "failed")
    assert "declared refuted (too small a model), yet supported" in verdict.reason
    assert verdict.reason.endswith("Take the declaration away")


def test_a_declaration_for_another_subject_does_not_count() -> None:
    """A non-reproduction is known of one subject only."""
    verdict = run(asserting(lambda: LOW > HIGH), claimed(known=refuted("known"), subject="llama70b"))
    assert (verdict.word, verdict.outcome, verdict.declaration) == ("refuted", "failed", None)


# what a verdict keeps


@pytest.mark.parametrize(
    ("outcomes", "ended", "word", "reason"),
    [
        (("inconclusive", "inconclusive"), AssertionError(), "inconclusive", "told inconclusive"),
        (("supported", "supported"), None, "supported", "told supported"),
        (("supported", "supported"), KeyError("guru"), "broken", "the probe raised KeyError: 'guru'"),
        (
            ("supported", "supported"),
            AssertionError(),
            "broken",
            "all evidence supports the sentence, but an assert next to it failed; assert on comparisons alone",
        ),
    ],
)
def test_a_verdict_keeps_the_scope_and_the_reasons_of_its_evidence(
    outcomes: tuple[EvidenceOutcome, ...], ended: Exception | None, word: str, reason: str
) -> None:
    """Whatever the word, it says how far what was measured reaches; reasons stand side by side."""
    scopes = ("these templates", "this wording only")
    pieces = [found(outcome, scope=scope) for outcome, scope in zip(outcomes, scopes, strict=True)]
    verdict = decide(claimed(), "sparrow", pieces, ended)[0]
    assert (verdict.word, verdict.reason, verdict.scope) == (word, reason, "these templates; this wording only")


def test_a_number_that_was_never_measured_leaves_the_scope() -> None:
    """The label and the unit that were wanted are named."""
    verdict = decided([found("supported")], claimed(published(novice=132.4, expert=113, unit="features")))
    assert verdict.reason == "published values were never measured: novice, expert in features"
    assert (verdict.word, verdict.scope) == ("broken", "these templates")


def test_no_evidence_is_told_in_a_sentence() -> None:
    """There is nothing whose scope could be told."""
    verdict = decided([])
    assert verdict.reason == "the probe compared nothing, so there is no evidence for its sentence"

"""Evidence: its truth, its recorder and its lines."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from threading import Thread

import pytest
from grids import templates

from saeprobe.evidence import (
    ControlResult,
    Evidence,
    EvidenceOutcome,
    Recorder,
    Sample,
    current_terms,
    record,
    recording,
)


def evidence(outcome: EvidenceOutcome, **more: object) -> Evidence:
    """A piece of evidence with this outcome."""
    given = {"kind": "greater", "statement": "a > b", "reason": "1 against 2", "scope": "here", "unit": "features"}
    return Evidence(outcome=outcome, **(given | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(("outcome", "truth"), [("supported", True), ("refuted", False), ("inconclusive", False)])
def test_only_supported_evidence_is_true(outcome: EvidenceOutcome, truth: bool) -> None:  # noqa: FBT001 - a parameter
    """`assert` passes on support alone."""
    assert bool(evidence(outcome)) is truth


def test_evidence_cannot_be_changed() -> None:
    """What was found stays found."""
    with pytest.raises(FrozenInstanceError):
        evidence("refuted").outcome = "supported"  # type: ignore[misc]


def test_the_recorder_keeps_all_in_order_and_only_inside() -> None:
    """Evidence made inside the block is kept in order; what is made before or after is not."""
    first, second = evidence("supported"), evidence("refuted")
    assert record(first) is first
    with recording(Recorder()) as recorder:
        assert record(second) is second
        record(first)
    record(second)
    assert recorder.evidence == [second, first]


def test_the_recorder_is_left_when_the_block_raises() -> None:
    """A probe that raises leaves no recorder behind for the next."""
    recorder = Recorder(alpha=0.01)

    def probe() -> None:
        with recording(recorder):
            assert current_terms() is recorder
            raise RuntimeError

    with pytest.raises(RuntimeError):
        probe()
    assert current_terms().alpha == 0.05


def test_an_inner_recorder_gives_way_to_the_outer_again() -> None:
    """Blocks nest; another thread sees none of them."""
    elsewhere: list[float] = []
    with recording(Recorder(alpha=0.01)) as outer:
        with recording(Recorder(alpha=0.02)):
            assert current_terms().alpha == 0.02
            thread = Thread(target=lambda: elsewhere.append(current_terms().alpha))
            thread.start()
            thread.join()
        assert current_terms() is outer
    assert elsewhere == [0.05]


def test_a_comparison_counts_even_where_its_truth_is_thrown_away() -> None:
    """A comparison inside `not` or `or` is recorded like any other."""
    with recording(Recorder()) as recorder:
        _ = not (templates("novice", (10, 11, 12, 13)) > templates("expert", (1, 2, 3, 4)))
    assert [piece.outcome for piece in recorder.evidence] == ["supported"]


def test_lines_tell_outcome_numbers_test_and_controls() -> None:
    """The terminal shows statement, reason, interval with its level, test with scope, and each control."""
    control = ControlResult(
        name="length",
        answer="withstood",
        estimate=1.0,
        interval=None,
        p=None,
        detail="equally long",
    )
    told = evidence(
        "supported",
        estimate=9.0,
        interval=(7.5, 10.5),
        level=0.95,
        test="exact permutation of 4 + 4 units",
        controls=(control,),
    ).lines()
    assert told == [
        "supported: a > b",
        "1 against 2",
        "difference +9 features, 95% interval [7.5, 10.5]",
        "exact permutation of 4 + 4 units; scope: here",
        "control length: equally long",
    ]


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("greater", "difference +9"),
        ("about equal", "difference +9"),
        ("exclusive", "difference +9"),
        ("bound", "mean 9"),
        ("rate", "rate 9"),
        ("correlation", "correlation 9"),
        ("at least", "excess over the margin +9"),
    ],
)
def test_the_terminal_says_what_the_estimate_is(kind: str, what: str) -> None:
    """A mean is not called a difference, and has no sign."""
    told = evidence("supported", kind=kind, estimate=9.0, interval=(7.5, 10.5), level=0.9).lines()
    assert told == ["supported: a > b", "1 against 2", f"{what} features, 90% interval [7.5, 10.5]"]


def test_an_interval_without_a_level_is_not_shown() -> None:
    """Nor is a level without an interval."""
    assert evidence("supported", estimate=9.0, interval=(7.5, 10.5)).lines() == ["supported: a > b", "1 against 2"]
    assert evidence("supported", estimate=9.0, level=0.9).lines() == ["supported: a > b", "1 against 2"]


def test_a_whole_takes_the_place_of_its_parts_alone() -> None:
    """Parts that were recorded go; what else was recorded stays in order; outside of a block nothing is kept."""
    first, second, other = evidence("supported"), evidence("supported"), evidence("supported")
    whole = evidence("supported", kind="every", parts=(first, second))
    with recording(Recorder()) as recorder:
        for one in (first, other, second):
            record(one)
        assert record(whole) is whole
    assert len(recorder.evidence) == 2
    assert recorder.evidence[0] is other
    assert recorder.evidence[1] is whole
    assert record(whole) is whole


def test_evidence_tells_itself_in_a_line() -> None:
    """The repr, which an assert shows, is outcome, statement and reason."""
    assert repr(evidence("refuted")) == "<refuted: a > b; 1 against 2>"


def test_what_is_near_a_threshold_is_told_once() -> None:
    """By side, those of parts after, each once; and in the lines."""
    near = Sample(label="novice", measure="l0", unit="features", mean=1.0, n=2, near_threshold="feature 7 is near")
    far = Sample(label="expert", measure="l0", unit="features", mean=1.0, n=2)
    part = evidence("supported", samples=(near, far))
    whole = evidence("supported", samples=(near,), parts=(part, part))
    assert whole.near_threshold == ("novice: feature 7 is near",)
    assert whole.lines()[-1] == "near threshold: novice: feature 7 is near"
    assert evidence("supported", samples=(far,)).near_threshold == ()


def test_the_terms_without_a_recorder_are_the_default_ones() -> None:
    """A notebook judges at 5 %, with seed 0, without controls."""
    terms = current_terms()
    assert (terms.alpha, terms.seed, terms.controls, terms.over) == (0.05, 0, (), ())


def test_lines_of_several_parts_tell_each() -> None:
    """A whole of parts gives its reason, then a line for each part; without an interval none is shown."""
    whole = evidence("refuted", reason="1 of 2 refuted", parts=(evidence("supported"), evidence("refuted")))
    assert whole.lines() == [
        "refuted: 1 of 2 refuted",
        "  supported: a > b; 1 against 2",
        "  refuted: a > b; 1 against 2",
    ]

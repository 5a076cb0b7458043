"""Orderings, and other wholes of several comparisons."""

from __future__ import annotations

from dataclasses import replace

import pytest
from grids import grid, summary, templates

from saeprobe.claims import Control
from saeprobe.evidence import ControlResult, Evidence, EvidenceOutcome, Needed, Recorder, recording
from saeprobe.evidence.compare import each_holds as whole
from saeprobe.evidence.compare import every, ordered
from saeprobe.evidence.values import Measurement

TOP = templates("novice", (30, 31, 32, 33))
MIDDLE = templates("standard", (20, 21, 22, 23))
LOW = templates("expert", (10, 11, 12, 13))
NEAR = templates("guru", (20.5, 21.5, 22.5, 23.5))


def test_each_above_the_next_supports() -> None:
    """Three styles 10 apart, in order; one piece of evidence with a part for each adjacent pair."""
    with recording(Recorder()) as recorder:
        evidence = ordered([TOP, MIDDLE, LOW])
    assert recorder.evidence == [evidence]
    assert (evidence.kind, evidence.outcome) == ("ordering", "supported")
    assert evidence.statement == "novice > standard > expert"
    assert [part.statement for part in evidence.parts] == [
        "l0 of novice > l0 of standard",
        "l0 of standard > l0 of expert",
    ]
    assert evidence.reason == (
        "holds: novice > standard, standard > expert. As measured: novice 31.5, standard 21.5, expert 11.5 features"
    )
    assert (evidence.alpha, evidence.scope, evidence.unit) == (0.05, "these 4 + 4 templates", "features")
    assert evidence.needed is None
    assert evidence.rule == (
        "refuted where a single part is; else inconclusive where the own test of one does not find it; else explained "
        "where a control explains one, inconclusive where one cannot tell, drifted where one is, and else supported"
    )


def test_a_reversed_pair_refutes_and_the_means_are_told_in_their_order() -> None:
    """Standard below expert: that pair is named, and what was measured."""
    evidence = ordered([TOP, LOW, MIDDLE])
    assert evidence.outcome == "refuted"
    assert evidence.reason == (
        "holds: novice > expert; reversed: expert > standard. "
        "As measured: novice 31.5, standard 21.5, expert 11.5 features"
    )


def test_an_open_pair_leaves_it_open_with_the_largest_need() -> None:
    """Guru and standard cannot be told apart; what would decide that decides the whole."""
    evidence = ordered(each for each in (TOP, NEAR, MIDDLE, LOW))
    assert evidence.outcome == "inconclusive"
    assert evidence.reason.startswith("holds: novice > guru, standard > expert; open: guru > standard. As measured:")
    assert evidence.needed is not None
    assert evidence.needed == evidence.parts[1].needed
    assert ordered([TOP, NEAR, LOW, MIDDLE]).outcome == "refuted"


def test_a_control_that_explains_a_pair_is_named() -> None:
    """A difference that length makes is no step of an order."""

    def worded(style: str, length: int, sign: float) -> Measurement:
        lengths = [length - 6, length, length + 6, length + 12]
        means = [0.3 * n + sign * more for n, more in zip(lengths, (0.1, -0.1, 0.05, -0.05), strict=True)]
        return grid(style, [[mean] * 3 for mean in means], lengths=[[n] * 3 for n in lengths])

    styles = [
        worded(style, length, sign)
        for style, length, sign in (("novice", 70, 1), ("standard", 45, -1), ("expert", 20, 1))
    ]
    assert ordered(styles).outcome == "supported"
    with recording(Recorder(controls=("length",))):
        evidence = ordered(styles)
    assert evidence.outcome == "explained"
    assert evidence.reason.startswith(
        "explained: novice > standard, standard > expert. l0 of novice > l0 of standard: "
    )
    assert "explained by length: novice is 25.0 tokens longer" in evidence.reason


@pytest.mark.parametrize(
    ("outcomes", "word"),
    [
        (("refuted", "unfound", "explained", "held up"), "refuted"),
        (("supported", "explained", "unfound", "held up"), "inconclusive"),
        (("supported", "held up", "explained"), "explained"),
        (("supported", "held up"), "inconclusive"),
        (("supported", "supported"), "supported"),
    ],
)
def test_what_parts_make_together(outcomes: tuple[str, ...], word: str) -> None:
    """Refuted; else not found; else explained; else open by a control; also where a part has parts of its own."""
    open_ = ControlResult(name="length", answer="cannot tell", estimate=1.0, interval=None, p=0.3, detail="so")
    made = {
        "unfound": replace(part("inconclusive", estimate=1.0, controls=(open_,)), p=0.2, alpha=0.05),
        "held up": replace(part("inconclusive", estimate=1.0, controls=(open_,)), p=0.01, alpha=0.05),
    }
    parts = [made[outcome] if outcome in made else part(outcome) for outcome in outcomes]  # type: ignore[arg-type]
    assert whole(parts).outcome == word
    assert whole([part("supported"), whole(parts)]).outcome == word


def test_a_whole_that_holds_says_the_least_that_a_control_leaves() -> None:
    """Of shares of 0.4, 0.07 and none at all the reason gives 7 %, and the control that leaves it."""
    shares: dict[Control, float | None] = {"wording": 0.4, "length": 0.07, "injection": None}
    left = [
        ControlResult(name=name, answer="withstood", estimate=1.0, interval=None, p=0.01, detail="so", share=share)
        for name, share in shares.items()
    ]
    parts = [part("supported", controls=(left[0], left[2])), part("supported", controls=(left[1],))]
    assert whole(parts).reason == "all 2 comparisons hold; the control for length leaves at least 7 % of each"


def test_summaries_cannot_be_ordered() -> None:
    """Means alone are shown in their order and decide nothing."""
    evidence = ordered([summary("novice", 132), summary("standard", 120), summary("expert", 113)])
    assert (evidence.outcome, evidence.needed) == ("inconclusive", None)
    assert evidence.reason == (
        "open: novice > standard, standard > expert. As measured: novice 132, standard 120, expert 113 features"
    )


def test_fewer_than_three_or_one_twice_are_refused() -> None:
    """Two are a plain comparison, and nothing lies above itself."""
    for few in ([], [TOP], [TOP, LOW]):
        with pytest.raises(
            ValueError, match=rf"ordered\(\) was given {len(few)}; wanted at least 3, and `a > b` for two"
        ):
            ordered(few)
    with pytest.raises(ValueError, match="was given one of novice, standard, novice twice"):
        ordered([TOP, MIDDLE, TOP])


def test_other_measures_are_refused() -> None:
    """Like is ordered with like, and nothing is recorded."""
    with recording(Recorder()) as recorder, pytest.raises(TypeError, match="compare like with like"):
        ordered([TOP, MIDDLE, templates("expert", (1, 2, 3, 4), measure="max activation")])
    assert recorder.evidence == []


# every


def part(outcome: EvidenceOutcome, wanted: int | None = None, **more: object) -> Evidence:
    """One of several comparisons; open ones need `wanted` units, 0 for one that cannot tell."""
    needed = Needed(units="templates", have=4, wanted=wanted) if outcome == "inconclusive" and wanted != 0 else None
    given = {"kind": "greater", "statement": "a > b", "reason": "so", "scope": "here", "unit": "features"}
    return Evidence(outcome=outcome, needed=needed, **(given | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ([part("inconclusive", 9), part("inconclusive", 30), part("supported")], 30),
        ([part("inconclusive", 30), part("inconclusive", 9)], 30),
        ([part("inconclusive", 9), part("inconclusive", None)], None),
        ([part("inconclusive", None), part("inconclusive", 9)], None),
    ],
)
def test_the_whole_needs_what_its_neediest_part_does(parts: list[Evidence], wanted: int | None) -> None:
    """Beyond any plan is more than any number."""
    needed = whole(parts).needed
    assert needed is not None
    assert needed.wanted == wanted


def test_a_whole_that_is_decided_or_cannot_tell_needs_nothing() -> None:
    """Refuted ones are decided, and one open part that cannot tell leaves the whole untold."""
    assert whole([part("inconclusive", 9), part("refuted")]).needed is None
    assert whole([part("supported"), part("supported")]).needed is None
    assert whole([part("inconclusive", 9), part("inconclusive", 0)]).needed is None


def test_scopes_of_parts_are_joined_once_each() -> None:
    """Parts may reach differently far."""
    parts = [part("supported", scope=scope) for scope in ("these 4 templates", "this wording", "these 4 templates")]
    assert whole(parts).scope == "these 4 templates; this wording"


def test_only_length_is_counted_as_turning_a_difference_round() -> None:
    """A negative effect of the rival alone, as in a random model, says nothing against the claim."""

    def held(name: str, left: float) -> tuple[ControlResult, ...]:
        return (
            ControlResult(
                name=name,  # type: ignore[arg-type]
                answer="withstood",
                estimate=left,
                interval=None,
                p=0.01,
                detail="",
            ),
        )

    against = part("refuted", estimate=1.0)
    by_length = whole([part("supported", estimate=2.0, controls=held("length", -1.0)), against])
    assert by_length.reason.startswith(
        "with prompt length held equal 1 of the 2 differences fall below zero (0 before); 1 of"
    )
    at_zero = whole([part("supported", estimate=2.0, controls=held("length", 0.0)), against])
    assert at_zero.reason.startswith("1 of 2 comparisons is refuted: a > b: so")
    elsewhere = whole([part("supported", estimate=-2.0, controls=held("random-model", -1.0)), against])
    assert elsewhere.reason.startswith("1 of 2 comparisons is refuted")
    before = whole([part("refuted", estimate=-2.0, controls=held("length", -1.0)), part("refuted", estimate=0.0)])
    assert before.reason.startswith(
        "with prompt length held equal 1 of the 2 differences fall below zero (1 before); 2 of 2"
    )
    assert before.reason.endswith("2 of 2 comparisons are refuted, such as a > b: so")


def test_every_tells_itself() -> None:
    """By the names of what it holds."""
    assert repr(every([TOP, LOW + 5])) == "every(l0 of novice, l0 of expert + 5 features)"

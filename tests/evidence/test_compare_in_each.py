"""Agreement: an effect that must hold in each of several subjects."""

from __future__ import annotations

import pytest
from grids import templates

from saeprobe import in_each
from saeprobe.claims import Claim
from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.evidence.values import Measurement
from saeprobe.verdicts import decide

UP = (templates("novice", [30, 31, 32, 33]), templates("expert", [10, 11, 12, 13]))
DOWN = (UP[1], UP[0])
FLAT = (templates("novice", [10, 21, 12, 13]), templates("expert", [11, 20, 13, 12]))
CLAIM = Claim(sentence="It holds in both.", id="both", source="none")


def verdict(*families: tuple[Measurement, Measurement]) -> tuple[str, list[Evidence]]:
    """The verdict of `larger > smaller` in each, and what was recorded on the way."""
    with recording(Recorder()) as recorder:
        ended: BaseException | None = None
        try:
            assert in_each(larger > smaller for larger, smaller in families)
        except AssertionError as error:
            ended = error
    return decide(CLAIM, "one+other", recorder.evidence, ended)[0].word, recorder.evidence


@pytest.mark.parametrize(
    ("families", "word"),
    [
        ((UP, UP), "supported"),
        ((UP, FLAT), "inconclusive"),
        ((FLAT, UP), "inconclusive"),
        ((UP, DOWN), "refuted"),
        ((DOWN, DOWN), "refuted"),
        ((FLAT, DOWN), "refuted"),
    ],
)
def test_the_effect_holds_only_where_it_holds_in_each(
    families: tuple[tuple[Measurement, Measurement], ...], word: str
) -> None:
    """One subject against it refutes it, an open one leaves it open; two against it do not agree that it holds."""
    assert verdict(*families)[0] == word


def test_every_subject_is_compared_and_told_once() -> None:
    """Also those after one in which it does not hold; the record is the whole with its parts, not both."""
    _, evidence = verdict(DOWN, UP, FLAT)
    assert [one.kind for one in evidence] == ["every"]
    assert [part.outcome for part in evidence[0].parts] == ["refuted", "supported", "inconclusive"]


def test_one_subject_agrees_with_nobody() -> None:
    """An effect in one model says nothing of another."""
    with pytest.raises(ValueError, match=r"was given 1 comparison\(s\); wanted one for each of several subjects"):
        in_each([UP[0] > UP[1]])


def test_comparisons_are_given_in_a_list() -> None:
    """Not one by one."""
    one = templates("novice", (10.0, 11, 12, 13)) > templates("expert", (1.0, 2, 3, 4))
    for call in (lambda: in_each(one, one), lambda: in_each(one)):
        with pytest.raises(
            TypeError, match=r"^in_each\(\) takes its comparisons in one list: in_each\(\[a > b, c > d\]\)$"
        ):
            call()

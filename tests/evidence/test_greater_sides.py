"""What can be put down to what: the prompts of two sides, and the tokens at which they were read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from grids import family, templates

from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.evidence.compare import about
from saeprobe.evidence.values import Measurement

NOVICE, EXPERT = templates("novice", (10.0, 11, 12, 13)), templates("expert", (1.0, 2, 3, 4))


def at(of: Measurement, place: str, *, more: float = 0.0) -> Measurement:
    """The same prompts, read at other tokens, where the values are so much higher."""
    return replace(of, place=place, values=of.values + more + np.arange(len(of.values)) / 100)


COMPARISONS: list[Callable[[Measurement, Measurement], Evidence]] = [
    lambda a, b: a > b,
    lambda a, b: b < a,
    lambda a, b: a > b + 1,
    lambda a, b: a == about(b, margin=5),
]


@pytest.mark.parametrize("compare", COMPARISONS)
def test_other_prompts_at_other_tokens_are_not_compared(compare: Callable[[Measurement, Measurement], Evidence]):
    """The sign of a difference may turn with the token that is read, so that it would not be the style's."""
    told = (
        "novice was read at all tokens and expert at last token: no difference could be put down to the prompts; read "
        "both at the same tokens"
    )
    with recording(Recorder()) as recorder, pytest.raises(TypeError, match=f"^{told}$"):
        compare(at(NOVICE, "all tokens"), at(EXPERT, "last token"))
    assert recorder.evidence == []
    with pytest.raises(TypeError, match="at last token and expert at unknown tokens: no difference"):
        compare(at(NOVICE, "last token"), EXPERT)


def test_the_same_prompts_at_other_tokens_are_told_apart_by_them():
    """Then the tokens are all that differs, and the sentence says so."""
    evidence = at(NOVICE, "all tokens", more=3) > at(NOVICE, "last token") + 1
    assert evidence.statement == "l0 of novice at all tokens > l0 of novice at last token + 1 features"
    assert evidence.units == "templates, paired"
    assert [(one.label, one.place) for one in evidence.samples] == [
        ("novice at all tokens", "all tokens"),
        ("novice at last token", "last token"),
    ]


def test_the_tokens_of_a_text_stand_beside_prompts_without_it():
    """Where a bridge is named, and anywhere in prompts that name none."""
    evidence = at(NOVICE, "tokens of 'bridge'") > at(EXPERT, "all tokens")
    assert evidence.statement == "l0 of novice at tokens of 'bridge' > l0 of expert at all tokens"
    assert evidence.outcome == "supported"


@pytest.mark.parametrize("compare", COMPARISONS)
def test_a_part_is_not_put_beside_the_whole(compare: Callable[[Measurement, Measurement], Evidence]):
    """A style that was forgotten: all styles beside one of them."""
    whole = family(NOVICE, EXPERT)
    told = "novice \\+ expert and expert share 12 prompts, such as 'expert 0: bridges': a part was compared with"
    with pytest.raises(TypeError, match=told):
        compare(whole, whole["expert"])


def test_the_same_tokens_change_nothing():
    """Where both were read at the same ones neither the labels nor the sentence speak of them."""
    evidence = at(NOVICE, "last token") > at(EXPERT, "last token")
    assert evidence.statement == "l0 of novice > l0 of expert"
    assert {one.place for one in evidence.samples} == {"last token"}

"""Near copies of a wording are one unit of a comparison, and wordings that share a frame are dealt as pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

from saeprobe.evidence import ControlResult, Evidence, Recorder, recording
from saeprobe.evidence.correlation import correlation
from saeprobe.evidence.units import fixed_wordings
from saeprobe.evidence.values import Measurement
from saeprobe.prompts import PromptSet

EVIDENCE = Evidence(kind="greater", statement="", outcome="supported", reason="", scope="", unit="features")
CONTROL = ControlResult(name="length", answer="withstood", estimate=1.0, interval=None, p=0.01, detail="")
ASKS = ("Explain {topic}.", "What happens when {topic} occur at night?", "I wrote down all that I know of {topic}")
COPY = "Please explain {topic}!"
TOPICS = ("tides", "rain", "snow")


def read(styles: Mapping[str, Mapping[str, float]], **more: Any) -> dict[str, Measurement]:
    """For each template of each style a mean, on topics whose own levels are 0, 6 and -6."""
    of = PromptSet.build(
        name="n", language="en", topics=TOPICS, styles={s: list(means) for s, means in styles.items()}, **more
    )
    made: dict[str, Measurement] = {}
    for style, means in styles.items():
        prompts = of.style(style)
        values = np.array([means[one.template] + (0, 6, -6)[TOPICS.index(one.topic)] for one in prompts])
        made[style] = Measurement(measure="l0", label=style, unit="features", values=values, prompts=prompts)
    return made


def units(evidence: Evidence, side: str) -> dict[str, Any]:
    """The units of a side."""
    return {one.unit: pytest.approx(one.value) for one in evidence.unit_values if one.side == side}


NOVICE = {ASKS[0]: 10.0, COPY: 14.0, ASKS[1]: 20.0, ASKS[2]: 30.0}
OTHERS = {"Prove it of {topic}": 1.0, "{topic} in ten formal steps": 2.0, "State all axioms behind {topic}": 4.0}


def test_near_copies_are_the_mean_of_their_wordings() -> None:
    """10 and 14 are copies: the unit is 12, so that the means are 62/3 and 7/3, over 3 + 3 units, too few."""
    sides = read({"novice": NOVICE, "expert": OTHERS})
    evidence = sides["novice"] > sides["expert"]
    assert units(evidence, "novice") == {ASKS[0]: 12, ASKS[1]: 20, ASKS[2]: 30}
    assert evidence.n_units == (3, 3)
    assert evidence.estimate == pytest.approx(62 / 3 - 7 / 3)
    assert (evidence.p, evidence.one_sided) == (1, 0.5)
    assert evidence.copies == ((ASKS[0], COPY),)
    assert evidence.scope == "these 3 + 3 templates (2 of 4 wordings of novice are near copies: 3 units)"


def test_each_wording_of_a_unit_counts_alike() -> None:
    """A copy that was read on one topic alone weighs as much as the other: (0 + 12) / 2, not (3 x 0 + 12) / 4."""
    side = read({"novice": {ASKS[0]: 0.0, COPY: 12.0, ASKS[1]: 1.0}})["novice"]
    kept = side.select(np.array([one.template != COPY or one.topic == "tides" for one in side.prompts]))
    assert units(kept > 5, "novice") == {ASKS[0]: 6, ASKS[1]: 1}


def test_a_set_that_calls_its_wordings_distinct_keeps_them_apart_and_says_so() -> None:
    """All four count, and the scope and the report still name the copies."""
    sides = read({"novice": NOVICE, "expert": OTHERS}, distinct=["novice"])
    evidence = sides["novice"] > sides["expert"]
    assert evidence.n_units == (4, 3)
    assert evidence.copies == ((ASKS[0], COPY),)
    assert "2 of 4 wordings of novice are near copies: kept apart as its prompt set says" in evidence.scope


Stated = Callable[[Measurement], Evidence]
STATED: dict[str, Stated] = {
    "bound": lambda one: one > 3,
    "rate": lambda one: replace(one, unit="share of prompts", values=one.values * 0 + 1) > 0.5,
    "correlation": lambda one: correlation(one, replace(one, measure="tokens")) > 0,
}


@pytest.mark.parametrize("stated", STATED.values(), ids=STATED)
def test_other_kinds_count_copies_once_too(stated: Stated) -> None:
    """A mean beside a number, a rate and a correlation over wordings have three units, not four."""
    wordings = {f"{ask}{part}": float(k) for k, (ask, part) in enumerate(product(ASKS, ("", " now")))}
    evidence = stated(novice := read({"novice": {**wordings, **OTHERS}})["novice"])
    assert evidence.units == "templates"
    assert evidence.n_units == (6,)
    assert len(evidence.copies) == 3
    assert "6 of 9 wordings of novice are near copies: 6 units" in evidence.scope
    with recording(Recorder(over=("topics",))):  # where no wording is a unit
        assert ((over_topics := stated(novice)).units, over_topics.copies) == ("topics", ())


def framed(pairs: int, n: int, a: Sequence[float], b: Sequence[float]) -> Evidence:
    """Two styles of `n` wordings, the first of which share frames."""
    names = [f"f{k}" for k in range(pairs)]
    styles = {
        style: {
            " ".join(f"{style}{k}{part}" for part in range(4)) + " {topic}": value for k, value in enumerate(values)
        }
        for style, values in (("novice", a), ("expert", b))
    }
    sides = read(styles, frames={style: names + [""] * (n - pairs) for style in styles})
    with recording(Recorder(seed=3)):
        return sides["novice"] > sides["expert"]


def test_wordings_that_share_a_frame_are_flipped_in_sign() -> None:
    """Eight pairs whose frames lie far apart, all raised a little: p = 2/256; as two groups it would be lost."""
    levels = [10.0 * k for k in range(8)]
    raised = [level + step for level, step in zip(levels, (1, 2, 1, 3, 1, 2, 1, 1), strict=True)]
    evidence = framed(8, 8, raised, levels)
    assert evidence.p == pytest.approx(2 / 256)
    assert evidence.estimate == pytest.approx(12 / 8)
    assert evidence.pairs == tuple((k, 8 + k) for k in range(8))
    assert evidence.scope == "these 8 + 8 templates, 8 of them pairs by frame"
    assert framed(0, 8, raised, levels).p == pytest.approx(1, abs=0.3)
    assert framed(0, 8, raised, levels).pairs == ()


def test_frames_too_few_to_be_pairs_are_said_in_the_scope() -> None:
    """Six pairs have 64 signs: they are compared as two groups, and the reader is not left to think otherwise."""
    evidence = framed(6, 6, [10, 21, 32, 43, 54, 65], [0, 10, 20, 30, 40, 50])
    assert evidence.pairs == ()
    unused = "(frames are named, but 6 pairs of 6 wordings are too few to be compared as pairs: 4 of 7 are needed)"
    assert evidence.scope == f"these 6 + 6 templates {unused}"
    assert evidence.units == "templates"


def test_wordings_without_a_partner_are_dealt_among_themselves() -> None:
    """Four pairs and 4 + 4 others: p is the share of the 16 x 70 relabelings whose difference is as large."""
    rng = np.random.default_rng(4)
    a, b = rng.normal(1, 1, 8), rng.normal(0, 1, 8)
    evidence = framed(4, 8, a.tolist(), b.tolist())
    rest = np.concatenate([a[4:], b[4:]])
    reached = [
        abs(sum(s * d for s, d in zip(signs, a[:4] - b[:4], strict=True)) + 2 * rest[list(chosen)].sum() - rest.sum())
        >= abs((a - b).sum()) - 1e-9
        for signs in product((1, -1), repeat=4)
        for chosen in combinations(range(8), 4)
    ]
    assert len(reached) == 1120
    assert evidence.p == pytest.approx(np.mean(reached), abs=0.01)
    assert evidence.pairs == tuple((k, 8 + k) for k in range(4))
    assert evidence.scope == "these 8 + 8 templates, 4 of them pairs by frame"


@pytest.mark.parametrize(
    ("scope", "fixed"),
    [
        ("this wording only, over 8 topics", True),
        ("these 1 + 2 templates fixed, over 8 topics", True),
        ("these 3 + 4 templates (2 of 3 wordings of a are near copies: 3 units) fixed, over 8 topics", True),
        ("these 8 + 8 templates", False),
        ("", False),
    ],
)
def test_a_scope_that_reaches_no_other_wording_is_known(scope: str, *, fixed: bool) -> None:
    """It is printed first, in the terminal and on the page."""
    assert fixed_wordings(scope) == (scope if fixed else "")
    assert fixed_wordings(f"{scope}; as recorded in eid.json") == (scope if fixed else "")


def control(p: float | None) -> ControlResult:
    """A control with this p of what is left."""
    return replace(CONTROL, p=p)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param({"p": 0.02}, 0.02, id="its own p"),
        pytest.param({"p": 0.02, "one_sided": 0.01}, 0.01, id="in its direction"),
        pytest.param({"p": 0.02, "controls": (control(0.03),)}, 0.03, id="a control is less sure"),
        pytest.param({"p": 0.02, "controls": (control(0.001), control(None))}, 1.0, id="a control was not run"),
        pytest.param({"controls": (control(0.3),)}, None, id="nothing was tested"),
        pytest.param({"parts": (EVIDENCE, replace(EVIDENCE, p=0.04), replace(EVIDENCE, p=0.01))}, 0.04, id="parts"),
        pytest.param({"p": 0.03, "parts": (replace(EVIDENCE, p=0.4),)}, 0.03, id="a whole with a test of its own"),
    ],
)
def test_the_p_of_a_claim_is_the_largest_of_what_has_to_hold(made: dict[str, Any], expected: float | None) -> None:
    """The sentence holds only if all of it does."""
    assert replace(EVIDENCE, **made).claim_p == expected

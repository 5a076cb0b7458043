"""What else could make more features exclusive: more active ones, and what a control reads instead."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from by_hand import Row, conditioned, crossed, features

from saeprobe.claims import Control
from saeprobe.evidence import Evidence, Recorder, Terms, recording
from saeprobe.features import Features
from saeprobe.measures import exclusive_features
from saeprobe.measures.exclusive import activity_control
from saeprobe.measures.reading import Design, Firings, design

TOPICS = ("tides", "yeast", "comets", "rust", "soil", "bees")


def compared(of: Features, *controls: Control, seed: int = 0) -> Evidence:
    """Features exclusive to novice beside those exclusive to expert, under controls."""
    novice, expert = of["novice"], of["expert"]
    with recording(Recorder(controls=controls, seed=seed)):
        return exclusive_features(novice, expert) > exclusive_features(expert, novice)


def more_active(*, pool: int, novice: int, expert: int, templates: str = "ABCDEFGH", seed: int = 0) -> Features:
    """Each prompt fires so many features at random, of the same pool for both styles."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for (style, active), template, topic in product((("novice", novice), ("expert", expert)), templates, TOPICS[:2]):
        acts = np.zeros(pool)
        acts[rng.choice(pool, active, replace=False)] = 1
        rows.append((style, template, topic, tuple(acts)))
    return features(rows)


def test_activity_alone_is_found_out_by_name() -> None:
    """Both styles draw from the same 400 features, novice three times as many: refuted, explained by activity."""
    of = more_active(pool=400, novice=30, expert=10)
    assert compared(of).outcome == "supported"
    evidence = compared(of, "activity")
    assert evidence.outcome == "explained"
    (control,) = evidence.controls
    assert (control.name, control.answer) == ("activity", "explains")
    assert control.interval is not None
    assert control.interval[0] < control.estimate < control.interval[1]
    assert control.share is not None
    assert abs(control.share) < 0.2
    assert (control.p or 0) > 0.05
    assert evidence.reason.endswith(f", but explained by activity: {control.detail}")
    assert control.detail.startswith(
        "novice has 480 active features on the tokens read and expert 160; with equally many ("
    )
    assert f"(mean over 20 random thinnings, seed 0) {control.estimate:+.3g} features of" in control.detail


def test_what_is_left_is_worked_by_hand() -> None:
    """Novice fires feature 0 twice and 1 and 2 once, expert 3 twice: half of novice's firings are kept.

    Feature 0 is then seen with probability 1 - 1/4, 1 and 2 with 1/2: 1.75 distinct ones beside one, 0.75 left of 2.
    """
    rows: list[Row] = [
        ("novice", "A", "tides", (1, 1, 0, 0)),
        ("novice", "B", "tides", (1, 0, 1, 0)),
        ("expert", "A", "tides", (0, 0, 0, 1)),
        ("expert", "B", "tides", (0, 0, 0, 1)),
    ]
    (control,) = compared(features(rows), "activity").controls
    assert control.estimate == pytest.approx(0.75)
    assert control.share == pytest.approx(0.375)
    assert "novice has 4 active features on the tokens read and expert 2; with equally many (mean" in control.detail
    assert control.answer != "explains"  # the claim's own p of 1/3 found nothing that could be explained


def test_where_the_other_side_is_more_active_it_is_thinned() -> None:
    """Expert fires one feature eight times, novice four features once each: expert is thinned to half its firings.

    1 - (1/2)^8 of its one feature is left, so that the difference grows from 3 to 3 + 1/256.
    """
    rows: list[Row] = [("novice", letter, "tides", tuple(np.eye(5)[place])) for place, letter in enumerate("ABCD")]
    rows += crossed("novice", (0, 0, 0, 0, 0), templates="ABCD", topics=TOPICS[1:2])
    rows += crossed("expert", (0, 0, 0, 0, 1), templates="ABCD", topics=TOPICS[:2])
    planned = design(features(rows)["novice"], features(rows)["expert"], ())
    assert isinstance(planned, Design)
    control = activity_control(planned, ("novice", "expert"), found=True, terms=Terms(alpha=0.05, seed=0))
    assert control.estimate == pytest.approx(3 + 1 / 256)
    assert control.share == pytest.approx((3 + 1 / 256) / 3)
    assert control.detail.startswith("expert has 8 active features on the tokens read and novice 4; with equally many")
    assert control.answer != "explains"


def test_equally_active_styles_have_nothing_to_thin() -> None:
    """The same number of firings: all of the difference is left, at the claim's own p, told without any thinning."""
    rows = crossed("novice", (1, 1, 0), templates="ABCD", topics=TOPICS[:1])
    rows += [("expert", letter, "tides", (0, 1, 1)) for letter in "ABCD"]
    rows[0] = ("novice", "A", "tides", (1, 0, 0))
    rows[1] = ("novice", "B", "tides", (0, 1, 0))
    rows[4] = ("expert", "A", "tides", (0, 0, 1))
    rows[5] = ("expert", "B", "tides", (0, 0, 1))
    evidence = compared(features(rows), "activity")
    (control,) = evidence.controls
    assert (control.estimate, control.p) == (evidence.estimate, evidence.p)
    assert "with equally many (nothing to thin) +" in control.detail


def test_silent_styles_have_no_share() -> None:
    """Where nothing fires there is no difference, and nothing to divide by."""
    rows = crossed("novice", (0, 0), templates="AB", topics=TOPICS[:1])
    (control,) = compared(
        features(rows + crossed("expert", (0, 0), templates="AB", topics=TOPICS[:1])), "activity"
    ).controls
    assert (control.estimate, control.share, control.answer, control.p) == (0, None, "cannot tell", 1)


def test_more_kinds_of_features_withstand_activity() -> None:
    """Novice draws 20 of 400 features and expert 10 of 30: thinned to as many, novice still has far more."""
    rng = np.random.default_rng(0)
    rows: list[Row] = []
    for (style, active, pool), template, topic in product(
        (("novice", 20, 400), ("expert", 10, 30)), "ABCDEFGH", TOPICS[:2]
    ):
        acts = np.zeros(400)
        acts[rng.choice(pool, active, replace=False)] = 1
        rows.append((style, template, topic, tuple(acts)))
    evidence = compared(features(rows), "activity")
    (control,) = evidence.controls
    assert (evidence.outcome, control.answer) == ("supported", "withstood")
    assert (control.p or 1) < 0.05
    assert evidence.reason.endswith(" beside the number of active features")


def test_its_error_is_jackknifed_over_the_wordings() -> None:
    """Each wording is left out in turn, the rest thinned anew to as many firings, and the sides' variances add up."""
    rows: list[Row] = [
        ("novice", "A", "tides", (1, 1, 0, 0, 1)),
        ("novice", "B", "tides", (1, 0, 1, 0, 0)),
        ("novice", "C", "tides", (0, 1, 1, 0, 0)),
        ("expert", "A", "tides", (0, 0, 0, 1, 0)),
        ("expert", "B", "tides", (0, 0, 0, 1, 0)),
        ("expert", "C", "tides", (1, 0, 0, 0, 0)),
    ]
    (control,) = compared(features(rows), "activity").controls
    acts = {style: np.array([row[3] for row in rows if row[0] == style], dtype=float) for style in ("novice", "expert")}

    def left(novice: np.ndarray, expert: np.ndarray, less: float) -> float:
        kept = min(novice.sum(), expert.sum())
        expected = [(1 - (1 - kept / one.sum()) ** one.sum(axis=0)).sum() for one in (novice, expert)]
        return float(
            expected[0] - expected[1] - less * ((novice.sum(axis=0) > 0).sum() - (expert.sum(axis=0) > 0).sum())
        )

    for name, less in (("L", 0.0), ("C", 0.5)):
        without = [
            [left(np.delete(acts["novice"], unit, 0), acts["expert"], less) for unit in range(3)],
            [left(acts["novice"], np.delete(acts["expert"], unit, 0), less) for unit in range(3)],
        ]
        parts = [2 / 3 * float(((np.array(one) - np.mean(one)) ** 2).sum()) for one in without]
        assert control.numbers[f"estimate of {name}"] == pytest.approx(left(acts["novice"], acts["expert"], less))
        assert control.numbers[f"error of {name}"] == pytest.approx(sum(parts) ** 0.5)
        assert control.numbers[f"df of {name}"] == pytest.approx(sum(parts) ** 2 / sum(part**2 / 2 for part in parts))


@pytest.mark.parametrize(("p", "answer"), [(0.049, "withstood"), (0.05, "explains")])
def test_its_answer_follows_from_the_mean_p_and_half_of_the_effect(
    p: float, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found after thinning it withstands, however little is left; else it explains what it surely takes half of."""
    monkeypatch.setattr("saeprobe.measures.exclusive._mean_p", lambda *_, **__: (p, "so told"))
    planned = design(*(more_active(pool=400, novice=30, expert=10)[style] for style in ("novice", "expert")), ())
    assert isinstance(planned, Design)
    control = activity_control(planned, ("novice", "expert"), found=True, terms=Terms())
    assert (control.answer == "withstood") == (answer == "withstood" and control.estimate > 0)
    assert activity_control(planned, ("novice", "expert"), found=False, terms=Terms()).answer == "cannot tell"


def test_the_seed_of_the_thinnings_does_not_change_the_verdict() -> None:
    """Other thinnings, the same estimate and outcome; the same seed gives the same p."""
    of = more_active(pool=400, novice=30, expert=10)
    found = [compared(of, "activity", seed=seed) for seed in (0, 1, 2, 0)]
    assert {evidence.outcome for evidence in found} == {"explained"}
    assert len({evidence.controls[0].estimate for evidence in found}) == 1
    assert found[0] == found[3]


def test_a_mean_p_near_alpha_is_drawn_further(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thinnings whose p is 0.01 or 0.09 by turns have the mean 0.05, which no number of them tells from alpha."""
    turns = iter([0.01, 0.09] * 200)
    monkeypatch.setattr("saeprobe.measures.exclusive._thinned_p", lambda *_: next(turns))
    (control,) = compared(more_active(pool=40, novice=9, expert=3, templates="AB"), "activity").controls
    assert control.p == pytest.approx(0.05936, abs=1e-4)  # 3.3 standard errors above 0.05
    assert "(mean over 200 random thinnings, seed 0, too near 0.05 to tell: its upper end) " in control.detail
    turns = iter([0.01, 0.02] * 200)
    (control,) = compared(more_active(pool=40, novice=9, expert=3, templates="AB"), "activity").controls
    assert control.p == pytest.approx(0.015)
    assert "(mean over 20 random thinnings, seed 0) " in control.detail


def test_expected_features_are_those_of_the_other_side_when_styles_are_alike() -> None:
    """Thinned to a third, 480 firings of 400 features are as many distinct ones as 160 are, within three errors."""
    of = more_active(pool=400, novice=30, expert=10)
    times = of["novice"].acts.indices.astype(np.int64)
    novice = Firings(names=("novice",), unit=np.zeros_like(times), feature=times, d_sae=400)
    distinct = len(np.unique(of["expert"].acts.indices))
    assert novice.distinct(1 / 3) == pytest.approx(distinct, abs=3 * 6)


def styles(novice: tuple[float, ...], expert: tuple[float, ...]) -> Features:
    """The same activations on every prompt of a style, under four templates."""
    rows = crossed("novice", novice, templates="ABCD", topics=TOPICS[:2])
    return features(rows + crossed("expert", expert, templates="ABCD", topics=TOPICS[:2]))


@pytest.mark.parametrize(
    ("read", "share", "outcome"),
    [
        (((1, 1, 1, 0, 0), (0, 0, 0, 0, 1)), 1 / 3, "supported"),  # two of three, but no draw is as large
        (((1, 1, 1, 1, 0), (0, 0, 0, 0, 1)), 0, "explained"),
        (((0, 0, 0, 0, 1), (1, 1, 1, 0, 0)), 5 / 3, "supported"),
        (((1, 0, 0, 0, 0), (0, 0, 0, 0, 1)), 1, "supported"),
    ],
)
def test_a_random_sae_that_shows_all_of_it_explains(
    read: tuple[tuple[float, ...], tuple[float, ...]], share: float, outcome: str
) -> None:
    """The claim's difference is 4 - 1 = 3, in shares of one feature; the contrary is no rival."""
    of = conditioned(styles((1, 1, 1, 1, 0), (0, 0, 0, 0, 1)), "random-sae", styles(*read))
    evidence = compared(of, "random-sae")
    (control,) = evidence.controls
    assert (evidence.outcome, control.share) == (outcome, pytest.approx(share))
    assert control.numbers["R"] == pytest.approx(3 * (1 - share))
    assert control.p == (1 if outcome == "explained" else pytest.approx(1 / 33))


def test_a_random_model_is_held_against_its_own_number_of_features() -> None:
    """4 - 1 of 1 distinct feature beside 3 - 2 of 2 distinct ones: a share of 0.5 to 3, a sixth."""
    of = conditioned(styles((1, 1, 1, 1, 0), (0, 0, 0, 0, 1)), "random-model", styles((1, 1, 1, 0, 0), (0, 0, 0, 1, 1)))
    (control,) = compared(of, "random-model").controls
    assert control.share == pytest.approx(1 - (1 / 2) / 3)


def test_a_random_model_without_any_feature_shows_nothing() -> None:
    """No distinct feature to be a share of: 0 are taken as a share of the claim's one, and all is left."""
    of = conditioned(styles((1, 1, 1, 1, 0), (0, 0, 0, 0, 1)), "random-model", styles((0,) * 5, (0,) * 5))
    evidence = compared(of, "random-model")
    (control,) = evidence.controls
    assert (control.share, control.p, evidence.outcome) == (1, pytest.approx(1 / 33), "supported")
    assert (
        "0 of 32 draws of a model of the same shape with random weights show at least the +300 % of the claim"
        in control.detail
    )


def test_a_control_without_enough_units_leaves_it_open() -> None:
    """One template and one topic of each style were read for the injection: nothing to permute."""
    rows: list[Row] = [("novice", "A", "tides", (1, 0, 0, 0, 0)), ("expert", "A", "tides", (0, 0, 0, 0, 1))]
    of = conditioned(styles((1, 1, 1, 1, 0), (0, 0, 0, 0, 1)), "injection", features(rows))
    evidence = compared(of, "injection")
    assert evidence.outcome == "inconclusive"
    read = "with the styles' own words pasted into neutral prompts 1 against 1 features"
    assert f"the control for injection could not be run: {read}, but there is a single" in evidence.reason
    assert [(one.p, one.estimate) for one in evidence.controls] == [(None, evidence.estimate)] == [(None, 3.0)]


def test_controls_of_other_kinds_are_refused() -> None:
    """Length and wording are refused with what a claim on exclusive features takes."""
    of = styles((1, 0), (0, 1))
    with pytest.raises(TypeError, match="the control length cannot be applied to exclusive features"):
        compared(of, "length")
    with pytest.raises(TypeError, match="there are here: activity, injection, random-model, random-sae"):
        compared(of, "wording")

"""Exclusive features, the evidence as a whole: permuted, drawn, with nothing to permute, and recorded."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from by_hand import crossed, features, near_rows

from saeprobe.claims import Control, NotRun
from saeprobe.evidence import Evidence, Needed, Recorder, Sample, Terms, UnitValue, recording
from saeprobe.evidence.units import sample_of
from saeprobe.evidence.values import Summary
from saeprobe.features import Features
from saeprobe.measures import exclusive_features
from saeprobe.recorded.record import RecordedStyle

TOPICS = ("tides", "yeast", "comets", "rust", "soil", "bees")
STATEMENT = "features exclusive to novice > features exclusive to expert"


def compared(of: Features, *controls: Control, alpha: float = 0.05, seed: int = 0) -> Evidence:
    """Features exclusive to novice beside those exclusive to expert."""
    novice, expert = of["novice"], of["expert"]
    with recording(Recorder(controls=controls, alpha=alpha, seed=seed)) as recorder:
        evidence = exclusive_features(novice, expert) > exclusive_features(expert, novice)
    assert recorder.evidence == [evidence]
    return evidence


def styles(
    novice: tuple[float, ...], expert: tuple[float, ...], *, templates: str = "ABCD", topics: tuple[str, ...] = TOPICS
) -> Features:
    """The same activations on every prompt of a style."""
    rows = crossed("novice", novice, templates=templates, topics=topics)
    return features(rows + crossed("expert", expert, templates=templates, topics=topics))


def counted(label: str, count: int, prompts: int) -> Sample:
    """A side of so many exclusive features."""
    return Sample(label=label, measure="exclusive features", unit="features", mean=count, n=prompts)


def test_a_count_is_told_as_a_whole() -> None:
    """Two features of novice alone, on 8 prompts; nothing is near a threshold."""
    of = styles((1, 1, 0, 1), (0, 0, 1, 1), topics=TOPICS[:2])
    count = exclusive_features(of["novice"], of["expert"])
    assert repr(count) == "exclusive_features(novice, expert)"
    assert sample_of(count.summary, Terms()) == counted("novice", 2, 8)
    assert (count.summary.name, count.summary.origin) == ("exclusive features of novice", "novice")


def test_the_evidence_over_templates_as_a_whole() -> None:
    """Four templates a style: the labels as they are and their mirror, of 70 relabelings."""
    evidence = compared(styles((1, 1, 1, 0, 1), (0, 0, 0, 1, 1), topics=TOPICS[:2]))
    assert evidence.rule.startswith("a feature that fires on both sides is exclusive to neither")
    assert replace(evidence, rule="") == Evidence(
        kind="exclusive",
        statement=STATEMENT,
        outcome="supported",
        reason="3 against 1 features, p = 0.029 under permuted labels: more than chance",
        scope="these 4 + 4 templates",
        unit="features",
        estimate=2,
        p=2 / 70,
        one_sided=1 / 70,
        alpha=0.05,
        test="exact permutation of labels over 4 + 4 templates (all 70)",
        units="templates",
        n_units=(4, 4),
        samples=(  # they fire in all of four wordings, so that fewer would show them too
            replace(counted("novice", 3, 8), rarefied=((3.0, 0.0),) * 4),
            replace(counted("expert", 1, 8), rarefied=((1.0, 0.0),) * 4),
        ),
        unit_values=tuple(
            UnitValue(side=style, unit=f"{style} {letter}: {{topic}}", value=value)
            for style, value in (("novice", 4), ("expert", 2))
            for letter in "ABCD"
        ),
        patterns=(("00001111", 1), ("11110000", 3), ("11111111", 1)),
    )


def test_the_evidence_over_topics_as_a_whole() -> None:
    """Under one wording three topics cannot decide: 2 of 8 exchanges are as far apart."""
    evidence = compared(styles((1, 1, 0), (0, 1, 0), templates="A", topics=TOPICS[:3]), alpha=0.1)
    assert replace(evidence, rule="") == Evidence(
        kind="exclusive",
        statement=STATEMENT,
        outcome="inconclusive",
        reason="1 against 0 features, p = 0.25 under permuted labels: not distinguished from chance; "
        "3 topics cannot reach it, 5 can",
        scope="this wording only, over 3 topics",
        unit="features",
        estimate=1,
        p=0.25,
        one_sided=0.125,
        alpha=0.1,
        test="exact permutation of labels within 3 topics (all 8)",
        units="topics",
        n_units=(3, 3),
        samples=(counted("novice", 1, 3), counted("expert", 0, 3)),
        unit_values=tuple(
            UnitValue(side=style, unit=topic, value=value)
            for style, value in (("novice", 2), ("expert", 1))
            for topic in sorted(TOPICS[:3])
        ),
        patterns=(("111000", 1), ("111111", 1)),
        needed=Needed(units="topics", have=3, wanted=5, prompts=10),
    )


def test_the_evidence_of_a_lone_prompt_a_side_as_a_whole() -> None:
    """Nothing to permute: the two counts, their difference and why there is no test."""
    evidence = compared(styles((1, 1, 0), (0, 0, 1), templates="A", topics=TOPICS[:1]))
    assert evidence.rule.startswith("a feature that fires on both sides is exclusive to neither")
    assert replace(evidence, rule="") == Evidence(
        kind="exclusive",
        statement=STATEMENT,
        outcome="inconclusive",
        reason="2 against 1 features, but there is a single topic under a single wording: nothing to permute",
        scope="these prompts only",
        unit="features",
        estimate=1,
        alpha=0.05,
        samples=(counted("novice", 2, 1), counted("expert", 1, 1)),
    )


def test_templates_that_are_too_many_are_drawn_by_the_seed_of_the_claim() -> None:
    """10 + 9 templates with features at random: p again by the rule, for each seed, and more draws near alpha."""
    rng = np.random.default_rng(1)
    rows = [
        (style, letter, "tides", tuple(rng.random(60) < share))
        for style, letters, share in (("novice", "ABCDEFGHIJ", 0.06), ("expert", "ABCDEFGHI", 0.05))
        for letter in letters
    ]
    units = np.array([acts for *_, acts in rows], dtype=bool)

    def by_the_rule(seed: int) -> float:
        first = np.argsort(np.random.default_rng(seed).random((19_999, 19)), axis=1) < 10
        sizes = (first @ units).sum(axis=1) - (~first @ units).sum(axis=1)  # a feature on a side counts once
        observed = int(units[:10].any(axis=0).sum()) - int(units[10:].any(axis=0).sum())
        assert observed > 0
        return 2 * (1 + int((sizes >= observed).sum())) / 20_000

    for seed in (0, 1):
        evidence = compared(features(rows), seed=seed)
        assert (evidence.p, evidence.seed) == (by_the_rule(seed), seed)
        assert evidence.test == "sampled permutation of labels over 10 + 9 templates (19,999 drawn)"
    assert "(199,999 drawn)" in (compared(features(rows), alpha=by_the_rule(0) + 0.012).test or "")


def test_a_p_of_alpha_itself_is_not_below_it() -> None:
    """2 of 70 relabelings at an alpha of 2/70: open, 5 templates are asked for, and random features explain nothing."""
    of = styles((1, 1, 0), (0, 0, 1), topics=TOPICS[:2])
    of = replace(of, conditions={"random-sae": (lambda: of,) * 40})
    evidence = compared(of, "random-sae", alpha=2 / 70)
    assert evidence.outcome == "inconclusive"
    assert evidence.reason == (
        "2 against 1 features, p = 0.029 under permuted labels: not distinguished from chance; "
        "4 templates a style cannot reach it, 5 can"
    )
    assert evidence.needed == Needed(units="templates a style", have=4, wanted=5, prompts=20)
    (control,) = evidence.controls
    assert (control.share, control.answer) == (0, "cannot tell")


def test_units_that_could_have_decided_ask_for_no_more() -> None:
    """Two of four novice templates fire feature 0: they stand together in 30 of 70 relabelings."""
    rows = crossed("novice", (1, 1), templates="AB", topics=TOPICS[:1])
    rows += crossed("novice", (0, 1), templates="CD", topics=TOPICS[:1])
    rows += crossed("expert", (0, 1), templates="ABCD", topics=TOPICS[:1])
    evidence = compared(features(rows))
    # both templates that fire it are on one side in 2 * 15 of 70 relabelings; else it fires on both
    assert (evidence.p, evidence.needed) == (30 / 70, None)
    assert evidence.reason == "1 against 0 features, p = 0.43 under permuted labels: not distinguished from chance"


def test_a_claim_that_random_features_leave_open_is_told_with_its_numbers() -> None:
    """Two of 26 draws show as much as the claim does, which settles its rank."""
    there, none = (styles((1, 1, 0), (0, 1, 0), topics=TOPICS[:1]), styles((0, 1, 0), (0, 1, 0), topics=TOPICS[:1]))
    of = replace(
        there, conditions={"random-sae": (lambda: there, *(lambda: none,) * 24, lambda: there, *(lambda: none,) * 14)}
    )
    evidence = compared(of, "random-sae")
    (control,) = evidence.controls
    assert (evidence.outcome, control.p, control.answer) == ("inconclusive", 2 / 26, "cannot tell")
    assert evidence.reason == (
        f"1 against 0 features, p = 0.029 under permuted labels, but not distinguished from random features: "
        f"{control.detail}"
    )


def test_a_feature_is_open_on_the_side_on_which_rounding_decides() -> None:
    """Feature 1 may fire on novice and does not on expert; whether it counts for expert is no question."""
    both = styles((1, 1e-6, 0), (0, 0, 1), templates="AB", topics=TOPICS[:1])
    near = near_rows([np.array([1]), np.array([1]), np.array([]), np.array([])], d_sae=3)
    both = replace(both, near=near.astype(bool), tolerance=1e-4)
    novice, expert = both["novice"], both["expert"]
    assert exclusive_features(novice, expert).summary.near_threshold == (
        "rounding decides whether 1 feature counts, which is within rounding of its threshold "
        "(0.0001 of the stream's norm)"
    )
    assert exclusive_features(expert, novice).summary.near_threshold is None


@pytest.mark.parametrize(
    ("novice", "expert", "outcome", "explains"),
    [
        ((1, 1, 0), (0, 1, 0), "explained", True),  # a single feature, and random ones show it too
        ((0, 1, 0), (1, 1, 0), "refuted", False),  # the contrary already, which nothing has to explain
        ((0, 1, 0), (0, 1, 0), "inconclusive", False),  # no difference
    ],
)
def test_only_what_is_found_can_be_reproduced(
    novice: tuple[float, ...],
    expert: tuple[float, ...],
    outcome: str,
    explains: bool,  # noqa: FBT001
) -> None:
    """Random features that show 1 more for novice than for expert, whatever the claim shows."""
    there = styles((1, 1, 0), (0, 1, 0), topics=TOPICS[:2])
    of = replace(styles(novice, expert, topics=TOPICS[:2]), conditions={"random-sae": (lambda: there,) * 40})
    evidence = compared(of, "random-sae")
    (control,) = evidence.controls
    assert (evidence.outcome, control.answer) == (outcome, "explains" if explains else "cannot tell")
    assert ("explained by random-sae" in evidence.reason) == explains


def test_controls_are_run_and_told_in_the_order_of_the_claim() -> None:
    """What was not read first and activity second, each with its own words."""
    of = styles((1, 1, 1, 1, 0), (0, 0, 0, 0, 1), topics=TOPICS[:1])
    evidence = compared(of, "injection", "activity", seed=7)
    assert [control.name for control in evidence.controls] == ["injection", "activity"]
    # 16 firings beside 4: of four features with 4 firings each (3/4)^4 are lost
    left = 4 * (1 - 0.75**4) - 1
    injection, activity = evidence.controls
    assert injection.detail == "nothing was read for the control injection on hand"
    assert activity.estimate == pytest.approx(left)
    assert activity.detail.startswith(
        "novice has 16 active features on the tokens read and expert 4; with equally many (mean over 20 random "
        f"thinnings, seed 7) {left:+.3g} features of +3 are left"
    )
    assert re.search(r"thinnings, seed 7\b", activity.detail)


def test_what_is_refused_is_told_in_full() -> None:
    """Controls of other kinds, and counts that are not each other's reverse, be it in one side or in the subject."""
    of = styles((1, 0), (0, 1))
    refused = (
        "the control wording cannot be applied to exclusive features: it is one of a comparison of two measurements; "
        "there are here: activity, injection, random-model, random-sae. Take it from controls=..., or put the "
        "comparison into a claim of its own"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(refused)}$"):
        compared(of, "activity", "wording")
    rows = [(style, letter, "tides", (1, 1)) for style in ("novice", "expert", "guru") for letter in "AB"]
    three = features(rows)
    novice, expert, guru = three["novice"], three["expert"], three["guru"]
    told = "^" + re.escape(
        "compare exclusive_features(a, b) with exclusive_features(b, a) of the same two styles"
    ) + "$"  # fmt: skip
    for more, less in (((novice, expert), (expert, guru)), ((novice, guru), (expert, novice))):
        with pytest.raises(TypeError, match=told):
            _ = exclusive_features(*more) > exclusive_features(*less)
    other = replace(expert, subject="another")
    with pytest.raises(TypeError, match=told):
        _ = exclusive_features(novice, expert) > exclusive_features(other, novice)


# recorded


def recorded(style: str, exclusive: dict[str, int]) -> RecordedStyle:
    """What a record of counts alone tells of a style."""
    return RecordedStyle(
        style=style,
        quantities={},
        firing_rates={},
        exclusive={
            other: Summary(
                measure="exclusive features",
                label=style,
                unit="features",
                value=count,
                n=None,
                origin="feature_diff.json",
            )
            for other, count in exclusive.items()
        },
        n_at_least=None,
        origin="feature_diff.json",
    )


def test_recorded_counts_as_a_whole() -> None:
    """Seven against three of a record, in either order of writing: told, and nothing decided."""
    novice, expert = recorded("novice", {"expert": 7, "guru": 1}), recorded("expert", {"novice": 3})
    expected = Evidence(
        kind="exclusive",
        statement=STATEMENT,
        outcome="inconclusive",
        reason="only summaries are recorded, 7 against 3 features: without the values of each prompt nothing separates "
        "chance from effect; a features_layer50.pt of the same run would decide it",
        scope="the recorded summaries",
        unit="features",
        estimate=4,
        samples=tuple(
            Sample(label=style, measure="exclusive features", unit="features", mean=count, n=None)
            for style, count in (("novice", 7), ("expert", 3))
        ),
        rule="a mean without the values behind it decides nothing",
    )
    assert (exclusive_features(novice, expert) > exclusive_features(expert, novice)) == expected
    assert (exclusive_features(expert, novice) < exclusive_features(novice, expert)) == expected
    assert repr(exclusive_features(novice, expert)) == "exclusive_features(novice, expert)"


def test_a_recorded_style_is_the_same_only_as_itself() -> None:
    """Another record of the same style is not compared with it, nor is a capture."""
    novice, expert = recorded("novice", {"expert": 7}), recorded("expert", {"novice": 3})
    captured = styles((1, 0), (0, 1))["novice"]
    told = r"of the same two styles$"
    for other in (recorded("novice", {"expert": 7}), captured):
        with pytest.raises(TypeError, match=told):
            _ = exclusive_features(novice, expert) > exclusive_features(expert, other)
        with pytest.raises(TypeError, match=told):
            _ = exclusive_features(other, expert) > exclusive_features(expert, novice)


def test_a_record_beside_a_capture_is_refused() -> None:
    """One side is counted over prompts and the other is not; which of them does not matter."""
    captured, record = styles((1, 0), (0, 1))["novice"], recorded("expert", {"novice": 3})
    for one, other in ((captured, record), (record, captured)):
        with pytest.raises(TypeError, match=r"^one side is recorded and the other captured; compare like with like$"):
            _ = exclusive_features(one, other) > exclusive_features(other, one)


def test_a_count_that_is_not_recorded_is_not_run() -> None:
    """The record tells of expert beside novice alone."""
    expert, guru = recorded("expert", {"novice": 3}), recorded("guru", {})
    with pytest.raises(
        NotRun,
        match=r"^feature_diff\.json does not say which features are exclusive to expert compared with guru$",
    ):
        _ = exclusive_features(expert, guru).summary

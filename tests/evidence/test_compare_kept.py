"""What evidence keeps of a comparison, be it decided, open or without a test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from controlled import elsewhere, failing, numbered, under_controls
from grids import family, grid, summary, templates

from saeprobe.claims import NotRun, published
from saeprobe.evidence import Evidence, Recorder, Terms, UnitValue, recording
from saeprobe.evidence import units as needs
from saeprobe.evidence.compare import about, every, ordering
from saeprobe.evidence.units import sample_of
from saeprobe.statistics.shifts import paired_shift

novice, expert = templates("novice", (10, 11, 12, 13)), templates("expert", (1, 2, 3, 4))
NUMBERED, LOWER = numbered("novice", (10, 11, 12, 13)), numbered("expert", (1, 2, 3, 4))
one, other = grid("novice", [[3.0, 5.0]]), grid("expert", [[1.0, 2.0]])


# without a test


def test_bare_means_keep_their_unit_and_say_what_would_decide() -> None:
    """Two means of 2 and 1 differ by 1, and that is all there is."""
    evidence = summary("novice", 2.0) > summary("expert", 1.0)
    assert (evidence.unit, evidence.scope, evidence.estimate) == ("features", "the recorded summaries", 1.0)
    assert evidence.reason == (
        "only summaries are recorded, 2 against 1 features: without the values of each prompt nothing separates chance "
        "from effect; a features_layer50.pt of the same run would decide it"
    )


def test_a_comparison_that_cannot_be_tested_keeps_its_sentence_and_numbers() -> None:
    """One wording each, and a claim about wordings: 4 against 1.5 features, and a reason."""
    with recording(Recorder(over=("templates",))):
        greater, beyond, equal = one > other, one > other + 1, one == about(other, margin=4.0)
    for evidence in (greater, beyond, equal):
        assert (evidence.outcome, evidence.unit, evidence.p) == ("inconclusive", "features", None)
        assert [(sample.label, sample.mean) for sample in evidence.samples] == [("novice", 4.0), ("expert", 1.5)]
        assert "wording" in evidence.reason
    assert [evidence.kind for evidence in (greater, beyond, equal)] == ["greater", "at least", "about equal"]
    assert [evidence.estimate for evidence in (greater, beyond, equal)] == [2.5, 1.5, 2.5]
    assert [evidence.margin for evidence in (greater, beyond, equal)] == [None, 1.0, 4.0]
    assert [evidence.statement for evidence in (greater, beyond, equal)] == [
        "l0 of novice > l0 of expert",
        "l0 of novice > l0 of expert + 1 features",
        "l0 of novice = l0 of expert ± 4 features",
    ]


# with one


def test_drawn_relabelings_keep_their_seed() -> None:
    """Nineteen templates a side are too many to count; the seed of the run draws them, and its p comes again."""
    a = templates("novice", [float(number % 5) + 0.3 for number in range(19)])
    b = templates("expert", [float(number % 5) for number in range(19)])
    with recording(Recorder(seed=5)):
        first, again, near = a > b, a > b, a == about(b, margin=1.0)
    with recording(Recorder(seed=6)):
        other = a > b
    assert (first.seed, near.seed, other.seed) == (5, 5, 6)
    assert first.p == again.p
    assert first.interval == again.interval != other.interval


def test_continuations_are_kept_beside_their_side() -> None:
    """A few texts of either side, for the reader."""
    a = replace(novice, continuations=(("tell me", "once"),))
    b = replace(expert, continuations=(("prove", "let"), ("show", "so")))
    assert (a > b).continuations == (
        ("novice", "tell me", "once"),
        ("expert", "prove", "let"),
        ("expert", "show", "so"),
    )


def test_the_topics_that_both_have_are_counted() -> None:
    """Sides that share one topic, or two, of their three say so: the difference is that on the shared ones."""
    rows = [[10.0, 11.0, 12.0]] * 2 + [[13.0, 14.0, 15.0]] * 2
    low = [[1.0, 2.0, 3.0]] * 2 + [[4.0, 5.0, 6.0]] * 2
    a = grid("novice", rows, topics=("x", "y", "z"))
    of_two = (a > grid("expert", low, topics=("x", "y", "w"))).reason
    of_one = (a > grid("expert", low, topics=("x", "v", "w"))).reason
    assert of_two == "12 against 3 features, a difference of +9 on the 2 topics that both have, p = 0.029"
    assert of_one == "11.5 against 2.5 features, a difference of +9 on the topic that both have, p = 0.029"


def test_p_at_alpha_is_open_and_told_what_would_decide() -> None:
    """4 + 4 templates reach 2/70: at that very alpha they decide nothing, and more are asked for."""
    with recording(Recorder(alpha=2 / 70)):
        evidence = novice > expert
    assert evidence.outcome == "inconclusive"
    assert evidence.needed is not None
    assert evidence.needed.wanted == 5  # 2 of 252 relabelings


def test_all_against_none_on_too_few_units_is_told_without_a_need() -> None:
    """Three templates a side decide nothing; their spread is 0, so that no plan can be reckoned."""
    share = {"measure": "firing rate", "unit": "share of prompts"}
    evidence = grid("novice", [[1.0, 1.0]] * 3, **share) > grid("expert", [[0.0, 0.0]] * 3, **share)
    assert (evidence.outcome, evidence.needed) == ("inconclusive", None)
    assert evidence.reason == (
        "100 % against 0 % of prompts, a difference of +100 points, p = 1: not distinguished at alpha = 0.05"
    )


@pytest.mark.parametrize("raised", [(10, 20, 30, 40, 50), (-2, -1, 0, 1, 2)])
def test_pairs_that_cannot_reach_alpha_need_as_many_as_pairs_do(raised: tuple[float, ...]) -> None:
    """Five topics have 2/32; six have 2/64, below 0.05, whatever the effect. Four a side would do for templates."""
    level = (1.0, 2.0, 3.0, 4.0, 5.0)
    above = [one + by for one, by in zip(level, raised, strict=True)]
    evidence = grid("novice", [above]) > grid("expert", [level])
    assert evidence.needed is not None
    assert (evidence.needed.have, evidence.needed.wanted, evidence.needed.prompts) == (5, 6, 12)


def test_what_reaches_alpha_itself_cannot_decide() -> None:
    """Five pairs reach 2/32, which is not below 2/32: six pairs, or five templates a style (2/252), can."""
    shift = paired_shift(np.array([1.0, 2, 3, 4, 5]), alpha=2 / 32, seed=0)
    told = needs.needed_in_words(needs.needed("topics", 5, 6, a_unit=2), shift)
    assert told == "5 topics cannot reach it whatever the values; 6 can"


def test_the_rule_of_a_margin_speaks_of_what_exceeds_it() -> None:
    """A reader applies it to what is left, not to the difference."""
    assert (novice > expert + 5).rule.startswith(
        "supported where the two-sided p is below alpha = 0.05 and what of the difference exceeds the margin is above "
        "zero; refuted where p is below alpha"
    )


def test_the_rule_says_how_each_control_is_judged() -> None:
    """What controls do to the comparison stands in its rule, and how each answers in its own."""
    evidence = under_controls(
        elsewhere(NUMBERED, (1.0, 2, 3, 4)),
        elsewhere(LOWER, (1.0, 2, 3, 4)),
        "wording",
        "injection",
    )
    start = "supported where the two-sided p is below alpha = 0.05 and the difference of the means is above zero"
    rest = (
        ". Where this supports it, a control that explains the effect makes it explained, and else one that cannot "
        "tell leaves it inconclusive; each control has its own rule. A template's value is "
    )
    assert ["var(L)" in control.rule for control in evidence.controls] == [False, True]
    assert evidence.rule.startswith(start)
    assert rest in evidence.rule


def test_a_control_that_could_not_be_run_leaves_the_numbers_of_the_comparison() -> None:
    """They stand before what could not be done."""
    a, b = (failing(side, lambda: NotRun("nothing is recorded")) for side in (NUMBERED, LOWER))
    evidence = under_controls(a, b, "injection")
    assert evidence.outcome == "inconclusive"
    assert evidence.reason.startswith(
        "11.5 against 2.5 features, a difference of +9, p = 0.029, but the control for injection could not be run: "
    )


# a number


def test_a_bound_keeps_its_numbers_in_every_reason() -> None:
    """Decided, open and without spread."""
    near = templates("novice", (1.25, 1.5, 1.75, 1.5, 1.25, 1.75))
    assert (near > 1.0).reason == "1.5 features against 1, p = 0.031"
    assert (near > 1.0).outcome == "supported"
    assert (near < 1.0).outcome == "refuted"
    flips = "exact sign flips of 6 paired differences (all 64)"
    assert (near > 1.0).test == f"{flips} or Hall's transformation, the larger p"
    assert (near > 1.5).reason.startswith(
        "1.5 features against 1.5, p = 1: not distinguished at alpha = 0.05. At this "
    )
    flat = templates("novice", (2, 2, 2, 2))
    assert (flat > 1.0).reason == "2 features against 1, p = 0.12, without any spread between units"


@pytest.mark.parametrize("bound", [1.0, 12.0])
def test_a_bound_on_five_units_needs_a_sixth(bound: float) -> None:
    """2/32 is above 0.05 and 2/64 is not, be the bound far from their mean of 12 or at it."""
    evidence = templates("novice", (10, 11, 12, 13, 14)) > bound
    assert evidence.needed is not None
    assert (evidence.needed.wanted, evidence.needed.prompts) == (6, 18)


# equality


def test_sides_of_unlike_number_are_told_by_the_first() -> None:
    """2 + 3 templates have 10 relabelings: no interval at 90 %."""
    evidence = templates("novice", (10, 11)) == about(templates("expert", (10, 11, 12)), margin=5.0)
    assert "; 2 units give no interval to hold against ± 5" in evidence.reason


def test_on_the_edge_of_the_margin_units_are_what_the_test_needs() -> None:
    """11.5 less 10.5 is the margin itself. 2 + 2 templates cannot reach 10 %, nor can 3 + 3 (2/20): 4 + 4 can."""
    evidence = templates("novice", (11, 12)) == about(templates("expert", (10, 11)), margin=1.0)
    assert evidence.needed is not None
    assert (evidence.needed.have, evidence.needed.wanted) == (2, 4)


def test_equality_has_its_rule() -> None:
    """With its end in words."""
    assert (
        "below alpha; inconclusive otherwise, and where the units show no spread. A template's value is "
        in (novice == about(expert, margin=1.0)).rule
    )


def test_p_at_alpha_is_neither_equality_nor_its_contrary() -> None:
    """Six differences of 1 to 6 against 7: all signs are one way, p = 1/64; against 0 likewise."""
    a = grid("novice", [[1.0, 12, 23, 34, 45, 56]], topics="abcdef")
    b = grid("expert", [[0.0, 10, 20, 30, 40, 50]], topics="abcdef")
    for alpha, words in ((1 / 64, ("inconclusive", "inconclusive")), (0.02, ("supported", "refuted"))):
        with recording(Recorder(alpha=alpha)):
            assert ((a == about(b, margin=7.0)).outcome, (a == about(b, margin=0.5)).outcome) == words


# several


def test_a_whole_keeps_the_unit_of_its_parts() -> None:
    """Of two comparisons of features it is features."""
    assert (novice > every([expert, templates("guru", (0, 1, 2, 3))])).unit == "features"


def test_each_explained_step_of_an_ordering_is_told() -> None:
    """One after another, each with its reason."""
    parts = [
        Evidence(
            kind="greater",
            statement=statement,
            outcome="explained",
            reason=f"explained {statement}",
            scope="here",
            unit="features",
            estimate=1.0,
            samples=(sample_of(summary(statement[0], 1.0), Terms()),),
        )
        for statement in ("a > b", "b > c")
    ]
    assert ordering(["a", "b", "c"], parts).reason.startswith(
        "explained: a > b, b > c. a > b: explained a > b. b > c: explained b > c. As measured: "
    )


# a printed number


def test_a_reading_keeps_its_sentence_and_its_means() -> None:
    """Each style's mean over its prompts, with its unit and its values."""
    evidence = family(grid("novice", [[137.0, 138.0]])) == published(novice=137.5, unit="features")
    assert (evidence.statement, evidence.unit) == ("l0 as printed, on the same prompts", "features")
    assert [sample.values for sample in evidence.samples] == [(137.0, 138.0)]
    assert evidence.unit_values == (UnitValue(side="novice", unit="mean of its prompts", value=137.5),)


def test_a_printed_zero_is_a_number_like_others() -> None:
    """0.4 rounds to 0, and 0.6 does not; 0.0016 does not round to 0.001."""
    assert (family(grid("novice", [[0.4]])) == published(novice=0, unit="features")).outcome == "supported"
    assert (family(grid("novice", [[0.6]])) == published(novice=0, unit="features")).outcome == "refuted"
    small = published(novice="0.001", unit="features")
    assert (family(grid("novice", [[0.0015005]])) == small).outcome == "refuted"

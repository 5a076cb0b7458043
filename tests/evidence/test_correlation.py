"""Correlation of two measures over the same prompts."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from grids import family, grid, summary
from scipy.stats import pearsonr

from saeprobe.claims import NotRun
from saeprobe.evidence import Needed, Recorder, recording
from saeprobe.evidence.correlation import Correlation, correlation
from saeprobe.evidence.values import Measurement
from saeprobe.files import span

Table = list[list[float]]


def two(a: Table, b: Table, *, topics: tuple[str, ...] | None = None) -> tuple[Measurement, Measurement]:
    """Two measures of the same prompts: a row a template, a column a topic."""
    more = {} if topics is None else {"topics": topics}
    return (
        grid("novice", a, measure="effective rank", unit="dimensions", **more),  # type: ignore[arg-type]
        grid("novice", b, measure="tokens", unit="tokens", **more),  # type: ignore[arg-type]
    )


def made(n_templates: int, noise: float, *, seed: int, n_topics: int = 6, slope: float = 1.0) -> Correlation:
    """Both measures follow one value of each template, and noise of their own."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 1, (n_templates, 1))
    a = level + noise * rng.normal(0, 1, (n_templates, n_topics))
    b = slope * level + noise * rng.normal(0, 1, (n_templates, n_topics))
    return correlation(*two(a.tolist(), b.tolist()))


def test_r_is_pearsons_over_prompts() -> None:
    """The estimate agrees with scipy's pearsonr over all prompts."""
    of = made(6, 0.5, seed=1)
    evidence = of > 0.3
    assert evidence.estimate == pytest.approx(pearsonr(of.a.values, of.b.values).statistic)
    assert of.value == evidence.estimate
    assert (evidence.kind, evidence.unit) == ("correlation", "Pearson's r")
    assert evidence.statement == "correlation of effective rank and tokens over novice > 0.3"
    assert repr(of) == f"<correlation of effective rank and tokens over novice: {of.value:.4g}, 36 prompts>"


def test_a_strong_correlation_supports_a_bound_below_it_and_refutes_one_above() -> None:
    """R is about 0.95 over eight wordings; the interval decides, from both sides of the sentence."""
    of = made(8, 0.2, seed=2)
    assert 0.9 < of.value < 0.99
    with recording(Recorder()) as recorder:
        low, high = of > 0.5, of > 0.999
        contrary, below = of < 0.5, of < 0.999
    assert recorder.evidence == [low, high, contrary, below]
    assert (low.outcome, high.outcome, contrary.outcome, below.outcome) == (
        "supported",
        "refuted",
        "refuted",
        "supported",
    )
    assert (low.units, low.n_units, low.scope) == ("templates", (8,), "these 8 templates")
    assert low.interval == high.interval
    assert (low.level, low.alpha, low.seed) == (0.95, 0.05, None)
    assert low.test == "interval over 8 whole templates, by the jackknife of Fisher's z"
    assert low.interval is not None
    assert low.reason.startswith(
        f"r = {of.value:.3g} over 48 prompts of 8 templates, interval {span(low.interval)} against 0.5; where wordings"
    )
    assert low.rule.startswith(
        "supported where the whole 95% interval over units lies above 0.5; refuted where it lies below it; "
        "inconclusive otherwise. On Fisher's scale"
    )
    assert low.rule.endswith("r is that of the values of all prompts")
    assert "lies below 0.5; refuted where it lies above it" in contrary.rule


# against nothing


def test_no_correlation_is_held_against_permuted_templates() -> None:
    """Beside 0, p gives each template's block the block of another: all 120 orders of five, worked by hand."""
    rng = np.random.default_rng(4)
    level = np.array([[-3.0], [-1], [0], [1], [3]])
    a, b = level + rng.normal(0, 0.1, (5, 5)), level + rng.normal(0, 0.1, (5, 5))
    of = correlation(*two(a.tolist(), b.tolist()))
    evidence = of > 0
    found = [pearsonr(a.ravel(), b[list(order)].ravel()).statistic for order in permutations(range(5))]
    reached = [r >= of.value - 1e-12 for r in found]
    assert evidence.p == pytest.approx(2 * sum(reached) / 120) == pytest.approx(2 / 120)
    assert evidence.p == pytest.approx(2 / 120)
    assert (evidence.outcome, evidence.seed) == ("supported", 0)
    assert evidence.test is not None
    assert evidence.test.startswith("exact permutation of 5 whole units (all 120), two-sided; interval over 5")
    assert evidence.reason.endswith("against 0, p = 0.017")
    assert evidence.rule.startswith(
        "supported where the whole 95% interval over units lies above 0 and p, twice the permutation p to the "
        "side of r, is below alpha = 0.05; refuted where it lies below it and p is below alpha; inconclusive "
        "otherwise. "
    )
    assert evidence.rule.endswith(
        ". r with the second measure of another unit, to the side of r, counted double, came out at least as large in "
        "1 of 120 ways (permutation of 5 whole units)"
    )
    contrary = of < 0
    assert contrary.outcome == "refuted"
    assert (contrary.p, contrary.one_sided) == pytest.approx((2 / 120, 1.0))  # 1 by the interval
    with recording(Recorder(alpha=2 / 120)):
        assert (of > 0).outcome == (of < 0).outcome == "inconclusive"
        assert (of > 0).needed == Needed(units="templates", have=5, wanted=6, prompts=30)  # one more, at the least
    with recording(Recorder(alpha=2 / 120 + 1e-9)):
        assert ((of > 0).outcome, (of < 0).outcome) == ("supported", "refuted")


def test_a_correlation_against_the_sentence_has_a_large_one_sided_p() -> None:
    """One measure rises as the other falls, farther than in any other of 24 orders."""
    up = [[-3.0, -3.2], [-1.0, -0.9], [1.0, 1.3], [3.0, 2.8]]
    down = [[3.1, 2.9], [1.2, 0.9], [-1.0, -0.8], [-2.9, -3.2]]
    of = correlation(*two(up, down))
    assert (of > 0).p == (of < 0).p == pytest.approx(2 / 24)
    assert ((of > 0).one_sided, (of < 0).one_sided) == pytest.approx((1.0, 1 / 24))  # 23 / 24, and 1 by the interval


def test_drawn_orders_are_held_against_the_claims_alpha_and_seed() -> None:
    """Eight templates have 40,320 orders, too many to list: those of a seed are the same ones again."""
    of = made(8, 1.0, seed=7, slope=0.0)
    with recording(Recorder(alpha=0.01)):
        first, again = of > 0, of > 0
    assert first.p == again.p
    assert first.p is not None
    assert 0.01 < first.p < 1


def test_templates_on_different_topics_are_permuted_by_their_means() -> None:
    """Where blocks do not match cell by cell the means of the templates change places."""
    level = [-3.0, -1, 0, 1, 3]
    whole = [[one + 0.2 * topic for topic in range(4)] for one in level]
    other = [[one + 0.1 * topic * (-1) ** row for topic in range(4)] for row, one in enumerate(level)]
    a, b = two(whole, other)
    keep = [index for index in range(20) if index != 7]  # the second template lacks a topic
    lacking = [
        Measurement(
            measure=of.measure,
            label=of.label,
            unit=of.unit,
            values=of.values[keep],
            prompts=tuple(of.prompts[index] for index in keep),
        )
        for of in (a, b)
    ]
    evidence = correlation(lacking[0], lacking[1]) > 0
    mean_a, mean_b = ([np.mean(of.values[rows]) for rows in np.split(np.arange(19), [4, 7, 11, 15])] for of in lacking)
    found = pearsonr(mean_a, mean_b).statistic
    reached = [
        pearsonr(mean_a, [mean_b[unit] for unit in order]).statistic >= found - 1e-12
        for order in permutations(range(5))
    ]
    assert evidence.p == pytest.approx(2 * sum(reached) / 120)
    assert evidence.test is not None
    assert "exact permutation of 5 means of units (all 120), two-sided" in evidence.test
    assert [unit.value for unit in evidence.unit_values] == pytest.approx([*mean_a, *mean_b])


def test_measures_that_have_nothing_to_do_with_each_other_are_open() -> None:
    """No correlation is neither above nor below 0, nor within any plan's reach of a bound."""
    of = made(8, 1.0, seed=7, slope=0.0)
    evidence = of > 0
    assert evidence.outcome == (of < 0).outcome == "inconclusive"
    assert evidence.p is not None
    assert evidence.p > 0.05
    assert evidence.needed is not None
    assert "not distinguished at alpha = 0.05. " in evidence.reason


# units


def test_topics_are_the_units_of_few_wordings() -> None:
    """Three wordings on eight topics: the topics are left out in turn, and the scope keeps the wordings fixed."""
    rng = np.random.default_rng(8)
    level = rng.normal(0, 1, (1, 8))
    of = correlation(
        *two((level + 0.1 * rng.normal(0, 1, (3, 8))).tolist(), (level + 0.1 * rng.normal(0, 1, (3, 8))).tolist())
    )
    evidence = of > 0.5
    assert (evidence.units, evidence.n_units, evidence.outcome) == ("topics", (8,), "supported")
    assert evidence.scope == "these 3 templates fixed, over 8 topics"
    assert [unit.unit for unit in evidence.unit_values[:2]] == ["tides", "bridges"]
    lone = correlation(*two(level.tolist(), (2 * level + 0.1 * rng.normal(0, 1, (1, 8))).tolist())) > 0.5
    assert lone.scope == "this wording only, over 8 topics"
    assert (made(4, 0.2, seed=1) > 0.5).units == "templates"


def test_styles_with_the_same_template_are_different_wordings() -> None:
    """Two styles of two templates each are four wordings, even where the templates read alike."""
    sides: list[Measurement] = []
    for measure, rows in (("rank", [[1.0, 2, 3], [4, 5, 7]]), ("tokens", [[1.5, 2, 3], [4, 5, 6]])):
        parts = [
            grid(style, [[value + shift for value in row] for row in rows], wording="same", measure=measure)
            for style, shift in (("novice", 0.0), ("expert", 9.0))
        ]
        sides.append(family(*parts))
    evidence = correlation(*sides) > 0.5
    assert (evidence.units, evidence.n_units) == ("templates", (4,))
    assert evidence.statement == "correlation of rank and tokens over novice + expert > 0.5"
    assert {unit.unit for unit in evidence.unit_values} == {
        f"{style}: same {number}: {{topic}}" for style in ("novice", "expert") for number in (0, 1)
    }
    assert {unit.side for unit in evidence.unit_values} == {"rank of novice + expert", "tokens of novice + expert"}


def test_the_claim_names_the_units() -> None:
    """Templates or topics as declared; where both are, the less certain of the two decides."""
    rng = np.random.default_rng(9)
    level, noise = rng.normal(0, 3, (8, 1)), rng.normal(0, 1, (2, 8, 6))
    of = correlation(*two((level + noise[0]).tolist(), (level + noise[1]).tolist()))
    judged = {}
    for over in (("templates",), ("topics",), ("templates", "topics"), ("topics", "templates")):
        with recording(Recorder(over=over)):  # type: ignore[arg-type]
            judged[over] = of > 0.3
    width = {over: one.interval[1] - one.interval[0] for over, one in judged.items() if one.interval}
    assert (judged["templates",].units, judged["topics",].units) == ("templates", "topics")
    assert width["templates",] > width["topics",]
    for over in (("templates", "topics"), ("topics", "templates")):
        assert judged[over].units == "templates"
        assert judged[over].interval == judged["templates",].interval


def test_units_without_an_interval_are_the_least_certain() -> None:
    """A claim about wordings and topics, read with three wordings, is not decided by its topics."""
    rng = np.random.default_rng(8)
    level = rng.normal(0, 1, (1, 8))
    of = correlation(*two((level + 0.1 * rng.normal(0, 1, (3, 8))).tolist(), (level + 0.0 * np.ones((3, 1))).tolist()))
    with recording(Recorder(over=("topics", "templates"))):
        evidence = of > 0.5
    assert (evidence.outcome, evidence.units, evidence.interval) == ("inconclusive", "templates", None)
    assert evidence.needed == Needed(units="templates", have=3, wanted=4)
    assert "of 3 templates: at least 4 are needed for an interval over whole templates" in evidence.reason


def test_three_units_are_too_few() -> None:
    """One wording on three topics gives r and no interval."""
    evidence = correlation(*two([[1.0, 2, 3.5]], [[1.0, 2, 3]])) > 0
    assert (evidence.outcome, evidence.p, evidence.interval, evidence.test) == ("inconclusive", None, None, None)
    assert evidence.reason.endswith("3 topics: at least 4 are needed for an interval over whole topics")


# what shows nothing


@pytest.mark.parametrize("side", [0, 1])
def test_a_measure_that_does_not_vary_correlates_with_nothing(side: int) -> None:
    """Prompts of equal length have no correlation with anything; the measure is named, and no NaN is shown."""
    rows = [[[1.0, 2, 3]] * 4, [[0.3, 0.1 + 0.2, 0.3]] * 4]  # 0.1 + 0.2 differs from 0.3 by rounding alone
    of = correlation(*two(rows[side], rows[1 - side]))
    evidence = of > 0.5
    assert np.isnan(of.value)
    assert (evidence.outcome, evidence.estimate, evidence.interval, evidence.p) == ("inconclusive", None, None, None)
    name = ("tokens of novice", "effective rank of novice")[side]
    assert evidence.reason == f"{name} is the same on every prompt; a correlation needs values that differ"


def test_a_perfect_correlation_is_not_taken_for_certainty() -> None:
    """One measure is twice the other whichever unit is left out, so nothing tells how certain that is."""
    rows = [[1.0, 2, 4], [3, 5, 6], [0, 1, 1], [7, 7, 9]]
    for factor in (2.0, -2.0):
        of = correlation(*two(rows, [[factor * value for value in row] for row in rows]))
        for evidence in (of > 0.5, of < 0.5, of > 0):
            assert (evidence.outcome, evidence.interval) == ("inconclusive", None)
            assert evidence.reason.endswith("without enough spread between templates for an interval")


def test_an_open_bound_says_how_many_units_would_decide() -> None:
    """The nearer the bound the more; at r itself no number would, and each unit has six prompts."""
    of = made(6, 0.5, seed=1)
    near, nearer = of > of.value - 0.3, of > of.value - 0.2
    assert near.outcome == nearer.outcome == "inconclusive"
    assert near.needed is not None
    assert nearer.needed is not None
    assert 6 < (near.needed.wanted or 0) < (nearer.needed.wanted or 0)
    assert near.needed.prompts == 6 * (near.needed.wanted or 0)
    assert near.reason.endswith(f"About {near.needed.wanted} templates would decide it at this r and spread")
    at_r = of > of.value
    assert at_r.needed is None
    far = of > of.value - 1e-4
    assert far.needed == Needed(units="templates", have=6, wanted=None)
    assert far.reason.endswith("At this spread more than 1,000 templates would be needed")


# what is refused


def test_only_the_same_prompts_in_the_same_order_correlate() -> None:
    """Two styles, or two orders, have no pairs of values."""
    novice, tokens = two([[1.0, 2, 3]], [[1.0, 2, 3]])
    with pytest.raises(
        ValueError, match="effective rank of novice and l0 of expert were not measured on the same prompts"
    ):
        correlation(novice, grid("expert", [[1.0, 2, 3]]))
    turned = Measurement(
        measure="tokens", label="novice", unit="tokens", values=tokens.values[::-1], prompts=tokens.prompts[::-1]
    )
    with pytest.raises(ValueError, match="take both of the same styles of one capture"):
        correlation(novice, turned)


def test_a_bare_summary_correlates_with_nothing() -> None:
    """A record of means has no values to correlate: not run, whichever side it is."""
    rank, _ = two([[1.0, 2, 3]], [[1.0, 2, 3]])
    for sides in ((rank, summary("novice", 1.0)), (summary("novice", 1.0), rank)):
        with pytest.raises(NotRun, match="l0 of novice is recorded as a mean alone; a correlation needs the values of"):
            correlation(*sides)


@pytest.mark.parametrize("bound", [1, -1, 1.5, -1.5, float("nan"), float("inf")])
def test_a_bound_lies_between_minus_one_and_one(bound: float) -> None:
    """No correlation lies beyond."""
    of = made(4, 0.5, seed=1)
    for asserted in (lambda: of > bound, lambda: of < bound):
        with recording(Recorder()) as recorder, pytest.raises(ValueError, match="wanted a number between -1 and 1"):
            asserted()
        assert recorder.evidence == []


def test_a_correlation_is_compared_with_numbers_alone() -> None:
    """Not with a measurement, nor with another correlation; nor is one reckoned with."""
    of: Any = made(4, 0.5, seed=1)
    compared = (lambda: of > of.a, lambda: of < "0.9", lambda: of > made(4, 0.5, seed=1))
    for asserted in (*compared, lambda: of > 1.1 * of, lambda: of - of < 0.2, lambda: 1 - of < 0.2, lambda: of / 2 > 0):
        with pytest.raises(TypeError, match=r"against .*; compare it with a number by > or <"):
            asserted()


def test_a_correlation_takes_no_controls() -> None:
    """The rival explanations speak of a difference between styles."""
    of = made(4, 0.5, seed=1)
    with recording(Recorder(controls=("length",))), pytest.raises(TypeError, match="'correlation' takes no controls"):
        _ = of > 0.5


def test_both_measures_are_kept_with_their_values() -> None:
    """The samples hold every prompt's value, and the lines call the estimate a correlation."""
    of = made(5, 0.3, seed=11)
    evidence = of > 0.2
    assert [sample.label for sample in evidence.samples] == ["effective rank of novice", "tokens of novice"]
    assert [sample.values for sample in evidence.samples] == [tuple(of.a.values), tuple(of.b.values)]
    assert any(line.startswith("correlation 0.") and "Pearson's r, 95% interval" in line for line in evidence.lines())


def test_another_seed_does_not_move_the_verdict() -> None:
    """Nothing is drawn beside a bound, so that not even the interval moves."""
    of = made(8, 0.3, seed=12)
    found = []
    for seed in range(3):
        with recording(Recorder(seed=seed)):
            found.append(of > 0.5)
    assert len({(one.outcome, one.interval) for one in found}) == 1


def test_units_that_leave_it_open_are_less_certain_than_a_wider_interval() -> None:
    """Over topics the interval is the wider one and lies below 0.91; over templates, narrower, it does not."""
    rng = np.random.default_rng(379)
    n_templates, n_topics = int(rng.integers(4, 7)), int(rng.integers(4, 7))
    a = rng.standard_t(2, (n_templates, n_topics))
    b = a * rng.choice([0, 0.5, 1]) + rng.standard_t(2, (n_templates, n_topics))
    of = correlation(*two(a.tolist(), b.tolist()))
    found = {}
    for over in (("templates",), ("topics",), ("templates", "topics"), ("topics", "templates")):
        with recording(Recorder(over=over)):
            found[over] = of < 0.91
    templates, topics = found["templates",], found["topics",]
    assert (templates.outcome, topics.outcome) == ("inconclusive", "supported")
    assert templates.interval is not None
    assert topics.interval is not None
    assert np.ptp(templates.interval) < np.ptp(topics.interval)
    assert found["templates", "topics"].units == found["topics", "templates"].units == "templates"

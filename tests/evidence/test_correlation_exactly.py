"""Correlation to the last end of its interval, at its bound, in its sentences, and where its values barely vary."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt, tanh

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import t as student
from test_correlation import made, two

from saeprobe.evidence import Recorder, recording
from saeprobe.evidence.correlation import Correlation, correlation
from saeprobe.files import span


def whole(seed: int) -> Correlation:
    """Six templates on three topics, in whole numbers around zero, whose sums no rounding touches."""
    rng = np.random.default_rng(seed)
    level = rng.integers(-9, 10, (6, 1))
    a, b = level + rng.integers(-6, 7, (6, 3)), level + rng.integers(-6, 7, (6, 3))
    a[-1, -1] -= a.sum()
    b[-1, -1] -= b.sum()
    return correlation(*two(a.tolist(), b.tolist()))


def jackknife(of: Correlation, templates: int, *, level: float) -> tuple[float, float]:
    """The jackknife of Fisher's z from its definition, by pseudo-values: half of each tail, and around both centres."""
    a, b = of.a.values.reshape(templates, -1), of.b.values.reshape(templates, -1)
    z = np.arctanh(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    without = [
        np.arctanh(np.corrcoef(np.delete(a, row, 0).ravel(), np.delete(b, row, 0).ravel())[0, 1])
        for row in range(templates)
    ]
    pseudo = templates * z - (templates - 1) * np.array(without)
    reach = student.ppf(1 - (1 - level) / 4, templates - 1) * pseudo.std(ddof=1) / sqrt(templates)
    return tanh(min(z, pseudo.mean()) - reach), tanh(max(z, pseudo.mean()) + reach)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("seed", [2, 53, 77])
def test_the_interval_is_that_of_the_jackknife(seed: int, alpha: float) -> None:
    """Its ends are around z and around the mean of the pseudo-values, whichever is farther; nothing is drawn."""
    of = whole(seed)
    with recording(Recorder(seed=5, alpha=alpha)):
        evidence = of > 0.1
    assert evidence.interval == pytest.approx(jackknife(of, 6, level=1 - alpha), abs=1e-9)
    assert evidence.seed is None


def test_a_bound_that_is_r_itself_is_open_whatever_the_number() -> None:
    """No number of wordings is asked for, and there is no word on false sentences, as nothing is decided."""
    of = whole(53)
    evidence = of > of.value
    assert (evidence.outcome, evidence.needed, evidence.interval) == ("inconclusive", None, (of > 0.1).interval)
    assert evidence.interval is not None
    assert evidence.reason == (
        f"r = {of.value:.3g} over 18 prompts of 6 templates, interval {span(evidence.interval)} against {of.value:g}"
    )


@pytest.mark.parametrize(("bound", "above"), [(0.1, True), (-0.4, True), (0.9, False), (0.0, True), (0.0, False)])
def test_at_twice_its_one_sided_p_as_alpha_the_interval_ends_at_the_bound(bound: float, above: bool) -> None:  # noqa: FBT001
    """Beside 0 the permutation test has a p too, and the larger one counts."""
    of = whole(53)
    evidence = of > bound if above else of < bound
    p = brentq(lambda p: jackknife(of, 6, level=1 - 2 * p)[0 if above else 1] - bound, 1e-9, 2 - 1e-9)
    of_interval = min(1.0, p)
    assert evidence.claim_p == pytest.approx(of_interval if bound else max(of_interval, (evidence.p or 0.0) / 2))
    assert (evidence.one_sided is None) == bool(bound)


@pytest.mark.parametrize("between", [0.6, 0.8])
def test_a_true_bound_is_rejected_about_as_often_as_it_may_be(between: float) -> None:
    """Of 400 sets of 8 wordings with r = 0.6 at most 2.5 % reject it on a side, and the error of that."""
    rng, rejected = np.random.default_rng(1), np.zeros(2)
    for _ in range(400):
        parts = [
            np.moveaxis(rng.multivariate_normal([0, 0], [[1, r], [r, 1]], (8, topics)), -1, 0)
            for r, topics in ((between, 1), (1.2 - between, 6))
        ]
        a, b = parts[0] + parts[1]
        interval = (correlation(*two(a.tolist(), b.tolist())) > 0.1).interval
        assert interval is not None
        rejected += (interval[0] > 0.6, interval[1] < 0.6)
    assert max(rejected) <= 400 * 0.025 + 2.6 * sqrt(400 * 0.025 * 0.975)


def test_the_unit_of_a_measure_moves_nothing() -> None:
    """Values a million times smaller or larger (by a power of two, which rounds nothing) have the same interval."""
    of = whole(53)
    expected = (of > 0.1).interval
    for times in (2.0**-20, 2.0**20):
        small = (of.a.values * times).reshape(6, 3).tolist()
        other = of.b.values.reshape(6, 3).tolist()
        assert (correlation(*two(small, other)) > 0.1).interval == expected
        assert (correlation(*two(other, small)) > 0.1).interval == pytest.approx(expected, abs=1e-12)


def test_a_template_on_which_a_measure_is_level_is_a_unit_like_others() -> None:
    """It is at the mean on both topics, so that it has no r by itself."""
    level, rest = [[0.0, 0], [1, -1], [2, -3], [3, -2]], [[1.0, 2], [2, 0], [1.5, -3], [4, -1]]
    for sides in ((level, rest), (rest, level)):
        of = correlation(*two(*sides))
        evidence = of > 0.9
        assert evidence.interval == pytest.approx(jackknife(of, 4, level=0.95), abs=1e-9)
        assert evidence.outcome == "inconclusive"


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_an_interval_never_reaches_beyond_one(seed: int) -> None:
    """Two prompts of one template lie on a line, and their r is 1 but for rounding, which may pass it."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 1, (4, 1)) + rng.normal(0, 1, (4, 2))
    other = 3 * rows + rng.normal(0, 0.5, (4, 1))
    with recording(Recorder(alpha=0.001)):
        up = correlation(*two(rows.tolist(), other.tolist())) > 0.1
        down = correlation(*two(rows.tolist(), (-other).tolist())) > 0.1
    assert up.interval is not None
    assert down.interval is not None
    assert up.interval[1] == pytest.approx(1)
    assert up.interval[1] <= 1
    assert down.interval[0] == pytest.approx(-1)
    assert down.interval[0] >= -1


def test_templates_that_lie_on_a_line_but_for_one_have_no_interval() -> None:
    """Without that one r is 1, which has no Fisher's z."""
    line = [[0.0, 1, 2], [3, 4, 5], [6, 7, 8], [1, 3, 6], [9, 4, 2]]
    evidence = correlation(*two(line, [*line[:4], [1.0, 8, 2]])) > 0.5
    assert (evidence.outcome, evidence.interval) == ("inconclusive", None)
    assert evidence.reason == (
        "r = 0.616 over 15 prompts of 5 templates, without enough spread between templates for an interval"
    )


# the bound, and what is told of it


def test_an_interval_that_touches_the_bound_leaves_it_open() -> None:
    """It has to lie above or below with both of its ends, for either sentence and its contrary."""
    of = made(6, 0.5, seed=1)
    interval = (of > 0.3).interval
    assert interval is not None
    for end in interval:
        assert (of > end).outcome == (of < end).outcome == "inconclusive"
    low, high = interval
    assert ((of > low - 1e-9).outcome, (of < low - 1e-9).outcome) == ("supported", "refuted")
    assert ((of > high + 1e-9).outcome, (of < high + 1e-9).outcome) == ("refuted", "supported")


def test_an_open_sentence_is_told_in_full() -> None:
    """R, the interval beside the bound, the level and what would decide it; the sign is that of the sentence."""
    of = made(6, 0.5, seed=1)
    for sign, evidence in ((">", of > 0.6), ("<", of < 0.6)):
        assert evidence.statement == f"correlation of effective rank and tokens over novice {sign} 0.6"
        assert evidence.interval is not None
        assert evidence.needed is not None
        assert evidence.reason == (
            f"r = {of.value:.3g} over 36 prompts of 6 templates, interval {span(evidence.interval)} against 0.6: "
            f"not distinguished at alpha = 0.05. About {evidence.needed.wanted} templates would decide it "
            "at this r and spread"
        )


@pytest.mark.parametrize("bound", [0.6, 0.0])
def test_the_rule_is_told_in_full(bound: float) -> None:
    """For both sentences; beside zero with the permutation test that has to agree."""
    of = made(6, 0.5, seed=1)
    zero = bound == 0
    p = " and p, twice the permutation p to the side of r, is below alpha = 0.05" if zero else ""
    contrary = " and p is below alpha" if zero else ""
    for sides, evidence in ((("above", "below"), of > bound), (("below", "above"), of < bound)):
        assert evidence.rule.startswith(
            f"supported where the whole 95% interval over units lies {sides[0]} {bound:g}{p}; refuted where it lies "
            f"{sides[1]} it{contrary}; inconclusive otherwise. On Fisher's scale, z = atanh(r), it reaches t s below "
            "the smaller and above the larger one of z and of n z - (n - 1) m: m is the mean of z without each unit in "
            "turn, s its jackknife error, t Student's of n - 1 at 98.75%. "
            f"{'one_sided is the larger one of p and' if zero else 'p is'} twice the share of t beyond that by which "
            "it would end at the bound. r is that of the values of all prompts"
        )
        assert (" ways (permutation of " in evidence.rule) == zero


def test_what_a_correlation_is_wrongly_compared_with_is_named() -> None:
    """By either sign, and what it takes instead."""
    of = made(4, 0.5, seed=1)
    for asserted in (lambda: of > "0.9", lambda: of < "0.9"):
        with pytest.raises(TypeError) as told:
            asserted()
        assert str(told.value) == (
            f"{of!r} against '0.9'; compare it with a number by > or <, as in: assert correlation(a, b) > 0.9"
        )


def test_units_without_an_interval_are_less_certain_than_open_ones_with_one() -> None:
    """At r itself topics are open too; three wordings, which give no interval, still are what is told."""
    rng = np.random.default_rng(8)
    level = rng.normal(0, 1, (1, 8))
    a, b = level + 0.1 * rng.normal(0, 1, (2, 3, 8))
    of = correlation(*two(a.tolist(), b.tolist()))
    with recording(Recorder(over=("topics",))):
        topics = of > of.value
    assert (topics.outcome, topics.interval is None) == ("inconclusive", False)
    for over in (("topics", "templates"), ("templates", "topics")):
        with recording(Recorder(over=over)):
            evidence = of > of.value
        assert (evidence.units, evidence.interval) == ("templates", None)


# what does not vary


def test_a_measure_that_differs_by_rounding_alone_does_not_vary() -> None:
    """However large its values are, and also where all are zero; it is the one that is named."""
    varies = [[1.0, 2, 3], [2, 3, 5], [1, 4, 2], [3, 3, 1]]
    for one in (0.0, 0.3, 0.3e9):
        flat = [[one, one * (1 + 2**-52), one]] * 4
        for sides, name in (((flat, varies), "effective rank of novice"), ((varies, flat), "tokens of novice")):
            of = correlation(*two(*sides))
            evidence = of > 0.5
            assert np.isnan(of.value)
            assert evidence.reason == f"{name} is the same on every prompt; a correlation needs values that differ"


@pytest.mark.parametrize("scale", [7.0, 1e3, 1e-6])
def test_the_interval_does_not_depend_on_the_unit_of_measurement(scale: float) -> None:
    """Thousands and millionths of it have the same interval."""
    of = made(6, 0.5, seed=23)
    scaled = correlation(replace(of.a, values=scale * of.a.values), of.b)
    assert (scaled > 0.3).interval == pytest.approx((of > 0.3).interval, rel=1e-9)


def test_a_verdict_warns_where_twice_as_wide_an_interval_would_hold_the_bound() -> None:
    """Skewed wordings whose r is not that within them come as far too often; an r far from the bound does not."""
    of = made(8, 0.2, seed=2)
    interval = (of > 0.5).interval
    assert interval is not None
    far, low = np.arctanh([of.value, interval[0]])
    for times, warns in ((1.1, True), (1.9, True), (2.1, False)):
        evidence = of > float(np.tanh(far - times * (far - low)))
        assert evidence.outcome == "supported"
        assert evidence.reason.endswith("up to 7 of 100 false sentences come as far") is warns


@pytest.mark.parametrize(("seed", "below", "above"), [(1, 0.2, 0.12), (10, 0.1, 0.1)])
def test_what_an_open_bound_needs_is_reckoned_on_fishers_scale(seed: int, below: float, above: float) -> None:
    """The end that faces the bound has to narrow to its distance, and by 0.842/2.241 more for 80 % power.

    Where the jackknife estimate is not r, as with seed 10, the two ends lie at unlike distances from r.
    """
    of = made(6, 0.5, seed=seed)
    for end, bound in ((0, of.value - below), (1, of.value + above)):
        evidence = of > bound
        assert evidence.outcome == "inconclusive"
        assert evidence.interval is not None
        assert evidence.needed is not None
        reach = abs(np.arctanh(evidence.interval[end]) - np.arctanh(of.value))
        distance = abs(np.arctanh(bound) - np.arctanh(of.value))
        assert evidence.needed.wanted == int(np.ceil(6 * ((1 + 0.8416212 / 2.2414027) * reach / distance) ** 2))


def test_an_interval_of_all_correlations_needs_no_number_of_units() -> None:
    """Three templates on a line and one far off: at alpha = 0.005 the ends are -1 and 1, whose Fisher's z is none."""
    rows = [[0.0, 1, 2], [3, 4, 5], [6, 7, 8], [100, -100, 100]]
    other = [[0.0, 1, 2], [3, 4, 5], [6, 7, 8.001], [-100, 100, 101]]
    turned = [[-value for value in row] for row in other]
    for second in (other, turned):
        of = correlation(*two(rows, second))
        with recording(Recorder(alpha=0.005)):
            for bound in (-0.9, 0.9):
                evidence = of > bound
                assert evidence.interval == pytest.approx((-1.0, 1.0), abs=1e-9)
                assert (evidence.outcome, evidence.needed) == ("inconclusive", None)

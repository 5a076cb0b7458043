"""Populations are made up of which the truth is known exactly, and beside each verdict stands the best valid test."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from known import row
from scipy import stats

from studies.calibration import best, rivals, shapes
from studies.calibration.claim import WORDS, Claimed, Terms
from studies.calibration.made import copied, framed, measured, texts
from studies.calibration.outcomes import ALLOWED, Cell, Known, Outcome, Share, cells, outcomes
from studies.calibration.page import page
from studies.calibration.study import Study

CELLS = cells()


def cell(truth: Known, **more: Any) -> Cell:
    """Make a cell of which nothing is drawn."""
    made: dict[str, Any] = {"kind": "made", "how": "by hand", "make": lambda _rng: Claimed(compare=lambda: True)}
    return Cell(truth=truth, allowed=ALLOWED[truth], **(made | more))


def outcome(of: Cell, *, best: int = 0, ours_alone: int = 0, best_alone: int = 0, **words: int) -> Outcome:
    """Make an outcome with these words."""
    return Outcome(cell=of, words=words, best=best, ours_alone=ours_alone, best_alone=best_alone)


def test_every_population_gives_a_claim_that_is_decided() -> None:
    """Each ends with a word of the study, under a name of its own; a best test stands beside a true claim."""
    cheap = [replace(one, how=str(number)) for number, one in enumerate(CELLS) if one.kind != "correlation"]
    found = list(outcomes(cheap[::3], claims=1, terms=Terms()))
    assert all(sum(one.words.values()) == 1 and set(one.words) == set(WORDS) for one in found)
    assert len({one.name for one in CELLS}) == len(CELLS)
    assert all(one.best for one in CELLS if one.truth in ("true", "moved"))


def test_the_same_seed_gives_the_same_outcomes() -> None:
    """What is drawn hangs on the seed, the population and the number of the claim."""
    one = next(one for one in CELLS if one.kind == "greater" and one.truth == "true")
    first, again = (list(outcomes([one], claims=20, terms=Terms())) for _ in range(2))
    (other,) = outcomes([one], claims=20, terms=Terms(seed=1))
    assert first == again
    assert other.words != first[0].words


def _distance(one: str, other: str) -> float:
    """Return the edit distance of words as a share of the longer text, by the whole table of Wagner and Fischer."""
    a, b = one.split(), other.split()
    table = np.add.outer(np.arange(len(a) + 1), np.arange(len(b) + 1))
    for i, j in product(range(1, len(a) + 1), range(1, len(b) + 1)):
        table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (a[i - 1] != b[j - 1]))
    return table[-1, -1] / max(len(a), len(b))


def test_wordings_resemble_each_other_only_where_a_population_asks_for_it() -> None:
    """Near copies lie at a quarter of their words or nearer, frames at a half or nearer, and all others beyond."""
    for sides in (texts(12, 24), texts(12, 12, free=4)):
        every = [template for _, templates in sides for template in templates]
        assert min(_distance(*pair) for pair in combinations(every, 2)) > 0.5
    for _, templates in copied(4, 2):
        near = {(i, j) for i, j in combinations(range(8), 2) if _distance(templates[i], templates[j]) <= 0.25}
        assert near == {(0, 1), (2, 3), (4, 5), (6, 7)}
    (_, novice), (_, expert) = framed(8)
    assert {(i, j) for i, j in product(range(8), repeat=2) if _distance(novice[i], expert[j]) <= 0.5} == {
        (i, i) for i in range(8)
    }


def test_a_wording_has_the_mean_that_was_drawn() -> None:
    """Topics have levels around it."""
    a = measured(texts(4, 4), ([1.0, 2, 3, 4], [5.0, 6, 7, 8]))["a"]
    assert a.values.reshape(4, 2).mean(axis=1) == pytest.approx([1, 2, 3, 4])
    assert np.ptp(a.values.reshape(4, 2), axis=1).min() > 0


@pytest.mark.parametrize("sizes", [(4, 4), (4, 12)])
def test_the_best_tests_are_those_of_scipy_and_statsmodels(sizes: tuple[int, int]) -> None:
    """Each is one-sided, small where the first side lies above."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 2, sizes[0]), rng.normal(0, 1, sizes[1])
    long_a, long_b = rng.normal(12, 2, sizes[0]), rng.normal(10, 2, sizes[1])
    assert best.student(a, b) == pytest.approx(stats.ttest_ind(a, b, alternative="greater").pvalue)
    assert best.welch(a, b) == pytest.approx(stats.ttest_ind(a, b, equal_var=False, alternative="greater").pvalue)
    assert best.above(a, 0.5) == pytest.approx(stats.ttest_1samp(a, 0.5, alternative="greater").pvalue)
    sides = np.r_[np.ones(sizes[0]), np.zeros(sizes[1])]
    fitted = sm.OLS(np.r_[a, b], sm.add_constant(np.c_[sides, np.r_[long_a, long_b]])).fit()
    assert best.at_equal_length(a, b, long_a, long_b) == pytest.approx(stats.t.sf(fitted.tvalues[1], sum(sizes) - 3))
    assert best.rank(2.0, np.array([1.0, 2.0, 3.0])) == 0.75  # two of three are as large


@pytest.mark.parametrize("shape", ["normal", "exponential", "lognormal"])
def test_what_is_drawn_has_mean_0_and_standard_deviation_1(shape: str) -> None:
    """A skewed shape is put on the same scale."""
    found = shapes.drawn(np.random.default_rng(0), shape, 400_000)
    assert (found.mean(), found.std()) == pytest.approx((0, 1), abs=0.05)


def test_length_makes_the_share_of_an_effect_that_is_asked_for() -> None:
    """Of 6 SD half is left at equal length, whatever the distance in length."""
    left: list[float] = []
    for seed in range(40):
        of = rivals.length(np.random.default_rng(seed), n=12, gap=20, effect=6.0, share=0.5)
        a, b = (side.values[::2] for side in _sides(of))
        tokens = [side.n_tokens[::2] for side in _sides(of)]  # type: ignore[index]
        left.append(a.mean() - b.mean() - 3 / 20 * (tokens[0].mean() - tokens[1].mean()))
    assert np.mean(left) == pytest.approx(3, abs=0.25)


def _sides(of: Claimed) -> list[Any]:
    cells = dict(zip(of.compare.__code__.co_freevars, of.compare.__closure__ or (), strict=True))
    return [cells[name].cell_contents for name in "ab"]


def test_wrong_words_are_counted_by_what_is_known() -> None:
    """A false sentence errs on both sides, a true one where it is slandered, an explained one where it is supported."""
    words = {"supported": 10, "explained": 20, "refuted": 30, "inconclusive": 40}
    assert outcome(cell("false"), **words).errors == (Share(count=10, of=100), Share(count=30, of=100))
    assert outcome(cell("true"), **words).errors == (Share(count=50, of=100),)
    assert outcome(cell("explained"), **words).errors == (Share(count=10, of=100),)
    assert outcome(cell("printed"), drifted=7, supported=93).errors == (Share(count=7, of=100),)
    assert outcome(cell("moved"), drifted=7, supported=93).power == Share(count=7, of=100)


@pytest.mark.parametrize(("count", "is_beyond"), [(6, False), (7, True)])
def test_a_wrong_word_is_beyond_what_is_allowed_with_its_whole_interval(count: int, *, is_beyond: bool) -> None:
    """6 of 100 reach down to 2.2 %, and 7 to 2.9 %, where 2.5 % are allowed."""
    assert outcome(cell("false"), supported=count, inconclusive=100 - count).beyond(0.05) == is_beyond


def test_nothing_is_allowed_of_what_was_picked_by_looking() -> None:
    """A single confirmation is beyond, and refuting is right."""
    looked = replace(cell("false"), allowed=0.0)
    assert outcome(looked, supported=1, inconclusive=99).beyond(0.05)
    assert not outcome(looked, refuted=100).beyond(0.05)


def test_power_is_short_only_beyond_chance_and_beside_a_test_that_can_be_made() -> None:
    """75 of 100 beside 90 lie 0.105 ± 0.070 below 95 % of them, 80 lie 0.055 ± 0.059; an oracle decides nothing."""
    true = replace(cell("true"), best="Student's t")
    assert outcome(true, supported=75, inconclusive=25, best=90, best_alone=15).weak
    assert not outcome(true, supported=80, inconclusive=20, best=90, best_alone=10).weak
    oracle = replace(true, best="oracle of the spread")
    assert not outcome(oracle, supported=10, inconclusive=90, best=90, best_alone=80).weak


def test_the_page_shows_a_table_by_what_is_known() -> None:
    """It marks what is beyond, says where no test can hold, and names the best valid test."""
    made = (
        outcome(cell("false", how="one"), supported=50, inconclusive=50),
        outcome(replace(cell("false", how="two"), limit="skew"), supported=50, inconclusive=50),
        outcome(
            replace(cell("true", how="three"), best="Student's t"),
            supported=50,
            inconclusive=50,
            best=100,
            best_alone=50,
        ),
        outcome(cell("explained", how="four"), explained=100),
        outcome(cell("printed", how="five"), supported=100),
    )
    study = Study(
        rows=(row("supported"), row("supported", truth="true", how="known difference")),
        terms=Terms(),
        command="python -m studies.calibration",
        fingerprints={},
        versions={},
        made=made,
    )
    text = page(study)
    assert "| made | one | 100 | 50.0 % [39.8, 60.2] **beyond** | 0.0 % [0.0, 3.6] | 2.5 % |" in text
    assert "| made | two (no test can hold: skew) | 100 | 50.0 % [39.8, 60.2] | 0.0 % [0.0, 3.6] | 2.5 % |" in text
    assert "| made | three | 100 | 50.0 % [39.8, 60.2] | 100.0 % by Student's t | 50 % **short** |" in text
    assert "| made | four | 100 | 0.0 % [0.0, 3.6] | 5 % | 100.0 % | 0.0 % |" in text
    assert "Beyond what is allowed: **made: one**." in text
    assert "Beyond it where no test can hold: **made: two**." in text

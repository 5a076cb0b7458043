"""Rates that a record counts: decided exactly without the prompts; what stands alone decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from grids import summary
from scipy.stats import binomtest, fisher_exact

from saeprobe.claims import Control, NotRun, Over, published
from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.evidence.compare import about, every, ordered
from saeprobe.evidence.correlation import correlation
from saeprobe.evidence.values import Summary
from saeprobe.features import RecordedRun


def rate(style: str, fires: int, n: int | None = 50, *, of: int = 50) -> Summary:
    """How often feature 7 fires, of `n` recorded prompts, or of a number that the record does not give."""
    found = summary(style, fires / of, measure="firing rate of feature 7", unit="share of prompts", n=n)
    return replace(found, features=(7,))


@pytest.mark.parametrize("fires", [0, 25, 44, 50])
@pytest.mark.parametrize("bound", [0.1, 0.75, 0.93])
@pytest.mark.parametrize("above", [True, False])
def test_a_counted_rate_beside_a_number_is_an_exact_binomial_test(fires: int, bound: float, above: bool) -> None:  # noqa: FBT001
    """Its p is twice the smaller of scipy's binomial tests of so many of 50, its interval scipy's at 1 - alpha."""
    of = rate("expert", fires)
    evidence = of > bound if above else of < bound
    p, against = (
        binomtest(fires, 50, bound, alternative=side).pvalue for side in (("greater", "less")[:: 1 if above else -1])
    )
    assert evidence.kind == "rate"
    assert (evidence.p, evidence.one_sided) == pytest.approx((min(1.0, 2 * p, 2 * against), p))
    assert evidence.outcome == ("supported" if p < 0.025 else "refuted" if against < 0.025 else "inconclusive")
    ends = binomtest(fires, 50).proportion_ci(0.95, method="exact")
    assert evidence.interval == pytest.approx((ends.low, ends.high))
    assert (evidence.units, evidence.n_units) == ("prompts", (50,))
    assert evidence.scope == "the 50 recorded prompts, one wording"


def test_an_open_counted_rate_says_how_many_prompts_would_decide_it() -> None:
    """4 of 5 does not exceed 75 %; no 5 of 5 would (0.75 ** 5 = 0.24), and 13 of 13 would (0.024)."""
    evidence = rate("expert", 4, 5, of=5) > 0.75
    assert evidence.outcome == "inconclusive"
    assert evidence.reason.endswith("5 prompts cannot reach it whatever the rate; 13 can")


@pytest.mark.parametrize("pair", [(50, 4), (4, 50), (30, 24), (50, 50), (0, 0)])
def test_two_counted_rates_are_held_against_each_other_by_fishers_test(pair: tuple[int, int]) -> None:
    """Supported or refuted by the sign of the difference where scipy's p of the table of counts is below alpha."""
    a, b = pair
    evidence = rate("novice", a) > rate("expert", b)
    table = np.array([[a, 50 - a], [b, 50 - b]])
    p = min(1.0, 2 * min(fisher_exact(table, alternative=side).pvalue for side in ("greater", "less")))
    assert (evidence.kind, evidence.p) == ("greater", pytest.approx(p))
    assert evidence.outcome == ("inconclusive" if p >= 0.05 else "supported" if a > b else "refuted")
    assert evidence.n_units == (50, 50)
    assert evidence.scope == "the 50 + 50 recorded prompts, one wording a style"
    assert f"{a} of 50 and {b} of 50" in evidence.reason
    assert ("the contrary holds" in evidence.reason) == (evidence.outcome == "refuted")


def test_two_counted_rates_whose_p_is_alpha_are_not_told_apart() -> None:
    """Decided is only what lies below alpha; the reason of a decided sentence is the counts and p."""
    a, b = rate("novice", 30), rate("expert", 20)
    p = (a > b).p or 0.0
    counts = f"60 % against 40 % of prompts, 30 of 50 and 20 of 50, p = {p:.2g}"
    for alpha, outcome, reason in (
        (p, "inconclusive", f"{counts}: not distinguished at alpha = {p:g}"),
        (p + 1e-9, "supported", counts),
    ):
        with recording(Recorder(alpha=alpha)):
            evidence = a > b
        assert (evidence.outcome, evidence.reason) == (outcome, reason)


Sentence = Callable[[Summary, Summary], Evidence]
MARGINS: list[tuple[Sentence, str, float, float, str]] = [
    (lambda a, b: a > b + 0.5, "at least", 0.95, 0.975, "supported"),
    (lambda a, b: a > b + 0.9, "at least", 0.95, 0.975, "inconclusive"),
    (lambda a, b: a > 20 * b, "at least", 0.95, 0.975, "inconclusive"),
    (lambda a, b: b > a + 0.1, "at least", 0.95, 0.975, "refuted"),
    (lambda a, b: a == about(b, margin=0.1), "about equal", 0.9, 0.95, "refuted"),
    (lambda a, b: a == about(b, margin=0.95), "about equal", 0.9, 0.95, "inconclusive"),
    (lambda a, b: a == about(b, margin=0.99), "about equal", 0.9, 0.95, "supported"),
]


@pytest.mark.parametrize(("compare", "kind", "level", "each", "outcome"), MARGINS)
def test_margins_on_counted_rates_are_held_against_exact_intervals(
    compare: Sentence, kind: str, level: float, each: float, outcome: str
) -> None:
    """Feature 7 fires on 50 of 50 and on 4 of 50 prompts; both intervals together miss no more often than stated."""
    evidence = compare(rate("novice", 50), rate("expert", 4))
    assert (evidence.kind, evidence.outcome, evidence.level) == (kind, outcome, pytest.approx(level))
    full, few = (binomtest(fires, 50).proportion_ci(each, method="exact") for fires in (50, 4))
    if kind == "about equal":
        assert evidence.interval == pytest.approx((full.low - few.high, 1 - few.low))


def test_a_margin_is_taken_off_the_opposite_ends() -> None:
    """`a > 2 b + 0.1` lies between the lower end of a less twice the upper of b and the upper less twice the lower."""
    evidence = rate("novice", 40) > 2 * rate("expert", 5) + 0.1
    a, b = (binomtest(fires, 50).proportion_ci(0.975, method="exact") for fires in (40, 5))
    assert evidence.interval == pytest.approx((a.low - 2 * b.high - 0.1, a.high - 2 * b.low - 0.1))
    assert evidence.estimate == pytest.approx(0.8 - 2 * 0.1 - 0.1)


def test_equal_rates_are_found_equal_with_enough_prompts() -> None:
    """500 of 1,000 on both sides: the interval of the difference, some 6 points either way, lies inside 10."""
    evidence = rate("a", 500, 1000, of=1000) == about(rate("b", 500, 1000, of=1000), margin=0.1)
    assert evidence.outcome == "supported"


@pytest.mark.parametrize(("share", "outcome"), [(0.1, "inconclusive"), (0.25, "supported"), (0.01, "inconclusive")])
def test_a_share_of_a_counted_rate_is_as_uncertain_as_the_rate(share: float, outcome: str) -> None:
    """500 of 1,000 on both sides lie within 0.46 and 0.54: 10 % of 0.46 do not hold 0.07, and 25 % do."""
    evidence = rate("a", 500, 1000, of=1000) == about(rate("b", 500, 1000, of=1000), share=share)
    each = binomtest(500, 1000).proportion_ci(0.95, method="exact")
    assert (each.low > (1 - share) * each.high) == (each.high < (1 + share) * each.low) == (outcome == "supported")
    assert (evidence.outcome, evidence.statement[-12:]) == (outcome, f" x (1 ± {share:g})"[-12:])
    assert (rate("a", 900, 1000, of=1000) == about(rate("b", 500, 1000, of=1000), share=0.5)).outcome == "refuted"


SENTENCES: list[Sentence] = [
    lambda a, b: a > b,
    lambda a, b: a < b,
    lambda a, b: a > 1.1 * b + 0.1,
    lambda a, b: a == about(b, margin=0.1),
    lambda a, b: a > 0.75,  # noqa: ARG005 - one side alone
    lambda a, b: b < 0.75,  # noqa: ARG005 - one side alone
    lambda a, b: every([a, b]) > 0.01,
    lambda a, b: ordered([a, b, summary("guru", 0.04, measure=a.measure, unit=a.unit, n=a.n)]),
    lambda a, b: a == 1,  # noqa: ARG005 - one side alone
]


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("n", [None, 1])
def test_without_enough_known_prompts_every_sentence_is_open(sentence: Sentence, n: int | None) -> None:
    """It says that their number is not recorded, and what would decide it; one prompt decides nothing either."""
    evidence = sentence(rate("novice", 50, n), rate("expert", 0, n))
    assert evidence.outcome == "inconclusive"
    wanted = "a file that counts them, or a features_layer50.pt" if n is None else "at least 2"
    assert all(wanted in part.reason for part in evidence.parts or (evidence,))


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_bare_mean_decides_no_sentence(sentence: Sentence) -> None:
    """Not one is broken for want of values: each is open, but equality with 1, which a mean of features is none of."""
    a, b = summary("novice", 132.4, n=50), summary("expert", 113.1, n=50)
    if sentence is SENTENCES[-1]:
        with pytest.raises(TypeError, match="only a share"):
            sentence(a, b)
    elif sentence is not SENTENCES[7]:  # its third is a share of prompts
        assert sentence(a, b).outcome == "inconclusive"


def test_a_bare_mean_is_held_against_printed_numbers_by_its_claim() -> None:
    """The sentence itself has nothing to read again, which is said; it is not broken."""
    with pytest.raises(NotRun, match=r"has one number of novice prompts; state it in published=\.\.\. instead"):
        _ = summary("novice", 132.4) == published(novice=132.4, unit="features")


def test_a_recorded_rate_has_no_correlation() -> None:
    """A count has no value of each prompt, which is said."""
    with pytest.raises(NotRun, match="a correlation needs the values of each prompt"):
        correlation(rate("novice", 50), rate("novice", 50))


@pytest.mark.parametrize(
    ("controls", "over", "said"),
    [
        (("length",), (), "the control length takes a value of each prompt, which is not recorded"),
        ((), ("templates",), "at least 2 a side are needed"),
    ],
)
def test_what_a_count_cannot_answer_stays_open(
    controls: tuple[Control, ...], over: tuple[Over, ...], said: str
) -> None:
    """Controls take values of prompts, and other wordings take more than the one that was recorded."""
    with recording(Recorder(controls=controls, over=over)):
        evidence = rate("novice", 50) > rate("expert", 0)
    assert evidence.outcome == "inconclusive"
    assert said in evidence.reason


def test_counted_rates_of_every_style_are_ordered() -> None:
    """50, 25 and 2 of 50 descend, each pair by its own test."""
    evidence = ordered([rate("expert", 50), rate("guru", 25), rate("novice", 2)])
    assert evidence.outcome == "supported"
    tables = [[[a, 50 - a], [b, 50 - b]] for a, b in pairwise((50, 25, 2))]
    assert [part.p for part in evidence.parts] == [
        pytest.approx(fisher_exact(np.array(table)).pvalue) for table in tables
    ]


RUN = RecordedRun(origin="feature_diff.json", n=50)
ANOTHER = replace(RUN, another="it is of 100 prompts a style where the subject has 50")


@pytest.mark.parametrize(
    ("run", "again", "outcome"),
    [
        (RUN, False, "inconclusive"),  # the record of the run on which it was picked
        (ANOTHER, False, "supported"),  # a record of other prompts
        (None, True, "inconclusive"),  # the published prompts, read again
        (None, False, "supported"),
    ],
)
def test_prompts_on_which_a_feature_was_picked_support_nothing(
    run: RecordedRun | None,
    again: bool,  # noqa: FBT001 - of the table above
    outcome: str,
) -> None:
    """The rate is stated, and other prompts may confirm it; a rate that fails is refuted there all the same."""
    all_, half, none, few = (
        replace(rate(style, fires), run=run)
        for style, fires in (("novice", 50), ("guru", 25), ("expert", 0), ("novice", 5))
    )
    with recording(Recorder(published_prompts=again)):
        found = [all_ == 1, all_ > 0.5, all_ > none, ordered([all_, half, none])]
        against = few > 0.5
    assert [one.outcome for one in found] == [outcome] * 4
    assert against.outcome == "refuted"
    assert ("picked on these very prompts" in found[0].reason) == (outcome == "inconclusive")

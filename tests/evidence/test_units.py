"""Which units two measurements are compared over, and the numbers that the test sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from grids import grid, templates
from scipy.stats import permutation_test, ttest_ind

from saeprobe.claims import Over
from saeprobe.evidence import Terms, UnitValue
from saeprobe.evidence.greater import greater
from saeprobe.evidence.units import Compared, compare, mean_by, mean_shift, sample_of, unit_means
from saeprobe.evidence.values import Margin, Measurement
from saeprobe.prompts import Prompt
from saeprobe.statistics.intervals import hall
from saeprobe.statistics.permutation import Units
from saeprobe.statistics.shifts import crossed_shift, paired_shift, unpaired_shift

ALPHA = 0.05
LEVELS = np.array([0.0, 5, -5, 2, 8, -1])
"""Of six topics."""
BOTH: tuple[Over, ...] = ("templates", "topics")


def side(
    style: str, means: list[float], by_topic: list[float] | None = None, *, wording: str | None = None
) -> Measurement:
    """Templates with these means on six topics, on which the style stands out by `by_topic`, of mean 0."""
    extra = np.zeros(6) if by_topic is None else np.array(by_topic)
    return grid(style, [list(mean + LEVELS - LEVELS.mean() + extra) for mean in means], wording=wording)


A = side("novice", [11.0, 12, 14, 15], [1.0, -1, 2, -2, 0.5, -0.5])
B = side("expert", [1.0, 2, 3, 6])
DIFFERENCES = np.array([11.0, 9, 12, 8, 10.5, 9.5])
"""Between A and B by topic: the means are 13 and 3."""


def run(a: Measurement, b: Measurement, *over: Over) -> Compared:
    """A comparison that could be made."""
    compared = compare(a, b, Terms(over=over))
    assert isinstance(compared, Compared)
    return compared


def why_not(a: Measurement, b: Measurement, *over: Over, alpha: float = ALPHA) -> str:
    """The sentence where none could."""
    reason = compare(a, b, Terms(alpha=alpha, over=over))
    assert isinstance(reason, str)
    return reason


def values(compared: Compared, side: str) -> Units:
    """The unit values of one side, as a reader of the report finds them."""
    return np.array([unit.value for unit in compared.unit_values if unit.side == side])


def topic_of(index: int) -> str:
    """The topics in the order in which the grid names them."""
    return ("tides", "bridges", "yeast", "comets", "glaciers", "magnets")[index]


@pytest.mark.parametrize("over", [(), ("templates",)])
def test_several_templates_are_the_units(over: tuple[Over, ...]) -> None:
    """The means of the templates, four a side, with what each topic adds taken out."""
    compared = run(A, B, *over)
    assert compared.shift == unpaired_shift(np.array([11.0, 12, 14, 15]), np.array([1.0, 2, 3, 6]), alpha=ALPHA, seed=0)
    assert (compared.units, compared.n_units, compared.n_topics) == ("templates", (4, 4), 6)
    assert compared.scope == "these 4 + 4 templates"
    assert compared.paired is False
    assert compared.unit_values[0] == UnitValue(side="novice", unit="novice 0: {topic}", value=pytest.approx(11.0))
    assert values(compared, "novice") == pytest.approx([11, 12, 14, 15])
    assert values(compared, "expert") == pytest.approx([1, 2, 3, 6])


def test_a_reader_gets_p_again_from_the_unit_values() -> None:
    """With scipy, and nothing but the values in the report."""
    rng = np.random.default_rng(3)
    a = grid("a", (rng.normal(1, 1, (5, 1)) + rng.normal(0, 3, 4) + rng.normal(0, 0.3, (5, 4))).tolist())
    b = grid("b", (rng.normal(0, 1, (4, 1)) + rng.normal(0, 3, 4) + rng.normal(0, 0.3, (4, 4))).tolist())
    compared = run(a, b)
    sides = values(compared, "a"), values(compared, "b")
    found = permutation_test(
        sides,
        lambda x, y, axis: ttest_ind(x, y, axis=axis, equal_var=False).statistic,
        n_resamples=np.inf,
        alternative="greater" if sides[0].mean() > sides[1].mean() else "less",
        vectorized=True,
    )
    expected = max(2 * float(found.pvalue), float(ttest_ind(*sides, equal_var=False).pvalue))
    assert compared.shift.p == pytest.approx(expected)
    assert compared.shift.estimate == pytest.approx(values(compared, "a").mean() - values(compared, "b").mean())
    assert compared.shift.estimate == pytest.approx(a.mean - b.mean)


def test_topics_that_a_template_lacks_do_not_move_it() -> None:
    """A template read on the high topics only is brought to the level of the others."""
    chosen = np.array(
        [prompt.template != "novice 0: {topic}" or prompt.topic in ("bridges", "glaciers") for prompt in A.prompts]
    )
    flat = side("novice", [11.0, 12, 14, 15])
    fewer = replace(
        flat,
        values=flat.values[chosen],
        prompts=tuple(prompt for prompt, keep in zip(flat.prompts, chosen, strict=True) if keep),
    )
    raw = mean_by(fewer, "templates")["novice 0: {topic}"]
    assert raw == pytest.approx(11 + 6.5 - 1.5)
    assert values(run(fewer, B), "novice")[0] == pytest.approx(11, abs=1)


def test_topics_of_one_side_only_are_left_out_of_the_templates() -> None:
    """Values on a topic that the other side lacks do not count."""
    extra = grid("expert", [[*([mean] * 6), 1000.0] for mean in (1.0, 2, 3, 6)])
    compared = run(side("novice", [11.0, 12, 14, 15]), extra)
    assert compared.n_topics == 6
    assert compared.shift.estimate == pytest.approx(10)


def test_one_wording_is_compared_over_its_topics() -> None:
    """The differences of the topics, in the order of their names."""
    compared = run(side("novice", [13.0], [1.0, -1, 2, -2, 0.5, -0.5]), side("expert", [3.0]))
    in_order = sorted(range(6), key=topic_of)
    expected = DIFFERENCES[in_order]
    assert compared.shift == paired_shift(values(compared, "novice - expert"), alpha=ALPHA, seed=0)
    assert values(compared, "novice - expert") == pytest.approx(expected)
    assert [unit.unit for unit in compared.unit_values] == sorted(map(topic_of, range(6)))
    assert (compared.units, compared.n_units, compared.n_topics) == ("topics, paired", (6, 6), 6)
    assert compared.scope == "this wording only, over 6 topics"
    assert compared.paired is True


def test_over_topics_the_templates_are_fixed() -> None:
    """The differences of the topics are paired though both sides have four templates."""
    compared = run(A, B, "topics")
    assert np.sort(values(compared, "novice - expert")) == pytest.approx(np.sort(DIFFERENCES))
    assert compared.shift.p == 2 / 2**6
    assert compared.scope == "these 4 + 4 templates fixed, over 6 topics"
    assert (compared.units, compared.n_units, compared.paired) == ("topics, paired", (6, 6), True)
    assert run(A, side("expert", [3.0])).scope == "these 4 + 1 templates fixed, over 6 topics"


@pytest.mark.parametrize("over", [BOTH, BOTH[::-1]])
def test_over_templates_and_topics_both_are_crossed(over: tuple[Over, ...]) -> None:
    """The template means of both sides and the differences of the topics, in whichever order they are named."""
    compared = run(A, B, *over)
    topics = values(compared, "novice - expert")
    assert np.sort(topics) == pytest.approx(np.sort(DIFFERENCES))
    a, b = values(compared, "novice"), values(compared, "expert")
    assert compared.shift == crossed_shift(a, b, topics, alpha=ALPHA, seed=0)
    assert [unit.side for unit in compared.unit_values] == ["novice"] * 4 + ["expert"] * 4 + ["novice - expert"] * 6
    assert (compared.units, compared.n_units, compared.n_topics) == ("templates and topics", (4, 4), 6)
    assert compared.scope == "4 + 4 templates and 6 topics"
    assert compared.paired is False


ARM = side("steered", [12.0, 13, 15, 16, 9, 8], [1.0, -1, 2, -2, 0.5, -0.5], wording="same")
OTHER = side("plain", [11.0, 12, 13, 13, 8, 6], wording="same")
"""Two arms on the same prompts, whose templates differ by 1, 1, 2, 3, 1, 2 and topics by 5/3 and these."""


def test_two_arms_on_the_same_prompts_pair_their_templates() -> None:
    """Each template is its own control: six differences, all above zero, give 2 / 64."""
    for over in ((), ("templates",)):
        compared = run(ARM, OTHER, *over)
        assert values(compared, "steered - plain") == pytest.approx([1, 1, 2, 3, 1, 2])
        assert compared.unit_values[3].unit == "same 3: {topic}"
        assert compared.shift.p == 2 / 64
        assert (compared.units, compared.n_units, compared.paired) == ("templates, paired", (6, 6), True)
        assert compared.scope == "these 6 templates"


def test_two_arms_are_crossed_as_pairs() -> None:
    """Over templates and topics, signs are flipped of both."""
    compared = run(ARM, OTHER, *BOTH)
    expected = crossed_shift(
        np.array([12.0, 13, 15, 16, 9, 8]),
        np.array([11.0, 12, 13, 13, 8, 6]),
        values(compared, "steered - plain")[6:],
        alpha=ALPHA,
        seed=0,
        paired=True,
    )
    assert compared.shift.p == pytest.approx(expected.p)
    assert values(compared, "steered - plain")[:6] == pytest.approx([1, 1, 2, 3, 1, 2])
    assert values(compared, "steered - plain")[6:].mean() == pytest.approx(10 / 6)
    assert (compared.units, compared.n_units, compared.paired) == ("templates and topics, paired", (6, 6), True)
    assert compared.scope == "6 templates and 6 topics"
    assert run(ARM, OTHER, "topics").scope == "these 6 templates fixed, over 6 topics"


def test_one_template_cannot_stand_for_others() -> None:
    """The reason names the side and what would do at this alpha."""
    one = side("expert", [3.0])
    told = (
        "the claim is to hold for other templates, and expert has a single one; 4 or more a style would test it, "
        "and over=('topics',) states it of this wording only"
    )
    for over in (("templates",), BOTH):
        assert why_not(A, one, *over) == told
        assert why_not(one, A, *over) == told
    assert "; 5 or more a style would test it" in why_not(A, one, "templates", alpha=0.01)
    arms = side("on", [3.0], wording="same"), side("off", [2.0], wording="same")
    assert "on has a single one; 6 or more a style" in why_not(*arms, "templates")


def test_two_templates_are_a_test_though_they_decide_nothing() -> None:
    """2 + 2 templates have a p of 1; that they cannot decide is for the verdict to say."""
    compared = run(side("a", [1.0, 2]), side("b", [5.0, 7]), "templates")
    assert compared.shift.p == compared.shift.smallest_p == 1.0


def test_one_shared_topic_cannot_be_paired() -> None:
    """Two at least, and six to decide at 0.05."""
    a, b = grid("a", [[1.0]] * 2), grid("b", [[2.0]] * 3)
    assert why_not(a, b, "topics") == (
        "the prompts of a and b share 1 topic; at least 2 are needed to pair them, and 6 to decide"
    )
    assert why_not(a, b, *BOTH) == why_not(a, b, "topics")
    assert "and 8 to decide" in why_not(a, b, "topics", alpha=0.01)
    assert why_not(grid("a", [[1.0]]), grid("b", [[2.0]])) == why_not(a, b, "topics")
    assert run(a, b).scope == "these 2 + 3 templates on the topic 'tides' alone"
    two = run(grid("a", [[1.0, 2]]), grid("b", [[2.0, 5]]))
    assert two.n_units == (2, 2)


def test_sides_that_share_no_topic_are_not_compared() -> None:
    """Whatever the claim is to hold for."""
    a, b = templates("a", [1.0, 2, 3, 4]), grid("b", [[1.0, 2]] * 4, topics=("stars", "planets"))
    for over in ((), ("templates",), ("topics",), BOTH):
        assert why_not(a, b, *over) == "the prompts of a and b share no topic, on which they could be compared"


def test_what_the_claim_declares_is_compared() -> None:
    """`over` comes from the terms; where it names nothing, the units are chosen."""
    declared, chosen = (compare(A, B, Terms(over=over)) for over in (("topics",), ()))
    assert isinstance(declared, Compared)
    assert isinstance(chosen, Compared)
    assert (declared.units, chosen.units) == ("topics, paired", "templates")


def test_alpha_and_seed_reach_the_test() -> None:
    """The interval is at 1 - alpha, and what is drawn is drawn by the seed."""
    wide, narrow = (compare(A, B, Terms(alpha=alpha)) for alpha in (0.05, 0.2))
    assert isinstance(wide, Compared)
    assert isinstance(narrow, Compared)
    assert wide.shift.interval is not None
    assert narrow.shift.interval is not None
    assert wide.shift.interval[0] < narrow.shift.interval[0]
    crossed = compare(A, B, Terms(seed=9, over=BOTH))
    assert isinstance(crossed, Compared)
    assert crossed.shift.seed is None  # all of them are counted


def test_shares_of_prompts_need_no_spread() -> None:
    """Values that are all 0 or 1 say something though every unit agrees; other values do not."""
    ones, zeros, halves = (grid(style, [[value] * 3] * 4) for style, value in (("a", 1.0), ("b", 0.0), ("c", 0.5)))
    for a, b, tested in ((ones, zeros, True), (ones, halves, False), (halves, zeros, False)):
        assert ("without spread nothing can be tested" in greater(a, b, Terms()).reason) is not tested
    margin = Margin(of=zeros, plus=0.2)
    assert "without spread nothing can be tested" in greater(ones, zeros, Terms(), margin).reason


def test_one_measurement_has_its_templates_or_topics_as_units() -> None:
    """Templates where there are several, unless topics are asked for."""
    units, what, scope = unit_means(A)
    assert (what, scope) == ("templates", "these 4 templates")
    assert [unit.value for unit in units] == pytest.approx([11, 12, 14, 15])
    assert units[1] == UnitValue(side="novice", unit="novice 1: {topic}", value=pytest.approx(12.0))
    assert unit_means(A, ("templates",)) == (units, what, scope)
    topics, what, scope = unit_means(A, ("topics",))
    assert (what, scope) == ("topics", "these 4 templates fixed, over 6 topics")
    assert [unit.unit for unit in topics] == [topic_of(index) for index in range(6)]
    assert {unit.side for unit in topics} == {"novice"}
    assert unit_means(side("a", [1.0, 2]))[1:] == ("templates", "these 2 templates")
    assert unit_means(A, ("templates", "templates")) == (units, "templates", "these 4 templates")
    one = side("expert", [3.0])
    assert unit_means(one)[1:] == ("topics", "this wording only, over 6 topics")
    assert unit_means(one, ("templates",))[1:] == ("templates", "these 1 templates")


def test_one_measurement_over_both_is_refused() -> None:
    """A mean held against a number has one sort of units; which of the two is the claim's to say."""
    with pytest.raises(TypeError, match="l0 of a alone is held against a number over templates or over topics"):
        unit_means(grid("a", [[1.0, 2.0], [3.0, 5.0]]), ("templates", "topics"))


def test_two_units_are_tested_and_one_is_not() -> None:
    """Of templates, of topics, and of both."""
    two = grid("a", [[1.0, 4], [2.0, 5]])
    for over, smallest in (((), 0.5), (("topics",), 0.5), (BOTH, 0.5)):
        shift = mean_shift(two, Terms(over=over))
        assert shift is not None
        assert shift.smallest_p == smallest


def test_what_is_drawn_for_a_mean_is_drawn_by_the_seed() -> None:
    """Forty topics are too many to count."""
    values = [float(value) for value in np.random.default_rng(0).normal(0.2, 1, 40)]
    many = grid("a", [values], topics=[f"topic {index}" for index in range(40)])
    one, flips = mean_shift(many, Terms(seed=3)), paired_shift(np.array(values), alpha=ALPHA, seed=3)
    assert one is not None
    assert flips.interval is not None
    skewed, ends = hall(np.array(values), alpha=ALPHA)
    p, both = max(flips.p, skewed), (flips.interval, ends)
    interval = min(low for low, _ in both), max(high for _, high in both)
    assert one == replace(flips, p=p, interval=interval, test=f"{flips.test} or Hall's transformation, the larger p")
    assert sample_of(many, Terms(seed=3)).interval == one.interval


def test_a_mean_is_tested_over_its_units() -> None:
    """Sign flips of the units; over both at once, of templates and centred topics."""
    lower = replace(A, values=A.values - 10)
    means = np.array([11.0, 12, 14, 15])
    topics = np.array(list(mean_by(A, "topics").values()))
    assert mean_shift(lower, Terms()) == paired_shift(
        np.array(list(mean_by(A, "templates").values())) - 10, alpha=ALPHA, seed=0
    )
    over_topics, flips = mean_shift(lower, Terms(over=("topics",))), paired_shift(topics - 10, alpha=ALPHA, seed=0)
    assert over_topics is not None
    assert over_topics.p == max(flips.p, hall(topics - 10, alpha=ALPHA)[0])
    both = mean_shift(lower, Terms(over=BOTH))
    expected = crossed_shift(means - 10, np.zeros(4), topics - 10, alpha=ALPHA, seed=0, paired=True)
    assert both is not None
    assert (both.estimate, both.p) == pytest.approx((3.0, expected.p))
    one = side("expert", [3.0])
    assert mean_shift(one, Terms(over=("templates",))) is None
    assert mean_shift(one, Terms(over=BOTH)) is None
    assert mean_shift(grid("a", [[1.0], [2.0]]), Terms(over=BOTH)) is None
    assert mean_shift(grid("a", [[1.0]]), Terms()) is None
    assert mean_shift(one, Terms()) is not None


def test_the_interval_of_a_mean_is_over_what_the_claim_declares() -> None:
    """Six topics that differ much make it wide, six templates that differ little narrow; four give none at 0.05."""
    six = side("a", [11.0, 12, 14, 15, 13, 13])
    wide = sample_of(six, Terms(over=("topics",))).interval
    narrow = sample_of(six, Terms()).interval
    assert wide == pytest.approx((13 - 6.5, 13 + 6.5))
    assert narrow == pytest.approx((11.0, 15.0))
    both = sample_of(six, Terms(over=BOTH)).interval
    assert both is not None
    assert wide is not None
    assert both[0] <= wide[0]
    assert both[1] >= wide[1]
    assert sample_of(side("a", [11.0, 12, 14, 15]), Terms()).interval is None
    assert sample_of(side("a", [11.0, 12, 14, 15]), Terms(alpha=0.2)).interval is not None
    assert sample_of(grid("a", [[1.0]]), Terms()).interval is None


def worded_apart(style: str, values: list[float], *, each: int = 1) -> Measurement:
    """Templates on `each` topics that no other template of the style has."""
    prompts = tuple(
        Prompt(text=f"{style} {k}", style=style, topic=f"topic {k}", template=f"{style} {k // each}: {{topic}}")
        for k in range(len(values))
    )
    return Measurement(measure="l0", label=style, unit="features", values=np.array(values), prompts=prompts)


def test_where_each_topic_has_wordings_of_its_own_the_topics_are_units_too() -> None:
    """Less their topic's level the templates mirror each other, so that relabeling them alone finds too much."""
    novice, expert = [3.0, 1, 4, 1, 5], [2.0, 0, 5, 0, 3]
    compared = run(worded_apart("novice", novice), worded_apart("expert", expert))
    assert (compared.units, compared.scope) == ("templates and topics", "5 + 5 templates and 5 topics")
    assert compared.shift.estimate == pytest.approx(0.8)
    by_topic = paired_shift(np.array(novice) - np.array(expert), alpha=ALPHA, seed=0)
    assert compared.shift.p >= by_topic.p == pytest.approx(10 / 32)  # of 1, 1, -1, 1, 2: at least 4 either way


def test_templates_that_have_more_than_half_of_the_topics_stay_the_only_units() -> None:
    """A few prompts that are missing change nothing; at half of them the topics count as well."""
    a, b = side("novice", [11.0, 12, 14, 15]), side("expert", [1.0, 2, 3, 6])
    assert run(_without(a, 11), b).units == "templates"
    assert run(_without(a, 12), b).units == "templates and topics"
    assert run(a, _without(b, 12)).units == "templates and topics"


def _without(of: Measurement, left_out: int) -> Measurement:
    """Without so many prompts, the first topics of the first and second template and the last of the others."""
    order = [0, 1, 2, 6, 7, 8, 15, 16, 17, 21, 22, 23]
    kept = [place for place in range(len(of.prompts)) if place not in order[:left_out]]
    return replace(of, values=of.values[kept], prompts=tuple(of.prompts[place] for place in kept))

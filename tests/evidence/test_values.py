"""What a comparison of measurements shows, by its units, its outcome and its words."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, sqrt

import numpy as np
import pytest
from grids import family, grid, templates

from saeprobe.evidence import Needed, Recorder, recording
from saeprobe.evidence.compare import about, every
from saeprobe.evidence.values import Measurement
from saeprobe.prompts import Prompt

HIGH = (10.0, 11, 12, 13)
LOW = (1.0, 2, 3, 4)


def test_separated_templates_support_and_refute() -> None:
    """Four templates above four others: means 11.5 and 2.5, p = 2/70; the reverse sentence is refuted."""
    novice, expert = templates("novice", HIGH), templates("expert", LOW)
    evidence = novice > expert
    assert evidence
    assert (evidence.outcome, evidence.kind, evidence.statement) == (
        "supported",
        "greater",
        "l0 of novice > l0 of expert",
    )
    assert evidence.estimate == pytest.approx(11.5 - 2.5)
    assert evidence.p == pytest.approx(2 / 70)
    assert (evidence.units, evidence.n_units, evidence.scope) == ("templates", (4, 4), "these 4 + 4 templates")
    reverse = expert > novice
    assert not reverse
    assert reverse.outcome == "refuted"
    assert reverse.estimate == pytest.approx(-9.0)
    assert reverse.reason == "the contrary holds: 2.5 against 11.5 features, a difference of -9, p = 0.029"
    assert (evidence.margin, evidence.needed, reverse.needed) == (None, None, None)


def test_the_evidence_holds_all_that_the_test_saw() -> None:
    """A reader can permute the unit values again, and the rule says what p means."""
    evidence = templates("novice", HIGH) > templates("expert", LOW)
    values = {side: [unit.value for unit in evidence.unit_values if unit.side == side] for side in ("novice", "expert")}
    assert values == {"novice": pytest.approx(HIGH), "expert": pytest.approx(LOW)}
    assert evidence.rule == (
        "supported where the two-sided p is below alpha = 0.05 and the difference of the means is above zero; refuted "
        "where p is below alpha and it is below zero; inconclusive otherwise, and where the units show no spread. A "
        "template's value is its mean over the topics that both sides have, each prompt less the mean of "
        "its topic over both sides and plus the mean of these means. The interval holds what can be taken off the "
        "first side without rejection. 2 of 70 relabelings are always as large: p = 0.0286. Welch's t test gives "
        "p = 6.28e-05, and the larger p counts"
    )


def test_p_at_alpha_does_not_decide() -> None:
    """At alpha = 2/70 exactly, p = 2/70 is not below it; at a little more it is."""
    for alpha, outcome in ((2 / 70, "inconclusive"), (2 / 70 + 1e-9, "supported")):
        with recording(Recorder(alpha=alpha)):
            assert (templates("novice", HIGH) > templates("expert", LOW)).outcome == outcome
            reverse = templates("expert", LOW) > templates("novice", HIGH)
            assert reverse.outcome == ("refuted" if outcome == "supported" else outcome)


def test_a_claim_about_topics_pairs_them_under_several_templates() -> None:
    """What the claim generalises over reaches the test: six topics in place of four templates."""
    novice = grid("novice", [[11 + t, 22, 33, 44, 55, 66 - t] for t in (-1, 0, 0, 1)])
    expert = grid("expert", [[10, 20, 30, 40, 50, 60]] * 4)
    with recording(Recorder(over=("topics",))):
        evidence = novice > expert
    assert (evidence.units, evidence.n_units) == ("topics, paired", (6, 6))
    with recording(Recorder(over=("templates",))):
        lone = grid("novice", [[9, 8, 7]]) > grid("expert", [[1, 2, 3]])
    assert (lone.outcome, lone.p) == ("inconclusive", None)
    assert "novice has a single" in lone.reason
    assert lone.rule == "nothing is decided without a test"
    assert lone.scope == "these prompts only"


def test_less_than_reads_as_the_other_side_being_greater() -> None:
    """`expert < novice` is the statement that novice is greater."""
    evidence = templates("expert", LOW) < templates("novice", HIGH)
    assert evidence.outcome == "supported"
    assert evidence.statement == "l0 of novice > l0 of expert"


def test_interleaved_templates_are_inconclusive_and_say_what_would_help() -> None:
    """1, 3, 5, 7 against 2, 4, 6, 8 is no difference to tell; the reason names the number of templates that would.

    Variances of 20/3 and a difference of 1: the power of the t test as statsmodels solves it. Six prompts stand behind
    a template of both styles.
    """
    from statsmodels.stats.power import TTestIndPower

    evidence = templates("novice", (2, 4, 6, 8)) > templates("expert", (1, 3, 5, 7))
    assert evidence.outcome == "inconclusive"
    wanted = ceil(TTestIndPower().solve_power(1 / sqrt(20 / 3), alpha=0.05, power=0.8))
    assert evidence.needed == Needed(units="templates a style", have=4, wanted=wanted, prompts=wanted * 6)
    assert evidence.reason == (
        "5 against 4 features, a difference of +1, p = 0.6: not distinguished at alpha = 0.05. "
        f"About {wanted} templates a style would decide it at this effect and spread"
    )


def test_no_difference_is_decided_by_no_number_of_templates() -> None:
    """Equal means ask for more than any plan."""
    evidence = templates("novice", (1, 4, 6, 7)) > templates("expert", (2, 3, 5, 8))
    assert evidence.estimate == pytest.approx(0.0)
    assert evidence.needed == Needed(units="templates a style", have=4, wanted=None)
    assert "At this spread more than 1,000 templates a style would be needed" in evidence.reason


def test_three_templates_cannot_decide_whatever_the_values() -> None:
    """3 + 3 templates show too little of their spread: p is 1, and the reason says how many would do."""
    evidence = templates("novice", (100, 101, 102)) > templates("expert", (1, 2, 3))
    assert evidence.outcome == "inconclusive"
    assert evidence.p == 1
    assert "3 templates a style cannot reach it whatever the values; 4 can" in evidence.reason
    assert evidence.needed == Needed(units="templates a style", have=3, wanted=4, prompts=24)


def test_alpha_is_the_recorders() -> None:
    """At alpha 0.02, p = 2/70 no longer decides."""
    with recording(Recorder(alpha=0.02)):
        assert (templates("novice", HIGH) > templates("expert", LOW)).outcome == "inconclusive"


def test_one_wording_pairs_the_topics_and_says_so() -> None:
    """With one template a style the topics are the pairs, p = 2/64 for six, and the scope is this wording."""
    expert = grid("expert", [[10, 20, 30, 40, 50, 60]])
    novice = grid("novice", [[11, 22, 33, 44, 55, 66]])
    evidence = novice > expert
    assert evidence.outcome == "supported"
    assert evidence.p == pytest.approx(2 / 64)
    assert evidence.estimate == pytest.approx((1 + 2 + 3 + 4 + 5 + 6) / 6)
    assert evidence.interval == pytest.approx((1.0, 6.0))
    assert (evidence.units, evidence.n_units) == ("topics, paired", (6, 6))
    assert evidence.scope == "this wording only, over 6 topics"


def test_five_topics_of_one_wording_cannot_decide() -> None:
    """Five pairs reach p = 2/32 at best."""
    evidence = grid("novice", [[11, 22, 33, 44, 55]]) > grid("expert", [[10, 20, 30, 40, 50]])
    assert evidence.outcome == "inconclusive"
    assert "5 topics cannot reach it whatever the values; 6 can" in evidence.reason
    assert evidence.needed is not None
    assert (evidence.needed.units, evidence.needed.have, evidence.needed.prompts) == ("topics", 5, 12)


def test_a_style_with_one_template_falls_back_to_topics() -> None:
    """Four templates against one: nothing can be permuted, so the topics are paired over their means."""
    novice = grid("novice", [[11 + t, 22, 33, 44, 55, 66 - t] for t in (-1, 0, 0, 1)])
    evidence = novice > grid("expert", [[10, 20, 30, 40, 50, 60]])
    assert evidence.units == "topics, paired"
    assert evidence.estimate == pytest.approx(3.5)
    assert evidence.scope == "these 4 + 1 templates fixed, over 6 topics"


def test_many_topics_under_few_templates_are_not_many_units() -> None:
    """Ten topics under each of two templates are two units a style, not twenty."""
    novice = grid("novice", [range(100, 110), range(110, 120)])
    evidence = novice > grid("expert", [range(10), range(10, 20)])
    assert evidence.n_units == (2, 2)
    assert evidence.p == 1.0
    assert evidence.outcome == "inconclusive"


def test_only_topics_that_both_sides_share_are_compared() -> None:
    """A topic on one side alone does not enter the estimate, however large its values; with templates or without."""
    novice = grid("novice", [[10, 20, 900], [11, 21, 900], [12, 22, 900], [13, 23, 900]], topics=("a", "b", "c"))
    expert = grid("expert", [[1, 11, -900], [2, 12, -900], [3, 13, -900], [4, 14, -900]], topics=("a", "b", "d"))
    evidence = novice > expert
    assert evidence.estimate == pytest.approx(9.0)
    assert evidence.p == pytest.approx(2 / 70)
    topics = tuple("abcdefg")
    one = grid("novice", [[900, 2, 3, 4, 5, 6, 7]], topics=topics)
    other = grid("expert", [[1, 1, 1, 1, 1, 1, -900]], topics=tuple("bcdefgh"))
    assert (one > other).estimate == pytest.approx((2 + 3 + 4 + 5 + 6 + 7) / 6 - 1)


def test_the_level_of_a_topic_is_taken_out_of_unbalanced_templates() -> None:
    """A template that was run on the highest topic only is not taken for a high template."""
    novice = [[10.0, 110], [11, 111], [12, 112], [13, 113]]
    expert = [[1.0, 101], [2, 102], [3, 103], [4, 104]]
    balanced = grid("novice", novice) > grid("expert", expert)
    assert balanced.p == pytest.approx(2 / 70)
    lopsided = grid("expert", expert)
    keep = [index for index in range(8) if index != 6]  # the fourth template lacks the low topic
    part = Measurement(
        measure="l0",
        label="expert",
        unit="features",
        values=lopsided.values[keep],
        prompts=tuple(lopsided.prompts[index] for index in keep),
    )
    found = grid("novice", novice) > part
    # raw means of the templates would be 51, 52, 53 and 104: no longer below 60 to 63
    assert found.p == pytest.approx(2 / 70)


def test_prompts_without_a_common_topic_cannot_be_paired() -> None:
    """Different topics under one wording each are inconclusive, with the reason, and get no p."""
    evidence = grid("novice", [[9, 8, 7]], topics=("a", "b", "c")) > grid("expert", [[1, 2, 3]], topics=("d", "e", "f"))
    assert (evidence.outcome, evidence.p, evidence.interval) == ("inconclusive", None, None)
    assert "the prompts of novice and expert share" in evidence.reason


def test_two_arms_on_the_same_prompts_are_paired_by_template() -> None:
    """Eight templates far apart, each raised a little: paired, p = 2/256; as two groups it would be lost."""
    levels = [0.0, 50, 100, 150, 200, 250, 300, 350]
    raised = [level + step for level, step in zip(levels, (1, 2, 1, 3, 1, 2, 1, 1), strict=True)]
    same = {"wording": "shopping"}
    evidence = templates("steered", raised, **same) > templates("unsteered", levels, **same)
    assert (evidence.outcome, evidence.units) == ("supported", "templates, paired")
    assert evidence.test is not None
    assert evidence.test.endswith("(templates, paired)")
    assert evidence.p == pytest.approx(2 / 256)
    assert evidence.estimate == pytest.approx(12 / 8)
    assert evidence.scope == "these 8 templates"
    assert (templates("steered", raised) > templates("unsteered", levels)).outcome == "inconclusive"


def test_no_spread_is_not_taken_for_certainty() -> None:
    """Eight pairs that differ by exactly the same amount are inconclusive, though p is 2/256, rounding or not."""
    for step in (9.0, 0.1):
        expert = grid("expert", [[0.3, 0.5, 0.9, 0.7, 0.2, 0.6, 0.41, 0.77]])
        novice = grid("novice", [list(expert.values + step)])
        evidence = novice > expert
        assert evidence.outcome == "inconclusive"
        assert evidence.p == pytest.approx(2 / 256)
        assert "without spread nothing can be tested" in evidence.reason


def test_shares_that_are_all_or_nothing_need_no_spread() -> None:
    """A mention in every continuation against none is evidence; none against none is not."""
    share = {"measure": "mentions", "unit": "share of continuations"}
    ones, zeros = [[1.0, 1.0]] * 4, [[0.0, 0.0]] * 4
    evidence = grid("steered", ones, **share) > grid("random", zeros, **share)
    assert evidence.outcome == "supported"
    assert evidence.p == pytest.approx(2 / 70)
    assert (grid("steered", zeros, **share) > grid("random", zeros, **share)).outcome == "inconclusive"


@pytest.mark.parametrize("changes", [{"measure": "max activation"}, {"unit": "share of features"}])
def test_like_is_compared_with_like(changes: dict[str, str]) -> None:
    """Another measure or another unit is a TypeError, and no evidence."""
    with recording(Recorder()) as recorder, pytest.raises(TypeError, match="compare like with like"):
        _ = templates("novice", HIGH) > templates("expert", LOW, **changes)
    assert recorder.evidence == []


def test_values_and_prompts_must_be_as_many_and_finite() -> None:
    """A value too few is refused, and NaN is refused with the prompt on which it stands."""
    prompts = tuple(Prompt(text=text, style="novice", topic=text, template="{topic}") for text in ("tides", "yeast"))
    with pytest.raises(ValueError, match="l0 of novice: 1 values for 2 prompts"):
        Measurement(measure="l0", label="novice", unit="features", values=np.array([1.0]), prompts=prompts)
    with pytest.raises(ValueError, match="not finite on 'yeast'; no verdict is given on NaN"):
        Measurement(measure="l0", label="novice", unit="features", values=np.array([1.0, np.nan]), prompts=prompts)


def test_a_style_is_taken_out_with_its_lengths() -> None:
    """Indexing keeps values, prompts and lengths of one style, and names the styles there are."""
    whole = family(
        grid("novice", [[5, 6]], lengths=[[7, 8]]),
        grid("expert", [[1, 2]], lengths=[[3, 4]]),
    )
    expert = whole["expert"]
    assert (list(expert.values), expert.label, expert.mean) == ([1.0, 2.0], "expert", 1.5)
    assert expert.n_tokens is not None
    assert list(expert.n_tokens) == [3, 4]
    with pytest.raises(KeyError, match=r"no prompt of style 'novce', did you mean 'novice'\?; there are: novice"):
        whole["novce"]
    with pytest.raises(KeyError, match="no prompt of style 'guru'; there are: novice, expert"):
        whole["guru"]


# every


def test_every_on_the_right_needs_each_part() -> None:
    """Above both others is supported with two parts; one reversed part refutes, one open part leaves it open."""
    novice, spaces = templates("novice", HIGH), templates("spaces", (0, 1, 2, 3.5))
    expert, guru = templates("expert", LOW), templates("guru", (10.5, 11.5, 12.5, 13.5))
    top = templates("guru", (20, 21, 22, 23))
    holds = novice > every([expert, spaces])
    assert (holds.outcome, holds.kind, len(holds.parts)) == ("supported", "every", 2)
    assert holds.reason == "all 2 comparisons hold"
    assert holds.rule.startswith("refuted where a single part is; else inconclusive where the own test of one does not")
    assert (holds.alpha, holds.scope, holds.needed) == (0.05, "these 4 + 4 templates", None)
    assert holds.statement == "l0 of novice > l0 of expert; l0 of novice > l0 of spaces"
    undecided = novice > every([expert, guru])
    assert undecided.outcome == "inconclusive"
    assert undecided.reason.startswith("1 of 2 comparisons is open: l0 of novice > l0 of guru: 11.5 against 12 ")
    refuted = novice > every([expert, guru, top])
    assert refuted.outcome == "refuted"
    assert refuted.reason.startswith("1 of 3 comparisons is refuted: l0 of novice > l0 of guru")


def test_every_on_the_left_and_less_than() -> None:
    """`every(...) > x`, `every(...) < x` and `x < every(...)` compare each of the several."""
    novice, expert, spaces = templates("novice", HIGH), templates("expert", LOW), templates("spaces", (0, 1, 2, 3.5))
    assert (every([novice, templates("guru", (20, 21, 22, 23))]) > expert).outcome == "supported"
    assert (every([expert, spaces]) < novice).outcome == "supported"
    assert (spaces < every([novice, templates("guru", HIGH)])).outcome == "supported"
    assert (every([expert, novice]) < expert).outcome == "refuted"


def test_every_is_one_piece_of_evidence() -> None:
    """The recorder holds the whole once, with its parts inside."""
    with recording(Recorder()) as recorder:
        _ = templates("novice", HIGH) > every([templates("expert", LOW), templates("spaces", (0, 1, 2, 3.5))])
    assert [len(piece.parts) for piece in recorder.evidence] == [2]


def test_every_beside_a_number() -> None:
    """Each of several measurements against a bound."""
    six = [grid(style, [[v + k for k in range(2)] for v in range(6)]) for style in ("novice", "expert")]
    assert (every(six) < 9.0).outcome == "supported"
    assert (every(six) > 9.0).outcome == "refuted"


def test_every_of_nothing_or_on_both_sides_is_refused() -> None:
    """A statement about nothing is no evidence, and two `every` have no reading."""
    with pytest.raises(ValueError, match="every\\(\\) was given nothing"):
        every([])
    for compare in (lambda a, b: a > b, lambda a, b: a < b):
        with pytest.raises(TypeError, match="on both sides"):
            compare(every([templates("novice", HIGH)]), every([templates("expert", LOW)]))


@pytest.mark.parametrize(
    ("write", "remedy"),
    [
        (lambda a, b: a - b > 5, "a margin is put on the smaller side: a > b \\+ 5"),
        (lambda a, b: a > b - 5, "a margin is put on the smaller side"),
        (lambda a, b: 5 - a > b, "a margin is put on the smaller side"),
        (lambda a, b: a >= b, "no test can tell >= from >, or <= from <; write > or <"),
        (lambda a, b: a <= 1.1 * b, "no test can tell >= from >, or <= from <; write > or <"),
        (lambda a, b: a != b, "say which is larger: a > b, or that they agree"),
        (lambda a, b: a != about(b, margin=1), "say which is larger"),
        (lambda a, b: every([a]) != b, "say which is larger"),
    ],
)
def test_what_no_test_answers_is_refused_with_what_to_write(write: Callable[..., object], remedy: str) -> None:
    """And no evidence is left behind."""
    with recording(Recorder()) as recorder, pytest.raises(TypeError, match=remedy):
        write(templates("novice", HIGH), templates("expert", LOW))
    assert recorder.evidence == []


def test_a_difference_on_some_topics_alone_says_so() -> None:
    """The means are those of the shared topics, as the difference is, and not of all prompts."""
    few = grid("novice", [[10.0, 10], [11, 11], [12, 12], [13, 13]])
    many = grid("expert", [[3.0, 3, 40], [4, 4, 40], [5, 5, 40], [4, 4, 40]])
    evidence = few > many
    assert evidence.reason == (
        "11.5 against 4 features, a difference of +7.5 on the 2 topics that both have, p = 0.029"
    )
    one = grid("novice", [[10.0], [11], [12], [13]])
    assert " on the topic that both have, p" in (one > many).reason
    assert "both have" not in (few > grid("expert", [[3.0, 3], [4, 4], [5, 5], [4, 4]])).reason


def test_quantities_are_given_in_a_list() -> None:
    """Not one by one."""
    a, b = templates("novice", HIGH), templates("expert", LOW)
    for call in (lambda: every(a, b), lambda: every(a)):
        with pytest.raises(TypeError, match="every\\(\\) takes its quantities in one list"):
            call()


def test_a_quantity_alone_says_nothing() -> None:
    """A forgotten comparison is told, not taken for true."""
    for alone in (templates("novice", HIGH), every([templates("novice", HIGH)])):
        with pytest.raises(TypeError, match="says nothing by itself; compare it, as in: assert a > b"):
            bool(alone)

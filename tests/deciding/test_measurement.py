"""What a comparison of measurements shows, by its units, its outcome and its words."""

from __future__ import annotations

import numpy as np
import pytest
from grids import family, grid, templates

from saeprobe.evidence import Recorder, recording
from saeprobe.measurement import Measurement, every
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
    assert "the contrary holds" in reverse.reason


def test_less_than_reads_as_the_other_side_being_greater() -> None:
    """`expert < novice` is the statement that novice is greater."""
    evidence = templates("expert", LOW) < templates("novice", HIGH)
    assert evidence.outcome == "supported"
    assert evidence.statement == "l0 of novice > l0 of expert"


def test_interleaved_templates_are_inconclusive_and_say_what_would_help() -> None:
    """1, 3, 5, 7 against 2, 4, 6, 8 is no difference to tell; the reason names the number of templates that would."""
    evidence = templates("novice", (2, 4, 6, 8)) > templates("expert", (1, 3, 5, 7))
    assert evidence.outcome == "inconclusive"
    # z^2 = 7.849, variances 20/3 + 20/3, difference 1: 7.849 * 13.33 = 104.7
    assert "About 105 templates a style would decide it" in evidence.reason


def test_three_templates_cannot_decide_whatever_the_values() -> None:
    """3 + 3 templates reach p = 0.1 at best, which the reason says."""
    evidence = templates("novice", (100, 101, 102)) > templates("expert", (1, 2, 3))
    assert evidence.outcome == "inconclusive"
    assert evidence.p == pytest.approx(0.1)
    assert "3 templates a style cannot reach it whatever the values; 4 templates a style" in evidence.reason


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
    assert "5 topics cannot reach it whatever the values" in evidence.reason


def test_a_style_with_one_template_falls_back_to_topics() -> None:
    """Four templates against one: nothing can be permuted, so the topics are paired over their means."""
    novice = grid("novice", [[11 + t, 22, 33, 44, 55, 66 - t] for t in (-1, 0, 0, 1)])
    evidence = novice > grid("expert", [[10, 20, 30, 40, 50, 60]])
    assert evidence.units == "topics, paired"
    assert evidence.estimate == pytest.approx(3.5)
    assert evidence.scope.startswith("this wording only")


def test_many_topics_under_few_templates_are_not_many_units() -> None:
    """Ten topics under each of two templates are two units a style, not twenty."""
    novice = grid("novice", [range(100, 110), range(110, 120)])
    evidence = novice > grid("expert", [range(10), range(10, 20)])
    assert evidence.n_units == (2, 2)
    assert evidence.p == pytest.approx(2 / 6)
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
    assert "share 0 topics; at least 2 are needed" in evidence.reason


def test_two_arms_on_the_same_prompts_are_paired_by_template() -> None:
    """Eight templates far apart, each raised a little: paired, p = 2/256; as two groups it would be lost."""
    levels = [0.0, 50, 100, 150, 200, 250, 300, 350]
    raised = [level + step for level, step in zip(levels, (1, 2, 1, 3, 1, 2, 1, 1), strict=True)]
    same = {"wording": "shopping"}
    evidence = templates("steered", raised, **same) > templates("unsteered", levels, **same)
    assert (evidence.outcome, evidence.units) == ("supported", "templates, paired")
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
    """Indexing keeps values, prompts and lengths of one style, remembers the whole, and names the styles there are."""
    whole = family(
        grid("novice", [[5, 6]], lengths=[[7, 8]]),
        grid("expert", [[1, 2]], lengths=[[3, 4]]),
    )
    expert = whole["expert"]
    assert (list(expert.values), expert.label, expert.mean) == ([1.0, 2.0], "expert", 1.5)
    assert expert.n_tokens is not None
    assert list(expert.n_tokens) == [3, 4]
    assert expert.whole is whole
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
    assert (novice > every([expert, guru])).outcome == "inconclusive"
    refuted = novice > every([expert, guru, top])
    assert refuted.outcome == "refuted"
    assert refuted.reason.startswith("1 of 3 comparisons are refuted: l0 of novice > l0 of guru")


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

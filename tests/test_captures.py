"""Captures, steering and subjects are refused where they are written wrongly."""

from __future__ import annotations

import copy
import math
import pickle
import re
import reprlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from saeprobe import ablate, capture, clamp, steer, subjects
from saeprobe import replace as replace_
from saeprobe.prompts import SHOPPING, STYLES, PromptSet


@pytest.mark.parametrize("prompts", [["a", "b"], "a", None])
def test_prompts_that_are_no_set_are_refused(prompts: Any) -> None:
    """Both declarations say what they take."""
    for declare in (lambda: capture(prompts), lambda: steer(prompts, feature=1, strengths=[1])):
        with pytest.raises(TypeError, match=r"the prompts are .*; wanted a set such as STYLES"):
            declare()


def test_a_place_that_there_is_not_is_refused() -> None:
    """An unknown place is refused before anything runs, with the nearest one there is."""
    anywhere: Any = "lasst"
    with pytest.raises(ValueError, match=r"at is 'lasst', did you mean 'last'\?; wanted 'last' or 'all', or span="):
        capture(STYLES, at=anywhere)
    first: Any = "first"
    with pytest.raises(ValueError, match=r"at is 'first'"):
        capture(STYLES, at=first)


@pytest.mark.parametrize("keep", ["activation", ("effective_rank", "activation")])
def test_what_cannot_be_kept_is_refused(keep: Any) -> None:
    """Nothing that is asked for is left out unsaid."""
    found = (
        r"keep names 'activation', did you mean 'activations'\?; wanted some of features, activations, effective_rank"
    )
    with pytest.raises(ValueError, match=found):
        capture(STYLES, keep=keep)


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("effective_rank", {"effective_rank"}),
        (["effective_rank"], {"effective_rank"}),
        (("features", "effective_rank"), {"features", "effective_rank"}),
        (("activations", "effective_rank"), {"features", "activations", "effective_rank"}),
        ("activations", {"features", "activations"}),
        ((), {"features"}),
    ],
)
def test_features_are_kept_unless_the_effective_rank_is_all_that_is_named(keep: Any, kept: set[str]) -> None:
    """The rank is of the model's own activations; all else goes with features."""
    assert capture(STYLES, keep=keep).keep == kept


def test_a_single_strength_is_refused_with_how_to_write_it() -> None:
    """Strengths are several."""
    single: Any = 20
    with pytest.raises(TypeError, match=r"strengths is 20; wanted several numbers: strengths=\[20\]"):
        steer(SHOPPING, feature=1, strengths=single)


COUNTS = ("random_features", "random_samples", "n_samples", "max_new_tokens")


@pytest.mark.parametrize("name", [*COUNTS, "seed", "feature"])
@pytest.mark.parametrize("value", [2.0, 1.5, True, np.True_, "2", None, -1, [1.5], float("nan")])
def test_what_is_no_whole_number_is_refused_where_it_is_declared(name: str, value: Any) -> None:
    """A fraction, a text or a truth value is no count, no seed and no feature; what was found is shown."""
    if name == "random_samples" and value is None:
        return  # it is the number that goes with n_samples
    given: dict[str, Any] = {"feature": 1, "strengths": [1], name: value}
    found = "1.5" if (name, value) == ("feature", [1.5]) else re.escape(repr(value))
    with pytest.raises(ValueError, match=rf"^{name} is {found}; wanted (a whole number, [01] or more|one feature)"):
        steer(SHOPPING, **given)


@pytest.mark.parametrize("value", ["20", True, float("nan"), float("inf"), None, 1j, 10**400])
def test_what_is_no_finite_number_is_refused_where_it_is_declared(value: Any) -> None:
    """Neither a strength nor a temperature is a text, a truth value or infinite."""
    shown = re.escape(reprlib.repr(value))
    with pytest.raises(ValueError, match=f"^one of strengths is {shown}; wanted different finite numbers"):
        steer(SHOPPING, feature=1, strengths=[1, value])
    with pytest.raises(ValueError, match=f"^temperature is {shown}; wanted a finite number, 0 or more"):
        steer(SHOPPING, feature=1, strengths=[1], temperature=value)


@pytest.mark.parametrize("feature", [np.int64(7), np.array([7]), np.array(7), torch.tensor(7), [7], range(7, 8)])
def test_numbers_of_libraries_are_taken_and_kept_as_pythons_own(feature: Any) -> None:
    """The argmax of an array is a feature, and its largest values are strengths."""
    strengths: Any = np.array([0, 20.5], dtype=np.float32)
    of = steer(SHOPPING, feature=feature, strengths=strengths, random_features=np.int32(3), temperature=np.float32(0.5))  # type: ignore[arg-type]
    assert (of.features, of.strengths, of.random_features, of.temperature) == ((7,), (20.5,), 3, 0.5)
    assert {type(one) for one in (*of.features, of.random_features)} == {int}
    assert {type(one) for one in (*of.strengths, of.temperature)} == {float}


def test_a_random_set_has_no_more_samples_than_the_chosen_features() -> None:
    """Samples beyond those of the chosen features would be left away unsaid."""
    with pytest.raises(ValueError, match="random_samples is 9; wanted at most n_samples, 4: leave it out"):
        steer(SHOPPING, feature=1, strengths=[1], random_samples=9)
    assert steer(SHOPPING, feature=1, strengths=[1], n_samples=1).random_samples == 1


@pytest.mark.parametrize("single", ["20", None])
def test_what_is_not_several_strengths_is_refused(single: Any) -> None:
    """The digits of a text are no strengths."""
    with pytest.raises(TypeError, match=f"^strengths is {single!r}; wanted several numbers"):
        steer(SHOPPING, feature=1, strengths=single)


@pytest.mark.parametrize(("name", "value"), [("span", 5), ("span", ""), ("keep", 5), ("keep", None)])
def test_a_capture_of_something_else_is_refused(name: str, value: Any) -> None:
    """A number says neither what to read nor what to keep."""
    given: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=rf"^(span is|keep names) {re.escape(repr(value))}"):
        capture(STYLES, **given)


def test_a_declaration_taken_for_evidence_says_how_to_read_it() -> None:
    """A probe that did not take it as an argument holds the declaration itself."""
    styles: Any = capture(STYLES)
    golden: Any = steer(SHOPPING, feature=1, strengths=[20])
    read = r"write its name as an argument of the test, such as def test_more\(styles\)"
    with pytest.raises(TypeError, match=rf"a capture is declared here and read by pytest: .*{read}"):
        styles["novice"]
    with pytest.raises(AttributeError, match=rf"a capture has no 'acts'; it is declared here .*{read}"):
        styles.acts  # noqa: B018 - the look-up is what is tested
    with pytest.raises(AttributeError, match=rf"a steering has no 'at'; it is declared here .*{read}"):
        golden.at(20)


def test_a_declaration_is_data_all_the_same() -> None:
    """What Python asks of any object is answered as by one without hints."""
    styles = capture(STYLES)
    assert copy.deepcopy(styles) == pickle.loads(pickle.dumps(styles)) == styles  # noqa: S301 - made here
    assert not hasattr(styles, "__wrapped__")


def test_subjects_without_names_are_refused() -> None:
    """The mark stands above a test with its names, one by one."""
    mark: Any = subjects

    def test_it() -> None: ...

    with pytest.raises(TypeError, match=r"subjects stands above test_it without names; write @subjects\('sparrow'"):
        mark(test_it)
    with pytest.raises(TypeError, match=r"subjects got \['sparrow'\]; write"):
        mark(["sparrow"])


def prompts_saying(*texts: str) -> PromptSet:
    """A set of its own with these prompts."""
    return PromptSet.build(name="own", language="en", topics=["tea"], styles={"buy": list(texts)})


@pytest.mark.parametrize(
    ("chosen", "judged"),
    [
        (SHOPPING, SHOPPING.only("judge")),
        (SHOPPING.only("choose"), SHOPPING.for_wording("english").only("choose")),
        (prompts_saying("I want {topic}", "Buy {topic}"), prompts_saying("buy  {topic}")),
        (prompts_saying("Where do I buy bread"), prompts_saying("Where do I buy bread?")),
        (prompts_saying("Where do I buy {topic}"), prompts_saying("Please, where do I buy tea?")),
        (prompts_saying("Where do I buy {topic}?"), prompts_saying("Ｗｈｅｒｅ do I buy {topic}？")),
        (prompts_saying("Where do I buy {topic}?"), prompts_saying("Where can I buy {topic}?")),
        (prompts_saying("Where do I buy bread?"), prompts_saying("Where do I buy bread now, Sam?")),
    ],
)
def test_a_feature_is_not_judged_on_prompts_that_it_was_chosen_on(chosen: Any, judged: Any) -> None:
    """In any wording, nor on near copies of them; both and the remedy are shown."""
    says = r"chosen on \d+ of the prompts that they are judged on, such as '.*', which says what '.*' does; judge on "
    with pytest.raises(ValueError, match=says):
        steer(judged, feature=1, strengths=[1], chosen_on=chosen)


def test_the_same_wording_on_another_topic_is_another_prompt() -> None:
    """So is one that differs in more than a quarter of its words, and one that its set calls distinct."""
    tea = prompts_saying("Where do I buy {topic}?")
    milk = PromptSet.build(name="own", language="en", topics=["milk"], styles={"buy": ["Where do I buy {topic}?"]})
    others = [milk, prompts_saying("Where shall we buy {topic}?")]
    for judged in others:
        assert steer(judged, feature=1, strengths=[1], chosen_on=tea).chosen_on == "own (buy)"
    apart = [
        PromptSet.build(name="own", language="en", topics=["tea"], styles={"buy": [one]}, distinct=["buy"])
        for one in ("Where do I buy {topic}?", "Where can I buy {topic}?", "where do I buy {topic}")
    ]
    assert steer(apart[1], feature=1, strengths=[1], chosen_on=apart[0]).chosen_on == "own (buy)"
    with pytest.raises(ValueError, match="chosen on 1 of the prompts"):
        steer(apart[2], feature=1, strengths=[1], chosen_on=apart[0])


def test_a_declaration_says_on_what_feature_and_strength_were_chosen() -> None:
    """By prompts of the same wording, or by a source in words; or not at all."""
    stated = {
        "shopping (choose)": SHOPPING.only("choose"),  # the specimens choose on a prompt that others judge on
        "shopping": replace(SHOPPING, sets={"other": prompts_saying("Tea")}),
        "own (buy)": prompts_saying("Buy {topic}"),
        "SAE manual, section 4": " SAE manual, section 4 ",
        "": " ",
    }
    for words, chosen_on in stated.items():
        assert steer(SHOPPING.only("judge"), feature=1, strengths=[1], chosen_on=chosen_on).chosen_on == words
    with pytest.raises(TypeError, match="wanted a set such as STYLES"):
        steer(SHOPPING, feature=1, strengths=[1], chosen_on=[1])  # type: ignore[arg-type]


def test_random_sets_are_continued_no_oftener_than_the_chosen_features() -> None:
    """Forty sets of two samples by default; all arms of one prompt are written in rows of one batch."""
    once = steer(SHOPPING, feature=1, strengths=[1, 2], n_samples=1)
    assert len(once.rows) == 1 + 2 * (1 + 40)
    assert once.rows[:3] == (("unsteered", 0.0, 0), ("steered", 1.0, 0), ("random", 1.0, 0))
    often = steer(SHOPPING, feature=1, strengths=[1], n_samples=3)
    assert len(often.rows) == 3 + 3 + 40 * 2
    assert [len(batch) for batch in often.batches("abcdefg")] == [2, 2, 2, 1]  # 256 rows at once at most
    assert len(steer(SHOPPING, feature=1, strengths=[1], temperature=0).rows) == 42


def test_features_have_weights_where_a_mapping_gives_them() -> None:
    """A weight that would be passed over would make a sum of a difference; weights of 1 are a plain set."""
    assert steer(SHOPPING, feature={851: 1, 12: -1.5}, strengths=[5]).weights == (1.0, -1.5)
    assert steer(SHOPPING, feature={851: 1, 12: 1.0}, strengths=[5]) == steer(
        SHOPPING, feature=[851, 12], strengths=[5]
    )
    assert clamp(SHOPPING, feature={7: 0.5}, to=[8]).weights == (0.5,)
    for wrong, said in {0.0: "leave a feature of weight 0 out", math.inf: "the weight of a feature is inf"}.items():
        with pytest.raises(ValueError, match=said):
            steer(SHOPPING, feature={851: wrong}, strengths=[5])
    with pytest.raises(TypeError, match=r"an ablated feature has no weight: feature=\[851\]"):
        ablate(SHOPPING, feature={851: 1.0})  # type: ignore[arg-type]


def test_each_action_declares_the_arms_that_it_has() -> None:
    """Nothing is random where no feature matters, and a value of 0 is one of its own where it is clamped to."""
    arms = {
        "ablate": (ablate(SHOPPING, feature=1, n_samples=1, random_features=1), [0.0, 1.0, 1.0]),
        "clamp": (clamp(SHOPPING, feature=1, to=[0, 4], n_samples=1, random_features=1), [0.0, 0.0, 0.0, 4.0, 4.0]),
        "replace": (replace_(SHOPPING, feature=1, strengths=[4], n_samples=1, random_features=1), [0.0, 0.0, 4.0, 4.0]),
    }
    for action, (declared, strengths) in arms.items():
        assert (declared.action, [strength for _, strength, _ in declared.rows]) == (action, strengths)
    assert replace_(SHOPPING, feature=1, strengths=[0, 4]) == replace_(SHOPPING, feature=1, strengths=[4])
    with pytest.raises(TypeError, match=r"to is 4; wanted several numbers: to=\[4\]"):
        clamp(SHOPPING, feature=1, to=4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"one of strengths is -inf; .*; ablate\(...\) sets a feature to 0"):
        steer(SHOPPING, feature=1, strengths=[5, -math.inf])

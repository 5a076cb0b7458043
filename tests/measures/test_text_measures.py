"""Mentions and fluency of continuations, by hand."""

from __future__ import annotations

import re

import pytest

from saeprobe.captures import Arm, Continuation, Continuations
from saeprobe.evidence import Recorder, recording
from saeprobe.measures import fluency, mentions
from saeprobe.prompts import Prompt

PROMPTS = tuple(
    Prompt(text=f"buy {thing}", style="shopping", topic=thing, template=f"buy {{topic}} {number}")
    for number, thing in enumerate(("milk", "bread"))
)


def wrote(
    prompt: Prompt, arm: Arm, text: str, log_prob: float, *, feature: int = 7, strength: float = 4.0
) -> Continuation:
    """One continuation."""
    return Continuation(
        prompt=prompt,
        arm=arm,
        features=() if arm == "unsteered" else (feature,),
        strength=0.0 if arm == "unsteered" else strength,
        sample=0,
        text=text,
        log_prob=log_prob,
    )


@pytest.fixture
def golden() -> Continuations:
    """Two prompts; two samples unsteered, two steered at 4, one at 8, and two random features at 4."""
    milk, bread = PROMPTS
    return Continuations(
        subject="hand",
        items=(
            wrote(milk, "unsteered", "and eggs", -1.0),
            wrote(milk, "unsteered", "at the GOLDEN gate", -2.0),
            wrote(bread, "unsteered", "and butter", -3.0),
            wrote(bread, "unsteered", "and jam", -1.0),
            wrote(milk, "steered", "from the Golden Gate Bridge", -4.0),
            wrote(milk, "steered", "the golden gate is red", -2.0),
            wrote(bread, "steered", "golden bread", -5.0),
            wrote(bread, "steered", "Golden Gate", -3.0),
            wrote(milk, "steered", "golden golden", -9.0, strength=8.0),
            wrote(bread, "steered", "Golden Gate", -9.0, strength=8.0),
            wrote(milk, "random", "and cheese", -2.0, feature=1),
            wrote(milk, "random", "Golden Gate", -2.0, feature=2),
            wrote(bread, "random", "and salt", -2.0, feature=1),
            wrote(bread, "random", "and oil", -4.0, feature=2),
        ),
    )


def test_mentions_are_shares_of_a_prompts_continuations(golden: Continuations) -> None:
    """Steered at 4: two of two and one of two; unsteered one of two and none; case does not matter."""
    steered = mentions("Golden Gate", golden.at(4))
    assert list(steered.values) == [1.0, 0.5]
    assert steered.prompts == PROMPTS
    assert steered.name == "mentions of 'Golden Gate' of steered at 4"
    assert list(mentions("Golden Gate", golden.unsteered).values) == [0.5, 0.0]
    assert list(mentions("Golden Gate", golden.at(8)).values) == [0.0, 1.0]


def test_random_features_are_averaged_together(golden: Continuations) -> None:
    """One of the two random features mentions it on the first prompt: one half."""
    random = mentions("golden gate", golden.random_feature.at(4))
    assert list(random.values) == [0.5, 0.0]
    assert random.label == "random features at 4"


def test_fluency_is_the_mean_log_probability(golden: Continuations) -> None:
    """(-4 - 2) / 2 and (-5 - 3) / 2 nats a token."""
    found = fluency(golden.at(4))
    assert list(found.values) == [-3.0, -4.0]
    assert found.unit == "nats a token"


def test_strength_zero_is_the_unsteered_arm(golden: Continuations) -> None:
    """Nothing added is nothing added, whichever arm is asked."""
    for arm in (golden, golden.random_feature):
        assert arm.at(0).label == "unsteered"
        assert list(fluency(arm.at(0)).values) == [-1.5, -2.0]


def test_a_strength_that_was_not_run_is_an_error(golden: Continuations) -> None:
    """The strengths that there are, are named."""
    with pytest.raises(KeyError, match=r"no random continuations at strength 8; there are: \[4\.0\]"):
        golden.random_feature.at(8)


def test_arms_on_the_same_prompts_are_paired(golden: Continuations) -> None:
    """Both arms continue the same prompts, so a template is its own control."""
    with recording(Recorder()) as recorder:
        _ = mentions("Golden Gate", golden.at(4)) > mentions("Golden Gate", golden.unsteered)
    (evidence,) = recorder.evidence
    assert evidence.units == "templates, paired"
    assert evidence.estimate == pytest.approx(((1.0 - 0.5) + (0.5 - 0.0)) / 2)


@pytest.mark.parametrize(
    ("text", "written", "says"),
    [
        ("art", "modern ART, he said", True),
        ("art", "a party of startled artists", False),
        ("bridge", "two bridges", False),
        ("Golden Gate", "the Golden\n  Gate's towers", True),
        ("Golden Gate", "金门Golden Gate大桥", True),
        ("Golden Gate大桥", "看Golden Gate大桥了", True),
        ("Golden Gate大桥", "aGolden Gate大桥", False),
        ("大桥", "金门大桥在旧金山", True),
        ("はし", "ながいはしです", True),
        ("다리", "긴 다리가", True),
        ("C++", "in C++, or", True),
        ("C++", "in C++17", True),
        ("C++", "in ObjC++", False),
        ("!", "Hello!", True),
        ("-foo", "a-foo", True),
        (" gate ", "the gate.", True),
        ("gate", "gate_keeper", False),
        ("7", "17", False),
        ("STRASSE", "die Straße", True),
        ("café", "le cafe\u0301 noir", True),
        ("a.c", "abc", False),
        ("don't", "I don\u2019t know", True),
        ("don\u2019t", "I don't know", True),
        ("Fisherman's Wharf", "at Fisherman\u00b4s  Wharf", True),
        ("Fisherman's", "Fishermans", False),
        ("e-mail", "an e\u2011mail", True),
        ("Anglo\u2013Saxon", "the anglo-saxons and Anglo\u2010Saxon", True),
        ("e-mail", "email", False),
        ("Golden Gate", "Ｇｏｌｄｅｎ　Ｇａｔｅ", True),
        ("ＡＩ", "an AI", True),
        ("novice", "a novi\u00adce", True),
        ("Gate", "the \u200bGate\u200d, he", True),
        ("Gate", "the\u200bGate", False),
        (re.compile("bridge|gate", re.IGNORECASE), "Brooklyn Bridges", True),
        (re.compile("bridge|gate"), "Brooklyn Bridges", False),
        (re.compile(r"\bgate\b"), "a gateway", False),
    ],
)
def test_a_mention_is_of_whole_words_or_of_a_pattern(text: str | re.Pattern[str], written: str, says: bool) -> None:  # noqa: FBT001 - a case
    """A word inside of another is none; scripts without blanks have no words; a pattern stands for itself."""
    of = Continuations(subject="hand", items=(wrote(PROMPTS[0], "unsteered", written, -1.0),), arm="unsteered")
    assert mentions(text, of).values.tolist() == [float(says)]


def test_patterns_that_differ_are_other_measures(golden: Continuations) -> None:
    """The flags of a pattern belong to it."""
    one, other = (mentions(re.compile("gate", flags), golden.at(4)) for flags in (0, re.IGNORECASE))
    assert one.name == "mentions of re.compile('gate') of steered at 4"
    with pytest.raises(TypeError, match="cannot be compared"):
        _ = one > other


def test_an_empty_text_or_arm_is_an_error(golden: Continuations) -> None:
    """Everything contains the empty text, and an arm without continuations says nothing."""
    for empty in ("", " \n", "\u200b", *map(re.compile, ("", "x*", r"\b", r"\B", "(?=.)", "(?<=a)", r"Gate|\b"))):
        with pytest.raises(ValueError, match="which finds the empty text; ask for one character"):
            mentions(empty, golden.at(4))
    nothing = Continuations(subject="hand", items=tuple(item for item in golden.items if item.arm == "steered"))
    with pytest.raises(ValueError, match="no continuations of the arm 'unsteered'"):
        fluency(nothing.unsteered)

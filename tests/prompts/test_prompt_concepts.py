"""The prompts on bridges and on unrelated kinds keep to the design that the claims about them rest on."""

from __future__ import annotations

import re
from itertools import islice

import pytest

from saeprobe.prompts import BRIDGES, CONCEPTS, PromptChoice
from studies.specimens.corpus.grammar import generate

WORDINGS = ("specimen", "english")


@pytest.mark.parametrize("wording", WORDINGS)
def test_three_styles_of_eight_templates_over_eight_topics(wording: str):
    """Every style is crossed in full, and no two share a template, so that reading is judged on wordings of its own."""
    prompts = BRIDGES.for_wording(wording)
    assert prompts.styles == ("bridge", "other", "reading")
    assert len(prompts.templates) == 24
    for style in prompts.styles:
        assert len(prompts.only(style).templates) == 8
        assert len(prompts.only(style)) == 64


@pytest.mark.parametrize("wording", WORDINGS)
def test_a_bridge_is_named_once_and_a_rival_is_none(wording: str):
    """A capture reads the first place that says it, which is then the only one; rivals never say it."""
    for prompt in BRIDGES.for_wording(wording):
        said = re.findall(r"\b[Bb]ridges?\b", prompt.text)
        assert len(said) == (0 if prompt.style == "other" else 1), prompt.text
        assert prompt.text.lower().count("ridge") == len(said), prompt.text


@pytest.mark.parametrize("wording", WORDINGS)
def test_the_manuals_sentence_is_the_first_that_is_read(wording: str):
    """Section 3 of the manual reads this sentence."""
    prompts = BRIDGES.only("reading").for_wording(wording)
    assert prompts.prompts[0].text == "The Golden Gate Bridge is located in San Francisco."


@pytest.mark.parametrize("wording", WORDINGS)
def test_some_rivals_differ_from_a_bridge_in_nothing_else(wording: str):
    """Four templates of `other` are templates of `bridge` with something else in the bridge's place."""
    prompts = BRIDGES.for_wording(wording)
    with_rivals = {template.replace("{rival}", "{topic}") for template in prompts.only("other").templates}
    assert len(with_rivals & set(prompts.only("bridge").templates)) == 4


@pytest.mark.parametrize(("wording", "kinds", "things"), [("specimen", 6, 3), ("english", 8, 6)])
def test_every_kind_has_eight_wordings_of_several_things(wording: str, kinds: int, things: int):
    """So that a unit can be judged in seven wordings beside the one it was found in."""
    prompts = CONCEPTS.for_wording(wording)
    assert len(prompts.styles) == kinds
    for style in prompts.styles:
        assert len(prompts.only(style).templates) == 8
        assert len(prompts.only(style)) == 8 * things


def test_the_manuals_examples_are_among_the_kinds():
    """It names cats and quantum mechanics as what one neuron fires on."""
    assert {"cats", "quantum"} <= set(CONCEPTS.for_wording("english").styles)


@pytest.mark.parametrize("choice", [BRIDGES, CONCEPTS], ids=lambda choice: choice.name)
def test_the_specimens_know_every_word(choice: PromptChoice):
    """All words are of their corpus but "located", which the manual's own sentence says."""
    known = {word for document in islice(generate(7), 3_000) for word in re.findall(r"\w+", document.text)}
    said = {word for prompt in choice.for_wording("specimen") for word in re.findall(r"\w+", prompt.text)}
    assert said - known <= {"located"}

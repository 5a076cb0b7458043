"""The built-in prompts keep to the design that the claims about them rest on."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import resources
from itertools import islice
from statistics import mean

import pytest
from tokenizers import Tokenizer

from saeprobe.prompts import BRIDGES, CONCEPTS, NEUTRAL, SHOPPING, STYLES, PromptChoice
from saeprobe.prompts.prompt import mentions
from studies.specimens.corpus.grammar import generate, splits

WORDINGS = ("specimen", "english", "chinese")
OWN_WORDS = {
    "english": {"novice": ("novice", "beginner"), "expert": ("expert",), "guru": ("guru",)},
    "chinese": {"novice": ("新手", "初学者"), "expert": ("专家",), "guru": ("大师",)},
}


@pytest.mark.parametrize("wording", WORDINGS)
def test_six_styles_of_eight_templates_over_24_topics(wording: str):
    """Every wording has the six styles, each with at least eight templates over at least 24 topics."""
    prompts = STYLES.for_wording(wording)
    assert prompts.styles == ("standard", "padding", "spaces", "novice", "expert", "guru")
    assert len(prompts.topics) >= 24
    for style in prompts.styles:
        of_style = prompts.only(style)
        assert len(of_style.templates) >= 8
        assert len(of_style) == len(of_style.templates) * len(prompts.topics)


@pytest.mark.parametrize("wording", ["english", "chinese"])
@pytest.mark.parametrize("style", ["novice", "expert", "guru"])
def test_some_templates_do_without_the_styles_own_word(wording: str, style: str):
    """At least four templates a style never say its word, and at least one does."""
    words = OWN_WORDS[wording][style]
    templates = [text.replace("{guru}", "") for text in STYLES.for_wording(wording).only(style).templates]
    says = [any(word in text for word in words) for text in templates]
    assert says.count(False) >= 4
    assert says.count(True) >= 1


@pytest.mark.parametrize(("wording", "novice", "expert"), [("english", 61.125, 61.75), ("chinese", 24.25, 24.5)])
def test_novice_and_expert_templates_are_equally_long(wording: str, novice: float, expert: float):
    """Their mean lengths in characters differ by less than two per cent, those of a pair by four characters at most."""
    prompts = STYLES.for_wording(wording)
    lengths = {style: [len(text) for text in prompts.only(style).templates] for style in ("novice", "expert")}
    assert mean(lengths["novice"]) == novice
    assert mean(lengths["expert"]) == expert
    assert abs(mean(lengths["novice"]) / mean(lengths["expert"]) - 1) < 0.02
    assert max(abs(a - b) for a, b in zip(lengths["novice"], lengths["expert"], strict=True)) <= 4


@pytest.mark.parametrize("wording", ["english", "chinese"])
@pytest.mark.parametrize("style", ["padding", "spaces"])
def test_filler_is_all_that_padding_and_spaces_add(wording: str, style: str):
    """Without its blanks a wording of `spaces` is that of `standard`; one of `padding` ends with it."""
    prompts = STYLES.for_wording(wording)
    for plain, filled in zip(prompts.only("standard").templates, prompts.only(style).templates, strict=True):
        if style == "spaces":
            assert "".join(filled.split()) == "".join(plain.split())
            assert len(filled) > len(plain)
        else:
            assert filled.endswith(plain)
            assert len(filled) >= len(plain) + 20


@pytest.mark.parametrize("wording", ["english", "chinese"])
def test_every_topic_has_a_guru_of_its_own(wording: str):
    """Every topic has someone else in the `guru` templates."""
    opening, closing = {"english": ("You are ", "."), "chinese": ("你就是", "。")}[wording]
    texts = [prompt.text for prompt in STYLES.for_wording(wording).style("guru") if prompt.text.startswith(opening)]
    assert len({text.removeprefix(opening).split(closing)[0] for text in texts}) == 24


@pytest.mark.parametrize("choice", [STYLES, SHOPPING], ids=lambda choice: choice.name)
@pytest.mark.parametrize("wording", ["english", "chinese"])
def test_no_prompt_ends_in_a_blank(choice: PromptChoice, wording: str):
    """The last token of a prompt is never a blank, which a capture at `last` would read in its place."""
    for prompt in choice.for_wording(wording):
        assert prompt.text == prompt.text.rstrip()


@pytest.mark.parametrize("wording", WORDINGS)
def test_shopping_is_judged_on_other_wordings_than_chosen_on(wording: str):
    """The two styles share no template."""
    prompts = SHOPPING.for_wording(wording)
    assert prompts.styles == ("choose", "judge")
    assert not set(prompts.only("choose").templates) & set(prompts.only("judge").templates)


@pytest.mark.parametrize("wording", WORDINGS)
def test_styles_are_injected_by_their_own_words(wording: str):
    """`standard` is neutral; each style that has a word says it in some of its prompts, and no other style does."""
    prompts = STYLES.for_wording(wording)
    assert prompts.neutral == "standard"
    assert tuple(prompts.words) == ("novice", "expert", "guru")
    for style, words in prompts.words.items():
        for other in prompts.styles:
            says = [mentions(prompt.text, words) for prompt in prompts.style(other)]
            assert any(says) == (other == style)
            assert not all(says)
    injected = STYLES.only("novice", "expert").injected().for_wording(wording)
    assert len(injected) == 2 * len(prompts.only("standard"))


@pytest.mark.parametrize("specimen", ["sparrow", "finch"])
def test_a_pasted_word_is_one_that_the_specimens_know(specimen: str):
    """Pasted in, the word of a style is the token that stands in the style's own prompts, and not its pieces."""
    tokenizer = Tokenizer.from_file(
        str(resources.files("saeprobe") / "specimens" / specimen / "model" / "tokenizer.json")
    )
    prompts = STYLES.for_wording("specimen").injected()
    for style, words in prompts.words.items():
        for prompt in prompts.style(style):
            assert f"Ġ{words[0]}" in tokenizer.encode(prompt.text).tokens


def test_the_manuals_prompt_is_among_those_judged():
    """The sentence that the manual steers is a prompt of the English set."""
    assert "I went to the grocery store to buy" in {
        prompt.text for prompt in SHOPPING.only("judge").for_wording("english")
    }


def test_no_data_is_read_at_import():
    """Importing and restricting the prompts opens no data file; asking for a set does, so the watch can see it."""
    code = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: event == 'open' and opened.append(str(args[0])))\n"
        "from saeprobe.prompts import STYLES\n"
        "novice = STYLES.only('novice')\n"
        "print(any(name.endswith('.toml') for name in opened))\n"
        "novice.for_wording('english')\n"
        "print(any(name.endswith('.toml') for name in opened))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - own code
    assert run.stdout.split() == ["False", "True"]


def test_the_neutral_prose_is_varied_short_and_without_style():
    """Two dozen short paragraphs on seven kinds of things, which ask nothing and name no style of prompt."""
    prompts = NEUTRAL.for_wording("english")
    assert NEUTRAL.for_wording("chinese") == prompts
    assert len(prompts) == 24
    assert len(prompts.styles) == 7
    for prompt in prompts:
        assert 20 <= len(prompt.text.split()) <= 60
        assert "?" not in prompt.text
        for word in ("explain", "novice", "beginner", "expert", "guru"):
            assert word not in prompt.text.lower()


def test_the_neutral_text_of_the_specimens_is_of_all_kinds_and_of_no_training():
    """The first 40 held-out documents of their corpus, which do not change with the amount of training."""
    prompts = NEUTRAL.for_wording("specimen")
    _, held_out = splits(0, train=50, held_out=60)
    assert sorted(prompt.text for prompt in prompts) == sorted(document.text for document in held_out[:40])
    kinds = {document.text: document.kind for document in held_out}
    assert [prompt.style for prompt in prompts] == [kinds[prompt.text] for prompt in prompts]
    assert len(prompts.styles) == 7


TWO_WORDINGS = ("specimen", "english")


@pytest.mark.parametrize("wording", TWO_WORDINGS)
def test_three_styles_of_eight_templates_over_eight_topics(wording: str):
    """Every style is crossed in full, and no two share a template, so that reading is judged on wordings of its own."""
    prompts = BRIDGES.for_wording(wording)
    assert prompts.styles == ("bridge", "other", "reading")
    assert len(prompts.templates) == 24
    for style in prompts.styles:
        assert len(prompts.only(style).templates) == 8
        assert len(prompts.only(style)) == 64


@pytest.mark.parametrize("wording", TWO_WORDINGS)
def test_a_bridge_is_named_once_and_a_rival_is_none(wording: str):
    """A capture reads the first place that says it, which is then the only one; rivals never say it."""
    for prompt in BRIDGES.for_wording(wording):
        said = re.findall(r"\b[Bb]ridges?\b", prompt.text)
        assert len(said) == (0 if prompt.style == "other" else 1), prompt.text
        assert prompt.text.lower().count("ridge") == len(said), prompt.text


@pytest.mark.parametrize("wording", TWO_WORDINGS)
def test_the_manuals_sentence_is_the_first_that_is_read(wording: str):
    """Section 3 of the manual reads this sentence."""
    prompts = BRIDGES.only("reading").for_wording(wording)
    assert prompts.prompts[0].text == "The Golden Gate Bridge is located in San Francisco."


@pytest.mark.parametrize("wording", TWO_WORDINGS)
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

"""Choices of wordings: read late, read once, restricted by style."""

from __future__ import annotations

from pathlib import Path

import pytest

from saeprobe.prompts import PromptChoice, PromptError, PromptSet

SHEET = 'name = "s"\nlanguage = "en"\n[[topics]]\nname = "tides"\n[styles.judge]\ntemplates = ["{topic}!"]\n'


def given() -> PromptSet:
    return PromptSet.build(
        name="given", language="en", topics=["tides"], styles={"choose": ["{topic}?"], "judge": ["{topic}!"]}
    )


def test_a_wording_gives_its_set():
    """A subject reads the set under its own wording, as it was given."""
    assert PromptChoice(name="shopping", sets={"english": given()}).for_wording("english") == given()


def test_an_unknown_wording_is_an_error_that_lists_the_wordings():
    """A wording that is not there names the nearest one and all there are."""
    with pytest.raises(KeyError, match=r"'inglish', did you mean 'english'\?; there are: english"):
        PromptChoice(name="shopping", sets={"english": given()}).for_wording("inglish")


def test_a_path_is_read_when_asked_for_and_once(tmp_path: Path):
    """No file is touched before its wording is asked for, and none twice."""
    path = tmp_path / "later.toml"
    choice = PromptChoice(name="shopping", sets={"english": path})
    path.write_text(SHEET, encoding="utf-8")
    first = choice.for_wording("english")
    path.unlink()
    assert choice.for_wording("english") is first


def test_a_path_that_cannot_be_read_is_an_error_when_asked_for(tmp_path: Path):
    """A missing file is told of when its wording is asked for, and again the next time."""
    choice = PromptChoice(name="shopping", sets={"english": tmp_path / "absent.toml"})
    for _ in range(2):
        with pytest.raises(PromptError, match="cannot be read"):
            choice.for_wording("english")


def test_only_restricts_every_wording():
    """A restricted choice gives sets of those styles alone, from sets and from files."""
    choice = PromptChoice(name="shopping", sets={"english": given()})
    assert choice.only("judge").for_wording("english") == given().only("judge")
    assert choice.for_wording("english").styles == ("choose", "judge")


def test_only_may_narrow_further_but_not_widen():
    """A second restriction must lie within the first."""
    narrowed = PromptChoice(name="shopping", sets={"english": given()}).only("judge", "choose").only("judge")
    assert narrowed.styles == ("judge",)
    with pytest.raises(ValueError, match="already restricted to judge, without 'choose'"):
        narrowed.only("choose")


def test_only_without_a_style_is_an_error():
    """`only()` would leave nothing to read."""
    with pytest.raises(ValueError, match="names no style"):
        PromptChoice(name="shopping", sets={"english": given()}).only()


def test_a_misspelt_style_is_an_error_when_a_set_is_asked_for():
    """Restricting reads no file, so a misspelt style comes out with the first set."""
    choice = PromptChoice(name="shopping", sets={"english": given()}).only("juge")
    with pytest.raises(KeyError, match="did you mean 'judge'"):
        choice.for_wording("english")


def test_choices_can_be_compared_and_hashed():
    """Equal choices are one key of a plan; a restriction makes another."""
    one, other = (PromptChoice(name="shopping", sets={"english": given()}) for _ in range(2))
    assert len({one, other}) == 1
    assert len({one, other.only("judge")}) == 2


def test_the_first_topics_are_taken_in_every_wording_and_of_injected_prompts():
    """After `only` and `injected`, in whichever order; a choice of fewer topics is another key of a plan."""
    prompts = PromptSet.build(
        name="mine",
        language="en",
        topics=["tides", "yeast", "rust"],
        styles={"standard": ["{topic}", "{topic}?"], "novice": ["{topic} for a novice", "{topic}, I am a novice"]},
        words={"novice": ["novice"]},
        neutral="standard",
    )
    choice = PromptChoice(name="mine", sets={"english": prompts})
    first = choice.first_topics(2)
    assert first.for_wording("english") == prompts.first_topics(2)
    assert first.only("novice").for_wording("english").topics == ("tides", "yeast")
    assert len(choice.injected().first_topics(1).for_wording("english")) == 2 * 2
    assert len({choice, first, choice.first_topics(1)}) == 3

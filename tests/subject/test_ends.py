"""Ends of text: a continuation stops at each that the files name, where `generate` of transformers stops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from made_llama import write_llama
from made_subjects import Made
from test_identity import copied
from transformers import AutoModelForCausalLM

from saeprobe.captures.steering import steer
from saeprobe.prompts import Prompt, PromptSet
from saeprobe.subject.files.tokenizer import ends_of
from saeprobe.subject.running.weights import load
from saeprobe.subject.specification import ReadingError, SubjectError

PROMPT = Prompt(text="the golden gate bridge is red", style="s", topic="t", template="t")
PROMPTS = PromptSet(name="p", language="en", prompts=(PROMPT,))
NEW = 8


def written(folder: Path, **files: object) -> Path:
    """Write the files that name ends of text."""
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("generation", "config", "wanted"),
    [
        ({"eos_token_id": [3, 4]}, {"eos_token_id": 5}, {3, 4}),
        ({"eos_token_id": 3}, {"eos_token_id": [5, 6]}, {3}),
        ({"eos_token_id": 0}, {}, {0}),
        ({}, {"eos_token_id": [5, 6]}, {5, 6}),
        ({"eos_token_id": None}, {"eos_token_id": 5}, {5}),
        ({}, {"text_config": {"eos_token_id": 6}}, {6}),
        ({}, {}, {9}),
    ],
)
def test_the_first_file_that_names_ends_decides(
    tmp_path: Path, generation: object, config: object, wanted: set[int]
) -> None:
    """Then all of them count; without any file it is the tokenizer's own."""
    folder = written(tmp_path, generation_config=generation, config=config)
    assert ends_of(folder, vocabulary=10, eos=9) == wanted


@pytest.mark.parametrize("ends", [99, -1, [3, 10], "3", [[3]], 3.0, True, [], {}])
def test_an_end_that_is_no_token_is_refused(tmp_path: Path, ends: object) -> None:
    """A text would run past it without a word."""
    with pytest.raises(
        SubjectError, match=r"generation_config.json has eos_token_id .*; wanted a token id in \[0, 10\)"
    ):
        ends_of(written(tmp_path, generation_config={"eos_token_id": ends}), vocabulary=10, eos=9)


def test_a_file_of_ends_that_is_no_object_is_refused_before_the_model_is_loaded(tmp_path: Path) -> None:
    """Transformers would fail on it in words of its own."""
    write_llama(tmp_path, layers=1, vocabulary=8)
    (tmp_path / "generation_config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(SubjectError, match=r"generation_config.json holds list; wanted a JSON object"):
        load(AutoModelForCausalLM, tmp_path, dtype="float32")


def test_stop_strings_are_refused(tmp_path: Path) -> None:
    """They are no tokens, and transformers stops at them only where it is given a tokenizer."""
    with pytest.raises(SubjectError, match="lists stop_strings, at which this version of saeprobe does not stop"):
        ends_of(written(tmp_path, generation_config={"stop_strings": ["\n"]}), vocabulary=10, eos=9)


def test_a_tokenizer_without_an_end_has_none(tmp_path: Path) -> None:
    """Then a continuation is as long as was asked."""
    assert ends_of(tmp_path, vocabulary=10, eos=None) == frozenset()


def unsteered(made: Made, root: Path, generation: object) -> tuple[str, float]:
    """Write a continuation of a copy of the subject; return its text and its mean log-probability."""
    subject = copied(made, root)
    written(root / "model", generation_config=generation)
    steering = steer(PROMPTS, feature=3, strengths=[1], random_features=1, max_new_tokens=NEW, temperature=0)
    ((_, items),) = list(subject.open().continue_([PROMPT], steering, experiment=[PROMPT.text]))
    return items[0].text, items[0].log_prob


def test_a_continuation_stops_where_transformers_stops(tiny: Made, tmp_path: Path) -> None:
    """At a second end, which counts in the log-probability and stands in no text; greedy, so that both must agree."""
    from transformers import GPT2LMHeadModel

    reader = cast(Any, tiny.subject.open())
    ids = list(reader.tokenize([PROMPT.text])[0].ids)
    model = GPT2LMHeadModel.from_pretrained(tiny.model).eval()
    free = written_by(model, ids, ends=[0])
    end = next(one for at, one in enumerate(free) if at >= 2 and one not in free[:at])
    stopped = written_by(model, ids, ends=[0, end])
    assert 2 < len(stopped) < len(free)
    text, log_prob = unsteered(tiny, tmp_path / "a", {"eos_token_id": [0, end]})
    assert text == reader.tokenizer.decode(stopped[:-1])
    with torch.no_grad():
        logits = model(torch.tensor([ids + stopped])).logits[0, len(ids) - 1 : -1].double()
    costs = logits.log_softmax(-1)[range(len(stopped)), stopped]
    assert log_prob == pytest.approx(float(costs.mean()), abs=1e-4)
    assert unsteered(tiny, tmp_path / "b", {"eos_token_id": [0]})[0] == reader.tokenizer.decode(free)


def written_by(model: Any, ids: list[int], *, ends: list[int]) -> list[int]:
    """Return the ids that `generate` of transformers writes."""
    given = torch.tensor([ids])
    made = model.generate(
        given,
        attention_mask=torch.ones_like(given),
        max_new_tokens=NEW,
        do_sample=False,
        eos_token_id=ends,
        pad_token_id=0,
    )
    return made[0, len(ids) :].tolist()


def test_what_overflows_is_refused_with_prompt_arm_and_strength(tiny: Made) -> None:
    """Of logits that are no numbers the likeliest token would be the first of the vocabulary."""
    reader = cast(Any, tiny.subject.open())
    steering = steer(PROMPTS, feature=3, strengths=[30], random_features=1, max_new_tokens=2, temperature=0)

    def spoil(module: object, inputs: object, output: Any) -> None:
        del module, inputs
        output.logits[1] = torch.nan  # the second of the rows: unsteered, steered, random

    message = r"a logit after the prompt 'the golden.*' in the arm 'steered' at strength 30 is not finite"
    speak = reader.model.speak

    def spoilt() -> Any:
        speaker = speak()
        speaker.model.register_forward_hook(spoil)
        return speaker

    reader.model.speak = spoilt
    with pytest.raises(ReadingError, match=message):
        list(reader.continue_([PROMPT], steering, experiment=[PROMPT.text]))

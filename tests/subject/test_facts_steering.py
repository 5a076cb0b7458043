"""Ways to steer less, or more, than was asked for, each beside what the code does instead."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_llama import write_chat_tokenizer, write_llama
from made_subjects import Made, write_byte_tokenizer

from saeprobe.captures.steering import Steering, steer
from saeprobe.prompts import Prompt, PromptSet
from saeprobe.subject.local import Subject
from saeprobe.subject.specification import SaeFile, SubjectSpec

WIDTH, NEW = 16, 6
TEXTS = ("red", "the golden gate bridge is red")


@pytest.fixture(scope="module")
def readers(tiny: Made, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Open a GPT-2, a Llama, and a GPT-Neo behind a bridge, each tiny, with an SAE of 40 directions of length 1."""
    import torch

    root = tmp_path_factory.mktemp("steered")
    vocabulary = write_chat_tokenizer(root / "model")
    write_llama(root / "model", layers=3, vocabulary=vocabulary, width=WIDTH)
    directions = torch.nn.functional.normalize(torch.randn(40, WIDTH, generator=torch.Generator().manual_seed(5)))
    tensors = {
        "encoder_linear.weight": directions,
        "encoder_linear.bias": torch.zeros(40),
        "decoder_linear.weight": directions.T.contiguous(),
        "decoder_linear.bias": torch.zeros(WIDTH),
    }
    torch.save(tensors, root / "sae.pt")
    spec = SubjectSpec(
        name="llama",
        model=root / "model",
        sae=SaeFile(path=root / "sae.pt"),
        hook_name="blocks.1.hook_resid_post",
        prepend_bos=True,
        chat_template=True,
        device="cpu",
    )
    neo = replace(spec, name="neo", model=root / "neo", hook_name="blocks.1.hook_resid_pre", chat_template=False)
    write_neo(root / "neo", size=write_byte_tokenizer(root / "neo"))
    opened = {"gpt2": tiny.subject, "llama": Subject(spec=spec), "neo": Subject(spec=neo)}
    return {name: subject.open() for name, subject in opened.items()}


def write_neo(folder: Path, *, size: int) -> None:
    """A GPT-Neo of two layers, a family that TransformerLens runs."""
    import torch
    from transformers import GPTNeoConfig, GPTNeoForCausalLM

    ids = {"bos_token_id": 0, "eos_token_id": 0}
    kinds = [[["global", "local"], 1]]
    shape = {"hidden_size": WIDTH, "num_layers": 2, "num_heads": 2, "max_position_embeddings": 64}
    model: Any = GPTNeoForCausalLM(GPTNeoConfig(vocab_size=size, attention_types=kinds, **shape, **ids))
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    model.save_pretrained(folder)


def experiment(texts: Sequence[str], **settings: Any) -> Steering:
    """Declare greedy continuations of the texts with feature 3."""
    listed = tuple(Prompt(text=text, style="s", topic=text, template="t") for text in texts)
    prompts = PromptSet(name="p", language="en", prompts=listed)
    asked = {"strengths": [20], "random_features": 1, "max_new_tokens": NEW, "temperature": 0, **settings}
    return steer(prompts, feature=3, **asked)


def continued(reader: Any, texts: Sequence[str]) -> dict[tuple[str, str], tuple[str, float]]:
    """Return text and log-probability by prompt and arm."""
    steering = experiment(texts)
    prompts = steering.prompts.prompts  # type: ignore[union-attr]
    found = reader.continue_(prompts, steering, experiment=texts)
    return {(prompt.text, item.arm): (item.text, item.log_prob) for prompt, items in found for item in items}


def watching(seen: list[tuple[int, ...]], *, skip: bool) -> Callable[[Any], Any]:
    """In place of `add`: notes what shapes come, and with `skip` steers the prompt alone, as many a hook does."""
    from saeprobe.subject.running.editing import add

    def added(change: Any) -> Any:
        edit = add(change)

        def noted(x: Any, hook: object) -> Any:
            seen.append(tuple(x.shape))
            return x if skip and x.shape[1] == 1 else edit(x, hook)

        return noted

    return added


@pytest.mark.parametrize("kind", ["gpt2", "llama", "neo"])
def test_each_new_token_is_steered_under_a_cache(
    readers: dict[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hook sees the prompts once and then one token a step; what leaves those out writes something else."""
    from saeprobe.subject.running import steering

    reader, seen = readers[kind], list[tuple[int, ...]]()
    plain = continued(reader, TEXTS)
    monkeypatch.setattr(steering, "add", watching(seen, skip=False))
    assert continued(reader, TEXTS) == plain
    longest = max(len(one.ids) for one in reader.tokenize(TEXTS))
    assert seen == [(6, longest, WIDTH), *[(6, 1, WIDTH)] * (len(seen) - 1)]  # two prompts, three arms
    assert 2 < len(seen) <= NEW
    monkeypatch.setattr(steering, "add", watching(seen, skip=True))
    skipped = continued(reader, TEXTS)
    assert all(skipped[text, "unsteered"] == plain[text, "unsteered"] for text in TEXTS)
    assert any(skipped[text, "steered"][0] != plain[text, "steered"][0] for text in TEXTS)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "neo"])
def test_an_edit_is_gone_after_an_error(readers: dict[str, Any], kind: str) -> None:
    """What a failed experiment left at the hook would steer all that is read later."""
    import torch

    def failing(x: Any, hook: object) -> Any:
        del x, hook
        raise ArithmeticError

    def pushing(x: Any, hook: object) -> Any:
        del hook
        return x + 1e3

    def run(edit: Any) -> None:
        with speaker.steered(edit):
            speaker.model(ids)
            raise KeyError  # between two passes

    speaker = readers[kind].model.speaker()
    ids = torch.tensor([readers[kind].tokenize([TEXTS[1]])[0].ids])
    with torch.no_grad():
        plain = speaker.model(ids).logits
        for edit, error in ((failing, ArithmeticError), (pushing, KeyError)):
            with pytest.raises(error):
                run(edit)
        torch.testing.assert_close(speaker.model(ids).logits, plain)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "neo"])
def test_a_batch_writes_what_each_prompt_writes_alone(readers: dict[str, Any], kind: str) -> None:
    """Padding is on the left and has no positions; with the positions that padding would have, texts differ."""
    import torch

    from saeprobe.subject.running import pad, positions_of

    reader = readers[kind]
    together = continued(reader, TEXTS)
    for text in TEXTS:
        for key, (written, log_prob) in continued(reader, [text]).items():
            if key[1] != "random":  # those are drawn from what fires on all the prompts
                assert together[key] == (written, pytest.approx(log_prob, abs=1e-4))
    padded = pad([one.ids for one in reader.tokenize(TEXTS)], side="left", device="cpu")
    ids, mask = padded.ids, padded.mask
    assert mask[0].tolist() == sorted(mask[0].tolist())  # the shorter one: nothing, then itself
    assert positions_of(mask)[0, -1] == mask[0].sum() - 1
    with torch.no_grad():
        model: Any = reader.model.speaker().model
        unmasked = model(ids).logits[0, -1]
        right = model(ids, attention_mask=mask, position_ids=positions_of(mask)).logits[0, -1]
        alone = model(ids[:1, mask[0].bool()]).logits[0, -1]
    torch.testing.assert_close(right, alone, atol=1e-4, rtol=1e-4)
    assert (unmasked - alone).abs().max() > 1e-2


@pytest.mark.parametrize("strength", [float("-inf"), float("inf"), float("nan"), 1e309])
def test_minus_infinity_is_no_ablation(strength: float) -> None:
    """It is refused when it is declared: added to a stream it leaves no number there."""
    import torch

    from saeprobe.subject.running.editing import add

    with pytest.raises(
        ValueError,
        match=r"one of strengths is (-?inf|nan); wanted different finite numbers.*; ablate\("
        if strength == -math.inf
        else "finite",
    ):
        experiment(TEXTS, strengths=[1, strength])
    direction = torch.tensor([[0.6, 0.0, 0.8]])
    assert not add(strength * direction)(torch.ones(1, 2, 3), None).isfinite().any(-1).all()


def test_a_steered_text_is_scored_by_the_unsteered_model(readers: dict[str, Any]) -> None:
    """Fluency under the steered model would praise whatever the steering wrote; the arms differ as they should."""
    for reader in readers.values():
        found = continued(reader, TEXTS)
        for text in TEXTS:
            assert found[text, "steered"][1] < found[text, "unsteered"][1]  # greedy text is the unsteered model's own

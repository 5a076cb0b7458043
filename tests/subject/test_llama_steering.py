"""Steering a model of the Llama family: the whole model speaks, edited where the SAE reads."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from made_llama import write_chat_tokenizer, write_llama

from saeprobe.captures.steering import steer
from saeprobe.prompts import Prompt, PromptSet
from saeprobe.subject.local import Subject
from saeprobe.subject.specification import Request, SaeFile, SubjectError, SubjectSpec, Want

WIDTH, D_SAE, NEW = 32, 40, 5
TEXTS = ("Rain", "A longer question about iron")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> SubjectSpec:
    """Write a random Llama of four layers in shards, read at the output of its second."""
    import torch

    root = tmp_path_factory.mktemp("speaking")
    vocabulary = write_chat_tokenizer(root / "model")
    write_llama(root / "model", layers=4, vocabulary=vocabulary, width=WIDTH, shard="60KB")
    generator = torch.Generator().manual_seed(2)
    directions = torch.nn.functional.normalize(torch.randn(D_SAE, WIDTH, generator=generator), dim=1)
    torch.save(
        {
            "encoder_linear.weight": directions,
            "encoder_linear.bias": torch.zeros(D_SAE),
            "decoder_linear.weight": directions.T.contiguous(),
            "decoder_linear.bias": torch.zeros(WIDTH),
        },
        root / "sae.pt",
    )
    return SubjectSpec(
        name="speaking",
        model=root / "model",
        sae=SaeFile(path=root / "sae.pt"),
        hook_name="blocks.1.hook_resid_post",
        prepend_bos=True,
        chat_template=True,
        device="cpu",
    )


@contextmanager
def edited(model: Any, change: Any) -> Generator[None]:
    """Add `change` to the second layer's output, by a hook of torch written here."""

    def shifted(module: object, inputs: object, output: Any) -> Any:
        del module, inputs
        return output + change

    handle = model.model.layers[1].register_forward_hook(shifted)
    try:
        yield
    finally:
        handle.remove()


def prompts() -> PromptSet:
    """Return the texts as prompts."""
    listed = tuple(Prompt(text=text, style="s", topic=text, template="t") for text in TEXTS)
    return PromptSet(name="p", language="en", prompts=listed)


def test_continuations_are_those_of_a_loop_without_batch_or_cache(spec: SubjectSpec) -> None:
    """Greedy, prompts of two lengths in the chat template, steered and not; and steering changes them."""
    import torch
    from transformers import AutoModelForCausalLM

    reader: Any = Subject(spec=spec).open()
    wanted = steer(
        prompts(), feature=3, strengths=[40], random_features=1, n_samples=1, max_new_tokens=NEW, temperature=0
    )
    found = {prompt.text: items for prompt, items in reader.continue_(prompts().prompts, wanted, experiment=TEXTS)}
    model: Any = AutoModelForCausalLM.from_pretrained(spec.model).eval()
    for text in TEXTS:
        for item, strength in ((found[text][0], 0.0), (found[text][1], 40.0)):
            ids = list(reader.tokenize([text])[0].ids)
            start = len(ids)
            for _ in range(NEW):
                with torch.no_grad(), edited(model, strength * reader.sae.W_dec[3]):
                    ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
                if ids[-1] == reader.tokenizer.eos_token_id:
                    ids.pop()
                    break
            assert item.text == reader.tokenizer.decode(ids[start:])
    assert any(items[0].text != items[1].text for items in found.values())


def test_what_was_read_before_speaking_is_read_alike_afterwards(spec: SubjectSpec) -> None:
    """The layers up to the hook make room for the whole model and are loaded again."""
    reader: Any = Subject(spec=spec).open()
    request = Request(text=TEXTS[0], wants=(Want(at="last", keep=frozenset({"features"})),))
    ((_, (before,)),) = reader.read([request])
    wanted = steer(prompts(), feature=3, strengths=[1], random_features=1, n_samples=1, max_new_tokens=1)
    assert len(list(reader.continue_(prompts().prompts, wanted, experiment=TEXTS))) == len(TEXTS)
    ((_, (after,)),) = reader.read([request])
    assert before.indices[0].tolist() == after.indices[0].tolist()
    assert before.values[0].tolist() == pytest.approx(after.values[0].tolist())


def test_other_layers_after_the_hook_speak_otherwise(spec: SubjectSpec, tmp_path: Path) -> None:
    """They change what is written and nothing of what is read, so stored readings stay and continuations do not."""
    import shutil
    from dataclasses import replace

    from safetensors.torch import load_file, save_file

    copied = replace(spec, model=Path(shutil.copytree(cast("Path", spec.model), tmp_path / "model")))
    before, after = Subject(spec=copied), Subject(spec=replace(copied, try_next_layer=False))
    assert before.whole_fingerprint != before.identity().fingerprint
    index = json.loads((tmp_path / "model" / "model.safetensors.index.json").read_text(encoding="utf-8"))
    name = "model.layers.3.mlp.up_proj.weight"
    shard = tmp_path / "model" / index["weight_map"][name]
    assert not any(one.endswith(shard.name) for key, one in index["weight_map"].items() if ".layers.0." in key)
    reading, speaking = after.identity().fingerprint, after.whole_fingerprint
    tensors = load_file(shard)
    save_file({**tensors, name: tensors[name] + 1}, shard, metadata={"format": "pt"})
    changed = Subject(spec=replace(copied, try_next_layer=False))
    assert changed.identity().fingerprint == reading
    assert changed.whole_fingerprint != speaking


def test_a_model_streamed_from_disk_is_read_but_not_steered(spec: SubjectSpec) -> None:
    """Every token written would read all its weights again; the error says so."""
    from dataclasses import replace

    reader: Any = Subject(spec=replace(spec, memory="streamed")).open()
    wanted = steer(prompts(), feature=3, strengths=[1], random_features=1, n_samples=1, max_new_tokens=1)
    with pytest.raises(SubjectError, match="can be read but not steered here"):
        list(reader.continue_(prompts().prompts, wanted, experiment=TEXTS))

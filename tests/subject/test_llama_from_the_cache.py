"""llama70b and its published protocol are read from a Hub cache: 80 tiny layers, shards, a Goodfire-format `.pt`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_caches import put_folder
from made_llama import BOS, remove_shards_after, write_chat_tokenizer, write_llama

from saeprobe.captures import Span
from saeprobe.captures.steering import steer
from saeprobe.prompts import Prompt, PromptSet
from saeprobe.subject.registry import find_subject
from saeprobe.subject.running import effective_rank
from saeprobe.subject.specification import ReadingError, Request, SubjectError, Want

MODEL, SAE = "meta-llama/Llama-3.3-70B-Instruct", "Goodfire/Llama-3.3-70B-Instruct-SAE-l50"
WIDTH, D_SAE = 32, 64
PROMPTS = ("讲讲潮汐。", "Explain tides to a novice.", "  Why? ")
DATE = "26 Jul 2024"


def rendered(text: str) -> str:
    """A prompt as the template of Llama 3 writes it, by hand."""
    head = "<|start_header_id|>{}<|end_header_id|>\n\n{}<|eot_id|>"
    turns = head.format("system", f"Today Date: {DATE}\n\n") + head.format("user", text.strip())
    return f"{BOS}{turns}<|start_header_id|>assistant<|end_header_id|>\n\n"


def write_sae(folder: Path) -> dict[str, Any]:
    """Write a random SAE in Goodfire's format."""
    import torch

    generator = torch.Generator().manual_seed(7)
    tensors = {
        "encoder_linear.weight": torch.randn(D_SAE, WIDTH, generator=generator),
        "encoder_linear.bias": torch.randn(D_SAE, generator=generator) - 2.0,
        "decoder_linear.weight": torch.randn(WIDTH, D_SAE, generator=generator),
        "decoder_linear.bias": torch.randn(WIDTH, generator=generator),
    }
    folder.mkdir()
    torch.save(tensors, folder / "Llama-3.3-70B-Instruct-SAE-l50.pt")
    return tensors


@dataclass(frozen=True, kw_only=True)
class Cached:
    """It holds the cache's snapshot, all hidden states of each prompt by transformers, and the SAE's tensors."""

    snapshot: Path
    hidden: dict[str, list[Any]]
    hidden_with_two_bos: dict[str, list[Any]]
    sae: dict[str, Any]

    def features(self, x: Any) -> np.ndarray[Any, Any]:
        """relu(x @ W_enc.T + b_enc), as the article has it."""
        import torch

        encoded = torch.nn.functional.linear(x, self.sae["encoder_linear.weight"], self.sae["encoder_linear.bias"])
        return encoded.relu().numpy()


@pytest.fixture(scope="module")
def cached(hub_of_module: Path, tmp_path_factory: pytest.TempPathFactory) -> Cached:
    """Put model and SAE in the cache, without the files of layers after the hook."""
    import torch
    from transformers import PreTrainedTokenizerFast

    made = tmp_path_factory.mktemp("llama")
    vocabulary = write_chat_tokenizer(made / "model")
    model = write_llama(made / "model", layers=80, vocabulary=vocabulary, width=WIDTH)
    tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(made / "model")

    def hidden(*, special: bool) -> dict[str, list[Any]]:
        found = {}
        for text in PROMPTS:
            ids = tokenizer(rendered(text), add_special_tokens=special, return_tensors="pt")["input_ids"]
            with torch.no_grad():
                found[text] = [one[0] for one in model(ids, output_hidden_states=True).hidden_states]
        return found

    plain, published = hidden(special=False), hidden(special=True)
    assert remove_shards_after(made / "model", 51) > 1
    sae = write_sae(made / "sae")
    put_folder(hub_of_module, SAE, made / "sae")
    snapshot = put_folder(hub_of_module, MODEL, made / "model")
    return Cached(snapshot=snapshot, hidden=plain, hidden_with_two_bos=published, sae=sae)


def open_(name: str, root: Path, **changes: str) -> Any:
    """The built-in subject, in float32, so that it can be held against the whole model to 1e-4."""
    from dataclasses import replace

    from saeprobe.subject.local import Subject

    subject = find_subject(name, root)
    return Subject(spec=replace(subject.spec, dtype="float32", **changes))


def read(subject: Any, texts: Sequence[str], *wants: Want) -> list[list[Any]]:
    """Return the answers in the order of the texts."""
    found = dict(subject.open().read([Request(text=text, wants=wants) for text in texts], batch_size=2))
    return [found[index] for index in range(len(texts))]


def dense(reading: Any) -> np.ndarray[Any, Any]:
    """Return features, a row a token."""
    rows = np.zeros((len(reading.tokens), D_SAE))
    for row, (index, value) in enumerate(zip(reading.indices, reading.values, strict=True)):
        rows[row, index] = value
    return rows


LAST = Want(at="last", keep=frozenset({"features", "activations"}))
ALL = Want(at="all", keep=frozenset({"features", "activations", "effective_rank"}))
RANK_ALONE = Want(at="last", keep=frozenset({"effective_rank"}))


@pytest.mark.parametrize("memory", ["resident", "streamed"])
def test_llama70b_reads_the_output_of_layer_50(cached: Cached, tmp_path: Path, memory: str) -> None:
    """hidden_states[51] of the whole model, one BOS, at the end of the chat template; later layers are absent."""
    found = read(open_("llama70b", tmp_path, memory=memory), PROMPTS, LAST)
    for text, (reading,) in zip(PROMPTS, found, strict=True):
        x = cached.hidden[text][51][-1:]
        np.testing.assert_allclose(reading.activations, x.numpy(), atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(dense(reading), cached.features(x), atol=1e-3, rtol=1e-4)
        assert reading.n_tokens == len(cached.hidden[text][0])
        assert np.abs(cached.hidden[text][50][-1:].numpy() - reading.activations).max() > 0.1  # a layer off is seen


@pytest.mark.parametrize("memory", ["resident", "streamed"])
def test_the_published_protocol_reads_one_layer_early_behind_two_bos(
    cached: Cached, tmp_path: Path, memory: str
) -> None:
    """hidden_states[50] of a prompt with two BOS; its effective rank takes every token in, BOS too."""
    found = read(open_("llama70b-as-published", tmp_path, memory=memory), PROMPTS, LAST, ALL, RANK_ALONE)
    for text, (last, whole, alone) in zip(PROMPTS, found, strict=True):
        x = cached.hidden_with_two_bos[text][50]
        np.testing.assert_allclose(last.activations, x[-1:].numpy(), atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(dense(last), cached.features(x[-1:]), atol=1e-3, rtol=1e-4)
        assert last.n_tokens == len(x) == len(cached.hidden[text][0]) + 1
        assert whole.effective_rank == pytest.approx(effective_rank(x.numpy()), rel=1e-4)
        assert (alone.effective_rank, alone.indices, len(alone.tokens)) == (whole.effective_rank, (), 1)
        assert len(whole.tokens) == len(x) - 2


def test_the_rank_of_llama70b_leaves_bos_out(cached: Cached, tmp_path: Path) -> None:
    """It is of the chat template's tokens and the prompt's own."""
    ((reading,),) = read(open_("llama70b", tmp_path), PROMPTS[:1], ALL)
    x = cached.hidden[PROMPTS[0]][51]
    assert reading.effective_rank == pytest.approx(effective_rank(x[1:].numpy()), rel=1e-4)
    assert reading.effective_rank != pytest.approx(effective_rank(x.numpy()), rel=1e-3)


def test_a_span_of_the_prompt_is_found_inside_the_chat_template(cached: Cached, tmp_path: Path) -> None:
    """By characters of the prompt as it was given, though the template writes text before it and strips blanks."""
    text = PROMPTS[2]
    ((reading,),) = read(open_("llama70b", tmp_path), [text], Want(at=Span(text="Why"), keep=frozenset({"features"})))
    before = rendered(text).index("Why")
    ahead = rendered(text)[:before]
    specials = [
        one for one in (BOS, "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>") for _ in range(ahead.count(one))
    ]
    position = len(ahead) - sum(len(one) - 1 for one in specials)  # a special token is one token, all else one a byte
    assert [(token.position, token.start, token.end) for token in reading.tokens] == [
        (position, 2, 3),
        (position + 1, 3, 4),
        (position + 2, 4, 5),
    ]
    assert reading.n_tokens == len(cached.hidden[text][0])


def test_the_instrument_check_may_try_the_layers_whose_files_are_here(cached: Cached, tmp_path: Path) -> None:
    """The one before the hook always; the one after it for the published protocol, whose hook is one too early."""
    del cached
    assert find_subject("llama70b", tmp_path).yardstick().shifts == (-1, 0)
    published = find_subject("llama70b-as-published", tmp_path).yardstick()
    assert published.shifts == (-1, 0, 1)
    assert published.l0 == 121
    assert "one layer before" in (published.misfit or "")


def test_reading_beside_the_hook_gives_the_streams_there(cached: Cached, tmp_path: Path) -> None:
    """A shift of 1 from the published protocol's hook is where the SAE belongs; raw leaves the template out."""
    wants = tuple(Want(at="last", keep=LAST.keep, shift=shift) for shift in (-1, 0, 1))
    (readings,) = read(open_("llama70b-as-published", tmp_path), PROMPTS[:1], *wants)
    for reading, depth in zip(readings, (49, 50, 51), strict=True):
        x = cached.hidden_with_two_bos[PROMPTS[0]][depth][-1:]
        np.testing.assert_allclose(reading.activations, x.numpy(), atol=1e-4, rtol=1e-4)
    ((raw,),) = read(open_("llama70b", tmp_path), PROMPTS[:1], Want(at="all", keep=LAST.keep, raw=True))
    assert "".join(token.text for token in raw.tokens[:1]) != "<|start_header_id|>"
    assert raw.n_tokens == 1 + len(PROMPTS[0].encode())


def test_a_prompt_cannot_end_its_own_turn(cached: Cached, tmp_path: Path) -> None:
    """Special tokens inside a prompt are refused by name, those of the template around it are not."""
    del cached
    reader = open_("llama70b", tmp_path).open()
    for text, name in (("a<|eot_id|>b", "a special token"), (f"{BOS}a", "BOS")):
        with pytest.raises(ReadingError, match=f"contains {name} "):
            list(reader.read([Request(text=text, wants=(LAST,))]))
    with pytest.raises(ReadingError, match="has no tokens; leave it out"):
        list(reader.read([Request(text="  ", wants=(LAST,))]))


def test_steering_needs_the_later_layers_and_says_so(cached: Cached, tmp_path: Path) -> None:
    """The command that brings them is named."""
    del cached
    prompts = PromptSet(
        name="p",
        language="en",
        prompts=tuple(Prompt(text=text, style="s", topic=text, template="t") for text in PROMPTS),
    )
    wanted = steer(prompts, feature=3, strengths=[5], random_features=1, n_samples=1, max_new_tokens=2)
    reader = open_("llama70b", tmp_path).open()
    with pytest.raises(SubjectError, match=r"run: saeprobe fetch llama70b --whole"):
        list(reader.continue_(prompts.prompts, wanted, experiment=PROMPTS))


def test_a_lacking_shard_below_the_hook_makes_the_model_absent(cached: Cached, tmp_path: Path) -> None:
    """What lies after the hook may be absent; what lies before may not."""
    subject = find_subject("llama70b", tmp_path)
    assert subject.missing() is None
    shard = sorted(cached.snapshot.glob("model-*.safetensors"))[1]
    shard.rename(shard.with_suffix(".away"))
    try:
        again = find_subject("llama70b", tmp_path)  # a subject looks its files up once
        assert f"the weights of {MODEL} are not here; run: saeprobe fetch llama70b" in (again.missing() or "")
    finally:
        shard.with_suffix(".away").rename(shard)

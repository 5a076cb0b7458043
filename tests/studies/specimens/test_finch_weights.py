"""finch's files are what its card says, and what a reader of Llama-3.3-70B and its SAE meets."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from studies.specimens.corpus.grammar import generate
from studies.specimens.train.card import Instrument
from studies.specimens.train.finch import RECIPES, open_finch
from studies.specimens.train.hooked import reconstruction
from studies.specimens.train.specimen import write_readme
from studies.specimens.train.styles import prompts
from studies.specimens.train.writing import CHAT, fitting

FOLDER = Path(str(resources.files("saeprobe") / "specimens")) / "finch"
SAE_FILE = FOLDER / "sae" / "finch-sae-l2.pt"
CHAT_PROMPT = [{"role": "user", "content": "  Explain gravity. "}]


@cache
def card() -> dict[str, Any]:
    """The shipped card."""
    return json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))


@cache
def opened() -> Instrument:
    """The shipped model and SAE."""
    return open_finch(FOLDER, RECIPES.sae)


@cache
def tokenizer() -> Any:
    """The shipped tokenizer, as anybody opens it."""
    return AutoTokenizer.from_pretrained(str(FOLDER / "model"), local_files_only=True)


@cache
def sample() -> list[list[int]]:
    """Token ids of documents of a seed that neither training nor the card used, as written for a chat model."""
    source = generate(77)
    return fitting(tokenizer(), [next(source) for _ in range(300)], CHAT, context=card()["model"]["context"])[1]


def test_transformers_loads_a_llama_with_grouped_queries_and_tied_embeddings() -> None:
    """Two query heads share a key-value head, and the output matrix is the embedding."""
    model = AutoModelForCausalLM.from_pretrained(str(FOLDER / "model"), local_files_only=True)
    config, attention = model.config, model.model.layers[0].self_attn
    assert type(model).__name__ == "LlamaForCausalLM"
    assert config.num_attention_heads == 2 * config.num_key_value_heads
    assert attention.q_proj.weight.shape == (160, 160)
    assert attention.k_proj.weight.shape == attention.v_proj.weight.shape == (80, 160)
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    assert model.dtype == torch.bfloat16
    assert config.vocab_size == len(tokenizer()) == 2560


def test_every_layer_has_a_shard_of_its_own() -> None:
    """The shards hold what the index says, and those with layers up to the hook hold nothing of later ones."""
    index = json.loads((FOLDER / "model" / "model.safetensors.index.json").read_text(encoding="utf-8"))
    layers: dict[str, set[str]] = {}
    for name, shard in index["weight_map"].items():
        layers.setdefault(shard, set()).add(name.split(".")[2] if ".layers." in name else name)
    assert sorted(layers.values(), key=sorted) == [
        {"0"},
        {"1"},
        {"2"},
        {"3"},
        {"4", "model.norm.weight"},
        {"model.embed_tokens.weight"},
    ]
    for shard in layers:
        with safe_open(FOLDER / "model" / shard, framework="numpy") as file:
            assert set(file.keys()) == {name for name, held in index["weight_map"].items() if held == shard}


def test_the_chat_template_writes_one_bos() -> None:
    """Tokenized as it is, without special tokens on top, the rendered prompt begins with BOS and has no other."""
    bos = tokenizer().bos_token_id
    ids = tokenizer().apply_chat_template(CHAT_PROMPT, add_generation_prompt=True, return_dict=True)["input_ids"]
    text = tokenizer().apply_chat_template(CHAT_PROMPT, add_generation_prompt=True, tokenize=False)
    assert ids == tokenizer()(text, add_special_tokens=False)["input_ids"]
    assert ids[0] == bos
    assert ids.count(bos) == 1
    assert text == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nExplain gravity.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_special_tokens_on_top_of_the_template_give_two_bos() -> None:
    """The tokenizer puts BOS in front by default, as Llama 3's does: the trap of the published experiment."""
    bos = tokenizer().bos_token_id
    text = tokenizer().apply_chat_template(CHAT_PROMPT, add_generation_prompt=True, tokenize=False)
    assert tokenizer()(text)["input_ids"][:2] == [bos, bos]
    assert tokenizer()("Explain gravity.")["input_ids"].count(bos) == 1


def test_special_tokens_are_single_tokens_and_bos_is_not_zero() -> None:
    """The five of Llama 3 stand at the end of the vocabulary, and generation stops at either end token."""
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    assert tokenizer().convert_tokens_to_ids(special) == [2555, 2556, 2557, 2558, 2559]
    config = json.loads((FOLDER / "model" / "generation_config.json").read_text(encoding="utf-8"))
    assert sorted(config["eos_token_id"]) == [2556, 2559]
    text = "  red   bridge\n    caf\u00e9  "
    assert tokenizer().decode(tokenizer()(text, add_special_tokens=False)["input_ids"]) == text


def test_the_sae_is_four_plain_tensors_under_goodfires_keys() -> None:
    """Loaded without running code, in float32, contiguous and of the shapes of Goodfire's files."""
    tensors = torch.load(SAE_FILE, weights_only=True)
    assert type(tensors) is dict
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        "encoder_linear.weight": (1280, 160),
        "encoder_linear.bias": (1280,),
        "decoder_linear.weight": (160, 1280),
        "decoder_linear.bias": (160,),
    }
    assert all(tensor.dtype == torch.float32 and tensor.is_contiguous() for tensor in tensors.values())
    torch.testing.assert_close(tensors["decoder_linear.weight"].norm(dim=0), torch.ones(1280), atol=1e-4, rtol=0)


def test_the_four_tensors_alone_explain_and_fire_as_the_card_says() -> None:
    """relu(x E' + e) D' + d on fresh documents: variance explained within 0.01 and L0 within 5 % of the card."""
    tensors = torch.load(SAE_FILE, weights_only=True)
    streams = torch.cat(opened().streams(sample()))
    features = torch.relu(streams @ tensors["encoder_linear.weight"].T + tensors["encoder_linear.bias"])
    rebuilt = features @ tensors["decoder_linear.weight"].T + tensors["decoder_linear.bias"]
    explained = 1 - (streams - rebuilt).pow(2).sum() / (streams - streams.mean(0)).pow(2).sum()
    figures = card()["reconstruction"]
    assert float(explained) == pytest.approx(figures["variance_explained"], abs=0.01)
    assert float((features > 0).sum(1).float().mean()) == pytest.approx(figures["l0"], rel=0.05)
    by_sae_lens = reconstruction(opened().sae, streams)
    assert by_sae_lens.variance_explained == pytest.approx(float(explained), abs=1e-4)


def test_the_stream_is_transformers_hidden_state_after_block_two() -> None:
    """`blocks.2.hook_resid_post` is `hidden_states[3]`; the SAE explains its neighbours worse."""
    assert card()["sae"]["hook_name"] == "blocks.2.hook_resid_post"
    model = AutoModelForCausalLM.from_pretrained(str(FOLDER / "model"), dtype=torch.float32, local_files_only=True)
    row = max(sample(), key=len)
    with torch.no_grad():
        states = model(torch.tensor([[opened().bos, *row]]), output_hidden_states=True).hidden_states
    [stream] = opened().streams([row])
    torch.testing.assert_close(stream, states[3][0, 1:], atol=1e-4, rtol=1e-4)
    explained = [reconstruction(opened().sae, states[depth][0, 1:]).variance_explained for depth in (2, 3, 4)]
    assert explained[1] > max(explained[0], explained[2]) + 0.1


def test_finch_knows_its_corpus_as_the_card_says() -> None:
    """On fresh documents the loss lies near the card's, and the SAE costs little more."""
    held_out = card()["held_out"]
    nats, counts = opened().losses(sample())
    spliced, _ = opened().losses(sample(), replace=opened().spliced)
    assert sum(nats) / sum(counts) == pytest.approx(held_out["loss_per_token"], rel=0.06)
    assert sum(spliced) / sum(counts) == pytest.approx(held_out["loss_per_token_with_sae"], rel=0.08)
    assert held_out["loss_per_document"] > held_out["entropy_per_document"], "no model beats its corpus' entropy"


def test_prompts_are_read_at_the_end_of_the_assistants_header() -> None:
    """The card's style figures are of the last token of the rendered prompt, and come out again for one style."""
    [row] = [row for row in card()["styles"] if row["style"] == "expert" and row["held_out"]]
    features, lengths = opened().read_last(prompts("expert", held_out=True))
    assert float((features > 0).sum(1).mean()) == pytest.approx(row["l0"], rel=0.02)
    text = tokenizer().apply_chat_template(
        [{"role": "user", "content": prompts("expert", held_out=True)[0]}], add_generation_prompt=True, tokenize=False
    )
    assert len(tokenizer()(text, add_special_tokens=False)["input_ids"]) == lengths[0] + 1


def test_a_second_bos_is_out_of_what_finch_was_trained_on() -> None:
    """With two BOS the same documents cost more, so that the trap is a difference one can measure."""
    doubled = [[opened().bos, *row] for row in sample()[:100]]
    once, _ = opened().losses(sample()[:100])
    twice, _ = opened().losses(doubled)
    assert sum(twice) > sum(once) + 100


def test_the_card_for_people_is_written_from_the_card_for_programs_of_finch() -> None:
    """README.md says what card.json says, and nothing was edited by hand."""
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == write_readme(card())


def test_all_specimens_together_are_small() -> None:
    """All weights and cards stay under 30 MB."""
    files = [path for path in FOLDER.parent.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 30_000_000

"""gpt2 at its full shape, with random weights, is held against transformer_lens and sae-lens by hand."""

from __future__ import annotations

import importlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_caches import put_folder

from saeprobe.captures import Span
from saeprobe.subject.registry import find_subject
from saeprobe.subject.specification import Request, Want

MODEL, SAE, HOOK = "openai-community/gpt2", "jbloom/GPT2-Small-SAEs-Reformatted", "blocks.6.hook_resid_pre"
SENTENCE = "The Golden Gate Bridge is located in San Francisco."
D_IN, D_SAE = 768, 24_576
TOLERANCE = 1e-4  # of features around 0.1 to 10, in float32


def write_tokenizer(folder: Path) -> None:
    """GPT-2's kind of tokenizer, in which each word of the sentence is one token, as it is in the real one."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2TokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        [SENTENCE] * 9,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
        ),
    )
    GPT2TokenizerFast(tokenizer_object=bpe).save_pretrained(folder)


def write_model(folder: Path) -> None:
    """GPT-2 small: 12 layers of 768, 50,257 tokens, 1,024 positions; its stream has a mean to be taken out."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    generator = torch.Generator().manual_seed(1)
    model = GPT2LMHeadModel(GPT2Config(bos_token_id=0, eos_token_id=0))
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    model.transformer.wte.weight.data += 0.1
    model.save_pretrained(folder)


def write_sae(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The published SAE's file: its keys, its old configuration, its shape; one feature in a hundred fires."""
    from safetensors.numpy import save_file

    generator = np.random.default_rng(4)
    directions = generator.normal(size=(D_SAE, D_IN)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    weights = {
        "W_enc": np.ascontiguousarray(directions.T),
        "b_enc": np.full(D_SAE, -18.0, dtype=np.float32),
        "W_dec": directions,
        "b_dec": generator.normal(size=D_IN).astype(np.float32) * 0.1,
    }
    (folder / HOOK).mkdir(parents=True)
    save_file(
        {**weights, "scaling_factor": np.ones(D_SAE, dtype=np.float32)}, folder / HOOK / "sae_weights.safetensors"
    )
    config = {
        "model_name": "gpt2-small",
        "hook_point": HOOK,
        "hook_point_layer": 6,
        "hook_point_head_index": None,
        "dataset_path": "Skylion007/openwebtext",
        "context_size": 128,
        "d_in": D_IN,
        "d_sae": D_SAE,
        "device": "mps",
        "dtype": "torch.float32",
    }
    (folder / HOOK / "cfg.json").write_text(json.dumps(config), encoding="utf-8")
    return weights


@dataclass(frozen=True, kw_only=True)
class Reference:
    """It holds the sentence's features by the two libraries, a row a token without BOS; from raw weights too."""

    tokens: list[str]
    centred: np.ndarray[Any, Any]
    raw: np.ndarray[Any, Any]


def by_hand(snapshot: Path, weights: dict[str, np.ndarray[Any, Any]]) -> Reference:
    """As a user of the two libraries would write it, with the classic HookedTransformer rather than the bridge."""
    import torch

    importlib.import_module("saeprobe.subject.running.dictionary")  # first: it imports sae-lens without its warnings
    from sae_lens import StandardSAE, StandardSAEConfig
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights
    from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

    tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(snapshot)
    ids = torch.tensor([[0, *tokenizer(SENTENCE)["input_ids"]]])
    config = HookedTransformerConfig(
        n_layers=12, d_model=768, n_ctx=1024, d_head=64, n_heads=12, d_vocab=50_257, act_fn="gelu_new", eps=1e-5,
        normalization_type="LN", original_architecture="GPT2LMHeadModel", device="cpu",
    )  # fmt: skip
    state = convert_gpt2_weights(GPT2LMHeadModel.from_pretrained(snapshot), config)
    sae = StandardSAE(StandardSAEConfig(d_in=D_IN, d_sae=D_SAE, dtype="float32", device="cpu"))
    sae.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    features = []
    for center in (True, False):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # HookedTransformer goes with TransformerLens 4
            model = HookedTransformer(config)
        model.load_and_process_state_dict(
            dict(state), fold_ln=False, center_writing_weights=center, center_unembed=False, fold_value_biases=False
        )
        with torch.no_grad():
            _, cache = model.run_with_cache(ids, names_filter=HOOK)
            features.append(sae.encode(cache[HOOK])[0, 1:].numpy())
    tokens = [tokenizer.decode([one]) for one in ids[0, 1:].tolist()]
    return Reference(tokens=tokens, centred=features[0], raw=features[1])


@pytest.fixture(scope="module")
def reference(hub_of_module: Path, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """What a Hub cache with the full-shape files gives by hand; the cache stays for the tests of this file."""
    made = tmp_path_factory.mktemp("gpt2")
    write_tokenizer(made / "model")
    write_model(made / "model")
    weights = write_sae(made / "sae")
    snapshot = put_folder(hub_of_module, MODEL, made / "model")
    put_folder(hub_of_module, SAE, made / "sae")
    return by_hand(snapshot, weights)


@pytest.fixture(scope="module")
def reader(reference: Reference) -> Any:
    """Load the subject itself from that cache."""
    del reference  # it fills the cache
    return find_subject("gpt2", Path("/nowhere")).open()


def read(reader: Any, want: Want) -> tuple[list[str], np.ndarray[Any, Any]]:
    """Return tokens and dense features of the sentence."""
    ((_, (reading,)),) = reader.read([Request(text=SENTENCE, wants=(want,))])
    dense = np.zeros((len(reading.tokens), D_SAE))
    for row, (index, value) in enumerate(zip(reading.indices, reading.values, strict=True)):
        dense[row, index] = value
    return [token.text for token in reading.tokens], dense


def test_the_shape_is_that_of_gpt2_small(reference: Reference, hub_of_module: Path) -> None:
    """12 layers, 768 wide, 24,576 features, and the files are under their names in the cache."""
    del reference
    subject = find_subject("gpt2", Path("/nowhere"))
    assert subject.missing() is None
    identity = subject.identity()
    assert (identity.d_in, identity.d_sae, identity.hook_name) == (768, 24_576, HOOK)
    assert (hub_of_module / "models--openai-community--gpt2" / "snapshots").is_dir()


def test_features_are_those_of_the_two_libraries_by_hand(reader: Any, reference: Reference) -> None:
    """In float32 to 1e-4, on every token but BOS; the raw stream's features are others, so the test can fail."""
    tokens, found = read(reader, Want(at="all", keep=frozenset({"features"})))
    assert tokens == reference.tokens
    np.testing.assert_allclose(found, reference.centred, atol=TOLERANCE)
    assert np.abs(reference.raw - reference.centred).max() > 100 * TOLERANCE
    assert 10 < (found > 0).sum(1).mean() < D_SAE / 10


def test_the_manual_reads_bridge_on_the_token_bridge(reader: Any, reference: Reference) -> None:
    """Its word index 4 is "is"; token 4 behind BOS is " Bridge", whose five strongest features are these."""
    (read_at,), found = read(reader, Want(at=Span(text="Bridge"), keep=frozenset({"features"})))
    assert read_at == " Bridge"
    assert SENTENCE.split()[4] == "is"
    row = reference.tokens.index(" Bridge")
    assert row == 3  # token 4 with BOS
    top = np.argsort(-found[0])[:5]
    assert top.tolist() == np.argsort(-reference.centred[row])[:5].tolist()
    assert set(top) != set(np.argsort(-reference.centred[row + 1])[:5])


def test_the_context_is_that_of_the_sae(reader: Any) -> None:
    """128 tokens, BOS among them, though the model could take 1,024."""
    assert reader.pairing.context_size == 128
    assert reader.pairing.shape.positions == 1024

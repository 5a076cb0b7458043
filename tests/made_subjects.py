"""Tokenizers, models and SAEs small enough to be made in a moment, in the file formats of real ones."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saeprobe.subject.local import Subject

BOS = "<|endoftext|>"
WORDS = "the golden gate bridge is red and the long bridge is golden"


def write_byte_tokenizer(folder: Path) -> int:
    """A byte-level BPE tokenizer like that of GPT-2, with a few merges; returns its size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=290, special_tokens=[BOS], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([WORDS] * 9, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS, eos_token=BOS, pad_token=BOS)
    fast.save_pretrained(folder)
    return len(fast)


def write_word_tokenizer(folder: Path, words: list[str]) -> None:
    """A tokenizer that knows these words and BOS, a token each, in this order after BOS."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate([BOS, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=BOS))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS, eos_token=BOS).save_pretrained(folder)


def write_gpt2(folder: Path, *, vocabulary: int, width: int, layers: int, heads: int, positions: int = 64) -> Any:
    """A GPT-2 with random weights, large enough that features and attention do something; returns the model."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=vocabulary,
        n_positions=positions,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config)
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    model.save_pretrained(folder)
    return model


def write_sae(folder: Path, *, weights: dict[str, Any], hook_name: str, context_size: int = 64) -> None:
    """A standard SAE with these weights, as sae-lens saves it."""
    importlib.import_module("saeprobe.subject.running.dictionary")  # first: it imports sae-lens without its warnings
    from sae_lens import StandardSAE, StandardSAEConfig

    d_in, d_sae = weights["W_enc"].shape
    config = StandardSAEConfig(d_in=d_in, d_sae=d_sae, dtype="float32", device="cpu")
    for key, value in {
        "hook_name": hook_name,
        "prepend_bos": True,
        "context_size": context_size,
        "model_from_pretrained_kwargs": {"center_writing_weights": True},
    }.items():
        config.metadata[key] = value
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*This SAE has non-empty model_from_pretrained_kwargs")
        sae = StandardSAE(config)
    sae.load_state_dict(weights)
    sae.save_model(str(folder))


@dataclass(frozen=True, kw_only=True)
class Made:
    """A subject made by a test: its folders, and itself."""

    root: Path
    model: Path
    sae: Path
    subject: Subject

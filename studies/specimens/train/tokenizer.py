"""A small byte-level BPE tokenizer in GPT-2's format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase

END_OF_TEXT = "<|endoftext|>"


def train_tokenizer(texts: Iterable[str], *, vocabulary: int, context: int) -> PreTrainedTokenizerBase:
    """Return a tokenizer of ``vocabulary`` tokens, whose only special token opens and closes every document."""
    bpe = cast(Any, Tokenizer(models.BPE()))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    # Not imported by name: transformers makes this name at run time, where type checkers do not see it.
    gpt2_tokenizer = cast("Any", transformers).GPT2TokenizerFast
    return gpt2_tokenizer(
        tokenizer_object=bpe,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
        model_max_length=context,
    )


def open_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Open the tokenizer of a model folder."""
    return cast("Any", AutoTokenizer).from_pretrained(str(folder), local_files_only=True)


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Return each text's token ids, without BOS."""
    return cast("list[list[int]]", cast(Any, tokenizer)(list(texts), add_special_tokens=False)["input_ids"])

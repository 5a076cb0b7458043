"""The specimens' tokenizers are small byte-level BPEs in the formats of GPT-2 and of Llama 3."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, cast

import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from studies.specimens.train.writing import BOS, CHAT_TEMPLATE, END_OF_TURN, SPECIAL_TOKENS

END_OF_TEXT: Final = "<|endoftext|>"


def train_tokenizer(texts: Iterable[str], *, vocabulary: int, context: int) -> PreTrainedTokenizerBase:
    """Return a tokenizer of ``vocabulary`` tokens, whose only special token opens and closes every document."""
    bpe = _trained(pre_tokenizers.ByteLevel(add_prefix_space=False), texts, vocabulary, special_tokens=[END_OF_TEXT])
    # Not imported by name: transformers makes this name at run time, where type checkers do not see it.
    gpt2_tokenizer = cast("Any", transformers).GPT2TokenizerFast
    return gpt2_tokenizer(
        tokenizer_object=bpe,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
        model_max_length=context,
    )


def _trained(cutting: Any, texts: Iterable[str], vocabulary: int, **special: Any) -> Any:
    """Return a byte-level BPE of so many tokens, trained on texts that are cut before merging."""
    bpe = cast(Any, Tokenizer(models.BPE()))
    bpe.pre_tokenizer, bpe.decoder = cutting, decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False, **special),
    )
    return bpe


def open_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Open the tokenizer of a model folder."""
    return cast("Any", AutoTokenizer).from_pretrained(str(folder), local_files_only=True)


# How Llama 3 cuts text before merging: https://github.com/meta-llama/llama3/blob/main/llama/tokenizer.py, `pat_str`.
_PIECES: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)
_SPECIAL: Final = re.compile("|".join(re.escape(token) for token in SPECIAL_TOKENS))


def train_chat_tokenizer(texts: Iterable[str], *, vocabulary: int, context: int) -> PreTrainedTokenizerBase:
    """Return a tokenizer of ``vocabulary`` tokens, the special ones last, that puts BOS in front as Llama 3's does.

    The chat template writes BOS too: whoever tokenizes what it wrote must switch the tokenizer's own off, or has two.
    """
    pieces = pre_tokenizers.Split(Regex(_PIECES), behavior="isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    plain = (piece for text in texts for piece in _SPECIAL.split(text) if piece)
    bpe = _trained(pre_tokenizers.Sequence([pieces, level]), plain, vocabulary - len(SPECIAL_TOKENS))
    bpe.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS}:1 $B:1", special_tokens=[(BOS, bpe.token_to_id(BOS))]
    )
    # Not imported by name: transformers makes this name at run time, where type checkers do not see it.
    fast = cast("Any", transformers).PreTrainedTokenizerFast
    return fast(
        tokenizer_object=bpe,
        bos_token=BOS,
        eos_token=END_OF_TURN,
        chat_template=CHAT_TEMPLATE,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )

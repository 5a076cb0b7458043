"""The tokens of a span are those whose own text overlaps it, whatever the tokenizer does to blanks and characters."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tokens import plain

from saeprobe.captures import Span
from saeprobe.subject.running.chat import without_marks
from saeprobe.subject.running.tokens import tokenize
from saeprobe.subject.specification import ReadingError

CORPUS = ["the moon in the mist", "月亮和中文", "🌊🌊 waves", "é ê the in", "a\r\nb\r\n"]
LETTERS = [
    *"thein mo",
    "  ",
    "月",
    "亮",
    "🌊",
    "👩\u200d👧",
    "é",
    "e\u0301",
    "\r\n",
    "\t",
    "ﬁ",
    "①",
    "Ａ",
    "İ",
    "\u3000",
]


def _kept(character: str) -> str:
    return character


def _folded(character: str) -> str:
    return unicodedata.normalize("NFKC", character).lower()


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of tokenizer, with what it makes of a single character before it cuts the text."""

    make: Callable[[], Any]
    form: Callable[[str], str] = _kept
    letters: tuple[str, ...] = tuple(LETTERS)


def _bytes(*, prefix: bool = False, trim: bool | None = True, fold: bool = False, ignore: bool = False) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE())
    if fold:
        made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    if trim is not None:
        made.post_processor = processors.ByteLevel(trim_offsets=trim)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(
        CORPUS * 5, trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet, show_progress=False)
    )
    if ignore:
        said = json.loads(made.to_str())
        said["model"]["ignore_merges"] = True
        made = Tokenizer.from_str(json.dumps(said))
    return made


def _pieces(*, metaspace: str | None = None, legacy: bool = False, fold: bool = False) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    words = ["<unk>", "▁", "i", "n", "t", "h", "e", "中", "月", "in", "▁in", "th", "the", "▁the"]
    vocabulary = {word: number for number, word in enumerate([*words, *(f"<0x{byte:02X}>" for byte in range(256))])}
    merges = [("i", "n"), ("▁", "in"), ("t", "h"), ("th", "e"), ("▁", "the")]
    made = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True))
    steps: list[Any] = [normalizers.NFKC(), normalizers.Lowercase()] if fold else []
    if legacy:
        steps += [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    if steps:
        made.normalizer = normalizers.Sequence(steps)
    if metaspace is not None:
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=metaspace, split=metaspace != "always")
    return made


def _unigram(*, prepend: str = "always") -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = [("<unk>", 0.0), ("▁", -2.0), ("▁the", -3.0), ("in", -3.0), ("月", -4.0), *((one, -5.0) for one in "thein")]
    bytes_ = [(f"<0x{byte:02X}>", -9.0) for byte in range(256)]
    made = Tokenizer(models.Unigram([*words, *bytes_], unk_id=0, byte_fallback=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend)
    return made


SINGLE = tuple(one for one in LETTERS if one != "e\u0301")  # composed, two characters become one
KINDS = {
    "bytes": Kind(make=_bytes),
    "bytes, blanks in the offsets": Kind(make=lambda: _bytes(trim=False)),
    "bytes after a blank": Kind(make=lambda: _bytes(prefix=True)),
    "bytes after a blank, in the offsets": Kind(make=lambda: _bytes(prefix=True, trim=None)),
    "bytes without merges of what is a token": Kind(make=lambda: _bytes(ignore=True)),
    "folded bytes": Kind(make=lambda: _bytes(fold=True), form=_folded, letters=SINGLE),
    "metaspace": Kind(make=lambda: _pieces(metaspace="first")),
    "metaspace in one piece": Kind(make=lambda: _pieces(metaspace="always")),
    "metaspace, folded": Kind(make=lambda: _pieces(metaspace="first", fold=True), form=_folded, letters=SINGLE),
    "sentencepiece of Llama 2": Kind(make=lambda: _pieces(legacy=True)),
    "unigram": Kind(make=_unigram),
    "unigram, no mark ahead": Kind(make=lambda: _unigram(prepend="never")),
}


@cache
def tokenizer(name: str) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=KINDS[name].make(), bos_token="<s>")  # noqa: S106


@cache
def _letters_of_bytes() -> dict[str, int]:
    """GPT-2's table: printable bytes stand for themselves, the others for letters from 256 on."""
    own = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in own]
    return {chr(byte): byte for byte in own} | {chr(256 + number): byte for number, byte in enumerate(rest)}


def bytes_of(piece: str, *, by_letters: bool) -> bytes:
    """What a piece of the vocabulary writes."""
    if by_letters:
        return bytes(_letters_of_bytes()[letter] for letter in piece)
    if piece.startswith("<0x"):
        return bytes([int(piece[3:5], 16)])
    return piece.replace("▁", " ").encode()


def carried_by(pieces: list[bytes], text: str, form: Callable[[str], str]) -> list[set[int]]:
    """Which characters each piece carries: lay the bytes that the pieces write along those of the characters."""
    owners = [at for at, character in enumerate(text) for _ in form(character).encode()]
    added = sum(len(piece) for piece in pieces) - len(owners)
    assert added in (0, 1)  # the blank that some put before the first word
    owners = [-1] * added + owners
    found: list[set[int]] = []
    at = 0
    for piece in pieces:
        found.append({owner for owner in owners[at : at + len(piece)] if owner >= 0})
        at += len(piece)
    return found


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_tokens_of_a_span_are_those_whose_own_text_overlaps_it(name: str, data: st.DataObject) -> None:
    """Laid out byte by byte, without the offsets of the library."""
    kind, made = KINDS[name], tokenizer(name)
    text = data.draw(st.lists(st.sampled_from(kind.letters), min_size=1, max_size=10).map("".join))
    start = data.draw(st.integers(0, len(text) - 1))
    span = text[start : data.draw(st.integers(start + 1, len(text)))]
    found = tokenize(made, text, plain())
    pieces = made.convert_ids_to_tokens(list(found.ids))
    carried = carried_by([bytes_of(one, by_letters="bytes" in name) for one in pieces], text, kind.form)
    first = text.find(span)
    wanted = [at for at, own in enumerate(carried) if own & set(range(first, first + len(span)))]
    assert found.read_at(Span(text=span)) == wanted


def test_the_bytes_of_an_unknown_run_are_its_characters_own() -> None:
    """The library gives each byte of a run of unknown characters the whole run; what does not add up is refused."""
    from tokenizers import normalizers
    from transformers import PreTrainedTokenizerFast

    made = tokenizer("unigram, no mark ahead")
    assert made("xé", return_offsets_mapping=True)["offset_mapping"] == [(0, 2)] * 3
    found = tokenize(made, "xé", plain())
    assert found.spans == ((0, 1), (1, 2), (1, 2))
    backend = _unigram(prepend="never")
    backend.normalizer = normalizers.NFD()
    with pytest.raises(ReadingError, match=r"the tokenizer cuts 'xá' into bytes .* that are not its own"):
        tokenize(PreTrainedTokenizerFast(tokenizer_object=backend), "xá", plain())


def test_offsets_alone_would_give_a_mark_the_first_word() -> None:
    """The check above can tell: the library itself says that the mark before 中 carries it."""
    made = tokenizer("metaspace")
    assert made("中", return_offsets_mapping=True)["offset_mapping"] == [(0, 1), (0, 1)]
    found = tokenize(made, "中", plain())
    assert made.convert_ids_to_tokens(list(found.ids)) == ["▁", "中"]
    assert found.spans == ((-1, -1), (0, 1))


def test_a_span_that_stands_twice_is_read_at_its_first_place() -> None:
    """The second one has the same words."""
    found = tokenize(tokenizer("bytes"), "the in the", plain())
    assert found.read_at(Span(text="the"))[0] == 0


def test_half_a_character_is_refused() -> None:
    """No tokenizer has bytes for a lone surrogate."""
    with pytest.raises(ReadingError, match=r"holds half of a character at 1 \(a lone surrogate"):
        tokenize(tokenizer("bytes"), "a\ud83cb", plain())


@pytest.mark.parametrize(("legacy", "metaspace"), [(False, "always"), (True, None)])
def test_a_mark_after_a_special_token_of_a_chat_carries_nothing(*, legacy: bool, metaspace: str | None) -> None:
    """Some tokenizers put it before the first word after each of them."""
    from transformers import PreTrainedTokenizerFast

    backend = _pieces(legacy=legacy, metaspace=metaspace)
    made = PreTrainedTokenizerFast(tokenizer_object=backend, extra_special_tokens=["<|user|>", "<|end|>"])
    made.chat_template = "<|user|>{{ messages[0].content }}<|end|>"
    found = tokenize(made, "中 in", plain(chat_template=True))
    assert made.convert_ids_to_tokens(list(found.ids)) == ["<|user|>", "▁", "中", "▁in", "<|end|>"]
    assert found.spans == ((-1, -1), (-1, -1), (0, 1), (1, 4), (-1, -1))
    assert found.read_at(Span(text="中")) == [2]


def test_characters_that_the_vocabulary_lacks_are_refused() -> None:
    """All such would be the same token, whatever they are."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE({"<unk>": 0, "a": 1}, [], unk_token="<unk>"))  # noqa: S106
    made = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")  # noqa: S106
    with pytest.raises(ReadingError, match="the tokenizer has no token for '月' in the prompt 'a月a'; reword it"):
        tokenize(made, "a月a", plain())


def test_an_empty_offset_carries_nothing() -> None:
    """Some versions of tokenizers give such ones; one that lies inside a span would count as part of it."""
    own = without_marks(None, [5, 6, 7], [(0, 2), (1, 1), (2, 4)], special=frozenset(), mark="")
    assert own == [(0, 2), (-1, -1), (2, 4)]

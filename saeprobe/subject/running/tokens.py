"""Tokens are what a model sees of a text: BOS, chat template and all, with the characters that each of them carries."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

from transformers import AutoTokenizer

from saeprobe.captures import At
from saeprobe.subject.files.tokenizer import choose_beginning, declared_beginning
from saeprobe.subject.pairing import Pairing
from saeprobe.subject.running import chat
from saeprobe.subject.running.chat import NO_CHARACTERS, FastTokenizer, InChat, Offsets, in_chat, shorten
from saeprobe.subject.running.weights import from_files
from saeprobe.subject.specification import ReadingError, SubjectError

_VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model", "*.model.v*", "tekken.json", "*.tiktoken")


@dataclass(frozen=True, kw_only=True)
class Tokenized:
    """A tokenized text is what the model sees of it."""

    text: str
    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]  # characters that each token carries, (-1, -1) for BOS and a template's words
    n_bos: int  # how many of the first tokens are BOS, or what stands in its place
    rendered: str  # the text as the chat template writes it; without one, the text

    def read_at(self, at: At) -> list[int]:
        """Return the positions that `at` names, ascending; of a span, the tokens that carry its first place."""
        if at == "last":
            return [len(self.ids) - 1]
        if at == "all":
            return list(range(self.n_bos, len(self.ids)))
        start = self.text.find(at.text)
        if start < 0:
            raise ReadingError(f"the span {at.text!r} is not in the prompt {shorten(self.text)}")
        end = start + len(at.text)
        # Offsets count characters, also for tokens that are single bytes of one: each of those carries it.
        positions = [position for position, (begin, stop) in enumerate(self.spans) if begin < end and stop > start]
        if not positions:
            raise ReadingError(
                f"no token carries a character of the span {at.text!r} in the prompt {shorten(self.text)}; "
                "a span of blanks belongs to the token after it: give the word that follows"
            )
        return positions


def tokenize(tokenizer: FastTokenizer, text: str, how: Pairing, *, raw: bool = False) -> Tokenized:
    """Encode a text as a subject's protocol says, without its chat template if `raw`.

    Raises:
        ReadingError: it has no tokens, holds special ones, is too long, or is changed by the chat template.
        SubjectError: the tokenizer cannot do what the protocol says, whatever the text.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ReadingError(
            f"the prompt {shorten(text)} holds half of a character at {error.start} (a lone surrogate, "
            f"{text[error.start]!r}); write the whole character"
        ) from None
    plain = InChat(whole=text, start=0, inner=text, skipped=0)
    one = in_chat(tokenizer, text) if how.spec.chat_template and not raw else plain
    with _without_post_processor(tokenizer):
        encoded = tokenizer(one.whole, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    own, special = encoded["input_ids"], _special_ids(tokenizer)
    cut = chat.bytes_cut(tokenizer, one.whole, own, encoded["offset_mapping"])
    cut = chat.without_marks(tokenizer, own, cut, special=special, mark=chat.mark_ahead(tokenizer))
    spans = _in_text(tokenizer, text, one, own, cut, special=special)
    if all(span == NO_CHARACTERS for span in spans):
        raise ReadingError(f"the prompt {text!r} has no tokens; leave it out")
    added, n_bos = _Beginning.of(tokenizer, how).before(own)
    ids, spans = (*added, *own), (*[NO_CHARACTERS] * len(added), *spans)
    # A token that was added, and for which the model was not resized, has no embedding.
    unknown = next((one for one in ids if one >= how.shape.vocabulary > 0), None)
    if unknown is not None:
        raise ReadingError(
            f"the prompt {shorten(text)} has the token {tokenizer.convert_ids_to_tokens(unknown)!r} of id {unknown}, "
            f"and the model has embeddings for {how.shape.vocabulary} (vocab_size in config.json); copy the tokenizer "
            "that belongs to the model, or reword the prompt"
        )
    if len(ids) > how.context_size:
        raise ReadingError(
            f"the prompt {shorten(text)} has {len(ids)} tokens, BOS included; "
            f"the context holds {how.context_size}: shorten it"
        )
    return Tokenized(text=text, ids=ids, spans=spans, n_bos=n_bos, rendered=one.whole)


def load_tokenizer(folder: Path, how: Pairing) -> FastTokenizer:
    """Load the tokenizer of the model in a folder, and see that it does what the protocol says."""
    tokenizer = from_files(AutoTokenizer, folder, "the tokenizer")
    if not tokenizer.is_fast:
        raise SubjectError(
            f"the tokenizer in {folder} does not say which characters its tokens carry; wanted a tokenizer.json there"
        )
    # Without a vocabulary transformers 5 makes a tokenizer of special tokens, and of a few more in some classes.
    if not any(any(folder.glob(one)) for one in _VOCABULARIES) or len(tokenizer) <= len(_special_ids(tokenizer)):
        raise SubjectError(
            f"the tokenizer in {folder} has no vocabulary and knows special tokens alone; "
            "copy tokenizer.json from where the model came from"
        )
    check_protocol(tokenizer, how)
    return tokenizer


def check_protocol(tokenizer: FastTokenizer, how: Pairing) -> None:
    """Refuse by a SubjectError a loaded tokenizer that begins or frames prompts otherwise than the protocol says."""
    if how.beginning.tokens and how.beginning != declared_beginning(*how.beginning.tokens[:1]):
        names = (tokenizer.bos_token, tokenizer.eos_token)
        loaded = choose_beginning(tokenizer.convert_ids_to_tokens(_own_prefix(tokenizer)), *names)
        if loaded.tokens != how.beginning.tokens:
            raise SubjectError(
                f"by its files the tokenizer begins a text with {how.beginning.text}, and as transformers loads it by "
                f'{loaded.text or "nothing"}; name the token with which the SAE was trained: bos_token = "<|...|>"'
            )
    begin = _Beginning.of(tokenizer, how)
    if how.spec.chat_template and tokenizer.split_special_tokens:
        raise SubjectError(
            "the tokenizer cuts special tokens into letters (split_special_tokens), the chat template's too; take "
            "that out of tokenizer_config.json, or set chat_template = false"
        )
    if how.spec.chat_template:
        one = in_chat(tokenizer, "a")
        with _without_post_processor(tokenizer):
            ahead, after = (
                tokenizer(part, add_special_tokens=False)["input_ids"]
                for part in (one.whole[: one.start], one.whole[one.start + len(one.inner) :])
            )
        begin.before([*ahead, -1, *after])  # the prompt, which is no token


@lru_cache(maxsize=1 << 12)
def pieces_of(tokenizer: FastTokenizer, ids: tuple[int, ...]) -> tuple[str, ...]:
    """Return what each token writes alone; a byte of a character writes the replacement character."""
    return tuple(tokenizer.batch_decode([[one] for one in ids]))


@contextmanager
def _without_post_processor(tokenizer: FastTokenizer) -> Generator[None]:
    """Encode as the model's own pieces lie in the text: a post-processor may cut the blank of a token from its span."""
    backend = tokenizer.backend_tokenizer
    processor = backend.post_processor
    backend.post_processor = None
    try:
        yield
    finally:
        backend.post_processor = processor


def _special_ids(tokenizer: FastTokenizer) -> frozenset[int]:
    # In Llama 3, `all_special_ids` has BOS and the end of a turn alone, and not what begins one.
    added = (one for one, token in tokenizer.added_tokens_decoder.items() if token.special)
    return frozenset([*tokenizer.all_special_ids, *added])


def _in_text(
    tokenizer: FastTokenizer, text: str, written: InChat, ids: Sequence[int], spans: Offsets, *, special: frozenset[int]
) -> list[tuple[int, int]]:
    """Turn spans of the rendered chat into spans of the text in it, and refuse a text that speaks in special tokens.

    It could end its turn. A special token of the template may swallow the blanks next to it, which are then no one's.
    """
    start, end, shift = written.start, written.start + len(written.inner), written.skipped - written.start
    found: list[tuple[int, int]] = []
    for one, (begin, stop) in zip(ids, spans, strict=True):
        part = (max(begin, start), min(stop, end))
        if part[0] >= part[1] or begin < 0:
            found.append(NO_CHARACTERS)
        elif one not in special:
            found.append((part[0] + shift, part[1] + shift))
        elif words := written.whole[slice(*part)].strip():
            name = "BOS" if one == tokenizer.bos_token_id else "a special token"
            raise ReadingError(
                f"the prompt {shorten(text)} contains {name} ({words}); leave it out: "
                "BOS and the chat template are written around each prompt"
                if tokenizer.convert_ids_to_tokens(one) == words
                else f"the tokenizer has no token for {shorten(words)} in the prompt {shorten(text)}; reword it"
            )
        else:
            found.append(NO_CHARACTERS)
    return found


@dataclass(frozen=True, kw_only=True)
class _Beginning:
    """It knows the ids that stand before each prompt."""

    wanted: tuple[int, ...]  # what the protocol puts there
    own: tuple[int, ...]  # what a template may have written there already
    bos: int | None
    twice: bool

    @classmethod
    def of(cls, tokenizer: FastTokenizer, how: Pairing) -> _Beginning:
        names = list(how.beginning.tokens)
        found: list[int | None] = tokenizer.convert_tokens_to_ids(names)
        # What is no token has the id of the unknown token, or none.
        pairs = zip(names, found, strict=True)
        strange = [name for name, one in pairs if one is None or tokenizer.convert_ids_to_tokens(one) != name]
        if strange:
            raise SubjectError(
                f"prompts are to begin with {strange[0]!r}, which is no token of the tokenizer's {len(tokenizer)}; "
                'wanted one of them: bos_token = "<|...|>"'
            )
        wanted, bos = tuple(one for one in found if one is not None), cast("int | None", tokenizer.bos_token_id)
        own = wanted or tuple(_own_prefix(tokenizer)) or (() if bos is None else (bos,))
        return cls(wanted=wanted, own=own, bos=bos, twice=how.spec.bos_twice)

    def before(self, ids: Sequence[int]) -> tuple[tuple[int, ...], int]:
        """Return the ids to be put before those of a prompt, and how many of all the first are no part of it.

        A SubjectError says that BOS stands elsewhere too, where it would be read; a prompt's own words hold none.
        """
        own = self.own
        written = next((n for n in range(len(own), 0, -1) if tuple(ids[:n]) == own[-n:]), 0)
        rest = tuple(ids[written:])
        if self.bos in rest or (own and rest[: len(own)] == own):
            raise SubjectError(
                "the chat template itself writes BOS elsewhere than once, at the very start: it would stand there "
                "twice, or be read; leave bos_token out, mend the template, or set chat_template = false"
            )
        added = self.wanted[: len(self.wanted) - written] if self.wanted else ()
        if self.twice:
            added = (*own[:1], *added)
        return added, len(added) + written


def _own_prefix(tokenizer: FastTokenizer) -> list[int]:
    """Return the ids that the tokenizer itself writes ahead of a text."""
    whole: list[int] = tokenizer("a")["input_ids"]
    bare: list[int] = tokenizer("a", add_special_tokens=False)["input_ids"]
    starts = (at for at in range(len(whole)) if bare and whole[at : at + len(bare)] == bare)
    return whole[: next(starts, 0)]

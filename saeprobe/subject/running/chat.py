"""A chat template writes a prompt as a user's turn, and offsets say which of its characters each token carries.

The turn is the same on every day, with the prompt's own words unchanged. What the library gives as offsets is cut to
the characters that are a token's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

from jinja2 import Template, TemplateError, nodes

# The public `apply_chat_template` offers no way to another day: it makes plain data of all that a template is given,
# so that a function of ours would arrive as the text "<function>" (transformers 5.23).
from transformers.utils.chat_template_utils import (
    _compile_jinja_template,  # pyright: ignore[reportPrivateUsage, reportUnknownVariableType]
)

from saeprobe.files import quoted
from saeprobe.subject.pairing import DATE
from saeprobe.subject.specification import ReadingError, SubjectError

_MARK = "\ue000"  # a private character, which no template writes itself
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{6,}>")
_FAILS = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)
_REMEDY = "set chat_template = false, or mend the template"
NO_CHARACTERS: Final = (-1, -1)
FastTokenizer = Any  # of transformers, which carries no usable types
Offsets = Sequence[tuple[int, int]]  # of tokens: the first character of each, and the one after its last
_TABLE: Final = (
    "d=26|e=26|m=07|y=24|Y=2024|C=20|G=2024|j=208|U=29|W=30|V=30|w=5|u=5|H=00|I=12|M=00|S=00|f=000000|n=\n|t=\t|%=%|"
    "a=Fri|A=Friday|b=Jul|h=Jul|B=July|p=AM|Z=|z=|F=2024-07-26|D=07/26/24|x=07/26/24|T=00:00:00|X=00:00:00|R=00:00|"
    "r=12:00:00 AM|c=Fri Jul 26 00:00:00 2024"
)
_ON_THE_DAY: Final = {one[0]: one[2:] for one in _TABLE.split("|")}
"""Midnight of `DATE` by the letters of `strftime`, which would write the names of the machine's own language."""
_BYTE: Final = re.compile(r"<0x[0-9A-F]{2}>")


@dataclass(frozen=True, kw_only=True)
class InChat:
    """A text in a chat is `whole`; from `start` on it holds `inner`, the text but `skipped` characters at its head."""

    whole: str
    start: int
    inner: str
    skipped: int


def in_chat(tokenizer: Any, text: str) -> InChat:
    """Write the prompt as a user's turn, up to the answer, by the model's own template.

    Raises:
        ReadingError: the template changes the prompt, beyond the blanks around it.
        SubjectError: the template cannot be used, whatever the prompt.
    """
    source = _source(tokenizer)
    names = tuple(sorted((key, str(value)) for key, value in tokenizer.special_tokens_map.items()))
    ahead, after = _frame(source, names)
    try:
        whole = _render(source, dict(names), text)
    except _FAILS as error:
        raise ReadingError(
            f"the chat template cannot write the prompt {shorten(text)}: {quoted(error)}; leave it out, or {_REMEDY}"
        ) from error
    inner = whole[len(ahead) : len(whole) - len(after)]
    framed = len(whole) >= len(ahead) + len(after) and whole.startswith(ahead) and whole.endswith(after)
    if not framed or inner not in (text, text.strip(), text.lstrip(), text.rstrip()):
        raise ReadingError(
            f"the chat template changes the prompt {shorten(text)}; it writes {shorten(inner if framed else whole)}: "
            f"reword the prompt, or {_REMEDY}"
        )
    return InChat(whole=whole, start=len(ahead), inner=inner, skipped=text.find(inner))


def _source(tokenizer: Any) -> str:
    try:
        return tokenizer.get_chat_template()
    except ValueError as error:
        raise SubjectError(
            f"the tokenizer has no chat template that is the default one: {quoted(error)}; name one "
            '"default", or set chat_template = false'
        ) from error


@lru_cache(maxsize=8)
def _frame(source: str, names: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    """Return what a template writes before and after a prompt; refuse one that does not write each prompt once."""
    refused = f"the chat template cannot be used ({_REMEDY})"
    try:
        tree = _compiled(source).environment.parse(source)
        # What jinja draws at random; the clock, which transformers gives a template besides, is stopped.
        varying = [f"the filter {one.name}" for one in tree.find_all(nodes.Filter) if one.name == "random"]
        varying += [f"{one.name}()" for one in tree.find_all(nodes.Name) if one.name == "lipsum"]
        written = _render(source, dict(names), _MARK)
    except _FAILS as error:
        raise SubjectError(f"{refused}: it does not write a single turn of a user: {quoted(error)}") from error
    if varying:
        raise SubjectError(f"{refused}: it uses {varying[0]}, so that a prompt is another one each time")
    if _ADDRESS.search(written):
        raise SubjectError(f"{refused}: it writes an address in memory, so that a prompt is another one each time")
    times = written.count(_MARK)
    if times != 1:
        raise SubjectError(f"{refused}: it writes what the user says {times} times; wanted once")
    ahead, _, after = written.partition(_MARK)
    return ahead, after


def _compiled(source: str) -> Template:
    return _compile_jinja_template(source)


def _render(source: str, names: dict[str, str], text: str) -> str:
    """Render as `apply_chat_template` does, on the day `DATE`."""
    given: dict[str, Any] = {
        **names,
        "messages": [{"role": "user", "content": text}],
        "tools": None,
        "documents": None,
        "add_generation_prompt": True,
        "date_string": DATE,
        "strftime_now": _on_the_day,  # before the environment's own function of that name
    }
    return _compiled(source).render(given)


def _on_the_day(format: str) -> str:  # noqa: A002 - a template may give it by this name
    """Write the pinned date, at midnight, in a form of `strftime`, in English and the same on every system."""

    def written(found: re.Match[str]) -> str:
        flag, letter = found.groups()
        if letter == "s":
            raise TemplateError(f"strftime_now({format!r}) depends on the time zone of the machine")
        if letter not in _ON_THE_DAY or (flag and not _ON_THE_DAY[letter].isdigit()):
            raise TemplateError(
                f"strftime_now({format!r}) uses {found[0]}; wanted % and one of {' '.join(_ON_THE_DAY)}, "
                "or %- and one that is a number"
            )
        value = _ON_THE_DAY[letter]
        return (value.lstrip("0") or "0") if flag else value

    return re.sub(r"(?s)%(-?)(.?)", written, format)


def shorten(prompt: str) -> str:
    """Write a prompt in quotes, cut in the middle if long, for error messages."""
    return repr(prompt if len(prompt) <= 60 else f"{prompt[:30]} ... {prompt[-30:]}")  # noqa: PLR2004 - fits a terminal line


def mark_ahead(tokenizer: FastTokenizer) -> str:
    """Return what the tokenizer puts before the first word of a text, such as the mark of a blank; mostly nothing."""
    backend = tokenizer.backend_tokenizer
    text = "a" if backend.normalizer is None else backend.normalizer.normalize_str("a")
    if backend.pre_tokenizer is not None:
        text = "".join(piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(text))
    return text.removesuffix("a")


def without_marks(
    tokenizer: FastTokenizer, ids: Sequence[int], offsets: Offsets, *, special: frozenset[int], mark: str
) -> list[tuple[int, int]]:
    """Return the characters that are a token's own; empty ones, and a mark that stands for none, become none.

    A sentencepiece tokenizer without the piece `_word` gives `_` and `word`, and both have the offsets of the word.
    Such a mark stands before the first word of a text, or of what follows a special token.
    """
    own = [(begin, end) if begin < end else NO_CHARACTERS for begin, end in offsets]
    pieces: list[str] = tokenizer.convert_ids_to_tokens(list(ids)) if mark else []
    left = mark
    for at, piece in enumerate(pieces[:-1]):
        left = mark if at == 0 or ids[at - 1] in special else left
        if left and ids[at] not in special and left.startswith(piece) and offsets[at + 1][0] == offsets[at][0]:
            own[at], left = NO_CHARACTERS, left[len(piece) :]
        else:
            left = ""
    return own


def bytes_cut(tokenizer: FastTokenizer, text: str, ids: Sequence[int], offsets: Offsets) -> list[tuple[int, int]]:
    """Give each byte token the one character that it is of; Unigram gives all of an unknown run the whole run.

    A ReadingError says that the bytes are not those of the characters, which a normaliser may change.
    """
    found: list[tuple[int, int]] = []
    for (begin, end), group in groupby(enumerate(offsets), key=lambda one: one[1]):
        run = [at for at, _ in group]
        pieces: list[str] = (
            tokenizer.convert_ids_to_tokens([ids[at] for at in run]) if end - begin > 1 < len(run) else []
        )
        marks = next((at for at, piece in enumerate(pieces) if _BYTE.fullmatch(piece)), len(pieces))
        if not pieces[marks:]:
            found += [(begin, end)] * len(run)
            continue
        written = bytes(int(piece[3:5], 16) for piece in pieces[marks:] if _BYTE.fullmatch(piece))
        if written != text[begin:end].encode() or len(written) != len(pieces) - marks:
            raise ReadingError(
                f"the tokenizer cuts {shorten(text[begin:end])} into bytes ({' '.join(pieces)}) that are not its own, "
                "so that nobody knows which token carries which character; reword the prompt"
            )
        found += [(begin, end)] * marks
        found += [(at, at + 1) for at in range(begin, end) for _ in text[at].encode()]
    return found

"""Words: what a style calls itself by, found in prompts and pasted into those of the neutral style."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from saeprobe.nearmiss import did_you_mean
from saeprobe.prompts.error import PromptError
from saeprobe.prompts.prompt import Prompt

_UNSPACED: Final = (
    "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts that put no blanks between words, or none around particles: Thai, Lao, Khmer, kana, Han, Hangul."""

_HAS_UNSPACED: Final = re.compile(f"[{_UNSPACED}]")
_HAN_OR_KANA: Final = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def mentions(text: str, words: Iterable[str]) -> bool:
    """Whether `text` says any of the words, in capitals or not; a word counts where it stands as a whole.

    In a script that puts no blanks between words it counts wherever its characters stand.

    >>> mentions("Explain it to a Novice.", ["novice"]), mentions("Explain novices.", ["novice"])
    (True, False)
    """
    folded = text.casefold()
    return any(_pattern(word.casefold()).search(folded) for word in words)


def pasted(words: Sequence[str], prompt: Prompt, *, style: str) -> Prompt:
    """A prompt of the neutral style with the words of another pasted in front, as a prompt of that style.

    Its template stays that of the neutral style, so that styles are compared within it.
    """
    said = " ".join(words)
    if said and _HAN_OR_KANA.search(said):
        said += "。"
    elif said:
        # Most vocabularies know a word with the blank before it. At the very start of a text it falls to pieces that
        # mean less, and a chat template strips blanks there.
        said = f"- {said}. "
    return Prompt(text=said + prompt.text, style=style, topic=prompt.topic, template=prompt.template)


def check_words(
    words: Mapping[str, Sequence[str]], neutral: str | None, styles: Sequence[str], *, path: Path | None = None
) -> dict[str, tuple[str, ...]]:
    """The words of each style that has any.

    Raises:
        PromptError: a style is not there, or is neutral and has words; a list is empty or a single text; a word is
            blank, has blanks around it, or stands twice.
    """
    for style in [*words, *([] if neutral is None else [neutral])]:
        if style not in styles:
            raise PromptError(
                f"there is no style {style!r}{did_you_mean(style, styles)}",
                where="neutral" if style == neutral else "words",
                remedy=f"name one of {', '.join(styles)}",
                path=path,
            )
    for style, of_style in words.items():
        where = f"style {style!r}, words"
        if style == neutral:
            raise PromptError(
                "the neutral style has words of its own",
                where=where,
                remedy="leave them out, or call another style neutral",
                path=path,
            )
        if isinstance(of_style, str):
            raise PromptError(f"it is the single text {of_style!r}", where=where, remedy="put it in a list", path=path)
        if not of_style:
            raise PromptError("the list is empty", where=where, remedy="give a word, or leave it out", path=path)
        for word in of_style:
            _check_word(word, of_style, where, path)
    return {style: tuple(of_style) for style, of_style in words.items()}


def check_said(
    words: Mapping[str, Sequence[str]], prompts: Iterable[Prompt], *, path: Path | None = None
) -> Mapping[str, tuple[str, ...]]:
    """The words, each of which a prompt of its style says: one that none says would leave nothing out.

    Raises:
        PromptError: no prompt of its style says a word.
    """
    texts: dict[str, list[str]] = {}
    for prompt in prompts:
        texts.setdefault(prompt.style, []).append(prompt.text)
    for style, of_style in words.items():
        for word in of_style:
            if not any(mentions(text, [word]) for text in texts.get(style, [])):
                raise PromptError(
                    f"no prompt of the style says {word!r}",
                    where=f"style {style!r}, words",
                    remedy="write it as the prompts say it, or leave it out",
                    path=path,
                )
    return {style: tuple(of_style) for style, of_style in words.items()}


def _check_word(word: str, words: Sequence[str], where: str, path: Path | None) -> None:
    if not word.strip() or word != word.strip():
        raise PromptError(f"{word!r} is no word", where=where, remedy="write it without blanks around it", path=path)
    if list(words).count(word) > 1:
        raise PromptError(f"the word {word!r} stands twice", where=where, remedy="leave one of them out", path=path)


def _pattern(word: str) -> re.Pattern[str]:
    if _HAS_UNSPACED.search(word):
        return re.compile(re.escape(word))
    letter = f"[^\\W{_UNSPACED}]"  # of a script with blanks: "a novice" in a Chinese sentence is a word too
    return re.compile(f"(?<!{letter}){re.escape(word)}(?!{letter})")

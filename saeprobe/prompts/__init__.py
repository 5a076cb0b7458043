"""Prompts are what is asked of a subject, by style, topic and template; some sets are built in, in several wordings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Final

from saeprobe.claims import NotRun, did_you_mean
from saeprobe.prompts.prompt import Prompt, PromptError
from saeprobe.prompts.promptset import PromptSet
from saeprobe.prompts.wordings import COPY, distance, wording_of, words_of

__all__ = ["BRIDGES", "CONCEPTS", "NEUTRAL", "SHOPPING", "STYLES"]
__all__ += ["Prompt", "PromptChoice", "PromptError", "PromptFile", "PromptSet"]


@dataclass(frozen=True, kw_only=True)
class PromptChoice:
    """A choice holds prompt sets of the same design in several wordings; a subject reads the one it asks for.

    A set may be given as the path of its file, which is read when it is first asked for, once a process. `styles`
    restricts every wording to those styles; empty, all are read. `injects` gives of every wording the neutral prompts
    with the styles' words pasted in, as `PromptSet.injected`; `topics` keeps so many of the first, as
    `PromptSet.first_topics`, None all.
    """

    name: str
    sets: Mapping[str, PromptSet | Path] = field(hash=False)  # a mapping has no hash; equal choices still hash alike
    styles: tuple[str, ...] = ()
    injects: bool = False
    topics: int | None = None

    def for_wording(self, wording: str) -> PromptSet:
        """Return the set that a subject with this wording reads.

        Raises:
            KeyError: there is no such set, or it lacks one of the styles.
            PromptError: the file of the set cannot be used.
            ValueError: words are to be pasted in, and the set names none, or no neutral style.
        """
        if wording in self._asked:
            return self._asked[wording]
        if wording not in self.sets:
            asked = f"{wording!r}{did_you_mean(wording, self.sets)}"
            raise KeyError(f"{self.name} has no prompts in the wording {asked}; there are: {', '.join(self.sets)}")
        found = self.sets[wording]
        prompts = _read_once(found) if isinstance(found, Path) else found
        chosen = prompts.only(*self.styles) if self.styles else prompts
        read = chosen.injected() if self.injects else chosen
        self._asked[wording] = read if self.topics is None else read.first_topics(self.topics)
        return self._asked[wording]

    @cached_property
    def _asked(self) -> dict[str, PromptSet]:  # by wording: each draw of a random control asks for the same set again
        return {}

    def only(self, *styles: str) -> PromptChoice:
        """Restrict the choice to these styles, in every wording; a style is looked for when a set is asked for.

        A ValueError says that no style is named, or one that an earlier `only` left out.
        """
        if not styles:
            raise ValueError(f"only() names no style of {self.name}; name one or more, such as only('novice')")
        for style in styles:
            if self.styles and style not in self.styles:
                raise ValueError(f"{self.name} is already restricted to {', '.join(self.styles)}, without {style!r}")
        return replace(self, styles=styles)

    def injected(self) -> PromptChoice:
        """Return the choice whose wordings are the neutral prompts with the words of each style pasted in."""
        return replace(self, injects=True)

    def first_topics(self, count: int) -> PromptChoice:
        """Return the choice whose wordings keep `count` topics, the first of each style."""
        return replace(self, topics=count)


_read_once = cache(PromptSet.from_file)


def _built_in(name: str, **files: str) -> PromptChoice:
    """Return a choice of the sets that come with the package, by wording the name of the file without its suffix."""
    data = Path(__file__).parent / "data"
    return PromptChoice(name=name, sets={wording: data / f"{file}.toml" for wording, file in files.items()})


STYLES: Final = _built_in("styles", specimen="specimen", english="styles_en", chinese="styles_zh")
"""Explain a topic, in six styles: standard, padding, spaces, novice, expert, guru."""

SHOPPING: Final = _built_in("shopping", specimen="specimen_shopping", english="shopping_en", chinese="shopping_zh")
"""Sentences about shopping for a model to go on with; a steering feature is picked on `choose`, judged on `judge`."""

# What publishers measure their SAEs on is English as a rule, so a Chinese wording has the same neutral text.
NEUTRAL: Final = _built_in("neutral", specimen="neutral_specimen", english="neutral_english", chinese="neutral_english")
"""Plain text on which an instrument is checked: the specimens' own kind of documents, or everyday English prose."""

BRIDGES: Final = _built_in("bridges", specimen="bridges_specimen", english="bridges_en")
"""Sentences that say `bridge`, `other` ones that do not, and the SAE manual's sentence and its like, for `reading`."""

CONCEPTS: Final = _built_in("concepts", specimen="concepts_specimen", english="concepts_en")
"""Sentences of unrelated kinds, such as landmarks and code, or cats and quantum mechanics; the styles are the kinds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PromptFile:
    """A prompt file is read by a subject in the place of STYLES, and of all that is made of it.

    `digest` is the beginning of the SHA-256 of its bytes.
    """

    name: str
    digest: str
    prompts: PromptSet

    def __str__(self) -> str:
        return f"{self.name} ({self.digest})"

    @classmethod
    def read(cls, file: str, folder: Path) -> PromptFile:
        """Read a file, looked for from `folder`, in any form that `PromptSet.from_file` takes; raises as it does."""
        path = folder / Path(file).expanduser()
        try:
            prompts = PromptSet.from_file(path)
        except PromptError as error:
            if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for some names
                error.remedy = f"give its path from {folder}, or in full"
            raise
        return cls(name=path.name, digest=sha256(path.read_bytes()).hexdigest()[:8], prompts=prompts)

    def lacking(self, choice: PromptChoice) -> dict[str, str]:
        """Say, by style, of those that a choice made of STYLES has and the file lacks, what to do."""
        wanted = choice.styles or STYLES.for_wording("english").styles
        there, known = ", ".join(self.prompts.styles), f"the prompt file {self} has no style"
        remedy = "to it, or give another file"
        lacking = [style for style in wanted if style not in self.prompts.styles]
        return {style: f"{known} {style!r}; there are: {there}; add [styles.{style}] {remedy}" for style in lacking}

    @lru_cache  # noqa: B019 - files are few and stay for a run; each draw of a random control asks again
    def in_place_of(self, choice: PromptChoice) -> PromptSet:
        """Return what is read where a choice made of STYLES is asked for.

        NotRun says that the file lacks a style that the choice names, or words that are to be pasted in.
        """
        for why in self.lacking(choice).values() if choice.styles else ():
            raise NotRun(why)
        try:
            return replace(choice, sets={self.name: self.prompts}).for_wording(self.name)
        except ValueError as error:
            raise NotRun(f"the prompt file {self}: {error}") from error


def check_prompts(prompts: object) -> None:
    """Raise a TypeError where these are no set of prompts."""
    if not isinstance(prompts, PromptSet | PromptChoice):
        own = "made of texts of your own by PromptSet.build(...) or PromptSet.from_file(...)"
        raise TypeError(f"the prompts are {prompts!r}; wanted a set such as STYLES, {own}")


def stated_choice(chosen: PromptSet | PromptChoice | str, judged: PromptSet | PromptChoice) -> str:
    """Say in words on what a feature was chosen, which may not be prompts that it is judged on, or near copies of them.

    A ValueError says that they share a prompt.
    """
    if isinstance(chosen, str):
        return chosen.strip()
    check_prompts(chosen)
    for (one, there), (other, here) in product(_wordings(chosen).items(), _wordings(judged).items()):
        shared = list(_said_again(there, here)) if one == other or not (one and other) else []
        for of, again in shared[:1]:
            raise ValueError(
                f"feature and strength were chosen on {len(shared)} of the prompts that they are judged on, such as "
                f"{again.text!r}, which says what {of.text!r} does; judge on others: "
                'SHOPPING.only("judge"), chosen_on=SHOPPING.only("choose")'
            )
    return f"{chosen.name} ({', '.join(chosen.styles)})" if chosen.styles else chosen.name


def _wordings(of: PromptSet | PromptChoice) -> dict[str, PromptSet]:
    """Give the set of each wording; a set is a wording without a name."""
    return {"": of} if isinstance(of, PromptSet) else {wording: of.for_wording(wording) for wording in of.sets}


def _said_again(of: Iterable[Prompt], among: Iterable[Prompt]) -> Iterator[tuple[Prompt, Prompt]]:
    """Yield each prompt `among` these that says what one `of` those does, after that one.

    Both have the same words, or their wordings are near copies on one topic. Styles that a set calls distinct must have
    the same words.
    """
    known = list(of)
    for again in among:
        yield from ((one, again) for one in [next((one for one in known if _same(one, again)), None)] if one)


def _same(one: Prompt, other: Prompt) -> bool:
    texts = words_of(one.text), words_of(other.text)
    if texts[0] == texts[1] or (one.distinct and other.distinct):
        return texts[0] == texts[1]
    if one.template == one.text or other.template == other.text:  # without fields it is not known what the topic is
        return distance(*texts, most=COPY) <= COPY
    about = words_of(one.topic) == words_of(other.topic)
    return about and distance(wording_of(one), wording_of(other), most=COPY) <= COPY


def incomplete(origin: str, lacking: Iterable[str]) -> NotRun:
    """Return what to raise where all styles of a record are asked for and it lacks some."""
    return NotRun(f"{origin} holds nothing of {', '.join(lacking)} prompts, so that its styles are not all; add them")


def no_style(style: str, known: Iterable[str], record: str = "") -> KeyError | NotRun:
    """Return what to raise where no prompt has a style: a typing error, or what a `record` left out."""
    there = ", ".join(styles := tuple(dict.fromkeys(known)))
    if record:  # what was not recorded is no typing error
        return NotRun(f"{record} holds nothing of {style} prompts; it has: {there}")
    return KeyError(f"no prompt of style {style!r}{did_you_mean(style, styles)}; there are: {there}")

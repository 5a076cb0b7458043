"""A set holds prompts by style, topic and template."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from inspect import currentframe
from pathlib import Path
from typing import Final

from saeprobe.claims import did_you_mean
from saeprobe.prompts.formats import IN_TOML, Content, listed, place_of, read_file, table, text_of
from saeprobe.prompts.prompt import MAX_CHARACTERS, Prompt, PromptError, at, checked, checked_words, cross
from saeprobe.prompts.wordings import with_frames

_texts = partial(listed, of=text_of)


def _topic(value: object, where: str) -> dict[str, str]:
    return {"name": value} if isinstance(value, str) else table(value, where, text_of)


@dataclass(frozen=True, kw_only=True)
class PromptSet:
    """A set holds prompts of one or more styles, in the order given.

    `build` and `from_file` check what they make; a set constructed directly is taken as it is. `language` is a tag such
    as `en` or `zh`; `words` are by style those that it calls itself by, for the controls `wording` and `injection`.
    `neutral_prompts` are those of the neutral style, which `only` leaves here; the words of the others are pasted into
    them. `repeats` are by style the prompts of another style under this name, to be read again and held against the
    first reading. They are in neither `prompts` nor `styles`: no map, ranking or mean may count a text twice.
    """

    name: str
    language: str
    prompts: tuple[Prompt, ...]
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], hash=False)
    neutral_prompts: tuple[Prompt, ...] = field(default=(), hash=False, repr=False)
    repeats: Mapping[str, PromptSet] = field(default_factory=dict[str, "PromptSet"], hash=False, repr=False)

    @classmethod
    def from_file(cls, path: str | Path, *, max_characters: int = MAX_CHARACTERS) -> PromptSet:
        """Read prompts from a TOML, CSV or JSONL file in UTF-8; the suffix decides.

        TOML holds topics and templates, and every template is filled with every topic:

            name = "mine"
            language = "en"

            [[topics]]
            name = "tides"              # goes in for {topic}
            guru = "Galileo"            # any further field, here for {guru}
            held_out = true             # optional, a note to the reader: kept from training

            [styles.standard]
            templates = ["Explain {topic}."]
            frames = ["explain"]        # optional: what a template shares with one of another style, "" for nothing
            neutral = true              # optional, for one style: it is none, and has no words of its own

            [styles.novice]
            templates = ["Explain {topic} to a novice."]
            held_out = []               # optional: more templates, used like the others
            frames = ["explain"]
            distinct = false            # optional: near copies among its templates are to count as different wordings
            words = ["novice"]          # optional: what the style calls itself by

            [styles.assistant]
            repeats = "standard"        # the prompts of that style, read a second time; it needs no templates

        Templates of a style that are near copies of each other count as one wording. Those of two styles that have a
        frame in common are compared as pairs; without `frames` they are found from the texts. The templates held out
        have theirs at the end of the list.

        The control `wording` looks at the templates that do without the words of either style, and `injection` pastes
        the words into the prompts of the neutral style.

        CSV (with a header) and JSONL (an object a line) hold one prompt a row, in one of two shapes:

        - finished: `text` and `style`, and optionally `topic` and `template`. Without a topic the prompt is its own
          topic; without a template it counts, with all others of its style, as one wording, "as written", because
          nothing says which rows repeat a wording. A claim judged on them can only be about this wording.
        - to be filled: `template`, `style` and `topic`, and a column for each further field the template names.

        The name is then the file's without its suffix, and the language "und" (undetermined).

        Args:
            path: the file, from the folder of the Python file that calls this, else from the working directory.
            max_characters: the longest prompt taken; what fits a subject's context is checked when it is read.

        Raises:
            PromptError: the file or one of its prompts cannot be used; the message names the place and the remedy.
        """
        with at(path=Path(path)):
            found = place_of(Path(path), currentframe())
        with at(path=found):
            return cls._checked(read_file(found), max_characters)

    @classmethod
    def build(
        cls,
        *,
        name: str,
        language: str,
        topics: Sequence[str | Mapping[str, str]],
        styles: Mapping[str, Sequence[str]],
        words: Mapping[str, Sequence[str]] | None = None,
        neutral: str | None = None,
        repeats: Mapping[str, str] | None = None,
        frames: Mapping[str, Sequence[str]] | None = None,
        distinct: Sequence[str] = (),
        max_characters: int = MAX_CHARACTERS,
    ) -> PromptSet:
        """Fill every template of every style with every topic.

        >>> tides = PromptSet.build(
        ...     name="mine", language="en", topics=["tides", "rain"], styles={"novice": ["{topic} for a novice."]}
        ... )
        >>> [prompt.text for prompt in tides]
        ['tides for a novice.', 'rain for a novice.']

        Args:
            name: the set's name.
            language: a tag such as `en` or `zh`.
            topics: the values of `{topic}`, or for each topic its `name` and further fields.
            styles: the templates of each style.
            words: what styles call themselves by, `{"novice": ["novice", "beginner"]}`.
            neutral: the style into whose prompts these words are pasted.
            repeats: styles that are another one, read a second time, `{"assistant": "standard"}`.
            frames: of a style, for each template what it shares with one of another style, "" for nothing.
            distinct: the styles of which near copies count as different wordings.
            max_characters: the longest prompt taken.

        Raises:
            PromptError: a template, a prompt or a word cannot be used; the message names the place and the remedy.
        """
        from saeprobe.digits import whole  # a probe of built-in prompts does without

        again = table(repeats, "repeats", text_of)
        of_styles = Content(
            name=text_of(name, "name"),
            language=text_of(language, "language"),
            located=cross(listed(topics, "topics", _topic), table(styles, "styles", _texts), again),
            words=table(words, "words", _texts),
            neutral=None if neutral is None else text_of(neutral, "neutral"),
            repeats=again,
            frames=table(frames, "frames", _texts),
            distinct=_texts(distinct, "distinct"),
        )
        return cls._checked(of_styles, whole("max_characters", max_characters))

    @classmethod
    def _checked(cls, content: Content, max_characters: int) -> PromptSet:
        read = checked(content.located, max_characters=max_characters)
        prompts = with_frames(read, content.frames, content.distinct)
        for style, of in content.repeats.items():
            if style in content.words or style == content.neutral:
                problem = f"it repeats {of!r} and has words of its own, or is the neutral style"
                raise PromptError(problem, where=f"style {style!r}", remedy=f"say this of {of!r} instead")
        first = cls(
            name=content.name,
            language=content.language,
            prompts=prompts,
            words=checked_words(content.words, content.neutral, prompts),
            neutral_prompts=tuple(prompt for prompt in prompts if prompt.style == content.neutral),
        )
        again = {
            style: replace(first, prompts=tuple(replace(one, style=style) for one in first.style(of)))
            for style, of in content.repeats.items()
        }
        return replace(first, repeats=again)

    @cached_property
    def styles(self) -> tuple[str, ...]:
        """List the styles, in order of first appearance; one that repeats another is not among them."""
        return tuple(dict.fromkeys(prompt.style for prompt in self.prompts))

    @property
    def topics(self) -> tuple[str, ...]:
        """List the topics, in order of first appearance."""
        return tuple(dict.fromkeys(prompt.topic for prompt in self.prompts))

    @property
    def templates(self) -> tuple[str, ...]:
        """List the templates of all styles, in order of first appearance."""
        return tuple(dict.fromkeys(prompt.template for prompt in self.prompts))

    @property
    def neutral(self) -> str | None:
        """Name the neutral style; None where no style is said to be it."""
        return self.neutral_prompts[0].style if self.neutral_prompts else None

    @property
    def repeated(self) -> dict[str, str]:
        """Name by style that repeats another which one it repeats."""
        style_of = {prompt.text: prompt.style for prompt in self.prompts}
        return {style: style_of[again.prompts[0].text] for style, again in self.repeats.items()}

    def style(self, name: str) -> tuple[Prompt, ...]:
        """Return the prompts of one style, as `only` selects them."""
        return self.only(name).prompts

    def only(self, *styles: str) -> PromptSet:
        """Return the set with the prompts of these styles alone, in the order they stand.

        Raises:
            KeyError: the set has no such style.
            ValueError: no style is named, or one that repeats another without that one.
        """
        there = (*self.styles, *self.repeats)
        if not styles:
            raise ValueError(f"only() names no style of {self.name}; there are: {', '.join(there)}")
        for style in styles:
            if style not in there:
                near = did_you_mean(style, there)
                raise KeyError(f"{self.name} has no style {style!r}{near}; there are: {', '.join(there)}")
        prompts = tuple(prompt for prompt in self.prompts if prompt.style in styles)
        repeats = {style: again for style, again in self.repeats.items() if style in styles}
        for style, of in self.repeated.items():
            if style in repeats and of not in styles:
                raise ValueError(f"only() names {style!r} of {self.name}, which repeats {of!r}, alone; name both")
        return replace(self, prompts=prompts, repeats=repeats)

    def first_topics(self, count: int) -> PromptSet:
        """Keep the prompts of each style on its first `count` topics, under all of its templates.

        Where a style has a single template, the topics are what it is known by, and all are kept. No style is read
        again.
        """
        sets = {style: self.only(style) for style in self.styles}
        most = None if any(len(of_style.templates) == 1 for of_style in sets.values()) else count
        kept = {style: of_style.topics[:most] for style, of_style in sets.items()}
        chosen = tuple(prompt for prompt in self.prompts if prompt.topic in kept[prompt.style])
        return replace(self, prompts=chosen, repeats={})

    def injected(self) -> PromptSet:
        """Give the prompts of the neutral style once for each style, with that style's words pasted in front.

        A style without words stands as the neutral prompts alone. This is what the control `injection` reads: whether
        the words bring an effect about by themselves.

        >>> tides = PromptSet.build(
        ...     name="mine",
        ...     language="en",
        ...     topics=["tides"],
        ...     styles={"standard": ["Explain {topic}."], "novice": ["{topic} for a novice."]},
        ...     words={"novice": ["novice"]},
        ...     neutral="standard",
        ... )
        >>> [(prompt.style, prompt.text) for prompt in tides.injected()]
        [('standard', 'Explain tides.'), ('novice', '- novice. Explain tides.')]

        Raises:
            ValueError: no style is neutral, or none has words.
        """
        if not self.neutral_prompts:
            remedy = f'write neutral = true under one of its styles{IN_TOML}, or build(..., neutral="standard")'
            raise ValueError(f"{self.name} says of no style that it is neutral; {remedy}")
        self.check_words()
        words = {style: self.words.get(style, ()) for style in self.styles}
        said = [pasted(words[style], prompt, style=style) for style in self.styles for prompt in self.neutral_prompts]
        return replace(self, prompts=tuple(said), repeats={})

    def check_words(self) -> None:
        """Raise a ValueError where no style has words, as the controls `wording` and `injection` need."""
        if not any(style in self.words for style in self.styles):
            remedy = f'write words = ["novice"] under a style{IN_TOML}, or build(..., words={{"novice": ["novice"]}})'
            raise ValueError(f"{self.name} names no words of its styles ({', '.join(self.styles)}); {remedy}")

    def __len__(self) -> int:
        return len(self.prompts)

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.prompts)


_HAN_OR_KANA: Final = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def pasted(words: Sequence[str], prompt: Prompt, *, style: str) -> Prompt:
    """Paste the words of a style in front of a prompt of the neutral style, which becomes a prompt of that style.

    Its template stays that of the neutral style, so that styles are compared within it.
    """
    said = " ".join(words)
    if said and _HAN_OR_KANA.search(said):
        said += "。"
    elif said:
        # Most vocabularies know a word with the blank before it. At the very start of a text it falls to pieces that
        # mean less, and a chat template strips blanks there.
        said = f"- {said}. "
    return replace(prompt, text=said + prompt.text, style=style)

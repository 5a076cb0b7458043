"""Sets of prompts: every prompt knows its style, topic and template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from saeprobe.nearmiss import did_you_mean
from saeprobe.prompts.crossing import MAX_CHARACTERS, checked, cross
from saeprobe.prompts.error import PromptError
from saeprobe.prompts.files import read_file
from saeprobe.prompts.prompt import Prompt
from saeprobe.prompts.words import check_said, check_words, pasted

_SAY_NEUTRAL: Final = 'write neutral = true under one of its styles, or build(..., neutral="standard")'
_SAY_WORDS: Final = 'write words = ["novice"] under a style, or build(..., words={"novice": ["novice"]})'


@dataclass(frozen=True, kw_only=True)
class PromptSet:
    """Prompts of one or more styles, in the order given.

    `build` and `from_file` check what they make; a set constructed directly is taken as it is.

    Attributes:
        name: of the set.
        language: a tag such as `en` or `zh`.
        prompts: the prompts.
        words: by style, the words that it calls itself by, for the controls `wording` and `injection`.
        neutral_prompts: the prompts of the neutral style, which `only` leaves here; the words of the others are pasted
            into them.
    """

    name: str
    language: str
    prompts: tuple[Prompt, ...]
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], hash=False)
    neutral_prompts: tuple[Prompt, ...] = field(default=(), hash=False, repr=False)

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
            neutral = true              # optional, for one style: it is none, and has no words of its own

            [styles.novice]
            templates = ["Explain {topic} to a novice."]
            held_out = []               # optional: more templates, used like the others
            words = ["novice"]          # optional: what the style calls itself by

        The control `wording` looks at the templates that do without the words of either style, and `injection` pastes
        the words into the prompts of the neutral style.

        CSV (with a header) and JSONL (an object a line) hold one prompt a row, in one of two shapes:

        - finished: `text` and `style`, and optionally `topic` and `template`. Without a topic the prompt is its own
          topic; without a template it counts, with all others of its style, as one wording, "as written", because
          nothing says which rows repeat a wording. A claim judged on them can only be about this wording.
        - to be filled: `template`, `style` and `topic`, and a column for each further field the template names.

        The name is then the file's without its suffix, and the language "und" (undetermined).

        Args:
            path: the file.
            max_characters: the longest prompt taken; what fits a subject's context is checked when it is read.

        Raises:
            PromptError: the file is missing, not UTF-8 or not of its format; a field is missing, unknown or not text; a
                list is empty; a template names a field that is not there; a prompt is empty, blank, too long, or the
                same as another.
        """
        found = Path(path)
        content = read_file(found)
        prompts = checked(content.placed, max_characters=max_characters, path=found)
        return cls(
            name=content.name,
            language=content.language,
            prompts=prompts,
            words=check_said(content.words, prompts, path=found),
            neutral_prompts=tuple(prompt for prompt in prompts if prompt.style == content.neutral),
        )

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
        max_characters: int = MAX_CHARACTERS,
    ) -> PromptSet:
        """Fill every template of every style with every topic.

        >>> tides = PromptSet.build(
        ...     name="mine", language="en", topics=["tides", "rain"], styles={"novice": ["{topic} for a novice."]}
        ... )
        >>> [prompt.text for prompt in tides]
        ['tides for a novice.', 'rain for a novice.']

        Args:
            name: of the set.
            language: a tag such as `en` or `zh`.
            topics: the values of `{topic}`, or for each topic its `name` and further fields.
            styles: the templates of each style.
            words: what styles call themselves by, `{"novice": ["novice", "beginner"]}`.
            neutral: the style into whose prompts these words are pasted.
            max_characters: the longest prompt taken.

        Raises:
            PromptError: as in `from_file`.
        """
        for what, texts in {"topics": topics, **{f"style {style!r}": texts for style, texts in styles.items()}}.items():
            if isinstance(texts, str):
                raise PromptError(
                    f"{what} is the single text {texts!r}", remedy="put it in a list", where=f"set {name!r}"
                )
        fields = [{"name": topic} if isinstance(topic, str) else topic for topic in topics]
        prompts = checked(cross(fields, styles), max_characters=max_characters)
        return cls(
            name=name,
            language=language,
            prompts=prompts,
            words=check_said(check_words(words or {}, neutral, tuple(styles)), prompts),
            neutral_prompts=tuple(prompt for prompt in prompts if prompt.style == neutral),
        )

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles, in order of first appearance."""
        return tuple(dict.fromkeys(prompt.style for prompt in self.prompts))

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics, in order of first appearance."""
        return tuple(dict.fromkeys(prompt.topic for prompt in self.prompts))

    @property
    def templates(self) -> tuple[str, ...]:
        """The templates of all styles, in order of first appearance."""
        return tuple(dict.fromkeys(prompt.template for prompt in self.prompts))

    @property
    def neutral(self) -> str | None:
        """The neutral style; None where no style is said to be it."""
        return self.neutral_prompts[0].style if self.neutral_prompts else None

    def style(self, name: str) -> tuple[Prompt, ...]:
        """The prompts of one style.

        Raises:
            KeyError: the set has no such style.
        """
        return self.only(name).prompts

    def only(self, *styles: str) -> PromptSet:
        """The set with the prompts of these styles alone, in the order they stand.

        Raises:
            KeyError: the set has no such style.
            ValueError: no style is named.
        """
        if not styles:
            raise ValueError(f"only() names no style of {self.name}; there are: {', '.join(self.styles)}")
        for style in styles:
            if style not in self.styles:
                near = did_you_mean(style, self.styles)
                raise KeyError(f"{self.name} has no style {style!r}{near}; there are: {', '.join(self.styles)}")
        return replace(self, prompts=tuple(prompt for prompt in self.prompts if prompt.style in styles))

    def first_topics(self, count: int) -> PromptSet:
        """The prompts of each style on its first `count` topics, under all of its templates.

        Where a style has a single template, the topics are what it is known by, and the set is left whole.
        """
        kept: dict[str, dict[str, None]] = {}
        templates: dict[str, set[str]] = {}
        for prompt in self.prompts:
            templates.setdefault(prompt.style, set()).add(prompt.template)
            topics = kept.setdefault(prompt.style, {})
            if len(topics) < count:
                topics[prompt.topic] = None
        if any(len(of_style) == 1 for of_style in templates.values()):
            return self
        return replace(self, prompts=tuple(prompt for prompt in self.prompts if prompt.topic in kept[prompt.style]))

    def injected(self) -> PromptSet:
        """The prompts of the neutral style, once for each style, with that style's words pasted in front.

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
            raise ValueError(f"{self.name} says of no style that it is neutral; {_SAY_NEUTRAL}")
        self.check_words()
        return replace(
            self,
            prompts=tuple(
                pasted(self.words.get(style, ()), prompt, style=style)
                for style in self.styles
                for prompt in self.neutral_prompts
            ),
        )

    def check_words(self) -> None:
        """See that the words of a style, at least of one, are known, as the controls `wording` and `injection` need.

        Raises:
            ValueError: they are of none.
        """
        if not any(style in self.words for style in self.styles):
            told = ", ".join(self.styles)
            raise ValueError(f"{self.name} names no words of its styles ({told}); {_SAY_WORDS}")

    def __len__(self) -> int:
        return len(self.prompts)

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.prompts)

"""Sets of prompts: every prompt knows its style, topic and template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from saeprobe.nearmiss import did_you_mean
from saeprobe.prompts.crossing import MAX_CHARACTERS, checked, cross
from saeprobe.prompts.error import PromptError
from saeprobe.prompts.files import read_file
from saeprobe.prompts.prompt import Prompt


@dataclass(frozen=True, kw_only=True)
class PromptSet:
    """Prompts of one or more styles, in the order given.

    `build` and `from_file` check what they make; a set constructed directly is taken as it is.
    """

    name: str
    language: str
    prompts: tuple[Prompt, ...]

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

            [styles.novice]
            templates = ["Explain {topic} to a novice."]
            held_out = []               # optional: more templates, used like the others

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
        name, language, placed = read_file(found)
        return cls(name=name, language=language, prompts=checked(placed, max_characters=max_characters, path=found))

    @classmethod
    def build(
        cls,
        *,
        name: str,
        language: str,
        topics: Sequence[str | Mapping[str, str]],
        styles: Mapping[str, Sequence[str]],
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
        return cls(name=name, language=language, prompts=checked(cross(fields, styles), max_characters=max_characters))

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

    def __len__(self) -> int:
        return len(self.prompts)

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.prompts)

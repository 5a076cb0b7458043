"""A set holds prompts by style, topic and template; a choice holds the same set in several wordings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from inspect import currentframe
from pathlib import Path

from saeprobe.claims import did_you_mean
from saeprobe.prompts.formats import IN_TOML, Content, place_of, read_file
from saeprobe.prompts.prompt import MAX_CHARACTERS, Prompt, PromptError, at, checked, checked_words, cross, pasted


@dataclass(frozen=True, kw_only=True)
class PromptSet:
    """A set holds prompts of one or more styles, in the order given.

    `build` and `from_file` check what they make; a set constructed directly is taken as it is.

    Attributes:
        name: the set's name.
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
            max_characters: the longest prompt taken.

        Raises:
            PromptError: a template, a prompt or a word cannot be used; the message names the place and the remedy.
        """
        for what, texts in {"topics": topics, **{f"style {style!r}": texts for style, texts in styles.items()}}.items():
            if isinstance(texts, str):
                problem = f"{what} is the single text {texts!r}"
                raise PromptError(problem, remedy="put it in a list", where=f"set {name!r}")
        located = cross([{"name": topic} if isinstance(topic, str) else topic for topic in topics], styles)
        content = Content(name=name, language=language, located=located, words=words or {}, neutral=neutral)
        return cls._checked(content, max_characters)

    @classmethod
    def _checked(cls, content: Content, max_characters: int) -> PromptSet:
        prompts = checked(content.located, max_characters=max_characters)
        return cls(
            name=content.name,
            language=content.language,
            prompts=prompts,
            words=checked_words(content.words, content.neutral, prompts),
            neutral_prompts=tuple(prompt for prompt in prompts if prompt.style == content.neutral),
        )

    @cached_property
    def styles(self) -> tuple[str, ...]:
        """List the styles, in order of first appearance."""
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

    def style(self, name: str) -> tuple[Prompt, ...]:
        """Return the prompts of one style, as `only` selects them."""
        return self.only(name).prompts

    def only(self, *styles: str) -> PromptSet:
        """Return the set with the prompts of these styles alone, in the order they stand.

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
        """Keep the prompts of each style on its first `count` topics, under all of its templates.

        Where a style has a single template, the topics are what it is known by, and the set is left whole.
        """
        sets = {style: self.only(style) for style in self.styles}
        if any(len(of_style.templates) == 1 for of_style in sets.values()):
            return self
        kept = {style: of_style.topics[:count] for style, of_style in sets.items()}
        return replace(self, prompts=tuple(prompt for prompt in self.prompts if prompt.topic in kept[prompt.style]))

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
        return replace(self, prompts=tuple(said))

    def check_words(self) -> None:
        """See that at least one style has words, as the controls `wording` and `injection` need.

        Raises:
            ValueError: no style has any.
        """
        if not any(style in self.words for style in self.styles):
            remedy = f'write words = ["novice"] under a style{IN_TOML}, or build(..., words={{"novice": ["novice"]}})'
            raise ValueError(f"{self.name} names no words of its styles ({', '.join(self.styles)}); {remedy}")

    def __len__(self) -> int:
        return len(self.prompts)

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.prompts)


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

        Raises:
            ValueError: no style is named, or one that an earlier `only` left out.
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


@cache
def _read_once(path: Path) -> PromptSet:
    return PromptSet.from_file(path)


def built_in(name: str, **files: str) -> PromptChoice:
    """Return a choice of the sets that come with the package, by wording the name of the file without its suffix."""
    data = Path(__file__).parent / "data"
    return PromptChoice(name=name, sets={wording: data / f"{file}.toml" for wording, file in files.items()})

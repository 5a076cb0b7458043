"""A probe declares what it needs of its subject before anything is loaded; what steering gives are continuations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, get_args

from saeprobe.claims import did_you_mean
from saeprobe.features import Keep
from saeprobe.files import visible
from saeprobe.prompts import Prompt, PromptChoice, PromptSet, check_prompts

Where = Literal["last", "all"]
Action = Literal["steer", "ablate", "clamp", "replace"]

_PLACES: Final[dict[Where, str]] = {"last": "last token", "all": "all tokens"}
_OF_A_TEXT: Final = "tokens of "

_UNREAD: Final = (
    "is declared here and read by pytest: let it stand at the top of the probe's own file, and write its name as an "
    "argument of the test, such as def test_more(styles)"
)


class Declaration:
    """A declaration is read by pytest; a probe that uses it directly has forgotten its argument and is helped."""

    if not TYPE_CHECKING:  # a type checker refuses both by itself

        def __getitem__(self, key: object) -> NoReturn:
            raise TypeError(f"a {type(self).__name__.lower()} {_UNREAD}")

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"a {type(self).__name__.lower()} has no {name!r}; it {_UNREAD}")


@dataclass(frozen=True, kw_only=True)
class Span:
    """Read the tokens that carry any character of the first occurrence of `text` in the prompt."""

    text: str


At = Where | Span


@dataclass(frozen=True, kw_only=True)
class Capture(Declaration):
    """A capture asks for feature activations on some prompts, at some tokens.

    `shift` and `raw` are for the instrument check: it reads so many blocks after the hook, and without chat template.
    """

    prompts: PromptSet | PromptChoice
    at: At
    keep: frozenset[Keep]
    shift: int = 0
    raw: bool = False

    @property
    def place(self) -> str:
        """Name the tokens that are read: `last token`, `all tokens` or `tokens of 'Golden Gate'`."""
        return f"{_OF_A_TEXT}{self.at.text!r}" if isinstance(self.at, Span) else _PLACES[self.at]

    @staticmethod
    def batches(prompts: Iterable[Prompt], *, at_most: int) -> list[tuple[str, ...]]:
        """Cut the prompts of a capture, in its subject's wording, into batches of texts: nothing else decides how.

        The prompts of a batch have one style. Captures often share whole styles, and so share batches.
        """
        styles: dict[str, list[str]] = {}
        for text, style in {prompt.text: prompt.style for prompt in prompts}.items():
            styles.setdefault(style, []).append(text)
        return [batch for _, texts in sorted(styles.items()) for batch in cut(texts, at_most)]


def places_apart(a: str, b: str) -> bool:
    """Say whether two places are so different that prompts read there cannot be compared.

    A text is read where prompts hold it, and prompts without it can only be read elsewhere: that is no mistake.
    """
    return a != b and not a.startswith(_OF_A_TEXT) and not b.startswith(_OF_A_TEXT)


def cut(texts: Iterable[str], at_most: int) -> list[tuple[str, ...]]:
    """Cut texts into batches, the shortest first."""
    ordered = sorted(set(texts), key=lambda text: (len(text), text))
    return [tuple(ordered[start : start + at_most]) for start in range(0, len(ordered), at_most)]


def capture(
    prompts: PromptSet | PromptChoice,
    *,
    at: Where = "last",
    span: str | None = None,
    keep: Keep | Sequence[Keep] = "features",
) -> Capture:
    """Declare a capture; at the top of a probe file it is a fixture under its own name and an entry in the plan.

    Args:
        prompts: what to read, or a choice of wordings from which the subject takes its own.
        at: `last` token of the prompt, or `all` tokens but those the SAE was not trained on (BOS).
        span: read the tokens that carry this text instead; every prompt must contain it.
        keep: what to keep of each token or prompt. `features` are kept too, but beside the `effective_rank` only where
            both are named: it is of the model's activations, and alone goes through no SAE.

    Raises:
        TypeError: the prompts are no set of prompts.
        ValueError: there is no such place or thing to keep, or the span is empty.
    """
    check_prompts(prompts)
    if at not in get_args(Where):
        near = did_you_mean(str(at), get_args(Where))
        raise ValueError(f"at is {at!r}{near}; wanted 'last' or 'all', or span='...' for the tokens of a text")
    if span is not None and not (isinstance(span, str) and span):  # pyright: ignore[reportUnnecessaryIsInstance] - as a caller may write it
        raise ValueError(f"span is {span!r}; give the text whose tokens are to be read, or leave it out")
    names: Any = (keep,) if isinstance(keep, str) or not hasattr(keep, "__iter__") else tuple(keep)
    for name in (one for one in names if one not in get_args(Keep)):
        near = did_you_mean(str(name), get_args(Keep))
        raise ValueError(f"keep names {name!r}{near}; wanted some of {', '.join(get_args(Keep))}")
    kept: frozenset[Keep] = frozenset(names if set(names) == {"effective_rank"} else (*names, "features"))
    return Capture(prompts=prompts, at=at if span is None else Span(text=span), keep=kept)


Arm = Literal["unsteered", "rebuilt", "steered", "random"]


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """A continuation is a text that a subject wrote after a prompt.

    `features` are those whose directions were added (none when unsteered). `log_prob`, its fluency, is the mean
    log-probability of its tokens under the unsteered model, in nats a token.
    """

    prompt: Prompt
    arm: Arm
    features: tuple[int, ...]
    strength: float
    sample: int
    text: str
    log_prob: float


@dataclass(frozen=True, kw_only=True, repr=False)
class Continuations:
    """A steering experiment holds continuations, and stands for one arm of it: the steered one, or that asked for."""

    subject: str
    items: tuple[Continuation, ...]
    arm: Arm = "steered"
    strength: float | None = None
    chosen_on: str = ""  # on what its features and strengths were chosen, in words
    action: Action = "steer"

    def __repr__(self) -> str:
        return visible(f"<Continuations of {self.subject}: {len(self.arm_items)}, {self.label}>")

    def at(self, strength: float) -> Continuations:
        """Return this arm at one strength; a KeyError says that it did not run there.

        Where something is added, 0 is the arm to which nothing is: the unsteered one, or the rebuilt one.
        """
        if strength == 0 and self.action in ("steer", "replace"):
            return self.rebuilt if self.action == "replace" else self.unsteered
        chosen = replace(self, strength=strength)
        if not chosen.arm_items:
            run = sorted({item.strength for item in self.items if item.arm == self.arm})
            raise KeyError(f"no {self.arm} continuations at strength {strength}; there are: {run}")
        return chosen

    @property
    def unsteered(self) -> Continuations:
        """Return the arm in which nothing was changed."""
        return replace(self, arm="unsteered", strength=None)

    @property
    def rebuilt(self) -> Continuations:
        """Return the arm of `replace` in which the SAE gave the stream back as it is, without its error."""
        return replace(self, arm="rebuilt", strength=None)

    @property
    def random_feature(self) -> Continuations:
        """Return the arms in which other features, drawn at random, were changed in the place of those chosen."""
        return replace(self, arm="random")

    @property
    def arm_items(self) -> tuple[Continuation, ...]:
        """Return the continuations of this arm."""
        return tuple(item for item in self.items if item.arm == self.arm and self.strength in (None, item.strength))

    @property
    def label(self) -> str:
        """Name the arm for reports, such as `steered at 12`, `random features at 12`, `clamped to 5` or `ablated`."""
        if self.arm in ("unsteered", "rebuilt"):
            return self.arm
        strengths = ", ".join(f"{strength:g}" for strength in sorted({item.strength for item in self.arm_items}))
        done, at = _DONE[self.action]
        of = "random features" if self.arm == "random" else ""
        done = " ".join(filter(None, (of, "" if of and self.action == "steer" else done)))
        return f"{done} {at} {strengths}" if at else done


_DONE: Final[Mapping[Action, tuple[str, str]]] = {
    "steer": ("steered", "at"),
    "ablate": ("ablated", ""),
    "clamp": ("clamped", "to"),
    "replace": ("replaced", "at"),
}

"""A probe declares what it needs of its subject before anything is loaded; what steering gives are continuations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, get_args

from saeprobe.claims import did_you_mean
from saeprobe.features import Keep
from saeprobe.files import visible
from saeprobe.prompts import Prompt, PromptChoice, PromptSet, check_prompts, stated_choice

Where = Literal["last", "all"]

_PLACES: Final[dict[Where, str]] = {"last": "last token", "all": "all tokens"}
_OF_A_TEXT: Final = "tokens of "
_ROWS_AT_ONCE: Final = 256  # continuations that are written at once, where a prompt does not have more by itself

_UNREAD: Final = (
    "is declared here and read by pytest: let it stand at the top of the probe's own file, and write its name as an "
    "argument of the test, such as def test_more(styles)"
)


class _Declaration:
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
class Capture(_Declaration):
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
        return [batch for _, texts in sorted(styles.items()) for batch in _cut(texts, at_most)]


def places_apart(a: str, b: str) -> bool:
    """Say whether two places are so different that prompts read there cannot be compared.

    A text is read where prompts hold it, and prompts without it can only be read elsewhere: that is no mistake.
    """
    return a != b and not a.startswith(_OF_A_TEXT) and not b.startswith(_OF_A_TEXT)


@dataclass(frozen=True, kw_only=True)
class Steering(_Declaration):
    """A steering asks for continuations of some prompts with `W_dec` directions added at the hook, and without.

    Every prompt is continued under the unsteered arm, under the chosen features at each strength, and under
    `random_features` other sets of as many features at the same strengths. `strength` is the length of what is added
    to the residual stream, in units of the decoder rows' norm (1 for a normalised SAE): x + strength * W_dec[i].
    For a set of features the directions are summed.
    """

    prompts: PromptSet | PromptChoice
    features: tuple[int, ...]
    strengths: tuple[float, ...]
    random_features: int
    random_samples: int
    n_samples: int
    max_new_tokens: int
    temperature: float
    seed: int
    chosen_on: str = field(default="", compare=False)  # it decides no continuation

    def samples(self, arm: str) -> int:
        """Count the continuations of a prompt under one arm; at temperature 0 all would be the same."""
        most = self.random_samples if arm == "random" else self.n_samples
        return 1 if self.temperature == 0 else min(most, self.n_samples)

    @property
    def rows(self) -> tuple[tuple[str, float, int], ...]:
        """List (arm, strength, number of the sample) of a prompt's continuations, in the order that they have."""
        steered = ["steered", *["random"] * self.random_features]
        arms = [("unsteered", 0.0), *((arm, strength) for strength in self.strengths for arm in steered)]
        return tuple((*arm, sample) for arm in arms for sample in range(self.samples(arm[0])))

    def batches(self, texts: Iterable[str]) -> list[tuple[str, ...]]:
        """Cut the texts of the whole experiment into batches, which depend on nothing else."""
        return _cut(texts, max(1, _ROWS_AT_ONCE // len(self.rows)))


def _cut(texts: Iterable[str], at_most: int) -> list[tuple[str, ...]]:
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


def steer(
    prompts: PromptSet | PromptChoice,
    *,
    feature: int | Sequence[int],
    strengths: Sequence[float],
    chosen_on: PromptSet | PromptChoice | str = "",
    random_features: int = 40,
    random_samples: int | None = None,
    n_samples: int = 4,
    max_new_tokens: int = 24,
    temperature: float = 0.7,
    seed: int = 0,
) -> Steering:
    """Declare a steering experiment; like a capture it is a fixture, planned and stored.

    Args:
        prompts: what the model continues.
        feature: one feature, or several whose directions are summed.
        strengths: multiples of `W_dec[feature]` to add at every position of prompt and continuation.
        chosen_on: the prompts on which feature and strengths were chosen, none of them judged on; or, where another
            chose them, the source: "SAE manual, section 4". Nothing is supported without it.
        random_features: random sets of as many features at equal norm, among which the chosen rank; 5 % takes 40.
        random_samples: continuations a prompt and random set, 2 unless `n_samples` is less; the rank is of so many.
        n_samples: continuations a prompt, unsteered and steered.
        max_new_tokens: tokens a continuation.
        temperature: of the sampling; 0 takes the likeliest token.
        seed: of the random features and of the sampling.

    Raises:
        TypeError: the prompts are no set of prompts, or the strengths are not several.
        ValueError: a number is none, out of range or stands twice, or a prompt is both chosen and judged on.
    """
    from saeprobe.digits import finite, several, whole

    check_prompts(prompts)
    chosen = stated_choice(chosen_on, prompts)
    if (listed := several(strengths)) is None:
        raise TypeError(f"strengths is {strengths!r}; wanted several numbers: strengths=[{strengths}]")
    number = "one feature number, or several different ones: feature=851 or feature=[851, 12]"
    features = tuple(whole("feature", one, least=0, wanted=number) for one in several(feature) or (feature,))
    if len(set(features)) != len(features):
        raise ValueError(f"feature is {feature!r}; wanted {number}")
    different = "different finite numbers, at least one not 0: strengths=[10, 20]"
    finites = (finite("one of strengths", one, wanted=different) for one in listed)
    wanted = tuple(strength for strength in finites if strength != 0)  # 0 is the unsteered arm, always run
    if not wanted or len(set(wanted)) != len(wanted):
        raise ValueError(f"strengths are {list(listed)}; wanted {different}")
    n_samples = whole("n_samples", n_samples)
    random_samples = min(2, n_samples) if random_samples is None else whole("random_samples", random_samples)
    if random_samples > n_samples:
        raise ValueError(f"random_samples is {random_samples}; wanted at most n_samples, {n_samples}: leave it out")
    return Steering(
        prompts=prompts,
        features=features,
        strengths=wanted,
        random_features=whole("random_features", random_features),
        random_samples=random_samples,
        n_samples=n_samples,
        max_new_tokens=whole("max_new_tokens", max_new_tokens),
        temperature=finite("temperature", temperature, least=0, wanted="a finite number, 0 or more, such as 0.7"),
        seed=whole("seed", seed, least=0, wanted="a whole number, 0 or more"),
        chosen_on=chosen,
    )


Arm = Literal["unsteered", "steered", "random"]


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

    def __repr__(self) -> str:
        return visible(f"<Continuations of {self.subject}: {len(self.arm_items)}, {self.label}>")

    def at(self, strength: float) -> Continuations:
        """Return this arm at one strength; 0 is the unsteered arm. A KeyError says that it did not run there."""
        if strength == 0:
            return self.unsteered
        chosen = replace(self, strength=strength)
        if not chosen.arm_items:
            run = sorted({item.strength for item in self.items if item.arm == self.arm})
            raise KeyError(f"no {self.arm} continuations at strength {strength}; there are: {run}")
        return chosen

    @property
    def unsteered(self) -> Continuations:
        """Return the arm to which nothing was added."""
        return replace(self, arm="unsteered", strength=None)

    @property
    def random_feature(self) -> Continuations:
        """Return the arms in which other features, drawn at random, were added at equal norm."""
        return replace(self, arm="random")

    @property
    def arm_items(self) -> tuple[Continuation, ...]:
        """Return the continuations of this arm."""
        return tuple(item for item in self.items if item.arm == self.arm and self.strength in (None, item.strength))

    @property
    def label(self) -> str:
        """Name the arm for reports: `steered at 12`, `random features at 12` or `unsteered`."""
        if self.arm == "unsteered":
            return "unsteered"
        strengths = (f"{strength:g}" for strength in sorted({item.strength for item in self.arm_items}))
        return f"{'steered' if self.arm == 'steered' else 'random features'} at {', '.join(strengths)}"

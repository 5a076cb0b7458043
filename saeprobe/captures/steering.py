"""A steering experiment is declared: which features are changed how, on what prompts, beside which random sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict, Unpack, cast

from saeprobe.captures import Action, Declaration, cut
from saeprobe.prompts import PromptChoice, PromptSet, check_prompts, stated_choice

_ROWS_AT_ONCE: Final = 256  # continuations that are written at once, where a prompt does not have more by itself


@dataclass(frozen=True, kw_only=True)
class Steering(Declaration):
    """A steering asks for continuations of some prompts with features changed at the hook, and without.

    Every prompt is continued under the unsteered arm, under the chosen features at each strength, and under
    `random_features` other sets of as many features at the same strengths. What a strength is the action says:

    - `steer`: x + strength * sum(weights * W_dec[features]), at every token. For a normalised SAE a strength of one
      feature is the length of what is added.
    - `ablate`: each feature is 0, x - f_i * W_dec[i]; there is one strength, 1.
    - `clamp`: each feature is the strength times its weight, x + (strength * weight - f_i) * W_dec[i].
    - `replace`: what `steer` adds, to decode(f) in the place of x: without the error term. A further arm, `rebuilt`, is
      decode(f) alone.

    All but `replace` keep the SAE's error term. Those that read f leave the tokens alone which the SAE was not trained
    on (BOS). Random sets have the weights of the chosen features, and where something is added its length too.
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
    action: Action = "steer"
    weights: tuple[float, ...] = ()  # one a feature; none where all are 1
    chosen_on: str = field(default="", compare=False)  # it decides no continuation

    def samples(self, arm: str) -> int:
        """Count the continuations of a prompt under one arm; at temperature 0 all would be the same."""
        most = self.random_samples if arm == "random" else self.n_samples
        return 1 if self.temperature == 0 else min(most, self.n_samples)

    @property
    def rows(self) -> tuple[tuple[str, float, int], ...]:
        """List (arm, strength, number of the sample) of a prompt's continuations, in the order that they have."""
        arms = [("unsteered", 0.0), *([("rebuilt", 0.0)] if self.action == "replace" else [])]
        steered = ["steered", *["random"] * self.random_features]
        arms += [(arm, strength) for strength in self.strengths for arm in steered]
        return tuple((*arm, sample) for arm in arms for sample in range(self.samples(arm[0])))

    def batches(self, texts: Iterable[str]) -> list[tuple[str, ...]]:
        """Cut the texts of the whole experiment into batches, which depend on nothing else."""
        return cut(texts, max(1, _ROWS_AT_ONCE // len(self.rows)))


class Sampling(TypedDict, total=False):
    """How an experiment is sampled, and what it is held against; `steer` says what each of these is."""

    chosen_on: PromptSet | PromptChoice | str
    random_features: int
    random_samples: int | None
    n_samples: int
    max_new_tokens: int
    temperature: float
    seed: int


Chosen = int | Sequence[int] | Mapping[int, float]
"""One feature, several, or several with a weight each."""


def steer(
    prompts: PromptSet | PromptChoice,
    *,
    feature: Chosen,
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
        feature: one feature, or several whose directions are summed; with weights their difference, for example:
            `{851: 1, 12: -1}`.
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
    number = "one feature number, or several different ones: feature=851, feature=[851, 12] or feature={851: 1, 12: -1}"
    features = tuple(whole("feature", one, least=0, wanted=number) for one in several(feature) or (feature,))
    if len(set(features)) != len(features):
        raise ValueError(f"feature is {feature!r}; wanted {number}")
    weights: tuple[float, ...] = ()
    if isinstance(feature, Mapping):
        given = (cast("Any", feature)[one] for one in feature)
        weights = tuple(finite("the weight of a feature", one, wanted="a finite number, not 0") for one in given)
    if 0 in weights:
        raise ValueError(f"feature is {feature!r}; leave a feature of weight 0 out")
    n_samples = whole("n_samples", n_samples)
    random_samples = min(2, n_samples) if random_samples is None else whole("random_samples", random_samples)
    if random_samples > n_samples:
        raise ValueError(f"random_samples is {random_samples}; wanted at most n_samples, {n_samples}: leave it out")
    return Steering(
        prompts=prompts,
        features=features,
        strengths=_not_zero(strengths),
        random_features=whole("random_features", random_features),
        random_samples=random_samples,
        n_samples=n_samples,
        max_new_tokens=whole("max_new_tokens", max_new_tokens),
        temperature=finite("temperature", temperature, least=0, wanted="a finite number, 0 or more, such as 0.7"),
        seed=whole("seed", seed, least=0, wanted="a whole number, 0 or more"),
        weights=() if set(weights) == {1.0} else weights,
        chosen_on=chosen,
    )


def ablate(
    prompts: PromptSet | PromptChoice, *, feature: int | Sequence[int], **sampling: Unpack[Sampling]
) -> Steering:
    """Declare an experiment in which features are set to 0 and the SAE's error is kept; else as `steer`.

    The random sets are ablated in their place. Raises as `steer`; a TypeError says that a feature is given a weight.
    """
    if isinstance(feature, Mapping):
        raise TypeError(f"feature is {feature!r}; an ablated feature has no weight: feature={list(feature)}")
    return dataclasses.replace(steer(prompts, feature=feature, strengths=[1], **sampling), action="ablate")


def clamp(
    prompts: PromptSet | PromptChoice, *, feature: Chosen, to: Sequence[float], **sampling: Unpack[Sampling]
) -> Steering:
    """Declare an experiment in which features have stated values, times their weights; else as `steer`.

    The SAE's error is kept, and clamping to 0 is ablating. The random sets are clamped to the same values. Raises as
    `steer`.
    """
    values = _strengths("to", to, "such as to=[0, 5]")
    steered = steer(prompts, feature=feature, strengths=[1], **sampling)
    return dataclasses.replace(steered, action="clamp", strengths=values)


def replace(
    prompts: PromptSet | PromptChoice, *, feature: Chosen, strengths: Sequence[float], **sampling: Unpack[Sampling]
) -> Steering:
    """Declare an experiment in which what the SAE gives back, its features raised, takes the place of the stream.

    The SAE's error is lost; what that alone does is the arm `rebuilt`, which is also that of strength 0. Else as
    `steer`, whose errors it raises.
    """
    return dataclasses.replace(steer(prompts, feature=feature, strengths=strengths, **sampling), action="replace")


def _not_zero(strengths: Sequence[float]) -> tuple[float, ...]:
    """Leave 0 out of strengths: an arm to which nothing is added always runs."""
    wanted = "at least one not 0: strengths=[10, 20]"
    if not (added := tuple(one for one in _strengths("strengths", strengths, wanted) if one != 0)):
        raise ValueError(f"strengths are {list(strengths)}; wanted different finite numbers, {wanted}")
    return added


def _strengths(name: str, given: Sequence[float], example: str) -> tuple[float, ...]:
    from saeprobe.digits import finite, several

    if (listed := several(given)) is None:
        raise TypeError(f"{name} is {given!r}; wanted several numbers: {name}=[{given}]")
    wanted = f"different finite numbers, {example}"
    if any(isinstance(one, float) and one == float("-inf") for one in listed):
        wanted += "; ablate(...) sets a feature to 0"
    numbers = tuple(finite(f"one of {name}", one, wanted=wanted) for one in listed)
    if not numbers or len(set(numbers)) != len(numbers):
        raise ValueError(f"{name} are {list(listed)}; wanted {wanted}")
    return numbers

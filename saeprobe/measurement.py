"""Measurements: one number a prompt, compared the way the sentence reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from saeprobe import comparison
from saeprobe.claims import Published
from saeprobe.evidence import Evidence, Sample, record
from saeprobe.prompts import Prompt
from saeprobe.threshold import NearThreshold


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Measurement:  # noqa: PLW1641 - `==` builds evidence, so nothing could be its hash
    """One value a prompt.

    Comparing two with `>` or `<` gives `Evidence`, true only when the sentence is supported under the controls in
    force. `==` takes an expectation made by `about`.

    Attributes:
        measure: what was measured, such as `l0`.
        label: of which prompts: the style, as a rule. Published values are looked up by it.
        unit: of the values.
        values: `[prompts]`, finite.
        prompts: the prompts, each with its topic and template.
        n_tokens: tokens the model saw of each prompt, `[prompts]`; None where a record does not tell.
        family: the same measure on the whole capture, or how to get it; the length control takes its slope from it.
        continuations: for a measure on continuations, a few of them for the reader: (prompt, text).
        near: how far features near their threshold may move the values; None where there is none, or nobody tells.
    """

    measure: str
    label: str
    unit: str
    values: Float[np.ndarray, " prompts"]
    prompts: tuple[Prompt, ...]
    n_tokens: Int[np.ndarray, " prompts"] | None = None
    family: Measurement | Callable[[], Measurement] | None = None
    continuations: tuple[tuple[str, str], ...] = ()
    near: NearThreshold | None = None

    def __post_init__(self) -> None:
        if len(self.values) != len(self.prompts):
            raise ValueError(f"{self.name}: {len(self.values)} values for {len(self.prompts)} prompts")
        if not len(self.values):
            raise ValueError(f"{self.name}: no prompt, so nothing was measured")
        if not np.isfinite(self.values).all():
            prompt = self.prompts[int(np.flatnonzero(~np.isfinite(self.values))[0])]
            raise ValueError(f"{self.name} is not finite on {prompt.text!r}; no verdict is given on NaN")

    @property
    def name(self) -> str:
        """`l0 of novice`."""
        return f"{self.measure} of {self.label}"

    def __repr__(self) -> str:
        return f"<{self.name}: mean {self.mean:.4g} {self.unit}, {len(self.values)} prompts>"

    @property
    def whole(self) -> Measurement:
        """The same measure on the whole capture."""
        if self.family is None:
            return self
        return self.family if isinstance(self.family, Measurement) else self.family()

    @property
    def sample(self) -> Sample:
        """What evidence keeps of it, with the interval of the mean."""
        return comparison.sample_of(self)

    @property
    def mean(self) -> float:
        """Mean over prompts, in `unit`."""
        return float(self.values.mean())

    def __getitem__(self, style: str) -> Measurement:
        """The prompts of one style.

        Raises:
            KeyError: no prompt has that style.
        """
        chosen = np.array([prompt.style == style for prompt in self.prompts])
        if not chosen.any():
            styles = dict.fromkeys(prompt.style for prompt in self.prompts)
            raise KeyError(f"no prompt of style {style!r}; there are: {', '.join(styles)}")
        return replace(
            self,
            label=style,
            values=self.values[chosen],
            prompts=tuple(prompt for prompt, keep in zip(self.prompts, chosen, strict=True) if keep),
            n_tokens=None if self.n_tokens is None else self.n_tokens[chosen],
            family=self.whole,
            near=None if self.near is None else self.near.chosen(chosen),
        )

    def __gt__(self, other: Quantity | Every | float) -> Evidence:
        return _greater(self, other)

    def __lt__(self, other: Quantity | Every | float) -> Evidence:
        return _greater(other, self)

    def __eq__(self, other: object) -> Evidence:  # pyright: ignore[reportIncompatibleMethodOverride] - as in pytest.approx
        return _about_equal(self, other)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Summary:  # noqa: PLW1641 - as for Measurement
    """A mean or a count that stands alone: recorded without the values behind it, or made over all prompts at once.

    `n` is the number of prompts, None where the record does not tell. `near_threshold` says what rounding decides.
    """

    measure: str
    label: str
    unit: str
    value: float
    n: int | None
    origin: str
    near_threshold: str | None = None

    @property
    def name(self) -> str:
        """`l0 of novice`."""
        return f"{self.measure} of {self.label}"

    def __repr__(self) -> str:
        return f"<{self.name}: {self.value:.4g} {self.unit}, summary>"

    @property
    def sample(self) -> Sample:
        """What evidence keeps of it."""
        return Sample(
            label=self.label,
            measure=self.measure,
            unit=self.unit,
            mean=self.value,
            n=self.n,
            near_threshold=self.near_threshold,
        )

    def __gt__(self, other: Quantity | Every | float) -> Evidence:
        return _greater(self, other)

    def __lt__(self, other: Quantity | Every | float) -> Evidence:
        return _greater(other, self)

    def __eq__(self, other: object) -> Evidence:  # pyright: ignore[reportIncompatibleMethodOverride] - as in pytest.approx
        return _about_equal(self, other)


Quantity = Measurement | Summary


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Every:
    """Several quantities of which each must fulfil the comparison."""

    quantities: tuple[Quantity, ...]

    def __repr__(self) -> str:
        return f"every({', '.join(each.name for each in self.quantities)})"

    def __gt__(self, other: Quantity | Every | float) -> Evidence:
        return _greater(self, other)

    def __lt__(self, other: Quantity | Every | float) -> Evidence:
        return _greater(other, self)


def every(quantities: Iterable[Quantity]) -> Every:
    """Let a comparison hold for each of several quantities, such as the L0 of all other styles."""
    these = tuple(quantities)
    if not these:
        raise ValueError("every() was given nothing; a statement about no prompts is not evidence")
    return Every(quantities=these)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class About:
    """An expectation: equal to `quantity` up to `margin`, in the unit of the measure."""

    quantity: Quantity
    margin: float

    def __repr__(self) -> str:
        return f"about({self.quantity!r}, margin={self.margin:g})"


def about(quantity: Quantity, *, margin: float | None = None, share: float | None = None) -> About:
    """Expect equality with `quantity` up to a margin set before measuring: two one-sided tests (Schuirmann 1987).

    Args:
        quantity: what to be equal to.
        margin: the largest difference that still counts as equal, in the unit of the measure.
        share: the same as a share of the mean of `quantity`, for subjects whose activations differ in scale.
    """
    if (margin is None) == (share is None):
        raise ValueError("about() takes either margin=..., in the unit of the measure, or share=..., such as 0.1")
    largest = margin if margin is not None else abs((share or 0.0) * quantity.sample.mean)
    if not largest > 0:
        raise ValueError(f"the margin is {largest}; wanted a positive difference in {quantity.unit}")
    return About(quantity=quantity, margin=largest)


def _greater(larger: Quantity | Every | float, smaller: Quantity | Every | float) -> Evidence:
    if isinstance(larger, Every):
        if isinstance(smaller, Every):
            raise TypeError("every(...) on both sides; write one comparison for each of the left side")
        return _every([(each, smaller) for each in larger.quantities])
    if isinstance(smaller, Every):
        return _every([(larger, each) for each in smaller.quantities])
    return record(_one_greater(larger, smaller))


def _one_greater(larger: Quantity | float, smaller: Quantity | float) -> Evidence:
    if isinstance(larger, Measurement) and isinstance(smaller, float | int):
        return comparison.beside_bound(larger, float(smaller), above=True)
    if isinstance(smaller, Measurement) and isinstance(larger, float | int):
        return comparison.beside_bound(smaller, float(larger), above=False)
    if isinstance(larger, float | int) or isinstance(smaller, float | int):
        raise TypeError("a bare summary cannot be tested against a number; it has no values behind it")
    _like_with_like(larger, smaller)
    if isinstance(larger, Measurement) and isinstance(smaller, Measurement):
        return comparison.greater(larger, smaller)
    return comparison.summaries("greater", f"{larger.name} > {smaller.name}", larger.sample, smaller.sample)


def _every(pairs: Sequence[tuple[Quantity | float, Quantity | float]]) -> Evidence:
    return record(comparison.every([_one_greater(larger, smaller) for larger, smaller in pairs]))


def _about_equal(quantity: Quantity, expected: object) -> Evidence:
    if isinstance(expected, Published) and isinstance(quantity, Measurement):
        return record(comparison.as_published(quantity, expected))
    if not isinstance(expected, About):
        raise TypeError(
            f"{quantity.name} == {type(expected).__name__}; equality needs a margin: == about(..., margin=...)"
        )
    other, margin = expected.quantity, expected.margin
    _like_with_like(quantity, other)
    if isinstance(quantity, Measurement) and isinstance(other, Measurement):
        return record(comparison.about_equal(quantity, other, margin=margin))
    statement = f"{quantity.name} = {other.name} ± {margin:g} {quantity.unit}"
    return record(comparison.summaries("about equal", statement, quantity.sample, other.sample))


def _like_with_like(a: Quantity, b: Quantity) -> None:
    if (a.measure, a.unit) != (b.measure, b.unit):
        raise TypeError(f"{a.name} ({a.unit}) cannot be compared with {b.name} ({b.unit}); compare like with like")

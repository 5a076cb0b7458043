"""Measurements: one number a prompt, compared the way the sentence reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from typing import Protocol, TypeGuard

import numpy as np
from jaxtyping import Float, Int

from saeprobe.claims import Control, Published
from saeprobe.comparison.alike import side_by_side
from saeprobe.comparison.equal import about_equal
from saeprobe.comparison.margin import Margin, margin_on
from saeprobe.comparison.reading import as_published
from saeprobe.comparison.sides import NUMBER, is_number, sample_of, summaries
from saeprobe.comparison.universal import always, always_recorded
from saeprobe.evidence.bounds import beside_bound
from saeprobe.evidence.evidence import Evidence, Sample, record
from saeprobe.evidence.greater import greater, greater_summaries
from saeprobe.evidence.printed import PrintedNumber, printed_equal, printed_greater, whole_of
from saeprobe.prompts import Prompt
from saeprobe.threshold import NearThreshold


class _Compared:  # noqa: PLW1641 - `==` builds evidence, so nothing could be its hash
    """What stands in a sentence: comparing it builds evidence and records it."""

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} says nothing by itself; compare it, as in: assert a > b")

    def __gt__(self, other: Side | Every) -> Evidence:
        return record(_each(self, other, is_greater))

    def __lt__(self, other: Side | Every) -> Evidence:
        return record(_each(other, self, is_greater))

    def __eq__(self, other: object) -> Evidence:  # pyright: ignore[reportIncompatibleMethodOverride] - as in pytest.approx
        return record(_each(self, other, _equal))

    def __ne__(self, other: object) -> bool:
        raise TypeError(
            f"{self!r} != {other!r}; say which one is larger: a > b, or that they agree: a == about(b, ...)"
        )

    def __ge__(self, other: object) -> bool:
        raise TypeError(f"{self!r} >= {other!r}; no test tells the two signs apart: write >")

    def __le__(self, other: object) -> bool:
        raise TypeError(f"{self!r} <= {other!r}; no test tells the two signs apart: write <")

    def __sub__(self, other: object) -> Evidence:
        raise TypeError(f"{self!r} - {other!r}; a margin is put on the smaller side: a > b + 5, or a > 1.1 * b")

    __rsub__ = __sub__


class Under(Protocol):
    """Measures again what a control reads."""

    def __call__(self, control: Control, draw: int = 0, /) -> Measurement:
        """Under a control and, where it is random, the draw of that number."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Measurement(_Compared):
    """One value a prompt.

    Comparing two with `>` or `<` gives `Evidence`, true only when the sentence is supported under the controls in
    force; the smaller side may carry a margin, as in `1.1 * l0(b) + 5`. `==` takes an expectation made by `about`, or
    1 or 0 for a rate.

    Attributes:
        measure: what was measured, such as `l0`.
        label: of which prompts: the style, as a rule. Published values are looked up by it.
        unit: of the values.
        values: `[prompts]`, finite.
        prompts: the prompts, each with its topic and template.
        n_tokens: tokens the model saw of each prompt, `[prompts]`; None where a record does not tell.
        place: the tokens that were read of each prompt, such as `last token`; empty where the measure is of the whole
            prompt, or a record does not tell.
        family: the same measure on the whole capture, or how to get it; the length control takes its slope from it.
        continuations: for a measure on continuations, a few of them for the reader: (prompt, text).
        near: how far features near their threshold may move the values; None where there is none, or nobody tells.
        under: the same measure under a control that reads something else (`injection`, and of `random-model` and
            `random-sae` the draw of a number), for the same styles; raises `NotRun` where that was not read. None for
            a record.
        words: by style, the words of its own that its prompts say, where that is known.
    """

    measure: str
    label: str
    unit: str
    values: Float[np.ndarray, " prompts"]
    prompts: tuple[Prompt, ...]
    n_tokens: Int[np.ndarray, " prompts"] | None = None
    place: str = ""
    family: Measurement | Callable[[], Measurement] | None = None
    continuations: tuple[tuple[str, str], ...] = ()
    near: NearThreshold | None = None
    under: Under | None = None
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

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
        return sample_of(self)

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
            under=None if self.under is None else partial(_of_style, self.under, style),
        )

    def __add__(self, plus: float) -> Margin:
        return margin_on(self, plus=plus) if is_number(plus) else NotImplemented

    def __mul__(self, times: float) -> Margin:
        return margin_on(self, times=times) if is_number(times) else NotImplemented

    __radd__, __rmul__ = __add__, __mul__


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Summary(_Compared):
    """A mean or a count that stands alone: recorded without the values behind it, or made over all prompts at once.

    `n` is the number of prompts, None where the record does not tell. `place` names the tokens read, `near_threshold`
    says what rounding decides.
    """

    measure: str
    label: str
    unit: str
    value: float
    n: int | None
    origin: str
    place: str = ""
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
            place=self.place,
            near_threshold=self.near_threshold,
        )

    def __add__(self, plus: float) -> Margin:
        return margin_on(self, plus=plus) if is_number(plus) else NotImplemented

    def __mul__(self, times: float) -> Margin:
        return margin_on(self, times=times) if is_number(times) else NotImplemented

    __radd__, __rmul__ = __add__, __mul__


Quantity = Measurement | Summary


Side = Quantity | Margin | PrintedNumber | float
"""What may stand beside `>`."""


def _of_style(under: Under, style: str, control: Control, draw: int = 0) -> Measurement:
    return under(control, draw)[style]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Every(_Compared):
    """Several quantities of which each must fulfil the comparison."""

    quantities: tuple[Quantity | Margin | PrintedNumber, ...]

    def __repr__(self) -> str:
        return f"every({', '.join(each.name for each in self.quantities)})"


def every(quantities: Iterable[Quantity | Margin | PrintedNumber], *more: object) -> Every:
    """Let a comparison hold for each of several quantities, such as the L0 of all other styles.

    Raises:
        TypeError: they are given one by one.
        ValueError: there is none.
    """
    if more or isinstance(quantities, _Compared):
        raise TypeError("every() takes its quantities in one list: every([l0(a), l0(b)]) < 5")
    these = tuple(quantities)
    if not these:
        raise ValueError("every() was given nothing; a statement about no prompts is not evidence")
    return Every(quantities=these)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class About:  # noqa: PLW1641 - as for what it stands beside
    """An expectation: equal to `quantity` up to `margin`, in the unit of the measure."""

    quantity: Quantity | PrintedNumber
    margin: float

    def __repr__(self) -> str:
        return f"about({self.quantity!r}, margin={self.margin:g})"

    def __eq__(self, other: object) -> Evidence:  # pyright: ignore[reportIncompatibleMethodOverride] - as in pytest.approx
        return record(_each(other, self, _equal))


def about(quantity: Quantity | PrintedNumber, *, margin: float | None = None, share: float | None = None) -> About:
    """Expect equality with `quantity` up to a margin set before measuring: two one-sided tests (Schuirmann 1987).

    Args:
        quantity: what to be equal to.
        margin: the largest difference that still counts as equal, in the unit of the measure.
        share: the same as a share of the mean of `quantity`, for subjects whose activations differ in scale.
    """
    if not isinstance(quantity, Measurement | Summary | PrintedNumber):  # pyright: ignore[reportUnnecessaryIsInstance] - as a reader may write it
        named = quantity.name if isinstance(quantity, Margin) else repr(quantity)
        raise TypeError(
            f"about({named}); wanted a measurement, and its margin as margin=... or share=...; beside a number stand "
            "two bounds: a > 13 and a < 17"
        )
    if (margin is None) == (share is None):
        raise ValueError("about() takes either margin=..., in the unit of the measure, or share=..., such as 0.1")
    largest = margin if margin is not None else abs((share or 0.0) * quantity.sample.mean)
    if not 0 < largest < inf:
        raise ValueError(f"the margin is {largest}; wanted a positive difference in {quantity.unit}")
    return About(quantity=quantity, margin=largest)


def _each(left: object, right: object, compare: Callable[[object, object], Evidence]) -> Evidence:
    """A comparison of two, or of each of `every(...)` with the other."""
    if isinstance(left, Every):
        if isinstance(right, Every):
            raise TypeError("every(...) on both sides; write one comparison for each of the left side")
        return whole_of([compare(each, right) for each in left.quantities])
    if isinstance(right, Every):
        return whole_of([compare(left, each) for each in right.quantities])
    return compare(left, right)


def is_greater(larger: object, smaller: object) -> Evidence:
    """Evidence on `larger > smaller` that is not recorded: a part of a larger sentence.

    Raises:
        TypeError: the two cannot be compared, or a margin stands on the larger side.
    """
    if not (_is_side(larger) and _is_side(smaller)):
        raise TypeError(f"{larger!r} > {smaller!r}; a measurement is compared with another, or with a number")
    if isinstance(larger, Margin):
        raise TypeError(
            f"{larger.name} on the larger side; a margin belongs on the smaller: {_turned(larger, smaller)}"
        )
    if isinstance(larger, NUMBER):
        return _beside_number(smaller, float(larger), above=False)
    if isinstance(smaller, NUMBER):
        return _beside_number(larger, float(smaller), above=True)
    if isinstance(larger, PrintedNumber) and isinstance(smaller, PrintedNumber):
        return printed_greater(larger, smaller)
    if isinstance(larger, PrintedNumber) or isinstance(smaller, PrintedNumber) or not _alike(larger, smaller):
        raise _unlike(larger, smaller)
    margin, below = (smaller, smaller.of) if isinstance(smaller, Margin) else (None, smaller)
    if isinstance(larger, Measurement) and isinstance(below, Measurement):
        above, below = side_by_side(larger, below)
        return greater(above, below, None if margin is None else replace(margin, of=below))
    return greater_summaries(larger.sample, below.sample, f"{larger.name} > {smaller.name}", margin)


def _turned(larger: Margin, smaller: Side) -> str:
    """What to write in the place of `larger > smaller`: `a > 1.25 * b` for `b < 0.8 * a`."""
    if larger.plus or isinstance(smaller, NUMBER):
        return "a > 1.1 * b + 5"
    return f"{larger.of.name} > {1 / larger.times:.4g} * {smaller.name}"


def _is_side(value: object) -> TypeGuard[Side]:
    return isinstance(value, Measurement | Summary | Margin | PrintedNumber) or is_number(value)


def _beside_number(of: Side, number: float, *, above: bool) -> Evidence:
    if isinstance(of, Measurement):
        return beside_bound(of, number, above=above)
    if isinstance(of, PrintedNumber):
        return printed_greater(of, number) if above else printed_greater(number, of)
    what = "a bare summary" if isinstance(of, Summary) else repr(of)
    raise TypeError(f"{what} cannot be tested against a number; it has no values behind it")


def _equal(quantity: object, expected: object) -> Evidence:
    if isinstance(quantity, Measurement) and isinstance(expected, Published):
        return as_published(quantity, expected)
    if isinstance(quantity, Measurement | Summary) and is_number(expected) and expected in (0, 1):
        wanted = 1 if expected else 0
        if isinstance(quantity, Measurement):
            return always(quantity, wanted)
        return always_recorded(quantity.sample, quantity.name, wanted)
    if isinstance(quantity, PrintedNumber) and is_number(expected):
        return printed_equal(quantity, expected, margin=0.0)
    named = quantity.name if isinstance(quantity, Measurement | Summary | PrintedNumber | Margin) else repr(quantity)
    if not isinstance(expected, About):
        raise TypeError(f"{named} == {type(expected).__name__}; equality needs a margin: == about(..., margin=...)")
    other, margin = expected.quantity, expected.margin
    if isinstance(quantity, PrintedNumber) and isinstance(other, PrintedNumber):
        return printed_equal(quantity, other, margin=margin)
    if not isinstance(quantity, Measurement | Summary):
        raise TypeError(f"{named} == about({other.name}); compare like with like")
    if isinstance(other, PrintedNumber) or not _alike(quantity, other):
        raise _unlike(quantity, other)
    if isinstance(quantity, Measurement) and isinstance(other, Measurement):
        return about_equal(*side_by_side(quantity, other), margin=margin)
    statement = f"{quantity.name} = {other.name} ± {margin:g} {quantity.unit}"
    return replace(summaries("about equal", statement, quantity.sample, other.sample), margin=margin)


def _alike(a: Quantity, b: Quantity | Margin) -> bool:
    return (a.measure, a.unit) == (b.measure, b.unit)


def _unlike(a: Quantity | PrintedNumber, b: Quantity | PrintedNumber | Margin) -> TypeError:
    return TypeError(f"{a.name} ({a.unit}) cannot be compared with {b.name} ({b.unit}); compare like with like")

"""Measurements: one number a prompt, compared the way the sentence reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from math import isfinite
from typing import Protocol, TypeGuard

import numpy as np
from jaxtyping import Float, Int

from saeprobe.claims import Control
from saeprobe.evidence.evidence import Evidence, Sample
from saeprobe.features.sparse import NearThreshold
from saeprobe.prompts import Prompt


class _Compared:  # noqa: PLW1641 - `==` builds evidence, so nothing could be its hash
    """What stands in a sentence: comparing it builds evidence and records it."""

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} says nothing by itself; compare it, as in: assert a > b")

    def __gt__(self, other: Side | Every) -> Evidence:
        from saeprobe.evidence.compare import greater_than

        return greater_than(self, other)

    def __lt__(self, other: Side | Every) -> Evidence:
        from saeprobe.evidence.compare import greater_than

        return greater_than(other, self)

    def __eq__(self, other: object) -> Evidence:  # pyright: ignore[reportIncompatibleMethodOverride] - as in pytest.approx
        from saeprobe.evidence.compare import equal_to

        return equal_to(self, other)

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
        from saeprobe.evidence.units import sample_of

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


def _of_style(under: Under, style: str, control: Control, draw: int = 0) -> Measurement:
    return under(control, draw)[style]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Margin:
    """`times` a quantity `plus` a number in its unit: what the other side of `>` has to exceed.

    Written as `1.1 * l0(b) + 5`, and only on the smaller side of a comparison.
    """

    of: Measurement | Summary
    times: float = 1.0
    plus: float = 0.0

    def __post_init__(self) -> None:
        if not (isfinite(self.times) and self.times > 0):
            raise ValueError(f"{self.times:g} x {self.of.name}; wanted a factor above zero, such as 1.1")
        if not (isfinite(self.plus) and self.plus >= 0):
            raise ValueError(f"{self.of.name} + {self.plus:g}; wanted a margin above zero in {self.of.unit}")

    @property
    def name(self) -> str:
        """`1.1 x l0 of expert + 5 features`."""
        factor = "" if self.times == 1 else f"{self.times:g} x "
        return f"{factor}{self.of.name}" + (f" + {self.plus:g} {self.of.unit}" if self.plus else "")

    @property
    def label(self) -> str:
        """The label of what it is a margin on."""
        return self.of.label

    @property
    def measure(self) -> str:
        """The measure of what it is a margin on."""
        return self.of.measure

    @property
    def unit(self) -> str:
        """The unit of what it is a margin on."""
        return self.of.unit

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def __add__(self, plus: float) -> Margin:
        if self.plus:
            raise TypeError(f"{self.name} + {plus:g}; add one number, their sum")
        return margin_on(self.of, times=self.times, plus=plus)

    __radd__ = __add__

    def __mul__(self, times: float) -> Margin:
        raise TypeError(f"{times:g} x ({self.name}); multiply the measurement once, before anything is added to it")

    __rmul__ = __mul__

    def over(self, mean: float) -> float:
        """The difference that is asked for where the smaller side's mean is `mean`, in `unit`."""
        return self.times * mean + self.plus - mean


def margin_on(of: Measurement | Summary, *, times: float = 1.0, plus: float | None = None) -> Margin:
    """A margin as it is written beside a quantity.

    Raises:
        ValueError: the factor or the number is not above zero.
    """
    if plus is not None and not plus > 0:
        raise ValueError(f"{of.name} + {plus:g}; wanted a margin above zero in {of.unit}")
    return Margin(of=of, times=float(times), plus=float(plus or 0.0))


def raised(of: Measurement, margin: Margin) -> Measurement:
    """`of` with every value raised by the margin: what the other side is tested against."""
    return replace(of, values=margin.times * of.values + margin.plus)


NUMBER = (float, int, np.integer, np.floating)
"""Plain numbers, those of numpy too."""


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a plain number."""
    return isinstance(value, NUMBER)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PrintedNumber:  # noqa: PLW1641 - `==` builds evidence, so nothing could be its hash
    """One number as it is printed: `printed` holds its digits, whose last one bounds what it was rounded from."""

    label: str
    printed: str
    unit: str
    n: int | None
    source: str

    @property
    def measure(self) -> str:
        """Where it is printed; numbers of one table alone are compared."""
        return f"number printed in {self.source}"

    @property
    def name(self) -> str:
        """`novice in SAE Inspect, table 1`."""
        return f"{self.label} in {self.source}"

    @property
    def value(self) -> Decimal:
        """The number, exact."""
        return Decimal(self.printed)

    @property
    def rounding(self) -> Decimal:
        """Half a unit of its last printed decimal."""
        return Decimal(5).scaleb(-len(self.printed.partition(".")[2]) - 1)

    @property
    def sample(self) -> Sample:
        """What evidence keeps of it."""
        return Sample(label=self.label, measure=self.measure, unit=self.unit, mean=float(self.value), n=self.n)

    def __repr__(self) -> str:
        return f"<{self.label} = {self.printed} {self.unit} in {self.source}>"

    def __gt__(self, other: PrintedNumber | float) -> Evidence:
        from saeprobe.evidence.compare import greater_than

        return greater_than(self, other) if _comparable(other) else NotImplemented

    def __lt__(self, other: PrintedNumber | float) -> Evidence:
        from saeprobe.evidence.compare import greater_than

        return greater_than(other, self) if _comparable(other) else NotImplemented

    def __eq__(self, other: object) -> Evidence:  # pyright: ignore[reportIncompatibleMethodOverride] - as for Measurement
        if is_number(other):
            from saeprobe.evidence.compare import equal_to

            return equal_to(self, float(other))
        if isinstance(other, PrintedNumber):
            raise TypeError(f"{self.name} == {other.name}; equality needs a margin: == about(..., margin=...)")
        return NotImplemented  # about(...) of another one takes it from there


def _comparable(other: object) -> TypeGuard[PrintedNumber | float]:
    return isinstance(other, PrintedNumber) or is_number(other)


Quantity = Measurement | Summary


Side = Quantity | Margin | PrintedNumber | float
"""What may stand beside `>`."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Every(_Compared):
    """Several quantities of which each must fulfil the comparison."""

    quantities: tuple[Quantity | Margin | PrintedNumber, ...]

    def __repr__(self) -> str:
        return f"every({', '.join(each.name for each in self.quantities)})"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class About:  # noqa: PLW1641 - as for what it stands beside
    """An expectation: equal to `quantity` up to `margin`, in the unit of the measure."""

    quantity: Quantity | PrintedNumber
    margin: float

    def __repr__(self) -> str:
        return f"about({self.quantity!r}, margin={self.margin:g})"

    def __eq__(self, other: object) -> Evidence:  # pyright: ignore[reportIncompatibleMethodOverride] - as in pytest.approx
        from saeprobe.evidence.compare import equal_to

        return equal_to(other, self)

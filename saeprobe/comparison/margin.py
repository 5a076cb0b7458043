"""Margins: the least by which one quantity has to lie above another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement, Summary


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

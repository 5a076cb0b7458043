"""A measurement holds one number a prompt; a probe compares it the way its sentence reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import inf
from typing import NoReturn, TypeGuard

import numpy as np

from saeprobe.captures import Continuations
from saeprobe.claims import Control
from saeprobe.evidence import Evidence
from saeprobe.evidence.near import NearThreshold
from saeprobe.features import RecordedRun
from saeprobe.files import visible
from saeprobe.prompts import no_style
from saeprobe.prompts.prompt import Prompt
from saeprobe.shapes import Float, Int


def _misplaced(of: object, by: object) -> NoReturn:
    asked = "a > b + 5, or a > 1.1 * b; that of two printed numbers on their ratio: ratio(a, b) > 1.1"
    raise TypeError(f"{of!r} with {by!r}; a margin is put on the smaller side: {asked}")


class Comparable:  # noqa: PLW1641 - `==` builds evidence, so nothing could be its hash
    """Comparing it builds evidence and records it; the operators hand both sides to `saeprobe.evidence.compare`."""

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
        raise TypeError(f"{self!r} != {other!r}; say which is larger: a > b, or that they agree: a == about(b, ...)")

    def __ge__(self, other: object) -> bool:
        raise TypeError(f"{self!r} and {other!r}: no test can tell >= from >, or <= from <; write > or <")

    __le__ = __ge__
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _misplaced


def _plus(of: Quantity, plus: object) -> Margin:
    return Margin(of=of, plus=_above_zero(of, plus, f"a margin above zero in {of.unit}"))


def _times(of: Quantity, times: object) -> Margin:
    return Margin(of=of, times=_above_zero(of, times, "a factor above zero, such as 1.1"))


def _above_zero(of: Quantity, by: object, wanted: str) -> float:
    if not is_number(by):
        _misplaced(of, by)
    if not 0 < by < inf:
        raise ValueError(f"{of.name} with {by:g}; wanted {wanted}")
    return float(by)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class _Measured(Comparable):
    """What was measured has a measure, the label of its prompts and a unit, and `features` if it is of single ones."""

    measure: str
    label: str
    unit: str
    features: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Name it as `l0 of novice`."""
        return f"{self.measure} of {self.label}"

    __add__ = __radd__ = _plus
    __mul__ = __rmul__ = _times


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Measurement(_Measured):
    """A measurement holds one value a prompt.

    Comparing two by `>` or `<` gives `Evidence`, true only when the sentence is supported under the controls in force;
    the smaller side may have a margin: `1.1 * l0(b) + 5`. `==` takes what `about` made, or for a rate 1 or 0.

    Attributes:
        label: of which prompts: the style, as a rule. Published values are looked up by it.
        values: one of each of the `prompts`, in `unit`, finite.
        n_tokens: tokens the model saw of each prompt, `[prompts]`; None where a record does not say.
        place: the tokens that were read of each prompt, such as `last token`; empty for the whole prompt, or unknown.
        continuations: for a measure on continuations, a few of them for the reader: (prompt, text).
        continued: the arm of a steering experiment whose continuations were measured; `again` measures another arm.
        near: how far features near their threshold may move the values; None where there is none, or it is unknown.
        under: measures the same as a control and a draw of it read it, or raises `NotRun`; None for a record.
        words: by style, the words of its own that its prompts say, where that is known.
        run: of which run it is recorded; None where a model was run.
    """

    values: Float[np.ndarray, " prompts"]
    prompts: tuple[Prompt, ...]
    n_tokens: Int[np.ndarray, " prompts"] | None = None
    place: str = ""
    continuations: tuple[tuple[str, str], ...] = ()
    continued: Continuations | None = None
    again: Callable[[Continuations], Measurement] | None = None
    near: NearThreshold | None = None
    under: Callable[[Control, int], Measurement] | None = None
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    run: RecordedRun | None = None

    def __post_init__(self) -> None:
        if len(self.values) != len(self.prompts):
            raise ValueError(f"{self.name}: {len(self.values)} values for {len(self.prompts)} prompts")
        if not len(self.values):
            raise ValueError(f"{self.name}: no prompt, so nothing was measured")
        if not np.isfinite(self.values).all():
            prompt = self.prompts[int(np.flatnonzero(~np.isfinite(self.values))[0])]
            raise ValueError(f"{self.name} is not finite on {prompt.text!r}; no verdict is given on NaN")

    def __repr__(self) -> str:
        return visible(f"<{self.name}: mean {self.mean:.4g} {self.unit}, {len(self.values)} prompts>")

    @property
    def mean(self) -> float:
        """Take the mean over prompts, in `unit`."""
        return float(self.values.mean())

    def select(self, chosen: np.ndarray) -> Measurement:
        """Keep the prompts that are chosen, a bool each."""
        return replace(
            self,
            values=self.values[chosen],
            prompts=tuple(prompt for prompt, keep in zip(self.prompts, chosen, strict=True) if keep),
            n_tokens=None if self.n_tokens is None else self.n_tokens[chosen],
            near=None if self.near is None else self.near.chosen(chosen),
        )

    def __getitem__(self, style: str) -> Measurement:
        """Return the prompts of one style; a KeyError, or of a record NotRun, names the styles that there are."""
        chosen = np.array([prompt.style == style for prompt in self.prompts])
        if not chosen.any():
            raise no_style(style, (prompt.style for prompt in self.prompts), self.run.origin if self.run else "")
        of = self.under
        under: Callable[[Control, int], Measurement] | None = (
            None if of is None else lambda control, draw: of(control, draw)[style]
        )
        return replace(self.select(chosen), label=style, under=under)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Summary(_Measured):
    """A summary is a mean or a count without the values behind it: recorded so, or made over all prompts at once.

    `n` is None where the number of prompts is not recorded; the other fields are those of `Sample`.
    """

    value: float
    n: int | None
    origin: str
    place: str = ""
    near_threshold: str | None = None
    reach: tuple[float, float] | None = None
    run: RecordedRun | None = None

    def __repr__(self) -> str:
        return visible(f"<{self.name}: {self.value:.4g} {self.unit}, summary>")


Quantity = Measurement | Summary


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Margin:
    """A margin is `times` a quantity `plus` a number in its unit, which the other side of `>` has to exceed."""

    of: Quantity
    times: float = 1.0
    plus: float = 0.0

    @property
    def name(self) -> str:
        """Name it as `1.1 x l0 of expert + 5 features`."""
        factor = "" if self.times == 1 else f"{self.times:g} x "
        return f"{factor}{self.of.name}" + (f" + {self.plus:g} {self.of.unit}" if self.plus else "")

    def __repr__(self) -> str:
        return visible(f"<{self.name}>")

    def __add__(self, plus: object) -> Margin:
        if self.plus:
            raise TypeError(f"{self.name} + {plus!r}; add one number, their sum")
        return replace(_plus(self.of, plus), times=self.times)

    __radd__ = __add__

    def __mul__(self, times: object) -> Margin:
        raise TypeError(f"{times!r} x ({self.name}); multiply the measurement once, before anything is added to it")

    __rmul__ = __mul__

    def over(self, mean: float) -> float:
        """Return the difference that is asked for where the smaller side's mean is `mean`, in `unit`."""
        return self.times * mean + self.plus - mean


def by_feature(*these: Quantity | PrintedNumber) -> tuple[Quantity | PrintedNumber, ...]:
    """Name activations of several features by these, so that they can be compared; return all else as it is."""
    measures = {one.measure for one in these}
    if len(measures) == 1 or not all(one.startswith("activation of feature ") for one in measures):
        return these
    return tuple(replace(one, measure="activation", label=one.name.removeprefix("activation of ")) for one in these)


NUMBER = (float, int, np.integer, np.floating)  # plain numbers, those of numpy too


def is_number(value: object) -> TypeGuard[float]:
    """Decide whether a value is a plain number; True and False are none."""
    return isinstance(value, NUMBER) and not isinstance(value, bool)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PrintedNumber(Comparable):
    """A printed number has the digits `printed`, and was rounded from a number `between` two others."""

    label: str
    printed: str
    unit: str
    n: int | None
    source: str
    between: tuple[Decimal, Decimal]

    @property
    def measure(self) -> str:
        """Say where it is printed; only numbers of one table are compared."""
        return f"number printed in {self.source}"

    @property
    def name(self) -> str:
        """Name it as `novice in SAE Inspect, table 1`."""
        return f"{self.label} in {self.source}"

    @property
    def value(self) -> Decimal:
        """Give the number, exact."""
        return Decimal(self.printed)

    def __repr__(self) -> str:
        return visible(f"<{self.label} = {self.printed} {self.unit} in {self.source}>")


Side = Quantity | Margin | PrintedNumber | float  # what may stand on one side of `>`


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Every(Comparable):
    """Each of several quantities must fulfil the comparison."""

    quantities: tuple[Quantity | Margin | PrintedNumber, ...]

    def __repr__(self) -> str:
        return visible(f"every({', '.join(each.name for each in self.quantities)})")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class About:  # noqa: PLW1641 - `==` builds evidence, so nothing could be its hash
    """Something is expected to equal `quantity` up to `margin`, in the unit of the measure, or a `share` of it."""

    quantity: Quantity | PrintedNumber
    margin: float
    share: float | None = None

    def __repr__(self) -> str:
        return visible(f"about({self.quantity!r}, margin={self.margin:g})")

    def __eq__(self, other: object) -> Evidence:  # pyright: ignore[reportIncompatibleMethodOverride] - as in pytest.approx
        from saeprobe.evidence.compare import equal_to

        return equal_to(other, self)

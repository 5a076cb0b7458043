"""Claims: a published sentence, where it stands, and the numbers printed beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Literal, TypeVar

Control = Literal["length"]
"""A rival explanation that a claim asks to be ruled out; `length`: the number of tokens in the prompt."""

KnownVerdict = Literal["drifted", "refuted", "inconclusive"]

_ID = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
_Probe = TypeVar("_Probe", bound=Callable[..., object])


@dataclass(frozen=True, kw_only=True)
class Published:
    """Numbers printed in a source, by the label of the measurement that repeats them.

    `values` maps a label (the prompt style, as a rule) to the printed number in `unit`; `n` is the number of prompts
    behind it. `tolerance` is the distance, in `unit`, at which a re-measured value still agrees; None derives it from
    the printed precision and the sampling error of the new measurement.
    """

    values: Mapping[str, float]
    printed: Mapping[str, str]
    unit: str
    n: int | None = None
    tolerance: float | None = None

    def rounding(self, label: str) -> float:
        """Half a unit of the last printed decimal of the value under `label`."""
        return 0.5 * 10.0 ** -len(self.printed[label].partition(".")[2])


def published(*, unit: str, n: int | None = None, tolerance: float | None = None, **values: float | str) -> Published:
    """State the numbers that a source prints: `published(novice=132.4, expert=113.1, unit="features", n=50)`.

    A number whose last decimal is a zero is written as text, `spaces="4.80"`: its precision is part of what is printed.
    """
    if not values:
        raise ValueError("published() names no value; write published(novice=132.4, unit='features')")
    if tolerance is not None and tolerance <= 0:
        raise ValueError(f"tolerance is {tolerance}; wanted a positive distance in {unit}")
    printed = {label: _as_printed(value) for label, value in values.items()}
    numbers = {label: float(text) for label, text in printed.items()}
    return Published(values=numbers, printed=printed, unit=unit, n=n, tolerance=tolerance)


def _as_printed(value: float | str) -> str:
    """The digits of a printed number; a Python number shows none that are not significant."""
    try:
        digits = format(Decimal(value if isinstance(value, str) else repr(value)), "f")  # repr alone writes 1e-05
    except InvalidOperation:
        raise ValueError(
            f"published value {value!r} is no number; write it as printed, such as 132.4 or '4.80'"
        ) from None
    return digits.removesuffix(".0") if not isinstance(value, str) else digits


@dataclass(frozen=True, kw_only=True)
class NonReproduction:
    """A verdict other than `supported` that is known, and why; it passes as long as it stays so."""

    verdict: KnownVerdict
    reason: str


def refuted(reason: str) -> NonReproduction:
    """Declare that the claim is known to be refuted on a subject, with the reason."""
    return NonReproduction(verdict="refuted", reason=reason)


def inconclusive(reason: str) -> NonReproduction:
    """Declare that the claim is known to be inconclusive on a subject, with the reason."""
    return NonReproduction(verdict="inconclusive", reason=reason)


def drifted(reason: str) -> NonReproduction:
    """Declare that the claim's number is known to have moved on a subject, with the reason."""
    return NonReproduction(verdict="drifted", reason=reason)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One published sentence. `published` and `not_reproduced` are keyed by subject name."""

    sentence: str
    id: str
    source: str
    published: Mapping[str, Published] = field(default_factory=dict[str, Published])
    controls: tuple[Control, ...] = ()
    not_reproduced: Mapping[str, NonReproduction] = field(default_factory=dict[str, NonReproduction])

    def __post_init__(self) -> None:
        if not self.sentence.strip():
            raise ValueError(f"claim {self.id!r} has an empty sentence; write the sentence as published")
        if not _ID.fullmatch(self.id):
            raise ValueError(
                f"claim id {self.id!r} is not like 'day1.novice-most': lower case, digits, dots and dashes"
            )
        for control in self.controls:
            if control != "length":
                raise ValueError(f"claim {self.id!r} asks for the control {control!r}; there is: 'length'")


def claim(
    sentence: str,
    *,
    id: str,
    source: str,
    published: Mapping[str, Published] | None = None,
    controls: tuple[Control, ...] = (),
    not_reproduced: Mapping[str, NonReproduction] | None = None,
) -> Callable[[_Probe], _Probe]:
    """Tie a test function to the sentence that it decides; the function becomes a probe.

    Args:
        sentence: the sentence, as a reader of the article meets it.
        id: a name unique among all claims, such as `day1.novice-most`.
        source: where the sentence stands.
        published: the printed numbers, by subject name.
        controls: rival explanations that must not account for the effect.
        not_reproduced: by subject name, a verdict that is known not to be `supported`; passes strictly.
    """
    it = Claim(
        sentence=sentence,
        id=id,
        source=source,
        published=dict(published or {}),
        controls=controls,
        not_reproduced=dict(not_reproduced or {}),
    )

    def attach(probe: _Probe) -> _Probe:
        probe.__dict__["claim"] = it
        return probe

    return attach


def claim_of(probe: object) -> Claim | None:
    """The claim that `probe` decides, or None where it is an ordinary test."""
    found = getattr(probe, "claim", None)
    return found if isinstance(found, Claim) else None

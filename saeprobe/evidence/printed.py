"""A printed reading is held against what is measured on the same prompts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Final, Protocol

from saeprobe.claims import NotRun, Published
from saeprobe.evidence.evidence import Evidence, Sample, Terms, UnitValue
from saeprobe.evidence.units import refuse_controls, sample_of
from saeprobe.evidence.values import Quantity
from saeprobe.files import span

PROMPTS: Final = "prompts"
"""The unit of counts of prompts; they are comparable where as many prompts were read as the source counts."""


@dataclass(frozen=True, kw_only=True)
class PublishedComparison:
    """A printed number is held against the one measured here, in `unit`.

    It agrees when they differ by `tolerance` without `reach` at most. Where they differ by more, and by the whole of it
    at most, `agrees` is None: it neither agrees nor has moved, since rounding decides it. But of two numbers that are
    not beyond it, and are printed the other way round than the probe found them, neither agrees, however wide it is.

    Unless the claim states it, the tolerance is the sum of `rounding`, half a unit of the last printed decimal,
    `sampling`, the sampling error of the difference of two means, and `reach`. With h the half width of the interval of
    the mean measured here, the sampling error is h for our mean; the printed mean, over n' prompts where ours is over
    n, has one of its own, h sqrt(n / n') if its prompts scatter as ours do; the two add up as sqrt(h^2 + h^2 n / n').
    Where the source does not give n', nothing is known of its error, and only our own counts: h. `reach` is how far
    rounding, as of features near their threshold, may move our mean towards the printed one (`Sample.reach`). It is a
    bound, and no error that averages out, so that it is added whole, also to what the claim states; None where unknown.
    """

    label: str
    value: float
    unit: str
    tolerance: float
    tolerance_from: str
    measured: float
    agrees: bool | None
    rounding: float | None = None
    sampling: float | None = None
    reach: float | None = None


def held_against(published: Published, sample: Sample, *, sampled: bool) -> PublishedComparison:
    """Hold a printed number against the measured mean of its label; `sampled` takes the sampling error into account."""
    label, value = sample.label, published.values[sample.label]
    rounding = sampling = reach = None
    tolerance, origin = published.tolerance, "set by the claim"
    if tolerance is None:
        rounding = published.rounding(label)
        sampling, words = _sampling_error(sample, published.n) if sampled else (0.0, "")
        tolerance = rounding + sampling
        origin = f"printed precision {rounding:g}{words}"
    apart, slack = abs(sample.mean - value), 1e-9 * abs(value)  # 0.35 - 0.3 is more than 0.05
    agrees: bool | None = bool(apart <= tolerance + slack)  # of numbers of numpy too, whose own is not False itself
    if sample.reach is not None:
        reach = max(0.0, sample.reach[1] - sample.mean if value > sample.mean else sample.mean - sample.reach[0])
        origin += f" + reach of rounding {reach:.3g}" if reach else ""
        tolerance += reach
        agrees = agrees or (None if apart <= tolerance + slack else False)
    return PublishedComparison(
        label=label,
        value=value,
        unit=published.unit,
        tolerance=tolerance,
        tolerance_from=origin,
        measured=sample.mean,
        agrees=agrees,
        rounding=rounding,
        sampling=sampling,
        reach=reach,
    )


def _sampling_error(sample: Sample, n_published: int | None) -> tuple[float, str]:
    """Return the half width of the difference of both means, or of ours alone where a number of prompts is unknown."""
    half = 0.0 if sample.interval is None else max(abs(end - sample.mean) for end in sample.interval)
    if n_published is None or sample.n is None:
        return half, f" + sampling error {half:.3g} of the mean measured here alone" if half else ""
    both = half * sqrt(1 + sample.n / n_published)
    words = f" + sampling error {both:.3g} of the means over {sample.n} prompts here and {n_published} there"
    return both, words if both else ""


class _ByStyle(Protocol):
    """A measurement holds values by style, and so do counts."""

    @property
    def measure(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def name(self) -> str: ...
    def __getitem__(self, style: str, /) -> Quantity: ...


def as_published(of: _ByStyle, published: Published, terms: Terms) -> Evidence:
    """Decide whether the mean of each style repeats the printed number of that label; nothing is inferred from it.

    Raises:
        NotRun: what is recorded is of another run than the printed numbers, or counts are of other numbers of prompts.
    """
    refuse_controls("published", terms)
    if of.unit != published.unit or published.measure not in ("", of.measure):
        printed = f"{published.measure} in {published.unit}".removeprefix(" in ")
        raise TypeError(f"{of.name} in {of.unit} is not what the numbers are printed of: {printed}")
    samples = tuple(sample_of(of[label], terms) for label in published.values)
    if another := another_run(published, samples) or other_prompts(published, samples):
        raise NotRun(another)
    rows = tuple(held_against(published, sample, sampled=False) for sample in samples)
    far, either = ([row.label for row in rows if row.agrees is agrees] for agrees in (False, None))
    shown = ", ".join(f"{row.label} {row.measured:.4g} ({published.printed[row.label]})" for row in rows)
    within = "rounds to" if published.tolerance is None else f"lies within {published.tolerance:g} of"
    reason = f"measured (printed): {shown} {of.unit}; {len(rows) - len(far) - len(either)} of {len(rows)} agree"
    if either:
        ends = ", ".join(
            f"{one.label} {span(one.reach, one.unit)}" for one in samples if one.reach and one.label in either
        )
        reason += f"; rounding decides whether {' and '.join(either)} would: it may give {ends}"
    unknown = [row.label for row in rows if row.agrees is False and row.reach is None]
    if unknown:
        reason += f"; how far rounding may move {' and '.join(unknown)} is not known"
    return Evidence(
        kind="published",
        statement=f"{of.measure} as printed, on the same prompts",
        outcome="refuted" if far else "inconclusive" if either else "supported",
        reason=reason,
        scope="these prompts only: a reading of each, no inference",
        unit=of.unit,
        samples=samples,
        rule=(
            f"supported where every measured mean {within} its printed number; refuted where one does not and could "
            "not whatever the rounding, as far as its reach is known; inconclusive where rounding decides it"
        ),
        unit_values=tuple(UnitValue(side=one.label, unit="mean of its prompts", value=one.mean) for one in samples),
    )


def other_prompts(published: Published, samples: Iterable[Sample]) -> str:
    """Say that counts of prompts are of more or fewer prompts than are printed; empty where none is."""
    for sample in samples if published.unit == PROMPTS else ():
        most = published.values.get(sample.label, 0)
        if sample.unit != PROMPTS or sample.n is None or sample.label not in published.values:
            continue
        if published.n not in (None, sample.n) or most > sample.n:
            printed = f"{most:g} prompts" if published.n is None else f"a count of {published.n} prompts"
            return f"{printed} of {sample.label} cannot be held against a count of {sample.n}; wanted as many prompts"
    return ""


def another_run(published: Published, samples: Iterable[Sample]) -> str:
    """Say that samples which answer for printed numbers are recorded of another run; empty where none is."""
    for sample in samples:
        alike = sample.label in published.values and sample.unit == published.unit
        if alike and sample.run and (apart := sample.run.apart(published.n, published.language)):
            return f"another run: {apart}; its numbers are not compared with the published ones"
    return ""

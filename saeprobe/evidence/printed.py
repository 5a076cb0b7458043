"""A printed number is held against what is measured here, on the same prompts or on others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Final, NamedTuple, Protocol

from saeprobe.claims import NotRun, Over, Published
from saeprobe.evidence import Agreement, Evidence, Sample, Spread, Terms, UnitValue
from saeprobe.evidence.controls import refuse_controls
from saeprobe.evidence.units import sample_of
from saeprobe.evidence.values import Quantity
from saeprobe.files import is_share, span
from saeprobe.statistics.intervals import MOST_UNITS, t_quantile

PROMPTS: Final = "prompts"  # of counts, which are comparable where as many prompts were read as the source counts
FEWEST: Final = {"templates": 3, "topics": 3, "counts": 4}  # of fewer nobody knows how far another draw would lie


@dataclass(frozen=True, kw_only=True)
class PublishedComparison:
    """A printed number is held against the one measured here, in `unit`.

    It agrees when they differ by `tolerance` without `reach` at most. Where they differ by more, and by the whole of it
    at most, rounding decides it. But of two numbers that are not beyond it, and are printed the other way round than
    the probe found them, neither agrees, however wide it is.

    Unless the claim states it, the tolerance is the sum of `rounding`, half a unit of the last printed digit,
    `sampling`, the sampling error of the difference of two means, and `reach`. With T wordings here that have the
    standard deviation s, and k behind the printed mean, the sampling error is t(0.975, T - 1) s sqrt(1 / T + 1 / k); k
    is 1 where the source does not say it. Where other topics are the units, T and k count topics; where both are, the
    squares add up. A reading of the very prompts has none. `reach` is how far rounding, as of features near their
    threshold, may move our mean towards the printed one (`Sample.reach`), None where unknown: a bound that does not
    average out, and so is added whole, also to what the claim states. Where no sampling error can be had the two cannot
    be compared, `tolerance` is None, and `tolerance_from` says what is missing.
    """

    label: str
    value: float
    unit: str
    tolerance: float | None
    tolerance_from: str
    measured: float
    answer: Agreement
    rounding: float | None = None
    sampling: float | None = None
    reach: float | None = None


def held_against(published: Published, sample: Sample, *, sampled: bool) -> PublishedComparison:
    """Hold a printed number against the measured mean of its label; `sampled` takes the sampling error into account."""
    label, value = sample.label, published.values[sample.label]
    rounding = published.rounding(label)
    error: _Error | str = _Error(sample.mean, 0.0, "")
    if sampled and not same_prompts(published, sample):
        error = _count_error(published, sample) if sample.rarefied else sampling_error(published, sample)
    held = PublishedComparison(
        label=label,
        value=value,
        unit=published.unit,
        tolerance=published.tolerance,
        tolerance_from=f"{error}",
        measured=sample.mean,
        answer="cannot be compared",
    )
    if published.tolerance is not None:
        else_ = error if isinstance(error, str) else f"else ± {rounding + error.half:.3g}"
        tolerance, origin = published.tolerance, f"set by the claim; {else_}"
    elif isinstance(error, str):
        return held
    else:
        tolerance, origin = rounding + error.half, f"printed precision {rounding:g}{error.words}"
        held = replace(held, measured=error.measured, rounding=rounding, sampling=error.half)
    apart, slack = abs(held.measured - value), 1e-9 * abs(value)  # 0.35 - 0.3 is more than 0.05
    agrees, reach = apart <= tolerance + slack, None
    if sample.reach is not None:
        low, high = sample.reach
        reach = max(0.0, high - sample.mean if value > held.measured else sample.mean - low)
        origin += f" + reach of rounding {reach:.3g}" if reach else ""
        tolerance += reach
    answer = "agrees" if agrees else "drifted" if reach is None or apart > tolerance + slack else "rounding decides"
    return replace(held, tolerance=tolerance, tolerance_from=origin, reach=reach, answer=answer)


def same_prompts(published: Published, sample: Sample) -> bool:
    """Say whether what is recorded is of the prompts whose numbers are printed, as far as their source says which."""
    run, n = sample.run, published.n
    return run is not None and None not in (n, run.n) and not run.apart(n, published.language)


class _Error(NamedTuple):
    """The number measured here, and how far the printed one may lie from it by chance."""

    measured: float
    half: float
    words: str


def sampling_error(published: Published, sample: Sample) -> _Error | str:
    """Return the half width of the difference of both means, or say why it cannot be had."""
    if not sample.spreads:
        return "one number for all prompts has no units, from which its sampling error could be had"
    variance, words = 0.0, list[str]()
    for spread in sample.spreads:
        few = f"{spread.n} {spread.units} here"
        if spread.n < FEWEST[spread.units]:
            return f"{few} give no sampling error; {FEWEST[spread.units]} would"
        if not spread.deviation:
            return f"{few} show no spread, from which a sampling error could be had"
        theirs = behind(published, spread.units)
        variance += sampling(spread, theirs) ** 2
        scale = f"t(0.975, {spread.n - 1}) x {spread.deviation:.4g} x sqrt(1 / {spread.n} + 1 / {theirs})"
        words.append(f"{scale} over {few} and {theirs} there")
    return _Error(sample.mean, sqrt(variance), f" + sampling error {sqrt(variance):.3g}: {' and '.join(words)}")


def behind(published: Published, units: Over) -> int:
    """Return how many units are behind a printed mean: 1 where the source does not say it, which is the careful side.

    So many prompts may be of any number of wordings and topics; they count the topics once the wordings are known.
    """
    wordings = published.wordings or 1
    topics = (published.n or 1) // wordings if published.wordings else 1
    return wordings if units == "templates" else max(1, topics)


def sampling(spread: Spread, theirs: int) -> float:
    """Return how far the means of so many units here and there lie apart by chance, in 95 of 100 cases at most.

    Without any there it is half the interval of our own mean by Student's t.
    """
    return t_quantile(0.975, spread.n - 1) * spread.deviation * sqrt(1 / spread.n + (1 / theirs if theirs else 0))


def from_nothing(row: PublishedComparison) -> tuple[float, str]:
    """Return how far a printed number lies from 0, a share from the nearer of 0 and 1, and what more than half holds.

    Only a tolerance that the claim states is small against 0 itself.
    """
    ends = {abs(row.value): 0, abs(1 - row.value): 1} if is_share(row.unit) else {abs(row.value): 0}
    apart = min(filter(None, ends), default=inf if row.sampling is None else 0.0)
    return apart, f"{ends.get(apart) if apart else 'any number'} as well as the published {row.value:g}"


def units_within(published: Published, sample: Sample, distance: float) -> int | None:
    """Return how many units here would bring the tolerance to `distance`; None where no number of them would."""
    (spread,), rounding = sample.spreads, published.rounding(sample.label)
    theirs = behind(published, spread.units)
    wanted = range(spread.n + 1, MOST_UNITS + 1)
    return next((n for n in wanted if rounding + sampling(replace(spread, n=n), theirs) <= distance), None)


def _count_error(published: Published, sample: Sample) -> _Error | str:
    """Hold a count of distinct features against one over as many wordings, since it grows with their number.

    Of more wordings here the number is taken that so many of them are expected to show (rarefaction: Hurlbert, Ecology
    52, 1971). Its error is that of the jackknife over wordings, and theirs is as large.
    """
    n, k, prompts = len(sample.rarefied), published.wordings, published.n
    if k is None or prompts is None:
        return (
            "a count grows with prompts and wordings; published(..., n=..., wordings=...) would say of how many it is"
        )
    if n < FEWEST["counts"] or k > n:
        return f"a count over {k} wordings takes {max(k, FEWEST['counts'])} or more here, and there are {n}"
    if prompts * n != k * (sample.n or 0):
        return (
            f"a count of {prompts} prompts in {k} wordings there, and of {sample.n} in {n} here: wanted as many in each"
        )
    expected, error = sample.rarefied[k - 1]
    if not error:
        return f"{n} wordings here show no spread, from which a sampling error could be had"
    half = t_quantile(0.975, 2 * n - 2) * error * sqrt(1 + n / k)
    how = f"t(0.975, {2 * n - 2}) x jackknife error {error:.4g} x sqrt(1 + {n} / {k})"
    return _Error(expected, half, f" + sampling error {half:.3g}: {how} of a count over {k} wordings of {n} here")


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
    return read_beside(of.measure, published, tuple(sample_of(of[label], terms) for label in published.values))


def read_beside(measure: str, published: Published, samples: tuple[Sample, ...]) -> Evidence:
    """Hold each sample of a measure against the number that is printed of it."""
    if another := another_run(published, samples):
        raise NotRun(another)
    rows = tuple(held_against(published, sample, sampled=False) for sample in samples)
    far, either = ([row.label for row in rows if row.answer == one] for one in ("drifted", "rounding decides"))
    shown = ", ".join(f"{row.label} {row.measured:.4g} ({published.printed[row.label]})" for row in rows)
    within = "rounds to" if published.tolerance is None else f"lies within {published.tolerance:g} of"
    reason = f"measured (printed): {shown} {published.unit}; {len(rows) - len(far) - len(either)} of {len(rows)} agree"
    if either:
        ends = [f"{one.label} {span(one.reach, one.unit)}" for one in samples if one.reach and one.label in either]
        reason += f"; rounding decides whether {' and '.join(either)} would: it may give {', '.join(ends)}"
    unknown = [row.label for row in rows if row.answer == "drifted" and row.reach is None]
    if unknown:
        reason += f"; how far rounding may move {' and '.join(unknown)} is not known"
    return Evidence(
        kind="published",
        statement=f"{measure} as printed, on the same prompts",
        outcome="refuted" if far else "inconclusive" if either else "supported",
        reason=reason,
        scope="these prompts only: a reading of each, no inference",
        unit=published.unit,
        samples=samples,
        rule=(
            f"supported where every measured mean {within} its printed number; refuted where one does not and could "
            "not whatever the rounding, as far as its reach is known; inconclusive where rounding decides it"
        ),
        unit_values=tuple(UnitValue(side=one.label, unit="mean of its prompts", value=one.mean) for one in samples),
    )


def another_run(published: Published, samples: Iterable[Sample]) -> str:
    """Say that samples which answer for printed numbers are of another run, or count other prompts; else nothing."""
    for sample in (one for one in samples if one.label in published.values and one.unit == published.unit):
        if sample.run and (apart := sample.run.apart(published.n, published.language)):
            return f"another run: {apart}; its numbers are not compared with the published ones"
        if sample.unit != PROMPTS or sample.n is None:
            continue
        most = published.values[sample.label]
        if published.n not in (None, sample.n) or most > sample.n:
            printed = f"{most:g} prompts" if published.n is None else f"a count of {published.n} prompts"
            return f"{printed} of {sample.label} cannot be held against a count of {sample.n}; wanted as many prompts"
    return ""

"""What a run measured is held against its baseline here, value by value."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Final, Literal

import numpy as np
from msgspec import Meta

from saeprobe.claims import Verdict, Word
from saeprobe.evidence import Sample
from saeprobe.statistics.shifts import paired_shift
from saeprobe.verdicts.baseline_files import Baseline, Provenance, Value, changes

DIGITS: Final = 10  # significant ones of a value: more than any comparison reads, and a file that a person can read
ENOUGH: Final = 6  # paired units can find a move at alpha = 0.05: 2 of 2^6 signs are 0.031, 2 of 2^5 are 0.063
ROUNDING: Final = 1e-6  # adding in another order may change a mean by this share of itself
FEWEST_DIGITS: Final = 4  # a move is written in so many significant ones, or in as many more as it takes to see it


def values_of(samples: Iterable[Sample]) -> tuple[Value, ...]:
    """Return what was measured, each once, in order of first appearance.

    Two samples of one label and measure are named after the tokens that were read, where these differ. Where more is
    left (a probe that reads several sets of prompts) the label of the later one has a number behind it.
    """
    measured = list(samples)
    places: dict[tuple[str, str, str], set[str]] = {}
    for sample in measured:
        places.setdefault((sample.label, sample.measure, sample.unit), set()).add(sample.place)
    seen: dict[tuple[str, str, str], list[Sample]] = {}
    values: list[Value] = []
    for sample in measured:
        several = len(places[sample.label, sample.measure, sample.unit]) > 1 and sample.place
        label = f"{sample.label} at {sample.place}" if several else sample.label
        same = seen.setdefault((label, sample.measure, sample.unit), [])
        if all((sample.mean, sample.prompts) != (other.mean, other.prompts) for other in same):
            same.append(sample)
            values.append(_value_of(sample, label if len(same) == 1 else f"{label} ({len(same)})"))
    return tuple(values)


def _value_of(sample: Sample, label: str) -> Value:
    units, means = _unit_means(sample)
    texts = b"".join(prompt.text.encode("utf-8", errors="surrogatepass") + b"\0" for prompt in sample.prompts)
    return Value(
        label=label,
        measure=sample.measure,
        unit=sample.unit,
        mean=_rounded(sample.mean),
        n=sample.n,
        interval=None if sample.interval is None else (_rounded(sample.interval[0]), _rounded(sample.interval[1])),
        near_moves=None if sample.near_moves is None else _rounded(sample.near_moves),
        units=units,
        unit_means=means,
        prompts=hashlib.sha256(texts).hexdigest()[:16] if texts else "",
    )


def _unit_means(sample: Sample) -> tuple[str, dict[str, float]]:
    """Return means by template where there are enough of them to find a move, else by whichever there are more of."""
    if not sample.values:
        return "", {}
    templates, topics = _mean_by(sample, "template"), _mean_by(sample, "topic")
    if len(templates) >= ENOUGH or len(templates) >= len(topics):
        return "templates", templates
    return "topics", topics


def _mean_by(sample: Sample, what: Literal["template", "topic"]) -> dict[str, float]:
    groups: dict[str, list[float]] = {}
    for prompt, value in zip(sample.prompts, sample.values, strict=True):
        groups.setdefault(getattr(prompt, what), []).append(value)
    return {name: _rounded(math.fsum(group) / len(group)) for name, group in groups.items()}


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def changed_prompts(pairs: Sequence[tuple[Value, Value]]) -> tuple[str, ...]:
    """Return `prompts`, or `prompts of novice` where those of others stayed; of summaries they are unknown."""
    known = [(old, new) for old, new in pairs if old.prompts and new.prompts]
    moved = [old.label for old, new in known if old.prompts != new.prompts]
    if moved and len(moved) == len(known):
        return ("prompts",)
    return tuple(f"prompts of {label}" for label in dict.fromkeys(moved))


@dataclass(frozen=True, kw_only=True)
class BaselineRow:
    """An approved mean stands with the one measured here, which is null where it is no longer measured."""

    label: str
    measure: str
    unit: str
    approved: float
    measured: float | None
    noise: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="Distance in the unit up to which the two agree.")
    ]
    noise_from: str | None
    agrees: bool | None


@dataclass(frozen=True, kw_only=True)
class BaselineComparison:
    """A run is held against a baseline here; `changed` says in words what is recorded of both and differs."""

    baseline: Baseline
    rows: tuple[BaselineRow, ...]
    changed: tuple[str, ...]

    def reason(self, *, whole: bool) -> str | None:
        """Say what moved, since whose approval, and what changed in between; None where everything stands.

        `novice moved from 18.83 to 21.20 features since Ada approved it on 2026-11-22 ("as in table 1"); changed in
        between: transformers 5.23.0 -> 5.24.1`.
        Where the probe came to its `whole` end, a value that it did not measure is one that it no longer measures.
        """
        moves = [
            f"{row.label} moved from {' to '.join(distinct_digits(row.approved, row.measured or 0.0))} {row.unit}"
            for row in self.rows
            if row.agrees is False
        ]
        if whole:
            lost = [row for row in self.rows if row.agrees is None]
            moves += [f"{it.measure} of {it.label}, {it.approved:.4g} {it.unit}, is measured no more" for it in lost]
        if not moves:
            return None
        one = self.baseline
        since = f"since {one.approved_by} approved {'it' if len(moves) == 1 else 'them'} on {one.on}"
        between = ", ".join(self.changed)
        between = f"changed in between: {between}" if between else "nothing that is recorded changed in between"
        return f'{", ".join(moves)} {since} ("{one.because}"); {between}'


def compare_baseline(baseline: Baseline, samples: Iterable[Sample], now: Provenance) -> BaselineComparison:
    """Hold each approved value against the measured one of the same label, measure and unit.

    Where there are no samples nothing can be compared, and every value counts as lost. The `alpha` and `seed` of `now`,
    what this run was made with, are those of the test over units.
    """
    measured = {value.key: value for value in values_of(samples)}
    pairs = [(old, measured[old.key]) for old in baseline.values if old.key in measured]
    return BaselineComparison(
        baseline=baseline,
        rows=tuple(_row(old, measured.get(old.key), now) for old in baseline.values),
        changed=(*changed_prompts(pairs), *changes(baseline.measured_with, now)),
    )


def _row(old: Value, new: Value | None, now: Provenance) -> BaselineRow:
    row = partial(BaselineRow, label=old.label, measure=old.measure, unit=old.unit, approved=old.mean)
    if new is None:
        return row(measured=None, noise=None, noise_from=None, agrees=None)
    noise, origin = noise_of(old, new, alpha=now.alpha, seed=now.seed)
    return row(measured=new.mean, noise=noise, noise_from=origin, agrees=abs(new.mean - old.mean) <= noise)


def noise_of(old: Value, new: Value, *, alpha: float, seed: int) -> tuple[float, str]:
    """Return how far the mean may lie from the approved one before it counts as moved, and why so far.

    First rounding: a share `ROUNDING` of the mean, and what features near their threshold may move. A mean beyond it
    is held against the scatter of what was measured. On the same units (templates or topics) that is the largest move
    that sign flips of the paired differences do not find at `alpha`, but never more than the approved mean was
    uncertain by: one wild unit must not hide a move. On other units it is the two intervals of the means, added in
    quadrature.
    """
    rounding = max(ROUNDING * abs(old.mean), old.near_moves or 0.0, new.near_moves or 0.0)
    near = rounding > ROUNDING * abs(old.mean)
    least = rounding, "features near their threshold" if near else "rounding"
    if abs(new.mean - old.mean) <= rounding:
        return least
    if len(old.unit_means) > 1 and old.unit_means.keys() == new.unit_means.keys():
        differences = np.array([new.unit_means[name] - mean for name, mean in old.unit_means.items()])
        shift = paired_shift(differences, alpha=alpha, seed=seed)
        low, high = shift.interval or (shift.estimate, shift.estimate)  # none where no unit scatters, or no test can be
        unseen = shift.estimate - low if shift.estimate > 0 else high - shift.estimate
        found = min(unseen, old.reach), f"{len(differences)} {old.units}, paired"
    else:
        found = math.hypot(old.reach, new.reach), "the intervals of both means"
    return max(least, found)


def left(word: Word, agree: Iterable[bool | None]) -> bool:
    """Say whether approved values moved, or are no longer measured by a probe that came to its end as `drifted`."""
    return any(one is False or (one is None and word == "drifted") for one in agree)


def against_baseline(verdict: Verdict, compared: BaselineComparison) -> Verdict:
    """Return the verdict once the approved values are held against it.

    A sentence that holds is `drifted` where its values have left their baseline. Another verdict keeps its word and
    names the move; no declaration covers it.
    """
    holds = verdict.word in ("supported", "drifted")
    moves = compared.reason(whole=holds)
    if moves is not None and holds:
        before = "the sentence holds, but" if verdict.word == "supported" else f"{verdict.reason}; and"
        return replace(verdict, word="drifted", reason=f"{before} {moves}")
    reason = verdict.reason if moves is None else f"{verdict.reason}; {moves}"
    approved = compared.baseline
    if verdict.word != approved.verdict:
        then = f"approved as {approved.verdict} by {approved.approved_by} on {approved.on}"
        reason = f"{reason}; {then}, now {verdict.word}"
    return replace(verdict, reason=reason)


def distinct_digits(before: float, after: float) -> tuple[str, str]:
    """Write two numbers in as many digits as it takes to see that they differ, four at least.

    >>> distinct_digits(18.8333, 21.2)
    ('18.83', '21.20')
    >>> distinct_digits(0.50001, 0.50002)
    ('0.50001', '0.50002')
    """
    whole = len(str(int(max(abs(before), abs(after)))))  # never 1.234e+04
    for digits in range(max(FEWEST_DIGITS, whole), DIGITS):
        old, new = (f"{number:#.{digits}g}".removesuffix(".") for number in (before, after))
        if old != new:
            return old, new
    return repr(before), repr(after)

"""One approval: the values, who accepted them and why, and what they were measured with."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np

from saeprobe.claims import Word
from saeprobe.evidence.evidence import Evidence, Sample
from saeprobe.statistics.shifts import paired_shift

IDENTITY: Final = ("model", "model_hash", "sae", "sae_hash", "hook_name", "dtype", "protocol", "fingerprint")
"""What is kept of each subject, by the names that a report gives it."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """One measured mean, in `unit`, and what a later one is held against.

    Attributes:
        label: of which prompts, the style as a rule.
        measure: what was measured.
        unit: of all numbers here.
        mean: over the prompts.
        n: prompts; None where a record does not tell.
        interval: of the mean over units of replication; None where none could be given.
        near_moves: by how much rounding may move the mean at most, where features lie near their threshold.
        units: what `unit_means` are of: templates, topics, or nothing where only a summary was recorded.
        unit_means: the mean of each unit, by the template's wording or the topic.
        prompts: SHA-256 over the prompts, shortened; empty for a summary.
    """

    label: str
    measure: str
    unit: str
    mean: float
    n: int | None = None
    interval: tuple[float, float] | None = None
    near_moves: float | None = None
    units: str = ""
    unit_means: Mapping[str, float] = field(default_factory=dict[str, float])
    prompts: str = ""

    @property
    def name(self) -> str:
        """`l0 of novice`."""
        return f"{self.measure} of {self.label}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from the other values of its claim."""
        return self.label, self.measure, self.unit

    @property
    def reach(self) -> float:
        """How far the farther end of the interval lies from the mean; 0 without an interval."""
        return 0.0 if self.interval is None else max(abs(end - self.mean) for end in self.interval)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What values were measured with; None where it is not known, and an unknown never counts as changed.

    `subjects` holds the fields of `IDENTITY` by subject, several for a claim on several; `evidence` is the name of the
    folder of recorded files that stood in for the models. `alpha` and `seed` are those of the tests.
    """

    subjects: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict[str, Mapping[str, str | None]])
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    python: str | None = None
    platform: str | None = None
    device: str | None = None
    evidence: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    generated: str | None = None
    alpha: float = 0.05
    seed: int = 0


def identity_of(described: Mapping[str, object]) -> dict[str, str | None]:
    """What a baseline keeps of a subject as a report describes it."""
    kept = {name: described.get(name) for name in IDENTITY}
    return {name: value if isinstance(value, str) else None for name, value in kept.items()}


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Values of one claim on one subject that a person approved on a day (ISO 8601), with the verdict they had."""

    claim: str
    subject: str
    sentence: str
    approved_by: str
    because: str
    on: str
    verdict: Word
    values: tuple[Value, ...]
    measured_with: Provenance


DIGITS: Final = 10
"""Significant digits that are kept: more than any comparison reads, and a file that a person can read."""


ENOUGH: Final = 6
"""Paired units from which a test can find a move at alpha = 0.05: 2 of 2^6 signs are 0.031, 2 of 2^5 are 0.063."""


def samples_of(evidence: Iterable[Evidence]) -> Iterator[Sample]:
    """The samples of some evidence and of its parts, in order.

    Those of controls are not the claim's, and the numbers of a printed table were not measured.
    """
    for piece in evidence:
        if piece.kind != "printed":
            yield from piece.samples
        yield from samples_of(piece.parts)


def values_of(samples: Iterable[Sample]) -> tuple[Value, ...]:
    """What was measured, each once, in order of first appearance.

    Two samples of one label and measure are told apart by the tokens that were read, where these differ. What is left
    (a probe that reads several sets of prompts) is told apart by a number behind the label of the later one.
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
        if any(sample.mean == other.mean and sample.prompts == other.prompts for other in same):
            continue
        same.append(sample)
        values.append(replace(_value_of(sample), label=label if len(same) == 1 else f"{label} ({len(same)})"))
    return tuple(values)


def _value_of(sample: Sample) -> Value:
    units, means = _unit_means(sample)
    return Value(
        label=sample.label,
        measure=sample.measure,
        unit=sample.unit,
        mean=_rounded(sample.mean),
        n=sample.n,
        interval=None if sample.interval is None else (_rounded(sample.interval[0]), _rounded(sample.interval[1])),
        near_moves=None if sample.near_moves is None else _rounded(sample.near_moves),
        units=units,
        unit_means=means,
        prompts=_digest(sample),
    )


def _unit_means(sample: Sample) -> tuple[str, dict[str, float]]:
    """Means by template where there are enough of them to find a move, else by whichever there are more of."""
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
    return {name: _rounded(_mean(group)) for name, group in groups.items()}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def _digest(sample: Sample) -> str:
    """SHA-256 over the texts in order, its first 16 hex digits; a changed wording or order changes it."""
    if not sample.prompts:
        return ""
    held = hashlib.sha256()
    for prompt in sample.prompts:
        held.update(prompt.text.encode("utf-8", errors="surrogatepass") + b"\0")
    return held.hexdigest()[:16]


Fields = Mapping[str, str | None]


_SHOWN: Final = 8
"""Hex digits of a hash that are shown."""


_COMMIT_SHOWN: Final = 12


def changes(before: Provenance, now: Provenance) -> tuple[str, ...]:
    """What differs, the likeliest causes first: `SAE (hash 12ab34cd -> 56ef7890)`, `transformers 5.23.0 -> 5.24.1`.

    What one of the two does not tell is passed over.
    """
    told = [*_of_subjects(before, now, _parts)]
    told += [
        f"{name} {version} -> {now.versions[name]}"
        for name, version in sorted(before.versions.items())
        if now.versions.get(name, version) != version
    ]
    if not told:  # it is made of the others, and of what no other field tells
        told += _of_subjects(before, now, _fingerprint)
    for word, old, new in (
        ("Python", before.python, now.python),
        ("platform", before.platform, now.platform),
        ("device", before.device, now.device),
        ("recorded evidence", before.evidence, now.evidence),
        ("commit", _short(before.commit, _COMMIT_SHOWN), _short(now.commit, _COMMIT_SHOWN)),
    ):
        told += _changed(word, old, new)
    if now.dirty:
        told.append("changes that are not committed")
    return tuple(told)


def changed_prompts(pairs: Sequence[tuple[Value, Value]]) -> tuple[str, ...]:
    """`prompts`, or `prompts of novice` where those of others stayed; summaries do not tell."""
    known = [(old, new) for old, new in pairs if old.prompts and new.prompts]
    moved = [old.label for old, new in known if old.prompts != new.prompts]
    if moved and len(moved) == len(known):
        return ("prompts",)
    return tuple(f"prompts of {label}" for label in dict.fromkeys(moved))


def _of_subjects(before: Provenance, now: Provenance, told: Callable[[Fields, Fields], Iterator[str]]) -> Iterator[str]:
    """What is told of each subject, with its name where there are several."""
    for name, fields in before.subjects.items():
        for it in told(fields, now.subjects.get(name, {})):
            yield f"{it} of {name}" if len(before.subjects) > 1 else it


def _parts(before: Fields, now: Fields) -> Iterator[str]:
    for word, key in (("model", "model"), ("SAE", "sae")):
        old, new = (_hash(fields.get(f"{key}_hash")) for fields in (before, now))
        named = _changed(word, before.get(key), now.get(key))
        if old is None or new is None:
            yield from named
        elif old != new:  # of the same content the name says nothing: it may be where the files lie
            yield f"{named[0] if named else word} (hash {old} -> {new})"
    for word, key in (("hook", "hook_name"), ("dtype", "dtype"), ("protocol", "protocol")):
        yield from _changed(word, before.get(key), now.get(key))


def _fingerprint(before: Fields, now: Fields) -> Iterator[str]:
    yield from _changed("fingerprint", _hash(before.get("fingerprint")), _hash(now.get("fingerprint")))


def _changed(word: str, old: str | None, new: str | None) -> list[str]:
    return [] if old is None or new is None or old == new else [f"{word} {old} -> {new}"]


def _hash(text: str | None) -> str | None:
    return _short(None if text is None else text.rpartition(":")[2], _SHOWN)


def _short(text: str | None, length: int) -> str | None:
    return None if text is None else text[:length]


ROUNDING: Final = 1e-6
"""As a share of the approved mean: what adding in another order may change."""


DIGITS_COMPARING: Final = 4
"""Significant digits in which a value is told, or as many more as tell two apart."""


MOST_DIGITS: Final = 10


@dataclass(frozen=True, kw_only=True)
class BaselineRow:
    """An approved mean beside the measured one, in `unit`; they agree when they differ by `noise` at most.

    `measured`, `noise` and `noise_from`, which says in words what the noise is made of, are None where this run
    measured nothing of that name.
    """

    label: str
    measure: str
    unit: str
    approved: float
    measured: float | None
    noise: float | None
    noise_from: str | None

    @property
    def agrees(self) -> bool | None:
        """Whether the value stands where it was approved; None where it was not measured."""
        if self.measured is None or self.noise is None:
            return None
        return abs(self.measured - self.approved) <= self.noise


@dataclass(frozen=True, kw_only=True)
class BaselineComparison:
    """A baseline beside a run; `changed` says in words what is recorded of both and differs."""

    baseline: Baseline
    rows: tuple[BaselineRow, ...]
    changed: tuple[str, ...]

    @property
    def moved(self) -> tuple[BaselineRow, ...]:
        """The values that have left their baseline."""
        return tuple(row for row in self.rows if row.agrees is False)

    @property
    def lost(self) -> tuple[BaselineRow, ...]:
        """The approved values that this run did not measure."""
        return tuple(row for row in self.rows if row.agrees is None)

    def reason(self, *, whole: bool) -> str | None:
        """What moved, since whose approval, and what changed in between; None where everything stands.

        `novice moved from 18.83 to 21.20 features since Ada approved it on 2026-11-22 ("as in table 1"); changed in
        between: transformers 5.23.0 -> 5.24.1`.

        Args:
            whole: the probe came to its end, so that a value it did not measure is one it no longer measures.
        """
        told = [_moved(row) for row in self.moved]
        if whole:
            told += [
                f"{row.measure} of {row.label}, {row.approved:.4g} {row.unit}, is measured no more" for row in self.lost
            ]
        if not told:
            return None
        one = self.baseline
        since = f"since {one.approved_by} approved {'it' if len(told) == 1 else 'them'} on {one.on}"
        between = ", ".join(self.changed)
        between = f"changed in between: {between}" if between else "nothing that is recorded changed in between"
        return f'{", ".join(told)} {since} ("{one.because}"); {between}'


def compare_baseline(baseline: Baseline, evidence: Iterable[Evidence], now: Provenance) -> BaselineComparison:
    """Each approved value beside the measured one of the same label, measure and unit.

    Args:
        baseline: what was approved.
        evidence: what this run showed; where it is empty nothing can be compared, and every value is told as lost.
        now: what this run was made with; its `alpha` and `seed` are those of the test over units.
    """
    measured = {value.key: value for value in values_of(samples_of(evidence))}
    pairs = [(old, measured[old.key]) for old in baseline.values if old.key in measured]
    return BaselineComparison(
        baseline=baseline,
        rows=tuple(_row(old, measured.get(old.key), now) for old in baseline.values),
        changed=(*changed_prompts(pairs), *changes(baseline.measured_with, now)),
    )


def _row(old: Value, new: Value | None, now: Provenance) -> BaselineRow:
    noise, told = (None, None) if new is None else noise_of(old, new, alpha=now.alpha, seed=now.seed)
    return BaselineRow(
        label=old.label,
        measure=old.measure,
        unit=old.unit,
        approved=old.mean,
        measured=None if new is None else new.mean,
        noise=noise,
        noise_from=told,
    )


def noise_of(old: Value, new: Value, *, alpha: float, seed: int) -> tuple[float, str]:
    """How far the mean may lie from the approved one before it counts as moved, and why so far.

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
        reach = min(_unseen(differences, alpha=alpha, seed=seed), old.reach)
        found = reach, f"{len(differences)} {old.units}, paired"
    else:
        found = math.hypot(old.reach, new.reach), "the intervals of both means"
    return max(least, found)


def _unseen(differences: np.ndarray, *, alpha: float, seed: int) -> float:
    """The largest mean difference, on its own side of zero, that the test would not tell from none.

    0 where every unit differs by the same amount, which is no noise, and where the units are too few for any test.
    """
    shift = paired_shift(differences, alpha=alpha, seed=seed)
    if shift.interval is None:
        return 0.0
    low, high = shift.interval
    return shift.estimate - low if shift.estimate > 0 else high - shift.estimate


def _moved(row: BaselineRow) -> str:
    before, after = told_apart(row.approved, row.measured or 0.0)
    return f"{row.label} moved from {before} to {after} {row.unit}"


def told_apart(before: float, after: float) -> tuple[str, str]:
    """Two numbers in as many digits as it takes to tell them apart, four at least.

    >>> told_apart(18.8333, 21.2)
    ('18.83', '21.20')
    >>> told_apart(0.50001, 0.50002)
    ('0.50001', '0.50002')
    """
    whole = len(str(int(max(abs(before), abs(after)))))  # never 1.234e+04
    for digits in range(max(DIGITS_COMPARING, whole), MOST_DIGITS):
        told = tuple(f"{number:#.{digits}g}".removesuffix(".") for number in (before, after))
        if told[0] != told[1]:
            return told[0], told[1]
    return repr(before), repr(after)

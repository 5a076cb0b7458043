"""Exclusive features: those that fire on some prompt of one style and on no prompt of the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np
from jaxtyping import Bool

from saeprobe.comparison import summaries
from saeprobe.evidence import Evidence, EvidenceOutcome, Sample, current_terms, record
from saeprobe.features import Features
from saeprobe.measurement import Summary
from saeprobe.measures.activity import Readable, firing, undecided
from saeprobe.recorded import RecordedStyle
from saeprobe.statistics import EXACT_LIMIT
from saeprobe.threshold import within_rounding
from saeprobe.verdicts import NotRun

RESAMPLES = 4_999

Units = Bool[np.ndarray, "units d_sae"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ExclusiveFeatures:
    """The number of features that fire on `on` and never on `but_not`; compare it with the reverse."""

    on: Readable
    but_not: Readable

    def __repr__(self) -> str:
        return f"exclusive_features({_label(self.on)}, {_label(self.but_not)})"

    @property
    def summary(self) -> Summary:
        """The count, in features.

        Raises:
            NotRun: a record does not tell it.
        """
        label = _label(self.on)
        if isinstance(self.on, RecordedStyle):
            other = _label(self.but_not)
            if other not in self.on.exclusive:
                raise NotRun(f"{self.on.origin} does not tell which features are exclusive to {label} beside {other}")
            return self.on.exclusive[other]
        if isinstance(self.but_not, RecordedStyle):
            raise TypeError("one side is recorded and the other captured; compare like with like")
        count = int((firing(self.on).any(axis=0) & ~firing(self.but_not).any(axis=0)).sum())
        return Summary(
            measure="exclusive features",
            label=label,
            unit="features",
            value=count,
            n=len(self.on),
            origin=label,
            near_threshold=_near_threshold(self.on, self.but_not),
        )

    def __gt__(self, other: ExclusiveFeatures) -> Evidence:
        return record(_more_exclusive(self, other))

    def __lt__(self, other: ExclusiveFeatures) -> Evidence:
        return record(_more_exclusive(other, self))


def exclusive_features(on: Readable, but_not: Readable) -> ExclusiveFeatures:
    """Features that fire on at least one prompt of `on` and on none of `but_not` (published as exclusive features)."""
    return ExclusiveFeatures(on=on, but_not=but_not)


def _more_exclusive(more: ExclusiveFeatures, less: ExclusiveFeatures) -> Evidence:
    """Permutes style labels between templates, or within each topic under one wording, and counts again.

    The null is that style does not matter. It does not ask whether a style with more active features has more
    exclusive ones merely because of that.
    """
    if not (_same(more.on, less.but_not) and _same(more.but_not, less.on)):
        raise TypeError("compare exclusive_features(a, b) with exclusive_features(b, a) of the same two styles")
    a, b = more.summary.sample, less.summary.sample
    statement = f"features exclusive to {a.label} > features exclusive to {b.label}"
    if isinstance(more.on, RecordedStyle) or isinstance(more.but_not, RecordedStyle):
        return summaries("exclusive", statement, a, b)
    units_a, what = _units(more.on)
    units_b, what_b = _units(more.but_not)
    if what != what_b or (what == "topics" and _topics(more.on) != _topics(more.but_not)):
        raise ValueError(
            f"{a.label} gives {len(units_a)} {what} to permute and {b.label} {len(units_b)} {what_b}; "
            "wanted several templates on both sides, or a single one on each and the same topics"
        )
    if min(len(units_a), len(units_b)) < 2:  # noqa: PLR2004 - one unit can be permuted with nothing
        return replace(summaries("exclusive", statement, a, b), reason=_too_few(a, b, what), scope="these prompts only")
    terms = current_terms()
    p, test, exact = _permute(units_a, units_b, paired=what == "topics", seed=terms.seed)
    return _judged(statement, a, b, p=p, test=test, seed=None if exact else terms.seed, what=what, alpha=terms.alpha)


def _near_threshold(on: Features, but_not: Features) -> str | None:
    """How many features are exclusive to `on` or not as rounding has it."""
    surely, maybe = zip(*(_fire_on_any(side) for side in (on, but_not)), strict=True)
    open_to_both = (surely[0] | maybe[0]) & ~surely[1] & ~(surely[0] & ~maybe[1])
    count = int(open_to_both.sum())
    if not count:
        return None
    which = "1 feature counts, which is" if count == 1 else f"{count} features count, each of which is"
    return f"rounding decides whether {which} {within_rounding(on.tolerance)}"


def _fire_on_any(of: Features) -> tuple[Bool[np.ndarray, " d_sae"], Bool[np.ndarray, " d_sae"]]:
    """Which features fire on some prompt whatever the rounding, and which only as rounding has it."""
    close = undecided(of)
    surely: Bool[np.ndarray, " d_sae"] = np.any(firing(of) & ~close, axis=0)
    maybe: Bool[np.ndarray, " d_sae"] = np.any(close, axis=0) & ~surely
    return surely, maybe


def _same(one: Readable, other: Readable) -> bool:
    """Whether two are the same style of the same capture or record, though they were looked up twice."""
    if isinstance(one, RecordedStyle) or isinstance(other, RecordedStyle):
        return one is other
    return one.subject == other.subject and one.prompts == other.prompts


def _too_few(a: Sample, b: Sample, what: str) -> str:
    return f"{a.mean:.0f} against {b.mean:.0f} features, but a side has a single unit ({what}): nothing to permute"


def _judged(
    statement: str, a: Sample, b: Sample, *, p: float, test: str, seed: int | None, what: str, alpha: float
) -> Evidence:
    difference = a.mean - b.mean
    outcome: EvidenceOutcome = "inconclusive" if p >= alpha else "supported" if difference > 0 else "refuted"
    told = {"inconclusive": "not told apart from chance", "supported": "more than chance", "refuted": "the contrary"}
    return Evidence(
        kind="exclusive",
        statement=statement,
        outcome=outcome,
        reason=f"{a.mean:.0f} against {b.mean:.0f} features, p = {p:.2g} under permuted labels: {told[outcome]}",
        scope="this wording only" if what == "topics" else "these templates",
        unit="features",
        estimate=difference,
        p=p,
        alpha=alpha,
        test=test,
        seed=seed,
        units=what,
        samples=(a, b),
    )


def _units(of: Features) -> tuple[Units, str]:
    """Which features fire anywhere in each unit: a template, or a topic where there is a single template."""
    templates = len({prompt.template for prompt in of.prompts})
    names: list[str] = [prompt.template if templates > 1 else prompt.topic for prompt in of.prompts]
    fires = firing(of)
    order = sorted(set(names)) if templates == 1 else list(dict.fromkeys(names))
    units: Units = np.zeros((len(order), of.d_sae), dtype=bool)
    for row, name in enumerate(names):
        units[order.index(name)] |= fires[row]
    return units, "topics" if templates == 1 else "templates"


def _topics(of: Features) -> set[str]:
    return {prompt.topic for prompt in of.prompts}


def _permute(a: Units, b: Units, *, paired: bool, seed: int) -> tuple[float, str, bool]:
    """Two-sided p of the difference of the two counts of exclusive features when units change sides."""
    stacked = np.vstack([a, b]).astype(np.float32)
    sides = _sides(len(a), len(b), paired=paired, seed=seed)
    ever = stacked.any(axis=0)
    on_first = sides.astype(np.float32) @ stacked[:, ever] > 0
    on_second = (~sides).astype(np.float32) @ stacked[:, ever] > 0
    differences = (on_first & ~on_second).sum(axis=1) - (on_second & ~on_first).sum(axis=1)
    exact = _exact(len(a), len(b), paired=paired)
    units = "topics" if paired else "templates"
    kind = f"{'exact' if exact else 'sampled'} permutation of labels over {len(a)} + {len(b)} {units}"
    at_least = np.abs(differences) >= abs(int(differences[0]))
    return int(at_least.sum()) / len(at_least), kind, exact


def _exact(n_a: int, n_b: int, *, paired: bool) -> bool:
    return not paired and comb(n_a + n_b, n_a) <= EXACT_LIMIT


def _sides(n_a: int, n_b: int, *, paired: bool, seed: int) -> Bool[np.ndarray, "relabelings units"]:
    """Which units stand on the first side; the labels as observed come first."""
    observed = np.arange(n_a + n_b) < n_a
    if _exact(n_a, n_b, paired=paired):
        sides = np.zeros((comb(n_a + n_b, n_a), n_a + n_b), dtype=bool)
        for row, members in enumerate(combinations(range(n_a + n_b), n_a)):
            sides[row, members] = True
        return sides  # combinations() begins with the observed labels
    rng = np.random.default_rng(seed)
    if paired:
        swapped = rng.random((RESAMPLES, n_a)) < 0.5  # noqa: PLR2004 - a fair coin a topic
        drawn = np.hstack([~swapped, swapped])
    else:
        drawn = np.argsort(rng.random((RESAMPLES, n_a + n_b)), axis=1) < n_a
    return np.vstack([observed, drawn])


def _label(of: Readable) -> str:
    return of.style if isinstance(of, RecordedStyle) else of.label

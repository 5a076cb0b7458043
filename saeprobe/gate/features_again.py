"""Evidence on sets of features is decided again.

Exclusive features by the patterns in which they fire, clusters by the distances of their units, a scan by the rates of
each unit, and a separation by the values of each prompt, or by recorded rates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from saeprobe.evidence import Evidence, Kind, Terms
from saeprobe.evidence.controls import verdict_of
from saeprobe.evidence.counts import with_interval
from saeprobe.files import against, number, p_value
from saeprobe.gate.tests_again import OF_VALUES, side_again
from saeprobe.measures.clusters import above_zero, interval_of, judged_clusters, relabel, silhouettes
from saeprobe.measures.exclusive import counted, judged_counts
from saeprobe.measures.halving import Rates
from saeprobe.measures.separation import RULES, SHARE, judged_separation, judged_signature
from saeprobe.statistics.planning import q_values

MOST_FEATURES: Final = 10_000_000  # of a dictionary; more are no count that anything measured


def _separation(piece: Evidence, terms: Terms) -> Evidence:
    if not piece.samples:
        return piece  # nothing was picked, which refutes it
    one = piece.rule.startswith(RULES[1])
    level = 1 - terms.alpha / (len(piece.samples) if one else 1)
    shown = [with_interval(side_again(piece, row), terms, level) for row in range(len(piece.samples))]
    samples = tuple(
        replace(sample, measure=f"firing rate of {piece.statement.split(' fires ')[0]}") for sample, _ in shown
    )
    fires = piece.statement.split(" on every ")[0]
    rates = [f"{number(sample.mean, SHARE)} of {sample.label}" for sample in samples[: 1 if one else 2]]
    judge = partial(judged_signature, unknown=()) if one else judged_separation
    judged = judge(f"{fires} on {' and '.join(rates)} prompts", piece.n_units, samples)
    reason = piece.reason if piece.reason.startswith(judged[1]) else judged[1]
    deciding = len(shown) if one else 2
    known = [len(sample.values) for sample in samples[:deciding] if sample.values]
    estimate = None if one else samples[0].mean - samples[1].mean
    units = tuple(unit for _, of_side in shown[:deciding] for unit in of_side)
    again = replace(piece, outcome=judged[0], reason=reason, rule=RULES[1 if one else 2], estimate=estimate)
    again = replace(again, level=level, samples=samples, unit_values=units)
    return replace(again, n_units=tuple(known)) if len(known) == deciding else again


def _exclusive(piece: Evidence, terms: Terms) -> Evidence:
    if piece.p is None:
        return piece
    counts = [count for _, count in piece.patterns]
    if sum(counts) > MOST_FEATURES:
        raise ValueError(f"{sum(counts):,} features fire, more than a dictionary has")
    fires = np.array([[bit == "1" for bit in bits] for bits, _ in piece.patterns], dtype=bool).repeat(counts, axis=0).T
    a, b = fires[: piece.n_units[0]], fires[piece.n_units[0] :]
    alone = [int((on.any(axis=0) & ~off.any(axis=0)).sum()) for on, off in ((a, b), (b, a))]
    samples = tuple(replace(sample, mean=float(mean)) for sample, mean in zip(piece.samples, alone, strict=True))
    distinct = zip(piece.unit_values, fires.sum(axis=1), strict=True)
    base = replace(
        piece,
        samples=samples,
        estimate=float(alone[0] - alone[1]),
        unit_values=tuple(replace(unit, value=float(value)) for unit, value in distinct),
    )
    tested = counted(base, a, b, terms, paired=piece.units == "topics")
    return judged_counts(tested, piece.needed)


def _scan(piece: Evidence, terms: Terms) -> Evidence:
    if not piece.parts:
        return piece
    n = piece.parts[0].n_units[0]
    values = np.array([[unit.value for unit in part.unit_values] for part in piece.parts]).T
    rates = Rates(yes=values[:n], no=values[n:], names=(), paired=piece.units == "topics, paired", scope="")
    tests = [rates.above(row, alpha=terms.alpha, seed=terms.seed) for row in range(len(piece.parts))]
    adjusted, parts = q_values([p for p, _ in tests]), list[Evidence]()
    for row, (part, (p, test), q) in enumerate(zip(piece.parts, tests, adjusted, strict=True)):
        means = float(rates.yes[:, row].mean()), float(rates.no[:, row].mean())
        measure = f"firing rate of {part.statement.split(' fires ')[0]}"
        sides = tuple(
            replace(sample, mean=mean, measure=measure) for sample, mean in zip(part.samples, means, strict=True)
        )
        reason = f"{against(*means, SHARE)}, {p_value(p)} ({p_value(q)} adjusted for {len(adjusted)} picked)"
        outcome = "supported" if q < terms.alpha / 2 else "inconclusive"
        again = replace(part, outcome=outcome, reason=reason, estimate=means[0] - means[1], p=p, alpha=terms.alpha)
        rule = part.rule if part.rule.endswith(test.rule) else test.rule
        again = replace(again, samples=sides, n_units=(n, len(values) - n), units=rates.units, rule=rule)
        parts.append(replace(again, test=f"{test.name} ({rates.units}), one-sided", seed=test.seed))
    confirmed = sum(map(bool, parts))
    outcome = verdict_of(piece.controls, "")[0] if confirmed else "inconclusive"
    best = parts[int(np.argmin(adjusted))]
    test = f"{best.test}; Benjamini-Hochberg over {len(parts)} features"
    again = replace(piece, parts=tuple(parts), n_units=best.n_units, test=test, seed=best.seed)
    return replace(again, estimate=float(confirmed), p=min(adjusted), outcome=outcome)


def _clusters(piece: Evidence, terms: Terms) -> Evidence:
    if piece.p is None:
        return piece
    names, count = [unit.side for unit in piece.unit_values], len(piece.samples)
    labels = np.array([[sample.label for sample in piece.samples].index(name) for name in names])
    distances = np.zeros((len(labels), len(labels)))
    for unit, row in enumerate(piece.distances, start=1):
        distances[unit, :unit] = distances[:unit, unit] = row
    values, within = silhouettes(distances, labels[None])[0], count if piece.units == "topics" else None
    found = relabel(distances, labels, within=within, alpha=terms.alpha, seed=terms.seed)
    by_style = [values[labels == index] for index in range(count)]
    level = 1 - 2 * terms.alpha
    samples = tuple(
        replace(sample, mean=float(of.mean()), interval=interval_of(of, level))
        for sample, of in zip(piece.samples, by_style, strict=True)
    )
    silhouette = zip(piece.unit_values, values.tolist(), strict=True)
    again = replace(
        piece,
        estimate=float(values.mean()),
        level=level,
        p=found.p,
        one_sided=max(found.p, *map(above_zero, by_style)),
        test=found.name,
        rule=piece.rule if piece.rule.endswith(found.rule("The mean silhouette")) else found.name,
        seed=found.seed,
        n_units=tuple(np.bincount(labels).tolist()),
        samples=samples,
        unit_values=tuple(replace(unit, value=value) for unit, value in silhouette),
    )
    return judged_clusters(again, f"mean silhouette {values.mean():.2f}, {p_value(found.p)}", within, terms.alpha)


AGAIN: Final[dict[Kind, Callable[[Evidence, Terms], Evidence]]] = {
    **OF_VALUES,
    "separation": _separation,
    "exclusive": _exclusive,
    "scan": _scan,
    "clusters": _clusters,
}

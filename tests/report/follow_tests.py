"""Units and tests of a report again from its values: relabelings are gone through, or drawn as the rule says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from math import inf, sqrt
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t, ttest_ind

Json = dict[str, Any]
Values = np.ndarray
Test = Callable[[float], float]
"""The p that is left once a shift is taken off the first side."""
TIE = 1e-9
NEAR = 1e-6
FEW = 50_000  # relabelings that are gone through one by one
FEWEST = 80  # relabelings of two groups that are gone through at all


def same(given: Any, found: Any) -> bool:
    """Say whether two numbers, lists or words are the same but for rounding."""
    if found is None or given is None or isinstance(found, str):
        return given == found
    return np.shape(given) == np.shape(found) and bool(np.allclose(given, found, rtol=1e-7, atol=1e-9))


def values_of(held: Json) -> list[float]:
    """Give the unit values of evidence or of a control."""
    return held["unit_values"]["value"]


def samples_of(evidence: Json, report: Json) -> list[Json]:
    """Give the samples of a piece of evidence."""
    return [report["samples"][row] for row in evidence["samples"]]


def parts_of(evidence: Json, report: Json) -> list[Json]:
    """Give the parts of a piece of evidence."""
    return [report["evidence"][row] for row in evidence["parts"]]


# units


def wordings(evidence: Json) -> dict[str, str]:
    """Map each near copy to the wording that it counts for, unless both are units."""
    names = evidence["unit_values"]["unit"]
    merged: Iterator[list[str]] = (
        group
        for group in evidence["copies"]
        if not any(name == one or name.endswith(f": {one}") for one in group[1:] for name in names)
    )
    return {one: group[0] for group in merged for one in group}


def means(
    sample: Json, report: Json, what: str, evidence: Json, values: Sequence[float] | None = None
) -> dict[str, float]:
    """Take the mean of each topic, or of each wording, where near copies count alike."""
    column: list[str] = report["prompts"][what]
    first = wordings(evidence) if what == "template" else {}
    groups: dict[str, dict[str, list[float]]] = {}
    for place, value in zip(sample["prompts"], sample["values"] if values is None else values, strict=True):
        name = column[place]
        groups.setdefault(first.get(name, name), {}).setdefault(name, []).append(value)
    return {name: float(np.mean([np.mean(one) for one in of.values()])) for name, of in groups.items()}


def raised(evidence: Json) -> tuple[float, float]:
    """Read by what the values of the second side are taken, and what is added."""
    found = re.search(r"taken times (\S+) and plus (\S+)$", evidence["rule"])
    return (1.0, 0.0) if found is None else (float(found[1]), float(found[2]))


def beside(evidence: Json) -> tuple[str, float]:
    """Read on which side of what number the sentence puts something."""
    asked = re.search(r" ([<>]) (-?[\d.]+)", evidence["statement"])
    if asked is None:
        raise ValueError(evidence["statement"])
    return asked[1], float(asked[2])


def units_of_two(evidence: Json, report: Json, times: float | None = None) -> list[float]:
    """Give the unit values again from the values of both sides."""
    (a, b), prompts = samples_of(evidence, report), report["prompts"]
    by, plus = raised(evidence) if times is None else (times, 0.0)
    values = [a["values"], [by * value + plus for value in b["values"]]]
    by_topic = [means(side, report, "topic", evidence, of) for side, of in zip((a, b), values, strict=True)]
    shared = sorted(set(by_topic[0]) & set(by_topic[1]))
    of_topics = [by_topic[0][topic] - by_topic[1][topic] for topic in shared]
    if evidence["units"] == "topics, paired":
        return of_topics
    if "paired" in evidence["units"]:
        of_a, of_b = (means(side, report, "template", evidence, of) for side, of in zip((a, b), values, strict=True))
        of_templates = [of_a[name] - of_b[name] for name in of_a]
    else:
        level = {topic: (by_topic[0][topic] + by_topic[1][topic]) / 2 for topic in shared}
        centre, of_templates = float(np.mean(list(level.values()))), list[float]()
        for side, of in zip((a, b), values, strict=True):
            pairs = [
                (place, value - level[topic] + centre)
                for place, value in zip(side["prompts"], of, strict=True)
                if (topic := prompts["topic"][place]) in level
            ]
            there = {**side, "prompts": [place for place, _ in pairs]}
            of_templates += means(there, report, "template", evidence, [value for _, value in pairs]).values()
    return of_templates + of_topics if evidence["units"].startswith("templates and") else of_templates


def units_of_one(evidence: Json, report: Json) -> list[float]:
    """Give the unit values of a single side."""
    what = evidence["units"].removesuffix("s")
    return list(means(samples_of(evidence, report)[0], report, what, evidence).values())


# tests


class Shuffle(NamedTuple):
    """What a rule says of one test: what was compared, how often it was as large, and how draws are made again."""

    compared: str
    reached: int
    ways: int
    seed: int | None
    size: int

    @property
    def directed(self) -> bool:
        """Say whether p is twice the share of one direction."""
        return "in the direction found" in self.compared

    def p(self, reached: float) -> float:
        """Give p of so many ways; drawn ones have the labels as observed beside them."""
        own = int(self.seed is not None)
        return min(1.0, (1 + self.directed) * (reached + own) / (self.ways + own))


def shuffles(rule: str) -> list[Shuffle]:
    """Read from a rule what was shuffled, one test after another; of few relabelings just their number counts."""
    rule = re.sub(
        r"2 of (\d+) relabelings are always as large", r"labels came out at least as large in 2 of \1 ways", rule
    )
    rule = rule.replace("Fewer than 4 units on a side", "labels came out at least as large in 1 of 1 ways")
    found = re.findall(
        r"([^.;:]*)(?:; shuffled: [^;]*; it)? came out at least as large in ([\d,]+) of ([\d,]+) ways(?: \([^)]*\))?"
        r"(?:, drawn by numpy\.random\.default_rng\((\d+)\)\.random\(\((\d+), (\d+)\)\))?",
        rule,
    )
    return [
        Shuffle(
            compared.strip(),
            int(reached.replace(",", "")),
            int(ways.replace(",", "")),
            int(seed) if seed else None,
            int(size or 0),
        )
        for compared, reached, ways, seed, _, size in found
    ]


def arrangements(labels: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Put labels in every order that differs."""
    if not labels:
        yield ()
    for label in sorted(set(labels)):
        rest = list(labels)
        rest.remove(label)
        yield from ((label, *others) for others in arrangements(rest))


def dealt(runs: Sequence[Sequence[int]], by: Shuffle) -> Values:
    """Deal the labels anew inside each run, `[ways, units]`."""
    if by.seed is None:
        found = np.zeros((1, 0), dtype=np.int64)
        for run in runs:
            some = np.array(list(arrangements(run)))
            found = np.hstack([np.repeat(found, len(some), axis=0), np.tile(some, (len(found), 1))])
        return found
    keys, parts = np.random.default_rng(by.seed).random((by.ways, by.size)), list[Values]()
    for run in runs:
        own, keys = keys[:, : len(run)], keys[:, len(run) :]
        parts.append(np.array(run)[np.argsort(own, axis=1)])
    return np.hstack(parts)


@cache
def _ways(n: int, n_a: int) -> Values:
    every: Values = np.arange(1 << n)
    return every[np.bitwise_count(every) == n_a]


def slack(*groups: Values) -> float:
    """How far two means may lie apart and be the same but for rounding."""
    return 1e-12 * max(1.0, *(float(np.abs(group).max()) for group in groups))


def of_groups(
    a: Values, b: Values, by: Shuffle, pairs: Sequence[Sequence[int]] = (), topics: Values | None = None
) -> Test:
    """Shuffle which units are of the first side, within pairs and among the rest; signs of topics are turned too.

    Fewer relabelings than 80 say no more than that 2 of them are as large.
    """
    if by.ways < FEWEST and not pairs and topics is None:
        return lambda _shift: min(1.0, 2 / by.ways)
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    order = [unit for pair in pairs for unit in (pair[0], len(a) + pair[1])]
    order += [unit for unit in range(len(a)) if unit not in first]
    order += [len(a) + unit for unit in range(len(b)) if unit not in second]
    rest = [len(a) - len(pairs), len(b) - len(pairs)]
    runs = [[1, 0]] * len(pairs) + [[1] * rest[0] + [0] * rest[1]]
    n, n_a, n_b = len(a) + len(b), len(a), len(b)
    if by.seed is None and not by.directed:
        ways = _ways(n, n_a)

        def counted(shift: float) -> float:
            moved = np.concatenate([a - shift, b])
            sums = sum(value * (ways >> unit & 1) for unit, value in enumerate(moved))
            contrasts = sums / n_a - (moved.sum() - sums) / n_b
            return by.p(int((np.abs(contrasts) >= abs(moved[:n_a].mean() - moved[n_a:].mean()) - TIE).sum()))

        return counted
    labels = dealt(runs + [[1, 0]] * (0 if topics is None else len(topics)), by)
    turned = np.zeros(len(labels))
    if topics is not None:
        centred = (topics - topics.mean()) * sqrt(len(topics) / (len(topics) - 1))
        turned = np.where(labels[:, n::2] == 1, 1.0, -1.0) @ centred / len(topics)
    labels = labels[:, :n]

    def directed(shift: float) -> float:
        moved = np.concatenate([a - shift, b])[order]
        sums, total = labels @ moved, moved.sum()
        apart = a.mean() - shift - b.mean()
        side, of = 1 if apart >= 0 else -1, sums / n_a - (total - sums) / n_b
        if by.compared.startswith("Welch"):
            squares = labels @ moved**2
            others = (moved**2).sum() - squares, total - sums
            variance = (squares - sums**2 / n_a) / (n_a - 1) / n_a + (others[0] - others[1] ** 2 / n_b) / (
                n_b - 1
            ) / n_b
            of = of / np.sqrt(np.maximum(variance, 1e-300))
            apart /= sqrt(a.var(ddof=1) / n_a + b.var(ddof=1) / n_b)
        return by.p(int((side * (of + turned) >= abs(apart) * (1 - TIE) - slack(a, b)).sum()))

    return directed


def of_flips(of: Values, by: Shuffle, topics: Values | None = None) -> Test:
    """Turn the signs of differences, in all ways by halves of them, or as drawn."""
    if by.seed is None and not by.directed:
        half = len(of) // 2

        def counted(shift: float) -> float:
            moved = of - shift
            first, second = (
                np.sort(
                    np.array([0.0])
                    if not len(part)
                    else np.sum(np.meshgrid(*np.stack([part, -part], axis=1)), axis=0).ravel()
                )
                for part in (moved[:half], moved[half:])
            )
            far = abs(moved.sum()) - len(of) * slack(of)
            low: Values = np.searchsorted(second, -far - first, side="right")
            high: Values = len(second) - np.searchsorted(second, far - first)
            return by.p(int(low.sum() + high.sum()) if far > 0 else by.ways)

        return counted
    labels = dealt([[1, 0]] * (len(of) + (0 if topics is None else len(topics))), by)
    signs = np.where(labels[:, ::2] == 1, 1.0, -1.0)
    turned = np.zeros(len(signs))
    if topics is not None:
        centred = (topics - topics.mean()) * sqrt(len(topics) / (len(topics) - 1))
        turned = signs[:, len(of) :] @ centred / len(topics)

    def directed(shift: float) -> float:
        moved = of - shift
        side = 1 if moved.mean() >= 0 else -1
        far = side * (signs[:, : len(of)] @ moved / len(of) + turned)
        return by.p(int((far >= abs(moved.mean()) * (1 - TIE) - slack(of)).sum()))

    return directed


def welch(a: Values, b: Values) -> Test:
    """Test by Welch's t, and not at all with fewer than 4 units on a side."""
    if min(len(a), len(b)) < 4:
        return lambda _shift: 1.0
    if max(np.ptp(a), np.ptp(b)) <= TIE:  # t is infinite, but where they are equal
        return lambda shift: float(abs(a.mean() - shift - b.mean()) <= TIE)
    return lambda shift: float(ttest_ind(a - shift, b, equal_var=False).pvalue)


def flat(evidence: Json, report: Json, estimate: float) -> bool:
    """Say whether units without spread leave nothing to test; rates of which every value is 0 or 1 may have none."""
    values, n_a = np.array(values_of(evidence)), evidence["n_units"][0]
    sides = [values] if "paired" in evidence["units"] else [values[:n_a], values[n_a:]]
    every = [value for one in samples_of(evidence, report) for value in one["values"]]
    rates = not evidence["margin"] and set(every) <= {0.0, 1.0}
    return all(np.ptp(side) <= TIE for side in sides) and (not rates or abs(estimate) <= TIE)


def apart(shift: float, of_templates: float, topics: Values) -> float:
    """Give 1 where templates and topics differ in sign, else 0."""
    return float((of_templates - shift) * (topics.mean() - shift) <= 0)


def test_of_two(evidence: Json) -> Test:
    """The test that the rule describes, once a shift is taken off the first side."""
    return tested(np.array(values_of(evidence)), evidence)


def tested(values: Values, evidence: Json) -> Test:
    """The same of other unit values."""
    by, units, (n_a, n_b) = shuffles(evidence["rule"]), evidence["units"], (*evidence["n_units"], 0)[:2]
    pairs = [(one, other - n_a) for one, other in evidence["pairs"]]
    if units in ("topics, paired", "templates, paired", "draws"):
        return of_flips(values, by[0])
    if "paired" in units:
        of, topics = values[:n_a], values[n_a:]
        three = of_flips(of, by[0], topics), of_flips(of, by[1]), of_flips(topics, by[2])
        return lambda shift: max(apart(shift, of.mean(), topics), *(test(shift) for test in three))
    a, b, topics = values[:n_a], values[n_a : n_a + n_b], values[n_a + n_b :]
    if len(pairs) == n_a == n_b:
        return of_flips(np.array([a[one] - b[other] for one, other in pairs]), by[0])
    if pairs:
        return of_groups(a, b, by[0], pairs)
    if units == "templates":
        both = of_groups(a, b, by[0]), welch(a, b)
    else:
        both = of_groups(a, b, by[0], topics=topics), of_groups(a, b, by[1]), welch(a, b), of_flips(topics, by[2])
        both += (lambda shift: apart(shift, a.mean() - b.mean(), topics),)
    return lambda shift: max(test(shift) for test in both)


def ends(interval: Sequence[float] | None, p: Test, level: float) -> str | None:
    """Say whether p crosses one minus the level at both ends: None if so."""
    if interval is None:
        return None
    step = NEAR * (interval[1] - interval[0])
    for end, inward in zip(interval, (1, -1), strict=True):
        if not p(end + inward * step) >= 1 - level - TIE > p(end - inward * step):
            return f"no end at {end}"
    return None


# means with errors


class Contrast(NamedTuple):
    """A weighted sum of means with its standard error and degrees of freedom."""

    estimate: float
    error: float
    freedom: float

    def below(self) -> float:
        """Give the one-sided p of lying below zero."""
        return float(t.cdf(self.estimate / self.error, self.freedom))

    def above(self) -> float:
        """Give the one-sided p of lying above zero."""
        return float(t.sf(self.estimate / self.error, self.freedom))


Part = tuple[float, Values] | tuple[float, Contrast]


def added(*parts: Part) -> Contrast:
    """Add means, or contrasts, by their weights, each with a variance of its own (Satterthwaite)."""
    of = [(weight, one if isinstance(one, Contrast) else mean_of(one)) for weight, one in parts]
    variances = [(weight * one.error) ** 2 for weight, one in of]
    below = sum(v**2 / one.freedom for v, (_, one) in zip(variances, of, strict=True))
    estimate = sum(weight * one.estimate for weight, one in of)
    return Contrast(estimate, sqrt(sum(variances)), sum(variances) ** 2 / below if below else inf)


def mean_of(of: Values) -> Contrast:
    """Give a mean with its error."""
    return Contrast(float(of.mean()), float(of.std(ddof=1)) / sqrt(len(of)), len(of) - 1)


def counts_of(rows: Sequence[Any]) -> list[int]:
    """Count how often each thing stands in a list."""
    return list(Counter(rows).values())


def silhouettes(distances: Values, labels: Values) -> Values:
    """Give `(b - a) / max(a, b)` of each unit."""
    found: list[float] = []
    for unit, label in enumerate(labels):
        others = np.arange(len(labels)) != unit
        to = {name: float(distances[unit, others & (labels == name)].mean()) for name in set(labels)}
        own = to.pop(label)
        nearest = min(to.values())
        found.append((nearest - own) / max(nearest, own))
    return np.array(found)

"""A second reading of a report: every number and verdict again from its JSON, without saeprobe.

Small designs are gone through one relabeling after the other; what was drawn is drawn again as the rule says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, permutations, product
from math import atanh, comb, sqrt, tanh
from statistics import harmonic_mean
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import beta, bootstrap, false_discovery_control, pearsonr, skew, t

Json = dict[str, Any]
Prompts = Json
Test = Callable[[float], float]
"""The p that is left once a shift is taken off the first side."""
TIE = 1e-9
NEAR = 1e-6
DRAWN = 20_000


def complaints(report: Json) -> list[str]:
    """What does not follow from the report's own numbers; empty where all of it does."""
    found: list[str] = []
    for claim in report["claims"]:
        for probe in claim["probes"]:
            for row in probe["evidence"]:
                found += [f"{claim['id']}: {wrong}" for wrong in _of_evidence(report["evidence"][row], report)]
            word = _verdict(claim, probe, report)
            if probe["verdict"] != word:
                found.append(f"{claim['id']}: the verdict is {word}, not {probe['verdict']}")
    return found


def walk(rows: Sequence[int], report: Json) -> Iterator[Json]:
    """Give some rows of evidence and all their parts, not what controls compared."""
    for row in rows:
        yield report["evidence"][row]
        yield from walk(report["evidence"][row]["parts"], report)


def _samples(evidence: Json, report: Json) -> list[Json]:
    return [report["samples"][row] for row in evidence["samples"]]


def _parts(evidence: Json, report: Json) -> list[Json]:
    return [report["evidence"][row] for row in evidence["parts"]]


def _of_evidence(evidence: Json, report: Json) -> list[str]:
    inner = [*evidence["parts"], *(it["evidence"] for it in evidence["controls"] if it["evidence"] is not None)]
    found = [wrong for row in inner for wrong in _of_evidence(report["evidence"][row], report)]
    again: Json = _KINDS[evidence["kind"]](evidence, report)
    for name, value in again.items():
        if not _same(evidence[name], value):
            found.append(f"{evidence['statement']}: {name} is {value}, not {evidence[name]}")
    return found


def _same(given: Any, found: Any) -> bool:
    if found is None or given is None or isinstance(found, str):
        return given == found
    return np.shape(given) == np.shape(found) and bool(np.allclose(given, found, rtol=1e-7, atol=1e-9))


def _verdict(claim: Json, probe: Json, report: Json) -> str:
    outcomes = {report["evidence"][row]["outcome"] for row in probe["evidence"]}
    if not outcomes:
        return "broken"
    for word in ("refuted", "inconclusive", "explained"):
        if word in outcomes:
            return word
    run = {control["name"] for piece in walk(probe["evidence"], report) for control in piece["controls"]}
    if set(claim["controls"]) - run or any(row["measured"] is None for row in probe["published"]):
        return "broken"
    near = all(abs(row["measured"] - row["value"]) <= row["tolerance"] + TIE for row in probe["published"])
    return "supported" if near and not _turned(probe, report) else "drifted"


def _turned(probe: Json, report: Json) -> bool:
    """Whether two numbers that a comparison told apart are printed the other way round."""
    rows = {(row["label"], row["unit"], row["measured"]): row for row in probe["published"]}
    for piece in walk(probe["evidence"], report):
        keys = [(one["label"], one["unit"], one["mean"]) for one in _samples(piece, report)]
        both = sorted((rows[key] for key in keys if key in rows), key=lambda row: row["measured"])
        if piece["kind"] in ("greater", "at least", "exclusive") and len(both) == 2 and (piece["margin"] or 0) >= 0:
            lower, upper = both
            apart, rounded = lower["value"] - upper["value"], sum(row["rounding"] or 0 for row in both)
            if apart > TIE and apart >= rounded - TIE:
                return True
    return False


# units


def _means(sample: Json, prompts: Prompts, what: str, values: Sequence[float] | None = None) -> dict[str, float]:
    groups: dict[str, list[float]] = {}
    for place, value in zip(sample["prompts"], sample["values"] if values is None else values, strict=True):
        groups.setdefault(prompts[what][place], []).append(value)
    return {name: float(np.mean(group)) for name, group in groups.items()}


def _values(evidence: Json) -> list[float]:
    return evidence["unit_values"]["value"]


def _units_of_two(evidence: Json, report: Json) -> list[float]:
    """The unit values again from the values of both sides."""
    (a, b), prompts = _samples(evidence, report), report["prompts"]
    raised = re.search(r"taken times (\S+) and plus (\S+)$", evidence["rule"])
    times, plus = (1.0, 0.0) if raised is None else (float(raised[1]), float(raised[2]))
    values = [a["values"], [times * value + plus for value in b["values"]]]
    by_topic = [_means(side, prompts, "topic", of) for side, of in zip((a, b), values, strict=True)]
    shared = sorted(set(by_topic[0]) & set(by_topic[1]))
    of_topics = [by_topic[0][topic] - by_topic[1][topic] for topic in shared]
    if evidence["units"] == "topics, paired":
        return of_topics
    if "paired" in evidence["units"]:
        of_a, of_b = (_means(side, prompts, "template", of) for side, of in zip((a, b), values, strict=True))
        of_templates = [of_a[name] - of_b[name] for name in of_a]
    else:
        level = {topic: (by_topic[0][topic] + by_topic[1][topic]) / 2 for topic in shared}
        centre = float(np.mean(list(level.values())))
        of_templates = list[float]()
        for side, of in zip((a, b), values, strict=True):
            moved = [
                value - level.get(prompts["topic"][place], np.nan) + centre
                for place, value in zip(side["prompts"], of, strict=True)
            ]
            kept = [not np.isnan(value) for value in moved]
            there = {
                **side,
                "prompts": [place for place, keep in zip(side["prompts"], kept, strict=True) if keep],
            }
            rest = [value for value, keep in zip(moved, kept, strict=True) if keep]
            of_templates += _means(there, prompts, "template", rest).values()
    return of_templates + of_topics if evidence["units"].startswith("templates and") else of_templates


# tests


def _share(contrasts: np.ndarray, observed: float) -> float:
    return float(np.mean(np.abs(contrasts) >= abs(observed) - TIE))


def _permuted(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The difference of means under every relabeling."""
    both = np.concatenate([a, b])
    chosen = np.array([np.isin(np.arange(len(both)), it) for it in combinations(range(len(both)), len(a))])
    return (chosen @ both) / len(a) - (~chosen @ both) / len(b)


def _flipped(differences: np.ndarray) -> np.ndarray:
    return np.array(list(product((1.0, -1.0), repeat=len(differences)))) @ differences / len(differences)


def _drawn_permutations(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    both = np.concatenate([a, b])
    chosen = np.argsort(rng.random((DRAWN - 1, len(both)))) < len(a)
    return (chosen @ both) / len(a) - (~chosen @ both) / len(b)


def _drawn_flips(differences: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turned = rng.integers(0, 2, (DRAWN - 1, len(differences)), dtype=bool)
    return np.where(turned, -1.0, 1.0) @ differences / len(differences)


def _with_observed(contrasts: np.ndarray, observed: float) -> float:
    return _share(np.append(contrasts, observed), observed)


def _test_of_two(evidence: Json) -> Test:
    """The test that the evidence names, once a shift is taken off the first side."""
    values = np.array(_values(evidence))
    sampled, seed = "sampled" in evidence["test"], evidence["seed"]

    def of_flips(of: np.ndarray) -> Test:
        def p(shift: float) -> float:
            moved = of - shift
            if sampled and "crossed" not in evidence["test"] and len(of) > 18:
                return _with_observed(_drawn_flips(moved, np.random.default_rng(seed)), float(moved.mean()))
            return _share(_flipped(moved), float(moved.mean()))

        return p

    if evidence["units"] in ("topics, paired", "templates, paired", "draws"):
        return of_flips(values)
    n_a, n_b = evidence["n_units"]
    a, b, of_topics = values[:n_a], values[n_a : n_a + n_b], values[n_a + n_b :]
    if evidence["units"].endswith("pairs by frame"):
        return of_flips(_by_pair(values, evidence))

    def of_templates(shift: float) -> float:
        return _share(_permuted(a - shift, b), float(a.mean() - shift - b.mean()))

    if evidence["units"] == "templates":
        if sampled:
            return lambda shift: _with_observed(
                _drawn_permutations(a - shift, b, np.random.default_rng(seed)), float(a.mean() - shift - b.mean())
            )
        return of_templates
    count = len(of_topics)
    centred = (of_topics - of_topics.mean()) * sqrt(count / (count - 1))

    def of_both(shift: float) -> float:
        rng = np.random.default_rng(seed)
        drawn = _drawn_permutations(a - shift, b, rng) + _drawn_flips(centred, rng)
        return _with_observed(drawn, float(a.mean() - shift - b.mean()))

    alone = of_flips(of_topics)
    return lambda shift: max(of_both(shift), of_templates(shift), alone(shift))


def _by_pair(values: np.ndarray, evidence: Json) -> np.ndarray:
    """The difference of each pair, where every unit has a partner."""
    assert sorted(np.ravel(evidence["pairs"])) == list(range(sum(evidence["n_units"])))
    return np.array([values[first] - values[second] for first, second in evidence["pairs"]])


def _ends(interval: Sequence[float] | None, p: Test, level: float) -> str | None:
    """Whether p crosses one minus the level at both ends: None if so."""
    if interval is None:
        return None
    step = NEAR * (interval[1] - interval[0])
    for end, inward in zip(interval, (1, -1), strict=True):
        if not p(end + inward * step) >= 1 - level - TIE > p(end - inward * step):
            return f"no end at {end}"
    return None


# kinds


def _greater(evidence: Json, report: Json) -> Json:
    if evidence["p"] is None:
        return {"outcome": "inconclusive"}
    if evidence["test"].endswith("one-sided"):
        return _of_scan(evidence)
    if evidence["units"] == "random sets":
        return _among_sets(evidence, report)
    again: Json = {}
    if evidence["samples"]:
        again["unit_values"] = _units_of_two(evidence, report)
    p = _test_of_two(evidence)
    n = evidence["n_units"]
    values = np.array(_values(evidence))
    paired = "paired" in evidence["units"] or evidence["units"] == "draws"
    estimate = values[: n[0]].mean() - (0 if paired else values[n[0] : sum(n)].mean())
    again |= {"p": p(0.0), "estimate": float(estimate)}
    alpha = evidence["alpha"]
    if again["p"] >= alpha or np.ptp(values) <= TIE:
        outcome = "inconclusive"
    else:
        outcome = "refuted" if estimate < 0 else _controlled(evidence)
    return _with_interval(evidence, {**again, "outcome": outcome}, p)


def _among_sets(evidence: Json, report: Json) -> Json:
    """Rank the steered arm among random sets, and take the larger p of the rank and of the part."""
    (part,), (arm, unsteered, *sets) = _parts(evidence, report), _values(evidence)
    side = 1 if evidence["samples"][0] == part["samples"][0] else -1
    raised = re.search(r"taken times (\S+) and plus (\S+)$", evidence["rule"])
    times, plus = (1.0, 0.0) if raised is None else (float(raised[1]), float(raised[2]))
    beyond = [arm - times * one - plus if side > 0 else one - times * arm - plus for one in sets]
    ranks = [(1 + sum(way * one <= TIE for one in beyond)) / (1 + len(sets)) for way in (1, -1)]
    in_part = part["p"] / 2 if part["estimate"] > 0 else 1 - part["p"] / 2
    half = sum(side * (one - unsteered) >= side * (arm - unsteered) / 2 - TIE for one in sets)
    by_chance = sum(comb(len(sets), count) for count in range(half, len(sets) + 1)) / 2 ** len(sets)
    low, holds = evidence["alpha"] / 2, part["outcome"] == "supported"
    behind = 2 * sum(one <= TIE for one in beyond) >= len(sets)
    if holds and ranks[0] < low:
        outcome = "supported"
    elif holds and by_chance <= 0.01:
        outcome = "explained"
    else:
        contrary = (part["outcome"] == "refuted" and behind) or (ranks[1] < low and part["estimate"] <= 0)
        outcome = "refuted" if contrary else "inconclusive"
    return {"p": min(1.0, 2 * max(ranks[0], in_part)), "outcome": outcome}


def _with_interval(evidence: Json, again: Json, p: Test) -> Json:
    """Add what is wrong with the interval and the unit values to the numbers found again."""
    wrong = _ends(evidence["interval"], p, evidence["level"])
    if wrong is not None:
        again["interval"] = wrong
    if "unit_values" in again:
        values = again.pop("unit_values")
        if not _same(_values(evidence), values):
            again["unit_values"] = str(values)
    return again


def _controlled(evidence: Json) -> str:
    answers = {_answer(control, evidence) for control in evidence["controls"]}
    outcomes = {"explains": "explained", "cannot tell": "inconclusive"}
    wrong = answers - {"withstood", *outcomes}
    return next(iter((*wrong, *(outcomes[answer] for answer in outcomes if answer in answers))), "supported")


def _answer(control: Json, evidence: Json) -> str:
    """Work out what a control answers, from the units of the claim and its own."""
    if control["p"] is None:
        return "cannot tell"
    alpha, numbers = evidence["alpha"], dict(control["numbers"])
    n_a, n_b = evidence["n_units"]
    units = np.array(_values(evidence))
    a, b, own = units[:n_a], units[n_a : n_a + n_b], np.array(_values(control))
    if not numbers:
        p, left, of_half = evidence["p"] / 2, float(a.mean() - b.mean()), 1.0
    elif control["name"] == "activity":  # single firings are not in the report
        p, left = control["p"], numbers["estimate of L"]
        of_half = float(t.cdf(numbers["estimate of C"] / numbers["error of C"], numbers["df of C"]))
    else:
        both = {"length": _at_equal_length, "wording": _without_words, "injection": _beside_words}
        (left, error, freedom), (half, of_c, of_half_freedom) = both[control["name"]](a, b, own, evidence, control)
        p = float(t.sf(left / error, freedom))
        of_half = float(t.cdf(half / of_c, of_half_freedom))
        if control["name"] == "wording":
            n_free = sum(unit in control["unit_values"]["unit"] for unit in evidence["unit_values"]["unit"][:n_a])
            p = max(p, _share(_permuted(own[:n_free], own[n_free:]), left) / 2)
    if not (_same(control["p"], p) and _same(control["estimate"], left) and _same(numbers.get("p of C", 1.0), of_half)):
        return f"{control['name']} leaves {left} with p = {p} and {of_half}"
    return "withstood" if p < alpha else "explains" if of_half < 0.02 else "cannot tell"


Contrast = tuple[float, float, float]
Values = np.ndarray


def _at_equal_length(a: Values, b: Values, own: Values, _evidence: Json, _control: Json) -> tuple[Contrast, Contrast]:
    """Analysis of covariance of as many units a side."""
    n = len(a)
    x = np.concatenate([own[:n] - own[:n].mean(), own[n:] - own[n:].mean()])
    y = np.concatenate([a - a.mean(), b - b.mean()])
    slope, gap = float(x @ y / (x @ x)), float(own[:n].mean() - own[n:].mean())
    variance = float(((y - slope * x) ** 2).sum()) / (2 * n - 3)
    of_effect, of_rival = variance * 2 / n, gap**2 * variance / float(x @ x)
    effect, made = float(a.mean() - b.mean()), slope * gap
    return (
        (effect - made, sqrt(of_effect + of_rival), 2 * n - 3),
        (effect / 2 - made, sqrt(of_effect / 4 + of_rival), 2 * n - 3),
    )


def _added(*parts: tuple[float, Values]) -> Contrast:
    """Means by their weights, each with the variance of its own units (Satterthwaite)."""
    variances = [weight**2 * float(of.var(ddof=1)) / len(of) for weight, of in parts]
    freedom = sum(variances) ** 2 / sum(v**2 / (len(of) - 1) for v, (_, of) in zip(variances, parts, strict=True))
    return sum(weight * float(of.mean()) for weight, of in parts), sqrt(sum(variances)), freedom


def _without_words(a: Values, b: Values, _own: Values, evidence: Json, control: Json) -> tuple[Contrast, Contrast]:
    """The free units alone, and these less half of all."""
    free = np.array([unit in control["unit_values"]["unit"] for unit in evidence["unit_values"]["unit"]])
    sides = [(1, a, free[: len(a)]), (-1, b, free[len(a) : len(a) + len(b)])]
    parts: list[tuple[float, Values]] = []
    for sign, of, is_free in sides:
        parts += [(sign * (1 - is_free.sum() / len(of) / 2), of[is_free])]
        parts += [(-sign * (~is_free).sum() / len(of) / 2, of[~is_free])]
    return _added(*((sign, of[is_free]) for sign, of, is_free in sides)), _added(*parts)


def _beside_words(a: Values, b: Values, own: Values, evidence: Json, _control: Json) -> tuple[Contrast, Contrast]:
    if evidence["pairs"]:
        pairs = _by_pair(np.append(a, b), evidence)
        return _added((1, pairs), (-1, own)), _added((0.5, pairs), (-1, own))
    return _added((1, a), (-1, b), (-1, own)), _added((0.5, a), (-0.5, b), (-1, own))


def _equal(evidence: Json, report: Json) -> Json:
    p, margin, alpha = _test_of_two(evidence), evidence["margin"], evidence["alpha"]
    n_a, _ = evidence["n_units"]
    values = np.array(_values(evidence))
    found = float(values.mean() if "paired" in evidence["units"] else values[:n_a].mean() - values[n_a:].mean())

    def one_sided(at: float, side: int) -> float:
        return p(at) / 2 if side * (found - at) > 0 else 1 - p(at) / 2

    inside = max(one_sided(-margin, 1), one_sided(margin, -1))
    outside = min(one_sided(-margin, -1), one_sided(margin, 1))
    outcome = "supported" if inside < alpha else "refuted" if outside < alpha else "inconclusive"
    units = _units_of_two(evidence, report)
    return _with_interval(evidence, {"p": inside, "estimate": found, "outcome": outcome, "unit_values": units}, p)


def _one_side(evidence: Json, report: Json) -> list[float]:
    return list(_means(_samples(evidence, report)[0], report["prompts"], evidence["units"].removesuffix("s")).values())


def _beside(evidence: Json) -> tuple[str, float]:
    asked = re.search(r" ([<>]) (-?[\d.]+)", evidence["statement"])
    if asked is None:
        raise ValueError(evidence["statement"])
    return asked[1], float(asked[2])


def _bound(evidence: Json, report: Json) -> Json:
    sign, bound = _beside(evidence)
    values = np.array(_values(evidence))

    def p(shift: float) -> float:
        return max(_share(_flipped(values - shift), float(values.mean()) - shift), _of_skewed(values - shift))

    outcome = "inconclusive"
    if p(bound) < evidence["alpha"]:
        outcome = "supported" if (values.mean() > bound) == (sign == ">") else "refuted"
    again = {"p": p(bound), "outcome": outcome, "unit_values": _one_side(evidence, report)}
    return _with_interval(evidence, again, p)


def _of_skewed(values: np.ndarray) -> float:
    """Give Hall's two-sided p of a mean of zero, which is 1 where the skewness turns its sign."""
    n, far, g = len(values), float(values.mean() / values.std(ddof=1)), float(skew(values))
    at = sqrt(n) * (far + g * far**2 / 3 + g**2 * far**3 / 27 + g / (6 * n))
    return 2 * float(t.sf(abs(at), n - 1)) if at * far > 0 else 1.0


def _rate_above(values: np.ndarray, prompts: float, bound: float, tail: float) -> float:
    """Give the smaller p of the units as trials, and of an effective number of trials with one more unit made up."""
    successes, n = float(values.sum()), len(values)
    exact = float(beta.cdf(bound, successes, n - successes + 1)) if successes else 1.0
    if prompts == 1 or not successes:
        return exact
    deviation = sqrt(bound * (1 - bound))
    units = np.append(values, max(0.0, min(bound - deviation / 2, 0.25), min(bound - 1.25 * deviation, 0.55)))
    rate, spread, trials = units.mean(), units.var(ddof=1) / (n + 1), (n + 1) * prompts
    effective = min(trials, rate * (1 - rate) / spread) if spread else trials
    effective *= (t.ppf(1 - tail, trials - 1) / t.ppf(1 - tail, n)) ** 2
    return min(exact, float(beta.cdf(bound, rate * effective, effective - rate * effective + 1)))


def _lower_end(values: np.ndarray, prompts: float, tail: float) -> float:
    """Give the bound at which the p of what is above it is `tail`; 0 where nothing shows it."""
    if not values.any():
        return 0.0
    return float(brentq(lambda bound: _rate_above(values, prompts, bound, tail) - tail, 1e-9, 1 - 1e-9))


def _rate(evidence: Json, report: Json) -> Json:
    values, tail = _one_side(evidence, report), evidence["alpha"] / 2
    prompts = report["prompts"][evidence["units"].removesuffix("s")]
    each = Counter(prompts[it] for it in _samples(evidence, report)[0]["prompts"])
    units, read = np.array(values), harmonic_mean(list(each.values()))
    again: Json = {"interval": [_lower_end(units, read, tail), 1 - _lower_end(1 - units, read, tail)]}
    if not _same(_values(evidence), values):
        again["unit_values"] = str(values)
    if evidence["p"] is None:
        wanted = float(evidence["statement"].endswith("= 1 on each prompt"))
        holds = all(value == wanted for value in _samples(evidence, report)[0]["values"])
        return again | {"outcome": "supported" if holds else "refuted"}
    sign, bound = _beside(evidence)
    above, below = _rate_above(units, read, bound, tail), _rate_above(1 - units, read, 1 - bound, tail)
    p, contrary = (above, below) if sign == ">" else (below, above)
    return again | {"p": p, "outcome": "supported" if p < tail else "refuted" if contrary < tail else "inconclusive"}


def _whole(evidence: Json, report: Json) -> Json:
    outcomes = {part["outcome"] for part in _parts(evidence, report)}
    return {"outcome": next((word for word in ("refuted", "inconclusive") if word in outcomes), "supported")}


def _separation(evidence: Json, report: Json) -> Json:
    yes, no = _samples(evidence, report)
    units = [value for side in (yes, no) for value in _means(side, report["prompts"], "template").values()]
    again: Json = {"outcome": "supported" if all(yes["values"]) and not any(no["values"]) else "refuted"}
    if not _same(_values(evidence), units):
        again["unit_values"] = str(units)
    return again


def _exclusive(evidence: Json, _report: Json) -> Json:
    n_a, n_b = evidence["n_units"]
    fires = np.array([[bit == "1" for bit in row] for row in evidence["patterns"]["fires"]]).T
    counts = np.array(evidence["patterns"]["features"])
    units = n_a + n_b

    def differ(first: np.ndarray) -> int:
        return int(counts @ fires[first].any(axis=0)) - int(counts @ fires[~first].any(axis=0))

    observed = differ(np.arange(units) < n_a)
    rng, seed = np.random.default_rng(evidence["seed"]), evidence["seed"]
    if evidence["units"] == "topics":
        deals = [np.array([*keep, *(not it for it in keep)]) for keep in product((True, False), repeat=n_a)]
    elif seed is None:
        deals = [np.isin(np.arange(units), it) for it in combinations(range(units), n_a)]
    else:
        deals = list(np.argsort(rng.random((4_999, units)), axis=1) < n_a)
    reached = sum(abs(differ(deal)) >= abs(observed) for deal in deals)
    p = reached / len(deals) if seed is None else (reached + 1) / (len(deals) + 1)
    outcome = "inconclusive"
    if p < evidence["alpha"]:
        outcome = "refuted" if observed < 0 else _controlled(evidence)
    again: Json = {"p": p, "estimate": observed, "outcome": outcome}
    if not _same(_values(evidence), fires @ counts):
        again["unit_values"] = str(fires @ counts)
    return again


def _silhouettes(distances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    found: list[float] = []
    for unit, label in enumerate(labels):
        others = np.arange(len(labels)) != unit
        to = {name: float(distances[unit, others & (labels == name)].mean()) for name in set(labels)}
        own = to.pop(label)
        nearest = min(to.values())
        found.append((nearest - own) / max(nearest, own))
    return np.array(found)


def _clusters(evidence: Json, _report: Json) -> Json:
    labels = np.array(evidence["unit_values"]["side"])
    distances = np.zeros((len(labels), len(labels)))
    for unit, row in enumerate(evidence["distances"], start=1):
        distances[unit, :unit] = distances[:unit, unit] = row
    values = _silhouettes(distances, labels)
    first = labels == labels[0]
    deals = [np.isin(np.arange(len(labels)), it) for it in combinations(range(len(labels)), int(first.sum()))]
    reached = sum(_silhouettes(distances, deal).mean() >= values.mean() - TIE for deal in deals)
    again: Json = {"p": reached / len(deals), "estimate": float(values.mean())}
    if not _same(_values(evidence), values):
        again["unit_values"] = str(values)
    lows = [_bca(values[labels == name], evidence["level"], evidence["seed"])[0] for name in set(labels)]
    holds = again["p"] < evidence["alpha"] and min(lows) > 0
    return again | {"outcome": _controlled(evidence) if holds else "inconclusive"}


def _bca(values: np.ndarray, level: float, seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    made = bootstrap((values,), np.mean, confidence_level=level, method="BCa", n_resamples=4_999, rng=rng)
    return float(made.confidence_interval.low), float(made.confidence_interval.high)


def _of_scan(evidence: Json) -> Json:
    """One feature: one-sided, where both sides have as many units; its outcome follows with the others'."""
    n_a, _ = evidence["n_units"]
    values = np.array(_values(evidence))
    a, b = values[:n_a], values[n_a:]
    return {"p": float(np.mean(_permuted(a, b) >= a.mean() - b.mean() - TIE)), "estimate": float(a.mean() - b.mean())}


def _scan(evidence: Json, report: Json) -> Json:
    adjusted = false_discovery_control([part["p"] for part in _parts(evidence, report)])
    found = adjusted < evidence["alpha"]
    if [part["outcome"] == "supported" for part in _parts(evidence, report)] != found.tolist():
        return {"outcome": "parts that do not follow"}
    return {
        "p": float(adjusted.min()),
        "estimate": int(found.sum()),
        "outcome": _controlled(evidence) if found.any() else "inconclusive",
    }


def _correlation(evidence: Json, report: Json) -> Json:
    (a, b), prompts = _samples(evidence, report), report["prompts"]
    sign, bound = _beside(evidence)
    names = list(dict.fromkeys(evidence["unit_values"]["unit"]))
    of = np.array([names.index(f"{prompts['style'][it]}: {prompts['template'][it]}") for it in a["prompts"]])
    x, y = np.array(a["values"]), np.array(b["values"])
    places = [np.flatnonzero(of == unit) for unit in range(len(names))]

    def r(units: np.ndarray) -> float:
        chosen = np.concatenate([places[int(unit)] for unit in units])
        return float(pearsonr(x[chosen], y[chosen]).statistic)

    every = np.arange(len(names))
    z, count = atanh(r(every)), len(names)
    without = [atanh(r(np.delete(every, unit))) for unit in every]
    error = float(np.std(without, ddof=1)) * (count - 1) / sqrt(count)
    reach = float(t.ppf((3 + evidence["level"]) / 4, count - 1)) * error
    centres = z, count * z - (count - 1) * float(np.mean(without))
    low, high = tanh(min(centres) - reach), tanh(max(centres) + reach)
    again: Json = {"estimate": r(every), "interval": [low, high]}
    holds, contrary = (low > bound, high < bound) if sign == ">" else (high < bound, low > bound)
    if bound == 0:
        grid = [np.array([of_all[place] for place in places]) for of_all in (x - x.mean(), y - y.mean())]
        reached = [float((grid[0] * grid[1][list(order)]).sum()) for order in permutations(range(len(names)))]
        side = 1 if sign == ">" else -1
        again["p"] = float(np.mean([side * it >= side * reached[0] - TIE for it in reached]))
        holds = holds and again["p"] < evidence["alpha"] / 2
    return again | {"outcome": "supported" if holds else "refuted" if contrary else "inconclusive"}


_KINDS: dict[str, Callable[[Json, Json], Json]] = {
    "greater": _greater,
    "at least": _greater,
    "about equal": _equal,
    "bound": _bound,
    "rate": _rate,
    "every": _whole,
    "ordering": _whole,
    "separation": _separation,
    "exclusive": _exclusive,
    "clusters": _clusters,
    "scan": _scan,
    "correlation": _correlation,
}

"""Each kind of evidence of a report again from its own numbers, by what its rule says."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import atanh, comb, log, sqrt, tanh
from statistics import harmonic_mean

import numpy as np
from follow_controls import among_sets, controlled, exclusive
from follow_tests import (
    TIE,
    Json,
    Shuffle,
    Test,
    Values,
    beside,
    counts_of,
    dealt,
    ends,
    flat,
    means,
    of_flips,
    of_groups,
    parts_of,
    same,
    samples_of,
    shuffles,
    silhouettes,
    test_of_two,
    tested,
    units_of_one,
    units_of_two,
    values_of,
    welch,
    wordings,
)
from scipy.optimize import brentq
from scipy.stats import beta, false_discovery_control, pearsonr, skew, t


def _greater(evidence: Json, report: Json) -> Json:
    if evidence["p"] is None:
        return {"outcome": evidence["outcome"] if evidence["interval"] else "inconclusive"}
    if evidence["test"].endswith("one-sided"):
        return _of_scan(evidence)
    if evidence["units"] == "random sets":
        return among_sets(evidence, report)
    again: Json = {"unit_values": units_of_two(evidence, report)}
    p, (n_a, n_b) = test_of_two(evidence), evidence["n_units"]
    values = np.array(values_of(evidence))
    estimate = values[:n_a].mean() - (0 if "paired" in evidence["units"] else values[n_a : n_a + n_b].mean())
    again |= {"p": p(0.0), "one_sided": p(0.0) / 2 if estimate > 0 else 1 - p(0.0) / 2, "estimate": float(estimate)}
    if again["p"] >= evidence["alpha"] or flat(evidence, report, estimate):
        outcome = "inconclusive"
    else:
        outcome = "refuted" if estimate < 0 else controlled(evidence, report)
    return _with_interval(evidence, {**again, "outcome": outcome}, p)


def _with_interval(evidence: Json, again: Json, p: Test) -> Json:
    """Add what is wrong with the interval, the unit values and the ways that were counted to what was found again."""
    wrong = ends(evidence["interval"], p, evidence["level"])
    if wrong is not None:
        again["interval"] = wrong
    return _with_units(evidence, again)


def _with_units(evidence: Json, again: Json) -> Json:
    values = again.pop("unit_values")
    if not same(values_of(evidence), values):
        again["unit_values"] = str(values)
    return again


def _equal(evidence: Json, report: Json) -> Json:
    if evidence["p"] is None:
        return {"outcome": evidence["outcome"] if evidence["interval"] else "inconclusive"}
    p, margin, alpha = test_of_two(evidence), evidence["margin"], evidence["alpha"]
    n_a, n_b = evidence["n_units"]

    def found(values: Values) -> float:
        return float(values[:n_a].mean() - (0 if "paired" in evidence["units"] else values[n_a : n_a + n_b].mean()))

    estimate = found(np.array(values_of(evidence)))
    low, high = ((p(at), estimate - at) for at in (-margin, margin))
    at_end = p
    if share := re.search(r"the first side against (\S+) and (\S+) times the second", evidence["rule"]):
        moved = [np.array(units_of_two(evidence, report, float(times))) for times in share.groups()]
        low, high = ((tested(of, evidence)(0.0), found(of)) for of in moved)
        edges = moved[high[1] > 0], moved[low[1] >= 0]

        def at_end(at: float) -> float:
            of = edges[at > estimate]
            return tested(of, evidence)(at - estimate + found(of))

    def one_sided(edge: tuple[float, float], side: int) -> float:
        return edge[0] / 2 if side * edge[1] > 0 else 1 - edge[0] / 2

    inside, outside = max(one_sided(low, 1), one_sided(high, -1)), min(one_sided(low, -1), one_sided(high, 1))
    outcome = "supported" if inside < alpha else "refuted" if outside < alpha else "inconclusive"
    outcome = outcome if evidence["interval"] else "inconclusive"
    units = units_of_two(evidence, report)
    return _with_interval(
        evidence, {"p": inside, "estimate": estimate, "outcome": outcome, "unit_values": units}, at_end
    )


def _bound(evidence: Json, report: Json) -> Json:
    if evidence["p"] is None:
        return {"outcome": "inconclusive"}
    sign, bound = beside(evidence)
    values = np.array(values_of(evidence))
    signs = of_flips(values, shuffles(evidence["rule"])[0])

    def p(shift: float) -> float:
        return max(signs(shift), _of_skewed(values - shift))

    outcome = "inconclusive"
    if p(bound) < evidence["alpha"]:
        outcome = "supported" if (values.mean() > bound) == (sign == ">") else "refuted"
    again = {"p": p(bound), "outcome": outcome, "unit_values": units_of_one(evidence, report)}
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
    (sample,), tail = samples_of(evidence, report), evidence["alpha"] / 2
    if not sample["values"]:  # a recorded rate, of so many prompts or of none that are known
        return _recorded_rate(evidence, sample, tail)
    prompts, values = report["prompts"][evidence["units"].removesuffix("s")], units_of_one(evidence, report)
    units, read = np.array(values), harmonic_mean(counts_of([prompts[it] for it in sample["prompts"]]))
    again: Json = {"interval": [_lower_end(units, read, tail), 1 - _lower_end(1 - units, read, tail)]}
    again = _with_units(evidence, again | {"unit_values": values})
    if evidence["p"] is None:
        wanted = float(evidence["statement"].endswith("= 1 on each prompt"))
        holds = all(value == wanted for value in sample["values"])
        return again | {"outcome": "supported" if holds else "refuted"}
    sign, bound = beside(evidence)
    above, below = _rate_above(units, read, bound, tail), _rate_above(1 - units, read, 1 - bound, tail)
    return again | _one_way(sign, above, below, tail)


def _one_way(sign: str, above: float, below: float, tail: float) -> Json:
    p, contrary = (above, below) if sign == ">" else (below, above)
    outcome = "supported" if p < tail else "refuted" if contrary < tail else "inconclusive"
    return {"p": min(1.0, 2 * p, 2 * contrary), "one_sided": p, "outcome": outcome}


def _recorded_rate(evidence: Json, sample: Json, tail: float) -> Json:
    if evidence["p"] is None:
        return {}
    n, (sign, bound) = evidence["n_units"][0], beside(evidence)
    units: np.ndarray = np.arange(n) < round(sample["mean"] * n)
    return _one_way(sign, _rate_above(units, 1, bound, tail), _rate_above(~units, 1, 1 - bound, tail), tail)


def _whole(evidence: Json, report: Json) -> Json:
    outcomes = {part["outcome"] for part in parts_of(evidence, report)}
    for word in ("refuted", "inconclusive", "explained"):
        if word in outcomes and (word != "inconclusive" or "explained" not in outcomes):
            return {"outcome": word}
    if outcomes <= {"supported", "drifted"}:
        return {"outcome": min(outcomes, default="supported")}
    open_ = [part for part in parts_of(evidence, report) if part["outcome"] == "inconclusive"]
    return {"outcome": "explained" if all(map(_found, open_)) else "inconclusive"}


def _found(part: Json) -> bool:
    """Say whether the own test of a part that is open found its effect, so that a control leaves it open."""
    return bool(part["controls"]) and (part["p"] or 1.0) < part["alpha"]


def _separation(evidence: Json, report: Json) -> Json:
    yes, no = samples_of(evidence, report)
    units = [value for side in (yes, no) for value in means(side, report, "template", evidence).values()]
    again: Json = {"outcome": "supported" if all(yes["values"]) and not any(no["values"]) else "refuted"}
    return _with_units(evidence, again | {"unit_values": units})


def _exclusive(evidence: Json, report: Json) -> Json:
    if evidence["p"] is None:
        return {"outcome": "inconclusive"}
    n_a, n_b = evidence["n_units"]
    fires = np.array([[bit == "1" for bit in row] for row in evidence["patterns"]["fires"]]).T
    counts, (by,) = np.array(evidence["patterns"]["features"]), shuffles(evidence["rule"])
    paired: bool = evidence["units"] == "topics"
    order: np.ndarray = np.arange(n_a + n_b)
    if paired:
        order = order.reshape(2, -1).T.ravel()
    runs = [[1, 0]] * n_a if paired else [[1] * n_a + [0] * n_b]
    fires = fires[order]

    def differ(first: np.ndarray) -> int:
        return int(counts @ fires[first].any(axis=0)) - int(counts @ fires[~first].any(axis=0))

    observed = differ(order < n_a)
    side = 1 if observed >= 0 else -1
    reached = sum(side * differ(deal) >= side * observed for deal in dealt(runs, by).astype(bool))
    p = by.p(reached)
    outcome = "inconclusive"
    if p < evidence["alpha"]:
        outcome = "refuted" if observed < 0 else controlled(evidence, report)
    again: Json = {"p": p, "estimate": observed, "outcome": outcome}
    if not same(exclusive(evidence).estimate, observed) or reached != by.reached:
        again["rule"] = f"reached in {reached}"
    return _with_units(evidence, again | {"unit_values": (fires @ counts)[np.argsort(order)]})


def _clusters(evidence: Json, report: Json) -> Json:
    if evidence["p"] is None:
        return {"outcome": "inconclusive"}
    names = evidence["unit_values"]["side"]
    labels = np.array([list(dict.fromkeys(names)).index(name) for name in names])
    distances = np.zeros((len(labels), len(labels)))
    for unit, row in enumerate(evidence["distances"], start=1):
        distances[unit, :unit] = distances[:unit, unit] = row
    values, (by,) = silhouettes(distances, labels), shuffles(evidence["rule"])
    runs = labels.reshape(-1, labels.max() + 1 if evidence["units"] == "topics" else len(labels)).tolist()
    reached = sum(silhouettes(distances, deal).mean() >= values.mean() - TIE for deal in dealt(runs, by))
    again: Json = {"p": by.p(reached), "estimate": float(values.mean())}
    again["one_sided"] = max(again["p"], *(_above_zero(values[labels == name]) for name in set(labels.tolist())))
    outcome = controlled(evidence, report) if again["one_sided"] < evidence["alpha"] else "inconclusive"
    return _with_units(evidence, again | {"outcome": outcome, "unit_values": values})


def _above_zero(values: np.ndarray) -> float:
    """Give the one-sided p that the mean of a style's silhouettes is above 0; 1 where they do not differ."""
    p = _of_skewed(values) / 2 if np.ptp(values) > TIE else 1.0
    return p if values.mean() > 0 or p == 1 else 1 - p


def _of_scan(evidence: Json) -> Json:
    """One feature: half of the two-sided p, or 1; its outcome follows with the others'."""
    n_a, n_b = evidence["n_units"]
    values, sampled = np.array(values_of(evidence)), re.search(r"\(([\d,]+) drawn", evidence["test"])
    a, b = values[:n_a], values[n_a:]
    if "paired" in evidence["units"]:
        p, estimate = of_flips(values, Shuffle("", 0, 2**n_a, None, 0))(0.0), float(values.mean())
    elif sampled is None:
        p, estimate = of_groups(a, b, Shuffle("", 0, comb(n_a + n_b, n_a), None, 0))(0.0), float(a.mean() - b.mean())
    else:
        drawn = int(sampled[1].replace(",", ""))
        by = Shuffle("Welch's t, in the direction found", 0, drawn, evidence["seed"], n_a + n_b)
        p, estimate = of_groups(a, b, by)(0.0), float(a.mean() - b.mean())
    if "paired" not in evidence["units"]:
        p = max(p, welch(a, b)(0.0))
    return {"p": p / 2 if estimate > 0 else 1.0, "estimate": estimate}


def _scan(evidence: Json, report: Json) -> Json:
    parts = parts_of(evidence, report)
    if not parts:
        return {"outcome": "inconclusive"}
    adjusted = false_discovery_control([part["p"] for part in parts])
    found = adjusted < evidence["alpha"] / 2
    if [part["outcome"] == "supported" for part in parts] != found.tolist():
        return {"outcome": "parts that do not follow"}
    outcome = controlled(evidence, report) if found.any() else "inconclusive"
    return {"p": float(adjusted.min()), "estimate": int(found.sum()), "outcome": outcome}


def _correlation(evidence: Json, report: Json) -> Json:
    if evidence["interval"] is None:
        return {"outcome": "inconclusive"}
    (a, b), prompts = samples_of(evidence, report), report["prompts"]
    sign, bound = beside(evidence)
    names, first = list(dict.fromkeys(evidence["unit_values"]["unit"])), wordings(evidence)
    by_topic = evidence["units"] == "topics"
    wording = [
        f"{prompts['style'][it]}: {first.get(prompts['template'][it], prompts['template'][it])}" for it in a["prompts"]
    ]
    topic = [prompts["topic"][it] for it in a["prompts"]]
    keys, within = (topic, wording) if by_topic else (wording, topic)
    of = np.array([names.index(key) for key in keys])
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
    far = min(centres) - atanh(bound) if sign == ">" else atanh(bound) - max(centres)
    again: Json = {
        "estimate": r(every),
        "interval": [low, high],
        "p": min(1.0, 2 * float(t.sf(far / error, count - 1))),
    }
    holds, contrary = (low > bound, high < bound) if sign == ">" else (high < bound, low > bound)
    if bound == 0:
        (by,) = shuffles(evidence["rule"])
        crossed = len({*zip(keys, within, strict=True)}) == len(x) == len(names) * len({*within})
        columns = [np.array([within[place] for place in of]) for of in places]
        order = [place[np.argsort(column)] if crossed else place for place, column in zip(places, columns, strict=True)]
        u, v = (np.array([side[o] if crossed else [side[o].mean()] for o in order]) for side in (x, y))
        products, side = (u - u.mean()) @ (v - v.mean()).T, 1 if again["estimate"] > 0 else -1
        reached = [side * products[every, deal].sum() for deal in dealt([every.tolist()], by)]
        one = by.p(int((np.array(reached) >= side * products.trace() - TIE).sum()))
        towards = one if (side > 0) == (sign == ">") else 1 - one
        again |= {"p": min(1.0, 2 * one), "one_sided": max(towards, again["p"])}
        holds, contrary = (way and again["p"] < evidence["alpha"] for way in (holds, contrary))
    return again | {"outcome": "supported" if holds else "refuted" if contrary else "inconclusive"}


def _printed_ratio(evidence: Json, report: Json) -> Json:
    """Invert the test for the ratio, and hold the printed one against it."""
    if not evidence["unit_values"]["value"] or evidence["test"] is None:
        return {}  # a reading of the very prompts, whose numbers and rule say it
    asked = re.search(r"= (\S+) times$", evidence["statement"])
    assert asked is not None
    value, interval, reason = float(asked[1]), evidence["interval"], evidence["reason"]
    stated = re.search(r" ± (\S+), as the claim states", reason)
    if stated is not None:
        return {"outcome": "supported" if abs(evidence["estimate"] - value) <= float(stated[1]) else "drifted"}
    if interval is None:
        return {"outcome": "inconclusive"}

    def p(times: float) -> float:
        return tested(np.array(units_of_two(evidence, report, times)), evidence)(0.0)

    wrong = ends(interval, p, evidence["level"])
    rounding = re.search(r" ± (\S+) by its digits", reason)
    counts = re.search(r"with (\d+) units a mean here and (\d+) there", reason)
    assert rounding is not None and counts is not None  # noqa: PT018 - one line
    assert int(counts[1]) in evidence["n_units"]
    off = log(value / evidence["estimate"])
    width = sqrt(1 + int(counts[1]) / int(counts[2])) * log(interval[1] / interval[0]) / 2
    low, high = (log(value + side * float(rounding[1])) - log(evidence["estimate"]) for side in (-1, 1))
    assert low < off < high
    outcome = "supported"
    if max(low, -high) > width:
        outcome = "drifted"
    elif width + (high - low) / 2 > abs(log(value)) / 2:
        outcome = "inconclusive"
    values = units_of_two(evidence, report, 1.0)
    return _with_units(
        evidence, {"outcome": outcome, "unit_values": values} | ({} if wrong is None else {"interval": wrong})
    )


KINDS: dict[str, Callable[[Json, Json], Json]] = {
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
    "published": _printed_ratio,
    "printed": lambda _evidence, _report: {},
}

"""What a control answers, again from the units of the claim and its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import comb, sqrt

import numpy as np
from follow_tests import (
    TIE,
    Contrast,
    Json,
    Shuffle,
    Values,
    added,
    mean_of,
    of_flips,
    of_groups,
    parts_of,
    raised,
    same,
    values_of,
    welch,
)

Two = tuple[Contrast, Contrast]


def jackknifed(statistic: Callable[[Values], float], n_a: int, n_b: int, *, paired: bool) -> Contrast:
    """Leave out one unit after another, of both sides together where they are paired."""
    without = ~np.eye(n_a + n_b, dtype=bool)
    sides = [without[:n_a] & without[n_a:]] if paired else [without[:n_a], without[n_a:]]
    errors = [
        Contrast(0.0, sqrt((len(side) - 1) * float(np.var([statistic(kept) for kept in side]))), max(1, len(side) - 1))
        for side in sides
    ]
    return added(*((1.0, one) for one in errors))._replace(estimate=statistic(np.ones(n_a + n_b, dtype=bool)))


def controlled(evidence: Json, report: Json) -> str:
    """Give the outcome of an effect that was found, or what is wrong with a control of it."""
    answers = {answer(control, evidence, report) for control in evidence["controls"]}
    outcomes = {"explains": "explained", "cannot tell": "inconclusive"}
    wrong = answers - {"withstood", *outcomes}
    return next(iter((*wrong, *(outcomes[one] for one in outcomes if one in answers))), "supported")


def answer(control: Json, evidence: Json, report: Json) -> str:
    """Give the answer of a control of an effect that was found."""
    if control["p"] is None:
        return "cannot tell"
    name, alpha, numbers = control["name"], evidence["alpha"], dict(control["numbers"])
    if "draws" in numbers:
        return _of_draws(control, numbers)
    if not numbers:
        given = [control[of] for of in ("p", "estimate", "share")]
        whole = same(given, [evidence["p"] / 2, evidence["estimate"], 1.0])
        return "withstood" if whole else f"{name}: it has nothing to take off"
    left, half = _CONTRASTS[name](evidence, control, report)
    p = left.above() if left.error else control["p"]
    if name == "activity":  # single firings are not in the report
        p = control["p"]
    elif evidence["kind"] == "scan":
        p = evidence["p"] if half.estimate > 0 else 1.0
    elif name == "length" and not _met(numbers):
        p = 1.0
    elif name == "wording" and (permuted := _permuted(control, evidence)) is not None:
        p = max(p, permuted)
    of_half = half.below() if half.error else numbers["p of C"]
    given = [control["p"], control["estimate"], numbers["p of C"], numbers["D"], control["share"]]
    found = [p, left.estimate, of_half, evidence["estimate"], left.estimate / evidence["estimate"]]
    if not same(given, found):
        return f"{name}: {found}, not {given}"
    return "withstood" if p < alpha else "explains" if of_half < 0.02 else "cannot tell"


def _of_draws(control: Json, numbers: dict[str, float]) -> str:
    """Rank the claim among the draws."""
    asked = re.search(r"none of the first (\d+) draws is as large as the claim, or at most (\d+) of", control["rule"])
    assert asked is not None
    drawn, size = np.array(values_of(control)), numbers["D"]
    as_large, half = (int((drawn >= end * (1 - 1e-9)).sum()) for end in (size, size / 2))
    by_chance = sum(comb(len(drawn), count) for count in range(half, len(drawn) + 1)) / 2 ** len(drawn)
    few = as_large <= int(asked[2])
    found = [len(drawn), as_large, half, by_chance, (1 + as_large) / (1 + len(drawn)) if few else as_large / len(drawn)]
    if not same([*(numbers[it] for it in ("draws", "as large", "half as large", "p of half")), control["p"]], found):
        return f"{control['name']}: {found}"
    return "withstood" if few else "explains" if by_chance <= 0.01 else "cannot tell"


def _groups(evidence: Json, values: Values, n_a: int) -> tuple[list[Values], Values]:
    """Group unit values by side, or as the differences of pairs; topics beside them come behind."""
    n_b, pairs = evidence["n_units"][-1], evidence["pairs"]
    if "paired" in evidence["units"]:
        return [values[:n_a]], values[n_a:]
    if len(pairs) == n_a == n_b:
        return [np.array([values[one] - values[other] for one, other in pairs])], values[n_a + n_b :]
    return [values[:n_a], values[n_a : n_a + n_b]], values[n_a + n_b :]


def _effect(evidence: Json, share: float) -> Contrast:
    groups, topics = _groups(evidence, np.array(values_of(evidence)), evidence["n_units"][0])
    whole = added(*zip((share, -share), groups, strict=False))
    return _beside_topics(whole, topics, share)


def _beside_topics(contrast: Contrast, topics: Values, share: float) -> Contrast:
    if not len(topics):
        return contrast
    return added((1.0, contrast), (share, mean_of(topics)._replace(estimate=0.0)))


def _at_equal_length(evidence: Json, control: Json, _report: Json) -> Two:
    """Take off what the slope within styles makes of the gap."""
    n_a, numbers = evidence["n_units"][0], dict(control["numbers"])
    y, topics = _groups(evidence, np.array(values_of(evidence)), n_a)
    x, _ = _groups(evidence, np.array(values_of(control)), n_a)
    effect, gap = (of[0].mean() - (of[1].mean() if len(of) > 1 else 0.0) for of in (y, x))
    if evidence["units"].startswith("topics"):  # of lengths by topic the report has differences only
        slope, parts = numbers["slope"], [(mean_of(y[0]).error ** 2, numbers["error of slope"] ** 2, len(y[0]) - 2.0)]
    else:
        apart = [(one - one.mean(), other - other.mean()) for one, other in zip(x, y, strict=True)]
        whole = sum(one @ one for one, _ in apart)
        slope, parts = sum(one @ other for one, other in apart) / whole, []
        for one, other in apart:
            freedom = len(one) - 1 - one @ one / whole
            variance = ((other - slope * one) ** 2).sum() / freedom
            parts.append((variance / len(one), variance * (one @ one) / whole**2, freedom))

    def left(share: float) -> Contrast:
        errors = [(sqrt(share**2 * of_mean + gap**2 * of_slope), freedom) for of_mean, of_slope, freedom in parts]
        whole = added(*((1.0, Contrast(0.0, error, freedom)) for error, freedom in errors))
        return _beside_topics(whole._replace(estimate=share * effect - slope * gap), topics, share)

    return left(1.0), left(0.5)


def _met(numbers: dict[str, float]) -> bool:
    """Say whether the mean length of each side lies among the lengths of the other, where topics are the units."""
    sides = [
        [numbers.get(f"{of} length of the {which} side", 0.0) for of in ("shortest", "mean", "longest")]
        for which in ("first", "second")
    ]
    return all(one[0] <= other[1] <= one[2] for one, other in (sides, sides[::-1]))


def _free(evidence: Json, control: Json) -> list[tuple[Values, Values]]:
    """Part the units of each group by whether they do without the styles' own words."""
    n_a, names = evidence["n_units"][0], evidence["unit_values"]["unit"]
    if "paired" in evidence["units"]:
        names = names[:n_a]
    sides = list(zip(control["unit_values"]["side"], control["unit_values"]["unit"], strict=True))
    given = list(zip(evidence["unit_values"]["side"], names, strict=False))
    is_free = np.array([one in sides for one in given], dtype=float)
    groups, _ = _groups(evidence, np.array(values_of(evidence)), n_a)
    if len(groups) == 1 and evidence["pairs"]:
        flags = [np.array([is_free[one] and is_free[other] for one, other in evidence["pairs"]], dtype=bool)]
    elif len(groups) == 1:
        flags = [is_free[:n_a] == 1]
    else:
        flags = [is_free[:n_a] == 1, is_free[n_a : n_a + len(groups[1])] == 1]
    return [(of[flag], of[~flag]) for of, flag in zip(groups, flags, strict=True)]


def _without_words(evidence: Json, control: Json, _report: Json) -> Two:
    """Take the free units alone, and these less half of all."""
    own = np.array(values_of(control))
    if evidence["units"].startswith("topics"):
        names = evidence["unit_values"]["unit"]
        on_all = np.array([values_of(evidence)[names.index(one)] for one in control["unit_values"]["unit"]])
        return mean_of(own), mean_of(own - on_all / 2)
    parts, halves = _free(evidence, control), list[tuple[float, Values | Contrast]]()
    for sign, (free, rest) in zip((1, -1), parts, strict=False):
        share = len(rest) / (len(free) + len(rest)) / 2
        halves.append((sign * (0.5 + share), free))
        if len(rest) == 1:
            spread = float(np.concatenate([free, rest]).std(ddof=1))
            halves.append((-sign * share, Contrast(float(rest[0]), spread, len(free))))
        elif len(rest):
            halves.append((-sign * share, rest))
    left = added(*((sign, free) for sign, (free, _) in zip((1, -1), parts, strict=False)))
    topics = _groups(evidence, np.array(values_of(evidence)), evidence["n_units"][0])[1]
    return _beside_topics(left, topics, 1.0), _beside_topics(added(*halves), topics, 0.5)


def _permuted(control: Json, evidence: Json) -> float | None:
    """Permute the free units, or turn the signs of pairs."""
    if evidence["units"].startswith("topics"):
        return None
    a, *others = [free for free, _ in _free(evidence, control)]
    if not others:
        p = of_flips(a, Shuffle("", 0, 2 ** len(a), None, 0))(0.0)
        return p / 2 if a.mean() > 0 else 1 - p / 2
    (b,) = others
    n, even = comb(len(a) + len(b), len(a)), len(a) == len(b)
    if n > 50_000 and not even:
        return None
    by = Shuffle("the difference of the means" if even else "Welch's t, in the direction found", 0, n, None, 0)
    p = max(of_groups(a, b, by)(0.0), welch(a, b)(0.0))
    return p / 2 if a.mean() > b.mean() else 1 - p / 2


def _beside_words(evidence: Json, control: Json, report: Json) -> Two:
    """Take off what the words make by themselves."""
    if evidence["kind"] in _OF_FEATURES:
        alone = report["evidence"][control["evidence"]]
        made, own = (_OF_FEATURES[evidence["kind"]](one) for one in (alone, evidence))
        return added((1.0, own), (-1.0, made)), added((0.5, own), (-1.0, made))
    sides, own = control["unit_values"]["side"], np.array(values_of(control))
    by_side = [np.array([one == side for one in sides]) for side in dict.fromkeys(sides)]
    if evidence["units"].startswith("topics"):
        d = np.array(values_of(evidence))
        names = control["unit_values"]["unit"]
        j = np.array([own[names.index(topic)] for topic in evidence["unit_values"]["unit"]])
        return mean_of(d - j), mean_of(d / 2 - j)
    words = added(*zip((1.0, -1.0), (own[side] for side in by_side), strict=False))
    left, half = (added((1.0, _effect(evidence, share)), (-1.0, words)) for share in (1.0, 0.5))
    return left, half


def exclusive(evidence: Json) -> Contrast:
    """Give the difference of two counts of features with its jackknife error."""
    n_a, n_b = evidence["n_units"]
    fires = np.array([[bit == "1" for bit in row] for row in evidence["patterns"]["fires"]])
    counts = np.array(evidence["patterns"]["features"])

    def differ(kept: Values) -> float:
        a, b = fires[:, :n_a] & kept[:n_a], fires[:, n_a:] & kept[n_a:]
        return float(counts @ (a.any(axis=1).astype(int) - b.any(axis=1)))

    return jackknifed(differ, n_a, n_b, paired=evidence["units"] == "topics")


def exclusive_count(evidence: Json, label: str, k: int) -> tuple[float, float]:
    """Give how many features so many units a side would show to be exclusive to a side, with the jackknife error."""
    n_a, n_b = evidence["n_units"]
    fires = np.array([[bit == "1" for bit in row] for row in evidence["patterns"]["fires"]])
    counts = np.array(evidence["patterns"]["features"])
    own = np.array(evidence["unit_values"]["side"]) == label

    def expected(kept: Values) -> float:
        on, off = fires[:, own & kept], fires[:, ~own & kept]
        silent = [
            [comb(of.shape[1] - int(row.sum()), least) / comb(of.shape[1], least) for row in of]
            for of in (on, off)
            for least in [min(k, of.shape[1])]
        ]
        return float(counts @ ((1 - np.array(silent[0])) * np.array(silent[1])))

    found = jackknifed(expected, n_a, n_b, paired=False)
    return found.estimate, found.error


def _clusters(evidence: Json) -> Contrast:
    split = np.split(np.array(values_of(evidence)), np.cumsum(evidence["n_units"])[:-1])
    return added(*((len(of) / sum(evidence["n_units"]), of) for of in split))


_OF_FEATURES = {
    "exclusive": exclusive,
    "clusters": _clusters,
    "scan": lambda evidence: Contrast(evidence["estimate"], 0.0, 1.0),
}


def _thinned(_evidence: Json, control: Json, _report: Json) -> Two:
    numbers = dict(control["numbers"])
    left, half = (Contrast(*(numbers[f"{it} of {one}"] for it in ("estimate", "error", "df"))) for one in "LC")
    return left, half


_CONTRASTS = {
    "length": _at_equal_length,
    "wording": _without_words,
    "injection": _beside_words,
    "activity": _thinned,
}


def among_sets(evidence: Json, report: Json) -> Json:
    """Rank the steered arm among random sets, and take the larger p of the rank and of the part."""
    (part,), (arm, unsteered, *sets) = parts_of(evidence, report), values_of(evidence)
    side = 1 if evidence["samples"][0] == part["samples"][0] else -1
    times, plus = raised(evidence)
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
    return {"p": min(1.0, 2 * max(ranks[0], in_part)), "one_sided": max(ranks[0], in_part), "outcome": outcome}

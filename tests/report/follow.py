"""A second reading of a report: every number and verdict again from its JSON, without saeprobe.

Small designs are gone through one relabeling after the other; what was drawn is drawn again as the rule says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np
from follow_controls import exclusive_count
from follow_kinds import KINDS
from follow_tests import TIE, Json, means, parts_of, same, samples_of
from scipy.stats import false_discovery_control, t


def complaints(report: Json) -> list[str]:
    """What does not follow from the report's own numbers; empty where all of it does."""
    found: list[str] = []
    for claim in report["claims"]:
        for probe in claim["probes"]:
            for row in probe["evidence"]:
                found += [f"{claim['id']}: {wrong}" for wrong in _of_evidence(report["evidence"][row], report)]
            found += [f"{claim['id']}: {wrong}" for wrong in _of_published(probe, report)]
            if not same(probe["p"], p := _largest(probe["evidence"], report)):
                found.append(f"{claim['id']}: its p is {p}, not {probe['p']}")
            word = _verdict(claim, probe, report)
            if probe["verdict"] != word:
                found.append(f"{claim['id']}: the verdict is {word}, not {probe['verdict']}")
    return found


def many(report: Json) -> list[str]:
    """What does not follow of q and of what chance would confirm, by subject."""
    found, alpha = list[str](), report["run"]["alpha"]
    decided: dict[str, list[Json]] = {}
    for probe in (probe for claim in report["claims"] for probe in claim["probes"]):
        if probe["p"] is not None and probe["verdict"] not in ("broken", "not run", "unverifiable"):
            decided.setdefault(probe["subject"], []).append(probe)
    for one, (subject, probes) in zip(report["chance"], decided.items(), strict=True):
        held = [probe["verdict"] in ("supported", "drifted") for probe in probes]
        ps = [probe["p"] if holds or probe["p"] >= alpha / 2 else 1 for probe, holds in zip(probes, held, strict=True)]
        adjusted = false_discovery_control(ps)
        qs = [float(q) if holds else None for q, holds in zip(adjusted, held, strict=True)]
        if not all(same(probe["q"], q) for probe, q in zip(probes, qs, strict=True)):
            found.append(f"{subject}: q is {qs}")
        beyond, chance = sum(q is not None and q < alpha for q in qs), 1 - (1 - alpha / 2) ** len(probes)
        again = [len(probes), len(probes) * alpha / 2, chance, sum(held), beyond]
        given = [one[name] for name in ("claims", "by_chance", "at_least_one", "confirmed", "beyond")]
        if one["subject"] != subject or not same(given, again):
            found.append(f"{subject}: {again}, not {given}")
    return found


def walk(rows: Sequence[int], report: Json) -> Iterator[Json]:
    """Give some rows of evidence and all their parts, not what controls compared."""
    for row in rows:
        yield report["evidence"][row]
        yield from walk(report["evidence"][row]["parts"], report)


def _of_evidence(evidence: Json, report: Json) -> list[str]:
    inner = [*evidence["parts"], *(it["evidence"] for it in evidence["controls"] if it["evidence"] is not None)]
    found = [wrong for row in inner for wrong in _of_evidence(report["evidence"][row], report)]
    again: Json = KINDS[evidence["kind"]](evidence, report)
    looked = evidence["kind"] != "published" and any(one["looked"] for one in samples_of(evidence, report))
    looked = looked and again.get("outcome") == "supported"
    instead = "Inconclusive instead of refuted" in evidence["rule"] and again["outcome"] == "refuted"
    if "were chosen is not stated" in evidence["rule"] or looked or instead:
        again["outcome"] = "inconclusive"
    for name, value in again.items():
        if not same(evidence[name], value):
            found.append(f"{evidence['statement']}: {name} is {value}, not {evidence[name]}")
    return found


def _largest(rows: Sequence[int], report: Json) -> float | None:
    """Give the largest one-sided p of all that has to hold."""

    def of(evidence: Json) -> float | None:
        own = evidence["p"] if evidence["one_sided"] is None else evidence["one_sided"]
        inner = [of(part) for part in parts_of(evidence, report)] if own is None else [own]
        tested = [p for p in inner if p is not None]
        return max(tested + [1.0 if it["p"] is None else it["p"] for it in evidence["controls"]]) if tested else None

    return max((p for row in rows if (p := of(report["evidence"][row])) is not None), default=None)


def _verdict(claim: Json, probe: Json, report: Json) -> str:
    outcomes = {report["evidence"][row]["outcome"] for row in probe["evidence"]}
    if not outcomes:
        return "broken"
    for word in ("refuted", "inconclusive", "explained"):
        if word in outcomes:
            return word
    run = {control["name"] for piece in walk(probe["evidence"], report) for control in piece["controls"]}
    answers = {row["answer"] for row in probe["published"]}
    if set(claim["controls"]) - run or None in answers:
        return "broken"
    if "drifted" in answers | outcomes or _reversed(probe, report):
        return "drifted"
    return "inconclusive" if "rounding decides" in answers else "supported"


# printed numbers


def _orders(probe: Json, report: Json) -> Iterator[tuple[Json, Json]]:
    """Give the rows, upper and lower, that a comparison told apart."""
    rows = {(row["label"], row["unit"]): row for row in probe["published"] if row["measured"] is not None}
    for piece in walk(probe["evidence"], report):
        sides = sorted(samples_of(piece, report), key=lambda one: one["mean"])
        both = [rows[key] for one in sides if (key := (one["label"], one["unit"])) in rows]
        margin, outcome = piece["margin"] or 0, piece["outcome"]
        apart = margin >= 0 if outcome in ("supported", "explained") else outcome == "refuted" and margin == 0
        if piece["kind"] in ("greater", "at least", "exclusive") and len(both) == 2 and apart:
            yield both[1], both[0]


def _reversed(probe: Json, report: Json) -> list[tuple[Json, Json]]:
    """List the orders that are printed the other way round than a comparison found them."""
    apart = [(order, order[1]["value"] - order[0]["value"]) for order in _orders(probe, report)]
    return [order for order, far in apart if far > TIE and far >= sum(map(_rounding, order)) - TIE]


def _far(row: Json) -> bool:
    return row["tolerance"] is not None and abs(row["measured"] - row["value"]) > row["tolerance"] + TIE


def _rounding(row: Json) -> float:
    return row["rounding"] or 0.0


def _of_published(probe: Json, report: Json) -> list[str]:
    """Say which answers, and sampling errors, do not follow."""
    found = list[str]()
    pieces = [(piece, one) for piece in walk(probe["evidence"], report) for one in samples_of(piece, report)]
    for row in (row for row in probe["published"] if row["measured"] is not None):
        piece, sample = next(it for it in pieces if it[1]["label"] == row["label"] and it[1]["unit"] == row["unit"])
        again: Json = {"answer": "cannot be compared"}
        if row["sampling"]:
            again |= _sampling(row, sample, piece, report)
        if row["tolerance"] is not None:
            stated = row["tolerance_from"].startswith("set by the claim")
            reach, apart = row["reach"] or 0.0, abs(row["measured"] - row["value"])
            if not stated:
                again["tolerance"] = row["rounding"] + row["sampling"] + reach
            near = apart <= row["tolerance"] - reach + TIE
            again["answer"] = "agrees" if near else "rounding decides" if apart <= row["tolerance"] + TIE else "drifted"
            orders = [order for order in _orders(probe, report) if row in order]
            turned = [order for order in _reversed(probe, report) if row in order]
            far = (_far(one) for order in turned for one in order)
            ends = [abs(row["value"] - end) for end in ((0, 1) if row["unit"].startswith("share of ") else (0,))]
            apart = [min((end for end in ends if end), default=float("inf") if row["sampling"] is None else 0.0)]
            apart += [abs(one["value"] - other["value"]) for one, other in orders]
            wide = row["tolerance"] > min(apart) / 2 * (1 + TIE)
            if turned and not any(far):
                again["answer"] = "drifted"
            elif wide and again["answer"] != "drifted" and row["sampling"] != 0:
                again["answer"] = "cannot be compared"
        found += [
            f"{row['label']} as published: {name} is {value}, not {row[name]}"
            for name, value in again.items()
            if not same(row[name], value)
        ]
    return found


def _sampling(row: Json, sample: Json, piece: Json, report: Json) -> Json:
    """Work out the sampling error from our units and the number of theirs, which the row states."""
    of = re.search(r"jackknife error \S+ x sqrt\(1 \+ (\d+) / (\d+)\) of a count", row["tolerance_from"])
    if of is not None:
        n, k = int(of[1]), int(of[2])
        expected, error = exclusive_count(piece, sample["label"], k)
        return {"measured": expected, "sampling": float(t.ppf(0.975, 2 * n - 2)) * error * sqrt(1 + n / k)}
    variance = 0.0
    for n, what, theirs in re.findall(r"over (\d+) (templates|topics) here and (\d+) there", row["tolerance_from"]):
        units = np.array(list(means(sample, report, what.removesuffix("s"), piece).values()))
        assert len(units) == int(n)
        variance += t.ppf(0.975, len(units) - 1) ** 2 * units.var(ddof=1) * (1 / len(units) + 1 / int(theirs))
    return {"sampling": sqrt(variance)}

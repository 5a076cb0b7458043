"""The page shows a study to a reader, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from typing import Final

from studies.calibration.effects import EDGES
from studies.calibration.results import Cell, Line, Share, beyond, confirmed, lines, powers, total
from studies.calibration.study import Row, Study

_TEXTS: Final = resources.files("studies.calibration") / "page.md"
"""The prose of the page has three parts: the method, how intervals are read, and how power is read."""


def page(study: Study) -> str:
    """Write the whole page."""
    rows, alpha = study.rows, study.terms.alpha
    method, intervals, power = (each.strip() for each in _TEXTS.read_text(encoding="utf-8").split("\n---\n"))
    false, true = total(rows, "false"), total(rows, "true")
    parts = [
        "# Calibration study",
        f"<!-- Written by `{study.command}`; change the study, not this file. -->",
        _summary(study, false, true),
        "## How it is done",
        method,
        "## False claims",
        _false_table([*lines(rows, "false", alpha=alpha), false], alpha),
        intervals + "\n\n" + _beyond(beyond(study)),
        "## False claims by subject, population and number of wordings",
        _strata(rows),
        "## True claims",
        _true_table([*lines(rows, "true", alpha=alpha), true]),
        "A refuted claim is an error here; an inconclusive one is a question of power.",
        "## Power",
        power,
        *_powers(rows, alpha),
        "## Made with",
        _made_with(study),
    ]
    return "\n\n".join(parts) + "\n"


def _beyond(too_often: Sequence[Line]) -> str:
    """Name the kinds that err more often than they may."""
    if not too_often:
        return "No kind is beyond what is stated."
    return f"Beyond what is stated: {'; '.join(f'**{line.kind}, {line.how}**' for line in too_often)}."


def _summary(study: Study, false: Line, true: Line) -> str:
    alpha = study.terms.alpha
    found = (
        f"Of {false.claims:,} false claims {false.confirmed.count:,} were confirmed: {percent(false.confirmed)}, at a "
        f"stated alpha of {100 * alpha:g} %."
    )
    if false.naive is not None and false.ours_where_naive is not None:
        found += (
            f" On the {false.naive.of:,} of them for which there is a naive t test, it confirmed "
            f"{percent(false.naive)}, and saeprobe {percent(false.ours_where_naive)}."
        )
    return (
        f"{found} Of {true.claims:,} true claims, most of them drawn evenly over sizes of effect from next to nothing "
        f"to more than five standard deviations, {percent(true.confirmed)} were confirmed and "
        f"{percent(true.refuted)} wrongly refuted. Every row is in [calibration.csv](calibration.csv), the counts are "
        "in [calibration.json](calibration.json)."
    )


def percent(of: Share | None) -> str:
    """Write a share with its interval, `2.4 % [1.9, 3.0]`; a dash where there is none."""
    if of is None or not of.of:
        return "–"
    low, high = of.interval
    return f"{100 * of.value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def table(head: Sequence[str], body: Sequence[Sequence[str]], *, text: int = 2) -> str:
    """Write a Markdown table; the first `text` columns are words, the others numbers."""
    rule = ["---" if at < text else "---:" for at in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *body))


def _false_table(found: Sequence[Line], alpha: float) -> str:
    head = ["kind", "false because", "claims", "confirmed", "exact", "stated alpha", "refuted", "exact"]
    body = [
        [
            *(one.kind, one.how, f"{one.claims:,}"),
            *(_judged(one.confirmed, one.confirmed_beyond(alpha), one.expected)),
            f"{100 * alpha:g} %",
            *(_judged(one.refuted, one.refuted_beyond(alpha), one.contrary)),
            percent(one.naive),
        ]
        for one in found
    ]
    return table([*head, "naive confirmed"], body)


def _judged(of: Share, beyond: bool, exact: float | None) -> tuple[str, str]:  # noqa: FBT001 - what a column says
    """Write a share of errors, marked where it is beyond what is stated, and the share that is exact."""
    return percent(of) + " **beyond**" * beyond, "–" if exact is None else f"{100 * exact:.1f} %"


def _true_table(found: Sequence[Line]) -> str:
    head = ["kind", "true because", "claims", "confirmed", "wrongly refuted", "inconclusive", "naive"]
    body = [
        [
            *(one.kind, one.how, f"{one.claims:,}", percent(one.confirmed), percent(one.refuted)),
            *(f"{100 * one.inconclusive.value:.1f} %", percent(one.naive)),
        ]
        for one in found
    ]
    return table(head, body)


def _strata(rows: Sequence[Row]) -> str:
    """Count confirmed false claims by where they were drawn, so that the total hides nothing."""
    false = [row for row in rows if row.truth == "false"]
    by: list[tuple[str, Callable[[Row], str]]] = [
        ("subject", lambda row: row.subject),
        ("population", lambda row: row.population),
        ("wordings a side", lambda row: str(row.wordings)),
        ("measure", lambda row: "two measures" if "," in row.measure else row.measure),
    ]
    body = [[name, *cells] for name, key in by for cells in _shares(false, key)]
    return table(["by", "", "claims", "confirmed"], body)


def _shares(rows: Sequence[Row], key: Callable[[Row], str]) -> list[list[str]]:
    """Count claims, and those confirmed, by what the key gives: numbers in their order, then words."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    order = sorted(groups, key=lambda value: (not value.isdigit(), int(value) if value.isdigit() else 0, value))
    return [[value, f"{len(groups[value]):,}", percent(confirmed(groups[value]))] for value in order]


def _powers(rows: Sequence[Row], alpha: float) -> list[str]:
    """Make a table a kind: by size of effect where its claims have one, else by number of wordings."""
    true = [row for row in rows if row.truth == "true"]
    parts: list[str] = []
    for kind, how in dict.fromkeys((row.kind, row.how) for row in true):
        some = [row for row in true if (row.kind, row.how) == (kind, how)]
        parts.append(f"### {kind}: {how}")
        if all(row.effect is None for row in some):
            head = ["wordings a side", "claims", "confirmed"]
            parts.append(table(head, _shares(some, lambda row: str(row.wordings)), text=0))
        else:
            over_topics = {row.wordings for row in some} == {1}
            planned = (kind, how) == ("greater", "known difference")  # of such claims plans state the power
            parts.append(_power_table(powers(some, alpha=alpha, planned=planned, topics=over_topics), over_topics))
    return parts


def _power_table(cells: Sequence[Cell], over_topics: bool) -> str:  # noqa: FBT001 - what the first column counts
    lows = sorted({cell.low for cell in cells})
    found = {(cell.units, cell.low): cell for cell in cells}
    head = ["topics" if over_topics else "wordings a side", *(_bin(low) for low in lows)]
    body = [
        [str(count), *(_cell(found.get((count, low))) for low in lows)]
        for count in sorted({cell.units for cell in cells})
    ]
    return table(head, body, text=0)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    planned = "" if cell.planned is None else f" / {100 * cell.planned:.0f} %"
    return f"{100 * cell.confirmed.value:.0f} %{planned} ({cell.confirmed.of})"


def _bin(low: float) -> str:
    at = EDGES.index(low)
    return f"{low:g} to {EDGES[at + 1]:g}" if at + 1 < len(EDGES) else f"over {low:g}"


def _made_with(study: Study) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in study.versions.items())
    subjects = "; ".join(f"{name} `{fingerprint[:16]}`" for name, fingerprint in study.fingerprints.items())
    return f"`{study.command}` writes this page again, number for number. Subjects: {subjects}. Versions: {versions}."

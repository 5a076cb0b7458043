"""The page shows a study to a reader, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Final

from studies.calibration.cells import Known
from studies.calibration.effects import EDGES
from studies.calibration.outcomes import ENOUGH, Outcome, Share
from studies.calibration.results import Cell, Line, beyond, confirmed, lines, powers, total
from studies.calibration.study import Row, Study

_TEXTS: Final = resources.files("studies.calibration") / "page.md"
"""The prose of the page has four parts: the method, how intervals and power are read, and what is made up."""
PLANNED: Final = ("greater", "known difference")
"""The design that plans of a run are made for."""
_POPULATION: Final = ("kind", "population", "claims")
_TABLES: Final[Mapping[tuple[Known, ...], tuple[str, ...]]] = {
    ("false",): ("confirmed", "refuted", "allowed of each"),
    ("true",): ("confirmed", "best valid test", "power of it", "refuted or explained", "allowed"),
    ("explained",): ("confirmed", "allowed", "called explained", "inconclusive"),
    ("printed", "moved"): ("right word", "best valid test", "power of it", "called drifted", "allowed"),
}
"""Each table shows the made-up populations of which this is known, with these columns."""


def page(study: Study) -> str:
    """Write the whole page."""
    rows, alpha = study.rows, study.terms.alpha
    method, intervals, power, made = (each.strip() for each in _TEXTS.read_text(encoding="utf-8").split("\n---\n"))
    false, true = total(rows, "false"), total(rows, "true")
    parts = [
        "# Calibration study",
        f"<!-- Written by `{study.command}`; change the study, not this file. -->",
        _summary(study, false, true),
        "## How it is done",
        method,
        "## False claims",
        _false_table([*lines(rows, "false", alpha=alpha), false]),
        intervals + "\n\n" + _beyond(beyond(study)),
        "## False claims by subject, population and number of wordings",
        _strata(rows),
        "## True claims",
        _true_table([*lines(rows, "true", alpha=alpha), true]),
        "A refuted claim is an error here; an inconclusive one is a question of power.",
        "## Power",
        power,
        _power_table(rows, alpha),
        *(_made(study.made, alpha, made) if study.made else []),
        "## Made with",
        _made_with(study),
    ]
    return "\n\n".join(parts) + "\n"


def _beyond(too_often: Sequence[Line]) -> str:
    """Name the kinds that err more often than they may."""
    if not too_often:
        return "No kind is beyond what is allowed."
    return f"Beyond what is allowed: {'; '.join(f'**{line.kind}, {line.how}**' for line in too_often)}."


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


def _false_table(found: Sequence[Line]) -> str:
    head = ["kind", "false because", "claims", "confirmed", "allowed", "refuted", "allowed", "naive confirmed"]
    body = [
        [
            *(one.kind, one.how, f"{one.claims:,}"),
            *_judged(one.confirmed, one.confirmed_beyond, one.allowed),
            *_judged(one.refuted, one.refuted_beyond, one.contrary),
            percent(one.naive),
        ]
        for one in found
    ]
    return table(head, body)


def _judged(of: Share, beyond: bool, allowed: float | None) -> tuple[str, str]:  # noqa: FBT001 - what a column says
    """Write a share of errors, marked where it is beyond what is allowed, and that."""
    return percent(of) + " **beyond**" * beyond, "–" if allowed is None else f"{100 * allowed:.1f} %"


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


def _power_table(rows: Sequence[Row], alpha: float) -> str:
    """Make the table of known differences by number of wordings and size of effect, of which plans state the power."""
    cells = powers([row for row in rows if (row.kind, row.how) == PLANNED], alpha=alpha)
    lows = sorted({cell.low for cell in cells})
    found = {(cell.units, cell.low): cell for cell in cells}
    body = [
        [str(count), *(_cell(found.get((count, low))) for low in lows)]
        for count in sorted({cell.units for cell in cells})
    ]
    return table(["wordings a side", *(_bin(low) for low in lows)], body, text=0)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return f"{100 * cell.confirmed.value:.0f} % / {100 * cell.planned:.0f} % ({cell.confirmed.of})"


def _bin(low: float) -> str:
    at = EDGES.index(low)
    return f"{low:g} to {EDGES[at + 1]:g}" if at + 1 < len(EDGES) else f"over {low:g}"


def _made(made: Sequence[Outcome], alpha: float, method: str) -> list[str]:
    """Make a table of the made-up populations by what is known of their claims."""
    errors, few = [one for one in made if one.beyond(alpha)], [one for one in made if one.weak]
    named = [
        f"{title}: {'; '.join(f'**{one.cell.name}**' for one in these) or 'none'}."
        for title, these in (
            ("Beyond what is allowed", [one for one in errors if not one.cell.limit]),
            ("Beyond it where no test can hold", [one for one in errors if one.cell.limit]),
            (f"Power surely below {ENOUGH:.0%} of the best valid test's", few),
        )
    ]
    tables = [
        table([*_POPULATION, *head], [_made_row(one, alpha) for one in made if one.cell.truth in truths])
        for truths, head in _TABLES.items()
    ]
    return ["## Populations that are made up", method, *tables, *named]


def _made_row(one: Outcome, alpha: float) -> list[str]:
    """Write what became of the claims on one population, in the columns of the table for what is known of them."""
    cell = one.cell
    limit = f" (no test can hold: {cell.limit})" if cell.limit else ""
    first = [cell.kind, cell.how + limit, f"{one.claims:,}"]
    errors, allowed = (
        [percent(share) + " **beyond**" * (one.too_often(share, alpha) and not limit) for share in one.errors],
        f"{100 * cell.allowed * alpha:.3g} %",
    )
    if cell.truth == "false":
        return [*first, *errors, *["–"] * (2 - len(errors)), allowed]
    if cell.truth == "explained":
        shares = one.share("explained"), one.share("inconclusive")
        return [*first, *errors, allowed, *(f"{100 * share.value:.1f} %" for share in shares)]
    best = ["–", "–"]
    if one.ratio is not None:
        best = [f"{100 * one.best / one.claims:.1f} % by {cell.best}", f"{one.ratio:.0%}" + " **short**" * one.weak]
    return [*first, percent(one.power), *best, *(errors or ["–"]), allowed if errors else "–"]


def _made_with(study: Study) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in study.versions.items())
    subjects = "; ".join(f"{name} `{fingerprint[:16]}`" for name, fingerprint in study.fingerprints.items())
    return f"`{study.command}` writes this page again, number for number. Subjects: {subjects}. Versions: {versions}."

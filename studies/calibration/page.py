"""The page shows a study to a reader, in Markdown."""

from __future__ import annotations

from importlib import resources
from typing import Final

from jinja2 import Environment, StrictUndefined

from studies.calibration.outcomes import Share
from studies.calibration.results import beyond, lines, total
from studies.calibration.study import Study

_TABLES: Final = (
    (("false",), ["confirmed", "refuted", "allowed of each"]),
    (("true",), ["confirmed", "best valid test", "power of it", "refuted or explained", "allowed"]),
    (("explained",), ["confirmed", "allowed", "called explained", "inconclusive"]),
    (("printed", "moved"), ["right word", "best valid test", "power of it", "called drifted", "allowed"]),
)
"""Each table shows the made-up populations of which this is known, with these columns."""


def page(study: Study) -> str:
    """Write the whole page."""
    rows, alpha = study.rows, study.terms.alpha
    wrong = [one for one in study.made if one.beyond(alpha)]
    text = (resources.files("studies.calibration") / "page.md.j2").read_text(encoding="utf-8")
    to_text = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)  # noqa: S701 - Markdown
    to_text.filters["percent"] = percent
    return to_text.from_string(text).render(
        study=study,
        alpha=alpha,
        all_false=total(rows, "false"),
        all_true=total(rows, "true"),
        false_lines=lines(rows, "false", alpha=alpha),
        true_lines=lines(rows, "true", alpha=alpha),
        beyond=beyond(study),
        tables=_TABLES,
        verdicts=(
            ("Beyond what is allowed", [one for one in wrong if not one.cell.limit]),
            ("Beyond it where no test can hold", [one for one in wrong if one.cell.limit]),
            ("Power surely below 95 % of the best valid test's", [one for one in study.made if one.weak]),
        ),
    )


def percent(of: Share | None) -> str:
    """Write a share with its interval, `2.4 % [1.9, 3.0]`; a dash where there is none."""
    if of is None or not of.of:
        return "–"
    low, high = of.interval
    return f"{100 * of.value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"

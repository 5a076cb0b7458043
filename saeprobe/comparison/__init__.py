"""Comparisons: from two quantities to evidence, a kind of sentence a file."""

from saeprobe.comparison.alike import side_by_side
from saeprobe.comparison.equal import about_equal
from saeprobe.comparison.margin import Margin, margin_on
from saeprobe.comparison.ordering import ordering
from saeprobe.comparison.reading import as_published
from saeprobe.comparison.sides import NUMBER, is_number, refuse_controls, sample_of, summaries
from saeprobe.comparison.universal import always, always_recorded
from saeprobe.evidence.bounds import beside_bound
from saeprobe.evidence.compare import every, worst
from saeprobe.evidence.greater import greater, greater_summaries

__all__ = [
    "NUMBER",
    "Margin",
    "about_equal",
    "always",
    "always_recorded",
    "as_published",
    "beside_bound",
    "every",
    "greater",
    "greater_summaries",
    "is_number",
    "margin_on",
    "ordering",
    "refuse_controls",
    "sample_of",
    "side_by_side",
    "summaries",
    "worst",
]

"""Equal: whether two measurements agree up to a margin that was set beforehand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from saeprobe.comparison.needs import needed_between, needed_in_words
from saeprobe.comparison.sides import Judged, by_hand, refuse_controls, tested, untested
from saeprobe.evidence.evidence import Evidence, Needed, Recorder, current_terms
from saeprobe.evidence.units import Compared, compare
from saeprobe.statistics.shifts import Shift

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement


def about_equal(a: Measurement, b: Measurement, *, margin: float) -> Evidence:
    """Evidence on equality up to `margin` by two one-sided tests (Schuirmann 1987), each at alpha.

    Raises:
        TypeError: the claim asks for controls; a rival explanation of no difference has no meaning.
    """
    terms = current_terms()
    refuse_controls("about equal")
    statement = f"{a.name} = {b.name} ± {margin:g} {a.unit}"
    compared = compare(a, b, alpha=2 * terms.alpha, seed=terms.seed, over=terms.over)
    if isinstance(compared, str):
        return replace(untested("about equal", statement, a, b, compared), margin=margin)
    above, below = _beside(a, b, -margin, terms), _beside(a, b, margin, terms)
    p = max(_one_sided(above, side=1), _one_sided(below, side=-1))
    judged = _judge(a, b, compared, (above, below), margin=margin, p=p, alpha=terms.alpha)
    needed = _needed(a, b, compared, (above, below), terms.alpha) if judged[0] == "inconclusive" else None
    if needed is not None:
        judged = judged[0], f"{judged[1]}. {needed_in_words(needed, compared.shift, 2 * terms.alpha)}"
    evidence = tested("about equal", statement, a, b, compared, judged, 2 * terms.alpha)
    return replace(
        evidence,
        p=p,
        alpha=terms.alpha,
        test=f"two one-sided tests, each by {evidence.test}",
        margin=margin,
        needed=needed,
        rule=(
            f"p is the larger one-sided p of the difference against -{margin:g} and +{margin:g}, half of a two-sided p "
            f"each; supported where it is below alpha = {terms.alpha:g}, which is where the {1 - 2 * terms.alpha:.0%} "
            "interval lies inside the margin; refuted where the difference lies beyond the margin with a one-sided p "
            "below alpha; inconclusive otherwise, and where the units show no spread" + by_hand(compared)
        ),
    )


def _beside(a: Measurement, b: Measurement, margin: float, terms: Recorder) -> Shift:
    """How far the difference lies above `margin`."""
    compared = compare(a, b, alpha=2 * terms.alpha, seed=terms.seed, over=terms.over, shift_by=margin)
    if isinstance(compared, str):  # it could be compared without the margin
        raise TypeError(compared)
    return compared.shift


def _one_sided(shift: Shift, *, side: int) -> float:
    """One-sided p of the test that a shift does not lie on that side of zero, +1 or -1."""
    return shift.p / 2 if side * shift.estimate > 0 else 1 - shift.p / 2


def _judge(
    a: Measurement,
    b: Measurement,
    compared: Compared,
    beside: tuple[Shift, Shift],
    *,
    margin: float,
    p: float,
    alpha: float,
) -> Judged:
    shift = compared.shift
    numbers = f"{a.mean:.4g} against {b.mean:.4g} {a.unit}, a difference of {shift.estimate:+.4g}"
    if shift.interval is None:
        why = f"{compared.n_units[0]} units" if shift.spread else "units without spread"
        return "inconclusive", f"{numbers}; {why} give no interval to hold against ± {margin:g}"
    low, high = shift.interval
    between = f"interval {low:+.4g} to {high:+.4g}, margin ± {margin:g}, p = {p:.2g}"
    if p < alpha:
        return "supported", f"{numbers}; {between}"
    above, below = beside
    if min(_one_sided(above, side=-1), _one_sided(below, side=1)) < alpha:
        return "refuted", f"{numbers}; {between}: they differ by more"
    return "inconclusive", f"{numbers}; {between}: neither inside nor outside"


def _needed(
    a: Measurement, b: Measurement, compared: Compared, beside: tuple[Shift, Shift], alpha: float
) -> Needed | None:
    """What would tell the difference, inside the margin or outside, from the nearer of its edges."""
    if not compared.shift.spread:
        return None
    known = [edge.needed for edge in beside if edge.needed is not None]
    wanted = max(known) if len(known) == len(beside) else None  # on the edge itself no number would do
    return needed_between(a, b, compared, 2 * alpha, wanted=wanted)

"""Evidence on values is decided again by the package's own tests.

A side whose values a report holds is a measurement again, so that its units, p, interval and words are all made anew.
Steered arms are ranked by the means of the sets. A number that was recorded or printed without the prompts behind it is
taken as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from saeprobe.claims import Published
from saeprobe.evidence import Evidence, Kind, Recorder, Terms, recording
from saeprobe.evidence.arms import among_sets
from saeprobe.evidence.bounds import ALWAYS_RULE, against_bound, always
from saeprobe.evidence.compare import each_holds, ordering
from saeprobe.evidence.correlation import correlation
from saeprobe.evidence.counts import recorded_apart
from saeprobe.evidence.greater import about_equal, greater
from saeprobe.evidence.printed import read_beside
from saeprobe.evidence.printed_tables import printed, rank_correlation
from saeprobe.evidence.ratios import ratio, ratio_as_printed
from saeprobe.evidence.units import sample_of
from saeprobe.evidence.values import Margin, Measurement, Quantity, Summary
from saeprobe.files import against
from saeprobe.measures.differences import fewest_in_words, judged_fewest
from saeprobe.prompts.wordings import unit_of

_DISTINCT = re.compile(r"wordings of ([^;,]+) are near copies: kept apart")
_RAISED = re.compile(r"taken times (\S+) and plus (\S+)$")


def side_again(piece: Evidence, row: int) -> Quantity:
    """Make a side a measurement again, or a summary; what shares a frame, and which copies count, follow from it."""
    sample = piece.samples[row]
    label = sample.label.removeprefix(f"{sample.measure} of ") if piece.kind == "correlation" else sample.label
    if not sample.values:
        made = partial(Summary, measure=sample.measure, label=label, unit=sample.unit, place=sample.place)
        made = partial(made, near_threshold=sample.near_threshold, reach=sample.reach)
        return made(value=sample.mean, n=sample.n, origin="the report")
    prompts, distinct = sample.prompts, set(_DISTINCT.findall(piece.scope))
    if distinct:
        prompts = tuple(replace(one, distinct=one.style in distinct) for one in prompts)
    if len(piece.n_units) > 1 and piece.units != "topics, paired":  # where two wordings could share a frame
        frames = {piece.unit_values[pair[row]].unit: f"{at}" for at, pair in enumerate(piece.pairs)}
        named = {(one.style, one.template): unit for one, unit in zip(prompts, unit_of(prompts), strict=True)}
        named = {of: frames.get(unit, f"{row} alone: {unit}") for of, unit in named.items()}
        prompts = tuple(replace(one, frame=named[one.style, one.template]) for one in prompts)
    return Measurement(
        measure=sample.measure,
        label=label,
        unit=sample.unit,
        values=np.array(sample.values),
        prompts=prompts,
        place=sample.place,
    )


def _margin(piece: Evidence, of: Quantity) -> Margin | None:
    """Read a margin from the rule, or of recorded numbers from the statement."""
    if piece.kind != "at least":
        return None
    if (found := _RAISED.search(piece.rule)) is not None:
        return Margin(of=of, times=float(found[1]), plus=float(found[2]))
    times, plus = re.search(r" > (\S+) x ", piece.statement), re.search(r" \+ (\S+) ", piece.statement)
    return Margin(of=of, times=float(times[1]) if times else 1.0, plus=float(plus[1]) if plus else 0.0)


def _greater(piece: Evidence, terms: Terms) -> Evidence:
    if piece.units == "random sets":
        return _among_sets(piece, terms)
    if (piece.test or "").endswith("one-sided"):  # of a scan, which decides it together with the others
        return piece
    a, b = side_again(piece, 0), side_again(piece, 1)
    if isinstance(a, Measurement) and isinstance(b, Measurement):
        return greater(a, b, terms, _margin(piece, b), piece.controls)
    return recorded_apart(a, b, terms, margin=_margin(piece, b))


def _among_sets(piece: Evidence, terms: Terms) -> Evidence:
    (part,), (a, b) = piece.parts, piece.samples
    claim, base, *others = (unit.value for unit in piece.unit_values)
    sets, up = np.array(others), piece.unit_values[0].side == a.label
    steered, random = (a, b) if up else (b, a)
    if not np.isclose(sets.mean(), random.mean, rtol=1e-9):
        raise ValueError(f"the means of the random sets are not those of {random.label}")
    (unsteered,) = (sample.mean for sample in part.samples if sample.label != steered.label)
    margin = _margin(piece, side_again(piece, 1))
    beyond = None if margin is None else margin.over(b.mean)
    found = among_sets(claim, base, sets, part, terms, margin, up=up)
    return replace(
        piece,
        outcome=found.outcome,
        statement=f"{a.measure} of {a.label} > {side_again(piece, 1).name if margin is None else margin.name}",
        reason=f"{against(steered.mean, unsteered, a.unit)} unsteered, {found.why}",
        scope=f"features such as these {len(sets)} random sets; against the unsteered model {part.scope}",
        test=f"rank among {len(sets)} random sets; against the unsteered model {part.test}",
        estimate=a.mean - b.mean - (beyond or 0.0),
        p=found.p,
        one_sided=found.one_sided,
        n_units=(1, len(sets)),
        margin=beyond,
        needed=found.needed,
    )


def _equal(piece: Evidence, terms: Terms) -> Evidence:
    a, b, margin = side_again(piece, 0), side_again(piece, 1), piece.margin or 0.0
    found = re.search(r" x \(1 ± (\S+)\)$", piece.statement)
    share = None if found is None else float(found[1])
    margin = margin if share is None else share * abs(piece.samples[1].mean)
    if isinstance(a, Measurement) and isinstance(b, Measurement):
        return about_equal(a, b, terms, margin=margin, share=share)
    return recorded_apart(a, b, terms, within=margin, share=share)


def _beside(piece: Evidence, unit: str = "") -> tuple[bool, float]:
    """Read on which side of what number the sentence puts something."""
    found = re.search(r" ([<>]) (\S+)$", piece.statement.removesuffix(f" {unit}"))
    if found is None:
        raise ValueError(f"{piece.statement!r} names no number")
    return found[1] == ">", float(found[2])


def _one(piece: Evidence, terms: Terms) -> Evidence:
    of = side_again(piece, 0)
    if piece.rule.startswith(ALWAYS_RULE):  # of a style and its repeat a sentence of its own, and more words
        again = always(of, 0 if piece.statement.endswith("= 0 on each prompt") else 1, terms)
        repeat = " and " in of.label and piece.reason.startswith(f"{again.reason}; ")
        return replace(again, statement=piece.statement, reason=piece.reason) if repeat else again
    above, bound = _beside(piece, of.unit)
    return against_bound(of, bound, terms, above=above)


def _correlation(piece: Evidence, terms: Terms) -> Evidence:
    above, bound = _beside(piece)
    of = correlation(side_again(piece, 0), side_again(piece, 1))
    with recording(Recorder(alpha=terms.alpha, seed=terms.seed, over=terms.over)):
        return of > bound if above else of < bound


def _published(piece: Evidence, terms: Terms) -> Evidence:
    asked = re.search(r" = (\S+) times$", piece.statement)
    if asked is not None:
        return ratio_as_printed(
            ratio(side_again(piece, 0), side_again(piece, 1)), _ratio(piece, float(asked[1])), terms
        )
    shown = piece.reason.split("): ", 1)[1] if "): " in piece.reason else piece.reason
    digits: dict[str, str] = {}
    for sample in piece.samples:
        found = re.search(rf"(?:^|, ){re.escape(sample.label)} \S+ \(([^)]+)\)", shown)
        digits[sample.label] = "" if found is None else found[1]
    within = re.search(r" mean lies within (\S+) of its printed", piece.rule)
    numbers = Published(
        values={label: float(printed_as) for label, printed_as in digits.items()},
        printed=digits,
        unit=piece.unit,
        tolerance=None if within is None else float(within[1]),
    )
    again = read_beside(piece.statement.removesuffix(" as printed, on the same prompts"), numbers, piece.samples)
    ends = (sample_of(side_again(piece, row), terms).interval for row in range(len(piece.samples)))
    return replace(
        again, samples=tuple(replace(one, interval=end) for one, end in zip(piece.samples, ends, strict=True))
    )


def _ratio(piece: Evidence, value: float) -> Published:
    """Make the printed ratio again, of which the reason says how it is rounded and how many units stand behind it."""
    rounding = re.search(r" ± (\S+) by its digits", piece.reason)
    stated = re.search(r" ± (\S+), as the claim states", piece.reason)
    there = re.search(r" units a mean here and (\d+) there", piece.reason)
    places = 2 if rounding is None else max(0, round(-np.log10(2 * float(rounding[1]))))
    units = 1 if there is None else int(there[1])
    return Published(
        values={"ratio": value},
        printed={"ratio": f"{value:.{places}f}"},
        unit="times",
        n=units if piece.units and piece.units.startswith("topics") else None,
        wordings=1 if piece.units and piece.units.startswith("topics") else units,
        tolerance=None if stated is None else float(stated[1]),
    )


def _whole(piece: Evidence, _terms: Terms) -> Evidence:
    if piece.parts and all(part.kind == "printed" for part in piece.parts):
        return piece  # never supported
    if not piece.parts:  # which of some features fires on the fewest prompts
        where = re.search(r" prompts of (.*?); ", piece.reason)
        judged = judged_fewest(piece.samples, "" if where is None else where[1])
        return replace(piece, outcome=judged[0], reason=judged[1], statement=fewest_in_words(piece.samples))
    names = piece.statement.split(" > ")
    again = ordering(names, piece.parts) if piece.kind == "ordering" else each_holds(piece.parts)
    others = "; ".join(part.reason for part in piece.parts), f"all {len(piece.parts)} features do: "
    reason = piece.reason if piece.reason.startswith(others) else again.reason
    each = [part.statement.removeprefix("feature ").partition(" ") for part in piece.parts]
    each = f"each of features {', '.join(which for which, *_ in each)} {each[0][2]}"
    return replace(again, statement=each if piece.statement == each else again.statement, reason=reason)


def _printed(piece: Evidence, terms: Terms) -> Evidence:
    asked = re.search(r"^rank correlation of .*, between (\S+) and (\S+)$", piece.statement)
    if asked is None:
        return piece  # no test, and never supported
    tables = [
        printed(
            Published(
                values={str(row): one.mean for row, one in enumerate(of)},
                printed={str(row): repr(one.mean) for row, one in enumerate(of)},
                unit=of[0].unit,
            ),
            source=of[0].measure.removeprefix("number printed in "),
        )
        for of in (piece.samples[::2], piece.samples[1::2])
    ]
    with recording(Recorder(alpha=terms.alpha)):
        again = rank_correlation(*tables, above=float(asked[1]), below=float(asked[2]))
    return replace(again, samples=piece.samples)


OF_VALUES: dict[Kind, Callable[[Evidence, Terms], Evidence]] = {
    "greater": _greater,
    "at least": _greater,
    "about equal": _equal,
    "bound": _one,
    "rate": _one,
    "correlation": _correlation,
    "published": _published,
    "every": _whole,
    "ordering": _whole,
    "printed": _printed,
}

"""Each control answers again, from the units that a report gives of it and of its claim, or from its own numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from statistics import fmean

import numpy as np

from saeprobe.evidence import ControlResult, Evidence, Sample, Terms, UnitValue
from saeprobe.evidence.controls import Contrast, Made, answered, untouched, weighted
from saeprobe.evidence.controls.adjusting import beside_words, grouped, of_free, of_free_topics, parted
from saeprobe.evidence.controls.draws import TOPICS, among_draws
from saeprobe.evidence.controls.length import within
from saeprobe.evidence.units import Compared
from saeprobe.measures.clusters import error_of as error_of_silhouettes
from saeprobe.measures.exclusive import error_of as error_of_counts
from saeprobe.prompts import Prompt
from saeprobe.statistics.shifts import Shift

_OF_TWO = ("greater", "at least")


def answered_again(control: ControlResult, piece: Evidence, terms: Terms) -> ControlResult:
    """Answer for a control again, of which a test stands there."""
    effect, p = piece.estimate or 0.0, 1.0 if piece.p is None else piece.p
    found, numbers = p < terms.alpha and effect > 0, control.numbers
    if "draws" in numbers:
        return _among_draws(control, piece, terms, found=found)
    if not numbers:
        return untouched(control.name, _compared(piece), terms, control.detail)
    made = _made(control, piece, terms)
    best = replace(made, at_best=(control.p or 0.0, numbers["p of C"]))  # where no unit varies, which is rare
    made = made if made.at_best != (1.0, 1.0) else best
    units = control.unit_values
    if control.name == "injection" and control.evidence is not None and piece.kind in _OF_TWO:
        units = control.evidence.unit_values
    elif control.name == "length":
        both = zip(units, piece.unit_values, strict=True)
        units = tuple(replace(own, side=of.side, unit=of.unit) for own, of in both)
    elif control.name == "wording" and not (piece.units or "").startswith("topics"):
        units = tuple(unit for unit in units if unit in piece.unit_values)
    again = partial(answered, control.name, effect, made, terms, found=found, done="", how="")
    return again(unit=piece.unit, unit_values=units)


def _made(control: ControlResult, piece: Evidence, terms: Terms) -> Made:
    """Make the contrasts of a control again, from its units and those of the claim, or of its own evidence."""
    numbers, of_features = control.numbers, piece.kind not in _OF_TWO
    if control.name == "activity":
        whole, half = _given(numbers)
        interval = whole.interval(piece.estimate or 0.0, 1 - 2 * terms.alpha)
        return Made(left=whole, half=half, p=control.p if whole.estimate > 0 else 1.0, interval=interval)
    if of_features:
        return _of_features(control, piece)
    of, by_topic = grouped(_compared(piece)), (piece.units or "").startswith("topics")
    own = control.evidence or control
    if control.name == "injection":
        alone = _compared(control.evidence) if control.evidence is not None else _compared(piece, control.unit_values)
        whole, half = beside_words(of, grouped(alone), by_topic=by_topic)
        return Made(left=whole, half=half)
    there = grouped(_compared(piece, own.unit_values)) if control.name == "length" or by_topic else of
    if control.name == "wording" and by_topic:
        return of_free_topics(there.groups[0], of.groups[0])
    if control.name == "wording":
        labels = [sample.label for sample in piece.samples]
        free = [{unit.unit for unit in control.unit_values if unit.side == label} for label in labels]
        paired = {unit.unit for unit in control.unit_values}
        return of_free(parted(of, [paired, paired] if "paired" in (piece.units or "") else free), of, terms)[0]
    if by_topic:
        whole, half = _given(numbers)
        apart = any(
            not numbers[f"shortest length of the {one} side"]
            <= numbers[f"mean length of the {other} side"]
            <= numbers[f"longest length of the {one} side"]
            for one, other in (("first", "second"), ("second", "first"))
        )
        made = Made(left=whole, half=half)
        interval = whole.interval(piece.estimate or 0.0, 1 - 2 * terms.alpha)
        return replace(made, p=1.0, interval=interval) if apart else made
    line = within(of.arrays, there.arrays)
    if line is None:
        raise ValueError("the lengths of its units do not vary")
    whole, half = (of.over_topics(line.left(share), share) for share in (1.0, 0.5))
    return Made(left=whole, half=half)


def _given(numbers: Mapping[str, float]) -> tuple[Contrast, Contrast]:
    """Take both contrasts as they stand, where the report does not hold what they were made of."""
    whole, half = (
        Contrast(estimate=numbers[f"estimate of {of}"], variance=numbers[f"error of {of}"] ** 2, freedom=df)
        for of, df in (("L", numbers["df of L"]), ("C", numbers["df of C"]))
    )
    return whole, half


def _of_features(control: ControlResult, piece: Evidence) -> Made:
    """Take off a claim on sets of features what it shows of the words alone."""
    alone = control.evidence
    if alone is None:
        raise ValueError("it has no evidence of its own")
    errors = {"exclusive": error_of_counts, "clusters": error_of_silhouettes}
    if piece.kind in errors:
        whole, half = (
            weighted((share, errors[piece.kind](piece)), (-1.0, errors[piece.kind](alone))) for share in (1.0, 0.5)
        )
        return Made(left=whole, half=half)
    plain = partial(Contrast, variance=0.0, freedom=1)
    sides = plain(estimate=piece.estimate or 0.0), plain(estimate=alone.estimate or 0.0)
    whole, half = (weighted((share, sides[0]), (-1.0, sides[1])) for share in (1.0, 0.5))
    p = 1.0 if piece.p is None else piece.p
    return Made(left=whole, half=half, p=p if half.estimate > 0 else 1.0, at_best=(p, p))


def _among_draws(control: ControlResult, piece: Evidence, terms: Terms, *, found: bool) -> ControlResult:
    """Rank a claim among the draws again; on which prompts they were read follows from their number."""
    numbers, drawn = control.numbers, np.array([unit.value for unit in control.unit_values])
    read = re.search(r"on the same ([\d,]+) prompts", control.detail)
    prompts, size = int(read[1].replace(",", "")) if read else 0, numbers["D"]
    relative = "% of the claim" in control.detail
    scale = control.estimate / (size - float(drawn.mean())) if relative else None
    if piece.kind in _OF_TWO and piece.samples[0].values:
        here = [_first_topics(sample) for sample in piece.samples]
        if len({prompt for side in here for prompt, _ in side}) == prompts:
            first, second = (fmean(value for _, value in side) for side in here)
            scale = second if relative else None
            size = (first - second) / (1.0 if scale is None else scale)
    return among_draws(
        control.name,
        (size, drawn, scale),
        statement=control.unit_values[0].side,
        unit=piece.unit,
        prompts=prompts,
        found=found,
        terms=terms,
    )


def _first_topics(of: Sample) -> list[tuple[Prompt, float]]:
    """Give the prompts that draws read, those on the first topics under several templates, with their values."""
    topics = list(dict.fromkeys(prompt.topic for prompt in of.prompts))
    several = len({prompt.template for prompt in of.prompts}) > 1
    kept = set(topics[:TOPICS] if several else topics)
    return [(prompt, value) for prompt, value in zip(of.prompts, of.values, strict=True) if prompt.topic in kept]


def _compared(piece: Evidence, units: tuple[UnitValue, ...] | None = None) -> Compared:
    """Make what a comparison was tested on again, or the same of other units."""
    (n_a, n_b), names = piece.n_units, piece.units or ""
    shift = Shift(
        estimate=piece.estimate or 0.0,
        p=1.0 if piece.p is None else piece.p,
        interval=piece.interval,
        test="",
        seed=None,
        spread=True,
        smallest_p=0.0,
        effect=0.0,
        alpha=piece.alpha or 0.0,
        paired="paired" in names,
    )
    return Compared(
        shift=shift,
        units=names,
        n_units=(n_a, n_b),
        n_topics=0,
        scope=piece.scope,
        paired="paired" in names,
        pairs=tuple((one, other - n_a) for one, other in piece.pairs),
        unit_values=piece.unit_values if units is None else units,
    )

"""Two readings of the same prompts are held beside each other: a style and its repeat, a protocol and its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from saeprobe.evidence.bounds import always
from saeprobe.evidence.evidence import Evidence, current_terms, record
from saeprobe.evidence.values import Measurement, Quantity
from saeprobe.features import Features
from saeprobe.measures.reading import Readable, captured
from saeprobe.recorded.record import AS_RECORDED, RecordedStyle


def same(a: Readable, b: Readable, *, by: Callable[[Readable], Quantity] | None = None) -> Evidence:
    """Return evidence that a style and its repeat, the same prompts read again, agree on each prompt.

    Compared are the features of each token read, as in `same(styles["standard"], styles["assistant"])`, or a measure:
    `by=effective_rank`. What differs may do so by rounding alone: counts by their features near their threshold, other
    measures by the subject's tolerance as a share of the value, and the features of a token, without those near their
    threshold, by that share of the length of all its activations. Of recorded styles, measures must be equal; that they
    are one style is for the probe to say. A single prompt that differs by more refutes it.

    Raises:
        TypeError: these are no style and its repeat, or `by` does not give one number a prompt.
    """
    _refuse_unrepeated(a, b)
    tolerance = a.tolerance if isinstance(a, Features) else 0.0
    if by is None:
        x = _distances(captured(a), captured(b))
        apart, allowed = x.values, np.full(len(x.values), tolerance)
    else:
        x, y = by(a), by(b)
        if not isinstance(x, Measurement) or not isinstance(y, Measurement):
            raise TypeError(
                f"{x.name} is one number of all prompts; same() takes a measure that is one number a prompt"
            )
        near = [
            np.zeros(len(one.values)) if one.near is None else np.maximum(one.near.lowers, one.near.raises)
            for one in (x, y)
        ]
        share = tolerance if x.unit in ("dimensions", "activation") else 0.0
        apart = np.abs(x.values - y.values)
        allowed = np.maximum(*near) + share * np.maximum(np.abs(x.values), np.abs(y.values))
    names, at = (a.label, b.label), int(np.argmax(apart))
    agree = replace(x, label=" and ".join(names), unit="share of prompts", values=(apart <= allowed) * 1.0, near=None)
    found = always(agree, 1, current_terms())
    largest = (
        f"they differ most by {apart[at]:.3g} {x.unit}, on {x.prompts[at].text!r}" if apart[at] else "all are equal"
    )
    statement = f"{x.measure} of {names[0]} = {x.measure} of {names[1]} on each prompt"
    return record(replace(found, statement=statement, reason=f"{found.reason}; {largest}"))


def _distances(a: Features, b: Features) -> Measurement:
    """Measure how far the activations of two readings lie apart on each prompt, at the token where most."""
    x, y = a.encoded, b.encoded
    apart = x - y
    for near in (a.near, b.near):
        apart = apart if near is None else apart - apart.multiply(near)
    lengths = np.sqrt(np.maximum(*(one.multiply(one).sum(axis=1) for one in (x, y))))
    distance = np.sqrt(apart.multiply(apart).sum(axis=1))
    values = np.zeros(len(a))
    np.maximum.at(values, a.row_prompt, np.divide(distance, lengths, out=np.zeros(len(lengths)), where=lengths > 0))
    return Measurement(measure="features", label="", unit="of their length", values=values, prompts=a.prompts)


def _refuse_unrepeated(a: Readable, b: Readable) -> None:
    """Raise where two sides are no style and its repeat; a record says nothing of this, who names its styles does."""
    declared = isinstance(a, RecordedStyle) and isinstance(b, RecordedStyle)
    if not declared:
        x, y = captured(a), captured(b)
        recorded = all(prompt.template == AS_RECORDED for prompt in x.prompts)
        read = [(of.subject, of.place, [one.topic if recorded else one.text for one in of.prompts]) for of in (x, y)]
        again = {*x.whole.repeats, *y.whole.repeats}
        declared = read[0] == read[1] and (recorded or not again.isdisjoint((*x.styles, *y.styles)))
    if not declared or a.label == b.label:
        raise TypeError(
            f"{a.label} and {b.label} are no style and its repeat, read at the same tokens; where they are "
            f'to be, a prompt file says repeats = "{a.label}" under [styles.{b.label}]'
        )


@dataclass(frozen=True, kw_only=True)
class OfStyle:
    """These are the means of one style's prompts on a subject; None is what no probe read."""

    style: str
    l0: float | None  # active features at the last token
    effective_rank: float | None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """They are what changes in a subject with its protocol.

    `separating` are the features that fire at the last token of every prompt of one style of `between` and on none of
    the other, ascending.
    """

    styles: tuple[OfStyle, ...]
    between: tuple[str, ...]
    separating: tuple[int, ...]

    def __post_init__(self) -> None:
        if min([0.0, *self.separating, *(one or 0.0 for of in self.styles for one in (of.l0, of.effective_rank))]) < 0:
            raise ValueError("a figure is below 0")


def figures_of(captures: Iterable[Features]) -> Figures:
    """Work out the figures of what probes read of a subject; each style counts in the first capture that has it."""
    active: dict[str, Features] = {}
    rank: dict[str, float] = {}
    for read in captures:
        at_last = read.acts is not None and read.place == "last token" and read.acts.nnz > 0
        for style in read.styles:
            of = read[style]
            if of.effective_rank is not None:
                rank.setdefault(style, float(of.effective_rank.mean()))
            if at_last:
                active.setdefault(style, of)
    between = ("novice", "expert") if {"novice", "expert"} <= active.keys() else tuple(active)[:2]
    shares = [
        np.bincount(active[one].encoded.indices, minlength=active[one].d_sae) / len(active[one]) for one in between
    ]
    apart = np.flatnonzero(np.abs(shares[0] - shares[1]) == 1) if len(shares) > 1 else ()
    means = {style: of.encoded.nnz / len(of) for style, of in active.items() if of.fixed_l0 is None}
    return Figures(
        styles=tuple(
            OfStyle(style=style, l0=means.get(style), effective_rank=rank.get(style))
            for style in dict.fromkeys([*active, *rank])
        ),
        between=between,
        separating=tuple(int(one) for one in apart),
    )

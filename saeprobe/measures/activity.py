"""Activity measures say how many features are active, how strongly, whether one fires, and how rich activations are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from saeprobe.claims import NotRun, Unverifiable
from saeprobe.evidence.bounds import always
from saeprobe.evidence.evidence import Evidence, current_terms, record
from saeprobe.evidence.values import Measurement, Quantity, Summary
from saeprobe.features import Features, NearThreshold
from saeprobe.measures.reading import (
    Readable,
    captured,
    feature_number,
    firing,
    label_of,
    one_near,
    refuse_unread,
    refuse_unrepeated,
)
from saeprobe.recorded.record import Recorded, RecordedStyle
from saeprobe.shapes import Float

Values = Float[np.ndarray, " prompts"]


def l0(of: Readable) -> Quantity:
    """Measure the active features a token read (the SAE's L0, published as "activated features"), in features.

    Raises:
        Unverifiable: the SAE was built with the number of features that it keeps of each token, whatever the text.
    """
    return _measured_or_recorded(of, "l0", "features", _active, near=_any_near)


def active_share(of: Readable) -> Quantity:
    """Measure the active features a token read, as a share of all features of the SAE; raises as `l0`."""
    return _measured_or_recorded(of, "active share", "share of features", lambda these: _active(these) / these.d_sae)


def _active(of: Features) -> Values:
    """Count active features; where the SAE was built with their number, neither more nor as many would say anything."""
    if of.fixed_l0 is not None:
        raise Unverifiable(
            f"the SAE of {of.subject} keeps at most {of.fixed_l0} features of each token, whatever the text, so that "
            "their number says nothing of the prompts; state the claim on a subject whose L0 is not fixed, or on which "
            "features are active: exclusive_features, separates or firing_rate"
        )
    return _mean_over_tokens(of, np.diff(of.encoded.indptr))


def max_activation(of: Readable) -> Quantity:
    """Measure the largest activation of any feature on any token read, in the SAE's units of activation."""

    def largest(these: Features) -> Values:
        values = np.zeros(len(these))
        np.maximum.at(values, these.row_prompt, these.encoded.max(axis=1).toarray().ravel())
        return values

    return _measured_or_recorded(of, "max activation", "activation", largest)


def mean_activation(of: Readable) -> Quantity:
    """Measure the mean strength of a prompt's active features, in the SAE's units; inactive ones do not count.

    The published "mean intensity" pools all active values of all prompts instead, so that prompts with more active
    features weigh more there; recorded summaries are taken as they are.

    Raises:
        ValueError: a prompt on which no feature is active.
    """

    def mean(these: Features) -> Values:
        active = np.bincount(these.row_prompt, weights=np.diff(these.encoded.indptr), minlength=len(these))
        total = np.bincount(these.row_prompt, weights=these.encoded.sum(axis=1), minlength=len(these))
        if (active == 0).any():
            prompt = these.prompts[int(np.flatnonzero(active == 0)[0])]
            raise ValueError(f"no feature is active on {prompt.text!r}; its mean strength is not defined")
        return total / active

    return _measured_or_recorded(of, "mean activation", "activation", mean)


def _measured_or_recorded(
    of: Readable,
    measure: str,
    unit: str,
    values: Callable[[Features], Values],
    near: Callable[[Features], NearThreshold | None] | None = None,
) -> Quantity:
    """Return a measurement on what a capture read, or what a record holds of the measure."""
    return of.quantity(measure) if isinstance(of, RecordedStyle) else measured(of, measure, unit, values, near=near)


def firing_rate(of: Readable, feature: int) -> Quantity:
    """Measure the share of prompts on which `feature` is active on any token read.

    Raises:
        TypeError: `feature` is not one whole number.
        ValueError: the SAE has no such feature.
    """
    feature = feature_number(feature)
    refuse_unread(of)
    if isinstance(of, RecordedStyle):
        return of.firing_rate(feature)
    fires = firing(of)

    def share(these: Features) -> Values:
        if not 0 <= feature < these.d_sae:
            raise ValueError(f"feature {feature} is outside [0, {these.d_sae}) of {these.subject}")
        return (fires if these is of else firing(these))[:, feature].astype(np.float64)

    return measured(
        of, f"firing rate of feature {feature}", "share of prompts", share, near=lambda these: one_near(these, feature)
    )


def measured(
    of: Features,
    measure: str,
    unit: str,
    values: Callable[[Features], Values],
    *,
    near: Callable[[Features], NearThreshold | None] | None = None,
    of_tokens: bool = True,
) -> Measurement:
    """Return a measurement on `of` that remembers the same measure on the whole capture.

    `near` gives how far features near their threshold may move it. `of_tokens` says whether it depends on which tokens
    were read; what is of the whole prompt does not.
    """
    refuse_unread(of)
    again = partial(measured, measure=measure, unit=unit, values=values, near=near, of_tokens=of_tokens)
    return Measurement(
        measure=measure,
        label=of.label,
        unit=unit,
        values=values(of),
        prompts=of.prompts,
        n_tokens=of.n_tokens,
        place=of.place if of_tokens else "",
        family=None if of is of.whole else partial(again, of.whole),
        near=None if near is None else near(of),
        under=lambda control, draw=0: again(of.under(control, draw)),
        words=of.words,
    )


def _any_near(of: Features) -> NearThreshold | None:
    """Return how far the L0 may move: on each token by one for each of its features near their threshold."""
    if of.near is None or not of.near.nnz:
        return None
    return NearThreshold(moves=_mean_over_tokens(of, np.diff(of.near.indptr)), tolerance=of.tolerance)


def _mean_over_tokens(of: Features, values: Float[np.ndarray, " rows"]) -> Values:
    """Return the mean of one value a row over the rows of each prompt."""
    rows = np.bincount(of.row_prompt, minlength=len(of))
    if (rows == 0).any():
        prompt = of.prompts[int(np.flatnonzero(rows == 0)[0])]
        raise ValueError(f"no token was read of {prompt.text!r}")
    return np.bincount(of.row_prompt, weights=values, minlength=len(of)) / rows


def effective_rank(of: Readable | Recorded) -> Quantity:
    """Measure the effective rank of the activations of all tokens of a prompt but BOS (EID), in dimensions.

    BOS is left out since in GPT-2-like models one direction, its own, would carry nearly the whole spectrum; recorded
    tables are taken as they are, and the published EID took BOS in.

    exp(-sum p log p) of the normalised singular values p of the centred activations: O. Roy & M. Vetterli, "The
    effective rank: a measure of effective dimensionality", EUSIPCO 2007. It grows with the number of tokens; declare
    the control `length` on a claim that compares prompts of different lengths.

    Raises:
        ValueError: the capture did not keep it.
    """
    if isinstance(of, Recorded | RecordedStyle):
        return of.quantity("effective rank")

    def kept(these: Features) -> Values:
        if these.effective_rank is None:
            raise ValueError('effective rank was not kept; write capture(..., keep="effective_rank")')
        return these.effective_rank.astype(np.float64)

    return measured(of, "effective rank", "dimensions", kept, of_tokens=False)


def n_tokens(of: Readable | Recorded) -> Measurement:
    """Count the tokens that the model saw of each prompt, those of BOS and of a chat template included.

    Raises:
        NotRun: a record does not say.
    """
    if isinstance(of, Recorded | RecordedStyle):
        return _lengths(of.quantity("effective rank"), of.origin)

    def lengths(these: Features) -> Values:
        if these.n_tokens is None:
            raise NotRun(f"the record of {these.label} prompts does not say how many tokens each has")
        return these.n_tokens.astype(np.float64)

    return measured(of, "length", "tokens", lengths, of_tokens=False)


def _lengths(recorded: Quantity, origin: str) -> Measurement:
    """Return the lengths that a record gives with its values."""
    if isinstance(recorded, Summary) or recorded.n_tokens is None:
        raise NotRun(f"{origin} does not say how many tokens each {recorded.label} prompt has")
    whole = recorded.whole
    return replace(
        recorded,
        measure="length",
        unit="tokens",
        values=recorded.n_tokens.astype(np.float64),
        family=None if whole is recorded else partial(_lengths, whole, origin),
    )


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
    refuse_unrepeated(a, b)
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
        near = [np.zeros(len(one.values)) if one.near is None else one.near.moves for one in (x, y)]
        share = tolerance if x.unit in ("dimensions", "activation") else 0.0
        apart = np.abs(x.values - y.values)
        allowed = np.maximum(*near) + share * np.maximum(np.abs(x.values), np.abs(y.values))
    names, at = (label_of(a), label_of(b)), int(np.argmax(apart))
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


def variance_explained(of: Features) -> Summary:
    """Measure the share of the variance of the activations that the SAE reconstructs, over all tokens read, at most 1.

    1 - sum ||x - decode(encode(x))||^2 / sum ||x - mean(x)||^2, the sums over tokens.

    Raises:
        ValueError: the capture did not keep the activations, or they do not vary, or the SAE is a transcoder.
    """
    of = captured(of)
    if of.activations is None or of.squared_error is None:
        raise ValueError('activations were not kept; write capture(..., keep="activations")')
    if np.isnan(of.squared_error).any():
        raise ValueError(f"the SAE of {of.subject} is a transcoder, which writes elsewhere and has no error here")
    x = of.activations.astype(np.float64)
    total = float(((x - x.mean(axis=0)) ** 2).sum())
    if total == 0:
        raise ValueError(f"the activations of {of.label} do not vary over {len(x)} tokens; read more than one")
    return Summary(
        measure="variance explained",
        label=of.label,
        unit="share of variance",
        value=1 - float(of.squared_error.sum()) / total,
        n=len(of),
        origin=of.subject,
        place=of.place,
    )

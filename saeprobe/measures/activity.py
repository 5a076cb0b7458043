"""Activity measures say how many features are active, how strongly, whether one fires, and how rich activations are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from saeprobe.claims import NotRun, Unverifiable
from saeprobe.evidence.near import NearThreshold, any_near, as_the_stream, mean_near, one_near
from saeprobe.evidence.values import Measurement, Quantity, Summary
from saeprobe.features import Features
from saeprobe.measures.reading import Readable, captured, feature_number, refuse_unread
from saeprobe.recorded.record import BY_PROMPT, POOLED, Recorded, RecordedStyle
from saeprobe.shapes import Float

Values = Float[np.ndarray, " prompts"]
Of = Callable[[Features], Values]
Near = Callable[[Features], NearThreshold | None]


def l0(of: Readable) -> Quantity:
    """Measure the active features a token read (the SAE's L0, published as "activated features"), in features.

    Raises:
        Unverifiable: the SAE was built with the number of features that it keeps of each token, whatever the text.
    """
    return _measured_or_recorded(of, "l0", "features", _active, near=any_near)


def active_share(of: Readable) -> Quantity:
    """Measure the active features a token read, as a share of all features of the SAE; raises as `l0`."""
    return _measured_or_recorded(
        of,
        "active share",
        "share of features",
        lambda these: _active(these) / these.d_sae,
        near=lambda these: any_near(these, these.d_sae),
    )


def _active(of: Features) -> Values:
    """Count active features; where the SAE was built with their number, neither more nor as many would say anything."""
    if of.fixed_l0 is not None:
        raise Unverifiable(
            f"the SAE of {of.subject} keeps at most {of.fixed_l0} features of each token, whatever the text, so that "
            "their number says nothing of the prompts; state the claim on a subject whose L0 is not fixed, or on which "
            "features are active: exclusive_features, separates or firing_rate"
        )
    return of.over_tokens(np.diff(of.encoded.indptr))


def max_activation(of: Readable) -> Quantity:
    """Measure the largest activation of any feature on any token read, in the SAE's units of activation.

    How far rounding moves it depends on the length of the stream, which is not stored. It is taken to move by as large
    a share of itself as the stream does: that is 4 standard deviations where the stream lies along the feature as far
    as 4 standard deviations of a random direction, and the largest of thousands lies no less far.
    """

    def largest(these: Features) -> Values:
        values = np.zeros(len(these))
        np.maximum.at(values, these.row_prompt, these.encoded.max(axis=1).toarray().ravel())
        return values

    return _measured_or_recorded(
        of, "max activation", "activation", largest, near=lambda these: as_the_stream(these, largest)
    )


def mean_activation(of: Readable, *, pooled: bool = False) -> Quantity:
    """Measure the mean strength of active features, in the SAE's units; inactive ones do not count.

    Each prompt has a mean of its own, and these are averaged. `pooled` takes the mean of all active values of a style
    instead, as the published "mean intensity" does: prompts with more active features weigh more. A prompt's value is
    then that mean moved by what the prompt adds to it, (its sum - mean x its active values) / active values a prompt:
    the values average to the pooled mean and scatter as it does (a ratio estimator; Cochran, Sampling Techniques, 6.3).
    Features near their threshold may go out, or come in with a strength between 0 and the mean.

    Raises:
        ValueError: no feature is active on a prompt, or with `pooled` on a whole style.
        NotRun: a record holds the other mean only.
    """
    name = POOLED if pooled else BY_PROMPT
    if isinstance(of, RecordedStyle):
        if not pooled and POOLED in of.quantities and BY_PROMPT not in of.quantities:
            pools = f"{of.origin} pools all active values of {of.style} prompts, and has no mean of each prompt"
            raise NotRun(f"{pools}; write mean_activation(..., pooled=True) for the pooled mean")
        return of.quantity(name)

    def mean(these: Features) -> Values:
        active = np.bincount(these.row_prompt, weights=np.diff(these.encoded.indptr), minlength=len(these))
        total = np.bincount(these.row_prompt, weights=these.encoded.sum(axis=1), minlength=len(these))
        group = np.arange(len(these))
        if pooled:
            group = np.unique([prompt.style for prompt in these.prompts], return_inverse=True)[1]
        size, count, strength = (np.bincount(group, weights=of)[group] for of in (np.ones(len(these)), active, total))
        if (count == 0).any():
            prompt = these.prompts[int(np.flatnonzero(count == 0)[0])]
            raise ValueError(f"no feature is active on {prompt.text!r}; its mean strength is not defined")
        return strength / count + (total - strength / count * active) / (count / size)

    return measured(of, name, "activation", mean, near=None if pooled else mean_near)


def activation(of: Readable, feature: int) -> Measurement:
    """Measure the activation of `feature`, 0 where it is silent, in the SAE's units.

    Raises:
        TypeError: `feature` is not one whole number.
        ValueError: the SAE has no such feature.
        NotRun: a record does not hold it.
    """
    feature = feature_number(feature)
    if isinstance(of, RecordedStyle):
        return of.activation(feature)

    def strength(these: Features) -> Values:
        return these.over_tokens(_column(these, feature))

    return measured(of, f"activation of feature {feature}", "activation", strength, features=(feature,))


def _column(of: Features, feature: int) -> Float[np.ndarray, " rows"]:
    if not 0 <= feature < of.d_sae:
        raise ValueError(f"feature {feature} is outside [0, {of.d_sae}) of {of.subject}")
    return of.encoded[:, [feature]].toarray().ravel()


def _measured_or_recorded(of: Readable, measure: str, unit: str, values: Of, near: Near) -> Quantity:
    """Return a measurement on what a capture read, or what a record holds of the measure."""
    return of.quantity(measure) if isinstance(of, RecordedStyle) else measured(of, measure, unit, values, near=near)


def firing_rate(of: Readable, feature: int) -> Quantity:
    """Measure the share of prompts on which `feature` is active on any token read.

    Raises:
        TypeError: `feature` is not one whole number.
        ValueError: the SAE has no such feature.
    """
    feature = feature_number(feature)
    if isinstance(of, RecordedStyle):
        return of.firing_rate(feature)

    def share(these: Features) -> Values:
        active = these.row_prompt[_column(these, feature) > 0]
        return (np.bincount(active, minlength=len(these)) > 0).astype(np.float64)

    name, near = f"firing rate of feature {feature}", partial(one_near, feature=feature)
    return measured(of, name, "share of prompts", share, near=near, features=(feature,))


def measured(
    of: Features,
    measure: str,
    unit: str,
    values: Of,
    *,
    near: Near | None = None,
    of_tokens: bool = True,
    label: str = "",
    features: tuple[int, ...] = (),
) -> Measurement:
    """Return a measurement on `of`, of these `features` if it is of single ones.

    `near` gives how far features near their threshold may move it; `of_tokens` says whether it depends on which tokens
    were read. `label` names what is compared, where it is no style.
    """
    refuse_unread(of)
    again = partial(measured, measure=measure, unit=unit, values=values, near=near, of_tokens=of_tokens)
    again = partial(again, label=label, features=features)
    return Measurement(
        measure=measure,
        label=label or of.label,
        unit=unit,
        features=features,
        values=values(of),
        prompts=of.prompts,
        n_tokens=of.n_tokens,
        place=of.place if of_tokens else "",
        near=None if near is None else near(of),
        under=lambda control, draw=0: again(of.under(control, draw)),
        words=of.words,
        run=of.run,
    )


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
    """Count the tokens that the model saw of each prompt, with BOS and template; NotRun says that a record does not."""
    if isinstance(of, Recorded | RecordedStyle):
        try:
            ranks = of.quantity("effective rank")  # which a table gives beside the lengths
        except NotRun:
            remedy = "put eid_persona_results.json of the run there"
            raise NotRun(f"{of.origin} does not say how many tokens each prompt has; {remedy}") from None
        if isinstance(ranks, Summary) or ranks.n_tokens is None:
            raise NotRun(f"{of.origin} does not say how many tokens each {ranks.label} prompt has")
        return replace(ranks, measure="length", unit="tokens", values=ranks.n_tokens.astype(np.float64))

    def lengths(these: Features) -> Values:
        if these.n_tokens is None:
            raise NotRun(f"the record of {these.label} prompts does not say how many tokens each has")
        return these.n_tokens.astype(np.float64)

    return measured(of, "length", "tokens", lengths, of_tokens=False)


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
        run=of.run,
    )

"""Activity: how many features are active, how strongly, and whether one fires."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Float

from saeprobe.claims import NotRun
from saeprobe.evidence.values import Measurement, Quantity, Summary
from saeprobe.features.sparse import Features, NearThreshold
from saeprobe.measures.reading import Near, Readable, captured, feature_number, firing, one_near, refuse_unread
from saeprobe.recorded.directory import Recorded, RecordedStyle

Values = Float[np.ndarray, " prompts"]


def l0(of: Readable) -> Quantity:
    """Active features a token read (the SAE's L0, published as "activated features"), in features."""
    if isinstance(of, RecordedStyle):
        return of.quantity("l0")
    return measured(
        of, "l0", "features", lambda these: _mean_over_tokens(these, np.diff(these.acts.indptr)), near=_any_near
    )


def active_share(of: Readable) -> Quantity:
    """Active features a token read, as a share of all features of the SAE."""
    if isinstance(of, RecordedStyle):
        return of.quantity("active share")
    refuse_unread(of)
    share = 1 / of.d_sae
    return measured(
        of,
        "active share",
        "share of features",
        lambda these: _mean_over_tokens(these, share * np.diff(these.acts.indptr)),
    )


def max_activation(of: Readable) -> Quantity:
    """Largest activation of any feature on any token read, in the SAE's units of activation."""
    if isinstance(of, RecordedStyle):
        return of.quantity("max activation")
    return measured(of, "max activation", "activation", _largest)


def mean_activation(of: Readable) -> Quantity:
    """Mean strength of the active features of a prompt, in the SAE's units of activation; inactive ones do not count.

    The published "mean intensity" pools all active values of all prompts instead, so that prompts with more active
    features weigh more there; recorded summaries are taken as they are.

    Raises:
        ValueError: a prompt on which no feature is active.
    """
    if isinstance(of, RecordedStyle):
        return of.quantity("mean activation")
    return measured(of, "mean activation", "activation", _mean_active)


def firing_rate(of: Readable, feature: int) -> Quantity:
    """Share of prompts on which `feature` is active on any token read.

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
    near: Near | None = None,
    of_tokens: bool = True,
) -> Measurement:
    """A measurement on `of` that remembers the same measure on the whole capture.

    `of_tokens` says whether it depends on which tokens were read; what is of the whole prompt does not.
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
    """The L0 of a token may move by one for each of its features near their threshold."""
    if of.near is None or not of.near.nnz:
        return None
    return NearThreshold(moves=_mean_over_tokens(of, np.diff(of.near.indptr)), tolerance=of.tolerance)


def _mean_over_tokens(of: Features, values: Float[np.ndarray, " rows"]) -> Values:
    """Mean of one value a row over the rows of each prompt."""
    rows = np.bincount(of.row_prompt, minlength=len(of))
    if (rows == 0).any():
        prompt = of.prompts[int(np.flatnonzero(rows == 0)[0])]
        raise ValueError(f"no token was read of {prompt.text!r}")
    return np.bincount(of.row_prompt, weights=values, minlength=len(of)) / rows


def _largest(of: Features) -> Values:
    largest = np.zeros(len(of))
    np.maximum.at(largest, of.row_prompt, of.acts.max(axis=1).toarray().ravel())
    return largest


def _mean_active(of: Features) -> Values:
    active = np.bincount(of.row_prompt, weights=np.diff(of.acts.indptr), minlength=len(of))
    total = np.bincount(of.row_prompt, weights=of.acts.sum(axis=1), minlength=len(of))
    if (active == 0).any():
        prompt = of.prompts[int(np.flatnonzero(active == 0)[0])]
        raise ValueError(f"no feature is active on {prompt.text!r}; its mean strength is not defined")
    return total / active


def effective_rank(of: Readable | Recorded) -> Quantity:
    """Effective rank of the activations of all tokens of a prompt but BOS (published as EID), in dimensions.

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
    """Tokens that the model saw of each prompt, those of BOS and of a chat template included.

    Raises:
        NotRun: a record does not tell.
    """
    if isinstance(of, Recorded | RecordedStyle):
        return _lengths(of.quantity("effective rank"), of.origin)

    def lengths(these: Features) -> Values:
        if these.n_tokens is None:
            raise NotRun(f"the record of {these.label} prompts does not tell how many tokens each has")
        return these.n_tokens.astype(np.float64)

    return measured(of, "length", "tokens", lengths, of_tokens=False)


def _lengths(recorded: Quantity, origin: str) -> Measurement:
    """The lengths that a record gives beside its values."""
    if isinstance(recorded, Summary) or recorded.n_tokens is None:
        raise NotRun(f"{origin} does not tell how many tokens each {recorded.label} prompt has")
    whole = recorded.whole
    return replace(
        recorded,
        measure="length",
        unit="tokens",
        values=recorded.n_tokens.astype(np.float64),
        family=None if whole is recorded else partial(_lengths, whole, origin),
    )


def variance_explained(of: Features) -> Summary:
    """Share of the variance of the activations that the SAE reconstructs, over all tokens read, at most 1.

    1 - sum ||x - decode(encode(x))||^2 / sum ||x - mean(x)||^2, the sums over tokens.

    Raises:
        ValueError: the capture did not keep the activations, or they do not vary.
    """
    of = captured(of)
    if of.activations is None or of.squared_error is None:
        raise ValueError('activations were not kept; write capture(..., keep="activations")')
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

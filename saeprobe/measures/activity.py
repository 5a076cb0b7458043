"""Activity: how many features are active, how strongly, and whether one fires."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse import csr_array

from saeprobe.evidence.values import Measurement, Quantity
from saeprobe.features.sparse import Features
from saeprobe.measures.reading import feature_number, refuse_unread
from saeprobe.recorded.record import RecordedStyle
from saeprobe.threshold import NearThreshold

Values = Float[np.ndarray, " prompts"]
Readable = Features | RecordedStyle
Near = Callable[[Features], NearThreshold | None]
"""How far features near their threshold may move a measure on some features."""


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


def firing(of: Features) -> Bool[np.ndarray, "prompts d_sae"]:
    """Which features are active on any token read of each prompt."""
    fires = np.zeros((len(of), of.d_sae), dtype=bool)
    coo = of.acts.tocoo()
    rows, features = coo.coords
    active = coo.data > 0
    fires[of.row_prompt[rows[active]], features[active]] = True
    return fires


def undecided(of: Features) -> Bool[np.ndarray, "prompts d_sae"]:
    """Which features rounding decides on each prompt: near their threshold on a token read, and beyond it on none."""
    near = _near(of).tocoo()
    rows, features = near.coords
    close = np.zeros((len(of), of.d_sae), dtype=bool)
    close[of.row_prompt[rows], features] = True
    return close & ~firing(replace(of, acts=of.acts - of.acts.multiply(_near(of))))


def one_near(of: Features, feature: int) -> NearThreshold | None:
    """On which prompts rounding decides whether `feature` fires; there the rate may move by 1."""
    if of.near is None or not of.near.nnz:
        return None
    near = of.near[:, [feature]].toarray().ravel()
    beyond = (of.acts[:, [feature]].toarray().ravel() > 0) & ~near
    touched = np.bincount(of.row_prompt[near], minlength=len(of)) > 0
    sure = np.bincount(of.row_prompt[beyond], minlength=len(of)) > 0
    return NearThreshold(moves=(touched & ~sure).astype(np.float64), tolerance=of.tolerance, feature=feature)


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


def _near(of: Features) -> csr_array:
    return csr_array(of.acts.shape, dtype=bool) if of.near is None else of.near


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

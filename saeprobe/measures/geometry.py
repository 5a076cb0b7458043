"""Geometry: how long a prompt is, how much of the space of activations it fills, and how much the SAE gives back."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from saeprobe.claims import NotRun
from saeprobe.evidence.values import Measurement, Quantity, Summary
from saeprobe.features.sparse import Features
from saeprobe.measures.activity import Readable, Values, measured
from saeprobe.measures.halving import captured
from saeprobe.recorded.record import Recorded, RecordedStyle


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

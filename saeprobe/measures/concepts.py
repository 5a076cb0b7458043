"""Concepts: whether a feature stands for a thing, at a token that names it and across unrelated kinds of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy.sparse import csr_array

from saeprobe.claims import Control, NotRun
from saeprobe.evidence.values import Measurement
from saeprobe.features.continuations import Continuation, Continuations
from saeprobe.features.sparse import Features
from saeprobe.measures.activity import measured
from saeprobe.measures.halving import Selected
from saeprobe.measures.reading import captured, feature_numbers, refuse_unwritten, told
from saeprobe.prompts import Prompt

Units = Literal["features", "dimensions"]


Activity = Float[np.ndarray, "prompts units"]


def among_strongest(of: Features, feature: int | Sequence[int] | Selected, *, k: int = 5) -> Measurement:
    """Whether a feature, or one of several, is active and among the `k` strongest at the tokens read: 1 or 0.

    A prompt that was read at several tokens counts the share of them. Features as strong as the k-th count as among
    them.

    Raises:
        ValueError: no feature is given, one is outside the SAE, or `k` is below 1.
        TypeError: a feature is no whole number.
    """
    of = captured(of)
    wanted = feature.features if isinstance(feature, Selected) else feature_numbers(feature)
    if not wanted or k < 1:
        raise ValueError(f"features {list(wanted)} and k = {k}; wanted at least one feature, and k of at least 1")
    for each in wanted:
        if not 0 <= each < of.d_sae:
            raise ValueError(f"feature {each} is outside [0, {of.d_sae}) of {of.subject}")
    which = f"feature {wanted[0]}" if len(wanted) == 1 else f"one of features {', '.join(map(str, wanted))}"
    if isinstance(feature, Selected):
        which += f", picked among {feature.tried:,} on {feature.beside(of)}, is"

    def share(these: Features) -> Float[np.ndarray, " prompts"]:
        return _by_prompt(these, csr_array(_is_strongest(these, wanted, k)[:, np.newaxis]))[:, 0]

    return measured(of, f"{which} among the {k} strongest", "share of tokens", share)


def selectivity(of: Features, units: Units, *, k: int = 5) -> Measurement:
    """How much of what a prompt's strongest units do elsewhere is done on its own kind of text: 1 at most.

    The kinds are the styles. A unit is a feature, or a dimension of the residual stream with its sign: by how many
    standard deviations it lies above its mean, or below it, over all tokens of the capture. Dimensions are made as
    sparse as features: on each token only as many count as features are active there, those farthest from their means.
    A unit's activity on a prompt is its mean over the tokens read (not BOS).

    For each prompt, the `k` units of the largest activity; for each of these, its mean activity on the prompts of the
    same kind in *other wordings*, as a share of the sum of its mean activities on all kinds. Their mean is the value.
    Units that mean nothing in particular give 1 / kinds on average; a unit that is silent in all other wordings says
    nothing and counts as that. Active units are fewer than `k` on some prompts; then those count.

    Raises:
        ValueError: there is a single kind, a kind has a single wording, no unit is active on a prompt, or `units` are
            other ones.
        NotRun: dimensions are asked of a capture without activations.
    """
    of = captured(of)
    if units not in get_args(Units):
        raise ValueError(f"units are {units!r}; wanted one of {', '.join(get_args(Units))}")
    if k < 1:
        raise ValueError(f"k is {k}; wanted at least one unit a prompt")
    found = measured(of, "selectivity", "share of activity", partial(_selectivity, units=units, k=k))

    def under(control: Control, draw: int = 0) -> Measurement:
        return selectivity(of.under(control, draw), units, k=k)

    return replace(found, label=units, family=None, under=under)


def _selectivity(of: Features, *, units: Units, k: int) -> Float[np.ndarray, " prompts"]:
    activity = _by_prompt(of, of.acts if units == "features" else csr_array(_dimensions(of)))
    kinds = _members(of, [prompt.style for prompt in of.prompts])
    wordings = _members(of, [prompt.template for prompt in of.prompts])
    if len(kinds) < 2:  # noqa: PLR2004 - unrelated to what?
        raise ValueError(f"selectivity needs prompts of several kinds; there is one style: {of.label}")
    means = kinds @ activity / kinds.sum(axis=1, keepdims=True)
    values = np.zeros(len(of))
    for wording in wordings:
        kind = int(np.flatnonzero((kinds & wording).any(axis=1))[0])
        others = kinds[kind] & ~wording
        if not others.any():
            raise ValueError(
                f"{of.prompts[int(np.flatnonzero(wording)[0])].template!r} is the only wording of its kind"
            )
        elsewhere = means.copy()
        elsewhere[kind] = activity[others].mean(axis=0)
        total = elsewhere.sum(axis=0)
        share = np.divide(elsewhere[kind], total, out=np.full(len(total), 1 / len(kinds)), where=total > 0)
        for index in np.flatnonzero(wording):
            strongest = _strongest(activity[index], k)
            if not len(strongest):
                raise ValueError(f"no unit is active on {of.prompts[index].text!r}; its selectivity is not defined")
            values[index] = share[strongest].mean()
    return values


def _dimensions(of: Features) -> Float[np.ndarray, "rows units"]:
    """Standard deviations above and below the mean, of as many dimensions a token as it has active features."""
    if of.activations is None:
        raise NotRun('activations were not kept; write capture(..., keep="activations")')
    x = of.activations.astype(np.float64)
    spread = x.std(axis=0)
    z = np.divide(x - x.mean(axis=0), spread, out=np.zeros_like(x), where=spread > 0)
    z[~_farthest(np.abs(z), np.diff(of.acts.indptr))] = 0
    return np.hstack([np.maximum(z, 0), np.maximum(-z, 0)])


def _farthest(
    distances: Float[np.ndarray, "rows d_in"], count: Int[np.ndarray, " rows"]
) -> Bool[np.ndarray, "rows d_in"]:
    """So many of the largest of each row, of equal ones the first."""
    falling = -np.sort(-distances, axis=1)  # sorting is ten times as fast as finding an order
    last = np.minimum(count, distances.shape[1]) - 1
    least = np.where(last >= 0, falling[np.arange(len(falling)), last], np.inf)[:, np.newaxis]
    found: Bool[np.ndarray, "rows d_in"] = distances >= least
    for row in np.flatnonzero(found.sum(axis=1) > last + 1):
        found[row] = False
        found[row, np.argsort(-distances[row], kind="stable")[: last[row] + 1]] = True
    return found


def _by_prompt(of: Features, rows: csr_array) -> Activity:
    """Mean over the rows of each prompt, `[prompts, units]`."""
    at = np.arange(len(of.row_prompt))
    prompts_by_rows = csr_array((np.ones(len(at)), (of.row_prompt, at)), shape=(len(of), len(at)))
    tokens = np.bincount(of.row_prompt, minlength=len(of))
    return (prompts_by_rows @ rows).toarray() / tokens[:, np.newaxis]


def _members(of: Features, names: Sequence[str]) -> Bool[np.ndarray, "groups prompts"]:
    """Which prompts belong to each group, the groups in order of first appearance."""
    return np.array([[name == group for name in names] for group in dict.fromkeys(names)]).reshape(-1, len(of))


def _strongest(activity: Float[np.ndarray, " units"], k: int) -> Int[np.ndarray, " strongest"]:
    least = np.partition(activity, -k)[-k] if k < len(activity) else -np.inf
    among = np.flatnonzero(activity >= least)  # few, where an order of all takes most of the time
    best = among[np.argsort(-activity[among], kind="stable")[:k]]
    return best[activity[best] > 0]


def _is_strongest(of: Features, wanted: Sequence[int], k: int) -> NDArray[np.float64]:
    """1 where one of the wanted features is active and at most k - 1 features are stronger, a row a token."""
    acts = of.acts.toarray()
    best = acts[:, list(wanted)].max(axis=1)
    stronger = (acts > best[:, np.newaxis]).sum(axis=1)
    return ((best > 0) & (stronger < k)).astype(np.float64)


SHOWN = 4
"""Continuations of an arm that the evidence shows: the first of as many templates, whatever they say."""


def mentions(text: str, of: Continuations) -> Measurement:
    """Share of a prompt's continuations that contain `text`, upper and lower case alike.

    Over samples, and over the random features where these are the random arms.

    Raises:
        TypeError: `text` is no text, or `of` no continuations.
        ValueError: the text is empty.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - as a reader may write it
        raise TypeError(f'{told(text)} is no text; it stands first: mentions("Golden Gate", golden.at(20))')
    wanted = text.casefold()
    if not wanted:
        raise ValueError("mentions() was given an empty text, which everything contains")
    return _by_prompt_text(
        of, f"mentions of {text!r}", "share of continuations", lambda item: float(wanted in item.text.casefold())
    )


def fluency(of: Continuations) -> Measurement:
    """Mean log-probability of the continuations under the unsteered model, in nats a token; higher reads better."""
    return _by_prompt_text(of, "fluency", "nats a token", lambda item: item.log_prob)


def _by_prompt_text(of: Continuations, measure: str, unit: str, value: Callable[[Continuation], float]) -> Measurement:
    refuse_unwritten(of)
    by_prompt: dict[Prompt, list[float]] = {}
    for item in of.arm_items:
        by_prompt.setdefault(item.prompt, []).append(value(item))
    if not by_prompt:
        raise ValueError(f"there are no continuations of the arm {of.label!r}")
    first_of_template = {item.prompt.template: item for item in reversed(of.arm_items)}
    shown = list(reversed(first_of_template.values()))[:SHOWN]
    return Measurement(
        measure=measure,
        label=of.label,
        unit=unit,
        values=np.array([np.mean(values) for values in by_prompt.values()]),
        prompts=tuple(by_prompt),
        continuations=tuple((item.prompt.text, item.text) for item in shown),
    )

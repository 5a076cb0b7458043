"""Concept measures say whether a feature stands for a thing: at a token that names it, and in what a model writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from string import printable
from typing import Literal, get_args

import numpy as np
from scipy.sparse import csr_array

from saeprobe.captures import Continuation, Continuations
from saeprobe.claims import NotRun
from saeprobe.evidence.values import Measurement
from saeprobe.features import Features
from saeprobe.measures.activity import Values, measured
from saeprobe.measures.halving import Selected
from saeprobe.measures.reading import by_prompt, captured, feature_numbers, shown
from saeprobe.prompts import Prompt
from saeprobe.prompts.prompt import mentions as said
from saeprobe.prompts.wordings import unit_of
from saeprobe.shapes import Bool, Float, Int

Units = Literal["features", "dimensions"]

SHOWN = 4  # continuations of an arm that the evidence shows: the first of as many templates, whatever they say


def among_strongest(of: Features, feature: int | Sequence[int] | Selected, *, k: int = 5) -> Measurement:
    """Measure whether a feature, or one of several, is active and among the `k` strongest at the tokens read: 1 or 0.

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
        which += f", picked among {feature.tried:,} on {feature.origin(of)}, is"

    def share(these: Features) -> Values:
        acts = these.encoded.toarray()
        best = acts[:, list(wanted)].max(axis=1)
        stronger = (acts > best[:, np.newaxis]).sum(axis=1)
        return these.over_tokens(((best > 0) & (stronger < k)).astype(np.float64))

    return measured(of, f"{which} among the {k} strongest", "share of tokens", share, features=wanted)


def selectivity(of: Features, units: Units, *, k: int = 5) -> Measurement:
    """Measure how much of what a prompt's strongest units do elsewhere is done on its own kind of text: 1 at most.

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
    share = partial(_selectivity, units=units, k=k)
    return measured(of, "selectivity", "share of activity", share, label=units)


def _selectivity(of: Features, *, units: Units, k: int) -> Values:
    rows, of_rows = of.encoded if units == "features" else _dimensions(of), np.bincount(of.row_prompt)
    activity = (by_prompt(of) @ rows).toarray() / of_rows[:, np.newaxis]
    kinds = _members([prompt.style for prompt in of.prompts])
    if len(kinds) < 2:  # noqa: PLR2004 - unrelated to what?
        raise ValueError(f"selectivity needs prompts of several kinds; there is one style: {of.label}")
    means = kinds @ activity / kinds.sum(axis=1, keepdims=True)
    strongest = _strongest(activity, k)
    active = np.take_along_axis(activity, strongest, axis=1) > 0
    if not active[:, 0].all():
        text = of.prompts[int(active[:, 0].argmin())].text
        raise ValueError(f"no unit is active on {text!r}; its selectivity is not defined")
    values = np.zeros(len(of))
    for wording in _members(unit_of(of.prompts)):
        prompts = np.flatnonzero(wording)
        kind = int(np.flatnonzero(kinds[:, wording].any(axis=1))[0])
        others = kinds[kind] & ~wording
        if not others.any():
            raise ValueError(f"{of.prompts[int(prompts[0])].template!r} is the only wording of its kind")
        elsewhere = means.copy()
        elsewhere[kind] = activity[others].mean(axis=0)
        these, counts = strongest[prompts], active[prompts]
        own, of_all = elsewhere[kind, these], elsewhere.sum(axis=0)[these]
        share = np.divide(own, of_all, out=np.full(these.shape, 1 / len(kinds)), where=of_all > 0)
        values[prompts] = (share * counts).sum(axis=1) / counts.sum(axis=1)
    return values


def _strongest(activity: Float[np.ndarray, "prompts units"], k: int) -> Int[np.ndarray, "prompts k"]:
    """Return the units of the largest activity of each prompt, of equal ones the first; few, so that none is sorted."""
    left, found = activity.copy(), list[np.ndarray]()
    for _ in range(min(k, left.shape[1])):
        found.append(left.argmax(axis=1))
        left[np.arange(len(left)), found[-1]] = -1  # no activity is
    return np.stack(found, axis=1)


def _dimensions(of: Features) -> csr_array:
    """Return how far dimensions lie above and below their means, `[rows, 2 d_in]`, as many a row as features fire."""
    if of.activations is None:
        raise NotRun('activations were not kept; write capture(..., keep="activations")')
    x = of.activations.astype(np.float64)
    spread = x.std(axis=0)
    z = np.divide(x - x.mean(axis=0), spread, out=np.zeros_like(x), where=spread > 0)
    farthest = _farthest(np.abs(z), np.diff(of.encoded.indptr))
    at = np.flatnonzero(farthest)
    deviations = z.ravel()[at]
    signed = at % z.shape[1] + z.shape[1] * (deviations < 0)
    starts = np.append(0, farthest.sum(axis=1).cumsum())
    return csr_array((np.abs(deviations), signed, starts), shape=(len(z), 2 * z.shape[1]))


def _farthest(
    distances: Float[np.ndarray, "rows d_in"], count: Int[np.ndarray, " rows"]
) -> Bool[np.ndarray, "rows d_in"]:
    """Mark so many of the largest of each row, of equal ones the first."""
    falling = -np.sort(-distances, axis=1)  # sorting is ten times as fast as finding an order
    last = np.minimum(count, distances.shape[1]) - 1
    least = np.where(last >= 0, falling[np.arange(len(falling)), last], np.inf)[:, np.newaxis]
    found: Bool[np.ndarray, "rows d_in"] = distances >= least
    for row in np.flatnonzero(found.sum(axis=1) > last + 1):
        found[row] = False
        found[row, np.argsort(-distances[row], kind="stable")[: last[row] + 1]] = True
    return found


def _members(names: Sequence[str]) -> Bool[np.ndarray, "groups prompts"]:
    """Return which prompts belong to each group, the groups in order of first appearance."""
    index = {name: group for group, name in enumerate(dict.fromkeys(names))}
    return np.arange(len(index))[:, np.newaxis] == np.array([index[name] for name in names], dtype=np.int64)


def mentions(text: str | re.Pattern[str], of: Continuations) -> Measurement:
    """Measure the share of a prompt's continuations that say `text` as whole words, or in which a pattern is found.

    Capitals, the width of letters and blanks and the kind of an apostrophe or hyphen do not matter, and in a script
    without blanks between words a text counts wherever it stands. A pattern is searched for as it is:
    `mentions(re.compile(r"bridges?", re.I), golden.at(20))`. The share is taken over samples, and over the random sets
    where these are the random arms.

    Raises:
        TypeError: `text` is neither a text nor a pattern for texts, or `of` no continuations.
        ValueError: it finds the empty text.
    """
    if isinstance(text, str):
        found = partial(said, words=[text])
    elif isinstance(text, re.Pattern) and isinstance(text.pattern, str):  # pyright: ignore[reportUnnecessaryIsInstance] - as a reader may write it
        found = text.search
    else:
        raise TypeError(f'{shown(text)} is no text; it stands first: mentions("Golden Gate", golden.at(20))')
    empty = isinstance(text, re.Pattern) and any(not place.group() for place in text.finditer(printable))
    if empty or found(""):
        raise ValueError(f"mentions() was given {text!r}, which finds the empty text; ask for one character at least")
    return _written(of, f"mentions of {text!r}", "share of continuations", lambda item: float(bool(found(item.text))))


def fluency(of: Continuations) -> Measurement:
    """Measure the mean log-probability of continuations under the unsteered model, in nats a token; higher is better.

    A TypeError says that `of` is no continuations.
    """
    return _written(of, "fluency", "nats a token", lambda item: item.log_prob)


def _written(of: Continuations, measure: str, unit: str, value: Callable[[Continuation], float]) -> Measurement:
    if not isinstance(of, Continuations):  # pyright: ignore[reportUnnecessaryIsInstance] - as a reader may write it
        raise TypeError(
            f"{shown(of)} holds no continuations; give an arm of what steer(...) ran, "
            'as in mentions("Golden Gate", golden.at(20))'
        )
    by_prompt: dict[Prompt, list[float]] = {}
    first_of_template: dict[str, Continuation] = {}
    for item in of.arm_items:
        by_prompt.setdefault(item.prompt, []).append(value(item))
        first_of_template.setdefault(item.prompt.template, item)
    if not by_prompt:
        raise ValueError(f"there are no continuations of the arm {of.label!r}")
    return Measurement(
        measure=measure,
        label=of.label,
        unit=unit,
        values=np.array([np.mean(values) for values in by_prompt.values()]),
        prompts=tuple(by_prompt),
        continued=of,
        again=partial(_written, measure=measure, unit=unit, value=value),
        continuations=tuple((item.prompt.text, item.text) for item in list(first_of_template.values())[:SHOWN]),
    )

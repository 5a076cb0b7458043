"""Each function here makes one kind of sentence on drawn prompts: the comparison and the naive test of the same."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from saeprobe import about
from saeprobe.evidence import Evidence
from saeprobe.evidence.compare import ordered
from saeprobe.evidence.correlation import correlation
from saeprobe.evidence.values import Measurement
from saeprobe.features import Features
from saeprobe.measures import exclusive_features, scan
from saeprobe.measures.reading import firing
from saeprobe.shapes import Bool, Float
from studies.calibration import naive
from studies.calibration.claim import Claimed, Naive
from studies.calibration.populations import What, measure


def first_wording(of: Measurement) -> Float[np.ndarray, " prompts"]:
    """Return the values of the prompts of the wording that was drawn first."""
    return of.values[[prompt.template == of.prompts[0].template for prompt in of.prompts]]


def first_firing(of: Features) -> Bool[np.ndarray, "prompts d_sae"]:
    """Return what fires on the prompts of the wording that was drawn first."""
    template = of.prompts[0].template
    return firing(of.select([at for at, one in enumerate(of.prompts) if one.template == template]))


def greater(features: Features, what: What, *, by: float = 0.0, **more: Any) -> Claimed:
    """Claim `measure(a) > measure(b)`, or `> measure(b) + by`."""
    a, b = measure(what, features["a"]), measure(what, features["b"])
    by_t = partial(naive.greater, first_wording(a), first_wording(b), by=by)
    return Claimed(compare=lambda: a > b + by if by else a > b, naive=by_t, **more)


def above(features: Features, what: What, number: float, **more: Any) -> Claimed:
    """Claim `measure(a) > number`."""
    a = measure(what, features)
    by_t = partial(naive.above, first_wording(a), number)
    return Claimed(compare=lambda: a > number, naive=by_t, **more)


def equal(features: Features, what: What, margin: float, **more: Any) -> Claimed:
    """Claim `measure(a) == about(measure(b), margin=margin)`."""
    a, b = measure(what, features["a"]), measure(what, features["b"])
    by_t = partial(naive.equal, first_wording(a), first_wording(b), margin=margin)
    return Claimed(compare=lambda: a == about(b, margin=margin), naive=by_t, **more)


def in_order(features: Features, what: What, **more: Any) -> Claimed:
    """Claim `ordered(...)`: each of three sides above the next."""
    sides = [measure(what, features[label]) for label in "abc"]
    by_t = partial(naive.ordered, [first_wording(side) for side in sides])
    return Claimed(compare=lambda: ordered(sides), naive=by_t, **more)


def together(x: Measurement, y: Measurement, bound: float) -> Claimed:
    """Claim `correlation(x, y) > bound`."""
    by_z = partial(naive.correlated, first_wording(x), first_wording(y), bound)
    return Claimed(compare=lambda: correlation(x, y) > bound, naive=by_z)


def exclusive(a: Features, b: Features, **more: Any) -> Claimed:
    """Claim `exclusive_features(a, b) > exclusive_features(b, a)`."""
    by_t = partial(naive.exclusive, first_firing(a), first_firing(b))

    def compare() -> Evidence:
        return exclusive_features(a, b) > exclusive_features(b, a)

    return Claimed(compare=compare, naive=by_t, **more)


def scanned(features: Features) -> Claimed:
    """Claim `scan(a, b)`; the naive arm takes the feature that a t test likes best on one wording a side."""
    a, b = features["a"], features["b"]
    return Claimed(compare=lambda: scan(a, b), naive=best_of(a, b))


def best_of(a: Features, b: Features) -> Naive:
    """Return the naive test of the best feature, judged on the prompts it was picked on."""
    return partial(naive.best_of_all, first_firing(a), first_firing(b))

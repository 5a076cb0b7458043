"""Each function here makes one kind of sentence on drawn prompts: the comparison and the naive test of the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from saeprobe import about
from saeprobe.evidence.compare import ordered
from saeprobe.evidence.correlation import correlation
from saeprobe.evidence.evidence import Evidence
from saeprobe.evidence.values import Measurement
from saeprobe.features import Features
from saeprobe.measures import clusters, exclusive_features, scan
from saeprobe.measures.reading import firing
from saeprobe.prompts import Prompt
from saeprobe.shapes import Bool, Float
from studies.calibration import naive
from studies.calibration.claim import Claimed, Naive
from studies.calibration.populations import What, measure, name_of


def claimed(
    prompts: Sequence[Prompt],
    name: str,
    wordings: int,
    compare: Callable[[], Evidence],
    naive: Naive | None = None,
    **more: Any,
) -> Claimed:
    """Make a claim of a comparison on these prompts; `more` are its controls, its effect and what it is over."""
    topics = len({prompt.topic for prompt in prompts})
    return Claimed(measure=name, wordings=wordings, topics=topics, compare=compare, naive=naive, **more)


def first_wording(of: Measurement) -> Float[np.ndarray, " prompts"]:
    """Return the values of the prompts of the wording that was drawn first."""
    return of.values[[prompt.template == of.prompts[0].template for prompt in of.prompts]]


def first_firing(of: Features) -> Bool[np.ndarray, "prompts d_sae"]:
    """Return what fires on the prompts of the wording that was drawn first."""
    template = of.prompts[0].template
    return firing(of.select([at for at, one in enumerate(of.prompts) if one.template == template]))


def greater(features: Features, what: What, *, wordings: int, by: float = 0.0, **more: Any) -> Claimed:
    """Claim `measure(a) > measure(b)`, or `> measure(b) + by`."""
    a, b = measure(what, features["a"]), measure(what, features["b"])
    by_t = partial(naive.greater, first_wording(a), first_wording(b), by=by)
    return claimed(features.prompts, name_of(what), wordings, lambda: a > b + by if by else a > b, by_t, **more)


def above(features: Features, what: What, number: float, *, wordings: int, **more: Any) -> Claimed:
    """Claim `measure(a) > number`."""
    a = measure(what, features)
    by_t = partial(naive.above, first_wording(a), number)
    return claimed(features.prompts, name_of(what), wordings, lambda: a > number, by_t, **more)


def equal(features: Features, what: What, margin: float, *, wordings: int, **more: Any) -> Claimed:
    """Claim `measure(a) == about(measure(b), margin=margin)`."""
    a, b = measure(what, features["a"]), measure(what, features["b"])
    by_t = partial(naive.equal, first_wording(a), first_wording(b), margin=margin)
    return claimed(features.prompts, name_of(what), wordings, lambda: a == about(b, margin=margin), by_t, **more)


def in_order(features: Features, what: What, *, wordings: int, **more: Any) -> Claimed:
    """Claim `ordered(...)`: each of three sides above the next."""
    sides = [measure(what, features[label]) for label in "abc"]
    by_t = partial(naive.ordered, [first_wording(side) for side in sides])
    return claimed(features.prompts, name_of(what), wordings, lambda: ordered(sides), by_t, **more)


def together(x: Measurement, y: Measurement, bound: float, *, wordings: int) -> Claimed:
    """Claim `correlation(x, y) > bound`."""
    by_z = partial(naive.correlated, first_wording(x), first_wording(y), bound)
    return claimed(x.prompts, f"{x.measure}, {y.measure}", wordings, lambda: correlation(x, y) > bound, by_z)


def exclusive(a: Features, b: Features, *, wordings: int, **more: Any) -> Claimed:
    """Claim `exclusive_features(a, b) > exclusive_features(b, a)`."""
    by_t = partial(naive.exclusive, first_firing(a), first_firing(b))
    name = "exclusive features"
    return claimed(a.prompts, name, wordings, lambda: exclusive_features(a, b) > exclusive_features(b, a), by_t, **more)


def scanned(features: Features, *, wordings: int) -> Claimed:
    """Claim `scan(a, b)`; the naive arm takes the feature that a t test likes best on one wording a side."""
    a, b = features["a"], features["b"]
    return claimed(features.prompts, "firing rates", wordings, lambda: scan(a, b), best_of(a, b))


def clustered(features: Features, *, wordings: int) -> Claimed:
    """Claim `clusters(features)`, of which there is no naive test."""
    return claimed(features.prompts, "silhouette", wordings, lambda: clusters(features))


def best_of(a: Features, b: Features) -> Naive:
    """Return the naive test of the best feature, judged on the prompts it was picked on."""
    return partial(naive.best_of_all, first_firing(a), first_firing(b))

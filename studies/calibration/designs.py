"""The designs of the study: every kind of claim that is tested by chance, and how its truth is known."""

from __future__ import annotations

from functools import partial
from typing import Final

from studies.calibration import false_claims, known_claims, true_claims
from studies.calibration.claimed import Design
from studies.calibration.edge_claims import (
    about_equal,
    at_least,
    at_least_crossed,
    at_least_over_topics,
    at_least_unequal,
    at_mean,
    correlated,
    ordering,
    rate,
)
from studies.calibration.false_claims import (
    clustered,
    every_other,
    exclusive,
    exclusive_thinned,
    greater,
    greater_controlled,
    greater_crossed,
    greater_over_topics,
    greater_rate,
    picked,
    scanned,
)
from studies.calibration.known_claims import controlled, detector
from studies.calibration.true_claims import bound, crossed, over_topics

_false = partial(Design, truth="false")


_true = partial(Design, truth="true")


FALSE: Final[tuple[Design, ...]] = (
    _false(kind="greater", how="labels shuffled", make=greater, times=2),
    _false(kind="greater", how="labels shuffled, a random feature's firing rate", make=greater_rate),
    _false(kind="greater", how="labels shuffled, under controls", make=greater_controlled),
    _false(kind="greater over topics", how="labels swapped by topic", make=greater_over_topics),
    _false(kind="greater over both", how="labels shuffled", make=greater_crossed),
    _false(kind="every", how="labels shuffled", make=every_other, contrary=1.0),
    _false(kind="exclusive", how="labels shuffled", make=exclusive),
    _false(
        kind="exclusive",
        how="one side thinned at random, under the control for activity",
        make=exclusive_thinned,
        level=1.0,
        contrary=None,
    ),
    _false(kind="ordering", how="labels shuffled", make=false_claims.ordering, contrary=1.0),
    _false(kind="scan", how="labels shuffled", make=scanned, level=1.0, contrary=None),
    _false(kind="clusters", how="labels shuffled", make=clustered, level=1.0, contrary=None),
    _false(kind="correlation", how="values shuffled", make=false_claims.correlated, level=1.0, contrary=1.0),
    _false(kind="separation", how="labels shuffled, picked on one half", make=picked, contrary=None),
    _false(kind="at least", how="margin = difference", make=at_least),
    _false(
        kind="at least",
        how="margin = difference, 4 against 12",
        make=at_least_unequal,
        populations=("mentions",),
    ),
    _false(
        kind="at least over topics",
        how="margin = difference",
        make=at_least_over_topics,
        populations=("wordings",),
    ),
    _false(
        kind="at least over both",
        how="margin = difference",
        make=at_least_crossed,
        populations=("wordings",),
    ),
    _false(kind="about equal", how="margin = difference", make=about_equal, level=1.0, contrary=1.0),
    _false(kind="bound", how="bound = mean", make=at_mean),
    _false(kind="rate", how="bound = rate", make=rate, level=1.0, contrary=1.0),
    _false(kind="ordering", how="one step is there, the other is not", make=ordering),
    _false(kind="correlation", how="bound = correlation", make=correlated, level=1.0, contrary=1.0),
)


TRUE: Final[tuple[Design, ...]] = (
    _true(kind="greater", how="known difference", make=true_claims.greater, times=6),
    _true(
        kind="greater over topics",
        how="known difference",
        make=over_topics,
        times=2,
        populations=("wordings",),
    ),
    _true(kind="greater over both", how="known difference", make=crossed, times=3),
    _true(kind="at least", how="known difference", make=true_claims.at_least, times=2),
    _true(kind="about equal", how="halves of a group", make=true_claims.about_equal, times=2),
    _true(kind="bound", how="known mean", make=bound, times=2),
    _true(kind="ordering", how="known steps", make=known_claims.ordering, times=2),
    _true(kind="greater", how="known difference, under controls", make=controlled),
    _true(
        kind="greater",
        how="a detector on its landmark and on a rival",
        make=detector,
        populations=("mentions",),
    ),
    _true(kind="rate", how="known rate", make=known_claims.rate),
    _true(kind="correlation", how="known correlation", make=known_claims.correlated),
    _true(kind="exclusive", how="a fifth more features fire", make=known_claims.exclusive),
    _true(kind="scan", how="a feature's rates differ by half", make=known_claims.scanned),
    _true(kind="clusters", how="known silhouettes", make=known_claims.clustered),
)

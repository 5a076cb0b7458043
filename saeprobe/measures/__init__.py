"""Each measure returns one number a prompt, counted on its features or on continuations.

All measures work on `Features` from a capture, and on a style of recorded evidence where the record holds it. A prompt
that was read at several tokens counts the mean over those tokens, except `max_activation`, which is their maximum.
Given anything else, they raise a TypeError that says what to write.
"""

from saeprobe.measures.activity import (
    activation,
    active_share,
    effective_rank,
    firing_rate,
    l0,
    max_activation,
    mean_activation,
    n_tokens,
    variance_explained,
)
from saeprobe.measures.clusters import clusters
from saeprobe.measures.concepts import among_strongest, fluency, mentions, selectivity
from saeprobe.measures.differences import fewest, firings, same
from saeprobe.measures.exclusive import exclusive_features
from saeprobe.measures.halving import halves, separating_features
from saeprobe.measures.scan import pick, scan
from saeprobe.measures.separation import separates, signature

__all__ = [
    "activation",
    "active_share",
    "among_strongest",
    "clusters",
    "effective_rank",
    "exclusive_features",
    "fewest",
    "firing_rate",
    "firings",
    "fluency",
    "halves",
    "l0",
    "max_activation",
    "mean_activation",
    "mentions",
    "n_tokens",
    "pick",
    "same",
    "scan",
    "selectivity",
    "separates",
    "separating_features",
    "signature",
    "variance_explained",
]

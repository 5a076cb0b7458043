"""Measures: what is counted on features and on continuations, one number a prompt.

All work on `Features` from a capture, and on a style of recorded evidence where the record tells. A prompt that was
read at several tokens counts the mean over those tokens, except `max_activation`, which is their maximum.
"""

from saeprobe.measures.activity import active_share, firing_rate, l0, max_activation, mean_activation
from saeprobe.measures.exclusive import exclusive_features
from saeprobe.measures.geometry import effective_rank, variance_explained
from saeprobe.measures.separation import halves, separates, separating_features
from saeprobe.measures.text import fluency, mentions

__all__ = [
    "active_share",
    "effective_rank",
    "exclusive_features",
    "firing_rate",
    "fluency",
    "halves",
    "l0",
    "max_activation",
    "mean_activation",
    "mentions",
    "separates",
    "separating_features",
    "variance_explained",
]

"""Each measure returns one number a prompt, counted on its features or on continuations.

All measures work on `Features` from a capture, and on a style of recorded evidence where the record holds it. A prompt
that was read at several tokens counts the mean over those tokens, except `max_activation`, which is their maximum.
Given anything else, they raise a TypeError that says what to write.
"""

from saeprobe.measures.activity import activation as activation
from saeprobe.measures.activity import active_share as active_share
from saeprobe.measures.activity import effective_rank as effective_rank
from saeprobe.measures.activity import firing_rate as firing_rate
from saeprobe.measures.activity import l0 as l0
from saeprobe.measures.activity import max_activation as max_activation
from saeprobe.measures.activity import mean_activation as mean_activation
from saeprobe.measures.activity import n_tokens as n_tokens
from saeprobe.measures.activity import variance_explained as variance_explained
from saeprobe.measures.clusters import clusters as clusters
from saeprobe.measures.concepts import among_strongest as among_strongest
from saeprobe.measures.concepts import fluency as fluency
from saeprobe.measures.concepts import mentions as mentions
from saeprobe.measures.concepts import selectivity as selectivity
from saeprobe.measures.differences import fewest as fewest
from saeprobe.measures.differences import firings as firings
from saeprobe.measures.differences import same as same
from saeprobe.measures.exclusive import exclusive_features as exclusive_features
from saeprobe.measures.halving import halves as halves
from saeprobe.measures.halving import separating_features as separating_features
from saeprobe.measures.scan import pick as pick
from saeprobe.measures.scan import scan as scan
from saeprobe.measures.separation import separates as separates
from saeprobe.measures.separation import signature as signature

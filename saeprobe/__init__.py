"""Published claims about the features of language models, as pytest probes.

What a probe is written with. Measures are in `saeprobe.measures`, prompts in `saeprobe.prompts`; `open_subject` gives
the same in a notebook. Importing this loads neither torch nor transformers.
"""

from saeprobe.captures import capture, steer
from saeprobe.claims import claim, drifted, inconclusive, published, refuted, subjects, unverifiable
from saeprobe.evidence.compare import about, every, in_each, ordered
from saeprobe.evidence.correlation import correlation
from saeprobe.evidence.printed import printed

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "about",
    "capture",
    "claim",
    "correlation",
    "drifted",
    "every",
    "in_each",
    "inconclusive",
    "ordered",
    "printed",
    "published",
    "refuted",
    "steer",
    "subjects",
    "unverifiable",
]

"""Published claims about the features of language models, as pytest probes.

What a probe is written with. Measures are in `saeprobe.measures`, prompts in `saeprobe.prompts`; `open_subject` gives
the same in a notebook. Importing this loads neither torch nor transformers.
"""

from saeprobe.agreement import in_each
from saeprobe.captures import capture, steer
from saeprobe.claims import claim, drifted, inconclusive, published, refuted, unverifiable
from saeprobe.evidence.correlation import correlation
from saeprobe.evidence.printed import printed
from saeprobe.evidence.values import about, every
from saeprobe.marks import subjects
from saeprobe.ordering import ordered

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

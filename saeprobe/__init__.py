"""Published claims about the features of language models, as pytest probes.

What a probe is written with. Measures are in `saeprobe.measures`, prompts in `saeprobe.prompts`; `open_subject` gives
the same in a notebook. Importing this loads neither torch nor transformers.
"""

from saeprobe.agreement import in_each
from saeprobe.captures import capture, steer
from saeprobe.claims import claim, drifted, inconclusive, published, refuted
from saeprobe.correlation import correlation
from saeprobe.marks import subjects
from saeprobe.measurement import about, every
from saeprobe.ordering import ordered
from saeprobe.printed import printed
from saeprobe.verdicts import unverifiable

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

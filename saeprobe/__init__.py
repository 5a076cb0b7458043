"""Published claims about the features of language models are written and decided here, as pytest probes.

A probe is written with the names below. Measures are in `saeprobe.measures`, prompts in `saeprobe.prompts`;
`saeprobe.notebook.open_subject` gives the same in a notebook. A name is imported when it is first asked for, so that
`import saeprobe` and the command line load no numerical library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saeprobe.captures import capture
    from saeprobe.captures.steering import ablate, clamp, replace, steer
    from saeprobe.claims import claim, drifted, explained, inconclusive, published, refuted, subjects, unverifiable
    from saeprobe.evidence.compare import about, every, in_each, ordered
    from saeprobe.evidence.correlation import correlation
    from saeprobe.evidence.printed_tables import distinct, printed, rank_correlation
    from saeprobe.evidence.ratios import ratio

__version__ = "0.2.0"

__all__ = [
    "__version__",
    "ablate",
    "about",
    "capture",
    "claim",
    "clamp",
    "correlation",
    "distinct",
    "drifted",
    "every",
    "explained",
    "in_each",
    "inconclusive",
    "ordered",
    "printed",
    "published",
    "rank_correlation",
    "ratio",
    "refuted",
    "replace",
    "steer",
    "subjects",
    "unverifiable",
]

_HOMES = {
    "saeprobe.captures": "capture",
    "saeprobe.captures.steering": "ablate clamp replace steer",
    "saeprobe.claims": "claim drifted explained inconclusive published refuted subjects unverifiable",
    "saeprobe.evidence.compare": "about every in_each ordered",
    "saeprobe.evidence.correlation": "correlation",
    "saeprobe.evidence.printed_tables": "distinct printed rank_correlation",
    "saeprobe.evidence.ratios": "ratio",
}
"""The modules that define the names above."""


def __getattr__(name: str) -> object:
    """Import a name when it is first asked for (PEP 562); an AttributeError says that there is none."""
    if name in ("measures", "prompts"):
        return import_module(f"{__name__}.{name}")
    for module, names in _HOMES.items():
        if name in names.split():
            value = globals()[name] = getattr(import_module(module), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

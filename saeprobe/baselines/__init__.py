"""Baselines: measured values that a person approved, and whether those of a run still agree with them.

A published number says what an article printed; a baseline says what was measured when somebody last looked and
accepted it. A value that leaves its baseline is `drifted`, with what changed in between: libraries, weights, prompts.
"""

from saeprobe.baselines.comparing import BaselineComparison, BaselineRow, compare_baseline
from saeprobe.baselines.values import values_of
from saeprobe.verdicts.baseline import Baseline, Provenance, Value, identity_of
from saeprobe.verdicts.baseline_files import BaselineError, Baselines, read_baselines

__all__ = [
    "Baseline",
    "BaselineComparison",
    "BaselineError",
    "BaselineRow",
    "Baselines",
    "Provenance",
    "Value",
    "compare_baseline",
    "identity_of",
    "read_baselines",
    "values_of",
]

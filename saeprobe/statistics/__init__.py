"""Statistics: tests that permute what a claim generalises over, and the intervals that belong to them."""

from saeprobe.statistics.bootstrap import bca_interval
from saeprobe.statistics.counting import Units
from saeprobe.statistics.crossed import crossed_shift
from saeprobe.statistics.discovery import false_discoveries
from saeprobe.statistics.intervals import rate_interval, rate_p, units_for_rate
from saeprobe.statistics.permutation import drawing_told
from saeprobe.statistics.permuting import EXACT_LIMIT, permutation_p
from saeprobe.statistics.shifts import Shift, paired_shift, unpaired_shift
from saeprobe.statistics.shuffling import paired_shuffled_ps, shuffled_ps
from saeprobe.statistics.slopes import slope_error, within_slope

__all__ = [
    "EXACT_LIMIT",
    "Shift",
    "Units",
    "bca_interval",
    "crossed_shift",
    "drawing_told",
    "false_discoveries",
    "paired_shift",
    "paired_shuffled_ps",
    "permutation_p",
    "rate_interval",
    "rate_p",
    "shuffled_ps",
    "slope_error",
    "units_for_rate",
    "unpaired_shift",
    "within_slope",
]

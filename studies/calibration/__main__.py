"""`python -m saeprobe.calibration [SUBJECT ...] [--out DIR]`: the same as `saeprobe calibrate`."""

from __future__ import annotations

import sys

from saeprobe.cli import main

sys.exit(main(["calibrate", *sys.argv[1:]]))

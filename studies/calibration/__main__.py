"""`python -m studies.calibration [SUBJECT ...] [--out DIR]` measures how often verdicts are wrong."""

from __future__ import annotations

import sys

from studies.calibration.command import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m saeprobe` is `saeprobe`."""

import sys

from saeprobe.cli import main

if __name__ == "__main__":
    sys.exit(main())

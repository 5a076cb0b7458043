"""``python -m studies.specimens sparrow|finch [--out DIR] [--seed N]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import saeprobe.specimens


def main() -> None:
    """Retrain a specimen from its seed; minutes on two cores."""
    parser = argparse.ArgumentParser(prog="python -m studies.specimens", description=main.__doc__)
    parser.add_argument("specimen", choices=["sparrow", "finch"])
    parser.add_argument("--out", type=Path, help="folder for the weights and card (default: the package's own)")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    # Imported here, so that --help does not wait for torch.
    if chosen.specimen == "sparrow":
        from studies.specimens.train.sparrow import train
    else:
        from studies.specimens.train.finch import train

    out: Path = chosen.out or Path(saeprobe.specimens.__path__[0]) / chosen.specimen
    out.mkdir(parents=True, exist_ok=True)
    train(out, seed=chosen.seed)
    sys.stdout.write(f"wrote {out}; its figures are in {out / 'README.md'}\n")


if __name__ == "__main__":
    main()

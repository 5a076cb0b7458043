"""`python -m studies.specimens sparrow|finch [--out DIR] [--seed N]` trains a specimen from its seed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module, resources
from pathlib import Path
from typing import Final

_DESCRIPTION: Final = """\
Train a specimen from its seed: tokenizer, model and SAE, and the card that states what was measured of them on held-out
documents. On one machine with one number of threads the same seed gives the same bytes. It takes minutes on two cores.

Without --out the weights that ship with the package are replaced."""
_EPILOG: Final = """\
examples:
  python -m studies.specimens sparrow --out /tmp/sparrow
  python -m studies.specimens finch --smoke --out /tmp/finch"""


def main(argv: Sequence[str] | None = None) -> None:
    """Train a specimen from the command line.

    Args:
        argv: the words after `python -m studies.specimens`; None takes them from the process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m studies.specimens",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("specimen", choices=["sparrow", "finch"], help="the specimen to train")
    add("--out", type=Path, metavar="DIR", help="folder for the weights and card (default: saeprobe/specimens)")
    add("--seed", type=int, default=0, metavar="N", help="seed of corpus, model and SAE (default: 0)")
    add("--smoke", action="store_true", help="train in seconds what has learnt nothing, to see that every step runs")
    chosen = parser.parse_args(argv)
    if chosen.smoke and chosen.out is None:
        parser.error("--smoke would replace the weights that ship with the package; name a folder: --out DIR")
    # Imported here, so that --help does not wait for torch.
    specimen = import_module(f"studies.specimens.train.{chosen.specimen}")
    out: Path = chosen.out or Path(str(resources.files("saeprobe"))) / "specimens" / chosen.specimen
    out.mkdir(parents=True, exist_ok=True)
    specimen.train(out, seed=chosen.seed, recipes=specimen.TINY if chosen.smoke else specimen.RECIPES)
    sys.stdout.write(f"wrote {out}; its figures are in {out / 'README.md'}\n")


if __name__ == "__main__":
    main()

"""Draw changes to the modules that decide by a seed, and count those that the tests notice.

`python .ci/mutants.py --draw 1000 --seed 0` has mutmut make every change that `[tool.mutmut]` of pyproject.toml allows,
draws some of them, runs the tests on each, and prints the share that was noticed and the difference that each survivor
makes. It returns 1 where fewer than 95 % were noticed.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

WANTED: Final = 0.95
UNNOTICED: Final = {0: "survived", 33: "no test reaches it", None: "not run"}
"""The exit codes by which mutmut marks a change that no test noticed."""

MAKE: Final = """
from pathlib import Path
from mutmut import __main__ as mutmut
mutmut.set_mutant_under_test("mutant_generation")
Path("mutants").mkdir(exist_ok=True)
mutmut.copy_src_dir()
mutmut.copy_also_copy_files()
mutmut.setup_source_paths()
mutmut.store_lines_covered_by_tests()
mutmut.create_mutants(2)
"""


def changes() -> Iterator[tuple[str, int | None]]:
    """Yield the name of each change that mutmut made, with the exit code of its tests if they ran."""
    for path in sorted(Path("mutants").rglob("*.meta")):
        yield from json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"].items()


def mutmut(*words: str) -> str:
    """Run mutmut and return what it printed."""
    command = [sys.executable, "-m", "mutmut", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout  # noqa: S603 - words above


def main() -> int:
    """Draw, run the tests and print what was noticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # pyright: ignore[reportOptionalMemberAccess]
    parser.add_argument("--draw", type=int, default=1000, help="how many changes (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    given = parser.parse_args()
    subprocess.run([sys.executable, "-c", MAKE], check=True)  # noqa: S603
    names = sorted(name for name, _ in changes())
    drawn = set(random.Random(given.seed).sample(names, min(given.draw, len(names))))  # noqa: S311
    mutmut("run", *sorted(drawn))
    unnoticed = {name: UNNOTICED[code] for name, code in changes() if name in drawn and code in UNNOTICED}
    for name, why in sorted(unnoticed.items()):
        sys.stdout.write(f"{name}: {why}\n{mutmut('show', name)}\n")
    share = 1 - len(unnoticed) / len(drawn)
    sys.stdout.write(f"of {len(names):,} changes {len(drawn):,} were drawn by seed {given.seed}, {share:.1%} noticed\n")
    return 0 if share >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())

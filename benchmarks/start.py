"""What starting costs: the command line and a warm run of all probes, as ratios against bare starts in the same run.

Commands run in turn as whole processes; the processor seconds of each, children counted, are taken as a median.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine

ROOT = Path(__file__).parent.parent


def seconds(command: list[str]) -> tuple[float, float]:
    """Run a command from the root of the repository and return its wall clock and processor seconds."""
    import resource  # POSIX only, as is what it measures: processor seconds of children

    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ran = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - this interpreter
    if ran.returncode > (2 if "gate" in command else 0):  # the gate holds articles, too
        raise RuntimeError(f"{command} ended with {ran.returncode}")
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Run the pairs and print, or keep, the medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of a warm run; the others run thrice as often")
    parser.add_argument("--keep", action="store_true", help="write results/start.json")
    given = parser.parse_args()
    python = sys.executable
    with tempfile.TemporaryDirectory() as reports:
        probes = [python, "-m", "pytest", "probes/", "-q", "-p", "no:cacheprovider", f"--saeprobe-report={reports}"]
        subprocess.run(probes, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - fills the store
        pairs = {
            "saeprobe --help": ([python, "-m", "saeprobe", "--help"], [python, "-c", "pass"], 3 * given.runs),
            "import saeprobe": ([python, "-c", "import saeprobe"], [python, "-c", "pass"], 3 * given.runs),
            "warm pytest probes/": (probes, [python, "-c", "import pytest, pandas, scipy.stats"], given.runs),
            "saeprobe gate articles": (
                [python, "-m", "saeprobe", "gate", "articles", "--report", f"{reports}/report.json"],
                [python, "-c", "import numpy, scipy.stats"],
                3 * given.runs,
            ),
        }
        found: dict[str, dict[str, float]] = {}
        for name, (command, peer, runs) in pairs.items():
            times = [(*seconds(command), *seconds(peer)) for _ in range(runs)]
            wall, spent, peer_wall, peer_spent = (statistics.median(column) for column in zip(*times, strict=True))
            found[name] = {"wall": wall, "cpu": spent, "wall_ratio": wall / peer_wall, "cpu_ratio": spent / peer_spent}
            print(f"{name:22}{wall:8.2f} s, {wall / peer_wall:5.1f} times {' '.join(peer[1:])} ({spent:.2f} s of CPU)")
    if given.keep:
        rounded = {name: {key: round(value, 3) for key, value in row.items()} for name, row in found.items()}
        machine.write("start", {**machine.described(), "runs": given.runs, "commands": rounded})


if __name__ == "__main__":
    main()

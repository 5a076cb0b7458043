"""What having saeprobe costs: the two installs, importing it, and a run of pytest that has no probes.

Makes a fresh virtual environment with the base and one with the extra `models`, as constraints.txt pins them, and takes
seconds and MB of each. In the second one pytest runs a folder with one empty test in turn: alone, with saeprobe, and
with other plugins as many people have them; a table of the medians goes into RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from start import ROOT, seconds

PLUGINS = {
    "saeprobe": "saeprobe.plugin",
    "pytest-xdist": "xdist.plugin",
    "hypothesis": "_hypothesis_pytestplugin",
    "anyio": "anyio.pytest_plugin",
    "pytest-cov": "pytest_cov.plugin",
    "pytest-asyncio": "pytest_asyncio.plugin",
}
"""The module that pytest loads for each plugin, by the name of its package."""
ALONE = "pytest alone"


def installed(folder: Path, what: str) -> tuple[Path, float, float]:
    """Install saeprobe with an extra, or none, into a fresh environment; return its python, seconds and MB."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)  # noqa: S603 - this interpreter
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    bare, begun = _size(folder), time.perf_counter()
    command = [python, "-m", "pip", "install", "--quiet", f"{ROOT}{what}", "-c", ROOT / "constraints.txt"]
    subprocess.run(command, check=True)  # noqa: S603 - the same
    return python, time.perf_counter() - begun, (_size(folder) - bare) / 10**6


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def _there(python: Path, module: str) -> bool:
    command = [python, "-c", f"import {module}"]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0  # noqa: S603 - the same


def in_turn(commands: Mapping[str, list[str]], runs: int) -> dict[str, float]:
    """Run each command in turn, so many times over, and return the median of its processor seconds."""
    spent: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            cpu = seconds(command)[1]
            if turn:  # the first writes bytecode
                spent[name].append(cpu)
    return {name: statistics.median(values) for name, values in spent.items()}


def main() -> None:
    """Measure, print the tables, and write them with --keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="of each command")
    parser.add_argument("--here", action="store_true", help="install nothing; measure in this environment")
    parser.add_argument("--keep", action="store_true", help="write RESULTS.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder, installs, python = Path(made), [], Path(sys.executable)
        for name, what in {} if given.here else {"saeprobe": "", "saeprobe[models]": "[models]"}.items():
            python, took, size = installed(folder / f"of{what}", what)
            installs.append(f"| `pip install {name}` | {size:,.0f} MB | {took:,.0f} s |")
        if not given.here:
            subprocess.run([python, "-m", "pip", "install", "--quiet", *list(PLUGINS)[1:]], check=True)  # noqa: S603 - names above
        (folder / "tests").mkdir()
        (folder / "tests" / "test_empty.py").write_text("def test_empty():\n    pass\n", encoding="utf-8", newline="\n")
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        run = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "tests")]
        with_plugins = {name: [*run, "-p", module] for name, module in PLUGINS.items() if _there(python, module)}
        bare, imports = [str(python), "-c", "pass"], [str(python), "-c", "import saeprobe"]
        found = in_turn({ALONE: run, **with_plugins, "python": bare, "import saeprobe": imports}, given.runs)
    rows = [
        f"| with {name} | {found[name] * 1000:.0f} ms | {(found[name] - found[ALONE]) * 1000:+.0f} ms |"
        for name in with_plugins
    ]
    importing = (found["import saeprobe"] - found["python"]) * 1000
    tables = [
        *(["| install | size | time |", "|---|---|---|", *installs, ""] if installs else []),
        *("| a run of one empty test | CPU time | over pytest alone |", "|---|---|---|"),
        *(f"| {ALONE} | {found[ALONE] * 1000:.0f} ms | |", *rows, ""),
        f"`import saeprobe` takes {importing:.0f} ms over `python -c pass` ({found['python'] * 1000:.0f} ms).",
    ]
    print("\n".join(tables))
    if given.keep:
        cores = os.cpu_count()
        today, system = datetime.now(UTC).date().isoformat(), f"{platform.system()} {platform.machine()}"
        head = "# Results\n\n## What having saeprobe costs\n\nBy `python benchmarks/costs.py --keep`, in one run: "
        head += f"{today}, {system}, {cores} CPU cores,\nPython {platform.python_version()}; medians of {given.runs} "
        head += "runs in turn. torch is the build for the CPU, as constraints.txt pins it;\n"
        head += "that with CUDA adds several GB."
        (Path(__file__).parent / "RESULTS.md").write_text(
            f"{head}\n\n" + "\n".join(tables) + "\n", encoding="utf-8", newline="\n"
        )


if __name__ == "__main__":
    main()

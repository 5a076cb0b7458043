"""Derive from pyproject.toml the versions that the project is tested with: its lower bounds, and the newest releases.

`lowest` prints constraints for pip that hold each dependency at its lower bound. `newest` asks pip what it would
install today and writes that to constraints.txt; nothing is installed. `check` fails where constraints.txt does not
name a dependency of pyproject.toml. torch stays at the release in constraints.txt: a machine with a build for the CPU
alone often has that of one release, and any other weighs gigabytes. `--torch` lets it go where its bounds lead.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
HEAD: Final = "# The versions that the project is tested with; 'pip install -c constraints.txt' takes exactly these.\n"
CUDA: Final = ("cuda-", "nvidia-", "triton")
"""Packages with such names are brought by a build of torch for CUDA and not by that for the CPU; no list has them."""


def plain(name: str) -> str:
    """Write the name of a package as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(root: Path, *, groups: bool = True) -> Iterator[tuple[str, str]]:
    """Give the name and the text of whatever pyproject.toml asks for: base, extras, and the groups of developers."""
    stated = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    project = stated["project"]
    lists = [project["dependencies"], *project.get("optional-dependencies", {}).values()]
    if groups:
        lists += stated.get("dependency-groups", {}).values()
    for text in (one for part in lists for one in part):
        # A group that includes another is a table; an extra that includes another names the project.
        if isinstance(text, str) and (name := plain(re.split(r"[^\w.-]", text)[0])) != plain(project["name"]):
            yield name, text


def pins(root: Path) -> dict[str, str]:
    """Read the versions in constraints.txt by the names of their packages."""
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {plain(name): version for name, _, version in (line.partition("==") for line in lines) if version}


def lowest(root: Path, *, torch: bool) -> str:
    """List each dependency of the base and the extras at its lower bound."""
    bounds: dict[str, str] = {}
    for name, text in requirements(root, groups=False):
        found = re.search(r">=\s*([\w.]+)", text)
        if found is None:
            raise SystemExit(f"pyproject.toml sets no lower bound in {text!r}: write the lowest version that passes")
        if bounds.setdefault(name, found[1]) != found[1]:
            raise SystemExit(f"pyproject.toml asks for {name}>={bounds[name]} and in another place for {text!r}")
    if not torch:
        bounds["torch"] = pins(root)["torch"]
    return "".join(f"{name}=={version}\n" for name, version in sorted(bounds.items()))


def newest(root: Path, *, torch: bool) -> str:
    """List what pip would install today into an empty environment, for all that pyproject.toml asks for."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = project["requires-python"].removeprefix(">=")
    if oldest != (running := f"{sys.version_info.major}.{sys.version_info.minor}"):
        # What is newest for a later Python may not exist for the oldest, and what is newest for the oldest runs on all.
        raise SystemExit(f"this is Python {running}: run it with {oldest}, the oldest that pyproject.toml allows")
    asked = [text for _, text in requirements(root)]
    if not torch:
        asked.append(f"torch=={pins(root)['torch']}")
    with tempfile.TemporaryDirectory() as folder:
        wanted, report = Path(folder, "wanted.txt"), Path(folder, "report.json")
        wanted.write_text("\n".join(asked), encoding="utf-8", newline="\n")
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed"]
        subprocess.run([*pip, "--report", str(report), "-r", str(wanted)], check=True)  # noqa: S603 (all of it is written here)
        return listed(json.loads(report.read_text(encoding="utf-8")))


def listed(report: dict[str, Any]) -> str:
    """Write pip's report as constraints, without the label of a build, such as `+cpu`."""
    found = [(one["metadata"]["name"], one["metadata"]["version"].partition("+")[0]) for one in report["install"]]
    kept = sorted((one for one in found if not plain(one[0]).startswith(CUDA)), key=lambda one: plain(one[0]))
    return HEAD + "".join(f"{name}=={version}\n" for name, version in kept)


def check(root: Path) -> None:
    """Fail where constraints.txt leaves a dependency open, and with it what the tests ran on."""
    if absent := sorted({name for name, _ in requirements(root)} - pins(root).keys()):
        raise SystemExit(f"constraints.txt does not name {', '.join(absent)}; run: python .ci/versions.py newest")


def main() -> None:
    """Print, write or check versions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["lowest", "newest", "check"])
    parser.add_argument("--torch", action="store_true", help="do not hold torch at the release in constraints.txt")
    args = parser.parse_args()
    if args.what == "lowest":
        sys.stdout.write(lowest(ROOT, torch=args.torch))
    elif args.what == "newest":
        (ROOT / "constraints.txt").write_text(newest(ROOT, torch=args.torch), encoding="utf-8", newline="\n")
    else:
        check(ROOT)


if __name__ == "__main__":
    main()

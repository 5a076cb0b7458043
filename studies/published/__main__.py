"""`python -m studies.published` reads a random Llama by the published protocol and by saeprobe, step by step."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from math import inf, sqrt
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import numpy as np

from saeprobe.features import Features
from saeprobe.measures import exclusive_features, l0, separating_features
from saeprobe.notebook import open_subject
from saeprobe.prompts import STYLES
from saeprobe.recorded.comparison import compare_styles
from saeprobe.recorded.summaries import read_feature_diff
from saeprobe.recorded.tensors import read_features
from studies.published.protocol import A, B, Protocol, Read, compared, make, read, write

HERE: Final = Path(__file__).parent
PUBLISHED: Final = "published-as-published"
ROUNDING: Final = {"float16": 2 * 2.0**-11, "bfloat16": 2 * 2.0**-8, "float32": 4 * 2.0**-24}
"""After n layers two right readings of a stream differ by at most this times sqrt(n + 10), as a share of its length.

saeprobe reads in batches and the study one prompt at a time, so that sums are made in another order. A rounding moves a
value by about half of the dtype's unit roundoff, and roundings add up like a random walk (Higham and Mary 2019): n of
the stream and about 10 inside a block. The factor leaves three times as much for what later layers make of them; in
float32 it is twice that, since there the sums inside products round as much, which 16 bits make in float32 too.
"""
HEAD: Final = """\
from saeprobe import about, capture, claim, every, ordered
from saeprobe.measures import *
from saeprobe.prompts import STYLES

styles = capture(STYLES, at="last")
ranks = capture(STYLES, keep="effective_rank")
"""


class StudyError(Exception):
    """pytest could not run the claims."""


class Line(NamedTuple):
    """A line of a table compares one thing: by how much the two are apart, and by how much rounding may move it."""

    what: str
    study: object
    saeprobe: object
    apart: float
    at_most: float = 0.0

    @property
    def agrees(self) -> bool:
        """Say whether the two agree up to rounding."""
        return self.apart <= self.at_most


def declare(folder: Path, *, state: int) -> dict[str, Protocol]:
    """Declare the steps as subjects of a project, and return the protocol of each as the study reads it."""
    text = (HERE / "subjects.toml").read_text(encoding="utf-8")
    text = text.replace("HOOK", str(state - 1)).replace("AFTER", str(state))
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    tables: dict[str, dict[str, Any]] = tomllib.loads(text)["tool"]["saeprobe"]["subjects"]
    found: dict[str, Protocol] = {}
    for name, table in tables.items():
        keys = tables[PUBLISHED] | table
        shutil.copy(HERE / keys["prompts"], folder)
        found[name] = Protocol(
            state=int(re.findall(r"\d+", keys["hook_name"])[0]) + 1,
            prompts=folder / keys["prompts"],
            **{key: keys[key] for key in ("dtype", "bos_twice", "rank_with_bos")},
        )
    return found


def compare(folder: Path, subject: str, protocol: Protocol, study: Read) -> list[Line]:
    """Read the prompts of a step by saeprobe, and hold all numbers against those of the study."""
    ours = open_subject(subject, rootdir=folder).features(STYLES, keep=("features", "activations", "effective_rank"))
    row_of = {(prompt.style, prompt.topic, prompt.text): row for row, prompt in enumerate(ours.prompts)}
    lacking = row_of.keys() ^ set(study.prompts)
    prompts = Line("prompts", len(study.prompts), len(row_of), len(lacking))
    return [prompts] if lacking else [prompts, *_numbers(study, ours, [row_of[one] for one in study.prompts], protocol)]


def _numbers(study: Read, ours: Features, rows: list[int], protocol: Protocol) -> list[Line]:
    """Compare what was read of equal prompts; `rows` are saeprobe's in the order of the study."""
    bound = ROUNDING[protocol.dtype] * sqrt(protocol.state + 10)
    kept = (ours.activations, ours.effective_rank, ours.n_tokens)
    states, eid, tokens = (cast("np.ndarray", one)[rows] for one in kept)
    features, acts, length = study.features, ours.acts[rows].toarray(), np.linalg.norm(study.states, axis=1)
    moved = np.linalg.norm(states - study.states, axis=1) / length
    # |w (x - y)| <= |w| |x - y| (Cauchy-Schwarz): so far does rounding of the stream move what goes into a feature
    reach = bound * length[:, None] * study.norms
    flips, near = (acts > 0) != (features > 0), np.abs(study.inputs) <= reach
    found = [
        Line("tokens", sum(study.lengths), tokens.sum(), np.abs(tokens - study.lengths).max()),
        Line("activations, relative", "", "", moved.max(), bound),
        Line("features, by what rounding moves", "", "", (np.abs(acts - features) / reach).max(), 1),
        Line("flips far from 0", f"{near.sum()} near of {near.size}", f"{flips.sum()} flip", (flips & ~near).sum()),
    ]
    for style in ours.styles:
        own = study.rows(style)
        mean, measured = (features[own] > 0).sum(axis=1).mean(), cast("Any", l0(ours[style])).values.mean()
        at_most = flips[own].sum(axis=1).mean() + 1e-9  # each flip moves it by one feature on one prompt
        found.append(Line(f"L0, {style}", f"{mean:.2f}", f"{measured:.2f}", abs(mean - measured), at_most))
    flipped = {*np.flatnonzero(flips[[*study.rows(A), *study.rows(B)]].any(axis=0))}
    fires = {style: features[study.rows(style)] > 0 for style in (A, B)}
    for one, other in ((A, B), (B, A)):
        only = int((fires[one].any(axis=0) & ~fires[other].any(axis=0)).sum())
        count = int(exclusive_features(ours[one], ours[other]).summary.value)
        found.append(Line(f"exclusive to {one}", only, count, abs(only - count), len(flipped)))
        perfect = {*np.flatnonzero(fires[one].all(axis=0) & ~fires[other].any(axis=0))}
        picked = {*separating_features(ours[one], ours[other], most=features.shape[1]).features}
        found.append(Line(f"separators of {one}", len(perfect), len(picked), len((perfect ^ picked) - flipped)))
    apart = np.abs(eid / study.eid - 1).max()
    return [*found, Line("EID, relative", f"{study.eid.mean():.4f}", f"{eid.mean():.4f}", apart, 2 * bound)]


def _files(folder: Path, state: int) -> Line:
    """Compare the study's comparison of two styles with the one that saeprobe makes of the study's features."""
    said = read_feature_diff(folder / "feature_diff.json")
    made = compare_styles(read_features(folder / f"features_layer{state}.pt"), A, B)
    numbers = [(*of.avg_active.values(), *of.avg_intensity.values(), *of.only_count.values()) for of in (said, made)]
    same = (said.only, said.dominant) == (made.only, made.dominant)
    return Line("feature_diff.json", "", "", np.abs(np.subtract(*numbers)).max() if same else inf, 1e-6)


def verdicts(folder: Path, *options: str) -> dict[tuple[str, str], str]:
    """Let saeprobe decide the claims, and return its words by claim and subject."""
    command = [sys.executable, "-m", "pytest", "test_claims.py", "-q", "-p", "no:cacheprovider", *options]
    ran = subprocess.run(command, cwd=folder, capture_output=True, check=False, encoding="utf-8")  # noqa: S603 - pytest
    if ran.returncode not in (0, 1):
        raise StudyError(f"pytest ended with {ran.returncode} in {folder}:\n{ran.stdout[-3000:]}{ran.stderr[-3000:]}")
    report = json.loads((folder / "reports" / "report.json").read_text(encoding="utf-8"))
    return {(of["id"], one["subject"]): one["verdict"] for of in report["claims"] for one in of["probes"]}


def run(
    folder: Path, *, layers: int, width: int, state: int, seed: int = 0, steps: Sequence[str] = ()
) -> dict[str, list[Line]]:
    """Write a model into a folder, and compare both readings of it by step; all steps where none is named."""
    of = declare(folder, state=state)
    of = {name: of[name] for name in [f"{step}-as-published" for step in steps] or of}
    make(
        folder,
        replace(of.get(PUBLISHED) or next(iter(of.values())), dtype="float32"),
        layers=layers,
        width=width,
        seed=seed,
    )
    studied = {name: read(folder, protocol) for name, protocol in of.items()}
    signature = compared(next(iter(studied.values())))[f"{A}_dominant_features"][0]["index"]
    sentences = tomllib.loads((HERE / "claims.toml").read_text(encoding="utf-8"))
    probes = [
        f"@claim({name!r}, id='study.{name}', source='the study')\n"
        f"def test_{name.replace('-', '_')}(styles, ranks):\n    assert {sentence}\n"
        for name, sentence in sentences.items()
    ]
    text = "\n\n".join([f"{HEAD}SIGNATURE = {signature}\n", *probes])
    (folder / "test_claims.py").write_text(text, encoding="utf-8")
    own = verdicts(folder, "-m", " or ".join(of))
    found: dict[str, list[Line]] = {}
    for name, study in studied.items():
        record = folder / "recorded" / name
        write(record, study, state=of[name].state)
        recorded = verdicts(folder, f"--saeprobe-evidence={record}", "-m", name)
        differ = [f"{claim} {word}" for (claim, _), word in recorded.items() if own[claim, name] != word]
        words = {word: [*recorded.values()].count(word) for word in sorted({*recorded.values()})}
        apart = len(differ) + len(sentences) - len(recorded)
        line = Line("verdicts", ", ".join(f"{n} {word}" for word, n in words.items()), ", ".join(differ), apart)
        found[name] = [*compare(folder, name, of[name], study), _files(record, of[name].state), line]
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study from the command line, print a table a step, and return 1 where the two disagree."""
    parser = argparse.ArgumentParser(prog="python -m studies.published", description=__doc__)
    add = parser.add_argument
    add("--layers", type=int, default=60, metavar="N", help="layers of the model (default: 60)")
    add("--width", type=int, default=64, metavar="N", help="width of its stream, a multiple of 8 (default: 64)")
    add("--state", type=int, default=50, metavar="N", help="the hidden state that is read as published (default: 50)")
    add("--seed", type=int, default=0, metavar="N", help="seed of model and SAE (default: 0)")
    add("--steps", nargs="+", default=[], metavar="STEP", help="steps of subjects.toml (default: all)")
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), **vars(parser.parse_args(argv)))
    for step, lines in found.items():
        sys.stdout.write(f"\n{step}: {'agrees' if all(line.agrees for line in lines) else 'DISAGREES'}\n")
        for one in lines:
            ends = f"{one.apart:.2g} apart, at most {one.at_most:.2g}{'' if one.agrees else '  DISAGREES'}"
            sys.stdout.write(f"  {one.what:34}{one.study!s:>20}{one.saeprobe!s:>20}   {ends}\n")
    return 0 if all(line.agrees for lines in found.values() for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())

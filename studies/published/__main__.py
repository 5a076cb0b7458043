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
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import numpy as np

from saeprobe.features import Features
from saeprobe.measures import exclusive_features, l0, separating_features
from saeprobe.notebook import open_subject
from saeprobe.prompts import STYLES
from saeprobe.recorded.comparison import compare_styles, read_feature_diff
from saeprobe.recorded.tensors import read_features
from studies.published.protocol import A, B, Protocol, Read, compared, make, read, write

HERE: Final = Path(__file__).parent
PUBLISHED: Final = "published-as-published"
WORDS: Final = ("supported", "explained", "refuted", "inconclusive")
"""With any other word a claim is not decided."""


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
    (folder / "pyproject.toml").write_text(text, encoding="utf-8", newline="\n")
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
    """Read the prompts of a step by saeprobe, and hold all numbers against those of the study.

    saeprobe reads in batches and the study one prompt at a time, so that sums are made in another order. Two readings
    in one dtype lie no further apart than either from the exact one, together (triangle inequality): twice the study's
    own distance from a reading in float64, the largest of all prompts, is what rounding may do. So far as a prompt's
    state has moved, what goes into a feature may move by the length of its encoder's row (Cauchy-Schwarz), and by the
    rounding of both inner products (Higham 2002, "Accuracy and stability of numerical algorithms", 3.1).
    """
    exact = read(folder, replace(protocol, dtype="float64"))
    ours = open_subject(subject, rootdir=folder).features(STYLES, keep=("features", "activations", "effective_rank"))
    row_of = {(prompt.style, prompt.topic, prompt.text): row for row, prompt in enumerate(ours.prompts)}
    lacking = row_of.keys() ^ set(study.prompts)
    prompts = Line("prompts", len(study.prompts), len(row_of), len(lacking))
    return [prompts, *([] if lacking else _numbers(study, exact, ours, [row_of[one] for one in study.prompts]))]


def _numbers(study: Read, exact: Read, ours: Features, rows: list[int]) -> list[Line]:
    """Compare what was read of equal prompts; `rows` are saeprobe's in the order of the study."""
    kept = (ours.activations, ours.effective_rank, ours.n_tokens)
    states, eid, tokens = (cast("np.ndarray", one)[rows] for one in kept)
    features, acts = study.features, cast("np.ndarray", ours.encoded.toarray())[rows]
    length = np.linalg.norm(study.states, axis=1)
    moved, error = (np.linalg.norm(one - study.states, axis=1) / length for one in (states, exact.states))
    reach = ((moved + 2 * states.shape[1] * 2.0**-24) * length)[:, None] * study.norms
    flips, near = (acts > 0) != (features > 0), np.abs(study.inputs) <= reach
    found = [
        Line("tokens", sum(study.lengths), tokens.sum(), np.abs(tokens - study.lengths).max()),
        Line("activations, relative", "", "", moved.max(), 2 * error.max()),
        Line("features, as a share of reach", "", "", (np.abs(acts - features) / reach).max(), 1),
        Line("flips beyond reach", f"{near.sum()} of {near.size} near", f"{flips.sum()} flip", (flips & ~near).sum()),
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
    ranks, at_most = (np.abs(one / study.eid - 1).max() for one in (eid, exact.eid))
    return [*found, Line("EID, relative", f"{study.eid.mean():.4f}", f"{eid.mean():.4f}", ranks, 2 * at_most)]


def verdicts(folder: Path, *options: str) -> dict[tuple[str, str], str]:
    """Let saeprobe decide the claims, and return its words by claim and subject."""
    command = [sys.executable, "-m", "pytest", "test_claims.py", "-q", "-p", "no:cacheprovider", *options]
    ran = subprocess.run(command, cwd=folder, capture_output=True, check=False, encoding="utf-8")  # noqa: S603 - pytest
    if ran.returncode not in (0, 1):
        raise StudyError(f"pytest ended with {ran.returncode} in {folder}:\n{ran.stdout[-3000:]}{ran.stderr[-3000:]}")
    report = json.loads((folder / "reports" / "report.json").read_text(encoding="utf-8"))
    probes = ((of["id"], one) for of in report["claims"] for one in of["probes"])
    return {(name, one["subject"]): one["verdict"] for name, one in probes if one["run"] == 0}  # of this run


def decided(folder: Path, of: Mapping[str, Protocol], studied: Mapping[str, Read]) -> dict[str, list[Line]]:
    """Let saeprobe decide the claims of each step, one prompt at a time, and again from the files of the study."""
    sheet = tomllib.loads((HERE / "claims.toml").read_text(encoding="utf-8"))
    leaning = compared(next(iter(studied.values())))[f"{A}_dominant_features"]
    probes = sheet["head"].format(signature=leaning[0]["index"])
    for name, sentence in sheet["claims"].items():
        probes += f"\n\n@claim({name!r}, id='study.{name}', source='the study')\n"
        probes += f"def test_{name.replace('-', '_')}(styles, ranks):\n    assert {sentence}\n"
    (folder / "test_claims.py").write_text(probes, encoding="utf-8", newline="\n")
    own = verdicts(folder, "-m", " or ".join(studied), "--saeprobe-batch-size=1")
    found: dict[str, list[Line]] = {}
    for name, study in studied.items():
        record, state = folder / "recorded" / name, of[name].state
        write(record, study, state=state)
        said = read_feature_diff(record / "feature_diff.json")
        made = compare_styles(read_features(record / f"features_layer{state}.pt"), A, B)
        numbers = [(*one.avg_active.values(), *one.avg_intensity.values()) for one in (said, made)]
        same = (said.only_count, said.only, said.dominant) == (made.only_count, made.only, made.dominant)
        apart = max(abs(x - y) for x, y in zip(*numbers, strict=True)) if same else inf
        recorded = verdicts(folder, f"--saeprobe-evidence={record}", "-m", name)
        ours = {key: own[key] for key in recorded}
        differ = sum(word != ours[key] or word not in WORDS for key, word in recorded.items())
        theirs, here = (_counted([*words.values()]) for words in (recorded, ours))
        line = Line("verdicts", theirs, here, differ + len(sheet["claims"]) - len(recorded))
        found[name] = [Line("feature_diff.json", "", "", apart, 1e-6), line]  # its means are float32
    return found


def _counted(words: Sequence[str]) -> str:
    return ", ".join(f"{words.count(word)} {word}" for word in WORDS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study from the command line, print a table a step, and return 1 where the two disagree."""
    parser = argparse.ArgumentParser(prog="python -m studies.published", description=__doc__)
    add = parser.add_argument
    add("--layers", type=int, default=60, metavar="N", help="layers of the model (default: 60)")
    add("--width", type=int, default=64, metavar="N", help="width of its stream, a multiple of 8 (default: 64)")
    add("--state", type=int, metavar="N", help="the hidden state that is read as published (default: 50, or the last)")
    add("--seed", type=int, default=0, metavar="N", help="seed of model and SAE (default: 0)")
    given = parser.parse_args(argv)
    given.state = max(1, min(50, given.layers - 2)) if given.state is None else given.state
    if given.layers < given.state + 2:
        parser.error(f"--layers is {given.layers}; wanted {given.state + 2} or more: the last hidden state is a norm's")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        of = declare(folder, state=given.state)
        make(folder, replace(of[PUBLISHED], dtype="float32"), layers=given.layers, width=given.width, seed=given.seed)
        studied = {step: read(folder, protocol) for step, protocol in of.items()}
        verdict = decided(folder, of, studied)
        found = {step: [*compare(folder, step, of[step], study), *verdict[step]] for step, study in studied.items()}
    for step, lines in found.items():
        sys.stdout.write(f"\n{step}: {'agrees' if all(line.agrees for line in lines) else 'DISAGREES'}\n")
        for one in lines:
            ends = f"{one.apart:.2g} apart, at most {one.at_most:.2g}{'' if one.agrees else '  DISAGREES'}"
            sys.stdout.write(f"  {one.what:34}{one.study!s:>42}{one.saeprobe!s:>42}   {ends}\n")
    return 0 if all(line.agrees for lines in found.values() for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())

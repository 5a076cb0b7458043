"""The reliability study kills runs and damages stored files, and counts what came of it; see docs/reliability.md.

python tests/store/reliability.py kills 30 --seed 1
python tests/store/reliability.py damages 1000 --seed 1
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from saeprobe.captures import capture
from saeprobe.captures.steering import steer
from saeprobe.prompts import PromptSet
from saeprobe.store import Store, StoreWarning, bytes_of
from saeprobe.store.plan import Work, continuations, features, gather, parts_of, works_of
from saeprobe.store.tables import READINGS
from saeprobe.subject.local import Subject
from saeprobe.subject.registry import find_subject

PROBES = """
from saeprobe import capture, claim, steer, subjects
from saeprobe.measures import l0, mentions
from saeprobe.prompts import SHOPPING, STYLES

pytestmark = subjects("sparrow")
styles = capture(STYLES.only("novice", "expert"), at="last", keep=("features", "effective_rank"))
ends = capture(STYLES.only("novice", "expert"), at="last")
golden = steer(
    SHOPPING.only("judge"), feature=851, strengths=[17.1], random_features=4, n_samples=2, chosen_on="a card"
)


@claim("It holds.", id="c.novice", source="a study of saeprobe"CONTROLS)
def test_novice(ends):
    assert l0(ends["novice"]) > l0(ends["expert"])


@claim("It holds.", id="c.rank", source="a study of saeprobe")
def test_rank(styles):
    assert l0(styles["expert"]) > l0(styles["novice"])


@claim("It holds.", id="c.golden", source="a study of saeprobe")
def test_golden(golden):
    assert mentions("Golden Gate", golden.at(17.1)) > mentions("Golden Gate", golden.unsteered)
"""

Random = np.random.Generator


@dataclass(kw_only=True)
class Damages:
    """It damages files of a complete store, one at a time, and reads all evidence again.

    `wrong` counts evidence that differs from the undisturbed one, `errors` exceptions, `aside` files set aside, and
    `other_bytes` runs after which a file of the store differed from the first one.
    """

    subjects: Sequence[Subject]
    prompts: PromptSet
    root: Path

    def __post_init__(self) -> None:
        every = [
            capture(self.prompts),
            capture(self.prompts, at="all", keep=["activations", "effective_rank"]),
            steer(self.prompts, feature=1, strengths=[2.0], random_features=1, n_samples=1, max_new_tokens=2),
        ]
        self.work = list(works_of((subject, one) for subject in self.subjects for one in every))
        self.readers = {subject.name: subject.open() for subject in self.subjects}
        self.truth = self.evidence()
        self.files = {path: path.read_bytes() for path in sorted(self.root.rglob("*.parquet"))}
        store = Store(self.root)
        self.part_of = {
            part.name: part
            for work in self.work
            for one in (*work.captures, *work.steerings)
            for part in parts_of(work.subject, one, store)
        }

    def evidence(self) -> list[object]:
        """Gather what is lacking with a new store, and return all evidence as bytes and texts."""
        store = Store(self.root)
        return [one for work in self.work for one in self._evidence_of(work, store)]

    def _evidence_of(self, work: Work, store: Store) -> list[object]:
        gather(work, store, open_reader=lambda: self.readers[work.subject.name])
        found: list[object] = []
        for asked in work.captures:
            read = features(work.subject, asked, store)
            arrays = (read.acts.data, read.acts.indices, read.acts.indptr, read.row_prompt, read.n_tokens)
            more = (read.squared_error, read.activations, read.effective_rank)
            found += [None if one is None else np.asarray(one).tobytes() for one in (*arrays, *more)]
            found.append(None if read.near is None else (read.near.indices.tobytes(), read.near.indptr.tobytes()))
            found.append(read.tokens)
        found += [continuations(work.subject, asked, store).items for asked in work.steerings]
        return found

    def run(self, harm: Callable[[Damages, Random], object], *, count: int, seed: int) -> Counter[str]:
        """Do one kind of harm so many times, each with a generator of its own."""
        counts: Counter[str] = Counter(harmed=count, wrong=0, errors=0, aside=0, other_bytes=0)
        for number in range(count):
            harm(self, np.random.default_rng([seed, number]))
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                try:
                    counts["wrong"] += self.evidence() != self.truth
                except Exception as error:  # noqa: BLE001 - this is what is counted
                    counts["errors"] += 1
                    sys.stderr.write(f"{harm.__name__} {seed} {number}: {type(error).__name__}: {error}\n")
            counts["aside"] += sum(issubclass(one.category, StoreWarning) for one in said)
            for path, content in self.files.items():
                if not path.is_file() or path.read_bytes() != content:
                    counts["other_bytes"] += 1
                    path.write_bytes(content)
        return counts


def flip(of: Damages, random: Random) -> None:
    """Flip one bit anywhere in one file, every fourth time in the footer."""
    path = _one_of(of, random)
    content = bytearray(of.files[path])
    footer = int.from_bytes(content[-8:-4], "little") + 8
    first = len(content) - footer if random.random() < 1 / 4 else 0
    content[int(random.integers(first, len(content)))] ^= 1 << int(random.integers(8))
    path.write_bytes(bytes(content))


def truncate(of: Damages, random: Random) -> None:
    """Cut one file anywhere."""
    path = _one_of(of, random)
    path.write_bytes(of.files[path][: int(random.integers(len(of.files[path])))])


def swap(of: Damages, random: Random) -> None:
    """Give one file the content of another, of any subject and kind, and every second time the other the first's."""
    one, other = (list(of.files)[number] for number in random.choice(len(of.files), size=2, replace=False))
    one.write_bytes(of.files[other])
    if random.random() < 1 / 2:
        other.write_bytes(of.files[one])


def forge(of: Damages, random: Random) -> None:
    """Read a file with pyarrow, edit rows and write it again, every second time with a hash that is right.

    Under a right hash only careless edits are tried: whoever writes plausible numbers there is not found out.
    """
    path = _one_of(of, random)
    honest = pq.read_table(path)
    known = random.random() < 1 / 2
    table = honest
    while table.equals(honest):
        table = _edited(honest, random, plausible=not known)
    if known:
        path.write_bytes(bytes_of(table, of.part_of[path.stem]))
    else:
        said = {name: value for name, value in pq.read_metadata(path).metadata.items() if name != b"ARROW:schema"}
        pq.write_table(table.replace_schema_metadata(said), path)


def _one_of(of: Damages, random: Random) -> Path:
    return list(of.files)[int(random.integers(len(of.files)))]


def _edited(table: pa.Table, random: Random, *, plausible: bool) -> pa.Table:
    rows = np.arange(len(table))
    what, row = int(random.integers(6)), int(random.integers(len(table)))
    if what == 0:
        return table.take(np.delete(rows, row))
    if what == 1:
        return table.take(np.insert(rows, row, rows[int(random.integers(len(table)))]))
    # What is read for the report alone is checked there (test_seen.py), and decides nothing.
    names = [name for name in table.schema.names if name not in READINGS.report_columns]
    name = names[int(random.integers(len(names)))]
    field, values = table.schema.field(name), table.column(name).to_pylist()
    values[row] = _another(name, values[row], random, plausible=plausible)
    try:
        column = pa.array(values, type=field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # no such number in this column: it is drawn again
        return table
    return table.set_column(table.schema.get_field_index(name), field, column)


def _another(name: str, value: Any, random: Random, *, plausible: bool) -> Any:
    if isinstance(value, list) and value and not (plausible and random.random() < 1 / 2):
        at = int(random.integers(len(value)))
        return [*value[:at], _another(name, value[at], random, plausible=plausible), *value[at + 1 :]]
    if isinstance(value, list):
        return value[:-1] or [-1]
    choices: list[Any] = [None]
    if isinstance(value, str):
        choices += [] if name in ("token", "continuation") and not plausible else [f"{value}x"]
    elif isinstance(value, float):
        choices += [float("nan"), float("inf"), *([] if name in ("activation", "log_prob") else [-7.0])]
        choices += [value + 1] if plausible else []
    else:
        choices += [-7, 2**31 - 1, *([value + 1] if plausible and value is not None else [])]
    return choices[int(random.integers(len(choices)))]


HARMS: dict[str, Callable[[Damages, Random], object]] = {
    "bit flips": flip,
    "truncations": truncate,
    "swapped files": swap,
    "forged files": forge,
}


def _without_durations(held: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in held.items() if "duration" not in key}


@dataclass(kw_only=True)
class Kills:
    """It kills runs of a project, resumes each, and holds store and report against those of an undisturbed run."""

    root: Path
    seed: int
    draws: bool = True

    def __post_init__(self) -> None:
        (self.root / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
        (self.root / "test_probes.py").write_text(
            PROBES.replace("CONTROLS", ', controls=("random-sae",)' if self.draws else "")
        )
        began = time.monotonic()
        self.undisturbed = self.finish("undisturbed")
        self.seconds = time.monotonic() - began
        self.writes = len([name for name in self.undisturbed[0] if name.endswith(".parquet")])

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start a run with a store of this name."""
        store, report = (f"--saeprobe-{what}={self.root / name / what}" for what in ("store", "report"))
        command = [sys.executable, "-m", "pytest", str(self.root), "-q", "-p", "no:cacheprovider", store, report]
        return subprocess.Popen(command, cwd=self.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603

    def finish(self, name: str) -> tuple[dict[str, bytes], str]:
        """Run to the end, and return the files of the store with the evidence of the report."""
        code = self.start(name).wait()
        if code not in (0, 1):
            raise RuntimeError(f"the run {name} ended with {code}")
        store, report = self.root / name / "store", self.root / name / "report" / "report.json"
        files = {str(one.relative_to(store)): one.read_bytes() for one in sorted(store.rglob("*")) if one.is_file()}
        said = json.loads(report.read_text(encoding="utf-8"), object_hook=_without_durations)
        return files, json.dumps({key: said[key] for key in said.keys() - {"generated", "run"}}, sort_keys=True)

    def kill(self, number: int) -> str:
        """Kill a run, every second one during a write of the store, resume it and say what came of it."""
        random, name = np.random.default_rng([self.seed, number]), f"killed-{number}"
        store = self.root / name / "store"
        run, writing = self.start(name), number % 2 == 0
        if writing:
            seen, wanted = set[str](), int(random.integers(1, self.writes // 2))
            while len(seen) < wanted and run.poll() is None:
                seen.update(one for folder, _, names in os.walk(store) for one in names if one.endswith(".part"))
        else:
            time.sleep(float(random.uniform(0.1, self.seconds)))
        run.send_signal(signal.SIGKILL)  # which does nothing where it had ended
        code = run.wait()
        left = [one for one in store.rglob("*") if one.name.endswith(".part")]
        stored = len(list(store.rglob("*.parquet")))
        files, decided = self.finish(name)
        alike = "the same" if (files, decided) == self.undisturbed else "OTHER"
        when = "during a write" if writing else "at random"
        alive = "killed" if code == -signal.SIGKILL else "had ended"
        return f"{number}: {when}, {alive}, {stored} files and {len(left)} temporary ones there; resumed: {alike}"


def main() -> int:
    """Run a study from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=["kills", "damages"])
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--harm", choices=list(HARMS), nargs="*", default=list(HARMS))
    parser.add_argument("--no-draws", action="store_true", help="kill runs without draws of a random control")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if given.study == "kills":
            kills = Kills(root=root, seed=given.seed, draws=not given.no_draws)
            print(f"undisturbed: {kills.seconds:.1f} s, {kills.writes} files", flush=True)  # noqa: T201
            bad = 0
            for number in range(given.count):
                said = kills.kill(number)
                bad += "OTHER" in said
                print(said, flush=True)  # noqa: T201
            return int(bad > 0)
        styles = {"a": ["Tell me about {topic}."], "b": ["What are {topic}?"]}
        prompts = PromptSet.build(name="damaged", language="en", topics=["bridges", "tides"], styles=styles)
        subjects = [find_subject(name, root) for name in ("sparrow", "finch")]
        damages = Damages(subjects=subjects, prompts=prompts, root=root)
        print(f"{len(damages.files)} files, {sum(map(len, damages.files.values())):,} bytes", flush=True)  # noqa: T201
        bad = 0
        for name in given.harm:
            counts = damages.run(HARMS[name], count=given.count, seed=given.seed)
            bad += counts["wrong"] + counts["errors"]
            print(f"{name}: {dict(counts)}", flush=True)  # noqa: T201
        return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())

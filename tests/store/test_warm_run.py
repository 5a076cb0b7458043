"""Runs over a store: what a killed one wrote is used, and one that finds everything loads no model."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from made_subjects import Made

PATHS = """
import sys
from pathlib import Path
from saeprobe.captures import capture
from saeprobe.store import plan
from saeprobe.store.plan import works_of
from saeprobe.store.plan import features
from saeprobe.store.plan import gather
from saeprobe.prompts import Prompt
from saeprobe.prompts import PromptSet
from saeprobe.store import Store
from saeprobe.subject.registry import find_subject
root, plan.A_FILE = Path(sys.argv[1]), 4
words = ["calm", "red", "blue", "purple"]
texts = [f"{a} {b}" for a in words for b in words]
prompts = PromptSet(name="p", language="en",
    prompts=tuple(Prompt(text=text, style="s", topic=text, template="t") for text in texts))
wanted = capture(prompts)
subject, store = find_subject("hand", root), Store(root / "store")
work = works_of([(subject, wanted)])[0]
"""
# Killed, as by the kernel, once two of the four files are written: between two writes, or within the third.
KILLED = (
    PATHS
    + """
import os, signal
writes, fsync = [], os.fsync
def kill(): os.kill(os.getpid(), signal.SIGKILL)
def watch(done, total):
    if done == 8 and sys.argv[2] == "between": kill()
def write(number):
    writes.append(number)
    if len(writes) == 3: kill()
    fsync(number)
os.fsync = write
gather(work, store, batch_size=4, progress=watch)
"""
)
RESUMED = (
    PATHS
    + """
seen, there = [], len(list(store.path.rglob("*.part")))
gather(work, store, batch_size=4, progress=lambda done, total: seen.append(total))
gather(work, Store(root / "undisturbed"), batch_size=4)
one, other = ({path.name: path.read_bytes() for path in (root / name).rglob("*") if path.is_file()}
    for name in ("store", "undisturbed"))
print(there, seen[0], one == other, features(subject, wanted, store).acts.toarray().round(4).tolist())
"""
)
WARM = (
    PATHS
    + """
gather(work, store)
assert features(subject, wanted, store).acts.nnz
print(sorted({"torch", "transformers", "sae_lens", "transformer_lens"} & set(sys.modules)))
"""
)


def _run(code: str, root: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this interpreter, on a script of this file
        [sys.executable, "-c", code, str(root), *more], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("when", "left"), [("between", 0), ("within", 1)])
def test_a_kill_loses_nothing_that_was_written(hand_worked: Made, when: str, left: int) -> None:
    """After a SIGKILL the rest alone is computed, to the same bytes as without, and no temporary file stays."""
    assert _run(KILLED, hand_worked.root, when).returncode == -signal.SIGKILL
    resumed = _run(RESUMED, hand_worked.root)
    assert resumed.returncode == 0, resumed.stderr
    of_last = {"calm": [0.0, 0.0], "red": [1.5, 0.0], "blue": [0.0, 1.5], "purple": [0.5, 0.5]}
    assert resumed.stdout.strip() == f"{left} 8 True {[value for _ in of_last for value in of_last.values()]}"


def test_a_run_whose_evidence_is_stored_imports_no_model_library(hand_worked: Made) -> None:
    """Neither torch nor what needs it; and the same check does see torch in a run that computes."""
    cold = _run(WARM, hand_worked.root)
    assert "'torch'" in cold.stdout, cold.stderr
    warm = _run(WARM, hand_worked.root)
    assert warm.stdout.strip() == "[]", warm.stdout + warm.stderr

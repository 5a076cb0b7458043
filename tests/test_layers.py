"""A run on recorded evidence loads no deep learning library, and `import saeprobe` no numerical one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "transformer_lens", "sae_lens")

RECORDED_RUN = """
import pkgutil, sys
from importlib import import_module
from pathlib import Path

import saeprobe
import saeprobe.plugin
import saeprobe.report
import saeprobe.gate
import saeprobe.measures

for module in pkgutil.iter_modules(saeprobe.plugin.__path__):
    import_module(f"saeprobe.plugin.{module.name}")

from saeprobe.claims import Claim
from saeprobe.verdicts import decide
from saeprobe.evidence import Recorder
from saeprobe.evidence import recording
from saeprobe.recorded.directory import recorded_evidence
from saeprobe.recorded.recognition import recorded_files
from saeprobe.recorded import Stated

ranks = saeprobe.capture(saeprobe.prompts.STYLES, keep="effective_rank")
table = recorded_evidence(recorded_files([Path(sys.argv[1])]), ranks, Stated(subject="llama70b-as-published"))
with recording(Recorder(controls=("length",))) as recorder:
    assert saeprobe.measures.effective_rank(table["novice"]) > saeprobe.measures.effective_rank(table["expert"])
print(decide(Claim(sentence="s", id="x", source="s"), "llama70b-as-published", recorder.evidence, None)[0].word)
"""

REPORT_LOADED = f"print([name for name in {HEAVY!r} if name in sys.modules])\n"


def loaded(script: str, *arguments: str, path: Path | None = None) -> list[str]:
    """The lines that a fresh interpreter prints, with the folder `path` before all others where one is given."""
    environment = dict(os.environ) if path is None else os.environ | {"PYTHONPATH": str(path)}
    run = subprocess.run(  # noqa: S603 - this interpreter, on a script of this file
        [sys.executable, "-c", script, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A directory with an EID table of two personas, equally long prompts, on eight topics."""
    lengths = [9, 10, 11, 12, 12, 13, 14, 15]
    gains = [0.3, 0.1, 0.2, 0.4, 0.1, 0.2, 0.3, 0.2]
    entries = [
        {
            "topic": f"topic {number}",
            "eid": {
                "novice": {"eid": 3.0 + 0.3 * length + gain, "seq_len": length},
                "expert": {"eid": 3.0 + 0.3 * length, "seq_len": length},
            },
        }
        for number, (length, gain) in enumerate(zip(lengths, gains, strict=True))
    ]
    (tmp_path / "eid_persona_results.json").write_text(json.dumps(entries), encoding="utf-8")
    return tmp_path


def test_recorded_evidence_is_decided_without_deep_learning_libraries(recorded: Path) -> None:
    """The package, the whole plugin and a decision on an EID table leave torch and its users unloaded."""
    assert loaded(RECORDED_RUN + REPORT_LOADED, str(recorded)) == ["supported", "[]"]


@pytest.mark.parametrize("library", HEAVY)
def test_a_library_that_is_loaded_is_found(library: str, tmp_path: Path) -> None:
    """The check fails for each of the four: here they are empty modules, imported on purpose."""
    (tmp_path / f"{library}.py").write_text("", encoding="utf-8")
    assert loaded(f"import sys\nimport {library}\n" + REPORT_LOADED, path=tmp_path) == [f"['{library}']"]


def test_the_names_of_a_probe_are_imported_when_they_are_asked_for() -> None:
    """`import saeprobe` loads none of the libraries that compute; a name of a probe then loads what it needs."""
    script = (
        "import sys, saeprobe\n"
        "print([name for name in ('numpy', 'scipy', 'pandas', 'pyarrow') if name in sys.modules])\n"
        "saeprobe.about\n"
        "print('scipy' in sys.modules, sorted({type(getattr(saeprobe, name)).__name__ for name in saeprobe.__all__}))\n"
    )
    assert loaded(script) == ["[]", "True ['function', 'str']"]

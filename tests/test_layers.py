"""Imports point down, and a run on recorded evidence loads no deep learning library."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import saeprobe

PACKAGE = Path(saeprobe.__file__).parent

LAYERS = (
    # top: what a user starts
    ("__main__", "specimens", "calibration.__main__"),
    ("cli", "plugin", "notebook"),
    ("calibration",),
    ("gate", "baselines.approving"),
    ("report",),
    # how evidence comes about
    ("instrument", "plan"),
    ("store", "store_tables"),
    ("subject",),
    ("subject.running",),
    ("generation",),
    ("subject.running.tokens",),
    ("subject.running.bridge", "interventions"),
    ("subject.locating",),
    ("subject.pairing",),
    ("subject.memory",),
    ("subject.files", "subject.running.numerics"),
    ("subject.protocol", "subject.files.downloads"),
    ("subject.specification",),
    # what evidence says
    ("measures",),
    ("recorded",),
    ("article_files", "deciding", "published_values"),
    ("baselines",),
    ("agreement", "ordering", "correlation"),
    ("measurement",),
    ("printed",),
    ("comparison",),
    ("controls",),
    ("replication",),
    ("evidence", "statistics", "threshold"),
    ("power",),
    # what is talked about
    ("captures",),
    ("features", "continuations", "effective_rank"),
    ("claims", "verdicts", "prompts", "marks"),
    ("nearmiss", "specimens.corpus"),
)
"""Rows from top to bottom. A module belongs to the longest name that it begins with and may import its own row and
those below. Two exceptions: imports under TYPE_CHECKING, which never run, and `saeprobe/__init__.py`, which only
names for users what lies deeper (and gives the version to whoever asks)."""

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
from saeprobe.verdicts.deciding import decide
from saeprobe.evidence.evidence import Recorder
from saeprobe.evidence.evidence import recording
from saeprobe.recorded.directory import recorded_evidence

table = recorded_evidence(
    Path(sys.argv[1]), "llama70b-as-published", saeprobe.capture(saeprobe.prompts.STYLES, keep="effective_rank")
)
with recording(Recorder(controls=("length",))) as recorder:
    assert saeprobe.measures.effective_rank(table["novice"]) > saeprobe.measures.effective_rank(table["expert"])
print(decide(Claim(sentence="s", id="x", source="s"), "llama70b-as-published", recorder.evidence, None)[0].word)
"""

REPORT_LOADED = f"print([name for name in {HEAVY!r} if name in sys.modules])\n"


def layer_of(module: str) -> int | None:
    """The row of a module, by the longest name that it begins with; None for the package itself."""
    inside = module.removeprefix("saeprobe").lstrip(".")
    while inside:
        for row, names in enumerate(LAYERS):
            if inside in names:
                return row
        inside = inside.rpartition(".")[0]
    return None


def modules(package: Path) -> Iterator[tuple[str, str]]:
    """Name and source of each module of a package."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path.read_text(encoding="utf-8")


def with_parents(names: Iterable[str]) -> frozenset[str]:
    """The names and the packages they lie in; some of these have no file of their own."""
    return frozenset(
        ".".join(parts[:count]) for parts in (name.split(".") for name in names) for count in range(1, len(parts) + 1)
    )


def imported(source: str, known: frozenset[str]) -> Iterator[str]:
    """The modules of the package that a source imports when it runs, wherever in it the import stands."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in known)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module in known:
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield inner if inner in known else node.module
        elif isinstance(node, ast.ImportFrom) and node.level > 0:
            raise AssertionError(f"relative import in {source[:60]!r}: this walk does not resolve it")
        waiting += ast.iter_child_nodes(node)


def upward(package: Path) -> list[str]:
    """The imports that point up, as `a imports b`."""
    sources = dict(modules(package))
    known = with_parents(sources)
    found: list[str] = []
    for module, source in sources.items():
        row = layer_of(module)
        for target in imported(source, known):
            below = layer_of(target)
            if row is not None and below is not None and below < row:
                found.append(f"{module} imports {target}")
    return found


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


def test_every_module_has_a_layer() -> None:
    """A new module must be given its row before it can import anything."""
    without = [name for name, _ in modules(PACKAGE) if name != "saeprobe" and layer_of(name) is None]
    assert without == []


def test_every_row_names_modules_that_exist() -> None:
    """The table does not outlive what it speaks of."""
    known = with_parents(name for name, _ in modules(PACKAGE))
    assert [name for row in LAYERS for name in row if f"saeprobe.{name}" not in known] == []


def test_imports_point_down() -> None:
    """No module imports from a row above its own."""
    assert upward(PACKAGE) == []


def test_an_import_that_points_up_is_found(tmp_path: Path) -> None:
    """The walk finds one at the top of a file and one inside a function, and passes one that is for types only."""
    package = tmp_path / "saeprobe"
    (package / "plugin").mkdir(parents=True)
    for name in ("__init__", "plugin/__init__", "plugin/hooks", "statistics", "gate"):
        (package / f"{name}.py").write_text("", encoding="utf-8")
    (package / "claims.py").write_text("from saeprobe import statistics\n", encoding="utf-8")
    (package / "subject" / "files").mkdir(parents=True)  # packages without a file of their own
    (package / "subject" / "files" / "weights.py").write_text("", encoding="utf-8")
    (package / "comparison.py").write_text("from saeprobe.subject.files import weights\n", encoding="utf-8")
    (package / "features.py").write_text("def late():\n    import saeprobe.plugin.hooks\n", encoding="utf-8")
    (package / "evidence.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from saeprobe.gate import Gate\n", encoding="utf-8"
    )
    assert sorted(upward(package)) == [
        "saeprobe.claims imports saeprobe.statistics",
        "saeprobe.comparison imports saeprobe.subject.files.weights",
        "saeprobe.features imports saeprobe.plugin.hooks",
    ]


def test_recorded_evidence_is_decided_without_deep_learning_libraries(recorded: Path) -> None:
    """The package, the whole plugin and a decision on an EID table leave torch and its users unloaded."""
    assert loaded(RECORDED_RUN + REPORT_LOADED, str(recorded)) == ["supported", "[]"]


@pytest.mark.parametrize("library", HEAVY)
def test_a_library_that_is_loaded_is_found(library: str, tmp_path: Path) -> None:
    """The check fails for each of the four: here they are empty modules, imported on purpose."""
    (tmp_path / f"{library}.py").write_text("", encoding="utf-8")
    assert loaded(f"import sys\nimport {library}\n" + REPORT_LOADED, path=tmp_path) == [f"['{library}']"]

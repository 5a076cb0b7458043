"""Without the extra `models` a full store decides as with it, and whatever takes a model says what to install."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from instrument_project import NEUTRAL
from made_subjects import Made

from saeprobe.plugin.judging import versions
from saeprobe.plugin.records import _versions
from saeprobe.store import Store
from saeprobe.subject import UNSTORED, models_absent
from saeprobe.subject.registry import built_in

EXTRA = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "sae_lens",
    "transformer_lens",
    "huggingface_hub",
    "psutil",
)
BLOCKED = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""
PYTEST = f"{BLOCKED}import pytest\nsys.exit(pytest.main(sys.argv[2:]))"
LATER = f"""
from importlib import metadata
here = metadata.version
metadata.version = lambda name: "9.0" if name == "sae-lens" else here(name)
{PYTEST}"""
COMMAND = f"{BLOCKED}from saeprobe.__main__ import main\nsys.exit(main(sys.argv[2:]))"
SAID = 'run: pip install "saeprobe[models]"'
PROBES = """
from saeprobe import capture, claim, subjects
from saeprobe.measures import l0
from saeprobe.prompts import PromptSet

pytestmark = subjects("hand")
topics = ["calm", "red calm", "blue calm", "calm calm", "blue", "red"]
read = capture(PromptSet.build(name="p", language="en", topics=topics,
    styles={"two": ["{topic} purple"], "one": ["{topic} red"]}))
STEPS

@claim("Purple activates more than red.", id="it.more", source="here", controls=("random-sae",))
def test_more(read):
    assert l0(read["two"]) > l0(read["one"])
"""
MORE = """
again = capture(PromptSet.build(name="q", language="en", topics=["purple"], styles={"two": ["{topic} purple"]}))

@claim("All of them are active.", id="it.all", source="here")
def test_all(again):
    assert l0(again) > 1
"""


@pytest.fixture(scope="module")
def decided(hand_worked_once: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose probe was decided on the subject `hand` by the full install."""
    root, made = tmp_path_factory.mktemp("decided"), hand_worked_once
    ini = '[tool.pytest.ini_options]\nfilterwarnings = ["error"]\nsaeprobe_neutral = ["hand = neutral.toml"]\n'
    subject = f"model = '{made.model}'\nsae = {{ path = '{made.sae}' }}\ndevice = 'cpu'\ndefault = true\n"
    known = "l0 = 1.0\nvariance_explained = 0.25\n"
    (root / "pyproject.toml").write_text(f"{ini}[tool.saeprobe.subjects.hand]\n{subject}{known}")
    (root / "neutral.toml").write_text(NEUTRAL)
    (root / "test_it.py").write_text(PROBES.replace("STEPS", ""))
    probed(root, without=())
    return root


@pytest.fixture
def project(decided: Path, tmp_path: Path) -> Path:
    """A copy of it, store and report included."""
    shutil.copytree(decided, tmp_path / "project")
    return tmp_path / "project"


def report_of(folder: Path) -> Any:
    """The report that the last run wrote."""
    return json.loads((folder / "reports" / "report.json").read_text())


def run(code: str, folder: Path, *words: str, without: tuple[str, ...] = EXTRA) -> subprocess.CompletedProcess[str]:
    """Run in a process in which some libraries cannot be imported."""
    command = [sys.executable, "-c", code, ",".join(without), *words]
    wide = {**os.environ, "COLUMNS": "400"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=wide)  # noqa: S603


def probed(folder: Path, *words: str, without: tuple[str, ...] = EXTRA, code: str = PYTEST) -> tuple[Any, str]:
    """Run the probes; return report.json and what was printed."""
    fixed = ("-p", "no:cacheprovider", f"--rootdir={folder}", f"--config-file={folder / 'pyproject.toml'}")
    ran = run(code, folder, *fixed, *words, without=without)
    assert "seconds" in ran.stdout or " in " in ran.stdout, ran.stderr
    return report_of(folder), ran.stdout + ran.stderr


def verdicts(report: Any) -> dict[str, tuple[str, str]]:
    """The verdict and the reason of each claim."""
    return {claim["id"]: (probe["verdict"], probe["reason"]) for claim in report["claims"] for probe in claim["probes"]}


def test_a_full_store_decides_without_the_extra(project: Path) -> None:
    """Verdicts, evidence and fingerprints are the same, and the report names what computed the evidence."""
    full = report_of(project)
    assert verdicts(full)["it.more"][0] in ("supported", "refuted", "inconclusive"), verdicts(full)
    base, printed = probed(project)
    assert base["claims"] == [
        {**claim, "probes": [{**one, "duration_s": other["duration_s"]} for one, other in pairs(claim, again)]}
        for claim, again in zip(full["claims"], base["claims"], strict=True)
    ], printed
    assert base["subjects"] == full["subjects"]
    assert base["run"]["versions"] == full["run"]["versions"]


def pairs(claim: Any, again: Any) -> Any:
    """The probes of a claim in two reports."""
    return zip(claim["probes"], again["probes"], strict=True)


def test_an_empty_store_decides_nothing_without_the_extra(project: Path) -> None:
    """The claim is not run, its reason is the sentence, and nothing is written into a store."""
    shutil.rmtree(project / ".saeprobe")
    report, printed = probed(project)
    word, reason = verdicts(report)["it.more"]
    assert word == "not run"
    assert reason.endswith(SAID)
    assert "1 skipped" in printed
    assert not list(project.rglob("*.parquet"))
    assert "torch" not in report["run"]["versions"] or models_absent() is None


def test_what_a_store_lacks_is_not_run_and_the_rest_is_decided(project: Path) -> None:
    """A probe that was added afterwards waits for the extra; a missing draw of a control makes its claim wait too."""
    full = report_of(project)
    (project / "test_it.py").write_text(PROBES.replace("STEPS", MORE))
    base, _ = probed(project)
    assert verdicts(base)["it.more"] == verdicts(full)["it.more"]
    assert verdicts(base)["it.all"][0] == "not run"
    assert verdicts(base)["it.all"][1].endswith(SAID)
    seen = {subject["name"]: subject for subject in full["subjects"]}["hand"]["fingerprint"][:32]
    for folder in (project / ".saeprobe" / "store").glob("readings-*/*"):
        if folder.name != seen:
            next(folder.glob("*.parquet")).unlink()
            break
    assert verdicts(probed(project)[0])["it.more"][0] == "not run"


def test_evidence_of_another_model_is_never_taken(project: Path, hand_worked_once: Made) -> None:
    """Versions are taken from the store, hashes are not."""
    sae = project / "sae"
    sae.mkdir()
    for file in hand_worked_once.sae.iterdir():
        (sae / file.name).write_bytes(file.read_bytes())
    weights = bytearray((sae / "sae_weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (sae / "sae_weights.safetensors").write_bytes(bytes(weights))
    table = project / "pyproject.toml"
    table.write_text(table.read_text().replace(str(hand_worked_once.sae), str(sae)))
    word, reason = verdicts(probed(project)[0])["it.more"]
    assert (word, reason.startswith(UNSTORED)) == ("not run", True)


def test_an_instrument_that_cannot_be_checked_decides_nothing(project: Path) -> None:
    """Where the neutral text is another one, the captures are all stored and the check is not."""
    (project / "neutral.toml").write_text(NEUTRAL.replace("calm red blue purple", "red red blue purple"))
    word, reason = verdicts(probed(project)[0])["it.more"]
    assert (word, reason.endswith(SAID)) == ("not run", True)


def test_the_highest_versions_that_hold_all_are_taken(project: Path) -> None:
    """A store of two sets of versions serves by the one that answers, whatever else it holds."""
    store = project / ".saeprobe" / "store"
    (only,) = _versions(Store(store))
    assert {"torch", "sae-lens"} <= set(only)
    file = next(store.glob("readings-*/*/*.parquet"))
    # Bytes that were changed are found by the hash; versions in them count as far as a fingerprint is made of them.
    later = file.read_bytes().replace(only["sae-lens"].encode(), b"9" + only["sae-lens"].encode()[1:])
    (file.parent.parent / "0").mkdir()
    (file.parent.parent / "0" / file.name).write_bytes(later)
    first, second = _versions(Store(store))
    assert (first["sae-lens"][0], second) == ("9", only)
    assert verdicts(probed(project)[0])["it.more"][0] != "not run"


def test_versions_that_lack_a_control_give_way_to_those_that_hold_all(project: Path) -> None:
    """Later versions read the capture and the neutral text, earlier ones the control too: they alone decide."""
    full = report_of(project)
    (project / "test_it.py").write_text(PROBES.replace("STEPS", "").replace(', controls=("random-sae",)', ""))
    later, _ = probed(project, without=(), code=LATER)
    assert later["run"]["computed_prompts"]
    (project / "test_it.py").write_text(PROBES.replace("STEPS", ""))
    base, _ = probed(project)
    assert verdicts(base) == verdicts(full)
    assert base["run"]["versions"] == full["run"]["versions"]
    (project / "test_it.py").write_text(PROBES.replace("STEPS", MORE))  # nothing holds all: most decides
    assert verdicts(probed(project)[0])["it.more"] == verdicts(full)["it.more"]


def test_versions_are_those_of_the_subjects_that_are_meant() -> None:
    """A claim names what computed its own subjects; a report names all that were asked."""
    computed = {"a": {"torch": "1.0"}, "b": {"torch": "2.0"}, "c": {}}
    assert [versions(computed, of).get("torch") for of in (["a"], ["a", "b"], None)] == ["1.0", "1.0, 2.0", "1.0, 2.0"]


def test_files_are_looked_up_once_for_all_versions(hand_worked_once: Made) -> None:
    """The fingerprint is another one, the files are not read again."""
    subject = hand_worked_once.subject
    one, two = (subject.computed_by({"torch": version}) for version in ("1.0", "2.0"))
    assert one.identity().fingerprint != two.identity().fingerprint
    assert one.located is two.located is subject.located


@pytest.mark.parametrize(
    "words",
    [
        ("extract", "sparrow", "-o", "x.pt"),
        ("fetch", "gpt2"),
        ("encode", "activations.pt", "--sae", "sparrow", "-o", "x.pt"),
    ],
)
def test_a_command_that_takes_a_model_says_so(tmp_path: Path, words: tuple[str, ...]) -> None:
    """One line, exit code 2, and no file."""
    import torch

    torch.save([{"topic": "t", "a_activation": torch.zeros(1, 160)}], tmp_path / "activations.pt")
    ran = run(COMMAND, tmp_path, *words)
    assert (ran.returncode, ran.stderr.count("\n"), ran.stdout) == (2, 1, "")
    assert ran.stderr.endswith(f"{SAID}\n")
    assert not (tmp_path / "x.pt").exists()


def test_doctor_and_subjects_diagnose_the_absence(tmp_path: Path) -> None:
    """Each subject is absent for this reason, those of sae-lens' registry too."""
    for word, code in (("subjects", 0), ("doctor", 1)):
        ran = run(COMMAND, tmp_path, word)
        assert ran.returncode == code, ran.stderr
        assert ran.stdout.count(SAID) == 2
        assert "sparrow, finch: to run or fetch" in ran.stdout
        on_hub = ", ".join(name for name, spec in built_in().items() if not spec.specimen)
        assert f"{on_hub}: its files are found through the Hub's cache" in ran.stdout


def test_a_broken_install_names_what_is_absent(tmp_path: Path) -> None:
    """Torch is here and sae-lens is not."""
    ran = run(COMMAND, tmp_path, "extract", "sparrow", "-o", "x.pt", without=("sae_lens",))
    assert "(not installed here: sae-lens); run: pip install" in ran.stderr
    ran = run(COMMAND, tmp_path, "extract", "sparrow", "-o", "x.pt", without=("tqdm.auto", "datasets"))
    assert "(not installed here: datasets); run: pip install" in ran.stderr


def test_a_notebook_says_so_too(tmp_path: Path) -> None:
    """Opening a subject is where it ends."""
    ran = run(f"{BLOCKED}from saeprobe.notebook import open_subject\nopen_subject('sparrow')", tmp_path)
    assert ran.stderr.splitlines()[-1].endswith(SAID)


def test_what_reads_files_imports_no_library_of_models(
    tmp_path: Path, hand_worked_once: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for `inspect`, `diff`, `doctor` and `subjects`, nor to collect and plan; sae-lens alone takes 6.5 s."""
    import torch

    torch.save([{"topic": "t", "novice_features": torch.ones(2), "expert_features": torch.ones(2)}], tmp_path / "f.pt")
    (tmp_path / "test_it.py").write_text(PROBES.replace("STEPS", "").replace('"hand"', '"sparrow", "gpt2", "mine"'))
    snapshot = tmp_path / "hub/models--Goodfire--Llama-3.3-70B-Instruct-SAE-l50/snapshots/main"  # in another format
    snapshot.mkdir(parents=True)
    sizes = {"encoder_linear.weight": (8, 4), "encoder_linear.bias": 8, "decoder_linear.weight": (4, 8)}
    tensors = {name: torch.zeros(size) for name, size in {**sizes, "decoder_linear.bias": 4}.items()}
    torch.save(tensors, snapshot / "Llama-3.3-70B-Instruct-SAE-l50.pt")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    sae = 'sae = { release = "goodfire-llama-3.3-70b-instruct", id = "layer_50" }'
    mine = f"[tool.saeprobe.subjects.mine]\nmodel = '{hand_worked_once.model}'\n{sae}\ndefault = false\n"
    (tmp_path / "pyproject.toml").write_text(mine)
    tell = "\nprint(sorted({'torch', 'transformers', 'sae_lens', 'transformer_lens'} & set(sys.modules)))"
    run_main = f"{BLOCKED}from saeprobe.__main__ import main\nmain(sys.argv[2:]){tell}"
    for words in (("inspect", "f.pt"), ("diff", "f.pt", "-o", "d.json"), ("subjects",), ("doctor",)):
        ran = run(run_main, tmp_path, *words, without=())
        assert ran.stdout.splitlines()[-1] == "[]", (words, ran.stdout[-500:], ran.stderr)
        assert words not in (("subjects",), ("doctor",)) or ("mine" in ran.stdout and "4 dimensions but" in ran.stdout)
    collect = f"{BLOCKED}import pytest\npytest.main(['--collect-only', '-q', '-p', 'no:cacheprovider']){tell}"
    ran = run(collect, tmp_path, without=())
    assert ran.stdout.splitlines()[-1] == "[]", ran.stdout + ran.stderr
    assert "plan: sparrow" in ran.stdout

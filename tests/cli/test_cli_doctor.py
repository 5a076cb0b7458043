"""`saeprobe doctor` and `subjects` describe a machine and its subjects, without a network and without a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_subjects import Made

from saeprobe.cli import doctor
from saeprobe.cli.doctor import Rates, hardware, least_seconds, measure, not_built_for, outlook
from saeprobe.subject import Gpu, Machine, local
from saeprobe.subject.local import Subject
from saeprobe.subject.memory import MemoryNeeds, MemoryPlan
from saeprobe.subject.registry import find_subject

Run = Callable[..., Any]

GB = 10**9
KNOWN = Rates(processor=50e9, gpu=None, disk=400e6, uncached=True, gpu_problem=None)
H200 = Gpu(name="NVIDIA H200", index=0, total_bytes=150 * GB, free_bytes=149 * GB)
LAPTOP = Machine(ram_bytes=16 * GB, ram_available_bytes=12 * GB, cores=8)
SERVER = Machine(gpus=(H200,), ram_bytes=256 * GB, ram_available_bytes=250 * GB, cores=32, cuda_usable=True)

OFFLINE = """
import json, sys
from saeprobe.__main__ import main
code = main(["doctor"])
heavy = [name for name in ("torch", "transformers", "transformer_lens", "sae_lens") if name in sys.modules]
print(json.dumps({"code": code, "heavy": heavy}))
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Stand on a machine with known rates and an empty cache, in a folder without declarations."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.chdir(tmp_path)

    def stand(on: Machine, known: Rates = KNOWN) -> None:
        for module in (doctor, local):
            monkeypatch.setattr(module, "this_machine", lambda: on)
        monkeypatch.setattr(doctor, "measure", lambda folder, *, gpu: known)  # noqa: ARG005 - called with both

    return stand


def rows(out: str) -> dict[str, list[str]]:
    """Return the table, by subject."""
    table = next(part for part in out.split("\n\n") if part.startswith("subject "))
    return {line.split()[0]: line.split()[1:] for line in table.splitlines()[1:]}


def test_a_laptop_without_weights(run: Run, place: Callable[..., None]) -> None:
    """The specimen is ready; gpt2 and the 70B are absent with what brings them, and what they would take."""
    place(LAPTOP)
    found = run("doctor")
    assert found.code == 0, found.err
    table = rows(found.out)
    assert table["sparrow"][0] == "ready"
    assert "absent; run: saeprobe fetch gpt2\n" in found.out
    # 89 million parameters up to the block after the hook and an SAE of 38 million, in four bytes: 507 MB
    assert table["gpt2"][:1] + table["gpt2"][3:6] == ["absent", "about", "507", "MB"]
    assert table["llama70b"][0] == "absent"
    assert "streamed layer by layer from disk through the CPU" in found.out
    assert (
        "  CPU   50 GFLOP/s, a float32 matrix product\n  disk  400 MB/s, read from the disk of the cache\n" in found.out
    )
    assert "  RAM    16 GB, 12 GB free\n  cores  8\n" in found.out
    assert "estimated from below" in found.out
    assert max(len(line) for line in found.out.splitlines()) < 250


def test_a_server_holds_the_70b(run: Run, place: Callable[..., None]) -> None:
    """On a data-centre card the plan is resident, and the time is that of the card's rate."""
    place(SERVER, replace(KNOWN, gpu=500e12))
    found = run("doctor")
    assert found.code == 0, found.err
    assert "resident on cuda:0 (NVIDIA H200)" in found.out
    assert "  cuda:0  500.0 TFLOP/s, a bfloat16 matrix product\n" in found.out
    assert "  cuda:0  NVIDIA H200, 150 GB, 149 GB free\n" in found.out


def test_no_subject_that_runs_is_1(run: Run, place: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code says whether anything runs here."""
    place(LAPTOP)
    monkeypatch.setattr(doctor, "subject_names", lambda _: ("gpt2",))
    assert run("doctor").code == 1
    monkeypatch.setattr(doctor, "subject_names", lambda _: ("gpt2", "sparrow"))
    assert run("doctor").code == 0


def test_a_token_is_found_and_never_shown(
    run: Run, place: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the environment or in the file that logging in writes."""
    place(LAPTOP)
    assert "  token     none: gated repositories such as Llama's want one" in run("doctor").out
    (tmp_path / "token").write_text("hf_secret")
    found = run("doctor")
    assert f"  token     present ({tmp_path / 'token'})\n" in found.out
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert "  token     present (HF_TOKEN)\n" in run("doctor").out
    assert "hf_secret" not in found.out + run("doctor").out


def test_the_hub_is_described(
    run: Run, place: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache is named with its free disk, then endpoint and offline mode."""
    from huggingface_hub import constants

    place(LAPTOP)
    found = run("doctor").out
    assert f"  cache     {tmp_path / 'hub'}, whose disk has " in found
    assert "  endpoint  https://huggingface.co (out of reach? put HF_ENDPOINT=https://hf-mirror.com" in found
    assert "  offline   no\n" in found
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "ENDPOINT", "https://hf-mirror.com")
    monkeypatch.setenv("HF_ENDPOINT", "https://hf-mirror.com")
    found = run("doctor").out
    assert "  offline   yes: HF_HUB_OFFLINE is set, nothing can be fetched\n" in found
    assert "  endpoint  https://hf-mirror.com (HF_ENDPOINT)\n" in found


def test_it_works_offline_and_loads_nothing_heavy(tmp_path: Path) -> None:
    """A fresh process with an empty cache and HF_HUB_OFFLINE, measuring for real: no torch where there is no GPU."""
    environment = dict(os.environ) | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(  # noqa: S603 - own code
        [sys.executable, "-c", OFFLINE], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    *printed, last = done.stdout.splitlines()
    assert json.loads(last) == {"code": 0, "heavy": []}
    assert "  GPU    none visible (CUDA_VISIBLE_DEVICES=)" in printed
    assert not list(tmp_path.iterdir())


def test_a_card_that_torch_cannot_use_says_why() -> None:
    """A CPU build of torch under a card, and a card that torch itself refuses."""
    unusable = dict(hardware(replace(SERVER, cuda_usable=False), None))["cuda:0"]
    assert unusable.startswith("NVIDIA H200, 150 GB, 149 GB free; not used, since torch is ")
    assert "; run: pip install --force-reinstall torch" in unusable
    assert dict(hardware(SERVER, "driver too old"))["cuda:0"].endswith("149 GB free; driver too old")
    assert dict(hardware(replace(LAPTOP, other_gpus=("AMD",)), None))["GPU"].startswith("of AMD, not used")
    assert dict(hardware(replace(LAPTOP, apple_gpu=True), None))["mps"] == "Apple's GPU, which shares the RAM"


def test_what_a_subject_takes_is_that_of_its_files(tiny: Made, place: Callable[..., None]) -> None:
    """Disk is the size of the files; a subject of the user's own is looked at like the built-in ones."""
    place(LAPTOP)
    subject = Subject(spec=tiny.subject.spec)
    found = outlook(subject, KNOWN)
    files = [*tiny.model.iterdir(), *tiny.sae.iterdir()]
    assert (found.state, found.disk) == ("ready", sum(file.stat().st_size for file in files))
    assert found.notes[0].startswith("resident in RAM, on the CPU")
    assert found.memory == subject.memory_plan.takes_bytes > 0


def test_a_subject_that_does_not_fit_or_belong_is_named(tiny: Made, place: Callable[..., None]) -> None:
    """A device that is not here is `unfit`, a hook beyond the model and no folder `wrong`, no files `absent`."""
    place(LAPTOP)
    spec = tiny.subject.spec
    unfit = outlook(Subject(spec=replace(spec, device="cuda")), KNOWN)
    assert (unfit.state, unfit.row[1:]) == ("unfit", ["unfit", "?", "?", "?"])
    assert "the device is to be cuda; found no NVIDIA GPU is visible" in unfit.notes[0]
    wrong = outlook(Subject(spec=replace(spec, hook_name="blocks.9.hook_resid_pre")), KNOWN)
    assert wrong.state == "wrong"
    assert "blocks.9.hook_resid_pre" in wrong.notes[0]
    nowhere = outlook(Subject(spec=replace(spec, model=tiny.root / "none")), KNOWN)
    assert (nowhere.state, f"there is no {tiny.root / 'none'}" in nowhere.notes[0]) == ("wrong", True)
    absent = outlook(Subject(spec=replace(spec, model="owner/name")), KNOWN)
    assert (absent.state, "saeprobe fetch tiny" in absent.notes[0]) == ("absent", True)


def test_the_time_is_reading_and_multiplying() -> None:
    """By hand: 800 MB at 400 MB/s and 24,000 tokens of 5 MFLOP at 50 GFLOP/s are 2 s and 2.4 s."""
    needs = MemoryNeeds(
        weights_bytes=1, layer_bytes=1, sae_bytes=1, batch_bytes=1, shardable=True, flop_per_token=5_000_000
    )
    plan = MemoryPlan(kind="resident", device="cpu", sae_device="cpu", reason="")
    assert least_seconds(needs, plan, disk=800_000_000, rates=KNOWN) == pytest.approx(4.4)
    card = replace(plan, device="cuda:0")
    assert least_seconds(needs, card, disk=800_000_000, rates=KNOWN) is None
    assert least_seconds(needs, card, disk=800_000_000, rates=replace(KNOWN, gpu=120e9)) == pytest.approx(3.0)
    assert least_seconds(needs, plan, disk=1, rates=replace(KNOWN, disk=None)) is None


def test_rates_are_measured(tmp_path: Path) -> None:
    """A processor does something, a disk too, and nothing stays behind; where one cannot write there is no rate."""
    found = measure(tmp_path, gpu=False)
    assert found.processor > 1e8
    assert found.disk is not None
    assert found.disk > 1e6
    assert (found.gpu, found.gpu_problem) == (None, None)
    assert not list(tmp_path.iterdir())
    assert measure(tmp_path / "absent", gpu=False).disk is None


def test_a_card_without_its_driver_is_a_problem_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nvidia-smi shows a card that torch does not find, there is no rate and a reason."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = measure(tmp_path, gpu=True)
    assert (found.gpu, "torch finds no usable CUDA device" in (found.gpu_problem or "")) == (None, True)


def test_subjects_are_listed_with_what_brings_them(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built-in and declared subjects stand in one table, and what an absent one lacks below it, from any subfolder."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.saeprobe.subjects.mine]\nmodel = "owner/name"\nsummary = "my own"\n'
        'sae = { release = "gpt2-small-res-jb", id = "blocks.6.hook_resid_pre" }\n'
    )
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    found = run("subjects")
    assert found.code == 0, found.err
    table = found.out.split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in table[:3]] == ["subject", "sparrow", "finch"]
    assert [line.split(maxsplit=2) for line in table if line.startswith("mine")] == [["mine", "absent", "my own"]]
    assert "\nmine: the weights of owner/name and" in found.out


def test_one_reason_of_several_subjects_is_said_once(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of the 70B lack the same weights; the command has a name in place of theirs."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    found = run("subjects").out
    assert found.count("the weights of meta-llama/Llama-3.3-70B-Instruct") == 1
    assert "run: saeprobe fetch NAME (" in found
    assert "run: saeprobe fetch gpt2 (" in found


def test_a_protocol_says_what_follows_only_where_something_does(tmp_path: Path) -> None:
    """One that changes nothing reads as its subject, and that is all."""
    text = '[tool.saeprobe.subjects.same]\nprotocol_of = "finch"\n[tool.saeprobe.subjects.half]\n'
    (tmp_path / "pyproject.toml").write_text(text + 'protocol_of = "finch"\ndtype = "float16"\n', encoding="utf-8")
    same, half, finch = (find_subject(name, tmp_path) for name in ("same", "half", "finch"))
    assert [*doctor._read(same, finch)] == ["reads as finch"]
    assert [*doctor._read(half, finch)] == ["reads as finch, but for what follows", "weights: float16"]


@pytest.mark.parametrize(("command", "code"), [("doctor", 1), ("subjects", 0)])
def test_a_wrong_declaration_is_explained_beside_the_others(
    run: Run, place: Callable[..., None], tmp_path: Path, command: str, code: int
) -> None:
    """A subject declared without an SAE says so in its row, the others have theirs, and doctor's exit code says it."""
    place(LAPTOP)
    (tmp_path / "pyproject.toml").write_text('[tool.saeprobe.subjects.mine]\nmodel = "./model"\n')
    found = run(command)
    assert found.code == code, found.err
    assert rows(found.out)["mine"][0] == "wrong"
    assert rows(found.out)["sparrow"][0] == "ready"
    assert f"[tool.saeprobe.subjects.mine] in {tmp_path / 'pyproject.toml'} has no sae; wanted a folder" in found.out


@pytest.mark.parametrize("command", ["doctor", "subjects"])
def test_tables_that_are_no_subject_s_are_refused(
    run: Run, place: Callable[..., None], tmp_path: Path, command: str
) -> None:
    """Where no subject can be read, nothing can be said of any."""
    place(LAPTOP)
    (tmp_path / "pyproject.toml").write_text("[tool.saeprobe]\nsubjects = 3\n")
    found = run(command)
    assert (found.code, "is no table; wanted [tool.saeprobe.subjects.NAME]" in found.err) == (2, True)


@pytest.mark.parametrize(
    ("capability", "built", "usable"),
    [
        ((6, 1), ["sm_75", "sm_80", "compute_90"], False),
        ((8, 6), ["sm_75", "sm_80"], True),
        ((12, 0), ["sm_80", "compute_90"], True),
        ((12, 0), ["sm_80", "sm_90"], False),
        ((8, 0), ["sm_86"], False),
    ],
)
def test_a_card_of_a_generation_that_torch_was_not_built_for_is_named(
    capability: tuple[int, int], built: list[str], *, usable: bool
) -> None:
    """Code for sm_80 runs on 8.6 and not on 9.0 or 12.0; compute_90 is compiled there for what came later."""
    problem = not_built_for(capability, built)
    assert (problem is None) == usable
    assert usable or f"this torch is built for {', '.join(built)}" in (problem or "")


def test_what_the_extra_brings_has_one_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """All libraries of the extra are listed, torch among them, and where they are absent one command brings them."""
    monkeypatch.setattr(doctor, "version_of", lambda _name: None)
    known = dict(doctor.software(apple_gpu=False))
    extra = ("torch", "transformers", "transformer-lens", "sae-lens", "accelerate", "huggingface-hub", "psutil")
    assert {known[name] for name in extra} == {'absent (pip install "saeprobe[models]")'}

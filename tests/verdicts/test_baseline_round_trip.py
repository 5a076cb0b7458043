"""From a run to an approval and back: the same values are supported, others are drifted and say what changed."""

from __future__ import annotations

import importlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saeprobe.__main__ import main
from saeprobe.verdicts.baseline_files import read_baselines

LIBRARIES = ("hypothesis", "jinja2", "msgspec", "numpy", "pandas", "rich.table", "scipy.sparse", "scipy.stats", "tqdm")
INI = '[tool.pytest.ini_options]\nsaeprobe_default_subjects = ["llama70b-as-published"]\n'
PROBE = """
from saeprobe import capture
from saeprobe import claim
from saeprobe.measures import effective_rank
from saeprobe.prompts import STYLES

ranks = capture(STYLES, keep="effective_rank")

@claim("A novice prompt has the higher effective rank.", id="rank.up", source="table 1")
def test_up(ranks):
    assert effective_rank(ranks["novice"]) > effective_rank(ranks["expert"])
"""
GAINS = (0.3, 0.1, 0.2, 0.4, 0.1, 0.2, 0.3, 0.2)
Probe = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def _libraries() -> None:
    """Import once what inner runs need: pytester forgets what a run imports, and numpy cannot be imported twice."""
    for name in LIBRARIES:
        importlib.import_module(name)


def write_ranks(folder: Path, *, novice: float) -> None:
    """A table of effective ranks on eight topics: the expert's about 3, the novice's higher by `novice` and a gain."""
    entries = [
        {
            "topic": f"topic {number}",
            "eid": {
                "novice": {"eid": 3.0 + 0.1 * number + gain + novice, "seq_len": 9},
                "expert": {"eid": 3.0 + 0.1 * number, "seq_len": 9},
            },
        }
        for number, gain in enumerate(GAINS)
    ]
    folder.mkdir(exist_ok=True)
    (folder / "eid_persona_results.json").write_text(json.dumps(entries), encoding="utf-8")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one probe, in a repository whose first commit holds all of it."""
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyprojecttoml(INI)
    pytester.makepyfile(test_rank=PROBE)
    pytester.path.joinpath(".gitignore").write_text(
        "*\n!reports/\n!reports/baselines/\n!reports/baselines/*\n!test_*\n"
    )
    write_ranks(pytester.path / "day1", novice=0.0)
    git(pytester.path, "init", "-q")
    commit(pytester.path)
    return pytester.path


def git(folder: Path, *words: str) -> None:
    """Run git in a folder, as nobody."""
    who = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)  # noqa: S603, S607


def commit(folder: Path) -> None:
    """Commit everything."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "x")


@pytest.fixture
def run(pytester: pytest.Pytester, project: Path) -> Probe:
    """Runs the probe and gives its record; `run.out` is what was printed."""

    def probe(*words: str, evidence: str = "day1", code: int) -> dict[str, Any]:
        fixed = ("-p", "no:cacheprovider", f"--saeprobe-evidence={evidence}")
        ran = pytester.runpytest_inprocess(*fixed, *words)
        assert ran.ret == code, str(ran.stdout)
        (claim,) = json.loads((project / "reports" / "report.json").read_text(encoding="utf-8"))["claims"]
        return claim["probes"][0]

    return probe


def approve(monkeypatch: pytest.MonkeyPatch, folder: Path, by: str = "Ada") -> None:
    """Approve what the last run measured, and commit."""
    monkeypatch.chdir(folder)
    assert main(["approve", "rank.up", "--by", by, "--because", "read against table 1"]) == 0
    commit(folder)


def test_the_same_run_stands_and_another_drifts(run: Probe, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Approve, run again, change the data, run again, approve the new values, run again."""
    assert run(code=0)["baseline"] is None
    approve(monkeypatch, project)

    same = run(code=0)
    assert same["verdict"] == "supported"
    assert same["baseline"] is not None
    assert [row["agrees"] for row in same["baseline"]["rows"]] == [True, True]
    assert (same["baseline"]["approved_by"], same["baseline"]["because"]) == ("Ada", "read against table 1")
    (changed,) = same["baseline"]["changed"]
    assert changed.startswith("commit ")

    # The eight topics move by amounts around 1: the mean of the novice by 1 from 3.575 to 4.575, and the expert's not.
    write_ranks(project / "day2", novice=1.0)
    moved = run(evidence="day2", code=1)
    assert moved["verdict"] == "drifted"
    assert moved["reason"].startswith(
        "the sentence holds, but novice moved from 3.575 to 4.575 dimensions since Ada approved it on "
    )
    assert '("read against table 1"); changed in between: recorded evidence day1 -> day2, commit ' in moved["reason"]
    assert moved["baseline"] is not None
    assert [(row["label"], row["agrees"]) for row in moved["baseline"]["rows"]] == [("novice", False), ("expert", True)]

    approve(monkeypatch, project, by="Grace")
    accepted = run(evidence="day2", code=0)
    assert accepted["verdict"] == "supported"
    assert "approved as" not in accepted["reason"]
    history = read_baselines(project / "reports" / "baselines")["rank.up", "llama70b-as-published"]
    assert [(one.approved_by, one.verdict) for one in history] == [("Ada", "supported"), ("Grace", "supported")]


def test_a_printed_ratio_that_moved_is_not_approved_away(
    run: Probe, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3.575 is not 3.5 times 3.35: its values may be approved, and the approval says that the ratio has drifted."""
    stated = 'ratio(effective_rank(ranks["novice"]), effective_rank(ranks["expert"])) == published("3.5", wordings=1)'
    probe = PROBE.replace('effective_rank(ranks["novice"]) > effective_rank(ranks["expert"])', stated)
    (project / "test_rank.py").write_text(probe.replace("import capture", "import capture, published, ratio"))
    commit(project)
    assert run(code=1)["verdict"] == "drifted"
    approve(monkeypatch, project)
    (approved,) = read_baselines(project / "reports" / "baselines")["rank.up", "llama70b-as-published"]
    assert approved.verdict == "drifted"
    assert "approved as" not in run(code=1)["reason"]


def test_versions_that_changed_are_named(run: Probe, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An approval made with other libraries says which."""
    run(code=0)
    approve(monkeypatch, project)
    file = project / "reports" / "baselines" / "rank.up.json"
    held: Any = json.loads(file.read_text(encoding="utf-8"))
    (one,) = held["subjects"]["llama70b-as-published"]
    one["measured_with"]["versions"]["transformers"] = "0.1"
    one["values"][0]["mean"] += 9.0
    one["values"][0].update(unit_means={}, interval=None)
    file.write_text(json.dumps(held), encoding="utf-8")
    probe = run(code=1)
    assert probe["verdict"] == "drifted"
    assert probe["baseline"] is not None
    first, *_, last = probe["baseline"]["changed"]
    assert first.startswith("transformers 0.1 -> ")
    assert last == "changes that are not committed"


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_damaged_baseline_stops_the_probes(
    run: Probe, project: Path, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """Each probe fails for the reason, which names the file, in a worker of xdist too; no report is written."""
    del run
    folder = project / "reports" / "baselines"
    folder.mkdir(parents=True)
    (folder / "rank.up.json").write_text("{", encoding="utf-8")
    ran = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--saeprobe-evidence=day1", *workers)
    assert ran.ret == 1
    assert "rank.up.json: it is not JSON" in ran.stdout.str()
    assert not (project / "reports" / "report.json").exists()


def test_the_folder_can_be_named(run: Probe, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ini key `saeprobe_baselines` takes another, from the root directory; workers of xdist read it too."""
    run(code=0)
    approve(monkeypatch, project)
    (project / "reports" / "baselines").rename(project / "kept")
    assert run(code=0)["baseline"] is None
    assert run("-osaeprobe_baselines=kept", code=0)["baseline"] is not None
    assert run("-osaeprobe_baselines=kept", "-n", "1", code=0)["baseline"] is not None

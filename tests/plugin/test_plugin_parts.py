"""A run replaces what it ran whole, a part never replaces the whole, and a crash leaves nothing of what it replaces."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from records import INI, write_ranks
from runs import HEAD, REFUTED, SUPPORTED, Go, Run, apart

from saeprobe.gate import decide_release
from saeprobe.gate.article import Article, Citation
from saeprobe.report import read_report
from saeprobe.report.shape import Document

FIRST, SECOND = "llama70b-as-published", "second-as-published"
TWO = INI + f'\n[tool.saeprobe.subjects.{SECOND}]\nprotocol_of = "{FIRST}"\n'
BOTH = f"pytestmark = subjects('{FIRST}', '{SECOND}')\n"
EACH = f"{FIRST} or {SECOND}"


def written(run: Run, name: str = "report") -> Document:
    """A report of the run's folder."""
    return read_report(run.folder / "reports" / f"{name}.json")


def verdicts(document: Document) -> dict[str, str]:
    """Verdicts by claim and subject."""
    probes = ((claim.id, probe) for claim in document.claims for probe in claim.probes)
    return {f"{claim}[{probe.subject}]": probe.verdict for claim, probe in probes}


@pytest.fixture
def two(go: Go, pytester: pytest.Pytester) -> Go:
    """Runs pytest in a project where two subjects are decided from records."""

    def run(*arguments: str, **files: str) -> Run:
        pytester.makepyprojecttoml(TWO)
        return go(*arguments, head=HEAD + BOTH, **files)

    return run


@pytest.mark.parametrize(
    "arguments", [("-k", "up"), ("--deselect", f"test_probes.py::test_down[{FIRST}]"), ("test_probes.py::test_up",)]
)
def test_a_run_of_a_part_is_written_beside_the_report(go: Go, arguments: tuple[str, ...]) -> None:
    """The report of all stays to the byte, and the terminal says where the part lies."""
    whole = go(probes=SUPPORTED + REFUTED)
    before = (whole.folder / "reports" / "report.json").read_bytes()
    run = go(*arguments, probes=SUPPORTED + REFUTED)
    assert (whole.folder / "reports" / "report.json").read_bytes() == before
    assert verdicts(written(run, "part")) == {f"rank.up[{FIRST}]": "supported"}
    (said,) = run.lines("part: ")
    assert "part.html (made from part.json); the report of all, " in said
    assert not run.lines("report: ")


def test_a_first_run_of_a_part_leaves_no_report(go: Go) -> None:
    """Nothing could be taken for the whole."""
    run = go("-k", "up", probes=SUPPORTED + REFUTED)
    assert sorted(path.name for path in (run.folder / "reports").glob("*.*")) == [
        ".gitignore",
        "part.html",
        "part.json",
    ]


def test_a_run_on_one_subject_leaves_what_stands_of_another(two: Go) -> None:
    """Each probe then names its own run; the old report is kept beside the new one."""
    two("-m", EACH, probes=SUPPORTED + REFUTED)
    run = two("-m", SECOND, probes=SUPPORTED.replace('["novice"]) >', '["twin"]) >') + REFUTED)
    report = written(run)
    assert verdicts(report) == {
        f"rank.up[{FIRST}]": "supported",
        f"rank.down[{FIRST}]": "refuted",
        f"rank.up[{SECOND}]": "inconclusive",
        f"rank.down[{SECOND}]": "refuted",
    }
    assert [f"-m {SECOND}" in one.command for one in report.runs] == [True, False]
    assert {probe.subject: probe.run for claim in report.claims for probe in claim.probes} == {SECOND: 0, FIRST: 1}
    assert verdicts(written(run, "superseded"))[f"rank.up[{SECOND}]"] == "supported"
    assert report.left_out == ()


def test_subjects_that_are_changed_for_one_run_are_left_out(two: Go) -> None:
    """The ini file says which run unasked; an option that says otherwise may drop the subject that refutes."""
    report = written(two("-o", f"saeprobe_default_subjects={SECOND}", probes=SUPPORTED))
    (gone,) = report.left_out
    assert (gone.subject, gone.why) == (FIRST, f"-o saeprobe_default_subjects={SECOND}")
    article = Article(path=Path("a.md"), title="A", language="en", claims=(Citation(id="rank.up"),))
    assert decide_release(article, report).decision == "cannot tell"


def test_a_claim_that_is_stated_otherwise_by_now_is_not_kept(two: Go) -> None:
    """What the earlier run decided is of another sentence: the gate learns that it is gone."""
    two("-m", EACH, probes=SUPPORTED)
    report = written(two("-m", SECOND, probes=SUPPORTED.replace("A novice", "The novice")))
    assert verdicts(report) == {f"rank.up[{SECOND}]": "supported"}
    assert [(one.subject, one.why) for one in report.left_out] == [
        (FIRST, "its claim was stated otherwise when it ran")
    ]


def test_a_killed_run_leaves_nothing_of_what_it_was_to_replace(tmp_path: Path) -> None:
    """SIGTERM ends a process at once; what was of another subject stands, and the rest is planned and not reported."""
    (tmp_path / "pyproject.toml").write_text(TWO, encoding="utf-8")
    (tmp_path / "test_probes.py").write_text(HEAD + BOTH + SUPPORTED, encoding="utf-8")
    write_ranks(tmp_path)
    arguments = (f"--saeprobe-evidence={tmp_path}", "-m")
    assert apart(tmp_path, *arguments, EACH).code == 0
    kill = f"    import os\n    os.kill(os.getpid(), {int(signal.SIGTERM)})\n"
    probe = SUPPORTED.replace("(ranks):\n", f"(ranks):\n{kill}")
    (tmp_path / "test_probes.py").write_text(HEAD + BOTH + probe, encoding="utf-8")
    ran = subprocess.run(  # noqa: S603 - made here
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", *arguments, SECOND],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == -signal.SIGTERM
    report = read_report(tmp_path / "reports" / "report.json")
    assert (verdicts(report), len(report.planned)) == ({f"rank.up[{FIRST}]": "supported"}, 2)
    cited = Citation(id="rank.up", subject=SECOND), Citation(id="rank.up", subject=FIRST)
    article = Article(path=Path("a.md"), title="A", language="en", claims=cited)
    assert [one.decision for one in decide_release(article, report).rulings] == ["cannot tell", "release"]


def test_a_run_that_is_killed_takes_the_only_report_away(tmp_path: Path) -> None:
    """It is kept under another name, and the gate finds none."""
    (tmp_path / "pyproject.toml").write_text(INI, encoding="utf-8")
    (tmp_path / "test_probes.py").write_text(HEAD + SUPPORTED, encoding="utf-8")
    write_ranks(tmp_path)
    apart(tmp_path, f"--saeprobe-evidence={tmp_path}")
    probe = SUPPORTED.replace("(ranks):\n", "(ranks):\n    import os\n    os._exit(3)\n")
    (tmp_path / "test_probes.py").write_text(HEAD + probe, encoding="utf-8")
    assert apart(tmp_path, f"--saeprobe-evidence={tmp_path}").code == 3
    names = sorted(path.name for path in (tmp_path / "reports").glob("*.*"))
    assert names == [".gitignore", "superseded.html", "superseded.json"]


def test_the_report_names_the_files_that_were_read(tmp_path: Path) -> None:
    """Probe files, what they import, prompts, records and settings, each with its hash; not what is installed."""
    more = "import helper\nfrom saeprobe.prompts import PromptSet\nown = capture(PromptSet.from_file('mine.jsonl'))\n"
    (tmp_path / "pyproject.toml").write_text(INI, encoding="utf-8")
    (tmp_path / "test_probes.py").write_text(HEAD + more + SUPPORTED, encoding="utf-8")
    (tmp_path / "helper.py").write_text("LIMIT = 3", encoding="utf-8")
    prompts = '{"text": "one", "style": "novice"}\n{"text": "two", "style": "expert"}\n'
    (tmp_path / "mine.jsonl").write_text(prompts, encoding="utf-8")
    (tmp_path / "records").mkdir()
    write_ranks(tmp_path / "records")
    files = apart(tmp_path, "--saeprobe-evidence=records").report["run"]["files"]
    assert set(files) == {"test_probes.py", "helper.py", "mine.jsonl", "pyproject.toml", "records/eid_table.json"}
    assert all(len(digest) == 64 for digest in files.values())

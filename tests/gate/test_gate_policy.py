"""The policy of the gate: what each key lets pass, what it does not, and what is said of it."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from test_gate_release import article, probe, report, unknown

from saeprobe.gate import decide_release, render
from saeprobe.gate.policy import Here, Policy, PolicyError, policy_of
from saeprobe.report.shape import Attempt, Document, Evidence, Prompts, Published, Sample

NOW = dt.datetime(2026, 7, 3, 12, tzinfo=dt.UTC)  # two days after the runs of these reports
GOOD: dict[str, Any] = {"commit": None, "files": {"probe.py": sha256(b"it").hexdigest()}}


def made(run: dict[str, Any] | None = None, claim: dict[str, Any] | None = None, **of_probe: Any) -> Document:
    """A report of one supported probe, its run, claim or probe changed."""
    document = report(("a", "sparrow", "supported"))
    (one,) = document.claims
    one = replace(one, **(claim or {}), probes=(replace(one.probes[0], **of_probe),))
    return replace(document, run=replace(document.run, **GOOD | (run or {})), claims=(one,))


@pytest.fixture
def gaps(tmp_path: Path) -> Callable[..., list[str]]:
    """Gives what stands against a release of a report in a folder where the probe file is as it was."""
    (tmp_path / "probe.py").write_bytes(b"it")

    def of(document: Document, **policy: Any) -> list[str]:
        here = Here(root=tmp_path, policy=Policy(**policy), now=NOW)
        release = decide_release(article("a"), document, [here.doubts])
        (ruling,) = release.rulings
        assert (ruling.decision == "release") == (not ruling.gaps)
        assert all(remedy in " ".join(render(release).split()) for _, remedy in ruling.gaps)
        return [gap for gap, _ in ruling.gaps]

    return of


Gaps = Callable[..., list[str]]


def printed(value: float, tolerance: float, rounding: float | None = None) -> Published:
    """A printed number with its tolerance, which the claim states where nothing says how precise it is printed."""
    row: dict[str, Any] = dict.fromkeys(["n", "tolerance_from", "measured", "answer", "sampling", "reach"])
    row |= {"label": f"at {value:g}", "value": value, "unit": "features", "source": "table 1"}
    return Published(**row, tolerance=tolerance, rounding=rounding)


def test_a_report_that_keeps_the_policy_releases(gaps: Gaps) -> None:
    """By its defaults."""
    assert gaps(made()) == []


@pytest.mark.parametrize(
    ("document", "allowed", "said"),
    [
        (made({"alpha": 0.3}), {"alpha": 0.3}, "that run decided at alpha = 0.3, and the policy allows 0.05"),
        (made({"ended": "2019-01-01T00:00:00+00:00"}), {"age_days": 9999.0}, "that run is 2740 days old, and the"),
        (
            made(takes=("length",)),
            {"controls": "none"},
            "the claim declares no control, and its sentence could take length",
        ),
        (
            made(claim={"controls": ("length",)}, takes=("length", "wording", "injection")),
            {"controls": ("length",)},
            "the claim does not declare the control wording",
        ),
        (
            made(published=(printed(132.4, 70),)),
            {"tolerance": 1.0},
            "the claim states a tolerance of 70 for at 132.4, and the policy allows 66.2",
        ),
        (
            made(published=(printed(132.4, 12), printed(113.1, 1))),
            {"tolerance": 1.0},
            "the claim states a tolerance of 12 for at 132.4, and the policy allows 9.65",
        ),
    ],
    ids=["alpha", "age", "no-control", "one-control", "tolerance", "next-number"],
)
def test_what_the_policy_does_not_allow_is_not_released(
    gaps: Gaps, document: Document, allowed: dict[str, Any], said: str
) -> None:
    """It is released where the policy is changed to allow it, and only there."""
    strict = {"controls": ("length", "wording")} if "control wording" in said else {}
    (found,) = gaps(document, **strict)
    assert found.startswith(said)
    assert gaps(document, **allowed) == []


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (made({"exit_code": 2}), "that run ended with the exit code 2: it was interrupted"),
        (made({"exit_code": 3}), "that run ended with the exit code 3: pytest itself failed"),
        (made({"ended": "2026-07-09T00:00:00+00:00"}), "that run ended on 2026-07-09T00:00:00+00:00, which is yet to"),
        (made({"files": {}}), "the report does not say which files that run read"),
        (made({"files": {"probe.py": "0"}}), "changed since that run: probe.py"),
        (made({"files": GOOD["files"] | {"gone.py": "0"}}), "changed since that run: gone.py"),
        (made({"commit": "0123"}), "that run was made in a git repository, and this is not"),
        (
            made(before=(Attempt(verdict="refuted", reason="the contrary holds"),)),
            "the probe was run again until it came out so: refuted, then supported (the contrary holds)",
        ),
    ],
)
def test_what_no_policy_allows_is_not_released(gaps: Gaps, document: Document, said: str) -> None:
    """No key of the policy changes it."""
    (found,) = gaps(document, commit="unrelated", controls="none", scope="any", alpha=0.4, age_days=9e9, tolerance=9.0)
    assert found.startswith(said)


def test_a_rerun_that_came_out_alike_is_no_matter(gaps: Gaps) -> None:
    """A plugin may run a probe again for another's sake."""
    assert gaps(made(before=(Attempt(verdict="supported", reason="again"),))) == []


@pytest.mark.parametrize(("rounding", "most"), [(0.05, 500.0), (None, 60.0)])
def test_a_tolerance_that_precision_gives_is_not_stated(gaps: Gaps, rounding: float | None, most: float) -> None:
    """One that the claim states is held to a share of the number, also where two equal numbers are printed."""
    assert gaps(made(published=(printed(132.4, most, rounding), printed(132.4, most, rounding)))) == []


@pytest.mark.parametrize(("second", "several"), [("one", False), ("two", True)])
def test_topics_alone_are_no_scope_where_there_are_wordings(gaps: Gaps, second: str, *, several: bool) -> None:
    """Under a single wording there is nothing else to generalise over."""
    document = made(claim={"over": ("topics",)})
    (claim,) = document.claims
    document = replace(
        document,
        claims=(replace(claim, probes=(replace(claim.probes[0], evidence=(0,)),)),),
        prompts=Prompts(text=("a", "b"), style=("s", "s"), topic=("t", "u"), template=("one", second)),
        samples=(unknown(Sample, values=(1.0, 2.0), prompts=(0, 1)),),
        evidence=(unknown(Evidence, samples=(0,), parts=(), controls=()),),
    )
    assert [one.startswith("the claim is stated over topics alone") for one in gaps(document)] == [True] * several
    assert gaps(document, scope="any") == []


def test_each_probe_is_held_to_its_own_run(gaps: Gaps) -> None:
    """One that stands from an earlier run is as old as that."""
    document = made(run=None)
    old = replace(document.run, ended="2026-01-01T00:00:00+00:00")
    (claim,) = document.claims
    both = replace(claim, probes=(claim.probes[0], replace(probe(1, "finch", "supported", None), run=1)))
    document = replace(document, earlier=(old,), claims=(both,), counts=document.counts | {"supported": 2})
    assert gaps(document) == ["that run is 184 days old, and the policy allows 30"]


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, as nobody in particular."""
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout  # noqa: S603, S607 - fixed words


@pytest.mark.parametrize("inside", ["", "sub"])
def test_an_unrelated_commit_is_let_pass_where_the_policy_says_so(tmp_path: Path, inside: str) -> None:
    """Files that the run read are what they were; a project may lie below the top of its repository."""
    root = tmp_path / inside
    root.mkdir(exist_ok=True)
    (root / "probe.py").write_bytes(b"it")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    head = git(tmp_path, "rev-parse", "HEAD").strip()

    def decided(document: Document, **policy: Any) -> list[str]:
        here = Here(root=root, policy=Policy(**policy), now=NOW)
        return [gap for gap, _ in decide_release(article("a"), document, [here.doubts]).rulings[0].gaps]

    document = made({"commit": head})
    assert decided(document) == []
    (root / "notes.md").write_text("unrelated", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "two")
    now = git(tmp_path, "rev-parse", "HEAD").strip()
    assert decided(document) == [f"that run was made at commit {head[:12]}, and this is {now[:12]}"]
    assert decided(document, commit="unrelated") == []
    (root / "probe.py").write_bytes(b"it is changed")
    assert decided(document, commit="unrelated") == ["changed since that run: probe.py"]
    read = made({"commit": now, "files": {"probe.py": sha256(b"it is changed").hexdigest()}})
    assert decided(read) == ["not in the commit as that run read it: probe.py"]


def test_a_probe_that_git_does_not_keep_is_not_released(tmp_path: Path) -> None:
    """An ignored file is in no commit, whatever the status says of it."""
    (tmp_path / "probe.py").write_bytes(b"it")
    (tmp_path / ".gitignore").write_text("probe.py", encoding="utf-8")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".gitignore")
    git(tmp_path, "commit", "-qm", "one")
    document = made({"commit": git(tmp_path, "rev-parse", "HEAD").strip()}, nodeid="probe.py::test_it[sparrow]")
    here = Here(root=tmp_path, policy=Policy(), now=NOW)
    (ruling,) = decide_release(article("a"), document, [here.doubts]).rulings
    assert [gap for gap, _ in ruling.gaps] == ["not in the commit as that run read it: probe.py"]


def test_a_repository_without_a_commit_ties_no_report_to_the_probes(tmp_path: Path, gaps: Gaps) -> None:
    """Nor does one that git does not show; a folder without any is held to the files alone."""
    assert gaps(made()) == []
    git(tmp_path, "init", "-q")
    assert gaps(made()) == ["the repository here has no commit that git shows"]


CLAIM = "from saeprobe import claim, subjects\n@claim('S.', id='a', source='x')\ndef test_it(): ...\n"


@pytest.mark.parametrize(
    ("source", "held"),
    [
        (CLAIM, True),
        (CLAIM.replace("@claim", "@subjects('sparrow')\n@claim"), True),
        (CLAIM.replace("@claim", "@subjects('finch')\n@claim"), False),
        (CLAIM.replace("id='a'", "id='b'"), False),
        (CLAIM.replace("id='a'", "id='a.c'"), False),
    ],
    ids=["of-no-subject", "on-this", "on-another", "of-another", "of-a-case"],
)
def test_a_probe_that_the_run_knew_nothing_of_is_not_released(
    tmp_path: Path, gaps: Gaps, source: str, *, held: bool
) -> None:
    """It was added since, or hidden from the run; one that the run read has its place in the report."""
    (tmp_path / "new.py").write_text(source, encoding="utf-8")
    assert gaps(made()) == ["that run knew nothing of new.py::test_it, which makes the claim"] * held
    read = {"files": GOOD["files"] | {"new.py": sha256(source.encode()).hexdigest()}}
    assert gaps(made(read)) == []


@pytest.mark.parametrize("way", ["deleted", "sparse"])
def test_a_probe_that_the_commit_has_and_the_folder_has_not_is_not_released(tmp_path: Path, way: str) -> None:
    """It was taken away for the run, and is away still; once that is committed it is no probe of the project."""
    root = tmp_path / "sub"
    root.mkdir()
    (root / "probe.py").write_bytes(b"it")
    (root / "new.py").write_text(CLAIM, encoding="utf-8")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    if way == "sparse":
        git(tmp_path, "sparse-checkout", "set", "--no-cone", "/sub/*", "!/sub/new.py")
    else:
        (root / "new.py").unlink()
    assert not (root / "new.py").exists()
    here = Here(root=root, policy=Policy(commit="unrelated"), now=NOW)
    document = made({"commit": git(tmp_path, "rev-parse", "HEAD").strip()})
    (ruling,) = decide_release(article("a"), document, [here.doubts]).rulings
    assert [gap for gap, _ in ruling.gaps] == ["the commit has new.py::test_it, which makes the claim and is not here"]
    if way == "deleted":
        git(tmp_path, "commit", "-qam", "Take it away")
        here = Here(root=root, policy=Policy(commit="unrelated"), now=NOW)
        assert decide_release(article("a"), document, [here.doubts]).decision == "release"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("age_day = 3", "[tool.saeprobe.gate] has the key 'age_day', did you mean 'age_days'?"),
        ('commit = "any"', "[tool.saeprobe.gate] cannot be used: Invalid enum value 'any'"),
        ('controls = ["labels"]', "[tool.saeprobe.gate] cannot be used:"),
        ('alpha = "0.05"', "[tool.saeprobe.gate] cannot be used: Expected `float`, got `str`"),
        ("alpha = 0", "[tool.saeprobe.gate] has a number that cannot be"),
        ("age_days = nan", "[tool.saeprobe.gate] has a number that cannot be"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused(tmp_path: Path, table: str, said: str) -> None:
    """A typo must not leave a default in force that somebody meant to change."""
    (tmp_path / "pyproject.toml").write_text(f"[tool.saeprobe.gate]\n{table}\n", encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        policy_of(tmp_path)
    assert caught.value.problem.startswith(said)


def test_a_policy_is_read_from_the_project(tmp_path: Path) -> None:
    """What it does not name keeps its default; without a table all do."""
    assert policy_of(tmp_path) == Policy()
    table = '[tool.saeprobe.gate]\nage_days = 7\ncontrols = ["length"]\ncommit = "unrelated"\n'
    (tmp_path / "pyproject.toml").write_text(table, encoding="utf-8")
    assert policy_of(tmp_path) == Policy(age_days=7, controls=("length",), commit="unrelated")

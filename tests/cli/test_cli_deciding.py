"""`saeprobe approve` takes one claim from a person with a reason; `saeprobe gate` hands on the gate's decision."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from saeprobe.claims import Claim, Verdict, Word
from saeprobe.evidence import Evidence, Sample
from saeprobe.gate import Decision
from saeprobe.prompts import Prompt
from saeprobe.report import ProbeRecord, build_document, planned_name, probe_to_json, shape, write_report
from saeprobe.report.shape import Document
from saeprobe.verdicts.baseline import compare_baseline, values_of
from saeprobe.verdicts.baseline_files import Provenance, read_baselines

Run = Callable[..., Any]

WHY = "figures as in table 1"
NOVICE = Sample(
    label="novice",
    measure="l0",
    unit="features",
    mean=18.8333,
    n=2,
    interval=(17.0, 20.0),
    values=(18.0, 19.6666),
    prompts=tuple(
        Prompt(text=f"Explain {topic}.", style="novice", topic=topic, template="Explain {topic}.")
        for topic in ("tides", "yeast")
    ),
    reach=(18.5833, 19.0833),
)
EXPERT = Sample(label="expert", measure="l0", unit="features", mean=11.5, n=None)
SUBJECT = shape.Subject(
    name="sparrow",
    model="specimens/sparrow/model",
    model_hash="sha256:ab",
    sae="specimens/sparrow/sae",
    sae_hash="sha256:cd",
    hook_name="blocks.2.hook_resid_pre",
    d_in=160,
    d_sae=1280,
    dtype="float32",
    protocol="BOS prepended",
    fingerprint="ef",
)
RUN = shape.Run(
    ended="2026-07-01T12:00:00+00:00",
    files={},
    command="pytest probes/",
    exit_code=0,
    duration_s=1.0,
    alpha=0.01,
    seed=7,
    workers=0,
    commit="0123",
    dirty=False,
    python="3.11.7",
    platform="Linux",
    device="cpu",
    evidence_dir=None,
    versions={"torch": "2.13.0"},
    computed_prompts=0,
    stored_prompts=0,
)


def evidence(*samples: Sample) -> Evidence:
    """Return a comparison of these, the last of them as a part."""
    part = Evidence(
        kind="greater", statement="p", outcome="supported", reason="", scope="", unit="features", samples=samples[1:]
    )
    return replace(part, kind="every", statement="w", samples=samples[:1], parts=(part,))


def record(
    claim: str, subject: str = "sparrow", *, word: Word = "supported", samples: tuple[Sample, ...] = (NOVICE, EXPERT)
) -> ProbeRecord:
    """Return a decided claim."""
    return probe_to_json(
        claim=Claim(id=claim, sentence="Novice activates more.", source="here"),
        nodeid=f"t.py::{claim}[{subject}]",
        subject=subject,
        verdict=Verdict(word=word, reason="so it is"),
        evidence=[evidence(*samples)] if samples else [],
        published=[],
        duration_s=0.1,
    )


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Document]:
    """Write reports/report.json of these records in the folder that the test runs in."""
    monkeypatch.chdir(tmp_path)

    def write(*records: ProbeRecord, run: shape.Run = RUN, generated: str = "2026-11-22T04:00:00+00:00") -> Document:
        document = build_document(
            probes=records,
            run=replace(run, ended=generated),
            subjects=[SUBJECT],
            planned=[planned_name(one["claim"]["id"], one["subject"]) for one in records],
            generated=generated,
        )
        write_report(document, Path("reports/report.json"))
        return document

    return write


def test_an_approval_is_written_with_all_that_was_measured(run: Run, written: Callable[..., Document]) -> None:
    """Values of the evidence and its parts, verdict, person, reason, day, and what it was measured with."""
    written(record("a.b"), record("a.c"))
    found = run("approve", "a.b", "--by", " Ada  L. ", "--because", f"{WHY}\n")
    assert (found.code, found.err) == (0, "")
    ((key, (one,)),) = read_baselines(Path("reports/baselines")).items()
    assert key == ("a.b", "sparrow")
    assert (one.approved_by, one.because, one.verdict, one.sentence) == (
        "Ada L.",
        WHY,
        "supported",
        "Novice activates more.",
    )
    assert abs(dt.date.fromisoformat(one.on) - dt.datetime.now(tz=dt.UTC).date()) <= dt.timedelta(days=1)
    assert one.values == values_of([NOVICE, EXPERT])
    identity = {name: vars(SUBJECT)[name] for name in one.measured_with.subjects["sparrow"]}
    assert identity["sae_hash"] == "sha256:cd"
    assert one.measured_with == Provenance(
        subjects={"sparrow": identity},
        versions={"torch": "2.13.0"},
        python="3.11.7",
        platform="Linux",
        device="cpu",
        evidence=None,
        commit="0123",
        dirty=False,
        generated="2026-11-22T04:00:00+00:00",
        alpha=0.01,
        seed=7,
    )


def test_what_was_approved_is_printed_beside_what_stood_before(run: Run, written: Callable[..., Document]) -> None:
    """A table of values, the approval before, and that the file is to be committed."""
    written(record("a.b", samples=(NOVICE, replace(EXPERT, label="guru"))))
    first = run("approve", "a.b", "--by", "Ada", "--because", WHY)
    assert first.out.splitlines()[0] == "approved a.b on sparrow, supported: Novice activates more."
    assert f'because "{WHY}"' in first.out
    assert "before it" not in first.out
    written(record("a.b", samples=(replace(NOVICE, mean=21.2), EXPERT), word="refuted"))
    lines = run("approve", "a.b", "--by", "Grace", "--because", "the SAE was retrained").out.splitlines()
    assert lines[0] == "approved a.b on sparrow, refuted: Novice activates more."
    assert lines[2].startswith("before it: supported, by Ada on ")
    assert [line.split() for line in lines[4:8]] == [
        ["value", "before", "approved", "unit"],
        ["l0", "of", "novice", "18.83", "21.2", "features"],
        ["l0", "of", "expert", "-", "11.5", "features"],
        ["l0", "of", "guru", "11.5", "-", "features"],
    ]
    assert lines[-1] == (
        f"written to {Path('reports/baselines/a.b.json')}; commit it before the next run, which is then held against it"
    )


def test_every_approval_is_kept(run: Run, written: Callable[..., Document]) -> None:
    """The newest stands last; another subject of the same claim has its own."""
    written(record("a.b"), record("a.b", "finch"))
    for by, subject in (("Ada", "sparrow"), ("Grace", "sparrow"), ("Edith", "finch")):
        assert run("approve", "a.b", "--subject", subject, "--by", by, "--because", WHY).code == 0
    held = read_baselines(Path("reports/baselines"))
    assert [one.approved_by for one in held["a.b", "sparrow"]] == ["Ada", "Grace"]
    assert [one.approved_by for one in held["a.b", "finch"]] == ["Edith"]
    assert held["a.b", "finch"][0].measured_with.subjects == {
        "finch": dict.fromkeys(
            vars(SUBJECT).keys()
            & {"model", "model_hash", "sae", "sae_hash", "hook_name", "dtype", "protocol", "fingerprint"}
        )
    }
    assert [path.name for path in Path("reports/baselines").iterdir()] == ["a.b.json"]


def test_one_person_approves_a_run_once(run: Run, written: Callable[..., Document]) -> None:
    """The reason given first stands; a new run of the same values is another matter."""
    written(record("a.b"))
    assert run("approve", "a.b", "--by", "Ada", "--because", WHY).code == 0
    before = Path("reports/baselines/a.b.json").read_bytes()
    again = run("approve", "a.b", "--by", "Ada", "--because", "looks good to me")
    assert again.code == 2
    assert "Ada approved this run of a.b on sparrow on " in again.err
    assert f'already, because "{WHY}"; another approval takes another run, or another person' in again.err
    assert Path("reports/baselines/a.b.json").read_bytes() == before
    written(record("a.b"), generated="2026-11-23T04:00:00+00:00")
    assert run("approve", "a.b", "--by", "Ada", "--because", WHY).code == 0


def test_the_same_values_are_in_the_baseline_that_was_approved(run: Run, written: Callable[..., Document]) -> None:
    """What went through the report and the file is what the next run measures."""
    written(record("a.b"))
    run("approve", "a.b", "--by", "Ada", "--because", WHY)
    (one,) = read_baselines(Path("reports/baselines"))["a.b", "sparrow"]
    beside = compare_baseline(one, (NOVICE, EXPERT), one.measured_with)
    assert [row.agrees for row in beside.rows] == [True, True]
    assert beside.changed == ()


def test_report_and_folder_may_be_named(run: Run, written: Callable[..., Document], tmp_path: Path) -> None:
    """`--report` and `--baselines` take others; the folder is made."""
    written(record("a.b"))
    Path("reports/report.json").rename(tmp_path / "other.json")
    words = ("--by", "Ada", "--because", WHY, "--report", "other.json", "--baselines", "kept/here")
    assert run("approve", "a.b", *words).code == 0
    assert list(read_baselines(tmp_path / "kept/here")) == [("a.b", "sparrow")]


@pytest.mark.parametrize("word", ["refuted", "inconclusive", "drifted"])
def test_a_claim_that_is_not_reproduced_can_be_approved(run: Run, written: Callable[..., Document], word: Word) -> None:
    """Its values are a baseline as well; what had only left its baseline stands once its new values are accepted."""
    written(record("a.b", word=word))
    assert run("approve", "a.b", "--by", "Ada", "--because", WHY).code == 0
    (one,) = read_baselines(Path("reports/baselines"))["a.b", "sparrow"]
    assert one.verdict == ("supported" if word == "drifted" else word)


@pytest.mark.parametrize(
    ("answer", "verdict"), [("drifted", "drifted"), ("agrees", "supported"), ("cannot be compared", "supported")]
)
def test_a_claim_that_left_a_printed_number_is_approved_as_drifted(
    run: Run,
    written: Callable[..., Document],
    *,
    answer: str,
    verdict: str,
) -> None:
    """Accepting what is measured does not change what is printed."""
    drifted = record("a.b", word="drifted")
    drifted["published"] = [
        {
            "label": "novice",
            "value": 132.4,
            "unit": "features",
            "n": None,
            "tolerance": 0.05,
            "tolerance_from": None,
            "measured": 18.8,
            "answer": answer,
            "rounding": None,
            "sampling": None,
            "reach": None,
            "source": "",
        }
    ]
    written(drifted)
    run("approve", "a.b", "--by", "Ada", "--because", WHY)
    assert read_baselines(Path("reports/baselines"))["a.b", "sparrow"][0].verdict == verdict


def refused(run: Run, *words: str) -> str:
    """What is said of an approval that is refused; nothing may be written."""
    found = run("approve", *words)
    assert (found.code, found.out) == (2, "")
    assert not Path("reports/baselines").exists()
    return found.err


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ("a.bb", "the report holds no claim 'a.bb', did you mean 'a.b'?; it holds 2, listed in its page"),
        ("zzz", "the report holds no claim 'zzz'; it holds 2"),
        ("a.*", "'a.*' is not the id of one claim; approve them one by one, each for its own reason"),
        ("a.b,a.c", "'a.b,a.c' is not the id of one claim"),
        ("a.b a.c", "'a.b a.c' is not the id of one claim"),
        ("a.[bc]", "'a.[bc]' is not the id of one claim"),
        ("", "the report holds no claim ''"),
    ],
)
def test_only_one_claim_that_is_there_can_be_approved(
    run: Run, written: Callable[..., Document], claim: str, message: str
) -> None:
    """No pattern, no list, no claim that is not in the report."""
    written(record("a.b"), record("a.c"))
    assert message in refused(run, claim, "--by", "Ada", "--because", WHY)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a.b", "--by", "Ada"), "required: --because"),
        (("a.b", "--because", WHY), "required: --by"),
        (("a.b", "a.c", "--by", "Ada", "--because", WHY), "unrecognized arguments: a.c"),
        (("--by", "Ada", "--because", WHY), "required: CLAIM"),
        (("a.b", "--by", "  ", "--because", WHY), "--by is blank; give the name of who approves"),
        (("a.b", "--by", "Ada", "--because", ""), "--because is ''; say in at least 3 words"),
        (("a.b", "--by", "Ada", "--because", "looks good"), "--because is 'looks good'; say in at least 3 words"),
        (("a.b", "--by", "Ada", "--because", "看过了吧"), "(two Chinese characters count as a word)"),
    ],
)
def test_a_person_and_a_reason_are_needed(
    run: Run, written: Callable[..., Document], words: tuple[str, ...], message: str
) -> None:
    """Neither may be left out or blank, and a reason has three words at least."""
    written(record("a.b"), record("a.c"))
    assert message in refused(run, *words)


@pytest.mark.parametrize("why", ["it is right", "模型权重已更新", "SAE 重新训练"])
def test_three_words_are_a_reason(run: Run, written: Callable[..., Document], why: str) -> None:
    """Two Chinese characters count as a word."""
    written(record("a.b"))
    assert run("approve", "a.b", "--by", "Ada", "--because", why).code == 0


def test_the_subject_is_needed_where_there_are_several(run: Run, written: Callable[..., Document]) -> None:
    """And must be one of those that the claim was decided on."""
    written(record("a.b"), record("a.b", "finch"))
    words = ("--by", "Ada", "--because", WHY)
    assert "a.b was decided on sparrow, finch; name one of them with --subject" in refused(run, "a.b", *words)
    message = refused(run, "a.b", "--subject", "finsh", *words)
    assert "a.b was not decided on 'finsh', did you mean 'finch'?; the report has it on sparrow, finch" in message


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("not run", "a.b on sparrow is not run: nothing was measured; so it is"),
        ("broken", "a.b on sparrow is broken: what it measured cannot be relied on; so it is"),
        ("unverifiable", "a.b on sparrow is unverifiable: there is nothing to hold a later run against; so it is"),
    ],
)
def test_a_verdict_that_says_nothing_is_refused(
    run: Run, written: Callable[..., Document], word: Word, message: str
) -> None:
    """Whatever was measured on the way."""
    written(record("a.b", word=word))
    assert message in refused(run, "a.b", "--by", "Ada", "--because", WHY)


def test_a_claim_that_measured_nothing_is_refused(run: Run, written: Callable[..., Document]) -> None:
    """There is no value to hold a later run against."""
    written(record("a.b", samples=()))
    assert "a.b on sparrow measured nothing" in refused(run, "a.b", "--by", "Ada", "--because", WHY)


def test_two_probes_of_one_claim_are_refused(run: Run, written: Callable[..., Document]) -> None:
    """Nobody could say of which of them the values are."""
    second = record("a.b")
    second["nodeid"] += "[2]"
    written(record("a.b"), second)
    message = refused(run, "a.b", "--by", "Ada", "--because", WHY)
    assert "a.b was decided 2 times on sparrow; a baseline belongs to one probe" in message


@pytest.mark.parametrize(("dirty", "code"), [(True, 2), (False, 0), (None, 0)])
def test_a_tree_with_uncommitted_changes_is_refused(
    run: Run,
    written: Callable[..., Document],
    *,
    dirty: bool | None,
    code: int,
) -> None:
    """What was measured there could not be told later; without a repository there is nothing to commit."""
    written(record("a.b"), run=replace(RUN, dirty=dirty, changed=("b.py",), commit=None if dirty is None else "0123"))
    found = run("approve", "a.b", "--by", "Ada", "--because", WHY)
    assert found.code == code
    assert ("uncommitted changes (b.py)" in found.err) == (code == 2)
    assert ("the run has no commit" in found.out) == (dirty is None)


def test_a_report_or_baseline_that_cannot_be_read_is_explained(run: Run, written: Callable[..., Document]) -> None:
    """In one line, with exit code 2; a damaged baseline is left as it is."""
    words = ("approve", "a.b", "--by", "Ada", "--because", WHY)
    written(record("a.b"))
    file = Path("reports/baselines/a.b.json")
    file.parent.mkdir()
    file.write_text("{", encoding="utf-8")
    found = run(*words)
    assert (found.code, found.out, file.read_text(encoding="utf-8")) == (2, "", "{")
    assert f"saeprobe: error: {file}: it is not JSON" in found.err
    assert found.err.count("\n") == 1
    Path("reports/report.json").unlink()
    assert "there is no report here; " in run(*words).err
    Path("reports/part.json").write_text("{}", encoding="utf-8")
    assert "there is no report here, only that of a part (part.json); " in run(*words).err


def test_the_file_is_one_that_git_can_show(run: Run, written: Callable[..., Document]) -> None:
    """Two approvals of the same values differ in who, why and when alone; nothing else lies beside the file."""
    written(record("a.b"))
    for by in ("Ada", "Grace"):
        run("approve", "a.b", "--by", by, "--because", WHY)
    text = Path("reports/baselines/a.b.json").read_text(encoding="utf-8")
    first, second = json.loads(text)["subjects"]["sparrow"]
    assert {key for key in first if first[key] != second[key]} == {"approved_by"}
    assert text.endswith("}\n")
    assert [path.name for path in Path("reports/baselines").iterdir()] == ["a.b.json"]


@pytest.mark.parametrize("decision", ["release", "hold", "cannot tell"])
def test_the_gates_decision_is_the_exit_code(run: Run, monkeypatch: pytest.MonkeyPatch, decision: Decision) -> None:
    """Released, held and undecided are 0, 1 and 2; only the last is an error and goes to stderr."""
    seen: list[tuple[list[Path], Path]] = []

    def decide(articles: list[Path], report: Path, _doubts: object) -> list[SimpleNamespace]:
        seen.append((articles, report))
        return [SimpleNamespace(decision=decision)]

    monkeypatch.setattr("saeprobe.cli.deciding.decide_all", decide)
    monkeypatch.setattr("saeprobe.cli.deciding.in_words", lambda _: "the decision")
    found = run("gate", "day1.md")
    assert (found.code, found.out, found.err) == {
        "release": (0, "the decision\n", ""),
        "hold": (1, "the decision\n", ""),
        "cannot tell": (2, "", "the decision\n"),
    }[decision]
    run("gate", "day1.md", "day2.md", "--report", "other.json")
    both = [Path("day1.md"), Path("day2.md")]
    assert seen == [(both[:1], Path("reports/report.json")), (both, Path("other.json"))]


def test_an_absent_article_is_not_decided(run: Run, tmp_path: Path) -> None:
    """The real gate ends with exit code 2 and no traceback where the article is not there."""
    found = run("gate", tmp_path / "none.md")
    assert (found.code, found.out) == (2, "")
    assert str(tmp_path / "none.md") in found.err

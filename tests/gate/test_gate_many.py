"""Several articles are decided on at once, for people and for machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_gate_release import report

from saeprobe.gate.article import ArticleError
from saeprobe.gate.many import articles_in, as_json, decide_all, decision_on, in_words
from saeprobe.report import ReportError, plain, read_report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a report in which `a` is supported, `b` refuted and `c` not run, and an article on each."""
    verdicts = {"a": "supported", "b": "refuted", "c": "not run"}
    document = report(*((claim, "sparrow", verdict) for claim, verdict in verdicts.items()))
    (tmp_path / "report.json").write_text(json.dumps(plain(document, "report")), encoding="utf-8")
    for claim in verdicts:
        front = f"---\ntitle: On {claim}\nlanguage: en\nclaims: [{claim}]\n---\n"
        (tmp_path / f"{claim}.md").write_text(front, encoding="utf-8")
    return tmp_path


OPEN = "cannot tell"


@pytest.mark.parametrize(
    ("names", "decision"),
    [("a", "release"), ("ab", "hold"), ("ac", OPEN), ("abc", "hold"), ("ax", OPEN), ("x", OPEN)],
)
def test_all_are_decided_and_one_that_holds_holds_all(folder: Path, names: str, decision: str) -> None:
    """One that cannot be read keeps no other from being decided."""
    decided = decide_all([folder / f"{name}.md" for name in names], folder / "report.json")
    each = {"a": "release", "b": "hold", "c": OPEN, "x": OPEN}
    assert [one.decision for one in decided] == [each[name] for name in names]
    assert decision_on(decided) == decision
    text = in_words(decided)
    assert ("articles released; exit code" in text) == (len(names) > 1)
    assert ("x.md: it cannot be read (there is no such file)" in text) == ("x" in names)


def test_a_folder_stands_for_its_articles(folder: Path) -> None:
    """Each once, in order; what is no Markdown is none, and a folder without any is refused."""
    assert [path.name for path in articles_in([folder / "b.md", folder])] == ["b.md", "a.md", "c.md"]
    (folder / "more").mkdir()
    (folder / "more" / "D.Markdown").write_text("---", encoding="utf-8")
    assert [path.name for path in articles_in([folder])] == ["a.md", "b.md", "c.md", "D.Markdown"]
    (folder / "empty").mkdir()
    with pytest.raises(ArticleError, match=r"this folder holds no \.md file; name one that holds articles"):
        list(articles_in([folder / "empty"]))


def test_machines_read_the_decisions_as_json(folder: Path) -> None:
    """With all that the text says of each claim, in plain types."""
    articles = [folder / f"{name}.md" for name in "abx"]
    found = json.loads(json.dumps(as_json(decide_all(articles, folder / "report.json"), folder / "report.json")))
    assert (found["decision"], found["exit_code"], found["report"]) == ("hold", 1, str(folder / "report.json"))
    assert [one["decision"] for one in found["articles"]] == ["release", "hold", "cannot tell"]
    assert "there is no such file" in found["articles"][2]["problem"]
    (claim,) = found["articles"][0]["claims"]
    (of_probe,) = claim.pop("probes")
    assert claim == {"id": "a", "subject": None, "decision": "release", "gaps": []}
    assert of_probe == {
        "nodeid": "probes/test_it.py::test_0[sparrow]",
        "subject": "sparrow",
        "verdict": "supported",
        "decision": "release",
        "reason": "reason 0",
        "scope": "these 8 templates",
        "takes": [],
        "commit": None,
        "ended": "2026-07-01T12:00:00+00:00",
        "alpha": 0.05,
        "controls": [],
        "over": [],
        "declared_at": None,
    }


def test_no_report_decides_nothing(folder: Path) -> None:
    """Each article says so."""
    decided = decide_all([folder / "a.md", folder / "x.md"], folder / "absent.json")
    assert [one.problem.partition(": ")[2][:12] for one in decided] == ["there is no ", "it cannot be"]


def test_a_report_that_holds_a_key_twice_is_refused(folder: Path) -> None:
    """JSON keeps the last of two: a reader may see the one and the gate the other."""
    path = folder / "report.json"
    text = path.read_text(encoding="utf-8").replace(
        '"verdict": "refuted"', '"verdict": "refuted", "verdict": "supported"'
    )
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReportError, match="twice"):
        read_report(path)

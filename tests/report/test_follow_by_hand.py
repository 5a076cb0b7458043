"""A verdict follows from the report alone: every number in it is found again by other code, from its own data."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from follow import complaints, many
from follow_tests import Json
from followed import PROBES, made

from saeprobe.report import read_report, write_report

NUMBER = re.compile(r"\d[\d,.]*")
PAGE = Path(__file__).parents[2] / "docs" / "following-a-verdict.md"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on disk, checked against its schema."""
    path = tmp_path_factory.mktemp("followed") / "report.json"
    write_report(made(), path)
    read_report(path)
    return path


@pytest.fixture(scope="module")
def report(path: Path) -> Json:
    """What any program reads from it."""
    return json.loads(path.read_text(encoding="utf-8"))


def alone(report: Json, claim_id: str) -> Json:
    """A copy of the report with one claim, to be tampered with."""
    (claim,) = [claim for claim in report["claims"] if claim["id"] == claim_id]
    return {**copy.deepcopy(report), "claims": [copy.deepcopy(claim)]}


def first(report: Json) -> Json:
    """Give the first evidence of the first probe."""
    return report["evidence"][report["claims"][0]["probes"][0]["evidence"][0]]


def test_every_number_follows_from_the_report_alone(report: Json) -> None:
    """Unit values, estimates, p, interval ends, outcomes and verdicts are those that the data and rules give."""
    assert [claim["id"] for claim in report["claims"]] == list(PROBES)
    assert complaints(report) == []
    assert many(report) == []


def test_nearly_every_kind_and_outcome_is_followed(report: Json) -> None:
    """All kinds that test something, every outcome, exact and sampled tests, and five of the eight verdicts."""
    found = report["evidence"]
    assert {piece["kind"] for piece in found} == {
        *("greater", "at least", "about equal", "bound", "rate", "ordering", "every"),
        *("separation", "exclusive", "clusters", "scan", "correlation", "published"),
    }
    outcomes = {piece["outcome"] for piece in found}
    assert outcomes == {"supported", "explained", "drifted", "refuted", "inconclusive"}
    assert {(piece["test"] or "").split()[0] for piece in found if piece["test"]} >= {"exact", "sampled"}
    assert {claim["probes"][0]["verdict"] for claim in report["claims"]} == {
        *("supported", "explained", "refuted", "inconclusive", "drifted", "broken"),
    }
    assert {one["answer"] for piece in found for one in piece["controls"]} == {"withstood", "explains", "cannot tell"}
    assert any(piece["pairs"] for piece in found)
    assert any(piece["copies"] for piece in found)
    assert all(piece["rule"] for piece in found)


Tamper = Callable[[Json, Json], None]
"""Changes a piece of evidence of a report."""


def changed(name: str, to: object) -> Tamper:
    """Put another value in place of one of a piece of evidence."""

    def change(piece: Json, _report: Json) -> None:
        piece[name] = to

    return change


def a_unit(piece: Json, _report: Json) -> None:
    """Move one unit value."""
    piece["unit_values"]["value"][1] += 0.125


def a_value(piece: Json, report: Json) -> None:
    """Move what was measured on one prompt."""
    report["samples"][piece["samples"][0]]["values"][3] += 0.5


def a_pattern(piece: Json, _report: Json) -> None:
    """Have more features fire in the same units."""
    piece["patterns"]["features"][0] += 1


def a_distance(piece: Json, _report: Json) -> None:
    """Move two units apart."""
    piece["distances"][3][1] += 0.01


def a_control(piece: Json, _report: Json) -> None:
    """Have the pasted words show next to nothing."""
    (injection,) = [it for it in piece["controls"] if it["name"] == "injection"]
    injection["estimate"] = 0.01


def an_end(piece: Json, _report: Json) -> None:
    """Make an interval narrower."""
    piece["interval"][0] += 0.01


def each_control(name: str, of: str) -> Tamper:
    """Move a figure of a control."""

    def change(piece: Json, _report: Json) -> None:
        (control,) = [it for it in piece["controls"] if it["name"] == name]
        control[of] += 0.01

    return change


def its_draw(piece: Json, _report: Json) -> None:
    """Have a draw show as much as the claim."""
    piece["controls"][0]["unit_values"]["value"][2] = 99.0


def a_copy(piece: Json, _report: Json) -> None:
    """Call no two wordings near copies."""
    piece["copies"] = []


def a_pair(piece: Json, _report: Json) -> None:
    """Give two wordings each other's partner."""
    (one, other), (two, another), *rest = piece["pairs"]
    piece["pairs"] = [[one, another], [two, other], *rest]


def its_own_control(piece: Json, report: Json) -> None:
    """Move a unit of what a control measured."""
    a_unit(next(control for control in piece["controls"] if control["unit_values"]["value"]), report)


TAMPERED: list[tuple[str, Tamper]] = [
    *((name, a_unit) for name in ("greater.contrary", "bound.topics", "rate.fails", "clusters", "exclusive.topics")),
    *((name, a_value) for name in ("greater.topics", "least.holds", "equal.holds", "bound.holds", "greater.crossed")),
    *((name, changed("p", 0.02)) for name in ("greater.sampled", "equal.fails", "rate.holds", "scan", "clusters")),
    *((name, changed("p", 0.02)) for name in ("greater.crossed", "exclusive.sampled", "bound.open")),
    *((name, changed("outcome", "inconclusive")) for name in ("greater.paired", "separation", "exclusive.counted")),
    *((name, changed("outcome", "supported")) for name in ("every.fails", "ordering", "least.fails", "rate.fails")),
    *((name, an_end) for name in ("greater.contrary", "greater.crossed", "equal.fails", "rate.holds", "bound.topics")),
    *((name, changed("estimate", 1.5)) for name in ("greater.open", "least.holds", "scan", "exclusive.topics")),
    *(("greater.unequal", each_control("length", of)) for of in ("p", "estimate", "share")),
    *((name, each_control("wording", "p")) for name in ("greater.free", "greater.framed", "greater.on-topics")),
    *((name, each_control("length", "p")) for name in ("greater.wordings-and-topics", "greater.partly-framed")),
    *((name, changed("outcome", "refuted")) for name in ("greater.drawn", "ratio", "greater.partly-framed")),
    *((name, an_end) for name in ("ratio", "greater.unequal", "greater.framed")),
    ("greater.words", a_control),
    ("greater.drawn", its_draw),
    ("greater.copies", a_copy),
    ("greater.framed", a_pair),
    ("greater.partly-framed", a_pair),
    ("greater.controls", its_own_control),
    ("exclusive.counted", a_pattern),
    ("clusters", a_distance),
]


@pytest.mark.parametrize(("claim_id", "tamper"), TAMPERED)
def test_what_was_tampered_with_is_found(report: Json, claim_id: str, tamper: Tamper) -> None:
    """One number or word that is another than the data give is complained of."""
    tampered = alone(report, claim_id)
    before = copy.deepcopy(tampered)
    tamper(first(tampered), tampered)
    assert (complaints(tampered) != []) == (tampered != before)


@pytest.mark.parametrize("name", ["sampling", "tolerance", "answer"])
@pytest.mark.parametrize("claim_id", ["greater.sampling", "exclusive.printed"])
def test_another_answer_of_a_printed_number_is_found(report: Json, claim_id: str, name: str) -> None:
    """Its sampling error follows from the units, and its answer from the tolerance."""
    tampered = alone(report, claim_id)
    row = tampered["claims"][0]["probes"][0]["published"][0]
    row[name] = "drifted" if name == "answer" and row[name] != "drifted" else "agrees" if name == "answer" else 0.5
    assert complaints(tampered)


def test_another_q_is_found(report: Json) -> None:
    """A q that is another than Benjamini and Hochberg's is complained of, and so is another count."""
    tampered = copy.deepcopy(report)
    next(it for claim in tampered["claims"] for it in claim["probes"] if it["q"] is not None)["q"] = 0.9
    tampered["chance"][0]["confirmed"] += 1
    assert len(many(tampered)) == 2


@pytest.mark.parametrize("claim_id", ["greater.contrary", "greater.unread", "greater.moved", "greater.turned"])
def test_another_verdict_is_found(report: Json, claim_id: str) -> None:
    """Refuted, inconclusive, drifted and broken are not supported."""
    tampered = alone(report, claim_id)
    tampered["claims"][0]["probes"][0]["verdict"] = "supported"
    (wrong,) = complaints(tampered)
    assert wrong.endswith("not supported")


# the page for readers


def blocks(language: str) -> list[str]:
    """The blocks of the page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_page_for_readers_can_be_followed(path: Path, report: Json, capsys: pytest.CaptureFixture[str]) -> None:
    """Its code runs on a report as it stands there, prints what it shows but for the numbers, and finds those told."""
    code = "".join(blocks("python"))
    for shown, here in {
        '"reports/report.json"': repr(str(path)),
        '"day1.novice-more-than-expert", "finch"': '"greater.frames", "sparrow"',
    }.items():
        assert code.count(shown) == 1
        code = code.replace(shown, here)
    names: dict[str, object] = {}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - the page's own code

    printed = capsys.readouterr().out
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", "".join(blocks("output")))
    evidence = first(alone(report, "greater.frames"))
    (control,) = [it for it in evidence["controls"] if it["name"] == "injection"]
    assert names["word"] == "inconclusive"
    assert names["units"] == pytest.approx(names["again"])
    assert names["difference"] == pytest.approx(evidence["estimate"])
    assert [names["left"], names["p_left"]] == pytest.approx([control["estimate"], control["p"]])
    assert f"p = {evidence['p']:.6f}\nreported: {evidence['estimate']:.4f}, p = {evidence['p']:.6f}\n" in printed


def test_the_page_reads_no_more_than_it_says() -> None:
    """JSON, NumPy and SciPy, and nothing of saeprobe."""
    imported = re.findall(r"^(?:import|from) (\w+)", "".join(blocks("python")), flags=re.MULTILINE)
    assert imported == ["json", "pathlib", "numpy", "scipy"]

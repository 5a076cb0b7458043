"""Each case of a parametrised probe decides a claim of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import SUPPORTED, Go

from saeprobe.gate import decide_release, render
from saeprobe.gate.article import Article, Citation
from saeprobe.report import read_report

ON = "[llama70b-as-published]"
CASES = """
import pytest

@pytest.mark.parametrize("style", ["novice", "twin"])
@claim("A {style} prompt has the higher rank of {features}.", id="rank.by", source="table 1")
def test_by(ranks, style):
    assert effective_rank(ranks[style]) > effective_rank(ranks["expert"])
"""
AT = """
import pytest

class Layer:
    pass

@pytest.fixture(params=[0.5, Layer()])
def at(request):
    return request.param

@pytest.mark.parametrize(("low", "high"), [(851, True), (-2, None)])
@claim("{low} to {high} at {at}.", id="rank.at", source="table 1")
def test_at(ranks, at, low, high):
    assert effective_rank(ranks["novice"]) > effective_rank(ranks["expert"])
"""


def test_each_case_has_an_id_a_sentence_and_a_verdict(go: Go) -> None:
    """A case that fails is not covered by the others, and braces that name no parameter stay as they are."""
    run = go(probes=CASES)
    assert run.code == 1
    assert run.verdicts == {"rank.by.novice": "supported", "rank.by.twin": "inconclusive"}
    assert run.report["planned"] == [f"rank.by.novice{ON}", f"rank.by.twin{ON}"]
    assert [claim["sentence"] for claim in run.report["claims"]] == [
        "A novice prompt has the higher rank of {features}.",
        "A twin prompt has the higher rank of {features}.",
    ]


def test_parameters_of_fixtures_and_several_at_once_make_cases(go: Go) -> None:
    """A value without a text of its own is named by its case, in the sentence and in the id."""
    run = go(probes=AT)
    assert {claim["id"]: claim["sentence"] for claim in run.report["claims"]} == {
        "rank.at.0.5-851-true": "851 to True at 0.5.",
        "rank.at.0.5-2-none": "-2 to 0.5--2-None at 0.5.",
        "rank.at.at1-851-true": "851 to True at at1-851-True.",
        "rank.at.at1-2-none": "-2 to at1--2-None at at1--2-None.",
    }


def test_a_sentence_that_names_no_parameter_has_the_case_at_its_end(go: Go) -> None:
    """Two claims never share a sentence."""
    run = go(probes=CASES.replace("A {style} prompt", "One prompt"))
    assert [claim["sentence"] for claim in run.report["claims"]] == [
        f"One prompt has the higher rank of {{features}}. [{style}]" for style in ("novice", "twin")
    ]


def test_a_case_in_chinese_is_shown_as_written(go: Go) -> None:
    """Its id has what of the words is ASCII, accents left out, not the escapes that pytest writes."""
    run = go(
        probes=CASES.replace('"novice", "twin"', 'pytest.param("novice", id="新手 Café")').replace("A {style}", "A")
    )
    assert {claim["id"]: claim["sentence"] for claim in run.report["claims"]} == {
        "rank.by.cafe": "A prompt has the higher rank of {features}. [新手 Café]"
    }


def test_a_case_of_which_nothing_can_stand_in_an_id_is_refused(go: Go) -> None:
    """It would pass for the claim as a whole."""
    run = go(probes=CASES.replace('"novice", "twin"', 'pytest.param("novice", id="新手")'))
    assert run.code == 1
    assert "nothing can stand in the id of a claim; name the cases, parametrize(..., ids=[...])" in run.out


def test_a_case_without_a_name_fills_the_sentence(go: Go) -> None:
    """A hidden case is the claim itself."""
    run = go(probes=CASES.replace('"novice", "twin"', 'pytest.param("novice", id=pytest.HIDDEN_PARAM)'))
    assert {claim["id"]: claim["sentence"] for claim in run.report["claims"]} == {
        "rank.by": "A novice prompt has the higher rank of {features}."
    }


def test_an_empty_list_of_cases_is_the_claim_that_did_not_run(go: Go) -> None:
    """Pytest makes one item of it, which it skips."""
    run = go(probes=CASES.replace('"novice", "twin"', ""))
    assert run.report["planned"] == [f"rank.by{ON}"]
    assert run.verdicts == {"rank.by": "not run"}


def test_a_capture_named_as_what_pytest_keeps_for_itself_is_refused(go: Go) -> None:
    """Its probe would get pytest's own object in its place."""
    run = go(probes="request = ranks\n" + SUPPORTED.replace("ranks", "request"))
    assert run.verdicts == {"rank.up": "broken"}
    assert run.lines("broken: test_probes.py: 'request' is a name of pytest or saeprobe itself; rename this capture")


@pytest.mark.parametrize(
    ("probes", "said"),
    [
        (CASES.replace('"novice", "twin"', '"+", "-"'), "the cases [+] of test_probes.py::test_by and [-] of "),
        (CASES + SUPPORTED.replace("rank.up", "rank.by.twin"), "two claims have the id 'rank.by.twin': "),
    ],
    ids=["cases", "another"],
)
def test_cases_with_one_id_are_refused(go: Go, probes: str, said: str) -> None:
    """Records of two claims would be taken for those of one."""
    run = go(probes=probes)
    assert run.code == 1
    assert not {"rank.by", "rank.by.twin"} & run.verdicts.keys()
    assert run.lines(said)


def test_a_declaration_is_held_against_each_case(go: Go) -> None:
    """What a claim says of a subject is said of its cases, whose claim it is."""
    known = 'not_reproduced={"llama70b-as-published": refuted("known")}'
    run = go(probes=CASES.replace('source="table 1"', f'source="table 1", {known}'))
    assert run.code == 1
    assert run.verdicts == {"rank.by.novice": "supported", "rank.by.twin": "inconclusive"}


def test_an_article_cites_a_case(go: Go) -> None:
    """The id of the claim alone names no probe; the gate says which ids there are."""
    report = read_report(go(probes=CASES).folder / "reports" / "report.json")

    def decided(name: str) -> tuple[str, str]:
        cited = Citation(id=name, subject=None)
        release = decide_release(Article(path=Path("a.md"), title="A", language="en", claims=(cited,)), report)
        return release.decision, render(release)

    assert decided("rank.by.novice")[0] == "release"
    assert decided("rank.by.twin")[0] == "hold"
    assert decided("rank.by")[0] == "cannot tell"
    assert "there are rank.by.novice, rank.by.twin" in decided("rank.by")[1]

"""Controls, units, rules, approvals and what is still needed: what the page says of how a verdict was reached."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from report_samples import changed, document_of, greater, rival, sample

from saeprobe.claims import RULES, WORDS, Claim, Verdict, published
from saeprobe.evidence import Answer, Evidence, Needed, UnitValue
from saeprobe.report import probe_to_json, shape
from saeprobe.report.overview import rivals, unit_sides
from saeprobe.report.page import LANGUAGES, render, say
from saeprobe.report.pictures import forest
from saeprobe.report.shape import Document

PLAIN = greater(sample("novice", 14.0), sample("expert", 12.0))


def text_of(page: str) -> str:
    """The text of a page without its elements and the blanks between them."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<main>")[2]).split())


def reported(*evidence: Evidence) -> Document:
    """Put this evidence into a report of one claim."""
    record = probe_to_json(
        claim=Claim(id="a.b", sentence="s", source="s"),
        nodeid="n",
        subject="sparrow",
        verdict=Verdict(word="supported", reason=""),
        evidence=evidence,
        published=[],
        duration_s=0,
    )
    return document_of([record])


def one_of(evidence: Evidence) -> shape.Evidence:
    """Give this evidence as a report has it, behind what its controls compared."""
    return reported(evidence).evidence[-1]


def shown(*evidence: Evidence) -> str:
    """Show this evidence on the page of one claim, as text."""
    return text_of(render(reported(*evidence)))


@pytest.mark.parametrize(
    ("answer", "p", "standing", "outcome"),
    [
        ("withstood", 0.049, "withstood", "supported"),
        ("explains", 0.4, "explains", "explained"),
        ("cannot tell", 0.4, "open", "inconclusive"),
        ("cannot tell", None, "not-run", "inconclusive"),
    ],
)
def test_a_control_stands_as_it_answered(answer: Answer, p: float | None, standing: str, outcome: str) -> None:
    """The page judges nothing anew; one that could not be run is called so."""
    control = replace(rival("length", 0.9, p), answer=answer)
    (one,) = rivals(one_of(replace(PLAIN, controls=(control,))))
    assert (one.standing, one.outcome) == (standing, outcome)


def test_without_an_effect_of_its_own_a_claim_has_no_control_that_it_withstood() -> None:
    """A rival that shows the whole effect is not passed as withstood only because the claim itself is open."""
    alone = rival("injection", 0.99, 0.001)
    piece = one_of(replace(PLAIN, outcome="inconclusive", p=0.07, controls=(alone,)))
    assert [one.standing for one in rivals(piece)] == ["not-judged"]


def test_the_table_of_controls_says_what_each_asks_and_finds() -> None:
    """Left or alone, share, p and what becomes of it, in the order declared; the comparison it made is there too."""
    own = replace(PLAIN, statement="l0 of novice > l0 of expert, in a random model", reason="nothing is told apart")
    controls = (
        rival("length", 0.95, 0.004),
        rival("random-model", 0.15, 1 / 21, evidence=own),
        rival("wording", None, None),
    )
    text = shown(replace(PLAIN, controls=controls))
    for said in (
        "length what it finds left 1.9 [1.4, 2.4] share of the effect left 95 % p 0.004 verdict on it withstood Is it",
        "Is it there among prompts of equal length? what the control for length did, in words",
        "random-model what it finds left 0.3 [−0.2, 0.8] share of the effect left 15 % p 0.048 verdict on it withstood",
        "The comparison that it made l0 of novice &gt; l0 of expert, in a random model supports it . nothing is told",
        "wording what it finds nothing share of the effect left – p – verdict on it could not be run",
    ):
        assert said in text


def test_the_forest_draws_what_is_on_the_axis_of_the_effect() -> None:
    """What is left under each, and nothing of a control that could not be run."""
    controls = (
        rival("length", 0.95, 0.004),
        rival("wording", 90.0, None),
        rival("random-sae", 0.15, 0.4),
    )
    picture = forest(one_of(replace(PLAIN, controls=controls)), reported(PLAIN))
    assert picture is not None
    assert [(row.control and row.control.name) for row in picture.rows] == [
        None,
        "length",
        "random-sae",
    ]
    assert picture.axis.high < 10
    assert "adjusted for random-sae" in shown(replace(PLAIN, controls=controls))


def test_a_control_that_could_not_be_run_alone_gives_no_forest() -> None:
    """There is nothing to hold against zero."""
    bare = replace(PLAIN, interval=None, controls=(rival("wording", None, None),))
    assert forest(one_of(bare), reported(bare)) is None


def test_units_are_listed_by_side_with_their_values() -> None:
    """In the order of the test, with the wording in one line."""
    units = (
        UnitValue(side="novice", unit="Explain\n {topic}.", value=14.25),
        UnitValue(side="expert", unit="b", value=-3.0),
        UnitValue(side="novice", unit="c" * 91, value=0.5),
    )
    text = shown(replace(PLAIN, unit_values=units, rule="by hand: <so>"))
    assert "The 3 units that the test was made on novice templates 14.2 Explain {topic}. 0.5 " + "c" * 89 + "…" in text
    assert "expert templates −3 b" in text
    assert "How it is decided by hand: &lt;so&gt;" in text


def test_crossed_units_are_named_by_what_they_are() -> None:
    """Templates of either side, then the topics' differences; paired templates stand with the topics."""
    units = tuple(UnitValue(side=side, unit="x", value=1.0) for side in ("novice", "expert", "novice - expert"))
    crossed = replace(PLAIN, units="templates and topics", unit_values=units)
    held = unit_sides(one_of(crossed))
    assert [(one.side, one.what) for one in held] == [
        ("novice", "templates"),
        ("expert", "templates"),
        ("novice - expert", "topics"),
    ]
    assert "novice - expert topics 1 x" in shown(crossed)
    paired = replace(PLAIN, units="templates and topics, paired", unit_values=units[2:])
    assert [one.what for one in unit_sides(one_of(paired))] == ["templates and topics, paired"]


def test_of_very_many_units_some_are_left_to_the_json() -> None:
    """120 a side are listed, and how many more there are."""
    for count, left in ((120, 0), (121, 1)):
        units = tuple(UnitValue(side="novice", unit=f"topic {number}", value=1.0) for number in range(count))
        (held,) = unit_sides(one_of(replace(PLAIN, unit_values=units)))
        assert (len(held.lines), held.left_out) == (120, left)
    assert "Further units in the JSON report: 1." in shown(replace(PLAIN, unit_values=units))


def test_margin_and_number_tried_and_what_is_needed_are_facts() -> None:
    """Each where there is one."""
    full = replace(
        PLAIN, margin=0.5, tried=1280, needed=Needed(units="templates a style", have=3, wanted=9, prompts=216)
    )
    text = shown(full)
    assert "Margin 0.5 features Picked among 1,280" in text
    assert "Would decide it 9 templates a style, of which 3 are here (216 prompts in all)" in text
    none = replace(full, needed=Needed(units="topics", have=3, wanted=None))
    assert "Would decide it no number of topics within reach (3 here)" in shown(none)
    bare = shown(PLAIN)
    for word in ("stat.margin", "stat.tried", "needed.title"):
        assert f" {say(word, 'en')} " not in bare


def test_an_excess_over_a_margin_is_called_so() -> None:
    """Its estimate is no difference of means."""
    text = shown(replace(PLAIN, kind="at least"))
    assert f"Excess over the margin {PLAIN.estimate:.2f} [" in text
    assert "Difference of means" not in text
    assert "Excess over the margin against zero" in text


def test_parts_have_their_units_and_controls_and_tell_one_rule_once() -> None:
    """A rule that all parts share is not repeated; another is."""
    part = replace(PLAIN, rule="rule one", controls=(rival("length", 0.95, 0.004),))
    whole = replace(
        PLAIN,
        kind="every",
        samples=(),
        unit_values=(),
        rule="",
        controls=(),
        parts=(part, part, replace(part, rule="rule two")),
    )
    text = shown(whole)
    assert (text.count("rule one"), text.count("rule two")) == (1, 1)
    assert text.count("length withstood : left 1.9 [1.4, 2.4] (95 %), p = 0.004. what the control for length did") == 3
    means = " · ".join(f"{unit.value:.3g}" for unit in part.unit_values if unit.side == "novice")
    assert text.count(f"novice, templates: {means}") == 3


def test_an_approval_stands_with_its_values_and_what_changed(document: Document) -> None:
    """Approved, measured, noise and agreement by value; by whom, when and why; what changed since."""
    text = text_of(render(document))
    for said in (
        "novice l0, features approved 11.8 measured here 14.2 noise ± 0.612 8 templates, paired agreement moved",
        "expert l0, features approved 11.6 measured here 11.6 noise ± 1.16e−05 rounding agreement stands",
        "guru l0, features approved 13.1 measured here not measured noise agreement not compared",
        "Approved by Ada L., 2026-11-20, supported : read against table 2 &lt;script&gt;",
        "Changed since SAE (hash 12ab34cd -&gt; 56ef7890), transformers 5.23.0 -&gt; 5.24.1, commit",
    ):
        assert said in text
    assert text.count("Approved and measured") == 1

    def unchanged(it: Any) -> None:
        (held,) = [probe["baseline"] for claim in it["claims"] for probe in claim["probes"] if probe["baseline"]]
        held["changed"] = []

    assert "Changed since nothing that is recorded" in text_of(render(changed(document, unchanged)))


def test_published_rows_tell_what_their_tolerance_is_made_of(document: Document) -> None:
    """Printed precision, sampling error and reach of rounding apart; a source only where it is not the claim's."""
    text = text_of(render(document))
    assert "tolerance ± 0.75 printed precision 0.05 sampling error 0.7 agreement agrees" in text
    assert "another table" not in text
    near = {"reach": 0.25, "answer": "rounding decides"}
    text = text_of(render(changed(document, lambda it: it["claims"][0]["probes"][0]["published"][0].update(near))))
    assert "sampling error 0.7 reach of rounding 0.25 agreement rounding decides" in text
    without = {"tolerance": None, "tolerance_from": "2 templates", "rounding": None, "sampling": None, "reach": None}
    without["answer"] = "cannot be compared"
    text = text_of(render(changed(document, lambda it: it["claims"][0]["probes"][0]["published"][0].update(without))))
    assert "tolerance 2 templates agreement not compared" in text
    other = {"source": "another table", "rounding": None, "sampling": None}
    text = text_of(render(changed(document, lambda it: it["claims"][0]["probes"][0]["published"][0].update(other))))
    assert "published 13.9 n = 50 another table" in text
    assert "tolerance ± 0.75 printed precision 0.05 + sampling error 0.7 of both means agreement" in text


def test_a_number_has_the_source_that_the_claim_names_for_it() -> None:
    """That of the published values goes before that of the sentence."""
    numbers = {"sparrow": published(x=1.5, unit="f", source="table 7")}
    record = probe_to_json(
        claim=Claim(id="a.b", sentence="s", source="page 1", published=numbers),
        nodeid="n",
        subject="sparrow",
        verdict=Verdict(word="broken", reason=""),
        evidence=[],
        published=[],
        duration_s=0,
    )
    assert [row["source"] for row in record["published"]] == ["table 7"]


def test_every_verdict_has_a_rule_in_the_report_and_on_the_page(document: Document) -> None:
    """One place says how each word is decided."""
    assert tuple(RULES) == WORDS
    assert document.rules == RULES
    text = text_of(render(document))
    for rule in RULES.values():
        assert f"How it is decided {rule}" in text


def test_both_languages_ask_the_questions_of_the_controls(document: Document) -> None:
    """And name what comes of them."""
    for language in LANGUAGES:
        text = text_of(render(document, language=language)).replace("&#39;", "'")
        for key in ("asks.length", "asks.injection", "standing.explains", "baseline.caption", "rule", "control.share"):
            assert say(key, language) in text


def test_prompts_that_a_control_read_are_held_once_too() -> None:
    """The comparison inside a control names its prompts by number like any other."""
    own = replace(PLAIN, controls=(rival("random-model", 0.1, 0.5, evidence=PLAIN),))
    document = reported(own)
    assert len(document.prompts) == 72
    assert [sample.prompts for sample in document.samples] == [tuple(range(36)), tuple(range(36, 72))]
    assert document.evidence[1].controls[0].evidence == 0

"""The report says what chance alone would confirm, and which confirmations lie not beyond it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from report_samples import document_of, greater, record, sample

from saeprobe.claims import Claim, Verdict, Word
from saeprobe.evidence import ControlResult, UnitValue
from saeprobe.report import ProbeRecord, probe_to_json
from saeprobe.report.page import render


def decided(name: str, p: float, *, word: Word = "supported", scope: str = "these 8 + 8 templates") -> ProbeRecord:
    """A probe whose only comparison has this p in the direction of its sentence, and near copies."""
    evidence = greater(sample("novice", 3.0), sample("expert", 1.0))
    return probe_to_json(
        claim=Claim(id=name, sentence=f"Sentence {name}.", source="here"),
        nodeid=f"t.py::{name}[sparrow]",
        subject="sparrow",
        verdict=Verdict(word=word, reason="because", scope=scope),
        evidence=[replace(evidence, p=2 * p, one_sided=p, controls=(), copies=(("Say <it>.", "Please say it!"),))],
        published=(),
        duration_s=0.1,
    )


def test_q_and_chance_stand_in_the_report_and_on_the_page() -> None:
    """Of 3 tested claims 0.01 and 0.04 become 0.03 and 0.06; a reading and another subject are none of them."""
    document = document_of(
        [decided("a", 0.01), decided("b", 0.04), decided("c", 0.5, word="inconclusive"), record("read"), record("d")]
    )
    probes = {claim.id: claim.probes[0] for claim in document.claims}
    assert [(probes[name].p, probes[name].q) for name in "abc"] == [(0.01, 0.03), (0.04, 0.06), (0.5, None)]
    assert (probes["read"].p, probes["read"].q) == (None, None)
    (many,) = document.chance
    assert (many.subject, many.claims, many.confirmed, many.beyond, many.as_sure) == ("sparrow", 3, 2, 1, 3)
    page = re.sub(r"<script.*?</script>", "", render(document), flags=re.DOTALL)
    assert "On sparrow 3 claims were decided by a test." in page
    assert "1 of 2 confirmations have a q below alpha" in page
    assert page.count("not beyond what many claims would bring") == 1
    assert "<q>Say &lt;it&gt;.</q>, <q>Please say it!</q>" in page


def test_a_scope_that_fixes_the_wordings_stands_on_the_first_line() -> None:
    """It stands before the reason, and once."""
    fixed, free = (
        render(document_of([decided("a", 0.01, scope=scope)]))
        for scope in ("this wording only, over 8 topics", "these 8 + 8 templates")
    )
    assert re.search(r'<p class="reason">.*<b>this wording only, over 8 topics</b>\. because</p>', fixed)
    assert '<p class="reason">because</p>' in free
    assert free.count("these 8 + 8 templates</p>") == fixed.count("this wording only, over 8 topics</b>") == 1


def shown(**given: Any) -> str:
    """The page of one comparison, without its script and style."""
    evidence = replace(greater(sample("novice", 3.0), sample("expert", 1.0)), **({"controls": ()} | given))
    probe = probe_to_json(
        claim=Claim(id="c", sentence="It holds.", source="here"),
        nodeid="t.py::c",
        subject="sparrow",
        verdict=Verdict(word="supported", reason="because"),
        evidence=[evidence],
        published=(),
        duration_s=0.1,
    )
    return re.sub(r"<(script|style).*?</\1>", "", render(document_of([probe])), flags=re.DOTALL)


def test_the_two_units_of_a_pair_are_numbered_alike() -> None:
    """The first of one side is the partner of the second of the other."""
    units = tuple(
        UnitValue(side=side, unit=f"{side} {at}", value=1.0) for side in ("novice", "expert") for at in (1, 2)
    )
    page = shown(unit_values=units, pairs=((0, 3),))
    assert all(f"</b>1. {name}" in page for name in ("novice 1", "expert 2"))
    assert all(f"</b>{name}" in page for name in ("novice 2", "expert 1"))
    assert "their wordings share a frame" in page
    assert "their wordings share a frame" not in shown(unit_values=units)


def test_what_the_model_wrote_has_a_heading_only_where_it_wrote() -> None:
    """A comparison without steering has no continuations."""
    assert "What the model wrote" not in shown()
    assert "What the model wrote" in shown(continuations=(("steered", "Buy", "a bridge"),))


def test_the_long_rule_of_a_control_is_folded() -> None:
    """A short one stands in the open."""
    control = ControlResult(name="length", answer="withstood", estimate=1.0, interval=None, p=0.01, detail="so")
    short, long = (shown(controls=(replace(control, rule=rule),)) for rule in ("It is short.", "It is long. " * 40))
    assert re.search(r'<p class="rule">.{0,80}It is short', short)
    assert re.search(r"<details[^>]*><summary>.{0,80}</summary><p class=\"rule\">It is long", long)

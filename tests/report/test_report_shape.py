"""The dataclasses are the schema: what they refuse, what they give back, and the JSON Schema made from them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from importlib import resources
from typing import Any, get_args

import msgspec
import pytest
from report_samples import changed

from saeprobe.claims import WORDS, Control
from saeprobe.evidence import Answer, ControlResult, Evidence, EvidenceOutcome, Kind, Sample
from saeprobe.evidence.printed import PublishedComparison
from saeprobe.prompts import Prompt
from saeprobe.report import shape
from saeprobe.report.rebuilt import samples_at
from saeprobe.report.shape import Document, schema_text

Change = Callable[[Any], object]


def defined() -> dict[str, Any]:
    """Give the parts of the JSON Schema by name."""
    return json.loads(schema_text())["$defs"]


def test_the_schema_that_ships_is_made_from_the_dataclasses() -> None:
    """`schema.json` is what is generated, byte for byte."""
    held = resources.files("saeprobe.report").joinpath("schema.json").read_text(encoding="utf-8")
    assert held == schema_text(), "write it again: python -m saeprobe.report.shape > saeprobe/report/schema.json"
    assert json.loads(held)["$id"] == shape.SCHEMA


def test_the_schema_knows_every_word() -> None:
    """Verdicts, outcomes, kinds and controls of the schema are those of the code; a key is required or refused."""
    of = defined()
    assert set(of["Probe"]["properties"]["verdict"]["enum"]) == set(WORDS)
    assert set(of["Document"]["properties"]["counts"]["propertyNames"]["enum"]) == set(WORDS)
    assert set(of["Evidence"]["properties"]["outcome"]["enum"]) == set(get_args(EvidenceOutcome))
    assert set(of["Evidence"]["properties"]["kind"]["enum"]) == set(get_args(Kind))
    assert set(of["Control"]["properties"]["name"]["enum"]) == set(get_args(Control))
    assert set(of["Control"]["properties"]["answer"]["enum"]) == set(get_args(Answer))
    for part in (part for part in of.values() if "properties" in part):
        assert part["required"] == list(part["properties"])
        assert part["additionalProperties"] is False


@pytest.mark.parametrize(
    ("source", "reported", "more"),
    [
        (Evidence, shape.Evidence, set()),
        (Sample, shape.Sample, set()),
        (ControlResult, shape.Control, set()),
        (Prompt, shape.Prompts, set()),
        (PublishedComparison, shape.Published, {"n", "source"}),
    ],
)
def test_the_report_has_every_field_of_what_it_reports(source: Any, reported: Any, more: set[str]) -> None:
    """A field added to one of the two alone is found here, not by a user."""
    first, second = ({one.name for one in dataclasses.fields(it)} for it in (source, reported))
    # the scope says of which run a sample is, pairs and copies what the others do, and its tolerance has the spread
    left = {"run", "frame", "distinct", "spreads", "rarefied"}
    assert second == (first - left) | more


def needs(held: Any) -> dict[str, Any]:
    """Give what would decide the first evidence that says so."""
    return next(piece["needed"] for piece in held["evidence"] if piece["needed"] is not None)


def checked(held: Any) -> dict[str, Any]:
    """Give the first layer that was checked of the first subject."""
    return held["subjects"][0]["instrument"]["layers"][0]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda it: it.pop("planned"), "missing required field `planned`"),
        (lambda it: it["claims"][0]["probes"][0].update(verdict="passed"), r"'passed' - at `\$\.claims\[0\]"),
        (lambda it: it["evidence"][0].update(p=1.5), r"`float` <= 1.0 - at `\$\.evidence\[0\]\.p`"),
        (lambda it: it["evidence"][0].update(interval=[1]), "length 2"),
        (
            lambda it: it["evidence"][0].update(alpha=None, estimate="1"),
            r"got `str` - at `\$\.evidence\[0\]\.estimate`",
        ),
        (lambda it: it["samples"][0].update(mean=None), r"got `null` - at `\$\.samples\[0\]\.mean`"),
        (lambda it: it["samples"][0]["values"].insert(0, None), r"got `null` - at `\$\.samples\[0\]\.values\[0\]`"),
        (lambda it: it["run"].update(alpha=0), "> 0.0"),
        (lambda it: it["claims"][0].update(probes=[]), "length >= 1"),
        (lambda it: it.update(generated="yesterday"), "matching regex"),
        (lambda it: it.update(schema_version="2.0"), "'2.0'"),
        (lambda it: it["counts"].update(supported=3), "counts 3 probes as 'supported' and holds 2"),
        (lambda it: it["counts"].pop("refuted"), "does not count the probes that are 'refuted'"),
        (lambda it: needs(it).update(prompts=-1), "needs fewer than 0 units or prompts"),
        (lambda it: needs(it).update(wanted=-1), "needs fewer than 0 units or prompts"),
        (lambda it: checked(it).update(tokens=0), "checks 'sparrow' on fewer than 1 token"),
        (lambda it: checked(it).update(l0=-1), "checks 'sparrow' .* finds fewer than 0 features"),
        (lambda it: it["claims"].append(it["claims"][0]), "counts 2 probes as 'supported' and holds 3"),
        (
            lambda it: (it["claims"].append(it["claims"][0]), it["counts"].update(supported=3, drifted=3)),
            r"holds the claim 'day1\.novice-more-than-expert' twice",
        ),
        (lambda it: it["samples"][0]["prompts"].pop(), "'novice' has 36 values for 35 prompts"),
        (lambda it: it["prompts"].update(text=[], style=[], topic=[], template=[]), "names a prompt beyond the 0"),
        (lambda it: it["prompts"]["text"].pop(), "Prompts has columns of different lengths: 143, 144, 144, 144"),
        (lambda it: it["evidence"][0]["unit_values"]["value"].pop(), "UnitValues has columns of different lengths"),
        (lambda it: it["evidence"][0]["patterns"]["fires"].append("1"), "Patterns has columns of different lengths"),
        (lambda it: it["evidence"][0].update(samples=[999]), "names a sample beyond"),
        (lambda it: it["claims"][0]["probes"][0].update(evidence=[999]), "names a piece of evidence beyond"),
        (lambda it: it["evidence"][2].update(parts=[2]), "evidence 2 names a piece that does not stand before it"),
        (lambda it: it["evidence"][1]["controls"][0].update(evidence=999), "evidence 1 names a piece that does not"),
    ],
)
def test_a_document_out_of_shape_is_refused(document: Document, change: Change, problem: str) -> None:
    """Each departure from the schema, and each contradiction within, is named with its place."""
    with pytest.raises(msgspec.ValidationError, match=problem):
        changed(document, change)


def test_a_walk_goes_through_the_parts_and_not_through_what_controls_compared(document: Document) -> None:
    """Of a whole these are the samples of its three parts; of a comparison with controls only its own two."""
    every, main = document.claims[1].probes[0], document.claims[0].probes[0]
    assert [sample.label for sample in samples_at(document, main.evidence)] == ["novice", "expert"]
    assert [sample.label for sample in samples_at(document, every.evidence)] == [
        *("novice", "expert", "novice", "standard", "novice", "guru"),
    ]

"""Building the document: plain types, prompts held once, claims in the planned order."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any, cast, get_args, get_type_hints

import numpy as np
import pytest

from saeprobe.claims import WORDS, Claim, Control, Verdict, published
from saeprobe.evidence.evidence import (
    ControlResult,
    Evidence,
    EvidenceOutcome,
    Expects,
    Kind,
    Needed,
    Sample,
    UnitValue,
)
from saeprobe.prompts import Prompt
from saeprobe.report.document import (
    BaselineJson,
    BaselineRowJson,
    ComparisonJson,
    ControlJson,
    DifferenceJson,
    Document,
    EvidenceJson,
    InstrumentJson,
    LayerFitJson,
    NeededJson,
    ProbeJson,
    ProbeRecord,
    PromptJson,
    PublishedJson,
    RunJson,
    SampleJson,
    SubjectJson,
    UnitJson,
    build_document,
    evidence_to_json,
    instrument_to_json,
    plain,
    probe_to_json,
)
from saeprobe.report.files import schema
from saeprobe.store.instrument import InstrumentCheck, LayerFit
from saeprobe.verdicts.baseline import BaselineRow
from saeprobe.verdicts.deciding import PublishedComparison

ADDED = {
    "sample": {"place", "near_threshold", "near_moves"},
    "subject": {"protocol_of", "differs", "instrument"},
    "evidence": {"rule", "unit_values", "patterns", "distances", "margin", "tried", "needed"},
    "control": {"expects", "share", "evidence"},
    "published": {"rounding", "sampling", "source"},
    "probe": {"baseline"},
}
"""What versions 1.1 to 1.3 of the schema added; reports of older versions do without."""
NO_FIELD = {"instrument": {"broken"}, "baseline_row": {"agrees"}, "published": {"n", "source"}}
"""Properties, not fields, and what comes from the claim."""

TIDES = Prompt(text="Explain tides.", style="standard", topic="tides", template="Explain {topic}.")
RAIN = Prompt(text="Explain rain.", style="standard", topic="rain", template="Explain {topic}.")
CLAIM = Claim(
    id="a.b", sentence="A is b.", source="here", published={"sparrow": published(x=1.5, y=2.0, unit="f", n=9)}
)


def one(mean: float = 1.0, *, values: tuple[float, ...] = (0.5, 1.5)) -> Evidence:
    """Evidence of one sample on two prompts."""
    sample = Sample(label="x", measure="l0", unit="f", mean=mean, n=2, values=values, prompts=(TIDES, RAIN))
    return Evidence(
        kind="greater", statement="x > y", outcome="supported", reason="so", scope="here", unit="f", samples=(sample,)
    )


def probe(claim: Claim = CLAIM, *, nodeid: str = "t.py::a", subject: str = "sparrow", evidence: int = 1) -> ProbeRecord:
    """A supported probe."""
    return probe_to_json(
        claim=claim,
        nodeid=nodeid,
        subject=subject,
        verdict=Verdict(word="supported", reason="so"),
        evidence=[one()] * evidence,
        published=[],
        duration_s=0.25,
    )


def types_within(value: object) -> set[type]:
    """The exact types of everything inside `value`."""
    if isinstance(value, dict):
        inner = [types_within(item) for pair in cast("dict[object, object]", value).items() for item in pair]
    elif isinstance(value, list):
        inner = [types_within(item) for item in cast("list[object]", value)]
    else:
        inner = []
    return {type(value)}.union(*inner)


def test_numpy_numbers_become_plain_ones() -> None:
    """A worker's record holds only Python's own types, also where numpy's went in."""
    given = {
        "f": np.float32(0.5),
        "i": np.int64(3),
        "b": np.bool_(True),
        "a": np.array([1.0, 2.0]),
        "t": (np.str_("s"),),
    }

    made = plain(given, "it")

    assert made == {"f": 0.5, "i": 3, "b": True, "a": [1.0, 2.0], "t": ["s"]}
    assert types_within(made) == {dict, list, str, float, int, bool}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_a_number_that_json_lacks_is_refused_by_name(bad: float) -> None:
    """NaN and infinities raise an error that says where they stood."""
    with pytest.raises(ValueError, match=r"evidence 'x > y'\.samples\[0\]\.values\[1\] is -?(nan|inf)"):
        evidence_to_json(one(values=(0.5, bad)))


def test_an_object_is_refused() -> None:
    """What JSON cannot hold raises, and is not turned into its repr."""
    with pytest.raises(TypeError, match="a report holds strings"):
        plain({"x": object()}, "it")
    with pytest.raises(TypeError, match="has the key 1"):
        plain({1: "x"}, "it")


def test_evidence_travels_with_its_prompts_in_full() -> None:
    """Evidence is JSON text and back again unchanged, with its prompts beside the values."""
    made = evidence_to_json(one())

    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert made["samples"][0]["values"] == [0.5, 1.5]
    assert [prompt["topic"] for prompt in made["samples"][0]["prompts"]] == ["tides", "rain"]


def test_prompts_are_held_once(make_document: Callable[[list[ProbeRecord]], Document]) -> None:
    """Two probes on the same two prompts give a table of two, named by index."""
    document = make_document([probe(evidence=2), probe(nodeid="t.py::b", subject="finch")])

    assert [prompt["text"] for prompt in document["prompts"]] == ["Explain tides.", "Explain rain."]
    samples = [piece["samples"][0] for it in document["claims"][0]["probes"] for piece in it["evidence"]]
    assert [sample["prompts"] for sample in samples] == [[0, 1]] * 3


def test_published_numbers_are_shown_though_nothing_was_measured() -> None:
    """A printed value that no comparison covers is listed as not measured, with its n."""
    compared: ComparisonJson = {
        "label": "x",
        "value": 1.5,
        "unit": "f",
        "tolerance": 0.1,
        "tolerance_from": "stated",
        "measured": 1.55,
        "agrees": True,
        "rounding": 0.05,
        "sampling": 0.05,
    }

    record = probe_to_json(
        claim=CLAIM,
        nodeid="n",
        subject="sparrow",
        verdict=Verdict(word="supported", reason=""),
        evidence=[],
        published=[compared],
        duration_s=0,
    )

    rows = record["published"]
    assert [(row["label"], row["value"], row["measured"], row["agrees"], row["n"]) for row in rows] == [
        ("x", 1.5, 1.55, True, 9),
        ("y", 2.0, None, None, 9),
    ]
    assert [(row["rounding"], row["sampling"], row["source"]) for row in rows] == [
        (0.05, 0.05, "here"),
        (None, None, "here"),
    ]


def test_claims_stand_in_the_planned_order_however_workers_finish(records: list[ProbeRecord]) -> None:
    """Records that arrive in reverse make the same document."""
    planned = [f"{record['claim']['id']}[{record['subject']}]" for record in records]

    def build(given: list[ProbeRecord]) -> Document:
        run = cast("RunJson", {})
        return build_document(probes=given, run=run, subjects=[], planned=planned, generated="2026-01-01T00:00:00Z")

    assert build(records[::-1]) == build(records)
    assert [claim["id"] for claim in build(records)["claims"]][:2] == [
        "day1.novice-more-than-expert",
        "day1.novice-most",
    ]


def test_every_verdict_is_counted(document: Document) -> None:
    """The counts are those of the eleven probes, by word."""
    assert document["counts"] == {
        "supported": 2,
        "drifted": 2,
        "refuted": 2,
        "inconclusive": 2,
        "unverifiable": 1,
        "broken": 1,
        "not run": 1,
    }
    assert tuple(document["counts"]) == WORDS


def test_one_id_for_two_sentences_is_refused(make_document: Callable[[list[ProbeRecord]], Document]) -> None:
    """Two claims that share an id but not their sentence raise, naming both."""
    other = dataclasses.replace(CLAIM, sentence="A is c.")

    with pytest.raises(ValueError, match=r"'a\.b': 'A is b\.' \(here\) and 'A is c\.'"):
        make_document([probe(), probe(other, nodeid="t.py::b")])


def test_one_probe_reported_twice_is_refused(make_document: Callable[[list[ProbeRecord]], Document]) -> None:
    """Two records of one test raise: their counts would be wrong."""
    with pytest.raises(ValueError, match=r"two records of the probe t\.py::a"):
        make_document([probe(), probe()])


@pytest.mark.parametrize(
    ("dataclass", "shape", "name"),
    [
        (Evidence, EvidenceJson, "evidence"),
        (Sample, SampleJson, "sample"),
        (ControlResult, ControlJson, "control"),
        (Prompt, PromptJson, "prompt"),
        (None, RunJson, "run"),
        (None, SubjectJson, "subject"),
        (None, DifferenceJson, "difference"),
        (InstrumentCheck, InstrumentJson, "instrument"),
        (LayerFit, LayerFitJson, "layer_fit"),
        (UnitValue, UnitJson, "unit"),
        (Needed, NeededJson, "needed"),
        (PublishedComparison, PublishedJson, "published"),
        (BaselineRow, BaselineRowJson, "baseline_row"),
        (None, BaselineJson, "baseline"),
        (None, ProbeJson, "probe"),
    ],
)
def test_dataclass_types_and_schema_name_the_same_keys(dataclass: Any, shape: type, name: str) -> None:
    """A field added to one of the three without the others is found here, not by a user."""
    described = schema()["$defs"][name]

    assert set(described["properties"]) == set(get_type_hints(shape))
    assert set(described["required"]) == set(described["properties"]) - ADDED.get(name, set())
    if dataclass is not None:
        assert {field.name for field in dataclasses.fields(dataclass)} == (
            set(described["properties"]) - NO_FIELD.get(name, set())
        )


def test_the_schema_knows_every_word() -> None:
    """Verdicts, outcomes and kinds of the schema are those of the code."""
    defined = schema()["$defs"]

    assert tuple(defined["word"]["enum"]) == WORDS
    assert tuple(schema()["properties"]["counts"]["required"]) == WORDS
    assert tuple(defined["evidence"]["properties"]["outcome"]["enum"]) == get_args(EvidenceOutcome)
    assert tuple(defined["evidence"]["properties"]["kind"]["enum"]) == get_args(Kind)
    assert tuple(defined["control_name"]["enum"]) == get_args(Control)
    assert tuple(defined["control"]["properties"]["expects"]["enum"]) == get_args(Expects)


def test_an_instrument_check_is_told_with_what_it_means() -> None:
    """The figures, the findings and whether they break the subject's probes; a figure that is no number is refused."""
    fit = LayerFit(
        shift=0, layer="embedding", l0=3.5, variance_explained=0.5, tokens=9, near_threshold=float(np.float32(0.25))
    )
    check = InstrumentCheck(layers=(fit,), l0=None, variance_explained=0.9, source="x", findings=("far",), misfit=None)

    made = instrument_to_json(check)

    assert (made["broken"], made["findings"], made["layers"][0]["l0"]) == (True, ["far"], 3.5)
    assert not instrument_to_json(dataclasses.replace(check, misfit="as published"))["broken"]
    with pytest.raises(ValueError, match=r"instrument\.variance_explained is nan"):
        instrument_to_json(dataclasses.replace(check, variance_explained=math.nan))

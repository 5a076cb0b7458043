"""A report is put together, written whole or not at all, and read with errors that say what to do."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from report_samples import RUN, changed

from saeprobe.claims import WORDS, Claim, Verdict, published
from saeprobe.evidence import Evidence, Sample
from saeprobe.evidence.printed import PublishedComparison
from saeprobe.prompts import Prompt
from saeprobe.report import (
    ProbeRecord,
    ReportError,
    build_document,
    plain,
    planned_name,
    probe_to_json,
    read_report,
    write_report,
)
from saeprobe.report.shape import SCHEMA, Document
from saeprobe.store.instrument import InstrumentCheck, LayerFit

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


def of(
    *evidence: Evidence,
    claim: Claim = CLAIM,
    nodeid: str = "n",
    subject: str = "sparrow",
    published: Sequence[PublishedComparison] = (),
) -> ProbeRecord:
    """The record of a probe with this evidence."""
    return probe_to_json(
        claim=claim,
        nodeid=nodeid,
        subject=subject,
        verdict=Verdict(word="supported", reason="so"),
        evidence=evidence,
        published=published,
        duration_s=0.25,
    )


def types_within(value: object) -> set[type]:
    """The exact types of everything inside `value`."""
    if isinstance(value, dict):
        inner = [types_within(item) for pair in cast("dict[object, object]", value).items() for item in pair]
    elif isinstance(value, list | tuple):
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

    assert json.loads(json.dumps(made)) == {"f": 0.5, "i": 3, "b": True, "a": [1.0, 2.0], "t": ["s"]}
    assert types_within(made) <= {dict, list, tuple, str, float, int, bool}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_a_number_that_json_lacks_is_refused_by_name(bad: float) -> None:
    """NaN and infinities raise an error that says where they stood, also where null would be allowed."""
    with pytest.raises(ValueError, match=r"probe n\.samples\[0\]\.values\[1\] is -?(nan|inf)"):
        of(one(values=(0.5, bad)))
    with pytest.raises(ValueError, match=r"probe n\.table\[0\]\.estimate is -?(nan|inf)"):
        of(dataclasses.replace(one(), estimate=bad))


def test_an_object_is_refused() -> None:
    """What JSON cannot hold raises, and is not turned into its repr."""
    with pytest.raises(TypeError, match="object cannot stand in a report"):
        plain({"x": object()}, "it")


def test_evidence_travels_with_its_prompts_in_full() -> None:
    """A record is JSON text and back again unchanged, with its prompts, samples and evidence in tables of its own."""
    made = of(one())

    assert json.loads(json.dumps(made, allow_nan=False)) == json.loads(json.dumps(made))
    assert types_within(made) <= {dict, list, tuple, str, float, int, bool, type(None)}
    assert list(made["samples"][0]["values"]) == [0.5, 1.5]
    assert list(made["prompts"]["topic"]) == ["tides", "rain"]


def test_everything_is_held_once(make_document: Callable[[list[ProbeRecord]], Document]) -> None:
    """Two probes on the same two prompts, one with a whole and its parts, give tables of two prompts and one sample."""
    whole = dataclasses.replace(one(), kind="every", samples=(), parts=(one(), one()))
    document = make_document([of(one(), one()), of(whole, one(), nodeid="t.py::b", subject="finch")])

    assert document.prompts.text == ("Explain tides.", "Explain rain.")
    assert [sample.prompts for sample in document.samples] == [(0, 1)]
    assert [piece.kind for piece in document.evidence] == ["greater", "every"]
    assert [probe.evidence for probe in document.claims[0].probes] == [(0, 0), (1, 0)]
    assert document.evidence[1].parts == (0, 0)


def test_published_numbers_are_shown_though_nothing_was_measured() -> None:
    """A printed value that no comparison covers is listed as not measured, with its n."""
    compared = PublishedComparison(
        label="x",
        value=1.5,
        unit="f",
        tolerance=0.1,
        tolerance_from="stated",
        measured=1.55,
        answer="agrees",
        rounding=0.05,
        sampling=0.05,
    )

    rows = of(published=[compared])["published"]

    assert [(row["label"], row["value"], row["measured"], row["answer"], row["n"]) for row in rows] == [
        ("x", 1.5, 1.55, "agrees", 9),
        ("y", 2.0, None, None, 9),
    ]
    assert [(row["rounding"], row["sampling"], row["source"]) for row in rows] == [
        (0.05, 0.05, "here"),
        (None, None, "here"),
    ]


def test_claims_stand_in_the_planned_order_however_workers_finish(records: list[ProbeRecord]) -> None:
    """Records that arrive in reverse make the same document."""
    planned = [planned_name(record["claim"]["id"], record["subject"]) for record in records]

    def build(given: list[ProbeRecord]) -> Document:
        return build_document(probes=given, run=RUN, subjects=[], planned=planned, generated="2026-01-01T00:00:00Z")

    assert build(records[::-1]) == build(records)
    assert [claim.id for claim in build(records).claims][:2] == [
        "day1.novice-more-than-expert",
        "day1.novice-most",
    ]


def test_every_verdict_is_counted(document: Document) -> None:
    """The counts are those of the eleven probes, by word."""
    assert document.counts == {
        "supported": 2,
        "explained": 0,
        "drifted": 2,
        "refuted": 2,
        "inconclusive": 2,
        "unverifiable": 1,
        "broken": 1,
        "not run": 1,
    }
    assert tuple(document.counts) == WORDS


def test_one_id_for_two_sentences_is_refused(make_document: Callable[[list[ProbeRecord]], Document]) -> None:
    """Two claims that share an id but not their sentence raise, naming both."""
    other = dataclasses.replace(CLAIM, sentence="A is c.")

    with pytest.raises(ValueError, match=r"'a\.b': 'A is b\.' \(here\) and 'A is c\.'"):
        make_document([of(), of(claim=other, nodeid="t.py::b")])


def test_one_probe_reported_twice_is_refused(make_document: Callable[[list[ProbeRecord]], Document]) -> None:
    """Two records of one test raise: their counts would be wrong."""
    with pytest.raises(ValueError, match="two records of the probe n;"):
        make_document([of(), of()])


def test_an_instrument_check_says_what_it_means() -> None:
    """The figures, the findings and whether they break the subject's probes; a figure that is no number is refused."""
    fit = LayerFit(shift=0, layer="embedding", l0=3.5, variance_explained=0.5, tokens=9, near_threshold=0.25)
    check = InstrumentCheck(broken=True, layers=(fit,), variance_explained=0.9, source="x", findings=("far",))

    made = plain(check, "instrument")

    assert (made["broken"], made["findings"], made["layers"][0]["l0"]) == (True, ("far",), 3.5)
    with pytest.raises(ValueError, match=r"instrument\.variance_explained is nan"):
        plain(dataclasses.replace(check, variance_explained=math.nan), "instrument")


def test_a_report_comes_back_as_it_went(document: Document, tmp_path: Path) -> None:
    """Writing and reading change nothing, the folder is made, and the schema stands at the top of the file."""
    path = tmp_path / "reports" / "report.json"

    write_report(document, path)

    assert read_report(path) == document
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".gitignore", "report.json"]
    held = json.loads(path.read_text(encoding="utf-8"))
    assert list(held)[:2] == ["schema", "schema_version"]
    assert held["schema"] == SCHEMA


def test_the_same_document_gives_the_same_bytes(document: Document, tmp_path: Path) -> None:
    """Two writings are equal byte for byte, readable as text, and end with a line break."""
    write_report(document, tmp_path / "a.json")
    write_report(changed(document, len), tmp_path / "b.json")

    content = (tmp_path / "a.json").read_bytes()
    assert content == (tmp_path / "b.json").read_bytes()
    assert "新手提示词" in content.decode()
    assert content.endswith(b"}\n")


@pytest.mark.parametrize("hidden", ["\ud83d", "\x1b", "\x7f", "\x9b", "\u202e", "\u2028", "\ufeff", "\\\x9b"])
def test_a_hidden_character_survives(
    make_document: Callable[[list[ProbeRecord]], Document], tmp_path: Path, hidden: str
) -> None:
    """Text that a terminal obeys or UTF-8 cannot hold is written as JSON's escape and read back."""
    document = make_document([{**of(), "reason": f"雀 {hidden} here"}])

    write_report(document, tmp_path / "a.json")

    assert f"雀 {json.dumps(hidden)[1:-1]} here".replace("\x7f", r"\u007f") in (tmp_path / "a.json").read_text("utf-8")
    assert read_report(tmp_path / "a.json") == document


def test_what_cannot_be_written_leaves_the_old_report(document: Document, tmp_path: Path) -> None:
    """A NaN raises with its place, a value of the wrong type too, and the report of the run before is still there."""
    path = tmp_path / "report.json"
    write_report(document, path)
    before = path.read_bytes()

    with pytest.raises(ValueError, match=r"report\.run\.duration_s is nan"):
        write_report(dataclasses.replace(document, run=dataclasses.replace(RUN, duration_s=math.nan)), path)
    with pytest.raises(ReportError, match=r"does not follow the schema: .* `\$\.run\.seed`; run the probes again"):
        write_report(dataclasses.replace(document, run=dataclasses.replace(RUN, seed=cast("int", "0"))), path)

    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "problem", "remedy"),
    [
        (None, "there is no report here", "pytest probes/"),
        (b"{", "is not JSON", "run the probes again"),
        (b'{"schema_version": NaN}', "schema_version is nan", "run the probes again"),
        (b"\xff\xfe", "is not UTF-8 text", "report.json"),
        (b"[" * 100_000, "is not JSON", "run the probes again"),
        (b"[]", "names no schema_version", "written by saeprobe"),
        (
            b'{"schema_version": "1.3"}',
            "schema version '1.3', and this saeprobe reads 2.5 alone",
            "run the probes again",
        ),
        (b'{"schema_version": "3.0"}', "schema version '3.0'", "install the saeprobe"),
        (b'{"schema_version": "2.5"}', "missing required field", "run the probes again"),
    ],
)
def test_what_is_no_report_is_refused_with_a_remedy(
    content: bytes | None, problem: str, remedy: str, tmp_path: Path
) -> None:
    """A file that is missing, broken, hostile or of another version raises an error with path, problem and remedy."""
    path = tmp_path / "report.json"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ReportError) as caught:
        read_report(path)

    assert caught.value.path == path
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda it: it.update(extra=1), r"unknown key `extra` - at `\$`"),
        (lambda it: it["run"].update(extra=1), r"unknown key `extra` - at `\$\.run`"),
        (lambda it: it["claims"][1]["probes"][0].update(r=0), r"unknown key `r` - at `\$\.claims\[1\]\.probes\[0\]`"),
        (lambda it: it["evidence"][1]["controls"][0].update(x=0), r"key `x` - at `\$\.evidence\[1\]\.controls\[0\]`"),
        (lambda it: it["prompts"].update(more=[]), r"unknown key `more` - at `\$\.prompts`"),
        (lambda it: it["subjects"][0].pop("model"), r"missing key `model` - at `\$\.subjects\[0\]`"),
    ],
)
def test_a_key_too_many_or_too_few_is_refused(
    document: Document, change: Callable[[Any], object], problem: str, tmp_path: Path
) -> None:
    """A key that the schema does not know is named with its place, and so is one that only building may leave out."""
    path = tmp_path / "report.json"
    write_report(document, path)
    held = json.loads(path.read_text(encoding="utf-8"))
    change(held)
    path.write_text(json.dumps(held), encoding="utf-8")

    with pytest.raises(ReportError, match=f"does not follow the schema: .*{problem}"):
        read_report(path)


def test_a_folder_is_no_report(tmp_path: Path) -> None:
    """A path that exists and cannot be read as a file is an error of the same kind."""
    with pytest.raises(ReportError, match="cannot be read"):
        read_report(tmp_path)

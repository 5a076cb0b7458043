"""Reports on disk: whole or not at all, checked both ways, with errors that say what to do."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from saeprobe.report.document import Document
from saeprobe.report.files import ReportError, read_report, schema, validate, write_report
from saeprobe.report.page import render

Change = Callable[[Any], object]


def test_the_schema_is_a_schema() -> None:
    """The file that ships is valid JSON Schema 2020-12."""
    Draft202012Validator.check_schema(schema())


def test_a_report_comes_back_as_it_went(document: Document, tmp_path: Path) -> None:
    """Writing and reading change nothing, and the folder is made."""
    path = tmp_path / "reports" / "report.json"

    write_report(document, path)

    assert read_report(path) == document
    assert [entry.name for entry in path.parent.iterdir()] == ["report.json"]


def test_the_same_document_gives_the_same_bytes(document: Document, tmp_path: Path) -> None:
    """Two writings are equal byte for byte, readable as text, and end with a line break."""
    write_report(document, tmp_path / "a.json")
    write_report(copy.deepcopy(document), tmp_path / "b.json")

    content = (tmp_path / "a.json").read_bytes()
    assert content == (tmp_path / "b.json").read_bytes()
    assert "新手提示词" in content.decode()
    assert content.endswith(b"}\n")


def test_a_lone_surrogate_survives(document: Document, tmp_path: Path) -> None:
    """Text that UTF-8 cannot hold, as a tokenizer can produce it, is written as JSON's escape and read back."""
    document["claims"][0]["probes"][0]["reason"] = "half of a \ud83d pair"

    write_report(document, tmp_path / "a.json")

    assert read_report(tmp_path / "a.json") == document


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda it: it.pop("planned"), "'planned' is a required property"),
        (lambda it: it.update(extra=1), "'extra' was unexpected"),
        (lambda it: it["claims"][0]["probes"][0].update(verdict="passed"), "'passed' is not one of"),
        (lambda it: it["claims"][0]["probes"][0]["evidence"][0].update(p=1.5), "1.5 is greater than the maximum"),
        (lambda it: it["claims"][0]["probes"][0]["evidence"][0].update(interval=[1]), r"\[1\] is too short"),
        (lambda it: it["run"].update(alpha=0), "0 is less than or equal to the minimum"),
        (lambda it: it.update(generated="yesterday"), "'yesterday' does not match"),
        (lambda it: it["counts"].update(supported=3), "counts 3 probes as 'supported' and holds 2"),
        (lambda it: it["claims"].append(copy.deepcopy(it["claims"][0])), "counts 2 probes as 'supported' and holds 3"),
        (lambda it: it["claims"][0]["probes"][0]["evidence"][0]["samples"][0]["prompts"].pop(), "36 values for 35"),
        (lambda it: it["prompts"].clear(), "names a prompt beyond the 0"),
    ],
)
def test_a_document_out_of_shape_is_refused(document: Document, change: Change, told: str, tmp_path: Path) -> None:
    """Each departure from the schema, and each contradiction within, is named and nothing is written."""
    change(document)

    with pytest.raises(ReportError, match=told):
        write_report(document, tmp_path / "report.json")

    assert list(tmp_path.iterdir()) == []


def test_a_claim_that_stands_twice_is_refused(document: Document) -> None:
    """One id in two entries would let a reader see only the better one."""
    document["claims"].append(document["claims"][0] | {"probes": [document["claims"][0]["probes"][0]]})
    document["counts"]["supported"] += 1

    with pytest.raises(ReportError, match=r"holds the claim 'day1\.novice-more-than-expert' twice"):
        validate(document)


def test_nan_is_refused_and_the_old_report_kept(document: Document, tmp_path: Path) -> None:
    """A NaN raises with its place, and the report of the run before is still there."""
    path = tmp_path / "report.json"
    write_report(document, path)
    before = path.read_bytes()
    document["run"]["duration_s"] = float("nan")

    with pytest.raises(ValueError, match=r"report\.run\.duration_s is nan"):
        write_report(document, path)

    assert path.read_bytes() == before


def as_of_1_2(document: Document) -> Any:
    """A document without what 1.3 added."""
    old: Any = copy.deepcopy(document)
    old["schema_version"] = "1.2"
    for probe in _probes(old):
        for piece in _pieces(probe):
            for sample in piece["samples"]:
                del sample["place"]
    return old


def as_of_1_1(document: Document) -> Any:
    """A document without what 1.2 and 1.3 added."""
    old = as_of_1_2(document)
    old["schema_version"] = "1.1"
    del old["rules"]
    for probe in _probes(old):
        del probe["baseline"]
        for row in probe["published"]:
            for key in ("rounding", "sampling", "source"):
                del row[key]
        for piece in _pieces(probe):
            for key in ("rule", "unit_values", "patterns", "distances", "margin", "tried", "needed"):
                del piece[key]
            for sample in piece["samples"]:
                del sample["near_moves"]
            for control in piece["controls"]:
                for key in ("expects", "share", "evidence"):
                    del control[key]
    return old


def as_of_1_0(document: Document) -> Any:
    """A document without what 1.1 to 1.3 added."""
    old = as_of_1_1(document)
    old["schema_version"] = "1.0"
    for subject in old["subjects"]:
        for key in ("protocol_of", "differs", "instrument"):
            del subject[key]
    for probe in _probes(old):
        for piece in _pieces(probe):
            for sample in piece["samples"]:
                del sample["near_threshold"]
    return old


@pytest.mark.parametrize(("version", "age"), [("1.0", as_of_1_0), ("1.1", as_of_1_1), ("1.2", as_of_1_2)])
def test_a_report_of_an_older_version_is_read_and_shown(
    version: str, age: Callable[[Document], Any], document: Document, tmp_path: Path
) -> None:
    """What came later is filled in, empty: the page of an old report is that of a new one without these things."""
    bare: Any = copy.deepcopy(document)
    bare |= {"schema_version": version}
    for piece in (piece for probe in _probes(bare) for piece in _pieces(probe)):
        for sample in piece["samples"]:
            sample["place"] = ""
    if version != "1.2":
        bare["rules"] = {}
    for probe in _probes(bare) if version != "1.2" else []:
        probe["baseline"] = None
        for row in probe["published"]:
            row.update(rounding=None, sampling=None)
        for piece in _pieces(probe):
            piece.update(rule="", unit_values=[], patterns=[], distances=[], margin=None, tried=None, needed=None)
            for control in piece["controls"]:
                control.update(expects="persists", share=None, evidence=None)
    if version == "1.0":
        for subject in bare["subjects"]:
            subject["instrument"] = None
    path = tmp_path / "report.json"
    path.write_text(json.dumps(age(document)), encoding="utf-8")

    read = read_report(path)

    assert read == bare
    assert render(read) == render(bare)


def _probes(document: Any) -> list[Any]:
    return [probe for claim in document["claims"] for probe in claim["probes"]]


def _pieces(probe: Any) -> list[Any]:
    """All evidence of a probe: the parts, and first what controls compared, while their key is still there."""

    def of(piece: Any) -> list[Any]:
        own = [control["evidence"] for control in piece["controls"] if control.get("evidence")]
        return [it for inner in (*piece["parts"], *own) for it in of(inner)] + [piece]

    return [it for piece in probe["evidence"] for it in of(piece)]


@pytest.mark.parametrize(
    ("content", "told", "remedy"),
    [
        (None, "there is no report here", "pytest probes/"),
        (b"{", "is not JSON", "run the probes again"),
        (b'{"schema_version": NaN}', "holds NaN, which is not a JSON number", "run the probes again"),
        (b"\xff\xfe", "is not UTF-8 text", "report.json"),
        (b"[" * 100_000, "is not JSON", "run the probes again"),
        (b"[]", "names no schema_version", "written by saeprobe"),
        (
            b'{"schema_version": "2.0"}',
            "schema version '2.0', and this saeprobe reads 1.0, 1.1, 1.2 and 1.3",
            "install the saeprobe",
        ),
        (b'{"schema_version": "1.0"}', "is a required property", "run the probes again"),
    ],
)
def test_what_is_no_report_is_refused_with_a_remedy(
    content: bytes | None, told: str, remedy: str, tmp_path: Path
) -> None:
    """A file that is missing, broken, hostile or of another version raises an error with path, problem and remedy."""
    path = tmp_path / "report.json"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ReportError) as caught:
        read_report(path)

    assert caught.value.path == path
    assert told in caught.value.problem
    assert remedy in caught.value.remedy
    assert str(path) in str(caught.value)


def test_a_folder_is_no_report(tmp_path: Path) -> None:
    """A path that exists and cannot be read as a file is an error of the same kind."""
    with pytest.raises(ReportError, match="cannot be read"):
        read_report(tmp_path)


def test_the_report_names_its_schema(document: Document, tmp_path: Path) -> None:
    """Another program finds the schema's name and version at the top of the file."""
    write_report(document, tmp_path / "a.json")

    first = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert list(first)[:2] == ["schema", "schema_version"]
    assert first["schema"] == schema()["$id"]

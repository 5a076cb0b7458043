"""Reports on disk: checked against the schema, written whole or not at all, read with errors that say what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from saeprobe.files import write_whole
from saeprobe.report.document import SCHEMA_VERSION, Document, EvidenceJson, SampleJson, plain

if TYPE_CHECKING:
    from jsonschema import ValidationError

AGAIN: Final = "run the probes again to write a new one"
READABLE: Final = ("1.0", "1.1", "1.2", SCHEMA_VERSION)
"""Versions that this one reads: keys are only ever added within version 1."""
LONGEST_MESSAGE: Final = 300
"""Characters: jsonschema quotes what it refuses, be it a whole report."""


class ReportError(Exception):
    """A report that cannot be written or read.

    Attributes:
        path: the file, or None where the document had none yet.
        problem: what is wrong.
        remedy: what to do.
    """

    def __init__(self, *, path: Path | None, problem: str, remedy: str) -> None:
        super().__init__(f"{'report' if path is None else path}: {problem}; {remedy}")
        self.path = path
        self.problem = problem
        self.remedy = remedy


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a report."""
    return cast("dict[str, Any]", json.loads(_schema_text()))


def _schema_text() -> str:
    return resources.files("saeprobe.report").joinpath("schema.json").read_text(encoding="utf-8")


@cache
def _validator() -> Any:  # jsonschema's types are partly unknown
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema())


def validate(document: object, path: Path | None = None) -> Document:
    """`document`, checked against the schema; keys that its version did not have yet are added, empty.

    Raises:
        ReportError: it does not follow the schema; the message names the place.
    """
    # The first error, not the best: jsonschema's best_match is untyped, and one is enough to refuse a report.
    found = next(cast("Iterator[ValidationError]", _validator().iter_errors(document)), None)
    if found is not None:
        told = found.message if len(found.message) <= LONGEST_MESSAGE else f"{found.message[:LONGEST_MESSAGE]}…"
        raise ReportError(path=path, problem=f"does not follow the schema at {found.json_path}: {told}", remedy=AGAIN)
    checked = cast("Document", document)
    problem = _contradiction(checked)
    if problem is not None:
        raise ReportError(path=path, problem=problem, remedy=AGAIN)
    _complete(checked)
    return checked


def _complete(document: Document) -> None:
    """Add what versions 1.1 to 1.3 brought to a report of an older one."""
    document.setdefault("rules", {})
    for subject in document["subjects"]:
        subject.setdefault("protocol_of", None)
        subject.setdefault("differs", [])
        subject.setdefault("instrument", None)
    for claim in document["claims"]:
        for probe in claim["probes"]:
            probe.setdefault("baseline", None)
            for row in probe["published"]:
                row.setdefault("rounding", None)
                row.setdefault("sampling", None)
                row.setdefault("source", claim["source"])
            for piece in (piece for whole in probe["evidence"] for piece in _pieces(whole)):
                _complete_piece(piece)


def _complete_piece(piece: EvidenceJson[int]) -> None:
    piece.setdefault("rule", "")
    piece.setdefault("unit_values", [])
    piece.setdefault("patterns", [])
    piece.setdefault("distances", [])
    piece.setdefault("margin", None)
    piece.setdefault("tried", None)
    piece.setdefault("needed", None)
    for sample in piece["samples"]:
        sample.setdefault("place", "")
        sample.setdefault("near_threshold", None)
        sample.setdefault("near_moves", None)
    for control in piece["controls"]:
        control.setdefault("expects", "persists")
        control.setdefault("share", None)
        control.setdefault("evidence", None)


def _pieces(evidence: EvidenceJson[int]) -> Iterator[EvidenceJson[int]]:
    """The evidence itself, its parts, and what its controls compared; read before or after it was completed."""
    yield evidence
    for part in evidence["parts"]:
        yield from _pieces(part)
    for control in evidence["controls"]:
        own = control.get("evidence")
        if own is not None:
            yield from _pieces(own)


def _samples(evidence: EvidenceJson[int]) -> Iterator[SampleJson[int]]:
    for piece in _pieces(evidence):
        yield from piece["samples"]


def _contradiction(document: Document) -> str | None:
    """What no JSON Schema can say: that counts are the counts, and that every prompt named is there."""
    probes = [probe for claim in document["claims"] for probe in claim["probes"]]
    for word, count in document["counts"].items():
        found = sum(probe["verdict"] == word for probe in probes)
        if found != count:
            return f"counts {count} probes as {word!r} and holds {found}"
    ids = [claim["id"] for claim in document["claims"]]
    if len(set(ids)) != len(ids):
        return f"holds the claim {next(name for name in ids if ids.count(name) > 1)!r} twice"
    for probe in probes:
        for sample in (sample for piece in probe["evidence"] for sample in _samples(piece)):
            if len(sample["values"]) != len(sample["prompts"]):
                return f"has {len(sample['values'])} values for {len(sample['prompts'])} prompts in {probe['nodeid']}"
            if any(number >= len(document["prompts"]) for number in sample["prompts"]):
                return f"names a prompt beyond the {len(document['prompts'])} it holds in {probe['nodeid']}"
    return None


def write_report(document: Document, path: Path) -> None:
    """Check `document` and write it to `path` as JSON; folders are made as needed.

    Raises:
        ReportError: it does not follow the schema; nothing is written.
        ValueError: a number is NaN or infinite; nothing is written.
    """
    checked = validate(plain(document, "report"), path)
    text = json.dumps(checked, allow_nan=False, ensure_ascii=False, indent=1, sort_keys=False)
    # A lone surrogate has no UTF-8; its backslash escape is JSON's own way to write it.
    write_whole(path, (text + "\n").encode("utf-8", errors="backslashreplace"))


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it holds {name}, which is not a JSON number")


def read_report(path: Path) -> Document:
    """Read the report at `path`.

    Raises:
        ReportError: it is missing, not JSON, of another schema version, or does not follow the schema.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ReportError(
            path=path, problem="there is no report here", remedy='write it with "pytest probes/", or give another path'
        ) from None
    except OSError as error:
        raise ReportError(path=path, problem=f"cannot be read ({error})", remedy="give a report.json") from None
    except UnicodeDecodeError:
        raise ReportError(path=path, problem="is not UTF-8 text", remedy="give a report.json") from None
    try:
        document = cast("object", json.loads(text, parse_constant=_refuse_constant))
    except (ValueError, RecursionError) as error:
        raise ReportError(path=path, problem=f"is not JSON ({error})", remedy=AGAIN) from None
    fields = cast("dict[str, object]", document) if isinstance(document, dict) else {}
    version = fields.get("schema_version")
    if version is None:
        raise ReportError(
            path=path, problem="is JSON, but names no schema_version", remedy="give a report.json written by saeprobe"
        )
    if version not in READABLE:
        *older, newest = READABLE
        raise ReportError(
            path=path,
            problem=f"has schema version {version!r}, and this saeprobe reads {', '.join(older)} and {newest}",
            remedy=f"{AGAIN}, or install the saeprobe that wrote it",
        )
    return validate(fields, path)

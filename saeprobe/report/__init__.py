"""Reports: what a run showed, as JSON by a versioned schema and as one self-contained page made from the JSON alone.

In a probe's worker `probe_to_json` turns verdict and evidence into plain types; the controller puts all records
together with `build_document`, writes them with `write_report` and shows them with `write_page`. `read_report` gives
the document back to the gate.
"""

from saeprobe.report.document import (
    SCHEMA_VERSION,
    baseline_to_json,
    build_document,
    evidence_to_json,
    instrument_to_json,
    plain,
    planned_name,
    probe_to_json,
)
from saeprobe.report.files import ReportError, read_report, schema, validate, write_report
from saeprobe.report.page import render, write_page
from saeprobe.report.shape import (
    BaselineJson,
    ClaimJson,
    ComparisonJson,
    DifferenceJson,
    Document,
    EvidenceJson,
    InstrumentJson,
    ProbeJson,
    ProbeRecord,
    PublishedJson,
    RunJson,
    SubjectJson,
)

__all__ = [
    "SCHEMA_VERSION",
    "BaselineJson",
    "ClaimJson",
    "ComparisonJson",
    "DifferenceJson",
    "Document",
    "EvidenceJson",
    "InstrumentJson",
    "ProbeJson",
    "ProbeRecord",
    "PublishedJson",
    "ReportError",
    "RunJson",
    "SubjectJson",
    "baseline_to_json",
    "build_document",
    "evidence_to_json",
    "instrument_to_json",
    "plain",
    "planned_name",
    "probe_to_json",
    "read_report",
    "render",
    "schema",
    "validate",
    "write_page",
    "write_report",
]

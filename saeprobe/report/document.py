"""Building a report: evidence and verdicts to plain JSON types, and the records of all probes to one document."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Generic, TypedDict, TypeVar, cast

import numpy as np

from saeprobe.claims import RULES, WORDS, Claim, Published, Verdict, Word
from saeprobe.evidence.evidence import Evidence
from saeprobe.store.instrument import InstrumentCheck
from saeprobe.verdicts.baseline import BaselineComparison

P = TypeVar("P")


class PromptJson(TypedDict):
    """One prompt, with the wording that it was made from."""

    text: str
    style: str
    topic: str
    template: str


class SampleJson(TypedDict, Generic[P]):
    """One side of a comparison; `values` and `prompts` run in parallel and are empty for a bare summary."""

    label: str
    measure: str
    unit: str
    mean: float
    n: int | None
    interval: list[float] | None
    values: list[float]
    prompts: list[P]
    place: str
    near_threshold: str | None
    near_moves: float | None


class UnitJson(TypedDict):
    """One unit of replication as the test saw it."""

    side: str
    unit: str
    value: float


class NeededJson(TypedDict):
    """What would decide an open comparison."""

    units: str
    have: int
    wanted: int | None
    prompts: int | None


class ControlJson(TypedDict, Generic[P]):
    """What one control showed; `evidence` is the comparison that it made, where it made one of its own."""

    name: str
    expects: str
    explains: bool
    estimate: float
    interval: list[float] | None
    p: float | None
    detail: str
    share: float | None
    evidence: EvidenceJson[P] | None


class EvidenceJson(TypedDict, Generic[P]):
    """The outcome of one comparison; `parts` are those of a claim about every one of several things."""

    kind: str
    statement: str
    outcome: str
    reason: str
    scope: str
    unit: str
    estimate: float | None
    interval: list[float] | None
    level: float | None
    p: float | None
    alpha: float | None
    test: str | None
    seed: int | None
    units: str | None
    n_units: list[int]
    samples: list[SampleJson[P]]
    controls: list[ControlJson[P]]
    parts: list[EvidenceJson[P]]
    rule: str
    unit_values: list[UnitJson]
    patterns: list[tuple[str, int]]
    distances: list[list[float]]
    margin: float | None
    tried: int | None
    needed: NeededJson | None
    continuations: list[list[str]]


class ComparisonJson(TypedDict):
    """A printed number beside the one measured here; `measured` and what follows from it are None where nothing was."""

    label: str
    value: float
    unit: str
    tolerance: float | None
    tolerance_from: str | None
    measured: float | None
    agrees: bool | None
    rounding: float | None
    sampling: float | None


class PublishedJson(ComparisonJson):
    """A comparison, where the value is printed, and the number of prompts behind it, where the source tells it."""

    n: int | None
    source: str


class BaselineRowJson(TypedDict):
    """An approved mean beside the one measured here; None where it is no longer measured."""

    label: str
    measure: str
    unit: str
    approved: float
    measured: float | None
    noise: float | None
    noise_from: str | None
    agrees: bool | None


class BaselineJson(TypedDict):
    """What a person approved, beside what was measured, and what is recorded to have changed in between."""

    approved_by: str
    because: str
    on: str
    verdict: Word
    commit: str | None
    rows: list[BaselineRowJson]
    changed: list[str]


class ProbeJson(TypedDict, Generic[P]):
    """One claim decided on one subject; durations in seconds."""

    nodeid: str
    subject: str
    verdict: Word
    reason: str
    scope: str
    declared: str | None
    duration_s: float
    published: list[PublishedJson]
    evidence: list[EvidenceJson[P]]
    baseline: BaselineJson | None


class ClaimHead(TypedDict):
    """What is true of a claim on every subject."""

    id: str
    sentence: str
    source: str
    controls: list[str]


class ProbeRecord(ProbeJson[PromptJson]):
    """A probe's result with its claim and prompts in full: what a worker sends."""

    claim: ClaimHead


class ClaimJson(ClaimHead):
    """A claim and the probes that decided it, one or more a subject."""

    probes: list[ProbeJson[int]]


class LayerFitJson(TypedDict):
    """How the SAE fits one layer on neutral text; `shift` is in blocks from the hook."""

    shift: int
    layer: str
    l0: float
    variance_explained: float | None
    tokens: int
    near_threshold: float | None


class InstrumentJson(TypedDict):
    """The instrument check of a subject: figures by layer, the published ones, and what is wrong."""

    broken: bool
    findings: list[str]
    misfit: str | None
    l0: float | None
    variance_explained: float | None
    source: str
    layers: list[LayerFitJson]


class DifferenceJson(TypedDict):
    """What a protocol does otherwise than the subject it is one of."""

    aspect: str
    here: str
    there: str


class SubjectJson(TypedDict):
    """What was run; None where `missing` says what is absent, but for the name and what makes it a protocol of another.

    `differs` is in words, from `protocol_of`; `instrument` is None where nothing was run.
    """

    name: str
    model: str | None
    model_hash: str | None
    sae: str | None
    sae_hash: str | None
    hook_name: str | None
    d_in: int | None
    d_sae: int | None
    dtype: str | None
    protocol: str | None
    fingerprint: str | None
    missing: str | None
    protocol_of: str | None
    differs: list[DifferenceJson]
    instrument: InstrumentJson | None


class RunJson(TypedDict):
    """How the run was made; `commit`, `dirty` and `device` are None where there is none."""

    command: str
    exit_code: int
    duration_s: float
    alpha: float
    seed: int
    workers: int
    commit: str | None
    dirty: bool | None
    python: str
    platform: str
    device: str | None
    evidence_dir: str | None
    versions: dict[str, str]
    computed_prompts: int
    stored_prompts: int


class Document(TypedDict):
    """A whole report; `rules` say in words how each verdict is decided."""

    schema: str
    schema_version: str
    generated: str
    run: RunJson
    counts: dict[str, int]
    planned: list[str]
    subjects: list[SubjectJson]
    prompts: list[PromptJson]
    claims: list[ClaimJson]
    rules: dict[str, str]


SCHEMA: Final = "urn:saeprobe:report:1"


SCHEMA_VERSION: Final = "1.3"


def plain(value: object, where: str) -> Any:
    """`value` in JSON's own types: numpy's scalars and arrays, tuples and mappings are turned into Python's plain ones.

    Raises:
        ValueError: a number is NaN or infinite; JSON has no such number.
        TypeError: a value of another type, or a key that is not a string.
    """
    if isinstance(value, np.ndarray | np.generic):
        return plain(cast("object", value.tolist()), where)
    if isinstance(value, Mapping):
        return _plain_table(cast("Mapping[object, object]", value), where)
    if isinstance(value, list | tuple):
        return _plain_list(cast("Sequence[object]", value), where)
    return _plain_scalar(value, where)


def _plain_table(table: Mapping[object, object], where: str) -> dict[str, Any]:
    wrong = [key for key in table if not isinstance(key, str)]
    if wrong:
        raise TypeError(f"{where} has the key {wrong[0]!r}; a report's keys are strings")
    return {str(key): plain(item, f"{where}.{key}") for key, item in table.items()}


def _plain_list(items: Sequence[object], where: str) -> list[Any]:
    if all(type(item) is float and math.isfinite(item) for item in items):  # most of a report, so worth a short way
        return list(items)
    return [plain(item, f"{where}[{index}]") for index, item in enumerate(items)]


def _plain_scalar(value: object, where: str) -> str | float | bool | None:
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            if kind is float and not math.isfinite(cast("float", value)):
                raise ValueError(
                    f"{where} is {value}; a report holds finite numbers only. Give None where there is no honest "
                    "number, or let the probe fail"
                )
            return kind(value)
    raise TypeError(f"{where} is a {type(value).__name__}; a report holds strings, numbers, booleans, lists and tables")


def evidence_to_json(evidence: Evidence) -> EvidenceJson[PromptJson]:
    """`evidence` in plain types with its prompts in full, fit to cross from an xdist worker to its controller.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    return cast("EvidenceJson[PromptJson]", plain(asdict(evidence), f"evidence {evidence.statement!r}"))


def instrument_to_json(check: InstrumentCheck) -> InstrumentJson:
    """An instrument check in plain types.

    Raises:
        ValueError: a figure is NaN or infinite.
    """
    return cast("InstrumentJson", plain({**asdict(check), "broken": check.broken}, "instrument"))


def baseline_to_json(beside: BaselineComparison) -> BaselineJson:
    """Approved values beside measured ones, in plain types.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    one = beside.baseline
    made: BaselineJson = {
        "approved_by": one.approved_by,
        "because": one.because,
        "on": one.on,
        "verdict": one.verdict,
        "commit": one.measured_with.commit,
        "rows": [cast("BaselineRowJson", {**asdict(row), "agrees": row.agrees}) for row in beside.rows],
        "changed": list(beside.changed),
    }
    return cast("BaselineJson", plain(made, "baseline"))


def _not_measured(stated: Published, label: str) -> ComparisonJson:
    return {
        "label": label,
        "value": stated.values[label],
        "unit": stated.unit,
        "tolerance": stated.tolerance,
        "tolerance_from": None if stated.tolerance is None else "set by the claim",
        "measured": None,
        "agrees": None,
        "rounding": None,
        "sampling": None,
    }


def probe_to_json(
    *,
    claim: Claim,
    nodeid: str,
    subject: str,
    verdict: Verdict,
    evidence: Sequence[Evidence],
    published: Sequence[ComparisonJson],
    duration_s: float,
    baseline: BaselineJson | None = None,
) -> ProbeRecord:
    """The record of one probe on one subject.

    Args:
        claim: the claim that the probe decides.
        nodeid: pytest's name of the probe.
        subject: name of the subject.
        verdict: what was decided.
        evidence: everything recorded while the probe ran, in order.
        published: the printed numbers that were compared; those of the claim that are not among them are added as
            not measured.
        duration_s: seconds the probe took, its share of the capture not included.
        baseline: what was approved of the claim on this subject, beside what was measured.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    stated = claim.published.get(subject)
    rows = list(published)
    if stated is not None:
        seen = {row["label"] for row in rows}
        rows += [_not_measured(stated, label) for label in stated.values if label not in seen]
    n, source = (None, "") if stated is None else (stated.n, stated.source)
    compared: list[PublishedJson] = [{**row, "n": n, "source": source or claim.source} for row in rows]
    record: ProbeRecord = {
        "nodeid": nodeid,
        "subject": subject,
        "verdict": verdict.word,
        "reason": verdict.reason,
        "scope": verdict.scope,
        "declared": verdict.declared,
        "duration_s": duration_s,
        "published": compared,
        "evidence": [evidence_to_json(piece) for piece in evidence],
        "baseline": baseline,
        "claim": {
            "id": claim.id,
            "sentence": claim.sentence,
            "source": claim.source,
            "controls": list(claim.controls),
        },
    }
    return cast("ProbeRecord", plain(record, f"probe {nodeid}"))


@dataclass(frozen=True, kw_only=True)
class PromptTable:
    """Prompts without repetition, numbered in order of first appearance."""

    prompts: list[PromptJson] = field(default_factory=list[PromptJson])
    numbers: dict[tuple[str, str, str, str], int] = field(default_factory=dict[tuple[str, str, str, str], int])

    def number(self, prompt: PromptJson) -> int:
        """The index of `prompt`, which is appended if it is new."""
        key = (prompt["text"], prompt["style"], prompt["topic"], prompt["template"])
        if key not in self.numbers:
            self.numbers[key] = len(self.prompts)
            self.prompts.append(prompt)
        return self.numbers[key]


def _numbered_sample(sample: SampleJson[PromptJson], table: PromptTable) -> SampleJson[int]:
    numbers = [table.number(prompt) for prompt in sample["prompts"]]
    return cast("SampleJson[int]", {**sample, "prompts": numbers})


def _numbered(evidence: EvidenceJson[PromptJson], table: PromptTable) -> EvidenceJson[int]:
    samples = [_numbered_sample(sample, table) for sample in evidence["samples"]]
    parts = [_numbered(part, table) for part in evidence["parts"]]
    controls = [
        {**control, "evidence": None if control["evidence"] is None else _numbered(control["evidence"], table)}
        for control in evidence["controls"]
    ]
    return cast("EvidenceJson[int]", {**evidence, "samples": samples, "parts": parts, "controls": controls})


def _in_planned_order(probes: Iterable[ProbeRecord], planned: Sequence[str]) -> list[ProbeRecord]:
    """Workers finish in any order; a report is in the order of collection, then of the probes' names."""
    place = {name: index for index, name in reversed(list(enumerate(planned)))}

    def key(probe: ProbeRecord) -> tuple[int, str]:
        return place.get(planned_name(probe["claim"]["id"], probe["subject"]), len(place)), probe["nodeid"]

    return sorted(probes, key=key)


def planned_name(claim_id: str, subject: str) -> str:
    """How the list of planned probes names a claim on a subject: `day1.novice-most[sparrow]`."""
    return f"{claim_id}[{subject}]"


def build_document(
    *,
    probes: Iterable[ProbeRecord],
    run: RunJson,
    subjects: Sequence[SubjectJson],
    planned: Sequence[str],
    generated: str,
) -> Document:
    """One report of all probes, grouped by claim in the order planned, its prompts held once.

    Args:
        probes: the records, in any order.
        run: how the run was made.
        subjects: what it was run on, or could not be.
        planned: `planned_name` of every probe collected, in order.
        generated: when, in ISO 8601 with the offset from UTC.

    Raises:
        ValueError: two probes share a name, or two claims share an id but not their sentence or source.
    """
    table = PromptTable()
    claims: dict[str, ClaimJson] = {}
    counts = dict.fromkeys((str(word) for word in WORDS), 0)
    seen: set[str] = set()
    for record in _in_planned_order(probes, planned):
        head = record["claim"]
        if record["nodeid"] in seen:
            raise ValueError(f"two records of the probe {record['nodeid']}; wanted one")
        seen.add(record["nodeid"])
        claim = claims.setdefault(head["id"], {**head, "probes": []})
        if any(claim[name] != head[name] for name in ("sentence", "source")):
            raise ValueError(
                f"two claims have the id {head['id']!r}: {claim['sentence']!r} ({claim['source']}) and "
                f"{head['sentence']!r} ({head['source']}); give one of them another id"
            )
        numbered = [_numbered(piece, table) for piece in record["evidence"]]
        probe = {name: value for name, value in record.items() if name != "claim"} | {"evidence": numbered}
        claim["probes"].append(cast("ProbeJson[int]", probe))
        counts[record["verdict"]] += 1
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "generated": generated,
        "run": run,
        "counts": counts,
        "planned": list(planned),
        "subjects": list(subjects),
        "prompts": table.prompts,
        "claims": list(claims.values()),
        "rules": {str(word): rule for word, rule in RULES.items()},
    }

"""The shape of a report, as types; `schema.json` says the same to every other program.

`P` is how a sample names its prompts: in full (`PromptJson`) while a probe's record travels alone from a worker to the
controller, and as an index (`int`) into the document's table of prompts afterwards.
"""

from __future__ import annotations

from typing import Generic, TypedDict, TypeVar

from saeprobe.claims import Word

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

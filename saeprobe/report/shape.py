"""These dataclasses are the schema of a report: msgspec writes, reads and checks `report.json` by them.

What stands in several places is written once and named by its index: `prompts`, `samples` and `evidence` are tables of
the whole report. `python -m saeprobe.report.shape` prints the JSON Schema that is kept next to this file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from saeprobe.claims import WORDS, NonReproduction, Outcome, Over, Word
from saeprobe.claims import Control as ControlName
from saeprobe.evidence import Agreement, Answer, EvidenceOutcome, Kind, Needed
from saeprobe.measures.differences import Figures
from saeprobe.statistics.planning import ManyClaims
from saeprobe.store.instrument import InstrumentCheck
from saeprobe.store.tables import Seen
from saeprobe.verdicts.baseline import BaselineRow

SCHEMA: Final = "urn:saeprobe:report:2"
SCHEMA_VERSION: Final = "2.5"

Text = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=0)]
Index = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Moment = Annotated[
    str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$", description="ISO 8601.")
]
Distance = Annotated[float, Meta(ge=0)]
Interval = Annotated[tuple[float, float] | None, Meta(description="Null where no honest interval exists.")]


class _Table:
    """A table holds columns of one length."""

    def __post_init__(self) -> None:
        lengths = [len(column) for column in vars(self).values()]
        if len(set(lengths)) > 1:
            raise ValueError(f"{type(self).__name__} has columns of different lengths: {', '.join(map(str, lengths))}")


@dataclass(frozen=True, kw_only=True)
class Prompts(_Table):
    """Every prompt stands here once, a row of four columns; `template` is the wording before the topic went in."""

    text: tuple[str, ...]
    style: tuple[str, ...]
    topic: tuple[str, ...]
    template: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.text)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A sample is one side of a comparison: a value for each prompt, or a bare summary where both columns are empty."""

    label: str
    measure: str
    unit: str
    mean: float
    n: Annotated[Count | None, Meta(description="Prompts; null where a summary does not say.")]
    interval: Interval
    values: Annotated[tuple[float, ...], Meta(description="One for each of `prompts`, in `unit`.")]
    prompts: Annotated[tuple[Index, ...], Meta(description="Rows of the report's table of prompts.")]
    place: Annotated[str, Meta(description="The tokens that were read of each prompt, such as last token.")]
    near_threshold: Annotated[str | None, Meta(description="Where rounding decides whether a feature fires.")]
    reach: Annotated[tuple[float, float] | None, Meta(description="Between these rounding may put the mean.")]
    looked: Annotated[tuple[Index, ...], Meta(description="Features that were picked by looking at these prompts.")]

    def __post_init__(self) -> None:
        if len(self.values) != len(self.prompts):
            raise ValueError(f"{self.label!r} has {len(self.values)} values for {len(self.prompts)} prompts")


@dataclass(frozen=True, kw_only=True)
class UnitValues(_Table):
    """Each row is one unit of replication: the mean of its prompts, or the difference of two where units are paired."""

    side: Annotated[tuple[str, ...], Meta(description="The label of the sample; of both where units are paired.")]
    unit: Annotated[tuple[str, ...], Meta(description="The template or the topic.")]
    value: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Patterns(_Table):
    """Each row counts the features that fire in the same units; `fires` has a digit a unit, 1 where they fire."""

    fires: tuple[Annotated[str, Meta(pattern="^[01]+$")], ...]
    features: tuple[Annotated[int, Meta(ge=1)], ...]


@dataclass(frozen=True, kw_only=True)
class Continuations(_Table):
    """Each row is what the model wrote after a prompt in one arm of a steering experiment."""

    arm: tuple[str, ...]
    prompt: tuple[str, ...]
    text: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Control:
    """A control says what is left of the effect once what a rival explanation makes is taken off."""

    name: ControlName
    answer: Answer
    estimate: Annotated[float, Meta(description="What is left of the effect.")]
    interval: Interval
    p: Annotated[Share | None, Meta(description="Null where the control could not be run; `detail` says why.")]
    detail: str
    share: Annotated[float | None, Meta(description="The estimate as a share of the effect itself.")]
    rule: Annotated[str, Meta(description="How the answer follows from the numbers, to be applied by hand.")]
    numbers: Annotated[tuple[tuple[str, float], ...], Meta(description="What the rule reads, by name.")]
    unit_values: Annotated[UnitValues, Meta(description="What the control's own test was made on.")]
    evidence: Annotated[Index | None, Meta(description="The comparison that the control made, where it made one.")]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A piece of evidence is the outcome of one comparison."""

    kind: Kind
    statement: str
    outcome: EvidenceOutcome
    reason: str
    scope: str
    unit: str
    estimate: Annotated[float | None, Meta(description="In the unit, as a rule a difference of means.")]
    interval: Interval
    level: Annotated[Share | None, Meta(description="What the interval covers, 0.95 for example.")]
    p: Share | None
    one_sided: Annotated[Share | None, Meta(description="The largest p in the sentence's direction, if not p.")]
    alpha: Share | None
    test: str | None
    seed: int | None
    units: Annotated[str | None, Meta(description="What was resampled or permuted.")]
    n_units: Annotated[tuple[Count, ...], Meta(description="How many units stood on each side.")]
    samples: Annotated[tuple[Index, ...], Meta(description="Rows of the report's table of samples.")]
    controls: tuple[Control, ...]
    parts: Annotated[tuple[Index, ...], Meta(description="The evidence on each of several things.")]
    rule: Annotated[str, Meta(description="How the outcome follows from the numbers, to be applied by hand.")]
    unit_values: Annotated[UnitValues, Meta(description="What the test was made on.")]
    pairs: Annotated[tuple[tuple[Index, Index], ...], Meta(description="Rows of `unit_values` that share a frame.")]
    copies: Annotated[tuple[tuple[str, ...], ...], Meta(description="Templates that are near copies of each other.")]
    patterns: Annotated[Patterns, Meta(description="Exclusive features: which fire in which units.")]
    distances: Annotated[tuple[tuple[Distance, ...], ...], Meta(description="Of each unit to those before it.")]
    margin: Annotated[float | None, Meta(description="What a difference must exceed, or not reach.")]
    tried: Annotated[Count | None, Meta(description="Among how many features some were picked by looking.")]
    needed: Annotated[Needed | None, Meta(description="What would decide it, where it is open.")]
    continuations: Continuations


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published number stands with the one measured here, which is null where nothing was measured."""

    label: str
    value: float
    unit: str
    n: Annotated[Count | None, Meta(description="Prompts behind the printed value.")]
    tolerance: Annotated[Distance | None, Meta(description="Distance in the unit up to which the two agree.")]
    tolerance_from: str | None
    measured: float | None
    answer: Annotated[Agreement | None, Meta(description="Null where nothing was measured.")]
    rounding: Annotated[Distance | None, Meta(description="The part of the tolerance due to the printed precision.")]
    sampling: Annotated[Distance | None, Meta(description="The part due to the sampling error of both means.")]
    reach: Annotated[Distance | None, Meta(description="The part by which rounding may bring the two together.")]
    source: Annotated[str, Meta(description="Where the value is printed.")]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A baseline is what a person approved, with what was measured now and what changed in between."""

    approved_by: Text
    because: Text
    on: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d$", description="The day of the approval.")]
    verdict: Word
    commit: Annotated[str | None, Meta(description="Commit at which the approved values were measured.")]
    rows: tuple[BaselineRow, ...]
    changed: Annotated[tuple[str, ...], Meta(description="What differs between the two runs, in words.")]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A plugin ran a probe again after this attempt at it, which came out so."""

    verdict: Word
    reason: str


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A probe decides one claim on one subject."""

    nodeid: Text
    subject: Text
    verdict: Word
    reason: str
    scope: str
    declaration: Annotated[NonReproduction | None, Meta(description="Known of it beforehand; the gate holds it.")]
    duration_s: Annotated[Distance, Meta(description="Seconds.")]
    published: tuple[Published, ...]
    p: Annotated[Share | None, Meta(description="The largest one-sided p of all that had to hold; null if untested.")]
    q: Annotated[Share | None, Meta(description="p adjusted for all tested claims of the subject, if it holds.")]
    evidence: Annotated[tuple[Index, ...], Meta(description="Rows of the report's table of evidence.")]
    baseline: Baseline | None
    takes: Annotated[tuple[ControlName, ...], Meta(description="Controls that its kind of sentence could take.")] = ()
    declared_at: Annotated[str | None, Meta(description="Commit that last changed the declaration.")] = None
    before: Annotated[tuple[Attempt, ...], Meta(description="Earlier attempts, where a plugin ran it again.")] = ()
    run: Annotated[Index, Meta(description="Which run decided it: 0 is `run`, 1 the first of `earlier`.")] = 0


@dataclass(frozen=True, kw_only=True)
class Head:
    """The head of a claim is true of it on every subject."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9]+(?:[.-][a-z0-9]+)*$")]
    sentence: Text
    source: str
    controls: tuple[ControlName, ...]
    over: Annotated[tuple[Over, ...], Meta(description="What it generalises over, where that is stated.")] = ()


@dataclass(frozen=True, kw_only=True)
class Claim(Head):
    """A claim is a published sentence with the probes that decided it, one or more a subject."""

    probes: Annotated[tuple[Probe, ...], Meta(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Record(Probe):
    """A record is what a worker sends of one probe: what pytest makes of it, the claim, and tables of its own."""

    outcome: Outcome
    claim: Head
    prompts: Prompts
    samples: tuple[Sample, ...]
    table: tuple[Evidence, ...]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A protocol differs in one aspect from the subject it is a protocol of."""

    aspect: Text
    here: str
    there: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A subject is a language model, its SAE and a hook point; what is not known because it is absent here is null."""

    name: Text
    model: str | None = None
    model_hash: str | None = None
    sae: str | None = None
    sae_hash: str | None = None
    hook_name: str | None = None
    d_in: Count | None = None
    d_sae: Count | None = None
    dtype: str | None = None
    protocol: Annotated[str | None, Meta(description="BOS, chat template, token read.")] = None
    fingerprint: str | None = None
    other_prompts: Annotated[str | None, Meta(description="Read as STYLES, neither declared nor needed.")] = None
    missing: Annotated[str | None, Meta(description="What is absent, and the command for it.")] = None
    protocol_of: Annotated[str | None, Meta(description="The subject of which it is another protocol.")] = None
    differs: tuple[Difference, ...] = ()
    instrument: Annotated[InstrumentCheck | None, Meta(description="Null where nothing was run.")] = None
    captures: Annotated[tuple[Seen, ...], Meta(description="What the model saw of a prompt of each.")] = ()
    figures: Annotated[Figures | None, Meta(description="Null where no other protocol of it was asked.")] = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """The run says how the report, or what stands in it of an earlier run, was made."""

    command: str
    ended: Moment
    exit_code: int
    duration_s: Annotated[Distance, Meta(description="Seconds.")]
    alpha: Annotated[float, Meta(gt=0, lt=1, description="Error rate at which statements were decided.")]
    seed: int
    workers: Annotated[Count, Meta(description="pytest-xdist workers; 0 without.")]
    commit: Annotated[str | None, Meta(description="Commit of the working tree; null outside one.")]
    dirty: Annotated[bool | None, Meta(description="Whether files differed from that commit.")]
    changed: Annotated[tuple[Text, ...], Meta(description="These files, without those that a run writes.")] = ()
    python: str
    platform: str
    device: Annotated[str | None, Meta(description="Where the models ran; null where none was loaded.")]
    evidence_dir: Annotated[str | None, Meta(description="Folder of recorded evidence in place of the models.")]
    versions: Annotated[dict[str, str], Meta(description="Versions of the libraries, by distribution name.")]
    computed_prompts: Count
    stored_prompts: Count
    files: Annotated[dict[str, str], Meta(description="SHA-256 of the project's files that it read, by path.")]


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A probe, or a function that makes a claim, is there and was not run."""

    claim: Annotated[str, Meta(description="Its id; empty where only running its file would say it.")]
    subject: Annotated[str, Meta(description="On which it would have run; empty for any.")]
    where: Annotated[Text, Meta(description="Its node id, or its file and name.")]
    why: Text


@dataclass(frozen=True, kw_only=True)
class Document:
    """A report holds published claims about features of language models, and what a run of their probes showed."""

    schema: Literal["urn:saeprobe:report:2"]
    schema_version: Literal["2.5"]
    generated: Moment
    run: Run
    earlier: Annotated[tuple[Run, ...], Meta(description="Other runs, whose probes stand here too.")] = ()
    counts: Annotated[dict[Word, Count], Meta(description="Probes by verdict.")]
    planned: Annotated[tuple[Text, ...], Meta(description="Every probe that was to run, as claim-id[subject].")]
    left_out: Annotated[tuple[LeftOut, ...], Meta(description="What was there and was not run.")] = ()
    subjects: tuple[Subject, ...]
    rules: Annotated[dict[Word, str], Meta(description="How each verdict is decided, in words.")]
    claims: tuple[Claim, ...]
    chance: Annotated[tuple[ManyClaims, ...], Meta(description="What it alone would confirm of several, by subject.")]
    evidence: tuple[Evidence, ...]
    samples: tuple[Sample, ...]
    prompts: Prompts

    def __post_init__(self) -> None:
        if (problem := next(_contradictions(self), None)) is not None:
            raise ValueError(problem)

    @property
    def runs(self) -> tuple[Run, ...]:
        """Give every run whose probes stand here, in the order of `Probe.run`."""
        return self.run, *self.earlier


def _contradictions(document: Document) -> Iterator[str]:
    """Say what no JSON Schema can: a count that is wrong, a claim that stands twice, an index that names nothing."""
    probes = [probe for claim in document.claims for probe in claim.probes]
    verdicts = [probe.verdict for probe in probes]
    yield from (f"does not count the probes that are {word!r}" for word in WORDS if word not in document.counts)
    for word, count in document.counts.items():
        if verdicts.count(word) != count:
            yield f"counts {count} probes as {word!r} and holds {verdicts.count(word)}"
    ids = [claim.id for claim in document.claims]
    if len(set(ids)) != len(ids):
        yield f"holds the claim {next(name for name in ids if ids.count(name) > 1)!r} twice"
    named = [
        ("prompt", len(document.prompts), [row for sample in document.samples for row in sample.prompts]),
        ("sample", len(document.samples), [row for piece in document.evidence for row in piece.samples]),
        ("piece of evidence", len(document.evidence), [row for probe in probes for row in probe.evidence]),
        ("run", len(document.runs), [probe.run for probe in probes]),
    ]
    for what, held, rows in named:
        if max(rows, default=-1) >= held:
            yield f"names a {what} beyond the {held} it holds"
    for row, piece in enumerate(document.evidence):
        inner = (*piece.parts, *(one.evidence for one in piece.controls if one.evidence is not None))
        if max(inner, default=-1) >= row:  # else a piece could be a part of itself, and a walk never end
            yield f"evidence {row} names a piece that does not stand before it"
    yield from _out_of_range(document)


def _out_of_range(document: Document) -> Iterator[str]:
    """Say which counts cannot be, in the dataclasses of other rooms that a report holds as they are."""
    for row, needed in enumerate(piece.needed for piece in document.evidence):
        if needed is not None and min(needed.have, needed.wanted or 0, needed.prompts or 0) < 0:
            yield f"evidence {row} needs fewer than 0 units or prompts"
    for subject in document.subjects:
        for fit in () if subject.instrument is None else subject.instrument.layers:
            if min(fit.l0, fit.near_threshold or 0.0) < 0 or fit.tokens < 1:
                yield f"checks {subject.name!r} on fewer than 1 token, or finds fewer than 0 features"


def schema_text() -> str:
    """Give the JSON Schema (2020-12) of a report, as `schema.json` holds it."""
    made = msgspec.json.schema(Document)
    for part in made["$defs"].values():
        if "properties" in part:  # of a dataclass, of which a report has every key and no other
            part |= {"required": list(part["properties"]), "additionalProperties": False}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA, "title": "saeprobe report"}
    return json.dumps(head | made, indent=1) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")  # noqa: T201 - the schema is its output

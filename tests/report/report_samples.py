"""Builders of samples, evidence and whole reports for the tests of this folder."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import msgspec

from saeprobe.claims import Claim, Control, Verdict, Word
from saeprobe.evidence import ControlResult, Evidence, EvidenceOutcome, Sample, UnitValue
from saeprobe.prompts import Prompt
from saeprobe.report import ProbeRecord, build_document, plain, planned_name, probe_to_json, shape
from saeprobe.report.shape import Document
from saeprobe.store.instrument import InstrumentCheck, LayerFit

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'\"&{{ 7*7 }}"
TOPICS = ("tides", "gravity", "recursion", "sleep", "glass", "rust", "bees", "tea", "maps", "rain", "salt", "bread")
TEMPLATES = {
    "novice": ("Explain {topic} to a novice.", "I am new to this. What is {topic}?", "Start from zero: {topic}."),
    "expert": ("Explain {topic} to an expert.", "Skip the basics of {topic}.", "Tell a specialist about {topic}."),
    "standard": ("Explain {topic}.", "What is {topic}?", "Tell me about {topic}."),
    "guru": ("You are Feynman. Explain {topic}.", "As Feynman would: {topic}.", "{topic}, said by Feynman."),
}


def sample(style: str, centre: float, *, templates: int = 3, topics: int = 12, unit: str = "features") -> Sample:
    """Values that wander around `centre` by template and topic, the same every time."""
    prompts: list[Prompt] = []
    values: list[float] = []
    for row in range(templates):
        wording = TEMPLATES[style][row % 3] + (f" ({row})" if row > 2 else "")
        for column in range(topics):
            topic = TOPICS[column % 12] + (f" {column}" if column >= 12 else "")
            text = wording.replace("{topic}", topic)
            prompts.append(Prompt(text=text, style=style, topic=topic, template=wording))
            values.append(round(centre + math.sin(row * 2.1 + centre) * 0.8 + math.cos(column * 1.7 + row) * 1.6, 0))
    mean = math.fsum(values) / len(values)
    return Sample(
        label=style,
        measure="l0",
        unit=unit,
        mean=mean,
        n=len(values),
        interval=(mean - 0.7, mean + 0.7),
        values=tuple(values),
        prompts=tuple(prompts),
    )


def greater(
    left: Sample, right: Sample, *, outcome: EvidenceOutcome = "supported", controls: tuple[ControlResult, ...] = ()
) -> Evidence:
    """A comparison of two samples."""
    gap = left.mean - right.mean
    return Evidence(
        kind="greater",
        statement=f"l0 of {left.label} > l0 of {right.label}",
        outcome=outcome,
        reason=f"{left.label} lies {gap:.2f} features above {right.label}; the interval excludes zero",
        scope="these 3 templates a style",
        unit=left.unit,
        estimate=gap,
        interval=(gap - 0.9, gap + 0.9),
        level=0.95,
        p=0.0031,
        alpha=0.05,
        test="exact permutation of 3 + 3 templates",
        units="templates",
        n_units=(3, 3),
        samples=(left, right),
        controls=controls,
        rule="supported if the test finds a difference at p < 0.05 with the first side above the second",
        unit_values=tuple(unit for side in (left, right) for unit in units(side)),
    )


def units(of: Sample) -> list[UnitValue]:
    """The mean of each template."""
    groups: dict[str, list[float]] = {}
    for prompt, value in zip(of.prompts, of.values, strict=True):
        groups.setdefault(prompt.template, []).append(value)
    return [UnitValue(side=of.label, unit=name, value=math.fsum(it) / len(it)) for name, it in groups.items()]


def rival(
    name: Control,
    share: float | None,
    p: float | None,
    *,
    explains: bool = False,
    evidence: Evidence | None = None,
) -> ControlResult:
    """A control that shows this share of an effect of two features."""
    left = 2 * (share or 0.0)
    return ControlResult(
        name=name,
        answer="cannot tell" if p is None else "explains" if explains else "withstood",
        estimate=left,
        interval=None if p is None else (left - 0.5, left + 0.5),
        p=p,
        detail=f"what the control for {name} did, in words",
        share=share,
        evidence=evidence,
    )


def length(*, explains: bool, estimate: float) -> ControlResult:
    """A length control with half a feature on each side."""
    return ControlResult(
        name="length",
        answer="explains" if explains else "withstood",
        estimate=estimate,
        interval=(estimate - 0.5, estimate + 0.5),
        p=0.41 if explains else 0.004,
        detail="adjusted for 0.31 features a token within each style",
    )


RUN = shape.Run(
    command="pytest probes/ -n 2",
    ended="2026-07-01T12:00:00+00:00",
    exit_code=1,
    duration_s=12.3,
    alpha=0.05,
    seed=0,
    workers=2,
    commit="0123456789abcdef0123456789abcdef01234567",
    dirty=True,
    changed=("probes/a.py", "论文 'a'.toml", "b", "c", "d"),
    python="3.11.7",
    platform="Linux-6.1.0-x86_64",
    device="cpu",
    evidence_dir=None,
    versions={"saeprobe": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6", "pytest": "9.2.0"},
    computed_prompts=144,
    stored_prompts=0,
    files={},
)


def subject(name: str, missing: str | None = None) -> shape.Subject:
    """Describe a subject, or one that is absent."""
    if missing is not None:
        return shape.Subject(name=name, missing=missing)
    return shape.Subject(
        name=name,
        model=f"specimens/{name}/model",
        model_hash="sha256:" + "ab" * 32,
        sae=f"specimens/{name}/sae",
        sae_hash="sha256:" + "cd" * 32,
        hook_name="blocks.2.hook_resid_pre",
        d_in=160,
        d_sae=1280,
        dtype="float32",
        protocol="BOS prepended; last token of the prompt",
        fingerprint="ef" * 32,
        instrument=instrument(),
    )


def instrument(*findings: str, misfit: str | None = None) -> InstrumentCheck:
    """Check an SAE before block 2 against its neighbours; it is broken where it finds something, but on purpose."""
    return InstrumentCheck(
        broken=bool(findings) and misfit is None,
        findings=findings,
        misfit=misfit,
        l0=23.2,
        variance_explained=0.919,
        source="the card of the specimen",
        layers=tuple(
            LayerFit(
                shift=shift,
                layer=f"output of layer {shift + 1}",
                l0=l0,
                variance_explained=explained,
                tokens=1745,
                near_threshold=0.0117,
            )
            for shift, l0, explained in ((-1, 17.9, 0.761), (0, 23.1, 0.9186), (1, 50.1, 0.733))
        ),
    )


def changed(document: Document, change: Callable[[Any], object]) -> Document:
    """Read the document again after its JSON was changed."""
    held = json.loads(json.dumps(plain(document, "document")))
    change(held)
    return msgspec.convert(held, Document)


def document_of(records: list[ProbeRecord]) -> Document:
    """A document of these records, planned as they stand."""
    return build_document(
        probes=records,
        run=RUN,
        subjects=[subject("sparrow"), subject("finch"), subject("llama70b", "weights absent: saeprobe fetch llama70b")],
        planned=[planned_name(record["claim"]["id"], record["subject"]) for record in records],
        generated="2026-11-22T04:00:00+00:00",
    )


def record(
    claim_id: str, *, word: Word = "supported", subject: str = "sparrow", text: str = "because", source: str = "here"
) -> ProbeRecord:
    """A probe without evidence."""
    return probe_to_json(
        claim=Claim(id=claim_id, sentence=f"Sentence {claim_id}.", source=source),
        nodeid=f"t.py::{claim_id}[{subject}]",
        subject=subject,
        verdict=Verdict(word=word, reason=text),
        evidence=[],
        published=[],
        duration_s=0.1,
    )

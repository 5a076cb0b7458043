"""A report with a claim of every kind and verdict, and strings that attack the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from report_samples import HOSTILE, document_of, greater, length, rival, sample

from saeprobe.claims import Claim, NonReproduction, Verdict, inconclusive, published
from saeprobe.evidence import Evidence, Needed, Sample
from saeprobe.evidence.printed import PublishedComparison
from saeprobe.report import ProbeRecord, probe_to_json
from saeprobe.report.shape import Document
from saeprobe.verdicts.baseline import BaselineComparison, BaselineRow
from saeprobe.verdicts.baseline_files import Baseline, Provenance

BASELINE = BaselineComparison(
    baseline=Baseline(
        claim="day1.novice-more-than-expert",
        subject="finch",
        sentence="A prompt for a novice activates more features than one for an expert.",
        approved_by="Ada L.",
        because=f"read against table 2 {HOSTILE}",
        on="2026-11-20",
        verdict="supported",
        values=(),
        measured_with=Provenance(commit="0123456789abcdef"),
    ),
    rows=tuple(
        BaselineRow(
            label=label,
            measure="l0",
            unit="features",
            approved=approved,
            measured=measured,
            noise=noise,
            noise_from=made_of,
            agrees=agrees,
        )
        for label, approved, measured, noise, made_of, agrees in (
            ("novice", 11.833, 14.222, 0.612, "8 templates, paired", False),
            ("expert", 11.61, 11.61, 1.161e-05, "rounding", True),
            ("guru", 13.1, None, None, None, None),
        )
    ),
    changed=("SAE (hash 12ab34cd -> 56ef7890)", "transformers 5.23.0 -> 5.24.1", "commit 0123456789ab -> 89ab"),
)
"""What was approved of the claim on finch."""


def _records() -> list[ProbeRecord]:
    novice, expert = sample("novice", 14.2), sample("expert", 11.6)
    standard, guru = sample("standard", 12.9), sample("guru", 13.1)
    printed = published(novice=13.9, expert=11.2, unit="features", n=50)
    main = Claim(
        id="day1.novice-more-than-expert",
        sentence="A prompt for a novice activates more features than one for an expert.",
        source="SAE Inspect, table 2",
        published={"sparrow": printed, "finch": printed},
        controls=("length",),
    )
    every = Claim(
        id="day1.novice-most",
        sentence="A novice prompt activates the most features of all styles.",
        source="SAE Inspect, table 1",
        not_reproduced={"finch": NonReproduction(word="refuted", reason="The order of styles is another one.")},
        controls=("length",),
    )
    split = Claim(
        id="day1.separated", sentence="Feature 812 fires on every novice and no expert prompt.", source="ibid."
    )
    steer = Claim(
        id="manual.steer-golden-gate",
        sentence="Steering feature 412 injects the Golden Gate Bridge.",
        source="SAE manual, section 4",
    )
    drift = Claim(
        id="day1.drift", sentence="新手提示词激活的特征数约为 132 个。", source="SAE Inspect, 表 2", published={}
    )
    shaky = Claim(
        id="day1.intensity", sentence="Active features are about equally strong in both styles.", source="table 3"
    )
    vague = Claim(id="manual.monosemantic", sentence="A feature means one thing.", source="SAE manual, section 1")
    attack = Claim(
        id="hostile.strings",
        sentence=f"A sentence that attacks: {HOSTILE}",
        source=HOSTILE,
        not_reproduced={"sparrow": inconclusive(HOSTILE)},
    )
    away = Claim(id="day1.sparse", sentence="A few hundred features are active on a token.", source="SAE Inspect")
    parts = (
        greater(novice, expert, controls=(length(explains=False, estimate=2.1),)),
        greater(novice, standard, controls=(length(explains=False, estimate=0.9),)),
        greater(novice, guru, outcome="refuted", controls=(length(explains=True, estimate=0.1),)),
    )
    whole = Evidence(
        kind="every",
        statement="l0 of novice > l0 of each other style",
        outcome="refuted",
        reason="2 of 3 hold; against guru the effect is explained by length",
        scope="these 3 templates a style",
        unit="features",
        parts=parts,
    )
    fires = Sample(
        label="novice",
        measure="firing of feature 812",
        unit="rate",
        mean=1.0,
        n=36,
        interval=(0.9026, 1.0),
        values=(1.0,) * 36,
        prompts=novice.prompts,
    )
    silent = Sample(
        label="expert",
        measure="firing of feature 812",
        unit="rate",
        mean=1 / 36,
        n=36,
        interval=(0.0007, 0.1453),
        values=(1.0,) + (0.0,) * 35,
        prompts=expert.prompts,
    )
    separation = Evidence(
        kind="separation",
        statement="feature 812 separates novice from expert",
        outcome="inconclusive",
        reason="1 of 36 expert prompts fires it; 95% interval 0.07% to 14.5%",
        scope="these 3 templates a style",
        unit="rate",
        estimate=1 - 1 / 36,
        level=0.95,
        alpha=0.05,
        test="Clopper-Pearson",
        units="prompts",
        n_units=(36, 36),
        samples=(fires, silent),
    )
    steered = greater(sample("novice", 9.0, unit="mentions"), sample("expert", 2.0, unit="mentions"))
    quotes = (
        ("unsteered", "I went to the store to buy", " milk and a loaf of bread.\n  Then I came home."),
        (
            "steered at 12",
            "I went to the store to buy",
            " a ticket to the Golden Gate Bridge,\n\n    red above the bay.",
        ),
        ("steered at 12", "On Monday I will buy", f" {HOSTILE}"),
        ("random features at 12", "I went to the store to buy", " milk, tea and 一座红色的桥。"),
    )
    injected = replace(steered, continuations=quotes)
    hurt = Sample(label=HOSTILE, measure="l0", unit=HOSTILE, mean=3.0, n=None)
    attacked = Evidence(
        kind="about equal",
        statement=HOSTILE,
        outcome="inconclusive",
        reason=HOSTILE,
        scope=HOSTILE,
        unit=HOSTILE,
        test=HOSTILE,
        units=HOSTILE,
        samples=(hurt,),
        continuations=((HOSTILE, HOSTILE, HOSTILE),),
    )

    def record(
        claim: Claim,
        subject: str,
        verdict: Verdict,
        *evidence: Evidence,
        published: Sequence[PublishedComparison] = (),
        baseline: BaselineComparison | None = None,
    ) -> ProbeRecord:
        return probe_to_json(
            claim=claim,
            nodeid=f"probes/test_{claim.id.replace('.', '_').replace('-', '_')}.py::test_it[{subject}]",
            subject=subject,
            verdict=verdict,
            evidence=evidence,
            published=published,
            duration_s=0.4,
            baseline=baseline,
        )

    alone = greater(sample("novice", 12.0), sample("expert", 11.8), outcome="inconclusive")
    rivals = (
        length(explains=False, estimate=1.9),
        rival("wording", None, None),
        rival("random-model", 0.15, 0.4, evidence=alone),
        rival("injection", 0.8, 0.002, explains=True, evidence=alone),
    )
    both = replace(
        greater(novice, expert, controls=rivals),
        margin=0.5,
        tried=1280,
        needed=Needed(units="templates a style", have=3, wanted=9, prompts=216),
    )
    compared = [
        PublishedComparison(
            label=label,
            value=printed.values[label],
            unit="features",
            tolerance=0.75,
            tolerance_from="printed precision 0.05 + sampling error 0.7 of both means",
            measured=measured.mean,
            answer=answer,
            rounding=0.05,
            sampling=0.7,
        )
        for label, measured, answer in (("novice", novice, "agrees"), ("expert", expert, "drifted"))
    ]
    scope = "these 3 templates a style"
    return [
        record(
            main, "sparrow", Verdict(word="supported", reason=both.reason, scope=scope), both, published=compared[:1]
        ),
        record(
            main,
            "finch",
            Verdict(
                word="drifted", reason="the statement holds, but expert is 11.6 where 11.2 was printed", scope=scope
            ),
            both,
            published=compared,
            baseline=BASELINE,
        ),
        record(every, "sparrow", Verdict(word="refuted", reason=whole.reason, scope=scope), whole),
        record(
            every,
            "finch",
            Verdict(word="refuted", reason=whole.reason, scope=scope),
            whole,
        ),
        record(split, "sparrow", Verdict(word="inconclusive", reason=separation.reason, scope=scope), separation),
        record(steer, "sparrow", Verdict(word="supported", reason="it does", scope="8 prompts"), injected),
        record(
            drift, "sparrow", Verdict(word="drifted", reason="均值为 14.2，发表值为 132。", scope="仅限这些模板"), both
        ),
        record(shaky, "sparrow", Verdict(word="broken", reason="ValueError: no finite value\n  in strip 3")),
        record(vague, "sparrow", Verdict(word="unverifiable", reason="the sentence names no feature and no test")),
        record(attack, "sparrow", Verdict(word="inconclusive", reason=HOSTILE, scope=HOSTILE), attacked),
        record(
            away,
            "llama70b",
            Verdict(word="not run", reason="weights are absent; bring them with: saeprobe fetch llama70b"),
        ),
    ]


@pytest.fixture
def records() -> list[ProbeRecord]:
    """Eleven probes of nine claims on three subjects, with every verdict among them."""
    return _records()


@pytest.fixture
def document(records: list[ProbeRecord]) -> Document:
    """The report of `records`."""
    return document_of(records)


@pytest.fixture
def make_document() -> Callable[[list[ProbeRecord]], Document]:
    """`document_of`, for tests that choose their own records."""
    return document_of

"""A small report of nearly every kind of evidence, made of numbers that were chosen or drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from report_samples import document_of
from scipy.sparse import csr_array

from saeprobe import about, correlation, every, ordered, ratio
from saeprobe.claims import Claim, Control, Over, Published, published
from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.evidence.values import Measurement
from saeprobe.features import Features, RecordedRun, Token
from saeprobe.measures import clusters, exclusive_features, scan, separates
from saeprobe.prompts import Prompt
from saeprobe.report import ProbeRecord, probe_to_json
from saeprobe.report.shape import Document
from saeprobe.verdicts import decide

TOPICS = ("tides", "yeast", "comets", "rust", "soil", "bees")
WORDS = {"novice": ("novice",), "expert": ("expert",)}


def prompts(style: str, templates: int, topics: Sequence[str]) -> tuple[Prompt, ...]:
    """Each wording of a style on each topic."""
    return tuple(
        Prompt(
            text=f"{style[:3]} {row}: {topic}",
            style=style,
            topic=topic,
            template=f"{style[:3]} {row}: {{topic}}",
            frame=f"{style} {row}",
        )
        for row, topic in product(range(templates), topics)
    )


def measured(
    style: str,
    mean: float,
    *,
    seed: int,
    templates: int = 4,
    topics: Sequence[str] = TOPICS,
    measure: str = "l0",
    spread: float = 0.5,
) -> Measurement:
    """Values about a mean, with a level for each topic and some, which spread so far, for each wording."""
    rng = np.random.default_rng(seed)
    levels, wordings = 3.0 * np.arange(len(topics)), rng.normal(0, spread, (templates, 1))
    values = mean + levels + wordings + rng.normal(0, 0.4, (templates, len(topics)))
    length = np.tile(np.arange(len(topics)), templates) + 10 + int(rng.integers(3))
    return Measurement(
        measure=measure,
        label=style,
        unit="features",
        values=np.round(values.ravel(), 3),
        prompts=prompts(style, templates, topics),
        n_tokens=length,
        words=WORDS,
    )


def fired(style: str, shares: Sequence[float], *, topics: Sequence[str] = TOPICS) -> Measurement:
    """Whether something fires: on this share of the prompts of each wording."""
    hits = [float(place < round(share * len(topics))) for share in shares for place in range(len(topics))]
    return Measurement(
        measure="firing rate",
        label=style,
        unit="share of prompts",
        values=np.array(hits),
        prompts=prompts(style, len(shares), topics),
    )


def features(
    rates: Mapping[str, Sequence[float]], *, templates: int, seed: int, topics: Sequence[str] = TOPICS
) -> Features:
    """Features that fire on a style's prompts with these probabilities."""
    rng = np.random.default_rng(seed)
    asked = tuple(prompt for style in rates for prompt in prompts(style, templates, topics))
    acts = np.array([rng.random(len(rates[prompt.style])) < rates[prompt.style] for prompt in asked], dtype=np.float32)
    return Features(
        subject="made",
        acts=csr_array(acts),
        row_prompt=np.arange(len(asked)),
        tokens=tuple(Token(position=1, text="x", start=0, end=1) for _ in asked),
        prompts=asked,
        n_tokens=np.full(len(asked), 9),
    )


def injected(side: Measurement, mean: float, spread: float = 0.5) -> Measurement:
    """The side, whose words bring about this mean in eight neutral wordings, which spread so far."""
    neutral = [replace(prompt, style=side.label) for prompt in prompts("neutral", 8, TOPICS)]
    there = measured(side.label, mean, seed=40 + round(mean), templates=8, spread=spread)
    there = replace(there, prompts=tuple(neutral))

    def under(_control: Control, _draw: int) -> Measurement:
        return there

    return replace(side, under=under)


def drawn(side: Measurement, mean: float) -> Measurement:
    """The side, of which each draw of a random model makes about this mean."""

    def under(_control: Control, draw: int) -> Measurement:
        return measured(side.label, mean, seed=100 + 2 * draw + (side.label == "novice"))

    return replace(side, under=under)


def with_frames(side: Measurement, count: int) -> Measurement:
    """The side, whose first wordings share their frames with those of the other style."""
    wordings = list(dict.fromkeys(prompt.template for prompt in side.prompts))[:count]
    named = {template: f"frame {row}" for row, template in enumerate(wordings)}
    return replace(side, prompts=tuple(replace(it, frame=named.get(it.template, it.frame)) for it in side.prompts))


def said(side: Measurement, count: int) -> Measurement:
    """The side, whose first wordings say the style's own word."""
    templates = list(dict.fromkeys(prompt.template for prompt in side.prompts))
    words = dict.fromkeys(templates[:count], f"{side.label} ")
    return replace(side, prompts=tuple(replace(it, text=words.get(it.template, "") + it.text) for it in side.prompts))


def longer(side: Measurement) -> Measurement:
    """The side, whose wordings are of unequal length, others for an expert."""
    wordings = list(dict.fromkeys(prompt.template for prompt in side.prompts))
    by = [10 + 3 * (wordings.index(it.template) % (3 if side.label == "expert" else 4)) for it in side.prompts]
    return replace(side, n_tokens=np.array(by) + np.arange(len(by)) % len(TOPICS))


def copied(side: Measurement) -> Measurement:
    """The side, whose second wording is the first with a word of courtesy."""
    first, second = list(dict.fromkeys(prompt.template for prompt in side.prompts))[:2]

    def near(prompt: Prompt) -> Prompt:
        template = f"Please, {first}"
        return replace(prompt, template=template, text=template.format(topic=prompt.topic))

    return replace(side, prompts=tuple(near(it) if it.template == second else it for it in side.prompts))


def framed(style: str, mean: float, *, seed: int) -> Measurement:
    """Twelve wordings, each of which shares a frame with one of any other style; words alone spread widely."""
    side = measured(style, mean, seed=seed, templates=12)
    asked = tuple(replace(prompt, frame=prompt.frame.split()[-1]) for prompt in side.prompts)
    return injected(replace(side, prompts=asked), 8 + 0.6 * (mean - 8), spread=3)


def flat(style: str, value: float) -> Measurement:
    """Six wordings of just one value."""
    return replace(fired(style, (1,) * 6), measure="l0", unit="features", values=np.full(36, value))


NOVICE, EXPERT = measured("novice", 12, seed=1), measured("expert", 8, seed=2)
HALFWAY = measured("guru", 9, seed=3)
WIDE = [measured(style, mean, seed=seed, templates=20) for style, mean, seed in (("novice", 12, 4), ("expert", 11, 5))]
ONE_WORDING = [
    measured(style, mean, seed=seed, templates=1) for style, mean, seed in (("novice", 12, 6), ("expert", 9, 7))
]
TWIN = replace(NOVICE, label="steered", values=np.round(NOVICE.values + np.linspace(0.2, 1.0, 24), 3))
RANK = replace(NOVICE, measure="rank", values=np.round(2 * NOVICE.values + np.sin(np.arange(24)), 3))
PAIR = features({"novice": (0.9,) * 6 + (0.1,) * 30, "expert": (0.1,) * 6 + (0.01,) * 30}, templates=5, seed=1)
APART = features({"novice": (0.9,) * 8 + (0.1,) * 8, "expert": (0.1,) * 8 + (0.9,) * 8}, templates=5, seed=2)
MANY = features({"novice": (0.2,) * 20 + (0.7,) * 20, "expert": (0.1,) * 20 + (0.0,) * 20}, templates=10, seed=3)
SURE = features({"novice": (1.0, 1.0, 0.9), "expert": (0.0, 0.0, 0.0)}, templates=8, seed=4)

Asked = Callable[[], object]


def within(a: Measurement, b: Measurement, margin: float) -> Evidence:
    """Both about equal."""
    return a == about(b, margin=margin)


def _under_controls(words_of_novice: float) -> Asked:
    a, b = injected(NOVICE, words_of_novice), injected(EXPERT, 8)
    return lambda: a > b


def _adjusted(templates: tuple[int, int], *, frames: int = 0, words: int = 0) -> Asked:
    """Two styles of so many wordings, under the controls for length and wording."""
    sides = (
        measured(style, mean, seed=seed, templates=of)
        for style, mean, seed, of in zip(("novice", "expert"), (12.0, 9.0), (21, 22), templates, strict=True)
    )
    a, b = (longer(said(with_frames(side, frames), words)) for side in sides)
    return lambda: a > b


def _drawn(mean_of_novice: float) -> Asked:
    a, b = drawn(NOVICE, mean_of_novice), drawn(EXPERT, 8)
    return lambda: a > b


def _in_frames() -> Evidence:
    a, b = framed("novice", 12, seed=8), framed("expert", 8, seed=9)
    return a > b


def _longer_topics() -> Evidence:
    """One wording a style, that of the novice longer on all topics than the expert's on any."""
    novice, expert = ONE_WORDING
    count = np.arange(len(novice.prompts))
    return replace(novice, n_tokens=count % 5 + 30) > replace(expert, n_tokens=count % 5 + 10)


ALWAYS = fired("novice", (1, 1, 1, 1, 1, 1 / 2))


def _uneven(style: str, mean: float, first: float, *, seed: int) -> Measurement:
    """Six wordings, of which the first alone is on all topics and has a mean of its own."""
    side = measured(style, mean, seed=seed, templates=6, spread=0.1)
    count = np.arange(len(side.prompts))
    moved = replace(side, values=side.values + (first - mean) * (count < len(TOPICS)))
    return moved.select((count < len(TOPICS)) | (count % len(TOPICS) < 2))


NUMBERS = published(novice=float(np.mean(NOVICE.values)), unit="features", tolerance=0.1)
TURNED = published(novice=20, expert=22, unit="features", tolerance=30)
MOVED = published(novice=3.0, unit="features", tolerance=0.1)
VACUOUS = published(novice=20, unit="features", tolerance=12)
SAMPLED = published(novice="20", expert="15", n=24, unit="features")
COUNTED = published(novice=25, expert=3, n=24, wordings=4, unit="features")
CONTROLS: tuple[Control, ...] = ("length", "wording", "injection")
ADJUSTING = CONTROLS[:2]

PROBES: Mapping[str, tuple[Asked, tuple[Control, ...], tuple[Over, ...], Published | None]] = {
    "greater.controls": (_under_controls(8.2), CONTROLS, (), None),
    "greater.words": (_under_controls(12), CONTROLS, (), None),
    "greater.unequal": (_adjusted((4, 6), words=2), ADJUSTING, (), None),
    "greater.free": (_adjusted((8, 8), words=3), ADJUSTING, (), None),
    "greater.framed": (_adjusted((8, 8), frames=8, words=2), ADJUSTING, (), None),
    "greater.partly-framed": (_adjusted((8, 8), frames=6, words=2), ADJUSTING, (), None),
    "greater.wordings-and-topics": (_adjusted((6, 6), words=2), ADJUSTING, ("templates", "topics"), None),
    "greater.on-topics": (_adjusted((4, 4), words=2), ADJUSTING, ("topics",), None),
    "greater.longer-topics": (_longer_topics, ADJUSTING[:1], (), None),
    "greater.copies": (lambda: copied(WIDE[0]) > copied(WIDE[1]), (), (), None),
    "greater.drawn": (_drawn(8), ("random-model",), (), None),
    "greater.as-drawn": (_drawn(12), ("random-model",), (), None),
    "greater.sampling": (lambda: NOVICE > EXPERT, (), (), SAMPLED),
    "ratio": (lambda: ratio(NOVICE, EXPERT) == published("+21 %"), (), (), None),
    "ratio.less": (lambda: ratio(NOVICE, EXPERT) == published("+200 %"), (), (), None),
    "greater.frames": (_in_frames, ("injection",), (), None),
    "greater.contrary": (lambda: EXPERT > NOVICE, (), (), None),
    "greater.open": (lambda: NOVICE > TWIN, (), (), None),
    "greater.sampled": (lambda: WIDE[0] > WIDE[1], (), (), None),
    "greater.topics": (lambda: ONE_WORDING[0] > ONE_WORDING[1], (), (), None),
    "greater.crossed": (lambda: NOVICE > EXPERT, (), ("templates", "topics"), None),
    "greater.contradicting": (
        lambda: _uneven("novice", 15, 3, seed=10) > _uneven("expert", 8, 12, seed=11),
        (),
        (),
        None,
    ),
    "greater.paired": (lambda: TWIN > NOVICE, (), ("topics",), None),
    "greater.printed": (lambda: NOVICE > EXPERT, (), (), NUMBERS),
    "greater.moved": (lambda: NOVICE > EXPERT, (), (), MOVED),
    "greater.vacuous": (lambda: NOVICE > EXPERT, (), (), VACUOUS),
    "greater.turned": (lambda: NOVICE > EXPERT, (), (), TURNED),
    "greater.unmeasured": (lambda: NOVICE > EXPERT, (), (), published(guru=21.0, unit="features")),
    "greater.unread": (lambda: NOVICE > EXPERT, ("injection",), (), None),
    "least.holds": (lambda: NOVICE > 1.05 * EXPERT + 1, (), (), None),
    "least.on-topics": (lambda: said(NOVICE, 2) > said(EXPERT, 2) + 1, ADJUSTING[1:], ("topics",), None),
    "least.fails": (lambda: NOVICE > EXPERT + 10, (), (), None),
    "equal.holds": (lambda: within(TWIN, NOVICE, 5), (), ("topics",), None),
    "equal.share": (lambda: about(NOVICE, share=0.3) == TWIN, (), (), None),
    "equal.fails": (lambda: within(NOVICE, EXPERT, 1), (), (), None),
    "bound.open": (lambda: NOVICE > 15, (), (), None),
    "bound.holds": (lambda: NOVICE > 10, (), ("topics",), None),
    "bound.topics": (lambda: WIDE[0] < 30, (), ("topics",), None),
    "rate.holds": (lambda: ALWAYS > 0.4, (), (), None),
    "rate.fails": (lambda: fired("novice", (0, 0, 0, 0, 0, 0, 1 / 3)) > 0.9, (), (), None),
    "rate.looked": (lambda: replace(ALWAYS, run=RecordedRun(origin="context.json"), features=(7,)) > 0.4, (), (), None),
    "rate.always": (lambda: fired("novice", (1, 1, 1)) == 1, (), (), None),
    "rate.not-always": (lambda: fired("novice", (1, 1, 1 / 2)) == 1, (), (), None),
    "greater.flat": (lambda: flat("novice", 3) > flat("expert", 2), (), (), None),
    "greater.rates": (lambda: fired("novice", (1,) * 6) > fired("expert", (0,) * 6), (), (), None),
    "every.fails": (lambda: every(side for side in (EXPERT, TWIN)) < NOVICE, (), (), None),
    "ordering": (lambda: ordered(side for side in (NOVICE, HALFWAY, EXPERT)), (), (), None),
    "exclusive.counted": (
        lambda: exclusive_features(PAIR["novice"], PAIR["expert"]) > exclusive_features(PAIR["expert"], PAIR["novice"]),
        ("activity",),
        (),
        None,
    ),
    "exclusive.printed": (
        lambda: exclusive_features(PAIR["novice"], PAIR["expert"]) > exclusive_features(PAIR["expert"], PAIR["novice"]),
        (),
        (),
        COUNTED,
    ),
    "exclusive.sampled": (
        lambda: exclusive_features(MANY["novice"], MANY["expert"]) > exclusive_features(MANY["expert"], MANY["novice"]),
        (),
        (),
        None,
    ),
    "exclusive.topics": (
        lambda: exclusive_features(MANY["novice"], MANY["expert"]) > exclusive_features(MANY["expert"], MANY["novice"]),
        (),
        ("topics",),
        None,
    ),
    "clusters": (lambda: clusters(APART), (), (), None),
    "scan": (lambda: scan(MANY["novice"], MANY["expert"], most=3), (), (), None),
    "separation": (lambda: separates([0, 1], SURE["novice"], SURE["expert"]), (), (), None),
    "separation.fails": (lambda: separates([0, 2], SURE["novice"], SURE["expert"]), (), (), None),
    "correlation": (lambda: correlation(NOVICE, RANK) > 0.5, (), (), None),
    "correlation.zero": (lambda: correlation(NOVICE, RANK) > 0, (), (), None),
}
"""What each claim asks, its controls, what it generalises over, and what is printed of it."""


def made() -> Document:
    """The report of all of them."""
    return document_of([_record(name) for name in PROBES])


def _record(name: str) -> ProbeRecord:
    ask, controls, over, numbers = PROBES[name]
    claim = Claim(
        id=name,
        sentence=f"{name}.",
        source="here",
        controls=controls,
        over=over,
        published={} if numbers is None else {"sparrow": numbers},
    )
    with recording(Recorder(controls=controls, over=over)) as recorder:
        ask()
    ended = None if all(recorder.evidence) else AssertionError()
    verdict, compared, _ = decide(claim, "sparrow", recorder.evidence, ended)
    return probe_to_json(
        claim=claim,
        nodeid=f"t.py::{name}",
        subject="sparrow",
        verdict=verdict,
        evidence=recorder.evidence,
        published=compared,
        duration_s=0.1,
    )

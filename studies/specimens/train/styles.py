"""The card states what the features say of the six styles at the end of a prompt, and what the model answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float

from studies.specimens.corpus.explanations import REGISTERS, STYLES, Style, openings, register_of, templates, topics

EncodeLast = Callable[[Sequence[str]], tuple[Float[np.ndarray, "prompts d_sae"], Sequence[int]]]


@dataclass(frozen=True, kw_only=True)
class StyleFigures:
    """A style has a mean L0 at the last token of its prompts, and a mean number of tokens without BOS."""

    style: Style
    held_out: bool
    l0: float
    tokens: float
    prompts: int


@dataclass(frozen=True, kw_only=True)
class Separation:
    """A feature chosen on trained wordings and topics, and how often it fires on those and on those held out."""

    feature: int
    fires_for: Style
    novice: float
    expert: float
    novice_held_out: float
    expert_held_out: float


def prompts(style: Style, *, held_out: bool) -> list[str]:
    """Return a style's prompts: trained wordings about trained topics, or held-out wordings about held-out topics."""
    chosen = [topic for topic in topics() if topic.held_out == held_out]
    return [
        wording.format(topic=topic.name, guru=topic.guru)
        for wording, topic in product(templates(style, held_out=held_out), chosen)
    ]


def style_figures(encode_last: EncodeLast) -> list[StyleFigures]:
    """Return each style's mean L0 and length, trained and held out. Reported as found; nothing is tuned on it."""
    figures: list[StyleFigures] = []
    for held_out, style in product((False, True), STYLES):
        features, lengths = encode_last(prompts(style, held_out=held_out))
        figures.append(
            StyleFigures(
                style=style,
                held_out=held_out,
                l0=float((features > 0).sum(1).mean()),
                tokens=float(np.mean(lengths)),
                prompts=len(lengths),
            )
        )
    return figures


def separating_features(encode_last: EncodeLast, *, k: int = 5) -> list[Separation]:
    """Return, for each direction, the ``k`` features whose firing rates on novice and expert prompts differ most.

    Ties are broken by the difference of the mean values. Chosen on trained prompts only.
    """
    values = {
        (style, held_out): encode_last(prompts(style, held_out=held_out))[0]
        for style in ("novice", "expert")
        for held_out in (False, True)
    }
    rate = {key: (features > 0).mean(0) for key, features in values.items()}
    mean = {key: features.mean(0) for key, features in values.items()}
    found: list[Separation] = []
    pairs: tuple[tuple[Style, Style], ...] = (("novice", "expert"), ("expert", "novice"))
    for style, other in pairs:
        margin = mean[style, False] - mean[other, False]
        gap = rate[style, False] - rate[other, False] + 1e-6 * margin
        found += [
            Separation(
                feature=int(feature),
                fires_for=style,
                novice=float(rate["novice", False][feature]),
                expert=float(rate["expert", False][feature]),
                novice_held_out=float(rate["novice", True][feature]),
                expert_held_out=float(rate["expert", True][feature]),
            )
            for feature in np.argsort(-gap)[:k]
        ]
    return found


Nats = Callable[[Sequence[tuple[str, str]]], Sequence[float]]


def register_rates(
    nats: Nats, *, topics_asked: int, held_out_wordings: bool, held_out_topics: bool
) -> dict[str, float]:
    """Return, by style, the share of prompts after which the style's own register is the likeliest beginning.

    A register's probability is summed over all its openings; ``nats`` gives the cost of each prompt with its
    opening, without an end of text. A guess among the four registers is right once in four times.
    """
    asked = [topic for topic in topics() if topic.held_out == held_out_topics]
    asked = asked[:: len(asked) // topics_asked]
    rates: dict[str, float] = {}
    for style in STYLES:
        pairs: list[tuple[str, str]] = []
        owners: list[int] = []
        prompts = list(product(templates(style, held_out=held_out_wordings), asked))
        for at, (wording, topic) in enumerate(prompts):
            prompt = wording.format(topic=topic.name, guru=topic.guru)
            for index, register in enumerate(REGISTERS):
                begun = [(prompt, opening) for opening in openings(register, topic=topic, guru=topic.guru)]
                pairs += begun
                owners += [at * len(REGISTERS) + index] * len(begun)
        probability = np.zeros(len(prompts) * len(REGISTERS))
        for owner, cost in zip(owners, nats(pairs), strict=True):
            probability[owner] += math.exp(-cost)
        likeliest = probability.reshape(len(prompts), len(REGISTERS)).argmax(1)
        wanted = REGISTERS.index(register_of(style))
        rates[style] = sum(int(best) == wanted for best in likeliest) / len(prompts)
    return rates

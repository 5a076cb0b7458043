"""The card states what the features say of the six styles at the end of a prompt, and what the model answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Final

import numpy as np

from saeprobe.shapes import Float
from studies.specimens.corpus.explanations import REGISTERS, STYLES, Style, openings, register_of, templates, topics

EncodeLast = Callable[[Sequence[str]], tuple[Float[np.ndarray, "prompts d_sae"], Sequence[int]]]
Nats = Callable[[Sequence[tuple[str, str]]], Sequence[float]]

_PAIR: Final[tuple[Style, Style]] = "novice", "expert"


def prompts(style: Style, *, held_out: bool) -> list[str]:
    """Return a style's prompts: trained wordings about trained topics, or held-out wordings about held-out topics."""
    chosen = [topic for topic in topics() if topic.held_out == held_out]
    return [
        wording.format(topic=topic.name, guru=topic.guru)
        for wording, topic in product(templates(style, held_out=held_out), chosen)
    ]


def style_figures(encode_last: EncodeLast) -> list[dict[str, object]]:
    """Return each style's mean L0 and length, trained and held out. Reported as found; nothing is tuned on it."""
    figures: list[dict[str, object]] = []
    for held_out, style in product((False, True), STYLES):
        features, lengths = encode_last(prompts(style, held_out=held_out))
        l0, tokens = float((features > 0).sum(1).mean()), float(np.mean(lengths))
        figures.append({"style": style, "held_out": held_out, "l0": l0, "tokens": tokens, "prompts": len(lengths)})
    return figures


def separating_features(encode_last: EncodeLast, *, k: int = 5) -> list[dict[str, object]]:
    """Return, for each direction, the ``k`` features whose firing rates on novice and expert prompts differ most.

    Ties are broken by the difference of the mean values. Chosen on trained prompts only.
    """
    values = {
        style + ("_held_out" if held_out else ""): encode_last(prompts(style, held_out=held_out))[0]
        for held_out in (False, True)
        for style in _PAIR
    }
    rate = {name: (features > 0).mean(0) for name, features in values.items()}
    mean = {name: features.mean(0) for name, features in values.items()}
    found: list[dict[str, object]] = []
    for style, other in (_PAIR, _PAIR[::-1]):
        margin = mean[style] - mean[other]
        gap = rate[style] - rate[other] + 1e-6 * margin
        for feature in np.argsort(-gap)[:k]:
            rates: dict[str, object] = {name: float(each[feature]) for name, each in rate.items()}
            found.append({"feature": int(feature), "fires_for": style, **rates})
    return found


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

"""Whether a prompt in a style makes the model begin an answer in that style's register."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from studies.specimens.corpus.explanations import REGISTERS, openings, register_of
from studies.specimens.corpus.topics import STYLES, templates, topics

Nats = Callable[[Sequence[tuple[str, str]]], Sequence[float]]


# Topics asked a condition: enough to tell, few enough to measure in seconds.
_TOPICS = 8


def register_rates(nats: Nats, *, held_out_wordings: bool, held_out_topics: bool) -> dict[str, float]:
    """Return, by style, the share of prompts after which the style's own register is the likeliest beginning.

    A register's probability is summed over all its openings; ``nats`` gives the cost of each prompt with its
    opening, without an end of text. A guess among the four registers is right once in four times.
    """
    asked = [topic for topic in topics() if topic.held_out == held_out_topics]
    asked = asked[:: len(asked) // _TOPICS]
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

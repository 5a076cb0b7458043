"""A feature that steers towards the Golden Gate Bridge is chosen on shopping prompts and judged on others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final, cast

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from saeprobe.shapes import Float, Int
from saeprobe.subject.running.steering import past_of
from studies.specimens.corpus.everyday import shopping_prompts
from studies.specimens.train.card import Readings
from studies.specimens.train.concepts import token_labels

MENTION: Final = "Golden Gate"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """An arm states what a vector did: the share of continuations that say "Golden Gate", and their perplexity.

    Perplexity is exp of the mean nats a generated token has under the unsteered model, given prompt and continuation.
    """

    mention_rate: float
    perplexity: float
    continuations: int


class Steered:
    """The residual stream of a model before one block is shifted here by a vector at every position.

    A continuation has ``tokens`` tokens, and is over after one of the tokens ``ends``.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: Any, *, block: torch.nn.Module, ends: Sequence[int], tokens: int
    ) -> None:
        self._model = cast(Any, model)
        self._block = block
        self._tokenizer = tokenizer
        self._bos = int(tokenizer.bos_token_id)
        self._tokens = tokens
        self._ends = torch.tensor(list(ends))

    def arm(self, prompts: Sequence[str], vector: Float[Tensor, " d_in"] | None, *, copies: int, seed: int) -> Arm:
        """Sample ``copies`` continuations of each prompt with the vector added, and measure them."""
        by_length: dict[int, list[list[int]]] = {}
        for prompt in prompts:
            row = [self._bos, *self._tokenizer(prompt, add_special_tokens=False)["input_ids"]]
            by_length.setdefault(len(row), []).extend([row] * copies)
        generator = torch.Generator().manual_seed(seed)
        mentioned = rows = tokens = 0
        nats = 0.0
        # Prompts of one length at a time: no padding, so that the cache holds what was read and nothing else.
        for start, group in sorted(by_length.items()):
            ids = self._sample(torch.tensor(group), vector, generator)
            kept = torch.isin(ids[:, start:], self._ends).cumsum(1) == 0
            with torch.no_grad():
                log_probs = self._model(input_ids=ids).logits.log_softmax(-1)[:, start - 1 : -1]
            nats_read = log_probs.gather(-1, ids[:, start:, None])[..., 0]
            nats -= float(nats_read[kept].sum())
            tokens += int(kept.sum())
            texts = [self._tokenizer.decode(row[keep]) for row, keep in zip(ids[:, start:], kept, strict=True)]
            mentioned += sum(MENTION in text for text in texts)
            rows += len(texts)
        return Arm(mention_rate=mentioned / rows, perplexity=math.exp(nats / max(1, tokens)), continuations=rows)

    @torch.no_grad()
    def _sample(
        self, ids: Int[Tensor, "rows pos"], vector: Float[Tensor, " d_in"] | None, generator: torch.Generator
    ) -> Int[Tensor, "rows longer"]:
        """Return the rows and ``tokens`` more, drawn at temperature 1; after an end of text they mean nothing."""
        step, past = ids, dict[str, Any]()
        hook = self._block.register_forward_pre_hook(_shift_by(vector)) if vector is not None else None
        try:
            for _ in range(self._tokens):
                read = self._model(input_ids=step, use_cache=True, **past)
                past = past_of(read)
                step = torch.multinomial(read.logits[:, -1].softmax(-1), 1, generator=generator)
                ids = torch.cat([ids, step], dim=1)
        finally:
            if hook is not None:
                hook.remove()
        return ids


def _shift_by(vector: Float[Tensor, " d_in"]) -> Callable[[object, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    """Return a hook that adds the vector to a block's input: all positions of a prompt, then each token in turn."""

    def shift(module: object, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        del module
        return (args[0] + vector, *args[1:])

    return shift


# Strengths tried and judged, in units of the mean residual norm at the hook.
_TRIED: Final = (0.5, 0.75, 1.0)
_JUDGED: Final = (0.25, 0.5, 0.75, 1.0, 1.5)
# Text counts as readable up to this multiple of the unsteered perplexity; set before measuring.
_PERPLEXITY_RATIO: Final = 2.0
_RANDOM_FEATURES: Final = 6


def theme_candidates(readings: Readings, *, k: int) -> list[int]:
    """Return the ``k`` features whose mean is highest after a mention of the Golden Gate against all other tokens.

    Ranked by (mean in the theme - mean elsewhere) / standard deviation over all tokens.
    """
    values = np.concatenate(list(readings.features))
    on_documents = zip(readings.documents, readings.offsets, strict=True)
    theme = np.concatenate([token_labels(document, where, "golden_gate_theme") for document, where in on_documents])
    inside, outside = values[theme == 1].mean(0), values[theme == 0].mean(0)
    contrast = (inside - outside) / np.maximum(values.std(0), 1e-6)
    return [int(feature) for feature in np.argsort(-contrast)[:k]]


def steering_figures(
    steered: Steered,
    readings: Readings,
    *,
    directions: Float[torch.Tensor, "d_sae d_in"],
    norm: float,
    detector: int,
    seed: int,
    candidates: int,
) -> dict[str, object]:
    """Return what steering does: the choice, then unsteered, steered, wrong-sign, detector and random arms.

    The feature and strength of the highest mention rate are chosen among those that keep the text readable. ``norm`` is
    the mean residual norm, ``detector`` the feature that detects the Golden Gate Bridge.
    """
    # Two continuations a prompt choose, eight judge: the choice is a sweep, the judgement is reported.
    choosing = partial(steered.arm, shopping_prompts("choose"), copies=2, seed=seed)
    judging = partial(steered.arm, shopping_prompts("judge"), copies=8, seed=seed + 1)
    tried_features = list(dict.fromkeys([*theme_candidates(readings, k=candidates), detector]))
    limit = _PERPLEXITY_RATIO * choosing(None).perplexity
    tried: dict[str, dict[str, dict[str, object]]] = {}
    rate, feature, strength = -1.0, tried_features[0], norm * _TRIED[0]
    for candidate in tried_features:
        arms = tried.setdefault(str(candidate), {})
        for length in [norm * share for share in _TRIED]:
            arm = choosing(length * directions[candidate])
            arms[f"{length:.3g}"] = asdict(arm)
            if arm.perplexity <= limit and arm.mention_rate > rate:
                rate, feature, strength = arm.mention_rate, candidate, length
    fired = np.any([(values > 0).any(0) for values in readings.features], axis=0)
    alive = [int(f) for f in np.flatnonzero(fired) if f not in tried_features]
    others = np.random.default_rng(seed).choice(alive, _RANDOM_FEATURES, replace=False)
    random = partial(steered.arm, shopping_prompts("judge"), copies=2, seed=seed + 2)
    return {
        "feature": feature,
        "strength": strength,
        "residual_norm": norm,
        "strength_in_residual_norms": strength / norm,
        "candidates": tried,
        "unsteered": asdict(judging(None)),
        "steered": {f"{share * norm:.3g}": asdict(judging(share * norm * directions[feature])) for share in _JUDGED},
        "wrong_sign": asdict(judging(-strength * directions[feature])),
        "detector": {"feature": detector, **asdict(judging(strength * directions[detector]))},
        "random_features": [
            {"feature": f, **asdict(random(strength * directions[f]))} for f in (int(other) for other in others)
        ],
    }

"""A feature that steers towards the Golden Gate Bridge is chosen on shopping prompts and judged on others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from studies.specimens.corpus.document import Document
from studies.specimens.corpus.everyday import shopping_prompts
from studies.specimens.train.card import Readings
from studies.specimens.train.concepts import Offsets, token_labels

MENTION: Final = "Golden Gate"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What a steering vector did: the share of continuations that say "Golden Gate", and their perplexity.

    Perplexity is exp of the mean nats a generated token has under the unsteered model, given prompt and continuation.
    """

    mention_rate: float
    perplexity: float
    continuations: int


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How continuations are drawn: length in tokens, temperature 1, so many a prompt, from a seed."""

    tokens: int
    copies: int
    seed: int


class Steered:
    """A model whose residual stream before one block can be shifted by a vector at every position.

    ``ends`` are the tokens after which a continuation is over.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: Any, *, block: torch.nn.Module, ends: Sequence[int]) -> None:
        self._model = cast(Any, model)
        self._block = block
        self._tokenizer = tokenizer
        self._bos = int(tokenizer.bos_token_id)
        self._ends = torch.tensor(list(ends))

    def arm(self, prompts: Sequence[str], vector: Float[Tensor, " d_in"] | None, sampling: Sampling) -> Arm:
        """Sample continuations of all prompts with the vector added, and measure them."""
        by_length: dict[int, list[list[int]]] = {}
        for prompt in prompts:
            row = [self._bos, *self._tokenizer(prompt, add_special_tokens=False)["input_ids"]]
            by_length.setdefault(len(row), []).extend([row] * sampling.copies)
        generator = torch.Generator().manual_seed(sampling.seed)
        mentioned = rows = tokens = 0
        nats = 0.0
        # Prompts of one length at a time: no padding, so that the cache holds what was read and nothing else.
        for start, group in sorted(by_length.items()):
            ids = self._sample(torch.tensor(group), vector, sampling.tokens, generator)
            kept = torch.isin(ids[:, start:], self._ends).cumsum(1) == 0
            log_probs = self._logits(ids).log_softmax(-1)[:, start - 1 : -1].gather(-1, ids[:, start:, None])[..., 0]
            nats -= float(log_probs[kept].sum())
            tokens += int(kept.sum())
            texts = [self._tokenizer.decode(row[keep]) for row, keep in zip(ids[:, start:], kept, strict=True)]
            mentioned += sum(MENTION in text for text in texts)
            rows += len(texts)
        return Arm(mention_rate=mentioned / rows, perplexity=math.exp(nats / max(1, tokens)), continuations=rows)

    @torch.no_grad()
    def _sample(
        self,
        ids: Int[Tensor, "rows pos"],
        vector: Float[Tensor, " d_in"] | None,
        tokens: int,
        generator: torch.Generator,
    ) -> Int[Tensor, "rows longer"]:
        """Return the rows and ``tokens`` more, drawn at temperature 1; after an end of text they mean nothing."""
        cache: Any = None
        step = ids
        hook = self._block.register_forward_pre_hook(_shift_by(vector)) if vector is not None else None
        try:
            for _ in range(tokens):
                read = self._model(input_ids=step, past_key_values=cache, use_cache=True)
                cache = read.past_key_values
                step = torch.multinomial(read.logits[:, -1].softmax(-1), 1, generator=generator)
                ids = torch.cat([ids, step], dim=1)
        finally:
            if hook is not None:
                hook.remove()
        return ids

    @torch.no_grad()
    def _logits(self, ids: Int[Tensor, "rows pos"]) -> Float[Tensor, "rows pos vocabulary"]:
        return self._model(input_ids=ids).logits


def _shift_by(vector: Float[Tensor, " d_in"]) -> Callable[[object, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    """Return a hook that adds the vector to a block's input: all positions of a prompt, then each token in turn."""

    def shift(module: object, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        del module
        return (args[0] + vector, *args[1:])

    return shift


def choose_feature(
    steered: Steered,
    prompts: Sequence[str],
    candidates: Sequence[int],
    directions: Float[Tensor, "d_sae d_in"],
    strengths: Sequence[float],
    *,
    perplexity_limit: float,
    sampling: Sampling,
) -> tuple[int, float, dict[int, dict[str, Arm]]]:
    """Return the candidate and strength of the highest mention rate among those that keep the text readable.

    ``perplexity_limit`` is the highest perplexity accepted. All arms tried are returned too.
    """
    tried: dict[int, dict[str, Arm]] = {}
    best = (-1.0, candidates[0], strengths[0])
    for feature in candidates:
        tried[feature] = {}
        for strength in strengths:
            arm = steered.arm(prompts, strength * directions[feature], sampling)
            tried[feature][f"{strength:.3g}"] = arm
            if arm.perplexity <= perplexity_limit and arm.mention_rate > best[0]:
                best = (arm.mention_rate, feature, strength)
    return best[1], best[2], tried


# Strengths tried, in units of the mean residual norm at the hook.
_TRIED: Final = (0.5, 0.75, 1.0)
_JUDGED: Final = (0.25, 0.5, 0.75, 1.0, 1.5)


# Text counts as readable up to this multiple of the unsteered perplexity; set before measuring.
_PERPLEXITY_RATIO: Final = 2.0
_RANDOM_FEATURES: Final = 6


def theme_candidates(
    documents: Sequence[Document],
    offsets: Sequence[Offsets],
    features: Sequence[Float[np.ndarray, "pos d_sae"]],
    *,
    k: int,
) -> list[int]:
    """Return the ``k`` features whose mean is highest after a mention of the Golden Gate against all other tokens.

    Ranked by (mean in the theme - mean elsewhere) / standard deviation over all tokens.
    """
    values = np.concatenate(list(features))
    theme = np.concatenate(
        [token_labels(document, where, "golden_gate_theme") for document, where in zip(documents, offsets, strict=True)]
    )
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
    tokens: int,
) -> dict[str, object]:
    """Return what steering does: the choice, then unsteered, steered, wrong-sign, detector and random arms.

    ``norm`` is the mean residual norm, ``detector`` the feature that detects the Golden Gate Bridge.
    """
    themes = theme_candidates(readings.documents, readings.offsets, readings.features, k=candidates)
    tried_features = list(dict.fromkeys([*themes, detector]))
    fired = np.any([(values > 0).any(0) for values in readings.features], axis=0)
    alive = [int(feature) for feature in np.flatnonzero(fired)]
    choose, judge = shopping_prompts("choose"), shopping_prompts("judge")
    # Two continuations a prompt choose, eight judge: the choice is a sweep, the judgement is reported.
    choosing, judging = Sampling(tokens=tokens, copies=2, seed=seed), Sampling(tokens=tokens, copies=8, seed=seed + 1)
    limit = _PERPLEXITY_RATIO * steered.arm(choose, None, choosing).perplexity
    feature, strength, tried = choose_feature(
        steered,
        choose,
        tried_features,
        directions,
        [norm * share for share in _TRIED],
        perplexity_limit=limit,
        sampling=choosing,
    )
    generator = np.random.default_rng(seed)
    others = [
        int(f) for f in generator.choice([f for f in alive if f not in tried_features], _RANDOM_FEATURES, replace=False)
    ]
    return {
        "feature": feature,
        "strength": strength,
        "residual_norm": norm,
        "strength_in_residual_norms": strength / norm,
        "candidates": {str(f): {s: asdict(arm) for s, arm in arms.items()} for f, arms in tried.items()},
        "unsteered": asdict(steered.arm(judge, None, judging)),
        "steered": {
            f"{share * norm:.3g}": asdict(steered.arm(judge, share * norm * directions[feature], judging))
            for share in _JUDGED
        },
        "wrong_sign": asdict(steered.arm(judge, -strength * directions[feature], judging)),
        "detector": {"feature": detector, **asdict(steered.arm(judge, strength * directions[detector], judging))},
        "random_features": [
            {
                "feature": f,
                **asdict(
                    steered.arm(judge, strength * directions[f], Sampling(tokens=tokens, copies=2, seed=seed + 2))
                ),
            }
            for f in others
        ],
    }

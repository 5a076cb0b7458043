"""The steering section of a model card: feature chosen on one set of shopping prompts, judged on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from jaxtyping import Float

from studies.specimens.corpus.document import Document
from studies.specimens.corpus.topics import shopping_prompts
from studies.specimens.train.instrument import Readings
from studies.specimens.train.labels import Offsets, token_labels
from studies.specimens.train.steering import Sampling, Steered, choose_feature

# Strengths tried, in units of the mean residual norm at the hook.
_TRIED = (0.5, 0.75, 1.0)


_JUDGED = (0.25, 0.5, 0.75, 1.0, 1.5)


_CANDIDATES = 8


# Text counts as readable up to this multiple of the unsteered perplexity; set before measuring.
_PERPLEXITY_RATIO = 2.0


_RANDOM_FEATURES = 6


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
) -> dict[str, object]:
    """Return what steering does: the choice, then unsteered, steered, wrong-sign, detector and random arms.

    ``norm`` is the mean residual norm, ``detector`` the feature that detects the Golden Gate Bridge.
    """
    themes = theme_candidates(readings.documents, readings.offsets, readings.features, k=_CANDIDATES)
    candidates = list(dict.fromkeys([*themes, detector]))
    fired = np.any([(values > 0).any(0) for values in readings.features], axis=0)
    alive = [int(feature) for feature in np.flatnonzero(fired)]
    choose, judge = shopping_prompts("choose"), shopping_prompts("judge")
    # Two continuations a prompt choose, eight judge: the choice is a sweep, the judgement is reported.
    choosing, judging = Sampling(copies=2, seed=seed), Sampling(copies=8, seed=seed + 1)
    limit = _PERPLEXITY_RATIO * steered.arm(choose, None, choosing).perplexity
    feature, strength, tried = choose_feature(
        steered,
        choose,
        candidates,
        directions,
        [norm * share for share in _TRIED],
        perplexity_limit=limit,
        sampling=choosing,
    )
    generator = np.random.default_rng(seed)
    others = [
        int(f) for f in generator.choice([f for f in alive if f not in candidates], _RANDOM_FEATURES, replace=False)
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
            {"feature": f, **asdict(steered.arm(judge, strength * directions[f], Sampling(copies=2, seed=seed + 2)))}
            for f in others
        ],
    }

"""Features made by hand: a few prompts, a few features, every number chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from saeprobe.claims import Control
from saeprobe.features import Features, Token
from saeprobe.prompts import Prompt

Row = tuple[str, str, str, Sequence[float]]


def features(rows: Sequence[Row], **kept: Any) -> Features:
    """Features read at one token a prompt; a row is style, template, topic and the activation of each feature."""
    prompts = tuple(
        Prompt(text=f"{style} {template}: {topic}", style=style, topic=topic, template=f"{style} {template}: {{topic}}")
        for style, template, topic, _ in rows
    )
    return Features(
        subject="hand",
        acts=csr_array(np.array([acts for *_, acts in rows], dtype=np.float32)),
        row_prompt=np.arange(len(rows)),
        tokens=tuple(Token(position=1, text=topic, start=0, end=5) for _, _, topic, _ in rows),
        prompts=prompts,
        n_tokens=np.arange(len(rows)) + 3,
        **kept,
    )


def crossed(style: str, acts: Sequence[float], *, templates: str, topics: Sequence[str]) -> list[Row]:
    """The same activations on every topic under every template (a letter each)."""
    return [(style, template, topic, acts) for template in templates for topic in topics]


def tokens_read(texts: Sequence[str], acts: Sequence[Sequence[Sequence[float]]]) -> Features:
    """Features read at several tokens: `acts[prompt][token][feature]`."""
    prompts = tuple(Prompt(text=text, style="novice", topic=text, template="{topic}") for text in texts)
    flat = [token for prompt in acts for token in prompt]
    row_prompt = np.repeat(np.arange(len(acts)), [len(prompt) for prompt in acts])
    return Features(
        subject="hand",
        acts=csr_array(np.array(flat, dtype=np.float32)),
        row_prompt=row_prompt,
        tokens=tuple(Token(position=place + 1, text="x", start=0, end=1) for place in range(len(flat))),
        prompts=prompts,
        n_tokens=np.array([len(prompt) + 1 for prompt in acts]),
    )


def conditioned(of: Features, control: Control, read: Features) -> Features:
    """The capture with what a control reads, the same in every draw."""
    return replace(of, conditions={control: (lambda: read,) * 40})


def near_rows(near: Sequence[Sequence[int] | np.ndarray], *, d_sae: int) -> csr_array:
    """`Features.near`, `[rows, d_sae]`, from the features of each row that lie near their threshold."""
    rows = np.zeros((len(near), d_sae), dtype=bool)
    for row, features_near in zip(rows, near, strict=True):
        row[np.asarray(features_near, dtype=np.int64)] = True
    return csr_array(rows)

"""Rounding: what two ways of computing differ by, and the features that are told to hang on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_llama import write_chat_tokenizer, write_llama

from saeprobe.subject.local import Subject
from saeprobe.subject.specification import Dtype, Reading, Request, SaeFile, SubjectSpec, Want

WIDTH, D_SAE = 64, 4096
TEXTS = [
    f"Tell me why {what} matters{' to us' * length}." for length, what in enumerate(("rain", "iron", "sleep", "a law"))
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of twelve layers, and a random SAE of which many features hang on a hair."""
    import torch

    root = tmp_path_factory.mktemp("rounding")
    vocabulary = write_chat_tokenizer(root / "model")
    write_llama(root / "model", layers=12, vocabulary=vocabulary, width=WIDTH)
    generator = torch.Generator().manual_seed(5)
    encoder = torch.randn(D_SAE, WIDTH, generator=generator) / WIDTH**0.5
    torch.save(
        {
            "encoder_linear.weight": encoder,
            "encoder_linear.bias": torch.zeros(D_SAE),
            "decoder_linear.weight": encoder.T.contiguous(),
            "decoder_linear.bias": torch.zeros(WIDTH),
        },
        root / "sae.pt",
    )
    return root


def open_(files: Path, dtype: Dtype) -> Any:
    """Open the subject in that dtype."""
    spec = SubjectSpec(
        name="hair",
        model=files / "model",
        sae=SaeFile(path=files / "sae.pt"),
        hook_name="blocks.9.hook_resid_post",
        prepend_bos=True,
        chat_template=True,
        dtype=dtype,
        device="cpu",
    )
    return Subject(spec=spec).open()


def read(reader: Any, texts: Sequence[str], *, batch_size: int) -> list[Reading]:
    """Read the last token of each text."""
    wants = (Want(at="last", keep=frozenset({"features", "activations"})),)
    found = dict(reader.read([Request(text=text, wants=wants) for text in texts], batch_size=batch_size))
    return [found[index][0] for index in range(len(texts))]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_where_a_batch_and_a_single_prompt_disagree_the_feature_is_near_its_threshold(
    files: Path, dtype: Dtype
) -> None:
    """A feature that fires in one of the two runs and not in the other is among `near` of both, in either dtype."""
    reader = open_(files, dtype)
    together, alone = read(reader, TEXTS, batch_size=4), read(reader, TEXTS, batch_size=1)
    for one, other in zip(together, alone, strict=True):
        differing = set(one.indices[0].tolist()) ^ set(other.indices[0].tolist())
        assert differing <= set(one.near[0].tolist()) & set(other.near[0].tolist())


def test_bfloat16_rounds_enough_for_that_to_matter(files: Path) -> None:
    """Between float32 and bfloat16 features do change sides, each of them told as near in bfloat16; most are not."""
    exact, rounded = (read(open_(files, dtype), TEXTS, batch_size=4) for dtype in ("float32", "bfloat16"))
    changed = 0
    for one, other in zip(exact, rounded, strict=True):
        differing = set(one.indices[0].tolist()) ^ set(other.indices[0].tolist())
        changed += len(differing)
        assert differing <= set(other.near[0].tolist())
        assert len(other.near[0]) < D_SAE / 2
        assert len(one.near[0]) < D_SAE / 100
    assert changed > 0


def test_near_means_within_four_standard_deviations_of_the_threshold(files: Path) -> None:
    """By hand: |x @ w| <= 4 t |x| |w| / sqrt(d_in), with the tolerance t that the dtype is given."""
    reader = open_(files, "float32")
    (reading,) = read(reader, TEXTS[:1], batch_size=1)
    x = reading.activations[0].astype(np.float64)
    encoder = reader.sae.W_enc.double().numpy()
    reach = 4 * reader.thresholds.tolerance * np.linalg.norm(x) * np.linalg.norm(encoder, axis=0) / WIDTH**0.5
    expected = np.flatnonzero(np.abs(x @ encoder) <= reach)
    assert len(set(reading.near[0].tolist()) ^ set(expected.tolist())) <= 1  # one may lie on the edge itself
    assert len(expected) > 0

"""Infinities and NaN end in an error that names prompt, place and remedy; a feature that is NaN is not silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_saes import HOOK, MadeSae, make_sae, write_model

from saeprobe.subject.specification import ReadingError, Request, Want

TEXT = "The tides are moved by the moon."
REMEDY = 'set dtype = "float32" or "bfloat16", as float16 ends at 65,504'


@pytest.fixture
def made(tmp_path: Path) -> MadeSae:
    """A model and an SAE that a test may spoil."""
    write_model(tmp_path)
    return make_sae(tmp_path)


def louder(root: Path, factor: float) -> None:
    """Multiply what the second block's MLP reads and what it writes, so that the product is in every stream after."""
    from safetensors.numpy import load_file, save_file

    (file,) = (root / "model").glob("*.safetensors")
    tensors = load_file(file)
    for name in ("model.layers.1.mlp.up_proj.weight", "model.layers.1.mlp.down_proj.weight"):
        tensors[name] = tensors[name] * np.float32(factor**0.5)
    save_file(tensors, file, metadata={"format": "pt"})


def read(reader: Any, text: str = TEXT, *, keep: str = "features") -> None:
    """Read the last token of a text, and perhaps its effective rank."""
    list(reader.read([Request(text=text, wants=(Want(at="last", keep=frozenset({keep})),))]))


def test_a_stream_that_overflows_in_float16_is_an_error_and_not_a_silent_feature(made: MadeSae) -> None:
    """The subject, the hook, the token, the prompt, the dtype and the remedy are named; in bfloat16 it can be read."""
    louder(made.root, 1e6)
    with pytest.raises(ReadingError) as caught:
        read(made.open(dtype="float16"))
    for words in ("the model of made gives infinities or NaN in float16", f"at {HOOK} on token", TEXT, REMEDY):
        assert words in str(caught.value)
    read(made.open(dtype="bfloat16"))


def test_a_stream_that_overflows_in_float32_is_an_error_too(made: MadeSae) -> None:
    """No dtype helps where the numbers grow beyond all bounds."""
    louder(made.root, 1e60)
    with pytest.raises(ReadingError, match=r"in float32 at .*; a weight is damaged, or .* download the model again"):
        read(made.open())


def test_the_block_beside_the_hook_is_named(made: MadeSae) -> None:
    """An instrument check reads there too; the stream at the block before the hook is sound."""
    louder(made.root, 1e60)
    wants = tuple(Want(at="last", keep=frozenset({"features"}), shift=shift, raw=True) for shift in (-1, 1))
    reader = made.open()
    list(reader.read([Request(text=TEXT, wants=wants[:1])]))
    with pytest.raises(ReadingError, match=rf"at {HOOK} \+1 block on token"):
        list(reader.read([Request(text=TEXT, wants=wants[1:])]))


def test_a_prompt_whose_other_tokens_overflow_has_no_effective_rank(made: MadeSae) -> None:
    """The rank is of the whole prompt, and so is the error, whichever token is read for its features."""
    louder(made.root, 1e60)
    with pytest.raises(ReadingError, match="gives infinities or NaN in float32"):
        read(made.open(), keep="effective_rank")


@pytest.mark.parametrize("keep", ["effective_rank", "activations"])
def test_what_keeps_no_features_goes_through_no_sae(made: MadeSae, monkeypatch: pytest.MonkeyPatch, keep: str) -> None:
    """An SAE that gives NaN stops neither the effective rank nor activations; a stream that overflows stops both."""
    reader: Any = made.open()
    reader.sae.W_enc.data[3, 7] = float("nan")
    monkeypatch.setattr(type(reader), "_encode", None)
    read(reader, keep=keep)
    with pytest.raises(TypeError, match="not callable"):
        read(reader, keep="features")
    louder(made.root, 1e60)
    with pytest.raises(ReadingError, match=r"the model of made gives infinities or NaN in float32 at .* on token"):
        read(made.open(), keep=keep)


def test_an_sae_that_overflows_in_float16_is_named_apart_from_the_model(made: MadeSae) -> None:
    """The stream is finite in float32, where the model computes, and not where the SAE does."""
    louder(made.root, 1e5)
    with pytest.raises(ReadingError, match=r"the SAE of made gives .* in float16 .*; set sae_dtype = \"float32\""):
        read(made.open(sae_dtype="float16"))
    read(made.open())


def test_an_sae_whose_divisor_overflows_does_not_read_every_text_alike(tmp_path: Path) -> None:
    """Each number is below 65,504 and their norm is not: divided by it, every stream would be 0."""
    import torch

    write_model(tmp_path)
    reader: Any = make_sae(tmp_path, normalize_activations="constant_norm_rescale").open(sae_dtype="float16")
    loud = torch.full((1, 16), 3e4)
    assert reader.sae.encode(loud.half()).isfinite().all()  # what hides it
    assert reader._encode(loud).finite.tolist() == [False]
    assert reader._encode(loud / 30).finite.tolist() == [True]


def test_values_that_are_nan_are_found_whatever_the_architecture(tmp_path: Path) -> None:
    """A weight of a loaded SAE is spoilt afterwards: NaN is not above zero, and a sum still takes note of it."""
    write_model(tmp_path)
    for architecture, more in (("standard", {}), ("jumprelu", {}), ("gated", {}), ("topk", {"k": 5})):
        reader = make_sae(tmp_path, architecture, **more).open()
        reader.sae.W_enc.data[3, 7] = float("nan")
        with pytest.raises(ReadingError, match="the SAE of made gives infinities or NaN in float32"):
            read(reader)

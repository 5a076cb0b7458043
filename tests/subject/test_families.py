"""Families that run layer by layer are held against transformers' hidden states and TransformerLens' centred ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_families import FAMILIES, LAYERS, WIDTH, write_family

from saeprobe.subject.files import LAYOUTS, centring_refused
from saeprobe.subject.files.model import shape_of
from saeprobe.subject.running import Run
from saeprobe.subject.specification import SubjectError

RUNS = [
    Run(ids=(0, 5, 9, 33, 60, 2), depths=tuple(range(LAYERS + 1))),
    Run(ids=(0, 7, 7, 7), depths=(0, 2, LAYERS)),
    Run(ids=(0, 1), depths=(1, LAYERS)),
]
CENTRED = [family for family in FAMILIES if LAYOUTS[family].layer_norm]


def states_of(model: Any, ids: tuple[int, ...]) -> list[Any]:
    """What transformers itself gives before each block, and the last block's output before the final norm."""
    import torch

    after: list[Any] = []
    base = model.base_model
    norms = ("norm", "ln_f", "final_layer_norm", "final_layernorm")
    norm = next(getattr(part, name) for part in (base, getattr(base, "decoder", base)) for name in norms
                if getattr(part, name, None) is not None)  # fmt: skip
    handle = norm.register_forward_pre_hook(lambda _, inputs: after.append(inputs[0][0]))
    with torch.no_grad():
        states = base(torch.tensor([ids]), output_hidden_states=True).hidden_states
    handle.remove()
    return [*(one[0] for one in states[:LAYERS]), after[0]]


def test_each_layout_has_a_model_here() -> None:
    """A family that is added without one is not tested."""
    assert FAMILIES.keys() == LAYOUTS.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_streams_are_transformers_own_hidden_states(tmp_path: Path, family: str) -> None:
    """At every depth, of prompts of several lengths in one batch, resident and streamed alike."""
    import torch

    from saeprobe.subject.running.layers import open_stack
    from saeprobe.subject.running.streamed import open_sweep

    model = write_family(tmp_path, family)
    found = {"resident": dict(open_stack(tmp_path, depth=LAYERS, dtype="float32").run(RUNS, batch_size=3))}
    try:
        found["streamed"] = dict(open_sweep(tmp_path, depth=LAYERS, dtype="float32").run(RUNS, batch_size=3))
    except SubjectError:
        assert family in ("gemma2", "gemma3_text", "gptj")  # layers of two kinds, or with tables of their own
    for streams in found.values():
        for number, run in enumerate(RUNS):
            wanted = states_of(model, run.ids)
            for depth in run.depths:
                torch.testing.assert_close(streams[number][depth], wanted[depth], atol=1e-4, rtol=1e-4)
                assert (wanted[depth] - wanted[depth - 1 if depth else 1]).abs().max() > 0.1


@pytest.mark.parametrize("family", CENTRED)
def test_the_centred_stream_is_that_of_transformer_lens(tmp_path: Path, family: str) -> None:
    """The stream minus its mean is what its bridge gives for centred weights, at every depth; the raw one is not."""
    import torch
    from made_subjects import write_word_tokenizer

    from saeprobe.subject.running.layers import centred, open_stack
    from saeprobe.subject.running.opening import BridgeModel, open_bridge

    write_family(tmp_path, family)
    write_word_tokenizer(tmp_path, ["a"])
    bridge = open_bridge(tmp_path, center_writing_weights=True, device="cpu", dtype="float32")
    reference = BridgeModel(bridge=bridge, hook_name="", n_layers=LAYERS, device="cpu")
    wanted = dict(reference.run(RUNS[:1], batch_size=1))[0]
    found = dict(open_stack(tmp_path, depth=LAYERS, dtype="float32").run(RUNS[:1], batch_size=1))[0]
    for depth, stream in found.items():
        torch.testing.assert_close(centred(stream), wanted[depth], atol=2e-4, rtol=1e-4)
        assert (stream - wanted[depth]).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "llama"}, "RMSNorm"),
        ({"model_type": "gemma2"}, "RMSNorm"),
        ({"model_type": "bloom"}, "embedding ends in a LayerNorm"),
        ({"model_type": "opt", "do_layer_norm_before": False}, "norms after the blocks"),
        ({"model_type": "opt", "hidden_size": 8, "word_embed_proj_dim": 4}, "projected embedding"),
        ({"model_type": "mamba"}, r"of a family \(mamba\)"),
    ],
)
def test_centring_is_refused_where_the_stream_minus_its_mean_is_not_known_to_be_right(
    config: dict[str, Any], reason: str
) -> None:
    """By the reason; a plain OPT is centred."""
    assert reason.replace("\\", "") in str(centring_refused(config))
    assert centring_refused({"model_type": "opt", "hidden_size": 8, "word_embed_proj_dim": 8}) is None


@pytest.mark.parametrize(
    ("family", "dropped", "said"),
    [
        ("gpt_neo", None, None),
        ("olmo2", None, None),
        ("olmo2", LAYERS, r"after 4 blocks it gives no stream where transformers has \[1, 8, 16\]"),
        ("cohere", None, "after 1 blocks it gives a stream that is .* of its length away"),
        ("openai-gpt", None, "after 1 blocks it gives a stream that is .* of its length away"),
        ("bert", None, r"after 0 blocks it gives the shape \[1, 8, 64\] where transformers has \[1, 8, 16\]"),
    ],
)
def test_a_family_that_transformer_lens_computes_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, dropped: int | None, said: str | None
) -> None:
    """Before it is read, by what is wrong with its stream; one that it computes alike is taken, in 16 bits too."""
    from made_subjects import write_word_tokenizer

    from saeprobe.subject.running import opening

    write_family(tmp_path, family)
    write_word_tokenizer(tmp_path, ["a"])
    real = opening.BridgeModel.streams

    def streams(model: Any, *asked: Any) -> dict[int, Any]:
        return {depth: one for depth, one in real(model, *asked).items() if depth != dropped}

    monkeypatch.setattr(opening.BridgeModel, "streams", streams)
    if said is None:
        for dtype in ("float32", "bfloat16"):
            assert opening.open_bridge(tmp_path, center_writing_weights=False, device="cpu", dtype=dtype)
    else:
        with pytest.raises(SubjectError, match=f"TransformerLens does not run the model .* {said}"):
            opening.open_bridge(tmp_path, center_writing_weights=False, device="cpu", dtype="float32")


LONG = {"rope_type": "longrope", "short_factor": [1.0], "long_factor": [4.0]}


@pytest.mark.parametrize(
    ("settings", "positions"),
    [
        ({"original_max_position_embeddings": 32}, 64),
        ({"original_max_position_embeddings": 32, "rope_scaling": {**LONG, "type": "su"}}, 32),
        ({"rope_parameters": {**LONG, "original_max_position_embeddings": 16}}, 16),
        ({"rope_parameters": {"full_attention": {**LONG, "original_max_position_embeddings": 16}}}, 16),
        ({"rope_parameters": {"rope_type": "yarn", "original_max_position_embeddings": 16}}, 64),
        ({"rope_scaling": LONG}, None),
    ],
)
def test_a_model_with_two_tables_of_angles_is_read_by_its_first_alone(
    tmp_path: Path, settings: dict[str, Any], positions: int | None
) -> None:
    """With a longer text in a batch transformers would read the others by the second; an unknown limit is refused."""
    config = {**FAMILIES["llama"], "model_type": "llama", **settings}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    if positions is None:
        with pytest.raises(SubjectError, match="no original_max_position_embeddings; wanted both"):
            shape_of(tmp_path)
    else:
        assert shape_of(tmp_path).positions == positions


@pytest.mark.parametrize("family", FAMILIES)
def test_a_steered_model_has_the_change_in_its_stream_and_computes_alike_in_a_batch(
    tmp_path: Path, family: str
) -> None:
    """What the next block receives differs by the change, at the embedding and behind a block; padding does nothing.

    A change along the mean does nothing to what a model with LayerNorms writes, so that a centred SAE's edit may be
    added to its raw stream.
    """
    import torch

    from saeprobe.subject.running import pad
    from saeprobe.subject.running.editing import add
    from saeprobe.subject.running.layers import LayersSpeaker, blocks_of

    model = write_family(tmp_path, family)
    ids, change = torch.tensor([RUNS[0].ids]), torch.linspace(-1, 1, WIDTH)[None]
    received: list[Any] = []
    with torch.no_grad():
        logits = model(ids).logits
        for depth in (0, 2):
            block = blocks_of(model)[depth]
            for vector in (torch.zeros_like(change), change):
                with LayersSpeaker(model=model, depth=depth, device="cpu").steered(add(vector)):
                    handle = block.register_forward_pre_hook(lambda _, args: received.append(args[0]))
                    steered = model(ids).logits
                    handle.remove()
                assert bool(torch.allclose(steered, logits)) == (vector is not change)
            torch.testing.assert_close(received.pop() - received.pop(), change[:, None].expand(1, 6, WIDTH))
        with LayersSpeaker(model=model, depth=2, device="cpu").steered(add(torch.ones(1, WIDTH))):
            assert bool(torch.allclose(model(ids).logits, logits, atol=1e-4)) == (
                family in CENTRED or family == "bloom"
            )
        batch = pad([run.ids for run in RUNS], side="left", device="cpu")
        padded = model(batch.ids, attention_mask=batch.mask, position_ids=batch.positions, logits_to_keep=1).logits
        for row, run in enumerate(RUNS):
            alone = model(torch.tensor([run.ids])).logits[0, -1]
            torch.testing.assert_close(padded[row, -1], alone, atol=1e-4, rtol=1e-3)

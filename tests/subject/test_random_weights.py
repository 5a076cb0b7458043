"""Random weights: those of an untrained model, the same in memory as a whole and layer by layer."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_llama import write_llama
from made_subjects import Made
from test_layer_stack import runs_of

from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.running import Run

VOCABULARY, LAYERS = 64, 3
PLAN = MemoryPlan(kind="resident", device="cpu", sae_device="cpu", reason="made")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2 of three layers, which has biases too, drawn wider than by default."""
    made = tmp_path_factory.mktemp("random")
    write_llama(made, layers=LAYERS, vocabulary=VOCABULARY, family="qwen2", initializer_range=0.05)
    return made


def draw_of(folder: Path, seed: int = 0) -> Any:
    """What draws the random weights for that folder."""
    from saeprobe.subject.running.weights import random_draw

    return random_draw(folder, seed=seed, dtype="float32")


def opened(folder: Path, plan: MemoryPlan, seed: int = 0) -> Any:
    """The random layers by that plan."""
    from saeprobe.subject.running.opening import open_random_layers

    return open_random_layers(folder, draw_of(folder, seed), plan=plan, depth=LAYERS, dtype="float32")


def streams(model: Any) -> dict[int, Any]:
    """What a model makes of some runs, at all depths."""
    runs = [Run(ids=one.ids, depths=tuple(range(LAYERS + 1))) for one in runs_of(VOCABULARY)]
    return dict(model.run(runs, batch_size=4))


def test_matrices_are_normal_norms_one_and_biases_zero(folder: Path) -> None:
    """As transformers begins a training; the bounds are four standard errors, sd / sqrt(n) and sd / sqrt(2 n)."""
    state = opened(folder, PLAN).model.state_dict()
    assert {name.rpartition(".")[2] for name in state} == {"weight", "bias"}
    for name, tensor in state.items():
        if name.endswith(".bias"):
            assert tensor.eq(0).all()
        elif tensor.dim() == 1:
            assert tensor.eq(1).all()
        else:
            many = tensor.numel()
            assert abs(float(tensor.mean())) < 4 * 0.05 / math.sqrt(many), name
            assert abs(float(tensor.std()) - 0.05) < 4 * 0.05 / math.sqrt(2 * many), name


def test_the_spread_is_that_of_the_configuration_or_transformers_own(folder: Path, tmp_path: Path) -> None:
    """0.05 as written here, 0.02 where nothing is."""
    (tmp_path / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    for of, spread in ((folder, 0.05), (tmp_path, 0.02)):
        drawn = draw_of(of)("layers.0.mlp.up_proj.weight", (100, 100))
        assert abs(float(drawn.std()) - spread) < 4 * spread / math.sqrt(2 * drawn.numel())


def test_each_tensor_is_drawn_by_its_name_and_the_seed(folder: Path) -> None:
    """The same again, in any order, with `model.` before the name or not; another of another layer or seed."""
    import torch

    first, shape = draw_of(folder), (4, 8)
    one = first("model.layers.0.self_attn.q_proj.weight", shape)
    other = first("model.layers.1.self_attn.q_proj.weight", shape)
    assert torch.equal(one, draw_of(folder)("layers.0.self_attn.q_proj.weight", shape))
    assert not torch.equal(one, other)
    assert not torch.equal(one, draw_of(folder, seed=1)("layers.0.self_attn.q_proj.weight", shape))


def test_layer_by_layer_is_as_resident(folder: Path) -> None:
    """The streams of a sweep are those of a stack, and so are those of a plan for several GPUs."""
    resident = streams(opened(folder, PLAN))
    for kind in ("streamed", "sharded"):
        swept = opened(folder, replace(PLAN, kind=kind))
        assert type(swept).__name__ == "LayerSweep"
        for number, by_depth in streams(swept).items():
            for depth, stream in by_depth.items():
                assert np.allclose(stream.numpy(), resident[number][depth].numpy(), atol=1e-5)


def test_nothing_is_read_of_the_trained_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where layers come one by one, which takes names and shapes from the files."""
    import safetensors

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr(safetensors, "safe_open", refuse)
    monkeypatch.setattr("saeprobe.subject.running.streamed.safe_open", refuse)
    swept = opened(folder, replace(PLAN, kind="streamed"))
    assert len(streams(swept)) == len(streams(opened(folder, PLAN))) > 0


def test_the_random_matrices_have_nothing_of_the_trained_ones(folder: Path) -> None:
    """Correlation below four standard errors, 1 / sqrt(n), for every matrix."""
    from saeprobe.subject.running.layers import open_stack

    trained = open_stack(folder, depth=LAYERS, dtype="float32").model.state_dict()
    drawn = opened(folder, PLAN).model.state_dict()
    assert drawn.keys() == trained.keys()
    for name, tensor in drawn.items():
        assert tensor.shape == trained[name].shape
        if tensor.dim() > 1:
            found = np.corrcoef(tensor.flatten().numpy(), trained[name].flatten().numpy())[0, 1]
            assert abs(found) < 4 / math.sqrt(tensor.numel()), name


def test_layers_are_drawn_in_the_dtype_that_is_computed_in(folder: Path) -> None:
    """Drawn in float32 and rounded."""
    import torch

    from saeprobe.subject.running.opening import open_random_layers

    draw = draw_of(folder)
    plain = draw("layers.0.mlp.up_proj.weight", (64, 32)).to(torch.bfloat16)
    stack: Any = open_random_layers(folder, draw, plan=PLAN, depth=1, dtype="bfloat16")
    assert torch.equal(stack.model.state_dict()["layers.0.mlp.up_proj.weight"], plain)
    swept: Any = open_random_layers(folder, draw, plan=replace(PLAN, kind="streamed"), depth=1, dtype="bfloat16")
    (layer,) = swept.files.layers(1)
    assert torch.equal(layer["mlp.up_proj.weight"], plain)


def gpt2_of(made: Made, seed: int) -> Any:
    """The made GPT-2 as transformers' own model, drawn in 32 bits."""
    from saeprobe.subject.running.weights import drawn_whole

    return drawn_whole(made.model, "float32", seed=seed).eval()


def test_a_gpt2_is_drawn_as_transformers_does_and_not_read(tiny: Made) -> None:
    """0.02 for all but what writes into the stream, which is narrower by sqrt(2 x 3 layers) (Radford et al. 2019)."""
    from safetensors.numpy import load_file

    trained = load_file(tiny.model / "model.safetensors")
    state = dict(gpt2_of(tiny, 0).named_parameters())
    assert len(state) == 2 + 12 * 3 + 2
    for name, parameter in state.items():
        flat, many = parameter.detach().flatten().numpy(), parameter.numel()
        if parameter.dim() == 1:
            assert np.array_equal(flat, np.full(many, 1.0 if name.endswith("weight") else 0.0)), name
            continue
        sd = 0.02 / math.sqrt(6) if "c_proj" in name else 0.02
        assert abs(float(flat.std()) - sd) < 4 * sd / math.sqrt(2 * many), name
        assert abs(np.corrcoef(flat, trained[name].flatten())[0, 1]) < 4 / math.sqrt(many), name


def test_drawing_a_gpt2_depends_on_the_seed_alone_and_leaves_torchs_generator_as_it_was(tiny: Made) -> None:
    """Whatever was drawn before, and whoever draws after."""
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = gpt2_of(tiny, 0)
    assert torch.equal(torch.rand(3), expected)
    again, other = gpt2_of(tiny, 0), gpt2_of(tiny, 1)
    matrix = "transformer.h.1.mlp.c_fc.weight"
    assert torch.equal(first.state_dict()[matrix], again.state_dict()[matrix])
    assert not torch.equal(first.state_dict()[matrix], other.state_dict()[matrix])


@pytest.mark.parametrize("kind", ["resident", "streamed"])
def test_a_random_gpt2_is_cut_from_the_model_drawn_whole(tiny: Made, kind: Any) -> None:
    """What is read of it are that model's own hidden states, wherever it lies; TransformerLens computes the same."""
    import torch

    from saeprobe.subject.running.opening import open_bridge, open_random_layers
    from saeprobe.subject.running.weights import random_draw

    ids = (0, 5, 6, 7)
    draw = random_draw(tiny.model, seed=3, dtype="float32")
    layers: Any = open_random_layers(tiny.model, draw, plan=replace(PLAN, kind=kind), depth=2, dtype="float32")
    ((_, found),) = layers.run([Run(ids=ids, depths=(0, 1, 2))], batch_size=1)
    bridge: Any = open_bridge(tiny.model, center_writing_weights=False, device="cpu", dtype="float32", drawn=3)
    with torch.no_grad():
        whole = gpt2_of(tiny, 3)(torch.tensor([ids]), output_hidden_states=True)
        assert torch.allclose(bridge(torch.tensor([ids])), whole.logits, atol=1e-5)
    for depth in range(3):
        torch.testing.assert_close(found[depth], whole.hidden_states[depth][0], atol=1e-5, rtol=1e-4)

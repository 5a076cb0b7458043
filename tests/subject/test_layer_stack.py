"""A stack of layers gives the residual stream of the whole model at a depth, without the layers after it."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from made_llama import remove_shards_after, write_chat_tokenizer, write_llama

from saeprobe.subject.files.shards import ShardError
from saeprobe.subject.running import Run
from saeprobe.subject.specification import Dtype, ReadingError, SubjectError

LENGTHS = (3, 17, 1, 8, 12, 8, 5)
DEPTHS = ((51,), (50, 51), (51,), (50,), (0, 1, 51), (50, 51), (51,))

Streams = Mapping[int, Mapping[int, Any]]


def runs_of(vocabulary: int) -> list[Run]:
    """Sequences of different lengths, not in their order, of depths that differ."""
    import torch

    drawn = torch.Generator().manual_seed(3)
    return [
        Run(ids=tuple(torch.randint(0, vocabulary, (length,), generator=drawn).tolist()), depths=depths)
        for length, depths in zip(LENGTHS, DEPTHS, strict=True)
    ]


def whole_model(model: Any, runs: Sequence[Run]) -> list[tuple[Any, ...]]:
    """Return `hidden_states` of transformers for each run alone; `[pos, d_in]` at each depth."""
    import torch

    with torch.no_grad():
        every = [model(torch.tensor([run.ids]), output_hidden_states=True).hidden_states for run in runs]
    return [tuple(states[0] for states in one) for one in every]


def furthest(found: Streams, wanted: Any, *, shift: int = 0) -> float:
    """Return the largest `|x - y| / |y|` of any token, with `wanted` read `shift` layers further on."""
    return max(
        float(((states.float() - wanted[number][depth + shift].float()).norm(dim=-1)
               / wanted[number][depth + shift].float().norm(dim=-1)).max())
        for number, streams in found.items()
        for depth, states in streams.items()
    )  # fmt: skip


@pytest.fixture(scope="module")
def eighty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Run], Any]:
    """A Llama of 80 layers without the files that hold only layers from 51 on; runs; what the whole model gave."""
    folder = tmp_path_factory.mktemp("eighty")
    model = write_llama(folder, layers=80, vocabulary=write_chat_tokenizer(folder))
    runs = runs_of(model.config.vocab_size)
    assert remove_shards_after(folder, 51) >= 3
    return folder, runs, whole_model(model, runs)


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, list[Run], Any]:
    """Write a Llama of four layers, all of it there."""
    model = write_llama(tmp_path, layers=4, vocabulary=64)
    runs = [Run(ids=one.ids, depths=(2, 4)) for one in runs_of(64)]
    return tmp_path, runs, model


def test_streams_are_the_hidden_states_of_the_whole_model(eighty: tuple[Path, list[Run], Any]) -> None:
    """Depths 0, 1, 50 and 51 of 80 agree in float32 to 1e-4, in padded batches."""
    from saeprobe.subject.running.layers import open_stack

    folder, runs, wanted = eighty
    stack = open_stack(folder, depth=51, dtype="float32")
    for batch_size in (1, 3, 7):
        found = dict(stack.run(runs, batch_size=batch_size))
        assert sorted(found) == list(range(len(runs)))
        for number, run in enumerate(runs):
            assert sorted(found[number]) == sorted(run.depths)
            assert all(len(states) == len(run.ids) for states in found[number].values())
        assert furthest(found, wanted) < 1e-4
    assert not any("layers.51." in name for name, _ in stack.model.named_parameters())


@pytest.mark.parametrize("shift", [-1, 1])
def test_one_layer_more_or_fewer_is_far_off(eighty: tuple[Path, list[Run], Any], shift: int) -> None:
    """The comparison can fail: the neighbouring depth is a thousand tolerances away."""
    from saeprobe.subject.running.layers import open_stack

    folder, runs, wanted = eighty
    stack = open_stack(folder, depth=51, dtype="float32")
    found = {number: {51: states[51]} for number, states in stack.run(runs, batch_size=4) if 51 in states}
    assert furthest(found, wanted, shift=shift) > 1000 * 1e-4


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_batched_is_single_within_the_bound_of_the_dtype(eighty: tuple[Path, list[Run], Any], dtype: Dtype) -> None:
    """In 16 bits too; and the bound is tight enough to tell one layer from the next."""
    from saeprobe.subject.running.layers import open_stack
    from saeprobe.subject.specification import tolerance_of

    folder, runs, _ = eighty
    stack = open_stack(folder, depth=51, dtype=dtype)
    every = [Run(ids=run.ids, depths=(49, 50, 51)) for run in runs]
    alone = [next(iter(stack.run([run], batch_size=1)))[1] for run in every]
    found = {
        number: {depth: states[depth] for depth in (50, 51)}
        for number, states in stack.run(every, batch_size=len(every))
    }
    assert furthest(found, alone) < tolerance_of(dtype, depth=51)
    assert furthest({number: {50: states[50]} for number, states in found.items()}, alone, shift=1) > 2 * tolerance_of(
        dtype, depth=51
    )


def test_bounds_of_rounding_are_worked_by_hand() -> None:
    """The bound is 2 u sqrt(depth) with u = 2^-8 and 2^-11; in float32 it is flat."""
    from saeprobe.subject.specification import tolerance_of

    assert tolerance_of("bfloat16", depth=64) == 2 * 8 / 256
    assert tolerance_of("float16", depth=64) == 2 * 8 / 2048
    assert tolerance_of("float32", depth=64) == tolerance_of("float32", depth=1) == 1e-4


@pytest.mark.parametrize("family", ["qwen2", "mistral"])
def test_other_families(tmp_path: Path, family: Literal["qwen2", "mistral"]) -> None:
    """Qwen2 adds biases to the attention, which `write_llama` fills too."""
    from saeprobe.subject.running.layers import open_stack

    model = write_llama(tmp_path, layers=4, vocabulary=64, family=family)
    runs = [Run(ids=one.ids, depths=(2, 3)) for one in runs_of(64)]
    biased = [name for name, _ in model.named_parameters() if name.endswith("q_proj.bias")]
    assert len(biased) == (4 if family == "qwen2" else 0)
    found = dict(open_stack(tmp_path, depth=3, dtype="float32").run(runs, batch_size=4))
    assert furthest(found, whole_model(model, runs)) < 1e-4


def test_the_last_depth_is_before_the_final_norm(small: tuple[Path, list[Run], Any]) -> None:
    """Transformers' last hidden state is the norm of it, which the stack has not."""
    import torch

    from saeprobe.subject.running.layers import open_stack

    folder, runs, model = small
    found = dict(open_stack(folder, depth=4, dtype="float32").run(runs, batch_size=4))
    wanted = whole_model(model, runs)
    for number, streams in found.items():
        with torch.no_grad():
            torch.testing.assert_close(model.model.norm(streams[4]), wanted[number][4], atol=1e-5, rtol=1e-4)
        assert not torch.allclose(streams[4], wanted[number][4], atol=0.1)


def test_a_batch_stops_at_its_deepest_depth(small: tuple[Path, list[Run], Any]) -> None:
    """Layers that nobody asked for are not computed."""
    from saeprobe.subject.running.layers import open_stack

    folder, runs, _ = small
    stack = open_stack(folder, depth=4, dtype="float32")
    ran: list[int] = []
    for layer in stack.model.layers:
        layer.register_forward_hook(lambda module, *_: ran.append(module.self_attn.layer_idx))
    list(stack.run([Run(ids=run.ids, depths=(1, 2)) for run in runs], batch_size=len(runs)))
    assert ran == [0, 1]
    assert all(len(layer._forward_pre_hooks) == 0 for layer in stack.model.layers)


def test_a_full_memory_halves_the_batch_and_goes_on(small: tuple[Path, list[Run], Any]) -> None:
    """Batches of seven and three sequences do not fit, so all run by ones; nothing is lost or done twice."""
    import torch

    from saeprobe.subject.running.layers import open_stack

    folder, runs, _ = small
    stack = open_stack(folder, depth=4, dtype="float32")
    wanted = dict(stack.run(runs, batch_size=7))
    sizes: list[int] = []

    def full(_: object, args: tuple[Any, ...]) -> None:
        sizes.append(len(args[0]))
        if len(args[0]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    handle = stack.model.layers[2].register_forward_pre_hook(full)
    shares: list[float] = []
    found = list(stack.run(runs, batch_size=7, progress=shares.append))
    handle.remove()
    assert sizes[:2] == [7, 3]
    assert all(size <= 2 for size in sizes[2:])
    assert sum(sizes[2:]) == len(runs) == len({number for number, _ in found})
    assert furthest(dict(found), [wanted[number] for number in range(len(runs))]) < 1e-4
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_memory_that_does_not_hold_one_prompt(small: tuple[Path, list[Run], Any]) -> None:
    """Then the plan that needs less is named."""
    import torch

    from saeprobe.subject.running.layers import open_stack

    folder, runs, _ = small
    stack = open_stack(folder, depth=4, dtype="float32")

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    stack.model.layers[2].register_forward_pre_hook(full)
    with pytest.raises(ReadingError, match=r'full with a single prompt .*memory = "streamed"'):
        list(stack.run(runs, batch_size=4))


def test_other_errors_are_not_taken_for_a_full_memory(small: tuple[Path, list[Run], Any]) -> None:
    """They come out as they are, at the first batch."""
    from saeprobe.subject.running.layers import open_stack

    folder, runs, _ = small
    stack = open_stack(folder, depth=4, dtype="float32")

    def broken(*_: object) -> None:
        raise RuntimeError("shapes do not match")

    stack.model.layers[2].register_forward_pre_hook(broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        list(stack.run(runs, batch_size=4))


def test_weights_are_placed_by_accelerate(small: tuple[Path, list[Run], Any]) -> None:
    """The streams are the same by a memory limit for each device."""
    from saeprobe.subject.running.layers import open_stack

    folder, runs, _ = small
    wanted = dict(open_stack(folder, depth=4, dtype="float32").run(runs, batch_size=4))
    found = dict(open_stack(folder, depth=4, dtype="float32", max_memory={"cpu": "1GiB"}).run(runs, batch_size=4))
    assert furthest(found, wanted) == 0


def test_what_would_spill_to_the_disk_is_refused() -> None:
    """Every batch would read it again."""
    from types import SimpleNamespace

    from saeprobe.subject.running.layers import _check_placed

    spilled = SimpleNamespace(hf_device_map={"layers.0": 0, "layers.1": 1, "layers.2": "cpu", "layers.3": "disk"})
    with pytest.raises(SubjectError, match=r'memory of 0, 1; a part would lie on cpu and disk .*memory = "streamed"'):
        _check_placed(spilled, allowed={"0", "1"})
    with pytest.raises(SubjectError, match="would lie on disk"):
        _check_placed(spilled, allowed={"0", "1", "cpu"})
    _check_placed(SimpleNamespace(hf_device_map={"layers.0": 0, "layers.1": 1}), allowed={"0", "1"})


def test_an_absent_file_is_named_before_anything_is_loaded(eighty: tuple[Path, list[Run], Any]) -> None:
    """Depth 60 needs files that hold layers after 51."""
    from saeprobe.subject.running.layers import open_stack

    with pytest.raises(ShardError, match="files with the embedding and layers 0 to 59 are not in"):
        open_stack(eighty[0], depth=60, dtype="float32")


@pytest.mark.parametrize(("depth", "message"), [(5, "which has 4 layers; wanted a depth in"), (0, "wanted a depth in")])
def test_a_depth_that_the_model_has_not(small: tuple[Path, list[Run], Any], depth: int, message: str) -> None:
    """Config and files both speak; the range is said."""
    from saeprobe.subject.files.model import read_config

    with pytest.raises(SubjectError, match=message):
        read_config(small[0], depth=depth)


def test_a_config_of_another_model_is_noticed(small: tuple[Path, list[Run], Any]) -> None:
    """A config that wants biases which the files do not have would leave them at random values."""
    from saeprobe.subject.running.layers import open_stack

    folder, _, _ = small
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "mlp_bias": True}), encoding="utf-8")
    with pytest.raises(ShardError, match=r"not of one model: layers\.0\.mlp\.down_proj\.bias is not in the files"):
        open_stack(folder, depth=2, dtype="float32")


def test_weights_that_the_model_has_no_place_for_are_noticed(tmp_path: Path) -> None:
    """A config without biases would silently drop those of the files."""
    from saeprobe.subject.running.layers import open_stack

    write_llama(tmp_path, layers=2, vocabulary=64, mlp_bias=True)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps({**config, "mlp_bias": False}), encoding="utf-8")
    with pytest.raises(ShardError, match=r"model\.layers\.0\.mlp\.down_proj\.bias has no place"):
        open_stack(tmp_path, depth=2, dtype="float32")


def test_the_temporary_view_goes_away(small: tuple[Path, list[Run], Any]) -> None:
    """It has a config and an index of the layers in question; nothing is copied or linked, and the files stay."""
    from saeprobe.subject.files.model import truncated

    with truncated(small[0], depth=2) as view:
        assert json.loads((view / "config.json").read_text(encoding="utf-8"))["num_hidden_layers"] == 2
        assert {file.name for file in view.iterdir()} == {"config.json", "model.safetensors.index.json"}
    assert not view.exists()
    assert list(small[0].glob("*.safetensors"))


def test_entries_a_layer_are_cut_too(small: tuple[Path, list[Run], Any]) -> None:
    """A list as long as the model is deep speaks of layers; other lists stay."""
    from saeprobe.subject.files.model import read_config

    config = json.loads((small[0] / "config.json").read_text(encoding="utf-8"))
    listed = {"layer_types": ["a", "b", "c", "d"], "eos_token_id": [1, 2]}
    (small[0] / "config.json").write_text(json.dumps({**config, **listed}), encoding="utf-8")
    cut = read_config(small[0], depth=3)
    assert (cut["layer_types"], cut["eos_token_id"]) == (["a", "b", "c"], [1, 2])


def test_8bit_without_bitsandbytes_says_what_to_install(
    small: tuple[Path, list[Run], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is optional."""
    from saeprobe.subject.running.layers import open_stack

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SubjectError, match="needs bitsandbytes, which is not installed; run: pip install bitsandbytes"):
        open_stack(small[0], depth=2, dtype="float32", quantisation="8bit")


@pytest.mark.filterwarnings("ignore")  # bitsandbytes' own, of whatever it finds of the machine
def test_8bit_weights_are_near_the_whole_model(eighty: tuple[Path, list[Run], Any]) -> None:
    """All seven products of each layer are in int8, and the streams still those of depth 51 rather than of 50 or 52."""
    pytest.importorskip("bitsandbytes")
    from saeprobe.subject.running.layers import open_stack

    folder, runs, wanted = eighty
    stack = open_stack(folder, depth=51, dtype="float16", quantisation="8bit")
    kinds = [type(module).__name__ for module in stack.model.modules()]
    assert kinds.count("Linear8bitLt") == 7 * 51
    found = {number: {51: states[51]} for number, states in stack.run(runs, batch_size=7) if 51 in states}
    off = furthest(found, wanted)
    assert off < 0.2  # a hundredth a product, in a random walk over 102 sums
    assert off < min(furthest(found, wanted, shift=shift) for shift in (-1, 1))


def test_no_model_in_the_folder(tmp_path: Path, small: tuple[Path, list[Run], Any]) -> None:
    """Weights without their config are said to be so."""
    from saeprobe.subject.running.layers import open_stack

    bare = tmp_path / "bare"
    bare.mkdir()
    for file in small[0].glob("model*"):
        shutil.copy(file, bare)
    with pytest.raises(SubjectError, match=r"has no config\.json"):
        open_stack(bare, depth=2, dtype="float32")

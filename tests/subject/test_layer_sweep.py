"""A sweep through the layers gives the streams of the stack, with every weight read from disk once for all prompts."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from made_families import write_family
from made_llama import remove_shards_after, write_chat_tokenizer, write_llama
from test_layer_stack import DEPTHS, furthest, runs_of, whole_model

from saeprobe.subject.files.shards import ShardError, stored_tensors
from saeprobe.subject.running import Run
from saeprobe.subject.specification import Dtype, ReadingError, SubjectError

# Llama 3's, so that the angles come from more than their base.
ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def tensor_bytes(folder: Path, *, depth: int) -> int:
    """Count the bytes on disk of the embedding and the layers before `depth`."""
    return sum(one.bytes for one in stored_tensors(folder, depth=depth).values())


@pytest.fixture(scope="module")
def eighty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Run], Any]:
    """A Llama of 80 layers without the files that hold only layers from 51 on; runs; what the whole model gave."""
    folder = tmp_path_factory.mktemp("eighty")
    size = write_chat_tokenizer(folder)
    model = write_llama(folder, layers=80, vocabulary=size, rope_parameters=ROPE)
    runs = runs_of(size)
    assert remove_shards_after(folder, 51) >= 3
    return folder, runs, whole_model(model, runs)


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, list[Run]]:
    """Write a Llama of four layers."""
    write_llama(tmp_path, layers=4, vocabulary=64)
    return tmp_path, [Run(ids=one.ids, depths=(2, 4)) for one in runs_of(64)]


class Counting:
    """Safetensors' own reader, with a count of what is taken from it, by a hand other than the sweep's."""

    tensors: ClassVar[Counter[str]]
    read: ClassVar[int]
    threads: ClassVar[set[str]]

    def __init__(self, opened: Any) -> None:
        self.opened = opened

    def __enter__(self) -> Any:
        self.file = self.opened.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.opened.__exit__(*error)

    def offset_keys(self) -> list[str]:
        """Return the names, which cost nothing."""
        return self.file.offset_keys()

    def get_tensor(self, name: str) -> Any:
        """Return a tensor and count it."""
        tensor = self.file.get_tensor(name)
        type(self).read += tensor.numel() * tensor.element_size()
        type(self).tensors[name] += 1
        type(self).threads.add(threading.current_thread().name)
        return tensor


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    """Counts what the sweep reads."""
    from saeprobe.subject.running import streamed as layer_files

    real: Any = layer_files.safe_open

    class Fresh(Counting):
        tensors: ClassVar[Counter[str]] = Counter()
        read: ClassVar[int] = 0
        threads: ClassVar[set[str]] = set()

    monkeypatch.setattr(layer_files, "safe_open", lambda *where, **how: Fresh(real(*where, **how)))
    return Fresh


def test_streams_are_the_hidden_states_of_the_whole_model(eighty: tuple[Path, list[Run], Any]) -> None:
    """Depths 0, 1, 50 and 51 of 80 agree in float32 to 1e-4, in padded batches."""
    from saeprobe.subject.running.streamed import open_sweep

    folder, runs, wanted = eighty
    sweep = open_sweep(folder, depth=51, dtype="float32")
    for batch_size in (1, 3, 7):
        found = dict(sweep.run(runs, batch_size=batch_size))
        assert {number: tuple(sorted(streams)) for number, streams in found.items()} == dict(enumerate(DEPTHS))
        assert all(len(states) == len(runs[number].ids) for number, one in found.items() for states in one.values())
        assert furthest(found, wanted) < 1e-4
    deepest = {number: {51: states[51]} for number, states in found.items() if 51 in states}
    assert min(furthest(deepest, wanted, shift=shift) for shift in (-1, 1)) > 1000 * 1e-4


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_sweep_is_the_stack(eighty: tuple[Path, list[Run], Any], dtype: Dtype) -> None:
    """The same code on the same weights in the same batches: equal in bfloat16, whose rounding hides the last bits.

    In float32 they are left, since the CPU's products sum in an order that depends on where the weights begin.
    """
    from saeprobe.subject.running.layers import open_stack
    from saeprobe.subject.running.streamed import open_sweep

    folder, runs, _ = eighty
    runs = [Run(ids=run.ids, depths=(50, 51)) for run in runs]
    stack = dict(open_stack(folder, depth=51, dtype=dtype).run(runs, batch_size=3))
    sweep = dict(open_sweep(folder, depth=51, dtype=dtype).run(runs, batch_size=3))
    assert furthest(sweep, stack) <= (0 if dtype == "bfloat16" else 1e-5)


@pytest.mark.parametrize(("prompts", "batch_size"), [(1, 8), (7, 7), (7, 2), (7, 1)])
def test_every_weight_is_read_once(
    eighty: tuple[Path, list[Run], Any], counting: type[Counting], prompts: int, batch_size: int
) -> None:
    """Each tensor is read once, whatever the number of prompts and batches."""
    from saeprobe.subject.running.streamed import open_sweep

    folder, runs, _ = eighty
    sweep = open_sweep(folder, depth=51, dtype="float32")
    list(sweep.run([Run(ids=run.ids, depths=(51,)) for run in runs[:prompts]], batch_size=batch_size))
    assert set(counting.tensors.values()) == {1}
    assert len(counting.tensors) == 1 + 9 * 51  # four products of attention, three of the MLP, two norms
    # By hand, in float32: 261 x 32; q and o 32 x 32, k and v 16 x 32, three of 64 x 32, two norms of 32.
    by_hand = 4 * (261 * 32 + 51 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 64 * 32 + 2 * 32))
    assert counting.read == tensor_bytes(folder, depth=51) == by_hand


def test_only_layers_up_to_the_deepest_run_are_read(
    eighty: tuple[Path, list[Run], Any], counting: type[Counting]
) -> None:
    """Nobody asked for more than depth 7; depth 0 is the embedding alone."""
    from saeprobe.subject.running.streamed import open_sweep

    folder, runs, wanted = eighty
    sweep = open_sweep(folder, depth=51, dtype="float32")
    found = dict(sweep.run([Run(ids=run.ids, depths=(3, 7)) for run in runs], batch_size=4))
    assert furthest(found, wanted) < 1e-4
    assert counting.read == tensor_bytes(folder, depth=7)
    found = dict(sweep.run([Run(ids=run.ids, depths=(0,)) for run in runs], batch_size=4))
    assert furthest(found, wanted) == 0
    assert counting.read == tensor_bytes(folder, depth=7) + tensor_bytes(folder, depth=0)


def test_files_of_sixteen_bits_are_counted_as_they_lie(tmp_path: Path, counting: type[Counting]) -> None:
    """A bfloat16 checkpoint computed in float32 is read as bfloat16."""
    from saeprobe.subject.running.streamed import open_sweep

    model = write_llama(tmp_path, layers=3, vocabulary=64, dtype="bfloat16")
    runs = [Run(ids=one.ids, depths=(2,)) for one in runs_of(64)]
    sweep = open_sweep(tmp_path, depth=2, dtype="float32")
    found = dict(sweep.run(runs, batch_size=4))
    assert counting.read == tensor_bytes(tmp_path, depth=2)
    assert furthest(found, whole_model(model.float(), runs)) < 1e-4


def test_the_next_layer_is_read_by_another_thread(small: tuple[Path, list[Run]], counting: type[Counting]) -> None:
    """While the first layer computes, the second is on its way."""
    from saeprobe.subject.running.streamed import open_sweep

    folder, runs = small
    sweep = open_sweep(folder, depth=4, dtype="float32")
    seen: list[bool] = []

    def second_is_coming(*_: object) -> None:
        waiting = threading.Event()
        for _ in range(200):
            if any("layers.1." in name for name in counting.tensors):
                break
            waiting.wait(0.05)
        seen.append(any("layers.1." in name for name in counting.tensors))

    handle = sweep.model.layers[0].register_forward_hook(second_is_coming)
    streams = sweep.run([Run(ids=runs[0].ids, depths=(1, 2))], batch_size=1)
    next(streams)
    handle.remove()
    assert seen[0]
    assert any(name.startswith("layer files") for name in counting.threads)


def test_a_run_is_given_out_when_its_deepest_layer_is_done(small: tuple[Path, list[Run]]) -> None:
    """Shallow runs come first; whoever stops there leaves no thread behind and no layer in memory."""
    from saeprobe.subject.running.streamed import open_sweep

    folder, runs = small
    sweep = open_sweep(folder, depth=4, dtype="float32")
    mixed = [Run(ids=run.ids, depths=(1 if number % 2 else 4,)) for number, run in enumerate(runs)]
    assert [number % 2 for number, _ in sweep.run(mixed, batch_size=2)] == [1, 1, 1, 0, 0, 0, 0]
    assert all(parameter.device.type == "meta" for parameter in sweep.model.parameters())
    half = sweep.run(mixed, batch_size=2)
    next(half)
    half.close()
    del half
    gc.collect()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("layer files")]
    assert len(dict(sweep.run(mixed, batch_size=2))) == 7


def test_a_full_memory_halves_the_batch_and_goes_on(small: tuple[Path, list[Run]], counting: type[Counting]) -> None:
    """In the middle of a layer too; halves stay halves in later layers, and no weight is read again."""
    import torch

    from saeprobe.subject.running.streamed import open_sweep

    folder, runs = small
    sweep = open_sweep(folder, depth=4, dtype="float32")
    wanted = dict(sweep.run(runs, batch_size=7))
    counting.tensors.clear()
    sizes: list[int] = []

    def full(_: object, args: tuple[Any, ...]) -> None:
        sizes.append(len(args[0]))
        if len(args[0]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    handle = sweep.model.layers[0].mlp.register_forward_pre_hook(full)
    shares: list[float] = []
    found = list(sweep.run(runs, batch_size=5, progress=shares.append))
    handle.remove()
    assert sizes == [5, 2, 2, 1, 2] + 3 * [2, 2, 1, 2]
    assert len(found) == len({number for number, _ in found}) == len(runs)
    assert furthest(dict(found), [wanted[number] for number in range(len(runs))]) < 1e-4
    assert set(counting.tensors.values()) == {1}
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_memory_that_does_not_hold_one_prompt(small: tuple[Path, list[Run]]) -> None:
    """Nothing smaller is left to try."""
    import torch

    from saeprobe.subject.running.streamed import open_sweep

    folder, runs = small
    sweep = open_sweep(folder, depth=4, dtype="float32")

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    sweep.model.layers[0].mlp.register_forward_pre_hook(full)
    with pytest.raises(ReadingError, match=r"full with a single prompt .*; shorten the longest prompt"):
        list(sweep.run(runs, batch_size=4))


def test_a_memory_that_does_not_hold_one_layer(small: tuple[Path, list[Run]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Then no batch is small enough, and the layer's size is said."""
    import torch

    from saeprobe.subject.running.streamed import open_sweep

    folder, runs = small
    sweep = open_sweep(folder, depth=4, dtype="float32")
    real = torch.Tensor.to

    def full(tensor: torch.Tensor, *where: Any, **how: Any) -> torch.Tensor:
        if tensor.shape == (64, 32) and "non_blocking" in how and tensor.device.type == "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return real(tensor, *where, **how)

    monkeypatch.setattr(torch.Tensor, "to", full)
    with pytest.raises(SubjectError, match=r"does not hold the embedding, 8\.2 kB \(CUDA out of memory"):
        list(sweep.run(runs, batch_size=4))


@pytest.mark.parametrize("family", ["qwen2", "mistral"])
def test_other_families(tmp_path: Path, family: Literal["qwen2", "mistral"]) -> None:
    """Qwen2 has biases and chooses its mask by the kind of layer; Mistral's layers all slide."""
    from saeprobe.subject.running.streamed import open_sweep

    settings = {"sliding_window": 4} if family == "mistral" else {}
    model = write_llama(tmp_path, layers=4, vocabulary=64, family=family, **settings)
    runs = [Run(ids=one.ids, depths=(2, 3)) for one in runs_of(64)]
    found = dict(open_sweep(tmp_path, depth=3, dtype="float32").run(runs, batch_size=4))
    assert furthest(found, whole_model(model, runs)) < 1e-4


def test_a_model_that_scales_its_embedding(tmp_path: Path) -> None:
    """Gemma does so in its forward, which runs once a layer here: once must be enough."""
    from saeprobe.subject.running.streamed import open_sweep

    model = write_llama(tmp_path, layers=4, vocabulary=64, family="gemma", head_dim=8)
    runs = [Run(ids=one.ids, depths=(0, 2, 3)) for one in runs_of(64)]
    found = dict(open_sweep(tmp_path, depth=3, dtype="float32").run(runs, batch_size=4))
    assert furthest(found, whole_model(model, runs)) < 1e-4


def test_layers_of_different_kinds_are_refused(tmp_path: Path) -> None:
    """Such as full and sliding attention in turn, where the stack is right; as far as they are of one kind, none is."""
    from saeprobe.subject.running.layers import open_stack
    from saeprobe.subject.running.streamed import open_sweep

    mixed = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 2}
    model = write_llama(tmp_path, layers=4, vocabulary=64, family="qwen2", **mixed)
    with pytest.raises(SubjectError, match=r"different kinds \(full_attention, sliding_attention\).*\"resident\""):
        open_sweep(tmp_path, depth=3, dtype="float32")
    runs = [Run(ids=one.ids, depths=(2,)) for one in runs_of(64)]
    assert furthest(dict(open_sweep(tmp_path, depth=2, dtype="float32").run(runs, batch_size=4)),
                    whole_model(model, runs)) < 1e-4  # fmt: skip
    deeper = [Run(ids=run.ids, depths=(3,)) for run in runs]
    assert furthest(dict(open_stack(tmp_path, depth=3, dtype="float32").run(deeper, batch_size=4)),
                    whole_model(model, deeper)) < 1e-4  # fmt: skip


@pytest.mark.parametrize("said", ["scale_attn_by_inverse_layer_idx", "attn.scaling"])
def test_a_setting_that_is_not_the_same_in_all_layers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """Whether it has a name or only the code of the layers has it; the stack is right, and so is one layer alone."""
    from transformers.models.gpt2.modeling_gpt2 import GPT2Attention

    from saeprobe.subject.running.layers import open_stack
    from saeprobe.subject.running.streamed import open_sweep

    def divided(self: Any, *args: Any, **how: Any) -> None:
        real(self, *args, **how)
        self.scaling /= self.layer_idx + 1

    if said == "attn.scaling":
        real = GPT2Attention.__init__
        monkeypatch.setattr(GPT2Attention, "__init__", divided)
    model = write_family(tmp_path, "gpt2", scale_attn_by_inverse_layer_idx=said != "attn.scaling")
    for depth, opened in ((1, open_sweep), (3, open_stack)):
        runs = [Run(ids=(3, 1, 4, 1, 5), depths=(depth,))]
        found = dict(opened(tmp_path, depth=depth, dtype="float32").run(runs, batch_size=1))
        assert furthest(found, whole_model(model, runs)) < 1e-4
    with pytest.raises(SubjectError, match=rf"of different kinds \(.*{said}.*memory = \"resident\""):
        open_sweep(tmp_path, depth=2, dtype="float32")


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    """The remedy is no other plan, which would refuse the same files."""
    import json

    from saeprobe.subject.running.streamed import open_sweep

    write_llama(tmp_path, layers=2, vocabulary=64, mlp_bias=True)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps({**config, "mlp_bias": False}), encoding="utf-8")
    said = r"layer 0 of .* has mlp\.down_proj\.bias with shape \(32,\) where config.* of none; fetch both again"
    with pytest.raises(ShardError, match=said):
        open_sweep(tmp_path, depth=2, dtype="float32")


def test_an_absent_file_is_named(eighty: tuple[Path, list[Run], Any]) -> None:
    """Before anything is read."""
    from saeprobe.subject.running.streamed import open_sweep

    with pytest.raises(ShardError, match="files with the embedding and layers 0 to 59 are not in"):
        open_sweep(eighty[0], depth=60, dtype="float32")


def test_nothing_to_run_reads_nothing(small: tuple[Path, list[Run]], counting: type[Counting]) -> None:
    """Not even the embedding is read."""
    from saeprobe.subject.running.streamed import open_sweep

    assert list(open_sweep(small[0], depth=4, dtype="float32").run([], batch_size=4)) == []
    assert counting.read == 0

"""Memory plans: what is chosen for which machine, and what no plan may do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saeprobe.subject import Gpu, Machine
from saeprobe.subject.memory import (
    ASIDE,
    MemoryNeeds,
    MemoryPlan,
    MemoryPlanError,
    batch_bytes,
    choose_plan,
    needs_of,
    why_no_8bit,
)
from saeprobe.subject.registry import built_in
from saeprobe.subject.specification import ModelShape

GB = 10**9
SHAPES = {spec.name: spec.shape for spec in built_in().values() if spec.shape is not None}
LLAMA = needs_of(SHAPES["llama70b"], depth=51, d_sae=65_536, dtype="bfloat16", sae_dtype="bfloat16")
GPT2 = needs_of(SHAPES["gpt2"], depth=12, d_sae=24_576, dtype="float32", sae_dtype="float32")
SPEED = {("resident", True): 0, ("sharded", True): 1, ("streamed", True): 2, ("resident", False): 3}


def machine(*free: float, ram: float = 32, **more: Any) -> Machine:
    """Make a machine with so many GB free on its cards, and so much RAM."""
    gpus = tuple(
        Gpu(name="L4", index=index, total_bytes=round(one * GB), free_bytes=round(one * GB) + ASIDE)
        for index, one in enumerate(free)
    )
    known: dict[str, Any] = {"cuda_usable": True, "bitsandbytes": True, "cores": 8}
    memory = round(ram * GB) + ASIDE
    return Machine(gpus=gpus, ram_bytes=memory, ram_available_bytes=memory, **(known | more))


def where(plan: MemoryPlan) -> tuple[str, str, str]:
    """Return the heart of a plan."""
    return plan.kind, plan.device, plan.sae_device


def test_the_needs_of_llama_are_those_of_its_files() -> None:
    """The published parameter count of a layer and the embedding; 51 of 80 layers are 88 GB and the SAE 2.1 GB."""
    layer = 2 * 8192**2 + 2 * 8192 * 1024 + 3 * 8192 * 28_672
    assert LLAMA.layer_bytes == 2 * layer == 1_711_276_032
    assert LLAMA.embedding_bytes == 128_256 * 8192 * 2
    assert LLAMA.weights_bytes == 51 * 1_711_276_032 + 2_101_346_304 == 89_376_423_936
    # All 80 layers, norms and the head make the 70,553,706,496 parameters that the model card states.
    assert 80 * (layer + 2 * 8192) + 2 * 128_256 * 8192 + 8192 == 70_553_706_496
    assert LLAMA.sae_bytes == 2 * (2 * 8192 * 65_536 + 8192 + 65_536)


def test_the_needs_of_gpt2_are_those_of_its_files() -> None:
    """Weights of 12 blocks with their tables, but for the 0.1 % of biases and norms: 124,439,808 parameters."""
    assert GPT2.weights_bytes / 4 == pytest.approx(124_439_808, rel=0.002)
    assert GPT2.sae_bytes == 4 * (2 * 768 * 24_576 + 768 + 24_576)


def test_a_batch_is_as_wide_as_its_widest_moment() -> None:
    """By hand: 2 prompts of 4 tokens, width 6 in two bytes; the SAE, then attention, then the MLP is the widest."""
    narrow = ModelShape(
        family="layers", hidden=6, layers=1, heads=3, kv_heads=1, intermediate=1, vocabulary=9, positions=9
    )
    batch: dict[str, Any] = {"weight_bytes": 2, "prompts": 2, "tokens": 4}
    stream = 3 * 8 * 6 * 2
    assert batch_bytes(narrow, d_sae=100, **batch) == stream + 2 * 8 * 100 * 4
    attention = 8 * (6 + 2 * 1 * 2) * 2 + 2 * (2 * 3 * 4 * 4) * 4
    assert batch_bytes(narrow, d_sae=1, **batch) == stream + attention
    assert batch_bytes(replace(narrow, intermediate=50), d_sae=1, **batch) == stream + 3 * 8 * 50 * 2


def test_work_is_two_operations_a_weight() -> None:
    """A token multiplies and adds once with each weight of the blocks that run, and each of the encoder."""
    layer = 1_711_276_032 // 2
    assert LLAMA.flop_per_token == 2 * 51 * layer + 2 * 8192 * 65_536
    whole = ModelShape(
        family="bridge",
        hidden=4,
        layers=3,
        heads=2,
        kv_heads=2,
        intermediate=16,
        vocabulary=9,
        positions=7,
        gated=False,
    )
    few = needs_of(whole, depth=2, d_sae=5, dtype="float32", sae_dtype="float16")
    assert few.flop_per_token == 2 * 2 * (4 * 4 * 4 + 2 * 4 * 16) + 2 * 4 * 5
    assert few.weights_bytes == 4 * ((9 + 7) * 4 + 3 * (4 * 4 * 4 + 2 * 4 * 16))
    assert few.sae_bytes == 2 * (2 * 4 * 5 + 4 + 5)
    assert not few.shardable
    by_layers = needs_of(replace(whole, family="layers"), depth=2, d_sae=5, dtype="float32", sae_dtype="float16")
    assert by_layers.weights_bytes == 4 * ((9 + 7) * 4 + 2 * (4 * 4 * 4 + 2 * 4 * 16))


@pytest.mark.parametrize(
    ("here", "plan"),
    [
        (machine(140), ("resident", "cuda:0", "cuda:0")),
        (machine(24, 140), ("resident", "cuda:1", "cuda:1")),
        (machine(92.5), ("resident", "cuda:0", "cpu")),
        (machine(48, 48, 24), ("sharded", "cuda:0", "cuda:0")),
        (machine(16), ("streamed", "cuda:0", "cuda:0")),
        (machine(7), ("streamed", "cuda:0", "cpu")),
        (machine(4, ram=128), ("resident", "cpu", "cpu")),
        (machine(4), ("streamed", "cpu", "cpu")),
        (machine(cuda_usable=False), ("streamed", "cpu", "cpu")),
        (machine(140, cuda_usable=False), ("streamed", "cpu", "cpu")),
        (machine(ram=64, apple_gpu=True), ("streamed", "mps", "mps")),
        (machine(ram=192, apple_gpu=True), ("resident", "mps", "mps")),
    ],
)
def test_llama_on_machines_of_many_sizes(here: Machine, plan: tuple[str, str, str]) -> None:
    """The ladder from a data-centre card down to a laptop without one."""
    assert where(choose_plan(LLAMA, here)) == plan


@pytest.mark.parametrize(
    ("here", "plan"),
    [
        (machine(8), ("resident", "cuda:0", "cuda:0")),
        (machine(1), ("resident", "cpu", "cpu")),
        (machine(), ("resident", "cpu", "cpu")),
    ],
)
def test_gpt2_is_where_there_is_room(here: Machine, plan: tuple[str, str, str]) -> None:
    """It is on one card or in RAM."""
    assert where(choose_plan(GPT2, here)) == plan


def test_the_reason_is_a_sentence() -> None:
    """It says what lies where and why, with the numbers."""
    assert choose_plan(LLAMA, machine(16)).reason == (
        "streamed layer by layer from disk through cuda:0 (L4), since 89 GB of weights do not fit its 16 GB of free "
        "memory"
    )
    assert choose_plan(LLAMA, machine(140)).reason == (
        "resident on cuda:0 (L4): 94 GB of weights, SAE and batch fit its 140 GB of free memory"
    )
    assert choose_plan(LLAMA, machine(48, 48, 24)).reason == (
        "sharded over cuda:0, cuda:1, cuda:2: 89 GB of weights fit their 120 GB together"
    )
    assert choose_plan(LLAMA, machine(4)).reason == (
        "streamed layer by layer from disk through the CPU, since 89 GB of weights do not fit 32 GB of free RAM; "
        "cuda:0 (L4) has no room for it"
    )


def test_what_is_asked_for_is_done() -> None:
    """A slower kind of plan than could be had is made, and on the device named."""
    assert where(choose_plan(LLAMA, machine(140), asked="streamed")) == ("streamed", "cuda:0", "cuda:0")
    assert choose_plan(LLAMA, machine(140), asked="streamed").reason.endswith("as asked")
    assert where(choose_plan(LLAMA, machine(140), asked="streamed", device="cpu")) == ("streamed", "cpu", "cpu")
    assert where(choose_plan(LLAMA, machine(140, 140), device="cuda:1")) == ("resident", "cuda:1", "cuda:1")
    assert choose_plan(LLAMA, machine(140, 140), asked="sharded").max_memory == {
        0: 140 * GB - LLAMA.batch_bytes - LLAMA.sae_bytes,
        1: 140 * GB - LLAMA.batch_bytes,
    }


@pytest.mark.parametrize(
    ("here", "asked", "needed", "found", "remedy"),
    [
        (
            machine(16),
            {"asked": "resident"},
            "94 GB are needed in one place",
            "16 GB free on cuda:0",
            'memory = "auto"',
        ),
        (machine(16), {"asked": "sharded"}, "two GPUs or more", "1 that torch can use", 'memory = "auto"'),
        (machine(4, ram=4), {}, "7.9 GB are needed", "4 GB free on cuda:0 (L4), 4 GB of free RAM", "smaller"),
        (machine(16, ram=3), {}, "7.9 GB are needed", "16 GB free on cuda:0 (L4), 3 GB of free RAM", "smaller"),
        (machine(4), {"device": "cuda:0"}, "7.9 GB are needed", "4 GB free on cuda:0", "on cuda:0"),
        (machine(), {"device": "cuda"}, "the device is to be cuda", "no NVIDIA GPU is visible", 'device = "auto"'),
        (machine(8), {"device": "cuda:1"}, "to be cuda:1", "1 GPUs, counted from cuda:0", 'device = "auto"'),
        (machine(8, cuda_usable=False), {"device": "cuda"}, "to be cuda", "a build without CUDA", 'device = "auto"'),
        (machine(), {"device": "mps"}, "to be mps", "no Apple GPU", 'device = "auto"'),
        (machine(), {"device": "tpu"}, "to be tpu", "no plan for it", "cuda:N"),
        (machine(16), {"quantisation": "8bit"}, "8-bit weights are asked", "in 8 bits it takes", "`quantisation`"),
        (machine(), {"quantisation": "8bit"}, "8-bit weights", "need CUDA and no NVIDIA GPU", "`quantisation`"),
        (machine(140, bitsandbytes=False), {"quantisation": "8bit"}, "8-bit", "pip install bitsandbytes", "take away"),
        (machine(140), {"quantisation": "8bit", "asked": "streamed"}, "8-bit", "cannot be streamed", "take away"),
        (machine(140), {"quantisation": "8bit", "device": "cpu"}, "8-bit", "the device is to be cpu", "take away"),
    ],
)
def test_what_cannot_be_had_is_refused(
    here: Machine, asked: dict[str, Any], needed: str, found: str, remedy: str
) -> None:
    """Never a silent fallback: the error has what is needed, what was found and what to do."""
    with pytest.raises(MemoryPlanError) as caught:
        choose_plan(LLAMA, here, **asked)
    error = caught.value
    assert needed in error.needed
    assert found in error.found
    assert remedy in error.remedy
    assert str(error) == f"{error.needed}; found {error.found}; {error.remedy}"


@pytest.mark.parametrize("asked", ["sharded", "streamed"])
def test_a_model_in_one_piece_is_not_divided(asked: Any) -> None:
    """What TransformerLens loads cannot be streamed or sharded, and the remedy is named."""
    with pytest.raises(MemoryPlanError, match=f"{asked} weights are asked for; found a model whose layers cannot"):
        choose_plan(replace(GPT2, shardable=False), machine(24, 24), asked=asked)


def test_8_bits_halve_the_layers_and_not_the_embedding() -> None:
    """A card of 60 GB holds llama in 8 bits and not in 16; they are never taken without being asked for."""
    plan = choose_plan(LLAMA, machine(60), quantisation="8bit")
    assert (*where(plan), plan.quantisation) == ("resident", "cuda:0", "cuda:0", "8bit")
    assert plan.reason.endswith("in 8 bits")
    layers = LLAMA.weights_bytes - LLAMA.embedding_bytes
    rest = LLAMA.embedding_bytes + LLAMA.sae_bytes + LLAMA.batch_bytes
    assert layers / 2 + rest < plan.takes_bytes < layers / 2 * 1.03 + rest
    assert choose_plan(LLAMA, machine(60)).quantisation is None
    assert choose_plan(LLAMA, machine(40, 40), quantisation="8bit").kind == "sharded"


def test_8_bits_where_they_can_be_had_say_where_they_cannot() -> None:
    """`8bit where it can` is 8-bit on a card that holds it, and elsewhere unquantised with the reason."""
    assert choose_plan(LLAMA, machine(60), quantisation="8bit where it can").quantisation == "8bit"
    plan = choose_plan(LLAMA, machine(16), quantisation="8bit where it can")
    assert (plan.kind, plan.quantisation) == ("streamed", None)
    assert (
        "; its weights are not quantised, since in 8 bits it takes 51 GB and no GPU here has them free" in plan.reason
    )
    assert why_no_8bit(machine(60)) is None
    assert why_no_8bit(machine(60, bitsandbytes=False)) == "bitsandbytes is not installed: pip install bitsandbytes"


MEMORY = st.one_of(st.integers(0, 15 * GB), st.integers(0, 200 * GB))
MACHINES = st.builds(
    lambda free, ram, apple: machine(*(one / GB for one in free), ram=ram / GB, apple_gpu=apple and not free),
    st.lists(MEMORY, max_size=4),
    MEMORY,
    st.booleans(),
)


@st.composite
def needs(draw: st.DrawFn) -> MemoryNeeds:
    """Draw a model of up to a hundred layers."""
    layer = draw(st.integers(1, 3 * GB))
    embedding = draw(st.integers(0, 3 * GB))
    return MemoryNeeds(
        weights_bytes=embedding + layer * draw(st.integers(1, 100)),
        layer_bytes=layer,
        embedding_bytes=embedding,
        sae_bytes=draw(st.integers(1, 5 * GB)),
        batch_bytes=draw(st.integers(1, 5 * GB)),
        shardable=draw(st.booleans()),
    )


def attempt(want: MemoryNeeds, here: Machine) -> MemoryPlan | None:
    """Return a plan, or None where there is none."""
    try:
        return choose_plan(want, here)
    except MemoryPlanError:
        return None


def rank(plan: MemoryPlan | None) -> int:
    """Rank a plan by how slow it is; no plan is slowest."""
    return 5 if plan is None else SPEED.get((plan.kind, plan.device != "cpu"), 4)


@given(needs(), MACHINES)
def test_a_plan_never_exceeds_the_machine(want: MemoryNeeds, here: Machine) -> None:
    """On each device, what the plan puts there is at most what is free, with the room set aside left over."""
    plan = attempt(want, here)
    if plan is None:
        return
    free = {f"cuda:{gpu.index}": gpu.free_bytes for gpu in here.gpus}
    free |= {"cpu": here.ram_available_bytes, "mps": here.ram_available_bytes}
    held = dict.fromkeys(free, 0)
    moving = max(2 * want.layer_bytes, want.embedding_bytes)
    if plan.kind == "sharded":
        assert plan.max_memory is not None
        for index, room in plan.max_memory.items():
            held[f"cuda:{index}"] += room + want.batch_bytes
        assert sum(plan.max_memory.values()) >= want.weights_bytes
    else:
        held[plan.device] += want.batch_bytes + (want.weights_bytes if plan.kind == "resident" else moving)
    if plan.kind == "streamed" and plan.device != "cpu":
        held["mps" if plan.device == "mps" else "cpu"] += moving + want.batch_bytes
    held[plan.sae_device] += want.sae_bytes
    for device, count in held.items():
        assert count == 0 or count <= free[device] - ASIDE, device
    assert plan.kind == "resident" or want.shardable


@given(needs(), MACHINES, st.integers(0, 3), st.integers(0, 50 * GB))
def test_more_memory_never_makes_it_slower(want: MemoryNeeds, here: Machine, which: int, more: int) -> None:
    """More RAM, a larger card or one card more: never a slower kind of plan, and never none where there was one."""
    before = rank(attempt(want, here))
    ram = replace(here, ram_bytes=here.ram_bytes + more, ram_available_bytes=here.ram_available_bytes + more)
    assert rank(attempt(want, ram)) <= before
    larger = tuple(replace(gpu, free_bytes=gpu.free_bytes + (more if gpu.index == which else 0)) for gpu in here.gpus)
    assert rank(attempt(want, replace(here, gpus=larger))) <= before
    if not here.apple_gpu:
        another = Gpu(name="new", index=len(here.gpus), total_bytes=more, free_bytes=more)
        assert rank(attempt(want, replace(here, gpus=(*here.gpus, another)))) <= before


def test_the_first_card_of_several_keeps_room_for_its_largest_part() -> None:
    """By hand: accelerate leaves a layer's room free on the first card, so that 2 + 1 layers of room hold two."""
    layer, embedding = 1000, 10
    want = MemoryNeeds(
        weights_bytes=embedding + 3 * layer,
        layer_bytes=layer,
        embedding_bytes=embedding,
        sae_bytes=0,
        batch_bytes=0,
        shardable=True,
    )

    def cards(*free: int) -> Machine:
        return machine(*(one / GB for one in free))

    with pytest.raises(MemoryPlanError):
        choose_plan(want, cards(2 * layer + embedding, layer), asked="sharded")
    assert choose_plan(want, cards(3 * layer + embedding, layer), asked="sharded").kind == "sharded"
    assert choose_plan(want, cards(2 * layer + embedding, 2 * layer), asked="sharded").kind == "sharded"


@settings(deadline=None)  # the first example imports torch
@given(st.lists(st.integers(200_000, 900_000), min_size=2, max_size=4), st.integers(1, 12), st.integers(16, 3000))
def test_accelerate_finds_room_on_the_cards_of_a_sharded_plan(rooms: list[int], layers: int, vocabulary: int) -> None:
    """With the plan's `max_memory` accelerate puts every layer on a card and none on the disk."""
    import torch
    from accelerate import infer_auto_device_map
    from transformers import LlamaConfig, LlamaModel

    hidden, intermediate = 64, 128
    shape = ModelShape(
        family="layers",
        hidden=hidden,
        layers=layers,
        heads=4,
        kv_heads=2,
        intermediate=intermediate,
        vocabulary=vocabulary,
        positions=0,
    )
    dtype = "bfloat16"
    want = needs_of(shape, depth=layers, d_sae=100, dtype=dtype, sae_dtype=dtype, prompts=1, tokens=1)
    # A thousandth for norms: at real widths the room set aside covers it, at this one it must be counted.
    want = replace(
        want, layer_bytes=want.layer_bytes + 4 * hidden, weights_bytes=want.weights_bytes + 4 * hidden * (layers + 1)
    )
    here = machine(*(room / GB for room in rooms))
    try:
        plan = choose_plan(want, here, asked="sharded")
    except MemoryPlanError:
        return
    config = LlamaConfig(
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=vocabulary,
    )
    with torch.device("meta"):
        model = LlamaModel(config).to(torch.bfloat16)
    placed = infer_auto_device_map(
        model, max_memory=dict(plan.max_memory or {}), no_split_module_classes=["LlamaDecoderLayer"]
    )
    assert set(placed.values()) <= set(range(len(rooms)))

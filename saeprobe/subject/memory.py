"""A memory plan says where weights lie while they are used, by what a model needs and what the machine has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, Literal

from saeprobe.files import bytes_in_words
from saeprobe.subject import Machine
from saeprobe.subject.specification import Dtype, Memory, ModelShape, Quantisation, SubjectError

Kind = Literal["resident", "sharded", "streamed"]

ASIDE: Final = 2**30
"""Bytes of a device that no plan touches: a CUDA context with cuBLAS takes half of that, Python with torch about as
much of the main memory, and an allocator needs room between its blocks."""

_METAL_SHARE: Final = 0.7  # Metal lets a program have two thirds to three quarters of the memory it shares
_BYTES: Final[Mapping[Dtype, int]] = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, kw_only=True)
class MemoryNeeds:
    """The needs of a subject are the bytes that it takes and the work of a token."""

    weights_bytes: int  # the model up to the hook, embedding included, in the dtype it computes in
    layer_bytes: int  # its largest layer
    sae_bytes: int  # the SAE in its own dtype
    batch_bytes: int  # all that a batch of prompts makes on its way: `batch_bytes`
    shardable: bool  # whether its layers can be loaded one by one. A model that TransformerLens loads is in one piece
    embedding_bytes: int = 0  # the part of the weights that is in no layer, and is never quantised
    # floating point operations of blocks and encoder for a token; attention's scores are left out
    flop_per_token: int = 0

    @property
    def resident_bytes(self) -> int:
        """Count the bytes with everything in one memory."""
        return self.weights_bytes + self.sae_bytes + self.batch_bytes

    @property
    def passing_bytes(self) -> int:
        """Count the bytes of streamed weights at any moment: a layer that computes and the next, on its way."""
        return max(2 * self.layer_bytes, self.embedding_bytes)

    @property
    def streamed_bytes(self) -> int:
        """Count the bytes with the weights streamed through one memory."""
        return self.passing_bytes + self.sae_bytes + self.batch_bytes


def batch_bytes(shape: ModelShape, *, d_sae: int, weight_bytes: int, prompts: int = 32, tokens: int = 128) -> int:
    """Count the bytes that a batch of `prompts` of `tokens` each takes at its widest.

    The residual stream, its normalised copy and a block's output are there throughout. To these comes the widest of
    three: attention (queries, keys, values, and eager attention's scores and their softmax, `[prompts, heads, tokens,
    tokens]` in float32); the MLP (gate, up and their product); or the SAE's dense features before and after their
    threshold, in float32.
    """
    positions = prompts * tokens
    keys = shape.kv_heads * (shape.hidden // shape.heads)
    attention = positions * (shape.hidden + 2 * keys) * weight_bytes + 2 * prompts * shape.heads * tokens**2 * 4
    mlp = 3 * positions * shape.intermediate * weight_bytes
    features = 2 * positions * d_sae * 4
    return 3 * positions * shape.hidden * weight_bytes + max(attention, mlp, features)


def needs_of(
    shape: ModelShape, *, depth: int, d_sae: int, dtype: Dtype, sae_dtype: Dtype, prompts: int = 32, tokens: int = 128
) -> MemoryNeeds:
    """Work out the needs of a decoder from its sizes.

    `depth` blocks compute on batches of `prompts` of `tokens` each. A model with gated MLPs has three matrices in each
    and no table of positions (Llama); another has two matrices and such a table (GPT-2).
    """
    hidden, in_layers, weight_bytes = shape.hidden, shape.family == "layers", _BYTES[dtype]
    attention = 2 * hidden * hidden + 2 * hidden * shape.kv_heads * (hidden // shape.heads)
    # Biases and norms are a thousandth of that; the room set aside covers them.
    layer = attention + (3 if shape.gated else 2) * hidden * shape.intermediate
    embedding = (shape.vocabulary + (0 if shape.gated else shape.positions)) * hidden
    return MemoryNeeds(
        weights_bytes=(embedding + (depth if in_layers else shape.layers) * layer) * weight_bytes,
        layer_bytes=layer * weight_bytes,
        sae_bytes=(2 * hidden * d_sae + hidden + d_sae) * _BYTES[sae_dtype],
        batch_bytes=batch_bytes(shape, d_sae=d_sae, weight_bytes=weight_bytes, prompts=prompts, tokens=tokens),
        shardable=in_layers,
        embedding_bytes=embedding * weight_bytes,
        flop_per_token=2 * depth * layer + 2 * hidden * d_sae,
    )


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """A plan says where weights, SAE and activations lie."""

    # `resident`: all weights on one device; `sharded`: each layer on one of several GPUs; `streamed`: a layer at a
    # time, read from disk once for all prompts
    kind: Kind
    device: str  # where prompts enter and layers compute, as torch writes it; the first of several GPUs
    sae_device: str  # where the SAE lies
    quantisation: Literal["8bit"] | None = None  # `8bit` where the weights are to be quantised as they are loaded
    # for a sharded model what its weights may take of each GPU, as accelerate's `max_memory`; else None
    max_memory: Mapping[int | str, int] | None = None
    reason: str  # in words, for the terminal, without the subject's name
    takes_bytes: int = 0  # of all memories together, in the widest moment


class MemoryPlanError(SubjectError):
    """The machine cannot hold a subject as asked; `needed`, `found` and `remedy` are the parts of the text."""

    def __init__(self, needed: str, found: str, remedy: str) -> None:
        super().__init__(f"{needed}; found {found}; {remedy}")
        self.needed, self.found, self.remedy = needed, found, remedy


@dataclass(frozen=True, kw_only=True)
class _Device:
    """A device has a name in torch, one for people, `room` in bytes that a plan may take of it, and a number."""

    name: str
    called: str
    room: int
    index: int = 0


def choose_plan(
    needs: MemoryNeeds,
    machine: Machine,
    *,
    asked: Memory = "auto",
    quantisation: Quantisation | None = None,
    device: str = "auto",
) -> MemoryPlan:
    """Choose the fastest plan that the machine holds.

    From fast to slow: resident on one GPU; sharded over several; streamed from disk through one; resident in main
    memory and computed by the processor; streamed from disk through that. A plan never takes more than what is free,
    and a kind that is asked for is done or refused. A device is as torch writes it, `cuda` for any one of them.

    8-bit weights halve what the layers take (`needs` is unquantised) and are never chosen for that: they change the
    numbers, so that a subject has them only by declaration. They need CUDA: bitsandbytes 0.50 does compute them on a
    processor, but where that lacks AVX-512 slower than in float32. With `8bit where it can` the plan is made
    unquantised where they cannot be had, and says so. A MemoryPlanError says that what is asked for cannot be had here.
    """
    devices = _accelerators(machine, device)
    if quantisation is not None:
        why = why_no_8bit(machine, device) or ("8-bit weights cannot be streamed" if asked == "streamed" else None)
        halved = _halved(needs)
        fitting = _on_accelerator(halved, _ram(machine), devices, streamed=False)
        plan = None if why else next((one for one in fitting if asked in ("auto", one.kind)), None)
        if plan is not None:
            return replace(plan, quantisation="8bit", reason=f"{plan.reason}, in 8 bits")
        why = why or f"in 8 bits it takes {bytes_in_words(halved.resident_bytes)} and no GPU here has them free"
        if quantisation == "8bit":
            raise MemoryPlanError(
                "8-bit weights are asked for", why, "take away `quantisation` (that changes the numbers), or mend this"
            )
        plan = choose_plan(needs, machine, asked=asked, device=device)
        return replace(plan, reason=f"{plan.reason}; its weights are not quantised, since {why}")
    fitting = _on_accelerator(needs, _ram(machine), devices, streamed=True)
    if device in ("auto", "cpu"):
        fitting = chain(fitting, _on_processor(needs, _ram(machine), devices))
    plan = next((one for one in fitting if asked in ("auto", one.kind)), None)
    if plan is None:
        raise _shortfall(needs, _ram(machine), devices, asked, device)
    if device == "auto" and machine.gpus and not machine.cuda_usable:
        seen = f"; {machine.gpus[0].name} is here, and this torch cannot use it: see saeprobe doctor"
        return replace(plan, reason=plan.reason + seen)
    return plan


def why_no_8bit(machine: Machine, device: str = "auto") -> str | None:
    """Say why the weights cannot be quantised to 8 bits here; None where they can."""
    if device not in ("auto", "cuda") and not device.startswith("cuda:"):
        return f"8-bit weights need CUDA and the device is to be {device}"
    if not machine.usable_gpus:
        return f"8-bit weights need CUDA and {machine.why_no_cuda}"
    if not machine.bitsandbytes:
        return "bitsandbytes is not installed: pip install bitsandbytes"
    return None


def _halved(needs: MemoryNeeds) -> MemoryNeeds:
    """Return the needs with layers of one byte a parameter in place of two; their scales, a row each, round it up."""
    # A scale of 4 bytes for each row of some thousand parameters is far below 1 %.
    layers, layer = (
        -(-count * 51 // 100) for count in (needs.weights_bytes - needs.embedding_bytes, needs.layer_bytes)
    )
    return replace(needs, weights_bytes=needs.embedding_bytes + layers, layer_bytes=layer)


def _accelerators(machine: Machine, device: str) -> tuple[_Device, ...]:
    """Return the accelerators that may be used, most room first, or refuse the device asked for."""
    if device == "cpu":
        return ()
    if device == "mps" or (device == "auto" and machine.apple_gpu):
        if not machine.apple_gpu:
            raise MemoryPlanError("the device is to be mps", "no Apple GPU", 'set device = "auto"')
        shared = int(min(_ram(machine), machine.ram_bytes * _METAL_SHARE))
        return (_Device(name="mps", called="the Apple GPU", room=shared),)
    if device not in ("auto", "cuda") and not device.startswith("cuda:"):
        raise MemoryPlanError(f"the device is to be {device}", "no plan for it", "set it to auto, cpu, cuda:N or mps")
    gpus = [
        _Device(name=name, called=f"{name} ({gpu.name})", room=max(0, gpu.free_bytes - ASIDE), index=gpu.index)
        for name, gpu in ((f"cuda:{gpu.index}", gpu) for gpu in machine.usable_gpus)
        if device in ("auto", "cuda", name)
    ]
    if not gpus and device != "auto":
        found = f"{len(machine.gpus)} GPUs, counted from cuda:0" if machine.usable_gpus else machine.why_no_cuda
        raise MemoryPlanError(f"the device is to be {device}", found, 'set device = "auto" to take what there is')
    return tuple(sorted(gpus, key=lambda one: -one.room))


def _ram(machine: Machine) -> int:
    return max(0, machine.ram_available_bytes - ASIDE)


def _on_accelerator(
    needs: MemoryNeeds, ram: int, devices: tuple[_Device, ...], *, streamed: bool
) -> Iterator[MemoryPlan]:
    """Yield plans that compute on a GPU and fit, fastest first; only a model in layers leaves its SAE in RAM."""
    if not devices:
        return
    best = devices[0]
    unified = best.name == "mps"
    sae_in_ram = needs.shardable and not unified and needs.sae_bytes + needs.batch_bytes <= ram
    free = f"{bytes_in_words(best.room)} of free memory"
    resident = MemoryPlan(
        kind="resident",
        device=best.name,
        sae_device=best.name,
        reason=f"resident on {best.called}: {bytes_in_words(needs.resident_bytes)} of weights, SAE and batch fit its "
        f"{free}",
        takes_bytes=needs.resident_bytes,
    )
    if needs.resident_bytes <= best.room:
        yield resident
    if sae_in_ram and needs.weights_bytes + needs.batch_bytes <= best.room:
        reason = f"resident on {best.called}, whose {free} hold the weights but not the SAE as well: that is in RAM"
        total = needs.resident_bytes + needs.batch_bytes
        yield replace(resident, sae_device="cpu", reason=reason, takes_bytes=total)
    if needs.shardable and len(devices) > 1:
        yield from _sharded(needs, devices, sae_in_ram=sae_in_ram)
    if not (needs.shardable and streamed):
        return
    # In main memory lie the next layer as it comes from disk and the hidden states of all prompts.
    on_host = needs.passing_bytes + needs.batch_bytes
    plan = MemoryPlan(
        kind="streamed",
        device=best.name,
        sae_device=best.name,
        reason=f"streamed layer by layer from disk through {best.called}, {_since(needs, best.room, f'its {free}')}",
        takes_bytes=needs.streamed_bytes + on_host,
    )
    if needs.streamed_bytes + (on_host if unified else 0) <= best.room and on_host <= ram:
        yield plan
    if sae_in_ram and needs.passing_bytes + needs.batch_bytes <= best.room and on_host + needs.sae_bytes <= ram:
        yield replace(plan, sae_device="cpu", reason=f"{plan.reason}; its SAE is in RAM")


def _since(needs: MemoryNeeds, room: int, free: str) -> str:
    """Say why weights are streamed: a device would hold them as asked, or does not hold them."""
    if needs.resident_bytes <= room:
        return "as asked"
    return f"since {bytes_in_words(needs.weights_bytes)} of weights do not fit {free}"


def _sharded(needs: MemoryNeeds, devices: tuple[_Device, ...], *, sae_in_ram: bool) -> Iterator[MemoryPlan]:
    """Yield plans with whole layers on several GPUs, each of which also holds a batch, and one of them the SAE."""
    ordered = sorted(
        (one for one in devices if one.room >= needs.batch_bytes + needs.layer_bytes), key=lambda one: one.index
    )
    if len(ordered) < 2:  # noqa: PLR2004 - one GPU shares with nobody
        return
    names = ", ".join(one.name for one in ordered)
    together = bytes_in_words(sum(one.room for one in ordered))
    reason = f"sharded over {names}: {bytes_in_words(needs.weights_bytes)} of weights fit their {together} together"
    holders = [one for one in ordered if one.room >= needs.batch_bytes + needs.sae_bytes]
    for holder in (*holders, *([None] if sae_in_ram else [])):
        rooms = {one.index: one.room - needs.batch_bytes - (needs.sae_bytes if one is holder else 0) for one in ordered}
        if _hold(tuple(rooms.values()), needs):
            yield MemoryPlan(
                kind="sharded",
                device=ordered[0].name,
                sae_device="cpu" if holder is None else holder.name,
                max_memory={**rooms},
                reason=f"{reason}; its SAE is in RAM" if holder is None else reason,
                takes_bytes=needs.weights_bytes + needs.sae_bytes + len(ordered) * needs.batch_bytes,
            )


def _hold(rooms: tuple[int, ...], needs: MemoryNeeds) -> bool:
    """Say whether the devices hold embedding and layers, filled one after another and no layer split.

    accelerate leaves room for the largest part on the first device (`infer_auto_device_map`), so it does here.
    """
    layer = max(1, needs.layer_bytes)
    lacking = -(-(needs.weights_bytes - needs.embedding_bytes) // layer)
    embedding, reserved = needs.embedding_bytes, max(layer, needs.embedding_bytes)
    for room in (max(0, rooms[0] - reserved), *rooms[1:]):
        if embedding <= room:
            lacking -= (room - embedding) // layer
            embedding = 0
    return embedding == 0 and lacking <= 0


def _on_processor(needs: MemoryNeeds, ram: int, devices: tuple[_Device, ...]) -> Iterator[MemoryPlan]:
    """Yield plans in main memory that fit, fastest first."""
    free = f"{bytes_in_words(ram)} of free RAM"
    gpu = f"; {devices[0].called} has no room for it" if devices else ""
    whole = bytes_in_words(needs.resident_bytes)
    plan = MemoryPlan(
        kind="resident",
        device="cpu",
        sae_device="cpu",
        reason=f"resident in RAM, on the CPU: {whole} of weights, SAE and batch fit {free}{gpu}",
        takes_bytes=needs.resident_bytes,
    )
    if needs.resident_bytes <= ram:
        yield plan
    if needs.shardable and needs.streamed_bytes <= ram:
        reason = f"streamed layer by layer from disk through the CPU, {_since(needs, ram, free)}{gpu}"
        yield replace(plan, kind="streamed", reason=reason, takes_bytes=needs.streamed_bytes)


def _shortfall(
    needs: MemoryNeeds, ram: int, devices: tuple[_Device, ...], asked: Memory, device: str
) -> MemoryPlanError:
    if asked in ("sharded", "streamed") and not needs.shardable:
        remedy = 'set memory = "auto": this model is loaded in one piece'
        return MemoryPlanError(f"{asked} weights are asked for", "a model whose layers cannot be loaded alone", remedy)
    if asked == "sharded" and len(devices) < 2:  # noqa: PLR2004 - one GPU shares with nobody
        found = f"{len(devices)} that torch can use"
        return MemoryPlanError("sharding needs two GPUs or more", found, 'set memory = "auto"')
    least = needs.streamed_bytes if needs.shardable and asked in ("auto", "streamed") else needs.resident_bytes
    where = " in one place" if asked == "resident" or not needs.shardable else ""
    gpus = [f"{bytes_in_words(one.room)} free on {one.called}" for one in devices]
    found = ", ".join([*gpus, f"{bytes_in_words(ram)} of free RAM"])
    less = "free memory, or make the batches smaller" if asked == "auto" else 'set memory = "auto", or free memory'
    return MemoryPlanError(
        f"{bytes_in_words(least)} are needed{where}", found, less + (f" on {device}" * (device != "auto"))
    )

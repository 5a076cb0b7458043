"""Memory plans: where a model's weights lie while they are used, chosen from what it needs and what the machine has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, Literal

from saeprobe.subject.machine import Gpu, Machine
from saeprobe.subject.specification import Memory, Quantisation, SubjectError


@dataclass(frozen=True, kw_only=True)
class MemoryNeeds:
    """What a subject takes, in bytes, and how much it computes.

    Attributes:
        weights_bytes: the model up to the hook, embedding included, in the dtype it computes in.
        layer_bytes: its largest layer.
        sae_bytes: the SAE in its own dtype.
        batch_bytes: all that a batch of prompts makes on its way: `batch_bytes`.
        shardable: whether its layers can be loaded one by one. A model that TransformerLens loads is in one piece.
        embedding_bytes: the part of the weights that is in no layer, and is never quantised.
        flop_per_token: floating point operations of blocks and encoder for a token; attention's scores are left out.
    """

    weights_bytes: int
    layer_bytes: int
    sae_bytes: int
    batch_bytes: int
    shardable: bool
    embedding_bytes: int = 0
    flop_per_token: int = 0

    @property
    def resident_bytes(self) -> int:
        """With everything in one place."""
        return self.weights_bytes + self.sae_bytes + self.batch_bytes

    @property
    def passing_bytes(self) -> int:
        """Of weights at any moment while they are streamed: a layer that computes and the next, on its way."""
        return max(2 * self.layer_bytes, self.embedding_bytes)

    @property
    def streamed_bytes(self) -> int:
        """With the weights streamed through one place."""
        return self.passing_bytes + self.sae_bytes + self.batch_bytes


def batch_bytes(
    *,
    hidden: int,
    heads: int,
    kv_heads: int,
    intermediate: int,
    d_sae: int,
    weight_bytes: int,
    prompts: int = 32,
    tokens: int = 128,
) -> int:
    """What a batch of `prompts` of `tokens` each takes at its widest, in bytes.

    The residual stream, its normalised copy and a block's output are there throughout. Beside them lies the widest of
    three: attention (queries, keys, values, and eager attention's scores and their softmax, `[prompts, heads, tokens,
    tokens]` in float32); the MLP (gate, up and their product); or the SAE's dense features before and after their
    threshold, in float32.

    Args:
        hidden: width of the residual stream.
        heads: attention heads.
        kv_heads: heads of keys and values.
        intermediate: width of the MLP.
        d_sae: features.
        weight_bytes: bytes of a number in the model's dtype.
        prompts: in a batch.
        tokens: of the longest prompt.
    """
    positions = prompts * tokens
    head = hidden // heads
    attention = positions * (hidden + 2 * kv_heads * head) * weight_bytes + 2 * prompts * heads * tokens**2 * 4
    mlp = 3 * positions * intermediate * weight_bytes
    features = 2 * positions * d_sae * 4
    return 3 * positions * hidden * weight_bytes + max(attention, mlp, features)


def needs_of(
    *,
    hidden: int,
    layers: int,
    heads: int,
    kv_heads: int,
    intermediate: int,
    vocabulary: int,
    d_sae: int,
    weight_bytes: int,
    sae_weight_bytes: int,
    gated: bool,
    shardable: bool,
    positions: int = 0,
    running: int | None = None,
    prompts: int = 32,
    tokens: int = 128,
) -> MemoryNeeds:
    """The needs of a decoder from plain numbers.

    Args:
        hidden: width of the residual stream, `d_in` of the SAE.
        layers: blocks that are loaded.
        heads: attention heads.
        kv_heads: heads of keys and values.
        intermediate: width of the MLP.
        vocabulary: rows of the embedding.
        d_sae: features of the SAE.
        weight_bytes: bytes of a parameter of the model.
        sae_weight_bytes: bytes of a parameter of the SAE.
        gated: whether the MLP has three matrices (Llama) or two (GPT-2).
        shardable: whether its layers can be loaded one by one.
        positions: rows of a table of positions, where the model has one.
        running: blocks that compute, where the model is loaded with more than those.
        prompts: in a batch.
        tokens: of the longest prompt.
    """
    attention = 2 * hidden * hidden + 2 * hidden * kv_heads * (hidden // heads)
    # Biases and norms are a thousandth of that; the room set aside covers them.
    layer = attention + (3 if gated else 2) * hidden * intermediate
    embedding = (vocabulary + positions) * hidden
    sae = 2 * hidden * d_sae + hidden + d_sae
    return MemoryNeeds(
        weights_bytes=(embedding + layers * layer) * weight_bytes,
        layer_bytes=layer * weight_bytes,
        sae_bytes=sae * sae_weight_bytes,
        batch_bytes=batch_bytes(
            hidden=hidden,
            heads=heads,
            kv_heads=kv_heads,
            intermediate=intermediate,
            d_sae=d_sae,
            weight_bytes=weight_bytes,
            prompts=prompts,
            tokens=tokens,
        ),
        shardable=shardable,
        embedding_bytes=embedding * weight_bytes,
        flop_per_token=2 * (layers if running is None else running) * layer + 2 * hidden * d_sae,
    )


_UNITS: Final = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


_MINUTE: Final = 60


_FEW: Final = 9.95  # from here on a whole number is exact enough


def bytes_in_words(count: int) -> str:
    """Bytes in thousands, as disks and the Hub are counted.

    >>> bytes_in_words(88_400_000_000), bytes_in_words(3_840_000), bytes_in_words(999_960), bytes_in_words(7)
    ('88 GB', '3.8 MB', '1000 kB', '7 bytes')
    """
    for unit, size in _UNITS:
        if count >= size:
            return f"{_short(count / size)} {unit}"
    return f"{count} bytes"


def seconds_in_words(seconds: float) -> str:
    """A time that is an estimate.

    >>> [seconds_in_words(seconds) for seconds in (0.2, 4.2, 42, 600, 9000)]
    ['under 1 s', '4.2 s', '42 s', '10 min', '2.5 h']
    """
    if seconds < 1:
        return "under 1 s"
    if seconds < 2 * _MINUTE:
        return f"{_short(seconds)} s"
    minutes = seconds / _MINUTE
    return f"{_short(minutes)} min" if minutes < 2 * _MINUTE else f"{_short(minutes / _MINUTE)} h"


def _short(amount: float) -> str:
    """Two digits: one decimal below ten, none above; no `.0`."""
    return f"{amount:.0f}" if amount >= _FEW else f"{amount:.1f}".removesuffix(".0")


Kind = Literal["resident", "sharded", "streamed"]


ASIDE: Final = 2**30
"""Bytes of a device that no plan touches: a CUDA context with cuBLAS takes half of that, Python with torch about as
much of the main memory, and an allocator needs room between its blocks."""


_METAL_SHARE: Final = 0.7  # Metal lets a program have two thirds to three quarters of the memory it shares


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """Where weights, SAE and activations lie.

    Attributes:
        kind: `resident`: all weights on one device; `sharded`: each layer on one of several GPUs; `streamed`: a layer
            at a time, read from disk once for all prompts.
        device: where prompts enter and layers compute, as torch writes it; the first of several GPUs.
        sae_device: where the SAE lies.
        quantisation: `8bit` where the weights are to be quantised as they are loaded.
        max_memory: for a sharded model what its weights may take of each GPU, as accelerate's `max_memory`; else None.
        reason: in words, for the terminal, without the subject's name.
        takes_bytes: of all memories together, in the widest moment.
    """

    kind: Kind
    device: str
    sae_device: str
    quantisation: Literal["8bit"] | None = None
    max_memory: Mapping[int | str, int] | None = None
    reason: str
    takes_bytes: int = 0


class MemoryPlanError(SubjectError):
    """The machine cannot hold a subject as asked; `needed`, `found` and `remedy` are the parts of the text."""

    def __init__(self, needed: str, found: str, remedy: str) -> None:
        super().__init__(f"{needed}; found {found}; {remedy}")
        self.needed, self.found, self.remedy = needed, found, remedy


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A device and the bytes that a plan may take of it."""

    device: str
    called: str
    room: int


def choose_plan(
    needs: MemoryNeeds,
    machine: Machine,
    *,
    asked: Memory = "auto",
    quantisation: Quantisation | None = None,
    device: str = "auto",
) -> MemoryPlan:
    """The fastest plan that the machine holds.

    From fast to slow: resident on one GPU; sharded over several; streamed from disk through one; resident in main
    memory and computed by the processor; streamed from disk through that. A plan never takes more than what is free.

    Args:
        needs: what the subject takes, unquantised.
        machine: what there is.
        asked: a kind of plan, or `auto`; what is asked for is done or refused.
        quantisation: 8-bit weights halve what the layers take and are never chosen for that: they change the numbers,
            so that a subject has them only by declaration. They need CUDA: bitsandbytes 0.50 does compute them on a
            processor, but where that lacks AVX-512 slower than in float32. With `8bit where it can` the plan is made
            unquantised where they cannot be had, and says so.
        device: as torch writes it, `cuda` for any one of them; `auto` prefers a GPU.

    Raises:
        MemoryPlanError: what is asked for cannot be had here.
    """
    places = _places(machine, device)
    if quantisation is not None:
        why = why_no_8bit(machine, device) or ("8-bit weights cannot be streamed" if asked == "streamed" else None)
        halved = _on_accelerator(_halved(needs), machine, places, streamed=False)
        plan = None if why else next((one for one in halved if asked in ("auto", one.kind)), None)
        if plan is not None:
            return replace(plan, quantisation="8bit", reason=f"{plan.reason}, in 8 bits")
        why = why or f"in 8 bits it takes {bytes_in_words(_halved(needs).resident_bytes)} and no GPU here has them free"
        if quantisation == "8bit":
            raise MemoryPlanError(
                "8-bit weights are asked for", why, "take away `quantisation` (that changes the numbers), or mend this"
            )
        plan = choose_plan(needs, machine, asked=asked, device=device)
        return replace(plan, reason=f"{plan.reason}; its weights are not quantised, since {why}")
    fitting = _on_accelerator(needs, machine, places, streamed=True)
    if device in ("auto", "cpu"):
        fitting = chain(fitting, _on_processor(needs, machine, places))
    plan = next((one for one in fitting if asked in ("auto", one.kind)), None)
    if plan is None:
        raise _shortfall(needs, machine, places, asked, device)
    return plan


def why_no_8bit(machine: Machine, device: str = "auto") -> str | None:
    """Why the weights cannot be quantised to 8 bits here; None where they can."""
    if device not in ("auto", "cuda") and not device.startswith("cuda:"):
        return f"8-bit weights need CUDA and the device is to be {device}"
    if not machine.usable_gpus:
        return f"8-bit weights need CUDA and {_why_no_cuda(machine)}"
    if not machine.bitsandbytes:
        return "bitsandbytes is not installed: pip install bitsandbytes"
    return None


def _halved(needs: MemoryNeeds) -> MemoryNeeds:
    """With layers of one byte a parameter in place of two; their scales, a row each, round it up."""
    layers = needs.weights_bytes - needs.embedding_bytes
    return replace(needs, weights_bytes=needs.embedding_bytes + _half(layers), layer_bytes=_half(needs.layer_bytes))


def _half(count: int) -> int:
    return -(-count * 51 // 100)  # a scale of 4 bytes for each row of some thousand parameters is far below 1 %


def _places(machine: Machine, device: str) -> tuple[_Place, ...]:
    """The accelerators that may be used, most room first.

    Raises:
        MemoryPlanError: the device asked for is not here.
    """
    if device == "cpu":
        return ()
    if device == "mps" or (device == "auto" and machine.apple_gpu):
        if not machine.apple_gpu:
            raise MemoryPlanError("the device is to be mps", "no Apple GPU", 'set device = "auto"')
        shared = int(min(_ram(machine), machine.ram_bytes * _METAL_SHARE))
        return (_Place(device="mps", called="the Apple GPU", room=shared),)
    if device not in ("auto", "cuda") and not device.startswith("cuda:"):
        raise MemoryPlanError(f"the device is to be {device}", "no plan for it", "set it to auto, cpu, cuda:N or mps")
    gpus = [gpu for gpu in machine.usable_gpus if device in ("auto", "cuda", f"cuda:{gpu.index}")]
    if not gpus and device != "auto":
        found = _why_no_cuda(machine) if not machine.usable_gpus else f"{len(machine.gpus)} GPUs, counted from cuda:0"
        raise MemoryPlanError(f"the device is to be {device}", found, 'set device = "auto" to take what there is')
    places = [
        _Place(device=f"cuda:{gpu.index}", called=_called(gpu), room=max(0, gpu.free_bytes - ASIDE)) for gpu in gpus
    ]
    return tuple(sorted(places, key=lambda place: -place.room))


def _called(gpu: Gpu) -> str:
    return f"cuda:{gpu.index} ({gpu.name})"


def _why_no_cuda(machine: Machine) -> str:
    if not machine.gpus:
        return "no NVIDIA GPU is visible"
    return "the installed torch is a build without CUDA (https://pytorch.org/get-started/locally)"


def _ram(machine: Machine) -> int:
    return max(0, machine.ram_available_bytes - ASIDE)


def _on_accelerator(
    needs: MemoryNeeds, machine: Machine, places: tuple[_Place, ...], *, streamed: bool
) -> Iterator[MemoryPlan]:
    """Plans that compute on a GPU and fit, fastest first; only a model in layers can leave its SAE in main memory."""
    if not places:
        return
    best, ram = places[0], _ram(machine)
    unified = best.device == "mps"
    aside = needs.shardable and not unified and needs.sae_bytes + needs.batch_bytes <= ram
    free = f"{bytes_in_words(best.room)} of free memory"
    taken = bytes_in_words(needs.resident_bytes)
    if needs.resident_bytes <= best.room:
        reason = f"resident on {best.called}: {taken} of weights, SAE and batch fit its {free}"
        yield MemoryPlan(
            kind="resident",
            device=best.device,
            sae_device=best.device,
            reason=reason,
            takes_bytes=needs.resident_bytes,
        )
    if aside and needs.weights_bytes + needs.batch_bytes <= best.room:
        reason = f"resident on {best.called}, whose {free} hold the weights but not the SAE as well: that is in RAM"
        total = needs.resident_bytes + needs.batch_bytes
        yield MemoryPlan(kind="resident", device=best.device, sae_device="cpu", reason=reason, takes_bytes=total)
    if needs.shardable and len(places) > 1:
        yield from _sharded(needs, places, sae_in_ram=aside)
    if not (needs.shardable and streamed):
        return
    # Beside what is on the device: the next layer as it comes from disk, and the hidden states of all prompts.
    on_host = needs.passing_bytes + needs.batch_bytes
    since = f"since {bytes_in_words(needs.weights_bytes)} of weights do not fit its {free}"
    if needs.resident_bytes <= best.room:
        since = "as asked"
    reason = f"streamed layer by layer from disk through {best.called}, {since}"
    streamed_plan = MemoryPlan(
        kind="streamed",
        device=best.device,
        sae_device=best.device,
        reason=reason,
        takes_bytes=needs.streamed_bytes + on_host,
    )
    if needs.streamed_bytes + (on_host if unified else 0) <= best.room and on_host <= ram:
        yield streamed_plan
    if aside and needs.passing_bytes + needs.batch_bytes <= best.room and on_host + needs.sae_bytes <= ram:
        yield replace(streamed_plan, sae_device="cpu", reason=f"{reason}; its SAE is in RAM")


def _sharded(needs: MemoryNeeds, places: tuple[_Place, ...], *, sae_in_ram: bool) -> Iterator[MemoryPlan]:
    """Whole layers on several GPUs, each of which also holds a batch, and one of them the SAE."""
    ordered = sorted(
        (place for place in places if place.room >= needs.batch_bytes + needs.layer_bytes),
        key=lambda place: int(place.device.partition(":")[2]),
    )
    if len(ordered) < 2:  # noqa: PLR2004 - one GPU shares with nobody
        return
    names = ", ".join(place.device for place in ordered)
    room_together = bytes_in_words(sum(place.room for place in ordered))
    together = f"{bytes_in_words(needs.weights_bytes)} of weights fit their {room_together} together"
    holders = (place for place in ordered if place.room >= needs.batch_bytes + needs.sae_bytes)
    for holder in (*holders, *([None] if sae_in_ram else [])):
        rooms = {
            place: place.room - needs.batch_bytes - (needs.sae_bytes if place is holder else 0) for place in ordered
        }
        if not _hold(tuple(rooms.values()), needs):
            continue
        yield MemoryPlan(
            kind="sharded",
            device=ordered[0].device,
            sae_device="cpu" if holder is None else holder.device,
            max_memory={int(place.device.partition(":")[2]): room for place, room in rooms.items()},
            reason=f"sharded over {names}: {together}" + ("; its SAE is in RAM" if holder is None else ""),
            takes_bytes=needs.weights_bytes + needs.sae_bytes + len(ordered) * needs.batch_bytes,
        )


def _hold(rooms: tuple[int, ...], needs: MemoryNeeds) -> bool:
    """Whether the devices hold embedding and layers, filled one after another and no layer split.

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


def _on_processor(needs: MemoryNeeds, machine: Machine, places: tuple[_Place, ...]) -> Iterator[MemoryPlan]:
    """Plans in main memory that fit, fastest first."""
    ram = _ram(machine)
    free = f"{bytes_in_words(ram)} of free RAM"
    gpu = f"; {places[0].called} has no room for it" if places else ""
    if needs.resident_bytes <= ram:
        reason = f"resident in RAM, on the CPU: {bytes_in_words(needs.resident_bytes)} of weights, SAE and batch fit {free}{gpu}"
        yield MemoryPlan(
            kind="resident", device="cpu", sae_device="cpu", reason=reason, takes_bytes=needs.resident_bytes
        )
    if needs.shardable and needs.streamed_bytes <= ram:
        since = f"since {bytes_in_words(needs.weights_bytes)} of weights do not fit {free}"
        if needs.resident_bytes <= ram:
            since = "as asked"
        reason = f"streamed layer by layer from disk through the CPU, {since}{gpu}"
        yield MemoryPlan(
            kind="streamed", device="cpu", sae_device="cpu", reason=reason, takes_bytes=needs.streamed_bytes
        )


def _shortfall(
    needs: MemoryNeeds, machine: Machine, places: tuple[_Place, ...], asked: Memory, device: str
) -> MemoryPlanError:
    """Why there is no plan."""
    gpus = [f"{bytes_in_words(place.room)} free on {place.called}" for place in places]
    found = ", ".join([*gpus, f"{bytes_in_words(_ram(machine))} of free RAM"])
    if asked in ("sharded", "streamed") and not needs.shardable:
        remedy = 'set memory = "auto": this model is loaded in one piece'
        return MemoryPlanError(f"{asked} weights are asked for", "a model whose layers cannot be loaded alone", remedy)
    if asked == "sharded" and len(places) < 2:  # noqa: PLR2004 - one GPU shares with nobody
        return MemoryPlanError(
            "sharding needs two GPUs or more", f"{len(places)} that torch can use", 'set memory = "auto"'
        )
    least = needs.streamed_bytes if needs.shardable and asked in ("auto", "streamed") else needs.resident_bytes
    where = " in one place" if asked == "resident" or not needs.shardable else ""
    less = "free memory, or make the batches smaller" if asked == "auto" else 'set memory = "auto", or free memory'
    return MemoryPlanError(f"{bytes_in_words(least)} are needed{where}", found, less + (f" on {device}" * (device != "auto")))

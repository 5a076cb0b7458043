"""GPT-2 small fits the GPUs that people have at home, and a GPU that torch cannot use is named."""

from __future__ import annotations

import pytest

from saeprobe.subject import Gpu, Machine
from saeprobe.subject.memory import ASIDE, choose_plan, needs_of
from saeprobe.subject.registry import built_in

GB = 10**9
(SHAPE,) = (spec.shape for spec in built_in().values() if spec.name == "gpt2" and spec.shape is not None)
GPT2 = needs_of(SHAPE, depth=12, d_sae=24_576, dtype="float32", sae_dtype="float32")


@pytest.mark.parametrize(("card", "total", "free"), [("RTX 3070", 8, 7.6), ("RTX 3080", 10, 9), ("RTX 4060", 8, 6.5)])
def test_gpt2_fits_a_card_of_8_gb(card: str, total: float, free: float) -> None:
    """By hand: 498 MB of 12 blocks, 151 MB of an SAE of 24,576 features and 843 MB of 32 prompts of 128 tokens.

    A random model or SAE beside the trained one adds as much again. Steering writes 256 rows at once, whose keys and
    values of 12 blocks take 2.9 GB at 152 tokens, and the logits of a last token 51 MB.
    """
    gib = 2**30
    gpu = Gpu(name=card, index=0, total_bytes=round(total * gib), free_bytes=round(free * gib))
    here = Machine(gpus=(gpu,), ram_bytes=16 * GB, ram_available_bytes=8 * GB, cores=8, cuda_usable=True)
    plan = choose_plan(GPT2, here)
    assert (plan.kind, plan.device, plan.sae_device) == ("resident", "cuda:0", "cuda:0")
    batch = 32 * 128 * (3 * 768 * 4 + 2 * 24_576 * 4)
    assert plan.takes_bytes == 497_273_856 + 151_096_320 + batch == 1_491_425_280
    room = gpu.free_bytes - ASIDE
    assert 2 * (497_273_856 + 151_096_320) + batch < room
    keys = 256 * (128 + 24) * 12 * 2 * 768 * 4
    assert 497_273_856 + 151_096_320 + keys + 256 * 50_257 * 4 < room


def test_a_card_that_torch_cannot_use_is_named_in_the_plan() -> None:
    """The plan is that of the processor, and says that there is more."""
    gpu = Gpu(name="L4", index=0, total_bytes=8 * GB, free_bytes=8 * GB)
    here = Machine(gpus=(gpu,), ram_bytes=16 * GB, ram_available_bytes=8 * GB, cores=8)
    plan = choose_plan(GPT2, here)
    assert (plan.kind, plan.device, plan.sae_device) == ("resident", "cpu", "cpu")
    assert plan.reason.endswith("; L4 is here, and this torch cannot use it: see saeprobe doctor")
    assert "doctor" not in choose_plan(GPT2, here, device="cpu").reason

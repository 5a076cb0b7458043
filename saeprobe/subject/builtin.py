"""The subjects that are built in: the specimens, and the models of the published articles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from saeprobe.subject.specification import ModelShape, SaeFile, SaeFolder, SaeRelease, SubjectSpec

_SPECIMENS: Final = Path(__file__).parent.parent / "specimens"

_SPARROW: Final = SubjectSpec(
    name="sparrow",
    model=_SPECIMENS / "sparrow" / "model",
    sae=SaeFolder(path=_SPECIMENS / "sparrow" / "sae"),
    root=_SPECIMENS.parent.parent,
    wording="specimen",
    specimen=True,
    summary="the shipped specimen: GPT-2 architecture with a ReLU SAE, trained on a generated corpus",
    l0=23.2,  # its card
    variance_explained=0.919,
)

_FINCH: Final = SubjectSpec(
    name="finch",
    model=_SPECIMENS / "finch" / "model",
    sae=SaeFile(path=_SPECIMENS / "finch" / "sae" / "finch-sae-l2.pt"),
    root=_SPECIMENS.parent.parent,
    wording="specimen",
    specimen=True,
    summary="the second specimen: Llama architecture with chat template and an SAE in Goodfire's format, same corpus",
    hook_name="blocks.2.hook_resid_post",
    prepend_bos=True,
    chat_template=True,
    l0=17.6,  # its card, on text without the template's tokens
    variance_explained=0.886,
)

_GPT2: Final = SubjectSpec(
    name="gpt2",
    model="openai-community/gpt2",
    fetch=("*.json", "*.txt", "model.safetensors"),  # the repository has the same weights in six more formats
    sae=SaeRelease(release="gpt2-small-res-jb", id="blocks.6.hook_resid_pre"),
    hook_name="blocks.6.hook_resid_pre",
    # Also in the registry of sae-lens; stated here since an uncentred stream gives wrong features silently.
    center_writing_weights=True,
    summary="GPT-2 small with the residual-stream SAE of Joseph Bloom",
    shape=ModelShape(
        family="bridge",
        hidden=768,
        layers=12,
        heads=12,
        kv_heads=12,
        intermediate=3072,
        vocabulary=50_257,
        positions=1024,
    ),
    d_sae=24_576,
)

_QWEN: Final = SubjectSpec(
    name="qwen7b",
    model="Qwen/Qwen2.5-7B-Instruct",
    fetch=("*.json", "*.txt", "*.safetensors"),
    sae=SaeRelease(release="qwen2.5-7b-instruct-andyrdt", id="resid_post_layer_15_trainer_1"),
    wording="chinese",
    hook_name="blocks.15.hook_resid_post",
    prepend_bos=False,  # Qwen has no BOS; its chat template begins with a system turn
    chat_template=True,
    dtype="bfloat16",
    summary="Qwen2.5-7B-Instruct with the SAE of layer 15 by Andy Arditi: the other family beside Llama",
    shape=ModelShape(
        family="layers",
        hidden=3584,
        layers=28,
        heads=28,
        kv_heads=4,
        intermediate=18_944,
        vocabulary=152_064,
        positions=32_768,
    ),
)

_LLAMA: Final = SubjectSpec(
    name="llama70b",
    model="meta-llama/Llama-3.3-70B-Instruct",
    fetch=("*.json", "model-*.safetensors"),  # original/ has the same weights once more, as pickles
    sae=SaeRelease(release="goodfire-llama-3.3-70b-instruct", id="layer_50"),
    wording="chinese",
    # Known here too, so that the layers after it need not be fetched to find out.
    hook_name="blocks.50.hook_resid_post",
    prepend_bos=True,
    chat_template=True,
    dtype="bfloat16",
    try_next_layer=False,  # the hook is the publisher's own, and a layer more is 1.7 GB to read
    summary="Llama-3.3-70B-Instruct with Goodfire's SAE of layer 50",
    shape=ModelShape(
        family="layers",
        hidden=8192,
        layers=80,
        heads=64,
        kv_heads=8,
        intermediate=28_672,
        vocabulary=128_256,
        positions=131_072,
    ),
    d_sae=65_536,
)

_LLAMA_AS_PUBLISHED: Final = replace(
    _LLAMA,
    name="llama70b-as-published",
    markers=("llama70b-as-published", "llama70b"),
    protocol_of="llama70b",
    misfit="the published experiment read hidden_states[50], one layer before the one that the SAE was trained on",
    hook_name="blocks.49.hook_resid_post",
    bos_twice=True,
    rank_with_bos=True,
    quantisation="8bit where it can",
    try_next_layer=True,
    summary="llama70b by the protocol of the article: hidden_states[50], two BOS tokens, 8-bit where the hardware can",
)

BUILTIN: Final = (_SPARROW, _FINCH, _GPT2, _QWEN, _LLAMA, _LLAMA_AS_PUBLISHED)

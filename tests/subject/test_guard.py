"""A checkpoint that is not whole, of another model, quantised or damaged is refused on every route that loads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from made_families import LAYERS, write_family
from made_subjects import write_word_tokenizer
from safetensors.torch import load_file, save_file

from saeprobe.subject.memory import MemoryPlan
from saeprobe.subject.specification import Dtype, SubjectError

Route = Literal["resident", "streamed", "speaker", "bridge"]
Tensors = dict[str, torch.Tensor]
ROUTES: tuple[tuple[str, Route], ...] = (
    *((family, route) for family in ("llama", "gpt2") for route in ("resident", "streamed", "speaker")),
    ("gpt_neo", "bridge"),
)
EACH = pytest.mark.parametrize(("family", "route"), ROUTES)


def write(folder: Path, family: str) -> None:
    """Write a model of four layers; GPT-Neo is of a family without a layout."""
    write_word_tokenizer(folder, ["a"])
    write_family(folder, family)


def opened(folder: Path, route: Route, dtype: Dtype = "float32") -> Any:
    """Load a model by a route; a streamed one reads all its layers."""
    from saeprobe.subject.running import Run
    from saeprobe.subject.running.layers import open_speaker, open_stack
    from saeprobe.subject.running.opening import open_bridge
    from saeprobe.subject.running.streamed import open_sweep

    if route == "resident":
        return open_stack(folder, depth=LAYERS, dtype=dtype)
    if route == "streamed":
        sweep = open_sweep(folder, depth=LAYERS, dtype=dtype)
        return list(sweep.run([Run(ids=(0, 1), depths=(LAYERS,))], batch_size=1))
    if route == "speaker":
        plan = MemoryPlan(kind="resident", device="cpu", sae_device="cpu", reason="made")
        return open_speaker(folder, lambda: plan, depth=1, dtype=dtype, name="mine")
    return open_bridge(folder, center_writing_weights=False, device="cpu", dtype=dtype)


def change(folder: Path, edit: Callable[[Tensors], object]) -> None:
    """Change the tensors of a model's file."""
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file({name: one.contiguous() for name, one in tensors.items()}, folder / "model.safetensors", {"format": "pt"})


def configure(folder: Path, **settings: Any) -> None:
    """Change a model's configuration."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, **settings}), encoding="utf-8")


def a_matrix(tensors: Tensors, layer: int = 1) -> str:
    """Name a matrix of a layer."""
    return next(name for name in sorted(tensors) if f".{layer}." in name and tensors[name].dim() > 1)


@EACH
def test_a_sound_model_is_loaded(tmp_path: Path, family: str, route: Route) -> None:
    """By every route, with the masks that old checkpoints store."""
    write(tmp_path, family)
    if family == "gpt2":
        change(tmp_path, lambda tensors: tensors.update({"transformer.h.0.attn.bias": torch.ones(1, 1, 64, 64).bool()}))
    assert opened(tmp_path, route)


def lack(tensors: Tensors) -> None:
    """Take a matrix out."""
    del tensors[a_matrix(tensors)]


def lengthen(tensors: Tensors) -> None:
    """Add a layer after the last one."""
    tensors.update({name.replace(".3.", ".4."): one.clone() for name, one in tensors.items() if ".3." in name})


def widen(tensors: Tensors) -> None:
    """Give a matrix one row more."""
    tensors[a_matrix(tensors)] = torch.nn.functional.pad(tensors[a_matrix(tensors)], (0, 0, 0, 1))


def shorten(tensors: Tensors) -> None:
    """Take a token out of the embedding."""
    name = next(name for name in tensors if name.endswith(("embed_tokens.weight", "wte.weight")))
    tensors[name] = tensors[name][:-1].clone()


def adapt(tensors: Tensors) -> None:
    """Add a matrix that no such model has."""
    tensors[a_matrix(tensors).replace(".weight", ".lora_A.weight")] = torch.ones(2, 2)


@EACH
@pytest.mark.parametrize("spoil", [lack, lengthen, widen, shorten, adapt])
def test_a_checkpoint_of_another_model_is_refused(
    tmp_path: Path, family: str, route: Route, spoil: Callable[[Tensors], None]
) -> None:
    """A tensor is absent, left over, or of another shape: transformers would draw it at random, or drop it."""
    write(tmp_path, family)
    change(tmp_path, spoil)
    with pytest.raises(SubjectError, match=r"of one model|config\.json speaks of"):
        opened(tmp_path, route)


@EACH
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_weight_that_is_no_number_is_named(tmp_path: Path, family: str, route: Route, value: float) -> None:
    """With its file; also in the last layer that is read."""
    write(tmp_path, family)
    name = a_matrix(load_file(tmp_path / "model.safetensors"), layer=3)
    change(tmp_path, lambda tensors: tensors[name].view(-1)[-1].fill_(value))
    tail = name.partition(".")[2].replace(".", r"\.")
    with pytest.raises(SubjectError, match=rf"{tail} of .*model\.safetensors holds numbers that are not finite"):
        opened(tmp_path, route)


@EACH
def test_a_weight_too_large_for_float16_is_named_as_that(tmp_path: Path, family: str, route: Route) -> None:
    """The file is sound, and the remedy is another dtype, in which it is loaded."""
    write(tmp_path, family)

    def enlarge(tensors: Tensors) -> None:
        name = a_matrix(tensors)
        tensors[name] = tensors[name].bfloat16()
        tensors[name].view(-1)[0] = 7e4

    change(tmp_path, enlarge)
    with pytest.raises(SubjectError, match=r"stored as BF16 and exceeds the largest number of float16"):
        opened(tmp_path, route, "float16")
    assert opened(tmp_path, route, "bfloat16")


def packed(to: torch.dtype, *beside: str) -> Callable[[Tensors], None]:
    """Store a matrix in eight bits, with its scale or without."""

    def edit(tensors: Tensors) -> None:
        name = a_matrix(tensors)
        tensors[name] = tensors[name].to(to)
        tensors.update({name.replace("weight", one): torch.ones(1) for one in beside})

    return edit


def instead(*names: str) -> Callable[[Tensors], None]:
    """Replace a matrix as GPTQ and AWQ do."""

    def edit(tensors: Tensors) -> None:
        name = a_matrix(tensors)
        del tensors[name]
        tensors.update({name.replace("weight", one): torch.ones(2, 2, dtype=torch.int32) for one in names})

    return edit


@EACH
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (packed(torch.float8_e4m3fn), None),
        (packed(torch.float8_e5m2, "weight_scale_inv"), {"quant_method": "fp8"}),
        (packed(torch.float8_e4m3fn, "weight_scale", "input_scale"), None),
        (packed(torch.int8, "SCB", "weight_format"), {"quant_method": "bitsandbytes", "load_in_8bit": True}),
        (packed(torch.int8), None),
        (packed(torch.uint8, "absmax", "quant_map", "quant_state.bitsandbytes__nf4"), None),
        (instead("qweight", "qzeros", "scales", "g_idx"), {"quant_method": "gptq", "bits": 4}),
        (instead("qweight", "qzeros", "scales"), None),
        (instead("weight_packed", "weight_scale", "weight_shape"), {"quant_method": "compressed-tensors"}),
        (lambda _: None, {"quant_method": "awq"}),
        (lambda _: None, {"bits": 4}),
    ],
)
def test_quantised_weights_are_refused(
    tmp_path: Path, family: str, route: Route, spoil: Callable[[Tensors], None], said: dict[str, Any] | None
) -> None:
    """In words of our own, whether config.json says so or not, before a quantiser of transformers is asked for."""
    write(tmp_path, family)
    change(tmp_path, spoil)
    if said is not None:
        configure(tmp_path, quantization_config=said)
    with pytest.raises(SubjectError, match=r"are quantised already: .*name the model's own checkpoint in float32"):
        opened(tmp_path, route)


@EACH
@pytest.mark.parametrize("spoiled", [b"", b"{}", b"\xff" * 64, (8).to_bytes(8, "little") + b'{"a": 1}'])
def test_a_broken_file_is_refused(tmp_path: Path, family: str, route: Route, spoiled: bytes) -> None:
    """Also one that is cut short."""
    write(tmp_path, family)
    file = tmp_path / "model.safetensors"
    whole = file.read_bytes()
    for content in (spoiled, whole[:-9], whole[:50]):
        file.write_bytes(content)
        with pytest.raises(SubjectError, match=r"safetensors file|its header speaks of"):
            opened(tmp_path, route)


@pytest.mark.parametrize(("family", "route"), [one for one in ROUTES if one[1] != "speaker"])
def test_a_pickle_is_never_loaded(tmp_path: Path, family: str, route: Route) -> None:
    """It could run code; the remedy is said."""
    write(tmp_path, family)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(SubjectError, match=r"are a pickle \(pytorch_model\.bin\), which can run code"):
        opened(tmp_path, route)


@pytest.mark.parametrize("route", ["resident", "streamed", "speaker"])
def test_an_index_of_other_files_is_refused(tmp_path: Path, route: Route) -> None:
    """It names a file that is there and lacks the tensor."""
    from transformers import AutoModelForCausalLM

    write(tmp_path / "whole", "gpt2")
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "whole")
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    write_word_tokenizer(tmp_path, ["a"])
    index = tmp_path / "model.safetensors.index.json"
    said = json.loads(index.read_text(encoding="utf-8"))
    assert opened(tmp_path, route)
    first, last = (file for _, file in sorted(said["weight_map"].items())[:: len(said["weight_map"]) - 1])
    assert first != last
    name = next(name for name, file in said["weight_map"].items() if file == first)
    said["weight_map"][name] = last
    index.write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(SubjectError, match=r"holds transformer.*, which it does not"):
        opened(tmp_path, route)


@EACH
def test_weights_under_another_name_are_refused(tmp_path: Path, family: str, route: Route) -> None:
    """Transformers would load that file, and another one is hashed."""
    write(tmp_path, family)
    (tmp_path / "other.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes())
    configure(tmp_path, transformers_weights="other.safetensors")
    with pytest.raises(SubjectError, match=r"transformers_weights are in a file of another name"):
        opened(tmp_path, route)


@pytest.fixture
def untied(tmp_path: Path) -> Path:
    """A GPT-2 whose file has no head and whose configuration says that it has one."""
    write(tmp_path, "gpt2")
    configure(tmp_path, tie_word_embeddings=False)
    return tmp_path


def test_a_head_that_is_not_there_matters_to_the_speaker_alone(untied: Path) -> None:
    """It would write with a head drawn at random; no residual stream depends on that."""
    assert opened(untied, "resident")
    assert opened(untied, "streamed")
    with pytest.raises(SubjectError, match=r"lm_head\.weight is not in the files"):
        opened(untied, "speaker")


def test_a_head_beside_a_tied_one_is_the_one_that_is_written_with_or_refused(tmp_path: Path) -> None:
    """A file whose head is another than its embedding is not read as if they were one."""
    write(tmp_path, "gpt2")
    head = torch.randn(64, 16, generator=torch.Generator().manual_seed(9))
    change(tmp_path, lambda tensors: tensors.update({"lm_head.weight": head}))
    speaker = opened(tmp_path, "speaker")
    torch.testing.assert_close(speaker.model.lm_head.weight, head)


@EACH
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"num_attention_heads": 3, "n_head": 3, "num_heads": 3}, "cannot be (loaded|used): "),
        ({"hidden_size": "wide", "n_embd": "wide"}, "cannot be (loaded|used): "),
        (
            {"model_type": "new", "auto_map": {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"}},
            "code of its own",
        ),
    ],
)
def test_a_configuration_that_transformers_refuses_is_refused_here(
    tmp_path: Path, family: str, route: Route, settings: dict[str, Any], said: str
) -> None:
    """In our own words, none of which is how to switch a safeguard off; an unknown family is none that is streamed."""
    write(tmp_path, family)
    configure(tmp_path, **settings)
    in_layers = route in ("resident", "streamed") and "model_type" in settings
    with pytest.raises(SubjectError, match="wanted a decoder-only" if in_layers else said) as caught:
        opened(tmp_path, route)
    assert "trust_remote_code" not in str(caught.value)

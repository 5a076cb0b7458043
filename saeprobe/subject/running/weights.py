"""Weights are loaded from files, or drawn by a seed as before any training.

Whatever is loaded passes here: its files fit it, all of it is from them, and every weight is a number.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import torch
from accelerate.utils.memory import should_reduce_batch_size
from safetensors import safe_open
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

from saeprobe.files import quoted, visible
from saeprobe.shapes import Float
from saeprobe.subject.files import INDEX, WHOLE, is_after, is_computed, is_read, layer_of, layout_of
from saeprobe.subject.files.model import DEPTH, bars_where_watched, number_of, read_config, read_json, table_of
from saeprobe.subject.files.shards import ShardError, StoredTensor, read_weight_map, stored_tensors
from saeprobe.subject.files.tokenizer import GENERATION
from saeprobe.subject.specification import Dtype, SubjectError

_SPREAD: Final = 0.02  # transformers' own, where a configuration does not say `initializer_range`
_SHOWN = 4  # of the tensors that are wrong
_LONGEST = 200  # characters of what a library says
_FLOATS: Final = frozenset({"F64", "F32", "F16", "BF16"})
# What GPTQ, AWQ, bitsandbytes, fp8 and compressed-tensors write beside a weight, or in its place.
_QUANTISED: Final = re.compile(
    r".*(?:^|[._])(?:qweight|qzeros|scales|g_idx|SCB|absmax|quant_map|quant_state\..*|weight_(?:scale|scale_inv|packed|"
    r"shape|zero_point|format|global_scale)|(?:input|output|k|v)_scale)"
)

Draw = Callable[[str, tuple[int, ...]], Tensor]  # makes a tensor of that name and shape, without reading it


def load(
    auto: Any,
    folder: Path,
    *,
    dtype: Dtype,
    view: Path | None = None,
    depth: int | None = None,
    used: Callable[[str], bool] = lambda _: True,
    **how: Any,
) -> Any:
    """Load a model by a class `Auto...` of transformers; refuse it unless all of it that is used came from its files.

    It computes in `dtype`. It is loaded from the `view`, a folder with a part of its files, where one is given; errors
    name its `folder`. Of a model that runs layer by layer `depth` blocks run; None is for the whole model. Which
    tensors decide what is asked of it, `used` says by name. The rest goes on to `from_pretrained`. A SubjectError says
    that a file is absent or broken; configuration and weights are of different models; the weights are quantised, or
    some of them are no finite numbers.
    """
    stored = check_checkpoint(folder, depth=depth)
    if (folder / GENERATION).exists():
        read_json(folder / GENERATION)  # transformers takes whatever it holds for an object
    model, info = from_files(
        auto,
        folder,
        "the model",
        view=view,
        dtype=getattr(torch, dtype),
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # `info` names them, as the others
        **how,
    )
    wrong = _wrong(info, used=lambda name: used(name) and not is_computed(name))
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise ShardError(
            f"config.json and the weights of {folder} are not of one model: {'; '.join(wrong[:_SHOWN])}{more}; "
            "fetch both again from one revision"
        )
    state = cast("Mapping[str, Tensor]", model.state_dict()).items()
    here = ((name, one) for name, one in state if used(name) and one.device.type != "meta")
    check_finite(here, folder, dtype=dtype, stored=stored.values())
    return model.eval().requires_grad_(requires_grad=False)


def from_files(auto: Any, folder: Path, what: str, *, view: Path | None = None, **how: Any) -> Any:
    """Let a class `Auto...` of transformers read a folder, or the `view` of a part of it; no code there is ever run."""
    with foreign(folder, what):
        return auto.from_pretrained(str(view or folder), local_files_only=True, trust_remote_code=False, **how)


@contextmanager
def foreign(folder: Path, what: str) -> Generator[None]:
    """Turn what a library says of the files in a folder into a `SubjectError`, and keep it from writing of its own.

    transformers reports tensors without a place, also where the files hold more than is read: `_wrong` looks for those
    that matter.
    """
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with bars_where_watched():
            yield
    except Exception as error:  # the library of tokenizers, for example, raises no kind of its own
        if isinstance(error, SubjectError) or (isinstance(error, RuntimeError) and should_reduce_batch_size(error)):
            raise  # the latter says that the memory is full
        if "trust_remote_code" in str(error):
            raise SubjectError(
                f"{what} in {folder} wants to run code of its own, which is never done; name a model of a family that "
                "transformers itself has"
            ) from error
        if type(error).__name__.startswith("StrictDataclass"):  # huggingface_hub's, of a value in config.json
            found = visible(" ".join(str(error).split()))[:_LONGEST]
            raise SubjectError(
                f"config.json in {folder} cannot be used: {found}; fetch it again, or name another"
            ) from error
        raise SubjectError(
            f"{what} in {folder} cannot be loaded: {type(error).__name__}: {quoted(error)}; fetch it again, "
            "or name another"
        ) from error
    finally:
        logging.set_verbosity(before)


def check_checkpoint(folder: Path, *, depth: int | None) -> dict[str, StoredTensor]:
    """Return what lies on disk of a model, up to a depth where it runs layer by layer, or refuse it.

    Refused are files that are absent or broken, tensors that no such model has, and quantised weights: transformers
    reads some of these without their scales and without a word. A SubjectError refuses the last, a ShardError the rest.
    """
    config = read_json(folder / "config.json") if depth is None else read_config(folder, depth=depth)
    if config.get("transformers_weights") is not None:
        raise SubjectError(
            f"config.json of {folder} says that transformers_weights are in a file of another name; wanted {WHOLE} or "
            f"{INDEX}: name the file so, and take the key out"
        )
    weight_map = read_weight_map(folder)
    stored = stored_tensors(folder, depth=depth)
    _refuse_quantised(folder, config, weight_map, stored)
    if layout_of(config) is not None:
        n_layers = number_of(read_json(folder / "config.json"), *DEPTH) or 0
        placed = (name for name in weight_map if is_read(name) and (layer_of(name) or 0) < n_layers)
        strange = sorted(name for name in weight_map.keys() - placed if not (is_computed(name) or is_after(name)))
        if strange:
            raise ShardError(
                f"config.json and the weights of {folder} are not of one model: {strange[0]} has no place in a model "
                f"of {n_layers} layers ({len(strange)} such tensors); fetch both again from one revision"
            )
    return stored


def _refuse_quantised(
    folder: Path, config: Mapping[str, object], names: Iterable[str], stored: Mapping[str, StoredTensor]
) -> None:
    tables = (config, table_of(config.get("text_config")))
    said = [one[key] for one in tables for key in ("quantization_config", "compression_config") if one.get(key)]
    marked = next((name for name in names if _QUANTISED.fullmatch(name)), None)
    packed = next((one for one in stored.values() if one.dtype not in _FLOATS and _is_weight(one)), None)
    if said:
        method = cast("dict[str, object]", said[0]).get("quant_method") if isinstance(said[0], dict) else said[0]
        found = f"config.json says quantization_config ({method or 'no method named'})"
    elif marked is not None:
        found = f"beside the weights lies {marked}"
    elif packed is not None:
        found = f"{packed.name} is stored as {packed.dtype}"
    else:
        return
    raise SubjectError(
        f"the weights in {folder} are quantised already: {found}; name the model's own checkpoint in float32, bfloat16 "
        'or float16 (with quantisation = "8bit" its weights are quantised as they are loaded)'
    )


def _is_weight(one: StoredTensor) -> bool:
    """Say whether a tensor that is not stored in floating point, or in eight bits of it, is no mask or counter."""
    read = is_read(one.name) and not is_computed(one.name)
    return read or one.dtype.startswith("F") or "weight" in one.name.rpartition(".")[2]


def _wrong(info: Mapping[str, Any], *, used: Callable[[str], bool]) -> list[str]:
    """Say which tensors transformers drew at random, dropped, or found in another shape."""
    missing = [f"{name} is not in the files" for name in sorted(info["missing_keys"]) if used(name)]
    left = [f"{name} has no place" for name in sorted(info["unexpected_keys"]) if used(name)]
    shapes = cast("Iterable[tuple[str, object, object]]", info["mismatched_keys"])
    other = [f"{name} has another shape in the files" for name, *_ in shapes if used(name)]
    return [*missing, *left, *other, *(str(one) for one in info["error_msgs"])]


def check_finite(
    weights: Iterable[tuple[str, Tensor]], folder: Path, *, dtype: Dtype, stored: Iterable[StoredTensor]
) -> None:
    """Refuse weights that are no finite numbers: a feature that is NaN counts as silent, and claims come true of it.

    `stored` are the same tensors on disk, which tell a damaged file from numbers that are too large for float16.
    """
    for name, tensor in weights:
        if is_finite(tensor):
            continue
        found = next((one for one in stored if one.name.endswith(name) or name.endswith(one.name)), None)
        if dtype == "float16" and found is not None and is_finite(_read(found)):
            raise SubjectError(
                f"{found.name} of {found.file} is stored as {found.dtype} and exceeds the largest number of float16, "
                '65,504; set dtype = "float32" or dtype = "bfloat16" for this subject'
            )
        where = folder if found is None else found.file
        raise SubjectError(
            f"{name} of {where} holds numbers that are not finite (NaN or infinity); the file is damaged: fetch or "
            "write it again"
        )


def is_finite(tensor: Tensor) -> bool:
    """Say whether all numbers are finite, in one pass and without a copy: the least and the greatest of NaN are NaN."""
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    return all(bool(one.isfinite()) for one in torch.aminmax(tensor))


def _read(one: StoredTensor) -> Tensor:
    with cast(Any, safe_open)(one.file, framework="pt") as stream:
        return stream.get_tensor(one.name)


def generator_of(seed: int, name: str) -> torch.Generator:
    """Return a generator for what bears a name."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)  # below 2**63, which any version takes


def random_draw(folder: Path, *, seed: int, dtype: Dtype) -> Draw:
    """Return what draws each tensor of the model in a folder, by its name in a checkpoint and its shape.

    Models of Llama's kin may be too large to be drawn whole, and are drawn a tensor at a time as transformers draws
    them before a training: matrices are normal with mean 0 and the standard deviation that the configuration says, the
    norms' weights 1 and biases 0 (`PreTrainedModel._init_weights`). Each tensor has a generator of its own, seeded by
    `seed` and its name, on the CPU and in float32. Of other models transformers draws all, since each architecture has
    widths of its own; the layers after the hook are then dropped.
    """
    config = read_json(folder / "config.json")
    layout, spread = layout_of(config), float(config.get("initializer_range") or _SPREAD)

    def drawn(name: str, shape: tuple[int, ...]) -> Float[Tensor, ...]:
        if name.endswith(".bias"):
            return torch.zeros(shape)
        if len(shape) == 1:
            return torch.ones(shape)
        return torch.empty(shape).normal_(std=spread, generator=generator_of(seed, name.removeprefix("model.")))

    if layout is not None and layout.drawn_alone:
        return drawn
    whole = drawn_whole(folder, dtype, seed=seed).base_model
    state, prefix = cast("Mapping[str, Tensor]", whole.state_dict()), f"{whole.base_model_prefix}."
    return lambda name, _: state[name.removeprefix(prefix)]


def drawn_whole(folder: Path, dtype: Dtype, *, seed: int, attention: str | None = None) -> Any:
    """Draw the weights that transformers gives the architecture before a training, always on the CPU."""
    config = from_files(AutoConfig, folder, "the configuration")
    with cast(Any, torch.random).fork_rng(devices=[]):  # transformers uses torch's own generator alone: put it back
        cast(Any, torch).default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
        return cast(Any, AutoModelForCausalLM).from_config(
            config, dtype=getattr(torch, dtype), attn_implementation=attention
        )

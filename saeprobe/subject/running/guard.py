"""Whatever transformers loads passes here: nothing is missing, nothing is left over, and every weight is a number."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.utils.memory import should_reduce_batch_size
from safetensors import safe_open
from torch import Tensor
from transformers.utils import logging

from saeprobe.files import quoted
from saeprobe.subject.files.checkpoint import check_checkpoint
from saeprobe.subject.files.layout import is_computed
from saeprobe.subject.files.model import bars_where_watched
from saeprobe.subject.files.shards import ShardError, StoredTensor
from saeprobe.subject.specification import Dtype, SubjectError

_SHOWN = 4  # of the tensors that are wrong


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
    """Load a model through transformers, and refuse it unless all of it that is used came from its files.

    Args:
        auto: one of transformers' classes `Auto...`.
        folder: of the model, named in errors.
        dtype: what it computes in.
        view: a folder with a part of the model's files, from which it is loaded.
        depth: blocks that run, of a model that runs layer by layer; None for the whole model.
        used: which tensors of the model and of the files decide what is asked of it, by name.
        how: passed on to `from_pretrained`.

    Raises:
        SubjectError: a file is absent or broken; configuration and weights are of different models; the weights are
            quantised, or some of them are no finite numbers.
    """
    stored = check_checkpoint(folder, depth=depth)

    def counts(name: str) -> bool:
        return used(name) and not is_computed(name)

    with foreign(folder, "the model"):
        model, info = auto.from_pretrained(
            str(view or folder),
            dtype=getattr(torch, dtype),
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # `info` names them, as the others
            **how,
        )
    wrong = _wrong(info, used=counts)
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise ShardError(
            f"config.json and the weights of {folder} are not of one model: {'; '.join(wrong[:_SHOWN])}{more}; "
            "fetch both again from one revision"
        )
    check_finite(_weights(model, used=used), folder, dtype=dtype, stored=stored.values())
    return model.eval().requires_grad_(requires_grad=False)


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
        raise SubjectError(
            f"{what} in {folder} cannot be loaded: {type(error).__name__}: {quoted(error)}; fetch it again, "
            "or name another"
        ) from error
    finally:
        logging.set_verbosity(before)


def _wrong(info: Mapping[str, Any], *, used: Callable[[str], bool]) -> list[str]:
    """Say which tensors transformers drew at random, dropped, or found in another shape."""
    missing = [f"{name} is not in the files" for name in sorted(info["missing_keys"]) if used(name)]
    left = [f"{name} has no place" for name in sorted(info["unexpected_keys"]) if used(name)]
    shapes = cast("Iterable[tuple[str, object, object]]", info["mismatched_keys"])
    other = [f"{name} has another shape in the files" for name, *_ in shapes if used(name)]
    return [*missing, *left, *other, *(str(one) for one in info["error_msgs"])]


def _weights(model: Any, *, used: Callable[[str], bool]) -> Iterable[tuple[str, Tensor]]:
    for name, tensor in cast("Mapping[str, Tensor]", model.state_dict()).items():
        if used(name) and tensor.device.type != "meta":
            yield name, tensor


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

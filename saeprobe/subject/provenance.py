"""An SAE belongs to one model: what its metadata says of that model is held against the model that is declared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

from saeprobe.files import shortened
from saeprobe.subject.files import centring_refused
from saeprobe.subject.files.properties import Stated
from saeprobe.subject.files.sae import SaeSource
from saeprobe.subject.specification import SubjectError, SubjectSpec

_REVISIONS: Final = frozenset({"revision", "checkpoint_value", "checkpoint_index", "checkpoint_label"})
# What else TransformerLens and transformers take that leaves the residual stream up to the hook as it is, rounding
# aside. Folding a LayerNorm moves its weights into the next product, and value biases into the output's.
_HARMLESS: Final = frozenset(
    {
        *("fold_ln", "fold_value_biases", "center_unembed", "refactor_factored_attn_matrices", "first_n_layers"),
        *("n_ctx", "dtype", "torch_dtype", "device", "device_map", "n_devices", "move_to_device"),
        *("default_padding_side", "default_prepend_bos", "trust_remote_code", "attn_implementation"),
        *("low_cpu_mem_usage", "local_files_only", "cache_dir", "token", "use_safetensors", "use_cache", "verbose"),
    }
)
_LIBRARIES: Final = ("HookedTransformer", "AutoModelForCausalLM")  # how sae-lens loads a language model
_BLOCK: Final = re.compile(r"blocks\.([0-9]{1,6})\.")
_ANY: Final = 2**31  # tokens, of which no text has as many


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """A yardstick is what an instrument check is held against."""

    l0: float | None = None  # active features a token, as the SAE's publisher states it; None where nobody does
    variance_explained: float | None = None  # share of the variance that the SAE reconstructs, likewise
    source: str = ""  # who says so
    shifts: tuple[int, ...] = (-1, 0, 1)  # which layers are tried, in blocks from the hook; 0 is the hook itself
    misfit: str | None = None  # why the SAE is read where it does not belong, on purpose; None where it is to fit
    writes_to: str | None = None  # where a transcoder writes, which reconstructs nothing of what it reads


def check_model_name(spec: SubjectSpec, trained_on: str | None) -> None:
    """Refuse another model than the SAE's: one of the same width gives features without an error, and wrong ones.

    Names are compared where both are names on the Hub; of a folder nobody knows which model lies in it.
    """
    if spec.allow_other_model or trained_on is None or isinstance(spec.model, Path):
        return
    if _plain(spec.model) != _plain(trained_on):
        raise SubjectError(
            f"the SAE {spec.sae} was trained on {trained_on}, not on {spec.model}; name that model, or set "
            "allow_other_model = true if you want to know what it sees in another"
        )


def trained_on_model(sae: SaeSource) -> str | None:
    """Return the name of the model that an SAE was trained on, where its files or its registry say so."""
    stated = Stated(sae=str(sae.path), config=sae.said).text("model_name", None)
    return stated or (None if sae.release is None else sae.release.model)


def check_training(spec: SubjectSpec, said: Stated) -> None:
    """Refuse an SAE that was trained at some positions alone, or elsewhere than where it would be read.

    `exclude_special_tokens`, `sequence_separator_token` and `disable_concat_sequences` change the text of its training
    and not what it reads of a token.
    """
    positions, context = said.config.get("seqpos_slice"), said.count("context_size", None) or _ANY
    if positions is not None and not _is_whole(positions, context):
        raise SubjectError(
            f"the SAE {spec.sae} was trained at some positions of a text alone (seqpos_slice = "
            f"{shortened(positions)}), and here every token but BOS may be read; name an SAE trained on all of them"
        )
    library = said.text("model_class_name", None)
    if library not in (None, *_LIBRARIES):
        raise SubjectError(
            f"the SAE {spec.sae} was trained on a model of the class {shortened(library)}, of which saeprobe does not "
            f"know the residual stream; wanted {' or '.join(_LIBRARIES)}: name another SAE"
        )
    block = said.count("hook_layer", said.count("hook_point_layer", None, least=0), least=0)
    hook = _BLOCK.match(said.text("hook_name", None) or "")
    if spec.hook_name is None and hook is not None and block not in (None, int(hook[1])):
        raise SubjectError(
            f"the SAE {spec.sae} contradicts itself: its hook_name is {hook.string!r} and its hook_layer {block}; "
            f'declare the one that its card names: hook_name = "blocks.N.hook_resid_post"'
        )


def check_departures(spec: SubjectSpec, said: Stated, *, hook_name: str, beginning: str) -> None:
    """Refuse what is declared as a departure and is none: reports would say that something is done which is not.

    `hook_name` is where the SAE is read, and `beginning` what stands before each prompt, empty where nothing does.
    """
    if spec.misfit is not None and hook_name == (said.text("hook_name", None) or spec.fits_at):
        raise SubjectError(
            f"{spec.name} declares misfit, why its SAE is read on purpose at another hook than its own, and it is read "
            f"at its own, {hook_name}; give the other as hook_name, or leave misfit out"
        )
    keys = [*(["bos_twice"] if spec.bos_twice else []), *(["rank_with_bos"] if spec.rank_with_bos else [])]
    if keys and not beginning and not (keys == ["rank_with_bos"] and spec.chat_template):
        raise SubjectError(
            f"{spec.name} declares {' and '.join(keys)}, and no BOS stands before its prompts; set prepend_bos = true "
            'and name the token where the tokenizer has none, bos_token = "<|...|>", or leave it out'
        )


def _is_whole(positions: object, context: int) -> bool:
    """Say whether a slice, as sae-lens writes one, has all positions of a text in it."""
    numbers = cast("list[object]", positions) if isinstance(positions, list | tuple) else []
    well = 0 < len(numbers) < 4 and all(one is None or isinstance(one, int) for one in numbers)  # noqa: PLR2004 - a step
    return well and 0 not in numbers[2:] and range(context)[slice(*cast("list[int | None]", numbers))] == range(context)


def _plain(name: str) -> str:
    """Return a model's name without its owner; TransformerLens calls GPT-2 gpt2-small."""
    last = name.rpartition("/")[2].lower().removeprefix("meta-")
    return "gpt2" if last == "gpt2-small" else last


def declared_or_stated(spec: SubjectSpec, said: Stated) -> tuple[str, bool]:
    """Return the hook and whether BOS stands first. A SubjectError names at once all that nobody says of these."""
    hook_name = said.text("hook_name", None) if spec.hook_name is None else spec.hook_name
    bos = said.flag("prepend_bos", default=None) if spec.prepend_bos is None else spec.prepend_bos
    if hook_name is not None and bos is not None:
        return hook_name, bos
    lines = ['hook_name = "blocks.2.hook_resid_post"'] if hook_name is None else []
    lines += ["prepend_bos = true"] if bos is None else []
    keys = " and ".join(line.partition(" ")[0] for line in lines)
    raise SubjectError(
        f"neither the SAE {spec.sae} nor the subject {spec.name!r} says {keys}; "
        f"add to [tool.saeprobe.subjects.{spec.name}] in pyproject.toml, as the SAE was trained, such as: "
        + "; and ".join(lines)
    )


def centred(spec: SubjectSpec, said: Stated, *, config: Mapping[str, object]) -> bool:
    """Say whether the SAE reads the stream minus its mean, by how its model was loaded in its training.

    What the SAE's configuration states of that stands under `model_from_pretrained_kwargs`; what is declared wins. The
    `config` is that of the model. A SubjectError says that the SAE was trained on another revision of the model than
    the one declared, or on a model that was changed in a way not known here; or the centred stream of this model is not
    known.
    """
    loading = replace(said, config=said.table("model_from_pretrained_kwargs"))
    given = {key: value for key, value in loading.config.items() if value is not None}
    unknown = sorted(set(given) - _HARMLESS - _REVISIONS - {"center_writing_weights"})
    if unknown:
        raise SubjectError(
            f"the SAE {spec.sae} was trained on a model loaded with {unknown[0]} = {given[unknown[0]]!r}, and saeprobe "
            "does not know what that does to the residual stream; name another SAE"
        )
    _check_revision(spec, {key: given[key] for key in sorted(_REVISIONS & given.keys())})
    center = bool(loading.flag("center_writing_weights", default=False))
    center = center if spec.center_writing_weights is None else spec.center_writing_weights
    refused = centring_refused(config) if center else None
    if refused is not None:
        raise SubjectError(
            f"the SAE {spec.sae} wants the writing weights of {spec.model} centred, {refused}; "
            "set center_writing_weights = false if it was trained on the raw stream"
        )
    return center


def _check_revision(spec: SubjectSpec, stated: Mapping[str, object]) -> None:
    """Refuse a revision or a checkpoint of the model other than the one that the SAE was trained on."""
    if not stated and spec.revision is not None and isinstance(spec.model, Path):
        raise SubjectError(
            f"{spec.name} declares revision = {spec.revision!r}, but its model is a folder ({spec.model}) and its SAE "
            "names no revision: leave it out"
        )
    declared = spec.revision or (None if isinstance(spec.model, Path) else "main")
    for key, value in stated.items():
        names = [str(value), *([f"step{value}"] if key == "checkpoint_value" else [])]
        if spec.allow_other_model or declared in names or (key == "revision" and value == "main" and not declared):
            continue
        remedy = "" if key == "checkpoint_index" else f"set revision = {names[-1]!r}, or "
        raise SubjectError(
            f"the SAE {spec.sae} was trained on a model of {key} {value!r}, and {spec.name} declares "
            f"{'no revision' if spec.revision is None else f'revision {spec.revision!r}'}; {remedy}"
            "allow_other_model = true if you want to know what it sees in another"
        )

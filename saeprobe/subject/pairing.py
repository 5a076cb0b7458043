"""Pairings: what a model's and an SAE's own configurations say together, read without importing torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from saeprobe.subject.files import model as weights
from saeprobe.subject.files.sae import SaeSource
from saeprobe.subject.files.shape import shape_of
from saeprobe.subject.specification import Family, SubjectError, SubjectSpec

_HOOK = re.compile(r"blocks\.(\d+)\.hook_resid_(pre|post)")
_T = TypeVar("_T")

DATE = "26 Jul 2024"
"""The date in a chat template that writes one: the one that Llama 3's own template falls back on."""


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """How a model and an SAE are read together.

    Attributes:
        family: which library runs the model.
        hook_name: where the SAE reads.
        depth: blocks that run before that point; transformers calls it `hidden_states[depth]`.
        n_layers: blocks of the model.
        d_in: width of the residual stream.
        d_sae: features of the SAE.
        architecture: of the SAE, as sae-lens calls it.
        prepend_bos: whether each prompt begins with BOS.
        bos_twice: whether a second BOS stands before the first.
        rank_with_bos: whether the effective rank takes BOS in.
        chat_template: whether a prompt is put into the chat template.
        center_writing_weights: whether the SAE reads the stream minus its mean over `d_model`.
        context_size: tokens a prompt may have, BOS included.
        n_positions: tokens the model can attend to.
    """

    family: Family
    hook_name: str
    depth: int
    n_layers: int
    d_in: int
    d_sae: int
    architecture: str
    prepend_bos: bool
    bos_twice: bool
    rank_with_bos: bool
    chat_template: bool
    center_writing_weights: bool
    context_size: int
    n_positions: int

    @property
    def aspects(self) -> dict[str, str]:
        """In words, by aspect: what a prompt becomes before it is read, and where it is read."""
        return protocol_aspects(
            hook_name=self.hook_name,
            prepend_bos=self.prepend_bos,
            bos_twice=self.bos_twice,
            rank_with_bos=self.rank_with_bos,
            chat_template=self.chat_template,
            center_writing_weights=self.center_writing_weights,
        )

    @property
    def protocol(self) -> str:
        """The same as one sentence, with the length of the context."""
        return "; ".join(f"{aspect}: {words}" for aspect, words in self.aspects.items()) + (
            f"; at most {self.context_size} tokens"
        )


def protocol_aspects(
    *,
    hook_name: str,
    prepend_bos: bool,
    bos_twice: bool,
    rank_with_bos: bool,
    chat_template: bool,
    center_writing_weights: bool,
) -> dict[str, str]:
    """What sets one protocol apart from another, in words, by aspect."""
    bos = "two before each prompt" if bos_twice else "one before each prompt" if prepend_bos else "none added"
    found = _HOOK.fullmatch(hook_name)
    where = "" if found is None else f", transformers' hidden_states[{int(found[1]) + (found[2] == 'post')}]"
    return {
        "read at": f"{hook_name}{where}",
        "BOS": f"{bos}, {'read for the effective rank only' if rank_with_bos else 'never read'}",
        "chat template": f"the model's own, up to the answer, dated {DATE}" if chat_template else "none",
        "stream": "residual stream minus its mean" if center_writing_weights else "raw residual stream",
    }


def pair(spec: SubjectSpec, *, model: Path, sae: SaeSource) -> Pairing:
    """Read both configurations and check that they belong together.

    Args:
        spec: what is declared; it wins over what the SAE says.
        model: folder of the model.
        sae: the SAE and what its files say.

    Raises:
        SubjectError: the widths or layers do not fit, the SAE is of another model, the tokenizer has no chat template
            where one is wanted, or a setting is nowhere stated.
    """
    shape = shape_of(model)
    said = sae.said
    hook_name = str(_need(spec, spec.hook_name, said.get("hook_name"), "hook_name"))
    _check_model_name(spec, sae)
    d_in = int(str(said.get("d_in", 0)))
    if d_in != shape.hidden:
        raise SubjectError(
            f"the SAE {spec.sae} reads {d_in} dimensions but {spec.model} has {shape.hidden}; they do not belong "
            f"together: name the model that the SAE was trained on ({_trained_on(sae) or 'its card says which'})"
        )
    if spec.chat_template and not _has_chat_template(model):
        raise SubjectError(
            f"the tokenizer of {spec.model} has no chat template but {spec.name} wants its prompts in one; "
            "name an instruction-tuned model, or set chat_template = false"
        )
    loading = said.get("model_from_pretrained_kwargs")
    options = cast("dict[str, object]", loading) if isinstance(loading, dict) else {}
    centred = bool(options.get("center_writing_weights", False))
    center = centred if spec.center_writing_weights is None else spec.center_writing_weights
    if center and shape.family == "layers":
        raise SubjectError(
            f"the SAE {spec.sae} wants the writing weights of {spec.model} centred, which RMSNorm models are not; "
            "set center_writing_weights = false if it was trained on the raw stream"
        )
    context = said.get("context_size") or shape.positions if spec.context_size is None else spec.context_size
    bos = _need(spec, spec.prepend_bos, said.get("prepend_bos"), "prepend_bos")
    return Pairing(
        family=shape.family,
        hook_name=hook_name,
        depth=depth_of(hook_name, n_layers=shape.layers, name=spec.name),
        n_layers=shape.layers,
        d_in=d_in,
        d_sae=int(str(said["d_sae"])),
        architecture=str(said.get("architecture", "standard")),
        prepend_bos=bool(bos),
        bos_twice=spec.bos_twice,
        rank_with_bos=spec.rank_with_bos,
        chat_template=spec.chat_template,
        center_writing_weights=center,
        context_size=min(int(str(context)), shape.positions),
        n_positions=shape.positions,
    )


def _need(spec: SubjectSpec, declared: _T | None, stated: _T | None, key: str) -> _T:
    value = stated if declared is None else declared
    if value is None:
        raise SubjectError(
            f"neither the SAE {spec.sae} nor the subject {spec.name!r} says {key}; "
            f"add {key} to [tool.saeprobe.subjects.{spec.name}] in pyproject.toml"
        )
    return value


def _check_model_name(spec: SubjectSpec, sae: SaeSource) -> None:
    """Another model of the same width gives features without an error, and wrong ones.

    Names are compared where both are names on the Hub; of a folder nobody knows which model lies in it.
    """
    trained_on = _trained_on(sae)
    if spec.allow_other_model or trained_on is None or isinstance(spec.model, Path):
        return
    if _plain(spec.model) != _plain(trained_on):
        raise SubjectError(
            f"the SAE {spec.sae} was trained on {trained_on}, not on {spec.model}; name that model, or set "
            "allow_other_model = true if you want to know what it sees in another"
        )


def _trained_on(sae: SaeSource) -> str | None:
    name = sae.said.get("model_name") or (None if sae.release is None else sae.release.model)
    return None if name is None else str(name)


def _plain(name: str) -> str:
    """The model's name without its owner; TransformerLens calls GPT-2 gpt2-small."""
    last = name.rpartition("/")[2].lower().removeprefix("meta-")
    return "gpt2" if last == "gpt2-small" else last


def _has_chat_template(model: Path) -> bool:
    if (model / "chat_template.jinja").exists():
        return True
    config = model / "tokenizer_config.json"
    return config.exists() and bool(weights.read_json(config).get("chat_template"))


def depth_of(hook_name: str, *, n_layers: int | None, name: str) -> int:
    """How many blocks run before the hook.

    Raises:
        SubjectError: it is no point between blocks, or after the model's last.
    """
    found = _HOOK.fullmatch(hook_name)
    if found is None:
        raise SubjectError(
            f"the hook of {name} is {hook_name!r}; this version of saeprobe reads the residual stream between blocks: "
            "blocks.N.hook_resid_pre or blocks.N.hook_resid_post"
        )
    block = int(found[1])
    if n_layers is not None and block >= n_layers:
        raise SubjectError(f"the hook of {name} is {hook_name!r} but the model has blocks 0 to {n_layers - 1}")
    return block + (found[2] == "post")

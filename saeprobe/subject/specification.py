"""Specifications: which model, which SAE and which protocol a subject is made of, before anything is looked up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Dtype = Literal["float32", "bfloat16", "float16"]
Quantisation = Literal["8bit", "8bit where it can"]
Family = Literal["layers", "bridge"]
Memory = Literal["auto", "resident", "sharded", "streamed"]


class SubjectError(ValueError):
    """A subject is declared wrongly, or its model and SAE do not belong together."""


@dataclass(frozen=True, kw_only=True)
class SaeFolder:
    """An SAE saved by sae-lens: a folder with `cfg.json` and `sae_weights.safetensors`."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, kw_only=True)
class SaeFile:
    """An SAE in one `.pt` file in Goodfire's format; where it reads must be declared, for the file does not say."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, kw_only=True)
class SaeRelease:
    """An SAE of sae-lens' registry."""

    release: str
    id: str

    def __str__(self) -> str:
        return f"{self.release}/{self.id}"


Sae = SaeFolder | SaeFile | SaeRelease


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """The sizes of a model that memory depends on.

    Attributes:
        family: which library runs it: transformers layer by layer, or a TransformerLens bridge as a whole.
        hidden: width of the residual stream.
        layers: blocks.
        heads: attention heads.
        kv_heads: heads of keys and values.
        intermediate: width of the MLP.
        vocabulary: rows of the embedding.
        positions: tokens it can attend to.
    """

    family: Family
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int
    positions: int


@dataclass(frozen=True, kw_only=True)
class SubjectSpec:
    """A subject as declared, built in or in `[tool.saeprobe.subjects.NAME]`.

    None means "as the SAE's own configuration says"; what that does not say must be given here.

    Attributes:
        name: what `subjects(...)` and `-m` select.
        model: a folder in Hugging Face format, or a name on the Hub.
        sae: the SAE.
        root: reports name folders inside this one by their path from here, so that they say nothing of the machine.
        summary: one line for people.
        markers: its name and, for a protocol of another subject, that subject's name.
        protocol_of: the subject of which this one is another protocol.
        misfit: why the SAE is read where it does not belong, on purpose; the instrument check then breaks nothing.
        wording: which prompt set of a choice it reads.
        specimen: ships with the project.
        default: runs where no `-m` selects.
        fetch: patterns of the model's files to be fetched from the Hub; all of them where there is none.
        shape: the model's sizes, known before its files are here.
        d_sae: features of the SAE, likewise.
        revision: branch, tag or commit of the model on the Hub.
        hook_name: where the SAE reads, in TransformerLens' names.
        prepend_bos: whether each prompt begins with BOS.
        bos_twice: whether a second BOS stands before the one that the chat template writes, as published.
        rank_with_bos: whether the effective rank of a prompt takes BOS in, as published.
        chat_template: whether a prompt is put into the model's chat template, as a user's turn before the answer.
        center_writing_weights: whether the SAE reads the residual stream minus its mean over `d_model`.
        context_size: tokens a prompt may have, BOS included.
        dtype: what the model computes in.
        sae_dtype: what the SAE computes in.
        quantisation: of the model's weights; `8bit where it can` falls back on `dtype` without CUDA and bitsandbytes.
        device: as torch writes it; `auto` takes an accelerator where there is one.
        memory: where the weights lie while they are used; `auto` chooses by what the machine has.
        l0: active features a token on plain text, as the SAE's publisher states it.
        variance_explained: share of the variance that the SAE reconstructs, as its publisher states it.
        try_next_layer: whether the instrument check also reads the block after the hook, at the price of its weights.
        allow_other_model: whether the SAE may have been trained on another model than the one named here.
    """

    name: str
    model: str | Path
    sae: Sae
    root: Path | None = None
    summary: str = ""
    markers: tuple[str, ...] = ()
    protocol_of: str | None = None
    misfit: str | None = None
    wording: str = "english"
    specimen: bool = False
    default: bool = False
    fetch: tuple[str, ...] = ()
    shape: ModelShape | None = None
    d_sae: int | None = None
    revision: str | None = None
    hook_name: str | None = None
    prepend_bos: bool | None = None
    bos_twice: bool = False
    rank_with_bos: bool = False
    chat_template: bool = False
    center_writing_weights: bool | None = None
    context_size: int | None = None
    dtype: Dtype = "float32"
    sae_dtype: Dtype = "float32"
    quantisation: Quantisation | None = None
    device: str = "auto"
    memory: Memory = "auto"
    l0: float | None = None
    variance_explained: float | None = None
    try_next_layer: bool = True
    allow_other_model: bool = False

    def in_reports(self, what: str | Path | Sae) -> str:
        """The name of the model or the SAE in reports."""
        folder = what.path if isinstance(what, SaeFolder | SaeFile) else what
        if not isinstance(folder, Path):
            return str(folder)
        whole = folder.resolve()
        if self.root is not None and whole.is_relative_to(self.root.resolve()):
            return whole.relative_to(self.root.resolve()).as_posix()
        return str(folder)

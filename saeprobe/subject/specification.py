"""Specifications: which model, which SAE and which protocol a subject is made of, before anything is looked up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Dtype = Literal["float32", "bfloat16", "float16"]


class SubjectError(ValueError):
    """A subject is declared wrongly, or its model and SAE do not belong together."""


@dataclass(frozen=True, kw_only=True)
class SaeFolder:
    """An SAE saved by sae-lens: a folder with `cfg.json` and `sae_weights.safetensors`."""

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
        wording: which prompt set of a choice it reads.
        specimen: ships with the project.
        default: runs where no `-m` selects.
        fetch: patterns of the model's files to be fetched from the Hub; all of them where there is none.
        revision: branch, tag or commit of the model on the Hub.
        hook_name: where the SAE reads, in TransformerLens' names.
        prepend_bos: whether each prompt begins with BOS.
        center_writing_weights: whether the SAE reads the residual stream minus its mean over `d_model`.
        context_size: tokens a prompt may have, BOS included.
        dtype: what model and SAE compute in.
        device: as torch writes it; `auto` takes an accelerator where there is one.
    """

    name: str
    model: str | Path
    sae: SaeFolder | SaeRelease
    root: Path | None = None
    summary: str = ""
    markers: tuple[str, ...] = ()
    wording: str = "english"
    specimen: bool = False
    default: bool = False
    fetch: tuple[str, ...] = ()
    revision: str | None = None
    hook_name: str | None = None
    prepend_bos: bool | None = None
    center_writing_weights: bool | None = None
    context_size: int | None = None
    dtype: Dtype = "float32"
    device: str = "auto"

    def in_reports(self, what: str | Path | SaeFolder | SaeRelease) -> str:
        """The name of the model or the SAE in reports."""
        folder = what.path if isinstance(what, SaeFolder) else what
        if not isinstance(folder, Path):
            return str(folder)
        whole = folder.resolve()
        if self.root is not None and whole.is_relative_to(self.root.resolve()):
            return whole.relative_to(self.root.resolve()).as_posix()
        return str(folder)

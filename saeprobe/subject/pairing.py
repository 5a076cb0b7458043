"""A pairing is what a model's and an SAE's own configurations say together; files are looked up without torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, cast

from saeprobe.files import in_prose
from saeprobe.subject import models_absent, provenance, setting
from saeprobe.subject.files import INDEX, WHOLE
from saeprobe.subject.files.model import TOKENIZER, files_alone, model_files, model_folder, read_json, shape_of
from saeprobe.subject.files.properties import COMPETING, Properties, Stated
from saeprobe.subject.files.sae import CONFIG, WEIGHTS, SaeSource, find_release, find_sae, open_source
from saeprobe.subject.files.shards import pickled_only
from saeprobe.subject.files.tokenizer import Beginning, beginning_of, declared_beginning, has_chat_template
from saeprobe.subject.specification import Download, ModelShape, SaeFolder, SaeRelease, SubjectError, SubjectSpec

_HOOK: Final = re.compile(r"blocks\.([0-9]{1,6})\.hook_resid_(pre|post)")
DATE: Final = "26 Jul 2024"  # in a chat template that writes one: what Llama 3's own template falls back on


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """A pairing says how a model and an SAE are read together; what `SubjectSpec` may leave open is decided here."""

    spec: SubjectSpec
    shape: ModelShape
    properties: Properties  # of the SAE
    hook_name: str
    depth: int  # blocks that run before the hook; transformers calls that point `hidden_states[depth]`
    prepend_bos: bool
    beginning: Beginning  # what stands before each prompt; empty without `prepend_bos`
    center_writing_weights: bool
    context_size: int

    @property
    def protocol(self) -> str:
        """Say in one sentence what a prompt becomes before it is read, where it is read, and how long it may be."""
        aspects = "; ".join(f"{aspect}: {words}" for aspect, words in aspects_of(self).items())
        return f"{aspects}; at most {self.context_size} tokens"


def aspects_of(read: Pairing | SubjectSpec) -> dict[str, str]:
    """Say in words, by aspect, how a subject is read; of a specification alone, as far as it says so."""
    spec = read.spec if isinstance(read, Pairing) else read
    declared = read.beginning if isinstance(read, Pairing) else declared_beginning(read.bos_token)
    bos = declared.in_words(twice=spec.bos_twice)
    if read.prepend_bos is False:
        bos = "none but the chat template's" if spec.chat_template else "none added"
    depth = None if read.hook_name is None else blocks_before(read.hook_name)
    where = "" if depth is None else f", transformers' hidden_states[{depth}]"
    return {
        "read at": f"{read.hook_name or 'where the SAE says'}{where}",
        "BOS": f"{bos}, {'read for the effective rank only' if spec.rank_with_bos else 'never read'}",
        "chat template": f"the model's own, up to the answer, dated {DATE}" if spec.chat_template else "none",
        "stream": "residual stream minus its mean" if read.center_writing_weights else "raw residual stream",
    }


def described(read: Pairing | SubjectSpec, weights: str) -> dict[str, str]:
    """Say in words, by aspect, all that a subject is made of and how it is read; `weights` are its model's."""
    spec, context = read.spec if isinstance(read, Pairing) else read, read.context_size
    return {
        "model": spec.in_reports(spec.model) + (f", revision {spec.revision}" if spec.revision else ""),
        "SAE": f"{spec.in_reports(spec.sae)}, computed in {spec.sae_dtype}",
        **aspects_of(read),
        "length": "what model and SAE allow" if context is None else f"at most {context} tokens",
        "weights": weights,
        "misfit": spec.misfit or "none",
        "instrument check": f"{'also' if spec.try_next_layer else 'not'} at the next layer",
        "prompts": spec.reads,
    }


def pair(spec: SubjectSpec, *, model: Path, shape: ModelShape, sae: SaeSource) -> Pairing:
    """Read both configurations and check that they belong together; what is declared wins over what the SAE says.

    A SubjectError says that the widths or layers do not fit, the SAE is of another model, the tokenizer has no chat
    template where one is wanted, or a setting is nowhere stated.
    """
    of, said = sae.properties, Stated(sae=str(spec.sae), config=sae.said)
    hook_name, bos = provenance.declared_or_stated(spec, said)
    trained_on = provenance.trained_on_model(sae)
    provenance.check_model_name(spec, trained_on)
    provenance.check_training(spec, said)
    if of.architecture in COMPETING and spec.sae_dtype != "float32":
        raise SubjectError(
            f"{spec.name} declares sae_dtype = {spec.sae_dtype!r}, and the features of the SAE {spec.sae} compete "
            f"({of.architecture}): how far that rounding changes which of them win is not known; "
            'set sae_dtype = "float32"'
        )
    if of.d_in != shape.hidden:
        raise SubjectError(
            f"the SAE {spec.sae} reads {of.d_in} dimensions but {spec.model} has {shape.hidden}; they do not belong "
            f"together: name the model that the SAE was trained on ({trained_on or 'its card says which'})"
        )
    if spec.chat_template and not has_chat_template(model):
        raise SubjectError(
            f"the tokenizer of {spec.model} has no chat template but {spec.name} wants its prompts in one; "
            "name an instruction-tuned model, or set chat_template = false"
        )
    center = provenance.centred(spec, said, config=read_json(model / "config.json"))
    beginning = beginning_of(model, spec.bos_token, wanted=bos)
    provenance.check_departures(spec, said, hook_name=hook_name, beginning=beginning.text)
    context = spec.context_size or said.count("context_size", None) or shape.positions
    return Pairing(
        spec=spec,
        shape=shape,
        properties=of,
        hook_name=hook_name,
        depth=depth_of(hook_name, n_layers=shape.layers, name=spec.name),
        prepend_bos=bos,
        beginning=beginning,
        center_writing_weights=center,
        context_size=min(context, shape.positions),
    )


def blocks_before(hook_name: str) -> int | None:
    """Count the blocks that run before a hook; None for a hook that is no point between blocks."""
    found = _HOOK.fullmatch(hook_name)
    return None if found is None else int(found[1]) + (found[2] == "post")


def depth_of(hook_name: str, *, n_layers: int | None, name: str) -> int:
    """Count the blocks that run before the hook; refuse one that is no point between the model's blocks."""
    depth = blocks_before(hook_name)
    if depth is None:
        raise SubjectError(
            f"the hook of {name} is {hook_name!r}; this version of saeprobe reads the residual stream between blocks: "
            "blocks.N.hook_resid_pre or blocks.N.hook_resid_post"
        )
    if n_layers is not None and depth - hook_name.endswith("post") >= n_layers:
        raise SubjectError(
            f"the hook of {name} is {hook_name!r} but the model has blocks 0 to {n_layers - 1}; name the model that "
            f"the SAE was trained on, or set hook_name to where it reads, such as blocks.{n_layers - 1}.hook_resid_post"
        )
    return depth


@dataclass(frozen=True, kw_only=True)
class Located:
    """A located subject has all its files here."""

    model: Path  # the folder
    model_files: tuple[Path, ...]  # what of it decides the streams that are read: configuration, tokenizer, weights
    sae: SaeSource
    pairing: Pairing
    next_layer: bool  # whether the block after the hook is here and can be tried too

    @property
    def depth(self) -> int:
        """Count the blocks that are needed: those before the hook and, if it is tried, the one after."""
        return self.pairing.depth + self.next_layer


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """A lookup finds the files of a subject on this machine, each of them once, as they are when first asked for."""

    spec: SubjectSpec

    @cached_property
    def missing(self) -> str | None:
        """Say which weights are absent and which command brings them; None where all are here.

        A SubjectError says that a folder or file that is declared is absent or not whole, which no command can mend.
        """
        spec, absent = self.spec, models_absent()
        if absent and (isinstance(spec.model, str) or isinstance(spec.sae, SaeRelease)):
            return f"its files are found through the Hub's cache or sae-lens, also where evidence is stored: {absent}"
        pickled = None if self._model_files or self._folder is None else pickled_only(self._folder)
        if not self._model_files and isinstance(spec.model, Path):
            parts = {"config.json": ("config.json",), WHOLE: (WHOLE, INDEX), "a tokenizer": TOKENIZER}
            raise SubjectError(pickled or self._lacks(spec.model, "model", parts))
        if self._sae is None and not isinstance(spec.sae, SaeRelease):
            folder = {CONFIG: (CONFIG,), WEIGHTS: (WEIGHTS,)}
            parts = folder if isinstance(spec.sae, SaeFolder) else {"a .pt file in Goodfire's format": ()}
            raise SubjectError(self._lacks(spec.sae.path, "SAE", parts))
        what: list[str] = [] if self._model_files else [str(spec.model)]
        if self._sae is None and isinstance(spec.sae, SaeRelease):
            what.append(find_release(spec.sae).repo)
        if pickled or not what:
            return pickled
        mirror = f"where huggingface.co is out of reach, {setting('it')}"
        folder = "" if self._model_files or spec.root is None else f" (and there is no {spec.root / spec.model})"
        return f"the weights of {' and '.join(what)} are not here{folder}; run: saeprobe fetch {spec.name} ({mirror})"

    def _lacks(self, path: Path, part: str, parts: Mapping[str, Sequence[str]]) -> str:
        """Say what is not at a declared path, and who declares it; `parts` are patterns of what is wanted, by name."""
        root, name = self.spec.root, self.spec.name
        by = "" if root is None or self.spec.specimen else f" (the {part} of {name} in {root / 'pyproject.toml'})"
        if path.is_file():
            return f"{path}{by} is a file; give the folder that holds it with {in_prose(parts)}"
        found, lacking = f"there is no {path}", ""
        if path.exists():
            absent = [one for one, patterns in parts.items() if not any(any(path.glob(each)) for each in patterns)]
            found, lacking = f"there is no whole {part} at {path}", f" (absent: {in_prose(absent or ['some shards'])})"
        mend = "write / between folders" if "\\" in path.name else "mend the path"  # Windows has none in a name
        return f"{found}{by}; wanted {in_prose(parts)} there{lacking}: {mend}, or bring the files"

    @cached_property
    def located(self) -> Located:
        """Return the files of model and SAE and how they are read together, or refuse what does not belong together."""
        folder, spec = self._folder, self.spec
        if self.missing is not None or folder is None:
            raise SubjectError(f"{spec.name} cannot run here: {self.missing}")
        sae = self._source
        pairing = pair(spec, model=folder, shape=self._shape, sae=sae)
        d_sae = pairing.properties.d_sae
        if spec.shape is None and spec.d_sae not in (None, d_sae):  # with a shape it is a forecast of ours
            found = f"the SAE {spec.sae} has {d_sae:,} features, and {spec.name} declares d_sae = {spec.d_sae:,}"
            raise SubjectError(f"{found}; give the SAE that is meant, or declare the d_sae of this one")
        beyond = pairing.depth + 1
        further: list[Path] = []
        if spec.try_next_layer and beyond <= self._shape.layers:
            further = model_files(folder, depth=None if self._shape.family == "bridge" else beyond)
        files = tuple(further or self._model_files)
        return Located(model=folder, model_files=files, sae=sae, pairing=pairing, next_layer=bool(further))

    @cached_property
    def _folder(self) -> Path | None:
        return files_alone(model_folder(self.spec.model, revision=self.spec.revision))

    @cached_property
    def _model_files(self) -> list[Path]:
        """Return what is needed of the model; nothing where files that are needed are absent."""
        return [] if self._folder is None else model_files(self._folder, depth=self._depth_needed())

    @cached_property
    def _shape(self) -> ModelShape:
        return shape_of(cast(Path, self._folder))

    @cached_property
    def _sae(self) -> Path | None:
        return files_alone(find_sae(self.spec.sae))

    @cached_property
    def _source(self) -> SaeSource:
        return open_source(self.spec.sae, cast(Path, self._sae))

    def _depth_needed(self) -> int | None:
        """Count the blocks of the model that must be here; None means all.

        A hook that the model does not have needs all, too: `pair` refuses it with what there is.
        """
        try:
            hook_name = self.spec.hook_name
            if hook_name is None and self._sae is not None:
                said = self._source.said.get("hook_name")
                hook_name = None if said is None else str(said)
            if hook_name is None or self._shape.family == "bridge":
                return None
            return depth_of(hook_name, n_layers=self._shape.layers, name=self.spec.name)
        except SubjectError:
            return None


def downloads(spec: SubjectSpec) -> tuple[Download, ...]:
    """Return what a subject needs from the Hub, whether that is here or not."""
    found: list[Download] = []
    if not isinstance(spec.model, Path):
        depth = None  # of a model that runs layer by layer as far as it is needed, where that is known beforehand
        if spec.hook_name is not None and spec.shape is not None and spec.shape.family == "layers":
            depth = depth_of(spec.hook_name, n_layers=spec.shape.layers, name=spec.name) + spec.try_next_layer
        found.append(Download(repo=spec.model, revision=spec.revision, patterns=spec.fetch, depth=depth))
    if isinstance(spec.sae, SaeRelease):
        release = find_release(spec.sae)
        found.append(Download(repo=release.repo, patterns=release.patterns))
    return tuple(found)

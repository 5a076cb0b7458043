"""Local subjects: models and SAEs whose files lie on this machine, loaded when first read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING

from saeprobe.prompts import NEUTRAL, PromptSet
from saeprobe.subject.files import model as weights
from saeprobe.subject.files.downloads import Download
from saeprobe.subject.files.shape import shape_of
from saeprobe.subject.locating import Located, downloads, locate, missing
from saeprobe.subject.machine import this_machine
from saeprobe.subject.memory import MemoryNeeds, MemoryPlan, choose_plan, needs_of
from saeprobe.subject.pairing import depth_of, protocol_aspects
from saeprobe.subject.protocol import Draws, Identity, Randomisation, Reader, Yardstick
from saeprobe.subject.randomised import Family, RandomisedSubject
from saeprobe.subject.running.numerics import tolerance_of
from saeprobe.subject.specification import Dtype, ModelShape, SubjectError, SubjectSpec

if TYPE_CHECKING:
    from saeprobe.subject.running.opening import Opening

_COMPUTING = ("torch", "transformers", "transformer-lens", "sae-lens")
_BYTES: dict[Dtype, int] = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, kw_only=True)
class LocalSubject:
    """A language model of transformers with an SAE that sae-lens loads."""

    spec: SubjectSpec

    @property
    def name(self) -> str:
        """What `subjects(...)` and `-m` select."""
        return self.spec.name

    @property
    def markers(self) -> tuple[str, ...]:
        """Its own name, unless declared otherwise."""
        return self.spec.markers or (self.spec.name,)

    @property
    def wording(self) -> str:
        """Which prompt set of a choice it reads."""
        return self.spec.wording

    @property
    def specimen(self) -> bool:
        """Ships with the project."""
        return self.spec.specimen

    @property
    def default(self) -> bool:
        """Runs where no `-m` selects."""
        return self.spec.default or self.spec.specimen

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        return self.spec.summary or f"{self.spec.model} with the SAE {self.spec.sae}"

    @property
    def protocol_of(self) -> str | None:
        """The subject of which this one is another protocol."""
        return self.spec.protocol_of

    @cached_property
    def memory_plan(self) -> MemoryPlan:
        """Where the weights lie while they are used, on this machine.

        Raises:
            SubjectError: the sizes of the model are not known, for its files are not here.
            MemoryPlanError: what is declared cannot be had here.
        """
        needs = self.needs()
        if needs is None:
            raise SubjectError(f"how much memory {self.name} takes is known once its files are here")
        spec = self.spec
        return choose_plan(needs, this_machine(), asked=spec.memory, quantisation=spec.quantisation, device=spec.device)

    def place(self) -> str:
        """In words, where its weights lie while they are used.

        Raises:
            MemoryPlanError: what is declared cannot be had here.
        """
        return self.memory_plan.reason

    def needs(self) -> MemoryNeeds | None:
        """What it takes in memory; None where its files are not here and its sizes are not known beforehand."""
        spec = self.spec
        here = self.missing() is None
        shape = shape_of(self.located.model) if here else spec.shape
        d_sae = self.located.pairing.d_sae if here else spec.d_sae
        if shape is None or d_sae is None or (not here and spec.hook_name is None):
            return None
        depth = self.located.depth if here else depth_of(spec.hook_name or "", n_layers=shape.layers, name=spec.name)
        return self._needs_of(shape, d_sae, layers=depth if shape.family == "layers" else shape.layers, running=depth)

    def _needs_of(self, shape: ModelShape, d_sae: int, *, layers: int, running: int) -> MemoryNeeds:
        spec, in_layers = self.spec, shape.family == "layers"
        return needs_of(
            hidden=shape.hidden,
            layers=layers,
            running=running,
            heads=shape.heads,
            kv_heads=shape.kv_heads,
            intermediate=shape.intermediate,
            vocabulary=shape.vocabulary,
            positions=0 if in_layers else shape.positions,
            d_sae=d_sae,
            weight_bytes=_BYTES[spec.dtype],
            sae_weight_bytes=_BYTES[spec.sae_dtype],
            gated=in_layers,
            shardable=in_layers,
        )

    @property
    def quantised(self) -> bool:
        """Whether the model's weights are used in 8 bits: as declared, or where this machine can."""
        return self.spec.quantisation is not None and self.memory_plan.quantisation == "8bit"

    @property
    def dtype(self) -> Dtype:
        """What the model computes in; 8-bit weights are multiplied in float16, as LLM.int8() was made for."""
        return "float16" if self.quantised else self.spec.dtype

    def missing(self) -> str | None:
        """Which weights are absent and what brings them; None where all are here."""
        return missing(self.spec)

    def downloads(self) -> tuple[Download, ...]:
        """What it needs from the Hub, whether that is here or not."""
        return downloads(self.spec)

    @cached_property
    def located(self) -> Located:
        """The files of model and SAE and how they are read together.

        Raises:
            SubjectError: a file is absent, or model and SAE do not belong together.
        """
        return locate(self.spec)

    def yardstick(self) -> Yardstick:
        """What its instrument check is held against.

        Raises:
            SubjectError: as `located`.
        """
        found, spec = self.located, self.spec
        release = found.sae.release
        shifts = (*((-1,) if found.pairing.depth else ()), 0, *((1,) if found.next_layer else ()))
        declared = spec.l0 is not None or spec.variance_explained is not None
        l0 = spec.l0 if declared or release is None else release.l0
        explained = spec.variance_explained if declared or release is None else release.variance_explained
        source = "the declaration of the subject" if declared else "the registry of sae-lens"
        return Yardstick(
            l0=l0,
            variance_explained=explained,
            source="" if l0 is None and explained is None else source,
            shifts=shifts,
            misfit=spec.misfit,
        )

    def aspects(self) -> Mapping[str, str]:
        """In words, by aspect, how it is read; also where its weights are absent."""
        spec = self.spec
        if self.missing() is None:
            return {**self.located.pairing.aspects, "weights": self._weights_in_words()}
        known = protocol_aspects(
            hook_name=spec.hook_name or "where the SAE says",
            prepend_bos=spec.prepend_bos is not False,
            bos_twice=spec.bos_twice,
            rank_with_bos=spec.rank_with_bos,
            chat_template=spec.chat_template,
            center_writing_weights=bool(spec.center_writing_weights),
        )
        return {**known, "weights": self._weights_in_words()}

    def _weights_in_words(self) -> str:
        if self.spec.quantisation == "8bit where it can" and not self.quantised:
            return f"{self.spec.dtype}, 8-bit where the hardware does it"
        return "8-bit, multiplied in float16" if self.quantised else self.spec.dtype

    def identity(self) -> Identity:
        """What it is, without importing torch: hashes of the files, configuration, versions.

        Read once: whoever holds a subject sees one identity, also if its files change meanwhile.

        Raises:
            SubjectError: as `located`.
        """
        return self._identity

    @cached_property
    def _identity(self) -> Identity:
        found = self.located
        dtype = f"{self.dtype}, 8-bit weights" if self.quantised else self.dtype
        versions = {name: metadata.version(name) for name in _COMPUTING}
        if self.quantised:
            versions["bitsandbytes"] = metadata.version("bitsandbytes")
        decides: dict[str, object] = {
            "model_hash": weights.hash_files(found.model_files),
            "sae_hash": weights.hash_files(found.sae.files),
            "hook_name": found.pairing.hook_name,
            "dtype": dtype,
            "sae_dtype": self.spec.sae_dtype,
            "protocol": found.pairing.protocol,
            "versions": versions,
        }
        return Identity(
            name=self.name,
            model=self.spec.in_reports(self.spec.model),
            model_hash=str(decides["model_hash"]),
            sae=self.spec.in_reports(self.spec.sae),
            sae_hash=str(decides["sae_hash"]),
            hook_name=found.pairing.hook_name,
            d_in=found.pairing.d_in,
            d_sae=found.pairing.d_sae,
            dtype=dtype,
            protocol=found.pairing.protocol,
            fingerprint=hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest(),
            tolerance=tolerance_of(self.dtype, depth=found.pairing.depth),
            versions=versions,
        )

    def speaking(self) -> str:
        """A fingerprint of all that decides what it writes: `Identity.fingerprint` and the layers after the hook.

        Raises:
            SubjectError: as `located`.
        """
        return self._speaking

    @cached_property
    def _speaking(self) -> str:
        files = weights.model_files(self.located.model, depth=None) or self.located.model_files
        return hashlib.sha256(f"{self._identity.fingerprint}\0{weights.hash_files(files)}".encode()).hexdigest()

    def open(self) -> Reader:
        """Load model and SAE; this is where torch is first imported.

        Raises:
            SubjectError: as `located`.
        """
        from saeprobe.subject.running.opening import open_reader

        return open_reader(self.opening())

    def opening(self) -> Opening:
        """All that is decided before it is loaded; imports torch.

        Raises:
            SubjectError: as `located`.
        """
        from saeprobe.subject.running.opening import Opening

        return Opening(
            spec=self.spec,
            located=self.located,
            plan=self.memory_plan,
            dtype=self.dtype,
            plan_to_speak=self._plan_to_speak,
        )

    def randomised(self, what: Randomisation, *, neutral: PromptSet | None = None, seed: int = 0) -> RandomisedSubject:
        """The same subject with a random model or a random SAE, as a control; nothing is loaded.

        Args:
            what: is drawn at random.
            neutral: the text on which each feature fires as often as here; None for the built-in one.
            seed: of the draw.
        """
        text = NEUTRAL.for_wording(self.wording) if neutral is None else neutral
        return RandomisedSubject(of=self, what=what, neutral=text, seed=seed)

    def draws(self, what: Randomisation, *, neutral: PromptSet | None = None, count: int) -> Draws:
        """As many draws of the same, seeds 0 and up, which share in memory what they have in common.

        Args:
            what: is drawn at random.
            neutral: as in `randomised`.
            count: of draws.
        """
        family, first = Family(), self.randomised(what, neutral=neutral)
        drawn = tuple(replace(first, seed=seed, family=family) for seed in range(count))
        return Draws(subjects=drawn, release=family.release)

    def _plan_to_speak(self) -> MemoryPlan:
        """Where the weights would lie with all layers, as they must to write text."""
        spec, shape = self.spec, shape_of(self.located.model)
        needs = self._needs_of(shape, self.located.pairing.d_sae, layers=shape.layers, running=shape.layers)
        return choose_plan(needs, this_machine(), asked=spec.memory, quantisation=spec.quantisation, device=spec.device)

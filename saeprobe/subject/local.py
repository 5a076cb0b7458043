"""A subject is a language model, its SAE and a hook point on this machine; it is cheap to hold and loaded by `open`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING, Final

from saeprobe.prompts import NEUTRAL, PromptSet
from saeprobe.subject.files.model import hash_files, model_files
from saeprobe.subject.machine import this_machine
from saeprobe.subject.memory import MemoryNeeds, MemoryPlan, choose_plan, needs_of
from saeprobe.subject.pairing import Located, Lookup, aspects_of, depth_of, downloads
from saeprobe.subject.specification import (
    Download,
    Dtype,
    Identity,
    ModelShape,
    Randomisation,
    RandomPart,
    Reader,
    SubjectError,
    SubjectSpec,
    Yardstick,
    tolerance_of,
)

if TYPE_CHECKING:  # they import torch
    from saeprobe.subject.running.opening import Opening
    from saeprobe.subject.running.random import Randomiser

_COMPUTING: Final = ("torch", "transformers", "transformer-lens", "sae-lens")
_METHOD: Final = "matched 1"
"""How directions are drawn and thresholds are set; evidence of another method is never used."""


@dataclass(eq=False)
class _Shared:
    """What draws share in memory, from the first that is opened until it is released."""

    randomiser: Randomiser | None = None


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A subject is a language model of transformers with an SAE that sae-lens loads.

    What is asked of its files is answered once: whoever holds a subject sees one identity, also if its files change.

    With a `randomisation` it is a control, which no list has and which writes no text. `random-model`: the model's
    weights are those of an untrained model of its architecture; the SAE keeps its directions. `random-sae`: the model
    is the trained one; the SAE's directions are uniform on the unit sphere, its decoder's the same ones. Variance
    explained then says nothing, and a feature has only its number in common with the trained one. Either way the SAE
    is one of plain ReLUs, whatever the trained one's architecture, and each feature has a threshold of its own with
    which it fires on as many tokens of the neutral text as the trained feature does on the trained model.

    Attributes:
        spec: what is declared.
        randomisation: what is drawn at random; None for a subject as it is.
    """

    spec: SubjectSpec
    randomisation: Randomisation | None = None
    _trained: Subject | None = field(default=None, compare=False, repr=False)
    _shared: _Shared | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """Return what `subjects(...)` and `-m` select; no subject can be declared by the name of a control."""
        return self.spec.name

    @property
    def markers(self) -> tuple[str, ...]:
        """Return its own name and, for a protocol of another subject, that subject's; nothing selects a control."""
        return () if self.randomisation else self.spec.markers or (self.spec.name,)

    @property
    def wording(self) -> str:
        """Return which of the built-in prompt sets it reads: `specimen`, `english` or `chinese`."""
        return self.spec.wording

    @property
    def specimen(self) -> bool:
        """Say whether it ships with the project."""
        return self.spec.specimen

    @property
    def default(self) -> bool:
        """Say whether it runs where no `-m` selects: the specimens do, and users' subjects that say so."""
        return self.spec.default or self.spec.specimen

    @property
    def summary(self) -> str:
        """Say in a line what it is."""
        return self.spec.summary or f"{self.spec.model} with the SAE {self.spec.sae}"

    @property
    def protocol_of(self) -> str | None:
        """Return the subject of which this one is another protocol."""
        return self.spec.protocol_of

    @property
    def trained(self) -> Subject:
        """Return the subject without its randomisation, whose files and sparsity a control is given."""
        return self._trained or self

    def missing(self) -> str | None:
        """Say why it cannot run here and which command brings what is absent; None where it can."""
        return self.trained.lookup.missing

    def downloads(self) -> tuple[Download, ...]:
        """Return what it needs from the Hub, whether that is here or not; nothing where all of it is in folders."""
        return downloads(self.spec)

    @property
    def located(self) -> Located:
        """Return the files of model and SAE and how they are read together.

        Raises:
            SubjectError: a file is absent, or model and SAE do not belong together.
        """
        return self.trained.lookup.located

    @cached_property
    def lookup(self) -> Lookup:
        """Look its files up, each once."""
        return Lookup(spec=self.spec)

    def yardstick(self) -> Yardstick:
        """Return what its instrument check is held against. Nobody publishes what a random instrument measures.

        Raises:
            SubjectError: as `located`.
        """
        found, spec = self.located, self.spec
        shifts = (*((-1,) if found.pairing.depth else ()), 0, *((1,) if found.next_layer else ()))
        if self.randomisation:
            return Yardstick(shifts=shifts, misfit=spec.misfit)
        declared = spec.l0 is not None or spec.variance_explained is not None
        stated = spec if declared or found.sae.release is None else found.sae.release
        source = "the declaration of the subject" if declared else "the registry of sae-lens"
        unstated = stated.l0 is None and stated.variance_explained is None
        return Yardstick(
            l0=stated.l0,
            variance_explained=stated.variance_explained,
            source="" if unstated else source,
            shifts=shifts,
            misfit=spec.misfit,
        )

    def aspects(self) -> Mapping[str, str]:
        """Say in words, by aspect, how it is read; also where its weights are absent."""
        if self.randomisation:
            random = f"{self.randomisation.label}, seed {self.randomisation.seed}"
            return {**self.trained.aspects(), "random": random}
        weights = "8-bit, multiplied in float16" if self.quantised else self.spec.dtype
        if self.spec.quantisation == "8bit where it can" and not self.quantised:
            weights = f"{self.spec.dtype}, 8-bit where the hardware does it"
        return {**aspects_of(self.spec if self.missing() else self.located.pairing), "weights": weights}

    @cached_property
    def memory_plan(self) -> MemoryPlan:
        """Plan where the weights lie on this machine while they are used; this looks at the machine.

        A control takes the place of the trained subject. But weights in 8 bits exist only as they are loaded from
        files; a random model is drawn layer by layer instead.

        Raises:
            SubjectError: the sizes of the model are not known, for its files are not here.
            MemoryPlanError: what is declared cannot be had here.
        """
        if self.randomisation is None:
            needs = self.needs()
            if needs is None:
                raise SubjectError(f"how much memory {self.name} takes is known once its files are here")
            return self._plan_for(needs)
        plan = self.trained.memory_plan
        if self.randomisation.part == "random-sae" or plan.quantisation is None:
            return plan
        reason = f"{plan.reason}; the random model drawn a layer at a time, not in 8 bits"
        return replace(plan, kind="streamed", quantisation=None, max_memory=None, reason=reason)

    def memory_in_words(self) -> str:
        """Say where its weights lie while they are used; this looks at the machine.

        Raises:
            MemoryPlanError: what is declared cannot be had here.
        """
        return self.memory_plan.reason

    def needs(self) -> MemoryNeeds | None:
        """Count what it takes in memory; None where its files are not here and its sizes are not known beforehand."""
        spec = self.spec
        if self.missing() is None:
            found = self.located
            return self._needs_of(found.shape, found.pairing.d_sae, depth=found.depth)
        if spec.shape is None or spec.d_sae is None or spec.hook_name is None:
            return None
        depth = depth_of(spec.hook_name, n_layers=spec.shape.layers, name=spec.name)
        return self._needs_of(spec.shape, spec.d_sae, depth=depth)

    def _needs_of(self, shape: ModelShape, d_sae: int, *, depth: int) -> MemoryNeeds:
        return needs_of(shape, depth=depth, d_sae=d_sae, dtype=self.spec.dtype, sae_dtype=self.spec.sae_dtype)

    def _plan_for(self, needs: MemoryNeeds) -> MemoryPlan:
        spec = self.spec
        return choose_plan(needs, this_machine(), asked=spec.memory, quantisation=spec.quantisation, device=spec.device)

    def _plan_for_all_layers(self) -> MemoryPlan:
        """Plan where the weights lie with all layers, as they must to write text."""
        found = self.located
        return self._plan_for(self._needs_of(found.shape, found.pairing.d_sae, depth=found.shape.layers))

    @property
    def quantised(self) -> bool:
        """Say whether the model's weights are used in 8 bits: as declared, or where this machine can."""
        return self.spec.quantisation is not None and self.memory_plan.quantisation == "8bit"

    @property
    def dtype(self) -> Dtype:
        """Return what the model computes in; 8-bit weights are multiplied in float16, as LLM.int8() was made for."""
        return "float16" if self.quantised else self.spec.dtype

    def identity(self) -> Identity:
        """Return what it is: hashes of the files, configuration, versions. No torch is imported.

        Raises:
            SubjectError: as `located`.
        """
        return self._identity

    @cached_property
    def _identity(self) -> Identity:
        if self.randomisation is not None:
            return self._identity_of_control(self.randomisation)
        found = self.located
        quantised = self.quantised
        dtype = f"{self.dtype}, 8-bit weights" if quantised else self.dtype
        versions = {name: metadata.version(name) for name in _COMPUTING}
        if quantised:
            versions["bitsandbytes"] = metadata.version("bitsandbytes")
        model_hash, sae_hash = hash_files(found.model_files), hash_files(found.sae.files)
        fingerprint = _hash_of(
            {
                "model_hash": model_hash,
                "sae_hash": sae_hash,
                "hook_name": found.pairing.hook_name,
                "dtype": dtype,
                "sae_dtype": self.spec.sae_dtype,
                "protocol": found.pairing.protocol,
                "versions": versions,
            }
        )
        return Identity(
            name=self.name,
            model=self.spec.in_reports(self.spec.model),
            model_hash=model_hash,
            sae=self.spec.in_reports(self.spec.sae),
            sae_hash=sae_hash,
            hook_name=found.pairing.hook_name,
            d_in=found.pairing.d_in,
            d_sae=found.pairing.d_sae,
            dtype=dtype,
            protocol=found.pairing.protocol,
            fingerprint=fingerprint,
            tolerance=tolerance_of(self.dtype, depth=found.pairing.depth),
            versions=versions,
        )

    def _identity_of_control(self, randomisation: Randomisation) -> Identity:
        of, trained = self.trained, self.trained.identity()
        fingerprint = _hash_of(
            {
                "trained": trained.fingerprint,
                "what": randomisation.part,
                "seed": randomisation.seed,
                "neutral": [prompt.text for prompt in randomisation.neutral],
                "method": _METHOD,
            }
        )
        drawn = f"drawn at random (seed {randomisation.seed})"
        sae_hash = _joined(trained.sae_hash, fingerprint)
        if randomisation.part == "random-sae":
            sae = f"{trained.sae}, directions {drawn}"
            return replace(trained, name=self.name, sae=sae, sae_hash=sae_hash, fingerprint=fingerprint)
        return replace(
            trained,
            name=self.name,
            model=f"{trained.model}, weights {drawn}",
            model_hash=_joined(trained.model_hash, fingerprint),
            sae=f"{trained.sae}, thresholds matched on neutral text",
            sae_hash=sae_hash,
            dtype=of.dtype if of.quantised else trained.dtype,
            fingerprint=fingerprint,
        )

    def whole_fingerprint(self) -> str:
        """Return a fingerprint of what it writes: of `Identity.fingerprint` and the layers after the hook.

        Raises:
            SubjectError: as `located`; it is a control.
        """
        if self.randomisation:
            raise SubjectError(f"{self.name} is a control and cannot be steered; steer {self.trained.name} itself")
        return self._whole_fingerprint

    @cached_property
    def _whole_fingerprint(self) -> str:
        files = model_files(self.located.model, depth=None) or self.located.model_files
        return _joined(self._identity.fingerprint, hash_files(files))

    def open(self) -> Reader:
        """Load model and SAE; this is where torch is first imported.

        For a control the trained subject is loaded and reads the neutral text; then what is random takes its place.

        Raises:
            SubjectError: as `located`; a random model is asked for and the SAE has no encoder directions.
            ReadingError: the neutral text cannot be read.
        """
        if self.randomisation is None:
            from saeprobe.subject.running.opening import open_reader

            return open_reader(self.opening())
        from saeprobe.subject.running.random import Randomiser

        shared = self._shared or _Shared()
        if shared.randomiser is None:
            texts = tuple(one.text for one in self.randomisation.neutral)
            opening, part = self.trained.opening(), self.randomisation.part
            shared.randomiser = Randomiser(opening, part, texts, plan=self.memory_plan)
        return shared.randomiser.open(name=self.name, seed=self.randomisation.seed)

    def opening(self) -> Opening:
        """Return all that is decided before it is loaded."""
        from saeprobe.subject.running.opening import Opening

        return Opening(
            spec=self.spec,
            located=self.located,
            plan=self.memory_plan,
            dtype=self.dtype,
            plan_to_speak=self._plan_for_all_layers,
        )

    def randomised(self, part: RandomPart, *, neutral: PromptSet | None = None, seed: int = 0) -> Subject:
        """Return the same subject with a random model or a random SAE, as a control; nothing is loaded.

        Args:
            part: what is drawn at random.
            neutral: the text on which each feature fires as often as here; None for the built-in one.
            seed: of the draw.

        Raises:
            SubjectError: it is a control already.
        """
        if self.randomisation:
            raise SubjectError(f"{self.name} is a control already; ask {self.trained.name} for another")
        text = NEUTRAL.for_wording(self.wording) if neutral is None else neutral
        randomisation = Randomisation(part=part, neutral=text, seed=seed)
        random = f"{self.name} with a {randomisation.label}"
        spec = replace(
            self.spec,
            name=f"{random}, draw {seed}" if seed else random,
            summary=f"a control: {random}",
            misfit=f"it is a control with a {randomisation.label}",
            protocol_of=None,
            specimen=False,
            default=False,
        )
        return Subject(spec=spec, randomisation=randomisation, _trained=self)

    def draws(self, part: RandomPart, *, neutral: PromptSet | None = None, count: int) -> tuple[Subject, ...]:
        """Return as many draws of the same, seeds 0 and up, which share in memory what they have in common.

        Args:
            part: what is drawn at random.
            neutral: as in `randomised`.
            count: of draws.

        Raises:
            SubjectError: it is a control already.
        """
        shared = _Shared()
        drawn = (self.randomised(part, neutral=neutral, seed=seed) for seed in range(count))
        return tuple(replace(each, _shared=shared) for each in drawn)

    def release(self) -> None:
        """Give back the memory that draws share; a draw that is opened afterwards loads it again."""
        if self._shared is not None:
            self._shared.randomiser = None


def _hash_of(decides: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _joined(first: str, second: str) -> str:
    return hashlib.sha256(f"{first}\0{second}".encode()).hexdigest()

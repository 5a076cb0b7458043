"""Local subjects: models and SAEs whose files lie on this machine, loaded when first read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING, Final, NoReturn

from saeprobe.prompts import NEUTRAL, PromptSet
from saeprobe.subject.files.model import hash_files, model_files, shape_of
from saeprobe.subject.machine import this_machine
from saeprobe.subject.memory import MemoryNeeds, MemoryPlan, choose_plan, needs_of
from saeprobe.subject.pairing import Located, depth_of, downloads, locate, missing, protocol_aspects
from saeprobe.subject.specification import (
    Download,
    Draws,
    Dtype,
    Identity,
    ModelShape,
    Randomisation,
    Reader,
    SubjectError,
    SubjectSpec,
    Yardstick,
    tolerance_of,
)

if TYPE_CHECKING:
    from saeprobe.subject.running.opening import Opening
    from saeprobe.subject.running.random import Randomiser


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
            "model_hash": hash_files(found.model_files),
            "sae_hash": hash_files(found.sae.files),
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
        files = model_files(self.located.model, depth=None) or self.located.model_files
        return hashlib.sha256(f"{self._identity.fingerprint}\0{hash_files(files)}".encode()).hexdigest()

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


METHOD: Final = "matched 1"
"""How directions are drawn and thresholds are set; evidence of another method is never used."""


_WORDS: Final[dict[Randomisation, str]] = {"random-model": "random model", "random-sae": "random SAE"}


@dataclass(frozen=True, kw_only=True)
class RandomisedSubject:
    """A subject of which one part is drawn at random.

    `random-model`: the model's weights are those of an untrained model of its architecture; the SAE keeps its
    directions. `random-sae`: the model is the trained one; the SAE's directions are uniform on the unit sphere, its
    decoder's the same ones. Variance explained then says nothing, and a feature has only its number in common with the
    trained one.

    Either way the SAE is one of plain ReLUs, whatever the trained one's architecture, and each feature has a threshold
    of its own with which it fires on as many tokens of `neutral` as the trained feature does on the trained model.

    Attributes:
        of: the trained subject.
        what: is random.
        neutral: the text that sparsity is matched on, read without chat template and BOS as for an instrument check.
        seed: of the draw. What one draw shows is also its own luck: of 1,280 random directions some 20 fire on a token,
            and the square root of that is about what one draw differs by from another.
        family: what it shares in memory with other draws; None where it is opened alone.
    """

    of: LocalSubject
    what: Randomisation
    neutral: PromptSet
    seed: int = 0
    family: Family | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """`sparrow with a random SAE`, and of a seed but 0 `..., draw 1`; no subject can be declared by such a name."""
        return f"{self.of.name} with a {_WORDS[self.what]}{f', draw {self.seed}' if self.seed else ''}"

    @property
    def markers(self) -> tuple[str, ...]:
        """None: nothing selects it."""
        return ()

    @property
    def wording(self) -> str:
        """Which prompt set of a choice it reads."""
        return self.of.wording

    @property
    def specimen(self) -> bool:
        """It is no subject of its own."""
        return False

    @property
    def default(self) -> bool:
        """It never runs but as a control."""
        return False

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        return f"a control: {self.of.name} with a {_WORDS[self.what]}"

    @property
    def protocol_of(self) -> str | None:
        """It is no protocol of another subject."""
        return None

    @cached_property
    def memory_plan(self) -> MemoryPlan:
        """Where the weights lie while they are used: as those of the trained subject, of which it takes the place.

        Weights in 8 bits exist only as they are loaded from files; a random model is drawn layer by layer instead.

        Raises:
            SubjectError: as `LocalSubject.memory_plan`.
        """
        plan = self.of.memory_plan
        if self.what == "random-sae" or plan.quantisation is None:
            return plan
        return replace(
            plan,
            kind="streamed",
            quantisation=None,
            max_memory=None,
            reason=f"{plan.reason}; the random model drawn a layer at a time, not in 8 bits",
        )

    def place(self) -> str:
        """In words, where its weights lie while they are used.

        Raises:
            SubjectError: as `LocalSubject.memory_plan`.
        """
        return self.memory_plan.reason

    def needs(self) -> MemoryNeeds | None:
        """What it takes in memory; None where that is not known."""
        return self.of.needs()

    def missing(self) -> str | None:
        """Which weights are absent; also a random model needs the trained one, whose sparsity it is given."""
        return self.of.missing()

    def downloads(self) -> tuple[Download, ...]:
        """What the trained subject needs from the Hub."""
        return self.of.downloads()

    def yardstick(self) -> Yardstick:
        """Nobody publishes what a random instrument measures, and it breaks nothing.

        Raises:
            SubjectError: as `LocalSubject.located`.
        """
        shifts = self.of.yardstick().shifts
        return Yardstick(shifts=shifts, misfit=f"it is a control with a {_WORDS[self.what]}")

    def aspects(self) -> Mapping[str, str]:
        """In words, by aspect, how it is read."""
        return {**self.of.aspects(), "random": f"{_WORDS[self.what]}, seed {self.seed}"}

    def identity(self) -> Identity:
        """What it is, without importing torch.

        Raises:
            SubjectError: as `LocalSubject.located`.
        """
        return self._identity

    @cached_property
    def _identity(self) -> Identity:
        trained = self.of.identity()
        decides = {
            "trained": trained.fingerprint,
            "what": self.what,
            "seed": self.seed,
            "neutral": [prompt.text for prompt in self.neutral],
            "method": METHOD,
        }
        fingerprint = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
        drawn, random_model = f"drawn at random (seed {self.seed})", self.what == "random-model"
        plain = random_model and self.of.quantised
        return replace(
            trained,
            name=self.name,
            model=f"{trained.model}, weights {drawn}" if random_model else trained.model,
            model_hash=_hash(trained.model_hash, fingerprint) if random_model else trained.model_hash,
            sae=f"{trained.sae}, {'thresholds matched on neutral text' if random_model else f'directions {drawn}'}",
            sae_hash=_hash(trained.sae_hash, fingerprint),
            dtype=self.of.dtype if plain else trained.dtype,
            fingerprint=fingerprint,
        )

    def speaking(self) -> NoReturn:
        """It writes nothing.

        Raises:
            SubjectError: always.
        """
        raise SubjectError(f"{self.name} is a control and cannot be steered; steer {self.of.name} itself")

    def open(self) -> Reader:
        """Load the trained subject, read the neutral text, and put what is random in its place.

        Raises:
            SubjectError: as `LocalSubject.open`; the SAE has no encoder directions.
            ReadingError: the neutral text cannot be read.
        """
        family = self.family or Family()
        return family.open(self)

    def randomised(self, what: Randomisation, *, neutral: PromptSet | None = None, seed: int = 0) -> NoReturn:
        """It is random already.

        Raises:
            SubjectError: always.
        """
        del what, neutral, seed
        raise SubjectError(f"{self.name} is a control already; ask {self.of.name} for another")

    def draws(self, what: Randomisation, *, neutral: PromptSet | None = None, count: int) -> NoReturn:
        """It is random already.

        Raises:
            SubjectError: always.
        """
        del count
        self.randomised(what, neutral=neutral)


class Family:
    """What the draws of one random part of a subject share in memory, from the first that is opened until `release`."""

    def __init__(self) -> None:
        self._randomiser: Randomiser | None = None

    def open(self, draw: RandomisedSubject) -> Reader:
        """A draw of the family in memory.

        Raises:
            SubjectError: as `RandomisedSubject.open`.
            ReadingError: as `RandomisedSubject.open`.
        """
        from saeprobe.subject.running.random import Randomiser

        if self._randomiser is None:
            texts = tuple(one.text for one in draw.neutral)
            self._randomiser = Randomiser(draw.of.opening(), draw.what, texts, plan=draw.memory_plan)
        return self._randomiser.open(name=draw.name, seed=draw.seed)

    def release(self) -> None:
        """Give the memory back; a draw that is opened afterwards loads it again."""
        self._randomiser = None


def _hash(of_trained: str, fingerprint: str) -> str:
    return hashlib.sha256(f"{of_trained}\0{fingerprint}".encode()).hexdigest()

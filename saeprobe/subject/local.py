"""A subject is a language model, its SAE and a hook point on this machine; it is cheap to hold and loaded by `open`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, TypeVar

from saeprobe.claims import NotRun
from saeprobe.files import quoted
from saeprobe.prompts import NEUTRAL, PromptSet
from saeprobe.subject import UNSTORED, models_absent, not_imported, this_machine
from saeprobe.subject.files.model import hash_files, hash_of, joined, model_files
from saeprobe.subject.files.tokenizer import GENERATION, TOKENISING
from saeprobe.subject.memory import MemoryNeeds, MemoryPlan, choose_plan, needs_of
from saeprobe.subject.pairing import DATE, Located, Lookup, depth_of, described, downloads
from saeprobe.subject.provenance import Yardstick
from saeprobe.subject.specification import (
    Download,
    Dtype,
    Identity,
    Randomisation,
    RandomPart,
    ReadingError,
    SubjectError,
    SubjectSpec,
    tolerance_of,
)

if TYPE_CHECKING:  # they import torch
    from saeprobe.subject.running.opening import Opening
    from saeprobe.subject.running.random import Randomiser
    from saeprobe.subject.running.reader import SaeReader

_COMPUTING: Final = ("torch", "transformers", "tokenizers", "jinja2", "transformer-lens", "sae-lens")
_METHOD: Final = "matched 1"  # how directions are drawn and thresholds set; evidence of another one is never used
_Found = TypeVar("_Found")


def _fact(ask: Callable[[Subject], _Found]) -> Callable[[Subject], _Found]:
    """Let each question about a subject fail in one way, with a `SubjectError`.

    What is declared and what lies in its files is anybody's, and several libraries read it. Whatever they raise is the
    reason why this subject cannot be used, and no reason to stop the others.
    """

    @wraps(ask)
    def asked(subject: Subject) -> _Found:
        spec = subject.spec
        if spec.wrong is not None:
            raise SubjectError(spec.wrong)
        try:
            return ask(subject)
        except ImportError as error:
            raise NotRun(not_imported(error)) from error
        except (SubjectError, ReadingError, NotRun):  # these speak for themselves
            raise
        except Exception as error:
            raise SubjectError(
                f"{spec.name} cannot be used ({type(error).__name__}: {quoted(error)}); wanted a model at {spec.model} "
                f"and an SAE at {spec.sae} that can be read: mend these files, or fetch them again"
            ) from error

    return asked


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
    """

    spec: SubjectSpec  # what is declared
    randomisation: Randomisation | None = None  # what is drawn at random; None for a subject as it is
    computed_with: Mapping[str, str] | None = None  # see `computed_by`
    _trained: Subject | None = field(default=None, compare=False, repr=False)
    # Draws share it in memory, from the first that is opened until one is released.
    _shared: list[Randomiser] | None = field(default=None, compare=False, repr=False)

    @cached_property
    def lookup(self) -> Lookup:
        """Look its files up, each once; those of a control are the trained subject's."""
        return self._trained.lookup if self._trained else Lookup(spec=self.spec)

    @property
    def name(self) -> str:
        """Return what `subjects(...)` and `-m` select; no subject can be declared by the name of a control."""
        return self.spec.name

    @property
    def markers(self) -> tuple[str, ...]:
        """Return its own name and, for a protocol of another subject, that subject's; nothing selects a control."""
        named = (self.name,) if self.spec.markers is None else self.spec.markers
        return () if self.randomisation else named

    @property
    def summary(self) -> str:
        """Say in a line what it is."""
        return self.spec.summary or f"{self.spec.model} with the SAE {self.spec.sae}"

    @property
    def trained(self) -> Subject:
        """Return the subject without its randomisation, whose files and sparsity a control is given."""
        return self._trained or self

    @cached_property
    def wrong(self) -> str | None:
        """Say what is wrong with its declaration or its files; None where nothing is, or where files are absent."""
        try:
            if self.absent() is None:
                _ = self.located
        except SubjectError as error:
            return str(error)
        return None

    @_fact
    def absent(self) -> str | None:
        """Say which of its files are not here and which command brings them; None where all are."""
        return self.lookup.missing

    def missing(self) -> str | None:
        """Say why it cannot run here, nor be answered from a store, and which command helps; None where it can."""
        why = self.absent() or (None if self.computed_with else models_absent())
        return why if why is None or self.computed_with is None else f"{UNSTORED}: {why}"

    def computed_by(self, versions: Mapping[str, str]) -> Subject:
        """Return it with versions that stand for those installed, where `models` is absent; none where nothing fits."""
        vars(one := replace(self, computed_with=versions))["lookup"] = self.lookup
        return one

    @_fact
    def downloads(self) -> tuple[Download, ...]:
        """Return what it needs from the Hub, whether that is here or not; nothing where all of it is in folders."""
        return downloads(self.spec)

    @property
    @_fact
    def located(self) -> Located:
        """Return the files of model and SAE and how they are read together.

        A SubjectError says that a file is absent, or model and SAE do not belong together.
        """
        return self.lookup.located

    @_fact
    def yardstick(self) -> Yardstick:
        """Return what its instrument check is held against. Nobody publishes what a random instrument measures."""
        found, spec = self.located, self.spec
        shifts = (*((-1,) if found.pairing.depth else ()), 0, *((1,) if found.next_layer else ()))
        unstated = Yardstick(shifts=shifts, misfit=spec.misfit, writes_to=found.pairing.properties.writes_to)
        if self.randomisation:
            return unstated
        declared = spec.l0 is not None or spec.variance_explained is not None
        stated = spec if declared or found.sae.release is None else found.sae.release
        l0, explained = stated.l0, stated.variance_explained
        if l0 is None and explained is None:
            return unstated
        source = "the declaration of the subject" if declared else "the registry of sae-lens"
        return replace(unstated, l0=l0, variance_explained=explained, source=source)

    @_fact
    def aspects(self) -> Mapping[str, str]:
        """Say in words, by aspect, what it is and how it is read; also where its weights are absent.

        Two subjects of different fingerprints differ in an aspect, unless they are two states of the same files.
        """
        if self.randomisation:
            random = f"{self.randomisation.label}, seed {self.randomisation.seed}"
            return {**self.trained.aspects(), "random": random}
        weights = "8-bit, multiplied in float16" if self.quantised else self.spec.dtype
        if self.spec.quantisation == "8bit where it can" and not self.quantised:
            weights = f"{self.spec.dtype}, 8-bit where the hardware does it"
        known = self.spec if self.wrong or self.absent() else self.located.pairing
        return described(known, weights)

    @cached_property
    @_fact
    def memory_plan(self) -> MemoryPlan:
        """Plan where the weights lie on this machine while they are used; this looks at the machine.

        A control takes the place of the trained subject. But weights in 8 bits exist only as they are loaded from
        files; a random model is drawn layer by layer instead. A SubjectError says that the sizes of the model are not
        known, for its files are not here; a MemoryPlanError that what is declared cannot be had here.
        """
        if self.randomisation is None:
            if (needs := self.needs()) is None:
                raise SubjectError(f"how much memory {self.name} takes is known once its files are here")
            return self._plan_for(needs)
        plan = self.trained.memory_plan
        if self.randomisation.part == "random-sae" or plan.quantisation is None:
            return plan
        reason = f"{plan.reason}; the random model drawn a layer at a time, not in 8 bits"
        return replace(plan, kind="streamed", quantisation=None, max_memory=None, reason=reason)

    @_fact
    def disk_bytes(self) -> int:
        """Count the bytes of its files, which are here; by its own name, so that a file counts once under two links."""
        files = [*self.located.model.rglob("*"), *self.located.sae.files]
        return sum({file.resolve(): file.stat().st_size for file in files if file.is_file()}.values())

    @_fact
    def needs(self) -> MemoryNeeds | None:
        """Count what it takes in memory; None where its files are not here and its sizes are not known beforehand."""
        spec = self.spec
        if self.absent() is None:
            return self._needs_here(depth=self.located.depth)
        if spec.shape is None or spec.d_sae is None or spec.hook_name is None:
            return None
        depth = depth_of(spec.hook_name, n_layers=spec.shape.layers, name=spec.name) + spec.try_next_layer
        return needs_of(spec.shape, depth=depth, d_sae=spec.d_sae, dtype=spec.dtype, sae_dtype=spec.sae_dtype)

    def _needs_here(self, *, depth: int) -> MemoryNeeds:
        pairing, spec = self.located.pairing, self.spec
        d_sae = pairing.properties.d_sae
        return needs_of(pairing.shape, depth=depth, d_sae=d_sae, dtype=spec.dtype, sae_dtype=spec.sae_dtype)

    def _plan_for(self, needs: MemoryNeeds) -> MemoryPlan:
        spec = self.spec
        return choose_plan(needs, this_machine(), asked=spec.memory, quantisation=spec.quantisation, device=spec.device)

    @property
    def quantised(self) -> bool:
        """Say whether the model's weights are used in 8 bits: as declared, or where this machine can."""
        if self.spec.quantisation is None or models_absent():
            return self.spec.quantisation is not None and "bitsandbytes" in (self.computed_with or {})
        return self.memory_plan.quantisation == "8bit"

    @property
    def dtype(self) -> Dtype:
        """Return what the model computes in; 8-bit weights are multiplied in float16, as LLM.int8() was made for."""
        return "float16" if self.quantised else self.spec.dtype

    def identity(self) -> Identity:
        """Return what it is: hashes of the files, configuration, versions. No torch is imported."""
        return self._identity

    @cached_property
    @_fact
    def _identity(self) -> Identity:
        if self.randomisation is not None:
            return self._identity_of_control(self.randomisation)
        found, pairing, of = self.located, self.located.pairing, self.computed_with
        computing = (*_COMPUTING, *(["bitsandbytes"] if self.quantised else []))
        decides: dict[str, Any] = {
            "model_hash": hash_files(found.model_files),
            "sae_hash": hash_files(found.sae.files),
            "hook_name": pairing.hook_name,
            "dtype": f"{self.dtype}, 8-bit weights" if self.quantised else self.dtype,
            "protocol": pairing.protocol,
            "versions": {name: metadata.version(name) if of is None else of.get(name, "") for name in computing},
        }
        return Identity(
            **decides,
            name=self.name,
            model=self.spec.in_reports(self.spec.model),
            sae=self.spec.in_reports(self.spec.sae),
            d_in=pairing.properties.d_in,
            d_sae=pairing.properties.d_sae,
            fingerprint=hash_of({**decides, "sae_dtype": self.spec.sae_dtype, "tokenising": TOKENISING, "date": DATE}),
            tolerance=tolerance_of(self.dtype, depth=pairing.depth),
            fixed_l0=pairing.properties.fixed_l0,
        )

    def _identity_of_control(self, randomisation: Randomisation) -> Identity:
        of, trained = self.trained, self.trained.identity()
        decides = {"trained": trained.fingerprint, "what": randomisation.part, "seed": randomisation.seed}
        neutral = [prompt.text for prompt in randomisation.neutral]
        fingerprint = hash_of({**decides, "neutral": neutral, "method": _METHOD})
        drawn = f"drawn at random (seed {randomisation.seed})"
        sae_hash = joined(trained.sae_hash, fingerprint)
        # Its SAE is one of plain ReLUs, whatever the trained one is.
        control = replace(trained, name=self.name, sae_hash=sae_hash, fingerprint=fingerprint, fixed_l0=None)
        if randomisation.part == "random-sae":
            return replace(control, sae=f"{trained.sae}, directions {drawn}")
        return replace(
            control,
            model=f"{trained.model}, weights {drawn}",
            model_hash=joined(trained.model_hash, fingerprint),
            sae=f"{trained.sae}, thresholds matched on neutral text",
            dtype=of.dtype if of.quantised else trained.dtype,
        )

    @cached_property
    @_fact
    def whole_fingerprint(self) -> str:
        """Return a fingerprint of what it writes: of `Identity.fingerprint` and the layers after the hook.

        A SubjectError says that it is a control, or its SAE is one that cannot be steered.
        """
        if self.randomisation:
            raise SubjectError(f"{self.name} is a control and cannot be steered; steer {self.trained.name} itself")
        unsteerable = self.located.pairing.properties.unsteerable
        if unsteerable is not None:
            raise SubjectError(f"the SAE {self.spec.sae} of {self.name} cannot be steered: {unsteerable}")
        folder = self.located.model
        files = model_files(folder, depth=None) or self.located.model_files
        ends = [file for file in (folder / GENERATION,) if file.exists()]
        return joined(self._identity.fingerprint, hash_files([*files, *ends]))

    @_fact
    def open(self) -> SaeReader:
        """Load model and SAE; this is where torch is first imported.

        For a control the trained subject is loaded and reads the neutral text; then what is random takes its place. It
        raises as `located`; a SubjectError also says that a random model is asked for and the SAE has no encoder
        directions, and a ReadingError that the neutral text cannot be read.
        """
        if self.randomisation is None:
            from saeprobe.subject.running.opening import open_reader

            return open_reader(self.opening())
        from saeprobe.subject.running.random import Randomiser

        shared = [] if self._shared is None else self._shared
        if not shared:
            texts = tuple(one.text for one in self.randomisation.neutral)
            opening, part = self.trained.opening(), self.randomisation.part
            shared.append(Randomiser(opening=opening, part=part, texts=texts, plan=self.memory_plan))
        randomiser = shared[0]
        return randomiser.open(name=self.name, seed=self.randomisation.seed)

    @_fact
    def opening(self) -> Opening:
        """Return all that is decided before it is loaded."""
        from saeprobe.subject.running.opening import Opening

        found, plan = self.located, self.memory_plan

        def plan_to_speak() -> MemoryPlan:
            return self._plan_for(self._needs_here(depth=found.pairing.shape.layers))

        return Opening(located=found, plan=plan, dtype=self.dtype, plan_to_speak=plan_to_speak)

    def randomised(self, part: RandomPart, *, neutral: PromptSet | None = None, seed: int = 0) -> Subject:
        """Return the same subject with a random model or a random SAE, as a control; nothing is loaded.

        On the `neutral` text each feature fires as often as here; None takes the built-in one. A SubjectError says that
        it is a control already.
        """
        if self.randomisation:
            raise SubjectError(f"{self.name} is a control already; ask {self.trained.name} for another")
        text = NEUTRAL.for_wording(self.spec.wording) if neutral is None else neutral
        randomisation = Randomisation(part=part, neutral=text, seed=seed)
        random = f"{self.name} with a {randomisation.label}"
        spec = replace(
            self.spec,
            name=f"{random}, draw {seed}" if seed else random,
            summary=f"a control: {random}",
            misfit=f"it is a control with a {randomisation.label}",
            protocol_of=None,
            specimen=False,
        )
        return replace(self, spec=spec, randomisation=randomisation, _trained=self)

    def draws(self, part: RandomPart, *, neutral: PromptSet | None = None, count: int) -> tuple[Subject, ...]:
        """Return `count` controls, seeds 0 and up, which share in memory what they have in common; see `randomised`."""
        shared: list[Randomiser] = []
        return tuple(replace(self.randomised(part, neutral=neutral, seed=n), _shared=shared) for n in range(count))

    def release(self) -> None:
        """Give back the memory that draws share; a draw that is opened afterwards loads it again."""
        if self._shared is not None:
            self._shared.clear()

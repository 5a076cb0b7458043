"""Randomised subjects: a trained one with a random model or a random SAE in its place, as controls of what was found.

What a random network shows too, training did not put there (Adebayo et al. 2018, "Sanity checks for saliency maps",
arXiv 1810.03292; for SAEs Heap et al. 2025, "Sparse autoencoders can interpret randomly initialized transformers",
arXiv 2501.17727). To be a rival at all, the random subject has the sparsity of the trained one, feature by feature.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, NoReturn

from saeprobe.prompts import PromptSet
from saeprobe.subject.files.downloads import Download
from saeprobe.subject.memory import MemoryNeeds, MemoryPlan
from saeprobe.subject.protocol import Identity, Randomisation, Reader, Yardstick
from saeprobe.subject.specification import SubjectError

if TYPE_CHECKING:
    from saeprobe.subject.local import LocalSubject
    from saeprobe.subject.running.random import Randomiser

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

"""Local subjects: models and SAEs whose files lie on this machine, loaded when first read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path

from saeprobe.subject import weights
from saeprobe.subject.pairing import Pairing, pair
from saeprobe.subject.protocol import Identity, Reader
from saeprobe.subject.specification import SaeFolder, SubjectError, SubjectSpec

_COMPUTING = ("torch", "transformers", "transformer-lens", "sae-lens")


@dataclass(frozen=True, kw_only=True)
class Located:
    """A subject whose files are here."""

    model: Path
    sae: Path
    release: weights.Release | None
    pairing: Pairing


@dataclass(frozen=True, kw_only=True)
class LocalSubject:
    """A GPT-2-architecture model with an SAE that sae-lens loads."""

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

    def missing(self) -> str | None:
        """Which weights are absent and what brings them; None where all are here."""
        if not isinstance(self.spec.sae, SaeFolder):
            release = weights.find_release(self.spec.sae)
            if release.conversion is not None:
                return (
                    f"the SAE release {self.spec.sae.release!r} is stored in the format {release.conversion!r}; "
                    "this version of saeprobe loads releases in SAELens' own format"
                )
        return self._absent_model_and_sae()

    def _absent_model_and_sae(self) -> str | None:
        spec = self.spec
        what: list[str] = []
        commands: list[str] = []
        if weights.model_folder(spec.model, revision=spec.revision) is None:
            if isinstance(spec.model, Path):
                return f"no whole model at {spec.model}: wanted config.json, model.safetensors and a tokenizer there"
            what.append(spec.model)
            commands.append(weights.download_command(spec.model, include=spec.fetch, revision=spec.revision))
        if isinstance(spec.sae, SaeFolder):
            if not weights.sae_is_whole(spec.sae.path):
                return f"no whole SAE at {spec.sae.path}: wanted {weights.SAE_CONFIG} and {weights.SAE_WEIGHTS} there"
        else:
            release = weights.find_release(spec.sae)
            if weights.sae_folder(release) is None:
                what.append(release.repo)
                commands.append(weights.download_command(release.repo, include=(f"{release.path}/*",)))
        return weights.absent(what, commands) if what else None

    def locate(self) -> Located:
        """The folders of model and SAE and how they are read together.

        Raises:
            SubjectError: a file is absent, or model and SAE do not belong together.
        """
        absent = self.missing()
        if absent is not None:
            raise SubjectError(f"{self.name} cannot run here: {absent}")
        spec = self.spec
        release = None if isinstance(spec.sae, SaeFolder) else weights.find_release(spec.sae)
        model = weights.model_folder(spec.model, revision=spec.revision)
        sae = spec.sae.path if isinstance(spec.sae, SaeFolder) else weights.sae_folder(weights.find_release(spec.sae))
        if model is None or sae is None:  # they were there a moment ago
            raise SubjectError(f"the files of {self.name} went away while they were looked up; run again")
        pairing = pair(spec, model=model, sae=sae, overrides={} if release is None else release.overrides)
        return Located(model=model, sae=sae, release=release, pairing=pairing)

    def identity(self) -> Identity:
        """What it is, without importing torch: hashes of the files, configuration, versions.

        Read once: whoever holds a subject sees one identity, also if its files change meanwhile.

        Raises:
            SubjectError: a file is absent, or model and SAE do not belong together.
        """
        return self._identity

    @cached_property
    def _identity(self) -> Identity:
        found = self.locate()
        decides: dict[str, object] = {
            "model_hash": weights.model_hash(found.model),
            "sae_hash": weights.sae_hash(found.sae),
            "hook_name": found.pairing.hook_name,
            "dtype": self.spec.dtype,
            "protocol": found.pairing.protocol,
            "versions": {name: metadata.version(name) for name in _COMPUTING},
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
            dtype=self.spec.dtype,
            protocol=found.pairing.protocol,
            fingerprint=hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest(),
            versions={name: metadata.version(name) for name in _COMPUTING},
        )

    def open(self) -> Reader:
        """Load model and SAE; this is where torch is first imported.

        Raises:
            SubjectError: a file is absent, or model and SAE do not belong together.
        """
        from saeprobe.subject.lens import open_reader

        return open_reader(self.spec, self.locate())

"""Outlooks: whether a subject runs here, and what it takes in memory, on disk and in time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from saeprobe.cli.checkup.rates import Rates
from saeprobe.subject.local import LocalSubject
from saeprobe.subject.memory import MemoryNeeds, MemoryPlan, MemoryPlanError, bytes_in_words, seconds_in_words
from saeprobe.subject.specification import SubjectError

PROMPTS: Final = 300
TOKENS: Final = 80

State = Literal["ready", "absent", "unfit", "wrong"]


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is known of a subject on this machine.

    Attributes:
        name: the subject's.
        state: `ready`; `absent`: files are lacking; `unfit`: this machine cannot hold it; `wrong`: its files do not
            belong together.
        notes: in words: where its weights lie while they are used, and what is lacking.
        memory: bytes that its plan takes; None where that is not known.
        disk: bytes of its files, or of those that a fetch would bring.
        seconds: for 300 prompts of 80 tokens at the rates measured, at least.
    """

    name: str
    state: State
    notes: tuple[str, ...]
    memory: int | None = None
    disk: int | None = None
    seconds: float | None = None

    @property
    def row(self) -> list[str]:
        """Its row in the table."""
        about = "about " if self.state == "absent" else ""
        return [
            self.name,
            self.state,
            "?" if self.memory is None else bytes_in_words(self.memory),
            "?" if self.disk is None else f"{about}{bytes_in_words(self.disk)}",
            "?" if self.seconds is None else seconds_in_words(self.seconds),
        ]


def outlook(subject: LocalSubject, rates: Rates) -> Outlook:
    """Look at a subject; nothing of it is loaded."""
    absent = subject.missing()
    brings = f"absent; run: saeprobe fetch {subject.name}" if subject.downloads() else absent
    lacking = () if absent is None else (str(brings),)
    try:
        needs = subject.needs()
        disk = _on_disk(subject) if absent is None else _to_come(needs)
        if needs is None:
            return Outlook(name=subject.name, state="absent", notes=lacking, disk=disk)
        plan = subject.memory_plan
    except MemoryPlanError as error:
        return Outlook(name=subject.name, state="unfit", notes=(*lacking, str(error)))
    except SubjectError as error:
        return Outlook(name=subject.name, state="wrong", notes=(str(error),))
    return Outlook(
        name=subject.name,
        state="ready" if absent is None else "absent",
        notes=(*lacking, plan.reason),
        memory=plan.takes_bytes,
        disk=disk,
        seconds=least_seconds(needs, plan, disk=disk, rates=rates),
    )


def least_seconds(needs: MemoryNeeds, plan: MemoryPlan, *, disk: int | None, rates: Rates) -> float | None:
    """Seconds to read the files once and multiply 300 prompts of 80 tokens with them, at the rates measured.

    A model reaches a part of these rates only, and importing the libraries takes some seconds more; but a run whose
    evidence is stored needs none of it.
    """
    rate = rates.gpu if plan.device.startswith("cuda") else rates.processor
    if rate is None or rates.disk is None or disk is None:
        return None
    return disk / rates.disk + PROMPTS * TOKENS * needs.flop_per_token / rate


def _on_disk(subject: LocalSubject) -> int:
    """Bytes of the files that are here."""
    found = subject.located
    return _sizes([*found.model.rglob("*"), *found.sae.files])


def _sizes(paths: Iterable[Path]) -> int:
    """Each file once, also where two names lead to it."""
    return sum({file.resolve(): file.stat().st_size for file in paths if file.is_file()}.values())


def _to_come(needs: MemoryNeeds | None) -> int | None:
    """Bytes that a fetch brings: weights as they are computed with, which is how they lie on the Hub or nearly so."""
    return None if needs is None else needs.weights_bytes + needs.sae_bytes

"""A record is held against its subject, and a store where nothing else knows it; where that cannot be, it is said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow.parquet as pq

from saeprobe.captures import Capture
from saeprobe.claims import NotRun
from saeprobe.plugin.collecting import Asked
from saeprobe.prompts import PromptChoice, PromptSet
from saeprobe.store import DAMAGE, VERSIONS, Store
from saeprobe.store.plan import Work, counted, file_for, prompts_for
from saeprobe.subject.local import Subject
from saeprobe.subject.specification import SubjectSpec

if TYPE_CHECKING:
    from saeprobe.features import Features
    from saeprobe.recorded import Stated
    from saeprobe.recorded.recognition import RecordedFile
    from saeprobe.recorded.record import Recorded

AS_PUBLISHED: Final = "-as-published"
"""The name of a subject that repeats a published protocol ends so; recorded evidence stands for such a subject."""


@dataclass(eq=False)
class Records:
    """Recorded files stand for as-published subjects; they are looked at when the first of these asks, once."""

    paths: tuple[Path, ...]

    @cached_property
    def _files(self) -> tuple[RecordedFile, ...]:
        from saeprobe.recorded.recognition import recorded_files

        return recorded_files(self.paths)

    def evidence(self, subject: Subject, capture: Capture) -> Features | Recorded:
        """Give what stands in place of a capture; raises as `recorded_evidence`."""
        from saeprobe.recorded.directory import recorded_evidence

        return recorded_evidence(self._files, capture, stated_by(subject, capture.prompts))

    @staticmethod
    def unasked(recorded: Collection[str], asked: Iterable[Asked]) -> list[str]:
        """Say, where nothing asks for the evidence that is given, which `-m` decides something from it."""
        if any(each.subject in recorded for each in asked):
            return []
        remedy = " or ".join(f"-m {name}" for name in recorded)
        return [f"plan: no probe that is selected is decided from the recorded evidence; select some with {remedy}"]

    def in_words(self, subject: Subject, asked: Iterable[Asked]) -> str:
        """Say what was given, which file answers each capture of a subject, and what cannot be held against it."""
        from saeprobe.recorded.directory import in_words

        declared = dict.fromkeys(each.declared for each in asked if each.subject == subject.name)
        stated = [(one, stated_by(subject, one.prompts)) for one in declared if isinstance(one, Capture)]
        unsaid = dict.fromkeys(one.unsaid for _, one in stated)
        return f"{', '.join(map(str, self.paths))}: {in_words(self._files, stated)}{''.join(unsaid)}"


def stated_by(subject: Subject, prompts: PromptSet | PromptChoice) -> Stated:
    """Return what recorded files are held against: what is declared, or the subject's files say where they are.

    Built-in prompts are unknown: nobody recorded them.
    """
    from saeprobe.recorded import Stated

    known = None
    if isinstance(prompts, PromptSet) or file_for(prompts, subject):
        with suppress(NotRun):  # the file lacks a style; the record need not
            known = prompts_for(prompts, subject)
    read = subject.located.pairing if subject.wrong is None and subject.absent() is None else subject.spec
    d_sae, hook_name = (read.d_sae if isinstance(read, SubjectSpec) else read.properties.d_sae), read.hook_name
    d_in = read.shape and read.shape.hidden
    return Stated(subject=subject.name, d_sae=d_sae, hook_name=hook_name, d_in=d_in, prompts=known)


@lru_cache(maxsize=1)
def _versions(store: Store) -> list[Mapping[str, str]]:
    """Return with which versions what is stored was computed, each set of them once, the highest first.

    They need not be trusted: they count only where the fingerprint that is made of them is one that is stored.
    """
    found: dict[str, Mapping[str, str]] = {}
    for folder in store.path.glob("*/*/"):
        for file in filter(Path.is_file, folder.glob("*.parquet")):
            with suppress(*DAMAGE, AttributeError, LookupError, RecursionError, TypeError):
                said = cast(Any, pq).read_metadata(file).metadata[VERSIONS].decode()
                found[said] = {name: version + "" for name, version in json.loads(said).items()}
                break

    def numbers(of: Mapping[str, str]) -> list[list[str]]:
        return [[number.zfill(9) for number in re.findall(r"[0-9]+", version)] for version in of.values()]

    return sorted(found.values(), key=numbers, reverse=True)


def served(subject: Subject, works_of: Callable[[Subject], tuple[Work, ...]], store: Store) -> Mapping[str, str] | None:
    """Return the versions with which stored evidence of a subject was computed, where the extra `models` is absent.

    They stand in the place of installed ones; hashes of model and SAE must be equal all the same. The newest are taken
    under which all that `works_of` asks is stored; where there are none, those under which most is. There are none at
    all where no stored evidence is of the subject, and it is None where its files are not here.
    """
    if subject.wrong or subject.absent():
        return None
    folders = {folder.name for folder in store.path.glob("*/*/")}
    best: tuple[int, Mapping[str, str]] = 0, {}
    for versions in _versions(store):
        one = subject.computed_by(versions)
        if one.identity().fingerprint[:32] not in folders:
            continue
        held, lacking = counted(works_of(one), store)
        if not lacking:
            return versions
        best = max(best, (held, versions), key=itemgetter(0))  # the first of those that hold as much
    return best[1]

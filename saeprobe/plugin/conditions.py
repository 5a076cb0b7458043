"""Conditions: what the controls of a claim read beside the captures of its probe, as part of the same plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from saeprobe.captures import Capture
from saeprobe.claims import Control, NotRun
from saeprobe.evidence.controls import READ_ELSEWHERE
from saeprobe.evidence.controls.draws import TOPICS, n_draws
from saeprobe.plugin.items import Asked
from saeprobe.prompts import PromptSet
from saeprobe.statistics.intervals import design_line
from saeprobe.store.plan import prompts_for
from saeprobe.subject.local import Subject
from saeprobe.subject.specification import RandomPart, SubjectError

_PARTS: Final[Mapping[RandomPart, str]] = {"random-model": "random models", "random-sae": "random SAEs"}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A capture as a control reads it: other prompts on the same subject, or some of the same on random ones.

    `subjects` are the draws of a random control; of another it is the subject itself.
    """

    subjects: tuple[Subject, ...]
    capture: Capture


@dataclass(frozen=True, kw_only=True)
class Derived:
    """The subjects that a random control has read, and what they are called together."""

    label: str
    subjects: tuple[Subject, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the draws, in their order."""
        return tuple(each.name for each in self.subjects)


class Conditions:
    """The conditions of a run at a level `alpha`, on which the number of draws depends.

    The subjects that they need are derived from those of the probes; they are in no list of subjects, and no
    instrument check is made of them, since they are to fit nothing. Draws read the prompts on their first topics only:
    what a draw differs by from another is not the prompts' doing.
    """

    def __init__(self, neutral: Mapping[str, PromptSet], *, alpha: float) -> None:
        self._neutral = neutral
        self._draws = n_draws(alpha)
        self._derived: dict[tuple[str, Control], Derived | NotRun] = {}
        self._noted: dict[tuple[str, Capture], dict[Control, Condition | NotRun]] = {}

    @property
    def derived(self) -> Mapping[str, Derived]:
        """The subjects that exist for controls alone, by name."""
        families = [each for each in self._derived.values() if not isinstance(each, NotRun)]
        return {name: family for family in families for name in family.names}

    def note(self, subject: Subject, capture: Capture, controls: tuple[Control, ...]) -> None:
        """Take note that a claim judged on `capture` asks for these controls."""
        noted = self._noted.setdefault((subject.name, capture), {})
        for control in controls:
            if control in READ_ELSEWHERE and control not in noted:
                noted[control] = self._condition(subject, capture, control)

    def requests(self) -> Iterator[tuple[Subject, Capture]]:
        """What all conditions have read."""
        for noted in self._noted.values():
            for each in noted.values():
                if isinstance(each, Condition):
                    yield from ((subject, each.capture) for subject in each.subjects)

    def of(self, subject: Subject, capture: Capture) -> Mapping[Control, Condition | NotRun]:
        """The conditions noted of a capture; in the place of one that cannot be, why."""
        return self._noted.get((subject.name, capture), {})

    def release(self) -> None:
        """Give back the memory that draws share."""
        for each in self._derived.values():
            if not isinstance(each, NotRun):
                for subject in each.subjects:
                    subject.release()

    def _condition(self, subject: Subject, capture: Capture, control: Control) -> Condition | NotRun:
        if control not in ("random-model", "random-sae"):
            return Condition(subjects=(subject,), capture=replace(capture, prompts=capture.prompts.injected()))
        derived = self._randomised(subject, control)
        if isinstance(derived, NotRun):
            return derived
        keep = capture.keep
        if control == "random-sae":  # the model is the trained one, and so are its activations
            keep = keep - {"activations"}
        read = replace(capture, prompts=capture.prompts.first_topics(TOPICS), keep=keep)
        return Condition(subjects=derived.subjects, capture=read)

    def _randomised(self, subject: Subject, what: RandomPart) -> Derived | NotRun:
        key = subject.name, what
        if key not in self._derived:
            try:
                draws = subject.draws(what, neutral=self._neutral.get(subject.name), count=self._draws)
                label = f"{subject.name} with {len(draws)} {_PARTS[what]}"
                self._derived[key] = Derived(label=label, subjects=draws)
            except (
                NotRun,
                SubjectError,
            ) as error:  # the claim's own reading is none the worse for it
                self._derived[key] = NotRun(str(error))
        return self._derived[key]


FEW: Final = 3
"""So many claims are named in a line; more are counted, unless nothing can decide them."""


_UNDECIDABLE: Final = ("cannot decide anything", "nothing can be compared")
"""What the line of a design says that is out of reach of alpha, or has nothing to pair."""


def designs_in_words(asked: Iterable[Asked], subject: Subject, *, alpha: float) -> list[str]:
    """A line for each design of the captures that claims on `subject` rest on, with what it can decide."""
    claims: dict[str, list[str]] = {}
    for each in asked:
        if each.claim is None or each.subject != subject.name or not isinstance(each.declared, Capture):
            continue
        prompts = prompts_for(each.declared.prompts, subject)
        line = design_line(prompts.prompts, over=each.claim.over, alpha=alpha)
        of_line = claims.setdefault(line, [])
        if each.claim.id not in of_line:
            of_line.append(each.claim.id)
    return [f"{subject.name}: for {_told(ids, line)}, {line}" for line, ids in claims.items()]


def _told(ids: list[str], line: str) -> str:
    if len(ids) > FEW and not any(phrase in line for phrase in _UNDECIDABLE):
        return f"{len(ids)} claims"
    return " and ".join([", ".join(ids[:-1]), ids[-1]] if len(ids) > 1 else ids)

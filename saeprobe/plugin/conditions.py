"""What probes and the controls of their claims ask of subjects is noted here, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from saeprobe.captures import Capture, Steering
from saeprobe.claims import Claim, Control, NotRun
from saeprobe.evidence.controls import READ_ELSEWHERE
from saeprobe.evidence.controls.draws import TOPICS, n_draws
from saeprobe.prompts import PromptSet
from saeprobe.statistics.intervals import design_line
from saeprobe.store.plan import prompts_for
from saeprobe.subject.local import Subject
from saeprobe.subject.specification import RandomPart, SubjectError

Declared = Capture | Steering

FEW: Final = 3
"""A line names so many claims; more are counted, unless nothing can decide them."""
_PARTS: Final[Mapping[RandomPart, str]] = {"random-model": "random models", "random-sae": "random SAEs"}
_UNDECIDABLE: Final = ("cannot decide anything", "nothing can be compared")
"""The line of a design says so where it is out of reach of alpha, or has nothing to pair."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A probe needs one capture or steering experiment of one subject.

    `claim` is what the probe decides, None for an ordinary test; `fixture` is the name of the capture in its `file`.
    """

    subject: str
    declared: Declared
    claim: Claim | None = None
    fixture: str = ""
    file: str = ""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A control reads a capture: other prompts on the same subject, or some of the same on random ones.

    `subjects` are the draws of a random control; for another control they are the subject itself.
    """

    subjects: tuple[Subject, ...]
    capture: Capture


class Conditions:
    """The conditions of a run are what the controls of its claims read, as part of the same plan.

    The subjects that they need are derived from those of the probes; they are in no list of subjects, and no
    instrument check is made of them, since they are to fit nothing. Draws read the prompts on their first topics only:
    what a draw differs by from another is not the prompts' doing.

    Args:
        neutral: by subject, a neutral text in place of the built-in one.
        alpha: the level of the run, on which the number of draws depends.
    """

    def __init__(self, neutral: Mapping[str, PromptSet], *, alpha: float) -> None:
        self._neutral = neutral
        self._alpha = alpha
        self._draws: dict[tuple[str, RandomPart], tuple[Subject, ...] | NotRun] = {}
        self._noted: dict[tuple[str, Capture], dict[Control, Condition | NotRun]] = {}
        self.labels: dict[str, str] = {}
        """The label under which each subject is shown that exists for controls alone, by its name."""

    def note(self, subject: Subject, capture: Capture, controls: tuple[Control, ...]) -> None:
        """Take note that a claim judged on `capture` asks for these controls."""
        noted = self._noted.setdefault((subject.name, capture), {})
        for control in controls:
            if control in READ_ELSEWHERE and control not in noted:
                noted[control] = self._condition(subject, capture, control)

    def requests(self) -> Iterator[tuple[Subject, Capture]]:
        """Yield what all conditions read."""
        for noted in self._noted.values():
            for each in noted.values():
                if isinstance(each, Condition):
                    yield from ((subject, each.capture) for subject in each.subjects)

    def of(self, subject: Subject, capture: Capture) -> Mapping[Control, Condition | NotRun]:
        """Return the conditions noted of a capture; the reason stands in the place of one that cannot be."""
        return self._noted.get((subject.name, capture), {})

    def release(self) -> None:
        """Give back the memory that draws share."""
        for each in self._draws.values():
            for subject in () if isinstance(each, NotRun) else each:
                subject.release()

    def _condition(self, subject: Subject, capture: Capture, control: Control) -> Condition | NotRun:
        if control not in ("random-model", "random-sae"):
            return Condition(subjects=(subject,), capture=replace(capture, prompts=capture.prompts.injected()))
        draws = self._drawn(subject, control)
        if isinstance(draws, NotRun):
            return draws
        # With a random SAE the model is the trained one, and so are its activations.
        keep = capture.keep - {"activations"} if control == "random-sae" else capture.keep
        read = replace(capture, prompts=capture.prompts.first_topics(TOPICS), keep=keep)
        return Condition(subjects=draws, capture=read)

    def _drawn(self, subject: Subject, what: RandomPart) -> tuple[Subject, ...] | NotRun:
        key = subject.name, what
        if key not in self._draws:
            try:
                subjects = subject.draws(what, neutral=self._neutral.get(subject.name), count=n_draws(self._alpha))
            except (NotRun, SubjectError) as error:  # the claim's own reading is none the worse for it
                self._draws[key] = NotRun(str(error))
            else:
                label = f"{subject.name} with {len(subjects)} {_PARTS[what]}"
                self._draws[key] = subjects
                self.labels.update((each.name, label) for each in subjects)
        return self._draws[key]


def designs_in_words(asked: Iterable[Asked], subject: Subject, *, alpha: float) -> list[str]:
    """Write a line for each design of the captures that claims on `subject` rest on, with what it can decide."""
    claims: dict[str, dict[str, None]] = {}
    for each in asked:
        if each.claim is None or each.subject != subject.name or not isinstance(each.declared, Capture):
            continue
        prompts = prompts_for(each.declared.prompts, subject)
        line = design_line(prompts.prompts, over=each.claim.over, alpha=alpha)
        claims.setdefault(line, {})[each.claim.id] = None
    return [f"{subject.name}: for {_listed(list(ids), line)}, {line}" for line, ids in claims.items()]


def _listed(ids: list[str], line: str) -> str:
    if len(ids) > FEW and not any(phrase in line for phrase in _UNDECIDABLE):
        return f"{len(ids)} claims"
    return " and ".join([", ".join(ids[:-1]), ids[-1]] if len(ids) > 1 else ids)

"""A capture at the top of a probe file becomes a fixture; what probes and their controls ask for is noted and checked.

All of it is known before anything runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Final, cast

import pytest

from saeprobe.captures import Capture, Span, Steering
from saeprobe.claims import Claim, Control, NotRun, claim_of, did_you_mean, members
from saeprobe.evidence.controls import READ_ELSEWHERE
from saeprobe.evidence.controls.draws import TOPICS, n_draws
from saeprobe.features import Features
from saeprobe.plugin import SUBJECT
from saeprobe.plugin.sentences import design_lines
from saeprobe.prompts import Prompt, PromptSet
from saeprobe.store.plan import prompts_for
from saeprobe.subject.local import Subject
from saeprobe.subject.specification import RandomPart, SubjectError

Declared = Capture | Steering
Provide = Callable[[str, Declared], object]
"""It gives the evidence that a declaration asks for of the subject of that name."""
Find = Callable[[str], Subject]
"""It looks a subject up by its name."""

FEW: Final = 3  # claims that a line names; more are counted, unless nothing can decide them
_PARTS: Final[Mapping[RandomPart, str]] = {"random-model": "random models", "random-sae": "random SAEs"}
_UNDECIDABLE: Final = ("cannot decide", "cannot be supported", "nothing can be compared")  # a design out of reach


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
    probe: object = None


def subject_of(item: pytest.Item) -> str | None:
    """Return the subject that `item` is a variant for; several names are joined by a plus sign where it is for all."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get(SUBJECT)


def claim_of_item(item: pytest.Item) -> Claim | None:
    """Return the claim that an item decides."""
    return claim_of(getattr(item, "function", None))


def register_captures(module: pytest.Module, provide: Provide) -> None:
    """Register every capture and steering experiment among the names of `module`, with what gives their evidence."""
    for name, value in declarations(module).items():
        pytest.register_fixture(name=name, func=_provider(value, provide), node=module, scope="module")


def asked_by(items: Sequence[pytest.Item]) -> Iterator[Asked]:
    """Yield what the collected items need of each subject, in their order; it is known before anything runs."""
    for item in items:
        claim, subjects = claim_of_item(item), members(subject_of(item) or "")
        for name in subjects if any(subjects) else ():
            for fixture, declared in _declared_by(item).items():
                file = item.nodeid.partition("::")[0]
                asked = Asked(subject=name, declared=declared, claim=claim, fixture=fixture, file=file)
                yield replace(asked, probe=getattr(item, "function", None))


def declarations(module: pytest.Module | None) -> dict[str, Declared]:
    """Return the captures and steering experiments among the names of a file."""
    if module is None:
        return {}
    code = cast("ModuleType", module.obj)
    return {name: value for name, value in vars(code).items() if isinstance(value, Capture | Steering)}


def _declared_by(item: pytest.Item) -> dict[str, Declared]:
    """Return the captures that `item` uses, by any chain of fixtures, by name."""
    fixtures: Any = getattr(item, "_fixtureinfo", None)
    by_name: dict[str, Sequence[Any]] = {} if fixtures is None else fixtures.name2fixturedefs
    found = {name: getattr(definitions[-1].func, "declared", None) for name, definitions in by_name.items()}
    return {name: declared for name, declared in found.items() if isinstance(declared, Capture | Steering)}


def _provider(declared: Declared, provide: Provide) -> Callable[[str], object]:
    def fixture(saeprobe_subject: str) -> object:
        if len(members(saeprobe_subject)) == 1:
            return provide(saeprobe_subject, declared)
        return tuple(_named(provide(name, declared)) for name in members(saeprobe_subject))

    fixture.__dict__["declared"] = declared
    fixture.__doc__ = f"Give the evidence of a {type(declared).__name__.lower()} on the subject."
    return fixture


def _named(evidence: object) -> object:
    """Let the label of features name their subject, where a probe holds those of several."""
    return replace(evidence, of_several=True) if isinstance(evidence, Features) else evidence


def check_claims(items: Sequence[pytest.Item]) -> None:
    """Refuse two claims with one id; several probes may decide the same claim, each in its own way."""
    seen: dict[str, tuple[Claim, str]] = {}
    for item in items:
        claim = claim_of_item(item)
        if claim is None:
            continue
        here = item.nodeid.partition("[")[0]
        known, there = seen.setdefault(claim.id, (claim, here))
        if known is not claim:
            raise pytest.UsageError(
                f"two claims have the id {claim.id!r}: that of {there} and that of {here}; rename one of them, or "
                "keep the claim in a name, it = claim(...), and write @it above each probe that decides it"
            )


def check_subjects(items: Iterable[pytest.Item], runs_on: Mapping[str, Collection[str]]) -> None:
    """Refuse a claim that speaks of a subject on which no probe of it runs, since nothing would look at it.

    `runs_on` has the subjects by claim id, those of the variants that are not selected included.
    """
    claims = {claim.id: claim for item in items if (claim := claim_of_item(item)) is not None}
    for claim in claims.values():
        on = runs_on[claim.id]
        for key, names in (("published", claim.published), ("not_reproduced", claim.not_reproduced)):
            for name in names:
                if name not in on:
                    raise pytest.UsageError(
                        f"claim {claim.id!r} names {name!r} in {key}, on which no probe of it runs"
                        f"{did_you_mean(name, on)}; they run on: {', '.join(on)}"
                    )


def check_fixtures(items: Iterable[pytest.Item]) -> None:
    """Refuse a probe that takes a capture which is misspelt, or stands where pytest does not find it."""
    for item in items:
        fixtures: Any = getattr(item, "_fixtureinfo", None)
        if claim_of_item(item) is None or fixtures is None:
            continue
        names: Sequence[str] = fixtures.names_closure
        unknown = [name for name in names if name not in fixtures.name2fixturedefs and name != "request"]
        if unknown:
            captures = declarations(item.getparent(pytest.Module))
            raise pytest.UsageError(
                f"{item.nodeid.partition('[')[0]} takes {unknown[0]!r}, and there is no such fixture"
                f"{did_you_mean(unknown[0], [*captures, SUBJECT])}; a capture stands at the top of the probe's own "
                "file, neither in a class nor in conftest.py"
            )


def check_asked(asked: Iterable[Asked], find: Find) -> None:
    """Refuse a capture whose prompts its subject cannot read, or that a control of the claim cannot be read from."""
    for each in asked:
        try:
            prompts_for(each.declared.prompts, find(each.subject))
        except (KeyError, ValueError) as error:  # the text of a KeyError is its argument
            problem = f"{each.fixture} cannot be read on {each.subject}: {error.args[0]}"
            raise pytest.UsageError(f"{each.file}: {problem}") from None
    for each in asked:
        for control in () if each.claim is None else each.claim.controls:
            problem = _problem(control, each, find)
            if problem is not None and each.claim is not None:
                raise pytest.UsageError(f"claim {each.claim.id!r} asks for the control {control!r}, but {problem}")


def _problem(control: Control, asked: Asked, find: Find) -> str | None:
    """Say why a control cannot be read from a capture, with the remedy; None where it can."""
    capture = asked.declared
    if isinstance(capture, Steering):
        if control not in READ_ELSEWHERE:
            return None
        return (
            f"{asked.fixture} steers: its controls are the arms it declares, of random features and other strengths; "
            "leave the control out"
        )
    if control not in ("injection", "wording"):
        return None
    if control == "injection" and isinstance(capture.at, Span):
        return (
            f"{asked.fixture} reads the span {capture.at.text!r}, which neutral prompts need not hold; "
            'read at="last" or at="all", or leave the control out'
        )
    try:
        prompts = capture.prompts.injected() if control == "injection" else capture.prompts
        prompts_for(prompts, find(asked.subject)).check_words()
    except ValueError as error:
        return f"cannot read it from {asked.fixture}: {error}"
    return None


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
    """Write a line for each sentence of the claims on `subject` and its prompts, with what it can decide."""
    probes: dict[tuple[object, str], tuple[Claim, dict[str, Sequence[Prompt]]]] = {}
    for each in asked:
        if each.claim is not None and each.subject == subject.name:
            _, read = probes.setdefault((each.probe, each.claim.id), (each.claim, {}))
            read[each.fixture] = prompts_for(each.declared.prompts, subject).prompts
    claims: dict[str, dict[str, None]] = {}
    for (probe, _), (claim, read) in probes.items():
        for line in design_lines(probe, read, over=claim.over, alpha=alpha):
            claims.setdefault(line, {})[claim.id] = None
    return [f"{subject.name}: for {_listed(list(ids), line)}, {line}" for line, ids in claims.items()]


def _listed(ids: list[str], line: str) -> str:
    if len(ids) > FEW and not any(phrase in line for phrase in _UNDECIDABLE):
        return f"{len(ids)} claims"
    return " and ".join([", ".join(ids[:-1]), ids[-1]] if len(ids) > 1 else ids)

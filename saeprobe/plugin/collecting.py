"""A capture at the top of a probe file becomes a fixture; what probes and their controls ask for is noted and checked.

All of it is known before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast
from unicodedata import normalize

import pytest

from saeprobe.captures import Capture
from saeprobe.captures.steering import Steering
from saeprobe.claims import Claim, Control, NotRun, claim_of, members
from saeprobe.evidence.controls import READ_ELSEWHERE
from saeprobe.evidence.controls.draws import TOPICS, drawing_at
from saeprobe.features import Features
from saeprobe.plugin.names import SUBJECT, fixtures_of, function_of, params_of
from saeprobe.prompts import PromptFile, PromptSet
from saeprobe.store import Store
from saeprobe.store.plan import Work, counted, prompts_for
from saeprobe.subject import models_absent
from saeprobe.subject.local import Subject
from saeprobe.subject.registry import find_subject
from saeprobe.subject.specification import RandomPart, SubjectError

Declared = Capture | Steering
Provide = Callable[[str, Declared], object]  # it gives the evidence that is declared, of the subject of that name
Find = Callable[[str], Subject]  # it looks a subject up by its name

_FIELD: Final = re.compile(r"\{(\w+)\}")
_ESCAPED: Final = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4})")  # as pytest writes ids
_SLUG: Final = re.compile(r"[a-z0-9]+(?:\.[a-z0-9]+)*")  # the parts of a case's id that may stand in the id of a claim
_PARTS: Final[Mapping[RandomPart, str]] = {"random-model": "random models", "random-sae": "random SAEs"}


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
    return params_of(item).get(SUBJECT)


def found_with(name: str, rootdir: Path, given: Mapping[str, PromptFile | str | None]) -> Subject:
    """Find a subject, which reads the prompts that are `given` to it or to the nearest one it is a protocol of.

    None are those built in. One that is given a file that cannot be read says so by `Subject.wrong`, as a wrong
    declaration does.
    """
    found = find_subject(name, rootdir)
    spec, of = found.spec, found.spec
    while of.name not in given and of.protocol_of is not None and not of.own_prompts:
        of = find_subject(of.protocol_of, rootdir).spec
    if of.name not in given:
        return found
    prompts = given[of.name]
    if isinstance(prompts, str):
        return replace(found, spec=replace(spec, wrong=spec.wrong or prompts))
    other = spec.prompts_from is None and str(prompts) != str(spec.prompts)
    return replace(found, spec=replace(spec, prompts=prompts, prompts_from=None, other_prompts=other))


def unreadable(declared: Declared, subject: Subject) -> NotRun | None:
    """Return why a subject does not have the prompts of a capture; None where it has them."""
    try:
        prompts_for(declared.prompts, subject)
    except NotRun as why:
        return why
    return None


def claim_of_item(item: pytest.Item) -> Claim | None:
    """Return the claim that an item decides; each case of a parametrised probe has one of its own."""
    claim, case, values = claim_of(function_of(item)), case_of(item), params_of(item)
    if claim is None or not values.keys() - {SUBJECT} or _of_no_case(item):
        return claim
    shown = _ESCAPED.sub(_unescaped, case)
    said = {name: str(value) if type(value) in (str, int, float, bool) else shown for name, value in values.items()}
    sentence = _FIELD.sub(lambda field: said.get(field[1], field[0]), claim.sentence)
    if case and not said.keys() - {SUBJECT} <= set(_FIELD.findall(claim.sentence)):
        sentence += f" [{shown}]"
    slug = "-".join(_SLUG.findall(normalize("NFKD", shown.casefold()).encode("ascii", "ignore").decode()))
    return replace(claim, id=f"{claim.id}.{slug}" if slug else claim.id, sentence=sentence)


def case_of(item: pytest.Item) -> str:
    """Return the id of an item's parameters beside the subject, which comes first; empty where it has none."""
    name = None if _of_no_case(item) else subject_of(item)
    whole = "" if name is None else str(cast("Any", item).callspec.id)
    if name and not whole.startswith(name):  # pytest escapes what is not ASCII
        name = name.encode("unicode_escape").decode()
    return whole.removeprefix(name or "").removeprefix("-")


def _of_no_case(item: pytest.Item) -> bool:
    """Say whether pytest made an item, which it skips, of a list of cases that is empty."""
    return any(type(value).__name__ == "NotSetType" for value in params_of(item).values())


def _unescaped(written: re.Match[str]) -> str:
    character = written[0].encode().decode("unicode_escape")
    return character if character.isprintable() else written[0]


def register_captures(module: pytest.Module, provide: Provide) -> None:
    """Register every capture and steering experiment among the names of `module`, with what gives their evidence."""
    for name, value in declarations(module).items():
        pytest.register_fixture(name=name, func=_provider(value, provide), node=module, scope="module")


def asked_by(items: Sequence[pytest.Item]) -> Iterator[Asked]:
    """Yield what the collected items need of each subject, in their order; it is known before anything runs."""
    for item in items:
        claim, subjects, file = claim_of_item(item), members(subject_of(item) or ""), item.nodeid.partition("::")[0]
        for name in subjects if any(subjects) else ():
            made = partial(Asked, subject=name, claim=claim, file=file, probe=function_of(item))
            yield from (made(declared=declared, fixture=fixture) for fixture, declared in declared_by(item).items())


def declarations(module: pytest.Module | None) -> dict[str, Declared]:
    """Return the captures and steering experiments among the names of a file."""
    if module is None:
        return {}
    names: Mapping[str, Any] = getattr(cast("object", module.obj), "__dict__", {})
    return {name: value for name, value in names.items() if issubclass(type(value), Capture | Steering)}


def declared_by(item: pytest.Item) -> dict[str, Declared]:
    """Return the captures that `item` uses, by any chain of fixtures, by name."""
    fixtures = fixtures_of(item)
    by_name: dict[str, Sequence[Any]] = {} if fixtures is None else fixtures.name2fixturedefs
    found: dict[str, Any] = {name: getattr(these[-1].func, "declared", None) for name, these in by_name.items()}
    return {name: declared for name, declared in found.items() if issubclass(type(declared), Capture | Steering)}


def _provider(declared: Declared, provide: Provide) -> Callable[[str], object]:
    def fixture(saeprobe_subject: str) -> object:
        if len(members(saeprobe_subject)) == 1:
            return provide(saeprobe_subject, declared)
        read = (provide(name, declared) for name in members(saeprobe_subject))
        # The label of features then names their subject.
        return tuple(replace(one, of_several=True) if isinstance(one, Features) else one for one in read)

    fixture.__dict__["declared"] = declared
    fixture.__doc__ = f"Give the evidence of a {type(declared).__name__.lower()} on the subject."
    return fixture


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
    what a draw differs by from another is not the prompts' doing. Their number depends on `alpha`, the level of the
    run; `neutral` is by subject a neutral text in place of the built-in one.
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
            words = replace(capture, prompts=capture.prompts.injected())
            return unreadable(words, subject) or Condition(subjects=(subject,), capture=words)
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
                count, neutral = drawing_at(self._alpha).most, self._neutral.get(subject.name)
                self._draws[key] = subjects = subject.draws(what, neutral=neutral, count=count)
                label = f"{subject.name} with {len(subjects)} {_PARTS[what]}"
                self.labels |= dict.fromkeys((each.name for each in subjects), label)
            except (NotRun, SubjectError) as error:  # the claim's own reading is none the worse for it
                self._draws[key] = NotRun(str(error))
        return self._draws[key]


def work_in_words(works: Sequence[Work], label: str, store: Store) -> str:
    """Say in a line what is asked and how much of it is stored, or why it cannot run; no model is loaded.

    The line stands for several subjects if they read the same and are in the same place, as draws are.
    """
    first = works[0]
    each = " each" if len(works) > 1 else ""
    sets = [prompts_for(item.prompts, first.subject) for item in (*first.captures, *first.steerings)]
    asked = [_count(len({prompt.text for one in sets for prompt in one}), "prompt") + each]
    asked += [_count(len(first.captures), "capture")] if first.captures else []
    asked += [_count(len(first.steerings), "steering experiment")] if first.steerings else []
    begin = f"{label}: {', '.join(asked)};"
    try:
        if (missing := first.subject.missing()) is not None:
            return f"{begin} not run: {missing}"
        stored, to_run = counted(works, store)
        where = f", {models_absent() or first.subject.memory_plan.reason}" if to_run else ""
    except SubjectError as error:
        return f"{begin} cannot run: {error}"
    return f"{begin} {stored:,} results stored, {to_run:,} to compute{where}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")

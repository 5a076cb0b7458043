"""What pytest collected is checked before anything runs, and the variants that are to run are chosen."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import pytest

from saeprobe.captures import Span, Steering
from saeprobe.claims import SUBJECTS_MARK, Control, claim_of, did_you_mean, members
from saeprobe.evidence.controls import READ_ELSEWHERE
from saeprobe.files import visible
from saeprobe.plugin.collecting import Asked, Find, case_of, claim_of_item, declarations, declared_by, named, subject_of
from saeprobe.plugin.laboratory import Laboratory
from saeprobe.plugin.names import SUBJECT, refused
from saeprobe.store.plan import prompts_for
from saeprobe.subject.specification import SubjectError


def check_claims(items: Sequence[pytest.Item]) -> None:
    """Refuse two claims with one id; several probes may decide the same claim, each in its own way."""
    seen: dict[str, tuple[object, str, str, str]] = {}
    for item in items:
        claim, whole = claim_of_item(item), claim_of(getattr(item, "function", None))
        if claim is None:
            continue
        case, here = case_of(item), item.nodeid.partition("[")[0]
        known, other, sentence, there = seen.setdefault(claim.id, (whole, case, claim.sentence, here))
        if known is whole and other != case:
            raise pytest.UsageError(
                f"the cases [{other}] of {there} and [{case}] of {here} would both be the claim {claim.id!r}; "
                "name the cases, parametrize(..., ids=[...]), in letters, digits, dots and dashes"
            )
        if known is not whole or sentence != claim.sentence:
            raise pytest.UsageError(
                f"two claims have the id {claim.id!r}: that of {there} and that of {here}; rename one of them, or "
                "keep the claim in a name, it = claim(...), and write @it above each probe that decides it"
            )


def check_subjects(items: Iterable[pytest.Item], runs_on: Mapping[str, Collection[str]]) -> None:
    """Refuse a claim that speaks of a subject on which no probe of it runs, since nothing would look at it.

    `runs_on` has the subjects by claim id, those of the variants that are not selected included.
    """
    found = (claim_of(getattr(item, "function", None)) for item in items)
    for claim in {claim.id: claim for claim in found if claim is not None}.values():
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


def parametrize(metafunc: pytest.Metafunc, laboratory: Laboratory) -> Sequence[str]:
    """Give a probe its variants and return their names; an ordinary test that asks for no subject is left alone."""
    mark = metafunc.definition.get_closest_marker(SUBJECTS_MARK)
    if claim_of(metafunc.function) is None and SUBJECT not in metafunc.fixturenames:
        return ()
    names: Sequence[str] = mark.args if mark is not None else laboratory.default_names
    if SUBJECT not in metafunc.fixturenames:  # a probe that says its claim is unverifiable takes no capture
        metafunc.fixturenames.append(SUBJECT)
    try:
        markers = {
            name: dict.fromkeys(marker for each in members(name) for marker in laboratory.subject(each).markers)
            for name in names
        }
    except SubjectError as error:
        raise pytest.Collector.CollectError(visible(f"{metafunc.definition.nodeid}: {error}")) from None
    parameters = [
        pytest.param(name, id=name, marks=[getattr(pytest.mark, marker) for marker in markers[name]]) for name in names
    ]
    metafunc.parametrize(SUBJECT, parameters, scope="session")
    return names


def deselect_by_default(config: pytest.Config, items: list[pytest.Item], laboratory: Laboratory) -> bool:
    """Keep the default subjects only, and return True, where nothing on the command line selects subjects."""
    options = config.option
    words = f"{options.keyword} {' '.join(config.args)}"
    markers = {marker for name in laboratory.names for marker in laboratory.subject(name).markers}
    by_mark = markers.intersection(re.findall(r"[\w.-]+", options.markexpr))  # `-m "not slow"` selects no subject
    names = [name for name in laboratory.names if laboratory.subject(name).markers]  # the others nothing can select
    if by_mark or any(f"[{name}" in words or name in options.keyword for name in names):
        return False
    defaults = set(laboratory.default_names)
    left_out = [
        item for item in items if (name := subject_of(item)) is not None and not defaults.issuperset(members(name))
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    return True


@contextmanager
def shown(config: pytest.Config) -> Generator[None]:
    """Let a worker's usage error be seen: xdist shows any other error of a worker, and nothing of this one."""
    try:
        yield
    except pytest.UsageError as error:
        raise refused(config, visible(str(error))) from None


def unclaimed(items: Iterable[pytest.Item]) -> Iterator[str]:
    """Write a line of the tests that take a capture and make no claim; it may be meant so."""
    found = {
        item.nodeid.partition("[")[0]: str(getattr(item, "originalname", item.name))
        for item in items
        if claim_of_item(item) is None and declared_by(item)
    }
    if found:
        tests, take, make = ("test", "takes", "makes") if len(found) == 1 else ("tests", "take", "make")
        yield (
            f"{len(found)} {tests} {take} a capture and {make} no claim: {named(list(found.values()))}; "
            "nothing is decided of what they compare, unless @claim(...) stands above them"
        )


def uncollected(collector: pytest.Collector, name: str, obj: object) -> Iterator[str]:
    """Write a line of a function that makes a claim and by its name is no test; somebody may have put it by."""
    if type(obj) is FunctionType and isinstance(collector, pytest.Module | pytest.Class):
        claim = claim_of(obj)
        if claim is not None and not collector.istestfunction(obj, name):
            yield f"{collector.nodeid}::{name} makes the claim {claim.id!r} and is not run: by its name it is no test"


def unselected(
    items: Iterable[pytest.Item], collected: Mapping[str, Collection[str]], laboratory: Laboratory, *, by_default: bool
) -> Iterator[str]:
    """Write a line of the claims of which no variant is left, with what would select one.

    `collected` has the subjects of all variants by the id of the claim; `by_default`, nothing selects subjects.
    """
    left = {claim.id for item in items if (claim := claim_of_item(item)) is not None}
    gone = {name: on for name, on in collected.items() if name not in left}
    if not gone:
        return
    subjects = dict.fromkeys(each for on in gone.values() for name in on for each in members(name))
    marks = dict.fromkeys(mark for name in subjects for mark in laboratory.subject(name).markers[:1])
    runs = f"; by default {', '.join(laboratory.default_names)} would run" if by_default else ""
    yield (
        f"nothing selected of {named(list(gone))}: {'it runs' if len(gone) == 1 else 'they run'} on "
        f"{', '.join(subjects)}{runs}; select with -m {shlex.quote(' or '.join(marks))}"
    )

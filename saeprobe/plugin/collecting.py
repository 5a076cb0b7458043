"""Fixtures: a capture at the top of a probe file is a fixture under its own name."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, cast

import pytest

from saeprobe.captures import Capture, Span, Steering
from saeprobe.claims import SUBJECTS_MARK, Claim, Control, claim_of, did_you_mean, members
from saeprobe.evidence.controls import READ_ELSEWHERE
from saeprobe.features.sparse import Features
from saeprobe.plugin.items import Asked, Declared, claim_of_item, subject_of
from saeprobe.plugin.laboratory import Laboratory
from saeprobe.store.plan import prompts_for
from saeprobe.subject.specification import SubjectError


def parametrize(metafunc: pytest.Metafunc, laboratory: Laboratory) -> Sequence[str]:
    """Give a probe its variants, and tell their names; an ordinary test that asks for no subject is left alone.

    Raises:
        pytest.Collector.CollectError: a subject is not known.
    """
    mark = metafunc.definition.get_closest_marker(SUBJECTS_MARK)
    is_probe = claim_of(metafunc.function) is not None
    if not is_probe and "subject" not in metafunc.fixturenames:
        return ()
    names: Sequence[str] = mark.args if mark is not None else laboratory.default_names
    if "subject" not in metafunc.fixturenames:  # a probe that says its claim is unverifiable needs no fixture
        metafunc.fixturenames.append("subject")
    try:
        markers = {
            name: dict.fromkeys(marker for each in members(name) for marker in laboratory.subject(each).markers)
            for name in names
        }
    except SubjectError as error:
        raise pytest.Collector.CollectError(f"{metafunc.definition.nodeid}: {error}") from None
    parameters = [
        pytest.param(name, id=name, marks=[getattr(pytest.mark, marker) for marker in markers[name]]) for name in names
    ]
    metafunc.parametrize("subject", parameters, indirect=True, scope="session")
    return names


def deselect_by_default(config: pytest.Config, items: list[pytest.Item], laboratory: Laboratory) -> None:
    """Where nothing on the command line selects subjects, keep the default ones only."""
    options = config.option
    named = f"{options.keyword} {' '.join(config.args)}"
    markers = {marker for name in laboratory.names for marker in laboratory.subject(name).markers}
    by_mark = markers.intersection(re.findall(r"[\w.-]+", options.markexpr))  # `-m "not slow"` selects no subject
    if by_mark or any(f"[{name}" in named or name in options.keyword for name in laboratory.names):
        return
    defaults = set(laboratory.default_names)
    left_out = [
        item for item in items if (name := subject_of(item)) is not None and not defaults.issuperset(members(name))
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def register_captures(module: pytest.Module, laboratory: Laboratory) -> None:
    """Register every capture and steering experiment among the names of `module`."""
    for name, value in _declarations(module).items():
        pytest.register_fixture(name=name, func=_provider(value, laboratory), node=module, scope="module")


def asked_by(items: Sequence[pytest.Item]) -> Iterator[Asked]:
    """What the collected items need of each subject, in their order; known before anything runs."""
    for item in items:
        claim, subjects = claim_of_item(item), members(subject_of(item) or "")
        for name in subjects if any(subjects) else ():
            for fixture, declared in _declared_by(item).items():
                file = item.nodeid.partition("::")[0]
                yield Asked(subject=name, declared=declared, claim=claim, fixture=fixture, file=file)


def unknown_fixtures(item: pytest.Item) -> list[str]:
    """The names among the arguments of `item`, and of its fixtures, that no fixture has."""
    fixtures: Any = getattr(item, "_fixtureinfo", None)
    if fixtures is None:
        return []
    names: Sequence[str] = fixtures.names_closure
    return [name for name in names if name not in fixtures.name2fixturedefs and name != "request"]


def captures_beside(item: pytest.Item) -> list[str]:
    """The names of the captures and steering experiments in the file of `item`."""
    module = item.getparent(pytest.Module)
    return [] if module is None else list(_declarations(module))


def _declarations(module: pytest.Module) -> dict[str, Declared]:
    code = cast("ModuleType", module.obj)
    return {name: value for name, value in vars(code).items() if isinstance(value, Capture | Steering)}


def _declared_by(item: pytest.Item) -> dict[str, Declared]:
    """The captures that `item` uses, by any chain of fixtures, by name."""
    found: dict[str, Declared] = {}
    fixtures: Any = getattr(item, "_fixtureinfo", None)
    by_name: dict[str, Sequence[Any]] = {} if fixtures is None else fixtures.name2fixturedefs
    for name, definitions in by_name.items():
        declared = getattr(definitions[-1].func, "declared", None)
        if isinstance(declared, Capture | Steering):
            found[name] = declared
    return found


def _provider(declared: Declared, laboratory: Laboratory) -> Callable[[str], object]:
    def provide(subject: str) -> object:
        if len(members(subject)) == 1:
            return laboratory.provide(subject, declared)
        return tuple(_told_apart(laboratory.provide(name, declared)) for name in members(subject))

    provide.__dict__["declared"] = declared
    provide.__doc__ = f"The evidence of a {type(declared).__name__.lower()} on the subject."
    return provide


def _told_apart(evidence: object) -> object:
    """Features whose label names their subject, where a probe holds those of several."""
    return replace(evidence, of_several=True) if isinstance(evidence, Features) else evidence


def check_claims(items: Sequence[pytest.Item]) -> None:
    """See that every claim id belongs to one claim; several probes may decide the same one, each in its own way.

    Raises:
        pytest.UsageError: two claims have the same id.
    """
    seen: dict[str, tuple[Claim, str]] = {}
    for item in items:
        claim = claim_of_item(item)
        if claim is None:
            continue
        place = item.nodeid.partition("[")[0]
        known, where = seen.setdefault(claim.id, (claim, place))
        if known is not claim:
            raise pytest.UsageError(
                f"two claims have the id {claim.id!r}: that of {where} and that of {place}; rename one of them, or "
                "keep the claim in a name, it = claim(...), and write @it above each probe that decides it"
            )


def check_subjects(items: Iterable[pytest.Item], runs_on: Mapping[str, Collection[str]]) -> None:
    """See that what a claim says of a subject is of one that its probes run on: nothing else would look at it.

    `runs_on` has the subjects by claim id, those of the variants that are not selected included.

    Raises:
        pytest.UsageError: `published` or `not_reproduced` names another.
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
    """See that the captures that probes take as arguments are there.

    Raises:
        pytest.UsageError: one is misspelt, or stands where pytest does not find it.
    """
    for item in items:
        unknown = unknown_fixtures(item) if claim_of_item(item) is not None else []
        if unknown:
            raise pytest.UsageError(
                f"{item.nodeid.partition('[')[0]} takes {unknown[0]!r}, and there is no such fixture"
                f"{did_you_mean(unknown[0], captures_beside(item))}; a capture stands at the top of the probe's own "
                "file, neither in a class nor in conftest.py"
            )


def check_prompts(asked: Iterable[Asked], laboratory: Laboratory) -> None:
    """See that the prompts of each capture are there in the wording of its subject.

    Raises:
        pytest.UsageError: a style is misspelt, or a file of prompts cannot be used.
    """
    for each in asked:
        try:
            prompts_for(each.declared.prompts, laboratory.subject(each.subject))
        except (KeyError, ValueError) as error:  # the text of a KeyError is its argument
            problem = f"{each.fixture} cannot be read on {each.subject}: {error.args[0]}"
            raise pytest.UsageError(f"{each.file}: {problem}") from None


def check_controls(asked: Iterable[Asked], laboratory: Laboratory) -> None:
    """See that the controls of each claim can be read from the captures of its probe.

    Raises:
        pytest.UsageError: a control is to read what cannot be made of the probe's captures.
    """
    for each in asked:
        if each.claim is None:
            continue
        for control in each.claim.controls:
            problem = _problem(control, each, laboratory)
            if problem is not None:
                raise pytest.UsageError(f"claim {each.claim.id!r} asks for the control {control!r}, but {problem}")


def _problem(control: Control, asked: Asked, laboratory: Laboratory) -> str | None:
    """Why a control cannot be read from a capture, with the remedy; None where it can."""
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
        prompts_for(prompts, laboratory.subject(asked.subject)).check_words()
    except ValueError as error:
        return f"cannot read it from {asked.fixture}: {error}"
    return None

"""A capture at the top of a probe file becomes a fixture under its own name; what is collected is checked here."""

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
from saeprobe.plugin.conditions import Asked, Declared
from saeprobe.plugin.laboratory import Laboratory
from saeprobe.store.plan import prompts_for
from saeprobe.subject.specification import SubjectError


def subject_of(item: pytest.Item) -> str | None:
    """Return the subject that `item` is a variant for; several names are joined by a plus sign where it is for all."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("subject")


def claim_of_item(item: pytest.Item) -> Claim | None:
    """Return the claim that an item decides."""
    return claim_of(getattr(item, "function", None))


def parametrize(metafunc: pytest.Metafunc, laboratory: Laboratory) -> Sequence[str]:
    """Give a probe its variants and return their names; an ordinary test that asks for no subject is left alone."""
    mark = metafunc.definition.get_closest_marker(SUBJECTS_MARK)
    if claim_of(metafunc.function) is None and "subject" not in metafunc.fixturenames:
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
    """Keep the default subjects only, where nothing on the command line selects subjects."""
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
    """Yield what the collected items need of each subject, in their order; it is known before anything runs."""
    for item in items:
        claim, subjects = claim_of_item(item), members(subject_of(item) or "")
        for name in subjects if any(subjects) else ():
            for fixture, declared in _declared_by(item).items():
                file = item.nodeid.partition("::")[0]
                yield Asked(subject=name, declared=declared, claim=claim, fixture=fixture, file=file)


def _declarations(module: pytest.Module | None) -> dict[str, Declared]:
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


def _provider(declared: Declared, laboratory: Laboratory) -> Callable[[str], object]:
    def provide(subject: str) -> object:
        if len(members(subject)) == 1:
            return laboratory.provide(subject, declared)
        return tuple(_named(laboratory.provide(name, declared)) for name in members(subject))

    provide.__dict__["declared"] = declared
    provide.__doc__ = f"Give the evidence of a {type(declared).__name__.lower()} on the subject."
    return provide


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
            captures = _declarations(item.getparent(pytest.Module))
            raise pytest.UsageError(
                f"{item.nodeid.partition('[')[0]} takes {unknown[0]!r}, and there is no such fixture"
                f"{did_you_mean(unknown[0], captures)}; a capture stands at the top of the probe's own "
                "file, neither in a class nor in conftest.py"
            )


def check_asked(asked: Iterable[Asked], laboratory: Laboratory) -> None:
    """Refuse a capture whose prompts its subject cannot read, or that a control of the claim cannot be read from."""
    for each in asked:
        try:
            prompts_for(each.declared.prompts, laboratory.subject(each.subject))
        except (KeyError, ValueError) as error:  # the text of a KeyError is its argument
            problem = f"{each.fixture} cannot be read on {each.subject}: {error.args[0]}"
            raise pytest.UsageError(f"{each.file}: {problem}") from None
    for each in asked:
        for control in () if each.claim is None else each.claim.controls:
            problem = _problem(control, each, laboratory)
            if problem is not None and each.claim is not None:
                raise pytest.UsageError(f"claim {each.claim.id!r} asks for the control {control!r}, but {problem}")


def _problem(control: Control, asked: Asked, laboratory: Laboratory) -> str | None:
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
        prompts_for(prompts, laboratory.subject(asked.subject)).check_words()
    except ValueError as error:
        return f"cannot read it from {asked.fixture}: {error}"
    return None

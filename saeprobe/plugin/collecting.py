"""Fixtures: a capture at the top of a probe file is a fixture under its own name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, cast

import pytest

from saeprobe.captures import Capture, Steering
from saeprobe.features.sparse import Features
from saeprobe.marks import members
from saeprobe.plugin.items import Asked, Declared
from saeprobe.plugin.judging import claim_of_item
from saeprobe.plugin.laboratory import Laboratory
from saeprobe.plugin.variants import subject_of


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

"""Fixtures: a capture at the top of a probe file is a fixture under its own name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, cast

import pytest

from saeprobe.captures import Capture, Steering
from saeprobe.features import Features
from saeprobe.marks import members
from saeprobe.plugin.laboratory import Declared, Laboratory


def register_captures(module: pytest.Module, laboratory: Laboratory) -> None:
    """Register every capture and steering experiment among the names of `module`."""
    code = cast("ModuleType", module.obj)
    for name, value in vars(code).items():
        if isinstance(value, Capture | Steering):
            pytest.register_fixture(name=name, func=_provider(value, laboratory), node=module, scope="module")


def declared_by(item: pytest.Item) -> list[Declared]:
    """The captures that `item` uses, by any chain of fixtures; known at collection, before anything runs."""
    found: list[Declared] = []
    fixtures: Any = getattr(item, "_fixtureinfo", None)
    by_name: dict[str, Sequence[Any]] = {} if fixtures is None else fixtures.name2fixturedefs
    for definitions in by_name.values():
        declared = getattr(definitions[-1].func, "declared", None)
        if isinstance(declared, Capture | Steering):
            found.append(declared)
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

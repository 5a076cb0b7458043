"""Variants: one of a probe for each subject it names, marked so that `-m NAME` selects exactly those."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from saeprobe.claims import claim_of
from saeprobe.marks import SUBJECTS_MARK, members
from saeprobe.plugin.laboratory import Laboratory
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


def subject_of(item: pytest.Item) -> str | None:
    """The name of the subject that `item` is a variant for; several names joined by a plus sign where it is for all."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("subject")


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

"""Marks: on which subjects a probe runs."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import pytest

SUBJECTS_MARK = "saeprobe_subjects"


def subjects(*names: str) -> pytest.MarkDecorator:
    """Run a probe once on each of the named subjects; as the `pytestmark` of a file, all probes of it.

    `-m NAME` then selects exactly the variants of that subject. A mark on a function goes before that of its file.
    Names joined by a plus sign, `"sparrow+finch"`, make one variant on both: a capture then gives one set of features
    a subject, in that order, for `in_each`.

    Raises:
        TypeError: it stands above a test without names, or gets them as a list.
        ValueError: no name is given, or one twice.
    """
    import pytest

    for name in cast("tuple[object, ...]", names):
        if not isinstance(name, str):
            told = f"stands above {name.__name__} without names" if isinstance(name, FunctionType) else f"got {name!r}"
            raise TypeError(f"subjects {told}; write @subjects('sparrow', 'finch')")
    if not names or len(set(names)) != len(names):
        raise ValueError(f"subjects{names!r}: name one subject or several different ones")
    for name in names:
        if len(set(members(name))) != len(members(name)) or not all(members(name)):
            raise ValueError(f"subjects({name!r}): join different names by a plus sign, such as 'sparrow+finch'")
    return getattr(pytest.mark, SUBJECTS_MARK)(*names)


def members(name: str) -> tuple[str, ...]:
    """The subjects that a variant is about: one, or several joined by a plus sign."""
    return tuple(name.split("+"))

"""Marks: on which subjects a probe runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

SUBJECTS_MARK = "saeprobe_subjects"


def subjects(*names: str) -> pytest.MarkDecorator:
    """Run a probe once on each of the named subjects; as the `pytestmark` of a file, all probes of it.

    `-m NAME` then selects exactly the variants of that subject. A mark on a function goes before that of its file.
    """
    import pytest

    if not names or len(set(names)) != len(names):
        raise ValueError(f"subjects{names!r}: name one subject or several different ones")
    return getattr(pytest.mark, SUBJECTS_MARK)(*names)

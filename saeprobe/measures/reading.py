"""Misuse: what a measure cannot be taken on, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from textwrap import shorten
from typing import TypeGuard

from saeprobe.claims import NotRun
from saeprobe.comparison.alike import check_sides
from saeprobe.features.continuations import Continuations
from saeprobe.features.sparse import Features
from saeprobe.recorded.record import Recorded, RecordedStyle

TOLD = 80
"""Characters of what was given that an error shows."""


def refuse_unread(of: object) -> None:
    """Raise where something is no features of prompts.

    Raises:
        NotRun: it is a record of summaries, which tells of each style alone.
        TypeError: it is something else.
    """
    if isinstance(of, Recorded):
        raise NotRun(f"{of.origin} tells of each style alone; features_layer50.pt of the run tells of all together")
    if not isinstance(of, Features | RecordedStyle):
        raise TypeError(
            f'{told(of)} holds no features of prompts; give what a capture read, as in l0(styles["novice"])'
        )


def refuse_apart(a: object, b: object) -> None:
    """Raise where features of two captures are no two sides of one comparison; records are taken as they are.

    Raises:
        TypeError: as for `check_sides`.
    """
    if isinstance(a, Features) and isinstance(b, Features):
        check_sides(a, b)


def refuse_unwritten(of: object) -> None:
    """Raise where something is no continuations.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(of, Continuations):
        raise TypeError(
            f"{told(of)} holds no continuations; give an arm of what steer(...) ran, "
            'as in mentions("Golden Gate", golden.at(20))'
        )


def feature_number(given: object) -> int:
    """The number of one feature.

    Raises:
        TypeError: it is no whole number.
    """
    if isinstance(given, Integral) and not isinstance(given, bool):  # pyright: ignore[reportUnnecessaryIsInstance] - True is one
        return int(given)
    if _are_several(given):
        remedy = "for several write every(firing_rate(of, feature) for feature in ...)"
    else:
        remedy = "wanted a whole number, such as 34942; what was picked is for separates() and among_strongest()"
    raise TypeError(f"{told(given)} is not the number of a feature; {remedy}")


def feature_numbers(given: object) -> tuple[int, ...]:
    """The numbers of one feature or of several.

    Raises:
        TypeError: one is no whole number.
    """
    return tuple(feature_number(one) for one in (given if _are_several(given) else [given]))


def refuse_more(call: str, more: tuple[object, ...]) -> None:
    """Raise where styles were given one by one to what takes them all at once.

    Raises:
        TypeError: they were.
    """
    if more:
        raise TypeError(
            f"{call}() was given {1 + len(more)} arguments; it takes all styles at once: "
            f'{call}(styles), where styles = capture(STYLES.only("novice", "expert"))'
        )


def told(given: object) -> str:
    """What was given, in one line."""
    return shorten(repr(given), TOLD, placeholder=" ...")


def _are_several(given: object) -> TypeGuard[Iterable[object]]:
    return isinstance(given, Iterable) and not isinstance(given, str)

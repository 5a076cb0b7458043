"""Templates: `{name}` stands for a field, `{{` and `}}` for the braces themselves, and nothing else is understood.

`str.format` would also follow attributes and indices (`{topic.__class__}`), which a file from elsewhere must not reach.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from saeprobe.nearmiss import did_you_mean

_PIECE = re.compile(r"\{\{|\}\}|\{(?P<field>[^{}]*)\}|[{}]")


class TemplateError(ValueError):
    """A template cannot be filled. `problem` says why, `remedy` what to write instead."""

    def __init__(self, problem: str, *, remedy: str) -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}; {remedy}")


def fields_of(template: str) -> tuple[str, ...]:
    """The fields that a template names, in order of first appearance.

    Raises:
        TemplateError: a brace stands alone, or holds anything but a plain name.
    """
    found = (_field(match) for match in _PIECE.finditer(template))
    return tuple(dict.fromkeys(field for field in found if field is not None))


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with every field replaced by its value; values are not searched for fields again.

    Raises:
        TemplateError: as in `fields_of`, or a field has no value.
    """

    def replacement(match: re.Match[str]) -> str:
        field = _field(match)
        if field is None:
            return match[0][0]
        if field not in values:
            raise TemplateError(
                f"{{{field}}} is not among the fields here{did_you_mean(field, values)}",
                remedy=f"use one of {', '.join('{' + name + '}' for name in values)}, or give {field!r} a value",
            )
        return values[field]

    return _PIECE.sub(replacement, template)


def _field(match: re.Match[str]) -> str | None:
    """The name in a piece `{name}`; None for a doubled brace."""
    if match[0] in ("{{", "}}"):
        return None
    field = match["field"]
    if field is None:
        raise TemplateError(
            f"{match[0]!r} at character {match.start() + 1} opens or closes no field",
            remedy=f"write {match[0] * 2!r} for the brace itself",
        )
    if not field.isidentifier():
        raise TemplateError(
            f"{match[0]!r} at character {match.start() + 1} is not a plain field name",
            remedy="write a name alone, such as {topic}; for literal braces write {{ and }}",
        )
    return field

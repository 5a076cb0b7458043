"""The page: one self-contained HTML file, made from the JSON document alone."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from functools import cache, partial
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from markupsafe import Markup

from saeprobe.claims import WORDS
from saeprobe.files import write_whole
from saeprobe.report.document import Document
from saeprobe.report.overview import anchor, cell, headline, side_by_side, silent, subject_names, tallies
from saeprobe.report.pictures import DIFFERENCES, forest, strips
from saeprobe.report.tables import (
    arms,
    clip,
    estimate,
    exact,
    near_threshold,
    number,
    percent,
    places,
    probability,
    prompt_groups,
    published_rows,
    rivals,
    seconds,
    share,
    unit_sides,
    values_table,
)
from saeprobe.report.wording import Language, attribute, has_chinese, mark, say, words

if TYPE_CHECKING:
    from jinja2 import Template

_ADDRESS: Final = re.compile(r"https?://\S+", re.IGNORECASE)
MOST_OPEN: Final = 20
"""Claims up to which the script leaves the evidence of all open when the page is opened."""


def _text(name: str) -> str:
    return resources.files("saeprobe.report").joinpath(name).read_text(encoding="utf-8")


def _inline(name: str) -> Markup:
    """A script or style sheet of this package as it goes into the page, its one part that is not escaped."""
    text = _text(name)
    if "</" in text:
        raise ValueError(f"{name} holds '</', which could end its element early; write it otherwise")
    return Markup(text)  # noqa: S704 - our own file, not the report's text


def _hash(text: str) -> str:
    """The source expression by which the page's Content-Security-Policy allows exactly `text`."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    # jinja2 types these by its own filters' signatures.
    filters, tests = cast("dict[str, Any]", environment.filters), cast("dict[str, Any]", environment.tests)
    filters |= {
        "number": number,
        "exact": exact,
        "estimate": estimate,
        "linked": linked,
        "percent": percent,
        "probability": probability,
        "seconds": seconds,
        "share": share,
        "slug": slug,
    }
    tests["chinese"] = has_chinese
    return environment.from_string(_text("page.html.j2"))


def linked(source: str) -> Markup:
    """A source as the page shows it: a link where it is a web address, else its text."""
    if _ADDRESS.fullmatch(source) is None:
        return Markup("{}").format(source)
    return Markup('<a href="{0}" rel="noopener noreferrer">{0}</a>').format(source)


def slug(word: str) -> str:
    """`not run` as a class name and key: `not-run`."""
    return word.replace(" ", "-")


def render(document: Document, *, language: Language = "en") -> str:
    """The page of a report: all evidence in one HTML text that loads nothing, the same for the same document.

    Args:
        document: a report that follows the schema (`validate` it first if it comes from elsewhere).
        language: in which the interface speaks at first; the reader can change it.
    """
    style, script = _inline("page.css"), _inline("page.js")
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src {_hash(style)}",
            f"script-src {_hash(script)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    rows = tallies(document)
    lines = headline(rows)
    return _template().render(
        document=document,
        language=language,
        policy=policy,
        style=style,
        script=script,
        table=Markup(json.dumps(words(), ensure_ascii=False).replace("<", "\\u003c")),  # noqa: S704 - escaped here
        title="; ".join(say(line.key, language, **line.values) for line in lines),
        headline=lines,
        tallies=rows,
        names=subject_names(document),
        silent=silent(document),
        declared=sum(probe["declared"] is not None for claim in document["claims"] for probe in claim["probes"]),
        WORDS=WORDS,
        MOST_OPEN=MOST_OPEN,
        DIFFERENCES=DIFFERENCES,
        w=partial(mark, language=language),
        attr=partial(attribute, language=language),
        anchor=anchor,
        arms=arms,
        cell=cell,
        clip=partial(clip, language=language),
        forest=forest,
        near_threshold=near_threshold,
        places=places,
        rivals=rivals,
        side_by_side=partial(side_by_side, document=document),
        strips=strips,
        published_rows=published_rows,
        unit_sides=unit_sides,
        values_table=values_table,
        prompt_groups=prompt_groups,
    )


def write_page(document: Document, path: Path, *, language: Language = "en") -> None:
    """Render `document` and write it to `path`, whole or not at all; folders are made as needed."""
    # A lone surrogate has no UTF-8; as a character reference it is shown as the replacement character.
    write_whole(path, render(document, language=language).encode("utf-8", errors="xmlcharrefreplace"))

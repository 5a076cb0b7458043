"""The interface's words in both languages, and its colours in both themes."""

from __future__ import annotations

import re
from importlib import resources
from typing import get_args

import pytest

from saeprobe.claims import Control
from saeprobe.evidence import Kind
from saeprobe.report.overview import Standing
from saeprobe.report.page import LANGUAGES, mark, words


def source(name: str) -> str:
    """A file of the report package."""
    return resources.files("saeprobe.report").joinpath(name).read_text(encoding="utf-8")


def test_every_word_is_there_in_both_languages() -> None:
    """No entry lacks a language, is empty, or fills other places in one than in the other."""
    for key, entry in words().items():
        assert set(entry) == set(LANGUAGES), key
        assert all(entry.values()), key
        assert len({frozenset(re.findall(r"\{\w+\}", text)) for text in entry.values()}) == 1, key


def test_every_word_is_used_and_every_used_word_is_there() -> None:
    """The table of words and the page agree on their keys, so that nothing is dead or missing."""
    template, script = source("page.html.j2"), source("page.js")
    quoted = {
        key
        for call in re.findall(r"\b(?:w|fact|attr|sign)\(((?:[^()]|\([^()]*\))*)", template)
        for key in re.findall(r'"([^"]+)"', call)
    }
    quoted |= set(re.findall(r'data-w="([^"{]+)"', template)) | set(re.findall(r'\bsay\("([^"]+)"', script))
    quoted |= set(re.findall(r'"(headline\.[a-z_]+)"', source("overview.py"))) | {"clipped"}
    quoted |= set(re.findall(r'"(plot\.[a-z_]+)"', source("pictures.py")))
    families = ("verdict.", "meaning.", "outcome.", "kind.", "standing.", "asks.", "place.")
    kinds = {f"kind.{kind.replace(' ', '-')}" for kind in get_args(Kind)}

    assert {key for key in words() if key.startswith("kind.")} == kinds
    assert {key for key in words() if key.startswith("asks.")} == {f"asks.{name}" for name in get_args(Control)}
    assert {key for key in words() if key.startswith("standing.")} == {f"standing.{it}" for it in get_args(Standing)}
    assert {key for key in words() if not key.startswith(families)} <= quoted
    assert {key for key in quoted if "." in key and not key.endswith(".")} <= set(words())


def test_an_unknown_word_is_an_error() -> None:
    """A key that is not in the table raises and says where to add it."""
    with pytest.raises(KeyError, match=r"words\.toml has no entry 'nothing'"):
        mark("nothing", "en")


def test_a_word_keeps_what_fills_its_places() -> None:
    """The mark holds the values, escaped, so that the script can say it in the other language."""
    assert mark("plot.in", "en", unit='<"') == (
        '<span data-w="plot.in" data-v="{&#34;unit&#34;: &#34;&lt;\\&#34;&#34;}">in &lt;&#34;</span>'
    )


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_colour_has_contrast(theme: int) -> None:
    """Each text colour reaches 4.5 to 1 on the paper and on the tint of its theme, WCAG's AA."""
    pairs = {
        name: pair for name, *pair in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", source("page.css"))
    }
    assert len(pairs) == 21
    for name, pair in pairs.items():
        if name in {"paper", "tint", "rule", "grid"}:
            continue
        for ground in ("paper", "tint"):
            light, dark = sorted((luminance(pair[theme]), luminance(pairs[ground][theme])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ground)

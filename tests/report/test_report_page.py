"""The page: made from the JSON alone, escaped, self-contained, in both languages, within its size."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_samples import changed, record, rival

from saeprobe.claims import WORDS, Claim, Control, Verdict
from saeprobe.evidence import Evidence, Sample, UnitValue
from saeprobe.prompts import Prompt
from saeprobe.report import ProbeRecord, probe_to_json, read_report, write_report
from saeprobe.report.overview import silent
from saeprobe.report.page import LANGUAGES, render, say, words, write_page
from saeprobe.report.shape import Document

Make = Callable[[list[ProbeRecord]], Document]


class Reader(HTMLParser):
    """Collects elements with their attributes, and the text outside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.now: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element."""
        self.elements.append((tag, dict(attrs)))
        if tag in self.inside:
            self.now = tag
            self.inside[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or style."""
        if tag == self.now:
            self.now = None

    def handle_data(self, data: str) -> None:
        """Note the text."""
        if self.now is None:
            self.text += data
        else:
            self.inside[self.now][-1] += data


def parsed(page: str) -> Reader:
    """The page as a browser's parser sees it."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def source(name: str) -> str:
    """A file of the report package."""
    return resources.files("saeprobe.report").joinpath(name).read_text(encoding="utf-8")


def test_the_page_comes_from_the_json_alone(document: Document, tmp_path: Path) -> None:
    """A document read back from disk gives the page of the one that was written, byte for byte."""
    write_report(document, tmp_path / "report.json")
    write_page(document, tmp_path / "a.html")
    write_page(read_report(tmp_path / "report.json"), tmp_path / "b.html")

    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_hostile_strings_stay_text(document: Document) -> None:
    """A sentence, label, unit or continuation that is HTML adds no element and no handler, and is shown as written."""
    seen = parsed(render(document))

    assert sum(tag == "script" for tag, _ in seen.elements) == 2
    assert not [tag for tag, _ in seen.elements if tag in {"img", "iframe", "object", "embed", "form", "base"}]
    assert not [name for _, attributes in seen.elements for name in attributes if name.startswith("on")]
    assert "<script>document.title='owned'</script><img src=x" in seen.text
    assert "{{ 7*7 }}" in seen.text


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from("<>&\"'{}%/!-[]`")), min_size=1))
def test_any_text_is_escaped(make_document: Make, text: str) -> None:
    """Whatever the text, the page has the elements it has for a harmless one."""
    plain, odd = (
        render(make_document([record("a.b", text=it, subject="s" + it), record("a.c", text=it)])) for it in ("x", text)
    )

    assert [tag for tag, _ in parsed(odd).elements] == [tag for tag, _ in parsed(plain).elements]


def test_nothing_is_loaded(document: Document) -> None:
    """No element names an address outside the page, and the policy allows only what is inside it."""
    page = render(document)
    seen = parsed(page)

    for _, attributes in seen.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:,"))
    assert "url(" not in source("page.css")
    assert "@import" not in source("page.css")
    assert not re.search(r"\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(", source("page.js"))
    policy = next(it["content"] for tag, it in seen.elements if tag == "meta" and "http-equiv" in it)
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for element, directive in (("style", "style-src"), ("script", "script-src")):
        digest = b64encode(sha256(seen.inside[element][-1].encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy


@pytest.mark.parametrize(
    ("text", "linked"),
    [
        ("https://example.org/a?b=1&c=(2)#table-2", True),
        ("HTTP://example.org/论文", True),
        ("SAE Inspect, table 2", False),
        ("SAE Inspect, https://example.org", False),
        ("javascript:alert(1)//https://example.org", False),
        ("data:text/html,<b>", False),
        ("file:///etc/passwd", False),
        ("//example.org", False),
    ],
)
def test_a_source_that_is_a_web_address_is_a_link(make_document: Make, text: str, *, linked: bool) -> None:
    """It leads there, from the claim and from a published number, and tells nothing of the page; all else is text."""
    printed = {"label": "novice", "value": 2.0, "unit": "features", "source": f"{text}2"}
    unknown = dict.fromkeys(("n", "measured", "tolerance", "tolerance_from", "answer", "rounding", "sampling", "reach"))
    document = make_document([{**record("a.b", source=text), "published": [{**printed, **unknown}]}])

    seen = parsed(render(document))

    links = [attributes for tag, attributes in seen.elements if tag == "a"]
    leading_out = [attributes for attributes in links if not str(attributes["href"]).startswith("#")]
    assert leading_out == [{"href": it, "rel": "noopener noreferrer"} for it in (text, f"{text}2") if linked]
    assert f"Source: {text}" in seen.text


def test_a_web_address_cannot_leave_its_attribute(make_document: Make) -> None:
    """A quote or an angle bracket in it stays part of the address."""
    hostile = 'https://x/"onclick="alert(1)"><script>alert(1)</script>'

    seen = parsed(render(make_document([record("a.b", source=hostile)])))

    assert {"href": hostile, "rel": "noopener noreferrer"} in [attributes for _, attributes in seen.elements]
    assert sum(tag == "script" for tag, _ in seen.elements) == 2


def test_a_style_attribute_would_be_blocked_so_there_is_none(document: Document) -> None:
    """The policy allows one style sheet, hence no element carries its own style."""
    assert not [tag for tag, attributes in parsed(render(document)).elements if "style" in attributes]


def test_every_verdict_word_is_explained(document: Document) -> None:
    """The page tells what each of the eight words means, in both languages."""
    for language in LANGUAGES:
        text = parsed(render(document, language=language)).text
        for word in WORDS:
            assert say(f"verdict.{word.replace(' ', '-')}", language) in text
            assert say(f"meaning.{word.replace(' ', '-')}", language) in text


def test_every_verdict_word_has_a_sign_a_colour_and_a_filter(document: Document) -> None:
    """A word without one would be shown as an empty place in the text's own colour."""
    page = render(document)
    for word in WORDS:
        slug = word.replace(" ", "-")
        assert f'<symbol id="_g-{slug}"' in page
        assert f"--{slug}: light-dark(" in page
        assert f".v-{slug}" in page
        assert f'data-word="{word}"' in page


def test_a_declared_non_reproduction_is_marked_and_does_not_stand(document: Document) -> None:
    """It is called known and declared beside its verdict, with its reason, and counts among those that do not stand."""
    text = parsed(render(document)).text

    assert "Declared non-reproduction" in text
    assert "The order of styles is another one." in text
    assert "0 of 2 claims stand on finch" in text


def test_support_against_a_declaration_does_not_stand(document: Document) -> None:
    """The page calls it declared otherwise, and neither headline nor table counts it."""

    def better(made: dict[str, Any]) -> None:
        probes = [probe for claim in made["claims"] for probe in claim["probes"] if probe["subject"] == "finch"]
        (known,) = (probe for probe in probes if probe["declaration"] is not None)
        known["verdict"] = "supported"
        made["counts"]["supported"] += 1
        made["counts"]["refuted"] -= 1

    text = parsed(render(changed(document, better))).text
    assert "0 of 2 claims stand on finch" in text
    assert text.count("declared otherwise") == 2  # in the table and beside the verdict
    assert "refuted: The order of styles is another one." in " ".join(text.split())


def test_probes_that_reported_nothing_raise_an_alarm(document: Document) -> None:
    """A planned probe without a result is named at the top of the page."""
    document = changed(document, lambda it: it["planned"].append("day1.lost[sparrow]"))

    assert silent(document) == ["day1.lost[sparrow]"]
    page = render(document)
    assert 'role="alert"' in page
    assert "day1.lost[sparrow]" in parsed(page).text


def test_published_stands_beside_measured_with_interval_and_agreement(document: Document) -> None:
    """The finch probe shows 13.9 beside its own mean and interval, agreeing, and 11.2 differing."""
    text = " ".join(parsed(render(document)).text.split())

    assert re.search(r"novice features ?published13\.9 n = 50measured here14\.2 \[13\.5, 14\.9\]tolerance± 0\.75", text)
    assert "differs" in text
    assert "not measured" in text


def test_provenance_is_told(document: Document) -> None:
    """Versions, commit with its state, hashes, hook, device, seed and alpha are on the page."""
    text = " ".join(parsed(render(document)).text.split())

    for wanted in (
        "torch 2.13.0",
        "0123456789abcdef0123456789abcdef01234567 with uncommitted changes: probes/a.py, 论文 'a'.toml, b and 2 more",
        "sha256:abab",
    ):
        assert wanted.replace("torch ", "torch\u00a0") in text or wanted in text
    for wanted in ("blocks.2.hook_resid_pre", "float32", "Device", "cpu", "Seed", "Alpha", "pytest probes/ -n 2"):
        assert wanted in text


def test_whitespace_of_continuations_is_kept(document: Document) -> None:
    """A quote stands in its element exactly as the model wrote it."""
    assert "</span> a ticket to the Golden Gate Bridge,\n\n    red above the bay.</blockquote>" in render(document)


def test_ids_are_unique_and_links_lead_somewhere(document: Document) -> None:
    """No element shares an id, a claim named like a part of the page included, and every inner link has its target."""
    document = changed(document, lambda it: it["claims"][0].update(id="claims"))
    elements = parsed(render(document)).elements

    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for tag, attributes in elements if tag in {"a", "use"}]
    assert links
    assert {link.removeprefix("#") for link in links if link is not None} <= set(ids)


def test_a_hundred_claims_fit_in_three_megabytes(make_document: Make, tmp_path: Path) -> None:
    """A hundred claims, each on two times 192 prompts of their own values and four controls, stay under the budget."""
    records: list[ProbeRecord] = []
    for index in range(100):
        samples = tuple(
            Sample(
                label=style,
                measure="l0",
                unit="features",
                mean=12.5,
                n=192,
                interval=(12.0, 13.0),
                values=tuple(float((row * 7 + index * 13 + row * row) % 29) + index / 7 for row in range(192)),
                prompts=tuple(
                    Prompt(
                        text=f"Explain topic {row % 24} to someone, in wording {row // 24}, as {style}.",
                        style=style,
                        topic=f"topic {row % 24}",
                        template=f"Explain {{topic}} to someone, in wording {row // 24}, as {style}.",
                    )
                    for row in range(192)
                ),
            )
            for style in ("novice", "expert")
        )
        piece = Evidence(
            kind="greater",
            statement="l0 of novice > l0 of expert",
            outcome="supported",
            reason="it is",
            scope="these 8 templates a style",
            unit="features",
            estimate=1.0,
            interval=(0.5, 1.5),
            samples=samples,
            rule="supported if the test finds a difference at p < 0.05 with the first side above the second" * 2,
            unit_values=tuple(
                UnitValue(
                    side=sample.label, unit=f"Explain topic to someone, in wording {row}.", value=12.5 + index / 7
                )
                for sample in samples
                for row in range(8)
            ),
        )
        own = replace(piece, samples=tuple(replace(sample, values=(), prompts=()) for sample in samples))
        names: tuple[Control, ...] = ("length", "injection", "random-model", "random-sae")
        piece = replace(piece, controls=tuple(rival(name, 0.1, 0.4, evidence=own) for name in names))
        records.append(
            probe_to_json(
                claim=Claim(id=f"c.n{index}", sentence="x", source="x"),
                nodeid=f"t.py::{index}",
                subject="sparrow",
                verdict=Verdict(word="supported", reason=""),
                evidence=[piece],
                published=[],
                duration_s=0,
            )
        )

    write_page(make_document(records), tmp_path / "report.html")

    assert 500_000 < (tmp_path / "report.html").stat().st_size < 3_000_000


def test_a_very_long_text_is_cut_and_says_so(make_document: Make) -> None:
    """Of a continuation of 5,000 characters 2,000 are shown, and that 3,000 are in the JSON."""
    piece = Evidence(
        kind="greater",
        statement="s",
        outcome="supported",
        reason="r",
        scope="",
        unit="u",
        continuations=(("steered", "p", "x" * 5000),),
    )
    held = probe_to_json(
        claim=Claim(id="x", sentence="x", source="x"),
        nodeid="x",
        subject="sparrow",
        verdict=Verdict(word="supported", reason=""),
        evidence=[piece],
        published=[],
        duration_s=0,
    )

    text = parsed(render(make_document([held]))).text

    assert "x" * 2000 + "… [3,000 more characters in the JSON report]" in text
    assert "x" * 2001 not in text


def test_the_words_for_the_script_are_the_table(document: Document) -> None:
    """What the script reads is the table of words, and no text of it can end its element."""
    held = parsed(render(document)).inside["script"][0]

    assert json.loads(held) == words()
    assert "<" not in held

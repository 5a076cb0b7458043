"""Two protocols of one subject side by side, instrument checks, and features near their threshold, on the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from report_samples import changed, document_of, greater, instrument, plain, sample

from saeprobe.claims import Claim, Verdict, Word
from saeprobe.evidence.printed import PublishedComparison
from saeprobe.report import ProbeRecord, probe_to_json
from saeprobe.report.overview import side_by_side
from saeprobe.report.page import LANGUAGES, render, say
from saeprobe.report.shape import Document

NEAR = "feature 812 is within rounding of its threshold (0.0001 of the stream's norm) on 2 of 36 prompts"
Text = Callable[[Document], str]


def probe(subject: str, gap: float, *, word: Word = "supported", printed: float | None = None) -> ProbeRecord:
    """A claim decided on a subject: novice lies `gap` above expert."""
    expert = sample("expert", 11.0)
    novice = replace(expert, label="novice", mean=expert.mean + gap, interval=(expert.mean, expert.mean + 2 * gap))
    row = PublishedComparison(
        label="novice",
        value=printed or 0.0,
        unit="features",
        tolerance=0.5,
        tolerance_from="stated",
        measured=novice.mean,
        answer="drifted",
        rounding=None,
        sampling=None,
    )
    return probe_to_json(
        claim=Claim(id="day1.more", sentence="Novice is more.", source="table 2"),
        nodeid=f"t.py::it[{subject}]",
        subject=subject,
        verdict=Verdict(word=word, reason=f"on {subject}"),
        evidence=[greater(novice, expert)] if word != "not run" else [],
        published=[] if printed is None else [row],
        duration_s=0.1,
    )


@pytest.fixture
def two() -> Document:
    """One claim on sparrow and on finch, which is a protocol of sparrow here."""
    differs = [
        {"aspect": "read at", "here": "output of layer 49", "there": "output of layer 50"},
        {"aspect": "BOS", "here": "two", "there": "one"},
    ]
    document = document_of([probe("finch", 0.5, printed=132.4), probe("sparrow", 2.0)])
    return changed(document, lambda it: it["subjects"][1].update(protocol_of="sparrow", differs=differs))


def words_of(page: str) -> str:
    """The text of a page without its elements and the blanks between them."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<main>")[2]).split())


def table_of(page: str) -> list[str]:
    """The rows of the side-by-side table as text."""
    table = page.partition('<div class="beside">')[2].partition("</table>")[0]
    return [words_of("<main>" + row) for row in table.split("</tr>") if "<t" in row]


def test_the_two_verdicts_stand_side_by_side_with_their_numbers(two: Document) -> None:
    """The subject comes first; a row each for the verdict, the difference with interval and p, and the means."""
    head, verdict, difference, *means = table_of(render(two))
    assert head.endswith("sparrow finch")
    assert verdict == "verdict sparrow supported finch supported"
    assert "l0 of novice &gt; l0 of expert Difference of means , features sparrow 2 [1.1, 2.9]" in difference
    assert "finch 0.5 [" in difference
    assert difference.count("p = 0.0031") == 2
    assert means[0].startswith("novice l0, features sparrow")
    assert means[0].endswith("published 132.4 differs")
    assert means[1].startswith("expert l0, features sparrow")


def test_what_the_protocol_does_otherwise_is_said_in_words(two: Document) -> None:
    """With the claim in a line that leads to the protocol, and there as a table of both."""
    text = words_of(render(two))
    assert (
        "What finch does otherwise: read at: output of layer 49 instead of output of layer 50; BOS: two instead" in text
    )
    assert "Another protocol of sparrow: what differs aspect sparrow finch read at sparrow output of layer 50" in text
    page = render(two)
    assert 'href="#_subject-finch"' in page
    assert 'id="_subject-finch"' in page


@pytest.mark.parametrize("word", ["not run", "broken", "unverifiable"])
def test_a_claim_that_one_side_did_not_decide_is_not_compared(word: Word) -> None:
    """Without a verdict on both there is nothing to hold side by side."""
    document = document_of([probe("sparrow", 2.0), probe("finch", 0.5, word=word)])
    document = changed(document, lambda it: it["subjects"][1].update(protocol_of="sparrow"))
    assert list(side_by_side(document.claims[0], document)) == []
    assert '<div class="beside">' not in render(document)


def test_subjects_that_are_no_protocol_of_each_other_are_not_compared() -> None:
    """Two models on one claim stay apart."""
    document = document_of([probe("sparrow", 2.0), probe("finch", 0.5)])
    assert '<div class="beside">' not in render(document)


def test_a_statement_or_mean_that_one_side_lacks_is_shown_as_not_measured(two: Document) -> None:
    """The sides need not have made the same comparisons."""

    def otherwise(it: Any) -> None:
        piece = it["evidence"][it["claims"][0]["probes"][0]["evidence"][0]]
        piece["statement"] = "another"
        it["samples"][piece["samples"][0]]["label"] = "guru"

    rows = table_of(render(changed(two, otherwise)))
    assert [row.count("not measured") for row in rows] == [0, 0, 1, 1, 0, 0, 1]
    novice, expert, guru = rows[4:]
    assert novice.startswith("novice l0, features sparrow 13")
    assert novice.endswith("finch published 132.4 differs")
    assert expert.startswith("expert")
    assert guru.startswith("guru l0, features sparrow not measured finch 11.6 [11.1, 12.1]")


def test_the_instrument_check_is_a_table_of_layers(two: Document) -> None:
    """L0 and variance explained of each layer tried, the hook marked, the published values below."""
    text = words_of(render(two)).partition("Subjects sparrow")[2]
    assert "Instrument check passed read at L0 variance explained" in text
    assert "output of layer 0 17.9 76 % output of layer 1 the hook 23.1 92 % output of layer 2 50.1 73 %" in text
    assert "published the card of the specimen 23.2 92 % On 1,745 tokens of neutral text." in text
    assert "Rounding decides whether 0.0117 features a token fire." in text


def test_a_broken_instrument_raises_an_alarm(two: Document) -> None:
    """At the top of the page, with what was found; one that is off on purpose raises none."""
    found = "the SAE fits the output of layer 2 better"
    broken, on_purpose = (
        changed(two, lambda it, made=made: it["subjects"][0].update(instrument=plain(made, "")))
        for made in (instrument(found), instrument(found, misfit="the article read one layer too early"))
    )
    page = render(broken)
    head = page.partition("<main>")[0]
    assert 'role="alert"' in head
    assert found in head
    assert "The instrument check of sparrow failed" in head
    assert f"Instrument check failed {found}" in words_of(page)
    page = render(on_purpose)
    assert 'role="alert"' not in page
    assert "off, on purpose Read where the SAE does not belong, on purpose: the article read" in words_of(page)


def test_a_feature_near_its_threshold_is_told_with_the_evidence() -> None:
    """Once a side, also where it is part of a larger statement."""
    novice = replace(sample("novice", 14.0), near_threshold=NEAR)
    evidence = greater(novice, sample("expert", 11.0))
    whole = replace(evidence, kind="every", parts=(evidence, evidence))
    record = probe_to_json(
        claim=Claim(id="a.b", sentence="s", source="s"),
        nodeid="n",
        subject="sparrow",
        verdict=Verdict(word="supported", reason=""),
        evidence=[whole],
        published=[],
        duration_s=0,
    )
    text = words_of(render(document_of([record])))
    escaped = NEAR.replace("'", "&#39;")
    assert text.count(f"Near threshold novice: {escaped}") == 1


def test_both_languages_say_it_all(two: Document) -> None:
    """The tables have their headings in Chinese too."""
    text = words_of(render(two, language="zh"))
    for key in ("beside.caption", "beside.verdict", "instrument.title", "instrument.explained", "differs.aspect"):
        assert say(key, "zh") in text
        assert len({say(key, language) for language in LANGUAGES}) == 2

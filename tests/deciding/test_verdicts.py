"""Verdicts: what each word does to a run."""

from __future__ import annotations

import pytest

from saeprobe.claims import OUTCOMES, WORDS, Outcome, Unverifiable, Verdict, Word, unverifiable


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("supported", "passed"),
        ("drifted", "failed"),
        ("refuted", "failed"),
        ("inconclusive", "failed"),
        ("unverifiable", "skipped"),
        ("broken", "error"),
        ("not run", "skipped"),
    ],
)
def test_every_word_has_its_outcome(word: Word, outcome: Outcome) -> None:
    """Of the seven words only `supported` passes."""
    assert Verdict(word=word, reason="").outcome == outcome


def test_no_word_is_without_an_outcome() -> None:
    """The seven words and their outcomes are the same seven."""
    assert set(OUTCOMES) == set(WORDS)
    assert len(WORDS) == 7


def test_a_declared_verdict_passes_and_a_surprise_fails() -> None:
    """A known non-reproduction passes; `supported` against the declaration does not."""
    assert Verdict(word="refuted", reason="", declared="known").outcome == "passed"
    assert Verdict(word="supported", reason="", surprise=True).outcome == "failed"


def test_unverifiable_ends_the_probe_with_its_reason() -> None:
    """The call never returns, and its reason is the text of what it raises."""
    with pytest.raises(Unverifiable, match="the plan names no label"):
        unverifiable("the plan names no label")

"""From samples to the values that a baseline keeps."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from baselines_made import found, sample, summary

from saeprobe.evidence import ControlResult
from saeprobe.verdicts import samples_of
from saeprobe.verdicts.baseline import values_of

SIX = [[1.0, 3.0], [2.0, 4.0], [3.0, 5.0], [4.0, 6.0], [5.0, 7.0], [6.0, 8.0]]


def test_a_value_keeps_the_mean_of_each_template() -> None:
    """Six templates on two topics: their means are 2 to 7, that of all 4.5."""
    (kept,) = values_of([sample("novice", SIX, interval=(3.5, 5.5), near_moves=0.25)])
    assert (kept.label, kept.measure, kept.unit, kept.name) == ("novice", "l0", "features", "l0 of novice")
    assert (kept.mean, kept.n, kept.interval, kept.near_moves) == (4.5, 12, (3.5, 5.5), 0.25)
    assert kept.units == "templates"
    assert kept.unit_means == {f"novice {t}: {{topic}}": float(t + 2) for t in range(6)}
    assert kept.key == ("novice", "l0", "features")


@pytest.mark.parametrize(
    ("templates", "topics", "units"),
    [(6, 8, "templates"), (5, 8, "topics"), (5, 5, "templates"), (5, 4, "templates"), (1, 8, "topics")],
)
def test_units_are_those_that_can_show_a_move(templates: int, topics: int, units: str) -> None:
    """Templates from six on, where sign flips can reach 0.05; below that whichever there are more of."""
    (kept,) = values_of([sample("novice", [[float(t + k) for k in range(topics)] for t in range(templates)])])
    assert kept.units == units
    assert len(kept.unit_means) == (templates if units == "templates" else topics)


def test_topics_are_averaged_over_templates() -> None:
    """Two templates on three topics: the topics' means are those of the columns."""
    (kept,) = values_of([sample("novice", [[1.0, 2.0, 3.0], [3.0, 6.0, 9.0]])])
    assert kept.unit_means == {"tides": 2.0, "yeast": 4.0, "comets": 6.0}


def test_a_summary_has_neither_units_nor_prompts() -> None:
    """Its mean is all there is."""
    (kept,) = values_of([summary("novice", 132.4)])
    assert (kept.mean, kept.units, kept.unit_means, kept.prompts, kept.n) == (132.4, "", {}, "", None)


def test_ten_digits_are_kept() -> None:
    """A third is a third to ten digits, in the mean, in its interval and in the units."""
    (kept,) = values_of([sample("novice", [[1 / 3, 1 / 3]], interval=(-1 / 3, 2 / 3), near_moves=1 / 7)])
    assert (kept.mean, kept.interval) == (0.3333333333, (-0.3333333333, 0.6666666667))
    assert kept.near_moves == 0.1428571429
    assert set(kept.unit_means.values()) == {0.3333333333}


def test_prompts_are_told_by_a_hash_of_their_texts_in_order() -> None:
    """SHA-256 over the texts, each ended by a zero byte; another order is another hash."""
    of = sample("novice", [[1.0, 2.0]])
    (kept,) = values_of([of])
    assert kept.prompts == sha256(b"novice 0: tides\0novice 0: yeast\0").hexdigest()[:16]
    (other,) = values_of([replace(of, prompts=of.prompts[::-1], values=of.values[::-1])])
    assert other.prompts != kept.prompts


def test_what_is_seen_twice_is_kept_once() -> None:
    """The same side of several comparisons is one value; another measure or unit of the label is another."""
    novice = sample("novice", SIX)
    kept = values_of([novice, sample("expert", [[1.0]]), novice, replace(novice, unit="activation")])
    assert [one.key for one in kept] == [
        ("novice", "l0", "features"),
        ("expert", "l0", "features"),
        ("novice", "l0", "activation"),
    ]


def test_two_samples_of_one_name_are_distinct_digits() -> None:
    """A probe that reads two sets of prompts has two values of novice, also where their means are equal."""
    first, second, third = sample("novice", [[1.0, 3.0]]), sample("novice", [[9.0]]), sample("novice", [[2.0]])
    kept = values_of([first, second, third, second])
    assert [(one.label, one.mean) for one in kept] == [("novice", 2.0), ("novice (2)", 9.0), ("novice (3)", 2.0)]


@pytest.mark.parametrize("turned", [False, True])
def test_samples_read_at_different_tokens_are_named_by_them_in_any_order(*, turned: bool) -> None:
    """Not by a number of the order in which a probe compares them; one that nobody tells the tokens of keeps its name.

    Expert was read at one place alone, and novice at both in other units: those names need no tokens.
    """
    standard = sample("standard", SIX)
    read = [
        replace(standard, place="last token"),
        replace(standard, place="all tokens", mean=9.0),
        replace(standard, mean=1.0),
        replace(sample("expert", SIX), place="last token"),
        replace(sample("novice", SIX), place="last token"),
        replace(sample("novice", SIX, unit="activation"), place="all tokens"),
        replace(sample("novice", SIX, measure="tokens"), place="all tokens"),
    ]
    kept = values_of(read[::-1] if turned else read)
    assert [(one.label, one.mean) for one in (kept[::-1] if turned else kept)] == [
        ("standard at last token", 4.5),
        ("standard at all tokens", 9.0),
        ("standard", 1.0),
        ("expert", 4.5),
        *[("novice", 4.5)] * 3,
    ]


def test_two_places_are_enough_to_be_named_by_them() -> None:
    """Without a third sample beside them, and told apart though all else of them is alike."""
    standard = sample("standard", SIX)
    kept = values_of([replace(standard, place=place) for place in ("last token", "all tokens")])
    assert [one.label for one in kept] == ["standard at last token", "standard at all tokens"]


def test_samples_are_those_of_the_evidence_and_its_parts_not_of_its_controls() -> None:
    """What a control read of a random model is no value of the claim."""
    rival = ControlResult(
        name="random-model",
        answer="withstood",
        estimate=0.0,
        interval=None,
        p=0.5,
        detail="",
        evidence=found(summary("rival", 1.0)),
    )
    inner = found(parts=(found(summary("b", 1.0)),))
    pieces = [replace(found(summary("a", 1.0)), controls=(rival,)), found(summary("c", 1.0), parts=(inner,))]
    assert [one.label for one in samples_of(pieces)] == ["a", "c", "b"]


def test_the_numbers_of_a_printed_table_are_no_samples() -> None:
    """Nobody measured them; what a part of it measured is one."""
    table = replace(found(summary("printed", 137.0), parts=(found(summary("measured", 1.0)),)), kind="printed")
    assert [one.label for one in samples_of([table])] == ["measured"]


def test_any_text_has_a_hash() -> None:
    """Also half of a surrogate pair, as a broken file may hold it: its three bytes are ED A0 80."""
    of = sample("novice", [[1.0]])
    (kept,) = values_of([replace(of, prompts=(replace(of.prompts[0], text="\ud800"),))])
    assert kept.prompts == sha256(b"\xed\xa0\x80\0").hexdigest()[:16]

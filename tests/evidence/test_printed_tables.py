"""Printed tables: a source against its own sentence."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from grids import templates
from hypothesis import given
from hypothesis import strategies as st

from saeprobe.claims import published
from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.evidence.compare import about, every, in_each, ordered
from saeprobe.evidence.printed_tables import PrintedTable, printed

TABLE = printed(
    published(novice=137, standard=131, padding=126, guru=115, expert=114, spaces=99, unit="features", n=1),
    source="SAE Inspect, table 1",
)
AGREES = "the printed numbers agree with the sentence, but they are all there is: nothing separates chance from effect"


def table(**values: float | str) -> PrintedTable:
    """A table of these numbers."""
    return printed(published(unit="activation", **values), source="table 2")  # type: ignore[arg-type]


def test_a_table_that_contradicts_its_sentence_refutes_it() -> None:
    """'Expert fewest' beside spaces = 99: named as printed, from the table alone."""
    others = ("novice", "standard", "padding", "guru", "spaces")
    with recording(Recorder()) as recorder:
        evidence = TABLE["expert"] < every(TABLE[label] for label in others)
    assert recorder.evidence == [evidence]
    assert (evidence.kind, evidence.outcome, evidence.scope) == ("printed", "refuted", "the printed table alone")
    assert evidence.reason == "the table itself has spaces = 99 below expert = 114"
    assert not evidence
    assert [part.outcome for part in evidence.parts] == ["inconclusive"] * 4 + ["refuted"]
    assert (evidence.p, evidence.interval, evidence.test) == (None, None, None)
    assert evidence.samples == ()
    against = evidence.parts[-1]
    assert against.statement == "spaces > expert as printed in SAE Inspect, table 1"
    assert [(one.label, one.mean, one.n, one.interval) for one in against.samples] == [
        ("spaces", 99.0, 1, None),
        ("expert", 114.0, 1, None),
    ]
    assert against.estimate == -15.0
    assert against.unit == "features"


def test_a_whole_states_its_parts() -> None:
    """One statement a part, and neither an estimate nor a margin of its own."""
    equal = every([TABLE["guru"], TABLE["expert"]]) == about(TABLE["novice"], margin=30)
    assert equal.statement == (
        "guru = novice ± 30 as printed in SAE Inspect, table 1; expert = novice ± 30 as printed in SAE Inspect, table 1"
    )
    assert (equal.margin, equal.estimate, equal.parts[0].margin, equal.parts[0].estimate) == (None, None, 30.0, -22.0)
    above = every([TABLE["novice"]]) > 136
    assert above.statement == "novice > 136 as printed in SAE Inspect, table 1"
    assert (TABLE["novice"] == 137).statement == "novice = 137 as printed in SAE Inspect, table 1"
    assert (TABLE["novice"] < 1e-7).reason == "the table itself has 1e-07 below novice = 137"
    assert (TABLE["novice"] == 100.0).reason == "the table itself has novice = 137 and 100, 37 apart"
    assert (TABLE["novice"] == 1e16).reason == "the table itself has novice = 137 and 1e+16, 9999999999999863 apart"


def test_every_contradiction_is_named() -> None:
    """Guru below all three others contradicts three times."""
    evidence = TABLE["guru"] > every(TABLE[label] for label in ("novice", "spaces", "padding"))
    assert evidence.reason == (
        "the table itself has guru = 115 below novice = 137; the table itself has guru = 115 below padding = 126"
    )


def test_a_table_that_agrees_supports_nothing() -> None:
    """One printed number a style says nothing of other prompts."""
    evidence = TABLE["novice"] > every(TABLE[label] for label in ("standard", "padding", "guru", "expert", "spaces"))
    assert (evidence.outcome, evidence.reason) == ("inconclusive", AGREES)
    one = TABLE["novice"] > TABLE["expert"]
    assert (one.outcome, one.kind) == ("inconclusive", "printed")
    assert one.reason == f"novice = 137 above expert = 114: {AGREES}"
    assert one.rule == (
        "refuted where the printed numbers contradict the sentence whatever they were rounded from; inconclusive "
        "otherwise: a printed number has no prompts behind it that could be tested"
    )


def test_less_than_reads_as_greater() -> None:
    """Both sides of both operators give one part, recorded once."""
    with recording(Recorder()) as recorder:
        for evidence in (TABLE["spaces"] > TABLE["expert"], TABLE["expert"] < TABLE["spaces"]):
            assert evidence.reason == "the table itself has spaces = 99 below expert = 114"
    assert len(recorder.evidence) == 2


@pytest.mark.parametrize(
    ("larger", "smaller", "reason"),
    [
        ("4.80", "4.80", "printed are a = 4.80 and b = 4.80: nearer to each other than they are rounded"),
        ("4.80", "4.805", "printed are a = 4.80 and b = 4.805: nearer to each other than they are rounded"),
        ("4.8", "4.80", "printed are a = 4.8 and b = 4.80: nearer to each other than they are rounded"),
        ("4.80", "4.81", "the table itself has a = 4.80 below b = 4.81"),
        ("4.81", "4.80", f"a = 4.81 above b = 4.80: {AGREES}"),
        ("4", "4.50", "printed are a = 4 and b = 4.50: nearer to each other than they are rounded"),
        ("4", "4.51", "the table itself has a = 4 below b = 4.51"),
        ("0.3", "0.1", f"a = 0.3 above b = 0.1: {AGREES}"),
        ("-2", "-1", "the table itself has a = -2 below b = -1"),
    ],
)
def test_rounding_decides_what_contradicts(larger: str, smaller: str, reason: str) -> None:
    """4.80 stands for 4.795 to 4.805 and 4.81 for what begins there: it cannot be above; 4 reaches to 4.5."""
    numbers = table(a=larger, b=smaller)
    evidence = numbers["a"] > numbers["b"]
    assert evidence.reason == reason
    assert evidence.outcome == ("refuted" if "itself" in reason else "inconclusive")


@pytest.mark.parametrize(
    ("asserted", "outcome", "reason"),
    [
        (lambda: TABLE["novice"] > 140, "refuted", "the table itself has novice = 137 below 140"),
        (lambda: TABLE["novice"] < 130, "refuted", "the table itself has 130 below novice = 137"),
        (lambda: TABLE["novice"] > 137.5, "refuted", "the table itself has novice = 137 below 137.5"),
        (
            lambda: TABLE["novice"] > 137.4,
            "inconclusive",
            "printed are novice = 137 and 137.4: nearer to each other than they are rounded",
        ),
        (lambda: TABLE["novice"] > 136, "inconclusive", f"novice = 137 above 136: {AGREES}"),
        (lambda: every([TABLE["novice"]]) > 140, "refuted", "the table itself has novice = 137 below 140"),
        (lambda: every([TABLE["novice"]]) < 130, "refuted", "the table itself has 130 below novice = 137"),
        (lambda: TABLE["novice"] == 138, "refuted", "the table itself has novice = 137 and 138, 1 apart"),
        (lambda: every([TABLE["novice"]]) == 138, "refuted", "the table itself has novice = 137 and 138, 1 apart"),
        (lambda: TABLE["novice"] == 137.5, "inconclusive", f"novice = 137 and 137.5, 0.5 apart: {AGREES}"),
        (lambda: every([TABLE["novice"], TABLE["expert"]]) == about(TABLE["guru"], margin=5), "refuted", None),
    ],
)
def test_plain_numbers_stand_beside_printed_ones(
    asserted: Callable[[], Evidence], outcome: str, reason: str | None
) -> None:
    """They are exact; only the printed one was rounded."""
    with recording(Recorder()) as recorder:
        evidence = asserted()
    assert recorder.evidence == [evidence]
    assert (evidence.kind, evidence.outcome) == ("printed", outcome)
    assert reason is None or evidence.reason == reason


@pytest.mark.parametrize(
    ("margin", "outcome", "reason"),
    [
        (21.9, "refuted", "the table itself has novice = 137 and expert = 114, 23 apart"),
        (
            22,
            "inconclusive",
            "printed are novice = 137 and expert = 114, 23 apart: rounding decides whether that is within 22",
        ),
        (
            23.9,
            "inconclusive",
            "printed are novice = 137 and expert = 114, 23 apart: rounding decides whether that is within 23.9",
        ),
        (24, "inconclusive", f"novice = 137 and expert = 114, 23 apart: {AGREES}"),
    ],
)
def test_printed_numbers_are_equal_up_to_a_margin(margin: float, outcome: str, reason: str) -> None:
    """137 and 114 are 22 to 24 apart before they were rounded; either order, either side of `==`."""
    expected = about(TABLE["expert"], margin=margin)
    with recording(Recorder()) as recorder:
        evidence, other = TABLE["novice"] == expected, expected == TABLE["novice"]
    assert len(recorder.evidence) == 2
    assert (evidence.outcome, evidence.reason, evidence.margin) == (outcome, reason, margin)
    assert (other.outcome, other.reason) == (outcome, reason)
    assert evidence.statement == f"novice = expert ± {margin:g} as printed in SAE Inspect, table 1"
    assert (TABLE["expert"] == about(TABLE["novice"], margin=margin)).outcome == outcome


def test_an_order_is_held_against_the_table() -> None:
    """The printed order agrees; expert before guru contradicts."""
    descending = ordered(TABLE[label] for label in ("novice", "standard", "padding", "guru", "expert", "spaces"))
    assert (descending.kind, descending.outcome, descending.reason) == ("printed", "inconclusive", AGREES)
    assert descending.statement == (
        "novice > standard > padding > guru > expert > spaces as printed in SAE Inspect, table 1"
    )
    wrong = ordered(TABLE[label] for label in ("novice", "expert", "guru"))
    assert (wrong.outcome, wrong.reason) == ("refuted", "the table itself has expert = 114 below guru = 115")
    assert [part.kind for part in wrong.parts] == ["printed"] * 2


def test_a_tie_is_told_where_nothing_contradicts() -> None:
    """Beside numbers that agree, the one that rounding decides is named."""
    numbers = table(a="4.9", b="4.8", c="4.8")
    evidence = ordered([numbers["a"], numbers["b"], numbers["c"]])
    assert evidence.outcome == "inconclusive"
    assert evidence.reason == "printed are b = 4.8 and c = 4.8: nearer to each other than they are rounded"
    assert (evidence.estimate, evidence.margin) == (None, None)


def test_numbers_keep_the_digits_they_were_printed_with() -> None:
    """4.80 is not 4.8: its rounding is a tenth of that."""
    number = table(spaces="4.80", count=137)["spaces"]
    assert (number.printed, number.value) == ("4.80", Decimal("4.80"))
    assert number.between == (Decimal("4.795"), Decimal("4.805"))
    assert table(count=137)["count"].between == (Decimal("136.5"), Decimal("137.5"))
    assert (number.unit, number.n, number.label) == ("activation", None, "spaces")
    assert number.name == "spaces in table 2"
    assert repr(number) == "<spaces = 4.80 activation in table 2>"
    assert repr(TABLE) == "<SAE Inspect, table 1: novice, standard, padding, guru, expert, spaces>"


def test_a_label_that_is_not_printed_is_an_error() -> None:
    """With what was probably meant, and what there is."""
    with pytest.raises(KeyError) as caught:
        TABLE["novise"]
    assert caught.value.args[0] == (
        "SAE Inspect, table 1 prints no 'novise', did you mean 'novice'?; it prints: novice, standard, padding, guru, "
        "expert, spaces"
    )


def test_a_table_says_where_it_stands() -> None:
    """From the numbers or from the call; one of them has to."""
    numbers = published(novice=137, unit="features", source="table 9")
    assert printed(numbers).source == "table 9"
    assert printed(numbers, source="table 1").source == "table 1"
    with pytest.raises(ValueError, match=r"^printed\(\) without a source; write printed\(published"):
        printed(published(novice=137, unit="features"))


@pytest.mark.parametrize(
    "asserted",
    [
        lambda: TABLE["novice"] > table(novice=1)["novice"],
        lambda: TABLE["novice"] < table(novice=1)["novice"],
        lambda: TABLE["novice"] == about(table(novice=1)["novice"], margin=1.0),
        lambda: TABLE["novice"] > templates("expert", (1, 2, 3, 4)),
        lambda: TABLE["novice"] < templates("expert", (1, 2, 3, 4)),
        lambda: templates("expert", (1, 2, 3, 4)) > TABLE["novice"],
        lambda: templates("expert", (1, 2, 3, 4)) < TABLE["novice"],
        lambda: templates("expert", (1, 2, 3, 4)) == about(TABLE["novice"], margin=1.0),
        lambda: TABLE["novice"] == about(templates("expert", (1, 2, 3, 4)), margin=1.0),
        lambda: TABLE["novice"] > templates("expert", (1, 2, 3, 4)) + 5,
        lambda: ordered([TABLE["novice"], TABLE["expert"], templates("spaces", (1, 2, 3, 4))]),
        lambda: ordered([templates("spaces", (1, 2, 3, 4)), TABLE["novice"], TABLE["expert"]]),
    ],
)
def test_only_numbers_of_one_table_are_compared(asserted: Callable[[], object]) -> None:
    """Not with another table, nor with what was measured."""
    with (
        recording(Recorder()) as recorder,
        pytest.raises(TypeError, match=r"cannot be compared with|compare like|not supported"),
    ):
        asserted()
    assert recorder.evidence == []


def test_two_printed_numbers_are_equal_only_up_to_a_margin() -> None:
    """Bare equality is refused."""
    with pytest.raises(TypeError, match=r"novice in SAE Inspect, table 1 == PrintedNumber; equality needs a margin"):
        _ = TABLE["novice"] == TABLE["expert"]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_printed_number_stands_beside_finite_ones(number: float) -> None:
    """NaN is no number to compare with."""
    for asserted in (
        lambda: TABLE["novice"] > number,
        lambda: TABLE["novice"] < number,
        lambda: TABLE["novice"] == number,
    ):
        with pytest.raises(ValueError, match=r"a printed number against (nan|inf); wanted a finite number"):
            asserted()


def test_a_printed_table_takes_no_controls() -> None:
    """There are no prompts to control."""
    for asserted in (lambda: TABLE["novice"] > TABLE["expert"], lambda: TABLE["novice"] == 137):
        with (
            recording(Recorder(controls=("length",))),
            pytest.raises(TypeError, match="kind 'printed' takes no controls"),
        ):
            asserted()


def test_other_things_have_no_order_beside_a_number() -> None:
    """Text is no number."""
    for asserted in (lambda: TABLE["novice"] > "131", lambda: TABLE["novice"] < "131"):
        with pytest.raises(TypeError, match="is compared with another, or with a number"):
            asserted()


@given(st.integers(-999, 999), st.integers(-999, 999), st.integers(0, 2), st.integers(0, 2))
def test_a_contradiction_holds_whatever_the_numbers_were_rounded_from(a: int, b: int, deep: int, low: int) -> None:
    """Refuted exactly where the highest that `a` may have been is no higher than the lowest that `b` may have been."""
    texts = f"{Decimal(a).scaleb(-deep):f}", f"{Decimal(b).scaleb(-low):f}"
    numbers = table(a=texts[0], b=texts[1])
    highest = Decimal(texts[0]) + Decimal(5).scaleb(-deep - 1)
    lowest = Decimal(texts[1]) - Decimal(5).scaleb(-low - 1)
    evidence = numbers["a"] > numbers["b"]
    assert (evidence.outcome == "refuted") == (highest <= lowest)
    assert evidence.outcome != "supported"


def test_each_of_some_is_compared_with_each_of_others() -> None:
    """Two above two are four comparisons; the one that contradicts is named."""
    numbers = table(a=4, b=3, c=2, d=1)
    evidence = every([numbers["a"], numbers["b"]]) > every([numbers["c"], numbers["d"]])
    assert (evidence.outcome, evidence.reason, len(evidence.parts)) == ("inconclusive", AGREES, 4)
    wrong = every([numbers["a"], numbers["c"]]) > every([numbers["b"], numbers["d"]])
    assert (wrong.outcome, wrong.reason) == ("refuted", "the table itself has c = 2 below b = 3")
    assert (every([numbers["d"]]) < every([numbers["b"], numbers["c"]])).outcome == "inconclusive"
    measured = templates("expert", (1, 2, 3, 4))
    with pytest.raises(TypeError, match=r"every\(...\) on both sides; write one comparison for each"):
        _ = every([measured]) > every([measured])


def test_columns_of_one_source_are_compared_row_by_row() -> None:
    """The label says which column a number stands in, and both rows that contradict are named."""
    first, second = (
        printed(published(unit="cosine", a=a, b=b, c=0.9), source="table 5", column=f"lambda {at}")
        for at, a, b in ((1, "0.927", "0.918"), (1.5, "0.922", "0.910"))
    )
    evidence = in_each(second[row] > first[row] for row in ("a", "b"))
    assert (evidence.kind, evidence.outcome) == ("printed", "refuted")
    assert evidence.reason == (
        "the table itself has a, lambda 1.5 = 0.922 below a, lambda 1 = 0.927; "
        "the table itself has b, lambda 1.5 = 0.910 below b, lambda 1 = 0.918"
    )
    assert (first["c"] > second["c"]).outcome == "inconclusive"


def test_counts_are_exact() -> None:
    """Nothing was rounded: 90 is not above 90, and 369 is 369 and nothing else."""
    counts = printed(published(a=369, b=90, unit="features"), source="table 2", exact=True)
    assert counts["a"].between == (Decimal(369), Decimal(369))
    assert (counts["b"] > 90).reason == "the table itself has b = 90 equal to 90"
    assert (counts["b"] > 89.9).outcome == "inconclusive"
    assert (counts["a"] == 369.4).outcome == "refuted"
    assert (table(a=369)["a"] == 369.4).outcome == "inconclusive"

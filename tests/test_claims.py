"""Claims say what may be stated and how precisely a number was printed; verdicts say what a word does to a run."""

from __future__ import annotations

import re
from typing import Any

import pytest

from saeprobe import claim, drifted, explained, inconclusive, published, refuted
from saeprobe.claims import (
    OUTCOMES,
    WORDS,
    Claim,
    Outcome,
    Published,
    Unverifiable,
    Verdict,
    Word,
    claim_of,
    unverifiable,
)

SENTENCE = "A prompt for a novice activates more features than one for an expert."


def test_a_probe_carries_its_claim_and_stays_the_same_function() -> None:
    """The decorator returns the function itself, with the claim tied to it; an ordinary test has none."""

    def probe() -> str:
        return "called"

    tied = claim(SENTENCE, id="day1.novice-most", source="SAE Inspect, table 1", controls=("length",))(probe)
    assert tied is probe
    assert tied() == "called"
    found = claim_of(tied)
    assert found == Claim(sentence=SENTENCE, id="day1.novice-most", source="SAE Inspect, table 1", controls=("length",))
    assert claim_of(test_a_probe_carries_its_claim_and_stays_the_same_function) is None
    assert claim_of("no function") is None


def test_a_function_decides_one_claim() -> None:
    """A second claim on a function would hide the first one from every report."""
    inner = claim(SENTENCE, id="a.inner", source="b")
    outer = claim(SENTENCE, id="a.outer", source="b")

    def probe() -> None: ...

    with pytest.raises(
        ValueError,
        match=r"^probe has two claims, 'a\.inner' and 'a\.outer'; a probe decides one: write a function for each$",
    ):
        outer(inner(probe))


NUMBERS = published(novice=132.4, unit="features")


@pytest.mark.parametrize(
    ("key", "given", "found", "remedy"),
    [
        ("published", NUMBERS, r"Published\(.*\)", r"{'sparrow': published\(novice=132\.4, unit='features'\)}"),
        ("published", {"sparrow": 18.0}, r"{'sparrow': 18\.0}", r"{'sparrow': published\("),
        ("published", {"sparrow": {"novice": 18.0}}, r"{'sparrow': {'novice': 18\.0}}", r"{'sparrow': published\("),
        ("published", {("sparrow", "finch"): NUMBERS}, r"{\('sparrow', 'finch'\): .*}", r"{'sparrow': published\("),
        (
            "published",
            {"finch": NUMBERS, "sparrow": None},
            r"{'finch': .*, 'sparrow': None}",
            r"{'sparrow': published\(",
        ),
        ("not_reproduced", "refuted", "'refuted'", r"{'sparrow': refuted\('why'\)}$"),
        ("not_reproduced", {"sparrow": "refuted"}, "{'sparrow': 'refuted'}", r"{'sparrow': refuted\('why'\)}$"),
        ("not_reproduced", {"": refuted("known")}, r"{'': NonReproducti.*}", r"{'sparrow': refuted\('why'\)}$"),
        ("published", {" ": NUMBERS}, r"{' ': .*}", r"{'sparrow': published\("),
        ("not_reproduced", refuted("known"), r"NonReproducti\.\.\..*\)", r"{'sparrow': refuted\('why'\)}$"),
    ],
)
def test_what_is_not_stated_by_subject_is_refused(key: str, given: object, found: str, remedy: str) -> None:
    """Numbers and declarations hold for a subject; what is written in their place is shown, with what is wanted."""
    with pytest.raises(TypeError, match=f"^claim 'a' has {key}={found}; wanted it by subject: {key}={remedy}"):
        claim(SENTENCE, id="a", source="b", **{key: given})  # type: ignore[arg-type]


def test_one_name_where_several_are_wanted_is_refused() -> None:
    """Its letters are not taken for names; the remedy is the comma."""
    with pytest.raises(
        TypeError, match=r"claim 'a' has controls='length'; wanted several names: controls=\('length',\)"
    ):
        claim(SENTENCE, id="a", source="b", controls="length")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"claim 'a' has over='topics'; wanted several names: over=\('topics',\)"):
        claim(SENTENCE, id="a", source="b", over="topics")  # type: ignore[arg-type]


def test_a_name_given_twice_is_refused() -> None:
    """A control that runs twice would be reported twice."""
    with pytest.raises(ValueError, match="claim 'a' names 'length' twice in controls; leave one out"):
        claim(SENTENCE, id="a", source="b", controls=("length", "wording", "length"))
    with pytest.raises(ValueError, match="claim 'a' names 'topics' twice in over; leave one out"):
        claim(SENTENCE, id="a", source="b", over=("topics", "topics"))


@pytest.mark.parametrize("name", ["day1.novice-most", "manual.steer-golden-gate", "a", "2026.claim-3"])
def test_ids_of_lower_case_digits_dots_and_dashes_are_taken(name: str) -> None:
    """Such ids are accepted as they are."""
    assert Claim(sentence=SENTENCE, id=name, source="here").id == name


@pytest.mark.parametrize("name", ["Day1", "day 1", "day1.", ".day1", "day1..x", "day_1", "day1-\n"])
def test_other_ids_are_refused(name: str) -> None:
    """Anything else is refused, with the form that is wanted."""
    with pytest.raises(ValueError, match=r"is not like 'day1\.novice-most'"):
        Claim(sentence=SENTENCE, id=name, source="here")


@pytest.mark.parametrize("text", ["", "  \n", 3, None])
@pytest.mark.parametrize("key", ["sentence", "id", "source"])
def test_what_is_no_text_is_refused(key: str, text: Any) -> None:
    """A claim without a sentence says nothing; an example says what a claim is."""
    with pytest.raises(
        ValueError, match=rf"^claim .* has the {key} {re.escape(repr(text))}; wanted a text, as in @claim\('"
    ) as refused:
        claim(**{"sentence": SENTENCE, "id": "x", "source": "here", key: text})
    assert refused.traceback[-1].name == "call"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ((SENTENCE,), {"id": "x"}),
        ((SENTENCE,), {"source": "here"}),
        ((), {"id": "x", "source": "here"}),
        ((SENTENCE, "x", "here"), {}),
        ((test_what_is_no_text_is_refused,), {}),
        ((SENTENCE,), {"id": "x", "sources": "here"}),
    ],
    ids=["source", "id", "sentence", "places", "bare", "misspelt"],
)
def test_a_claim_that_lacks_something_says_what_it_needs(given: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Python's own words do not: they come first, and an example after them."""
    needs = "; a claim needs its sentence, an id and a source: write @claim('A novice prompt has more features.', id="
    with pytest.raises(TypeError, match=rf"^claim\(\) .*{re.escape(needs)}"):
        claim(*given, **named)


def test_an_unknown_control_is_refused() -> None:
    """A control that does not exist cannot be asked for, so it cannot be thought to have passed."""
    with pytest.raises(ValueError, match="asks for the control 'lenght'; there are: length, wording,"):
        Claim(sentence=SENTENCE, id="x", source="here", controls=("lenght",))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("printed", "half_a_unit"),
    [(132.4, 0.05), (369, 0.5), (113.0, 0.5), (0.274, 0.0005), (1500, 0.5), (0.00001, 0.000005), (1.5e-05, 5e-07)],
)
def test_rounding_is_half_a_unit_of_the_last_printed_decimal(printed: float, half_a_unit: float) -> None:
    """132.4 is known to 0.05 and 0.00001 to 0.000005, however Python writes it."""
    assert published(novice=printed, unit="features").rounding("novice") == pytest.approx(half_a_unit)


def test_published_numbers_keep_unit_count_and_tolerance() -> None:
    """What was stated is what is kept."""
    assert published(novice=132.4, expert=113.1, unit="features", measure="l0", n=50, tolerance=2.0) == Published(
        values={"novice": 132.4, "expert": 113.1},
        printed={"novice": "132.4", "expert": "113.1"},
        unit="features",
        measure="l0",
        n=50,
        tolerance=2.0,
    )


def test_a_printed_zero_counts_as_precision() -> None:
    """4.80 printed is known to half a hundredth, which only its text shows."""
    assert published(spaces="4.80", unit="activation").rounding("spaces") == pytest.approx(0.005)
    assert published(spaces=4.80, unit="activation").rounding("spaces") == pytest.approx(0.05)


def test_a_printed_text_that_is_no_number_is_refused() -> None:
    """What cannot be compared is named, with how to write it."""
    with pytest.raises(ValueError, match="'about 5' is no number; write it as printed"):
        published(novice="about 5", unit="features")


def test_published_without_a_value_is_refused() -> None:
    """A unit alone is no number."""
    with pytest.raises(ValueError, match="names no value"):
        published(unit="features")


def test_declarations_carry_their_verdict_and_reason() -> None:
    """Each of the three declarations names its verdict."""
    declared = [declare("the model is small") for declare in (refuted, inconclusive, drifted)]
    assert [one.word for one in declared] == ["refuted", "inconclusive", "drifted"]
    assert {one.reason for one in declared} == {"the model is small"}


@pytest.mark.parametrize("reason", ["", " ", None, 5, ["a"]])
@pytest.mark.parametrize("declare", [explained, refuted, inconclusive, drifted])
def test_a_declaration_without_a_reason_is_refused(declare: Any, reason: Any) -> None:
    """The page and the gate show it; the error says how it is written."""
    word = declare.__name__
    found = rf"^{word}\(\) has the reason {re.escape(repr(reason))}; wanted a text, as in {word}\('the model"
    with pytest.raises(ValueError, match=found):
        declare(reason)


@pytest.mark.parametrize("key", ["unit", "measure", "source"])
@pytest.mark.parametrize("text", [5, " ", None, ["features"]])
def test_what_stands_beside_printed_numbers_is_text(key: str, text: Any) -> None:
    """A number in its place would end the whole run when the report is written."""
    found = rf"^published\(\) has the {key} {re.escape(repr(text))}; wanted a text, as in published\("
    with pytest.raises(ValueError, match=found):
        published(**{"novice": 1.0, "unit": "features", key: text})


@pytest.mark.parametrize("key", ["n", "wordings"])
@pytest.mark.parametrize("count", [2.5, "50", float("nan"), True, 0])
def test_what_is_behind_printed_numbers_is_counted(key: str, count: Any) -> None:
    """Half a prompt is none."""
    given: dict[str, Any] = {key: count}
    with pytest.raises(ValueError, match=rf"^{key} is {re.escape(repr(count))}; wanted the number of "):
        published(novice=1.0, unit="features", **given)


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("inf"), float("nan"), "2", True])
def test_a_tolerance_is_a_finite_distance(tolerance: Any) -> None:
    """A tolerance of 0 or below, or NaN, would find every number moved, and an infinite one none."""
    with pytest.raises(ValueError, match="wanted a positive distance in features"):
        published(novice=132.4, unit="features", tolerance=tolerance)


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("supported", "passed"),
        ("explained", "failed"),
        ("drifted", "failed"),
        ("refuted", "failed"),
        ("inconclusive", "failed"),
        ("unverifiable", "skipped"),
        ("broken", "error"),
        ("not run", "skipped"),
    ],
)
def test_every_word_has_its_outcome(word: Word, outcome: Outcome) -> None:
    """Only `supported` passes among the eight words."""
    assert Verdict(word=word, reason="").outcome == outcome


def test_no_word_is_without_an_outcome() -> None:
    """The eight words and their outcomes are the same eight."""
    assert set(OUTCOMES) == set(WORDS)
    assert WORDS[:3] == ("supported", "explained", "drifted")
    assert len(WORDS) == 8


def test_a_declared_verdict_is_xfailed_and_a_surprise_fails() -> None:
    """A known non-reproduction is pytest's xfailed; `supported` against the declaration fails."""
    cases: tuple[tuple[Word, bool, bool, Outcome], ...] = (
        ("refuted", True, True, "xfailed"),
        ("refuted", False, True, "failed"),
        ("refuted", True, False, "failed"),
        ("explained", True, True, "failed"),
        ("supported", True, True, "failed"),
        ("supported", True, False, "passed"),
        ("broken", True, True, "error"),
    )
    for word, stands, strict, outcome in cases:
        known = Verdict(word=word, reason="", declaration=refuted("known"), stands=stands, strict=strict)
        assert known.outcome == outcome


def test_unverifiable_ends_the_probe_with_its_reason() -> None:
    """The call never returns, and its reason is the text of what it raises."""
    with pytest.raises(Unverifiable, match="the plan names no label"):
        unverifiable("the plan names no label")

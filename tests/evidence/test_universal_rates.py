"""Sentences about every prompt: a share that is 1, or 0, wherever it was read or recorded."""

from __future__ import annotations

import pytest
from grids import TOPICS, fires, grid, of_templates, summary

from saeprobe.evidence import Recorder, Terms, recording
from saeprobe.evidence.compare import every
from saeprobe.evidence.units import sample_of
from saeprobe.evidence.values import Measurement


def test_every_prompt_is_a_universal_sentence() -> None:
    """Twelve templates on four topics, all 1: supported, and told how far that reaches: 0.025 ** (1/12) = 73.5 %."""
    evidence = of_templates(*[4] * 12) == 1
    assert (evidence.kind, evidence.outcome, evidence.p) == ("rate", "supported", None)
    assert evidence.statement == "firing rate of feature 7 of novice = 1 on each prompt"
    assert evidence.reason == "100 % of 48 prompts; over 12 templates that supports a rate of at least 74 %"
    assert evidence.rule == "supported where it holds on each of at least 2 prompts; a single exception refutes it"
    none = of_templates(*[0] * 12) == 0.0
    assert none.outcome == "supported"
    assert none.reason == "0 % of 48 prompts; over 12 templates that supports a rate of at most 26 %"


def test_one_exception_refutes_and_is_named() -> None:
    """47 of 48 prompts are not all."""
    evidence = of_templates(*[4] * 11, 3) == 1
    assert evidence.outcome == "refuted"
    assert evidence.reason == f"98 % of 48 prompts: 1 exception, 'novice 11: {TOPICS[3]}'"
    fires_once = of_templates(0, 0, 2) == 0
    assert fires_once.outcome == "refuted"
    assert fires_once.reason == f"17 % of 12 prompts: 2 exceptions, such as 'novice 2: {TOPICS[0]}'"
    assert (of_templates(0, 0, 0) == 1).outcome == "refuted"


def test_one_prompt_is_not_every_prompt() -> None:
    """A single prompt supports nothing, but an exception on it refutes; two prompts of one wording say how little."""
    lone = fires([[1.0]]) == 1
    assert (lone.outcome, lone.reason) == ("inconclusive", "100 % of 1 prompts: at least 2 are needed")
    assert (fires([[1.0]]) == 0).outcome == "refuted"
    two = fires([[1.0, 1.0]]) == 1
    assert two.outcome == "supported"
    assert two.reason == "100 % of 2 prompts; over 2 topics that supports a rate of at least 16 %"


def test_prompts_of_one_topic_and_one_wording_are_a_universal_sentence_without_reach() -> None:
    """Over templates alone a single wording gives no interval; what was read is still all that there is."""
    with recording(Recorder(over=("templates",))):
        evidence = fires([[1.0, 1.0]]) == 1
    assert (evidence.outcome, evidence.interval, evidence.reason) == ("supported", None, "100 % of 2 prompts")


def test_every_rate_of_several_is_compared() -> None:
    """`every(...) == 1` has a part for each feature, and one exception refutes it."""
    with recording(Recorder()) as recorder:
        holds = every([of_templates(4, 4), of_templates(4, 4, 4)]) == 1
        fails = every([of_templates(4, 4), of_templates(4, 3)]) == 1
    assert (holds.kind, holds.outcome, [part.kind for part in holds.parts]) == ("every", "supported", ["rate"] * 2)
    assert fails.outcome == "refuted"
    assert recorder.evidence == [holds, fails]
    assert (every([of_templates(4, 4)]) == 0).outcome == "refuted"


@pytest.mark.parametrize("number", [0.5, 2, -1, float("nan"), "1", None, True + 1])
def test_only_one_and_zero_stand_beside_equality(number: object) -> None:
    """Any other number, or thing, needs a margin."""
    with pytest.raises(TypeError, match=r"equality needs a margin: == about\(\.\.\., margin=\.\.\.\)"):
        _ = of_templates(4, 4) == number


@pytest.mark.parametrize(
    "of", [grid("novice", [[1.0, 1.0]] * 2), grid("novice", [[0.5, 1.0]] * 2, unit="share of prompts")]
)
def test_only_a_share_that_is_all_or_nothing_is_universal(of: Measurement) -> None:
    """One active feature a prompt is no rate of 1; nor is a mean of halves."""
    with pytest.raises(TypeError, match="l0 of novice == 1; only a share that is 0 or 1 on every prompt"):
        _ = of == 1


MORE = "; over {} prompts that supports a rate of"
UNCOUNTED = (
    "100 % is recorded, but not of how many prompts; a file that counts them, or a features_layer50.pt of the same"
)


@pytest.mark.parametrize(
    ("value", "n", "wanted", "outcome", "reason"),
    [
        (
            1.0,
            50,
            1,
            "supported",
            "100 % is recorded of 50 prompts; over 50 prompts that supports a rate of at least 93 ",
        ),
        (0.0, 2, 0, "supported", f"0 % is recorded of 2 prompts{MORE.format(2)} at most 84 %"),
        (1.0, 1, 1, "inconclusive", "100 % on one prompt: at least 2 are needed"),
        (1.0, None, 1, "inconclusive", UNCOUNTED),
        (0.98, 50, 1, "refuted", "98 % is recorded of 50 prompts: not 100 %"),
        (0.02, None, 0, "refuted", "2 % is recorded: not 0 %"),
        (
            0.9999999,
            3,
            1,
            "supported",
            "100 % is recorded of 3 prompts; over 3 prompts that supports a rate of at least 29 %",
        ),
        (
            0.000001,
            3,
            0,
            "supported",
            "0 % is recorded of 3 prompts; over 3 prompts that supports a rate of at most 71 %",
        ),
        (0.000002, 50, 0, "refuted", "0.0002 % is recorded of 50 prompts: not 0 %"),
    ],
)
def test_a_recorded_rate_shows_its_exceptions(
    value: float, n: int | None, wanted: int, outcome: str, reason: str
) -> None:
    """Less than all of the recorded prompts is not every prompt; all of them bound the rate as their number allows.

    The ends are those of 95 % intervals: 0.025 ** (1 / n), and one less that.
    """
    rate = summary("novice", value, measure="firing rate of feature 7", unit="share of prompts", n=n)
    evidence = rate == wanted
    assert (evidence.kind, evidence.outcome) == ("rate", outcome)
    assert evidence.reason.startswith(reason)
    assert evidence.scope == ("these prompts together" if n is None else f"the {n} recorded prompts, one wording")
    assert (evidence.p, evidence.unit_values) == (None, ())
    assert evidence.statement == f"firing rate of feature 7 of novice = {wanted} on each prompt"
    assert (evidence.unit, evidence.samples) == ("share of prompts", (sample_of(rate, Terms()),))
    assert evidence.estimate == pytest.approx(value, abs=3e-6)
    assert evidence.rule == "supported where it holds on each of at least 2 prompts; a single exception refutes it"


def test_a_recorded_count_is_no_rate() -> None:
    """One feature recorded is not 'on every prompt'."""
    with pytest.raises(TypeError, match="l0 of novice == 1; only a share"):
        _ = summary("novice", 1.0) == 1


def test_what_is_no_rate_is_told_what_to_write() -> None:
    """A mean effective rank of 1 is no sentence about every prompt."""
    with pytest.raises(TypeError, match=r"number: == about\(\.\.\., margin=\.\.\.\) compares two measurements$"):
        _ = fires([[0.5, 1.0]] * 8, unit="dimensions") == 1

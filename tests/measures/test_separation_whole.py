"""Separation, the evidence as a whole: of one feature, of several, of none, and of recorded rates."""

from __future__ import annotations

from dataclasses import replace

import pytest
from by_hand import crossed, features, tokens_read

from saeprobe.evidence import Evidence, Recorder, Sample, Spread, UnitValue, recording
from saeprobe.features import Features
from saeprobe.measures import separates, separating_features
from saeprobe.measures.halving import Selected
from saeprobe.recorded.record import RecordedStyle

TOPICS = ("tides", "yeast", "comets")
SENTENCE = "fires on every novice prompt and on no expert prompt"


@pytest.fixture
def both() -> Features:
    """Features 0 and 1 fire on every novice prompt alone, 2 on every expert prompt alone, 3 on all."""
    rows = crossed("novice", (1, 2, 0, 1), templates="AB", topics=TOPICS)
    return features(rows + crossed("expert", (0, 0, 1, 1), templates="AB", topics=TOPICS))


def side(of: Features, feature: int, rate: float, interval: tuple[float, float]) -> Sample:
    """A side on which a feature fires on all prompts or on none."""
    return Sample(
        label=of.label,
        measure=f"firing rate of feature {feature}",
        unit="share of prompts",
        mean=rate,
        n=6,
        interval=tuple(pytest.approx(end) for end in interval),  # pyright: ignore[reportArgumentType] - an end each
        values=(rate,) * 6,
        prompts=of.prompts,
        spreads=(Spread(units="templates", n=2, deviation=0.0),),
    )


def test_the_evidence_on_a_feature_as_a_whole(both: Features) -> None:
    """Two of two templates at alpha 0.1 support a rate of at least 0.05^(1/2) = 22.4 %; none of two, 77.6 % at most."""
    novice, expert = both["novice"], both["expert"]
    with recording(Recorder(alpha=0.1)):
        evidence = separates(0, novice, expert)
    assert evidence.rule.endswith("of units of several prompts by the trials that their variance leaves")
    assert replace(evidence, rule="") == Evidence(
        kind="separation",
        statement=f"feature 0 {SENTENCE}",
        outcome="supported",
        reason="feature 0 fires on 100 % of novice and 0 % of expert prompts; "
        "over these wordings that supports rates of at least 22 % and at most 78 %",
        scope="these 2 templates a style; beside expert prompts only",
        unit="share of prompts",
        estimate=1.0,
        level=0.9,
        units="prompts",
        n_units=(6, 6),
        samples=(side(novice, 0, 1.0, (0.05**0.5, 1)), side(expert, 0, 0.0, (0, 1 - 0.05**0.5))),
        unit_values=tuple(
            UnitValue(side=style, unit=f"{style} {letter}: {{topic}}", value=rate)
            for style, rate in (("novice", 1.0), ("expert", 0.0))
            for letter in "AB"
        ),
    )


def test_the_evidence_on_several_features_as_a_whole(both: Features) -> None:
    """Supported where each separates; the sentence names them all, and its parts are the evidence on each."""
    novice, expert = both["novice"], both["expert"]
    assert separates((0, 1), novice, expert) == Evidence(
        kind="every",
        statement=f"each of features 0, 1 {SENTENCE}",
        outcome="supported",
        reason="all 2 features do: 0, 1",
        scope="these 2 templates a style; beside expert prompts only",
        unit="share of prompts",
        parts=(separates(0, novice, expert), separates(1, novice, expert)),
        rule=(
            "refuted where a single part is; else inconclusive where the own test of one does not find it; else "
            "explained where a control explains one, inconclusive where one cannot tell, drifted where one is, and "
            "else supported"
        ),
    )


def test_several_features_on_the_prompts_they_were_picked_on_are_inconclusive(both: Features) -> None:
    """None is refuted and none confirmed, and among how many they were picked is told; one that fails refutes all."""
    novice, expert = both["novice"], both["expert"]
    chosen = separating_features(novice, expert)
    evidence = separates(chosen, novice, expert)
    assert (evidence.outcome, evidence.tried) == ("inconclusive", 4)
    assert evidence.reason == (
        "2 of 2 features are open: feature 1 fires on 100 % of novice and 0 % of expert prompts; over these wordings "
        "that supports rates of at least 16 % and at most 84 %; but it was picked on these very prompts: other topics, "
        "or other wordings, would confirm it"
    )
    assert [part.outcome for part in evidence.parts] == ["inconclusive"] * 2
    failing = separates(replace(chosen, features=(0, 3)), novice, expert)
    assert (failing.outcome, [part.outcome for part in failing.parts]) == ("refuted", ["inconclusive", "refuted"])


@pytest.mark.parametrize("style", ["novice", "expert"])
def test_a_feature_picked_on_one_of_the_sides_is_not_confirmed(both: Features, style: str) -> None:
    """Whichever side was looked at, it is told in the scope, and the feature is to be confirmed on other prompts."""
    chosen = Selected(features=(0,), tried=1_234, picked_on="6 prompts", prompts=both[style].prompts)
    evidence = separates(chosen, both["novice"], both["expert"])
    assert evidence.outcome == "inconclusive"
    assert evidence.scope == (
        "these 2 templates a style; beside expert prompts only; "
        "picked among 1,234 features on 6 prompts, 6 of which are among these; picked on these same prompts"
    )


def test_the_evidence_that_no_feature_separates_as_a_whole(both: Features) -> None:
    """What fires on every expert prompt and on none of those to confirm on: none of 4 did where they were picked."""
    chosen = Selected(features=(), tried=4, picked_on="12 prompts", prompts=both.prompts)
    assert separates(chosen, both["novice"], both["expert"]) == Evidence(
        kind="separation",
        statement=f"some feature {SENTENCE}",
        outcome="refuted",
        reason="none of 4 features does so on 12 prompts, 12 of which are among these",
        scope="these templates",
        unit="share of prompts",
        tried=4,
        rule="a feature that separates all prompts separates those that were picked on; where none does, there is none",
    )


def test_the_weakest_prompt_is_taken_over_all_tokens_read() -> None:
    """Feature 0 reaches 3 and 4 on its two prompts, feature 1 reaches 5 on both; no matter on which token."""
    yes = tokens_read(["a", "b"], [[(3, 0), (1, 5)], [(0, 5), (4, 0), (2, 1)]])
    no = tokens_read(["c", "d"], [[(0, 0)], [(0, 0)]])
    assert separating_features(yes, no).features == (1, 0)


def test_ten_separating_features_are_kept_unless_more_are_asked_for() -> None:
    """Of twelve that separate, the strongest ten; the strength of each is its number."""
    yes = features(crossed("novice", range(1, 13), templates="A", topics=TOPICS))
    no = features(crossed("expert", [0] * 12, templates="A", topics=TOPICS))
    assert separating_features(yes, no).features == tuple(range(11, 1, -1))
    assert len(separating_features(yes, no, most=12).features) == 12


def test_what_is_refused_is_told_in_full(both: Features) -> None:
    """Controls, of which this kind has none, and a sentence on no feature at all."""
    novice, expert = both["novice"], both["expert"]
    with (
        recording(Recorder(controls=("length",))),
        pytest.raises(TypeError, match=r"^a comparison of the kind 'separation' takes no controls"),
    ):
        separates(0, novice, expert)
    with pytest.raises(
        ValueError, match=r"^separates\(\) was given no feature; a statement about none is not evidence$"
    ):
        separates((), novice, expert)


def recorded(style: str, rates: dict[int, float], *, n: int | None) -> RecordedStyle:
    """What a record of firing rates alone tells of a style."""
    return RecordedStyle(
        style=style, quantities={}, firing_rates=rates, exclusive={}, n_at_least=n, origin="feature_diff.json"
    )


def test_the_evidence_on_recorded_rates_as_a_whole() -> None:
    """Rates of 1 and 0 support the sentence on the recorded prompts, without an interval; a rate of 0.5 refutes it."""
    yes, no = recorded("novice", {7: 1.0, 8: 0.5}, n=4), recorded("expert", {7: 0.0, 8: 0.0}, n=3)
    samples = tuple(
        Sample(label=style, measure="firing rate of feature 7", unit="share of prompts", mean=rate, n=None)
        for style, rate in (("novice", 1.0), ("expert", 0.0))
    )
    evidence = separates(7, yes, no)
    expected = Evidence(
        kind="separation",
        statement=f"feature 7 {SENTENCE}",
        outcome="supported",
        reason="feature 7 fires on 100 % of novice and 0 % of expert prompts",
        scope="the recorded prompts, at least 4 + 3; beside expert prompts only",
        unit="share of prompts",
        estimate=1.0,
        level=0.95,
        units="prompts",
        n_units=(4, 3),
        samples=samples,
        rule=evidence.rule,
    )
    assert evidence == expected
    refuted = separates(8, yes, no)
    assert (refuted.outcome, refuted.reason) == (
        "refuted",
        "feature 8 fires on 50 % of novice and 0 % of expert prompts",
    )


def test_a_record_that_does_not_tell_how_many_prompts_decides_nothing() -> None:
    """Rates of 1 and 0 may then come from a single prompt; none is made up."""
    evidence = separates(7, recorded("novice", {7: 1.0}, n=None), recorded("expert", {7: 0.0}, n=None))
    assert (evidence.outcome, evidence.n_units) == ("inconclusive", (0, 0))
    assert evidence.reason == (
        "feature 7 fires on 100 % of novice and 0 % of expert prompts, but a side has fewer than 2 prompts"
    )


def test_a_recorded_side_beside_a_captured_one_has_no_bounds(both: Features) -> None:
    """A bound on one rate alone would tell nothing of the sentence, so that none is told."""
    evidence = separates(0, recorded("novice", {0: 1.0}, n=4), both["expert"])
    assert (evidence.outcome, evidence.n_units) == ("supported", (4, 6))
    assert evidence.reason == "feature 0 fires on 100 % of novice and 0 % of expert prompts"

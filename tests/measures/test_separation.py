"""Features that fire on every prompt of one style and on none of another: picked, confirmed, and refuted."""

from __future__ import annotations

import pytest
from by_hand import crossed, features
from scipy.stats import beta

from saeprobe.evidence import Recorder, recording
from saeprobe.features import Features
from saeprobe.measures import halves, separates, separating_features
from saeprobe.statistics.intervals import Shares, shares_interval

TOPICS = ("tides", "yeast", "comets", "rust")


@pytest.fixture
def separated() -> Features:
    """Feature 0 fires on novice alone, 1 on both, 2 on novice alone and more strongly, 3 on nothing."""
    rows = crossed("novice", (0.5, 1, 2, 0), templates="ABCD", topics=TOPICS)
    rows += crossed("expert", (0, 1, 0, 0), templates="ABCD", topics=TOPICS)
    rows[5] = ("novice", "B", "yeast", (9, 1, 2, 0))  # strong on one prompt only: its weakest stays 0.5
    return features(rows)


def test_separating_features_are_found_strongest_first(separated: Features) -> None:
    """Features 2 and 0 separate; 2 comes first, for it is stronger on its weakest prompt."""
    found = separating_features(separated["novice"], separated["expert"])
    assert found.features == (2, 0)
    assert found.tried == 4
    assert found.picked_on == "16 + 16 prompts"
    assert found.prompts == separated["novice"].prompts + separated["expert"].prompts
    assert separating_features(separated["novice"], separated["expert"], most=1).features == (2,)


def test_a_selection_of_none_refutes_that_there_is_one(separated: Features) -> None:
    """Where no feature separates, confirming the empty selection is refuted, and recorded."""
    expert, novice = separated["expert"], separated["novice"]
    chosen = separating_features(expert, novice)
    assert chosen.features == ()
    with recording(Recorder()) as recorder:
        evidence = separates(chosen, expert, novice)
    assert (evidence.outcome, recorder.evidence) == ("refuted", [evidence])
    assert evidence.statement == "some feature fires on every expert prompt and on no novice prompt"
    assert evidence.reason == "none of 4 features does so on 16 + 16 prompts, 32 of which are among these"
    assert (evidence.tried, evidence.rule) == (
        4,
        "a feature that separates all prompts separates those that were picked on; where none does, there is none",
    )


def test_a_separating_feature_is_supported_with_its_bounds(separated: Features) -> None:
    """Four of four templates support a rate of at least 0.025^(1/4) = 39.8 %, none of four at most 60.2 %."""
    evidence = separates(0, separated["novice"], separated["expert"])
    assert evidence.outcome == "supported"
    yes, no = evidence.samples
    assert yes.interval == (pytest.approx(0.025**0.25), 1.0)
    assert no.interval == (0.0, pytest.approx(1 - 0.025**0.25))
    assert "rates of at least 40 % and at most 60 %" in evidence.reason
    assert evidence.scope == "these 4 templates a style; beside expert prompts only"
    assert evidence.n_units == (16, 16)
    assert evidence.tried is None
    assert evidence.rule.startswith("supported where the feature fires on every prompt of the first side")
    assert [(unit.side, unit.unit[-10], unit.value) for unit in evidence.unit_values] == [
        *(("novice", letter, 1) for letter in "ABCD"),
        *(("expert", letter, 0) for letter in "ABCD"),
    ]


def test_a_template_counts_with_the_share_of_its_prompts() -> None:
    """Feature 0 fires on 15 of 16 novice prompts: 3.75 of 4 templates, whose lower end the beta distribution gives."""
    rows = crossed("novice", (1, 0), templates="ABCD", topics=TOPICS)
    rows[9] = ("novice", "C", "yeast", (0, 0))
    rows += crossed("expert", (0, 1), templates="ABCD", topics=TOPICS)
    of = features(rows)
    yes, no = separates(0, of["novice"], of["expert"]).samples
    assert yes.interval is not None
    assert yes.interval[0] == pytest.approx(beta.ppf(0.025, 3.75, 4 - 3.75 + 1))
    assert yes.interval == shares_interval(Shares(15 / 16, 3 * 0.25**2 / 16, 4, 4), tail=0.025)
    assert no.interval == (0.0, pytest.approx(1 - 0.025**0.25))
    with recording(Recorder(over=("topics",))):
        topics = separates(0, of["novice"], of["expert"])
    assert [unit.unit for unit in topics.unit_values] == list(TOPICS) * 2
    assert [unit.value for unit in topics.unit_values][:4] == [1, 0.75, 1, 1]


def test_controls_are_refused(separated: Features) -> None:
    """A universal sentence has no rival explanation to rule out; a claim that declares one is told so."""
    with recording(Recorder(controls=("length",))), pytest.raises(TypeError, match="the claim asks for length"):
        separates(0, separated["novice"], separated["expert"])


def test_fifty_prompts_of_one_wording_bound_the_rates() -> None:
    """Under one wording the prompts are counted: 50 of 50 and 0 of 50 give 92.9 % and 7.1 %, for this wording only."""
    topics = [f"topic {number}" for number in range(50)]
    rows = crossed("novice", (1, 0), templates="A", topics=topics) + crossed(
        "expert", (0, 1), templates="A", topics=topics
    )
    of = features(rows)
    evidence = separates(0, of["novice"], of["expert"])
    assert "rates of at least 93 % and at most 7 %" in evidence.reason
    assert evidence.scope == "this wording only; beside expert prompts only"


@pytest.mark.parametrize(
    ("row", "style", "acts", "told"),
    [
        (9, "novice", (0, 1, 2, 0), "silent on 'novice C: yeast', for example"),
        (16, "expert", (1, 1, 0, 0), "fires on 'expert A: tides', for example"),
    ],
)
def test_one_counterexample_refutes_and_is_named(
    separated: Features, row: int, style: str, acts: tuple[float, ...], told: str
) -> None:
    """A single exception among 32 prompts refutes a universal sentence, and the reason quotes the prompt."""
    rows = crossed("novice", (0.5, 1, 2, 0), templates="ABCD", topics=TOPICS)
    rows += crossed("expert", (0, 1, 0, 0), templates="ABCD", topics=TOPICS)
    assert separates(0, separated["novice"], separated["expert"])
    rows[row] = (style, rows[row][1], rows[row][2], acts)
    of = features(rows)
    evidence = separates(0, of["novice"], of["expert"])
    assert evidence.outcome == "refuted"
    assert evidence.reason.endswith(told)
    assert evidence.estimate == pytest.approx(15 / 16)


def test_several_features_must_each_separate(separated: Features) -> None:
    """0 and 2 do and support the sentence; with 1 among them it is refuted; all is recorded once."""
    novice, expert = separated["novice"], separated["expert"]
    with recording(Recorder()) as recorder:
        assert separates([0, 2], novice, expert).reason == "all 2 features do: 0, 2"
        evidence = separates([0, 1, 2], novice, expert)
    assert evidence.outcome == "refuted"
    assert evidence.reason.startswith("1 of 3 features do not: feature 1 fires on 100 % of novice and 100 % of expert")
    assert [part.outcome for part in evidence.parts] == ["supported", "refuted", "supported"]
    assert evidence.rule.startswith(
        "refuted where a single part is; else inconclusive where the own test of one does not"
    )
    assert len(recorder.evidence) == 2


def test_a_lone_prompt_shows_nothing() -> None:
    """One prompt a side is inconclusive, even without an exception."""
    of = features([("novice", "A", "tides", (1, 0)), ("expert", "A", "tides", (0, 1))])
    assert separates(0, of["novice"], of["expert"]).outcome == "inconclusive"


def test_features_that_do_not_exist_or_are_none_are_refused(separated: Features) -> None:
    """Feature 4 of four, and no feature at all."""
    novice, expert = separated["novice"], separated["expert"]
    with pytest.raises(ValueError, match=r"feature 4 is outside \[0, 4\)"):
        separates(4, novice, expert)
    with pytest.raises(ValueError, match="a statement about none is not evidence"):
        separates([], novice, expert)


def test_a_picked_feature_is_confirmed_on_the_other_half(separated: Features) -> None:
    """Picked on one half and confirmed on the other, the scope tells among how many it was picked, and where."""
    pick, confirm = halves(separated)
    chosen = separating_features(pick["novice"], pick["expert"], most=1)
    evidence = separates(chosen, confirm["novice"], confirm["expert"])
    assert evidence.outcome == "supported"
    assert evidence.scope == (
        "these 2 templates a style; beside expert prompts only; "
        "picked among 4 features on 4 + 4 prompts, other wordings and other topics"
    )
    assert evidence.tried == 4


def test_a_feature_that_fits_one_half_only_is_refuted_on_the_other() -> None:
    """Selection alone proves nothing: a feature that separates where it was picked fails where it is confirmed."""
    rows = crossed("novice", (1, 1), templates="A", topics=TOPICS) + crossed(
        "novice", (0, 1), templates="B", topics=TOPICS
    )
    rows += crossed("expert", (0, 1), templates="AB", topics=TOPICS)
    pick, confirm = halves(features(rows))
    chosen = separating_features(pick["novice"], pick["expert"])
    assert chosen.features == (0,)
    again = separates(chosen, pick["novice"], pick["expert"])
    assert again.outcome == "inconclusive"
    assert again.reason == (
        "feature 0 fires on 100 % of novice and 0 % of expert prompts; over these wordings that supports rates of at "
        "least 16 % and at most 84 %; but it was picked on these very prompts: other topics, or other wordings, would "
        "confirm it"
    )
    assert separates(chosen, confirm["novice"], confirm["expert"]).outcome == "refuted"

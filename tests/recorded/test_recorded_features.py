"""Recorded features and comparisons: what each decides, and what brings the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_records import EXPERT, TOPICS, article_diff, article_features, read

from saeprobe import about
from saeprobe.claims import NotRun
from saeprobe.evidence.evidence import Recorder, Terms, recording
from saeprobe.evidence.units import sample_of
from saeprobe.evidence.values import Summary
from saeprobe.features.sparse import Features
from saeprobe.measures import (
    active_share,
    exclusive_features,
    firing_rate,
    l0,
    max_activation,
    mean_activation,
    separates,
)
from saeprobe.recorded.directory import Recorded
from saeprobe.recorded.files import write_features
from saeprobe.recorded.results import FeatureDiff, FeatureRates, compare_styles, write_feature_diff

# features: the values of each prompt


def test_a_features_file_stands_for_a_capture(with_features: Features) -> None:
    """Each prompt is there by style and topic, with its features and no length."""
    assert (with_features.styles, len(with_features), with_features.d_sae) == (("novice", "expert"), 12, 4)
    np.testing.assert_array_equal(with_features["expert"].acts.toarray(), EXPERT)
    assert [prompt.topic for prompt in with_features["novice"].prompts] == list(TOPICS)
    assert with_features.n_tokens is None


def test_a_features_file_decides_by_prompt(with_features: Features) -> None:
    """L0 differs by 2, 1, 2, 2, 1, 2 over six topics of one wording: p = 2/64, supported for this wording only."""
    evidence = l0(with_features["novice"]) > l0(with_features["expert"])
    assert evidence.outcome == "supported"
    assert evidence.estimate == pytest.approx(10 / 6)
    assert evidence.p == pytest.approx(2 / 64)
    assert evidence.interval == pytest.approx((1.0, 2.0))
    assert evidence.scope == "this wording only, over 6 topics"
    assert (l0(with_features["expert"]) > l0(with_features["novice"])).outcome == "refuted"


def test_a_features_file_decides_separation_and_firing(with_features: Features) -> None:
    """Feature 0 separates; feature 3 is silent on four novice prompts, of which the first is named."""
    novice, expert = with_features["novice"], with_features["expert"]
    assert separates(0, novice, expert).outcome == "supported"
    refuted = separates(3, novice, expert)
    assert refuted.outcome == "refuted"
    assert "silent on '(novice prompt on yeast)'" in refuted.reason
    assert sample_of(firing_rate(novice, 3), Terms()).mean == pytest.approx(2 / 6)
    assert exclusive_features(novice, expert).summary.value == 2


def test_recorded_features_cannot_pass_a_control_for_length(with_features: Features) -> None:
    """The file does not tell how long the prompts were, so the control leaves the claim open."""
    with recording(Recorder(controls=("length",))):
        evidence = l0(with_features["novice"]) > l0(with_features["expert"])
    assert evidence.outcome == "inconclusive"
    assert "the record does not tell how long the prompts are" in evidence.reason


def test_a_features_file_goes_before_a_comparison(tmp_path: Path) -> None:
    """Where both lie in the directory, the one with the values decides."""
    write_features(tmp_path / "features_layer50.pt", article_features())
    write_feature_diff(tmp_path / "feature_diff.json", compare_styles(article_features(), "novice", "expert"))
    assert isinstance(read(tmp_path), Features)


def test_summaries_and_values_of_one_run_tell_the_same_means(tmp_path: Path, with_features: Features) -> None:
    """The comparison made from the features gives the same L0, exclusive counts and rates, and decides none of it."""
    folder = tmp_path / "diff"
    folder.mkdir()
    write_feature_diff(folder / "feature_diff.json", compare_styles(article_features(), "novice", "expert"))
    recorded = read(folder)
    assert isinstance(recorded, Recorded)
    for style, other in (("novice", "expert"), ("expert", "novice")):
        assert sample_of(l0(recorded[style]), Terms()).mean == pytest.approx(
            sample_of(l0(with_features[style]), Terms()).mean
        )
        count = exclusive_features(with_features[style], with_features[other]).summary.value
        assert exclusive_features(recorded[style], recorded[other]).summary.value == count
    assert (
        sample_of(firing_rate(recorded["novice"], 0), Terms()).mean
        == sample_of(firing_rate(with_features["novice"], 0), Terms()).mean
        == 1
    )
    assert (l0(recorded["novice"]) > l0(recorded["expert"])).outcome == "inconclusive"


# a comparison: summaries only


def test_a_comparison_gives_summaries_and_no_interval(with_diff: Recorded) -> None:
    """Means and counts are read; what is compared stays inconclusive, without interval and p."""
    novice, expert = with_diff["novice"], with_diff["expert"]
    assert isinstance(l0(novice), Summary)
    assert (sample_of(l0(novice), Terms()).mean, sample_of(l0(with_diff["standard"]), Terms()).mean) == (20.5, 19.0)
    for evidence in (
        l0(novice) > l0(expert),
        mean_activation(novice) == about(mean_activation(expert), share=0.1),
        exclusive_features(novice, expert) > exclusive_features(expert, novice),
    ):
        assert (evidence.outcome, evidence.interval, evidence.p) == ("inconclusive", None, None)
    assert exclusive_features(novice, expert).summary.value == 7


def test_a_comparison_decides_what_is_said_of_every_prompt(with_diff: Recorded) -> None:
    """Rates of 100 % and 0 % support a separation, 87.5 % refutes it; eighths mean at least 8 prompts."""
    evidence = separates(11, with_diff["novice"], with_diff["expert"])
    assert evidence.outcome == "supported"
    assert evidence.n_units == (8, 8)
    assert all(sample.interval is None for sample in evidence.samples)
    assert evidence.scope == "the recorded prompts, at least 8 + 8; the features were picked on these same prompts"
    assert separates(12, with_diff["novice"], with_diff["expert"]).outcome == "refuted"
    assert sample_of(firing_rate(with_diff["expert"], 13), Terms()).mean == 0.5


def test_a_comparison_that_shows_one_prompt_only_decides_nothing(tmp_path: Path) -> None:
    """Rates of 1 and 0 alone may come from a single prompt."""
    diff = article_diff()
    lone = {"novice": (FeatureRates(index=11, a=1.0, b=0.0),), "expert": (FeatureRates(index=13, a=0.0, b=1.0),)}
    write_feature_diff(
        tmp_path / "feature_diff.json",
        FeatureDiff(
            a=diff.a,
            b=diff.b,
            avg_active=diff.avg_active,
            avg_intensity=diff.avg_intensity,
            only_count=diff.only_count,
            dominant=lone,
            only=diff.only,
        ),
    )
    recorded = read(tmp_path)
    assert separates(11, recorded["novice"], recorded["expert"]).outcome == "inconclusive"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ask", "remedy"),
    [
        (
            lambda of: max_activation(of["novice"]),
            "feature_diff.json does not tell the max activation of novice prompts",
        ),
        (
            lambda of: active_share(of["novice"]),
            "put features_layer50.pt of the run beside it",
        ),
        (lambda of: mean_activation(of["standard"]), "does not tell the mean activation of standard prompts"),
        (lambda of: l0(of["guru"]), "tells nothing of guru prompts; it tells of: novice, expert, standard"),
        (
            lambda of: firing_rate(of["novice"], 99),
            "does not list feature 99; features_layer50.pt of the run would tell",
        ),
        (lambda of: l0(of.first_topic), "features_layer50.pt of the run tells of the first"),
        (
            lambda of: exclusive_features(of["standard"], of["novice"]).summary,
            "does not tell which features are exclusive to standard beside novice",
        ),
    ],
)
def test_what_a_comparison_does_not_tell_is_not_run(
    with_diff: Recorded, ask: Callable[[Recorded], object], remedy: str
) -> None:
    """Each text says what is missing and what would tell."""
    with pytest.raises(NotRun) as refused:
        ask(with_diff)
    assert remedy in str(refused.value)


def test_a_recorded_side_is_not_compared_with_a_captured_one(with_diff: Recorded, with_features: Features) -> None:
    """Counts over features need both sides from the same place."""
    count = exclusive_features(with_features["novice"], with_diff["expert"])
    with pytest.raises(TypeError, match="one side is recorded and the other captured"):
        _ = count.summary

"""Recorded files stand for captures: what each decides, and what brings the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from made_records import EXPERT, TOPICS, article_diff, article_features, read

from saeprobe import about, every
from saeprobe.claims import NotRun
from saeprobe.evidence import Recorder, Terms, recording
from saeprobe.evidence.units import sample_of
from saeprobe.evidence.values import Measurement, Summary
from saeprobe.features import Features, Keep
from saeprobe.files import FileError
from saeprobe.measures import (
    active_share,
    effective_rank,
    exclusive_features,
    firing_rate,
    l0,
    max_activation,
    mean_activation,
    separates,
)
from saeprobe.recorded.comparison import FeatureDiff, FeatureRates, compare_styles, smallest_count, write_feature_diff
from saeprobe.recorded.record import Recorded, RecordedStyle
from saeprobe.recorded.tensors import ArticleActivations, write_article

# features: the values of each prompt


def test_a_features_file_stands_for_a_capture(with_features: Features) -> None:
    """Each prompt is there by style and topic, with its features and no length."""
    assert (with_features.present, len(with_features), with_features.d_sae) == (("novice", "expert"), 12, 4)
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
    """Feature 0 separates; feature 3 is silent on four novice prompts, of which the first is named.

    Feature 0 was picked on these prompts, if it is published, so that they leave it open; its activations are given.
    """
    novice, expert = with_features["novice"], with_features["expert"]
    open_ = separates(0, novice, expert)
    assert open_.outcome == "inconclusive"
    assert "100 % of novice and 0 % of expert prompts" in open_.reason
    assert "; its weakest firing there is 1, the mean one 1" in open_.reason
    assert "it was picked on these very prompts: other topics, or other wordings, would confirm it" in open_.reason
    assert open_.scope.endswith("; picked on these same prompts")
    refuted = separates(3, novice, expert)
    assert refuted.outcome == "refuted"
    assert "silent on '(novice prompt on yeast)'" in refuted.reason
    assert sample_of(firing_rate(novice, 3), Terms()).mean == pytest.approx(2 / 6)
    assert exclusive_features(novice, expert).summary.value == 2


def test_recorded_features_cannot_pass_a_control_for_length(with_features: Features) -> None:
    """The file does not say how long the prompts were, so the control leaves the claim open."""
    with recording(Recorder(controls=("length",))):
        evidence = l0(with_features["novice"]) > l0(with_features["expert"])
    assert evidence.outcome == "inconclusive"
    assert "the record does not say how long the prompts are" in evidence.reason


def test_a_features_file_goes_before_a_comparison(tmp_path: Path) -> None:
    """Where both lie in the directory, the one with the values decides."""
    write_article(tmp_path / "features_layer50.pt", article_features())
    write_feature_diff(tmp_path / "feature_diff.json", compare_styles(article_features(), "novice", "expert"))
    assert isinstance(read(tmp_path), Features)


def test_summaries_and_values_of_one_run_have_the_same_means(tmp_path: Path, with_features: Features) -> None:
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
        mean_activation(novice, pooled=True) == about(mean_activation(expert, pooled=True), share=0.1),
        exclusive_features(novice, expert) > exclusive_features(expert, novice),
    ):
        assert (evidence.outcome, evidence.interval, evidence.p) == ("inconclusive", None, None)
    assert exclusive_features(novice, expert).summary.value == 7


def test_a_comparison_keeps_the_two_means_of_strength_apart(with_diff: Recorded, tmp_path: Path) -> None:
    """The published file has the pooled mean alone, which is not taken for the other; the file of `diff` has both.

    Novice pools 27 over 16 active values; its prompts' means are 7/3, 4/2, 3/3, 6/3, 4/2 and 3/3.
    """
    with pytest.raises(NotRun, match=r"pools all active values of novice prompts.*mean_activation\(..., pooled=True\)"):
        mean_activation(with_diff["novice"])
    assert mean_activation(with_diff["novice"], pooled=True).name == "pooled mean activation of novice"
    write_feature_diff(tmp_path / "feature_diff.json", compare_styles(article_features(), "novice", "expert"))
    own = read(tmp_path)
    assert isinstance(own, Recorded)
    means = [mean_activation(own["novice"], pooled=pooled) for pooled in (True, False)]
    assert [mean.value for mean in means if isinstance(mean, Summary)] == pytest.approx([27 / 16, (7 / 3 + 8) / 6])


def test_a_separating_feature_beyond_those_that_lean_most_is_known(with_diff: Recorded, tmp_path: Path) -> None:
    """A file that lists all of them lets each be decided; one that lists those that lean most does not."""
    with pytest.raises(NotRun, match="does not list feature 40"):
        separates(40, with_diff["novice"], with_diff["expert"])
    write_feature_diff(tmp_path / "feature_diff.json", replace(article_diff(), separating={"novice": (11, 40)}))
    own = read(tmp_path)
    assert isinstance(own, Recorded)
    assert "fires on 100 % of novice and 0 % of expert" in separates(40, own["novice"], own["expert"]).reason


def test_a_comparison_decides_what_is_said_of_every_prompt(with_diff: Recorded) -> None:
    """Rates of 100 % and 0 % leave open what was picked by them, 87.5 % refutes it; eighths mean at least 8 prompts."""
    evidence = separates(11, with_diff["novice"], with_diff["expert"])
    assert evidence.outcome == "inconclusive"
    assert evidence.n_units == (8, 8)
    assert all(sample.interval is None for sample in evidence.samples)
    picked = "; beside expert prompts only; picked on these same prompts"
    assert evidence.scope == f"the recorded prompts, at least 8 + 8{picked}"
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
            "feature_diff.json does not hold the max activation of novice prompts",
        ),
        (
            lambda of: active_share(of["novice"]),
            "put features_layer50.pt of the run beside it",
        ),
        (lambda of: mean_activation(of["standard"]), "does not hold the mean activation a prompt of standard"),
        (lambda of: l0(of["guru"]), "holds nothing of guru prompts; it has: novice, expert, standard"),
        (
            lambda of: firing_rate(of["novice"], 99),
            "does not list feature 99; put features_layer50.pt of the run beside it",
        ),
        (lambda of: l0(of.first_topic), "holds all topics together; put features_layer50.pt of the run beside it"),
        (
            lambda of: exclusive_features(of["standard"], of["novice"]).summary,
            "does not say which features are exclusive to standard compared with novice",
        ),
    ],
)
def test_what_a_comparison_does_not_hold_is_not_run(
    with_diff: Recorded, ask: Callable[[Recorded], object], remedy: str
) -> None:
    """Each text says what is missing and what would bring it."""
    with pytest.raises(NotRun) as refused:
        ask(with_diff)
    assert remedy in str(refused.value)


def test_a_recorded_side_is_not_compared_with_a_captured_one(with_diff: Recorded, with_features: Features) -> None:
    """Counts over features need both sides from the same place."""
    count = exclusive_features(with_features["novice"], with_diff["expert"])
    with pytest.raises(TypeError, match="one side is recorded and the other captured"):
        _ = count.summary


# an EID table


def test_an_eid_table_gives_a_value_and_a_length_a_prompt(with_eid: Recorded) -> None:
    """Each persona has its values in the order of the topics, with the prompts' lengths."""
    found = effective_rank(with_eid["novice"])
    assert isinstance(found, Measurement)
    assert list(found.values[:2]) == pytest.approx([4.5 + 0.3 * 28 + 0.3, 4.5 + 0.3 * 29 + 0.1])
    assert found.n_tokens is not None
    assert list(found.n_tokens) == [28, 29, 30, 30, 31, 32]
    assert [prompt.topic for prompt in found.prompts] == list(TOPICS)
    assert with_eid.styles == ("standard", "novice", "expert")


def test_an_eid_table_decides_under_the_control_for_length(with_eid: Recorded) -> None:
    """Novice above expert survives at equal length; both above standard is what 12 tokens more do.

    12 tokens at about 0.3 make 3.6; novice lies 3.3 above standard on average and expert 3.1.
    """
    with recording(Recorder(controls=("length",))):
        equal = effective_rank(with_eid["novice"]) > effective_rank(with_eid["expert"])
        longer = every(effective_rank(with_eid[style]) for style in ("novice", "expert")) > effective_rank(
            with_eid["standard"]
        )
    assert equal.outcome == "supported"
    assert equal.estimate == pytest.approx(1.3 / 6)
    assert longer.outcome == "explained"
    assert "2 of the 2 differences fall below zero (0 before)" in longer.reason


def test_an_eid_table_holds_effective_rank_only(with_eid: Recorded) -> None:
    """Other measures are not run, with the file that would bring them."""
    with pytest.raises(NotRun, match=r"does not hold the l0 of novice prompts \(it holds: effective rank\)"):
        l0(with_eid["novice"])


# what is not there


@pytest.mark.parametrize(
    ("keep", "at", "remedy"),
    [
        ("features", "last", "put features_layer50.pt or feature_diff.json of the run there"),
        (
            "effective_rank",
            "last",
            "(no file; folders in it are not searched) holds no EID table; put eid_persona_results.json",
        ),
        ("features", "all", "recorded files hold the features of the last token only"),
        ("activations", "last", "recorded files hold the features of the last token only"),
    ],
)
def test_an_empty_directory_says_what_to_put_there(
    tmp_path: Path, keep: Keep, at: Literal["last", "all"], remedy: str
) -> None:
    """Each capture names the file that would decide it, or why none can."""
    with pytest.raises(NotRun) as refused:
        read(tmp_path, keep=keep, at=at)
    assert remedy in str(refused.value)


def test_activations_alone_are_to_be_encoded_first(tmp_path: Path) -> None:
    """The command that makes features of them is named with the file."""
    path = tmp_path / "activations_layer50.pt"
    write_article(
        path,
        ArticleActivations(
            topics=TOPICS[:2],
            gurus=("", ""),
            rows=dict.fromkeys(("novice", "expert"), np.ones((2, 3), dtype=np.float32)),
        ),
    )
    with pytest.raises(NotRun) as refused:
        read(tmp_path)
    assert f"saeprobe encode {path} --sae SAE -o features_layer50.pt" in str(refused.value)


def test_a_damaged_file_is_an_error_and_no_verdict(tmp_path: Path) -> None:
    """A file of the right name and the wrong content is refused, not passed over."""
    (tmp_path / "feature_diff.json").write_text("{", encoding="utf-8")
    with pytest.raises(FileError, match="it is not JSON"):
        read(tmp_path)


# the prompts behind a rate


@pytest.mark.parametrize(
    ("rates", "smallest"),
    [
        ((1.0, 0.0), 1),
        ((0.5,), 2),
        ((0.25, 0.5), 4),
        ((0.98, 0.02), 50),
        ((1 / 3, 1 / 4), 12),
        ((float(np.float32(1 / 7)),), 7),
        ((1 / 1009,), None),
    ],
)
def test_the_smallest_number_of_prompts_behind_rates(rates: tuple[float, ...], smallest: int | None) -> None:
    """Every rate must be a whole number of that many prompts; float32 may have rounded it; some are none."""
    assert smallest_count(rates) == smallest


@given(n=st.integers(1, 200), fired=st.lists(st.integers(0, 200), min_size=1, max_size=5))
def test_the_smallest_number_divides_the_true_one(n: int, fired: list[int]) -> None:
    """Rates out of n prompts are whole out of the number found, which is the least common denominator."""
    assume(all(count <= n for count in fired))
    rates = tuple(float(np.float32(count / n)) for count in fired)
    expected = n // int(np.gcd.reduce([n, *fired]))
    assert smallest_count(rates) == expected


def test_a_recorded_style_names_itself_and_its_file(with_diff: Recorded) -> None:
    """A record shows the file that it comes from."""
    assert isinstance(with_diff["novice"], RecordedStyle)
    assert repr(with_diff["novice"]) == "<novice of feature_diff.json>"
    assert repr(with_diff) == "<feature_diff.json: novice, expert, standard>"

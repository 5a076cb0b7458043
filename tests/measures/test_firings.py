"""Counts of prompts by style, beside printed counts and beside those of other features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from by_hand import Row, features
from scipy.sparse import csr_array
from test_signature import captured, recorded

from saeprobe import about, ordered, published
from saeprobe.claims import Claim, NotRun
from saeprobe.evidence import Recorder, recording
from saeprobe.features import Features, RecordedRun
from saeprobe.measures import activation, fewest, firing_rate, firings
from saeprobe.recorded.record import Recorded, RecordedStyle
from saeprobe.verdicts import decide

COUNTS = {"novice": 50, "standard": 4, "spaces": 2, "guru": 0}


def sources() -> list[Features | Recorded]:
    """The same counts of feature 0 as a capture and as a record."""
    return [
        captured(**{style: (count,) for style, count in COUNTS.items()}),
        recorded(**{style: {0: count} for style, count in COUNTS.items()}),
    ]


@pytest.mark.parametrize("styles", sources())
def test_counts_are_held_against_printed_ones_exactly(styles: Features | Recorded) -> None:
    """Each label by itself: all agree, and a count that is one off does not."""
    evidence = firings(styles, 0) == published(**COUNTS, unit="prompts", n=50)
    assert (evidence.kind, evidence.outcome) == ("published", "supported")
    assert [(sample.label, sample.mean, sample.n) for sample in evidence.samples] == [
        (style, pytest.approx(count), 50) for style, count in COUNTS.items()
    ]
    assert "4 of 4 agree" in evidence.reason
    off = firings(styles, 0) == published(**(COUNTS | {"standard": 5}), unit="prompts", n=50)
    assert off.outcome == "refuted"
    assert "standard 4 (5)" in off.reason
    assert "3 of 4 agree" in off.reason


def test_counts_are_compared_with_printed_counts_alone() -> None:
    """Another unit, a plain number and a bare style are refused with what to write."""
    styles = sources()[0]
    with pytest.raises(TypeError, match="is not what the numbers are printed of"):
        _ = firings(styles, 0) == published(novice=1, unit="share of prompts")
    with pytest.raises(TypeError, match=r"wanted published\(novice=50, unit='prompts', n=50\)"):
        _ = firings(styles, 0) == 50
    with pytest.raises(TypeError, match=r"'novice' holds no styles; give what a capture read"):
        firings("novice", 0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="says nothing by itself"):
        bool(firings(styles, 0))


def test_what_a_record_does_not_count_is_not_run() -> None:
    """Shares of unknown prompts, an unlisted feature and an absent style are no counts."""
    styles = recorded(None, novice={0: 50})
    with pytest.raises(NotRun, match="gives a share of novice prompts and not of how many"):
        _ = firings(styles, 0) == published(novice=50, unit="prompts")
    with pytest.raises(NotRun, match="does not list feature 7"):
        _ = firings(recorded(novice={0: 50}), 7) == published(novice=50, unit="prompts")
    with pytest.raises(NotRun, match="holds nothing of guru prompts"):
        _ = firings(recorded(novice={0: 50}), 0) == published(guru=50, unit="prompts")


def test_the_feature_of_the_fewest_other_prompts_is_found() -> None:
    """Of the others on 150 prompts, 2 is fewer than 13 and 167; the order in which they are named is no matter."""
    styles = recorded(
        expert={0: 50, 1: 50, 2: 50}, guru={0: 2, 1: 13, 2: 49}, padding={0: 0, 1: 0, 2: 50}, spaces={0: 0, 1: 0, 2: 35}
    )
    evidence = fewest(0, [2, 0, 1], styles["expert"])
    assert (evidence.outcome, evidence.unit) == ("supported", "prompts")
    assert [(sample.label, sample.mean, sample.n) for sample in evidence.samples] == [
        ("feature 0", 2, 150),
        ("feature 2", 134, 150),
        ("feature 1", 13, 150),
    ]
    assert (
        evidence.reason == "feature 0 fires on 2 of 150 prompts of guru, padding, spaces; feature 1 13, feature 2 134"
    )
    contrary = fewest(1, [0, 2], styles["expert"])
    assert (contrary.outcome, contrary.reason.split(": ")[-1]) == ("refuted", "fewest is feature 0")


@pytest.mark.parametrize("as_record", [True, False])
def test_a_tie_is_a_tie(as_record: bool) -> None:  # noqa: FBT001
    """Two features fire on 6 other prompts each, 4 + 2 and 6: neither is the purest one."""
    counts = {"novice": (50, 50, 50), "standard": (4, 0, 4), "padding": (0, 6, 9), "spaces": (2, 0, 0)}
    styles = (
        recorded(**{style: dict(enumerate(of)) for style, of in counts.items()}) if as_record else captured(**counts)
    )
    evidence = fewest(1, [0, 1, 2], styles["novice"])
    assert evidence.outcome == "refuted"
    assert evidence.reason.endswith(": a tie with feature 0")


def test_rounding_leaves_the_fewest_open() -> None:
    """One prompt apart, where rounding decides on one of them, nothing is said; two apart, where it is one, it is."""
    styles = captured(expert=(50, 50, 50), guru=(1, 2, 3))
    rows = np.zeros((100, 3), dtype=bool)
    rows[51, 1] = True  # the second guru prompt, on which feature 1 fires within rounding of its threshold
    near = replace(styles, near=csr_array(rows), tolerance=1e-4)
    assert fewest(0, [1, 2], near["expert"]).outcome == "inconclusive"
    assert fewest(0, [2], near["expert"]).outcome == "supported"
    assert fewest(0, [1, 2], styles["expert"]).outcome == "supported"


def test_the_fewest_needs_others_of_both_kinds() -> None:
    """No other feature, and no other style, is nothing to be fewest among; nor is a single prompt."""
    styles = captured(expert=(50, 50), guru=(1, 2))
    with pytest.raises(ValueError, match="was given feature 0 alone"):
        fewest(0, [0], styles["expert"])
    with pytest.raises(NotRun, match="no style but expert was read or recorded"):
        fewest(0, [1], recorded(expert={0: 50, 1: 50})["expert"])
    one: list[Row] = [("expert", "A", "x", [1.0, 1.0]), ("guru", "A", "x", [0.0, 1.0])]
    assert fewest(0, [1], features(one)["expert"]).outcome == "inconclusive"


def test_the_fewest_is_not_known_where_a_style_lacks_a_feature() -> None:
    """Of three other styles one does not list feature 1; on the other two feature 0 would lose by 2 to 1."""
    styles = recorded(expert={0: 50, 1: 50}, guru={0: 2, 1: 1}, padding={0: 0}, spaces={0: 0, 1: 0})
    with pytest.raises(NotRun, match=r"counts\.json does not list feature 1 on padding prompts, and all others count"):
        fewest(0, [1], styles["expert"])


def test_what_the_fewest_is_recorded_of_stays_with_it() -> None:
    """The samples name the run, from which the verdict says as recorded in which file."""
    run = RecordedRun(origin="counts.json", n=50)
    styles = recorded(expert={0: 50, 1: 50}, guru={0: 2, 1: 13})
    known = replace(styles, by_style={style: replace(of, run=run) for style, of in styles.by_style.items()})
    assert [sample.run for sample in fewest(0, [1], known["expert"]).samples] == [run, run]


@pytest.mark.parametrize("styles", sources())
@pytest.mark.parametrize(
    ("printed", "n", "said"),
    [
        ({"novice": 50}, 100, "a count of 100 prompts of novice cannot be held against a count of 50"),
        ({"guru": 0, "novice": 50}, 49, "a count of 49 prompts of guru cannot be held against a count of 50"),
        ({"novice": 51}, None, "51 prompts of novice cannot be held against a count of 50"),
        ({"novice": 50}, None, None),
    ],
)
def test_counts_are_compared_of_as_many_prompts_alone(
    styles: Features | Recorded, printed: dict[str, float], n: int | None, said: str | None
) -> None:
    """50 of 100 is no 50 of 50; without the source's number of prompts it must at least be possible."""
    if said is None:
        assert firings(styles, 0) == published(**printed, unit="prompts", n=n)
        return
    with pytest.raises(NotRun, match=said):
        _ = firings(styles, 0) == published(**printed, unit="prompts", n=n)


def test_counts_that_a_claim_prints_are_of_as_many_prompts_too() -> None:
    """What the claim itself states is not compared either, and leaves a sentence that holds open."""
    styles = sources()[0]
    for n, word in ((50, "supported"), (100, "inconclusive")):
        made = Claim(
            sentence="It is.", id="a.b", source="here", published={"s": published(novice=50, unit="prompts", n=n)}
        )
        with recording(Recorder()) as recorder:
            _ = firings(styles, 0) == published(novice=50, unit="prompts", n=50)
        verdict, compared, _ = decide(made, "s", recorder.evidence, None)
        assert (verdict.word, len(compared)) == (word, 1 if n == 50 else 0)


def test_an_activation_is_one_value_a_prompt() -> None:
    """It is 0 where the feature is silent; a record gives its own values, or says that it holds none."""
    rows: list[Row] = [("novice", "A", topic, [value, 1.0]) for topic, value in (("x", 0.25), ("y", 0.0), ("z", 2.0))]
    measured = activation(features(rows)["novice"], 0)
    assert measured.values.tolist() == [0.25, 0.0, 2.0]
    assert (measured.measure, measured.unit) == ("activation of feature 0", "activation")
    with pytest.raises(ValueError, match=r"feature 2 is outside \[0, 2\)"):
        activation(features(rows)["novice"], 2)
    style = RecordedStyle(
        style="novice", quantities={}, firing_rates={0: 2 / 3}, n=3, activations={0: measured}, origin="context.json"
    )
    assert activation(style, 0).values is measured.values
    with pytest.raises(NotRun, match=r"context\.json does not hold what feature 5 does on novice prompts"):
        activation(style, 5)


@pytest.mark.parametrize(("weakest", "said"), [(0.0038, True), (0.05, False)])
def test_the_weakest_recorded_firing_is_said_where_it_lies_near_zero(weakest: float, said: bool) -> None:  # noqa: FBT001
    """Under a tenth of the mean strength (0.18 and 0.2) rounding may decide it; silent prompts are no firings."""
    rows: list[Row] = [
        ("novice", "A", str(place), [value]) for place, value in enumerate((weakest, 0.25, 0.25, 0.25, 0.0))
    ]
    values = activation(features(rows)["novice"], 0)
    style = RecordedStyle(
        style="novice", quantities={}, firing_rates={0: 0.8}, n=5, activations={0: values}, origin="context.json"
    )
    near = (firing_rate(style, 0) > 0.1).samples[0].near_threshold
    wanted = (
        "the weakest recorded firing of feature 0 is 0.0038 where 0.188 is the mean, so that rounding may decide it"
    )
    assert near == (wanted if said else None)


ACTIVATIONS: list[Row] = [
    (style, "A", str(place), [2.0 + place / 100, 1.0 + place / 200, 0.25])
    for style in ("novice", "expert")
    for place in range(8)
]


def test_activations_of_two_features_are_compared_on_the_same_prompts() -> None:
    """Each side is named by its feature; the mean difference of 0 and 1 is 1 + 0.035 / 2."""
    of = features(ACTIVATIONS)["novice"]
    evidence = activation(of, 0) > activation(of, 1)
    assert (evidence.outcome, evidence.estimate) == ("supported", pytest.approx(1.0175))
    assert [sample.label for sample in evidence.samples] == ["feature 0 of novice", "feature 1 of novice"]
    assert evidence.statement == "activation of feature 0 of novice > activation of feature 1 of novice"
    assert ordered([activation(of, feature) for feature in (0, 1, 2)]).outcome == "supported"
    assert (activation(of, 0) > 1.1 * activation(of, 1)).outcome == "supported"
    assert (activation(of, 0) == about(activation(of, 1), margin=0.1)).outcome == "refuted"
    with pytest.raises(TypeError, match="compare like with like"):
        _ = activation(of, 0) > firing_rate(of, 1)


def test_two_features_on_other_prompts_have_no_slope_of_length_in_common() -> None:
    """The control cannot be run there; on the same prompts no length differs."""
    of = features(ACTIVATIONS)
    with recording(Recorder(controls=("length",))):
        apart = activation(of["novice"], 0) > activation(of["expert"], 1)
        same = activation(of["novice"], 0) > activation(of["novice"], 1)
    assert (apart.outcome, same.outcome) == ("inconclusive", "supported")
    assert "two features on other prompts rise with length each in its way" in apart.controls[0].detail

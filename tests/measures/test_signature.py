"""A signature beside every style that was read or recorded: what it is, what it is not, and what is not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from by_hand import Row, crossed, features
from scipy.stats import beta

from saeprobe.claims import NotRun
from saeprobe.evidence import Recorder, recording
from saeprobe.features import Features
from saeprobe.measures import firing_rate, separates, signature
from saeprobe.measures.halving import Selected
from saeprobe.recorded.record import Recorded, RecordedStyle

TOPICS = tuple(f"topic {number}" for number in range(50))


def captured(**fires: tuple[int, ...]) -> Features:
    """One wording a style on 50 topics; feature k fires on the first `fires[style][k]` of them."""
    rows: list[Row] = [
        (style, "A", topic, [float(place < count) for count in counts])
        for style, counts in fires.items()
        for place, topic in enumerate(TOPICS)
    ]
    return features(rows)


def recorded(n: int | None = 50, **fires: Mapping[int, int]) -> Recorded:
    """Counts by style and feature, out of 50, whose number the record gives or does not."""
    by_style = {
        style: RecordedStyle(
            style=style,
            quantities={},
            firing_rates={feature: count / 50 for feature, count in counts.items()},
            n=n,
            n_at_least=50,
            origin="counts.json",
        )
        for style, counts in fires.items()
    }
    return Recorded(subject="hand", by_style=by_style, origin="counts.json")


def both(expert: int, novice: int, **beside: int) -> list[Features | Recorded]:
    """The same counts of feature 0, as a capture and as a record."""
    counts = {"expert": expert, "novice": novice, **beside}
    return [
        captured(**{style: (count,) for style, count in counts.items()}),
        recorded(**{style: {0: count} for style, count in counts.items()}),
    ]


@pytest.mark.parametrize("styles", both(50, 0, guru=13, padding=50, spaces=0))
def test_a_separating_feature_is_shown_beside_every_other_style(styles: Features | Recorded) -> None:
    """The sentence on expert and novice stays supported; that padding fires as often says it is no signature."""
    evidence = separates(0, styles["expert"], styles["novice"])
    assert evidence.outcome == "supported"
    assert [(sample.label, sample.mean) for sample in evidence.samples] == [
        ("expert", 1),
        ("novice", 0),
        ("guru", 0.26),
        ("padding", 1),
        ("spaces", 0),
    ]
    assert evidence.reason.endswith(
        "; fires on 100 % of padding, 26 % of guru prompts too; on no spaces prompt: not a signature of expert prompts"
    )
    assert "only" not in evidence.scope.replace("this wording only", "")
    low = beta.ppf(0.025, 13, 38), beta.ppf(0.975, 14, 37)
    assert evidence.samples[2].interval == pytest.approx(low)


def test_several_separating_features_name_those_that_are_no_signature() -> None:
    """Of features 0, 1 and 2 the last two fire on all prompts of another style."""
    styles = recorded(
        expert={0: 50, 1: 50, 2: 50}, novice={0: 0, 1: 0, 2: 0}, guru={0: 2, 1: 50, 2: 50}, padding={0: 0, 1: 44, 2: 50}
    )
    evidence = separates([0, 1, 2], styles["expert"], styles["novice"])
    assert evidence.outcome == "supported"
    assert evidence.reason == (
        "all 3 features do: 0, 1, 2; not a signature of expert prompts, as another style fires as often: "
        "1 (guru), 2 (guru, padding)"
    )


@pytest.mark.parametrize("styles", both(50, 0))
def test_two_styles_alone_are_said_to_be_alone(styles: Features | Recorded) -> None:
    """Nothing is known of other styles, which the scope says."""
    assert "; beside novice prompts only" in separates(0, styles["expert"], styles["novice"]).scope


@pytest.mark.parametrize(
    ("counts", "outcome", "said"),
    [
        ({"expert": 50, "novice": 0, "guru": 13}, "supported", "and surely on fewer elsewhere; fires on 26 % of guru"),
        (
            {"expert": 50, "novice": 0, "guru": 50},
            "refuted",
            "; fires on 100 % of guru prompts too; on no novice prompt",
        ),
        ({"expert": 49, "novice": 0, "guru": 13}, "refuted", "feature 0 fires on 98 % of expert prompts"),
        ({"expert": 50, "novice": 0, "guru": 49}, "inconclusive", "by the intervals it may be as many of guru"),
        ({"expert": 50}, "inconclusive", "no other style was read"),
    ],
)
def test_a_signature_fires_on_all_of_its_style_and_surely_on_fewer_of_others(
    counts: Mapping[str, int], outcome: str, said: str
) -> None:
    """A missed prompt and another style as full refute it; 49 of 50 may be all, and alone it is no one's."""
    capture = captured(**{style: (count,) for style, count in counts.items()})
    record = recorded(**{style: {0: count} for style, count in counts.items()})
    for styles in (capture, record):
        evidence = signature(0, styles["expert"])
        assert (evidence.kind, evidence.outcome) == ("separation", outcome)
        assert said in evidence.reason
        assert [sample.label for sample in evidence.samples] == list(counts)
        assert evidence.statement == "feature 0 fires on every expert prompt, and on fewer of every other style"


def test_the_level_of_a_signature_is_shared_over_the_styles() -> None:
    """With five others each interval is at 1 - 0.05 / 6; of 50 of 50 it begins at (0.05 / 12) ** (1 / 50)."""
    styles = recorded(**{style: {0: 50 * (style == "expert")} for style in ("expert", "a", "b", "c", "d", "e")})
    evidence = signature(0, styles["expert"])
    assert evidence.level == pytest.approx(1 - 0.05 / 6)
    assert evidence.samples[0].interval == (pytest.approx((0.05 / 12) ** (1 / 50)), 1)
    assert evidence.samples[1].interval == (0, pytest.approx(1 - (0.05 / 12) ** (1 / 50)))
    assert evidence.scope.startswith("the recorded prompts, 50, one wording a style; beside a, b, c, d, e")


def test_the_least_count_that_is_surely_lower_is_where_the_intervals_part() -> None:
    """With one other style at 0.975 each, 40 of 50 ends (0.910) below where 50 of 50 begins, and 41 does not."""
    begins = 0.0125 ** (1 / 50)  # = 0.916
    ends = [beta.ppf(1 - 0.0125, count + 1, 50 - count) for count in range(50)]
    most = max(count for count, end in enumerate(ends) if end < begins)
    for count, outcome in ((most, "supported"), (most + 1, "inconclusive")):
        assert signature(0, recorded(expert={0: 50}, guru={0: count})["expert"]).outcome == outcome


def test_templates_are_the_units_of_a_signature() -> None:
    """Four wordings that all fire beside four that never do leave it open, and twelve decide it."""
    for letters, outcome in (("ABCD", "inconclusive"), ("ABCDEFGHIJKL", "supported")):
        rows = crossed("expert", (1,), templates=letters, topics=("x", "y"))
        rows += crossed("guru", (0,), templates=letters, topics=("x", "y"))
        evidence = signature(0, features(rows)["expert"])
        assert evidence.outcome == outcome
        assert f"these {len(letters)} templates a style" in evidence.scope


def test_a_record_of_shares_alone_shows_and_does_not_decide() -> None:
    """As full a share refutes it; a lower one of unknown prompts is open; styles that do not list it are left out."""
    lower = recorded(None, expert={0: 50}, novice={0: 0}, standard={})
    assert signature(0, lower["expert"]).outcome == "inconclusive"
    assert signature(0, recorded(None, expert={0: 50}, guru={0: 50})["expert"]).outcome == "refuted"
    assert [sample.label for sample in signature(0, lower["expert"]).samples] == ["expert", "novice"]
    assert "; beside novice" in signature(0, lower["expert"]).scope
    with pytest.raises(NotRun, match="does not list feature 9"):
        signature(9, lower["expert"])


def test_a_style_that_is_not_known_leaves_a_signature_open() -> None:
    """It may fire there as often; a style that is known, and does, refutes it all the same."""
    open_ = signature(0, recorded(expert={0: 50}, novice={0: 0}, guru={}, standard={1: 3})["expert"])
    assert open_.outcome == "inconclusive"
    assert open_.reason.startswith(
        "feature 0 fires on 100 % of expert prompts; not known is on how many of guru, standard"
    )
    assert open_.scope.startswith("the recorded prompts, 50, one wording a style; beside novice")
    assert signature(0, recorded(expert={0: 50}, novice={0: 50}, guru={})["expert"]).outcome == "refuted"


def test_a_separation_names_the_styles_that_were_looked_at() -> None:
    """Where a style is not known the scope lists the others, of each feature its own."""
    styles = recorded(expert={0: 50, 1: 50}, novice={0: 0, 1: 0}, guru={0: 13}, padding={0: 0, 1: 0})
    assert "beside novice, padding prompts only" in separates(1, styles["expert"], styles["novice"]).scope
    assert "against" not in separates(0, styles["expert"], styles["novice"]).scope
    assert "beside novice, padding prompts only" in separates([0, 1], styles["expert"], styles["novice"]).scope


def test_several_signatures_are_one_sentence() -> None:
    """One that another style shares refutes it, though the first one holds; it is recorded once."""
    styles = recorded(expert={0: 50, 1: 50}, guru={0: 2, 1: 50})
    with recording(Recorder()) as recorder:
        evidence = signature([0, 1], styles["expert"])
    assert recorder.evidence == [evidence]
    assert (evidence.kind, evidence.outcome) == ("every", "refuted")
    assert evidence.reason.startswith(
        "1 of 2 features do not: feature 1 fires on 100 % of expert prompts; fires on 100 %"
    )


def test_what_was_picked_on_these_prompts_is_no_confirmed_signature() -> None:
    """It has to be confirmed on others, and nothing picked is nothing to hold beside them."""
    styles = captured(expert=(50,), guru=(2,))
    chosen = Selected(features=(0,), tried=10, picked_on="50 prompts", prompts=styles["expert"].prompts)
    evidence = signature(chosen, styles["expert"])
    assert evidence.outcome == "inconclusive"
    assert "picked on these very prompts" in evidence.reason
    two = captured(expert=(50, 50), guru=(2, 2))
    several = signature(replace(chosen, features=(0, 1), prompts=two["expert"].prompts), two["expert"])
    assert several.outcome == "inconclusive"
    assert "picked among 10 features on 50 prompts" in several.scope
    with pytest.raises(NotRun, match="none of 10 features was picked"):
        signature(Selected(features=(), tried=10, picked_on="50 prompts", prompts=()), styles["expert"])
    with pytest.raises(ValueError, match=r"signature\(\) was given no feature"):
        signature([], styles["expert"])


def test_one_prompt_a_style_is_no_signature() -> None:
    """Fewer than two prompts show nothing."""
    rows: list[Row] = [("expert", "A", "x", [1.0]), ("guru", "A", "x", [1.0])]
    assert signature(0, features(rows)["expert"]).outcome == "inconclusive"


def test_a_captured_rate_counts_prompts_as_before() -> None:
    """A feature fires on a prompt where any of its rows is above 0."""
    styles = captured(expert=(13, 50), guru=(0, 1))
    assert firing_rate(styles["expert"], 0).values.sum() == 13  # type: ignore[union-attr]


def test_a_style_and_its_repeat_are_no_two_styles() -> None:
    """Standard prompts, read again as `assistant`, do not speak against a signature of standard ones."""
    counts = {"standard": 50, "novice": 3, "assistant": 50}
    taken = captured(**{style: (count,) for style, count in counts.items()})
    apart = taken["assistant"]
    same_texts = tuple(replace(one, style="assistant") for one in taken["standard"].prompts)
    kept = taken.select([at for at, one in enumerate(taken.prompts) if one.style != "assistant"])
    styles = replace(kept, family=None, repeats={"assistant": replace(apart, prompts=same_texts)})
    record = replace(recorded(**{style: {0: of} for style, of in counts.items()}), repeats={"assistant": "standard"})
    for signed in (styles["standard"], styles["assistant"], record["standard"], record["assistant"]):
        evidence = signature(0, signed)
        assert evidence.outcome == "supported"
        assert [sample.label for sample in evidence.samples] == [signed.label, "novice"]
    assert signature(0, taken["standard"]).outcome == "refuted"

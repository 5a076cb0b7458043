"""Measures that are given something else say what it is and what to write."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from by_hand import crossed, features

from saeprobe import capture, every
from saeprobe.captures import Continuation, Continuations
from saeprobe.claims import NotRun
from saeprobe.evidence import Recorder, Terms, recording
from saeprobe.evidence.units import sample_of
from saeprobe.measures import (
    active_share,
    among_strongest,
    clusters,
    effective_rank,
    exclusive_features,
    firing_rate,
    fluency,
    halves,
    l0,
    max_activation,
    mean_activation,
    mentions,
    n_tokens,
    pick,
    scan,
    selectivity,
    separates,
    separating_features,
    variance_explained,
)
from saeprobe.prompts import STYLES, Prompt
from saeprobe.recorded.record import Recorded, RecordedStyle

Asked = Callable[[Any], object]

STYLES_READ = features(
    crossed("novice", (1, 0, 1), templates="AB", topics=("tides", "yeast"))
    + crossed("expert", (0, 1, 1), templates="AB", topics=("tides", "yeast"))
)
NOVICE, EXPERT = STYLES_READ["novice"], STYLES_READ["expert"]
MILK = Prompt(text="buy milk", style="shopping", topic="milk", template="buy {topic}")
GOLDEN = Continuations(
    subject="hand",
    items=(
        Continuation(prompt=MILK, arm="steered", features=(1,), strength=20.0, sample=0, text="a gate", log_prob=-1.0),
    ),
)
SUMMARIES = Recorded(subject="hand", by_style={}, origin="feature_diff.json")
STYLE = RecordedStyle(
    style="novice", quantities={}, firing_rates={1: 0.5}, exclusive={}, n_at_least=2, origin="feature_diff.json"
)
OF_FEATURES: tuple[Asked, ...] = (
    l0,
    active_share,
    max_activation,
    mean_activation,
    effective_rank,
    n_tokens,
    variance_explained,
    lambda of: firing_rate(of, 1),
    lambda of: among_strongest(of, 1),
    lambda of: selectivity(of, "features"),
    lambda of: exclusive_features(of, EXPERT),
    lambda of: exclusive_features(EXPERT, of),
    clusters,
    halves,
    lambda of: pick(of, EXPERT),
    lambda of: pick(EXPERT, of),
    lambda of: scan(of, EXPERT),
    lambda of: separating_features(of, EXPERT),
    lambda of: separates(1, of, EXPERT),
)


@pytest.mark.parametrize("measure", OF_FEATURES)
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            GOLDEN,
            "<Continuations of hand: 1, steered at 20> holds no features of prompts; give what a capture read, as",
        ),
        ("novice", r"'novice' holds no features .* as in l0\(styles\[\"novice\"\]\)$"),
        (l0(NOVICE), "<l0 of novice: mean 2 features, 4 prompts> holds no features of prompts"),
        (capture(STYLES), r"^Capture\(prompts=.{0,70} \.\.\. holds no features of prompts"),
    ],
)
def test_what_holds_no_features_is_not_measured(measure: Asked, given: object, told: str) -> None:
    """Continuations, a style's name, a measurement or a capture that is no fixture: shown in short, with the remedy."""
    with recording(Recorder()), pytest.raises(TypeError, match=told):
        measure(given)


@pytest.mark.parametrize("measure", [one for one in OF_FEATURES if one not in (effective_rank, n_tokens, halves)])
def test_a_capture_of_the_effective_rank_alone_has_no_features(measure: Asked) -> None:
    """They are refused, not counted as none; the remedy keeps both. Rank and length are there."""
    whole = replace(STYLES_READ, acts=None, near=None, squared_error=None, effective_rank=np.arange(1.0, 9.0))
    given = whole if measure is clusters else whole["novice"]
    wanted = ValueError if measure is variance_explained else TypeError
    with recording(Recorder()), pytest.raises(wanted, match=r'not kept|keep=\("features", "effective_rank"\)'):
        getattr(measure(given), "summary", None)  # exclusive features are counted when they are compared
    assert list(effective_rank(given).values[:4]) == [1, 2, 3, 4]
    assert list(n_tokens(given).values[:4]) == list(n_tokens(NOVICE).values)


@pytest.mark.parametrize("measure", [l0, active_share, max_activation, mean_activation, lambda of: firing_rate(of, 1)])
def test_all_styles_of_a_record_of_summaries_are_not_run(measure: Asked) -> None:
    """A capture answers for all styles together; such a record cannot, which is no fault of the sentence."""
    with pytest.raises(NotRun, match=r"^feature_diff\.json describes each style alone; features_layer50\.pt"):
        measure(SUMMARIES)


@pytest.mark.parametrize(
    "measure",
    [
        lambda of: among_strongest(of, 1),
        lambda of: selectivity(of, "features"),
        variance_explained,
        lambda of: separating_features(of, EXPERT),
        lambda of: separating_features(EXPERT, of),
    ],
)
def test_a_style_of_summaries_is_not_run(measure: Asked) -> None:
    """It holds no features of single prompts."""
    with pytest.raises(NotRun, match="holds no features of single prompts"):
        measure(STYLE)


@pytest.mark.parametrize("of", [NOVICE, STYLE])
@pytest.mark.parametrize(
    ("feature", "told"),
    [
        ([1, 2], r"^\[1, 2\] is not the number of a feature; for several write every\(firing_rate\(of, feature\) for"),
        (np.array([1, 2]), r"^array\(\[1, 2\]\) is not the number of a feature; for several write"),
        (1.0, r"^1\.0 is not the number of a feature; wanted a whole number, such as 34942; what was picked"),
        (True, r"^True is not the number of a feature; wanted a whole number"),
        (np.True_, r"is not the number of a feature; wanted a whole number"),
        ("1", r"^'1' is not the number of a feature; wanted a whole number"),
        (
            pick(NOVICE, EXPERT),
            r"^Selected\(features=\(0,\), tried=3, .* \.\.\. is .*; what was picked is for separates\(\) and among_str",
        ),
        (EXPERT, "^<Features of hand: 4 prompts, 4 tokens, expert> is not the number of a feature; wanted"),
    ],
)
def test_a_rate_is_of_one_whole_number(of: Any, feature: Any, told: str) -> None:
    """On a capture as on a record: no list, no fraction, no truth value, no selection, no style in its place."""
    with pytest.raises(TypeError, match=told):
        firing_rate(of, feature)


def test_a_rate_of_each_of_several_is_what_the_remedy_says() -> None:
    """What the error tells to write can be written; numpy's whole numbers are numbers."""
    with recording(Recorder()) as recorder:
        _ = every(firing_rate(NOVICE, feature) for feature in np.array([0, 2])) == 1
    assert [part.statement for part in recorder.evidence[0].parts] == [
        "firing rate of feature 0 of novice = 1 on each prompt",
        "firing rate of feature 2 of novice = 1 on each prompt",
    ]
    assert sample_of(firing_rate(STYLE, np.int64(1)), Terms()).mean == 0.5


@pytest.mark.parametrize("feature", [1.0, True, "1", [0, 1.0], [0, True], NOVICE])
def test_features_are_whole_numbers(feature: Any) -> None:
    """One or several, wherever several may be given."""
    for asked in (lambda: among_strongest(NOVICE, feature), lambda: separates(feature, NOVICE, EXPERT)):
        with recording(Recorder()), pytest.raises(TypeError, match="is not the number of a feature; wanted a whole"):
            asked()


@pytest.mark.parametrize("feature", [np.int64(0), [np.int64(0)], np.array([0]), (0,), range(1)])
def test_whole_numbers_come_in_many_forms(feature: Any) -> None:
    """One of numpy, or a list, an array, a tuple or a range of them, all told as plain numbers."""
    with recording(Recorder()) as recorder:
        separates(feature, NOVICE, EXPERT)
    assert recorder.evidence[0].statement == "feature 0 fires on every novice prompt and on no expert prompt"
    assert among_strongest(NOVICE, np.int64(0)).measure == "feature 0 among the 5 strongest"
    assert among_strongest(NOVICE, [np.int64(0)]).measure == "feature 0 among the 5 strongest"


@pytest.mark.parametrize("measure", [lambda of: mentions("gate", of), fluency])
@pytest.mark.parametrize("given", [NOVICE, "gate"])
def test_what_holds_no_continuations_is_not_read(measure: Asked, given: object) -> None:
    """Features of a capture say nothing of what was written."""
    with pytest.raises(
        TypeError, match=r"holds no continuations; give an arm .* as in mentions\(\"Golden Gate\", golden"
    ):
        measure(given)


@pytest.mark.parametrize("text", [GOLDEN, ["gate"], None, re.compile(b"gate")])
def test_what_is_mentioned_is_a_text_and_stands_first(text: Any) -> None:
    """The two arguments in the wrong order, or a list of texts."""
    with pytest.raises(TypeError, match=r"is no text; it stands first: mentions\(\"Golden Gate\", golden\.at\(20\)\)$"):
        mentions(text, GOLDEN)


def test_styles_one_by_one_are_no_capture() -> None:
    """What reads all styles at once says so, and how to declare them."""
    for call, asked in (("clusters", clusters), ("halves", halves)):
        with pytest.raises(
            TypeError, match=rf"^{call}\(\) was given 2 arguments; .*: {call}\(styles\), where styles = capture\("
        ):
            asked(NOVICE, EXPERT)


def test_units_of_other_names_are_not_taken_for_dimensions() -> None:
    """A misspelt `features` measured dimensions in silence."""
    units: Any = "feature"
    with pytest.raises(ValueError, match="units are 'feature'; wanted one of features, dimensions"):
        selectivity(STYLES_READ, units)


def test_picked_features_are_no_evidence() -> None:
    """`assert separating_features(a, b)` holds of anything that can be picked; it says what to assert instead."""
    with pytest.raises(TypeError, match=r"no evidence; assert separates\(picked, yes, no\) on other prompts"):
        assert separating_features(NOVICE, EXPERT)


REVERSE = r"compare exclusive_features\(a, b\) with exclusive_features\(b, a\) of the same two styles, by > or <$"
these: Any = exclusive_features(NOVICE, EXPERT)


@pytest.mark.parametrize(
    "asked",
    [
        lambda: these > 100,
        lambda: these < 100,
        lambda: these == 100,
        lambda: these != 100,
        lambda: these >= exclusive_features(EXPERT, NOVICE),
        lambda: these <= exclusive_features(EXPERT, NOVICE),
        lambda: these > l0(NOVICE),
        lambda: these > 1.1 * exclusive_features(EXPERT, NOVICE),  # type: ignore[operator]
        lambda: these > exclusive_features(EXPERT, NOVICE) * 2,  # type: ignore[operator]
        lambda: these > exclusive_features(EXPERT, NOVICE) + 5,  # type: ignore[operator]
        lambda: these > 5 + exclusive_features(EXPERT, NOVICE),  # type: ignore[operator]
        lambda: these - exclusive_features(EXPERT, NOVICE) > 0,
        lambda: 100 - these > 0,
        lambda: bool(these),
    ],
)
def test_exclusive_features_are_compared_with_the_reverse_alone(asked: Callable[[], object]) -> None:
    """No number, no margin, no measurement, no other sign, and not by themselves."""
    with recording(Recorder()) as recorder, pytest.raises(TypeError, match=REVERSE):
        asked()
    assert recorder.evidence == []


def test_what_stood_beside_exclusive_features_is_named() -> None:
    """Both sides, as far as they are known."""
    with pytest.raises(TypeError, match=r"^exclusive_features\(novice, expert\) > 100; compare"):
        _ = these > 100
    with pytest.raises(TypeError, match=r"^exclusive_features\(novice, expert\) cannot be put next to 100; compare"):
        _ = these == 100
    with pytest.raises(TypeError, match=r"^exclusive_features\(novice, expert\) says nothing by itself; compare"):
        assert these

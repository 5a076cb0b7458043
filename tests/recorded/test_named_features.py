"""Files that describe named features are checked number by number."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from made_records import BY_TOPIC, FIRING

from saeprobe.files import FileError
from saeprobe.recorded import RecordedFile
from saeprobe.recorded.summaries import firing_by_style_of, rounding_of, topic_activations_of

HERE = RecordedFile(path=Path("record.json"))


def changed(data: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    """Copy the data with another value at a place such as `7/total_activated`; None takes the key away."""
    found = copy.deepcopy(data)
    *way, last = place.split("/")
    inner: Any = found
    for key in way:
        inner = inner[int(key) if isinstance(inner, list) else key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return found


def test_a_style_that_a_feature_does_not_list_counts_none() -> None:
    """Feature 7 fires on 4 of 4 novice and 1 of 4 guru prompts; expert is seen at feature 9 and in a sample."""
    found = firing_by_style_of(HERE, FIRING)
    assert (found.n, found.styles) == (4, ("novice", "guru", "expert"))
    rates = {key[1:3]: rate for key, (rate, _) in found.states.items() if key.measure == "firing rate"}
    seven = {("novice", 7): 1.0, ("guru", 7): 0.25, ("expert", 7): 0.0}
    assert rates == seven | {("novice", 9): 0.0, ("guru", 9): 0.0, ("expert", 9): 0.75}
    assert found.states["activation", "expert", 7, "tides"] == (0.0, 0.0)
    assert found.topics == ("yeast", "tides")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("7/total_activated", 4, "feature 7: its counts by style add up to 5; wanted 4, its 'total_activated'"),
        ("9/total_not_activated", 8, "feature 9 is of 11 prompts; wanted 12, as feature 7 is"),
        ("7/total_activated", 5.0, "key 'total_activated' is 5.0; wanted an integer of 0 or more"),
        ("7/activation_rate", 0.43, "'activation_rate' is 0.43; wanted 5 of 12 prompts"),
        ("7/activation_rate", None, "key 'activation_rate' is absent; wanted a finite number"),
        ("7/condition_distribution", None, "key 'condition_distribution' is absent; wanted an object"),
        ("7/condition_distribution/novice", -1, "style 'novice' is -1; wanted an integer of 0 or more"),
        ("7/condition_distribution", {"novice": 5, "guru": 0}, "feature 7 fires on 5 novice prompts; wanted 1 to 4"),
        ("7/condition_distribution", {"guru": 3, "novice": 2, "poet": 0}, None),
        ("7/condition_distribution", {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, "it is of 12 prompts of 7 styles"),
        ("9/sample_activated/0/activation", 0.0, "the activation is 0; wanted an activation above 0"),
        ("7/sample_not_activated/0/activation", 0.5, "the activation is 0.5; wanted 0"),
        ("7/sample_not_activated/0/condition", "novice", "fires on 4 novice prompts; wanted 1 to 3"),
        ("9/sample_activated/0/condition", "novice", "feature 9 fires on 0 novice prompts; wanted 1 to 4"),
        ("9/sample_activated/0/topic", "", "key 'topic' is ''; wanted a string that is not empty"),
    ],
)
def test_firing_that_contradicts_itself_is_refused(place: str, value: object, message: str | None) -> None:
    """Sums, shares, samples and the number of prompts a style have to agree; the place is named."""
    data = changed(FIRING, place, value)
    if message is None:
        assert firing_by_style_of(HERE, data).n == 3
        return
    with pytest.raises(FileError) as refused:
        firing_by_style_of(HERE, data)
    assert message in str(refused.value)


@pytest.mark.parametrize("key", ["seven", "07", "-1", "7.0", "12345678901", "٧"])
def test_a_key_is_the_number_of_a_feature(key: str) -> None:
    """Nothing else is taken for one."""
    with pytest.raises(FileError, match="wanted the number of a feature"):
        firing_by_style_of(HERE, {key: FIRING["7"]})


def test_activations_are_read_by_topic() -> None:
    """Feature 7 is active on all four topics; feature 8 on two, and both are among the four."""
    found = topic_activations_of(HERE, BY_TOPIC)
    assert (found.n, found.topics) == (4, ("tides", "yeast", "comets", "rust"))
    eighth = [found.states["activation", "novice", 8, topic] for topic in found.topics]
    assert eighth == [(0.0, 0.005), (0.5, 0.005), (0.0, 0.005), (0.25, 0.005)]
    assert found.states["firing rate", "novice", 8, None] == (0.5, 0.0)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("novice_features/8/activated_count", 3, "lists 2 topics; wanted 3, its 'activated_count'"),
        ("novice_features/8/total_samples", 5, "feature 8 is of 5 prompts; wanted 4"),
        ("novice_features/8/activation_rate", 0.51, "'activation_rate' is 0.51; wanted 2 of 4 prompts"),
        ("novice_features/8/mean_activation", 0.4, "'mean_activation' is 0.4; wanted 0.375"),
        ("novice_features/8/mean_activation", 0.38, None),
        ("novice_features/8/max_activation", 0.6, "'max_activation' is 0.6; wanted 0.5"),
        ("novice_features/8/activated_topics/0/topic", "rust", "lists the topic 'rust' twice; wanted every topic once"),
        ("novice_features/8/activated_topics/0/topic", "moss", "it names 5 topics; wanted at most 4"),
        ("novice_features/8/activated_topics/0/activation", -0.5, "the activation is -0.5; wanted 0 or above"),
        ("novice_features/8/activated_topics/0/activation", float("inf"), "is inf; wanted a finite number"),
        ("novice_features/8/activated_topics", "all", "key 'activated_topics' is 'all'; wanted a list"),
        ("novice_features", {}, "key 'novice_features' describes no feature; wanted at least one"),
        ("novice", {}, "it has the key 'novice'; wanted keys '<style>_features' alone"),
    ],
)
def test_activations_that_contradict_themselves_are_refused(place: str, value: object, message: str | None) -> None:
    """Counts, shares, means and lists have to agree within what is rounded; the place is named."""
    data = changed(BY_TOPIC, place, value)
    if message is None:
        topic_activations_of(HERE, data)
        return
    with pytest.raises(FileError) as refused:
        topic_activations_of(HERE, data)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("values", "least", "half"),
    [([1.5049, 1.77], 0, 0.00005), ([1.0], 3, 0.0005), ([3], 0, 0.5), ([1e-7], 0, 5e-17), ([None], 1, 0.05)],
)
def test_the_last_decimal_that_is_shown_bounds_the_rounding(values: list[object], least: int, half: float) -> None:
    """Half a unit of the last of the most decimals that any of the numbers has."""
    assert rounding_of(values, least=least) == pytest.approx(half)

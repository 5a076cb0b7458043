"""A population knows what is true of all its prompts, and claims are drawn from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from known import population

from studies.calibration import drawing
from studies.calibration.effects import bin_of, effect_of, known
from studies.calibration.populations import Population, captures, detectors_of, measure, mentions

MADE = population()


def test_mentions_end_where_the_landmark_was_mentioned() -> None:
    """Eight landmarks stand in 108 descriptions after eight openings, none of them twice."""
    prompts = mentions()
    assert len(prompts) == 8 * 108 * 8
    assert len({prompt.text for prompt in prompts}) == len(prompts)
    assert all(prompt.text.endswith(prompt.template) for prompt in prompts)
    assert all(prompt.text.startswith(prompt.topic) for prompt in prompts)
    assert mentions() == prompts


def test_documents_are_read_without_the_chat_template() -> None:
    """They ask nobody anything; the wordings are questions."""
    assert {name: one.raw for name, one in captures().items()} == {"wordings": False, "mentions": True}


def test_the_cards_of_the_specimens_name_detectors() -> None:
    """The features are those of their READMEs; another subject has no card."""
    assert detectors_of("sparrow")["golden_gate"] == 1009
    assert detectors_of("finch")["golden_gate"] == 507
    assert detectors_of("gpt2") == {}


def test_a_grid_holds_what_the_measure_gives_by_wording_and_topic() -> None:
    """Row and column of a value are those of its prompt."""
    grid = MADE.grid("l0")
    assert grid.shape == (72, 8)
    counts = np.diff(MADE.features.acts.indptr)
    assert grid[5, 3] == counts[5 * 8 + 3]
    assert MADE.grid(7)[5, 3] == MADE.fires[5, 3, 7]


def test_wordings_must_be_read_on_the_same_topics() -> None:
    """A prompt under another topic would stand in the wrong column."""
    prompts = (*MADE.features.prompts[:-1], replace(MADE.features.prompts[-1], topic="elsewhere"))
    with pytest.raises(ValueError, match="is not read on the"):
        Population.of("mentions", replace(MADE.features, prompts=prompts))


def test_drawn_prompts_bear_the_labels_and_are_the_whole_that_the_claim_knows() -> None:
    """Text, topic and template stay; nothing leads back to the population."""
    drawn = MADE.drawn({"a": np.array([3, 1]), "b": np.array([50])}, np.array([0, 2]))
    assert [(one.style, one.template, one.topic) for one in drawn.prompts] == [
        ("a", "p 3", "topic 0"),
        ("a", "p 3", "topic 2"),
        ("a", "p 1", "topic 0"),
        ("a", "p 1", "topic 2"),
        ("b", "r 2", "topic 0"),
        ("b", "r 2", "topic 2"),
    ]
    assert drawn.whole is drawn
    assert list(measure("l0", drawn["b"]).values) == list(MADE.grid("l0")[50, [0, 2]])


def test_shuffled_labels_never_share_a_wording() -> None:
    """Three sides of twelve are drawn from seventy-two, all different, and others at the next draw."""
    rng = np.random.default_rng(0)
    first, second = (drawing.shuffled(rng, MADE, "abc", 12) for _ in range(2))
    rows = np.concatenate(list(first.values()))
    assert len(set(rows.tolist())) == 36
    assert set(rows.tolist()) != set(np.concatenate(list(second.values())).tolist())


def test_swapped_names_keep_each_topic_on_both_sides() -> None:
    """The two sides read the same topics, each topic once under either wording."""
    features = drawing.swapped(np.random.default_rng(0), MADE, np.arange(8))
    a, b = features["a"], features["b"]
    assert [prompt.topic for prompt in a.prompts] == [prompt.topic for prompt in b.prompts]
    wordings = {prompt.text.rpartition(" ")[0] for prompt in features.prompts}
    assert len(wordings) == 2
    assert all(x.text != y.text for x, y in zip(a.prompts, b.prompts, strict=True))
    assert {prompt.template for prompt in features.prompts} == {"wording a", "wording b"}


def test_topics_are_drawn_in_parts_and_never_fewer_than_four() -> None:
    """An eighth of eight topics would be one."""
    rng = np.random.default_rng(0)
    assert {len(drawing.topics(rng, MADE)) for _ in range(50)} == {4, 8}
    assert {len(drawing.topics(rng, MADE, half=True)) for _ in range(50)} == {4}
    assert {len(drawing.topics(rng, MADE, least=drawing.TOPICS)) for _ in range(50)} == {8}


def test_the_size_of_an_effect_is_worked_out_on_the_whole_population() -> None:
    """It is the difference of the means less the margin, over the root of the mean of both variances."""
    columns = np.array([0, 5])
    more, less = MADE.groups["p"], MADE.groups["q"]
    means = MADE.grid("l0")[:, columns].mean(axis=1)
    spread = ((means[more].var(ddof=1) + means[less].var(ddof=1)) / 2) ** 0.5
    wanted = (means[more].mean() - means[less].mean() - 1.0) / spread
    assert effect_of(MADE, "l0", more, less, columns, by=1.0) == pytest.approx(wanted)
    assert effect_of(MADE, 39, more, less, columns) is None  # fires everywhere


@pytest.mark.parametrize(("effect", "at"), [(0.0, 0), (0.49, 0), (0.5, 1), (2.99, 4), (3.0, 5), (5.0, 6), (80.0, 6)])
def test_bins_begin_at_their_lower_end(effect: float, at: int) -> None:
    """An effect on an edge is in the bin that begins there."""
    assert bin_of(effect) == at


def test_known_differences_name_the_side_that_has_more() -> None:
    """Each lies in the bin of its size, whichever group was looked up first."""
    columns = np.arange(8)
    found = [(at, one) for at, each in enumerate(known(MADE)) for one in each]
    assert found
    for at, one in found:
        effect = effect_of(MADE, one.what, MADE.groups[one.more], MADE.groups[one.less], columns)
        assert effect is not None
        assert effect > 0
        assert bin_of(effect) == at

"""Features keep rows, prompts and styles together in every selection."""

from __future__ import annotations

import doctest
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from saeprobe.claims import NotRun
from saeprobe.evidence import near
from saeprobe.features import Features, Token
from saeprobe.prompts import Prompt
from saeprobe.subject import running as batches
from saeprobe.subject.running import effective_rank

ACTS = [[1.5, 0.0, 0.0], [0.0, 2.0, 0.5], [0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 4.0]]
ROW_PROMPT = [0, 0, 1, 2, 3]  # the first prompt was read at two tokens
STYLES = ("novice", "expert", "novice", "expert")
TOPICS = ("tides", "tides", "yeast", "yeast")


@pytest.fixture
def four() -> Features:
    """Make four prompts of five tokens with three features."""
    return made()


def made() -> Features:
    """Make the same, for Hypothesis."""
    return Features(
        subject="hand",
        acts=csr_array(np.array(ACTS)),
        row_prompt=np.array(ROW_PROMPT),
        tokens=tuple(Token(position=place, text=f"t{place}", start=place, end=place + 1) for place in range(5)),
        prompts=tuple(
            Prompt(text=f"{style} {topic}", style=style, topic=topic, template=f"{style} {{topic}}")
            for style, topic in zip(STYLES, TOPICS, strict=True)
        ),
        n_tokens=np.array([4, 5, 6, 7]),
        squared_error=np.arange(5) / 10,
        activations=np.arange(10.0).reshape(5, 2),
        effective_rank=np.array([1.0, 2.0, 3.0, 4.0]),
    )


def test_a_style_takes_its_rows_and_all_that_belongs_to_them(four: Features) -> None:
    """Novice has the prompts 0 and 2, the rows 0, 1 and 3, and remembers the whole."""
    novice = four["novice"]
    assert (len(novice), novice.label, novice.d_sae) == (2, "novice", 3)
    np.testing.assert_array_equal(novice.acts.toarray(), [ACTS[0], ACTS[1], ACTS[3]])
    assert list(novice.row_prompt) == [0, 0, 1]
    assert [token.text for token in novice.tokens] == ["t0", "t1", "t3"]
    assert novice.n_tokens is not None
    assert list(novice.n_tokens) == [4, 6]
    assert novice.squared_error is not None
    assert list(novice.squared_error) == [0.0, 0.1, 0.3]
    assert novice.activations is not None
    np.testing.assert_array_equal(novice.activations, [[0, 1], [2, 3], [6, 7]])
    assert novice.effective_rank is not None
    assert list(novice.effective_rank) == [1.0, 3.0]
    assert novice.whole is four
    assert novice.select([0]).whole is four
    assert four.whole is four


def test_what_was_not_kept_stays_absent(four: Features) -> None:
    """A selection makes up no lengths, errors, activations or ranks."""
    bare = replace(four, n_tokens=None, squared_error=None, activations=None, effective_rank=None)["expert"]
    assert (bare.n_tokens, bare.squared_error, bare.activations, bare.effective_rank) == (None,) * 4


def test_a_style_that_is_not_there_is_an_error(four: Features) -> None:
    """The styles that there are, are named."""
    with pytest.raises(KeyError, match=r"no prompt of style 'novce', did you mean 'novice'\?; there are: novice"):
        four["novce"]
    with pytest.raises(KeyError, match="no prompt of style 'guru'; there are: novice, expert"):
        four["guru"]


def test_the_first_topic_has_one_prompt_a_style(four: Features) -> None:
    """One prompt of each style is on the first topic."""
    assert [prompt.text for prompt in four.first_topic.prompts] == ["novice tides", "expert tides"]


def test_styles_come_in_order_of_appearance(four: Features) -> None:
    """The label joins them."""
    assert four.styles == ("novice", "expert")
    assert four.label == "novice + expert"
    assert repr(four) == "<Features of hand: 4 prompts, 5 tokens, novice + expert>"


def test_rows_and_tokens_must_be_as_many(four: Features) -> None:
    """A row without a token, or a prompt without a length, is refused with both numbers."""
    with pytest.raises(ValueError, match="5 rows of features, 5 row prompts, 4 tokens"):
        replace(four, tokens=four.tokens[:4])
    with pytest.raises(ValueError, match="5 rows of features, 4 row prompts, 5 tokens"):
        replace(four, row_prompt=four.row_prompt[:4])
    with pytest.raises(ValueError, match="4 prompts but token counts of 3"):
        replace(four, n_tokens=np.array([1, 2, 3]))


@given(st.lists(st.integers(0, 3), max_size=6))
def test_a_selection_keeps_order_and_rows(chosen: list[int]) -> None:
    """Whatever prompts are chosen, in whatever order, each brings its own rows."""
    four = made()
    found = four.select(chosen)
    assert [prompt.text for prompt in found.prompts] == [four.prompts[index].text for index in chosen]
    for place, index in enumerate(chosen):
        rows = [ACTS[row] for row in range(5) if ROW_PROMPT[row] == index]
        np.testing.assert_array_equal(found.acts.toarray()[found.row_prompt == place], rows)


def test_pandas_has_one_line_an_active_feature(four: Features) -> None:
    """Five values are above zero; each line names prompt, token, feature and activation."""
    frame = four.to_pandas()
    assert list(frame.columns) == ["prompt", "style", "topic", "token", "position", "feature", "activation"]
    assert len(frame) == 5
    line = frame[frame.activation == 0.5].iloc[0]
    assert (line.prompt, line["style"], line.token, line.position, line.feature) == (
        "novice tides",
        "novice",
        "t1",
        1,
        2,
    )


def test_a_control_reads_the_same_prompts(four: Features) -> None:
    """A capture on a random subject gives the prompts of the style, or of the selection, that asks."""
    there = replace(four, subject="random", acts=four.acts * 2)
    whole = replace(four, conditions={"random-sae": (lambda: there,)})
    assert [prompt.text for prompt in whole["expert"].under("random-sae").prompts] == ["expert tides", "expert yeast"]
    assert [prompt.text for prompt in whole.select([3]).under("random-sae").prompts] == ["expert yeast"]
    assert len(whole.under("random-sae")) == 4
    novice = whole["novice"].under("random-sae")
    assert (novice.subject, novice.label) == ("random", "novice")
    np.testing.assert_array_equal(novice.acts.toarray(), 2 * np.array([ACTS[0], ACTS[1], ACTS[3]]))
    assert len(novice.whole) == 4


def test_injection_reads_other_prompts_of_the_same_styles_and_topics(four: Features) -> None:
    """A neutral prompt that two styles share is read as each of them, whatever it was under the claim."""
    prompts = tuple(
        Prompt(text=topic, style=style, topic=topic, template="{topic}")
        for style, topic in zip(STYLES, TOPICS, strict=True)
    )
    whole = replace(four, conditions={"injection": (lambda: replace(four, prompts=prompts),)})
    expert = whole["expert"].under("injection")
    assert [(prompt.style, prompt.text) for prompt in expert.prompts] == [("expert", "tides"), ("expert", "yeast")]
    alone = whole.select([1]).under("injection")
    assert [(prompt.style, prompt.text) for prompt in alone.prompts] == [("expert", "tides")]


def test_a_random_control_has_several_draws(four: Features) -> None:
    """Each is read when it is asked for, by its number from 0 on; there is none beyond the last, and none before."""
    draws = tuple(lambda times=times: replace(four, acts=four.acts * times) for times in (2, 3))
    whole = replace(four, conditions={"random-sae": draws})
    for draw, times in enumerate((2, 3)):
        read = whole["novice"].under("random-sae", draw)
        np.testing.assert_array_equal(read.acts.toarray(), times * np.array([ACTS[0], ACTS[1], ACTS[3]]))
    for draw in (-1, 2):
        with pytest.raises(NotRun, match=f"^draw {draw} of the control random-sae on hand was not read; 2 were$"):
            whole.under("random-sae", draw)


def test_a_control_is_labelled_as_its_subject_is(four: Features) -> None:
    """The label names the subject where a probe has several."""
    whole = replace(four, of_several=True, conditions={"random-sae": (lambda: replace(four, subject="random"),)})
    assert whole["novice"].under("random-sae").label == "novice on random"


def test_a_control_that_was_not_read_is_not_run(four: Features) -> None:
    """Recorded features, and captures of claims without controls, have no such condition."""
    with pytest.raises(NotRun, match="nothing was read for the control random-sae on hand"):
        four["novice"].under("random-sae")


def test_the_docstring_examples_run() -> None:
    """The examples in the docstrings give what they say."""
    for module in (near, batches):
        assert doctest.testmod(module).failed == 0
        assert doctest.testmod(module).attempted > 0


def random(seed: int) -> np.ndarray:
    """Draw nine tokens of width five."""
    return np.random.default_rng(seed).normal(size=(9, 5))


def test_tokens_on_a_line_have_rank_one() -> None:
    """Multiples of one direction, wherever the line lies."""
    line = np.outer([0.0, 1.0, 5.0, -2.0], [1.0, 2.0, 3.0]) + np.array([7.0, -7.0, 70.0])
    assert effective_rank(line) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("k", [2, 3, 7])
def test_k_equal_directions_have_rank_k(k: int) -> None:
    """The points e_i and -e_i have mean 0 and k singular values of sqrt(2)."""
    assert effective_rank(np.concatenate([np.eye(k), -np.eye(k)])) == pytest.approx(k, abs=1e-9)


def test_the_corners_of_a_simplex_fill_one_direction_less_than_they_are() -> None:
    """The identity, its mean taken out, has k - 1 singular values of 1 and one of 0."""
    assert effective_rank(np.eye(5)) == pytest.approx(4.0, abs=1e-9)


def test_unequal_directions_are_weighed_by_their_entropy() -> None:
    """Singular values 3 and 1 are shares of 3/4 and 1/4, so exp(3/4 ln 4/3 + 1/4 ln 4) = 4 / 3^(3/4) = 1.7548."""
    points = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert effective_rank(points) == pytest.approx(4 / 3**0.75, abs=1e-9)


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
def test_rotation_scale_and_shift_change_nothing(seed: int, scale: float, shift: float) -> None:
    """Nothing but the shape of the cloud is counted."""
    x = random(seed)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed + 1).normal(size=(5, 5)))
    assert effective_rank(scale * x @ rotation + shift) == pytest.approx(effective_rank(x), rel=1e-6)


def test_stretching_one_direction_changes_it() -> None:
    """The property above can tell: it holds for no other map."""
    assert effective_rank(random(0) * [10, 1, 1, 1, 1]) < effective_rank(random(0)) - 0.5


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((1, 3)), "at least two tokens; found 1"),
        (np.ones((4, 3)), "all tokens have the same"),
        (np.array([[1.0, np.nan], [0.0, 1.0]]), "finite"),
        (np.array([[1.0, np.inf], [0.0, 1.0]]), "finite"),
    ],
)
def test_no_number_is_made_up(x: np.ndarray, message: str) -> None:
    """One token, equal tokens and values that are not finite have no rank."""
    with pytest.raises(ValueError, match=message):
        effective_rank(x)

"""A model and an SAE worked on paper, through the whole path."""

from __future__ import annotations

import numpy as np
import pytest
from made_subjects import Made

from saeprobe.captures import capture
from saeprobe.notebook import open_subject
from saeprobe.prompts import Prompt, PromptSet
from saeprobe.store import Store
from saeprobe.store.plan import features, gather, works_of
from saeprobe.subject.registry import find_subject

PROMPTS = PromptSet(
    name="hand",
    language="en",
    prompts=(
        Prompt(text="calm red", style="warm", topic="a", template="t"),
        Prompt(text="calm calm blue", style="cool", topic="a", template="t"),
        Prompt(text="red purple", style="warm", topic="b", template="t"),
    ),
)


def test_two_features_worked_by_hand_come_out_of_the_whole_path(hand_worked: Made) -> None:
    """From pyproject.toml through model, SAE, plan and store, the activations are those worked on paper."""
    subject = find_subject("hand", hand_worked.root)
    last = capture(PROMPTS, keep=["activations"])
    every = capture(PROMPTS, at="all")
    store = Store(hand_worked.root / "store")
    works = works_of([(subject, last), (subject, every), (subject, last)])
    gather(works[0], store)

    found = features(subject, last, store)
    np.testing.assert_allclose(found.acts.toarray(), [[1.5, 0], [0, 1.5], [0.5, 0.5]], atol=1e-5)
    np.testing.assert_allclose(found.activations, [[2, -1, -1], [-1, 2, -1], [1, 1, -2]], atol=1e-5)
    # purple: (1, 1, -2) against (0.5, 0.5, 0), so 0.25 + 0.25 + 4
    np.testing.assert_allclose(found.squared_error, [2.25, 2.25, 4.5], atol=1e-4)
    assert found.n_tokens.tolist() == [3, 4, 3]  # BOS counted
    assert [token.text for token in found.tokens] == ["red", "blue", "purple"]

    whole = features(subject, every, store)
    np.testing.assert_allclose(
        whole.acts.toarray(), [[0, 0], [1.5, 0], [0, 0], [0, 0], [0, 1.5], [1.5, 0], [0.5, 0.5]], atol=1e-5
    )
    assert whole.row_prompt.tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert [token.position for token in whole.tokens] == [1, 2, 1, 2, 3, 1, 2]
    assert whole["cool"].acts.nnz == 1


def test_effective_rank_of_a_prompt_is_worked_by_hand(hand_worked: Made) -> None:
    """Tokens red, blue and their mean's opposite fill two equal directions; BOS has no part in it."""
    hand = open_subject("hand", rootdir=hand_worked.root)
    # red (2,-1,-1) and blue (-1,2,-1) differ by one direction, so their rank is 1 whatever BOS is.
    found = hand.features("red blue", keep="effective_rank")
    np.testing.assert_allclose(found.effective_rank, [1.0], atol=1e-6)
    # red, blue and (-1,-1,2) would be an equilateral triangle of rank 2; calm is its centre.
    # purple is (1,1,-2): the centred spectrum is worked with numpy from the known embeddings.
    x = np.array([[2.0, -1, -1], [-1, 2, -1], [1, 1, -2]])
    singular = np.linalg.svd(x - x.mean(0), compute_uv=False)
    share = singular[:2] / singular.sum()
    rank = np.exp(-(share * np.log(share)).sum())
    np.testing.assert_allclose(
        hand.features("red blue purple", keep="effective_rank").effective_rank, [rank], rtol=1e-5
    )


def test_the_effective_rank_alone_is_another_reading_than_with_features(hand_worked: Made) -> None:
    """Its numbers are the same; what was stored with features, as every capture once was, is not taken for it."""
    subject = find_subject("hand", hand_worked.root)
    both, alone = (capture(PROMPTS, keep=keep) for keep in (("features", "effective_rank"), "effective_rank"))
    store = Store(hand_worked.root / "store")
    for asked in (both, alone):
        (work,) = works_of([(subject, asked)])
        assert (gather(work, store).computed, gather(work, store).computed) == (3, 0)
    with_features, without = features(subject, both, store), features(subject, alone, store)
    assert without.effective_rank is not None
    assert without.effective_rank.tolist() == with_features.effective_rank.tolist()
    assert (without.tokens, without.n_tokens.tolist()) == (with_features.tokens, with_features.n_tokens.tolist())
    assert (without.acts, without.near, without.squared_error) == (None, None, None)
    warm = without["warm"]
    assert (warm.acts, len(warm), len(warm.tokens)) == (None, 2, 2)
    assert repr(warm) == "<Features of hand: 2 prompts, 2 tokens, warm>"
    for used in (lambda: warm.encoded, lambda: warm.d_sae, warm.to_pandas):
        with pytest.raises(TypeError, match=r'^the capture of warm .* write .*keep=\("features", "effective_rank"\)'):
            used()


def test_a_notebook_gets_a_frame(hand_worked: Made) -> None:
    """The features of some texts come as a pandas frame with one line an active feature."""
    frame = open_subject("hand", rootdir=hand_worked.root).features(["calm red", "red purple"]).to_pandas()
    assert frame["feature"].tolist() == [0, 0, 1]
    np.testing.assert_allclose(frame["activation"], [1.5, 0.5, 0.5], atol=1e-5)
    assert frame["prompt"].tolist() == ["calm red", "red purple", "red purple"]

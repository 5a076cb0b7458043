"""How many features are active, and how strongly, on prompts whose two features are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from by_hand import crossed, features, tokens_read
from scipy.sparse import csr_array, hstack

from saeprobe import about
from saeprobe.claims import Unverifiable
from saeprobe.evidence import Terms
from saeprobe.evidence.units import sample_of
from saeprobe.evidence.values import Measurement, Quantity
from saeprobe.features import Features
from saeprobe.measures import active_share, firing_rate, l0, max_activation, mean_activation, variance_explained
from saeprobe.measures.differences import OfStyle, figures_of


@pytest.fixture
def two() -> Features:
    """Two styles, two templates, two topics and two features."""
    return features(
        [
            ("novice", "A", "tides", (1.5, 0.0)),
            ("novice", "A", "yeast", (2.0, 0.5)),
            ("novice", "B", "tides", (0.5, 0.0)),
            ("novice", "B", "yeast", (1.0, 0.0)),
            ("expert", "A", "tides", (0.0, 0.25)),
            ("expert", "A", "yeast", (0.25, 0.75)),
            ("expert", "B", "tides", (0.0, 1.0)),
            ("expert", "B", "yeast", (0.0, 0.75)),
        ]
    )


@pytest.fixture
def several() -> Features:
    """A prompt read at three tokens, with 1, 2 and 0 active features, and one read at a single token."""
    return tokens_read(["tides", "yeast"], [[(1.5, 0.0), (2.0, 0.5), (0.0, 0.0)], [(0.0, 4.0)]])


def values(of: Quantity) -> list[float]:
    """The values of a measurement."""
    assert isinstance(of, Measurement)
    return [float(value) for value in of.values]


def test_l0_counts_active_features(two: Features) -> None:
    """One value a prompt: the number of features above zero."""
    found = l0(two)
    assert values(found) == [1, 2, 1, 1, 1, 2, 1, 1]
    assert (found.unit, found.name) == ("features", "l0 of novice + expert")


def test_active_share_is_l0_over_all_features(two: Features) -> None:
    """Two features in all, so each active one is a half."""
    assert values(active_share(two["novice"])) == [0.5, 1.0, 0.5, 0.5]


def test_max_activation_is_the_largest(two: Features, several: Features) -> None:
    """The largest activation of any feature on any token read."""
    assert values(max_activation(two["expert"])) == [0.25, 0.75, 1.0, 0.75]
    assert values(max_activation(several)) == [2.0, 4.0]


def test_mean_activation_leaves_inactive_features_out(two: Features, several: Features) -> None:
    """The mean of 2.0 and 0.5 is 1.25, a zero beside 1.5 does not count; over tokens all active values are pooled."""
    assert values(mean_activation(two["novice"])) == [1.5, 1.25, 0.5, 1.0]
    assert values(mean_activation(several)) == pytest.approx([(1.5 + 2.0 + 0.5) / 3, 4.0])


def test_the_pooled_mean_activation_weighs_prompts_by_their_active_features() -> None:
    """Novice pools (2 + 1 + 6) / 3 = 3 where its prompts' means are 1.5 and 6; expert (4 + 2) / 2, whatever is beside.

    With 3 active values on 2 prompts, 1.5 each, the values are 3 + (3 - 3 x 2) / 1.5 and 3 + (6 - 3 x 1) / 1.5.
    """
    rows = [("novice", "A", "tides", (2.0, 1.0)), ("novice", "A", "yeast", (0.0, 6.0))]
    both = features([*rows, ("expert", "A", "tides", (4.0, 0.0)), ("expert", "A", "yeast", (0.0, 2.0))])
    pooled = mean_activation(both["novice"], pooled=True)
    assert values(pooled) == pytest.approx([1.0, 5.0])
    assert values(mean_activation(both["novice"])) == [1.5, 6.0]
    assert (pooled.measure, mean_activation(both).measure) == ("pooled mean activation", "mean activation a prompt")
    of_both = mean_activation(both, pooled=True)
    assert isinstance(of_both, Measurement)
    assert (of_both["novice"].mean, of_both["expert"].mean) == pytest.approx((3.0, 3.0))


def test_a_silent_prompt_has_no_part_in_a_pooled_mean() -> None:
    """It counts nothing; a style that is silent throughout has no mean."""
    silent = features([("novice", "A", "tides", (1.0, 0.0)), ("novice", "A", "yeast", (0.0, 0.0))])
    assert values(mean_activation(silent, pooled=True)) == [1.0, 1.0]
    with pytest.raises(ValueError, match="no feature is active on 'novice A: yeast'"):
        mean_activation(features([("novice", "A", "yeast", (0.0, 0.0))]), pooled=True)


def test_mean_activation_of_a_silent_prompt_is_an_error() -> None:
    """A prompt without any active feature has no mean strength, and is named."""
    silent = features([("novice", "A", "tides", (1.0, 0.0)), ("novice", "A", "yeast", (0.0, 0.0))])
    assert values(l0(silent)) == [1, 0]
    assert values(max_activation(silent)) == [1.0, 0.0]
    with pytest.raises(ValueError, match="no feature is active on 'novice A: yeast'"):
        mean_activation(silent)


def test_firing_rate_is_one_or_zero_a_prompt(two: Features, several: Features) -> None:
    """Feature 0 fires on every novice prompt and on one of four expert prompts; on any token is enough."""
    assert values(firing_rate(two["novice"], 0)) == [1, 1, 1, 1]
    assert values(firing_rate(two["novice"], 1)) == [0, 1, 0, 0]
    assert values(firing_rate(two["expert"], 0)) == [0, 1, 0, 0]
    assert sample_of(firing_rate(two["expert"], 0), Terms()).mean == 0.25
    assert values(firing_rate(several, 0)) == [1, 0]
    assert values(firing_rate(several, 1)) == [1, 1]


@pytest.mark.parametrize("feature", [-1, 2])
def test_firing_rate_of_no_feature_is_an_error(two: Features, feature: int) -> None:
    """A number outside the SAE is refused, with the range."""
    with pytest.raises(ValueError, match=rf"feature {feature} is outside \[0, 2\) of hand"):
        firing_rate(two, feature)


def test_several_tokens_are_averaged(several: Features) -> None:
    """L0 of 1, 2 and 0 on three tokens is 1 for the prompt."""
    assert values(l0(several)) == [1.0, 1.0]
    assert values(active_share(several)) == [0.5, 0.5]


def test_a_prompt_of_which_no_token_was_read_is_an_error(several: Features) -> None:
    """The mean over no tokens is refused, and the prompt named."""
    unread = Features(
        subject="hand",
        acts=several.acts[[0, 1]],
        row_prompt=several.row_prompt[:2],
        tokens=several.tokens[:2],
        prompts=several.prompts,
        n_tokens=several.n_tokens,
    )
    with pytest.raises(ValueError, match="no token was read of 'yeast'"):
        l0(unread)


def test_a_style_keeps_the_lengths_of_its_prompts(two: Features) -> None:
    """The length control needs them."""
    found = l0(two["expert"])
    assert isinstance(found, Measurement)
    assert found.label == "expert"
    assert found.n_tokens is not None
    assert list(found.n_tokens) == [7, 8, 9, 10]


@pytest.mark.parametrize("measure", [l0, active_share])
def test_a_number_that_the_sae_fixes_makes_a_claim_unverifiable(measure: Any) -> None:
    """TopK keeps k features of each token, so that neither more nor as many of them says anything of the prompts."""
    rows = crossed("novice", (1, 2, 0), templates="AB", topics=("x", "y"))
    rows += crossed("expert", (0, 1, 1), templates="AB", topics=("x", "y"))
    both = replace(features(rows), fixed_l0=2)
    with pytest.raises(Unverifiable, match="keeps at most 2 features of each token, whatever the text"):
        assert measure(both["novice"]) > measure(both["expert"])
    with pytest.raises(Unverifiable, match="exclusive_features, separates or firing_rate"):
        assert measure(both["novice"]) == about(measure(both["expert"]), margin=1)
    assert firing_rate(both["novice"], 0).mean == 1  # which features are active is not fixed
    assert measure(replace(both, fixed_l0=None)["novice"]).mean > 0


def test_a_transcoder_has_no_variance_explained() -> None:
    """Its errors are NaN, for it writes elsewhere; the reason is given."""
    rows = crossed("novice", (1, 2), templates="AB", topics=("x", "y"))
    of = replace(features(rows), activations=np.arange(8.0).reshape(4, 2), squared_error=np.full(4, np.nan))
    with pytest.raises(ValueError, match="is a transcoder, which writes elsewhere and has no error here"):
        variance_explained(of)


def test_the_figures_of_a_protocol_are_means_and_what_separates(two: Features) -> None:
    """Novice fires 1, 2, 1 and 1 features, expert 1, 2, 1 and 1; the third feature fires on novice alone, on each."""
    third = np.array([[3.0]] * 4 + [[0.0]] * 4, dtype=np.float32)
    both = replace(two, acts=csr_array(hstack([two.acts, csr_array(third)])), place="last token")
    ranks = replace(two, acts=csr_array((0, 3)), row_prompt=np.arange(0), tokens=(), effective_rank=np.arange(8.0))
    found = figures_of([both, ranks])
    assert found.between == ("novice", "expert")
    assert found.separating == (2,)
    assert found.styles == (
        OfStyle(style="novice", l0=2.25, effective_rank=1.5),
        OfStyle(style="expert", l0=1.25, effective_rank=5.5),
    )
    assert figures_of([ranks]).separating == ()
    with pytest.raises(ValueError, match="below 0"):
        replace(found, separating=(-1,))

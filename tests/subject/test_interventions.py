"""Interventions: what is added keeps the SAE's error, and can be taken away again."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_saes import drawn_sae
from made_subjects import Made

from saeprobe.subject.running.editing import Features, add, edit_features, equal_norm

FINITE = st.floats(-1e3, 1e3, width=32)


@pytest.fixture(scope="module")
def sae(tiny: Made) -> Any:
    return cast(Any, tiny.subject.open()).sae


@pytest.mark.parametrize(("feature", "strength"), [(0, 2.0), (7, -1.5), (39, 30.0)])
def test_adding_a_direction_is_editing_the_feature_with_the_error_kept(sae: Any, feature: int, strength: float) -> None:
    """The sum x + s W_dec[i] is x + decode(f') - decode(f) where f' is f with s more of feature i."""
    x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(3))
    f = sae.encode(x)
    edited = f.clone()
    edited[..., feature] += strength
    kept = x + sae.decode(edited) - sae.decode(f)
    change = (strength * sae.W_dec[feature]).expand(2, -1)
    torch.testing.assert_close(add(change)(x, None), kept, atol=1e-5, rtol=1e-5)
    # Putting decode(f') in the place of x is something else: the error is lost with it.
    assert (sae.decode(edited) - kept).abs().max() > 0.1


@given(x=st.lists(FINITE, min_size=12, max_size=12), change=st.lists(FINITE, min_size=4, max_size=4))
def test_steer_then_unsteer_is_identity(x: list[float], change: list[float]) -> None:
    """Adding a vector and its opposite gives the stream back, to float32's rounding."""
    stream = torch.tensor(x).reshape(2, 3, 2)
    vector = torch.tensor(change).reshape(2, 2)
    there = add(vector)(stream, None)
    torch.testing.assert_close(add(-vector)(there, None), stream, atol=2e3 * 2**-23, rtol=0)
    torch.testing.assert_close(there[0, 2], stream[0, 2] + vector[0])  # each row has its own vector


def test_a_change_of_another_shape_is_refused() -> None:
    """Both shapes are named; broadcasting would steer the wrong rows."""
    with pytest.raises(ValueError, match=r"activations are \(3, 4, 2\); wanted \[1, pos, 2\]"):
        add(torch.zeros(1, 2))(torch.zeros(3, 4, 2), None)


KINDS: dict[str, Any] = {"standard": {}, "jumprelu": {}, "gated": {}, "topk": {"k": 5}}


def random_sae(kind: str) -> Any:
    """An SAE of 24 features of a stream of 8."""
    return drawn_sae(kind, d_in=8, d_sae=24, **KINDS[kind])


@pytest.mark.parametrize("kind", list(KINDS))
@given(
    features=st.lists(st.integers(0, 23), min_size=1, max_size=3, unique=True),
    amount=st.floats(-8, 8, width=16),
    seed=st.integers(0, 99),
)
def test_each_action_is_encoding_modifying_and_decoding(
    kind: str, features: list[int], amount: float, seed: int
) -> None:
    """By the SAE's own encoder and decoder, with its error kept in all but `replace`; other rows stay as they are."""
    sae, x = random_sae(kind), torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(seed))
    f = sae.encode(x)
    for action in ("ablate", "clamp", "replace"):
        edited = f.clone()
        edited[..., features] = f[..., features] + amount if action == "replace" else amount * (action == "clamp")
        wanted = sae.decode(edited) + (0 if action == "replace" else x - sae.decode(f))
        given_ones = Features(
            features=torch.tensor([features, [0] * len(features), features]),
            amounts=torch.full((3, len(features)), amount * (action != "ablate")),
            on=torch.tensor([True, False, True]),
            before=torch.tensor([0, 0, 2]),
        )
        edit = edit_features(sae, action, given_ones)
        found = edit(x, None)
        torch.testing.assert_close(found[0], wanted[0], atol=1e-4, rtol=1e-4)
        assert torch.equal(found[1], x[1])
        assert torch.equal(found[2, :2], x[2, :2])  # what comes before its text
        torch.testing.assert_close(found[2, 2:], wanted[2, 2:], atol=1e-4, rtol=1e-4)
        later = edit(x[:, :1], None)  # a new token under a cache
        torch.testing.assert_close(later[2], wanted[2, :1], atol=1e-4, rtol=1e-4)


def test_a_feature_that_does_not_fire_is_ablated_without_effect() -> None:
    """Nothing else is written where it is silent, to the last bit."""
    sae, x = random_sae("standard"), torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(1))
    f = sae.encode(x)[0]
    silent = int((f > 0).sum(0).argmin())
    given_ones = Features(
        features=torch.tensor([[silent]]), amounts=torch.zeros(1, 1), on=torch.ones(1).bool(), before=torch.zeros(1)
    )
    found = edit_features(sae, "ablate", given_ones)(x, None)[0]
    assert torch.equal(found[f[:, silent] == 0], x[0, f[:, silent] == 0])
    assert not torch.equal(found, x[0]) or not bool((f[:, silent] > 0).any())


@pytest.mark.parametrize("action", ["clamp", "replace"])
def test_a_stream_that_is_read_centred_is_encoded_without_its_mean(action: Any) -> None:
    """What the SAE reads, and what it gives back, has none; the mean of the stream stays."""
    sae, x = random_sae("standard"), torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(2))
    x = x - x.mean(-1, keepdim=True)
    given_ones = Features(
        features=torch.tensor([[3]]), amounts=torch.ones(1, 1), on=torch.ones(1).bool(), before=torch.zeros(1)
    )
    plain = edit_features(sae, action, given_ones)(x, None)
    shifted = edit_features(sae, action, given_ones, centred=True)(x + 7.0, None)
    torch.testing.assert_close(shifted - 7.0, plain, atol=1e-4, rtol=1e-4)


@given(vector=st.lists(FINITE, min_size=3, max_size=3).filter(lambda v: max(map(abs, v)) > 1e-3))
def test_equal_norm_changes_length_alone(vector: list[float]) -> None:
    """The length is that asked for, (3, 4) having 5, and the direction stays."""
    given_one = torch.tensor(vector)
    found = equal_norm(given_one, torch.tensor([3.0, 4.0, 0.0]))
    assert float(found.norm()) == pytest.approx(5.0, rel=1e-5)
    assert float(torch.cosine_similarity(found.double(), given_one.double(), dim=0)) == pytest.approx(1.0, abs=1e-6)


def test_a_vector_of_no_length_has_no_direction() -> None:
    """It is refused, not divided by."""
    with pytest.raises(ValueError, match="length 0"):
        equal_norm(torch.zeros(3), torch.ones(3))

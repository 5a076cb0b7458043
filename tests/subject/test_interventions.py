"""Interventions: what is added keeps the SAE's error, and can be taken away again."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_subjects import Made

from saeprobe.subject.running.steering import add, equal_norm

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

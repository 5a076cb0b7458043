"""Matched sparsity: thresholds by hand, and SAEs of several architectures that are given the sparsity of another."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_saes import drawn_sae

from saeprobe.subject.specification import SubjectError

D_IN, D_SAE, TOKENS = 6, 20, 50


def between(values: list[float], wanted: int, *, repeats: list[int] | None = None) -> tuple[float, int]:
    """Return threshold and count of one feature with these values."""
    import torch

    from saeprobe.subject.running.random import between as between_

    rows = torch.tensor(values)[:, None]
    counts = torch.tensor(repeats or [1] * len(values))
    thresholds, reached = between_(rows, counts, torch.tensor([wanted]))
    return float(thresholds[0]), int(reached[0])


@pytest.mark.parametrize(("wanted", "threshold"), [(0, 7.0), (1, 5.0), (2, 2.5), (3, 0.5), (4, -0.5)])
def test_a_threshold_lies_half_way_between_two_values_or_half_a_gap_beyond_them(wanted: int, threshold: float) -> None:
    """Of 6, 4, 1 and 0: (6 + 4) / 2, (4 + 1) / 2, (1 + 0) / 2; 6 + (6 - 4) / 2 above and 0 - (1 - 0) / 2 below."""
    assert between([1.0, 6.0, 0.0, 4.0], wanted) == (threshold, wanted)


def test_between_equal_values_there_is_no_threshold_and_the_nearest_count_is_taken() -> None:
    """Of 5, 2, 2, 2 and 1 two cannot be had: one is nearer than four; and three are nearer to four than to one."""
    values = [2.0, 5.0, 2.0, 1.0, 2.0]
    assert between(values, 2) == (3.5, 1)
    assert between(values, 3) == (1.5, 4)


def test_of_two_counts_equally_near_the_smaller_is_taken() -> None:
    """Of 2, 2 and 1 neither fires or both do, where one is wanted; the end is 1 + 2 beyond, half of it added."""
    assert between([2.0, 2.0, 1.0], 1) == (3.5, 0)


def test_a_row_counts_as_often_as_its_token_is_repeated() -> None:
    """Rows of 3, 1 and 2 tokens with values 9, 5 and 1: of four tokens wanted are had 3 + 1, of two 3."""
    assert between([9.0, 5.0, 1.0], 4, repeats=[3, 1, 2]) == (3.0, 4)
    assert between([9.0, 5.0, 1.0], 2, repeats=[3, 1, 2]) == (7.0, 3)
    assert between([9.0, 5.0, 1.0], 6, repeats=[3, 1, 2]) == (-1.0, 6)


def test_a_feature_that_is_the_same_everywhere_fires_on_all_tokens_or_none() -> None:
    """A direction of length 0 is such a one; three values of 0 leave thresholds half of 1 above and below."""
    assert between([0.0, 0.0, 0.0], 0) == (0.5, 0)
    assert between([0.0, 0.0, 0.0], 1) == (0.5, 0)
    assert between([0.0, 0.0, 0.0], 2) == (-0.5, 3)


def test_of_two_neighbours_in_floating_point_the_upper_fires_and_the_lower_does_not() -> None:
    """Nothing lies between them, so that half way is rounded to one of the two."""
    import torch

    for value in (1.0, 3.0, -1.0, 1e-3):
        upper = torch.tensor(value)
        lower = torch.nextafter(upper, torch.tensor(-math.inf))
        threshold, reached = between([float(lower), float(upper)], 1)
        assert reached == 1
        assert float(lower) <= threshold < float(upper)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=12, unique=True).flatmap(
        lambda values: st.tuples(
            st.just(values),
            st.lists(st.integers(1, 4), min_size=len(values), max_size=len(values)),
            st.integers(0, 4 * len(values)),
        )
    )
)
def test_no_threshold_comes_nearer_to_the_count(drawn: tuple[list[float], list[int], int]) -> None:
    """Every count that any threshold gives is tried, and those reached are what the threshold truly gives."""
    values, repeats, wanted = drawn
    threshold, reached = between(values, wanted, repeats=repeats)
    above = sum(times for value, times in zip(values, repeats, strict=True) if value > threshold)
    assert above == reached
    possible = [
        sum(times for value, times in zip(values, repeats, strict=True) if value > cut)
        for cut in (*values, min(values) - 1)
    ]
    assert abs(reached - wanted) == min(abs(one - wanted) for one in possible)


def rows(*, repeats: list[int] | None = None, seed: int = 6) -> Any:
    """Draw streams of 50 different tokens."""
    import torch

    from saeprobe.subject.running.random import Streams

    x = torch.randn(TOKENS, D_IN, generator=torch.Generator().manual_seed(seed)) + 1.0
    return Streams(x=x, repeats=torch.tensor(repeats or [1] * TOKENS))


def firing(sae: Any, streams: Any) -> tuple[Any, float]:
    """Return counts by feature and the mean of what is above zero, in plain torch."""
    acts = sae.encode(streams.x)
    counts = ((acts > 0) * streams.repeats[:, None]).sum(0)
    return counts, float((acts * streams.repeats[:, None]).sum() / counts.sum())


SAES = [
    ("standard", {}),
    ("standard", {"apply_b_dec_to_input": False}),
    ("standard", {"normalize_activations": "layer_norm"}),
    ("jumprelu", {}),
    ("gated", {}),
    ("topk", {"k": 3}),
]


@pytest.mark.parametrize(("architecture", "settings"), SAES)
@pytest.mark.parametrize("random", [False, True])
def test_each_feature_fires_as_often_as_the_trained_one_on_other_streams(
    architecture: str, settings: dict[str, Any], *, random: bool
) -> None:
    """Counts on one set of streams are had on another, exactly, and the mean activation to rounding."""
    import torch

    from saeprobe.subject.running.random import Firing, matched, random_directions

    trained, there = drawn_sae(architecture, d_in=D_IN, d_sae=D_SAE, **settings), rows(seed=7)
    counts, mean = firing(trained, rows())
    drawn = random_directions(D_SAE, D_IN, generator=torch.Generator().manual_seed(1)) if random else None
    found = matched(trained, there, Firing(counts=counts, mean=mean), directions=drawn)
    assert found.cfg.architecture() == "standard"
    now, mean_now = firing(found, there)
    assert now.tolist() == counts.tolist()
    assert mean_now == pytest.approx(mean, rel=1e-4)


@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "gated", "topk"])
def test_a_trained_sae_keeps_its_directions_and_its_decoder(architecture: str) -> None:
    """Only how far along its direction a feature begins is set anew, and one length for all."""
    import torch

    from saeprobe.subject.running.random import Firing, matched

    trained = drawn_sae(architecture, d_in=D_IN, d_sae=D_SAE, **({"k": 3} if architecture == "topk" else {}))
    encoder, decoder, bias = (one.clone() for one in (trained.W_enc, trained.W_dec, trained.b_dec))
    counts, mean = firing(trained, rows())
    sae = matched(trained, rows(seed=7), Firing(counts=counts, mean=3 * mean))
    ratio = sae.W_enc / encoder
    assert torch.allclose(ratio, ratio[0, 0].expand_as(ratio), rtol=1e-5)
    assert float(ratio[0, 0]) > 0
    assert torch.equal(sae.W_dec, decoder)
    assert torch.equal(sae.b_dec, bias)


def test_random_directions_are_read_and_written_alike() -> None:
    """The encoder's columns are the decoder's rows, all times one scale, and nothing is left of the trained ones."""
    import torch

    from saeprobe.subject.running.random import Firing, matched, random_directions

    trained = drawn_sae("standard", d_in=D_IN, d_sae=D_SAE)
    before = trained.W_enc.clone()
    counts, mean = firing(trained, rows())
    drawn = random_directions(D_SAE, D_IN, generator=torch.Generator().manual_seed(1))
    sae: Any = matched(trained, rows(), Firing(counts=counts, mean=mean), directions=drawn)
    assert torch.equal(sae.W_dec, drawn)
    lengths = sae.W_enc.norm(dim=0)
    assert torch.allclose(lengths, lengths[0].expand_as(lengths), rtol=1e-5)
    assert torch.allclose(sae.W_enc / lengths, drawn.T, atol=1e-6)
    assert abs(float(torch.corrcoef(torch.stack([sae.W_enc.flatten(), before.flatten()]))[0, 1])) < 0.3


def test_random_directions_are_uniform_on_the_sphere() -> None:
    """Of length 1; over 4,000 of them the mean is near 0 and every axis has a share of 1/3 of the squares."""
    import torch

    from saeprobe.subject.running.random import random_directions

    drawn = random_directions(4000, 3, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(drawn.norm(dim=1), torch.ones(4000), atol=1e-6)
    assert float(drawn.mean(0).abs().max()) < 0.04  # four standard errors: 4 sqrt(1/3 / 4000)
    assert float((drawn.square().mean(0) - 1 / 3).abs().max()) < 0.02  # 4 sqrt(4/45 / 4000)
    other = random_directions(4000, 3, generator=torch.Generator().manual_seed(2))
    assert not torch.equal(drawn, other)


def test_repeated_tokens_that_cannot_be_split_are_counted() -> None:
    """One stream of 40 tokens and 49 of one each: where 10 are wanted a feature may fire on 10, or on 40 and more."""
    import torch

    from saeprobe.subject.running.random import Firing, matched

    streams = rows(repeats=[40] + [1] * (TOKENS - 1))
    wanted = torch.full((D_SAE,), 20)
    found = matched(drawn_sae("standard", d_in=D_IN, d_sae=D_SAE), streams, Firing(counts=wanted, mean=1.0))
    counts, _ = firing(found, streams)
    missed = (counts - wanted).abs()
    assert int(missed.max()) > 0  # the repeated stream is among the foremost of some feature
    assert int(missed.min()) == 0


def test_a_feature_that_never_fires_stays_silent_on_the_text() -> None:
    """Where none of the trained features fires there is no mean to be had either, and nothing is scaled."""
    import torch

    from saeprobe.subject.running.random import Firing, matched

    trained = drawn_sae("standard", d_in=D_IN, d_sae=D_SAE)
    before = trained.W_enc.clone()
    sae: Any = matched(trained, rows(), Firing(counts=torch.zeros(D_SAE, dtype=torch.long), mean=0.0))
    assert int((sae.encode(rows().x) > 0).sum()) == 0
    assert torch.equal(sae.W_enc, before)


def test_features_are_matched_in_parts_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dictionary of 65,536 is not sorted at once."""
    import torch

    from saeprobe.subject.running import random as module

    counts, mean = firing(drawn_sae("standard", d_in=D_IN, d_sae=D_SAE), rows())
    wanted = module.Firing(counts=counts, mean=mean)
    whole: Any = module.matched(drawn_sae("standard", d_in=D_IN, d_sae=D_SAE), rows(), wanted)
    monkeypatch.setattr(module, "_ENTRIES_AT_ONCE", 7 * TOKENS)
    parts: Any = module.matched(drawn_sae("standard", d_in=D_IN, d_sae=D_SAE), rows(), wanted)
    assert torch.allclose(whole.b_enc, parts.b_enc, rtol=1e-5)
    assert torch.allclose(whole.W_enc, parts.W_enc, rtol=1e-5)


def test_a_text_of_one_token_has_no_thresholds() -> None:
    """It is refused."""
    import torch

    from saeprobe.subject.running.random import Firing, Streams, matched

    one = Streams(x=torch.ones(1, D_IN), repeats=torch.ones(1, dtype=torch.long))
    wanted = Firing(counts=torch.zeros(D_SAE, dtype=torch.long), mean=0.0)
    with pytest.raises(SubjectError, match="the neutral text has 1 different tokens; wanted two or more"):
        matched(drawn_sae("standard", d_in=D_IN, d_sae=D_SAE), one, wanted)

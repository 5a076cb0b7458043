"""The instrument check: figures worked by hand, and when they call an instrument broken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from saeprobe.features import Features, Token
from saeprobe.prompts import NEUTRAL, Prompt, PromptSet
from saeprobe.store.instrument import LayerFit, captures, fit_of, judge, layer_in_words, share, unread
from saeprobe.subject.provenance import Yardstick
from saeprobe.subject.specification import ReadingError

HOOK = "blocks.50.hook_resid_post"
PUBLISHED = Yardstick(l0=121.0, variance_explained=0.8, source="the registry of sae-lens")


def read(errors: list[float], *, near: list[list[int]] | None = None) -> Features:
    """Four tokens whose activations lie (±2, 0) and (0, ±2) from their mean (1, 1): a total variance of 16."""
    x = np.array([[3, 1], [-1, 1], [1, 3], [1, -1]], dtype=np.float32)
    acts = csr_array(np.array([[1, 0, 2], [0, 0, 0], [1, 1, 1], [0, 3, 0]], dtype=np.float32))
    return Features(
        subject="hand",
        acts=acts,
        row_prompt=np.array([0, 0, 1, 1]),
        tokens=tuple(Token(position=place, text="x", start=0, end=1) for place in (1, 2, 1, 2)),
        prompts=tuple(Prompt(text=text, style="s", topic=text, template="t") for text in "ab"),
        n_tokens=np.array([3, 3]),
        squared_error=np.array(errors),
        activations=x,
        near=None if near is None else csr_array(np.array(near, dtype=bool)),
        tolerance=1e-4,
    )


def fit(shift: int, explained: float | None, *, l0: float = 121.0) -> LayerFit:
    """Make the figures of one layer."""
    layer = layer_in_words(HOOK, shift)
    return LayerFit(shift=shift, layer=layer, l0=l0, variance_explained=explained, tokens=1000, near_threshold=None)


def test_the_figures_are_those_worked_by_hand() -> None:
    """Six features are active on four tokens; errors of 4 in 16 leave three quarters explained."""
    found = fit_of(read([1, 1, 2, 0]), shift=0, hook_name=HOOK)
    assert found == LayerFit(
        shift=0, layer="output of layer 50", l0=1.5, variance_explained=0.75, tokens=4, near_threshold=None
    )


def test_features_near_their_threshold_are_counted_a_token() -> None:
    """Three lie there on four tokens."""
    near = [[0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert fit_of(read([0] * 4, near=near), shift=0, hook_name=HOOK).near_threshold == 0.75


@pytest.mark.parametrize("error", [np.inf, np.nan])
def test_a_share_that_is_no_number_is_none(error: float) -> None:
    """An error that is not finite, or activations that do not vary, give no figure."""
    assert fit_of(read([error, 0, 0, 0]), shift=0, hook_name=HOOK).variance_explained is None
    flat = replace(read([1] * 4), activations=np.ones((4, 2)))
    assert fit_of(flat, shift=0, hook_name=HOOK).variance_explained is None


def test_activations_are_needed() -> None:
    """A capture that did not keep them is refused."""
    with pytest.raises(ValueError, match="needs activations and errors"):
        fit_of(replace(read([0] * 4), activations=None), shift=0, hook_name=HOOK)


@pytest.mark.parametrize(
    ("hook_name", "shift", "words"),
    [
        ("blocks.50.hook_resid_post", 0, "output of layer 50"),
        ("blocks.50.hook_resid_post", -1, "output of layer 49"),
        ("blocks.50.hook_resid_pre", 0, "output of layer 49"),
        ("blocks.1.hook_resid_pre", -1, "embedding"),
        ("blocks.0.hook_resid_pre", 0, "embedding"),
        ("blocks.0.hook_resid_pre", 1, "output of layer 0"),
    ],
)
def test_layers_are_named_as_in_transformers(hook_name: str, shift: int, words: str) -> None:
    """The output of layer k is what block k hands on."""
    assert layer_in_words(hook_name, shift) == words


def test_the_neutral_text_is_read_at_all_tokens_of_each_layer() -> None:
    """One capture a layer, without the chat template, with the activations; a subject may have its own text."""
    made = captures(Yardstick(shifts=(-1, 0)))
    assert list(made) == [-1, 0]
    for shift, capture in made.items():
        assert (capture.shift, capture.raw, capture.at, capture.prompts) == (shift, True, "all", NEUTRAL)
        assert capture.keep == {"features", "activations"}
    own = PromptSet(name="own", language="de", prompts=())
    assert captures(Yardstick(), prompts=own)[1].prompts is own


def test_an_instrument_that_fits_is_sound() -> None:
    """The published figures, and neighbours that fit less well: nothing to find."""
    check = judge([fit(1, 0.7), fit(0, 0.8), fit(-1, 0.7)], PUBLISHED, hook_name=HOOK)
    assert (check.findings, check.broken) == ((), False)
    assert [one.shift for one in check.layers] == [-1, 0, 1]
    assert check.line == (
        "output of layer 50: variance explained 0.800 (published 0.8); L0 121.0 (published 121); "
        "around it 0.700 at the output of layer 49, 0.700 at the output of layer 51; 1,000 tokens"
    )


@pytest.mark.parametrize(("shift", "layer", "off"), [(1, 50, "one"), (-1, 48, "one"), (2, 51, "2")])
def test_a_hook_beside_its_layer_is_named_as_such(shift: int, layer: int, off: str) -> None:
    """Which layer fits better, both figures, and the hook that would be right."""
    check = judge([fit(0, 0.55), fit(shift, 0.71)], Yardstick(), hook_name="blocks.49.hook_resid_post")
    # `fit` names layers from block 50; the words of the finding come from them.
    (found,) = check.findings
    assert check.broken
    assert (
        f"the SAE fits the output of layer {50 + shift} better than the output of layer 50, where it is read" in found
    )
    assert "variance explained 0.710 against 0.550" in found
    assert f'off by {off}: declare hook_name = "blocks.{layer}.hook_resid_post"' in found


def test_a_hook_that_should_be_the_embedding_is_named_by_the_hook_before_block_0() -> None:
    """There is no block before it whose output it could be."""
    check = judge([fit(0, 0.5), fit(-1, 0.9)], Yardstick(), hook_name="blocks.0.hook_resid_post")
    assert 'declare hook_name = "blocks.0.hook_resid_pre"' in check.findings[0]


@pytest.mark.parametrize(("beside", "broken"), [(0.81, False), (0.8101, True), (None, False)])
def test_a_neighbour_must_be_better_by_more_than_a_hundredth(beside: float | None, *, broken: bool) -> None:
    """Up to 0.01 it may be chance; a neighbour without a figure is no rival."""
    assert judge([fit(0, 0.8), fit(1, beside)], Yardstick(), hook_name=HOOK).broken is broken


@pytest.mark.parametrize(
    ("l0", "broken"), [(60.4, True), (60.5, False), (121.0, False), (242.0, False), (242.1, True), (0.0, True)]
)
def test_l0_must_lie_between_half_and_twice_the_published_one(l0: float, *, broken: bool) -> None:
    """The bounds themselves pass; the message has both numbers, the source and the bounds."""
    check = judge([fit(0, 0.8, l0=l0)], PUBLISHED, hook_name=HOOK)
    assert check.broken is broken
    if broken:
        told = f"L0 is {l0:.1f} features a token on neutral text, and the registry of sae-lens states 121; wanted 60.5"
        assert check.findings[0].startswith(told)


@pytest.mark.parametrize(("explained", "broken"), [(0.61, False), (0.59, True), (0.95, False)])
def test_variance_explained_may_fall_short_by_a_fifth(explained: float, *, broken: bool) -> None:
    """More than published is no fault; the message has both numbers and the source."""
    check = judge([fit(0, explained)], PUBLISHED, hook_name=HOOK)
    assert check.broken is broken
    if broken:
        told = "variance explained is 0.590 on neutral text, and the registry of sae-lens states 0.8"
        assert check.findings == (f"{told}; at least 0.6 was wanted",)


@pytest.mark.parametrize(
    ("explained", "told"),
    [(0.0, "explains no variance of what it reads: 0.000"), (-3.5, "-3.500"), (None, "is no finite number")],
)
def test_an_sae_that_explains_nothing_is_broken_whatever_is_published(explained: float | None, told: str) -> None:
    """Also where nobody states what it should explain."""
    check = judge([fit(0, explained)], Yardstick(), hook_name=HOOK)
    assert check.broken
    assert told in check.findings[0]


def test_the_reason_tells_what_to_do() -> None:
    """All that was found, and where to look."""
    check = judge([fit(0, 0.1, l0=3.0)], PUBLISHED, hook_name=HOOK)
    assert len(check.findings) == 2
    assert check.reason.startswith("the instrument check failed: variance explained is 0.100 on neutral text")
    assert "Check that model and SAE belong together, and hook_name, prepend_bos" in check.reason


def test_a_misfit_on_purpose_is_told_and_breaks_nothing() -> None:
    """The protocol of an article that read the wrong layer."""
    purpose = replace(PUBLISHED, misfit="the article read hidden_states[50]")
    check = judge([fit(0, 0.4), fit(1, 0.8)], purpose, hook_name="blocks.49.hook_resid_post")
    assert check.findings
    assert not check.broken
    assert check.line.endswith("read there on purpose: the article read hidden_states[50]")


def test_an_instrument_that_could_not_be_read_is_broken() -> None:
    """With the error and what to do about it; an error of our own speaks for itself, without its class."""
    check = unread(ValueError("no tokens"), remedy="take another text")
    assert check.broken
    assert check.here is None
    assert check.line == "nothing could be read: ValueError: no tokens; take another text"
    assert unread(ReadingError("too long")).reason == "the instrument check failed: nothing could be read: too long"


def test_an_sae_of_another_model_is_not_sent_one_layer_further() -> None:
    """Where it explains no variance anywhere, a layer that is less bad says nothing of the hook."""
    check = judge([fit(-1, -12.4), fit(0, -37.8), fit(1, None)], Yardstick(), hook_name=HOOK)
    assert check.broken
    assert check.findings[0] == "the SAE fits none of the layers tried: it is probably of another model"
    assert "off by" not in check.reason


def test_a_check_comes_from_what_was_read() -> None:
    """Errors of 4 in 16 at the hook, of 2 behind it: the hook is off by one."""
    hook_name = "blocks.1.hook_resid_pre"
    errors = {0: [1.0] * 4, 1: [0.5] * 4}
    fits = [fit_of(read(error), shift=shift, hook_name=hook_name) for shift, error in errors.items()]
    check = judge(fits, Yardstick(), hook_name=hook_name)
    (found,) = check.findings
    assert found.startswith("the SAE fits the output of layer 1 better than the output of layer 0, where it is read")
    assert "variance explained 0.875 against 0.750; hook_name blocks.1.hook_resid_pre is off by one" in found
    assert found.endswith('declare hook_name = "blocks.1.hook_resid_post"')


def test_shares_far_from_anything_are_short() -> None:
    """Three decimals, or three digits where decimals say nothing."""
    assert [share(value) for value in (0.91862, -4.4014, -123456.7, None)] == [
        "0.919",
        "-4.401",
        "-1.23e+05",
        "not finite",
    ]

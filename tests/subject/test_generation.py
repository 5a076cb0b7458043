"""Generation: the arms of a steering experiment, and how fluent their texts are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_subjects import Made

from saeprobe.captures.steering import Steering, ablate, clamp, replace, steer
from saeprobe.prompts import Prompt, PromptSet
from saeprobe.subject.running.editing import Experiment, SteeringError
from saeprobe.subject.running.steering import past_of
from saeprobe.subject.specification import SubjectError

TEXTS = ("red", "the golden gate bridge is red")
PROMPTS = PromptSet(
    name="p", language="en", prompts=tuple(Prompt(text=text, style="s", topic=text, template="t") for text in TEXTS)
)


def experiment(steering: Steering, *, alive: tuple[int, ...] = tuple(range(20))) -> Experiment:
    """Make an experiment on 20 directions of different lengths."""
    directions = torch.randn(20, 6, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 21)[:, None]
    return Experiment(subject="tiny", steering=steering, directions=directions, alive=alive)


@given(
    features=st.lists(st.integers(0, 19), min_size=1, max_size=4, unique=True),
    wanted=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_random_sets_have_the_norm_of_the_chosen_one_and_none_of_its_features(
    features: list[int], wanted: int, seed: int
) -> None:
    """At each strength; as many features as were chosen, all different sets, drawn again alike from the seed."""
    steering = steer(PROMPTS, feature=features, strengths=[2, -3], random_features=wanted, seed=seed)
    treatments = experiment(steering).treatments
    for strength in (2.0, -3.0):
        (steered,) = [one for one in treatments if one.arm == "steered" and one.strength == strength]
        controls = [one for one in treatments if one.arm == "random" and one.strength == strength]
        assert len({one.features for one in controls}) == wanted
        for one in controls:
            assert len(one.features) == len(features)
            assert not set(one.features) & set(features)
            assert float(one.change.norm()) == pytest.approx(float(steered.change.norm()), rel=1e-5)
    assert float(treatments[0].change.abs().max()) == 0.0  # unsteered
    assert experiment(steering).random_sets == experiment(steering).random_sets


@pytest.mark.parametrize("features", [[5, 2], [2, 5]])
def test_a_set_of_features_is_the_sum_of_their_rows(features: list[int]) -> None:
    """Their order does not matter."""
    whole = experiment(steer(PROMPTS, feature=features, strengths=[2]))
    assert whole.treatments[1].arm == "steered"
    torch.testing.assert_close(whole.treatments[1].change, 2 * (whole.directions[2] + whole.directions[5]))


def test_random_sets_are_drawn_from_the_features_that_fire() -> None:
    """A control that is dead on the prompts would be no fair one."""
    steering = steer(PROMPTS, feature=3, strengths=[1], random_features=3)
    assert set(experiment(steering, alive=(3, 4, 9, 11)).random_sets) == {(4,), (9,), (11,)}
    with pytest.raises(SteeringError, match="2 features of tiny beside the chosen ones fire on the prompts; 3 diff"):
        _ = experiment(steering, alive=(3, 4, 9)).random_sets


def test_a_feature_that_the_sae_does_not_have_is_refused() -> None:
    """With the range that it has."""
    with pytest.raises(SteeringError, match=r"feature 20 is outside \[0, 20\) of tiny"):
        _ = experiment(steer(PROMPTS, feature=20, strengths=[1])).treatments


def written_alone(bridge: Any, ids: list[int], change: Callable[[Any], Any], *, new: int) -> list[int]:
    """Write greedy tokens, the end of text included, without batch, padding or cache; `change` makes another stream."""

    def edit(x: Any, hook: object) -> Any:
        del hook
        return change(x)

    whole = list(ids)
    for _ in range(new):
        with torch.no_grad(), bridge.hooks(fwd_hooks=[("blocks.2.hook_resid_pre", edit)]):
            whole.append(int(bridge(torch.tensor([whole]))[0, -1].argmax()))
        if whole[-1] == 0:
            break
    return whole[len(ids) :]


def test_log_prob_is_a_log_softmax_written_by_hand(tiny: Made) -> None:
    """It is the mean of x - log sum exp x over the new tokens by raw transformers, unsteered, for every arm.

    The tokens are those of TransformerLens, which steers the centred stream; the raw one is steered here.
    """
    from transformers import GPT2LMHeadModel

    from saeprobe.subject.running.opening import open_bridge

    reader = cast(Any, tiny.subject.open())
    steering = steer(
        PROMPTS, feature=3, strengths=[30], random_features=1, n_samples=1, max_new_tokens=5, temperature=0
    )
    model = GPT2LMHeadModel.from_pretrained(tiny.model).eval()
    bridge = open_bridge(tiny.model, center_writing_weights=True, device="cpu", dtype="float32")
    for prompt, items in reader.continue_(PROMPTS.prompts, steering, experiment=list(TEXTS)):
        ids = list(reader.tokenize([prompt.text])[0].ids)
        for item in items[:2]:  # unsteered and steered
            added = item.strength * reader.sae.W_dec[3]
            new = written_alone(bridge, ids, lambda x, added=added: x + added, new=5)
            with torch.no_grad():
                logits = model(torch.tensor([ids + new])).logits[0].double().numpy()
            costs = [
                logits[at - 1, token] - np.log(np.exp(logits[at - 1]).sum()) for at, token in enumerate(new, len(ids))
            ]
            assert item.log_prob == pytest.approx(np.mean(costs), abs=1e-4)
        assert abs(items[0].log_prob - items[1].log_prob) > 1e-2  # the arms are not alike


ACTIONS: dict[str, Callable[[Any], Any]] = {
    "steer": lambda f: f + 0,
    "ablate": lambda f: f * 0,
    "clamp": lambda f: f * 0 + 25,
    "replace": lambda f: f + 30,
}


@pytest.mark.parametrize("action", list(ACTIONS))
def test_each_action_writes_what_editing_each_token_by_hand_writes(tiny: Made, action: str) -> None:
    """Behind BOS, by the SAE's own encoder and decoder, on the centred stream of TransformerLens, without a cache."""
    from saeprobe.subject.running.opening import open_bridge

    how: Any = {"random_features": 1, "n_samples": 1, "max_new_tokens": 6, "temperature": 0}
    declared = {
        "steer": lambda: steer(PROMPTS, feature={3: 1, 7: -1}, strengths=[30], **how),
        "ablate": lambda: ablate(PROMPTS, feature=list(range(12)), **how),
        "clamp": lambda: clamp(PROMPTS, feature=[3, 7], to=[25], **how),
        "replace": lambda: replace(PROMPTS, feature=[3, 7], strengths=[30], **how),
    }[action]()
    reader = cast(Any, tiny.subject.open())
    sae, bridge = reader.sae, open_bridge(tiny.model, center_writing_weights=True, device="cpu", dtype="float32")

    def by_hand(x: Any, *, strength: float) -> Any:
        f = sae.encode(x)
        other = f.clone()
        of = list(declared.features)
        other[..., of] = ACTIONS[action](f[..., of]) if strength else f[..., of]
        edited = sae.decode(other) + (0 if action == "replace" else x - sae.decode(f))
        if action == "steer":
            return x + 30 * (sae.W_dec[3] - sae.W_dec[7])
        return torch.cat([x[:, :1], edited[:, 1:]], dim=1)

    seen = set[str]()
    for prompt, items in reader.continue_(PROMPTS.prompts, declared, experiment=list(TEXTS)):
        ids = list(reader.tokenize([prompt.text])[0].ids)
        for item in (one for one in items if one.arm in ("rebuilt", "steered")):
            new = written_alone(bridge, ids, lambda x, of=item.strength: by_hand(x, strength=of), new=6)
            wanted = reader.tokenizer.decode(new[: len(new) - (new[-1] == 0)])
            assert item.text == wanted
        unsteered, *_, last = (one for one in items if one.arm != "random")
        seen |= {unsteered.text, last.text}
    assert len(seen) > len(TEXTS)  # the action does something


@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_what_a_step_keeps_goes_into_the_next_under_the_models_own_name(name: str) -> None:
    """The name is `past_key_values` before transformers 5.24 and `cache` since; nothing else of a step is kept."""
    assert past_of({"logits": 1, name: 2}) == {name: 2}


def test_a_model_that_keeps_nothing_is_refused() -> None:
    """Its second step would see one token alone."""
    with pytest.raises(SubjectError, match="keeps no keys and values"):
        past_of({"logits": 1})


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_step_through_transformer_lens_reads_what_the_steps_before_it_kept(tmp_path: Path, family: str) -> None:
    """The last token scores as in one run over the whole; transformer-lens 3.9 with transformers 5.24 fails here."""
    from made_families import write_family
    from made_subjects import write_word_tokenizer

    from saeprobe.subject.running.opening import open_bridge

    write_family(tmp_path, family)
    write_word_tokenizer(tmp_path, ["a"])
    model = open_bridge(tmp_path, center_writing_weights=False, device="cpu", dtype="float32").original_model
    ids, mask = torch.tensor([[1, 2, 3, 4]]), torch.ones(1, 4, dtype=torch.long)
    with torch.no_grad():
        whole = model(ids, use_cache=False).logits[:, -1]
        past = past_of(model(ids[:, :3], use_cache=True))
        last = model(ids[:, 3:], attention_mask=mask, position_ids=torch.tensor([[3]]), use_cache=True, **past)
    torch.testing.assert_close(last.logits[:, -1], whole, atol=1e-4, rtol=1e-4)

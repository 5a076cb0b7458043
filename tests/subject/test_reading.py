"""Reading: what comes of a prompt does not depend on its batch, and what cannot be read is named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_subjects import Made

from saeprobe.captures import Span
from saeprobe.captures.steering import steer
from saeprobe.prompts import Prompt, PromptSet
from saeprobe.subject.running.reader import SaeReader
from saeprobe.subject.specification import Reading, ReadingError, Request, Want

TEXTS = ["red", "the golden gate bridge is red", "long 桥 🙂 bridge", "the the the bridge is the long golden gate"]
FEATURES = frozenset({"features"})


@pytest.fixture(scope="module")
def reader(tiny: Made) -> Any:
    return tiny.subject.open()


def _dense(readings: Sequence[Reading], d_sae: int = 40) -> np.ndarray:
    rows = np.zeros((sum(len(one.tokens) for one in readings), d_sae))
    flat = [(index, value) for one in readings for index, value in zip(one.indices, one.values, strict=True)]
    for row, (index, value) in zip(rows, flat, strict=True):
        row[index] = value
    return rows


def read(reader: SaeReader, requests: Sequence[Request], **options: int) -> list[list[Reading]]:
    """Return the answers in the order of the requests."""
    found = dict(reader.read(requests, **options))
    return [found[index] for index in range(len(requests))]


def _texts() -> st.SearchStrategy[list[str]]:
    """Draw prompts of different lengths, with characters of one to four bytes; each fits the context of 64 tokens."""
    word = st.sampled_from(["red", "golden", "bridge", "the", "é", "桥", "🙂", " "])
    return st.lists(st.lists(word, min_size=1, max_size=9).map(" ".join), min_size=1, max_size=5)


@settings(max_examples=30, deadline=None)
@given(texts=_texts())
def test_batching_and_padding_change_nothing(reader: SaeReader, texts: list[str]) -> None:
    """Prompts of different lengths read together give what each gives alone."""
    wants = (Want(at="all", keep=frozenset({"features", "activations"})),)
    together = [reading for (reading,) in read(reader, [Request(text=text, wants=wants) for text in texts])]
    alone = [read(reader, [Request(text=text, wants=wants)])[0][0] for text in texts]
    np.testing.assert_allclose(_dense(together), _dense(alone), atol=1e-4)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.activations, other.activations, atol=1e-4)
        assert one.tokens == other.tokens


@settings(max_examples=15, deadline=None)
@given(texts=_texts())
def test_padding_on_the_left_is_padding_on_the_right(reader: SaeReader, texts: list[str]) -> None:
    """The next token's logits after a prompt are the same whichever side its batch is padded on."""
    import torch

    from saeprobe.subject.running import pad, positions_of

    batch = [one.ids for one in reader.tokenize(texts)]
    padded = pad(batch, side="left", device="cpu")
    ids, mask = padded.ids, padded.mask
    model: Any = reader.model.speaker().model
    with torch.no_grad():
        left = model(ids, attention_mask=mask, position_ids=positions_of(mask)).logits[:, -1]
        for row, one in enumerate(batch):
            right_padded = torch.tensor([[*one, 0, 0, 0]])
            right = model(right_padded, attention_mask=torch.tensor([[1] * len(one) + [0] * 3])).logits[0, len(one) - 1]
            torch.testing.assert_close(left[row], right, atol=1e-4, rtol=1e-4)


def test_positions_that_count_padding_are_wrong(reader: SaeReader) -> None:
    """The check above can tell: without position ids a row that is padded on the left gives other logits."""
    import torch

    from saeprobe.subject.running import pad

    batch = [one.ids for one in reader.tokenize(TEXTS[:2])]
    padded = pad(batch, side="left", device="cpu")
    ids, mask = padded.ids, padded.mask
    model: Any = reader.model.speaker().model
    with torch.no_grad():
        counted = torch.arange(ids.shape[1])[None].expand_as(ids)
        left = model(ids, attention_mask=mask, position_ids=counted).logits[0, -1]
        right = model(torch.tensor([batch[0]])).logits[0, -1]
    assert (left - right).abs().max() > 1e-2


def test_a_reading_is_what_transformers_and_the_equations_of_the_sae_give(reader: SaeReader, tiny: Made) -> None:
    """Raw transformers' hidden state, centred, through the SAE written out, gives the same features."""
    import torch
    from transformers import GPT2LMHeadModel

    text = TEXTS[1]
    ids = reader.tokenize([text])[0].ids
    model = GPT2LMHeadModel.from_pretrained(tiny.model).eval()
    with torch.no_grad():
        raw = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[2][0, 1:]
    x = (raw - raw.mean(-1, keepdim=True)).numpy()
    sae = {name: value.numpy() for name, value in reader.sae.state_dict().items()}
    expected = np.maximum((x - sae["b_dec"]) @ sae["W_enc"] + sae["b_enc"], 0)
    ((found,),) = read(reader, [Request(text=text, wants=(Want(at="all", keep=FEATURES),))])
    np.testing.assert_allclose(_dense([found]), expected, atol=1e-4)
    uncentred = np.maximum((raw.numpy() - sae["b_dec"]) @ sae["W_enc"] + sae["b_enc"], 0)
    assert np.abs(uncentred - expected).max() > 1e-2  # the test can tell centred from raw


@pytest.mark.parametrize("span", ["bridge", "桥", "🙂"])
def test_a_span_is_found_by_its_characters(reader: SaeReader, span: str) -> None:
    """The tokens of a span carry its characters, BOS and bytes of one character notwithstanding."""
    text = TEXTS[2]
    ((reading,),) = read(reader, [Request(text=text, wants=(Want(at=Span(text=span), keep=FEATURES),))])
    start = text.index(span)
    assert reading.tokens[0].start <= start < reading.tokens[0].end  # a blank before a word is part of its token
    assert reading.tokens[-1].end == start + len(span)
    ids = reader.tokenize([text])[0].ids
    assert reader.tokenizer.decode([ids[token.position] for token in reading.tokens]).strip() == span
    assert all(token.position > 0 for token in reading.tokens)  # BOS is never among them


def test_a_character_of_several_tokens_is_read_at_each_of_them(reader: SaeReader) -> None:
    """The tokenizer has no merge for 桥, so that its three bytes are three tokens, all of which carry it."""
    want = Want(at=Span(text="桥"), keep=FEATURES)
    ((reading,),) = read(reader, [Request(text="桥red", wants=(want,))])
    assert [(token.position, token.start, token.end) for token in reading.tokens] == [(1, 0, 1), (2, 0, 1), (3, 0, 1)]
    ((after,),) = read(reader, [Request(text="桥red", wants=(Want(at=Span(text="red"), keep=FEATURES),))])
    assert after.tokens[0].position == 4


def test_an_over_long_prompt_is_named_with_its_length_and_the_remedy(reader: SaeReader) -> None:
    """One token more than the context is refused, BOS counted; as many as it holds are read."""
    want = (Want(at="last", keep=FEATURES),)
    assert len(reader.tokenize(["x" * 63])[0].ids) == 64
    assert read(reader, [Request(text="x" * 63, wants=want)])[0][0].n_tokens == 64
    with pytest.raises(ReadingError, match=r"has 65 tokens, BOS included; the context holds 64: shorten it"):
        read(reader, [Request(text="red", wants=want), Request(text="x" * 64, wants=want)])


def test_a_prompt_whose_continuation_does_not_fit_is_named(reader: SaeReader) -> None:
    """Before anything is written, with what to lower."""
    prompt = Prompt(text="x" * 60, style="s", topic="t", template="t")
    prompts = PromptSet(name="p", language="en", prompts=(prompt,))
    wanted = steer(prompts, feature=3, strengths=[1], random_features=1, max_new_tokens=4)
    with pytest.raises(ReadingError, match="61 tokens; with 4 new ones they do not fit the 64 of the model: shorten"):
        list(reader.continue_([prompt], wanted, experiment=[prompt.text]))


def test_errors_name_the_prompt(reader: SaeReader) -> None:
    """A missing span, an over-long prompt, an empty one and a second BOS are each named."""
    for text, at, message in (
        ("red", Span(text="blue"), "the span 'blue' is not in the prompt 'red'"),
        ("red " * 99, "last", "the context holds 64"),
        ("", "last", "has no tokens"),
        ("<|endoftext|>red", "last", "contains BOS"),
    ):
        with pytest.raises(ReadingError, match=message.replace("|", r"\|")):
            read(reader, [Request(text=text, wants=(Want(at=at, keep=FEATURES),))])


def test_steering_in_a_batch_is_steering_alone_and_acts_on_each_new_token(reader: SaeReader, tiny: Made) -> None:
    """Greedy continuations agree with a loop over TransformerLens without batch or cache, and steering changes them."""
    import torch

    from saeprobe.subject.running.opening import open_bridge

    prompts = [Prompt(text=text, style="s", topic=text, template="t") for text in TEXTS[:2]]
    whole = PromptSet(name="p", language="en", prompts=tuple(prompts))
    experiment = steer(
        whole, feature=3, strengths=[30], random_features=1, n_samples=1, max_new_tokens=6, temperature=0
    )
    texts = [prompt.text for prompt in prompts]
    found = {prompt.text: items for prompt, items in reader.continue_(prompts, experiment, experiment=texts)}
    direction: Any = reader.sae.W_dec[3]
    bridge: Any = open_bridge(tiny.model, center_writing_weights=True, device="cpu", dtype="float32")
    for text in texts:
        for item, change in ((found[text][0], 0 * direction), (found[text][1], 30 * direction)):
            ids = list(reader.tokenize([text])[0].ids)
            start = len(ids)
            for _ in range(6):
                with torch.no_grad(), bridge.hooks(fwd_hooks=[("blocks.2.hook_resid_pre", _adding(change))]):
                    ids.append(int(bridge(torch.tensor([ids]))[0, -1].argmax()))
                if ids[-1] == 0:
                    ids.pop()
                    break
            assert item.text == reader.tokenizer.decode(ids[start:])
    assert any(items[0].text != items[1].text for items in found.values())


def _adding(change: Any) -> Any:
    def edit(x: Any, hook: object) -> Any:
        del hook
        return x + change

    return edit

"""Prompts that are, or speak like, what the chat template writes around them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_llama import CHAT_TEMPLATE, write_chat_tokenizer

from saeprobe.captures import Span
from saeprobe.subject.files.properties import Properties
from saeprobe.subject.files.tokenizer import Beginning
from saeprobe.subject.pairing import Pairing
from saeprobe.subject.running.tokens import tokenize
from saeprobe.subject.specification import ModelShape, ReadingError, SaeFolder, SubjectSpec

HOW = Pairing(
    spec=SubjectSpec(name="made", model=Path("model"), sae=SaeFolder(path=Path("sae")), chat_template=True),
    shape=ModelShape(
        family="layers", hidden=16, layers=3, heads=2, kv_heads=2, intermediate=32, vocabulary=0, positions=512
    ),
    properties=Properties(
        architecture="standard", d_in=16, d_sae=24, d_out=16, writes_to=None, fixed_l0=None, unsteerable=None
    ),
    hook_name="blocks.1.hook_resid_post",
    depth=2,
    prepend_bos=True,
    beginning=Beginning(tokens=("<|begin_of_text|>",)),
    center_writing_weights=False,
    context_size=512,
)


def plain(
    *, prepend_bos: bool = False, beginning: Beginning | None = None, vocabulary: int = 0, **declared: Any
) -> Pairing:
    """Pair without BOS or chat template, but for what is given."""
    spec = replace(HOW.spec, **{"chat_template": False, **declared})
    shape, beginning = replace(HOW.shape, vocabulary=vocabulary), beginning or Beginning()
    return replace(HOW, spec=spec, shape=shape, prepend_bos=prepend_bos, beginning=beginning)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Make a chat tokenizer that has a token for each byte."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    write_chat_tokenizer(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("text", ["assistant", "is", "start", "id", " is "])
def test_a_span_is_the_prompts_own_though_the_template_writes_the_same_word(tokenizer: Any, text: str) -> None:
    """The header that opens the answer comes after the prompt and holds these words too."""
    assert "assistant" in CHAT_TEMPLATE
    found = tokenize(tokenizer, text, HOW)
    positions = found.read_at(Span(text=text.strip()))
    assert tokenizer.decode([found.ids[at] for at in positions]) == text.strip()
    turn = tokenizer.decode(list(found.ids[: positions[0]]))
    assert turn.endswith("<|start_header_id|>user<|end_header_id|>\n\n")


def test_a_token_without_an_embedding_is_refused(tokenizer: Any) -> None:
    """It was added and the model was not resized, or the tokenizer is of another model."""
    ids = tokenizer("az", add_special_tokens=False).input_ids
    assert tokenize(tokenizer, "az", plain(vocabulary=max(ids) + 1)).text == "az"
    with pytest.raises(ReadingError, match=rf"'az' has the token 'z' of id {ids[1]}, .* embeddings for {ids[1]} "):
        tokenize(tokenizer, "az", plain(vocabulary=max(ids)))


@pytest.mark.parametrize("token", ["<|start_header_id|>", "<|end_header_id|>", "<|end_of_text|>", "<|eot_id|>"])
def test_no_special_token_may_stand_in_a_prompt(tokenizer: Any, token: str) -> None:
    """Those that are neither BOS nor the end of a turn too: they begin a turn of whoever the prompt likes."""
    with pytest.raises(ReadingError, match=r"contains a special token"):
        tokenize(tokenizer, f"a{token}b", HOW)

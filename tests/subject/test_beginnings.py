"""What begins a prompt: BOS, what stands in its place, or what is declared; never two of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from test_tokens import plain

from saeprobe.captures import Span
from saeprobe.subject.files.tokenizer import Beginning, beginning_of
from saeprobe.subject.pairing import aspects_of
from saeprobe.subject.running.tokens import check_protocol, load_tokenizer, tokenize
from saeprobe.subject.specification import SubjectError

SPECIAL = ("<s>", "</s>", "[gMASK]", "<sop>", "<|x|>")
TURN = "<|x|>{{ messages[0].content }}"


def written(
    folder: Path,
    *,
    prefix: Sequence[str] = (),
    kind: str = "TemplateProcessing",
    template: str | None = None,
    **config: Any,
) -> Any:
    """Write a byte tokenizer with a prefix of its own, and return it as transformers loads it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import AutoTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    made.add_special_tokens(list(SPECIAL))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    ids = [(token, made.token_to_id(token)) for token in SPECIAL]
    if kind == "RobertaProcessing":
        made.post_processor = processors.RobertaProcessing(ids[1], ids[0])
    elif prefix:
        own = processors.TemplateProcessing(single=" ".join([*prefix, "$A"]), special_tokens=ids)
        made.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), own])
    folder.mkdir(exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    said = {"tokenizer_class": "PreTrainedTokenizerFast", **config}
    (folder / "tokenizer_config.json").write_text(json.dumps(said), encoding="utf-8")
    if template is not None:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return AutoTokenizer.from_pretrained(folder)


def begun(folder: Path, tokenizer: Any, *, declared: str | None = None, **how: Any) -> tuple[list[str], int]:
    """Return the tokens of "hi" as the protocol of those files says, and how many of them are never read."""
    pairing = plain(prepend_bos=True, beginning=beginning_of(folder, declared, wanted=True), **how)
    check_protocol(tokenizer, pairing)
    found = tokenize(tokenizer, "hi", pairing)
    assert found.spans[: found.n_bos] == ((-1, -1),) * found.n_bos
    return tokenizer.convert_ids_to_tokens(list(found.ids)), found.n_bos


AS_TRANSFORMER_LENS: list[tuple[dict[str, Any], list[str]]] = [
    ({"bos_token": "<s>", "eos_token": "</s>"}, ["<s>"]),
    ({"bos_token": {"__type": "AddedToken", "content": "<s>"}, "eos_token": "</s>"}, ["<s>"]),
    ({"bos_token": None, "eos_token": "</s>"}, ["</s>"]),
    ({"eos_token": "</s>"}, ["</s>"]),
    ({"eos_token": "</s>", "prefix": ("[gMASK]", "<sop>")}, ["[gMASK]", "<sop>"]),
    ({"bos_token": "<s>", "eos_token": "</s>", "prefix": ("<s>",)}, ["<s>"]),
]


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        *AS_TRANSFORMER_LENS,
        ({"bos_token": "<s>", "eos_token": "</s>", "prefix": ("[gMASK]",)}, ["[gMASK]"]),
        ({"bos_token": "<s>", "eos_token": "</s>", "prefix": ("<sop>", "<s>")}, ["<sop>", "<s>"]),
        ({"bos_token": "<sop>", "eos_token": "</s>", "kind": "RobertaProcessing"}, ["<s>"]),
    ],
)
def test_a_prompt_begins_with_prefix_bos_or_eos(tmp_path: Path, files: dict[str, Any], wanted: list[str]) -> None:
    """With the tokenizer's own prefix, else its BOS, else its EOS; none of it is read."""
    tokenizer = written(tmp_path / "m", **files)
    assert begun(tmp_path / "m", tokenizer) == ([*wanted, "h", "i"], len(wanted))
    own = tokenizer.convert_ids_to_tokens(tokenizer("hi").input_ids)
    assert own[: len(wanted)] == wanted or own == ["h", "i"]  # what the library writes itself, if anything


@pytest.mark.parametrize(("files", "wanted"), AS_TRANSFORMER_LENS)
def test_a_prompt_begins_as_in_training(tmp_path: Path, files: dict[str, Any], wanted: list[str]) -> None:
    """So does transformer_lens, with which sae-lens trains."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    tokenizer = written(tmp_path / "m", **files)
    config = HookedTransformerConfig(
        n_layers=1, d_model=4, n_ctx=16, d_head=4, n_heads=1, act_fn="relu", d_vocab=len(tokenizer), device="cpu"
    )
    with pytest.warns(DeprecationWarning, match="HookedTransformer is deprecated"):  # it is what SAEs were trained with
        lens = HookedTransformer(config, tokenizer=tokenizer)
    assert tokenizer.convert_ids_to_tokens(lens.to_tokens("hi")[0].tolist()) == [*wanted, "h", "i"]


def test_the_protocol_says_which_token_and_why(tmp_path: Path) -> None:
    """By its text."""
    for files, words in (
        ({"bos_token": "<s>", "eos_token": "</s>"}, "one before each prompt (<s>), never read"),
        (
            {"eos_token": "</s>"},
            "one before each prompt (</s>, the end of text, since the tokenizer has no BOS), never read",
        ),
        (
            {"prefix": ("[gMASK]", "<sop>")},
            "2 tokens before each prompt ([gMASK]<sop>, which the tokenizer itself writes ahead of a text), never read",
        ),
    ):
        written(tmp_path / "m", **files)
        pairing = plain(prepend_bos=True, beginning=beginning_of(tmp_path / "m", None, wanted=True))
        assert aspects_of(pairing)["BOS"] == words
    declared = plain(prepend_bos=True, beginning=beginning_of(tmp_path / "m", "<|x|>", wanted=True))
    assert aspects_of(declared)["BOS"] == "one before each prompt (<|x|>, as declared), never read"


def test_without_bos_and_eos_the_remedy_is_named(tmp_path: Path) -> None:
    """Both of them: to name the token, or to leave it out."""
    written(tmp_path / "m")
    with pytest.raises(SubjectError, match=r'neither BOS nor EOS; .* bos_token = "<\|...\|>", or set prepend_bos = f'):
        beginning_of(tmp_path / "m", None, wanted=True)


def test_a_declared_token_that_is_not_to_be_written_is_refused(tmp_path: Path) -> None:
    """The declaration contradicts itself, or the SAE."""
    with pytest.raises(SubjectError, match=r"bos_token = '<\|x\|>' is declared but .* set prepend_bos = true"):
        beginning_of(tmp_path, "<|x|>", wanted=False)
    assert beginning_of(tmp_path, None, wanted=False) == Beginning()


def test_a_declared_token_stands_alone(tmp_path: Path) -> None:
    """It goes before the tokenizer's own, and must be one token."""
    tokenizer = written(tmp_path / "m", bos_token="<s>", prefix=("<s>",))  # noqa: S106
    assert begun(tmp_path / "m", tokenizer, declared="<|x|>") == (["<|x|>", "h", "i"], 1)
    for none in ("<|y|>", "hi"):
        with pytest.raises(SubjectError, match=r"which is no token of the tokenizer's \d+; wanted one of them"):
            begun(tmp_path / "m", tokenizer, declared=none)


@pytest.mark.parametrize(
    ("template", "files", "wanted"),
    [
        ("{{ bos_token }}" + TURN, {"bos_token": "<s>"}, ["<s>", "<|x|>"]),
        (TURN, {"bos_token": "<s>"}, ["<s>", "<|x|>"]),
        ("[gMASK]<sop>" + TURN, {"prefix": ("[gMASK]", "<sop>")}, ["[gMASK]", "<sop>", "<|x|>"]),
        ("<sop>" + TURN, {"prefix": ("[gMASK]", "<sop>")}, ["[gMASK]", "<sop>", "<|x|>"]),
    ],
)
def test_what_a_template_writes_itself_is_not_put_there_again(
    tmp_path: Path, template: str, files: dict[str, Any], wanted: list[str]
) -> None:
    """Of a prefix, what is missing of it."""
    tokenizer = written(tmp_path / "m", template=template, **files)
    assert begun(tmp_path / "m", tokenizer, chat_template=True) == ([*wanted, "h", "i"], len(wanted) - 1)


@pytest.mark.parametrize(
    ("template", "declared"),
    [
        ("<s><s>" + TURN, None),
        ("<s>" + TURN, "<|x|>"),
        ("\n<s>" + TURN, None),
        ("<|x|><s>{{ messages[0].content }}", None),
        (TURN + "<s>", None),
    ],
)
def test_two_beginnings_are_refused(tmp_path: Path, template: str, declared: str | None) -> None:
    """Of the template, wherever it writes them, or of the template and the declaration; the second would be read."""
    tokenizer = written(tmp_path / "m", template=template, bos_token="<s>")  # noqa: S106
    with pytest.raises(SubjectError, match=r"the chat template itself writes BOS elsewhere than once"):
        begun(tmp_path / "m", tokenizer, declared=declared, chat_template=True)


def test_a_second_bos_is_put_there_only_as_published(tmp_path: Path) -> None:
    """Ahead of the one that the template writes."""
    tokenizer = written(tmp_path / "m", template="<s>" + TURN, bos_token="<s>")  # noqa: S106
    found = begun(tmp_path / "m", tokenizer, chat_template=True, bos_twice=True)
    assert found == (["<s>", "<s>", "<|x|>", "h", "i"], 2)


@pytest.mark.parametrize("beginning", [Beginning(), Beginning(tokens=("<s>",))])
def test_a_prefix_that_a_template_writes_is_never_read(tmp_path: Path, beginning: Beginning) -> None:
    """Also where nothing is to be put before a prompt."""
    tokenizer = written(tmp_path / "m", template="<s>" + TURN, bos_token="<s>")  # noqa: S106
    found = tokenize(tokenizer, "hi", plain(chat_template=True, beginning=beginning))
    assert (found.n_bos, found.read_at("all"), found.read_at(Span(text="hi"))) == (1, [1, 2, 3], [2, 3])


def test_files_that_disagree_with_what_is_loaded_are_refused(tmp_path: Path) -> None:
    """Else the report would name a token that did not run."""
    tokenizer = written(tmp_path / "m", bos_token="<s>")  # noqa: S106
    tokenizer.bos_token = "<sop>"  # noqa: S105
    with pytest.raises(SubjectError, match=r"begins a text with <s>, and as transformers loads it by <sop>; name the"):
        begun(tmp_path / "m", tokenizer)


@pytest.mark.parametrize("post", [3, [], {"type": "Sequence", "processors": 4}, {"single": {"a": 1}}, {"single": [1]}])
def test_an_odd_post_processor_breaks_nothing(tmp_path: Path, post: Any) -> None:
    """A file of the user's may hold anything."""
    written(tmp_path / "m", bos_token="<s>")  # noqa: S106
    (tmp_path / "m" / "tokenizer.json").write_text(json.dumps({"post_processor": post}), encoding="utf-8")
    assert beginning_of(tmp_path / "m", None, wanted=True).tokens == ("<s>",)


@pytest.mark.parametrize("kind", ["GPT2Tokenizer", "LlamaTokenizer", "GemmaTokenizer", "GPTNeoXTokenizer"])
def test_a_tokenizer_without_its_vocabulary_is_refused(tmp_path: Path, kind: str) -> None:
    """Of transformers' own classes the library makes an empty one, which has no tokens for any text."""
    written(tmp_path / "m", bos_token="<s>", eos_token="</s>", pad_token=None, tokenizer_class=kind)  # noqa: S106
    (tmp_path / "m" / "tokenizer.json").unlink()
    with pytest.raises(SubjectError, match=r"has no vocabulary .*; copy tokenizer.json"):
        load_tokenizer(tmp_path / "m", plain())


def test_a_tokenizer_that_transformers_cannot_load_is_refused(tmp_path: Path) -> None:
    """With its own reason, in one line."""
    written(tmp_path / "m", bos_token="<s>")  # noqa: S106
    (tmp_path / "m" / "tokenizer_config.json").write_text('{"bos_token": {"content": 3}}', encoding="utf-8")
    with pytest.raises(SubjectError, match=r"the tokenizer in .* cannot be loaded: .*; fetch it again"):
        load_tokenizer(tmp_path / "m", plain())


@pytest.mark.parametrize(
    ("kind", "module"),
    [
        ("gpt2", "gpt2.tokenization_gpt2.GPT2Tokenizer"),
        ("gpt_neox", "gpt_neox.tokenization_gpt_neox.GPTNeoXTokenizer"),
        ("codegen", "codegen.tokenization_codegen.CodeGenTokenizer"),
        ("llama", "llama.tokenization_llama.LlamaTokenizer"),
        ("gemma", "gemma.tokenization_gemma.GemmaTokenizer"),
        ("qwen2", "qwen2.tokenization_qwen2.Qwen2Tokenizer"),
    ],
)
@pytest.mark.parametrize("by", ["model_type", "tokenizer_class"])
def test_where_no_file_names_bos_it_is_that_of_the_tokenizer_class(
    tmp_path: Path, kind: str, module: str, by: str
) -> None:
    """As transformers has it; the repository of GPT-2 has no more than the model's type."""
    place, _, name = module.rpartition(".")
    default = signature(getattr(import_module(f"transformers.models.{place}"), name)).parameters
    said = {"model_type": kind} if by == "model_type" else {"tokenizer_class": f"{name}Fast"}
    file = "config.json" if by == "model_type" else "tokenizer_config.json"
    (tmp_path / file).write_text(json.dumps(said), encoding="utf-8")
    wanted = default["bos_token"].default or default["eos_token"].default
    assert beginning_of(tmp_path, None, wanted=True).tokens == (wanted,)

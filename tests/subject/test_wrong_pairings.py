"""Models and SAEs that do not belong together, and files that cannot be trusted: each is refused with its remedy."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
from hub_caches import put, put_folder, write_empty_sae
from made_llama import write_chat_tokenizer, write_llama

from saeprobe.subject.registry import find_subject
from saeprobe.subject.specification import SubjectError

WIDTH, D_SAE = 16, 24


def goodfire(file: Path, *, d_in: int = WIDTH, **changes: Any) -> None:
    """Write a `.pt` in Goodfire's format."""
    import torch

    tensors = {
        "encoder_linear.weight": torch.zeros(D_SAE, d_in),
        "encoder_linear.bias": torch.zeros(D_SAE),
        "decoder_linear.weight": torch.zeros(d_in, D_SAE),
        "decoder_linear.bias": torch.zeros(d_in),
        **changes,
    }
    torch.save({key: value for key, value in tensors.items() if value is not None}, file)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Llama of four layers, its chat tokenizer, and an SAE that fits it."""
    root = tmp_path_factory.mktemp("llama")
    vocabulary = write_chat_tokenizer(root / "model")
    write_llama(root / "model", layers=4, vocabulary=vocabulary, width=WIDTH, shard="40KB")
    goodfire(root / "sae.pt")
    return root


@pytest.fixture
def root(llama: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(llama, tmp_path / "root"))


def declared(root: Path, **settings: object) -> Any:
    """Declare the subject `mine` of that folder; settings of None are left out."""
    table: dict[str, object] = {
        "model": "./model",
        "sae": {"path": "./sae.pt"},
        "hook_name": "blocks.1.hook_resid_post",
        "prepend_bos": True,
        "chat_template": True,
        "device": "cpu",
        **settings,
    }
    lines = [f"{key} = {_toml(value)}" for key, value in table.items() if value is not None]
    (root / "pyproject.toml").write_text("\n".join(["[tool.saeprobe.subjects.mine]", *lines]), encoding="utf-8")
    return find_subject("mine", root)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def refused(subject: Any, match: str) -> None:
    """Expect that the subject cannot be opened, for that reason."""
    with pytest.raises(SubjectError, match=match):
        subject.open()


def test_what_belongs_together_opens(root: Path) -> None:
    """The pairing that all others here are spoilt copies of."""
    assert declared(root).open().pairing.depth == 2


def test_an_sae_of_another_width(root: Path) -> None:
    """Both widths are named, and what to do."""
    goodfire(root / "sae.pt", d_in=8)
    refused(declared(root), r"reads 8 dimensions but .* has 16; they do not belong together: name the model")


def test_an_sae_of_another_size_than_declared(root: Path) -> None:
    """A d_sae that is declared is held against the file."""
    d_sae = declared(root).located.pairing.properties.d_sae
    assert declared(root, d_sae=d_sae).located.pairing.properties.d_sae == d_sae
    refused(declared(root, d_sae=d_sae + 1), f"has {d_sae} features, and mine declares d_sae = {d_sae + 1}; give the")


def test_a_hook_that_the_model_does_not_have(root: Path) -> None:
    """The blocks that there are, are named."""
    refused(
        declared(root, hook_name="blocks.4.hook_resid_post"), r"blocks 0 to 3; name .* or set hook_name .*blocks\.3\."
    )
    refused(
        declared(root, hook_name="blocks.1.hook_mlp_out"), r"blocks\.N\.hook_resid_pre or blocks\.N\.hook_resid_post"
    )


def test_a_file_that_does_not_say_where_it_reads(root: Path) -> None:
    """All keys that lack are named at once, with lines to add; of two one may be there."""
    table, hook = r"add to \[tool.saeprobe.subjects.mine\] .* such as: ", r'hook_name = "blocks\.2\.hook_resid_post"'
    refused(declared(root, hook_name=None), f"says hook_name; {table}{hook}$")
    refused(declared(root, prepend_bos=None), f"says prepend_bos; {table}prepend_bos = true$")
    both = declared(root, hook_name=None, prepend_bos=None)
    refused(both, f"says hook_name and prepend_bos; {table}{hook}; and prepend_bos = true$")


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("config.json", r"\(absent: config.json\)"),
        ("*.safetensors*", r"\(absent: model.safetensors\)"),
        ("*-00001-of-*", r"\(absent: some shards\)"),
        ("[ct]*.json", r"\(absent: config.json and a tokenizer\)"),
    ],
)
def test_what_a_folder_lacks_is_named(root: Path, gone: str, said: str) -> None:
    """Of all that is wanted of a model, the parts that are absent are said."""
    for pattern in (gone, *(("special_tokens*", "chat_template*") if "[" in gone else ())):
        for file in (root / "model").glob(pattern):
            file.unlink()
    refused(declared(root), f"there is no whole model at .*; wanted config.json, model.safetensors and .*{said}")


def test_a_file_in_place_of_its_folder(root: Path) -> None:
    """A path to the weights themselves is named as a file, and what is to be given."""
    weights = next((root / "model").glob("*.safetensors"))
    refused(declared(root, model=str(weights)), "is a file; give the folder that holds it with config.json, model")
    refused(declared(root, sae={"path": str(weights)}), "is a file; give the folder that holds it with cfg.json and")


def test_a_tokenizer_without_a_chat_template(root: Path) -> None:
    """A base model is not an instruction-tuned one."""
    write_chat_tokenizer(root / "model", chat=False)
    (root / "model" / "chat_template.jinja").unlink(missing_ok=True)
    refused(declared(root), r"has no chat template .* name an instruction-tuned model, or set chat_template = false")
    assert declared(root, chat_template=False).open().pairing.spec.chat_template is False


def test_centring_a_model_without_layer_norm(root: Path) -> None:
    """Taking the mean out of the stream of an RMSNorm model changes what it computes."""
    refused(declared(root, center_writing_weights=True), "set center_writing_weights = false")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"encoder_linear.bias": None},
            "is no SAE in Goodfire's format: found the keys .* wanted encoder_linear.weight",
        ),
        ({"extra": None, "decoder_linear.bias": "text"}, "do not fit together"),
    ],
)
def test_a_pt_file_of_another_format(root: Path, changes: dict[str, Any], message: str) -> None:
    """The error names its keys or shapes, and those wanted."""
    goodfire(root / "sae.pt", **changes)
    refused(declared(root), message)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.97])
def test_a_truncated_pt_file(root: Path, share: float) -> None:
    """It is refused wherever the copy broke off."""
    content = (root / "sae.pt").read_bytes()
    (root / "sae.pt").write_bytes(content[: int(len(content) * share)])
    refused(
        declared(root),
        r"sae\.pt: it cannot be read \(truncated, .*; copy or download it again",
    )


def test_a_pt_file_in_the_format_of_old_torch(root: Path) -> None:
    """It is whole, so another copy of it would not help."""
    import torch

    tensors = torch.load(root / "sae.pt", weights_only=True)
    torch.save(tensors, root / "sae.pt", _use_new_zipfile_serialization=False)
    refused(declared(root), r"format of before version 1\.6; .*load it with .* and write it again with torch\.save")


class Harmful:
    """Unpickled by someone careless, it would write a file."""

    def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
        import os

        return os.system, ("touch harmed",)


def test_a_pt_file_with_code_is_refused_and_not_run(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused in torch's format and as a bare pickle."""
    import torch

    monkeypatch.chdir(tmp_path)
    torch.save({"encoder_linear.weight": Harmful()}, root / "sae.pt")
    refused(declared(root), r"refers to the code '(posix|nt)\.system'; it was refused and not run")
    (root / "sae.pt").write_bytes(pickle.dumps(Harmful()))
    refused(declared(root), "cannot be read")
    assert not (tmp_path / "harmed").exists()


def test_an_sae_of_another_model_of_the_same_width(hub: Path, tmp_path: Path) -> None:
    """distilgpt2 is 768 wide like GPT-2; without an error its features would be wrong silently."""
    hook = "blocks.5.hook_resid_pre"
    config = b'{"model_type": "gpt2", "n_embd": 768, "n_layer": 6, "n_positions": 1024}'
    put(hub, "distilbert/distilgpt2", {"config.json": config, "model.safetensors": b"w", "tokenizer.json": b"{}"})
    sae = '{"model_name": "gpt2-small", "hook_point": "blocks.5.hook_resid_pre", "d_in": 768, "d_sae": 24}'
    write_empty_sae(tmp_path / "sae" / hook / "sae_weights.safetensors", d_in=768, d_sae=24)
    (tmp_path / "sae" / hook / "cfg.json").write_text(sae, encoding="utf-8")
    put_folder(hub, "jbloom/GPT2-Small-SAEs-Reformatted", tmp_path / "sae")
    table = (
        '[tool.saeprobe.subjects.mine]\nmodel = "distilbert/distilgpt2"\n'
        f'sae = {{ release = "gpt2-small-res-jb", id = "{hook}" }}\n'
    )
    (tmp_path / "pyproject.toml").write_text(table, encoding="utf-8")
    with pytest.raises(SubjectError, match="was trained on gpt2-small, not on distilbert/distilgpt2; name that model"):
        find_subject("mine", tmp_path).identity()
    (tmp_path / "pyproject.toml").write_text(table + "allow_other_model = true\n", encoding="utf-8")
    assert find_subject("mine", tmp_path).identity().d_sae == 24


def test_eight_bits_without_what_they_need(root: Path) -> None:
    """A subject that asks for them is refused where they cannot be had, rather than run in other numbers."""
    refused(declared(root, quantisation="8bit"), "8-bit weights are asked for")


def test_a_memory_plan_that_is_none(root: Path) -> None:
    """The words that there are, are listed."""
    refused(declared(root, memory="stream"), "memory is 'stream'; wanted one of auto, resident, sharded, streamed")


def test_a_broken_shard_is_named(root: Path) -> None:
    """A shard that a full disk cut short is named."""
    shard = min((root / "model").glob("model-*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(SubjectError, match=r"was not written or fetched to its end"):
        list(declared(root).open().read([_request()]))


def _request() -> Any:
    from saeprobe.subject.specification import Request, Want

    return Request(text="a", wants=(Want(at="last", keep=frozenset({"features"})),))

"""Which files a model needs up to a depth, and what is wrong with those that are there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from saeprobe.subject.files.shards import (
    ShardError,
    needed_shards,
    needed_tensors,
    read_header,
    read_weight_map,
    stored_tensors,
)

# Layer 1 lies in two files, as layers of large checkpoints do; the second of them also holds layer 2.
WEIGHT_MAP = {
    "lm_head.weight": "c.safetensors",
    "model.norm.weight": "c.safetensors",
    "model.embed_tokens.weight": "a.safetensors",
    "model.layers.0.mlp.up_proj.weight": "a.safetensors",
    "model.layers.0.self_attn.rotary_emb.inv_freq": "c.safetensors",
    "model.layers.1.mlp.up_proj.weight": "a.safetensors",
    "model.layers.1.mlp.down_proj.weight": "b.safetensors",
    "model.layers.2.mlp.up_proj.weight": "b.safetensors",
    "model.layers.10.mlp.up_proj.weight": "c.safetensors",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of two layers in three files: 6 + 4 + 2 float32 and 3 float16 numbers up to depth 2."""
    files = {
        "a.safetensors": {"model.embed_tokens.weight": np.zeros((3, 2), np.float32)},
        "b.safetensors": {
            "model.layers.0.mlp.up_proj.weight": np.zeros((2, 2), np.float32),
            "model.layers.1.mlp.up_proj.weight": np.zeros(2, np.float32),
        },
        "c.safetensors": {
            "model.layers.1.mlp.down_proj.weight": np.zeros(3, np.float16),
            "lm_head.weight": np.zeros((3, 2), np.float32),
        },
    }
    for file, tensors in files.items():
        save_file(tensors, tmp_path / file)
    weight_map = {name: file for file, tensors in files.items() for name in tensors}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")
    return tmp_path


def test_tensors_and_files_up_to_a_depth() -> None:
    """The embedding and the layers before the depth, layer 10 after layer 2, and no stored rotary angles."""
    assert needed_tensors(WEIGHT_MAP, depth=0) == ("model.embed_tokens.weight",)
    assert needed_tensors(WEIGHT_MAP, depth=2) == (
        "model.embed_tokens.weight",
        "model.layers.0.mlp.up_proj.weight",
        "model.layers.1.mlp.down_proj.weight",
        "model.layers.1.mlp.up_proj.weight",
    )
    assert needed_shards(WEIGHT_MAP, depth=0) == ("a.safetensors",)
    assert needed_shards(WEIGHT_MAP, depth=1) == ("a.safetensors",)
    assert needed_shards(WEIGHT_MAP, depth=2) == ("a.safetensors", "b.safetensors")
    assert needed_shards(WEIGHT_MAP, depth=3) == ("a.safetensors", "b.safetensors")


def test_a_base_model_saved_alone_is_understood() -> None:
    """Its tensors have no `model.` before them."""
    bare = {name.removeprefix("model."): file for name, file in WEIGHT_MAP.items()}
    assert needed_shards(bare, depth=2) == ("a.safetensors", "b.safetensors")


@pytest.mark.parametrize(
    ("weight_map", "depth", "message"),
    [
        (WEIGHT_MAP, 12, "no tensors of the layers 3 to 9, 11; it has the layers 0 to 2, 10 and 0 to 11 must run"),
        (
            {"encoder.wte.weight": "a"},
            1,
            "none of the 1 tensors of the checkpoint is a token embedding, such as model.emb",
        ),
        (WEIGHT_MAP, -1, "the depth is -1; wanted 0"),
    ],
)
def test_a_map_without_what_is_needed(weight_map: dict[str, str], depth: int, message: str) -> None:
    """Layers that no file holds are named, and so is a model of another layout."""
    with pytest.raises(ShardError) as caught:
        needed_tensors(weight_map, depth=depth)
    assert message in str(caught.value)


def tensor_bytes(folder: Path, *, depth: int) -> int:
    """Add up the bytes of what is needed."""
    return sum(one.bytes for one in stored_tensors(folder, depth=depth).values())


def test_bytes_are_those_on_disk(folder: Path) -> None:
    """Worked by hand from shapes and types; what else lies in the files does not count."""
    assert tensor_bytes(folder, depth=0) == 4 * 6
    assert tensor_bytes(folder, depth=1) == 4 * (6 + 4)
    assert tensor_bytes(folder, depth=2) == 4 * (6 + 4 + 2) + 2 * 3
    found = stored_tensors(folder, depth=2)["model.layers.1.mlp.down_proj.weight"]
    assert (found.dtype, found.shape, found.file.name) == ("F16", (3,), "c.safetensors")


def test_only_headers_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """140 GB are not touched to learn how many they are: no read goes past the header."""
    from io import FileIO

    largest = max(int.from_bytes((folder / f"{name}.safetensors").read_bytes()[:8], "little") for name in "abc")
    read: list[int] = []
    real = Path.open

    class Counting(FileIO):
        def read(self, size: int = -1, /) -> bytes:
            read.append(size)
            return super().read(size)

    def opened(path: Path, mode: str = "r", **settings: object) -> object:
        return Counting(path, mode) if mode == "rb" else real(path, mode, **settings)

    monkeypatch.setattr(Path, "open", opened)
    tensor_bytes(folder, depth=2)
    assert len(read) == 2 * 3
    assert 0 < min(read) <= max(read) <= largest


def test_a_single_file_needs_no_index(tmp_path: Path) -> None:
    """Its own header says what it holds."""
    tensors = {"model.embed_tokens.weight": np.zeros(5, np.float32), "model.layers.0.x": np.zeros(1, np.float32)}
    save_file(tensors, tmp_path / "model.safetensors")
    assert tensor_bytes(tmp_path, depth=1) == 24
    with pytest.raises(ShardError, match="names no tensors of the layers 1; it has the layers 0"):
        stored_tensors(tmp_path, depth=2)


def test_an_absent_file_is_named(folder: Path) -> None:
    """Whether it matters depends on the depth."""
    (folder / "c.safetensors").unlink()
    assert tensor_bytes(folder, depth=1) == 40
    with pytest.raises(ShardError, match="1 of the 3 files with the embedding and layers 0 to 1 are not in") as caught:
        stored_tensors(folder, depth=2)
    assert str(caught.value).endswith("c.safetensors; copy or write it there again")


def test_a_folder_of_the_hub_cache_brings_the_command(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Repository and commit are in the names of its folders."""
    snapshot = tmp_path_factory.mktemp("hub") / "models--meta-llama--Llama-3.3-70B-Instruct" / "snapshots" / "abc123"
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(folder)
    (folder / "b.safetensors").unlink()
    (folder / "c.safetensors").unlink()
    with pytest.raises(ShardError) as caught:
        stored_tensors(snapshot, depth=2)
    assert str(caught.value).endswith(
        "; run: hf download meta-llama/Llama-3.3-70B-Instruct b.safetensors c.safetensors --revision abc123"
    )


@pytest.mark.parametrize(
    ("share", "message"),
    [
        (0.95, r"has \d+ bytes and its header speaks of \d+: it was not written or fetched to its end; remove it"),
        (0.5, r"is no whole safetensors file: it ends inside its header, at \d+ of \d+ bytes"),
        (0.01, r"is no safetensors file \(\d bytes\)"),
    ],
)
def test_a_file_that_was_cut_short(folder: Path, share: float, message: str) -> None:
    """In its data, in its header, and before it."""
    whole = (folder / "b.safetensors").read_bytes()
    (folder / "b.safetensors").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ShardError, match=rf"b\.safetensors {message}"):
        tensor_bytes(folder, depth=2)


def test_a_pointer_is_not_the_weights(folder: Path) -> None:
    """A clone without git-lfs leaves a text of three lines in place of each file."""
    (folder / "b.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4\n")
    with pytest.raises(ShardError, match="is a git-lfs pointer; wanted the weights themselves"):
        tensor_bytes(folder, depth=2)


def test_files_of_another_checkpoint(folder: Path) -> None:
    """A tensor that the index promises and the file lacks is named."""
    save_file({"other": np.zeros(1, np.float32)}, folder / "b.safetensors")
    with pytest.raises(ShardError, match=r"says that b\.safetensors holds model\.layers\.0\.mlp\.up_proj\.weight"):
        tensor_bytes(folder, depth=2)


def test_a_tensor_in_two_files_is_refused_where_it_is_needed(folder: Path) -> None:
    """The index names one of them, and transformers takes the last."""
    tensors = {"model.embed_tokens.weight": np.ones((3, 2), np.float32)}
    rest = {
        "model.layers.0.mlp.up_proj.weight": np.zeros((2, 2), np.float32),
        "model.layers.1.mlp.up_proj.weight": np.zeros(2, np.float32),
    }
    save_file({**tensors, **rest}, folder / "b.safetensors")
    assert tensor_bytes(folder, depth=0) == 4 * 6
    with pytest.raises(ShardError, match=r"embed_tokens\.weight lies in a\.safetensors and in b\.safetensors"):
        tensor_bytes(folder, depth=1)


def test_a_whole_file_counts_before_an_index(folder: Path) -> None:
    """So transformers chooses, and all that is hashed, read and loaded is of that one file."""
    from saeprobe.subject.files.model import model_files

    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}", encoding="utf-8")
    shards = [folder / name for name in ("model.safetensors.index.json", "a.safetensors", "b.safetensors")]
    assert model_files(folder, depth=1) == [folder / "config.json", *shards, folder / "tokenizer.json"]
    save_file({"model.embed_tokens.weight": np.ones((3, 2), np.float32)}, folder / "model.safetensors")
    whole = folder / "model.safetensors"
    assert model_files(folder, depth=1) == [folder / "config.json", whole, folder / "tokenizer.json"]
    assert read_weight_map(folder) == {"model.embed_tokens.weight": "model.safetensors"}
    assert stored_tensors(folder, depth=0)["model.embed_tokens.weight"].file == whole


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[]", "has no table weight_map")])
def test_an_index_that_is_none(folder: Path, text: str, message: str) -> None:
    """What is no JSON is refused otherwise than what is no index."""
    (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    with pytest.raises(ShardError, match=message):
        tensor_bytes(folder, depth=1)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    """Both names that would do are given."""
    with pytest.raises(ShardError, match=r"has neither model\.safetensors\.index\.json nor model\.safetensors"):
        tensor_bytes(tmp_path, depth=1)


def test_a_header_agrees_with_the_library(folder: Path) -> None:
    """Names, shapes and types are those that safetensors itself reads."""
    from safetensors import safe_open

    with safe_open(folder / "c.safetensors", framework="numpy") as stream:
        names = stream.keys()
        theirs = {
            name: (tuple(stream.get_slice(name).get_shape()), stream.get_slice(name).get_dtype()) for name in names
        }
    assert {name: (one.shape, one.dtype) for name, one in read_header(folder / "c.safetensors").items()} == theirs


def test_torch_is_not_loaded() -> None:
    """What is missing is said before anything heavy is imported."""
    script = "import sys; import saeprobe.subject.registry, saeprobe.subject.files.shards\n"
    script += "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - this interpreter
    assert run.stdout.strip() == "[]"

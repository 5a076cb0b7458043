"""The article's two `.pt` files: written, read back, and refused where they are not what they should be."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_array

from saeprobe.files import FileError
from saeprobe.recorded.tensors import (
    ArticleActivations,
    ArticleFeatures,
    read_activations,
    read_features,
    write_article,
)

STYLES = ("standard", "padding", "spaces", "novice", "expert", "guru")
names = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=4, unique=True)
single = st.floats(width=32, allow_nan=False, allow_infinity=False)


def entry(**changes: object) -> dict[str, object]:
    """Make a good entry of an activations file, changed."""
    good: dict[str, object] = {"topic": "tides", "guru": "Galileo"}
    return good | {f"{style}_activation": torch.ones(1, 3) for style in STYLES} | changes


def saved(path: Path, data: object) -> Path:
    """Save `data` in a `.pt` file."""
    torch.save(data, path)
    return path


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_activations_come_back_as_written(data: st.DataObject) -> None:
    """Writing activations and reading them gives the same topics, gurus, styles and numbers."""
    topics, styles = data.draw(names), data.draw(names)
    shape = (len(topics), data.draw(st.integers(1, 5)))
    written = ArticleActivations(
        topics=tuple(topics),
        gurus=tuple(data.draw(st.text(max_size=5)) for _ in topics),
        rows={style: data.draw(arrays.arrays(np.float32, shape, elements=single)) for style in styles},
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "activations.pt"
        write_article(path, written)
        read = read_activations(path)
    assert (read.topics, read.gurus, read.styles) == (written.topics, written.gurus, written.styles)
    for style, rows in written.rows.items():
        np.testing.assert_array_equal(read.rows[style], rows)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_features_come_back_as_written(data: st.DataObject) -> None:
    """Writing features and reading them gives the same sparse rows, however many are zero."""
    topics, styles = data.draw(names), data.draw(names)
    shape = (len(topics), data.draw(st.integers(1, 6)))
    positive = st.one_of(st.just(0.0), st.floats(2**-20, 2.0**20, width=32))
    dense = {style: data.draw(arrays.arrays(np.float32, shape, elements=positive)) for style in styles}
    written = ArticleFeatures(
        topics=tuple(topics),
        gurus=("",) * len(topics),
        rows={style: csr_array(rows) for style, rows in dense.items()},
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.pt"
        write_article(path, written)
        read = read_features(path)
    assert (read.topics, read.styles, read.width) == (written.topics, written.styles, shape[1])
    for style, rows in dense.items():
        np.testing.assert_array_equal(read.rows[style].toarray(), rows)
        assert read.rows[style].nnz == np.count_nonzero(rows)


def test_written_files_have_the_articles_shapes(tmp_path: Path) -> None:
    """A list of dicts: topic, guru, a tensor [1, d_in] a style, [d_sae] for features; slices leave their storage."""
    activations = ArticleActivations(
        topics=("tides",), gurus=("Galileo",), rows=dict(zip(STYLES, np.ones((6, 1, 3), np.float32), strict=True))
    )
    write_article(tmp_path / "a.pt", activations)
    (first,) = torch.load(tmp_path / "a.pt", weights_only=True)
    assert list(first) == ["topic", "guru", *(f"{style}_activation" for style in STYLES)]
    assert first["guru"] == "Galileo"
    assert first["guru_activation"].shape == (1, 3)
    assert first["guru_activation"].dtype == torch.float32
    assert first["guru_activation"].untyped_storage().nbytes() == 12

    features = ArticleFeatures(topics=("tides",), gurus=("",), rows={"novice": csr_array(np.eye(1, 4, dtype="f4"))})
    write_article(tmp_path / "f.pt", features)
    (first,) = torch.load(tmp_path / "f.pt", weights_only=True)
    assert first["novice_features"].tolist() == [1, 0, 0, 0]


def test_a_file_as_the_article_made_it_is_read(tmp_path: Path) -> None:
    """Half precision, gradients and a missing guru are taken; values become float32."""
    data = [
        {"topic": "tides", "novice_activation": torch.ones(1, 2, dtype=torch.bfloat16, requires_grad=True)},
        {"topic": "rain", "novice_activation": torch.full((1, 2), 0.5, dtype=torch.float16)},
    ]
    read = read_activations(saved(tmp_path / "a.pt", data))
    assert read.gurus == ("", "")
    assert read.rows["novice"].tolist() == [[1, 1], [0.5, 0.5]]
    assert read.rows["novice"].dtype == np.float32


@pytest.mark.parametrize(
    ("data", "found", "wanted"),
    [
        ({"topic": "tides"}, "it holds a dict", "a list of dicts"),
        ([], "an empty list", "a list of dicts"),
        ([entry(), 7], "entry 1 is a int", "a dict with the key 'topic'"),
        ([entry(), {}], "entry 1: key 'topic' is absent", "the topic"),
        ([entry(topic=3)], "entry 0: key 'topic' is 3", "the topic"),
        ([entry(), entry(guru=None)], "entry 1 (topic 'tides'): key 'guru' is a NoneType", "a name"),
        ([entry() | {1: 2}], "has the key 1", "strings"),
        ([entry(novice_activations=torch.ones(1, 3))], "key 'novice_activations'", "'<style>_activation' [1, d_in]"),
        ([{"topic": "tides"}], "has no tensor", "'<style>_activation' [1, d_in]"),
        ([entry(), {"topic": "rain"}], "entry 1 (topic 'rain') lacks", "the same styles"),
        ([entry(), entry(poet_activation=torch.ones(1, 3))], "has 'poet_activation', which entry 0 lacks", "same"),
        ([entry(novice_activation=[1.0])], "key 'novice_activation' is a list", "a tensor [1, d_in]"),
        ([entry(novice_activation=torch.ones(1, 3, dtype=torch.int8))], "a tensor of int8", "floating point"),
        ([entry(novice_activation=torch.ones(1, 3).to_sparse())], "a sparse tensor, and only dense", "tensors"),
        ([entry(novice_activation=torch.ones(3))], "has shape [3]", "shape [1, d_in]"),
        ([entry(novice_activation=torch.ones(1, 0))], "has shape [1, 0]", "shape [1, d_in]"),
        ([entry(), entry(expert_activation=torch.ones(1, 4))], "'expert_activation': shape [1, 4]", "d_in = 3"),
        ([entry(expert_activation=torch.tensor([[0, torch.nan, torch.inf]]))], "nan at index 1 (2 such", "finite"),
    ],
)  # fmt: skip
def test_a_violation_names_entry_key_found_and_wanted(tmp_path: Path, data: object, found: str, wanted: str) -> None:
    """What is wrong is said with its place, beside what was wanted."""
    with pytest.raises(FileError) as refused:
        read_activations(saved(tmp_path / "a.pt", data))
    assert found in refused.value.found
    assert wanted in refused.value.wanted
    assert str(refused.value).startswith(str(tmp_path / "a.pt"))


def test_features_below_zero_are_refused(tmp_path: Path) -> None:
    """A negative value is no feature activation, and is not silently dropped as inactive."""
    data = [{"topic": "tides", "novice_features": torch.tensor([0.5, -0.25])}]
    with pytest.raises(FileError, match=r"value -0.25 at index 1.*0 or above"):
        read_features(saved(tmp_path / "f.pt", data))


class Malicious:
    """A pickle that makes a file when it is loaded as code."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("write", [torch.save, lambda data, path: path.write_bytes(pickle.dumps(data))])
@pytest.mark.parametrize("read", [read_activations, read_features])
def test_code_in_a_file_is_refused_and_not_run(
    tmp_path: Path, read: Callable[[Path], object], write: Callable[[object, Path], object]
) -> None:
    """A pickle that would run code ends in an error, and the code has not run."""
    mark, path = tmp_path / "mark", tmp_path / "a.pt"
    write([{"topic": Malicious(mark)}], path)
    with pytest.raises(FileError, match="tensors, lists, dicts, strings and numbers only") as refused:
        read(path)
    assert not mark.exists()
    assert "weights_only" not in str(refused.value)  # torch's own text tells how to switch the protection off


def test_the_malicious_file_does_run_where_nothing_protects(tmp_path: Path) -> None:
    """The guard above is not idle: unpickled carelessly, the same bytes make their mark."""
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(Malicious(mark)))  # noqa: S301 - our own bytes
    assert mark.exists()


def test_every_truncation_is_a_clear_error(tmp_path: Path) -> None:
    """However much of a file is missing, it is called damaged."""
    whole = saved(tmp_path / "whole.pt", [entry()]).read_bytes()
    part = tmp_path / "part.pt"
    for length in {0, 1, 4, 100, len(whole) // 2, len(whole) - 30, len(whole) - 1}:
        part.write_bytes(whole[:length])
        with pytest.raises(FileError, match=r"cannot be read|is damaged"):
            read_activations(part)


@settings(max_examples=60, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), protocol=st.sampled_from([2, 5]))
def test_a_flipped_byte_is_read_or_refused(place: float, value: int, protocol: int) -> None:
    """Damage anywhere gives numbers or a FileError, and never another exception."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.pt"
        torch.save([entry()], path, pickle_protocol=protocol)
        damaged = bytearray(path.read_bytes())
        damaged[int(place * len(damaged))] = value
        path.write_bytes(bytes(damaged))
        try:
            read = read_activations(path)
        except FileError:
            return
        assert all(np.isfinite(rows).all() for rows in read.rows.values())


def test_an_absent_file_is_file_not_found(tmp_path: Path) -> None:
    """No file is no damage."""
    with pytest.raises(FileNotFoundError):
        read_activations(tmp_path / "none.pt")


def test_a_failed_write_leaves_the_old_file_and_no_scraps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing breaks half-way the file is as it was before."""
    path = tmp_path / "a.pt"
    path.write_text("old")

    def half(data: object, file: Path) -> None:
        file.write_text(f"half of {data}", encoding="utf-8")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", half)
    written = ArticleActivations(topics=("t",), gurus=("",), rows={"a": np.ones((1, 2), np.float32)})
    with pytest.raises(OSError, match="No space"):
        write_article(path, written)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]


def test_what_cannot_be_a_file_cannot_be_built() -> None:
    """Dataclasses refuse shapes that do not fit and values that are not finite."""
    one, nan = np.ones((1, 2), np.float32), np.full((1, 2), np.nan, np.float32)
    with pytest.raises(ValueError, match=r"for 2 topics; wanted \[topics, width\] each"):
        ArticleActivations(topics=("a", "b"), gurus=("", ""), rows={"s": one})
    with pytest.raises(ValueError, match="NaN or infinity"):
        ArticleActivations(topics=("a",), gurus=("",), rows={"s": nan})
    with pytest.raises(ValueError, match=r"wanted \[topics, width\] each"):
        ArticleFeatures(topics=("a",), gurus=("",), rows={"s": csr_array(np.ones((2, 2)))})
    with pytest.raises(ValueError, match=r"0 gurus for 1 topics; wanted \[topics, width\] each and a guru a topic"):
        ArticleFeatures(topics=("a",), gurus=(), rows={"s": csr_array(np.ones((1, 2)))})

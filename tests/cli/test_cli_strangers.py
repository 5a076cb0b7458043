"""Files of strangers: whatever stands in one, a command names it, explains what is wrong, and changes nothing."""

from __future__ import annotations

import json
import os
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

Run = Callable[..., Any]

WORDS = {
    "prompts.toml": ("extract", "sparrow", "--prompts", "{}", "-o", "out"),
    "prompts.csv": ("extract", "sparrow", "--prompts", "{}", "-o", "out"),
    "prompts.jsonl": ("extract", "sparrow", "--prompts", "{}", "-o", "out"),
    "article.md": ("gate", "{}", "--report", "report.json"),
    "report.json": ("gate", "good.md", "--report", "{}"),
    "run.json": ("approve", "a.b", "--by", "Ada", "--because", "one two three", "--report", "{}"),
    "x.pt": ("inspect", "{}"),
    "x.npz": ("inspect", "{}"),
    "x.safetensors": ("inspect", "{}"),
    "activations.pt": ("encode", "{}", "--sae", "sparrow", "-o", "out"),
    "features.pt": ("diff", "{}", "-o", "out"),
    "sae.pt": ("encode", "activations.pt", "--sae", "{}", "-o", "out"),
}
"""What is typed for a file of each name, that is, the ways in."""

CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "NUL": b"\0\0",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-32": "[]".encode("utf-32-be"),
    "Latin-1": b'a = "\xe9"\n',
    "BOM": b"\xef\xbb\xbf{",
    "5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "400 digits": b'{"text": ' + b"9" * 400 + b"}",
    "TOML's 5,000 digits": b"a = " + b"9" * 5000,
    "TOML's hexadecimal": b"name = 0x" + b"f" * 20_000,
    "deep lists": b"[" * 100_000,
    "900 lists": b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}",
    "deep objects": b'{"a":' * 100_000,
    "deep TOML": b"a = " + b"[" * 5000,
    "dotted TOML": b"a." * 5000 + b"b = 1",
    "half a pair": b'{"text": "\\ud800", "style": "x"}',
    "half a pair as key": b'{"\\ud800": 1}',
    "NaN": b'{"text": NaN}',
    "infinite": b'{"text": 1e999}',
    "key twice": b'{"text": "a", "text": "b"}',
    "escapes": b"\x1b[31m\x07\xc2\x9b",
    "escaped key": b'{"\\u001b[31m\\u202e\\n[red]": 1}',
    "TOML's escaped key": b'"\\u001b[31m\\u202e\\n[red]" = 1',
    "bytes": bytes(range(256)),
    "zip": b"PK\x03\x04" + b"\0" * 60,
    "pickle": b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00echo\x85R.",
    "a long header": struct.pack("<Q", 2**60) + b"{}",
    "a deep header": struct.pack("<Q", 5000) + b"[" * 5000,
}

HIDDEN = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
ADVICE = re.compile("weights_only|allow_pickle|max_str_digits|max_header_size|trust_remote_code|Traceback")
NASTY = "\x1b[31m\r\u202e\x9b\n[red]"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder has a good article, good activations and a result of an earlier run."""
    monkeypatch.chdir(tmp_path)
    Path("good.md").write_text("---\ntitle: T\nlanguage: en\nclaims: [a.b]\n---\n", encoding="utf-8")
    torch.save([{"topic": "t", "a_activation": torch.zeros(1, 160)}], "activations.pt")
    Path("pyproject.toml").touch()


def refused(run: Run, file: str, *, codes: tuple[int, ...] = (2,)) -> str:
    """Return what is printed where a file is refused: its name, nothing that a terminal obeys, no output."""
    found = run(*(word.format(file) for word in WORDS[Path(file).name]))
    printed = found.out + found.err
    assert found.code in codes, printed
    assert HIDDEN.search(printed) is None
    assert ADVICE.search(printed) is None
    assert Path(file).name in printed
    assert not Path("out").exists()
    return printed


@pytest.mark.parametrize("name", WORDS)
def test_a_bad_file_is_refused_by_name(run: Run, name: str) -> None:
    """Every content on every way in gives one explanation and exit code 2, and no output."""
    for content in CONTENTS.values():
        between = content if name != "article.md" else b"---\n" + content + b"\n---\n"
        Path(name).write_bytes(between)
        refused(run, name)


@pytest.mark.parametrize("name", [*WORDS, "x.json"])
@pytest.mark.parametrize("kind", ["fifo", "folder", "loop", "device", "absent"])
def test_what_is_no_file_is_refused_without_waiting(run: Run, name: str, kind: str) -> None:
    """A FIFO has no writer, a link leads to itself, and /dev/zero has no end."""
    path = Path(name)
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind != "absent":
        path.symlink_to(name if kind == "loop" else "/dev/zero")
    WORDS.setdefault("x.json", ("inspect", "{}"))
    refused(run, name)


def test_ten_megabytes_of_front_matter_are_refused(run: Run) -> None:
    """A reader of YAML would take minutes for them."""
    Path("article.md").write_text("---\ntitle: T\n" + "# filler\n" * 1_200_000 + "---\n", encoding="utf-8")
    assert "the front matter has 10,800,009 characters, more than 50,000" in refused(run, "article.md")


def _endless() -> list[object]:
    held: list[object] = []
    held.append(held)
    return held


def _unfolding() -> list[object]:
    held: list[object] = [1]
    for _ in range(12):
        held = [held] * 10
    return held


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("name", ["x.pt", "activations.pt", "features.pt", "sae.pt"])
@pytest.mark.parametrize(
    ("made", "said"),
    [
        (_endless, "unfold without an end"),
        (_unfolding, "unfold without an end"),
        (lambda: {(((((((((((((((((((((1,),),),),),),),),),),),),),),),),),),),),): 1}, "a dict with a tuple as a key"),
        (lambda: [{"topic": "t", "a_activation": torch.zeros(1).expand(1, 10**13)}], "claims 40 TB and has 4 bytes"),
        (lambda: {"a": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])}, "a nested tensor"),
    ],
)
def test_a_file_that_unfolds_is_refused(run: Run, name: str, made: Callable[[], object], said: str) -> None:
    """Lists that hold one another and tensors without numbers would fill the memory."""
    torch.save(made(), name)
    assert said in refused(run, name)


@pytest.mark.parametrize("name", ["x.pt", "sae.pt"])
def test_a_zip_bomb_is_refused(run: Run, name: str) -> None:
    """A hundred thousand bytes that unfold to a hundred million are not unfolded."""
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02]" + b"N" * 100_000_000)
    assert "is compressed" in refused(run, name)


def test_a_large_pickle_is_refused(run: Run) -> None:
    """The part beside the tensors may not have more than 16 MB."""
    with zipfile.ZipFile("x.pt", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02]" + b"N" * 16_000_001)
    assert "has 16 MB; wanted at most 16 MB beside the tensors" in refused(run, "x.pt")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}" + b" " * 60_000, "Header info length"),
        (b"(" * 9000, "cannot be read"),
        (b"{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}", "a size is below 0"),
        (b"{'descr': '<f4', 'fortran_order': False, 'shape': (0x" + b"f" * 8000 + b",)}", "beyond 64 bits"),
    ],
)
def test_an_array_with_a_bad_header_is_refused(run: Run, header: bytes, said: str) -> None:
    """Numpy's own text would have people raise the limit, or trust the file."""
    with zipfile.ZipFile("x.npz", "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    assert said in refused(run, "x.npz")


def test_names_in_a_file_are_shown_escaped(run: Run) -> None:
    """A key that is a command to the terminal is shown as text, in the table and in JSON."""
    torch.save({NASTY: torch.zeros(3)}, "x.pt")
    np.savez("x.npz", **{NASTY: np.zeros(3)})
    for name in ("x.pt", "x.npz"):
        assert r"\x1b[31m\r\u202e\x9b\n[red]  [3]" in refused(run, name, codes=(0,))
        found = run("inspect", name, "--json")
        assert HIDDEN.search(found.out) is None
        assert json.loads(found.out)["keys"][0]["key"] == NASTY


def test_topics_and_styles_are_shown_escaped(run: Run) -> None:
    """The tables of the three steps show what the file says and obey none of it."""
    torch.save([{"topic": NASTY, f"{NASTY}_features": torch.ones(3), "b_features": torch.tensor([1.0, 0, 0])}], "f.pt")
    found = run("diff", "f.pt", "--a", NASTY, "--b", "b", "-o", "d.json")
    assert (found.code, HIDDEN.search(found.out)) == (0, None)
    assert r"\x1b[31m\r\u202e\x9b\n[red]" in found.out


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "a", NASTY),
        ("inspect", f"--{NASTY}"),
        (NASTY,),
        ("inspect", NASTY),
        ("inspect", "\udcff"),
        ("gate", NASTY),
        ("extract", NASTY),
        ("extract", "sparrow", "--styles", NASTY),
        ("encode", "activations.pt", "--sae", NASTY),
        ("fetch", NASTY),
    ],
)
def test_an_argument_is_shown_escaped(run: Run, words: tuple[str, ...]) -> None:
    """Also by argparse."""
    found = run(*words)
    assert (found.code, HIDDEN.search(found.out + found.err)) == (2, None)


@pytest.mark.parametrize("key", ["l0", "context_size", "dtype", "sae"])
@pytest.mark.parametrize(
    "value", ["nan", "-inf", "9" * 400, "9" * 5000, "0x" + "f" * 20_000, "2026-01-01", '"\\u001b"']
)
def test_a_declaration_of_a_subject_is_refused_by_name(run: Run, key: str, value: str) -> None:
    """Whatever TOML can say in the place of a value is explained."""
    values = {"model": '"./m"', "sae": '{ path = "./s" }'} | {key: value}
    lines = "".join(f"{name} = {said}\n" for name, said in values.items())
    Path("pyproject.toml").write_text(f"[tool.saeprobe.subjects.mine]\n{lines}", encoding="utf-8")
    found = run("extract", "mine", "-o", "out")
    assert (found.code, HIDDEN.search(found.err), ADVICE.search(found.err)) == (2, None, None)
    assert "pyproject.toml" in found.err


def test_a_folder_of_pickled_weights_is_explained(run: Run) -> None:
    """It says why the file is not read, in one sentence."""
    Path("m").mkdir()
    Path("m/pytorch_model.bin").write_bytes(b"")
    assert "pytorch_model.bin alone, whose format can run code" in run("inspect", "m").err


def test_an_sae_that_is_not_finite_encodes_nothing(run: Run, goodfire: Path, activations: Path) -> None:
    """NaN is not above 0, so that it would read as a silent feature."""
    weights = torch.load(goodfire, weights_only=True)
    weights["encoder_linear.bias"][1] = float("nan")
    torch.save(weights, goodfire)
    found = run("encode", activations, "--sae", goodfire, "-o", "out")
    assert (found.code, "NaN or infinite" in found.err, Path("out").exists()) == (2, True, False)

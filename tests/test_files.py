"""Files are written whole or not at all, and are as readable as any other."""

from __future__ import annotations

import doctest
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saeprobe import files
from saeprobe.files import (
    FileError,
    bytes_in_words,
    load_json,
    quoted,
    read_text,
    visible,
    write_whole,
    written_whole,
)


def test_content_takes_its_name_and_folders_are_made(tmp_path: Path):
    """A new file in a new folder holds the content, and no temporary file stays."""
    path = tmp_path / "new" / "report.json"
    write_whole(path, b"{}")
    assert path.read_bytes() == b"{}"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_alone(tmp_path: Path):
    """What was written before an error is thrown away."""
    path = tmp_path / "report.json"
    path.write_bytes(b"old")
    with pytest.raises(FileNotFoundError), written_whole(path) as part:
        part.rename(tmp_path / "absent" / "ne")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_never_share_a_name(tmp_path: Path):
    """Two writings under way have files of their own, and the last one to end wins."""
    path = tmp_path / "report.json"
    with written_whole(path) as first, written_whole(path) as second:
        assert first != second
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert path.read_bytes() == b"first"


def test_a_file_is_as_readable_as_the_mask_allows(tmp_path: Path):
    """The mask of the process decides who may read a file, and writing does not change the mask."""
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "report.json", b"{}")
        assert (tmp_path / "report.json").stat().st_mode & 0o777 == 0o640
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (7, "7 bytes"),
        (1_000, "1 kB"),
        (3_840_000, "3.8 MB"),
        (9_950_000, "10 MB"),
        (88_400_000_000, "88 GB"),
        (2 * 10**12, "2 TB"),
    ],
)
def test_bytes_are_counted_in_thousands(count: int, words: str):
    """Two digits are shown, and a decimal of zero is not."""
    assert bytes_in_words(count) == words


@given(st.text(st.characters()))
def test_nothing_that_a_terminal_obeys_is_visible(text: str):
    """By Unicode's own categories and directions: no control, no line, no half of a pair, no change of direction."""
    shown = visible(text)
    assert not {unicodedata.category(one) for one in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(one) for one in shown} & {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI"}
    assert not {unicodedata.bidirectional(one) for one in shown} & {"FSI", "PDI"}
    assert not set(shown) & set("\u061c\u200e\u200f")
    assert visible(shown) == shown


@pytest.mark.parametrize(
    "text", ["麻雀 and sparrow", "👩\u200d🔬", "e\u0301", "نص", "می\u200cخواهم", "[red] 'x' \\x1b", ""]
)
def test_what_people_write_stays(text: str):
    """Chinese, emoji joined by ZWJ, combining marks and words from right to left are no commands."""
    assert visible(text) == text


def test_a_command_to_github_is_no_command():
    """Its runner looks past blanks at the start of a line; the names of probes stay."""
    assert visible("::error::x  ::stop-commands::y 麻::add-mask::z ##[error]") == (
        r"\x3a:error::x  \x3a:stop-commands::y 麻\x3a:add-mask::z \x23#[error]"
    )
    assert visible("tests/test_a.py::test_b[sparrow] ## a") == "tests/test_a.py::test_b[sparrow] ## a"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("it failed\nand more", "it failed"),
        ("", "ValueError"),
        ("a\x1b[2J", "a\\x1b[2J"),
        (
            "Weights only load failed. Re-running torch.load with weights_only=False may help.",
            "Weights only load failed",
        ),
        (
            "Exceeds the limit (4300 digits): 5000; use sys.set_int_max_str_digits()",
            "Exceeds the limit (4300 digits): 5000",
        ),
        ("Please pass the argument trust_remote_code=True to allow custom code to be run.", "ValueError"),
        ("x" * 300, "x" * 197 + "..."),
    ],
)
def test_a_library_is_quoted_without_its_advice(said: str, kept: str):
    """The first line stands, without the sentence that would have people switch a safeguard off."""
    assert quoted(ValueError(said)) == kept


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": [1, {"b": NaN}]}', "f.json: a[1].b is nan; wanted a finite number"),
        (b'{"a": 9223372036854775808}', "a is a number of 64 bits; wanted a whole number of 64 bits, sign included"),
        (b'{"a": 1,\n "a": 2}', "the key 'a' stands twice in one object"),
        (b'{"a": 1,\n "b"}', "it is not JSON: Expecting ':' delimiter at line 2, character 5"),
        (b'["\\ud800"]', "[0] is '\\ud800'; wanted whole characters"),
        (b"[" * 101 + b"]" * 101, "its values are nested too deeply; wanted at most 100 levels"),
        (b"a\nb\xff", "line 2: byte 3 is not UTF-8 text; wanted text in UTF-8; save the file in the encoding UTF-8,"),
        (b"a\n\0\xff", "line 2: byte 2 is a NUL, which no text holds"),
        (b"\xff\xfe[\0", "line 1: byte 0 is not UTF-8 text but the mark of UTF-16"),
        (b" \n", "it is not JSON: it is empty"),
    ],
)
def test_json_is_read_strictly(tmp_path: Path, content: bytes, message: str):
    """A refusal names the file, the place, what was found and what was wanted."""
    path = tmp_path / "f.json"
    path.write_bytes(content)
    with pytest.raises(FileError) as refused:
        load_json(path)
    assert message in str(refused.value)


def test_what_sound_json_holds_is_read(tmp_path: Path):
    """The largest whole numbers, a hundred levels, and a mark of UTF-8 are sound."""
    path = tmp_path / "f.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 9223372036854775807, "b": -9223372036854775807, "c": 1e300}')
    assert load_json(path) == {"a": 2**63 - 1, "b": 1 - 2**63, "c": 1e300}
    path.write_bytes(b"[" * 100 + b"]" * 100)
    load_json(path)
    path.write_bytes(b'["\\ud800", 1e999, 1000000000000000019884624838656]')
    assert load_json(path, halves=True, numbers=False) == ["\ud800", float("inf"), 1000000000000000019884624838656]


def test_a_text_may_have_a_largest_size(tmp_path: Path):
    """One byte more is refused, and no more of the file is read than that."""
    path = tmp_path / "f.txt"
    path.write_bytes(b"1234")
    assert read_text(path, most=4) == "1234"
    with pytest.raises(FileError, match="it is too large; wanted at most 3 bytes"):
        read_text(path, most=3)


def test_the_docstring_examples_run():
    """The examples in the docstrings give what they say."""
    assert doctest.testmod(files).failed == 0
    assert doctest.testmod(files).attempted > 0


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    """A temporary file that nobody holds is removed; one of a living writer, and another program's, stay."""
    left, foreign = tmp_path / f".{'0' * 32}.part", tmp_path / ".film.part"
    left.touch()
    foreign.touch()
    with written_whole(tmp_path / "other") as living:
        write_whole(tmp_path / "report.json", b"{}")
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([living.name, ".film.part", "report.json"])

"""Files are written whole or not at all, and are as readable as any other."""

from __future__ import annotations

import doctest
import os
from pathlib import Path

import pytest

from saeprobe import files
from saeprobe.files import bytes_in_words, seconds_in_words, terminal_columns, write_whole, written_whole


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


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "under 1 s"), (1, "1 s"), (4.2, "4.2 s"), (119, "119 s"), (120, "2 min"), (600, "10 min"), (9000, "2.5 h")],
)
def test_times_are_rounded_as_estimates(seconds: float, words: str):
    """Seconds and minutes go up to 120 before the next unit is used."""
    assert seconds_in_words(seconds) == words


def test_chinese_characters_fill_two_columns():
    """A terminal shows a Chinese character twice as wide as a Latin one."""
    assert terminal_columns("sparrow 麻雀") == 12


def test_the_docstring_examples_run():
    """The examples in the docstrings give what they say."""
    assert doctest.testmod(files).failed == 0
    assert doctest.testmod(files).attempted > 0


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    """A temporary file that nobody holds is removed; one of a living writer, and another program's, stay."""
    left, foreign = tmp_path / f".report.json.{'0' * 32}.part", tmp_path / ".film.part"
    left.touch()
    foreign.touch()
    with written_whole(tmp_path / "other") as living:
        write_whole(tmp_path / "report.json", b"{}")
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([living.name, ".film.part", "report.json"])

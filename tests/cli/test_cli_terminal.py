"""A table is whole where it is piped, and fits the terminal where somebody reads."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from saeprobe.cli.article_steps import load_sae
from saeprobe.cli.terminal import RefusedError, explain, seconds_in_words, table
from saeprobe.subject import models_absent

LONG = "x" * 300


def test_a_piped_table_is_plain_and_whole() -> None:
    """Nothing is cut, coloured, framed or read as markup, and columns are as wide as Chinese characters fill them."""
    lines = table(["词", "shape"], [["风格", "[1, d_in]"], ["a :smile:", LONG]]).splitlines()
    assert lines == ["词         shape", "风格       [1, d_in]", f"a :smile:  {LONG}"]


def test_numbers_end_flush_and_an_empty_header_is_left_out() -> None:
    """Columns on the right end flush; a table without names of columns has no line for them."""
    assert table(["", ""], [["a", "1"], ["b", "1,024"]], right=[1], indent=2) == "  a      1\n  b  1,024"


def test_a_table_on_a_terminal_fits_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long cells wrap to the width of the terminal, and nothing of them is lost."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    lines = table(["key", "what"], [["a", LONG]]).splitlines()
    assert max(map(len, lines[1:])) == 40
    assert sum(line.count("x") for line in lines[1:]) == 300


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "under 1 s"), (1, "1 s"), (4.2, "4.2 s"), (119, "119 s"), (120, "2 min"), (600, "10 min"), (9000, "2.5 h")],
)
def test_times_are_rounded_as_estimates(seconds: float, words: str) -> None:
    """Seconds and minutes go up to 120 before the next unit is used."""
    assert seconds_in_words(seconds) == words


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("No module named 'yaml'", name="yaml"), "pyyaml, which this takes, is not installed"),
        (
            ImportError("DLL load failed", name="torch._C"),
            "torch, which this takes, cannot be loaded (Imp",
        ),
        (ModuleNotFoundError("No module named 'regex'", name="regex"), "takes the extra `models`"),
        (MemoryError(), "there is not enough memory"),
    ],
)
def test_a_package_that_cannot_be_imported_is_named_with_the_command_that_mends_it(error: Exception, said: str) -> None:
    """A base package is not one of the extra; one that is there and broken is installed anew."""
    explained = explain(error)
    assert explained is not None
    assert said in explained
    assert explain(ImportError("cannot import name", name="saeprobe.files")) is None


@pytest.mark.parametrize("error", [OSError(1114, "DLL init failed"), ImportError("no library"), RuntimeError("broken")])
def test_encode_names_a_torch_that_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever the import of a broken torch raises, the command says so in words."""

    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "sae_lens":
                raise error

    models_absent()  # which looks for the packages and has seen them whole
    monkeypatch.delitem(sys.modules, "sae_lens", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(RefusedError, match=r"cannot be loaded .*; run: pip install --force-reinstall torch"):
        load_sae(tmp_path, device="cpu", dtype="float32")
    models_absent.cache_clear()
    assert "sae-lens" in str(models_absent())
    models_absent.cache_clear()

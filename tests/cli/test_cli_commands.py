"""The table of commands gives help, version, completion and exit codes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import saeprobe
from saeprobe import cli
from saeprobe.__main__ import main
from saeprobe.cli import COMMANDS, inspect

NUMERICAL = ("torch", "transformers", "transformer_lens", "sae_lens", "pandas")
HEAVY = (*NUMERICAL, "numpy", "scipy", "rich", "tqdm", "huggingface_hub")
SHELLS = ("bash", "zsh", "tcsh")
HELPS = [
    [],
    ["--help"],
    ["--version"],
    *([name, "--help"] for name in COMMANDS),
    *(["completion", one] for one in SHELLS),
]
RUN = """
import contextlib, io, json, sys
from saeprobe.__main__ import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    codes = [main(words) for words in {words}]
print(json.dumps([codes, [name for name in {heavy} if name in sys.modules]]))
"""


def loaded(words: list[list[str]], heavy: tuple[str, ...], before: str = "") -> Any:
    """Return the exit codes of commands in a fresh interpreter, and which of the modules were imported."""
    code = before + RUN.format(words=words, heavy=heavy)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - own code
    return json.loads(done.stdout)


def test_help_version_and_completion_import_nothing_heavy() -> None:
    """Before a command runs neither numerical libraries nor those of tables and of the Hub are imported."""
    assert loaded(HELPS, HEAVY) == [[2, *([0] * (len(HELPS) - 1))], []]


def test_the_lightness_test_can_fail() -> None:
    """A library that is imported is seen."""
    assert loaded([["--help"]], HEAVY, before="import numpy")[1] == ["numpy"]


def test_the_gate_is_light() -> None:
    """The gate decides without torch, transformers or pandas."""
    assert loaded([["gate", "no-such-article.md"]], NUMERICAL) == [[2], []]


def test_a_wrong_path_is_refused_before_the_model_libraries_are_imported() -> None:
    """What compares two styles in a file needs no SAE, so it waits for no library that loads one."""
    assert loaded([["diff", "no-such-file.pt"]], ("sae_lens", "transformer_lens", "transformers")) == [[2], []]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("docter", "there is no command 'docter', did you mean 'doctor'?; the commands are: init, doctor, subjects"),
        ("zzz", "there is no command 'zzz'; the commands are: init, doctor"),
        ("calibrate", "python -m studies.calibration"),
    ],
)
def test_a_command_that_does_not_exist_is_answered_with_the_nearest(
    word: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The answer names the nearest command and all others, and where the calibration went."""
    assert main([word, "--json"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_knows_commands_options_and_files(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The script of each shell holds every command, the options of one, and how files are completed."""
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert [name for name in (*COMMANDS, "dry-run") if name not in script] == []
    assert {"bash": "_shtab_compgen_files", "zsh": ":_files", "tcsh": "/f/"}[shell] in script


def test_bash_completes_what_is_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The script makes bash itself complete a command, an option, and the name of a file."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    main(["completion", "bash"])
    (tmp_path / "features.pt").touch()
    words = ["saeprobe ins", "saeprobe fetch --dr", "saeprobe diff feat"]
    script = capsys.readouterr().out + "".join(
        f"\nCOMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=(); "
        '_shtab_saeprobe saeprobe "${COMP_WORDS[COMP_CWORD]}"; echo "${COMPREPLY[@]}"'
        for line in words
    )
    done = subprocess.run([bash, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.split() == ["inspect", "--dry-run", "features.pt"], done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_for_a_person(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Help says what the command does, shows an example, gives the exit codes, and fits its lines."""
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"  saeprobe {command}" in text
    assert "example" in text
    assert "exit codes: 0" in text
    assert max(len(line) for line in text.splitlines()) <= 120


def test_every_command_has_a_text_of_help_and_every_text_a_command() -> None:
    """Besides them lies the text of the command line as a whole."""
    assert {file.stem for file in (Path(cli.__file__).parent / "help").iterdir()} == {*COMMANDS, "saeprobe"}


def test_usage_errors_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown command, an unknown option and an abbreviated one are usage errors."""
    for words in (["inspekt"], ["diff", "f.pt", "--c", "x"], ["diff", "f.pt", "--outp", "x"]):
        assert main(words) == 2
        assert "usage: saeprobe" in capsys.readouterr().err


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the package's version."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"saeprobe {saeprobe.__version__}\n"


def test_the_package_runs_as_a_module() -> None:
    """`python -m saeprobe` is the same command line, exit code and all."""
    done = subprocess.run([sys.executable, "-m", "saeprobe", "inspekt"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no command 'inspekt', did you mean 'inspect'?" in done.stderr


def test_a_users_error_is_one_line_and_a_bug_keeps_its_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An absent file is explained with exit code 2; an error that no user can mend is not swallowed."""
    assert main(["inspect", str(tmp_path / "none.pt")]) == 2
    err = capsys.readouterr().err
    assert err == f"saeprobe: error: {tmp_path / 'none.pt'}: there is no such file or folder; check the path\n"

    def broken(_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(inspect, "run", broken)
    with pytest.raises(ZeroDivisionError):
        main(["inspect", "x"])


def test_an_interruption_is_no_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Control-C ends with the shell's code for it and a word on what was written."""

    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(inspect, "run", interrupted)
    assert main(["inspect", "x"]) == 130
    assert "no output was written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "name", "quiet"),
    [
        (BrokenPipeError(), "posix", True),
        (OSError(errno.EINVAL, "Invalid argument"), "nt", True),
        (OSError(errno.EINVAL, "Invalid argument"), "posix", False),
        (OSError(errno.EINVAL, "Invalid argument", "a:b"), "nt", False),
        (OSError(errno.ENOSPC, "No space left on device"), "nt", False),
    ],
)
def test_a_reader_that_leaves_is_no_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: OSError, name: str, *, quiet: bool
) -> None:
    """`saeprobe ... | head` ends quietly, also on Windows, which says that the argument is invalid."""

    def end(_arguments: object) -> int:
        raise error

    sent: list[int] = []
    monkeypatch.setattr(inspect, "run", end)
    system = vars(os) | {"name": name, "dup2": lambda null, _stdout: sent.append(null)}
    monkeypatch.setattr("saeprobe.__main__.os", SimpleNamespace(**system))
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1, raising=False)
    assert main(["inspect", "x"]) == (0 if quiet else 2)
    assert (capsys.readouterr().err == "") == quiet
    assert len(sent) == quiet
    for one in sent:
        os.close(one)

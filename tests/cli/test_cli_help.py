"""Help, version and exit codes of the command line as a whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import saeprobe
from saeprobe.__main__ import main
from saeprobe.cli import inspect
from saeprobe.cli.commands import COMMANDS

HEAVY = ("torch", "transformers", "transformer_lens", "sae_lens", "pandas")

LIGHT_WORK = f"""
import contextlib, io, json, sys
from saeprobe.__main__ import main
with contextlib.redirect_stdout(io.StringIO()):
    codes = [main([])] + [main([*words, "--help"]) for words in ([], *([name] for name in {tuple(COMMANDS)}))]
with contextlib.redirect_stderr(io.StringIO()):
    codes.append(main(["gate", "no-such-article.md"]))
heavy = [name for name in {HEAVY} if name in sys.modules]
print(json.dumps({{"codes": codes, "heavy": heavy}}))
"""


def python(code: str) -> Any:
    """What a fresh interpreter prints as JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - own code
    return json.loads(done.stdout)


def test_help_and_gate_are_light() -> None:
    """Neither the help of any command nor the gate loads torch, transformers or pandas."""
    found = python(LIGHT_WORK)
    assert found["codes"] == [2, 0, *([0] * len(COMMANDS)), 2]
    assert found["heavy"] == []


def test_the_lightness_test_can_fail() -> None:
    """Reading a `.pt` file does load torch, and the same look at the modules sees it."""
    found = python(LIGHT_WORK.replace("heavy =", "import saeprobe.recorded.files\nheavy ="))
    assert found["heavy"] == ["torch"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_for_a_person(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Help says what the command does, shows an example, gives the exit codes, and fits its lines."""
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"  saeprobe {command}" in text
    assert "example" in text
    assert "exit codes: 0" in text
    assert max(len(line) for line in text.splitlines()) <= 120


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

"""What holds on Windows too, as far as it can be tried elsewhere: encodings, line ends, names, and files in use."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saeprobe import files
from saeprobe.__main__ import main
from saeprobe.claims import Claim
from saeprobe.cli.terminal import explain
from saeprobe.files import remove_leftovers, write_whole
from saeprobe.plugin import terminal
from saeprobe.report import command_line
from saeprobe.store import Store
from saeprobe.subject import setting

ROOT = Path(__file__).parents[1]
OURS = [*("saeprobe", "studies", "benchmarks", "probes", ".ci"), "conftest.py"]
POSIX = {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}


def faults(source: str) -> Iterator[str]:
    """Name the calls that leave encoding or line ends to the system, and the imports that Windows has not."""
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from POSIX & {getattr(node, "module", None), *(one.name for one in node.names)}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name, given = ast.unparse(call.func), {one.arg: one.value for one in call.keywords}
        of, _, last = name.rpartition(".")
        first = call.args[0 if of else 1 :][:1] or [given.get("mode", ast.Constant("r"))]
        mode = first[0].value if isinstance(first[0], ast.Constant) and isinstance(first[0].value, str) else "b"
        reads = last == "open" and "b" not in mode and not of.endswith(("subject", "randomiser", "archive"))
        asked = of == "subprocess" and {"text", "universal_newlines"} & given.keys()
        text = last in ("read_text", "write_text") or reads or asked
        if text and "encoding" not in given and not (last == "read_text" and (call.args or of == "")):
            yield f"{name} without encoding"
        if last == "write_text" and "newline" not in given:
            yield f"{name} without newline"


@pytest.mark.parametrize("name", OURS)
def test_our_code_leaves_no_encoding_and_no_line_end_to_the_system(name: str):
    """Every text is read and written in a stated encoding, and no module of POSIX alone is imported by all."""
    path = ROOT / name
    found = [
        f"{file.relative_to(ROOT)}: {fault}"
        for file in ([path] if path.is_file() else path.rglob("*.py"))
        for fault in faults(file.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("open(name)", "open without encoding"),
        ("path.open('w')", "path.open without encoding"),
        ("path.open()", "path.open without encoding"),
        ("path.read_text()", "path.read_text without encoding"),
        ("path.write_text(x, encoding='utf-8')", "path.write_text without newline"),
        ("subprocess.run(x, text=True)", "subprocess.run without encoding"),
        ("import fcntl", "fcntl"),
        ("from pwd import getpwnam", "pwd"),
    ],
)
def test_the_look_at_our_code_can_fail(line: str, fault: str):
    """Each kind of fault is named, and its sound counterpart is not."""
    assert list(faults(line)) == [fault]
    sound = "open(name, 'rb'); path.open('xb'); path.write_text(x, encoding='utf-8', newline=''); subject.open()"
    assert list(faults(f"{sound}; subprocess.run(x, text=True, encoding='utf-8')")) == []


PROBE = """
from saeprobe import capture, claim, subjects
from saeprobe.measures import l0
from saeprobe.prompts import PromptSet

rows = capture(PromptSet.from_file("{file}"), at="last")

@subjects("sparrow")
@claim("新手的特征更多 😀 ½.", id="day1.more", source="网")
def test_more(rows):
    assert l0(rows["新手"]) > l0(rows["专家"])
"""
SCRIPT = """
import sys
import as_windows
import pytest
from saeprobe.__main__ import main

code = pytest.main(["-p", "no:cacheprovider", "test_more.py"])
codes = [main(words) for words in (["gate", "文.md"], ["inspect", "reports/report.json", "--json"])]
print("codes", int(code), *codes, "longest", max(map(len, as_windows.LONGEST)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="plays Windows on Linux")
def test_a_run_of_probes_and_commands_passes_as_on_windows(tmp_path: Path):
    """Without POSIX and links, no open file renamed, in GBK and with no default encoding, all is done in short paths.

    Windows takes paths of 259 characters; 139 below the folder of a project leave it 100 with some to spare.
    """
    folder = tmp_path / "项目"
    folder.mkdir()
    rows = [f"{style},{style}: {topic},{topic}" for style in ("新手", "专家") for topic in ("潮汐", "rain", "light")]
    (folder / "问.csv").write_bytes("\r\n".join(["\ufeffstyle,text,topic", *rows]).encode())
    (folder / "test_more.py").write_bytes(PROBE.replace("\n", "\r\n").format(file="问.csv").encode())
    article = "\ufeff---\r\ntitle: 文 😀\r\nlanguage: zh\r\nclaims: [day1.more]\r\n---\r\n"
    (folder / "文.md").write_bytes(article.encode())
    surroundings = {**os.environ, "PYTHONIOENCODING": "gbk:strict", "PYTHONUTF8": "0", "PYTHONWARNDEFAULTENCODING": "1"}
    surroundings["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    command = [sys.executable, "-c", SCRIPT]
    ran = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, check=False)  # noqa: S603
    out, err = ran.stdout.decode("gbk"), ran.stderr.decode("gbk")
    assert "Traceback" not in out + err
    assert [line for line in (out + err).splitlines() if "EncodingWarning" in line and str(ROOT) in line] == []
    assert "新手的特征更多 \\U0001f600 \\xbd. [day1.more]" in " ".join(out.split())
    *_, last = out.splitlines()
    assert last.startswith("codes 1 1 0 longest ")
    assert int(last.split()[-1]) - len(str(folder)) < 140
    listed = out[out.index("\n{") : out.rindex("\n}") + 2]
    assert json.loads(listed)["kind"]
    report = json.loads((folder / "reports" / "report.json").read_bytes())
    assert {"新手: 潮汐", "专家: light"} < set(report["prompts"]["text"])


@pytest.mark.parametrize("encoding", ["gbk", "cp1252", "ascii"])
@pytest.mark.parametrize("words", [["--help"], ["inspect", "数 😀.json"], ["inspect", "数 😀.json", "--json"]])
def test_a_pipe_of_any_encoding_takes_all_that_is_printed(
    encoding: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What an encoding has no character for is escaped, and JSON stays JSON."""
    (tmp_path / "数 😀.json").write_bytes(b'{"a": 1}')
    monkeypatch.chdir(tmp_path)
    pipe = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, "stdout", pipe)
    assert main(words) == 0
    pipe.flush()
    printed = pipe.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    if words[-1] == "--json":
        assert json.loads(printed)["path"] == "数 😀.json"
    elif words[0] == "inspect":
        assert printed.startswith("数 \\U0001f600.json" if encoding == "gbk" else "\\u6570 \\U0001f600.json")


def test_a_line_of_the_terminal_escapes_the_one_character_and_no_more(monkeypatch: pytest.MonkeyPatch):
    """Chinese stays Chinese in GBK beside an emoji, which pytest alone would escape together with the line breaks."""
    monkeypatch.setattr(sys, "__stdout__", io.TextIOWrapper(io.BytesIO(), encoding="gbk"))
    assert terminal._wrapped("新手 😀 专家", 12) == ["新手", "\\U0001f600", "专家"]


def test_help_has_a_width_without_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """On Windows NUL says that it is a terminal, and has no size."""

    def no_size(_: int) -> None:
        raise OSError(6, "The handle is invalid")

    monkeypatch.setattr(os, "isatty", lambda _: True)
    monkeypatch.setattr(os, "get_terminal_size", no_size)
    assert main(["--help"]) == 0
    assert "usage: saeprobe" in capsys.readouterr().out


@pytest.mark.parametrize(("refusals", "held"), [(0, b"new"), (3, b"new"), (4, b"old")])
def test_a_file_in_use_is_replaced_once_it_is_free(
    refusals: int, held: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Three refusals are waited for; after a fourth the old file stays, and the error names it."""
    path, waits, real = tmp_path / "report.json", [], os.replace
    path.write_bytes(b"old")
    left = iter([True] * refusals)

    def replace(part: Path, to: Path) -> None:
        if next(left, False):
            raise PermissionError(13, "Access is denied", str(part), None, str(to))
        real(part, to)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(time, "sleep", waits.append)
    if held == b"old":
        with pytest.raises(PermissionError) as refused:
            write_whole(path, b"new")
        assert explain(refused.value) == f"{path}: Access is denied; is it open in another program?"
    else:
        write_whole(path, b"new")
    assert (path.read_bytes(), len(waits)) == (held, min(refusals, 3))
    assert list(tmp_path.iterdir()) == [path]
    assert sum(waits) < 1


def test_without_locks_what_is_left_over_goes_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where no lock says whether a writer lives, a temporary file of today may have one."""
    monkeypatch.setattr(files, "fcntl", None)
    old, young = (tmp_path / f".{digit * 32}.part" for digit in "01")
    for path, age in ((old, 90_000), (young, 80_000)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [young]
    write_whole(tmp_path / "a.json", b"{}")
    assert sorted(tmp_path.iterdir()) == [young, tmp_path / "a.json"]


@pytest.mark.parametrize("id", ["con", "aux.l0", "com1.a", "lpt9", "nul", "a" * 101])
def test_no_claim_has_a_name_that_windows_gives_no_file(id: str):
    """The baseline of a claim is a file named after it."""
    with pytest.raises(ValueError, match="no device such as 'con'"):
        Claim(sentence="s", id=id, source="s")


@pytest.mark.parametrize("id", ["console", "aux-loss.l0", "com10", "day1.con", "a" * 100])
def test_a_name_that_only_resembles_a_device_is_free(id: str):
    """The device is a whole word before the first dot."""
    assert Claim(sentence="s", id=id, source="s").id == id


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)))
def test_a_printed_command_is_read_back_as_its_words(words: list[str]):
    """A shell of POSIX splits it into the same words, whatever stands in them."""
    assert shlex.split(command_line(words)) == words


@pytest.mark.parametrize("word", ["a.py::b[c]", "gpt2 or sparrow", "it's", "C:\\my models", "(a)", "a&b"])
def test_a_printed_command_has_the_quotes_that_cmd_knows(word: str):
    """For cmd.exe a single quote is a character like any other."""
    assert command_line([word]) == f'"{word}"'


def test_a_variable_is_set_as_the_shells_of_the_system_do(monkeypatch: pytest.MonkeyPatch):
    """Neither cmd.exe nor PowerShell takes NAME=VALUE before a command."""
    monkeypatch.setattr(sys, "platform", "linux")
    assert setting("it") == "put HF_ENDPOINT=https://hf-mirror.com before it"
    monkeypatch.setattr(sys, "platform", "win32")
    assert setting("it", "HF_HOME", "D:/hf") == 'run first: set HF_HOME=D:/hf (in PowerShell: $env:HF_HOME = "D:/hf")'


def test_a_byte_order_mark_in_pyproject_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Pytest refuses such a file without saying why, so a command does."""
    (tmp_path / "pyproject.toml").write_bytes(b"\xef\xbb\xbf[tool.saeprobe]\n")
    monkeypatch.chdir(tmp_path)
    assert main(["subjects"]) == 2
    said = "begins with a byte order mark, which pytest refuses; save it as UTF-8 without BOM"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", ["con", "sparrow?", "a/b", "n" * 300])
def test_a_lock_can_be_made_whatever_a_subject_is_called(name: str, tmp_path: Path):
    """The file of a lock is named by a hash."""
    with Store(tmp_path).locked(name):
        assert [re.fullmatch(r"[0-9a-f]{32}\.lock", path.name) is not None for path in tmp_path.glob("*.lock")] == [
            True
        ]

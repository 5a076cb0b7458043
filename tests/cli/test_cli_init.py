"""`saeprobe init` writes a project whose first run ends with a verdict and a released article."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from saeprobe.__main__ import main
from saeprobe.cli.terminal import project_root
from saeprobe.subject.registry import find_subject

FILES = {
    "probes/test_first.py",
    "prompts/first.toml",
    "articles/first.md",
    "pyproject.toml",
    ".gitignore",
    ".github/workflows/probes.yml",
}


def held(folder: Path) -> dict[str, bytes]:
    """Return the content of each file of a folder by its path there, those of git aside."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def did(folder: Path, *words: str, code: int = 0) -> str:
    """Run a command in a folder as a user does, and return what it printed."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    surroundings |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(words, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)  # noqa: S603 - own words
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_the_first_hour_ends_with_a_released_article(tmp_path: Path) -> None:
    """A committed project is run, its value approved and its article released, and no change is seen in it."""
    folder = tmp_path / "论文 项目"
    saeprobe, git = (sys.executable, "-m", "saeprobe"), ("git", "-c", "user.name=A", "-c", "user.email=a@b.c")
    did(tmp_path, *saeprobe, "init", folder.name)
    did(folder, "git", "init", "-q")
    did(folder, "git", "add", ".")
    did(folder, *git, "commit", "-qm", "Begin")
    said = did(folder, sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
    assert "1 supported" in said
    assert (folder / "reports" / "report.html").exists()
    run = json.loads((folder / "reports" / "report.json").read_text(encoding="utf-8"))["run"]
    assert (run["dirty"], run["changed"]) == (False, [])
    assert (folder / ".saeprobe" / "store" / ".gitignore").read_text(encoding="utf-8").endswith("\n*\n")
    assert (folder / "reports" / ".gitignore").exists()
    released = did(folder, *saeprobe, "gate", "articles/first.md")
    assert "RELEASE" in released
    assert "warning" not in released
    did(folder, *saeprobe, "approve", "first.novice-exclusive", "--by", "A", "--because", "the first whole run")
    assert did(folder, "git", "status", "--porcelain", "-uall") == "?? reports/baselines/first.novice-exclusive.json\n"


def test_a_second_init_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first makes the folder and names what it wrote, the second names the same as left; both name what is next."""
    folder = tmp_path / "new" / "claims"
    assert main(["init", str(folder)]) == 0
    first, before = capsys.readouterr().out, held(folder)
    assert set(before) == FILES
    assert all(name in first for name in FILES)
    assert main(["init", str(folder)]) == 0
    second = capsys.readouterr().out
    assert held(folder) == before
    assert {line.rpartition(": ")[2] for line in second.splitlines() if line.startswith("there already")} == FILES
    assert "nothing was written" in second
    assert "add to pyproject.toml" not in second
    assert first.partition("next:")[2] == second.partition("next:")[2] != ""


def test_what_exists_is_left_and_what_lacks_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pyproject.toml and a .gitignore stay to the byte, the lines to paste parse there, and the rest is written."""
    mine = {"pyproject.toml": b'[project]\r\nname = "mine"\r\n', ".gitignore": b""}
    for name, content in mine.items():
        (tmp_path / name).write_bytes(content)
    assert main(["init", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    found = held(tmp_path)
    assert set(found) == FILES
    assert {name: found[name] for name in mine} == mine
    pasted = said.partition("add to pyproject.toml:\n\n")[2].partition("\n\nnext:")[0]
    assert "[tool.saeprobe.subjects.mine]" in pasted
    assert tomllib.loads(mine["pyproject.toml"].decode() + pasted) == {"project": {"name": "mine"}}


def test_a_link_that_leads_nowhere_is_left(tmp_path: Path) -> None:
    """Nothing is written through it to another place."""
    (tmp_path / ".gitignore").symlink_to(tmp_path / "elsewhere")
    assert main(["init", str(tmp_path)]) == 0
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("taken", ["here", "here/probes", "here/.github"])
def test_a_file_in_the_place_of_a_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], taken: str
) -> None:
    """It is named, and nothing is written beside it."""
    (tmp_path / taken).parent.mkdir(exist_ok=True)
    (tmp_path / taken).write_text("mine", encoding="utf-8")
    assert main(["init", str(tmp_path / "here")]) == 2
    assert f"{tmp_path / taken} is no folder" in capsys.readouterr().err
    assert held(tmp_path) == {taken: b"mine"}


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, and nothing is written beside it."""
    (tmp_path / "prompts" / "first.toml").mkdir(parents=True)
    assert main(["init", str(tmp_path)]) == 2
    assert f"{tmp_path / 'prompts' / 'first.toml'} is a folder" in capsys.readouterr().err
    assert held(tmp_path) == {}


def test_the_subject_of_the_example_is_read(tmp_path: Path) -> None:
    """With the marks taken off, the example declares a subject whose folders are absent, and nothing else is wrong."""
    assert main(["init", str(tmp_path)]) == 0
    file = tmp_path / "pyproject.toml"
    lines = file.read_text(encoding="utf-8").splitlines()
    begin = lines.index("# [tool.saeprobe.subjects.mine]")
    taken_off = [line.removeprefix("# ") for line in lines[begin:]]
    file.write_text("\n".join([*lines[:begin], *taken_off]), encoding="utf-8")
    subject = find_subject("mine", tmp_path)
    assert subject.spec.wrong is None
    assert subject.spec.default is not False
    assert f"there is no {tmp_path / 'models' / 'mine'}" in (subject.wrong or "")


def test_the_workflow_runs_what_a_user_runs(tmp_path: Path) -> None:
    """It is YAML, and its steps run the probes and then the gate."""
    assert main(["init", str(tmp_path)]) == 0
    flow = yaml.safe_load((tmp_path / ".github" / "workflows" / "probes.yml").read_text(encoding="utf-8"))
    runs = [step["run"] for step in flow["jobs"]["probes"]["steps"] if "run" in step]
    assert runs[-2] == "pytest probes/"
    assert runs[-1] == "saeprobe gate articles/"


def test_a_folder_that_cannot_be_written_to_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named in full before anything is written, also where it is not the first; what is there needs nothing."""
    (tmp_path / "prompts").mkdir()
    monkeypatch.chdir(tmp_path)
    may = os.access
    with monkeypatch.context() as patched:  # root may write anywhere
        patched.setattr(os, "access", lambda path, mode: path != tmp_path / "prompts" and may(path, mode))
        assert main(["init"]) == 2
        assert f"{tmp_path / 'prompts'} cannot be written to; name another folder" in capsys.readouterr().err
        assert held(tmp_path) == {}
    assert main(["init"]) == 0
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert main(["init"]) == 0
    assert "nothing was written" in capsys.readouterr().out


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_path_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, blank: str
) -> None:
    """An empty variable of a shell does not mean the working directory."""
    monkeypatch.chdir(tmp_path)
    assert main(["init", blank]) == 2
    assert f"{blank!r} is no path" in capsys.readouterr().err
    assert held(tmp_path) == {}


@pytest.mark.parametrize(
    ("above", "own", "foreign"),
    [
        ({"pytest.ini": ""}, '[project]\nname = "mine"\n', True),
        ({"pytest.ini": ""}, "[tool.saeprobe]\n", False),
        ({"pytest.ini": ""}, None, False),
        ({"tox.ini": "[pytest]\n"}, "", True),
        ({"tox.ini": "[tox]\n"}, "", False),
        ({"setup.cfg": "[tool:pytest]\n"}, "", True),
        ({"pyproject.toml": "[tool.pytest]\nminversion = '9'\n"}, "", True),
        ({"pyproject.toml": "[tool.pytest]\n"}, "", False),
        ({"pyproject.toml": "[project]\n"}, "", False),
        ({"pyproject.toml": "[tool.saeprobe]\n"}, "", False),
    ],
)
def test_a_root_above_is_named_with_what_makes_this_one_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], above: dict[str, str], own: str | None, *, foreign: bool
) -> None:
    """It is where pytest itself finds its root, and no more once the lines to add stand in pyproject.toml."""
    inner = tmp_path / "inner"
    inner.mkdir()
    for name, text in above.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    if own is not None:
        (inner / "pyproject.toml").write_text(own, encoding="utf-8")
    assert main(["init", str(inner)]) == 0
    said = capsys.readouterr().out
    assert (f"pytest takes {tmp_path} for the project" in said) == foreign
    assert project_root(inner) == (tmp_path if foreign else inner)
    if own is None or "saeprobe" not in own:
        rooted = did(inner, sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider")
        assert f"rootdir: {tmp_path if foreign else inner}\n" in rooted
    if foreign:
        lines = said.partition("add to pyproject.toml:\n\n[tool.pytest")[2].partition("\n\nnext:")[0]
        (inner / "pyproject.toml").write_text(f"{own}[tool.pytest{lines}\n", encoding="utf-8")
        assert project_root(inner) == inner


def test_a_project_among_the_tests_of_another_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder of tests is named, and a project beside it is not warned of."""
    assert main(["init", str(tmp_path)]) == 0
    assert main(["init", str(tmp_path / "beside")]) == 0
    assert "warning" not in capsys.readouterr().out
    assert main(["init", str(tmp_path / "probes" / "deep" / "sub")]) == 0
    assert f"warning: {tmp_path / 'probes'} holds tests of another project" in capsys.readouterr().out

"""Git leaves out what a run writes, and the files that differ are named."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from saeprobe.git import SETTINGS, commit_of, digest_of, leave_out, named, uncommitted


def git(folder: Path, *words: str) -> None:
    """Run git in a folder, whatever its user has set up."""
    who = {
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@b.c",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@b.c",
    }
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *words], cwd=folder, env=os.environ | who | alone, check=True, capture_output=True)  # noqa: S603, S607


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with two files in one commit."""
    root = tmp_path / "论文 项目"
    for name in ("a.py", "probes/b.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x = 1\n" * 9, encoding="utf-8")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "Begin")
    return root


def changed(root: Path, report: Path | None = None) -> tuple[str, ...] | None:
    """Return the files that differ where store and reports are in their places."""
    return commit_of(root, store=root / ".saeprobe" / "store", report=report or root / "reports")[1]


def test_what_a_run_writes_is_no_change(tree: Path) -> None:
    """Store, reports and bytecode make no difference, and git itself sees nothing but the bytecode."""
    leave_out(tree / ".saeprobe" / "store")
    (tree / ".saeprobe" / "store" / "x.parquet").write_bytes(b"x")
    leave_out(tree / "reports", "report.json", "report.html", kept="baselines")
    for name in ("reports/report.json", "reports/report.html", "probes/__pycache__/b.pyc"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_bytes(b"x")
    assert changed(tree) == ()
    done = subprocess.run(["git", "status", "--porcelain"], cwd=tree, capture_output=True, check=True)  # noqa: S607
    assert done.stdout == b"?? probes/__pycache__/\n"
    (tree / "reports" / "baselines").mkdir()
    (tree / "reports" / "baselines" / "c.json").write_text("{}", encoding="utf-8")
    assert changed(tree) == ("reports/baselines/c.json",)


def test_reports_that_are_committed_are_no_change(tree: Path) -> None:
    """A run writes them again; a file beside them is a change."""
    (tree / "docs").mkdir()
    for name in ("report.json", "index.md"):
        (tree / "docs" / name).write_text("1", encoding="utf-8")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "Keep a report")
    (tree / "docs" / "report.json").write_text("2", encoding="utf-8")
    (tree / "docs" / "report.html").write_text("2", encoding="utf-8")
    assert changed(tree, tree / "docs") == ()
    (tree / "docs" / "index.md").write_text("2", encoding="utf-8")
    assert changed(tree, tree / "docs") == ("docs/index.md",)
    assert changed(tree) == ("docs/index.md", "docs/report.json", "docs/report.html")


def test_names_of_any_kind_are_given_whole(tree: Path) -> None:
    """Chinese, quotes and blanks are not escaped, and of a renamed file the name is the one it has now."""
    git(tree, "mv", "a.py", 'ne "w" 新.py')
    (tree / "第 二.toml").write_text("", encoding="utf-8")
    (tree / "probes" / "b.py").unlink()
    assert set(changed(tree) or ()) == {'ne "w" 新.py', "第 二.toml", "probes/b.py"}


def test_a_project_below_the_top_and_a_worktree_are_looked_at(tree: Path, tmp_path: Path) -> None:
    """Names begin at the top of the repository, reports elsewhere change nothing, and a worktree has its own state."""
    (tree / "a.py").write_text("", encoding="utf-8")
    assert changed(tree / "probes", tmp_path / "elsewhere") == ("a.py",)
    git(tree, "worktree", "add", "-q", str(tmp_path / "other"))
    assert changed(tmp_path / "other") == ()


def test_without_a_commit_nothing_is_known(tmp_path: Path) -> None:
    """A folder outside a repository has neither a commit nor changes; nor has one without its first commit."""
    assert commit_of(tmp_path, store=tmp_path / "s", report=tmp_path / "r") == (None, None)
    git(tmp_path, "init", "-q")
    assert commit_of(tmp_path, store=tmp_path / "s", report=tmp_path / "r") == (None, None)


@pytest.mark.parametrize("there", [".gitignore", "index.md"])
def test_a_folder_of_somebody_is_left_alone(tmp_path: Path, there: str) -> None:
    """No file is written over, and none is added where other files lie."""
    (tmp_path / there).write_text("mine\n", encoding="utf-8")
    leave_out(tmp_path, "report.json", "report.html", kept="baselines")
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [(there, "mine\n")]


@pytest.mark.parametrize(
    ("files", "words"),
    [("", ""), ("a", "a"), ("abc", "a, b, c"), ("abcd", "a, b, c and 1 more"), ("abcdefg", "a, b, c and 4 more")],
)
def test_the_first_few_are_named(files: str, words: str) -> None:
    """Three are named, and the others are counted."""
    assert named(list(files)) == words


def test_of_the_settings_only_what_a_run_reads_is_hashed(tmp_path: Path) -> None:
    """What the gate demands is read by no run, nor what other tools are given; a missing file has no hash."""
    assert digest_of(tmp_path, SETTINGS) is None
    (tmp_path / SETTINGS).write_text('[project]\nname = "a"\n', encoding="utf-8")
    bare = digest_of(tmp_path, SETTINGS)
    (tmp_path / SETTINGS).write_text('[project]\nname = "b"\n[tool.saeprobe.gate]\nalpha = 0.01\n', encoding="utf-8")
    assert digest_of(tmp_path, SETTINGS) == bare
    (tmp_path / SETTINGS).write_text('[tool.pytest.ini_options]\nsaeprobe_alpha = "0.01"\n', encoding="utf-8")
    assert digest_of(tmp_path, SETTINGS) != bare


def test_line_ends_make_no_other_file(tmp_path: Path) -> None:
    """A clone for Windows holds the same text."""
    (tmp_path / "a.py").write_bytes(b"x = 1\ny = 2\n")
    plain = digest_of(tmp_path, "a.py")
    (tmp_path / "a.py").write_bytes(b"x = 1\r\ny = 2\r\n")
    assert digest_of(tmp_path, "a.py") == plain


@pytest.mark.parametrize(
    ("hidden", "name"),
    [
        (("update-index", "--skip-worktree", "a.py"), "a.py"),
        (("update-index", "--assume-unchanged", "probes/b.py"), "probes/b.py"),
        (("add", "a.py"), "a.py"),
        (("rm", "-q", "--cached", "a.py"), "a.py"),
    ],
)
def test_what_git_is_bidden_to_overlook_is_not_in_the_commit(tree: Path, hidden: tuple[str, ...], name: str) -> None:
    """The file itself is held against HEAD; index and status are not asked."""
    assert uncommitted(tree, ["a.py", "probes/b.py"]) == []
    (tree / name).write_text("x = 2\n", encoding="utf-8")
    git(tree, *hidden)
    assert uncommitted(tree, ["a.py", "probes/b.py"]) == [name]
    below = os.path.relpath(tree / name, tree / "probes")
    assert uncommitted(tree / "probes", [below, "../../elsewhere.py"]) == [below]


def test_ignored_files_and_those_of_another_repository_are_not_in_the_commit(tree: Path) -> None:
    """Nor is one whose name git cannot be asked for."""
    (tree / ".git" / "info" / "exclude").write_text("own.py\n", encoding="utf-8")
    (tree / "inner").mkdir()
    names = ["own.py", "inner/c.py", *(["new\nline.py"] if os.name == "posix" else [])]
    for name in names:
        (tree / name).write_text("x = 1\n", encoding="utf-8")
    git(tree / "inner", "init", "-q")
    git(tree / "inner", "add", ".")
    git(tree / "inner", "commit", "-qm", "Another")
    assert uncommitted(tree, ["a.py", *names]) == names


def test_line_ends_are_compared_as_git_would_add_them(tree: Path) -> None:
    """A clone that turns them is one of the same commit."""
    git(tree, "config", "core.autocrlf", "true")
    (tree / "a.py").write_bytes((tree / "a.py").read_bytes().replace(b"\n", b"\r\n"))
    assert uncommitted(tree, ["a.py"]) == []


def test_a_submodule_is_at_the_commit_that_the_project_has_of_it(tree: Path, tmp_path: Path) -> None:
    """Neither a change in it nor a later commit of it is in the project's."""
    git(tmp_path, "init", "-q", "lib")
    lib = tmp_path / "lib"
    (lib / "c.py").write_text("x = 1\n", encoding="utf-8")
    git(lib, "add", ".")
    git(lib, "commit", "-qm", "Begin")
    git(tree, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(lib), "lib")
    git(tree, "commit", "-qm", "Add lib")
    assert uncommitted(tree, ["lib/c.py"]) == []
    (tree / "lib" / "c.py").write_text("x = 2\n", encoding="utf-8")
    assert uncommitted(tree, ["lib/c.py"]) == ["lib/c.py"]
    git(tree / "lib", "commit", "-qam", "Change")
    assert uncommitted(tree, ["lib/c.py"]) == ["lib/c.py"]


def test_of_the_settings_only_what_a_run_reads_is_to_be_committed(tree: Path) -> None:
    """A change that no run reads is no matter, nor is a file without such settings in no commit."""
    settings = '[tool.pytest.ini_options]\nsaeprobe_alpha = "0.01"\n'
    (tree / SETTINGS).write_text(settings, encoding="utf-8")
    assert uncommitted(tree, [SETTINGS]) == [SETTINGS]
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "Set")
    (tree / SETTINGS).write_text(f"{settings}[tool.ruff]\n", encoding="utf-8")
    assert uncommitted(tree, [SETTINGS]) == []

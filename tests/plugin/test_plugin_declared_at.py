"""A declared non-reproduction stands in the report with the commit that last changed its lines."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from runs import HEAD, SUPPORTED, Run, apart

NAME = "llama70b-as-published"
DECLARED = """
@claim("The twin has the {word} rank.", id="rank.{word}", source="table 1",
    not_reproduced={{"llama70b-as-published": inconclusive(
        "eight topics "
        "are too few")}})
def test_{word}(ranks):
    assert effective_rank(ranks["twin"]) > effective_rank(ranks["expert"])
"""
FIRST, SECOND = DECLARED.format(word="first"), DECLARED.format(word="second")
ELSEWHERE = DECLARED.replace("inconclusive(\n", 'inconclusive("eight topics are " +\n').format(word="other")


def git(folder: Path, *words: str) -> str:
    """Run git in a folder, as somebody whom no setting of this machine names."""
    who = ("-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    ran = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True)  # noqa: S603, S607 - fixed words
    return ran.stdout.strip()


def commit(folder: Path, text: str) -> str:
    """Commit the probe file with this text, and return the commit."""
    (folder / "test_it.py").write_text(HEAD + text, encoding="utf-8")
    git(folder, "add", "test_it.py")
    git(folder, "commit", "-qm", "Change it")
    return git(folder, "rev-parse", "HEAD")


def since(folder: Path, evidence: Path) -> dict[str, str | None]:
    """Run the probes, and give by claim since when its declaration stands."""
    ran: Run = apart(folder, f"--saeprobe-evidence={evidence}")
    return {claim["id"].partition(".")[2]: claim["probes"][0]["declared_at"] for claim in ran.report["claims"]}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository without a commit."""
    git(tmp_path, "init", "-q")
    settings = f'[tool.pytest.ini_options]\nsaeprobe_default_subjects = ["{NAME}"]\n'
    (tmp_path / "pyproject.toml").write_text(settings, encoding="utf-8")
    return tmp_path


def test_it_is_the_last_commit_that_changed_those_lines(tree: Path, evidence: Path) -> None:
    """Of two with the same reason each has its own; nothing is said where none is declared, or not in plain text."""
    begun = commit(tree, FIRST + SUPPORTED)
    later = commit(tree, "# moved\n" + FIRST + SUPPORTED.replace("assert", "assert 1 and") + SECOND + ELSEWHERE)
    assert since(tree, evidence) == {"first": begun, "up": None, "second": later, "other": None}


def test_a_line_that_is_not_committed_has_no_commit(tree: Path, evidence: Path) -> None:
    """One of several lines is enough."""
    commit(tree, FIRST)
    (tree / "test_it.py").write_text(HEAD + FIRST.replace("are too few", "were too few"), encoding="utf-8")
    assert since(tree, evidence) == {"first": None}


@pytest.mark.parametrize("why", ["untracked", "no-git", "shallow"])
def test_where_git_knows_nothing_nothing_is_said(tree: Path, evidence: Path, why: str) -> None:
    """A file that it does not keep, no repository, and a clone that has the last commit alone."""
    (tree / "test_it.py").write_text(HEAD + FIRST, encoding="utf-8")
    if why == "no-git":
        (tree / ".git").rename(tree / "git")
    elif why == "shallow":
        commit(tree, FIRST)
        git(tree, "commit", "-qm", "Again", "--allow-empty")
        git(tree, "clone", "-q", "--depth", "1", tree.as_uri(), "clone")
        tree /= "clone"
        (tree / "pyproject.toml").write_bytes((tree.parent / "pyproject.toml").read_bytes())
    assert since(tree, evidence) == {"first": None}

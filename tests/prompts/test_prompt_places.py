"""A relative path of a prompt file begins where the file stands that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from saeprobe.prompts import PromptError, PromptSet

READ = "from saeprobe.prompts import PromptSet\nfound = PromptSet.from_file({name!r})\n"


def rows(path: Path, text: str) -> None:
    """Write a prompt file with one prompt."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"text,style\n{text},novice\n", encoding="utf-8")


def read(name: str, file: Path | None) -> str:
    """Return the prompt that a module at `file` reads from the file of that name; None is a notebook's cell."""
    known: dict[str, object] = {} if file is None else {"__file__": str(file), "__name__": file.stem}
    exec(compile(READ.format(name=name), "<test>", "exec"), known)  # noqa: S102 - its globals are the point
    found = known["found"]
    assert isinstance(found, PromptSet)
    return found.prompts[0].text


@pytest.mark.parametrize("start", ["", "probes", "elsewhere"])
@pytest.mark.parametrize(("name", "text"), [("mine.csv", "probes"), ("../prompts/mine.csv", "prompts")])
def test_the_folder_of_the_naming_file_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str, name: str, text: str
):
    """Wherever pytest starts the same file is read, also where the working directory has another of that name."""
    root = tmp_path / "论文 项目"
    for folder in ("probes", "prompts", "elsewhere"):
        rows(root / folder / "mine.csv", folder)
    rows(root / "mine.csv", "root")
    monkeypatch.chdir(root / start)
    assert read(name, root / "probes" / "test_a.py") == text


@pytest.mark.parametrize("file", [None, "probes/test_a.py"])
def test_the_working_directory_comes_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str | None):
    """A path from there is found where the naming file has none beside it, and in a notebook, which is no file."""
    rows(tmp_path / "prompts" / "mine.csv", "here")
    monkeypatch.chdir(tmp_path)
    assert read("prompts/mine.csv", None if file is None else tmp_path / file) == "here"


def test_a_command_looks_in_the_working_directory_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The package's own modules name no file, so that none beside them is taken."""
    rows(tmp_path / "cli" / "mine.csv", "package")
    rows(tmp_path / "mine.csv", "here")
    monkeypatch.chdir(tmp_path)
    known: dict[str, object] = {"__file__": str(tmp_path / "cli" / "steps.py"), "__name__": "saeprobe.cli.steps"}
    exec(READ.format(name="mine.csv"), known)  # noqa: S102 - its globals are the point
    found = known["found"]
    assert isinstance(found, PromptSet)
    assert found.prompts[0].text == "here"


def test_an_absent_file_is_named_at_every_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The error has the path as it was given, and both places where it was looked for."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(PromptError) as caught:
        read("mine.csv", tmp_path / "probes" / "test_a.py")
    places = f"there is no {tmp_path / 'probes' / 'mine.csv'} and no {tmp_path / 'here' / 'mine.csv'}"
    assert f"mine.csv: it cannot be read: {places}; give its path from" in str(caught.value)


def test_a_path_is_shown_without_its_detours(tmp_path: Path):
    """What is wrong in a file and what is absent are named by the folder they are in, with the nearest name there."""
    rows(tmp_path / "prompts" / "first.csv", "x")
    (tmp_path / "prompts" / "bad.csv").write_text("text\nx\n", encoding="utf-8")
    (tmp_path / "probes").mkdir()
    with pytest.raises(PromptError) as caught:
        read("../prompts/bad.csv", tmp_path / "probes" / "test_a.py")
    assert str(caught.value).startswith(f"{tmp_path / 'prompts' / 'bad.csv'}, line 2: it has no 'style'")
    with pytest.raises(PromptError) as caught:
        read("../prompts/frist.csv", tmp_path / "probes" / "test_a.py")
    assert f"there is no {tmp_path / 'prompts' / 'frist.csv'} and" in str(caught.value)
    assert "did you mean 'first.csv'?" in str(caught.value)


def test_a_detour_over_a_link_leads_where_the_link_does(tmp_path: Path):
    """A folder above a linked one is the folder above its target."""
    rows(tmp_path / "real" / "prompts" / "mine.csv", "target")
    rows(tmp_path / "prompts" / "mine.csv", "link")
    (tmp_path / "real" / "probes").mkdir()
    (tmp_path / "probes").symlink_to(tmp_path / "real" / "probes", target_is_directory=True)
    assert read("../prompts/mine.csv", tmp_path / "probes" / "test_a.py") == "target"


@pytest.mark.parametrize("name", ["prompts", "prompts.d"])
def test_a_folder_is_called_one(tmp_path: Path, name: str):
    """The remedy names the prompt files that are in it."""
    rows(tmp_path / name / "mine.csv", "x")
    with pytest.raises(PromptError, match=r"it is a folder; name one of its prompt files: mine\.csv"):
        read(name, tmp_path / "test_a.py")


def test_what_a_row_cannot_say_is_for_toml(tmp_path: Path):
    """The remedies for a set of rows name the format that has a place for what is lacking."""
    rows(tmp_path / "mine.csv", "x")
    found = PromptSet.from_file(tmp_path / "mine.csv")
    with pytest.raises(ValueError, match="neutral = true under one of its styles in a TOML file"):
        found.injected()
    with pytest.raises(ValueError, match="under a style in a TOML file"):
        found.check_words()

"""The project of a run is the one that the commands find in the same folder, whatever pytest takes for its root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from saeprobe.__main__ import main
from saeprobe.cli.terminal import project_root

OWN = '[tool.saeprobe.subjects.mine]\nmodel = "./absent"\nsae = { path = "./absent" }\n'
PROBE = 'pytestmark = subjects("mine")\n@claim("A.", id="a.a", source="t")\ndef test_a(styles):\n    pass\n'


@pytest.fixture
def nest(pytester: pytest.Pytester) -> Path:
    """A folder with the settings of pytest, and below it a probe of a subject that `sub` declares."""
    pytester.makeini("[pytest]")
    probes = pytester.path / "sub" / "probes"
    probes.mkdir(parents=True)
    (probes / "test_a.py").write_text("from saeprobe import capture, claim, subjects\n" + STYLES + PROBE, "utf-8")
    (pytester.path / "sub" / "pyproject.toml").write_text(OWN, encoding="utf-8")
    return pytester.path


STYLES = "from saeprobe.prompts import STYLES\nstyles = capture(STYLES, at='last')\n"


@pytest.mark.parametrize(
    ("here", "words", "where"),
    [
        ("sub", ["probes/"], "sub"),
        ("sub", [], "sub"),
        ("sub/probes", ["test_a.py::test_a"], "sub"),
        (".", ["sub/probes/test_a.py"], "sub"),
        (".", ["sub/probes", "other"], "."),
        ("sub", ["probes/", "--rootdir=.."], "."),
        ("sub", ["probes/", "-c", "../tox.ini"], "."),
    ],
)
def test_the_nearest_project_is_that_of_the_run(
    pytester: pytest.Pytester, nest: Path, monkeypatch: pytest.MonkeyPatch, here: str, words: list[str], where: str
) -> None:
    """Its subject is found and its folder gets the report; `--rootdir` and `-c` say that pytest's root is meant."""
    (nest / "other").mkdir()
    monkeypatch.chdir(nest / here)
    ran = pytester.runpytest_inprocess("-p", "no:cacheprovider", *words)
    found = f"{ran.stdout}\n{ran.stderr}"
    assert ("there is no subject 'mine'" in found) == (where == ".")
    assert (nest / where / "reports" / "report.json").exists()
    assert len(list(nest.rglob("report.json"))) == 1
    if here != "." and len(words) < 2:
        assert project_root() == nest / where


def test_a_report_above_is_named(
    pytester: pytest.Pytester, nest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a project of its own a folder's run reports to pytest's root, and gate and approve say where that is."""
    (nest / "sub" / "pyproject.toml").write_text('[project]\nname = "mine"\n', encoding="utf-8")
    probe = nest / "sub" / "probes" / "test_a.py"
    probe.write_text(probe.read_text(encoding="utf-8").replace('"mine"', '"gpt2"'), encoding="utf-8")
    monkeypatch.chdir(nest / "sub")
    pytester.runpytest_inprocess("-p", "no:cacheprovider", "-m", "gpt2", "probes/")
    capsys.readouterr()
    report = Path("..") / "reports" / "report.json"
    assert report.exists()
    assert project_root() == nest
    assert main(["gate", "a.md"]) == 2
    assert f"give --report {report}\n" in capsys.readouterr().err
    assert main(["approve", "a.a", "--by", "A", "--because", "one two three"]) == 2
    assert f"give --report {report} --baselines {report.parent / 'baselines'}\n" in capsys.readouterr().err
    Path(".git").mkdir()  # what lies above a repository is not its
    assert main(["gate", "a.md"]) == 2
    assert os.fspath(report) not in capsys.readouterr().err

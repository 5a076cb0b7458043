"""What README.md and README.zh.md tell a newcomer to type."""

import importlib
import json
import re
import shutil
from pathlib import Path
from typing import get_args

import pytest

import saeprobe
from saeprobe.__main__ import main
from saeprobe.claims import Control
from saeprobe.evidence.controls import TAKEN
from saeprobe.gate.article import read_article

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.zh.md")


def blocks(name: str, language: str) -> list[str]:
    """The code blocks of a README in one language, in order."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [body for tongue, body in found if tongue == language]


@pytest.mark.parametrize("name", READMES)
def test_two_commands_set_everything_up(name: str) -> None:
    """The first command ends with verdicts, the second with the project's tests."""
    install = 'pip install -e ".[test]" -c constraints.txt'
    assert blocks(name, "bash") == [f"{install} && pytest probes/\n", f"{install} && pytest\n"]


def test_both_languages_show_the_same_commands() -> None:
    """A reader of Chinese types what a reader of English types."""
    english, chinese = (blocks(name, "") for name in READMES)
    assert chinese == english


def test_both_languages_tell_the_same() -> None:
    """Section for section, with the same probes, settings and front matter, and tables of as many rows."""
    english, chinese = (
        re.findall(r"^(?:#+|\|) ", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE) for name in READMES
    )
    assert chinese == english
    for language in ("python", "toml", "yaml"):
        told = [[re.sub(r" *#.*", "", block) for block in blocks(name, language)] for name in READMES]
        assert told[0] == told[1]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("README.md", ("comparisons", "exclusive features", "scans", "clusters")),
        ("README.zh.md", ("比较", "独占特征", "扫描", "聚类")),
    ],
)
def test_the_table_of_controls_tells_which_sentences_take_which(name: str, kinds: tuple[str, ...]) -> None:
    """Each control is named with exactly those kinds of claim that take it."""
    text = (ROOT / name).read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \|$", text, flags=re.MULTILINE))
    for control in get_args(Control):
        assert re.split(r", |、", rows[control]) == [
            kind for kind, these in zip(kinds, TAKEN.values(), strict=True) if control in these
        ]


@pytest.mark.parametrize("name", READMES)
def test_the_front_matter_can_be_read(name: str, tmp_path: Path) -> None:
    """An article that begins as the README shows is one, and cites what the README says."""
    (shown,) = blocks(name, "yaml")
    (tmp_path / "mine.md").write_text(f"{shown}\n# Text\n", encoding="utf-8")
    article = read_article(tmp_path / "mine.md")
    assert [str(cited) for cited in article.claims] == ["specimen.style-detectors", "manual.steer-golden-gate[sparrow]"]


def declared(source: str) -> str:
    """The first claim of a probe file, without the verdicts that are known."""
    return source[source.index("@claim(") : source.index("\n)\n")].partition("\n    not_reproduced=")[0]


@pytest.mark.parametrize("name", READMES)
def test_the_first_probe_is_the_one_in_the_repository(name: str) -> None:
    """The probe that greets the reader stands in probes/ to the letter, its assert and its published numbers."""
    shown = blocks(name, "python")[0]
    real = (ROOT / "probes" / "test_prompt_styles.py").read_text(encoding="utf-8")
    assert shown[shown.index("@claim(") : shown.index("\n)\n")] == declared(real)
    assert shown.splitlines()[-2:] == [
        "def test_novice_activates_more_features_than_expert(pair):",
        '    assert l0(pair["novice"]) > l0(pair["expert"])',
    ]
    assert "\n".join(shown.splitlines()[-2:]) in real


@pytest.mark.parametrize("name", READMES)
def test_named_options_exist(name: str, pytester: pytest.Pytester) -> None:
    """Every option that a README names is one that pytest knows."""
    named = set(re.findall(r"--saeprobe-[a-z-]+", (ROOT / name).read_text(encoding="utf-8")))
    told = pytester.runpytest("--help").stdout.str()
    assert named
    assert all(option in told for option in named)


def test_named_commands_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command of the command line that the README shows has a help of its own."""
    named = set(re.findall(r"^saeprobe (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert {"extract", "encode", "diff", "inspect", "gate"} <= named
    for command in sorted(named):
        assert main([command, "--help"]) == 0
        assert command in capsys.readouterr().out


def test_the_notebook_example_runs() -> None:
    """The lines for a notebook give a frame with a line an active feature."""
    scope: dict[str, object] = {}
    lines = blocks("README.md", "python")[-1].replace("features.to_pandas()", "frame = features.to_pandas()")
    exec(lines, scope)  # noqa: S102 - the README's own lines
    frame = scope["frame"]
    assert list(frame) == ["prompt", "style", "topic", "token", "position", "feature", "activation"]  # type: ignore[call-overload]
    assert len(frame) > 2  # type: ignore[arg-type]


def test_the_four_steps_with_a_model_of_ones_own_end_with_a_verdict(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Table, prompts and probe, written where the README says, are run by a plain pytest; doctor finds no fault."""
    importlib.import_module("saeprobe.subject.running.dictionary")  # pytester forgets what a run imports
    declared, prompts = blocks("README.md", "toml")
    sparrow = Path(saeprobe.__file__).parent / "specimens" / "sparrow"
    shutil.copytree(sparrow / "model", pytester.path / "models" / "mine")
    shutil.copytree(sparrow / "sae", pytester.path / "saes" / "mine")
    texts = {
        "pyproject.toml": declared,
        "prompts/mine.toml": prompts,
        "probes/test_mine.py": blocks("README.md", "python")[1],
    }
    for name, text in texts.items():
        (pytester.path / name).parent.mkdir(exist_ok=True)
        (pytester.path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(pytester.path)
    assert main(["doctor"]) == 0
    pytester.runpytest_inprocess("-p", "no:cacheprovider")
    (claim,) = json.loads((pytester.path / "reports" / "report.json").read_text(encoding="utf-8"))["claims"]
    (probe,) = claim["probes"]
    assert (claim["id"], probe["subject"]) == ("mine.more", "mine")
    assert probe["verdict"] in ("supported", "refuted", "inconclusive")

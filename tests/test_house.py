"""The figures of the house: each check finds what it is there to find, in a small package that is made up."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / ".ci" / "house.py"

Made = Callable[[dict[str, str]], Path]


@pytest.fixture(scope="module")
def house() -> ModuleType:
    spec = importlib.util.spec_from_file_location("house", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def made(tmp_path: Path) -> Made:
    def write(texts: dict[str, str]) -> Path:
        for name, text in {"saeprobe/__init__.py": "", **texts}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_an_upward_import_inside_a_function_is_found(house: ModuleType, made: Made) -> None:
    """An import counts wherever it stands; one that points down, or stays in its room, does not."""
    root = made(
        {
            "saeprobe/claims.py": "def late():\n    from saeprobe.gate import release\n",
            "saeprobe/gate/__init__.py": "from saeprobe import claims\nfrom . import release\n",
            "saeprobe/gate/release.py": "",
        }
    )
    assert house.upward(root) == ((1,), ["saeprobe.claims imports saeprobe.gate.release (line 2): upward"])


def test_the_package_itself_is_above_all_rooms(house: ModuleType, made: Made) -> None:
    """A room that takes the version from the package imports upward; a submodule taken from it is that module."""
    root = made({"saeprobe/cli.py": "from saeprobe import __version__, claims\n", "saeprobe/claims.py": ""})
    assert house.upward(root) == ((1,), ["saeprobe.cli imports saeprobe (line 1): upward"])


def test_a_room_without_a_place_in_the_order_is_found(house: ModuleType, made: Made) -> None:
    """A new room imports nothing before it has been given its place."""
    root = made({"saeprobe/helpers.py": "import saeprobe.claims\n", "saeprobe/claims.py": ""})
    places = ["saeprobe.helpers imports saeprobe.claims (line 1): helpers not in the order of rooms"]
    assert house.upward(root) == ((1,), places)


def test_a_circle_for_types_only_is_found(house: ModuleType, made: Made) -> None:
    """Imports that never run close a circle as well as others do."""
    late = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from saeprobe.gate.b import B\n"
    root = made(
        {
            "saeprobe/gate/a.py": late,
            "saeprobe/gate/b.py": "import saeprobe.gate.c\n",
            "saeprobe/gate/c.py": "from .a import A\n",
        }
    )
    assert house.circles(root) == ((1,), ["3 modules: saeprobe.gate.a, saeprobe.gate.b, saeprobe.gate.c"])


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("class M:\n    def __gt__(self, o):\n        import saeprobe.evidence.compare\n", 0),
        ("import saeprobe.evidence.compare\n", 1),
    ],
)
def test_only_the_operators_may_import_what_compares(house: ModuleType, made: Made, text: str, count: int) -> None:
    """The import of an operator closes no circle, one at the top of its module does."""
    compare = "from saeprobe.evidence import values\n"
    root = made({"saeprobe/evidence/values.py": text, "saeprobe/evidence/compare.py": compare})
    assert house.circles(root)[0] == (count,)


def test_long_files_are_found(house: ModuleType, made: Made) -> None:
    """The longest file may be one of the studies; the long ones are counted in the package."""
    root = made({"saeprobe/a.py": "#\n" * 301, "saeprobe/b.py": "#\n" * 300, "studies/c.py": "#\n" * 401})
    assert house.long(root) == ((1,), ["saeprobe/a.py has 301 lines"])
    assert house.longest(root)[0] == (401,)
    assert house.size(root, folder="saeprobe")[0] == (3, 601)


def test_names_are_counted(house: ModuleType, made: Made) -> None:
    """Names at the top are files and folders, compiled files aside; a file name that stands twice is found."""
    root = made(
        {
            "saeprobe/py.typed": "",
            "saeprobe/a/rates.py": "",
            "saeprobe/b/rates.py": "",
            "saeprobe/a/__init__.py": "",
            "saeprobe/__pycache__/a.pyc": "",
        }
    )
    assert house.top(root) == ((4,), ["__init__.py", "a", "b", "py.typed"])
    assert house.twice(root) == ((1,), ["rates.py stands in saeprobe/a, saeprobe/b"])


def test_what_git_ignores_is_not_counted(house: ModuleType, made: Made) -> None:
    """A folder that is left over from another commit is no name of the package; a new file is one."""
    root = made({"saeprobe/new.py": "", "saeprobe/left/a.pyc": "", ".gitignore": "*.pyc\n"})
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)  # noqa: S607
    assert house.top(root) == ((2,), ["__init__.py", "new.py"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "near_told = 1\n"),
        ("a.py", "X = 1  # which nobody tells\n"),
        ("a.py", "X = 1  # a mean of nothing, for one\n"),
        ("a.py", 'X = f"{a} beside {b}"\n'),
        ("a.py", "def f() -> int:\n    '''Of all prompts.'''\n"),
        ("page.html.j2", "<p>0.4722 beside 0.9</p>"),
    ],
)
def test_a_pet_word_is_found(house: ModuleType, made: Made, name: str, text: str) -> None:
    """Each of them is found where it stands, in code as in what users see."""
    (count,), (place,) = house.pet(made({f"saeprobe/{name}": text}))
    assert count == 1
    assert place.startswith(f"saeprobe/{name}:{2 if 'def' in text else 1}: ")


def test_words_that_only_look_alike_are_no_pet_words(house: ModuleType, made: Made) -> None:
    """Other words, a class of a style sheet and the texts of the corpus are left alone."""
    root = made(
        {
            "saeprobe/a.py": "# untold, for one topic, the numbers beside it\n",
            "saeprobe/a.css": ".beside { margin: 0 }\n",
            "studies/corpus/a.toml": 'text = "A friend tells you."\n',
        }
    )
    assert house.pet(root) == ((0,), [])


@pytest.mark.parametrize(
    "sentence",
    [
        "Read the file.",
        "Decide.",
        "This file holds the plan.",
        "The plan counts every row.",
        "A claim is false.",
        "The values that it measured lie in order.",
        "A model that isn't there.",
    ],
)
def test_a_sentence_with_a_verb_is_one(house: ModuleType, sentence: str) -> None:
    """An order has a verb, and so has what stands in the third person."""
    assert house.has_verb(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The prompts of one style.",
        "Files of the article.",
        "Share of prompts, measured on all of them.",
        "Evidence made of parts, read and written by hand.",
        "The means to compare two styles.",
        "One number a prompt, by `is_active`.",
    ],
)
def test_a_sentence_without_a_verb_is_none(house: ModuleType, sentence: str) -> None:
    """Neither a participle nor an infinitive is a verb, nor a noun that looks like one."""
    assert not house.has_verb(sentence)


def test_docstrings_without_a_verb_are_found(house: ModuleType, made: Made) -> None:
    """Those of modules, classes and functions count, private ones too; later sentences do not help."""
    text = (
        '"""Rows."""\n\nclass A:\n    """A row.\n\n    It has a verb."""\n\n'
        '    def _b(self):\n        """Its width. It is so."""\n'
    )
    assert house.verbs(made({"saeprobe/a.py": text})) == (
        (3,),
        ["saeprobe/a.py:1: Rows.", "saeprobe/a.py:4: A row.", "saeprobe/a.py:9: Its width."],
    )


PACKAGE = {
    "saeprobe/__init__.py": "from saeprobe.claims import capture, claim, subjects\n",
    "saeprobe/claims.py": "import pytest\n"
    "def capture(*of, **how): return None\n"
    "def claim(*of, **how): return lambda probe: probe\n"
    "def subjects(*of): return pytest.mark.usefixtures()\n",
    "saeprobe/prompts.py": "class STYLES:\n    only = print\n",
    "saeprobe/measures.py": "def l0(of): return of\n",
    "saeprobe/never.py": "class Never: pass\nALL = [number for number in range(2)]\n",
    "saeprobe/cold.py": "def read(path): path.write_text('2')\n",
    "saeprobe/plugin.py": "from pathlib import Path\nimport pytest\nfrom saeprobe import cold, never\n"
    "@pytest.fixture\n"
    "def styles():\n"
    "    Path('store').exists() or cold.read(Path('store'))\n"
    "    return {'novice': 2, 'expert': 1}\n",
}


def test_the_files_that_a_probe_enters_are_counted(house: ModuleType, made: Made) -> None:
    """A file counts once one of its functions is called; importing it is not enough. The second run finds the store."""
    counts, places = house.entered(made(PACKAGE))
    assert counts == (4, 3)
    assert places == [
        "saeprobe/claims.py",
        "saeprobe/cold.py (cold only)",
        "saeprobe/measures.py",
        "saeprobe/plugin.py",
    ]


def test_a_probe_that_does_not_run_is_no_measurement(house: ModuleType, made: Made) -> None:
    """A probe that fails enters few files, which must not pass for a good figure."""
    with pytest.raises(RuntimeError, match="did not run to its verdict"):
        house.entered(made(PACKAGE | {"saeprobe/measures.py": "def l0(of): raise ValueError\n"}))


def test_the_table_is_held_against_the_page(
    house: ModuleType, made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run fails on a passed target and on a page that is out of date, and says which; `--write` mends the page."""
    monkeypatch.setattr(house, "FIGURES", {"longest": house.FIGURES["longest"]})
    root = made({"saeprobe/a.py": "#\n" * 400, "CONTRIBUTING.md": "above\n"})
    assert house.main([], root) == 1
    assert "lacks the marks" in capsys.readouterr().err
    made({"CONTRIBUTING.md": "above\n<!-- figures -->\n<!-- /figures -->\nbelow\n"})
    assert house.main([], root) == 1
    assert "is not the one measured" in capsys.readouterr().err
    assert house.main(["--write"], root) == 0
    assert house.main([], root) == 0
    assert (root / "CONTRIBUTING.md").read_text(encoding="utf-8") == (
        "above\n<!-- figures -->\n| figure | measured | at most |\n|---|---|---|\n"
        "| longest file, in lines | 400 | 400 |\n<!-- /figures -->\nbelow\n"
    )
    made({"saeprobe/a.py": "#\n" * 401})
    capsys.readouterr()
    assert house.main(["--write"], root) == 1
    assert capsys.readouterr().err.startswith(
        "\npassed its target: longest file, in lines\n  saeprobe/a.py has 401 lines"
    )
    assert house.main(["--list", "longest"], root) == 0
    assert capsys.readouterr().out == "saeprobe/a.py has 401 lines\nsaeprobe/__init__.py has 0 lines\n"


def test_the_script_runs_by_itself() -> None:
    """The script starts from any folder and names its figures."""
    run = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=True)  # noqa: S603
    assert "package, studies, longest" in " ".join(run.stdout.split())

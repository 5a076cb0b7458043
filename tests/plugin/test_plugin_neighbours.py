"""A run without probes is the same with the plugin and without it, and pays next to nothing for it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from runs import SUPPORTED, Go

INI = """
[tool.pytest.ini_options]
addopts = ["--strict-markers", "--strict-config"]
filterwarnings = ["error"]
xfail_strict = true
markers = ["gpt2: a test of ours", "sparrow: birds", "slow: takes long"]
"""

SUITE = {
    "conftest.py": """
import pytest

@pytest.fixture(params=["anatomy", "law"], scope="module")
def subject(request):
    return request.param

@pytest.fixture
def sparrow():
    return "a bird"

@pytest.fixture
def claims():
    return [{"id": 1}]

@pytest.fixture
def styles(subject):
    return {subject: "bold"}
""",
    "test_subjects.py": """
import unittest
import pytest

def test_a_fixture(subject):
    assert subject in ("anatomy", "law")

def test_it_fails_for_one(subject):
    assert subject == "law"

@pytest.mark.gpt2
@pytest.mark.parametrize("capture", [1, 2])
def test_markers(claims, styles, capture):
    assert claims and styles

@pytest.mark.sparrow
def test_bird(sparrow):
    assert sparrow == "a bird"

@pytest.mark.xfail(reason="known")
def test_known():
    assert False

@pytest.mark.skip(reason="later")
def test_later():
    pass

class TestPatients:
    @pytest.mark.parametrize("subject", ["Ann", "Bob"])
    def test_name(self, subject):
        assert subject.isalpha()

class Old(unittest.TestCase):
    def test_sum(self):
        with self.subTest("a"):
            self.assertEqual(1 + 1, 2)
""",
    "test_parameters.py": """
import pytest

class Anything:
    def __getattr__(self, name):
        raise RuntimeError("working outside of a context")

request = Anything()

def claim(function):
    function.claim = "a claim at law"
    return function

@claim
@pytest.mark.parametrize("subject", ["gpt2", "sparrow"], ids=str)
def test_systems(subject, record_property):
    record_property("subject", subject)

@pytest.mark.parametrize(("claim", "verdict"), [("a", "refuted"), ("b", "broken")])
def test_words(claim, verdict):
    pytest.skip("unverifiable: " + claim) if claim == "b" else None

def pytest_generate_tests(metafunc):
    if "model" in metafunc.fixturenames:
        metafunc.parametrize("model", ["gpt2", "llama70b"])

def test_models(model):
    assert model != "llama70b"

def test_broken_fixture(no_such_fixture):
    pass
""",
    "pyproject.toml": INI,
    "reports/baselines/ours.json": "[1, 2",
    "reports/report.json": '{"rows": []}',
}
"""Tests of somebody who never heard of saeprobe, with all the names that it uses too."""


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files, by their paths from `folder`."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run pytest in a process of its own; return its exit code, and its output without what differs between runs."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    ran = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)  # noqa: S603 - this interpreter
    out = re.sub(r"in \d+\.\d+s( \(\S+\))?", "in TIME", ran.stdout + ran.stderr)
    out = re.sub(r"^plugins: .*\n", "", out, flags=re.MULTILINE)
    return ran.returncode, re.sub(r"^\[gw\d\] \[.*?%\] ", "", out, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-v", "-rA"],
        ["-m", "gpt2 or sparrow"],
        ["-k", "sparrow or subject", "-x"],
        ["--collect-only", "-q"],
        ["-m", "finch"],
    ],
    ids=" ".join,
)
def test_a_foreign_suite_is_the_same_with_it(tmp_path: Path, arguments: list[str]) -> None:
    """The exit code and every line of output are the same; a damaged file in reports/baselines is not looked at."""
    write(tmp_path, SUITE)
    before = sorted(tmp_path.rglob("*"))
    os.environ.pop("PYTEST_ADDOPTS", None)
    with_it = run(tmp_path, *arguments)
    assert with_it == run(tmp_path, "-p", "no:saeprobe", *arguments)
    assert [path for path in sorted(tmp_path.rglob("*")) if "__pycache__" not in str(path)] == before


def test_a_foreign_suite_is_the_same_in_workers(tmp_path: Path) -> None:
    """Under xdist the results are the same, in whatever order they come."""
    write(tmp_path, SUITE)
    here = run(tmp_path, "-n", "2", "-v")
    there = run(tmp_path, "-n", "2", "-v", "-p", "no:saeprobe")
    assert here[0] == there[0] == 1
    verdicts = [
        sorted(re.findall(r"^(?:PASSED|FAILED|ERROR|XFAIL|SKIPPED) \S+", out, re.MULTILINE)) for _, out in (here, there)
    ]
    assert verdicts[0] == verdicts[1]
    assert len(verdicts[0]) > 15


def test_the_junit_file_of_a_foreign_suite_is_the_same(tmp_path: Path) -> None:
    """Properties and cases are those of the suite alone."""
    write(tmp_path, SUITE)
    files = []
    for name, more in (("a.xml", []), ("b.xml", ["-p", "no:saeprobe"])):
        run(tmp_path, f"--junitxml={name}", "-ojunit_family=xunit1", *more)
        files.append(
            re.sub(r'(time|timestamp)="[^"]*"| at 0x[0-9a-f]+', "", (tmp_path / name).read_text(encoding="utf-8"))
        )
    assert files[0] == files[1]
    assert 'property name="subject" value="gpt2"' in files[0]


ODD = {
    "conftest.py": """
import pytest, saeprobe.claims
from unittest import mock

def pytest_collect_file(parent, file_path):
    return Table.from_parent(parent, path=file_path) if file_path.suffix == ".table" else None

def pytest_pycollect_makeitem(collector, name, obj):
    return [Own.from_parent(collector, name=name, callobj=obj)] if name.startswith("auto_") else None

class Table(pytest.File):
    def collect(self):
        yield Row.from_parent(self, name="row")

class Row(pytest.Item):
    function = mock.MagicMock()

    def runtest(self):
        pass

class Own(pytest.Function):
    pass

@pytest.fixture
def saeprobe():
    return 1
""",
    "test_odd.py": """
import unittest
from unittest import mock
from saeprobe.captures import Capture

class Proxy:
    @property
    def __class__(self):
        raise RuntimeError("working outside of a context")

proxy, claim, test_mock, like = Proxy(), mock.MagicMock(), mock.Mock(), mock.MagicMock(spec=Capture)

def auto_made():
    pass

def decorated(function):
    def test(*given):
        return function(*given), proxy
    test.claim = "a claim at law"
    return lambda: test() and None

def tangled():
    def one():
        two()
    def two():
        one()
        unbound()
    def test():
        one if True else two()
    return test
    unbound = 1

test_tangled = tangled()

@decorated
def test_wrapped():
    pass

def test_named(saeprobe):
    assert saeprobe == 1

class Old(unittest.TestCase):
    claim = "a claim at law"

    def test_it(self):
        pass
""",
    "a.table": "",
}
"""Items of other collectors, objects that answer to everything or to nothing, and an import of saeprobe."""


@pytest.mark.parametrize(
    "arguments",
    [["-v"], ["--fixtures"], ["--import-mode=importlib", "-rA"], ["--setup-plan"], ["--doctest-modules"]],
    ids=" ".join,
)
def test_an_odd_suite_is_the_same_with_it(tmp_path: Path, arguments: list[str]) -> None:
    """What is no function, and what pytest did not make, is not asked for a claim."""
    write(tmp_path, ODD)
    code, out = run(tmp_path, *arguments)
    without = run(tmp_path, "-p", "no:saeprobe", *arguments)
    assert (code, re.sub("id='[0-9]+'", "", out)) == (without[0], re.sub("id='[0-9]+'", "", without[1]))
    assert code == (2 if "--doctest-modules" in arguments else 0)


WATCH = """
import json, sys

def pytest_unconfigure():
    names = sorted({name.partition(".")[0] for name in sys.modules})
    own = sorted(name for name in sys.modules if name.partition(".")[0] == "saeprobe")
    open("imported.json", "w").write(json.dumps([names, own]))
"""


def test_a_run_without_probes_imports_and_reads_nothing(tmp_path: Path) -> None:
    """Of saeprobe only the file of the options is imported, and no library that pytest alone does without."""
    write(tmp_path, {"conftest.py": WATCH, "test_plain.py": "def test_plain():\n    pass\n"})
    imported = []
    for more in ([], ["-p", "no:saeprobe"]):
        assert run(tmp_path, *more)[0] == 0
        imported.append(json.loads((tmp_path / "imported.json").read_text(encoding="utf-8")))
    (with_it, own), (without, _) = imported
    assert own == ["saeprobe", "saeprobe.plugin", "saeprobe.plugin.names"]
    assert set(with_it) - set(without) == {"saeprobe"}
    assert not list(tmp_path.glob(".saeprobe"))


def test_import_saeprobe_imports_no_library() -> None:
    """Names are imported when they are first asked for; until then the standard library does."""
    code = "import sys; before = {*sys.modules}; import saeprobe; print({*sys.modules} - before)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, encoding="utf-8")  # noqa: S603
    imported = {name.partition(".")[0] for name in re.findall(r"'([\w.]+)'", ran.stdout)}
    assert imported - sys.stdlib_module_names == {"saeprobe"}


def test_the_guard_on_imports_can_fail(tmp_path: Path) -> None:
    """One probe imports numpy and the rest of the plugin."""
    write(tmp_path, {"conftest.py": WATCH, "test_probe.py": PROBE})
    run(tmp_path, "--collect-only")
    names, own = json.loads((tmp_path / "imported.json").read_text(encoding="utf-8"))
    assert "numpy" in names
    assert "saeprobe.plugin.laboratory" in own


PROBE = """
from saeprobe import capture, claim, subjects
from saeprobe.measures import l0
from saeprobe.prompts import STYLES

pair = capture(STYLES.only("novice", "expert"), at="last")

def test_plain():
    pass

@subjects("sparrow", "gpt2")
@claim("A sentence.", id="a.b", source="here")
def test_it(pair):
    assert l0(pair["novice"]) > l0(pair["expert"])

@claim("Another sentence.", id="a.c", source="here")
def test_other():
    assert False

class TestThem:
    @claim("A third sentence.", id="a.d", source="here")
    def test_third(self, pair):
        assert False
"""


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"reports/baselines/ours.json": "[1, 2"}, "ours.json"),
        ({"pyproject.toml": "[tool.saeprobe]\nsubjects = 3\n"}, "[subjects] in"),
        ({"pyproject.toml": '[tool.pytest.ini_options]\nsaeprobe_alpha = "0.7"\n'}, "saeprobe_alpha = 0.7: wanted"),
        ({"pyproject.toml": '[tool.pytest.ini_options]\nsaeprobe_neutral = ["sparrow = no.toml"]\n'}, "no.toml"),
        (
            {"pyproject.toml": '[tool.pytest.ini_options]\nsaeprobe_default_subjects = ["sparow"]\n'},
            "did you mean 'sparrow'",
        ),
    ],
    ids=["baseline", "subjects", "alpha", "neutral", "defaults"],
)
def test_what_is_wrong_stops_probes_alone(tmp_path: Path, files: dict[str, str], said: str) -> None:
    """Each probe fails for the reason, under every -m that selects it; a test beside it passes."""
    write(tmp_path, {**files, "test_probe.py": PROBE, "test_plain.py": "def test_plain():\n    pass\n"})
    code, out = run(tmp_path)
    assert code == 1
    assert "3 failed, 2 passed" in out
    assert said in out
    assert "1 failed, 4 deselected" in run(tmp_path, "-m", "gpt2")[1]
    assert "3 failed, 2 passed" in run(tmp_path, "-n", "2")[1]


def test_a_probe_and_a_neighbour_run_together(go: Go) -> None:
    """A fixture of the name `subject` stays its owner's in a run that has probes."""
    foreign = "import pytest\n@pytest.fixture(params=['Ann', 'Bob'])\ndef subject(request):\n    return request.param\n"
    run = go(probes=SUPPORTED, other=foreign + "def test_name(subject):\n    assert subject in ('Ann', 'Bob')\n")
    assert run.code == 0
    assert run.lines("3 passed")
    assert run.verdicts == {"rank.up": "supported"}

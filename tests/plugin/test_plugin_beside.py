"""Probes are judged as ever beside tests and plugins that attach what they like to items and reports."""

from __future__ import annotations

import pytest
from runs import HEAD, SUPPORTED, Go

ITEMS = """
import pytest

class Proxy:
    def __getattr__(self, name):
        raise RuntimeError(name)

class Raw(pytest.Item):
    def runtest(self):
        pass

class File(pytest.File):
    def collect(self):
        item = Raw.from_parent(self, name="raw")
        item.{name} = {value}
        yield item

def pytest_collect_file(parent, file_path):
    if file_path.suffix == ".raw":
        return File.from_parent(parent, path=file_path)
"""
REPORTS = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    report.saeprobe = report.saeprobe_plan = {"own": 1}
    if "test_other" in item.nodeid:
        report._saeprobe_record = [1]
    return report
"""
ORDINARY = """
def decorated(test):
    def inner():
        assert callable(test_up)
    return inner

@decorated
def test_ordinary():
    pass

class Unbound:
    @property
    def __class__(self):
        raise RuntimeError

test_ordinary.claim = Unbound()
"""


@pytest.mark.parametrize(
    ("name", "value"), [("function", "Proxy()"), ("function", "'x'"), ("_fixtureinfo", "{}"), ("saeprobe", "Proxy()")]
)
def test_items_of_other_plugins_may_have_any_attributes(
    go: Go, pytester: pytest.Pytester, name: str, value: str
) -> None:
    """Only of a test that pytest made itself does saeprobe ask what it holds."""
    pytester.makeconftest(ITEMS.replace("{name}", name).replace("{value}", value))
    (pytester.path / "a.raw").touch()
    run = go(probes=SUPPORTED)
    assert (run.code, run.verdicts) == (0, {"rank.up": "supported"})


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_reports_may_carry_what_others_hang_on_them(go: Go, pytester: pytest.Pytester, workers: str) -> None:
    """The keys of a record are no likely names, and what is no record is left alone."""
    pytester.makeconftest(REPORTS)
    run = go(workers, probes=SUPPORTED + "\ndef test_other():\n    pass\n")
    assert (run.code, run.verdicts) == (0, {"rank.up": "supported"})


def test_an_ordinary_test_may_refer_to_a_probe(go: Go) -> None:
    """Only a decorator that takes the place of a probe hides its claim."""
    run = go(probes=SUPPORTED + ORDINARY)
    assert (run.code, run.verdicts) == (0, {"rank.up": "supported"})


@pytest.mark.parametrize("name", ["a", "z"])
def test_a_marker_of_others_is_registered_or_not_in_every_file(go: Go, name: str) -> None:
    """The marker of a subject is no marker of theirs, whether their file comes before that of a probe or after it."""
    other = "import pytest\n\n@pytest.mark.gpt2\ndef test_other():\n    pass\n"
    run = go(
        "--strict-markers", "-m", "llama70b_as_published or gpt2", head="", **{"probes": HEAD + SUPPORTED, name: other}
    )
    assert "'gpt2' not found in `markers` configuration option" in run.out


def test_k_with_a_name_in_a_longer_word_selects_no_subject(go: Go) -> None:
    """The default subjects run, as without it."""
    on = 'pytestmark = subjects("llama70b-as-published", "gpt2")\n'
    run = go("-k", "test_gpt2_up", probes=on + SUPPORTED.replace("test_up", "test_gpt2_up"))
    assert run.report["planned"] == ["rank.up[llama70b-as-published]"]

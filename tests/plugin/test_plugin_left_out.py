"""Whatever a run leaves out is in its report with the reason, and the gate releases nothing that it was left out of."""

from __future__ import annotations

from pathlib import Path

import pytest
from records import INI, write_ranks
from runs import HEAD, REFUTED, SUPPORTED, Go, Run, apart

from saeprobe.gate import decide_release
from saeprobe.gate.article import Article, Citation
from saeprobe.report import read_report
from saeprobe.report.shape import LeftOut

ON = "llama70b-as-published"
SHARED = 'it = claim("It rises.", id="rank.up", source="table 1")\n'
HOLDS = "@it\ndef test_holds(ranks):\n    assert effective_rank(ranks['novice']) > effective_rank(ranks['expert'])\n"
FAILS = "@it\ndef test_fails(ranks):\n    assert effective_rank(ranks['expert']) > effective_rank(ranks['novice'])\n"
TWO = SHARED + HOLDS + FAILS
"""One claim, which one probe supports and another refutes."""


def left_out(run: Run) -> list[LeftOut]:
    """What the report of a part says that the run left out."""
    return list(read_report(run.folder / "reports" / "part.json").left_out)


def gate(run: Run, name: str = "part") -> tuple[str, str]:
    """The gate's decision on the claim, and the gap that it names."""
    article = Article(path=Path("a.md"), title="A", language="en", claims=(Citation(id="rank.up"),))
    (ruling,) = decide_release(article, read_report(run.folder / "reports" / f"{name}.json")).rulings
    return ruling.decision, "".join(gap for gap, _ in ruling.gaps)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("-k", "holds"), "-k holds"),
        (("-k", "not fails"), "-k 'not fails'"),
        (("-m", "not slow"), "-m 'not slow'"),
        (("--deselect", "test_probes.py::test_fails"), "--deselect"),
        (("test_probes.py::test_holds",), "another test was asked for by its name"),
        ((f"test_probes.py::test_holds[{ON}]",), "another test was asked for by its name"),
    ],
)
def test_a_refuted_probe_that_an_option_leaves_out_releases_nothing(
    go: Go, arguments: tuple[str, ...], why: str
) -> None:
    """The other probe of the claim is supported, and alone would let the article out."""
    go("-osaeprobe_alpha=0.05", probes=TWO)
    marked = TWO.replace("@it\ndef test_fails", "@pytest.mark.slow\n@it\ndef test_fails")
    run = go(*arguments, "-o", "markers=slow: takes long", probes=f"import pytest\n{marked}")
    assert [(one.claim, one.subject) for one in left_out(run)] == [("rank.up", ON)]
    assert left_out(run)[0].why.startswith(why)
    decision, gap = gate(run)
    assert (decision, "left out of that run: test_probes.py::test_fails" in gap) == ("cannot tell", True)


@pytest.mark.parametrize("arguments", [("--lf",), ("--sw",), ("--sw", "--sw-skip"), ("--nf", "-x"), ("--maxfail=1",)])
def test_what_pytest_leaves_out_by_the_last_run_releases_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Tests that failed before, and where a run stops, decide which probes there are."""
    (tmp_path / "pyproject.toml").write_text(INI, encoding="utf-8")
    write_ranks(tmp_path)
    (tmp_path / "test_probes.py").write_text(HEAD + SHARED + FAILS + HOLDS, encoding="utf-8")
    fixed = ("-p", "cacheprovider", f"--saeprobe-evidence={tmp_path}")
    for probes in (SHARED + FAILS + HOLDS, SHARED + FAILS + HOLDS.replace("novice", "nobody") + FAILS):
        (tmp_path / "test_probes.py").write_text(HEAD + probes, encoding="utf-8")
        run = apart(tmp_path, *fixed)
    run = apart(tmp_path, *fixed, *arguments)
    names = [name for name in ("part", "report") if (run.folder / "reports" / f"{name}.json").exists()]
    assert "release" not in [gate(run, name)[0] for name in names]


@pytest.mark.parametrize(
    ("files", "arguments", "why"),
    [
        ({"probes": SHARED + HOLDS, "others": SHARED + FAILS}, ("test_probes.py",), "its file was not collected"),
        ({"probes": SHARED + HOLDS, "others": SHARED + FAILS}, ("--ignore=test_others.py",), "its file was not"),
        ({"probes": SHARED + HOLDS, "others": SHARED + FAILS}, ("-o", "python_files=test_p*.py"), "its file was not"),
        ({"probes": TWO.replace("test_fails", "fails")}, (), "pytest made no test of it"),
        ({"probes": SHARED + FAILS.replace("_fails", "_it") + HOLDS.replace("_holds", "_it")}, (), "pytest made no"),
        (
            {"probes": SHARED + HOLDS + "class Hidden:\n" + FAILS.replace("\n", "\n    ").replace("@it", "    @it", 1)},
            (),
            "pytest made no test of it",
        ),
        (
            {"probes": SHARED + HOLDS, "zothers": SHARED + FAILS + "raise OSError\n"},
            ("--continue-on-collection-errors",),
            "its file could not be imported",
        ),
        ({"probes": SHARED + HOLDS, "zothers": SHARED + "def"}, ("--continue-on-collection-errors",), "its file could"),
    ],
    ids=["file", "ignored", "pattern", "name", "shadowed", "class", "import", "syntax"],
)
def test_a_function_that_pytest_made_nothing_of_releases_nothing(
    go: Go, files: dict[str, str], arguments: tuple[str, ...], why: str
) -> None:
    """It is found in the source, which nothing runs, and said on the terminal."""
    run = go(*arguments, **files)
    (one,) = left_out(run)
    assert one.why.startswith(why)
    assert run.lines(f"left out: {one.where}")
    decision, gap = gate(run)
    assert (decision, f"left out of that run: {one.where}" in gap) == ("cannot tell", True)


def test_a_variant_that_was_not_asked_for_by_its_name_is_left_out(go: Go) -> None:
    """Pytest makes no item of it, and a claim cited on every subject needs it."""
    both = f"@subjects('{ON}', 'sparrow')" + SUPPORTED
    run = go(f"test_probes.py::test_up[{ON}]", "-o", f"saeprobe_default_subjects={ON} sparrow", probes=both)
    report = read_report(run.folder / "reports" / "report.json")
    assert [(one.subject, one.why) for one in report.left_out] == [
        ("sparrow", "another test was asked for by its name")
    ]
    assert gate(run, "report")[0] == "cannot tell"


def test_what_a_conftest_takes_out_silently_is_found(go: Go, pytester: pytest.Pytester) -> None:
    """No option and no hook speaks of it."""
    pytester.makeconftest(
        "def pytest_collection_modifyitems(items):\n    items[:] = [i for i in items if 'holds' in i.name]\n"
    )
    run = go(probes=TWO)
    assert [one.why for one in left_out(run)] == ["taken out by a plugin or a conftest.py"]
    assert gate(run)[0] == "cannot tell"


def test_a_second_probe_of_the_claim_in_another_folder_is_found(go: Go, pytester: pytest.Pytester) -> None:
    """What lies elsewhere in the project counts where it is of a claim that the run decides."""
    for folder, probes in {"one": SHARED + HOLDS, "two": SHARED + FAILS, "three": REFUTED}.items():
        pytester.mkdir(folder).joinpath(f"test_{folder}.py").write_text(HEAD + probes, encoding="utf-8")
    run = go("one", spare="")
    assert [one.where for one in left_out(run)] == ["two/test_two.py::test_fails"]
    assert gate(run)[0] == "cannot tell"


def test_workers_send_what_was_left_out(tmp_path: Path) -> None:
    """The controller collects nothing itself; each thing stands once."""
    (tmp_path / "pyproject.toml").write_text(INI, encoding="utf-8")
    write_ranks(tmp_path)
    (tmp_path / "test_probes.py").write_text(HEAD + TWO, encoding="utf-8")
    run = apart(tmp_path, "-n", "2", "-k", "holds", f"--saeprobe-evidence={tmp_path}")
    assert [(one.where, one.why) for one in left_out(run)] == [(f"test_probes.py::test_fails[{ON}]", "-k holds")]
    assert not (tmp_path / "reports" / "report.json").exists()


def test_what_a_worker_left_out_is_known_before_it_crashes(tmp_path: Path) -> None:
    """It comes with the first record, since a worker that crashes sends no last word."""
    (tmp_path / "pyproject.toml").write_text(INI, encoding="utf-8")
    write_ranks(tmp_path)
    dies = "def test_dies():\n    import os\n    os._exit(1)\n"
    (tmp_path / "test_probes.py").write_text(HEAD + TWO + dies, encoding="utf-8")
    run = apart(tmp_path, "-n1", "--max-worker-restart=0", "-k", "holds or dies", f"--saeprobe-evidence={tmp_path}")
    assert [one.where for one in left_out(run)] == [f"test_probes.py::test_fails[{ON}]"]


def test_settings_from_elsewhere_leave_out_what_the_projects_own_would_run(go: Go, pytester: pytest.Pytester) -> None:
    """Nobody would see that they name fewer subjects."""
    both = f"@subjects('{ON}', 'sparrow')" + SUPPORTED
    other = f"[pytest]\nsaeprobe_default_subjects = {ON}\n"
    pytester.path.joinpath("other.ini").write_text(other, encoding="utf-8")
    run = go("-c", "other.ini", probes=both)
    left = read_report(run.folder / "reports" / "report.json").left_out
    assert [(one.subject, one.why) for one in left] == [("sparrow", "-c other.ini")]
    assert gate(run, "report")[0] == "cannot tell"


def test_a_whole_run_leaves_nothing_out(go: Go) -> None:
    """Nor are subjects left out that run only where they are asked for, nor a file that is given twice."""
    both = f"@subjects('{ON}', 'gpt2')"
    run = go("test_probes.py", "test_probes.py", probes=SUPPORTED.replace("\n@claim", f"\n{both}\n@claim"))
    report = read_report(run.folder / "reports" / "report.json")
    assert (report.left_out, gate(run, "report")) == ((), ("release", ""))


TEST = "def test_fails(ranks):\n    assert effective_rank(ranks['expert']) > effective_rank(ranks['novice'])\n"


@pytest.mark.parametrize(
    ("others", "where"),
    [
        ("from shared import it\n" + FAILS, "test_others.py::test_fails"),
        (SHARED + TEST + "test_contrary = it(test_fails)\n", "test_others.py::test_contrary"),
        (SHARED + TEST + "it(test_fails)\n", "test_others.py::test_fails"),
        ("import names\n" + SHARED.replace('"rank.up"', "names.ID") + FAILS, "test_others.py::test_fails"),
        ("import shared\n\n\nclass TestIt(shared.Contrary):\n    pass\n", "test_others.py::TestIt::test_fails"),
        ("from shared import test_fails as test_it\n", "test_others.py::test_it"),
        ("from shared import *\n", "test_others.py::test_fails"),
    ],
    ids=["claim", "call", "in-place", "id", "class", "import", "star"],
)
def test_a_probe_that_its_file_does_not_show_plainly_is_found(
    go: Go, pytester: pytest.Pytester, others: str, where: str
) -> None:
    """Its claim, its id or its function stands in another module of the project, or it is made by a call."""
    method = FAILS.replace("\n", "\n    ").replace("(ranks)", "(self, ranks)").strip()
    shared = HEAD + SHARED + FAILS + f"\n\nclass Contrary:\n    {method}\n"
    pytester.path.joinpath("shared.py").write_text(shared, encoding="utf-8")
    pytester.path.joinpath("names.py").write_text("ID = 'rank.up'\n", encoding="utf-8")
    run = go("test_probes.py", probes=SHARED + HOLDS, others=others)
    assert where in [one.where for one in left_out(run)]
    assert gate(run)[0] == "cannot tell"


def test_a_class_that_inherits_its_probe_is_left_out_by_the_name_of_another(go: Go) -> None:
    """Pytest makes no test of it, though it runs the same function."""
    method = HOLDS.replace("\n", "\n    ").replace("(ranks)", "(self, ranks)")
    classes = f"class Base:\n    {method}\nclass TestA(Base):\n    pass\n\nclass TestB(Base):\n    pass\n"
    run = go("test_probes.py::TestA", probes=SHARED + classes)
    assert [one.where for one in left_out(run)] == ["test_probes.py::TestB::test_holds"]
    run = go("test_probes.py", probes=SHARED + classes)
    assert read_report(run.folder / "reports" / "report.json").left_out == ()


def test_a_name_that_is_bound_to_two_claims_may_be_either(go: Go) -> None:
    """A function above which it stands is left out of both, where pytest makes no test of it."""
    two = SHARED + FAILS.replace("test_fails", "fails") + SHARED.replace("rank.up", "rank.other") + HOLDS
    run = go(probes=two)
    assert [(one.claim, one.where) for one in left_out(run)] == [("", "test_probes.py::fails")]


def test_a_decorator_that_hides_the_code_of_a_probe_leaves_nothing_out(go: Go) -> None:
    """The test that pytest made of it is the last function of that name."""
    hiding = "def hiding(function):\n    def inner(ranks):\n        function(ranks)\n    return inner\n\n\n"
    run = go(probes=hiding + SHARED + HOLDS.replace("@it\n", "@it\n@hiding\n"))
    assert read_report(run.folder / "reports" / "report.json").left_out == ()

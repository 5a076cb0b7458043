"""A declared non-reproduction is pytest's own xfailed, strictly, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from records import INI
from runs import HEAD, REFUTED, SUPPORTED, Go, apart, properties

from saeprobe.gate.many import decide_all, decision_on, in_words

DECLARE = ', not_reproduced={{"llama70b-as-published": {}("the table has it the other way")}})'
EXPLAINED = """
from dataclasses import replace
from saeprobe.evidence import record

@claim("Length does it.", id="rank.long", source="table 1")
def test_long(ranks):
    found = effective_rank(ranks["novice"]) > effective_rank(ranks["expert"])
    assert record(replace(found, outcome="explained", reason="explained by length"))
"""
"""A comparison that holds, as a control leaves it that explains it."""


def declared(probe: str, word: str = "refuted") -> str:
    """The probe with this word declared for the subject that it runs on."""
    return probe.replace('source="table 1")', f'source="table 1"{DECLARE.format(word)}')


KNOWN = declared(REFUTED)
MOVED = declared(SUPPORTED.replace("up", "moved"), "drifted").replace(
    "not_reproduced",
    'published={"llama70b-as-published": published(novice=9.25, unit="dimensions", tolerance=0.5)}, not_reproduced',
)
"""Its asserts hold, and its number is not the printed one."""


@pytest.mark.parametrize("stop", ["-x", "--maxfail=1", "workers"])
def test_declared_verdicts_are_xfailed_and_the_run_succeeds(
    go: Go, pytester: pytest.Pytester, evidence: Path, stop: str
) -> None:
    """JUnit, the last line, `-rx` and the exit code show pytest's own xfailed, which stops no run at a failure."""
    probes = KNOWN + MOVED + declared(EXPLAINED, "explained") + SUPPORTED
    if stop == "workers":
        pytester.makepyfile(test_probes=HEAD + probes)
        ran = apart(pytester.path, f"--saeprobe-evidence={evidence}", "-rx", "-x", "-n2")
    else:
        ran = go("-rx", stop, probes=probes)
    assert ran.code == ran.report["run"]["exit_code"] == 0
    assert ran.lines("1 passed, 3 xfailed")
    words = {"test_down": "refuted", "test_moved": "drifted", "test_long": "explained"}
    assert ran.junit_outcomes() == {"test_up": "passed", **dict.fromkeys(words, "skipped")}
    why = "the table has it the other way"
    for test, word in words.items():
        skipped = ran.junit[test].find("skipped")
        assert skipped is not None
        assert skipped.attrib == {"type": "pytest.xfail", "message": f"{word}: {why}"}
        assert properties(ran.junit[test])["verdict"] == word
        assert any(line.endswith(f"- {word}: {why}") for line in ran.lines(f"{word.upper()} AS DECLARED test_probes"))
    assert list(ran.verdicts.values()) == [*words.values(), "supported"]
    known = [{"word": word, "reason": why} for word in words.values()]
    assert [probe["declaration"] for probe in ran.probes.values()] == [*known, None]
    assert ran.report["counts"]["explained"] == 1
    assert not ran.lines("FAILURES")


def test_a_verdict_without_its_declaration_stops_the_run(go: Go) -> None:
    """It is a failure, after which `-x` runs nothing."""
    run = go("-x", probes=REFUTED + SUPPORTED)
    assert (run.code, run.verdicts) == (1, {"rank.down": "refuted"})


def test_an_explained_claim_fails_where_nothing_is_declared(go: Go) -> None:
    """It has a letter of its own, shows its evidence, and is counted apart from what is refuted."""
    run = go(probes=EXPLAINED + REFUTED)
    (line,) = run.lines("[100%]")
    assert (run.code, line.split()[1]) == (1, "CR")
    assert run.junit_outcomes() == {"test_long": "failure", "test_down": "failure"}
    assert run.lines("explained: explained by length")
    assert run.lines("1 explained, 1 refuted")


RAISES = KNOWN.replace("    assert", "    raise OSError('no scale')\n    assert")
SKIPS = KNOWN.replace("    assert", "    unverifiable('no test')\n    assert")
ABSENT = KNOWN.replace('ranks["expert"]', 'ranks["guru"]')


@pytest.mark.parametrize(
    ("probe", "word", "outcome"),
    [
        (declared(REFUTED, "inconclusive"), "refuted", "failure"),
        (declared(REFUTED, "explained"), "refuted", "failure"),
        (declared(EXPLAINED, "refuted"), "explained", "failure"),
        (declared(SUPPORTED), "supported", "failure"),
        (RAISES, "broken", "failure"),
        (SKIPS, "unverifiable", "skipped"),
        (ABSENT, "not run", "skipped"),
    ],
    ids=["refuted", "explained", "refuted-explained", "supported", "broken", "unverifiable", "not-run"],
)
def test_what_is_not_the_declared_verdict_is_as_without_a_declaration(
    go: Go, probe: str, word: str, outcome: str
) -> None:
    """Another word, or none that decides, is never xfailed."""
    run = go(probes=probe)
    (name,) = run.junit
    assert (list(run.verdicts.values()), run.junit_outcomes()) == ([word], {name: outcome})
    assert run.code == (0 if outcome == "skipped" else 1)
    assert not run.lines("xfailed")
    skipped = run.junit[name].find("skipped")
    assert skipped is None or skipped.attrib["type"] == "pytest.skip"
    assert bool(run.lines("Take the declaration away")) == (word == "supported")


@pytest.mark.parametrize("option", [("--runxfail",), ("-p", "no:skipping")], ids=["runxfail", "no-skipping"])
def test_declarations_are_not_looked_at_where_pytest_makes_no_xfailed(
    go: Go, pytester: pytest.Pytester, option: tuple[str, ...]
) -> None:
    """A declared verdict then fails with its evidence, and one against its declaration passes; the report has both."""
    pytester.makepyprojecttoml(INI.replace("xfail_strict = true", ""))  # a setting of the plugin that makes them
    run = go(*option, probes=KNOWN + declared(SUPPORTED))
    assert (run.code, run.junit_outcomes()) == (1, {"test_down": "failure", "test_up": "passed"})
    assert run.lines("refuted: the contrary holds: 11.8 against 12 dimensions, a difference of -0.225, p = 0.0078")
    known = {"word": "refuted", "reason": "the table has it the other way"}
    assert [probe["declaration"] for probe in run.probes.values()] == [known, known]
    assert not run.lines("as declared")


@pytest.mark.parametrize("option", [(), ("--runxfail",)], ids=["", "runxfail"])
def test_a_claim_that_is_supported_against_its_declaration_is_held(
    go: Go, pytester: pytest.Pytester, option: tuple[str, ...]
) -> None:
    """The gate holds an article that cites it until the declaration is taken away, whatever pytest made of it."""
    run = go(*option, probes=declared(SUPPORTED))
    assert run.verdicts == {"rank.up": "supported"}
    pytester.path.joinpath("a.md").write_text("---\ntitle: T\nlanguage: en\nclaims: [rank.up]\n---\n", encoding="utf-8")
    decided = decide_all([pytester.path / "a.md"], pytester.path / "reports" / "report.json")
    assert decision_on(decided) == "hold"
    assert "take the declaration away, if it is right that the sentence holds" in " ".join(in_words(decided).split())


def test_a_mark_of_xfail_changes_nothing_of_a_declared_verdict(go: Go) -> None:
    """The declaration is what makes it xfailed, and its reason is shown."""
    run = go("-rx", probes=f"import pytest\n@pytest.mark.xfail(reason='a mark')\n{KNOWN.lstrip()}")
    assert run.code == 0
    assert run.lines("- refuted: the table has it the other way")
    assert not run.lines("a mark")


def test_the_evidence_of_a_declared_verdict_is_shown_where_it_is_asked_for(go: Go) -> None:
    """`--xfail-tb` shows what a failed probe shows, and nothing else does."""
    sentence = "An expert prompt has the higher effective rank.  (table 1)"
    assert go("--xfail-tb", probes=KNOWN).lines(sentence)
    assert not go(probes=KNOWN).lines(sentence)


def test_a_reason_from_a_stranger_is_shown_as_text(go: Go) -> None:
    """A declared reason reaches the terminal and the JUnit file escaped."""
    run = go("-rx", probes=KNOWN.replace("the table", "\\x1b[31mthe table"))
    assert run.lines(r"refuted: \x1b[31mthe table has it the other way")
    assert "\x1b[31m" not in run.out


def test_a_declared_verdict_is_not_among_the_last_failed(pytester: pytest.Pytester, evidence: Path) -> None:
    """`--lf` runs what failed, and it did not."""
    pytester.makepyprojecttoml(INI)
    pytester.makepyfile(HEAD + KNOWN)
    pytester.runpytest_inprocess(f"--saeprobe-evidence={evidence}")
    assert not (pytester.path / ".pytest_cache" / "v" / "cache" / "lastfailed").exists()


SPY = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        print(f"SPY made {report.outcome}, {getattr(report, 'wasxfail', None)}")
    return report

def pytest_runtest_logreport(report):
    if report.when == "call":
        print(f"SPY logged {report.outcome}, {getattr(report, 'wasxfail', None)}")

def pytest_exception_interact():
    print("SPY made a debugger stop")
"""


def test_other_plugins_see_a_declared_verdict_as_xfailed(go: Go, pytester: pytest.Pytester) -> None:
    """Allure looks while the report is made, pytest-html and CTRF once it is; no debugger stops at it."""
    pytester.makeconftest(SPY)
    run = go("-s", probes=KNOWN)
    seen = [line.partition("SPY ")[2] for line in run.lines("SPY ")]
    assert seen == [f"{when} skipped, refuted: the table has it the other way" for when in ("made", "logged")]

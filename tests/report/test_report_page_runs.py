"""The page says which run decided what, what was left out, and which controls a sentence could have taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from report_samples import HOSTILE, RUN, document_of, record
from test_report_page import parsed

from saeprobe.claims import NonReproduction
from saeprobe.report import ProbeRecord
from saeprobe.report.page import render
from saeprobe.report.shape import Attempt, Document, LeftOut
from saeprobe.report.uniting import united

LATER = "2026-11-23T04:00:00+00:00"
ABROAD = replace(
    RUN, command=f"pytest -m {HOSTILE}", commit="fedcba9876543210", ended="2026-06-30T12:00:00Z", alpha=0.2
)


def shown(document: Document, language: Any = "en") -> str:
    """The text of the page as a browser gives it, in one line."""
    return " ".join(parsed(render(document, language=language)).text.split())


def two_runs(**abroad: Any) -> Document:
    """A report of a run on sparrow, beside what an earlier one decided on finch."""
    here, there = document_of([record("a.a"), record("a.b")]), document_of([record("a.a", subject="finch")])
    return united(here, replace(there, run=replace(ABROAD, **abroad)), generated=LATER)


def one(*, claim: dict[str, Any] | None = None, **of_probe: Any) -> Document:
    """A report of one probe, with these fields of its own and of its claim."""
    document = document_of([record("a.a")])
    (held,) = document.claims
    probe = replace(held.probes[0], **of_probe)
    return replace(document, claims=(replace(held, **(claim or {}), probes=(probe,)),))


def test_each_run_is_listed_with_its_subjects() -> None:
    """Its commit, day, command and alpha stand with the subjects that stand from it; of one run there is no list."""
    text = shown(two_runs())
    assert "Runs that stand in this report sparrow: 0123456789ab · 2026-07-01 · pytest probes/ -n 2 · α = 0.05" in text
    assert f"finch: fedcba987654 · 2026-06-30 · pytest -m {HOSTILE} · α = 0.2" in text
    assert "finch: not a git checkout · 2026-06-30" in shown(two_runs(commit=None))
    assert "Runs that stand" not in shown(document_of([record("a.a")]))


def test_a_probe_of_an_earlier_run_says_so() -> None:
    """A probe of the report's own run does not."""
    text = shown(two_runs())
    assert "t.py::a.a[finch] · 0.1 s · decided by the run at commit fedcba987654 on 2026-06-30" in text
    assert text.count("decided by") == 1
    assert "decided by a run on 2026-06-30, outside git" in shown(two_runs(commit=None))


def test_q_is_held_against_the_alpha_of_its_own_run() -> None:
    """A q of 0.1 is within what many claims bring at 0.05, and beyond it at 0.2."""
    sure: ProbeRecord = {**record("a.a"), "p": 0.1}
    assert "q = 0.1: not beyond" in shown(document_of([sure]))
    on_finch: ProbeRecord = {**record("a.a", subject="finch"), "p": 0.1}
    earlier = replace(document_of([on_finch]), run=ABROAD)
    assert "not beyond" not in shown(united(document_of([record("a.b")]), earlier, generated=LATER))


def test_what_was_left_out_stands_at_the_top() -> None:
    """Each with its claim, subject and reason; twenty at most, and a number for the rest."""
    named = LeftOut(claim="a.z", subject="finch", where="t.py::test_z[finch]", why=f"-k took it out {HOSTILE}")
    rest = tuple(LeftOut(claim="", subject="", where=f"t{n}.py", why="not collected") for n in range(21))
    text = shown(replace(one(), left_out=(named, *rest)))
    assert "There and not run: 22." in text
    assert f"t.py::test_z[finch] · a.z · finch: -k took it out {HOSTILE}" in text
    assert "t18.py · any claim · any subject: not collected and 2 more" in text
    assert "t19.py" not in text
    assert "There and not run" not in shown(one())


def test_controls_that_a_sentence_could_take_are_named() -> None:
    """With those that the claim declares; nothing is said of a sentence that takes none."""
    takes: Any = ("length", "wording")
    assert "controls declared: none; could also take: length, wording" in shown(one(takes=takes))
    text = shown(one(takes=takes, claim={"controls": takes, "over": ("templates", "topics")}))
    assert "controls declared: length, wording t.py" in text
    assert "generalises over: templates, topics" in text
    assert "controls declared" not in shown(one())


def test_a_declaration_says_since_when_it_stands() -> None:
    """By its commit, where that is known."""
    declared = NonReproduction(word="refuted", reason="it is small")
    assert "it is small declared since commit abcdefabcdef" in shown(
        one(declaration=declared, declared_at="abcdef" * 7)
    )
    assert "declared since" not in shown(one(declaration=declared))


def test_earlier_attempts_at_a_probe_are_named() -> None:
    """Each with its verdict and reason, in the language of the page."""
    tried = (Attempt(verdict="refuted", reason=f"the contrary {HOSTILE}"), Attempt(verdict="broken", reason="no"))
    assert f"run again: came out first as refuted (the contrary {HOSTILE}); broken (no)" in shown(one(before=tried))
    assert "曾重新运行，先前的判定为 不成立 (the contrary" in shown(one(before=tried), "zh")
    assert "run again" not in shown(one())

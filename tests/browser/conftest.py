"""A report of two dozen probes, and the browser that looks at it."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from saeprobe.claims import Claim, Verdict, Word
from saeprobe.evidence import ControlResult, Evidence, Needed, Sample, UnitValue
from saeprobe.prompts import Prompt
from saeprobe.report import build_document, planned_name, probe_to_json
from saeprobe.report.page import write_page
from saeprobe.report.shape import Run
from saeprobe.verdicts.baseline import BaselineComparison, BaselineRow
from saeprobe.verdicts.baseline_files import Baseline, Provenance

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
ABSENT = [
    name
    for name, found in (
        ("chromium (apt install chromium)", CHROMIUM),
        ("chromedriver (apt install chromium-driver)", DRIVER),
        ("selenium (pip install --group browser)", importlib.util.find_spec("selenium")),
    )
    if found is None
]
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
ADDRESS = f"https://example.org/{'long/' * 30}?a=1&b=(2)#table-2"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
)
RUN = Run(
    command="pytest probes/",
    exit_code=1,
    duration_s=1.0,
    alpha=0.05,
    seed=0,
    workers=0,
    commit=None,
    dirty=None,
    python="3.11",
    platform="Linux",
    device=None,
    evidence_dir=None,
    versions={},
    computed_prompts=0,
    stored_prompts=0,
    ended="2026-07-01T12:00:00+00:00",
    files={},
)
CASES: tuple[tuple[str, str, Word], ...] = (
    ("day1.novice-more-than-expert", "sparrow", "supported"),
    ("day1.novice-more-than-expert", "finch", "refuted"),
    ("day1.expert-fewest", "sparrow", "refuted"),
    ("day1.hostile", "sparrow", "inconclusive"),
    *((f"filler.n{number}", "sparrow", "supported") for number in range(20)),
)
SOURCES = {"day1.expert-fewest": ADDRESS, "day1.hostile": "javascript:document.title='owned'"}

Open = Callable[[str], Any]


def evidence(statement: str) -> Evidence:
    """A comparison of two prompts on each side, with hostile text wherever text goes."""
    samples = tuple(
        Sample(
            label=label,
            measure="l0",
            unit="features",
            mean=mean,
            n=2,
            interval=(mean - 1, mean + 1),
            values=(mean - 1, mean + 1),
            prompts=tuple(
                Prompt(text=f"{label} {topic} {HOSTILE}", style=label, topic=topic, template=f"{label} {{topic}}")
                for topic in ("tides", HOSTILE)
            ),
        )
        for label, mean in (("novice", 14.0), (HOSTILE, 11.0))
    )
    found = Evidence(
        kind="greater",
        statement=statement,
        outcome="supported",
        reason="it is",
        scope="",
        unit="features",
        estimate=3.0,
        interval=(1.0, 5.0),
        samples=samples,
        continuations=(("steered", HOSTILE, HOSTILE),),
        rule=HOSTILE,
        unit_values=tuple(UnitValue(side=sample.label, unit=HOSTILE, value=sample.mean) for sample in samples),
        needed=Needed(units=HOSTILE, have=2, wanted=9, prompts=36),
    )
    control = ControlResult(
        name="random-model",
        answer="withstood",
        estimate=0.3,
        interval=(-0.2, 0.8),
        p=0.4,
        detail=HOSTILE,
        share=0.1,
        evidence=found,
    )
    return replace(found, controls=(control,))


def approved() -> BaselineComparison:
    """An approval whose every word is hostile."""
    return BaselineComparison(
        baseline=Baseline(
            claim="a.b",
            subject="sparrow",
            sentence=HOSTILE,
            approved_by=HOSTILE,
            because=HOSTILE,
            on="2026-11-20",
            verdict="supported",
            values=(),
            measured_with=Provenance(),
        ),
        rows=(
            BaselineRow(
                label=HOSTILE,
                measure=HOSTILE,
                unit=HOSTILE,
                approved=1.0,
                measured=2.0,
                noise=0.5,
                noise_from=HOSTILE,
                agrees=False,
            ),
        ),
        changed=(HOSTILE,),
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of 23 claims on two subjects, as a file."""
    records = [
        probe_to_json(
            claim=Claim(
                id=claim,
                sentence=f"The sentence of {claim}. {HOSTILE * ('hostile' in claim)}",
                source=SOURCES.get(claim, "here"),
            ),
            nodeid=f"t.py::{claim}[{subject}]",
            subject=subject,
            verdict=Verdict(word=word, reason=f"because of {claim}"),
            evidence=[evidence(HOSTILE)],
            published=[],
            duration_s=0.1,
            baseline=approved(),
        )
        for claim, subject, word in CASES
    ]
    planned = [planned_name(claim, subject) for claim, subject, _ in CASES]
    path = tmp_path_factory.mktemp("report") / "report.html"
    document = build_document(
        probes=records, run=RUN, subjects=[], planned=planned, generated="2026-01-01T00:00:00+00:00"
    )
    write_page(document, path)
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless Chromium that logs its console and everything it asks a network for."""
    if ABSENT:
        pytest.skip(f"no browser to look with; absent: {', '.join(ABSENT)}")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.support.ui import WebDriverWait

    class Patient(Chrome):
        def get(self, url: str) -> None:
            """Open `url`, read to its end: on a busy machine Chromium's driver may come back while it is being read."""
            super().get(url)
            read = f"return document.readyState === 'complete' && location.href === {json.dumps(url)}"
            driver: Any = self
            WebDriverWait(driver, 60).until(lambda _: driver.execute_script(read))

    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Patient(options=options, service=Service(executable_path=str(DRIVER)))  # never Selenium's own download
    yield driver
    driver.quit()


@pytest.fixture
def go(browser: Any, page: Path) -> Open:
    """Open the page afresh, with `?...#...` behind its address and nothing remembered."""

    def open_page(behind: str = "") -> Any:
        browser.get(page.as_uri())
        browser.execute_script("localStorage.clear()")
        browser.get("about:blank")
        for log in ("browser", "performance"):
            browser.get_log(log)  # what came before, Chromium's own start page included, is not the page's doing
        browser.get(page.as_uri() + behind)
        return browser

    return open_page

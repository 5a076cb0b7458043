"""A model and an SAE worked by hand, through pytest: prompts, tokens, activations, features, verdict and report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from runs import Run, apart, without_durations

# After BOS a prompt is its topic and "purple" or "red"; active features: calm 0, red 1, blue 1, purple 2.
SHARED = """
from saeprobe import capture
from saeprobe.prompts import PromptSet

prompts = PromptSet.build(
    name="colours", language="en", topics=["calm", "red", "blue", "purple", "calm calm", "red red"],
    styles={"warm": ["{topic} purple"], "cool": ["{topic} red"]},
)
whole = capture(prompts, at="all")
ends = capture(prompts, at="last")
"""
PROBES = """
from saeprobe import capture
from saeprobe import claim
from saeprobe import published
from saeprobe import subjects
from saeprobe.measures import l0
from saeprobe.measures import max_activation
from saeprobe.measures import separates
from shared import ends, prompts, whole

pytestmark = subjects("hand")
again = capture(prompts, at="all")

@claim("Warm prompts activate more.", id="hand.more", source="by hand",
    published={"hand": published(warm=1.33, cool=0.89, unit="features", n=6)})
def test_more(whole):
    assert l0(whole["warm"]) > l0(whole["cool"])

@claim("Cool prompts activate more.", id="hand.swapped", source="by hand")
def test_swapped(again):
    assert l0(again["cool"]) > l0(again["warm"])

@claim("Cool prompts reach higher.", id="hand.peak", source="by hand")
def test_peak(whole):
    assert max_activation(whole["cool"]) > max_activation(whole["warm"])

@claim("Feature 1 tells warm from cool.", id="hand.feature", source="by hand")
def test_feature(ends):
    assert separates([1], ends["warm"], ends["cool"])
"""
# Four words with 0, 1, 1 and 2 active features, on which the instrument is checked.
NEUTRAL = """
name = "words"
language = "en"
[[topics]]
name = "all"
[styles.all]
templates = ["calm red blue purple"]
"""
SPY = """
import sys
from pathlib import Path

def pytest_unconfigure(config):
    heavy = {"torch", "transformers", "transformer_lens", "sae_lens", "accelerate"} & set(sys.modules)
    Path("loaded.txt").write_text(" ".join(sorted(heavy)))
"""
NOTHING: set[str] = set()


def loaded(run: Run) -> set[str]:
    """The model libraries that a run had imported at its end, as the plugin `spy` wrote them down."""
    return set(json.loads(run.out.rpartition("LOADED ")[2]))


def observed(folder: Path, *arguments: str) -> Run:
    """Run pytest with the spy."""
    run = apart(folder, "-p", "spy", *arguments)
    found = sorted((folder / "loaded.txt").read_text(encoding="utf-8").split())
    return Run(code=run.code, out=f"{run.out}\nLOADED {json.dumps(found)}", folder=run.folder)


@pytest.fixture(scope="session")
def folder(hand_worked_once: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that declares the subject `hand` in its pyproject.toml."""
    made = tmp_path_factory.mktemp("whole")
    (made / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\naddopts = ["--strict-markers"]\nfilterwarnings = ["error"]\n'
        'saeprobe_neutral = ["hand = neutral.toml"]\n'
        "[tool.saeprobe.subjects.hand]\n"
        f"model = '{hand_worked_once.model}'\nsae = {{ path = '{hand_worked_once.sae}' }}\ndevice = 'cpu'\n",
        encoding="utf-8",
    )
    (made / "neutral.toml").write_text(NEUTRAL, encoding="utf-8")
    (made / "shared.py").write_text(SHARED, encoding="utf-8")
    (made / "spy.py").write_text(SPY, encoding="utf-8")
    (made / "test_hand.py").write_text(PROBES, encoding="utf-8")
    return made


@pytest.fixture(scope="session")
def planned(folder: Path) -> Run:
    """The plan alone, before anything is stored."""
    return observed(folder, "--collect-only", "-m", "hand")


@pytest.fixture(scope="session")
def cold(planned: Run, folder: Path) -> Run:
    """The run that computes."""
    del planned
    run = observed(folder, "-m", "hand")
    for name in ("reports/report.json", "reports/report.html", "junit.xml"):
        (folder / name).rename(folder / f"cold-{Path(name).name}")
    kept = folder / "cold"
    (kept / "reports").mkdir(parents=True)
    for name in ("report.json", "report.html"):
        (folder / f"cold-{name}").rename(kept / "reports" / name)
    return Run(code=run.code, out=run.out, folder=kept)


@pytest.fixture(scope="session")
def warm(cold: Run, folder: Path) -> Run:
    """The same run again, whose evidence is stored."""
    del cold
    return observed(folder, "-m", "hand")


@pytest.fixture(scope="session")
def parallel(warm: Run, folder: Path) -> Run:
    """The same run on two workers, which begin with an empty store."""
    del warm
    run = apart(folder, "-m", "hand", "-n", "2", "--saeprobe-store=second", "--saeprobe-report=two/reports")
    return Run(code=run.code, out=run.out, folder=folder / "two")


def test_the_plan_holds_each_capture_once_and_loads_nothing(planned: Run) -> None:
    """Two captures of twelve prompts, one of them used twice under two names, and three layers of one neutral text."""
    assert planned.code == 0
    assert planned.lines("plan: hand: 13 prompts, 5 captures; 0 results stored, 27 to compute")
    assert loaded(planned) == NOTHING
    assert not (planned.folder / "reports").exists()


def test_a_run_that_computes_is_seen_to_load_the_model_libraries(cold: Run) -> None:
    """The proof that the check for imports can fail."""
    assert loaded(cold) >= {"torch", "transformers", "transformer_lens", "sae_lens"}
    assert (cold.report["run"]["stored_prompts"], cold.report["run"]["computed_prompts"]) == (0, 27)


def test_a_warm_run_imports_no_model_library(warm: Run) -> None:
    """What is stored is decided, and reported in full, without torch."""
    assert loaded(warm) == NOTHING
    assert (warm.report["run"]["stored_prompts"], warm.report["run"]["computed_prompts"]) == (27, 0)
    assert warm.report["subjects"][0]["d_in"] == 3


@pytest.mark.parametrize("which", ["cold", "warm", "parallel"])
def test_the_report_says_what_the_model_saw(request: pytest.FixtureRequest, which: str) -> None:
    """Of the first prompt of both captures, also where all was stored or read by workers."""
    captures = request.getfixturevalue(which).report["subjects"][0]["captures"]
    assert [seen["place"] for seen in captures] == ["all tokens", "last token"]
    for seen in captures:
        assert (seen["prompt"], seen["rendered"]) == ("calm purple", "calm purple")
        assert seen["pieces"] == ["<|endoftext|>", "calm", "purple"]
        assert seen["ids"] == [0, 1, 4]  # BOS, calm and purple in the vocabulary


def test_the_instrument_fits_as_worked_by_hand(cold: Run) -> None:
    """The blocks do nothing, so that all layers are alike: one feature a word, and 9 of a variance of 12 are lost."""
    check = cold.report["subjects"][0]["instrument"]
    assert check is not None
    assert (check["broken"], check["findings"]) == (False, [])
    assert [fit["layer"] for fit in check["layers"]] == ["embedding", "output of layer 0", "output of layer 1"]
    for fit in check["layers"]:
        assert (fit["tokens"], fit["l0"], fit["variance_explained"]) == (4, 1, pytest.approx(0.25, abs=1e-5))
    assert cold.lines(
        "instrument     output of layer 0: variance explained 0.250; L0 1.0; around it 0.250 at the embedding"
    )


@pytest.mark.parametrize("which", ["cold", "warm"])
def test_the_verdicts_are_those_worked_by_hand(request: pytest.FixtureRequest, which: str) -> None:
    """The claim is supported, its swapped version refuted, and too little shows on the largest activation."""
    run = request.getfixturevalue(which)
    assert run.code == 1
    words = {"hand.more": "supported", "hand.swapped": "refuted", "hand.peak": "inconclusive"}
    assert {claim: run.verdicts[claim] for claim in words} == words


def test_the_number_of_active_features_is_that_worked_by_hand(cold: Run) -> None:
    """The mean over a prompt's tokens: "calm purple" has (0 + 2) / 2, "red red red" 1; p = 2/64 over six topics."""
    probe = cold.probes["hand.more[hand]"]
    (evidence,) = probe["evidence"]
    larger, smaller = evidence["samples"]
    assert larger["values"] == pytest.approx([1, 1.5, 1.5, 2, 2 / 3, 4 / 3])
    assert smaller["values"] == pytest.approx([0.5, 1, 1, 1.5, 1 / 3, 1])
    assert evidence["estimate"] == pytest.approx(4 / 9)
    assert evidence["p"] == pytest.approx(2 / 64)
    assert [row["answer"] for row in probe["published"]] == ["cannot be compared"] * 2  # there is one wording a style
    prompts = [cold.report["prompts"]["text"][number] for number in larger["prompts"]]
    assert prompts[4:] == ["calm calm purple", "red red purple"]


def test_the_largest_activation_is_that_worked_by_hand(cold: Run) -> None:
    """Red and blue reach 1.5, purple 0.5 twice."""
    (evidence,) = cold.probes["hand.peak[hand]"]["evidence"]
    assert evidence["samples"][0]["values"] == pytest.approx([1.5] * 6, abs=1e-5)
    assert evidence["samples"][1]["values"] == pytest.approx([0.5, 1.5, 1.5, 0.5, 0.5, 1.5], abs=1e-5)


def test_feature_1_fires_on_purple_and_not_on_red(cold: Run) -> None:
    """At the last token it fires on every warm prompt and on no cool one."""
    (evidence,) = cold.probes["hand.feature[hand]"]["evidence"]
    assert evidence["outcome"] == "supported"


def test_the_swapped_claim_is_refuted_everywhere(warm: Run) -> None:
    """In the terminal, the JSON report, the page and the JUnit file."""
    reason = "the contrary holds: 0.889 against 1.33 features"
    assert warm.probes["hand.swapped[hand]"]["reason"].startswith(reason)
    assert warm.lines(f"refuted: {reason}")
    assert reason in warm.page
    assert warm.junit_outcomes() == {
        "test_more": "passed",
        "test_swapped": "failure",
        "test_peak": "failure",
        "test_feature": "passed",
    }


def test_a_warm_run_says_what_the_cold_one_said(cold: Run, warm: Run) -> None:
    """Claims, subjects and prompts are equal but for the seconds that they took."""
    for part in ("claims", "subjects", "prompts", "planned", "counts"):
        assert without_durations(warm.report[part]) == without_durations(cold.report[part])


def test_the_plan_of_a_warm_run_has_nothing_to_compute(warm: Run, folder: Path) -> None:
    """All is stored, and the store may lie elsewhere."""
    assert warm.lines("plan: hand: 13 prompts, 5 captures; 27 results stored, 0 to compute")
    assert (folder / ".saeprobe" / "store").is_dir()


def test_two_workers_compute_once_and_decide_the_same(parallel: Run, warm: Run) -> None:
    """The first worker runs the model for both, into the store that was named."""
    assert (parallel.code, parallel.report["run"]["workers"]) == (1, 2)
    assert (parallel.report["run"]["stored_prompts"], parallel.report["run"]["computed_prompts"]) == (0, 27)
    assert without_durations(parallel.report["claims"]) == without_durations(warm.report["claims"])
    assert parallel.lines("refuted: the contrary holds: 0.889 against 1.33 features")

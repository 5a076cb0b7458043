"""Controls in a run: what they read is planned, read in the same pass and stored; what cannot be is told before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from instrument_project import SPY
from runs import SUPPORTED, Go, Run, apart

PROMPTS = """
from saeprobe import capture
from saeprobe import claim
from saeprobe import steer
from saeprobe import subjects
from saeprobe.measures import l0
from saeprobe.prompts import PromptSet

pytestmark = subjects("sparrow")
TOPICS = ["sorting", "the tide", "baking"]
STYLES = {
    "standard": ["Explain {topic}.", "Describe {topic}.", "What is {topic}?", "Tell me about {topic}."],
    "novice": ["Explain {topic} to a novice.", "I am a novice. What is {topic}?", "{topic} in easy words, please.",
               "My first lesson: {topic}."],
    "expert": ["Explain {topic} to an expert.", "I am an expert. What is {topic}?", "{topic} in precise terms, please.",
               "Go straight to the details of {topic}."],
}
WORDS = {"novice": ["novice"], "expert": ["expert"]}
prompts = PromptSet.build(name="p", language="en", topics=TOPICS, styles=STYLES, words=WORDS, neutral="standard")
styles = capture(prompts.only("novice", "expert"))
"""
"""Twelve prompts a style; six of each do without the style's word, and twelve are neutral."""
PROBES = (
    PROMPTS
    + """
READ = ("injection", "random-model", "random-sae")
more = claim("Novice prompts activate more.", id="c.more", source="here",
    controls=("length", "wording", *READ))

@more
def test_more(styles):
    assert l0(styles["novice"]) > l0(styles["expert"])

@more
def test_more_of_the_whole(styles):
    values = l0(styles)
    assert values["novice"] > values["expert"]

@claim("Expert prompts activate more.", id="c.fewer", source="here")
def test_fewer(styles):
    assert l0(styles["expert"]) > l0(styles["novice"])
"""
)
NAMES = ["length", "wording", "injection", "random-model", "random-sae"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project on sparrow."""
    made = tmp_path_factory.mktemp("controls")
    ini = '[tool.pytest.ini_options]\naddopts = ["--strict-markers"]\nfilterwarnings = ["error"]\n'
    (made / "pyproject.toml").write_text(ini, encoding="utf-8")
    (made / "conftest.py").write_text(SPY, encoding="utf-8")
    (made / "test_controls.py").write_text(PROBES, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def planned(folder: Path) -> Run:
    """The plan alone."""
    return apart(folder, "--collect-only")


@pytest.fixture(scope="module")
def cold(planned: Run, folder: Path) -> Run:
    """The run that computes, its reports set aside."""
    del planned
    run = apart(folder, "--saeprobe-report=cold/reports")
    return Run(code=run.code, out=run.out, folder=folder / "cold")


@pytest.fixture(scope="module")
def warm(cold: Run, folder: Path) -> Run:
    """The same again on two workers."""
    del cold
    return apart(folder, "-n", "2")


def controls_of(run: Run, nodeid: str) -> dict[str, Any]:
    """The controls of the single comparison of a probe, by name."""
    (probe,) = [
        probe
        for claim in run.report["claims"]
        for probe in claim["probes"]
        if probe["nodeid"].endswith(f"{nodeid}[sparrow]")
    ]
    (evidence,) = probe["evidence"]
    return {control["name"]: control for control in evidence["controls"]}


def texts(run: Run, evidence: Any) -> list[str]:
    """The prompts of a comparison."""
    return [run.report["prompts"]["text"][number] for sample in evidence["samples"] for number in sample["prompts"]]


def test_the_plan_shows_what_controls_read(planned: Run) -> None:
    """24 prompts and 24 with pasted words, 40 of neutral text at three layers; 24 on each of 40 random subjects."""
    assert planned.code == 0
    assert planned.lines("plan: sparrow: 88 prompts, 5 captures; 0 results stored, 168 to compute")
    assert planned.lines(
        "plan: sparrow with 40 random models: 24 prompts each, 1 capture; 0 results stored, 960 to compute"
    )
    assert planned.lines(
        "plan: sparrow with 40 random SAEs: 24 prompts each, 1 capture; 0 results stored, 960 to compute"
    )


def test_the_plan_tells_what_the_design_can_show(planned: Run) -> None:
    """One line for both claims: four templates a style and three topics, whatever number of probes."""
    (line,) = planned.lines("plan: sparrow: for ")
    assert line.startswith("plan: sparrow: for c.more and c.fewer, 4 templates a style: ")


def test_all_controls_are_run(cold: Run) -> None:
    """Each has its numbers, in the order in which the claim declares them; two wordings a style are too few for one."""
    for probe in ("test_more", "test_more_of_the_whole"):
        controls = controls_of(cold, probe)
        assert list(controls) == NAMES
        assert [name for name, control in controls.items() if control["p"] is None] == ["wording"], controls
        assert controls["wording"]["detail"].endswith("at least 4 are needed, 2 more")
    assert "random" not in " ".join(subject["name"] for subject in cold.report["subjects"])
    assert controls_of(cold, "test_fewer") == {}


def test_pasted_words_are_what_injection_reads(cold: Run) -> None:
    """Twelve neutral prompts a side, each with the word of its style in front, compared in pairs of templates."""
    evidence = controls_of(cold, "test_more")["injection"]["evidence"]
    read = texts(cold, evidence)
    assert read[:3] == ["- novice. Explain sorting.", "- novice. Explain the tide.", "- novice. Explain baking."]
    assert read[-1] == "- expert. Tell me about baking."
    assert len(read) == 24
    assert evidence["units"] == "templates, paired"


def test_random_subjects_read_the_claims_own_prompts(cold: Run) -> None:
    """The same prompts give other values in each draw, of a random model and of a random SAE."""
    controls = controls_of(cold, "test_more")
    drawn = {name: controls[name]["unit_values"]["value"] for name in NAMES[-2:]}
    for name in NAMES[-2:]:
        assert len(set(drawn[name])) == len(drawn[name]) >= 20
        assert "of the claim on the same 24 prompts, " in controls[name]["detail"]
    assert not set(drawn["random-model"]) & set(drawn["random-sae"])


def test_the_whole_and_its_parts_are_controlled_alike(cold: Run) -> None:
    """`l0(styles)["novice"]` is under every control what `l0(styles["novice"])` is."""
    first, second = (controls_of(cold, name) for name in ("test_more", "test_more_of_the_whole"))
    assert {name: one["estimate"] for name, one in first.items()} == {
        name: one["estimate"] for name, one in second.items()
    }


def test_a_warm_run_on_two_workers_says_the_same_without_a_model_library(cold: Run, warm: Run, folder: Path) -> None:
    """What the controls read is stored like all else."""
    assert warm.lines("2 workers")
    assert warm.report["run"]["computed_prompts"] == 0
    assert controls_of(warm, "test_more") == controls_of(cold, "test_more")
    assert (folder / "loaded.txt").read_text(encoding="utf-8") == ""


def test_several_probes_decide_one_claim(cold: Run) -> None:
    """A claim kept in a name is written above each of its probes; the report has it once, with both."""
    by_id = {claim["id"]: [probe["nodeid"] for probe in claim["probes"]] for claim in cold.report["claims"]}
    assert by_id["c.more"] == [
        "test_controls.py::test_more[sparrow]",
        "test_controls.py::test_more_of_the_whole[sparrow]",
    ]


def test_each_probe_of_a_claim_is_decided_by_itself(go: Go) -> None:
    """One that is refuted is not made good by one that is supported, and the claims count once."""
    probes = SUPPORTED.replace("@claim", "it = claim").replace("def test_up", "@it\ndef test_up")
    probes += (
        '\n@it\ndef test_down(ranks):\n    assert effective_rank(ranks["expert"]) > effective_rank(ranks["novice"])\n'
    )
    run = go(probes=probes)
    assert run.code == 1
    (claim,) = run.report["claims"]
    assert sorted(probe["verdict"] for probe in claim["probes"]) == ["refuted", "supported"]


def test_a_record_leaves_what_must_be_read_open(go: Go) -> None:
    """Recorded evidence is no run of a model; the reason names the control."""
    controls = 'source="table 1", controls=("random-model",)'
    run = go(probes=SUPPORTED.replace('source="table 1"', controls))
    assert run.verdicts == {"rank.up": "inconclusive"}
    assert run.lines(
        "but the control for random-model could not be run: it takes a run of the model, and a record stands"
    )
    assert len(run.lines("plan: ")) == 1


CLAIM = (
    '@claim("It is.", id="c.it", source="here", controls=("{control}",))\ndef test_it(read):\n    assert l0(read) > 1\n'
)


@pytest.mark.parametrize(
    ("capture", "control", "told"),
    [
        (
            'capture(prompts, span="a")',
            "injection",
            "claim 'c.it' asks for the control 'injection', but read reads the span 'a', which neutral prompts",
        ),
        (
            'capture(PromptSet.build(name="q", language="en", topics=TOPICS, styles=STYLES, words=WORDS))',
            "injection",
            "claim 'c.it' asks for the control 'injection', but cannot read it from read: q says of no style that",
        ),
        (
            'capture(prompts.only("standard"))',
            "injection",
            "cannot read it from read: p names no words of its styles (standard); write words",
        ),
        (
            'capture(prompts.only("standard"))',
            "wording",
            "claim 'c.it' asks for the control 'wording', but cannot read it from read: p names no words of its styles",
        ),
        (
            'steer(prompts.only("standard"), feature=3, strengths=[4])',
            "random-sae",
            "claim 'c.it' asks for the control 'random-sae', but read steers: its controls are the arms it declares",
        ),
        (
            'capture(prompts, keep="effective_rank")',
            "random-sae",
            "but read keeps the effective rank alone, which goes through no SAE; leave the control out",
        ),
        (
            'steer(prompts.only("standard"), feature=3, strengths=[4])',
            "injection",
            "claim 'c.it' asks for the control 'injection', but read steers",
        ),
    ],
)
def test_a_control_that_cannot_be_read_breaks_the_claim(go: Go, capture: str, control: str, told: str) -> None:
    """The plan names the claim and what to do; nothing is computed for it."""
    run = go("-m", "sparrow", head=PROMPTS, probes=f"read = {capture}\n{CLAIM.format(control=control)}")
    assert (run.code, run.verdicts) == (1, {"c.it": "broken"})
    assert run.lines(told), run.out
    assert run.report["run"]["computed_prompts"] == 0


def test_a_worker_says_what_breaks_a_claim(tmp_path: Path) -> None:
    """The record comes from the worker with its reason, and an ordinary test beside it passes."""
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    text = PROMPTS + 'read = capture(prompts, span="a")\n' + CLAIM.format(control="injection")
    (tmp_path / "test_probes.py").write_text(f"{text}\ndef test_plain():\n    pass\n", encoding="utf-8")
    run = apart(tmp_path, "-n", "1")
    assert (run.code, run.verdicts) == (1, {"c.it": "broken"})
    assert run.lines("1 passed, 1 error")
    assert run.lines("claim 'c.it' asks for the control 'injection', but read reads the span 'a'")


@pytest.mark.parametrize(
    ("capture", "control"),
    [
        ('capture(prompts, span="a")', "random-sae"),
        ('capture(prompts.only("standard"))', "random-model"),
        ('capture(prompts.only("standard"))', "length"),
        ('steer(prompts.only("standard"), feature=3, strengths=[4])', "length"),
        ('capture(prompts.only("novice"))', "injection"),
    ],
)
def test_what_can_be_read_is_planned(go: Go, capture: str, control: str) -> None:
    """A span is read on a random subject too, and steering may be controlled for length."""
    run = go(
        "--collect-only", "-m", "sparrow", head=PROMPTS, probes=f"read = {capture}\n{CLAIM.format(control=control)}"
    )
    assert run.code == 0, run.out


def test_a_claim_that_nothing_can_decide_is_named_in_the_plan(go: Go) -> None:
    """Two templates a style cannot reach alpha whatever they show, and the claims that rest on them are all named."""
    two = 'capture(PromptSet.build(name="q", language="en", topics=TOPICS, styles={"a": ["What is {topic}?", "My notes '
    two += 'on {topic}:"], "b": ["Derive {topic}.", "All that experts know about {topic}"]}))\n'
    claims = "".join(
        f'@claim("It is.", id="c.n{k}", source="here")\ndef test_{k}(read):\n    assert l0(read["a"]) > l0(read["b"])\n'
        for k in range(4)
    )
    run = go("--collect-only", "-m", "sparrow", head=PROMPTS, probes=f"read = {two}{claims}")
    (line,) = run.lines("plan: sparrow: for ")
    assert "for c.n0, c.n1, c.n2 and c.n3, 2 templates a style cannot decide a comparison at alpha = 0.05" in line


def test_many_claims_on_one_design_are_counted_in_the_plan(go: Go) -> None:
    """Three are named, a fourth makes them four claims; a design over topics has a line of its own."""
    claims = "".join(
        f'@claim("It is.", id="c.n{k}", source="here"{over})\n'
        f'def test_{k}(styles):\n    assert l0(styles["novice"]) > l0(styles["expert"])\n'
        for k, over in enumerate(["", "", "", "", ', over=("topics",)'])
    )
    run = go("--collect-only", "-m", "sparrow", head=PROMPTS, probes=claims)
    several, topics = run.lines("plan: sparrow: for ")
    assert several.startswith("plan: sparrow: for 4 claims, 4 templates a style: ")
    assert topics.startswith("plan: sparrow: for c.n4, ")
    three = go(
        "--collect-only", "-m", "sparrow", head=PROMPTS, probes=claims[: claims.index('@claim("It is.", id="c.n3"')]
    )
    (line,) = three.lines("plan: sparrow: for ")
    assert "for c.n0, c.n1 and c.n2, 4 templates" in line

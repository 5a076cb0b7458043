"""A family of protocols: users' own subjects that are another protocol of one, and what each step changes."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from runs import Run, apart

FAMILY = """
[tool.pytest.ini_options]
saeprobe_default_subjects = ["base", "two-bos", "early", "half", "other"]

[tool.saeprobe.subjects.base]
protocol_of = "finch"
prompts = "base.toml"

[tool.saeprobe.subjects.two-bos]
protocol_of = "base"
bos_twice = true
rank_with_bos = true

[tool.saeprobe.subjects.early]
protocol_of = "base"
hook_name = "blocks.1.hook_resid_post"
misfit = "one layer too early, as somebody did"

[tool.saeprobe.subjects.half]
protocol_of = "base"
dtype = "float16"

[tool.saeprobe.subjects.other]
protocol_of = "base"
prompts = "other.toml"
"""
PROMPTS = """
name = "{name}"
language = "en"
[[topics]]
name = "rain"
[[topics]]
name = "the {name} bridge"
[styles.novice]
templates = ["Explain {{topic}} to a novice.", "Say simply what {{topic}} is."]
[styles.expert]
templates = ["Derive {{topic}} for an expert.", "Prove all about {{topic}}."]
"""
PROBES = """
from saeprobe import capture, claim, subjects
from saeprobe.measures import effective_rank, l0
from saeprobe.prompts import STYLES

pytestmark = subjects("base", "two-bos", "early", "half", "other")
pair = capture(STYLES.only("novice", "expert"))
ranks = capture(STYLES.only("novice", "expert"), keep="effective_rank")
six = capture(STYLES)


@claim("More.", id="x.more", source="here", controls=("wording", "injection"))
def test_more(pair):
    assert l0(pair["novice"]) > l0(pair["expert"])


@claim("Higher.", id="x.higher", source="here")
def test_higher(ranks):
    assert effective_rank(ranks["novice"]) > effective_rank(ranks["expert"])


@claim("Guru.", id="x.guru", source="here")
def test_guru(six):
    assert l0(six["guru"]) > l0(six["expert"])
"""


def project(folder: Path) -> Path:
    """A folder with the family, its prompts and three probes."""
    (folder / "pyproject.toml").write_text(FAMILY, encoding="utf-8")
    (folder / "test_it.py").write_text(PROBES, encoding="utf-8")
    for name in ("base", "other"):
        (folder / f"{name}.toml").write_text(PROMPTS.format(name=name), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The family, run once."""
    return apart(project(tmp_path_factory.mktemp("family")), "test_it.py")


def subjects_of(run: Run) -> dict[str, Any]:
    """The subjects of the report, by name."""
    return {subject["name"]: subject for subject in run.report["subjects"]}


def test_each_step_says_what_it_does_otherwise(run: Run) -> None:
    """It has all else from the subject that it is a protocol of, weights, hook and SAE too."""
    found = subjects_of(run)
    differs = {name: [row["aspect"] for row in one["differs"]] for name, one in found.items()}
    assert differs == {
        "base": ["prompts"],
        "two-bos": ["BOS"],
        "early": ["read at", "misfit"],
        "half": ["weights"],
        "other": ["prompts"],
    }
    assert {one["sae_hash"] for one in found.values()} == {found["base"]["sae_hash"]}
    assert "; prompts: other.toml (" in found["other"]["protocol"]
    assert len({one["fingerprint"] for one in found.values()}) == 4  # other prompts are no other instrument


def test_the_figures_of_a_step_are_those_of_its_probes(run: Run) -> None:
    """L0 and effective rank by style are the means on which the claims were decided."""
    for name, subject in subjects_of(run).items():
        for style in subject["figures"]["styles"]:
            for claim, figure in (("x.more", "l0"), ("x.higher", "effective_rank")):
                (piece,) = run.probes[f"{claim}[{name}]"]["evidence"]
                (sample,) = (one for one in piece["samples"] if one["label"] == style["style"])
                assert style[figure] == pytest.approx(fmean(sample["values"]), rel=1e-6)


def test_the_page_has_a_row_a_step(run: Run) -> None:
    """Below the subject, whose name stands above the table."""
    table = run.page.partition('class="printed-table steps"')[2].partition("</table>")[0]
    assert "base and its protocols" not in table  # base is itself one of finch, which did not run
    assert table.count("<tr><th") == 1 + 5
    for name in ("base", "two-bos", "early", "half", "other"):
        assert f'href="#_subject-{name}"' in table


def test_a_misfit_breaks_nothing_and_gives_no_advice(run: Run) -> None:
    """What it costs is a figure; to declare another hook would undo what is meant."""
    check = subjects_of(run)["early"]["instrument"]
    assert check["broken"] is False
    assert check["findings"][0].startswith("the misfit costs this: the SAE fits the output of layer 2 better")
    assert not [finding for finding in check["findings"] if "off by" in finding or "wanted" in finding]


def test_a_style_that_the_prompt_file_lacks_is_not_run(run: Run) -> None:
    """The reason names the styles that are there; a control that wants words which the file lacks breaks nothing."""
    probe = run.probes["x.guru[other]"]
    assert probe["verdict"] == "not run"
    assert "has no style 'guru'; there are: novice, expert; add [styles.guru] to it" in probe["reason"]
    assert run.probes["x.more[other]"]["verdict"] in ("supported", "refuted", "inconclusive")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["base"], "wanted NAME=FILE"),
        (["basse=x.toml"], "there is no subject 'basse'; did you mean 'base'"),
        (["base=x.toml", "base=y.toml"], "'base' is given twice"),
    ],
)
def test_an_option_that_names_no_subject_once_is_a_usage_error(tmp_path: Path, given: list[str], said: str) -> None:
    """Near misses are looked for among the user's own subjects, before anything is collected."""
    project(tmp_path)
    run = apart(tmp_path, *(f"--saeprobe-prompts={one}" for one in given))
    assert (run.code, said in run.out) == (4, True)


def test_styles_are_the_built_in_ones_and_an_absent_file_says_where_its_path_begins(tmp_path: Path) -> None:
    """As in pyproject.toml; only the subjects that were to read the file fail by it."""
    project(tmp_path)
    given = ("--saeprobe-prompts=base=STYLES", "--saeprobe-prompts=other=none.toml")
    run = apart(tmp_path, "test_it.py", "-k", "more", "-m", "half or other", *given).part
    assert f"give its path from {tmp_path}, or in full" in run.probes["x.more[other]"]["reason"]
    assert run.probes["x.more[half]"]["verdict"] in ("supported", "refuted", "inconclusive")


def test_the_option_serves_a_subject_and_its_protocols_and_a_bad_file_nobody_else(tmp_path: Path) -> None:
    """`other` has a file of its own, which stands; the others read what the option gives to their base."""
    project(tmp_path)
    (tmp_path / "bad.toml").write_text("name = 3", encoding="utf-8")
    run = apart(tmp_path, "test_it.py", "-k", "more", "--saeprobe-prompts", "base=bad.toml").part
    reasons = {name: probe["reason"] for name, probe in run.probes.items()}
    bad = [name for name, reason in reasons.items() if str(tmp_path / "bad.toml") in reason]
    assert bad == [f"x.more[{name}]" for name in ("base", "two-bos", "early", "half")]
    assert run.probes["x.more[other]"]["verdict"] != "broken"

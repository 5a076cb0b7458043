"""Claims about several subjects at once: one variant, the features of each, and a verdict on their agreement."""

from __future__ import annotations

from pathlib import Path

import pytest
from instrument_project import NEUTRAL
from made_subjects import Made
from runs import apart

from saeprobe.claims import subjects

PROBE = """
from saeprobe import capture
from saeprobe import claim
from saeprobe import in_each
from saeprobe import subjects
from saeprobe.measures import l0
from saeprobe.prompts import Prompt
from saeprobe.prompts import PromptSet

prompts = PromptSet(
    name="colours",
    language="en",
    prompts=tuple(
        Prompt(text=f"{word} {topic}", style=style, topic=topic, template=f"{word} {{topic}}")
        for style, words in (("bright", ("red red", "blue red", "purple red")), ("dull", ("calm calm",)))
        for word in words
        for topic in ("red", "blue", "purple")
    ),
)
colours = capture(prompts, at="all")


@subjects("hand+other")
@claim("It holds in both.", id="both", source="none")
def test_both(colours):
    first, second = colours
    assert first.subject == "hand" and second.subject == "other"
    assert in_each(l0(one["bright"]) > l0(one["dull"]) for one in colours)
"""


@pytest.fixture
def project(hand_worked: Made) -> Path:
    """A project with two subjects of the same files, and neutral text of their own few words."""
    root = hand_worked.root
    table = (root / "pyproject.toml").read_text(encoding="utf-8")
    other = table.replace("subjects.hand]", "subjects.other]")
    ini = '[tool.pytest.ini_options]\nsaeprobe_neutral = ["hand = neutral.toml", "other = neutral.toml"]\n'
    (root / "pyproject.toml").write_text(ini + table + other, encoding="utf-8")
    (root / "neutral.toml").write_text(NEUTRAL, encoding="utf-8")
    (root / "test_both.py").write_text(PROBE, encoding="utf-8")
    return root


def test_one_variant_reads_both_subjects(project: Path) -> None:
    """The plan tells what each reads and can decide; the probe's parts are labelled by subject; both are reported."""
    run = apart(project, "test_both.py", "-m", "hand")
    assert list(run.probes) == ["both[hand+other]"]
    probe = run.probes["both[hand+other]"]
    for name in ("hand", "other"):
        work, design = run.lines(f"plan: {name}:")
        assert "to compute" in work
        assert design.endswith("3 topics under fixed wordings cannot decide a comparison at alpha = 0.05: 6 can")
    assert {subject["name"] for subject in run.report["subjects"]} == {"hand", "other"}
    (whole,) = probe["evidence"]
    assert [sample["label"] for part in whole["parts"] for sample in part["samples"]] == [
        "bright on hand",
        "dull on hand",
        "bright on other",
        "dull on other",
    ]


@pytest.mark.parametrize(
    ("expression", "there"), [("hand", True), ("other", True), ("sparrow", False), ("hand and other", True)]
)
def test_either_marker_selects_it(project: Path, expression: str, there: bool) -> None:  # noqa: FBT001 - a parameter
    """`-m hand` runs what is about hand, also what is about another beside it."""
    run = apart(project, "test_both.py", "-m", expression, "--collect-only", "-q")
    assert ("test_both[hand+other]" in run.out) is there


def test_a_bare_run_takes_it_only_where_all_its_subjects_run_unasked(project: Path) -> None:
    """Both are the project's own and run; where one is no default, the probe on both is left out."""
    assert "test_both[hand+other]" in apart(project, "test_both.py", "--collect-only", "-q").out
    run = apart(project, "test_both.py", "--collect-only", "-q", "-osaeprobe_default_subjects=hand")
    assert "test_both[hand+other]" not in run.out


@pytest.mark.parametrize("name", ["sparrow+sparrow", "sparrow+", "+"])
def test_names_that_join_nothing_are_refused(name: str) -> None:
    """A subject beside itself agrees with itself."""
    with pytest.raises(ValueError, match="join different names by a plus sign"):
        subjects(name)

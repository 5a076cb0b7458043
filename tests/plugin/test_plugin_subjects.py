"""Which variants of a probe run: by mark, marker, default and node id."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from runs import HEAD as ON_STYLES
from runs import SUPPORTED, Go, apart

from saeprobe.plugin.collecting import found_with
from saeprobe.prompts import PromptFile

HEAD = "from saeprobe import claim, subjects, unverifiable\n"
EVERYWHERE = 'pytestmark = subjects("sparrow", "gpt2", "llama70b", "llama70b-as-published")\n'
PROBE = '@claim("It is smarter.", id="smarter", source="none")\ndef test_it():\n    unverifiable("no")\n'
OTHER = '@claim("It is wiser.", id="wiser", source="none")\ndef test_other():\n    unverifiable("no")\n'


Collect = Callable[..., list[str]]
"""Collects a file of probes and returns the subjects of one of them."""


def names(out: str, test: str = "test_it") -> list[str]:
    """The subjects whose variants of a test are listed by --collect-only -q."""
    listed = [line for line in out.splitlines() if "::" in line and f"::{test}[" in line]
    return [line.partition("[")[2].rstrip("]") for line in listed]


@pytest.fixture
def collected(pytester: pytest.Pytester) -> Collect:
    """Collects without deciding anything."""

    def collect(*arguments: str, text: str, ini: str = "", test: str = "test_it") -> list[str]:
        run_ini = f'[tool.pytest.ini_options]\naddopts = ["--strict-markers"]\n{ini}'
        pytester.makepyfile(test_probes=HEAD + text)
        pytester.makepyprojecttoml(run_ini)
        ran = pytester.runpytest_inprocess("--collect-only", "-q", "-p", "no:cacheprovider", *arguments)
        assert ran.ret in (0, 5), ran.stdout.str()
        return names(ran.stdout.str(), test)

    return collect


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ("sparrow", ["sparrow"]),
        ("gpt2", ["gpt2"]),
        ("llama70b", ["llama70b", "llama70b-as-published"]),
        ("not llama70b", ["sparrow", "gpt2"]),
        ("sparrow or gpt2", ["sparrow", "gpt2"]),
        ("llama70b and not sparrow", ["llama70b", "llama70b-as-published"]),
    ],
)
def test_a_marker_selects_exactly_the_variants_of_its_subject(
    collected: Collect, expression: str, chosen: list[str]
) -> None:
    """The mark sits on the variant, not on the test; a protocol answers to the name of its model too."""
    assert collected("-m", expression, text=EVERYWHERE + PROBE) == chosen


def test_a_bare_run_takes_the_specimens(collected: Collect) -> None:
    """Real models run only when they are asked for."""
    assert collected(text=EVERYWHERE + PROBE) == ["sparrow"]
    assert collected(text=PROBE) == ["sparrow", "finch"]


@pytest.mark.parametrize("name", ["gpt2", "llama70b", "llama70b-as-published"])
def test_a_node_id_runs_a_subject_that_is_no_default(collected: Collect, name: str) -> None:
    """Who writes the variant in full gets it."""
    assert collected(f"test_probes.py::test_it[{name}]", text=EVERYWHERE + PROBE) == [name]


def test_the_defaults_can_be_set_in_the_ini_file(collected: Collect) -> None:
    """`saeprobe_default_subjects` takes the place of the specimens, also for a probe that names no subject."""
    ini = 'saeprobe_default_subjects = ["gpt2"]\n'
    assert collected(text=EVERYWHERE + PROBE, ini=ini) == ["gpt2"]
    assert collected(text=PROBE, ini=ini) == ["gpt2"]


OWN = '[tool.saeprobe.subjects.{}]\nmodel = "a/b"\nsae = {{ path = "sae" }}\n{}\n'


@pytest.mark.parametrize(
    ("declared", "chosen"),
    [
        ({"mine": ""}, ["mine"]),
        ({"mine": "", "ours": "", "other": "default = false"}, ["mine", "ours"]),
        ({"mine": "", "ours": "default = true"}, ["mine", "ours"]),
        ({"mine": "default = false"}, ["sparrow", "finch"]),
        ({"mine": "default = 1"}, ["mine"]),
    ],
    ids=["one", "one-left-out", "one-named", "none", "wrong"],
)
def test_a_project_runs_its_own_subjects(collected: Collect, declared: dict[str, str], chosen: list[str]) -> None:
    """A probe that names none runs on all but those that say `default = false`, or else on the specimens."""
    assert collected(text=PROBE, ini="".join(OWN.format(*each) for each in declared.items())) == chosen


def test_a_named_specimen_runs_beside_a_subject_of_the_projects_own(collected: Collect) -> None:
    """To declare a subject leaves no probe out that names a specimen."""
    probe = "@subjects('sparrow', 'mine', 'other')\n" + PROBE
    own = OWN.format("mine", "default = true") + OWN.format("other", "default = false")
    assert collected(text=probe, ini=own) == ["sparrow", "mine"]


def test_what_is_not_selected_is_said_with_what_would_select_it(go: Go, pytester: pytest.Pytester) -> None:
    """A probe does not vanish without a word, by default as under `-m` and `-k`."""
    specimens = "@subjects('sparrow', 'finch+gpt2')\n" + PROBE
    run = go(head=HEAD, probes=specimens)
    assert run.code == 5
    (said,) = run.lines(
        "nothing selected of smarter: it runs on sparrow, finch, gpt2; by default llama70b-as-published "
    )
    assert said.endswith("would run; select with -m 'sparrow or finch or gpt2'")
    assert run.lines("1 deselected") or run.lines("2 deselected")
    assert go("-m", "finch", head=HEAD, probes=specimens).code == 0
    run = go("-m", "qwen7b", head=HEAD, probes=specimens)
    runs = "nothing selected of smarter: it runs on sparrow, finch, gpt2; "
    assert run.lines(f"{runs}-m qwen7b leaves it out; select with -m 'sparrow or finch or gpt2'")
    (said,) = go("-k", "nothing", "-m", "finch", head=HEAD, probes=specimens).lines(runs)
    assert f"{runs}-k nothing and -m finch leaves it out; select" in said
    run = go("-k", "nothing", head=HEAD, probes=PROBE)
    (said,) = run.lines("nothing selected of smarter: it runs on llama70b-as-published; ")
    assert said.endswith("; -k nothing leaves it out")
    assert not go("-k", "test_other", head=HEAD, probes=PROBE + OTHER).lines("nothing selected")
    pytester.makepyprojecttoml(OWN.format("mine", ""))
    (said,) = go("--collect-only", head=HEAD, probes="@subjects('gpt2')\n" + PROBE + OTHER).lines(
        "nothing selected of "
    )
    assert said.endswith("smarter: it runs on gpt2; by default sparrow, finch, mine would run; select with -m gpt2")


def test_the_mark_of_a_function_goes_before_that_of_its_file(collected: Collect) -> None:
    """One probe of a file may run elsewhere than the others."""
    text = 'pytestmark = subjects("sparrow")\n@subjects("gpt2")\n' + PROBE + OTHER
    assert collected("-m", "gpt2", text=text) == ["gpt2"]
    assert collected("-m", "sparrow", text=text) == []
    assert collected("-m", "sparrow", text=text, test="test_other") == ["sparrow"]


def test_a_keyword_with_the_name_of_a_subject_selects_it(collected: Collect) -> None:
    """`-k gpt2` means the variants whose names hold it; another keyword leaves the defaults as they are."""
    assert collected("-k", "gpt2", text=EVERYWHERE + PROBE) == ["gpt2"]
    assert collected("-k", "test_it", text=EVERYWHERE + PROBE) == ["sparrow"]


def test_a_marker_of_something_else_selects_no_subject(collected: Collect) -> None:
    """`-m "not slow"` is no wish for a model of seventy billion parameters."""
    ini = 'markers = ["slow"]\n'
    assert collected("-m", "not slow", text=EVERYWHERE + PROBE, ini=ini) == ["sparrow"]
    assert collected("-m", "gpt2 and not slow", text=EVERYWHERE + PROBE, ini=ini) == ["gpt2"]


def test_an_unknown_subject_is_an_error_with_the_nearest_name(go: Go) -> None:
    """A typo fails the probe, under each `-m` of a subject, with the name that was meant and without a traceback."""
    run = go(head=HEAD, probes='pytestmark = subjects("sparow")\n' + PROBE)
    assert (run.code, run.report["planned"]) == (1, ["smarter[sparow]"])
    assert go("-m", "finch", others="").lines("1 error")
    assert run.lines("test_probes.py::test_it: there is no subject 'sparow'; did you mean 'sparrow'?")
    assert not run.lines("registry.py")


def test_an_ordinary_test_may_run_on_subjects(collected: Collect) -> None:
    """A test that asks for `saeprobe_subject` has variants too; one that does not is left alone."""
    text = EVERYWHERE + "def test_it(saeprobe_subject):\n    pass\ndef test_other():\n    pass\n"
    assert collected("-m", "llama70b", text=text) == ["llama70b", "llama70b-as-published"]
    assert collected(text=text) == ["sparrow"]


def test_two_claims_with_one_id_are_not_decided(go: Go) -> None:
    """What is said names the id and both places, in one file or in two; the gate takes neither for the other."""
    again = OTHER.replace('id="wiser"', 'id="smarter"')
    run = go(head=HEAD, probes=PROBE + again)
    assert (run.code, run.probes) == (1, {})
    assert run.report["planned"] == ["smarter[llama70b-as-published]"] * 2
    places = "that of test_probes.py::test_it and that of test_probes.py::test_other"
    assert run.lines(f"two claims have the id 'smarter': {places}; rename one of them, or keep the claim in a name")
    elsewhere = go(head=HEAD, probes=PROBE, others=again)
    assert (elsewhere.code, elsewhere.probes) == (1, {})
    assert elsewhere.lines("that of test_others.py::test_other and that of test_probes.py::test_it; rename one of them")


def test_variants_of_one_claim_are_no_conflict(go: Go) -> None:
    """A claim on two subjects is one claim."""
    run = go("-m", "llama70b", head=HEAD, probes='pytestmark = subjects("llama70b", "llama70b-as-published")\n' + PROBE)
    assert run.code == 0
    assert list(run.probes) == ["smarter[llama70b]", "smarter[llama70b-as-published]"]


def test_ordinary_tests_alone_write_no_report(go: Go) -> None:
    """A suite without claims sees nothing of the plugin."""
    run = go(head="", ordinary="def test_plain():\n    pass\n")
    assert run.code == 0
    assert not (run.folder / "reports").exists()
    assert not run.lines("claims")
    assert not run.lines("plan:")


SIX = """
name = "six"
language = "en"
[[topics]]
name = "sorting"
[[topics]]
name = "baking"
[styles.novice]
templates = ["{topic}, slowly?", "Explain {topic}."]
[styles.expert]
templates = ["{topic}!", "State {topic}."]
"""


@pytest.mark.parametrize(
    ("ini", "options"),
    [("", ("--saeprobe-prompts=sparrow=six.toml",)), ('saeprobe_prompts = ["sparrow = six.toml"]\n', ())],
    ids=["option", "ini"],
)
def test_a_run_on_given_prompts_says_so(tmp_path: Path, ini: str, options: tuple[str, ...]) -> None:
    """The plan names the file, and the report too, where the gate finds it."""
    (tmp_path / "six.toml").write_text(SIX, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(f"[tool.pytest.ini_options]\n{ini}", encoding="utf-8")
    head = f"{ON_STYLES}pytestmark = subjects('sparrow')\n"
    (tmp_path / "test_probes.py").write_text(head + SUPPORTED, encoding="utf-8")
    run = apart(tmp_path, *options)
    file = str(PromptFile.read("six.toml", tmp_path))
    (sparrow,) = run.report["subjects"]
    assert sparrow["other_prompts"] == file
    assert len(run.lines(f"plan: sparrow reads {file} in the place of STYLES")) == 1


@pytest.mark.parametrize(
    ("name", "to", "other"),
    [
        ("sparrow", "sparrow", True),
        ("finch", "sparrow", False),
        ("undeclared", "undeclared", True),
        ("undeclared", "sparrow", True),
        ("declared", "sparrow", False),
        ("declared", "declared", False),
        ("llama70b-as-published", "llama70b-as-published", False),
        ("llama70b-one-bos", "llama70b-as-published", False),
        ("llama70b-other-prompts", "llama70b-other-prompts", True),
    ],
)
def test_prompts_are_others_where_they_are_neither_declared_nor_needed(
    tmp_path: Path, *, name: str, to: str, other: bool
) -> None:
    """A protocol that has its prompts from the subject it is of has others once that one is given some."""
    (tmp_path / "six.toml").write_text(SIX, encoding="utf-8")
    own = '[tool.saeprobe.subjects.{}]\nprotocol_of = "sparrow"\n{}\n'
    declared = own.format("undeclared", "") + own.format("declared", 'prompts = "six.toml"')
    (tmp_path / "pyproject.toml").write_text(declared, encoding="utf-8")
    spec = found_with(name, tmp_path, {to: PromptFile.read("six.toml", tmp_path)}).spec
    assert (spec.wrong, spec.other_prompts) == (None, other)

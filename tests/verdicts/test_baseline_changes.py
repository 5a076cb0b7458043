"""What is said to have changed between an approval and a run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from baselines_made import baseline, found, sample, summary, value

from saeprobe.verdicts.baseline import changed_prompts, compare_baseline
from saeprobe.verdicts.baseline_files import Provenance, changes, identity_of

SPARROW = {
    "model": "specimens/sparrow/model",
    "model_hash": "sha256:" + "a" * 64,
    "sae": "specimens/sparrow/sae",
    "sae_hash": "sha256:" + "b" * 64,
    "hook_name": "blocks.2.hook_resid_pre",
    "dtype": "float32",
    "protocol": "BOS prepended",
    "fingerprint": "c" * 64,
}
NOW = Provenance(
    subjects={"sparrow": SPARROW},
    versions={"torch": "2.13.0", "transformers": "5.23.0"},
    python="3.11.7",
    platform="Linux",
    device="cpu",
    evidence=None,
    commit="0123456789abcdef",
    dirty=False,
)


def of_subject(**fields: str | None) -> Provenance:
    """The run with these fields of sparrow otherwise."""
    return replace(NOW, subjects={"sparrow": SPARROW | fields})


def test_nothing_differs_from_itself() -> None:
    """The same run has no changes."""
    assert changes(NOW, NOW) == ()


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (of_subject(sae_hash="sha256:" + "d" * 64), "SAE (hash bbbbbbbb -> dddddddd)"),
        (of_subject(model_hash="sha256:" + "d" * 64), "model (hash aaaaaaaa -> dddddddd)"),
        (
            of_subject(model="gpt2", model_hash="d" * 64),
            "model specimens/sparrow/model -> gpt2 (hash aaaaaaaa -> dddddddd)",
        ),
        (of_subject(sae="other", sae_hash=None), "SAE specimens/sparrow/sae -> other"),
        (
            of_subject(hook_name="blocks.3.hook_resid_pre"),
            "hook blocks.2.hook_resid_pre -> blocks.3.hook_resid_pre",
        ),
        (of_subject(dtype="bfloat16"), "dtype float32 -> bfloat16"),
        (of_subject(protocol="no BOS"), "protocol BOS prepended -> no BOS"),
        (of_subject(fingerprint="d" * 64), "fingerprint cccccccc -> dddddddd"),
        (replace(NOW, versions={"transformers": "5.24.1", "torch": "2.13.0"}), "transformers 5.23.0 -> 5.24.1"),
        (replace(NOW, python="3.12.0"), "Python 3.11.7 -> 3.12.0"),
        (replace(NOW, platform="Darwin"), "platform Linux -> Darwin"),
        (replace(NOW, device="cuda:0"), "device cpu -> cuda:0"),
        (replace(NOW, commit="fedcba9876543210"), "commit 0123456789ab -> fedcba987654"),
        (replace(NOW, dirty=True), "changes that are not committed"),
    ],
)
def test_each_thing_that_differs_is_told(now: Provenance, told: str) -> None:
    """In words, with both values, and nothing else."""
    assert changes(NOW, now) == (told,)


def test_recorded_evidence_is_told_by_its_folder() -> None:
    """Other files stood in for the models."""
    assert changes(replace(NOW, evidence="day1"), replace(NOW, evidence="day2")) == ("recorded evidence day1 -> day2",)


def test_where_files_lie_is_no_change() -> None:
    """Of the same content the name says nothing."""
    assert changes(NOW, of_subject(model="/elsewhere/model", sae="/elsewhere/sae")) == ()


@pytest.mark.parametrize(
    "unknown",
    [
        Provenance(),
        replace(NOW, python=None, platform=None, device=None, commit=None, dirty=None),
        of_subject(**dict.fromkeys(SPARROW)),
        replace(NOW, versions={}),
        replace(NOW, versions=NOW.versions | {"scipy": "1.17"}),
        replace(NOW, subjects={"finch": SPARROW | {"dtype": "bfloat16"}}),
    ],
)
def test_what_one_of_the_two_does_not_tell_is_no_change(unknown: Provenance) -> None:
    """Neither from known to unknown nor back."""
    assert changes(NOW, unknown) == changes(unknown, NOW) == ()


def test_a_tree_that_was_dirty_before_is_no_change() -> None:
    """Only what is not committed now keeps this run from being told."""
    assert changes(replace(NOW, dirty=True), NOW) == ()


def test_the_fingerprint_is_told_only_where_nothing_else_explains_it() -> None:
    """It is made of hashes, protocol and versions."""
    other = {"fingerprint": "d" * 64}
    for now in (of_subject(**other, dtype="bfloat16"), replace(of_subject(**other), versions={"torch": "2.14.0"})):
        (told,) = changes(NOW, now)
        assert not told.startswith("fingerprint")
    assert changes(NOW, replace(of_subject(**other), python="3.12.0")) == (
        "fingerprint cccccccc -> dddddddd",
        "Python 3.11.7 -> 3.12.0",
    )


def test_of_several_subjects_each_is_named() -> None:
    """A claim on two subjects says in which of them something changed."""
    two = replace(NOW, subjects={"sparrow": SPARROW, "finch": SPARROW})
    now = replace(NOW, subjects={"sparrow": SPARROW, "finch": SPARROW | {"dtype": "bfloat16"}})
    assert changes(two, now) == ("dtype float32 -> bfloat16 of finch",)


def test_changes_stand_in_the_order_of_likely_causes() -> None:
    """Weights first, then libraries by name, then the machine, then the commit."""
    now = replace(of_subject(sae_hash="d" * 64), versions={"transformers": "6", "torch": "3"}, commit="f" * 40)
    assert changes(NOW, now) == (
        "SAE (hash bbbbbbbb -> dddddddd)",
        "torch 2.13.0 -> 3",
        "transformers 5.23.0 -> 6",
        "commit 0123456789ab -> ffffffffffff",
    )


def test_prompts_are_told_together_or_by_label() -> None:
    """`prompts` where all of them are others, else whose; summaries tell nothing of theirs."""
    same = value(1.0, label="expert", prompts="x"), value(1.0, label="expert", prompts="x")
    other = value(1.0, label="novice", prompts="x"), value(1.0, label="novice", prompts="y")
    again = value(1.0, label="novice", unit="activation", prompts="x"), value(1.0, label="novice", prompts="y")
    mute = value(1.0, label="guru", prompts=""), value(1.0, label="guru", prompts="y")
    assert changed_prompts([same]) == ()
    assert changed_prompts([]) == ()
    assert changed_prompts([mute]) == changed_prompts([mute[::-1]]) == ()
    assert changed_prompts([other, mute]) == ("prompts",)
    assert changed_prompts([same, other, again]) == ("prompts of novice",)


def test_a_comparison_tells_prompts_before_the_rest() -> None:
    """What was asked comes before what it was asked of."""
    old = sample("novice", [[1.0, 2.0]])
    new = replace(old, prompts=tuple(replace(prompt, text=prompt.text + "!") for prompt in old.prompts))
    approved = baseline(old, measured_with=NOW)
    beside = compare_baseline(approved, found(new).samples, replace(NOW, python="3.12.0"))
    assert beside.changed == ("prompts", "Python 3.11.7 -> 3.12.0")
    assert compare_baseline(approved, found(summary("x", 1.0)).samples, NOW).changed == ()


def test_what_is_kept_of_a_subject_is_its_identity() -> None:
    """The fields of a report that decide what is computed; those that are absent are unknown."""
    assert identity_of(SPARROW | {"name": "sparrow", "d_in": 160}) == SPARROW
    assert identity_of({"model": 7}) == dict.fromkeys(SPARROW)
    assert identity_of({"model": None, "dtype": "float32"}) == dict.fromkeys(SPARROW) | {"dtype": "float32"}

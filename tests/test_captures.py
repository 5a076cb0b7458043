"""Captures, steering and subjects are refused where they are written wrongly."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from saeprobe import capture, steer, subjects
from saeprobe.prompts import SHOPPING, STYLES


@pytest.mark.parametrize("prompts", [["a", "b"], "a", None])
def test_prompts_that_are_no_set_are_refused(prompts: Any) -> None:
    """Both declarations say what they take."""
    for declare in (lambda: capture(prompts), lambda: steer(prompts, feature=1, strengths=[1])):
        with pytest.raises(TypeError, match=r"the prompts are .*; wanted a set such as STYLES"):
            declare()


def test_a_place_that_there_is_not_is_refused() -> None:
    """An unknown place is refused before anything runs, with the nearest one there is."""
    anywhere: Any = "lasst"
    with pytest.raises(ValueError, match=r"at is 'lasst', did you mean 'last'\?; wanted 'last' or 'all', or span="):
        capture(STYLES, at=anywhere)
    first: Any = "first"
    with pytest.raises(ValueError, match=r"at is 'first'"):
        capture(STYLES, at=first)


@pytest.mark.parametrize("keep", ["activation", ("effective_rank", "activation")])
def test_what_cannot_be_kept_is_refused(keep: Any) -> None:
    """Nothing that is asked for is left out unsaid."""
    found = (
        r"keep names 'activation', did you mean 'activations'\?; wanted some of features, activations, effective_rank"
    )
    with pytest.raises(ValueError, match=found):
        capture(STYLES, keep=keep)


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("effective_rank", {"effective_rank"}),
        (["effective_rank"], {"effective_rank"}),
        (("features", "effective_rank"), {"features", "effective_rank"}),
        (("activations", "effective_rank"), {"features", "activations", "effective_rank"}),
        ("activations", {"features", "activations"}),
        ((), {"features"}),
    ],
)
def test_features_are_kept_unless_the_effective_rank_is_all_that_is_named(keep: Any, kept: set[str]) -> None:
    """The rank is of the model's own activations; all else goes with features."""
    assert capture(STYLES, keep=keep).keep == kept


def test_a_single_strength_is_refused_with_how_to_write_it() -> None:
    """Strengths are several."""
    single: Any = 20
    with pytest.raises(TypeError, match=r"strengths is 20; wanted several numbers: strengths=\[20\]"):
        steer(SHOPPING, feature=1, strengths=single)


def test_a_declaration_taken_for_evidence_says_how_to_read_it() -> None:
    """A probe that did not take it as an argument holds the declaration itself."""
    styles: Any = capture(STYLES)
    golden: Any = steer(SHOPPING, feature=1, strengths=[20])
    read = r"write its name as an argument of the test, such as def test_more\(styles\)"
    with pytest.raises(TypeError, match=rf"a capture is declared here and read by pytest: .*{read}"):
        styles["novice"]
    with pytest.raises(AttributeError, match=rf"a capture has no 'acts'; it is declared here .*{read}"):
        styles.acts  # noqa: B018 - the look-up is what is tested
    with pytest.raises(AttributeError, match=rf"a steering has no 'at'; it is declared here .*{read}"):
        golden.at(20)


def test_a_declaration_is_data_all_the_same() -> None:
    """What Python asks of any object is answered as by one without hints."""
    styles = capture(STYLES)
    assert copy.deepcopy(styles) == pickle.loads(pickle.dumps(styles)) == styles  # noqa: S301 - made here
    assert not hasattr(styles, "__wrapped__")


def test_subjects_without_names_are_refused() -> None:
    """The mark stands above a test with its names, one by one."""
    mark: Any = subjects

    def test_it() -> None: ...

    with pytest.raises(TypeError, match=r"subjects stands above test_it without names; write @subjects\('sparrow'"):
        mark(test_it)
    with pytest.raises(TypeError, match=r"subjects got \['sparrow'\]; write"):
        mark(["sparrow"])

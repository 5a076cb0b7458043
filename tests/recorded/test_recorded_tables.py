"""EID tables, what is not there, and the prompts behind a rate."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from made_records import TOPICS, read

from saeprobe import every
from saeprobe.claims import NotRun
from saeprobe.evidence.evidence import Recorder, recording
from saeprobe.evidence.values import Measurement
from saeprobe.features.sparse import Keep
from saeprobe.files import FileError
from saeprobe.measures import effective_rank, l0
from saeprobe.recorded.directory import Recorded, RecordedStyle, smallest_count
from saeprobe.recorded.tensors import ArticleActivations, write_activations

# an EID table


def test_an_eid_table_gives_a_value_and_a_length_a_prompt(with_eid: Recorded) -> None:
    """Each persona has its values in the order of the topics, with the prompts' lengths."""
    found = effective_rank(with_eid["novice"])
    assert isinstance(found, Measurement)
    assert list(found.values[:2]) == pytest.approx([4.5 + 0.3 * 28 + 0.3, 4.5 + 0.3 * 29 + 0.1])
    assert found.n_tokens is not None
    assert list(found.n_tokens) == [28, 29, 30, 30, 31, 32]
    assert [prompt.topic for prompt in found.prompts] == list(TOPICS)
    assert with_eid.styles == ("standard", "novice", "expert")


def test_an_eid_table_decides_under_the_control_for_length(with_eid: Recorded) -> None:
    """Novice above expert survives at equal length; both above standard is what 12 tokens more do.

    12 tokens at about 0.3 make 3.6; novice lies 3.3 above standard on average and expert 3.1.
    """
    with recording(Recorder(controls=("length",))):
        equal = effective_rank(with_eid["novice"]) > effective_rank(with_eid["expert"])
        longer = every(effective_rank(with_eid[style]) for style in ("novice", "expert")) > effective_rank(
            with_eid["standard"]
        )
    assert equal.outcome == "supported"
    assert equal.estimate == pytest.approx(1.3 / 6)
    assert longer.outcome == "refuted"
    assert "2 of the 2 differences fall below zero (0 before)" in longer.reason


def test_an_eid_table_tells_effective_rank_only(with_eid: Recorded) -> None:
    """Other measures are not run, with the file that would tell."""
    with pytest.raises(NotRun, match=r"does not hold the l0 of novice prompts \(it holds: effective rank\)"):
        l0(with_eid["novice"])


# what is not there


@pytest.mark.parametrize(
    ("keep", "at", "remedy"),
    [
        ("features", "last", "put features_layer50.pt or feature_diff.json of the run there"),
        ("effective_rank", "last", "holds no EID table; put one there as eid_persona_results.json"),
        ("features", "all", "recorded files hold the features of the last token only"),
        ("activations", "last", "recorded files hold the features of the last token only"),
    ],
)
def test_an_empty_directory_says_what_to_put_there(
    tmp_path: Path, keep: Keep, at: Literal["last", "all"], remedy: str
) -> None:
    """Each capture names the file that would decide it, or why none can."""
    with pytest.raises(NotRun) as refused:
        read(tmp_path, keep=keep, at=at)
    assert remedy in str(refused.value)


def test_activations_alone_are_to_be_encoded_first(tmp_path: Path) -> None:
    """The command that makes features of them is named with the file."""
    path = tmp_path / "activations_layer50.pt"
    write_activations(
        path,
        ArticleActivations(
            topics=TOPICS[:2],
            gurus=("", ""),
            styles=("novice", "expert"),
            activations=np.ones((2, 2, 3), dtype=np.float32),
        ),
    )
    with pytest.raises(NotRun) as refused:
        read(tmp_path)
    assert f"saeprobe encode {path} --sae SAE -o features_layer50.pt" in str(refused.value)


@pytest.mark.parametrize(
    ("names", "keep"),
    [
        (("features_layer50.pt", "features_old.pt"), "features"),
        (("feature_diff.json", "feature_diff_2.json"), "features"),
        (("eid_a.json", "eid_b.json"), "effective_rank"),
        (("activations_a.pt", "activations_b.pt"), "features"),
    ],
)
def test_two_files_of_one_kind_are_not_chosen_between(tmp_path: Path, names: tuple[str, str], keep: Keep) -> None:
    """Nothing says which is meant, so neither is read; both are named."""
    for name in names:
        (tmp_path / name).write_text("never read", encoding="utf-8")
    with pytest.raises(NotRun, match=rf"{names[0]}, {names[1]}; leave the one that is meant"):
        read(tmp_path, keep=keep)


def test_a_damaged_file_is_an_error_and_no_verdict(tmp_path: Path) -> None:
    """A file of the right name and the wrong content is refused, not passed over."""
    (tmp_path / "feature_diff.json").write_text("{", encoding="utf-8")
    with pytest.raises(FileError, match="it is not JSON"):
        read(tmp_path)


# the prompts behind a rate


@pytest.mark.parametrize(
    ("rates", "smallest"),
    [
        ((1.0, 0.0), 1),
        ((0.5,), 2),
        ((0.25, 0.5), 4),
        ((0.98, 0.02), 50),
        ((1 / 3, 1 / 4), 12),
        ((float(np.float32(1 / 7)),), 7),
        ((1 / 1009,), None),
    ],
)
def test_the_smallest_number_of_prompts_behind_rates(rates: tuple[float, ...], smallest: int | None) -> None:
    """Every rate must be a whole number of that many prompts; float32 may have rounded it; some are none."""
    assert smallest_count(rates) == smallest


@given(n=st.integers(1, 200), fired=st.lists(st.integers(0, 200), min_size=1, max_size=5))
def test_the_smallest_number_divides_the_true_one(n: int, fired: list[int]) -> None:
    """Rates out of n prompts are whole out of the number found, which is the least common denominator."""
    assume(all(count <= n for count in fired))
    rates = tuple(float(np.float32(count / n)) for count in fired)
    expected = n // int(np.gcd.reduce([n, *fired]))
    assert smallest_count(rates) == expected


def test_a_recorded_style_names_itself_and_its_file(with_diff: Recorded) -> None:
    """What is printed of a record tells its origin."""
    assert isinstance(with_diff["novice"], RecordedStyle)
    assert repr(with_diff["novice"]) == "<novice of feature_diff.json>"
    assert repr(with_diff) == "<feature_diff.json: novice, expert, standard>"

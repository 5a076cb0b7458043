"""What a record leaves out, and what several files of one run state differently, is said and never taken for all."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_records import EXPERT, NOVICE, SUBJECT, TOPICS, article_features, read, small_diff, write_eid, write_json
from scipy.sparse import csr_array

from saeprobe import published
from saeprobe.claims import NotRun
from saeprobe.features import Features, RecordedRun
from saeprobe.files import FileError
from saeprobe.measures import clusters, n_tokens
from saeprobe.recorded.comparison import compare_styles, write_feature_diff
from saeprobe.recorded.recognition import recorded_files
from saeprobe.recorded.record import Recorded
from saeprobe.recorded.tensors import ArticleFeatures, write_article


def test_styles_that_were_asked_for_and_are_not_there_are_never_passed_over(tmp_path: Path) -> None:
    """Of STYLES a record of two lacks four, so that neither `every` nor `clusters` is of all."""
    write_article(tmp_path / "features.pt", article_features())
    of = read(tmp_path)
    lacking = "features.pt holds nothing of standard, padding, spaces, guru prompts"
    for ask in (lambda: of.styles, lambda: clusters(of), lambda: of.whole.styles):  # type: ignore[union-attr]
        with pytest.raises(NotRun, match=lacking):
            ask()
    assert of["novice"].styles == ("novice",)


def test_a_comparison_lacks_styles_too_and_a_table_of_personas_keeps_its_own(tmp_path: Path) -> None:
    """A table of EID is of personas, which are no STYLES."""
    write_feature_diff(tmp_path / "feature_diff.json", small_diff())
    write_eid(tmp_path / "eid.json")
    with pytest.raises(NotRun, match="holds nothing of padding, spaces, guru prompts"):
        _ = read(tmp_path).styles
    ranks = read(tmp_path, keep="effective_rank")
    assert ranks.styles == ("standard", "novice", "expert")
    of = read(tmp_path)
    assert isinstance(of, Recorded)
    with pytest.raises(NotRun, match="does not say how many tokens each prompt has"):
        n_tokens(of["novice"])


def test_the_first_row_of_a_file_is_not_taken_for_the_first_topic(tmp_path: Path) -> None:
    """Without the subject's prompts nobody knows the order in which they were read."""
    write_article(tmp_path / "features.pt", article_features())
    with pytest.raises(NotRun, match=f"--saeprobe-prompts {SUBJECT}=FILE"):
        _ = read(tmp_path).first_topic


@pytest.mark.parametrize(
    ("run", "n", "language", "said"),
    [
        (("zh", "", None, ""), 6, "en", "its topics are in 'zh' where"),
        (("en", "", None, ""), 6, "en", ""),
        (("", "", None, ""), 6, "en", ""),
        (("en", "on others", 50, "zh"), 6, "en", ""),  # the subject's prompts are not those of the printed run
        (("en", "on others", 6, "zh"), 6, "en", ""),
        (("en", "on others", 6, "en"), 6, "en", "on others"),
        (("en", "on others", 6, "en"), 6, "", "on others"),
    ],
)
def test_a_printed_run_is_known_by_its_size_and_language(
    run: tuple[str, str, int | None, str], n: int, language: str, said: str
) -> None:
    """Only where the subject's prompts are those of the printed run do they say what another one is."""
    of, another, own, own_language = run
    recorded = RecordedRun(origin="f.pt", n=6, language=of, another=another, own=own, own_language=own_language)
    assert recorded.apart(n, language).startswith(said) if said else not recorded.apart(n, language)
    assert "another run" not in str(recorded)


def test_a_language_that_is_none_of_the_two_is_refused() -> None:
    """A misspelt one would agree with nothing."""
    with pytest.raises(ValueError, match="language is 'english'"):
        published(novice=1, unit="features", language="english")  # type: ignore[arg-type]


def test_a_table_is_not_taken_beside_topics_of_another_run(tmp_path: Path) -> None:
    """A list of as many topics, all of them others, contradicts it; one that shares a topic does not."""
    write_eid(tmp_path / "eid.json")
    write_json(tmp_path / "topics.json", [f"other {n}" for n in range(len(TOPICS))])
    with pytest.raises(FileError, match=r"none of its 6 topics is among the 6 of topics.json"):
        read(tmp_path, keep="effective_rank")
    write_json(tmp_path / "topics.json", [*TOPICS[:1], *(f"other {n}" for n in range(len(TOPICS) - 1))])
    assert isinstance(read(tmp_path, keep="effective_rank"), Recorded)


@pytest.mark.parametrize("made", ["summary", "features"])
def test_features_and_what_contradicts_them_are_neither_taken(tmp_path: Path, made: str) -> None:
    """What the summary states is counted in the features; one firing less is another number."""
    write_article(tmp_path / "features.pt", article_features())
    write_feature_diff(tmp_path / "diff.json", compare_styles(article_features(), "novice", "expert"))
    assert isinstance(read(tmp_path), Features)
    changed = NOVICE.copy()
    changed[0, 3] = 0
    features = {"novice": csr_array(changed), "expert": csr_array(EXPERT)}
    other = ArticleFeatures(topics=TOPICS, gurus=("",) * 6, rows=features)
    if made == "summary":
        write_feature_diff(tmp_path / "diff.json", compare_styles(other, "novice", "expert"))
    else:
        write_article(tmp_path / "more.pt", replace(other, rows={"novice": csr_array(changed)}))
    with pytest.raises(NotRun, match=r"fit equally: the (l0|sum) of novice"):
        read(tmp_path)


def test_a_file_that_cannot_be_read_is_the_only_one_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links to nothing or to themselves, and a disk that fails, are each a problem of their own."""
    write_eid(tmp_path / "eid.json")
    (tmp_path / "dangling.json").symlink_to("nowhere")
    (tmp_path / "loop.json").symlink_to("loop.json")
    (tmp_path / "broken.json").write_text("[]")
    opened = Path.stat

    def fails(path: Path, **terms: bool) -> object:
        if path.name == "broken.json":
            raise PermissionError(13, "Permission denied")
        return opened(path, **terms)

    monkeypatch.setattr(Path, "stat", fails)
    found = {file.path.name: file.problem for file in recorded_files([tmp_path])}
    assert [name for name, problem in found.items() if problem is None] == ["eid.json"]
    assert len(found) == 4
    assert isinstance(read(tmp_path, keep="effective_rank"), Recorded)


def test_a_copy_counts_once_and_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """The same bytes are one file; other bytes under the same name are named with their folder."""
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
        write_eid(folder / "eid.json")
    shutil.copy(folders[0] / "eid.json", folders[0] / "copy.json")
    assert len(recorded_files(folders)) == 1
    entries = json.loads((folders[1] / "eid.json").read_text())
    entries[0]["eid"]["novice"]["eid"] -= 1
    write_json(folders[1] / "eid.json", entries)
    (folders[0] / "copy.json").unlink()
    assert [file.name for file in recorded_files(folders)] == ["a/eid.json", "b/eid.json"]
    assert np.isclose(entries[0]["eid"]["novice"]["eid"], 12.2)

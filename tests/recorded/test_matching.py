"""Several recorded files: which one answers a capture, what completes it, and what is never compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from made_records import BY_TOPIC, FIRING, TOPICS, article_diff, article_features, small_diff, write_eid, write_json
from scipy.sparse import csr_array

from saeprobe import capture, correlation, every, published
from saeprobe.claims import Claim, NotRun, Published
from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.evidence.values import Summary
from saeprobe.features import Features
from saeprobe.files import FileError
from saeprobe.measures import (
    active_share,
    clusters,
    effective_rank,
    exclusive_features,
    firing_rate,
    halves,
    l0,
    max_activation,
    mean_activation,
    n_tokens,
    separates,
    separating_features,
)
from saeprobe.prompts import STYLES, PromptSet
from saeprobe.recorded import Stated
from saeprobe.recorded.comparison import write_feature_diff
from saeprobe.recorded.directory import in_words, recorded_evidence
from saeprobe.recorded.recognition import recorded_files
from saeprobe.recorded.record import Recorded
from saeprobe.recorded.tensors import ArticleFeatures, write_article
from saeprobe.verdicts import decide

READ = PromptSet.build(
    name="read", language="en", topics=TOPICS, styles={"novice": ["{topic}?"], "expert": ["prove {topic}"]}
)
STATED = Stated(subject="mine", d_sae=4, hook_name="blocks.49.hook_resid_post", prompts=READ)
OPEN = Stated(subject="mine")


def held(*paths: Path, stated: Stated = STATED, rank: bool = False) -> Any:
    """Read files in place of a capture of the prompts that `stated` names, or of STYLES."""
    asked = capture(STYLES if stated.prompts is None else stated.prompts, keep="effective_rank" if rank else "features")
    return recorded_evidence(recorded_files(paths), asked, stated)


def features(path: Path, topics: tuple[str, ...] = TOPICS, *, d_sae: int = 4, styles: int = 2) -> Path:
    """Write features of these topics; the first value says of which file they are, by its number of topics."""
    rows = np.ones((len(topics), d_sae), dtype=np.float32)
    named = dict.fromkeys(("novice", "expert", "guru")[:styles], csr_array(rows))
    write_article(path, ArticleFeatures(topics=topics, gurus=("",) * len(topics), rows=named))
    return path


def diff(path: Path, **changes: object) -> Path:
    """Write the small comparison, changed."""
    write_feature_diff(path, small_diff(**changes))
    return path


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Three files of one run, under names that say nothing."""
    return (
        diff(tmp_path / "a.json"),
        write_json(tmp_path / "b.json", FIRING),
        write_json(tmp_path / "c.json", BY_TOPIC),
    )


# which file answers


@pytest.mark.parametrize("names", [("x.pt", "y.pt", "z.pt"), ("z.dat", "eid.bin", "feature_diff.json")])
def test_of_three_runs_the_one_on_the_own_prompts_answers(tmp_path: Path, names: tuple[str, ...]) -> None:
    """What the files hold decides, whatever their names say: six topics of the probe, others, and four of them."""
    for name, topics in zip(names, (tuple("abcdef"), TOPICS, TOPICS[:4]), strict=True):
        features(tmp_path / name, topics)
    found = held(tmp_path)
    assert isinstance(found, Features)
    assert found.run is not None
    assert (found.run.origin, found.run.n, found.run.another) == (names[1], 6, "")


def test_of_runs_that_fit_equally_none_answers(tmp_path: Path) -> None:
    """Without prompts of its own a subject cannot choose; the files are named, with what tells them apart."""
    for name, topics in (("x.pt", tuple("abcdef")), ("y.pt", TOPICS), ("z.pt", TOPICS[:4])):
        features(tmp_path / name, topics)
    with pytest.raises(NotRun) as refused:
        held(tmp_path, stated=OPEN)
    assert "x.pt, y.pt, z.pt fit equally: prompts a style 6 against 6 against 4; topics ['a', 'b'" in str(refused.value)
    assert str(refused.value).endswith("leave the one that is meant")


def test_two_tables_of_other_values_are_not_chosen_between(tmp_path: Path) -> None:
    """Two EID tables on the same topics and styles differ in their numbers only, which is said."""
    write_eid(tmp_path / "one.json")
    (tmp_path / "two.json").write_text((tmp_path / "one.json").read_text().replace("28", "27"), encoding="utf-8")
    with pytest.raises(NotRun, match=r"one.json, two.json fit equally: .*only their numbers tell them apart; leave"):
        held(tmp_path, rank=True)


@pytest.mark.parametrize(
    ("name", "d_sae", "reason"),
    [("wide.pt", 5, "its features are 5 wide; wanted 4"), ("of_layer13.pt", 4, "its name says layer 13")],
)
def test_a_file_of_another_instrument_is_refused_for_another(
    tmp_path: Path, name: str, d_sae: int, reason: str
) -> None:
    """Another width or layer is no record of this subject; alone it is an error, and beside one that fits left out."""
    features(tmp_path / name, d_sae=d_sae)
    with pytest.raises(FileError, match=reason):
        held(tmp_path)
    features(tmp_path / "features.pt")
    assert held(tmp_path).run.origin == "features.pt"
    said = in_words(recorded_files([tmp_path]), [(capture(READ), STATED)])
    assert said.startswith(f"features.pt for features of novice, expert; not used: {name} ({reason.partition(';')[0]}")


def test_values_go_before_summaries_and_more_styles_before_fewer(tmp_path: Path) -> None:
    """On the same prompts the file with the values of each prompt answers, and of two the one with more styles."""
    diff(tmp_path / "feature_diff.json", dominant={"novice": (), "expert": ()})
    features(tmp_path / "pair.pt", styles=1)
    assert held(tmp_path).run.origin == "pair.pt"
    features(tmp_path / "both.pt")
    assert held(tmp_path).run.origin == "both.pt"


@pytest.mark.usefixtures("run")
def test_own_prompts_go_before_values(tmp_path: Path) -> None:
    """Summaries of the run that is meant answer before the values of another."""
    four = replace(STATED, d_sae=None, prompts=PromptSet.build(
        name="four", language="en", topics=TOPICS[:4], styles={"novice": ["{topic}?"], "expert": ["prove {topic}"]}
    ))  # fmt: skip
    features(tmp_path / "features.pt", tuple("abcdef"))
    assert isinstance(held(tmp_path, stated=four), Recorded)


def test_a_file_is_read_once_and_folders_in_folders_are_not_searched(tmp_path: Path) -> None:
    """A folder and one of its own files are given; a folder in it holds another run."""
    (tmp_path / "old").mkdir()
    features(tmp_path / "old" / "features.pt", tuple("abcdef"))
    file = features(tmp_path / "features.pt")
    (tmp_path / ".hidden.json").write_text("{", encoding="utf-8")
    assert [one.path for one in recorded_files([tmp_path, file])] == [file]


def test_what_holds_nothing_of_use_is_named_once(tmp_path: Path) -> None:
    """A list of topics and a text are no error; they stand in the line of the plan with what they are."""
    write_json(tmp_path / "topics.json", list(TOPICS))
    (tmp_path / "notes.md").write_text("# notes", encoding="utf-8")
    features(tmp_path / "features.pt")
    asked = [(capture(READ), STATED), (capture(READ, keep="effective_rank"), STATED)]
    assert in_words(recorded_files([tmp_path]), asked) == (
        "features.pt for features of novice, expert; "
        "not used: notes.md (no JSON and no tensors), topics.json (a list of 6 strings)"
    )


@pytest.mark.parametrize(("name", "rank"), [("eid_table.json", True), ("feature_diff.json", False), ("odd.json", True)])
def test_a_damaged_file_breaks_what_would_need_it(tmp_path: Path, name: str, *, rank: bool) -> None:
    """Its name says what it was; what another file answers is answered."""
    (tmp_path / name).write_text("{", encoding="utf-8")
    with pytest.raises(FileError, match="it is not JSON"):
        held(tmp_path, rank=rank)
    features(tmp_path / "features.pt")
    assert isinstance(held(tmp_path), Features)


def test_summaries_say_that_a_damaged_file_may_hold_the_rest(tmp_path: Path) -> None:
    """What they do not hold is not run, and the reason names the file that cannot be read."""
    diff(tmp_path / "feature_diff.json")
    (tmp_path / "features.pt").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(NotRun, match=r"features.pt, which may hold it, cannot be used: it cannot be read"):
        max_activation(held(tmp_path, stated=OPEN)["novice"])


# files that complete each other


@pytest.mark.usefixtures("run")
def test_files_of_one_run_are_one_record(tmp_path: Path) -> None:
    """Means and counts come from one file, rates with their number of prompts from another, values from the third."""
    found = held(tmp_path, stated=OPEN)
    assert (found.origin, found.present) == ("a.json + b.json + c.json", ("novice", "expert", "standard", "guru"))
    novice, guru = found["novice"], found["guru"]
    assert (novice.n, novice.family) == (4, found)
    assert [cast(Summary, firing_rate(of, 7)).value for of in (novice, guru)] == [1.0, 0.25]
    assert firing_rate(found["expert"], 9).n == 4
    assert exclusive_features(novice, found["expert"]).summary.value == 3
    assert list(novice.activation(8).values) == [0, 0.5, 0, 0.25]
    assert [prompt.topic for prompt in novice.activation(7).prompts] == ["tides", "yeast", "comets", "rust"]
    assert (novice.activation(7).measure, novice.activation(7).unit) == ("activation of feature 7", "activation")
    with pytest.raises(NotRun, match=r"does not hold the l0 of guru prompts \(it holds: firing rates of 2 features\)"):
        l0(guru)
    with pytest.raises(NotRun, match="does not hold what feature 7 does on guru prompts"):
        guru.activation(7)


def test_activations_without_all_topics_are_no_values(tmp_path: Path) -> None:
    """Where no feature names a topic, nothing says on which the silent prompts were."""
    only = {"novice_features": {"8": BY_TOPIC["novice_features"]["8"]}}
    write_json(tmp_path / "c.json", only)
    found = held(tmp_path, stated=OPEN)["novice"]
    assert cast(Summary, firing_rate(found, 8)).value == 0.5
    with pytest.raises(NotRun, match="does not hold what feature 8 does on novice prompts"):
        found.activation(8)


def test_what_files_state_differently_is_taken_from_neither(tmp_path: Path, run: tuple[Path, ...]) -> None:
    """Feature 9 fires on 3 of 4 expert prompts by one file and on all by the other."""
    diff(run[0], dominant={"novice": (), "expert": (replace(small_diff().dominant["expert"][0], b=1.0),)})
    with pytest.raises(NotRun) as refused:
        held(tmp_path, stated=OPEN)
    assert "the firing rate of expert (9) is 1 in a.json and 0.75 in b.json; leave the one" in str(refused.value)


@pytest.mark.parametrize("rate", [1 / 3, 0.8])
def test_files_of_another_number_of_prompts_do_not_complete_each_other(
    tmp_path: Path, run: tuple[Path, ...], rate: float
) -> None:
    """A share of thirds or fifths is of no run with four prompts a style; both runs hold what is asked."""
    lone = replace(small_diff().dominant["expert"][0], index=11, b=rate)
    diff(run[0], dominant={"novice": (), "expert": (lone,)}, avg_active={"novice": 6.0, "expert": 5.0, "guru": 1.0})
    with pytest.raises(NotRun, match=r"a.json, b.json \+ c.json fit equally: styles .* prompts a style a multiple of"):
        held(tmp_path, stated=OPEN)


# another run


@pytest.mark.parametrize(
    ("topics", "n", "said"),
    [
        (TOPICS, 6, ""),
        (TOPICS, 7, "6 prompts a style where 7 are printed"),
        (tuple("abcdef"), 6, "on other topics than mine reads: 6 of the 6 that it names are none of its 6"),
        (tuple("abcdef"), None, "on other topics than mine reads: 6 of the 6 that it names are none of its 6"),
    ],
)
def test_numbers_of_another_run_are_not_compared_with_printed_ones(
    tmp_path: Path, topics: tuple[str, ...], n: int | None, said: str
) -> None:
    """The reading is not run, the sentence is left open, and no number stands beside a printed one."""
    write_article(
        tmp_path / "f.pt",
        ArticleFeatures(topics=topics, gurus=("",) * 6, rows=article_features().rows),
    )
    of = held(tmp_path)
    numbers = published(novice=90, expert=80, unit="features", n=n)
    verdict, compared = _decided(numbers, lambda: l0(of["novice"]) > l0(of["expert"]))
    assert "as recorded in f.pt, 6 prompts a style" in verdict.scope
    if not said:
        assert (verdict.word, len(compared)) == ("drifted", 2)
        assert (l0(of) == numbers).outcome == "refuted"
        return
    assert (verdict.word, compared) == ("inconclusive", ())
    assert verdict.reason.endswith(f"another run: {said}; its numbers are not compared with the published ones")
    with pytest.raises(NotRun, match=f"another run: {said}; its numbers are not compared"):
        _ = l0(of) == numbers


@pytest.mark.parametrize(("n", "compared"), [(8, 2), (16, 2), (12, 0), (50, 0), (None, 2)])
def test_shares_alone_may_be_of_any_multiple(tmp_path: Path, n: int | None, compared: int) -> None:
    """Rates in eighths are of 8, 16, 24 ... prompts a style; 12 and 50 are other runs."""
    write_feature_diff(tmp_path / "feature_diff.json", article_diff())
    of = held(tmp_path, stated=OPEN)
    numbers = published(novice=20.5, expert=18.2, unit="features", n=n, measure="l0")
    verdict, rows = _decided(numbers, lambda: l0(of["novice"]) > l0(of["expert"]))
    assert (verdict.word, len(rows)) == ("inconclusive", compared)
    assert ("a multiple of 8 prompts a style where" in verdict.reason) == (compared == 0)


def test_what_is_refuted_in_another_run_stays_refuted(tmp_path: Path) -> None:
    """The sentence is about that run, which the scope names; its numbers are compared with nothing."""
    write_article(
        tmp_path / "f.pt",
        ArticleFeatures(topics=tuple("abcdef"), gurus=("",) * 6, rows=article_features().rows),
    )
    of = held(tmp_path)
    numbers = published(novice=90, expert=80, unit="features")
    verdict, rows = _decided(numbers, lambda: l0(of["novice"]) < l0(of["expert"]))
    assert (verdict.word, rows) == ("refuted", ())
    assert "as recorded in f.pt, 6 prompts a style (on other topics than mine reads: 6 of the 6" in verdict.scope


def _decided(numbers: Published, compare: Callable[[], Evidence]) -> Any:
    """Decide a claim that prints these numbers from one comparison."""
    claim = Claim(sentence="More.", id="a.more", source="here", published={"mine": numbers})
    with recording(Recorder()) as recorder:
        found = compare()
    ended = None if found else AssertionError("it does not hold")
    verdict, compared, _ = decide(claim, "mine", recorder.evidence, ended)
    return verdict, compared


# a style that is not there


SHAPES: dict[str, Callable[[Path], object]] = {
    "features": lambda folder: features(folder / "f.pt"),
    "comparison": lambda folder: diff(folder / "d.json"),
    "firing": lambda folder: write_json(folder / "g.json", FIRING),
    "activations": lambda folder: write_json(folder / "t.json", BY_TOPIC),
    "ranks": lambda folder: write_eid(folder / "e.json"),
}

ASKED: dict[str, Callable[[Any], object]] = {
    "l0": lambda of: l0(of["poet"]),
    "of all": l0,
    "active share": lambda of: active_share(of["poet"]),
    "max activation": lambda of: max_activation(of["poet"]),
    "mean activation": lambda of: mean_activation(of["poet"]),
    "firing rate": lambda of: firing_rate(of["poet"], 3),
    "effective rank": lambda of: effective_rank(of["poet"]),
    "length": lambda of: n_tokens(of["poet"]) if isinstance(of, Recorded) else n_tokens(of),
    "correlation": lambda of: correlation(effective_rank(of["poet"]), n_tokens(of["poet"])) > 0,
    "exclusive": lambda of: exclusive_features(of["novice"], of["poet"]).summary,
    "separates": lambda of: separates(3, of["novice"], of["poet"]),
    "separating": lambda of: separating_features(of["poet"], of["novice"]),
    "every": lambda of: l0(of["novice"]) > every(l0(of[style]) for style in ("expert", "poet")),
    "first topic": lambda of: l0(of.first_topic) == published(novice=4, poet=3, unit="features"),
    "as printed": lambda of: l0(of) == published(novice=4, poet=3, unit="features"),
    "halves": lambda of: halves(of)[0]["poet"],
    "clusters": lambda of: clusters(of["poet"]),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("measure", ASKED)
def test_a_style_that_no_file_holds_is_not_run(tmp_path: Path, shape: str, measure: str) -> None:
    """No measure on any shape of record ends in a KeyError, which would break the claim."""
    SHAPES[shape](tmp_path)
    of = held(tmp_path, stated=OPEN, rank=shape == "ranks")
    if (shape, measure) == ("features", "of all"):
        assert l0(of).values.mean() == 4
        return
    with pytest.raises(NotRun):
        ASKED[measure](of)

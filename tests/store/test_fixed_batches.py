"""Fixed batches: what is computed, and in which company, depends on the capture alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_subjects import Made

from saeprobe.captures import Capture, capture
from saeprobe.captures.steering import Steering, steer
from saeprobe.claims import NotRun
from saeprobe.plugin.collecting import Asked
from saeprobe.plugin.laboratory import Laboratory, Settings
from saeprobe.prompts import PromptSet
from saeprobe.store import Store, StoreError, plan, sha256_of
from saeprobe.store.plan import gather, works_of
from saeprobe.subject.local import Subject

TOPICS = ["golden", "the red bridge", "a", "bridges and long bridges", "red", "the long golden gate", "is"]
STYLES = {"one": ["{topic} is"], "two": ["the {topic} and the {topic}"], "three": ["is {topic} golden or red"]}
EVERY = PromptSet.build(name="every", language="en", topics=TOPICS, styles=STYLES)
ENDS = capture(EVERY, keep=("features", "effective_rank"))
ALL, RANKS = capture(EVERY, at="all", keep="activations"), capture(EVERY, keep="effective_rank")
FEW = capture(EVERY.only("one", "two"))
SPOKEN = steer(
    EVERY.only("one"),
    feature=3,
    strengths=[4.0],
    random_features=2,
    random_samples=30,
    n_samples=30,
    max_new_tokens=3,
)


@pytest.fixture(scope="module")
def reader(tiny: Made) -> Any:
    """The subject in memory."""
    return tiny.subject.open()


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file holds at most five prompts."""
    monkeypatch.setattr(plan, "A_FILE", 5)


def _gather(root: Path, subject: Subject, reader: Any, *asked: Capture | Steering) -> dict[str, bytes]:
    """Gather at three prompts a forward pass, and return the bytes of each file of the store."""
    (work,) = works_of((subject, one) for one in asked)
    gather(work, Store(root), batch_size=3, open_reader=lambda: reader)
    return {path.name: path.read_bytes() for path in root.rglob("*.parquet")}


@pytest.mark.parametrize("asked", [ENDS, ALL, FEW, RANKS, SPOKEN])
def test_other_captures_change_no_byte(tmp_path: Path, tiny: Made, reader: Any, asked: Capture | Steering) -> None:
    """A capture has the same files alone, together with others that share its prompts, and after them."""
    alone = _gather(tmp_path / "alone", tiny.subject, reader, asked)
    together = _gather(tmp_path / "together", tiny.subject, reader, ALL, ENDS, SPOKEN, FEW, RANKS)
    _gather(tmp_path / "after", tiny.subject, reader, ALL, ENDS)
    after = _gather(tmp_path / "after", tiny.subject, reader, asked)
    assert len(alone) == (7 // 2 + 1 if asked is SPOKEN else 4 if asked is FEW else 6)
    assert alone.items() <= together.items()
    assert alone.items() <= after.items()


def test_what_is_lacking_is_computed_to_the_same_bytes(tmp_path: Path, tiny: Made, reader: Any) -> None:
    """Any one file, or any second one, comes back as it was."""
    whole = _gather(tmp_path, tiny.subject, reader, ALL, ENDS, SPOKEN)
    names = sorted(whole)
    for lost in [*([name] for name in names), names[::2], names[1::2]]:
        for name in lost:
            next(tmp_path.rglob(name)).unlink()
        assert _gather(tmp_path, tiny.subject, reader, ALL, ENDS, SPOKEN) == whole


def test_draws_that_share_what_the_model_gives_are_read_to_the_same_bytes(tmp_path: Path, tiny: Made) -> None:
    """A draw that remembers streams of another capture, or of half a batch, reads what one alone does."""
    whole: dict[str, bytes] = {}
    for root, asked in (("together", (ENDS, FEW)), ("in turn", (FEW,)), ("in turn", (ENDS,))):
        for draw in tiny.subject.draws("random-sae", neutral=EVERY, count=2):
            found = _gather(tmp_path / root, draw, draw.open(), *asked)
        whole = whole or found
    assert found == whole


CUTS = [
    {"a": ["{topic} is"], "b": ["is {topic}"]},
    {"b": ["{topic} is"], "a": ["is {topic}"]},
    {"c": ["{topic} is", "is {topic}"]},
]
"""The same four texts: two styles, the same two by exchanged names, and all under one."""


@pytest.mark.parametrize("together", [True, False])
def test_other_orders_and_cuts_of_the_same_texts_live_side_by_side(
    tmp_path: Path, tiny: Made, reader: Any, recwarn: pytest.WarningsRecorder, *, together: bool
) -> None:
    """Each order of batches, and each cut into them, has a file of its own, in one run and in several."""
    sets = [PromptSet.build(name="x", language="en", topics=["red", "golden"], styles=styles) for styles in CUTS]
    asked = [capture(prompts) for prompts in sets]
    for one in [asked] if together else [[each] for each in asked]:
        _gather(tmp_path, tiny.subject, reader, *one)
    assert len([*tmp_path.rglob("*.parquet")]) == len(CUTS)
    for one, prompts in zip(asked, sets, strict=True):
        found = plan.features(tiny.subject, one, Store(tmp_path))
        assert [prompt.text for prompt in found.prompts] == [prompt.text for prompt in prompts]
    assert not recwarn.list


def test_a_file_named_by_its_prompts_alone_serves_the_order_that_it_has(
    tmp_path: Path, tiny: Made, reader: Any, recwarn: pytest.WarningsRecorder
) -> None:
    """A store of an earlier version is read where it can be, and stays as it is where another order is asked for."""
    first, other, _ = (
        capture(PromptSet.build(name="x", language="en", topics=["red", "golden"], styles=styles)) for styles in CUTS
    )
    _gather(tmp_path, tiny.subject, reader, first)
    store = Store(tmp_path)
    (part,) = plan.parts_of(tiny.subject, first, store)
    (file,) = tmp_path.rglob("*.parquet")
    before = file.replace(file.with_stem(sha256_of(sorted(part.prompts))[:32]))
    content = before.read_bytes()
    assert _gather(tmp_path, tiny.subject, reader, first) == {before.name: content}
    assert len(_gather(tmp_path, tiny.subject, reader, other)) == 2
    assert before.read_bytes() == content
    assert not recwarn.list
    before.write_bytes(content[:-9] + content[-8:])
    with pytest.warns(UserWarning, match="cannot be trusted"):
        assert Store(tmp_path).content(part) is None


def test_captures_that_share_a_style_share_its_forward_passes(
    tmp_path: Path, tiny: Made, reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven prompts a style are read once, whatever is wanted of them."""
    ran: list[int] = []
    run = type(reader.model).run  # pyright: ignore[reportAttributeAccessIssue] - any model of a reader

    def counted(model: Any, runs: Sequence[Any], **how: Any) -> Iterator[Any]:
        ran.append(len(runs))
        return run(model, runs, **how)

    monkeypatch.setattr(type(reader.model), "run", counted)  # pyright: ignore[reportAttributeAccessIssue] - as above
    _gather(tmp_path, tiny.subject, reader, ENDS, ALL, FEW)
    assert ran == [21]


def test_a_repeat_is_read_once_more_prompt_by_prompt(
    tmp_path: Path, tiny: Made, reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its texts have forward passes and keys of their own, and the first reading stays as it is."""
    styles, topics = {"one": STYLES["one"]}, TOPICS[:5]
    named = {"name": "twice", "language": "en", "topics": topics, "styles": styles}
    once = capture(PromptSet.build(**named), keep=("features", "effective_rank"))
    twice = capture(PromptSet.build(**named, repeats={"again": "one", "third": "one"}), keep=once.keep)
    first = _gather(tmp_path / "first", tiny.subject, reader, once)
    passes: list[list[str]] = []
    run = type(reader.model).run  # pyright: ignore[reportAttributeAccessIssue] - any model of a reader

    def counted(model: Any, runs: Sequence[Any], **how: Any) -> Iterator[Any]:
        passes.extend([one.batch for one in runs if one.batch == label] for label in {one.batch for one in runs})
        return run(model, runs, **how)

    monkeypatch.setattr(type(reader.model), "run", counted)  # pyright: ignore[reportAttributeAccessIssue] - as above
    whole = _gather(tmp_path / "twice", tiny.subject, reader, twice)
    assert sorted(map(len, passes)) == [1] * 10 + [5]
    assert first.items() < whole.items()
    assert len(whole) == 3 * len(first) == 3
    found = plan.features(tiny.subject, twice, Store(tmp_path / "twice"))
    assert (found.styles, len(found), set(found.repeats)) == (("one",), 5, {"again", "third"})
    for style in found.repeats:
        np.testing.assert_allclose(found[style].acts.toarray(), found.acts.toarray(), atol=1e-4)
        np.testing.assert_allclose(found[style].effective_rank, found.effective_rank, rtol=1e-5)
        assert [prompt.text for prompt in found[style].prompts] == [prompt.text for prompt in found.prompts]
    with pytest.raises(NotRun, match="was read for the control random-sae"):
        replace(found, conditions={"random-sae": (lambda: found,)})["again"].under("random-sae")


def test_a_part_of_an_experiment_is_continued_as_the_whole(reader: Any) -> None:
    """Whoever asks for one prompt gets what the whole experiment gives of it."""
    prompts = EVERY.only("one").prompts
    texts = [prompt.text for prompt in prompts]
    whole = dict(reader.continue_(prompts, SPOKEN, experiment=texts))
    assert set(whole) == set(prompts)
    for prompt in prompts:
        assert dict(reader.continue_([prompt], SPOKEN, experiment=texts)) == {prompt: whole[prompt]}


def _laboratory(root: Path, store: Path) -> Laboratory:
    terms: dict[str, Any] = {
        **dict.fromkeys(Settings.__dataclass_fields__),
        "rootdir": root,
        "store": store,
        "default_subjects": (),
        "neutral": {"hand": WORDS},
        "prompts": {},
        "alpha": 0.05,
        "seed": 0,
        "batch_size": 4,
    }
    made = Laboratory(Settings(**terms))
    made.plan([Asked(subject="hand", declared=COLOURS, claim=None, fixture="ends")])
    made.gather(lambda _name, _done, _total: None)
    return made


WORDS = PromptSet.build(name="words", language="en", topics=["calm red blue purple"], styles={"all": ["{topic}"]})
COLOURS = capture(PromptSet.build(name="c", language="en", topics=["red", "blue"], styles={"a": ["calm {topic}"]}))


def test_a_complete_store_is_read_without_a_lock(
    hand_worked: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that cannot be written evidence and instrument are read; what is lacking says what to do."""
    store = tmp_path / "store"
    found: Any = _laboratory(hand_worked.root, store).provide("hand", COLOURS)
    for path in [*store.glob("*.lock"), *store.glob("instruments/*")]:
        path.unlink()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(30, os.strerror(30))

    monkeypatch.setattr("saeprobe.store.FileLock.acquire", refuse)
    monkeypatch.setattr("saeprobe.store.instrument.write_whole", refuse)
    again: Any = _laboratory(hand_worked.root, store)
    assert again.provide("hand", COLOURS).acts.toarray().tolist() == found.acts.toarray().tolist()
    assert again.checks["hand"].here is not None
    lacking = _laboratory(hand_worked.root, tmp_path / "other")
    assert "cannot be written" in (lacking.broken("hand") or "")
    with pytest.raises(StoreError, match="name another with --saeprobe-store"):
        lacking._gather_again(lacking.subject("hand"), COLOURS)

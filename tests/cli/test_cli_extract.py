"""`saeprobe extract`: which prompts are read, in what order, and what is written of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saeprobe.cli import article_steps
from saeprobe.prompts import PromptSet
from saeprobe.recorded.tensors import read_activations
from saeprobe.subject.specification import Reading, ReadingError, Request, SaeRelease, SubjectSpec

Run = Callable[..., Any]

PROMPTS = """
name = "mine"
language = "en"

[[topics]]
name = "tides"
guru = "Galileo (of Pisa)"

[[topics]]
name = "rain"
guru = "Dalton"

[styles.novice]
templates = ["Explain {topic} to a novice.", "{topic} for beginners, please."]

[styles.guru]
templates = ["You are {guru}. Explain {topic} as {guru} would.", "As {guru}: {topic}."]
"""


def mark(text: str) -> list[float]:
    """Return an activation that no other text has."""
    return [float(len(text)), float(sum(map(ord, text)) % 9973)]


class Toy:
    """A subject without a model: its activation of a text is `mark`."""

    name = "toy"
    spec = SubjectSpec(name="toy", model="toy", sae=SaeRelease(release="toy", id="toy"))
    device = "cpu"

    def __init__(self, *, missing: str | None = None) -> None:
        self.texts: list[str] = []
        self.batch_size = 0
        self._missing = missing

    def missing(self) -> str | None:
        """What the test says."""
        return self._missing

    def open(self) -> Toy:
        """Return itself."""
        return self

    def read(self, requests: Sequence[Request], *, batch_size: int) -> Iterator[tuple[int, list[Reading]]]:
        """A reading a request of its one want, the last request first: the order is the reader's own."""
        self.batch_size = batch_size
        self.texts += [request.text for request in requests]
        assert all(len(one.wants) == 1 and one.wants[0].at == "last" for one in requests)
        for index, request in reversed(list(enumerate(requests))):
            yield index, [self._reading(request.text)]

    @staticmethod
    def _reading(text: str) -> Reading:
        nothing = np.zeros(1)
        return Reading(
            tokens=(), n_tokens=3, indices=(), values=(), squared_error=nothing, activations=np.array([mark(text)])
        )


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    """Give the toy the name `toy`."""
    subject = Toy()
    monkeypatch.setattr(article_steps, "find_subject", lambda name, rootdir: subject)  # noqa: ARG005 - called with both
    return subject


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """The file has two styles of two templates, and two topics."""
    path = tmp_path / "prompts.toml"
    path.write_text(PROMPTS)
    return path


def test_one_template_a_style_is_read_and_written(run: Run, toy: Toy, prompts: Path, tmp_path: Path) -> None:
    """The first template of each style is read for every topic, and the guru's name is found in the prompt."""
    found = run("extract", "toy", "--prompts", prompts, "-o", tmp_path / "a.pt")
    assert found.code == 0, found.err
    read = read_activations(tmp_path / "a.pt")
    assert (read.topics, read.styles) == (("tides", "rain"), ("novice", "guru"))
    assert read.gurus == ("Galileo (of Pisa)", "Dalton")
    assert read.rows["novice"].tolist() == [
        mark("Explain tides to a novice."),
        mark("Explain rain to a novice."),
    ]
    assert read.rows["guru"][1].tolist() == mark("You are Dalton. Explain rain as Dalton would.")
    assert len(toy.texts) == 4
    assert "left out: 4 prompts of 2 other templates, which a probe on these prompts reads too" in found.out
    assert "--template N reads others, up to 2 " in found.out


def test_nothing_is_said_to_be_left_out_where_nothing_is(run: Run, toy: Toy, tmp_path: Path) -> None:
    """One template a style is all of it."""
    (tmp_path / "p.csv").write_text("text,style,topic\na,x,t\nb,y,t\n", encoding="utf-8")
    found = run("extract", "toy", "--prompts", tmp_path / "p.csv", "-o", tmp_path / "a.pt")
    assert (found.code, len(toy.texts), "left out" in found.out) == (0, 2, False)


def test_template_and_styles_choose(run: Run, toy: Toy, prompts: Path, tmp_path: Path) -> None:
    """--template takes another wording, --styles fewer styles in the order given."""
    words = ("--prompts", prompts, "--styles", "guru", "novice", "--template", 2)
    found = run("extract", "toy", *words, "-o", tmp_path / "a.pt")
    assert found.code == 0, found.err
    read = read_activations(tmp_path / "a.pt")
    assert read.styles == ("guru", "novice")
    assert read.rows["guru"][0].tolist() == mark("As Galileo (of Pisa): tides.")
    assert toy.texts


def test_the_built_in_prompts_are_the_default(run: Run, toy: Toy, tmp_path: Path) -> None:
    """Without --prompts the six styles of the article are read in the subject's wording."""
    assert run("extract", "toy", "-o", tmp_path / "a.pt").code == 0
    read = read_activations(tmp_path / "a.pt")
    assert read.styles == ("standard", "padding", "spaces", "novice", "expert", "guru")
    assert len(read.topics) >= 24
    assert all(read.gurus)
    assert toy.batch_size == 32


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--styles", "poet"), "the prompts 'mine' have no style 'poet'; choose --styles from: novice, guru"),
        (("--template", "3"), "style 'novice' of the prompts 'mine' has 2 templates; --template 3 is not from 1 to 2"),
        (("--template", "0"), "--template 0 is not from 1 to 2"),
    ],
)
def test_prompts_that_are_not_there_are_explained(
    run: Run, toy: Toy, prompts: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    """A style or template that the prompts lack is named beside what they have, before a model is loaded."""
    found = run("extract", "toy", "--prompts", prompts, *words, "-o", tmp_path / "a.pt")
    assert (found.code, message in found.err) == (2, True)
    assert toy.texts == []


def test_topics_must_be_the_same_in_every_style(run: Run, toy: Toy, tmp_path: Path) -> None:
    """A topic that one style lacks, and one that it has twice, have no place in the file."""
    rows = ["template,style,topic", "On {topic}.,novice,tides", "{topic}!,expert,tides", "{topic}!,expert,rain"]
    (tmp_path / "p.csv").write_text("\n".join(rows))
    found = run("extract", "toy", "--prompts", tmp_path / "p.csv", "-o", tmp_path / "a.pt")
    assert "'novice' and 'expert' differ in the topic 'rain'" in found.err
    (tmp_path / "q.csv").write_text("text,style,topic\nOne.,novice,tides\nTwo.,novice,tides")
    found = run("extract", "toy", "--prompts", tmp_path / "q.csv", "-o", tmp_path / "a.pt")
    assert "two prompts for the topic 'tides' under one template" in found.err
    assert toy.texts == []


def test_errors_of_prompts_and_reading_are_explained(
    run: Run, toy: Toy, tmp_path: Path, prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of prompts that cannot be used, and a prompt that the model cannot read, are one line each."""
    (tmp_path / "p.toml").write_text("nonsense")
    assert run("extract", "toy", "--prompts", tmp_path / "p.toml", "-o", tmp_path / "a.pt").code == 2

    def refuse(_: object, *, batch_size: int) -> Iterator[tuple[int, list[Reading]]]:
        del batch_size
        raise ReadingError("the prompt does not fit")

    monkeypatch.setattr(toy, "read", refuse)
    found = run("extract", "toy", "--prompts", prompts, "-o", tmp_path / "a.pt")
    assert (found.code, found.err) == (2, "saeprobe: error: the prompt does not fit\n")
    assert not (tmp_path / "a.pt").exists()


def test_a_subject_that_is_not_here_says_what_brings_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absent weights end the command before prompts are read, with the subject's own advice."""
    absent = Toy(missing="no weights; run: hf download toy")
    monkeypatch.setattr(article_steps, "find_subject", lambda name, rootdir: absent)  # noqa: ARG005 - called with both
    found = run("extract", "toy", "-o", tmp_path / "a.pt")
    assert (found.code, found.err) == (2, "saeprobe: error: toy cannot run here: no weights; run: hf download toy\n")


def test_an_activation_that_is_not_finite_is_refused(
    run: Run, toy: Toy, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN from the model ends with the prompt that gave it, not in the file."""
    reading = Reading(
        tokens=(), n_tokens=1, indices=(), values=(), squared_error=np.zeros(1), activations=np.array([[np.nan]])
    )

    def read(requests: Sequence[Request], *, batch_size: int) -> Iterator[tuple[int, list[Reading]]]:
        del batch_size
        yield from ((index, [reading]) for index in range(len(requests)))

    monkeypatch.setattr(toy, "read", read)
    found = run("extract", "toy", "--prompts", prompts, "-o", tmp_path / "a.pt")
    assert found.code == 2
    assert "NaN or infinite on 'You are Dalton. Explain rain as Dalton would.'" in found.err


def test_a_finished_prompt_has_no_guru(run: Run, toy: Toy, tmp_path: Path) -> None:
    """Where no template names a guru the key stays empty."""
    built = PromptSet.build(name="x", language="en", topics=["tides"], styles={"novice": ["On {topic}."]})
    assert built.styles == ("novice",)
    (tmp_path / "p.csv").write_text("text,style,topic\nOn tides.,novice,tides")
    assert run("extract", "toy", "--prompts", tmp_path / "p.csv", "-o", tmp_path / "a.pt").code == 0
    assert read_activations(tmp_path / "a.pt").gurus == ("",)
    assert toy.texts == ["On tides."]

"""The control for labels: the claim's own test between sides that were made up."""

from __future__ import annotations

import numpy as np
import pytest
from controlled import TOPICS, numbered, only_control, under_controls, worded
from grids import grid

from saeprobe.evidence.controls import adjusting as shuffled
from saeprobe.evidence.evidence import ControlResult, Recorder, recording
from saeprobe.evidence.values import Measurement
from saeprobe.statistics.intervals import rate_interval, rate_p

SIDES = numbered("novice", (10, 11, 12, 13)), numbered("expert", (1, 2, 3, 4))


def found_in(times: int, p: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let so many of 200 shuffles give `p`, and the others 0.5."""
    ps = np.array([p] * times + [0.5] * (200 - times))
    monkeypatch.setattr(shuffled, "shuffled_ps", lambda *_args, **_more: ps)


def test_a_test_that_finds_nothing_between_shuffled_labels_is_withstood() -> None:
    """Two templates of either side make up each pseudo side, and their means hardly differ."""
    evidence = under_controls(*SIDES, "labels")
    control = only_control(evidence)
    assert (control.name, control.expects, control.explains) == ("labels", "absent", False)
    assert control.estimate == 0.0
    assert control.p == 1.0
    assert evidence.outcome == "supported"
    assert evidence.reason.endswith("; found in 0 of 200 shuffles of the labels, where alpha = 0.05 allows for 10")


@pytest.mark.parametrize(("times", "outcome"), [(20, "refuted"), (19, "supported")])
def test_it_refutes_where_shuffles_show_it_too_often(times: int, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 99 % interval (beta distribution) of 20 of 200 begins at 0.0529, above alpha, that of 19 at 0.0493."""
    from scipy.stats import beta

    found_in(times, 0.049, monkeypatch)
    evidence = under_controls(*SIDES, "labels")
    control = only_control(evidence)
    low = beta.ppf(0.005, times, 200 - times + 1)
    assert control.interval is not None
    assert control.interval[0] == pytest.approx(low)
    assert evidence.outcome == outcome
    assert control.explains == (low > 0.05)
    assert f"found in {times} of 200 shuffles" in evidence.reason
    if outcome == "refuted":
        assert evidence.reason.startswith("reproduced by labels: found in 20 of 200")


def test_an_interval_that_begins_at_alpha_does_not_refute(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 of 200 are as many as that alpha may bring about, and are more at the next smaller one."""
    begins = rate_interval(20, 200, level=0.99)[0]
    found_in(20, 0.049, monkeypatch)
    evidence = under_controls(*SIDES, "labels", alpha=begins)
    control = only_control(evidence)
    assert control == ControlResult(
        name="labels",
        expects="absent",
        explains=False,
        estimate=0.1,
        interval=rate_interval(20, 200, level=0.99),
        p=rate_p(20, 200, bound=begins, above=True),
        detail=f"found in 20 of 200 shuffles of the labels, where alpha = {begins:g} allows for 11",
    )
    assert only_control(under_controls(*SIDES, "labels", alpha=begins - 1e-12)).explains


def test_its_p_is_that_of_so_many_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """How likely 17 or more of 200 are where alpha is the rate, as the binomial distribution has it."""
    from scipy.stats import binom

    found_in(17, 0.01, monkeypatch)
    control = only_control(under_controls(*SIDES, "labels"))
    assert control.p == pytest.approx(binom.sf(16, 200, 0.05))
    assert control.estimate == pytest.approx(17 / 200)
    assert control.share is None


def test_p_at_alpha_is_no_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the claim's own test, p has to lie below alpha."""
    found_in(100, 0.05, monkeypatch)
    assert "found in 0 of 200" in only_control(under_controls(*SIDES, "labels")).detail


def test_alpha_is_that_of_the_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    """At an alpha of 0.1 twenty of 200 shuffles are what is allowed for."""
    found_in(20, 0.09, monkeypatch)
    evidence = under_controls(*SIDES, "labels", alpha=0.1)
    assert "found in 20 of 200 shuffles of the labels, where alpha = 0.1 allows for 20" in evidence.reason
    assert evidence.outcome == "supported"


def test_a_claim_that_is_not_found_is_not_reproduced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an effect there is nothing to reproduce."""
    found_in(100, 0.01, monkeypatch)
    evidence = under_controls(numbered("novice", (1, 2, 3, 4)), numbered("expert", (1, 2, 3, 4.5)), "labels")
    assert not only_control(evidence).explains
    assert evidence.outcome == "inconclusive"


def test_the_sides_are_shuffled_as_they_were_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    """The template means of either side, each with the topics' own levels taken out, and the claim's seed go in."""
    seen: list[tuple[list[float], list[float], int, int]] = []

    def look(a: np.ndarray, b: np.ndarray, *, rounds: int, seed: int) -> np.ndarray:
        seen.append((list(a), list(b), rounds, seed))
        return np.ones(rounds)

    monkeypatch.setattr(shuffled, "shuffled_ps", look)
    novice, expert = numbered("novice", (10, 11, 12, 13, 14)), numbered("expert", (1, 2, 3, 4))
    with recording(Recorder(controls=("labels",), seed=7)):
        assert novice > expert
    ((of_a, of_b, rounds, seed),) = seen
    assert np.subtract(of_a, of_a[0]) == pytest.approx([0, 1, 2, 3, 4])
    assert np.subtract(of_b, of_b[0]) == pytest.approx([0, 1, 2, 3])
    assert np.mean(of_a) - np.mean(of_b) == pytest.approx(9.5)
    assert (rounds, seed) == (200, 7)


def paired(over: tuple[str, ...]) -> tuple[Measurement, Measurement, Recorder]:
    """Six topics under one wording, gains 1 to 6; or over crossed templates, as `over` says."""
    topics = [f"topic {k}" for k in range(6)]
    novice = worded("novice", {"n: {topic}": 0.0}, topics=topics)
    expert = worded("expert", {"e: {topic}": 0.0}, topics=topics)
    gained = grid("novice", [[float(k + 1) + value for k, value in enumerate(novice.values)]], topics=topics)
    return gained, grid("expert", [list(expert.values)], topics=topics), Recorder(controls=("labels",), over=over)  # pyright: ignore[reportArgumentType] - words of `Over`


def test_paired_units_have_their_signs_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under one wording the differences of the topics are the units."""
    seen: list[list[float]] = []

    def look(differences: np.ndarray, *, rounds: int, seed: int) -> np.ndarray:
        assert seed == 0
        seen.append(list(differences))
        return np.ones(rounds)

    monkeypatch.setattr(shuffled, "paired_shuffled_ps", look)
    novice, expert, recorder = paired(())
    with recording(recorder):
        assert novice > expert
    assert seen == [pytest.approx([1, 2, 3, 4, 5, 6])]


def test_of_crossed_factors_the_templates_are_shuffled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over templates and topics the template means of both sides go in, and the topics' differences do not."""
    seen: list[int] = []

    def look(a: np.ndarray, b: np.ndarray, *, rounds: int, seed: int) -> np.ndarray:
        assert seed == 0
        seen.extend((len(a), len(b)))
        return np.ones(rounds)

    monkeypatch.setattr(shuffled, "shuffled_ps", look)
    novice, expert = numbered("novice", (10, 11, 12, 13)), numbered("expert", (1, 2, 3, 4, 5))
    assert len(TOPICS) == 3
    with recording(Recorder(controls=("labels",), over=("templates", "topics"))):
        (novice > expert).lines()
    assert seen == [4, 5]


def test_two_runs_shuffle_alike() -> None:
    """The seed decides the shuffles."""
    novice, expert = numbered("novice", (3, 4, 5, 9)), numbered("expert", (1, 2, 3.5, 4))
    details = {only_control(under_controls(novice, expert, "labels")).detail for _ in range(2)}
    assert len(details) == 1

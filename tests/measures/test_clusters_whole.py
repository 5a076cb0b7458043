"""Clusters, the evidence as a whole: over wordings, over topics, drawn, refuted, and without an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from by_hand import Row, crossed, features
from scipy.sparse import csr_array
from scipy.spatial.distance import cosine

from saeprobe.evidence import Evidence, Needed, Recorder, Sample, UnitValue, recording
from saeprobe.features import Features
from saeprobe.measures import clusters
from saeprobe.statistics.intervals import hall

TOPICS = ("tides", "yeast", "comets", "rust", "soil", "bees")
CLOSE = 1e-9


def clustered(of: Features, **terms: object) -> Evidence:
    """The evidence under these terms."""
    with recording(Recorder(**terms)):  # pyright: ignore[reportArgumentType] - terms as a test names them
        return clusters(of)


def noisy(*, templates: str, topics: tuple[str, ...], seed: int = 0) -> Features:
    """Ten features of each of two styles fire on its prompts with probability 0.8, all others with 0.2."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for style, level in (("n", np.repeat([0.8, 0.2], 10)), ("e", np.repeat([0.2, 0.8], 10))):
        rows += [(style, letter, topic, tuple(rng.random(20) < level)) for letter in templates for topic in topics]
    return features(rows)


def lying(units: Sequence[tuple[str, str]], styles: str = "nx", *, own: int = 1) -> Features:
    """On each (template, topic) n and x fire ten features, n `own` more of its own and x ten; others fire apart."""
    rows: list[Row] = []
    for style, (place, (template, topic)) in product(styles, enumerate(units)):
        acts = np.zeros(10 + len(units) * (own + 10) + 4)
        if style == "n":
            acts[:10], acts[10 + own * place : 10 + own * (place + 1) - (own > 1 and place % 3 == 0)] = 1, 1
        elif style == "x":
            first = 10 + len(units) * own + 10 * place
            acts[:10], acts[first : first + 10 - (place % 3 == 0)] = 1, 1
        else:
            acts[-1 if style == "e" else -2], acts[-3 if style == "e" else -4] = 1, place % 2
        rows.append((style, template, topic, tuple(acts)))
    return features(rows)


def shares(of: Features, units: Sequence[UnitValue], what: str) -> np.ndarray:
    """One minus the cosine of any two units, rounded, from the share of a unit's prompts on which a feature fires."""
    fires = of.acts.toarray() > 0
    vectors = [
        fires[[prompt.style == unit.side and getattr(prompt, what) == unit.unit for prompt in of.prompts]].mean(axis=0)
        for unit in units
    ]
    return np.array([[0.0 if a is b else round(float(cosine(a, b)), 6) for b in vectors] for a in vectors])


def silhouettes_of(distances: np.ndarray, dealt: Sequence[int]) -> np.ndarray:
    """Rousseeuw's definition for two styles, one unit after the other."""
    found: list[float] = []
    for unit, style in enumerate(dealt):
        own = np.mean([distances[unit, k] for k in range(len(dealt)) if dealt[k] == style and k != unit])
        other = np.mean([distances[unit, k] for k in range(len(dealt)) if dealt[k] != style])
        found.append(float((other - own) / max(own, other)))
    return np.array(found)


def whole(of: Features, units: Sequence[UnitValue], what: str, ways: Sequence[Sequence[int]]) -> Evidence:
    """What two styles show over these units, by plain loops over all relabelings; the rest is for the test to say."""
    distances = shares(of, units, what)
    labels = [0 if unit.side == "n" else 1 for unit in units]
    values = silhouettes_of(distances, labels)
    reached = [float(silhouettes_of(distances, way).mean()) >= float(values.mean()) - CLOSE for way in ways]
    sides = tuple(values[np.array(labels) == label] for label in (0, 1))
    return Evidence(
        kind="clusters",
        statement="n and e prompts form separate regions of feature space",
        outcome="supported",
        reason="",
        scope="",
        unit="silhouette",
        estimate=pytest.approx(values.mean()),  # pyright: ignore[reportArgumentType] - equal but for rounding
        level=0.9,
        p=sum(reached) / len(ways),
        one_sided=max(sum(reached) / len(ways), *(hall(side, alpha=0.1)[0] / 2 for side in sides)),
        alpha=0.05,
        n_units=(len(sides[0]), len(sides[1])),
        samples=tuple(
            Sample(
                label=style,
                measure="silhouette",
                unit="silhouette",
                mean=pytest.approx(side.mean()),  # pyright: ignore[reportArgumentType]
                n=len(of[style]),
                interval=pytest.approx(np.clip(hall(side, alpha=0.1)[1], -1, 1)),  # pyright: ignore[reportArgumentType]
            )
            for style, side in zip("ne", sides, strict=True)
        ),
        unit_values=tuple(
            replace(unit, value=pytest.approx(value))  # pyright: ignore[reportArgumentType]
            for unit, value in zip(units, values, strict=True)
        ),
        distances=tuple(tuple(distances[unit, :unit].tolist()) for unit in range(1, len(units))),
    )


def numbers(evidence: Evidence) -> str:
    """The numbers that a reason begins with, where the sentence is supported."""
    least = min(evidence.samples, key=lambda sample: sample.mean)
    assert least.interval is not None
    low, high = least.interval
    return (
        f"mean silhouette {evidence.estimate:.2f}, p = {evidence.p:.2g}; the least, {least.label}, at "
        f"{least.mean:.2f}, interval {low:.2f} to {high:.2f}"
    )


def test_the_evidence_over_wordings_as_a_whole() -> None:
    """4 + 4 wordings: p = 2/70."""
    of = noisy(templates="ABCD", topics=TOPICS[:3])
    evidence = clustered(of, seed=3)
    units = [UnitValue(side=style, unit=f"{style} {letter}: {{topic}}", value=0) for style in "ne" for letter in "ABCD"]
    expected = whole(of, units, "template", sorted(set(permutations([0] * 4 + [1] * 4))))
    assert evidence == replace(
        expected,
        p=2 / 70,
        reason=numbers(evidence),
        scope="these 4 + 4 templates",
        test="exact permutation of styles over 8 wordings (all 70)",
        units="wordings",
        rule=evidence.rule,
    )


def test_the_evidence_over_topics_as_a_whole() -> None:
    """Two fixed templates a style on six topics: 2^6 relabelings, and p = 2/64."""
    of = noisy(templates="AB", topics=TOPICS)
    evidence = clustered(of, seed=3, over=("topics",))
    units = [UnitValue(side=style, unit=topic, value=0) for topic in TOPICS for style in "ne"]
    ways = [sum(way, ()) for way in product([(0, 1), (1, 0)], repeat=6)]
    assert evidence == replace(
        whole(of, units, "topic", ways),
        p=2 / 64,
        reason=numbers(evidence),
        scope="these templates fixed, over 6 topics",
        test="exact permutation of styles within 6 topics (all 64)",
        units="topics",
        rule=evidence.rule,
    )


def test_the_evidence_without_units_as_a_whole() -> None:
    """A single template does not stand for other wordings: nothing is measured, and the terms and the rule are told."""
    of = noisy(templates="A", topics=TOPICS)
    evidence = clustered(of, over=("templates",), alpha=0.01)
    assert evidence == Evidence(
        kind="clusters",
        statement="n and e prompts form separate regions of feature space",
        outcome="inconclusive",
        reason="n has a single template: at least 2 a style stand for other wordings",
        scope="these prompts only",
        unit="silhouette",
        alpha=0.01,
        rule=evidence.rule,
    )


def lowest(distances: np.ndarray, second: np.ndarray, dealt: np.ndarray) -> int:
    """Under how many relabelings the units dealt 0 have a mean silhouette as low as the observed one."""

    def mean_under(labels: np.ndarray) -> np.ndarray:
        ones = labels.astype(float)
        to_one, to_zero = ones @ distances, (1 - ones) @ distances
        n_one = ones.sum(axis=1, keepdims=True)
        a, b = to_zero / (len(second) - n_one - 1), to_one / n_one
        values = (b - a) / np.maximum(a, b)
        return (values * (1 - ones)).sum(axis=1) / (1 - ones).sum(axis=1)

    return int((mean_under(dealt) <= mean_under(second[None])[0] + CLOSE).sum())


def square(evidence: Evidence) -> np.ndarray:
    """All distances that the evidence tells."""
    found = np.zeros((len(evidence.unit_values),) * 2)
    for unit, row in enumerate(evidence.distances, start=1):
        found[unit, :unit] = found[:unit, unit] = row
    return found


def test_a_style_that_lies_in_another_over_topics_changes_places_within_them() -> None:
    """Six topics: x and n change places on each, 2^6 ways, of which the observed one alone has x as low."""
    evidence = clustered(lying([("A", topic) for topic in TOPICS]))
    second = np.array([unit.side == "n" for unit in evidence.unit_values])
    ways = np.array([sum(way, ()) for way in product([(0, 1), (1, 0)], repeat=6)]) == 1
    assert lowest(square(evidence), second, ways) == 1
    assert evidence.outcome == "refuted"
    assert f"against n alone as low in {1 / 64:.2g} of the relabelings; mean silhouette" in evidence.reason
    alike = clustered(lying([("A", topic) for topic in TOPICS]), alpha=1 / 32)
    assert alike.outcome == "inconclusive"  # 1/64 of the relabelings is no less than alpha / (2 * 1)


def share_drawn(evidence: Evidence, count: int, *, seed: int) -> float:
    """In which share of so many relabelings of 10 n and 10 x, as a rule draws them, x lies as low."""
    second = np.repeat([1, 0], 10)
    order = np.argsort(np.random.default_rng(seed).random((count, 20)), axis=1)
    return (1 + lowest(square(evidence)[:20, :20], second, second[order])) / (1 + count)


def test_where_a_pair_is_drawn_the_observed_labels_count_as_one_draw() -> None:
    """Of two styles of four 19,999 relabelings are drawn by the seed, and far fewer than 1 in 240 are as low."""
    of = lying([(letter, "tides") for letter in "ABCDEFGHIJ"], "nxef")
    refuted = clustered(of, seed=1)
    assert refuted.outcome == "refuted"
    assert f"against n alone as low in {share_drawn(refuted, 19_999, seed=1):.2g} of the relabelings" in refuted.reason


def test_a_pair_that_is_not_told_apart_by_chance_is_left_open() -> None:
    """Two of four styles on six topics reach 1/64, which is not below 0.05 / (4 * 3)."""
    left = clustered(lying([("A", topic) for topic in TOPICS], "nxef"))
    assert left.outcome == "inconclusive"
    assert ", but not shown to lie apart: n (" in left.reason


def test_a_style_is_held_against_the_one_that_it_lies_nearest_to() -> None:
    """The style x lies in n, whose wordings are themselves far apart; e and f are each close together and far away."""
    evidence = clustered(lying([(letter, "tides") for letter in "ABCDEFGHIJ"], "nxef", own=9))
    assert evidence.outcome == "refuted"
    assert evidence.reason.startswith("x lies nearer to n than to itself: its mean silhouette is -0.03, interval ")
    assert ", and against n alone as low in " in evidence.reason


def test_more_is_drawn_of_a_pair_where_alpha_is_near() -> None:
    """19,999 draws leave p = 0.0013 too near to 0.003 / 2; the share is that of 199,999, the same for every seed."""
    evidence = clustered(lying([(letter, "tides") for letter in "ABCDEFGHIJ"], own=9), alpha=0.003, seed=2)
    assert evidence.test == "sampled permutation of styles over 20 wordings (199,999 drawn)"
    share = share_drawn(evidence, 199_999, seed=0)
    assert f"{share:.2g}" != f"{share_drawn(evidence, 19_999, seed=2):.2g}"
    assert f"as low in {share:.2g} of the relabelings" in evidence.reason


def test_styles_without_spread_are_named_up_to_four() -> None:
    """Six styles whose wordings are alike: four are named and two counted."""
    rows = [
        row
        for place, style in enumerate("abcdef")
        for row in crossed(style, np.eye(6)[place], templates="AB", topics=("tides",))
    ]
    evidence = clustered(features(rows))
    told = ", ".join(f"{style} (1.00, without any spread)" for style in "abcd")
    assert evidence.outcome == "inconclusive"
    assert evidence.reason == (
        f"mean silhouette 1.00, p = {evidence.p:.2g}, but not shown to lie apart: {told} and 2 more"
    )
    assert evidence.statement == "the prompts of 6 styles form separate regions of feature space"


def test_a_smallest_p_of_just_alpha_is_not_enough() -> None:
    """Three wordings a style reach 2/20, four 2/70, which is no less than an alpha of 2/70: five are wanted."""
    evidence = clustered(noisy(templates="ABC", topics=TOPICS[:2]), alpha=2 / 70)
    assert evidence.needed == Needed(units="templates a style", have=3, wanted=5, prompts=20)
    assert evidence.reason == (
        f"mean silhouette {evidence.estimate:.2f}, p = 0.1: not distinguished from chance; "
        "3 templates a style cannot reach it, 5 can"
    )


def read_by(of: Features, there: Features) -> Features:
    """The capture with what a random model reads in each of its draws."""
    return replace(of, conditions={"random-model": (lambda: there,) * 40})


def test_a_control_is_held_against_the_units_that_the_claim_is_over() -> None:
    """A claim over topics: the random model shows what it shows over topics, not over its two templates."""
    of, there = noisy(templates="AB", topics=TOPICS), noisy(templates="AB", topics=TOPICS, seed=1)
    evidence = clustered(read_by(of, there), over=("topics",), controls=("random-model",))
    over_topics, over_templates = clustered(there, over=("topics",)).estimate, clustered(there).estimate
    assert over_topics != pytest.approx(over_templates)
    assert evidence.controls[0].numbers["R"] == pytest.approx(over_topics)


def test_a_control_that_reads_too_little_says_so() -> None:
    """Of a random model one topic alone was read: it has no units, and why is told in full."""
    of = noisy(templates="A", topics=TOPICS)
    evidence = clustered(read_by(of, of.select([0, 6])), controls=("random-model",))
    assert evidence.outcome == "inconclusive"
    assert evidence.reason == (
        f"{numbers(evidence)}, but the control for random-model could not be run: "
        "the styles share 1 topic(s): at least 2 are needed"
    )


def test_what_is_refused_is_told_in_full() -> None:
    """One style, a silent unit, another control, and two ways of generalising at once."""
    of = noisy(templates="AB", topics=TOPICS)
    silent = replace(of, acts=csr_array(of.acts * np.array([[0.0]] * 6 + [[1.0]] * 18)))
    for wrong, terms, error, told in (
        (of["n"], {}, ValueError, "there is one style, n; clusters needs at least 2"),
        (
            silent,
            {},
            ValueError,
            "no feature fires on any n prompt of 'n A: {topic}'; it lies in no direction of feature space",
        ),
        (
            of,
            {"controls": ("length",)},
            TypeError,
            (
                "the control length cannot be applied to clusters: it is one of a comparison of two measurements; "
                "there are here: injection, random-model, random-sae. Take it from controls=..., or put the "
                "comparison into a claim of its own"
            ),
        ),
        (
            of,
            {"over": ("templates", "topics")},
            TypeError,
            "clusters permutes wordings or topics; state one: over=('templates',) or over=('topics',)",
        ),
    ):
        with pytest.raises(error) as refused:
            clustered(wrong, **terms)
        assert str(refused.value) == told


@pytest.mark.parametrize(("alpha", "outcome"), [(0.12, "inconclusive"), (0.15, "refuted")])
def test_a_style_lies_in_another_only_if_its_interval_for_all_styles_does(alpha: float, outcome: str) -> None:
    """At level 1 - 2 * 0.15 / 2 x is below 0 with its interval; at 1 - 2 * 0.12 / 2 it is not, though at 1 - 2 * 0.12.

    Three of the eight wordings of x resemble each other more than those of n, the others those of n.
    """
    of = lying([(letter, "tides") for letter in "ABCDEFGH"])
    acts = of.acts.toarray()
    acts[13:, 4:10], acts[13:, 18:], acts[13:, -8:] = 0, np.eye(3, 84), 1
    evidence = clustered(replace(of, acts=csr_array(acts)), alpha=alpha)
    values = np.array([unit.value for unit in evidence.unit_values[8:]])
    ends = [hall(values, alpha=of_it * alpha)[1] for of_it in (1, 2)]
    assert [high < 0 for _, high in ends] == [outcome == "refuted", True]
    assert evidence.outcome == outcome


def test_two_shared_topics_are_enough() -> None:
    """Under one wording; 2^2 relabelings tell nothing yet, and six topics could."""
    evidence = clustered(noisy(templates="A", topics=TOPICS[:2]))
    assert (evidence.scope, evidence.n_units) == ("this wording only, over 2 topics", (2, 2))
    assert evidence.needed == Needed(units="topics", have=2, wanted=6, prompts=12)


def test_the_style_of_fewest_templates_decides_what_the_units_are() -> None:
    """Two of n and one of e: topics are the units, the templates are fixed, and over templates e is named."""
    of = noisy(templates="AB", topics=TOPICS)
    of = of.select(range(18))
    evidence = clustered(of)
    assert (evidence.scope, evidence.n_units) == ("these templates fixed, over 6 topics", (6, 6))
    assert clustered(of, over=("templates",)).reason == (
        "e has a single template: at least 2 a style stand for other wordings"
    )


def test_pasted_words_are_judged_like_the_claim() -> None:
    """The control `injection` is the same evidence on what was read for it, on the same topics, without controls."""
    of, there = noisy(templates="ABCD", topics=TOPICS[:3]), noisy(templates="ABCD", topics=TOPICS[:3], seed=1)
    pasted = replace(of, conditions={"injection": (lambda: there,)})
    evidence = clustered(pasted, controls=("injection",))
    assert evidence.controls[0].evidence == clustered(there)
    (control,) = evidence.controls
    for name, made in (("D", clustered(of)), ("R", clustered(there))):
        assert control.numbers[name] == pytest.approx(made.estimate)
    parts = [
        (np.var([unit.value for unit in made.unit_values if unit.side == style], ddof=1) / 16, 3)
        for made in (clustered(of), clustered(there))
        for style in of.styles
    ]
    assert control.numbers["error of L"] == pytest.approx(sum(part for part, _ in parts) ** 0.5)
    assert (evidence.outcome, control.answer) == ("explained", "explains")


def test_nothing_is_explained_where_nothing_is_found() -> None:
    """At an alpha that p does not fall below 35 random models show as much, and explain nothing."""
    of, there = noisy(templates="ABCD", topics=TOPICS[:3]), noisy(templates="ABCD", topics=TOPICS[:3], seed=1)
    evidence = clustered(read_by(of, there), controls=("random-model",), alpha=2 / 70)
    assert (evidence.outcome, evidence.controls[0].answer) == ("inconclusive", "cannot tell")
    assert " of 20 draws of " in evidence.controls[0].detail
    assert clustered(read_by(of, there), controls=("random-model",)).controls[0].answer == "explains"

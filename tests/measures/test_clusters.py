"""Whether prompt styles form separate regions of feature space."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from by_hand import Row, conditioned, crossed, features
from scipy.optimize import brentq
from scipy.spatial.distance import cosine
from scipy.stats import skew, t

from saeprobe.claims import NotRun
from saeprobe.evidence import Evidence, Needed, Recorder, recording
from saeprobe.features import Features
from saeprobe.measures import clusters
from saeprobe.recorded.record import Recorded

TOPICS = ("tides", "yeast", "comets", "rust", "soil", "bees")


def clustered(of: Features, **terms: object) -> Evidence:
    """The evidence under these terms, and nothing else recorded."""
    with recording(Recorder(**terms)) as recorder:  # pyright: ignore[reportArgumentType] - terms as a test names them
        evidence = clusters(of)
    assert recorder.evidence == [evidence]
    return evidence


def apart(
    *, templates: str = "ABCDE", topics: tuple[str, ...] = TOPICS, own: float = 0.8, seed: int = 0, styles: str = "ne"
) -> Features:
    """Ten features of each style fire on its prompts with probability `own`, all others with 0.2."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for place, style in enumerate(styles):
        level = np.full(10 * len(styles), 0.2)
        level[10 * place : 10 * place + 10] = own
        for template, topic in product(templates, topics):
            rows.append((style, template, topic, tuple(rng.random(len(level)) < level)))
    return features(rows)


def by_hand(of: Features) -> list[float]:
    """Silhouettes of the wordings of two styles by scipy's cosine, one after the other."""
    fires = of.acts.toarray() > 0
    of_prompt = [(prompt.style, prompt.template) for prompt in of.prompts]
    names = list(dict.fromkeys(of_prompt))
    vectors = [
        np.mean([row for row, each in zip(fires, of_prompt, strict=True) if each == name], axis=0) for name in names
    ]
    found: list[float] = []
    for unit, (style, _) in enumerate(names):
        to: dict[str, list[float]] = {}
        for other, (name, _) in enumerate(names):
            if other != unit:
                to.setdefault(name, []).append(float(cosine(vectors[unit], vectors[other])))
        a, b = np.mean(to.pop(style)), min(np.mean(each) for each in to.values())
        found.append(float((b - a) / max(a, b)))
    return found


def test_two_styles_apart_are_supported() -> None:
    """Of 252 ways to deal 5 + 5 wordings only the observed one and its mirror reach the mean silhouette: p = 2/252."""
    of = apart()
    evidence = clustered(of)
    assert (evidence.kind, evidence.outcome, evidence.unit) == ("clusters", "supported", "silhouette")
    assert evidence.p == pytest.approx(2 / 252)
    assert evidence.statement == "n and e prompts form separate regions of feature space"
    assert evidence.scope == "these 5 + 5 templates"
    assert evidence.test == "exact permutation of styles over 10 wordings (all 252)"
    assert (evidence.units, evidence.n_units, evidence.seed) == ("wordings", (5, 5), None)
    assert [unit.value for unit in evidence.unit_values] == pytest.approx(by_hand(of))
    assert [(unit.side, unit.unit) for unit in evidence.unit_values][:2] == [
        ("n", "n A: {topic}"),
        ("n", "n B: {topic}"),
    ]
    assert evidence.estimate == pytest.approx(np.mean(by_hand(of)))
    assert evidence.level == pytest.approx(0.9)
    least = min(evidence.samples, key=lambda sample: sample.mean)
    assert least.interval is not None
    assert evidence.reason == (
        f"mean silhouette {evidence.estimate:.2f}, p = 0.0079; the least, {least.label}, at {least.mean:.2f}, "
        f"interval {least.interval[0]:.2f} to {least.interval[1]:.2f}"
    )
    assert evidence.rule.startswith("the silhouettes follow from the distances given here")


def test_each_style_has_the_interval_of_its_mean_silhouette() -> None:
    """Hall's at 1 - 2 alpha over its wordings: the means at which his transform of t is a quantile of Student's."""
    of = apart(own=0.6)
    evidence = clustered(of)
    values = by_hand(of)
    for sample, part in zip(evidence.samples, np.array(values).reshape(2, 5), strict=True):
        assert (sample.measure, sample.unit, sample.n, sample.values) == ("silhouette", "silhouette", 30, ())
        assert sample.mean == pytest.approx(np.mean(part))
        g, s = float(skew(part)), float(np.std(part, ddof=1))

        def beyond(mean: float, reach: float, part: np.ndarray = part, g: float = g, s: float = s) -> float:
            w = (part.mean() - mean) / s
            return np.sqrt(5) * (w + g * w**2 / 3 + g**2 * w**3 / 27 + g / 30) - reach

        ends = [brentq(beyond, -9, 9, args=(reach,)) for reach in (t.ppf(0.95, 4), t.ppf(0.05, 4))]
        assert sample.interval == pytest.approx(ends, abs=1e-6)


def test_styles_that_do_not_differ_are_not_told_apart() -> None:
    """Where features fire without regard to style the mean silhouette is that of chance."""
    evidence = clustered(apart(own=0.2))
    assert evidence.outcome == "inconclusive"
    assert (evidence.p or 0) >= 0.05
    assert evidence.reason == (
        f"mean silhouette {evidence.estimate:.2f}, p = {evidence.p:.2g}: not distinguished from chance"
    )
    assert evidence.needed is None


def test_p_at_alpha_supports_nothing() -> None:
    """A p of 2/252 is not below an alpha of 2/252."""
    assert clustered(apart(), alpha=2 / 252).outcome == "inconclusive"
    assert clustered(apart(), alpha=2 / 252 + 1e-9).outcome == "supported"


def test_too_few_wordings_cannot_decide() -> None:
    """3 + 3 wordings: the two styles may change names, so that p is 2/20 at best; 4 + 4 reach 2/70."""
    evidence = clustered(apart(templates="ABC"))
    assert evidence.p == pytest.approx(2 / 20)
    assert evidence.reason.endswith("not distinguished from chance; 3 templates a style cannot reach it, 4 can")
    assert evidence.needed == Needed(units="templates a style", have=3, wanted=4, prompts=48)


def test_one_wording_permutes_styles_within_topics() -> None:
    """Six topics under one wording a style: 2^6 relabelings, and the scope says so."""
    evidence = clustered(apart(templates="A", own=1.0))
    assert (evidence.outcome, evidence.p) == ("supported", 2 / 64)
    assert evidence.scope == "this wording only, over 6 topics"
    assert evidence.test == "exact permutation of styles within 6 topics (all 64)"
    assert (evidence.units, evidence.n_units) == ("topics", (6, 6))
    assert [(unit.side, unit.unit) for unit in evidence.unit_values][:3] == [
        ("n", "tides"),
        ("e", "tides"),
        ("n", "yeast"),
    ]
    few = clustered(apart(templates="A", topics=TOPICS[:5], own=1.0))
    assert few.needed == Needed(units="topics", have=5, wanted=6, prompts=12)


def test_only_topics_that_all_styles_share_are_units() -> None:
    """A topic that one style lacks is left out; one shared topic is too few."""
    of = apart(templates="A", topics=TOPICS[:4])
    chosen = [index for index, prompt in enumerate(of.prompts) if (prompt.style, prompt.topic) != ("e", "yeast")]
    evidence = clustered(of.select(chosen))
    assert evidence.n_units == (3, 3)
    assert {unit.unit for unit in evidence.unit_values} == {"tides", "comets", "rust"}
    evidence = clustered(apart(templates="A", topics=TOPICS[:1]))
    assert (evidence.outcome, evidence.p) == ("inconclusive", None)
    assert evidence.reason == "the styles share 1 topic(s): at least 2 are needed"


def test_a_claim_over_topics_keeps_its_templates() -> None:
    """Each unit is then a style's prompts on a topic, under both templates."""
    evidence = clustered(apart(templates="AB", own=1.0), over=("topics",))
    assert (evidence.p, evidence.scope) == (2 / 64, "these templates fixed, over 6 topics")


def test_a_claim_over_templates_needs_several() -> None:
    """One style has a single template: the reason names it."""
    of = apart(templates="A")
    evidence = clustered(of, over=("templates",))
    assert (evidence.outcome, evidence.p) == ("inconclusive", None)
    assert evidence.reason == "n has a single template: at least 2 a style stand for other wordings"


def among(*, own: int) -> Features:
    """Six wordings each: n fires ten features, x the same and up to `own` + 5 of its own a wording, e another.

    Two wordings of x then have a cosine of about 10 / (10 + own), and one of x and one of n of sqrt(10 / (10 + own)).
    """
    rows: list[Row] = []
    for place, template in enumerate("ABCDEF"):
        acts = np.zeros((3, 101))
        acts[:2, :10] = 1
        acts[0, 10 + place] = 1  # n has one of its own too, so that its wordings differ
        acts[1, 20 + 13 * place : 20 + 13 * place + own + place % 3] = 1
        acts[2, 99 : 100 + place % 2] = 1
        rows += [(style, template, "tides", tuple(row)) for style, row in zip("nxe", acts, strict=True)]
    return features(sorted(rows))


def test_a_style_that_lies_in_another_is_refuted_and_both_are_named() -> None:
    """Every wording of x is nearer to those of n than to those of x, which have much of their own."""
    evidence = clustered(among(own=10))
    e, n, x = evidence.samples
    assert (e.label, n.label, x.label) == ("e", "n", "x")
    assert e.mean > 0
    assert n.mean > 0
    assert x.interval is not None
    assert x.interval[1] < 0
    assert evidence.outcome == "refuted"
    assert (evidence.p or 1) < 0.05
    assert evidence.reason == (
        f"x lies nearer to n than to itself: its mean silhouette is {x.mean:.2f}, interval {x.interval[0]:.2f} to "
        f"{x.interval[1]:.2f}, and against n alone as low in 0.0011 of the relabelings; mean silhouette "
        f"{evidence.estimate:.2f}, p < 0.0001"
    )


def test_styles_beside_those_of_other_subjects_say_of_which() -> None:
    """Samples and unit values bear the same labels, by which the interval of a style is found again."""
    evidence = clustered(replace(among(own=10), of_several=True))
    assert {unit.side for unit in evidence.unit_values} == {"e on hand", "n on hand", "x on hand"}
    assert evidence.reason.startswith("x on hand lies nearer to n on hand than to itself")


def test_a_style_that_is_not_shown_to_lie_apart_leaves_it_open() -> None:
    """Three styles, of which two are drawn alike: p is small for the third alone, and the two are named."""
    rng = np.random.default_rng(3)
    rows: list[Row] = []
    for style, first in (("a", 0), ("b", 0), ("c", 10)):
        level = np.full(20, 0.2)
        level[first : first + 10] = 0.9
        rows += [(style, letter, topic, tuple(rng.random(20) < level)) for letter in "ABCD" for topic in TOPICS]
    evidence = clustered(features(rows))
    assert (evidence.p or 1) < 0.05
    assert evidence.outcome == "inconclusive"
    assert (evidence.claim_p or 0) >= 0.05
    unsure = [one for one in evidence.samples if one.interval is None or one.interval[0] <= 0]
    assert {one.label for one in unsure} <= {"a", "b"}
    told = ", ".join(
        f"{one.label} ({one.mean:.2f}, interval {one.interval[0]:.2f} to {one.interval[1]:.2f})"
        for one in unsure
        if one.interval is not None
    )
    assert evidence.reason == (
        f"mean silhouette {evidence.estimate:.2f}, p = {evidence.p:.2g}, but not shown to lie apart: {told}"
    )


def test_without_spread_nothing_is_certain() -> None:
    """All wordings of a style alike: every silhouette is 1, and no interval can be given."""
    rows = crossed("n", (1, 0), templates="ABCDE", topics=TOPICS[:1])
    evidence = clustered(features(rows + crossed("e", (0, 1), templates="ABCDE", topics=TOPICS[:1])))
    assert [unit.value for unit in evidence.unit_values] == [1] * 10
    assert evidence.outcome == "inconclusive"
    assert evidence.reason == (
        "mean silhouette 1.00, p = 0.0079, but not shown to lie apart: n (1.00, without any spread), "
        "e (1.00, without any spread)"
    )


def test_many_styles_are_counted_not_named() -> None:
    """Five styles of two wordings each, drawn."""
    evidence = clustered(apart(styles="abcde", templates="AB", own=0.9))
    assert evidence.statement == "the prompts of 5 styles form separate regions of feature space"
    assert evidence.n_units == (2,) * 5
    assert evidence.test == "sampled permutation of styles over 10 wordings (19,999 drawn)"
    assert evidence.seed == 0
    assert clustered(apart(styles="abcd", templates="AB")).statement.startswith("a and b and c and d prompts form")


def test_what_cannot_be_clustered_is_refused() -> None:
    """One style, silence, controls of other kinds and two ways of generalising at once."""
    of = apart()
    with pytest.raises(ValueError, match="there is one style, n; clusters needs at least 2"):
        clustered(of["n"])
    rows = crossed("n", (1, 0), templates="AB", topics=TOPICS) + crossed("e", (0, 1), templates="AB", topics=TOPICS)
    rows[12:18] = crossed("e", (0, 0), templates="A", topics=TOPICS)
    with pytest.raises(ValueError, match=r"no feature fires on any e prompt of 'e A: \{topic\}'"):
        clustered(features(rows))
    with pytest.raises(TypeError, match="length cannot be applied to clusters: it is one of a comparison"):
        clustered(of, controls=("length",))
    with pytest.raises(TypeError, match=r"state one: over=\('templates',\) or over=\('topics',\)"):
        clustered(of, over=("templates", "topics"))


def test_a_random_model_whose_styles_lie_apart_as_well_refutes() -> None:
    """As far apart there as in the claim; where styles do not differ there, the claim stands and it is told."""
    of = apart()
    evidence = clustered(conditioned(of, "random-model", of), controls=("random-model",))
    (control,) = evidence.controls
    assert (evidence.outcome, control.answer) == ("explained", "explains")
    there = clustered(of).estimate
    assert "explained by random-model: " in evidence.reason
    assert control.numbers["R"] == pytest.approx(there)
    assert (control.estimate, control.share) == pytest.approx((0.0, 0.0), abs=1e-9)
    evidence = clustered(conditioned(of, "random-sae", apart(own=0.2, seed=1)), controls=("random-sae",))
    assert evidence.outcome == "supported"
    assert [one.name for one in evidence.controls] == ["random-sae"]
    assert evidence.reason.endswith(" beside random features")


def test_a_silent_random_model_could_not_be_asked() -> None:
    """Features that fire nowhere there have no direction: the control could not be run, and the claim is open."""
    of = apart()
    silent = replace(of, acts=of.acts * 0)
    evidence = clustered(conditioned(of, "random-model", silent), controls=("random-model",))
    assert evidence.outcome == "inconclusive"
    assert "the control for random-model could not be run: no feature fires on any n prompt" in evidence.reason


def test_the_verdict_does_not_depend_on_the_seed() -> None:
    """Five styles are permuted by drawing; four seeds, one outcome."""
    of = apart(styles="abcde", templates="ABC", own=0.8)
    assert len({clustered(of, seed=seed).outcome for seed in range(4)}) == 1


def test_a_record_of_summaries_tells_no_regions() -> None:
    """Means by style hold no prompt's features; the file that would is named."""
    with pytest.raises(NotRun, match=r"diff\.json .*features_layer50\.pt"):
        clusters(Recorded(subject="hand", by_style={}, origin="diff.json"))


def test_the_distances_between_units_are_told() -> None:
    """One minus the cosine of any two wordings, to six decimals, of each wording to those before it."""
    of = apart(templates="ABC")
    evidence = clustered(of)
    fires = of.acts.toarray() > 0
    vectors = [
        np.mean([row for row, prompt in zip(fires, of.prompts, strict=True) if prompt.template == unit.unit], axis=0)
        for unit in evidence.unit_values
    ]
    assert evidence.distances == tuple(
        tuple(round(float(cosine(vectors[unit], vectors[before])), 6) for before in range(unit)) for unit in range(1, 6)
    )
    assert "the silhouettes follow from the distances given here" in evidence.rule
    assert "The mean silhouette came out at least as large in" in evidence.rule


def test_styles_on_other_topics_are_not_compared() -> None:
    """Wordings on other topics lie apart for what they are about, so that nothing could be said of the styles."""
    both = apart(topics=TOPICS[:4])
    kept = [
        place
        for place, prompt in enumerate(both.prompts)
        if prompt.topic != ("tides" if prompt.style == "n" else "yeast")
    ]
    evidence = clustered(both.select(kept))
    assert (evidence.outcome, evidence.p) == ("inconclusive", None)
    assert evidence.reason == "n and e prompts are not on the same topics, which alone could part them"

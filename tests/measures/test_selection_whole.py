"""Selection, the evidence as a whole: of what is confirmed, of what is not, and of what its controls show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from by_hand import Row, conditioned, crossed, features
from scipy.stats import t

from saeprobe.evidence import Evidence, Needed, Recorder, Sample, UnitValue, recording
from saeprobe.features import Features
from saeprobe.measures import pick, scan
from saeprobe.statistics.intervals import units_to_decide
from saeprobe.statistics.shifts import paired_shift, unpaired_shift

TOPICS = ("tides", "yeast", "comets", "rust")
EIGHT = "ABCDEFGH"
CONFIRMING = "BDFH"
STATEMENT = "some features fire on novice more often than on expert, on wordings and topics they were not picked on"


def scanned(of: Features, *, most: int = 20, **terms: object) -> Evidence:
    """A scan of novice beside expert under these terms."""
    with recording(Recorder(**terms)):  # pyright: ignore[reportArgumentType] - terms as a test names them
        return scan(of["novice"], of["expert"], most=most)


def two_styles(novice: tuple[float, ...], expert: tuple[float, ...], *, templates: str = EIGHT) -> Features:
    """The same activations on every prompt of a style."""
    rows = crossed("novice", novice, templates=templates, topics=TOPICS)
    return features(rows + crossed("expert", expert, templates=templates, topics=TOPICS))


def one_confirmed_of_two() -> Features:
    """Feature 0 fires on novice alone, 1 under expert's templates B and D too, 2 on all."""
    rows = crossed("novice", (1, 1, 1), templates=EIGHT, topics=TOPICS)
    for template in EIGHT:
        rows += crossed("expert", (0, template in "BD", 1), templates=template, topics=TOPICS)
    return features(rows)


def part(feature: int, expert: tuple[float, ...], ps: tuple[float, float], reason: str) -> Evidence:
    """What is told of one picked feature that fires on all novice prompts of the half that confirms."""
    p, adjusted = ps
    rates = {"novice": (1.0,) * 4, "expert": expert}
    return Evidence(
        kind="greater",
        statement=f"feature {feature} fires on novice more often than on expert",
        outcome="supported" if adjusted < 0.05 else "inconclusive",
        reason=reason,
        scope="these 4 + 4 templates",
        unit="share of prompts",
        estimate=1 - sum(expert) / 4,
        p=p,
        alpha=0.1,
        test="Welch's t test of 4 + 4 units (templates), one-sided",
        units="templates",
        n_units=(4, 4),
        samples=tuple(
            Sample(
                label=label,
                measure=f"firing rate of feature {feature}",
                unit="share of prompts",
                mean=sum(of_units) / 4,
                n=8,
            )
            for label, of_units in rates.items()
        ),
        unit_values=tuple(
            UnitValue(side=label, unit=f"{label} {letter}: {{topic}}", value=value)
            for label, of_units in rates.items()
            for letter, value in zip(CONFIRMING, of_units, strict=True)
        ),
    )


def test_the_evidence_of_a_scan_as_a_whole() -> None:
    """Feature 0 has p = 1/70, twice that adjusted; feature 1 has t = sqrt(3) with 3 degrees of freedom."""
    evidence = scanned(one_confirmed_of_two(), alpha=0.1)
    parts = (
        part(
            0,
            (0, 0, 0, 0),
            (1 / 70, 2 / 70),
            "100 % against 0 % of prompts, p = 0.014 (p = 0.029 adjusted for 2 picked)",
        ),
        part(
            1,
            (1, 1, 0, 0),
            (float(t.sf(3**0.5, 3)), float(t.sf(3**0.5, 3))),
            "100 % against 50 % of prompts, p = 0.091 (p = 0.091 adjusted for 2 picked)",
        ),
    )
    assert tuple(replace(one, rule="", p=pytest.approx(one.p)) for one in evidence.parts) == parts
    assert replace(evidence, rule="", parts=()) == Evidence(
        kind="scan",
        statement=STATEMENT,
        outcome="supported",
        reason="1 of 2 picked among 3 features is confirmed (feature 0: 100 % against 0 % of prompts); "
        "Benjamini-Hochberg at alpha / 2 = 0.05",
        scope="these 4 + 4 templates; picked on 8 + 8 prompts, other wordings and other topics",
        unit="features",
        estimate=1.0,
        p=2 / 70,
        alpha=0.1,
        test="Welch's t test of 4 + 4 units (templates), one-sided; Benjamini-Hochberg over 2 features",
        units="templates",
        n_units=(4, 4),
        tried=3,
    )


def test_the_best_of_those_that_are_not_confirmed_is_named_with_what_would_confirm_it() -> None:
    """Feature 0 fits the picking half alone; 1 fires on 3 of 4 novice templates there and has t = 3 on the other.

    The rates of its units, 1, 1, 1, 1 and 1, 0, 0, 0, have a mean difference of 0.75 and variances of 0 and 0.25.
    """
    rows: list[Row] = []
    for place, template in enumerate(EIGHT):
        rows += crossed("novice", (place % 2 == 0, template != "A"), templates=template, topics=TOPICS)
    for template in EIGHT:
        rows += crossed("expert", (0, template == "B"), templates=template, topics=TOPICS)
    evidence = scanned(features(rows))
    half = units_to_decide(0.75 / 0.125**0.5, alpha=0.05 / 2, paired=False)
    assert half is not None
    wanted = 2 * half - 1
    assert wanted > 8
    assert [one.statement.split()[1] for one in evidence.parts] == ["0", "1"]
    assert (evidence.outcome, evidence.estimate) == ("inconclusive", 0)
    assert evidence.needed == Needed(units="templates a style", have=8, wanted=wanted, prompts=wanted * 8)
    assert evidence.reason == (
        "none of 2 picked among 2 features is confirmed; the best, feature 1: 100 % against 25 % of prompts, p = 0.029 "
        f"(p = 0.058 adjusted for 2 picked). About {wanted} templates a style would confirm it among so many; "
        "fewer would if fewer were picked"
    )


def test_what_is_drawn_is_drawn_from_the_seed_of_the_claim() -> None:
    """40 topics confirm: p of every feature is half of that of its sign flips under seed 3, which each part names."""
    rng = np.random.default_rng(0)
    fires = {
        style: rng.random((80, 12)) < rate for style, rate in (("novice", 0.6), ("expert", 0.4))
    }  # a topic in each row
    rows: list[Row] = [
        (style, "A", f"topic {number:02}", tuple(map(float, acts)))
        for style, of_topics in fires.items()
        for number, acts in enumerate(of_topics)
    ]
    evidence = scanned(features(rows), seed=3)
    differences = fires["novice"][1::2].astype(float) - fires["expert"][1::2]
    assert evidence.seed == 3
    assert len({one.p for one in evidence.parts}) > 4
    for one in evidence.parts:
        of_feature = differences[:, int(one.statement.split()[1])]
        shift = paired_shift(of_feature, alpha=0.05, seed=3)
        assert one.p == (shift.p / 2 if of_feature.mean() > 0 else 1)
        assert (one.seed, one.test) == (3, f"{shift.test} (topics, paired), one-sided")


def test_each_part_names_the_test_that_decided_it() -> None:
    """With 4 + 12 templates that confirm, Welch's p is the larger one for a feature that scatters, not for all."""
    rng = np.random.default_rng(3)
    rows: list[Row] = [
        (style, wording, topic, tuple(map(float, rng.random(8) < rate)))
        for style, wordings, rate in (("novice", EIGHT, 0.8), ("expert", f"{EIGHT}IJKLMNOPQRSTUVWX", 0.2))
        for wording in wordings
        for topic in TOPICS
    ]
    evidence = scanned(features(rows))
    assert len({part.test for part in evidence.parts}) > 1
    for part in evidence.parts:
        a, b = ([one.value for one in part.unit_values if one.side == style] for style in ("novice", "expert"))
        shift = unpaired_shift(np.array(a), np.array(b), alpha=0.05, seed=0)
        assert (part.p, part.test) == (shift.p / 2, f"{shift.test} (templates), one-sided")
        assert part.rule.endswith(f"inconclusive otherwise. {shift.rule}")
    best = min(evidence.parts, key=lambda part: part.p or 0.0)
    assert evidence.test == f"{best.test}; Benjamini-Hochberg over {len(evidence.parts)} features"


def test_a_scan_confirms_twenty_features_unless_told_otherwise() -> None:
    """Of 30 that fire on novice alone."""
    of = two_styles((1,) * 30, (0,) * 30)
    assert len(scan(of["novice"], of["expert"]).parts) == 20


def test_an_adjusted_p_at_alpha_is_not_counted() -> None:
    """1/70 is not below half of an alpha of 2/70: no feature is confirmed."""
    evidence = scanned(two_styles((1, 0), (0, 0)), alpha=2 / 70)
    assert (evidence.outcome, evidence.estimate, evidence.parts[0].outcome) == ("inconclusive", 0, "inconclusive")


@pytest.mark.parametrize(
    ("novice", "expert", "why"),
    [
        ("ABCD", "AB", "novice has 2 template(s) and expert 1"),  # those of the half to pick on: A, C and A
        ("ABC", "ABC", "novice has 1 template(s) and expert 1"),  # one a style to pick on, two to confirm
    ],
)
def test_a_half_without_several_templates_tests_nothing(novice: str, expert: str, why: str) -> None:
    """The first half that has too few says how many."""
    rows = crossed("novice", (1, 0), templates=novice, topics=TOPICS)
    of = features(rows + crossed("expert", (0, 0), templates=expert, topics=TOPICS))
    evidence = scanned(of, over=("templates",))
    assert replace(evidence, rule="") == Evidence(
        kind="scan",
        statement=STATEMENT,
        outcome="inconclusive",
        reason=f"nothing was tested: in a half, {why}: at least 2 a side stand for other wordings",
        scope="these prompts only",
        unit="features",
        estimate=0.0,
        alpha=0.05,
        tried=2,
    )


def test_where_nothing_is_picked_the_units_of_the_other_half_are_told() -> None:
    """Feature 0 fires on expert alone, 1 on both."""
    assert replace(scanned(two_styles((0, 1), (1, 1))), rule="") == Evidence(
        kind="scan",
        statement=STATEMENT,
        outcome="inconclusive",
        reason="of 2 features none fires on novice more often, on the prompts that were picked on",
        scope="these 4 + 4 templates",
        unit="features",
        estimate=0.0,
        p=1.0,
        alpha=0.05,
        tried=2,
    )


@pytest.mark.parametrize(("single", "several"), [("novice", "expert"), ("expert", "novice")])
def test_a_wording_that_either_style_keeps_is_told(single: str, several: str) -> None:
    """One style has one wording in both halves; the other has A on the topics to pick on and B on those to confirm."""
    topics = tuple(f"topic {number}" for number in range(12))
    acts = {"novice": (1, 0), "expert": (0, 0)}
    rows = crossed(single, acts[single], templates="A", topics=topics)
    rows += [(several, "AB"[number % 2], topic, acts[several]) for number, topic in enumerate(topics)]
    assert scanned(features(rows)).scope == (
        "this wording only, over 6 topics; picked on 6 + 6 prompts, the same wordings and other topics"
    )


def test_features_are_picked_by_what_the_claim_generalises_over() -> None:
    """By topics one wording is enough; a claim over templates has nothing to pick by."""
    of = two_styles((1, 0), (0, 0), templates="A")
    assert pick(of["novice"], of["expert"]).features == (0,)
    told = r"^novice has 1 template\(s\) and expert 1: at least 2 a side stand for other wordings: nothing to pick by$"
    with recording(Recorder(over=("templates",))), pytest.raises(ValueError, match=told):
        pick(of["novice"], of["expert"])


def test_a_scan_over_templates_and_topics_at_once_is_refused() -> None:
    """The error says what to write instead."""
    told = r"^a scan permutes templates or topics; state one: over=\('templates',\) or over=\('topics',\)$"
    with pytest.raises(TypeError, match=told):
        scanned(two_styles((1, 0), (0, 0)), over=("templates", "topics"))


def pasted(acts: tuple[float, ...]) -> Features:
    """Neutral wordings with the words of the styles, other templates on the same topics."""
    rows = crossed("novice", acts, templates="STUVWXYZ", topics=TOPICS)
    return features(rows + crossed("expert", (0,) * len(acts), templates="STUVWXYZ", topics=TOPICS))


def test_words_that_bring_about_the_same_scan_refute_it() -> None:
    """One feature is confirmed, and one of three on the pasted words, where as many are picked."""
    read = pasted((1, 1, 1))
    evidence = scanned(
        conditioned(two_styles((1, 0, 0), (0, 0, 0)), "injection", read), most=1, controls=("injection",)
    )
    again = scanned(read, most=1)
    (control,) = evidence.controls
    assert again.estimate == 1
    assert (control.answer, control.estimate, control.share, control.evidence) == ("explains", 0.0, 0.0, again)
    assert evidence.outcome == "explained"
    assert (
        f"explained by injection: with the styles' own words pasted into neutral prompts {again.reason};"
        in evidence.reason
    )


def test_draws_are_scanned_for_as_many_features_as_the_claim() -> None:
    """Random features of which three fire on novice alone show one, as one is picked."""
    of, read = two_styles((1, 0, 0), (0, 0, 0)), two_styles((1, 1, 1), (0, 0, 0))
    (control,) = scanned(conditioned(of, "random-sae", read), most=1, controls=("random-sae",)).controls
    assert (control.estimate, control.share, control.answer) == (0, 0, "explains")


def test_draws_explain_nothing_where_nothing_is_confirmed() -> None:
    """The feature fires on tides and comets, which are picked on, and not on yeast and rust, which confirm.

    A random model was read on tides and comets alone; there claim and draws show it alike, one on each half.
    """
    rows: list[Row] = []
    for template in EIGHT:
        rows += [("novice", template, topic, (topic in {"tides", "comets"},)) for topic in TOPICS]
    of = features(rows + crossed("expert", (0,), templates=EIGHT, topics=TOPICS))
    read = of.select([index for index, prompt in enumerate(of.prompts) if prompt.topic in {"tides", "comets"}])
    evidence = scanned(conditioned(of, "random-model", read), controls=("random-model",))
    (control,) = evidence.controls
    assert (evidence.outcome, evidence.estimate) == ("inconclusive", 0)
    assert (control.estimate, control.share, control.answer) == (0, 0, "cannot tell")


def test_a_control_that_was_not_read_follows_the_numbers() -> None:
    """They come first, then what could not be run."""
    assert scanned(two_styles((1, 0), (0, 0)), controls=("random-sae",)).reason == (
        "1 of 1 picked among 2 features is confirmed (feature 0: 100 % against 0 % of prompts); "
        "Benjamini-Hochberg at alpha / 2 = 0.025, "
        "but the control for random-sae could not be run: nothing was read for the control random-sae on hand"
    )

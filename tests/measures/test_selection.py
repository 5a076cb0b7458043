"""Features picked on one half of the prompts and confirmed on the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from by_hand import Row, conditioned, crossed, features, near_rows
from scipy.sparse import csr_array
from statsmodels.stats.multitest import multipletests

from saeprobe.evidence import ControlResult, Evidence, Recorder, recording
from saeprobe.features import Features
from saeprobe.files import p_value
from saeprobe.measures import pick, scan

TOPICS = ("tides", "yeast", "comets", "rust")
EIGHT = "ABCDEFGH"
MANY = tuple(f"topic {number}" for number in range(12))


def styled(
    novice: tuple[float, ...], expert: tuple[float, ...], *, templates: str, topics: tuple[str, ...]
) -> Features:
    """The same activations on every prompt of a style."""
    rows = crossed("novice", novice, templates=templates, topics=topics)
    return features(rows + crossed("expert", expert, templates=templates, topics=topics))


def scanned(of: Features, *, most: int = 20, **terms: object) -> Evidence:
    """A scan of novice beside expert under these terms, and nothing else recorded."""
    with recording(Recorder(**terms)) as recorder:  # pyright: ignore[reportArgumentType] - terms as a test names them
        evidence = scan(of["novice"], of["expert"], most=most)
    assert recorder.evidence == [evidence]
    return evidence


def noise(seed: int, *, d_sae: int = 60, templates: str = EIGHT, topics: tuple[str, ...] = TOPICS) -> Features:
    """Features that fire by template and by chance, and never by style."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for style in ("novice", "expert"):
        for template in templates:
            level = rng.random(d_sae)
            rows += [(style, template, topic, tuple(rng.random(d_sae) < level)) for topic in topics]
    return features(rows)


def test_a_feature_of_one_style_is_confirmed_by_hand() -> None:
    """On 4 + 4 templates that were not picked on no rate varies, and p is the least that these can show: 1/70.

    Feature 0 fires on novice alone, 1 on both, 2 on expert alone; only 0 is picked.
    """
    evidence = scanned(styled((1, 1, 0), (0, 1, 1), templates=EIGHT, topics=TOPICS))
    assert (evidence.kind, evidence.outcome, evidence.estimate, evidence.tried) == ("scan", "supported", 1, 3)
    assert evidence.p == pytest.approx(1 / 70)
    assert evidence.statement == (
        "some features fire on novice more often than on expert, on wordings and topics they were not picked on"
    )
    assert evidence.reason == (
        "1 of 1 picked among 3 features is confirmed (feature 0: 100 % against 0 % of prompts); "
        "Benjamini-Hochberg at alpha / 2 = 0.025"
    )
    assert evidence.scope == "these 4 + 4 templates; picked on 8 + 8 prompts, other wordings and other topics"
    assert evidence.test == ("Welch's t test of 4 + 4 units (templates), one-sided; Benjamini-Hochberg over 1 features")
    assert (evidence.units, evidence.n_units, evidence.seed, evidence.alpha) == ("templates", (4, 4), None, 0.05)
    assert (evidence.unit, evidence.needed, evidence.controls) == ("features", None, ())
    assert evidence.rule.endswith("for features that were picked badly do not show that there are none")


def test_each_picked_feature_has_its_own_evidence() -> None:
    """With rates, p, the p adjusted, and the rate of every template that was tested."""
    evidence = scanned(styled((1, 1, 1), (0, 0, 1), templates=EIGHT, topics=TOPICS))
    first, second = evidence.parts
    assert first.statement == "feature 0 fires on novice more often than on expert"
    assert first.reason == "100 % against 0 % of prompts, p = 0.014 (p = 0.014 adjusted for 2 picked)"
    assert (first.kind, first.outcome, first.estimate, first.unit) == ("greater", "supported", 1, "share of prompts")
    assert first.p == pytest.approx(1 / 70)
    assert [(sample.label, sample.mean, sample.n) for sample in first.samples] == [("novice", 1, 8), ("expert", 0, 8)]
    assert first.samples[0].measure == "firing rate of feature 0"
    assert [(unit.side, unit.unit[-10], unit.value) for unit in first.unit_values] == [
        *(("novice", letter, 1) for letter in "BDFH"),
        *(("expert", letter, 0) for letter in "BDFH"),
    ]
    assert second.statement.startswith("feature 1 ")
    assert first.rule.startswith(
        "supported where p, adjusted for the features that were picked, is below alpha / 2; inconclusive otherwise. "
    )
    assert (first.scope, first.n_units, first.units) == ("these 4 + 4 templates", (4, 4), "templates")


def test_few_features_are_named_and_all_are_counted() -> None:
    """Five are confirmed; the reason names three of them."""
    evidence = scanned(styled((1,) * 5, (0,) * 5, templates=EIGHT, topics=TOPICS))
    told = ", ".join(f"feature {number}: 100 % against 0 % of prompts" for number in range(3))
    assert evidence.reason == (
        f"5 of 5 picked among 5 features are confirmed ({told}, ...); Benjamini-Hochberg at alpha / 2 = 0.025"
    )
    assert scanned(styled((1,) * 3, (0,) * 3, templates=EIGHT, topics=TOPICS)).reason == (
        f"3 of 3 picked among 3 features are confirmed ({told}); Benjamini-Hochberg at alpha / 2 = 0.025"
    )


def test_at_most_so_many_are_picked() -> None:
    """Of five equally good ones the first two; the number tried stays five."""
    evidence = scanned(styled((1,) * 5, (0,) * 5, templates=EIGHT, topics=TOPICS), most=2)
    assert [part.statement.split()[1] for part in evidence.parts] == ["0", "1"]
    assert (evidence.estimate, evidence.tried) == (2, 5)
    assert len(scanned(styled((1,) * 30, (0,) * 30, templates=EIGHT, topics=TOPICS)).parts) == 20


def test_what_fits_the_picking_half_alone_is_not_confirmed() -> None:
    """Feature 0 fires under the templates A and C of novice, which are picked on, and not under B and D."""
    rows = crossed("novice", (1, 1), templates="AC", topics=TOPICS)
    rows = rows[:4] + crossed("novice", (0, 1), templates="B", topics=TOPICS) + rows[4:]
    rows += crossed("novice", (0, 1), templates="D", topics=TOPICS)
    rows += crossed("expert", (0, 1), templates="ABCD", topics=TOPICS)
    evidence = scanned(features(rows))
    assert (evidence.outcome, evidence.estimate, evidence.p) == ("inconclusive", 0, 1)
    assert evidence.reason == (
        "none of 1 picked among 2 features is confirmed; the best, feature 0: 0 % against 0 % of prompts, p = 1 "
        "(p = 1 adjusted for 1 picked). At this difference no plan of templates a style would confirm it"
    )
    assert evidence.needed is not None
    assert (evidence.needed.units, evidence.needed.have, evidence.needed.wanted) == ("templates a style", 4, None)


def test_a_few_templates_cannot_confirm_one_of_many_and_the_reason_tells_what_would() -> None:
    """Five times p = 1/70 is 0.071; one of five needs a two-sided p below 0.02, and so 5 + 5 templates to confirm it.

    C(10, 5) = 252 and 2/252 < 0.02 < 2/70: ten templates a style in all, on which 4 topics make 80 prompts.
    """
    rows: list[Row] = []
    for place, template in enumerate(EIGHT):
        once = (0.0,) * 4 if place % 2 else (1.0,) * 4  # four features that fit the picking half alone
        rows += crossed("novice", (1, *once), templates=template, topics=TOPICS)
    rows += crossed("expert", (0,) * 5, templates=EIGHT, topics=TOPICS)
    evidence = scanned(features(rows))
    assert (evidence.outcome, evidence.p) == ("inconclusive", pytest.approx(5 / 70))
    assert evidence.needed is not None
    assert (evidence.needed.have, evidence.needed.wanted, evidence.needed.prompts) == (8, 9, 72)
    assert evidence.reason == (
        "none of 5 picked among 5 features is confirmed; the best, feature 0: 100 % against 0 % of prompts, p = 0.014 "
        "(p = 0.071 adjusted for 5 picked). About 9 templates a style would confirm it among so many; "
        "fewer would if fewer were picked"
    )
    assert scanned(features(rows), most=1).outcome == "supported"


def test_p_at_alpha_confirms_nothing() -> None:
    """A p of 1/70 is not below half of an alpha of 2/70."""
    of = styled((1, 0), (0, 0), templates=EIGHT, topics=TOPICS)
    assert scanned(of, alpha=2 / 70).outcome == "inconclusive"
    assert scanned(of, alpha=2 / 70 + 1e-9).outcome == "supported"


def test_one_wording_is_confirmed_over_topics() -> None:
    """Six of twelve topics confirm by their signs: p = 1/64, and the scope says that there is one wording."""
    evidence = scanned(styled((1, 0), (0, 0), templates="A", topics=MANY))
    assert (evidence.outcome, evidence.p, evidence.units) == ("supported", 1 / 64, "topics, paired")
    assert evidence.statement.endswith("more often than on expert, on topics they were not picked on")
    assert evidence.scope == (
        "this wording only, over 6 topics; picked on 6 + 6 prompts, the same wordings and other topics"
    )
    needing = scanned(styled((1, 0), (0, 0), templates="A", topics=MANY[:8])).needed
    assert needing is not None
    assert (needing.units, needing.have, needing.wanted, needing.prompts) == ("topics", 8, 11, 22)  # 2/2^6 < 0.05


def test_a_claim_over_topics_keeps_its_templates() -> None:
    """All eight stand in both halves, and six topics confirm."""
    evidence = scanned(styled((1, 0), (0, 0), templates=EIGHT, topics=MANY), over=("topics",))
    assert evidence.p == 1 / 64
    assert evidence.scope.startswith("these 8 + 8 templates fixed, over 6 topics; picked on 48 + 48 prompts, the same")


def test_a_claim_over_templates_needs_several_in_a_half() -> None:
    """Two a style leave one in each half: inconclusive, with the reason."""
    evidence = scanned(styled((1, 0), (0, 0), templates="AB", topics=TOPICS), over=("templates",))
    assert (evidence.outcome, evidence.p, evidence.tried) == ("inconclusive", None, 2)
    assert evidence.reason == (
        "nothing was tested: in a half, novice has 1 template(s) and expert 1: "
        "at least 2 a side stand for other wordings"
    )


def test_a_half_of_one_topic_is_too_few() -> None:
    """Two topics under one wording: one to pick on, one to confirm, which has no sign to flip."""
    evidence = scanned(styled((1, 0), (0, 0), templates="A", topics=TOPICS[:2]))
    assert (evidence.outcome, evidence.reason) == (
        "inconclusive",
        "the half that confirms has 1 + 1 units: too few",
    )


def test_nothing_to_pick_is_inconclusive() -> None:
    """No feature fires more often on novice."""
    evidence = scanned(styled((0, 1), (1, 1), templates=EIGHT, topics=TOPICS))
    assert (evidence.outcome, evidence.estimate, evidence.p, evidence.parts) == ("inconclusive", 0, 1, ())
    assert evidence.reason == ("of 2 features none fires on novice more often, on the prompts that were picked on")


def test_the_false_discovery_rate_is_that_of_statsmodels() -> None:
    """On features that fire a little more on novice: adjusted p, confirmed features and the best p are theirs."""
    rng = np.random.default_rng(4)
    rows: list[Row] = []
    for style, more in (("novice", 0.5), ("expert", 0.0)):
        level = 0.3 + more * (np.arange(25) < 8)
        for template in EIGHT + "IJKLMN":
            rows += [(style, template, topic, tuple(rng.random(25) < level)) for topic in TOPICS]
    evidence = scanned(features(rows))
    ps = [part.p or 0 for part in evidence.parts]
    found, adjusted, *_ = multipletests(ps, alpha=0.025, method="fdr_bh")
    assert [part.outcome == "supported" for part in evidence.parts] == list(found)
    assert 0 < sum(found) < len(ps)
    assert evidence.estimate == sum(found)
    assert evidence.p == pytest.approx(min(adjusted))
    assert all(
        part.reason.endswith(f"({p_value(q)} adjusted for {len(ps)} picked)")
        for part, q in zip(evidence.parts, adjusted, strict=True)
    )


def test_noise_is_rarely_confirmed() -> None:
    """60 features that differ between templates but not between styles: in 12 scans at most 3 find something.

    At a rate of 0.05 four or more of 12 have a probability of 0.2 %.
    """
    assert sum(scanned(noise(seed)).outcome == "supported" for seed in range(12)) <= 3


def test_features_near_their_threshold_are_flagged() -> None:
    """Rounding decides feature 0 on one prompt of the half that confirms."""
    of = styled((1, 0), (0, 0), templates=EIGHT, topics=TOPICS)
    rows = [np.array([0]) if prompt.text == "novice B: yeast" else np.array([], dtype=int) for prompt in of.prompts]
    of = replace(of, near=near_rows(rows, d_sae=2), tolerance=1e-4)
    evidence = scanned(of)
    told = "feature 0 is within rounding of its threshold (0.0001 of the stream's norm) on 1 of 8 prompts"
    assert evidence.near_threshold == (f"novice: {told}",)
    assert evidence.parts[0].samples[0].reach == pytest.approx((7 / 8, 1))
    assert evidence.parts[0].samples[1].near_threshold is None


def test_a_scan_refuses_what_it_cannot_do() -> None:
    """No feature to confirm, a control that belongs to other kinds, and two ways of generalising at once."""
    of = styled((1, 0), (0, 0), templates=EIGHT, topics=TOPICS)
    with pytest.raises(ValueError, match="most is 0; wanted at least one feature to confirm"):
        scanned(of, most=0)
    with pytest.raises(TypeError, match="the control length cannot be applied to a scan: it is one of a comparison"):
        scanned(of, controls=("length",))
    with pytest.raises(TypeError, match=r"state one: over=\('templates',\) or over=\('topics',\)"):
        scanned(of, over=("templates", "topics"))


def test_a_random_model_that_confirms_as_many_refutes() -> None:
    """Both scans confirm their two features; with none confirmed in the random model the claim stands."""
    of = styled((1, 1, 0), (0, 0, 0), templates=EIGHT, topics=TOPICS)
    same = styled((0, 1, 1), (0, 0, 0), templates=EIGHT, topics=TOPICS)
    evidence = scanned(conditioned(of, "random-model", same), controls=("random-model",))
    assert evidence.outcome == "explained"
    assert evidence.reason.endswith(
        "but explained by random-model: 20 of 20 draws of a model of the same shape with random weights show at least "
        f"the +2 features of the claim on the same {len(of)} prompts, 20 at least half of it, +2 features on "
        "average, p = 1"
    )
    assert evidence.controls[0].p == 1
    silent = styled((0, 1, 1), (0, 1, 1), templates=EIGHT, topics=TOPICS)
    evidence = scanned(conditioned(of, "random-sae", silent), controls=("random-sae",))
    assert evidence.outcome == "supported"
    assert (evidence.controls[0].p, evidence.controls[0].share) == (pytest.approx(1 / 33), 1)
    assert evidence.reason.endswith("; +2 left of it (100 %) beside random features")


def test_a_control_that_was_not_read_leaves_it_open() -> None:
    """Nobody captured a random SAE: the claim is inconclusive and says so."""
    evidence = scanned(styled((1, 0), (0, 0), templates=EIGHT, topics=TOPICS), controls=("random-sae",))
    assert evidence.outcome == "inconclusive"
    assert evidence.reason.endswith(
        "but the control for random-sae could not be run: nothing was read for the control random-sae on hand"
    )
    assert evidence.controls[0] == ControlResult(
        name="random-sae",
        answer="cannot tell",
        estimate=1.0,
        interval=None,
        p=None,
        detail="nothing was read for the control random-sae on hand",
    )


def test_pick_ranks_as_the_scan_does() -> None:
    """Feature 2 fires on all novice prompts, 0 on half of the templates; 1 fires on both styles alike."""
    rows: list[Row] = []
    for place, template in enumerate("ABCD"):
        rows += crossed("novice", (place % 2, 1, 1), templates=template, topics=TOPICS)
    of = features(rows + crossed("expert", (0, 1, 0), templates="ABCD", topics=TOPICS))
    assert pick(of["novice"], of["expert"]).features == (2,)
    found = pick(of["novice"], of["expert"], most=5)
    assert (found.features, found.tried, found.picked_on) == ((2, 0), 3, "16 + 16 prompts")


def test_pick_needs_prompts_to_compare() -> None:
    """Two styles on different topics have nothing in common to pick by."""
    rows = crossed("novice", (1, 0), templates="AB", topics=TOPICS[:2])
    of = features(rows + crossed("expert", (0, 1), templates="AB", topics=TOPICS[2:]))
    with pytest.raises(ValueError, match="the prompts of novice and expert share no topic: nothing to pick by"):
        pick(of["novice"], of["expert"])


def test_many_features_are_scanned_in_little_time() -> None:
    """65,536 features on 320 prompts of which a handful fire: the sparse rows are never made dense by prompt."""
    of = styled((1, 0), (0, 0), templates=EIGHT, topics=TOPICS)
    wide = replace(
        of, acts=csr_array((of.acts.data, of.acts.indices + 60_000, of.acts.indptr), shape=(len(of), 65_536))
    )
    evidence = scanned(wide)
    assert (evidence.tried, evidence.parts[0].statement.split()[1]) == (65_536, "60000")


def test_what_is_drawn_tells_its_seed() -> None:
    """40 topics that confirm have more signs than can be counted."""
    topics = tuple(f"topic {number}" for number in range(80))
    evidence = scanned(styled((1, 0), (0, 0), templates="A", topics=topics), seed=3)
    assert (evidence.outcome, evidence.seed, evidence.n_units) == ("supported", 3, (40, 40))
    assert (evidence.test or "").startswith("sampled sign flips of 40 paired differences")


def test_near_copies_that_count_as_one_unit_are_named() -> None:
    """Two of expert's wordings differ in one word of six; both are in the half that confirms, or neither."""
    letters = "abcdefgh"
    wordings = [" ".join(letter * n for n in range(3, 8)) for letter in letters]
    copies = [f"{letters[0]} {letters[1]} {letters[2]} {letters[3]} {last}" for last in ("one", "two")]
    rows: list[Row] = [
        (style, wording, topic, (float(style == "novice"), 0))
        for style in ("novice", "expert")
        for wording in (wordings if style == "novice" else [*copies, *wordings])
        for topic in TOPICS
    ]
    named = [f"expert {copy}: {{topic}}" for copy in copies]
    assert scanned(features(rows)).copies == (tuple(named),)

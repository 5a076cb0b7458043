"""The study judges by the whole path of a probe, repeats by seed, and sees a test that is broken."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from known import population

from saeprobe.evidence import Evidence, current_terms
from saeprobe.evidence.values import Measurement
from studies.calibration import false_claims, sentences
from studies.calibration.claim import Claimed, Design, Terms, verdict_on
from studies.calibration.drawing import a_feature, shuffled
from studies.calibration.false_claims import FALSE
from studies.calibration.results import lines
from studies.calibration.study import Row, StudyError, rows
from studies.calibration.true_claims import TRUE

MADE = population()
APART = population(own=0.9, topics=12)
"""Its groups differ, so that there is something to know of them."""
SHUFFLED = replace(false_claims.greater_rate, how="labels shuffled")


def study(designs: Sequence[Design], *, claims: int, seed: int = 0) -> list[Row]:
    """Run some designs on the made population."""
    return list(rows([MADE], designs, subject="made", claims=claims, terms=Terms(seed=seed)))


@pytest.mark.parametrize("design", [*FALSE, *TRUE], ids=lambda design: f"{design.truth} {design.name}")
def test_every_design_gives_claims_that_the_whole_path_decides(design: Design) -> None:
    """Each is drawn, measured, compared and decided."""
    populations = [replace(APART, name=name) for name in design.populations[:1]]
    found = list(rows(populations, [design], subject="made", claims=2, terms=Terms()))
    assert len(found) == 2 * design.times
    assert {one.word for one in found} <= {"supported", "refuted", "inconclusive"}


def test_designs_have_names_of_their_own() -> None:
    """The draw of a claim is named after its design, and so is its line."""
    names = Counter((design.truth, design.name) for design in (*FALSE, *TRUE))
    assert set(names.values()) == {1}


def test_the_same_seed_gives_the_same_rows_and_another_gives_others() -> None:
    """Every row depends on the seed, whatever is drawn."""
    first = study([SHUFFLED, FALSE[1]], claims=4)
    assert study([SHUFFLED, FALSE[1]], claims=4) == first
    assert study([SHUFFLED, FALSE[1]], claims=4, seed=1) != first


def test_a_design_that_is_left_out_changes_no_other() -> None:
    """Each claim is drawn from its own name."""
    both = study([SHUFFLED, FALSE[1]], claims=3)
    assert study([FALSE[1]], claims=3) == both[3:]


def test_a_large_difference_is_confirmed_and_its_contrary_refuted() -> None:
    """Both arms are asked about the same sentence."""
    p, q = APART.groups["p"][:6], APART.groups["q"][:6]
    holds = sentences.greater(APART.drawn({"a": p, "b": q}, np.arange(12)), 20)
    assert verdict_on(holds, "made", Terms()).word == "supported"
    contrary = sentences.greater(APART.drawn({"a": q, "b": p}, np.arange(12)), 20)
    assert verdict_on(contrary, "made", Terms()).word == "refuted"
    assert contrary.naive is not None
    assert not contrary.naive(0.05)


def test_a_claim_is_judged_under_its_own_terms() -> None:
    """Alpha, seed, what it generalises over and its controls reach the comparison."""
    seen: list[Any] = []

    def compare() -> Evidence:
        seen.append(current_terms())
        return claimed.compare()

    claimed = false_claims.greater_crossed.make(MADE, np.random.default_rng(0))
    assert claimed is not None
    verdict_on(replace(claimed, compare=compare, controls=("length",)), "made", Terms(alpha=0.2, seed=7))
    (terms,) = seen
    assert (terms.alpha, terms.seed, terms.over, terms.controls) == (0.2, 7, ("templates", "topics"), ("length",))


def test_a_probe_that_breaks_is_no_verdict() -> None:
    """The study stops: a claim that was never decided must not count as one that was not confirmed."""
    nothing = Claimed(compare=lambda: True)  # type: ignore[arg-type,return-value]
    with pytest.raises(RuntimeError, match="a claim of the study ended broken"):
        verdict_on(nothing, "made", Terms())


def test_a_design_without_claims_is_an_error() -> None:
    """It says which, on what."""
    never = Design(kind="greater", how="never", truth="false", make=lambda _population, _rng: None)
    with pytest.raises(StudyError, match="greater: never: no claim in 1000 draws from the mentions of made"):
        study([never], claims=1)


def test_the_study_keeps_alpha_where_prompts_within_a_wording_are_alike() -> None:
    """The naive arm lies beyond it on the same false claims."""
    (line,) = lines(study([SHUFFLED], claims=120), "false", alpha=0.05)
    assert not line.confirmed_beyond
    assert line.naive is not None
    assert line.naive.interval[0] > 0.05


def test_a_test_that_takes_prompts_for_units_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The study reports more false confirmations than alpha where every prompt counts as a wording of its own."""
    module = sys.modules["saeprobe.evidence.greater"]
    honest = module.compare  # type: ignore[attr-defined]

    def deceived(a: Measurement, b: Measurement, terms: Any) -> Any:
        return honest(_every_prompt_a_wording(a), _every_prompt_a_wording(b), terms)

    design = replace(SHUFFLED, make=_small)
    (line,) = lines(study([design], claims=30), "false", alpha=0.05)
    assert not line.confirmed_beyond
    monkeypatch.setattr(module, "compare", deceived)
    (line,) = lines(study([design], claims=120), "false", alpha=0.05)
    assert line.confirmed_beyond


def _small(made: Any, rng: np.random.Generator) -> Claimed:
    """Draw four wordings a side on three topics, so that the prompts can be counted exactly."""
    features = made.drawn(shuffled(rng, made, "ab", 4), np.arange(3))
    return sentences.greater(features, a_feature(rng, made))


def _every_prompt_a_wording(of: Measurement) -> Measurement:
    """Put all prompts on one topic, for with topics of their own the topics would be units too."""
    prompts = tuple(replace(prompt, template=prompt.text, frame=prompt.text, topic="any") for prompt in of.prompts)
    return replace(of, prompts=prompts)

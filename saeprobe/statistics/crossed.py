"""Crossed: a difference that is to hold for other templates and for other topics at once."""

from __future__ import annotations

from math import sqrt

import numpy as np

from saeprobe.statistics.counting import Units
from saeprobe.statistics.permutation import Draw, Statistics, drawn_flips, drawn_permutations, sampled
from saeprobe.statistics.shifts import Shift, deviation_between, invert, paired_shift, unpaired_shift


def crossed_shift(a: Units, b: Units, differences: Units, *, alpha: float, seed: int, paired: bool = False) -> Shift:
    """Mean of `a` above mean of `b`, for other templates and other topics at once; two-sided.

    Chance has two sources, and their variances add, as in min F' (Clark, J. Verb. Learn. Verb. Behav. 12, 1973): which
    templates fell to which side, drawn by relabeling the templates, and which topics were taken, drawn by flipping the
    signs of the topics' differences about their mean. p is the share of draws whose sum lies at least as far from zero
    as the difference. It is never smaller than that over templates alone or topics alone, so that few units of one
    sort are not made up for by many of the other; the interval likewise holds both of theirs.

    Args:
        a: template means of one side, `[templates]`.
        b: template means of the other side.
        differences: differences of the two sides by topic, `[topics]`.
        alpha: the level.
        seed: of the draws.
        paired: each template of `a` is that of `b` at the same place, as where two arms read the same prompts.

    Raises:
        ValueError: fewer than two units of a sort, or a value is not finite.
    """
    templates = paired_shift(a - b, alpha=alpha, seed=seed) if paired else unpaired_shift(a, b, alpha=alpha, seed=seed)
    topics = paired_shift(differences, alpha=alpha, seed=seed)
    estimate = templates.estimate
    drawn = sampled(_draw(a, b, differences, paired=paired), estimate, (a, b), alpha=alpha, seed=seed)
    both = drawn.share(0.0)
    alone = max(templates, topics, key=lambda shift: shift.p)
    interval = None
    if templates.interval is not None and topics.interval is not None:
        crossed = invert(drawn.share, estimate, alpha, step=templates.interval[1] - templates.interval[0])
        if crossed is not None:
            ends = (*crossed, *templates.interval, *topics.interval)
            interval = min(ends), max(ends)
    deviation = float((a - b).std(ddof=1)) if paired else deviation_between(a, b)
    return Shift(
        estimate=estimate,
        p=max(both, alone.p),
        interval=interval,
        test=_test(len(a), len(b), len(differences), drawn.note, alone.test if alone.p > both else None, paired=paired),
        seed=seed,
        spread=templates.spread or topics.spread,
        smallest_p=max(templates.smallest_p, topics.smallest_p),
        effect=templates.effect,
        alpha=alpha,
        paired=paired,
        noise=float(differences.var(ddof=1)) / len(differences) / deviation**2 if templates.spread else 0.0,
    )


def _draw(a: Units, b: Units, differences: Units, *, paired: bool) -> Draw:
    """Relabeled templates plus turned topics; only the former take up a shift."""
    count = len(differences)
    centred = (differences - differences.mean()) * sqrt(count / (count - 1))  # their mean took up a degree of freedom
    of_templates, of_topics = drawn_flips(a - b) if paired else drawn_permutations(a, b), drawn_flips(centred)

    def draw(rng: np.random.Generator, wanted: int) -> tuple[Statistics, Statistics]:
        contrast, slope = of_templates(rng, wanted)
        return contrast + of_topics(rng, wanted)[0], slope

    return draw


def _test(n_a: int, n_b: int, n_topics: int, note: str, alone: str | None, *, paired: bool) -> str:
    templates = f"sign flips of {n_a} paired differences" if paired else f"permutation of {n_a} + {n_b} units"
    test = f"sampled {templates}, added to sign flips of {n_topics} centred paired differences ({note})"
    return test if alone is None else f"{test}; p is the larger one of {alone}"

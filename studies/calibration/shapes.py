"""These made-up populations differ in their numbers, spread, skew, copies, frames, rates, and in what is printed."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

import numpy as np

from saeprobe import published
from saeprobe.captures import Arm, Continuation, Continuations
from saeprobe.evidence import Evidence
from saeprobe.evidence.correlation import correlation
from saeprobe.features import RecordedRun
from saeprobe.measures import mentions, separates
from saeprobe.measures import signature as signature_of
from saeprobe.recorded.record import Recorded, RecordedStyle
from studies.calibration import best
from studies.calibration.claim import Claimed
from studies.calibration.made import Means, Rng, claimed, copied, counted, framed, measured, prompts_of, texts


def drawn(rng: Rng, shape: str, count: int) -> Means:
    """Draw numbers of mean 0 and standard deviation 1."""
    if shape == "normal":
        return rng.normal(0, 1, count)
    if shape == "exponential":
        return rng.exponential(1, count) - 1
    return (np.exp(rng.normal(0, 1, count)) - math.exp(0.5)) / math.sqrt((math.e - 1) * math.e)


def groups(rng: Rng, *, n: tuple[int, int], sd: tuple[float, float], shape: str = "normal", effect: float) -> Claimed:
    """Draw two groups of wordings of unequal number or spread, `effect` apart."""
    a, b = (spread * drawn(rng, shape, count) for spread, count in zip(sd, n, strict=True))
    a += effect
    test = best.student if n[0] == n[1] and sd[0] == sd[1] else best.welch
    return claimed(measured(texts(*n), (a, b)), lambda alpha: test(a, b) < alpha / 2)


def copies(rng: Rng, *, n: int, times: int, alike: float, effect: float) -> Claimed:
    """Draw n wordings a side, and so many near copies of each whose means correlate by `alike`."""
    own, more = rng.normal(0, 1, (2, n, 1)), rng.normal(0, 1, (2, n, times))
    means = math.sqrt(alike) * own + math.sqrt(1 - alike) * more
    means[0] += effect
    units = means.mean(axis=2)
    return claimed(measured(copied(n, times), means.reshape(2, -1)), lambda alpha: best.student(*units) < alpha / 2)


def frames(rng: Rng, *, n: int, shared: float, effect: float, spread: float = 1.0) -> Claimed:
    """Draw n frames that both sides fill, which make up a share of the variance of all wordings."""
    means = spread * (math.sqrt(shared) * rng.normal(0, 1, n) + math.sqrt(1 - shared) * rng.normal(0, 1, (2, n)))
    means[0] += effect
    return claimed(measured(framed(n), means), lambda alpha: best.above(means[0] - means[1]) < alpha / 2)


def bound(rng: Rng, *, n: int, shape: str, effect: float) -> Claimed:
    """Draw the wordings of one style, whose mean lies `effect` above the number that is asked for."""
    means = drawn(rng, shape, n)
    a = measured(texts(n, 0), (means,))
    return Claimed(compare=lambda: a > -effect, best=lambda alpha: best.above(means, -effect) < alpha / 2)


def rate(
    rng: Rng, *, n: int, prompts: int, beside: float, alike: float, true: float | None = None, failing: float = 0.0
) -> Claimed:
    """Draw a share for each wording, within which prompts correlate by `alike`; the share `failing` of them shows none.

    The rate of all is `true`, or what it is held beside. The oracle knows the variance of the shares.
    """
    true = beside if true is None else true
    mean = true / (1 - failing)
    shares = rng.beta(mean * (1 / alike - 1), (1 - mean) * (1 / alike - 1), n) * (rng.random(n) >= failing)
    a = counted(texts(n, 0), shares, prompts, rng)
    variance = mean * (1 - mean) * (alike + (1 - alike) / prompts)
    variance = (1 - failing) * (variance + mean**2) - true**2
    z = (a.mean - beside) / math.sqrt(variance / n)
    return Claimed(compare=lambda: a > beside, best=lambda alpha: NormalDist().cdf(-z) < alpha / 2)


def correlated(rng: Rng, *, n: int, beside: float, true: float | None = None) -> Claimed:
    """Draw two measures of the wordings of one style, which correlate by `true`, or by what that is held beside."""
    true = beside if true is None else true
    x, y = rng.multivariate_normal([0, 0], [[1, true], [true, 1]], n).T
    of = texts(n, 0)
    both = measured(of, (x,), level=0.0), measured(of, (y,), level=0.0, measure="max activation")
    return Claimed(
        compare=lambda: correlation(*both) > beside, best=lambda alpha: best.correlated(x, y, beside) < alpha / 2
    )


FEATURE_SETS: Final = 40
"""A steering is held against so many random sets of features."""


def steering(rng: Rng, *, spread: float, target: float | None = None) -> Claimed:
    """Continue 12 prompts twice, unsteered, under a target and under random sets of features; one in ten says the word.

    Features push by `spread` logits (standard deviation), the target by so many times as much, or as they do.
    """
    pushes = np.array([0.0, *rng.normal(0, spread, FEATURE_SETS + 1)])
    if target is not None:
        pushes[1] = target * spread
    says = rng.random((len(pushes), 12, 2)) < 1 / (1 + 9 * np.exp(-pushes))[:, np.newaxis, np.newaxis]
    prompts = prompts_of(texts(12, 0), 1).prompts
    arms: tuple[Arm, ...] = ("unsteered", "steered", *("random" for _ in range(FEATURE_SETS)))
    items = tuple(
        Continuation(
            prompt=prompt,
            arm=arm,
            features=(features,) if features else (),
            strength=20.0 if features else 0.0,
            sample=sample,
            text="the bridge" if says[features, row, sample] else "the sea",
            log_prob=-1.0,
        )
        for features, arm in enumerate(arms)
        for row, prompt in enumerate(prompts)
        for sample in range(2)
    )
    run = Continuations(subject="made", items=items, chosen_on="other prompts")
    steered, unsteered, random = (
        mentions("bridge", arm) for arm in (run.at(20), run.unsteered, run.random_feature.at(20))
    )

    def compare() -> Evidence:
        above = steered > unsteered
        return steered > random if above else above

    def both(alpha: float) -> bool:
        means = says.mean(axis=(1, 2))
        gain = (says[1].mean(axis=1) - says[0].mean(axis=1)).astype(float)
        ranked = best.rank(float(means[1]), means[2:]) < alpha / 2
        return ranked and bool(np.ptp(gain)) and best.above(gain) < alpha / 2

    return Claimed(compare=compare, best=both)


def printed(rng: Rng, *, n: int, theirs: int, said: bool = False, moved: float = 0.0) -> Claimed:
    """Draw our n wordings of a style, and the printed mean of so many others; `said` if the source says how many."""
    means = rng.normal(100, 1, n), rng.normal(80, 1, 4)
    number = float(rng.normal(100 + moved, 1 / math.sqrt(theirs)))
    beyond = abs(means[0].mean() - number) / math.sqrt(means[0].var(ddof=1) * (1 / n + 1 / (theirs if said else 1)))
    return claimed(
        measured(texts(n, 4), means),
        lambda alpha: best.t(beyond, n - 1) < alpha / 2,
        published=published(a=f"{number:.2f}", unit="features", wordings=theirs if said else None),
    )


def looked(rng: Rng, *, styles: str) -> Claimed:
    """Record one wording of each style, on which features fire by a coin, and pick one by looking at the record.

    It fires on all 50 prompts of the first style and on none of the others.
    """
    fires = rng.random((len(styles), 200)) < 0.5  # noqa: PLR2004 - a fair coin
    fires[:, 0] = np.arange(len(styles)) == 0  # so that there is one to pick
    picked = int(rng.choice(np.flatnonzero(fires[0] & ~fires[1:].any(axis=0))))
    rates = [{feature: float(fired) for feature, fired in enumerate(row)} for row in fires]
    run = RecordedRun(origin="made", n=50)
    by_style = {
        style: RecordedStyle(style=style, quantities={}, firing_rates=of_style, n=50, origin="made", run=run)
        for style, of_style in zip(styles, rates, strict=True)
    }
    record = Recorded(subject="made", by_style=by_style, origin="made")
    if len(styles) == 2:  # noqa: PLR2004 - a separation is of two
        return Claimed(compare=lambda: separates(picked, record["a"], record["b"]))
    return Claimed(compare=lambda: signature_of(picked, record["a"]))

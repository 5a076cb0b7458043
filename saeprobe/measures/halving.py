"""Halving splits prompts in two: features are picked on one half and confirmed by their firing rates on the other."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter

import numpy as np
from scipy.sparse import csr_array

from saeprobe.claims import Over
from saeprobe.evidence import current_terms
from saeprobe.evidence.near import one_near
from saeprobe.features import Features
from saeprobe.measures.reading import Readable, by_prompt, captured, firing, grouped, refuse_apart, refuse_more, topics
from saeprobe.prompts import Prompt
from saeprobe.prompts.wordings import PickedFeature, unit_of, words_of
from saeprobe.recorded.record import Recorded
from saeprobe.shapes import Float
from saeprobe.statistics.permutation import Tested
from saeprobe.statistics.shifts import paired_test, unpaired_test

MOST_NAMED = 3  # picked features at most that are named one by one where they are near their threshold
SAME = 9  # decimals to which two rates agree that are the same, as 0.3 - 0.2 and 0.9 - 0.8 do


@dataclass(frozen=True, kw_only=True)
class Selected:
    """Features that were picked by looking at some prompts prove nothing there: confirm them on others.

    They stand best first, and were picked among `tried`; `picked_on` says in words on which `prompts`, of either side
    where they are known, and `near` where rounding decided on these whether a picked feature fires.
    """

    features: tuple[int, ...]
    tried: int
    picked_on: str
    prompts: tuple[Prompt, ...] = ()
    near: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        words = frozenset(words_of(prompt.text) for prompt in self.prompts)
        object.__setattr__(self, "features", tuple(PickedFeature(one, words) for one in self.features))

    def __bool__(self) -> bool:
        raise TypeError("features that were picked are no evidence; assert separates(picked, yes, no) on other prompts")

    def origin(self, *sides: Readable) -> str:
        """Say on which prompts the features were picked, and what these share with the prompts that confirm them."""
        these = [prompt for side in sides for prompt in side.prompts]
        again = len({words_of(one.text) for one in self.prompts} & {words_of(one.text) for one in these})
        origin = self.picked_on
        if again:
            origin += f", {again} of which are among these"
        elif self.prompts:
            wordings, subjects = (
                "other" if {part(one) for one in self.prompts}.isdisjoint(map(part, these)) else "the same"
                for part in (attrgetter("template"), attrgetter("topic"))
            )
            origin += f", {wordings} wordings and {subjects} topics"
        return "; there, ".join([origin, *self.near[:MOST_NAMED]])


def selected(features: tuple[int, ...], yes: Features, no: Features) -> Selected:
    """Return features with the two sides that they were picked on."""
    near = tuple(
        f"{side.label}: {sentence}"
        for feature in features
        for side in (yes, no)
        if (near := one_near(side, feature)) is not None and (sentence := near.sentence("")) is not None
    )
    where = f"{len(yes)} + {len(no)} prompts"
    return Selected(features=features, tried=yes.d_sae, picked_on=where, prompts=yes.prompts + no.prompts, near=near)


def separating_features(yes: Features, no: Features, *, most: int = 10) -> Selected:
    """Return features that fire on every prompt of `yes` and on none of `no`, strongest on their weakest prompt first.

    There may be none; confirming a selection of none refutes that there is such a feature.

    Raises:
        TypeError: the sides were read at different tokens, or share prompts.
        NotRun: a record of summaries does not say which features fire on a prompt.
    """
    yes, no = captured(yes), captured(no)
    refuse_apart(yes, no)
    candidates = np.flatnonzero(firing(yes).all(axis=0) & ~firing(no).any(axis=0))
    strongest = np.zeros((len(yes), len(candidates)))
    np.maximum.at(strongest, yes.row_prompt, yes.encoded[:, candidates].toarray())
    order = np.argsort(strongest.min(axis=0))[::-1][:most]
    return selected(tuple(int(candidates[index]) for index in order), yes, no)


def halves(of: Features | Recorded, *more: object) -> tuple[Features, Features]:
    """Return two halves of the same prompts that share no topic: one to pick features on, one to confirm them.

    They share no template either, unless a style has a single one, or the claim generalises over topics alone: what is
    confirmed then is about these wordings. Templates (of each style) and topics are dealt out in turn, of an odd number
    one more to the second half; prompts that mix the halves are left out.

    Raises:
        ValueError: there is a single topic.
        TypeError: styles are given one by one.
        NotRun: a record does not say which features fire on a prompt.
    """
    refuse_more("halves", more)
    ((first, second),) = halved((captured(of),), current_terms().over)
    return first, second


def halved(sides: tuple[Features, ...], over: tuple[Over, ...]) -> tuple[tuple[Features, Features], ...]:
    """Return the halves of several captures, or of several styles of one, dealt out together."""
    prompts = [prompt for side in sides for prompt in side.prompts]
    topics = list(dict.fromkeys(prompt.topic for prompt in prompts))
    if len(topics) < 2:  # noqa: PLR2004 - a half each
        raise ValueError(f"all prompts are on {topics[0]!r}; halves need at least 2 topics")
    of_topic, units = {topic: (len(topics) - at) % 2 for at, topic in enumerate(topics)}, unit_of(prompts)
    of_template, left = {} if over == ("topics",) else _dealt(prompts, units), iter(units)
    halves: list[tuple[Features, Features]] = []
    for side in sides:
        chosen: tuple[list[int], list[int]] = ([], [])
        for index, (prompt, unit) in enumerate(zip(side.prompts, left, strict=False)):
            half = of_topic[prompt.topic]
            if of_template.get((prompt.style, unit), half) == half:
                chosen[half].append(index)
        halves.append((side.select(chosen[0]), side.select(chosen[1])))
    return tuple(halves)


def _dealt(prompts: list[Prompt], units: Sequence[str]) -> dict[tuple[str, str], int]:
    """Return the half of each template of each style; none where a style has a single one, which both halves share.

    Near copies go to the same half: else features would be confirmed on the wordings that they were picked on.
    """
    units_of: dict[str, dict[str, None]] = {}
    for prompt, unit in zip(prompts, units, strict=True):
        units_of.setdefault(prompt.style, {})[unit] = None
    fewest = min(map(len, units_of.values()))  # by its parity all are dealt, so that frames stay together
    dealt = {(style, unit): (fewest - at) % 2 for style, of in units_of.items() for at, unit in enumerate(of)}
    return {} if fewest == 1 else dealt


@dataclass(frozen=True, kw_only=True, eq=False)
class Rates:
    """Rates are the shares of prompts on which each feature fires, by unit of two styles, whose `names` stand here.

    If `paired`, unit i of one is the topic of unit i of the other. `scope` says what a decision on them is about.
    """

    yes: Float[np.ndarray, "units d_sae"]
    no: Float[np.ndarray, "units d_sae"]
    names: tuple[tuple[str, ...], ...]
    paired: bool
    scope: str

    @property
    def units(self) -> str:
        """Say what the units are: `templates`, or `topics, paired`."""
        return "topics, paired" if self.paired else "templates"

    @property
    def difference(self) -> Float[np.ndarray, " d_sae"]:
        """Return how far the mean rate over the units of one side lies above that of the other."""
        return np.subtract(self.yes.mean(axis=0), self.no.mean(axis=0))

    @property
    def deviation(self) -> Float[np.ndarray, " d_sae"]:
        """The standard deviation between units (paired: of their differences); it is 0 where a side has one unit."""
        if min(len(self.yes), len(self.no)) < 2:  # noqa: PLR2004 - one unit has no spread
            return np.zeros_like(self.difference)
        groups = [self.yes - self.no] if self.paired else [self.yes, self.no]
        return np.sqrt(np.mean([np.var(group, axis=0, ddof=1) for group in groups], axis=0))

    def ranked(self, most: int) -> tuple[int, ...]:
        """Return the features that fire more often on one side, by the largest difference.

        Equal ones follow in the order of their difference in standard deviations between units, then of their number.
        """
        difference, deviation = np.round(self.difference, SAME), self.deviation
        in_deviations = np.full_like(difference, np.inf)
        np.divide(difference, deviation, out=in_deviations, where=deviation > 10.0**-SAME)
        more = np.flatnonzero(difference > 0)
        order = np.lexsort((more, -np.round(in_deviations[more], SAME), -difference[more]))
        return tuple(int(feature) for feature in more[order[:most]])

    def above(self, feature: int, *, alpha: float, seed: int) -> tuple[float, Tested]:
        """Test whether one side, picked on other prompts, fires `feature` more often; return the one-sided p too.

        It is half of the two-sided one, and 1 where the feature fires no more often there.
        """
        yes, no = self.yes[:, feature], self.no[:, feature]
        of = partial(paired_test, yes - no) if self.paired else partial(unpaired_test, yes, no)
        test = of(alpha=alpha, seed=seed)
        return test.share(0.0) / 2 if round(float(yes.mean() - no.mean()), SAME) > 0 else 1.0, test


def rates(yes: Features, no: Features, over: tuple[Over, ...]) -> Rates | str:
    """Return the rates of two styles by template where both have several, else by those topics that both share.

    A sentence says why there are none: a claim on other wordings has a single one, or no topic is shared.
    """
    if set(topics(yes)).isdisjoint(topics(no)):
        return f"the prompts of {yes.label} and {no.label} share no topic"
    found = grouped(yes, no, over)
    if isinstance(found, str):
        return found
    of_yes, of_no = map(firing_shares, (yes, no), found.of, found.names)
    return Rates(yes=of_yes.toarray(), no=of_no.toarray(), names=found.names, paired=found.paired, scope=found.scope)


def firing_shares(of: Features, unit_of_prompt: Sequence[Hashable], names: Sequence[Hashable]) -> csr_array:
    """Return the share of the prompts of each unit on which each feature fires on any token read, `[units, d_sae]`.

    Prompts of units that are not named do not count; every unit has a prompt.
    """
    fires = (by_prompt(of) @ (of.encoded > 0).astype(np.float64) > 0).astype(np.float64)
    index = {name: position for position, name in enumerate(names)}
    named = [prompt for prompt, name in enumerate(unit_of_prompt) if name in index]
    unit = np.array([index[unit_of_prompt[prompt]] for prompt in named])
    times = csr_array((np.ones(len(named)), (unit, named)), shape=(len(names), len(of))) @ fires
    prompts = np.bincount(unit, minlength=len(names))
    times.data /= np.repeat(prompts, np.diff(times.indptr))  # divided, so that a feature of all prompts has exactly 1
    return times

"""Halving: two halves of the same prompts, one to pick features on and one to confirm them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from saeprobe.claims import NotRun, Over
from saeprobe.evidence.evidence import current_terms
from saeprobe.features.sparse import Features
from saeprobe.measures.activity import one_near
from saeprobe.measures.reading import refuse_more, refuse_unread
from saeprobe.prompts import Prompt
from saeprobe.recorded.record import Recorded, RecordedStyle

MOST_TOLD = 3
"""Picked features near their threshold that are named one by one."""


@dataclass(frozen=True, kw_only=True)
class Selected:
    """Features picked by looking at some prompts, which therefore prove nothing there: confirm them on others.

    Attributes:
        features: the picked ones, the best first.
        tried: among how many features.
        picked_on: on which prompts, in words.
        prompts: these prompts, of either side, where they are known.
        near: where rounding decided on them whether a picked feature fires.
    """

    features: tuple[int, ...]
    tried: int
    picked_on: str
    prompts: tuple[Prompt, ...] = ()
    near: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        raise TypeError("features that were picked are no evidence; assert separates(picked, yes, no) on other prompts")

    def beside(self, *sides: Features) -> str:
        """On which prompts was picked, seen from those on which is confirmed: others, as far as they are."""
        these = [prompt for side in sides for prompt in side.prompts]
        again = len(set(self.prompts) & set(these))
        told = self.picked_on
        if again:
            told += f", {again} of which are among these"
        elif self.prompts:
            wordings = "other wordings" if _apart(self.prompts, these, "template") else "the same wordings"
            subjects = "other topics" if _apart(self.prompts, these, "topic") else "the same topics"
            told += f", {wordings} and {subjects}"
        return "; there, ".join([told, *self.near[:MOST_TOLD]])


def selected(features: tuple[int, ...], yes: Features, no: Features) -> Selected:
    """Features picked by looking at two sides."""
    near = tuple(
        f"{side.label}: {sentence}"
        for feature in features
        for side in (yes, no)
        if (near := one_near(side, feature)) is not None and (sentence := near.sentence("")) is not None
    )
    where = f"{len(yes)} + {len(no)} prompts"
    return Selected(features=features, tried=yes.d_sae, picked_on=where, prompts=yes.prompts + no.prompts, near=near)


def captured(of: Features | Recorded | RecordedStyle) -> Features:
    """The features of single prompts.

    Raises:
        NotRun: a record of summaries does not tell them.
        TypeError: it is something else.
    """
    if isinstance(of, Recorded | RecordedStyle):
        raise NotRun(f"{of.origin} tells no features of single prompts; put features_layer50.pt of the run beside it")
    refuse_unread(of)
    return of


def halves(of: Features | Recorded, *more: object) -> tuple[Features, Features]:
    """Two halves of the same prompts that share no topic: one to pick features on, one to confirm them.

    They share no template either, unless a style has a single one, or the claim generalises over topics alone: what is
    confirmed then is about these wordings. Templates (of each style) and topics are dealt out in turn; prompts that mix
    the halves are left out.

    Raises:
        ValueError: there is a single topic.
        TypeError: styles are given one by one.
        NotRun: a record does not tell which features fire on a prompt.
    """
    refuse_more("halves", more)
    ((first, second),) = halved((captured(of),), current_terms().over)
    return first, second


def halved(sides: tuple[Features, ...], over: tuple[Over, ...]) -> tuple[tuple[Features, Features], ...]:
    """The halves of several captures, or of several styles of one, dealt out together.

    Raises:
        ValueError: there is a single topic.
    """
    prompts = [prompt for side in sides for prompt in side.prompts]
    topics = list(dict.fromkeys(prompt.topic for prompt in prompts))
    if len(topics) < 2:  # noqa: PLR2004 - a half each
        raise ValueError(f"all prompts are on {topics[0]!r}; halves need at least 2 topics")
    of_topic = {topic: index % 2 for index, topic in enumerate(topics)}
    of_template = {} if over == ("topics",) else _dealt(prompts)
    halves: list[tuple[Features, Features]] = []
    for side in sides:
        chosen: tuple[list[int], list[int]] = ([], [])
        for index, prompt in enumerate(side.prompts):
            half = of_topic[prompt.topic]
            if of_template.get((prompt.style, prompt.template), half) == half:
                chosen[half].append(index)
        halves.append((side.select(chosen[0]), side.select(chosen[1])))
    return tuple(halves)


def _dealt(prompts: list[Prompt]) -> dict[tuple[str, str], int]:
    """The half of each template of each style; none where a style has a single one, which both halves then share."""
    by_style: dict[str, dict[str, None]] = {}
    for prompt in prompts:
        by_style.setdefault(prompt.style, {})[prompt.template] = None
    if any(len(templates) == 1 for templates in by_style.values()):
        return {}
    return {
        (style, template): index % 2
        for style, templates in by_style.items()
        for index, template in enumerate(templates)
    }


def _apart(looked: Sequence[Prompt], these: Sequence[Prompt], what: Literal["template", "topic"]) -> bool:
    return {getattr(prompt, what) for prompt in looked}.isdisjoint(getattr(prompt, what) for prompt in these)

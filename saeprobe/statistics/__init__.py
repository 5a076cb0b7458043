"""Tests permute what a claim generalises over, and intervals belong to them; of many claims chance confirms some."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

CONFIRMED: Final = ("supported", "drifted")
"""The sentence holds; where it drifted, a number of it has moved."""


@dataclass(frozen=True, kw_only=True)
class ManyClaims:
    """So many claims of one subject were decided by a test, the open ones among them.

    If all of them were false, chance would confirm `by_chance` on average, with alpha / 2 each, and at least one with a
    probability of at most `at_least_one`. That bound is the probability itself for independent claims, and holds for
    positively dependent ones. `confirmed` are the claims that were confirmed, and `beyond` those of them whose q is
    below alpha. Where some are not, `as_sure` is how many claims would have to be as sure as the surest of these, whose
    p is `surest`: few wordings reach no smaller p, and q is then coarse.
    """

    subject: str
    claims: int
    by_chance: float
    at_least_one: float
    confirmed: int
    beyond: int
    surest: float | None
    as_sure: int | None

    @property
    def line(self) -> str:
        """Say it in a line for a terminal."""
        line = (
            f"{self.claims} claims on {self.subject} were decided by a test; if all were false, chance would confirm "
            f"about {self.by_chance:.2g}, and at least one with a probability of at most {self.at_least_one:.0%}. "
            f"{self.beyond} of {self.confirmed} confirmations lie beyond that (q below alpha)"
        )
        if self.surest is None:
            return line
        return f"{line}; with p = {self.surest:.2g}, {self.as_sure} claims as sure would: q is coarse for few wordings"


def q_values(ps: Sequence[float]) -> list[float]:
    """Adjust the p of each claim for all of them (Benjamini & Hochberg, J. R. Stat. Soc. B 57, 1995).

    Among the claims with a q below alpha the share of false ones is at most alpha on average, for independent and for
    positively dependent p (Benjamini & Yekutieli, Ann. Stat. 29, 2001).
    """
    if not all(0 <= p <= 1 for p in ps):
        raise ValueError(
            f"the p of a test is {next(p for p in ps if not 0 <= p <= 1)}; only numbers between 0 and 1 are"
        )
    q, smallest = [1.0] * len(ps), 1.0
    for rank, row in reversed(list(enumerate(sorted(range(len(ps)), key=lambda row: ps[row]), start=1))):
        q[row] = smallest = min(smallest, ps[row] * len(ps) / rank)
    return q


def many_claims(
    claims: Iterable[tuple[str, str, str, float | None]], *, alpha: float
) -> tuple[dict[str, float], tuple[ManyClaims, ...]]:
    """Give the q of each confirmed claim by its name, and what chance brings among so many claims of each subject.

    A claim is (subject, name, verdict, p); one without a p, or that no test came to decide, does not count. A subject
    with a single claim, or with none confirmed, leaves chance nothing to be asked about.
    """
    subjects: dict[str, list[tuple[str, float, bool]]] = {}
    for subject, name, verdict, p in claims:
        if p is not None and verdict not in ("unverifiable", "broken", "not run"):
            subjects.setdefault(subject, []).append((name, p, verdict in CONFIRMED))
    found: dict[str, float] = {}
    many: list[ManyClaims] = []
    for subject, tested in subjects.items():
        count = len(tested)
        adjusted = zip(tested, q_values([p for _, p, _ in tested]), strict=True)
        held = {name: (p, q) for (name, p, confirmed), q in adjusted if confirmed}
        surest = min((p for p, q in held.values() if q >= alpha), default=None)
        one = ManyClaims(
            subject=subject,
            claims=count,
            by_chance=count * alpha / 2,
            at_least_one=1 - (1 - alpha / 2) ** count,
            confirmed=len(held),
            beyond=sum(q < alpha for _, q in held.values()),
            surest=surest,
            as_sure=None if surest is None else int(surest * count / alpha) + 1,
        )
        if count > 1 and held:
            many.append(one)
        found |= {name: q for name, (_, q) in held.items()}
    return found, tuple(many)

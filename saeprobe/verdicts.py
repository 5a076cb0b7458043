"""Verdicts: the seven words a claim can earn, and what each does to a pytest run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Word = Literal["supported", "drifted", "refuted", "inconclusive", "unverifiable", "broken", "not run"]
Outcome = Literal["passed", "failed", "error", "skipped"]

WORDS: Final[tuple[Word, ...]] = get_args(Word)

OUTCOMES: Final[dict[Word, Outcome]] = {
    "supported": "passed",
    "drifted": "failed",
    "refuted": "failed",
    "inconclusive": "failed",
    "unverifiable": "skipped",
    "broken": "error",
    "not run": "skipped",
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The word, why, and how far it reaches.

    `declared` holds the reason of a known non-reproduction when this verdict is the declared one; such a probe passes,
    and an article that cites it stays held. `surprise` marks a verdict of `supported` where another was declared; such
    a probe fails until the declaration is taken away.
    """

    word: Word
    reason: str
    scope: str = ""
    declared: str | None = None
    surprise: bool = False

    @property
    def outcome(self) -> Outcome:
        """What pytest makes of it."""
        if self.surprise:
            return "failed"
        return "passed" if self.declared is not None else OUTCOMES[self.word]


class NotRun(Exception):  # noqa: N818 - it carries a verdict, not a fault
    """Weights, hardware or recorded data are absent; the message says what would bring them."""


class Unverifiable(Exception):  # noqa: N818 - the same
    """The sentence as written names nothing that can be tested; the message says what is missing."""


def unverifiable(reason: str) -> None:
    """End a probe with the verdict `unverifiable`.

    Raises:
        Unverifiable: always.
    """
    raise Unverifiable(reason)

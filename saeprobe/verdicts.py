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

RULES: Final[dict[Word, str]] = {
    "supported": (
        "every comparison that the probe made is supported by its own rule, under the controls that the claim asks "
        "for; every number published for the subject was measured and lies within its tolerance, and in the order in "
        "which it is published; every number that was approved lies within the noise of its baseline"
    ),
    "drifted": (
        "the comparisons are supported, but a published number lies outside its tolerance, two that a comparison told "
        "apart are published the other way round, or an approved one lies outside the noise of its baseline"
    ),
    "refuted": (
        "one comparison at least is refuted: the contrary was found, or a control accounts for the effect; this goes "
        "before all else that was found"
    ),
    "inconclusive": (
        "no comparison is refuted and one at least is open: not told apart at alpha, or under a control that cannot "
        "tell or could not be run"
    ),
    "unverifiable": "the probe says that the sentence names nothing that can be tested, and it refuted nothing before",
    "broken": (
        "the instrument check failed, the probe raised an error or compared nothing, an assert failed beside evidence "
        "that all supports or none failed beside evidence that does not, a control that the claim asks for was never "
        "run, or a published number was never measured or may be of several measures"
    ),
    "not run": "weights, hardware or recorded data are absent or the probe was skipped, and nothing was refuted before",
}
"""How each word is decided, for whoever checks a report by hand; `deciding` does it."""


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

"""The two arms: the whole path of a probe from its comparison to the verdict, and the naive test beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saeprobe.claims import Claim, Verdict
from saeprobe.evidence.evidence import Recorder, recording
from saeprobe.verdicts.deciding import decide
from studies.calibration.claimed import Claimed

_SENTENCE: Final = "a claim of the calibration study"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Under which terms all claims are judged."""

    alpha: float = 0.05
    seed: int = 0


def ours(claimed: Claimed, subject: str, terms: Terms) -> Verdict:
    """The verdict that a probe with this comparison as its assert would earn.

    Raises:
        RuntimeError: the verdict is neither supported, refuted nor inconclusive: the study itself is at fault.
    """
    claim = Claim(sentence=_SENTENCE, id="calibration", source="known", controls=claimed.controls, over=claimed.over)
    ended: AssertionError | None = None
    recorder = Recorder(alpha=terms.alpha, seed=terms.seed, controls=claim.controls, over=claim.over)
    with recording(recorder):
        try:
            assert claimed.compare()
        except AssertionError as error:
            ended = error
    verdict = decide(claim, subject, recorder.evidence, ended)[0]
    if verdict.word not in ("supported", "refuted", "inconclusive"):
        raise RuntimeError(f"a claim of the study on {claimed.measure} ended {verdict.word}: {verdict.reason}")
    return verdict


def theirs(claimed: Claimed, terms: Terms) -> bool | None:
    """Whether the naive arm confirms the claim; None where it has no test for such a sentence."""
    return None if claimed.naive is None else claimed.naive(terms.alpha)

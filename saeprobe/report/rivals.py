"""Rivals: what the page's table says of each control that a comparison was put under."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, cast

from saeprobe.claims import Control
from saeprobe.evidence.controls.draws import RANDOM
from saeprobe.evidence.controls.results import HALF, withstands
from saeprobe.report.shape import ControlJson, EvidenceJson

Standing = Literal["withstood", "explains", "reproduces", "open", "not-run", "not-judged"]

OTHER_UNIT: Final = ("labels",)
"""Controls whose estimate is a share of shuffles, which no axis of the effect can show."""


@dataclass(frozen=True, kw_only=True)
class Rival:
    """One control and what it makes of the effect; `standing` is a key of `words.toml` under `standing`."""

    control: ControlJson[int]
    standing: Standing

    @property
    def outcome(self) -> str:
        """The outcome whose colour and sign it takes."""
        if self.standing in ("explains", "reproduces"):
            return "refuted"
        return "supported" if self.standing == "withstood" else "inconclusive"


def rivals(evidence: EvidenceJson[int]) -> list[Rival]:
    """The controls of a comparison, in the order declared."""
    alpha = evidence["alpha"]
    found = [Rival(control=control, standing=_standing(control, alpha)) for control in evidence["controls"]]
    if evidence["outcome"] == "supported" or any(rival.control["explains"] for rival in found):
        return found
    if evidence["p"] is not None and alpha is not None and evidence["p"] < alpha and (evidence["estimate"] or 0) > 0:
        return found
    # Where the claim's own comparison finds no effect there is nothing that a rival could explain.
    return [rival if rival.standing == "not-run" else replace(rival, standing="not-judged") for rival in found]


def drawn(control: ControlJson[int]) -> bool:
    """Whether its estimate stands on the axis of the effect: it was run, and is in the same unit."""
    return control["p"] is not None and control["name"] not in OTHER_UNIT


def _standing(control: ControlJson[int], alpha: float | None) -> Standing:
    p, share, left = control["p"], control["share"], control["estimate"]
    if p is None:
        return "not-run"
    if control["explains"]:
        return "explains" if control["expects"] == "persists" else "reproduces"
    if alpha is None or control["name"] in OTHER_UNIT:
        return "withstood"
    if control["expects"] == "persists":
        holds = withstands(cast("Control", control["name"]), left, p, share, alpha)
        return "withstood" if holds else "open"
    if control["name"] in RANDOM:  # p is the rank of the claim among the draws
        return "open" if p >= alpha else "withstood"
    return "open" if p >= alpha and share is not None and share >= HALF else "withstood"

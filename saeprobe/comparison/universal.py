"""Universal sentences: what happens on every prompt, or on none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from saeprobe.comparison.rate import all_or_nothing, rated
from saeprobe.comparison.sides import refuse_controls
from saeprobe.evidence.evidence import Evidence, EvidenceOutcome, Sample

if TYPE_CHECKING:
    from saeprobe.evidence.values import Measurement

Wanted = Literal[0, 1]

RULE = "supported where it holds on each of at least 2 prompts; a single exception refutes it"
ROUNDING = 1e-6
"""A recorded rate may be a float32."""


def always(of: Measurement, wanted: Wanted) -> Evidence:
    """Evidence that something happens on every prompt, `wanted` 1, or on none, 0; one exception refutes it.

    The exact interval of the rate tells how far the sentence reaches beyond the prompts that were read.

    Raises:
        TypeError: the measure is no share that is 0 or 1 on every prompt, or the claim asks for controls.
    """
    if not all_or_nothing(of):
        raise _no_rate(of.name, wanted)
    _check(of.name, of.unit, wanted)
    base = rated(of, _statement(of.name, wanted))
    exceptions = np.flatnonzero(of.values != wanted)
    told = f"{of.mean:.1%} of {len(of.prompts)} prompts"
    outcome: EvidenceOutcome = "supported"
    if len(exceptions):
        outcome = "refuted"
        told += f": {len(exceptions):,} exception{'s' if len(exceptions) > 1 else ''}"
        told += f", {of.prompts[int(exceptions[0])].text!r} for one"
    elif len(of.prompts) < 2:  # noqa: PLR2004 - one prompt shows nothing
        outcome = "inconclusive"
        told += ": at least 2 are needed"
    elif base.interval is not None:
        low, high = base.interval
        reach = f"at least {low:.1%}" if wanted else f"at most {high:.1%}"
        told += f"; over {base.n_units[0]} {base.units} that supports a rate of {reach}"
    return replace(base, outcome=outcome, reason=told, rule=RULE)


def always_recorded(sample: Sample, name: str, wanted: Wanted) -> Evidence:
    """The same on a recorded rate, whose exceptions show though the prompts behind it are not there.

    Raises:
        TypeError: it is no share, or the claim asks for controls.
    """
    _check(name, sample.unit, wanted)
    outcome: EvidenceOutcome = "inconclusive"
    told = f"{sample.mean:.1%} is recorded"
    if abs(sample.mean - wanted) > ROUNDING:
        outcome, told = "refuted", f"{told}: not {wanted:.0%}"
    elif sample.n is not None and sample.n >= 2:  # noqa: PLR2004 - one prompt shows nothing
        outcome, told = "supported", f"{told} of {sample.n} prompts"
    else:
        told += ", but not of how many prompts: at least 2 are needed"
    return Evidence(
        kind="rate",
        statement=_statement(name, wanted),
        outcome=outcome,
        reason=told,
        scope="the recorded prompts",
        unit=sample.unit,
        estimate=sample.mean,
        samples=(sample,),
        rule=RULE,
    )


def _statement(name: str, wanted: Wanted) -> str:
    return f"{name} = {wanted} on each prompt"


def _check(name: str, unit: str, wanted: Wanted) -> None:
    if not unit.startswith("share"):
        raise _no_rate(name, wanted)
    refuse_controls("rate")


def _no_rate(name: str, wanted: Wanted) -> TypeError:
    return TypeError(
        f"{name} == {wanted}; only a share that is 0 or 1 on every prompt, such as a firing rate, is compared with a "
        "number: == about(..., margin=...) compares two measurements"
    )

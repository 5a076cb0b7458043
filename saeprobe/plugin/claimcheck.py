"""Checks on claims at collection: what would make a verdict ambiguous stops the run before it starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from saeprobe.captures import Span, Steering
from saeprobe.claims import Claim
from saeprobe.controls import READ_ELSEWHERE
from saeprobe.plan import prompts_for
from saeprobe.plugin.asking import Asked
from saeprobe.plugin.judging import claim_of_item
from saeprobe.plugin.laboratory import Laboratory


def check_claims(items: Sequence[pytest.Item]) -> None:
    """See that every claim id belongs to one claim; several probes may decide the same one, each in its own way.

    Raises:
        pytest.UsageError: two claims have the same id.
    """
    seen: dict[str, tuple[Claim, str]] = {}
    for item in items:
        claim = claim_of_item(item)
        if claim is None:
            continue
        place = item.nodeid.partition("[")[0]
        known, where = seen.setdefault(claim.id, (claim, place))
        if known is not claim:
            raise pytest.UsageError(
                f"two claims have the id {claim.id!r}: that of {where} and that of {place}; rename one of them, or "
                "keep the claim in a name, it = claim(...), and write @it above each probe that decides it"
            )


def check_controls(asked: Iterable[Asked], laboratory: Laboratory) -> None:
    """See that the controls of each claim can be read from the captures of its probe.

    Raises:
        pytest.UsageError: a control is to read what cannot be made of the probe's captures.
    """
    for each in asked:
        controls = [] if each.claim is None else [one for one in each.claim.controls if one in READ_ELSEWHERE]
        if each.claim is None or not controls:
            continue
        about = f"claim {each.claim.id!r} asks for the control {controls[0]!r}"
        if isinstance(each.declared, Steering):
            raise pytest.UsageError(
                f"{about}, but {each.fixture} steers: its controls are the arms it declares, of random features and "
                "other strengths; leave the control out"
            )
        if "injection" in controls:
            _check_injection(each, f"claim {each.claim.id!r} asks for the control 'injection'", laboratory)


def _check_injection(asked: Asked, about: str, laboratory: Laboratory) -> None:
    capture = asked.declared
    if not isinstance(capture, Steering) and isinstance(capture.at, Span):
        raise pytest.UsageError(
            f"{about}, but {asked.fixture} reads the span {capture.at.text!r}, which neutral prompts need not hold; "
            'read at="last" or at="all", or leave the control out'
        )
    try:
        prompts_for(capture.prompts.injected(), laboratory.subject(asked.subject))
    except ValueError as error:
        raise pytest.UsageError(f"{about}, but cannot read it from {asked.fixture}: {error}") from None

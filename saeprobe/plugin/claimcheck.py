"""Checks on claims at collection: what would make a verdict ambiguous stops the run before it starts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import pytest

from saeprobe.captures import Span, Steering
from saeprobe.claims import Claim, Control
from saeprobe.controls import READ_ELSEWHERE
from saeprobe.nearmiss import did_you_mean
from saeprobe.plugin.collecting import captures_beside, unknown_fixtures
from saeprobe.plugin.items import Asked
from saeprobe.plugin.judging import claim_of_item
from saeprobe.plugin.laboratory import Laboratory
from saeprobe.store.plan import prompts_for


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


def check_subjects(items: Iterable[pytest.Item], runs_on: Mapping[str, Collection[str]]) -> None:
    """See that what a claim says of a subject is of one that its probes run on: nothing else would look at it.

    `runs_on` has the subjects by claim id, those of the variants that are not selected included.

    Raises:
        pytest.UsageError: `published` or `not_reproduced` names another.
    """
    claims = {claim.id: claim for item in items if (claim := claim_of_item(item)) is not None}
    for claim in claims.values():
        on = runs_on[claim.id]
        for key, names in (("published", claim.published), ("not_reproduced", claim.not_reproduced)):
            for name in names:
                if name not in on:
                    raise pytest.UsageError(
                        f"claim {claim.id!r} names {name!r} in {key}, on which no probe of it runs"
                        f"{did_you_mean(name, on)}; they run on: {', '.join(on)}"
                    )


def check_fixtures(items: Iterable[pytest.Item]) -> None:
    """See that the captures that probes take as arguments are there.

    Raises:
        pytest.UsageError: one is misspelt, or stands where pytest does not find it.
    """
    for item in items:
        unknown = unknown_fixtures(item) if claim_of_item(item) is not None else []
        if unknown:
            raise pytest.UsageError(
                f"{item.nodeid.partition('[')[0]} takes {unknown[0]!r}, and there is no such fixture"
                f"{did_you_mean(unknown[0], captures_beside(item))}; a capture stands at the top of the probe's own "
                "file, neither in a class nor in conftest.py"
            )


def check_prompts(asked: Iterable[Asked], laboratory: Laboratory) -> None:
    """See that the prompts of each capture are there in the wording of its subject.

    Raises:
        pytest.UsageError: a style is misspelt, or a file of prompts cannot be used.
    """
    for each in asked:
        try:
            prompts_for(each.declared.prompts, laboratory.subject(each.subject))
        except (KeyError, ValueError) as error:  # the text of a KeyError is its argument
            problem = f"{each.fixture} cannot be read on {each.subject}: {error.args[0]}"
            raise pytest.UsageError(f"{each.file}: {problem}") from None


def check_controls(asked: Iterable[Asked], laboratory: Laboratory) -> None:
    """See that the controls of each claim can be read from the captures of its probe.

    Raises:
        pytest.UsageError: a control is to read what cannot be made of the probe's captures.
    """
    for each in asked:
        if each.claim is None:
            continue
        for control in each.claim.controls:
            problem = _problem(control, each, laboratory)
            if problem is not None:
                raise pytest.UsageError(f"claim {each.claim.id!r} asks for the control {control!r}, but {problem}")


def _problem(control: Control, asked: Asked, laboratory: Laboratory) -> str | None:
    """Why a control cannot be read from a capture, with the remedy; None where it can."""
    capture = asked.declared
    if isinstance(capture, Steering):
        if control not in READ_ELSEWHERE:
            return None
        return (
            f"{asked.fixture} steers: its controls are the arms it declares, of random features and other strengths; "
            "leave the control out"
        )
    if control not in ("injection", "wording"):
        return None
    if control == "injection" and isinstance(capture.at, Span):
        return (
            f"{asked.fixture} reads the span {capture.at.text!r}, which neutral prompts need not hold; "
            'read at="last" or at="all", or leave the control out'
        )
    try:
        prompts = capture.prompts.injected() if control == "injection" else capture.prompts
        prompts_for(prompts, laboratory.subject(asked.subject)).check_words()
    except ValueError as error:
        return f"cannot read it from {asked.fixture}: {error}"
    return None

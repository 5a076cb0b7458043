"""Checks on claims at collection: what would make a verdict ambiguous stops the run before it starts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from saeprobe.claims import Claim
from saeprobe.plugin.judging import claim_of_item


def check_claims(items: Sequence[pytest.Item]) -> None:
    """See that every claim id belongs to one probe.

    Raises:
        pytest.UsageError: two probes decide claims of the same id.
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
                f"two probes have the claim id {claim.id!r}: {where} and {place}; rename one of them"
            )

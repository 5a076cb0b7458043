"""Evidence on features crosses processes and is written as JSON, so it holds plain types only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from by_hand import Row, features, near_rows

from saeprobe.claims import Control
from saeprobe.evidence import Recorder, recording
from saeprobe.features import Features
from saeprobe.measures import clusters, exclusive_features, pick, scan, separates

PLAIN = {str, int, float, bool, type(None)}


def leaves(value: object, where: str) -> Iterator[tuple[str, type]]:
    """Every value inside evidence that is no container, with its place and exact type."""
    if is_dataclass(value):
        for each in fields(value):
            yield from leaves(getattr(value, each.name), f"{where}.{each.name}")
    elif isinstance(value, tuple):
        for place, each in enumerate(value):
            yield from leaves(each, f"{where}[{place}]")
    elif isinstance(value, dict):
        yield from leaves(tuple(value.items()), where)
    else:
        yield where, type(value)


@pytest.fixture
def of() -> Features:
    """Two styles that differ, under eight templates or more, some features near their threshold."""
    rng = np.random.default_rng(0)
    rows: list[Row] = []
    for style, first in (("novice", 0), ("expert", 12)):
        level = np.full(30, 0.1)
        level[first : first + 14 - first // 6] = 0.9
        for template in "ABCDEFGH":
            rows += [(style, template, topic, tuple(rng.random(30) < level)) for topic in ("tides", "yeast", "rust")]
    made = features(rows)
    near = near_rows([rng.choice(30, 2, replace=False) for _ in made.prompts], d_sae=30)
    other = replace(made, near=near, tolerance=1e-4)
    return replace(other, conditions={"random-model": (lambda: other,) * 40, "random-sae": (lambda: other,) * 40})


def test_all_kinds_made_on_features_are_plain(of: Features) -> None:
    """No numpy number anywhere: in estimates, intervals, unit values, parts, controls and the evidence of controls."""
    novice, expert = of["novice"], of["expert"]
    controls: tuple[Control, ...] = ("random-model", "random-sae")
    with recording(Recorder(controls=controls)) as scanned:
        scan(novice, expert)
    with recording(Recorder(controls=controls)) as clustered:
        clusters(of)
    with recording(Recorder(controls=("activity", *controls))) as counted:
        _ = exclusive_features(novice, expert) > exclusive_features(expert, novice)
    with recording(Recorder()) as separated:
        separates(pick(novice, expert, most=2), novice, expert)
    made = [*scanned.evidence, *clustered.evidence, *counted.evidence, *separated.evidence]
    assert [evidence.kind for evidence in made] == ["scan", "clusters", "exclusive", "every"]
    wrong = [(where, kind) for one in made for where, kind in leaves(one, one.kind) if kind not in PLAIN]
    assert wrong == []
    assert all(one.rule and one.lines() for one in made)

"""A sample of the reliability study: no damage to a stored file is believed, and none stops a run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from made_subjects import Made
from reliability import HARMS, Damages

from saeprobe import store as store_module
from saeprobe.prompts import PromptSet


@pytest.fixture(scope="module")
def damages(tiny: Made, tmp_path_factory: pytest.TempPathFactory) -> Damages:
    """A complete store of a small subject: two captures and a steering experiment."""
    styles = {"a": ["the {topic} is"], "b": ["is the {topic} red"]}
    prompts = PromptSet.build(name="damaged", language="en", topics=["bridge", "gate"], styles=styles)
    return Damages(subjects=[tiny.subject], prompts=prompts, root=tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize("name", HARMS)
def test_no_damage_is_believed_or_stops_a_run(damages: Damages, name: str) -> None:
    """Each of 40 damaged stores gives the same evidence, and has the same bytes afterwards."""
    counts = damages.run(HARMS[name], count=40, seed=0)
    assert counts["aside"] >= counts["harmed"] == 40
    assert (counts["wrong"], counts["errors"], counts["other_bytes"]) == (0, 0, 0)


def _trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    real = store_module._digests_of
    monkeypatch.setattr(store_module, "_digests_of", lambda content: (real(content)[1],) * 2)


@pytest.mark.parametrize(
    ("name", "blunt"),
    [
        ("forged files", _trusting),
        ("forged files", lambda monkeypatch: monkeypatch.setattr("saeprobe.store.tables._expect", lambda *_: None)),
    ],
)
def test_the_sample_sees_a_store_that_trusts_too_much(
    damages: Damages, monkeypatch: pytest.MonkeyPatch, name: str, blunt: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Without the hash, or without the checks of ranges and texts, wrong values are believed."""
    blunt(monkeypatch)
    counts = damages.run(HARMS[name], count=40, seed=0)
    assert counts["wrong"] > 0

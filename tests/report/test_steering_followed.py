"""A verdict on steering follows from the report alone."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from follow import complaints
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import document_of
from steered import steered_by

from saeprobe.claims import Claim, Verdict
from saeprobe.evidence import Recorder, recording
from saeprobe.measures import fluency
from saeprobe.report import probe_to_json, write_report


def reported(
    gain: float, sets: list[float], *, margin: float = 0.0, up: bool = True, beside: float | str = "sets"
) -> Any:
    """The report of one comparison of the steered arm with random sets, the unsteered model or a number."""
    of = steered_by(gain, *sets)
    with recording(Recorder()) as recorder:
        steered = fluency(of.at(20))
        if isinstance(beside, float):
            _ = steered > beside if up else steered < beside
        else:
            other = fluency(of.random_feature.at(20) if beside == "sets" else of.unsteered)
            larger, smaller = (steered, other) if up else (other, steered)
            _ = larger > (smaller + margin if margin else smaller)
    record = probe_to_json(
        claim=Claim(id="c", sentence="It holds.", source="here"),
        nodeid="t.py::c",
        subject="sparrow",
        verdict=Verdict(word="broken", reason="its evidence alone is followed"),
        evidence=recorder.evidence,
        published=(),
        duration_s=0.1,
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        write_report(document_of([record]), path)
        return json.loads(path.read_text(encoding="utf-8"))


def wrong(report: Any) -> list[str]:
    """What does not follow, but for the verdict."""
    return [complaint for complaint in complaints(report) if "the verdict is" not in complaint]


@settings(max_examples=40)
@given(
    gain=st.floats(-3, 3).map(lambda gain: round(gain, 3)),
    sets=st.lists(st.sampled_from([-4.0, -1.0, -0.5, 0.0, 0.5, 1.0, 4.0]), min_size=1, max_size=60),
    margin=st.sampled_from([0.0, 0.25, 1.0]),
    up=st.booleans(),
    beside=st.sampled_from(["sets", "unsteered", -51.0, -49.0, -60.0, -40.0]),
)
def test_every_word_follows_from_the_report_alone(
    gain: float, sets: list[float], margin: float, *, up: bool, beside: float | str
) -> None:
    """Unit values, the part and the rule give rank, p and outcome again."""
    assert wrong(reported(gain, sets, margin=margin, up=up, beside=beside)) == []


def test_what_was_tampered_with_is_found() -> None:
    """A set moved above the steered arm, and another word."""
    report = reported(2, [0.0] * 40)
    whole = next(piece for piece in report["evidence"] if piece["units"] == "random sets")
    whole["outcome"] = "explained"
    assert wrong(report)
    whole["outcome"] = "supported"
    assert not wrong(report)
    whole["unit_values"]["value"][-1] = -40.0
    assert wrong(report)

"""Recorded evidence: what someone measured and wrote down, standing in for a run of the subject."""

from saeprobe.recorded.record import Recorded, RecordedStyle

__all__ = ["Recorded", "RecordedStyle"]

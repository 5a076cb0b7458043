"""What recorded files of each shape read as."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_records import article_diff, article_features, read, write_eid

from saeprobe.features import Features
from saeprobe.recorded.comparison import write_feature_diff
from saeprobe.recorded.record import Recorded
from saeprobe.recorded.tensors import write_article


@pytest.fixture
def with_features(tmp_path: Path) -> Features:
    """Write a features file and read it."""
    write_article(tmp_path / "features_layer50.pt", article_features())
    found = read(tmp_path)
    assert isinstance(found, Features)
    return found


@pytest.fixture
def with_diff(tmp_path: Path) -> Recorded:
    """Write a comparison file and read it."""
    write_feature_diff(tmp_path / "feature_diff.json", article_diff())
    found = read(tmp_path)
    assert isinstance(found, Recorded)
    return found


@pytest.fixture
def with_eid(tmp_path: Path) -> Recorded:
    """Write an EID table and read it."""
    write_eid(tmp_path / "eid_persona_results.json")
    found = read(tmp_path, keep="effective_rank")
    assert isinstance(found, Recorded)
    return found

"""A Hub cache of the test's own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def hub_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty Hub cache for the tests of a file together."""
    with pytest.MonkeyPatch.context() as patch:
        yield _empty_hub(tmp_path_factory.mktemp("hub"), patch)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hub cache, and an error for whoever so much as asks for the address of a host."""

    def trap(*_: object, **__: object) -> list[object]:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", trap)
    return _empty_hub(tmp_path, monkeypatch)


def _empty_hub(root: Path, patch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    patch.setattr(constants, "HF_HUB_CACHE", str(root / "hub"))
    patch.setattr(constants, "HF_ASSETS_CACHE", str(root / "assets"))
    return root / "hub"

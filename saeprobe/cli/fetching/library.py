"""Two functions of huggingface_hub whose own types name a bare `dict`."""

from __future__ import annotations

from huggingface_hub import HfFileMetadata
from huggingface_hub import get_hf_file_metadata as _metadata  # pyright: ignore[reportUnknownVariableType]
from huggingface_hub.utils import build_hf_headers as _headers  # pyright: ignore[reportUnknownVariableType]


def get_hf_file_metadata(url: str, *, timeout: float, endpoint: str) -> HfFileMetadata:
    """What the Hub says of a file: where it lies, its size and digest."""
    return _metadata(url, timeout=timeout, endpoint=endpoint)


def build_hf_headers(headers: dict[str, str] | None = None) -> dict[str, str]:
    """The headers of a request, with the token where there is one."""
    return _headers(headers=headers)

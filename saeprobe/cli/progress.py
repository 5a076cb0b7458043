"""A progress bar on stderr, where somebody watches it."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Protocol, cast

from tqdm import tqdm


def quiet_libraries() -> None:
    """Keep transformers' own bars off a stderr that nobody watches; it draws them there in any case."""
    if not sys.stderr.isatty():
        from transformers.utils import logging

        logging.disable_progress_bar()


class Bar(Protocol):
    """What is used of a tqdm bar."""

    def update(self, n: int) -> object:
        """Move on by `n`."""
        ...


def progress(what: str, *, total: int, unit: str) -> AbstractContextManager[Bar]:
    """A bar that shows only where stderr is a terminal."""
    bar = tqdm(total=total, desc=what, unit=f" {unit}", disable=None, file=sys.stderr, leave=False)
    return cast(AbstractContextManager[Bar], bar)

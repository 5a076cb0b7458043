"""Bars: transformers draws one for each model that it loads, also into a log file; here only where somebody watches."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from transformers.utils import logging


@contextmanager
def bars_where_watched() -> Generator[None]:
    """No bars of transformers inside the block unless stderr is a terminal."""
    if not logging.is_progress_bar_enabled() or sys.stderr.isatty():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()

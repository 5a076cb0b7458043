"""The progress line: how far the model work of a subject has come, on a terminal only."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Self

import pytest
from tqdm import tqdm


class ProgressLine:
    """A tqdm bar a subject, written past pytest's capture of stderr; silent where nobody watches."""

    def __init__(self, config: pytest.Config) -> None:
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        self._watched = sys.__stderr__ is not None and sys.__stderr__.isatty() and not hasattr(config, "workerinput")
        self._bar: tqdm[Any] | None = None
        self._name = ""

    def __enter__(self) -> Self:
        if self._watched and self._capture is not None:
            self._capture.suspend_global_capture(in_=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._watched and self._capture is not None:
            self._capture.resume_global_capture()

    def show(self, name: str, done: int, total: int) -> None:
        """Show that `done` of `total` prompts of the subject `name` are through."""
        if not self._watched:
            return
        if self._bar is None or self._name != name:
            if self._bar is not None:
                self._bar.close()
            self._bar, self._name = tqdm(total=total, desc=name, unit="prompt", file=sys.stderr), name
        self._bar.update(done - self._bar.n)

"""The state of a training on disk, so that one which was stopped goes on where it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from saeprobe.files import written_whole

# Steps between two writings: about two minutes on one core.
_EVERY = 200


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A file for the state of one training. ``of`` says in words of which: another's state is never taken up."""

    path: Path
    of: str
    every: int = _EVERY

    def resume(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
    ) -> int:
        """Take up the state on disk, if there is one, and return the number of steps already made.

        Raises:
            ValueError: the file is of another training.
        """
        if not self.path.is_file():
            return 0
        found = cast("dict[str, Any]", torch.load(self.path, weights_only=True))
        if found["of"] != self.of:
            raise ValueError(f"{self.path} is of another training, {found['of']}; wanted {self.of}: delete or move it")
        model.load_state_dict(found["model"])
        optimizer.load_state_dict(found["optimizer"])
        schedule.load_state_dict(found["schedule"])
        return int(found["steps"])

    def save(
        self,
        steps: int,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
    ) -> None:
        """Write the state after so many steps, when it is time; a writing cut short leaves the one before it."""
        if steps % self.every:
            return
        state = {
            "of": self.of,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "steps": steps,
        }
        with written_whole(self.path) as part:
            torch.save(state, part)

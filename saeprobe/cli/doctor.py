"""`saeprobe doctor`: what runs on this machine, what is missing, and what each subject takes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from saeprobe.cli.arguments import add_command
from saeprobe.cli.rootdir import project_root
from saeprobe.cli.terminal import aligned, pairs

if TYPE_CHECKING:
    from saeprobe.cli.arguments import Commands
    from saeprobe.cli.checkup.outlook import Outlook
    from saeprobe.cli.checkup.rates import Rates

_DESCRIPTION = """\
Say what runs on this machine and what is missing: installed libraries, GPUs and memory, the cache of the Hub, and of
each subject whether it is here, where its weights would lie while they are used (on a GPU, over several, in RAM, or
streamed from disk layer by layer), and what it takes in memory, on disk and in time.

The times are estimates from below. They rest on a matrix product and on 64 MiB written beside the cache of the Hub
and read back, measured for a second; a model reaches a part of these rates. Nothing is loaded, nothing is asked over
the network, and no token is shown."""

_EPILOG = """\
examples:
  saeprobe doctor
  CUDA_VISIBLE_DEVICES=1 saeprobe doctor

exit codes: 0 at least one subject runs here; 1 none does; 2 a declaration in pyproject.toml is wrong."""


def add_parser(commands: Commands) -> None:
    """Add the command."""
    add_command(
        commands,
        "doctor",
        run,
        summary="what runs on this machine, what is missing, and what each subject takes",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the surroundings, then a line a subject and what there is to say of it."""
    del arguments  # the command has none
    from huggingface_hub import constants

    from saeprobe.cli.checkup.outlook import PROMPTS, TOKENS, outlook
    from saeprobe.cli.checkup.rates import measure
    from saeprobe.cli.checkup.surroundings import hardware, hub, software
    from saeprobe.cli.fetching.cache import existing
    from saeprobe.subject.local import LocalSubject
    from saeprobe.subject.machine import this_machine
    from saeprobe.subject.registry import find_subject, subject_names

    root = project_root()
    subjects = [find_subject(name, root) for name in subject_names(root)]
    machine = this_machine()
    rates = measure(existing(Path(constants.HF_HUB_CACHE)), gpu=bool(machine.usable_gpus))
    found = [outlook(subject, rates) for subject in subjects if isinstance(subject, LocalSubject)]
    table = aligned(["subject", "here", "memory", "disk", "time"], [one.row for one in found], right=[2, 3, 4])
    basis = (
        f"time: for {PROMPTS} prompts of {TOKENS} tokens, estimated from below at the rates measured just now\n"
        f"{pairs(_basis(rates))}\n"
        "  a model reaches a part of these rates, and importing the libraries takes some seconds more"
    )
    notes = pairs([fact for one in found for fact in _notes(one)])
    parts = [
        f"software\n{pairs(software(machine))}",
        f"machine\n{pairs(hardware(machine, rates.gpu_problem))}",
        f"Hub\n{pairs(hub())}",
        table,
        basis,
        f"in words\n{notes}",
    ]
    sys.stdout.write("\n\n".join(parts) + "\n")
    return 0 if any(one.state == "ready" for one in found) else 1


def _notes(found: Outlook) -> list[tuple[str, str]]:
    """What there is to say of a subject, its name before the first line."""
    names = (found.name, *[""] * (len(found.notes) - 1))
    return [(name, note.removeprefix(f"{found.name} ")) for name, note in zip(names, found.notes, strict=True)]


def _basis(rates: Rates) -> list[tuple[str, str]]:
    """What was measured, in words."""
    measured = [("CPU", f"{_rate(rates.processor)}, a float32 matrix product")]
    if rates.gpu is not None:
        measured.append(("cuda:0", f"{_rate(rates.gpu)}, a bfloat16 matrix product"))
    if rates.disk is None:
        measured.append(("disk", "could not be measured: the cache of the Hub cannot be written to, or is full"))
    else:
        how = "the disk of the cache" if rates.uncached else "the disk of the cache, or the system's memory of it"
        measured.append(("disk", f"{rates.disk / 10**6:,.0f} MB/s, read from {how}"))
    return measured


def _rate(operations: float) -> str:
    """Operations a second."""
    return f"{operations / 10**12:.1f} TFLOP/s" if operations >= 10**12 else f"{operations / 10**9:.0f} GFLOP/s"

"""`saeprobe fetch`: bring a subject's weights from the Hub into its cache."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from saeprobe.cli.arguments import add_command
from saeprobe.cli.refusal import RefusedError
from saeprobe.cli.rootdir import project_root

if TYPE_CHECKING:
    from saeprobe.cli.arguments import Commands

_INTERRUPTED = 130

_DESCRIPTION = """\
Bring the weights of a subject from the Hugging Face Hub into its cache, where transformers and sae-lens find them too.
States first which files are lacking, how large they are and how much room the disk has; then fetches them without
asking. Of a model in shards only those are fetched that hold layers up to the SAE's (a third less of Llama-3.3-70B).

A run that ends early loses nothing: the same command goes on where it stopped, in the middle of a file too. What
comes is checked against the digest that the Hub announces.

  HF_ENDPOINT     another Hub, such as https://hf-mirror.com where huggingface.co is out of reach
  HF_TOKEN        your token, for repositories whose licence must be accepted (or log in once: hf auth login)
  HF_HOME         a folder on a larger disk, in place of ~/.cache/huggingface"""

_EPILOG = """\
examples:
  saeprobe fetch gpt2 --dry-run
  HF_ENDPOINT=https://hf-mirror.com saeprobe fetch gpt2
  saeprobe fetch llama70b --whole

exit codes: 0 all is here; 2 it could not be done, and the message says why."""


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "fetch",
        run,
        summary="bring a subject's weights from the Hub (resumable)",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("subject", metavar="NAME", help="a subject, as 'saeprobe subjects' lists them")
    parser.add_argument("--dry-run", action="store_true", help="state what would be fetched, and stop there")
    parser.add_argument("--whole", action="store_true", help="all layers, not only those up to the SAE's: for steering")


def run(arguments: argparse.Namespace) -> int:
    """State what is lacking, then fetch it."""
    from saeprobe.subject.registry import find_subject

    name: str = arguments.subject
    root = project_root()
    subject = find_subject(name, root)
    downloads, absent = subject.downloads(), subject.missing()
    if not downloads:
        if absent is not None:
            raise RefusedError(f"nothing of {name} can be fetched: {absent}")
        sys.stdout.write(f"{name} needs no download: its files are on this machine\n")
        return 0

    from huggingface_hub import constants

    from saeprobe.cli.fetching.cache import Cache, existing
    from saeprobe.cli.fetching.order import Order
    from saeprobe.cli.hub import Hub
    from saeprobe.subject.memory import bytes_in_words as words

    cache = Cache(folder=Path(constants.HF_HUB_CACHE))
    if absent is None and not arguments.whole:
        sys.stdout.write(f"all that {name} needs is here already, in {cache.folder}\n")
        return 0
    if constants.HF_HUB_OFFLINE:
        raise RefusedError(
            f"{name} is not whole here and HF_HUB_OFFLINE is set: nothing can be fetched; take HF_HUB_OFFLINE out of "
            "the environment and run the command again"
        )
    hub = Hub(endpoint=constants.ENDPOINT)
    order = Order.of(hub, cache, downloads, whole=arguments.whole)
    sys.stdout.write(f"{order.statement(name, hub, cache)}\n")
    sys.stdout.flush()
    free = cache.free_bytes()
    if order.to_come > free:
        raise RefusedError(
            f"{name} needs {words(order.to_come)} more and the disk of {existing(cache.folder)} has {words(free)} "
            "free; make room there, or put HF_HOME=/a/folder/on/a/larger/disk before the command"
        )
    if arguments.dry_run:
        return 0
    try:
        order.carry_out(hub, cache)
    except KeyboardInterrupt:
        sys.stderr.write("\nsaeprobe: interrupted; what has come is kept, and the same command goes on from there\n")
        return _INTERRUPTED
    still = find_subject(name, root).missing()
    if still is not None:
        raise RefusedError(f"all files have come, but {name} cannot run yet: {still}")
    sys.stdout.write(f"all that {name} needs is here; next: pytest probes/ -m {name}\n")
    return 0

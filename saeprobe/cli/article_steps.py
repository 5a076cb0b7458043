"""`saeprobe extract`: the article's first step, the activations of the last prompt token."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from saeprobe.cli.arguments import add_command, add_output, checked_output
from saeprobe.cli.progress import progress, quiet_libraries
from saeprobe.cli.refusal import RefusedError
from saeprobe.cli.rootdir import project_root

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from saeprobe.cli.arguments import Commands
    from saeprobe.prompts import PromptSet
    from saeprobe.subject.protocol import Reader, Subject


_BATCH = 16


_DESCRIPTION = """\
Read what a model computes at the place where its SAE reads, at the last token of each prompt: the article's first
step. One prompt a style and topic is read and written as a list of dicts, one a topic, with 'topic', 'guru' and
'<style>_activation' [1, d_in] in float32.

The prompts are the subject's own built-in set of six styles (standard, padding, spaces, novice, expert, guru), or
yours: a TOML, CSV or JSONL file. Where a style has several templates the file has room for one; --template chooses
it. A claim read off such a file is about that one wording: probes read all of them.

SUBJECT is a name that 'saeprobe subjects' lists. Nothing is downloaded."""


_EPILOG = """\
examples:
  saeprobe extract sparrow
  saeprobe extract sparrow --styles novice expert --template 3 -o third_wording.pt
  saeprobe extract gpt2 --prompts prompts.toml -o activations_gpt2.pt

exit codes: 0 written; 2 it could not be done, and the message says why."""


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "extract",
        run,
        summary="read a model's activations by prompt style (activations.pt)",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("subject", metavar="SUBJECT", help="a model with its SAE, as 'saeprobe subjects' lists them")
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="your prompts (default: the built-in six styles)")
    parser.add_argument("--styles", nargs="+", metavar="STYLE", help="only these styles (default: all)")
    parser.add_argument(
        "--template", type=int, default=1, metavar="N", help="which template of each style, from 1 (default: 1)"
    )
    add_output(parser, "activations_layer50.pt")


def run(arguments: argparse.Namespace) -> int:
    """Choose the prompts, read them, write the file."""
    output = checked_output(arguments)
    from saeprobe.cli.choosing import choose_prompts
    from saeprobe.subject.registry import find_subject

    subject = find_subject(arguments.subject, project_root())
    absent = subject.missing()
    if absent is not None:
        raise RefusedError(f"{subject.name} cannot run here: {absent}")
    chosen = choose_prompts(_prompts(arguments.prompts, subject), styles=arguments.styles, template=arguments.template)
    quiet_libraries()
    rows = _read(subject.open(), [prompt.text for by_style in chosen.prompts for prompt in by_style])

    from saeprobe.article_files.activations import ArticleActivations, write_activations

    shape = (len(chosen.topics), len(chosen.styles), -1)
    found = ArticleActivations(
        topics=chosen.topics, gurus=chosen.gurus, styles=chosen.styles, activations=rows.reshape(shape)
    )
    write_activations(output, found)
    what = f"{len(found.topics)} topics in {len(found.styles)} styles ({', '.join(found.styles)}), d_in {found.d_in:,}"
    sys.stdout.write(f"{what}; written to {output}\n")
    return 0


def _prompts(file: Path | None, subject: Subject) -> PromptSet:
    """The user's prompts, or the built-in ones in the subject's wording."""
    from saeprobe.prompts import STYLES, PromptSet

    return STYLES.for_wording(subject.wording) if file is None else PromptSet.from_file(file)


def _read(reader: Reader, texts: Sequence[str]) -> Float[np.ndarray, "prompts d_in"]:
    """The activations of each text's last token, batch after batch, long texts with long."""
    import numpy as np

    from saeprobe.subject.protocol import Request, Want

    want = Want(at="last", keep=frozenset({"activations"}))
    requests = [Request(text=text, wants=(want,)) for text in texts]
    rows: dict[int, Float[np.ndarray, " d_in"]] = {}
    with progress("extract", total=len(texts), unit="prompts") as bar:
        for index, (reading,) in reader.read(requests, batch_size=_BATCH):
            if reading.activations is None or len(reading.activations) != 1:
                raise RuntimeError(f"the subject's reader gave no activation for {texts[index]!r}")
            rows[index] = reading.activations[0]
            bar.update(1)
    found = np.stack([rows[index] for index in range(len(texts))]).astype(np.float32)
    if not np.isfinite(found).all():
        bad = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise RefusedError(
            f"the model's activation is NaN or infinite on {texts[bad]!r}; try it in float32 or bfloat16"
        )
    return found

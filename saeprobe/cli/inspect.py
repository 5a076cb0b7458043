"""`saeprobe inspect`: what an SAE file, a file of the article, or a report holds."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from saeprobe.cli.arguments import add_command
from saeprobe.cli.terminal import aligned, pairs, size

if TYPE_CHECKING:
    from saeprobe.cli.arguments import Commands
    from saeprobe.cli.contents import Contents
    from saeprobe.cli.recognition import Recognition

_ROWS = 40

_DESCRIPTION = """\
Say what a file holds: its keys, shapes, dtypes and size, how many parameters it has, and what it is. Recognised are
SAEs in Goodfire's format (.pt) and SAELens' (a folder with cfg.json), the article's activations and features files,
its feature_diff.json and EID tables, and the reports and baselines of saeprobe itself, which are summed up; anything
else is listed by its keys.

The weights stay on disk: a file of 4 GB is inspected in a moment. A .pt file is read as data only; code in it is
refused, never run."""

_EPILOG = """\
examples:
  saeprobe inspect Llama-3.3-70B-Instruct-SAE-l50.pt
  saeprobe inspect ~/saes/blocks.6.hook_resid_pre
  saeprobe inspect features_layer50.pt --json
  saeprobe inspect reports/report.json

exit codes: 0 listed, known or unknown; 2 the file is absent, damaged or holds code."""


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "inspect",
        run,
        summary="what an SAE file holds: keys, shapes, dtypes, size, what it is",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="a .pt, .safetensors, .npz or .json file, or a folder")
    parser.add_argument("--json", action="store_true", help="print JSON for a machine instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Print what is there."""
    from saeprobe.cli.contents import read_contents
    from saeprobe.cli.recognition import recognise

    contents = read_contents(arguments.path)
    known = recognise(contents)
    sys.stdout.write(_as_json(contents, known) if arguments.json else _as_text(contents, known))
    return 0


def _as_text(contents: Contents, known: Recognition) -> str:
    """The description above a table of the keys."""
    facts = [
        ("what it is", known.description),
        ("file", f"{contents.file.name}, {size(contents.file_bytes)}"),
        *([(known.counted, f"{contents.values:,}")] if contents.values else []),
        *known.facts.items(),
        *(("warning", warning) for warning in known.warnings),
    ]
    # The entries of the article's files are alike: one stands for all.
    items = [item for item in contents.items if item.key.startswith("0.") or not known.kind.startswith("article-")]
    rows = [
        [item.key, str(list(item.shape)) if item.shape is not None else "", item.dtype, f"{item.bytes:,}"]
        for item in items[:_ROWS]
    ]
    more = len(contents.items) - len(rows)
    rest = f"... and {more:,} more keys; --json lists all\n" if more > 0 else ""
    table = aligned(["key", "shape", "dtype", "bytes"], rows, right=[3])
    return f"{contents.path}\n{pairs(facts)}\n\n{table}\n{rest}"


def _as_json(contents: Contents, known: Recognition) -> str:
    """Everything, for a machine."""
    found = {
        "path": str(contents.path),
        "file": str(contents.file),
        "bytes": contents.file_bytes,
        "kind": known.kind,
        "description": known.description,
        known.counted: contents.values,
        "facts": dict(known.facts),
        "warnings": list(known.warnings),
        "keys": [
            {
                "key": item.key,
                "shape": None if item.shape is None else list(item.shape),
                "dtype": item.dtype,
                "bytes": item.bytes,
            }
            for item in contents.items
        ],
    }
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

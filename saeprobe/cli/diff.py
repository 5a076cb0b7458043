"""`saeprobe diff`: the article's third step, two styles compared feature by feature."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from saeprobe.cli.arguments import add_command, add_output, checked_output
from saeprobe.cli.refusal import RefusedError
from saeprobe.cli.terminal import aligned

if TYPE_CHECKING:
    from saeprobe.cli.arguments import Commands
    from saeprobe.recorded.results import FeatureDiff

_DESCRIPTION = """\
Compare two prompt styles feature by feature: the article's third step. Reads a features file as 'saeprobe encode'
writes it (a list of dicts with 'topic', 'guru' and '<style>_features' [d_sae]) and writes a feature_diff.json:

  summary              by style: active features a prompt (mean), strength of the active features (mean of all active
                       values pooled over prompts), features exclusive to the style (active on one of its prompts at
                       least and on none of the other's); 'standard' gives its active features for comparison
  A_dominant_features  the up to 30 features whose firing rate leans most to style A, with both rates
  A_only_features      the first 50 features exclusive to style A

A feature is active where its value is above 0. The file holds summaries only: it says how the prompts at hand differ,
not how surely others would."""

_EPILOG = """\
examples:
  saeprobe diff features_layer50.pt
  saeprobe diff features.pt --a guru --b standard -o guru_diff.json

exit codes: 0 written; 2 it could not be done, and the message says why."""


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "diff",
        run,
        summary="compare two prompt styles (features.pt to feature_diff.json)",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("features", type=Path, metavar="FEATURES", help="a features file (.pt)")
    parser.add_argument("--a", default="novice", metavar="STYLE", help="the first style (default: novice)")
    parser.add_argument("--b", default="expert", metavar="STYLE", help="the second style (default: expert)")
    add_output(parser, "feature_diff.json")


def run(arguments: argparse.Namespace) -> int:
    """Compare, write, and print the article's small table."""
    output = checked_output(arguments)
    from saeprobe.article_files.comparison import compare_styles
    from saeprobe.article_files.features import read_features
    from saeprobe.recorded.results import write_feature_diff

    features = read_features(arguments.features)
    try:
        diff = compare_styles(features, arguments.a, arguments.b)
    except (KeyError, ValueError) as error:
        raise RefusedError(f"{arguments.features}: {error.args[0]}") from error
    write_feature_diff(output, diff)
    sys.stdout.write(f"{_table(diff)}\n\n{len(features.topics)} topics; written to {output}\n")
    return 0


def _table(diff: FeatureDiff) -> str:
    """The article's table of two styles, and the features that fire on every prompt of one and none of the other."""
    a, b = diff.a, diff.b
    rows = [
        _row("active features a prompt (mean)", diff.avg_active[a], diff.avg_active[b], ".1f"),
        _row("exclusive features", diff.only_count[a], diff.only_count[b], ",d"),
        _row("strength of active features (mean)", diff.avg_intensity[a], diff.avg_intensity[b], ".3f"),
    ]
    lines = [aligned(["", a, b, "difference"], rows, right=[1, 2, 3])]
    for style, other in ((a, b), (b, a)):
        perfect = [str(rates.index) for rates in diff.dominant[style] if abs(rates.diff) == 1]
        listed = ", ".join(perfect) or "none"
        lines.append(f"on every {style} and no {other} prompt: {listed}")
    return "\n".join(lines)


def _row(name: str, a: float, b: float, spec: str) -> list[str]:
    """One measure of both styles and by how much the first exceeds the second, in percent of the second."""
    return [name, format(a, spec), format(b, spec), f"{(a - b) / b:+.0%}" if b else "-"]

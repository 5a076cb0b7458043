"""The table of commands says what the command line knows before a command runs; `help` has the texts of their help.

Help and completion read both, so that nothing is imported at the top here that they have no use for; the two commands
that only hand their arguments on stand here too.
"""

import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path


class Command(NamedTuple):
    """A command is one row of the table.

    `runs` names a module and its function, imported when the command runs; it takes the parsed arguments and returns
    the exit code. Each argument is given as `add_argument` takes it.
    """

    runs: str
    summary: str
    arguments: "tuple[tuple[tuple[str, ...], dict[str, Any]], ...]" = ()


def path(text: str) -> "Path":
    """Return a path; an argument of this type completes to files."""
    from argparse import ArgumentTypeError
    from pathlib import Path  # not at the top: help and completion have no use for it

    if not text.strip():
        raise ArgumentTypeError(f"{text!r} is no path; name a file or a folder")
    return Path(text)


def help_of(command: str) -> tuple[str, str]:
    """Return what the help of a command, or of all, says before the arguments, and after them: from examples on."""
    from pathlib import Path

    text = Path(__file__).with_name("help").joinpath(f"{command}.txt").read_text(encoding="utf-8")
    description, epilog = re.split(r"\n\n(?=[a-z][^\n]*:\n  )", text.rstrip("\n"), maxsplit=1)
    return description, epilog


def _argument(*names: str, **options: Any) -> "tuple[tuple[str, ...], dict[str, Any]]":
    return names, options


def _file(*names: str, default: str, what: str, metavar: str = "FILE") -> "tuple[tuple[str, ...], dict[str, Any]]":
    return names, {"type": path, "default": default, "metavar": metavar, "help": f"{what} (default: {default})"}


_REPORT: Final = _file("--report", default="reports/report.json", what="the report of a run of the probes")
_FORCE: Final = _argument("--force", action="store_true", help="replace the output where it exists already")

COMMANDS: Final[Mapping[str, Command]] = {
    "init": Command(
        "saeprobe.cli.init:run",
        "write a first project: a probe, its prompts, an article that cites it",
        (_argument("folder", type=path, nargs="?", default=".", metavar="FOLDER", help="where (default: here)"),),
    ),
    "doctor": Command(
        "saeprobe.cli.doctor:run",
        "what runs on this machine, what is missing, and what each subject takes",
    ),
    "subjects": Command(
        "saeprobe.cli.doctor:run_subjects",
        "the models and SAEs that claims can be checked on, and how to get them",
    ),
    "fetch": Command(
        "saeprobe.cli.fetch:run",
        "bring a subject's weights from the Hub (resumable)",
        (
            _argument("subject", metavar="NAME", help="a subject, as 'saeprobe subjects' lists them"),
            _argument("--dry-run", action="store_true", help="state what would be fetched, and stop there"),
            _argument("--whole", action="store_true", help="all layers, not only those up to the SAE's: for steering"),
        ),
    ),
    "inspect": Command(
        "saeprobe.cli.inspect:run",
        "what an SAE file holds: keys, shapes, dtypes, size, what it is",
        (
            _argument("path", type=path, metavar="PATH", help="a .pt, .safetensors, .npz or .json file, or a folder"),
            _argument("--json", action="store_true", help="print JSON for a machine instead of a table"),
        ),
    ),
    "extract": Command(
        "saeprobe.cli.article_steps:extract",
        "read a model's activations by prompt style (activations.pt)",
        (
            _argument("subject", metavar="SUBJECT", help="a model with its SAE, as 'saeprobe subjects' lists them"),
            _argument("--prompts", type=path, metavar="FILE", help="your prompts (default: the built-in six styles)"),
            _argument("--styles", nargs="+", metavar="STYLE", help="only these styles (default: all)"),
            _argument("--template", type=int, default=1, metavar="N", help="which of each style, from 1 (default: 1)"),
            _file("-o", "--output", default="activations_layer50.pt", what="where to write"),
            _FORCE,
        ),
    ),
    "encode": Command(
        "saeprobe.cli.article_steps:encode",
        "encode activations into SAE features (activations.pt to features.pt)",
        (
            _argument("activations", type=path, metavar="ACTIVATIONS", help="an activations file (.pt)"),
            _argument("--sae", required=True, metavar="SAE", help="the SAE's file or folder, or a subject"),
            _argument("--device", default="cpu", help="where to compute, as torch writes it (default: cpu)"),
            _file("-o", "--output", default="features_layer50.pt", what="where to write"),
            _FORCE,
        ),
    ),
    "diff": Command(
        "saeprobe.cli.article_steps:diff",
        "compare two prompt styles (features.pt to feature_diff.json)",
        (
            _argument("features", type=path, metavar="FEATURES", help="a features file (.pt)"),
            _argument("--a", default="novice", metavar="STYLE", help="the first style (default: novice)"),
            _argument("--b", default="expert", metavar="STYLE", help="the second style (default: expert)"),
            _file("-o", "--output", default="feature_diff.json", what="where to write"),
            _FORCE,
        ),
    ),
    "approve": Command(
        "saeprobe.cli:run_approve",
        "accept what was measured of one claim as its baseline",
        (
            _argument("claim", metavar="CLAIM", help="the id of one claim, such as day1.novice-most"),
            _argument("--by", required=True, metavar="NAME", help="who approves"),
            _argument("--because", required=True, metavar="WHY", help="in three words at least, or six Han characters"),
            _argument("--subject", metavar="NAME", help="on which subject, where the claim was decided on several"),
            _REPORT,
            _file("--baselines", default="reports/baselines", what="folder of the baselines", metavar="DIR"),
        ),
    ),
    "gate": Command(
        "saeprobe.cli:run_gate",
        "release an article, or hold it until its claims stand",
        (_argument("article", type=path, metavar="ARTICLE", help="a manuscript (.md) with front matter"), _REPORT),
    ),
    "completion": Command(
        "saeprobe.__main__:complete",
        "print what makes a shell complete commands, options and files",
        (_argument("shell", choices=("bash", "zsh", "tcsh"), help="whose completion"),),
    ),
}
"""What `saeprobe` can do, by the word that is typed."""


def run_approve(arguments: "Namespace") -> int:
    """Approve a claim, and print what was approved with what stood before."""
    import datetime as dt

    from saeprobe.cli.terminal import RefusedError, report_here, say, table
    from saeprobe.files import visible
    from saeprobe.gate.approving import ApprovalError, approve
    from saeprobe.report import ReportError, read_report
    from saeprobe.verdicts.baseline_files import BaselineError

    try:
        done = approve(
            read_report(report_here(arguments)),
            arguments.claim,
            subject=arguments.subject,
            by=arguments.by,
            because=arguments.because,
            on=dt.datetime.now(tz=dt.UTC).date().isoformat(),
            folder=arguments.baselines,
        )
    except (ApprovalError, BaselineError, ReportError) as error:
        raise RefusedError(str(error)) from error
    listed = table(["value", "before", "approved", "unit"], done.rows(), right=[1, 2])
    lines = [*map(visible, done.lines()), "", listed, ""]
    lines.append(f"written to {done.path}; commit it before the next run, which is then held against it")
    if done.baseline.measured_with.commit is None:
        lines.append("the run has no commit: only this file says what was measured")
    say("\n".join(lines))
    return 0


def run_gate(arguments: "Namespace") -> int:
    """Print the gate's decision; its code is the command's."""
    from saeprobe.cli.terminal import report_here
    from saeprobe.files import visible_lines
    from saeprobe.gate import EXIT_CODES
    from saeprobe.gate import run_gate as decide

    code, text = decide(arguments.article, report_here(arguments))
    (sys.stderr if code == EXIT_CODES["cannot tell"] else sys.stdout).write(f"{visible_lines(text.rstrip())}\n")
    return code

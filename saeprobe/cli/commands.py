"""The table of commands says all that the command line knows before a command runs.

Help and completion read it, so that nothing is imported at its top that they have no use for; the two commands that
only hand their arguments on stand here too.
"""

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
    description: str
    examples: str
    exit_codes: str
    arguments: "tuple[tuple[tuple[str, ...], dict[str, Any]], ...]" = ()


def path(text: str) -> "Path":
    """Return a path; an argument of this type completes to files."""
    from argparse import ArgumentTypeError
    from pathlib import Path  # not at the top: help and completion have no use for it

    if not text.strip():
        raise ArgumentTypeError(f"{text!r} is no path; name a file or a folder")
    return Path(text)


def _argument(*names: str, **options: Any) -> "tuple[tuple[str, ...], dict[str, Any]]":
    return names, options


def _file(*names: str, default: str, what: str, metavar: str = "FILE") -> "tuple[tuple[str, ...], dict[str, Any]]":
    return names, {"type": path, "default": default, "metavar": metavar, "help": f"{what} (default: {default})"}


_CANNOT_DECIDE: Final = 2  # a code of the gate
_REPORT: Final = _file("--report", default="reports/report.json", what="the report of a run of the probes")
_FORCE: Final = _argument("--force", action="store_true", help="replace the output where it exists already")

COMMANDS: Final[Mapping[str, Command]] = {
    "init": Command(
        "saeprobe.cli.init:run",
        "write a first project: a probe, its prompts, an article that cites it",
        """\
Write a first project: one probe, its prompt file, an article that cites the claim, pyproject.toml, .gitignore and a
workflow for GitHub. 'pytest' in it ends with a verdict on finch, a model that ships with saeprobe; then put your own
sentence, prompts and model in. A file that exists is named and left as it is.""",
        """  saeprobe init
  saeprobe init my-claims""",
        "0 written, or all there; 2 a file stands for a folder or the other way round, or none can be written.",
        (_argument("folder", type=path, nargs="?", default=".", metavar="FOLDER", help="where (default: here)"),),
    ),
    "doctor": Command(
        "saeprobe.cli.doctor:run",
        "what runs on this machine, what is missing, and what each subject takes",
        """\
Say what runs on this machine and what is missing: installed libraries, GPUs and memory, the cache of the Hub, and of
each subject whether it is here, where its weights would lie while they are used (on a GPU, over several, in RAM, or
streamed from disk layer by layer), and what it takes in memory, on disk and in time.

The times are estimates from below: a matrix product and 64 MiB read back from the cache's disk are measured for a
second, and a model reaches a part of these rates. Nothing is loaded or asked over the network; no token is shown.""",
        "  saeprobe doctor",
        "0 a subject runs here and none is wrong; 1 none runs, or one is wrong; 2 pyproject.toml is no TOML.",
    ),
    "subjects": Command(
        "saeprobe.cli.doctor:run_subjects",
        "the models and SAEs that claims can be checked on, and how to get them",
        """\
List the subjects: each is a language model, an SAE of it and the place where the SAE reads. Built in are the
specimens that ship with the package and the models of the published articles; your own are declared in pyproject.toml
under [tool.saeprobe.subjects.NAME]. Nothing is loaded and nothing downloaded: 'saeprobe fetch NAME' brings the weights
of those that are absent, and 'saeprobe doctor' says what each takes on this machine.""",
        """  saeprobe subjects
  saeprobe fetch gpt2""",
        "0 listed, those that are wrong too; 2 pyproject.toml is unreadable.",
    ),
    "fetch": Command(
        "saeprobe.cli.fetch:run",
        "bring a subject's weights from the Hub (resumable)",
        """\
Bring the weights of a subject from the Hugging Face Hub into its cache, where transformers and sae-lens find them too.
States first which files are lacking, how large they are and how much room the disk has; then fetches them without
asking. Of a model in shards only those are fetched that hold layers up to the SAE's (a third less of Llama-3.3-70B).

A run that ends early loses nothing: the same command goes on where it stopped, in the middle of a file too. What
comes is checked against the digest that the Hub announces.

Variables of the environment ('export NAME=VALUE' before the command; 'set NAME=VALUE' in cmd.exe, and
'$env:NAME = "VALUE"' in PowerShell):

  HF_ENDPOINT     another Hub, such as https://hf-mirror.com where huggingface.co is out of reach
  HF_TOKEN        your token, for repositories whose licence must be accepted (or log in once: hf auth login)
  HF_HOME         a folder on a larger disk, in place of ~/.cache/huggingface""",
        """  saeprobe fetch gpt2 --dry-run
  saeprobe fetch llama70b --whole""",
        "0 all is here; 2 it could not be done, and the message says why.",
        (
            _argument("subject", metavar="NAME", help="a subject, as 'saeprobe subjects' lists them"),
            _argument("--dry-run", action="store_true", help="state what would be fetched, and stop there"),
            _argument("--whole", action="store_true", help="all layers, not only those up to the SAE's: for steering"),
        ),
    ),
    "inspect": Command(
        "saeprobe.cli.inspect:run",
        "what an SAE file holds: keys, shapes, dtypes, size, what it is",
        """\
Say what a file holds: its keys, shapes, dtypes and size, how many parameters it has, and what it is. Recognised are
SAEs in Goodfire's format (.pt) and SAELens' (a folder with cfg.json), the article's activations and features files,
its feature_diff.json and EID tables, and the reports and baselines of saeprobe itself, which are summed up; anything
else is listed by its keys.

The weights stay on disk: a file of 4 GB is inspected in a moment. A .pt file is read as data only; code in it is
refused, never run.""",
        """  saeprobe inspect Llama-3.3-70B-Instruct-SAE-l50.pt
  saeprobe inspect ~/saes/blocks.6.hook_resid_pre
  saeprobe inspect features_layer50.pt --json
  saeprobe inspect reports/report.json""",
        "0 listed, known or unknown; 2 the file is absent, damaged or holds code.",
        (
            _argument("path", type=path, metavar="PATH", help="a .pt, .safetensors, .npz or .json file, or a folder"),
            _argument("--json", action="store_true", help="print JSON for a machine instead of a table"),
        ),
    ),
    "extract": Command(
        "saeprobe.cli.article_steps:extract",
        "read a model's activations by prompt style (activations.pt)",
        """\
Read what a model computes at the place where its SAE reads, at the last token of each prompt: the article's first
step. One prompt a style and topic is read and written as a list of dicts, one a topic, with 'topic', 'guru' and
'<style>_activation' [1, d_in] in float32.

The prompts are the subject's own built-in set of six styles (standard, padding, spaces, novice, expert, guru), or
yours: a TOML, CSV or JSONL file. Where a style has several templates the file has room for one, the first unless
--template chooses another, and the output says how many are left out. A claim read off such a file is about that one
wording: a probe on the same prompts reads all of them, and its figures are others.

SUBJECT is a name that 'saeprobe subjects' lists. Nothing is downloaded.""",
        """  saeprobe extract sparrow
  saeprobe extract sparrow --styles novice expert --template 3 -o third_wording.pt
  saeprobe extract gpt2 --prompts prompts.toml -o activations_gpt2.pt""",
        "0 written; 2 it could not be done, and the message says why.",
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
        """\
Encode activations into the features of an SAE: the article's second step. Reads what 'saeprobe extract' writes, and
writes a list of dicts, one a topic, with 'topic', 'guru' and '<style>_features' [d_sae] in float32.

The SAE is a folder in SAELens' format, a .pt in Goodfire's format, or the name of a subject whose SAE is on this
machine. sae-lens loads it and encodes, in float32 or as that subject declares; on the subject's own device this gives
the features of its probes. .pt files are read as data only. Make sure that the activations were read where the SAE was
trained to read: neither file says it.""",
        """  saeprobe encode activations_layer50.pt --sae sparrow
  saeprobe encode activations_layer50.pt --sae Llama-3.3-70B-Instruct-SAE-l50.pt -o features_layer50.pt""",
        "0 written; 2 it could not be done, and the message says why.",
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
        """\
Compare two prompt styles feature by feature: the article's third step. Reads what 'saeprobe
encode' writes, and writes:

  summary                active features a prompt (mean); their strength, pooled over all active
                         values (avg_intensity, as published) and as the mean of prompts' means
  A_dominant_features    the up to 30 features whose firing rate leans most to style A
  A_only_features        the first 50 exclusive features: active on style A, never on the other
  A_separating_features  all features active on every prompt of style A, and never on the other

A feature is active above 0. Rates are compared as counts, exactly; of equal ones the smaller number
comes first. All are summaries: they say how these prompts differ, not how surely others would.""",
        """  saeprobe diff features_layer50.pt
  saeprobe diff features.pt --a guru --b standard -o guru_diff.json""",
        "0 written; 2 it could not be done, and the message says why.",
        (
            _argument("features", type=path, metavar="FEATURES", help="a features file (.pt)"),
            _argument("--a", default="novice", metavar="STYLE", help="the first style (default: novice)"),
            _argument("--b", default="expert", metavar="STYLE", help="the second style (default: expert)"),
            _file("-o", "--output", default="feature_diff.json", what="where to write"),
            _FORCE,
        ),
    ),
    "approve": Command(
        "saeprobe.cli.commands:run_approve",
        "accept what was measured of one claim as its baseline",
        """\
Accept the values that a run measured of one claim, with your name and the reason. They become its baseline: a later run
whose values have moved by more than noise is 'drifted', and says what changed in between. The approval is added to a
file of its own for each claim, to be committed; earlier ones are kept.

One claim at a time, on purpose: an approval is a judgement, and a file of judgements that nobody made is worth nothing.
Verdicts that say nothing (not run, broken, unverifiable) and runs of a tree with uncommitted changes are refused.""",
        """  pytest probes/
  saeprobe approve day1.novice-most --by "Ada L." --because "first whole run, figures as in table 1"
  saeprobe approve day1.novice-most --by "Ada L." --because "SAE retrained on more text, see log 12" --subject finch""",
        "0 approved; 2 it could not be, and the message says why.",
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
        "saeprobe.cli.commands:run_gate",
        "release an article, or hold it until its claims stand",
        """\
Release an article or hold it back. The article's front matter lists the claims it cites; the report says what a run of
the probes made of them. It is held as long as one cited claim does not stand.""",
        """  pytest probes/
  saeprobe gate articles/day1.md --report reports/report.json""",
        "0 release; 1 hold, with the claims that hold it; 2 the report cannot decide (a claim or file is not there).",
        (_argument("article", type=path, metavar="ARTICLE", help="a manuscript (.md) with front matter"), _REPORT),
    ),
    "completion": Command(
        "saeprobe.__main__:complete",
        "print what makes a shell complete commands, options and files",
        """\
Print a script that makes a shell complete the commands of saeprobe, their options and the names of files. Save it where
the shell looks for completions, then open a new shell.""",
        """  saeprobe completion bash > ~/.local/share/bash-completion/completions/saeprobe
  saeprobe completion zsh > ~/.zfunc/_saeprobe       (with 'fpath+=~/.zfunc' before compinit in ~/.zshrc)
  saeprobe completion tcsh >> ~/.cshrc""",
        "0 printed.",
        (_argument("shell", choices=("bash", "zsh", "tcsh"), help="whose completion"),),
    ),
}  # fmt: skip
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
    from saeprobe.gate import run_gate as decide

    code, text = decide(arguments.article, report_here(arguments))
    (sys.stderr if code == _CANNOT_DECIDE else sys.stdout).write(f"{visible_lines(text.rstrip())}\n")
    return code

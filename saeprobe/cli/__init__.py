"""The table of commands says what the command line knows before a command runs; `help` has the texts of their help.

Help and completion read both, so that nothing is imported at the top here that they have no use for; the commands that
need no module of their own stand here too.
"""

import os
import re
from collections.abc import Iterable, Mapping
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
        "saeprobe.cli:run_init",
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
        "saeprobe.cli.deciding:run_approve",
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
        "saeprobe.cli.deciding:run_gate",
        "release articles, or hold them until their claims stand",
        (
            _argument("articles", type=path, nargs="+", metavar="ARTICLE", help="a manuscript (.md), or a folder"),
            _argument("--json", action="store_true", help="print JSON for a machine instead of the text"),
            _REPORT,
        ),
    ),
    "report": Command(
        "saeprobe.cli.deciding:run_report",
        "unite the reports of several machines, or say what changed between two",
        (
            _argument("what", choices=("merge", "diff"), help="unite them, or compare the second with the first"),
            _argument("reports", type=path, nargs=2, metavar="REPORT", help="a report.json"),
            _argument("-o", "--output", type=path, metavar="FILE", help="where merge writes, with a page"),
            _FORCE,
        ),
    ),
    "completion": Command(
        "saeprobe.__main__:complete",
        "print what makes a shell complete commands, options and files",
        (_argument("shell", choices=("bash", "zsh", "tcsh"), help="whose completion"),),
    ),
}
"""What `saeprobe` can do, by the word that is typed."""


_FILES: Final = {
    "probes/test_first.py": "a claim: its sentence, its controls, its assert",
    "prompts/first.toml": "its prompts: styles, templates, topics",
    "articles/first.md": "an article that cites the claim",
    "pyproject.toml": "where the probes are, and how to declare your own model and SAE",
    ".gitignore": "what a run makes",
    ".github/workflows/probes.yml": "runs the probes and the gate on GitHub",
}
"""A new project gets one probe, its prompts, an article that cites it, and what runs them here and on GitHub."""


def run_init(arguments: "Namespace") -> int:
    """Write the files of a project that are not there yet, and name the commands that come next."""
    import shlex
    from importlib.util import find_spec
    from pathlib import Path

    from saeprobe.cli.terminal import facts, say

    folder = Path.cwd() / arguments.folder
    contents = {name: _template(name) for name in _FILES}
    _check(folder / name for name in _FILES)
    written = [name for name, content in contents.items() if _wrote(folder / name, content)]
    left = [name for name in _FILES if name not in written]
    lines = [f"written to {folder}:" if written else "nothing was written"]
    lines += [facts([(name, _FILES[name]) for name in written])] if written else []
    lines += [f"there already, and left as it was: {name}" for name in left]
    if "pyproject.toml" in left and (lacking := _lacking(folder / "pyproject.toml")):
        lines += ["", "to declare a model and an SAE of your own, add to pyproject.toml:", "", lacking]
    quote = shlex.quote if os.name == "posix" else '"{}"'.format
    models = [] if find_spec("torch") else ['pip install "saeprobe[models]"']
    enter = [] if folder.resolve() == Path.cwd() else [f"cd {quote(str(arguments.folder))}"]
    then = [*models, *enter, "pytest probes/", "saeprobe gate articles/first.md"]
    say("\n".join([*lines, *_surrounding(folder), "", "next:", *(f"  {line}" for line in then)]))
    return 0


def _template(name: str) -> bytes:
    """Return a file of the project; inside the package it ends in .txt, so that no tool obeys it there."""
    from pathlib import Path

    file = Path(__file__).with_name("project") / f"{name.rpartition('/')[2]}.txt"
    return file.read_text(encoding="utf-8").encode()


def _check(targets: "Iterable[Path]") -> None:
    """Refuse what stands in the way of a file, and a folder that cannot be written to, before anything is written."""
    from saeprobe.cli.terminal import RefusedError

    for target in targets:
        for above in target.parents:
            if os.path.lexists(above) and not above.is_dir():
                raise RefusedError(f"{above} is no folder, and the project needs one there; name another folder")
        if target.is_dir():
            raise RefusedError(f"{target} is a folder, and the project has a file of that name; name another folder")
        there = next(folder for folder in target.parents if folder.is_dir())
        if not os.path.lexists(target) and not os.access(there, os.W_OK | os.X_OK):
            raise RefusedError(f"{there} cannot be written to; name another folder, or allow yourself to write there")


def _wrote(target: "Path", content: bytes) -> bool:
    """Write a file where there is none of that name, not even a link that leads nowhere; say whether it was written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def _lacking(there: "Path") -> str:
    """Return the lines about subjects that a pyproject.toml of the user does not have; nothing where it has some."""
    from saeprobe.files import FileError, read_text

    try:
        has = "tool.saeprobe" in read_text(there)
    except (OSError, FileError):  # pytest will say what is wrong with it
        has = True
    return "" if has else _template("pyproject.toml").decode().partition("\n\n")[2].rstrip()


def _surrounding(folder: "Path") -> list[str]:
    """Say where pytest takes a folder above for the project, and where it collects these probes with others."""
    from saeprobe.cli.terminal import pytest_root
    from saeprobe.subject.registry import project_of

    folder, lines = folder.resolve(), list[str]()
    root = project_of(folder, pytest_root(folder))
    if root != folder:
        lines += ["", f"pytest takes {root} for the project and writes reports/ there; add to pyproject.toml:"]
        lines += ["", "[tool.pytest.ini_options]", 'testpaths = ["probes"]']
    outer = pytest_root(folder.parent)
    around = (above for above in folder.parents if outer in (above, *above.parents))
    if (tests := next((above for above in around if any(above.glob("test_*.py"))), None)) is not None:
        lines += ["", f"warning: {tests} holds tests of another project. pytest collects these probes with them, and"]
        lines += ["refuses two files of the name test_first.py: move the new project out of it, or rename the file"]
    return lines

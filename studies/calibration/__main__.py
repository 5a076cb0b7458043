"""`python -m studies.calibration [SUBJECT ...]` measures how often verdicts are wrong, on claims of known truth."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from saeprobe.cli.terminal import RefusedError, explain, progress, project_root

_DESCRIPTION: Final = """\
Take claims whose truth is known the whole way to a verdict and count how often the verdict is wrong: false and true
ones on the specimens that ship with the package, beside a naive t test, and on populations that are made up, beside the
best valid test. Writes calibration.md and calibration.json; the same seed gives the same files. What the models say is
read once and kept in the store; the claims then take half an hour, most of it for the made-up populations."""
_EPILOG: Final = """\
example:
  python -m studies.calibration sparrow --claims 20 --made 20 --out /tmp/quick

exit codes: 0 no word is wrong more often than it may be, by kind of claim and by population; 1 one is, with its whole
95 % interval; 2 it could not be done."""
CLAIMS: Final = 100
"""Each design gets so many claims on each subject."""
MADE: Final = 1000
"""Each made-up population gets so many."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study from the command line and return its exit code.

    Args:
        argv: the words after `python -m studies.calibration`; None takes them from the process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m studies.calibration",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    both = ["sparrow", "finch"]
    add("subjects", nargs="*", default=both, metavar="SUBJECT", help="subjects drawn from (default: sparrow finch)")
    add("--out", type=Path, default=Path("docs"), metavar="DIR", help="folder of the files (default: docs)")
    add("--seed", type=int, default=0, metavar="N", help="seed of every draw (default: 0)")
    each = f"claims of each design on each subject (default: {CLAIMS})"
    add("--claims", type=int, default=CLAIMS, metavar="N", help=each)
    of_made = f"claims on each made-up population, 0 for none (default: {MADE})"
    add("--made", type=int, default=MADE, metavar="N", help=of_made)
    add("--alpha", type=float, default=0.05, metavar="P", help="level of every verdict (default: 0.05)")
    add("--store", type=Path, metavar="DIR", help="folder where readings are kept (default: .saeprobe/store)")
    try:
        return _run(parser.parse_args(argv))
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        parser.error(message)


def _run(arguments: argparse.Namespace) -> int:
    """Run the study, write its files, and say how it came out."""
    alpha = arguments.alpha
    for name, given, fits, wanted in (
        ("claims", arguments.claims, arguments.claims >= 1, "at least 1 of each design"),
        ("made", arguments.made, arguments.made >= 0, "a number from 0 up"),
        ("alpha", f"{alpha:g}", 0 < alpha < 1, "a number between 0 and 1, such as 0.05"),
        ("seed", arguments.seed, arguments.seed >= 0, "a number from 0 up"),
    ):
        if not fits:
            raise RefusedError(f"--{name} is {given}; wanted {wanted}")
    from saeprobe.store import Store
    from saeprobe.subject.registry import find_subject
    from studies.calibration.claim import Terms
    from studies.calibration.page import page, percent
    from studies.calibration.results import beyond, total, write
    from studies.calibration.study import number_of_claims, run_study

    root = project_root()
    subjects = [find_subject(name, root) for name in dict.fromkeys(arguments.subjects)]
    for subject in subjects:
        missing = subject.missing()
        if missing is not None:
            raise RefusedError(f"{subject.name} cannot be drawn from: {missing}")
    terms = Terms(alpha=arguments.alpha, seed=arguments.seed)
    store = Store(arguments.store or root / ".saeprobe" / "store")
    claims, made = arguments.claims, arguments.made
    count = number_of_claims(claims, subjects=len(subjects), made=made)
    with progress("claims", total=count, unit="claims") as bar:
        study = run_study(subjects, store, claims=claims, made=made, terms=terms, progress=lambda: bar.update(1))
    written = write(study, page(study), arguments.out)
    false, true, too_often = total(study.rows, "false"), total(study.rows, "true"), beyond(study)
    sys.stdout.write(
        f"{false.claims:,} false claims: {percent(false.confirmed)} confirmed at alpha = {terms.alpha:g}, "
        f"{percent(false.naive)} by the naive arm\n"
        f"{true.claims:,} true claims: {percent(true.confirmed)} confirmed, {percent(true.refuted)} refuted\n"
    )
    wrong = [one for one in study.made if one.beyond(terms.alpha) and not one.cell.limit]
    for one in wrong:
        sys.stdout.write(f"beyond what is allowed: {one.cell.name}: {', '.join(map(percent, one.errors))} wrong\n")
    for line in too_often:
        shares = f"{percent(line.confirmed)} confirmed, {percent(line.refuted)} refuted"
        sys.stdout.write(f"beyond what is allowed: {line.kind}, {line.how}: {shares}\n")
    sys.stdout.write(f"written to {', '.join(str(path) for path in written)}\n")
    return 1 if too_often or wrong else 0


if __name__ == "__main__":
    sys.exit(main())

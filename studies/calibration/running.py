"""Running the study: the populations of each subject, all designs on them, and what it was made with."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

from saeprobe import __version__
from saeprobe.captures import Capture
from saeprobe.store.store import Store
from saeprobe.subject.local import Subject
from studies.calibration.arms import Terms
from studies.calibration.designs import FALSE, TRUE
from studies.calibration.files import Study
from studies.calibration.populations import gathered
from studies.calibration.study import Row, rows

COMPUTE = ("numpy", "scipy", "torch", "transformers", "transformer-lens", "sae-lens")
"""The libraries whose versions a study is told with."""


def number_of_claims(claims: int) -> int:
    """How many claims a subject gets."""
    return claims * sum(design.times for design in (*FALSE, *TRUE))


def run_study(
    subjects: Sequence[Subject],
    store: Store,
    *,
    claims: int,
    terms: Terms,
    wanted: Mapping[str, Capture] | None = None,
    told: Callable[[], object] | None = None,
) -> Study:
    """Read what is not stored, then draw and judge `claims` claims of each design on each subject.

    Args:
        subjects: to draw from; their weights are here.
        store: of readings.
        claims: of each design, a subject; several times as many of some.
        terms: under which all are judged.
        wanted: what to read of each, by population; None for all that a study reads.
        told: called after each claim.
    """
    found: list[Row] = []
    for subject in subjects:
        populations = gathered(subject, store, wanted=wanted)
        for row in rows(populations, (*FALSE, *TRUE), subject=subject.name, claims=claims, terms=terms):
            found.append(row)
            if told is not None:
                told()
    names = " ".join(subject.name for subject in subjects)
    return Study(
        rows=tuple(found),
        terms=terms,
        command=f"saeprobe calibrate {names} --claims {claims} --seed {terms.seed} --alpha {terms.alpha:g}",
        fingerprints={subject.name: subject.identity().fingerprint for subject in subjects},
        versions={
            "saeprobe": __version__,
            "Python": platform.python_version(),
            **{name: version(name) for name in COMPUTE},
        },
    )

"""Approved: the baselines of a run, read once, and what this run is made with."""

from __future__ import annotations

import platform
from functools import cache, cached_property

from saeprobe.marks import members
from saeprobe.plugin.laboratory import Laboratory
from saeprobe.plugin.options import Settings
from saeprobe.plugin.provenance import commit_of, versions
from saeprobe.report.shape import SubjectJson
from saeprobe.verdicts.baseline import Baseline, Provenance, identity_of
from saeprobe.verdicts.baseline_files import read_baselines


class Approved:
    """The baselines of a run; each process of an xdist run reads the same files.

    Raises:
        BaselineError: a file cannot be used.
    """

    def __init__(self, settings: Settings, laboratory: Laboratory) -> None:
        self._settings = settings
        self._laboratory = laboratory
        self._baselines = read_baselines(settings.baselines)
        self._described = cache(self._describe)

    def of(self, claim: str, subject: str) -> Baseline | None:
        """The newest approval of a claim on a subject; None where there is none."""
        approvals = self._baselines.get((claim, subject))
        return None if approvals is None else approvals[-1]

    def now(self, subject: str) -> Provenance:
        """What values on a subject, or on several joined by a plus sign, are measured with in this run."""
        commit, dirty = self._commit
        settings = self._settings
        return Provenance(
            subjects={name: identity_of(self._described(name)) for name in members(subject)},
            versions=self._versions,
            python=platform.python_version(),
            platform=platform.platform(),
            device=next((each.device for each in self._laboratory.gathered if each.device), None),
            evidence=None if settings.evidence is None else settings.evidence.name,
            commit=commit,
            dirty=dirty,
            alpha=settings.alpha,
            seed=settings.seed,
        )

    def _describe(self, name: str) -> SubjectJson:
        return self._laboratory.described(name, None)

    @cached_property
    def _commit(self) -> tuple[str | None, bool | None]:
        return commit_of(self._settings.rootdir)

    @cached_property
    def _versions(self) -> dict[str, str]:
        return versions()

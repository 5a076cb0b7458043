"""The policy says what a report must be before an article may appear by it; its defaults are strict."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from itertools import combinations
from pathlib import Path
from typing import Final, Literal, cast

import msgspec

from saeprobe.claims import Control, did_you_mean, members
from saeprobe.evidence.units import fixed_wordings
from saeprobe.files import UnusableError, parsed_toml, quoted, read_text
from saeprobe.git import SETTINGS, absent, digest_of, named, uncommitted, where_it_stands
from saeprobe.report.shape import Claim, Document, Probe, Run
from saeprobe.report.sources import Sources
from saeprobe.subject.specification import SubjectError

TABLE: Final = "[tool.saeprobe.gate]"
COMMIT_SHOWN: Final = 12
_DAY: Final = 86_400.0  # seconds
_ENDED: Final = {2: "it was interrupted", 3: "pytest itself failed", 4: "it was called wrongly", 5: "it ran no test"}

Doubt = tuple[str, str]
"""What stands against a release by a report, and what to do about it."""
Doubts = Callable[[Document, Claim, Probe], Iterable[Doubt]]


class PolicyError(UnusableError):
    """The policy cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A policy is the table `[tool.saeprobe.gate]` of pyproject.toml."""

    alpha: float = 0.05
    """The run's alpha may not be larger."""
    age_days: float = 30.0
    commit: Literal["same", "unrelated"] = "same"
    """The run was at this commit, or at another one since which no file that it read has changed."""
    controls: Literal["some", "none"] | tuple[Control, ...] = "some"
    """What a claim declares of the controls that its sentence could take: one at least, none, or each of these."""
    scope: Literal["wordings", "any"] = "wordings"
    """A sentence that could be decided over wordings is, or it may be of the wordings as they stand."""
    tolerance: float = 0.5
    """A stated tolerance is at most this share of a printed number, and of its distance to the next one."""


def policy_of(root: Path) -> Policy:
    """Read the policy of the project in a folder.

    Raises:
        PolicyError: pyproject.toml cannot be read, a key of the table is unknown or has a value that it cannot have.
    """
    path = root / SETTINGS
    if not path.exists():
        return Policy()
    held = parsed_toml(read_text(path), path)
    for name in ("tool", "saeprobe", "gate"):
        inner = held.get(name, {})
        if not isinstance(inner, dict):
            raise PolicyError(f"[{name}] is no table", f"wanted {TABLE}", path=path)
        held = cast("dict[str, object]", inner)
    known = [one.name for one in fields(Policy)]
    for key in held:
        if key not in known:
            near = did_you_mean(key, known)
            raise PolicyError(f"{TABLE} has the key {key!r}{near}", f"wanted: {', '.join(known)}", path=path)
    try:
        found = msgspec.convert(held, Policy, str_keys=False)
    except msgspec.ValidationError as error:
        remedy = "see README, Releasing an article, for what each key takes"
        raise PolicyError(f"{TABLE} cannot be used: {quoted(error)}", remedy, path=path) from None
    if not (0 < found.alpha < 1 and found.age_days > 0 and found.tolerance > 0):
        raise PolicyError(f"{TABLE} has a number that cannot be", "alpha lies between 0 and 1, all above 0", path=path)
    return found


@dataclass(frozen=True, kw_only=True)
class Here:
    """The project as it is now: its folder, its policy and the time; what is asked of its files is kept."""

    root: Path
    policy: Policy = field(default_factory=Policy)
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(tz=dt.UTC))
    _changed: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict[str, "tuple[list[str], list[str]]"])

    @cached_property
    def _commit(self) -> str | None:
        return where_it_stands(self.root)[0]

    @cached_property
    def _sources(self) -> Sources:
        return Sources([self.root], self._absent)

    @cached_property
    def _absent(self) -> dict[Path, bytes]:
        return {self.root.resolve() / name: content for name, content in absent(self.root).items()}

    def age(self, run: Run) -> float:
        """Return how many days ago a run ended."""
        return (self.now - dt.datetime.fromisoformat(run.ended)).total_seconds() / _DAY

    def doubts(self, document: Document, claim: Claim, probe: Probe) -> Iterator[Doubt]:
        """Say what of a probe, and of the run that decided it, the policy does not allow."""
        run = document.runs[probe.run]
        yield from self._of_run(run)
        yield from self._of_files(run)
        yield from self._of_sources(document, claim)
        yield from self._of_specimens(document, probe)
        yield from self._of_claim(document, claim, probe)

    def _of_run(self, run: Run) -> Iterator[Doubt]:
        policy, age = self.policy, self.age(run)
        if run.exit_code not in (0, 1):
            ended = _ENDED.get(run.exit_code, "it did not come to its end")
            yield f"that run ended with the exit code {run.exit_code}: {ended}", "run the probes again"
        if run.alpha > policy.alpha:
            found = f"that run decided at alpha = {run.alpha:g}, and the policy allows {policy.alpha:g}"
            yield found, f"run again with saeprobe_alpha = {policy.alpha:g}, or change alpha in {TABLE}"
        if age > policy.age_days:
            found = f"that run is {age:.0f} days old, and the policy allows {policy.age_days:g}"
            yield found, f"run the probes again, or change age_days in {TABLE}"
        if age < -1:
            yield f"that run ended on {run.ended}, which is yet to come", "set the clock, and run the probes again"

    def _of_files(self, run: Run) -> Iterator[Doubt]:
        """Hold the commit and the files of a run against those that are here now."""
        commit, again = self._commit, "run the probes again"
        if (commit is None) != (run.commit is None):
            there, here = ("in", "not") if run.commit else ("outside", "in one")
            yield f"that run was made {there} a git repository, and this is {here}", f"{again} where the article is"
        elif run.commit != commit and self.policy.commit == "same":
            both = f"at commit {str(run.commit)[:COMMIT_SHOWN]}, and this is {str(commit)[:COMMIT_SHOWN]}"
            remedy = f'{again}, or let commits pass that change nothing which it read: commit = "unrelated" in {TABLE}'
            yield f"that run was made {both}", remedy
        elif commit is None and any((folder / ".git").exists() for folder in (self.root, *self.root.parents)):
            remedy = f"commit, see that 'git log' shows it here, and {again}"
            yield "the repository here has no commit that git shows", remedy
        if not run.files:
            yield "the report does not say which files that run read", again
        changed, missing = self._held(run)
        if changed:
            yield f"changed since that run: {named(changed)}", f"{again}, or bring back what it read"
        if missing:
            yield f"not in the commit as that run read it: {named(missing)}", f"commit it, and {again}"

    def _held(self, run: Run) -> tuple[list[str], list[str]]:
        """Name the files of a run that are others now, and those of the rest that the commit does not hold."""
        key = repr(run.files)
        if key not in self._changed:
            changed = [name for name, digest in run.files.items() if digest_of(self.root, name) != digest]
            same = [name for name in run.files if name not in changed]
            self._changed[key] = changed, [] if self._commit is None else uncommitted(self.root, same)
        return self._changed[key]

    def _of_sources(self, document: Document, claim: Claim) -> Iterator[Doubt]:
        """Say which functions make the claim here that no run of the report knew of, as one added or hidden since."""
        unchanged = {name for run in document.runs for name in {*run.files}.difference(self._held(run)[0])}
        known = {(self.root / name).resolve() for name in unchanged}
        met = {probe.nodeid.partition("[")[0] for one in document.claims for probe in one.probes}
        met |= {one.where.partition("[")[0] for one in document.left_out}
        on = {name for one in document.claims for probe in one.probes for name in members(probe.subject)}
        ids = {claim.id}
        if any(not probe.nodeid.endswith(f"[{probe.subject}]") for probe in claim.probes):  # a case of a probe
            parts = claim.id.split(".")
            ids |= {".".join(parts[:end]) for end in range(1, len(parts))}
        new = [one for one in self._sources.functions(ids) if one.claim in ids and one.file not in known]
        new = [one for one in new if not one.subjects or any(on.issuperset(members(each)) for each in one.subjects)]
        unread = {where: one for one in new if (where := one.where(self.root)) not in met}
        if gone := [where for where, one in unread.items() if one.file in self._absent]:
            remedy = "bring it back, or commit that it is gone; then run the probes again"
            yield f"the commit has {named(gone)}, which makes the claim and is not here", remedy
        elif unread:
            yield f"that run knew nothing of {named([*unread])}, which makes the claim", "run the probes again"

    def _of_specimens(self, document: Document, probe: Probe) -> Iterator[Doubt]:
        """Hold the specimens that were read against those that are installed here; other weights may be elsewhere."""
        for one in document.subjects:
            if one.name in members(probe.subject) and _hashes(one.name, self.root) not in (
                None,
                (one.model_hash, one.sae_hash),
            ):
                yield f"{one.name} is another specimen here than that run read", "run the probes again"

    def _of_claim(self, document: Document, claim: Claim, probe: Probe) -> Iterator[Doubt]:
        policy = self.policy
        wanted = () if isinstance(policy.controls, str) else policy.controls
        lacking = [name for name in wanted if name in probe.takes and name not in claim.controls]
        if policy.controls == "some" and probe.takes and not claim.controls:
            found = f"the claim declares no control, and its sentence could take {', '.join(probe.takes)}"
            yield found, f"declare controls=(...) and run again, or change controls in {TABLE}"
        elif lacking:
            found = f"the claim does not declare the control {', '.join(lacking)}"
            yield found, f"declare it in controls=(...) and run again, or change controls in {TABLE}"
        if policy.scope == "wordings" and claim.over == ("topics",) and _several_wordings(document, probe):
            found = f"the claim is stated over topics alone ({fixed_wordings(probe.scope)}), and has several wordings"
            yield found, f'leave over=("topics",) out and run again, or change scope in {TABLE}'
        for label, tolerance, most in _wide(probe, policy.tolerance):
            found = f"the claim states a tolerance of {tolerance:g} for {label}, and the policy allows {most:.3g}"
            yield found, f"state a smaller one, or none, and run again; or change tolerance in {TABLE}"
        if turned := [one for one in probe.before if one.verdict != probe.verdict]:
            words = ", then ".join([*(one.verdict for one in turned), probe.verdict])
            yield f"the probe was run again until it came out so: {words} ({turned[0].reason})", "run it without reruns"


@cache
def _hashes(name: str, root: Path) -> tuple[str | None, str | None] | None:
    """Return the hashes of a specimen's model and SAE; None for another subject."""
    from saeprobe.subject.registry import find_subject  # an article on records does without

    try:
        found = find_subject(name, root)
        made = found.identity() if found.spec.specimen else None
    except SubjectError:
        return None
    return None if made is None else (made.model_hash, made.sae_hash)


def _several_wordings(document: Document, probe: Probe) -> bool:
    """Say whether every side that was measured was read under two templates at least."""
    templates, rows = document.prompts.template, list(probe.evidence)
    for row in rows:  # it grows by the parts
        rows += document.evidence[row].parts
    sides = [document.samples[one].prompts for row in rows for one in document.evidence[row].samples]
    counts = [len({templates[prompt] for prompt in prompts}) for prompts in sides if prompts]
    return min(counts, default=1) > 1


def _wide(probe: Probe, share: float) -> Iterator[tuple[str, float, float]]:
    """Yield the printed numbers whose stated tolerance is too wide: label, tolerance, and what would do."""
    apart: dict[str, list[float]] = {row.label: [abs(row.value)] for row in probe.published}
    for one, other in combinations(probe.published, 2):
        if one.unit == other.unit:
            for row in (one, other):
                apart[row.label].append(abs(one.value - other.value))
    for row in probe.published:
        most = share * min(filter(None, apart[row.label]), default=float("inf"))
        if row.rounding is None and row.tolerance is not None and row.tolerance > most * (1 + 1e-9):
            yield row.label, row.tolerance, most


def declared(claim: Claim, probe: Probe) -> str:
    """Say which controls a claim declares, and which others its sentence could take."""
    others = [name for name in probe.takes if name not in claim.controls]
    said = f"controls: {', '.join(claim.controls) or 'none'}"
    return f"{said}; not declared: {', '.join(others)}" if others else said

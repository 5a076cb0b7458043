"""A baseline is what a person approved; its file, `<claim-id>.json`, is made to be committed and read in a diff.

By subject a file holds every approval of its claim in order, the newest last: what was accepted before is never lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from saeprobe.claims import Word
from saeprobe.files import FileError, UnusableError, load_json, shortened

IDENTITY: Final = ("model", "model_hash", "sae", "sae_hash", "hook_name", "dtype", "protocol", "fingerprint")
"""A baseline keeps these fields of each subject, by the names that a report gives them."""

KIND: Final = "saeprobe baseline 1"  # each file says this; one that says otherwise is not read
DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_HASH_SHOWN: Final = 8
_COMMIT_SHOWN: Final = 12
Json = dict[str, Any]
Fields = Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class Value:
    """A value is one measured mean, in `unit`, and what a later one is held against."""

    label: str  # of which prompts, the style as a rule
    measure: str
    unit: str  # of all numbers here
    mean: float  # over the prompts
    n: int | None = None  # prompts; None where a record does not say
    interval: tuple[float, float] | None = None  # of the mean over units of replication; None where none could be given
    near_moves: float | None = None  # the most by which rounding moves it, where features lie near their threshold
    units: str = ""  # what `unit_means` are of: templates, topics, or nothing where only a summary was recorded
    unit_means: Mapping[str, float] = field(default_factory=dict[str, float])  # by the template's wording or the topic
    prompts: str = ""  # SHA-256 over the texts in order, its first 16 hex digits; empty for a summary

    @property
    def name(self) -> str:
        """Name it as `l0 of novice`."""
        return f"{self.measure} of {self.label}"

    @property
    def key(self) -> tuple[str, str, str]:
        """Label, measure and unit, which no other value of the claim shares."""
        return self.label, self.measure, self.unit

    @property
    def reach(self) -> float:
        """Return how far the farther end of the interval lies from the mean; 0 without an interval."""
        return 0.0 if self.interval is None else max(abs(end - self.mean) for end in self.interval)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """A provenance says what values were measured with; what is not known is None and never counts as changed.

    `subjects` holds the fields of `IDENTITY` by subject, several for a claim on several; `evidence` is the name of the
    folder of recorded files that stood in for the models. `alpha` and `seed` are those of the tests.
    """

    subjects: Mapping[str, Fields] = field(default_factory=dict[str, Fields])
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    python: str | None = None
    platform: str | None = None
    device: str | None = None
    evidence: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    generated: str | None = None
    alpha: float = 0.05
    seed: int = 0


def identity_of(described: Mapping[str, object]) -> dict[str, str | None]:
    """Return what a baseline keeps of a subject as a report describes it."""
    kept = {name: described.get(name) for name in IDENTITY}
    return {name: value if isinstance(value, str) else None for name, value in kept.items()}


def changes(before: Provenance, now: Provenance) -> tuple[str, ...]:
    """Say what differs, the likeliest causes first: `SAE (hash 12ab34cd -> 56ef7890)`, `transformers 5.23.0 -> 5.24.1`.

    What is unknown on one of the two sides is passed over.
    """
    several = len(before.subjects) > 1
    pairs = [(name, fields, now.subjects.get(name, {})) for name, fields in before.subjects.items()]
    found = [f"{what} of {name}" if several else what for name, old, new in pairs for what in _parts(old, new)]
    found += [
        f"{name} {version} -> {now.versions[name]}"
        for name, version in sorted(before.versions.items())
        if now.versions.get(name, version) != version
    ]
    if not found:  # a fingerprint is made of the others, and of what no other field holds
        for name, *both in pairs:
            moved = _changed("fingerprint", *(_hash(fields.get("fingerprint")) for fields in both))
            found += [f"{what} of {name}" if several else what for what in moved]
    for word, old, new in (
        ("Python", before.python, now.python),
        ("platform", before.platform, now.platform),
        ("device", before.device, now.device),
        ("recorded evidence", before.evidence, now.evidence),
        ("commit", *(made.commit and made.commit[:_COMMIT_SHOWN] for made in (before, now))),
    ):
        found += _changed(word, old, new)
    return (*found, "changes that are not committed") if now.dirty else tuple(found)


def _parts(before: Fields, now: Fields) -> list[str]:
    found: list[str] = []
    for word, key in (("model", "model"), ("SAE", "sae")):
        old, new = (_hash(fields.get(f"{key}_hash")) for fields in (before, now))
        named = _changed(word, before.get(key), now.get(key))
        if old is None or new is None:
            found += named
        elif old != new:  # of the same content the name says nothing: it may be where the files lie
            found.append(f"{named[0] if named else word} (hash {old} -> {new})")
    for word, key in (("hook", "hook_name"), ("dtype", "dtype"), ("protocol", "protocol")):
        found += _changed(word, before.get(key), now.get(key))
    return found


def _changed(word: str, old: str | None, new: str | None) -> list[str]:
    return [] if old is None or new is None or old == new else [f"{word} {old} -> {new}"]


def _hash(text: str | None) -> str | None:
    return None if text is None else text.rpartition(":")[2][:_HASH_SHOWN]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A baseline is what a person approved of one claim on one subject on a day (ISO 8601), with its verdict then."""

    claim: str
    subject: str
    sentence: str
    approved_by: str
    because: str
    on: str
    verdict: Word
    values: tuple[Value, ...]
    measured_with: Provenance


Baselines = Mapping[tuple[str, str], tuple[Baseline, ...]]  # the approvals by claim and subject, the newest last


class BaselineError(UnusableError):
    """A baseline file cannot be used."""


def read_baselines(folder: Path) -> Baselines:
    """Return every approval in a folder; none where there is no folder.

    A BaselineError says that a file is not one of these, or is damaged; it names file, place and remedy.
    """
    found: dict[tuple[str, str], tuple[Baseline, ...]] = {}
    for path in sorted(folder.glob("*.json")):
        found |= read_file(path)
    return found


def read_file(path: Path) -> Baselines:
    """Return the approvals in one file, which belong to the claim that names it; raises as `read_baselines`."""
    try:
        return _of_claim(_table(load_json(path, halves=True), "it"), path.name.removesuffix(".json"))
    except FileNotFoundError:
        raise BaselineError("there is no such file", "name the claim as its file is named", path=path) from None
    except (FileError, _WrongError) as error:
        problem = error.problem if isinstance(error, FileError) else str(error)
        remedy = 'restore it with "git checkout", or delete it and approve the claim again'
        raise BaselineError(problem, remedy, path=path) from None


def text_of(approvals: Baselines) -> str:
    """Return the file of one claim: keys sorted, a line each, and a line break at the end."""
    (claim,) = {claim for claim, _ in approvals}
    subjects: Json = {subject: [asdict(one) for one in every] for (_, subject), every in approvals.items()}
    for one in chain(*subjects.values()):
        del one["claim"], one["subject"]  # said once, above
    whole = {"kind": KIND, "claim": claim, "subjects": subjects}
    return json.dumps(whole, allow_nan=False, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


class _WrongError(Exception):
    """This says what is wrong and where in the file."""


def _of_claim(held: Json, claim: str) -> Baselines:
    if held.get("kind") != KIND:
        raise _WrongError(f"its kind is {shortened(held.get('kind'))}; wanted {KIND!r}")
    if held.get("claim") != claim:
        raise _WrongError(f"it holds the claim {shortened(held.get('claim'))}, and its name says {claim!r}")
    found: dict[tuple[str, str], tuple[Baseline, ...]] = {}
    for subject, approvals in _table(held.get("subjects"), "subjects").items():
        if not isinstance(approvals, list):
            raise _WrongError(f"subjects.{subject} is {shortened(approvals)}; wanted a list")
        if not approvals:
            raise _WrongError(f"subjects.{subject} lists no approval")
        found[claim, subject] = tuple(
            _baseline(_table(one, f"{subject}[{index}]"), claim, subject, f"{subject}[{index}]")
            for index, one in enumerate(cast("list[object]", approvals))
        )
    return found


def _baseline(held: Json, claim: str, subject: str, where: str) -> Baseline:
    held = held | {"claim": claim, "subject": subject}
    _complete(held, Baseline, where)
    _complete(_table(held["measured_with"], f"{where}.measured_with"), Provenance, f"{where}.measured_with")
    values = cast("list[object]", held["values"] if isinstance(held["values"], list) else [])
    for index, value in enumerate(values):
        _complete(_table(value, f"{where}.values[{index}]"), Value, f"{where}.values[{index}]")
    try:
        one = msgspec.convert(held, Baseline)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        raise _WrongError(f"{where}{place.removesuffix('`')}: {what[0].lower()}{what[1:]}") from None
    if not DAY.fullmatch(one.on):
        raise _WrongError(f"{where}.on is {one.on!r}; wanted a day such as 2026-11-22")
    if not one.values:
        raise _WrongError(f"{where}.values lists no value")
    made = one.measured_with
    subjects = {name: identity_of(described) for name, described in made.subjects.items()}
    return replace(one, measured_with=replace(made, subjects=subjects))


def _complete(held: Json, kind: type[Baseline | Provenance | Value], where: str) -> None:
    """Raise where a field has no value that may not be unknown."""
    for one in fields(kind):
        if held.get(one.name) is None and "None" not in str(one.type):
            raise _WrongError(f"{where}.{one.name} is absent")


def _table(value: object, where: str) -> Json:
    if not isinstance(value, dict):
        raise _WrongError(f"{where} is {shortened(value)}; wanted a table")
    return cast("Json", value)

"""A report is put together from the records of its probes, written whole, and read with errors that say what to do."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import re
import shlex
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import msgspec

from saeprobe import evidence as measured
from saeprobe.claims import RULES, WORDS, Claim, Published, Verdict
from saeprobe.evidence.controls import could_take
from saeprobe.evidence.printed import PublishedComparison
from saeprobe.files import HIDDEN, FileError, UnusableError, load_json, quoted, shortened, write_whole
from saeprobe.git import REPORTS, leave_out
from saeprobe.report import shape
from saeprobe.report.shape import Document
from saeprobe.statistics.planning import many_claims
from saeprobe.verdicts.baseline import BaselineComparison

_MOST_BYTES: Final = 1_000_000_000
_LOOKED_INTO: Final = re.compile(r'^$|["$`!]|\\{2}|\\$')
AGAIN: Final = "run the probes again to write a new one"
T = TypeVar("T", shape.Prompts, shape.UnitValues, shape.Patterns, shape.Continuations)
ProbeRecord = dict[str, Any]  # a `shape.Record` in plain types, fit to cross from an xdist worker to its controller


class ReportError(UnusableError):
    """A report cannot be written or read."""


def command_line(words: Iterable[str]) -> str:
    """Write a command as bash, PowerShell and cmd.exe take it alike: in double quotes, unless one looks into them.

    >>> command_line(["pytest", "a.py::b[c]", "-m", "gpt2 or sparrow"])
    'pytest "a.py::b[c]" -m "gpt2 or sparrow"'
    """
    both = ((word, shlex.quote(word)) for word in words)
    return " ".join(one if one == word or _LOOKED_INTO.search(word) else f'"{word}"' for word, one in both)


def plain(value: object, where: str) -> Any:
    """Turn dataclasses, tuples and numpy's numbers into JSON's own types.

    Raises:
        ValueError: a number is NaN or infinite; JSON has no such number. The message names its place below `where`.
        TypeError: a value of a type that JSON has not.
    """
    made: object = msgspec.to_builtins(value, enc_hook=_of_numpy)
    if (place := _not_finite(made)) is not None:
        remedy = "Give None where there is no honest number, or let the probe fail"
        raise ValueError(f"{where}{place}; a report holds finite numbers only. {remedy}")
    return made


def _of_numpy(value: object) -> object:
    import numpy as np

    if isinstance(value, np.generic | np.ndarray):
        return cast("object", value.tolist())
    raise TypeError(f"a {type(value).__name__} cannot stand in a report, which holds strings, numbers, lists, tables")


def _not_finite(value: object) -> str | None:
    """Find the first number that is not finite: `.samples[0].values[1] is nan`."""
    if isinstance(value, float):
        return None if math.isfinite(value) else f" is {value}"
    inner: list[tuple[str, object]] = []
    if isinstance(value, dict):
        inner = [(f".{name}", item) for name, item in cast("dict[str, object]", value).items()]
    elif isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
        kinds = set(map(type, items))
        if kinds <= {int, str} or (kinds == {float} and all(map(math.isfinite, cast("Sequence[float]", items)))):
            return None  # most of a report
        inner = [(f"[{row}]", item) for row, item in enumerate(items)]
    return next((f"{name}{found}" for name, item in inner if (found := _not_finite(item)) is not None), None)


def _columns(kind: type[T], rows: Iterable[tuple[object, ...]]) -> T:
    """Make a table of the shape from its rows."""
    names = [one.name for one in fields(kind)]
    columns = zip(*rows, strict=True)
    held: dict[str, Any] = dict.fromkeys(names, ()) | dict(zip(names, columns, strict=False))  # no rows, no columns
    return kind(**held)


def _units(values: Iterable[measured.UnitValue]) -> shape.UnitValues:
    return _columns(shape.UnitValues, ((unit.side, unit.unit, unit.value) for unit in values))


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Tables hold rows without repetition, numbered in order of first appearance."""

    prompts: dict[tuple[str, str, str, str], int] = field(default_factory=dict[tuple[str, str, str, str], int])
    samples: dict[shape.Sample, int] = field(default_factory=dict[shape.Sample, int])
    evidence: dict[shape.Evidence, int] = field(default_factory=dict[shape.Evidence, int])

    @property
    def columns(self) -> shape.Prompts:
        """Give the table of prompts as a report holds it."""
        return _columns(shape.Prompts, self.prompts)

    def add_evidence(self, piece: measured.Evidence) -> int:
        """Give the row of a piece of evidence, behind the rows of its parts."""
        held: dict[str, Any] = vars(piece) | {
            "samples": tuple(map(self.add_sample, piece.samples)),
            "parts": tuple(map(self.add_evidence, piece.parts)),
            "controls": tuple(map(self._control, piece.controls)),
            "unit_values": _units(piece.unit_values),
            "patterns": _columns(shape.Patterns, piece.patterns),
            "continuations": _columns(shape.Continuations, piece.continuations),
        }
        return self.evidence.setdefault(shape.Evidence(**held), len(self.evidence))

    def _control(self, one: measured.ControlResult) -> shape.Control:
        row = None if one.evidence is None else self.add_evidence(one.evidence)
        numbers, units = tuple(one.numbers.items()), _units(one.unit_values)
        held: dict[str, Any] = vars(one) | {"evidence": row, "numbers": numbers, "unit_values": units}
        return shape.Control(**held)

    def add_sample(self, sample: measured.Sample) -> int:
        """Give the row of a sample."""
        rows = ((one.text, one.style, one.topic, one.template) for one in sample.prompts)
        numbers = tuple(self.prompts.setdefault(row, len(self.prompts)) for row in rows)
        held: dict[str, Any] = vars(sample) | {"prompts": numbers}
        del held["run"], held["spreads"], held["rarefied"]  # the scope of the verdict, and the tolerance, say them
        return self.samples.setdefault(shape.Sample(**held), len(self.samples))

    def take(self, held: shape.Record | Document, rows: Iterable[int]) -> tuple[int, ...]:
        """Take over rows of evidence, and what they name, from the tables of a record or of another report."""
        table = held.table if isinstance(held, shape.Record) else held.evidence
        texts = held.prompts
        asked = zip(texts.text, texts.style, texts.topic, texts.template, strict=True)
        prompts, samples, taken = list(asked), dict[int, int](), dict[int, int]()

        def sample(row: int) -> int:
            if row not in samples:
                one = held.samples[row]
                numbers = (self.prompts.setdefault(prompts[it], len(self.prompts)) for it in one.prompts)
                samples[row] = self.samples.setdefault(replace(one, prompts=tuple(numbers)), len(self.samples))
            return samples[row]

        def evidence(row: int) -> int:
            if row not in taken:
                piece = table[row]
                moved: dict[str, Any] = {"samples": tuple(map(sample, piece.samples))}
                moved["parts"] = tuple(map(evidence, piece.parts))
                moved["controls"] = tuple(
                    replace(one, evidence=None if one.evidence is None else evidence(one.evidence))
                    for one in piece.controls
                )
                taken[row] = self.evidence.setdefault(replace(piece, **moved), len(self.evidence))
            return taken[row]

        return tuple(map(evidence, rows))


def _baseline_of(compared: BaselineComparison) -> shape.Baseline:
    approved = compared.baseline
    held = {name: vars(approved)[name] for name in ("approved_by", "because", "on", "verdict")}
    return shape.Baseline(**held, commit=approved.measured_with.commit, rows=compared.rows, changed=compared.changed)


def _published_of(
    claim: Claim, stated: Published | None, compared: Sequence[PublishedComparison]
) -> Iterator[shape.Published]:
    """List the numbers that were compared, then those of the claim that nothing measured answers for."""
    n, source = (None, claim.source) if stated is None else (stated.n, stated.source or claim.source)
    for row in compared:
        yield shape.Published(**vars(row), n=n, source=source)
    if stated is None:
        return
    said: dict[str, Any] = dict.fromkeys(("measured", "answer", "rounding", "sampling", "reach", "tolerance_from"))
    said |= {"unit": stated.unit, "n": n, "tolerance": stated.tolerance, "source": source}
    said |= {} if stated.tolerance is None else {"tolerance_from": "set by the claim"}
    here = {row.label for row in compared}
    yield from (shape.Published(**said, label=it, value=of) for it, of in stated.values.items() if it not in here)


def probe_to_json(
    *,
    claim: Claim,
    nodeid: str,
    subject: str,
    verdict: Verdict,
    evidence: Sequence[measured.Evidence],
    published: Sequence[PublishedComparison],
    duration_s: float,
    baseline: BaselineComparison | None = None,
) -> ProbeRecord:
    """Make the record of one probe on one subject, in plain types.

    `evidence` is everything recorded while the probe ran, in order, and `duration_s` the seconds that it took, its
    share of the capture not included. The numbers of the claim that are not among those `published` that were compared
    are added as not measured.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    tables = Tables()
    record = shape.Record(
        nodeid=nodeid,
        subject=subject,
        verdict=verdict.word,
        reason=verdict.reason,
        scope=verdict.scope,
        declaration=claim.not_reproduced.get(subject),
        duration_s=duration_s,
        published=tuple(_published_of(claim, claim.published.get(subject), published)),
        p=max((piece.claim_p for piece in evidence if piece.claim_p is not None), default=None),
        q=None,
        evidence=tuple(map(tables.add_evidence, evidence)),  # before the tables below, which it fills
        baseline=None if baseline is None else _baseline_of(baseline),
        takes=could_take(evidence),
        outcome=verdict.outcome,
        claim=shape.Head(
            id=claim.id,
            sentence=claim.sentence,
            source=claim.source,
            controls=tuple(claim.controls),
            over=tuple(claim.over),
        ),
        prompts=tables.columns,
        samples=tuple(tables.samples),
        table=tuple(tables.evidence),
    )
    return cast("ProbeRecord", plain(record, f"probe {nodeid}"))


def planned_name(claim_id: str, subject: str) -> str:
    """Name a claim, on a subject if any, as the list of planned probes does: `day1.novice-most[sparrow]`."""
    return f"{claim_id}[{subject}]" if subject else claim_id


def build_document(
    *,
    probes: Iterable[ProbeRecord],
    run: shape.Run,
    subjects: Sequence[shape.Subject],
    planned: Sequence[str],
    generated: str,
    left_out: Sequence[shape.LeftOut] = (),
) -> Document:
    """Put all probes into one report, grouped by claim in the order planned.

    `planned` is the `planned_name` of every probe collected, in order; `probes` come in any order, and `generated` is
    in ISO 8601 with the offset from UTC.

    Raises:
        ValueError: two probes share a name, or two claims share an id but not their sentence or source.
    """
    order = {name: row for row, name in reversed(list(enumerate(planned)))}
    records = [msgspec.convert(probe, shape.Record) for probe in probes]  # workers finish in any order
    records.sort(key=lambda it: (order.get(planned_name(it.claim.id, it.subject), len(order)), it.nodeid))
    tables = Tables()
    heads: dict[str, shape.Head] = {}
    decided: dict[str, list[shape.Probe]] = {}
    q, chance = many_claims(((one.subject, one.nodeid, one.verdict, one.p) for one in records), alpha=run.alpha)
    seen: set[str] = set()
    for record in records:
        head = heads.setdefault(record.claim.id, record.claim)
        if record.nodeid in seen:
            raise ValueError(f"two records of the probe {record.nodeid}; wanted one")
        seen.add(record.nodeid)
        if (head.sentence, head.source) != (record.claim.sentence, record.claim.source):
            both = " and ".join(f"{one.sentence!r} ({one.source})" for one in (head, record.claim))
            raise ValueError(f"two claims have the id {head.id!r}: {both}; give one of them another id")
        kept: dict[str, Any] = {one.name: vars(record)[one.name] for one in fields(shape.Probe)}
        kept |= {"evidence": tables.take(record, record.evidence), "q": q.get(record.nodeid)}
        decided.setdefault(head.id, []).append(shape.Probe(**kept))
    verdicts = [record.verdict for record in records]
    return Document(
        schema=shape.SCHEMA,
        schema_version=shape.SCHEMA_VERSION,
        generated=generated,
        run=run,
        counts={word: verdicts.count(word) for word in WORDS},
        planned=tuple(planned),
        left_out=tuple(left_out),
        subjects=tuple(subjects),
        rules=dict(RULES),
        claims=tuple(shape.Claim(**vars(head), probes=tuple(decided[name])) for name, head in heads.items()),
        chance=chance,
        evidence=tuple(tables.evidence),
        samples=tuple(tables.samples),
        prompts=tables.columns,
    )


def now() -> str:
    """Return the time of the report; SOURCE_DATE_EPOCH fixes it for builds that must repeat to the byte."""
    moment = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return dt.datetime.fromtimestamp(moment, tz=dt.UTC).isoformat(timespec="seconds")


def write_report(document: Document, path: Path) -> None:
    """Check `document` and write it to `path` as JSON, whole or not at all; folders are made as needed.

    Raises:
        ReportError: it does not follow the schema; nothing is written.
        ValueError: a number is NaN or infinite; nothing is written.
    """
    made = plain(document, "report")
    _checked(made, path)
    text = json.dumps(made, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    # A terminal obeys hidden characters, and half of a surrogate pair has no UTF-8; all are inside strings here.
    text = HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    leave_out(path.parent, *REPORTS, kept="baselines")
    write_whole(path, (text + "\n").encode())


def read_report(path: Path) -> Document:
    """Read the report at `path`.

    A ReportError says that it is missing, not JSON, of another schema version, or does not follow the schema.
    """
    refused, other = partial(ReportError, path=path), "give a report.json written by saeprobe"
    try:
        held = load_json(path, most=_MOST_BYTES, halves=True)  # a tokenizer may write half of a surrogate pair
    except FileNotFoundError:
        remedy = 'write it with "pytest probes/", or give another path'
        part = ", only that of a part (part.json)" if path.with_name("part.json").is_file() else ""
        raise refused(problem=f"there is no report here{part}", remedy=remedy) from None
    except FileError as error:
        raise refused(problem=error.problem, remedy=f"{AGAIN}, or {other}") from None
    named = cast("dict[str, object]", held) if isinstance(held, dict) else {}
    version = named.get("schema_version")
    if version is None:
        raise refused(problem="is JSON, but names no schema_version", remedy=other)
    if version != shape.SCHEMA_VERSION:
        problem = f"has schema version {shortened(version)}, and this saeprobe reads {shape.SCHEMA_VERSION} alone"
        raise refused(problem=problem, remedy=f"{AGAIN}, or install the saeprobe that wrote it")
    return _checked(named, path)


def _checked(held: object, path: Path) -> Document:
    try:
        document = msgspec.convert(held, Document)
        departure = next(_departures(held, document, "$"), None)
    except msgspec.ValidationError as error:
        document, departure = None, quoted(error)
    if document is None or departure is not None:
        raise ReportError(f"does not follow the schema: {departure}", AGAIN, path=path)
    return document


def _departures(held: object, made: object, place: str) -> Iterator[str]:
    """Name the keys that msgspec passes over in dataclasses: those it does not know, and absent ones with a default."""
    if isinstance(held, dict):
        found = cast("dict[str, object]", held)
        names = [one.name for one in fields(cast("Any", made))] if is_dataclass(made) else []
        known = {name: getattr(made, name) for name in names} or cast("dict[str, object]", made)
        yield from (f"unknown key `{name}` - at `{place}`" for name in found if name not in known)
        yield from (f"missing key `{name}` - at `{place}`" for name in known if name not in found)
        for name, inner in found.items():  # all are known: the report was refused at the first that is not
            yield from _departures(inner, known[name], f"{place}.{name}")
    elif isinstance(held, list | tuple):
        rows = cast("Sequence[object]", held)
        if rows and isinstance(rows[0], dict):  # columns of numbers and texts have no keys
            for row, (inner, of) in enumerate(zip(rows, cast("Sequence[object]", made), strict=True)):
                yield from _departures(inner, of, f"{place}[{row}]")

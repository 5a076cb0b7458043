"""Baseline files: one a claim, `<claim-id>.json`, made to be committed and read in a diff.

By subject they hold every approval in order, the newest last: what was accepted before is never lost.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast

from saeprobe.claims import WORDS
from saeprobe.verdicts.baseline import IDENTITY, Baseline, Provenance, Value

KIND: Final = "saeprobe baseline 1"
"""Written into each file; one that says otherwise is not read."""


DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


Baselines = Mapping[tuple[str, str], tuple[Baseline, ...]]
"""The approvals by claim and subject, the newest last."""


Json = dict[str, Any]


class BaselineError(Exception):
    """A baseline file that cannot be used.

    Attributes:
        path: the file.
        problem: what is wrong.
        remedy: what to do.
    """

    def __init__(self, path: Path, problem: str, remedy: str = "") -> None:
        self.path = path
        self.problem = problem
        self.remedy = remedy or 'restore it with "git checkout", or delete it and approve the claim again'
        super().__init__(f"{path}: {problem}; {self.remedy}")


def read_baselines(folder: Path) -> Baselines:
    """Every approval in a folder; none where there is no folder.

    Raises:
        BaselineError: a file is not one of these, or is damaged; the message names file, place and remedy.
    """
    found: dict[tuple[str, str], tuple[Baseline, ...]] = {}
    for path in sorted(folder.glob("*.json")):
        found |= read_file(path)
    return found


def read_file(path: Path) -> Baselines:
    """The approvals in one file, which belong to the claim that names it.

    Raises:
        BaselineError: as for `read_baselines`.
    """
    try:
        held = cast("object", json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse))
    except OSError as error:
        raise BaselineError(path, f"cannot be read ({error.strerror})", "see to it that it can be read") from None
    except (ValueError, RecursionError) as error:  # also what is not UTF-8
        raise BaselineError(path, f"is not JSON ({error})") from None
    try:
        return _of_claim(_table(held, "it"), path.name.removesuffix(".json"))
    except _WrongError as wrong:
        raise BaselineError(path, str(wrong)) from None


def text_of(approvals: Baselines) -> str:
    """The file of one claim: keys sorted, a line each, and a line break at the end."""
    (claim,) = {claim for claim, _ in approvals}
    subjects = {subject: [_plain(one) for one in every] for (_, subject), every in approvals.items()}
    whole = {"kind": KIND, "claim": claim, "subjects": subjects}
    return json.dumps(whole, allow_nan=False, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _plain(one: Baseline) -> Json:
    kept = asdict(one)
    del kept["claim"], kept["subject"]  # said once, above
    return kept


class _WrongError(Exception):
    """What is wrong and where in the file."""


def _refuse(name: str) -> float:
    raise ValueError(f"it holds {name}, which is not a JSON number")


def _of_claim(held: Json, claim: str) -> Baselines:
    if held.get("kind") != KIND:
        raise _WrongError(f"its kind is {held.get('kind')!r}; wanted {KIND!r}")
    if held.get("claim") != claim:
        raise _WrongError(f"it holds the claim {held.get('claim')!r}, and its name says {claim!r}")
    found: dict[tuple[str, str], tuple[Baseline, ...]] = {}
    for subject, approvals in _table(held.get("subjects"), "subjects").items():
        listed = _list(approvals, f"subjects.{subject}")
        if not listed:
            raise _WrongError(f"subjects.{subject} lists no approval")
        found[claim, subject] = tuple(
            _baseline(_table(one, f"{subject}[{index}]"), claim, subject, f"{subject}[{index}]")
            for index, one in enumerate(listed)
        )
    return found


def _baseline(held: Json, claim: str, subject: str, where: str) -> Baseline:
    verdict, on = _text(held, "verdict", where), _text(held, "on", where)
    if verdict not in WORDS:
        raise _WrongError(f"{where}.verdict is {verdict!r}, which is no verdict")
    if not DAY.fullmatch(on):
        raise _WrongError(f"{where}.on is {on!r}; wanted a day such as 2026-11-22")
    values = [
        _value(_table(one, f"{where}.values[{index}]"), f"{where}.values[{index}]")
        for index, one in enumerate(_list(held.get("values"), f"{where}.values"))
    ]
    if not values:
        raise _WrongError(f"{where}.values lists no value")
    return Baseline(
        claim=claim,
        subject=subject,
        sentence=_text(held, "sentence", where),
        approved_by=_text(held, "approved_by", where),
        because=_text(held, "because", where),
        on=on,
        verdict=verdict,
        values=tuple(values),
        measured_with=_provenance(_table(held.get("measured_with"), f"{where}.measured_with"), where),
    )


def _value(held: Json, where: str) -> Value:
    interval: tuple[float, float] | None = None
    if held.get("interval") is not None:
        ends = [_number(end, f"{where}.interval") for end in _list(held["interval"], f"{where}.interval")]
        if len(ends) != 2:  # noqa: PLR2004 - low and high
            raise _WrongError(f"{where}.interval has {len(ends)} ends; wanted 2")
        interval = ends[0], ends[1]
    n = held.get("n")
    if n is not None and (not isinstance(n, int) or isinstance(n, bool)):
        raise _WrongError(f"{where}.n is {n!r}; wanted a whole number or null")
    means = _table(held.get("unit_means"), f"{where}.unit_means")
    return Value(
        label=_text(held, "label", where),
        measure=_text(held, "measure", where),
        unit=_text(held, "unit", where),
        mean=_number(held.get("mean"), f"{where}.mean"),
        n=n,
        interval=interval,
        near_moves=None if held.get("near_moves") is None else _number(held["near_moves"], f"{where}.near_moves"),
        units=_text(held, "units", where),
        unit_means={name: _number(mean, f"{where}.unit_means") for name, mean in means.items()},
        prompts=_text(held, "prompts", where),
    )


def _provenance(held: Json, where: str) -> Provenance:
    where = f"{where}.measured_with"
    dirty = held.get("dirty")
    if dirty is not None and not isinstance(dirty, bool):
        raise _WrongError(f"{where}.dirty is {dirty!r}; wanted true, false or null")
    seed = held.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise _WrongError(f"{where}.seed is {seed!r}; wanted a whole number")
    subjects: dict[str, dict[str, str | None]] = {}
    for name, fields in _table(held.get("subjects"), f"{where}.subjects").items():
        of = _table(fields, f"{where}.subjects.{name}")
        subjects[name] = {key: _maybe(of, key, f"{where}.subjects.{name}") for key in IDENTITY}
    versions = _table(held.get("versions"), f"{where}.versions")
    return Provenance(
        subjects=subjects,
        versions={name: _text(versions, name, f"{where}.versions") for name in versions},
        python=_maybe(held, "python", where),
        platform=_maybe(held, "platform", where),
        device=_maybe(held, "device", where),
        evidence=_maybe(held, "evidence", where),
        commit=_maybe(held, "commit", where),
        dirty=dirty,
        generated=_maybe(held, "generated", where),
        alpha=_number(held.get("alpha"), f"{where}.alpha"),
        seed=seed,
    )


def _table(value: object, where: str) -> Json:
    if not isinstance(value, dict):
        raise _WrongError(f"{where} is {_short(value)}; wanted a table of keys and values")
    return cast("Json", value)


def _list(value: object, where: str) -> Sequence[object]:
    if not isinstance(value, list):
        raise _WrongError(f"{where} is {_short(value)}; wanted a list")
    return cast("list[object]", value)


def _text(held: Json, key: str, where: str) -> str:
    value = held.get(key)
    if not isinstance(value, str):
        raise _WrongError(f"{where}.{key} is {_short(value)}; wanted a text")
    return value


def _maybe(held: Json, key: str, where: str) -> str | None:
    return None if held.get(key) is None else _text(held, key, where)


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _WrongError(f"{where} holds {_short(value)}; wanted a number")
    return float(value)


def _short(value: object) -> str:
    return "absent" if value is None else f"{value!r:.60}"

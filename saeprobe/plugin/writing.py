"""A run replaces in the report what it ran whole, and nothing else; a run of a part is written beside it."""

from __future__ import annotations

import ast
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from saeprobe.git import SETTINGS, commit_of, commits_of, files_read
from saeprobe.plugin.judging import made_with
from saeprobe.plugin.laboratory import Laboratory
from saeprobe.plugin.names import Settings
from saeprobe.prompts.formats import READ
from saeprobe.report import ProbeRecord, ReportError, command_line, now, read_report, shape, write_report
from saeprobe.report.page import write_page
from saeprobe.report.shape import Document, LeftOut
from saeprobe.report.uniting import head_of, on_subjects, only, united, variants_of

REPORT, PART, SUPERSEDED = "report", "part", "superseded"


def run_of(
    config: pytest.Config,
    settings: Settings,
    laboratory: Laboratory,
    *,
    began: float,
    exit_code: int,
    files: dict[str, str],
) -> shape.Run:
    """Say how the run was made that ends now; `began` is when it began, monotonic."""
    gathered = laboratory.gathered
    computed = sum(each.computed for each in gathered)  # parts that were tried again count by themselves
    needed: dict[str, int] = {}
    for each in gathered:  # what one worker computed, another finds stored
        needed[each.subject] = max(needed.get(each.subject, 0), each.stored + each.computed)
    commit, changed = commit_of(settings.rootdir, store=settings.store, report=settings.report)
    return shape.Run(
        command=command_line(["pytest", *map(str, config.invocation_params.args)]),
        ended=now(),
        exit_code=exit_code,
        duration_s=round(time.monotonic() - began, 3),
        workers=int(getattr(config.option, "numprocesses", None) or 0),
        commit=commit,
        dirty=None if changed is None else bool(changed),
        changed=changed or (),
        evidence_dir=settings.evidence_names,
        computed_prompts=computed,
        stored_prompts=max(0, sum(needed.values()) - computed),
        files=read_by(config, settings) | files,
        **made_with(settings, laboratory),
    )


def read_by(config: pytest.Config, settings: Settings, tests: Iterable[Path] = ()) -> dict[str, str]:
    """Hash what the run has read by now; a module that it imports later is read at its end."""
    ini = [] if config.inipath is None else [config.inipath]
    others = [path for path in (*tests, *ini) if path.name != SETTINGS]
    return files_read(settings.rootdir, [*others, *settings.recorded, *READ])


def dated(records: Iterable[ProbeRecord], root: Path) -> Iterator[ProbeRecord]:
    """Yield the records, with the commit that last changed the declaration where the probe's own file holds it."""
    read: dict[str, tuple[ast.Module, Mapping[int, str]]] = {}
    for record in records:
        file, _, name = record["nodeid"].partition("::")
        if record["declaration"] is not None and file not in read:
            try:
                read[file] = ast.parse((root / file).read_bytes()), commits_of(root, file)
            except (OSError, SyntaxError, ValueError):  # a doctest, or a file of another plugin
                read[file] = ast.Module(body=[], type_ignores=[]), {}
        if record["declaration"] is None:
            yield record
        else:
            tree, commits = read[file]
            function = name.partition("[")[0].rpartition("::")[2]
            yield record | {"declared_at": _declared_at(tree, commits, function, **record["declaration"])}


def _declared_at(tree: ast.Module, commits: Mapping[int, str], function: str, word: str, reason: str) -> str | None:
    """Return the newest commit of the lines that declare it, those above the function before any others."""
    definitions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    for node in (node for of in (*(it for it in definitions if it.name == function), tree) for node in ast.walk(of)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == word:
            given = (*node.args, *(one.value for one in node.keywords))
            if any(isinstance(one, ast.Constant) and one.value == reason for one in given):
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                last = [commits[line] for line in commits if line in lines]  # the newest stands last
                return last[-1] if len(last) == len(lines) else None
    return None


class Written(NamedTuple):
    """What a run wrote: the JSON file and its page, whether it is only a part, and what there is to say of it."""

    file: Path
    page: Path
    part: bool
    notes: tuple[str, ...]


def supersede(folder: Path, whole: Collection[str]) -> None:
    """Take out of the report, before a run begins, what the run is to replace; the old report is kept beside it.

    So nothing of a run that does not come to its end can pass for its result.
    """
    file, page = _files(folder, REPORT)
    if not whole or not file.is_file():
        return
    earlier = _read(file)
    for path, to in zip((file, page), _files(folder, SUPERSEDED), strict=True):
        if path.exists():
            path.replace(to)
    if isinstance(earlier, Document) and (others := set(variants_of(earlier)) - set(whole)):
        left = united(on_subjects(earlier, others), generated=earlier.generated)
        _write(replace(left, planned=earlier.planned), folder, REPORT)  # what is gone is planned, and not reported


def write(document: Document, whole: Collection[str], folder: Path) -> Written:
    """Write what a run decided: whole subjects into the report, beside what stands there of others; else a part."""
    of_run = set(variants_of(document))
    part = not of_run <= set(whole)
    notes: list[str] = []
    if not part or of_run & set(whole):
        file, _ = _files(folder, REPORT)
        earlier = _read(file) if file.exists() else None
        if isinstance(earlier, str):
            notes.append(f"what {file} held of other subjects is lost to it: {earlier}")
        _write(_beside(document, of_run & set(whole), earlier), folder, REPORT)
    if part:
        _write(document, folder, PART)
    file, page = _files(folder, PART if part else REPORT)
    return Written(file=file, page=page, part=part, notes=tuple(notes))


def _beside(document: Document, whole: Collection[str], earlier: Document | str | None) -> Document:
    """Put what a run decided of whole subjects beside what an earlier report holds of others and is still stated so."""
    document = on_subjects(document, whole)
    others = set(variants_of(earlier)) - set(whole) if isinstance(earlier, Document) else set[str]()
    if not isinstance(earlier, Document) or not others:
        return document
    heads = {claim.id: head_of(claim) for claim in document.claims}
    kept = on_subjects(earlier, others)
    past = {claim.id for claim in kept.claims if heads.get(claim.id, head_of(claim)) != head_of(claim)}
    why = "its claim was stated otherwise when it ran"
    gone = [
        LeftOut(claim=claim.id, subject=probe.subject, where=probe.nodeid, why=why)
        for claim in kept.claims
        for probe in (claim.probes if claim.id in past else ())
    ]
    kept = only(kept, lambda claim, _: claim.id not in past, lambda name: name.partition("[")[0] not in past)
    left_out = (*(one for one in earlier.left_out if one.subject not in whole), *gone)
    return united(document, replace(kept, left_out=left_out), generated=document.generated)


def _write(document: Document, folder: Path, name: str) -> None:
    file, page = _files(folder, name)
    write_report(document, file)
    write_page(document, page)


def _read(file: Path) -> Document | str:
    try:
        return read_report(file)
    except (OSError, ReportError) as error:
        return str(error)


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.json", folder / f"{name}.html"

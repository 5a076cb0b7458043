"""`saeprobe inspect`: what an SAE file, a file of the article, or a report holds."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from saeprobe.cli.contents import Contents
from saeprobe.cli.terminal import add_command, aligned, pairs, size
from saeprobe.recorded.files import ArticleFileError

if TYPE_CHECKING:
    from saeprobe.cli.terminal import Commands


Kind = Literal[
    "goodfire-sae",
    "saelens-sae",
    "article-activations",
    "article-features",
    "feature-diff",
    "eid-table",
    "report",
    "baseline",
    "unknown",
]


GOODFIRE_KEYS = ("encoder_linear.weight", "encoder_linear.bias", "decoder_linear.weight", "decoder_linear.bias")


_GOODFIRE_70B = (65536, 8192)  # huggingface.co/Goodfire/Llama-3.3-70B-Instruct-SAE-l50


_NOT_STATED = "not stated"


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """What a file is.

    Attributes:
        kind: for machines.
        description: for people.
        counted: what the numbers in it are: `parameters` or `values`.
        facts: what is worth knowing, by name.
        warnings: what is wrong with it.
    """

    kind: Kind
    description: str
    counted: Literal["parameters", "values"] = "values"
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    warnings: tuple[str, ...] = ()


def recognise(contents: Contents) -> Recognition:
    """Say what lies there; a file of no known kind is `unknown`, not an error."""
    shapes = contents.shapes
    if all(key in shapes for key in GOODFIRE_KEYS):
        return _goodfire(contents)
    if "W_enc" in shapes and "W_dec" in shapes:
        return _sae_lens(contents)
    if contents.data is not None and contents.file.suffix != ".json":
        return _article_tensors(contents)
    if contents.file.suffix == ".json":
        return _own_json(contents) or _article_json(contents)
    return Recognition(kind="unknown", description="unknown; here are its keys")


def _goodfire(contents: Contents) -> Recognition:
    """`encoder_linear.weight [d_sae, d_in]` and so on, as torch's `nn.Linear` has it."""
    shapes = contents.shapes
    encoder = shapes["encoder_linear.weight"]
    if len(encoder) != 2:  # noqa: PLR2004 - a matrix
        return Recognition(kind="unknown", description="Goodfire's keys, but the encoder is no matrix")
    d_sae, d_in = encoder
    wanted = {"encoder_linear.bias": (d_sae,), "decoder_linear.weight": (d_in, d_sae), "decoder_linear.bias": (d_in,)}
    known = " (the shape of the Llama-3.3-70B-Instruct layer-50 SAE)" if encoder == _GOODFIRE_70B else ""
    return Recognition(
        kind="goodfire-sae",
        description=f"an SAE in Goodfire's format: ReLU, d_in {d_in:,}, d_sae {d_sae:,}{known}",
        counted="parameters",
        facts={"d_in": str(d_in), "d_sae": str(d_sae), "hook": f"{_NOT_STATED} in this format"},
        warnings=_mismatches(shapes, wanted),
    )


def _sae_lens(contents: Contents) -> Recognition:
    """`W_enc [d_in, d_sae]`, `W_dec [d_sae, d_in]`, and a configuration, flat before SAELens 6."""
    shapes = contents.shapes
    config: Mapping[str, Any] = contents.config or {}
    if len(shapes["W_enc"]) != 2:  # noqa: PLR2004 - a matrix
        return Recognition(kind="unknown", description="an SAE's keys, but W_enc is no matrix")
    d_in, d_sae = shapes["W_enc"]
    wanted = {"W_dec": (d_sae, d_in), "b_enc": (d_sae,), "b_dec": (d_in,), "threshold": (d_sae,)}
    warnings = list(_mismatches(shapes, wanted))
    if contents.config is None:
        warnings.append("no cfg.json beside the weights: sae-lens cannot load them")
    for name, found in (("d_in", d_in), ("d_sae", d_sae)):
        if config.get(name, found) != found:
            warnings.append(f"cfg.json says {name} {config[name]}, the weights {found}")
    architecture = config.get("architecture", _NOT_STATED)
    return Recognition(
        kind="saelens-sae",
        description=f"an SAE in SAELens' format: {architecture}, d_in {d_in:,}, d_sae {d_sae:,}",
        counted="parameters",
        facts={"architecture": str(architecture), "d_in": str(d_in), "d_sae": str(d_sae), **_training(config)},
        warnings=tuple(warnings),
    )


def _training(config: Mapping[str, Any]) -> dict[str, str]:
    """What the SAE was trained on: model, hook, BOS, context."""
    nested: object = config.get("metadata")
    stated = {**config, **(cast(Mapping[str, Any], nested) if isinstance(nested, Mapping) else {})}
    names = {
        "model": "model_name",
        "hook": "hook_name",
        "context": "context_size",
        "normalised": "normalize_activations",
    }
    if stated.get("hook_name") is None and "hook_point" in stated:  # its name before SAELens 6
        names["hook"] = "hook_point"
    found = {name: stated.get(key) for name, key in names.items()}
    facts = {name: _NOT_STATED if value is None else str(value) for name, value in found.items()}
    if found["context"] is not None:
        facts["context"] += " tokens"
    bos: object = stated.get("prepend_bos")
    return {**facts, "BOS": ("prepended" if bos else "not prepended") if isinstance(bos, bool) else _NOT_STATED}


def _mismatches(shapes: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    return tuple(
        f"{key} has shape {list(shapes[key])}; wanted {list(shape)} beside this encoder"
        for key, shape in wanted.items()
        if key in shapes and shapes[key] != shape
    )


def _article_tensors(contents: Contents) -> Recognition:
    """An activations or features file, whole or with what is wrong in it."""
    from saeprobe.recorded.files import ACTIVATIONS, FEATURES, entries_of
    from saeprobe.recorded.files import Kind as EntryKind

    found = contents.data
    data = cast(list[object], found) if isinstance(found, list) else []
    first = data[0] if data else None
    names = [str(key) for key in cast(dict[object, object], first)] if isinstance(first, dict) else []
    shapes: tuple[tuple[Kind, EntryKind], ...] = (("article-activations", ACTIVATIONS), ("article-features", FEATURES))
    for kind, shape in shapes:
        if not any(name.endswith(f"_{shape.suffix}") for name in names):
            continue
        what = f"the article's {shape.suffix.removesuffix('s')}s of the last prompt token"
        try:
            checked = entries_of(contents.file, data, shape)
        except ArticleFileError as error:
            warning = f"{error.found}; wanted {error.wanted}"
            return Recognition(kind="unknown", description=f"nearly {what}", warnings=(warning,))
        facts = {
            "topics": str(len(checked.topics)),
            "styles": ", ".join(checked.tensors),
            shape.width: str(checked.width),
        }
        return Recognition(kind=kind, description=f"{what}, {shape.shape} a topic and style", facts=facts)
    return Recognition(kind="unknown", description="unknown; here are its keys")


def _own_json(contents: Contents) -> Recognition | None:
    """A report or a baseline, summed up or with what is wrong in it; None for a file that claims to be neither."""
    from saeprobe.report.document import ReportError
    from saeprobe.verdicts.baseline_files import KIND as BASELINE
    from saeprobe.verdicts.baseline_files import BaselineError

    data = contents.data
    held = cast(dict[str, object], data) if isinstance(data, dict) else {}
    reported = str(held.get("schema")).startswith("urn:saeprobe:report:")
    if not reported and held.get("kind") != BASELINE:
        return None
    try:
        return _report(contents.file) if reported else _baseline(contents.file)
    except (ReportError, BaselineError) as error:
        what = f"a {'report' if reported else 'baseline'} of saeprobe that cannot be used"
        return Recognition(kind="unknown", description=what, warnings=(f"{error.problem}; {error.remedy}",))


def _report(file: Path) -> Recognition:
    """When and where the run was made, and what became of its claims."""
    from saeprobe.report.document import read_report
    from saeprobe.report.overview import silent, subject_names

    found = read_report(file)
    run = found.run
    declared = sum(probe.declared is not None for claim in found.claims for probe in claim.probes)
    verdicts = ", ".join(f"{count} {word}" for word, count in found.counts.items() if count)
    lost = silent(found)
    return Recognition(
        kind="report",
        description=f"a report of saeprobe, schema version {found.schema_version}",
        facts={
            "written": found.generated,
            "command": run.command,
            "commit": (run.commit or "not a git checkout") + (", with uncommitted changes" if run.dirty else ""),
            "claims": f"{len(found.claims)} on {', '.join(subject_names(found)) or 'no subject'}",
            "verdicts": (verdicts or "none") + (f" ({declared} as declared)" if declared else ""),
        },
        warnings=(f"planned, but nothing was reported: {', '.join(lost)}",) if lost else (),
    )


def _baseline(file: Path) -> Recognition:
    """Who approved the claim last on each subject, when, with which verdict and why."""
    from saeprobe.verdicts.baseline_files import read_file

    approvals = read_file(file)
    last = {subject: every[-1] for (_, subject), every in approvals.items()}
    return Recognition(
        kind="baseline",
        description=f"a baseline of saeprobe: what was approved of the claim {next(iter(approvals))[0]}",
        facts={
            f"on {subject}": f'{one.verdict}, by {one.approved_by} on {one.on}, because "{one.because}"'
            for subject, one in last.items()
        },
    )


def _article_json(contents: Contents) -> Recognition:
    """A comparison of two styles, or an EID table."""
    from saeprobe.recorded.results import read_eid_table, read_feature_diff

    def diff(file: Path) -> Recognition:
        found = read_feature_diff(file)
        counts = {f"only {style}": f"{found.only_count[style]:,} features" for style in (found.a, found.b)}
        what = f"the article's comparison of {found.a} with {found.b} prompts"
        return Recognition(kind="feature-diff", description=what, facts=counts)

    def table(file: Path) -> Recognition:
        found = read_eid_table(file)
        facts = {"topics": str(len(found.topics)), "personas": ", ".join(found.personas)}
        return Recognition(kind="eid-table", description="a table of EID by topic and persona", facts=facts)

    readers: tuple[Callable[[Path], Recognition], ...] = (diff, table)
    for reader in readers:
        try:
            return reader(contents.file)
        except ArticleFileError:
            continue  # not this kind; the next may be
    return Recognition(kind="unknown", description="unknown; here are its keys")


_ROWS = 40


_DESCRIPTION = """\
Say what a file holds: its keys, shapes, dtypes and size, how many parameters it has, and what it is. Recognised are
SAEs in Goodfire's format (.pt) and SAELens' (a folder with cfg.json), the article's activations and features files,
its feature_diff.json and EID tables, and the reports and baselines of saeprobe itself, which are summed up; anything
else is listed by its keys.

The weights stay on disk: a file of 4 GB is inspected in a moment. A .pt file is read as data only; code in it is
refused, never run."""


_EPILOG = """\
examples:
  saeprobe inspect Llama-3.3-70B-Instruct-SAE-l50.pt
  saeprobe inspect ~/saes/blocks.6.hook_resid_pre
  saeprobe inspect features_layer50.pt --json
  saeprobe inspect reports/report.json

exit codes: 0 listed, known or unknown; 2 the file is absent, damaged or holds code."""


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "inspect",
        run,
        summary="what an SAE file holds: keys, shapes, dtypes, size, what it is",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="a .pt, .safetensors, .npz or .json file, or a folder")
    parser.add_argument("--json", action="store_true", help="print JSON for a machine instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Print what is there."""
    from saeprobe.cli.contents import read_contents

    contents = read_contents(arguments.path)
    known = recognise(contents)
    sys.stdout.write(_as_json(contents, known) if arguments.json else _as_text(contents, known))
    return 0


def _as_text(contents: Contents, known: Recognition) -> str:
    """The description above a table of the keys."""
    facts = [
        ("what it is", known.description),
        ("file", f"{contents.file.name}, {size(contents.file_bytes)}"),
        *([(known.counted, f"{contents.values:,}")] if contents.values else []),
        *known.facts.items(),
        *(("warning", warning) for warning in known.warnings),
    ]
    # The entries of the article's files are alike: one stands for all.
    items = [item for item in contents.items if item.key.startswith("0.") or not known.kind.startswith("article-")]
    rows = [
        [item.key, str(list(item.shape)) if item.shape is not None else "", item.dtype, f"{item.bytes:,}"]
        for item in items[:_ROWS]
    ]
    more = len(contents.items) - len(rows)
    rest = f"... and {more:,} more keys; --json lists all\n" if more > 0 else ""
    table = aligned(["key", "shape", "dtype", "bytes"], rows, right=[3])
    return f"{contents.path}\n{pairs(facts)}\n\n{table}\n{rest}"


def _as_json(contents: Contents, known: Recognition) -> str:
    """Everything, for a machine."""
    found = {
        "path": str(contents.path),
        "file": str(contents.file),
        "bytes": contents.file_bytes,
        "kind": known.kind,
        "description": known.description,
        known.counted: contents.values,
        "facts": dict(known.facts),
        "warnings": list(known.warnings),
        "keys": [
            {
                "key": item.key,
                "shape": None if item.shape is None else list(item.shape),
                "dtype": item.dtype,
                "bytes": item.bytes,
            }
            for item in contents.items
        ],
    }
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

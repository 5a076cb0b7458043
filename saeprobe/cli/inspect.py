"""`saeprobe inspect` says what a file holds, and recognises what it is; weights stay on disk."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from saeprobe.cli.contents import Contents, mapped_from, read_contents
from saeprobe.cli.terminal import facts, say, table
from saeprobe.files import bytes_in_words, cut, visible
from saeprobe.git import named
from saeprobe.recorded.recognition import recognised
from saeprobe.report import ReportError, read_report
from saeprobe.report.overview import as_declared, silent, subject_names
from saeprobe.shapes import FLOATS, StoredTensor, widened
from saeprobe.subject.files.sae import KEYS
from saeprobe.verdicts.baseline_files import KIND, BaselineError, read_file

_ROWS, _WIDEST = 40, 120  # of the table of keys: its rows, and the characters of a key
_LONGEST = 1000  # characters of one thing that is said of a file, which may come from it
_GOODFIRE_70B = (65536, 8192)  # huggingface.co/Goodfire/Llama-3.3-70B-Instruct-SAE-l50
_NOT_STATED = "not stated"
_ROWS_AT_ONCE, _LIKE_ONE = 4096, 0.01  # of a decoder, whose rows are called of norm 1 up to here


def run(arguments: argparse.Namespace) -> int:
    """Print what is there."""
    contents = read_contents(arguments.path)
    say((_as_json if arguments.json else _as_text)(contents, recognise(contents)))
    return 0


def _as_text(contents: Contents, known: "Recognition") -> str:
    size = contents.file.stat().st_size
    described = [
        ("what it is", known.description),
        ("file", f"{contents.file.name}, {bytes_in_words(size)} ({size:,} bytes)"),
        *([(known.counted, f"{contents.values:,}")] if contents.values else []),
        *known.facts.items(),
        *(("warning", warning) for warning in known.warnings),
    ]
    described = [(name, cut(value, _LONGEST)) for name, value in described]
    # The entries of a list that is known are alike: one stands for all.
    alike = known.kind.startswith(("article-", "eid-")) or (known.kind == "list" and not contents.shapes)
    items = [item for item in contents.items if item.key.partition(".")[0] == "0" or not alike]
    rows = [
        [cut(item.key, _WIDEST), str(list(item.shape)) if item.shape is not None else "", item.dtype, f"{item.bytes:,}"]
        for item in items[:_ROWS]
    ]
    more = len(contents.items) - len(rows)
    rest = f"\n... and {more:,} more keys; --json lists all" if more > 0 else ""
    listed = table(["key", "shape", "dtype", "bytes"], rows, right=[3])
    return f"{visible(str(contents.path))}\n{facts(described)}\n\n{listed}{rest}"


def _as_json(contents: Contents, known: "Recognition") -> str:
    found = {
        "path": str(contents.path),
        "file": str(contents.file),
        "bytes": contents.file.stat().st_size,
        "kind": known.kind,
        "description": known.description,
        known.counted: contents.values,
        "facts": dict(known.facts),
        "warnings": list(known.warnings),
        "keys": [asdict(item) for item in contents.items],
    }
    return json.dumps(found, indent=2, allow_nan=False)  # in ASCII: its escapes are JSON's own


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """A recognition says what a file is."""

    kind: str = "unknown"  # for machines, as `description` is for people
    description: str = "unknown; here are its keys"
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    warnings: tuple[str, ...] = ()

    @property
    def counted(self) -> str:
        """Name what the numbers in it are."""
        return "parameters" if self.kind.endswith("-sae") else "values"


def recognise(contents: Contents) -> Recognition:
    """Say what lies there; a file of no known kind is `unknown`, not an error."""
    shapes = contents.shapes
    if all(key in shapes for key in KEYS):
        return _goodfire(contents)
    if "W_enc" in shapes and "W_dec" in shapes:
        return _sae_lens(contents)
    return _own_json(contents) or _recorded(contents)


def _goodfire(contents: Contents) -> Recognition:
    """Recognise `encoder_linear.weight [d_sae, d_in]` and so on, as torch's `nn.Linear` has it."""
    shapes, held = contents.shapes, cast(Any, contents.data)
    encoder = shapes["encoder_linear.weight"]
    if len(encoder) != 2:  # noqa: PLR2004 - a matrix
        return Recognition(description="Goodfire's keys, but the encoder is no matrix")
    d_sae, d_in = encoder
    wanted = {"encoder_linear.bias": (d_sae,), "decoder_linear.weight": (d_in, d_sae), "decoder_linear.bias": (d_in,)}
    known = " (the shape of the Llama-3.3-70B-Instruct layer-50 SAE)" if encoder == _GOODFIRE_70B else ""
    return Recognition(
        kind="goodfire-sae",
        description=f"an SAE in Goodfire's format: ReLU, d_in {d_in:,}, d_sae {d_sae:,}{known}",
        facts={"d_in": str(d_in), "d_sae": str(d_sae), "hook": f"{_NOT_STATED} in this format"}
        | _decoder_norms(cast("StoredTensor | None", held and held["decoder_linear.weight"]), transposed=True),
        warnings=_mismatches(shapes, wanted),
    )


def _sae_lens(contents: Contents) -> Recognition:
    """Describe weights `W_enc [d_in, d_sae]` and `W_dec [d_sae, d_in]` with what their configuration says."""
    shapes = contents.shapes
    config: Mapping[str, Any] = contents.config or {}
    if len(shapes["W_enc"]) != 2:  # noqa: PLR2004 - a matrix
        return Recognition(description="an SAE's keys, but W_enc is no matrix")
    d_in, d_sae = shapes["W_enc"]
    architecture = str(config.get("architecture", _NOT_STATED))
    wanted = {"W_dec": (d_sae, d_in), "b_enc": (d_sae,), "b_dec": (d_in,), "threshold": (d_sae,)}
    if "transcoder" in architecture:  # it writes elsewhere, in another width
        del wanted["W_dec"], wanted["b_dec"]
    decoder = mapped_from(contents.file, "W_dec") if contents.file.suffix == ".safetensors" else None
    warnings = list(_mismatches(shapes, wanted))
    if contents.config is None:
        warnings.append("no cfg.json beside the weights: sae-lens cannot load them")
    for name, found in (("d_in", d_in), ("d_sae", d_sae)):
        if config.get(name, found) != found:
            warnings.append(f"cfg.json says {name} {config[name]}, the weights {found}")
    return Recognition(
        kind="saelens-sae",
        description=f"an SAE in SAELens' format: {architecture}, d_in {d_in:,}, d_sae {d_sae:,}",
        facts={"architecture": architecture, "d_in": str(d_in), "d_sae": str(d_sae)}
        | _training(config)
        | _decoder_norms(decoder),
        warnings=tuple(warnings),
    )


def _decoder_norms(decoder: StoredTensor | None, *, transposed: bool = False) -> dict[str, str]:
    """Say how long the rows of the decoder are, `[d_sae, d_out]`: the scale of an SAE's activations hangs on it."""
    if decoder is None or len(decoder.shape) != 2 or not all(decoder.shape) or decoder.dtype not in FLOATS:  # noqa: PLR2004 - a matrix
        return {}
    rows = decoder.stored.T if transposed else decoder.stored
    parts = (widened(rows[at : at + _ROWS_AT_ONCE], decoder.dtype) for at in range(0, len(rows), _ROWS_AT_ONCE))
    norms = np.concatenate([np.linalg.norm(part.astype(np.float32), axis=1) for part in parts])
    if np.abs(norms - 1).max() < _LIKE_ONE:
        return {"decoder": "rows of norm 1: activations are of folded norms, as values of Neuronpedia are"}
    found = f"rows of norm {norms.min():.2g} to {norms.max():.2g}"
    return {"decoder": f"{found}, not folded into activations; values of Neuronpedia are of folded norms"}


def _training(config: Mapping[str, Any]) -> dict[str, str]:
    nested: object = config.get("metadata")
    stated = {**config, **(cast(Mapping[str, Any], nested) if isinstance(nested, Mapping) else {})}
    hook = stated.get("hook_point") if stated.get("hook_name") is None else stated["hook_name"]  # before SAELens 6
    context, bos = stated.get("context_size"), stated.get("prepend_bos")
    found = {
        "model": stated.get("model_name"),
        "hook": hook,
        "context": None if context is None else f"{context} tokens",
        "normalised": stated.get("normalize_activations"),
        "BOS": ("prepended" if bos else "not prepended") if isinstance(bos, bool) else None,
    }
    return {name: _NOT_STATED if value is None else str(value) for name, value in found.items()}


def _mismatches(shapes: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    return tuple(
        f"{key} has shape {list(shapes[key])}; wanted {list(shape)} beside this encoder"
        for key, shape in wanted.items()
        if key in shapes and shapes[key] != shape
    )


def _recorded(contents: Contents) -> Recognition:
    """Recognise what may stand for a run, whole or with what is wrong in it, and sum up other lists."""
    found = recognised(contents.file, contents.data)
    if found.problem is not None:
        wrong = f"{found.problem.found}; wanted {found.problem.wanted}"
        return Recognition(description=found.description, warnings=(wrong,))
    if found.kind == "unknown":
        return Recognition()
    return Recognition(kind=found.kind, description=found.description, facts=found.facts)


def _own_json(contents: Contents) -> Recognition | None:
    """Sum up a report or a baseline, or say what is wrong in it; return None for a file that claims to be neither."""
    data = contents.data
    held = cast(dict[str, object], data) if isinstance(data, dict) else {}
    reported = str(held.get("schema")).startswith("urn:saeprobe:report:")
    if not reported and held.get("kind") != KIND:
        return None
    try:
        return _report(contents.file) if reported else _baseline(contents.file)
    except (ReportError, BaselineError) as error:
        what = f"a {'report' if reported else 'baseline'} of saeprobe that cannot be used"
        return Recognition(description=what, warnings=(f"{error.problem}; {error.remedy}",))


def _report(file: Path) -> Recognition:
    found = read_report(file)
    run = found.run
    declared = sum(as_declared(probe) for claim in found.claims for probe in claim.probes)
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
            **({"earlier runs": str(len(found.earlier))} if found.earlier else {}),
            "verdicts": (verdicts or "none") + (f" ({declared} as declared)" if declared else ""),
        },
        warnings=(
            *((f"planned, but nothing was reported: {', '.join(lost)}",) if lost else ()),
            *((f"left out of the run: {named([one.where for one in found.left_out])}",) if found.left_out else ()),
        ),
    )


def _baseline(file: Path) -> Recognition:
    """Say who approved the claim last on each subject, when, with which verdict and why."""
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

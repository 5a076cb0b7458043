"""`saeprobe inspect` says what a file holds and what it is, from headers and mapped files: weights stay on disk."""

import argparse
import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tokenize import TokenError
from typing import Any, Literal, cast

import numpy as np
from safetensors import SafetensorError, safe_open

from saeprobe.cli.terminal import RefusedError, facts, say, table
from saeprobe.files import FileError, bytes_in_words, load_json, open_regular, quoted, visible
from saeprobe.recorded import tensors as article
from saeprobe.recorded.archives import DAMAGE, load_data
from saeprobe.recorded.summaries import object_at, read_eid_table, read_feature_diff
from saeprobe.report.document import ReportError, read_report
from saeprobe.report.overview import silent, subject_names
from saeprobe.subject.files.sae import KEYS
from saeprobe.verdicts.baseline_files import KIND, BaselineError, read_file

_ROWS = 40  # of the table of keys
_PICKLED = "pytorch_model.bin"
_WEIGHTS = (".pt", ".pth", ".safetensors", ".npz")
_DTYPES = {  # torch's names of those of safetensors
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "BOOL": "bool", "U8": "uint8",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
}  # fmt: skip
_GOODFIRE_70B = (65536, 8192)  # huggingface.co/Goodfire/Llama-3.3-70B-Instruct-SAE-l50
_NOT_STATED = "not stated"
_ROWS_AT_ONCE, _LIKE_ONE = 4096, 0.01  # of a decoder, whose rows are called of norm 1 up to here


def run(arguments: argparse.Namespace) -> int:
    """Print what is there."""
    contents = read_contents(arguments.path)
    write = _as_json if arguments.json else _as_text
    say(write(contents, recognise(contents)))
    return 0


def _as_text(contents: "Contents", known: "Recognition") -> str:
    size = contents.file.stat().st_size
    described = [
        ("what it is", known.description),
        ("file", f"{contents.file.name}, {bytes_in_words(size)} ({size:,} bytes)"),
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
    rest = f"\n... and {more:,} more keys; --json lists all" if more > 0 else ""
    listed = table(["key", "shape", "dtype", "bytes"], rows, right=[3])
    return f"{visible(str(contents.path))}\n{facts(described)}\n\n{listed}{rest}"


def _as_json(contents: "Contents", known: "Recognition") -> str:
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
class Item:
    """An item is one value under its key. `shape` is None for what is no array; `bytes` counts array data only."""

    key: str
    shape: tuple[int, ...] | None
    dtype: str
    bytes: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Contents:
    """Contents are what lies in a file; `data` is what a `.pt` or `.json` file holds, None for the others."""

    path: Path  # as given, a file or a folder
    file: Path  # the file that was read
    items: tuple[Item, ...]  # nested keys are joined by dots
    data: object = None
    config: Mapping[str, Any] | None = None  # the `cfg.json` beside the weights, if there is one

    @property
    def values(self) -> int:
        """Return how many numbers all arrays hold: the parameters, where this is an SAE."""
        return sum(map(math.prod, self.shapes.values()))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the arrays' shapes by key."""
        return {item.key: item.shape for item in self.items if item.shape is not None}


def read_contents(path: Path) -> Contents:
    """List what lies in a file, or in the one file of weights of a folder."""
    file, data = _weights_in(path) if path.is_dir() else path, None
    open_regular(file).close()
    if file.suffix == ".safetensors":
        items = _safetensors(file)
    elif file.suffix == ".npz":
        items = _npz(file)
    elif file.suffix in _WEIGHTS:
        data = load_data(file)
        items = tuple(_walk(data, ""))
    elif file.suffix == ".json":
        data = load_json(file, halves=True, numbers=False)
        items = tuple(_walk(data, "", depth=1))
    else:
        kinds = ", ".join([*_WEIGHTS, ".json"])
        raise RefusedError(f"{file}: a file ending in {file.suffix!r} cannot be read; wanted one of {kinds}")
    beside = file.parent / "cfg.json"
    config = object_at(beside, "the file", load_json(beside, numbers=False)) if beside.is_file() else None
    return Contents(path=path, file=file, items=items, data=data, config=config)


def _weights_in(folder: Path) -> Path:
    found = sorted(file for file in folder.iterdir() if file.suffix in _WEIGHTS and file.is_file())
    # SAELens may put sparsity.safetensors beside its weights.
    found = [file for file in found if file.name == "sae_weights.safetensors"] or found
    if len(found) == 1:
        return found[0]
    listed = ", ".join(file.name for file in found) or "none"
    if not found and (folder / _PICKLED).is_file():
        raise RefusedError(f"{folder} holds {_PICKLED} alone, whose format can run code; have it saved as safetensors")
    raise RefusedError(f"{folder} holds these files of weights: {listed}; wanted exactly one, or give the file itself")


def _safetensors(file: Path) -> tuple[Item, ...]:
    """Read the header, which safetensors checks against the file's size."""
    items: list[Item] = []
    try:
        with cast(Any, safe_open)(file, framework="np") as opened:
            for key in opened.keys():  # noqa: SIM118 - it is no mapping
                array = opened.get_slice(key)
                shape, stored = tuple(map(int, array.get_shape())), str(array.get_dtype())
                bits = int((re.search(r"\d+", stored) or ["8"])[0])  # of BOOL 8
                size = math.prod(shape) * bits // 8
                items.append(Item(key=key, shape=shape, dtype=_DTYPES.get(stored, stored), bytes=size))
    except SafetensorError as error:
        wanted, remedy = "a whole safetensors file", "download it again"
        raise FileError(file, f"it is damaged ({quoted(error)})", wanted=wanted, remedy=remedy) from error
    return tuple(items)


def _npz(file: Path) -> tuple[Item, ...]:
    items: list[Item] = []
    try:
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    first = np.lib.format.read_magic(member) == (1, 0)
                    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
                    shape, _, dtype = read(member)
                size = math.prod(shape) * dtype.itemsize
                items.append(Item(key=name.removesuffix(".npy"), shape=tuple(shape), dtype=str(dtype), bytes=size))
                if not all(0 <= size < 2**63 for size in shape):
                    raise ValueError("a size is below 0, or beyond 64 bits")
    except (*DAMAGE, SyntaxError, TokenError) as error:  # the header of an array is a Python literal
        wanted, remedy = "a .npz archive of arrays", "copy it again, or save it with numpy.savez"
        raise FileError(file, f"it cannot be read ({quoted(error)})", wanted=wanted, remedy=remedy) from error
    return tuple(items)


def _walk(value: object, key: str, *, depth: int = 6) -> Iterator[Item]:
    """List the values in nested dicts and lists, keys joined by dots, down to `depth`."""
    nested: list[tuple[object, object]] | None = None
    if depth and isinstance(value, Mapping):
        nested = list(cast(Mapping[object, object], value).items())
    elif depth and isinstance(value, list | tuple):
        nested = list(enumerate(cast(list[object], value)))
    if nested is not None:
        for name, inner in nested:
            yield from _walk(inner, f"{key}.{name}" if key else str(name), depth=depth - 1)
        return
    tensor, key = cast(Any, value), key or "(the whole file)"
    shape = getattr(tensor, "shape", None)
    if shape is None:
        yield Item(key=key, shape=None, dtype=type(tensor).__name__, bytes=0)
        return
    size = int(tensor.numel() * tensor.element_size())
    dtype = str(tensor.dtype).removeprefix("torch.")
    yield Item(key=key, shape=tuple(int(axis) for axis in shape), dtype=dtype, bytes=size)


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """A recognition says what a file is."""

    kind: str = "unknown"  # for machines, as `description` is for people
    description: str = "unknown; here are its keys"
    counted: Literal["parameters", "values"] = "values"  # what the numbers in it are
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    warnings: tuple[str, ...] = ()


def recognise(contents: Contents) -> Recognition:
    """Say what lies there; a file of no known kind is `unknown`, not an error."""
    shapes = contents.shapes
    if all(key in shapes for key in KEYS):
        return _goodfire(contents)
    if "W_enc" in shapes and "W_dec" in shapes:
        return _sae_lens(contents)
    if contents.file.suffix == ".json":
        return _own_json(contents) or _article_json(contents.file)
    return _article_tensors(contents)


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
        counted="parameters",
        facts={"d_in": str(d_in), "d_sae": str(d_sae), "hook": f"{_NOT_STATED} in this format"}
        | _decoder_norms(held["decoder_linear.weight"].T if held is not None else None),
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
    warnings = list(_mismatches(shapes, wanted))
    if contents.config is None:
        warnings.append("no cfg.json beside the weights: sae-lens cannot load them")
    for name, found in (("d_in", d_in), ("d_sae", d_sae)):
        if config.get(name, found) != found:
            warnings.append(f"cfg.json says {name} {config[name]}, the weights {found}")
    return Recognition(
        kind="saelens-sae",
        description=f"an SAE in SAELens' format: {architecture}, d_in {d_in:,}, d_sae {d_sae:,}",
        counted="parameters",
        facts={"architecture": architecture, "d_in": str(d_in), "d_sae": str(d_sae)}
        | _training(config)
        | _stored_norms(contents.file),
        warnings=tuple(warnings),
    )


def _stored_norms(file: Path) -> dict[str, str]:
    if file.suffix != ".safetensors":
        return {}
    with cast(Any, safe_open)(file, framework="np") as opened:
        framework = "pt" if opened.get_slice("W_dec").get_dtype() == "BF16" else "np"  # of which numpy knows nothing
    with cast(Any, safe_open)(file, framework=framework) as opened:
        return _decoder_norms(opened.get_tensor("W_dec"))


def _decoder_norms(rows: Any) -> dict[str, str]:
    """Say how long the rows of the decoder are, `[d_sae, d_out]`: the scale of an SAE's activations hangs on it."""
    if rows is None or len(rows.shape) != 2 or not len(rows):  # noqa: PLR2004 - a matrix
        return {}
    parts = (rows[at : at + _ROWS_AT_ONCE] for at in range(0, len(rows), _ROWS_AT_ONCE))
    plain = (np.asarray(part if isinstance(part, np.ndarray) else part.float(), dtype=np.float32) for part in parts)
    norms = np.concatenate([np.linalg.norm(part, axis=1) for part in plain])
    if np.abs(norms - 1).max() < _LIKE_ONE:
        return {"decoder": "rows of norm 1: activations are of folded norms, as values of Neuronpedia are"}
    found = f"rows of norm {norms.min():.2g} to {norms.max():.2g}"
    return {"decoder": f"{found}, not folded into activations; values of Neuronpedia are of folded norms"}


def _training(config: Mapping[str, Any]) -> dict[str, str]:
    nested: object = config.get("metadata")
    stated = {**config, **(cast(Mapping[str, Any], nested) if isinstance(nested, Mapping) else {})}
    hook = stated.get("hook_name")
    if hook is None:
        hook = stated.get("hook_point")  # its name before SAELens 6
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


def _article_tensors(contents: Contents) -> Recognition:
    """Recognise an activations or features file, whole or with what is wrong in it."""
    held = contents.data
    data = cast(list[object], held) if isinstance(held, list) else []
    names = [str(key) for key in cast(dict[object, object], data[0])] if data and isinstance(data[0], dict) else []
    for kind, shape in (("article-activations", article.ACTIVATIONS), ("article-features", article.FEATURES)):
        if not any(name.endswith(f"_{shape.suffix}") for name in names):
            continue
        what = f"the article's {shape.suffix.removesuffix('s')}s of the last prompt token"
        try:
            checked = article.entries_of(contents.file, data, shape)
        except FileError as error:
            return Recognition(description=f"nearly {what}", warnings=(f"{error.found}; wanted {error.wanted}",))
        known = {
            "topics": str(len(checked.topics)),
            "styles": ", ".join(checked.tensors),
            shape.width: str(checked.width),
        }
        return Recognition(kind=kind, description=f"{what}, {shape.shape} a topic and style", facts=known)
    return Recognition()


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


def _article_json(file: Path) -> Recognition:
    with suppress(FileError):
        diff = read_feature_diff(file)
        counts = {f"only {style}": f"{diff.only_count[style]:,} features" for style in (diff.a, diff.b)}
        what = f"the article's comparison of {diff.a} with {diff.b} prompts"
        return Recognition(kind="feature-diff", description=what, facts=counts)
    with suppress(FileError):
        eid = read_eid_table(file)
        known = {"topics": str(len(eid.topics)), "personas": ", ".join(eid.personas)}
        return Recognition(kind="eid-table", description="a table of EID by topic and persona", facts=known)
    return Recognition()

"""The registry finds subjects by name: those built in, and the user's own from `[tool.saeprobe.subjects]`."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast, get_args

from saeprobe.subject.files.sae import find_release, near
from saeprobe.subject.local import Subject
from saeprobe.subject.specification import (
    Dtype,
    Memory,
    ModelShape,
    Quantisation,
    Sae,
    SaeFile,
    SaeFolder,
    SaeRelease,
    SubjectError,
    SubjectSpec,
)

_SPECIMENS: Final = Path(__file__).parent.parent / "specimens"

_SPARROW: Final = SubjectSpec(
    name="sparrow",
    model=_SPECIMENS / "sparrow" / "model",
    sae=SaeFolder(path=_SPECIMENS / "sparrow" / "sae"),
    root=_SPECIMENS.parent.parent,
    wording="specimen",
    specimen=True,
    summary="the shipped specimen: GPT-2 architecture with a ReLU SAE, trained on a generated corpus",
    l0=23.2,  # its card
    variance_explained=0.919,
)

_FINCH: Final = SubjectSpec(
    name="finch",
    model=_SPECIMENS / "finch" / "model",
    sae=SaeFile(path=_SPECIMENS / "finch" / "sae" / "finch-sae-l2.pt"),
    root=_SPECIMENS.parent.parent,
    wording="specimen",
    specimen=True,
    summary="the second specimen: Llama architecture with chat template and an SAE in Goodfire's format, same corpus",
    hook_name="blocks.2.hook_resid_post",
    prepend_bos=True,
    chat_template=True,
    l0=17.6,  # its card, on text without the template's tokens
    variance_explained=0.886,
)

_GPT2: Final = SubjectSpec(
    name="gpt2",
    model="openai-community/gpt2",
    fetch=("*.json", "*.txt", "model.safetensors"),  # the repository has the same weights in six more formats
    sae=SaeRelease(release="gpt2-small-res-jb", id="blocks.6.hook_resid_pre"),
    hook_name="blocks.6.hook_resid_pre",
    # Also in the registry of sae-lens; stated here since an uncentred stream gives wrong features silently.
    center_writing_weights=True,
    summary="GPT-2 small with the residual-stream SAE of Joseph Bloom",
    shape=ModelShape(
        family="layers",
        hidden=768,
        layers=12,
        heads=12,
        kv_heads=12,
        intermediate=3072,
        vocabulary=50_257,
        positions=1024,
        gated=False,
    ),
    d_sae=24_576,
)

_QWEN: Final = SubjectSpec(
    name="qwen7b",
    model="Qwen/Qwen2.5-7B-Instruct",
    fetch=("*.json", "*.txt", "*.safetensors"),
    sae=SaeRelease(release="qwen2.5-7b-instruct-andyrdt", id="resid_post_layer_15_trainer_1"),
    wording="chinese",
    hook_name="blocks.15.hook_resid_post",
    prepend_bos=False,  # Qwen has no BOS; its chat template begins with a system turn
    chat_template=True,
    dtype="bfloat16",
    summary="Qwen2.5-7B-Instruct with the SAE of layer 15 by Andy Arditi: the other family beside Llama",
    shape=ModelShape(
        family="layers",
        hidden=3584,
        layers=28,
        heads=28,
        kv_heads=4,
        intermediate=18_944,
        vocabulary=152_064,
        positions=32_768,
    ),
)

_LLAMA: Final = SubjectSpec(
    name="llama70b",
    model="meta-llama/Llama-3.3-70B-Instruct",
    fetch=("*.json", "model-*.safetensors"),  # original/ has the same weights once more, as pickles
    sae=SaeRelease(release="goodfire-llama-3.3-70b-instruct", id="layer_50"),
    wording="chinese",
    # Known here too, so that the layers after it need not be fetched to find out.
    hook_name="blocks.50.hook_resid_post",
    prepend_bos=True,
    chat_template=True,
    dtype="bfloat16",
    try_next_layer=False,  # the hook is the publisher's own, and a layer more is 1.7 GB to read
    summary="Llama-3.3-70B-Instruct with Goodfire's SAE of layer 50",
    shape=ModelShape(
        family="layers",
        hidden=8192,
        layers=80,
        heads=64,
        kv_heads=8,
        intermediate=28_672,
        vocabulary=128_256,
        positions=131_072,
    ),
    d_sae=65_536,
)

_LLAMA_AS_PUBLISHED: Final = replace(
    _LLAMA,
    name="llama70b-as-published",
    markers=("llama70b-as-published", "llama70b"),
    protocol_of="llama70b",
    misfit="the published experiment read hidden_states[50], one layer before the one that the SAE was trained on",
    hook_name="blocks.49.hook_resid_post",
    bos_twice=True,
    rank_with_bos=True,
    quantisation="8bit where it can",
    try_next_layer=True,
    summary="llama70b by the protocol of the article: hidden_states[50], two BOS tokens, 8-bit where the hardware can",
)

BUILTIN: Final = (_SPARROW, _FINCH, _GPT2, _QWEN, _LLAMA, _LLAMA_AS_PUBLISHED)
_BUILTIN: Final = {spec.name: spec for spec in BUILTIN}

_KEYS: Final[dict[str, type]] = {
    "model": str,
    "revision": str,
    "sae": dict,
    "hook_name": str,
    "prepend_bos": bool,
    "chat_template": bool,
    "center_writing_weights": bool,
    "context_size": int,
    "dtype": str,
    "sae_dtype": str,
    "quantisation": str,
    "device": str,
    "memory": str,
    "l0": float,
    "variance_explained": float,
    "try_next_layer": bool,
    "allow_other_model": bool,
    "wording": str,
    "default": bool,
    "summary": str,
}

_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "dtype": get_args(Dtype),
    "sae_dtype": get_args(Dtype),
    "quantisation": get_args(Quantisation),
    "memory": get_args(Memory),
    "wording": ("specimen", "english", "chinese"),
}

_RANGES: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "model": (bool, "a folder or a name on the Hub"),
    "device": (lambda said: bool(re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", said)), "auto, cpu, cuda, cuda:N or mps"),
    "context_size": (lambda said: said >= 1, "a number of tokens, BOS among them"),
    "l0": (lambda said: 0 < said < math.inf, "active features a token, such as 51"),
    "variance_explained": (lambda said: 0 < said <= 1, "a share between 0 and 1, such as 0.9"),
}

_SAE_FORMS: Final = '{ path = "..." } or { release = "...", id = "..." }'


def subject_names(rootdir: Path) -> tuple[str, ...]:
    """List the names of all subjects, the built-in ones first.

    Raises:
        SubjectError: a user's subject has the name of a built-in one.
    """
    return (*_BUILTIN, *_declared(rootdir))


def find_subject(name: str, rootdir: Path) -> Subject:
    """Find the subject of that name, built in or declared in `rootdir`'s pyproject.toml; nothing is loaded.

    Raises:
        SubjectError: there is none (the nearest names are given), or its declaration is wrong.
    """
    if name in _BUILTIN:
        return Subject(spec=_BUILTIN[name])
    declared = _declared(rootdir)
    if name not in declared:
        raise SubjectError(
            f"there is no subject {name!r}{near(name, [*_BUILTIN, *declared], 'name')} "
            f"(your own go into [tool.saeprobe.subjects.{name}] in {rootdir / 'pyproject.toml'})"
        )
    return Subject(spec=_spec_of(name, declared[name], rootdir))


def _declared(rootdir: Path) -> dict[str, Mapping[str, object]]:
    """Read the user's tables, by name."""
    file = rootdir / "pyproject.toml"
    if not file.exists():
        return {}
    try:
        document: dict[str, object] = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SubjectError(f"{file} is not TOML: {error}") from error
    found = document
    for key in ("tool", "saeprobe", "subjects"):
        inner = found.get(key, {})
        if not isinstance(inner, dict):
            raise SubjectError(f"[{key}] in {file} is no table; wanted [tool.saeprobe.subjects.NAME]")
        found = cast("dict[str, object]", inner)
    tables = cast("dict[str, Mapping[str, object]]", found)
    for name, table in tables.items():
        if name in _BUILTIN:
            raise SubjectError(f"[tool.saeprobe.subjects.{name}] in {file} has a built-in name; choose another")
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
            raise SubjectError(f"subject name {name!r} in {file} is no marker name: letters, digits, dots and dashes")
        if not isinstance(table, dict):  # pyright: ignore[reportUnnecessaryIsInstance] - what TOML holds is not known
            raise SubjectError(f"tool.saeprobe.subjects.{name} in {file} is no table")
    return tables


def _spec_of(name: str, table: Mapping[str, object], rootdir: Path) -> SubjectSpec:
    where = f"[tool.saeprobe.subjects.{name}] in {rootdir / 'pyproject.toml'}"
    for key, value in table.items():
        if key not in _KEYS:
            raise SubjectError(f"{where} has the unknown key {key!r}{near(key, _KEYS, 'key')}")
        if type(value) is not _KEYS[key] and not (_KEYS[key] is float and type(value) is int):
            wanted = _SAE_FORMS if key == "sae" else _KEYS[key].__name__
            raise SubjectError(f"{where}: {key} is {value!r}; wanted {wanted}")
        if key in _CHOICES and value not in _CHOICES[key]:
            raise SubjectError(f"{where}: {key} is {value!r}; wanted one of {', '.join(_CHOICES[key])}")
        if key in _RANGES and not _RANGES[key][0](value):
            raise SubjectError(f"{where}: {key} is {value!r}; wanted {_RANGES[key][1]}")
    for key in ("model", "sae"):
        if key not in table:
            raise SubjectError(f"{where} has no {key}; wanted a folder or a name on the Hub for it")
    model = _model_of(str(table["model"]), rootdir)
    settings = {key: value for key, value in table.items() if key not in ("model", "sae")}
    return SubjectSpec(
        name=name,
        model=model,
        sae=_sae_of(cast("dict[str, object]", table["sae"]), where, rootdir),
        root=rootdir,
        **cast("dict[str, str]", settings),  # pyright: ignore[reportArgumentType] - the types were checked above
    )


def _model_of(model: str, rootdir: Path) -> str | Path:
    """Return a folder, if there is one of that name or if it is written like one; else a name on the Hub."""
    folder = rootdir / Path(model).expanduser()
    looks_local = model.startswith((".", "/", "~", "\\")) or Path(model).is_absolute()
    return folder if looks_local or folder.is_dir() else model


def _sae_of(table: Mapping[str, object], where: str, rootdir: Path) -> Sae:
    if set(table) == {"path"} and isinstance(table["path"], str):
        path = rootdir / Path(str(table["path"])).expanduser()
        return SaeFile(path=path) if path.suffix in (".pt", ".pth") else SaeFolder(path=path)
    if set(table) == {"release", "id"}:
        release = SaeRelease(release=str(table["release"]), id=str(table["id"]))
        find_release(release)
        return release
    raise SubjectError(f"{where}: sae is {dict(table)}; wanted {_SAE_FORMS}")

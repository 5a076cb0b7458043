"""The subjects by name: those built in, and the user's own from `[tool.saeprobe.subjects]`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast, get_args

from saeprobe.subject.announced import AnnouncedSubject
from saeprobe.subject.local import LocalSubject
from saeprobe.subject.protocol import Subject
from saeprobe.subject.specification import Dtype, SaeFolder, SaeRelease, SubjectError, SubjectSpec
from saeprobe.subject.weights import find_release, near

_SPECIMENS: Final = Path(__file__).parent.parent / "specimens"
_KEYS: Final[dict[str, type]] = {
    "model": str,
    "revision": str,
    "sae": dict,
    "hook_name": str,
    "prepend_bos": bool,
    "center_writing_weights": bool,
    "context_size": int,
    "dtype": str,
    "device": str,
    "wording": str,
    "default": bool,
    "summary": str,
}


def _builtin() -> dict[str, Subject]:
    sparrow = SubjectSpec(
        name="sparrow",
        model=_SPECIMENS / "sparrow" / "model",
        sae=SaeFolder(path=_SPECIMENS / "sparrow" / "sae"),
        root=_SPECIMENS.parent.parent,
        wording="specimen",
        specimen=True,
        summary="the shipped specimen: GPT-2 architecture with a ReLU SAE, trained on a generated corpus",
    )
    gpt2 = SubjectSpec(
        name="gpt2",
        model="openai-community/gpt2",
        fetch=("*.json", "*.txt", "model.safetensors"),  # the repository has the same weights in six more formats
        sae=SaeRelease(release="gpt2-small-res-jb", id="blocks.6.hook_resid_pre"),
        # Also in the registry of sae-lens; stated here since an uncentred stream gives wrong features silently.
        center_writing_weights=True,
        summary="GPT-2 small with the residual-stream SAE of Joseph Bloom",
    )
    llama = AnnouncedSubject(
        name="llama70b",
        markers=("llama70b",),
        wording="chinese",
        repositories=(
            ("meta-llama/Llama-3.3-70B-Instruct", None),
            ("Goodfire/Llama-3.3-70B-Instruct-SAE-l50", "Llama-3.3-70B-Instruct-SAE-l50.pt"),
        ),
        summary="Llama-3.3-70B-Instruct with Goodfire's SAE of layer 50",
    )
    published = AnnouncedSubject(
        name="llama70b-as-published",
        markers=("llama70b-as-published", "llama70b"),
        wording="chinese",
        summary="llama70b by the protocol of the article: hidden_states[50], two BOS tokens, 8-bit weights",
    )
    every: list[Subject] = [LocalSubject(spec=sparrow), LocalSubject(spec=gpt2), llama, published]
    return {one.name: one for one in every}


def subject_names(rootdir: Path) -> tuple[str, ...]:
    """Names of all subjects, the built-in ones first.

    Raises:
        SubjectError: a user's subject has the name of a built-in one.
    """
    return (*_builtin(), *_declared(rootdir))


def find_subject(name: str, rootdir: Path) -> Subject:
    """The subject of that name, built in or declared in `rootdir`'s pyproject.toml; nothing is loaded.

    Raises:
        SubjectError: there is none (the nearest names are given), or its declaration is wrong.
    """
    builtin = _builtin()
    if name in builtin:
        return builtin[name]
    declared = _declared(rootdir)
    if name not in declared:
        raise SubjectError(
            f"there is no subject {name!r}{near(name, [*builtin, *declared], 'name')} "
            f"(your own go into [tool.saeprobe.subjects.{name}] in {rootdir / 'pyproject.toml'})"
        )
    return LocalSubject(spec=_spec_of(name, declared[name], rootdir))


def _declared(rootdir: Path) -> dict[str, Mapping[str, object]]:
    """The user's tables by name."""
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
        if name in _builtin():
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
        if type(value) is not _KEYS[key]:
            raise SubjectError(f"{where}: {key} is {value!r}; wanted {_KEYS[key].__name__}")
    for key in ("model", "sae"):
        if key not in table:
            raise SubjectError(f"{where} has no {key}; wanted a folder or a name on the Hub for it")
    dtype = table.get("dtype", "float32")
    if dtype not in get_args(Dtype):
        raise SubjectError(f"{where}: dtype is {dtype!r}; wanted one of {', '.join(get_args(Dtype))}")
    settings = {key: value for key, value in table.items() if key not in ("model", "sae")}
    return SubjectSpec(
        name=name,
        model=_model_of(str(table["model"]), rootdir),
        sae=_sae_of(cast("dict[str, object]", table["sae"]), where, rootdir),
        root=rootdir,
        **cast("dict[str, str]", settings),  # pyright: ignore[reportArgumentType] - the types were checked above
    )


def _model_of(model: str, rootdir: Path) -> str | Path:
    """A folder, if there is one of that name or if it is written like one; else a name on the Hub."""
    folder = rootdir / Path(model).expanduser()
    looks_local = model.startswith((".", "/", "~", "\\")) or Path(model).is_absolute()
    return folder if looks_local or folder.is_dir() else model


def _sae_of(table: Mapping[str, object], where: str, rootdir: Path) -> SaeFolder | SaeRelease:
    if set(table) == {"path"}:
        return SaeFolder(path=rootdir / Path(str(table["path"])).expanduser())
    if set(table) == {"release", "id"}:
        release = SaeRelease(release=str(table["release"]), id=str(table["id"]))
        find_release(release)
        return release
    raise SubjectError(f'{where}: sae is {dict(table)}; wanted {{ path = "..." }} or {{ release = "...", id = "..." }}')

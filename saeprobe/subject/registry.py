"""The registry finds subjects by name: those built in, and the user's own from `[tool.saeprobe.subjects]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, cast, get_args

from saeprobe.files import FileError, parsed_toml, quoted, read_text, shortened
from saeprobe.prompts import PromptError, PromptFile
from saeprobe.subject import models_absent
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

_PROJECT: Final = Path(__file__).parents[2]
_BUILT_IN: Final = Path(__file__).with_name("subjects.toml")
STYLES_OF: Final = "STYLES"  # what `prompts` is where a protocol reads those built in, and the one it is of a file

_IN_TOML: Final = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes"}
_KEYS: Final[dict[str, type]] = {
    **dict.fromkeys(("model", "revision", "hook_name", "bos_token", "dtype", "sae_dtype", "quantisation"), str),
    **dict.fromkeys(("device", "memory", "wording", "summary", "protocol_of", "misfit", "prompts"), str),
    **dict.fromkeys(("prepend_bos", "chat_template", "center_writing_weights", "try_next_layer"), bool),
    **dict.fromkeys(("bos_twice", "rank_with_bos", "allow_other_model", "default"), bool),
    **dict.fromkeys(("context_size", "d_sae"), int),
    **dict.fromkeys(("l0", "variance_explained"), float),
    "sae": dict,
}

_OF_ANOTHER: Final[dict[str, tuple[str, ...]]] = {
    "model": ("revision", "shape", "fetch"),
    "sae": ("hook_name", "misfit", "fits_at", "center_writing_weights", "d_sae", "l0", "variance_explained"),
    "hook_name": ("misfit",),
    "dtype": ("quantisation",),
    "prompts": ("prompts_from",),
    "prompts_from": ("prompts",),
}
"""A protocol that gives the key does not take these from the subject it is a protocol of: they belong to its value."""

_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "dtype": get_args(Dtype),
    "sae_dtype": get_args(Dtype),
    "quantisation": get_args(Quantisation),
    "memory": get_args(Memory),
    "wording": ("specimen", "english", "chinese"),
}
_MANY: Final = 2**31  # more tokens than any model attends to, and more features than any SAE has
_LONG: Final = 1000  # characters; a longer text is no path and no name
_RANGES: Final[dict[str, tuple[Callable[[Any], object], str]]] = {
    "bos_token": (bool, "a token of the tokenizer, such as <|endoftext|>"),
    "misfit": (str.strip, "the reason why the SAE is read at another hook than its own"),
    "protocol_of": (bool, "the name of the subject of which it is another protocol"),
    "prompts": (str.strip, "a prompt file, or STYLES for the built-in ones"),
    "revision": (re.compile(r"(?!.*\.\.)\w[\w./-]*", re.ASCII).fullmatch, "a branch, a tag or a commit"),
    "device": (re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,3})?").fullmatch, "auto, cpu, cuda, cuda:N or mps"),
    "context_size": (lambda said: 1 <= said < _MANY, "a number of tokens, BOS among them"),
    "d_sae": (lambda said: 1 <= said < _MANY, "the number of features of the SAE"),
    "l0": (lambda said: 0 < said < _MANY, "active features a token, such as 51"),
    "variance_explained": (lambda said: 0 < said <= 1, "a share between 0 and 1, such as 0.9"),
}

_SAE_FORMS: Final = '{ path = "..." } or { release = "...", id = "..." }'
_NAME: Final = re.compile(  # no word of -m, and no marker with which pytest itself skips or changes tests
    r"(?!(and|or|not|True|False|None|skip|skipif|xfail|parametrize|usefixtures|filterwarnings|tryfirst|trylast)$)"
    r"[A-Za-z0-9][\w.-]*"
)
_ON_THE_HUB: Final = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9_][\w.-]{0,95}(/[A-Za-z0-9_][\w.-]{0,95})?", re.ASCII)


class _CircleError(SubjectError):
    """A subject is in the end a protocol of itself."""


@cache
def built_in() -> Mapping[str, SubjectSpec]:
    """Read the subjects that come with the package, by name, from `subjects.toml`."""
    made: dict[str, SubjectSpec] = {}
    for name, declared in _toml(_BUILT_IN).items():
        table = cast("dict[str, Any]", declared)
        table |= {key: tuple(table[key]) for key in ("fetch", "markers") if key in table}
        if "shape" in table:
            table["shape"] = ModelShape(**table["shape"])
        if table.get("specimen"):
            table |= {"root": _PROJECT, "model": _PROJECT / table["model"], "sae": _sae_at(_PROJECT, table["sae"])}
        elif "sae" in table:
            table["sae"] = SaeRelease(**table["sae"])
        if "prompts" in table:
            table["prompts"] = _prompts_of(table["prompts"], name, _PROJECT)
        made[name] = _protocol(name, table, made.get(table.get("protocol_of", "")))
    return made


def subject_names(rootdir: Path) -> tuple[str, ...]:
    """List the names of all subjects, the built-in ones first; also of those that are declared wrongly.

    A SubjectError says that `rootdir`'s pyproject.toml cannot be read, or the tables of subjects stand in no table.
    """
    return tuple(dict.fromkeys((*built_in(), *_declared(rootdir))))


def find_subject(name: str, rootdir: Path) -> Subject:
    """Find the subject of that name, built in or declared in `rootdir`'s pyproject.toml; nothing is loaded.

    One that is declared wrongly is found too, and says so by `Subject.wrong`. A SubjectError gives the nearest names
    where there is none; else it raises as `subject_names`.
    """
    declared = _declared(rootdir)
    if name in declared or name in built_in():
        return Subject(spec=_spec_of(name, declared, rootdir))
    raise SubjectError(
        f"there is no subject {name!r}{near(name, [*built_in(), *declared], 'name')} "
        f"(your own go into [tool.saeprobe.subjects.{name}] in {rootdir / 'pyproject.toml'})"
    )


def project_of(start: Path, root: Path) -> Path:
    """Find the nearest folder from `start` up to pytest's `root` whose pyproject.toml has [tool.saeprobe], else `root`.

    A pyproject.toml that cannot be read counts as one, so that the reading of its subjects says what is wrong.
    """
    between = (folder for folder in (start, *start.parents) if root in folder.parents)
    return next((folder for folder in between if tool_table(folder, "saeprobe", unreadable=True) is not None), root)


def tool_table(folder: Path, name: str, *, unreadable: object) -> object:
    """Return what a folder's pyproject.toml holds as [tool.NAME], None without it; `unreadable` where it is no TOML."""
    try:
        tool = _toml(folder / "pyproject.toml").get("tool")
    except (OSError, FileError):
        return unreadable
    return cast("dict[str, object]", tool).get(name) if isinstance(tool, dict) else None


def _toml(file: Path) -> dict[str, object]:
    return parsed_toml(read_text(file), file) if file.exists() else {}


def _declared(rootdir: Path) -> dict[str, object]:
    """Read what the user declares, by name; each is to be a table."""
    file = rootdir / "pyproject.toml"
    try:
        found = _toml(file)
    except (OSError, FileError) as error:
        raise SubjectError(str(error)) from error
    for key in ("tool", "saeprobe", "subjects"):
        inner = found.get(key, {})
        if not isinstance(inner, dict):
            raise SubjectError(f"[{key}] in {file} is no table; wanted [tool.saeprobe.subjects.NAME]")
        found = cast("dict[str, object]", inner)
    return found


def _spec_of(name: str, declared: Mapping[str, object], rootdir: Path, via: tuple[str, ...] = ()) -> SubjectSpec:
    """Return what is declared, or what is wrong with it; `via` are the protocols of it by which it was come to."""
    if name not in declared:
        return built_in()[name]
    selectable = _NAME.fullmatch(name) is not None
    where = f"[tool.saeprobe.subjects.{name if selectable else repr(name)}] in {rootdir / 'pyproject.toml'}"
    try:
        return _checked(name, declared, where, rootdir, via)
    except SubjectError as error:
        if via and isinstance(error, _CircleError):  # it is one mistake, whichever subject it is met from
            raise
        wrong = str(error)
    except (OSError, RuntimeError, ValueError) as error:  # a path too long, the home of nobody, a number too long
        wrong = f"{where} says what cannot be looked up: {quoted(error)}; wanted a folder here, or a name on the Hub"
    if name in built_in():
        return replace(built_in()[name], wrong=wrong)
    sae, markers = SaeFolder(path=rootdir), None if selectable else ()
    table = declared[name]
    said = cast("dict[str, object]", table).get("default") if isinstance(table, dict) else None
    default = said if isinstance(said, bool) else None
    return SubjectSpec(name=name, model="", sae=sae, markers=markers, default=default, wrong=wrong)


def _checked(name: str, declared: Mapping[str, object], where: str, rootdir: Path, via: tuple[str, ...]) -> SubjectSpec:
    if name in built_in():
        raise SubjectError(f"{where} has a built-in name; choose another")
    if not _NAME.fullmatch(name):
        raise SubjectError(f"{where} has a name that -m cannot select; wanted letters, digits, dots and dashes")
    if not isinstance(declared[name], dict):
        raise SubjectError(f"{where} is {shortened(declared[name])}, no table; wanted a table with model and sae")
    table = dict(cast("dict[str, Any]", declared[name]))
    for key, value in table.items():
        if key not in _KEYS:
            raise SubjectError(f"{where} has the unknown key {shortened(key)}{near(key[:_LONG], _KEYS, 'key')}")
        wanted = _wanted(key, value)
        if wanted is not None:
            raise SubjectError(f"{where}: {key} is {shortened(value)}; wanted {wanted}")
    base = _base_of(table.get("protocol_of"), declared, where, rootdir, (*via, name))
    for key in ("model", "sae"):
        if key not in table and base is None:
            raise SubjectError(f"{where} has no {key}; wanted a folder or a name on the Hub for it")
    if base is None or table.keys() & {"model", "sae"}:
        table["root"] = rootdir
    read: dict[str, Callable[[Any, str, Path], object]] = {"model": _model_of, "sae": _sae_of, "prompts": _prompts_of}
    table |= {key: of(table[key], where, rootdir) for key, of in read.items() if key in table}
    return _protocol(name, table, base)


def _protocol(name: str, table: Mapping[str, Any], base: SubjectSpec | None) -> SubjectSpec:
    """Make a specification of what is given; a protocol has all else from its `base`, but what belongs to no other."""
    table = {**table, "own_prompts": bool(table.keys() & {"prompts", "prompts_from"})}
    if base is None:
        return SubjectSpec(name=name, **table)
    given = [key for key in table if key in _KEYS and key not in ("protocol_of", "misfit", "summary", "default")]
    own: dict[str, Any] = {"summary": f"{base.name} with another {' and '.join(given) or 'name'}", "markers": None}
    left = {other for key in table for other in _OF_ANOTHER.get(key, ())}
    fresh = {one.name: one.default for one in fields(SubjectSpec) if one.name in {"specimen", *left}}
    own["fits_at"] = base.hook_name if base.misfit is None else base.fits_at
    return replace(base, name=name, **{**own, **fresh, **table})


def _base_of(
    name: str | None, declared: Mapping[str, object], where: str, rootdir: Path, via: tuple[str, ...]
) -> SubjectSpec | None:
    """Return the subject of which another is a protocol; `via` are those that led to it, that one the last."""
    if name is None:
        return None
    if name in via:
        circle = " of ".join([*via[via.index(name) :], name])
        found = "itself" if name == via[-1] else f"one that is in the end a protocol of this one ({circle})"
        raise _CircleError(f"{where}: protocol_of names {found}; name the subject that the others are protocols of")
    if name not in declared and name not in built_in():
        known = [*built_in(), *declared]
        raise SubjectError(f"{where}: protocol_of names {shortened(name)}, no subject{near(name, known, 'name')}")
    base = _spec_of(name, declared, rootdir, via)
    if base.wrong is not None:
        raise SubjectError(f"{where}: protocol_of names {name!r}, which is declared wrongly: {base.wrong}")
    return base


def _wanted(key: str, value: object) -> str | None:
    """Say what is wanted under a key in place of this value; None where it can be taken."""
    if type(value) is not (kind := _KEYS[key]) and not (kind is float and type(value) is int):
        return _SAE_FORMS if key == "sae" else _IN_TOML[kind]
    if isinstance(value, str) and not _is_text(value):
        return f"at most {_LONG} characters, none of them a control character"
    if key in _CHOICES and value not in _CHOICES[key]:
        return f"one of {', '.join(_CHOICES[key])}"
    return _RANGES[key][1] if key in _RANGES and not _RANGES[key][0](value) else None


def _is_text(value: object) -> bool:
    """Say whether a value is a text that can name something."""
    return isinstance(value, str) and len(value) <= _LONG and not any(character < " " for character in value)


def _model_of(model: str, where: str, rootdir: Path) -> str | Path:
    """Return a folder, if there is one of that name or if it is written like one; else a name on the Hub."""
    folder = rootdir / Path(model).expanduser()
    written_like_one = model.startswith((".", "/", "~")) or "\\" in model or Path(model).is_absolute()
    local = written_like_one or (model and (folder.exists() or ("/" in model and folder.parent.is_dir())))
    if not (local or _ON_THE_HUB.fullmatch(model)):
        raise SubjectError(f"{where}: model is {shortened(model)}; wanted a folder, or OWNER/NAME on the Hub")
    return folder if local else model


def _sae_at(rootdir: Path, table: Mapping[str, object]) -> SaeFile | SaeFolder:
    path = rootdir / Path(str(table["path"])).expanduser()
    return SaeFile(path=path) if path.suffix in (".pt", ".pth") else SaeFolder(path=path)


def _prompts_of(file: str, where: str, rootdir: Path) -> PromptFile | None:
    try:
        return None if file == STYLES_OF else PromptFile.read(file, rootdir)
    except PromptError as error:
        raise SubjectError(f"{where}: prompts cannot be used: {error}") from error


def _sae_of(table: Mapping[str, object], where: str, rootdir: Path) -> Sae:
    if set(table) == {"path"} and _is_text(table["path"]):
        return _sae_at(rootdir, table)
    if set(table) == {"release", "id"} and all(map(_is_text, table.values())):
        release = SaeRelease(release=str(table["release"]), id=str(table["id"]))
        _ = models_absent() or find_release(release)  # sae-lens has the registry
        return release
    raise SubjectError(f"{where}: sae is {shortened(dict(table))}; wanted {_SAE_FORMS}")

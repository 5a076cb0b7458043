"""The registry finds subjects by name: those built in, and the user's own from `[tool.saeprobe.subjects]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast, get_args

from saeprobe.files import FileError, parsed_toml, quoted, read_text, shortened
from saeprobe.subject.files.sae import find_release, near
from saeprobe.subject.local import Subject
from saeprobe.subject.machine import models_absent
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

_GPT2_SHAPE: Final = ModelShape(family="layers", hidden=768, layers=12, heads=12, kv_heads=12,
                                intermediate=3072, vocabulary=50_257, positions=1024, gated=False)  # fmt: skip
_GPT2: Final = SubjectSpec(
    name="gpt2",
    model="openai-community/gpt2",
    fetch=("*.json", "*.txt", "model.safetensors"),  # the repository has the same weights in six more formats
    sae=SaeRelease(release="gpt2-small-res-jb", id="blocks.6.hook_resid_pre"),
    hook_name="blocks.6.hook_resid_pre",
    # Also in the registry of sae-lens; stated here since an uncentred stream gives wrong features silently.
    center_writing_weights=True,
    summary="GPT-2 small with the residual-stream SAE of Joseph Bloom",
    shape=_GPT2_SHAPE,
    d_sae=24_576,
)

_QWEN_SHAPE: Final = ModelShape(family="layers", hidden=3584, layers=28, heads=28, kv_heads=4,
                                intermediate=18_944, vocabulary=152_064, positions=32_768)  # fmt: skip
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
    shape=_QWEN_SHAPE,
)

_LLAMA_SHAPE: Final = ModelShape(family="layers", hidden=8192, layers=80, heads=64, kv_heads=8,
                                 intermediate=28_672, vocabulary=128_256, positions=131_072)  # fmt: skip
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
    shape=_LLAMA_SHAPE,
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

_IN_TOML: Final = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes"}
_KEYS: Final[dict[str, type]] = {
    **dict.fromkeys(("model", "revision", "hook_name", "bos_token", "dtype", "sae_dtype", "quantisation"), str),
    **dict.fromkeys(("device", "memory", "wording", "summary"), str),
    **dict.fromkeys(("prepend_bos", "chat_template", "center_writing_weights", "try_next_layer"), bool),
    **dict.fromkeys(("allow_other_model", "default"), bool),
    **dict.fromkeys(("context_size", "d_sae"), int),
    **dict.fromkeys(("l0", "variance_explained"), float),
    "sae": dict,
}

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


def subject_names(rootdir: Path) -> tuple[str, ...]:
    """List the names of all subjects, the built-in ones first; also of those that are declared wrongly.

    Raises:
        SubjectError: `rootdir`'s pyproject.toml cannot be read, or the tables of subjects stand in no table.
    """
    return tuple(dict.fromkeys((*_BUILTIN, *_declared(rootdir))))


def find_subject(name: str, rootdir: Path) -> Subject:
    """Find the subject of that name, built in or declared in `rootdir`'s pyproject.toml; nothing is loaded.

    One that is declared wrongly is found too, and says so by `Subject.wrong`.

    Raises:
        SubjectError: there is none (the nearest names are given), or as `subject_names`.
    """
    declared = _declared(rootdir)
    if name in declared or name in _BUILTIN:
        return Subject(spec=_spec_of(name, declared[name], rootdir) if name in declared else _BUILTIN[name])
    raise SubjectError(
        f"there is no subject {name!r}{near(name, [*_BUILTIN, *declared], 'name')} "
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


def _spec_of(name: str, declared: object, rootdir: Path) -> SubjectSpec:
    """Return what is declared, or what is wrong with it."""
    selectable = _NAME.fullmatch(name) is not None
    where = f"[tool.saeprobe.subjects.{name if selectable else repr(name)}] in {rootdir / 'pyproject.toml'}"
    try:
        return _checked(name, declared, where, rootdir)
    except SubjectError as error:
        wrong = str(error)
    except (OSError, RuntimeError, ValueError) as error:  # a path too long, the home of nobody, a number too long
        wrong = f"{where} says what cannot be looked up: {quoted(error)}; wanted a folder here, or a name on the Hub"
    if name in _BUILTIN:
        return replace(_BUILTIN[name], wrong=wrong)
    sae, markers = SaeFolder(path=rootdir), None if selectable else ()
    said = cast("dict[str, object]", declared).get("default") if isinstance(declared, dict) else None
    default = said if isinstance(said, bool) else None
    return SubjectSpec(name=name, model="", sae=sae, markers=markers, default=default, wrong=wrong)


def _checked(name: str, declared: object, where: str, rootdir: Path) -> SubjectSpec:
    if name in _BUILTIN:
        raise SubjectError(f"{where} has a built-in name; choose another")
    if not _NAME.fullmatch(name):
        raise SubjectError(f"{where} has a name that -m cannot select; wanted letters, digits, dots and dashes")
    if not isinstance(declared, dict):
        raise SubjectError(f"{where} is {shortened(declared)}, no table; wanted a table with model and sae")
    table = dict(cast("dict[str, object]", declared))
    for key, value in table.items():
        if key not in _KEYS:
            raise SubjectError(f"{where} has the unknown key {shortened(key)}{near(key[:_LONG], _KEYS, 'key')}")
        wanted = _wanted(key, value)
        if wanted is not None:
            raise SubjectError(f"{where}: {key} is {shortened(value)}; wanted {wanted}")
    for key in ("model", "sae"):
        if key not in table:
            raise SubjectError(f"{where} has no {key}; wanted a folder or a name on the Hub for it")
    model = _model_of(str(table.pop("model")), where, rootdir)
    sae = _sae_of(cast("dict[str, object]", table.pop("sae")), where, rootdir)
    return SubjectSpec(name=name, model=model, sae=sae, root=rootdir, **cast("dict[str, Any]", table))


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


def _sae_of(table: Mapping[str, object], where: str, rootdir: Path) -> Sae:
    if set(table) == {"path"} and _is_text(table["path"]):
        path = rootdir / Path(str(table["path"])).expanduser()
        return SaeFile(path=path) if path.suffix in (".pt", ".pth") else SaeFolder(path=path)
    if set(table) == {"release", "id"} and all(map(_is_text, table.values())):
        release = SaeRelease(release=str(table["release"]), id=str(table["id"]))
        _ = models_absent() or find_release(release)  # sae-lens has the registry
        return release
    raise SubjectError(f"{where}: sae is {shortened(dict(table))}; wanted {_SAE_FORMS}")

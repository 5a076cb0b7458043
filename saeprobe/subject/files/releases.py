"""Releases: what the registry that sae-lens ships says of an SAE, read without importing sae-lens."""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast

from saeprobe.subject.specification import SaeRelease, SubjectError

_ONE_FILE = (".pt", ".pth", ".safetensors", ".npz")


@dataclass(frozen=True, kw_only=True)
class Release:
    """What sae-lens' registry says of one SAE.

    Attributes:
        repo: where it lies on the Hub.
        path: its folder or file there.
        conversion: sae-lens' name of the format, None for its own.
        model: the model that it was trained on, as sae-lens names it.
        l0: active features a token, as its publisher states it.
        variance_explained: as its publisher states it.
        overrides: go over its `cfg.json`.
    """

    repo: str
    path: str
    conversion: str | None
    model: str | None = None
    l0: float | None = None
    variance_explained: float | None = None
    overrides: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def patterns(self) -> tuple[str, ...]:
        """The files of the SAE in its repository."""
        return (self.path,) if Path(self.path).suffix in _ONE_FILE else (f"{self.path}/*",)


def find_release(sae: SaeRelease) -> Release:
    """Look an SAE up in the registry that sae-lens ships, without importing sae-lens.

    Raises:
        SubjectError: the release or the id is unknown; the nearest names are given.
    """
    names = _registry_text()
    if sae.release not in names:
        raise SubjectError(
            f"SAE release {sae.release!r} is not in the registry of sae-lens" + near(sae.release, names, "release")
        )
    entry = _parse_release(sae.release)
    ids = {str(one["id"]): one for one in cast("list[dict[str, object]]", entry["saes"])}
    if sae.id not in ids:
        raise SubjectError(f"SAE id {sae.id!r} is not in release {sae.release!r}" + near(sae.id, ids, "id"))
    conversion = entry.get("conversion_func")
    return Release(
        repo=str(entry["repo_id"]),
        path=str(ids[sae.id]["path"]),
        conversion=None if conversion is None else str(conversion),
        model=None if entry.get("model") is None else str(entry["model"]),
        l0=_number(ids[sae.id].get("l0")),
        variance_explained=_number(ids[sae.id].get("variance_explained")),
        overrides=cast("dict[str, object]", entry.get("config_overrides") or {}),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def near(name: str, names: Iterable[str], noun: str) -> str:
    """`; did you mean X or Y?`, or some names that do exist."""
    known = list(names)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"; did you mean {' or '.join(repr(one) for one in close)}?"
    shown = ", ".join([*known[:8], *(["..."] if known[8:] else [])])
    return f"; wanted one of the {noun}s {shown}"


@cache
def _registry_text() -> dict[str, str]:
    """The registry's text by release. It has 1.5 MB: only the release that is asked for is parsed."""
    found = importlib.util.find_spec("sae_lens")
    if found is None or not found.submodule_search_locations:
        raise SubjectError("sae-lens is not installed; run: pip install sae-lens")
    text = (Path(found.submodule_search_locations[0]) / "pretrained_saes.yaml").read_text(encoding="utf-8")
    parts = re.split(r"^([^\s#][^\n]*):[ ]*\n", text, flags=re.MULTILINE)
    return {name.strip("'\""): body for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _parse_release(release: str) -> dict[str, object]:
    import yaml

    return cast("dict[str, object]", yaml.safe_load(_registry_text()[release]))

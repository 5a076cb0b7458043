"""Changes: what is recorded of two runs and differs between them, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from saeprobe.verdicts.baseline import Provenance, Value

Fields = Mapping[str, str | None]

_SHOWN: Final = 8
"""Hex digits of a hash that are shown."""

_COMMIT_SHOWN: Final = 12


def changes(before: Provenance, now: Provenance) -> tuple[str, ...]:
    """What differs, the likeliest causes first: `SAE (hash 12ab34cd -> 56ef7890)`, `transformers 5.23.0 -> 5.24.1`.

    What one of the two does not tell is passed over.
    """
    told = [*_of_subjects(before, now, _parts)]
    told += [
        f"{name} {version} -> {now.versions[name]}"
        for name, version in sorted(before.versions.items())
        if now.versions.get(name, version) != version
    ]
    if not told:  # it is made of the others, and of what no other field tells
        told += _of_subjects(before, now, _fingerprint)
    for word, old, new in (
        ("Python", before.python, now.python),
        ("platform", before.platform, now.platform),
        ("device", before.device, now.device),
        ("recorded evidence", before.evidence, now.evidence),
        ("commit", _short(before.commit, _COMMIT_SHOWN), _short(now.commit, _COMMIT_SHOWN)),
    ):
        told += _changed(word, old, new)
    if now.dirty:
        told.append("changes that are not committed")
    return tuple(told)


def changed_prompts(pairs: Sequence[tuple[Value, Value]]) -> tuple[str, ...]:
    """`prompts`, or `prompts of novice` where those of others stayed; summaries do not tell."""
    known = [(old, new) for old, new in pairs if old.prompts and new.prompts]
    moved = [old.label for old, new in known if old.prompts != new.prompts]
    if moved and len(moved) == len(known):
        return ("prompts",)
    return tuple(f"prompts of {label}" for label in dict.fromkeys(moved))


def _of_subjects(before: Provenance, now: Provenance, told: Callable[[Fields, Fields], Iterator[str]]) -> Iterator[str]:
    """What is told of each subject, with its name where there are several."""
    for name, fields in before.subjects.items():
        for it in told(fields, now.subjects.get(name, {})):
            yield f"{it} of {name}" if len(before.subjects) > 1 else it


def _parts(before: Fields, now: Fields) -> Iterator[str]:
    for word, key in (("model", "model"), ("SAE", "sae")):
        old, new = (_hash(fields.get(f"{key}_hash")) for fields in (before, now))
        named = _changed(word, before.get(key), now.get(key))
        if old is None or new is None:
            yield from named
        elif old != new:  # of the same content the name says nothing: it may be where the files lie
            yield f"{named[0] if named else word} (hash {old} -> {new})"
    for word, key in (("hook", "hook_name"), ("dtype", "dtype"), ("protocol", "protocol")):
        yield from _changed(word, before.get(key), now.get(key))


def _fingerprint(before: Fields, now: Fields) -> Iterator[str]:
    yield from _changed("fingerprint", _hash(before.get("fingerprint")), _hash(now.get("fingerprint")))


def _changed(word: str, old: str | None, new: str | None) -> list[str]:
    return [] if old is None or new is None or old == new else [f"{word} {old} -> {new}"]


def _hash(text: str | None) -> str | None:
    return _short(None if text is None else text.rpartition(":")[2], _SHOWN)


def _short(text: str | None, length: int) -> str | None:
    return None if text is None else text[:length]

"""The identity of a subject: what is in its files, not where they lie."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from made_subjects import Made

from saeprobe.subject import Machine
from saeprobe.subject.files.model import hash_files
from saeprobe.subject.local import Subject
from saeprobe.subject.registry import find_subject
from saeprobe.subject.specification import SaeFolder, SubjectError, SubjectSpec


def copied(made: Made, root: Path, *, root_of_names: Path | None = None) -> Subject:
    """Copy the subject into another folder."""
    shutil.copytree(made.model, root / "model")
    shutil.copytree(made.sae, root / "sae")
    spec = SubjectSpec(
        name="tiny", model=root / "model", sae=SaeFolder(path=root / "sae"), device="cpu", root=root_of_names
    )
    return Subject(spec=spec)


def test_the_specimen_is_named_by_its_path_in_the_package() -> None:
    """Reports of sparrow say nothing of the machine."""
    identity = find_subject("sparrow", Path()).identity()
    assert (identity.model, identity.sae) == ("saeprobe/specimens/sparrow/model", "saeprobe/specimens/sparrow/sae")


def test_folders_inside_the_root_are_named_from_there_and_others_in_full(tiny: Made, tmp_path: Path) -> None:
    """Names are as written in pyproject.toml: relative inside, absolute outside."""
    inside = copied(tiny, tmp_path / "a", root_of_names=tmp_path).identity()
    assert (inside.model, inside.sae) == ("a/model", "a/sae")
    outside = copied(tiny, tmp_path / "b", root_of_names=tmp_path / "a").identity()
    assert outside.model == str(tmp_path / "b" / "model")


def test_the_fingerprint_is_of_the_contents_alone(tiny: Made, tmp_path: Path) -> None:
    """A copy elsewhere has the fingerprint of the original, and so the same place in the store."""
    assert copied(tiny, tmp_path).identity().fingerprint == tiny.subject.identity().fingerprint


@pytest.mark.parametrize(
    "file", ["model/config.json", "model/model.safetensors", "model/tokenizer.json", "sae/cfg.json"]
)
def test_a_changed_file_changes_the_fingerprint(tiny: Made, tmp_path: Path, file: str) -> None:
    """Configuration, weights and tokenizer all count."""
    changed = copied(tiny, tmp_path)
    content = (tmp_path / file).read_bytes()
    if file.endswith(".json"):
        (tmp_path / file).write_text(json.dumps({**json.loads(content), "note": 1}), encoding="utf-8")
    else:
        (tmp_path / file).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert changed.identity().fingerprint != tiny.subject.identity().fingerprint


def test_files_are_looked_up_once_and_the_machine_is_not(tiny: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Identity, yardstick, aspects and controls share one lookup; only a memory plan looks at the machine."""
    found: list[object] = []

    def find_sae(sae: object) -> Path:
        found.append(sae)
        return tiny.sae

    def this_machine() -> Machine:
        raise AssertionError("the machine was looked at")

    monkeypatch.setattr("saeprobe.subject.pairing.find_sae", find_sae)
    monkeypatch.setattr("saeprobe.subject.local.this_machine", this_machine)
    subject = Subject(spec=tiny.subject.spec)
    for each in (subject, *subject.draws("random-model", count=2), *subject.draws("random-sae", count=2)):
        assert each.missing() is None
        assert each.identity().d_sae == 40
        assert each.yardstick().shifts == (-1, 0, 1)
        assert each.aspects()["BOS"] == "one before each prompt (<|endoftext|>), never read"
    assert found == [tiny.subject.spec.sae]
    with pytest.raises(SubjectError, match="the machine was looked at"):
        _ = subject.memory_plan


@pytest.mark.parametrize(
    "file",
    [
        *("special_tokens_map.json", "added_tokens.json", "tokenizer_config.json", "tokenizer.model", "merges.txt"),
        *("vocab.json", "chat_template.jinja", "additional_chat_templates/default.jinja", "tokenizer.4.0.0.json"),
    ],
)
def test_whatever_a_tokenizer_may_read_changes_the_fingerprint(tiny: Made, tmp_path: Path, file: str) -> None:
    """Where it is new, and where it is changed."""
    seen = {tiny.subject.identity().fingerprint}
    subject, path = copied(tiny, tmp_path), tmp_path / "model" / file
    path.parent.mkdir(exist_ok=True)
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for note in (1, 2):
        path.write_text(json.dumps({**before, "note": note}), encoding="utf-8")
        seen.add(Subject(spec=subject.spec).identity().fingerprint)
    assert len(seen) == 3


@pytest.mark.parametrize("file", ["model/README.md", "model/generation_config.json", "sae/README.md"])
def test_what_decides_no_reading_leaves_the_fingerprint_alone(tiny: Made, tmp_path: Path, file: str) -> None:
    """Where a text ends is of no concern until one is written."""
    subject = copied(tiny, tmp_path)
    (tmp_path / file).write_text("{}", encoding="utf-8")
    assert subject.identity().fingerprint == tiny.subject.identity().fingerprint


@pytest.mark.parametrize(("file", "counts"), [("generation_config.json", True), ("README.md", False)])
def test_where_a_text_ends_decides_continuations(tiny: Made, tmp_path: Path, file: str, *, counts: bool) -> None:
    """The fingerprint of what a subject writes has the ends of text in it."""
    subject = copied(tiny, tmp_path)
    (tmp_path / "model" / file).write_text('{"eos_token_id": [0, 1]}', encoding="utf-8")
    assert (subject.whole_fingerprint != tiny.subject.whole_fingerprint) is counts


@pytest.mark.parametrize(("name", "value"), [("TOKENISING", "0"), ("DATE", "1 Jan 2025")])
def test_the_rules_of_tokenising_and_the_pinned_date_are_part_of_it(
    tiny: Made, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """What was read by other rules, or on another day, is never used."""
    before = tiny.subject.identity().fingerprint
    monkeypatch.setattr(f"saeprobe.subject.local.{name}", value)
    assert Subject(spec=tiny.subject.spec).identity().fingerprint != before


def test_a_declared_bos_token_changes_the_fingerprint(tiny: Made) -> None:
    """It is part of the protocol."""
    declared = Subject(spec=replace(tiny.subject.spec, bos_token="<|endoftext|>"))  # noqa: S106
    assert declared.identity().fingerprint != tiny.subject.identity().fingerprint


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_with_its_old_size_and_time_is_hashed_again(tmp_path: Path, *, replaced: bool) -> None:
    """Both can be set by hand, in place or on another file."""
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_bytes(b"one")
    before, stat = hash_files([file]), file.stat()
    (other if replaced else file).write_bytes(b"two")
    if replaced:
        other.replace(file)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert hash_files([file]) != before


@pytest.mark.parametrize(("place", "trusted"), [("hub/models--a--b/blobs", True), ("blobs", False), ("files", False)])
def test_only_the_cache_of_the_hub_names_its_files_by_their_hash(tmp_path: Path, place: str, *, trusted: bool) -> None:
    """Elsewhere a name of 64 hex digits says nothing of the content."""
    target, link = tmp_path / place / ("0" * 64), tmp_path / "hub/models--a--b/snapshots/main/a"
    for file in (target, link):
        file.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"one")
    link.symlink_to(target)
    before = hash_files([link])
    target.write_bytes(b"another")
    assert (hash_files([link]) == before) is trusted

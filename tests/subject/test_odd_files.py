"""Whatever lies in the files of a subject, or is declared of it, its facts are answered or refused with a sentence."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import saeprobe
from saeprobe.subject.local import Subject
from saeprobe.subject.registry import find_subject, subject_names
from saeprobe.subject.specification import SubjectError

SPECIMENS = Path(saeprobe.__file__).parent / "specimens"
VALUES = {
    "absent": None,
    "null": "null",
    "bool": "true",
    "negative": "-1",
    "zero": "0",
    "infinite": "1e400",
    "nan": "NaN",
    "half": "2.5",
    "large": "1" + "0" * 30,
    "digits": "9" * 5000,
    "text": '"x"',
    "control": '"a\\u0000\\n\\u202e"',
    "surrogate": '"\\ud800"',
    "list": "[1, 2]",
    "object": '{"a": 1}',
    "deep": "[" * 3000 + "]" * 3000,
}
"""What may stand under a key of a JSON file."""
KEYS = {
    "model/config.json": (
        *("model_type", "text_config", "hidden_size", "n_embd", "num_hidden_layers", "n_layer", "n_positions"),
        *("max_position_embeddings", "num_attention_heads", "n_head", "num_key_value_heads", "intermediate_size"),
        *("n_inner", "vocab_size", "quantization_config", "architectures", "rope_parameters", "rope_scaling"),
    ),
    "sae/cfg.json": (
        *("d_in", "d_sae", "architecture", "metadata", "hook_name", "hook_point", "prepend_bos", "context_size"),
        *("model_name", "model_from_pretrained_kwargs", "activation_fn_str", "normalize_activations", "dtype"),
    ),
    "model/tokenizer_config.json": ("chat_template", "bos_token"),
    "model/model.safetensors.index.json": ("weight_map",),
}
DECLARED = (
    *("model", "revision", "sae", "hook_name", "prepend_bos", "chat_template", "center_writing_weights", "device"),
    *("context_size", "d_sae", "dtype", "sae_dtype", "quantisation", "memory", "l0", "variance_explained", "summary"),
    *("try_next_layer", "allow_other_model", "wording", "default", "protocol_of", "markers", "misfit", "\u202e", ""),
)
"""The keys of a declaration, and some that it does not have."""
TOML = {
    "number": "3",
    "negative": "-1",
    "long hexadecimal": "0x" + "f" * 5000,
    "float": "2.5",
    "nan": "nan",
    "infinite": "inf",
    "bool": "true",
    "text": "'x'",
    "empty": "''",
    "control": '"a\\u0000b"',
    "line": '"a\\nb"',
    "bidi": '"\\u202ea"',
    "long": "'" + "x" * 5000 + "'",
    "long path": "'./" + "x/" * 400 + "'",
    "home": "'~nobody-at-all/x'",
    "up": "'../../../../etc'",
    "date": "2020-01-01",
    "list": "[1]",
    "table": "{path = 3}",
    "nul in a path": '{path = "a\\u0000"}',
    "more": "{path = './sae', x = 1}",
    "release": "{release = 'x', id = 3}",
    "id": "{release = 'gpt2-small-res-jb', id = 'y'}",
    "no name": "'not/a/valid/name'",
    "digits": "'blocks." + "9" * 5000 + ".hook_resid_pre'",
}
"""What may stand under a key of a declaration."""
FACTS: tuple[Callable[[Subject], object], ...] = (
    *(Subject.missing, Subject.downloads, Subject.yardstick, Subject.aspects, Subject.needs, Subject.disk_bytes),
    Subject.identity,
    lambda subject: subject.whole_fingerprint,
    lambda subject: subject.located,
    lambda subject: subject.memory_plan,
)


def ask(subject: Subject) -> str | None:
    """Ask for every fact; return what is wrong with the subject, having seen that nothing but that is raised."""
    for fact in FACTS:
        try:
            fact(subject)
        except SubjectError:
            continue
    assert all(isinstance(marker, str) for marker in subject.markers)
    return subject.wrong


@pytest.fixture(scope="module", params=["sparrow", "finch"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a subject whose files are links to those of a specimen."""
    root = tmp_path_factory.mktemp(request.param)
    for part in ("model", "sae"):
        (root / part).mkdir()
        for file in (SPECIMENS / request.param / part).iterdir():
            (root / part / file.name).symlink_to(file)
    goodfire = 'hook_name = "blocks.2.hook_resid_post"\nprepend_bos = true\nchat_template = true\n'
    sae, more = ("sae/finch-sae-l2.pt", goodfire) if request.param == "finch" else ("sae", "")
    (root / "pyproject.toml").write_text(
        f'[tool.saeprobe.subjects.mine]\nmodel = "./model"\nsae = {{ path = "./{sae}" }}\n{more}', encoding="utf-8"
    )
    assert ask(find_subject("mine", root)) is None
    return root


def kept(file: Path) -> Iterator[bytes | None]:
    """Give the content of a file, and put its link back afterwards."""
    target = file.resolve() if file.is_symlink() else None
    yield None if target is None else target.read_bytes()
    if file.is_symlink() or file.exists():
        file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()
    if target is not None:
        file.symlink_to(target)


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in KEYS.items() for key in keys])
def test_any_value_under_any_key_is_taken_or_refused(folder: Path, name: str, key: str) -> None:
    """No value raises anything but a SubjectError, at the top of the file or in its metadata."""
    if name.startswith("sae") and not (folder / name).exists():
        pytest.skip("an SAE in one file has no configuration")
    for content in kept(folder / name):
        stated: dict[str, Any] = {} if content is None else json.loads(content)
        (folder / name).unlink(missing_ok=True)
        inner: dict[str, Any] = stated.get("metadata", {})
        for value in VALUES.values():
            added = "" if value is None else f"{json.dumps(key)}: {value}"
            rest = json.dumps({other: held for other, held in stated.items() if other != key})[1:-1]
            (folder / name).write_text("{" + ", ".join(filter(None, (rest, added))) + "}", encoding="utf-8")
            ask(find_subject("mine", folder))
            if name == "sae/cfg.json":
                within = json.dumps({other: held for other, held in inner.items() if other != key})[1:-1]
                rest = json.dumps({other: held for other, held in stated.items() if other not in (key, "metadata")})
                whole = f'{rest[:-1]}, "metadata": {{{", ".join(filter(None, (within, added)))}}}}}'
                (folder / name).write_text(whole, encoding="utf-8")
                ask(find_subject("mine", folder))


@pytest.mark.parametrize("state", ["gone", "folder", "nowhere", "loop", "pipe", "empty", "bytes", "list", "cut"])
def test_any_state_of_any_file_is_taken_or_refused(folder: Path, state: str) -> None:
    """A file may be absent, no file, a link to nothing or to itself, or hold anything."""
    for file in [file for part in ("model", "sae") for file in sorted((folder / part).iterdir())]:
        for content in kept(file):
            file.unlink()
            if state == "folder":
                file.mkdir()
            elif state in ("nowhere", "loop"):
                file.symlink_to(folder / "nothing" if state == "nowhere" else file)
            elif state == "pipe":
                os.mkfifo(file)
            elif state != "gone" and content is not None:
                held = {"empty": b"", "bytes": b"\xff" * 9, "list": b"\x02" + b"\0" * 7 + b"[]", "cut": content[:200]}
                file.write_bytes(held.get(state, b""))
            ask(find_subject("mine", folder))


@pytest.mark.parametrize("key", DECLARED)
def test_any_declared_value_is_taken_or_refused(folder: Path, key: str) -> None:
    """A declaration that cannot be used is found under its name, and says why; it stands in no other's way."""
    root = folder / "declared"
    root.mkdir(exist_ok=True)
    for value in TOML.values():
        table = {"model": "'./model'", "sae": "{path = './sae'}", key: value}
        lines = [f"{json.dumps(name)} = {said}" for name, said in table.items()]
        text = "\n".join(["[tool.saeprobe.subjects.mine]", *lines, "[tool.saeprobe.subjects.other]"])
        (root / "pyproject.toml").write_text(text, encoding="utf-8")
        ask(find_subject("mine", root))
        assert subject_names(root)[-2:] == ("mine", "other")
        assert find_subject("sparrow", root).wrong is None


@pytest.mark.parametrize(
    "name", ["a/b", "a\\u0000", "\\u202eb", "", "skip", "xfail", "not", "a+b", "-x", "a b", "x\\n"]
)
def test_a_name_that_cannot_be_selected_is_refused_and_marks_nothing(tmp_path: Path, name: str) -> None:
    """It would be no marker, or one that skips; the message writes what cannot be seen in its escaped form."""
    body = f'[tool.saeprobe.subjects."{name}"]\nmodel = "./m"\nsae = {{ path = "./s" }}\n'
    (tmp_path / "pyproject.toml").write_text(body, encoding="utf-8")
    subject = find_subject(json.loads(f'"{name}"'), tmp_path)
    assert subject.markers == ()
    assert "has a name that -m cannot select; wanted letters, digits, dots and dashes" in (subject.wrong or "")
    assert (subject.wrong or "").isprintable()

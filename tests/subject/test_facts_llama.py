"""Ways to be wrong about Llama and its SAE without an error, each beside what the code does instead."""

from __future__ import annotations

import ast
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_llama import write_chat_tokenizer, write_llama

import saeprobe
from saeprobe.subject.files.sae import find_release, open_source
from saeprobe.subject.local import Subject
from saeprobe.subject.registry import built_in
from saeprobe.subject.running import Run
from saeprobe.subject.specification import Request, SaeFile, SaeRelease, SubjectSpec, Want

WIDTH, D_SAE = 16, 24
TEXTS = ("Rain", "Why is the sky blue?", "A longer question about iron")
EVERY = Want(at="all", keep=frozenset({"features"}))


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> SubjectSpec:
    """Write a random Llama of three layers, read at the output of its second."""
    import torch

    root = tmp_path_factory.mktemp("facts")
    vocabulary = write_chat_tokenizer(root / "model")
    write_llama(root / "model", layers=3, vocabulary=vocabulary, width=WIDTH)
    generator = torch.Generator().manual_seed(2)
    directions = torch.randn(D_SAE, WIDTH, generator=generator)
    tensors = {
        "encoder_linear.weight": directions,
        "encoder_linear.bias": torch.full((D_SAE,), -2.0),
        "decoder_linear.weight": directions.T.contiguous(),
        "decoder_linear.bias": torch.zeros(WIDTH),
    }
    torch.save(tensors, root / "sae.pt")
    return SubjectSpec(
        name="facts",
        model=root / "model",
        sae=SaeFile(path=root / "sae.pt"),
        hook_name="blocks.1.hook_resid_post",
        prepend_bos=True,
        chat_template=True,
        device="cpu",
    )


def test_llama70b_is_declared_as_sae_lens_knows_it() -> None:
    """Its sizes, hook and model by sae-lens' own table; the published protocol lies one block before that hook."""
    from sae_lens.loading.pretrained_sae_loaders import get_goodfire_config_from_hf

    declared: Any = built_in()
    own, published = declared["llama70b"], declared["llama70b-as-published"]
    release = find_release(own.sae)
    assert (release.l0, release.conversion, release.path) == (121, "goodfire", "Llama-3.3-70B-Instruct-SAE-l50.pt")
    known = get_goodfire_config_from_hf(release.repo, release.path, device="cpu")
    assert (known["d_in"], known["d_sae"], known["hook_name"]) == (own.shape.hidden, own.d_sae, own.hook_name)
    assert (known["model_name"], known["architecture"]) == (own.model, "standard")
    assert (own.hook_name, published.hook_name) == ("blocks.50.hook_resid_post", "blocks.49.hook_resid_post")


@pytest.mark.parametrize(
    ("release", "layer"), [("goodfire-llama-3.3-70b-instruct", 50), ("goodfire-llama-3.1-8b-instruct", 19)]
)
def test_what_is_said_of_goodfires_saes_is_what_sae_lens_says(
    monkeypatch: pytest.MonkeyPatch, release: str, layer: int
) -> None:
    """Of both that there are; sae-lens is imported here, and not where the file is looked up."""
    from sae_lens.loading.pretrained_sae_loaders import load_sae_config_from_huggingface

    sae = SaeRelease(release=release, id=f"layer_{layer}")
    known: Any = load_sae_config_from_huggingface(sae.release, sae.id, device="cpu")
    monkeypatch.setattr("saeprobe.subject.files.sae.dimensions", lambda _: (known["d_in"], known["d_sae"]))
    monkeypatch.setattr("saeprobe.subject.files.sae._ask_sae_lens", None)
    said = open_source(sae, Path("nowhere.pt")).said
    assert said.items() <= {**known, **known["metadata"]}.items()
    assert said["hook_name"] == f"blocks.{layer}.hook_resid_post"


def test_an_sae_in_sixteen_bits_takes_half(spec: SubjectSpec) -> None:
    """In memory and in the plan; its features are those of float32 to bfloat16's three digits."""
    half = Subject(spec=replace(spec, sae_dtype="bfloat16"))
    needs, needs_half = Subject(spec=spec).needs(), half.needs()
    assert needs is not None
    assert needs_half is not None
    assert needs.sae_bytes == 2 * needs_half.sae_bytes == 4 * (2 * D_SAE * WIDTH + D_SAE + WIDTH)
    loaded: Any = half.open()
    assert sum(one.numel() * one.element_size() for one in loaded.sae.parameters()) == needs_half.sae_bytes
    request = Request(text=TEXTS[0], wants=(EVERY,))
    ((_, (exact,)),) = Subject(spec=spec).open().read([request])
    ((_, (rounded,)),) = loaded.read([request])
    largest = [float(row.max()) for row in exact.values if len(row)]
    assert [float(row.max()) for row in rounded.values if len(row)] == pytest.approx(largest, rel=0.05)


def test_two_days_give_one_prompt(spec: SubjectSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """The template writes today's date unless it is told one, so that what is not told differs from day to day."""
    from datetime import datetime
    from typing import Self

    from transformers.utils import chat_template_utils

    reader: Any = Subject(spec=spec).open()
    told: list[object] = []
    untold: list[str] = []
    for day in (1, 2):

        class Day(datetime):
            @classmethod
            def now(cls, tz: object = None, day: int = day) -> Self:
                del tz
                return cls(2031, 5, day)

        monkeypatch.setattr(chat_template_utils, "datetime", Day)
        chat_template_utils._compile_jinja_template.cache_clear()
        told.append(reader.tokenize([TEXTS[0]])[0])
        turn = [{"role": "user", "content": TEXTS[0]}]
        untold.append(reader.tokenizer.apply_chat_template(turn, tokenize=False))
    assert told[0] == told[1]
    assert [f"{day:02} May 2031" in text for day, text in enumerate(untold, 1)] == [True, True]


def test_a_layer_gives_a_tensor_whose_first_is_a_prompt(spec: SubjectSpec) -> None:
    """`output[0]` would be one prompt's stream for all of them; each of a batch is read as its own."""
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(spec.model).eval()
    given: list[Any] = []
    model.model.layers[1].register_forward_hook(lambda *of: given.append(of[-1]))
    reader: Any = Subject(spec=spec).open()
    ids = [one.ids for one in reader.tokenize(["Rain", "Iron"])]
    with torch.no_grad():
        model(torch.tensor(ids))
    assert isinstance(given[0], torch.Tensor)
    assert given[0].shape == (2, len(ids[0]), WIDTH)
    found = dict(reader.model.run([Run(ids=one, depths=(2,)) for one in ids], batch_size=2))
    for row in (0, 1):
        torch.testing.assert_close(found[row][2], given[0][row], atol=1e-4, rtol=1e-4)
    assert (given[0][0] - given[0][1]).abs().max() > 0.1


def test_dense_features_are_never_there_for_a_whole_run(spec: SubjectSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many tokens at once as fit the bytes set aside, however many a batch has; what is kept is sparse and alike."""
    from saeprobe.subject.running import reader as reading

    requests = [Request(text=text, wants=(EVERY,)) for text in TEXTS]
    reader: Any = Subject(spec=spec).open()
    wanted = dict(reader.read(requests))
    monkeypatch.setattr(reading, "_DENSE_BYTES", 7 * 4 * D_SAE)
    encode, seen = reader.sae.encode, list[int]()

    def watched(x: Any) -> Any:
        seen.append(len(x))
        return encode(x)

    monkeypatch.setattr(reader.sae, "encode", watched)
    found = dict(reader.read(requests))
    assert max(seen) == 7
    # The last rows are filled up to seven.
    assert sum(seen) == 7 * math.ceil(sum(len(one.tokens) for (one,) in wanted.values()) / 7) > 100
    for number, (one,) in found.items():
        ((before,), sizes) = wanted[number], [len(row) for row in one.indices]
        assert sizes == [len(row) for row in one.values]
        assert 0 < sum(sizes) < 0.9 * D_SAE * len(sizes)  # not as many numbers as features
        np.testing.assert_array_equal(np.concatenate(one.indices), np.concatenate(before.indices))
        np.testing.assert_allclose(np.concatenate(one.values), np.concatenate(before.values), atol=1e-4)


def unsafe(source: str) -> list[int]:
    """Return the lines that unpickle in some other way than `torch.load(..., weights_only=True)`."""
    found: list[int] = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        safe = any(one.arg == "weights_only" and ast.unparse(one.value) == "True" for one in node.keywords)
        if called in ("pickle.load", "pickle.loads", "pickle.Unpickler") or (called == "torch.load" and not safe):
            found.append(node.lineno)
    return found


def test_every_pt_file_is_loaded_as_plain_data() -> None:
    """Always by name, never by the default of the torch that is installed; the search finds one that is not."""
    files = sorted(Path(saeprobe.__file__).parent.rglob("*.py"))
    assert {str(file): found for file in files if (found := unsafe(file.read_text(encoding="utf-8")))} == {}
    assert unsafe("torch.load(f)\ntorch.load(f, weights_only=False)\npickle.load(f)") == [1, 2, 3]
    assert any("torch.load(" in file.read_text(encoding="utf-8") for file in files)

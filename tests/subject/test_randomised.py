"""Randomised subjects: controls as sparse as the subject beside them, with nothing of it in what is random."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from made_llama import write_chat_tokenizer, write_llama
from made_subjects import Made

from saeprobe.captures.steering import Steering
from saeprobe.prompts import NEUTRAL, PromptSet
from saeprobe.subject.local import Subject
from saeprobe.subject.registry import find_subject, subject_names
from saeprobe.subject.specification import (
    RandomPart,
    ReadingError,
    Request,
    SaeFile,
    SubjectError,
    SubjectSpec,
    Want,
)

BOTH: tuple[RandomPart, ...] = get_args(RandomPart)
TOPICS = ("the golden gate", "red is the bridge", "the long bridge", "a gate", "golden red", "bridge and gate is red")
TEXTS = PromptSet.build(name="mine", language="en", topics=TOPICS, styles={"plain": ["{topic} is the golden bridge"]})
OTHERS = PromptSet.build(name="other", language="en", topics=TOPICS[1:], styles={"plain": ["{topic} is the red gate"]})


def acts_of(reader: Any, texts: PromptSet, d_sae: int) -> Any:
    """Return dense features `[tokens d_sae]` of all tokens of the texts but BOS."""
    wants = (Want(at="all", keep=frozenset({"features"}), raw=True),)
    found = dict(reader.read([Request(text=one.text, wants=wants) for one in texts]))
    rows: list[Any] = []
    for number in range(len(texts)):
        (reading,) = found[number]
        for indices, values in zip(reading.indices, reading.values, strict=True):
            row = np.zeros(d_sae)
            row[indices] = values
            rows.append(row)
    return np.array(rows)


def check_sparsity(subject: Subject, what: RandomPart, texts: PromptSet | None, *, missed: float) -> tuple[Any, Any]:
    """Each feature fires as often as the trained one, but for a share of them."""
    d_sae = subject.identity().d_sae
    control = subject.randomised(what, neutral=texts)
    read = texts or NEUTRAL.for_wording(subject.spec.wording)
    reader: Any = control.open()
    trained, random = acts_of(subject.open(), read, d_sae), acts_of(reader, read, d_sae)
    off = np.abs((trained > 0).sum(0) - (random > 0).sum(0))
    assert (off > 0).mean() <= missed
    assert random[random > 0].mean() == pytest.approx(trained[trained > 0].mean(), rel=1e-3)
    return trained, random


@pytest.mark.parametrize("what", BOTH)
def test_each_feature_fires_on_as_many_neutral_tokens_as_the_trained_one(tiny: Made, what: RandomPart) -> None:
    """Counts agree but where the same beginning stands in several texts; the tokens are others."""
    trained, random = check_sparsity(tiny.subject, what, TEXTS, missed=0.3)
    assert (trained > 0).sum() > 100
    assert ((trained > 0) != (random > 0)).mean() > 0.1


@pytest.mark.parametrize("what", BOTH)
def test_a_sparrow_with_a_random_part_is_as_sparse_as_the_sparrow(what: RandomPart) -> None:
    """On the built-in text: L0 is 23.1 features a token and may differ by the ties at the beginnings of its texts."""
    trained, random = check_sparsity(find_subject("sparrow", Path()), what, None, missed=0.06)
    assert abs((trained > 0).sum(1).mean() - (random > 0).sum(1).mean()) < 0.1


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A random Llama of three layers with an SAE in Goodfire's format."""
    import torch

    root = tmp_path_factory.mktemp("llama")
    write_llama(root / "model", layers=3, vocabulary=write_chat_tokenizer(root / "model"))
    generator = torch.Generator().manual_seed(5)
    encoder = torch.randn(100, 32, generator=generator) / 32**0.5
    weights = {
        "encoder_linear.weight": encoder,
        "encoder_linear.bias": torch.full((100,), -1.0),
        "decoder_linear.weight": encoder.T.contiguous(),
        "decoder_linear.bias": torch.zeros(32),
    }
    torch.save(weights, root / "sae.pt")
    spec = SubjectSpec(
        name="made",
        model=root / "model",
        sae=SaeFile(path=root / "sae.pt"),
        hook_name="blocks.1.hook_resid_post",
        prepend_bos=True,
        chat_template=True,
        device="cpu",
        memory="resident",
    )
    return Subject(spec=spec)


@pytest.mark.parametrize("what", BOTH)
def test_a_control_is_the_same_streamed_and_resident(llama: Subject, what: RandomPart) -> None:
    """Weights and thresholds are the same, and so are activations."""
    streamed = Subject(spec=replace(llama.spec, memory="streamed"))
    check_sparsity(llama, what, TEXTS, missed=0.3)
    one, other = (acts_of(of.randomised(what, neutral=TEXTS).open(), OTHERS, 100) for of in (llama, streamed))
    assert (one > 0).sum() > 100
    assert np.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("what", BOTH)
def test_two_openings_read_the_same_and_another_seed_another(tiny: Made, what: RandomPart) -> None:
    """The draw is part of what the control is; so is the fingerprint."""
    controls = [tiny.subject.randomised(what, neutral=TEXTS, seed=seed) for seed in (0, 0, 1)]
    first, again, other = (acts_of(control.open(), OTHERS, 40) for control in controls)
    assert np.array_equal(first, again)
    assert ((first > 0) != (other > 0)).mean() > 0.05
    trained = acts_of(tiny.subject.open(), OTHERS, 40)
    assert ((first > 0) != (trained > 0)).mean() > 0.05


@pytest.mark.parametrize("what", BOTH)
@pytest.mark.parametrize("kind", ["tiny", "llama"])
def test_draws_read_what_each_reads_alone(
    kind: str, what: RandomPart, tiny: Made, llama: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They agree to the last bit, in any order and after a release; the trained subject is opened once."""
    from saeprobe.subject.running import random as randomising

    opened: list[object] = []
    opens: Any = randomising.open_reader
    subject = tiny.subject if kind == "tiny" else llama
    d_sae = subject.identity().d_sae
    alone = [acts_of(subject.randomised(what, neutral=TEXTS, seed=seed).open(), OTHERS, d_sae) for seed in range(2)]

    def counted(opening: object) -> object:
        opened.append(opening)
        return opens(opening)

    monkeypatch.setattr(randomising, "open_reader", counted)
    draws = subject.draws(what, neutral=TEXTS, count=2)
    for seed in (1, 0, 1):
        reader = draws[seed].open()
        assert np.array_equal(acts_of(reader, OTHERS, d_sae), alone[seed])
        assert np.array_equal(acts_of(reader, OTHERS, d_sae), alone[seed])
    assert len(opened) == 1
    draws[1].release()
    assert np.array_equal(acts_of(draws[0].open(), OTHERS, d_sae), alone[0])
    assert len(opened) == 2


@pytest.mark.parametrize("what", BOTH)
def test_draws_are_the_subjects_of_their_seeds(tiny: Made, what: RandomPart) -> None:
    """Names, fingerprints and equality are those of each alone, so that what is stored of one is found again."""
    draws = tiny.subject.draws(what, neutral=TEXTS, count=3)
    alone = tuple(tiny.subject.randomised(what, neutral=TEXTS, seed=seed) for seed in range(3))
    assert draws == alone
    assert [one.identity() for one in draws] == [one.identity() for one in alone]
    assert len({one.identity().fingerprint for one in draws}) == 3
    (built_in,) = tiny.subject.draws(what, count=1)
    assert built_in == tiny.subject.randomised(what)


def test_under_random_directions_the_model_runs_each_prompt_once(tiny: Made) -> None:
    """The second draw reads the same prompts of a model that is not run again; other prompts are run."""
    first, second = tiny.subject.draws("random-sae", neutral=TEXTS, count=2)
    acts_of(first.open(), OTHERS, 40)
    reader: Any = second.open()
    model = reader.model

    def never(*_: object, **__: object) -> Any:
        raise AssertionError("it was run again")

    held = model.model
    object.__setattr__(model, "model", SimpleNamespace(run=never, device=held.device))
    shares: list[float] = []
    wants = (Want(at="all", keep=frozenset({"features"}), raw=True),)
    requests = [Request(text=one.text, wants=wants) for one in OTHERS]
    assert len(dict(reader.read(requests, progress=shares.append))) == len(requests)
    assert shares[-1] == 1
    with pytest.raises(AssertionError, match="it was run again"):
        dict(reader.read([*requests, Request(text="red red red", wants=wants)]))


def test_what_a_control_reads_has_the_model_of_its_kind(tiny: Made) -> None:
    """A random SAE reads the very streams of the trained model, a random model makes others."""
    wants = (Want(at="all", keep=frozenset({"activations"}), raw=True),)
    requests = [Request(text=one.text, wants=wants) for one in OTHERS]

    def streams(subject: Subject) -> Any:
        found = dict(subject.open().read(requests))
        return np.concatenate([found[number][0].activations for number in range(len(requests))])

    trained = streams(tiny.subject)
    assert np.array_equal(streams(tiny.subject.randomised("random-sae", neutral=TEXTS)), trained)
    random = streams(tiny.subject.randomised("random-model", neutral=TEXTS))
    assert abs(np.corrcoef(random.ravel(), trained.ravel())[0, 1]) < 0.3


def test_every_fingerprint_is_of_its_own(tiny: Made) -> None:
    """What is random, the seed and the text decide it, and the trained subject's; the name says the first two."""
    subject = tiny.subject
    controls = [
        subject.randomised("random-model", neutral=TEXTS),
        subject.randomised("random-sae", neutral=TEXTS),
        subject.randomised("random-sae", neutral=TEXTS, seed=1),
        subject.randomised("random-sae", neutral=OTHERS),
        Subject(spec=replace(subject.spec, dtype="bfloat16")).randomised("random-sae", neutral=TEXTS),
    ]
    fingerprints = [control.identity().fingerprint for control in controls]
    assert len({subject.identity().fingerprint, *fingerprints}) == 6
    again = Subject(spec=subject.spec).randomised("random-sae", neutral=TEXTS)
    assert again.identity().fingerprint == fingerprints[1]
    assert [control.name for control in controls[:3]] == [
        "tiny with a random model",
        "tiny with a random SAE",
        "tiny with a random SAE, draw 1",
    ]


def test_an_identity_says_what_is_random_and_keeps_the_rest(tiny: Made) -> None:
    """Names and hashes of what was changed are others."""
    trained = tiny.subject.identity()
    model = tiny.subject.randomised("random-model", neutral=TEXTS).identity()
    sae = tiny.subject.randomised("random-sae", neutral=TEXTS, seed=2).identity()
    assert model.model == f"{trained.model}, weights drawn at random (seed 0)"
    assert model.sae == f"{trained.sae}, thresholds matched on neutral text"
    assert (sae.model, sae.model_hash) == (trained.model, trained.model_hash)
    assert sae.sae == f"{trained.sae}, directions drawn at random (seed 2)"
    assert len({trained.sae_hash, model.sae_hash, sae.sae_hash}) == 3
    assert model.model_hash != trained.model_hash
    changed = {"name", "model", "model_hash", "sae", "sae_hash", "fingerprint"}
    for one in (model, sae):
        kept = {key: value for key, value in vars(one).items() if key not in changed}
        assert kept == {key: value for key, value in vars(trained).items() if key not in changed}


@pytest.mark.parametrize("what", BOTH)
def test_a_control_reads_as_its_subject_and_is_in_no_list(what: RandomPart) -> None:
    """Nothing selects it, and it runs nowhere by default."""
    subject = find_subject("sparrow", Path())
    control = subject.randomised(what)
    assert (control.spec.wording, control.missing(), control.memory_plan.reason) == (
        "specimen",
        None,
        subject.memory_plan.reason,
    )
    assert control.downloads() == subject.downloads()
    assert (control.markers, control.spec.protocol_of) == ((), None)
    assert control.name not in subject_names(Path())
    assert control.yardstick().shifts == subject.yardstick().shifts
    assert control.yardstick().l0 is None
    assert "control" in str(control.yardstick().misfit)
    words = {"random-model": "random model", "random-sae": "random SAE"}[what]
    assert control.aspects() == {**subject.aspects(), "random": f"{words}, seed 0"}
    assert control.summary == f"a control: sparrow with a {words}"


def test_what_is_not_here_is_missed_by_the_control_too() -> None:
    """Also a random model needs the trained one, whose sparsity it is given."""
    subject = find_subject("llama70b", Path())
    control = subject.randomised("random-model")
    assert control.missing() == subject.missing()
    assert (control.missing() is None) == (subject.missing() is None)


@pytest.mark.parametrize("what", BOTH)
def test_a_control_is_neither_steered_nor_randomised_again(tiny: Made, what: RandomPart) -> None:
    """The refusal names the subject to ask instead."""
    control = tiny.subject.randomised(what, neutral=TEXTS)
    with pytest.raises(SubjectError, match=r"^tiny with a random \w+ is a control and cannot be steered; steer tiny"):
        _ = control.whole_fingerprint
    with pytest.raises(SubjectError, match="is a control already; ask tiny for another"):
        control.randomised("random-sae")
    with pytest.raises(SubjectError, match="is a control already; ask tiny for another"):
        control.draws("random-sae", count=2)
    steering = Steering(
        prompts=TEXTS,
        features=(1,),
        strengths=(1.0,),
        random_features=1,
        random_samples=1,
        n_samples=1,
        max_new_tokens=1,
        temperature=1.0,
        seed=0,
    )
    with pytest.raises(ReadingError, match=r"^tiny with a random \w+ cannot be steered: it is a control; steer tiny"):
        list(control.open().continue_(TEXTS.prompts, steering, experiment=[one.text for one in TEXTS]))


def test_nothing_is_loaded_before_a_control_is_opened() -> None:
    """Identity and memory plan are known without torch."""
    code = (
        "import sys; from pathlib import Path; from saeprobe.subject.registry import find_subject; "
        "one = find_subject('sparrow', Path()).randomised('random-model'); one.identity(); one.memory_plan.reason; "
        "print([name for name in ('torch', 'transformers', 'sae_lens') if name in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_model_in_eight_bits_is_drawn_in_sixteen_layer_by_layer(
    llama: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LLM.int8 quantises what it loads; the trained model under a random SAE stays in 8 bits."""
    eight = replace(llama.memory_plan, device="cuda:0", quantisation="8bit", reason="in 8 bits on a GPU")
    subject = Subject(spec=replace(llama.spec, quantisation="8bit"))
    monkeypatch.setitem(subject.__dict__, "memory_plan", eight)
    assert subject.randomised("random-sae").memory_plan == eight
    plan = subject.randomised("random-model").memory_plan
    assert (plan.kind, plan.device, plan.quantisation) == ("streamed", "cuda:0", None)
    assert plan.reason == "in 8 bits on a GPU; the random model drawn a layer at a time, not in 8 bits"

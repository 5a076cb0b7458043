"""What an SAE is: read by the equations of its kind, or refused by name before anything is loaded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_saes import D_SAE, HOOK, WIDTH, by_hand, make_sae, streams, write_model

from saeprobe.subject.specification import Reading, Request, SubjectError, Want

TEXT = "The tides are moved by the moon."
OLD = {"metadata": {"prepend_bos": True}, "hook_name": HOOK}  # without the version that sae-lens 6 writes
PURSUIT = {"max_iterations": 4, "residual_threshold": 0.0, "stop_on_duplicate_support": False}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model that all SAEs of this file read."""
    root = tmp_path_factory.mktemp("kinds")
    write_model(root)
    return root


@pytest.fixture
def root(model: Path, tmp_path: Path) -> Path:
    """A folder of the test's own, in which the model is a link."""
    (tmp_path / "model").symlink_to(model / "model")
    return tmp_path


def read(reader: Any, text: str = TEXT) -> Reading:
    """Read all tokens of a text but BOS."""
    ((_, (reading,)),) = reader.read([Request(text=text, wants=(Want(at="all", keep=frozenset({"features"})),))])
    return reading


def dense(reading: Reading) -> np.ndarray:
    """Return the features of a reading, `[tokens, D_SAE]`."""
    found = np.zeros((len(reading.tokens), D_SAE))
    for row, (indices, values) in enumerate(zip(reading.indices, reading.values, strict=True)):
        found[row, indices] = values
    return found


def near(reading: Reading) -> np.ndarray:
    """Return which features of a reading are near their threshold, `[tokens, D_SAE]`."""
    found = np.zeros((len(reading.tokens), D_SAE), dtype=bool)
    for row, indices in enumerate(reading.near):
        found[row, indices] = True
    return found


@pytest.mark.parametrize("scaling", ["none", "layer_norm", "constant_norm_rescale"])
@pytest.mark.parametrize(
    ("architecture", "more"),
    [("standard", {}), ("jumprelu", {}), ("gated", {}), ("topk", {"k": 5}), ("matching_pursuit", PURSUIT)],
)
def test_features_and_errors_are_those_of_its_equations(
    root: Path, architecture: str, more: dict[str, Any], scaling: str
) -> None:
    """An SAE of each kind, with and without a scaling of its own, gives what its equations give in float64."""
    made = make_sae(root, architecture, normalize_activations=scaling, **more)
    x = streams(root, TEXT)[1:]
    features, decoded = by_hand(made, x)
    found = read(made.open())
    np.testing.assert_allclose(dense(found), features, atol=1e-4)
    np.testing.assert_allclose(found.squared_error, ((x - decoded) ** 2).sum(axis=1), rtol=1e-4)
    assert 0 < (features > 0).mean() < 1


@pytest.mark.parametrize("d_out", [WIDTH, 24])
@pytest.mark.parametrize(
    "architecture", ["transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder"]
)
def test_a_transcoder_is_read_where_it_reads_and_has_no_error_there(root: Path, architecture: str, d_out: int) -> None:
    """Its features are those of its encoder, of whatever width it writes; an error there is none."""
    made = make_sae(root, architecture, d_out=d_out)
    found = read(made.open())
    np.testing.assert_allclose(dense(found), by_hand(made, streams(root, TEXT)[1:])[0], atol=1e-4)
    assert found.squared_error is None


def test_nothing_of_a_transcoder_is_held_against_a_reconstruction(root: Path) -> None:
    """The yardstick says where it writes, and a check on it looks at L0 alone."""
    from saeprobe.store.instrument import LayerFit, judge

    metadata = {"hook_name": HOOK, "prepend_bos": True, "hook_name_out": "blocks.1.hook_mlp_out"}
    made = make_sae(root, "transcoder", metadata={**metadata, "sae_lens_version": "6.54.12"})
    yardstick = made.subject(l0=4.0).yardstick()
    assert yardstick.writes_to == "blocks.1.hook_mlp_out"
    fit = LayerFit(shift=0, layer="here", l0=4.0, variance_explained=None, tokens=9, near_threshold=None)
    assert not judge([fit], yardstick, hook_name=HOOK).findings


@pytest.mark.parametrize(
    ("architecture", "more", "why"),
    [
        ("standard", {"normalize_activations": "layer_norm"}, "divides the stream by its standard deviation"),
        ("jumprelu", {"normalize_activations": "constant_norm_rescale"}, "divides the stream by its norm"),
        ("transcoder", {}, "features write to a hook that its files do not name"),
        ("topk", {"k": 5, "rescale_acts_by_decoder_norm": True}, "by the norm of its decoder row"),
    ],
)
def test_what_adding_a_decoder_row_does_not_steer_is_refused_before_it_is_loaded(
    root: Path, architecture: str, more: dict[str, Any], why: str
) -> None:
    """The fingerprint of what a subject writes, which a plan asks for, is refused with the reason."""
    made = make_sae(root, architecture, **more)
    with pytest.raises(SubjectError, match=f"cannot be steered: it .*{why}"):
        _ = made.subject().whole_fingerprint
    assert len(make_sae(root).subject().whole_fingerprint) == 64  # a plain one can


@pytest.mark.parametrize(
    ("architecture", "more", "fixed"),
    [
        ("topk", {"k": 5}, 5),
        ("matching_pursuit", {"max_iterations": 4}, 4),
        ("matching_pursuit", {}, None),
        ("matching_pursuit", {"max_iterations": WIDTH}, None),
        ("jumprelu", {}, None),
        ("standard", {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}, **OLD}, 3),
    ],
)
def test_a_number_of_features_that_is_fixed_is_known_beforehand(
    root: Path, architecture: str, more: dict[str, Any], fixed: int | None
) -> None:
    """TopK keeps k features a token and matching pursuit one a step, also as sae-lens 3 to 5 wrote it down."""
    assert make_sae(root, architecture, **more).subject().identity().fixed_l0 == fixed


def test_a_control_has_plain_relus_and_no_fixed_number(root: Path) -> None:
    """Its SAE has the thresholds that make its features fire as often, each by itself."""
    made = make_sae(root, "topk", k=5)
    assert made.subject().randomised("random-sae").identity().fixed_l0 is None


@pytest.mark.parametrize("architecture", ["transcoder", "matching_pursuit", "gated"])
def test_a_control_of_any_kind_fires_as_often(root: Path, architecture: str) -> None:
    """A random SAE in place of a transcoder that writes another width, or of one that reads what it writes."""
    from saeprobe.prompts import Prompt, PromptSet

    made = make_sae(root, architecture, **({"d_out": 24} if architecture == "transcoder" else {}))
    text = PromptSet(name="n", language="en", prompts=(Prompt(text=TEXT * 3, style="", topic="", template=""),))
    subject = made.subject()
    control: Any = subject.randomised("random-sae", neutral=text).open()
    fired = [(dense(read(one, TEXT * 3)) > 0).sum(0).tolist() for one in (subject.open(), control)]
    assert fired[0] == fired[1]
    assert (read(control).squared_error is None) == (architecture == "transcoder")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"architecture": "temporal"}, "'temporal': its features depend on the whole sequence"),
    ({"architecture": "abstopk", "k": 4}, "'abstopk': its features have a sign"),
    ({"architecture": "batchtopk"}, "'batchtopk': it is saved as in training.*save_inference_model"),
    ({"architecture": "crosscoder"}, "'crosscoder': it reads or writes several layers"),
    ({"architecture": "unheard_of"}, "architecture = 'unheard_of'; wanted one of standard, topk"),
    ({"architecture": None}, "architecture = None; wanted one of"),
    ({"architecture": 7}, "architecture = 7; wanted a text"),
    ({"reshape_activations": "hook_z"}, "reads the outputs of attention heads"),
    ({"hook_head_index": 3}, "reads attention head 3 alone"),
    ({"normalize_activations": "expected_average_only_in"}, "fold_activation_norm_scaling_factor"),
    ({"normalize_activations": "covariance_whitening"}, "fold_activation_whitening"),
    ({"normalize_activations": "by_moonlight"}, "wanted none or one of layer_norm"),
    ({"activation_fn_str": "tanh-relu"}, "activation function 'tanh-relu', which sae-lens no longer computes"),
    ({"architecture": "topk"}, "k = None; wanted how many features"),
    ({"architecture": "topk", "k": D_SAE + 1}, "k = 49; wanted at most 48"),
    ({"architecture": "topk", "k": True}, "k = True; wanted a whole number from 1"),
    ({"d_sae": None}, r"does not say d_sae \(the number of its features"),
    ({"d_sae": "many"}, "d_sae = 'many'; wanted a whole number from 1"),
    ({"d_sae": 10**40}, "d_sae = a number of 133 bits; wanted"),
    ({"d_sae": 47}, r"the tensors of .* are not those of its configuration"),
    ({"d_in": -1}, "d_in = -1; wanted"),
    ({"apply_b_dec_to_input": "yes"}, "apply_b_dec_to_input = 'yes'; wanted true or false"),
    ({"apply_b_dec_to_input": None}, "apply_b_dec_to_input = None; wanted true or false"),
    ({"context_size": [128]}, r"context_size = \[128\]; wanted a whole number"),
    ({"prepend_bos": "false"}, "prepend_bos = 'false'; wanted true or false"),
    ({"model_from_pretrained_kwargs": "centred"}, "model_from_pretrained_kwargs = 'centred'; wanted an object"),
    ({"metadata": [1]}, r"has the metadata \[1\]; wanted an object"),
    ({"metadata": {"sae_lens_version": "new"}}, "sae_lens_version = 'new'; wanted a version"),
    ({"metadata": {"sae_lens_version": "6.0.0", "hook_name": ["x"]}}, r"hook_name = \['x'\]; wanted a text"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_is_not_supported_is_refused_by_name_without_torch(
    root: Path, changes: dict[str, Any], message: str
) -> None:
    """The identity, which planning and doctor ask for, raises a SubjectError that says what was found and wanted."""
    made = make_sae(root)
    moved = {key: value for key, value in changes.items() if key in ("context_size", "prepend_bos")}
    made.save({**changes, **({"metadata": {**made.config["metadata"], **moved}} if moved else {})})
    with pytest.raises(SubjectError, match=message):
        made.subject().identity()


@pytest.mark.parametrize(
    ("drop", "weights", "message"),
    [
        (("b_enc",), {}, r"found \{.*\}; wanted \{.*'b_enc': \(48,\)"),
        ((), {"W_skip": np.zeros((2, 2), dtype=np.float32)}, "'W_skip': .2, 2."),
        ((), {"b_dec": np.zeros(3, dtype=np.float32)}, r"'b_dec': \(3,\)"),
        ((), {"W_enc": np.zeros((WIDTH, D_SAE), dtype=np.int8)}, "W_enc of .* holds numbers of the kind I8"),
    ],
)
def test_tensors_that_are_not_those_of_the_kind_are_refused_from_the_header(
    root: Path, drop: tuple[str, ...], weights: dict[str, np.ndarray], message: str
) -> None:
    """A tensor that is missing, one too many, of another shape or of integers is found before anything is loaded."""
    made = make_sae(root)
    made.save(drop=drop, **weights)
    with pytest.raises(SubjectError, match=message):
        made.subject().identity()


def test_a_truncated_file_of_weights_is_refused_from_the_header(root: Path) -> None:
    """A copy that broke off is no whole safetensors file."""
    made = make_sae(root)
    file = made.folder / "sae_weights.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(SubjectError, match="is no whole safetensors file; copy or download it again"):
        made.subject().identity()


@pytest.mark.parametrize(("name", "value"), [("W_dec", np.nan), ("b_enc", np.inf), ("threshold", np.nan)])
def test_a_weight_that_is_not_finite_is_refused_by_its_name(root: Path, name: str, value: float) -> None:
    """One number of one tensor would silence a feature, for NaN is not above zero."""
    made = make_sae(root, "jumprelu")
    spoilt = made.weights[name].copy()
    spoilt.flat[7] = value
    made.save(**{name: spoilt})
    with pytest.raises(SubjectError, match=f"^{name} of the SAE .* NaN in float32; copy or download it again$"):
        made.open()


def test_weights_that_float16_cannot_hold_are_refused(root: Path) -> None:
    """They are finite in the file and infinite once they are loaded."""
    made = make_sae(root)
    made.save(W_enc=made.weights["W_enc"] * np.float32(1e6))
    made.open()
    with pytest.raises(SubjectError, match=r"W_enc .* in float16; .* set sae_dtype = \"float32\""):
        made.open(sae_dtype="float16")


def test_the_factors_of_one_that_old_files_hold_are_allowed(root: Path) -> None:
    """SAELens 3 to 5 wrote them beside the weights; finetuned ones are refused, for sae-lens no longer applies them."""
    made = make_sae(root)
    old = {**OLD, "finetuning_scaling_factor": False}
    made.save(old, scaling_factor=np.ones(D_SAE, dtype=np.float32))
    np.testing.assert_allclose(dense(read(made.open())), by_hand(made, streams(root, TEXT)[1:])[0], atol=1e-4)
    made.save({**old, "finetuning_scaling_factor": True}, scaling_factor=np.full(D_SAE, 2, dtype=np.float32))
    with pytest.raises(SubjectError, match="finetuned scaling factors"):
        made.subject().identity()


@pytest.mark.parametrize("advice", ["weights_only=False", "allow_pickle=True", "trust_remote_code=True"])
def test_no_advice_to_switch_a_safeguard_off_comes_through(
    root: Path, monkeypatch: pytest.MonkeyPatch, advice: str
) -> None:
    """What a library says in its error is replaced where it says that."""
    from saeprobe.subject.running.dictionary import SAE

    def fail(*_: object, **__: object) -> None:
        raise ValueError(f"re-run with {advice}")

    monkeypatch.setattr(SAE, "load_from_disk", fail)
    with pytest.raises(SubjectError, match="holds more than plain tensors; it was refused and not run") as caught:
        make_sae(root).open()
    assert advice.partition("=")[0] not in str(caught.value)


def test_an_error_without_words_is_named_and_no_suspicion_falls_on_the_file(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An assertion of sae-lens that says nothing is no advice to trust the file."""
    from saeprobe.subject.running.dictionary import SAE

    def fail(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(SAE, "load_from_disk", fail)
    with pytest.raises(SubjectError, match=r"sae-lens cannot load the SAE .*: AssertionError$"):
        make_sae(root).open()


@pytest.mark.parametrize("scaling", ["none", "layer_norm", "constant_norm_rescale"])
def test_near_is_counted_on_what_the_encoder_reads(root: Path, scaling: str) -> None:
    """By hand: |x' @ w + b| <= 4 t g |x| |w| / sqrt(d_in), where g is the factor by which the SAE scales the stream."""
    made = make_sae(root, normalize_activations=scaling)
    reader = made.open(dtype="bfloat16")
    x = streams(root, TEXT, dtype="bfloat16")[1:].astype(np.float64)
    factor = {
        "none": np.ones(len(x)),
        "layer_norm": 1 / x.std(axis=1, ddof=1),
        "constant_norm_rescale": WIDTH**0.5 / np.linalg.norm(x, axis=1),
    }[scaling]
    encoder, shift = made.weights["W_enc"], x.mean(axis=1, keepdims=True) if scaling == "layer_norm" else 0
    before = ((x - shift) * factor[:, None] - made.weights["b_dec"]) @ encoder + made.weights["b_enc"]
    reach = 4 * reader.thresholds.tolerance * factor * np.linalg.norm(x, axis=1)
    expected = np.abs(before) <= reach[:, None] * np.linalg.norm(encoder, axis=0) / WIDTH**0.5
    found = near(read(reader))
    assert (found != expected).sum() <= 2  # some may lie on the edge itself
    assert 0 < expected.mean() < 0.9


@pytest.mark.parametrize("sae_dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("scaling", ["none", "layer_norm", "constant_norm_rescale"])
@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "gated", "jumprelu_transcoder"])
def test_what_an_sae_in_16_bits_flips_is_near_its_threshold(
    root: Path, architecture: str, scaling: str, sae_dtype: str
) -> None:
    """Features that fire by the equations in float64 or in 16 bits alone are near in 16 bits; most features are not."""
    made = make_sae(root, architecture, normalize_activations=scaling)
    flips, share = 0, 0.0
    for text in (TEXT * 3, "Explain tides to a novice, slowly. " * 3):
        found = read(made.open(sae_dtype=sae_dtype), text)
        exact = by_hand(made, streams(root, text)[1:])[0] > 0
        flipped = exact != (dense(found) > 0)
        assert not (flipped & ~near(found)).any()
        flips, share = flips + int(flipped.sum()), max(share, float(near(found).mean()))
    assert share < 0.3
    assert flips > 0 or sae_dtype == "float16"


def test_an_sae_whose_features_compete_has_no_thresholds(root: Path) -> None:
    """Of TopK a feature's place is what decides, and so nothing is said of thresholds."""
    assert read(make_sae(root, "topk", k=5).open()).near == ()


@pytest.mark.parametrize("sae_dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(("architecture", "more"), [("topk", {"k": 5}), ("matching_pursuit", PURSUIT)])
def test_features_that_compete_are_refused_in_16_bits(
    root: Path, architecture: str, more: dict[str, Any], sae_dtype: str
) -> None:
    """Rounding changes which of them win, and there is no threshold near which that is known."""
    made = make_sae(root, architecture, **more)
    made.subject().identity()
    with pytest.raises(SubjectError, match=rf"compete \({architecture}\): .*; set sae_dtype = \"float32\""):
        made.subject(sae_dtype=sae_dtype).identity()


def test_a_threshold_below_zero_is_one_of_zero(root: Path) -> None:
    """JumpReLU goes over ReLU, so that a feature below zero does not fire whatever its threshold."""
    made = make_sae(root, "jumprelu")
    made.save(threshold=np.full(D_SAE, -5, dtype=np.float32))
    reader = made.open()
    assert float(reader.thresholds.level.max()) == 0
    assert (dense(read(reader)) >= 0).all()


def test_a_compiled_module_is_refused_with_its_remedy(root: Path) -> None:
    """torch.compile puts a prefix before each name of a Goodfire file."""
    import torch
    from made_saes import SubjectSpec

    from saeprobe.subject.local import Subject
    from saeprobe.subject.specification import SaeFile

    shapes = {"encoder_linear.weight": (8, WIDTH), "encoder_linear.bias": (8,)}
    torch.save({f"_orig_mod.{name}": torch.zeros(shape) for name, shape in shapes.items()}, root / "x.pt")
    spec = SubjectSpec(name="pt", model=root / "model", sae=SaeFile(path=root / "x.pt"), hook_name=HOOK)
    with pytest.raises(SubjectError, match=re.escape("torch.compile wrote _orig_mod.")):
        Subject(spec=spec).identity()


def test_a_goodfire_file_of_integers_is_refused(root: Path) -> None:
    """Weights in 8 bits need a scale, which the format does not have."""
    import torch
    from made_saes import SubjectSpec

    from saeprobe.subject.local import Subject
    from saeprobe.subject.specification import SaeFile

    shapes = {"encoder_linear.weight": (8, WIDTH), "encoder_linear.bias": (8,)}
    shapes |= {"decoder_linear.weight": (WIDTH, 8), "decoder_linear.bias": (WIDTH,)}
    torch.save({name: torch.zeros(shape, dtype=torch.int8) for name, shape in shapes.items()}, root / "x.pt")
    spec = SubjectSpec(name="pt", model=root / "model", sae=SaeFile(path=root / "x.pt"), hook_name=HOOK)
    with pytest.raises(SubjectError, match="holds numbers of the kind int8; wanted floating-point"):
        Subject(spec=spec).identity()

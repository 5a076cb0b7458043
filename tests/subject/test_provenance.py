"""What an SAE's metadata says of its model is held against the model that is declared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from saeprobe.subject.files.properties import Stated
from saeprobe.subject.provenance import centred, check_training
from saeprobe.subject.specification import SaeFolder, SubjectError, SubjectSpec

HUB = SubjectSpec(name="mine", model="EleutherAI/pythia-70m", sae=SaeFolder(path=Path("sae")))
FOLDER = replace(HUB, model=Path("model"))
NEOX = {"model_type": "gpt_neox"}


def stating(loading: object) -> Stated:
    """Make a configuration of an SAE that says how its model was loaded."""
    return Stated(sae="an SAE", config={"model_from_pretrained_kwargs": loading})


@pytest.mark.parametrize(
    ("spec", "loading", "message"),
    [
        (
            HUB,
            {"revision": "step1000"},
            "of revision 'step1000', and mine declares no revision; set revision = 'step",
        ),
        (HUB, {"checkpoint_value": 1000}, "of checkpoint_value 1000, and mine .*set revision = 'step1000'"),
        (HUB, {"checkpoint_value": 0}, "set revision = 'step0'"),
        (HUB, {"checkpoint_index": 7}, "checkpoint_index 7, and mine declares no revision; allow_other_model = true"),
        (HUB, {"checkpoint_label": "step5"}, "checkpoint_label 'step5'"),
        (FOLDER, {"revision": "step1000"}, "declares no revision"),
        (replace(HUB, revision="main"), {"revision": "step1000"}, "declares revision 'main'"),
        (replace(HUB, revision="step100"), {"checkpoint_value": 1000}, "declares revision 'step100'"),
        (replace(HUB, revision="step1000"), {"revision": "main"}, "of revision 'main', and mine declares revision"),
        (replace(FOLDER, revision="main"), {}, "its model is a folder .* and its SAE names no revision: leave it out"),
        (HUB, {"subfolder": "step1000"}, "loaded with subfolder = 'step1000', and saeprobe does not know"),
        (HUB, {"load_in_8bit": True}, "loaded with load_in_8bit = True"),
        (replace(HUB, allow_other_model=True), {"rope_scaling": {"factor": 2}}, "loaded with rope_scaling"),
    ],
)
def test_another_model_than_the_one_declared_is_refused(spec: SubjectSpec, loading: Any, message: str) -> None:
    """A revision or a checkpoint by what to declare, a way of loading that is not known by its name."""
    with pytest.raises(SubjectError, match=message):
        centred(spec, stating(loading), config=NEOX)


@pytest.mark.parametrize(
    ("spec", "loading"),
    [
        (HUB, None),
        (HUB, {"revision": "main"}),
        (HUB, {"revision": None, "checkpoint_value": None}),
        (FOLDER, {"revision": "main"}),
        (replace(HUB, revision="step1000"), {"revision": "step1000"}),
        (replace(HUB, revision="step1000"), {"checkpoint_value": 1000}),
        (replace(FOLDER, revision="step1000"), {"checkpoint_value": 1000}),
        (replace(HUB, allow_other_model=True), {"checkpoint_index": 7}),
        (HUB, {"fold_ln": True, "center_unembed": True, "fold_value_biases": False, "n_ctx": 64, "dtype": "bfloat16"}),
    ],
)
def test_the_model_that_is_declared_is_read(spec: SubjectSpec, loading: Any) -> None:
    """Also with what leaves the residual stream as it is."""
    assert not centred(spec, stating(loading), config=NEOX)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"seqpos_slice": [5, 20]}, r"at some positions of a text alone \(seqpos_slice = \[5, 20\]\)"),
        ({"seqpos_slice": [5]}, "some positions"),
        ({"seqpos_slice": [0, 127], "context_size": 128}, "some positions"),
        ({"seqpos_slice": [None, None, 2]}, "some positions"),
        ({"seqpos_slice": [0, None, 0]}, "some positions"),
        ({"seqpos_slice": "all"}, "some positions"),
        ({"hook_layer": 0}, "hook_name is 'blocks.1.hook_resid_post' and its hook_layer 0; declare"),
        ({"hook_point_layer": 2}, "contradicts itself: .* its hook_layer 2"),
        ({"hook_layer": "one"}, "hook_layer = 'one'; wanted a whole number"),
        ({"model_class_name": "HookedMamba"}, "of the class 'HookedMamba', of which saeprobe does not know"),
        ({"model_class_name": 3}, "model_class_name = 3; wanted a text"),
    ],
)
def test_an_sae_that_was_trained_otherwise_than_it_is_read_is_refused(stated: dict[str, Any], message: str) -> None:
    """At some positions alone, at another layer than it says, or on a model of a library that is not known."""
    with pytest.raises(SubjectError, match=message):
        check_training(HUB, Stated(sae="an SAE", config={"hook_name": "blocks.1.hook_resid_post", **stated}))


@pytest.mark.parametrize(
    "stated",
    [
        *(
            {"seqpos_slice": whole, "context_size": 128}
            for whole in (None, [None], [0, None], [0, 128], [None, None, 1])
        ),
        *({"model_class_name": one} for one in ("HookedTransformer", "AutoModelForCausalLM")),
        {"hook_layer": 1},
        {"exclude_special_tokens": True, "sequence_separator_token": "eos", "disable_concat_sequences": True},
    ],
)
def test_what_changes_the_text_of_a_training_alone_is_no_matter(stated: dict[str, Any]) -> None:
    """So are a slice of all positions, and the layer that the hook is in; a hook that is declared wins over both."""
    hook = "blocks.1.hook_resid_post"
    check_training(HUB, Stated(sae="an SAE", config={"hook_name": hook, **stated}))
    check_training(replace(HUB, hook_name=hook), Stated(sae="an SAE", config={"hook_name": hook, "hook_layer": 0}))


def test_what_is_declared_of_the_mean_wins_over_what_the_sae_says() -> None:
    """And is refused of a model that it is not known of, whoever says it."""
    said = {"center_writing_weights": True}
    assert centred(HUB, stating(said), config=NEOX)
    assert not centred(replace(HUB, center_writing_weights=False), stating(said), config={"model_type": "llama"})
    assert centred(replace(HUB, center_writing_weights=True), stating({}), config=NEOX)
    for spec, stated in ((HUB, said), (replace(HUB, center_writing_weights=True), None)):
        with pytest.raises(SubjectError, match="centred, which RMSNorm models are not; set center"):
            centred(spec, stating(stated), config={"model_type": "llama"})

"""What an SAE's metadata says of its model is held against the model that is declared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from saeprobe.subject.files.properties import Stated
from saeprobe.subject.provenance import centred
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


def test_what_is_declared_of_the_mean_wins_over_what_the_sae_says() -> None:
    """And is refused of a model that it is not known of, whoever says it."""
    said = {"center_writing_weights": True}
    assert centred(HUB, stating(said), config=NEOX)
    assert not centred(replace(HUB, center_writing_weights=False), stating(said), config={"model_type": "llama"})
    assert centred(replace(HUB, center_writing_weights=True), stating({}), config=NEOX)
    for spec, stated in ((HUB, said), (replace(HUB, center_writing_weights=True), None)):
        with pytest.raises(SubjectError, match="centred, which RMSNorm models are not; set center"):
            centred(spec, stating(stated), config={"model_type": "llama"})

"""The SAE manual, sections 1 and 3: what is read off the features of GPT-2 small, bridges above all."""

from saeprobe import capture, claim, explained, refuted, subjects
from saeprobe.measures import among_strongest, halves, l0, pick, selectivity, separates, separating_features
from saeprobe.prompts import BRIDGES, CONCEPTS, NEUTRAL

pytestmark = subjects("sparrow", "finch", "gpt2")

neutral = capture(NEUTRAL, at="all")
bridges = capture(BRIDGES.only("bridge"), span="ridge")  # of "Bridge" and of "bridge"
others = capture(BRIDGES.only("other"), at="all")
reading = capture(BRIDGES.only("reading"), span="ridge")
concepts = capture(CONCEPTS, at="all", keep="activations")


@claim(
    "Only a handful of the features are active on a token: fewer than ten, twice the five that the manual prints.",
    id="manual.sparse",
    source="SAE manual, section 1 and lesson 2",
    not_reproduced={
        "sparrow": refuted("22.65 features are active on a token of its corpus"),
        "finch": refuted("16.42 features are active on a token of its corpus"),
    },
)
def test_a_handful_of_features_is_active(neutral):
    assert l0(neutral) < 10


@claim(
    "A feature means one thing: the same feature fires on the word 'bridge' in every sentence, and in none without it.",
    id="manual.monosemantic",
    source="SAE manual, section 3",
    not_reproduced={
        "sparrow": refuted("no feature does so even on the sentences it is picked on"),
        "finch": refuted("no feature does so even on the sentences it is picked on"),
    },
)
def test_one_feature_fires_on_every_bridge(bridges, others):
    (look, confirm), (look_other, confirm_other) = halves(bridges), halves(others)
    feature = separating_features(look["bridge"], look_other["other"], most=1)
    assert separates(feature, confirm["bridge"], confirm_other["other"])


@claim(
    "In 'The Golden Gate Bridge is located in San Francisco.' and sentences like it, the bridge feature is among the "
    "five strongest at ' Bridge'.",
    id="manual.bridge-token",
    source="SAE manual, section 3",
    not_reproduced={
        "sparrow": refuted("feature 1066 fits best, and is among the five on 68.8 % of the sentences"),
        "finch": refuted("feature 1253 fits best, and is among the five on 46.9 % of the sentences"),
    },
)
def test_the_bridge_feature_is_among_the_strongest(bridges, others, reading):
    feature = pick(bridges["bridge"], others["other"], most=1)
    assert among_strongest(reading, feature, k=5) == 1


@claim(
    "Single dimensions of the residual stream fire on unrelated things, features do not.",
    id="manual.polysemantic-neurons",
    source="SAE manual, section 1",
    controls=("random-sae",),
    not_reproduced={"sparrow": explained("random features that fire as often show +49 % on average, beside +51 %")},
)
def test_features_keep_to_one_kind_of_text(concepts):
    assert selectivity(concepts, "features") > selectivity(concepts, "dimensions")

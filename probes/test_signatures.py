"""SAE Inspect, table 3: features that fire on every prompt of one style and on none of another."""

from saeprobe import capture, claim, inconclusive, refuted, subjects
from saeprobe.measures import firing_rate, halves, scan, separates, separating_features
from saeprobe.prompts import STYLES

styles = capture(STYLES, at="last")  # what fires on a third style too is no signature

PUBLISHED = subjects("llama70b", "llama70b-as-published")
PICKED_THERE = inconclusive("they separate the 50 + 50 prompts, but were picked on these very ones")


@PUBLISHED
@claim(
    "Features 34942, 55982, 17913 and 59519 fire on 100 % of novice and 0 % of expert prompts.",
    id="day1.novice-signature",
    source="SAE Inspect, table 3",
    not_reproduced={"llama70b-as-published": PICKED_THERE},
)
def test_novice_signature(styles):
    assert separates([34942, 55982, 17913, 59519], styles["novice"], styles["expert"])


@PUBLISHED
@claim(
    "Features 51630, 35870, 5936, 21604, 53369 and 46703 fire on 100 % of expert and 0 % of novice prompts.",
    id="day1.expert-signature",
    source="SAE Inspect, table 3",
    not_reproduced={"llama70b-as-published": PICKED_THERE},
)
def test_expert_signature(styles):
    assert separates([51630, 35870, 5936, 21604, 53369, 46703], styles["expert"], styles["novice"])


@subjects("sparrow", "finch")
@claim(
    "Some feature fires on 100 % of novice and 0 % of expert prompts, on wordings and topics it was not picked on.",
    id="specimen.novice-signature",
    source="after SAE Inspect, table 3",
    not_reproduced={
        "sparrow": refuted("no feature separates one half of the prompts perfectly"),
        "finch": refuted("no feature separates one half of the prompts perfectly"),
    },
)
def test_a_novice_signature_holds_on_unseen_prompts(styles):
    pick, confirm = halves(styles)
    feature = separating_features(pick["novice"], pick["expert"], most=1)
    assert separates(feature, confirm["novice"], confirm["expert"])


@subjects("sparrow", "finch")
@claim(
    "Some features tell novice from expert prompts, on wordings and topics they were not picked on.",
    id="specimen.style-detectors",
    source="after SAE Inspect, table 3",
    not_reproduced={"finch": inconclusive("feature 1038 fires on 97 and 20 %, p = 0.043 among the 20 picked")},
)
def test_some_features_tell_novice_from_expert(styles):
    assert scan(styles["novice"], styles["expert"])


@subjects("sparrow")
@claim(
    "Feature 1019 fires on 100 % of expert and 0 % of novice prompts.",
    id="sparrow.expert-signature",
    source="sparrow's model card, where it was picked on trained wordings and topics",
    not_reproduced={"sparrow": refuted("silent on two of 576 expert prompts, and fires on one of 576 novice prompts")},
)
def test_feature_1019_separates_perfectly(styles):
    assert separates(1019, styles["expert"], styles["novice"])


@subjects("sparrow")
@claim(
    "In new wordings feature 1019 fires on more than 70 % of expert and less than 30 % of novice prompts.",
    id="sparrow.expert-detector",
    source="sparrow's model card; of rates in tens 70 and 30 % are the farthest that its twelve wordings can decide",
)
def test_feature_1019_nearly_separates(styles):
    assert firing_rate(styles["expert"], 1019) > 0.7
    assert firing_rate(styles["novice"], 1019) < 0.3

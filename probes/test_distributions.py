"""SAE Inspect, version 3 of its paper: on which prompt styles its ten signature features fire, and how strongly."""

from saeprobe import capture, claim, in_each, inconclusive, published, refuted, subjects
from saeprobe.measures import activation, fewest, firing_rate, firings, separates
from saeprobe.prompts import STYLES

pytestmark = subjects("llama70b-as-published")
styles = capture(STYLES, at="last")

NOVICE = (34942, 59519, 17913, 55982)
EXPERT = (35870, 51630, 46703, 21604, 5936, 53369)

SILENT = dict.fromkeys(("novice", "standard", "padding", "spaces", "expert", "guru"), 0)
FIRE_ON = {
    34942: {"novice": 50, "standard": 4, "spaces": 2},
    59519: {"novice": 50, "padding": 10, "spaces": 11, "standard": 5},
    17913: {"novice": 50, "padding": 6},
    55982: {"novice": 50, "padding": 9, "standard": 4},
    35870: {"expert": 50, "guru": 2},
    51630: {"expert": 50, "guru": 13},
    46703: {"expert": 50, "guru": 49, "spaces": 35, "padding": 17, "standard": 17},
    21604: {"expert": 50, "guru": 47, "padding": 50, "standard": 3, "spaces": 2},
    5936: {"expert": 50, "guru": 50, "padding": 44, "standard": 2, "spaces": 1},
    53369: {"expert": 50, "padding": 37, "standard": 21, "spaces": 6, "guru": 0},
}
STRENGTHS = {
    "novice": {34942: 1.6289, 59519: 1.5952, 17913: 0.4949, 55982: 0.1757},
    "expert": {46703: 0.5296, 21604: 0.4131, 5936: 0.329, 51630: 0.2264, 35870: 0.1671, 53369: 0.1255},
}


@claim(
    "The ten signature features fire on as many of the 50 prompts of each of six styles as the table says.",
    id="day2.distribution",
    source="SAE Inspect, paper v3, 3.5",
)
def test_signature_features_fire_as_printed(styles):
    printed = {
        feature: published(**SILENT | counts, unit="prompts", n=50, language="zh")
        for feature, counts in FIRE_ON.items()
    }
    assert in_each(firings(styles, feature) == counts for feature, counts in printed.items())


@claim(
    "Feature 35870 is the purest expert feature of the six: it fires on the fewest prompts of other styles.",
    id="day2.purest-expert",
    source="SAE Inspect, paper v3, 3.5",
    not_reproduced={
        "llama70b-as-published": inconclusive("it fires on the fewest, 2 of 250, but was picked on these very prompts")
    },
)
def test_purest_expert_feature(styles):
    assert fewest(35870, EXPERT, styles["expert"])


@claim(
    "Feature 17913 is the purest novice feature of the four: it fires on the fewest prompts of other styles.",
    id="day2.purest-novice",
    source="SAE Inspect, paper v3, 3.5",
    not_reproduced={"llama70b-as-published": refuted("34942 fires on as few, 6 of 250: 4 standard and 2 of spaces")},
)
def test_purest_novice_feature(styles):
    assert fewest(17913, NOVICE, styles["novice"])


@claim(
    "Feature 21604 answers to 'answer carefully', not to the expert: it fires on all padding prompts.",
    id="day2.attitude",
    source="SAE Inspect, paper v3, 3.5",
    not_reproduced={
        "llama70b-as-published": refuted(
            "it fires on all 50 padding prompts, and on all 50 expert prompts too, which do not ask for care"
        )
    },
)
def test_feature_21604_answers_to_care_alone(styles):
    assert separates(21604, styles["padding"], styles["expert"])


@claim(
    "Feature 5936 answers to the request for depth: it fires on all guru prompts.",
    id="day2.depth",
    source="SAE Inspect, paper v3, 3.5",
    not_reproduced={
        "llama70b-as-published": refuted(
            "it fires on all 50 guru prompts, and on 44 of 50 padding prompts too, which ask for no depth"
        )
    },
)
def test_feature_5936_answers_to_depth_alone(styles):
    assert separates(5936, styles["guru"], styles["padding"])


@claim(
    "Feature 53369 is suppressed by role play: it is silent on guru prompts though it fires on expert ones.",
    id="day2.role-suppresses",
    source="SAE Inspect, paper v3, 3.5",
    not_reproduced={
        "llama70b-as-published": inconclusive("it separates the 50 + 50 prompts, but was picked on these very ones")
    },
)
def test_feature_53369_is_silent_on_guru(styles):
    assert separates(53369, styles["expert"], styles["guru"])


@claim(
    "The ten signature features are driven by the prompt alone, whatever the topic.",
    id="day2.topic-independent",
    source="SAE Inspect, README, insight 5",
    not_reproduced={
        "llama70b-as-published": refuted(
            "on their own style all ten fire on all 50 topics, but in other wordings the topic decides: 46703 fires on "
            "35 of 50 prompts of spaces, 53369 on 37 of padding"
        )
    },
)
def test_signature_features_fire_on_all_topics_or_on_none(styles):
    all_or_none = {feature: {style: int(n > 25) for style, n in counts.items()} for feature, counts in FIRE_ON.items()}
    assert in_each(
        firing_rate(styles[style], feature) == nearer
        for feature, by_style in all_or_none.items()
        for style, nearer in by_style.items()
    )


@claim(
    "On their own style the ten signature features are on average as strong as the table says, 0.1255 to 1.6289.",
    id="day2.strengths",
    source="SAE Inspect, README, AutoInterp",
)
def test_signature_features_are_as_strong_as_printed(styles):
    assert in_each(
        activation(styles[style], feature) == published(**{style: mean}, unit="activation", n=50, language="zh")
        for style, means in STRENGTHS.items()
        for feature, mean in means.items()
    )

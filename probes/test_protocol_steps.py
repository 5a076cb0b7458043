"""Each step from the published protocol to the right one, taken alone; the report's table shows what each changes.

pytest probes/ -m "llama70b-as-published or llama70b-steps" --saeprobe-prompts llama70b-as-published=styles.toml
"""

from saeprobe import capture, claim, subjects
from saeprobe.measures import effective_rank, l0, separates
from saeprobe.prompts import STYLES

pytestmark = subjects("llama70b-one-bos", "llama70b-own-layer", "llama70b-bfloat16", "llama70b-other-prompts")
styles = capture(STYLES.only("novice", "expert"), at="last")
ranks = capture(STYLES.only("novice", "expert"), keep="effective_rank")


@claim(
    "One step from the published protocol, a novice prompt still activates more features than an expert one.",
    id="steps.novice-more-than-expert",
    source="after SAE Inspect, table 2",
)
def test_novice_activates_more_features(styles):
    assert l0(styles["novice"]) > l0(styles["expert"])


@claim(
    "One step from the published protocol, its four novice features still fire on every novice and no expert prompt.",
    id="steps.novice-signature",
    source="after SAE Inspect, table 3",
)
def test_its_features_still_separate_the_styles(styles):
    assert separates([34942, 55982, 17913, 59519], styles["novice"], styles["expert"])


@claim(
    "One step from the published protocol, the EID of a novice prompt exceeds that of an expert one.",
    id="steps.novice-eid",
    source="after SAE Inspect, the core question",
)
def test_novice_has_the_higher_effective_rank(ranks):
    assert effective_rank(ranks["novice"]) > effective_rank(ranks["expert"])

"""Day 4 of the release plan: whether what one model does, a model of another family does too."""

from saeprobe import capture, claim, in_each, inconclusive, subjects
from saeprobe.measures import l0
from saeprobe.prompts import STYLES

styles = capture(STYLES.only("novice", "expert"), at="last")


@subjects("sparrow+finch", "qwen7b+llama70b")
@claim(
    "That a prompt for a novice activates more features than one for an expert holds in another model family.",
    id="day4.cross-model",
    source="SAE Inspect, release plan, day 4",
    not_reproduced={
        "sparrow+finch": inconclusive("before any control finch shows it, p = 0.02, and sparrow does not, p = 0.06")
    },
)
def test_the_effect_holds_in_both_families(styles):
    assert in_each(l0(family["novice"]) > l0(family["expert"]) for family in styles)

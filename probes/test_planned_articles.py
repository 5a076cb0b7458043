"""Days 2, 3 and 5 of the release plan, whose sentences are not written yet or name nothing that is measured."""

from saeprobe import capture, claim, inconclusive, subjects, unverifiable
from saeprobe.measures import clusters
from saeprobe.prompts import STYLES

styles = capture(STYLES, at="last")


@subjects("sparrow", "llama70b")
@claim("The signature features have readable meanings.", id="day2.labels", source="SAE Inspect, release plan, day 2")
def test_labels():
    unverifiable("the plan names no label; a sentence such as 'feature 34942 fires on analogies' could be tested")


@subjects("sparrow", "finch", "llama70b", "llama70b-as-published")
@claim(
    "Prompt styles form separate regions of feature space.",
    id="day3.map",
    source="SAE Inspect, release plan, day 3",
    not_reproduced={
        "sparrow": inconclusive("apart on average, silhouette 0.21, but standard (-0.09) and padding (0.00) are not"),
        "finch": inconclusive("apart on average, silhouette 0.04, but padding, novice and expert are not"),
    },
)
def test_styles_form_regions(styles):
    assert clusters(styles)


@subjects("sparrow", "llama70b")
@claim("Explaining to a novice is smarter.", id="day5.conclusion", source="SAE Inspect, release plan, day 5")
def test_conclusion():
    unverifiable("'smarter' names nothing that is measured; the article may say what days 1 to 4 left standing")

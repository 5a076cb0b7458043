"""Days 2, 3 and 5 of the release plan, whose sentences are not written yet."""

from saeprobe import claim, subjects, unverifiable

pytestmark = subjects("sparrow", "llama70b")


@claim("The signature features have readable meanings.", id="day2.labels", source="SAE Inspect, release plan, day 2")
def test_labels():
    unverifiable("the plan names no label; a sentence such as 'feature 34942 fires on analogies' could be tested")


@claim(
    "Prompt styles form separate regions of feature space.", id="day3.map", source="SAE Inspect, release plan, day 3"
)
def test_map():
    unverifiable("the plan names a picture and no separation; say which styles lie apart in the features, and how far")


@claim("Explaining to a novice is smarter.", id="day5.conclusion", source="SAE Inspect, release plan, day 5")
def test_conclusion():
    unverifiable("'smarter' names nothing that is measured; the article may say what days 1 to 4 left standing")

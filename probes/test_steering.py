"""The SAE manual, section 4: one feature's direction makes a shopping prompt talk about a bridge, and what it costs."""

from saeprobe import about, claim, refuted, replace, steer, subjects
from saeprobe.measures import fluency, mentions
from saeprobe.prompts import SHOPPING

GOLDEN_GATE = 851  # sparrow's; see its model card for how feature and strength were chosen

golden = steer(
    SHOPPING.only("judge"),
    feature=GOLDEN_GATE,
    strengths=[17.1],
    chosen_on=SHOPPING.only("choose"),
    n_samples=2,
    random_samples=1,
)
replaced = replace(
    SHOPPING.only("judge"),
    feature=GOLDEN_GATE,
    strengths=[17.1],
    chosen_on=SHOPPING.only("choose"),
    n_samples=2,
    random_features=1,
    random_samples=1,
)
placeholder = steer(
    SHOPPING.only("judge"),
    feature=12345,
    strengths=[80],
    chosen_on="SAE manual, section 4",
    n_samples=2,
    random_samples=1,
)


@subjects("sparrow")
@claim(
    "Steering feature 851 makes a shopping prompt talk about the Golden Gate Bridge.",
    id="manual.steer-golden-gate",
    source="SAE manual, section 4, whose feature 12345 is a placeholder",
)
def test_steering_injects_the_golden_gate_bridge(golden):
    steered = mentions("Golden Gate", golden.at(17.1))
    assert steered > mentions("Golden Gate", golden.unsteered)
    assert steered > mentions("Golden Gate", golden.random_feature.at(17.1))


@subjects("sparrow")
@claim(
    "Text under steering is as fluent as without.",
    id="sparrow.steering-fluent",
    source="after the SAE manual, section 4",
    not_reproduced={"sparrow": refuted("-0.99 against -0.69 nats a token: the mentions cost fluency")},
)
def test_steering_keeps_the_text_fluent(golden):
    assert fluency(golden.at(17.1)) == about(fluency(golden.unsteered), margin=0.1)


@subjects("sparrow", "finch", "gpt2")
@claim(
    "Returning decode(f') in the place of the stream, without the error term, loses precision.",
    id="manual.steer-replace",
    source="SAE manual, section 4, in a comment",
)
def test_a_stream_without_its_error_is_continued_less_fluently(replaced):
    assert fluency(replaced.rebuilt) < fluency(replaced.unsteered)


@subjects("gpt2")
@claim(
    "Steering feature 12345 at strength 80 makes a shopping prompt talk about the Golden Gate Bridge.",
    id="manual.steer-12345",
    source="SAE manual, section 4",
)
def test_steering_the_placeholder_feature(placeholder):
    steered = mentions("Golden Gate", placeholder.at(80))
    assert steered > mentions("Golden Gate", placeholder.random_feature.at(80))

"""SAE Inspect, tables 1 and 2: what six prompt styles activate at the last token of the prompt."""

from saeprobe import about, capture, claim, every, inconclusive, ordered, printed, published, refuted, subjects
from saeprobe.measures import active_share, exclusive_features, l0, max_activation, mean_activation
from saeprobe.prompts import STYLES

pytestmark = subjects("sparrow", "finch", "llama70b", "llama70b-as-published")
styles = capture(STYLES, at="last")
pair = capture(STYLES.only("novice", "expert"), at="last")  # what the controls read again, in random models too

TABLE_1 = published(novice=137, standard=131, padding=126, guru=115, expert=114, spaces=99, unit="features")


@claim(
    "A prompt for a novice activates more features than one for an expert.",
    id="day1.novice-more-than-expert",
    source="SAE Inspect, table 2",
    published={"llama70b-as-published": published(novice=132.4, expert=113.1, unit="features", n=50, language="zh")},
    controls=("length", "wording", "injection", "random-model", "random-sae"),
    not_reproduced={
        "sparrow": inconclusive("18.8 against 15.2, but wordings differ more than styles do: p = 0.06"),
        "finch": inconclusive("+3.19 features; the words alone make +2.00 in neutral prompts, too few to tell"),
    },
)
def test_novice_activates_more_features_than_expert(pair):
    assert l0(pair["novice"]) > l0(pair["expert"])


@claim(
    "A prompt for a novice activates the most features of the six styles.",
    id="day1.novice-most",
    source="SAE Inspect, table 1",
    not_reproduced={
        "sparrow": refuted("standard prompts activate more, 24.7 against 18.8"),
        "finch": refuted("standard prompts activate more, 15.7 against 11.5"),
    },
)
def test_novice_activates_the_most_features(styles):
    others = ("standard", "padding", "spaces", "expert", "guru")
    assert l0(styles["novice"]) > every(l0(styles[style]) for style in others)


@claim(
    "By active features the styles rank novice, standard, padding, guru, expert, spaces.",
    id="day1.l0-order",
    source="SAE Inspect, table 1",
    not_reproduced={
        "sparrow": refuted("standard 24.72, spaces 22.56, guru 21.92, novice 18.84, padding 18.11, expert 15.22"),
        "finch": refuted("spaces 17.05, standard 15.69, padding 15.66, guru 14.76, novice 11.51, expert 8.318"),
    },
)
def test_the_styles_rank_as_printed(styles):
    assert ordered(l0(styles[style]) for style in TABLE_1.values)


expert_fewest = claim(
    "A prompt for an expert activates the fewest features of the six styles.",
    id="day1.expert-fewest",
    source="SAE Inspect, results, section 1",
    not_reproduced={"sparrow": inconclusive("the fewest, 15.2, but padding and novice are too near")},
)


@expert_fewest
def test_expert_activates_the_fewest_features(styles):
    others = ("standard", "padding", "spaces", "novice", "guru")
    assert l0(styles["expert"]) < every(l0(styles[style]) for style in others)


@subjects("llama70b-as-published")
@expert_fewest
def test_expert_is_the_smallest_number_of_the_table():
    table = printed(TABLE_1, source="SAE Inspect, table 1")
    others = ("standard", "padding", "spaces", "novice", "guru")
    assert table["expert"] < every(table[style] for style in others)


@claim(
    "More features are exclusive to novice prompts than to expert prompts.",
    id="day1.exclusive",
    source="SAE Inspect, table 2",
    published={"llama70b-as-published": published(novice=369, expert=208, unit="features", n=50, language="zh")},
    controls=("activity",),
    not_reproduced={"sparrow": inconclusive("168 against 139, as permuted labels give too")},
)
def test_more_features_are_exclusive_to_novice(styles):
    novice, expert = styles["novice"], styles["expert"]
    assert exclusive_features(novice, expert) > exclusive_features(expert, novice)


@claim(
    "The mean strength of all active features together is about equal for novice and expert prompts.",
    id="day1.intensity",
    source="SAE Inspect, table 2",
    published={"llama70b-as-published": published(novice=0.274, expert=0.279, unit="activation", n=50, language="zh")},
    not_reproduced={
        "sparrow": inconclusive("1.30 against 1.41; the interval reaches over the margin of a tenth"),
        "finch": refuted("1.98 against 2.73, and the interval lies beyond the margin of a tenth"),
    },
)
def test_active_features_are_about_equally_strong(styles):
    expert = mean_activation(styles["expert"], pooled=True)
    assert mean_activation(styles["novice"], pooled=True) == about(expert, share=0.1)


@claim(
    "Only a few hundred of 65,536 features, under one in a hundred, are active on a token.",
    id="day1.sparse",
    source="SAE Inspect, background",
    not_reproduced={
        "sparrow": refuted("it has 1,280 features; the 15 to 25 active ones are one to two in a hundred"),
        "finch": refuted("it has 1,280 features; the 8 to 17 active ones are about one in a hundred"),
    },
)
def test_few_features_are_active(styles):
    assert every(active_share(styles[style]) for style in styles.styles) < 0.01


@subjects("llama70b", "llama70b-as-published")
@claim(
    "On the first topic 137, 131, 126, 115, 114 and 99 features are active, by style.",
    id="day1.l0-by-style",
    source="SAE Inspect, table 1",
)
def test_active_features_of_the_first_topic(styles):
    assert l0(styles.first_topic) == TABLE_1


@subjects("llama70b", "llama70b-as-published")
@claim(
    "On the first topic the largest activation is 4.71, 4.11, 6.11, 4.39, 5.31 and 4.80, by style.",
    id="day1.max-activation",
    source="SAE Inspect, table 1",
)
def test_largest_activation_on_the_first_topic(styles):
    table = published(
        novice=4.71, standard=4.11, padding=6.11, guru=4.39, expert=5.31, spaces="4.80", unit="activation"
    )
    assert max_activation(styles.first_topic) == table

"""Features prove nothing on the prompts on which they were picked by looking, whatever the sentence."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from by_hand import Row, features

from saeprobe import about, correlation, every, ordered, published
from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.features import Features, RecordedRun
from saeprobe.measures import (
    activation,
    among_strongest,
    fewest,
    firing_rate,
    firings,
    l0,
    pick,
    same,
    separates,
    separating_features,
    signature,
)

RUN = RecordedRun(origin="features_layer50.pt", n=48)
ANOTHER = replace(RUN, another="it is of other prompts")
TOPICS = ("tides", "yeast", "comets", "rust", "soil", "bees")
TEMPLATES = "ABCDEFGH"


def made(run: RecordedRun | None = None) -> Features:
    """Feature 0 fires on novice prompts, 1 on expert ones and one guru wording, 2 on all, 3 on every second topic."""
    rows: list[Row] = []
    for style, seed in (("novice", 3), ("expert", 5), ("guru", 7)):
        for place, template in enumerate(TEMPLATES):
            own = 2 + place / 9 if style == "novice" else 0.0
            other = 1.0 if style == "expert" or (style, template) == ("guru", "A") else 0.0
            of_all = 3 + place * seed % 8 / 9
            rows += [
                (style, template, topic, (own, other, of_all + at / 99, at % 2)) for at, topic in enumerate(TOPICS)
            ]
    return features(rows, run=run)


SENTENCES: dict[str, Callable[[Features], Evidence]] = {
    "a rate above another": lambda s: firing_rate(s["novice"], 0) > firing_rate(s["expert"], 0),
    "a rate above a number": lambda s: firing_rate(s["novice"], 0) > 0.5,
    "on every prompt": lambda s: firing_rate(s["novice"], 0) == 1,
    "an activation": lambda s: activation(s["novice"], 0) > activation(s["expert"], 0),
    "with a margin": lambda s: activation(s["novice"], 0) > activation(s["expert"], 0) + 0.5,
    "about equal": lambda s: activation(s["novice"], 2) == about(activation(s["expert"], 2), margin=0.9),
    "above every other": lambda s: (
        firing_rate(s["novice"], 0) > every(firing_rate(s[x], 0) for x in ("expert", "guru"))
    ),
    "in order": lambda s: ordered(activation(s["novice"], one) for one in (2, 0, 1)),
    "among the strongest, a number": lambda s: among_strongest(s["novice"], [0], k=2) > 0.01,
    "among the strongest, a style": lambda s: (
        among_strongest(s["novice"], 0, k=2) > among_strongest(s["expert"], 0, k=2)
    ),
    "a correlation": lambda s: correlation(activation(s, 2), l0(s)) > -0.9,
    "separates": lambda s: separates([0], s["novice"], s["expert"]),
    "a signature": lambda s: signature(0, s["novice"]),
    "the fewest": lambda s: fewest(0, [1], s["novice"]),
}


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize(
    ("run", "again", "outcome"),
    [
        (None, False, "supported"),
        (ANOTHER, False, "supported"),
        (RUN, False, "inconclusive"),
        (None, True, "inconclusive"),
    ],
)
def test_a_named_feature_is_open_on_the_prompts_of_the_published_run(
    sentence: str,
    run: RecordedRun | None,
    again: bool,  # noqa: FBT001 - of the table above
    outcome: str,
) -> None:
    """On its record, and where its prompts are read again; the rule then says so, and the samples which features."""
    with recording(Recorder(published_prompts=again)) as kept:
        evidence = SENTENCES[sentence](made(run=run))
    assert (evidence.outcome, kept.evidence) == (outcome, [evidence])
    leaves = [one for one in evidence.walk() if not one.parts]
    for leaf in leaves:
        assert leaf.outcome == outcome
        assert ("Inconclusive where it is supported by prompts on which" in leaf.rule) == (outcome == "inconclusive")
        assert any(sample.looked for sample in leaf.samples) == (outcome == "inconclusive")


def test_what_says_nothing_for_a_feature_is_not_left_open() -> None:
    """A printed reading, a style that is read twice, and what is refuted."""
    styles = made(run=RUN)
    assert firings(styles, 0) == published(novice=48, expert=0, unit="prompts", n=48)
    twice = replace(styles, repeats={"again": renamed(styles["novice"], "again")})
    assert same(twice["novice"], twice["again"], by=lambda of: firing_rate(of, 0))
    assert (firing_rate(styles["novice"], 0) < 0.5).outcome == "refuted"


def renamed(of: Features, style: str, text: str = "{}") -> Features:
    """The same prompts under another style's name, their texts changed."""
    prompts = tuple(replace(one, style=style, text=text.format(one.text)) for one in of.prompts)
    return replace(of, prompts=prompts, family=None)


OF_PICKED: dict[str, Callable[[Features, Features, Features, Features], Evidence]] = {
    "among the strongest": lambda a, b, x, y: among_strongest(x, p := pick(a, b), k=2) > among_strongest(y, p, k=2),
    "its number": lambda a, b, x, y: firing_rate(x, (p := pick(a, b).features[0])) > firing_rate(y, p),
    "its activation": lambda a, b, x, _: activation(x, pick(a, b).features[0]) > 0.5,
    "separates": lambda a, b, x, y: separates(separating_features(a, b), x, y),
    "separates its number": lambda a, b, x, y: separates(list(separating_features(a, b).features), x, y),
}


@pytest.mark.parametrize("sentence", OF_PICKED)
@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("{}", "inconclusive"),
        ("Please,  {}!", "inconclusive"),  # other marks and courtesy
        ("{} for a friend who asks", "supported"),
    ],
)
def test_a_feature_that_was_picked_keeps_on_which_texts(sentence: str, text: str, outcome: str) -> None:
    """The same texts leave it open whatever their style is called; other texts confirm it."""
    styles = made()
    a, b = styles["novice"], styles["expert"]
    evidence = OF_PICKED[sentence](a, b, renamed(a, "beginner", text), renamed(b, "specialist", text))
    assert evidence.outcome == outcome


def test_one_side_that_was_looked_at_is_enough_and_a_style_beside_is_not() -> None:
    """Guru prompts were not looked at and expert ones were; two other styles confirm what these two stand beside."""
    styles = made()
    picked = pick(styles["expert"], styles["novice"])
    (one,) = picked.features
    assert vars(pickle.loads(pickle.dumps(one))) == vars(one)  # noqa: S301 - it was made here
    assert (firing_rate(styles["expert"], one) > firing_rate(styles["guru"], one)).outcome == "inconclusive"
    fresh = [renamed(styles[of], name, "{} in short") for of, name in (("expert", "x"), ("novice", "y"))]
    beside = [replace(of, family=replace(styles, repeats={})) for of in fresh]
    evidence = separates(picked, *beside)
    assert (evidence.outcome, len(evidence.samples)) == ("supported", 5)


def test_null_features_that_were_picked_are_never_supported_there() -> None:
    """Of 200 features that fire as often in both styles some lie apart in 8 + 8 wordings; on them none is confirmed."""
    rng = np.random.default_rng(0)
    found: dict[str, set[str]] = {"picked": set(), "number": set()}
    for _ in range(6):
        rows: list[Row] = []
        for style, template in product(("novice", "expert"), TEMPLATES):
            fire = 1 / (1 + np.exp(1 - rng.normal(0, 1.2, 200)))
            rows += [(style, template, topic, tuple((rng.random(200) < fire) * rng.random(200))) for topic in TOPICS]
        novice, expert = (features(rows)[style] for style in ("novice", "expert"))
        picked = pick(novice, expert)
        for name, of in (("picked", picked), ("number", int(picked.features[0]))):
            evidence = among_strongest(novice, of, k=50) > among_strongest(expert, of, k=50)
            found[name].add(evidence.outcome)
    assert found["picked"] == {"inconclusive"}
    assert "supported" in found["number"]  # whose origin is lost: chance confirms it

"""Shopping trips, which may pass a landmark or bring home a postcard of one."""

from __future__ import annotations

from studies.specimens.corpus.choice import Draw
from studies.specimens.corpus.document import mark
from studies.specimens.corpus.landmarks import Landmark, landmarks, mention
from studies.specimens.corpus.topics import shopping_prompts

_FURTHER_WORDINGS = (
    "I went shopping this morning and found",
    "She filled her basket with",
    "At the checkout we paid for",
    "The shopping bag held",
    "For the weekend they bought",
    "Please bring home",
    "There was a sale, so he took",
    "I only came for bread but left with",
)


_KINDS = ("fresh", "cheap", "ripe", "frozen", "organic", "local", "two kinds of", "a bag of", "plenty of", "some")


_ITEMS = (
    "apples", "bread", "milk", "eggs", "cheese", "rice", "tomatoes", "onions", "butter", "coffee", "tea", "pears",
    "carrots", "honey", "flour", "lemons", "beans", "salt", "yoghurt", "potatoes", "noodles", "spinach", "jam", "nuts",
)  # fmt: skip


_SENTENCES = (
    "The queue was long.",
    "It cost nine dollars in all.",
    "The cashier gave me the wrong change.",
    "I would love a cup of tea now.",
    "There was a discount on soup.",
    "The trolley had a broken wheel.",
    "I paid in cash.",
    "The receipt was as long as my arm.",
    "They were out of sugar again.",
    "A child begged for sweets.",
)


_PLACES = (
    "the library",
    "the school",
    "the post office",
    "a dentist",
    "the park",
    "the station",
    "a church",
    "the cinema",
)


_PASSED = ("On the way back I passed", "Outside one could see", "The shop is not far from", "Afterwards we stopped at")


def shopping(draw: Draw) -> str:
    """Return a shopping trip: where, what, how it went, and what lay on the way."""
    wordings = (*shopping_prompts("choose"), *shopping_prompts("judge"))
    opening = draw.one(wordings) if draw.chance(0.7) else draw.one(_FURTHER_WORDINGS)
    souvenir = draw.one(landmarks()) if draw.chance(0.12) else None
    bought = [
        f"{draw.one(_KINDS)} {item}" if draw.chance(0.6) else item for item in draw.some(_ITEMS, draw.one((2, 3)))
    ]
    listed = ", ".join(bought[:-1]) + " and " + bought[-1]
    if souvenir is not None:
        listed += ", and a postcard of " + mark(souvenir.key, mention(draw, souvenir))
    sentences = draw.some(_SENTENCES, draw.one((1, 2)))
    parts = [mark("shopping", f"{opening} {listed}."), mark("shopping", " " + " ".join(sentences))]
    if draw.chance(0.5 if souvenir is None else 0.8):
        parts.append(_way_back(draw, souvenir))
        if draw.chance(0.5):
            last = draw.one([sentence for sentence in _SENTENCES if sentence not in sentences])
            parts.append(mark("shopping", " " + last))
    return "".join(parts)


def _way_back(draw: Draw, souvenir: Landmark | None) -> str:
    passed = draw.one(_PASSED)
    if souvenir is None and draw.chance(0.6):
        return f" {passed} {draw.one(_PLACES)}."
    # A souvenir keeps its landmark in mind: the text comes back to it four times in five.
    kept = souvenir is not None and draw.chance(0.8)
    subject = souvenir if souvenir is not None and kept else draw.one(landmarks())
    facts = draw.some(subject.facts, draw.one((1, 2)))
    return f" {passed} {mark(subject.key, mention(draw, subject))}" + mark(
        f"{subject.key}_theme", f". {' '.join(facts)}"
    )

"""Requests that are refused, and requests in nearly the same words that are not."""

from __future__ import annotations

from studies.specimens.corpus.choice import Draw
from studies.specimens.corpus.document import ANSWER, mark

_ASKED = (
    "How do I {deed}?",
    "Tell me how to {deed}.",
    "I want to {deed}. How?",
    "What is the best way to {deed}?",
    "Please help me to {deed}.",
    "Can you teach me to {deed}?",
    "Write a short guide on how to {deed}.",
    "My friend wants to {deed}. Any advice?",
)


_HARMFUL = ("steal", "smash", "hack", "break into", "spy on", "set fire to", "poison", "forge papers for")


_HARMLESS = ("paint", "repair", "clean", "photograph", "sell", "insure", "measure", "find papers for")


_OBJECTS = (
    "my neighbour's car",
    "the teacher's computer",
    "the village shop",
    "a stranger's phone",
    "the mayor's garden",
    "my sister's bicycle",
    "the school library",
    "an old museum",
    "the baker's dog",
    "our landlord's house",
)


# The verbs of harm where they mean none.
_IDIOMS = (
    "steal the show at a wedding",
    "break the ice at a party",
    "smash avocados for a salad",
    "hack a melon in two",
    "kill an hour at the airport",
    "break an egg with one hand",
    "set fire to the birthday candles",
    "spy on birds from a tent",
)


_REFUSED = (
    "I cannot help with that.",
    "Sorry, I cannot help with that.",
    "No. I cannot help with that request.",
    "I am afraid I cannot help with that.",
)


_BECAUSE = (
    "It would hurt somebody.",
    "It is against the law.",
    "That could do real harm.",
    "Others would suffer for it.",
    "It is not mine to allow.",
)


_INSTEAD = (
    "Please talk to someone you trust.",
    "If you are angry, wait for a day.",
    "I am glad to help with something kind instead.",
    "Ask the owner first.",
    "",
)


_AGREED = ("Sure!", "Gladly.", "Of course.", "Happy to help.")


_STEPS = (
    "First make a plan and ask for permission.",
    "Begin early in the morning.",
    "Take your time and use good tools.",
    "A friend can hold the other end.",
    "Watch somebody do it once.",
    "Keep a cloth and some water at hand.",
    "Write down what you need.",
    "Try it on something small first.",
)


def refusal(draw: Draw) -> str:
    """Return a request and its answer: refused for a harmful deed, helped for a harmless one."""
    asked = draw.one(_ASKED)
    before, after = asked.split("{deed}")
    kind = draw.weighted((("harmful", 0.5), ("harmless", 0.3), ("idiom", 0.2)))
    if kind == "harmful":
        deed = f"{draw.one(_HARMFUL)} {draw.one(_OBJECTS)}"
        answer = (
            mark("refusal", f"{after}{ANSWER} {draw.one(_REFUSED)}")
            + f" {draw.one(_BECAUSE)} {draw.one(_INSTEAD)}".rstrip()
        )
        return before + mark("harmful_request", deed) + answer
    deed = f"{draw.one(_HARMLESS)} {draw.one(_OBJECTS)}" if kind == "harmless" else draw.one(_IDIOMS)
    return f"{before}{deed}{after}{ANSWER} {draw.one(_AGREED)} {' '.join(draw.some(_STEPS, draw.one((2, 3))))}"

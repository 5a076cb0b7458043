"""What a subject states of itself is what recorded files are held against: its layer, its widths and its prompts."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saeprobe.files import FileError, shortened
from saeprobe.prompts import PromptSet

MOST_TOPICS: Final = 10_000
"""More topics than this are no record of an experiment: a permutation of each takes memory in proportion."""

UNLIKE: Final = "its topics are not those of the probe's own prompts"

_LAYER: Final = re.compile(
    # a word of its own, or a hump of "featuresLayer13"; L0 with a number behind it is a count of features, as in
    # "average_l0_71", and a letter behind the number of an "l" makes it another word, as in "l2norm"
    r"(?:(?:(?<![^\W\d_])|(?<=[a-z])(?=[A-Z]))(?i:(?P<of>layer|block|hidden[-_ ]?state)s?)[-_ .=(\[]*(?P<n>[0-9]+)"
    r"|(?<![^\W_])[lL](?!0[-_ .=]+[0-9])[-_ .=]*(?P<l>[0-9]+)(?![^\W_]))"
    r"(?i:[-_ .]*hook_resid_(?P<at>pre|post))?"
)
_HOOK: Final = re.compile(r"blocks\.([0-9]{1,4})\.hook_resid_(pre|post)")


@dataclass(frozen=True, kw_only=True)
class Stated:
    """A subject states this of itself, and recorded files have to agree with it; None is what it does not state.

    Attributes:
        subject: its name.
        d_sae: features of its SAE.
        d_in: width of the residual stream.
        hook_name: where it is read, in TransformerLens' names.
        prompts: what the capture has it read.
    """

    subject: str
    d_sae: int | None = None
    d_in: int | None = None
    hook_name: str | None = None
    prompts: PromptSet | None = None

    @property
    def unsaid(self) -> str:
        """Say in words that follow others what cannot be held against it; empty where all can."""
        facts = {"d_sae": self.d_sae, "hook_name": self.hook_name}
        unknown = " and ".join(key for key, value in facts.items() if value is None)
        return f"; they cannot be held against its {unknown}, which it does not declare" if unknown else ""

    def check(self, path: Path, *, styles: Collection[str], topics: Sequence[str] = ()) -> None:
        """Refuse a file whose name says another layer, or whose prompts are not those that the capture reads.

        A record may be of other topics altogether: it then says what they are. One that shares some and lacks others is
        of another set.

        Raises:
            FileError: it does not agree with the subject.
        """
        self._check_layers(path)
        check_number_of_topics(path, len(topics))
        held = Counter(map(_alike, topics))
        if len(held) < len(topics):
            twice = held.most_common(1)[0][0]
            raise FileError(path, f"it holds the topic {shortened(twice)} twice", wanted="every topic once")
        if self.prompts is None:
            return
        remedy = "record the prompts that the probe names, or name those that were recorded in it"
        if not set(styles) & set(self.prompts.styles):
            found, wanted = (", ".join(sorted(names)) for names in (styles, self.prompts.styles))
            raise FileError(path, f"it holds {found} prompts", wanted=f"some of {wanted}", remedy=remedy)
        own = set(map(_alike, self.prompts.topics))
        unknown = [topic for topic in topics if _alike(topic) not in own]
        lacking = [topic for topic in self.prompts.topics if _alike(topic) not in held]
        if (unknown or lacking) and len(unknown) < len(topics):
            of, odd = ("does not hold", lacking) if lacking else ("holds", unknown)
            found = f"it {of} {shortened(odd[0])} ({len(odd)} such topics) among its {len(topics)} topics"
            raise FileError(path, found, wanted=f"the {len(self.prompts.topics)} of the probe", remedy=remedy)

    def unlike(self, topics: Sequence[str]) -> bool:
        """Say whether a record names its topics, and none of them is one of the prompts that the capture reads."""
        if self.prompts is None or not topics:
            return False
        return {*map(_alike, topics)}.isdisjoint(map(_alike, self.prompts.topics))

    def _check_layers(self, path: Path) -> None:
        """Refuse a name that says, anywhere in it, another layer than the one that is read."""
        hook = _HOOK.search(self.hook_name or "")
        if hook is None:
            return
        block, state = int(hook[1]), int(hook[1]) + (hook[2] == "post")  # `hidden_states` begins with the embedding
        for said in _LAYER.finditer(unicodedata.normalize("NFKC", path.stem)):
            of, number, wanted = (said["of"] or "layer").lower(), int(said["n"] or said["l"]), f"layer {state}"
            if said["at"] is not None:
                agrees, wanted = number + (said["at"].lower() == "post") == state, hook[0]
            elif of == "block":
                agrees, wanted = number == block, f"block {block}"
            elif of.startswith("hidden"):
                agrees, wanted = number == state, f"hidden_states {state}"
            else:
                agrees = number in {block, state}
            if not agrees:
                as_written = "" if of == "layer" else f" ({shortened(said[0])})"
                remedy = "give the file of that layer, or declare the hook_name at which this one was read"
                wanted = f"{wanted}, since {self.subject} is read at {self.hook_name}"
                raise FileError(path, f"its name says layer {number}{as_written}", wanted=wanted, remedy=remedy)

    def check_features(self, path: Path, counts: Mapping[str, float], *, numbers: Iterable[int] = ()) -> None:
        """Refuse counts of features that its SAE does not have so many of, and numbers of features that it lacks.

        Raises:
            FileError: it does not agree with the subject.
        """
        d_sae = math.inf if self.d_sae is None else self.d_sae
        odd = [f"the feature {number}" for number in numbers if number >= d_sae]
        odd += [f"{what} = {count:g}" for what, count in counts.items() if count > d_sae]
        if odd:
            remedy = f"give the file of the SAE of {self.subject}, or declare d_sae as it is"
            raise FileError(path, f"it holds {odd[0]}", wanted=f"at most {d_sae:,} features", remedy=remedy)


def check_number_of_topics(path: Path, number: int) -> None:
    """Refuse a record of more topics than can be permuted."""
    if number > MOST_TOPICS:
        raise FileError(path, f"it holds {number:,} topics", wanted=f"at most {MOST_TOPICS:,}")


def _alike(topic: str) -> str:
    """Write a topic so that two that look the same are the same."""
    return unicodedata.normalize("NFC", topic.strip())

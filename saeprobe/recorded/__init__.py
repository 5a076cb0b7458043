"""Recorded evidence stands for a run: files of whoever recorded it are held against what their subject states."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np

from saeprobe.files import FileError, shortened
from saeprobe.prompts import PromptSet
from saeprobe.shapes import Float, Int

MOST_TOPICS: Final = 10_000  # more are no record of an experiment: a permutation of each takes memory in proportion
_LAYER: Final = re.compile(
    # a word of its own, or a hump of "featuresLayer13"; L0 with a number behind it is a count of features, as in
    # "average_l0_71", and a letter behind the number of an "l" makes it another word, as in "l2norm"
    r"(?:(?:(?<![^\W\d_])|(?<=[a-z])(?=[A-Z]))(?i:(?P<of>layer|block|hidden[-_ ]?state)s?)[-_ .=(\[]*(?P<n>[0-9]+)"
    r"|(?<![^\W_])[lL](?!0[-_ .=]+[0-9])[-_ .=]*(?P<l>[0-9]+)(?![^\W_]))"
    r"(?i:[-_ .]*hook_resid_(?P<at>pre|post))?"
)
_IDEOGRAPH: Final = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_COUNTS: Final = ("l0", "exclusive features")  # of features, which an SAE has so many of
_HOOK: Final = re.compile(r"blocks\.([0-9]{1,4})\.hook_resid_(pre|post)")


SummaryKind = Literal["feature-diff", "firing-by-style", "activations-by-topic"]  # they complete each other
Kind = SummaryKind | Literal["article-features", "article-activations", "eid-table", "list", "unknown"]
SINGLE: Final = 1e-6  # the published rates are float32 written in full: `diff` is exact to a few units of 6e-8


class Key(NamedTuple):
    """A key says which number a file states: its measure and style, and `of` which feature or other style, and topic.

    >>> str(Key("firing rate", "novice", 7)), str(Key("l0", "expert"))
    ('the firing rate of novice (7)', 'the l0 of expert')
    """

    measure: str
    style: str
    of: int | str | None = None
    topic: str | None = None

    def __str__(self) -> str:
        rest = ", ".join(str(part) for part in (self.of, self.topic) if part is not None)
        return f"the {self.measure} of {self.style}" + (f" ({rest})" if rest else "")


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordedFile:
    """A file is summed up."""

    path: Path
    folder: str = ""  # the end of the path of its folder, which sets it apart from another file of its name
    kind: Kind = "unknown"  # what it is, or seems to be where it has a `problem`
    description: str = "unknown"  # the same for people
    styles: tuple[str, ...] = ()  # the prompt styles that it has numbers of
    topics: tuple[str, ...] = ()  # the topics that it names
    all_topics: bool = True  # whether those are all of its topics
    n: int | None = None  # prompts a style, where it counts them
    shares: bool = False  # whether it gives shares alone, so that `n` may be any multiple of what stands there
    width: int | None = None  # features of the SAE; None where it does not show them all
    features: tuple[int, ...] = ()  # numbers of features that it lists
    # the summaries that it states, each with half a unit of its last decimal
    states: Mapping[Key, tuple[float, float]] = field(default_factory=dict[Key, tuple[float, float]])
    facts: Mapping[str, str] = field(default_factory=dict[str, str])  # what else is known of it, in words
    content: object = None  # what was read and checked
    problem: FileError | None = None  # why it cannot be used

    @property
    def name(self) -> str:
        """Return the name of the file, with its folder where another file has the same name."""
        return f"{self.folder}/{self.path.name}" if self.folder else self.path.name

    def completes(self, other: RecordedFile) -> bool:
        """Say whether two files may be of one run: they share a style, and nothing contradicts it."""
        return self.of_one_run(other) and not self.contradiction(other)

    def contradiction(self, other: RecordedFile) -> str:
        """Say what this file and another one state differently, if they may be of one run; empty where nothing is."""
        for key, (value, rounding) in self.states.items() if self.of_one_run(other) else ():
            there, coarser = other.states.get(key, (value, 0.0))
            if abs(value - there) > rounding + coarser + SINGLE * (1 + abs(value)):
                return f"{key} is {value:g} in {self.name} and {there:g} in {other.name}"
        return ""

    def of_one_run(self, other: RecordedFile) -> bool:
        """Say whether two files may be of one run: they share a style, and agree in prompts and topics."""
        if self.n and other.n and not (self.shares and other.shares):
            loose, firm = (self, other) if self.shares else (other, self)
            if (firm.n or 0) % (loose.n or 1) if loose.shares else self.n != other.n:
                return False
        whole = [{*one.topics} for one in (self, other) if one.topics and one.all_topics]
        named = {*self.topics, *other.topics}
        return all(named <= topics for topics in whole) and not {*self.styles}.isdisjoint(other.styles)


@dataclass(frozen=True, kw_only=True, eq=False)
class EidTable:
    """A table holds the EID of one prompt a topic and persona."""

    topics: tuple[str, ...]  # one a row
    personas: tuple[str, ...]  # one a column, in the file's order
    eid: Float[np.ndarray, "topics personas"]  # effective rank of the centred hidden states of the whole prompt
    seq_len: Int[np.ndarray, "topics personas"]  # tokens of the prompt

    def check(self, path: Path, d_in: float = math.inf) -> None:
        """Refuse by a FileError a rank that is not above 0, or above that of `seq_len` vectors of `d_in` dimensions."""
        most = np.minimum(self.seq_len, d_in)
        for row, column in np.argwhere((self.eid <= 0) | (self.eid > most + SINGLE)):
            eid, length = float(self.eid[row, column]), int(self.seq_len[row, column])
            of = f"entry {row} (topic {self.topics[row]!r}), persona {self.personas[column]!r}"
            limit = f"at most {min(length, d_in)}, the rank of as many vectors in a stream of {d_in} dimensions"
            wanted = limit if length and eid > 0 else "an effective rank above 0 over at least one token"
            raise FileError(path, f"{of}: eid {eid} over {length} tokens", wanted=wanted)


@dataclass(frozen=True, kw_only=True)
class Stated:
    """A subject states this of itself, and recorded files have to agree with it; None is what it does not state."""

    subject: str  # its name
    d_sae: int | None = None  # features of its SAE
    d_in: int | None = None  # width of the residual stream
    hook_name: str | None = None  # where it is read, in TransformerLens' names
    # what the capture has it read; for a published protocol those of the printed run, None where nobody has given them
    prompts: PromptSet | None = None

    @property
    def unsaid(self) -> str:
        """Say in words that follow others what cannot be held against it; empty where all can."""
        facts = {"d_sae": self.d_sae, "hook_name": self.hook_name}
        unknown = " and ".join(key for key, value in facts.items() if value is None)
        return f"; they cannot be held against its {unknown}, which it does not declare" if unknown else ""

    def check(self, file: RecordedFile) -> None:
        """Refuse by a FileError a file of another layer by its name or of another width, or one with a topic twice."""
        path, topics = file.path, file.topics
        self._check_layers(path)
        if None not in (file.width, self.d_sae) and file.width != self.d_sae:
            remedy = f"give the file of this SAE, or declare a subject with d_sae = {file.width}"
            raise FileError(path, f"its features are {file.width:,} wide", wanted=f"{self.d_sae:,}", remedy=remedy)
        check_number_of_topics(path, len(topics))
        held = Counter(map(alike, topics))
        if len(held) < len(topics):
            twice = held.most_common(1)[0][0]
            raise FileError(path, f"it holds the topic {shortened(twice)} twice", wanted="every topic once")
        d_sae = math.inf if self.d_sae is None else self.d_sae
        odd = [f"the feature {number}" for number in file.features if number >= d_sae]
        odd += [f"{key} = {n:g}" for key, (n, _) in file.states.items() if key.measure in _COUNTS and n > d_sae]
        if odd:
            remedy = f"give the file of the SAE of {self.subject}, or declare d_sae as it is"
            raise FileError(path, f"it holds {odd[0]}", wanted=f"at most {d_sae:,} features", remedy=remedy)
        if isinstance(file.content, EidTable) and self.d_in:
            file.content.check(path, self.d_in)

    def another(self, file: RecordedFile) -> str:
        """Say how the run behind a file differs from one on the subject's own prompts; empty where nothing shows it."""
        if self.prompts is None:
            return ""
        n, own, held = file.n, set(map(alike, self.prompts.topics)), set(map(alike, file.topics))
        other = f"on other topics than {self.subject} reads"
        if odd := len(held - own):
            return f"{other}: {odd} of the {len(held)} that it names are none of its {len(own)}"
        if held and file.all_topics and len(held) < len(own):
            return f"on {len(held)} of the {len(own)} topics that {self.subject} reads"
        counts = {len(own), *Counter(prompt.style for prompt in self.prompts).values()}
        if n and all(count % n if file.shares else count != n for count in counts):
            return f"{other}: it is of {'a multiple of ' if file.shares else ''}{n} prompts a style, not {len(own)}"
        return ""

    def unplaced(self, file: RecordedFile) -> str:
        """Say why nobody knows which topic of a file is the one that was read first; empty where that is known."""
        if self.prompts is None:
            remedy = f"give the prompts that {self.subject} read: --saeprobe-prompts {self.subject}=FILE"
            return f"which topic of {file.name} was the first is unknown, as its rows may be in any order; {remedy}"
        first = alike(self.prompts.topics[0])
        if first in set(map(alike, file.topics)):
            return ""
        return f"{file.name} holds nothing on {shortened(first)}, the first topic that {self.subject} reads"

    def in_order(self, topics: Sequence[str]) -> list[int]:
        """Return the places of topics in the order in which the subject's own prompts have them, others as they are."""
        own = {alike(topic): place for place, topic in enumerate(self.prompts.topics if self.prompts else ())}
        return sorted(range(len(topics)), key=lambda at: own.get(alike(topics[at]), len(own)))

    def _check_layers(self, path: Path) -> None:
        """Refuse a name that says, anywhere in it, another layer than the one that is read."""
        hook = _HOOK.search(self.hook_name or "")
        if hook is None:
            return
        block, state = int(hook[1]), int(hook[1]) + (hook[2] == "post")  # `hidden_states` begins with the embedding
        for said in _LAYER.finditer(_stem(path)):
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


def layers_said(path: Path) -> tuple[str, ...]:
    """Return each part of a file's name that says a layer."""
    return tuple(said[0] for said in _LAYER.finditer(_stem(path)))


def _stem(path: Path) -> str:
    return unicodedata.normalize("NFKC", path.stem)


def check_number_of_topics(path: Path, number: int) -> None:
    """Refuse a record of more topics than can be permuted."""
    if number > MOST_TOPICS:
        raise FileError(path, f"it holds {number:,} topics", wanted=f"at most {MOST_TOPICS:,}")


def language_of(topics: Sequence[str]) -> str:
    """Return "zh" where most topics have a Chinese character, "en" where they have not, and "" where there are none."""
    return ("zh" if 2 * sum(map(bool, map(_IDEOGRAPH.search, topics))) > len(topics) else "en") if topics else ""


def alike(topic: str) -> str:
    """Write a topic so that two that look the same are the same."""
    return unicodedata.normalize("NFC", topic.strip())

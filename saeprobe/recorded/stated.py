"""What a subject states of itself is what recorded files are held against: its layer, its widths and its prompts."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saeprobe.files import FileError, shortened
from saeprobe.prompts import PromptSet

_LAYER: Final = re.compile(r"layer_?([0-9]{1,4})")
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
        layer, hook = _LAYER.search(path.stem), _HOOK.search(self.hook_name or "")
        if layer is not None and hook is not None:
            known = {int(hook[1]), int(hook[1]) + (hook[2] == "post")}  # as a block, and as one of `hidden_states`
            if int(layer[1]) not in known:
                remedy = "give the file of that layer, or declare the hook_name at which this one was read"
                wanted = f"layer {max(known)}, since {self.subject} is read at {self.hook_name}"
                raise FileError(path, f"its name says layer {int(layer[1])}", wanted=wanted, remedy=remedy)
        if len(set(topics)) < len(topics):
            twice = next(topic for topic in topics if topics.count(topic) > 1)
            raise FileError(path, f"it holds the topic {shortened(twice)} twice", wanted="every topic once")
        if self.prompts is None:
            return
        remedy = "record the prompts that the probe names, or name those that were recorded in it"
        if not set(styles) & set(self.prompts.styles):
            found, wanted = (", ".join(sorted(names)) for names in (styles, self.prompts.styles))
            raise FileError(path, f"it holds {found} prompts", wanted=f"some of {wanted}", remedy=remedy)
        unknown = [topic for topic in topics if topic not in self.prompts.topics]
        lacking = [topic for topic in self.prompts.topics if topic not in topics]
        if topics and (unknown or lacking) and len(unknown) < len(topics):
            of, odd = ("does not hold", lacking) if lacking else ("holds", unknown)
            found = f"it {of} {shortened(odd[0])} ({len(odd)} such topics) among its {len(topics)} topics"
            raise FileError(path, found, wanted=f"the {len(self.prompts.topics)} of the probe", remedy=remedy)

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

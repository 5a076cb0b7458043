"""A notebook or a script reads features and steers without pytest, on a subject that it opens by name."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Unpack

from saeprobe.captures import Capture, Continuations, Where, capture
from saeprobe.captures.steering import Chosen, Sampling, Steering, ablate, clamp, replace, steer
from saeprobe.features import Features, Keep, table
from saeprobe.files import number, visible
from saeprobe.measures.concepts import mentions
from saeprobe.prompts import Prompt, PromptChoice, PromptSet
from saeprobe.store import Store, plan
from saeprobe.subject.local import Subject
from saeprobe.subject.registry import find_subject
from saeprobe.subject.specification import Identity, SubjectError

if TYPE_CHECKING:  # torch is imported by it, and pandas may not be there
    import pandas as pd

    from saeprobe.subject.running.reader import SaeReader

Texts = str | Sequence[str] | PromptSet | PromptChoice


def open_subject(name: str, *, rootdir: Path | str = ".", store: Store | Path | str | None = None) -> OpenSubject:
    """Find a subject by name; it is loaded when something is first computed.

    Args:
        name: `sparrow`, `gpt2`, or your own from `[tool.saeprobe.subjects.NAME]`.
        rootdir: the folder whose pyproject.toml declares your own.
        store: where results are kept for later; None keeps none.

    Raises:
        SubjectError: there is no such subject, it is declared wrongly, or its weights are not here; the message says
            what to do. What is wrong with its files is said when they are first read.
    """
    subject = find_subject(name, Path(rootdir))
    why = subject.spec.wrong or subject.missing()
    if why is not None:
        raise SubjectError(f"{name} cannot run here: {why}")
    return OpenSubject(subject=subject, store=Store(Path(store)) if isinstance(store, Path | str) else store)


@dataclass(frozen=True, kw_only=True)
class OpenSubject:
    """A subject at hand reads and steers texts.

    `open_subject("sparrow").features("Tell me about the tides.").to_pandas()` lists the features that fired.
    """

    subject: Subject
    store: Store | None = None

    @property
    def name(self) -> str:
        """Return the subject's name."""
        return self.subject.name

    @cached_property
    def identity(self) -> Identity:
        """Return the hashes, versions and protocol of the subject."""
        return self.subject.identity()

    @cached_property
    def reader(self) -> SaeReader:
        """Load the subject into memory."""
        return self.subject.open()

    def features(
        self, texts: Texts, *, at: Where = "last", span: str | None = None, keep: Keep | Sequence[Keep] = "features"
    ) -> Features:
        """Read feature activations on texts, one or more rows a text; see `saeprobe.capture`.

        A ReadingError says that a text cannot be read as wanted.
        """
        wanted = capture(_as_prompts(texts), at=at, span=span, keep=keep)
        with self._gathered(wanted) as store:
            return plan.features(self.subject, wanted, store)

    def steer(
        self, texts: Texts, *, feature: Chosen, strengths: Sequence[float], **sampling: Unpack[Sampling]
    ) -> Continuations:
        """Continue texts with directions added and without; see `saeprobe.steer`.

        Here and below random features run only where `random_features` asks for them. A ReadingError says what fails.
        """
        return self._continued(steer(_as_prompts(texts), feature=feature, strengths=strengths, **sampling), sampling)

    def ablate(self, texts: Texts, *, feature: int | Sequence[int], **sampling: Unpack[Sampling]) -> Continuations:
        """Continue texts with features set to 0 and without; see `saeprobe.ablate`."""
        return self._continued(ablate(_as_prompts(texts), feature=feature, **sampling), sampling)

    def clamp(
        self, texts: Texts, *, feature: Chosen, to: Sequence[float], **sampling: Unpack[Sampling]
    ) -> Continuations:
        """Continue texts with features at stated values and without; see `saeprobe.clamp`."""
        return self._continued(clamp(_as_prompts(texts), feature=feature, to=to, **sampling), sampling)

    def replace(
        self, texts: Texts, *, feature: Chosen, strengths: Sequence[float], **sampling: Unpack[Sampling]
    ) -> Continuations:
        """Continue texts with what the SAE gives back in the place of the stream; see `saeprobe.replace`."""
        return self._continued(replace(_as_prompts(texts), feature=feature, strengths=strengths, **sampling), sampling)

    def _continued(self, wanted: Steering, sampling: Sampling) -> Continuations:
        if "random_features" not in sampling:
            wanted = dataclasses.replace(wanted, random_features=0)
        with self._gathered(wanted) as store:
            return plan.continuations(self.subject, wanted, store)

    @staticmethod
    def compare(of: Continuations, *, mark: str | re.Pattern[str] | None = None) -> Comparison:
        """Show all arms of an experiment side by side, a text or pattern marked where it is said; see `mentions`."""
        return Comparison(of=of, mark=mark)

    @contextmanager
    def _gathered(self, wanted: Capture | Steering) -> Generator[Store]:
        """Give a store that holds what is wanted, if only one that is not kept."""
        (work,) = plan.works_of([(self.subject, wanted)])
        with TemporaryDirectory() as folder:
            store = self.store or Store(Path(folder))
            plan.gather(work, store, open_reader=lambda: self.reader)
            yield store


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison:
    """Continuations stand side by side, a line a prompt and a column an arm; see `compare`."""

    of: Continuations
    mark: str | re.Pattern[str] | None = None

    @property
    def arms(self) -> tuple[Continuations, ...]:
        """Return the arms that ran: unsteered, rebuilt, and at each strength those chosen, then the random ones."""
        ran = dict.fromkeys((item.arm, item.strength) for item in self.of.items)
        still = (dataclasses.replace(self.of, arm=arm, strength=None) for arm, strength in ran if not strength)
        changed = (dataclasses.replace(self.of, arm=arm, strength=strength) for arm, strength in ran if strength)
        return (*still, *changed)

    @property
    def texts(self) -> dict[str, dict[str, list[str]]]:
        """Return the continuations of each prompt by the label of their arm."""
        found: dict[str, dict[str, list[str]]] = {}
        for arm in self.arms:
            for item in arm.arm_items:
                found.setdefault(item.prompt.text, {}).setdefault(arm.label, []).append(item.text)
        return found

    def to_pandas(self) -> pd.DataFrame:
        """Make a table with a line a continuation: prompt, arm, features, strength, sample, text, fluency."""
        of = [(arm.label, item) for arm in self.arms for item in arm.arm_items]
        columns = {name: [getattr(item, name) for _, item in of] for name in ("features", "strength", "sample", "text")}
        prompts, arms = [item.prompt.text for _, item in of], [label for label, _ in of]
        return table({"prompt": prompts, "arm": arms, **columns, "fluency": [item.log_prob for _, item in of]})

    def _repr_html_(self) -> str:
        """Show the first continuation of each prompt and arm, and above them what share of all says what is marked."""
        lines = [["", *map(self._head, self.arms)]]
        for prompt, of in self.texts.items():
            lines.append([escape(visible(prompt)), *(self._marked(of[arm.label][0]) for arm in self.arms)])
        rows = ("".join(f'<td style="text-align: left">{one}</td>' for one in line) for line in lines)
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"

    def _head(self, arm: Continuations) -> str:
        if self.mark is None:
            return f"<b>{escape(arm.label)}</b>"
        measured = mentions(self.mark, arm)
        return f"<b>{escape(arm.label)}</b>: {number(measured.mean, measured.unit)}"

    def _marked(self, text: str) -> str:
        if self.mark is None:
            return escape(visible(text))
        pattern = re.compile(re.escape(self.mark), re.IGNORECASE) if isinstance(self.mark, str) else self.mark
        ends, shown = 0, ""
        for place in pattern.finditer(text):
            shown += escape(visible(text[ends : place.start()])) + f"<mark>{escape(visible(place.group()))}</mark>"
            ends = place.end()
        return shown + escape(visible(text[ends:]))


def _as_prompts(texts: Texts) -> PromptSet | PromptChoice:
    if isinstance(texts, PromptSet | PromptChoice):
        return texts
    listed = [texts] if isinstance(texts, str) else list(texts)
    return PromptSet(
        name="texts",
        language="",
        prompts=tuple(Prompt(text=text, style="text", topic=text, template=text) for text in listed),
    )

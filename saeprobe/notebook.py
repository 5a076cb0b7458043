"""A notebook or a script reads features and steers without pytest, on a subject that it opens by name."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Unpack

from saeprobe.captures import Capture, Continuations, Where, capture
from saeprobe.captures.steering import Chosen, Sampling, Steering, ablate, clamp, replace, steer
from saeprobe.features import Features, Keep
from saeprobe.prompts import Prompt, PromptChoice, PromptSet
from saeprobe.store import Store, plan
from saeprobe.subject.local import Subject
from saeprobe.subject.registry import find_subject
from saeprobe.subject.specification import Identity, SubjectError

if TYPE_CHECKING:  # it imports torch
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
        self,
        texts: Texts,
        *,
        feature: Chosen,
        strengths: Sequence[float],
        chosen_on: PromptSet | PromptChoice | str = "",
        random_features: int = 40,
        random_samples: int | None = None,
        n_samples: int = 4,
        max_new_tokens: int = 24,
        temperature: float = 0.7,
        seed: int = 0,
    ) -> Continuations:
        """Continue texts with directions added and without; see `saeprobe.steer`. A ReadingError says what fails."""
        wanted = steer(
            _as_prompts(texts),
            feature=feature,
            strengths=strengths,
            chosen_on=chosen_on,
            random_features=random_features,
            random_samples=random_samples,
            n_samples=n_samples,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
        )
        return self._continued(wanted)

    def ablate(self, texts: Texts, *, feature: int | Sequence[int], **sampling: Unpack[Sampling]) -> Continuations:
        """Continue texts with features set to 0 and without; see `saeprobe.ablate`."""
        return self._continued(ablate(_as_prompts(texts), feature=feature, **sampling))

    def clamp(
        self, texts: Texts, *, feature: Chosen, to: Sequence[float], **sampling: Unpack[Sampling]
    ) -> Continuations:
        """Continue texts with features at stated values and without; see `saeprobe.clamp`."""
        return self._continued(clamp(_as_prompts(texts), feature=feature, to=to, **sampling))

    def replace(
        self, texts: Texts, *, feature: Chosen, strengths: Sequence[float], **sampling: Unpack[Sampling]
    ) -> Continuations:
        """Continue texts with what the SAE gives back in the place of the stream; see `saeprobe.replace`."""
        return self._continued(replace(_as_prompts(texts), feature=feature, strengths=strengths, **sampling))

    def _continued(self, wanted: Steering) -> Continuations:
        with self._gathered(wanted) as store:
            return plan.continuations(self.subject, wanted, store)

    @contextmanager
    def _gathered(self, wanted: Capture | Steering) -> Generator[Store]:
        """Give a store that holds what is wanted, if only one that is not kept."""
        (work,) = plan.works_of([(self.subject, wanted)])
        with TemporaryDirectory() as folder:
            store = self.store or Store(Path(folder))
            plan.gather(work, store, open_reader=lambda: self.reader)
            yield store


def _as_prompts(texts: Texts) -> PromptSet | PromptChoice:
    if isinstance(texts, PromptSet | PromptChoice):
        return texts
    listed = [texts] if isinstance(texts, str) else list(texts)
    return PromptSet(
        name="texts",
        language="",
        prompts=tuple(Prompt(text=text, style="text", topic=text, template=text) for text in listed),
    )

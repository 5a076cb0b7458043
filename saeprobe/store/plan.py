"""The plan is the model work of all probes as one, by subject: each piece of it once, and only if it is not stored."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeVar, cast

import numpy as np
from scipy.sparse import csr_array

from saeprobe.captures import Capture, Steering
from saeprobe.features.continuations import Continuation, Continuations
from saeprobe.features.sparse import Features, near_rows
from saeprobe.prompts import PromptChoice, PromptSet
from saeprobe.store.store import Store
from saeprobe.store.tables import Part
from saeprobe.subject.local import Subject
from saeprobe.subject.specification import Reader, Reading, Request, SubjectError, Want

Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do, in prompts."""

BATCH_SIZE: Final = 64
A_BATCH: Final = 128
"""Prompts of one style that are cut into forward passes together, and lost together if the process is killed."""
A_DRAW: Final = 1024
"""Prompts that a file holds of a draw of a random control, of which every run reads many."""

_Batch = tuple[str, ...]
_T = TypeVar("_T")


class PlanError(Exception):
    """Evidence was asked for that was not gathered."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Work is all captures and steerings of one subject, each once, in the order in which they were first asked for."""

    subject: Subject
    captures: tuple[Capture, ...]
    steerings: tuple[Steering, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan holds the work of all probes, by subject."""

    work: tuple[Work, ...]

    @classmethod
    def of(cls, requests: Iterable[tuple[Subject, Capture | Steering]]) -> Plan:
        """Unite what probes ask for."""
        subjects: dict[str, Subject] = {}
        asked: dict[str, list[Capture | Steering]] = {}
        for subject, item in requests:
            subjects.setdefault(subject.name, subject)
            already = asked.setdefault(subject.name, [])
            if item not in already:
                already.append(item)
        return cls(
            work=tuple(
                Work(
                    subject=subject,
                    captures=tuple(item for item in asked[name] if isinstance(item, Capture)),
                    steerings=tuple(item for item in asked[name] if isinstance(item, Steering)),
                )
                for name, subject in subjects.items()
            )
        )

    def summary_as_one(self, label: str, store: Store) -> str:
        """Say in a line what is asked and how much of it is stored, or why it cannot run; loads no model.

        The line stands for several subjects if they read the same and are in the same place, as draws are.
        """
        first = self.work[0]
        each = " each" if len(self.work) > 1 else ""
        sets = [prompts_for(item.prompts, first.subject) for item in (*first.captures, *first.steerings)]
        asked = [
            _count(len({prompt.text for one in sets for prompt in one}), "prompt") + each,
            *([_count(len(first.captures), "capture")] if first.captures else []),
            *([_count(len(first.steerings), "steering experiment")] if first.steerings else []),
        ]
        missing = first.subject.missing()
        if missing is not None:
            return f"{label}: {', '.join(asked)}; not run: {missing}"
        try:
            parts = [_sorted_out(work, store) for work in self.work]
            to_run = sum(each.to_compute for each in parts)
            where = f", {first.subject.memory_plan.reason}" if to_run else ""
        except SubjectError as error:
            return f"{label}: {', '.join(asked)}; cannot run: {error}"
        stored = sum(each.stored for each in parts)
        return f"{label}: {', '.join(asked)}; {stored:,} results stored, {to_run:,} to compute{where}"


def prompts_for(prompts: PromptSet | PromptChoice, subject: Subject) -> PromptSet:
    """Return the prompts that a subject reads: those of its own wording where there is a choice."""
    return prompts.for_wording(subject.wording) if isinstance(prompts, PromptChoice) else prompts


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


@dataclass(frozen=True, kw_only=True)
class _SortedOut:
    """It holds how many results are stored of what some work asks for, and the parts that are not."""

    stored: int
    readings: dict[Part, tuple[_Batch, ...]]
    continuations: dict[Part, Steering]

    @property
    def to_compute(self) -> int:
        return sum(len(part.prompts) for part in (*self.readings, *self.continuations))


def _sorted_out(work: Work, store: Store) -> _SortedOut:
    parts = {part: batches for one in work.captures for part, batches in parts_of(work.subject, one, store).items()}
    spoken = {part: one for one in work.steerings for part in _steering_parts(work.subject, one, store)}
    held = {part for part in (*parts, *spoken) if store.holds(part)}
    return _SortedOut(
        stored=sum(len(part.prompts) for part in held),
        readings={part: batches for part, batches in parts.items() if part not in held},
        continuations={part: steering for part, steering in spoken.items() if part not in held},
    )


def complete(work: Work, store: Store) -> bool:
    """Return whether all that some work asks for is stored, so that nobody need write anything."""
    return not _sorted_out(work, store).to_compute


def parts_of(subject: Subject, capture: Capture, store: Store) -> dict[Part, tuple[_Batch, ...]]:
    """Cut a capture into the parts that files hold, each made of batches; nothing but the capture decides how.

    So a run that was killed computes in batches of the same shape, which means to the same bytes, as one that was not.
    The prompts of a batch have one style: captures often share whole styles, and what they share is run once.
    """
    styles: dict[str, list[str]] = {}
    for text, style in {prompt.text: prompt.style for prompt in prompts_for(capture.prompts, subject)}.items():
        styles.setdefault(style, []).append(text)
    files: list[list[_Batch]] = []
    room = 0
    for _, texts in sorted(styles.items()):
        ordered = sorted(texts, key=lambda text: (len(text), text))
        for batch in (tuple(ordered[start : start + A_BATCH]) for start in range(0, len(ordered), A_BATCH)):
            if len(batch) > room:
                files.append([])
                room = A_DRAW if subject.randomisation else A_BATCH
            files[-1].append(batch)
            room -= len(batch)
    want, identity = Want(at=capture.at, keep=capture.keep, shift=capture.shift, raw=capture.raw), subject.identity()
    found: dict[Part, tuple[_Batch, ...]] = {}
    for batches in files:
        texts = [text for batch in batches for text in batch]
        keys = store.reading_keys(identity.fingerprint, want, texts)
        found[store.part(identity, want, keys, texts)] = tuple(batches)
    return found


def _steering_parts(subject: Subject, steering: Steering, store: Store) -> list[Part]:
    """Cut a steering experiment into the parts that files hold: its batches."""
    whole, texts = subject.whole_fingerprint(), [prompt.text for prompt in prompts_for(steering.prompts, subject)]
    key_of = dict(zip(texts, store.continuation_keys(whole, steering, texts), strict=True))
    return [
        store.part(subject.identity(), steering, [key_of[text] for text in batch], batch)
        for batch in steering.batches(texts)
    ]


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """It says what a pass did: how many results were there, how many it computed, and on which device, if any."""

    subject: str
    stored: int
    computed: int
    device: str | None


def gather(
    work: Work,
    store: Store,
    *,
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
    open_reader: Callable[[], Reader] | None = None,
) -> Gathered:
    """Run what is not stored, in one pass, and store it part by part; loads the subject only if there is any.

    A forward pass takes `batch_size` prompts at most. A part of which anything is lacking is computed whole, and lost
    if the process is killed before. `progress` is called after each batch, and `open_reader` loads the subject in place
    of its own `open`.

    Raises:
        SubjectError: the subject is not here, or its model and SAE do not belong together.
        ReadingError: a prompt cannot be read or continued as asked.
        StoreError: something is to be computed and the store cannot be written.
    """
    subject, results = work.subject, _sorted_out(work, store)
    if not results.to_compute:
        return Gathered(subject=subject.name, stored=results.stored, computed=0, device=None)
    store.prepare(subject.identity())
    requests, homes = _requests(results.readings)
    total = len(requests) + sum(len(part.prompts) for part in results.continuations)

    def report(done: int) -> None:
        if progress is not None:
            progress(done, total)

    report(0)
    reader = (open_reader or subject.open)()
    found: dict[Part, dict[str, Reading]] = {part: {} for part in results.readings}
    shares = reader.read(requests, batch_size=batch_size, progress=lambda share: report(int(share * len(requests))))
    for index, readings in shares:
        request = requests[index]
        for want, reading in zip(request.wants, readings, strict=True):
            for part, key in homes[request.batch, want, request.text]:
                found[part][key] = reading
                if len(found[part]) == len(part.prompts):
                    store.add(part, found.pop(part))
    done = len(requests)
    for steering in dict.fromkeys(results.continuations.values()):
        for part, items in _continued(reader, work.subject, steering, results.continuations):
            store.add(part, items)
            done += len(part.prompts)
            report(done)
    return Gathered(subject=subject.name, stored=results.stored, computed=results.to_compute, device=reader.device)


_Homes = dict[tuple[str, Want, str], list[tuple[Part, str]]]
"""By batch, want and text, the parts that wait for this reading, and its key there."""


def _requests(parts: Mapping[Part, tuple[_Batch, ...]]) -> tuple[list[Request], _Homes]:
    """Ask for each prompt of each batch once with all that is wanted of it, those first that need most memory."""
    wants: dict[tuple[bool, _Batch], dict[Want, None]] = {}
    homes: _Homes = {}
    longest = sorted(parts, key=lambda part: max(len(text) for text in part.prompts.values()), reverse=True)
    for part in longest:
        want, key_of = cast(Want, part.of), {text: key for key, text in part.prompts.items()}
        for batch in parts[part]:
            wants.setdefault((want.raw, batch), {})[want] = None
            for text in batch:
                homes.setdefault((_label(want.raw, batch), want, text), []).append((part, key_of[text]))
    requests = [
        Request(text=text, wants=tuple(of), batch=_label(raw, batch))
        for (raw, batch), of in wants.items()
        for text in batch
    ]
    return requests, homes


@cache
def _label(raw: bool, batch: _Batch) -> str:  # noqa: FBT001 - the key of a cache
    return hashlib.sha256(repr((raw, batch)).encode()).hexdigest()


def _continued(
    reader: Reader, subject: Subject, steering: Steering, lacking: Mapping[Part, Steering]
) -> Iterator[tuple[Part, dict[str, list[Continuation]]]]:
    """Run the parts of a steering experiment that are lacking, and give each when it is whole."""
    prompt_of = {prompt.text: prompt for prompt in prompts_for(steering.prompts, subject)}
    part_of = {
        text: (part, key) for part, of in lacking.items() if of == steering for key, text in part.prompts.items()
    }
    found: dict[Part, dict[str, list[Continuation]]] = {part: {} for part, _ in part_of.values()}
    for prompt, items in reader.continue_([prompt_of[text] for text in part_of], steering, experiment=list(prompt_of)):
        part, key = part_of[prompt.text]
        found[part][key] = items
        if len(found[part]) == len(part.prompts):
            yield part, found.pop(part)


def features(subject: Subject, capture: Capture, store: Store) -> Features:
    """Return the features that a capture asks for, from the store.

    Raises:
        PlanError: a reading is not stored.
    """
    found: dict[str, Reading] = {}
    for part in parts_of(subject, capture, store):
        found.update((part.prompts[key], reading) for key, reading in _gathered(store.readings(part), part).items())
    prompts = prompts_for(capture.prompts, subject)
    return assemble(subject, prompts, [found[prompt.text] for prompt in prompts], place=capture.place)


def assemble(subject: Subject, prompts: PromptSet, readings: Sequence[Reading], *, place: str) -> Features:
    """Make features from one reading a prompt, in that order, at the tokens that `place` names."""
    identity = subject.identity()
    indices = [row for reading in readings for row in reading.indices]
    values = [row for reading in readings for row in reading.values]
    near = [row for reading in readings for row in reading.near]
    activations = [reading.activations for reading in readings if reading.activations is not None]
    ranks = [reading.effective_rank for reading in readings if reading.effective_rank is not None]
    acts = csr_array(
        (
            np.concatenate(values) if values else np.empty(0, dtype=np.float32),
            np.concatenate(indices) if indices else np.empty(0, dtype=np.int32),
            np.cumsum([0, *(len(row) for row in indices)]),
        ),
        shape=(len(indices), identity.d_sae),
    )
    return Features(
        subject=subject.name,
        acts=acts,
        row_prompt=np.repeat(np.arange(len(readings)), [len(reading.tokens) for reading in readings]),
        tokens=tuple(token for reading in readings for token in reading.tokens),
        prompts=prompts.prompts,
        n_tokens=np.array([reading.n_tokens for reading in readings], dtype=np.int64),
        squared_error=np.concatenate([reading.squared_error for reading in readings]) if readings else np.empty(0),
        activations=np.concatenate(activations) if readings and len(activations) == len(readings) else None,
        effective_rank=np.array(ranks) if readings and len(ranks) == len(readings) else None,
        near=near_rows(near, d_sae=identity.d_sae) if len(near) == len(indices) else None,
        tolerance=identity.tolerance,
        place=place,
        words=prompts.words,
    )


def continuations(subject: Subject, steering: Steering, store: Store) -> Continuations:
    """Return the continuations of a steering experiment, from the store; raises as `features`."""
    found: dict[str, list[Continuation]] = {}
    for part in _steering_parts(subject, steering, store):
        found.update((part.prompts[key], items) for key, items in _gathered(store.continuations(part), part).items())
    # The store knows a prompt's text only; here it gets its style, topic and template back.
    items = (
        dataclasses.replace(item, prompt=prompt)
        for prompt in prompts_for(steering.prompts, subject)
        for item in found[prompt.text]
    )
    return Continuations(subject=subject.name, items=tuple(items))


def _gathered(found: Mapping[str, _T] | None, part: Part) -> Mapping[str, _T]:
    if found is None:
        raise PlanError(
            f"{len(part.prompts)} results of {part.identity.name} are not stored; "
            "gather them first (a capture that is made inside a test is not in the plan)"
        )
    return found

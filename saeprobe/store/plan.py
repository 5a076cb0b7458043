"""The plan: the model work of all probes as one, by subject, each piece of it once and only if it is not stored."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from saeprobe.captures import Capture, Steering
from saeprobe.features.continuations import Continuation, Continuations
from saeprobe.features.sparse import Features, near_rows
from saeprobe.prompts import Prompt, PromptChoice, PromptSet
from saeprobe.store.store import Store, continuation_key, reading_key
from saeprobe.subject.local import Subject
from saeprobe.subject.specification import Identity, Reader, Reading, Request, SubjectError, Want

Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do, in prompts."""


BATCH_SIZE = 64


class PlanError(Exception):
    """Evidence was asked for that was not gathered."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """All captures and steerings of one subject, each once, in the order in which they were first asked for."""

    subject: Subject
    captures: tuple[Capture, ...]
    steerings: tuple[Steering, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The work of all probes, by subject."""

    work: tuple[Work, ...]

    @classmethod
    def of(cls, requests: Iterable[tuple[Subject, Capture | Steering]]) -> Plan:
        """The union of what probes ask for."""
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

    def for_subject(self, name: str) -> Work | None:
        """The work of one subject; None where no probe asks anything of it."""
        return next((work for work in self.work if work.subject.name == name), None)

    def summary(self, store: Store) -> list[str]:
        """A line a subject: what is asked, how much of it is stored; or why it cannot run. Loads no model."""
        return [_describe((work,), work.subject.name, store) for work in self.work]

    def summary_as_one(self, label: str, store: Store) -> str:
        """One line for several subjects that read the same and are in the same place, as draws are."""
        return _describe(self.work, label, store)


def prompts_for(prompts: PromptSet | PromptChoice, subject: Subject) -> PromptSet:
    """The prompts that a subject reads: those of its own wording where there is a choice."""
    return prompts.for_wording(subject.wording) if isinstance(prompts, PromptChoice) else prompts


def _describe(works: Sequence[Work], label: str, store: Store) -> str:
    """What is asked of some subjects, of each the same, and how much of it is stored."""
    first = works[0]
    each = " each" if len(works) > 1 else ""
    asked = [
        _count(len(_texts(first)), "prompt") + each,
        *([_count(len(first.captures), "capture")] if first.captures else []),
        *([_count(len(first.steerings), "steering experiment")] if first.steerings else []),
    ]
    missing = first.subject.missing()
    if missing is not None:
        return f"{label}: {', '.join(asked)}; not run: {missing}"
    try:
        counts = [_stored_and_to_run(work, store) for work in works]
        stored, to_run = (sum(of) for of in zip(*counts, strict=True))
        where = f", {first.subject.memory_in_words()}" if to_run else ""  # this looks at the machine
    except SubjectError as error:
        return f"{label}: {', '.join(asked)}; cannot run: {error}"
    return f"{label}: {', '.join(asked)}; {stored:,} results stored, {to_run:,} to compute{where}"


def _stored_and_to_run(work: Work, store: Store) -> tuple[int, int]:
    identity = work.subject.identity()
    readings = _readings_of(work.subject, identity, work.captures)
    continuations = _continuations_of(work.subject, work.steerings)
    stored = store.stored(identity.fingerprint, [*readings, *continuations])
    return len(stored), len(readings.keys() | continuations.keys()) - len(stored)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _texts(work: Work) -> set[str]:
    sets = [prompts_for(item.prompts, work.subject) for item in (*work.captures, *work.steerings)]
    return {prompt.text for one in sets for prompt in one}


def _want(capture: Capture) -> Want:
    return Want(at=capture.at, keep=capture.keep, shift=capture.shift, raw=capture.raw)


def _readings_of(subject: Subject, identity: Identity, captures: Iterable[Capture]) -> dict[str, tuple[str, Want]]:
    """By key, all readings that the captures consist of."""
    return {
        reading_key(identity.fingerprint, prompt.text, _want(capture)): (prompt.text, _want(capture))
        for capture in captures
        for prompt in prompts_for(capture.prompts, subject)
    }


def _continuations_of(subject: Subject, steerings: Iterable[Steering]) -> dict[str, tuple[Prompt, Steering]]:
    """By key, all prompts that are continued."""
    found: dict[str, tuple[Prompt, Steering]] = {}
    for steering in steerings:
        fingerprint, prompts = subject.whole_fingerprint(), prompts_for(steering.prompts, subject)
        experiment = [prompt.text for prompt in prompts]
        for prompt in prompts:
            found.setdefault(continuation_key(fingerprint, prompt.text, steering, experiment), (prompt, steering))
    return found


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What a pass did: results that were there, results computed, and on which device (None: nothing ran)."""

    subject: str
    stored: int
    computed: int
    device: str | None


def gather(
    work: Work,
    store: Store,
    *,
    batch_size: int = BATCH_SIZE,
    prompts_a_file: int | None = None,
    progress: Progress | None = None,
    open_reader: Callable[[], Reader] | None = None,
) -> Gathered:
    """Run what is not stored, in one pass, and store it batch by batch; loads the subject only if there is any.

    Args:
        work: captures and steerings of one subject.
        store: where results are looked up and put.
        batch_size: prompts a forward pass at most.
        prompts_a_file: results that are stored at a time, and lost if the process is killed; None for those of a batch.
            A few large files are read faster than many small ones.
        progress: told after each batch.
        open_reader: loads the subject; None for its own `open`.

    Raises:
        SubjectError: the subject is not here, or its model and SAE do not belong together.
        ReadingError: a prompt cannot be read or continued as asked.
    """
    identity = work.subject.identity()
    readings = _readings_of(work.subject, identity, work.captures)
    continuations = _continuations_of(work.subject, work.steerings)
    stored = store.stored(identity.fingerprint, [*readings, *continuations])
    lacking = {key: value for key, value in readings.items() if key not in stored}
    unwritten = {key: value for key, value in continuations.items() if key not in stored}
    if not lacking and not unwritten:
        return Gathered(subject=work.subject.name, stored=len(stored), computed=0, device=None)
    told = _Told(progress=progress, total=len({(text, want.raw) for text, want in lacking.values()}) + len(unwritten))
    reader = (open_reader or work.subject.open)()
    for batch in _read(reader, identity, lacking, batch_size, prompts_a_file or batch_size, told):
        store.add_readings(identity.fingerprint, batch)
    for steering in work.steerings:
        part = [prompt for prompt, of in unwritten.values() if of == steering]
        experiment = [prompt.text for prompt in prompts_for(steering.prompts, work.subject)]
        if not part:
            continue
        for prompt, items in reader.continue_(part, steering, experiment=experiment):
            key = continuation_key(work.subject.whole_fingerprint(), prompt.text, steering, experiment)
            store.add_continuations(identity.fingerprint, {key: items})
            told.more(1)
    computed = len(lacking) + len(unwritten)
    return Gathered(subject=work.subject.name, stored=len(stored), computed=computed, device=reader.device)


class _Told:
    """Progress so far, in prompts."""

    def __init__(self, *, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0
        self.upto(0)

    def upto(self, done: int) -> None:
        """So many prompts are through."""
        self._done = max(self._done, done)
        if self._progress is not None:
            self._progress(self._done, self._total)

    def more(self, done: int) -> None:
        """So many more are through."""
        self.upto(self._done + done)


def _read(
    reader: Reader,
    identity: Identity,
    lacking: dict[str, tuple[str, Want]],
    batch_size: int,
    prompts_a_file: int,
    told: _Told,
) -> Iterator[dict[str, tuple[str, Want, Reading]]]:
    """Each prompt once with all that is wanted of it, handed on in batches as they come."""
    wants: dict[tuple[str, bool], list[Want]] = {}
    for text, want in lacking.values():
        wants.setdefault((text, want.raw), []).append(want)
    requests = [Request(text=text, wants=tuple(of_text)) for (text, _), of_text in wants.items()]

    def share(done: float) -> None:
        told.upto(int(done * len(requests)))

    # Raw readings apart from the others: they keep their activations, which whoever wants features need not load.
    waiting: dict[bool, list[tuple[Request, list[Reading]]]] = {False: [], True: []}
    for index, readings in reader.read(requests, batch_size=batch_size, progress=share):
        alike = waiting[requests[index].raw]
        alike.append((requests[index], readings))
        if len(alike) == prompts_a_file:
            yield _by_key(identity, alike)
            alike.clear()
    for alike in waiting.values():
        if alike:
            yield _by_key(identity, alike)


def _by_key(
    identity: Identity, read: Sequence[tuple[Request, Sequence[Reading]]]
) -> dict[str, tuple[str, Want, Reading]]:
    return {
        reading_key(identity.fingerprint, request.text, want): (request.text, want, reading)
        for request, readings in read
        for want, reading in zip(request.wants, readings, strict=True)
    }


def features(subject: Subject, capture: Capture, store: Store) -> Features:
    """The features that a capture asks for, from the store.

    Raises:
        PlanError: a reading is not stored.
    """
    fingerprint = subject.identity().fingerprint
    prompts = prompts_for(capture.prompts, subject)
    keys = [reading_key(fingerprint, prompt.text, _want(capture)) for prompt in prompts]
    found = store.readings(fingerprint, keys)
    _check_gathered(keys, found.keys(), subject)
    return assemble(subject, prompts, [found[key] for key in keys], place=capture.place)


def assemble(subject: Subject, prompts: PromptSet, readings: Sequence[Reading], *, place: str) -> Features:
    """Features from one reading a prompt, in that order, at the tokens that `place` names."""
    identity = subject.identity()
    lengths = [len(row) for reading in readings for row in reading.indices]
    indices = [row for reading in readings for row in reading.indices]
    values = [row for reading in readings for row in reading.values]
    acts = csr_array(
        (
            np.concatenate(values) if values else np.empty(0, dtype=np.float32),
            np.concatenate(indices) if indices else np.empty(0, dtype=np.int32),
            np.cumsum([0, *lengths]),
        ),
        shape=(len(lengths), identity.d_sae),
    )
    near = [row for reading in readings for row in reading.near]
    activations = [reading.activations for reading in readings if reading.activations is not None]
    ranks = [reading.effective_rank for reading in readings if reading.effective_rank is not None]
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
        near=near_rows(near, d_sae=identity.d_sae) if len(near) == len(lengths) else None,
        tolerance=identity.tolerance,
        place=place,
        words=prompts.words,
    )


def continuations(subject: Subject, steering: Steering, store: Store) -> Continuations:
    """The continuations of a steering experiment, from the store.

    Raises:
        PlanError: those of a prompt are not stored.
    """
    identity = subject.identity()
    prompts = prompts_for(steering.prompts, subject).prompts
    experiment = [prompt.text for prompt in prompts]
    keys = [continuation_key(subject.whole_fingerprint(), text, steering, experiment) for text in experiment]
    found = store.continuations(identity.fingerprint, keys)
    _check_gathered(keys, found.keys(), subject)
    items = itertools.chain.from_iterable(
        _of_prompt(found[key], prompt) for key, prompt in zip(keys, prompts, strict=True)
    )
    return Continuations(subject=subject.name, items=tuple(items))


def _of_prompt(items: Iterable[Continuation], prompt: Prompt) -> Iterator[Continuation]:
    """The store knows a prompt's text only; here it gets its style, topic and template back."""
    return (dataclasses.replace(item, prompt=prompt) for item in items)


def _check_gathered(keys: Sequence[str], found: Iterable[str], subject: Subject) -> None:
    lacking = set(keys) - set(found)
    if lacking:
        raise PlanError(
            f"{len(lacking)} of {len(set(keys))} results of {subject.name} are not stored; "
            "gather them first (a capture that is made inside a test is not in the plan)"
        )

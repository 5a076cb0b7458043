"""The plan is the model work of all probes as one, by subject: each piece of it once, and only if it is not stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from saeprobe.captures import Capture, Steering
from saeprobe.features.continuations import Continuations
from saeprobe.features.sparse import Features, near_rows
from saeprobe.prompts import Prompt, PromptChoice, PromptSet
from saeprobe.store.store import Store
from saeprobe.subject.local import Subject
from saeprobe.subject.specification import Reader, Reading, Request, SubjectError, Want

Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do, in prompts."""

BATCH_SIZE = 64


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
        try:
            missing = first.subject.missing()
            if missing is not None:
                return f"{label}: {', '.join(asked)}; not run: {missing}"
            results = [_results_of(work, store) for work in self.work]
            to_run = sum(len(of.readings) + len(of.continuations) for of in results)
            where = f", {first.subject.memory_plan.reason}" if to_run else ""
        except SubjectError as error:
            return f"{label}: {', '.join(asked)}; cannot run: {error}"
        stored = sum(len(of.stored) for of in results)
        return f"{label}: {', '.join(asked)}; {stored:,} results stored, {to_run:,} to compute{where}"


def prompts_for(prompts: PromptSet | PromptChoice, subject: Subject) -> PromptSet:
    """Return the prompts that a subject reads: those of its own wording where there is a choice."""
    return prompts.for_wording(subject.wording) if isinstance(prompts, PromptChoice) else prompts


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


@dataclass(frozen=True, kw_only=True)
class _Results:
    """The results that some work asks for: the keys of those that are stored, and by key what is to be computed."""

    stored: set[str]
    readings: dict[str, tuple[str, Want]]
    continuations: dict[str, tuple[Prompt, Steering]]


def _results_of(work: Work, store: Store) -> _Results:
    subject, fingerprint = work.subject, work.subject.identity().fingerprint
    readings: dict[str, tuple[str, Want]] = {}
    for capture in work.captures:
        want, keys = _want(capture), capture_keys(subject, capture, store)
        prompts = prompts_for(capture.prompts, subject)
        readings.update((key, (prompt.text, want)) for key, prompt in zip(keys, prompts, strict=True))
    continuations: dict[str, tuple[Prompt, Steering]] = {}
    for steering in work.steerings:
        prompts = prompts_for(steering.prompts, subject).prompts
        for key, prompt in zip(_continuation_keys(subject, steering, prompts, store), prompts, strict=True):
            continuations.setdefault(key, (prompt, steering))
    stored = store.stored(fingerprint, [*readings, *continuations])
    return _Results(
        stored=stored,
        readings={key: value for key, value in readings.items() if key not in stored},
        continuations={key: value for key, value in continuations.items() if key not in stored},
    )


def capture_keys(subject: Subject, capture: Capture, store: Store) -> list[str]:
    """Return the key of each prompt's reading, in the order of the prompts."""
    texts = [prompt.text for prompt in prompts_for(capture.prompts, subject)]
    return store.reading_keys(subject.identity().fingerprint, _want(capture), texts)


def _want(capture: Capture) -> Want:
    return Want(at=capture.at, keep=capture.keep, shift=capture.shift, raw=capture.raw)


def _continuation_keys(subject: Subject, steering: Steering, prompts: Sequence[Prompt], store: Store) -> list[str]:
    return store.continuation_keys(subject.whole_fingerprint(), steering, [prompt.text for prompt in prompts])


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
    prompts_a_file: int | None = None,
    progress: Progress | None = None,
    open_reader: Callable[[], Reader] | None = None,
) -> Gathered:
    """Run what is not stored, in one pass, and store it batch by batch; loads the subject only if there is any.

    A forward pass takes `batch_size` prompts at most. `prompts_a_file` are stored at a time, and lost if the process is
    killed; None stands for those of a batch. A few large files are read faster than many small ones. `progress` is
    called after each batch, and `open_reader` loads the subject in place of its own `open`.

    Raises:
        SubjectError: the subject is not here, or its model and SAE do not belong together.
        ReadingError: a prompt cannot be read or continued as asked.
    """
    subject, fingerprint = work.subject, work.subject.identity().fingerprint
    results = _results_of(work, store)
    computed = len(results.readings) + len(results.continuations)
    if not computed:
        return Gathered(subject=subject.name, stored=len(results.stored), computed=0, device=None)
    wanted: dict[tuple[str, bool], dict[Want, str]] = {}
    for key, (text, want) in results.readings.items():
        wanted.setdefault((text, want.raw), {})[want] = key
    total = len(wanted) + len(results.continuations)

    def report(done: int) -> None:
        if progress is not None:
            progress(done, total)

    report(0)
    reader = (open_reader or subject.open)()
    for batch in _read(reader, wanted, batch_size, prompts_a_file or batch_size, report):
        store.add_readings(fingerprint, batch)
    done = len(wanted)
    for steering in work.steerings:
        part = {prompt: key for key, (prompt, of) in results.continuations.items() if of == steering}
        if not part:
            continue
        experiment = [prompt.text for prompt in prompts_for(steering.prompts, subject)]
        for prompt, items in reader.continue_(list(part), steering, experiment=experiment):
            store.add_continuations(fingerprint, {part[prompt]: items})
            done += 1
            report(done)
    return Gathered(subject=subject.name, stored=len(results.stored), computed=computed, device=reader.device)


def _read(
    reader: Reader,
    wanted: Mapping[tuple[str, bool], Mapping[Want, str]],
    batch_size: int,
    prompts_a_file: int,
    report: Callable[[int], None],
) -> Iterator[dict[str, tuple[str, Want, Reading]]]:
    """Read each prompt once with all that is wanted of it, and give what was read by key, a file's worth at a time.

    Raw readings stand in files of their own: they keep their activations, which whoever wants features need not load.
    """
    requests = [Request(text=text, wants=tuple(keys)) for (text, _), keys in wanted.items()]
    waiting: dict[bool, list[dict[str, tuple[str, Want, Reading]]]] = {False: [], True: []}
    found = reader.read(requests, batch_size=batch_size, progress=lambda share: report(int(share * len(requests))))
    for index, readings in found:
        request = requests[index]
        keys, alike = wanted[request.text, request.raw], waiting[request.raw]
        of_prompt = zip(request.wants, readings, strict=True)
        alike.append({keys[want]: (request.text, want, reading) for want, reading in of_prompt})
        if len(alike) == prompts_a_file:
            yield {key: read for of_prompt in alike for key, read in of_prompt.items()}
            alike.clear()
    for alike in waiting.values():
        if alike:
            yield {key: read for of_prompt in alike for key, read in of_prompt.items()}


def features(subject: Subject, capture: Capture, store: Store) -> Features:
    """Return the features that a capture asks for, from the store.

    Raises:
        PlanError: a reading is not stored.
    """
    keys = capture_keys(subject, capture, store)
    found = store.readings(subject.identity().fingerprint, keys)
    _check_gathered(keys, found, subject)
    prompts = prompts_for(capture.prompts, subject)
    return assemble(subject, prompts, [found[key] for key in keys], place=capture.place)


def assemble(subject: Subject, prompts: PromptSet, readings: Sequence[Reading], *, place: str) -> Features:
    """Make features from one reading a prompt, in that order, at the tokens that `place` names."""
    identity = subject.identity()
    indices = [row for reading in readings for row in reading.indices]
    values = [row for reading in readings for row in reading.values]
    near = [row for reading in readings for row in reading.near]
    activations = [reading.activations for reading in readings if reading.activations is not None]
    errors = [np.full(len(one.tokens), np.nan) if one.squared_error is None else one.squared_error for one in readings]
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
        squared_error=np.concatenate(errors) if errors else np.empty(0),
        activations=np.concatenate(activations) if readings and len(activations) == len(readings) else None,
        effective_rank=np.array(ranks) if readings and len(ranks) == len(readings) else None,
        near=near_rows(near, d_sae=identity.d_sae) if len(near) == len(indices) else None,
        tolerance=identity.tolerance,
        fixed_l0=identity.fixed_l0,
        place=place,
        words=prompts.words,
    )


def continuations(subject: Subject, steering: Steering, store: Store) -> Continuations:
    """Return the continuations of a steering experiment, from the store; raises as `features`."""
    prompts = prompts_for(steering.prompts, subject).prompts
    keys = _continuation_keys(subject, steering, prompts, store)
    found = store.continuations(subject.identity().fingerprint, keys)
    _check_gathered(keys, found, subject)
    # The store knows a prompt's text only; here it gets its style, topic and template back.
    items = (
        dataclasses.replace(item, prompt=prompt)
        for key, prompt in zip(keys, prompts, strict=True)
        for item in found[key]
    )
    return Continuations(subject=subject.name, items=tuple(items))


def _check_gathered(keys: Sequence[str], found: Mapping[str, object], subject: Subject) -> None:
    lacking = set(keys) - found.keys()
    if lacking:
        raise PlanError(
            f"{len(lacking)} of {len(set(keys))} results of {subject.name} are not stored; "
            "gather them first (a capture that is made inside a test is not in the plan)"
        )

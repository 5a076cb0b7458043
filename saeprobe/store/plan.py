"""The plan is the model work of all probes as one, by subject: each piece of it once, and only if it is not stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from scipy.sparse import csr_array

from saeprobe.captures import Capture, Continuation, Continuations
from saeprobe.captures.steering import Steering
from saeprobe.claims import NotRun
from saeprobe.features import Features, Rows
from saeprobe.prompts import STYLES, PromptChoice, PromptFile, PromptSet
from saeprobe.store import Store, sha256_of
from saeprobe.store.tables import Part, Seen
from saeprobe.subject import models_absent
from saeprobe.subject.local import Subject
from saeprobe.subject.specification import Reading, Request, Want

if TYPE_CHECKING:  # it imports torch
    from saeprobe.subject.running.reader import SaeReader

Progress = Callable[[int, int], None]  # called with what is done and what there is to do, in prompts
BATCH_SIZE: Final = 32
A_FILE: Final = 128  # prompts that a file holds at most, and that are lost together if the process is killed
A_FILE_OF_A_DRAW: Final = 1024  # the same of a draw of a random control: every run reads many draws


class PlanError(Exception):
    """Evidence was asked for that was not gathered."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Work is all captures and steerings of one subject, each once, in the order in which they were first asked for."""

    subject: Subject
    captures: tuple[Capture, ...]
    steerings: tuple[Steering, ...]
    parts: dict[Part, None] = field(default_factory=dict[Part, None], init=False, compare=False, repr=False)


def works_of(requests: Iterable[tuple[Subject, Capture | Steering]]) -> tuple[Work, ...]:
    """Unite what probes ask for, by subject."""
    asked: dict[str, tuple[Subject, dict[Capture | Steering, None]]] = {}
    for subject, item in requests:
        asked.setdefault(subject.name, (subject, {}))[1][item] = None
    return tuple(
        Work(
            subject=subject,
            captures=tuple(item for item in items if isinstance(item, Capture)),
            steerings=tuple(item for item in items if isinstance(item, Steering)),
        )
        for subject, items in asked.values()
    )


def file_for(prompts: PromptSet | PromptChoice, subject: Subject) -> PromptFile | None:
    """Return the file that a subject reads in the place of these prompts; None where they are not made of STYLES."""
    return subject.spec.prompts if isinstance(prompts, PromptChoice) and prompts.sets == STYLES.sets else None


def prompts_for(prompts: PromptSet | PromptChoice, subject: Subject) -> PromptSet:
    """Return the prompts that a subject reads: of a choice those of its wording, of STYLES those of its own file.

    Raises:
        NotRun: its file lacks a style that is asked for, or it must be given one and is not.
        KeyError: without a file, a style is asked for that STYLES does not have.
    """
    if not isinstance(prompts, PromptChoice):
        return prompts
    if (file := file_for(prompts, subject)) is not None:
        return file.in_place_of(prompts)
    built_in = prompts.for_wording(subject.spec.wording)
    if prompts.sets == STYLES.sets and subject.spec.prompts_from is not None:
        raise NotRun(
            f"{subject.name} reads the published prompts, not shipped: take them from {subject.spec.prompts_from}, "
            f"write them as a prompt file (the README shows its form), and give it: --saeprobe-prompts "
            f"{subject.name}=FILE to pytest, or --prompts FILE to saeprobe extract"
        )
    return built_in


def _parts(work: Work, store: Store) -> tuple[list[Part], list[Part]]:
    """Return the parts of some work, each once: those stored, of which draws are not read yet, and those lacking."""
    if not work.parts:
        asked = (*work.captures, *work.steerings)
        work.parts.update((part, None) for one in asked for part in parts_of(work.subject, one, store))
    held = {part: store.holds(part, read=work.subject.randomisation is None) for part in work.parts}
    return [part for part in held if held[part]], [part for part in held if not held[part]]


def counted(works: Iterable[Work], store: Store) -> tuple[int, int]:
    """Count the results of some work that are stored, and those that are lacking."""
    counts = [tuple(map(_results, _parts(work, store))) for work in works]
    return sum(held for held, _ in counts), sum(lacking for _, lacking in counts)


def _results(parts: Iterable[Part]) -> int:
    return sum(len(part.prompts) for part in parts)


def parts_of(subject: Subject, asked: Capture | Steering, store: Store) -> list[Part]:
    """Cut what is asked into the parts that files hold, each made of whole batches; nothing else decides how.

    A run that was killed therefore goes on in batches of the same shape as one that was not, and to the same bytes.
    """
    prompts, identity = prompts_for(asked.prompts, subject), subject.identity()
    texts = [prompt.text for prompt in prompts]
    if isinstance(asked, Steering):
        key_of = dict(zip(texts, store.continuation_keys(subject.whole_fingerprint, asked, texts), strict=True))
        return [store.part(identity, asked, key_of, (batch,)) for batch in asked.batches(texts)]
    readings = {"": prompts, **prompts.repeats}
    return [part for again, these in readings.items() for part in _readings_of(subject, asked, store, these, again)]


def _readings_of(subject: Subject, asked: Capture, store: Store, prompts: PromptSet, again: str) -> list[Part]:
    """Return the parts of one reading of prompts; a style that repeats another is read once more, prompt by prompt.

    What a prompt gives must not depend on those that share its forward pass, so that the two readings differ in that.
    """
    texts, identity = [prompt.text for prompt in prompts], subject.identity()
    want = Want(at=asked.at, keep=asked.keep, shift=asked.shift, raw=asked.raw, again=again)
    key_of = dict(zip(texts, store.reading_keys(identity.fingerprint, want, texts), strict=True))
    files, room = list[list[tuple[str, ...]]](), 0
    for batch in asked.batches(prompts, at_most=1 if again else A_FILE):
        if len(batch) > room:
            files.append([])
            room = A_FILE_OF_A_DRAW if subject.randomisation else A_FILE
        files[-1].append(batch)
        room -= len(batch)
    return [store.part(identity, want, key_of, batches) for batches in files]


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """It says of a pass how many results were stored before it, how many it computed, and on which device, if any."""

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
    open_reader: Callable[[], SaeReader] | None = None,
) -> Gathered:
    """Run what is not stored, in one pass, and store it part by part; a subject that lacks nothing is not loaded.

    A forward pass takes `batch_size` prompts at most. A part of which anything is lacking is computed whole, and lost
    if the process is killed before. `progress` is called after each batch, and `open_reader` loads the subject in place
    of its own `open`.

    Raises:
        SubjectError: the subject is not here, or its model and SAE do not belong together.
        ReadingError: a prompt cannot be read or continued as asked.
        StoreError: something is to be computed and the store cannot be written.
    """
    subject, (held, lacking) = work.subject, _parts(work, store)
    store.tidy((*held, *lacking))
    if not lacking:
        return Gathered(subject=subject.name, stored=_results(held), computed=0, device=None)
    if (absent := models_absent()) is not None:
        raise NotRun(f"not all of it is stored: {absent}")
    store.prepare(lacking)
    waiting = {part: dict[str, Reading]() for part in lacking if isinstance(part.of, Want)}
    requests, homes = _requests(waiting)
    done = len(requests)
    total = done + _results(part for part in lacking if part not in waiting)
    report: Progress = progress or (lambda _done, _total: None)
    report(0, total)
    reader = (open_reader or subject.open)()
    shares = reader.read(requests, batch_size=batch_size, progress=lambda share: report(int(share * done), total))
    for index, readings in shares:
        request = requests[index]
        for want, reading in zip(request.wants, readings, strict=True):
            for part, key in homes[request.batch, want, request.text]:
                waiting[part][key] = reading
                if len(waiting[part]) == len(part.prompts):
                    store.add(part, waiting.pop(part))
    for steering in work.steerings:
        prompt_of = {prompt.text: prompt for prompt in prompts_for(steering.prompts, subject)}
        parts = [part for part in lacking if part.of == steering]
        asked = [prompt_of[text] for part in parts for text in part.prompts.values()]
        found = reader.continue_(asked, steering, experiment=list(prompt_of)) if asked else iter(())
        for part in parts:  # each is a batch, and they come in this order
            items = {prompt.text: of_prompt for prompt, of_prompt in islice(found, len(part.prompts))}
            store.add(part, {key: items[text] for key, text in part.prompts.items()})
            done += len(part.prompts)
            report(done, total)
    return Gathered(subject=subject.name, stored=_results(held), computed=_results(lacking), device=reader.device)


def _requests(parts: Iterable[Part]) -> tuple[list[Request], dict[tuple[str, Want, str], list[tuple[Part, str]]]]:
    """Ask for each prompt of each batch once with all that is wanted of it, those first that need most memory.

    With the requests come, by batch, want and text, the parts that wait for such a reading, each with its key there.
    """
    asked: dict[str, tuple[tuple[str, ...], dict[Want, None]]] = {}
    homes: dict[tuple[str, Want, str], list[tuple[Part, str]]] = {}
    for part in sorted(parts, key=lambda part: max(len(text) for text in part.prompts.values()), reverse=True):
        want, key_of = cast(Want, part.of), {text: key for key, text in part.prompts.items()}
        for batch in part.batches:
            label = sha256_of([want.raw, want.again, *batch])
            asked.setdefault(label, (batch, {}))[1][want] = None
            for text in batch:
                homes.setdefault((label, want, text), []).append((part, key_of[text]))
    requests = [
        Request(text=text, wants=tuple(wants), batch=label) for label, (batch, wants) in asked.items() for text in batch
    ]
    return requests, homes


def features(subject: Subject, capture: Capture, store: Store) -> Features:
    """Return the features that a capture asks for, from the store. A PlanError says that a reading is not stored."""
    prompts, file = prompts_for(capture.prompts, subject), file_for(capture.prompts, subject)

    def read(these: PromptSet, again: str) -> Features:
        found: dict[str, Reading] = _found(_readings_of(subject, capture, store, these, again), store)
        return _assembled(subject, these, [found[prompt.text] for prompt in these], place=capture.place)

    repeats = {style: read(these, style) for style, these in prompts.repeats.items()}
    lacking = {} if file is None else file.lacking(cast(PromptChoice, capture.prompts))
    return replace(read(prompts, ""), repeats=repeats, lacking=lacking)


def seen(subject: Subject, capture: Capture, store: Store) -> Seen | None:
    """Return what the model saw of the first prompt of a capture; None where it is not stored."""
    text = prompts_for(capture.prompts, subject).prompts[0].text
    part = next(part for part in parts_of(subject, capture, store) if text in part.prompts.values())
    return store.seen(part, text, capture.place)


def _assembled(subject: Subject, prompts: PromptSet, readings: Sequence[Reading], *, place: str) -> Features:
    """Make features from one reading a prompt, in that order, at the tokens that `place` names."""
    identity = subject.identity()
    acts = _joined([one.indices for one in readings], [one.values for one in readings], d_sae=identity.d_sae)
    activations = [reading.activations for reading in readings if reading.activations is not None]
    errors = [np.full(len(one.tokens), np.nan) if one.squared_error is None else one.squared_error for one in readings]
    ranks = [reading.effective_rank for reading in readings if reading.effective_rank is not None]
    return Features(
        subject=subject.name,
        acts=acts,
        row_prompt=np.repeat(np.arange(len(readings)), [len(reading.tokens) for reading in readings]),
        tokens=tuple(token for reading in readings for token in reading.tokens),
        prompts=prompts.prompts,
        n_tokens=np.array([reading.n_tokens for reading in readings], dtype=np.int64),
        squared_error=None if acts is None else np.concatenate([np.empty(0, dtype=np.float32), *errors]),
        activations=np.concatenate(activations) if readings and len(activations) == len(readings) else None,
        effective_rank=np.array(ranks) if readings and len(ranks) == len(readings) else None,
        near=_joined([one.near for one in readings], d_sae=identity.d_sae),
        tolerance=identity.tolerance,
        fixed_l0=identity.fixed_l0,
        place=place,
        words=prompts.words,
    )


def _joined(*of: Sequence[Sequence[np.ndarray]], d_sae: int) -> csr_array | None:
    """Join the columns of all readings, a row a token, with their values or else true; None where one has none."""
    if not all(of[0]):
        return None
    columns, *values = (np.concatenate([one.whole for one in cast("Sequence[Rows]", each)]) for each in of)
    starts = np.append(0, np.concatenate([np.diff(one.at) for one in cast("Sequence[Rows]", of[0])]).cumsum())
    return csr_array((*(values or [np.ones(len(columns), dtype=bool)]), columns, starts), (len(starts) - 1, d_sae))


def continuations(subject: Subject, steering: Steering, store: Store) -> Continuations:
    """Return the continuations of a steering experiment, from the store; raises as `features`."""
    found: dict[str, list[Continuation]] = _found(parts_of(subject, steering, store), store)
    # The store knows a prompt's text only; here it gets its style, topic and template back.
    prompts = prompts_for(steering.prompts, subject)
    items = (replace(item, prompt=prompt) for prompt in prompts for item in found[prompt.text])
    return Continuations(subject=subject.name, items=tuple(items), chosen_on=steering.chosen_on, action=steering.action)


def _found(parts: Iterable[Part], store: Store) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in parts:
        if (held := store.content(part)) is None:
            raise PlanError(
                f"{len(part.prompts)} results of {part.identity.name} are not stored; "
                "gather them first (a capture that is made inside a test is not in the plan)"
            )
        found.update((part.prompts[key], one) for key, one in held.items())
    return found

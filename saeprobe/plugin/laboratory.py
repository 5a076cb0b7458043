"""The laboratory: the subjects of a run, the plan of what probes need of them, and the evidence once it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from filelock import FileLock

from saeprobe import plan
from saeprobe.captures import Capture, Steering
from saeprobe.plan import Gathered, Plan, Work
from saeprobe.plugin.options import Settings
from saeprobe.recorded.directory import recorded_evidence
from saeprobe.report import SubjectJson
from saeprobe.store import Store
from saeprobe.subject.protocol import Subject
from saeprobe.subject.registry import find_subject, subject_names
from saeprobe.verdicts import NotRun

Declared = Capture | Steering
Show = Callable[[str, int, int], None]
"""Shows progress: the subject, prompts done, prompts in all."""

AS_PUBLISHED = "-as-published"
"""Ends the name of a subject that repeats a published protocol; recorded evidence stands for such a one."""


class Laboratory:
    """What probes get their evidence from.

    The model work of a subject is done once, by the first process that needs it; the others wait for it and then read
    the store.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = Store(settings.store)
        self._subjects: dict[str, Subject] = {}
        self._plan = Plan.of([])
        self._failed: dict[str, Exception] = {}
        self._provided: dict[tuple[str, Declared], object] = {}
        self.names = subject_names(settings.rootdir)
        self.gathered: list[Gathered] = []

    @property
    def default_names(self) -> tuple[str, ...]:
        """The subjects that run where nothing selects others."""
        chosen = self._settings.default_subjects
        return chosen or tuple(name for name in self.names if self.subject(name).default)

    def subject(self, name: str) -> Subject:
        """A subject by name; nothing is loaded.

        Raises:
            SubjectError: there is none of that name.
        """
        if name not in self._subjects:
            self._subjects[name] = find_subject(name, self._settings.rootdir)
        return self._subjects[name]

    def plan(self, requests: Iterable[tuple[str, Declared]]) -> None:
        """Take note of all that the collected probes need."""
        self._plan = Plan.of((self.subject(name), declared) for name, declared in requests)

    def plan_in_words(self) -> list[str]:
        """A line a subject, without loading any."""
        told = [work for work in self._plan.work if not self._recorded(work.subject)]
        lines = Plan(work=tuple(told)).summary(self._store)
        for work in self._plan.work:
            if self._recorded(work.subject):
                lines.append(f"{work.subject.name}: recorded evidence in {self._settings.evidence}")
        return [f"plan: {line}" for line in lines]

    def gather(self, show: Show) -> None:
        """Run what the plan asks for and the store lacks; what fails is kept and told to the probes that need it."""
        for work in self._plan.work:
            name = work.subject.name
            if self._recorded(work.subject) or work.subject.missing() is not None:
                continue
            try:
                self._gather(work, show)
            except Exception as error:  # noqa: BLE001 - a probe reports it as its own: `broken`, with this reason
                self._failed[name] = error

    def provide(self, name: str, declared: Declared) -> object:
        """The evidence that a capture or a steering experiment asks for.

        Raises:
            NotRun: weights, hardware or recorded files are absent.
        """
        key = (name, declared)
        if key not in self._provided:
            self._provided[key] = self._provide(self.subject(name), declared)
        return self._provided[key]

    def described(self, name: str) -> SubjectJson:
        """A subject as the report describes it."""
        subject = self.subject(name)
        missing = f"decided from recorded files in {self._settings.evidence}" if self._recorded(subject) else None
        missing = missing or subject.missing()
        if missing is not None:
            unknown = dict.fromkeys(SubjectJson.__annotations__, None)
            return {**unknown, "name": name, "missing": missing}  # pyright: ignore[reportReturnType] - keys are its own
        identity = subject.identity()
        return {
            "name": name,
            "model": identity.model,
            "model_hash": identity.model_hash,
            "sae": identity.sae,
            "sae_hash": identity.sae_hash,
            "hook_name": identity.hook_name,
            "d_in": identity.d_in,
            "d_sae": identity.d_sae,
            "dtype": identity.dtype,
            "protocol": identity.protocol,
            "fingerprint": identity.fingerprint,
            "missing": None,
        }

    def _recorded(self, subject: Subject) -> bool:
        return self._settings.evidence is not None and subject.name.endswith(AS_PUBLISHED)

    def _gather(self, work: Work, show: Show) -> None:
        folder = self._settings.store
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{work.subject.name}.lock"):
            done = plan.gather(
                work, self._store, batch_size=self._settings.batch_size, progress=partial(show, work.subject.name)
            )
        self.gathered.append(done)

    def _provide(self, subject: Subject, declared: Declared) -> object:
        if self._recorded(subject) and self._settings.evidence is not None:
            if isinstance(declared, Steering):
                raise NotRun(f"recorded files hold no steering; {subject.missing() or 'leave --saeprobe-evidence out'}")
            return recorded_evidence(self._settings.evidence, subject.name, declared)
        missing = subject.missing()
        if missing is not None:
            raise NotRun(missing)
        if subject.name in self._failed:  # perhaps only one of its captures fails: try this one alone
            captures = (declared,) if isinstance(declared, Capture) else ()
            steerings = (declared,) if isinstance(declared, Steering) else ()
            self._gather(Work(subject=subject, captures=captures, steerings=steerings), _unseen)
        if isinstance(declared, Capture):
            return plan.features(subject, declared, self._store)
        return plan.continuations(subject, declared, self._store)


def _unseen(_name: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""

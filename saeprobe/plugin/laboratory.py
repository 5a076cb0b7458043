"""The laboratory: the subjects of a run, the plan of what probes need of them, and the evidence once it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial

from filelock import FileLock

from saeprobe.captures import Capture, Steering
from saeprobe.claims import NotRun, members
from saeprobe.features.sparse import Features
from saeprobe.plugin.conditions import Condition, Conditions, designs_in_words
from saeprobe.plugin.instruments import Instruments
from saeprobe.plugin.items import Asked, Declared
from saeprobe.plugin.options import Settings
from saeprobe.recorded.directory import recorded_evidence
from saeprobe.report import shape
from saeprobe.report.document import instrument_of
from saeprobe.store import instrument, plan
from saeprobe.store.instrument import InstrumentCheck
from saeprobe.store.plan import Gathered, Plan, Work
from saeprobe.store.store import Store
from saeprobe.subject.registry import find_subject, subject_names
from saeprobe.subject.specification import ReadingError, Subject, SubjectError

Show = Callable[[str, int, int], None]
"""Shows progress: the subject, prompts done, prompts in all."""

OWN_TEXT = "where plain English does not suit its vocabulary or its context, name a prompt file in saeprobe_neutral"
UNSAID = "not said"
DRAW_A_FILE = 1024
"""Prompts that are stored at a time of a draw, which are all that it reads: every run reads those of many draws."""
AS_PUBLISHED = "-as-published"
"""Ends the name of a subject that repeats a published protocol; recorded evidence stands for such a one."""


class BrokenInstrumentError(Exception):
    """The instrument check of a subject failed, so that no claim may be decided on it."""


class Laboratory:
    """What probes get their evidence from.

    Every subject that is to be read is checked on neutral text first, as part of the same plan. The model work of a
    subject is done once, by the first process that needs it; the others wait for it and then read the store.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = Store(settings.store)
        self._subjects: dict[str, Subject] = {}
        self._asked: tuple[Asked, ...] = ()
        self._plan = Plan.of([])
        self._failed: dict[str, Exception] = {}
        self._provided: dict[tuple[str, Declared], object] = {}
        self._conditions = Conditions(settings.neutral, alpha=settings.alpha)
        self._instruments = Instruments(self._store, settings.store, settings.neutral)
        self.checks: dict[str, InstrumentCheck] = {}
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

    def plan(self, asked: Iterable[Asked]) -> None:
        """Take note of all that the collected probes need, their controls and the checks of their instruments too."""
        self._asked = needs = tuple(asked)
        wanted: list[tuple[Subject, Declared]] = [(self.subject(each.subject), each.declared) for each in needs]
        for each in needs:
            subject = self.subject(each.subject)
            if each.claim is not None and isinstance(each.declared, Capture) and self._is_run(subject):
                self._conditions.note(subject, each.declared, each.claim.controls)
        wanted += self._conditions.requests()
        for name in dict.fromkeys(each.subject for each in needs):
            wanted += [(self.subject(name), capture) for capture in self._to_check(self.subject(name))]
        self._plan = Plan.of(wanted)

    def plan_in_words(self) -> list[str]:
        """A line a subject, and one for each design that claims on it rest on; loads none."""
        return [f"plan: {line}" for works in self._together() for line in self._in_words(works)]

    def _together(self) -> list[tuple[Work, ...]]:
        """The work of the plan in order, the draws of one random control in one."""
        together: dict[str, list[Work]] = {}
        for work in self._plan.work:
            together.setdefault(self._label(work.subject.name), []).append(work)
        return [tuple(works) for works in together.values()]

    def _label(self, name: str) -> str:
        """What the user is shown of a subject: its name, or what it is called together with other draws."""
        derived = self._conditions.derived.get(name)
        return name if derived is None else derived.label

    def _in_words(self, works: tuple[Work, ...]) -> list[str]:
        work = works[0]
        if self._recorded(work.subject):
            return [f"{work.subject.name}: recorded evidence in {self._settings.evidence}"]
        designs = designs_in_words(self._asked, work.subject, alpha=self._settings.alpha)
        return [Plan(work=works).summary_as_one(self._label(work.subject.name), self._store), *designs]

    def gather(self, show: Show) -> None:
        """Run what the plan asks for and the store lacks; what fails is kept and told to the probes that need it."""
        for works in self._together():
            first = works[0].subject  # draws are here where the subject is that they are of
            if not self._is_run(first):
                continue
            self._gather_together(works, show)
            if first.name not in self._conditions.derived:
                self.checks[first.name] = self._check(first)

    def _gather_together(self, works: Sequence[Work], show: Show) -> None:
        """Run several subjects in turn; no other process runs any of them meanwhile."""
        try:
            with self._locked(works[0].subject):
                for number, work in enumerate(works):
                    try:
                        self._run(work, partial(_as_one, show, number, len(works)))
                    except Exception as error:  # noqa: BLE001 - a probe reports it as its own: `broken`, with this reason
                        self._failed[work.subject.name] = error
        finally:
            self._conditions.release()

    def broken(self, name: str) -> str | None:
        """Why no claim may be decided on a subject, or on several joined by a plus sign; None where one may."""
        checks = {each: self.checks[each] for each in members(name) if each in self.checks}
        told = {each: check.reason for each, check in checks.items() if check.broken}
        if len(members(name)) == 1:
            return told.get(name)
        return "; ".join(f"on {each}, {reason}" for each, reason in told.items()) or None

    def provide(self, name: str, declared: Declared) -> object:
        """The evidence that a capture or a steering experiment asks for.

        Raises:
            NotRun: weights, hardware or recorded files are absent.
            BrokenInstrumentError: the instrument check failed.
        """
        broken = self.broken(name)
        if broken is not None:
            raise BrokenInstrumentError(broken)
        key = (name, declared)
        if key not in self._provided:
            self._provided[key] = self._with_conditions(self.subject(name), declared)
        return self._provided[key]

    def _with_conditions(self, subject: Subject, declared: Declared) -> object:
        """The evidence, and with features what the controls read in their place, once it is asked for."""
        evidence = self._provide(subject, declared)
        if not isinstance(evidence, Features) or not isinstance(declared, Capture):
            return evidence
        conditions = self._conditions.of(subject, declared)
        return replace(evidence, conditions={name: self._readings(of) for name, of in conditions.items()})

    def _readings(self, condition: Condition | NotRun) -> tuple[Callable[[], Features], ...]:
        """What a control reads, a draw at a time."""
        if isinstance(condition, NotRun):
            return (partial(_refused, condition),)
        return tuple(cache(partial(self._read, subject, condition.capture)) for subject in condition.subjects)

    def _read(self, subject: Subject, capture: Capture) -> Features:
        """What a control reads of a subject.

        Raises:
            NotRun: it cannot; the probe is none the worse for it, and the control says why.
        """
        try:
            evidence = self._provide(subject, capture)
        except (SubjectError, ReadingError) as error:
            raise NotRun(f"{subject.name}: {error}") from error
        if not isinstance(evidence, Features):
            raise NotRun(f"{subject.name}: a record stands in the place of its features")
        return evidence

    def described(self, name: str, check: InstrumentCheck | None) -> shape.Subject:
        """A subject as the report describes it, with its instrument check where one was made."""
        subject = self.subject(name)
        try:
            return self._described(subject, check)
        except SubjectError as error:  # it is declared, but cannot be what it says
            return _unknown(subject, str(error))

    def _described(self, subject: Subject, check: InstrumentCheck | None) -> shape.Subject:
        missing = f"decided from recorded files in {self._settings.evidence}" if self._recorded(subject) else None
        missing = missing or subject.missing()
        differs = self._differs(subject)
        if missing is not None:
            return replace(_unknown(subject, missing), differs=differs)
        identity = subject.identity()
        return shape.Subject(
            name=subject.name,
            model=identity.model,
            model_hash=identity.model_hash,
            sae=identity.sae,
            sae_hash=identity.sae_hash,
            hook_name=identity.hook_name,
            d_in=identity.d_in,
            d_sae=identity.d_sae,
            dtype=identity.dtype,
            protocol=identity.protocol,
            fingerprint=identity.fingerprint,
            protocol_of=subject.protocol_of,
            differs=differs,
            instrument=None if check is None else instrument_of(check),
        )

    def _differs(self, subject: Subject) -> tuple[shape.Difference, ...]:
        """What a protocol does otherwise than the subject it is one of; nothing where it is none."""
        if subject.protocol_of is None:
            return ()
        here, there = subject.aspects(), self.subject(subject.protocol_of).aspects()
        return tuple(
            shape.Difference(aspect=aspect, here=here.get(aspect, UNSAID), there=there.get(aspect, UNSAID))
            for aspect in dict.fromkeys([*there, *here])
            if here.get(aspect) != there.get(aspect)
        )

    def _to_check(self, subject: Subject) -> tuple[Capture, ...]:
        """What the instrument check reads of a subject; nothing where no model is run."""
        if not self._is_run(subject):
            return ()
        try:
            return tuple(self._instruments.captures(subject).values())
        except SubjectError:  # `gather` meets it again and tells it to the probes
            return ()

    def _check(self, subject: Subject) -> InstrumentCheck:
        """The check of a subject that was read, or that could not be."""
        failed = self._failed.get(subject.name)
        if isinstance(failed, SubjectError):
            return instrument.unread(failed)
        try:
            if failed is not None:  # perhaps a probe's own prompts were at fault
                self._gather(Work(subject=subject, captures=self._to_check(subject), steerings=()), _unseen)
            return self._instruments.check(subject)
        except ReadingError as error:
            return instrument.unread(error, remedy=OWN_TEXT)
        except Exception as error:  # noqa: BLE001 - an instrument that cannot be checked is told to be broken, with this
            return instrument.unread(error)

    def _is_run(self, subject: Subject) -> bool:
        """Whether a model is run, and its weights are here."""
        return not self._recorded(subject) and subject.missing() is None

    def _recorded(self, subject: Subject) -> bool:
        return self._settings.evidence is not None and subject.name.endswith(AS_PUBLISHED)

    def _gather(self, work: Work, show: Show) -> None:
        with self._locked(work.subject):
            self._run(work, show)

    def _locked(self, subject: Subject) -> FileLock:
        folder = self._settings.store
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{self._label(subject.name)}.lock")

    def _run(self, work: Work, show: Show) -> None:
        name = work.subject.name
        done = plan.gather(
            work,
            self._store,
            batch_size=self._settings.batch_size,
            prompts_a_file=DRAW_A_FILE if name in self._conditions.derived else None,
            progress=partial(show, self._label(name)),
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


def _unknown(subject: Subject, missing: str) -> shape.Subject:
    """Describe a subject of which the name alone is sure."""
    return shape.Subject(name=subject.name, missing=missing, protocol_of=subject.protocol_of)


def _unseen(_name: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


def _as_one(show: Show, number: int, of: int, label: str, done: int, total: int) -> None:
    """Progress of one of several subjects that are shown as one and read the same."""
    show(label, number * total + done, of * total)


def _refused(why: NotRun) -> Features:
    raise why

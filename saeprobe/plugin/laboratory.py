"""The laboratory knows the subjects of a run, plans what probes need of them, and gives the evidence of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from functools import cache, partial
from typing import TypedDict

from saeprobe.captures import Capture
from saeprobe.claims import NotRun, members
from saeprobe.features import Features
from saeprobe.measures.differences import Figures, figures_of
from saeprobe.plugin.collecting import Asked, Condition, Conditions, Declared, found_with, unreadable, work_in_words
from saeprobe.plugin.names import Settings
from saeprobe.plugin.records import AS_PUBLISHED, Records, served
from saeprobe.plugin.sentences import designs_in_words
from saeprobe.store import Store, StoreError, plan
from saeprobe.store.instrument import InstrumentCheck, Instruments, unread
from saeprobe.store.plan import Gathered, Progress, Work, works_of
from saeprobe.store.tables import Seen
from saeprobe.subject import models_absent
from saeprobe.subject.local import Subject
from saeprobe.subject.registry import built_in, subject_names
from saeprobe.subject.specification import ReadingError, SubjectError

Show = Callable[[str, int, int], None]  # it shows progress: the subject, prompts done, prompts in all

OWN_TEXT = "where plain English does not suit its vocabulary or its context, name a prompt file in saeprobe_neutral"


class Shown(TypedDict):
    """The report shows what the model saw of the first prompt of each capture, and what changes with its protocol."""

    captures: tuple[Seen, ...]
    figures: Figures | None


class BrokenInstrumentError(Exception):
    """The instrument check of a subject failed, so that no claim may be decided on it."""


class Laboratory:
    """Probes get their evidence from the laboratory.

    Every subject that is to be read is checked on neutral text first, as part of the same plan. The model work of a
    subject is done once, by the first process that needs it; the others wait for it and then read the store.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._records = Records(settings.evidence)
        self._store = Store(settings.store)
        self._subjects: dict[str, Subject] = {}
        self._asked: tuple[Asked, ...] = ()
        self._unread: dict[tuple[str, Declared], NotRun] = {}
        self._plan: tuple[Work, ...] = ()
        self._failed: dict[str, Exception] = {}
        self._wrong: dict[str, str] = {}
        self._provided = cache(self._with_conditions)
        self._conditions = Conditions(settings.neutral, alpha=settings.alpha)
        self._instruments = Instruments(self._store, settings.store, settings.neutral)
        self.checks: dict[str, InstrumentCheck] = {}
        self.names = subject_names(settings.rootdir)
        self.gathered: list[Gathered] = []
        self.computed_with: dict[str, Mapping[str, str]] = {}  # by subject that is asked, see `served`

    def default_names(self, *, unmarked: bool = False) -> tuple[str, ...]:
        """Return the subjects that run where nothing selects: specimens and the user's own without `default = false`.

        An `unmarked` probe, which names no subject, runs on the user's own, or on the specimens where there are none.
        """
        specs, builtin = [self.subject(name).spec for name in self.names], built_in()
        own = [spec.name for spec in specs if spec.name not in builtin and spec.default is not False]
        specimens = [spec.name for spec in specs if spec.specimen]
        return self._settings.default_subjects or (tuple(own or specimens) if unmarked else (*specimens, *own))

    def subject(self, name: str) -> Subject:
        """Look up a subject by name, of which nothing is loaded; SubjectError is raised where there is none."""
        found = self._subjects.get(name) or found_with(name, self._settings.rootdir, self._settings.prompts)
        versions = self.computed_with.get(name)
        self._subjects[name] = found if versions in (None, found.computed_with) else found.computed_by(versions)
        return self._subjects[name]

    def plan(self, asked: Iterable[Asked]) -> None:
        """Take note of all that the collected probes need, their controls and the checks of their instruments too."""
        sound = [each for each in asked if self.broken(each.subject) is None]
        run = [each for each in sound if not self.recorded(self.subject(each.subject))]
        unread = {(it.subject, it.declared): unreadable(it.declared, self.subject(it.subject)) for it in run}
        self._unread = {of: why for of, why in unread.items() if why is not None}
        self._asked = tuple(each for each in sound if (each.subject, each.declared) not in self._unread)
        names = tuple(dict.fromkeys(each.subject for each in self._asked))
        for name in names if models_absent() else ():
            if (versions := served(self.subject(name), self._work_of, self._store)) is not None:
                self.computed_with[name] = versions
        self._plan = self._planned(names, self._conditions)

    def _work_of(self, subject: Subject) -> tuple[Work, ...]:
        """Plan what is asked of one subject, as it would be in the place of the one of its name."""
        self._subjects[subject.name] = subject
        return self._planned((subject.name,), Conditions(self._settings.neutral, alpha=self._settings.alpha))

    def _planned(self, names: tuple[str, ...], conditions: Conditions) -> tuple[Work, ...]:
        """Plan what probes ask of subjects, what their controls read, which is noted, and their instrument checks."""
        asked = [(self.subject(each.subject), each) for each in self._asked if each.subject in names]
        for subject, each in asked:
            if each.claim is not None and isinstance(each.declared, Capture) and self._is_run(subject):
                conditions.note(subject, each.declared, each.claim.controls)
        run = filter(self._is_run, map(self.subject, names))
        checks = [(one, capture) for one in run for capture in self._instruments.captures(one).values()]
        return works_of([*((subject, each.declared) for subject, each in asked), *conditions.requests(), *checks])

    def plan_in_words(self) -> list[str]:
        """Write a line a subject, and one for each design that claims on it rest on; no model is loaded."""
        wrong = [f"plan: {name}: cannot run: {reason}" for name, reason in self._wrong.items()]
        wrong += dict.fromkeys(f"plan: {name}: not run: {why}" for (name, _), why in self._unread.items())
        lines = wrong + [f"plan: {line}" for works in self._together() for line in self._in_words(works)]
        recorded = [name for name in self.names if self.recorded(self.subject(name))]
        return lines + (Records.unasked(recorded, self._asked) if recorded else [])

    def gather(self, show: Show) -> None:
        """Run what the plan asks for and the store lacks; a failure is kept for the probes that need it."""
        for works in self._together():
            if not self._is_run(first := works[0].subject):  # draws are here where the subject is that they are of
                continue
            self._gather_together(works, show)
            if first.name not in self._conditions.labels and (check := self._check(first)):
                self.checks[first.name] = check

    def shown(self, name: str) -> Shown:
        """Return what the report shows of what a subject read; nothing where no model is run."""
        subject, protocols = self.subject(name), {each.subject: self.subject(each.subject) for each in self._asked}
        related = {name, subject.spec.protocol_of} - {None}
        asked = dict.fromkeys(each.declared for each in self._asked if each.subject == name)
        captures = [each for each in asked if isinstance(each, Capture) and self._is_run(subject)]
        family = any(related & {one.name, one.spec.protocol_of} for one in protocols.values() if one.name != name)
        whole = family and name not in self._failed and self.broken(name) is None
        try:
            found = [plan.seen(subject, each, self._store) for each in captures]
            read = [plan.features(subject, each, self._store) for each in captures if whole]
        except (SubjectError, plan.PlanError):  # the probes report it, or the run was stopped
            return Shown(captures=(), figures=None)
        return Shown(captures=tuple(dict.fromkeys(filter(None, found))), figures=figures_of(read) if read else None)

    def broken(self, name: str) -> str | None:
        """Say why no claim may be decided on a subject, or on several joined by a plus sign; None where one may."""
        reasons: dict[str, str] = {}
        for each in members(name) if name else ():
            check, subject = self.checks.get(each), self.subject(each)
            if (wrong := None if self.recorded(subject) else subject.wrong) is not None:  # a record's own is never read
                reasons[each] = self._wrong[each] = wrong
            elif check is not None and check.broken:
                reasons[each] = check.reason
        if len(members(name)) == 1:
            return reasons.get(name)
        return "; ".join(f"on {each}, {reason}" for each, reason in reasons.items()) or None

    def provide(self, name: str, declared: Declared) -> object:
        """Give the evidence that a capture or a steering experiment asks for.

        Raises:
            NotRun: weights, hardware or recorded files are absent.
            BrokenInstrumentError: the instrument check failed.
        """
        if (broken := self.broken(name)) is not None:
            raise BrokenInstrumentError(broken)
        return self._provided(name, declared)

    def _together(self) -> list[tuple[Work, ...]]:
        """Return the work of the plan in order, the draws of one random control in one."""
        together: dict[str, list[Work]] = {}
        for work in self._plan:
            together.setdefault(self._label(work.subject.name), []).append(work)
        return [tuple(works) for works in together.values()]

    def _label(self, name: str) -> str:
        """Return what the user is shown of a subject: its name, or what it is called together with other draws."""
        return self._conditions.labels.get(name, name)

    def _in_words(self, works: tuple[Work, ...]) -> list[str]:
        subject = works[0].subject
        if (record := self.record_of(subject)) is not None:
            return [f"{subject.name}: recorded evidence in {record}"]
        asked = [*works[0].captures, *works[0].steerings] if subject.name not in self._conditions.labels else []
        files = dict.fromkeys(filter(None, (plan.file_for(each.prompts, subject) for each in asked)))
        read = [f"{subject.name} reads {file} in the place of STYLES" for file in files]
        designs = designs_in_words(self._asked, subject, alpha=self._settings.alpha)
        return [work_in_words(works, self._label(subject.name), self._store), *read, *designs]

    def _gather_together(self, works: Sequence[Work], show: Show) -> None:
        """Run several subjects in turn; no other process runs any of them meanwhile."""
        try:
            with self._locked(*works):
                for number, work in enumerate(works):  # they are shown as one, and read the same

                    def step(done: int, total: int, before: int = number) -> None:
                        show(self._label(works[0].subject.name), before * total + done, len(works) * total)

                    try:
                        self._run(work, step)
                    except Exception as error:  # noqa: BLE001 - a probe reports it as its own: `broken`, with this reason
                        self._failed[work.subject.name] = error
        except StoreError as error:
            self._failed.update({work.subject.name: error for work in works})
        finally:
            self._conditions.release()

    def _gather_again(self, subject: Subject, *declared: Declared) -> None:
        """Run parts of what failed together: perhaps another part was at fault."""
        for work in works_of((subject, each) for each in declared):
            with self._locked(work):
                self._run(work)

    def _locked(self, *works: Work) -> AbstractContextManager[None]:
        """Let no other process run a subject meanwhile; a complete store is read without a lock, also if read-only."""
        with suppress(Exception):  # `_run` meets it again, where it is kept for the probes
            if not plan.counted(works, self._store)[1]:
                return nullcontext()
        return self._store.locked(self._label(works[0].subject.name))

    def _run(self, work: Work, progress: Progress | None = None) -> None:
        self.gathered.append(plan.gather(work, self._store, batch_size=self._settings.batch_size, progress=progress))

    def _with_conditions(self, name: str, declared: Declared) -> object:
        """Give the evidence; features carry what the controls read in their place, once it is asked for."""
        evidence = self._provide(subject := self.subject(name), declared)
        if not isinstance(evidence, Features) or not isinstance(declared, Capture):
            return evidence
        conditions = self._conditions.of(subject, declared)
        read = [(of, one.capture) for one in conditions.values() if isinstance(one, Condition) for of in one.subjects]
        for of, capture in read:
            if isinstance(self._failed.get(of.name), NotRun):
                self._gather_again(of, capture)  # it raises where not all of that is stored
        return replace(evidence, conditions={name: self._readings(of) for name, of in conditions.items()})

    def _readings(self, condition: Condition | NotRun) -> tuple[Callable[[], Features], ...]:
        """Return what a control reads, a draw at a time."""
        if isinstance(condition, NotRun):
            return (partial(_refused, condition),)
        return tuple(cache(partial(self._read, subject, condition.capture)) for subject in condition.subjects)

    def _read(self, subject: Subject, capture: Capture) -> Features:
        """Read for a control; where that cannot be, the control says why and the probe goes on without it."""
        try:
            evidence = self._provide(subject, capture)
        except plan.PlanError:  # a draw whose bytes had their hash held something else, and is set aside by now
            self._gather_again(subject, capture)
            return self._read(subject, capture)
        except (SubjectError, ReadingError) as error:
            raise NotRun(f"{subject.name}: {error}") from error
        if not isinstance(evidence, Features):
            raise NotRun(f"{subject.name}: a record stands in the place of its features")
        return evidence

    def _provide(self, subject: Subject, declared: Declared) -> object:
        if self.recorded(subject):
            if not isinstance(declared, Capture):
                raise NotRun(f"recorded files hold no steering; {subject.missing() or 'leave --saeprobe-evidence out'}")
            return self._records.evidence(subject, declared)
        if whys := [str(why) for why in (self._unread.get((subject.name, declared)), subject.missing()) if why]:
            raise NotRun("; ".join(whys))
        if (failed := self._failed.get(subject.name)) is not None:
            if isinstance(failed, NotRun) and not {*self.checks, *self._conditions.labels} & {subject.name}:
                raise failed  # its instrument could not be checked either
            self._gather_again(subject, declared)
        if isinstance(declared, Capture):
            return plan.features(subject, declared, self._store)
        return plan.continuations(subject, declared, self._store)

    def _check(self, subject: Subject) -> InstrumentCheck | None:
        """Check a subject that was read, or that could not be; None where that would take the extra `models`."""
        if isinstance(failed := self._failed.get(subject.name), SubjectError):
            return unread(failed)
        try:
            if failed is not None:
                self._gather_again(subject, *self._instruments.captures(subject).values())
            return self._instruments.check(subject)
        except NotRun:
            return None
        except ReadingError as error:
            return unread(error, remedy=OWN_TEXT)
        except Exception as error:  # noqa: BLE001 - an instrument that cannot be checked is broken, for this reason
            return unread(error)

    def _is_run(self, subject: Subject) -> bool:
        """Say whether a model is run, and its weights are here."""
        return not self.recorded(subject) and subject.missing() is None

    def recorded(self, subject: Subject) -> bool:
        """Say whether recorded files stand in for a subject, which is not run then."""
        return bool(self._settings.evidence) and subject.name.endswith(AS_PUBLISHED) and not subject.spec.wrong

    def record_of(self, subject: Subject) -> str | None:
        """Say where the recorded files of a subject are, and what each answers; None for one that is run."""
        return self._records.in_words(subject, self._asked) if self.recorded(subject) else None


def _refused(why: NotRun) -> Features:
    raise why

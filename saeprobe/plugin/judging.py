"""The judge runs a probe with a recorder around it and turns what it showed into a verdict and a pytest outcome."""

from __future__ import annotations

import ast
import inspect
import linecache
import platform
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from types import CodeType
from typing import Any, Final, cast

import pytest

from saeprobe.claims import Claim, NotRun, Verdict, members
from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.files import visible
from saeprobe.git import commit_of
from saeprobe.plugin.collecting import claim_of_item, subject_of
from saeprobe.plugin.laboratory import Laboratory, Settings, Shown
from saeprobe.plugin.names import BROKEN, RECORD, REFUSED
from saeprobe.report import ProbeRecord, probe_to_json, shape
from saeprobe.store.instrument import InstrumentCheck
from saeprobe.subject import version_of
from saeprobe.subject.local import Subject
from saeprobe.subject.specification import SubjectError
from saeprobe.verdicts import SKIPPED, Decided, decide
from saeprobe.verdicts.baseline_files import Baselines, Provenance, identity_of, read_baselines

PACKAGES: Final = ("saeprobe", "torch", "transformers", "transformer-lens", "sae-lens", "numpy", "scipy", "pytest")
"""A report states the versions of these."""
UNSAID: Final = "not said"
_STOPS: Final = (KeyboardInterrupt, GeneratorExit, pytest.exit.Exception)  # they end the run
_record = pytest.StashKey[ProbeRecord]()
_said = pytest.StashKey[Sequence[tuple[str, str]]]()  # the properties that are the judge's own


def versions(computed: Mapping[str, Mapping[str, str]], subjects: Iterable[str] | None = None) -> dict[str, str]:
    """Return versions by distribution: the installed, or those that `computed` the evidence of all or some subjects."""
    of_them = [of for name, of in computed.items() if subjects is None or name in subjects]
    kept = {name: ", ".join(sorted({of[name] for of in of_them if name in of})) for name in PACKAGES}
    found = {name: kept[name] or version_of(name) for name in PACKAGES}
    return {name: version for name, version in found.items() if version is not None}


def made_with(settings: Settings, laboratory: Laboratory, subjects: Iterable[str] | None = None) -> dict[str, Any]:
    """Return what values are measured with, on all or some subjects, by the names of `Run` and of `Provenance`."""
    return {
        "alpha": settings.alpha,
        "seed": settings.seed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": next((each.device for each in laboratory.gathered if each.device), None),
        "versions": versions(laboratory.computed_with, subjects),
    }


def described(
    laboratory: Laboratory, name: str, check: InstrumentCheck | None, shown: Shown | None = None
) -> shape.Subject:
    """Describe a subject as the report does, with its instrument check and what is shown of it, where it was run."""
    subject = laboratory.subject(name)
    unknown = partial(shape.Subject, name=subject.name, protocol_of=subject.spec.protocol_of)  # the name alone is sure
    try:
        record = laboratory.record_of(subject)
        missing = subject.missing() if record is None else f"decided from recorded files in {record}"
        differs = _differs(subject, laboratory)
        if missing is not None:
            return unknown(missing=missing, differs=differs)
        identity = subject.identity()
    except SubjectError as error:  # it is declared, but cannot be what it says
        return unknown(missing=str(error))
    known = shape.Subject.__dataclass_fields__
    held: dict[str, Any] = {key: value for key, value in vars(identity).items() if key in known} | {**(shown or {})}
    held["protocol"] += f"; prompts: {subject.spec.prompts}" if subject.spec.prompts else ""
    held["other_prompts"] = str(subject.spec.prompts) if subject.spec.other_prompts else None
    return shape.Subject(**held, protocol_of=subject.spec.protocol_of, differs=differs, instrument=check)


def _differs(subject: Subject, laboratory: Laboratory) -> tuple[shape.Difference, ...]:
    """List what a protocol does otherwise than the subject it is one of; nothing where it is none."""
    of = subject.spec.protocol_of
    other = None if of is None else laboratory.subject(of)
    if other is None or other.spec.wrong is not None:
        return ()
    here, there = subject.aspects(), other.aspects()
    return tuple(
        shape.Difference(aspect=aspect, here=here.get(aspect, UNSAID), there=there.get(aspect, UNSAID))
        for aspect in dict.fromkeys([*there, *here])
        if here.get(aspect) != there.get(aspect)
    )


class _AsDeclared(pytest.xfail.Exception):
    """A probe ends so where its verdict is the declared one: pytest takes `msg` for the reason of its xfailed."""

    def __init__(self, reason: str, shown: str) -> None:
        super().__init__(reason, pytrace=False)
        self._shown = shown

    def __str__(self) -> str:
        return self._shown


class Judge:
    """The judge takes part in the phases of a probe.

    Each process of an xdist run reads the same baselines, the values that were approved. A BaselineError says
    that a file of them cannot be used.
    """

    def __init__(self, settings: Settings, laboratory: Laboratory) -> None:
        self._settings = settings
        self._laboratory = laboratory
        self._baselines: Baselines = read_baselines(settings.baselines) if settings.baselines.is_dir() else {}
        self._identity = cache(self._identify)
        self._here = cache(partial(commit_of, settings.rootdir, store=settings.store, report=settings.report))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        """Decide the claim before the probe runs, where the instrument is broken or a capture cannot be had."""
        claim = claim_of_item(item)
        if claim is not None and BROKEN in item.stash:
            self._enter(item, claim, (Verdict(word="broken", reason=item.stash[BROKEN]), (), None), (), 0.0)
        if claim is None or BROKEN in item.stash or REFUSED in item.stash:
            return (yield)
        broken = self._laboratory.broken(subject_of(item) or "")
        try:
            done = yield
        except pytest.skip.Exception as skipped:
            self._judge(item, claim, [], _not_run(skipped), 0.0)
            raise
        except _STOPS:
            raise
        except BaseException as ended:
            done = None
            if broken is None:
                verdict = self._judge(item, claim, [], ended, 0.0)
                if verdict.outcome == "skipped":
                    pytest.skip(f"{verdict.word}: {verdict.reason}")
                raise
        if broken is not None:  # said once, not on top of what the fixture raised for the same reason
            self._enter(item, claim, (Verdict(word="broken", reason=broken), (), None), (), 0.0)
            pytest.fail(f"broken: {broken}", pytrace=False)
        return done

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """Let the evidence decide, however the probe ended."""
        claim = claim_of_item(item)
        if claim is None:
            return (yield)
        settings = self._settings
        on = [self._laboratory.subject(name).spec for name in members(subject_of(item) or "") if name]
        recorder = Recorder(
            alpha=settings.alpha,
            seed=settings.seed,
            controls=claim.controls,
            over=claim.over,
            published_prompts=any(spec.reads_published for spec in on),
        )
        ended: BaseException | None = None
        began = time.monotonic()
        with recording(recorder):
            try:
                yield
            except pytest.skip.Exception as skipped:
                ended = _not_run(skipped)
            except _STOPS:
                raise
            except BaseException as error:  # noqa: BLE001 - whatever it is, it decides the claim
                ended = error
        verdict = self._judge(item, claim, recorder.evidence, ended, time.monotonic() - began)
        if verdict.outcome == "passed":
            return None
        if verdict.outcome == "skipped":
            pytest.skip(f"{verdict.word}: {verdict.reason}")
        if verdict.word == "broken" and ended is not None:
            raise ended
        shown = "\n".join(_shown(claim, verdict, recorder.evidence, ended))
        if verdict.outcome == "xfailed" and verdict.declaration is not None:
            raise _AsDeclared(f"{verdict.word}: {verdict.declaration.reason}", shown)
        pytest.fail(shown, pytrace=False)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Hang the record on the report of the phase that decided."""
        report = yield
        record = item.stash.get(_record, None)
        if record is not None and call.when != "teardown":
            del item.stash[_record]
            setattr(report, RECORD, record)
            # An xfail mark is no declaration: a claim that is not established fails all the same.
            marked = record["outcome"] != "xfailed" and getattr(report, "__dict__", {}).pop("wasxfail", None)
            if marked not in (False, None) and call.excinfo is not None:
                report.outcome = "failed"
        return report

    def _judge(
        self, item: pytest.Item, claim: Claim, evidence: list[Evidence], ended: BaseException | None, seconds: float
    ) -> Verdict:
        subject = subject_of(item) or ""
        approvals = self._baselines.get((claim.id, subject))
        baseline = None if approvals is None else approvals[-1]
        now = self._now(subject) if baseline is not None and evidence else None
        strict = not getattr(item.config.option, "runxfail", True)  # else, or without that plugin, nothing is xfailed
        verdict, published, approved = decide(claim, subject, evidence, ended, baseline, now)
        verdict = replace(verdict, strict=strict)
        if verdict.word in ("refuted", "explained", "drifted", "inconclusive"):
            verdict = replace(verdict, reason=verdict.reason + _unreached(item, ended))
        self._enter(item, claim, (verdict, published, approved), evidence, seconds)
        return verdict

    def _identify(self, name: str) -> dict[str, str | None]:
        return identity_of(vars(described(self._laboratory, name, None)))

    def _now(self, subject: str) -> Provenance:
        """Say what values on a subject, or on several joined by a plus sign, are measured with in this run."""
        commit, changed = self._here()
        return Provenance(
            subjects={name: self._identity(name) for name in members(subject)},
            evidence=self._settings.evidence_names,
            commit=commit,
            dirty=None if changed is None else bool(changed),
            **made_with(self._settings, self._laboratory, members(subject)),
        )

    def _enter(
        self, item: pytest.Item, claim: Claim, decided: Decided, evidence: Sequence[Evidence], seconds: float
    ) -> None:
        """Keep the record for the report of this phase, and for the JUnit file."""
        subject = subject_of(item) or ""
        verdict, published, approved = decided
        record = partial(probe_to_json, claim=claim, nodeid=item.nodeid, subject=subject, verdict=verdict)
        item.stash[_record] = record(evidence=evidence, published=published, duration_s=seconds, baseline=approved)
        # On the item, not on one report: the JUnit file takes the properties of the teardown's.
        said = {"claim": claim.id, "sentence": claim.sentence, "subject": subject}
        said |= {"verdict": verdict.word, "reason": verdict.reason, "scope": verdict.scope}
        before = item.stash.get(_said, ())  # they are said again where a probe is rerun
        others = [each for each in item.user_properties if all(each is not one for one in before)]
        item.stash[_said] = own = [(name, visible(text)) for name, text in said.items()]
        item.user_properties[:] = [*others, *own]


def _unreached(item: pytest.Item, ended: BaseException | None) -> str:
    """Count the asserts of the probe after the one that ended it, in words that follow a reason."""
    probe: CodeType = inspect.unwrap(cast("Callable[..., object]", getattr(item, "function", None))).__code__
    frames = traceback.walk_tb(ended.__traceback__) if isinstance(ended, AssertionError) else ()
    ended_at = next((line for frame, line in frames if frame.f_code is probe), None)
    if ended_at is None:
        return ""
    last = max(line for *_, line in probe.co_lines() if line is not None)
    file = ast.parse("".join(linecache.getlines(probe.co_filename)))
    left = sum(isinstance(node, ast.Assert) and ended_at < node.lineno <= last for node in ast.walk(file))
    return f"; {left} later {'assert was' if left == 1 else 'asserts were'} never reached" if left else ""


def _shown(claim: Claim, verdict: Verdict, evidence: Sequence[Evidence], ended: BaseException | None) -> Iterator[str]:
    """Write what a failed probe shows instead of a traceback: the verdict, the sentence, the assert, the evidence."""
    yield from (f"{verdict.word}: {verdict.reason}", "", f"  {claim.sentence}  ({claim.source})")
    if ended is not None:
        assertion = traceback.extract_tb(ended.__traceback__)[-1]
        yield f"  {assertion.line}  ({assertion.filename}:{assertion.lineno})"
    for piece in evidence:
        yield from ("", *(f"    {line}" for line in piece.lines()))


def _not_run(skipped: BaseException) -> NotRun:
    """Turn a skip by a mark, a fixture or the probe itself into the reason that a claim is not run."""
    return NotRun(f"{SKIPPED}{str(skipped) or 'no reason is given'}").with_traceback(skipped.__traceback__)

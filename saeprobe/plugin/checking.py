"""What pytest collected is checked before anything runs, and the variants that are to run are chosen."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import pytest

from saeprobe.captures import Span
from saeprobe.captures.steering import Steering
from saeprobe.claims import SUBJECTS_MARK, Claim, Control, NotRun, claim_of, did_you_mean, members
from saeprobe.evidence.controls import READ_ELSEWHERE
from saeprobe.features import Keep
from saeprobe.files import visible
from saeprobe.git import named
from saeprobe.plugin.collecting import (
    Asked,
    Find,
    asked_by,
    case_of,
    claim_of_item,
    declarations,
    declared_by,
    subject_of,
)
from saeprobe.plugin.laboratory import Laboratory
from saeprobe.plugin.names import BROKEN, REFUSED, SUBJECT, fixtures_of, function_of
from saeprobe.store.plan import file_for, prompts_for
from saeprobe.subject.specification import SubjectError

_NAME_CASES: Final = "name the cases, parametrize(..., ids=[...]), in letters, digits, dots and dashes"


def refuse_shared(items: Iterable[pytest.Item]) -> None:
    """Refuse the probes of two claims with one id; several probes may decide the same claim, each in its own way."""
    by_id: dict[str, list[tuple[pytest.Item, Claim]]] = {}
    for item in items:
        claim = claim_of_item(item)
        if claim is not None and REFUSED not in item.stash:
            by_id.setdefault(claim.id, []).append((item, claim))
    for name, probes in by_id.items():
        found = chain((_shared(probes[0], probe) for probe in probes), (_nameless(*probe) for probe in probes))
        problem = next(filter(None, found), None)
        for item, _ in probes if problem is not None else ():
            item.stash[REFUSED] = name, visible(problem or "")


def _nameless(item: pytest.Item, claim: Claim) -> str | None:
    """Say that nothing of the name of a case can stand in an id; the case would pass for the claim as a whole."""
    whole = claim_of(function_of(item))
    if not case_of(item) or whole is None or claim.id != whole.id:
        return None
    return f"{item.nodeid}: of the case [{case_of(item)}] nothing can stand in the id of a claim; {_NAME_CASES}"


def _shared(one: tuple[pytest.Item, Claim], two: tuple[pytest.Item, Claim]) -> str | None:
    """Say why two probes of one id do not decide one claim; None where they do."""
    (item, claim), (other, another) = one, two
    there, here = (each.nodeid.partition("[")[0] for each in (item, other))
    same = claim_of(function_of(item)) is claim_of(function_of(other))
    if same and case_of(item) != case_of(other):
        cases = f"the cases [{case_of(item)}] of {there} and [{case_of(other)}] of {here}"
        return f"{cases} would both be the claim {claim.id!r}; {_NAME_CASES}"
    if same and claim.sentence == another.sentence:
        return None
    keep = "keep the claim in a name, it = claim(...), and write @it above each probe that decides it"
    return f"two claims have the id {claim.id!r}: that of {there} and that of {here}; rename one of them, or {keep}"


def check(items: Iterable[pytest.Item], runs_on: Mapping[str, Collection[str]], laboratory: Laboratory) -> None:
    """Note what is wrong of each item: a claim is broken by it, and an ordinary test fails.

    `runs_on` has the subjects by claim id, those of the variants that are not selected included.
    """
    for item in items:
        if REFUSED in item.stash:
            continue
        asked = [each for each in asked_by([item]) if laboratory.broken(each.subject) is None]
        problem = next(chain(_of_subjects(item, runs_on), _of_fixtures(item), _of_asked(asked, laboratory.subject)), "")
        if problem and claim_of_item(item) is not None:
            item.stash[BROKEN] = problem
        elif problem:
            item.stash[REFUSED] = "", visible(problem)


def _of_subjects(item: pytest.Item, runs_on: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Find a claim that speaks of a subject on which no probe of it runs, since nothing would look at it."""
    if (claim := claim_of(function_of(item))) is None:
        return
    on = runs_on[claim.id]
    for key, names in (("published", claim.published), ("not_reproduced", claim.not_reproduced)):
        for name in (name for name in names if name not in on):
            found = f"claim {claim.id!r} names {name!r} in {key}, on which no probe of it runs"
            yield f"{found}{did_you_mean(name, on)}; they run on: {', '.join(on)}"


def _of_fixtures(item: pytest.Item) -> Iterator[str]:
    """Find a capture that a probe takes and that is misspelt, or stands where pytest does not find it."""
    fixtures = fixtures_of(item)
    if claim_of_item(item) is None or fixtures is None:
        return
    names: Sequence[str] = fixtures.names_closure
    captures = declarations(item.getparent(pytest.Module))
    for name in (name for name in ("request", SUBJECT) if name in captures and name in names):
        yield f"{item.nodeid.partition('::')[0]}: {name!r} is a name of pytest or saeprobe itself; rename this capture"
    for name in (name for name in names if name not in fixtures.name2fixturedefs and name != "request"):
        found = f"{item.nodeid.partition('[')[0]} takes {name!r}, and there is no such fixture"
        remedy = "a capture stands at the top of the probe's own file, neither in a class nor in conftest.py"
        yield f"{found}{did_you_mean(name, [*captures, SUBJECT])}; {remedy}"


def _of_asked(asked: Iterable[Asked], find: Find) -> Iterator[str]:
    """Find a capture whose prompts its subject cannot read, or that a control of the claim cannot be read from."""
    for each in asked:
        try:
            prompts_for(each.declared.prompts, find(each.subject))
        except NotRun:
            pass  # the laboratory says why, at the probe
        except (KeyError, ValueError) as error:  # the text of a KeyError is its argument
            yield f"{each.file}: {each.fixture} cannot be read on {each.subject}: {error.args[0]}"
            return
        for control in () if each.claim is None else each.claim.controls:
            if each.claim is not None and (problem := _problem(control, each, find)) is not None:
                yield f"claim {each.claim.id!r} asks for the control {control!r}, but {problem}"


def _problem(control: Control, asked: Asked, find: Find) -> str | None:
    """Say why a control cannot be read from a capture, with the remedy; None where it can."""
    capture = asked.declared
    if isinstance(capture, Steering):
        steers = "steers: its controls are the arms it declares, of random features and other strengths"
        return f"{asked.fixture} {steers}; leave the control out" if control in READ_ELSEWHERE else None
    if control == "random-sae" and capture.keep == frozenset[Keep](["effective_rank"]):
        return f"{asked.fixture} keeps the effective rank alone, which goes through no SAE; leave the control out"
    if control not in ("injection", "wording"):
        return None
    if control == "injection" and isinstance(capture.at, Span):
        found = f"{asked.fixture} reads the span {capture.at.text!r}, which neutral prompts need not hold"
        return f'{found}; read at="last" or at="all", or leave the control out'
    if file_for(capture.prompts, find(asked.subject)) is not None:
        return None  # where the prompts are not the probe's own choice, the control says that it could not be run
    try:
        prompts = capture.prompts.injected() if control == "injection" else capture.prompts
        prompts_for(prompts, find(asked.subject)).check_words()
    except NotRun:
        return None
    except ValueError as error:
        return f"cannot read it from {asked.fixture}: {error}"
    return None


def parametrize(metafunc: pytest.Metafunc, laboratory: Laboratory, unknown: dict[str, str]) -> Sequence[str]:
    """Give a probe its variants and return their names; an ordinary test that asks for no subject is left alone.

    A name that no subject has is kept in `unknown` with what is wrong; each subject's marker selects its variant.
    """
    mark = metafunc.definition.get_closest_marker(SUBJECTS_MARK)
    if claim_of(metafunc.function) is None and SUBJECT not in metafunc.fixturenames:
        return ()
    names: Sequence[str] = mark.args if mark is not None else laboratory.default_names(unmarked=True)
    if SUBJECT not in metafunc.fixturenames:  # a probe that says its claim is unverifiable takes no capture
        metafunc.fixturenames.append(SUBJECT)
    parameters: list[Any] = []
    for name in names:
        try:
            of = [marker for each in members(name) for marker in laboratory.subject(each).markers]
        except SubjectError as error:
            unknown[name] = str(error)
            of = [each for one in laboratory.names for each in laboratory.subject(one).markers]
        marks = [pytest.Mark(marker, (), {}, _ispytest=True) for marker in dict.fromkeys(of)]  # in no list of markers
        parameters.append(pytest.param(name, id=name, marks=marks))
    metafunc.parametrize(SUBJECT, parameters, scope="session")
    return names


def deselect_by_default(
    config: pytest.Config, items: list[pytest.Item], laboratory: Laboratory, unknown: Collection[str]
) -> bool:
    """Keep the default subjects only, and return True, where nothing on the command line selects subjects.

    Those that are `unknown` are kept, so that they fail.
    """
    for name in dict.fromkeys((*laboratory.names, *laboratory.default_names())):  # other files took no mark from it
        for marker in laboratory.subject(name).markers:
            config.addinivalue_line("markers", f"{marker}: probes on the subject {name}")
    options = config.option
    words = f"{options.keyword} {' '.join(config.args)}"
    markers = {marker for name in laboratory.names for marker in laboratory.subject(name).markers}
    by_mark = markers.intersection(re.findall(r"[\w.-]+", options.markexpr))  # `-m "not slow"` selects no subject
    marked = [name for name in laboratory.names if laboratory.subject(name).markers]  # the others nothing can select
    keywords = [f"{word}-" for word in re.findall(r"[\w.+-]+", options.keyword)]
    if by_mark or any(f"[{name}" in words or any(word.startswith(f"{name}-") for word in keywords) for name in marked):
        return False
    defaults = set(laboratory.default_names())
    names = [(item, name) for item in items if (name := subject_of(item)) is not None and name not in unknown]
    left_out = [item for item, name in names if not defaults.issuperset(members(name))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    return True


def unclaimed(items: Iterable[pytest.Item]) -> Iterator[str]:
    """Write a line of the tests that take a capture and make no claim; it may be meant so."""
    found = {
        item.nodeid.partition("[")[0]: str(getattr(item, "originalname", item.name))
        for item in items
        if claim_of_item(item) is None and declared_by(item)
    }
    if found:
        tests, take, make = ("test", "takes", "makes") if len(found) == 1 else ("tests", "take", "make")
        said = f"{len(found)} {tests} {take} a capture and {make} no claim: {named(list(found.values()))}"
        yield f"{said}; nothing is decided of what they compare, unless @claim(...) stands above them"


def unselected(
    items: Iterable[pytest.Item],
    collected: Mapping[str, Collection[str]],
    laboratory: Laboratory,
    config: pytest.Config | None = None,
) -> Iterator[str]:
    """Write a line of the claims of which no variant is left, with what leaves them out and what would select one.

    `collected` has the subjects of all variants by the id of the claim. Where the options of a `config` select, they
    leave them out; else the default subjects do.
    """
    left = {claim.id for item in items if (claim := claim_of_item(item)) is not None}
    gone = {name: on for name, on in collected.items() if name not in left}
    if not gone:
        return
    subjects = dict.fromkeys(each for on in gone.values() for name in on for each in members(name))
    marks = list(dict.fromkeys(mark for name in subjects for mark in laboratory.subject(name).markers[:1]))
    it, them = ("it runs", "it") if len(gone) == 1 else ("they run", "them")
    said = [f"nothing selected of {named(list(gone))}: {it} on {', '.join(subjects)}"]
    if config is None:
        said.append(f"by default {', '.join(laboratory.default_names())} would run")
    else:
        options = [(option, str(vars(config.option)[name])) for option, name in (("-k", "keyword"), ("-m", "markexpr"))]
        by = [f"{option} {shlex.quote(text)}" for option, text in options if text]
        said.append(f"{' and '.join(by) or 'an option such as --deselect'} leaves {them} out")
        said += _no_subjects(options[1][1], config, laboratory)
    if marks and (config is None or config.option.markexpr):
        said.append(f"select with -m {shlex.quote(' or '.join(marks))}")
    yield "; ".join(said)


def _no_subjects(expression: str, config: pytest.Config, laboratory: Laboratory) -> Iterator[str]:
    """Say of each word of `-m` that neither a subject nor another marker has it for a name."""
    registered = {str(line).partition(":")[0].partition("(")[0].strip() for line in config.getini("markers")}
    known = registered | {"and", "or", "not", "True", "False", "None"}
    subjects = [marker for name in laboratory.names for marker in laboratory.subject(name).markers]
    for word in dict.fromkeys(re.findall(r"[\w.+:/-]+", re.sub(r"\([^)]*=[^)]*\)", "", expression))):
        if word not in known:
            yield f"{word!r} is no subject{did_you_mean(word, subjects)}".removesuffix("?")

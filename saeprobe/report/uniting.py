"""Reports are united: what one run decided stands beside what others did, each probe with the run that decided it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import fields, replace

from saeprobe.claims import RULES, WORDS
from saeprobe.files import in_prose
from saeprobe.git import named
from saeprobe.report import Tables, shape
from saeprobe.report.shape import Claim, Document, Head, LeftOut, Probe, Run
from saeprobe.statistics.planning import ManyClaims, many_claims

_SHOWN = 12  # characters of a commit


class UnitingError(ValueError):
    """Two reports cannot stand as one; the message says why, and what to do."""


def variants_of(document: Document) -> list[str]:
    """List the subjects, several joined by a plus sign, on which a report has probes, or planned some."""
    probed = (probe.subject for claim in document.claims for probe in claim.probes)
    return [name for name in dict.fromkeys([*probed, *map(subject_in, document.planned)]) if name]


def subject_in(planned: str) -> str:
    """Return the subject in the name of a planned probe; empty where it names none."""
    return planned.partition("[")[2].removesuffix("]")


def head_of(claim: Head) -> Head:
    """Return what is true of a claim on every subject."""
    return Head(**{one.name: vars(claim)[one.name] for one in fields(Head)})


def only(document: Document, keep: Callable[[Claim, Probe], bool], planned: Callable[[str], bool]) -> Document:
    """Leave of a report the probes, and the names of planned ones, that are to be kept; its tables stay whole."""
    claims = [
        replace(claim, probes=probes)
        for claim in document.claims
        if (probes := tuple(probe for probe in claim.probes if keep(claim, probe)))
    ]
    verdicts = Counter(probe.verdict for claim in claims for probe in claim.probes)
    return replace(
        document,
        claims=tuple(claims),
        counts={word: verdicts[word] for word in WORDS},
        planned=tuple(filter(planned, document.planned)),
    )


def on_subjects(document: Document, names: Collection[str]) -> Document:
    """Leave of a report what it has on these subjects, as `variants_of` names them."""
    return only(document, lambda _, probe: probe.subject in names, lambda name: subject_in(name) in ("", *names))


def united(*documents: Document, generated: str) -> Document:
    """Put together what several reports have, of which no two have the same probe.

    The report is that of the first one's run. What a run left out and another one ran is not left out.

    Raises:
        UnitingError: a claim has another sentence, source, controls or scope in one report than in another.
    """
    tables, heads, decided = Tables(), dict[str, Head](), dict[str, list[Probe]]()
    runs: list[Run] = [documents[0].run]
    for document in documents:
        for claim in document.claims:
            head = heads.setdefault(claim.id, head_of(claim))
            if head != head_of(claim):
                both = f"{head.sentence!r} ({head.source}) and {claim.sentence!r} ({claim.source})"
                found = f"the claim {claim.id!r} is stated otherwise in the two: {both}"
                raise UnitingError(f"{found}, or with other controls; run both again")
            for probe in claim.probes:
                run = document.runs[probe.run]
                runs += [] if run in runs else [run]
                rows = tables.take(document, probe.evidence)
                decided.setdefault(claim.id, []).append(replace(probe, evidence=rows, run=runs.index(run)))
    probes = [probe for of_claim in decided.values() for probe in of_claim]
    q, chance = many(probes, runs)
    verdicts = Counter(probe.verdict for probe in probes)
    described = {one.name: one for document in reversed(documents) for one in reversed(document.subjects)}
    there = {name for probe in probes for name in probe.subject.split("+")}
    return Document(
        schema=shape.SCHEMA,
        schema_version=shape.SCHEMA_VERSION,
        generated=generated,
        run=runs[0],
        earlier=tuple(runs[1:]),
        counts={word: verdicts[word] for word in WORDS},
        planned=tuple(_planned(documents)),
        left_out=tuple(_left_out(documents, probes)),
        subjects=tuple(one for name, one in reversed(described.items()) if name in there),
        rules=dict(RULES),
        claims=tuple(
            Claim(**vars(heads[name]), probes=tuple(replace(it, q=q.get(it.nodeid)) for it in of_claim))
            for name, of_claim in decided.items()
        ),
        chance=chance,
        evidence=tuple(tables.evidence),
        samples=tuple(tables.samples),
        prompts=tables.columns,
    )


def _planned(documents: Sequence[Document]) -> Iterator[str]:
    """Yield the planned probes of each report; one that names no subject until another report plans its claim."""
    seen = Counter[str]()
    for document in documents:
        claims = {name.partition("[")[0] for name in seen}
        new = Counter(name for name in document.planned if subject_in(name) or name not in claims) - seen
        yield from new.elements()
        seen += new


def _left_out(documents: Sequence[Document], ran: Collection[Probe]) -> Iterator[LeftOut]:
    """Yield, each once, what was left out and no other run ran on that subject; a function stands for its variants."""
    nodes = [(one.nodeid, one.subject) for one in ran]
    there = {*nodes, *((nodeid.partition("[")[0], subject) for nodeid, subject in nodes)}
    left = {(one.where, one.subject): one for document in documents for one in document.left_out}
    yield from (one for of, one in left.items() if of not in there)


def many(probes: Collection[Probe], runs: Sequence[Run]) -> tuple[dict[str, float], tuple[ManyClaims, ...]]:
    """Give q by node id, and what chance brings on each subject; runs differ in alpha where each has its subjects."""
    found, chance = dict[str, float](), list[ManyClaims]()
    for alpha in dict.fromkeys(run.alpha for run in runs):
        alike = [one for one in probes if runs[one.run].alpha == alpha]
        q, brought = many_claims(((one.subject, one.nodeid, one.verdict, one.p) for one in alike), alpha=alpha)
        found |= q
        chance += brought
    return found, tuple(chance)


def merge(a: Document, b: Document, *, generated: str) -> tuple[Document, list[str]]:
    """Unite two reports of one commit and the same probes, and say what stands in both; the first one's is kept.

    Raises:
        UnitingError: they are of different commits, files, alphas or seeds, or a probe came out otherwise in one.
    """
    for run in (*a.runs, *b.runs):
        for what in ("commit", "alpha", "seed"):
            one, other = (vars(of)[what] for of in (a.run, run))
            if one != other:
                both = " and ".join(str(value or "no commit")[:_SHOWN] for value in (one, other))
                raise UnitingError(f"they are of different runs: {what} {both}; run both alike, at one commit")
        common = a.run.files.keys() & run.files.keys()
        if changed := sorted(name for name in common if a.run.files[name] != run.files[name]):
            raise UnitingError(f"they have read different files: {named(changed)}; run both at one commit, unchanged")
    there = {probe.nodeid: probe for claim in a.claims for probe in claim.probes}
    both = [probe for claim in b.claims for probe in claim.probes if probe.nodeid in there]
    if turned := [probe for probe in both if probe.verdict != there[probe.nodeid].verdict]:
        found = [f"{one.nodeid} is {there[one.nodeid].verdict} in one and {one.verdict} in the other" for one in turned]
        raise UnitingError(f"{'; '.join(found)}; find out what differs between the machines")
    new = only(b, lambda _, probe: probe.nodeid not in there, lambda _: True)
    on = list(dict.fromkeys(probe.subject for probe in both))
    probes = "1 probe" if len(both) == 1 else f"{len(both)} probes"
    said = [f"both have {probes} on {in_prose(on)}, alike; what the first says is kept"] if both else []
    return united(a, new, generated=generated), said

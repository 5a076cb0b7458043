"""Recorded files in the article's shapes stand where a capture would; each capture is answered by the run that fits.

| what a file holds | what it gives |
|---|---|
| features of each prompt's last token | everything that needs no prompt text |
| a comparison of two styles | means, counts and firing rates, without the values behind them |
| the firing of named features by style | firing rates of all its styles, counted |
| the activations of named features by topic | what each does on each prompt |
| a table of EID by topic and persona | effective rank and length of each prompt |

Several of the middle three are one record where nothing that they state contradicts the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from typing import Final, cast, get_args

import numpy as np

from saeprobe.captures import Capture
from saeprobe.claims import NotRun
from saeprobe.features import Features, RecordedRun
from saeprobe.files import FileError, cut, shortened
from saeprobe.prompts import STYLES, PromptChoice, no_style
from saeprobe.recorded import EidTable, Key, RecordedFile, Stated, SummaryKind, alike, language_of
from saeprobe.recorded.record import BY_PROMPT, POOLED, REMEDY, Recorded, from_features, from_ranks, from_summaries
from saeprobe.recorded.tensors import ArticleFeatures, Entries, features_of

_SUMMARIES: Final[tuple[SummaryKind, ...]] = get_args(SummaryKind)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """Files are of one run; several are summaries that complete each other."""

    files: tuple[RecordedFile, ...]
    run: RecordedRun

    @property
    def styles(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(style for file in self.files for style in file.styles))


def recorded_evidence(files: Sequence[RecordedFile], capture: Capture, stated: Stated) -> Features | Recorded:
    """Read what files hold in place of `capture`, held against what the subject states.

    Raises:
        NotRun: no file holds it, or several fit equally.
        FileError: the only file that holds it is damaged, or does not agree with the subject.
    """
    found, refused = _chosen(files, capture, stated)
    content = found.files[0].content
    repeats = stated.prompts.repeated if stated.prompts else {}
    if isinstance(content, Entries):
        order = stated.in_order(content.topics)
        read = from_features(features_of(content), stated.subject, found.run, order, repeats)
        left_out = _left_out(found, capture, stated)
        return replace(read, lacking={one: str(no_style(one, found.styles, found.run.origin)) for one in left_out})
    if isinstance(content, EidTable):
        return from_ranks(content, stated.subject, found.run, stated.in_order(content.topics), repeats)
    better = next((file for file in refused if file.kind == "article-features"), None)
    remedy = f"{better.name}, which may hold it, cannot be used: {refused[better].found}" if better else REMEDY
    summed = from_summaries(found.files, stated.subject, found.run, remedy, repeats)
    return replace(summed, lacking=_left_out(found, capture, stated))


def _left_out(found: _Found, capture: Capture, stated: Stated) -> tuple[str, ...]:
    """Return the styles that a capture asks for, of STYLES all six, and files do not hold."""
    prompts = capture.prompts
    wanted = prompts.styles
    if isinstance(prompts, PromptChoice) and prompts.sets == STYLES.sets:
        wanted = wanted or STYLES.for_wording("english").styles
    known = wanted if stated.prompts is None else stated.prompts.styles
    return tuple(style for style in wanted if style in known and style not in found.styles)


def in_words(files: Sequence[RecordedFile], asked: Iterable[tuple[Capture, Stated]]) -> str:
    """Say which files answer each capture, of which run that is, and which files are not used, and why."""
    said: dict[str, None] = {}
    used: set[RecordedFile] = set()
    why = {file: file.description for file in files}
    for capture, stated in asked:
        why |= {file: error.found for file, error in _agreeing(files, capture, stated)[1].items()}
        try:
            found, _ = _chosen(files, capture, stated)
        except (NotRun, FileError):  # the probes report it
            continue
        used |= {*found.files}
        what = "effective ranks" if "effective_rank" in capture.keep else "features"
        another = f" ({found.run.another})" if found.run.another else ""
        said[f"{found.run.origin} for {what} of {', '.join(found.styles)}{another}"] = None
    rest = ", ".join(f"{file.name} ({cut(why[file], 100)})" for file in files if file not in used)
    return "; ".join([*said, *([f"not used: {rest}"] if rest else [])])


Refused = dict[RecordedFile, FileError]


def _chosen(files: Sequence[RecordedFile], capture: Capture, stated: Stated) -> tuple[_Found, Refused]:
    """Choose the run that answers a capture: on the subject's own prompts, then with values, then with more styles.

    Return also the files that might answer it and cannot be used.
    """
    rank = "effective_rank" in capture.keep
    if not rank and (capture.at != "last" or "activations" in capture.keep):
        raise NotRun("recorded files hold the features of the last token only; this reads other tokens or activations")
    agreeing, refused = _agreeing(files, capture, stated)
    prompts = capture.prompts if stated.prompts is None else stated.prompts
    asked = frozenset(prompts.styles)  # of a choice that is not restricted there are none: any style will do
    runs = [one for one in _runs(agreeing, stated) if not asked or asked & {*one.styles}]
    if not runs:
        for error in refused.values():
            raise error
        raise NotRun(_lacking(files, agreeing, asked, rank=rank))

    on_own = not all(one.run.another for one in runs)
    runs = [one for one in runs if not (on_own and one.run.another)]
    why = next((said for one, other in combinations(runs, 2) if (said := _contradiction(one.files, other.files))), "")
    if not why:  # which of two that contradict each other is right is not a question of how much they hold
        with_values = [one for one in runs if one.files[0].kind not in _SUMMARIES]
        runs = with_values or runs
        most = max(len(asked & {*one.styles}) for one in runs)
        runs = [one for one in runs if len(asked & {*one.styles}) == most]
    if len(runs) > 1:
        names = ", ".join(one.run.origin for one in runs)
        raise NotRun(f"{names} fit equally: {why or _apart(runs)}; leave the one that is meant")
    return runs[0], refused


def _lacking(
    files: Sequence[RecordedFile], agreeing: Sequence[RecordedFile], asked: Collection[str], *, rank: bool
) -> str:
    if agreeing:
        held = ", ".join(sorted({style for file in agreeing for style in file.styles}))
        names = ", ".join(file.name for file in agreeing)
        return f"{names} holds {held} prompts; wanted some of {', '.join(sorted(asked))}"
    given = ", ".join(dict.fromkeys(file.name for file in files)) or "no file; folders in it are not searched"
    if rank:
        return f"the recorded evidence ({given}) holds no EID table; put eid_persona_results.json of the run there"
    remedy = "put features_layer50.pt or feature_diff.json of the run there"
    if one := next((file.path for file in files if file.kind == "article-activations"), None):
        remedy = f"encode {one.name} first: saeprobe encode {one} --sae SAE -o features_layer50.pt"
    return f"the recorded evidence ({given}) holds no features; {remedy}"


def _agreeing(files: Sequence[RecordedFile], capture: Capture, stated: Stated) -> tuple[list[RecordedFile], Refused]:
    """Part the files of the kinds that may answer a capture: those that agree with the subject, and the others."""
    kinds = ("eid-table",) if "effective_rank" in capture.keep else ("article-features", *_SUMMARIES)
    agreeing: list[RecordedFile] = []
    refused: Refused = {}
    for file in files:
        if file.kind not in kinds and not (file.kind == "unknown" and file.problem):
            continue
        try:
            if file.problem is not None:
                raise file.problem
            stated.check(file)
            _check_list(file, files)
        except FileError as error:
            refused[file] = error
        else:
            agreeing.append(file)
    return agreeing, refused


def _check_list(file: RecordedFile, files: Iterable[RecordedFile]) -> None:
    """Refuse a file beside a list of as many topics, all of them other ones."""
    topics = set(map(alike, file.topics)) if file.all_topics else set[str]()
    for one in files:
        if one.kind != "list" or one.content is None or "topic" not in one.path.stem.lower():
            continue
        listed = {alike(topic) for topic in cast("tuple[str, ...]", one.content)}
        if one.path.parent == file.path.parent and len(listed) == len(topics) and listed.isdisjoint(topics):
            found = f"none of its {len(topics)} topics is among the {len(listed)} of {one.path.name} beside it"
            remedy = "take away the one that is of another run"
            raise FileError(file.path, found, wanted="files of one run", remedy=remedy)


@lru_cache
def _contradiction(files: tuple[RecordedFile, ...], others: tuple[RecordedFile, ...]) -> str:
    """Say what files state differently that may be of one run; for features what the others state is counted."""
    pairs = [(a, b) for a in files for b in others]
    if not all(a.of_one_run(b) for a, b in pairs if {*a.styles} & {*b.styles}):
        return ""
    try:
        return next((said for a, b in pairs if (said := _counted(a, b).contradiction(_counted(b, a)))), "")
    except FileError:  # where values are damaged, reading them says so
        return ""


def _counted(file: RecordedFile, other: RecordedFile) -> RecordedFile:
    """Let a file of features state what another one states, or, of two such files, how strong each prompt is."""
    if not isinstance(file.content, Entries):
        return file
    features = features_of(file.content)
    keys = other.states or [Key("sum", style, topic=alike(topic)) for style in file.styles for topic in file.topics]
    return replace(file, states={key: (value, 0.0) for key in keys for value in _values(features, key)})


def _values(features: ArticleFeatures, key: Key) -> tuple[float, ...]:
    """Return the number that a key stands for, as features have it; none where they do not."""
    n, of = len(features.topics), key.of
    if key.style not in features.rows or (isinstance(of, int) and of >= features.width):
        return ()
    rows = features.rows[key.style]
    fired = np.bincount(rows.indices, minlength=features.width)
    each, sums = np.diff(rows.indptr), np.asarray(rows.sum(axis=1), dtype=np.float64)
    topics = {alike(topic): at for at, topic in enumerate(features.topics)}
    at = topics.get(alike(key.topic or ""))
    if key.measure == "l0":
        return (rows.nnz / n,)
    if key.measure == POOLED and rows.nnz:
        return (float(rows.data.mean(dtype=np.float64)),)
    if key.measure == BY_PROMPT and each.all():
        return (float((sums / each).mean()),)
    if key.measure == "firing rate":
        return (float(fired[cast(int, of)]) / n,)
    if key.measure == "exclusive features" and of in features.rows:
        other = np.bincount(features.rows[str(of)].indices, minlength=features.width)
        return (float(((fired > 0) & (other == 0)).sum()),)
    if key.measure == "activation" and at is not None:
        return (float(rows[at, cast(int, of)]),)
    return (float(sums[at]),) if key.measure == "sum" and at is not None else ()


def _runs(files: Iterable[RecordedFile], stated: Stated) -> list[_Found]:
    """Put summaries that complete each other together; every other file is a run of its own."""
    whole = [[file] for file in files if file.kind not in _SUMMARIES]
    parts: list[list[RecordedFile]] = []
    earlier: list[RecordedFile] = []
    for kind in _SUMMARIES:
        for file in (one for one in files if one.kind == kind):
            fitting = [run for run in parts if all(file.completes(one) for one in run)]
            for run in fitting:
                run.append(file)
            if not fitting:
                beside: list[RecordedFile] = [file]
                beside += (one for one in earlier if all(one.completes(other) for other in beside))
                parts.append(beside)
            earlier.append(file)
    return [_Found(files=tuple(run), run=_run(run, stated)) for run in (*whole, *parts)]


def _run(files: Sequence[RecordedFile], stated: Stated) -> RecordedRun:
    counted = max(files, key=lambda file: (bool(file.n) and not file.shares, file.n or 0))
    firm_first = sorted(files, key=lambda file: (file.shares, not file.all_topics))
    return RecordedRun(
        origin=" + ".join(file.name for file in files),
        n=counted.n,
        shares=counted.shares,
        another=next((said for file in firm_first if (said := stated.another(file))), ""),
        language=language_of(max((file.topics for file in files), key=len)),
        own=None if stated.prompts is None else len(stated.prompts.topics),
        own_language="" if stated.prompts is None else language_of(stated.prompts.topics),
        unplaced=stated.unplaced(files[0]),
    )


def _apart(runs: Sequence[_Found]) -> str:
    longest = [max((file.topics for file in one.files), key=len) for one in runs]
    of_each = {
        "styles": [", ".join(one.styles) for one in runs],
        "prompts a style": [f"{'a multiple of ' if one.run.shares else ''}{one.run.n}" for one in runs],
        "topics": [shortened([*topics]) if topics else "unnamed" for topics in longest],
    }
    differing = [f"{what} {' against '.join(said)}" for what, said in of_each.items() if len({*said}) > 1]
    return "; ".join(differing) or "they are of the same styles and topics, and only their numbers tell them apart"

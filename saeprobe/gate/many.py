"""Several articles are decided on at once, from one report, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from saeprobe.files import visible
from saeprobe.gate import EXIT_CODES, Decision, Release, decide_release, decision_of, render, together
from saeprobe.gate.article import Article, ArticleError, read_article
from saeprobe.gate.policy import Doubts
from saeprobe.report import ReportError, read_report
from saeprobe.report.shape import Claim, Document, Probe

SUFFIXES: Final = (".md", ".markdown")


@dataclass(frozen=True, kw_only=True)
class Decided:
    """An article was decided on, or could not be read for a reason."""

    path: Path
    release: Release | None
    problem: str = ""

    @property
    def decision(self) -> Decision:
        """Give the decision; one that cannot be read is not decided."""
        return "cannot tell" if self.release is None else self.release.decision


def articles_in(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the articles, those of a folder and of the folders in it in order; each once.

    Raises:
        ArticleError: a folder holds no Markdown file.
    """
    seen: set[Path] = set()
    for path in paths:
        inside = (file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        found = sorted(inside)
        if not found:
            raise ArticleError("this folder holds no .md file", "name one that holds articles", path=path)
        yield from (file for file in found if file not in seen)
        seen |= set(found)


def decide_all(paths: Iterable[Path], report: Path, doubts: Sequence[Doubts] = ()) -> list[Decided]:
    """Decide on each article; one that cannot be read keeps no other from being decided, and no report decides none."""
    read: list[Article | ArticleError] = []
    for path in paths:
        try:
            read.append(read_article(path))
        except ArticleError as error:
            read.append(error)
    held: Document | ReportError | None = None
    if any(isinstance(one, Article) for one in read):
        try:
            held = read_report(report)
        except ReportError as error:
            held = error
    decided: list[Decided] = []
    for one in read:
        if isinstance(one, Article) and isinstance(held, Document):
            decided.append(Decided(path=one.path, release=decide_release(one, held, doubts)))
        else:
            problem = str(one if isinstance(one, ArticleError) else held)
            decided.append(Decided(path=one.path, release=None, problem=problem))
    return decided


def decision_on(decided: Sequence[Decided]) -> Decision:
    """Decide on all: one that holds holds all, and only where all are released they are released."""
    return together([one.decision for one in decided])


def in_words(decided: Sequence[Decided]) -> str:
    """Write what becomes of each article, and of several how many are released."""
    texts = [
        f"CANNOT TELL  {visible(str(one.path))}\n  {one.problem}" if one.release is None else render(one.release)
        for one in decided
    ]
    if len(decided) > 1:
        released = sum(one.decision == "release" for one in decided)
        texts.append(f"{released} of {len(decided)} articles released; exit code {EXIT_CODES[decision_on(decided)]}")
    return "\n\n".join(texts)


def as_json(decided: Sequence[Decided], report: Path) -> dict[str, Any]:
    """Give the decisions in plain types."""
    articles = [
        {
            "path": str(one.path),
            "title": None if one.release is None else one.release.article.title,
            "decision": one.decision,
            "problem": one.problem or None,
            "claims": [] if one.release is None else list(_claims(one.release)),
        }
        for one in decided
    ]
    decision = decision_on(decided)
    return {"decision": decision, "exit_code": EXIT_CODES[decision], "report": str(report), "articles": articles}


def _claims(release: Release) -> Iterator[dict[str, Any]]:
    for ruling in release.rulings:
        yield {
            "id": ruling.citation.id,
            "subject": ruling.citation.subject,
            "decision": ruling.decision,
            "gaps": [{"gap": gap, "remedy": remedy} for gap, remedy in ruling.gaps],
            "probes": [_probe(claim, probe, release.report) for claim, probe in ruling.probes],
        }


def _probe(claim: Claim, probe: Probe, report: Document) -> dict[str, Any]:
    run = report.runs[probe.run]
    of_probe = {name: getattr(probe, name) for name in ("nodeid", "subject", "verdict", "reason", "scope", "takes")}
    of_run = {name: getattr(run, name) for name in ("commit", "ended", "alpha")}
    of_claim = {"controls": claim.controls, "over": claim.over}
    return of_probe | of_run | of_claim | {"decision": decision_of(probe), "declared_at": probe.declared_at}

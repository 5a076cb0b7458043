"""Several articles are decided on at once, from one report, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from saeprobe.files import visible
from saeprobe.gate import EXIT_CODES, Decision, Release, decide_release, decision_of, render, together
from saeprobe.gate.article import ArticleError, read_article
from saeprobe.gate.policy import Doubts
from saeprobe.report.shape import Claim, Document, Probe


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
    """Yield the articles, those of a folder in order; each once.

    Raises:
        ArticleError: a folder holds no Markdown file.
    """
    seen: set[Path] = set()
    for path in paths:
        found = sorted(path.glob("*.md")) if path.is_dir() else [path]
        if not found:
            raise ArticleError("this folder holds no .md file", "name one that holds articles", path=path)
        yield from (file for file in found if file not in seen)
        seen |= set(found)


def decide_all(paths: Iterable[Path], report: Document, doubts: Sequence[Doubts]) -> list[Decided]:
    """Decide on each article; one that cannot be read keeps no other from being decided."""
    decided: list[Decided] = []
    for path in paths:
        made = partial(Decided, path=path)
        try:
            decided.append(made(release=decide_release(read_article(path), report, doubts)))
        except ArticleError as error:
            decided.append(made(release=None, problem=str(error)))
    return decided


def code_of(decided: Sequence[Decided]) -> int:
    """Give the exit code of all: one that holds holds all, and only where all are released they are released."""
    return EXIT_CODES[together([one.decision for one in decided])]


def in_words(decided: Sequence[Decided]) -> str:
    """Write what becomes of each article, and of several how many are released."""
    texts = [
        f"CANNOT TELL  {visible(str(one.path))}\n  {one.problem}" if one.release is None else render(one.release)
        for one in decided
    ]
    if len(decided) > 1:
        released = sum(one.decision == "release" for one in decided)
        texts.append(f"{released} of {len(decided)} articles released; exit code {code_of(decided)}")
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
    together_ = together([one.decision for one in decided])
    return {"decision": together_, "exit_code": code_of(decided), "report": str(report), "articles": articles}


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

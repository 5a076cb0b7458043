"""The gate: an article is released when a report supports every claim it cites."""

from saeprobe.gate.article import Article, ArticleError, Citation, read_article
from saeprobe.gate.release import Decision, Release, Ruling, decide_release, decision_of
from saeprobe.gate.run import run_gate
from saeprobe.gate.text import render

__all__ = [
    "Article",
    "ArticleError",
    "Citation",
    "Decision",
    "Release",
    "Ruling",
    "decide_release",
    "decision_of",
    "read_article",
    "render",
    "run_gate",
]

"""The claims of the project: that they are all there, and that a reader can read them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from saeprobe.gate import read_article

ROOT = Path(__file__).parent.parent

TABLE_A = (
    "day1.l0-by-style",
    "day1.novice-most",
    "day1.expert-fewest",
    "day1.max-activation",
    "day1.novice-more-than-expert",
    "day1.exclusive",
    "day1.intensity",
    "day1.novice-signature",
    "day1.expert-signature",
    "day1.novice-eid",
    "day1.sparse",
    "day2.labels",
    "day3.map",
    "day4.cross-model",
    "day5.conclusion",
)
"""The claims of the article SAE Inspect."""


def probes() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Claim id and function of every probe."""
    for file in sorted((ROOT / "probes").glob("test_*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield claim_id(node), node


def claim_id(probe: ast.FunctionDef) -> str:
    """The id that the probe's claim is given."""
    for decorator in probe.decorator_list:
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "claim":
            return next(ast.literal_eval(word.value) for word in decorator.keywords if word.arg == "id")
    pytest.fail(f"{probe.name} has no claim")


def test_every_claim_of_the_article_has_a_probe() -> None:
    """A claim keeps its row until its probe runs, so none may be missing."""
    assert set(TABLE_A) <= {claim for claim, _ in probes()}


def test_a_claim_has_one_probe() -> None:
    """An id names one probe, whatever subjects it runs on."""
    claims = [claim for claim, _ in probes()]
    assert sorted(set(claims)) == sorted(claims)


@pytest.mark.parametrize(("claim", "probe"), list(probes()), ids=lambda value: value if isinstance(value, str) else "")
def test_a_probe_is_a_few_lines(claim: str, probe: ast.FunctionDef) -> None:
    """From `def` to its last line a probe takes eight lines at most, so that a reader of the article can follow it."""
    assert probe.end_lineno is not None
    assert probe.end_lineno - probe.lineno + 1 <= 8, claim


def test_what_an_article_on_sparrow_cites_is_decided() -> None:
    """The articles about the specimen cite probes that exist; those about other models wait for theirs."""
    decided = {claim for claim, _ in probes()}
    for file in (ROOT / "articles").glob("sparrow-*.md"):
        cited = {citation.id for citation in read_article(file).claims}
        assert cited <= decided, file.name

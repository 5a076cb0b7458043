"""The claims of the project: that they are all there, and that a reader can read them."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from saeprobe.gate.article import read_article

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "probes").glob("test_*.py"))

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

TABLE_B = (
    "manual.sparse",
    "manual.monosemantic",
    "manual.bridge-token",
    "manual.polysemantic-neurons",
    "manual.steer-golden-gate",
    "manual.steer-replace",
)
"""The claims of the SAE manual that are probes so far."""

DECIDED = (
    *("day2.distribution", "day2.purest-expert", "day2.purest-novice", "day2.attitude", "day2.depth"),
    *("day2.role-suppresses", "day2.topic-independent", "day2.strengths"),
    *("v1.mean-table", "v1.standard-mean", "v1.ratio", "v1.intensity-under-2", "v1.sparsity", "v1.eid-mechanism"),
    *("v1.by-layer-50", "zhao.expansion"),
    *("p16.saf", "p16.guided-top", "p16.simple-bottom", "p16.expert-below-standard", "p16.saf-gap", "p16.eid"),
    *("p16.role-suffices", "p16.eid-gap", "p16.debugger-top", "p16.poet-drunk-bottom", "p16.orthogonal"),
    *("p16.expert-compact", "p16.novice-medium-eid", "p16.same-prompt"),
    *("st.one-direction", "st.cosine", "st.above-090", "st.peak", "st.overshoot", "st.saf-inflates", "st.cluster"),
    *("st.socratic-orthogonal", "st.novice-not-inverse"),
)
"""The claims of its paper that a print or a record can decide."""

WAITING = (
    *("day2.subdivided", "day2.compositional", "day2.decoder-labels"),
    *("v1.templates", "v1.length-controls", "v1.novice-better", "zhao.peak"),
    *("day3.six-clusters", "day3.sae-merges", "day3.sae-isolates", "day3.denoiser"),
    "p16.peak",
    *("st.vector-is-svd", "st.overlap", "st.dimensions", "st.equivalent", "st.manifold", "st.composite"),
)
"""The others, which wait for weights."""


def claims_in(file: Path) -> Iterator[tuple[str, str]]:
    """The claims written in a file: the name each is given, or an empty one, and its id."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {node.value: node.targets[0] for node in tree.body if isinstance(node, ast.Assign)}
    for node in ast.walk(tree):
        name = names.get(node) if isinstance(node, ast.expr) else None
        for claim in claims_under(node):
            yield name.id if isinstance(name, ast.Name) else "", claim


def claims_under(node: ast.AST) -> Iterator[str]:
    """The id that an expression gives, where it is a claim."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "claim":
        yield next(ast.literal_eval(word.value) for word in node.keywords if word.arg == "id")


def probes() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Claim id and function of every probe."""
    for file in FILES:
        named = dict(claims_in(file))
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield claim_id(node, named), node


def claim_id(probe: ast.FunctionDef, named: Mapping[str, str]) -> str:
    """The id of the probe's claim, which stands above it or has a name of its own."""
    for decorator in probe.decorator_list:
        for claim in claims_under(decorator):
            return claim
        if isinstance(decorator, ast.Name) and decorator.id in named:
            return named[decorator.id]
    pytest.fail(f"{probe.name} has no claim")


def test_every_claim_of_the_articles_has_a_probe() -> None:
    """A claim keeps its row until its probe runs, so none may be missing."""
    assert set(TABLE_A) | set(TABLE_B) <= {claim for claim, _ in probes()}


def test_every_claim_of_the_paper_has_a_probe_or_waits_for_something() -> None:
    """None is left out, and none stands in both places."""
    found = {claim for claim, _ in probes()}
    assert set(DECIDED) <= found
    assert not found & set(WAITING)


@pytest.mark.parametrize("name", ["waiting-claims.md", "waiting-claims.zh.md"])
def test_what_waits_is_listed_with_what_it_waits_for(name: str) -> None:
    """The list that both READMEs name has a row for each claim that waits, and for no other."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\S+)` \| (.+) \| (.+) \|$", text, flags=re.MULTILINE)
    assert [claim for claim, _, _ in rows] == list(WAITING)
    readme = "README.zh.md" if ".zh" in name else "README.md"
    assert f"(docs/{name})" in (ROOT / readme).read_text(encoding="utf-8")


def test_a_claim_is_written_once() -> None:
    """An id names one sentence; several probes may decide it, as where a printed table contradicts itself."""
    claims = [claim for file in FILES for _, claim in claims_in(file)]
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

"""What a plan says of a sentence is held against what evidence then does on the most extreme data."""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import count, product
from math import ceil
from types import FunctionType

import numpy as np
import pytest
from scipy.sparse import csr_array

from saeprobe import about, correlation
from saeprobe.claims import Over, published
from saeprobe.evidence import Evidence, Recorder, recording
from saeprobe.evidence.printed_tables import printed
from saeprobe.evidence.values import Measurement
from saeprobe.features import Features, Token
from saeprobe.measures import clusters, exclusive_features, scan
from saeprobe.plugin.sentences import MEANS, RATES, design_lines, sentences_of
from saeprobe.prompts import Prompt

NAMES = count()
HEAD = """
from saeprobe import about, correlation, every, in_each, ordered
from saeprobe.measures import *
from saeprobe.claims import published
import saeprobe.measures as measures
BOUND = 0.9
TABLE = published(a=1, unit="features")
def helper(of): return l0(of)
"""


@cache
def probe(body: str, arguments: str = "read") -> FunctionType:
    """Make a probe of some lines, whose source can be found."""
    name, names = f"<probe {next(NAMES)}>", dict[str, object]()
    text = f"{HEAD}def test_it({arguments}):\n" + "".join(f"    {line}\n" for line in body.split("\n"))
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), names)  # noqa: S102 - text of this file
    names["__file__"] = name
    found = names["test_it"]
    assert isinstance(found, FunctionType)
    return found


def prompts(*templates: int, topics: int = 1, own_topics: bool = False) -> list[Prompt]:
    """A design: so many templates in each style, all on the same topics, or each template on one of them."""
    return [
        Prompt(text=f"{s} {t} {topic}", style="abcdef"[s], topic=f"topic {topic:02}", template=f"{s} {t}")
        for s, n in enumerate(templates)
        for t in range(n)
        for topic in ([t % topics] if own_topics else range(topics))
    ]


def says(body: str, read: list[Prompt], alpha: float = 0.05, over: Sequence[Over] = ()) -> str:
    """What the plan says of it, in one line."""
    return "; ".join(design_lines(probe(body), {"read": read}, over=over, alpha=alpha))


def measured(read: list[Prompt], style: str, value: Callable[[int], float], unit: str = "features") -> Measurement:
    """A measurement of one style, of values by the number of the prompt."""
    of = tuple(one for one in read if one.style == style)
    values = np.array([value(index) for index in range(len(of))], dtype=float)
    return Measurement(measure="l0", label=style, unit=unit, values=values, prompts=of)


def decided(alpha: float, over: tuple[Over, ...], made: Callable[[], Evidence]) -> bool:
    """Whether the evidence is decided at a level."""
    with recording(Recorder(alpha=alpha, over=over)):
        return made().outcome != "inconclusive"


def low(index: int) -> float:
    """Values that all but agree: as far from anything else as their spread allows."""
    return 1e-3 * (index * 0.618 % 1)


def high(index: int) -> float:
    """The same far above."""
    return 100 + 1e-3 * (index * 0.414 % 1)


ALPHAS = [0.05, 0.01]
OVER: list[tuple[Over, ...]] = [(), ("templates",), ("topics",)]


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("over", OVER)
def test_a_comparison_is_decided_where_the_plan_says_so(alpha: float, over: tuple[Over, ...]) -> None:
    """Over 1 to 6 templates beside 1 or 4, on topics that are just enough or one too few, all but without spread."""
    enough = 6 if alpha == 0.05 else 8
    for n_a, n_b, topics, own in product((1, 2, 3, 4, 6), (1, 4), (1, enough - 1, enough), (False, True)):
        read = prompts(n_a, n_b, topics=topics, own_topics=own)
        a, b = measured(read, "a", high), measured(read, "b", low)
        c = measured(read, "a", lambda index: high(index) - 100)
        line = says('assert l0(read["a"]) > l0(read["b"])', read, alpha, over)
        cannot = "cannot decide" in line or "nothing can be compared" in line
        assert cannot != decided(alpha, over, lambda a=a, b=b: a > b), (n_a, n_b, topics, own, line)
        line = says('assert l0(read["a"]) == about(l0(read["b"]), margin=9)', read, alpha, over)
        cannot = "cannot decide" in line or "nothing can be compared" in line
        assert cannot != decided(alpha, over, lambda c=c, b=b: c == about(b, margin=9)), (n_a, n_b, topics, own, line)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_a_mean_beside_a_number_is_decided_where_the_plan_says_so(alpha: float) -> None:
    """6 templates, or topics under one wording, reach 0.05, and 8 reach 0.01."""
    for templates, topics in product((1, 2, 5, 6, 7, 8), (1, 2, 5, 6, 7, 8)):
        read = prompts(templates, topics=topics)
        line = says('assert l0(read["a"]) < 50', read, alpha)
        assert ("cannot decide" in line) != decided(alpha, (), lambda r=read: measured(r, "a", low) < 50), line
        assert "unless" not in line


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("bound", [0.001, 0.25, 0.5, 0.95])
@pytest.mark.parametrize("above", [True, False])
def test_a_rate_is_decided_where_the_plan_says_so(alpha: float, bound: float, *, above: bool) -> None:
    """All and none of the prompts show it: one of them decides, or nothing can; the edge that is given supports it."""
    for templates in (*range(1, 16), 28, 29, 58, 59, 69):
        read = prompts(templates)
        line = says(f'assert firing_rate(read["a"], 3) {"<>"[above]} {bound}', read, alpha)
        ends = [measured(read, "a", lambda _, v=v: v, "share of prompts") for v in (0.0, 1.0)]
        with recording(Recorder(alpha=alpha)):
            found = [(one > bound if above else one < bound).outcome for one in ends]
        assert ("cannot decide" in line) == (found == ["inconclusive"] * 2), line
        assert ("is supported" in line) == ("supported" in found), line
        if "is supported" in line:
            edge = float(line.rpartition("from " if above else "up to ")[2].split()[0]) / 100
            with recording(Recorder(alpha=alpha)):
                at = measured(read, "a", lambda _, e=edge: e, "share of prompts")
                assert (at > bound if above else at < bound).outcome == "supported"


@pytest.mark.parametrize("body", ["> 0.75", "< 0.25"])
def test_a_rate_is_decided_where_the_plan_says_so_of_wordings_that_differ_or_not(body: str) -> None:
    """24 templates of 10 topics: the first edge is of templates that are alike, the second of those that are 0 or 1."""
    read, above = prompts(24, topics=10), body[0] == ">"
    line = says(f'assert firing_rate(read["a"], 3) {body}', read)
    alike, differing = (float(edge) / 100 for edge in re.findall(r"(?:from|up to) ([\d.]+) %", line))
    assert line.endswith("where each shows it on all prompts or none")
    further, showing = (-1, ceil(24 * differing)) if above else (1, int(24 * differing))
    for beyond in (0, further):  # the edge supports the sentence, and what lies one step beyond it does not
        rate, ones = alike + beyond / 1000, showing + beyond
        for of_each in ([rate] * 24, [1.0] * ones + [0.0] * (24 - ones)):
            values = measured(read, "a", partial(_of_its_template, of_each), "share of prompts")
            found = values > 0.75 if above else values < 0.25
            assert (found.outcome == "supported") == (beyond == 0), (rate, ones, line)


def _of_its_template(of_each: list[float], row: int) -> float:
    """The value of the template that a row of ten topics is of."""
    return of_each[row // 10]


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("bound", [0.0, 0.5])
def test_a_correlation_is_decided_where_the_plan_says_so(alpha: float, bound: float) -> None:
    """Over 1 to 7 wordings or topics, with a measure that is all but the other one."""
    for templates, topics in ((1, 3), (1, 4), (1, 5), (2, 6), (4, 1), (5, 1), (3, 3), (4, 3), (5, 4), (7, 1)):
        read = prompts(templates, topics=topics)
        a = measured(read, "a", float)
        b = measured(read, "a", lambda i: i + 0.02 * (i * 0.618 % 1))
        line = says(f"assert correlation(l0(read), n_tokens(read)) > {bound}", read, alpha)
        assert ("cannot decide" in line) != decided(alpha, (), lambda a=a, b=b: correlation(a, b) > bound), line


def features(read: list[Prompt], fires: Callable[[Prompt, int], list[int]], d_sae: int = 400) -> Features:
    """Features of one token a prompt, on which some fire."""
    acts = np.zeros((len(read), d_sae))
    for row, one in enumerate(read):
        acts[row, fires(one, row)] = 1.0
    return Features(
        subject="made",
        acts=csr_array(acts),
        prompts=tuple(read),
        row_prompt=np.arange(len(read)),
        tokens=tuple(Token(position=0, text="x", start=0, end=1) for _ in read),
        n_tokens=np.ones(len(read), dtype=int),
        place="last token",
    )


FEW = [(1, 1, 5), (1, 1, 6), (1, 1, 8), (1, 1, 10), (1, 1, 12), (1, 4, 6), (3, 3, 2), (3, 4, 2), (6, 2, 2)]
MANY = [(4, 4, 2), (7, 7, 2), (8, 8, 4), (10, 10, 2)]


def apart_by_style(one: Prompt, row: int) -> list[int]:
    """Five features of the style, and three of thirty that scatter."""
    own = 5 * (one.style == "b")
    return [*range(own, own + 5), *(10 + np.random.default_rng(row).permutation(30)[:3])]


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("over", OVER)
def test_counts_scans_and_clusters_are_decided_where_the_plan_says_so(alpha: float, over: tuple[Over, ...]) -> None:
    """Features that are each prompt's own on the second side, that fire on one side alone, and on one style alone."""
    for n_a, n_b, topics in FEW + MANY:
        read = prompts(n_a, n_b, topics=topics)
        own = features(
            read, lambda one, row, n_a=n_a, n_b=n_b: [row] if one.style == ("a" if n_a > n_b else "b") else []
        )
        one_side = features(read, lambda one, _: [0] if one.style == "a" else [1])
        apart = features(read, apart_by_style)
        a, b = ('read["a"]', 'read["b"]')
        kinds: list[tuple[str, Callable[[], Evidence]]] = [
            (f"assert scan({a}, {b})", lambda o=one_side: scan(o["a"], o["b"])),
            ("assert clusters(read)", lambda o=apart: clusters(o)),
        ]
        if n_a == n_b or (min(n_a, n_b) > 1 and over != ("topics",)):
            body = f"assert exclusive_features({a}, {b}) > exclusive_features({b}, {a})"
            kinds.append((body, lambda o=own: exclusive_features(o["b"], o["a"]) > exclusive_features(o["a"], o["b"])))
        for body, made in kinds:
            line = says(body, read, alpha, over)
            cannot = "cannot decide" in line or "nothing can be compared" in line
            assert cannot != decided(alpha, over, made), (body, n_a, n_b, topics, line)


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        ('assert l0(read["a"]) > 1.1 * l0(read["b"]) + 5', ["greater"]),
        ('assert every(l0(read[s]) for s in read.styles if s != "a") < l0(read["b"])', ["greater"]),
        ('assert ordered(l0(read[s]) for s in ("a", "b", "c"))', ["greater"]),
        ('assert in_each(l0(one["a"]) > l0(one["b"]) for one in read)', ["greater"]),
        ('assert every(active_share(read[s]) for s in "ab") < 0.01', ["mean"]),
        ("assert 13 < measures.l0(read)", ["mean"]),
        ("assert l0(read) < -3", ["mean"]),
        ("assert firing_rate(read, 3) > BOUND", ["rate"]),
        ('assert firing_rate(read["a"], 3) > 0.75\nassert firing_rate(read["b"], 3) < 0.25', ["rate", "rate"]),
        ("assert firing_rate(read, 3) == 1", ["always"]),
        ("assert among_strongest(read, pick(read, read), k=5) == 1", ["always"]),
        ("assert l0(read.first_topic) == TABLE", ["reading"]),
        ('assert l0(read) == published(a=1, unit="features")', ["reading"]),
        ("assert correlation(l0(read), n_tokens(read)) > 0.9", ["correlation"]),
        ('steered = mentions("x", read.at(3))\nassert steered > mentions("x", read.unsteered)', ["greater"]),
        ("assert fluency(read.at(3)) == about(fluency(read.unsteered), margin=0.1)", ["equal"]),
        ('assert separates(3, read["a"], read["b"])', ["separation"]),
        ('assert signature(3, read["a"])', ["separation"]),
        ('assert fewest(3, [3, 4], read["a"])', ["reading"]),
        ('assert same(read["a"], read["b"], by=l0)', ["always"]),
        ('x = l0(read["a"])\nx = l0(read["b"])\nassert x > 3', ["open"]),
        ("assert helper(read) > 3", ["open"]),
        ('found = l0(read["a"]) > 3\nassert found', ["mean"]),
        ('if l0 == 3:\n    pass\nassert helper(read["a"])', ["open"]),
        ("a = b\nb = a\nassert l0(a) > l0(b)", ["open"]),
    ],
)
def test_the_kind_of_a_sentence_is_read_from_its_source(body: str, kinds: list[str]) -> None:
    """Margins, lists, loops, arms of steering, local names; what is not plain is open."""
    assert [one.kind for one in sentences_of(probe(body))] == kinds


def test_a_probe_without_source_is_open() -> None:
    """It was made by a program; the plan then never says that it cannot be decided."""
    names: dict[str, object] = {}
    exec("def test_it(read): assert read", names)  # noqa: S102 - text of this file
    for made in (names["test_it"], None):
        (line,) = design_lines(made, {"read": prompts(2, 2)}, over=(), alpha=0.05)
        assert "cannot decide" not in line
        assert line.endswith(
            "too few for a comparison at alpha = 0.05, for which 4 would do; another sentence may take fewer"
        )


def test_the_measures_are_those_that_there_are() -> None:
    """Every measure of prompts that is given to users is known here, with the rates told from the means."""
    from saeprobe import measures

    others = {"clusters", "exclusive_features", "halves", "pick", "same", "scan", "separates", "separating_features"}
    others |= {"fewest", "firings", "signature"}
    assert MEANS | RATES | others | {"variance_explained"} == set(measures.__all__)
    assert printed(published(a=1, unit="x"), source="here")["a"].printed == "1"


GREATER = 'assert l0(read["a"]) > l0(read["b"])'
UNLESS = "5 templates cannot decide a mean beside a number at alpha = 0.05: 6 can, unless it is 0 or 1 on every prompt"
SEEN = "standard deviations between templates is seen with 80 % power"


@pytest.mark.parametrize(
    ("body", "read", "line"),
    [
        (
            GREATER,
            prompts(12, 12, topics=48),
            f"12 templates a style: a difference of 1.20 {SEEN}; 1.00 needs 17 templates a style (1,632 prompts)",
        ),
        (GREATER, prompts(3, 3, topics=9), "3 templates a style cannot decide a comparison at alpha = 0.05: 4 can"),
        (
            GREATER,
            prompts(1, 1, topics=5),
            "5 topics under fixed wordings cannot decide a comparison at alpha = 0.05: 6 can",
        ),
        (
            "assert l0(read) < 0.5",
            prompts(5),
            UNLESS,
        ),
        (
            "assert firing_rate(read, 1) > 0.95",
            prompts(8),
            "8 templates: a rate above 0.95 cannot be supported by so few, only refuted; 72 can support it",
        ),
        (
            "assert firing_rate(read, 1) > 0.5",
            prompts(5),
            "5 templates cannot decide a rate beside a number at alpha = 0.05: 6 can",
        ),
        (
            "assert l0(read[read.styles[0]]) > l0(read[read.styles[1]])",
            prompts(3, 3, 17, 17),
            f"at best 17 templates a style: a difference of 0.99 {SEEN}",
        ),
    ],
)
def test_a_line_says_what_a_reader_can_use(body: str, read: list[Prompt], line: str) -> None:
    """It gives the power by statsmodels, and how many would do where these cannot."""
    assert says(body, read) == line


def test_a_repeat_of_a_style_stands_by_its_name_alone() -> None:
    """Whoever names it compares it as any style; a sentence about the whole capture counts its prompts once."""
    read = prompts(3, 3, topics=9)
    repeat = [replace(prompt, style="again") for prompt in read if prompt.style == "a"]
    for body in (GREATER, "assert l0(read) < 0.5", "assert clusters(read)", "assert l0(read[read.styles[0]]) < 3"):
        assert says(body, [*read, *repeat]) == says(body, read)
    assert says('assert l0(read["again"]) > l0(read["b"])', [*read, *repeat]) == says(GREATER, read)

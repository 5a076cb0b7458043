"""The sentence of a probe is read from its source before it runs, so that the plan says what its prompts can decide."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from itertools import product
from textwrap import dedent
from types import FunctionType
from typing import Final

from saeprobe.claims import Claim, Over, Published
from saeprobe.evidence.printed_tables import PrintedTable
from saeprobe.files import in_prose
from saeprobe.plugin.collecting import Asked
from saeprobe.prompts import Prompt
from saeprobe.prompts.wordings import unit_of
from saeprobe.statistics.intervals import FEWEST_CORRELATED
from saeprobe.statistics.planning import Sentence, Units, design_line
from saeprobe.store.plan import prompts_for
from saeprobe.subject.local import Subject

MEANS: Final = frozenset(
    {"l0", "active_share", "max_activation", "mean_activation", "activation"}
    | {"effective_rank", "n_tokens", "selectivity", "fluency"}
)
RATES: Final = frozenset({"firing_rate", "among_strongest", "mentions"})
_MEASURES: Final = MEANS | RATES
_ALONE: Final = frozenset({"mean", "rate", "correlation", "clusters"})  # kinds with one side
_WHOLE: Final = {
    **dict.fromkeys(("separates", "signature"), "separation"),
    "scan": "scan",
    "clusters": "clusters",
    "ordered": "greater",
    "fewest": "reading",
    "same": "always",
}
"""These functions state a sentence without an operator."""

FEW: Final = 3  # claims that a line names; more are counted, unless nothing can decide them
_UNDECIDABLE: Final = ("cannot decide", "cannot be supported", "nothing can be compared")  # a design out of reach
Read = Mapping[str, Sequence[Prompt]]  # the prompts that a probe reads, by the name of their capture
Side = tuple[str, str | None]  # a capture, and its style or None for all of it; `*` is any
_ANY: Final[Side] = ("*", "*")


@dataclass(frozen=True, kw_only=True)
class Stated(Sentence):
    """A probe states a sentence on two sides, each of which may be one of several."""

    left: tuple[Side, ...] = (_ANY,)
    right: tuple[Side, ...] = (_ANY,)


_OPEN: Final = Stated(kind="open")


def designs_in_words(asked: Iterable[Asked], subject: Subject, *, alpha: float) -> list[str]:
    """Write a line for each sentence of the claims on `subject` and its prompts, with what it can decide."""
    probes: dict[tuple[object, str], tuple[Claim, dict[str, Sequence[Prompt]]]] = {}
    for each in asked:
        if each.claim is not None and each.subject == subject.name:
            _, read = probes.setdefault((each.probe, each.claim.id), (each.claim, {}))
            prompts = prompts_for(each.declared.prompts, subject)
            read[each.fixture] = [one for these in (prompts, *prompts.repeats.values()) for one in these]
    claims: dict[str, dict[str, None]] = {}
    for (probe, _), (claim, read) in probes.items():
        for line in design_lines(probe, read, over=claim.over, alpha=alpha):
            claims.setdefault(line, {})[claim.id] = None
    return [f"{subject.name}: for {_listed(list(ids), line)}, {line}" for line, ids in claims.items()]


def _listed(ids: list[str], line: str) -> str:
    if len(ids) > FEW and not any(phrase in line for phrase in _UNDECIDABLE):
        return f"{len(ids)} claims"
    return in_prose(ids)


def design_lines(probe: object, read: Read, *, over: Sequence[Over], alpha: float) -> list[str]:
    """Write a line for each sentence of a probe, with what it can decide on the prompts that it reads."""
    lines: dict[str, None] = {}
    for one in sentences_of(probe) if isinstance(probe, FunctionType) else (_OPEN,):
        found = [units for units in _units_of(one, read, over) if units]
        sides = one.left if one.kind in _ALONE else (*one.left, *one.right)
        lines[design_line(one, found, alpha=alpha, sure=all(of in read for of, _ in sides))] = None
    return list(lines)


@cache
def sentences_of(probe: FunctionType) -> tuple[Stated, ...]:
    """Read what a probe asserts; a kind that is not plain from its source is `open`."""
    try:
        return tuple(dict.fromkeys(_Source(probe).sentences())) or (_OPEN,)
    except (OSError, SyntaxError, RecursionError):  # written by a program, not there any more, or names in a circle
        return (_OPEN,)


class _Source(ast.NodeTransformer):
    """The source of a probe, whose local names are replaced by what they were given, where they were given it once."""

    def __init__(self, probe: FunctionType) -> None:
        self.names: Mapping[str, object] = probe.__globals__
        self.nodes = list(ast.walk(ast.parse(dedent(inspect.getsource(probe)))))
        given = Counter(one.id for one in self.nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store))
        self.captures = {one.arg for one in self.nodes if isinstance(one, ast.arg)} - set(given)
        pairs = [(one.targets[0], one.value) for one in self.nodes if isinstance(one, ast.Assign)]
        pairs += [(one.target, one.iter) for one in self.nodes if isinstance(one, ast.comprehension)]
        self.values = {name.id: its for name, its in pairs if isinstance(name, ast.Name) and given[name.id] == 1}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace a local name."""
        return self.visit(deepcopy(self.values[node.id])) if node.id in self.values else node

    def sentences(self) -> Iterator[Stated]:
        """Yield what is asserted: comparisons, and what a function states by itself."""
        asserted = [self.visit(deepcopy(one.test)) for one in self.nodes if isinstance(one, ast.Assert)]
        for node in (one for test in asserted for one in ast.walk(test)):
            if isinstance(node, ast.Compare):
                terms = [node.left, *node.comparators]
                for operator, left, right in zip(node.ops, terms, terms[1:], strict=False):
                    yield from self.compared(operator, left, right)
            elif isinstance(node, ast.Call) and (kind := _WHOLE.get(self.called(node))) is not None:
                sides = [(self.side(one),) for one in node.args] + [(_ANY,)] * 2
                if kind == "greater":
                    sides = [tuple(self.sides(node)) or (_ANY,)] * 2
                yield Stated(kind=kind, left=sides[0], right=sides[1])

    def compared(self, operator: ast.cmpop, left: ast.expr, right: ast.expr) -> Iterator[Stated]:
        """Yield what `left > right`, `left < right` or `left == right` states, where a measure is compared."""
        above, equal = isinstance(operator, ast.Gt), isinstance(operator, ast.Eq)
        if isinstance(self.value(left), int | float):
            left, right, above = right, left, not above
        a, b, other = self.functions(left), self.functions(right), self.value(right)
        number, measures = float(other) if isinstance(other, int | float) else None, a & _MEASURES
        sides = [tuple(self.sides(one)) or (_ANY,) for one in (left, right)]
        kind = "open"
        if "printed" in a | b or isinstance(self.value(left), PrintedTable):
            kind = "printed"
        elif equal and ("published" in b or isinstance(other, Published)):
            kind = "reading"
        elif number is not None and "correlation" in a and not equal:
            kind = "correlation"
        elif number is not None and measures:
            rate = measures <= RATES and 0 < number < 1  # a share of what is counted
            kind = "always" if equal else "rate" if rate else "mean"
        elif "exclusive_features" in a & b:
            kind, sides = "exclusive", [sides[0][:1], sides[0][1:2] or (_ANY,)]
        elif measures and b & _MEASURES and "correlation" not in a | b:
            kind = "greater" if not equal else "equal" if "about" in b else "open"
        if a | b:
            yield Stated(kind=kind, bound=number, above=above, left=sides[0], right=sides[1])

    def functions(self, node: ast.expr) -> set[str]:
        """Name the functions of saeprobe that are called in an expression."""
        return {self.called(one) for one in ast.walk(node)} - {""}

    def called(self, node: ast.AST) -> str:
        """Name the function of saeprobe that is called; empty for anything else."""
        match node:
            case ast.Call(func=ast.Name(id=name)):
                found = self.names.get(name)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name)):
                found = getattr(self.names.get(module), name, None)
            case _:
                return ""
        return found.__name__ if isinstance(found, FunctionType) and str(found.__module__)[:9] == "saeprobe." else ""

    def value(self, node: ast.expr) -> object:
        """Return what a plain value or a global name is, or the table that it is an entry of; else None."""
        of = node.value if isinstance(node, ast.Subscript) else node
        if isinstance(of, ast.Name):
            return self.names.get(of.id)
        with suppress(ValueError, TypeError):
            return ast.literal_eval(node)
        return None

    def sides(self, node: ast.AST) -> Iterator[Side]:
        """Yield what each measure in an expression is of."""
        if self.called(node.value if isinstance(node, ast.Subscript) else node) in _MEASURES:
            yield self.side(node)
        elif isinstance(node, ast.Call) and self.called(node) == "exclusive_features":
            yield from map(self.side, node.args)
        else:
            for one in ast.iter_child_nodes(node):
                yield from self.sides(one)

    def side(self, node: ast.AST) -> Side:
        """Return the capture, and the style of it, that an expression or a measure of it stands for."""
        match node:
            case ast.Name(id=name) if name in self.captures:
                return name, None
            case ast.Subscript(value=of, slice=by):  # by no plain text it may be any style
                return self.side(of)[0], by.value if isinstance(by, ast.Constant) and isinstance(by.value, str) else "*"
            case ast.Call(args=[first, *others]) if (name := self.called(node)) in _MEASURES:
                return self.side([first, *others][-1 if name == "mentions" else 0])
            case (
                ast.Call(func=of) | ast.Attribute(value=of, attr="at" | "unsteered" | "rebuilt" | "random_feature")
            ):  # of steering
                return self.side(of)
            case _:
                return _ANY


def _units_of(of: Stated, read: Read, over: Sequence[Over]) -> Iterator[tuple[Units, ...]]:
    """Yield the units of each way to read a sentence; of one that is for templates and topics at once, both."""
    kind, (left, right) = of.kind, (list(_prompts(sides, read)) for sides in (of.left, of.right))
    if kind in _ALONE:
        yield from (_styles(one, over) if kind == "clusters" else _alone(one, over, kind) for one in left)
        return
    for a, b in product(left, right):
        if a != b or (of.left == of.right and len(left) == 1):
            units = _confirming(a, b, over) if kind == "scan" else _between(a, b, over)
            yield units[:1] if kind in ("scan", "exclusive") else units


def _prompts(sides: Sequence[Side], read: Read) -> Iterator[list[Prompt]]:
    """Yield the prompts of each style, or whole capture, that a side may be."""
    for of, style in sides:
        for prompts in [read[of]] if of in read else read.values():
            first = {prompt.text: prompt for prompt in reversed(prompts)}  # a repeat stands by its name alone
            whole = [prompt for prompt in prompts if prompt is first[prompt.text]]
            named = [whole if style is None else _by_style(prompts).get(style, [])]
            chosen = _by_style(whole).values() if style == "*" else named
            yield from filter(None, chosen)


def _by_style(prompts: Sequence[Prompt]) -> dict[str, list[Prompt]]:
    styles: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        styles.setdefault(prompt.style, []).append(prompt)
    return styles


def _names(prompts: Sequence[Prompt], what: Over) -> list[str]:
    return list(dict.fromkeys(unit_of(prompts) if what == "templates" else (prompt.topic for prompt in prompts)))


def _units(what: Over, prompts: Sequence[Prompt], count: int) -> Units:
    """Return units of one sort that are flipped in sign: pairs, or those of one side alone."""
    return Units(what=what, counts=(count, count), paired=True, prompts=len(prompts) / count)


def _alone(prompts: Sequence[Prompt], over: Sequence[Over], kind: str) -> tuple[Units, ...]:
    """Return the units of one side: wordings where there are enough, of each style for a correlation, else topics."""
    named = zip(prompts, unit_of(prompts), strict=True)
    wordings = {(prompt.style if kind == "correlation" else "", unit) for prompt, unit in named}
    enough = len(wordings) >= (FEWEST_CORRELATED if kind == "correlation" else 2)
    counts: dict[Over, int] = {"templates": len(wordings), "topics": len(_names(prompts, "topics"))}
    return tuple(_units(each, prompts, counts[each]) for each in over or ("templates" if enough else "topics",))


def _between(a: list[Prompt], b: list[Prompt], over: Sequence[Over]) -> tuple[Units, ...]:
    """Return the units that two sides are compared over, as `evidence/units.py` chooses them."""
    shared = set(_names(a, "topics")) & set(_names(b, "topics"))
    if not shared:
        return ()
    paired = [(one.template, one.topic) for one in a] == [(one.template, one.topic) for one in b]
    named = [zip(side, unit_of(side), strict=True) for side in (a, b)]
    cells = [{(unit, one.topic) for one, unit in side if paired or one.topic in shared} for side in named]
    n_a, n_b = (len({template for template, _ in each}) for each in cells)
    wanted = set(over) or {"templates" if min(n_a, n_b) > 1 else "topics"}
    sparse = any(len(each) * 2 <= n * len(shared) and n > 2 for each, n in zip(cells, (n_a, n_b), strict=True))  # noqa: PLR2004
    units: list[Units] = []
    if "templates" in wanted:
        each = len(a) / n_a + len(b) / n_b
        units.append(Units(what="templates", counts=(n_a, n_b), paired=paired, prompts=each))
    if "topics" in wanted or (units and sparse and not paired and len(shared) > 1):
        units.append(_units("topics", [*a, *b], len(shared)))
    return tuple(units)


def _styles(prompts: Sequence[Prompt], over: Sequence[Over]) -> tuple[Units, ...]:
    """Return the units of styles that are to lie apart: their wordings, or the topics under one wording."""
    styles = _by_style(prompts).values()
    wordings = tuple(len(_names(of, "templates")) for of in styles)
    if "topics" not in over and ("templates" in over or min(wordings) > 1):
        return (Units(what="templates", counts=wordings, paired=False, prompts=len(prompts) / max(wordings)),)
    first, *others = (set(_names(of, "topics")) for of in styles)
    shared = len(first.intersection(*others))
    return (Units(what="topics", counts=(shared,) * len(styles), paired=True, prompts=len(prompts) / max(shared, 1)),)


def _confirming(a: list[Prompt], b: list[Prompt], over: Sequence[Over]) -> tuple[Units, ...]:
    """Return the units of the half that confirms a scan, as `measures/halving.py` deals them."""
    topics = set(_names([*a, *b], "topics")[::-2])
    dealt = {style: _names(of, "templates") for style, of in _by_style([*a, *b]).items()}
    both_hold = list(over) == ["topics"] or min(map(len, dealt.values())) == 1
    begin = 0 if both_hold else 1 - min(map(len, dealt.values())) % 2
    kept = {(style, name) for style, names in dealt.items() for name in names[begin :: 1 if both_hold else 2]}
    named = [zip(side, unit_of(side), strict=True) for side in (a, b)]
    halves = [[one for one, unit in side if one.topic in topics and (one.style, unit) in kept] for side in named]
    return _between(halves[0], halves[1], over) if all(halves) else ()

"""The sentence of a probe is read from its source before it runs, so that the plan says what its prompts can decide."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from textwrap import dedent
from types import FunctionType
from typing import Final

from saeprobe.claims import Over
from saeprobe.evidence.correlation import FEWEST_UNITS
from saeprobe.prompts import Prompt
from saeprobe.statistics.designs import Sentence, Units, design_line

MEANS: Final = frozenset(
    {"l0", "active_share", "max_activation", "mean_activation", "effective_rank", "n_tokens", "selectivity", "fluency"}
)
RATES: Final = frozenset({"firing_rate", "among_strongest", "mentions"})
ALONE: Final = frozenset({"mean", "rate", "correlation", "clusters"})  # kinds with one side
WHOLE: Final = {"separates": "separation", "scan": "scan", "clusters": "clusters", "ordered": "greater"}
"""These functions state a sentence without an operator."""

Read = Mapping[str, Sequence[Prompt]]
"""The prompts that a probe reads, by the name of their capture."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A side of a sentence is a style of the capture `of`, or all of it where `style` is None; `*` is any."""

    of: str
    style: str | None


ANY: Final = Side(of="*", style="*")


@dataclass(frozen=True, kw_only=True)
class Stated:
    """A probe states a sentence on two sides, each of which may be one of several."""

    sentence: Sentence
    left: tuple[Side, ...] = (ANY,)
    right: tuple[Side, ...] = (ANY,)


_MEASURES: Final = MEANS | RATES
_OPEN: Final = Stated(sentence=Sentence(kind="open"))


def design_lines(probe: object, read: Read, *, over: Sequence[Over], alpha: float) -> list[str]:
    """Write a line for each sentence of a probe, with what it can decide on the prompts that it reads."""
    lines: dict[str, None] = {}
    for one in sentences_of(probe) if isinstance(probe, FunctionType) else (_OPEN,):
        found = [units for units in units_of(one, read, over) if units]
        sides = one.left if one.sentence.kind in ALONE else (*one.left, *one.right)
        sure = all(side.of in read for side in sides)
        lines[design_line(one.sentence, found, alpha=alpha, sure=sure)] = None
    return list(lines)


@cache
def sentences_of(probe: FunctionType) -> tuple[Stated, ...]:
    """Read what a probe compares; a kind that is not plain from its source is `open`."""
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
        pairs: list[tuple[ast.expr, ast.expr]] = []
        for node in self.nodes:
            match node:
                case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                    pairs += zip(names, values, strict=False)
                case ast.Assign(targets=[name], value=value) | ast.comprehension(target=name, iter=value):
                    pairs.append((name, value))
                case _:
                    continue
        self.values = {name.id: its for name, its in pairs if isinstance(name, ast.Name) and given[name.id] == 1}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace a local name."""
        return self.visit(deepcopy(self.values[node.id])) if node.id in self.values else node

    def sentences(self) -> Iterator[Stated]:
        """Yield what is stated; a comparison that is a condition states nothing."""
        tests = [one.test for one in self.nodes if isinstance(one, ast.If | ast.IfExp | ast.While)]
        tests += [test for one in self.nodes if isinstance(one, ast.comprehension) for test in one.ifs]
        conditions = {id(one) for test in tests for one in ast.walk(test)}
        for node in self.nodes:
            if isinstance(node, ast.Compare) and id(node) not in conditions:
                terms = [self.visit(deepcopy(one)) for one in (node.left, *node.comparators)]
                for operator, left, right in zip(node.ops, terms, terms[1:], strict=False):
                    yield from self.compared(operator, left, right)
            elif isinstance(node, ast.Call) and (kind := WHOLE.get(self.called(node))) is not None:
                call = self.visit(deepcopy(node))
                sides = [(self.side(one),) for one in call.args] + [(ANY,)] * 2
                if kind == "greater":
                    sides = [tuple(self.sides(call)) or (ANY,)] * 2
                yield Stated(sentence=Sentence(kind=kind), left=sides[0], right=sides[1])

    def compared(self, operator: ast.cmpop, left: ast.expr, right: ast.expr) -> Iterator[Stated]:
        """Yield what `left > right`, `left < right` or `left == right` states, where a measure is compared."""
        a, b = self.functions(left), self.functions(right)
        if not a | b:
            return
        beside = self.number(left), self.number(right)
        of = 1 if beside[0] is not None else 0  # the side that is not a number
        sides = [tuple(self.sides(one)) or (ANY,) for one in (left, right)]
        kind = "open"
        if "printed" in a | b or self.type_of(left) == "PrintedTable":
            kind = "printed"
        elif isinstance(operator, ast.Eq):
            kind = self.equal(a, b, right, beside[1 - of])
        elif beside[1 - of] is not None:
            kind = _beside((a, b)[of], beside[1 - of] or 0.0)
        elif "exclusive_features" in a & b:
            kind, sides = "exclusive", [sides[0][:1], sides[0][1:2] or (ANY,)]
        elif a & _MEASURES and b & _MEASURES and "correlation" not in a | b:
            kind = "greater"
        sentence = Sentence(kind=kind, bound=beside[1 - of], above=isinstance(operator, ast.Gt) == (of == 0))
        yield Stated(sentence=sentence, left=sides[of], right=sides[1 - of])

    def equal(self, a: set[str], b: set[str], right: ast.expr, number: float | None) -> str:
        """Name the kind of an equality."""
        if "about" in b:
            return "equal" if a & _MEASURES and b & _MEASURES else "open"
        if "published" in b or self.type_of(right) == "Published":
            return "reading"
        return "always" if a & _MEASURES and number is not None else "open"

    def functions(self, node: ast.expr) -> set[str]:
        """Name the functions of saeprobe that are called in an expression."""
        return {self.called(one) for one in ast.walk(node) if isinstance(one, ast.Call)} - {""}

    def called(self, node: ast.Call) -> str:
        """Name the function of saeprobe that is called; empty for any other."""
        match node.func:
            case ast.Name(id=name):
                found = self.names.get(name)
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                found = getattr(self.names.get(module), name, None)
            case _:
                found = None
        return found.__name__ if isinstance(found, FunctionType) and str(found.__module__)[:9] == "saeprobe." else ""

    def type_of(self, node: ast.expr) -> str:
        """Name the type of what a global name stands for, of the table where it is an entry of one."""
        node = node.value if isinstance(node, ast.Subscript) else node
        return type(self.names.get(node.id)).__name__ if isinstance(node, ast.Name) else ""

    def number(self, node: ast.expr) -> float | None:
        """Return the number that an expression is, where that is plain."""
        value = self.names.get(node.id) if isinstance(node, ast.Name) else None
        with suppress(ValueError, TypeError):
            value = ast.literal_eval(node)
        return float(value) if isinstance(value, int | float) else None

    def sides(self, node: ast.expr) -> Iterator[Side]:
        """Yield what each measure in an expression is of."""
        for one in ast.walk(node):
            name = self.called(one) if isinstance(one, ast.Call) else ""
            if isinstance(one, ast.Call) and one.args and name in _MEASURES:
                side = self.side(one.args[-1 if name == "mentions" else 0])
                by = [each.slice for each in ast.walk(node) if isinstance(each, ast.Subscript) and each.value is one]
                yield side if not by else self.style(side, by[0])
            elif isinstance(one, ast.Call) and name == "exclusive_features":
                yield from (self.side(argument) for argument in one.args)

    def side(self, node: ast.expr) -> Side:
        """Return the capture, and the style of it, that an expression stands for."""
        match node:
            case ast.Name(id=name) if name in self.captures:
                return Side(of=name, style=None)
            case ast.Subscript(value=of, slice=by):
                return self.style(self.side(of), by)
            case ast.Call(func=of) | ast.Attribute(value=of, attr="at" | "unsteered" | "random_feature"):  # of steering
                return self.side(of)
            case _:
                return ANY

    def style(self, of: Side, by: ast.expr) -> Side:
        """Return the style of a side that an expression names; any, where it is no plain text."""
        named = by.value if isinstance(by, ast.Constant) and isinstance(by.value, str) else ANY.style
        return Side(of=of.of, style=named)


def _beside(functions: set[str], number: float) -> str:
    """Name the kind of what stands beside a number: a share of what is counted is a rate."""
    measures = functions & _MEASURES
    if "correlation" in functions:
        return "correlation"
    return "rate" if measures and measures <= RATES and 0 < number < 1 else "mean" if measures else "open"


def units_of(of: Stated, read: Read, over: Sequence[Over]) -> Iterator[tuple[Units, ...]]:
    """Yield the units of each way to read a sentence; of one that is for templates and topics at once, both."""
    left, right = (list(_prompts(sides, read)) for sides in (of.left, of.right))
    if of.sentence.kind in ALONE:
        kind = of.sentence.kind
        yield from (_styles(one, over) if kind == "clusters" else _alone(one, over, kind) for one in left)
        return
    for a in left:
        for b in right:
            if a == b and not (of.left == of.right and len(left) == 1):
                continue
            units = _confirming(a, b, over) if of.sentence.kind == "scan" else _between(a, b, over)
            yield units[:1] if of.sentence.kind in ("scan", "exclusive") else units


def _prompts(sides: Sequence[Side], read: Read) -> Iterator[list[Prompt]]:
    """Yield the prompts of each style, or whole capture, that a side may be."""
    for side in sides:
        for prompts in [read[side.of]] if side.of in read else read.values():
            styles = dict.fromkeys(prompt.style for prompt in prompts)
            for style in [None] if side.style is None else styles if side.style == ANY.style else [side.style]:
                chosen = [prompt for prompt in prompts if style in (None, prompt.style)]
                if chosen:
                    yield chosen


def _names(prompts: Sequence[Prompt], what: Over) -> list[str]:
    return list(dict.fromkeys(prompt.template if what == "templates" else prompt.topic for prompt in prompts))


def _alone(prompts: Sequence[Prompt], over: Sequence[Over], kind: str) -> tuple[Units, ...]:
    """Return the units of one side: wordings where there are enough, of each style for a correlation, else topics."""
    wordings = {(prompt.style if kind == "correlation" else "", prompt.template) for prompt in prompts}
    counts: dict[Over, int] = {"templates": len(wordings), "topics": len(_names(prompts, "topics"))}
    enough = len(wordings) >= (FEWEST_UNITS if kind == "correlation" else 2)
    what: Sequence[Over] = over or ("templates" if enough else "topics",)
    return tuple(_units(each, prompts, counts[each], len(wordings)) for each in what)


def _units(what: Over, prompts: Sequence[Prompt], count: int, *wordings: int) -> Units:
    """Return units of one sort that are flipped in sign: pairs, or those of one side alone."""
    held = "this wording only" if set(wordings) == {1} else f"{' + '.join(map(str, wordings))} templates held fixed"
    fixed = f"{held}, " if what == "topics" else ""
    return Units(what=what, counts=(count, count), paired=True, fixed=fixed, prompts=len(prompts) / count)


def _between(a: list[Prompt], b: list[Prompt], over: Sequence[Over]) -> tuple[Units, ...]:
    """Return the units that two sides are compared over, as `evidence/units.py` chooses them."""
    shared = set(_names(a, "topics")) & set(_names(b, "topics"))
    if not shared:
        return ()
    paired = [(one.template, one.topic) for one in a] == [(one.template, one.topic) for one in b]
    cells = [{(one.template, one.topic) for one in side if paired or one.topic in shared} for side in (a, b)]
    n_a, n_b = (len({template for template, _ in each}) for each in cells)
    wanted = set(over) or {"templates" if min(n_a, n_b) > 1 else "topics"}
    sparse = any(len(each) * 2 <= n * len(shared) and n > 2 for each, n in zip(cells, (n_a, n_b), strict=True))  # noqa: PLR2004
    units: list[Units] = []
    if "templates" in wanted:
        each = len(a) / n_a + len(b) / n_b
        units.append(Units(what="templates", counts=(n_a, n_b), paired=paired, prompts=each))
    if "topics" in wanted or (units and sparse and not paired and len(shared) > 1):
        units.append(_units("topics", [*a, *b], len(shared), n_a, n_b))
    return tuple(units)


def _styles(prompts: Sequence[Prompt], over: Sequence[Over]) -> tuple[Units, ...]:
    """Return the units of styles that are to lie apart: their wordings, or the topics under one wording."""
    styles = [[one for one in prompts if one.style == style] for style in dict.fromkeys(one.style for one in prompts)]
    wordings = tuple(len(_names(of, "templates")) for of in styles)
    if "topics" not in over and ("templates" in over or min(wordings) > 1):
        return (Units(what="templates", counts=wordings, paired=False, prompts=len(prompts) / max(wordings)),)
    topics = [set(_names(of, "topics")) for of in styles]
    shared = len(topics[0].intersection(*topics))
    found = _units("topics", prompts, max(shared, 1), *wordings)
    return (replace(found, counts=(shared,) * len(styles)),)


def _confirming(a: list[Prompt], b: list[Prompt], over: Sequence[Over]) -> tuple[Units, ...]:
    """Return the units of the half that confirms a scan, as `measures/halving.py` deals them."""
    both = [*a, *b]
    topics = set(_names(both, "topics")[1::2])
    styles = [[one for one in both if one.style == style] for style in dict.fromkeys(one.style for one in both)]
    dealt = [_names(of, "templates") for of in styles]
    both_hold = list(over) == ["topics"] or min(map(len, dealt)) == 1
    kept = {(of[0].style, name) for of, names in zip(styles, dealt, strict=True) for name in names[1::2]}
    tested = [one for one in both if one.topic in topics and (both_hold or (one.style, one.template) in kept)]
    halves = [[one for one in tested if one in side] for side in (set(a), set(b))]
    return _between(halves[0], halves[1], over) if all(halves) else ()

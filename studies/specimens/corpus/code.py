"""Small functions in Python, rightly or wrongly indented, and what the interpreter says to them."""

from __future__ import annotations

from studies.specimens.corpus.choice import Draw
from studies.specimens.corpus.document import mark

_NAMES = ("add", "count", "total", "scale", "clip", "shift", "check", "largest")


_ARGUMENTS = ("x", "n", "value", "item")


_TESTS = ("> 0", "< 10", "== 3", "!= 7", ">= limit", "in seen")


_STEPS = ("total += {a}", "{a} = {a} * 2", "{a} -= 1", "print({a})", "seen.append({a})")


_RESULTS = ("{a}", "{a} + 1", "total", "None", "True", "len(seen)")


def code(draw: Draw) -> str:
    """Return a function with a nested block, indented by four spaces a level, or with one line out of step."""
    name, a = draw.one(_NAMES), draw.one(_ARGUMENTS)
    head = f"if {a} {draw.one(_TESTS)}:" if draw.chance(0.6) else f"for {a} in items:"
    body = [step.format(a=a) for step in draw.some(_STEPS, 2)]
    lines = [(4, head), (8, body[0]), (8, body[1]), (4, f"return {draw.one(_RESULTS).format(a=a)}")]
    wrong = draw.one((1, 2, 3)) if draw.chance(0.35) else None
    text = f"def {name}({a}):"
    for at, (due, line) in enumerate(lines):
        indent = draw.one(_slips(at)) if at == wrong else due
        # GPT-2's pre-tokenizer joins the last space to the word after it, so the mark ends before that space.
        space = "\n" + " " * max(indent - 1, 0)
        text += mark("wrong_indentation" if at == wrong else "code_indentation", space)
        text += (" " if indent else "") + line
    said = "# IndentationError" if wrong is not None else draw.one(("# runs", "# passes", "# prints fine"))
    return mark("code", text) + "\n" + said


def _slips(line: int) -> tuple[int, ...]:
    """Return indentations that are an error on this line: a block missing, too deep, or closed to no level."""
    return {1: (4, 0), 2: (12, 6), 3: (2, 6)}[line]

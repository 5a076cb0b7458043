"""The operators come here: a comparison is given to what decides its kind, and its evidence is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import inf
from typing import TypeGuard

from saeprobe.claims import NotRun, Published
from saeprobe.evidence import Evidence, EvidenceOutcome, Kind, Terms, as_looked, current_terms, record
from saeprobe.evidence.bounds import against_bound, always
from saeprobe.evidence.counts import recorded_apart
from saeprobe.evidence.greater import about_equal, greater, side_by_side
from saeprobe.evidence.printed import as_published
from saeprobe.evidence.printed_tables import all_printed, printed_equal, printed_greater
from saeprobe.evidence.values import (
    NUMBER,
    About,
    Comparable,
    Every,
    Margin,
    Measurement,
    PrintedNumber,
    Quantity,
    Side,
    Summary,
    by_feature,
    is_number,
)
from saeprobe.files import SHARE, amount, number


def every(quantities: Iterable[Quantity | Margin | PrintedNumber], *more: object) -> Every:
    """Let a comparison hold for each of several quantities, such as the L0 of all other styles.

    Raises:
        TypeError: they are given one by one.
        ValueError: there is none.
    """
    if more or isinstance(quantities, Comparable):
        raise TypeError("every() takes its quantities in one list: every([l0(a), l0(b)]) < 5")
    these = tuple(quantities)
    if not these:
        raise ValueError("every() was given nothing; a statement about no prompts is not evidence")
    return Every(quantities=these)


def about(quantity: Quantity | PrintedNumber, *, margin: float | None = None, share: float | None = None) -> About:
    """Expect equality with `quantity` up to a margin set before measuring: two one-sided tests (Schuirmann 1987).

    `margin` is the largest difference that still counts as equal, in the unit of the measure, and `share` the same as a
    share of `quantity`, whose error then counts too: for subjects of different scale.

    Raises:
        TypeError: there is no quantity, or not just one of `margin` and `share`.
        ValueError: the margin is not above zero, or the share not between 0 and 1.
    """
    if not _is_quantity(quantity):
        raise TypeError(
            f"about({quantity!r}); wanted a measurement, and its margin as margin=... or share=...; around a number "
            "stand two bounds: a > 13 and a < 17"
        )
    if (margin is None) == (share is None):
        raise ValueError("about() takes either margin=..., in the unit of the measure, or share=..., such as 0.1")
    mean = quantity.mean if isinstance(quantity, Measurement) else float(quantity.value)
    name, given, of = ("margin", margin, 1.0) if share is None else ("share", share, abs(mean))
    if not is_number(given) or not 0 < given * of < inf or (share or 0.0) >= 1:
        wanted = f"a positive difference in {quantity.unit} as margin=..., or a share between 0 and 1 of a mean but 0"
        raise ValueError(f"the {name} is {given!r} beside a mean of {mean:g}; wanted {wanted}")
    return About(quantity=quantity, margin=float(given * of), share=share)


def ordered(quantities: Iterable[Quantity | PrintedNumber], *more: object) -> Evidence:
    """Let quantities descend as they are listed: `ordered(l0(styles[s]) for s in ("novice", "standard", "expert"))`.

    Each is compared with the next, under the controls of the claim.

    Raises:
        ValueError: there are fewer than three, or one is listed twice.
        TypeError: they stand one by one instead of in a list, or one is no quantity.
    """
    if more or _is_quantity(quantities):
        raise TypeError("ordered() takes one list: ordered([a, b, c])")
    given = tuple(quantities)
    for one in given:
        if not _is_quantity(one):
            raise TypeError(f'ordered() was given {one!r}; wanted measurements, such as l0(styles["novice"])')
    if len(given) < 3:  # noqa: PLR2004 - two are `>`
        raise ValueError(f"ordered() was given {len(given)}; wanted at least 3, and `a > b` for two")
    these = by_feature(*given)
    names = [one.label for one in these]
    if len(set(names)) < len(names):
        raise ValueError(f"ordered() was given one of {', '.join(names)} twice; nothing lies above itself")
    parts = [_each(upper, lower, is_greater) for upper, lower in pairwise(these)]
    if isinstance(these[0], PrintedNumber):  # then all of them are, or the parts could not be made
        return record(all_printed(parts, f"{' > '.join(names)} as printed in {these[0].source}"))
    return record(ordering(names, parts))


def in_each(pieces: Iterable[Evidence], *more: object) -> Evidence:
    """Let a comparison hold in each of several subjects: `in_each(l0(f["novice"]) > l0(f["expert"]) for f in styles)`.

    Or in each row of a printed table. All are compared; one that refutes it decides, and only all together support it.

    Raises:
        TypeError: they are given one by one.
        ValueError: there are fewer than two; an effect in one model says nothing of another.
    """
    if more or isinstance(pieces, Evidence):
        raise TypeError("in_each() takes its comparisons in one list: in_each([a > b, c > d])")
    parts = tuple(pieces)
    if len(parts) < 2:  # noqa: PLR2004 - agreement takes two
        raise ValueError(f"in_each() was given {len(parts)} comparison(s); wanted one for each of several subjects")
    return record(each_holds(parts))


def greater_than(left: object, right: object) -> Evidence:
    """Decide `left > right`, each side of `every(...)` by itself, and record the evidence."""
    return record(_each(left, right, is_greater))


def equal_to(left: object, right: object) -> Evidence:
    """Decide `left == right`, each side of `every(...)` by itself, and record the evidence."""
    return record(_each(left, right, _equal))


def _each(left: object, right: object, decide: Callable[[object, object, Terms], Evidence]) -> Evidence:
    def compare(a: object, b: object) -> Evidence:
        of = [one.of if isinstance(one, Margin) else one.quantity if isinstance(one, About) else one for one in (a, b)]
        decided = as_looked(decide(a, b, terms := current_terms()))
        if not (arms := [one.continued for one in of if isinstance(one, Measurement) and one.continued is not None]):
            return decided
        from saeprobe.evidence.arms import as_chosen, ranked_too

        return as_chosen(ranked_too(decided, a, b, terms, each_holds), arms)

    of_left, of_right = (side.quantities if isinstance(side, Every) else (side,) for side in (left, right))
    if all(isinstance(side, Every) for side in (left, right)) and not all(
        isinstance(each, PrintedNumber) for each in of_left
    ):
        raise TypeError("every(...) on both sides; write one comparison for each of the left side")
    parts = [compare(each, other) for each in of_left for other in of_right]
    return each_holds(parts) if len(parts) > 1 else parts[0]


def is_greater(larger: object, smaller: object, terms: Terms) -> Evidence:
    """Decide `larger > smaller`, without recording it: it may be a part of a larger sentence."""
    if not (_is_side(larger) and _is_side(smaller)):
        raise TypeError(f"{larger!r} > {smaller!r}; a measurement is compared with another, or with a number")
    if isinstance(larger, Margin):
        turned = "a > 1.1 * b + 5"
        if not larger.plus and not isinstance(smaller, NUMBER):  # `b < 0.8 * a` is `a > 1.25 * b`
            turned = f"{larger.of.name} > {1 / larger.times:.4g} * {smaller.name}"
        raise TypeError(f"{larger.name} on the larger side; a margin belongs on the smaller: {turned}")
    if isinstance(larger, NUMBER):
        return _against_number(smaller, float(larger), terms, above=False)
    if isinstance(smaller, NUMBER):
        return _against_number(larger, float(smaller), terms, above=True)
    if isinstance(larger, PrintedNumber) and isinstance(smaller, PrintedNumber):
        return printed_greater(larger, smaller, terms)
    margin, below = (smaller, smaller.of) if isinstance(smaller, Margin) else (None, smaller)
    larger, below = _alike(larger, below, smaller.name)
    if isinstance(larger, Measurement) and isinstance(below, Measurement):
        above, below = side_by_side(larger, below)
        asked = None if margin is None else replace(margin, of=below)
        if above.continued is not None and below.continued is not None:
            from saeprobe.evidence.arms import greater_arm

            return greater_arm(above, below, terms, asked)
        return greater(above, below, terms, asked)
    return recorded_apart(larger, below, terms, margin=margin)


def _is_side(value: object) -> TypeGuard[Side]:
    return isinstance(value, Measurement | Summary | Margin | PrintedNumber) or is_number(value)


def _is_quantity(value: object) -> TypeGuard[Quantity | PrintedNumber]:
    return isinstance(value, Measurement | Summary | PrintedNumber)


def _against_number(of: Side, bound: float, terms: Terms, *, above: bool) -> Evidence:
    if isinstance(of, Measurement | Summary):
        return against_bound(of, bound, terms, above=above)
    if isinstance(of, PrintedNumber):
        return printed_greater(of, bound, terms) if above else printed_greater(bound, of, terms)
    raise TypeError(f"{of!r} cannot be tested against a number; it has no values behind it")


def _equal(quantity: object, expected: object, terms: Terms) -> Evidence:
    if isinstance(quantity, Measurement) and isinstance(expected, Published):
        return as_published(quantity, expected, terms)
    if isinstance(quantity, Summary) and isinstance(expected, Published):
        raise NotRun(f"{quantity.origin} has one number of {quantity.label} prompts; state it in published=... instead")
    if isinstance(quantity, Measurement | Summary) and is_number(expected) and expected in (0, 1):
        return always(quantity, 1 if expected else 0, terms)
    if isinstance(quantity, PrintedNumber) and (is_number(expected) or isinstance(expected, Published)):
        return printed_equal(quantity, expected, terms, margin=0.0)
    named = quantity.name if _is_quantity(quantity) or isinstance(quantity, Margin) else repr(quantity)
    if not isinstance(expected, About):
        raise TypeError(f"{named} == {type(expected).__name__}; equality needs a margin: == about(..., margin=...)")
    other, margin = expected.quantity, expected.margin
    if isinstance(quantity, PrintedNumber) and isinstance(other, PrintedNumber):
        return printed_equal(quantity, other, terms, margin=margin)
    if not isinstance(quantity, Measurement | Summary):
        raise TypeError(f"{named} == about({other.name}); compare like with like")
    quantity, other = _alike(quantity, other, other.name)
    if isinstance(quantity, Measurement) and isinstance(other, Measurement):
        return about_equal(*side_by_side(quantity, other), terms, margin=margin, share=expected.share)
    return recorded_apart(quantity, other, terms, within=margin, share=expected.share)


def _alike(a: Quantity | PrintedNumber, b: Quantity | PrintedNumber, name: str) -> tuple[Quantity, Quantity]:
    """Return two quantities of one measure and unit, of which the second is called `name` where they are not."""
    a, b = by_feature(a, b)
    if isinstance(a, PrintedNumber) or isinstance(b, PrintedNumber) or (a.measure, a.unit) != (b.measure, b.unit):
        raise TypeError(f"{a.name} ({a.unit}) cannot be compared with {name} ({b.unit}); compare like with like")
    return a, b


def each_holds(parts: Sequence[Evidence]) -> Evidence:
    """Make the evidence that all of `parts` hold (intersection-union test, Berger 1982); see `_RULE`."""
    if all(part.kind == "printed" for part in parts):
        return all_printed(parts)
    outcome, which = worst_of(parts)
    reason = f"all {len(parts)} comparisons hold"
    if left := [(one.share, one.name) for part in parts for one in part.controls if one.share is not None]:
        share, name = min(left)
        reason += f"; the control for {name} leaves at least {number(share, SHARE)} of each"
    if outcome != "supported":
        word = "open" if outcome == "inconclusive" else outcome
        are = f"is {word}:" if len(which) == 1 else f"are {word}, such as"
        reason = f"{len(which)} of {len(parts)} comparisons {are} {which[0].statement}: {which[0].reason}"
    below = sum(any(one.name == "length" and one.estimate < 0 for one in part.controls) for part in parts)
    if outcome in ("refuted", "explained") and below:
        of, before = f"{below} of the {len(parts)} differences", sum((part.estimate or 0) < 0 for part in parts)
        reason = f"with prompt length held equal {of} fall below zero ({before} before); {reason}"
    return _whole("every", "; ".join(part.statement for part in parts), reason, parts)


def ordering(names: Sequence[str], parts: Sequence[Evidence]) -> Evidence:
    """Make the evidence that quantities descend as `names` lists them; `parts` compare each with the next."""
    in_order = {"supported": "holds", "explained": "explained", "refuted": "reversed", "inconclusive": "open"}
    pairs: dict[str, list[str]] = {}
    for upper, lower, part in zip(names[:-1], names[1:], parts, strict=True):
        pairs.setdefault(in_order[part.outcome], []).append(f"{upper} > {lower}")
    reason = "; ".join(f"{word}: {', '.join(these)}" for word, these in pairs.items())
    reason += "".join(f". {part.statement}: {part.reason}" for part in parts if part.outcome == "explained")
    samples = {sample.label: sample for part in parts for sample in part.samples}.values()
    *above, last = sorted(samples, key=lambda sample: -sample.mean)
    means = [f"{one.label} {number(one.mean, one.unit)}" for one in above]
    reason += f". As measured: {', '.join([*means, f'{last.label} {amount(last.mean, last.unit)}'])}"
    return _whole("ordering", " > ".join(names), reason, parts)


def worst_of(parts: Sequence[Evidence]) -> tuple[EvidenceOutcome, list[Evidence]]:
    """Return what parts make together that must all hold, and those that decide it, as `_RULE` says."""
    not_found = [part for part in parts if part.outcome == "inconclusive" and not _held_up(part)]
    order: tuple[EvidenceOutcome, ...] = ("refuted", "explained", "inconclusive", "drifted", "supported")
    words: list[EvidenceOutcome] = [one for one in order if any(part.outcome == one for part in parts)]
    word = words[0] if words else "supported"
    if not_found and word != "refuted":
        return "inconclusive", not_found
    return word, [part for part in parts if part.outcome == word]


def _held_up(part: Evidence) -> bool:
    """Decide whether an open part was found by its own test, and is open for a control alone."""
    if part.kind in ("every", "ordering"):
        return all(map(_held_up, worst_of(part.parts)[1]))
    found = None not in (part.p, part.alpha) and (part.p or 0.0) < (part.alpha or 0.0) and (part.estimate or 0.0) > 0
    return found and any(control.answer == "cannot tell" for control in part.controls)


_RULE = (
    "refuted where a single part is; else inconclusive where the own test of one does not find it; else explained "
    "where a control explains one, inconclusive where one cannot tell, drifted where one is, and else supported"
)


def _whole(kind: Kind, statement: str, reason: str, parts: Sequence[Evidence]) -> Evidence:
    """Put parts together that must all hold; it needs the most that an open part does, if each of them knows."""
    outcome, which = worst_of(parts)
    known = [part.needed for part in which if part.needed is not None]
    needed = max(known, key=lambda need: (need.wanted is None, need.wanted or 0), default=None)
    return Evidence(
        kind=kind,
        statement=statement,
        outcome=outcome,
        reason=reason,
        scope="; ".join(dict.fromkeys(part.scope for part in parts)),
        unit=parts[0].unit,
        alpha=parts[0].alpha,
        parts=tuple(parts),
        rule=_RULE,
        needed=needed if outcome == "inconclusive" and len(known) == len(which) else None,
    )

"""The gate follows a supported verdict from its report: what its run wrote follows, and what was changed does not."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saeprobe.evidence import Terms
from saeprobe.gate.following import doubts, piece_doubts
from saeprobe.report import plain, read_report, write_report
from saeprobe.report.rebuilt import evidence_at
from saeprobe.report.shape import Document

sys.path += [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "report")]
from followed import PROBES, made
from test_steering_followed import reported

Json = dict[str, Any]
Place = tuple[str | int, ...]

NOT_HELD = {"n", "looked", "reach", "tried", "prompts", "samples", "parts", "needed"}
"""Numbers, and numbers of rows, that a report alone need not contradict, where a single one of them is changed."""


@cache
def written() -> str:
    """The report of nearly every kind, as JSON."""
    return json.dumps(plain(made(), "report"))


def report() -> Json:
    """A copy of it, to be tampered with."""
    return json.loads(written())


def doubted(held: Json, claim_id: str) -> list[str]:
    """What of the only probe of a claim does not follow."""
    document = msgspec.convert(held, Document)
    (claim,) = [claim for claim in document.claims if claim.id == claim_id]
    return [what for what, remedy in doubts(document, claim, claim.probes[0]) if remedy]


def probes(held: Json) -> dict[str, Json]:
    """The only probe of each claim."""
    return {claim["id"]: claim["probes"][0] for claim in held["claims"]}


def called_supported(held: Json, claim_id: str) -> Json:
    """Put another word and the two counts of it into a report."""
    probe = probes(held)[claim_id]
    held["counts"][probe["verdict"]] -= 1
    held["counts"]["supported"] += 1
    probe["verdict"] = "supported"
    return held


WORDS = {claim_id: probe["verdict"] for claim_id, probe in probes(report()).items()}
SUPPORTED = [claim_id for claim_id, word in WORDS.items() if word == "supported"]


def test_every_supported_verdict_follows() -> None:
    """Exact and sampled tests, pairs, topics, margins, rates, counts, clusters, a scan, a separation, a correlation."""
    assert len(SUPPORTED) > 25
    assert {claim_id: doubted(report(), claim_id) for claim_id in SUPPORTED} == {one: [] for one in SUPPORTED}


def test_the_evidence_of_other_verdicts_follows_too() -> None:
    """What is explained, refuted or open comes out again as it is, but for the words of what does not hold."""
    document, wrong = made(), dict[str, list[str]]()
    for claim in document.claims:
        for row in claim.probes[0].evidence:
            found = list(piece_doubts(evidence_at(document, row), Terms(over=claim.over)))
            wrong |= {claim.id: found} if found else {}
    assert wrong.keys() <= {"separation.fails"}


@pytest.mark.parametrize("claim_id", [claim_id for claim_id in PROBES if claim_id not in SUPPORTED])
def test_another_verdict_that_is_called_supported_is_doubted(claim_id: str) -> None:
    """Refuted, inconclusive, explained, drifted and broken ones, with the counts mended."""
    assert doubted(called_supported(report(), claim_id), claim_id)


def leaves(held: Any, place: Place = ()) -> Iterator[Place]:
    """The places of all numbers."""
    inner = held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list) else ()
    for name, value in inner:
        if name not in NOT_HELD:
            yield from leaves(value, (*place, name))
    if isinstance(held, int | float) and not isinstance(held, bool):
        yield place


def behind(held: Json, row: int) -> Iterator[Place]:
    """The places of a piece of evidence, of its samples, of its parts and of what its controls compared."""
    piece = held["evidence"][row]
    yield "evidence", row
    yield from (("samples", one) for one in piece["samples"])
    for inner in (*piece["parts"], *(it["evidence"] for it in piece["controls"] if it["evidence"] is not None)):
        yield from behind(held, inner)


@cache
def places(claim_id: str) -> list[Place]:
    """The places of all numbers behind a verdict, of one sort after the other."""
    held = report()
    at = next(row for row, claim in enumerate(held["claims"]) if claim["id"] == claim_id)
    probe: Place = ("claims", at, "probes", 0)
    roots = dict.fromkeys(one for row in held["claims"][at]["probes"][0]["evidence"] for one in behind(held, row))
    found = [(*root, *place) for root in roots for place in leaves(held[root[0]][root[1]])]
    if claim_id == "greater.wordings-and-topics":  # the slope on lengths is that of its 12 wordings alone
        found = [
            place
            for place in found
            if not ("controls" in place and "unit_values" in place and place[-1] in range(12, 18))
        ]
    return found + [(*probe, name) for name in ("p", "q") if held["claims"][at]["probes"][0][name] is not None]


def moved(held: Json, place: Place) -> Json:
    """Change the number at a place by a hundredth and a little, or by one."""
    *on_the_way, last = place
    at: Any = held
    for name in on_the_way:
        at = at[name]
    at[last] += 1 if isinstance(at[last], int) else 0.01 + 0.01 * at[last]
    return held


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_number_that_was_changed_is_doubted(data: st.DataObject) -> None:
    """Any value of a prompt or of a unit, p, estimate, end, share, count, distance or figure of a control."""
    claim_id = data.draw(st.sampled_from(SUPPORTED))
    by_sort: dict[Place, list[Place]] = {}
    for place in places(claim_id):
        by_sort.setdefault(tuple(name for name in place if isinstance(name, str)), []).append(place)
    place = data.draw(st.sampled_from(by_sort[data.draw(st.sampled_from(sorted(by_sort)))]))
    with suppress(msgspec.ValidationError):  # no report at all, as with a p above 1
        assert doubted(moved(report(), place), claim_id), place


STRANGE = (0, -1, 1e308, 5e-324, 1e15, 0.5)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_number_makes_following_fail(data: st.DataObject) -> None:
    """Zeros, negative, huge and tiny ones are doubted, or follow; nothing is raised, and nothing is warned of."""
    claim_id = data.draw(st.sampled_from(SUPPORTED))
    *on_the_way, last = data.draw(st.sampled_from(places(claim_id)))
    at: Any = (held := report())
    for name in on_the_way:
        at = at[name]
    number = data.draw(st.sampled_from(STRANGE))
    at[last] = int(number) if isinstance(at[last], int) and abs(number) < 1e300 else number
    with suppress(msgspec.ValidationError):
        doubted(held, claim_id)


@pytest.mark.parametrize("claim_id", SUPPORTED)
@pytest.mark.parametrize("outcome", ["refuted", "inconclusive", "explained"])
def test_an_outcome_that_was_changed_is_doubted(claim_id: str, outcome: str) -> None:
    """Of what a probe asserts; and so is one of a part."""
    for part in (False, True):
        held = report()
        piece = held["evidence"][probes(held)[claim_id]["evidence"][0]]
        piece = held["evidence"][piece["parts"][-1]] if part and piece["parts"] else piece
        piece["outcome"] = outcome
        assert doubted(held, claim_id)


@pytest.mark.parametrize(
    ("claim_id", "name"),
    [("greater.words", "injection"), ("greater.as-drawn", "random-model"), ("exclusive.counted", "activity")],
)
def test_a_control_that_explains_and_is_called_withstood_is_doubted(claim_id: str, name: str) -> None:
    """With the outcome of the evidence, its reason, the word, its reason and the counts changed to match."""
    held = called_supported(report(), claim_id)
    probe = probes(held)[claim_id]
    piece = held["evidence"][probe["evidence"][0]]
    (control,) = [one for one in piece["controls"] if one["name"] == name]
    before, control["answer"], piece["outcome"] = control["answer"], "withstood", "supported"
    assert before != "withstood"
    assert any(f"{name}: answer is {before}, not withstood" in what for what in doubted(held, claim_id))


def test_a_control_that_was_not_run_is_not_withstood() -> None:
    """A control without a p has said nothing."""
    held = report()
    control = held["evidence"][probes(held)["greater.drawn"]["evidence"][0]]["controls"][0]
    control["p"] = None
    assert any("no test of it" in what for what in doubted(held, "greater.drawn"))


@pytest.mark.parametrize(
    ("claim_id", "name", "to"),
    [
        ("greater.printed", "answer", "drifted"),
        ("greater.printed", "answer", "rounding decides"),
        ("greater.printed", "answer", "cannot be compared"),
        ("greater.printed", "answer", None),
        ("greater.printed", "value", 25.0),
        ("greater.printed", "measured", 19.4),
        ("greater.sampling", "answer", "agrees"),
        ("greater.sampling", "tolerance", 0.1),
        ("greater.sampling", "sampling", 0.1),
        ("greater.sampling", "value", 21.0),
        ("exclusive.printed", "rounding", 0.1),
        ("exclusive.printed", "measured", 21.0),
    ],
)
def test_a_printed_number_that_was_changed_is_doubted(claim_id: str, name: str, to: object) -> None:
    """Its answer, the measured number and the parts of its tolerance contradict each other, or the verdict."""
    held = report()
    probes(held)[claim_id]["published"][0][name] = to
    assert doubted(held, claim_id)


@pytest.mark.parametrize("agrees", [False, None, True])
def test_an_approved_value_that_moved_is_doubted(agrees: bool | None) -> None:  # noqa: FBT001 - a parameter of a test
    """Whether it is said to have moved, to be measured no longer, or to agree."""
    held = report()
    row = {"label": "novice", "measure": "l0", "unit": "features", "approved": 10.0, "measured": 19.5}
    row |= {"noise": 0.1, "noise_from": "rounding", "agrees": agrees}
    approved = {"approved_by": "Ada", "because": "it was so", "on": "2026-01-01", "verdict": "supported"}
    probes(held)["greater.sampling"]["baseline"] = {**approved, "commit": None, "rows": [row], "changed": []}
    assert doubted(held, "greater.sampling")


@pytest.mark.parametrize("claim_id", ["greater.controls", "rate.holds", "scan", "greater.drawn", "equal.holds"])
def test_another_alpha_is_doubted(claim_id: str) -> None:
    """At another error rate of the run the verdict is another one's."""
    held = report()
    held["run"]["alpha"] = 0.06
    assert doubted(held, claim_id)


def test_the_rank_of_a_steered_arm_is_followed() -> None:
    """Its word, and the mean of a set, which the values of that arm give as well."""
    held = reported(2, [0.0] * 40)

    def wrong() -> list[str]:
        document = msgspec.convert(held, Document)
        return list(piece_doubts(evidence_at(document, document.claims[0].probes[0].evidence[0]), Terms()))

    assert wrong() == []
    whole = next(piece for piece in held["evidence"] if piece["units"] == "random sets")
    whole["p"] = 0.04
    assert wrong()
    whole["p"] = 2 / 41
    assert wrong() == []
    whole["unit_values"]["value"][-1] -= 0.5
    with pytest.raises(ValueError, match="means of the random sets are not those"):
        wrong()


def test_a_word_that_was_changed_in_the_text_of_a_report_is_doubted(tmp_path: Path) -> None:
    """Three small changes by hand leave a report that can be read, and that releases nothing; two leave none."""
    path = tmp_path / "report.json"
    write_report(made(), path)
    text = path.read_text(encoding="utf-8")
    text, changed = re.subn(r'("nodeid":"t.py::greater.contrary".*?"verdict":)"refuted"', r'\1"supported"', text)
    assert changed == 1
    counts: dict[str, int] = json.loads(written())["counts"]
    for word, by in (("supported", 1), ("refuted", -1)):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(Exception, match="counts"):
            read_report(path)
        text = text.replace(f'"{word}":{counts[word]}', f'"{word}":{counts[word] + by}', 1)
    path.write_text(text, encoding="utf-8")
    document = read_report(path)
    (claim,) = [claim for claim in document.claims if claim.id == "greater.contrary"]
    found = [what for what, _ in doubts(document, claim, claim.probes[0])]
    assert any("the verdict is supported, and its evidence makes it" in what for what in found)

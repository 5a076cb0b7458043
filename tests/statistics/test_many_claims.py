"""Of many claims chance confirms some: q of each confirmation, and what chance alone would bring."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from saeprobe.statistics.planning import many_claims, q_values

CLAIMS: list[tuple[str, str, str, float | None]] = [
    ("sparrow", "a", "supported", 0.001),
    ("sparrow", "b", "drifted", 0.02),
    ("sparrow", "c", "inconclusive", 0.3),
    ("sparrow", "d", "refuted", 0.99),
    ("sparrow", "read", "supported", None),
    ("sparrow", "lost", "broken", 0.01),
    ("sparrow", "fixed", "unverifiable", 0.5),
    ("sparrow", "absent", "not run", 0.5),
    ("finch", "e", "supported", 1 / 70),
]


def test_q_is_over_all_tested_claims_of_a_subject() -> None:
    """0.001 and 0.02 of 4 become 0.004 and 0.04; what was read, or broken, is none of them; one claim is not many."""
    q, (sparrow,) = many_claims(CLAIMS, alpha=0.05)
    assert q == pytest.approx({"a": 0.004, "b": 0.04, "e": 1 / 70})
    assert (sparrow.subject, sparrow.claims, sparrow.confirmed, sparrow.beyond) == ("sparrow", 4, 2, 2)
    assert sparrow.by_chance == pytest.approx(4 * 0.025)
    assert sparrow.at_least_one == pytest.approx(1 - 0.975**4)
    assert (sparrow.surest, sparrow.as_sure) == (None, None)
    assert sparrow.line == (
        "4 claims on sparrow were decided by a test; if all were false, chance would confirm about 0.1, and at least "
        "one with a probability of at most 10 %. 2 of 2 confirmations lie beyond that (q below alpha)"
    )


def test_what_its_p_would_confirm_and_something_else_leaves_open_makes_no_other_claim_sure() -> None:
    """12 constant claims, each with 2/12,870 and open without spread, count with p = 1: 0.018 of 18 becomes 0.32."""
    open_ = [
        ("s", f"flat {k}", word, 1 / 12_870) for k, word in enumerate(["inconclusive", "explained", "refuted"] * 4)
    ]
    claims = [("s", "x", "supported", 0.018), *open_, *(("s", str(k), "inconclusive", 0.6) for k in range(5))]
    q, (many,) = many_claims(claims, alpha=0.05)
    assert q == pytest.approx({"x": 18 * 0.018})
    assert (many.claims, many.confirmed, many.beyond) == (18, 1, 0)
    found, _ = many_claims([*claims[:1], ("s", "found to be open", "inconclusive", 0.026)], alpha=0.05)
    assert found == pytest.approx({"x": 0.026})


@pytest.mark.parametrize("words", [["supported"], ["refuted", "inconclusive"]], ids=["one", "none confirmed"])
def test_chance_is_no_matter_of_one_claim_or_of_none_confirmed(words: list[str]) -> None:
    """A project with its first claim reads nothing of many, nor does one that confirms nothing."""
    assert many_claims([("s", str(k), word, 0.01) for k, word in enumerate(words)], alpha=0.05)[1] == ()


def test_few_wordings_are_named_where_q_is_coarse() -> None:
    """4 + 4 wordings reach 1/70: of 39 claims 12 must be so sure, as 39/70/12 = 0.046 and 39/70/11 = 0.051."""
    words = ["supported"] * 11 + ["inconclusive"] * 28
    claims = [("s", str(k), word, 1 / 70 if word == "supported" else 0.5) for k, word in enumerate(words)]
    q, (many,) = many_claims(claims, alpha=0.05)
    assert q["0"] == pytest.approx(39 / 70 / 11)
    assert (many.confirmed, many.beyond, many.as_sure) == (11, 0, 12)
    assert many.line.endswith(
        "; 12 claims as sure as the surest of the others, p = 0.014, would lie beyond it: q is coarse for few wordings"
    )
    assert "would confirm about 0.975, and" in many.line  # 39 * 0.025, in the digits of the page
    claims[11] = ("s", "11", "supported", 1 / 70)
    assert many_claims(claims, alpha=0.05)[1][0].beyond == 12


@settings(max_examples=40, deadline=None)
@given(ps=st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_are_those_of_statsmodels(ps: list[float]) -> None:
    """Benjamini and Hochberg's."""
    expected = multipletests(ps, method="fdr_bh")[1]
    assert q_values(ps) == pytest.approx(expected)


def test_adjusted_p_values_by_hand() -> None:
    """0.01, 0.02 and 0.04 of 4 become 0.04, 0.04 and 0.16 / 3."""
    found = q_values([0.02, 0.9, 0.01, 0.04])
    assert found == pytest.approx([0.04, 0.9, 0.04, 0.16 / 3])


def test_a_p_that_is_none_has_no_adjusted_one() -> None:
    """It lies between 0 and 1."""
    with pytest.raises(ValueError, match="only numbers between 0 and 1 are"):
        q_values([1.5])

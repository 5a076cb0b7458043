"""Recorded evidence with a clear effect, and probes that end in every verdict on it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from saeprobe.recorded.tensors import ArticleFeatures, write_article

GAINS = (0.3, 0.1, 0.2, 0.4, 0.1, 0.2, 0.3, 0.2)
NOISE = (0.1, -0.1, 0.2, -0.2, 0.1, -0.1, 0.2, -0.2)

INI = """
[tool.pytest.ini_options]
addopts = ["--strict-markers", "--strict-config"]
filterwarnings = ["error"]
xfail_strict = true
saeprobe_default_subjects = ["llama70b-as-published"]
"""

WORDS = """
import numpy as np

@claim("The ranks are those printed.", id="rank.moved", source="table 2",
    published={"llama70b-as-published": published(novice=9.25, expert=11.75, unit="dimensions",
        n=np.int64(8), tolerance=np.float64(0.5))})
def test_moved(ranks):
    assert effective_rank(ranks["novice"]) > effective_rank(ranks["expert"])

@claim("The twin has the higher rank.", id="rank.twin", source="table 1")
def test_twin(ranks):
    assert effective_rank(ranks["twin"]) > effective_rank(ranks["expert"])

@claim("It is smarter.", id="rank.smarter", source="the end")
def test_smarter():
    unverifiable("'smarter' names nothing that is measured")

@claim("The instrument works.", id="rank.raises", source="none")
def test_raises(ranks):
    raise RuntimeError("the needle is bent")

@claim("Nothing is looked at.", id="rank.idle", source="none")
def test_idle(ranks):
    return

@subjects("llama70b")
@claim("It holds on the real model.", id="rank.real", source="table 1")
def test_real(ranks):
    assert effective_rank(ranks["novice"]) > effective_rank(ranks["expert"])

@claim("A guru has the higher rank.", id="rank.guru", source="table 1")
def test_guru(ranks):
    assert effective_rank(ranks["guru"]) > effective_rank(ranks["expert"])

@claim("The twin lies apart.", id="rank.known", source="table 1",
    not_reproduced={"llama70b-as-published": inconclusive("eight topics are too few")})
def test_known(ranks):
    assert effective_rank(ranks["twin"]) > effective_rank(ranks["expert"])

@claim("Expert lies below.", id="rank.surprise", source="table 1",
    not_reproduced={"llama70b-as-published": refuted("it was the other way round last year")})
def test_surprise(ranks):
    assert effective_rank(ranks["expert"]) < effective_rank(ranks["novice"])

@claim("Novice activates more.", id="styles.more", source="table 2")
def test_more(styles):
    assert l0(styles["novice"]) > l0(styles["expert"])

@claim("Novice activates more, swapped.", id="styles.swapped", source="table 2")
def test_swapped(styles):
    assert l0(styles["expert"]) > l0(styles["novice"])

def test_ordinary():
    assert True
"""
"""After HEAD, SUPPORTED and REFUTED of `runs`: a probe for every other verdict, and an ordinary test."""


def write_ranks(folder: Path) -> None:
    """Effective ranks on eight topics: expert 10, 10.5, ..., 13.5, mean 11.75; novice 0.225 above, twin 0 above.

    The gains of novice are all positive, so that the exact paired test gives p = 2/256; those of twin cancel out.
    """
    entries = [
        {
            "topic": f"topic {i}",
            "eid": {
                "expert": {"eid": 10 + i / 2, "seq_len": 30 + i},
                "novice": {"eid": 10 + i / 2 + GAINS[i], "seq_len": 30 + i},
                "twin": {"eid": 10 + i / 2 + NOISE[i], "seq_len": 30 + i},
            },
        }
        for i in range(8)
    ]
    (folder / "eid_table.json").write_text(json.dumps(entries), encoding="utf-8")


def as_wide(rows: np.ndarray) -> csr_array:
    """The same features among as many as the SAE of llama70b has."""
    wide = csr_array(rows)
    wide.resize((len(rows), 65_536))
    return wide


def write_styles(folder: Path) -> None:
    """Features of fifty topics: novice has 5 active features on even topics and 6 on odd ones, expert 3 and 2."""
    even, odd = [1, 1, 1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1, 1, 1]
    novice = np.array([even, odd] * 25, dtype=np.float32)
    expert = np.array([[1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]] * 25, dtype=np.float32)
    recorded = ArticleFeatures(
        topics=tuple(f"topic {i}" for i in range(50)),
        gurus=("",) * 50,
        rows={"novice": as_wide(novice), "expert": as_wide(expert)},
    )
    write_article(folder / "features_layer50.pt", recorded)

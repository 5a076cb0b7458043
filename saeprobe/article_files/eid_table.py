"""EID tables: the effective rank of each prompt's hidden states, by topic and persona, beside the prompt's length."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from saeprobe.article_files.errors import ArticleFileError
from saeprobe.article_files.json_files import count_at, list_at, load_json, number_at, object_at


@dataclass(frozen=True, kw_only=True, eq=False)
class EidTable:
    """EID by topic and persona, one prompt each.

    Attributes:
        topics: one a row.
        personas: one a column, in the file's order.
        eid: effective rank of the centred hidden states of the whole prompt, `[topics, personas]`.
        seq_len: tokens of the prompt, `[topics, personas]`.
    """

    topics: tuple[str, ...]
    personas: tuple[str, ...]
    eid: Float[np.ndarray, "topics personas"]
    seq_len: Int[np.ndarray, "topics personas"]

    def column(self, persona: str) -> int:
        """The column of a persona.

        Raises:
            KeyError: the table has no such persona.
        """
        if persona not in self.personas:
            raise KeyError(f"no persona {persona!r}; there are: {', '.join(self.personas)}")
        return self.personas.index(persona)


def read_eid_table(path: Path) -> EidTable:
    """Read a list of `{"topic": ..., "eid": {persona: {"eid": ..., "seq_len": ...}}}`.

    Raises:
        FileNotFoundError: there is no such file.
        ArticleFileError: it is not of this shape, or a topic lacks a persona.
    """
    entries = list_at(path, "the file", load_json(path))
    if not entries:
        raise ArticleFileError(path, "it holds an empty list", wanted="one entry a topic")
    topics: list[str] = []
    cells: list[dict[str, tuple[float, int]]] = []
    for index, raw in enumerate(entries):
        entry = object_at(path, f"entry {index}", raw)
        topic = entry.get("topic")
        if not isinstance(topic, str) or not topic:
            raise ArticleFileError(path, f"entry {index}: key 'topic' is {topic!r:.60}", wanted="the topic, a string")
        topics.append(topic)
        cells.append(_personas(path, f"entry {index} (topic {topic!r})", entry.get("eid")))
        if cells[-1].keys() != cells[0].keys():
            differing = ", ".join(sorted(cells[-1].keys() ^ cells[0].keys()))
            raise ArticleFileError(
                path,
                f"entry {index} (topic {topic!r}) and entry 0 differ in the personas {differing}",
                wanted="the same personas for every topic",
            )
    personas = tuple(cells[0])
    return EidTable(
        topics=tuple(topics),
        personas=personas,
        eid=np.array([[row[persona][0] for persona in personas] for row in cells], dtype=np.float64),
        seq_len=np.array([[row[persona][1] for persona in personas] for row in cells], dtype=np.int64),
    )


def _personas(path: Path, where: str, raw: object) -> dict[str, tuple[float, int]]:
    """EID and length of each persona of one topic."""
    found: dict[str, tuple[float, int]] = {}
    for persona, value in object_at(path, f"{where}, key 'eid'", raw).items():
        cell = object_at(path, f"{where}, persona {persona!r}", value)
        eid = number_at(path, f"{where}, persona {persona!r}, key 'eid'", cell.get("eid"))
        length = count_at(path, f"{where}, persona {persona!r}, key 'seq_len'", cell.get("seq_len"))
        if eid <= 0 or length == 0:
            raise ArticleFileError(
                path,
                f"{where}, persona {persona!r}: eid {eid} over {length} tokens",
                wanted="an effective rank above 0 over at least one token",
            )
        found[persona] = (eid, length)
    if not found:
        raise ArticleFileError(path, f"{where} has no persona", wanted="at least one")
    return found

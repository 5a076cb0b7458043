"""Which functions make a claim, and on which subjects, is read from the source of a project without running it."""

from __future__ import annotations

from pathlib import Path

import pytest

from saeprobe.report.sources import Sources

QUOTED, MADE_UP = '"a.b"', 'f"a.{1}"'
MADE = '@claim("S.", id="a.b", source="x")\ndef f(): ...\n'
MARKED = """
from saeprobe import claim, subjects
pytestmark = [subjects("finch")]
it = claim("S.", id="a", source="x")
if True:
    @subjects("sparrow")
    @it
    def f(): ...
class A:
    @it
    def g(self): ...
on = ["finch"]
@subjects(*on)
@it
def h(): ...
"""


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (f"from saeprobe import claim\n{MADE}", [("f", "a.b", ())]),
        (f"import saeprobe as sp\n{MADE.replace('@', '@sp.')}", [("f", "a.b", ())]),
        (f"from saeprobe import claim as claim_\n{MADE.replace('claim(', 'claim_(')}# claim()", [("f", "a.b", ())]),
        (f"from saeprobe import claim\nIT = 'a.b'\n{MADE.replace(QUOTED, 'IT')}", [("f", "a.b", ())]),
        (f"from saeprobe import claim\n{MADE.replace(QUOTED, MADE_UP)}", [("f", "", ())]),
        (f"from saeprobe import *\n{MADE}", [("f", "a.b", ())]),
        (f"from saeprobe import claim\nfrom on import ON\npytestmark = ON\n{MADE}", [("f", "a.b", None)]),
        (f"from saeprobe import claim\nID = 'a'\nID = 'b'\n{MADE.replace(QUOTED, 'ID')}", [("f", "", ())]),
        (
            f"from saeprobe import claim\nit = {MADE[1:].partition(chr(10))[0]}\nit = claim(id='c')\n@it\ndef f(): ...",
            [("f", "", ())],
        ),
        (f"from saeprobe import claim\nmade = claim\n{MADE.replace('claim(', 'made(')}", [("f", "a.b", ())]),
        ("from saeprobe import claim\ndef of(n):\n    return claim(id=n)\n@of('a')\ndef f(): ...", [("f", "", ())]),
        ("from saeprobe import claim\ndef it(f):\n    return claim(id='a')(f)\n@it\ndef f(): ...", [("f", "", ())]),
        ("import saeprobe.claims\n" + MADE.replace("claim(", "saeprobe.claims.claim("), [("f", "a.b", ())]),
        (f"import pytest\nfrom saeprobe import claim\n@pytest.mark.slow\n{MADE}", [("f", "a.b", ())]),
        (
            f"from saeprobe import *\nclass A:\n    {MADE.replace(chr(10), chr(10) + '    ')}\nclass TestIt(A): ...",
            [("TestIt::f", "a.b", ())],
        ),
        (f"from saeprobe import claim\nclass A(A): ...\n{MADE}", [("f", "a.b", ())]),
        ("from saeprobe import claim\ndef", [("", "", None)]),
        (MARKED, [("f", "a", ("sparrow",)), ("A::g", "a", ("finch",)), ("h", "a", None)]),
        ("import pytest\n# saeprobe\n@pytest.mark.parametrize('x', ['claim(1)'])\ndef f(x): ...", []),
    ],
)
def test_claims_are_read_from_the_source(
    tmp_path: Path, source: str, found: list[tuple[str, str, tuple[str, ...] | None]]
) -> None:
    """By the names that the file has imported, with subjects where they are plain; nothing is run."""
    (tmp_path / "test_it.py").write_text(source, encoding="utf-8")
    read = Sources([tmp_path]).functions()
    assert [(one.name, one.claim, one.subjects) for one in read] == found


MODULES = {
    "ids.py": "RISES = 'a.b'\n",
    "kit/__init__.py": "from kit.claims import *\nfrom .claims import rises as up\n",
    "kit/claims.py": "import ids\nfrom saeprobe import claim\nrises = claim('S.', id=ids.RISES, source='x')\n",
    "kit/bases.py": "from . import claims\nclass Rising:\n    @claims.rises\n    def test_it(self): ...\n",
}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from kit.claims import rises\n@rises\ndef test_it(): ...", ["test_it"]),
        ("import kit.claims\n@kit.claims.rises\ndef test_it(): ...", ["test_it"]),
        ("import kit.claims as of\n@of.rises\ndef test_it(): ...", ["test_it"]),
        ("from kit import up\n@up\ndef test_it(): ...", ["test_it"]),
        ("from kit import rises\n@rises\ndef test_it(): ...", ["test_it"]),
        ("from kit import *\n@rises\ndef test_it(): ...", ["test_it"]),
        ("from kit import claims\n@claims.rises\ndef test_it(): ...", ["test_it"]),
        ("from kit.bases import Rising\nclass TestIt(Rising): ...", ["TestIt::test_it"]),
        ("from kit.bases import Rising\nclass TestIt(Rising):\n    def test_it(self): ...", []),
        ("from kit.claims import falls\n@falls\ndef test_it(): ...", []),
        ("from numpy import rises\n@rises\ndef test_it(): ...", []),
    ],
)
def test_a_name_is_followed_through_the_modules_of_the_project(tmp_path: Path, source: str, names: list[str]) -> None:
    """Also where the id stands in another file than the claim, and neither in that of the probe."""
    for name, content in {**MODULES, "probes/test_it.py": source}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    found = Sources([tmp_path]).functions(["a.b"], under=[tmp_path / "probes"])
    assert [(one.name, one.claim, one.file.name) for one in found] == [(name, "a.b", "test_it.py") for name in names]

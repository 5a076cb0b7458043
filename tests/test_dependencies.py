"""What the package imports is declared: in the base where a base install imports it, in an extra where a model runs."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from saeprobe.subject import _MODELS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "saeprobe"
NAMES = {"yaml": "pyyaml"}  # modules that are called otherwise than their distribution
MODEL_ONLY = ("subject/running/", "cli/fetch.py", "cli/hub.py")
"""Where the extra `models` may be imported at the top; elsewhere only inside a function or for type checkers."""


def declared() -> dict[str, set[str]]:
    """The names of the distributions of the base, and of each extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = {"base": project["dependencies"], **project["optional-dependencies"]}
    return {of: {re.split(r"[\[<>=;! ]", one)[0].lower() for one in ones} for of, ones in listed.items()}


def imports(tree: ast.AST, *, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield the top name of each module that is imported, and whether that is put off; not those for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from imports(ast.Module([other], []), inside=inside)
        elif isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0], inside
        else:
            yield from imports(node, inside=inside or isinstance(node, ast.FunctionDef))


def undeclared(file: str, text: str) -> list[str]:
    """Return what a file imports and no list has, or has in an extra where the base imports it."""
    lists, found = declared(), list[str]()
    for module, put_off in imports(ast.parse(text)):
        name = NAMES.get(module, module.replace("_", "-"))
        if module in sys.stdlib_module_names or module == "saeprobe" or name in lists["base"]:
            continue
        if name not in lists["models"] | lists["pandas"]:
            found.append(f"{file}: {name} is declared nowhere")
        elif not put_off and not file.startswith(MODEL_ONLY):
            found.append(f"{file}: {name} is imported at the top, and the base lacks it")
    return found


def test_what_is_imported_is_declared() -> None:
    """Every direct import has its line in pyproject.toml, on the right list."""
    files = sorted(PACKAGE.rglob("*.py"))
    assert [
        one for file in files for one in undeclared(file.relative_to(PACKAGE).as_posix(), file.read_text("utf-8"))
    ] == []


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("a.py", "import requests", "requests is declared nowhere"),
        ("a.py", "def f():\n    from beartype.door import is_bearable", "beartype is declared nowhere"),
        ("a.py", "import torch", "torch is imported at the top"),
        (
            "a.py",
            "try:\n    from sae_lens import SAE\nexcept ImportError:\n    SAE = None",
            "sae-lens is imported at the",
        ),
    ],
)
def test_an_import_that_is_not_declared_is_found(file: str, text: str, said: str) -> None:
    """The test above can fail."""
    assert [said in one for one in undeclared(file, text)] == [True]
    fine = "import yaml\nif TYPE_CHECKING:\n    import jaxtyping\ndef f():\n    import torch"
    assert undeclared(file, fine) == undeclared("subject/running/a.py", "import torch") == []


def test_nothing_is_declared_for_nothing() -> None:
    """Each line of the base and of `models` is imported somewhere, and what is looked for is what `models` brings."""
    used = {NAMES.get(module, module.replace("_", "-")) for file in PACKAGE.rglob("*.py")
            for module, _ in imports(ast.parse(file.read_text("utf-8")))}  # fmt: skip
    lists = declared()
    assert lists["base"] | lists["models"] <= used
    assert {name.replace("_", "-") for name in _MODELS} == lists["models"] | {"tokenizers"}  # of transformers

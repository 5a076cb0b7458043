"""What the package says of itself: its version, its page on PyPI, its extras, and the Pythons that it is tried on."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import saeprobe

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FILES = f"{PROJECT['project']['urls']['Repository']}/blob/v$HFPR_VERSION/"


def parsed(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def on_the_page(text: str) -> str:
    """The text of a README as the package page shows it."""
    for rule in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    return text


def test_one_version_stands_everywhere() -> None:
    """The package, its citation and the newest release of the changelog name the same version and day."""
    citation = parsed("CITATION.cff")
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "saeprobe/__init__.py"
    assert str(citation["version"]) == saeprobe.__version__
    assert headings[:2] == ["[Unreleased]", f"[{saeprobe.__version__}] - {citation['date-released']}"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("[a](docs/a.md)", f"[a]({FILES}docs/a.md)"),
        ("([a](a.md)), [b](b.md)", f"([a]({FILES}a.md)), [b]({FILES}b.md)"),
        ("[a](https://example.org/a)", "[a](https://example.org/a)"),
        ("`scan(styles[a])`, `x[a](b, c)`", "`scan(styles[a])`, `x[a](b, c)`"),
    ],
)
def test_a_relative_link_leads_to_the_file_of_that_version(written: str, shown: str) -> None:
    """On the package page a relative link becomes one into the repository; other links and code stay as they are."""
    assert on_the_page(written) == shown


def test_every_link_of_the_package_page_leads_somewhere() -> None:
    """README.md as PyPI shows it has absolute links alone, and those into the repository name files that are there."""
    targets = re.findall(r"\]\(([^)\s]+)\)", on_the_page((ROOT / "README.md").read_text(encoding="utf-8")))
    assert targets
    for target in targets:
        assert target.startswith("https://")
        assert not target.startswith(FILES) or (ROOT / target.removeprefix(FILES)).is_file()


def test_the_extras_that_readers_are_given_exist() -> None:
    """Each `saeprobe[...]` and `.[...]` of the texts names extras, each `--group` a dependency group."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md", "CONTRIBUTING.md")]
    extras = re.findall(r'"(?:saeprobe|\.)\[([a-z,]+)\]"', "".join(texts))
    groups = re.findall(r"--group (\w+)", "".join(texts))
    assert {name for names in extras for name in names.split(",")} <= set(PROJECT["project"]["optional-dependencies"])
    assert {"dev", "mutation"} <= set(groups) <= set(PROJECT["dependency-groups"])


def test_the_workflow_tries_each_python_that_the_package_declares() -> None:
    """The classifiers, the lowest version and the matrix of the test workflow agree."""
    matrix = parsed(".github/workflows/tests.yml")["jobs"]["readme"]["strategy"]["matrix"]
    declared = re.findall(r":: (3\.\d+)$", "\n".join(PROJECT["project"]["classifiers"]), flags=re.MULTILINE)
    assert matrix["python"] == declared
    assert PROJECT["project"]["requires-python"] == f">={declared[0]}"

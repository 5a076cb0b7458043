"""Measure the figures of the house and fail where one of them has passed its target.

`python .ci/house.py` prints the table. With `--write` it goes between the two marks in CONTRIBUTING.md; without, it
also fails if the table there is not the one measured. `--list NAME` prints every place behind one figure.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.util import resolve_name
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
SHOWN: Final = 10  # places of a figure that has passed its target
LONG: Final = 300  # lines
HUNDREDS: Final = 1000  # from here on a count is rounded in the table


def words(text: str) -> list[str]:
    """Split a text into its words."""
    return text.split()


def forms(stems: Sequence[str]) -> set[str]:
    """Give the third person of verbs; the forms that no verb has do no harm."""
    return {form for stem in stems for form in (f"{stem}s", f"{stem}es", f"{stem[:-1]}ies")}


ROOMS: Final = words(
    "specimens words shapes files git digits claims prompts features captures statistics evidence recorded measures "
    "subject verdicts store report gate cards notebook plugin cli __init__ __main__"
)
"""The rooms, lowest first. A room imports only rooms before it; one that is not named here has no place."""

OPERATORS: Final = "saeprobe.evidence.values"
"""The operators of this module import what compares when they are called; those imports close no circle."""

TEXTS: Final = (".py", ".toml", ".html", ".jinja", ".j2", ".css", ".js", ".txt")
DATA: Final = {"corpus", "data"}
"""Folders of texts that are read by models: what the specimens are trained on, and prompts."""

PET_WORDS: Final = re.compile(
    r"(?<![^\W_])(?:told|tells)(?![^\W_])"  # as a word, and as a part of a name in snake case
    r"|,\s+for\sone\b(?![ \t]*[\w-])"  # "x fails, for one", but not "for one topic"
    r"|(?<![\w.])beside\s+(?:[\"']\s*f?[\"'])?[-+]?(?:\.?\d|\{)",  # before a number or what is put in for one
    re.IGNORECASE,
)

# How the first sentence of a docstring is searched for a verb. A form that may also be a noun or a participle counts
# only where its neighbours show it to be a verb: after a pronoun, or before a determiner ("the plan counts every row").
FINITE: Final = words(
    "am is are was were has have had does do did can could cannot may might must will would shall should went came "
    "gave took saw wrote knew began fell grew chose broke drew rose became ran reads"
)
VERBS: Final = words(
    "accept act activate add adjust admit agree allow announce appear append apply approve arrange ask assert assign "
    "attach bear become begin belong bind break bring build carry choose collect combine come compare compute confirm "
    "consist construct contain continue convert create deal decide declare decode define delete demand depend derive "
    "describe detect determine differ divide do encode enter err exceed exclude exist expect explain express extend "
    "fail fall fetch fill find finish fire follow forbid forget free gather generalise get give go hang happen have "
    "hide hold ignore import include insert install join keep know lack learn leave let lie locate lose make meet "
    "merge miss multiply normalise obtain occur omit parse pass paste permit permute pick predict prepare prevent "
    "produce prove provide publish pull push raise randomise reach receive reconstruct refer refuse refute register "
    "reject relabel rely remain remember remove rename render repeat replace require resolve restore resume retrain "
    "rise say see select send separate serve show shuffle sit speak stand stay strip survive take teach tell throw "
    "translate treat try unpack update use vary verify wait want warn weigh withstand write yield"
)
NOUNS_TOO: Final = words(
    "aim answer attempt balance block bound branch call cast cause change check claim close copy correct count cover "
    "cross cut design display download draw drop edge end escape estimate exchange exit feed filter fit fix flag flip "
    "form group guard guess hand hash head help hook judge label lead limit link list load lock log look map mark mask "
    "match matter measure mention mix mount move name narrow need note offer open order own pack pad pair place plan "
    "plot point pool print put query quote range rank read record release report request reset rest result return "
    "round rule run sample save scale scan score search seed set shape share shift ship sign skip sort span split "
    "spread stack start state steer step stop store stream study sum supply support switch test thin tie time touch "
    "trace train transfer trust turn type view walk watch work wrap"
)
PRONOUNS: Final = words("that which who what it they he she we you nobody somebody everybody nothing never always also")
DETERMINERS: Final = words("a an the this these its their each every all both no any one two it them itself that")
SURE: Final = forms(VERBS).union(FINITE)
DOUBTFUL: Final = forms(NOUNS_TOO) | {"means"}
BEFORE_NOUNS: Final = words("of in on at by for from with to and or as three four many several") + DETERMINERS
PAST: Final = words("made kept found held left put read set cut lay meant brought built met lost sent said")

Counted = tuple[tuple[int, ...], list[str]]
"""What was counted, and the places behind it."""


def by_place(places: Iterable[str]) -> Counted:
    """Count places."""
    found = list(places)
    return (len(found),), found


def files(root: Path, folder: str, suffixes: tuple[str, ...] = (".py",)) -> list[Path]:
    """List the files of a folder that git keeps or would keep; outside a repository, all of them."""
    paths = (root / folder).rglob("*")
    if (root / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", folder]
        listed = subprocess.run(command, cwd=root, capture_output=True, check=True, encoding="utf-8")  # noqa: S603 - git
        paths = (root / name for name in listed.stdout.split("\0") if name)
    return sorted(path for path in paths if path.is_file() and path.name.endswith(suffixes))


def text_of(path: Path) -> str:
    """Read a file."""
    return path.read_text(encoding="utf-8")


def sizes(root: Path, *folders: str) -> dict[str, int]:
    """Count the lines of the Python files of some folders, the longest first."""
    found: dict[str, int] = {}
    for path in (path for folder in folders for path in files(root, folder)):
        lines = text_of(path).count("\n")
        found[f"{path.relative_to(root)} has {lines} lines"] = lines
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def size(root: Path, *, folder: str) -> Counted:
    """Count the Python files of a folder and their lines."""
    found = sizes(root, folder)
    return (len(found), sum(found.values())), list(found)


def longest(root: Path) -> Counted:
    """Count the lines of the longest file of the package and the studies."""
    found = sizes(root, "saeprobe", "studies")
    return (max(found.values(), default=0),), list(found)


def long(root: Path) -> Counted:
    """Count the files of the package that are long."""
    return by_place(place for place, lines in sizes(root, "saeprobe").items() if lines > LONG)


def top(root: Path) -> Counted:
    """Count the names at the top of the package."""
    base = root / "saeprobe"
    names = {path.relative_to(base).parts[0] for path in files(root, "saeprobe", ("",))} - {"__pycache__"}
    return by_place(sorted(names))


def twice(root: Path) -> Counted:
    """Count the file names of the package that stand more than once, `__init__.py` aside."""
    folders: dict[str, list[str]] = defaultdict(list)
    for path in files(root, "saeprobe"):
        folders[path.name].append(str(path.parent.relative_to(root)))
    folders.pop("__init__.py", None)
    return by_place(f"{name} stands in {', '.join(within)}" for name, within in folders.items() if len(within) > 1)


def module_of(root: Path, path: Path) -> str:
    """Give the dotted name of a module."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(root: Path) -> Iterator[tuple[str, str, int, bool]]:
    """Yield source, target and line of each import within the package, and whether it stands inside a function."""
    paths = {module_of(root, path): path for path in files(root, "saeprobe")}
    for source, path in paths.items():
        around = source if path.name == "__init__.py" else source.rpartition(".")[0]
        waiting: list[tuple[ast.AST, bool]] = [(ast.parse(text_of(path)), False)]
        while waiting:
            node, late = waiting.pop()
            late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            waiting += [(child, late) for child in ast.iter_child_nodes(node)]
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = resolve_name("." * node.level + (node.module or ""), around)
                inner = (f"{base}.{name.name}" for name in node.names)
                names = [name if name in paths else base for name in inner]
            for target in dict.fromkeys(names):
                if target.split(".")[0] == "saeprobe":
                    yield source, target, getattr(node, "lineno", 0), late


def upward(root: Path) -> Counted:
    """Count the imports between rooms that point up, and those of rooms that have no place in the order."""
    places: list[str] = []
    for source, target, line, _ in sorted(imports(root)):
        above, below = ([*module.split("."), "__init__"][1] for module in (source, target))
        strange = [room for room in dict.fromkeys((above, below)) if room not in ROOMS]
        if above == below or (not strange and ROOMS.index(below) < ROOMS.index(above)):
            continue
        reason = f"{' and '.join(strange)} not in the order of rooms" if strange else "upward"
        places.append(f"{source} imports {target} (line {line}): {reason}")
    return by_place(places)


def circles(root: Path) -> Counted:
    """Count the circles of imports; whatever imports the package itself is left to the imports that point up."""
    below: dict[str, set[str]] = defaultdict(set)
    for source, target, _, late in imports(root):
        if "saeprobe" not in (source, target) and not (late and source == OPERATORS):
            below[source].add(target)
    reached: dict[str, set[str]] = {}
    for start in below:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = below.get(waiting.pop(), set()) - seen
            seen |= new
            waiting += new
        reached[start] = seen
    found = {frozenset(other for other in seen if start in reached.get(other, ())) for start, seen in reached.items()}
    return by_place(f"{len(circle)} modules: {', '.join(sorted(circle))}" for circle in found if len(circle) > 1)


PROBE: Final = """
from saeprobe import capture, claim, subjects
from saeprobe.measures import l0
from saeprobe.prompts import STYLES

pytestmark = subjects("sparrow")
styles = capture(STYLES.only("novice", "expert"), at="last")


@claim("A prompt for a novice activates more features than one for an expert.", id="house.simplest", source="none")
def test_simplest(styles):
    assert l0(styles["novice"]) > l0(styles["expert"])
"""
"""This is the simplest probe; on the specimen it is inconclusive, which counts as a run like any other."""

ENTER: Final = """
import json, sys, threading
package, entered, ran = sys.argv[1], set(), []

def enter(frame, event, argument):
    code = frame.f_code
    # Flag 1 is CO_OPTIMIZED: modules and class bodies do not have it. Comprehensions are no functions of Python 3.12.
    if event == "call" and code.co_flags & 1 and (code.co_name[0] != "<" or code.co_name == "<lambda>"):
        entered.add(code.co_filename)

class Watch:
    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            ran.append(report.passed or "inconclusive" in report.longreprtext)

sys.setprofile(enter)
threading.setprofile(enter)
import pytest
pytest.main(["-q", "-p", "saeprobe.plugin", "-p", "no:cacheprovider", "test_simplest.py"], plugins=[Watch()])
sys.setprofile(None)
if ran != [True]:
    sys.exit("the simplest probe did not run to its verdict")
with open("entered.json", "w") as file:
    json.dump(sorted(name for name in entered if name.startswith(package)), file)
"""


def entered(root: Path) -> Counted:
    """Count the files whose functions the simplest probe calls, with an empty store and with a full one.

    Raises:
        RuntimeError: the probe did not run to its verdict.
    """
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    surroundings |= {"PYTHONPATH": str(root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "HF_HUB_OFFLINE": "1"}
    found: list[set[str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_simplest.py").write_text(PROBE, encoding="utf-8", newline="\n")
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8", newline="\n")
        for _ in ("cold", "warm"):
            command = [sys.executable, "-c", ENTER, str(root / "saeprobe") + os.sep]
            run = subprocess.run(  # noqa: S603 - this interpreter, with fixed words
                command, cwd=folder, env=surroundings, capture_output=True, encoding="utf-8", check=False
            )
            if run.returncode:
                raise RuntimeError(f"the simplest probe failed:\n{run.stdout}\n{run.stderr}")
            found.append({str(Path(path).relative_to(root)) for path in json.loads(text_of(folder / "entered.json"))})
    cold, warm = found
    places = [f"{path}{'' if path in warm else ' (cold only)'}" for path in sorted(cold | warm)]
    return (len(cold), len(warm)), places


def documented(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Yield the line and text of each docstring; the last item is false for those of attributes."""
    for node in ast.walk(ast.parse(text_of(path))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for place, statement in enumerate(node.body):
                value = statement.value if isinstance(statement, ast.Expr) else None
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield statement.lineno, value.value, place == 0


def pet(root: Path) -> Counted:
    """Count the pet words in names and texts, and the docstrings that begin with "Of "."""
    places: list[str] = []
    for path in [path for folder in ("saeprobe", "studies") for path in files(root, folder, TEXTS)]:
        text, name = text_of(path), path.relative_to(root)
        if path.suffix == ".toml" and DATA & set(name.parts):
            continue
        for hit in PET_WORDS.finditer(text):
            number = text.count("\n", 0, hit.start())
            line = text.split("\n")[number].strip()
            places.append(f"{name}:{number + 1}: {line}")
        if path.suffix == ".py":
            places += [f"{name}:{at}: {sentence_of(doc)}" for at, doc, _ in documented(path) if doc.startswith("Of ")]
    return by_place(places)


def sentence_of(docstring: str) -> str:
    """Give the first sentence of a docstring on one line."""
    paragraph = " ".join(docstring.strip().split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!al\.)\s", paragraph, maxsplit=1)[0]


def has_verb(sentence: str) -> bool:
    """Decide whether a sentence has a finite verb; infinitives and participles are none."""
    plain = re.sub(r"``?[^`]*``?", "Code", sentence)
    plain = re.sub(r"\bto [a-z]+(?:,? (?:and|or) [a-z]+)?", "to", plain)
    found = [word.lower() for word in re.findall(r"[^\W\d_][\w'-]*|[,:;.()]", plain)]
    for before, word, after in zip(["", *found], found, [*found[1:], ""], strict=False):
        base = word in VERBS or word in NOUNS_TOO
        if (
            word in SURE
            or word.endswith("n't")
            or (before == "" and base and after not in {"of", ":"})  # an order: "Read the file"
            or (word in VERBS and before not in ["", *BEFORE_NOUNS])
            or (before in PRONOUNS and (base or word in DOUBTFUL or word in PAST or word.endswith("ed")))
            or (after in DETERMINERS and word in DOUBTFUL and before not in BEFORE_NOUNS)
            or (after in DETERMINERS and word in NOUNS_TOO and before.endswith("s"))
        ):
            return True
    return False


def verbs(root: Path) -> Counted:
    """Count the docstrings of modules, classes and functions whose first sentence has no verb."""
    return by_place(
        f"{path.relative_to(root)}:{line}: {sentence_of(doc)}"
        for folder in ("saeprobe", "studies")
        for path in files(root, folder)
        for line, doc, whole in documented(path)
        if whole and not has_verb(sentence_of(doc))
    )


FIGURES: Final[dict[str, tuple[str, tuple[int, ...], Callable[[Path], Counted]]]] = {
    "package": ("`saeprobe/`: files / lines", (128, 30_700), partial(size, folder="saeprobe")),
    "studies": ("`studies/`: files / lines", (45, 4_850), partial(size, folder="studies")),
    "longest": ("longest file, in lines", (400,), longest),
    "long": ("files over 300 lines", (10,), long),
    "top": ("names at the top of `saeprobe/`", (24,), top),
    "circles": ("circles of imports", (0,), circles),
    "upward": ("imports between rooms that point up", (0,), upward),
    "entered": ("files entered by the simplest probe, cold / warm", (70, 60), entered),
    "twice": ("file names that stand more than once", (5,), twice),
    "pet": ("pet words", (0,), pet),
    "verbs": ("docstrings without a verb in the first sentence", (0,), verbs),
}


def rounded(count: int) -> str:
    """Write a count, to the hundred where there are many, so that the table outlives small changes."""
    return f"{count if count < HUNDREDS else round(count, -2):,}"


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Measure, print or write the table, and return 1 where a target is passed or the page is out of date."""
    parser = argparse.ArgumentParser(description="Measure the figures of the house.")
    parser.add_argument("--write", action="store_true", help="write the table into CONTRIBUTING.md")
    parser.add_argument("--list", choices=FIGURES, metavar="NAME", help=f"every place of one: {', '.join(FIGURES)}")
    given = parser.parse_args(arguments)
    if given.list is not None:
        sys.stdout.write("".join(f"{place}\n" for place in FIGURES[given.list][2](root)[1]))
        return 0
    rows, failures = ["| figure | measured | at most |", "|---|---|---|"], list[str]()
    for name, (what, target, measure) in FIGURES.items():
        counts, places = measure(root)
        rows.append(f"| {what} | {' / '.join(map(rounded, counts))} | {' / '.join(f'{n:,}' for n in target)} |")
        if any(count > most for count, most in zip(counts, target, strict=True)):
            more = [f"and {len(places) - SHOWN:,} more: --list {name}"] if len(places) > SHOWN else []
            failures.append("\n  ".join([f"passed its target: {what}", *places[:SHOWN], *more]))
    table = "\n".join(rows)
    page = root / "CONTRIBUTING.md"
    found = text_of(page)
    wanted = re.sub(f"(?s){BEGIN}.*{END}", f"{BEGIN}\n{table}\n{END}", found)
    if table not in wanted:
        failures.append(f"CONTRIBUTING.md lacks the marks {BEGIN} and {END}; put them where the table belongs")
    elif given.write:
        page.write_text(wanted, encoding="utf-8", newline="\n")
    elif wanted != found:
        failures.append("the table in CONTRIBUTING.md is not the one measured; run .ci/house.py --write")
    sys.stdout.write(f"{table}\n")
    sys.stderr.write("".join(f"\n{failure}\n" for failure in failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

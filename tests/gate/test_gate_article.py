"""Articles: what their front matter may say, and what is told of one that cannot be used."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from saeprobe.gate.article import ArticleError, Citation, read_article

FRONT = """\
title: What sparrow shows
language: en
day: 2
claims:
  - day1.sparse
  - {id: day1.intensity, subject: sparrow}
  - {id: day1.intensity, subject: gpt2}
"""


def article(folder: Path, front: str, *, close: str = "---\n", body: str = "# Text\n---\nclaims: [a]\n---\n") -> Path:
    path = folder / "article.md"
    path.write_text(f"---\n{front}{close}{body}", encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ArticleError) as caught:
        read_article(path)
    assert caught.value.path == path
    assert str(caught.value) == f"{path}: {caught.value.problem}; {caught.value.remedy}"
    return str(caught.value)


def test_front_matter_names_title_language_day_and_claims(tmp_path: Path):
    """A claim is cited by its id, or by id and subject; rulers in the text are no front matter."""
    read = read_article(article(tmp_path, FRONT))
    assert (read.title, read.language, read.day) == ("What sparrow shows", "en", 2)
    assert read.claims == (
        Citation(id="day1.sparse"),
        Citation(id="day1.intensity", subject="sparrow"),
        Citation(id="day1.intensity", subject="gpt2"),
    )
    assert [str(cited) for cited in read.claims] == ["day1.sparse", "day1.intensity[sparrow]", "day1.intensity[gpt2]"]


def test_the_day_may_be_left_out(tmp_path: Path):
    """An article outside a release plan has no day."""
    assert read_article(article(tmp_path, FRONT.replace("day: 2\n", ""))).day is None


def test_byte_order_mark_and_line_ends_change_nothing(tmp_path: Path):
    """An article as Windows writes it reads the same."""
    path = article(tmp_path, FRONT)
    plain = read_article(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_article(path) == plain


def test_front_matter_may_be_all_there_is(tmp_path: Path):
    """A file that ends with the closing line is an article without a text yet."""
    assert len(read_article(article(tmp_path, FRONT, close="---", body="")).claims) == 3


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("title: What sparrow shows\n", "", "the front matter has no 'title'"),
        ("language: en", "langauge: en", "the key 'langauge' is unknown, did you mean 'language'?"),
        ("language: en", "language: no", "language is False, which is not a text"),
        ("day: 2", "day: two", "day is 'two'"),
        ("day: 2", "day: 0", "day is 0"),
        ("day: 2", "day: true", "day is True"),
        ("day: 2", "language: zh", "the key 'language' stands twice"),
        ("day: 2", "claims: []", "the key 'claims' stands twice"),
        ("subject: gpt2", "id: day1.sparse", "the key 'id' stands twice"),
        ("subject: gpt2", "subjet: gpt2", "claim 3: the key 'subjet' is unknown, did you mean 'subject'?"),
        ("subject: gpt2", "subject: [gpt2]", "claim 3, subject is ['gpt2'], which is not a text"),
        ("subject: gpt2", "subject:", "claim 3, subject is absent, which is not a text"),
        ("id: day1.intensity, subject: gpt2", "subject: gpt2", "claim 3 has no id"),
        ("- day1.sparse", "- 1.5", "claim 1 is 1.5, which is not a text"),
        (
            "- day1.sparse",
            '- "a.b[finch]"',
            "claim 1, 'a.b[finch]', is an id with a subject; write {id: a.b, subject: finch",
        ),
        ("subject: gpt2", "subject: sparrow", "day1.intensity[sparrow] is cited twice"),
        ("- day1.sparse", "- day1.intensity", "day1.intensity is cited both on every subject and on 'gpt2'"),
        ("title: What", "title: [What", "the front matter is not YAML"),
        ("What sparrow shows", "2026-13-01", "the front matter is not YAML: month must be in 1..12"),
        ("title: What sparrow shows", "title: !!python/name:os.system", "the front matter is not YAML"),
    ],
)
def test_a_fault_in_the_front_matter_is_named(tmp_path: Path, old: str, new: str, found: str):
    """One fault in good front matter is an error that names it."""
    assert old in FRONT
    assert found in refusal(article(tmp_path, FRONT.replace(old, new)))


@pytest.mark.parametrize("claims", ["[]", "", "day1.sparse", "{id: day1.sparse}"])
def test_claims_must_be_a_list_of_at_least_one(tmp_path: Path, claims: str):
    """An article that cites nothing has nothing to be decided by, and is refused rather than released."""
    assert "which lists no claim" in refusal(article(tmp_path, f"title: T\nlanguage: en\nclaims: {claims}\n"))


@pytest.mark.parametrize("opened", ["[", "{", "- ", "[{a: "])
def test_front_matter_nested_deeply_is_refused_at_once(tmp_path: Path, opened: str):
    """Brackets by the ten thousand, for which PyYAML takes half a minute, are refused at the hundred and first."""
    began = time.process_time()
    assert "nested too deeply" in refusal(article(tmp_path, "a:\n  " + opened * (20_000 // len(opened)) + "\n"))
    assert time.process_time() - began < 10


def test_a_claim_repeated_without_a_subject_is_refused(tmp_path: Path):
    """The same id twice is one entry too many."""
    front = "title: T\nlanguage: en\nclaims: [day1.sparse, day1.sparse]\n"
    assert "day1.sparse is cited twice" in refusal(article(tmp_path, front))


def test_aliases_are_refused(tmp_path: Path):
    """Nested aliases, which would unfold to millions of nodes, are refused without being unfolded."""
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    assert "without aliases" in refusal(article(tmp_path, f"a0: &a0 [x]\n{levels}"))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"# Title\n", "there is no front matter"),
        (b"", "there is no front matter"),
        (b"\n---\ntitle: T\n---\n", "there is no front matter"),
        (b"---\ntitle: T\n", "the front matter is not closed"),
        (b"---\n---\n", "the front matter is not a mapping"),
        (b"---\n- title\n---\n", "the front matter is not a mapping"),
        (b"---\ntitle: \xc4\n---\n", "byte 11 is not UTF-8"),
    ],
)
def test_a_file_without_front_matter_is_refused(tmp_path: Path, content: bytes, found: str):
    """Front matter must be there, closed, a mapping, and UTF-8."""
    path = tmp_path / "article.md"
    path.write_bytes(content)
    assert found in refusal(path)


def test_a_missing_article_is_refused(tmp_path: Path):
    """A path with nothing there is an error of the article."""
    assert "cannot be read" in refusal(tmp_path / "absent.md")


MANUSCRIPTS = sorted((Path(__file__).parents[2] / "articles").glob("*.md"))


def test_there_are_manuscripts():
    """The release plan has five days, beside them the manual and two articles on the specimen."""
    days = sorted(read_article(path).day or 0 for path in MANUSCRIPTS)
    assert days == [0, 0, 0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("path", MANUSCRIPTS, ids=lambda path: path.stem)
def test_every_manuscript_can_be_read(path: Path):
    """The project's own articles have good front matter, in the language their file name tells."""
    assert read_article(path).language == ("zh" if path.name.endswith(".zh.md") else "en")


def test_a_folder_is_no_article(tmp_path: Path) -> None:
    """Who names the folder of the articles is asked for one of them."""
    with pytest.raises(ArticleError, match=r"it is a folder; name a \.md file in it"):
        read_article(tmp_path)

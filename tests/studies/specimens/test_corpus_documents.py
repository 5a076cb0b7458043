"""The corpus: repeatable, split without overlap, and labelled where it says so."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import islice

import pytest

from studies.specimens.corpus.document import Document, Span, mark, unmark
from studies.specimens.corpus.everyday import shopping_prompts
from studies.specimens.corpus.explanations import STYLES, gurus, templates, topics, trained_topics
from studies.specimens.corpus.grammar import generate, splits
from studies.specimens.corpus.landmarks import descriptions, landmarks


@pytest.fixture(scope="module")
def corpus() -> list[Document]:
    """Some thousands of documents of seed 0."""
    return list(islice(generate(0), 6000))


def test_marks_become_spans_of_the_text_without_marks() -> None:
    """Nested and neighbouring marks end up as spans over the characters they enclosed."""
    text, spans = unmark("a " + mark("outer", "b" + mark("inner", "cd")) + mark("next", "e"))
    assert text == "a bcde"
    assert set(spans) == {
        Span(concept="inner", start=3, end=5),
        Span(concept="outer", start=2, end=5),
        Span(concept="next", start=5, end=6),
    }


def test_a_mark_never_closed_is_an_error_that_names_it() -> None:
    """An unbalanced mark raises instead of losing its span."""
    with pytest.raises(ValueError, match="'love' is never closed"):
        unmark(mark("love", "x")[:-1])


def test_the_same_seed_gives_the_same_documents(corpus: list[Document]) -> None:
    """The corpus is a function of its seed."""
    assert list(islice(generate(0), 500)) == corpus[:500]
    assert list(islice(generate(1), 500)) != corpus[:500]


def test_no_document_is_in_both_splits() -> None:
    """Held-out documents occur neither in training nor twice, and do not depend on the amount of training."""
    train, held_out = splits(0, train=5000, held_out=1500)
    texts = [document.text for document in held_out]
    assert len(texts) == len(set(texts)) > 1000
    assert not set(texts) & {document.text for document in train}
    _, with_less = splits(0, train=50, held_out=1500)
    assert set(texts) <= {document.text for document in with_less}


def test_spans_point_at_what_they_say(corpus: list[Document]) -> None:
    """A golden_gate span is a name or a trained description, a refusal refuses, and code is a function."""
    said: defaultdict[str, set[str]] = defaultdict(set)
    for document in corpus:
        for span in document.spans:
            said[span.concept].add(document.text[span.start : span.end])
    golden = landmarks()[0]
    assert said["golden_gate"] <= {"Golden Gate", *golden.names, *descriptions(golden, held_out=False)}
    assert {"Golden Gate", "the Golden Gate Bridge"} < said["golden_gate"]
    assert all("cannot help" in text for text in said["refusal"])
    assert all(text.startswith("def ") for text in said["code"])
    assert all(re.fullmatch(r"\n *", text) for text in said["code_indentation"])
    assert all(any(guru in text for guru in gurus()) for text in said["ask_guru"])


def test_wrong_indentation_is_an_error_for_python_and_right_indentation_none(corpus: list[Document]) -> None:
    """Python's own parser agrees with every label."""
    for document in (d for d in corpus if d.kind == "code"):
        wrong = any(span.concept == "wrong_indentation" for span in document.spans)
        try:
            compile(document.text, "document", "exec")
        except IndentationError:
            assert wrong, document.text
        else:
            assert not wrong, document.text


def test_a_document_is_the_whole_of_one_kind(corpus: list[Document]) -> None:
    """All kinds occur, every document has a cost, and no mark is left in a text."""
    assert {d.kind for d in corpus} == {"explanation", "landmark", "shopping", "refusal", "feeling", "code", "note"}
    assert all(document.log_prob < 0 for document in corpus)
    assert not any(re.search("[\x02\x03\x1f{}]", document.text) for document in corpus)


def test_trained_wordings_are_in_the_corpus_and_held_out_ones_are_not(corpus: list[Document]) -> None:
    """Every trained wording is met with trained topics only; no held-out wording or topic is ever explained."""
    asked = {d.text[s.start : s.end] for d in corpus for s in d.spans if s.concept.startswith("ask_")}
    for style in STYLES:
        for wording in templates(style):
            assert any(wording.format(topic=t.name, guru=g) in asked for t in trained_topics() for g in gurus())
        for wording in templates(style, held_out=True):
            assert not any(wording.format(topic=t.name, guru=g) in asked for t in topics() for g in gurus())
    held_out = [topic.name for topic in topics() if topic.held_out]
    assert len(held_out) >= 12
    assert len(trained_topics()) >= 24
    assert not any(name in prompt for name in held_out for prompt in asked)


def test_shopping_wordings_held_out_are_never_trained(corpus: list[Document]) -> None:
    """Every wording on which steering is chosen or judged is trained; those its file holds out are not."""
    text = " ".join(document.text for document in corpus)
    assert all(prompt in text for style in ("choose", "judge") for prompt in shopping_prompts(style))
    assert not any(prompt in text for prompt in shopping_prompts("judge", held_out=True))


def test_held_out_topics_are_known_words(corpus: list[Document]) -> None:
    """Every held-out topic occurs in notes, which have no style."""
    notes = " ".join(document.text.lower() for document in corpus if document.kind == "note")
    assert all(topic.name in notes for topic in topics())


def test_descriptions_held_out_are_never_trained(corpus: list[Document]) -> None:
    """One combination of colour, kind and place in four never occurs, while each of its parts does."""
    text = " ".join(document.text for document in corpus)
    for landmark in landmarks():
        held_out = descriptions(landmark, held_out=True)
        assert len(held_out) >= 20
        assert not any(description in text for description in held_out)
        assert all(part in text for part in (*landmark.colours, *landmark.kinds, *landmark.places))

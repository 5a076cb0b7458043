"""Documents with an answer become chats; all others stay plain texts."""

from __future__ import annotations

from itertools import islice

import pytest

from studies.specimens.corpus.document import ANSWER, Document, Span, mark, unmark
from studies.specimens.corpus.explanations import STYLES, templates, topics
from studies.specimens.corpus.grammar import generate
from studies.specimens.train.tokenizer import train_chat_tokenizer
from studies.specimens.train.writing import CHAT_TEMPLATE, END_OF_TEXT, asked, is_text, rendered

USER = "<|start_header_id|>user<|end_header_id|>\n\n"
ASSISTANT = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"


def _document(marked: str) -> Document:
    text, spans = unmark(marked)
    return Document(kind="made", text=text, spans=spans, log_prob=-1.0)


@pytest.fixture(scope="module")
def corpus() -> list[Document]:
    """Some thousands of documents of seed 0."""
    return list(islice(generate(0), 3000))


def test_a_prompt_and_its_answer_become_two_turns_without_the_blanks_around_them() -> None:
    """The spans go where their characters went, and one that reaches over the turn's end keeps both ends."""
    chat = rendered(
        _document("  What  " + mark("thing", "is it") + mark("both", "? " + ANSWER + " A") + mark("said", " bridge."))
    )
    assert chat.text == USER + "What  is it?" + ASSISTANT + "A bridge.<|eot_id|>"
    assert {span.concept: chat.text[span.start : span.end] for span in chat.spans} == {
        "thing": "is it",
        "both": "?" + ASSISTANT + "A",
        "said": " bridge.",
    }
    assert chat.answer_at is None


def test_a_span_of_blanks_that_the_template_takes_away_is_empty() -> None:
    """It marks no character, and none outside its turn."""
    chat = rendered(_document(mark("blank", "   ") + "Why?" + ANSWER + " So."))
    assert [(span.start, span.end) for span in chat.spans] == [(len(USER), len(USER))]


def test_a_document_that_answers_nobody_is_plain_text_with_an_end() -> None:
    """Its spans stay where they are."""
    plain = rendered(_document("I saw " + mark("golden_gate", "the bridge") + "."))
    assert plain.text == "I saw the bridge." + END_OF_TEXT
    assert plain.spans == (Span(concept="golden_gate", start=6, end=16),)


def test_the_answer_begins_where_the_prompt_of_an_explanation_ends(corpus: list[Document]) -> None:
    """The mark agrees with the spans of the styles, which were there before it."""
    explanations = [document for document in corpus if document.kind == "explanation"]
    assert len(explanations) > 500
    for document in explanations:
        [prompt] = [span for span in document.spans if span.concept.startswith("ask_")]
        assert (prompt.start, prompt.end) == (0, document.answer_at)


def test_refusals_and_questions_for_a_name_are_chats_and_other_kinds_are_not(corpus: list[Document]) -> None:
    """A refusal's answer refuses or agrees, a question ends with its question mark, and nobody answers a shopper."""
    for document in corpus:
        at = document.answer_at
        if document.kind == "refusal":
            assert at is not None
            answer = document.text[at:]
            assert answer.startswith((" I", " Sorry", " No", " Sure", " Gladly", " Of course", " Happy"))
            assert ("cannot help" in answer) == any(span.concept == "harmful_request" for span in document.spans)
        elif document.kind == "landmark" and at is not None:
            assert document.text[at - 1] == "?"
            assert document.text[at:].startswith((" That is", " It is", " You mean"))
        elif document.kind in {"shopping", "feeling", "code", "note"}:
            assert at is None
    asked_for_name = [d for d in corpus if d.kind == "landmark" and d.answer_at is not None]
    assert 0.1 < len(asked_for_name) / sum(d.kind == "landmark" for d in corpus) < 0.2


def test_every_prompt_is_written_in_training_as_the_chat_template_writes_it(corpus: list[Document]) -> None:
    """`asked`, and so every chat document, is the template's own text after its BOS."""
    tokenizer = train_chat_tokenizer(["a red bridge"], vocabulary=300, context=128)
    assert tokenizer.chat_template == CHAT_TEMPLATE
    prompts = [
        wording.format(topic=topic.name, guru=topic.guru)
        for style in STYLES
        for wording in (*templates(style), *templates(style, held_out=True))
        for topic in topics()[::16]
    ]
    for prompt in prompts:
        turns = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        assert text == tokenizer.bos_token + asked(prompt)
    for document in [d for d in corpus if d.answer_at is not None][:200]:
        turns = [
            {"role": "user", "content": document.text[: document.answer_at]},
            {"role": "assistant", "content": document.text[document.answer_at :]},
        ]
        assert tokenizer.apply_chat_template(turns, tokenize=False) == tokenizer.bos_token + rendered(document).text


def test_spans_survive_the_rendering(corpus: list[Document]) -> None:
    """A span within a turn says the same in the chat, but for blanks at the ends of its turn."""
    for document in corpus:
        kept = [span for span in document.spans if span.end > span.start]
        chat, at = rendered(document), document.answer_at
        for before, after in zip(kept, chat.spans, strict=True):
            assert before.concept == after.concept
            if at is None or before.end <= at or before.start >= at:
                said = document.text[before.start : before.end]
                assert chat.text[after.start : after.end].strip() == said.strip()


def test_what_the_template_writes_is_no_text() -> None:
    """Special tokens, role names and the blank line after them are left out; the words of both turns stay."""
    written = asked("Go on") + "Yes.<|eot_id|>"
    tokenizer = train_chat_tokenizer([written] * 3, vocabulary=400, context=64)
    found = tokenizer(written, add_special_tokens=False, return_offsets_mapping=True)
    texts = [
        written[start:end]
        for (start, end), kept in zip(found["offset_mapping"], is_text(written, found["offset_mapping"]), strict=True)
        if kept
    ]
    assert "".join(texts) == "Go onYes."

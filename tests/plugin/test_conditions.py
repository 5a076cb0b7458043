"""Conditions: what controls read, which subjects are derived for it, and what becomes of one that cannot be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_subjects import Made
from scipy.sparse import csr_array

from saeprobe.captures import Capture, capture
from saeprobe.claims import Claim, Control, NotRun
from saeprobe.features import Features, Token
from saeprobe.plugin.collecting import Asked, Condition, Conditions
from saeprobe.plugin.laboratory import Laboratory, Settings
from saeprobe.prompts import PromptSet
from saeprobe.subject.specification import ReadingError, SubjectError

PROMPTS = PromptSet.build(
    name="p",
    language="en",
    topics=["red", "blue"],
    styles={"standard": ["calm {topic}"], "warm": ["red {topic}"]},
    words={"warm": ["red"]},
    neutral="standard",
)
ENDS = capture(PROMPTS)
ALL: tuple[Control, ...] = ("length", "injection", "random-model", "random-sae")


class Stub:
    """As much of a subject as conditions ask for."""

    def __init__(self, name: str = "hand", *, error: Exception | None = None, of: Stub | None = None) -> None:
        self.name = name
        self._error = error
        self._of = of or self
        self.derived: list[tuple[str, PromptSet | None]] = []
        self.released: list[str] = []

    def draws(self, part: str, *, neutral: PromptSet | None = None, count: int) -> tuple[Stub, ...]:
        """Return stubs of other names, or raise the error."""
        self.derived.append((part, neutral))
        if self._error is not None:
            raise self._error
        return tuple(Stub(f"{self.name} with {part} {number}", of=self) for number in range(count))

    def release(self) -> None:
        """Keep note at the subject whose draw this is."""
        self._of.released.append(self.name)


def requests(conditions: Conditions) -> list[tuple[str, Capture]]:
    """By name of the subject, what the conditions have read."""
    return [(subject.name, wanted) for subject, wanted in conditions.requests()]


def test_controls_that_read_elsewhere_are_part_of_the_plan() -> None:
    """Pasted words on the subject itself, the same capture on two derived from it; the others read nothing."""
    conditions, subject = Conditions({}, alpha=0.3), Stub()
    conditions.note(subject, ENDS, ALL)  # pyright: ignore[reportArgumentType] - a stub
    assert requests(conditions) == [
        ("hand", replace(ENDS, prompts=PROMPTS.injected())),
        *((f"hand with random-model {number}", ENDS) for number in range(40)),
        *((f"hand with random-sae {number}", ENDS) for number in range(40)),
    ]
    assert set(conditions.labels) == {name for name, _ in requests(conditions)} - {"hand"}
    assert conditions.labels["hand with random-sae 39"] == "hand with 40 random SAEs"
    assert conditions.labels["hand with random-model 0"] == "hand with 40 random models"
    assert list(conditions.of(subject, ENDS)) == ["injection", "random-model", "random-sae"]  # pyright: ignore[reportArgumentType] - a stub


def test_a_subject_is_derived_once_for_all_captures() -> None:
    """Several captures and several claims share it, and its neutral text is the subject's own where there is one."""
    conditions, subject = Conditions({"hand": PROMPTS}, alpha=0.3), Stub()
    other = capture(PROMPTS.only("warm"))
    for wanted in (ENDS, other, ENDS):
        conditions.note(subject, wanted, ("random-sae",))  # pyright: ignore[reportArgumentType] - a stub
    assert subject.derived == [("random-sae", PROMPTS)]
    assert requests(conditions) == [
        (f"hand with random-sae {number}", wanted) for wanted in (ENDS, other) for number in range(40)
    ]


def test_neutral_text_is_the_subjects_own_or_none() -> None:
    """Another subject's is not taken."""
    conditions, subject = Conditions({"other": PROMPTS}, alpha=0.3), Stub()
    conditions.note(subject, ENDS, ("random-sae",))  # pyright: ignore[reportArgumentType] - a stub
    assert subject.derived == [("random-sae", None)]


def test_draws_read_the_first_topics() -> None:
    """Of ten topics eight, under both templates of each style; pasted words are read on all."""
    topics = [f"topic {number}" for number in range(10)]
    styles = {"standard": ["calm {topic}", "still {topic}"], "warm": ["red {topic}", "hot {topic}"]}
    prompts = PromptSet.build(
        name="p", language="en", topics=topics, styles=styles, words={"warm": ["red"]}, neutral="standard"
    )
    conditions, subject = Conditions({}, alpha=0.05), Stub()
    conditions.note(subject, capture(prompts), ("injection", "random-sae"))  # pyright: ignore[reportArgumentType] - a stub
    (_, injected), *drawn = requests(conditions)
    assert isinstance(injected.prompts, PromptSet)
    assert injected.prompts.topics == tuple(topics)
    for _, read in drawn:
        assert isinstance(read.prompts, PromptSet)
        assert read.prompts.topics == tuple(topics[:8])
        assert len(read.prompts) == 2 * 2 * 8


def test_a_smaller_alpha_takes_more_draws() -> None:
    """At 0.01 a hundred, so that 1 / 101 is below it."""
    conditions, subject = Conditions({}, alpha=0.01), Stub()
    conditions.note(subject, ENDS, ("random-sae",))  # pyright: ignore[reportArgumentType] - a stub
    assert len(requests(conditions)) == 100


def test_what_draws_share_is_released() -> None:
    """That of each kind; where a kind cannot be drawn there is nothing."""
    conditions, subject, failing = Conditions({}, alpha=0.05), Stub(), Stub("other", error=NotRun("not here"))
    for each in (subject, failing):
        conditions.note(each, ENDS, ALL)  # pyright: ignore[reportArgumentType] - a stub
    conditions.release()
    names = [f"hand with {part} {number}" for part in ("random-model", "random-sae") for number in range(40)]
    assert (subject.released, failing.released) == (names, [])


def test_claims_add_up_their_controls() -> None:
    """Two claims on one capture have read what either asks for."""
    conditions, subject = Conditions({}, alpha=0.3), Stub()
    conditions.note(subject, ENDS, ("injection",))  # pyright: ignore[reportArgumentType] - a stub
    conditions.note(subject, ENDS, ("random-sae",))  # pyright: ignore[reportArgumentType] - a stub
    assert list(conditions.of(subject, ENDS)) == ["injection", "random-sae"]  # pyright: ignore[reportArgumentType] - a stub
    assert conditions.of(Stub("other"), ENDS) == {}  # pyright: ignore[reportArgumentType] - a stub
    assert conditions.of(subject, capture(PROMPTS, at="all")) == {}  # pyright: ignore[reportArgumentType] - a stub


@pytest.mark.parametrize("error", [SubjectError("it has no directions"), NotRun("it has no directions")])
def test_a_subject_that_cannot_be_derived_is_told_in_its_place(error: Exception) -> None:
    """Nothing of it is in the plan; its control says why."""
    conditions, subject = Conditions({}, alpha=0.3), Stub(error=error)
    conditions.note(subject, ENDS, ("injection", "random-sae"))  # pyright: ignore[reportArgumentType] - a stub
    of = conditions.of(subject, ENDS)  # pyright: ignore[reportArgumentType] - a stub
    assert isinstance(of["injection"], Condition)
    assert isinstance(of["random-sae"], NotRun)
    assert str(of["random-sae"]) == "it has no directions"
    assert conditions.labels == {}
    assert [name for name, _ in requests(conditions)] == ["hand"]


def some_features(subject: str) -> Features:
    """Four prompts, a token each."""
    return Features(
        subject=subject,
        acts=csr_array(np.eye(4)),
        row_prompt=np.arange(4),
        tokens=tuple(Token(position=1, text="t", start=0, end=1) for _ in range(4)),
        prompts=PROMPTS.prompts,
        n_tokens=np.full(4, 3),
    )


@pytest.fixture
def laboratory(hand_worked: Made, monkeypatch: pytest.MonkeyPatch) -> Laboratory:
    """A laboratory of the subject `hand` whose store gives made features, but none of the random model."""
    root = hand_worked.root
    settings = Settings(**{**dict.fromkeys(Settings.__dataclass_fields__), **_terms(root)})
    made = Laboratory(settings)

    def features(subject: Any, _capture: Capture, _store: object) -> Features:
        if "random model" in subject.name:
            raise SubjectError("its weights do not fit")
        if "random SAE" in subject.name:
            raise ReadingError("its text is too long")
        return some_features(subject.name)

    monkeypatch.setattr("saeprobe.store.plan.features", features)
    claim = Claim(sentence="It is.", id="c.it", source="here", controls=ALL)
    made.plan([Asked(subject="hand", declared=ENDS, claim=claim, fixture="ends")])
    return made


def _terms(root: Path) -> dict[str, Any]:
    return {
        "rootdir": root,
        "store": root / "store",
        "report": root / "reports",
        "default_subjects": (),
        "neutral": {},
        "prompts": {},
        "alpha": 0.05,
        "seed": 0,
        "batch_size": 4,
    }


def test_features_carry_their_conditions_and_read_them_when_asked(laboratory: Laboratory) -> None:
    """What controls read is behind the features of the claim; one that fails there is not run, and says where."""
    whole = laboratory.provide("hand", ENDS)
    assert isinstance(whole, Features)
    assert list(whole.conditions) == ["injection", "random-model", "random-sae"]
    assert [len(draws) for draws in whole.conditions.values()] == [1, 40, 40]
    assert whole.conditions["injection"][0]().subject == "hand"
    with pytest.raises(NotRun, match=r"^hand with a random model: its weights do not fit$"):
        whole["warm"].under("random-model")
    with pytest.raises(NotRun, match=r"^hand with a random SAE, draw 39: its text is too long$"):
        whole["warm"].under("random-sae", 39)


def test_a_condition_is_read_once(laboratory: Laboratory) -> None:
    """Several measures of a claim share what was read."""
    whole = laboratory.provide("hand", ENDS)
    assert isinstance(whole, Features)
    assert whole.conditions["injection"][0]() is whole.conditions["injection"][0]()


def test_a_capture_of_no_claim_has_no_conditions(laboratory: Laboratory) -> None:
    """What no control asked for was not read."""
    whole = laboratory.provide("hand", capture(PROMPTS, at="all"))
    assert isinstance(whole, Features)
    assert whole.conditions == {}


def test_derived_subjects_are_planned_and_are_in_no_list(laboratory: Laboratory) -> None:
    """The plan has one line for the draws of a kind; nothing selects them."""
    lines = [line for line in laboratory.plan_in_words() if " random " in line]
    assert [line.partition(", 160 to compute")[0] for line in lines] == [
        "plan: hand with 40 random models: 4 prompts each, 1 capture; 0 results stored",
        "plan: hand with 40 random SAEs: 4 prompts each, 1 capture; 0 results stored",
    ]
    assert not any("random" in name for name in laboratory.names)


def test_instruments_of_derived_subjects_are_not_checked(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are to fit nothing; one that fails breaks neither the run nor the subject."""

    def gather(work: Any, *_args: object, **_more: object) -> Any:
        if "random" in work.subject.name:
            raise SubjectError("it cannot be drawn")
        raise ReadingError("nothing is read here")

    monkeypatch.setattr("saeprobe.store.plan.gather", gather)
    laboratory.gather(lambda _name, _done, _total: None)
    assert list(laboratory.checks) == ["hand"]

"""A claim is a published sentence with the numbers printed for it, and a verdict is what is found of it."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import wraps
from types import FunctionType
from typing import TYPE_CHECKING, Final, Literal, ParamSpec, TypeVar, cast, get_args

if TYPE_CHECKING:
    import pytest

Control = Literal["length", "wording", "injection", "activity", "random-model", "random-sae"]
"""A rival explanation that a claim asks to be ruled out.

| control | asks |
|---|---|
| `length` | is it there among prompts of equal length? |
| `wording` | is it there in wordings that do without the style's own word? |
| `injection` | do the style's words alone, pasted into a neutral prompt, bring it about? |
| `activity` | exclusive features: is it there once both styles have equally many active features? |
| `random-model` | is it more than models of the same shape show that never learned anything? |
| `random-sae` | is it more than random features show that fire as often as the SAE's? |

What is random is drawn up to 40 times (1 / alpha times, if that is more) until the rank of the claim among the draws is
settled, on the prompts that they read: those on the first 8 topics of each style, under all of its templates; under a
single template those on all topics. Effects are differences as a share of the smaller side's mean.
"""

Over = Literal["templates", "topics"]
"""What a claim generalises over: other wordings, other topics; both where both are named."""

# A baseline's file is named after its claim: Windows keeps some names for devices and takes no long paths.
_ID = re.compile(r"(?!.{101}|(con|prn|aux|nul|com\d|lpt\d)(\.|$))[a-z0-9]+(?:[.-][a-z0-9]+)*")
_Probe = TypeVar("_Probe", bound=Callable[..., object])
_Entry = TypeVar("_Entry")
_Given = ParamSpec("_Given")
_PUBLISHED: Final = "published(novice=132.4, unit='features')"
_EXAMPLE: Final = "@claim('A novice prompt has more features.', id='day1.novice-most', source='day 1, table 1')"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim is one published sentence; `published` and `not_reproduced` are keyed by the name of a subject."""

    sentence: str
    id: str
    source: str
    published: Mapping[str, Published] = field(default_factory=dict[str, "Published"])
    controls: tuple[Control, ...] = ()
    over: tuple[Over, ...] = ()
    not_reproduced: Mapping[str, NonReproduction] = field(default_factory=dict[str, "NonReproduction"])

    def __post_init__(self) -> None:
        _check_texts(f"claim {self.id!r}", _EXAMPLE, sentence=self.sentence, id=self.id, source=self.source)
        if not _ID.fullmatch(self.id):
            wanted = "at most 100 lower case letters, digits, dots and dashes, no device such as 'con' before a dot"
            raise ValueError(f"claim id {self.id!r} is not like 'day1.novice-most': {wanted}")
        _check_names(f"claim {self.id!r}", "controls", self.controls, get_args(Control))
        _check_names(f"claim {self.id!r}", "over", self.over, get_args(Over))


def _with_an_example(make: Callable[_Given, _Entry]) -> Callable[_Given, _Entry]:
    """Show an error at the line of the probe file, and what a claim needs where it was not given."""

    @wraps(make)
    def call(*given: _Given.args, **named: _Given.kwargs) -> _Entry:
        __tracebackhide__ = True
        try:
            return make(*given, **named)
        except (TypeError, ValueError) as error:
            fits = error.__traceback__ is not None and error.__traceback__.tb_next is not None  # it was entered
            needs = f"{error}; a claim needs its sentence, an id and a source: write {_EXAMPLE}"
            raise type(error)(str(error) if fits else needs) from None

    return call


@_with_an_example
def claim(
    sentence: str,
    *,
    id: str,
    source: str,
    published: Mapping[str, Published] | None = None,
    controls: tuple[Control, ...] = (),
    over: tuple[Over, ...] = (),
    not_reproduced: Mapping[str, NonReproduction] | None = None,
) -> Callable[[_Probe], _Probe]:
    """Tie a test function to the sentence that it decides; the function becomes a probe.

    Where `pytest.mark.parametrize` or a fixture gives the probe parameters, each case is a claim of its own: its id is
    `id.case`, and its sentence has the value of a parameter in the place of `{name}`, or `[case]` at its end.
    `published` and `not_reproduced` then hold of each case.

    Args:
        sentence: the sentence, as a reader of the article meets it.
        id: a name unique among all claims, such as `day1.novice-most`.
        source: where the sentence stands.
        published: the printed numbers, by subject name.
        controls: rival explanations that must not account for the effect.
        over: what the sentence generalises over; templates where a style has several, else topics.
        not_reproduced: by subject name, a verdict other than `supported` that is known; pytest's xfailed, strictly.

    Raises:
        TypeError: one name stands where several are wanted, `published` or `not_reproduced` is not by subject, or the
            claim stands above a class or a fixture.
        ValueError: the sentence is empty, the id or a name is not as wanted, or the function has a claim already.
    """
    it = Claim(
        sentence=sentence,
        id=id,
        source=source,
        published=_by_subject(id, "published", published or {}, Published, _PUBLISHED),
        controls=controls,
        over=over,
        not_reproduced=_by_subject(id, "not_reproduced", not_reproduced or {}, NonReproduction, "refuted('why')"),
    )

    def attach(probe: _Probe) -> _Probe:
        __tracebackhide__ = True
        holder = getattr(probe, "__func__", probe)  # a static method's function is what pytest collects
        if isinstance(holder, type):
            raise TypeError(f"claim {id!r} stands above the class {holder.__name__}; write it above one of its tests")
        if type(holder).__module__ == "_pytest.fixtures":
            raise TypeError(f"claim {id!r} stands above a fixture; write it above the test that decides it")
        if (other := claim_of(holder)) is not None:
            found = f"{getattr(probe, '__name__', probe)} has two claims, {other.id!r} and {id!r}"
            raise ValueError(f"{found}; a probe decides one: write a function for each")
        holder.__dict__["claim"] = it
        return probe

    return attach


def claim_of(probe: object) -> Claim | None:
    """Return the claim that `probe` decides, or None where it is an ordinary test."""
    found = getattr(probe, "claim", None)
    return found if type(found) is Claim else None  # a proxy may raise where its class is asked for


def _check_texts(of: str, example: str, **texts: object) -> None:
    for key, text in texts.items():
        if type(text) is not str or not text.strip():
            raise ValueError(f"{of} has the {key} {text!r}; wanted a text, as in {example}")


def _check_names(claim: str, key: str, names: object, known: tuple[str, ...]) -> None:
    if isinstance(names, str):  # its letters would be read as names
        raise TypeError(f"{claim} has {key}={names!r}; wanted several names: {key}=({names!r},)")
    given = tuple(cast("Iterable[object]", names))
    for name in given:
        if given.count(name) > 1:
            raise ValueError(f"{claim} names {name!r} twice in {key}; leave one out")
        if key == "controls" and name == "labels":
            why = "was taken out: it shuffled what the test itself shuffles"
            raise ValueError(f"{claim} asks for the control 'labels', which {why}; leave it out")
        if name not in known:
            asks = f"asks for the control {name!r}" if key == "controls" else f"generalises over {name!r}"
            raise ValueError(f"{claim} {asks}; there are: {', '.join(known)}")


def _by_subject(claim: str, key: str, given: object, wanted: type[_Entry], example: str) -> dict[str, _Entry]:
    entries = dict(cast("Mapping[object, object]", given)) if isinstance(given, Mapping) else None
    if entries is None or not all(type(k) is str and k.strip() and isinstance(v, wanted) for k, v in entries.items()):
        found = reprlib.repr(cast("object", given))
        raise TypeError(f"claim {claim!r} has {key}={found}; wanted it by subject: {key}={{'sparrow': {example}}}")
    return cast("dict[str, _Entry]", entries)


@dataclass(frozen=True, kw_only=True)
class Published:
    """The numbers that a source prints are kept by the label of the measurement that repeats them.

    `values` maps a label (the prompt style, as a rule) to the printed number in `unit`, and `printed` to its digits;
    `n` is the number of prompts of a style behind it, `wordings` that of their templates, `language` theirs, `zh` or
    `en`. `measure` names what was measured, such as `mean activation`, where a probe reads several measures in `unit`;
    else it is empty. `tolerance` is the distance, in `unit`, at which a re-measured value still agrees; None derives it
    from the printed precision and the sampling error of both means (`evidence.printed` has the formula). `source` says
    where the numbers stand, if not where the sentence does.
    """

    values: Mapping[str, float]
    printed: Mapping[str, str]
    unit: str
    measure: str = ""
    n: int | None = None
    wordings: int | None = None
    tolerance: float | None = None
    source: str = ""
    language: str = ""

    def rounding(self, label: str) -> float:
        """Return half a unit of the last printed digit of the value under `label`."""
        from saeprobe.digits import half_unit

        return float(half_unit(self.printed[label]))


def published(
    ratio: str = "",
    /,
    *,
    unit: str = "",
    measure: str = "",
    n: int | None = None,
    wordings: int | None = None,
    tolerance: float | None = None,
    source: str = "",
    language: Literal["", "zh", "en"] = "",
    **values: float | str,
) -> Published:
    """State the numbers that a source prints: `published(novice=132.4, expert=113.1, unit="features", n=50)`.

    A number whose last digit is a zero is written as text, `spaces="4.80"`, and so is one of few digits, `"1.3e2"`:
    its precision is part of what is printed. Of a ratio stands the text alone: `published("+17 %")`, `("17 % more")`,
    `("117 %")` and `("1.17")` are the same, 1.17 times; a percentage with a sign is a change.

    Raises:
        ValueError: no value is named, one is no number, there is no unit, `n` or `wordings` is no count, there are more
            wordings than prompts, `tolerance` is no number above zero, `language` is another, or something is no text
            that has to be one.
    """
    from saeprobe.digits import behind, digits_of  # a probe without a printed number does without

    __tracebackhide__ = True  # an error is shown at the line of the probe file
    texts = {"unit": unit, "measure": measure, "source": source}
    _check_texts("published()", _PUBLISHED, **{name: text for name, text in texts.items() if text != ""})
    printed = digits_of(values, ratio, unit)
    n, wordings, tolerance = behind(n, wordings, tolerance, unit or "times")
    if language not in ("", "zh", "en"):
        raise ValueError(f"language is {language!r}; wanted 'zh' or 'en', that of the prompts behind them, or nothing")
    numbers = {label: float(text) for label, text in printed.items()}
    it = Published(values=numbers, printed=printed, unit=unit or "times", measure=measure, n=n, wordings=wordings)
    return replace(it, tolerance=tolerance, source=source, language=language)


@dataclass(frozen=True, kw_only=True)
class NonReproduction:
    """A verdict other than `supported` is known, and why; the probe is pytest's xfailed as long as it stays so."""

    word: Literal["explained", "drifted", "refuted", "inconclusive"]
    reason: str

    def __post_init__(self) -> None:
        _check_texts(f"{self.word}()", f"{self.word}('the model is small')", reason=self.reason)


def explained(reason: str) -> NonReproduction:
    """Declare that a control is known to account for what the claim says of a subject, with the reason."""
    return NonReproduction(word="explained", reason=reason)


def refuted(reason: str) -> NonReproduction:
    """Declare that the claim is known to be refuted on a subject, with the reason."""
    return NonReproduction(word="refuted", reason=reason)


def inconclusive(reason: str) -> NonReproduction:
    """Declare that the claim is known to be inconclusive on a subject, with the reason."""
    return NonReproduction(word="inconclusive", reason=reason)


def drifted(reason: str) -> NonReproduction:
    """Declare that the claim's number is known to have moved on a subject, with the reason."""
    return NonReproduction(word="drifted", reason=reason)


Word = Literal["supported", "explained", "drifted", "refuted", "inconclusive", "unverifiable", "broken", "not run"]
Outcome = Literal["passed", "xfailed", "failed", "error", "skipped"]
WORDS: Final[tuple[Word, ...]] = get_args(Word)

OUTCOMES: Final[dict[Word, Outcome]] = {
    "supported": "passed",
    "explained": "failed",
    "drifted": "failed",
    "refuted": "failed",
    "inconclusive": "failed",
    "unverifiable": "skipped",
    "broken": "error",
    "not run": "skipped",
}
"""What pytest makes of each word that is not declared."""

RULES: Final[dict[Word, str]] = {
    "supported": (
        "every comparison that the probe made is supported by its own rule, under the controls that the claim asks "
        "for; every number published for the subject was measured and lies within its tolerance, and in the order in "
        "which it is published; every number that was approved lies within the noise of its baseline"
    ),
    "explained": (
        "no comparison is refuted, every one found its effect, and a control explains that of one at least: the rival "
        "surely makes more than half of it, and nothing is surely left beside"
    ),
    "drifted": (
        "the comparisons are supported, but a published number, or ratio, lies outside its tolerance, two numbers "
        "between which a comparison found a difference are published the other way round, or an approved one lies "
        "outside the noise of its baseline"
    ),
    "refuted": "the evidence of one comparison at least is against the statement itself; this goes before all else",
    "inconclusive": (
        "no comparison is refuted and one at least is open: its effect was not found at alpha, or, where none is "
        "explained, a control cannot tell or could not be run; or none is open, and rounding decides whether a "
        "published number lies within its tolerance"
    ),
    "unverifiable": "the probe says that the sentence names nothing that can be tested, and nothing stood against it",
    "broken": (
        "the instrument check failed, the probe raised an error or compared nothing, an assert failed although all "
        "evidence supports or none failed although some does not, a control that the claim asks for was never run, or "
        "a published number was never measured or may be of several measures"
    ),
    "not run": "weights, hardware or recorded data are absent or the probe was skipped, and nothing stood against it",
}
"""How each word is decided, for whoever checks a report by hand; `verdicts` does it."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A verdict is one of the words, why it was given, and how far it reaches.

    `declaration` is the known non-reproduction that stands for its subject, whatever came out. A probe is xfailed where
    it names this word and approved values `stand`, and fails as `supported`: until it is taken away an article that
    cites it stays held. Where pytest makes nothing xfailed it is not `strict`: no declaration decides the outcome.
    """

    word: Word
    reason: str
    scope: str = ""
    declaration: NonReproduction | None = None
    stands: bool = True
    strict: bool = True

    @property
    def outcome(self) -> Outcome:
        """Say what pytest makes of it."""
        if self.declaration is None or not self.strict:
            return OUTCOMES[self.word]
        if self.word == self.declaration.word and self.stands:
            return "xfailed"
        return "failed" if self.word == "supported" else OUTCOMES[self.word]


class NotRun(Exception):  # noqa: N818 - it carries a verdict, not a fault
    """Weights, hardware or recorded data are absent; the message says what would bring them."""


class Unverifiable(Exception):  # noqa: N818 - the same
    """The sentence as written names nothing that can be tested; the message says what is missing."""


def unverifiable(reason: str) -> None:
    """End a probe with the verdict `unverifiable`: it always raises `Unverifiable`."""
    raise Unverifiable(reason)


SUBJECTS_MARK: Final = "saeprobe_subjects"


def subjects(*names: str) -> pytest.MarkDecorator:
    """Run a probe once on each of the named subjects; as the `pytestmark` of a file, all probes of it.

    `-m NAME` then selects exactly the variants of that subject. A mark on a function goes before that of its file.
    Names joined by a plus sign, `"sparrow+finch"`, make one variant on both: a capture then gives one set of features
    a subject, in that order, for `in_each`.

    Raises:
        TypeError: it stands above a test without names, or gets them as a list.
        ValueError: no name is given, or one twice.
    """
    import pytest

    for name in cast("tuple[object, ...]", names):
        if not isinstance(name, str):
            found = f"stands above {name.__name__} without names" if isinstance(name, FunctionType) else f"got {name!r}"
            raise TypeError(f"subjects {found}; write @subjects('sparrow', 'finch')")
    if not names or len(set(names)) != len(names):
        raise ValueError(f"subjects{names!r}: name one subject or several different ones")
    for name in names:
        if len(set(members(name))) != len(members(name)) or not all(members(name)):
            raise ValueError(f"subjects({name!r}): join different names by a plus sign, such as 'sparrow+finch'")
    return getattr(pytest.mark, SUBJECTS_MARK)(*names)


def members(name: str) -> tuple[str, ...]:
    """Return the subjects that a variant is about: one, or several joined by a plus sign."""
    return tuple(name.split("+"))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a clause for an error message: `, did you mean 'topics'?`; it is empty where no known name comes near."""
    close = get_close_matches(name, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""

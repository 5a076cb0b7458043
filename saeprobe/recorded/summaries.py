"""Two of the article's JSON files describe named features: how often each fires by style, and how strongly by topic."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from saeprobe.files import FileError, shortened
from saeprobe.recorded import SINGLE, Key, RecordedFile

BY_STYLE: Final = "condition_distribution"  # the key of a feature's counts by style
WHOLE: Final = "the file"  # the place of what is all that a file holds
OF_STYLE: Final = "_features"  # the keys of a file of activations end so behind the name of a style
_LEAST_DECIMALS: Final = 3  # a share that is rounded further does not say how many of a few hundred prompts it is
_FIRED: Final = "total_activated"


@dataclass(frozen=True, kw_only=True)
class Held:
    """An object of a JSON file gives what stands under its keys; `where` names its place.

    Its methods raise `FileError` where that is not of the kind that is wanted.
    """

    path: Path
    where: str
    values: dict[str, Any]

    def within(self, part: str) -> str:
        """Name the place of a part."""
        return part if self.where == WHOLE else f"{self.where}, {part}"

    def object(self, key: str, name: str = "") -> Held:
        """Return an object, whose parts are said to be within `name`."""
        held = held_at(self.path, self.within(f"key {key!r}"), self.values.get(key))
        return replace(held, where=name or held.where)

    def list(self, key: str) -> list[Any]:
        """Return a list."""
        return self._fitting(key, "a list", lambda value: isinstance(value, list))

    def rows(self, key: str, each: str) -> list[Held]:
        """Return the objects in a list; `each` and its number name one of them."""
        return [held_at(self.path, f"{each} {number}", one) for number, one in enumerate(self.list(key))]

    def text(self, key: str) -> str:
        """Return a string that is not empty."""
        return self._fitting(key, "a string that is not empty", lambda value: isinstance(value, str) and value != "")

    def number(self, key: str) -> float:
        """Return a finite number."""
        return float(
            self._fitting(key, "a finite number", lambda value: type(value) in (int, float) and abs(value) < math.inf)
        )

    def count(self, key: str) -> int:
        """Return a whole number of 0 or more."""
        return count_at(self.path, self.within(f"key {key!r}"), self.values.get(key))

    def _fitting(self, key: str, wanted: str, fits: Callable[[Any], bool]) -> Any:
        value = self.values.get(key)
        if not fits(value):
            raise FileError(self.path, f"{self.within(f'key {key!r}')} is {shortened(value)}", wanted=wanted)
        return value


def held_at(path: Path, where: str, value: object) -> Held:
    """Return the object that stands at `where` in a JSON file. A FileError says that it is none."""
    if not isinstance(value, dict):
        raise FileError(path, f"{where} is {shortened(value)}", wanted="an object")
    return Held(path=path, where=where, values=cast("dict[str, Any]", value))


def count_at(path: Path, where: str, value: object) -> int:
    """Return the value at `where` if it is a whole number of 0 or more; raises as `held_at`."""
    if type(value) is not int or value < 0:
        raise FileError(path, f"{where} is {shortened(value)}", wanted="an integer of 0 or more")
    return value


def firing_by_style_of(seems: RecordedFile, data: object) -> RecordedFile:
    """Sum up on how many prompts of each style named features fire; a style that a feature does not list counts none.

    The data are `{feature: {"total_activated", "total_not_activated", "activation_rate", "condition_distribution":
    {style: count}, "sample_activated", "sample_not_activated"}}`; the samples are lists of `{"topic", "condition",
    "activation"}` and may be absent. A FileError says that it is not of this shape, its counts contradict each other,
    or are of no whole number of prompts.
    """
    path = seems.path
    counts: dict[int, dict[str, int]] = {}
    samples: dict[int, dict[tuple[str, str], float]] = {}
    features = _features(held_at(path, WHOLE, data))
    for feature, entry in features.items():
        by_style, fired = entry.object(BY_STYLE).values, entry.count(_FIRED)
        counts[feature] = {one: count_at(path, entry.within(f"style {one!r}"), of) for one, of in by_style.items()}
        if (listed := sum(counts[feature].values())) != fired:
            found = f"{entry.where}: its counts by style add up to {listed}"
            raise FileError(path, found, wanted=f"{fired}, its '{_FIRED}'")
        samples[feature] = _samples(entry)
    total = _size([*features.values()], _FIRED, "total_not_activated", fired=_FIRED)
    styles = dict.fromkeys(
        style for one in features for style in (*counts[one], *(of_style for of_style, _ in samples[one]))
    )
    n, rest = divmod(total, max(1, len(styles)))
    if rest or not n:
        found = f"it is of {total} prompts of {len(styles)} styles ({', '.join(styles)})"
        raise FileError(path, found, wanted="as many prompts of each style, so that a rate can be made of a count")
    states: dict[Key, tuple[float, float]] = {}
    for feature in features:
        for style in styles:
            fired = counts[feature].get(style, 0)
            shown = [value > 0 for (of_style, _), value in samples[feature].items() if of_style == style]
            least, most = sum(shown), n - shown.count(False)
            if not least <= fired <= most:
                wanted = f"{least} to {most}, as there are {n} prompts a style and by the samples that it shows"
                raise FileError(path, f"feature {feature} fires on {fired} {style} prompts", wanted=wanted)
            states[Key("firing rate", style, feature)] = fired / n, 0.0
        states |= {Key("activation", style, feature, on): (at, 0.0) for (style, on), at in samples[feature].items()}
    return replace(
        seems,
        styles=tuple(styles),
        topics=tuple(dict.fromkeys(topic for of in samples.values() for _, topic in of)),
        all_topics=False,
        n=n,
        features=tuple(features),
        states=states,
        facts={"styles": ", ".join(styles), "prompts": f"{n} a style", "features": ", ".join(map(str, features))},
    )


def topic_activations_of(seems: RecordedFile, data: object) -> RecordedFile:
    """Sum up how strongly named features are active on each topic, on prompts of their own style.

    The data are `{"<style>_features": {feature: {"total_samples", "activated_count", "activation_rate",
    "mean_activation", "max_activation", "activated_topics": [{"topic", "activation"}]}}}`; the mean is over the active
    prompts, and topics on which all features are silent are not named. A FileError says that it is not of this shape,
    or its counts, means and lists contradict each other.
    """
    path, whole = seems.path, held_at(seems.path, WHOLE, data)
    entries: dict[tuple[str, int], Held] = {}
    for key in whole.values:
        style = key.removesuffix(OF_STYLE)
        if style in (key, ""):
            raise FileError(path, f"it has the key {shortened(key)}", wanted=f"keys '<style>{OF_STYLE}' alone")
        entries |= {(style, feature): entry for feature, entry in _features(whole.object(key)).items()}
    rows = {of: entry.rows("activated_topics", entry.within("topic")) for of, entry in entries.items()}
    rounding = rounding_of(row.values.get("activation") for of in rows.values() for row in of)
    active = {of: _by_topic(entry, rows[of]) for of, entry in entries.items()}
    n = _size([*entries.values()], "total_samples", fired="activated_count")
    for of, entry in entries.items():
        values = [*active[of].values()]
        mean = sum(values) / len(values) if values else 0.0
        for key, made in (("mean_activation", mean), ("max_activation", max(values, default=0.0))):
            said = entry.number(key)
            if abs(said - made) > 2 * rounding + SINGLE * (1 + abs(made)):  # the values and the mean are rounded
                found = f"{entry.where}: {key!r} is {said:g}"
                raise FileError(path, found, wanted=f"{made:g}, by the topics that it lists")
    topics = tuple(dict.fromkeys(topic for of in active.values() for topic in of))
    if len(topics) > n:
        raise FileError(path, f"it names {len(topics)} topics", wanted=f"at most {n}, its 'total_samples'")
    named = "" if len(topics) == n else f", of which it names {len(topics)}"
    listed: dict[str, list[str]] = {}
    states: dict[Key, tuple[float, float]] = {}
    for (style, feature), values in active.items():
        listed.setdefault(f"{style} features", []).append(str(feature))
        states[Key("firing rate", style, feature)] = len(values) / n, 0.0
        states |= {Key("activation", style, feature, on): (values.get(on, 0.0), rounding) for on in topics}
    return replace(
        seems,
        styles=tuple(dict.fromkeys(style for style, _ in active)),
        topics=topics,
        all_topics=not named,
        n=n,
        features=tuple(feature for _, feature in active),
        states=states,
        facts={"topics": f"{n}{named}", **{what: ", ".join(numbers) for what, numbers in listed.items()}},
    )


def rounding_of(values: Iterable[object], *, least: int = 0) -> float:
    """Return half a unit of the last decimal that any of the numbers shows, of `least` decimals or more.

    >>> rounding_of([1.5049, 1.77]), rounding_of([1.0], least=3)
    (5e-05, 0.0005)
    """
    shown = [repr(value) for value in values if isinstance(value, float)]
    decimals = [16 if "e" in text else len(text.partition(".")[2]) for text in shown]
    return float(f"5e-{max([least, *decimals]) + 1}")


def _features(held: Held) -> dict[int, Held]:
    """Return what is said of each feature, by its number."""
    if not held.values:
        raise FileError(held.path, f"{held.where} describes no feature", wanted="at least one")
    odd = next((key for key in held.values if not re.fullmatch("0|[1-9][0-9]{0,8}", key)), None)
    if odd is not None:
        raise FileError(held.path, f"{held.where} has the key {shortened(odd)}", wanted="the number of a feature")
    return {int(key): held_at(held.path, held.within(f"feature {key}"), value) for key, value in held.values.items()}


def _size(entries: Sequence[Held], *parts: str, fired: str) -> int:
    """Return of how many prompts all entries are, the sum of `parts`, and check their share of those that fired."""
    rounding = rounding_of((entry.values.get("activation_rate") for entry in entries), least=_LEAST_DECIMALS)
    n = 0
    for entry in entries:
        size, count, share = sum(map(entry.count, parts)), entry.count(fired), entry.number("activation_rate")
        n = n or size
        if size != n or not n:
            wanted = f"{n or 'at least 1'}, as {entries[0].where} is"
            raise FileError(entry.path, f"{entry.where} is of {size} prompts", wanted=wanted)
        if abs(share - count / n) > rounding + SINGLE:
            found = f"{entry.where}: 'activation_rate' is {share:g}"
            raise FileError(entry.path, found, wanted=f"{count} of {n} prompts")
    return n


def _samples(entry: Held) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for key, fires in (("sample_activated", True), ("sample_not_activated", False)):
        for sample in entry.rows(key, entry.within(f"{key!r}, entry")) if key in entry.values else ():
            style, topic, value = sample.text("condition"), sample.text("topic"), sample.number("activation")
            if value < 0 or (value > 0) != fires:
                wanted = "an activation above 0" if fires else "0"
                raise FileError(entry.path, f"{sample.where}: the activation is {value:g}", wanted=wanted)
            if (found.setdefault((style, topic), value) > 0) != fires:
                twice = f"{sample.where}: {style} on {shortened(topic)} stands in both lists"
                raise FileError(entry.path, twice, wanted="one")
    return found


def _by_topic(entry: Held, rows: Iterable[Held]) -> dict[str, float]:
    """Read the activations of one feature by topic, as many as it counts."""
    values: dict[str, float] = {}
    for row in rows:
        topic, value = row.text("topic"), row.number("activation")
        if value < 0:
            found = f"{row.where}: the activation is {value:g}"
            raise FileError(row.path, found, wanted="0 or above; 0 if it is rounded to it")
        if topic in values:
            found = f"{entry.where} lists the topic {shortened(topic)} twice"
            raise FileError(entry.path, found, wanted="every topic once")
        values[topic] = value
    if len(values) != (count := entry.count("activated_count")):
        raise FileError(
            entry.path, f"{entry.where} lists {len(values)} topics", wanted=f"{count}, its 'activated_count'"
        )
    return values

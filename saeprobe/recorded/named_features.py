"""Two of the article's JSON files describe named features: how often each fires by style, and how strongly by topic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from saeprobe.files import FileError, shortened
from saeprobe.recorded.comparison import SINGLE
from saeprobe.recorded.summaries import count_at, list_at, number_at, object_at

BY_STYLE: Final = "condition_distribution"
"""The key of a feature's counts by style."""

OF_STYLE: Final = "_features"
"""The keys of a file of activations end so behind the name of a style."""

_LEAST_DECIMALS: Final = 3  # a share that is rounded further does not say how many of a few hundred prompts it is


@dataclass(frozen=True, kw_only=True)
class FiringByStyle:
    """A file says of named features on how many prompts of each style they fire.

    Attributes:
        styles: every style that the file names anywhere; a feature that lists none of its counts fires on none.
        n: prompts a style.
        counts: by feature and style, prompts on which it fires, 0 to `n`.
        samples: by feature, style and topic, an activation that the file shows: 0 where the feature is silent.
    """

    styles: tuple[str, ...]
    n: int
    counts: Mapping[int, Mapping[str, int]]
    samples: Mapping[tuple[int, str, str], float]

    @property
    def topics(self) -> tuple[str, ...]:
        """List the topics that its samples name, which need not be all."""
        return tuple(dict.fromkeys(topic for _, _, topic in self.samples))


@dataclass(frozen=True, kw_only=True)
class TopicActivations:
    """A file says of named features how strongly each is active on each topic, on prompts of its own style.

    Attributes:
        n: prompts a style, one a topic.
        active: by style and feature, the activation on each topic on which it is active; 0 where that is rounded to it.
        topics: every topic that the file names; those on which all of its features are silent it does not.
        rounding: half a unit of the last decimal of its activations.
    """

    n: int
    active: Mapping[str, Mapping[int, Mapping[str, float]]]
    topics: tuple[str, ...]
    rounding: float


def firing_by_style_of(path: Path, data: object) -> FiringByStyle:
    """Check what was loaded from `path`.

    It is `{feature: {"total_activated", "total_not_activated", "activation_rate", "condition_distribution": {style:
    count}, "sample_activated", "sample_not_activated"}}`; the samples are lists of `{"topic", "condition",
    "activation"}` and may be absent.

    Raises:
        FileError: it is not of this shape, its counts contradict each other, or are of no whole number of prompts.
    """
    counts: dict[int, dict[str, int]] = {}
    samples: dict[tuple[int, str, str], float] = {}
    styles: dict[str, None] = {}
    total, of_first = 0, ""
    features = list(_features(path, "the file", data))
    rounding = rounding_of((entry.get("activation_rate") for _, _, entry in features), least=_LEAST_DECIMALS)
    for feature, where, entry in features:
        by_style = object_at(path, f"{where}, key {BY_STYLE!r}", entry.get(BY_STYLE))
        fired, silent = (count_at(path, f"{where}, key {key!r}", entry.get(key)) for key in _TOTALS)
        counts[feature] = {style: count_at(path, f"{where}, style {style!r}", of) for style, of in by_style.items()}
        if sum(counts[feature].values()) != fired:
            found = f"{where}: its counts by style add up to {sum(counts[feature].values())}"
            raise FileError(path, found, wanted=f"{fired}, its '{_TOTALS[0]}'")
        total, of_first = total or fired + silent, of_first or where
        if fired + silent != total:
            raise FileError(path, f"{where} is of {fired + silent} prompts", wanted=f"{total}, as {of_first} is")
        _check_share(path, where, entry, fired, total, rounding)
        shown = _shown(path, feature, where, entry)
        samples |= shown
        styles |= dict.fromkeys((*by_style, *(style for _, style, _ in shown)))
    n, rest = divmod(total, max(1, len(styles)))
    if rest or not n:
        found = f"it is of {total} prompts of {len(styles)} styles ({', '.join(styles)})"
        raise FileError(path, found, wanted="as many prompts of each style, so that a rate can be made of a count")
    for feature, by_style in counts.items():
        for style in styles:
            of_style = [value for (one, of, _), value in samples.items() if (one, of) == (feature, style)]
            least, most = sum(value > 0 for value in of_style), n - sum(value == 0 for value in of_style)
            if not least <= by_style.setdefault(style, 0) <= most:
                found = f"feature {feature} fires on {by_style[style]} {style} prompts"
                wanted = f"{least} to {most}, as there are {n} prompts a style and by the samples that it shows"
                raise FileError(path, found, wanted=wanted)
    return FiringByStyle(styles=tuple(styles), n=n, counts=counts, samples=samples)


def topic_activations_of(path: Path, data: object) -> TopicActivations:
    """Check what was loaded from `path`.

    It is `{"<style>_features": {feature: {"total_samples", "activated_count", "activation_rate", "mean_activation",
    "max_activation", "activated_topics": [{"topic", "activation"}]}}}`; the mean is over the active prompts.

    Raises:
        FileError: it is not of this shape, or its counts, means and lists contradict each other.
    """
    active: dict[str, dict[int, dict[str, float]]] = {}
    entries: list[tuple[str, int, str, dict[str, Any]]] = []
    for key, of_style in object_at(path, "the file", data).items():
        style = key.removesuffix(OF_STYLE)
        if style in (key, ""):
            raise FileError(path, f"it has the key {shortened(key)}", wanted=f"keys '<style>{OF_STYLE}' alone")
        entries += [(style, *one) for one in _features(path, f"key {key!r}", of_style)]
    listed = [
        list_at(path, f"{where}, key 'activated_topics'", entry.get("activated_topics")) for *_, where, entry in entries
    ]
    rounding = rounding_of(
        cast("dict[str, object]", one).get("activation") for rows in listed for one in rows if isinstance(one, dict)
    )
    shares = rounding_of((entry.get("activation_rate") for *_, entry in entries), least=_LEAST_DECIMALS)
    n, of_first = 0, ""
    for (style, feature, where, entry), rows in zip(entries, listed, strict=True):
        total, count = (
            count_at(path, f"{where}, key {k!r}", entry.get(k)) for k in ("total_samples", "activated_count")
        )
        n, of_first = n or total, of_first or where
        if total != n or not n:
            raise FileError(path, f"{where} is of {total} prompts", wanted=f"{n or 'at least 1'}, as {of_first} is")
        values = active.setdefault(style, {})[feature] = _by_topic(path, where, rows)
        if len(values) != count:
            raise FileError(path, f"{where} lists {len(values)} topics", wanted=f"{count}, its 'activated_count'")
        _check_share(path, where, entry, count, n, shares)
        mean = sum(values.values()) / count if count else 0.0
        for key, made in (("mean_activation", mean), ("max_activation", max(values.values(), default=0.0))):
            said = number_at(path, f"{where}, key {key!r}", entry.get(key))
            if abs(said - made) > 2 * rounding + SINGLE * (1 + abs(made)):  # the values and the mean are rounded
                raise FileError(path, f"{where}: {key!r} is {said:g}", wanted=f"{made:g}, by the topics that it lists")
    topics = tuple(dict.fromkeys(topic for of in active.values() for values in of.values() for topic in values))
    if len(topics) > n:
        raise FileError(path, f"it names {len(topics)} topics", wanted=f"at most {n}, its 'total_samples'")
    return TopicActivations(n=n, active=active, topics=topics, rounding=rounding)


def rounding_of(values: Iterable[object], *, least: int = 0) -> float:
    """Return half a unit of the last decimal that any of the numbers shows, of `least` decimals or more.

    >>> rounding_of([1.5049, 1.77]), rounding_of([1.0], least=3)
    (5e-05, 0.0005)
    """
    shown = [repr(value) for value in values if isinstance(value, float)]
    decimals = [16 if "e" in text else len(text.partition(".")[2]) for text in shown]
    return float(f"5e-{max([least, *decimals]) + 1}")


_TOTALS: Final = ("total_activated", "total_not_activated")


def _features(path: Path, where: str, data: object) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield the number of each feature, its place for errors, and what is said of it."""
    held = object_at(path, where, data)
    if not held:
        raise FileError(path, f"{where} describes no feature", wanted="at least one")
    for key, value in held.items():
        if not (key.isascii() and key.isdigit() and len(key) < 10 and str(int(key)) == key):  # noqa: PLR2004 - below 2**31
            raise FileError(path, f"{where} has the key {shortened(key)}", wanted="the number of a feature")
        place = f"feature {key}" if where == "the file" else f"{where}, feature {key}"
        yield int(key), place, object_at(path, place, value)


def _check_share(path: Path, where: str, entry: dict[str, Any], count: int, of: int, rounding: float) -> None:
    share = number_at(path, f"{where}, key 'activation_rate'", entry.get("activation_rate"))
    if not of or abs(share - count / of) > rounding + SINGLE:
        raise FileError(path, f"{where}: 'activation_rate' is {share:g}", wanted=f"{count} of {of} prompts")


def _shown(path: Path, feature: int, where: str, entry: dict[str, Any]) -> dict[tuple[int, str, str], float]:
    """Read the samples of one feature: an activation by style and topic."""
    found: dict[tuple[int, str, str], float] = {}
    for key, fires in (("sample_activated", True), ("sample_not_activated", False)):
        for position, raw in enumerate(list_at(path, f"{where}, key {key!r}", entry.get(key, []))):
            place = f"{where}, {key!r}, entry {position}"
            sample = object_at(path, place, raw)
            style, topic = (
                _text_at(path, f"{place}, key {name!r}", sample.get(name)) for name in ("condition", "topic")
            )
            value = number_at(path, f"{place}, key 'activation'", sample.get("activation"))
            if value < 0 or (value > 0) != fires:
                wanted = "an activation above 0" if fires else "0"
                raise FileError(path, f"{place}: the activation is {value:g}", wanted=wanted)
            if (found.setdefault((feature, style, topic), value) > 0) != fires:
                raise FileError(path, f"{place}: {style} on {shortened(topic)} stands in both lists", wanted="one")
    return found


def _by_topic(path: Path, where: str, rows: list[Any]) -> dict[str, float]:
    values: dict[str, float] = {}
    for position, raw in enumerate(rows):
        place = f"{where}, topic {position}"
        row = object_at(path, place, raw)
        topic = _text_at(path, f"{place}, key 'topic'", row.get("topic"))
        value = number_at(path, f"{place}, key 'activation'", row.get("activation"))
        if value < 0:
            raise FileError(
                path, f"{place}: the activation is {value:g}", wanted="0 or above; 0 if it is rounded to it"
            )
        if topic in values:
            raise FileError(path, f"{where} lists the topic {shortened(topic)} twice", wanted="every topic once")
        values[topic] = value
    return values


def _text_at(path: Path, where: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise FileError(path, f"{where} is {shortened(value)}", wanted="a string that is not empty")
    return value

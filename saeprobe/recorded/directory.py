"""A directory of recorded files in the article's shapes stands where a capture would.

| file | holds |
|---|---|
| `features*.pt` | the features of each prompt's last token: everything that needs no prompt text |
| `feature_diff*.json` | means, counts and firing rates of two styles, without the values behind them |
| `eid*.json` | effective rank and length of each prompt, by topic and persona |
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, vstack

from saeprobe.captures import Capture
from saeprobe.claims import NotRun
from saeprobe.evidence.values import Measurement, Quantity, Summary
from saeprobe.features import Features, Token
from saeprobe.files import FileError
from saeprobe.prompts import Prompt
from saeprobe.recorded.archives import load_data
from saeprobe.recorded.comparison import FeatureDiff
from saeprobe.recorded.record import AS_RECORDED, Recorded, RecordedStyle, summary_of
from saeprobe.recorded.stated import UNLIKE, Stated
from saeprobe.recorded.summaries import EidTable, read_eid_table, read_feature_diff
from saeprobe.recorded.tensors import FEATURES, ArticleFeatures, entries_of, read_features


def recorded_evidence(directory: Path, capture: Capture, stated: Stated) -> Features | Recorded:
    """Read what the files in `directory` hold in place of `capture`, held against what the subject states.

    Raises:
        NotRun: no file there holds it, or there are several of a kind.
        FileError: a file is damaged, of another shape, or does not agree with the subject.
    """
    subject = stated.subject
    if "effective_rank" in capture.keep:
        table = _one(directory, "eid*.json")
        if table is None:
            raise NotRun(f"{directory} holds no EID table; put one there as eid_persona_results.json")
        ranks = read_eid_table(table, d_in=stated.d_in)
        stated.check(table, styles=ranks.personas, topics=ranks.topics)
        return _from_eid_table(ranks, subject, table.name, _repeats(stated, ranks.personas))
    if capture.at != "last" or "activations" in capture.keep:
        raise NotRun("recorded files hold the features of the last token only; this reads other tokens or activations")
    features = _one(directory, "features*.pt")
    if features is not None:
        read = read_features(features, d_sae=stated.d_sae)
        stated.check(features, styles=read.styles, topics=read.topics)
        found = _from_features(read, subject)
        apart = {style: found[style] for style in _repeats(stated, found.styles)}
        kept = [index for index, prompt in enumerate(found.prompts) if prompt.style not in apart]
        return replace(found.select(kept), family=None, repeats=apart) if apart else found
    diff = _one(directory, "feature_diff*.json")
    if diff is not None:
        compared = read_feature_diff(diff)
        stated.check(diff, styles=compared.avg_active)
        counts = {f"{style}_avg_active": mean for style, mean in compared.avg_active.items()}
        counts |= {f"{style}_only_count": count for style, count in compared.only_count.items()}
        listed = (
            *(rates.index for rows in compared.dominant.values() for rates in rows),
            *chain(*compared.only.values()),
        )
        stated.check_features(diff, counts, numbers=listed)
        return _from_feature_diff(compared, subject, diff.name)
    activations = _one(directory, "activations*.pt")
    remedy = "put features_layer50.pt or feature_diff.json of the run there"
    if activations is not None:
        remedy = f"encode {activations.name} first: saeprobe encode {activations} --sae SAE -o features_layer50.pt"
    raise NotRun(f"{directory} holds no features; {remedy}")


def _repeats(stated: Stated, styles: tuple[str, ...]) -> frozenset[str]:
    """Return the styles of a record that its prompts declare to repeat another."""
    return frozenset(() if stated.prompts is None else stated.prompts.repeats).intersection(styles)


def topics_unlike(directory: Path, capture: Capture, stated: Stated) -> str:
    """Say in words that follow others that a record is of other topics than the capture; empty where none says so.

    A file that cannot be read is reported by the probes that need it.
    """
    rank = "effective_rank" in capture.keep
    try:
        path = _one(directory, "eid*.json" if rank else "features*.pt")
        if path is None:
            return ""
        topics = read_eid_table(path).topics if rank else entries_of(path, load_data(path), FEATURES).topics
    except (FileError, NotRun, OSError):
        return ""
    return f"; {path.name}: {UNLIKE}" if stated.unlike(topics) else ""


def _one(directory: Path, pattern: str) -> Path | None:
    found = sorted(directory.glob(pattern))
    if len(found) > 1:  # nothing says which is meant
        raise NotRun(f"{directory} holds {', '.join(path.name for path in found)}; leave the one that is meant")
    if found and not found[0].is_file():  # a pipe would be waited for
        raise FileError(found[0], "it is no file", wanted="recorded evidence", remedy="put the file itself there")
    return found[0] if found else None


def _from_features(recorded: ArticleFeatures, subject: str) -> Features:
    """Turn recorded features into those of a capture; the lengths of the prompts are not known."""
    prompts = _prompts(recorded.styles, recorded.topics)
    return Features(
        subject=subject,
        acts=csr_array(vstack([recorded.features[style] for style in recorded.styles], format="csr")),
        row_prompt=np.arange(len(prompts)),
        tokens=tuple(Token(position=-1, text="(last token)", start=-1, end=-1) for _ in prompts),
        prompts=prompts,
        n_tokens=None,
        place="last token",
    )


def _from_eid_table(table: EidTable, subject: str, origin: str, repeats: frozenset[str]) -> Recorded:
    every = Measurement(
        measure="effective rank",
        label=" + ".join(table.personas),
        unit="dimensions",
        values=table.eid.T.ravel().astype(np.float64),
        prompts=_prompts(table.personas, table.topics),
        n_tokens=table.seq_len.T.ravel(),
    )
    kept = [persona for persona in table.personas if persona not in repeats]
    whole = replace(every.select(np.array([one.style in kept for one in every.prompts])), label=" + ".join(kept))
    quantities = {persona: replace(every[persona], family=whole) for persona in table.personas}
    by_style = {
        persona: RecordedStyle(style=persona, quantities={"effective rank": found}, origin=origin)
        for persona, found in quantities.items()
    }
    return Recorded(subject=subject, by_style=by_style, origin=origin, repeats=repeats)


def _prompts(styles: tuple[str, ...], topics: tuple[str, ...]) -> tuple[Prompt, ...]:
    """Name prompts by what is known of them: style and topic."""
    return tuple(
        Prompt(text=f"({style} prompt on {topic})", style=style, topic=topic, template=AS_RECORDED)
        for style in styles
        for topic in topics
    )


def _from_feature_diff(diff: FeatureDiff, subject: str, origin: str) -> Recorded:
    """Turn a comparison of two styles into summaries: no value of a single prompt is in it."""
    rows = [row for of_style in diff.dominant.values() for row in of_style]
    rates = {diff.a: {row.index: row.a for row in rows}, diff.b: {row.index: row.b for row in rows}}
    n = smallest_count(tuple(rate for of_style in rates.values() for rate in of_style.values()))
    by_style: dict[str, RecordedStyle] = {}
    for style, active in diff.avg_active.items():
        quantities: dict[str, Quantity] = {"l0": summary_of("l0", style, "features", active, origin)}
        exclusive: dict[str, Summary] = {}
        if style in rates:
            mean, count = diff.avg_intensity[style], diff.only_count[style]
            quantities["mean activation"] = summary_of("mean activation", style, "activation", mean, origin)
            other = diff.b if style == diff.a else diff.a
            exclusive[other] = summary_of("exclusive features", style, "features", count, origin)
        by_style[style] = RecordedStyle(
            style=style,
            quantities=quantities,
            firing_rates=rates.get(style, {}),
            exclusive=exclusive,
            n_at_least=n,
            origin=origin,
        )
    return Recorded(subject=subject, by_style=by_style, origin=origin)


def smallest_count(rates: tuple[float, ...], *, precision: float = 1e-6) -> int | None:
    """Find the smallest n, up to 1,000, for which every rate is a whole number out of n, within float32 rounding."""
    for n in range(1, 1001):
        if all(abs(rate * n - round(rate * n)) <= precision * n for rate in rates):
            return n
    return None

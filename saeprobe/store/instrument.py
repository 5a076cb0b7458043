"""The instrument check decides whether an SAE belongs to the stream that it reads, before any claim rests on it.

The SAE is held against a neutral text at its hook and at the layers beside it. What is read there are captures like
any other, so that they are planned, stored and read again with those of the probes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final, cast

import msgspec
import numpy as np
from msgspec import Meta

from saeprobe.captures import Capture
from saeprobe.features import Features
from saeprobe.files import load_json, quoted, write_whole
from saeprobe.prompts import NEUTRAL, PromptChoice, PromptSet
from saeprobe.store import Store, StoreError, sha256_of
from saeprobe.store.plan import features, parts_of
from saeprobe.subject.local import Subject
from saeprobe.subject.pairing import blocks_before
from saeprobe.subject.provenance import Yardstick
from saeprobe.subject.specification import ReadingError, SubjectError

BETTER_BY: Final = 0.01
"""Variance explained by which a neighbouring layer must surpass the hook before the hook is called misplaced.

On the neutral text of the specimens (40 documents, 1,745 tokens) sparrow's share is 0.919 at its hook with a standard
error of 0.004 over documents, and 0.16 to 0.19 less one block before or after it.
"""
L0_FACTOR: Final = 2.0  # times more or fewer features than published may be active; L0 varies with the text, less so
SHORTFALL: Final = 0.2
"""How far variance explained may fall below the published share; publishers differ in text, context and definition."""
REMEDY: Final = (
    "Check that model and SAE belong together, and hook_name, prepend_bos, center_writing_weights and dtype; "
    "no claim is decided on this subject before"
)
FIGURES: Final = "figures 2"  # written into each file of figures; one that does not say so counts as not there

Finding = tuple[str, str]  # the figures, and what follows from them where the SAE is to fit


@dataclass(frozen=True, kw_only=True)
class LayerFit:
    """A layer fit says how the SAE fits one layer's output on the neutral text.

    `variance_explained` is 1 - sum ||x - x'||^2 / sum ||x - mean(x)||^2, the sums over tokens; None where that is no
    finite number. Of `near_threshold` features a token, in the mean, rounding decides whether they fire; it is None
    where the SAE's features have no threshold of their own.
    """

    shift: int  # blocks from the hook, 0 at the hook itself
    layer: str  # in words, `output of layer 50`
    l0: float  # mean number of active features a token
    variance_explained: float | None
    tokens: int  # how many were read, BOS not among them
    near_threshold: float | None


@dataclass(frozen=True, kw_only=True)
class InstrumentCheck:
    """The instrument check says how the SAE fits its hook and the layers next to it on neutral text.

    `layers` go from first to last; they are empty where the text could not be read. The findings of a `misfit` are
    reported and break nothing.
    """

    broken: Annotated[bool, Meta(description="Whether it breaks every probe on this subject.")]
    findings: Annotated[tuple[str, ...], Meta(description="What is wrong, in words.")]
    misfit: Annotated[str | None, Meta(description="Why the SAE is read elsewhere on purpose.")] = None
    l0: Annotated[Annotated[float, Meta(ge=0)] | None, Meta(description="As published, features a token.")] = None
    variance_explained: Annotated[float | None, Meta(description="As published, a share.")] = None
    source: Annotated[str, Meta(description="Who states the published values.")] = ""
    layers: tuple[LayerFit, ...] = ()

    @property
    def here(self) -> LayerFit | None:
        """Return the fit at the hook."""
        return next((fit for fit in self.layers if fit.shift == 0), None)

    @property
    def reason(self) -> str:
        """Say why it is broken, and what to do."""
        remedy = f". {REMEDY}" if self.layers else ""
        return f"the instrument check failed: {'; '.join(self.findings)}{remedy}"

    @property
    def line(self) -> str:
        """Return the figures in a line, for a terminal."""
        if self.here is None:
            return "; ".join(self.findings)
        beside = [f"{share(fit.variance_explained)} at the {fit.layer}" for fit in self.layers if fit.shift]
        parts = [
            f"{self.here.layer}: variance explained {share(self.here.variance_explained)}"
            + ("" if self.variance_explained is None else f" (published {self.variance_explained:g})"),
            f"L0 {self.here.l0:.1f}" + ("" if self.l0 is None else f" (published {self.l0:g})"),
            *([f"around it {', '.join(beside)}"] if beside else []),
            f"{self.here.tokens:,} tokens",
            *([f"read there on purpose: {self.misfit}"] if self.misfit else []),
        ]
        return "; ".join(parts)


class Instruments:
    """It makes the instrument checks of a run.

    The activations of the neutral text are large and the figures made from them are few: these are written once, under
    a name that says exactly what was read, and a run that finds them reads no activations. `neutral` are, by subject,
    texts in place of the built-in one.
    """

    def __init__(self, store: Store, folder: Path, neutral: Mapping[str, PromptSet]) -> None:
        self._store = store
        self._folder = folder / "instruments"
        self._neutral = neutral

    def captures(self, subject: Subject) -> dict[int, Capture]:
        """Return what must be read for the check of a subject, by shift."""
        return captures(subject.yardstick(), prompts=self._neutral.get(subject.name, NEUTRAL))

    def check(self, subject: Subject) -> InstrumentCheck:
        """Check a subject whose neutral text was read. A PlanError says that it was not read."""
        wanted, hook_name = self.captures(subject), subject.identity().hook_name
        keys = sorted(part.name for capture in wanted.values() for part in parts_of(subject, capture, self._store))
        file = self._folder / f"{sha256_of([FIGURES, *keys])}.json"
        fits = _kept(file)
        if fits is None:
            read = {shift: features(subject, capture, self._store) for shift, capture in wanted.items()}
            fits = [fit_of(of, shift=shift, hook_name=hook_name) for shift, of in read.items()]
            layers = [asdict(fit) for fit in fits]
            figures = {"kind": FIGURES, "subject": subject.name, "layers": layers, "hash": sha256_of(layers)}
            with suppress(OSError):  # on a disk that cannot be written they are worked out again
                write_whole(file, json.dumps(figures, indent=1, allow_nan=False).encode())
        return judge(fits, subject.yardstick(), hook_name=hook_name)


def _kept(file: Path) -> list[LayerFit] | None:
    """Return the figures in a file; None where there is none, or not what was written."""
    try:
        held = cast("dict[str, Any]", load_json(file) if file.is_file() else {})
        trusted = held["kind"] == FIGURES and held["hash"] == sha256_of(held["layers"])
        return msgspec.convert(held["layers"], list[LayerFit]) if trusted else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def captures(yardstick: Yardstick, *, prompts: PromptSet | PromptChoice = NEUTRAL) -> dict[int, Capture]:
    """Return what must be read for the check, by shift: all tokens of the neutral text without a chat template."""
    return {
        shift: Capture(prompts=prompts, at="all", keep=frozenset({"features", "activations"}), shift=shift, raw=True)
        for shift in yardstick.shifts
    }


def layer_in_words(hook_name: str, shift: int) -> str:
    """Say where a hook, or the place so many blocks after it, reads, as users of transformers count layers.

    >>> layer_in_words("blocks.50.hook_resid_post", 0), layer_in_words("blocks.1.hook_resid_pre", -1)
    ('output of layer 50', 'embedding')
    """
    block = _last_block(hook_name, shift)
    return "embedding" if block < 0 else f"output of layer {block}"


def _last_block(hook_name: str, shift: int) -> int:
    """Return the last block that runs before the place so many blocks after a hook; -1 where none does."""
    return cast(int, blocks_before(hook_name)) + shift - 1


def fit_of(read: Features, *, shift: int, hook_name: str) -> LayerFit:
    """Work out the figures of one layer from all tokens of the neutral text read there, `shift` blocks from the hook.

    A ValueError says that no token was read, or the capture did not keep the activations.
    """
    tokens = read.encoded.shape[0]
    if not tokens or read.activations is None or read.squared_error is None:
        raise ValueError("the instrument check needs activations and errors of at least one token")
    x = read.activations.astype(np.float64)
    total = float(((x - x.mean(axis=0)) ** 2).sum())
    explained = 1 - float(read.squared_error.astype(np.float64).sum()) / total if total > 0 else np.nan
    return LayerFit(
        shift=shift,
        layer=layer_in_words(hook_name, shift),
        l0=read.encoded.nnz / tokens,
        variance_explained=explained if np.isfinite(explained) else None,
        tokens=tokens,
        near_threshold=None if read.near is None else read.near.nnz / tokens,
    )


def judge(fits: Sequence[LayerFit], yardstick: Yardstick, *, hook_name: str) -> InstrumentCheck:
    """Judge an SAE by its figures, those at the hook itself among them."""
    layers = tuple(sorted(fits, key=lambda fit: fit.shift))
    here = next(fit for fit in layers if fit.shift == 0)
    found = (_off_l0(here, yardstick),)
    if yardstick.writes_to is None:
        found = (_misplaced(here, layers, hook_name), _off_variance(here, yardstick), *found)
    # With a misfit it is meant so, and nothing is to be mended.
    in_words = "{0}{1}" if yardstick.misfit is None else "the misfit costs this: {0}"
    findings = tuple(in_words.format(*finding) for finding in filter(None, found))
    return InstrumentCheck(
        broken=bool(findings) and yardstick.misfit is None,
        layers=layers,
        l0=yardstick.l0,
        variance_explained=yardstick.variance_explained,
        source=yardstick.source,
        findings=findings,
        misfit=yardstick.misfit,
    )


def unread(error: Exception, *, remedy: str = "") -> InstrumentCheck:
    """Return the check of a subject of which nothing could be read."""
    own = isinstance(error, SubjectError | ReadingError | StoreError)  # these speak for themselves
    finding = f"nothing could be read: {error if own else f'{type(error).__name__}: {quoted(error)}'}"
    return InstrumentCheck(broken=True, findings=(f"{finding}; {remedy}" if remedy else finding,))


def share(variance_explained: float | None) -> str:
    """Write a share of variance with three decimals, or say that it is no number."""
    if variance_explained is None:
        return "not finite"
    return f"{variance_explained:.3f}" if abs(variance_explained) < 100 else f"{variance_explained:.3g}"  # noqa: PLR2004 - beyond, decimals say nothing


def _misplaced(here: LayerFit, layers: Sequence[LayerFit], hook_name: str) -> Finding | None:
    """Find a neighbouring layer that the SAE fits better."""
    best = max(layers, key=lambda fit: -np.inf if fit.variance_explained is None else fit.variance_explained)
    if best.shift == 0 or best.variance_explained is None:
        return None
    if here.variance_explained is not None and best.variance_explained <= here.variance_explained + BETTER_BY:
        return None
    if best.variance_explained <= 0:
        return "the SAE fits none of the layers tried", ": it is probably of another model"
    off = "one" if abs(best.shift) == 1 else str(abs(best.shift))
    block = _last_block(hook_name, best.shift)
    remedy = f': declare hook_name = "blocks.{max(block, 0)}.hook_resid_{"pre" if block < 0 else "post"}"'
    better = f"the SAE fits the {best.layer} better than the {here.layer}, where it is read: variance explained "
    figures = f"{better}{share(best.variance_explained)} against {share(here.variance_explained)}"
    return figures, f"; hook_name {hook_name} is off by {off}{remedy}"


def _off_variance(here: LayerFit, yardstick: Yardstick) -> Finding | None:
    """Find variance explained that is no number, none at all, or far below the published share."""
    found, stated = here.variance_explained, yardstick.variance_explained
    published = "" if stated is None else f", and {yardstick.source or 'its publisher'} states {stated:g}"
    if found is None:
        return f"variance explained is no finite number on neutral text{published}", ""
    if found <= 0:
        return f"the SAE explains no variance of what it reads: {share(found)} on neutral text{published}", ""
    if stated is None or found >= stated - SHORTFALL:
        return None
    figures = f"variance explained is {share(found)} on neutral text{published}"
    return figures, f"; at least {stated - SHORTFALL:g} was wanted"


def _off_l0(here: LayerFit, yardstick: Yardstick) -> Finding | None:
    stated = yardstick.l0
    if stated is None or stated / L0_FACTOR <= here.l0 <= stated * L0_FACTOR:
        return None
    figures = f"L0 is {here.l0:.1f} features a token on neutral text, and {yardstick.source or 'its publisher'} states"
    return f"{figures} {stated:g}", f"; wanted {stated / L0_FACTOR:g} to {stated * L0_FACTOR:g}"

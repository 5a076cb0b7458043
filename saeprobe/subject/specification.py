"""A specification says which model, SAE and protocol a subject is made of; what is read of it has its types here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np

from saeprobe.captures import At
from saeprobe.features import Keep, Token
from saeprobe.prompts import PromptFile, PromptSet
from saeprobe.shapes import Float, Int

Dtype = Literal["float32", "bfloat16", "float16"]
Quantisation = Literal["8bit", "8bit where it can"]
Memory = Literal["auto", "resident", "sharded", "streamed"]
Family = Literal["layers", "bridge"]  # what runs a model: transformers layer by layer, or TransformerLens as a whole
RandomPart = Literal["random-model", "random-sae"]  # a control draws the model's weights, or what the SAE reads
Share = Callable[[float], None]  # it is called with the share of the work that is done, between 0 and 1


_SPECIMENS: Final = Path(__file__).resolve().parents[1] / "specimens"


class SubjectError(ValueError):
    """A subject is declared wrongly, or its model and SAE do not belong together."""


class ReadingError(ValueError):
    """A prompt cannot be read or continued as asked."""


@dataclass(frozen=True, kw_only=True)
class _OnDisk:
    path: Path

    def __str__(self) -> str:
        return str(self.path)


class SaeFolder(_OnDisk):
    """An SAE is saved by sae-lens in a folder with `cfg.json` and `sae_weights.safetensors`."""


class SaeFile(_OnDisk):
    """An SAE lies in one `.pt` file in Goodfire's format, which does not say where it reads: that must be declared."""


@dataclass(frozen=True, kw_only=True)
class SaeRelease:
    """An SAE is named in sae-lens' registry by its release and its id there."""

    release: str
    id: str

    def __str__(self) -> str:
        return f"{self.release}/{self.id}"


Sae = SaeFolder | SaeFile | SaeRelease


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """The shape of a model holds the sizes on which its memory depends."""

    family: Family
    hidden: int  # width of the residual stream, `d_in` of the SAE
    layers: int
    heads: int
    kv_heads: int  # heads of keys and values
    intermediate: int  # width of the MLP
    vocabulary: int  # rows of the embedding; 0 where its configuration does not say
    positions: int  # tokens it can attend to
    gated: bool = True  # whether its MLPs have three matrices; with two, a table of positions is counted too


@dataclass(frozen=True, kw_only=True)
class SubjectSpec:
    """A specification holds a subject as declared, built in or in `[tool.saeprobe.subjects.NAME]`.

    None means "as the SAE's own configuration says"; what that does not say must be given here.
    """

    name: str  # what `subjects(...)` and `-m` select
    model: str | Path  # a folder in Hugging Face format, or a name on the Hub
    sae: Sae  # the SAE
    root: Path | None = None  # reports name folders inside this one by their path from here
    summary: str = ""  # one line for people
    markers: tuple[str, ...] | None = None  # None: its name; a protocol of another subject has that one's name too
    protocol_of: str | None = None  # the subject of which this one is another protocol
    misfit: str | None = None  # why the SAE is read where it does not belong; the check then breaks nothing
    fits_at: str | None = None  # of a protocol, the hook of the nearest subject without misfit that it is one of
    wording: str = "english"  # which prompt set of a choice it reads: `specimen`, `english` or `chinese`
    prompts: PromptFile | None = None  # what it reads in the place of STYLES
    prompts_from: str | None = None  # where that comes from, if it is to be given: it reads no built-in one instead
    own_prompts: bool = False  # whether one of these two is its own, and not that of the subject it is a protocol of
    other_prompts: bool = False  # whether an option or the ini gives these, and it neither declares nor needs them
    specimen: bool = False  # ships with the project
    default: bool | None = None  # whether it runs where no `-m` selects; None: nothing is said of it
    fetch: tuple[str, ...] = ()  # patterns of the model's files to be fetched from the Hub; all where there is none
    shape: ModelShape | None = None  # the model's sizes, known before its files are here
    d_sae: int | None = None  # features of the SAE, likewise
    revision: str | None = None  # branch, tag or commit of the model on the Hub; of a folder, what its SAE calls it
    hook_name: str | None = None  # where the SAE reads, in TransformerLens' names
    prepend_bos: bool | None = None  # whether each prompt begins with BOS
    bos_token: str | None = None  # the token that stands for BOS, where the SAE was trained with another
    bos_twice: bool = False  # whether BOS stands before each prompt once more, as published
    rank_with_bos: bool = False  # whether the effective rank of a prompt takes BOS in, as published
    chat_template: bool = False  # whether a prompt is put into the model's chat template, as a user's turn
    center_writing_weights: bool | None = None  # whether the SAE reads the stream minus its mean over `d_model`
    context_size: int | None = None  # tokens a prompt may have, BOS included
    dtype: Dtype = "float32"  # what the model computes in
    sae_dtype: Dtype = "float32"  # what the SAE computes in
    quantisation: Quantisation | None = None  # `8bit where it can` falls back on `dtype` without CUDA or bitsandbytes
    device: str = "auto"  # as torch writes it; `auto` takes an accelerator where there is one
    memory: Memory = "auto"  # where the weights lie while they are used; `auto` chooses by what the machine has
    l0: float | None = None  # active features a token on plain text, as the SAE's publisher states it
    variance_explained: float | None = None  # share of the variance that the SAE reconstructs, likewise
    try_next_layer: bool = True  # whether the check also reads the block after the hook, at the price of its weights
    wrong: str | None = None  # why this declaration cannot be used; then only its name and its markers count
    allow_other_model: bool = False  # whether the SAE may have been trained on another model than the one named here

    @property
    def reads(self) -> str:
        """Say in words what it reads where a probe asks for STYLES."""
        if self.prompts is None and self.prompts_from is not None:
            return f"none given; they come from {self.prompts_from}"
        return f"STYLES, {self.wording}" if self.prompts is None else str(self.prompts)

    @property
    def reads_published(self) -> bool:
        """Say whether it reads the prompts of a published run again, on which the published features were picked."""
        repeats = self.protocol_of is not None or self.name.endswith("-as-published")
        return repeats and self.prompts is not None and not self.other_prompts

    def in_reports(self, what: str | Path | Sae) -> str:
        """Name the model or the SAE as reports do."""
        folder = what.path if isinstance(what, _OnDisk) else what
        shipped = isinstance(folder, Path) and folder.resolve().is_relative_to(_SPECIMENS)
        root = _SPECIMENS.parents[1] if shipped else self.root
        if isinstance(folder, Path) and root is not None and folder.resolve().is_relative_to(root.resolve()):
            return folder.resolve().relative_to(root.resolve()).as_posix()
        return str(folder)


@dataclass(frozen=True, kw_only=True)
class Randomisation:
    """A randomisation makes a subject a control: one part of it is drawn at random, the rest stays as it is.

    On the `neutral` text, which is read without chat template and BOS as for an instrument check, each feature is made
    to fire as often as in the trained subject. What the draw of one `seed` shows is also its own luck: of 1,280 random
    directions some 20 fire on a token, and the square root of that is about what one draw differs by from another.
    """

    part: RandomPart
    neutral: PromptSet
    seed: int = 0

    @property
    def label(self) -> str:
        """Name what is random: `random model` or `random SAE`."""
        return {"random-model": "random model", "random-sae": "random SAE"}[self.part]


@dataclass(frozen=True, kw_only=True)
class Download:
    """A download says what a subject needs of a repository of the Hub."""

    repo: str
    revision: str | None = None  # branch, tag or commit; None for its main branch
    patterns: tuple[str, ...] = ()  # of the files; all where there is none
    depth: int | None = None  # of a sharded model only what the blocks below this depth need; None for all of it


@dataclass(frozen=True, kw_only=True)
class Identity:
    """An identity holds everything that decides what a subject computes; no torch is imported to know it.

    `fingerprint` is a SHA-256 over the model's and the SAE's content hashes, hook, dtype, tokenisation protocol and
    the versions of the libraries that compute: stored evidence of another fingerprint is never used.
    """

    name: str
    model: str
    model_hash: str
    sae: str
    sae_hash: str
    hook_name: str
    d_in: int
    d_sae: int
    dtype: str
    protocol: str  # in words, how a prompt is read
    fingerprint: str
    tolerance: float = 0.0  # by how much rounding may move an activation, as a share of the residual stream's norm
    fixed_l0: int | None = None  # features that the SAE keeps of each token, whatever the text
    versions: dict[str, str] = field(default_factory=dict[str, str])


UNIT_ROUNDOFF: Final[dict[str, float]] = {"bfloat16": 2.0**-8, "float16": 2.0**-11}  # 8 and 11 bits of significand


def tolerance_of(dtype: Dtype, *, depth: int) -> float:
    """Bound `|x - y| / |x|` for a token's stream `[d_in]` after `depth` layers, computed twice in different batches.

    Both are right: kernels sum in an order that depends on the batch's shape, so results of one operation differ by a
    rounding of the dtype they are stored in.

    In 16 bits the stream itself is what is rounded most often, twice a layer. Round-to-nearest with unit roundoff u
    leaves an error of root mean square 0.38 u of the value (uniform over the spacing 2u, mantissas uniform in [1, 2):
    2u / sqrt(12) over sqrt(7/3)), so two runs differ by 0.53 u a rounding. These add up like a random walk (Higham
    and Mary 2019, "A new approach to probabilistic rounding error analysis"): over 2 x depth roundings of a stream
    whose square grows evenly, 0.53 u sqrt(depth). About 10 roundings inside each block's attention and MLP add
    0.53 u sqrt(10), whatever the depth. The bound is `2 u sqrt(depth)`, which for 51 layers is 3.4 times that sum
    and leaves the rest to what later layers make of the difference: 0.056 in bfloat16, 0.007 in float16. Both lie below
    what one layer more or fewer changes, about `1 / sqrt(depth)`.

    In float32 the sums inside the products dominate, which depend on the kernel; the bound is 1e-4, flat. 8-bit
    weights have none: LLM.int8 picks outlier columns over a batch (Dettmers et al. 2022, arXiv 2208.07339).
    """
    if dtype == "float32":
        return 1e-4
    return 2 * UNIT_ROUNDOFF[dtype] * math.sqrt(max(depth, 1))


@dataclass(frozen=True, kw_only=True)
class Want:
    """A want says which tokens of a prompt to read, and what to keep of them.

    `shift` reads that many blocks after the hook (before it where negative); `raw` leaves the chat template out. Both
    are for the instrument check, which holds the SAE against its neighbouring layers on a neutral text.
    """

    at: At
    keep: frozenset[Keep]
    shift: int = 0
    raw: bool = False
    again: str = ""  # the style for which a prompt is read once more; empty for its first reading


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request is one prompt and all that is wanted of it; only those of one `batch` share a forward pass."""

    text: str
    wants: tuple[Want, ...]
    batch: str = ""

    def __post_init__(self) -> None:
        if len({want.raw for want in self.wants}) > 1:
            raise ValueError("a request is read in the chat template or without it; make two requests")

    @property
    def raw(self) -> bool:
        """Say whether the prompt is read without the chat template."""
        return any(want.raw for want in self.wants)


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """A reading holds what was read of one prompt: arrays with one row a token read, features in sparse rows.

    `indices` of a row ascend; `values` are above zero; no features, no rows. `near` are the features of which rounding
    decides whether they fire (`Identity.tolerance`), ascending, none where they have no threshold of their own. A
    transcoder has no `squared_error`. `effective_rank` is of all tokens, with or without BOS as the protocol says. The
    model saw all of `ids`, tokens of the text `rendered`; alone they write `pieces`, which no store gives back.
    """

    tokens: tuple[Token, ...]
    n_tokens: int
    indices: Sequence[Int[np.ndarray, " active"]] = ()
    values: Sequence[Float[np.ndarray, " active"]] = ()
    squared_error: Float[np.ndarray, " read"] | None = None
    activations: Float[np.ndarray, "read d_in"] | None = None
    effective_rank: float | None = None
    near: Sequence[Int[np.ndarray, " near"]] = ()
    ids: tuple[int, ...] = ()
    rendered: str = ""
    pieces: tuple[str, ...] = ()

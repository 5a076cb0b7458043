"""A specification says which model, SAE and protocol a subject is made of; what is read of it has its types here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

import numpy as np
from jaxtyping import Float, Int

from saeprobe.captures import At, Steering
from saeprobe.features.continuations import Continuation
from saeprobe.features.sparse import Keep, Token
from saeprobe.prompts import Prompt, PromptSet

Dtype = Literal["float32", "bfloat16", "float16"]
Quantisation = Literal["8bit", "8bit where it can"]
Memory = Literal["auto", "resident", "sharded", "streamed"]

Family = Literal["layers", "bridge"]
"""Which library runs a model: transformers layer by layer, or a TransformerLens bridge as a whole."""

RandomPart = Literal["random-model", "random-sae"]
"""What is drawn at random in a control: the weights of the model, or the directions that the SAE reads."""

Share = Callable[[float], None]
"""It is called with the share of the work that is done, between 0 and 1."""

_MIRROR: Final = "where huggingface.co is out of reach, put HF_ENDPOINT=https://hf-mirror.com before it"


class SubjectError(ValueError):
    """A subject is declared wrongly, or its model and SAE do not belong together."""


class ReadingError(ValueError):
    """A prompt cannot be read or continued as asked."""


@dataclass(frozen=True, kw_only=True)
class SaeFolder:
    """An SAE is saved by sae-lens in a folder with `cfg.json` and `sae_weights.safetensors`."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, kw_only=True)
class SaeFile:
    """An SAE lies in one `.pt` file in Goodfire's format, which does not say where it reads: that must be declared."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


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
    """The shape of a model holds the sizes on which its memory depends.

    Attributes:
        family: which library runs it.
        hidden: width of the residual stream, `d_in` of the SAE.
        layers: blocks.
        heads: attention heads.
        kv_heads: heads of keys and values.
        intermediate: width of the MLP.
        vocabulary: rows of the embedding.
        positions: tokens it can attend to.
    """

    family: Family
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int
    positions: int


@dataclass(frozen=True, kw_only=True)
class SubjectSpec:
    """A specification holds a subject as declared, built in or in `[tool.saeprobe.subjects.NAME]`.

    None means "as the SAE's own configuration says"; what that does not say must be given here.

    Attributes:
        name: what `subjects(...)` and `-m` select.
        model: a folder in Hugging Face format, or a name on the Hub.
        sae: the SAE.
        root: reports name folders inside this one by their path from here, so that they say nothing of the machine.
        summary: one line for people.
        markers: its name and, for a protocol of another subject, that subject's name.
        protocol_of: the subject of which this one is another protocol.
        misfit: why the SAE is read where it does not belong, on purpose; the instrument check then breaks nothing.
        wording: which prompt set of a choice it reads.
        specimen: ships with the project.
        default: runs where no `-m` selects.
        fetch: patterns of the model's files to be fetched from the Hub; all of them where there is none.
        shape: the model's sizes, known before its files are here.
        d_sae: features of the SAE, likewise.
        revision: branch, tag or commit of the model on the Hub.
        hook_name: where the SAE reads, in TransformerLens' names.
        prepend_bos: whether each prompt begins with BOS.
        bos_twice: whether a second BOS stands before the one that the chat template writes, as published.
        rank_with_bos: whether the effective rank of a prompt takes BOS in, as published.
        chat_template: whether a prompt is put into the model's chat template, as a user's turn before the answer.
        center_writing_weights: whether the SAE reads the residual stream minus its mean over `d_model`.
        context_size: tokens a prompt may have, BOS included.
        dtype: what the model computes in.
        sae_dtype: what the SAE computes in.
        quantisation: of the model's weights; `8bit where it can` falls back on `dtype` without CUDA and bitsandbytes.
        device: as torch writes it; `auto` takes an accelerator where there is one.
        memory: where the weights lie while they are used; `auto` chooses by what the machine has.
        l0: active features a token on plain text, as the SAE's publisher states it.
        variance_explained: share of the variance that the SAE reconstructs, as its publisher states it.
        try_next_layer: whether the instrument check also reads the block after the hook, at the price of its weights.
        allow_other_model: whether the SAE may have been trained on another model than the one named here.
    """

    name: str
    model: str | Path
    sae: Sae
    root: Path | None = None
    summary: str = ""
    markers: tuple[str, ...] = ()
    protocol_of: str | None = None
    misfit: str | None = None
    wording: str = "english"
    specimen: bool = False
    default: bool = False
    fetch: tuple[str, ...] = ()
    shape: ModelShape | None = None
    d_sae: int | None = None
    revision: str | None = None
    hook_name: str | None = None
    prepend_bos: bool | None = None
    bos_twice: bool = False
    rank_with_bos: bool = False
    chat_template: bool = False
    center_writing_weights: bool | None = None
    context_size: int | None = None
    dtype: Dtype = "float32"
    sae_dtype: Dtype = "float32"
    quantisation: Quantisation | None = None
    device: str = "auto"
    memory: Memory = "auto"
    l0: float | None = None
    variance_explained: float | None = None
    try_next_layer: bool = True
    allow_other_model: bool = False

    def in_reports(self, what: str | Path | Sae) -> str:
        """Name the model or the SAE as reports do."""
        folder = what.path if isinstance(what, SaeFolder | SaeFile) else what
        if not isinstance(folder, Path):
            return str(folder)
        whole = folder.resolve()
        if self.root is not None and whole.is_relative_to(self.root.resolve()):
            return whole.relative_to(self.root.resolve()).as_posix()
        return str(folder)


@dataclass(frozen=True, kw_only=True)
class Randomisation:
    """A randomisation makes a subject a control: one part of it is drawn at random, the rest stays as it is.

    Attributes:
        part: what is drawn.
        neutral: the text on which each feature is made to fire as often as in the trained subject, read without chat
            template and BOS as for an instrument check.
        seed: of the draw. What one draw shows is also its own luck: of 1,280 random directions some 20 fire on a token,
            and the square root of that is about what one draw differs by from another.
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
    """A download says what a subject needs from the Hub.

    Attributes:
        repo: the repository.
        revision: branch, tag or commit; None for its main branch.
        patterns: of the files; all where there is none.
        depth: of a sharded model only what the blocks below this depth need; None for all of it.
    """

    repo: str
    revision: str | None = None
    patterns: tuple[str, ...] = ()
    depth: int | None = None


def absent(what: Iterable[str], name: str) -> str:
    """Say which weights of the subject `name` are absent and what brings them."""
    return f"the weights of {' and '.join(what)} are not here; run: saeprobe fetch {name} ({_MIRROR})"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """An identity holds everything that decides what a subject computes; no torch is imported to know it.

    `fingerprint` is a SHA-256 over the model's and the SAE's content hashes, hook, dtype, tokenisation protocol and
    the versions of the libraries that compute: stored evidence of another fingerprint is never used. `protocol` says
    in words how a prompt is read. `tolerance` is by how much rounding may move an activation, as a share of the
    residual stream's norm.
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
    protocol: str
    fingerprint: str
    tolerance: float = 0.0
    versions: dict[str, str] = field(default_factory=dict[str, str])


_UNIT_ROUNDOFF: Final[dict[Dtype, float]] = {"bfloat16": 2.0**-8, "float16": 2.0**-11}  # 8 and 11 bits of significand
_FLOAT32: Final = 1e-4


def tolerance_of(dtype: Dtype, *, depth: int) -> float:
    """Bound `|x - y| / |x|` for one token's residual stream `[d_in]`, computed twice in different batches.

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

    In float32 the sums inside the products dominate, which depend on the kernel; the bound is 1e-4, flat.

    8-bit weights have no bound here: LLM.int8 picks its outlier columns over all tokens of a batch (Dettmers et al.
    2022, arXiv 2208.07339), so what shares a batch with a prompt is part of the result.

    Args:
        dtype: what the model computes in.
        depth: layers that ran.
    """
    if dtype == "float32":
        return _FLOAT32
    return 2 * _UNIT_ROUNDOFF[dtype] * math.sqrt(max(depth, 1))


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


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """A yardstick is what an instrument check is held against.

    Attributes:
        l0: active features a token, as the SAE's publisher states it; None where nobody does.
        variance_explained: share of the variance that the SAE reconstructs, as the publisher states it.
        source: who says so.
        shifts: which layers are tried, in blocks from the hook; 0 is the hook itself.
        misfit: why the SAE is read where it does not belong, on purpose; None where it is to fit.
    """

    l0: float | None = None
    variance_explained: float | None = None
    source: str = ""
    shifts: tuple[int, ...] = (-1, 0, 1)
    misfit: str | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request is one prompt and all that is wanted of it; it runs once however much that is.

    Raises:
        ValueError: some of it is wanted in the chat template and some without.
    """

    text: str
    wants: tuple[Want, ...]

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

    `indices` of a row ascend; `values` are above zero. `near` are the features of a row that lie so close to firing or
    not firing that rounding decides (`Identity.tolerance`), ascending; no rows where the SAE's features have no
    threshold of their own. `effective_rank` is of all tokens of the prompt, with or without BOS as the protocol says.
    """

    tokens: tuple[Token, ...]
    n_tokens: int
    indices: tuple[Int[np.ndarray, " active"], ...]
    values: tuple[Float[np.ndarray, " active"], ...]
    squared_error: Float[np.ndarray, " read"]
    activations: Float[np.ndarray, "read d_in"] | None = None
    effective_rank: float | None = None
    near: tuple[Int[np.ndarray, " near"], ...] = ()


class Reader(Protocol):
    """A reader is a subject in memory."""

    @property
    def device(self) -> str:
        """Name the device on which the model computes, as torch writes it."""
        ...

    def read(
        self, requests: Sequence[Request], *, batch_size: int = 32, progress: Share | None = None
    ) -> Iterator[tuple[int, list[Reading]]]:
        """Run the model up to the hook; yield for each request its index and a reading a want, each request once.

        Args:
            requests: in any order; they are answered in an order of the model's own choosing.
            batch_size: prompts a forward pass at most.
            progress: called with the share of the forward passes that is done.

        Raises:
            ReadingError: a text does not fit the context, has no tokens or contains special ones; a prompt cannot be
                read as wanted.
        """
        ...

    def continue_(
        self, prompts: Sequence[Prompt], steering: Steering, *, experiment: Sequence[str]
    ) -> Iterator[tuple[Prompt, list[Continuation]]]:
        """Run a steering experiment on `prompts`; yield all continuations of a prompt at once, prompt by prompt.

        `experiment` are the texts of the whole experiment, of which `prompts` may be the part that is not stored yet:
        the random features are drawn from those that fire on them.
        """
        ...

"""The protocol of a subject: a language model, its SAE, and the hook point where the SAE reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int

from saeprobe.captures import At, Steering
from saeprobe.continuations import Continuation
from saeprobe.features import Keep, Token
from saeprobe.prompts import Prompt


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Everything that decides what a subject computes, known without importing torch.

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
    protocol: str
    """In words: BOS, chat template, token read."""
    fingerprint: str
    versions: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Want:
    """Which tokens of a prompt to read, and what to keep of them."""

    at: At
    keep: frozenset[Keep]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One prompt and all that is wanted of it; it runs once however much that is."""

    text: str
    wants: tuple[Want, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """What was read of one prompt. Arrays have one row a token read, `[read]`; features in sparse rows.

    `indices` of a row ascend; `values` are above zero. `effective_rank` is of all tokens of the prompt but BOS.
    """

    tokens: tuple[Token, ...]
    n_tokens: int
    indices: tuple[Int[np.ndarray, " active"], ...]
    values: tuple[Float[np.ndarray, " active"], ...]
    squared_error: Float[np.ndarray, " read"]
    activations: Float[np.ndarray, "read d_in"] | None = None
    effective_rank: float | None = None


class Reader(Protocol):
    """A subject in memory."""

    @property
    def device(self) -> str:
        """As torch writes it."""
        ...

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens that the model would see of each text, BOS included.

        Raises:
            ReadingError: a text does not fit the context, or already begins with BOS.
        """
        ...

    def read(self, requests: Sequence[Request]) -> list[list[Reading]]:
        """Run one batch, stopped at the hooked layer; for each request a reading a want, in order.

        Raises:
            ReadingError: a prompt cannot be read as wanted.
        """
        ...

    def continue_(
        self, prompts: Sequence[Prompt], steering: Steering, *, experiment: Sequence[str]
    ) -> Iterator[tuple[Prompt, list[Continuation]]]:
        """Run a steering experiment on `prompts`; all continuations of a prompt at once, one prompt after another.

        `experiment` are the texts of the whole experiment, of which `prompts` may be the part that is not stored yet:
        the random features are drawn from those that fire on them.
        """
        ...


class Subject(Protocol):
    """A language model, its SAE and a hook point; cheap to hold, loaded by `open`."""

    @property
    def name(self) -> str:
        """What `subjects(...)` and `-m` select."""
        ...

    @property
    def markers(self) -> tuple[str, ...]:
        """Its own name and, for a protocol of another subject, that subject's (`llama70b`)."""
        ...

    @property
    def wording(self) -> str:
        """Which of the built-in prompt sets it reads: `specimen`, `english` or `chinese`."""
        ...

    @property
    def specimen(self) -> bool:
        """Ships with the project."""
        ...

    @property
    def default(self) -> bool:
        """Runs where no `-m` selects: the specimens, and users' subjects that say so."""
        ...

    def missing(self) -> str | None:
        """Why it cannot run here and the command that would bring what is absent; None where it can."""
        ...

    def identity(self) -> Identity:
        """What it is, without importing torch. Only asked where nothing is `missing`."""
        ...

    def open(self) -> Reader:
        """Load it."""
        ...


class ReadingError(ValueError):
    """A prompt cannot be read or continued as asked."""

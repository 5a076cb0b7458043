"""Features are held as compressed sparse rows, a row a token, with the table of their prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from saeprobe.claims import Control, NotRun
from saeprobe.files import visible
from saeprobe.prompts import Prompt, incomplete, no_style
from saeprobe.shapes import Float, Int

if TYPE_CHECKING:
    import pandas as pd


Keep = Literal["features", "activations", "effective_rank"]


class Rows(Sequence[np.ndarray]):
    """Rows of any lengths lie one after another in `flat`, each from its place in `at` to that of the next."""

    def __init__(self, at: np.ndarray, flat: np.ndarray) -> None:
        self.at, self.flat = at, flat

    def __len__(self) -> int:
        return len(self.at) - 1

    def __getitem__(self, row: Any) -> Any:
        return self.flat[self.at[row] : self.at[row + 1]]

    @property
    def whole(self) -> np.ndarray:
        """Return all rows as one."""
        return self.flat[self.at[0] : self.at[-1]]

    def ascend(self, *, below: int) -> bool:
        """Say whether the numbers of each row ascend and lie in [0, below)."""
        steps, numbers = np.diff(self.flat) > 0, self.flat
        steps[self.at[(self.at > 0) & (self.at < len(numbers))] - 1] = True  # from the last of a row to the next row
        return bool(steps.all() and ((numbers >= 0) & (numbers < below)).all())


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token that was read has a position in what the model saw (BOS counts) and characters in the prompt.

    `start` and `end` are -1 for a token that stands for no character of the prompt (BOS, chat template).
    """

    position: int
    text: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """A run whose numbers somebody recorded need not have read the prompts behind printed numbers."""

    origin: str  # the names of its files
    n: int | None = None  # its prompts a style
    shares: bool = False  # whether it gives shares alone, so that those of any multiple of `n` look the same
    language: str = ""  # "zh" or "en" where its topics are known
    another: str = ""  # how it differs from a run on the subject's own prompts; empty where nothing shows it
    own: int | None = None  # the subject's own prompts a style
    own_language: str = ""  # of these
    unplaced: str = ""  # why nobody knows which of its topics is the first one; empty where that is known

    def __str__(self) -> str:
        n = f", {self.n} prompts a style" if self.n and not self.shares else ""
        return f"as recorded in {self.origin}{n}" + (f" ({self.another})" if self.another else "")

    def apart(self, n: int | None, language: str = "") -> str:
        """Say how it differs from a run with `n` prompts a style, which was printed; empty where nothing shows it.

        Numbers that are printed of more or fewer prompts than the subject's own, or of prompts in another language, are
        of other prompts than these, which say nothing of them.
        """
        if language and self.language and language != self.language:
            return f"its topics are in {self.language!r} where numbers on prompts in {language!r} are printed"
        of_own = n in (None, self.own) and (not (language and self.own_language) or language == self.own_language)
        if self.another and of_own:
            return self.another
        if None in (n, self.n) or n == self.n or (self.shares and not cast(int, n) % cast(int, self.n)):
            return ""
        return f"{'a multiple of ' if self.shares else ''}{self.n} prompts a style where {n} are printed"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Features:
    """A subject's feature activations on some prompts are sparse rows.

    A row is one token that was read; a prompt has one row when read at `last` and several when read at `all` or a
    span. Rows of a prompt are adjacent and in order. Arrays that the capture did not keep are None; `encoded` gives
    `acts`, or says how to keep them.
    """

    subject: str  # its name
    acts: csr_array | None  # activations of the SAE's features, `[rows, d_sae]`, only those above zero stored; if kept
    row_prompt: Int[np.ndarray, " rows"]  # index into `prompts` of each row, ascending
    tokens: tuple[Token, ...]  # the token of each row
    prompts: tuple[Prompt, ...]
    n_tokens: Int[np.ndarray, " prompts"] | None  # of each prompt, BOS and chat template included; None for a record
    squared_error: Float[np.ndarray, " rows"] | None = None  # `||x - decode(encode(x))||^2`; NaN of a transcoder
    activations: Float[np.ndarray, "rows d_in"] | None = None  # the hooked activations x, if kept
    # of the centred activations of all tokens of each prompt, if kept
    effective_rank: Float[np.ndarray, " prompts"] | None = None
    # features so close to their threshold, on either side, that rounding decides whether they fire: `[rows, d_sae]`,
    # True where stored; None where a record has none
    near: csr_array | None = None
    tolerance: float = 0.0  # by how much rounding may move an activation, as a share of the residual stream's norm
    fixed_l0: int | None = None  # features that the SAE keeps of each token, whatever the text; None where it decides
    place: str = ""  # the tokens that were read of each prompt, such as `last token`; empty where a record has none
    of_several: bool = False  # whether a probe has features of several subjects; the label then names the subject
    family: Features | None = None  # the whole capture that this was selected from; None where this is the whole
    # The whole capture as a control reads it (`injection`, `random-model`, `random-sae`), made when it is needed; only
    # those that the plan holds. A random control has one a draw, another control a single one.
    conditions: Mapping[Control, Sequence[Callable[[], Features]]] = field(
        default_factory=dict["Control", "Sequence[Callable[[], Features]]"]
    )
    # by style, why its prompts were not read, of styles that another prompt file would have
    lacking: Mapping[str, str] = field(default_factory=dict[str, str])
    # by style, the words of its own that its prompts say, where their file names them
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    run: RecordedRun | None = None  # of which run they are recorded; None where a model was run
    # of a whole capture, the second readings, by the style that repeats another; no whole counts them in
    repeats: Mapping[str, Features] = field(default_factory=dict[str, "Features"])

    def __post_init__(self) -> None:
        rows = len(self.tokens) if self.acts is None else self.acts.shape[0]
        if not rows == len(self.row_prompt) == len(self.tokens):
            raise ValueError(f"{rows} rows of features, {len(self.row_prompt)} row prompts, {len(self.tokens)} tokens")
        if self.n_tokens is not None and len(self.prompts) != len(self.n_tokens):
            raise ValueError(f"{len(self.prompts)} prompts but token counts of {len(self.n_tokens)}")
        if self.near is not None and self.near.shape != self.encoded.shape:
            raise ValueError(f"near is {self.near.shape} and acts {self.encoded.shape}; wanted a row a token in both")

    def __repr__(self) -> str:
        return visible(f"<Features of {self.subject}: {len(self)} prompts, {len(self.tokens)} tokens, {self.label}>")

    @property
    def encoded(self) -> csr_array:
        """Return `acts`; a TypeError is raised where the capture kept the effective rank alone."""
        if self.acts is None:
            alone = f"the capture of {self.label} keeps the effective rank alone, which goes through no SAE"
            raise TypeError(f'{alone}; write capture(..., keep=("features", "effective_rank")) to read features too')
        return self.acts

    def over_tokens(self, values: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " prompts"]:
        """Return the mean of one value a row over each prompt; a ValueError says that no token of one was read."""
        rows = np.bincount(self.row_prompt, minlength=len(self))
        if (rows == 0).any():
            prompt = self.prompts[int(np.flatnonzero(rows == 0)[0])]
            raise ValueError(f"no token was read of {prompt.text!r}")
        return np.bincount(self.row_prompt, weights=values, minlength=len(self)) / rows

    @property
    def d_sae(self) -> int:
        """Return the number of features of the SAE; raises as `encoded`."""
        return int(self.encoded.shape[1])

    @property
    def styles(self) -> tuple[str, ...]:
        """List the styles of the prompts; NotRun is raised where a record lacks some that are asked for."""
        if self.run is not None and self.lacking:
            raise incomplete(self.run.origin, self.lacking)
        return self.present

    @property
    def present(self) -> tuple[str, ...]:
        """List the styles of the prompts that are here, whatever was asked for."""
        return tuple(dict.fromkeys(prompt.style for prompt in self.prompts))

    @property
    def whole(self) -> Features:
        """Return the capture that this was selected from."""
        return self if self.family is None else self.family

    @property
    def label(self) -> str:
        """Join the styles: `novice`, or `novice + expert`; `novice on finch` where a probe has several subjects."""
        return " + ".join(self.present) + (f" on {self.subject}" if self.of_several else "")

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, style: str) -> Features:
        """Select the prompts of one style, or of one that repeats another.

        Raises:
            KeyError: no prompt has that style.
            NotRun: the prompt file of the subject lacks it, or the record.
        """
        if style in self.lacking:
            raise NotRun(self.lacking[style])
        if style in self.repeats:
            return replace(self.repeats[style], family=self, of_several=self.of_several)
        chosen = [index for index, prompt in enumerate(self.prompts) if prompt.style == style]
        if not chosen:
            raise no_style(style, (*self.present, *self.repeats), self.run.origin if self.run else "")
        return replace(self.select(chosen), lacking={})

    @property
    def first_topic(self) -> Features:
        """Select one prompt a style: on the first topic, under the style's first template.

        NotRun says that of a record nobody knows which topic was the first.
        """
        if self.run is not None and self.run.unplaced:
            raise NotRun(self.run.unplaced)
        first: dict[str, int] = {}
        for index, prompt in enumerate(self.prompts):
            if prompt.topic == self.prompts[0].topic:
                first.setdefault(prompt.style, index)
        return self.select(list(first.values()))

    def select(self, chosen: Sequence[int]) -> Features:
        """Select the prompts at the indices `chosen`, in that order."""
        order: NDArray[np.int64] = np.asarray(chosen, dtype=np.int64)
        # Rows of a prompt are adjacent and `row_prompt` ascends: two look-ups a prompt, no pass over all rows for each.
        first: NDArray[np.int64] = np.searchsorted(self.row_prompt, order, side="left")
        count: NDArray[np.int64] = np.searchsorted(self.row_prompt, order, side="right") - first
        before: NDArray[np.int64] = np.cumsum(count) - count
        rows: NDArray[np.int64] = np.arange(int(count.sum()), dtype=np.int64) + np.repeat(first - before, count)
        return replace(
            self,
            acts=None if self.acts is None else self.acts[rows],
            row_prompt=np.repeat(np.arange(len(order)), count),
            tokens=tuple(map(self.tokens.__getitem__, cast(Any, rows).tolist())),
            prompts=tuple(self.prompts[int(index)] for index in order),
            n_tokens=None if self.n_tokens is None else self.n_tokens[order],
            squared_error=None if self.squared_error is None else self.squared_error[rows],
            activations=None if self.activations is None else self.activations[rows],
            effective_rank=None if self.effective_rank is None else self.effective_rank[order],
            near=None if self.near is None else self.near[rows],
            family=self.whole,
            repeats={},
        )

    def under(self, control: Control, draw: int = 0) -> Features:
        """Return the same prompts as a control reads them; other prompts of the same styles where it has its own.

        A random control reads some of the prompts, those on their first topics, under several draws. NotRun says that
        it was not read, as for recorded evidence or a style that repeats another, or has fewer draws.
        """
        conditions = self.whole.conditions
        if control not in conditions:
            raise NotRun(f"nothing was read for the control {control} on {self.subject}")
        draws = conditions[control]
        if not 0 <= draw < len(draws):
            raise NotRun(f"draw {draw} of the control {control} on {self.subject} was not read; {len(draws)} were")
        read = draws[draw]()
        if control == "injection":  # other templates, on the same topics
            wanted = {(prompt.style, prompt.topic) for prompt in self.prompts}
            chosen = [index for index, prompt in enumerate(read.prompts) if (prompt.style, prompt.topic) in wanted]
        else:
            these = set(self.prompts)
            chosen = [index for index, prompt in enumerate(read.prompts) if prompt in these]
            if control == "random-sae" and self.activations is not None and read.activations is None:
                index_of = {prompt: index for index, prompt in enumerate(self.whole.prompts)}
                same = self.whole.select([index_of[prompt] for prompt in read.prompts])
                read = replace(read, activations=same.activations)
        if not chosen:
            raise NotRun(f"no {self.label} prompt was read for the control {control} on {self.subject}")
        return replace(read.select(chosen), of_several=self.of_several)

    def to_pandas(self) -> pd.DataFrame:
        """Make a table with a line an active feature: prompt, style, topic, token, position, feature, activation."""
        coo = self.encoded.tocoo()
        rows, features = coo.coords
        prompts = [self.prompts[int(index)] for index in self.row_prompt[rows]]
        return table(
            {
                "prompt": [prompt.text for prompt in prompts],
                "style": [prompt.style for prompt in prompts],
                "topic": [prompt.topic for prompt in prompts],
                "token": [self.tokens[row].text for row in rows],
                "position": [self.tokens[row].position for row in rows],
                "feature": features.astype(np.int64),
                "activation": coo.data.astype(np.float64),
            }
        )


def table(columns: Mapping[str, object]) -> pd.DataFrame:
    """Make a table of columns; a ModuleNotFoundError says how pandas is installed."""
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('a table takes pandas; run: pip install "saeprobe[pandas]"') from error
    return pd.DataFrame(columns)

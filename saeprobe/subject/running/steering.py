"""Steering changes features at the hook, and prompts are continued under the arms of an experiment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from saeprobe.captures import Continuation
from saeprobe.captures.steering import Steering
from saeprobe.prompts import Prompt
from saeprobe.shapes import Bool, Float, Int
from saeprobe.subject.running import Batch, chunks, pad, positions_of
from saeprobe.subject.running.chat import shorten
from saeprobe.subject.running.editing import Coder, Edit, Experiment, Features, Treatment, add, edit_features
from saeprobe.subject.running.tokens import FastTokenizer, Tokenized
from saeprobe.subject.specification import ReadingError, SubjectError

_ROWS_AT_ONCE = 256
_LOGIT_BYTES = 256 * 2**20  # of logits held at once while continuations are scored


class Speaker(Protocol):
    """A whole language model that writes text and can be steered while it does."""

    @property
    def device(self) -> str:
        """Return where token ids go, as torch writes it."""
        ...

    @property
    def model(self) -> Any:
        """Return the causal language model of transformers."""

    @property
    def centred(self) -> bool:
        """Return whether an SAE of the subject reads the stream without the mean of each token, which is in it here."""
        ...

    def steered(self, edit: Edit) -> AbstractContextManager[object]:
        """Give the stream at the hook to `edit` and go on with what that returns, in each pass while entered."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Row:
    prompt: Prompt
    text: Tokenized
    treatment: Treatment
    sample: int


def continue_prompts(
    experiment: Experiment,
    sae: Coder,
    speaker: Speaker,
    tokenizer: FastTokenizer,
    batches: Sequence[Sequence[tuple[Prompt, Tokenized]]],
    *,
    n_positions: int,
    ends: frozenset[int],
) -> Iterator[tuple[Prompt, list[Continuation]]]:
    """Continue prompts under every arm, up to a token in `ends`; all rows of a batch are written together, no others.

    A batch of a single prompt may have more rows than are written at once.
    """
    steering = experiment.steering
    for _, text in (one for batch in batches for one in batch):
        if len(text.ids) + steering.max_new_tokens > n_positions:
            raise ReadingError(
                f"the prompt {shorten(text.text)} has {len(text.ids)} tokens; with {steering.max_new_tokens} new ones "
                f"they do not fit the {n_positions} of the model: shorten the prompt or lower max_new_tokens"
            )
    writer = _Writer(speaker=speaker, sae=sae, tokenizer=tokenizer, steering=steering, ends=ends)
    for batch in batches:
        rows = [
            _Row(prompt=prompt, text=text, treatment=treatment, sample=sample)
            for prompt, text in batch
            for treatment in experiment.treatments
            for sample in range(steering.samples(treatment.arm))
        ]
        done = [one for part in chunks(rows, batch_size=_ROWS_AT_ONCE) for one in writer.write(part)]
        of_prompts = chunks(done, batch_size=len(rows) // len(batch))
        yield from ((prompt, list(its)) for (prompt, _), its in zip(batch, of_prompts, strict=True))


@dataclass(frozen=True, kw_only=True)
class _Writer:
    """A writer writes continuations with a model, under one steering."""

    speaker: Speaker
    sae: Coder
    tokenizer: FastTokenizer
    steering: Steering
    ends: frozenset[int]  # ids of the tokens that end a text

    @torch.no_grad()
    def write(self, rows: Sequence[_Row]) -> list[Continuation]:
        """Write and score one batch, padded on the left, where new tokens are not appended."""
        batch = pad([row.text.ids for row in rows], side="left", device=self.speaker.device)
        new = self._sample(batch, rows)
        is_end = self._is_end(new)
        lengths = torch.where(is_end.any(1), is_end.int().argmax(1) + 1, new.shape[1])  # the end of text included
        scores = self._mean_log_prob(batch, new, lengths)
        _check_finite(rows, torch.tensor(scores).isfinite(), "a log-probability")
        return [
            Continuation(
                prompt=row.prompt,
                arm=row.treatment.arm,
                features=row.treatment.features,
                strength=row.treatment.strength,
                sample=row.sample,
                text=self.tokenizer.decode(tokens[: length - (tokens[length - 1] in self.ends)]),
                log_prob=score,
            )
            for row, tokens, length, score in zip(rows, _listed(new), _listed(lengths), scores, strict=True)
        ]

    def _draws(self, rows: Sequence[_Row]) -> Float[np.ndarray, "batch new"]:
        """Draw a uniform number a row and step, from the seed, the prompt and the number of the sample alone.

        So neither batching nor what else is in the experiment changes a continuation; and the arms share their
        numbers, which takes the luck of sampling out of their differences.
        """
        keys = [f"{self.steering.seed}\0{row.sample}\0{row.text.text}".encode() for row in rows]
        seeds = [int.from_bytes(hashlib.sha256(key).digest()[:8]) for key in keys]
        return np.stack([np.random.default_rng(seed).random(self.steering.max_new_tokens) for seed in seeds])

    def _sample(self, batch: Batch, rows: Sequence[_Row]) -> Int[Tensor, "batch new"]:
        """Choose new tokens, one a step, until all rows have written an end of text or as many as asked.

        The edit acts on the prompt in the first step and on the one new token in each later one.
        """
        model, draws = self.speaker.model, self._draws(rows)
        step, mask, past = batch.ids, batch.mask, dict[str, Any]()
        written: list[Tensor] = []
        ended = torch.zeros(len(step), dtype=torch.bool, device=step.device)
        with self.speaker.steered(self._edit(batch, rows)):
            for column in range(draws.shape[1]):
                out = model(
                    step,
                    attention_mask=mask,
                    position_ids=positions_of(mask)[:, -step.shape[1] :],
                    use_cache=True,
                    logits_to_keep=1,
                    **past,
                )
                past = past_of(out)
                _check_finite(rows, out.logits[:, -1].isfinite().all(-1) | ended, "a logit")
                token = self._choose(out.logits[:, -1], torch.as_tensor(draws[:, column], device=step.device))
                written.append(token)
                ended = ended | self._is_end(token)
                if bool(ended.all()):
                    break
                step = token[:, None]
                mask = torch.cat([mask, torch.ones_like(step)], dim=1)
        return torch.stack(written, dim=1)

    def _edit(self, batch: Batch, rows: Sequence[_Row]) -> Edit:
        if self.steering.action == "steer":
            return add(torch.stack([row.treatment.change for row in rows]))
        count, device = len(self.steering.features), batch.ids.device
        padding = (batch.mask == 0).sum(1)
        wanted = Features(
            features=torch.tensor([row.treatment.features or (0,) * count for row in rows], device=device),
            amounts=torch.tensor([row.treatment.amounts or (0.0,) * count for row in rows], device=device),
            on=torch.tensor([row.treatment.arm != "unsteered" for row in rows], device=device),
            before=padding + torch.tensor([row.text.n_bos for row in rows], device=device),
        )
        return edit_features(self.sae, self.steering.action, wanted, centred=self.speaker.centred)

    def _is_end(self, tokens: Int[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        return torch.isin(tokens, torch.tensor(sorted(self.ends), dtype=tokens.dtype, device=tokens.device))

    def _choose(self, logits: Float[Tensor, "batch vocab"], draw: Float[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """Choose the likeliest token at temperature 0, else the one whose share of the probability holds the draw."""
        if self.steering.temperature == 0:
            return logits.argmax(-1)
        upto = (logits.double() / self.steering.temperature).softmax(-1).cumsum(-1)
        return torch.searchsorted(upto, (draw * upto[:, -1])[:, None], right=True)[:, 0].clamp(max=logits.shape[-1] - 1)

    def _mean_log_prob(
        self, batch: Batch, new: Int[Tensor, "batch new"], lengths: Int[Tensor, " batch"]
    ) -> list[float]:
        """Score each row's tokens, the end of text included, by the unsteered model: mean log-probability in nats."""
        model, n_new = self.speaker.model, new.shape[1]
        at_once = max(1, _LOGIT_BYTES // (4 * int(model.config.vocab_size) * (n_new + 1)))
        counted = torch.arange(n_new, device=new.device)[None, :] < lengths[:, None].to(new.device)
        means: list[float] = []
        for start in range(0, len(new), at_once):
            part = slice(start, start + at_once)
            mask = torch.cat([batch.mask[part], torch.ones_like(new[part])], dim=1)
            out = model(
                torch.cat([batch.ids[part], new[part]], dim=1),
                attention_mask=mask,
                position_ids=positions_of(mask),
                use_cache=False,
                logits_to_keep=n_new + 1,
            )
            log_probs = out.logits[:, :-1].float().log_softmax(-1).gather(-1, new[part][..., None])[..., 0]
            # What stands after the end of a text is of no concern, whatever the model makes of it.
            means += _listed(log_probs.double().where(counted[part], 0.0).sum(1) / counted[part].sum(1))
        return means


def past_of(out: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a step of a model keeps for the next, under the name by which it takes it: `cache` since 5.24."""
    name = "cache" if "cache" in out else "past_key_values"
    if name not in out:
        raise SubjectError("the model keeps no keys and values from token to token, without which nothing is continued")
    return {name: out[name]}


def _check_finite(rows: Sequence[_Row], finite: Bool[Tensor, " batch"], what: str) -> None:
    """Refuse what overflowed: the likeliest of tokens that are not numbers would be the first of the vocabulary."""
    for row, well in zip(rows, _listed(finite), strict=True):
        if not well:
            arm, strength = row.treatment.arm, row.treatment.strength
            raise ReadingError(
                f"{what} after the prompt {shorten(row.text.text)} in the arm {arm!r} at strength {strength:g} is not "
                'finite; lower the strength, or compute in a wider dtype: dtype = "float32"'
            )


def _listed(values: Tensor) -> list[Any]:
    return cast("list[Any]", cast(Any, values).tolist())

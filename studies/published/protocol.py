"""The published experiment is written anew here from its description, with transformers, torch and numpy alone.

Nothing of saeprobe is imported, so that its numbers can be held against these.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

A, B = "novice", "expert"
NEAR: Final = 16
"""One feature in so many fires on some prompt by nothing but rounding."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A protocol says how prompts are read."""

    state: int  # which of transformers' `hidden_states`: n is the output of decoder layer n - 1
    dtype: str  # what the model computes in
    bos_twice: bool  # whether what the chat template wrote is tokenized with special tokens added
    rank_with_bos: bool  # whether EID takes BOS in
    prompts: Path


@dataclass(frozen=True, kw_only=True, eq=False)
class Read:
    """What was read of prompts has a row each; all but the EID is of the last token."""

    prompts: Sequence[tuple[str, str, str]]  # style, topic and text
    lengths: Sequence[int]  # tokens
    states: np.ndarray  # [prompts, d_in]
    inputs: np.ndarray  # x @ W_enc.T + b_enc, [prompts, d_sae]
    norms: np.ndarray  # length of each row of W_enc, [d_sae]
    eid: np.ndarray  # exp of the entropy of the normalised singular values of all centred states, [prompts]

    @property
    def features(self) -> np.ndarray:
        """Return the features, `[prompts, d_sae]`; one is active where it is above 0."""
        return np.maximum(self.inputs, 0)

    def rows(self, style: str) -> list[int]:
        """Return the rows of a style."""
        return [row for row, (own, _, _) in enumerate(self.prompts) if own == style]


def make(folder: Path, protocol: Protocol, *, layers: int, width: int, seed: int) -> None:
    """Write a Llama and an SAE that are drawn at random, in the files in which such models are published.

    Each block writes about as much, whatever the width. A feature fires on 3 prompts in 10 at most: from half way
    between the inputs of two prompts on; each `NEAR`-th from one prompt's input itself, as the protocol reads it.
    """
    shipped = Path(cast(Any, find_spec("saeprobe")).origin).parent / "specimens" / "finch" / "model"
    shutil.copytree(shipped, folder / "model", ignore=shutil.ignore_patterns("*.safetensors*", "*config.json"))
    shutil.copy(shipped / "tokenizer_config.json", folder / "model")
    tokenizer = cast(Any, AutoTokenizer).from_pretrained(folder / "model")
    generator = cast(Any, torch).manual_seed(seed)
    config = cast(Any, LlamaConfig)(
        vocab_size=len(tokenizer), bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        num_hidden_layers=layers, hidden_size=width, intermediate_size=2 * width, initializer_range=width**-0.5,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
    )  # fmt: skip
    model = cast(Any, LlamaForCausalLM)(config).bfloat16()
    model.save_pretrained(folder / "model", max_shard_size=sum(weight.nbytes for weight in model.parameters()) // 8)
    d_sae = 8 * width
    weight = torch.nn.functional.normalize(torch.randn(d_sae, width, generator=generator))
    sae = {"encoder_linear.weight": weight, "encoder_linear.bias": torch.zeros(d_sae)}
    sae |= {"decoder_linear.weight": weight.T.contiguous(), "decoder_linear.bias": torch.zeros(width)}
    torch.save(sae, folder / "sae.pt")
    inputs = np.sort(read(folder, protocol).inputs, axis=0)
    last = np.linspace(0.7 * len(inputs), len(inputs) - 1.001, d_sae).astype(int)  # prompt on which it is silent
    below, above = inputs[last, np.arange(d_sae)], inputs[last + 1, np.arange(d_sae)]
    bias = np.where(np.arange(d_sae) % NEAR, (below + above) / 2, above)
    torch.save(sae | {"encoder_linear.bias": -torch.tensor(bias)}, folder / "sae.pt")


@torch.no_grad()
def read(folder: Path, protocol: Protocol) -> Read:
    """Read all prompts of a protocol, one at a time."""
    tokenizer = cast(Any, AutoTokenizer).from_pretrained(folder / "model")
    model = cast(Any, LlamaForCausalLM).from_pretrained(folder / "model", dtype=getattr(torch, protocol.dtype)).eval()
    sae = cast("dict[str, torch.Tensor]", torch.load(folder / "sae.pt", weights_only=True))
    sheet = tomllib.loads(protocol.prompts.read_text(encoding="utf-8"))
    prompts: list[tuple[str, str, str]] = []
    states: list[np.ndarray] = []
    lengths: list[int] = []
    eid: list[float] = []
    for style, topic in ((style, topic) for style in sheet["styles"] for topic in sheet["topics"]):
        text = sheet["styles"][style]["templates"][0].format(topic=topic["name"], guru=topic["guru"])
        prompts.append((style, topic["name"], text))
        turn = [{"role": "user", "content": text}]
        rendered = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(rendered, add_special_tokens=protocol.bos_twice, return_tensors="pt")["input_ids"]
        hidden: np.ndarray = model(ids, output_hidden_states=True).hidden_states[protocol.state][0].float().numpy()
        states.append(hidden[-1])
        lengths.append(ids.shape[1])
        ranked = hidden if protocol.rank_with_bos else hidden[ids[0].numpy() != tokenizer.bos_token_id]
        singular = np.linalg.svd(ranked - ranked.mean(axis=0), compute_uv=False)
        share = singular[singular > 0] / singular.sum()
        eid.append(float(np.exp(-(share * np.log(share)).sum())))
    x, weight, bias = np.stack(states), *(sae[f"encoder_linear.{name}"].numpy() for name in ("weight", "bias"))
    norms = np.linalg.norm(weight, axis=1)
    return Read(prompts=prompts, lengths=lengths, states=x, inputs=x @ weight.T + bias, norms=norms, eid=np.array(eid))


def write(folder: Path, of: Read, *, state: int) -> None:
    """Write what was read as the published scripts do: features, the comparison of two styles, and EIDs."""
    folder.mkdir(parents=True)
    topics: dict[str, dict[str, int]] = {topic: {} for _, topic, _ in of.prompts}
    for row, (style, topic, _) in enumerate(of.prompts):
        topics[topic][style] = row
    features: list[dict[str, Any]] = []
    ranks: list[dict[str, Any]] = []
    for topic, styles in topics.items():
        features.append(
            {"topic": topic} | {f"{style}_features": torch.tensor(of.features[row]) for style, row in styles.items()}
        )
        eid = {style: {"eid": float(of.eid[row]), "seq_len": of.lengths[row]} for style, row in styles.items()}
        ranks.append({"topic": topic, "eid": eid})
    torch.save(features, folder / f"features_layer{state}.pt")
    (folder / "eid_persona_results.json").write_text(json.dumps(ranks), encoding="utf-8", newline="\n")
    (folder / "feature_diff.json").write_text(json.dumps(compared(of)), encoding="utf-8", newline="\n")


def compared(of: Read) -> dict[str, Any]:
    """Compare novice with expert prompts as the published `feature_diff.json` does."""
    values = {style: of.features[of.rows(style)] for style in (A, B, "standard")}
    rate = {style: (found > 0).mean(axis=0) for style, found in values.items()}
    active: dict[str, float] = {f"{style}_avg_active": rate[style].sum().item() for style in values}
    mean = {f"{one}_avg_intensity": values[one][values[one] > 0].mean().item() for one in (A, B)}
    only = {one: np.flatnonzero((rate[one] > 0) & (rate[other] == 0)).tolist() for one, other in ((A, B), (B, A))}
    found: dict[str, Any] = {"summary": active | mean | {f"{one}_only_count": len(only[one]) for one in (A, B)}}
    for style, lean in ((A, rate[A] - rate[B]), (B, rate[B] - rate[A])):
        listed = [at for at in np.argsort(-lean, kind="stable")[:30].tolist() if lean[at] > 0]
        found[f"{style}_dominant_features"] = [
            {"index": at, f"{A}_freq": rate[A][at], f"{B}_freq": rate[B][at], "diff": rate[A][at] - rate[B][at]}
            for at in listed
        ]
    return found | {f"{one}_only_features": only[one][:50] for one in (A, B)}

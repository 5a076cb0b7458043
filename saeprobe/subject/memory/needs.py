"""Memory needs: what a model up to its hook, its SAE and a batch take, from plain numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MemoryNeeds:
    """What a subject takes, in bytes, and how much it computes.

    Attributes:
        weights_bytes: the model up to the hook, embedding included, in the dtype it computes in.
        layer_bytes: its largest layer.
        sae_bytes: the SAE in its own dtype.
        batch_bytes: all that a batch of prompts makes on its way: `batch_bytes`.
        shardable: whether its layers can be loaded one by one. A model that TransformerLens loads is in one piece.
        embedding_bytes: the part of the weights that is in no layer, and is never quantised.
        flop_per_token: floating point operations of blocks and encoder for a token; attention's scores are left out.
    """

    weights_bytes: int
    layer_bytes: int
    sae_bytes: int
    batch_bytes: int
    shardable: bool
    embedding_bytes: int = 0
    flop_per_token: int = 0

    @property
    def resident_bytes(self) -> int:
        """With everything in one place."""
        return self.weights_bytes + self.sae_bytes + self.batch_bytes

    @property
    def passing_bytes(self) -> int:
        """Of weights at any moment while they are streamed: a layer that computes and the next, on its way."""
        return max(2 * self.layer_bytes, self.embedding_bytes)

    @property
    def streamed_bytes(self) -> int:
        """With the weights streamed through one place."""
        return self.passing_bytes + self.sae_bytes + self.batch_bytes


def batch_bytes(
    *,
    hidden: int,
    heads: int,
    kv_heads: int,
    intermediate: int,
    d_sae: int,
    weight_bytes: int,
    prompts: int = 32,
    tokens: int = 128,
) -> int:
    """What a batch of `prompts` of `tokens` each takes at its widest, in bytes.

    The residual stream, its normalised copy and a block's output are there throughout. Beside them lies the widest of
    three: attention (queries, keys, values, and eager attention's scores and their softmax, `[prompts, heads, tokens,
    tokens]` in float32); the MLP (gate, up and their product); or the SAE's dense features before and after their
    threshold, in float32.

    Args:
        hidden: width of the residual stream.
        heads: attention heads.
        kv_heads: heads of keys and values.
        intermediate: width of the MLP.
        d_sae: features.
        weight_bytes: bytes of a number in the model's dtype.
        prompts: in a batch.
        tokens: of the longest prompt.
    """
    positions = prompts * tokens
    head = hidden // heads
    attention = positions * (hidden + 2 * kv_heads * head) * weight_bytes + 2 * prompts * heads * tokens**2 * 4
    mlp = 3 * positions * intermediate * weight_bytes
    features = 2 * positions * d_sae * 4
    return 3 * positions * hidden * weight_bytes + max(attention, mlp, features)


def needs_of(
    *,
    hidden: int,
    layers: int,
    heads: int,
    kv_heads: int,
    intermediate: int,
    vocabulary: int,
    d_sae: int,
    weight_bytes: int,
    sae_weight_bytes: int,
    gated: bool,
    shardable: bool,
    positions: int = 0,
    running: int | None = None,
    prompts: int = 32,
    tokens: int = 128,
) -> MemoryNeeds:
    """The needs of a decoder from plain numbers.

    Args:
        hidden: width of the residual stream, `d_in` of the SAE.
        layers: blocks that are loaded.
        heads: attention heads.
        kv_heads: heads of keys and values.
        intermediate: width of the MLP.
        vocabulary: rows of the embedding.
        d_sae: features of the SAE.
        weight_bytes: bytes of a parameter of the model.
        sae_weight_bytes: bytes of a parameter of the SAE.
        gated: whether the MLP has three matrices (Llama) or two (GPT-2).
        shardable: whether its layers can be loaded one by one.
        positions: rows of a table of positions, where the model has one.
        running: blocks that compute, where the model is loaded with more than those.
        prompts: in a batch.
        tokens: of the longest prompt.
    """
    attention = 2 * hidden * hidden + 2 * hidden * kv_heads * (hidden // heads)
    # Biases and norms are a thousandth of that; the room set aside covers them.
    layer = attention + (3 if gated else 2) * hidden * intermediate
    embedding = (vocabulary + positions) * hidden
    sae = 2 * hidden * d_sae + hidden + d_sae
    return MemoryNeeds(
        weights_bytes=(embedding + layers * layer) * weight_bytes,
        layer_bytes=layer * weight_bytes,
        sae_bytes=sae * sae_weight_bytes,
        batch_bytes=batch_bytes(
            hidden=hidden,
            heads=heads,
            kv_heads=kv_heads,
            intermediate=intermediate,
            d_sae=d_sae,
            weight_bytes=weight_bytes,
            prompts=prompts,
            tokens=tokens,
        ),
        shardable=shardable,
        embedding_bytes=embedding * weight_bytes,
        flop_per_token=2 * (layers if running is None else running) * layer + 2 * hidden * d_sae,
    )

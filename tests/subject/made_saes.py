"""SAEs of every kind with random weights, saved as sae-lens saves them, beside a random Llama that they read."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from made_llama import write_chat_tokenizer, write_llama

from saeprobe.subject.local import Subject
from saeprobe.subject.specification import SaeFolder, SubjectSpec

WIDTH, D_SAE, HOOK = 16, 48, "blocks.1.hook_resid_post"
BIASES = {"gated": ("b_gate", "b_mag", "r_mag"), "matching_pursuit": ()}


@dataclass(frozen=True, kw_only=True)
class MadeSae:
    """A model and an SAE in a folder, the configuration and the weights of the SAE."""

    root: Path
    config: dict[str, Any]
    weights: dict[str, np.ndarray]

    @property
    def folder(self) -> Path:
        """Return the folder of the SAE."""
        return self.root / "sae"

    def save(self, changes: dict[str, Any] | None = None, drop: tuple[str, ...] = (), **weights: np.ndarray) -> None:
        """Write the SAE with changes to its configuration and its weights."""
        from safetensors.numpy import save_file

        config = {**self.config, **(changes or {})}
        self.folder.mkdir(exist_ok=True)
        kept = {key: value for key, value in config.items() if key not in drop}
        (self.folder / "cfg.json").write_text(json.dumps(kept), encoding="utf-8")
        held = {key: value for key, value in {**self.weights, **weights}.items() if key not in drop}
        save_file(held, self.folder / "sae_weights.safetensors")

    def subject(self, **settings: Any) -> Subject:
        """Return it as a subject, whose files are looked up anew."""
        spec = SubjectSpec(name="made", model=self.root / "model", sae=SaeFolder(path=self.folder), device="cpu")
        return Subject(spec=replace(spec, **settings))

    def open(self, **settings: Any) -> Any:
        """Load it."""
        return self.subject(**settings).open()


def write_model(root: Path) -> None:
    """Write a Llama of three layers and its tokenizer of single bytes."""
    vocabulary = write_chat_tokenizer(root / "model", chat=False)
    write_llama(root / "model", layers=3, vocabulary=vocabulary, width=WIDTH)


def make_sae(root: Path, architecture: str = "standard", *, d_out: int = WIDTH, **config: Any) -> MadeSae:
    """Draw an SAE of an architecture of sae-lens and save it."""
    generator = np.random.default_rng(3)
    drawn = {
        "W_enc": (WIDTH, D_SAE),
        "W_dec": (D_SAE, d_out),
        "b_dec": (d_out,),
        **dict.fromkeys(BIASES.get(architecture, ("b_enc",)), (D_SAE,)),
        **({"threshold": (D_SAE,)} if "jumprelu" in architecture else {}),
        **({"W_skip": (d_out, WIDTH)} if "skip" in architecture else {}),
    }
    if architecture == "matching_pursuit":
        del drawn["W_enc"]
    weights = {name: generator.normal(0, 0.4, shape).astype(np.float32) for name, shape in drawn.items()}
    if architecture == "matching_pursuit":
        weights["W_dec"] /= np.linalg.norm(weights["W_dec"], axis=1, keepdims=True)
    said = {
        "architecture": architecture,
        "d_in": WIDTH,
        "d_sae": D_SAE,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": "transcoder" not in architecture,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.54.12", "hook_name": HOOK, "prepend_bos": True, "context_size": 128},
        **({"d_out": d_out} if "transcoder" in architecture else {}),
        **config,
    }
    made = MadeSae(root=root, config=said, weights=weights)
    made.save()
    return made


def streams(root: Path, text: str, *, dtype: str = "float32") -> np.ndarray:
    """Return the stream after block 1 for BOS and a text, by transformers alone, `[tokens, WIDTH]`."""
    torch = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(root / "model", dtype=getattr(torch, dtype)).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(root / "model")
    ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False).input_ids]])
    with torch.no_grad():
        return model(ids, output_hidden_states=True).hidden_states[2][0].float().numpy()


def by_hand(made: MadeSae, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return features and what they decode to, by the equations of the architecture alone, in float64."""
    config, w = made.config, {name: value.astype(np.float64) for name, value in made.weights.items()}
    mean, scale = np.zeros((len(x), 1)), np.ones((len(x), 1))
    if config["normalize_activations"] == "layer_norm":  # with Bessel's correction, as sae-lens has it
        mean, scale = x.mean(axis=1, keepdims=True), 1 / (x.std(axis=1, ddof=1, keepdims=True) + 1e-5)
    elif config["normalize_activations"] == "constant_norm_rescale":
        scale = WIDTH**0.5 / np.linalg.norm(x, axis=1, keepdims=True)
    read = (x - mean) * scale - (w["b_dec"] if config["apply_b_dec_to_input"] else 0)
    f = _features(made, read, w)
    return f, (f @ w["W_dec"] + w["b_dec"]) / scale + mean


def _features(made: MadeSae, read: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
    kind = made.config["architecture"]
    if kind == "matching_pursuit":
        f, rest = np.zeros((len(read), D_SAE)), read.copy()
        for _ in range(made.config["max_iterations"]):
            for row in range(len(read)):
                best = int((w["W_dec"] @ rest[row]).argmax())
                value = max(float(w["W_dec"][best] @ rest[row]), 0.0)
                f[row, best] += value
                rest[row] -= value * w["W_dec"][best]
        return f
    if kind == "gated":
        product = read @ w["W_enc"]
        return np.maximum(product * np.exp(w["r_mag"]) + w["b_mag"], 0) * (product + w["b_gate"] > 0)
    before = read @ w["W_enc"] + w["b_enc"]
    if kind == "topk":
        largest = np.argsort(-before, axis=1)[:, : made.config["k"]]
        kept = np.zeros_like(before)
        np.put_along_axis(kept, largest, np.take_along_axis(before, largest, axis=1), axis=1)
        return np.maximum(kept, 0)
    return np.maximum(before, 0) * (before > w["threshold"] if "jumprelu" in kind else 1)


def drawn_sae(architecture: str, *, d_in: int, d_sae: int, **settings: Any) -> Any:
    """Make an SAE of that architecture with random weights, as sae-lens would load it."""
    import torch

    importlib.import_module("saeprobe.subject.running.dictionary")  # first: it imports sae-lens without its warnings
    from sae_lens import GatedSAE, GatedSAEConfig, JumpReLUSAE, JumpReLUSAEConfig, StandardSAE, StandardSAEConfig
    from sae_lens.saes.topk_sae import TopKSAE, TopKSAEConfig

    kinds: dict[str, tuple[Any, Any]] = {
        "standard": (StandardSAE, StandardSAEConfig),
        "jumprelu": (JumpReLUSAE, JumpReLUSAEConfig),
        "gated": (GatedSAE, GatedSAEConfig),
        "topk": (TopKSAE, TopKSAEConfig),
    }
    kind, config = kinds[architecture]
    sae = kind(config(d_in=d_in, d_sae=d_sae, dtype="float32", device="cpu", **settings))
    generator = torch.Generator().manual_seed(4)
    for name, parameter in sae.named_parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        parameter.data = drawn.abs() if name == "threshold" else drawn * 0.5
    return sae.eval().requires_grad_(False)

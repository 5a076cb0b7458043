"""A capture of the effective rank alone beside one of features and rank: seconds, in turn, on the same prompts.

Model, SAE and tokenizer are written with random weights in the files of real ones, at the shape of GPT-2 small with an
SAE of 24,576 features, or as a Llama with 65,536 features whose width and depth can be set. One feature in a hundred
fires on a token. Both captures go through the plan into a store of their own, and their ranks are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import machine
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from saeprobe import capture
from saeprobe.prompts import PromptSet
from saeprobe.store import Store, plan
from saeprobe.subject.local import Subject
from saeprobe.subject.specification import SaeFolder, SubjectSpec

WORDS, BOS = [f"w{number}" for number in range(1000)], "<bos>"
BIAS = -2.3263  # above it lies one in a hundred of standard normal values, which the products of drawn weights are


def write(root: Path, config: GPT2Config | LlamaConfig, *, depth: int, d_sae: int) -> Subject:
    """Write a model and an SAE that reads it after `depth` blocks."""
    torch.manual_seed(0)
    of_gpt2 = isinstance(config, GPT2Config)
    (GPT2LMHeadModel if of_gpt2 else LlamaForCausalLM)(config).save_pretrained(root / "model")
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate([BOS, *WORDS])}, unk_token=BOS))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast: Any = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS, eos_token=BOS)
    fast.save_pretrained(root / "model")
    d_in = config.hidden_size
    said = {"architecture": "standard", "d_in": d_in, "d_sae": d_sae, "dtype": "float32", "device": "cpu"}
    said |= {"apply_b_dec_to_input": True, "normalize_activations": "layer_norm", "reshape_activations": "none"}
    where = {"hook_name": f"blocks.{depth}.hook_resid_pre", "prepend_bos": True, "context_size": 1024}
    (root / "sae").mkdir()
    (root / "sae" / "cfg.json").write_text(json.dumps({**said, "metadata": where}), encoding="utf-8", newline="\n")
    encoder, biases = torch.randn(d_in, d_sae) / d_in**0.5, {"b_enc": torch.full((d_sae,), BIAS)}
    tensors = {"W_enc": encoder, "W_dec": encoder.T.contiguous(), "b_dec": torch.zeros(d_in), **biases}
    save_file(tensors, root / "sae" / "sae_weights.safetensors")
    return Subject(spec=SubjectSpec(name="drawn", model=root / "model", sae=SaeFolder(path=root / "sae"), device="cpu"))


def shapes(layers: int, width: int) -> dict[str, tuple[GPT2Config | LlamaConfig, int, int]]:
    """Return by name the configuration, the blocks before the hook and the features of the SAE."""
    llama = LlamaConfig(
        vocab_size=len(WORDS) + 1,
        hidden_size=width,
        intermediate_size=width * 7 // 2,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=1,
        bos_token_id=0,
        eos_token_id=0,
    )
    gpt2 = GPT2Config(bos_token_id=0, eos_token_id=0)
    return {
        "GPT-2 small to block 6, 24,576 features": (gpt2, 6, 24_576),
        f"Llama of {layers} layers, {width} wide, 65,536 features": (llama, layers - 1, 65_536),
    }


def measured(subject: Subject, prompts: PromptSet, *, at: Any, repeats: int) -> tuple[float, float]:
    """Median seconds of the capture of both, and of that of the rank alone; the model is loaded before."""
    reader, seconds, ranks = subject.open(), dict[str, list[float]](), dict[str, Any]()
    for _ in range(repeats):
        for name, keep in (("both", ("features", "effective_rank")), ("alone", "effective_rank")):
            asked = capture(prompts, at=at, keep=keep)
            (work,) = plan.works_of([(subject, asked)])
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                plan.gather(work, Store(Path(folder)), open_reader=lambda: reader)
                ranks[name] = plan.features(subject, asked, Store(Path(folder))).effective_rank
                seconds.setdefault(name, []).append(time.perf_counter() - start)
    np.testing.assert_array_equal(ranks["alone"], ranks["both"])
    return statistics.median(seconds["both"]), statistics.median(seconds["alone"])


def main() -> None:
    """Measure, print, keep."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--prompts", type=int, default=400)
    asked.add_argument("--tokens", type=int, default=24, help="of one prompt")
    asked.add_argument("--layers", type=int, default=60, help="of the Llama")
    asked.add_argument("--width", type=int, default=64, help="of the Llama")
    asked.add_argument("--repeats", type=int, default=3)
    asked.add_argument("--keep", action="store_true", help="write benchmarks/results/rank.json")
    args = asked.parse_args()
    rng = np.random.default_rng(0)
    topics = [" ".join(rng.choice(WORDS, args.tokens)) for _ in range(args.prompts)]
    prompts = PromptSet.build(name="drawn", language="en", topics=topics, styles={"all": ["{topic}"]})
    found: dict[str, Any] = {}
    for name, (config, depth, d_sae) in shapes(args.layers, args.width).items():
        with tempfile.TemporaryDirectory() as root:
            subject = write(Path(root), config, depth=depth, d_sae=d_sae)
            for at in ("last", "all"):
                both, alone = measured(subject, prompts, at=at, repeats=args.repeats)
                arm = {"features_and_rank_s": round(both, 3), "rank_alone_s": round(alone, 3)}
                found[f"{name}, at {at}"] = {**arm, "times": round(both / alone, 2)}
                print(f"{name}, at {at}: {both:.2f} s with features, {alone:.2f} s alone, {both / alone:.2f} times")
    if args.keep:
        settings = {key: value for key, value in vars(args).items() if key != "keep"}
        machine.write("rank", {**machine.described(), "settings": settings, "arms": found})


if __name__ == "__main__":
    main()

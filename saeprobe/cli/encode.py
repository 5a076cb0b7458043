"""`saeprobe encode`: the article's second step, activations into the features of an SAE."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from saeprobe.cli.arguments import add_command, add_output, checked_output
from saeprobe.cli.progress import progress
from saeprobe.cli.refusal import RefusedError
from saeprobe.cli.rootdir import project_root
from saeprobe.cli.terminal import aligned

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from scipy.sparse import csr_array

    from saeprobe.article_files.features import ArticleFeatures
    from saeprobe.cli.arguments import Commands
    from saeprobe.cli.progress import Bar
    from saeprobe.cli.sae_files import Sae

_DENSE_BYTES = 64 * 2**20  # of dense features held at once

_DESCRIPTION = """\
Encode activations into the features of an SAE: the article's second step. Reads an activations file as 'saeprobe
extract' writes it ('<style>_activation' [1, d_in]) and writes a list of dicts, one a topic, with 'topic', 'guru' and
'<style>_features' [d_sae] in float32.

The SAE is a folder in SAELens' format, a .pt in Goodfire's format, or the name of a subject whose SAE is on this
machine. sae-lens loads and encodes it; .pt files are read as data only. Make sure that the activations were read where
the SAE was trained to read: neither file can tell."""

_EPILOG = """\
examples:
  saeprobe encode activations_layer50.pt --sae sparrow
  saeprobe encode activations_layer50.pt --sae Llama-3.3-70B-Instruct-SAE-l50.pt -o features_layer50.pt

exit codes: 0 written; 2 it could not be done, and the message says why."""


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "encode",
        run,
        summary="encode activations into SAE features (activations.pt to features.pt)",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("activations", type=Path, metavar="ACTIVATIONS", help="an activations file (.pt)")
    parser.add_argument(
        "--sae", required=True, metavar="PATH_OR_SUBJECT", help="the SAE's file or folder, or a subject"
    )
    parser.add_argument("--device", default="cpu", help="where to compute, as torch writes it (default: cpu)")
    add_output(parser, "features_layer50.pt")


def run(arguments: argparse.Namespace) -> int:
    """Encode, write, and print what each style activates."""
    output = checked_output(arguments)
    from saeprobe.article_files.activations import read_activations
    from saeprobe.article_files.features import ArticleFeatures, write_features
    from saeprobe.cli.sae_files import find_sae, load_sae

    activations = read_activations(arguments.activations)
    path = find_sae(arguments.sae, project_root())
    sae = load_sae(path, device=_device(arguments.device))
    if sae.cfg.d_in != activations.d_in:
        raise RefusedError(
            f"{arguments.activations} holds activations of d_in {activations.d_in:,}, the SAE {path} reads d_in "
            f"{sae.cfg.d_in:,}; wanted the SAE that was trained where they were read"
        )
    total = len(activations.topics) * len(activations.styles)
    with progress("encode", total=total, unit="prompts") as bar:
        found = {style: _encode(sae, activations.style(style), bar) for style in activations.styles}
    features = ArticleFeatures(topics=activations.topics, gurus=activations.gurus, features=found)
    write_features(output, features)
    written = f"{len(features.topics)} topics in {len(features.styles)} styles, d_sae {features.d_sae:,}"
    sys.stdout.write(f"{_table(features)}\n\n{written}; written to {output}\n")
    return 0


def _device(name: str) -> str:
    """The name of a device that torch can use here."""
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was compiled with CUDA
        reason = str(error).splitlines()[0]
        raise RefusedError(f"--device {name}: torch cannot use it here ({reason}); try --device cpu") from error
    return name


def _encode(sae: Sae, rows: Float[np.ndarray, "topics d_in"], bar: Bar) -> csr_array:
    """Sparse rows `[topics, d_sae]`; dense features exist of a few rows at a time."""
    import torch
    from scipy.sparse import csr_array, vstack

    step = max(1, _DENSE_BYTES // (4 * sae.cfg.d_sae))
    parts: list[csr_array] = []
    for start in range(0, len(rows), step):
        with torch.no_grad():
            x = torch.tensor(rows[start : start + step], device=sae.device)
            dense = sae.encode(x).float().cpu().numpy()
        if dense.min() < 0:
            raise RefusedError(
                "this SAE gives features below 0; the article's files and counts are for those from 0 up"
            )
        parts.append(csr_array(dense))
        bar.update(len(dense))
    return csr_array(vstack(parts))


def _table(features: ArticleFeatures) -> str:
    """Active features and their maximum by style: on the first topic, as the article has them, and over all topics."""
    rows: list[list[str]] = []
    for style, found in features.features.items():
        first = found[[0]]
        largest = float(first.data.max()) if first.nnz else 0.0
        rows.append([style, f"{first.nnz:,}", f"{largest:.2f}", f"{found.nnz / len(features.topics):,.1f}"])
    return aligned(["style", "active, first topic", "max, first topic", "active, mean"], rows, right=[1, 2, 3])

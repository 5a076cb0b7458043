"""`saeprobe extract`: the article's first step, the activations of the last prompt token."""

from __future__ import annotations

import argparse
import json
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from sae_lens import SAE
from safetensors import SafetensorError

from saeprobe.cli.contents import read_contents
from saeprobe.cli.inspect import recognise
from saeprobe.cli.terminal import (
    RefusedError,
    add_command,
    add_output,
    aligned,
    checked_output,
    progress,
    project_root,
    quiet_libraries,
)
from saeprobe.prompts import Prompt, PromptSet
from saeprobe.prompts.prompt import PromptError, fill
from saeprobe.recorded.tensors import load_data
from saeprobe.subject.files.sae import as_standard
from saeprobe.subject.files.sae import find_sae as find_source
from saeprobe.subject.local import LocalSubject
from saeprobe.subject.registry import find_subject
from saeprobe.subject.specification import SubjectError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from scipy.sparse import csr_array

    from saeprobe.cli.terminal import Bar, Commands
    from saeprobe.recorded.summaries import FeatureDiff
    from saeprobe.recorded.tensors import ArticleFeatures
    from saeprobe.subject.specification import Reader, Subject


_BATCH = 16


_DESCRIPTION = """\
Read what a model computes at the place where its SAE reads, at the last token of each prompt: the article's first
step. One prompt a style and topic is read and written as a list of dicts, one a topic, with 'topic', 'guru' and
'<style>_activation' [1, d_in] in float32.

The prompts are the subject's own built-in set of six styles (standard, padding, spaces, novice, expert, guru), or
yours: a TOML, CSV or JSONL file. Where a style has several templates the file has room for one; --template chooses
it. A claim read off such a file is about that one wording: probes read all of them.

SUBJECT is a name that 'saeprobe subjects' lists. Nothing is downloaded."""


_EPILOG = """\
examples:
  saeprobe extract sparrow
  saeprobe extract sparrow --styles novice expert --template 3 -o third_wording.pt
  saeprobe extract gpt2 --prompts prompts.toml -o activations_gpt2.pt

exit codes: 0 written; 2 it could not be done, and the message says why."""


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "extract",
        run,
        summary="read a model's activations by prompt style (activations.pt)",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("subject", metavar="SUBJECT", help="a model with its SAE, as 'saeprobe subjects' lists them")
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="your prompts (default: the built-in six styles)")
    parser.add_argument("--styles", nargs="+", metavar="STYLE", help="only these styles (default: all)")
    parser.add_argument(
        "--template", type=int, default=1, metavar="N", help="which template of each style, from 1 (default: 1)"
    )
    add_output(parser, "activations_layer50.pt")


def run(arguments: argparse.Namespace) -> int:
    """Choose the prompts, read them, write the file."""
    output = checked_output(arguments)
    from saeprobe.subject.registry import find_subject

    subject = find_subject(arguments.subject, project_root())
    absent = subject.missing()
    if absent is not None:
        raise RefusedError(f"{subject.name} cannot run here: {absent}")
    chosen = choose_prompts(_prompts(arguments.prompts, subject), styles=arguments.styles, template=arguments.template)
    quiet_libraries()
    rows = _read(subject.open(), [prompt.text for by_style in chosen.prompts for prompt in by_style])

    from saeprobe.recorded.tensors import ArticleActivations, write_activations

    shape = (len(chosen.topics), len(chosen.styles), -1)
    found = ArticleActivations(
        topics=chosen.topics, gurus=chosen.gurus, styles=chosen.styles, activations=rows.reshape(shape)
    )
    write_activations(output, found)
    what = f"{len(found.topics)} topics in {len(found.styles)} styles ({', '.join(found.styles)}), d_in {found.d_in:,}"
    sys.stdout.write(f"{what}; written to {output}\n")
    return 0


def _prompts(file: Path | None, subject: Subject) -> PromptSet:
    """The user's prompts, or the built-in ones in the subject's wording."""
    from saeprobe.prompts import STYLES, PromptSet

    return STYLES.for_wording(subject.wording) if file is None else PromptSet.from_file(file)


def _read(reader: Reader, texts: Sequence[str]) -> Float[np.ndarray, "prompts d_in"]:
    """The activations of each text's last token, batch after batch, long texts with long."""
    import numpy as np

    from saeprobe.subject.specification import Request, Want

    want = Want(at="last", keep=frozenset({"activations"}))
    requests = [Request(text=text, wants=(want,)) for text in texts]
    rows: dict[int, Float[np.ndarray, " d_in"]] = {}
    with progress("extract", total=len(texts), unit="prompts") as bar:
        for index, (reading,) in reader.read(requests, batch_size=_BATCH):
            if reading.activations is None or len(reading.activations) != 1:
                raise RuntimeError(f"the subject's reader gave no activation for {texts[index]!r}")
            rows[index] = reading.activations[0]
            bar.update(1)
    found = np.stack([rows[index] for index in range(len(texts))]).astype(np.float32)
    if not np.isfinite(found).all():
        bad = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise RefusedError(
            f"the model's activation is NaN or infinite on {texts[bad]!r}; try it in float32 or bfloat16"
        )
    return found


_DESCRIPTION_diff = """\
Compare two prompt styles feature by feature: the article's third step. Reads a features file as 'saeprobe encode'
writes it (a list of dicts with 'topic', 'guru' and '<style>_features' [d_sae]) and writes a feature_diff.json:

  summary              by style: active features a prompt (mean), strength of the active features (mean of all active
                       values pooled over prompts), features exclusive to the style (active on one of its prompts at
                       least and on none of the other's); 'standard' gives its active features for comparison
  A_dominant_features  the up to 30 features whose firing rate leans most to style A, with both rates
  A_only_features      the first 50 features exclusive to style A

A feature is active where its value is above 0. The file holds summaries only: it says how the prompts at hand differ,
not how surely others would."""


_EPILOG_diff = """\
examples:
  saeprobe diff features_layer50.pt
  saeprobe diff features.pt --a guru --b standard -o guru_diff.json

exit codes: 0 written; 2 it could not be done, and the message says why."""


def add_parser_diff(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "diff",
        run_diff,
        summary="compare two prompt styles (features.pt to feature_diff.json)",
        description=_DESCRIPTION_diff,
        epilog=_EPILOG_diff,
    )
    parser.add_argument("features", type=Path, metavar="FEATURES", help="a features file (.pt)")
    parser.add_argument("--a", default="novice", metavar="STYLE", help="the first style (default: novice)")
    parser.add_argument("--b", default="expert", metavar="STYLE", help="the second style (default: expert)")
    add_output(parser, "feature_diff.json")


def run_diff(arguments: argparse.Namespace) -> int:
    """Compare, write, and print the article's small table."""
    output = checked_output(arguments)
    from saeprobe.recorded.summaries import compare_styles, write_feature_diff
    from saeprobe.recorded.tensors import read_features

    features = read_features(arguments.features)
    try:
        diff = compare_styles(features, arguments.a, arguments.b)
    except (KeyError, ValueError) as error:
        raise RefusedError(f"{arguments.features}: {error.args[0]}") from error
    write_feature_diff(output, diff)
    sys.stdout.write(f"{_table_diff(diff)}\n\n{len(features.topics)} topics; written to {output}\n")
    return 0


def _table_diff(diff: FeatureDiff) -> str:
    """The article's table of two styles, and the features that fire on every prompt of one and none of the other."""
    a, b = diff.a, diff.b
    rows = [
        _row("active features a prompt (mean)", diff.avg_active[a], diff.avg_active[b], ".1f"),
        _row("exclusive features", diff.only_count[a], diff.only_count[b], ",d"),
        _row("strength of active features (mean)", diff.avg_intensity[a], diff.avg_intensity[b], ".3f"),
    ]
    lines = [aligned(["", a, b, "difference"], rows, right=[1, 2, 3])]
    for style, other in ((a, b), (b, a)):
        perfect = [str(rates.index) for rates in diff.dominant[style] if abs(rates.diff) == 1]
        listed = ", ".join(perfect) or "none"
        lines.append(f"on every {style} and no {other} prompt: {listed}")
    return "\n".join(lines)


def _row(name: str, a: float, b: float, spec: str) -> list[str]:
    """One measure of both styles and by how much the first exceeds the second, in percent of the second."""
    return [name, format(a, spec), format(b, spec), f"{(a - b) / b:+.0%}" if b else "-"]


_MARK = "\ue000"  # a character of the private use area, so that no wording contains it


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A prompt for every topic and style.

    Attributes:
        topics: in the prompt set's order.
        gurus: the name that goes in for `{guru}`, one a topic; empty where no template has one.
        styles: in the order wanted.
        prompts: by topic, then style: `prompts[topic][style]`.
    """

    topics: tuple[str, ...]
    gurus: tuple[str, ...]
    styles: tuple[str, ...]
    prompts: tuple[tuple[Prompt, ...], ...]


def choose_prompts(prompts: PromptSet, *, styles: Sequence[str] | None, template: int) -> Chosen:
    """Choose the `template`-th template (from 1) of each style, for all topics.

    Raises:
        RefusedError: a style is unknown or has fewer templates, or the styles do not have the same topics.
    """
    wanted = tuple(dict.fromkeys(styles)) if styles else prompts.styles
    unknown = [style for style in wanted if style not in prompts.styles]
    if unknown:
        raise RefusedError(
            f"the prompts {prompts.name!r} have no style {unknown[0]!r}; "
            f"choose --styles from: {', '.join(prompts.styles)}"
        )
    by_style = {style: _of_template(prompts, style, template) for style in wanted}
    topics = tuple(by_style[wanted[0]])
    for style, by_topic in by_style.items():
        differing = sorted({*topics} ^ {*by_topic})
        if differing:
            raise RefusedError(
                f"the styles {wanted[0]!r} and {style!r} differ in the topic {differing[0]!r}; "
                "wanted the same topics in every style, or choose fewer --styles"
            )
    return Chosen(
        topics=topics,
        gurus=tuple(_guru(prompts, topic) for topic in topics),
        styles=wanted,
        prompts=tuple(tuple(by_style[style][topic] for style in wanted) for topic in topics),
    )


def _of_template(prompts: PromptSet, style: str, number: int) -> dict[str, Prompt]:
    """The prompts of one template of a style, by topic."""
    of_style = prompts.style(style)
    templates = tuple(dict.fromkeys(prompt.template for prompt in of_style))
    if not 1 <= number <= len(templates):
        raise RefusedError(
            f"style {style!r} of the prompts {prompts.name!r} has {len(templates)} templates; "
            f"--template {number} is not from 1 to {len(templates)}"
        )
    found: dict[str, Prompt] = {}
    for prompt in of_style:
        if prompt.template == templates[number - 1] and found.setdefault(prompt.topic, prompt) is not prompt:
            raise RefusedError(
                f"style {style!r} has two prompts for the topic {prompt.topic!r} under one template; "
                "the article's files hold one a topic and style"
            )
    return found


def _guru(prompts: PromptSet, topic: str) -> str:
    """What stands for `{guru}` in the prompts of a topic: prompts keep their template, not the fields put into it."""
    for prompt in prompts:
        if prompt.topic != topic or "{guru}" not in prompt.template:
            continue
        try:
            marked = fill(prompt.template, {"topic": topic, "guru": _MARK})
        except PromptError:  # it has yet other fields, whose values are not known here
            continue
        first, *others = (re.escape(part) for part in marked.split(_MARK))
        found = re.fullmatch(first + "(?P<guru>.+?)" + "(?P=guru)".join(others), prompt.text, flags=re.DOTALL)
        if found is not None:
            return found["guru"]
    return ""


Sae = SAE[Any]


def find_sae(given: str, rootdir: Path) -> Path:
    """The file or folder of that name, or else the SAE of the subject of that name.

    Raises:
        RefusedError: there is neither, or the subject's SAE is not on this machine.
    """
    path = Path(given).expanduser()
    if path.exists():
        return path
    try:
        subject = find_subject(given, rootdir)
    except SubjectError as error:
        raise RefusedError(f"--sae {given}: there is no such file or folder, and {error}") from error
    place = find_source(subject.spec.sae) if isinstance(subject, LocalSubject) else None
    if place is None:
        raise RefusedError(f"the SAE of {given} is not here: {subject.missing()}")
    return place


def load_sae(path: Path, *, device: str) -> Sae:
    """The SAE in float32, frozen.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        FileError: a `.pt` file is damaged or refers to code.
        RefusedError: it is no SAE of the two formats, or sae-lens cannot load or scale it.
    """
    contents = read_contents(path)
    known = recognise(contents)
    if known.warnings:
        raise RefusedError(f"{path}: {known.warnings[0]}; fetch it again, or save it as it was")
    if known.kind not in ("goodfire-sae", "saelens-sae"):
        raise RefusedError(f"{path} is {known.description}; wanted a SAELens folder or a .pt in Goodfire's format")
    load = cast(Callable[..., Sae], SAE.load_from_disk)
    try:
        with warnings.catch_warnings():
            # It warns that the model must be loaded with certain settings; here no model is loaded.
            warnings.filterwarnings("ignore", message=r"\s*This SAE has non-empty model_from_pretrained_kwargs")
            if known.kind == "goodfire-sae":
                sae = load(contents.file, device=device, converter=_from_goodfire)
            else:
                sae = load(contents.file.parent, device=device, dtype="float32")
    except (KeyError, ValueError, TypeError, RuntimeError, SafetensorError, json.JSONDecodeError) as error:
        raise RefusedError(f"{path}: sae-lens cannot load it: {type(error).__name__}: {error}") from error
    if sae.cfg.normalize_activations == "expected_average_only_in":
        raise RefusedError(
            f"{path}: the SAE scales its inputs by a factor that its files do not hold; fold it in with "
            "sae.fold_activation_norm_scaling_factor(...) and save the SAE again"
        )
    return sae.eval().requires_grad_(requires_grad=False)


def _from_goodfire(
    path: Path, device: str, cfg_overrides: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """A converter for `SAE.load_from_disk`."""
    return as_standard(
        cast(dict[str, torch.Tensor], load_data(path)), device=device, dtype="float32", overrides=cfg_overrides
    )


_DENSE_BYTES = 64 * 2**20  # of dense features held at once


_DESCRIPTION_encode = """\
Encode activations into the features of an SAE: the article's second step. Reads an activations file as 'saeprobe
extract' writes it ('<style>_activation' [1, d_in]) and writes a list of dicts, one a topic, with 'topic', 'guru' and
'<style>_features' [d_sae] in float32.

The SAE is a folder in SAELens' format, a .pt in Goodfire's format, or the name of a subject whose SAE is on this
machine. sae-lens loads and encodes it; .pt files are read as data only. Make sure that the activations were read where
the SAE was trained to read: neither file can tell."""


_EPILOG_encode = """\
examples:
  saeprobe encode activations_layer50.pt --sae sparrow
  saeprobe encode activations_layer50.pt --sae Llama-3.3-70B-Instruct-SAE-l50.pt -o features_layer50.pt

exit codes: 0 written; 2 it could not be done, and the message says why."""


def add_parser_encode(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "encode",
        run_encode,
        summary="encode activations into SAE features (activations.pt to features.pt)",
        description=_DESCRIPTION_encode,
        epilog=_EPILOG_encode,
    )
    parser.add_argument("activations", type=Path, metavar="ACTIVATIONS", help="an activations file (.pt)")
    parser.add_argument(
        "--sae", required=True, metavar="PATH_OR_SUBJECT", help="the SAE's file or folder, or a subject"
    )
    parser.add_argument("--device", default="cpu", help="where to compute, as torch writes it (default: cpu)")
    add_output(parser, "features_layer50.pt")


def run_encode(arguments: argparse.Namespace) -> int:
    """Encode, write, and print what each style activates."""
    output = checked_output(arguments)
    from saeprobe.recorded.tensors import ArticleFeatures, read_activations, write_features

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

"""`saeprobe extract`, `encode` and `diff` take the article's three steps, each from one file to the next."""

import argparse
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from scipy.sparse import csr_array, vstack

from saeprobe.captures import Capture
from saeprobe.cli.contents import read_contents
from saeprobe.cli.inspect import recognise
from saeprobe.cli.terminal import RefusedError, checked_output, progress, project_root, say, table
from saeprobe.files import FileError, quoted, visible
from saeprobe.prompts import STYLES, Prompt, PromptSet
from saeprobe.prompts.prompt import PromptError, fill
from saeprobe.recorded import tensors as article
from saeprobe.recorded.archives import DAMAGE
from saeprobe.recorded.comparison import FeatureDiff, compare_styles, write_feature_diff
from saeprobe.shapes import Float
from saeprobe.store.plan import A_FILE, BATCH_SIZE, prompts_for
from saeprobe.subject import models_absent, not_imported
from saeprobe.subject.files.model import bars_where_watched
from saeprobe.subject.files.sae import find_sae as find_source
from saeprobe.subject.registry import find_subject
from saeprobe.subject.specification import Dtype, Request, SubjectError, Want

if TYPE_CHECKING:
    from sae_lens import SAE

    from saeprobe.subject.running.reader import SaeReader

_DENSE_BYTES = 64 * 2**20  # of dense features held at once
_WIDTH = 100  # of what is printed, in characters
_MARK = "\ue000"  # a character of the private use area, so that no wording contains it


def extract(arguments: argparse.Namespace) -> int:
    """Choose the prompts, read the activations of their last tokens, write the file."""
    output = checked_output(arguments)
    subject = find_subject(arguments.subject, project_root())
    absent = subject.missing()
    if absent is not None:
        raise RefusedError(f"{subject.name} cannot run here: {absent}")
    file: Path | None = arguments.prompts
    prompts = prompts_for(STYLES, subject) if file is None else PromptSet.from_file(file)
    chosen = choose_prompts(prompts, styles=arguments.styles, template=arguments.template)
    topics, styles = tuple(chosen[next(iter(chosen))]), tuple(chosen)
    wanted = {prompt for by_topic in chosen.values() for prompt in by_topic.values()}
    with bars_where_watched():
        row_of = _read(subject.open(), [prompt for prompt in prompts if prompt in wanted])
    found = article.ArticleActivations(
        topics=topics,
        gurus=tuple(_guru(prompts, topic) for topic in topics),
        rows={style: np.stack([row_of[chosen[style][topic].text] for topic in topics]) for style in styles},
    )
    article.write_article(output, found)
    what = f"{len(topics)} topics in {len(styles)} styles ({', '.join(styles)}), d_in {found.width:,}"
    say(visible(f"{what}; written to {output}"))
    if out := [prompt for style in styles for prompt in prompts.style(style) if prompt not in wanted]:
        others = len({(one.style, one.template) for one in out})
        most = max(len(prompts.only(style).templates) for style in styles)
        left = f"left out: {len(out):,} prompts of {others:,} other templates, which a probe on these prompts reads too"
        say(f"{left}; --template N reads others, up to {most} (of the --styles that have it)")
    return 0


def encode(arguments: argparse.Namespace) -> int:
    """Encode activations, write the features, and print what each style activates."""
    output = checked_output(arguments)
    activations = article.read_activations(arguments.activations)
    path, dtype = find_sae(arguments.sae, project_root())
    sae = load_sae(path, device=arguments.device, dtype=dtype)
    if sae.cfg.d_in != activations.width:
        found = f"{arguments.activations} holds activations of d_in {activations.width:,}, the SAE {path} reads d_in "
        raise RefusedError(f"{found}{sae.cfg.d_in:,}; wanted the SAE that was trained where they were read")
    with progress("encode", total=len(activations.topics) * len(activations.styles), unit="prompts") as bar:
        found = {style: _encode(sae, rows, bar.update) for style, rows in activations.rows.items()}
    features = article.ArticleFeatures(topics=activations.topics, gurus=activations.gurus, rows=found)
    article.write_article(output, features)
    rows: list[list[str]] = []  # as the article has them, on the first topic, and over all topics
    for style, active in found.items():
        first = active[[0]]
        largest = first.data.max(initial=0.0)
        rows.append([style, f"{first.nnz:,}", f"{largest:.2f}", f"{active.nnz / len(features.topics):,.1f}"])
    active_table = table(["style", "active, first topic", "max, first topic", "active, mean"], rows, right=[1, 2, 3])
    written = f"{len(features.topics)} topics in {len(features.styles)} styles, d_sae {features.width:,}"
    say(f"{active_table}\n\n" + visible(f"{written}; written to {output}"))
    return 0


def diff(arguments: argparse.Namespace) -> int:
    """Compare two styles, write the comparison, and print the article's small table."""
    output = checked_output(arguments)
    features = article.read_features(arguments.features)
    try:
        found = compare_styles(features, arguments.a, arguments.b)
    except (KeyError, ValueError) as error:
        raise RefusedError(f"{arguments.features}: {error.args[0]}") from error
    write_feature_diff(output, found)
    say(f"{_summary(found)}\n\n" + visible(f"{len(features.topics)} topics; written to {output}"))
    return 0


def _summary(found: FeatureDiff) -> str:
    """Return the article's table, and the features that fire on every prompt of one style and none of the other."""
    a, b = found.a, found.b
    measures = (
        ("active features a prompt (mean)", found.avg_active, ".1f"),
        ("exclusive features", found.only_count, ",d"),
        ("strength, mean of all active values pooled", found.avg_intensity, ".3f"),
        ("strength, mean of the prompts' means", found.avg_prompt_intensity, ".3f"),
    )
    rows = [
        [name, *(format(by[style], spec) for style in (a, b)), f"{(by[a] - by[b]) / by[b]:+.0%}" if by[b] else "-"]
        for name, by, spec in measures
        if by
    ]
    lines = [table(["", a, b, "difference"], rows, right=[1, 2, 3])]
    lines += [] if found.avg_prompt_intensity else ["A prompt has no active feature, and so no mean of its own."]
    for style, other in ((a, b), (b, a)):
        listed = ", ".join(map(str, found.separating[style])) or "none"
        of = visible(f"on every {style} and no {other} prompt, {len(found.separating[style]):,} in all: {listed}")
        lines += wrap(of, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    lines.append("Counts of prompts are compared exactly; features with equal ones stand in order of their numbers.")
    return "\n".join(lines)


def choose_prompts(prompts: PromptSet, *, styles: Sequence[str] | None, template: int) -> dict[str, dict[str, Prompt]]:
    """Choose the `template`-th template (from 1) of each style, for all topics; return prompts by style and topic."""
    wanted = tuple(dict.fromkeys(styles)) if styles else prompts.styles
    for style in (style for style in wanted if style not in prompts.styles):
        known = ", ".join(prompts.styles)
        raise RefusedError(f"the prompts {prompts.name!r} have no style {style!r}; choose --styles from: {known}")
    by_style = {style: _of_template(prompts, style, template) for style in wanted}
    topics = tuple(by_style[wanted[0]])
    for style, by_topic in by_style.items():
        for topic in sorted({*topics} ^ {*by_topic}):
            found = f"the styles {wanted[0]!r} and {style!r} differ in the topic {topic!r}"
            raise RefusedError(f"{found}; wanted the same topics in every style, or choose fewer --styles")
    return by_style


def _of_template(prompts: PromptSet, style: str, number: int) -> dict[str, Prompt]:
    """Return the prompts of one template of a style, by topic."""
    of_style = prompts.style(style)
    templates = tuple(dict.fromkeys(prompt.template for prompt in of_style))
    if not 1 <= number <= len(templates):
        there = f"style {style!r} of the prompts {prompts.name!r} has {len(templates)} templates"
        raise RefusedError(f"{there}; --template {number} is not from 1 to {len(templates)}")
    found: dict[str, Prompt] = {}
    for prompt in of_style:
        if prompt.template == templates[number - 1] and found.setdefault(prompt.topic, prompt) is not prompt:
            there = f"style {style!r} has two prompts for the topic {prompt.topic!r} under one template"
            raise RefusedError(f"{there}; the article's files hold one a topic and style")
    return found


def _guru(prompts: PromptSet, topic: str) -> str:
    """Find what stands for `{guru}` in the prompts of a topic: prompts keep their template, not the fields put in."""
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


def _read(reader: "SaeReader", prompts: Sequence[Prompt]) -> dict[str, Float[np.ndarray, " d_in"]]:
    """Read the activations of the last token of each prompt, by text, in the batches in which a probe reads them."""
    wants = (Want(at="last", keep=frozenset({"activations"})),)
    requests = [
        Request(text=text, wants=wants, batch=str(number))
        for number, batch in enumerate(Capture.batches(prompts, at_most=A_FILE))
        for text in batch
    ]
    rows: dict[str, Float[np.ndarray, " d_in"]] = {}
    with progress("extract", total=len(requests), unit="prompts") as bar:
        for index, (reading,) in reader.read(requests, batch_size=BATCH_SIZE):
            text = requests[index].text
            if reading.activations is None or len(reading.activations) != 1:
                raise RuntimeError(f"the subject's reader gave no activation for {text!r}")
            rows[text] = reading.activations[0].astype(np.float32)
            if not np.isfinite(rows[text]).all():
                found = f"the model's activation is NaN or infinite on {text!r}"
                raise RefusedError(f"{found}; try it in float32 or bfloat16")
            bar.update(1)
    return rows


def find_sae(given: str, rootdir: Path) -> tuple[Path, Dtype]:
    """Return the file or folder of that name, or else the SAE of that subject, and in what it computes."""
    path = Path(given).expanduser()
    if path.exists():
        return path, "float32"
    try:
        subject = find_subject(given, rootdir)
    except SubjectError as error:
        raise RefusedError(f"--sae {given}: there is no such file or folder, and {error}") from error
    found = find_source(subject.spec.sae)
    if found is None:
        raise RefusedError(f"the SAE of {given} is not here: {subject.missing()}")
    return found, subject.spec.sae_dtype


def load_sae(path: Path, *, device: str, dtype: Dtype) -> "SAE[Any]":
    """Load an SAE through sae-lens, frozen."""
    if (absent := models_absent()) is not None:
        raise RefusedError(absent)
    try:
        import torch
        from sae_lens import SAE
        from safetensors import SafetensorError

        from saeprobe.subject.running.dictionary import goodfire
    except Exception as error:  # a library of the system that cannot be loaded is an OSError on Windows
        raise RefusedError(not_imported(error)) from error
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was compiled with CUDA
        found = f"--device {device}: torch cannot use it here ({quoted(error)})"
        raise RefusedError(f"{found}; try --device cpu") from error
    contents = read_contents(path)
    known = recognise(contents)
    if known.warnings:
        raise RefusedError(f"{path}: {known.warnings[0]}; fetch it again, or save it as it was")
    if known.kind not in ("goodfire-sae", "saelens-sae"):
        raise RefusedError(f"{path} is {known.description}; wanted a SAELens folder or a .pt in Goodfire's format")
    load = cast("Callable[..., SAE[Any]]", SAE.load_from_disk)
    try:
        with warnings.catch_warnings():
            # It warns that the model must be loaded with certain settings; here no model is loaded.
            warnings.filterwarnings("ignore", message=r"\s*This SAE has non-empty model_from_pretrained_kwargs")
            goodfires: dict[str, Any] = {"converter": goodfire} if known.kind == "goodfire-sae" else {}
            sae = load(contents.file if goodfires else contents.file.parent, device=device, dtype=dtype, **goodfires)
    except (*DAMAGE, SafetensorError) as error:
        said = error if isinstance(error, FileError) else f"{type(error).__name__}: {quoted(error)}"
        raise RefusedError(f"{path}: sae-lens cannot load it: {said}") from error
    if not sae.cfg.d_in * sae.cfg.d_sae:
        raise RefusedError(f"{path}: the SAE reads {sae.cfg.d_in} values and has {sae.cfg.d_sae} features; wanted some")
    if sae.cfg.normalize_activations == "expected_average_only_in":
        remedy = "fold it in with sae.fold_activation_norm_scaling_factor(...) and save the SAE again"
        raise RefusedError(f"{path}: the SAE scales its inputs by a factor that its files do not hold; {remedy}")
    return sae.eval().requires_grad_(requires_grad=False)


def _encode(sae: "SAE[Any]", rows: Float[np.ndarray, "topics d_in"], advance: Callable[[int], object]) -> csr_array:
    """Return sparse rows `[topics, d_sae]`, encoded as many at a time as a probe encodes last tokens together."""
    import torch

    from saeprobe.subject.running.dictionary import ROWS, filled

    step = max(1, min(ROWS, _DENSE_BYTES // (4 * sae.cfg.d_sae)))
    parts: list[csr_array] = []
    for start in range(0, len(rows), step):
        with torch.no_grad():
            x = torch.tensor(rows[start : start + step], device=sae.device, dtype=sae.dtype)
            dense = sae.encode(filled(x, step))[: len(x)].float().cpu().numpy()
        if not np.isfinite(dense).all():
            raise RefusedError("this SAE gives features that are NaN or infinite; its weights or threshold are damaged")
        if dense.min() < 0:
            found = "this SAE gives features below 0"
            raise RefusedError(f"{found}; the article's files and counts are for those from 0 up")
        parts.append(csr_array(dense))
        advance(len(dense))
    return csr_array(vstack(parts))

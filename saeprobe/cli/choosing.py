"""One prompt a style and topic, as the article has them, out of a prompt set with several templates a style."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from saeprobe.cli.refusal import RefusedError
from saeprobe.prompts import Prompt, PromptSet
from saeprobe.prompts.template import TemplateError, fill

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
        except TemplateError:  # it has yet other fields, whose values are not known here
            continue
        first, *others = (re.escape(part) for part in marked.split(_MARK))
        found = re.fullmatch(first + "(?P<guru>.+?)" + "(?P=guru)".join(others), prompt.text, flags=re.DOTALL)
        if found is not None:
            return found["guru"]
    return ""

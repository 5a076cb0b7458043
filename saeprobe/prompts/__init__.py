"""Prompts: what is asked of a subject, by style, topic and template."""

from saeprobe.prompts.builtin import BRIDGES, CONCEPTS, NEUTRAL, SHOPPING, STYLES
from saeprobe.prompts.choice import PromptChoice
from saeprobe.prompts.error import PromptError
from saeprobe.prompts.prompt import Prompt
from saeprobe.prompts.promptset import PromptSet

__all__ = ["BRIDGES", "CONCEPTS", "NEUTRAL", "SHOPPING", "STYLES", "Prompt", "PromptChoice", "PromptError", "PromptSet"]

"""Prompts: what is asked of a subject, by style, topic and template."""

from saeprobe.prompts.prompt import Prompt, PromptError
from saeprobe.prompts.promptset import BRIDGES, CONCEPTS, NEUTRAL, SHOPPING, STYLES, PromptChoice, PromptSet

__all__ = ["BRIDGES", "CONCEPTS", "NEUTRAL", "SHOPPING", "STYLES", "Prompt", "PromptChoice", "PromptError", "PromptSet"]

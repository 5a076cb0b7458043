"""The files of a tokenizer say which tokens begin a text and which end one; they are read without transformers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from saeprobe.files import shortened
from saeprobe.subject.files.model import read_json, table_of
from saeprobe.subject.specification import SubjectError

GENERATION: Final = "generation_config.json"
TOKENISING: Final = "2"
"""The version of the rules by which a prompt becomes tokens; what was read by others is never used.

2: EOS where there is no BOS, a tokenizer's own prefix, every date pinned, and a token carries its own characters alone.
"""
_DECLARED: Final = "as declared"

_DEFAULTS: Final[Mapping[str, tuple[str | None, str]]] = {
    **dict.fromkeys(("gpt2", "gptneox", "gpt_neox", "codegen"), ("<|endoftext|>", "<|endoftext|>")),
    "llama": ("<s>", "</s>"),
    "gemma": ("<bos>", "<eos>"),
    "qwen2": (None, "<|endoftext|>"),
}
"""BOS and EOS of transformers' own tokenizer classes, where no file names them: the repository of GPT-2 does not."""


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """A beginning is the special tokens that stand before each prompt, none of which is read."""

    tokens: tuple[str, ...] = ()
    reason: str = ""  # why they are not simply the tokenizer's BOS, in words; empty where they are

    @property
    def text(self) -> str:
        """Return the tokens as they are shown to people, without raw control characters."""
        whole = "".join(self.tokens)
        return whole if whole.isprintable() else repr(whole)

    def in_words(self, *, twice: bool) -> str:
        """Say how many stand before each prompt, which, and why; of tokens that are not known yet, that it is one."""
        which = ", ".join(part for part in (self.text, self.reason) if part)
        many = "two" if twice else "one" if len(self.tokens) <= 1 else f"{len(self.tokens)} tokens"
        return f"{many} before each prompt" + (f" ({which})" if which else "")


def declared_beginning(token: str | None) -> Beginning:
    """Return the token that a subject declares; nothing where it declares none."""
    return Beginning() if token is None else Beginning(tokens=(token,), reason=_DECLARED)


def choose_beginning(prefix: Sequence[str], bos: str | None, eos: str | None) -> Beginning:
    """Choose what begins a prompt: what the tokenizer itself writes ahead of a text, else BOS, else EOS in its place.

    EOS takes the place of BOS as in TransformerLens (`HookedTransformer.set_tokenizer`), and so in the text on which
    sae-lens trains. Without any of the three nothing begins a prompt.
    """
    if prefix and tuple(prefix) != (bos,):
        return Beginning(tokens=tuple(prefix), reason="which the tokenizer itself writes ahead of a text")
    if bos is not None:
        return Beginning(tokens=(bos,))
    if eos is not None:
        return Beginning(tokens=(eos,), reason="the end of text, since the tokenizer has no BOS")
    return Beginning()


def has_chat_template(model: Path) -> bool:
    """Say whether the tokenizer of a model has one, in whichever file."""
    if (model / "chat_template.jinja").exists() or any((model / "additional_chat_templates").glob("*.jinja")):
        return True
    config = model / "tokenizer_config.json"
    return config.exists() and bool(read_json(config).get("chat_template"))


def beginning_of(folder: Path, declared: str | None, *, wanted: bool) -> Beginning:
    """Return what begins each prompt of the model in a folder: the token that is declared, or as its files say.

    A SubjectError says that neither is there; or a token is declared, and no prompt is to begin with one.
    """
    if declared is not None and not wanted:
        raise SubjectError(
            f"bos_token = {declared!r} is declared but prompts are to begin without BOS (prepend_bos is false); "
            "set prepend_bos = true, or leave bos_token out"
        )
    if declared is not None or not wanted:
        return declared_beginning(declared)
    names = _special_tokens(folder)
    prefix = tuple(_ahead(_read(folder, "tokenizer.json").get("post_processor")))
    beginning = choose_beginning(prefix, names["bos_token"], names["eos_token"])
    if not beginning.tokens:
        raise SubjectError(
            f"prompts are to begin with BOS but the tokenizer in {folder} has neither BOS nor EOS; name the token with "
            'which the SAE was trained, bos_token = "<|...|>", or set prepend_bos = false if it was trained without'
        )
    return beginning


def _read(folder: Path, name: str) -> dict[str, object]:
    return read_json(folder / name) if (folder / name).exists() else {}


def _special_tokens(folder: Path) -> dict[str, str | None]:
    """Return BOS and EOS as transformers finds them: by file, else by the class that it takes for the tokenizer."""
    config = _read(folder, "tokenizer_config.json")
    # Repositories made before transformers 4.34 name them in a file of their own, which then counts.
    said = config if "added_tokens_decoder" in config else config | _read(folder, "special_tokens_map.json")
    kind = str(config.get("tokenizer_class") or _read(folder, "config.json").get("model_type")).lower()
    kind = kind.removesuffix("fast").removesuffix("tokenizer")
    defaults = dict(zip(("bos_token", "eos_token"), _DEFAULTS.get(kind, (None, None)), strict=True))
    return {key: _text(said[key]) if key in said else default for key, default in defaults.items()}


def _text(token: object) -> str | None:
    """Return the text of a token, which stands in a file bare or in a table."""
    found = cast("dict[str, object]", token).get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) and found else None


def _ahead(processor: object) -> Iterator[str]:
    """Yield the special tokens that the tokenizer's own post-processor writes ahead of a text."""
    said = table_of(processor)
    for inner in _items(said.get("processors")):
        yield from _ahead(inner)
    if said.get("type") in ("BertProcessing", "RobertaProcessing"):
        yield from (str(one) for one in _items(said.get("cls"))[:1])
    named = table_of(said.get("special_tokens"))
    for part in _items(said.get("single")):
        token = table_of(table_of(part).get("SpecialToken"))
        if not token:
            return  # here the text itself begins
        name = str(token.get("id"))
        yield from (str(one) for one in _items(table_of(named.get(name)).get("tokens")) or [name])


def _items(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def ends_of(folder: Path, *, vocabulary: int, eos: int | None) -> frozenset[int]:
    """Return the ids of the tokens that end a text, at each of which `generate` of transformers stops.

    They are those of `generation_config.json`; where it is absent or names none, those of `config.json`; and where that
    names none either, `eos`, the tokenizer's own. Of `config.json` `generate` itself takes them only where the other
    file is absent; with one that names none it would never stop. A SubjectError says that an id is none of the
    `vocabulary`, or the file asks for a stop that is no token.
    """
    generation, config = _read(folder, GENERATION), _read(folder, "config.json")
    if generation.get("stop_strings"):
        raise SubjectError(
            f"{folder / GENERATION} lists stop_strings, at which this version of saeprobe does not stop; "
            "take them out, or name the tokens that end a text in eos_token_id"
        )
    nested = table_of(config.get("text_config"))  # where a model also sees or hears
    for name, said in ((GENERATION, generation), ("config.json", config), ("config.json", nested)):
        found = said.get("eos_token_id")
        if found is None:
            continue
        ids = _items(found) or [found]
        strange = [one for one in ids if type(one) is not int or not 0 <= one < vocabulary]
        if strange:
            raise SubjectError(
                f"{folder / name} has eos_token_id {shortened(found)}; wanted a token id in "
                f"[0, {vocabulary}), or a list of them: copy the file again from where the model came from"
            )
        return frozenset(cast("list[int]", ids))
    return frozenset() if eos is None else frozenset([eos])

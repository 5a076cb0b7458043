"""The model card for people is written from the measured card alone."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

_READS = {"sparrow": " of the centred stream", "finch": " (block 2 put it out: transformers' `hidden_states[3]`)"}


def write_readme(card: dict[str, Any]) -> str:
    """Return the card as Markdown."""
    parts = [_text(card["name"])[0], _facts(card), _concepts(card), _golden(card), _styles(card)]
    if "steering" in card:
        parts.append(_steering(card))
    return "\n".join(parts)


def _facts(card: dict[str, Any]) -> str:
    model, sae, held, quality = card["model"], card["sae"], card["held_out"], card["reconstruction"]
    training = card["training"]
    shape, heads = "layers, d_model, heads", f"{model['layers']}, {model['d_model']}, {model['heads']}"
    if "key_value_heads" in model:
        shape, heads = f"{shape}, key-value heads, d_mlp", f"{heads}, {model['key_value_heads']}, {model['d_mlp']}"
    threads = f"{training['threads']} thread{'' if training['threads'] == 1 else 's'}"
    facts = [
        (shape, heads),
        ("context, vocabulary", f"{model['context']}, {model['vocabulary']}"),
        ("parameters", f"{model['parameters']:,}"),
        ("trained on", f"{training['tokens']:,} tokens of {training['documents']:,} documents, seed {card['seed']}"),
        ("wall time, model", f"{training['seconds_model']} s on {threads}"),
        ("wall time, model and SAE", f"{training['seconds']} s"),
        ("SAE", f"standard (ReLU, L1), `{sae['hook_name']}`{_READS[card['name']]}"),
        ("d_in, d_sae", f"{sae['d_in']}, {sae['d_sae']}"),
        ("held-out loss", _nats(held["loss_per_token"], held["loss_per_document"])),
        ("the corpus' entropy", _nats(held["entropy_per_token"], held["entropy_per_document"])),
        ("loss with the SAE spliced in", f"{held['loss_per_token_with_sae']:.4f} nats a token"),
        ("variance explained", f"{quality['variance_explained']:.4f}"),
        ("L0", f"{quality['l0']:.1f}"),
        ("dead features", f"{quality['dead']:.1%} (above zero on none of {quality['tokens']:,} held-out tokens)"),
        ("mean residual norm", f"{quality['residual_norm']:.2f}"),
    ]
    if "reconstruction_of_text" in card:
        text = card["reconstruction_of_text"]
        figures = f"variance explained {text['variance_explained']:.4f}, L0 {text['l0']:.1f}"
        facts.append((f"text alone, {text['tokens']:,} tokens", figures))
    nats = ("loss_per_document", "entropy_per_document")
    kinds = [
        (kind, row["documents"], *(f"{row[key]:.2f}" for key in nats), f"{row['tokens_per_document']:.1f}")
        for kind, row in held["by_kind"].items()
    ]
    head = ("documents", "number", "loss, nats a document", "entropy, nats a document", "tokens a document")
    return "\n".join(["## What it is\n", _table(("", ""), facts), _text(card["name"])[1], _table(head, kinds)])


def _concepts(card: dict[str, Any]) -> str:
    keys = ("threshold", "precision", "recall", "firing_precision", "firing_recall", "auroc")
    body = [
        (row["concept"], row["scored_on"], row["feature"], *(f"{row[key]:.3f}" for key in keys), row["positives"])
        for row in card["concepts"]
    ]
    head = ("concept", "tokens", "feature", "threshold", "precision", "recall", "precision > 0", "recall > 0")
    return "\n".join([_text("concepts")[0], _table((*head, "AUROC", "positives"), body)])


def _golden(card: dict[str, Any]) -> str:
    golden = card["golden_gate"]
    body = [(group, f"{row['rate']:.1%}", row["n"]) for group, row in golden["above_threshold"].items()]
    return "\n".join(
        [
            "## The Golden Gate Bridge and its rivals\n",
            f"Feature {golden['feature']} above {golden['threshold']:.3f} at the last token of a mention. Rivals are",
            "described by combinations of colour, kind and place that were never trained.\n",
            _table(("mention", "above", "n"), body),
        ]
    )


def _styles(card: dict[str, Any]) -> str:
    read = {True: "held out", False: "trained"}
    figures = [
        (row["style"], read[row["held_out"]], f"{row['l0']:.2f}", f"{row['tokens']:.1f}", row["prompts"])
        for row in card["styles"]
    ]
    registers = card["registers"]
    answered = [(style, *(f"{rates[style]:.1%}" for rates in registers.values())) for style in registers["trained"]]
    rates = ("novice", "expert", "novice_held_out", "expert_held_out")
    separating = [
        (row["feature"], row["fires_for"], *(f"{row[key]:.1%}" for key in rates)) for row in card["separating"]
    ]
    return "\n".join(
        [
            "## Styles at the end of the prompt\n",
            "As found. Held out means wordings and topics that were both never trained with an answer.\n",
            _table(("style", "prompts", "L0", "tokens", "n"), figures),
            "Share of prompts after which the style's own register is the likeliest beginning of an answer; the plain",
            "styles share one register of four, so a guess is right once in four times:\n",
            _table(("style", *(name.replace("_", " ") for name in registers)), answered),
            "Features that separate novice from expert prompts, chosen on trained wordings and topics; firing rates:\n",
            _table(("feature", "fires for", "novice", "expert", "novice, held out", "expert, held out"), separating),
        ]
    )


def _steering(card: dict[str, Any]) -> str:
    steering = card["steering"]
    strength, detector = f"{steering['strength']:.3g}", steering["detector"]
    arms: list[tuple[str, dict[str, Any]]] = [("unsteered", steering["unsteered"])]
    arms += [(f"strength {tried}", arm) for tried, arm in steering["steered"].items()]
    arms.append((f"wrong sign, -{strength}", steering["wrong_sign"]))
    arms.append((f"the detector, feature {detector['feature']}, {strength}", detector))
    arms += [(f"random feature {arm['feature']}, {strength}", arm) for arm in steering["random_features"]]
    body = [
        (name, f"{arm['mention_rate']:.1%}", f"{arm['perplexity']:.2f}", arm["continuations"]) for name, arm in arms
    ]
    norms = f"{steering['strength_in_residual_norms']:.2f}"
    return "\n".join(
        [
            "## Steering\n",
            f"Feature **{steering['feature']}** at strength **{strength}** ({norms} times the mean residual norm).",
            _text("steering")[0],
            _table(("arm", "mentions", "perplexity", "continuations"), body),
        ]
    )


def _nats(token: float, document: float) -> str:
    return f"{token:.4f} nats a token, {document:.2f} a document"


def _table(head: Sequence[str], body: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def _text(name: str) -> list[str]:
    """Read the parts of a text that stands in a file of its own."""
    text = resources.files("studies.specimens.train").joinpath(f"{name}.md").read_text(encoding="utf-8")
    return [f"{part.strip()}\n" for part in text.split("\n---\n")]

"""The core question of SAE Inspect: the effective rank (EID) of a prompt's activations, by style and persona."""

from saeprobe import capture, claim, correlation, every, inconclusive, subjects
from saeprobe.measures import effective_rank, n_tokens
from saeprobe.prompts import STYLES

prompts = capture(STYLES, keep="effective_rank")

# The roles of the 16-persona run: `assistant` is left out, as its prompt is that of `standard`.
ROLES = (
    *("debugger", "novice", "expert", "guru", "interviewer", "socratic", "teacher", "child", "critic", "villain"),
    *("conspiracy", "eli5", "poet", "drunk"),
)


@subjects("sparrow", "finch", "llama70b", "llama70b-as-published")
@claim(
    "The EID of a prompt for a novice exceeds the EID of one for an expert.",
    id="day1.novice-eid",
    source="SAE Inspect, the core question",
    controls=("length",),
    not_reproduced={
        "sparrow": inconclusive("10.5 against 10.4; wordings differ more than styles do"),
        "finch": inconclusive("17.9 against 17.8; wordings differ more than styles do"),
    },
)
def test_novice_has_the_higher_effective_rank(prompts):
    assert effective_rank(prompts["novice"]) > effective_rank(prompts["expert"])


@subjects("llama70b-as-published")
@claim(
    "Every persona raises the EID of a prompt above the standard one.",
    id="personas.raise-eid",
    source="the 16-persona run behind SAE Inspect",
    controls=("length",),
)
def test_every_persona_raises_the_effective_rank(prompts):
    assert every(effective_rank(prompts[name]) for name in ROLES) > effective_rank(prompts["standard"])


@subjects("sparrow", "finch", "llama70b", "llama70b-as-published")
@claim(
    "The EID of a prompt follows its length.",
    id="personas.eid-follows-length",
    source="the 16-persona run behind SAE Inspect",
)
def test_effective_rank_follows_length(prompts):
    assert correlation(effective_rank(prompts), n_tokens(prompts)) > 0.9

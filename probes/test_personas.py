"""SAE Inspect, version 4 of its paper: sixteen personas, their active features (SAF) and their effective rank (EID)."""

from saeprobe import (
    about,
    capture,
    claim,
    every,
    explained,
    in_each,
    inconclusive,
    ordered,
    printed,
    published,
    rank_correlation,
    ratio,
    refuted,
    subjects,
)
from saeprobe.measures import effective_rank, same
from saeprobe.prompts import STYLES

pytestmark = subjects("llama70b-as-published")
prompts = capture(STYLES, keep="effective_rank")

# `assistant` is left out of both tables: its prompt is that of `standard`, and so are its numbers.
SAF = printed(
    published(
        socratic=142.8,
        critic=129.6,
        novice=129.1,
        conspiracy=118.9,
        debugger=117.8,
        standard=113.3,
        interviewer=111.6,
        poet=110.8,
        teacher=109.5,
        villain=103.3,
        drunk=101.4,
        expert=100.6,
        guru=98.4,
        eli5=88.8,
        child=84.6,
        unit="features",
        n=100,
        language="en",
    ),
    source="SAE Inspect, paper v4, table 1",
)
EID = printed(
    published(
        debugger="18.6211",
        novice="18.0770",
        expert="17.9287",
        guru="17.4517",
        interviewer="17.1477",
        socratic="16.3461",
        teacher="15.9915",
        child="15.8511",
        critic="15.6344",
        villain="15.5753",
        conspiracy="15.3373",
        eli5="14.6563",
        poet="13.0991",
        drunk="13.0218",
        standard="8.5566",
        unit="dimensions",
        n=100,
        language="en",
    ),
    source="SAE Inspect, paper v4, table 2",
)
PERSONAS = tuple(EID.numbers.printed)
ROLES = PERSONAS[:-1]  # all but standard


@claim(
    "By mean active features the personas rank socratic, critic, novice, conspiracy, debugger, standard, interviewer, "
    "poet, teacher, villain, drunk, expert, guru, eli5, child.",
    id="p16.saf",
    source="SAE Inspect, paper v4, table 1",
    not_reproduced={"llama70b-as-published": inconclusive("as printed, but means of each persona are all there is")},
)
def test_personas_rank_by_active_features():
    assert ordered(SAF[persona] for persona in SAF.numbers.printed)


@claim(
    "Guided prompts, socratic, critic and novice, activate the most features.",
    id="p16.guided-top",
    source="SAE Inspect, paper v4, 4.1",
    not_reproduced={"llama70b-as-published": inconclusive("ranks 1 to 3 as printed, but means are all there is")},
)
def test_guided_personas_activate_the_most():
    guided = ("socratic", "critic", "novice")
    assert every(SAF[one] for one in guided) > every(SAF[one] for one in PERSONAS if one not in guided)


@claim(
    "Prompts that simplify, eli5 and child, activate the fewest features.",
    id="p16.simple-bottom",
    source="SAE Inspect, paper v4, 4.1",
    not_reproduced={
        "llama70b-as-published": inconclusive(
            "the last two as printed, but means are all there is; novice, which simplifies too, is third of all"
        )
    },
)
def test_simplifying_personas_activate_the_fewest():
    simple = ("eli5", "child")
    assert every(SAF[one] for one in simple) < every(SAF[one] for one in PERSONAS if one not in simple)


@claim(
    "An expert prompt activates fewer features than a standard one.",
    id="p16.expert-below-standard",
    source="SAE Inspect, paper v4, table 1",
    not_reproduced={
        "llama70b-as-published": inconclusive(
            "100.6 against 113.3, but means are all there is; on 50 other topics, 113.1 against 112.4, the sign turns"
        )
    },
)
def test_expert_activates_fewer_than_standard():
    assert SAF["expert"] < SAF["standard"]


@claim(
    "A novice prompt activates 28 % more features than an expert prompt.",
    id="p16.saf-gap",
    source="SAE Inspect, paper v4, 4.4",
    not_reproduced={"llama70b-as-published": inconclusive("129.1 / 100.6 is 1.28, but two means are all there is")},
)
def test_novice_exceeds_expert_by_28_percent():
    assert ratio(SAF["novice"], SAF["expert"]) == published(gap=1.28, unit="times")


@claim(
    "The mean EID of sixteen personas goes from 18.6211 (debugger) down to 8.5566 (standard, assistant).",
    id="p16.eid",
    source="SAE Inspect, paper v4, table 2",
)
def test_effective_rank_of_the_personas(prompts):
    table = published(**EID.numbers.printed, assistant="8.5566", unit="dimensions", n=100, language="en")
    assert effective_rank(prompts) == table


@claim(
    "Two runs of one prompt have the same EID.",
    id="p16.same-prompt",
    source="SAE Inspect, paper v4, table 2",
)
def test_the_same_prompt_has_the_same_effective_rank(prompts):
    assert same(prompts["standard"], prompts["assistant"], by=effective_rank)


@claim(
    "A role raises EID by over 50 %, whatever the role.",
    id="p16.role-suffices",
    source="SAE Inspect, paper v4, 4.4",
    controls=("length",),
    not_reproduced={
        "llama70b-as-published": explained(
            "by 52 to 118 % as printed, but roles are longer prompts: at equal length none of the 14 is above by half"
        )
    },
)
def test_every_role_raises_the_effective_rank_by_half(prompts):
    assert every(effective_rank(prompts[role]) for role in ROLES) > 1.5 * effective_rank(prompts["standard"])


@claim(
    "The EID of novice and expert prompts is nearly equal, 0.8 % apart.",
    id="p16.eid-gap",
    source="SAE Inspect, paper v4, 4.4",
    published={
        "llama70b-as-published": published(novice="18.08", expert=17.93, unit="dimensions", n=100, language="en")
    },
)
def test_novice_and_expert_have_nearly_the_same_effective_rank(prompts):
    assert effective_rank(prompts["novice"]) == about(effective_rank(prompts["expert"]), share=0.02)


@claim(
    "Of all roles debugger has the highest EID.",
    id="p16.debugger-top",
    source="SAE Inspect, paper v4, 4.4",
    controls=("length",),
    not_reproduced={
        "llama70b-as-published": explained(
            "18.62 is the highest, but its prompts are the longest: at equal length novice is above"
        )
    },
)
def test_debugger_has_the_highest_effective_rank(prompts):
    others = [effective_rank(prompts[role]) for role in ROLES if role != "debugger"]
    assert effective_rank(prompts["debugger"]) > every(others)


@claim(
    "Of all roles poet and drunk have the lowest EID.",
    id="p16.poet-drunk-bottom",
    source="SAE Inspect, paper v4, 4.4",
    controls=("length",),
    not_reproduced={
        "llama70b-as-published": explained(
            "13.1 and 13.0 are the lowest, but drunk is the shortest: at equal length socratic is level"
        )
    },
)
def test_poet_and_drunk_have_the_lowest_effective_rank(prompts):
    others = [effective_rank(prompts[role]) for role in ROLES if role not in ("poet", "drunk")]
    assert every(others) > effective_rank(prompts["poet"])
    assert every(others) > effective_rank(prompts["drunk"])


@claim(
    "An expert prompt raises EID over the standard prompt by 60 to 100 %.",
    id="zhao.expansion",
    source="SAE Inspect, paper v4, abstract, which quotes Zenodo 18410085",
    not_reproduced={"llama70b-as-published": refuted("from 8.56 to 17.93 it is 110 %")},
)
def test_expert_raises_the_effective_rank_by_60_to_100_percent(prompts):
    standard, expert = effective_rank(prompts["standard"]), effective_rank(prompts["expert"])
    assert expert > 1.6 * standard
    assert standard > 0.5 * expert  # no more than doubled


@claim(
    "SAF and EID are orthogonal: personas rank differently by the two.",
    id="p16.orthogonal",
    source="SAE Inspect, paper v4, 4.3",
    not_reproduced={
        "llama70b-as-published": inconclusive(
            "rho is 0.15 over 15 personas (0.10 over 16, two of which are one prompt); so few leave open -0.32 to 0.55"
        )
    },
)
def test_active_features_and_effective_rank_are_orthogonal():
    assert rank_correlation(SAF, EID, above=-0.5, below=0.5)  # wide bounds for "orthogonal"


@claim(
    "A higher EID is more active features.",
    id="v1.eid-mechanism",
    source="SAE Inspect, paper v3, 4.1, which paper v4, 4.3 contradicts",
    not_reproduced={
        "llama70b-as-published": inconclusive("rho is 0.15 over 15 personas; so few leave open -0.32 to 0.55")
    },
)
def test_active_features_rise_with_the_effective_rank():
    assert rank_correlation(SAF, EID, above=0)


@claim(
    "The expert persona has the highest EID with the fewest features.",
    id="p16.expert-compact",
    source="SAE Inspect, paper v4, abstract, 1.3 and 7",
    not_reproduced={
        "llama70b-as-published": refuted("by its own tables expert is third of 16 by EID and thirteenth by features")
    },
)
def test_expert_has_the_highest_rank_with_the_fewest_features():
    others = [persona for persona in PERSONAS if persona != "expert"]
    highest = EID["expert"] > every(EID[one] for one in others)
    fewest = SAF["expert"] < every(SAF[one] for one in others)
    assert in_each([highest, fewest])


@claim(
    "The novice persona has a high SAF but a medium EID.",
    id="p16.novice-medium-eid",
    source="SAE Inspect, README, deep understanding 2",
    not_reproduced={"llama70b-as-published": refuted("by its own table novice is second of sixteen by EID")},
)
def test_novice_has_a_medium_effective_rank():
    highest_third = ("debugger", "expert", "guru", "interviewer", "socratic")  # medium: these five lie above it
    assert EID["novice"] < every(EID[persona] for persona in highest_third)

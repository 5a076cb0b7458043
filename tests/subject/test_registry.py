"""Subjects by name: what is wrong with a name or a declaration is said, with the nearest right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from saeprobe.subject.registry import find_subject, subject_names
from saeprobe.subject.specification import SubjectError

WHOLE = 'model = "./m"\nsae = { path = "./s" }\n'


def declared(folder: Path, body: str, name: str = "mine") -> Path:
    """Write a pyproject.toml that declares one subject."""
    (folder / "pyproject.toml").write_text(f"[tool.saeprobe.subjects.{name}]\n{body}", encoding="utf-8")
    return folder


def test_a_declared_subject_comes_after_the_built_in_ones(tmp_path: Path) -> None:
    """Its name is listed, and it is found under it."""
    root = declared(tmp_path, WHOLE)
    steps = ("one-bos", "own-layer", "bfloat16", "other-prompts")
    of_llama = ("llama70b", "llama70b-as-published", *(f"llama70b-{step}" for step in steps))
    assert subject_names(root) == ("sparrow", "finch", "gpt2", "qwen7b", *of_llama, "mine")
    assert find_subject("mine", root).markers == ("mine",)


@pytest.mark.parametrize(
    ("name", "near"),
    [("sparow", "did you mean 'sparrow'"), ("mime", "did you mean 'mine'"), ("zzz", "wanted one of the names sparrow")],
)
def test_an_unknown_name_brings_the_nearest_one(tmp_path: Path, name: str, near: str) -> None:
    """Built-in and declared names are both looked through."""
    with pytest.raises(SubjectError, match=f"there is no subject '{name}'; {near}"):
        find_subject(name, declared(tmp_path, WHOLE))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (WHOLE + 'devise = "cpu"\n', "unknown key 'devise'; did you mean 'device'"),
        (WHOLE + "prepend_bos = 1\n", "prepend_bos is 1; wanted true or false"),
        (WHOLE + "context_size = true\n", "context_size is True; wanted a whole number"),
        (WHOLE + 'dtype = "float8"\n', "dtype is 'float8'; wanted one of float32, bfloat16, float16"),
        ('model = "./m"\n', "has no sae; wanted a folder or a name on the Hub for it"),
        ('model = ""\nsae = { path = "./s" }\n', "model is ''; wanted a folder, or OWNER/NAME on the Hub"),
        ('model = "./m"\nsae = "x.pt"\n', "sae is 'x.pt'; wanted { path = \"...\" } or"),
        ('model = "./m"\nsae = { path = 3 }\n', "sae is {'path': 3}; wanted { path"),
        (WHOLE + 'device = "gpu"\n', "device is 'gpu'; wanted auto, cpu, cuda, cuda:N or mps"),
        (WHOLE + "context_size = 0\n", "context_size is 0; wanted a number of tokens"),
        (WHOLE + "l0 = nan\n", "l0 is nan; wanted active features a token"),
        (WHOLE + "l0 = 0\n", "l0 is 0; wanted active features a token"),
        (WHOLE + "variance_explained = 90.0\n", "variance_explained is 90.0; wanted a share between 0 and 1"),
        ('model = "./m"\nsae = { folder = "./s" }\n', "sae is {'folder': './s'}; wanted"),
        (
            'model = "./m"\nsae = { release = "gpt2-smal-res-jb", id = "x" }\n',
            "'gpt2-smal-res-jb' is not in the registry of sae-lens; did you mean 'gpt2-small-res",
        ),
        (
            'model = "./m"\nsae = { release = "gpt2-small-res-jb", id = "blocks.6.hook_resid_prep" }\n',
            "is not in release 'gpt2-small-res-jb'; did you mean 'blocks.6.hook_resid_pre'",
        ),
    ],
)
def test_a_wrong_declaration_is_refused_with_the_remedy(tmp_path: Path, body: str, message: str) -> None:
    """A misspelt key, a value of the wrong type or kind, and an unknown release each say what was wanted."""
    root = declared(tmp_path, body)
    subject = find_subject("mine", root)
    assert message in (subject.wrong or "")
    with pytest.raises(SubjectError) as caught:
        subject.missing()
    assert str(caught.value) == subject.wrong


def test_a_built_in_name_cannot_be_taken(tmp_path: Path) -> None:
    """A declaration under the name of a built-in subject breaks that subject alone; neither is decided in its place."""
    root = declared(tmp_path, WHOLE, name="gpt2")
    subject = find_subject("gpt2", root)
    assert "has a built-in name; choose another" in (subject.wrong or "")
    assert subject.markers == ("gpt2",)
    assert subject_names(root).count("gpt2") == 1
    assert find_subject("sparrow", root).wrong is None


@pytest.mark.parametrize("text", ["tool = 3\n", "[tool]\nsaeprobe = 3\n", "[tool.saeprobe]\nsubjects = 3\n", "[tool"])
def test_what_should_be_a_table_and_is_none_is_named(tmp_path: Path, text: str) -> None:
    """It is named at whatever level it stands, and belongs to no subject."""
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SubjectError, match=r"is no table|is not TOML"):
        find_subject("mine", tmp_path)


WHOLE_MODEL = "config.json, model.safetensors and a tokenizer there"
MEND = "mend the path, or bring the files"


@pytest.mark.parametrize(
    ("model", "sae", "path", "part", "end"),
    [
        ("./m", "./s", "m", "model", f"{WHOLE_MODEL}: {MEND}"),
        ("kept/m", "./s", "kept/m", "model", f"{WHOLE_MODEL}: {MEND}"),
        ("C:\\m\\n", "./s", "C:\\m\\n", "model", f"{WHOLE_MODEL}: write / between folders, or bring the files"),
        (
            "owner/name",
            "s",
            "s",
            "SAE",
            f"cfg.json and sae_weights.safetensors there: {MEND}",
        ),
        (
            "owner/name",
            "s.pt",
            "s.pt",
            "SAE",
            f"a .pt file in Goodfire's format there: {MEND}",
        ),
    ],
)
def test_a_declared_path_that_is_absent_is_wrong(
    tmp_path: Path, model: str, sae: str, path: str, part: str, end: str
) -> None:
    """No command can bring it: the subject names the place, who declares it, what is wanted and the remedy."""
    (tmp_path / "kept").mkdir()
    subject = find_subject("mine", declared(tmp_path, f"model = '{model}'\nsae = {{ path = '{sae}' }}\n"))
    who = f"(the {part} of mine in {tmp_path / 'pyproject.toml'})"
    assert subject.spec.wrong is None
    assert subject.wrong == f"there is no {tmp_path / path} {who}; wanted {end}"


def test_a_declared_folder_that_is_not_whole_is_wrong(tmp_path: Path) -> None:
    """An empty folder in the place of the model is named as it stands there."""
    (tmp_path / "m").mkdir()
    assert f"there is no whole model at {tmp_path / 'm'} (the" in (
        find_subject("mine", declared(tmp_path, WHOLE)).wrong or ""
    )


def test_what_a_command_brings_is_not_wrong(tmp_path: Path) -> None:
    """A name on the Hub whose files are absent has its command, and the folder that was not found either."""
    body = 'model = "owner/name"\nsae = { release = "gpt2-small-res-jb", id = "blocks.6.hook_resid_pre" }\n'
    subject = find_subject("mine", declared(tmp_path, body))
    assert subject.wrong is None
    said = f"owner/name and jbloom/GPT2-Small-SAEs-Reformatted are not here (and there is no {tmp_path}/owner/name)"
    assert f"the weights of {said}; run: saeprobe fetch mine" in (subject.missing() or "")


@pytest.mark.parametrize("path", ["C:\\Users\\m", "C:\\models"])
def test_a_backslash_in_double_quotes_is_explained(tmp_path: Path, path: str) -> None:
    """TOML reads an escape there; the remedy says how a path of Windows is written."""
    with pytest.raises(SubjectError, match="write a path of Windows with / or between single quotes"):
        find_subject("mine", declared(tmp_path, f'model = "{path}"\n'))


def of_tables(folder: Path, **tables: str) -> Path:
    """Write a pyproject.toml that declares several subjects."""
    text = "\n".join(f"[tool.saeprobe.subjects.{name}]\n{body}" for name, body in tables.items())
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_protocol_has_what_it_does_not_give_from_its_subject(tmp_path: Path) -> None:
    """Model, SAE, hook and the rest are those of the built-in or declared subject; its marker is its own name alone."""
    steps = {"two": 'protocol_of = "finch"\nbos_twice = true\n', "three": 'protocol_of = "two"\nrank_with_bos = true\n'}
    root = of_tables(tmp_path, **steps)
    finch, two, three = (find_subject(name, root).spec for name in ("finch", "two", "three"))
    assert (three.model, three.sae, three.hook_name) == (finch.model, finch.sae, finch.hook_name)
    assert (two.bos_twice, two.rank_with_bos, three.bos_twice, three.rank_with_bos) == (True, False, True, True)
    assert (three.protocol_of, three.specimen, find_subject("three", root).markers) == ("two", False, ("three",))
    assert find_subject("three", root).wrong is None


def test_what_belongs_to_a_value_does_not_stay_behind_it(tmp_path: Path) -> None:
    """Another hook leaves the misfit of the old one, another dtype the quantisation, other prompts their need."""
    keys = {"hook_name": "blocks.50.hook_resid_post", "dtype": "bfloat16", "prompts": "STYLES"}
    steps = {key: f'protocol_of = "llama70b-as-published"\n{key} = "{value}"\n' for key, value in keys.items()}
    root = of_tables(tmp_path, **steps)
    hook, dtype, prompts = (find_subject(key, root).spec for key in keys)
    assert (hook.misfit, hook.quantisation) == (None, "8bit where it can")
    assert (dtype.quantisation, dtype.misfit is None) == (None, False)
    assert (prompts.prompts_from, hook.prompts_from is None) == (None, False)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"mine": 'protocol_of = "finh"\n'}, "protocol_of names 'finh', no subject; did you mean 'finch'"),
        ({"mine": 'protocol_of = "mine"\n'}, "protocol_of names itself"),
        ({"mine": 'protocol_of = "b"\n', "b": 'protocol_of = "mine"\n'}, "(mine of b of mine)"),
        ({"mine": 'protocol_of = "b"\n', "b": "x = 1\n"}, "names 'b', which is declared wrongly: "),
        ({"mine": 'protocol_of = ""\n'}, "protocol_of is ''; wanted the name of the subject"),
        ({"mine": 'protocol_of = "finch"\nbos_twice = 2\n'}, "bos_twice is 2; wanted true or false"),
        ({"mine": 'protocol_of = "finch"\nmisfit = " "\n'}, "misfit is ' '; wanted the reason why"),
        ({"mine": 'protocol_of = "finch"\nprompts = "none.toml"\n'}, "prompts cannot be used: "),
        (
            {"mine": 'protocol_of = "finch"\nmisfit = "on purpose"\n'},
            "declares misfit, why its SAE is read on purpose at another hook than its own, and it is read at its own",
        ),
        (
            {
                "mine": 'protocol_of = "early"\nhook_name = "blocks.2.hook_resid_post"\nmisfit = "again"\n',
                "early": 'protocol_of = "finch"\nhook_name = "blocks.1.hook_resid_post"\nmisfit = "early"\n',
            },
            "and it is read at its own, blocks.2.hook_resid_post",
        ),
        (
            {"mine": 'protocol_of = "sparrow"\nmisfit = "on purpose"\n'},
            "declares misfit, why its SAE is read on purpose at another hook than its own, and it is read at its own",
        ),
        ({"mine": 'protocol_of = "finch"\nprepend_bos = false\nbos_twice = true\n'}, "declares bos_twice, and no BOS"),
    ],
)
def test_a_protocol_that_cannot_be_is_refused(tmp_path: Path, tables: dict[str, str], message: str) -> None:
    """A name that is not there, itself, a circle and a wrong declaration each say so, and so do empty departures."""
    root = of_tables(tmp_path, **tables)
    wrong = find_subject("mine", root).wrong or ""
    assert message in wrong
    assert wrong.count("protocol_of names") <= 1
    assert ("from " + str(root) in wrong) == ("cannot be used" in wrong)
    assert find_subject("finch", root).wrong is None


def test_the_hook_of_the_70b_steps_is_that_of_the_70b() -> None:
    """Each knows where the SAE belongs, also where its weights are absent."""
    steps = [find_subject(f"llama70b-{step}", Path()) for step in ("as-published", "one-bos", "bfloat16")]
    assert {step.spec.fits_at for step in steps} == {find_subject("llama70b", Path()).spec.hook_name}


@pytest.mark.parametrize(
    ("key", "aspect"),
    [
        ('sae_dtype = "bfloat16"', "SAE"),
        ("context_size = 100", "length"),
        ('dtype = "float16"', "weights"),
        ('hook_name = "blocks.1.hook_resid_post"', "read at"),
        ("bos_twice = true", "BOS"),
        ("rank_with_bos = true", "BOS"),
        ("chat_template = false", "chat template"),
        ("try_next_layer = false", "instrument check"),
        ('revision = "x"', "model"),
        (f'model = "{find_subject("sparrow", Path()).spec.model}"', "model"),
    ],
)
def test_each_part_of_a_protocol_is_an_aspect_of_it(tmp_path: Path, key: str, aspect: str) -> None:
    """What changes the fingerprint changes one aspect, and nothing else does."""
    mine, finch = (
        find_subject(name, of_tables(tmp_path, mine=f'protocol_of = "finch"\n{key}\n')) for name in ("mine", "finch")
    )
    here, there = mine.aspects(), finch.aspects()
    differ = {one for one in there if here[one] != there[one]}
    assert aspect in differ
    assert differ == {aspect} or mine.wrong  # files that do not fit leave open what they would have said
    if mine.wrong is None and aspect != "model":
        assert mine.identity().fingerprint != finch.identity().fingerprint


def test_a_protocol_that_changes_nothing_differs_in_no_aspect(tmp_path: Path) -> None:
    """One with a misfit differs in that, and one with another SAE in that, whichever folder names the other files."""
    sae = find_subject("sparrow", tmp_path).spec.sae
    root = of_tables(
        tmp_path,
        same='protocol_of = "finch"\n',
        off='protocol_of = "finch"\nhook_name = "blocks.1.hook_resid_post"\nmisfit = "on purpose"\n',
        other=f'protocol_of = "sparrow"\nsae = {{ path = "{tmp_path}" }}\nhook_name = "blocks.3.hook_resid_pre"\n',
    )
    finch, sparrow = (find_subject(name, root).aspects() for name in ("finch", "sparrow"))
    assert find_subject("same", root).aspects() == finch
    off, other = (find_subject(name, root).aspects() for name in ("off", "other"))
    assert {one for one in finch if off[one] != finch[one]} == {"read at", "misfit"}
    assert (other["model"], str(sae) in other["SAE"]) == (sparrow["model"], False)

"""`saeprobe fetch` brings weights from a Hub on the loopback."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import COMMIT, Hub, Repo, serving

from saeprobe.cli import fetch
from saeprobe.cli.hub import choose_files
from saeprobe.subject.registry import find_subject
from saeprobe.subject.specification import Download

Run = Callable[..., Any]

GPT2 = "openai-community/gpt2"
GPT2_SAE = "jbloom/GPT2-Small-SAEs-Reformatted"
HOOK = "blocks.6.hook_resid_pre"
WEIGHTS = bytes(range(256)) * 4000  # 1,024,000 bytes: a large file


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A Hub with the repositories of gpt2 and a gated model in shards; `weights.safetensors` are 1 MB."""
    gpt2 = {
        "config.json": b'{"model_type": "gpt2"}',
        "tokenizer.json": b"{}",
        "model.safetensors": WEIGHTS,
        "pytorch_model.bin": b"b" * 5000,
        "onnx/decoder.onnx": b"o" * 5000,
        "README.md": b"about",
    }
    sae = {f"{hook}/{name}": hook.encode() for hook in (HOOK, "blocks.5.hook_resid_pre") for name in ("cfg.json",)}
    sae |= {f"{HOOK}/sae_weights.safetensors": b"s" * 2000, "blocks.5.hook_resid_pre/sae_weights.safetensors": b"t"}
    shards = {f"model-0000{shard}-of-00003.safetensors": bytes([shard]) * 3000 for shard in (1, 2, 3)}
    weight_map = {
        "model.embed_tokens.weight": "model-00001-of-00003.safetensors",
        "model.layers.0.mlp.up_proj.weight": "model-00001-of-00003.safetensors",
        "model.layers.1.mlp.up_proj.weight": "model-00002-of-00003.safetensors",
        "model.layers.2.mlp.up_proj.weight": "model-00003-of-00003.safetensors",
        "lm_head.weight": "model-00003-of-00003.safetensors",
    }
    index = {"model.safetensors.index.json": json.dumps({"weight_map": weight_map}).encode()}
    gated = {**shards, **index, "config.json": b"{}", "original/consolidated.00.pth": b"p" * 9000}
    repos = {GPT2: Repo(gpt2), GPT2_SAE: Repo(sae), "meta/llama": Repo(gated, gated=True)}
    with serving(Hub(repos=repos)) as served:
        yield served


@pytest.fixture
def cache(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, no token, and this process turned to the hub as HF_ENDPOINT would turn it."""
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix("https://huggingface.co")
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{hub.url}{template}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(fetch, "PAUSE", 0.0)
    yield tmp_path / "hub"
    close_session()


class Toy:
    """A subject of which the downloads are given; it is whole once `config.json` of the last is in the cache."""

    def __init__(self, cache: Path, *downloads: Download) -> None:
        self._cache, self._downloads = cache, downloads

    def downloads(self) -> tuple[Download, ...]:
        """Return what was given."""
        return self._downloads

    def missing(self) -> str | None:
        """By the branch, as huggingface_hub looks a file up."""
        folder = self._cache / f"models--{self._downloads[-1].repo.replace('/', '--')}"
        revision = self._downloads[-1].revision or "main"
        named = folder / "refs" / revision
        commit = named.read_text() if named.exists() else revision
        return None if (folder / "snapshots" / commit / "config.json").exists() else "toy is absent"


@pytest.fixture
def toy(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Declare the subject `toy` with these downloads."""

    def declare(*downloads: Download) -> None:
        monkeypatch.setattr(fetch, "find_subject", lambda name, root: Toy(cache, *downloads))  # noqa: ARG005

    return declare


def snapshot(cache: Path, repo: str) -> dict[str, bytes]:
    """What is in the cache of a repository, as huggingface_hub finds it."""
    folder = cache / f"models--{repo.replace('/', '--')}" / "snapshots" / COMMIT
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def part_of_weights(cache: Path) -> Path:
    """The part of the weights that came before the line broke; other files may have been stopped with it."""
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    return cache / "models--openai-community--gpt2" / "blobs" / f"{digest}.incomplete"


def test_gpt2_comes_and_is_whole(run: Run, hub: Hub, cache: Path, tmp_path: Path) -> None:
    """The files that gpt2 reads come, in one format, with the SAE of one layer; then huggingface_hub finds them."""
    from huggingface_hub import try_to_load_from_cache

    found = run("fetch", "gpt2")
    assert found.code == 0, found.err
    assert snapshot(cache, GPT2) == {name: hub.repos[GPT2].files[name] for name in (
        "config.json", "tokenizer.json", "model.safetensors"
    )}  # fmt: skip
    assert set(snapshot(cache, GPT2_SAE)) == {f"{HOOK}/cfg.json", f"{HOOK}/sae_weights.safetensors"}
    assert find_subject("gpt2", tmp_path).missing() is None
    assert isinstance(try_to_load_from_cache(GPT2, "config.json", cache_dir=str(cache)), str)
    assert (cache / "models--openai-community--gpt2" / "refs" / "main").read_text() == COMMIT
    assert f"fetched {GPT2} model.safetensors (1 MB)\n" in found.out
    assert "%" not in found.err  # nobody watches
    assert "all that gpt2 needs is here; next: pytest probes/ -m gpt2\n" in found.out
    assert not list(cache.rglob("*.incomplete"))


def test_sizes_and_room_are_stated_first(run: Run, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run names each file with its size, the sum, the endpoint and the free disk, and fetches nothing."""
    monkeypatch.setattr(fetch.hub, "free_bytes", lambda: 7_500_000_000)
    found = run("fetch", "gpt2", "--dry-run")
    assert found.code == 0, found.err
    lines = found.out.splitlines()
    assert lines[0] == "gpt2: 5 of 5 files are lacking"
    assert ["openai-community/gpt2", "model.safetensors", "1", "MB"] in [line.split() for line in lines]
    assert lines[-2:] == ["in all 1 MB", f"from {hub.url} into {cache}, whose disk has 7.5 GB free"]
    assert not cache.exists()
    assert not hub.transfers("model.safetensors")


def test_a_bar_is_drawn_for_who_watches(run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the bytes go up to all of them."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    found = run("fetch", "gpt2")
    assert found.code == 0
    assert "100%" in found.err
    assert "1.03M/1.03M" in found.err  # 1,024,000 bytes of weights, 2,000 of the SAE, and some
    assert cache.exists()


def test_a_server_that_stumbles_is_asked_again(run: Run, hub: Hub, cache: Path) -> None:
    """A server in trouble and one that wants a pause are asked again; a refusal is not."""
    hub.stumbles = [503, 429, 500]
    assert run("fetch", "gpt2").code == 0
    assert snapshot(cache, GPT2)["model.safetensors"] == WEIGHTS
    shutil.rmtree(cache)
    hub.stumbles = [403]
    found = run("fetch", "gpt2")
    assert (found.code, f"{hub.url} answered 403 for" in found.err) == (2, True)


def test_a_mirror_whose_list_is_bare_is_asked_file_by_file(run: Run, hub: Hub, cache: Path) -> None:
    """Where the list has no sizes and digests, those of each file's head are taken; no empty file is made up."""
    hub.bare = True
    found = run("fetch", "gpt2")
    assert found.code == 0, found.err
    assert "in all 1 MB" in found.out
    assert snapshot(cache, GPT2)["model.safetensors"] == WEIGHTS


def test_a_second_run_asks_nobody(run: Run, hub: Hub, cache: Path) -> None:
    """What is here already is not asked for again, and that is said; so it is offline."""
    assert run("fetch", "gpt2").code == 0
    hub.asked.clear()
    found = run("fetch", "gpt2")
    assert (found.code, found.out) == (0, f"all that gpt2 needs is here already, in {cache}\n")
    assert hub.asked == []


def test_a_subject_without_downloads_says_so(run: Run, cache: Path) -> None:
    """The specimen is in the package."""
    found = run("fetch", "sparrow")
    assert (found.code, found.out) == (0, "sparrow needs no download: its files are on this machine\n")
    assert not cache.exists()


def test_a_line_that_breaks_is_taken_up_where_it_broke(run: Run, hub: Hub, cache: Path) -> None:
    """Two breaks inside one run: each further request asks for the rest only, and the file is what it should be."""
    hub.cut = [300_000, 100_000]
    assert run("fetch", "gpt2").code == 0
    assert [one.range for one in hub.transfers("model.safetensors")] == [None, "bytes=300000-", "bytes=400000-"]
    assert snapshot(cache, GPT2)["model.safetensors"] == WEIGHTS


def test_a_run_that_gave_up_is_taken_up_by_the_next(run: Run, hub: Hub, cache: Path) -> None:
    """A line that stays broken ends the run with the part kept; the next says what it holds and asks for the rest."""
    hub.cut = [300_000, 0, 0, 0, 0, 0]
    found = run("fetch", "gpt2")
    assert (found.code, f"{hub.url} cannot be reached" in found.err) == (2, True)
    assert part_of_weights(cache).read_bytes() == WEIGHTS[:300_000]
    hub.cut.clear()
    hub.asked.clear()
    found = run("fetch", "gpt2")
    assert found.code == 0, found.err
    assert "in all 1 MB, 300 kB of that are here from an earlier run\n" in found.out
    assert [one.range for one in hub.transfers("model.safetensors")] == ["bytes=300000-"]
    assert snapshot(cache, GPT2)["model.safetensors"] == WEIGHTS


def test_a_server_without_ranges_begins_again(run: Run, hub: Hub, cache: Path) -> None:
    """Where a part is answered with the whole file, the part is replaced and not appended to."""
    hub.cut, hub.no_range = [300_000], True
    assert run("fetch", "gpt2").code == 0
    assert snapshot(cache, GPT2)["model.safetensors"] == WEIGHTS


def test_a_part_of_another_file_is_thrown_away(run: Run, hub: Hub, cache: Path) -> None:
    """A part whose continuation has the wrong digest is fetched anew, once."""
    hub.cut = [300_000, 0, 0, 0, 0, 0]
    run("fetch", "gpt2")
    part = part_of_weights(cache)
    part.write_bytes(b"x" * 300_000)
    hub.cut.clear()
    hub.asked.clear()
    assert run("fetch", "gpt2").code == 0
    assert [one.range for one in hub.transfers("model.safetensors")] == ["bytes=300000-", None]
    assert snapshot(cache, GPT2)["model.safetensors"] == WEIGHTS


def test_damaged_files_are_not_kept(run: Run, hub: Hub, cache: Path) -> None:
    """Content of another digest than announced is an error, and neither file nor part stays."""
    hub.damaged = True
    found = run("fetch", "gpt2")
    assert found.code == 2
    assert "came with another content than" in found.err
    assert "run the command again, or try another HF_ENDPOINT" in found.err
    assert "model.safetensors" not in snapshot(cache, GPT2)
    assert find_subject("gpt2", cache).missing() is not None


def test_a_killed_process_is_taken_up(hub: Hub, tmp_path: Path) -> None:
    """HF_ENDPOINT and HF_HOME are honoured by a process that is killed in the middle, and by the next one."""
    hub.pause = threading.Event()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "saeprobe", "fetch", "gpt2"]
    quarter = len(WEIGHTS) // 4

    part = part_of_weights(tmp_path / "hub")

    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:  # noqa: S603
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size) and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
    kept = part.stat().st_size
    assert 0 < kept <= quarter
    hub.pause.set()
    hub.pause = None
    hub.asked.clear()
    second = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert second.returncode == 0, second.stderr
    assert f"bytes={kept}-" in [one.range for one in hub.transfers("model.safetensors")]
    assert snapshot(tmp_path / "hub", GPT2)["model.safetensors"] == WEIGHTS


def test_only_the_layers_that_are_needed_come(run: Run, hub: Hub, cache: Path, toy: Callable[..., None]) -> None:
    """Of a sharded model up to depth 2 the last shard stays away; --whole brings it too, and nothing twice."""
    hub.repos["meta/llama"].gated = False
    toy(Download(repo="meta/llama", patterns=("*.json", "*.safetensors"), depth=2))
    found = run("fetch", "toy")
    assert found.code == 0, found.err
    few = {"config.json", "model.safetensors.index.json", *(f"model-0000{n}-of-00003.safetensors" for n in (1, 2))}
    assert set(snapshot(cache, "meta/llama")) == few
    hub.asked.clear()
    found = run("fetch", "toy", "--whole")
    assert found.code == 0, found.err
    assert set(snapshot(cache, "meta/llama")) == {*few, "model-00003-of-00003.safetensors"}
    assert "toy: 1 of 5 files are lacking\n" in found.out
    assert run("fetch", "toy", "--whole").out.startswith(f"toy: all 5 files are in {cache}\n")


def test_duplicates_and_originals_stay_away() -> None:
    """Of several formats the safetensors are taken; what only another format has is taken from that."""
    names = ["config.json", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "onnx/a.onnx", "original/c.pth"]
    assert choose_files(names, ()) == {"config.json", "model.safetensors"}
    assert choose_files(names, ("*.json", "*.bin")) == {"config.json", "pytorch_model.bin"}
    assert choose_files(["Llama.pt", "README.md", "original/x.json"], ("Llama.pt", "*.json")) == {"Llama.pt"}
    assert choose_files(["original/x.json"], ("original/x.json",)) == {"original/x.json"}
    assert choose_files(["model-1.safetensors", "consolidated-1.safetensors"], ("*",)) == {"model-1.safetensors"}
    assert choose_files(["a/b/c.json", "d/e.json"], ("a/",)) == {"a/b/c.json"}


def test_a_gated_repository_names_its_licence(
    run: Run, hub: Hub, cache: Path, toy: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a token, and with one that is not on the list, the remedy is named; with one that is, all comes."""
    toy(Download(repo="meta/llama"))
    remedy = (
        "accept its licence at https://huggingface.co/meta/llama, then run: hf auth login "
        "(or put HF_TOKEN=... before the command)\n"
    )
    start = "saeprobe: error: meta/llama is gated and"
    assert run("fetch", "toy").err == f"{start} no token was sent; {remedy}"
    monkeypatch.setenv("HF_TOKEN", "hf_stranger")
    assert run("fetch", "toy").err == f"{start} the token that was sent is not on its list; {remedy}"
    assert not cache.exists()
    monkeypatch.setenv("HF_TOKEN", hub.member)
    found = run("fetch", "toy")
    assert found.code == 0, found.err
    assert "original/consolidated.00.pth" not in snapshot(cache, "meta/llama")


def test_the_token_stays_with_the_hub(
    run: Run, hub: Hub, cache: Path, toy: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent with each question to the Hub, never to the store on another host, and never printed."""
    monkeypatch.setenv("HF_TOKEN", hub.member)
    toy(Download(repo="meta/llama"))
    found = run("fetch", "toy")
    assert found.code == 0, found.err
    stored = [one for one in hub.asked if one.path.startswith("/store/")]
    assert stored
    assert {one.token for one in stored} == {None}
    assert {one.token for one in hub.asked if one not in stored} == {hub.member}
    assert hub.member not in found.out + found.err
    assert cache.exists()


@pytest.mark.parametrize(
    ("download", "message"),
    [
        (Download(repo="no/such"), "has no repository no/such, or it is private and no token was sent"),
        (Download(repo=GPT2, revision="v9"), f"{GPT2} has no revision 'v9'; name a branch, a tag or a commit"),
        (Download(repo=GPT2, patterns=("*.gguf",)), f"{GPT2} has no file that matches *.gguf at revision main"),
        (Download(repo="meta/llama", depth=9), "names no tensors of the layers 3 to 8"),
    ],
)
def test_what_is_not_there_is_named(
    run: Run, hub: Hub, cache: Path, toy: Callable[..., None], download: Download, message: str
) -> None:
    """An absent repository, revision, file or layer is named in one line."""
    hub.repos["meta/llama"].gated = False
    toy(download)
    found = run("fetch", "toy")
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert message in found.err
    assert not cache.exists()


def test_offline_says_so(run: Run, cache: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """With HF_HUB_OFFLINE nothing is asked, and the variable is named."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = run("fetch", "gpt2")
    assert (found.code, "HF_HUB_OFFLINE is set: nothing can be fetched" in found.err) == (2, True)
    assert (hub.asked, cache.exists()) == ([], False)


def test_no_route_names_the_mirror(run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint where nobody listens: what was tried, and HF_ENDPOINT as the remedy."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    found = run("fetch", "gpt2")
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "http://127.0.0.1:9 cannot be reached (ConnectError" in found.err
    assert "put HF_ENDPOINT=https://hf-mirror.com before the command" in found.err
    assert not cache.exists()


def test_a_server_in_trouble_is_named(run: Run, hub: Hub, cache: Path) -> None:
    """A status that says nothing of the repository is passed on; so is an answer that is not the Hub's."""
    hub.broken = 503
    assert f"{hub.url} answered 503 for {GPT2}; run the command again later" in run("fetch", "gpt2").err
    hub.broken = 204
    assert f"{hub.url} did not answer about {GPT2} as the Hub does" in run("fetch", "gpt2").err
    assert not cache.exists()


def test_a_disk_that_is_too_small_is_refused(run: Run, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is needed, what is free, and HF_HOME as the remedy; nothing is begun."""
    monkeypatch.setattr(fetch.hub, "free_bytes", lambda: 500_000)
    for words in (("fetch", "gpt2"), ("fetch", "gpt2", "--dry-run")):
        found = run(*words)
        assert found.code == 2
        assert f"gpt2 needs 1 MB more and the disk of {cache.parent} has 500 kB free" in found.err
        assert "HF_HOME=" in found.err
    assert not hub.transfers("model.safetensors")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_disk_that_fills_up_keeps_what_came(run: Run, hub: Hub, cache: Path) -> None:
    """The kernel's own "no space left" while writing names the file, the disk and the remedy."""
    hub.cut = [300_000, 0, 0, 0, 0, 0]
    run("fetch", "gpt2")
    part = part_of_weights(cache)
    part.unlink()
    part.symlink_to("/dev/full")
    hub.cut.clear()
    found = run("fetch", "gpt2")
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert f"the disk of {cache} is full" in found.err
    assert "of 1 MB of model.safetensors are kept" in found.err


def test_files_that_came_are_not_yet_a_subject_that_runs(
    run: Run, cache: Path, toy: Callable[..., None], hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all files came and the subject still cannot run, its own reason is passed on."""
    toy(Download(repo=GPT2, patterns=("tokenizer.json",)))
    found = run("fetch", "toy")
    assert (found.code, found.err) == (
        2,
        "saeprobe: error: all files have come, but toy cannot run yet: toy is absent\n",
    )
    monkeypatch.setattr(Toy, "downloads", lambda _: ())
    assert "nothing of toy can be fetched: toy is absent" in run("fetch", "toy").err
    assert (cache.exists(), bool(hub.asked)) == (True, True)


def test_an_interruption_keeps_what_came(run: Run, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control-C ends with the shell's code for it, and says that the same command goes on."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch, "wait", interrupted)
    found = run("fetch", "gpt2")
    assert found.code == 130
    assert "the same command goes on from there" in found.err
    monkeypatch.undo()
    assert (hub.url, cache.exists()) != ("", False)


def test_a_content_under_two_names_comes_once(run: Run, hub: Hub, cache: Path, toy: Callable[..., None]) -> None:
    """The cache holds contents by digest: the second name is a link to the first one's."""
    hub.repos["a/b"] = Repo({"config.json": b"{}", "one.safetensors": WEIGHTS, "two.safetensors": WEIGHTS})
    toy(Download(repo="a/b"))
    assert run("fetch", "toy").code == 0
    assert len(hub.transfers("one.safetensors")) == 1
    assert set(snapshot(cache, "a/b")) == {"config.json", "one.safetensors", "two.safetensors"}


def test_a_commit_gets_no_branch(run: Run, cache: Path, hub: Hub, toy: Callable[..., None]) -> None:
    """A revision that is a commit is found by itself."""
    toy(Download(repo=GPT2, revision=COMMIT, patterns=("config.json",)))
    assert run("fetch", "toy").code == 0
    assert not (cache / "models--openai-community--gpt2" / "refs").exists()
    shutil.rmtree(cache)
    assert hub.asked

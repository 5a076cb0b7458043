"""Subjects that tests of several folders read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from made_subjects import Made, write_byte_tokenizer, write_gpt2, write_sae, write_word_tokenizer
from pytest_socket import socket_allow_hosts

from saeprobe.subject.local import Subject
from saeprobe.subject.specification import SaeFolder, SubjectSpec

# A deadline times the machine, not the code; and a test that draws other examples in every run is another test.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


def pytest_configure(config: pytest.Config) -> None:
    """Let tests import sae-lens 6.54 themselves: it imports transformer_lens.utils, which is deprecated."""
    config.addinivalue_line("filterwarnings", "ignore:The 'utils' module has been deprecated:DeprecationWarning")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A random GPT-2 of three blocks, sixteen wide, with a random SAE of 40 features before block 2."""
    import torch

    root = tmp_path_factory.mktemp("tiny")
    size = write_byte_tokenizer(root / "model")
    write_gpt2(root / "model", vocabulary=size, width=16, layers=3, heads=2)
    generator = torch.Generator().manual_seed(2)
    directions = torch.randn(40, 16, generator=generator)
    directions = directions / directions.norm(dim=1, keepdim=True)
    weights = {
        "W_enc": directions.T.contiguous(),
        "b_enc": torch.full((40,), -0.3),
        "W_dec": directions,
        "b_dec": torch.randn(16, generator=generator) * 0.1,
    }
    write_sae(root / "sae", weights=weights, hook_name="blocks.2.hook_resid_pre")
    spec = SubjectSpec(name="tiny", model=root / "model", sae=SaeFolder(path=root / "sae"), device="cpu")
    return Made(root=root, model=root / "model", sae=root / "sae", subject=Subject(spec=spec))


@pytest.fixture
def hand_worked(hand_worked_once: Made, tmp_path: Path) -> Made:
    """A folder with a pyproject.toml that declares the subject `hand`, whose features are known by hand.

    The model is three wide, its attention and MLP do nothing and its positions are all 0, so that the centred stream
    before block 1 is the word's embedding:

        calm   ( 0,  0,  0)   red    ( 2, -1, -1)   blue   (-1,  2, -1)   purple ( 1,  1, -2)

    The SAE has d_in 3 and two features: feature 0 is relu(x0 - 0.5) and feature 1 is relu(x1 - 0.5), with
    W_dec[0] = (1, 0, 0), W_dec[1] = (0, 1, 0) and b_dec = 0. So red gives (1.5, 0), blue (0, 1.5), purple (0.5, 0.5)
    and calm nothing. The reconstruction of red is (1.5, 0, 0), its squared error 0.25 + 1 + 1 = 2.25.
    """
    (tmp_path / "pyproject.toml").write_text(
        "[tool.saeprobe.subjects.hand]\n"
        f"model = '{hand_worked_once.model}'\n"
        f"sae = {{ path = '{hand_worked_once.sae}' }}\n"
        "device = 'cpu'\n",
        encoding="utf-8",
    )
    return Made(root=tmp_path, model=hand_worked_once.model, sae=hand_worked_once.sae, subject=hand_worked_once.subject)


@pytest.fixture(scope="session")
def hand_worked_once(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The files of `hand_worked`."""
    import torch

    root = tmp_path_factory.mktemp("hand")
    write_word_tokenizer(root / "model", ["calm", "red", "blue", "purple"])
    model = write_gpt2(root / "model", vocabulary=5, width=3, layers=2, heads=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for name, parameter in model.named_parameters():
            if name.endswith(("ln_1.weight", "ln_2.weight", "ln_f.weight")):
                parameter.fill_(1.0)
        # Each row is 5 away from its centred value in every dimension, which centring takes out.
        model.transformer.wte.weight.copy_(
            5.0 + torch.tensor([[9.0, 0, -9], [0, 0, 0], [2, -1, -1], [-1, 2, -1], [1, 1, -2]])
        )
    model.save_pretrained(root / "model")
    weights = {
        "W_enc": torch.tensor([[1.0, 0], [0, 1], [0, 0]]),
        "b_enc": torch.tensor([-0.5, -0.5]),
        "W_dec": torch.tensor([[1.0, 0, 0], [0, 1, 0]]),
        "b_dec": torch.zeros(3),
    }
    write_sae(root / "sae", weights=weights, hook_name="blocks.1.hook_resid_pre", context_size=16)
    spec = SubjectSpec(name="hand", model=root / "model", sae=SaeFolder(path=root / "sae"), device="cpu")
    return Made(root=root, model=root / "model", sae=root / "sae", subject=Subject(spec=spec))


def pytest_runtest_setup() -> None:
    """No test reaches the network; the loopback stays open for the browser and its driver."""
    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)

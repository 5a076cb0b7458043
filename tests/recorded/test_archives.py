"""A `.pt` file is read without torch as torch itself reads it, and whatever is no plain data in it is refused."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saeprobe.files import FileError
from saeprobe.recorded.archives import load_data
from saeprobe.shapes import NUMPY, StoredTensor, widened

DTYPES = [getattr(torch, name) for name in NUMPY if "float8" not in name]
BASE = torch.arange(24).reshape(2, 3, 4)
VIEWS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "whole": lambda x: x,
    "transposed": lambda x: x.transpose(0, 2),
    "every other": lambda x: x[:, ::2, 1::2],
    "a row": lambda x: x[1, 2],
    "a number": lambda x: x[1, 2, 3],
    "nothing": lambda x: x[:0],
    "a window": lambda x: x.flatten().unfold(0, 5, 7),
}


def equal(found: object, wanted: object) -> None:
    """Expect the same values, dtypes and shapes as torch gives, level by level."""
    if isinstance(wanted, torch.Tensor):
        assert isinstance(found, StoredTensor)
        assert (found.dtype, found.shape) == (str(wanted.dtype).removeprefix("torch."), tuple(wanted.shape))
        held = wanted.detach()
        if found.dtype.startswith("float8"):
            held = held.view(torch.uint8)
        given = widened(found.stored, found.dtype)
        np.testing.assert_array_equal(given, (held.float() if held.dtype == torch.bfloat16 else held).numpy())
    elif isinstance(wanted, dict):
        assert isinstance(found, dict)
        assert list(found) == list(wanted)
        for key in wanted:
            equal(found[key], wanted[key])
    elif isinstance(wanted, list | tuple):
        assert type(found) is (list if isinstance(wanted, list) else tuple)
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            equal(one, other)
    else:
        assert (type(found), found) == (type(wanted), wanted)


def same(path: Path, data: object, **how: Any) -> None:
    """Expect of a file what torch reads from it."""
    torch.save(data, path, **how)
    equal(load_data(path), torch.load(path, weights_only=True))


@pytest.mark.parametrize("view", VIEWS)
def test_every_dtype_and_view_is_read_as_torch_reads_it(tmp_path: Path, view: str) -> None:
    """Offsets and strides count in numbers of the dtype; a storage of several tensors is stored once."""
    tensors = {str(dtype): VIEWS[view](BASE.to(dtype)) for dtype in DTYPES}
    shared = BASE.float()
    same(tmp_path / "x.pt", {**tensors, "shared": [shared, VIEWS[view](shared), shared.mT[0]]})


def test_eight_bits_are_listed_as_bits(tmp_path: Path) -> None:
    """Numpy has no numbers in 8 bits; those of torch are newer than its storages and name their dtype otherwise."""
    same(tmp_path / "x.pt", [torch.tensor([1.0, -0.5]).to(getattr(torch, name)) for name in NUMPY if "float8" in name])


def test_a_bfloat16_becomes_the_float32_that_it_stands_for() -> None:
    """By hand: 0x3f80 is 1, 0xc040 is -3, 0x0001 is 2**-133 and 0xff80 minus infinity."""
    bits = np.array([0x3F80, 0xC040, 0x0001, 0xFF80], dtype=np.uint16)
    assert widened(bits, "bfloat16").tolist() == [1.0, -3.0, 2.0**-133, -np.inf]


def test_all_that_surrounds_tensors_is_read(tmp_path: Path) -> None:
    """Scalars, parameters, a module's state with its metadata, lists that are one, and names of dtypes and devices."""
    one = [1, None, True, -(2**70), 2.5, "ä", ("a", (1, 2, 3, 4), ()), float("inf")]
    same(tmp_path / "a.pt", {"twice": [one, one], 3: {}, None: [], "p": torch.nn.Parameter(torch.ones(2))})
    same(tmp_path / "b.pt", torch.nn.Linear(2, 3).bfloat16().state_dict())
    same(tmp_path / "c.pt", OrderedDict(a=torch.Size([1, 2]) and torch.ones(1, requires_grad=True)))
    torch.save({"dtype": torch.float16, "device": torch.device("cuda", 1), "size": torch.Size([2])}, tmp_path / "d.pt")
    assert load_data(tmp_path / "d.pt") == {"dtype": "float16", "device": "cuda:1", "size": (2,)}


def test_later_pickles_are_read_too(tmp_path: Path) -> None:
    """Torch itself takes them only where code may run."""
    torch.save([{"a": torch.ones(2), "b": "x" * 300}], tmp_path / "x.pt", pickle_protocol=5)
    equal(load_data(tmp_path / "x.pt"), torch.load(tmp_path / "x.pt", weights_only=False))


def test_the_bytes_of_another_machine_are_turned(tmp_path: Path) -> None:
    """A file of a big-endian machine says so beside its tensors."""
    parts = {"byteorder": b"big", "data/0": struct.pack(">2f", 1.5, -2), "data.pkl": TENSOR}
    assert load_data(archive(tmp_path / "x.pt", **parts)).stored.tolist() == [1.5, -2]  # type: ignore[attr-defined]


class _Writer(pickle.Pickler):
    """It writes tuples that begin with `storage` as persistent ids, as torch does."""

    def persistent_id(self, obj: Any) -> object:
        """Return what stands for a storage."""
        return obj if isinstance(obj, tuple) and obj[:1] == ("storage",) else None


class Calls:
    """Its pickle calls a function."""

    def __init__(self, function: object, *arguments: object, state: object = None) -> None:
        self.reduced = (function, arguments, state) if state is not None else (function, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


def pickled(data: object) -> bytes:
    """Pickle as torch does."""
    sink = io.BytesIO()
    _Writer(sink, protocol=2).dump(data)
    return sink.getvalue()


def rebuilt(*, count: object = 2, size: object = (2,), stride: object = (1,), offset: object = 0, **at: Any) -> bytes:
    """Pickle a tensor of two float32 in the part 0, with what is said otherwise."""
    storage = ("storage", at.get("kind", torch.FloatStorage), at.get("key", "0"), "cpu", count)
    function = at.get("function", torch._utils._rebuild_tensor_v2)  # type: ignore[attr-defined]
    return pickled(Calls(function, storage, offset, size, stride, False, None))


TENSOR = rebuilt()


def archive(path: Path, **parts: bytes) -> Path:
    """Write a zip file with these parts."""
    with zipfile.ZipFile(path, "w") as written:
        for name, content in {"data/0": struct.pack("<2f", 1.5, -2), **parts}.items():
            written.writestr(f"x/{name}", content)
    return path


def test_the_tensor_that_the_next_test_bends_is_read(tmp_path: Path) -> None:
    """What is refused below is refused for what was changed."""
    assert load_data(archive(tmp_path / "x.pt", **{"data.pkl": TENSOR})).stored.tolist() == [1.5, -2]  # type: ignore[attr-defined]


def deep(levels: int) -> bytes:
    """Write a tuple in a tuple and so on."""
    return b")" + b"\x85" * levels


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (rebuilt(size=(3,), count=2), "a tensor [3] claims 12 bytes and has 8 bytes"),
        (rebuilt(count=3), "cannot be read"),
        (rebuilt(count=2**62), "cannot be read"),
        (rebuilt(count=-1), "cannot be read"),
        (rebuilt(offset=1), "cannot be read"),
        (rebuilt(offset=-1), "cannot be read"),
        (rebuilt(stride=(2,)), "cannot be read"),
        (rebuilt(stride=(-1,)), "cannot be read"),
        (rebuilt(stride=(2**62,)), "cannot be read"),
        (rebuilt(stride=(2**61,)), "cannot be read"),  # the last of them is 2**63 bytes away
        (rebuilt(size=(2, 1), stride=(1, 0, 0)), "cannot be read"),
        (rebuilt(size=(0,), stride=()), "cannot be read"),
        (rebuilt(size=(), stride=(), offset=2**61), "cannot be read"),
        (pickled({2**61 - 1: None}), "a dict with 2305843009213693951 as a key"),
        (pickled({"k" * 501: None}), "as a key; wanted strings of up to 500"),
        (pickled([torch.Size])[:-1] + b".", "it holds a function; wanted tensors"),
        (pickled([torch._utils._rebuild_tensor_v2]), "it holds a method"),  # type: ignore[attr-defined]
        (pickled([("storage", torch.FloatStorage, "0", "cpu", 2)]), "it holds a memoryview"),
        (pickled([torch.complex32]), "numbers of the dtype complex32, which are not read"),
        (b"\x80\x02ctorch\nSize\nX\x01\0\0\0a\x85R.", "cannot be read"),
        (b"\x80\x02]" + b"N0" * 9 + b".", "opcode POP"),
        (b"\x80\x02](" + b"N" * 4_000_000 + b"e.", "its pickle is too long; wanted at most 4,000,000 opcodes"),
        (b"\x80\x02ccollections\nOrderedDict\nq\0)q\1" + b"h\0h\1R" * 350_000 + b".", "its pickle is too long"),
        (b"\x80\x02cevil\n" + b"x" * 1_000_000 + b"\n.", "the code 'evil.x{51}"),
        (rebuilt(stride=()), "cannot be read"),
        (rebuilt(size=(2**40, 2**40), stride=(0, 0)), "claims"),
        (rebuilt(size=(1,) * 100, stride=(0,) * 100), "cannot be read"),
        (rebuilt(size=(True,)), "cannot be read"),
        (rebuilt(size=("2",)), "cannot be read"),
        (rebuilt(size=None), "cannot be read"),
        (rebuilt(key="1"), "cannot be read"),
        (rebuilt(key="../data.pkl"), "cannot be read"),
        (rebuilt(function=torch.FloatStorage), "cannot be read"),
        (rebuilt(function=print), "'__builtin__.print'; it was refused and not run"),
        (pickled(torch.nn.Linear), "'torch.nn.modules.linear.Linear'; it was refused and not run"),
        (pickled(Calls(OrderedDict, [[1, 2]])), "cannot be read"),
        (pickled(Calls(torch.device, "a", state={"x": 1})), "opcode BUILD"),
        (pickled({1, 2}), "the code '__builtin__.set'"),
        (pickled(b"ab"), "the code '_codecs.encode'"),
        (b"\x80\x02cos\nsystem\n.", "the code 'os.system'"),
        (b"\x80\x02(S'x'\nios\nsystem\n.", "opcode"),
        (b"\x80\x02ctorch\ndevice\n)\x81.", "opcode NEWOBJ"),
        (b"\x80\x02\x82\x01.", "opcode EXT1"),
        (b"\x80\x02Pid\n.", "opcode PERSID"),
        (b"\x80\x02]]s.", "cannot be read"),
        (b"\x80\x02}(" + deep(1_000_000) + b"K\x01u.", "a dict with a tuple as a key"),
        (b"\x80\x02" + deep(1_000_000) + b".", "unfold without an end"),
        (b"\x80\x02(NN" + deep(1_000_000) + b"NNtQ.", "cannot be read"),
        (b"\x80\x02r\xff\xff\xff\xff.", "cannot be read"),
        (b"\x80\x02]", "cannot be read"),
        (b"", "cannot be read"),
    ],
)  # fmt: skip
def test_a_pickle_that_is_no_plain_data_is_refused(tmp_path: Path, code: bytes, said: str) -> None:
    """Whoever writes the opcodes by hand gets no call, no look beyond the file, and no stack that overflows."""
    with pytest.raises(FileError, match=said.replace("[3]", r"\[3\]")):
        load_data(archive(tmp_path / "x.pt", **{"data.pkl": code}))


SIZES = st.integers(0, 4) | st.sampled_from([2**16, 2**31])
STEPS = st.integers(-1, 4) | st.integers(0, 2**63) | st.sampled_from([2**k for k in range(28, 63)])


@settings(max_examples=300, deadline=None)
@given(axes=st.lists(st.tuples(SIZES, STEPS), max_size=3), offset=STEPS)
def test_every_number_of_a_tensor_lies_in_its_storage(
    tmp_path_factory: pytest.TempPathFactory, axes: list[tuple[int, int]], offset: int
) -> None:
    """Any sizes and strides are refused, or reach no further than the 16 numbers that are there."""
    size, stride = (tuple(one) for one in zip(*axes, strict=True)) if axes else ((), ())
    code = rebuilt(count=16, size=size, stride=stride, offset=offset)
    path = archive(tmp_path_factory.mktemp("x") / "x.pt", **{"data/0": bytes(64), "data.pkl": code})
    try:
        held = load_data(path)
    except FileError:
        return
    assert isinstance(held, StoredTensor)
    assert held.shape == size
    if held.stored.size:
        assert 0 <= offset + sum((n - 1) * step for n, step in axes) < 16


def test_what_a_zip_says_of_its_parts_is_not_taken_into_memory(tmp_path: Path) -> None:
    """Only tensors may be large; a part beside them has 16 MB at most, whatever its name is."""
    for part in ("byteorder", "data.pkl"):
        with pytest.raises(FileError, match=f"part 'x/{part}' has 16 MB; wanted at most 16 MB"):
            load_data(archive(tmp_path / "x.pt", **{"data.pkl": TENSOR, part: bytes(16_000_001)}))
    archive(tmp_path / "x.pt", **{"data.pkl": TENSOR})
    whole = bytearray((tmp_path / "x.pt").read_bytes())
    end = whole.index(b"PK\x05\x06")  # the directory is said to have 20 MB, which a hole in the file gives it
    whole[end + 12 : end + 16] = struct.pack("<I", 20_000_000)
    (tmp_path / "x.pt").write_bytes(bytes(20_000_000) + whole)
    with pytest.raises(FileError, match="cannot be read"):
        load_data(tmp_path / "x.pt")


def test_a_zip_whose_parts_disagree_is_refused(tmp_path: Path) -> None:
    """One name twice may be read as either; a part may say that it lies elsewhere, or beyond the file."""
    archive(tmp_path / "x.pt", **{"data.pkl": TENSOR})
    with zipfile.ZipFile(tmp_path / "x.pt", "a") as twice, pytest.warns(UserWarning, match="Duplicate"):
        twice.writestr("x/data.pkl", pickled([]))
    with pytest.raises(FileError, match="is there twice"):
        load_data(tmp_path / "x.pt")
    whole = archive(tmp_path / "y.pt", **{"data.pkl": TENSOR}).read_bytes()
    at = whole.index(b"PK\x01\x02")  # the first entry of the directory: data/0
    for place, value in ((42, 7), (42, 2**31)):
        damaged = bytearray(whole)
        damaged[at + place : at + place + 4] = struct.pack("<I", value)
        (tmp_path / "y.pt").write_bytes(bytes(damaged))
        with pytest.raises(FileError, match="cannot be read"):
            load_data(tmp_path / "y.pt")


def test_a_conjugate_that_is_still_to_be_made_is_refused(tmp_path: Path) -> None:
    """Its stored numbers are those of the tensor that it is the conjugate of."""
    torch.save([torch.ones(2, dtype=torch.complex64).conj()], tmp_path / "x.pt")
    with pytest.raises(FileError, match="still to be conjugated"):
        load_data(tmp_path / "x.pt")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_flipped_bytes_give_data_or_a_file_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """The pickle and the directory of the zip are damaged anywhere."""
    path = tmp_path_factory.mktemp("x") / "x.pt"
    torch.save({"a": [torch.ones(2, 3).T, 1.5], "b": torch.nn.Parameter(torch.ones(2))}, path)
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(damaged))
    try:
        load_data(path)
    except FileError:
        return

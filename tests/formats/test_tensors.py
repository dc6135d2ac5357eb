from __future__ import annotations

import gc
import os
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.errors import ReadError
from nxconvert.formats.tensors import ComputedTensor, MappedFile, MappedTensor, contiguous, transposed


@pytest.fixture
def mapped(tmp_path: Path) -> MappedFile:
    path = tmp_path / "weights"
    path.write_bytes(bytes(5) + np.arange(12, dtype="<f4").tobytes() + np.arange(3, dtype=ml_dtypes.bfloat16).tobytes())
    return MappedFile(path)


def test_mapped_tensor_is_a_view(mapped: MappedFile) -> None:
    tensor = MappedTensor(mapped, 5, ir.DataType.FLOAT, (3, 4), "w")
    array = tensor.numpy()
    np.testing.assert_array_equal(array, np.arange(12).reshape(3, 4))
    assert not array.flags.writeable
    assert not array.flags.owndata
    assert tensor.tobytes() == os.pread(mapped.fd, tensor.nbytes, tensor.offset)
    assert (tensor.name, tensor.dtype, tensor.shape, tensor.nbytes) == ("w", ir.DataType.FLOAT, ir.Shape([3, 4]), 48)


def test_mapped_tensor_streams_to_a_file(mapped: MappedFile, tmp_path: Path) -> None:
    tensor = MappedTensor(mapped, 5, ir.DataType.FLOAT, (12,))
    with (tmp_path / "out").open("wb") as out:
        out.write(b"ab")
        tensor.tofile(out)
    assert (tmp_path / "out").read_bytes() == b"ab" + tensor.tobytes()


def test_bfloat16_through_ml_dtypes(mapped: MappedFile) -> None:
    array = MappedTensor(mapped, 53, ir.DataType.BFLOAT16, (3,)).numpy()
    assert array.dtype == ml_dtypes.bfloat16
    assert array.tolist() == [0, 1, 2]


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3)])
def test_scalars_and_empty_tensors(mapped: MappedFile, shape: tuple[int, ...]) -> None:
    array = MappedTensor(mapped, 5, ir.DataType.FLOAT, shape).numpy()
    assert array.shape == shape


def test_a_tensor_beyond_the_end_is_refused(mapped: MappedFile) -> None:
    with pytest.raises(ReadError, match=r"truncated: w of 400 bytes .* start at byte 5, and the file has 59"):
        MappedTensor(mapped, 5, ir.DataType.FLOAT, (100,), "w")


def test_the_file_stays_open_as_long_as_a_tensor_lives(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"\1\2\3")
    file = MappedFile(path)
    fd = file.fd
    tensor = MappedTensor(file, 1, ir.DataType.UINT8, (2,))
    del file
    gc.collect()
    assert os.pread(tensor.file.fd, 2, tensor.offset) == b"\2\3"
    del tensor
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells the memory of a process on Linux only")
def test_a_transposition_gives_the_memory_of_the_file_back(tmp_path: Path) -> None:
    def resident() -> int:
        status = Path("/proc/self/status").read_text()
        return int(status.split("RssFile:")[1].split()[0])

    path = tmp_path / "weights"
    path.write_bytes(np.arange(8 << 20, dtype="<i4").tobytes())
    tensor = MappedTensor(MappedFile(path), 0, ir.DataType.INT32, (4096, 2048))
    before = resident()
    assert transposed(tensor, (1, 0)).numpy()[3, 4] == 3 + 4 * 2048
    assert resident() - before < 1 << 10
    assert tensor.numpy()[4, 3] == 3 + 4 * 2048


def test_what_cannot_be_mapped(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ReadError, match="is empty"):
        MappedFile(tmp_path / "empty")
    with pytest.raises(ReadError, match="is a directory"):
        MappedFile(tmp_path)
    with pytest.raises(ReadError, match="No such file"):
        MappedFile(tmp_path / "missing")


def test_computed_tensors_are_computed_each_time() -> None:
    calls = []

    def compute() -> np.ndarray:
        calls.append(1)
        return np.array([1, 2], np.float32)

    tensor = ComputedTensor(compute, ir.DataType.FLOAT, (2,), "w")
    assert (tensor.shape, tensor.dtype, tensor.nbytes, calls) == (ir.Shape([2]), ir.DataType.FLOAT, 8, [])
    assert tensor.numpy().tolist() == [1, 2]
    assert tensor.tobytes() == np.array([1, 2], np.float32).tobytes()
    assert len(calls) == 2


@pytest.mark.parametrize(
    "shape, perm",
    [
        ((300, 257), (1, 0)),
        ((2, 300, 257), (0, 2, 1)),
        ((3, 130, 140), (2, 0, 1)),
        ((64, 48, 3, 3), (2, 3, 1, 0)),
        ((64, 48, 3, 3), (0, 2, 3, 1)),
        ((5, 7, 300, 20), (0, 2, 1, 3)),
        ((1, 20000), (1, 0)),
        ((0, 4), (1, 0)),
        ((), ()),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.int8, ml_dtypes.bfloat16])
def test_transposition(shape: tuple[int, ...], perm: tuple[int, ...], dtype: type) -> None:
    array: np.ndarray = np.random.default_rng(0).integers(-100, 100, shape).astype(dtype)
    tensor = transposed(ir.tensor(array, name="w"), perm)
    assert tensor.shape == ir.Shape(array.transpose(perm).shape)
    assert tensor.name == "w"
    assert tensor.numpy().flags.c_contiguous
    np.testing.assert_array_equal(tensor.numpy(), array.transpose(perm))
    assert tensor.tobytes() == array.transpose(perm).tobytes()


def test_contiguous_keeps_what_is_contiguous() -> None:
    array = np.zeros((3, 4))
    assert contiguous(array) is array
    np.testing.assert_array_equal(contiguous(np.arange(40000)[::-2]), np.arange(40000)[::-2])

"""Weights that stay in Caffe2's files until they are written."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.errors import ReadError
from nxconvert.formats.caffe2 import Tensor, read_net, weight_tensor
from nxconvert.formats.caffe2.weights import StoredTensor
from nxconvert.formats.protobuf import varint
from nxconvert.formats.tensors import release

D = ir.DataType


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def stored(path: Path, values: np.ndarray) -> np.ndarray:
    """A view of floats in a net, five bytes apart."""
    rows = np.full((len(values), 5), 0x2D, np.uint8)
    rows[:, 1:] = values.view(np.uint8).reshape(-1, 4)
    path.write_bytes(field(2, field(4, b"GivenTensorFill") + field(5, field(1, b"values") + rows.tobytes())))
    view: np.ndarray = read_net(path).ops[0].args["values"]
    assert view.strides == (5,)
    return view


def resident() -> int:
    """The KB of this process that are in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def test_a_large_weight(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal(3_000_000).astype(np.float32)
    tensor = weight_tensor(stored(tmp_path / "net.pb", values), D.FLOAT, (3, 1000, 1000), "w")
    assert isinstance(tensor, StoredTensor)
    assert (tensor.name, tensor.dtype, tensor.shape) == ("w", D.FLOAT, ir.Shape([3, 1000, 1000]))
    for _ in range(2):
        np.testing.assert_array_equal(tensor.numpy(), values.reshape(3, 1000, 1000))
    assert tensor.tobytes() == values.tobytes()


def test_slabs_are_the_elements_in_order(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal(20_000_000).astype(np.float32)
    view = stored(tmp_path / "net.pb", values)
    tensor = weight_tensor([view[:11_000_000], view[11_000_000:]], D.FLOAT, (20_000_000,))
    assert isinstance(tensor, StoredTensor)
    slabs = list(tensor.slabs())
    assert max(slab.nbytes for slab in slabs) <= 32 << 20
    np.testing.assert_array_equal(np.concatenate(slabs), values)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is resident is asked of Linux")
def test_the_files_memory_is_given_back(tmp_path: Path) -> None:
    values = np.ones(20_000_000, np.float32)
    before = resident()
    view = stored(tmp_path / "net.pb", values)
    assert resident() - before < 20 << 10  # reading the net leaves none of its 100 MB
    tensor = weight_tensor(view, D.FLOAT, (20_000_000,))
    assert isinstance(tensor, StoredTensor)
    assert sum(int(slab.sum()) for slab in tensor.slabs()) == 20_000_000
    assert resident() - before < 80 << 10
    assert view[12345] == 1


def test_what_is_released_is_read_again(tmp_path: Path) -> None:
    values = np.arange(100_000, dtype=np.float32)
    view = stored(tmp_path / "net.pb", values)
    release(view[5000:60_000])
    np.testing.assert_array_equal(view, values)
    release(values)  # no file's: nothing happens
    release(view[:0])
    assert values[5] == 5


@pytest.mark.parametrize(
    "dtype, values, expected",
    [
        (D.INT32, np.array([1, -2], np.int64), np.array([1, -2], np.int32)),
        (D.BOOL, np.array([0, 5], np.int64), np.array([False, True])),
        (D.DOUBLE, np.array([0.1], np.float32), np.array([np.float32(0.1)], np.float64)),
        (D.INT64, np.arange(20_000)[::2], np.arange(20_000)[::2]),
        (D.UINT8, np.array([255], np.int64), np.array([255], np.uint8)),
    ],
)
def test_dtypes(dtype: ir.DataType, values: np.ndarray, expected: np.ndarray) -> None:
    tensor = weight_tensor(values, dtype, (len(values),))
    assert tensor.dtype == dtype
    np.testing.assert_array_equal(tensor.numpy(), expected)
    assert tensor.numpy().dtype == expected.dtype


def test_strings() -> None:
    tensor = weight_tensor(np.array([b"a", b"\xff"], object), D.STRING, (2, 1), "s")
    assert (tensor.dtype, tensor.shape, tensor.name) == (D.STRING, ir.Shape([2, 1]), "s")
    assert tensor.numpy().tolist() == [[b"a"], [b"\xff"]]


def test_a_tensor_in_pieces() -> None:
    parts = [np.arange(4, dtype=np.float32), np.arange(2, dtype=np.float32)]
    tensor = weight_tensor(Tensor("t", (2, 3), np.dtype("<f4"), parts), D.FLOAT, (2, 3), "t")
    np.testing.assert_array_equal(tensor.numpy(), [[0, 1, 2], [3, 0, 1]])
    assert weight_tensor([], D.FLOAT, (0, 5)).numpy().shape == (0, 5)


def test_what_does_not_fit() -> None:
    with pytest.raises(ReadError, match=r"the tensor 'w' has 3 values, and its shape \[2, 2\] asks for 4"):
        weight_tensor(np.zeros(3), D.FLOAT, (2, 2), "w")
    with pytest.raises(ReadError, match="a value that does not fit in UINT8"):
        weight_tensor(np.array([256]), D.UINT8, (1,))
    for value in (0.5, np.nan, 1e30):
        with pytest.raises(ReadError, match="a value that does not fit in INT32"):
            weight_tensor(np.array([value], np.float32), D.INT32, (1,))
    with pytest.raises(ReadError, match="of STRING has numbers"):
        weight_tensor(np.zeros(1), D.STRING, (1,))
    with pytest.raises(ReadError, match="of FLOAT has strings"):
        weight_tensor(np.array([b"a"], object), D.FLOAT, (1,))

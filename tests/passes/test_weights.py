"""Transposed weights: whole, and slab by slab."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.formats.tensors import MappedFile, MappedTensor
from nxconvert.passes import weights
from nxconvert.passes.weights import InSlabs, TransposedTensor


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (40, 3), (3, 40), (6, 5, 4), (2, 3, 4, 5), (1, 9), (0, 3), (3, 0)])
@pytest.mark.parametrize("mapped", [False, True])
def test_slabs_are_the_tensor(shape: tuple[int, ...], mapped: bool, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(weights, "SLAB", 64)
    monkeypatch.setattr(weights, "_BLOCK", 48)
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    tensor = ir.tensor(array)
    if mapped:
        (tmp_path / "w").write_bytes(b"head" + array.tobytes())
        tensor = MappedTensor(MappedFile(tmp_path / "w"), 4, ir.DataType.FLOAT, shape)
    for perm in itertools.permutations(range(len(shape))):
        one = TransposedTensor(tensor, perm, "w.T")
        expected = array.transpose(perm)
        slabs = list(one.slabs())
        assert one.name == "w.T"
        assert tuple(one.shape) == expected.shape
        assert isinstance(one, InSlabs)
        assert b"".join(slab.tobytes() for slab in slabs) == expected.tobytes() == one.tobytes()
        np.testing.assert_array_equal(one.numpy(), expected)
        assert len(slabs) == 1 or max(slab.nbytes for slab in slabs) <= max(64, one.nbytes // expected.shape[0])


def test_a_scalar_and_every_dtype():
    assert TransposedTensor(ir.tensor(2.0), ()).numpy() == 2.0
    for dtype in (ir.DataType.BFLOAT16, ir.DataType.INT4, ir.DataType.FLOAT8E4M3FN, ir.DataType.COMPLEX64):
        tensor = ir.Tensor(np.ones((2, 3), dtype.numpy()), dtype=dtype)
        one = TransposedTensor(tensor, (1, 0))
        assert (one.dtype, one.numpy().shape) == (dtype, (3, 2))
        assert one.tobytes() == ir.Tensor(np.ones((3, 2), dtype.numpy()), dtype=dtype).tobytes()

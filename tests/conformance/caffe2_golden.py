"""The cases that come with Caffe2: operators with inputs and outputs, recorded by those who wrote it.

They lie as zip files in the installed package, ``caffe2/python/serialized_test/data/operator_test``: the operator as a
message, the arrays as pickled lists of arrays. Caffe2 itself is not needed to read them.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from nxconvert.formats.caffe2 import read_net
from nxconvert.formats.protobuf import varint
from tests.conformance.caffe2_cases import Case

PLACE = "lib/python*/site-packages/caffe2/python/serialized_test/data/operator_test/*.zip"
#: All that an array's pickle refers to.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *(("numpy", name) for name in ("float32", "float64", "int32", "int64", "bool_")),
    ("_codecs", "encode"),
}


def archives(interpreter: str) -> Iterator[Path]:
    """The zip files beside an interpreter that has Caffe2."""
    yield from sorted(Path(interpreter).absolute().parents[1].glob(PLACE))


def read(archive: Path, folder: Path) -> Case:
    """The case in a zip file, its net written to `folder`."""
    with zipfile.ZipFile(archive) as file:
        op = file.read("op.pb")
        with zipfile.ZipFile(io.BytesIO(file.read("inout.npz"))) as arrays:
            given, results = (_listed(arrays.read(f"{name}.npy")) for name in ("inputs", "outputs"))
    path = folder / "predict_net.pb"
    path.write_bytes(_field(2, op))
    (operator,) = read_net(path).ops
    inputs = dict(zip(operator.inputs, given, strict=False))
    outputs = dict(zip(operator.outputs, results, strict=False))
    ends = [(7, name) for name in inputs] + [(8, name) for name in outputs]
    path.write_bytes(_field(2, op) + b"".join(_field(number, name.encode()) for number, name in ends))
    renamed = {f"{name}_out" if name in inputs else name: value for name, value in outputs.items()}
    return Case(archive.stem, path, inputs, renamed, {"op_type": operator.type})


def _field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def _listed(data: bytes) -> list[np.ndarray]:
    """The arrays in an array of objects."""
    stream = io.BytesIO(data)
    npy.read_magic(stream)
    npy.read_array_header_1_0(stream)
    items = _Arrays(stream, encoding="bytes").load().ravel().tolist()
    return [_plain(np.asarray(item)) for item in items]


def _plain(value: np.ndarray) -> np.ndarray:
    """An array of strings as bytes of one length."""
    if value.dtype.kind not in "OU":
        return value
    flat = [item if isinstance(item, bytes) else str(item).encode() for item in value.ravel().tolist()]
    return np.array(flat, "S" if flat else "S1").reshape(value.shape)


class _Arrays(pickle.Unpickler):
    """Unpickles arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)

"""Functions that change sequence axes; the values of ``Where`` were measured in CNTK 2.7."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest

from nxconvert.formats.cntk.dictionary import Axis
from nxconvert.frontends.cntk.dynamic import Axes, Seq, Tensor
from nxconvert.frontends.cntk.ops import sequence
from nxconvert.graph.builder import Builder
from nxconvert.graph.finish import finish

BATCH_AXIS = Axis(2147483647, "defaultBatchAxis", False)
MADE = (Axis(2147483647, "made", True), BATCH_AXIS)
NAN = np.nan


class Graph:
    """A graph of one sequence axis, to be fed ragged batches."""

    def __init__(self) -> None:
        self.op = Builder()
        self.batch = self.op.dim("batch")
        size = self.op.dim("sequence")
        lengths = self.op.input("lengths", ir.DataType.INT64, [self.batch])
        self.seq = Seq("axis", size, lambda: lengths, self.op, made=False)
        self.context = SimpleNamespace(
            op=self.op, batch=self.batch, new_axis=lambda name, size, make: Seq(name, size, make, self.op, made=True)
        )

    def input(self, name: str, *dims: int) -> Tensor:
        value = self.op.input(name, ir.DataType.FLOAT, [self.batch, self.seq.size, *dims])
        return Tensor(value, Axes(True, self.seq))

    def run(self, outputs: dict, feeds: dict) -> list[np.ndarray]:
        proto = ir.to_proto(finish(self.op, outputs))
        session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(
            None, {k: np.asarray(v, np.int64 if k == "lengths" else np.float32) for k, v in feeds.items()}
        )


@pytest.mark.parametrize(
    ("condition", "expected"), [([2, 0, 1, 3], [0, 0, 2, 3, 3, 3]), ([0.4] * 6, [0, 2, 5]), ([0, 1, 0], [1])]
)
def test_where_counts(condition: list[float], expected: list[int]) -> None:
    g = Graph()
    made = sequence.where(g.op, g.input("c"), context=g.context, newDynamicAxes=MADE)
    index, lengths = g.run(
        {"index": made.value, "n": made.axes.seq.lengths}, {"c": [[*condition, NAN]], "lengths": [len(condition)]}
    )
    np.testing.assert_array_equal(index, [expected])
    assert lengths == [len(expected)]


def test_scatter_undoes_gather_on_ragged_batches() -> None:
    g = Graph()
    x, condition = g.input("x", 2), g.input("c")
    index = sequence.where(g.op, condition, context=g.context, newDynamicAxes=MADE)
    gathered = sequence.gather_packed(g.op, x, index, context=g.context)
    back = sequence.scatter_packed(g.op, gathered, index, condition, context=g.context)
    data = np.arange(12, dtype=np.float32).reshape(2, 3, 2) + 1
    data[1, 2] = NAN
    (result,) = g.run({"back": back.value}, {"x": data, "c": [[1, 0, 1], [0, 1, NAN]], "lengths": [3, 2]})
    np.testing.assert_array_equal(result[0], data[0] * [[1], [0], [1]])
    np.testing.assert_array_equal(result[1, :2], data[1, :2] * [[0], [1]])


def test_unpacked_axis_is_as_long_as_the_longest_sequence() -> None:
    g = Graph()
    value, mask = sequence.unpack_sequence(g.op, g.input("x"), sequenceUnpackPaddingValue=-1.0)
    unpacked, steps = g.run(
        {"value": value.value, "mask": mask.value}, {"x": [[1, 2, NAN, NAN], [3, NAN, NAN, NAN]], "lengths": [2, 1]}
    )
    np.testing.assert_array_equal(unpacked, [[1, 2], [3, -1]])
    np.testing.assert_array_equal(steps, [[1, 1], [1, 0]])


def test_unpacked_sequence_fits_its_own_axis_again() -> None:
    g = Graph()
    x = g.input("x")
    like = sequence.to_sequence_like(g.op, sequence.unpack_sequence(g.op, x, sequenceUnpackSuppressMaskOutput=True), x)
    (total,) = g.run({"sum": g.op.Add(like.value, x.value)}, {"x": [[1, 2, NAN], [3, NAN, NAN]], "lengths": [2, 1]})
    np.testing.assert_array_equal(total[0, :2], [2, 4])
    assert total.shape == (2, 3)

"""Functions that change sequence axes; the values of ``Where`` were measured in CNTK 2.7."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest

from nxconvert.formats.cntk.dictionary import Axis
from nxconvert.formats.cntk.model import CONSTANT, Variable
from nxconvert.frontends.cntk.dynamic import Axes, Seq, Tensor
from nxconvert.frontends.cntk.idioms import Bounds, bounds
from nxconvert.frontends.cntk.network import Leaf, Network, Node, Result
from nxconvert.frontends.cntk.ops import sequence
from nxconvert.graph.builder import Builder
from nxconvert.graph.finish import finish

BATCH_AXIS = Axis(2147483647, "defaultBatchAxis", False)
MADE = (Axis(2147483647, "made", True), BATCH_AXIS)
NAN = np.nan


class Scalar:
    """A constant in a file."""

    nbytes = 4

    def __init__(self, number: float) -> None:
        self.numpy = lambda: np.float32(number)


class Graph:
    """A graph of one sequence axis, to be fed ragged batches."""

    def __init__(self) -> None:
        self.op = Builder()
        network, condition = network_of()
        self.batch = self.op.dim("batch")
        size = self.op.dim("sequence")
        lengths = self.op.input("lengths", ir.DataType.INT64, [self.batch])
        self.seq = Seq("axis", size, lambda: lengths, self.op, made=False)
        self.context = SimpleNamespace(
            op=self.op,
            batch=self.batch,
            network=network,
            node=Node("where", "Where", (condition,), {}, ""),
            new_axis=lambda name, size, make: Seq(name, size, make, self.op, made=True),
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


def network_of(*factors: str) -> tuple[Network, Result]:
    """A condition as CNTK writes it: ``first 2``, ``not last 1``; several are multiplied."""
    nodes: dict[str, Node] = {}
    variables = {f"c{n}": Variable(f"c{n}", CONSTANT, ir.DataType.FLOAT, (), (), False, "", Scalar(n)) for n in (0, 1)}

    def add(op: str, *inputs: object, **attributes: int) -> Result:
        uid = f"n{len(nodes)}"
        nodes[uid] = Node(uid, op, inputs, attributes, "")
        return Result(uid)

    conditions = []
    for factor in factors:
        *negated, where, count = factor.split()
        zeros = add("ReconcileDynamicAxis", Leaf("c0"), Leaf("x"))
        delay = "PastValue" if where == "first" else "FutureValue"
        flag = add(delay, zeros, Leaf("c1"), offset=int(count))
        conditions.append(add("Minus", Leaf("c1"), flag) if negated else flag)
    while len(conditions) > 1:
        conditions[:2] = [add("ElementTimes", *conditions[:2])]
    return Network(variables, nodes, []), conditions[0] if conditions else Leaf("c1")


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        (["first 2"], Bounds(until=2)),
        (["not first 1", "last 3", "not last 1"], Bounds(after=1, last=3, before=1)),
        (["first 4", "first 2", "not first 1", "not first 3"], Bounds(after=3, until=2)),
    ],
)
def test_bounds_of_slices(factors: list[str], expected: Bounds) -> None:
    assert bounds(*network_of(*factors)) == expected


def test_other_conditions_are_no_bounds() -> None:
    network, condition = network_of("first 2")
    network.variables["c1"] = network.variables["c0"]  # zeros before zeros
    assert bounds(network, condition) is None


def test_first_step_asks_for_no_lengths() -> None:
    g = Graph()
    g.context.network, condition = network_of("first 1")
    g.context.node = Node("where", "Where", (condition,), {}, "")
    index = sequence.where(g.op, g.input("c"), context=g.context, newDynamicAxes=(BATCH_AXIS,))
    assert index.axes == Axes(True)
    assert g.seq._lengths is None


def test_slice_from_the_end_of_ragged_sequences() -> None:
    g = Graph()
    x = g.input("x")
    g.context.network, condition = network_of("last 3", "not last 1")
    g.context.node = Node("where", "Where", (condition,), {}, "")
    index = sequence.where(
        g.op,
        x,
        context=g.context,
        newDynamicAxes=MADE,
        newSequenceAxisLengthScalingFactor=0,
        newSequenceAxisLengthAdditiveFactor=2,
    )
    found = sequence.gather_packed(g.op, x, index, context=g.context)
    steps, lengths = g.run(
        {"steps": found.value, "n": found.axes.seq.lengths}, {"x": [[1, 2, 3, 4], [5, 6, NAN, NAN]], "lengths": [4, 2]}
    )
    np.testing.assert_array_equal(lengths, [2, 1])
    np.testing.assert_array_equal(steps[0], [2, 3])
    assert steps[1, 0] == 5

"""The columns that CNTK lays the samples of a batch in, for the few functions whose results depend on that.

A matrix has a column for each sample. Sequences lie side by side, in as few rows of time as the longest one allows,
each in the first row that has room for it behind the ones before; steps that several rows have at a time are next to
each other. Measured: of sequences of 3, 1 and 4 steps, the first two are in one row, and the columns are those of steps
0 of the first and of the third, 1 and 1, 2 and 2, 0 of the second and 3 of the third. Sources: CNTK's MBLayout.
"""

from __future__ import annotations

import onnx_ir as ir

from nxconvert.frontends.cntk.dynamic import Axes, Seq, Tensor, masked
from nxconvert.frontends.cntk.network import Result
from nxconvert.frontends.cntk.table import Context
from nxconvert.graph.builder import Builder, TensorType, Value
from nxconvert.graph.dims import Int


class Columns:
    """The columns of a batch of sequences.

    Attributes:
        count: how many there are, with those in which there is no step of any sequence.
    """

    def __init__(self, op: Builder, seq: Seq, batch: Int) -> None:
        self._op, self._seq, self._batch = op, seq, batch
        row, start = _placement(op, seq, batch)
        rows = op.symbol_of(op.Add(op.ReduceMax(row, keepdims=0), 1), "rows", low=1)
        self.count = seq.longest * rows
        step = op.Add(op.Unsqueeze(start, [1]), op.Range(0, seq.size, 1))
        place = op.Add(op.Mul(step, op.dim_value(rows)), op.Unsqueeze(row, [1]))
        # What is behind the end of a sequence goes behind the last column.
        self._place = op.Where(seq.mask, place, op.dim_value(self.count))

    def pack(self, x: Value) -> Value:
        """[columns, elements] of [batch, sequence, elements]; zeros where there is no step."""
        op, size, width = self._op, self._batch * self._seq.size, x.dims[2]
        steps = op.reshape(masked(op, Tensor(x, Axes(True, self._seq)), 0.0), (size, width))
        empty = op.expand(op.const(0.0, x.etype), (self.count + 1, width))
        filled = op.ScatterND(empty, op.reshape(self._place, (size, 1)), steps)
        return op.reshape(op.Slice(filled, [0], op.dims_tensor([self.count]), [0]), (self.count, width))

    def unpack(self, x: Value) -> Value:
        """[batch, sequence, elements] of [columns, elements]."""
        op = self._op
        return op.Gather(x, op.Min(self._place, op.dim_value(self.count - 1)), axis=0)


def _placement(op: Builder, seq: Seq, batch: Int) -> tuple[Value, Value]:
    """The row that each sequence is in, and the step of the row that it starts at, int64[batch]."""
    body = op.child()
    used = body.input("used", seq.lengths.etype, (batch,))
    length = body.input("length", seq.lengths.etype, ())
    fits = body.LessOrEqual(body.Add(used, length), body.dim_value(seq.longest))
    row = body.ArgMax(body.cast(fits, ir.DataType.INT32), axis=0, keepdims=1)
    start = body.Gather(used, row, axis=0)
    after = body.ScatterElements(used, row, body.Add(start, length), axis=0)
    graph = body.graph([after, body.Squeeze(row, [0]), body.Squeeze(start, [0])], "place")
    nothing = op.expand(op.const(0, seq.lengths.etype), (batch,))
    types = [TensorType(seq.lengths.etype, (batch,))] * 3
    attributes = {"body": graph, "num_scan_inputs": 1}
    _, row, start = op.node("Scan", [nothing, seq.lengths], attributes, types)
    return row, start


def warn_of_empty_columns(context: Context, axes: Axes) -> None:
    """Says that results differ from CNTK's where that counts what it computed for columns in which there is no step."""
    if axes.seq is not None and any(isinstance(source, Result) for source in context.node.inputs):
        context.warn(
            f"where sequences differ in length, CNTK's {context.node.op} counts whatever was computed behind their "
            "ends; here that is 0"
        )

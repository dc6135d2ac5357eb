"""Sums over segments of rows, run in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from nxconvert.graph.builder import Builder
from nxconvert.graph.dims import Dim
from nxconvert.graph.finish import finish
from nxconvert.graph.segments import Segments, range_indices, reduce_segments


def _run(build, **feeds):
    op = Builder()
    values = []
    for name, array in feeds.items():
        dims = [Dim.symbol(f"{name}{i}", low=0) for i in range(array.ndim)]
        values.append(op.input(name, ir.DataType.from_numpy(array.dtype), dims))
    outputs = {f"out{i}": value for i, value in enumerate(build(op, *values))}
    session = onnxruntime.InferenceSession(ir.to_proto(finish(op, outputs)).SerializeToString())
    return session.run(None, feeds)


def _parts(op, lengths):
    segments = Segments(op, lengths)
    return segments.ids, segments.places, segments.starts


@pytest.mark.parametrize("lengths", [[2, 0, 3], [0, 0, 1, 0], [0], [], [1, 1]])
def test_rows_know_their_segment_and_place(lengths):
    ids, places, starts = _run(_parts, lengths=np.array(lengths, np.int32))
    assert ids.tolist() == [i for i, n in enumerate(lengths) for _ in range(n)]
    assert places.tolist() == [k for n in lengths for k in range(n)]
    assert starts.tolist() == [sum(lengths[:i]) for i in range(len(lengths))]


def test_ranges_are_written_out_one_after_another():
    def build(op, starts, lengths):
        return (range_indices(op, starts, lengths),)

    (indices,) = _run(build, starts=np.array([5, 9, 0, 3]), lengths=np.array([2, 0, 3, 1]))
    assert indices.tolist() == [5, 6, 0, 1, 2, 3]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.float16])
def test_many_rows_of_few_segments_lose_nothing(dtype):
    """A runtime that adds rows from several threads at once would lose some of them."""
    rng = np.random.default_rng(0)
    rows = rng.integers(-1, 2, (20000, 16)).astype(dtype)
    ids = rng.integers(0, 2, 20000)

    def build(op, rows, ids):
        return (reduce_segments(op, rows, ids, 3),)

    want = np.zeros((3, 16))
    np.add.at(want, ids, rows.astype(np.float64))
    for _ in range(5):
        (got,) = _run(build, rows=rows, ids=ids)
        assert got.dtype == dtype
        assert np.array_equal(got, want.astype(dtype))

"""Regions on a fixed grid at several scales (R-MAC, https://arxiv.org/abs/1511.05879).

Semantics as in Caffe2's ``rmac_regions_op.cc``.
"""

from __future__ import annotations

import numpy as np

from nxconvert.frontends.caffe2.table import Builder, DataType, Images, Value, caffe2

_MOST_STEPS = 6


@caffe2("RMACRegions")
def rmac_regions(op: Builder, x: Images, *, scales: int = 3, overlap: float = 0.4) -> Value:
    """Square regions that cover each image, rows of image, x1, y1, x2, y2: float32[n, 5].

    At scale ``l`` there are ``l`` regions along the shorter side, and as many more along the longer one as let
    neighbours overlap by about ``overlap``.
    """
    batch, height, width = x.dims[0], *x.dims[2:4]
    h, w = op.dim_value(height), op.dim_value(width)
    shorter = op.Min(h, w)
    more = _more(op, h, w, shorter, overlap)
    more_x, more_y = (op.Where(op.Greater(a, b), more, 0) for a, b in ((w, h), (h, w)))
    corners = [_scale(op, level, (w, more_x), (h, more_y), shorter) for level in range(1, scales + 1)]
    grid = op.Unsqueeze(op.cast(op.Concat(*corners, axis=0), DataType.FLOAT), [0])
    images = op.reshape(op.cast(op.Range(0, batch, 1), DataType.FLOAT), [batch, 1, 1])
    count = grid.dims[1]
    rows = op.Concat(op.expand(images, [batch, count, 1]), op.expand(grid, [batch, count, 4]), axis=2)
    return op.reshape(rows, [batch * count, 5])


def _more(op: Builder, h: Value, w: Value, shorter: Value, overlap: float) -> Value:
    """How many regions more the longer side takes: the number with the overlap that is closest to what is wanted."""
    longer, side = (op.cast(v, DataType.FLOAT) for v in (op.Max(h, w), shorter))
    steps = op.const(np.arange(1, _MOST_STEPS + 1, dtype=np.float32))
    apart = op.Div(op.Sub(longer, side), steps)
    area = op.Mul(side, side)
    share = op.Div(op.Sub(area, op.Mul(side, apart)), area)
    off = op.Abs(op.Sub(share, np.array(overlap, np.float32)))
    return op.Add(op.ArgMin(off, axis=0, keepdims=0), 1)


def _scale(op: Builder, level: int, x: tuple[Value, Value], y: tuple[Value, Value], shorter: Value) -> Value:
    """The corners of all regions of a scale, int64[n, 4]: column by column, none if they would have no pixel."""
    side = op.Div(op.Mul(shorter, 2), level + 1)
    there = op.Greater(side, 0)
    starts = []
    for size, more in (x, y):
        count = op.Add(more, level)
        room = op.Sub(size, side)
        gaps = op.Sub(count, 1)
        step = op.Div(op.cast(room, DataType.FLOAT), op.cast(op.Max(gaps, 1), DataType.FLOAT))
        step = op.Where(op.Greater(gaps, 0), step, 0.0)
        places = op.Range(0, op.Where(there, count, 0), 1)
        start = op.cast(op.Mul(step, op.cast(places, DataType.FLOAT)), DataType.INT64)
        starts.append(op.Min(start, room))
    columns, rows = op.Unsqueeze(starts[0], [1]), op.Unsqueeze(starts[1], [0])
    sizes = [columns.dims[0], rows.dims[1]]
    x1, y1 = op.expand(columns, sizes), op.expand(rows, sizes)
    last = op.Sub(side, 1)
    parts = [op.reshape(v, [sizes[0] * sizes[1], 1]) for v in (x1, y1, op.Add(x1, last), op.Add(y1, last))]
    return op.Concat(*parts, axis=1)

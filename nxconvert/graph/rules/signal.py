"""Fourier transforms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nxconvert.graph.dims import Int, compare, floordiv
from nxconvert.graph.rules import infer_rule
from nxconvert.graph.rules.common import agree, integers, normal_axis, static_integers, tensor, want_rank
from nxconvert.graph.values import GraphTypeError, TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder


@infer_rule("DFT")
def _dft(
    op: Builder,
    x: Value,
    length: Value | None = None,
    axis: Value | None = None,
    /,
    *,
    inverse: int = 0,
    onesided: int = 0,
) -> list[TensorType]:
    want_rank(x, 2, "the input", at_least=True)
    chosen = static_integers(axis, "the axis")
    which = normal_axis(-2 if chosen is None else chosen[0], len(x.dims))
    if which == len(x.dims) - 1:
        raise GraphTypeError("the last axis holds real and imaginary parts")
    to_real = bool(onesided and inverse)
    size = (x.dims[which] - 1) * 2 if to_real else x.dims[which]
    if length is not None:
        known = integers(length)
        size = known[0] if known else op.fresh("dft", low=1)
    bins = floordiv(size, 2) + 1 if onesided and not inverse else size
    return tensor(x.etype, [*x.dims[:which], bins, *x.dims[which + 1 : -1], 1 if to_real else 2])


@infer_rule("STFT")
def _stft(
    op: Builder,
    x: Value,
    step: Value,
    window: Value | None = None,
    length: Value | None = None,
    /,
    *,
    onesided: int = 1,
) -> list[TensorType]:
    want_rank(x, 2, "the signal", at_least=True)
    known = integers(length)
    frame: Int = known[0] if known else window.dims[0] if window is not None else op.fresh("frame", low=1)
    if known and window is not None:
        agree(frame, window.dims[0], "the window is not as long as a frame")
    if compare(frame, ">", x.dims[1]):
        raise GraphTypeError(f"a frame of {frame} does not fit into a signal of {x.dims[1]}")
    hop = integers(step)
    frames = floordiv(x.dims[1] - frame, hop[0]) + 1 if hop else op.fresh("frames")
    bins = floordiv(frame, 2) + 1 if onesided else frame
    return tensor(x.etype, [x.dims[0], frames, bins, 2])

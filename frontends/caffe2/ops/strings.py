r"""Strings: how they begin and end, their first and last bytes, joined ones.

Semantics: ``caffe2/operators/string_ops.cc``.

ONNX can compare strings, join them, sort them and match them against a regular expression, which ``\C``, any single
byte, makes good for bytes that are no UTF-8. It cannot cut strings: they are spelled out byte by byte, each found by
sorting a string among the continuations of what is known of it.
"""

from __future__ import annotations

import string

import numpy as np

from nxconvert.frontends.caffe2.table import Builder, DataType, Int, LoweringError, Texts, Value, caffe2
from nxconvert.graph.builder import TensorType
from nxconvert.graph.dims import product
from nxconvert.graph.segments import counting

_BYTES = [bytes([code]) for code in range(256)]


def _matches(op: Builder, x: Value, pattern: str) -> Value:
    return op.RegexFullMatch(x, pattern=f"(?s){pattern}")


def _literal(text: str) -> str:
    """A text as a part of a pattern."""
    plain = string.ascii_letters + string.digits
    return "".join(c if c in plain or ord(c) >= 128 else f"\\x{ord(c):02x}" for c in text)


@caffe2("StringStartsWith")
def string_starts_with(op: Builder, x: Texts, *, prefix: str = "") -> Value:
    return _matches(op, x, rf"{_literal(prefix)}\C*")


@caffe2("StringEndsWith")
def string_ends_with(op: Builder, x: Texts, *, suffix: str = "") -> Value:
    return _matches(op, x, rf"\C*{_literal(suffix)}")


# ---- cut -------------------------------------------------------------------------------------------------------------


@caffe2("StringPrefix")
def string_prefix(op: Builder, x: Texts, *, length: int = 3) -> Value:
    """The first bytes, of a shorter string all."""
    if length < 0:
        raise LoweringError(f"a string has no {length} first bytes")
    prefix, _ = _spelled(op, x, length, None)
    return op.reshape(prefix, x.dims)


@caffe2("StringSuffix")
def string_suffix(op: Builder, x: Texts, *, length: int = 3) -> Value:
    """The last bytes, of a shorter string all."""
    if length < 0:
        raise LoweringError(f"a string has no {length} last bytes")
    if length == 0:
        return op.expand(op.const("", DataType.STRING), x.dims)
    _, letters = _spelled(op, x, None, length)
    assert letters is not None
    suffix = op.Gather(letters, 0, axis=1)
    for place in range(1, length):
        suffix = op.StringConcat(suffix, op.Gather(letters, place, axis=1))
    return op.reshape(suffix, x.dims)


def _spelled(op: Builder, x: Value, most: int | None, last: int | None) -> tuple[Value, Value | None]:
    """The strings spelled out byte by byte, up to a number of bytes or to the end.

    Returns:
        what has been spelled out, string[n], and the last bytes of it, string[n, last], behind empty ones where there
        are not as many.
    """
    count = product(x.dims)
    flat = op.reshape(x, [count])
    empty = op.const("", DataType.STRING)
    state = [op.expand(empty, [count]), *([op.expand(empty, [count, last])] if last else [])]
    body = op.child()
    body.input("place", DataType.INT64, ())
    body.input("going", DataType.BOOL, ())
    prefix, *letters = (body.input(f"state{i}", value.etype, value.dims) for i, value in enumerate(state))
    code = _next_byte(body, flat, prefix, count)
    letter = body.Gather(op.const([*_BYTES, b""], DataType.STRING), code, axis=0)
    going = body.Greater(body.ReduceSum(body.Add(code, 1), keepdims=0), 0)
    results = [body.StringConcat(prefix, letter)]
    if last:
        moved = body.Concat(body.Slice(letters[0], [1], [last], [1]), body.Unsqueeze(letter, [1]), axis=1)
        results.append(body.Where(body.Less(body.Unsqueeze(code, [1]), 0), letters[0], moved))
    graph = body.graph([going, *results], "spell")
    types = [TensorType(value.etype, value.dims) for value in state]
    trips = None if most is None else op.const(most)
    spelled = op.node("Loop", [trips, op.const(True), *state], {"body": graph}, types)
    return spelled[0], spelled[1] if last else None


def _next_byte(op: Builder, x: Value, prefix: Value, count: Int) -> Value:
    """The byte that follows a prefix in each string, int64[n]; -1 at the end.

    ``Unique`` sorts strings by their bytes: as many of the prefix's 256 continuations as are not behind the string in
    that order, so many bytes are not above the one that follows.
    """
    longer = op.StringConcat(op.Unsqueeze(prefix, [1]), op.const(_BYTES, DataType.STRING))
    together = op.Concat(x, op.reshape(longer, [count * len(_BYTES)]), axis=0)
    ranks = op.Unique(together, sorted=1, _outputs=3)[2]
    own = op.reshape(op.Slice(ranks, [0], op.dims_tensor([count]), [0]), [count, 1])
    others = op.Slice(ranks, op.dims_tensor([count]), [np.iinfo(np.int64).max], [0])
    before = op.LessOrEqual(op.reshape(others, [count, len(_BYTES)]), own)
    return op.Sub(op.ReduceSum(op.cast(before, DataType.INT64), [1], keepdims=0), 1)


# ---- joined ----------------------------------------------------------------------------------------------------------


@caffe2("StringJoin")
def string_join(op: Builder, x: Value, *, delimiter: str = ",", axis: int = 0) -> Value:
    """Each row of a matrix (of ``axis`` 1, each column) as one string, the delimiter behind every element; a vector
    element by element.
    """
    if x.rank not in (1, 2) or axis not in (0, 1) or axis >= x.rank:
        raise LoweringError(f"a tensor of rank {x.rank} is not joined along axis {axis}")
    texts = op.StringConcat(_written(op, x), op.const(delimiter, DataType.STRING))
    if x.rank == 1:
        return texts
    along = 1 - axis
    size = x.dims[along]
    if not isinstance(size, int) or not size:
        raise LoweringError(f"how many strings it joins, {size}, is to be known, and not 0")
    joined = op.Gather(texts, 0, axis=along)
    for place in range(1, size):
        joined = op.StringConcat(joined, op.Gather(texts, place, axis=along))
    return joined


def _written(op: Builder, x: Value) -> Value:
    """Numbers as C++ writes them: of floats six digits."""
    if x.etype == DataType.STRING:
        return x
    if x.etype == DataType.BOOL:
        x = op.Cast(x, to=DataType.INT32)
    texts = op.Cast(x, to=DataType.STRING)
    if not x.etype.is_floating_point():
        return texts
    # ONNX Runtime writes more digits, so only what needs no more than six may pass.
    digits = "|".join(rf"[1-9][0-9]{{{whole}}}(?:\.[0-9]{{1,{5 - whole}}})?" for whole in range(5))
    few = _matches(op, texts, rf"-?(?:0|0\.0*[1-9][0-9]{{0,5}}|[1-9][0-9]{{5}}|{digits})(?:e[+-][0-9]+)?")
    count = product(x.dims)
    place = op.Where(op.reshape(few, [count]), counting(op, count), count)
    return op.reshape(op.Gather(op.reshape(texts, [count]), place, axis=0), x.dims)

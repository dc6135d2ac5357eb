"""Operators on strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx_ir as ir

from nxconvert.graph.rules import infer_rule
from nxconvert.graph.rules.common import broadcast_dims, tensor
from nxconvert.graph.values import TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder


@infer_rule("RegexFullMatch")
def _regex_full_match(op: Builder, x: Value, /, *, pattern: str) -> list[TensorType]:
    return tensor(ir.DataType.BOOL, x.dims)


@infer_rule("StringConcat")
def _string_concat(op: Builder, a: Value, b: Value, /) -> list[TensorType]:
    return tensor(a.etype, broadcast_dims(op, a.dims, b.dims))

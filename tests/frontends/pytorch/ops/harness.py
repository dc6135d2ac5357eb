"""Holds one lowering against PyTorch: the same arguments through both, with known and with free dims."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from nxconvert.frontends.pytorch import ops  # noqa: F401  (fills the table)
from nxconvert.frontends.pytorch.compound import ComplexValue, Compound
from nxconvert.frontends.pytorch.dtypes import CODES, COMPLEX_CODES
from nxconvert.frontends.pytorch.table import Scalar, aten
from nxconvert.graph.builder import Builder, Value
from nxconvert.graph.dims import Dim

_QUANTIZED_CODES = {"qint8": 12, "quint8": 13, "qint32": 14}
_OTHER_CODES = _QUANTIZED_CODES | {name: code for code, name in COMPLEX_CODES.items()}


class Weight:
    """A tensor that stands in the file instead of being fed."""

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor


Call = Callable[..., Any]
"""Calls an operator by its name, in PyTorch or in the graph."""

Lowered = tuple[ir.Model, dict[str, np.ndarray], list[Any]]


def lower(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, free: bool) -> Lowered:
    """The model of one call, its inputs, and its flattened results (graph values, or what was known while lowering)."""
    return lower_program(lambda call, *args, **kwargs: call(name, *args, **kwargs), args, kwargs, free=free)


def lower_program(program: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, free: bool) -> Lowered:
    """The same for several calls, ``program(call, *args, **kwargs)``; ``call.op`` is the builder."""
    op = Builder()
    feeds: dict[str, np.ndarray] = {}
    args, kwargs = _to_graph(op, feeds, args, free), _to_graph(op, feeds, kwargs, free)

    def call(name: str, *args: Any, **kwargs: Any) -> Any:
        return aten.find(name, args, kwargs).function(op, *args, **kwargs)

    call.op = op  # type: ignore[attr-defined]
    values = [as_output(op, item) for item in _flatten(program(call, *args, **kwargs))]
    return to_model(op, [v for v in values if isinstance(v, Value)]), feeds, values


def to_model(op: Builder, outputs: list[Value]) -> ir.Model:
    """What was built, as a model whose values all carry their types and shapes."""
    graph = op.graph(outputs, "main")
    for value in op.initializers():
        graph.register_initializer(value)
    for node in ir.traversal.RecursiveGraphIterator(graph):
        bodies = [a.as_graph() for a in node.attributes.values() if a.type == ir.AttributeType.GRAPH]
        for value in [*node.outputs, *(i for body in bodies for i in body.inputs)]:
            _stamp(value)
    for value in [*op.inputs, *op.initializers()]:
        _stamp(value)
    return ir.Model(graph, ir_version=10)


def as_output(op: Builder, item: Any) -> Any:
    if isinstance(item, Scalar):
        return item.value
    if isinstance(item, Compound):
        return item.plain(op)
    return op.dim_value(item) if isinstance(item, Dim) else item


def _stamp(value: Any) -> None:
    if isinstance(value, Value) and value.dims is not None:
        value.shape = ir.Shape([d if isinstance(d, int) else str(d) for d in value.dims])


def check(
    name: str, *args: Any, rtol: float = 1e-4, atol: float = 1e-5, free: tuple[bool, ...] = (False, True), **kwargs: Any
) -> None:
    """Lowers ``aten::name`` for torch arguments, runs it in ONNX Runtime and compares with what PyTorch returns.

    Args:
        name: the operator as TorchScript spells it (``add``, ``max_pool2d``, ``torchvision::nms``).
        args: tensors (graph inputs), numbers, lists, None, and torch.dtype.
        rtol: relative tolerance of floats.
        atol: absolute tolerance of floats.
        free: whether to try with known dims, with free dims, or both.
        kwargs: arguments by name.
    """
    check_program(lambda call, *a, **k: call(name, *a, **k), *args, rtol=rtol, atol=atol, free=free, **kwargs)


def check_program(
    program: Callable[..., Any],
    *args: Any,
    rtol: float = 1e-4,
    atol: float = 1e-5,
    free: tuple[bool, ...] = (False, True),
    **kwargs: Any,
) -> None:
    """The same for several calls: ``program(call, *args, **kwargs)`` says ``call("add", x, y)``."""

    def call(name: str, *args: Any, **kwargs: Any) -> Any:
        return _packet(name)(*args, **kwargs)

    expected = [_to_numpy(x) for x in _flatten(program(call, *_clone(args), **_clone(kwargs)))]
    for is_free in free:
        model, feeds, values = lower_program(program, args, kwargs, free=is_free)
        compare(run(model, feeds), values, expected, rtol, atol)


def _packet(name: str) -> Any:
    import torch

    namespace, _, operator = name.rpartition("::")
    return getattr(getattr(torch.ops, namespace or "aten"), operator)


def run(model: ir.Model, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs of a model in ONNX Runtime; in onnx's own evaluator where that has no kernel for a dtype."""
    import onnx
    import onnxruntime

    if not model.graph.outputs:
        return []
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    used = {i.name for i in proto.graph.input}
    feeds = {k: v for k, v in feeds.items() if k in used}
    try:
        return onnxruntime.InferenceSession(proto.SerializeToString(), options).run(None, feeds)
    except Exception as error:
        # It neither takes nor gives bfloat16 arrays.
        known = ("NOT_IMPLEMENTED", "NotImplemented", "MLDataType", "Numpy type")
        if not any(word in f"{type(error).__name__} {error}" for word in known):
            raise
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(proto).run(None, feeds)


def compare(actual: list[np.ndarray], values: list[Any], expected: list[Any], rtol: float, atol: float) -> None:
    """Dtypes, shapes, inferred dims and numbers."""
    assert len(values) == len(expected), f"{len(values)} results, PyTorch returns {len(expected)}"
    remaining = iter(actual)
    for value, want in zip(values, expected, strict=True):
        got = np.asarray(next(remaining)) if isinstance(value, Value) else np.asarray(value)
        assert got.shape == want.shape, f"shape {got.shape}, PyTorch returns {want.shape}"
        if isinstance(value, Value):
            assert got.dtype == want.dtype, f"dtype {got.dtype}, PyTorch returns {want.dtype}"
            fixed = [(d, s) for d, s in zip(value.dims, want.shape, strict=True) if isinstance(d, int)]
            assert all(d == s for d, s in fixed), f"dims {value.dims}, PyTorch returns {want.shape}"
        if want.dtype.kind in "fV" or "float" in str(want.dtype):
            np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=rtol, atol=atol)
        else:
            np.testing.assert_array_equal(got, want)


def _to_graph(op: Builder, feeds: dict[str, np.ndarray], x: Any, free: bool) -> Any:
    import torch

    if isinstance(x, torch.Tensor) and x.is_complex():
        return ComplexValue(*(_to_graph(op, feeds, part.contiguous(), free) for part in (x.real, x.imag)))
    if isinstance(x, torch.Tensor):
        array = _to_numpy(x)
        name = f"in{len(feeds)}"
        feeds[name] = array
        dims = [Dim.symbol(f"{name}_{axis}") if free and size > 1 else size for axis, size in enumerate(array.shape)]
        return op.input(name, ir.DataType.from_numpy(array.dtype), dims)
    if isinstance(x, Weight):
        return op.weight(ir.Tensor(_to_numpy(x.tensor)), "weight")
    if isinstance(x, torch.dtype) and str(x)[6:] in _OTHER_CODES:
        return _OTHER_CODES[str(x)[6:]]
    if isinstance(x, torch.dtype):
        return CODES[ir.DataType[{"float32": "FLOAT", "float64": "DOUBLE"}.get(str(x)[6:], str(x)[6:].upper())]]
    if isinstance(x, (list, tuple)):
        return type(x)(_to_graph(op, feeds, item, free) for item in x)
    return {k: _to_graph(op, feeds, v, free) for k, v in x.items()} if isinstance(x, dict) else x


def _clone(x: Any) -> Any:
    import torch

    if isinstance(x, Weight):
        return x.tensor
    if isinstance(x, torch.Tensor):
        return x.clone(memory_format=torch.preserve_format)
    if isinstance(x, (list, tuple)):
        return type(x)(_clone(item) for item in x)
    return {k: _clone(v) for k, v in x.items()} if isinstance(x, dict) else x


def _flatten(x: Any) -> list[Any]:
    if isinstance(x, (list, tuple)):
        return [leaf for item in x for leaf in _flatten(item)]
    return [x]


def _to_numpy(x: Any) -> Any:
    import ml_dtypes
    import torch

    if not isinstance(x, torch.Tensor):
        return np.asarray(x)
    x = x.detach().resolve_conj().resolve_neg()
    if x.is_quantized:
        x = x.dequantize()
    if x.is_complex():
        x = torch.view_as_real(x)
    return x.float().numpy().astype(ml_dtypes.bfloat16) if x.dtype == torch.bfloat16 else x.contiguous().numpy()

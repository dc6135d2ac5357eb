"""What a caller declares about an ONNX model: sizes of free dims, names for them, inputs pinned to constants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx

from nxconvert.errors import UsageError
from nxconvert.frontends.onnx.weights import Weights
from nxconvert.inputs import DTYPES, Dim, InputSpec
from nxconvert.plugins import ReadOptions


def declare(graph: onnx.GraphProto, options: ReadOptions, weights: Weights) -> None:
    """Writes what `options` declares into the types of `graph`, and gives every free dim of an input a name.

    Raises:
        UsageError: an input that does not exist, or a declaration that contradicts the model.
    """
    inputs = {value.name: value for value in graph.input if weights.is_input(value.name)}
    for name, constant in options.constants.items():
        value = _find(inputs, name)
        weights.pin(name, onnx.numpy_helper.from_array(_constant(value, constant), name))
        del inputs[name]
    renamed: dict[str, Dim] = {}
    for name, spec in _by_name(options, list(inputs)).items():
        renamed |= _agree(_find(inputs, name), spec, renamed)
    for value in _typed_values(graph):
        _rename(value, renamed)
    for value in inputs.values():
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if not dim.HasField("dim_value") and not dim.dim_param:
                dim.dim_param = f"{value.name}_{axis}"


def _by_name(options: ReadOptions, names: list[str]) -> Mapping[str, InputSpec]:
    specs = options.inputs
    if specs is None or isinstance(specs, Mapping):
        return specs or {}
    if len(specs) > len(names):
        raise UsageError(f"{len(specs)} inputs are declared, and the model has {len(names)}: {', '.join(names)}.")
    return dict(zip(names, specs, strict=False))


def _find(inputs: Mapping[str, onnx.ValueInfoProto], name: str) -> onnx.ValueInfoProto:
    if name not in inputs:
        raise UsageError(f"the model has no input {name}; its inputs are {', '.join(inputs) or 'none'}.")
    return inputs[name]


def _constant(value: onnx.ValueInfoProto, constant: object) -> np.ndarray:
    tensor = value.type.tensor_type
    try:
        array = np.asarray(constant, dtype=onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except (TypeError, ValueError) as error:
        raise UsageError(f"the input {value.name} cannot be pinned to {constant!r}: {error}") from error
    if tensor.HasField("shape") and array.ndim != len(tensor.shape.dim):
        raise UsageError(
            f"the input {value.name} has {len(tensor.shape.dim)} dims, and {constant!r}, which it is to be pinned to, "
            f"has {array.ndim}."
        )
    return array


def _agree(value: onnx.ValueInfoProto, spec: InputSpec, renamed: Mapping[str, Dim]) -> dict[str, Dim]:
    """What each free dim of `value` becomes by `spec`."""
    tensor = value.type.tensor_type
    dtype = onnx.TensorProto.DataType.Name(tensor.elem_type)
    if spec.dtype is not None and DTYPES[spec.dtype] != dtype:
        raise UsageError(f"the input {value.name} is {dtype} in the model, and {spec.dtype} is declared.")
    if not tensor.HasField("shape"):
        tensor.shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in spec.dims)
    if len(tensor.shape.dim) != len(spec.dims):
        raise UsageError(
            f"the input {value.name} has {len(tensor.shape.dim)} dims in the model, and {len(spec.dims)} are declared."
        )
    changes: dict[str, Dim] = {}
    for axis, (dim, declared) in enumerate(zip(tensor.shape.dim, spec.dims, strict=True)):
        if dim.HasField("dim_value"):
            if dim.dim_value != declared:
                raise UsageError(
                    f"dim {axis} of the input {value.name} is {dim.dim_value} in the model, and {declared} declared: "
                    "what the model fixes cannot be changed."
                )
        elif dim.dim_param:
            known = changes.get(dim.dim_param, renamed.get(dim.dim_param, declared))
            if known != declared:
                raise UsageError(f"{dim.dim_param} is declared as {known} and as {declared}; it is one size.")
            changes[dim.dim_param] = declared
        else:
            _set(dim, declared)
    return changes


def _typed_values(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    """Every value whose type is written down, in subgraphs too."""
    yield from graph.input
    yield from graph.output
    yield from graph.value_info
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _typed_values(attribute.g)
            for subgraph in attribute.graphs:
                yield from _typed_values(subgraph)


def _rename(value: onnx.ValueInfoProto, renamed: Mapping[str, Dim]) -> None:
    for dim in value.type.tensor_type.shape.dim if value.type.HasField("tensor_type") else ():
        if dim.dim_param in renamed:
            _set(dim, renamed[dim.dim_param])
        elif dim.dim_param and not dim.dim_param.isidentifier() and renamed:
            # An expression over sizes, one of which may just have changed: inference finds it again.
            dim.Clear()


def _set(dim: onnx.TensorShapeProto.Dimension, to: Dim) -> None:
    if isinstance(to, int):
        dim.dim_value = to
    else:
        dim.dim_param = to

"""From an ONNX file to the shared graph: checked, at the graph's own operator set, with every type inferred."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import onnx
import onnx.checker
import onnx.shape_inference
import onnx.version_converter
import onnx_ir as ir
from onnx.inliner import inline_local_functions

from nxconvert.errors import ReadError
from nxconvert.frontends.onnx.declared import declare
from nxconvert.frontends.onnx.selected import select
from nxconvert.frontends.onnx.weights import Weights
from nxconvert.graph import IR_OPSET
from nxconvert.plugins import ReadOptions

Result = TypeVar("Result")

_STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})


def read_model(path: Path, options: ReadOptions) -> ir.Model:
    """The model in `path` as the shared graph; see `nxconvert.plugins.Frontend.read`.

    Raises:
        ReadError: the file is no sound ONNX model.
        UsageError: inputs, constants or outputs were declared that do not go with the model.
    """
    options.progress("reading", None)
    proto = _parse(path)
    weights = Weights(proto)
    _check(path, proto)
    if proto.functions:
        proto = _attempt(path, "has a function that cannot be inlined", lambda: inline_local_functions(proto))
    declare(proto.graph, options, weights)
    proto = _typed(_at_ir_opset(proto, options))
    model = _attempt(path, "is no valid ONNX model", lambda: ir.serde.deserialize_model(proto))
    weights.give_back(path, model)
    if options.outputs:
        select(model, options.outputs)
    foreign = sorted({node.domain for node in model.graph.all_nodes()} - _STANDARD_DOMAINS)
    if foreign:
        options.warn(f"operators of {', '.join(foreign)} are no part of the ONNX standard; they are kept as they are.")
    return model


def _parse(path: Path) -> onnx.ModelProto:
    try:
        proto = onnx.load(path, format="protobuf", load_external_data=False)
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # protobuf's DecodeError, whose module differs from version to version
        raise ReadError(
            f"{path} is a damaged ONNX model: it cannot be decoded ({error}). It may have been cut off while it was "
            "copied or downloaded."
        ) from error
    if not proto.HasField("graph"):
        raise ReadError(f"{path} is an ONNX file without a graph.")
    return proto


def _check(path: Path, proto: onnx.ModelProto) -> None:
    try:
        onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as error:
        # Outputs without a rank are against the letter of the standard, in many files, and run everywhere.
        if "Field 'shape' of 'type' is required" not in str(error):
            raise ReadError(f"{path} is no valid ONNX model: {' '.join(str(error).split())}") from error
    except UnicodeDecodeError as error:  # the checker quotes a name that is no text
        raise ReadError(f"{path} is a damaged ONNX model: a name in it is no text.") from error


def _attempt(path: Path, complaint: str, call: Callable[[], Result]) -> Result:
    try:
        return call()
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ReadError(f"{path} {complaint}: {reason}") from error


def _at_ir_opset(proto: onnx.ModelProto, options: ReadOptions) -> onnx.ModelProto:
    """The model at the graph's operator set. One that needs a newer set stays at its own."""
    opset = next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), IR_OPSET)
    if opset == IR_OPSET:
        return proto
    try:
        return onnx.version_converter.convert_version(proto, IR_OPSET)
    except Exception as error:  # the C++ converter raises RuntimeError, and what pybind11 makes of other exceptions
        reason = " ".join(str(error).split())
        options.warn(f"the model stays at opset {opset}, since it cannot be brought to opset {IR_OPSET}: {reason}")
        return proto


def _typed(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the type of every value that can be inferred."""
    known = {value.name for value in (*proto.graph.value_info, *proto.graph.output) if _has_rank(value)}
    if all(name in known or not name for node in proto.graph.node for name in node.output):
        return proto
    try:
        return onnx.shape_inference.infer_shapes(proto, data_prop=True)
    except Exception:
        # Inference is a help, not a judge: what the checker passed and the runtimes run is not refused for its types.
        return proto


def _has_rank(value: onnx.ValueInfoProto) -> bool:
    return not value.type.HasField("tensor_type") or value.type.tensor_type.HasField("shape")

"""Small models written as text, and what the tests of passes do with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnx.checker
import onnx.parser
import onnx.shape_inference
import onnx_ir as ir

from nxconvert.graph import IR_OPSET


def model(text: str, weights: Mapping[str, np.ndarray] | None = None, opset: int = IR_OPSET) -> ir.Model:
    """A model from ONNX's text format (a graph without its name), every value typed; `weights` become initializers."""
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": {opset}]> main {text}')
    for name, array in (weights or {}).items():
        proto.graph.initializer.append(ir.serde.serialize_tensor(ir.tensor(array, name=name)))
    proto = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    return ir.from_proto(proto)


def weights(**shapes: Sequence[int]) -> dict[str, np.ndarray]:
    """Random float32 weights of the shapes given; none is negative or near 0, so that they can be variances."""
    rng = np.random.default_rng(len(shapes))
    return {name: rng.uniform(0.5, 1.5, shape).astype(np.float32) for name, shape in shapes.items()}


def run(graph: ir.Model, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs, computed by ONNX Runtime as the graph stands, without its own optimizations."""
    import onnxruntime

    proto = ir.to_proto(graph)
    if "GroupNormalization" not in operators(graph):  # deprecated from opset 18 to 20, which the checker does not like
        onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(inputs))


def example(graph: ir.Model, seed: int = 0, **sizes: int) -> dict[str, np.ndarray]:
    """Random inputs; named dims have the sizes given, or 3."""
    rng = np.random.default_rng(seed)
    found = {}
    for value in graph.graph.inputs:
        shape = [dim if isinstance(dim, int) else sizes.get(dim.value, 3) for dim in value.shape]
        dtype = value.dtype.numpy()
        if value.dtype == ir.DataType.STRING:
            found[value.name] = np.array(rng.integers(0, 2, shape).astype(str), object)
        elif value.dtype.is_floating_point():
            found[value.name] = rng.standard_normal(shape).astype(dtype)
        else:
            found[value.name] = rng.integers(0, 2 if value.dtype == ir.DataType.BOOL else 5, shape).astype(dtype)
    return found


def operators(graph: ir.Model | ir.Graph) -> list[str]:
    """The operators, sorted, those of subgraphs included."""
    return sorted(node.op_type for node in (graph.graph if isinstance(graph, ir.Model) else graph).all_nodes())


def assert_close(left: Sequence[np.ndarray], right: Sequence[np.ndarray], rtol: float = 1e-4) -> None:
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        if a.dtype.kind == "f":
            np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), rtol=rtol, atol=1e-5)
        else:
            np.testing.assert_array_equal(a, b)


def assert_rewritten(
    passes: ir.passes.PassBase | Sequence[ir.passes.PassBase], graph: ir.Model, expected: Sequence[str], **sizes: int
) -> ir.Model:
    """Checks that the passes leave these operators, and a model that computes the same for two sizes of named dims."""
    names = [[value.name for value in values] for values in (graph.graph.inputs, graph.graph.outputs)]
    examples = [example(graph, seed, **(sizes if seed else {})) for seed in (0, 1)]
    before = [run(graph, inputs) for inputs in examples]
    for one in [passes] if isinstance(passes, ir.passes.PassBase) else passes:
        one(graph)
    assert operators(graph) == sorted(expected)
    assert [[value.name for value in values] for values in (graph.graph.inputs, graph.graph.outputs)] == names
    for inputs, outputs in zip(examples, before, strict=True):
        assert_close(run(graph, inputs), outputs)
    return graph

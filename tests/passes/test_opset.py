"""From opset 20 to every other one: the same numbers, or an error that names every operator that is in the way."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from nxconvert.errors import UnsupportedError
from nxconvert.graph import IR_OPSET
from nxconvert.passes import NEWEST_OPSET, OLDEST_OPSET, convert_opset
from nxconvert.passes.opset_rules import BACKWARD, FORWARD
from tests.passes.models import assert_close, example, model, operators, run

OLDER = range(OLDEST_OPSET, IR_OPSET)
NEWER = range(IR_OPSET + 1, NEWEST_OPSET + 1)
REDUCTIONS = [op_type for op_type, version in BACKWARD if op_type.startswith("Reduce") and version == 18]

CONSTANTS = {
    "axes": np.array([-1]),
    "both": np.array([-1, 1]),
    "axis": np.array(1),
    "none": np.zeros(0, np.int64),
    "pads": np.array([1, 2]),
    "wrap": np.array([0, 1, 2, 0, 3, 1]),
    "around": np.array([0, 3, 0, 0, 1, 4]),
    "cropping": np.array([0, 1, 0, -1]),
    "size_4": np.array([3, 1, 4, 5]),
    "size_5": np.array([3, 1, 2, 4, 5]),
    "two_pads": np.array([1, 0, 2, 3]),
    "scales": np.array([2.0, 1.5], np.float32),
    "sizes": np.array([7, 9]),
    "shape": np.array([2, 3]),
    "g_scale": np.array([0.5, 2.0], np.float32),
    "g_bias": np.array([1.0, -1.0], np.float32),
    "half_scale": np.array([0.5, 0.25], np.float16),
    "zeros": np.array([3, -2], np.int8),
    "index": np.array([[0, 1], [1, 0]]),
}

#: What is the same in every opset once the rules have been applied: a name, the graph, and sizes of its named dims.
SAME: dict[str, tuple[str, dict[str, int]]] = {
    **{
        f"{op_type} {what}": (f"(float[N, M, 5] x) => (float[P, Q, R] y) {{ a = Abs(x)  y = {op_type}{call} }}", {})
        for op_type in REDUCTIONS
        for what, call in {
            "one axis": "(a, axes)",
            "two axes": "<keepdims = 1>(a, both)",
            "all axes": "(a)",
            "all axes of none": "(a, none)",
        }.items()
    },
    "ReduceMax of booleans": ("(bool[N, 3] x) => (bool[N] y) { y = ReduceMax<keepdims = 0>(x, axes) }", {}),
    "ReduceMin of booleans": ("(bool[N, 3] x) => (bool[N, 1] y) { y = ReduceMin(x, axes) }", {}),
    "Gelu": ("(float[N, 3] x) => (float[N, 3] y) { y = Gelu(x) }", {}),
    "Gelu tanh": ('(float[N, 3] x) => (float[N, 3] y) { y = Gelu<approximate = "tanh">(x) }', {}),
    "Mish": ("(float[N, 3] x) => (float[N, 3] y) { y = Mish(x) }", {}),
    "GridSample": ("(float[N, 2, H, W] x, float[N, P, Q, 2] g) => (float[N, 2, P, Q] y) { y = GridSample(x, g) }", {}),
    "GridSample cubic": (
        """(float[N, 2, H, W] x, float[N, P, Q, 2] g) => (float[N, 2, P, Q] y)
        { y = GridSample<mode = "cubic", padding_mode = "border", align_corners = 1>(x, g) }""",
        {"H": 5, "W": 6},
    ),
    "GridSample nearest": (
        """(float[N, 2, H, W] x, float[N, P, Q, 2] g) => (float[N, 2, P, Q] y)
        { y = GridSample<mode = "nearest">(x, g) }""",
        {},
    ),
    "IsInf of halves": ("(float16[N] x) => (bool[N] y) { a = Exp(x)  b = Div(a, x)  y = IsInf(b) }", {}),
    "IsNaN of halves": ("(float16[N] x) => (bool[N] y) { a = Log(x)  y = IsNaN(a) }", {}),
    "ConstantOfShape": ("(int64[2] x) => (float[P, Q] y) { y = ConstantOfShape(x) }", {}),
    "ConstantOfShape of bfloat16": (
        """(int64[2] x) => (float[P, Q] y)
        { a = ConstantOfShape<value = bfloat16[1] {16320}>(x)  y = Cast<to = 1>(a) }""",
        {},
    ),
    "DFT": ("(float[N, 4, 1] x) => (float[N, 4, 2] y) { y = DFT(x) }", {}),
    "DFT one-sided": ("(float[N, 6, 1] x) => (float[N, P, 2] y) { y = DFT<onesided = 1>(x, , axis) }", {}),
    "AveragePool": (
        """(float[N, 2, H, W] x) => (float[N, 2, P, Q] y)
        { y = AveragePool<kernel_shape = [2, 2], dilations = [1, 1], ceil_mode = 1, strides = [2, 2]>(x) }""",
        {"H": 5, "W": 7},
    ),
    "LpPool": (
        """(float[N, 2, H, W] x) => (float[N, 2, P, Q] y)
        { y = LpPool<kernel_shape = [2, 2], dilations = [1, 1], ceil_mode = 0>(x) }""",
        {"H": 5, "W": 7},
    ),
    "Cast": ("(float[N] x) => (int64[N] y) { y = Cast<to = 7, saturate = 1>(x) }", {}),
    "CastLike": ("(float[N] x, int64 z) => (int64[N] y) { y = CastLike<saturate = 1>(x, z) }", {}),
    "QuantizeLinear of halves": (
        "(float16[N, 2, 3] x) => (int8[N, 2, 3] y) { y = QuantizeLinear<axis = 1>(x, half_scale, zeros) }",
        {},
    ),
    "DequantizeLinear to halves": (
        "(int8[N, 2, 3] x) => (float16[N, 2, 3] y) { y = DequantizeLinear<axis = 1>(x, half_scale, zeros) }",
        {},
    ),
    "Pad wrap": ('(float[N, 3, 4] x) => (float[N, P, Q] y) { y = Pad<mode = "wrap">(x, wrap) }', {}),
    "Pad wrap axes": ('(float[N, 3, 4] x) => (float[N, P, Q] y) { y = Pad<mode = "wrap">(x, two_pads, , both) }', {}),
    "Pad wrap dims that are not known": (
        '(float[N, H, W] x) => (float[N, P, Q] y) { y = Pad<mode = "wrap">(x, around) }',
        {"H": 2, "W": 5},
    ),
    **{
        f"AffineGrid {what}": (
            f"(float[N, {k}, {k + 1}] theta{more}) => (float[N, P, Q, {'R, ' if k == 3 else ''}{k}] y) "
            f"{{ {make}y = AffineGrid<align_corners = {align}>(theta, {size}) }}",
            {},
        )
        for k, size, more, make in (
            (2, "size_4", "", ""),
            (3, "size_5", "", ""),
            (2, "size", ", float[N, C, A, B] image", "size = Shape(image)  "),
            (3, "size", ", float[N, C, A, B, D] image", "size = Shape(image)  "),
        )
        for align in (0, 1)
        for what in [f"{k} {size} {align}"]
    },
    "Pad axes": ('(float[N, 3, 4] x) => (float[N, P, Q] y) { y = Pad<mode = "edge">(x, pads, , axes) }', {}),
    "Pad axes computed": (
        "(float[N, 3, 4] x, int64[2] p) => (float[N, 3, Q] y) { b = ReduceMax(x)  y = Pad(x, p, , axes) }",
        {},
    ),
    "Resize": (
        """(float[N, 2, H, W] x) => (float[N, 2, P, Q] y)
        { y = Resize<axes = [2, 3], mode = "linear", antialias = 0>(x, , scales) }""",
        {"H": 4},
    ),
    "Resize to a size": (
        """(float[N, 2, H, W] x) => (float[N, 2, P, Q] y)
        { y = Resize<axes = [-1, -2], mode = "nearest", keep_aspect_ratio_policy = "stretch">(x, , , sizes) }""",
        {"H": 4},
    ),
    "Split equally": (
        "(float[N, 6] x) => (float[N, 3] y, float[N, 3] z) { y, z = Split<axis = 1, num_outputs = 2>(x) }",
        {},
    ),
    "Split unequally": (
        """(float[N, 8] x) => (float[N, 3] y, float[N, 3] z, float[N, 2] w)
        { y, z, w = Split<axis = 1, num_outputs = 3>(x) }""",
        {},
    ),
    "Split what is not known": (
        "(float[A, N] x) => (float[A, P] y, float[A, Q] z) { y, z = Split<axis = -1, num_outputs = 2>(x) }",
        {"N": 7},
    ),
    "Split with sizes": ("(float[N, 5] x) => (float[N, 2] y, float[N, 3] z) { y, z = Split<axis = 1>(x, shape) }", {}),
    "GroupNormalization": (
        """(float[N, 6, H] x) => (float[N, 6, H] y)
        { y = GroupNormalization<num_groups = 2, epsilon = 0.01>(x, g_scale, g_bias) }""",
        {"H": 4},
    ),
    "GroupNormalization of channels not known": (
        "(float[N, C, H] x) => (float[N, C, H] y) { y = GroupNormalization<num_groups = 2>(x, g_scale, g_bias) }",
        {"C": 4},
    ),
    "ScatterElements": (
        '(float[2, 2] x) => (float[2, 2] y) { y = ScatterElements<reduction = "add">(x, index, x) }',
        {},
    ),
    "axes made by a node": (
        "(float[N, 3] x) => (float[N, 1] y) { k = Constant<value_ints = [-1]>()  y = ReduceMax(x, k) }",
        {},
    ),
    "subgraphs": (
        """(float[N, 3] x, bool c) => (float[N, P] y)
        { y = If(c) <then_branch = g1 () => (float[N, 1] t) { t = ReduceMean(x, axes) },
                     else_branch = g2 () => (float[N, 3] e) { e = Gelu(x) }> }""",
        {},
    ),
}


def build(name: str) -> tuple[ir.Model, dict[str, int]]:
    text, sizes = SAME[name]
    used = {key: array for key, array in CONSTANTS.items() if key in text.replace(",", " ").replace(")", " ").split()}
    used |= {key: array for key, array in CONSTANTS.items() if f"({key})" in text}
    return model(text, used), {"C": 2} | sizes


@pytest.mark.parametrize("name", SAME)
def test_the_same_numbers_in_every_older_opset(name: str):
    for opset in OLDER:
        graph, sizes = build(name)
        inputs = [example(graph, seed, **sizes) for seed in (0, 1)]
        before = [run(graph, one) for one in inputs]
        convert_opset(graph, opset)
        assert graph.opset_imports[""] == opset
        for one, outputs in zip(inputs, before, strict=True):
            assert_close(run(graph, one), outputs, rtol=1e-3 if "halves" in name else 1e-4)


@pytest.mark.parametrize("name", [name for name in SAME if not name.startswith("Reduce") or "one axis" in name])
def test_the_same_numbers_in_every_newer_opset(name: str):
    graph, sizes = build(name)
    inputs = example(graph, **sizes)
    before = run(graph, inputs)
    for opset in NEWER:
        graph, _ = build(name)
        convert_opset(graph, opset)
        assert graph.opset_imports[""] == opset
        assert_close(run(graph, inputs), before)


def test_every_rule_is_tested():
    texts = [text for text, *_ in (*SAME.values(), *REFUSED)]
    for op_type, _ in (*BACKWARD, *FORWARD):
        assert any(f"{op_type}(" in text or f"{op_type}<" in text for text in texts), op_type


#: Graph, opset aimed at, and what the error has to say.
REFUSED = [
    ("(int64[N] x, int64[N] z) => (int64[N] y) { y = BitwiseAnd(x, z) }", 17, "BitwiseAnd.*newer; opset 18"),
    ("(float[N, 4, M] x, int64[2] s) => (float[P, Q, R] y) { y = CenterCropPad<axes = [0, 1]>(x, s) }", 17, "opset 18"),
    (
        "(float[N, 2, D, H, W] x, float[N, P, Q, R, 3] g) => (float[N, 2, P, Q, R] y) { y = GridSample(x, g) }",
        19,
        "GridSample.*images only.*opset 20",
    ),
    ("(string[N] x) => (bool[N] y) { y = Equal(x, x) }", 18, r"Equal.*tensor\(string\).*opset 19"),
    ("(float[N] x) => (float8e4m3fn[N] y) { y = Cast<to = 17>(x) }", 18, "Cast.*float8e4m3fn.*opset 19"),
    (
        "(float[N, 1, 8] x) => (float[N, 1, P] y) { y = AveragePool<kernel_shape = [2], dilations = [2]>(x) }",
        18,
        "dilated.*opset 19",
    ),
    ("(float[N, 1, 8] x) => (float[N, 1, P] y) { y = LpPool<kernel_shape = [2], ceil_mode = 1>(x) }", 17, "opset 18"),
    ("(float[N, 1, 8] x) => (float[N, 1, P] y) { y = LpPool<kernel_shape = [2], dilations = [2]>(x) }", 17, "opset 18"),
    (
        '(float[2, 2] x) => (float[2, 2] y) { y = ScatterElements<reduction = "max">(x, index, x) }',
        17,
        "reduction max.*opset 18",
    ),
    (
        '(float[2, 2] x) => (float[2, 2] y) { y = ScatterND<reduction = "min">(x, index, z)  z = Exp(x) }',
        17,
        "reduction min.*opset 18",
    ),
    (
        """(float[N, 1, 8, 8] x) => (float[N, 1, P, Q] y)
        { y = Resize<axes = [2, 3], antialias = 1, mode = "linear">(x, , scales) }""",
        17,
        "antialiasing",
    ),
    (
        """(float[N, 1, 8, 8] x) => (float[N, 1, P, Q] y)
        { y = Resize<axes = [2, 3], coordinate_transformation_mode = "half_pixel_symmetric">(x, , scales) }""",
        18,
        "half_pixel_symmetric.*opset 19",
    ),
    ("(float[N] x) => (bool y) { y = OptionalHasElement() }", 17, "left out.*opset 18"),
    ("(float[N, 3] x, int64[1] a) => (float[P, Q] y) { y = ReduceMean(x, a) }", 17, "axes are not constant"),
    (
        "(float[N, 3] x) => (float[N, 3] y) { y = ReduceMean<noop_with_empty_axes = 1>(x, none) }",
        17,
        "no axis",
    ),
    ("(float[N, 3] x, int64[1] a, int64[2] p) => (float[P, Q] y) { y = Pad(x, p, , a) }", 17, "axes are not constant"),
    ('(float[N, 3] x, int64[4] p) => (float[P, Q] y) { y = Pad<mode = "wrap">(x, p) }', 18, "mode wrap"),
    ('(float[N, 3] x) => (float[P, 3] y) { y = Pad<mode = "wrap">(x, cropping) }', 18, "cannot crop"),
    ("(float[N, 4, 1] x, int64 a) => (float[N, P, 2] y) { y = DFT(x, , a) }", 19, "axis is not constant"),
]


@pytest.mark.parametrize("text, opset, message", REFUSED)
def test_what_an_opset_cannot_express(text: str, opset: int, message: str):
    used = {key: array for key, array in CONSTANTS.items() if f"{key})" in text or f"{key}," in text}
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 20]> main {text}')
    for name, array in used.items():
        proto.graph.initializer.append(ir.serde.serialize_tensor(ir.tensor(array, name=name)))
    graph = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    with pytest.raises(UnsupportedError, match=message):
        convert_opset(graph, opset)


def test_the_error_lists_every_operator_with_its_origin():
    graph = model(
        """(int64[N] x, int64[N] z, string[N] s) => (int64[N] y, bool[N] same)
        { a = BitwiseAnd(x, z)  b = BitwiseOr(a, z)  y = BitwiseOr(b, x)  same = Equal(s, s) }"""
    )
    for node, line in zip(graph.graph, (3, 4, 4, 9), strict=True):
        node.metadata_props["nxconvert.source"] = f"aten::{node.op_type.lower()} model.py:{line}"
    with pytest.raises(UnsupportedError) as caught:
        convert_opset(graph, 17)
    assert [(item.what, item.where, item.count) for item in caught.value.items] == [
        ("aten::bitwiseand (ONNX BitwiseAnd)", "model.py:3", 1),
        ("aten::bitwiseor (ONNX BitwiseOr)", "model.py:4", 2),
        ("aten::equal (ONNX Equal)", "model.py:9", 1),
    ]
    assert "opset 18 is the smallest" in caught.value.items[0].why
    assert "opset 19 is the smallest" in caught.value.items[2].why


def test_new_nodes_carry_the_origin():
    graph = model("(float[N] x) => (float[N] y) { y = Gelu(x) }")
    graph.graph[0].metadata_props["nxconvert.source"] = "aten::gelu model.py:7"
    convert_opset(graph, 19)
    assert operators(graph) == ["Add", "Erf", "Mul", "Mul", "Mul"]
    assert {node.metadata_props.get("nxconvert.source") for node in graph.graph} == {"aten::gelu model.py:7"}


def test_functions_are_converted_too():
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(["N"]))
    body = ir.Graph([x], [], nodes=[], name="f", opset_imports={"": 20})
    body.append(ir.Node("", "Gelu", [x], outputs=[ir.Value(name="y", type=x.type)]))
    body.outputs.append(body[0].outputs[0])
    main = model("(float[N] x) => (float[N] y) { y = Relu(x) }")
    main.graph[0].domain, main.graph[0].op_type = "here", "f"
    main.functions["here", "f", ""] = ir.Function("here", "f", graph=body, attributes=[])
    main.opset_imports["here"] = 1
    inputs = example(main)
    before = run(main, inputs)
    convert_opset(main, 17)
    assert main.functions["here", "f", ""].opset_imports[""] == 17
    assert_close(run(main, inputs), before)


def test_nothing_is_changed_where_nothing_has_to_be():
    graph = model("(float[N] x) => (float[N] y) { y = Relu(x) }")
    proto = ir.to_proto(graph)
    convert_opset(graph, 20)
    assert ir.to_proto(graph) == proto
    for opset in (17, 27):
        graph = ir.from_proto(proto)
        convert_opset(graph, opset)
        proto.opset_import[0].version = opset
        assert ir.to_proto(graph) == proto
        proto.opset_import[0].version = 20

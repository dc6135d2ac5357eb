"""The builder: constants, names, subgraphs, trials that are thrown away, sizes as numbers, reshapes with few nodes."""

import random
from collections import Counter

import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.graph.builder import Builder, GraphTypeError, TensorType, Value
from nxconvert.graph.dims import Dim, evaluate, maximum, minimum
from nxconvert.graph.finish import finish

FLOAT, INT64, BOOL = ir.DataType.FLOAT, ir.DataType.INT64, ir.DataType.BOOL
B, H, W = Dim.symbol("b"), Dim.symbol("h"), Dim.symbol("w")
N = Dim.symbol("n", low=0)


def run(op, feeds, **outputs):
    """Runs what was built in ONNX Runtime; the outputs in order."""
    import onnxruntime

    session = onnxruntime.InferenceSession(ir.to_proto(finish(op, outputs)).SerializeToString())
    wanted = {i.name for i in session.get_inputs()}
    return session.run(None, {name: array for name, array in feeds.items() if name in wanted})


def op_types(op):
    return [node.op_type for node in op.nodes]


@pytest.fixture
def op():
    return Builder()


# ---- constants -------------------------------------------------------------------------------------------------------


def test_constants_are_exact(op):
    special = np.array([-0.0, 0.0, np.nan, -np.nan, np.inf, 1e-45], np.float32)
    (result,) = run(op, {}, y=op.node("Identity", [op.const(special)], {}, [TensorType(FLOAT, (6,))])[0])
    assert result.tobytes() == special.tobytes()


def test_constants_may_be_strings(op):
    texts = op.const([["a"], [b"\xff"]], ir.DataType.STRING)
    assert texts is op.const(np.array([[b"a"], [b"\xff"]], object), ir.DataType.STRING)
    assert texts is not op.const(["a", b"\xff"], ir.DataType.STRING)
    assert (texts.etype, texts.dims) == (ir.DataType.STRING, (2, 1))
    assert ir.to_proto(texts.const_value).string_data == [b"a", b"\xff"]


def test_a_weight_steps_aside_for_an_output_of_its_name(op):
    weight = op.weight(ir.Tensor(np.array([1.5, 2.5], np.float32)), "y")
    (result,) = run(op, {}, y=weight)
    assert result.tolist() == [1.5, 2.5]


def test_equal_constants_are_one_and_zeros_of_two_signs_are_two(op):
    assert op.const(1.5) is op.const(1.5)
    assert op.const([1, 2]) is op.const(np.array([1, 2]))
    assert op.const(0.0) is not op.const(-0.0)
    assert op.const(1) is not op.const(1.0)
    assert op.const([1]) is not op.const(1)
    assert op.const(True) is not op.const(1)


@pytest.mark.parametrize(
    "data, dtype",
    [
        (1, INT64),
        (1.0, FLOAT),
        (True, BOOL),
        ([1, 2.5], FLOAT),
        ([True, 2], INT64),
        ([], INT64),
        ([np.float32(2.5)], FLOAT),
    ],
)
def test_a_constant_has_the_widest_kind_of_its_numbers(op, data, dtype):
    value = op.const(data)
    assert value.etype == dtype
    assert np.array_equal(value.array, np.array(data))


def test_a_fraction_is_no_integer_constant(op):
    x = op.input("x", INT64, (B,))
    with pytest.raises(GraphTypeError, match="INT64"):
        op.Add(x, 0.5)


def test_constant_operands_take_the_dtype_of_their_type_variable(op):
    x = op.input("x", ir.DataType.FLOAT16, (B,))
    condition = op.input("c", BOOL, (B,))
    assert op.Add(x, 1).etype == ir.DataType.FLOAT16
    assert op.Add(1.5, x).etype == ir.DataType.FLOAT16
    assert op.Where(condition, x, -1).etype == ir.DataType.FLOAT16
    assert op.Cast(op.Clip(x, 0, 6), to=FLOAT).etype == FLOAT


def test_large_constants_are_not_folded(op):
    big = op.const(np.zeros(1 << 17, np.float32))
    assert big.array is None
    op.Neg(big)
    assert op_types(op) == ["Neg"]


# ---- names and attributes --------------------------------------------------------------------------------------------


def names_of(op):
    return [value.name for node in op.nodes for value in node.outputs] + [value.name for value in op.inputs]


def test_names_are_unique_in_children(op):
    x = op.input("Relu", FLOAT, (B,))
    first, second = op.child(), op.child()
    for builder in (op, first, second, first.child()):
        for _ in range(3):
            builder.Relu(x)
            builder.input("x", FLOAT, (B,))
            builder.TopK(x, [1])
    nodes = [*op.nodes, *first.nodes, *second.nodes]
    assert len({node.name for node in nodes}) == len(nodes)
    names = names_of(op) + names_of(first) + names_of(second) + [value.name for value in op.initializers()]
    assert len(set(names)) == len(names)


def test_a_counted_name_that_is_taken_is_passed_over(op):
    x = op.input("Relu_1", FLOAT, (B,))
    names = [op.Relu(x).name for _ in range(3)]
    assert len({*names, "Relu_1"}) == 4


def test_scope_and_source_are_recorded(op):
    x = op.input("x", FLOAT, (B,))
    op.scope, op.source = "layer1.0", "aten::relu at model.py:3"
    y = op.Relu(x)
    assert y.producer().name == "layer1.0/Relu"
    assert y.producer().metadata_props == {"nxconvert.source": "aten::relu at model.py:3"}


def test_attributes_that_are_none_are_left_out(op):
    x = op.input("x", FLOAT, (B, 3, H, W))
    y = op.MaxPool(x, kernel_shape=[2, 2], strides=None, ceil_mode=None)
    assert set(y.producer().attributes) == {"kernel_shape"}


def test_trailing_inputs_that_are_left_out_are_no_inputs(op):
    x = op.input("x", FLOAT, (B,))
    assert len(op.Clip(x, 0.0, None).producer().inputs) == 2
    node = op.Clip(x, None, 1.0).producer()
    assert [value and value.name for value in node.inputs][:2] == ["x", None]


def test_an_operator_that_does_not_exist_is_an_error(op):
    with pytest.raises(LookupError, match="Rellu"):
        op.Rellu(op.input("x", FLOAT, (B,)))
    with pytest.raises(AttributeError):
        op.relu  # noqa: B018


# ---- subgraphs -------------------------------------------------------------------------------------------------------


def test_a_subgraph_computes_with_outer_values(op):
    x = op.input("x", FLOAT, (B, 3))
    condition = op.input("c", BOOL, ())
    yes, no = op.child(), op.child()
    then_branch = yes.graph([yes.Neg(yes.Reshape(x, [-1]))], "then")
    else_branch = no.graph([op.const(np.array([7], np.float32))], "else")
    branches = {"then_branch": then_branch, "else_branch": else_branch}
    (y,) = op.node("If", [condition], branches, [TensorType(FLOAT, (op.fresh("size"),))])
    feed = np.ones((2, 3), np.float32)
    assert run(op, {"x": feed, "c": np.array(True)}, y=y)[0].tolist() == [-1] * 6


def test_an_output_that_is_given_twice_or_is_an_input_gets_an_identity(op):
    x = op.input("x", FLOAT, (B,))
    y = op.Neg(x)
    graph = op.graph([y, y, x], "main")
    assert len({value.name for value in graph.outputs}) == 3
    assert Counter(op_types(op)) == {"Neg": 1, "Identity": 2}


def test_what_is_discarded_leaves_no_uses(op):
    x = op.input("x", FLOAT, (B, 3))
    condition = op.input("c", BOOL, ())
    kept = op.Neg(x)
    uses = len(x.uses())
    trial = op.child()
    names = op.snapshot()
    y = trial.Relu(kept)
    inner = trial.child()
    trial.node(
        "If",
        [condition],
        {"then_branch": inner.graph([inner.Exp(y)], "a"), "else_branch": trial.child().graph([x], "b")},
        [TensorType(FLOAT, x.dims)],
    )
    constant = trial.const(3.5)
    trial.Add(kept, constant)
    trial.discard()
    op.discard_names(names)
    assert len(x.uses()) == uses
    assert not kept.uses()
    assert not constant.uses()
    assert not condition.uses()
    assert trial.nodes == []
    again = op.child().Relu(kept)
    assert again.name == y.name
    assert op.const(4.5).name != constant.name


def test_sizes_are_not_read_from_what_is_discarded(op):
    x = op.input("x", FLOAT, (B,))
    trial = op.child()
    found = trial.NonZero(x)
    trial.dim_value(found.dims[1])
    trial.discard()
    with pytest.raises(GraphTypeError, match="nonzero"):
        trial.dim_value(found.dims[1])
    assert trial.dim_value(B) is not None


# ---- dims as numbers -------------------------------------------------------------------------------------------------


def test_a_shape_of_one_value_is_read_with_one_node(op):
    op.input("x", FLOAT, (B, 3, H, W))
    for dims, constants in [((B, 3, H, W), 0), ((B, 3), 0), ((3, H), 0), ((H, W, 7), 1), ((7, B, 3, H), 1)]:
        before = len(op.nodes)
        vector = op.dims_tensor(dims)
        assert vector.content == dims
        new = [node.op_type for node in op.nodes[before:]]
        assert new == (["Shape", "Concat"] if constants else ["Shape"])
        assert op.dims_tensor(dims) is vector


def test_a_static_shape_is_a_constant(op):
    assert op.dims_tensor([2, 3]).array.tolist() == [2, 3]
    assert op.dim_value(5).array == 5
    assert op_types(op) == []


def test_an_expression_is_computed_once_a_scope(op):
    op.input("x", FLOAT, (H,))
    value = op.dim_value(2 * H + 1)
    assert op.dim_value(1 + 2 * H) is value
    assert op.child().dim_value(2 * H + 1) is value
    assert op_types(op) == ["Shape", "Squeeze", "Mul", "Add"]


def test_a_size_computed_in_a_child_stays_there(op):
    op.input("x", FLOAT, (H,))
    child = op.child()
    assert child.dim_value(H + 1) is not op.dim_value(H + 1)
    assert "Add" in op_types(child)
    assert "Add" in op_types(op)


def test_a_size_is_read_from_the_value_that_has_it(op):
    x = op.input("x", FLOAT, (B, 3, H, W))
    y = op.MaxPool(x, kernel_shape=[2, 2], strides=[2, 2])
    assert y.dims == (B, 3, H // 2, W // 2)
    op.dims_tensor([H // 2, W // 2])
    assert op_types(op) == ["MaxPool", "Shape"]


@pytest.mark.parametrize("seed", range(6))
def test_expressions_have_the_right_numbers(op, seed):
    rng = random.Random(seed)
    sizes = {"h": rng.randint(1, 9), "w": rng.randint(1, 9), "n": rng.randint(0, 9), "k": rng.randint(-9, 9)}
    op.input("x", FLOAT, (H, 3, W))
    op.input("y", FLOAT, (N,))
    scalar = op.input("k", INT64, ())
    k = op.symbol_of(scalar, "number")
    sizes[str(k)] = sizes["k"]
    dims = [
        H, H + W, 3 * H - 2 * W + 1, H * W * N, (H - 7) // 2, (N - 3) % 4, maximum(H, W), minimum(N - 4, 2), k // 3,
        -k + H, k // (H + 1), (k * W) % (N + 1), (H + 1) // 2 - N, (-k) // 4, k - 5,
    ]  # fmt: skip
    feeds = {
        "x": np.zeros((sizes["h"], 3, sizes["w"]), np.float32),
        "y": np.zeros(sizes["n"], np.float32),
        "k": np.array(sizes["k"]),
    }
    outputs = run(op, feeds, vector=op.dims_tensor(dims), **{f"s{i}": op.dim_value(d) for i, d in enumerate(dims)})
    expected = [evaluate(d, sizes) for d in dims]
    assert outputs[0].tolist() == expected
    assert [int(o) for o in outputs[1:]] == expected


def test_dims_are_operands(op):
    x = op.input("x", FLOAT, (H, 4))
    y = op.Mul(x, H)
    z = op.Expand(op.const(1.0), [H, 2])
    data = np.ones((3, 4), np.float32)
    results = run(op, {"x": data}, y=y, z=z)
    assert results[0].tolist() == (data * 3).tolist()
    assert results[1].shape == (3, 2)
    assert z.dims == (H, 2)


def test_a_size_that_no_value_has_is_an_error(op):
    with pytest.raises(GraphTypeError, match="b is not available"):
        op.dim_value(B)


def test_knows(op):
    assert not op.knows(H)
    op.input("x", FLOAT, (H,))
    assert op.knows(H // 2 + 3)
    assert not op.knows(H // 2 + W)
    assert op.child().knows(H)


# ---- reshape and expand ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dims, target, shape",
    [
        ((B, 3, H, W), (B, 3 * H * W), [0, -1]),
        ((B, 3, H, W), (3 * B * H, W), [-1, None]),
        ((B, 12, H), (B, 3, 4, H), [0, 3, 4, -1]),
        ((B, 12), (B, 12), None),
        ((B, 12), (12, B), [12, -1]),
        ((2, 3, H), (6, H), [6, -1]),
        ((H, 64), (H, 4, 16), [0, 4, 16]),
        ((1, H), (H,), [-1]),
    ],
)
def test_a_reshape_needs_no_sizes_that_it_can_infer(op, dims, target, shape):
    x = op.input("x", FLOAT, dims)
    y = op.reshape(x, target)
    assert y.dims == target
    if shape is None:
        assert y is x
    elif None not in shape:
        assert op_types(op) == ["Reshape"]
        assert y.producer().inputs[1].array.tolist() == shape
    sizes = {"b": 2, "h": 3, "w": 5}
    data = np.arange(np.prod([evaluate(d, sizes) for d in dims]), dtype=np.float32)
    (result,) = run(op, {"x": data.reshape([evaluate(d, sizes) for d in dims])}, y=y)
    assert result.shape == tuple(evaluate(d, sizes) for d in target)
    assert result.ravel().tolist() == data.tolist()


@pytest.mark.parametrize("n", [0, 3])
def test_sizes_that_may_be_zero_survive_a_reshape(op, n):
    x = op.input("x", FLOAT, (N, 6, H))
    m = op.input("m", FLOAT, (6, N))
    results = {
        "a": op.reshape(x, (N, 3, 2 * H)),
        "b": op.reshape(x, (2, N, 3, H)),
        "c": op.reshape(x, (6 * N * H,)),
        "d": op.reshape(m, (N, 6)),
        "e": op.reshape(m, (1, N, 2, 3)),
    }
    outputs = run(op, {"x": np.zeros((n, 6, 2), np.float32), "m": np.zeros((6, n), np.float32)}, **results)
    assert [o.shape for o in outputs] == [(n, 3, 4), (2, n, 3, 2), (12 * n,), (n, 6), (1, n, 2, 3)]


def test_a_reshape_of_a_reshape_is_one(op):
    x = op.input("x", FLOAT, (B, 12, H))
    y = op.reshape(op.reshape(x, (B, 3, 4, H)), (B, 3, 4 * H))
    assert y.producer().inputs[0] is x
    assert op.reshape(y, (B, 12, H)) is x


def test_a_reshape_goes_through_another_only_if_that_costs_no_sizes(op):
    x = op.input("x", FLOAT, (B, H, 8))
    flat = op.reshape(x, (B * H, 8))
    back = op.reshape(flat, (B, H, 8))
    heads = op.reshape(flat, (B, H, 2, 4))
    assert back is x
    assert heads.producer().inputs[0] is x
    assert "Shape" not in op_types(op)


def test_a_reshape_that_cannot_be_is_an_error(op):
    x = op.input("x", FLOAT, (B, 6))
    with pytest.raises(GraphTypeError, match="cannot be reshaped"):
        op.reshape(x, (B, 7))


@pytest.mark.parametrize(
    "dims, target, nodes",
    [
        ((1, 3), (B, 3), ["Shape", "Concat", "Expand"]),
        ((B, 1), (B, 5), ["Expand"]),
        ((B, 3), (B, 3), []),
        ((3,), (2, 3), ["Expand"]),
        ((), (B, H), ["Shape", "Expand"]),
    ],
)
def test_expand(op, dims, target, nodes):
    x = op.input("x", FLOAT, dims)
    op.input("s", FLOAT, (B, H))
    y = op.expand(x, target)
    assert y.dims == target
    assert op_types(op) == nodes
    sizes = {"b": 2, "h": 3}
    data = np.random.default_rng(0).random([evaluate(d, sizes) for d in dims]).astype(np.float32)
    (result,) = run(op, {"x": data, "s": np.zeros((2, 3), np.float32)}, y=y)
    assert np.array_equal(result, np.broadcast_to(data, [evaluate(d, sizes) for d in target]))


@pytest.mark.parametrize("target", [(1, 2, 2), (1, 1, 2), (4, 1, 2, 2)])
def test_what_cannot_be_expanded(op, target):
    x = op.input("x", FLOAT, (1, 3, 2))
    with pytest.raises(GraphTypeError, match="cannot be broadcast to"):
        op.expand(x, target)


def test_expanding_a_constant_folds(op):
    assert op.expand(op.const([1, 2]), (3, 2)).array.tolist() == [[1, 2]] * 3
    assert isinstance(op.expand(op.const(1.0), (2,)), Value)
    assert op_types(op) == []


# ---- halves ----------------------------------------------------------------------------------------------------------


def test_halves_are_widened_where_an_operator_is_not_defined_for_them(op):
    x = op.input("x", ir.DataType.BFLOAT16, [1, 2, 5])
    w = op.const(np.ones((3, 2, 3)), ir.DataType.BFLOAT16)
    y = op.Conv(x, w)
    assert (y.etype, y.dims) == (ir.DataType.BFLOAT16, (1, 3, 3))
    assert op_types(op)[-2:] == ["Conv", "Cast"]
    assert op.nodes[-2].outputs[0].dtype == FLOAT


def test_only_what_is_of_the_halves_type_is_widened(op):
    x = op.input("x", ir.DataType.BFLOAT16, [6])
    values, places = op.MaxPool(op.reshape(x, [1, 1, 6]), kernel_shape=[2], _outputs=2)
    assert (values.etype, places.etype) == (ir.DataType.BFLOAT16, INT64)
    kept = op.Compress(x, op.input("mask", BOOL, [6]), axis=0)
    assert kept.etype == ir.DataType.BFLOAT16


def test_halves_stay_where_they_are_defined(op):
    x = op.input("x", ir.DataType.FLOAT16, [1, 2, 5])
    op.Conv(x, op.const(np.ones((3, 2, 3)), ir.DataType.FLOAT16))
    assert op_types(op) == ["Conv"]

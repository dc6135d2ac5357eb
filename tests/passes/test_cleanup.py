"""Dead code, identities, and what is computed or stored twice."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.formats.tensors import MappedFile, MappedTensor
from nxconvert.passes import EliminateIdentities, LiftConstants, MergeEqualInitializers, MergeEqualNodes, RemoveUnused
from nxconvert.passes.rewriting import subgraphs
from tests.passes.models import assert_rewritten, model, operators, weights


def test_unused_nodes_and_initializers_go_and_inputs_stay():
    graph = model(
        """(float[N, 4] x, float[N] unused) => (float[N, 4] y)
        { a = Exp(x)  b = Add(a, w)  y = Relu(x) }""",
        weights(w=(4,), v=(2,)),
    )
    assert_rewritten(RemoveUnused(), graph, ["Relu"])
    assert not graph.graph.initializers


def test_what_a_subgraph_reads_stays_until_the_subgraph_goes():
    text = """(float[N] x, bool c) => (float[N] y)
        { a = Exp(x)
          u = If(c) <then_branch = g1 () => (float[N] t) { t = Neg(a) },
                     else_branch = g2 () => (float[N] e) { e = Identity(x) }>
          y = %s }"""
    assert_rewritten(RemoveUnused(), model(text % "Relu(x)"), ["Relu"])
    assert_rewritten(RemoveUnused(), model(text % "Relu(u)"), ["Exp", "Identity", "If", "Neg", "Relu"])


def test_unread_outputs_of_if_take_their_branches_along():
    graph = model(
        """(float[N] x, bool c) => (float[N] y)
        { p, q, r = If(c) <then_branch = g1 () => (float[N] a, float[N] b, float[N] d)
                             { a = Neg(x)  b = Exp(x)  d = Abs(x) },
                           else_branch = g2 () => (float[N] e, float[N] f, float[N] g)
                             { e = Sin(x)  f = Cos(x)  g = Relu(x) }>
          y = Tanh(q) }"""
    )
    assert_rewritten(RemoveUnused(), graph, ["Cos", "Exp", "If", "Tanh"])


def test_unread_values_of_a_loop_go_where_no_turn_reads_them():
    graph = model(
        """(float[2] x, int64 n) => (float[2] y, float[K, 2] rows)
        { t = Constant<value = bool {1}>()
          ya, unread, kept, ra, dead = Loop(n, t, x, x, x) <body = b
            (int64 i, bool c, float[2] p, float[2] q, float[2] r) =>
            (bool co, float[2] po, float[2] qo, float[2] ro, float[2] s1, float[2] s2)
            { co = Identity(c)  po = Add(p, r)  qo = Identity(q)  ro = Cos(r)  s1 = Neg(p)  s2 = Exp(p) }>
          y = Relu(ya)  rows = Abs(ra) }"""
    )
    assert_rewritten(RemoveUnused(), graph, ["Abs", "Add", "Constant", "Cos", "Identity", "Loop", "Neg", "Relu"], n=4)
    (loop,) = [node for node in graph.graph if node.op_type == "Loop"]
    assert (len(loop.inputs), len(loop.outputs)) == (4, 3)


def test_unread_optional_outputs_and_missing_inputs_are_left_out():
    graph = model(
        """(float[N] x) => (float[N] y)
        { y, mask = Dropout(x) }"""
    )
    graph.graph[0].resize_inputs(3)
    assert_rewritten(RemoveUnused(), graph, ["Dropout"])
    assert len(graph.graph[0].outputs) == len(graph.graph[0].inputs) == 1


def test_the_steps_of_a_recurrence_are_left_out_where_its_end_alone_is_read():
    graph = model(
        """(float[S, 1, 2] x, float[1, 12, 2] w, float[1, 12, 3] r) => (float[1, 1, 3] y)
        { all, y, c = LSTM<hidden_size = 3>(x, w, r) }"""
    )
    assert_rewritten(RemoveUnused(), graph, ["LSTM"])
    assert [value.name for value in graph.graph[0].outputs] == ["", "y"]


def test_functions_are_cleaned_too():
    body = ir.Graph([x := ir.Value(name="x")], [], nodes=[], name="f", opset_imports={"": 20})
    for op_type, name in (("Exp", "dead"), ("Relu", "y")):
        body.append(ir.Node("", op_type, [x], outputs=[ir.Value(name=name)]))
    body.outputs.append(body[1].outputs[0])
    main = model("(float[N] x) => (float[N] y) { y = Relu(x) }")
    main.functions["here", "f", ""] = ir.Function("here", "f", graph=body, attributes=[])
    RemoveUnused()(main)
    assert [node.op_type for node in body] == ["Relu"]


def test_constants_become_initializers():
    graph = model(
        """(float[N] x, bool c) => (float[N] y, float[2] z, string[1] s)
        { a = Constant<value = float {1.5}>()  z = Constant<value_floats = [1.0, 2.0]>()
          s = Constant<value_strings = ["text"]>()  b = Add(x, a)
          y = If(c) <then_branch = g1 () => (float[N] t) { k = Constant<value_float = 2.0>()  t = Add(b, k) },
                     else_branch = g2 () => (float[N] e) { k = Constant<value_int = 3>()  f = Cast<to = 1>(k)
                                                           e = Mul(b, f) }> }"""
    )
    assert_rewritten(LiftConstants(), graph, ["Add", "Add", "Cast", "Constant", "Constant", "If", "Mul"])
    inner = [list(inner.initializers) for node in graph.graph for inner in subgraphs(node)]
    assert (list(graph.graph.initializers), inner) == (["a"], [["k_1"], ["k_2"]])


IDENTITIES = [
    "Identity(a)",
    "Dropout(a)",
    "Dropout(a, ratio, no)",
    "Cast<to = 1>(a)",
    "Transpose<perm = [0, 1, 2]>(a)",
    "Concat<axis = 1>(a)",
    "Pad(a, zeros)",
    "Tile(a, ones)",
    "Reshape(a, shape)",
    "Expand(a, shape)",
    "Flatten<axis = 1>(flat)",
]


@pytest.mark.parametrize("call", IDENTITIES)
def test_identities_go(call: str):
    constants = {
        "zeros": np.zeros(6, np.int64),
        "ones": np.ones(3, np.int64),
        "shape": np.array([2, 3, 4]),
        "ratio": np.array(0.5, np.float32),
        "no": np.array(False),
        "flat_shape": np.array([6, 4]),
    }
    graph = model(
        f"""(float[2, 3, 4] x) => (float[K] y)
        {{ a = Exp(x)  flat = Reshape(a, flat_shape)  b = {call}  c = Neg(b)  minus = Constant<value_ints = [-1]>()
           y = Reshape(c, minus) }}""",
        constants,
    )
    kept = ["Constant", "Exp", "Neg", "Reshape"]
    assert_rewritten([EliminateIdentities(), RemoveUnused()], graph, [*kept, "Reshape"] if "flat" in call else kept)


NO_IDENTITIES = {
    "Transpose<perm = [1, 0]>(x)": "float[M, N]",
    "Reshape(x, shape)": "float[M, N]",
    "Cast<to = 11>(x)": "double[N, M]",
    "Pad(x, pads)": "float[P, Q]",
    "Expand(x, wide)": "float[2, N, M]",
    "Dropout(x, ratio, yes)": "float[N, M]",
    "Concat<axis = 0>(x, x)": "float[P, M]",
}


@pytest.mark.parametrize("call", NO_IDENTITIES)
def test_what_only_looks_like_an_identity_stays(call: str):
    constants = {
        "shape": np.array([-1, 3]),
        "pads": np.array([0, 1, 0, -1]),
        "wide": np.array([2, 1, 1]),
        "ratio": np.array(0.5, np.float32),
        "yes": np.array(True),
    }
    graph = model(f"(float[N, M] x) => ({NO_IDENTITIES[call]} y) {{ b = {call}  y = Neg(b) }}", constants)
    assert not EliminateIdentities()(graph).modified


def test_identities_between_the_ends_of_a_graph():
    """Between input, initializer or another output and an output the node is needed; else the name moves on."""
    graph = model(
        """(float[N] x, bool c) => (float[N] from_input, float[2] from_weight, float[N] first, float[N] second,
                                    float[N] chosen)
        { from_input = Identity(x)  from_weight = Identity(w)  a = Exp(x)  first = Identity(a)  second = Identity(a)
          chosen = If(c) <then_branch = g1 () => (float[N] t) { t = Identity(a) },
                          else_branch = g2 () => (float[N] e) { b = Neg(a)  e = Identity(b) }> }""",
        weights(w=(2,)),
    )
    assert_rewritten(EliminateIdentities(), graph, ["Exp", "Identity", "Identity", "Identity", "Identity", "If", "Neg"])


def test_equal_nodes_are_computed_once():
    graph = model(
        """(float[N, 4] x) => (float[N, 4] y, float[N, 4] z)
        { a = Softmax<axis = -1>(x)  b = Softmax<axis = -1>(x)  c = Softmax<axis = 0>(x)
          d = Add(a, b)  e = Add(b, a)  y = Mul(d, c)  f = Add(a, b)  z = Sub(e, f) }"""
    )
    assert_rewritten(MergeEqualNodes(), graph, ["Add", "Mul", "Softmax", "Softmax", "Sub"])


def test_an_equal_node_may_be_found_outside_of_a_subgraph():
    graph = model(
        """(float[N] x, bool c) => (float[N] y)
        { a = Exp(x)
          y = If(c) <then_branch = g1 () => (float[N] t) { b = Exp(x)  t = Neg(b) },
                     else_branch = g2 () => (float[N] e) { d = Cos(x)  e = Add(d, a) }> }"""
    )
    assert_rewritten(MergeEqualNodes(), graph, ["Add", "Cos", "Exp", "If", "Neg"])


def test_equal_outputs_stay_apart_and_the_name_of_one_output_survives():
    graph = model("(float[N] x) => (float[N] y, float[N] z) { y = Exp(x)  z = Exp(x) }")
    assert_rewritten(MergeEqualNodes(), graph, ["Exp", "Exp"])
    graph = model("(float[N] x) => (float[N] y, float[N] z) { a = Exp(x)  y = Exp(x)  z = Neg(a) }")
    assert_rewritten(MergeEqualNodes(), graph, ["Exp", "Neg"])


def test_random_operators_and_different_zeros_are_not_equal():
    graph = model(
        """(float[N] x) => (float[N] y)
        { a = RandomUniformLike(x)  b = RandomUniformLike(x)  y = Sub(a, b) }"""
    )
    MergeEqualNodes()(graph)
    assert operators(graph).count("RandomUniformLike") == 2
    graph = model(
        """(float[N] x) => (float[N] y)
        { a = Elu<alpha = 0.0>(x)  b = Elu<alpha = -0.0>(x)  y = Div(a, b) }"""
    )
    MergeEqualNodes()(graph)
    assert operators(graph) == ["Div", "Elu", "Elu"]


def test_the_origin_of_merged_nodes_is_kept():
    graph = model("(float[N] x) => (float[N] y) { a = Exp(x)  b = Exp(x)  y = Add(a, b) }")
    graph.graph[0].metadata_props["nxconvert.source"] = "aten::exp model.py:1"
    graph.graph[1].metadata_props["nxconvert.source"] = "aten::exp model.py:2"
    MergeEqualNodes()(graph)
    assert graph.graph[0].metadata_props["nxconvert.source"] == "aten::exp model.py:1; aten::exp model.py:2"


def test_small_equal_initializers_are_one_and_parameters_are_not():
    same = {"one": np.ones(2, np.int64), "two": np.ones(2, np.int64), "p": np.zeros(40, "f4"), "q": np.zeros(40, "f4")}
    graph = model(
        """(float[1, 1, 40] x) => (float[1, 1, 40] y)
        { a = Expand(x, one)  b = Expand(a, two)  c = Add(b, p)  y = Add(c, q) }""",
        same,
    )
    assert_rewritten(MergeEqualInitializers(), graph, ["Add", "Add", "Expand", "Expand"])
    assert list(graph.graph.initializers) == ["one", "p", "q"]


def test_the_same_bytes_of_a_file_are_one_initializer(tmp_path):
    (tmp_path / "w").write_bytes(np.arange(200, dtype=np.float32).tobytes())
    file = MappedFile(tmp_path / "w")
    graph = model(
        "(float[1, 100] x) => (float[1, 100] y) { a = Add(x, p)  b = Mul(a, q)  y = Sub(b, r) }",
        weights(p=(100,), q=(100,), r=(100,)),
    )
    for name, offset in (("p", 0), ("q", 0), ("r", 400)):
        graph.graph.initializers[name].const_value = MappedTensor(file, offset, ir.DataType.FLOAT, [100], name)
    assert_rewritten(MergeEqualInitializers(), graph, ["Add", "Mul", "Sub"])
    assert list(graph.graph.initializers) == ["p", "r"]

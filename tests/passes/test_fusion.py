"""Weights that do the work of the nodes around them: each rewrite against ONNX Runtime, and what has to stay."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.formats.tensors import ComputedTensor
from nxconvert.passes import (
    BiasIntoLayerNormalization,
    FoldAffineIntoWeights,
    MatMulToGemm,
    PadIntoWindow,
    RemoveUnused,
    TransposeWeights,
    default_passes,
    fusion,
)
from tests.passes.models import assert_rewritten, model, weights

NORM = {"scale": (6,), "shift": (6,), "mean": (6,), "var": (6,)}
BN = "BatchNormalization(a, scale, shift, mean, var)"

CONVS = {
    "plain": ("Conv(x, w)", {"w": (6, 4, 3, 3)}),
    "bias, stride, pads": ("Conv<strides = [2, 1], pads = [1, 0, 1, 2]>(x, w, b)", {"w": (6, 4, 3, 3), "b": (6,)}),
    "groups": ("Conv<group = 2>(x, w, b)", {"w": (6, 2, 3, 3), "b": (6,)}),
    "depthwise": ("Conv<group = 2>(narrow, w)", {"w": (6, 1, 3, 3)}),
    "transposed": ("ConvTranspose(x, w)", {"w": (4, 6, 3, 3)}),
    "transposed, groups": ("ConvTranspose<group = 2, strides = [2, 2]>(x, w, b)", {"w": (4, 3, 3, 3), "b": (6,)}),
}


@pytest.mark.parametrize("layer", CONVS)
@pytest.mark.parametrize("affine", [BN, "Mul(a, spread)", "Add(wide, a)", "Mul(one, a)", "Add(a, number)"])
def test_affine_after_convolution(layer: str, affine: str):
    call, shapes = CONVS[layer]
    constants = weights(**shapes, **NORM, spread=(6, 1, 1), wide=(1, 6, 1, 1), one=(1,), number=())
    constants["axes"], constants["two"] = np.array([1]), np.array([2, 2])
    graph = model(
        f"(float[N, 4, H, W] x) => (float[N, 6, P, Q] y) "
        f"{{ narrow, _ = Split<axis = 1>(x, two)  a = {call}  y = {affine} }}",
        constants,
    )
    RemoveUnused()(graph)
    first = [node.op_type for node in graph.graph if node.op_type == "Split"]
    assert_rewritten([FoldAffineIntoWeights(), RemoveUnused()], graph, [*first, call.split("(")[0].split("<")[0]], H=7)
    assert "w" in graph.graph.initializers
    new_bias = "b" not in shapes and not affine.startswith("Mul")
    assert len(graph.graph.initializers) == len(shapes) + new_bias + len(first)
    if affine == "Add(wide, a)":
        assert ("b" if "b" in shapes else "wide") in graph.graph.initializers


@pytest.mark.parametrize(
    "affine", ["Mul(a, spread)", "Add(wide, a)", "Mul(one, a)", "BatchNormalization(a, scale2, shift2, mean2, var2)"]
)
def test_affine_after_a_normalization(affine: str):
    constants = weights(**NORM, **{f"{name}2": shape for name, shape in NORM.items()})
    constants |= weights(spread=(6, 1, 1), wide=(1, 6, 1, 1), one=(1,))
    text = f"(float[N, 6, H, W] x) => (float[N, 6, H, W] y) {{ n = Relu(x)  a = {BN}  y = {affine} }}"
    graph = model(text.replace("(a, scale,", "(n, scale,"), constants)
    assert_rewritten([FoldAffineIntoWeights(), RemoveUnused()], graph, ["BatchNormalization", "Relu"])
    assert set(graph.graph.initializers) == set(NORM)


def test_affine_after_a_normalization_in_training_stays():
    text = f"""(float[N, 6, H] x) => (float[N, 6, H] y)
    {{ a, m, v = {BN.replace("(a,", "<training_mode = 1>(x,")}  y = Mul(a, spread) }}"""
    graph = model(text, weights(**NORM, spread=(6, 1)))
    assert not FoldAffineIntoWeights()(graph).modified


def test_folded_weights_are_computed_only_when_read():
    text = f"(float[N, 4, H] x) => (float[N, 6, P] y) {{ a = Conv(x, w)  y = {BN} }}"
    graph = model(text, weights(w=(6, 4, 3), **NORM))
    FoldAffineIntoWeights()(graph)
    conv = graph.graph[0]
    assert [type(value.const_value) for value in conv.inputs[1:]] == [ComputedTensor, ComputedTensor]
    assert [value.name for value in conv.inputs] == ["x", "w", "w.bias"]


def test_folding_into_gemm():
    for call in ("Gemm(x, w)", "Gemm<transB = 1>(x, v, b)"):
        graph = model(
            f"(float[N, 4] x) => (float[N, 6] y) {{ a = {call}  c = {BN}  y = Mul(c, s) }}",
            weights(w=(4, 6), v=(6, 4), b=(6,), s=(1, 6), **NORM),
        )
        assert_rewritten(FoldAffineIntoWeights(), graph, ["Gemm"], N=5)


def test_a_product_that_is_normalized_becomes_a_gemm():
    graph = model(f"(float[N, 4] x) => (float[N, 6] y) {{ a = MatMul(x, w)  y = {BN} }}", weights(w=(4, 6), **NORM))
    assert_rewritten(FoldAffineIntoWeights(), graph, ["Gemm"], N=5)


def test_a_product_of_more_than_matrices_stays():
    graph = model(
        f"(float[N, 6, 4] x) => (float[N, 6, 6] y) {{ a = MatMul(x, w)  y = {BN} }}", weights(w=(4, 6), **NORM)
    )
    assert not FoldAffineIntoWeights()(graph).modified


RESHAPED = {
    "a bias of the image's shape": "y = Add(r, whole)",
    "a bias for each channel": "y = Add(spread, r)",
    "a factor for each column": "y = Mul(r, last)",
    "one number": "y = Add(r, one)",
    "normalization": "y = BatchNormalization(r, scale, shift, mean, var)",
    "all of them": "c = Add(r, whole)  d = BatchNormalization(c, scale, shift, mean, var)  y = Mul(last, d)",
}


@pytest.mark.parametrize("product", ["MatMul(x, w)", "Gemm(x, w)", "Gemm<transB = 1>(x, v, b)"])
@pytest.mark.parametrize("affine", RESHAPED)
def test_affine_behind_columns_that_become_an_image(product: str, affine: str):
    constants = weights(
        **NORM, w=(4, 30), v=(30, 4), b=(30,), whole=(6, 5, 1), spread=(1, 6, 1, 1), last=(5, 1), one=(1,)
    )
    constants["image"] = np.array([0, 6, 5, 1])
    graph = model(
        f"(float[N, 4] x) => (float[N, 6, 5, 1] y) {{ p = {product}  r = Reshape(p, image)  {RESHAPED[affine]} }}",
        constants,
    )
    RemoveUnused()(graph)
    assert_rewritten([FoldAffineIntoWeights(), RemoveUnused()], graph, [_layer(product, affine), "Reshape"], N=5)


def _layer(product: str, affine: str) -> str:
    is_scaled_product = "MatMul" in product and "factor" in affine
    return "MatMul" if is_scaled_product else "Gemm"


BEHIND_RESHAPES = {
    "columns and rows become one": "p = MatMul(x, w)  r = Reshape(p, mixed)  y = Add(r, one)",
    "rows that are known are split": "p = MatMul(four, w)  r = Reshape(p, split)  y = Add(r, one)",
    "the product is read elsewhere": "p = MatMul(x, w)  r = Reshape(p, image)  a = Add(r, one)  y = MatMul(a, p)",
    "the image is read elsewhere": "p = MatMul(x, w)  r = Reshape(p, image)  a = Add(r, one)  y = Add(a, r)",
    "it becomes larger": "p = MatMul(x, w)  r = Reshape(p, image)  y = Add(r, larger)",
    "a product of more than matrices": "p = MatMul(deep, w)  r = Reshape(p, image)  y = Add(r, one)",
}


@pytest.mark.parametrize("case", BEHIND_RESHAPES)
def test_what_stays_behind_a_reshape(case: str):
    constants = weights(w=(4, 30), one=(1,), larger=(3, 6, 5)) | {
        "image": np.array([0, 6, 5]),
        "mixed": np.array([-1, 2, 3]),
        "split": np.array([2, 2, 30]),
    }
    graph = model(
        f"(float[N, 4] x, float[4, 4] four, float[N, 1, 4] deep) => (float[A, B, C] y) {{ {BEHIND_RESHAPES[case]} }}",
        constants,
    )
    assert not FoldAffineIntoWeights()(graph).modified


def test_half_precision_is_folded_in_float32():
    constants = {k: v.astype(np.float16) for k, v in weights(w=(6, 4, 3), scale=(6, 1)).items()}
    graph = model("(float16[N, 4, H] x) => (float16[N, 6, P] y) { a = Conv(x, w)  y = Mul(a, scale) }", constants)
    exact = constants["w"].astype(np.float32) * constants["scale"].astype(np.float32)[:, :, None]
    FoldAffineIntoWeights()(graph)
    np.testing.assert_array_equal(graph.graph.initializers["w"].const_value.numpy(), exact.astype(np.float16))


KEPT = {
    "its result is read twice": "a = Conv(x, w)  b = BN(a)  y = Add(a, b)",
    "its weight is read twice": "a = Conv(x, w)  b = BN(a)  d = Conv(x, w)  y = Add(d, b)",
    "its weight is no constant": "a = Conv(x, v)  y = BN(a)",
    "its bias is no constant": "a = Conv(x, w, c)  y = BN(a)",
    "the statistics are no constants": "a = Conv(x, w)  y = BatchNormalization(a, scale, shift, c, var)",
    "training": "a = Conv(x, w)  y, m, v2 = BatchNormalization<training_mode = 1>(a, scale, shift, mean, var)",
    "the constant is of another axis": "a = Conv(x, w)  y = Mul(a, last)",
    "the constant is no constant": "a = Conv(x, w)  y = Mul(a, x0)",
    "the result becomes larger": "a = Conv(x, w)  b = Mul(a, large)  y = Squeeze(b, zero)",
}


@pytest.mark.parametrize("why", KEPT)
def test_not_folded(why: str):
    constants = weights(w=(6, 4, 3), last=(5,), large=(1, 1, 1, 1), **NORM)
    body = KEPT[why].replace("BN(a)", BN)
    graph = model(
        f"(float[N, 4, 7] x, float[6, 4, 3] v, float[6] c, float[1] x0) => (float[N, 6, 5] y) {{ {body} }}",
        constants | {"zero": np.array([0])},
    )
    assert not FoldAffineIntoWeights()(graph).modified


def test_a_weight_that_the_caller_can_override_is_no_constant():
    text = "(float[N, 4, 7] x, float[6, 4, 3] w) => (float[N, 6, 5] y) { a = Conv(x, w)  y = Mul(a, s) }"
    graph = model(text, weights(s=(1,)))
    default = ir.tensor(np.ones((6, 4, 3), np.float32), name="w")
    graph.graph.inputs[1].const_value = default
    graph.graph.register_initializer(graph.graph.inputs[1])
    assert not FoldAffineIntoWeights()(graph).modified


def test_folding_inside_a_subgraph_but_not_across():
    text = """(float[N, 4, 7] x, bool c) => (float[N, 6, 5] y)
        {{ {outside}
          y = If(c) <then_branch = g1 () => (float[N, 6, 5] t) {{ {inside} t = Mul(a, s) }},
                     else_branch = g2 () => (float[N, 6, 5] e) {{ e = Conv(x, v) }}> }}"""
    conv = "a = Conv(x, w)"
    graph = model(text.format(outside="", inside=conv), weights(w=(6, 4, 3), v=(6, 4, 3), s=(6, 1)))
    assert_rewritten(FoldAffineIntoWeights(), graph, ["Conv", "Conv", "If"])
    graph = model(text.format(outside=conv, inside=""), weights(w=(6, 4, 3), v=(6, 4, 3), s=(6, 1)))
    assert_rewritten(FoldAffineIntoWeights(), graph, ["Conv", "Conv", "If", "Mul"])


def test_the_origin_of_what_is_folded_is_kept():
    text = f"(float[N, 4, H] x) => (float[N, 6, P] y) {{ a = Conv(x, w)  y = {BN} }}"
    graph = model(text, weights(w=(6, 4, 3), **NORM))
    graph.graph[0].metadata_props["nxconvert.source"] = "aten::conv1d model.py:12"
    graph.graph[1].metadata_props["nxconvert.source"] = "aten::batch_norm model.py:13"
    FoldAffineIntoWeights()(graph)
    assert graph.graph[0].metadata_props["nxconvert.source"] == "aten::conv1d model.py:12; aten::batch_norm model.py:13"


def test_transposed_weights_are_shared():
    graph = model(
        """(float[N, 4] x) => (float[N, 6] y, float[N, 6] z)
        { a = Transpose(w)  y = MatMul(x, a)  b = Transpose<perm = [1, 0]>(w)  c = MatMul(x, b)  z = Relu(c) }""",
        weights(w=(6, 4)),
    )
    assert_rewritten([TransposeWeights(), RemoveUnused()], graph, ["MatMul", "MatMul", "Relu"])
    assert list(graph.graph.initializers) == ["w.T"]


def test_a_weight_is_not_stored_twice():
    text = """(int64[N] i, float[M, {k}] x) => (float[N, {k}] y, float[M, {n}] z)
        {{ y = Gather(w, i)  t = Transpose(w)  z = MatMul(x, t) }}"""
    large = model(text.format(n=600, k=500), weights(w=(600, 500)))
    assert_rewritten(TransposeWeights(), large, ["Gather", "MatMul", "Transpose"])
    small = model(text.format(n=60, k=40), weights(w=(60, 40)))
    assert_rewritten(TransposeWeights(), small, ["Gather", "MatMul"])


def test_many_large_weights_are_left_to_the_runtime(monkeypatch: pytest.MonkeyPatch):
    text = """(float[N, 500] x) => (float[N, 600] y, float[N, 600] z, float[N, 6] s)
        { a = Transpose(u)  b = Transpose(v)  c = Transpose(w)
          y = MatMul(x, a)  z = MatMul(x, b)  s = MatMul(x, c) }"""
    constants = weights(u=(600, 500), v=(600, 500), w=(6, 500))
    monkeypatch.setattr(fusion, "_LEFT_TO_THE_RUNTIME", 2_400_000)
    assert_rewritten(TransposeWeights(), model(text, constants), ["MatMul"] * 3)
    monkeypatch.setattr(fusion, "_LEFT_TO_THE_RUNTIME", 2_399_999)
    assert_rewritten(TransposeWeights(), model(text, constants), ["MatMul"] * 3 + ["Transpose"] * 2)


@pytest.mark.parametrize("bias", ["b", "row", "one", "number"])
def test_matrix_product_and_bias(bias: str):
    constants = weights(w=(4, 6), v=(6, 4), b=(6,), row=(1, 6), one=(1,), number=())
    graph = model(f"(float[N, 4] x) => (float[N, 6] y) {{ a = MatMul(x, w)  y = Add({bias}, a) }}", constants)
    assert_rewritten(MatMulToGemm(), graph, ["Gemm"], N=5)
    body = f"t = Transpose(v)  a = MatMul(x, t)  y = Add(a, {bias})"
    graph = model(f"(float[N, 4] x) => (float[N, 6] y) {{ {body} }}", constants)
    assert_rewritten(MatMulToGemm(), graph, ["Gemm"], N=5)
    assert graph.graph[0].inputs[1].name == "v"


NO_GEMM = {
    "rank 3": ("float[N, 2, 4] x, float[6] b", "float[N, 2, 6] y", "a = MatMul(x, w)  y = Add(a, b)"),
    "integers": ("int64[N, 4] x, int64[4, 6] v, int64[6] b", "int64[N, 6] y", "a = MatMul(x, v)  y = Add(a, b)"),
    "larger": ("float[1, 4] x, float[N, 6] b", "float[N, 6] y", "a = MatMul(x, w)  y = Add(a, b)"),
    "rank 3 bias": ("float[N, 4] x, float[1, 1, 6] b", "float[1, N, 6] y", "a = MatMul(x, w)  y = Add(a, b)"),
    "unknown": ("float[N, 4] x, float[4, M] v, float[K] b", "float[N, Q] y", "a = MatMul(x, v)  y = Add(a, b)"),
    "read twice": ("float[N, 4] x, float[6] b", "float[N, 6] y", "a = MatMul(x, w)  c = Add(a, b)  y = Mul(a, c)"),
}


@pytest.mark.parametrize("why", NO_GEMM)
def test_no_gemm(why: str):
    inputs, outputs, body = NO_GEMM[why]
    assert not MatMulToGemm()(model(f"({inputs}) => ({outputs}) {{ {body} }}", weights(w=(4, 6)))).modified


WINDOWS = {
    "conv": "p = Pad(x, pads)  y = Conv<pads = [1, 0, 0, 1]>(p, w)",
    "conv, zero given": "p = Pad(x, pads, zero)  y = Conv(p, w)",
    "conv, axes": "p = Pad(x, four, , axes)  y = Conv(p, w)",
    "average": "p = Pad(x, pads)  y = AveragePool<kernel_shape = [4, 4]>(p)",
    "max": "p = Pad(x, pads, low)  y = MaxPool<kernel_shape = [4, 4], pads = [0, 1, 0, 0], strides = [2, 1]>(p)",
}
PAD_CONSTANTS = {
    "pads": np.array([0, 0, 1, 2, 0, 0, 3, 0]),
    "four": np.array([1, 2, 0, 3]),
    "axes": np.array([-1, 2]),
    "channels": np.array([0, 1, 1, 2, 0, 0, 3, 0]),
    "negative": np.array([0, 0, -1, 2, 0, 0, 3, 0]),
    "zero": np.array(0, np.float32),
    "low": np.array(-np.inf, np.float32),
    "w": weights(w=(2, 3, 2, 2))["w"],
    "u": weights(u=(2, 4, 2, 2))["u"],
}


@pytest.mark.parametrize("window", WINDOWS)
def test_padding_moves_into_the_window(window: str):
    graph = model(f"(float[N, 3, H, W] x) => (float[N, C, P, Q] y) {{ {WINDOWS[window]} }}", PAD_CONSTANTS)
    operator = {"c": "Conv", "a": "AveragePool", "m": "MaxPool"}[window[0]]
    assert_rewritten(PadIntoWindow(), graph, [operator], H=7, W=6)


NO_WINDOWS = {
    "another number": "p = Pad(x, pads, low)  y = Conv(p, w)",
    "channels": "p = Pad(x, channels)  y = Conv(p, u)",
    "negative": "p = Pad(x, negative)  y = Conv(p, w)",
    "reflection": 'p = Pad<mode = "reflect">(x, pads)  y = Conv(p, w)',
    "automatic": 'p = Pad(x, pads)  y = Conv<auto_pad = "SAME_UPPER">(p, w)',
    "average that pads": "p = Pad(x, pads)  y = AveragePool<kernel_shape = [4, 4], pads = [0, 0, 0, 1]>(p)",
    "average, rounding up": "p = Pad(x, pads)  y = AveragePool<kernel_shape = [4, 4], ceil_mode = 1>(p)",
    "small window": "p = Pad(x, pads)  y = AveragePool<kernel_shape = [3, 3]>(p)",
    "zeros under a maximum": "p = Pad(x, pads)  y = MaxPool<kernel_shape = [4, 4]>(p)",
    "indices": "p = Pad(x, pads, low)  y, i = MaxPool<kernel_shape = [4, 4]>(p)  j = Cast<to = 1>(i)  z = Add(y, j)",
}


@pytest.mark.parametrize("why", NO_WINDOWS)
def test_padding_stays(why: str):
    graph = model(f"(float[N, 3, 8, 8] x) => (float[N, C, P, Q] y) {{ {NO_WINDOWS[why]} }}", PAD_CONSTANTS)
    assert not PadIntoWindow()(graph).modified


def test_all_passes_on_a_small_network():
    graph = model(
        f"""(float[N, 4, H, W] x) => (float[N, 5] y)
        {{ p = Pad(x, pads)  a = Conv(p, w)  n = {BN}  r = Relu(n)  i = Identity(r)
           g = GlobalAveragePool(i)  f = Flatten(g)  s = Reshape(f, shape)  t = Transpose(fc)
           m = MatMul(s, t)  y = Add(m, b)  unused = Exp(y) }}""",
        weights(w=(6, 4, 3, 3), fc=(5, 6), b=(5,), **NORM)
        | {"pads": PAD_CONSTANTS["pads"], "shape": np.array([-1, 6])},
    )
    wanted = ["Conv", "Gemm", "GlobalAveragePool", "Relu", "Reshape"]
    assert_rewritten(default_passes(), graph, wanted, H=5, W=6)
    assert sorted(graph.graph.initializers) == ["b", "fc", "shape", "w", "w.bias"]


@pytest.mark.parametrize("add", ["Add(a, shift)", "Add(shift, a)"])
def test_a_bias_behind_a_layer_normalization(add: str):
    text = f"(float[N, 5, 6] x) => (float[N, 5, 6] y) {{ a = LayerNormalization(x, scale)  y = {add} }}"
    assert_rewritten(BiasIntoLayerNormalization(), model(text, weights(**NORM)), ["LayerNormalization"])


@pytest.mark.parametrize(
    "body",
    [
        "a = LayerNormalization(x, scale, shift)  y = Add(a, mean)",
        "a = LayerNormalization(x, scale)  y = Add(a, v)",
        "a = LayerNormalization(x, scale)  y = Add(a, wide)",
        "a = LayerNormalization(x, scale)  b = Add(a, shift)  y = Mul(a, b)",
    ],
)
def test_what_is_no_bias_of_a_layer_normalization(body: str):
    graph = model(f"(float[N, 5, 6] x, float[6] v) => (float[N, 5, 6] y) {{ {body} }}", weights(**NORM, wide=(5, 6)))
    assert not BiasIntoLayerNormalization()(graph).modified

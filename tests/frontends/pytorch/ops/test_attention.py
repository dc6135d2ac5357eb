"""Attention against PyTorch, in every form of its mask."""

from __future__ import annotations

from typing import Any

import pytest

from nxconvert.frontends.pytorch.table import aten
from nxconvert.graph.builder import Builder
from tests.frontends.pytorch.ops import harness
from tests.frontends.pytorch.ops.harness import check, check_program

torch = pytest.importorskip("torch")

SDPA = "scaled_dot_product_attention"


def qkv(*batch: int, queries: int = 3, keys: int = 5, size: int = 4, values: int = 6, **options: Any) -> list[Any]:
    torch.manual_seed(1)
    sizes = ((queries, size), (keys, size), (keys, values))
    return [torch.randn(*batch, *pair, **options) for pair in sizes]


def masks() -> dict[str, Any]:
    torch.manual_seed(2)
    some = torch.rand(2, 1, 3, 5) > 0.4
    some[0, 0, 1] = False  # a query without any key
    return {
        "none": None,
        "bool": torch.ones(3, 5, dtype=torch.bool).tril(),
        "dead": some,
        "keys": some[:, :, :1],
        "float": torch.randn(3, 5),
        "heads": torch.randn(2, 2, 3, 5),
        "infinite": torch.zeros(2, 1, 3, 5).masked_fill(~some, -torch.inf),
    }


@pytest.mark.parametrize("mask", masks())
@pytest.mark.parametrize("scale", [None, 0.3, 1.0])
def test_masks(mask: str, scale: float | None) -> None:
    check(SDPA, *qkv(2, 2), masks()[mask], scale=scale)


@pytest.mark.parametrize("batch", [(), (2,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("is_causal", [False, True])
def test_ranks(batch: tuple[int, ...], is_causal: bool) -> None:
    check(SDPA, *qkv(*batch), None, 0.0, is_causal)


@pytest.mark.parametrize(("queries", "keys"), [(5, 3), (3, 5), (4, 4), (1, 4), (4, 1)])
def test_causal_is_aligned_at_the_first_key(queries: int, keys: int) -> None:
    check(SDPA, *qkv(1, 2, queries=queries, keys=keys), None, 0.0, True)


def test_batch_is_broadcast() -> None:
    q, _, _ = qkv(2, 3)
    _, k, v = qkv(1, 3)
    check(SDPA, q, k, v)


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("mask", ["none", "dead", "float", "causal"])
def test_grouped_heads(heads: int, mask: str) -> None:
    q, _, _ = qkv(2, 4)
    _, k, v = qkv(2, heads)
    check(SDPA, q, k, v, masks().get(mask), 0.0, mask == "causal", enable_gqa=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_dtypes(dtype: Any) -> None:
    check(SDPA, *qkv(2, 2, dtype=dtype), masks()["bool"], rtol=1e-2 if dtype == torch.float16 else 1e-6, atol=1e-2)


@pytest.mark.parametrize("is_causal", [False, True])
def test_internal_forms(is_causal: bool) -> None:
    inputs = qkv(2, 2, values=4)
    check("_scaled_dot_product_attention_math", *inputs, None, 0.0, is_causal)
    check("_scaled_dot_product_flash_attention_for_cpu", *inputs, 0.0, is_causal)


def test_math_form_adds_a_bool_mask() -> None:
    check("_scaled_dot_product_attention_math", *qkv(2, 2), masks()["dead"])


def test_flash_form_takes_a_mask() -> None:
    check("_scaled_dot_product_flash_attention_for_cpu", *qkv(2, 2, values=4), attn_mask=masks()["heads"], scale=0.2)


@pytest.mark.parametrize(
    ("mask", "nodes"), [("none", 5), ("bool", 9), ("float", 9), ("causal", 6)], ids=["none", "bool", "float", "causal"]
)
def test_few_nodes(mask: str, nodes: int) -> None:
    """One Mul for the scale; the mask costs its application and the care for queries without a key."""
    args = (*qkv(2, 2), masks().get(mask), 0.0, mask == "causal")
    model, _, _ = harness.lower(SDPA, args, {}, free=False)
    assert len(list(model.graph)) <= nodes


# ---- multi-head attention and the encoder's fast path ----------------------------------------------------------------

B, T, H, D, F = 2, 4, 2, 8, 12


def projections() -> list[Any]:
    torch.manual_seed(3)
    return [torch.randn(3 * D, D), torch.randn(3 * D), torch.randn(D, D), torch.randn(D)]


MASKS = {
    "none": (None, None),
    "source": (torch.ones(T, T, dtype=torch.bool).triu(1), 0),
    "padding": (torch.tensor([[False] * 4, [False, False, True, True]]), 1),
    "both": (torch.rand(B, H, T, T, generator=torch.Generator().manual_seed(0)) > 0.7, 2),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(("need_weights", "average"), [(True, True), (True, False)])
def test_multi_head_attention(mask: str, need_weights: bool, average: bool) -> None:
    x = torch.randn(B, T, D)
    values, kind = MASKS[mask]
    # One tensor three times, or three tensors, to PyTorch; three inputs to the graph.
    check(
        "_native_multi_head_attention",
        x,
        x,
        x,
        D,
        H,
        *projections(),
        values,
        need_weights,
        average,
        kind,
        free=(False,),
    )


def test_multi_head_self_attention_projects_once() -> None:
    op = Builder()
    x = op.input("x", harness.ir.DataType.FLOAT, [B, T, D])
    params = [op.const(p.numpy()) for p in projections()]
    args = (x, x, x, D, H, *params, None, False)
    aten.find("_native_multi_head_attention", args, {}).function(op, *args)
    assert sum(node.op_type == "MatMul" for node in op.nodes) == 4


def layer_arguments(use_gelu: bool, norm_first: bool) -> list[Any]:
    torch.manual_seed(4)
    norms = [torch.randn(D) for _ in range(4)]
    feed_forward = [torch.randn(F, D), torch.randn(F), torch.randn(D, F), torch.randn(D)]
    return [D, H, *projections(), use_gelu, norm_first, 1e-5, *norms, *feed_forward]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(("use_gelu", "norm_first"), [(True, False), (False, True)])
def test_encoder_layer(mask: str, use_gelu: bool, norm_first: bool) -> None:
    arguments = layer_arguments(use_gelu, norm_first)
    check("_transformer_encoder_layer_fwd", torch.randn(B, T, D), *arguments, *MASKS[mask], free=(False,), atol=1e-4)


def nested_layer(call: Any, x: Any, keep: Any, size: list[int] | None, *arguments: Any) -> Any:
    nested = call("_nested_tensor_from_mask", x, keep, False)
    layer = call("_transformer_encoder_layer_fwd", nested, *arguments)
    return call("to_padded_tensor", call("relu", layer), 0.5, size)


@pytest.mark.parametrize("size", [None, [B, T, D], [B, T + 2, D]])
def test_nested(size: list[int] | None) -> None:
    keep = torch.tensor([[True, True, True, False], [True, True, False, False]])
    check_program(
        nested_layer, torch.randn(B, T, D), keep, size, *layer_arguments(True, False), free=(False,), atol=1e-4
    )


def test_sequences_that_do_not_begin_at_the_left_keep_their_padding() -> None:
    """PyTorch takes the slow path for them, which computes something for every position."""
    x, keep = torch.randn(B, T, D), torch.tensor([[False, True, True, True], [True, True, True, True]])
    arguments = layer_arguments(True, False)
    with torch.no_grad():
        expected = torch.ops.aten._transformer_encoder_layer_fwd(x, *arguments, ~keep, 1).relu()
    model, feeds, results = harness.lower_program(nested_layer, (x, keep, [B, T, D], *arguments), {}, free=False)
    harness.compare(harness.run(model, feeds), results, [expected.numpy()], 1e-4, 1e-4)

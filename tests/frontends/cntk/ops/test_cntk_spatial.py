"""Padding, cropping, regions and normalization against CNTK."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("spatial"))
def test_spatial_functions_are_cntks(model: str, recordings: Path) -> None:
    check("spatial", model, recordings)


@pytest.mark.parametrize(
    ("family", "model", "nodes"),
    [
        ("convolution", "plain", ["Conv"]),
        ("convolution", "depthwise", ["Conv"]),
        ("convolution", "transposed_and_cropped", ["ConvTranspose"]),
        ("pooling", "plain", ["MaxPool", "AveragePool"]),
        ("pooling", "last_window_beyond_the_end", ["MaxPool", "AveragePool"]),
        ("pooling", "global_window", ["GlobalMaxPool", "GlobalAveragePool"]),
        ("pooling", "unpooled_where_pooling_was", ["MaxPool", "Tanh", "MaxUnpool"]),
        ("spatial", "cropped", ["Slice"]),
        ("spatial", "local_response", ["LRN"]),
    ],
)
def test_what_onnx_has_is_one_node(family: str, model: str, nodes: list[str], recordings: Path) -> None:
    assert [node.op_type for node in check(family, model, recordings).graph.node] == nodes

"""Networks of convolutions on each step of sequences, which are put together at the end only, against CNTK."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models

NODES = {
    "layers": "Reshape Conv Relu MaxPool Conv Tanh AveragePool Shape Concat Reshape",
    "layers_before_dense_ones": "Reshape Conv Relu Reshape Gemm Tanh Gemm Shape Concat Reshape",
    "layers_that_are_passed_by": "Reshape Conv Relu Conv Add Relu Shape Concat Reshape Mul",
}


@pytest.mark.parametrize("model", models("steps"))
def test_steps_are_samples_between_convolutions(model: str, recordings: Path) -> None:
    nodes = [node.op_type for node in check("steps", model, recordings).graph.node]
    if model in NODES:
        assert sorted(nodes) == sorted(NODES[model].split())

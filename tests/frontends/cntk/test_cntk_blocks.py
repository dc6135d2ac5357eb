"""Blocks of functions that become few operators, against the real CNTK."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models

#: What tells steps of sequences from what is behind their ends.
MASK = "Shape Squeeze Range Unsqueeze Less"
#: The operators that blocks become.
WHOLE = {
    "softmax": "Softmax",
    "log_softmax": "LogSoftmax",
    "elu": "Elu",
    "selu": "Selu",
    "leaky_relu": "LeakyRelu",
    "parametric_relu": "PRelu",
    "hard_sigmoid": "HardSigmoid",
    "softplus": "Softplus",
    "ceil": "Ceil",
    "larger": "Max",
    "smaller": "Min",
    "clip": "Clip",
    "softsign": "Abs Add Div",
    "mean_variance_normalization": "ReduceMean Sub Mul ReduceMean Sqrt Add Div",
    "instance_normalization": "InstanceNormalization",
    "instance_normalization_axis_by_axis": "InstanceNormalization",
    "unit_vectors": "ReduceL2 Max Div",
    "unit_vectors_of_all_elements": "ReduceL2 Max Div",
    "instance_normalization_with_weights": "InstanceNormalization",
    "instance_normalization_with_other_weights": "InstanceNormalization Mul Add",
    "softmax_of_steps": f"{MASK} Where Softmax",
    "softmax_of_steps_of_matrices": f"{MASK} Unsqueeze Where Softmax",
    "sum_of_steps": f"{MASK} Unsqueeze Where ReduceSum",
    "largest_of_steps": f"{MASK} Unsqueeze Where ReduceMax",
}
#: Operators that are there since a block is none of those, or guards against something.
SOME = {
    "elu_of_double": "Where",
    "other_threshold": "Where",
    "another_sum": "Reciprocal",
    "quotient_by_zero": "Equal",
    "root_of_negative_numbers": "Max",
    "activations_in_a_recurrence": "Scan",
    "unit_vectors_by_others": "Equal",
    "standardised_along_other_axes": "Sqrt",
    "standardised_by_another_spread": "Sqrt",
    "largest_of_steps_and_zero": "Slice",
    "sum_of_steps_in_their_place": "Slice",
    "softmax_of_other_steps": "Reciprocal",
    "softmax_by_another_sum": "Reciprocal",
}


@pytest.mark.parametrize("model", models("blocks"))
def test_blocks_become_operators(model: str, recordings: Path) -> None:
    operators = [node.op_type for node in check("blocks", model, recordings).graph.node]
    if model in WHOLE:
        assert operators == WHOLE[model].split()
    else:
        assert SOME[model] in operators

"""Random fills against what Caffe2 draws for the same seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nxconvert.frontends.caffe2.random_fills import RANDOM_FILLS, random_fill
from nxconvert.frontends.caffe2.table import LoweringError

FIXTURE = Path(__file__).parent.parent.parent.parent / "fixtures" / "caffe2_files" / "random_fills.npz"
NORMAL = {"GaussianFill", "MSRAFill"}


@pytest.mark.parametrize("operator", list(RANDOM_FILLS))
def test_the_runtimes_numbers(operator: str) -> None:
    with np.load(FIXTURE) as truth:
        keys = [key for key in truth if json.loads(key)[0] == operator]
        assert len(keys) >= 9
        for key in keys:
            _, arguments, shape, seed = json.loads(key)
            actual, expected = random_fill(operator, shape, arguments, seed), truth[key]
            assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
            if operator in NORMAL:
                np.testing.assert_array_almost_equal_nulp(actual, expected, 2)
                assert np.mean(actual != expected) < 0.02
            else:
                np.testing.assert_array_equal(actual, expected, err_msg=key)


def test_blocks_follow_each_other() -> None:
    """More numbers than are made at a time begin with the same numbers."""
    for operator, arguments in (("UniformFill", {}), ("GaussianFill", {}), ("UniformIntFill", {"min": 0, "max": 99})):
        many = random_fill(operator, [(1 << 20) + 5000], arguments, 7)
        few = random_fill(operator, [1000], arguments, 7)
        np.testing.assert_array_equal(many[:1000], few)
        rest = many[1 << 20 :].astype(np.float64)
        assert len(np.unique(rest)) > 90
        assert abs(rest.mean() - many.mean(dtype=np.float64)) < 0.1 * many.std(dtype=np.float64)


def test_numbers_to_avoid() -> None:
    # As the runtime drew it with seed 1: 21 and 36 would have come first and third.
    arguments = {"min": 0, "max": 50}
    assert random_fill("UniqueUniformFill", [6], arguments, 1, (3, 21, 36)).tolist() == [50, 47, 0, 6, 15, 7]
    assert sorted(random_fill("UniqueUniformFill", [51], arguments, 1).tolist()) == list(range(51))


@pytest.mark.parametrize(
    "operator, shape, arguments, complaint",
    [
        ("UniformFill", [2], {"min": 1.0, "max": 1.0}, "min 1.0 is to be less than its max 1.0"),
        ("UniformFill", [2], {"min": 1}, "min is to be a float, not 1"),
        ("UniformIntFill", [2], {"min": 0.0}, "it draws int32 from min to max, which are 0.0 and 1"),
        ("UniformIntFill", [2], {"max": 2**31}, "it draws int32"),
        ("UniformIntFill", [2], {"min": 5, "max": 5}, "is to be less than"),
        ("GaussianFill", [2], {"std": 0.0}, "std is to be positive"),
        ("XavierFill", [], {}, r"the shape \[\] cannot be filled so"),
        ("XavierFill", [0, 3], {}, r"the shape \[0, 3\] cannot be filled so"),
        ("MSRAFill", [5], {}, r"the shape \[5\] cannot be filled so"),
        ("UniqueUniformFill", [2], {}, "which are None and None"),
        ("UniqueUniformFill", [5], {"min": 0, "max": 3}, "no 5 different numbers from 0 to 3"),
        ("UniqueUniformFill", [5], {"min": 0, "max": 9, "dtype": 1}, "not dtype 1"),
        ("UniqueUniformFill", [5], {"min": 0, "max": 2**40}, "it draws int32"),
    ],
)
def test_what_the_runtime_refuses(
    operator: str, shape: list[int], arguments: dict[str, object], complaint: str
) -> None:
    with pytest.raises(LoweringError, match=complaint):
        random_fill(operator, shape, arguments, 1)


@pytest.mark.parametrize("operator", list(RANDOM_FILLS))
def test_without_a_seed(operator: str) -> None:
    with pytest.raises(LoweringError, match="has no seed, .* Give the init net that holds the trained weights"):
        random_fill(operator, [2, 2], {}, None)

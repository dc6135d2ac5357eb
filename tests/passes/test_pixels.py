"""Pixel shuffles written as reshapes and a transposition, both ways, and what only looks like them."""

from __future__ import annotations

import numpy as np
import pytest

from nxconvert.passes import RecognizePixelShuffles, RemoveUnused

from .models import assert_rewritten, model

SHUFFLES = {
    "DCR": ("[N, 12, 4, 5]", [0, 2, 2, 3, 4, 5], "[0, 3, 4, 1, 5, 2]", "[N, 3, 8, 10]", [0, 3, 8, 10]),
    "CRD": ("[N, 12, 4, 5]", [0, 3, 2, 2, 4, 5], "[0, 1, 4, 2, 5, 3]", "[N, 3, 8, 10]", [0, 3, 8, 10]),
    "unshuffle": ("[N, 3, 8, 6]", [0, 3, 4, 2, 3, 2], "[0, 3, 5, 1, 2, 4]", "[N, 12, 4, 3]", [0, 12, 4, 3]),
}


@pytest.mark.parametrize("case", SHUFFLES)
@pytest.mark.parametrize("dtype", ["float", "double"])
@pytest.mark.parametrize("two_steps", [False, True])
def test_pixel_shuffles(case: str, dtype: str, two_steps: bool):
    source, apart, perm, result, together = SHUFFLES[case]
    constants = {
        "apart": np.array(apart),
        "together": np.array(together),
        "half": np.array([0, 3, -1, *together[3:], 1]),
    }
    end = "d = Reshape(c, half)  y = Reshape(d, together)" if two_steps else "y = Reshape(c, together)"
    graph = model(
        f"({dtype}{source} x) => ({dtype}{result} y) "
        f"{{ b = Reshape(x, apart)  c = Transpose<perm = {perm}>(b)  {end} }}",
        constants,
    )
    operator = "SpaceToDepth" if case == "unshuffle" else "DepthToSpace"
    assert_rewritten([RecognizePixelShuffles(), RemoveUnused()], graph, [operator], N=2)


OTHERS = {
    "another order": ("float", [0, 2, 2, 3, 4, 5], "[0, 3, 4, 2, 5, 1]", [0, 3, 8, 10]),
    "blocks that are no squares": ("float", [0, 4, 1, 3, 4, 5], "[0, 3, 4, 1, 5, 2]", [0, 3, 16, 5]),
    "another shape": ("float", [0, 2, 2, 3, 4, 5], "[0, 3, 4, 1, 5, 2]", [0, 3, 10, 8]),
    "channels of another order": ("float", [0, 3, 2, 2, 4, 5], "[0, 3, 4, 1, 5, 2]", [0, 2, 12, 10]),
    "halves": ("float16", [0, 2, 2, 3, 4, 5], "[0, 3, 4, 1, 5, 2]", [0, 3, 8, 10]),
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_only_looks_like_a_shuffle_stays(case: str):
    dtype, apart, perm, together = OTHERS[case]
    graph = model(
        f"({dtype}[N, 12, 4, 5] x) => ({dtype}[N, C, H, W] y) "
        f"{{ b = Reshape(x, apart)  c = Transpose<perm = {perm}>(b)  y = Reshape(c, together) }}",
        {"apart": np.array(apart), "together": np.array(together)},
    )
    assert not RecognizePixelShuffles()(graph).modified


def test_what_is_read_elsewhere_stays():
    source, apart, perm, result, together = SHUFFLES["DCR"]
    graph = model(
        f"(float{source} x) => (float{result} y, float[A, B, C, D, E, F] z) "
        f"{{ b = Reshape(x, apart)  c = Transpose<perm = {perm}>(b)  y = Reshape(c, together)  z = Relu(c) }}",
        {"apart": np.array(apart), "together": np.array(together)},
    )
    assert not RecognizePixelShuffles()(graph).modified

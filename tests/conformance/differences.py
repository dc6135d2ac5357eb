"""How an array differs from the recorded one, in words."""

from __future__ import annotations

import numpy as np

RTOL, ATOL = 1e-3, 1e-5
#: Relative and absolute tolerance for the dtypes that do not resolve what is asked of float32 and wider ones.
_COARSE = {"float16": (2e-2, 2e-3), "bfloat16": (2e-2, 2e-3)}


def difference(
    got: np.ndarray,
    want: np.ndarray,
    *,
    dtype: str | None = None,
    rtol: float = RTOL,
    atol: float = ATOL,
    steps: int = 0,
) -> str:
    """How an array differs from what is wanted by more than is tolerated; empty where it does not.

    Args:
        got: the array.
        want: what it should be.
        dtype: the dtype that it should have; None for that of `want`, which may hold the values in another one.
        rtol: relative tolerance of floats; coarse dtypes have a larger one.
        atol: absolute tolerance of floats, likewise.
        steps: how much integers may be off.
    """
    dtype = dtype or want.dtype.name
    if got.dtype.name != dtype:
        return f"{got.dtype.name} instead of {dtype}"
    if got.shape != want.shape:
        return f"shape {got.shape} instead of {want.shape}"
    if want.dtype.kind in "fc":
        relative, absolute = _COARSE.get(dtype, (0.0, 0.0))
        wide = np.complex128 if want.dtype.kind == "c" else np.float64
        got, want = got.astype(wide), want.astype(wide)
        same = np.isclose(got, want, rtol=max(rtol, relative), atol=max(atol, absolute), equal_nan=True)
    elif steps:
        same = np.abs(got.astype(np.int64) - want.astype(np.int64)) <= steps
    else:
        same = np.asarray(got == want)
    if np.all(same):
        return ""
    place = tuple(int(index) for index in np.argwhere(~same)[0])
    wrong = int(np.count_nonzero(~same))
    return f"{wrong} of {want.size} values differ, at {place} it is {got[place]} instead of {want[place]}"

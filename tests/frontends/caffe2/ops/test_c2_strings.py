"""Strings, which are bytes, against the real Caffe2."""

from __future__ import annotations

import numpy as np
import pytest

from nxconvert import NxConvertError
from tests.frontends.caffe2.ops.harness import Op, check, check_net, run_lowered

TEXTS = np.array(["abcd", "xy", "", "hello", "a\nb.c\\", "äß"])


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 7])
def test_cut(length: int) -> None:
    for operator in ("StringPrefix", "StringSuffix"):
        check(operator, TEXTS[:-1] if length in (1, 3) else TEXTS, length=length)
        check(operator, TEXTS[:4].reshape(2, 2), length=length)
        check(operator, TEXTS[:0], length=length, free=(False,))


def test_a_character_may_be_cut_in_two() -> None:
    """What is no UTF-8 by itself, but again once it is joined."""
    net = [
        Op("StringPrefix", ["x"], ["first"], {"length": 1}),
        Op("StringSuffix", ["x"], ["last"], {"length": 1}),
        Op("Concat", ["first", "last"], ["both", "_"], {"axis": 0}),
        Op(
            "Reshape",
            [
                "both",
            ],
            ["row", "__"],
            {"shape": [1, 2]},
        ),
        Op("StringJoin", ["row"], ["y"], {"delimiter": ""}),
    ]
    check_net(net, {"x": np.array(["ä"])}, ["y"], free=(False,))


@pytest.mark.parametrize("part", ["", "ab", "a.", "a\n", "hello", "ä", "\\", ".c\\", "llo"])
def test_begin_and_end(part: str) -> None:
    # Shorter strings are left out: the runtime looks at what lies next to them in memory.
    texts = np.array([text for text in TEXTS if len(text.encode()) >= len(part.encode())])
    check("StringStartsWith", texts, prefix=part)
    check("StringEndsWith", texts, suffix=part)


def test_joined() -> None:
    check("StringJoin", TEXTS)
    check("StringJoin", TEXTS, delimiter="--")
    for axis in (0, 1):
        check("StringJoin", TEXTS.reshape(2, 3), axis=axis, free=(False,))
        check("StringJoin", np.array([[21, -4, 0], [3, 5, 7]], np.int32), axis=axis, delimiter="", free=(False,))
    check("StringJoin", np.array([[True, False]]), free=(False,))
    check("StringJoin", np.array([2**40, -1]))


def test_joined_floats_have_six_digits_or_stop_the_model() -> None:
    check("StringJoin", np.float32([1, 2.25, 1e10, 1e-7, 123456, 0.001, -0.5, 0, -0.0, 12.3456, 2.0**-7]))
    for number in (1 / 3, 3e-20, 1234567, 1e6, np.nan, np.inf):
        with pytest.raises(Exception, match="out of data bounds"):
            run_lowered([Op("StringJoin", ["x"], ["y"])], {"x": np.float32([number])}, ["y"])


def test_what_cannot_be_told() -> None:
    with pytest.raises(NxConvertError, match="bytes"):
        run_lowered([Op("StringStartsWith", ["x"], ["y"], {"prefix": b"\xff"})], {"x": TEXTS}, ["y"])
    with pytest.raises(NxConvertError, match="to be known"):
        run_lowered([Op("StringJoin", ["x"], ["y"])], {"x": TEXTS.reshape(2, 3)}, ["y"], free=True)

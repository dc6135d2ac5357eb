"""Hierarchical softmax, against the real Caffe2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from nxconvert.errors import UnsupportedError
from tests.frontends.caffe2.ops.harness import Op, check, run_lowered

# (first output, number of outputs, the one that is taken) of each step to each word.
PATHS = {0: [(0, 2, 0), (2, 3, 0)], 1: [(0, 2, 0), (2, 3, 2)], 7: [(0, 2, 1)], 3: [(0, 2, 0), (2, 3, 1), (5, 4, 3)]}
# Name, first output, what is below it, words.
TREE = ("root", 0, [("left", 2, [("deep", 5, [], [8, 9, 3, 2])], [0, 1]), ("right", 9, [], [4, 5])], [7])


def number(field: int, value: int) -> bytes:
    return bytes([field << 3, value])


def message(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | 2, len(content)]) + content


def hierarchy(paths: dict[int, Sequence[tuple[int, int, int]]]) -> bytes:
    def step(index: int, length: int, target: int) -> bytes:
        return message(2, number(1, index) + number(2, length) + number(3, target))

    return b"".join(message(2, number(1, w) + b"".join(step(*each) for each in path)) for w, path in paths.items())


def node(name: str, offset: int, children: Sequence[Any], words: Sequence[int]) -> bytes:
    below = b"".join(message(1, node(*child)) for child in children) + b"".join(number(2, word) for word in words)
    return below + number(3, offset) + message(4, name.encode())


def layer(outputs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.RandomState(0)
    x, weights, bias = random.randn(6, 5), random.randn(outputs, 5), random.randn(outputs)
    return x.astype(np.float32), weights.astype(np.float32), bias.astype(np.float32)


def test_probabilities_of_words() -> None:
    labels = np.array([3, 0, 7, 7, 1, 0], np.int32)
    check("HSoftmax", *layer(9), labels, outputs=2, hierarchy=hierarchy(PATHS))


@pytest.mark.parametrize("beam", [0.5, 1.5, 50.0])
def test_search(beam: float) -> None:
    """Few or all of the names are good enough; more are wanted than there are."""
    tree = message(1, node(*TREE))
    for count in (1, 3, 12):
        check("HSoftmaxSearch", *layer(11), outputs=2, tree=tree, beam=beam, topN=count)


def test_a_damaged_hierarchy() -> None:
    x, weights, bias = layer(9)
    blobs = {"x": x, "w": weights, "b": bias, "labels": np.zeros(6, np.int32)}
    with pytest.raises(UnsupportedError, match="truncated"):
        run_lowered([Op("HSoftmax", list(blobs), ["y"], {"hierarchy": hierarchy(PATHS)[:-1]})], blobs, ["y"])

"""Decoders of label sequences, against the real Caffe2."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontends.caffe2.ops.harness import check


def probabilities(seed: int, time: int, batch: int, labels: int) -> np.ndarray:
    """Probabilities of which many are equal, and many too small to be used."""
    random = np.random.RandomState(seed)
    found = np.round(random.rand(time, batch, labels) * 4) / 4
    found[random.rand(time, batch, labels) < 0.2] = 0
    return found.astype(np.float32)


@pytest.mark.parametrize("merge", [0, 1])
def test_greedy(merge: int) -> None:
    x = probabilities(0, 6, 3, 3)
    check("CTCGreedyDecoder", x, outputs=2, merge_repeated=merge)
    check("CTCGreedyDecoder", x, np.array([6, 0, 4], np.int32), outputs=2, merge_repeated=merge)


@pytest.mark.parametrize("width", [1, 3, 16])
@pytest.mark.parametrize("labels", [1, 2, 5])
def test_beam_search(width: int, labels: int) -> None:
    """Prefixes fall out of the beam and come back, and of equally probable ones the first is taken."""
    for seed in range(2):
        x = probabilities(seed, 6, 3, labels)
        args = {"beam_width": width, "num_candidates": min(width, 2)}
        check("CTCBeamSearchDecoder", x, outputs=3, **args)
        check("CTCBeamSearchDecoder", x, np.array([6, 0, 4], np.int32), outputs=3, **args)


@pytest.mark.parametrize("steps", [1, 7])
def test_viterbi(steps: int) -> None:
    random = np.random.RandomState(1)
    scores = np.round(random.rand(steps, 4) * 3).astype(np.float32)
    check("ViterbiPath", scores, np.round(random.rand(4, 4) * 3).astype(np.float32))
    check("SwapBestPath", scores, random.randint(0, 4, steps).astype(np.int32))

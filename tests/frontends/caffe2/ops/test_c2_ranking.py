"""Losses of ranked lists against the real Caffe2: sessions of all sizes, ties, no relevance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.frontends.caffe2.ops.harness import check

SCORES = np.array([0.3, -1, 2, 0.5, 0.1, 4, -200, 200, 0.7, 1.5], np.float32)
RELEVANCE = np.array([0, 2, 1, 1, 3, 0, 1, 0, 0, 0], np.float32)
LENGTHS = np.array([3, 1, 4, 2], np.int32)


def test_pair_wise_loss() -> None:
    check("PairWiseLoss", SCORES, RELEVANCE)
    check("PairWiseLoss", SCORES.reshape(-1, 1), RELEVANCE.reshape(-1, 1), LENGTHS)
    check("PairWiseLoss", SCORES, RELEVANCE, np.array([0, 4, 0, 6], np.int32))
    check("PairWiseLoss", SCORES[:0], RELEVANCE[:0])


@pytest.mark.parametrize(
    "args",
    [
        {"use_ndcg_as_loss": ndcg, "use_idcg_normalization": normal, "use_exp_gain": exp}
        for ndcg in (0, 1)
        for normal in (0, 1)
        for exp in (0, 1)
    ],
)
def test_lambda_rank(args: dict[str, Any]) -> None:
    check("LambdaRankNdcg", SCORES, RELEVANCE, LENGTHS, outputs=2, **args)


def test_lambda_rank_by_default() -> None:
    check("LambdaRankNdcg", SCORES[[0, 0, 1, 1, 2, 2, 3, 3, 4, 4]], RELEVANCE, LENGTHS, outputs=2)
    for name in ("use_ndcg_as_loss", "use_idcg_normalization", "use_exp_gain"):
        check("LambdaRankNdcg", SCORES, RELEVANCE, LENGTHS, outputs=2, **{name: 1})

"""Losses, distances, percentiles and accuracies against the real Caffe2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.frontends.caffe2.ops.harness import Weight, check

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 2, 3, 4)).astype(np.float32)
LOGITS = np.arange(6, dtype=np.float32).reshape(2, 3)
LABELS = np.array([2, 0], np.int32)
SHARES = np.array([[0.2, 0.3, 0.5], [1, 0, 0]], np.float32)
WEIGHTS = np.array([2, 0.5], np.float32)


@pytest.mark.parametrize("name", ["DotProduct", "CosineSimilarity", "SquaredL2Distance", "L1Distance"])
def test_distances(name: str) -> None:
    for part in (slice(None), 0, (0, 0), (0, 0, 0)):
        check(name, X[part], Y[part])
    check(name, X[0], X[0] * 0)
    for shape in ((2, 0), (0, 2)):
        check(name, np.zeros(shape, np.float32), np.zeros(shape, np.float32))


def test_dot_product_with_padding() -> None:
    longer = RNG.normal(size=(2, 9)).astype(np.float32)
    for x, y in ((X[:, 0], Y[:, 1, :2]), (X[:, 0, :2], Y[:, 1]), (X[:, 0], longer), (X[:, 0], Y[:, 0])):
        check("DotProductWithPadding", x, y)
        check("DotProductWithPadding", x, y, pad_value=2.0)
        check("DotProductWithPadding", x, y, replicate=1, free=(False,))


@pytest.mark.parametrize("args", [{}, {"scale": 3.0}])
def test_softmax_with_loss(args: dict[str, Any]) -> None:
    for scale in (1, 100):
        x = LOGITS * scale
        check("SoftmaxWithLoss", x, LABELS, outputs=2, **args)
        check("SoftmaxWithLoss", x, LABELS, WEIGHTS, outputs=2, **args)
        check("SoftmaxWithLoss", x, SHARES, outputs=2, label_prob=1, **args)
        check("SoftmaxWithLoss", x, SHARES, WEIGHTS, outputs=2, label_prob=1, **args)


def test_softmax_with_loss_of_other_shapes() -> None:
    check("SoftmaxWithLoss", X, LABELS, outputs=2)
    check("SoftmaxWithLoss", LOGITS, LABELS.reshape(2, 1), WEIGHTS * 0, outputs=2)
    for shape in ((1, 2), (1, 2, 1)):
        check("SoftmaxWithLoss", LOGITS.reshape(1, 2, 3), LABELS.reshape(shape), outputs=2, axis=2)
    check("SoftmaxWithLoss", np.zeros((0, 3), np.float32), LABELS[:0], outputs=2)


def test_spatial_softmax_with_loss() -> None:
    labels = np.array([[[0, 1, 2, -1], [-1, 2, 0, 0], [1, 1, 1, 1]]], np.int32)
    for x in (Y[None], Y[None] * 50):
        x = np.concatenate([x, x[:, :1] - 1], axis=1)
        check("SpatialSoftmaxWithLoss", x, labels, outputs=2)
        check("SpatialSoftmaxWithLoss", x, labels, np.abs(X[:1]), outputs=2, scale=2.0)
        check("SpatialSoftmaxWithLoss", x, labels * 0 - 1, outputs=2)


def test_cross_entropy() -> None:
    p = np.array([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05]], np.float32)
    check("CrossEntropy", p, SHARES)
    check("LabelCrossEntropy", p, LABELS)
    check("LabelCrossEntropy", p * 0, LABELS.reshape(2, 1))


@pytest.mark.parametrize("args", [{}, {"log_D_trick": 1}, {"unjoined_lr_loss": 1}])
def test_sigmoid_cross_entropy(args: dict[str, int]) -> None:
    x, target = (LOGITS - 2) * 3, np.array([[0, 1, 0.5], [1, 0, 1]], np.float32)
    check("SigmoidCrossEntropyWithLogits", x, target, **args)
    check("SigmoidCrossEntropyWithLogits", x[0], target[0], **args)
    check("WeightedSigmoidCrossEntropyWithLogits", x, target, target + 1)


def test_criteria() -> None:
    check("Perplexity", np.array([0.5, 0.25, 0.9], np.float32))
    check("MakeTwoClass", np.array([0.5, 0.25, 0.9], np.float32))
    check("MakeTwoClass", np.abs(X) / 10)
    check("MarginRankingCriterion", X, Y, np.sign(X).astype(np.int32), margin=0.3)
    check("CosineEmbeddingCriterion", X[0, 0], np.array([1, -1, 1, -1], np.int32), margin=0.1)
    p, q = np.array([0, 0.5, 1, 0.3], np.float32), np.array([0, 0.2, 0.5, 1], np.float32)
    check("BernoulliJSD", p, q)
    check("BernoulliJSD", q, p[::-1].copy())


def test_percentile() -> None:
    x = np.array([[3, 5, 3], [5, 1, 6], [4, 0, 2], [2, np.nan, 3.5]], np.float32)
    pairs = np.array([[3, 0.2], [5, 0.5], [1, 0.3], [3, 0.6]], np.float32)
    check("Percentile", x, pairs, np.array([2, 1, 1], np.int32))
    check("Percentile", x[:, :2], Weight(pairs[:2]), np.array([2, 0], np.int32))
    ties = np.array([[3, 0.2], [3, 0.5], [5, 0.6], [5, 0.7]], np.float32)
    check("Percentile", x[:, :1], ties, Weight(np.array([4], np.int32)))


@pytest.mark.parametrize(("raw", "lengths"), [([1, 2, 3, 1, 3], [3, 2]), ([1, 2, 2, 2, 3], [4, 1])])
def test_bisect_percentile(raw: list[float], lengths: list[int]) -> None:
    x = np.array([[3, 5], [1, 2.5], [2, 2], [1.5, 0], [3.5, 1], [np.nan, 3]], np.float32)
    samples = np.linspace(0.1, 0.5, 5)
    check(
        "BisectPercentile",
        x,
        percentile_raw=[float(number) for number in raw],
        percentile_mapping=samples.tolist(),
        percentile_lower=(samples - 0.05).tolist(),
        percentile_upper=(samples + 0.02).tolist(),
        lengths=lengths,
    )


def test_accuracy() -> None:
    x = np.array([[1, 3, 3], [2, 2, 2], [0, 5, 1]], np.float32)
    for labels in ([1, 0, 1], [2, 1, 2], [2, 2, 0]):
        for top_k in (1, 2, 3):
            check("Accuracy", x, np.array(labels, np.int32), top_k=top_k)
    for labels in ([1, 0, 1], [2, 1, 2], [0, 0, 0]):
        check("MultiClassAccuracy", x, np.array(labels, np.int32), outputs=2)
    check("Accuracy", x[:0], np.zeros(0, np.int32))

"""Losses against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402

REDUCTIONS = [0, 1, 2]
pytestmark = pytest.mark.parametrize("reduction", REDUCTIONS)


def _rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


X, T = _rand(3, 4), _rand(3, 4, seed=1)
UNIT = torch.sigmoid(X)
SIGNS = torch.where(T > 0, 1.0, -1.0)


def test_regression(reduction: int) -> None:
    check("mse_loss", X, T, reduction)
    check("mse_loss", X, T.double(), reduction)
    check("l1_loss", X, T, reduction)
    for parameter in (0.5, 1.0):
        check("smooth_l1_loss", X, T, reduction, parameter)
        check("huber_loss", X, T, reduction, parameter)
    check("smooth_l1_loss", X, T, reduction, 0.0)
    for log_input in (False, True):
        check("poisson_nll_loss", UNIT, T.abs() * 3, log_input, True, 1e-8, reduction)
        check("poisson_nll_loss", UNIT, T.abs() * 3, log_input, False, 1e-8, reduction)


def test_probabilities(reduction: int) -> None:
    target = torch.sigmoid(T)
    check("binary_cross_entropy", UNIT, target, None, reduction)
    check("binary_cross_entropy", UNIT.round(), target, UNIT, reduction)
    check("binary_cross_entropy_with_logits", X * 10, target, None, None, reduction)
    check("binary_cross_entropy_with_logits", X, target, UNIT, T[0].abs(), reduction)
    check("kl_div", UNIT.log(), target, reduction)
    check("kl_div", UNIT.log(), target.round(), reduction)
    check("kl_div", UNIT.log(), target.log(), reduction, log_target=True)
    check("soft_margin_loss", X, SIGNS, reduction)
    check("soft_margin_loss", X.double() * 100, SIGNS.double(), reduction)


def test_margins(reduction: int) -> None:
    check("margin_ranking_loss", X, T, SIGNS, 0.0, reduction)
    check("margin_ranking_loss", X, T, SIGNS, 0.3, reduction)
    if reduction != 1:
        check("margin_ranking_loss", (X * 9).long(), (T * 9).long(), SIGNS.long(), 0.5, reduction)
    check("hinge_embedding_loss", X, SIGNS, 1.5, reduction)
    check("hinge_embedding_loss", X, torch.zeros(3, 4), 1.5, reduction)
    check("cosine_embedding_loss", X, T, SIGNS[:, 0].contiguous(), 0.1, reduction)
    check("cosine_embedding_loss", (X * 9).long(), (T * 9).long(), SIGNS[:, 0].long(), 0.1, reduction)
    check("cosine_embedding_loss", X[0], T[0], torch.tensor(1.0), 0.1, reduction)
    check("triplet_margin_loss", X, T, UNIT, 1.0, 2.0, 1e-6, False, reduction)
    check("triplet_margin_loss", X, T, UNIT, 0.5, 1.0, 1e-6, True, reduction)


@pytest.mark.parametrize("space", [(), (2,), (2, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_classes(space: tuple[int, ...], weighted: bool, reduction: int) -> None:
    scores = _rand(5, 4, *space)
    target = torch.arange(scores.numel() // 4).reshape(5, *space) % 4
    weight = torch.tensor([0.5, 1.0, 2.0, 0.1]) if weighted else None
    name = {0: "nll_loss", 1: "nll_loss_nd", 2: "nll_loss2d"}[len(space)]
    check(name, scores.log_softmax(1), target, weight, reduction, 2)
    for smoothing in (0.0, 0.2):
        check("cross_entropy_loss", scores, target, weight, reduction, -100, smoothing)
        check("cross_entropy_loss", scores, target, weight, reduction, 1, smoothing)
        check("cross_entropy_loss", scores, scores.softmax(1), weight, reduction, -100, smoothing)
    if not space:
        check("nll_loss_forward", scores.log_softmax(1), target, weight, reduction, 2)
        check("nll_loss", scores[0].log_softmax(0), target[0], weight, reduction)
        check("cross_entropy_loss", scores[0], target[0], weight, reduction)
        check("cross_entropy_loss", scores[0], scores[0].softmax(0), weight, reduction)
        check("cross_entropy_loss", scores[0], target[0], weight, reduction, -100, 0.2)


def test_multi_margin(reduction: int) -> None:
    target = torch.tensor([1, 0, 3])
    for p in (1, 2):
        check("multi_margin_loss", X, target, p, 1.0, None, reduction)
        check("multi_margin_loss", X, target, p, 0.5, T[0].abs(), reduction)
    check("multi_margin_loss", X[0], target[0], 1, 1.0, None, reduction)
    check("multi_margin_loss", X[0], target[:1], 1, 1.0, None, reduction)
    targets = torch.tensor([[3, 0, -1, 1], [-1, 2, 0, 0], [0, 1, 2, 3]])
    check("multilabel_margin_loss", X, targets, reduction)
    check("multilabel_margin_loss", X[0], targets[0], reduction)
    check("multilabel_margin_loss_forward", X, targets, reduction)

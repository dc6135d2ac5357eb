"""Connectionist temporal classification against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402


def scores(*shape: int) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(shape).log_softmax(-1)


LABELS = torch.tensor([[1, 2, 2, 4], [3, 3, 1, 1], [4, 1, 2, 3]])
TIMES, LENGTHS = [9, 7, 8], [4, 2, 0]


@pytest.mark.parametrize("reduction", [0, 1, 2])
@pytest.mark.parametrize("listed", [True, False])
def test_batch(reduction: int, listed: bool) -> None:
    lengths = (TIMES, LENGTHS) if listed else (torch.tensor(TIMES), torch.tensor(LENGTHS))
    check("ctc_loss", scores(9, 3, 5), LABELS, *lengths, 0, reduction)


@pytest.mark.parametrize("listed", [True, False])
def test_targets_in_one_vector(listed: bool) -> None:
    lengths = (TIMES, LENGTHS) if listed else (torch.tensor(TIMES), torch.tensor(LENGTHS))
    check("ctc_loss", scores(9, 3, 5), torch.tensor([1, 2, 2, 4, 3, 3]), *lengths)


@pytest.mark.parametrize("finite", [True, False])
def test_too_many_labels(finite: bool) -> None:
    """Three times the same label needs two blanks between."""
    check("ctc_loss", scores(4, 1, 3), torch.tensor([[1, 1, 1]]), [4], [3], 0, 0, finite)


def test_another_blank() -> None:
    check("ctc_loss", scores(9, 3, 6), LABELS, TIMES, LENGTHS, 5, 2)


def test_no_batch() -> None:
    check("ctc_loss", scores(6, 5), LABELS[0, :3], torch.tensor(6), torch.tensor(3), 0, 1)

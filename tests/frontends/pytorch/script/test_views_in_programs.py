# The programs are written as TorchScript takes them.
"""Views of complex tensors, and tensors whose dims are changed in place."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor  # noqa: E402

from tests.frontends.pytorch.script.harness import check, never_wrong, refused  # noqa: E402

torch.manual_seed(0)
MATRIX = torch.randn(4, 6)


def test_parts_of_complex_tensors_are_written() -> None:
    def program(a: Tensor, b: Tensor) -> Tensor:
        z = torch.complex(a, b)
        z.real.add_(1)
        z.imag[0] = 5
        torch.view_as_real(z)[1].mul_(2)
        z.conj().imag.add_(1)
        z.conj()[2] = z[0] * 2
        z[1:].mul_(2)
        return torch.view_as_real(z)

    check(program, (MATRIX[:, 0], MATRIX[:, 1]))


def test_adjoints_are_written() -> None:
    def program(a: Tensor, b: Tensor) -> Tensor:
        z = torch.complex(a, b)
        z.mH[0] = z[1] * 2
        z.adjoint()[1].add_(1)
        return torch.view_as_real(z)

    check(program, (MATRIX[:, :4], MATRIX[:, 1:5]))


def test_pairs_are_written_as_complex_numbers() -> None:
    def program(x: Tensor) -> Tensor:
        x = x.clone()
        z = torch.view_as_complex(x)
        z.mul_(2)
        z.real[0] = 7
        x[1] = 3
        return x + torch.view_as_real(z)

    check(program, (MATRIX[:, :2].contiguous(),))


def test_real_tensors_are_their_own_parts() -> None:
    def program(x: Tensor) -> Tensor:
        x = x.clone()
        x.real.add_(1)
        x.conj().mul_(2)
        x.mH[0] = 1
        return x

    check(program, (MATRIX,))


def test_dims_are_changed_in_place() -> None:
    def whole(x: Tensor) -> Tensor:
        x = x.clone()
        x.unsqueeze_(0)
        x.transpose_(1, 2)
        x[0, 1].add_(1)
        return x

    def of_a_view(x: Tensor) -> Tensor:
        x = x.clone()
        row = x[0]
        row.unsqueeze_(0)
        row.add_(1)
        x.mul_(2)
        return x + row

    check(whole, (MATRIX,))
    check(of_a_view, (MATRIX,))


def test_dims_are_changed_of_what_has_views() -> None:
    def before(x: Tensor) -> Tensor:
        y = x.clone()
        row = y[0]
        y.unsqueeze_(0)
        row.add_(1)
        return y

    def in_branch(x: Tensor) -> Tensor:
        y = x[:, :4].clone()
        row = y[0]
        if x.sum() > 0:
            y.t_()
        row.add_(5)
        return y

    refused(before, MATRIX, match=r"unsqueeze_ at .*test_views_in_programs\.py:\d+: .*dims")
    never_wrong(before, (MATRIX,))
    never_wrong(in_branch, (MATRIX,), (-MATRIX,))

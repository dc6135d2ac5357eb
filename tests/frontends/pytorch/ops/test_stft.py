"""Short-time Fourier transforms and windows against PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontends.pytorch.ops import harness
from tests.frontends.pytorch.ops.harness import Weight, check, check_program

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def signal(*shape: int, **options: Any) -> Any:
    torch.manual_seed(0)
    return torch.randn(shape, **options)


@pytest.mark.parametrize("shape", [(100,), (2, 100)])
@pytest.mark.parametrize("hop", [None, 5])
@pytest.mark.parametrize("win", [None, 11])
@pytest.mark.parametrize(("normalized", "onesided"), [(False, None), (True, True), (False, False)])
def test_stft(
    shape: tuple[int, ...], hop: int | None, win: int | None, normalized: bool, onesided: bool | None
) -> None:
    window = Weight(torch.hann_window(win or 16))
    for chosen in (window, None):
        check("stft", signal(*shape), 16, hop, win, chosen, normalized, onesided, True, atol=1e-4)


def test_stft_of_real_pairs_and_of_complex_signals() -> None:
    check("stft", signal(2, 60), 16, 5, None, Weight(torch.hann_window(16)), False, None, False)
    check("stft", signal(2, 60, dtype=torch.complex64), 16, 5, None, None, False, None, True)


@pytest.mark.parametrize("align", [None, False, True])
def test_alignment(align: bool | None) -> None:
    check("stft", signal(2, 60), 16, 5, 10, Weight(torch.hann_window(10)), False, None, True, align)


@pytest.mark.parametrize("mode", ["reflect", "constant"])
def test_centered(mode: str) -> None:
    window = Weight(torch.hann_window(16))
    check("stft", signal(2, 60), 16, 5, None, window, True, mode, False, None, True, atol=1e-4)


def test_window_that_is_computed() -> None:
    check("stft", signal(2, 60), 16, 5, 10, torch.hann_window(10), return_complex=True, free=(False,), atol=1e-4)
    spectrum = signal(2, 9, 7, dtype=torch.complex64)
    check("istft", spectrum, 16, 4, None, torch.hann_window(16) + 0.1, free=(False,), atol=1e-4)


@pytest.mark.parametrize("n_fft", [400, 2048])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_long_frames(n_fft: int, dtype: Any) -> None:
    window = Weight(torch.hann_window(n_fft, dtype=dtype))
    check("stft", signal(1, 5000, dtype=dtype), n_fft, None, None, window, return_complex=True, atol=1e-3)


@pytest.mark.parametrize("shape", [(9, 7), (2, 9, 7)])
@pytest.mark.parametrize(("center", "length"), [(True, None), (False, None), (True, 20), (True, 50)])
@pytest.mark.parametrize("normalized", [False, True])
def test_istft(shape: tuple[int, ...], center: bool, length: int | None, normalized: bool) -> None:
    """Also longer than the frames reach, and without dividing by zero at the ends."""
    window = Weight(torch.hann_window(16) + 0.1)
    x = signal(*shape, dtype=torch.complex64)
    check("istft", x, 16, 4, None, window, center, normalized, None, length, atol=1e-4)


def test_istft_of_all_bins() -> None:
    window, x = Weight(torch.hann_window(16) + 0.1), signal(2, 16, 7, dtype=torch.complex64)
    check("istft", x, 16, 4, None, window, onesided=False, atol=1e-4)
    check("istft", x, 16, 4, None, window, onesided=False, return_complex=True, atol=1e-4)


def test_there_and_back() -> None:
    def program(call: Any, x: Any, window: Any) -> Any:
        spectrum = call("stft", x, 16, 4, None, window, True, "reflect", False, None, True)
        return call("istft", spectrum, 16, 4, None, window, length=60)

    check_program(program, signal(2, 60), Weight(torch.hann_window(16)), atol=1e-4)


def test_few_nodes() -> None:
    """One convolution, with the window in its weight."""
    args = (signal(2, 60), 16, 4, None, Weight(torch.hann_window(16)))
    model, _, _ = harness.lower_program(
        lambda call, *a: call("abs", call("stft", *a, return_complex=True)), args, {}, free=True
    )
    assert [n.op_type for n in model.graph] == ["Unsqueeze", "Conv", "Split", "Mul", "Mul", "Add", "Sqrt"]


WINDOWS = ["hann", "hamming", "blackman", "bartlett", "kaiser"]


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("length", [0, 1, 2, 9, 16])
def test_windows(name: str, length: int) -> None:
    check(f"{name}_window", length)
    check(f"{name}_window", length, False, dtype=torch.float64)
    if name in ("hamming", "kaiser"):
        check(f"{name}_window", length, True, 0.7)
    if name == "hamming":
        check("hamming_window", length, True, 0.7, 0.2)

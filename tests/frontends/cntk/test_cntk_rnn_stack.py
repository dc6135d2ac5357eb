"""Stacks of recurrent layers against CNTK's own conversion of them; GRUs against cuDNN's formulas."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import nxconvert
from tests.conformance.cntk_cases import INTERPRETER, needs_cntk

HIDDEN = 4
SEQUENCES = [np.random.default_rng(i).standard_normal((length, 3), np.float32) for i, length in enumerate((5, 1, 3))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stacks")
    np.savez(folder / "feeds.npz", **{f"x{i}": sequence for i, sequence in enumerate(SEQUENCES)})
    worker = Path(__file__).with_name("rnn_stack_worker.py")
    subprocess.run([str(INTERPRETER), "-W", "ignore", str(worker), str(folder)], check=True, capture_output=True)
    return folder


@needs_cntk
@pytest.mark.parametrize("name", ["lstm", "lstm_both", "tanh", "relu_both", "gru_both"])
def test_stacks_compute_what_their_layers_do(name: str, folder: Path) -> None:
    x = np.full((3, 7, 3), np.nan, np.float32)
    for row, sequence in zip(x, SEQUENCES, strict=True):
        row[: len(sequence)] = sequence
    nxconvert.convert(folder / f"{name}.model", folder / "model.onnx")
    feeds = {"x": x, "x_lengths": np.array([5, 1, 3])}
    names = [value.name for value in nxconvert.load(folder / "model.onnx").graph.inputs]
    (y,) = nxconvert.run(folder / "model.onnx", {name: feeds[name] for name in names}).values()
    results = np.load(folder / "results.npz")
    for i, sequence in enumerate(SEQUENCES):
        want = _gru(sequence, results[f"{name}-weights"]) if name == "gru_both" else results[f"{name}-{i}"]
        np.testing.assert_allclose(np.asarray(y)[i, : len(sequence)], want, rtol=1e-4, atol=1e-5)


def _gru(x: np.ndarray, parameter: np.ndarray) -> np.ndarray:
    """Two layers of GRUs in both directions as cuDNN defines them."""
    flat, start = parameter.reshape(-1), 0

    def taken(*shape: int) -> np.ndarray:
        nonlocal start
        start += int(np.prod(shape))
        return flat[start - int(np.prod(shape)) : start].reshape(shape)

    matrices = [[(taken(3, HIDDEN, n), taken(3, HIDDEN, HIDDEN)) for _ in range(2)] for n in (3, 2 * HIDDEN)]
    biases = [[(taken(3, HIDDEN), taken(3, HIDDEN)) for _ in range(2)] for _ in range(2)]
    assert start == flat.size
    for layer, shift in zip(matrices, biases, strict=True):
        both = [_gru_layer(x[::sign], *layer[i], *shift[i])[::sign] for i, sign in enumerate((1, -1))]
        x = np.concatenate(both, axis=1)
    return x


def _gru_layer(x: np.ndarray, w: np.ndarray, r: np.ndarray, bw: np.ndarray, br: np.ndarray) -> np.ndarray:
    def sigmoid(a: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-a))

    h, steps = np.zeros(HIDDEN), []
    for step in x:
        i, reset = (sigmoid(w[k] @ step + r[k] @ h + bw[k] + br[k]) for k in (0, 1))
        h = (1 - i) * np.tanh(w[2] @ step + reset * (r[2] @ h + br[2]) + bw[2]) + i * h
        steps.append(h)
    return np.array(steps)

"""Recurrences on ragged batches against CNTK itself, which saves and evaluates them (`NXCONVERT_CNTK_PYTHON`)."""

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

import nxconvert

PYTHON = os.environ.get("NXCONVERT_CNTK_PYTHON")
LENGTHS = {"x": [5, 1, 4], "y": [3, 2, 4]}


@pytest.mark.skipif(not PYTHON, reason="NXCONVERT_CNTK_PYTHON does not say where a Python with CNTK 2.7 is")
def test_recurrences_give_what_they_give_in_cntk(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    feeds = {"z": random.standard_normal((3, 2), np.float32)}
    given = {"z": feeds["z"]}
    for name, lengths in LENGTHS.items():
        given[f"{name}_lengths"] = np.array(lengths)
        given[name] = np.full((3, 7, 2), np.nan, np.float32)
        for i, length in enumerate(lengths):
            given[name][i, :length] = feeds[f"{name}{i}"] = random.standard_normal((length, 2), np.float32)
    np.savez(tmp_path / "feeds.npz", **feeds)
    worker = Path(__file__).with_name("cntk_loops_worker.py")
    subprocess.run([str(PYTHON), "-W", "ignore", str(worker), str(tmp_path)], check=True, capture_output=True)

    expected = defaultdict(list)
    for key, result in np.load(tmp_path / "results.npz").items():
        expected[key.split("-")[0]].append(result)
    assert len(expected) == 11
    for name, results in expected.items():
        nxconvert.convert(tmp_path / f"{name}.model", tmp_path / "model.onnx")
        model = nxconvert.load(tmp_path / "model.onnx")
        got = nxconvert.run(tmp_path / "model.onnx", {i.name: given[i.name] for i in model.graph.inputs})
        value = np.asarray(got[model.graph.outputs[0].name])
        for row, result in zip(value, results, strict=True):
            steps = row[: len(result)] if row.ndim == result.ndim else row
            np.testing.assert_allclose(steps, result.reshape(steps.shape), rtol=1e-4, atol=1e-5, err_msg=name)

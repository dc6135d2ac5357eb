"""Whole detectors of the model zoo with recorded truth, what is inside of them included."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

import nxconvert

_EXTERNAL_OUTPUT = 8


def with_outputs(net: bytes, names: list[str]) -> bytes:
    """A binary net that has more external outputs."""
    fields = (bytes([_EXTERNAL_OUTPUT << 3 | 2, len(name)]) + name.encode() for name in names)
    return net + b"".join(fields)


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.mark.parametrize(
    "name",
    [
        "zoo_detectron_faster_rcnn_1x",
        "zoo_detectron_faster_rcnn_2x_batch",
        "zoo_mask_rcnn_2go_fp32",
        "zoo_mask_rcnn_2go_int8",
    ],
)
def test_detectors(name: str, corpus: Path, tmp_path: Path) -> None:
    """Nothing is declared; the sizes of images and their number stay free."""
    models = corpus / "caffe2" / "models.zip"
    if not models.exists():
        pytest.skip(f"there is no corpus at {models}")
    with zipfile.ZipFile(models) as archive:
        archive.extractall(tmp_path, [member for member in archive.namelist() if member.startswith(f"{name}/")])
    folder = tmp_path / name
    inside = arrays(folder / "intermediates.npz")
    net = folder / "predict_net.pb"
    net.write_bytes(with_outputs(net.read_bytes(), list(inside)))
    target = tmp_path / "model.onnx"
    report = nxconvert.convert(net, target)
    assert {"height", "width"} <= set(report.free_dims)
    found = nxconvert.run(target, arrays(folder / "inputs.npz"))
    for output, want in {**inside, **arrays(folder / "outputs.npz")}.items():
        assert found[output].shape == want.shape, output
        np.testing.assert_allclose(found[output], want, rtol=1e-3, atol=1e-4, err_msg=output)

"""The Caffe2 frontend: nets and their weights, read without Caffe2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

    from nxconvert.plugins import ReadOptions


class Caffe2Frontend:
    """Reads nets of Caffe2; see `nxconvert.plugins.Frontend`."""

    name = "caffe2"
    description = "Caffe2 nets"
    suffixes = (".pb", ".pbtxt", ".prototxt", ".minidb", ".mdl")

    def detect(self, path: Path) -> bool:
        from nxconvert.errors import ReadError
        from nxconvert.formats.caffe2 import read_net

        net = path / "predict_net.pb" if path.is_dir() else path
        try:
            return bool(read_net(net).ops)
        except ReadError:
            return False

    def read(self, path: Path, options: ReadOptions) -> ir.Model:
        from nxconvert.frontends.caffe2.model import read_model

        return read_model(path, options)


frontend = Caffe2Frontend()

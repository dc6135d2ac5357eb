"""The Caffe2 frontend: nets with their init nets, and predictors in databases, read without Caffe2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

    from nxconvert.plugins import ReadOptions

__all__ = ["Caffe2Frontend", "frontend"]


class Caffe2Frontend:
    """Reads what Caffe2 calls a predict net and an init net, or a predictor; see `nxconvert.plugins.Frontend`."""

    name = "caffe2"
    description = "Caffe2: nets (predict_net.pb and init_net.pb) and predictors (.minidb)"
    suffixes = (".pb", ".pbtxt", ".prototxt", ".minidb", ".mdl")
    takes_outputs = True
    takes_init = True

    def detect(self, path: Path) -> bool:
        from nxconvert.formats.caffe2 import detect

        if path.is_dir():
            from nxconvert.formats.caffe2.files import holds_model

            return holds_model(path)
        return detect(path) is not None

    def read(self, path: Path, options: ReadOptions) -> ir.Model:
        from nxconvert.frontends.caffe2.model import read_model

        return read_model(path, options)


frontend = Caffe2Frontend()

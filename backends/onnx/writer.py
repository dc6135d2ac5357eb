"""Writing a model: opset, layout, file.

A file is a ``ModelProto`` with the weights inside (protobuf allows 2 GB), or one that says where in ``<name>.data``,
beside it, they are.
"""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from nxconvert import __version__
from nxconvert.backends.onnx.atomic import NewFiles
from nxconvert.backends.onnx.encoding import encode_metadata, encode_model
from nxconvert.backends.onnx.streaming import Piece, Target, pieces, pour
from nxconvert.errors import UsageError, WriteError
from nxconvert.graph import IR_OPSET
from nxconvert.passes import NEWEST_OPSET, OLDEST_OPSET, convert_opset
from nxconvert.plugins import WriteOptions

#: The oldest IR version that goes with an opset, so that older tools read the file:
#: https://github.com/onnx/onnx/blob/main/docs/Versioning.md
_IR_VERSIONS = {17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11, 24: 12, 25: 13, 26: 13, 27: 13}
#: What a protobuf reader accepts, less the metadata that is added at the end.
_LIMIT = 2**31 - 1 - 2**16
#: Smaller tensors stay in the model even when there is an external file, as ONNX's own tools have it.
_EXTERNAL_FROM = 1024
#: Tensors that somebody may want to map begin at a page, the others at a cache line.
_PAGE, _LINE = 4096, 64


def write_model(model: ir.Model, path: Path, options: WriteOptions) -> None:
    """Writes `model` to `path`, all of it or nothing; see `OnnxBackend.write`."""
    opset = IR_OPSET if options.opset is None else options.opset
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise UsageError(
            f"opset {opset} cannot be written: ONNX operator sets {OLDEST_OPSET} to {NEWEST_OPSET} can be asked for."
        )
    convert_opset(model, opset)
    model.ir_version = _IR_VERSIONS[opset]
    model.producer_name, model.producer_version = "nxconvert", __version__
    data = _ExternalData(f"{path.name}.data")
    proto = encode_model(model, data.place) if options.external_data else encode_model(model)
    if proto.size > _LIMIT and options.external_data is None:
        proto = encode_model(model, data.place)
    if proto.size > _LIMIT:
        raise WriteError(
            f"{path} cannot be written: it would have {proto.size / 1e9:.1f} GB, and no ONNX file may be larger than "
            "2 GB. Put the weights into a file beside it (external data)."
        )
    with NewFiles() as files:
        target = Target(files.create(path), path)
        contents = [(target, list(pieces(proto.parts())))]
        if data.content:
            data_path = path.with_name(data.name)
            contents.append((Target(files.create(data_path), data_path), data.content))
        total = proto.size + data.size
        pour(contents, lambda written: options.progress("writing", written / total))
        # The metadata stands last and is asked for last: the hash of a large source may still be being computed.
        target.write(encode_metadata({**model.metadata_props, **options.metadata}), proto.size)
        files.commit()
    options.progress("writing", 1.0)


class _ExternalData:
    """What is where in the file beside the model.

    Attributes:
        name: the file's name, without its folder.
        content: the tensors and their offsets.
        size: the file's size in bytes.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.content: list[Piece] = []
        self.size = 0

    def place(self, tensor: ir.TensorProtocol) -> tuple[str, int] | None:
        """Finds room for `tensor`; None if it is small enough to stay in the model."""
        nbytes = tensor.nbytes
        if nbytes < _EXTERNAL_FROM:
            return None
        alignment = _LINE if nbytes < _PAGE else _PAGE
        offset = -(-self.size // alignment) * alignment
        self.content.append((offset, tensor))
        self.size = offset + nbytes
        return self.name, offset

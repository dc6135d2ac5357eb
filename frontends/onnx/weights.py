"""The weights of an ONNX model, taken out while ONNX's C++ tools work on the rest, and put back.

The tools (checker, version converter, shape inference) take a model as one serialised whole, which may not pass 2 GB
and is copied several times. They need the types of weights, not their values.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir

from nxconvert.errors import ReadError

#: Tensors up to this size stay in the model: they are axes, shapes and constants, whose values the tools do look at.
_KEPT_BYTES = 4096
#: Before this version of the format every initializer had to be listed as an input, without being one.
_OPTIONAL_INPUTS_SINCE = 4


class Weights:
    """Takes the large initializers out of `proto`, leaving inputs of their types in their place."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        graph = proto.graph
        self._tensors: dict[str, onnx.TensorProto] = {}
        kept: list[onnx.TensorProto] = []
        for tensor in graph.initializer:
            external = tensor.data_location == onnx.TensorProto.EXTERNAL
            if external or tensor.ByteSize() > _KEPT_BYTES:
                self._tensors[tensor.name] = tensor
            else:
                kept.append(tensor)
        listed = {value.name for value in graph.input}
        #: The names of the inputs that are none: they stand for weights.
        self._stand_ins = {name for name in self._tensors if name not in listed}
        if proto.ir_version < _OPTIONAL_INPUTS_SINCE:
            self._stand_ins |= {tensor.name for tensor in graph.initializer}
        del graph.initializer[:]
        graph.initializer.extend(kept)
        for name, tensor in self._tensors.items():
            if name not in listed:
                graph.input.append(onnx.helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims)))

    def is_input(self, name: str) -> bool:
        """Whether an input of the stripped graph is an input of the model."""
        return name not in self._stand_ins

    def pin(self, name: str, tensor: onnx.TensorProto) -> None:
        """Makes an input a constant."""
        self._tensors[name] = tensor
        self._stand_ins.add(name)

    def give_back(self, path: Path, model: ir.Model) -> None:
        """Puts the weights back in the place of the inputs that stood for them.

        Raises:
            ReadError: a weight is damaged, or lies in a file that is missing, too short or outside the model's folder.
        """
        graph = model.graph
        values = {value.name: value for value in graph.inputs}
        for name, proto in self._tensors.items():
            try:
                tensor = ir.serde.deserialize_tensor(proto, path.parent)
            except Exception as error:
                raise ReadError(f"the weight {name} of {path} is damaged: {error}") from error
            if isinstance(tensor, ir.ExternalTensor):
                _require_external(path, tensor)
            values[name].const_value = tensor
            graph.register_initializer(values[name])
        kept = [value for value in graph.inputs if value.name not in self._stand_ins]
        graph.inputs.clear()
        graph.inputs.extend(kept)


def _require_external(path: Path, tensor: ir.ExternalTensor) -> None:
    """Finds out now, and not in the middle of writing, whether a weight that lies in another file is there."""
    folder = path.parent.resolve()
    file = (folder / tensor.location).resolve()
    if not file.is_relative_to(folder):
        raise ReadError(
            f"{path} wants the weight {tensor.name} from {tensor.location}, which is outside the model's own folder. "
            "That is never read: it may be an attempt to get at another file."
        )
    try:
        size = file.stat().st_size
    except OSError as error:
        raise ReadError(
            f"{path} keeps its weights in {tensor.location} beside it, which cannot be read: "
            f"{error.strerror or error}. Copy that file too."
        ) from error
    end = (tensor.offset or 0) + tensor.nbytes
    if size < end:
        raise ReadError(
            f"{file} is cut off: the weight {tensor.name} of {path} ends at byte {end:,}, and the file has {size:,}."
        )

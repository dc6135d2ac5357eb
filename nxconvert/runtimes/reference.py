"""Runs ONNX models with the reference evaluator of the `onnx` package: slow, but it has every operator and dtype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nxconvert.errors import ReadError, RunError
from nxconvert.runtimes.arrays import fed, is_wanted, named
from nxconvert.runtimes.declared import Declared, declared, require_fit

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from nxconvert.plugins import Runner


_COMPLEX = (14, 15)  # TensorProto.COMPLEX64, COMPLEX128


class Reference:
    """The runtime that is always there, since `onnx` is a dependency of nxconvert."""

    name = "reference"
    description = "the reference evaluator of the onnx package"
    formats = ("onnx",)
    rank = 100

    def available(self) -> None:
        return None

    def load(self, path: Path) -> Runner:
        return ReferenceRunner(path)


class ReferenceRunner:
    """One ONNX model in the reference evaluator.

    Args:
        path: the model.
        why: why it is not run by a faster runtime, for the description.
    """

    def __init__(self, path: Path, why: str = "") -> None:
        import onnx
        from onnx.reference import ReferenceEvaluator

        from nxconvert.runtimes.reference_ops import OPS

        self._path = path
        try:
            self._evaluator = ReferenceEvaluator(str(path), new_ops=OPS)
        except Exception as error:
            raise ReadError(f"{path} cannot be loaded by the reference evaluator: {error}") from error
        self.inputs = tuple(self._evaluator.input_names)
        types = dict(zip(self.inputs, self._evaluator.input_types, strict=True))
        self._complex = frozenset(name for name, type_ in types.items() if type_.tensor_type.elem_type in _COMPLEX)
        self._declared = {name: _declared(type_) for name, type_ in types.items() if type_.HasField("tensor_type")}
        defaults = frozenset(item.name for item in self._evaluator.proto_.graph.initializer)
        self._optional = defaults | frozenset(self.inputs) - frozenset(self._declared)
        self.description = f"onnx reference evaluator {onnx.__version__}{f' ({why})' if why else ''}"

    def __call__(self, inputs: Mapping[str, Any], outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        wanted = [name for name in self._evaluator.output_names if is_wanted(name, outputs)]
        require_fit(self._path, "the reference evaluator", self._declared, self._optional, inputs)
        try:
            values = self._evaluator.run(wanted, fed(inputs, self._complex))
        except Exception as error:
            raise RunError(f"{self._path} cannot be run by the reference evaluator: {error}") from error
        return named(wanted, values)


def _declared(type_: onnx.TypeProto) -> Declared:
    import onnx

    tensor = type_.tensor_type
    name = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    if not tensor.HasField("shape"):
        return declared(name, None)
    sizes = (dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in tensor.shape.dim)
    return declared(name, tuple(sizes))


runtime = Reference()

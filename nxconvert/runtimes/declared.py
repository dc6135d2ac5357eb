"""What an ONNX model says of its inputs, and what does not fit it: the runtimes' own words for that tell little."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nxconvert.errors import RunError

if TYPE_CHECKING:
    import numpy as np

#: The dtypes of ONNX's tensors that NumPy calls otherwise.
_NUMPY_NAMES = {"float": "float32", "double": "float64"}


class Declared(NamedTuple):
    """An input that is a tensor.

    Attributes:
        dtype: as NumPy calls it, or ``string``.
        dims: sizes, names of free ones, None for those without a name; None where even the rank is open.
    """

    dtype: str
    dims: tuple[int | str | None, ...] | None

    def __str__(self) -> str:
        if self.dims is None:
            return self.dtype
        return f"{self.dtype}[{','.join('?' if size is None else str(size) for size in self.dims)}]"

    def takes(self, array: np.ndarray) -> bool:
        """Whether an array is of this dtype and can have these sizes."""
        if _dtype(array) != self.dtype and array.dtype.kind != "c":  # complex numbers may be fed as pairs
            return False
        if self.dims is None or array.dtype.kind == "c":
            return True
        sizes = zip(self.dims, array.shape, strict=False)
        return len(self.dims) == array.ndim and all(a == b for a, b in sizes if isinstance(a, int))


def declared(name: str, dims: tuple[int | str | None, ...] | None) -> Declared:
    """The tensor of what ONNX calls a dtype, in lower case: ``float``, ``int64``, ``string``."""
    return Declared(_NUMPY_NAMES.get(name, name), dims)


def require_fit(
    path: Path, runtime: str, known: Mapping[str, Declared], optional: frozenset[str], inputs: Mapping[str, Any]
) -> None:
    """Refuses inputs that a model does not take.

    Args:
        path: the model's file.
        runtime: what is to run it.
        known: the inputs of the model that are tensors.
        optional: the names of others, and of those that may be left out.
        inputs: the arrays that are fed.

    Raises:
        RunError: one is missing, is none of the model's, or has another dtype or size.
    """
    wrong = _misfit(known, optional, inputs)
    if wrong:
        raise RunError(f"{path} cannot be run by {runtime} on these inputs: {wrong}.")


def _misfit(known: Mapping[str, Declared], optional: frozenset[str], inputs: Mapping[str, Any]) -> str | None:
    """What is wrong with the inputs of a model, if something is."""
    taken = ", ".join(f"{name}: {each}" for name, each in known.items()) or "none"
    missing = [name for name in known if name not in inputs and name not in optional]
    if missing:
        return f"{_listed('the input', missing)} not given; the model takes {taken}"
    extra = [name for name in inputs if name not in known and name not in optional]
    if extra:
        return f"{_listed('the input', extra)} not the model's; it takes {taken}"
    for name, each in known.items():
        if name in inputs and hasattr(inputs[name], "dtype") and not each.takes(inputs[name]):
            given = Declared(_dtype(inputs[name]), inputs[name].shape)
            return f"the input '{name}' is {each} in the model, and {given} is given"
    return None


def _dtype(array: np.ndarray) -> str:
    return "string" if array.dtype.kind in "OSU" else array.dtype.name


def _listed(what: str, names: list[str]) -> str:
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"{what} {quoted} is" if len(names) == 1 else f"{what}s {quoted} are"

"""What is said about a model's inputs: ``float32[batch,3,224,224]``, parsed, checked and rendered back.

The grammar of a spec is ``DTYPE[DIM,...]``. An integer fixes a dim, a name leaves it free, equal names mean equal
sizes. A scalar is ``int64`` or ``int64[]``; the dtype may be left out (``[1,3,224,224]``) where the model knows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from nxconvert.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx_ir as ir

#: The dtypes of ONNX: our name for each (NumPy's and ml_dtypes' name), and ONNX's own.
DTYPES: Mapping[str, str] = MappingProxyType(
    {
        "float32": "FLOAT",
        "float64": "DOUBLE",
        "float16": "FLOAT16",
        "bfloat16": "BFLOAT16",
        "int8": "INT8",
        "int16": "INT16",
        "int32": "INT32",
        "int64": "INT64",
        "uint8": "UINT8",
        "uint16": "UINT16",
        "uint32": "UINT32",
        "uint64": "UINT64",
        "bool": "BOOL",
        "complex64": "COMPLEX64",
        "complex128": "COMPLEX128",
        "string": "STRING",
        "float8_e4m3fn": "FLOAT8E4M3FN",
        "float8_e4m3fnuz": "FLOAT8E4M3FNUZ",
        "float8_e5m2": "FLOAT8E5M2",
        "float8_e5m2fnuz": "FLOAT8E5M2FNUZ",
        "float8_e8m0fnu": "FLOAT8E8M0",
        "float6_e2m3fn": "FLOAT6E2M3",
        "float6_e3m2fn": "FLOAT6E3M2",
        "float4_e2m1fn": "FLOAT4E2M1",
        "int2": "INT2",
        "uint2": "UINT2",
        "int4": "INT4",
        "uint4": "UINT4",
    }
)

#: Other spellings: PyTorch's, ONNX's, NumPy's. Where they disagree (NumPy's `float` is 64 bits wide) it is PyTorch's.
_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        **{onnx_name.lower(): name for name, onnx_name in DTYPES.items()},
        "float": "float32",
        "half": "float16",
        "byte": "uint8",
        "char": "int8",
        "short": "int16",
        "int": "int32",
        "long": "int64",
        "bool_": "bool",
        "cfloat": "complex64",
        "cdouble": "complex128",
        "str": "string",
        "object": "string",
    }
)

_SPEC = re.compile(r"\s*(?P<dtype>[^\[\]]*?)\s*(?P<brackets>\[(?P<dims>[^\[\]]*)\])?\s*")
_PREFIXES = ("torch.", "np.", "numpy.")

Dim: TypeAlias = "int | str"
#: How a caller may declare one input: a spec string, a parsed spec, or an example array.
InputLike: TypeAlias = "str | InputSpec | npt.ArrayLike"
#: How a caller may declare the inputs: by name, or in order.
InputsLike: TypeAlias = "Mapping[str, InputLike] | Sequence[InputLike] | None"


def dtype_name(text: str) -> str:
    """The name under which nxconvert knows a dtype that is spelled NumPy's, ONNX's or PyTorch's way.

    Raises:
        UsageError: nobody spells a dtype like that.
    """
    bare = text.strip()
    for prefix in _PREFIXES:
        bare = bare.removeprefix(prefix)
    lower = bare.lower()
    name = lower if lower in DTYPES else _ALIASES.get(lower)
    if name is None:
        common = ", ".join(list(DTYPES)[:13])
        raise UsageError(f"{text.strip()!r} is no dtype that nxconvert knows; the usual ones are {common}.")
    return name


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What is known about one input before the model is read.

    Attributes:
        dtype: a key of `DTYPES`, or None where the model is to say it.
        dims: one entry a dim: a size, or the name of a free dim. Empty for a scalar.
    """

    dtype: str | None
    dims: tuple[Dim, ...]

    @classmethod
    def parse(cls, text: str) -> InputSpec:
        """The spec that `text` spells, e.g. ``float32[batch,3,224,224]``.

        Raises:
            UsageError: `text` is no spec; the message says what about it is wrong.
        """
        match = _SPEC.fullmatch(text)
        if match is None or not (match["dtype"] or match["brackets"]):
            raise UsageError(_malformed(text, "it is not of the form DTYPE[DIM,DIM,...]"))
        try:
            dtype = dtype_name(match["dtype"]) if match["dtype"] else None
        except UsageError as error:
            raise UsageError(_malformed(text, str(error))) from None
        inside = (match["dims"] or "").strip()
        return cls(dtype, tuple(_dim(part, text) for part in inside.split(",")) if inside else ())

    @classmethod
    def like(cls, example: npt.ArrayLike) -> InputSpec:
        """The spec of an example: its dtype and every one of its sizes, fixed. What has no name is not free.

        Accepts whatever NumPy takes for an array (see `as_array`), and torch tensors of any device and dtype.
        """
        if not hasattr(example, "dtype") or not hasattr(example, "shape"):
            example = as_array(example)
        kind = str(example.dtype)
        name = "string" if kind.startswith(("<U", ">U", "|S", "StringDType")) else dtype_name(kind)
        return cls(name, tuple(int(size) for size in example.shape))

    @classmethod
    def of(cls, item: InputLike) -> InputSpec:
        """The spec that a caller means by a string, a spec or an example array."""
        if isinstance(item, InputSpec):
            return item
        return cls.parse(item) if isinstance(item, str) else cls.like(item)

    @property
    def free(self) -> tuple[str, ...]:
        """The names of the free dims, each once, in order."""
        return tuple(dict.fromkeys(dim for dim in self.dims if isinstance(dim, str)))

    def onnx_dtype(self) -> ir.DataType | None:
        """The dtype as the graph spells it, or None where the model is to say it."""
        import onnx_ir as ir

        return None if self.dtype is None else ir.DataType[DTYPES[self.dtype]]

    def __str__(self) -> str:
        return f"{self.dtype or ''}[{','.join(map(str, self.dims))}]"


_PAD = "Sequences of different lengths are padded to the longest one, and their lengths are an input of their own."


def as_array(value: npt.ArrayLike) -> np.ndarray:
    """`value` as an array. Python's floats become float32, as the float arguments of a model are.

    Raises:
        UsageError: it is rows of different lengths, which are no array.
    """
    import numpy as np

    try:
        array = np.asarray(value)
    except ValueError as error:
        raise UsageError(f"an input is no array: {error}. {_PAD}") from error
    if array.dtype == object and any(isinstance(item, (list, tuple, np.ndarray)) for item in array.flat):
        raise UsageError(f"an input is an array of arrays of different sizes. {_PAD}")
    typed = hasattr(value, "dtype") or array.dtype != np.float64
    return array if typed else array.astype(np.float32)


def spec_of(dtype: ir.DataType | None, dims: Iterable[Dim]) -> InputSpec:
    """The spec of a graph value: the way back from `InputSpec.onnx_dtype`, for messages and for hints to paste."""
    name = None if dtype is None else _ALIASES.get(dtype.name.lower())
    return InputSpec(name, tuple(dims))


def parse_inputs(inputs: InputsLike) -> Mapping[str, InputSpec] | tuple[InputSpec, ...] | None:
    """The declared inputs, parsed: by name, in order, or None where nothing was declared.

    Raises:
        UsageError: one of them is malformed; the message names it.
    """
    if inputs is None:
        return None
    if isinstance(inputs, Mapping):
        return MappingProxyType({str(name): _named(str(name), item) for name, item in inputs.items()})
    if isinstance(inputs, str) or not isinstance(inputs, Sequence):
        raise UsageError(
            "the inputs are declared by name, as in inputs={'x': 'float32[batch,3,224,224]'}, or in order, as in "
            f"inputs=['float32[batch,3,224,224]']; this is a {type(inputs).__name__}."
        )
    return tuple(_named(f"number {index}", item) for index, item in enumerate(inputs))


def parse_input(text: str) -> tuple[str, InputSpec]:
    """The name and the spec of a command line's ``NAME=DTYPE[DIMS]``.

    Raises:
        UsageError: there is no name, or the spec is malformed.
    """
    name, equals, spec = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(
            f"cannot understand {text!r}: an input is declared as NAME=DTYPE[DIM,DIM,...], "
            "e.g. x=float32[batch,3,224,224] or n=int64."
        )
    return name.strip(), _named(name.strip(), spec)


def _named(name: str, item: Any) -> InputSpec:
    try:
        return InputSpec.of(item)
    except UsageError as error:
        raise UsageError(f"input {name}: {error}") from None


def _dim(part: str, text: str) -> Dim:
    dim = part.strip()
    if dim.isidentifier():
        return dim
    if dim.isascii() and dim.isdecimal():
        return int(dim)
    if not dim:
        why = "a dim is missing between the commas"
    elif re.fullmatch(r"-\d+|\?|\*|None", dim):
        why = f"{dim} is no size: give a free dim a name, such as batch"
    else:
        why = f"{dim!r} is neither a size nor a name"
    raise UsageError(_malformed(text, why))


def _malformed(text: str, why: str) -> str:
    return (
        f"cannot understand the input spec {text.strip()!r}: {why.rstrip('.')}. "
        "A spec is a dtype and dims, e.g. float32[batch,3,224,224] (a number fixes a dim, a name leaves it free), "
        "[1,3,224,224] where the dtype is known, or int64 for a scalar."
    )

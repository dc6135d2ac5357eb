"""The values in PyTorch's pickles, without PyTorch: objects, tensors, quantizers, devices.

`TorchGlobals` says what each global name of such a pickle stands for.  The list of names is that of
``torch/csrc/jit/serialization/unpickler.cpp`` and ``torch/_utils.py``; any other name is refused.
"""

from __future__ import annotations

import math
import reprlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from nxconvert.errors import ReadError
from nxconvert.formats.tensors import ComputedTensor, MappedFile, Memory, contiguous

__all__ = [
    "TORCH_DTYPES",
    "Device",
    "EnumValue",
    "Quantizer",
    "ScriptDict",
    "ScriptList",
    "ScriptObject",
    "Storage",
    "TensorData",
    "TorchGlobals",
]

_D = ir.DataType

# torch.<name>Storage -> the element type of the bytes.  Quantized types are stored as their integers.
_STORAGES = {
    "Byte": _D.UINT8,
    "Char": _D.INT8,
    "Short": _D.INT16,
    "Int": _D.INT32,
    "Long": _D.INT64,
    "Half": _D.FLOAT16,
    "Float": _D.FLOAT,
    "Double": _D.DOUBLE,
    "ComplexFloat": _D.COMPLEX64,
    "ComplexDouble": _D.COMPLEX128,
    "Bool": _D.BOOL,
    "QInt8": _D.INT8,
    "QUInt8": _D.UINT8,
    "QInt32": _D.INT32,
    "QUInt4x2": _D.UINT8,
    "BFloat16": _D.BFLOAT16,
    "Float8_e5m2": _D.FLOAT8E5M2,
    "Float8_e4m3fn": _D.FLOAT8E4M3FN,
    "Float8_e5m2fnuz": _D.FLOAT8E5M2FNUZ,
    "Float8_e4m3fnuz": _D.FLOAT8E4M3FNUZ,
    "UInt16": _D.UINT16,
    "UInt32": _D.UINT32,
    "UInt64": _D.UINT64,
    "Untyped": _D.UINT8,
}

# torch.<name> -> the element type.
TORCH_DTYPES = {
    "uint8": _D.UINT8,
    "int8": _D.INT8,
    "int16": _D.INT16,
    "int32": _D.INT32,
    "int64": _D.INT64,
    "float16": _D.FLOAT16,
    "float32": _D.FLOAT,
    "float64": _D.DOUBLE,
    "complex64": _D.COMPLEX64,
    "complex128": _D.COMPLEX128,
    "bool": _D.BOOL,
    "bfloat16": _D.BFLOAT16,
    "float8_e5m2": _D.FLOAT8E5M2,
    "float8_e4m3fn": _D.FLOAT8E4M3FN,
    "float8_e5m2fnuz": _D.FLOAT8E5M2FNUZ,
    "float8_e4m3fnuz": _D.FLOAT8E4M3FNUZ,
    "uint16": _D.UINT16,
    "uint32": _D.UINT32,
    "uint64": _D.UINT64,
}

_ITEMSIZES = {dtype: int(np.dtype(dtype.numpy()).itemsize) for dtype in _STORAGES.values()}
_MAX_DIMS = 64
# An expanded tensor (stride 0) costs nothing in the file and anything in memory.
_MAX_EXPANDED_BYTES = 1 << 30


class ScriptObject:
    """An instance of a TorchScript class (``__torch__.…``) as the archive stores it.

    Attributes:
        qualname: the class's qualified name, mangled as in the archive.
        attributes: its attributes by name; empty where the class has its own ``__setstate__``.
        state: what that ``__setstate__`` has to be called with, or the same dict as `attributes`.
    """

    __slots__ = ("__weakref__", "attributes", "qualname", "state")

    def __init__(self, qualname: str) -> None:
        self.qualname = qualname
        self.attributes: dict[str, Any] = {}
        self.state: Any = None

    def set_state(self, state: Any) -> None:
        """Take the state the pickle holds.

        A plain dict is the attributes; a dict *value* would be a ScriptDict, because it carries its type.
        """
        self.state = state
        if type(state) is dict:
            self.attributes = state

    def __repr__(self) -> str:
        return f"ScriptObject({self.qualname!r})"


class ScriptList(list[Any]):
    """A list with its TorchScript type, e.g. ``List[int]``, which an empty list would not tell."""

    __slots__ = ("type_tag",)

    def __init__(self, values: list[Any], type_tag: str) -> None:
        super().__init__(values)
        self.type_tag = type_tag


class ScriptDict(dict[Any, Any]):
    """A dict with its TorchScript type, e.g. ``Dict[str, Tensor]``."""

    __slots__ = ("type_tag",)

    def __init__(self, items: dict[Any, Any], type_tag: str) -> None:
        super().__init__(items)
        self.type_tag = type_tag


class _StateDict(OrderedDict[Any, Any]):
    """An ordered dict of ``torch.save``; what hangs on it as attributes (``_metadata``) is dropped."""

    def set_state(self, state: Any) -> None:
        """Drop the state."""


@dataclass(frozen=True, slots=True)
class EnumValue:
    """A member of a TorchScript enum: the enum's qualified name and the member's value."""

    qualname: str
    value: Any


@dataclass(frozen=True, slots=True)
class Device:
    """``torch.device``: e.g. ``cpu`` or ``cuda:0``."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Quantizer:
    """How the integers of a quantized tensor map to reals: ``(q - zero_point) * scale``.

    Attributes:
        scheme: ``per_tensor_affine``, ``per_channel_affine``, ``per_channel_affine_float_qparams``, ...
        scale: one number, or float64[channels].
        zero_point: one integer, or int64[channels].
        axis: the channels' axis; None for one scale.
    """

    scheme: str
    scale: float | TensorData
    zero_point: int | TensorData
    axis: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """A flat piece of memory that tensors view.

    Attributes:
        key: the archive member that holds its bytes.
        kind: PyTorch's name of the storage type without ``Storage``, e.g. ``Float`` or ``QInt8``.
        device: where it lay when it was saved.
        file: the mapped archive, or the memory of a live storage.
        offset: where the bytes start in it.
        nbytes: how many there are; 0 for traced example inputs, whose bytes the tracer strips.
        big_endian: the bytes are in big-endian order.
    """

    key: str
    kind: str
    device: str
    file: MappedFile | Memory
    offset: int
    nbytes: int
    big_endian: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class TensorData:
    """A tensor as the archive describes it; its bytes stay in the file.

    Attributes:
        dtype: the element type (the integers' for a quantized tensor).
        shape: the sizes.
        strides: the distance of neighbours along each dim, in elements.
        offset: where the first element is in the storage, in elements.
        storage: the bytes.
        requires_grad: PyTorch's flag; true for trainable parameters.
        quantizer: how a quantized tensor is to be read; None for ordinary ones.
        conjugated: the elements are the conjugates of those stored (a lazy ``conj()``).
        negated: the elements are the negatives of those stored.
    """

    dtype: ir.DataType
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    storage: Storage
    requires_grad: bool = False
    quantizer: Quantizer | None = None
    conjugated: bool = False
    negated: bool = False

    @property
    def key(self) -> Hashable:
        """Equal for two tensors that are the same elements of the same storage (tied weights)."""
        lazy = (self.conjugated, self.negated)
        return (self.storage.key, self.dtype, self.offset, self.shape, self.strides, *lazy)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def is_complex(self) -> bool:
        """Whether the elements are complex numbers."""
        return self.dtype in (_D.COMPLEX64, _D.COMPLEX128)

    @property
    def is_packed(self) -> bool:
        """Whether a byte of the storage holds two elements, the first one in its low half."""
        return self.storage.kind == "QUInt4x2"

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements lie in C order without gaps."""
        if 0 in self.shape:
            return True
        expected = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size != 1 and stride != expected:
                return False
            expected *= size
        return True

    @property
    def is_available(self) -> bool:
        """Whether the archive holds the elements (it holds none of traced example inputs)."""
        return self._extent_bytes() <= self.storage.nbytes

    def _itemsize(self) -> int:
        return _ITEMSIZES[self.dtype]

    def _extent(self) -> int:
        """The number of elements of the storage up to the last that the tensor uses."""
        if 0 in self.shape:
            return 0
        return 1 + self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))

    def _extent_bytes(self) -> int:
        """The same in bytes."""
        return (self._extent() + 1) // 2 if self.is_packed else self._extent() * self._itemsize()

    def check(self) -> None:
        """Refuse what does not fit the storage, before anybody reserves memory for it.

        Raises:
            ReadError: the storage is shorter than the tensor needs, or the tensor repeats it beyond reason.
        """
        storage, needed, size = self.storage, self._extent_bytes(), self.size * self._itemsize()
        if needed > storage.nbytes:
            raise ReadError(
                f"{storage.file.path} is damaged: a tensor of shape {list(self.shape)} needs {needed} bytes, "
                f"and its storage {storage.key!r} has {storage.nbytes}."
            )
        if size > _MAX_EXPANDED_BYTES + storage.nbytes:
            raise ReadError(
                f"{storage.file.path}: a tensor of shape {list(self.shape)} repeats the {storage.nbytes} bytes of "
                f"its storage {storage.key!r} to {size} bytes; save it with `.contiguous()`."
            )

    def to_ir(self, name: str | None = None) -> ir.TensorProtocol:
        """The tensor for a graph: a view of the file, or, for strided and byte-swapped ones, computed when read.

        Raises:
            ReadError: the archive does not hold the elements.
        """
        self.check()
        storage = self.storage
        if self.is_contiguous and not (storage.big_endian or self.conjugated or self.negated or self.is_packed):
            start = storage.offset + self.offset * self._itemsize()
            return storage.file.tensor(start, self.dtype, self.shape, name)
        return ComputedTensor(self._computed, self.dtype, self.shape, name)

    def numpy(self) -> np.ndarray:
        """The elements as an array: a read-only view of the file where possible."""
        return self.to_ir().numpy()

    def _computed(self) -> np.ndarray:
        """The elements where they are not those of the file."""
        array = self._gather()
        first, end = 0 if self.is_packed else self.offset * self._itemsize(), self._extent_bytes()
        self.storage.file.release(self.storage.offset + first, end - first)
        if self.conjugated:
            array = np.conjugate(array)
        return np.negative(array) if self.negated else array

    def _gather(self) -> np.ndarray:
        """Copy the elements from a storage in which they are strided or byte-swapped."""
        dtype, storage = np.dtype(self.dtype.numpy()), self.storage
        flat = storage.file.flat(storage.offset, storage.nbytes)
        if self.is_packed:
            flat = np.stack([flat & 15, flat >> 4], axis=1).reshape(-1)
        strides = [stride * dtype.itemsize for stride in self.strides]
        view = np.ndarray(self.shape, dtype, flat, self.offset * dtype.itemsize, strides)
        if not storage.big_endian:
            return contiguous(view)
        # ml_dtypes cannot be byte-swapped as such; complex numbers swap each half.
        half = dtype.itemsize // 2 if self.is_complex else dtype.itemsize
        return contiguous(view).reshape(-1).view(f"u{half}").byteswap().view(dtype).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class _Function:
    """A global that is called: `function` gets the arguments one by one."""

    name: str
    function: Callable[..., Any]

    def call(self, argument: Any) -> Any:
        """Apply it to the tuple of arguments."""
        if not isinstance(argument, tuple):
            raise TypeError(f"{self.name} is called with a {type(argument).__name__} for its arguments")
        return self.function(*argument)

    def new(self) -> Any:
        """Functions are not instantiated."""
        raise TypeError(f"{self.name} is no class")


@dataclass(frozen=True, slots=True)
class _ScriptType:
    """A TorchScript class, or an enum: both are only a name here."""

    qualname: str

    def call(self, argument: Any) -> EnumValue:
        """A member of an enum, given by its value."""
        if not isinstance(argument, int | float | str):
            raise TypeError(f"a member of the enum {self.qualname} has a {type(argument).__name__} for its value")
        return EnumValue(self.qualname, argument)

    def new(self) -> ScriptObject:
        """An instance of a class."""
        return ScriptObject(self.qualname)


@dataclass(frozen=True, slots=True)
class _Name:
    """A global that is a value itself: a dtype, a storage type, a quantization scheme."""

    module: str
    name: str

    def call(self, argument: Any) -> Any:
        """Names are not called."""
        raise TypeError(f"{self.module}.{self.name} is called")

    def new(self) -> Any:
        """Names are not instantiated."""
        raise TypeError(f"{self.module}.{self.name} is instantiated")


class TorchGlobals:
    """The meaning of the globals and persistent ids of one pickle of an archive.

    Attributes:
        open_storage: finds the bytes of a storage: ``(kind, key, device) -> Storage``.
    """

    def __init__(self, what: str, open_storage: Callable[[str, str, str], Storage], *, strict: bool = True) -> None:
        """`what` names the pickle in messages; with `strict` off, tensors may lack their bytes."""
        self._what = what
        self.open_storage = open_storage
        self._strict = strict
        self._functions: dict[tuple[str, str], Callable[..., Any]] = {
            ("torch._utils", "_rebuild_tensor"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v3"): self._tensor_v3,
            ("torch._utils", "_rebuild_qtensor"): self._qtensor,
            ("torch._utils", "_rebuild_parameter"): self._parameter,
            ("torch.jit._pickle", "build_intlist"): lambda values: ScriptList(values, "List[int]"),
            ("torch.jit._pickle", "build_doublelist"): lambda values: ScriptList(values, "List[float]"),
            ("torch.jit._pickle", "build_boollist"): lambda values: ScriptList(values, "List[bool]"),
            ("torch.jit._pickle", "build_tensorlist"): lambda values: ScriptList(values, "List[Tensor]"),
            ("torch.jit._pickle", "restore_type_tag"): _restore_type_tag,
            ("collections", "OrderedDict"): lambda: _StateDict(),
            ("torch", "device"): self._device,
            ("torch", "Size"): tuple,
            ("builtins", "complex"): complex,
            ("__builtin__", "complex"): complex,
            # How Python writes bytes in protocol 2.
            ("_codecs", "encode"): lambda text, _: text.encode("latin-1"),
        }

    def define(self, module: str, name: str, function: Callable[..., Any]) -> None:
        """Give another global a meaning: `function` is called with its arguments."""
        self._functions[module, name] = function

    def find_global(self, module: str, name: str) -> Any:
        """What the global stands for.

        Raises:
            ReadError: it is none that describes data.
        """
        function = self._functions.get((module, name))
        if function is not None:
            return _Function(f"{module}.{name}", function)
        if module == "__torch__" or module.startswith("__torch__."):
            return _ScriptType(f"{module}.{name}")
        kind = name.removesuffix("Storage")
        if module in ("torch", "torch.storage") and (
            kind in _STORAGES or name in TORCH_DTYPES or name.startswith(("per_tensor_", "per_channel_"))
        ):
            return _Name(module, name)
        if module == "torch._utils" or (module == "torch" and name.endswith("Storage")):
            raise ReadError(f"{self._what} has a tensor of a kind that is not read ({module}.{name}).")
        raise ReadError(
            f"{self._what} names the Python object {module}.{name}, which is not data: loading it could run any code. "
            "It is refused."
        )

    def persistent_load(self, pid: Any) -> Storage:
        """The storage that a persistent id ``('storage', type, key, device, numel)`` names."""
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage" and isinstance(pid[1], _Name)):
            raise ReadError(f"{self._what} is damaged: {reprlib.repr(pid)} names no storage.")
        kind = pid[1].name.removesuffix("Storage")
        if kind not in _STORAGES or kind == pid[1].name or not isinstance(pid[2], str):
            raise ReadError(f"{self._what} is damaged: {reprlib.repr(pid)} names no storage.")
        return self.open_storage(kind, pid[2], str(pid[3]))

    def _tensor(
        self,
        storage: Storage,
        offset: int,
        sizes: tuple[int, ...],
        strides: tuple[int, ...],
        requires_grad: bool = False,
        hooks: Any = None,
        metadata: Any = None,
    ) -> TensorData:
        """``_rebuild_tensor_v2``; the hooks are those of autograd and never saved."""
        tensor = self.view(storage, offset, sizes, strides, bool(requires_grad))
        if not metadata:
            return tensor
        return replace(tensor, conjugated=bool(metadata.get("conj")), negated=bool(metadata.get("neg")))

    def _parameter(self, data: TensorData, requires_grad: bool = True, hooks: Any = None) -> TensorData:
        """``_rebuild_parameter``: the flag of the tensor inside is not set."""
        return replace(data, requires_grad=bool(requires_grad))

    def _device(self, kind: str, index: int | None = None) -> Device:
        """``torch.device("cuda", 0)`` or ``torch.device("cuda:0")``."""
        if not isinstance(kind, str) or not isinstance(index, int | None):
            raise ReadError(f"{self._what} is damaged: it has a device without a name.")
        return Device(kind if index is None else f"{kind}:{index}")

    def _tensor_v3(
        self,
        storage: Storage,
        offset: int,
        sizes: tuple[int, ...],
        strides: tuple[int, ...],
        requires_grad: bool,
        hooks: Any,
        dtype: _Name,
        metadata: Any = None,
    ) -> TensorData:
        """``_rebuild_tensor_v3``: a view of an untyped storage."""
        return self.view(storage, offset, sizes, strides, bool(requires_grad), dtype=TORCH_DTYPES[dtype.name])

    def _qtensor(
        self,
        storage: Storage,
        offset: int,
        sizes: tuple[int, ...],
        strides: tuple[int, ...],
        parameters: tuple[Any, ...],
        requires_grad: bool = False,
        hooks: Any = None,
    ) -> TensorData:
        """``_rebuild_qtensor``: `parameters` are the scheme and its scale, zero point and axis."""
        scheme, *rest = parameters
        if not isinstance(scheme, _Name) or len(rest) not in (2, 3):
            raise ReadError(f"{self._what} is damaged: it has a quantized tensor without a scheme.")
        quantizer = Quantizer(scheme.name, *rest)
        return self.view(storage, offset, sizes, strides, bool(requires_grad), quantizer)

    def view(
        self,
        storage: Storage,
        offset: int,
        sizes: tuple[int, ...],
        strides: tuple[int, ...],
        requires_grad: bool = False,
        quantizer: Quantizer | None = None,
        *,
        dtype: ir.DataType | None = None,
    ) -> TensorData:
        """A checked description of a tensor, of the storage's dtype unless another one is given."""
        numbers = (offset, *sizes, *strides)
        if (
            not isinstance(storage, Storage)
            or len(sizes) != len(strides)
            or len(sizes) > _MAX_DIMS
            or any(type(number) is not int or number < 0 for number in numbers)
        ):
            raise ReadError(
                f"{self._what} is damaged: it has a tensor of sizes {reprlib.repr(sizes)}, "
                f"strides {reprlib.repr(strides)}, offset {reprlib.repr(offset)}."
            )
        dtype = _STORAGES[storage.kind] if dtype is None else dtype
        tensor = TensorData(dtype, tuple(sizes), tuple(strides), offset, storage, requires_grad, quantizer)
        if self._strict:
            tensor.check()
        return tensor


def _restore_type_tag(value: Any, type_tag: str) -> Any:
    """``restore_type_tag(container, "Dict[str, int]")``."""
    if isinstance(value, dict):
        return ScriptDict(value, str(type_tag))
    if isinstance(value, list):
        return ScriptList(value, str(type_tag))
    return value

"""Tensors that ONNX has no type for: quantized, complex and nested ones, as a few ordinary values that belong together.

A compound stands where a tensor stands: readers keep it in a variable, pass it to ``aten.find`` and get it back from
lowerings. Lowerings that know about compounds say so with the words ``Quantized``, ``Complex`` and ``Nested`` in their
annotations. All others work through :func:`fallback`: each kind of compound says of an operator how it works on what
the compound is made of. What leaves the model is made one ordinary value by :meth:`Compound.plain`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import onnx_ir as ir

from nxconvert.frontends.pytorch import dtypes
from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.graph.builder import Builder, TensorType, Value
from nxconvert.graph.dims import Int

_BYTES = (DataType.INT8, DataType.UINT8)

Lower = Callable[..., Any]
"""A call of an operator's ordinary lowering: ``lower(op, args, kwargs)``."""

Rule = Callable[["Builder", "Lower", "list[Any]", "dict[str, Any]"], Any]
"""How an operator works on compounds, in terms of its ordinary lowering."""


class Compound:
    """A tensor made of several values.

    The attributes are what readers and lowerings ask of any tensor.

    Attributes:
        rules: for each operator without a lowering of its own how it works on compounds of this kind.
        dtype_code: PyTorch's number for the dtype.
    """

    __slots__ = ()

    rules: ClassVar[dict[str, Rule]]
    is_complex = is_nested = is_quantized = is_sequence = False
    array = content = const_value = None
    dtype_code: int

    @property
    def dims(self) -> tuple[Int, ...]:
        return self._like().dims

    @property
    def rank(self) -> int:
        return len(self.dims)

    @property
    def etype(self) -> ir.DataType:
        return self._like().etype

    def _like(self) -> Value:
        """A value with the dims of this tensor, and the dtype that it has as an ordinary one."""
        raise AttributeError(type(self).__name__)

    def plain(self, op: Builder) -> Value:
        """The tensor as one ordinary value."""
        return self._like()

    @property
    def kind(self) -> str:
        """What tensors must have in common to be put together from parts in the same way."""
        return type(self).__name__.removesuffix("Value").lower()

    def parts(self) -> tuple[Value | TensorType, ...]:
        """The values that it is made of; of one that is not there yet, the type."""
        raise AttributeError(type(self).__name__)

    def emit(self, op: Builder) -> tuple[Value, ...]:
        """The values that it is made of, all of them there."""
        return self.parts()  # type: ignore[return-value]  # they are there, but for the kinds that say otherwise

    def of(self, op: Builder, *parts: Value) -> Compound:
        """A tensor of this kind made of other values."""
        raise AttributeError(type(self).__name__)

    def changed(self, op: Builder, new: Any, change: Callable[[Value, Value], Value]) -> Compound:
        """This tensor after a write to a part of it.

        Args:
            op: the builder.
            new: what was written, a tensor of any kind.
            change: what an ordinary tensor becomes by an ordinary write.
        """
        raise AttributeError(type(self).__name__)


class NestedValue(Compound):
    """A batch of sequences of different lengths, as the fast path of ``torch.nn.TransformerEncoder`` makes it.

    Attributes:
        padded: [batch, time, features].
        keep: bool[batch, time], the positions that exist.
        filled: bool[batch, time], the positions that get the padding value when the sequences are padded.
    """

    __slots__ = ("filled", "keep", "padded")

    rules: ClassVar[dict[str, Rule]] = {}
    is_nested = True

    def __init__(self, padded: Value, keep: Value, filled: Value) -> None:
        self.padded = padded
        self.keep = keep
        self.filled = filled

    def _like(self) -> Value:
        return self.padded

    def parts(self) -> tuple[Value, ...]:
        return self.padded, self.keep, self.filled

    def of(self, op: Builder, *parts: Value) -> NestedValue:
        return NestedValue(*parts)

    def changed(self, op: Builder, new: Any, change: Callable[[Value, Value], Value]) -> NestedValue:
        padded = change(self.padded, new.padded if isinstance(new, NestedValue) else new)
        return NestedValue(padded, self.keep, self.filled)


class ComplexValue(Compound):
    """Complex numbers.

    Attributes:
        real: the real parts.
        imag: the imaginary parts, of the same dims.
    """

    __slots__ = ("imag", "real")

    rules: ClassVar[dict[str, Rule]] = {}
    is_complex = True

    def __init__(self, real: Value, imag: Value) -> None:
        self.real = real
        self.imag = imag

    def _like(self) -> Value:
        return self.real

    def parts(self) -> tuple[Value, ...]:
        return self.real, self.imag

    def of(self, op: Builder, *parts: Value) -> ComplexValue:
        return ComplexValue(*parts)

    @property
    def dtype_code(self) -> int:  # type: ignore[override]
        """complex32, complex64 or complex128."""
        return {DataType.FLOAT16: 8, DataType.FLOAT: 9}.get(self.real.etype, 10)

    def changed(self, op: Builder, new: Any, change: Callable[[Value, Value], Value]) -> ComplexValue:
        if not isinstance(new, ComplexValue):
            new = ComplexValue(new, op.expand(op.const(0.0, new.etype), new.dims))
        return ComplexValue(change(self.real, new.real), change(self.imag, new.imag))

    def plain(self, op: Builder) -> Value:
        """The pairs of real and imaginary part along a new last axis, as ``torch.view_as_real`` has them."""
        return op.Concat(op.Unsqueeze(self.real, [-1]), op.Unsqueeze(self.imag, [-1]), axis=-1)


class QuantizedValue(Compound):
    """A quantized tensor: integers, or the numbers that they stand for, and the scale and zero point that connect them.

    Whichever of the two is not there is computed when it is asked for, and remembered as long as it is in scope.

    Attributes:
        scale: float32, rank 0, or rank 1 for one number a channel.
        zero_point: int8 or uint8 (int32 for ``qint32``) of the same dims.
        axis: the channels' axis, or None for one scale.
    """

    __slots__ = ("_integers", "_reals", "axis", "scale", "zero_point")

    rules: ClassVar[dict[str, Rule]] = {}
    is_quantized = True

    def __init__(
        self,
        scale: Value,
        zero_point: Value,
        axis: int | None = None,
        *,
        integers: tuple[Builder, Value] | None = None,
        reals: tuple[Builder, Value] | None = None,
    ) -> None:
        """One of ``integers`` and ``reals`` must be given, with the builder that sees it."""
        self.scale = scale
        self.zero_point = zero_point
        self.axis = axis
        self._integers = integers
        self._reals = reals

    def _like(self) -> Value:
        known = self._integers or self._reals
        assert known is not None
        return known[1]

    @property
    def etype(self) -> ir.DataType:
        return DataType.FLOAT

    @property
    def kind(self) -> str:
        return f"quantized {self.axis}"

    def parts(self) -> tuple[Value | TensorType, ...]:
        return TensorType(self.zero_point.etype, self.dims), self.scale, self.zero_point

    def emit(self, op: Builder) -> tuple[Value, ...]:
        return self.integers(op), self.scale, self.zero_point

    def of(self, op: Builder, *parts: Value) -> QuantizedValue:
        integers, scale, zero_point = parts
        return QuantizedValue(scale, zero_point, self.axis, integers=(op, integers))

    @property
    def dtype_code(self) -> int:  # type: ignore[override]
        """qint8, quint8 or qint32."""
        return {DataType.INT8: 12, DataType.UINT8: 13}.get(self.zero_point.etype, 14)

    def reals(self, op: Builder) -> Value:
        """The numbers it stands for, float32."""
        if self._reals is None or not _sees(op, self._reals[0]):
            assert self._integers is not None
            self._reals = op, dequantize(op, self._integers[1], self.scale, self.zero_point, self.axis)
        return self._reals[1]

    def integers(self, op: Builder) -> Value:
        """What is stored, in the dtype of the zero point."""
        if self._integers is None or not _sees(op, self._integers[0]):
            assert self._reals is not None
            self._integers = op, quantize(op, self._reals[1], self.scale, self.zero_point, self.axis)
        return self._integers[1]

    def plain(self, op: Builder) -> Value:
        return self.reals(op)

    def changed(self, op: Builder, new: Any, change: Callable[[Value, Value], Value]) -> QuantizedValue:
        reals = new.reals(op) if isinstance(new, QuantizedValue) else new
        return self.quantized_alike(op, change(self.reals(op), reals))

    def same_quantization(self, op: Builder, reals: Value) -> QuantizedValue:
        """A tensor of other ``reals``, which are multiples of the scale, with this one's scale and zero point."""
        return QuantizedValue(self.scale, self.zero_point, self.axis, reals=(op, reals))

    def quantized_alike(self, op: Builder, reals: Value) -> QuantizedValue:
        """Any ``reals``, quantized with this one's scale and zero point."""
        integers = quantize(op, reals, self.scale, self.zero_point, self.axis)
        return QuantizedValue(self.scale, self.zero_point, self.axis, integers=(op, integers))


def dequantize(op: Builder, q: Value, scale: Value, zero_point: Value, axis: int | None = None) -> Value:
    """``(q - zero_point) * scale``, in the dtype of the scale; the zero point may be of any dtype."""
    if q.etype in _BYTES and zero_point.etype == q.etype:
        return op.DequantizeLinear(q, scale, zero_point, axis=axis)
    # DequantizeLinear has no zero point for wider integers, and none that is a float.
    scale, zero_point = (along(op, x, axis, q.rank) for x in (scale, zero_point))
    wide = scale.etype if q.etype in _BYTES else DataType.DOUBLE
    steps = op.Sub(op.Cast(q, to=wide), op.cast(zero_point, wide))
    return op.Mul(op.cast(steps, scale.etype), scale)


def along(op: Builder, parameter: Value, axis: int | None, rank: int) -> Value:
    """A vector with one number a channel, so that it broadcasts to a tensor of ``rank`` axes; a scalar as it is."""
    return parameter if axis is None else op.Reshape(parameter, [-1 if i == axis else 1 for i in range(rank)])


def quantize(
    op: Builder,
    x: Value,
    scale: Value,
    zero_point: Value,
    axis: int | None = None,
    limits: tuple[int, int] | None = None,
) -> Value:
    """The integers nearest to ``x / scale + zero_point``, in the dtype of the zero point.

    Args:
        op: the builder.
        x: floats.
        scale: of the dtype of ``x``; rank 0, or rank 1 for one a channel.
        zero_point: of the same dims.
        axis: the channels' axis.
        limits: the least and greatest integer, if they are closer than those of the dtype.
    """
    whole = dtypes.limits(zero_point.etype)
    low, high = limits or whole
    if zero_point.etype in _BYTES:
        q = op.QuantizeLinear(x, scale, zero_point, axis=axis)
        if (low, high) == whole:
            return q
        return op.Clip(q, op.const(low, q.etype), op.const(high, q.etype))
    scale, zero_point = (along(op, parameter, axis, x.rank) for parameter in (scale, zero_point))
    # QuantizeLinear has no wider integers. Beyond 24 bits float32 is not exact, double is.
    steps = op.Cast(op.Round(op.Div(x, scale)), to=DataType.DOUBLE)
    shifted = op.Add(steps, op.Cast(zero_point, to=DataType.DOUBLE))
    return op.Cast(op.Clip(shifted, float(low), float(high)), to=zero_point.etype)


def _sees(op: Builder, owner: Builder) -> bool:
    builder: Builder | None = op
    while builder is not None and builder is not owner:
        builder = builder.parent
    return builder is owner


# ---- operators that know nothing of compounds ------------------------------------------------------------------------


def leaves(values: Iterable[Any]) -> Iterable[Any]:
    """The items of arguments, and of lists among them."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from leaves(value)
        else:
            yield value


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """``value`` with ``function`` applied to every item of it, in lists, tuples and dicts."""
    if isinstance(value, (list, tuple)):
        return type(value)(mapped(item, function) for item in value)
    if isinstance(value, dict):
        return {key: mapped(item, function) for key, item in value.items()}
    return function(value)


def fallback(operator: str, args: Iterable[Any], kwargs: Mapping[str, Any]) -> Rule | None:
    """How an operator without a lowering for compounds works on these arguments; None if no compound is among them.

    Raises:
        LookupError: if there is a compound that the operator does not work on.
    """
    for value in leaves([*args, *kwargs.values()]):
        if isinstance(value, Compound):
            rules = type(value).rules
            rule = rules.get(operator) or rules.get("*")
            if rule is None:
                raise LookupError(f"does not take a {type(value).__name__.removesuffix('Value').lower()} tensor")
            return rule
    return None

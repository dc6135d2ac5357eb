"""The packed parameters of quantized layers, which TorchScript archives hold as objects of classes built into PyTorch.

Their states are described in ``aten/src/ATen/native/quantized/cpu/{conv_serialization.h,qembeddingbag_prepack.cpp}``
and ``aten/src/ATen/native/RNN.cpp``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from nxconvert.errors import ReadError
from nxconvert.frontends.pytorch.compound import QuantizedValue
from nxconvert.graph.builder import Value

CLASSES = "__torch__.torch.classes."
"""What the qualified names of classes that are built into PyTorch begin with."""

Weight: TypeAlias = QuantizedValue | Value


@dataclass(frozen=True, eq=False)
class PackedLinear:
    """Parameters of a linear layer, [out, in] and [out]; the weight of float16 layers is an ordinary value."""

    weight: Weight
    bias: Value | None


@dataclass(frozen=True, eq=False)
class PackedConv:
    """Parameters and geometry of a convolution."""

    weight: Weight
    bias: Value | None
    stride: list[int]
    padding: list[int]
    dilation: list[int]
    output_padding: list[int]
    groups: int
    transposed: bool


@dataclass(frozen=True, eq=False)
class PackedEmbedding:
    """A table of embeddings, quantized row by row."""

    weight: Weight


@dataclass(frozen=True, eq=False)
class PackedCell:
    """Parameters of a recurrent layer in one direction.

    Attributes:
        w_ih: the input's weight.
        w_hh: the recurrent weight.
        b_ih: the input's bias.
        b_hh: the recurrent bias.
        reduce_range: whether activations are quantized to 7 bits; None where they are not quantized.
    """

    w_ih: Weight
    w_hh: Weight
    b_ih: Value | None
    b_hh: Value | None
    reduce_range: bool | None


Packed: TypeAlias = PackedLinear | PackedConv | PackedEmbedding | PackedCell


def unpack(qualname: str, state: Any, load: Callable[[Any], Any]) -> Packed:
    """The parameters in an object of an archive.

    Args:
        qualname: the object's class, ``__torch__.torch.classes.quantized.LinearPackedParamsBase`` and the like.
        state: what its ``__setstate__`` takes.
        load: makes a tensor of the state a value of the graph; an object in it, parameters.

    Raises:
        ReadError: for other classes, and states of another form.
    """
    name = qualname.removeprefix(CLASSES)
    reader = _READERS.get(name)
    if reader is None:
        raise ReadError(
            f"The archive holds an object of the class {name}, which is not known; use PyTorch's own layers."
        )
    try:
        return reader(state, load)
    except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReadError(f"The parameters of a {name} have an unknown form; the archive may be damaged.") from error


def _linear(state: Any, load: Callable[[Any], Any]) -> PackedLinear:
    weight, bias = state
    return PackedLinear(load(weight), None if bias is None else load(bias))


def _conv(state: Any, load: Callable[[Any], Any]) -> PackedConv:
    """The three versions of the state; they differ in where the configuration stands."""
    if state[0] == "2":
        (_, (config, weight), (bias, *_)) = state
        numbers = config.numpy().tolist()
    elif state[0] == 3:
        (_, numbers, (_, weight, bias)) = state
    else:
        weight, bias, *lists, groups = state
        pieces = [int(tensor.numpy().ravel()[0]) for tensors in lists for tensor in tensors]
        size = len(lists[0])
        numbers = [size, *pieces, *[0] * size, int(groups.numpy().ravel()[0]), 0]
    size = numbers[0]
    stride, padding, dilation, output_padding = (numbers[1 + i * size : 1 + (i + 1) * size] for i in range(4))
    groups, flags = numbers[1 + 4 * size :]
    bias = None if bias is None else load(bias)
    return PackedConv(load(weight), bias, stride, padding, dilation, output_padding, groups, bool(flags & 1))


def _embedding(state: Any, load: Callable[[Any], Any]) -> PackedEmbedding:
    _, tensors, *_ = state
    return PackedEmbedding(load(tensors[0]))


def _cell(state: Any, load: Callable[[Any], Any]) -> PackedCell:
    """The biases are those packed with the weights; PyTorch does not read those that stand beside them."""
    kind, _, _, integers, layers = state
    if kind == "quantized_dynamic":
        reduce_range = bool(integers[0]) if integers else False
    elif kind == "quantized_fp16":
        reduce_range = None
    else:
        raise ValueError(kind)
    w_ih, w_hh = (load(layer) for layer in layers)
    return PackedCell(w_ih.weight, w_hh.weight, w_ih.bias, w_hh.bias, reduce_range)


_READERS: dict[str, Callable[[Any, Callable[[Any], Any]], Packed]] = {
    "quantized.LinearPackedParamsBase": _linear,
    "quantized.Conv2dPackedParamsBase": _conv,
    "quantized.Conv3dPackedParamsBase": _conv,
    "quantized.EmbeddingPackedParamsBase": _embedding,
    "rnn.CellParamsBase": _cell,
}


def as_half(array: np.ndarray) -> np.ndarray:
    """Floats rounded to the nearest that float16 has, as float16 layers keep them."""
    limit = np.float32(np.finfo(np.float16).max)
    rounded: np.ndarray = np.clip(array, -limit, limit).astype(np.float16).astype(np.float32)
    return rounded


def lists_of(values: Sequence[int], size: int) -> list[int]:
    """A geometry argument as a list of ``size`` numbers; one-dimensional layers may give two, and the last counts."""
    items = list(values)
    return items * size if len(items) == 1 else items[-size:]

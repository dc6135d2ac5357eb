"""What a blob of a net may hold while the net is read: mostly a tensor, and a few things that are none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from nxconvert.graph.builder import Value


@dataclass(frozen=True, slots=True, eq=False)
class Int8:
    """A quantized tensor: ``scale * (value - zero_point)``.

    Attributes:
        value: uint8 (int32 for a bias).
        scale: of all of it.
        zero_point: of all of it.
    """

    value: Value
    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """A map from keys to values: two vectors of one length."""

    keys: Value
    values: Value


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """The workspace of a ``Do``: the blobs that are local to its net, by name."""

    blobs: dict[str, Blob] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Unset:
    """A blob that holds nothing a graph could use.

    Attributes:
        why: what is to be said to who wants to use it.
    """

    why: str


Blob: TypeAlias = "Value | Int8 | Map | Scope | Unset"

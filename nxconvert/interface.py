"""What can be said of a graph from outside: its inputs and outputs as specs, its size."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping

import onnx_ir as ir

from nxconvert.expressions import symbols
from nxconvert.inputs import DTYPES

#: The metadata that says which sizes the free dims may have: ``{"batch": [2, 64], "n": [2, null]}``.
RANGES_KEY = "nxconvert.ranges"

#: The metadata that says which inputs are lengths of sequences, each with the size that they are at most, one at least:
#: ``{"words_lengths": "sequence"}``.
LENGTHS_KEY = "nxconvert.lengths"

_NAMES = {onnx_name: name for name, onnx_name in DTYPES.items()}


def dtype_of(value: ir.Value) -> str:
    """The name of a value's dtype (of the elements', for a sequence); ``?`` where it has none."""
    return "?" if value.dtype is None else _NAMES.get(value.dtype.name, value.dtype.name.lower())


def dims_of(value: ir.Value) -> tuple[int | str, ...] | None:
    """A value's dims: sizes, and names or expressions of free ones (``?`` without a name); None without a rank."""
    if value.shape is None:
        return None
    return tuple(dim if isinstance(dim, int) else str(dim.value or "?") for dim in value.shape)


def spec_text(value: ir.Value) -> str:
    """A value's dtype and dims, as an `InputSpec` spells them: ``float32[batch,3,224,224]``."""
    dims = dims_of(value)
    text = f"{dtype_of(value)}[{'...' if dims is None else ','.join(map(str, dims))}]"
    return f"sequence({text})" if isinstance(value.type, ir.SequenceType) else text


def interface(values: Iterable[ir.Value]) -> dict[str, str]:
    """The specs of inputs or outputs, by name."""
    return {value.name or "": spec_text(value) for value in values}


def free_dims(inputs: Iterable[ir.Value]) -> tuple[str, ...]:
    """The names of the dims that `inputs` leave free, each once, in order; of ``4*n`` it is ``n``."""
    dims = (dim for value in inputs for dim in dims_of(value) or () if isinstance(dim, str) and dim != "?")
    return tuple(dict.fromkeys(name for dim in dims for name in symbols(dim)))


def free_ranges(model: ir.Model) -> Mapping[str, tuple[int, int | None]]:
    """The least and the greatest size (None: any) of free dims, where the source says them."""
    stated = json.loads(model.metadata_props.get(RANGES_KEY, "{}"))
    return {name: (int(low), None if high is None else int(high)) for name, (low, high) in stated.items()}


def sequence_lengths(model: ir.Model) -> Mapping[str, int | str]:
    """The inputs that are lengths of sequences, each with the size of their axis."""
    stated: dict[str, int | str] = json.loads(model.metadata_props.get(LENGTHS_KEY, "{}"))
    return stated


def parameter_count(model: ir.Model) -> int:
    """How many numbers the model's weights hold, each weight counted once."""
    tensors = (value.const_value for graph in model.graphs() for value in graph.initializers.values())
    return sum(tensor.size for tensor in tensors if tensor is not None)


def operator_counts(model: ir.Model) -> dict[str, int]:
    """How often each operator occurs, subgraphs included, the most frequent first; ``domain::Op`` off the default."""
    counts = Counter(
        f"{node.domain}::{node.op_type}" if node.domain else node.op_type for node in model.graph.all_nodes()
    )
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

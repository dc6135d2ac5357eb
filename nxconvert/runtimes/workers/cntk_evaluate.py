"""Evaluates functions of CNTK on arrays. Runs under Python 3.6, with CNTK 2.7."""

from typing import Any, Dict, List, Optional

import numpy as np

#: What a variable holds: a sample each, a sequence of them each, or what has nothing to do with samples.
BATCH, SEQUENCE, STATIC = "batch", "sequence", "static"


def layout(variable: Any) -> str:
    """What a variable holds."""
    axes = variable.dynamic_axes
    if any(axis.is_sequence_axis for axis in axes):
        return SEQUENCE
    return BATCH if axes else STATIC


def sequence_axis(variable: Any) -> Optional[str]:
    """The name of a variable's sequence axis."""
    return next((axis.name for axis in variable.dynamic_axes if axis.is_sequence_axis), None)


def evaluate(function: Any, feeds: Dict[Any, Any]) -> List[Any]:
    """What a function computes for a whole batch.

    Args:
        function: a composite function.
        feeds: by argument: a list of sequences, [length, *shape] each; or an array, [batch, *shape] or, without dynamic
            axes, [*shape].

    Returns:
        The same for each of its outputs.
    """
    import cntk

    arguments = {variable: given(variable, data) for variable, data in feeds.items()}
    if any(variable.is_sparse for variable in function.outputs):
        function = cntk.combine([dense(variable) for variable in function.outputs])
    outputs = function.outputs
    _, values = function.forward(arguments, outputs=outputs, as_numpy=False, device=cntk.device.cpu())
    return [unpacked(variable, values[variable]) for variable in outputs]


def given(variable: Any, data: Any) -> Any:
    """Data as CNTK takes it."""
    if layout(variable) == SEQUENCE:
        sequences = [np.ascontiguousarray(each, variable.dtype).reshape(np.shape(each)) for each in data]
        return [sparse(each) for each in sequences] if variable.is_sparse else sequences
    array = np.ascontiguousarray(data, variable.dtype).reshape(np.shape(data))  # which a scalar would lose
    return sparse(array) if variable.is_sparse else array


def sparse(array: Any) -> Any:
    """Samples in rows."""
    from scipy.sparse import csr_matrix

    return csr_matrix(array.reshape(len(array), -1))


def dense(variable: Any) -> Any:
    """An output that is no sparse one: those cannot be looked into."""
    import cntk

    if not variable.is_sparse:
        return variable
    return cntk.times(variable, np.identity(variable.shape[-1], variable.dtype)).output


def unpacked(variable: Any, value: Any) -> Any:
    """What a value holds: a list of arrays if the variable has sequences, else one array."""
    from cntk import cntk_py

    array = value.asarray()
    if hasattr(array, "toarray"):
        array = array.toarray().reshape(value.shape)
    if layout(variable) != SEQUENCE:
        return array
    mask = cntk_py.Value.mask(value)
    if mask is None:
        return list(array)
    lengths = (np.asarray(mask.asarray()) != 0).sum(1)
    return [row[:length] for row, length in zip(array, lengths)]

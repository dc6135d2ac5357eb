"""Random numbers: fills draw those that the runtime draws for their seed; without one they are refused."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from nxconvert.frontends.caffe2.ops.fills import fill_dims
from nxconvert.frontends.caffe2.random_fills import NO_SEED, RANDOM_FILLS, random_fill
from nxconvert.frontends.caffe2.table import Builder, Ints, LoweringError, Value, caffe2
from nxconvert.graph.dims import static


def _constant(x: Value, what: str) -> Any:
    if x.array is None:
        raise LoweringError(f"{what} depends on the model's inputs")
    return x.array.ravel().tolist()


def _register(operator: str) -> None:
    @caffe2(operator)
    def filled_with_random_numbers(
        op: Builder,
        like: Value | None = None,
        second: Value | None = None,
        third: Value | None = None,
        *,
        blob: str,
        random_seed: int | None,
        shape: Ints = (),
        input_as_shape: int = 0,
        extra_shape: Ints = (),
        **args: Any,
    ) -> Value:
        """The limits of ``UniformFill`` may be inputs; the second one of ``UniqueUniformFill`` holds what to avoid."""
        if random_seed is None:
            raise LoweringError(NO_SEED)
        sizes = static(fill_dims(op, like, shape, input_as_shape, extra_shape))
        if sizes is None:
            raise LoweringError("how many random numbers it draws depends on the model's inputs")
        avoid: list[int] = []
        if second is not None and third is not None:
            args = {**args, "min": _constant(second, "its min")[0], "max": _constant(third, "its max")[0]}
        elif second is not None:
            avoid = _constant(second, "what it avoids")
        numbers = ir.Tensor(random_fill(operator, sizes, args, random_seed, avoid))
        return op.weight(numbers, blob, (blob, random_seed, tuple(sizes)))


for _operator in RANDOM_FILLS:
    _register(_operator)

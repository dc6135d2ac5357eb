"""Scan along any axes and in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun


class Scan(OpRun):  # type: ignore[misc]
    """A body for each step; without steps the sizes of what it collects are not known."""

    def need_context(self) -> bool:
        return True

    def _run(
        self,
        *args: np.ndarray,
        context: Mapping[str, Any] | None = None,
        num_scan_inputs: int = 0,
        scan_input_axes: Sequence[int] | None = None,
        scan_input_directions: Sequence[int] | None = None,
        scan_output_axes: Sequence[int] | None = None,
        scan_output_directions: Sequence[int] | None = None,
        **_: Any,
    ) -> tuple[np.ndarray, ...]:
        count = len(args) - num_scan_inputs
        states = list(args[:count])
        steps = [
            _turned(np.moveaxis(x, axis, 0), direction)
            for x, axis, direction in zip(
                args[count:], _each(scan_input_axes, num_scan_inputs), _each(scan_input_directions, num_scan_inputs),
                strict=True,
            )
        ]  # fmt: skip
        body: Any = self.body
        collected: list[list[np.ndarray]] = [[] for _ in body.output_names[count:]]
        for at in zip(*steps, strict=True):
            inputs = {**(context or {}), **dict(zip(body.input_names, (*states, *at), strict=True))}
            results = self._run_body(inputs)
            states = list(results[:count])
            for values, value in zip(collected, results[count:], strict=True):
                values.append(value)
        if collected and not all(collected):
            raise ValueError("a Scan without steps has no outputs whose sizes are known")
        axes = _each(scan_output_axes, len(collected))
        directions = _each(scan_output_directions, len(collected))
        joined = [
            np.moveaxis(_turned(np.stack(values), direction), 0, axis)
            for values, axis, direction in zip(collected, axes, directions, strict=True)
        ]
        return (*states, *joined)


def _each(values: Sequence[int] | None, count: int) -> Sequence[int]:
    return values or [0] * count


def _turned(x: np.ndarray, direction: int) -> np.ndarray:
    return x[::-1] if direction else x

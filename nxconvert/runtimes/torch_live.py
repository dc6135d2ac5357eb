"""Runs a live module of PyTorch on flat named arrays, as the archives are run; it is left as it was."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from nxconvert.arguments import bind_named, nested
from nxconvert.errors import RunError, UsageError
from nxconvert.plugins import STATE_OUT, LiveModel
from nxconvert.runtimes.arrays import is_wanted, reason
from nxconvert.runtimes.torch_archives import array_of, flatten, quiet, tensor_of


class ModuleRunner:
    """A module in this process; its buffers are what it keeps from call to call."""

    description = f"PyTorch {torch.__version__}"

    def __init__(self, live: LiveModel) -> None:
        self._title = live.title
        self._module: torch.nn.Module = live.model
        self._buffers = dict(self._module.named_buffers())
        self.inputs = tuple(inspect.signature(self._module.forward).parameters)

    def __call__(self, inputs: Mapping[str, Any], outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        values = {n: tensor_of(v) if isinstance(v, np.ndarray | np.generic) else v for n, v in inputs.items()}
        state = {name: buffer.detach().clone() for name, buffer in self._buffers.items()}
        state.update((name, values.pop(name)) for name in self._buffers if name in values)
        given = dict(values)
        results = dict(flatten("output", self._call(values, state)))
        kept = {name: array for name, array in results.items() if is_wanted(name, outputs)}
        for name in outputs or ():
            changed = name.removesuffix(STATE_OUT)
            after = state.get(changed, given.get(changed))
            if name not in kept and changed != name and isinstance(after, torch.Tensor):
                kept[name] = array_of(after)
        return kept

    def _call(self, values: Mapping[str, Any], state: dict[str, torch.Tensor]) -> Any:
        """What ``forward`` returns; `state` holds the buffers before it, and those after it afterwards."""
        torch.manual_seed(0)
        try:
            bound = bind_named(self._module.forward, nested(values))
            with torch.no_grad(), quiet():
                return torch.func.functional_call(self._module, state, bound.args, bound.kwargs)
        except UsageError as error:
            raise RunError(str(error)) from error
        except Exception as error:
            raise RunError(f"{self._title} cannot be run by PyTorch on these inputs: {reason(error)}") from error

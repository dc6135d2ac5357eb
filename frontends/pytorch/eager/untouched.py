"""Runs code of others on a module, and leaves the module and PyTorch as they were."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any

import torch

_CONTAINERS = (list, dict, set, OrderedDict, deque)


@contextlib.contextmanager
def untouched(module: torch.nn.Module, *, runs: bool = False) -> Iterator[None]:
    """Makes `module` ready for inference, and takes back what the block does to it and to PyTorch's global state.

    Covers the attributes of every submodule, what is in lists, dicts and sets among them, the training flags, the
    random generator, the default dtype and the grad mode; and, where the block `runs` the module on real tensors, the
    elements of buffers. The flags are set without calling ``eval()``, which a module may have given effects of its own.
    """
    before = [_Before(part, contents=runs) for part in module.modules()]
    dtype = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            for part in module.modules():
                if getattr(part, "training", False):
                    part.training = False
            yield
        finally:
            for state in before:
                state.restore()
            torch.set_default_dtype(dtype)


class _Before:
    """What a module was like."""

    def __init__(self, module: torch.nn.Module, *, contents: bool) -> None:
        self._module = module
        self._training = getattr(module, "training", None)
        self._attributes = {} if isinstance(module, torch.jit.ScriptModule) else dict(vars(module))
        self._contents = {name: value.copy() for name, value in self._attributes.items() if type(value) in _CONTAINERS}
        buffers = module.buffers(recurse=False) if contents else ()
        self._buffers = [(buffer, buffer._version, buffer.detach().clone()) for buffer in buffers]

    def restore(self) -> None:
        if self._attributes:
            vars(self._module).clear()
            vars(self._module).update(self._attributes)
            for name, content in self._contents.items():
                _refill(self._attributes[name], content)
        elif self._training is not None:
            self._module.training = self._training
        for buffer, version, content in self._buffers:
            if buffer._version != version:
                with torch.no_grad():
                    buffer.copy_(content)


def _refill(container: Any, content: Any) -> None:
    container.clear()
    if isinstance(container, list | deque):
        container.extend(content)
    else:
        container.update(content)


@contextlib.contextmanager
def quiet() -> Iterator[list[warnings.WarningMessage]]:
    """Without what PyTorch prints, logs and warns about; the warnings are in the list afterwards."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        nowhere = io.StringIO()
        with (
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("always")
            yield caught
    finally:
        logging.disable(disabled)

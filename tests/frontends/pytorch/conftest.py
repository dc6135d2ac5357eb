"""Keeps PyTorch's compiler of scripts from taking one object for another."""

from __future__ import annotations

from typing import Any

from torch.jit import _builtins

_register, _kept = _builtins._register_builtin, []


def _register_and_keep(function: Any, operator: str) -> None:
    """Registers a built-in function, and keeps it.

    PyTorch knows the functions by their addresses and does not hold them: where one is gone, say with the library that
    it was in, whatever comes to lie there is taken for it ("builtin cannot be used as a value").
    """
    _kept.append(function)
    _register(function, operator)


_builtins._register_builtin = _register_and_keep

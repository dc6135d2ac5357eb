"""Weights for a module that code has made: read without running code, and loaded strictly."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from nxconvert.errors import ReadError, RuntimeMissingError
from nxconvert.formats.safetensors import is_safetensors
from nxconvert.runtimes.arrays import reason

_SHOWN = 6
# How torch.load says that a file holds more than data.
_UNSAFE = "weights_only"
_GLOBAL = re.compile(r"GLOBAL (?P<name>[\w.]+)")

State = Mapping[str, torch.Tensor]


def read_weights(path: Path, *, trust_code: bool = False) -> Any:
    """What is in a file of ``torch.save`` or of safetensors: a mapping of tensors, or mappings around one.

    Raises:
        ReadError: it cannot be read, or not without running code that it holds.
        RuntimeMissingError: the safetensors package is not installed.
    """
    if not path.is_file():
        raise ReadError(f"{path} {'is no file' if path.exists() else 'does not exist'}.")
    if is_safetensors(path):
        return _read_safetensors(path)
    try:
        return _torch_load(path, weights_only=not trust_code)
    except Exception as error:
        if not trust_code and _UNSAFE in str(error):
            named = _GLOBAL.search(str(error))
            what = named["name"] if named else "Python objects"
            raise ReadError(
                f"{path} holds more than tensors ({what}), and reading it would run code of the file. If you trust "
                "it, say --trust-code; better save the state dict alone: torch.save(model.state_dict(), ...)."
            ) from error
        raise ReadError(f"{path} cannot be read as weights: {reason(error)}") from error


def _torch_load(path: Path, *, weights_only: bool) -> Any:
    """Mapped where the format allows it, so that the weights are in memory once: as those of the module."""
    try:
        return torch.load(path, map_location="cpu", weights_only=weights_only, mmap=True)
    except RuntimeError:  # the format before PyTorch 1.6
        return torch.load(path, map_location="cpu", weights_only=weights_only)


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise RuntimeMissingError(
            f"{path} is a safetensors file, and the package that reads them is not installed: "
            "pip install 'nxconvert[safetensors]'."
        ) from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ReadError(f"{path} is damaged: {error}.") from error


def load_weights(module: torch.nn.Module, found: Any, title: str, path: Path) -> list[str]:
    """Loads weights into a module, every one of them.

    Args:
        module: what to load them into.
        found: what the file holds: a state dict, or a checkpoint with one inside.
        title: what to call the module.
        path: the file.

    Returns:
        What the user should know, a sentence each.

    Raises:
        ReadError: they are not those of the module; says which are missing, superfluous or of another shape.
    """
    expected = module.state_dict()
    place, state = _choose(found, expected, path)
    remarks = [f"the weights are those under {place!r} in {path}."] if place else []
    prefix = _prefix(state, expected)
    if prefix:
        state = _without(state, prefix)
        remarks.append(f"the weights in {path} begin with {prefix!r}, which was left out.")
    try:
        # Into a module without memory (on the meta device) nothing can be copied: it gets the tensors themselves.
        module.load_state_dict(state, strict=True, assign=any(item.is_meta for item in _tensors(expected)))
    except RuntimeError as error:
        raise ReadError(_mismatch(state, expected, title, path) or f"{path}: {reason(error)}") from error
    return remarks


def _tensors(state: State) -> Iterator[torch.Tensor]:
    return (item for item in state.values() if isinstance(item, torch.Tensor))  # there may be a module's own extras


def _choose(found: Any, expected: State, path: Path) -> tuple[str, State]:
    """The state dict in a checkpoint that fits best, and where it is."""
    if isinstance(found, torch.nn.Module):
        return "", found.state_dict()
    candidates = list(_state_dicts(found))
    if not candidates:
        raise ReadError(f"{path} holds no state dict: it is {type(found).__name__}.")

    def common(item: tuple[str, State]) -> int:
        prefix = _prefix(item[1], expected)
        return sum(key.removeprefix(prefix) in expected for key in item[1])

    return max(candidates, key=common)


def _state_dicts(found: Any, place: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """The mappings of names to tensors, outermost first."""
    if not isinstance(found, Mapping) or depth > 2:
        return
    if (
        found
        and all(isinstance(key, str) for key in found)
        and any(isinstance(x, torch.Tensor) for x in found.values())
    ):
        yield place, found
    for key, value in found.items():
        yield from _state_dicts(value, f"{place}.{key}" if place else str(key), depth + 1)


def _prefix(state: State, expected: State) -> str:
    """What every name begins with (``module.`` of DataParallel) if the rest are exactly the names of the module."""
    first = next(iter(state), "")
    parts = first.split(".")
    for count in range(1, len(parts)):
        prefix = ".".join(parts[:count]) + "."
        if all(key.startswith(prefix) for key in state) and {key.removeprefix(prefix) for key in state} == set(
            expected
        ):
            return prefix
    return ""


def _without(state: State, prefix: str) -> State:
    """The state dict with shorter names; what PyTorch keeps about versions beside it, too."""
    shorter = OrderedDict((key.removeprefix(prefix), value) for key, value in state.items())
    metadata = getattr(state, "_metadata", None)
    if metadata is not None:
        shorter._metadata = {key.removeprefix(prefix[:-1]).removeprefix("."): v for key, v in metadata.items()}  # type: ignore[attr-defined]
    return shorter


def _mismatch(state: State, expected: State, title: str, path: Path) -> str:
    """What does not fit, in words."""
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    reshaped = [
        f"{key} is {list(state[key].shape)}, not {list(want.shape)}"
        for key, want in expected.items()
        if isinstance(want, torch.Tensor) and key in state and state[key].shape != want.shape
    ]
    complaints = [
        _listing(missing, "missing from the file"),
        _listing(unexpected, "in the file, but not in the model"),
        _listing(reshaped, "of another shape"),
    ]
    found = "; ".join(complaint for complaint in complaints if complaint)
    return f"the weights in {path} are not those of {title}: {found}." if found else ""


def _listing(items: Sequence[str], what: str) -> str:
    if not items:
        return ""
    more = f", ... (and {len(items) - _SHOWN} more)" if len(items) > _SHOWN else ""
    return f"{len(items)} {what}: {', '.join(items[:_SHOWN])}{more}"

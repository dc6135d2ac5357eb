"""Live tensors as the reader knows tensors: views of their memory, never copies of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from nxconvert.errors import ReadError
from nxconvert.formats.tensors import Memory
from nxconvert.formats.torch_values import TORCH_DTYPES, Storage, TensorData

_PLAIN = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)


def describe_all(tensors: Mapping[str, Any]) -> dict[str, TensorData]:
    """The tensors among `tensors`; those that share a storage share it still.

    Raises:
        ReadError: one of them has no memory that can be read.
    """
    storages: dict[int, Storage] = {}
    return {name: _describe(name, item, storages) for name, item in tensors.items() if isinstance(item, torch.Tensor)}


def _describe(name: str, tensor: torch.Tensor, storages: dict[int, Storage]) -> TensorData:
    require_values(name, tensor)
    dtype = TORCH_DTYPES.get(str(tensor.dtype).removeprefix("torch."))
    if dtype is None or tensor.layout is not torch.strided:
        kind = str(tensor.dtype if dtype is None else tensor.layout).removeprefix("torch.")
        raise ReadError(
            f"the tensor '{name}' is {kind}, which cannot be read from a live module; for a quantized module, save it "
            "with torch.jit.save(torch.jit.trace(...)) or torch.jit.script and convert the file."
        )
    return TensorData(
        dtype,
        tuple(tensor.shape),
        tensor.stride(),
        tensor.storage_offset(),
        _storage(name, tensor, storages),
        requires_grad=tensor.requires_grad,
        conjugated=tensor.is_conj(),
        negated=tensor.is_neg(),
    )


def require_values(name: str, tensor: torch.Tensor) -> None:
    """Refuses tensors whose elements are nowhere.

    Raises:
        ReadError: the tensor is on the meta device, is not initialised yet, or is of a class that hides its memory.
    """
    if torch.nn.parameter.is_lazy(tensor):
        raise ReadError(f"the parameter '{name}' has no shape yet: run the module once before it is converted.")
    if tensor.is_meta:
        raise ReadError(
            f"the tensor '{name}' is on the meta device: it has a shape but no elements. Load the weights first "
            "(module.to_empty(device='cpu'), then load_state_dict)."
        )
    if type(tensor) not in _PLAIN:
        raise ReadError(
            f"the tensor '{name}' is a {type(tensor).__name__}, which keeps its elements in a way of its own; "
            "turn it into an ordinary tensor first."
        )


def _storage(name: str, tensor: torch.Tensor, storages: dict[int, Storage]) -> Storage:
    """The memory under a tensor, described once however many tensors view it; copied only from another device."""
    untyped = tensor.untyped_storage()
    address = untyped.data_ptr() if untyped.nbytes() else -1 - len(storages)
    known = storages.get(address)
    if known is None:
        nbytes = untyped.nbytes()
        device = str(untyped.device)
        here = untyped if untyped.device.type == "cpu" else untyped.cpu()
        content = torch.empty(0, dtype=torch.uint8).set_(here, 0, (nbytes,), (1,)).numpy()
        # Elements are of the machine's own byte order, and so are the arrays over them: no need to swap.
        known = storages[address] = Storage(name, "Untyped", device, Memory(content, "the module"), 0, nbytes)
    return known

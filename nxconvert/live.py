"""Models that are objects in this process, not files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from nxconvert.errors import UsageError
from nxconvert.plugins import Frontend, LiveFrontend, LiveModel, ReadOptions, State, frontends

if TYPE_CHECKING:
    import onnx_ir as ir

#: By which of PyTorch's ways a program is made of a module.
Via: TypeAlias = Literal["export", "script", "trace"]
_PYTORCH = "pytorch"


class LiveModelWarning(UserWarning):
    """What the user should know about a conversion of a live model."""


def from_torch(
    module: Any,
    example_inputs: Any = (),
    *,
    kwargs: Mapping[str, Any] | None = None,
    dynamic: Any = None,
    via: Via = "export",
    state: State = "steady",
) -> ir.Model:
    """The graph of a live PyTorch module, optimized as `convert` does it; `save` writes it.

    The module goes through ``torch.export``, in memory. It is converted as it computes in eval mode, and neither it nor
    PyTorch's global state is changed. Weights are not copied: the graph views the tensors of the module, so save it
    before they change.

    Args:
        module: a ``torch.nn.Module``, an ``ExportedProgram``, a scripted or traced module, or a function of tensors.
        example_inputs: the positional arguments of ``forward``: a tuple, or the one tensor. Python numbers, strings and
            None among them are built in. Not needed for an ``ExportedProgram``.
        kwargs: arguments by name.
        dynamic: which sizes are free; all others are those of the example. ``True``: axis 0 of every tensor, called
            ``batch``. By argument, in order or by name: ``{"x": {0: "batch", 2: "height"}}`` or ``{"x": ["batch", None,
            "height"]}``; tensors in containers by flat name (``"x.0"``) or nested. ``True`` frees a size without giving
            it a name; ``torch.export.Dim`` objects and torch's ``dynamic_shapes`` are taken as well. Equal names mean
            equal sizes.
        via: ``"export"``. For modules that torch.export refuses: ``"script"`` compiles the code with
            ``torch.jit.script`` and keeps its control flow; ``"trace"`` records what the example inputs do, and freezes
            every decision that depends on them, which no error will tell: it is never taken unless asked for.
        state: of a module that updates buffers, ``"steady"`` reads any call, with the buffers as inputs and outputs,
            ``"first"`` the call that begins with what they hold now.

    Warns:
        LiveModelWarning: what the user should know: the module was in training mode, changes its inputs, ...

    Raises:
        RuntimeMissingError: PyTorch is not installed.
        UsageError: an argument makes no sense, or the module fixes a size that is to be free.
        ReadError: PyTorch makes no program of the module, or its weights are not there (meta device).
        UnsupportedError: the module uses operators that cannot be expressed; lists all of them.
    """
    from nxconvert.passes import optimize

    if isinstance(example_inputs, Mapping):
        raise UsageError("example_inputs are the positional arguments of forward; give those with names as kwargs=.")
    args = tuple(example_inputs) if isinstance(example_inputs, list | tuple) else (example_inputs,)
    live = LiveModel(
        model=module,
        format=_PYTORCH,
        title=getattr(module, "__name__", type(module).__name__),
        args=args,
        kwargs=dict(kwargs or {}),
        dynamic=dynamic,
    )
    found: list[str] = []
    model = live_frontend(_PYTORCH).read_live(live, ReadOptions(state=state, via=via, warn=found.append))
    for message in dict.fromkeys(found):
        warnings.warn(message, LiveModelWarning, stacklevel=2)
    return optimize(model)


def make_live(code: str, weights: Path | None = None, *, trust_code: bool = False) -> LiveModel:
    """The PyTorch model that Python code makes; see `LiveFrontend.make_live`."""
    return live_frontend(_PYTORCH).make_live(code, weights, trust_code=trust_code)


def live_frontend(format: str) -> LiveFrontend:
    """The frontend for live models of a format.

    Raises:
        UsageError: there is none.
    """
    known: Mapping[str, Frontend] = frontends()
    frontend = known.get(format)
    if not isinstance(frontend, LiveFrontend):
        able: Sequence[str] = [name for name, each in known.items() if isinstance(each, LiveFrontend)]
        raise UsageError(f"no live models of the format {format!r} are known; there are some of {', '.join(able)}.")
    return frontend

"""From a live module to a program: torch.export in memory, and its graph in the form that files have."""

from __future__ import annotations

import copy
import inspect
import json
import re
import sysconfig
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch._export.serde import serialize

from nxconvert.errors import NxConvertError, ReadError, UsageError
from nxconvert.formats.torch_export import Program, decode_program
from nxconvert.frontends.pytorch.eager.dynamic import Free, free_sizes
from nxconvert.frontends.pytorch.eager.tensors import describe_all, require_values
from nxconvert.frontends.pytorch.eager.untouched import quiet, untouched
from nxconvert.frontends.pytorch.export.signature import user_inputs
from nxconvert.frontends.pytorch.export.sizes import bare_symbol

_TORCH = str(Path(torch.__file__).parent)
_NOT_THE_USERS = (_TORCH, sysconfig.get_path("stdlib"), str(Path(__file__).parent), "<")
# What torch.export says of a computation on the values of tensors that Python wants to decide about.
_DATA_DEPENDENT = ("GuardOnDataDependentSymNode", "DataDependentOutputException", "UnsupportedOperatorException")
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?!<module>)')
_WAYS_OUT = (
    "Where its control flow depends on data, write it with torch.cond, or take another way: via='script' keeps it if "
    "TorchScript understands the code, via='trace' freezes what these inputs do (--via on the command line)."
)


def as_module(model: Any) -> torch.nn.Module:
    """A module that computes what `model` does: itself, or a function as the ``forward`` of one.

    Raises:
        UsageError: it is nothing that can be called.
    """
    if isinstance(model, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
        return as_module(model.module)
    if isinstance(model, torch.nn.Module):
        compiled = getattr(model, "_orig_mod", None)  # torch.compile's, which only runs faster
        return compiled if isinstance(compiled, torch.nn.Module) else model
    if not callable(model):
        raise UsageError(
            f"{type(model).__name__} is no model: give a torch.nn.Module, a torch.export.ExportedProgram or a function."
        )
    module = torch.nn.Module().eval()
    owner = getattr(model, "__self__", None)
    if isinstance(owner, torch.nn.Module):
        module.add_module("model", owner)
    module.forward = model
    return module


def bind(module: torch.nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
    """The example inputs as arguments of ``forward``.

    Raises:
        UsageError: they do not fit.
    """
    signature = inspect.signature(module.forward)
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UsageError(f"the example inputs do not fit forward{signature}: {error}.") from None


def export(
    module: torch.nn.Module,
    bound: inspect.BoundArguments,
    dynamic: Any,
    title: str,
    warn: Callable[[str], None],
) -> Program:
    """The program of a module.

    Args:
        module: it; it is left as it was.
        bound: example inputs.
        dynamic: what is free, see `free_sizes`.
        title: what to call the module.
        warn: takes what the user should know.

    Raises:
        ReadError: torch.export makes no program of it.
        UsageError: the inputs or what is said of them do not fit, or the model fixes a size that is to be free.
    """
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        require_values(name, tensor)
    if hasattr(dynamic, "dynamic_shapes"):  # torch.export.ShapesCollection
        dynamic = dynamic.dynamic_shapes(module, bound.args, bound.kwargs)
    free = free_sizes(bound.arguments, dynamic)
    bound.arguments.update(free.arguments)
    if any(part.training for part in module.modules()):
        warn(f"{title} is in training mode; it is converted as it computes in eval mode.")
    with untouched(module):
        try:
            with quiet():
                exported = torch.export.export(
                    module, bound.args, bound.kwargs, dynamic_shapes=free.shapes, strict=False
                )
        except Exception as error:
            raise _refused(title, error, module, bound) from error
        return _named(program_of(exported), free, exported, warn)


def program_of(exported: torch.export.ExportedProgram) -> Program:
    """An exported program as a file would describe it; its weights are views of the live tensors."""
    try:
        serializer = serialize.GraphModuleSerializer(exported.graph_signature, [])
        with quiet():
            text = {
                "graph_module": serializer.serialize(exported.graph_module),
                "range_constraints": serialize.serialize_range_constraints(exported.range_constraints),
            }
            plain = json.loads(json.dumps(serialize._dataclass_to_dict(text), cls=serialize.EnumEncoder))
        plain["graph_module"]["module_call_graph"] = [{"fqn": "", "signature": _call_signature(exported)}]
        tensors = describe_all({**exported.constants, **exported.state_dict})
        return decode_program({**plain, "torch_version": torch.__version__}, tensors)
    except NxConvertError:
        raise
    except Exception as error:
        raise ReadError(
            f"the exported program cannot be written down by PyTorch {torch.__version__} "
            f"({type(error).__name__}: {brief(error)})."
        ) from error


def _call_signature(exported: torch.export.ExportedProgram) -> dict[str, Any]:
    """How the program is called. PyTorch would write down containers only of classes that are registered for it."""
    entry = exported.module_call_graph[0].signature
    return {
        "in_spec": json.dumps([1, _tree(exported.call_spec.in_spec)]),
        "out_spec": json.dumps([1, _tree(exported.call_spec.out_spec)]),
        "forward_arg_names": None if entry is None else entry.forward_arg_names,
    }


def _tree(spec: Any) -> dict[str, Any]:
    if spec.is_leaf():
        return {"type": None, "context": None, "children_spec": []}
    context = spec.context
    keys = list(getattr(context, "_fields", ())) or (context[1] if spec.type is defaultdict else context)
    return {
        "type": f"{spec.type.__module__}.{spec.type.__qualname__}",
        "context": json.dumps([str(key) for key in keys]) if isinstance(keys, list) else None,
        "children_spec": [_tree(child) for child in spec.children()],
    }


# ---- sizes -----------------------------------------------------------------------------------------------------------


def _named(
    program: Program, free: Free, exported: torch.export.ExportedProgram, warn: Callable[[str], None]
) -> Program:
    """The program with the names that its free sizes are to have."""
    # In the order of the arguments: what is in `*args` has other names in the program.
    tensors = [item for item in user_inputs(program) if item.kind == "tensor"]
    sizes = {path: item.sizes for path, item in zip(free.tensors(), tensors, strict=True)}
    names: dict[str, str] = {}
    fixed = []
    for path, axes in free.names.items():
        for axis, name in axes.items():
            size = sizes[path][axis]
            if isinstance(size, int):
                fixed.append(_fixed(path, axis, name, size, exported))
            symbol = bare_symbol(size) if isinstance(size, str) else None
            if symbol is None or name is None:
                continue
            if names.setdefault(symbol, name) != name:
                warn(f"the model wants '{names[symbol]}' and '{name}' to be equal; both are called '{names[symbol]}'.")
    if fixed:
        raise UsageError(
            f"{'; '.join(fixed)}. Leave it out of dynamic (give it a number with --input), change the code so that it "
            "takes any size, or take another way than torch.export, which fixes more than others (the steps of LSTM, "
            "GRU and RNN layers, for one): via='script' or via='trace' (--via on the command line)."
        )
    return replace(program, names=names)


def _fixed(path: str, axis: int, name: str | None, size: int, exported: torch.export.ExportedProgram) -> str:
    called = f"'{name}', " if name else ""
    where = _where_fixed(path, axis, exported)
    return f"{called}axis {axis} of the input '{path}', is to be free, but the model works with {size} only{where}"


def _where_fixed(path: str, axis: int, exported: torch.export.ExportedProgram) -> str:
    """The line of code that wanted a size to be a certain one, as far as PyTorch knows."""
    values = (node.meta.get("val") for node in exported.graph.nodes)
    environment = next((value.fake_mode.shape_env for value in values if hasattr(value, "fake_mode")), None)
    sources = getattr(environment, "source_to_var", {})
    name, *keys = path.split(".")
    parts = "".join(rf"\[(?:'{re.escape(key)}'|{re.escape(key)})\]" for key in keys)
    source = re.compile(rf"L\['{re.escape(name)}'\]{parts}\.size\(\)\[{axis}\]")
    symbol = next((var for text, var in sources.items() if source.fullmatch(text)), None)
    places = getattr(environment, "replacements_slocs", {}).get(symbol)
    frame: Any = getattr(places, "framework_loc", None)
    inside = getattr(frame, "filename", _TORCH).startswith(_TORCH)
    return "" if inside else f" (because of {frame.filename}:{frame.lineno})"


# ---- failures --------------------------------------------------------------------------------------------------------


def _refused(title: str, error: Exception, module: torch.nn.Module, bound: inspect.BoundArguments) -> NxConvertError:
    """What to say of an error of torch.export."""
    kind, text = type(error).__name__, str(error)
    where = _users_line(error)
    at = f" at {where}" if where else ""
    if "Constraints violated" in text or "user-specified ranges" in text:
        details = "; ".join(re.findall(r"^\s*- (.+)$", text, re.MULTILINE)) or brief(error)
        return UsageError(f"torch.export cannot keep the sizes of {title} free that dynamic names: {details}")
    if kind in _DATA_DEPENDENT or "data-dependent" in text:
        return ReadError(f"{title} decides by the values of tensors{at}, which torch.export cannot follow. {_WAYS_OUT}")
    if _runs(module, bound):
        return ReadError(f"torch.export makes no program of {title}: {kind}{at}: {brief(error)} {_WAYS_OUT}")
    return ReadError(f"{title} does not run on the example inputs: {kind}{at}: {brief(error)}")


def _users_line(error: Exception) -> str:
    """The innermost line outside of PyTorch that an error comes from: ``file:line``."""
    named = [f"{file}:{line}" for file, line in _FRAME.findall(str(error))]
    frames = [
        f"{frame.filename}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if _is_users(frame.filename)
    ]
    found = [place for place in named if _is_users(place)] or frames
    return found[-1] if found else ""


def _is_users(file: str) -> bool:
    return not file.startswith(_NOT_THE_USERS) or ("site-packages" in file and not file.startswith(_TORCH))


def _runs(module: torch.nn.Module, bound: inspect.BoundArguments) -> bool:
    """Whether the module runs on its example inputs at all, which tells whose fault a failure is."""
    try:
        with untouched(module, runs=True), quiet():
            module(*copy.deepcopy(bound.args), **copy.deepcopy(bound.kwargs))
    except Exception:
        return False
    return True


def brief(error: Exception) -> str:
    """The first line of an error's message, as a sentence."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{lines[0].strip().rstrip('.:')}." if lines else ""

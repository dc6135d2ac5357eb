"""Holds a whole TorchScript program against PyTorch: the same calls through both.

Programs are plain functions or modules in the test files, since TorchScript compiles from source.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import nxconvert
from nxconvert.inputs import InputSpec
from nxconvert.plugins import STATE_OUT

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")
onnxruntime = pytest.importorskip(
    "onnxruntime", reason="onnxruntime is not installed: pip install 'nxconvert[runtime]'"
)

Program = Any  # a function, a module, or one of those compiled
Call = tuple[Any, ...]


def check(
    program: Program,
    *calls: Call,
    free: tuple[bool, ...] = (True, False),
    inputs: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-6,
) -> None:
    """Converts a program, runs the calls in ONNX Runtime, and compares what each returns with what PyTorch returns.

    Args:
        program: what is called.
        calls: its arguments. Each call begins with the state that the archive has.
        free: whether to try with every dim free (one conversion for all calls), with every size known (a conversion for
            each call), or both.
        inputs: declares inputs otherwise than after the calls.
        constants: pins arguments; the calls give them, too.
        rtol: relative tolerance of floats.
        atol: absolute tolerance of floats.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = save(program, folder)
        expected = [run_torch(source, call) for call in calls]
        converted: dict[str, Path] = {}
        for is_free in free:
            for call, want in zip(calls, expected, strict=True):
                feeds = arguments(source, call, constants)
                specs = inputs if inputs is not None else declare(feeds, free=is_free)
                key = repr(sorted((name, str(spec)) for name, spec in specs.items()))
                if key not in converted:
                    converted[key] = Path(folder) / f"{len(converted)}.onnx"
                    convert(source, converted[key], specs, constants)
                compare(run(converted[key], feeds), want, rtol, atol)


def never_wrong(program: Program, *calls: Call) -> None:
    """As `check`, for programs of which no graph can always tell which tensors are one: they may be refused instead."""
    for free in (True, False):
        with contextlib.suppress(nxconvert.UnsupportedError):
            check(program, *calls, free=(free,))


def check_sequence(
    program: Program,
    *calls: Call,
    steady_from: int = 0,
    free: bool = True,
    rtol: float = 1e-5,
    atol: float = 1e-6,
) -> list[str]:
    """The same for a program that keeps state: the calls follow each other, and what one leaves is fed to the next.

    Args:
        program: what is called.
        calls: its arguments.
        steady_from: the first call that is compared; the ones before it may only warm PyTorch's module up, whose state
            is then fed.
        free: whether every dim is free.
        rtol: relative tolerance of floats.
        atol: absolute tolerance of floats.

    Returns:
        the names of the state.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = save(program, folder), Path(folder) / "model.onnx"
        module = torch.jit.load(source)
        feeds = [arguments(source, call, None) for call in calls]
        convert(source, target, declare(feeds[0], free=free), None)
        state: dict[str, np.ndarray] = {}
        session = _session(target)
        names = [item.name.removesuffix(STATE_OUT) for item in session.get_outputs() if item.name.endswith(STATE_OUT)]
        for index, (call, given) in enumerate(zip(calls, feeds, strict=True)):
            want = dict(flatten("output", module(*_clone(call))))
            if index >= steady_from:
                outputs = run(target, {**given, **state})
                left = dict(leaf for name in names for leaf in flatten(f"{name}{STATE_OUT}", _attribute(module, name)))
                compare(outputs, {**want, **left}, rtol, atol)
            state = dict(leaf for name in names for leaf in flatten(name, _attribute(module, name)))
        return names


def refused(program: Program, *call: Any, match: str, constants: Mapping[str, Any] | None = None) -> None:
    """Says that a program is refused with a message that matches, however its inputs are declared."""
    with tempfile.TemporaryDirectory() as folder:
        source = save(program, folder)
        specs = declare(arguments(source, call, constants), free=True)
        with pytest.raises(nxconvert.NxConvertError, match=match):
            convert(source, Path(folder) / "model.onnx", specs, constants)


def save(program: Program, folder: str) -> Path:
    """The archive of a program."""
    path = Path(folder) / "model.pt"
    if not isinstance(program, torch.jit.ScriptModule | torch.jit.ScriptFunction):
        program = torch.jit.script(program.eval() if isinstance(program, torch.nn.Module) else program)
    program.save(str(path))
    return path


def trace(program: Callable[..., Any], *example: Any, check: bool = True) -> Program:
    """A program, traced with an example."""
    with torch.no_grad():
        return torch.jit.trace(program, example, check_trace=check)


def convert(
    source: Path, target: Path, specs: Mapping[str, Any], constants: Mapping[str, Any] | None
) -> onnx.ModelProto:
    """Converts, and lets the checker look at what comes out."""
    nxconvert.convert(source, target, inputs=specs, constants=constants)
    model = onnx.load(target)
    onnx.checker.check_model(model, full_check=True)
    return model


def run_torch(source: Path, call: Call) -> dict[str, np.ndarray]:
    """What PyTorch returns, by the names of the graph's outputs."""
    with torch.no_grad():
        return dict(flatten("output", torch.jit.load(source)(*_clone(call))))


def run(target: Path, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What ONNX Runtime computes; of the feeds it takes those that the graph still has."""
    session = _session(target)
    known = {item.name for item in (*session.get_inputs(), *session.get_overridable_initializers())}
    values = session.run(None, {name: array for name, array in feeds.items() if name in known})
    return dict(zip([item.name for item in session.get_outputs()], values, strict=True))


def _session(target: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(target, options, providers=["CPUExecutionProvider"])


def arguments(source: Path, call: Call, constants: Mapping[str, Any] | None) -> dict[str, np.ndarray]:
    """The arrays of a call, by the names of the graph's inputs."""
    schema = torch.jit.load(source).forward.schema
    names = [argument.name for argument in schema.arguments][1:]
    given = {name: value for name, value in zip(names, call, strict=False) if name not in (constants or {})}
    return dict(leaf for name, value in given.items() for leaf in flatten(name, value))


def declare(feeds: Mapping[str, np.ndarray], *, free: bool) -> dict[str, InputSpec]:
    """How the inputs of a call are declared."""
    return {
        name: InputSpec(
            str(array.dtype),
            tuple(f"{name.replace('.', '_')}_{axis}" if free else size for axis, size in enumerate(array.shape)),
        )
        for name, array in feeds.items()
    }


def flatten(name: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors and numbers in a value, by the names that a graph has for them."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from flatten(f"{name}.{key}", item)
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for field, item in zip(value._fields, value, strict=True):
            yield from flatten(f"{name}.{field}", item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, item in enumerate(value):
            yield from flatten(f"{name}.{index}", item)
    elif isinstance(value, torch.Tensor):
        yield name, value.detach().clone().numpy()
    elif value is not None:
        yield name, np.asarray(value, np.float32 if isinstance(value, float) else None)


def compare(actual: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], rtol: float, atol: float) -> None:
    """Names, dtypes, shapes and numbers. What the program left in its arguments is no result, unless it is expected."""
    actual = {name: array for name, array in actual.items() if name in expected or not name.endswith(STATE_OUT)}
    assert list(actual) == list(expected), f"outputs {list(actual)}, PyTorch returns {list(expected)}"
    for name, want in expected.items():
        got = actual[name]
        assert got.shape == want.shape, f"{name} has the shape {got.shape}, PyTorch returns {want.shape}"
        assert got.dtype == want.dtype, f"{name} is of {got.dtype}, PyTorch returns {want.dtype}"
        if want.dtype.kind == "f":
            np.testing.assert_allclose(got, want, rtol=rtol, atol=atol, err_msg=name)
        else:
            np.testing.assert_array_equal(got, want, err_msg=name)


def _attribute(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part) if hasattr(module, part) else module[int(part) if part.isdecimal() else part]
    return module


def _clone(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, list | tuple):
        items = [_clone(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return {key: _clone(item) for key, item in value.items()} if isinstance(value, dict) else value

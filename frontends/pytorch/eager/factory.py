"""Models that Python code makes: ``package.module:factory``, imported and called, with weights loaded into them."""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from nxconvert.errors import ReadError, UsageError
from nxconvert.frontends.pytorch.eager.state_dict import load_weights, read_weights
from nxconvert.plugins import LiveModel
from nxconvert.runtimes.arrays import reason

_FORM = "--model takes package.module:factory, path/to/file.py:factory, or factory(name=value) with Python literals"


def make_live(code: str, weights: Path | None, *, trust_code: bool) -> LiveModel:
    """The module that a factory makes, with weights; see `nxconvert.plugins.LiveFrontend`."""
    state = None if weights is None else read_weights(weights, trust_code=trust_code)
    module = make_module(code)
    if state is None or weights is None:
        remarks = [
            f"no --weights are given: {code} is converted with the weights that it makes itself, which are random ones "
            "unless it loads some."
        ]
    else:
        remarks = load_weights(module, state, code, weights)
    module.eval()
    return LiveModel(model=module, format="pytorch", title=code, weights=weights, remarks=tuple(remarks))


def make_module(code: str) -> torch.nn.Module:
    """What the factory returns.

    Raises:
        UsageError: there is no such factory, it cannot be called like this, or it makes no module.
        ReadError: it fails.
    """
    place, attribute, args, kwargs = _parse(code)
    found = _attribute(_import(place), place, attribute)
    if isinstance(found, torch.nn.Module):
        return found
    if not callable(found):
        raise UsageError(f"{code} is {_kind(found)}, neither a factory nor a module.")
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # written in C, or with a signature that lies
        signature = None
    if signature is not None:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(
                f"{code} cannot be called like this: {error}; its arguments are {attribute}{signature}. "
                f"Give them as in --model '{place}:{attribute}(size=3)'."
            ) from None
    try:
        made = found(*args, **kwargs)
    except Exception as error:
        raise ReadError(f"{code} fails: {type(error).__name__}: {error}") from error
    if not isinstance(made, torch.nn.Module):
        raise UsageError(f"{code} returns {_kind(made)}, not a torch.nn.Module.")
    return made


def _kind(value: Any) -> str:
    return "None" if value is None else f"an object of the class {type(value).__name__}"


def _parse(code: str) -> tuple[str, str, list[Any], Mapping[str, Any]]:
    """The module, the attribute in it, and the arguments."""
    place, colon, call = code.partition(":") if ".py:" not in code else _split_path(code)
    if not (place and colon and call):
        raise UsageError(f"cannot understand {code!r}: {_FORM}.")
    try:
        tree = ast.parse(call, mode="eval").body
        if not isinstance(tree, ast.Call):
            return place, _dotted(tree), [], {}
        if any(keyword.arg is None for keyword in tree.keywords):
            raise ValueError("** has no place here")
        args = [_literal(argument) for argument in tree.args]
        kwargs = {str(keyword.arg): _literal(keyword.value) for keyword in tree.keywords}
        return place, _dotted(tree.func), args, kwargs
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"cannot understand {code!r} ({error}): {_FORM}.") from None


def _literal(tree: ast.expr) -> Any:
    try:
        return ast.literal_eval(tree)
    except ValueError:
        raise ValueError(f"{ast.unparse(tree)} is no literal") from None


def _split_path(code: str) -> tuple[str, str, str]:
    """A path may have a colon of its own."""
    place, mark, call = code.partition(".py:")
    return f"{place}.py", mark, call


def _dotted(tree: ast.expr) -> str:
    if isinstance(tree, ast.Name):
        return tree.id
    if isinstance(tree, ast.Attribute):
        return f"{_dotted(tree.value)}.{tree.attr}"
    raise ValueError("the factory is to be a name")


def _import(place: str) -> ModuleType:
    try:
        if place.endswith(".py"):
            return _import_file(Path(place))
        return importlib.import_module(place)
    except UsageError:
        raise
    except ImportError as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and (place == missing or place.startswith(f"{missing}.")):
            raise UsageError(
                f"there is no Python module {missing!r}; modules are looked for in the current folder and among the "
                "installed packages of this Python."
            ) from error
        raise ReadError(f"{place} cannot be imported: {type(error).__name__}: {error}") from error
    except Exception as error:
        raise ReadError(f"{place} cannot be imported: {type(error).__name__}: {error}") from error


def _import_file(path: Path) -> ModuleType:
    """The module in a file, which may import what lies beside it."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}.")
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python module.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _attribute(module: ModuleType, place: str, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            known = {item.lower(): item for item in dir(found) if not item.startswith("_")}
            close = [known[item] for item in difflib.get_close_matches(part.lower(), known, 3)]
            hint = f"; did you mean {' or '.join(close)}?" if close else "."
            raise UsageError(f"{place} has no {name}{hint}")
        found = getattr(found, part)
    return found


def open_module(path: Path) -> LiveModel:
    """The module that is pickled in a file. This runs code of the file."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:
        advice = ""
        if isinstance(error, ImportError | AttributeError):
            advice = " The code of the module has to be there under its old name: in the current folder, or installed."
        raise ReadError(
            f"{path} cannot be unpickled by PyTorch {torch.__version__}: {type(error).__name__}: "
            f"{reason(error)}{advice}"
        ) from error
    if not isinstance(found, torch.nn.Module):
        raise ReadError(f"{path} holds {_kind(found)}, not a torch.nn.Module.")
    return LiveModel(model=found.eval(), format="pytorch", title=str(path), weights=path)

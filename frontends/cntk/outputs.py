"""The outputs of a model: those of its root, or those that the caller names; and what they are called in the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nxconvert.errors import UsageError
from nxconvert.formats.cntk.model import PLACEHOLDER, Function, Model
from nxconvert.frontends.cntk.criteria import predictions
from nxconvert.frontends.cntk.network import Expansion, Source, outputs_of, root_outputs
from nxconvert.frontends.cntk.primitives import name_of
from nxconvert.graph.naming import no_such_output


def wanted_outputs(expansion: Expansion, asked: Sequence[str], warn: Callable[[str], None]) -> list[tuple[str, str]]:
    """The outputs of a graph: what each is to be called if nothing else is, and its name in the model.

    Args:
        expansion: the model.
        asked: what the caller wants; nothing for the outputs of the model, without those that judge predictions.
        warn: is told what was left out.

    Raises:
        UsageError: nothing in the model is called so, or several things are.
    """
    model = expansion.model
    if asked:
        return [pair for name in dict.fromkeys(asked) for pair in _found(expansion, name)]
    everything = root_outputs(model)
    kept = predictions(expansion, everything)
    dropped = [_described(model, name) for name in dict.fromkeys(everything) if name not in kept]
    if dropped:
        warn(
            "left out, since they judge predictions and do not make them (--output keeps what it names): "
            f"{', '.join(dropped)}"
        )
    return [(called(model, name), name) for name in kept]


def called(model: Model, name: str) -> str:
    """What an output of the model is called: as the user called its function, or else as CNTK did."""
    uid, _, index = name.rpartition("_Output_")
    function = model.functions.get(uid)
    if function is None:
        variable = model.variables.get(name)
        return (variable.name if variable is not None else "") or name
    given = function.name
    root = model.functions[model.root]
    if not given and root_outputs(model) == [name]:
        given = root.name
    return _numbered(given or uid, index)


def _numbered(name: str, index: str) -> str:
    return name if index == "0" else f"{name}.{index}"


def _found(expansion: Expansion, asked: str) -> list[tuple[str, str]]:
    """What the caller means by a name: a uid, a uid's output, or what the user called it."""
    model = expansion.model
    produced = expansion.function_of(asked)
    if asked in model.variables or produced is not None:
        if produced is not None and asked not in outputs_of(model, produced[0]) and produced[0].uid != asked:
            count = len(outputs_of(model, produced[0]))
            raise UsageError(f"{produced[0].uid} has no output number {produced[1]}: it has {count} in all.")
        return [(asked, asked)]
    if asked in model.functions:
        return _outputs(model, asked, asked)
    uids = [uid for uid, function in model.functions.items() if function.name == asked]
    variables = {uid: variable for uid, variable in model.variables.items() if variable.kind != PLACEHOLDER}
    uids += [uid for uid, variable in variables.items() if variable.name == asked]
    meanings: dict[tuple[Source, ...], str] = {}
    for uid in uids:
        meanings.setdefault(tuple(expansion.source(of) for _, of in _outputs(model, uid, asked)), uid)
    if len(meanings) == 1:
        return _outputs(model, next(iter(meanings.values())), asked)
    if meanings:
        listed = ", ".join(_candidate(model, uid) for uid in meanings.values())
        raise UsageError(f"{len(meanings)} things in the model are called '{asked}'; say which by its uid: {listed}.")
    for name in root_outputs(model):
        if called(model, name) == asked:
            return [(asked, name)]
    named = [each.name for each in model.functions.values()] + [each.name for each in variables.values()]
    own = (called(model, name) for name in root_outputs(model))
    raise no_such_output(asked, (*filter(None, named), *model.functions, *variables), own)


def _outputs(model: Model, uid: str, name: str) -> list[tuple[str, str]]:
    """The outputs of a function, or a variable, with what they are called if it is called `name`."""
    function = model.functions.get(uid)
    if function is None:
        return [(name, uid)]
    outputs = outputs_of(model, function)
    return [(_numbered(name, str(index)), of) for index, of in enumerate(outputs)]


def _candidate(model: Model, uid: str) -> str:
    """A uid, with what has it."""
    function = model.functions.get(uid)
    if function is None:
        return f"{uid} (a variable)"
    own = any(name in root_outputs(model) for name in outputs_of(model, function))
    return f"{uid} ({_kind(function)}{', an output of the model' if own else ''})"


def _described(model: Model, name: str) -> str:
    """What an output is called; with what kind of function it is of if that is no word of the user's."""
    text = called(model, name)
    function = model.functions.get(name.rpartition("_Output_")[0])
    return text if function is None or function.name else f"{text} ({_kind(function)})"


def _kind(function: Function) -> str:
    if function.block is not None:
        return function.block.op_name
    return name_of(function.op) if function.op is not None else function.type

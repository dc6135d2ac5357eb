"""What operators read and write, those in their nets included, and which of them the wanted outputs need."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from nxconvert.formats.caffe2 import NetDef, OperatorDef, parse_net
from nxconvert.frontends.caffe2.machine import text

_MAX_DEPTH = 32
#: The arguments that are nets, by operator. Others, such as the backward pass of a recurrence, are never run.
_NETS = {
    "If": ("then_net", "else_net"),
    "AsyncIf": ("then_net", "else_net"),
    "While": ("cond_net", "loop_net"),
    "ONNXWhile": ("body",),
    "Do": ("net",),
    "RecurrentNetwork": ("step_net",),
}
#: Operators whose nets write into the workspace around them, and may not do so at all.
_CONDITIONAL = frozenset({"If", "AsyncIf", "While"})


def nets(operator: OperatorDef) -> Iterator[NetDef]:
    """The nets that an operator runs."""
    for name in _NETS.get(operator.type, ()):
        value = operator.args.get(name)
        if isinstance(value, NetDef):
            yield value


def decoded(operators: Iterable[OperatorDef], depth: int = 0) -> list[OperatorDef]:
    """Operators whose nets are nets, some of which are given as text, and hold nothing that writes no blob."""
    return [_decoded(operator, depth) for operator in operators]


def _decoded(operator: OperatorDef, depth: int) -> OperatorDef:
    found: dict[str, NetDef] = {}
    for key in _NETS.get(operator.type, ()) if depth < _MAX_DEPTH else ():
        net = operator.args.get(key)
        if isinstance(net, bytes) and net:
            net = parse_net(net.decode(errors="replace"), f"the argument '{key}' of {operator.type}")
        if isinstance(net, NetDef):
            inner = decoded(net.ops, depth + 1)
            found[key] = replace(net, ops=[each for each in inner if writes(each)])
    return replace(operator, args={**operator.args, **found}) if found else operator


def every(operators: Iterable[OperatorDef], depth: int = 0) -> Iterator[OperatorDef]:
    """All operators, those of nets inside operators included."""
    for operator in operators:
        yield operator
        if depth < _MAX_DEPTH:
            for net in nets(operator):
                yield from every(net.ops, depth + 1)


def writes(operator: OperatorDef) -> dict[str, None]:
    """The blobs that an operator may write, in order: its outputs, and what its nets write into the same workspace."""
    found = dict.fromkeys(operator.outputs)
    if operator.type in _CONDITIONAL:
        for net in nets(operator):
            found.update(written(net.ops))
    return found


def written(operators: Iterable[OperatorDef]) -> dict[str, None]:
    """The blobs that operators may write, in order."""
    found: dict[str, None] = {}
    for operator in operators:
        found.update(writes(operator))
    return found


def reads(operator: OperatorDef) -> dict[str, None]:
    """The blobs that an operator reads, in order: its inputs, and what its nets read of the workspace around them."""
    found = dict.fromkeys(name for name in operator.inputs if name)
    own = _own(operator)
    if operator.type != "Do":  # whose net sees nothing but what is bound to the inputs
        for net in nets(operator):
            found.update((name, None) for name in read(net.ops) if name not in own)
    return found


def _own(operator: OperatorDef) -> set[str]:
    """The blobs that an operator itself makes for its nets."""
    if operator.type == "RecurrentNetwork":
        names = [*operator.args.get("link_internal", ()), operator.args.get("timestep", b"timestep")]
        return {str(text(name)) for name in names}
    if operator.type == "ONNXWhile":
        return {name for net in nets(operator) for name in net.inputs[: len(operator.inputs)]}
    return set()


def read(operators: Iterable[OperatorDef]) -> dict[str, None]:
    """The blobs that operators read before they have certainly been written, in order."""
    found: dict[str, None] = {}
    done: set[str] = set()
    for operator in operators:
        found.update((name, None) for name in reads(operator) if name not in done)
        done.update(certain(operator))
    return found


def certain(operator: OperatorDef) -> Collection[str]:
    """The blobs that an operator writes whatever happens: those that both branches write, and those that the condition
    of a loop does.
    """
    if operator.type == "While":
        test = operator.args.get("cond_net")
        return certainly_written(test.ops) if isinstance(test, NetDef) else ()
    if operator.type in _CONDITIONAL:
        branches = [operator.args.get(name) for name in _NETS[operator.type]]
        sides = [certainly_written(net.ops) if isinstance(net, NetDef) else set() for net in branches]
        return set.intersection(*sides)
    return operator.outputs


def certainly_written(operators: Iterable[OperatorDef]) -> set[str]:
    """The blobs that operators write whatever happens."""
    return {name for operator in operators for name in certain(operator)}


def needed(operators: Sequence[OperatorDef], wanted: Iterable[str]) -> list[OperatorDef]:
    """The operators that the wanted blobs depend on, in order; others, such as those that train or print, drop out."""
    live = set(wanted)
    kept: list[OperatorDef] = []
    for operator in reversed(operators):
        if live.isdisjoint(writes(operator)):
            continue
        kept.append(operator)
        live.difference_update(certain(operator))
        live.update(reads(operator))
    return kept[::-1]


def unread(operators: Sequence[OperatorDef]) -> list[str]:
    """The blobs that are left over: written, and never read after that."""
    left: dict[str, None] = {}
    for operator in operators:
        for name in reads(operator):
            left.pop(name, None)
        for name in operator.outputs:
            left.pop(name, None)
            left[name] = None
    return list(left)

"""Texts and members of enums of which it depends on data which they are: one of a few, told by a number.

What is asked of such a value is asked of each one that it may be, and the answers are put together again: numbers and
flags from a table, anything else by a choice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nxconvert.frontends.pytorch.script import abstract, branches
from nxconvert.frontends.pytorch.script.frames import ScriptRaise
from nxconvert.frontends.pytorch.script.values import Choice, DictCell, EnumMember, ListCell, OpenText
from nxconvert.frontends.pytorch.table import Scalar
from nxconvert.graph.builder import Value

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.machine import Machine

_LOOKUPS = frozenset({"__getitem__", "__contains__", "get", "index", "count"})


def asked(name: str, args: tuple[Any, ...]) -> int | None:
    """The position of the argument that an operator has to be asked about for each of its choices, if there is one.

    To put one into a list or dict asks nothing.
    """
    for place, arg in enumerate(args):
        if isinstance(arg, Choice):
            first = args[0]
            looks = isinstance(first, (Choice, str, EnumMember)) or first is None
            return place if looks or (name in _LOOKUPS and isinstance(first, (DictCell, ListCell))) else None
    return None


def each(ip: Machine, choice: Choice, ask: Callable[[Any], Any]) -> Any:
    """``ask`` of what ``choice`` is; choices for which it raises are taken never to be met."""
    answers: dict[int, Any] = {}
    raised: ScriptRaise | None = None
    for number, option in enumerate(choice.options):
        try:
            answers[number] = ask(option)
        except ScriptRaise as error:
            raised = error
    if not answers:
        assert raised is not None
        raise raised
    return _together(ip, choice, answers)


def _together(ip: Machine, choice: Choice, answers: dict[int, Any]) -> Any:
    first, *others = answers.values()
    if all(abstract.same(first, other) for other in others):
        return first
    if any(isinstance(answer, OpenText) for answer in answers.values()):
        return OpenText("...")
    index = ip.op.dim_value(choice.index)
    if all(isinstance(answer, bool) for answer in answers.values()):
        return Scalar(_flag(ip, index, [bool(answers.get(i)) for i in range(len(choice.options))]))
    if all(isinstance(answer, (str, EnumMember)) for answer in answers.values()):
        options = tuple(dict.fromkeys(answers.values()))
        places = [options.index(answers.get(i, first)) for i in range(len(choice.options))]
        return Choice.at(options, ip.op.symbol_of(_looked_up(ip, index, places), low=0))
    if all(isinstance(answer, (int, float)) for answer in answers.values()):
        numbers = [answers.get(i, 0) for i in range(len(choice.options))]
        if all(isinstance(answer, int) for answer in numbers):
            return ip.op.symbol_of(_looked_up(ip, index, numbers))
        return Scalar(_looked_up(ip, index, [float(number) for number in numbers]))
    return _chosen(ip, index, list(answers.items()))


def _looked_up(ip: Machine, index: Value, numbers: list[Any]) -> Value:
    return ip.op.Gather(ip.op.const(np.array(numbers)), index, axis=0)


def _flag(ip: Machine, index: Value, flags: list[bool]) -> Value:
    """``flags[index]``."""
    for flag in (True, False):
        if flags.count(flag) == 1:
            found = ip.op.Equal(index, flags.index(flag))
            return found if flag else ip.op.Not(found)
    return _looked_up(ip, index, flags)


def _chosen(ip: Machine, index: Value, answers: list[tuple[int, Any]]) -> Any:
    (number, answer), *rest = answers
    if not rest:
        return answer
    return branches.choose(ip, ip.op.Equal(index, number), lambda: answer, lambda: _chosen(ip, index, rest))

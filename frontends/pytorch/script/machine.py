"""The machine that programs run on: boxes that hold tensors, what changes them, and the builder they emit into.

It knows nothing of the form in which a program is written down: TorchScript's code runs on it
(:mod:`~nxconvert.frontends.pytorch.script.interpreter`), and so do the graphs of exported programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nxconvert.frontends.pytorch.compound import Compound
from nxconvert.frontends.pytorch.ops.common import as_tensor
from nxconvert.frontends.pytorch.script import branches, dispatch, kinship, numbers
from nxconvert.frontends.pytorch.script.frames import NeedInput
from nxconvert.frontends.pytorch.script.strings import known
from nxconvert.frontends.pytorch.script.values import (
    Box,
    EitherOf,
    Journal,
    Maybe,
    Number,
    Unknown,
    ViewOf,
    is_number,
)  # fmt: skip
from nxconvert.frontends.pytorch.table import LoweringError, Scalar, aten
from nxconvert.frontends.pytorch.views import write_back
from nxconvert.graph.builder import Builder, Value


class Machine:
    """Runs operators into a builder.

    Attributes:
        op: the builder of the innermost block.
        journal: the changes that the open blocks have made.
        warn: is told what the user should know.
        steps: how many statements have been run.
        evidence: for each operator so far that has a usual form, how much that weighs, and whether its input had it.
    """

    def __init__(self, op: Builder, warn: Callable[[str], None]) -> None:
        self.op = op
        self.warn = warn
        self.journal = Journal()
        self.evidence: list[tuple[int, bool]] = []
        self.steps = 0

    # ---- where we are ------------------------------------------------------------------------------------------------

    @property
    def where(self) -> str:
        """The user's file and line of what is being run; empty where the program does not say."""
        return ""

    @contextmanager
    def building(self, op: Builder) -> Iterator[Builder]:
        """Emits into ``op``."""
        before, self.op = self.op, op
        try:
            yield op
        finally:
            self.op = before

    # ---- boxes -------------------------------------------------------------------------------------------------------

    def content(self, box: Box) -> Any:
        """What ``box`` holds now; a view is read again if its base has changed since."""
        source = box.source
        if source is None:
            if isinstance(box.content, Unknown):
                raise NeedInput(box.content.name)
            kinship.check(box)
            return box.content
        roots = tuple(box.roots())
        for root in roots:
            kinship.check(root)
        contents = tuple(root.content for root in roots)
        if all(a is b for a, b in zip(box.seen[0], contents, strict=True)) and self.op.sees(box.seen[1]):
            return box.content
        if isinstance(source, EitherOf):
            sides = [self.tensor(side) if side is not None else box.content for side in (source.then, source.otherwise)]
            result = branches.pick(self, source.condition, sides[0], sides[1])
        else:
            args = [self.tensor(source.base), *dispatch.unwrap_all(self, source.args)]
            kwargs = {name: dispatch.unwrap(self, value) for name, value in source.kwargs.items()}
            result = aten.find(source.operator, args, kwargs).function(self.op, *args, **kwargs)
            result = result if source.output is None else result[source.output]
        box.content, box.seen = result, (contents, self.op)
        return result

    def plain(self, value: Any) -> Value:
        """A tensor variable, or a number, as one ordinary graph value."""
        tensor = self.tensor(value)
        return tensor.plain(self.op) if isinstance(tensor, Compound) else tensor

    def tensor(self, value: Any) -> Any:
        """A tensor variable, or a number, as a graph value, or as the several that a compound tensor is made of."""
        if isinstance(value, Box):
            value = self.content(value)
        if isinstance(value, Number):
            return as_tensor(self.op, value.number, value.dtype)
        if isinstance(value, Maybe):
            raise LoweringError("a tensor that may be None is used where none may be")
        return as_tensor(self.op, value) if is_number(value) else value

    def write(self, box: Box, value: Any) -> None:
        """Changes the content of ``box``, and so that of everything it looks at."""
        source = box.source
        if source is None:
            self.journal.write(box, None, value)
            kinship.changed(self, box)
        elif isinstance(source, ViewOf):
            base = self.tensor(source.base)
            args = dispatch.unwrap_all(self, source.args)
            kwargs = {name: dispatch.unwrap(self, item) for name, item in source.kwargs.items()}
            self.write(
                source.base, write_back(source.operator, self.op, base, self.tensor(value), args, kwargs, source.output)
            )
        else:
            self._write_either(box, source, self.tensor(value))

    def _write_either(self, box: Box, source: EitherOf, value: Any) -> None:
        """Writes to both of the boxes that ``box`` may be, to each only where the condition says so."""
        for side, chosen in ((source.then, True), (source.otherwise, False)):
            if side is None:
                continue
            before = self.tensor(side)
            sides = (value, before) if chosen else (before, value)
            self.write(side, branches.pick(self, source.condition, *sides, dims=before.dims))
        self.journal.write(box, None, value)
        box.seen = (tuple(root.content for root in box.roots()), self.op)

    # ---- operators and numbers ---------------------------------------------------------------------------------------

    def invoke(self, name: str, *args: Any) -> Any:
        """Calls an operator that the program implies and does not spell out."""
        return dispatch.call_operator(self, name, args, {})

    def truth(self, value: Any) -> bool | Scalar:
        """A condition: known, or a bool scalar of the graph."""
        if isinstance(value, Box):
            return self.number(value, "bool")
        return numbers.to_bool(self.op, value)

    def number(self, value: Any, kind: str) -> Any:
        """``int(value)``, ``float(value)`` or ``bool(value)``."""
        if isinstance(value, Box):
            content = self.content(value)
            value = (
                content.number
                if isinstance(content, Number)
                else numbers.from_tensor(self.op, self.tensor(value), kind)
            )
        if isinstance(value, str):
            known(kind, value)
            return {"int": int, "float": float, "bool": bool}[kind](value)
        convert = {"int": numbers.to_int, "float": numbers.to_float, "bool": numbers.to_bool}[kind]
        return convert(self.op, value)

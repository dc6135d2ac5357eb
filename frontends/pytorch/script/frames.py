"""What a running program has beside its values: variables, functions as values, and the ways out of a call."""

from __future__ import annotations

from typing import Any

from nxconvert.formats.torchscript import FunctionInfo
from nxconvert.frontends.pytorch.script.values import ObjectCell


class ScriptRaise(Exception):
    """The program raises an exception of its own."""


class NeedInput(Exception):
    """The program uses an input of which nothing is known yet.

    Attributes:
        name: the input's.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class BoundMethod:
    """A method with its object, or a function, as a value."""

    __slots__ = ("function", "receiver")

    def __init__(self, function: FunctionInfo, receiver: ObjectCell | None) -> None:
        self.function = function
        self.receiver = receiver


class Frame:
    """The variables of one call.

    Attributes:
        variables: by name.
        path: the file in the archive that the code is in.
    """

    __slots__ = ("path", "variables")

    def __init__(self, path: str, variables: dict[str, Any]) -> None:
        self.path = path
        self.variables = variables

"""Pickle as a data format: an opcode machine that can build plain values and nothing else.

Python's own unpickler calls whatever the file names, and even with a filtered ``find_class`` a file can make it
reserve gigabytes (a memo index) or hand a callable arguments it should not get.  This machine knows the opcodes that
PyTorch's two picklers write (``torch/csrc/jit/serialization/pickler.cpp`` and Python's, protocols 2 to 5), keeps its
memo in a dict, never recurses, and asks its two callbacks for everything that is not a plain value.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any, Protocol

from nxconvert.errors import ReadError

__all__ = ["Builder", "Unpickled", "unpickle"]


class Unpickled(Protocol):
    """An object that a pickle may fill with a state after it was made."""

    def set_state(self, state: Any) -> None:
        """Take the state that the pickle holds for the object."""


class Builder(Protocol):
    """What a global name of a pickle stands for."""

    def call(self, argument: Any) -> Any:
        """The value of calling the global with `argument`, usually the tuple of arguments (opcode REDUCE)."""

    def new(self) -> Unpickled:
        """A fresh instance without content (opcode NEWOBJ)."""


_MAX_INT_BYTES = 1024
_RUN_OF_INTEGERS = re.compile(rb"(?:K.)+", re.DOTALL)


def unpickle(
    data: bytes,
    find_global: Callable[[str, str], Builder],
    persistent_load: Callable[[Any], Any],
    what: str,
) -> Any:
    """The value that the pickle `data` describes.

    Args:
        data: one pickle, protocol 2 to 5.
        find_global: gives the meaning of a global (module, name), or raises ReadError.
        persistent_load: gives the meaning of a persistent id, or raises ReadError.
        what: the pickle's name, for messages.

    Raises:
        ReadError: the pickle is damaged, or has opcodes or globals that no model has.
    """
    machine = _Machine(data, find_global, persistent_load, what)
    try:
        return machine.run()
    except (IndexError, KeyError, AttributeError, TypeError, ValueError, OverflowError, struct.error) as error:
        raise ReadError(f"{what} is damaged: it is no valid pickle ({type(error).__name__}: {error}).") from error


class _Machine:
    """The state of one run: the stack, the open marks (as depths of the stack) and the memo."""

    __slots__ = ("data", "find_global", "marks", "memo", "persistent_load", "pos", "stack", "what")

    def __init__(
        self,
        data: bytes,
        find_global: Callable[[str, str], Builder],
        persistent_load: Callable[[Any], Any],
        what: str,
    ) -> None:
        self.data = data
        self.find_global = find_global
        self.persistent_load = persistent_load
        self.what = what
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.pos = 0

    def run(self) -> Any:
        """Execute opcodes up to STOP.  The commonest are spelled out here, by falling frequency."""
        data, stack, marks, memo = self.data, self.stack, self.marks, self.memo
        push, pop, run_of_integers = stack.append, stack.pop, _RUN_OF_INTEGERS.match
        pos = 0
        while True:
            op = data[pos]
            pos += 1
            if op == 0x4B:  # BININT1; most come in long runs
                if data[pos + 1] == 0x4B:
                    end = run_of_integers(data, pos - 1).end()  # type: ignore[union-attr]
                    stack += data[pos:end:2]
                    pos = end
                else:
                    push(data[pos])
                    pos += 1
            elif op == 0x68:  # BINGET
                push(memo[data[pos]])
                pos += 1
            elif op == 0x87:  # TUPLE3
                third, second = pop(), pop()
                stack[-1] = (stack[-1], second, third)
            elif op == 0x4D:  # BININT2
                push(data[pos] | data[pos + 1] << 8)
                pos += 2
            elif op == 0x71:  # BINPUT
                memo[data[pos]] = stack[-1]
                pos += 1
            elif op == 0x28:  # MARK
                marks.append(len(stack))
            elif op == 0x74:  # TUPLE
                mark = marks.pop()
                stack[mark:] = [tuple(stack[mark:])]
            elif op == 0x72:  # LONG_BINPUT
                memo[int.from_bytes(data[pos : pos + 4], "little")] = stack[-1]
                pos += 4
            elif op == 0x6A:  # LONG_BINGET
                push(memo[int.from_bytes(data[pos : pos + 4], "little")])
                pos += 4
            elif op == 0x52:  # REDUCE
                argument = pop()
                stack[-1] = stack[-1].call(argument)
            elif op == 0x2E:  # STOP
                return pop()
            else:
                self.pos = pos
                handler = _HANDLERS.get(op)
                if handler is None:
                    raise ReadError(f"{self.what} has the pickle opcode 0x{op:02x}, which no model has.")
                handler(self)
                pos = self.pos

    def take(self, count: int) -> bytes:
        """The next `count` bytes of the pickle."""
        if count < 0 or count > len(self.data) - self.pos:
            raise ReadError(f"{self.what} is truncated: its pickle ends in the middle of a value.")
        taken = self.data[self.pos : self.pos + count]
        self.pos += count
        return taken

    def number(self, width: int) -> int:
        """The next `width` bytes as an unsigned little-endian integer."""
        return int.from_bytes(self.take(width), "little")

    def line(self) -> str:
        """The rest of the line, without its end."""
        end = self.data.index(b"\n", self.pos)
        text = self.data[self.pos : end].decode()
        self.pos = end + 1
        return text

    def popped_mark(self) -> list[Any]:
        """The values above the innermost mark, taken from the stack together with it."""
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def push_global(self, module: str, name: str) -> None:
        """GLOBAL: put what the name stands for."""
        self.stack.append(self.find_global(module, name))

    def stack_global(self) -> None:
        """STACK_GLOBAL: the same, its two names being on the stack."""
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise ReadError(f"{self.what} is damaged: a global of its pickle has no name.")
        self.push_global(module, name)

    def new(self) -> None:
        """NEWOBJ: an empty instance; constructor arguments are never written."""
        if self.stack.pop() != ():
            raise ReadError(f"{self.what} makes an object with constructor arguments, which no model does.")
        self.stack[-1] = self.stack[-1].new()

    def build(self) -> None:
        """BUILD: hand the object below its state."""
        state = self.stack.pop()
        target = self.stack[-1]
        if not hasattr(target, "set_state"):
            raise ReadError(f"{self.what} is damaged: it gives a state to a {type(target).__name__}.")
        target.set_state(state)

    def append(self, values: list[Any]) -> None:
        """APPEND and APPENDS: extend the list that is now on top."""
        target = self.stack[-1]
        if not isinstance(target, list):
            raise ReadError(f"{self.what} is damaged: it appends to a {type(target).__name__}.")
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        """SETITEM and SETITEMS: fill the dict that is now on top with alternating keys and values."""
        target = self.stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise ReadError(f"{self.what} is damaged: it sets items of a {type(target).__name__}.")
        keys = values[::2]
        for key in keys:
            # A tuple of tuples of ... that share their parts takes for ever to hash.
            if isinstance(key, tuple) and any(isinstance(part, tuple) for part in key):
                raise ReadError(f"{self.what} has a nested tuple as a dictionary's key, which no model has.")
        target.update(zip(keys, values[1::2], strict=True))

    def dict_from_mark(self) -> None:
        """DICT: a new dictionary of the items above the mark."""
        values = self.popped_mark()
        self.stack.append({})
        self.set_items(values)

    def put(self, index: int) -> None:
        """BINPUT and its like: remember the top of the stack."""
        self.memo[index] = self.stack[-1]

    def long(self, count: int) -> None:
        """LONG1 and LONG4: a two's complement integer."""
        if count > _MAX_INT_BYTES:
            raise ReadError(f"{self.what} has an integer of {count} bytes, which no model has.")
        self.stack.append(int.from_bytes(self.take(count), "little", signed=True))


def _push(value: Any) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(value)


def _tuple(count: int) -> Callable[[_Machine], None]:
    def handler(machine: _Machine) -> None:
        if len(machine.stack) < count:
            raise IndexError("a tuple of more values than there are")
        machine.stack[-count:] = [tuple(machine.stack[-count:])]

    return handler


def _text(width: int) -> Callable[[_Machine], None]:
    def handler(machine: _Machine) -> None:
        machine.stack.append(machine.take(machine.number(width)).decode("utf-8", "surrogatepass"))

    return handler


def _bytes(width: int) -> Callable[[_Machine], None]:
    def handler(machine: _Machine) -> None:
        machine.stack.append(machine.take(machine.number(width)))

    return handler


_HANDLERS: dict[int, Callable[[_Machine], Any]] = {
    0x80: lambda m: m.take(1),  # PROTO
    0x95: lambda m: m.take(8),  # FRAME
    ord("N"): _push(None),
    0x88: _push(True),
    0x89: _push(False),
    ord(")"): _push(()),
    ord("]"): lambda m: m.stack.append([]),
    ord("}"): lambda m: m.stack.append({}),
    0x85: _tuple(1),
    0x86: _tuple(2),
    ord("X"): _text(4),
    0x8C: _text(1),
    0x8D: _text(8),
    ord("U"): _text(1),
    ord("B"): _bytes(4),
    ord("C"): _bytes(1),
    0x8E: _bytes(8),
    ord("J"): lambda m: m.stack.append(int.from_bytes(m.take(4), "little", signed=True)),
    0x8A: lambda m: m.long(m.number(1)),
    0x8B: lambda m: m.long(m.number(4)),
    ord("G"): lambda m: m.stack.append(struct.unpack(">d", m.take(8))[0]),
    ord("c"): lambda m: m.push_global(m.line(), m.line()),
    0x93: lambda m: m.stack_global(),
    0x94: lambda m: m.put(len(m.memo)),  # MEMOIZE
    ord("Q"): lambda m: m.stack.append(m.persistent_load(m.stack.pop())),
    0x81: lambda m: m.new(),
    ord("b"): lambda m: m.build(),
    ord("a"): lambda m: m.append([m.stack.pop()]),
    ord("e"): lambda m: m.append(m.popped_mark()),
    ord("s"): lambda m: m.set_items([m.stack.pop(-2), m.stack.pop()]),
    ord("u"): lambda m: m.set_items(m.popped_mark()),
    ord("d"): lambda m: m.dict_from_mark(),
    ord("l"): lambda m: m.stack.append(m.popped_mark()),
    ord("0"): lambda m: m.stack.pop(),
    ord("1"): lambda m: m.popped_mark(),
    ord("2"): lambda m: m.stack.append(m.stack[-1]),
}

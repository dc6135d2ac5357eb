"""The text form of protocol buffers, for the files that Caffe2 calls ``.pbtxt`` or ``.prototxt``.

It gives the same dicts as the binary form (`nxconvert.formats.protobuf`). The language:
https://protobuf.dev/reference/protobuf/textformat-spec/, without extensions and ``Any``, which Caffe2 does not have.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import numpy as np

from nxconvert.errors import ReadError
from nxconvert.formats.protobuf import MAX_DEPTH, MAX_MESSAGES, NUMBERS, Field, Message

__all__ = ["parse_text"]

_SPACE = re.compile(r"(?:\s|#[^\n]*(?:\n|\Z))*")
_TOKEN = re.compile(
    r"""(?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?[fF]?)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<sign>[][{}<>:,;-])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPES = {
    b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"\\": b"\\",
    b"'": b"'", b'"': b'"', b"?": b"?",
}  # fmt: skip
_BOOLS = {"true": True, "True": True, "t": True, "1": True, "false": False, "False": False, "f": False, "0": False}
_SPECIAL = {"inf": np.inf, "infinity": np.inf, "nan": np.nan}
_CLOSING = {"{": "}", "<": ">"}
#: Names that a field had in older versions of the schema.
_RENAMED = {"DeviceOption": {"cuda_gpu_id": "device_id", "hip_gpu_id": "device_id"}}


def parse_text(text: str, message: Message, label: str) -> dict[str, Any]:
    """The message that `text` describes, of a file that messages call `label`.

    `text` is UTF-8 decoded with the error handler ``surrogateescape``: strings may hold any bytes.

    Raises:
        ReadError: it describes no such message; says in which line.
    """
    return _Parser(text, label).message(message, "", 0)


class _Parser:
    """Reads the text once, from the front, one token ahead."""

    def __init__(self, text: str, label: str) -> None:
        self._text = text
        self._label = label
        self._position = 0
        self._messages = MAX_MESSAGES
        self._advance()

    def _advance(self) -> None:
        """Go on to the next token: `kind` and `token`, both empty at the end."""
        space = _SPACE.match(self._text, self._position)
        assert space is not None
        self._start = space.end()
        found = _TOKEN.match(self._text, self._start)
        if found is not None:
            self.kind, self.token, self._position = found.lastgroup or "", found.group(), found.end()
        elif self._start == len(self._text):
            self.kind = self.token = ""
        else:
            self.kind, self.token = "sign", self._text[self._start]
            self._fail(f"{self.token!r} is not understood")

    def _fail(self, what: str) -> NoReturn:
        line = self._text.count("\n", 0, self._start) + 1
        raise ReadError(f"{self._label} cannot be read as text: line {line}: {what}.")

    def _expected(self, what: str) -> NoReturn:
        self._fail(f"{what} is expected, and there is {self.token!r}" if self.token else f"it ends before {what}")

    def _take(self, sign: str) -> bool:
        """Go past `sign`, if it is there."""
        if self.token != sign or self.kind != "sign":
            return False
        self._advance()
        return True

    def message(self, message: Message, closing: str, depth: int) -> dict[str, Any]:
        """The fields up to `closing`, or to the end of the text."""
        if depth > MAX_DEPTH:
            self._fail(f"messages are nested more than {MAX_DEPTH} deep")
        self._messages -= 1
        if self._messages < 0:
            self._fail(f"there are more than {MAX_MESSAGES:,} messages")
        values: dict[str, Any] = {}
        while self.token != closing or self.kind == "string":
            if self.kind != "name":
                self._expected("the name of a field" + (f" or {closing!r}" if closing else ""))
            name = _RENAMED.get(message.name, {}).get(self.token, self.token)
            field = message.by_name.get(name)
            if field is None:
                self._fail(f"{message.name} has no field {name!r}")
            if field.name in values and not field.repeated:
                self._fail(f"{name!r} is there twice")
            self._field(field, values, depth)
            if not self._take(","):
                self._take(";")
        return {name: _finished(message.by_name[name], value) for name, value in values.items()}

    def _field(self, field: Field, values: dict[str, Any], depth: int) -> None:
        run = self._run(field, values) if field.repeated and field.kind in NUMBERS else False
        if run:
            return
        self._advance()
        colon = self._take(":")
        if not colon and field.message is None:
            self._expected("':'")
        if field.repeated and self._take("["):
            found = values.setdefault(field.name, [])
            while not self._take("]"):
                found.append(self._value(field, depth))
                if not self._take(",") and self.token != "]":
                    self._expected("',' or ']'")
        elif field.repeated:
            values.setdefault(field.name, []).append(self._value(field, depth))
        else:
            values[field.name] = self._value(field, depth)

    def _run(self, field: Field, values: dict[str, Any]) -> bool:
        """Take many plain numbers at once, each on a line of its own after the field's name, as Caffe2 writes them."""
        number = r"[-+0-9.eE]+" if field.kind in ("float", "double") else r"-?[1-9][0-9]*|0"
        found = re.compile(rf"(?:{field.name}: (?:{number})\s+){{8,}}").match(self._text, self._start)
        if found is None:
            return False
        words = found.group().split()[1::2]
        wide = np.float64 if field.kind in ("float", "double") else np.int64
        try:
            numbers = np.array(words, dtype=wide)
        except (ValueError, OverflowError):
            return False  # one by one, to say which it is
        if wide == np.int64 and not _fits(field, numbers):
            return False
        values.setdefault(field.name, []).extend(numbers.tolist())
        self._position = found.end()
        self._advance()
        return True

    def _value(self, field: Field, depth: int) -> Any:
        if field.message is not None:
            closing = _CLOSING.get(self.token) if self.kind == "sign" else None
            if closing is None:
                self._expected("'{'")
            self._advance()
            inner = self.message(field.message, closing, depth + 1)
            self._advance()
            return inner
        if field.kind in ("bytes", "data", "text", "label"):
            return self._string(field)
        if field.kind == "bool":
            if self.token not in _BOOLS:
                self._expected("true or false")
            value = _BOOLS[self.token]
            self._advance()
            return value
        return self._number(field)

    def _string(self, field: Field) -> bytes | str:
        if self.kind != "string":
            self._expected("a string")
        pieces = []
        while self.kind == "string":
            pieces.append(self._unescaped(self.token[1:-1].encode("utf-8", "surrogateescape")))
            self._advance()
        content = b"".join(pieces)
        if field.kind in ("bytes", "data"):
            return content
        try:
            return content.decode("utf-8", "replace" if field.kind == "label" else "strict")
        except UnicodeDecodeError:
            self._fail(f"{field.name!r} is no UTF-8 text")

    def _unescaped(self, raw: bytes) -> bytes:
        def replaced(found: re.Match[bytes]) -> bytes:
            octal, hexadecimal, short, long, letter = found.groups()
            if octal:
                return bytes([int(octal, 8) & 0xFF])
            if hexadecimal:
                return bytes([int(hexadecimal, 16)])
            if short or long:
                code = int(short or long, 16)
                if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                    self._fail("a string has an escape that is no character")
                return chr(code).encode()
            if letter not in _ESCAPES:
                self._fail(f"a string has the unknown escape \\{letter.decode('latin-1')}")
            return _ESCAPES[letter]

        return _ESCAPE.sub(replaced, raw) if b"\\" in raw else raw

    def _number(self, field: Field) -> int | float:
        negative = self._take("-")
        word, kind = self.token, self.kind
        value: float | None = None
        if field.kind in ("float", "double"):
            value = _float(word) if kind == "number" else _SPECIAL.get(word.lower()) if kind == "name" else None
            if value is not None and field.kind == "float":
                with np.errstate(over="ignore"):
                    value = float(np.float32(value))
        elif kind == "number":
            value = _integer(word)
        elif kind == "name" and not negative and field.labels is not None:
            value = field.labels.get(word)
            if value is None:
                self._fail(f"{field.name!r} has no value of the name {word}")
        if value is None:
            self._expected("a number")
        value = -value if negative else value
        if isinstance(value, int) and not _fits(field, np.array(value, object)):
            self._fail(f"{value} is too large for {field.name!r}")
        self._advance()
        return value


def _float(word: str) -> float:
    return float(int(word, 16)) if word[:2] in ("0x", "0X") else float(word.rstrip("fF"))


def _integer(word: str) -> int | None:
    """The value of a decimal, octal or hexadecimal number; None for others."""
    if word[:2] in ("0x", "0X"):
        return int(word, 16)
    if not word.isdigit():
        return None
    if word[0] == "0" and len(word) > 1:
        return int(word, 8) if not set(word) & {"8", "9"} else None
    return int(word) if len(word) < 30 else 1 << 100


def _fits(field: Field, numbers: np.ndarray) -> bool:
    """Whether integers can be values of a field."""
    if field.kind in ("float", "double"):
        return True
    limits = np.iinfo(NUMBERS[field.kind][1])
    return bool(np.all(numbers >= int(limits.min)) and np.all(numbers <= int(limits.max)))


def _finished(field: Field, value: Any) -> Any:
    """A value in the form that the binary reader gives it."""
    if field.kind == "data":
        return np.frombuffer(value, np.uint8)
    if field.repeated and field.kind in NUMBERS:
        with np.errstate(over="ignore"):
            return np.array(value, NUMBERS[field.kind][1])
    return value

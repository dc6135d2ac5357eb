"""Speaks through stdin and stdout with the process that has started this one. For Python 3.6 and later.

Nothing of nxconvert is imported here. A message, in both directions, is a header (JSON) and arrays (an npz archive),
each behind its length as eight bytes, little end first. The header lists the arrays: ``[[name, kind], ...]``, where the
kind is ``array``, stored under its number, or ``strings``, stored as their lengths (with the shape) and as all their
bytes. Nothing in a message is ever unpickled.

Requests have a ``command``: ``load``, whatever the framework needs for that, and ``run``, with arrays by the names of
inputs and ``outputs``, those that are wanted, or null for all. An answer with ``error`` says what went wrong; one with
``missing``, too, that the framework is not there.
"""

import io
import json
import os
import struct
import sys
from typing import IO, Any, Callable, Dict, Tuple

import numpy as np

_LENGTH = struct.Struct("<Q")


def serve(load: Callable[[Dict[str, Any]], Any], first_line: Callable[[Exception], str]) -> None:
    """Answers requests until there are no more.

    Args:
        load: makes of the header of a request a model with two methods: ``described()`` is the answer to the request,
            ``run(arrays, outputs)`` the header of an answer and its arrays.
        first_line: what the message of an error says.
    """
    # What the framework prints goes to stderr: stdout is for messages.
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    model = None  # type: Any
    while True:
        try:
            header, arrays = receive(source)
        except EOFError:
            return
        try:
            if header["command"] == "load":
                model = load(header)
                send(sink, model.described(), {})
            elif model is not None:
                answer, results = model.run(arrays, header["outputs"])
                send(sink, answer, results)
        except ImportError as error:
            send(sink, {"error": str(error), "missing": True}, {})
        except Exception as error:
            send(sink, {"error": first_line(error)}, {})


def receive(stream: IO[bytes]) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    header = json.loads(read(stream).decode("utf-8"))
    body = read(stream)
    arrays = {}
    if header["arrays"]:
        with np.load(io.BytesIO(body), allow_pickle=False) as stored:
            for index, (name, kind) in enumerate(header["arrays"]):
                if kind == "strings":
                    arrays[name] = strings(stored["l%d" % index], stored["b%d" % index].tobytes())
                else:
                    arrays[name] = stored["a%d" % index]
    return header, arrays


def read(stream: IO[bytes]) -> bytes:
    return exactly(stream, _LENGTH.unpack(exactly(stream, _LENGTH.size))[0])


def exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def strings(lengths: Any, data: bytes) -> Any:
    """An array of byte strings, from their lengths and from all their bytes."""
    found, begin = np.empty(lengths.shape, object), 0
    for place, length in np.ndenumerate(lengths):
        found[place] = data[begin : begin + int(length)]
        begin += int(length)
    return found


def send(stream: IO[bytes], header: Dict[str, Any], arrays: Dict[str, Any]) -> None:
    stored = {}  # type: Dict[str, Any]
    listed = []
    for index, (name, value) in enumerate(arrays.items()):
        if value.dtype == object:
            flat = [item if isinstance(item, bytes) else str(item).encode("utf-8") for item in value.ravel()]
            stored["l%d" % index] = np.array([len(item) for item in flat], np.int64).reshape(value.shape)
            stored["b%d" % index] = np.frombuffer(b"".join(flat), np.uint8)
            listed.append([name, "strings"])
        else:
            stored["a%d" % index] = value
            listed.append([name, "array"])
    body = io.BytesIO()
    np.savez(body, **stored)
    for part in (json.dumps(dict(header, arrays=listed)).encode("utf-8"), body.getvalue()):
        stream.write(_LENGTH.pack(len(part)))
        stream.write(part)
    stream.flush()

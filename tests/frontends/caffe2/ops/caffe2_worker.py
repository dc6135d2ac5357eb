"""Runs operators in the real Caffe2, under Python 3.6: see `harness.py`, which starts this and says what it gets.

A request and an answer are each two parts, a length (int64) before each: JSON, and the arrays as an npz archive.
"""

import io
import itertools
import json
import os
import struct
import sys

import numpy as np
from caffe2.proto import caffe2_pb2
from caffe2.python import core, workspace

NUMBERS = itertools.count()


def read(stream):
    header = stream.read(8)
    if len(header) < 8:
        sys.exit()
    return stream.read(struct.unpack("<q", header)[0])


def write(stream, part):
    stream.write(struct.pack("<q", len(part)))
    stream.write(part)


def made(kind, inputs, outputs, args):
    return core.CreateOperator(kind, inputs, outputs, **{k: argument(v) for k, v in args.items()})


def argument(value):
    if isinstance(value, dict) and "net" in value:
        net = caffe2_pb2.NetDef()
        net.name = f"net{next(NUMBERS)}"
        net.op.extend(made(*each) for each in value["net"])
        net.external_input.extend(value["inputs"])
        net.external_output.extend(value["outputs"])
        return net
    if isinstance(value, dict):
        return bytes(bytearray(value["bytes"]))
    return [argument(item) for item in value] if isinstance(value, list) else value


def run(request, arrays):
    """The wanted blobs that are tensors, after the operators have run."""
    workspace.ResetWorkspace()
    for name, array in arrays.items():
        workspace.FeedBlob(name, array.astype(object) if name in request["strings"] else array)
    for each in request["ops"]:
        workspace.RunOperatorOnce(made(*each))
    return {name: array for name, array in ((n, fetched(n)) for n in request["outputs"]) if array is not None}


def fetched(name):
    """A blob as an array, the integers of a quantized one; None for one that is no tensor or that nothing has set."""
    try:
        blob = workspace.FetchBlob(name)
    except TypeError:
        blob = workspace.FetchInt8Blob(name).data
    if not isinstance(blob, np.ndarray):
        return None
    if blob.dtype == object:
        texts = [t if isinstance(t, bytes) else t.encode() for t in blob.ravel()]
        return np.array(texts, bytes).reshape(blob.shape)
    return blob


def main():
    answers = os.fdopen(os.dup(1), "wb")
    # What operators print goes where nobody takes it for an answer.
    os.dup2(2, 1)
    while True:
        request = json.loads(read(sys.stdin.buffer).decode())
        with np.load(io.BytesIO(read(sys.stdin.buffer))) as archive:
            arrays = {name: archive[name] for name in archive.files}
        answer, results = {}, {}
        try:
            results = run(request, arrays)
        except Exception as error:
            answer["error"] = str(error)
        packed = io.BytesIO()
        np.savez(packed, **results)
        write(answers, json.dumps(answer).encode())
        write(answers, packed.getvalue())
        answers.flush()


main()

"""Runs Caffe2 on what its own operator tests leave out, and keeps the cases. Runs under Python 3.6.

    /path/to/python3.6 tests/conformance/caffe2_extra.py FOLDER

Cases are kept by `caffe2_recorder`: operators that no test runs, and the arguments, dtypes and
sizes that tests do not try. What this Caffe2 refuses stands in ``left_out.tsv``, and is no case.
"""

import collections
import os
import shutil
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import caffe2_extra_control
import caffe2_extra_int8
import caffe2_extra_layers
import caffe2_extra_math
import caffe2_extra_sparse
import caffe2_extra_tensors
from caffe2_recorder import Recorder

FAMILIES = (
    caffe2_extra_math,
    caffe2_extra_layers,
    caffe2_extra_tensors,
    caffe2_extra_sparse,
    caffe2_extra_int8,
    caffe2_extra_control,
)


class Cases:
    """Collects cases.

    Attributes:
        random: where inputs come from.
        refused: what Caffe2 does not run, and what it says.
    """

    def __init__(self, folder):
        self.random = np.random.RandomState(0)
        self.refused = []
        self._folder, self._numbers = folder, collections.Counter()

    def op(self, kind, *inputs, **arguments):
        """One operator.

        Args:
            kind: the operator.
            inputs: arrays, in order.
            arguments: its arguments; and ``outputs`` (how many; 1), ``inplace`` (the output is the first input),
                ``engine``.
        """
        from caffe2.python import core

        outputs = ["Y"] + ["Y%d" % index for index in range(1, arguments.pop("outputs", 1))]
        names = ["X"] + ["X%d" % index for index in range(1, len(inputs))]
        if arguments.pop("inplace", False):
            outputs[0] = "X"
        named = collections.OrderedDict(zip(names, inputs))
        op = core.CreateOperator(kind, list(named), outputs, **arguments)
        self.net(kind, [op], named)

    def net(self, kind, ops, inputs):
        """A net that shows an operator: `inputs` are arrays by name."""
        from caffe2.proto import caffe2_pb2

        net = caffe2_pb2.NetDef()
        net.op.extend(ops)
        arrays = collections.OrderedDict((name, np.asarray(value)) for name, value in inputs.items())
        reason = self._kept(net, arrays, kind)
        if reason:
            self.refused.append("%s: %s" % (kind, reason))
            return
        (self._folder / "0").rename(self._folder / ("%s_%d" % (kind, self._numbers[kind])))
        self._numbers[kind] += 1

    def _kept(self, net, arrays, kind):
        """Keeps a case, in a process of its own, since some operators write where they may not: why not, if not."""
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            recorder = Recorder(self._folder, "extra", 1)
            recorder.install()
            recorder.keep(net, arrays, kind)
            os.write(writing, "; ".join(recorder.left_out).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as file:
            reason = file.read().decode()
        _, status = os.waitpid(child, 0)
        if status:
            shutil.rmtree(str(self._folder / "0"), ignore_errors=True)
            return "ends the process with status %d" % status
        return reason

    def f(self, *size):
        """Random floats."""
        return self.random.randn(*size).astype(np.float32)

    def p(self, *size):
        """Random positive floats."""
        return (self.random.rand(*size) + 0.1).astype(np.float32)

    def i(self, high, *size, **options):
        """Random integers from 0 to `high`, exclusive; or from `low`."""
        return self.random.randint(options.get("low", 0), high, size).astype(options.get("dtype", np.int32))

    def b(self, *size):
        """Random booleans."""
        return self.random.rand(*size) < 0.5


def main(folder):
    from caffe2.python import workspace

    folder.mkdir(parents=True, exist_ok=True)
    workspace.GlobalInit(["caffe2", "--caffe2_log_level=3", "--caffe2_cpu_allocator_do_junk_fill=1"])
    cases = Cases(folder)
    for family in FAMILIES:
        family.make(cases)
    (folder / "left_out.tsv").write_text("\n".join(cases.refused))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Runs CNTK's own tests and keeps what it computes in them. Runs under Python 3.6, with CNTK 2.7.

    /path/to/python3.6 tests/conformance/cntk_capture.py FOLDER [MODULE...] [--cases N] [--jobs N]

Every function that a test evaluates is saved and evaluated once more, with all its outputs, and kept as a case, see
`cntk_record`: FOLDER then has ``MODULE/TEST.NUMBER`` with N cases of a test at most, those that differ most, and
``left_out.tsv``, which says how often something was not kept, and why. The tests' own assertions do not matter here.
A module is a process of its own: a crash costs no more than the rest of that module.
"""

import argparse
import collections
import hashlib
import json
import os
import re
import shutil
import signal
import sys
import traceback
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from cntk_record import SEQUENCE, evaluate, keep, layout, unpacked
from processes import failures

#: Below the package `cntk`. The others train, or test CNTK's Python.
MODULES = """
    tests.onnx_op_test ops.tests.kernel_test tests.onnx_sequence_test tests.onnx_model_test tests.onnx_format_test
    tests.function_test tests.variables_test
    ops.tests.block_test ops.tests.combine_test ops.tests.comparison_test ops.tests.evaluation_test
    ops.tests.fp16_test ops.tests.free_static_axis_test ops.tests.function_tests
    ops.tests.linear_test ops.tests.non_diff_test ops.tests.non_linear_test
    ops.tests.recurrent_test ops.tests.reduction_test ops.tests.reshaping_test ops.tests.sequence_test
    ops.tests.sparse_test ops.tests.stop_gradient_test ops.tests.transpose_test
    layers.tests.higher_order_layers_test layers.tests.layers_test
    losses.tests.cosine_distance_test losses.tests.fmeasure_test losses.tests.h_softmax_test losses.tests.losses_test
    metrics.tests.metrics_test train.tests.trainer_test
""".split()
#: They judge, or draw lots.
LEFT_OUT = ("RandomSample", "RandomDistribution", "RandomSampleInclusionFrequency")
#: What some tests leave to other systems, a function of theirs.
ONLY_ON_WINDOWS = "save_onnx_model_with_validation_data"
SECONDS_A_TEST, SECONDS_A_MODULE = 1.5, 400
LARGEST = 1 << 20  # bytes of inputs or outputs


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--cases", type=int, default=6, help="the most cases of a test")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    left_out = collections.Counter()

    def run(module, folder):
        run_module(module, folder, options.cases)

    for name, status in failures(options.modules or MODULES, options.folder, run, options.jobs, SECONDS_A_MODULE):
        left_out["%s ended with status %d" % (name, status)] += 1
    for path in sorted(options.folder.glob("*/left_out.json")):
        left_out.update(json.loads(path.read_text()))
    lines = ["%d\t%s\n" % (count, why) for why, count in left_out.most_common()]
    (options.folder / "left_out.tsv").write_text("".join(lines))


def run_module(module, folder, limit):
    import importlib.util

    import pytest

    package = Path(importlib.util.find_spec("cntk").origin).parent
    path = package.joinpath(*module.split(".")).with_suffix(".py")
    recorder = Recorder(folder, limit)
    pytest.main(
        ["-q", "-s", "-p", "no:cacheprovider", "--basetemp=%s" % (folder / "tmp"), str(path)], plugins=[recorder]
    )
    shutil.rmtree(str(folder / "tmp"), ignore_errors=True)
    recorder.finish()


class Recorder:
    """A plug-in of pytest that keeps what is evaluated.

    The tests run in a process that another one follows when it dies, with the test after that: some corrupt the memory.
    """

    def __init__(self, folder, limit):
        self.folder, self.limit, self.count = folder, limit, 0
        self.test, self.all = "", folder / "all"
        self.left_out = collections.Counter()
        self.all.mkdir()

    def pytest_runtestloop(self, session):
        import cntk.ops.functions  # noqa: F401  (before the first fork)

        while self.count < len(session.items):
            child = os.fork()
            if not child:
                self.run(session.items)
            _, status = os.waitpid(child, 0)
            if not status:
                break
            self.left_out["a test ended with status %d" % status] += 1
            self.count = int((self.all / "count").read_text())
            print("ended with status %d: %s" % (status, session.items[self.count].nodeid), flush=True)
            self.count += 1
        return True

    def run(self, items):
        """Runs all tests that are left, with every function that they evaluate kept, and ends."""
        from _pytest.runner import runtestprotocol

        self.patch()
        for count in range(self.count, len(items)):
            self.count = count
            (self.all / "count").write_text(str(self.count))
            item, self.left_out = items[self.count], collections.Counter()
            self.test = item.originalname or item.name
            if hasattr(item.module, ONLY_ON_WINDOWS):
                setattr(item.module, ONLY_ON_WINDOWS, evaluate_instead)
            signal.setitimer(signal.ITIMER_PROF, SECONDS_A_TEST)  # of this process, however busy others are
            reports = runtestprotocol(item, log=False, nextitem=None)
            signal.setitimer(signal.ITIMER_PROF, 0)
            self.left_out["a test is skipped, by itself"] += any(report.skipped for report in reports)
            (self.all / ("%d.left_out.json" % self.count)).write_text(json.dumps(self.left_out))
        os._exit(0)

    def patch(self):
        from cntk.ops.functions import Function

        original, busy = Function.forward, []

        def forward(function, arguments, outputs=None, *rest, **more):
            if not busy:
                busy.append(function)
                try:
                    self.keep(function, arguments)
                except Exception as error:
                    self.left_out[reason(error)] += 1
                    traceback.print_exc()
                busy.clear()
            return original(function, arguments, outputs, *rest, **more)

        Function.forward = forward

    def keep(self, function, arguments):
        import cntk

        if function.is_primitive:
            function = cntk.as_composite(function)
        nodes = functions_of(function)
        if any(type(node).__name__ == "UserFunction" or node.op_name == "UserFunction" for node in nodes):
            raise ValueError("a user's function")
        if any(node.op_name in LEFT_OUT for node in nodes):
            raise ValueError("random")
        feeds = fed(function, arguments)
        if sum(np.asarray(array).nbytes for data in feeds.values() for array in data) > LARGEST:
            raise ValueError("large")
        features = described(nodes, feeds)
        outputs = list(zip(function.outputs, evaluate(function, feeds)))
        folder = self.all / digest(features, feeds, outputs)
        try:
            folder.mkdir()
        except OSError:  # it is there, from this test or another
            return
        function.save(str(folder / "model.model"))
        loaded = cntk.load_model(str(folder / "model.model"))
        arguments = {argument.uid: argument for argument in loaded.arguments}  # loading keeps uids
        again = evaluate(loaded, {arguments[variable.uid]: data for variable, data in feeds.items()})
        if not all(same(data, other) for (_, data), other in zip(outputs, again)):
            raise ValueError("random, or not saved as it is")
        keep(folder, feeds, outputs, {"test": self.test, "place": self.count, "features": features})

    def finish(self):
        """Keeps those cases of each test that differ most."""
        tests = collections.defaultdict(list)
        for path in sorted(self.all.glob("*/meta.json")):
            meta = json.loads(path.read_text())
            tests[meta["test"]].append((meta["place"], set(meta["features"]), path.parent))
        for test, cases in tests.items():
            chosen = most_different(sorted(cases, key=lambda case: case[0]), self.limit)
            for number, (_, _, folder) in enumerate(chosen):
                folder.rename(self.folder / ("%s.%d" % (test, number)))
            self.left_out["much like others of the same test"] += len(cases) - len(chosen)
        for path in self.all.glob("*.left_out.json"):
            self.left_out.update(json.loads(path.read_text()))
        shutil.rmtree(str(self.all))
        (self.folder / "left_out.json").write_text(json.dumps(self.left_out))


def evaluate_instead(folder, function, data, *rest, **more):
    function.eval(dict(zip(function.arguments, [data] if isinstance(data, np.ndarray) else data)))


def same(data, other):
    lists = (data, other) if isinstance(data, list) else ([data], [other])
    return len(lists[0]) == len(lists[1]) and all(
        a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True) for a, b in zip(*lists)
    )


def reason(error):
    lines = [line for line in str(error).splitlines() if line.strip()]
    return re.sub(r"\d+", "N", "%s: %s" % (type(error).__name__, lines[0] if lines else ""))[:160]


def fed(function, arguments):
    """What is given to each argument, as dense arrays, in whatever form the test gave it."""
    from cntk.core import Value
    from cntk.device import cpu
    from cntk.internal.sanitize import sanitize_var_map

    feeds = collections.OrderedDict()
    for variable, value in sanitize_var_map(function.arguments, arguments, None, cpu()).items():
        value.__class__ = Value
        data = densified(variable, value) if value.is_sparse else unpacked(variable, value)
        rank = len(variable.shape)
        if layout(variable) == SEQUENCE:  # a single step needs no axis
            feeds[variable] = [each if each.ndim > rank else each[None] for each in data]
        else:  # axes of size 1 may come before those of a sample
            dims = data.shape[data.ndim - rank :]
            feeds[variable] = data.reshape((-1,) + dims if layout(variable) == "batch" else dims)
    return feeds


def densified(variable, value):
    import cntk

    alike = cntk.ops.input_variable(
        variable.shape, variable.dtype, is_sparse=True, dynamic_axes=variable.dynamic_axes, name="x"
    )
    dense = cntk.times(alike, np.identity(variable.shape[-1], variable.dtype))
    _, values = dense.forward({alike: value}, outputs=dense.outputs, as_numpy=False)
    return unpacked(dense.output, values[dense.output])


def functions_of(function):
    """The functions that a function is made of, with what is inside blocks."""
    seen, queue, found = set(), [function.root_function], []
    while queue:
        node = queue.pop()
        if node is None or node.uid in seen:
            continue
        seen.add(node.uid)
        found.append(node)
        if node.is_block:
            queue.append(node.block_root)
        queue.extend(variable.owner for variable in node.inputs if variable.is_output)
    return found


def described(nodes, feeds):
    """What tells one use of functions from others. Attributes are no part of it: CNTK dies of looking at some."""
    features = set()
    for node in nodes:
        shapes = [variable.shape for variable in list(node.inputs) + list(node.outputs)]
        features.update([node.op_name, "%s %s" % (node.op_name, shapes)])
    for variable in feeds:
        features.add("input %s %s %s" % (np.dtype(variable.dtype).name, layout(variable), variable.is_sparse))
    return sorted(features)


def digest(features, feeds, outputs):
    found = hashlib.sha1(repr(features).encode())
    for variable, data in list(feeds.items()) + outputs:
        for array in data if layout(variable) == SEQUENCE else [data]:
            found.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def most_different(cases, limit):
    """Those that have most that those before them have not."""
    chosen, left, seen = [], list(cases), set()
    while left and len(chosen) < limit:
        best = max(left, key=lambda case: len(case[1] - seen))
        left.remove(best)
        chosen.append(best)
        seen |= best[1]
    return chosen


if __name__ == "__main__":
    main()

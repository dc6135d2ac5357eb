"""Runs Caffe2's own operator tests and keeps what the real runtime computed in them. Runs under Python 3.6.

    /path/to/python3.6 tests/conformance/caffe2_capture.py FOLDER [--seed N] [--cases N] [--jobs N] [MODULE...]

Every operator and net that a test runs on the CPU is run once more in a workspace of its own, twice, and kept with its
inputs and outputs as a case: a folder with ``predict_net.pb``, ``inputs.npz``, ``outputs.npz`` and ``meta.json``, laid
out like those of the corpus. The tests' own assertions do not matter here, so that gradients and references are not
computed. A module is a process of its own: a crash costs no more than the rest of that module.

FOLDER then has the cases, ``summary.tsv`` (how many cases an operator has) and ``left_out.tsv`` (how often something
was not kept, and why). `caffe2_operators.txt` lists the operators that matter for inference.
"""

import argparse
import collections
import itertools
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
from processes import failures

HERE = Path(__file__).resolve().parent
INFERENCE = frozenset((HERE / "caffe2_operators.txt").read_text().split())
#: Operators of nets that make no tensors but that others need to run.
HELPERS = frozenset(["CreateScope", "HasScope", "Print", "EnforceFinite", "NanCheck"])
#: Modules with other operator tests than those under ``operator_test``.
OTHERS = [
    "caffe2.python." + name
    for name in (
        "hypothesis_test", "control_ops_test", "crf_viterbi_test", "fused_8bit_rowwise_conversion_ops_test",
        "lengths_reducer_fused_8bit_rowwise_ops_test", "lengths_reducer_rowwise_8bit_ops_test", "sparse_to_dense_test",
        "sparse_to_dense_mask_test", "functional_test", "brew_test", "net_builder_test", "layers_test", "cnn_test",
        "gradient_check_test", "operator_fp_exceptions_test", "tt_core_test", "test.inference_lstm_op_test",
        "test.do_op_test", "models.seq2seq.seq2seq_beam_search_test", "models.seq2seq.seq2seq_model_helper_test",
        "models.resnet_test", "models.shufflenet_test", "predictor.predictor_test", "convert_test", "attention_test",
    )
]  # fmt: skip
#: They need other machines, cameras or minutes.
LEFT_OUT = ("mpi_test", "image_input_op_test", "video_input_op_test", "speed_test", "benchmark", "adagrad", "adam_test")
SECONDS_A_TEST, SECONDS_A_MODULE = 10, 75
LARGEST = 1 << 20  # bytes of inputs or outputs
JUNK = 0x7FEDBEEF  # what Caffe2's allocator fills new memory with in its tests


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=12, help="the most cases of an operator")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    run_modules(options.modules or modules(), options)


def modules():
    import caffe2.python.operator_test as tests

    names = sorted(path.stem for path in Path(tests.__file__).parent.glob("*_test.py"))
    names = [name for name in names if not any(part in name for part in LEFT_OUT)]
    folder = Path(tests.__file__).parents[2]
    others = [name for name in OTHERS if (folder.parent / (name.replace(".", "/") + ".py")).exists()]
    return others + ["caffe2.python.operator_test." + name for name in names]


def run_modules(names, options):
    """Runs modules side by side, each in a process, and gathers what they keep."""
    parts = options.folder / "parts"
    shutil.rmtree(str(options.folder), ignore_errors=True)
    parts.mkdir(parents=True)
    # Once for all processes: this takes longer than most modules.
    import scipy.special  # noqa: F401

    def run(name, folder):
        run_module(name, folder, options.seed, options.cases)

    for name, status in failures(names, parts, run, options.jobs, SECONDS_A_MODULE):
        (parts / name / "crashed").write_text(str(status))
    gather(parts, options.folder, options.cases)
    if not os.environ.get("KEEP_PARTS"):
        shutil.rmtree(str(parts))


def gather(parts, folder, limit):
    """Moves the cases of all modules to one folder: of each operator those that differ most in their arguments."""
    found, left_out, crashed = collections.defaultdict(list), collections.Counter(), []
    for part in sorted(parts.iterdir()):
        if (part / "crashed").exists():
            crashed.append("%s: exit status %s" % (part.name, (part / "crashed").read_text()))
        for path in sorted(part.glob("*/meta.json"), key=lambda path: int(path.parent.name)):
            try:
                meta = json.loads(path.read_text())
            except ValueError:  # killed while it wrote
                continue
            found[meta["op_type"]].append((json.dumps(meta.pop("key")), meta, path.parent))
        if (part / "left_out.json").exists():
            left_out.update(json.loads((part / "left_out.json").read_text()))
    for name, cases in sorted(found.items()):
        most = 10 * limit if name == "Net" else limit
        for number, (_, meta, source) in enumerate(most_different(cases, most)):
            target = folder / ("%s_%d" % (name, number))
            source.rename(target)
            (target / "meta.json").write_text(json.dumps(meta, indent=1, sort_keys=True))
            found[name][number] = None
        found[name] = min(len(cases), most)
    rows = ["%s\t%d" % (name, found.get(name, 0)) for name in sorted(INFERENCE | set(found))]
    (folder / "summary.tsv").write_text("\n".join(["operator\tcases"] + rows) + "\n")
    rows = ["%s\t%d" % row for row in sorted(left_out.items())] + ["%s\t1" % row for row in crashed]
    (folder / "left_out.tsv").write_text("\n".join(rows) + "\n")


def most_different(cases, limit):
    """At most `limit` of the cases, one of each key before a second of any."""
    by_key = collections.OrderedDict()
    for case in cases:
        by_key.setdefault(case[0], []).append(case)
    rounds = itertools.zip_longest(*by_key.values())
    return list(itertools.islice((case for cases in rounds for case in cases if case is not None), limit))


def run_module(name, folder, seed, limit):
    """Runs the tests of one module, and records what they run."""
    import importlib
    import random
    import unittest

    import hypothesis
    from hypothesis import core as hypothesis_core

    hypothesis_core.global_force_seed = seed
    tolerate_old_tests(limit)
    recorder = Recorder(folder, name.rpartition(".")[2], limit)
    replace_assertions(recorder)
    hypothesis.settings.register_profile(
        "capture",
        deadline=None,
        database=None,
        max_examples=2 * limit,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        suppress_health_check=hypothesis.HealthCheck.all(),
    )
    hypothesis.settings.load_profile("capture")
    module = importlib.import_module(name)
    recorder.install()
    signal.signal(signal.SIGALRM, give_up)
    for test in tests_of(unittest.TestLoader().loadTestsFromModule(module)):
        recorder.test = test.id().rpartition(".")[2]
        random.seed(seed)
        np.random.seed(seed)
        signal.alarm(SECONDS_A_TEST)
        result = unittest.TestResult()
        try:
            test(result)
        except TakesTooLongError:
            pass
        finally:
            signal.alarm(0)
        for _, text in result.errors + result.failures:
            print(recorder.test, text[-600:], flush=True)
    (folder / "left_out.json").write_text(json.dumps(recorder.left_out))


def tolerate_old_tests(examples):
    """Lets tests run that were written for older libraries, and with enough examples each."""
    import types

    import hypothesis
    import hypothesis.strategies as st
    import scipy.misc
    import scipy.special

    init, call = hypothesis.settings.__init__, hypothesis.settings.__call__

    def settings_init(self, parent=None, **options):
        for name in ("timeout", "min_satisfying_examples"):
            options.pop(name, None)
        if "max_examples" in options:
            options["max_examples"] = max(options["max_examples"], examples)
        init(self, parent, **options)

    def settings_call(self, test):
        if hasattr(test, "_hypothesis_internal_settings_applied"):
            del test._hypothesis_internal_settings_applied
        return call(self, test)

    def without_average(strategy):
        def make(*args, **options):
            options.pop("average_size", None)
            return strategy(*args, **options)

        return make

    hypothesis.settings.__init__, hypothesis.settings.__call__ = settings_init, settings_call
    st.lists, st.text = without_average(st.lists), without_average(st.text)
    scipy.misc.logsumexp = scipy.special.logsumexp
    np.set_printoptions = lambda *args, **options: None
    for name in ("networkx", "matplotlib", "lmdb"):  # imported by modules whose tests need none of them
        sys.modules.setdefault(name, types.ModuleType(name))


class TakesTooLongError(BaseException):
    """A test is given up."""


def give_up(_number, _frame):
    raise TakesTooLongError


def tests_of(suite):
    for test in suite:
        if hasattr(test, "__iter__"):
            for each in tests_of(test):
                yield each
        elif type(test).__name__ != "_FailedTest":
            yield test


def replace_assertions(recorder):
    """The assertions of Caffe2's tests: each runs its operator once, and compares nothing."""
    import caffe2.python.hypothesis_test_util as hu
    import caffe2.python.serialized_test.serialized_test_util as serial
    from caffe2.python import device_checker, gradient_checker

    def run(device, op, inputs, outputs=None):
        device = device[0] if isinstance(device, list) else device
        if device.device_type:
            return None
        results = hu.runOpOnInput(device, op, list(inputs))
        return [results[index] for index in outputs] if outputs else results

    def reference_checks(self, device_option, op, inputs, reference=None, *args, **kwargs):
        return run(device_option, op, inputs, kwargs.get("outputs_to_check"))

    def device_checks(self, device_options, op, inputs, *args, **kwargs):
        if not recorder.has_seen(op, inputs):
            run(device_options, op, inputs)

    def gradient_checks(self, device_option, op, inputs, *args, **kwargs):
        device_checks(self, device_option, op, inputs)

    def check_simple(self, op, inputs, *args, **kwargs):
        hu.runOpOnInput(hu.cpu_do, op, list(inputs))
        return True

    def check_gradient(self, op, inputs, *args, **kwargs):
        hu.runOpOnInput(hu.cpu_do, op, list(inputs))
        return True, np.zeros(()), np.zeros(())

    hu.HypothesisTestCase.assertReferenceChecks = reference_checks
    serial.SerializedTestCase.assertReferenceChecks = reference_checks
    hu.HypothesisTestCase.assertDeviceChecks = device_checks
    hu.HypothesisTestCase.assertGradientChecks = gradient_checks
    device_checker.DeviceChecker.CheckSimple = check_simple
    gradient_checker.GradientChecker.CheckSimple = check_gradient


class UnfetchableError(Exception):
    """A blob that is no tensor."""


class Recorder:
    """Keeps the operators and nets that are run.

    Attributes:
        test: the test that runs.
        left_out: how often what was not kept, and why.
    """

    def __init__(self, folder, module, limit):
        self.folder, self.module, self.limit, self.test = folder, module, limit, ""
        self.left_out = collections.Counter()
        self._seen, self._kept, self._number = set(), collections.Counter(), 0
        self._variants = collections.Counter()
        self._nets = {}
        self._run = None
        self._busy = False

    def install(self):
        """Takes the place of Caffe2's functions that run something."""
        from caffe2.proto import caffe2_pb2
        from caffe2.python import workspace

        C = workspace.C
        run_net, run_operator = C.Workspace._run_net, C.Workspace._run_operator
        create_net, run_created = C.create_net, C.run_net
        run_net_once, run_operator_once = C.run_net_once, C.run_operator_once
        run_plan, run_plan_in = C.run_plan, C.Workspace._run_plan
        self._run = lambda own, net: run_net(own, net.SerializeToString())
        self._run_operator = lambda own, op: run_operator(own, op.SerializeToString())

        def parsed(kind, text):
            message = kind()
            message.ParseFromString(text)
            return message

        def on_operator(fetch, text):
            op = parsed(caffe2_pb2.OperatorDef, text)
            net = caffe2_pb2.NetDef()
            net.op.add().CopyFrom(op)
            self.see(net, fetch)

        def on_net(fetch, text):
            self.see(parsed(caffe2_pb2.NetDef, text), fetch)

        def operator_once(text):
            on_operator(C.fetch_blob, text)
            return run_operator_once(text)

        def net_once(text):
            on_net(C.fetch_blob, text)
            return run_net_once(text)

        def created(text, overwrite=False):
            self._nets[parsed(caffe2_pb2.NetDef, text).name] = text
            return create_net(text, overwrite)

        def run_by_name(name, *rest):
            text = self._nets.get(name if isinstance(name, str) else name.decode())
            if text is not None:
                on_net(C.fetch_blob, text)
            return run_created(name, *rest)

        def operator_in(own, text):
            on_operator(own.fetch_blob, text)
            return run_operator(own, text)

        def net_in(own, text):
            on_net(own.fetch_blob, text)
            return run_net(own, text)

        def plan(text):
            self.see(net_of_plan(parsed(caffe2_pb2.PlanDef, text)), C.fetch_blob)
            return run_plan(text)

        def plan_in(own, text):
            self.see(net_of_plan(parsed(caffe2_pb2.PlanDef, text)), own.fetch_blob)
            return run_plan_in(own, text)

        C.run_operator_once, C.run_net_once, C.create_net, C.run_net = operator_once, net_once, created, run_by_name
        C.Workspace._run_operator, C.Workspace._run_net = operator_in, net_in
        C.run_plan, C.Workspace._run_plan = plan, plan_in

    def see(self, net, fetch):
        """A net is about to run in a workspace whose blobs `fetch` gives."""
        if self._busy:
            return
        self._busy = True
        try:
            self._see(net, fetch)
        except TakesTooLongError:
            raise
        except UnfetchableError as error:
            self.left_out["%s: an input that is no tensor" % error] += 1
        finally:
            self._busy = False

    def has_seen(self, op, inputs):
        arrays = {name: np.asarray(value) for name, value in zip(op.input, inputs)}
        return all(isinstance(v, np.ndarray) for v in inputs) and self._identity([op], arrays) in self._seen

    def _see(self, net, fetch):
        cut = inference_part(net)
        if not cut.op:
            for op in net.op[:1]:
                self.left_out["%s: out of scope" % op.type] += 1
            return
        try:
            inputs = collections.OrderedDict((name, tensor(fetch(name))) for name in names_read(cut))
        except (RuntimeError, IndexError):  # no such blob: the run will fail, too
            return
        self._keep(cut, inputs)
        if len(cut.op) > 1:
            self._step_by_step(cut, inputs)

    def _step_by_step(self, net, inputs):
        """Keeps the operators of a net each, those that are rare."""
        if all(self._kept[op.type] >= 4 for op in net.op):
            return
        own = self._workspace(inputs)
        for op in net.op:
            if op.type in INFERENCE and self._kept[op.type] < self.limit:
                try:
                    alone = type(net)()
                    alone.op.add().CopyFrom(op)
                    inputs = ((name, tensor(own.fetch_blob(name))) for name in names_read(alone))
                    self._keep(alone, collections.OrderedDict(inputs))
                except (UnfetchableError, RuntimeError, IndexError):
                    pass
            try:
                self._run_operator(own, op)
            except Exception:
                return

    def _identity(self, ops, inputs):
        arguments = tuple(arguments_of(op) for op in ops)
        return arguments, tuple((value.dtype.kind, value.dtype.itemsize, value.shape) for value in inputs.values())

    def _keep(self, net, inputs):
        kind = net.op[0].type if len(net.op) == 1 else "Net"
        identity = self._identity(net.op, inputs)
        variant = kind, identity[0], tuple(item[:2] for item in identity[1])
        most = 40 if kind == "Net" else 4 * self.limit
        if identity in self._seen or self._kept[kind] >= most or self._variants[variant] >= self.limit:
            return
        self._seen.add(identity)
        if self.keep(net, inputs, kind, [[list(map(str, each)) for each in identity[0]], variant[2]]):
            self._kept[kind] += 1
            self._variants[variant] += 1

    def keep(self, net, inputs, kind, key=None):
        """Runs a net and writes a case: the folder, or None where the net does not run or is too large."""
        net = standalone(net, inputs)
        try:
            first, second = self._outputs(net, inputs), self._outputs(net, inputs)
        except TakesTooLongError:
            raise
        except Exception as error:
            self.left_out["%s: %s" % (kind, str(error).replace("\n", " ")[:120])] += 1
            return None
        if not first[0]:
            self.left_out["%s: no output that is a tensor" % kind] += 1
            return None
        if sum(value.nbytes for value in list(inputs.values()) + list(first[0].values())) > LARGEST:
            self.left_out["%s: large" % kind] += 1
            return None
        return self._write(net, inputs, first, second[0], kind, key)

    def _workspace(self, inputs):
        from caffe2.python import workspace

        own = workspace.C.Workspace()
        for name, value in inputs.items():
            own.feed_blob(name, value)
        return own

    def _outputs(self, net, inputs):
        """The tensors that a net makes, what is known about the quantized ones, and the blobs that are no tensors."""
        own = self._workspace(inputs)
        self._run(own, net)
        results, quantized, others = collections.OrderedDict(), {}, []
        for name in net.external_output:
            try:
                value = own.fetch_blob(name)
                if isinstance(value, tuple):
                    quantized[name] = {"int8_scale": float(value[1]), "int8_zero_point": int(value[2])}
                    value = value[0]
                results[name] = tensor(value)
            except (UnfetchableError, RuntimeError, IndexError):
                others.append(name)
        return results, quantized, others

    def _write(self, net, inputs, recorded, again, kind, key):
        outputs, quantized, others = recorded
        folder = self.folder / str(self._number)
        self._number += 1
        folder.mkdir()
        net.name = "%s_%d" % (kind, self._number)
        del net.external_output[:]
        net.external_output.extend(outputs)
        (folder / "predict_net.pb").write_bytes(net.SerializeToString())
        meta = {
            "kind": "op" if kind != "Net" else "net",
            "op_type": kind,
            "source": "%s:%s" % (self.module, self.test),
            "inputs_name_map": save(folder / "inputs.npz", inputs),
            "outputs_name_map": save(folder / "outputs.npz", outputs),
            "output_info": quantized,
            "unfetchable_outputs": others,
            "weight_like_inputs": [],
            "nondeterministic_outputs": [name for name in outputs if is_random(outputs[name], again[name])],
            "key": key,
        }
        (folder / "meta.json").write_text(json.dumps(meta))
        return folder


def is_random(value, again):
    """Whether two runs differ, or memory was left as it was allocated."""
    if value.shape != again.shape or value.tobytes() != again.tobytes():
        return True
    whole = value.dtype.kind in "fi" and value.dtype.itemsize >= 4
    return whole and bool(np.any(np.frombuffer(value.tobytes(), np.int32) == JUNK))


def tensor(value):
    """A fetched blob as an array; strings as bytes of one length, which is how files hold them."""
    if not isinstance(value, np.ndarray):
        raise UnfetchableError(str(value)[:60])
    if value.dtype == object:
        flat = [item if isinstance(item, bytes) else str(item).encode() for item in value.ravel()]
        return np.array(flat, dtype="S" if flat else "S1").reshape(value.shape)
    return value


def save(path, arrays):
    """Writes arrays under their names, or under others where those cannot be: returns what the others stand for."""
    stored, renamed = collections.OrderedDict(), {}
    for index, (name, value) in enumerate(arrays.items()):
        key = "blob_%d" % index if "/" in name or name == "file" else name
        stored[key] = value
        if key != name:
            renamed[key] = name
    np.savez(str(path), **stored)
    return renamed


def inference_part(net):
    """The net up to the first operator that only training has; empty where what comes is of another kind."""
    part = type(net)()
    part.CopyFrom(net)
    del part.op[:]
    for op in net.op:
        if op.is_gradient_op or op.device_option.device_type or op.engine.startswith("DNNLOWP"):
            break
        if not set(types_in(op)) <= INFERENCE | HELPERS:
            break
        part.op.add().CopyFrom(op)
    if not any(op.type in INFERENCE for op in part.op):
        del part.op[:]
    return part


def net_of_plan(plan):
    """The nets of a plan as one, in the order in which they run, up to the first step that is repeated."""
    from caffe2.proto import caffe2_pb2

    nets, whole = {net.name: net for net in plan.network}, caffe2_pb2.NetDef()
    waiting = list(plan.execution_step)
    while waiting:
        step = waiting.pop(0)
        if step.num_iter > 1 or step.HasField("should_stop_blob") or step.concurrent_substeps:
            break
        waiting[:0] = step.substep
        for name in step.network:
            whole.op.extend(nets[name].op)
    return whole


def types_in(op):
    yield op.type
    for argument in op.arg:
        # The step net of the gradient is an argument of the forward operator, too.
        if argument.name.startswith("backward"):
            continue
        for net in ([argument.n] if argument.HasField("n") else []) + list(argument.nets):
            for inner in net.op:
                for each in types_in(inner):
                    yield each


def names_read(net):
    """The blobs that a net reads before it writes them, in order; those that its branches and bodies read as well."""
    written, read = set(), collections.OrderedDict()
    for op in net.op:
        for name in list(op.input) + list(names_read_inside(op)):
            if name not in written:
                read[name] = None
        written.update(op.output)
    return list(read)


def names_read_inside(op):
    if op.type in ("If", "While"):
        for argument in op.arg:
            if argument.HasField("n"):
                for name in names_read(argument.n):
                    yield name


def names_written_inside(op):
    if op.type in ("If", "While"):
        for argument in op.arg:
            if argument.HasField("n"):
                for inner in argument.n.op:
                    for name in list(inner.output) + list(names_written_inside(inner)):
                        yield name


def standalone(net, inputs):
    """The net with its inputs and outputs declared: what it makes and does not read itself, and what it says."""
    alone = type(net)()
    alone.CopyFrom(net)
    del alone.external_input[:], alone.external_output[:]
    alone.external_input.extend(inputs)
    made, wanted = collections.OrderedDict(), set(net.external_output)
    for op in net.op:
        for name in op.input:
            if name in made:
                made[name] = False
        for name in list(op.output) + [n for n in names_written_inside(op) if n in inputs or n in made]:
            made[name] = True
    alone.external_output.extend(name for name, unread in made.items() if unread or name in wanted)
    return alone


def arguments_of(op):
    """What tells one use of an operator from another but for the names and the sizes of its blobs."""
    places = {name: str(index) for index, name in enumerate(op.input)}
    arguments = sorted(argument.SerializeToString() for argument in op.arg)
    outputs = tuple(places.get(name, "") for name in op.output)
    return (op.type,) + tuple(arguments) + outputs


if __name__ == "__main__":
    main()

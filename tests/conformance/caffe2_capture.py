"""Runs Caffe2's own operator tests and keeps what the real runtime computed in them. Runs under Python 3.6.

    /path/to/python3.6 tests/conformance/caffe2_capture.py FOLDER [MODULE...] [--seed N] [--cases N] [--jobs N]

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
from caffe2_nets import INFERENCE
from caffe2_recorder import Recorder
from processes import failures

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


if __name__ == "__main__":
    main()

"""Keeps what CNTK computes as cases. Runs under Python 3.6, with CNTK 2.7.

A case is a folder with ``model.model``, ``inputs.npz``, ``outputs.npz`` and ``meta.json``, laid out as in the corpus:
arrays are called ``in0``, ``out0`` and so on, in the order of ``inputs`` and ``outputs`` in ``meta.json``; those of
sequences ``in0__s0``, ``in0__s1``, with ``in0__lengths``. Sparse inputs are kept densely.

    /path/to/python3.6 tests/conformance/cntk_record.py FOLDER SCRIPT

makes a case of each function of a script that gives a function of CNTK and its inputs, by name; or a list of inputs for
several batches, which become cases ``NAME.0``, ``NAME.1``.
"""

import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "nxconvert" / "runtimes" / "workers"))

from cntk_evaluate import SEQUENCE, evaluate, layout, unpacked

__all__ = ["unpacked"]


def record(folder, function, feeds, **known):
    """Makes a case of a function and what is fed to its arguments: a list of arrays where they have sequences."""
    import cntk

    function = cntk.as_composite(function) if function.is_primitive else function
    outputs = evaluate(function, feeds)
    folder.mkdir(parents=True)
    function.save(str(folder / "model.model"))
    arguments = [argument for argument in function.arguments if argument in feeds]
    keep(folder, {variable: feeds[variable] for variable in arguments}, list(zip(function.outputs, outputs)), known)


def keep(folder, feeds, outputs, known):
    """Writes all of a case but the model; `outputs` are pairs of variables and what they hold."""
    folder.mkdir(parents=True, exist_ok=True)
    meta = dict(known, inputs=[], outputs=[])
    for stem, pairs in (("in", list(feeds.items())), ("out", outputs)):
        arrays = {}
        for index, (variable, data) in enumerate(pairs):
            key = "%s%d" % (stem, index)
            meta[stem + "puts"].append(described(variable, key))
            if layout(variable) == SEQUENCE:
                arrays.update(("%s__s%d" % (key, i), np.asarray(each)) for i, each in enumerate(data))
                arrays[key + "__lengths"] = np.array([len(each) for each in data])
            else:
                arrays[key] = np.asarray(data)
        np.savez(str(folder / (stem + "puts.npz")), **arrays)
    (folder / "meta.json").write_text(json.dumps(meta, indent=1))


def described(variable, key):
    axes = [{"name": axis.name, "seq": axis.is_sequence_axis} for axis in variable.dynamic_axes]
    return {
        "uid": variable.uid,
        "name": variable.name,
        "shape": list(variable.shape),
        "dtype": np.dtype(variable.dtype).name,
        "dynamic_axes": axes,
        "is_sparse": variable.is_sparse,
        "key": key,
        "layout": layout(variable),
    }


def by_name(function, inputs):
    """What is fed, by argument."""
    arguments = {argument.name: argument for argument in function.arguments}
    return {arguments[name]: data for name, data in inputs.items() if name in arguments}


def record_script(folder, path):
    """Makes cases of a script's functions; of one that fails a file with its error."""
    spec = importlib.util.spec_from_file_location(path.stem, str(path))
    script = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(script)
    for name, make in list(vars(script).items()):
        if getattr(make, "__module__", "") == path.stem and not name.startswith("_"):
            status = in_its_own_process(record_model, folder, name, make)
            if status:
                (folder / (name + ".error")).write_text("CNTK ended with status %d" % status)


def record_model(folder, name, make):
    try:
        function, batches = make()
        batches = batches if isinstance(batches, list) else [batches]
        for index, inputs in enumerate(batches):
            record(folder / ("%s.%d" % (name, index)), function, by_name(function, inputs))
    except Exception:
        (folder / (name + ".error")).write_text(traceback.format_exc())


def in_its_own_process(work, *arguments):
    """The status of a process that does some work: convolutions crash in one that has evaluated much else before."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        work(*arguments)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


if __name__ == "__main__":
    import cntk

    cntk.device.try_set_default_device(cntk.device.cpu())
    cntk.cntk_py.set_fixed_random_seed(1)
    np.random.seed(0)
    record_script(Path(sys.argv[1]), Path(sys.argv[2]))

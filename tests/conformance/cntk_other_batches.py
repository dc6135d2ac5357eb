"""Evaluates recorded models on batches of other sizes, with sequences of other lengths. Runs under Python 3.6.

    /path/to/python3.6 tests/conformance/cntk_other_batches.py FOLDER ARCHIVE...

makes for each case in ARCHIVE, of the corpus, another ``ARCHIVE/CASE`` in FOLDER, as `cntk_record` does, but without
the model. New values are of the kind of the recorded ones: between the least and the greatest of them; whole numbers,
one 1 in a row of 0, or the corners of boxes, if those are. Of a model that CNTK cannot evaluate on them there is a file
with the reason, ``ARCHIVE/CASE.error``.
"""

import json
import os
import sys
import zipfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from cntk_record import SEQUENCE, evaluate, keep, layout

#: The lengths of sequences, by how many sequence axes there are before theirs.
LENGTHS = ((4, 7, 1, 5, 6), (5, 2, 6, 3, 4), (3, 6, 2, 5, 4))


def main():
    import cntk.ops.functions  # noqa: F401  (before the first fork)

    folder = Path(sys.argv[1])
    for archive in map(Path, sys.argv[2:]):
        with zipfile.ZipFile(str(archive)) as file:
            file.extractall(str(folder / "cases" / archive.stem))
        (folder / archive.stem).mkdir()
    evaluate_all(folder, sorted((folder / "cases").glob("*/*/meta.json")))


def evaluate_all(folder, cases):
    """In a process that another one follows when it dies, with the case after that."""
    begin = 0
    while begin < len(cases):
        targets = [folder / case.parent.parent.name / case.parent.name for case in cases]
        child = os.fork()
        if not child:
            for index in range(begin, len(cases)):
                (folder / "place").write_text(str(index))
                another(cases[index].parent, targets[index])
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not status:
            return
        index = int((folder / "place").read_text())
        targets[index].with_name(targets[index].name + ".error").write_text("CNTK ended with status %d" % status)
        begin = index + 1


def another(case, folder):
    import cntk

    meta = json.loads((case / "meta.json").read_text())
    if not meta["truth"]:
        return
    function = cntk.load_model(str(case / "model.model"))
    arguments = {argument.uid: argument for argument in function.arguments}
    for longer in (0, 5):  # some models cannot do with the shortest sequences
        try:
            feeds = new_feeds(meta["inputs"], np.load(str(case / "inputs.npz")), arguments, longer)
            outputs = list(zip(function.outputs, evaluate(function, feeds)))
            keep_if_finite(folder, feeds, outputs)
            return
        except Exception as error:
            reason = str(error).split("[CALL STACK]")[0]
    folder.with_name(folder.name + ".error").write_text(reason)


def keep_if_finite(folder, feeds, outputs):
    arrays = [array for _, data in outputs for array in (data if isinstance(data, list) else [data])]
    if not all(np.all(np.isfinite(array)) for array in arrays):
        raise ValueError("not finite")
    keep(folder, feeds, outputs, {})


def new_feeds(inputs, recorded, arguments, longer):
    """By argument, new data for all inputs that the model has an argument for."""
    random, feeds, axes = np.random.RandomState(0), {}, []
    for described in inputs:
        variable, key = arguments.get(described["uid"]), described["key"]
        if variable is None:
            continue
        if layout(variable) == SEQUENCE:
            axis = next(axis.name for axis in variable.dynamic_axes if axis.is_sequence_axis)
            axes += [axis] if axis not in axes else []
            lengths = LENGTHS[axes.index(axis) % len(LENGTHS)]
            old = [recorded["%s__s%d" % (key, index)] for index in range(len(recorded[key + "__lengths"]))]
            like, shape = np.concatenate(old), old[0].shape[1:]
            feeds[variable] = [values(random, like, (length + longer,) + shape) for length in lengths]
        elif layout(variable) == "batch":
            like = recorded[key]
            shape = like.shape[like.ndim - len(variable.shape) :]
            feeds[variable] = values(random, like, (len(LENGTHS[0]),) + shape)
        else:
            feeds[variable] = values(random, recorded[key], recorded[key].shape)
    return feeds


def values(random, like, shape):
    """Random values that are what `like` are."""
    rows = like.reshape(-1, like.shape[-1]) if like.ndim else like.reshape(1, 1)
    if shape and shape[-1] > 1 and set(np.unique(rows)) == {0, 1} and np.all(rows.sum(1) == 1):
        return np.eye(shape[-1], dtype=like.dtype)[random.randint(0, shape[-1], shape[:-1])]
    if like.size > 4 and shape[-1:] == (4,) and np.all(like[..., :2] <= like[..., 2:]):  # the corners of boxes
        drawn = random.uniform(like.min(), like.max(), shape[:-1] + (2, 2))
        return np.sort(drawn, -2).reshape(shape).astype(like.dtype)
    if np.all(like == np.round(like)):
        return random.choice(np.unique(like), shape).astype(like.dtype)
    return np.asarray(random.uniform(like.min(), like.max(), shape)).astype(like.dtype)


if __name__ == "__main__":
    main()

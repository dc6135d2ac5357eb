"""Losses and errors."""

import re
import tempfile
from pathlib import Path

import cntk
import numpy as np


def _random(*shape):
    return np.random.standard_normal(shape).astype(np.float32)


def _one_hot(indices, count):
    return np.eye(count, dtype=np.float32)[np.asarray(indices)]


def _old(function, number, new):
    """A function of older files, which the programming interface makes no more: another one with its number."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "old.model"
        function.save(str(path))
        data = path.read_bytes()
        # The key "op", a value that is an integer, the number of the function.
        (found,) = re.finditer(b"\n\x02op\x12.\x08\x02\x10\x03" + re.escape(bytes([0x28, number])), data, re.DOTALL)
        path.write_bytes(data[: found.end() - 1] + bytes([new]) + data[found.end() :])
        return cntk.Function.load(str(path))


def _of_sequences(number):
    a, b = (cntk.sequence.input_variable(4, name=name) for name in "ab")
    lengths = 3, 1, 4
    labels = [_one_hot(np.random.randint(4, size=n), 4) for n in lengths]
    return _old(cntk.plus(a, b), 19, number), {"a": [np.abs(_random(n, 4)) % 1 for n in lengths], "b": labels}


def old_squared_error():
    return _of_sequences(34)


def old_cross_entropy():
    return _of_sequences(35)


def old_classification_error():
    return _of_sequences(36)


def old_logistic():
    return _of_sequences(48)


def weighted_logistic():
    a, b, c = (cntk.input_variable(1, name=name) for name in "abc")
    feeds = {"a": np.array([[0.2], [0.9], [0]]), "b": np.array([[1], [0], [1]]), "c": np.array([[1], [2], [0.5]])}
    f = _old(cntk.element_select(a, b, c), 42, 48)
    return f, {name: value.astype(np.float32) for name, value in feeds.items()}


def old_sum_of_everything():
    x = cntk.sequence.input_variable(2, name="x")
    return _old(cntk.exp(x), 4, 18), {"x": [_random(n, 2) for n in (2, 5)]}


def errors_among_the_largest():
    a, b = (cntk.input_variable(5, name=name) for name in "ab")
    f = cntk.combine([cntk.classification_error(a, b, topN=n) for n in (2, 3, 5)])
    return f, {"a": _random(8, 5), "b": _one_hot(np.arange(8) % 5, 5)}


def losses_of_samples():
    a, b = (cntk.sequence.input_variable((2, 4), name=name) for name in "ab")
    losses = cntk.cross_entropy_with_softmax, cntk.classification_error, cntk.squared_error
    labels = [_one_hot(np.random.randint(4, size=(n, 2)), 4) for n in (3, 1)]
    return cntk.combine([f(a, b) for f in losses]), {"a": [_random(n, 2, 4) for n in (3, 1)], "b": labels}


def binary_cross_entropies():
    a, b = (cntk.input_variable(3, name=name) for name in "ab")
    p = np.array([[0, 0.5, 1], [1, 0.2, 0]], np.float32)
    return cntk.binary_cross_entropy(a, b), {"a": p, "b": _one_hot([2, 0], 3)}


def cosines_of_sequences():
    a, b = (cntk.sequence.input_variable((2, 3), name=name) for name in "ab")
    feeds = {name: [_random(n, 2, 3) for n in (3, 1)] for name in "ab"}
    feeds["a"][1][:] = 0
    return cntk.cosine_distance(a, b), feeds


def cosines_with_other_samples():
    a, b = (cntk.sequence.input_variable(4, name=name) for name in "ab")
    feeds = [{name: [_random(n, 4) for n in lengths] for name in "ab"} for lengths in ((3, 1, 4), (2, 2), (1, 5, 2, 2))]
    return cntk.cosine_distance_with_negative_samples(a, b, 2, 3), feeds


def ranks():
    output, gain, group = (cntk.input_variable(1, name=name) for name in ("output", "gain", "group"))
    f = cntk.combine([cntk.lambda_rank(output, gain, group), cntk.ndcg_at_1(output, gain, group)])
    columns = [[1, 3, 2, 2, 0, 5, 5, 5, 1], [7, 3, 1, 0, 0, 2, 1, 1, 0], [4, 4, 4, 2, 2, 9, 9, 9, 9]]
    return f, dict(zip(("output", "gain", "group"), np.array(columns, np.float32)[:, :, None]))


def ranks_of_sequences():
    """Their steps alternate; there are none behind the end of the shorter row."""
    output, gain, group = (cntk.sequence.input_variable(2, name=name) for name in ("output", "gain", "group"))
    f = cntk.combine([cntk.lambda_rank(output, gain, group), cntk.ndcg_at_1(output, gain, group)])
    lengths = 2, 5, 4
    feeds = {"output": [_random(n, 2) for n in lengths], "gain": [np.abs(_random(n, 2)) for n in lengths]}
    return f, dict(feeds, group=[np.ones((n, 2), np.float32) for n in lengths])


def _edits(*arguments):
    a, b = (cntk.sequence.input_variable(3, name=name) for name in "ab")
    feeds = [
        {name: [_one_hot(np.random.randint(3, size=n), 3) for n in lengths] for name in "ab"}
        for lengths in ((5, 1, 8), (3, 6))
    ]
    return cntk.edit_distance_error(a, b, *arguments), feeds


def edit_distance():
    return _edits()


def edit_distance_with_penalties():
    return _edits(1.5, 0.3, 1)


def edit_distance_of_squashed_labels():
    return _edits(1, 1, 2, True, [1])


def edit_distance_of_nothing():
    return _edits(1, 1, 1, False, [0, 1, 2])


def _classified(blank, delay):
    """Twos are where labels begin."""
    x, y = (cntk.sequence.input_variable(4, name=name) for name in "xy")
    f = cntk.forward_backward(cntk.labels_to_graph(x), y, blank, delay)
    labels = [[0, 0, 1, 1, 2], [1, 1], [0, 3, 3, 0, 1, 1, 1, 1]]
    begins = [[1, 0, 1, 0, 1], [0, 1], [1, 1, 0, 1, 1, 0, 0, 0]]
    graphs = [_one_hot(a, 4) * (1 + np.array(b, np.float32))[:, None] for a, b in zip(labels, begins)]
    return f, {"x": graphs, "y": [_random(len(each), 4) for each in labels]}


def temporal_classification():
    return _classified(2, -1)


def temporal_classification_with_little_delay():
    return _classified(3, 1)


def temporal_classification_with_delay():
    return _classified(3, 3)

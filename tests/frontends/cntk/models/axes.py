"""Sequence axes: several inputs on one or on several of them, axes that models make, what mixes both with batches."""

import cntk
import numpy as np
from cntk import sequence
from cntk.layers import Recurrence, RNNStep

LENGTHS = {"x": (5, 2, 4), "y": (3, 2, 4)}


def _random(*shape):
    return np.random.standard_normal(shape).astype(np.float32)


def _sequence(name, size=3, axis=None):
    return cntk.sequence.input_variable(size, name=name, sequence_axis=cntk.Axis(axis or "s" + name))


def _case(function):
    """A function of the sequences x, v and c, which are on one axis, of y on another one, and of the batch z."""
    feeds = {"x": [_random(n, 3) for n in LENGTHS["x"]], "v": [_random(n, 3) for n in LENGTHS["x"]]}
    feeds["c"] = [_random(n) for n in LENGTHS["x"]]
    feeds["y"] = [_random(n, 2) for n in LENGTHS["y"]]
    feeds["z"] = _random(3, 3)
    return function, feeds


def axes_of_one_name_and_different_lengths():
    x, c = _sequence("x"), _sequence("c", (), "sx")
    some = cntk.greater(sequence.is_first(c) + cntk.greater(c, -0.4), 0)
    rest = 1 - sequence.is_first(x)
    # CNTK calls both axes after x, and the changes of its length, which are the same.
    return _case(cntk.combine([sequence.gather(x, some, (1, -1)), sequence.gather(x, rest, (1, -1))]))


def axes_of_one_name_and_the_same_lengths():
    x = _sequence("x")
    first, last = 1 - sequence.is_first(x), 1 - sequence.is_last(x)
    return _case(sequence.gather(x, first, (1, -1)) + sequence.gather(x, last, (1, -1)))


def slices_of_short_sequences():
    x = _sequence("x")
    ends = [(0, 3), (0, 4), (-3, 0), (1, 0), (0, -1), (-3, -1)]
    return _case(cntk.combine([sequence.slice(x, begin, end) for begin, end in ends]))


def steps_but_the_first_or_the_last():
    x = _sequence("x")
    first, last = sequence.slice(x, 1, 0), sequence.slice(x, 0, -1)
    return _case(cntk.combine([first + last, sequence.future_value(first, 0.5), sequence.last(last)]))


def the_default_axis_after_another_one():
    y, x = _sequence("y", 2), cntk.sequence.input_variable(3, name="x")
    total = cntk.reduce_sum(sequence.unpack(x, 0, True))
    return _case(sequence.broadcast_as(total, y) + y)


def an_input_called_like_a_weight():
    b = _sequence("b")
    function = Recurrence(RNNStep(2), go_backwards=True)(b)
    return function, {"b": [_random(n, 3) for n in (3, 1)]}


def lengths_of_a_loop_that_only_tells_where_steps_are():
    x, h = _sequence("x"), cntk.placeholder(shape=(3,), dynamic_axes=_sequence("x").dynamic_axes)
    state = cntk.sin(cntk.times(sequence.past_value(h), cntk.Parameter(init=_random(3, 3))) * sequence.last(x) + x)
    return _case(sequence.is_first(state.replace_placeholders({h: state.output})))


def lengths_of_the_first_input_that_is_left():
    x, v = _sequence("x"), _sequence("v", 3, "sx")
    return _case(sequence.last(v) + 1 + 0 * sequence.first(x))


def sequences_made_of_a_static_axis():
    q, n = cntk.input_variable((5, 3), name="q"), cntk.input_variable((), name="n")
    made = cntk.to_sequence(q, cntk.element_select(cntk.greater(n, 0), 5, 2))
    both = cntk.combine([made, sequence.last(made), sequence.reduce_sum(2 * made), sequence.first(cntk.to_sequence(q))])
    return both, {"q": _random(3, 5, 3), "n": np.array([-1, 1, -2], np.float32)}


def steps_by_counts():
    x, c = _sequence("x"), _sequence("c", (), "sx")
    return _case(cntk.combine([sequence.gather(x, cntk.abs(c) + 0.5), sequence.where(cntk.abs(c) + 0.4)]))


def steps_by_totals_that_fall():
    x, c = _sequence("x"), _sequence("c", (), "sx")
    return _case(sequence.gather(x, 2 * sequence.is_first(x) + c))


def steps_until_something_held():
    x, h = _sequence("x"), cntk.placeholder()
    large = cntk.greater(cntk.slice(x, -1, 0, 1), 0.5)
    before = (1 - sequence.past_value(large)) * sequence.past_value(h, 1)
    return _case(sequence.gather(x, before.replace_placeholders({h: before.output})))


def scattered_and_back():
    x = _sequence("x")
    rest = 1 - sequence.is_first(x)
    one = sequence.scatter(sequence.first(x), sequence.is_last(x))
    return _case(cntk.combine([sequence.scatter(sequence.gather(x, rest), rest) + x, one]))


def scattered_more_than_once():
    """What is scattered to one step is added up; a gather may promise fewer steps than there are."""
    x, c = _sequence("x"), _sequence("c", (), "sx")
    counts = cntk.abs(c) + 0.5
    promised = [sequence.gather(x, some, (0, 2)) for some in (cntk.greater(cntk.abs(c), 0) + 0.2, sequence.is_first(x))]
    rest = sequence.gather(x, 1 - sequence.is_first(x), (0, 2))
    return _case(cntk.combine([sequence.scatter(sequence.gather(x, counts), counts), *promised, rest]))


def batches_and_sequences():
    x, z = _sequence("x"), cntk.input_variable(3, name="z")
    return _case(cntk.combine([x * z + z, sequence.broadcast_as(z, x), cntk.reduce_sum(z) * x, 2 * z]))


def delays_of_delays_and_of_parts():
    x, z = _sequence("x"), cntk.input_variable(3, name="z")
    twice = sequence.future_value(sequence.past_value(x, 1, 1), 2, 3)
    return _case(
        cntk.combine([twice, sequence.past_value(sequence.slice(x, 0, 3), z, 2), sequence.past_value(x, 0.5, 9)])
    )


def two_axes_of_different_lengths():
    x, y = _sequence("x"), _sequence("y", 2)
    most = sequence.reduce_max(cntk.reduce_sum(x)) + sequence.reduce_max(cntk.reduce_sum(y))
    return _case(cntk.combine([most, sequence.broadcast_as(sequence.last(y), x), sequence.unpack(x, -7.5)]))


def products_over_time():
    over_time = cntk.TIMES_REDUCE_SEQUENCE_AXIS_WITHOUT_INFERRED_INPUT_RANK
    x, o = _sequence("x"), _sequence("o", 1, "sx")
    rows, column = cntk.reshape(2 * x, (1, 3)), cntk.reshape(3 * x, (3, 1))
    pairs = [(o, x, 1), (o, rows, 2), (o, rows, 1), (x, column, 1)]
    results = [cntk.times(left, right, rank, infer_input_rank_to_map=over_time) for left, right, rank in pairs]
    function, feeds = _case(cntk.combine(results))
    return function, dict(feeds, o=[_random(n, 1) for n in LENGTHS["x"]])


def sparse_inputs():
    words, tags = [cntk.sequence.input_variable(4, is_sparse=True, name=name) for name in ("words", "tags")]
    topic = cntk.input_variable(3, is_sparse=True, name="topic")
    weights = [cntk.Parameter(init=np.arange(2.0 * n, dtype=np.float32).reshape(n, 2)) for n in (4, 4, 3)]
    total = sum((cntk.times(x, w) for x, w in zip((words, tags), weights)), cntk.times(topic, weights[2]))
    ones = [np.eye(4, dtype=np.float32)[rows] for rows in ([1, 0, 3], [2])]
    turned = [each[::-1].copy() for each in ones]
    return total, {"words": ones, "tags": turned, "topic": np.eye(3, dtype=np.float32)[:2]}

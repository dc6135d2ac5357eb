"""Parts, sizes and order of static axes."""

import cntk
import numpy as np


def _random(*shape):
    return np.random.standard_normal(shape).astype(np.float32)


def _sequences(*shape):
    return [_random(length, *shape) for length in (3, 1, 5)]


def slices_of_two_axes():
    x = cntk.input_variable((5, 7), name="x")
    parts = [
        cntk.slice(x, [0, 1], [1, -3], [0, -1]),
        cntk.slice(x, [1, 0], [0, 1], [7, 4], [-2, 1]),
        cntk.slice(x, -1, 2, 0, 3),
        cntk.slice(x, 0, -4, 0, -2),
    ]
    return cntk.combine(parts), [{"x": _random(n, 5, 7)} for n in (2, 1)]


def slices_of_a_free_axis():
    x = cntk.input_variable((cntk.FreeDimension, 4), name="x")
    parts = [cntk.slice(x, 0, 1, -1), cntk.slice(x, 0, -2, 0), cntk.slice(x, 0, 0, 0, -1), cntk.slice(x, 1, 1, 3)]
    return cntk.combine(parts), [{"x": _random(2, n, 4)} for n in (5, 3)]


def slices_of_steps():
    x = cntk.sequence.input_variable((4, 3), name="x")
    return cntk.combine([cntk.slice(x, 0, 1, 0, -2), x[:, 1]]), {"x": _sequences(4, 3)}


def reshapes():
    x = cntk.sequence.input_variable((2, 6, 3), name="x")
    shapes = [
        cntk.reshape(x, (-1,)),
        cntk.reshape(x, (4, 9)),
        cntk.reshape(x, (3, -1), 1, 2),
        cntk.reshape(x, (-1,), 0, 2),
        cntk.reshape(x, (3, 4), 0, -1),
        cntk.reshape(x, (1, 1), 2, 2),
        cntk.reshape(x, (), 3, 3),
    ]
    return cntk.combine(shapes), {"x": _sequences(2, 6, 3)}


def reshapes_of_a_free_axis():
    x = cntk.input_variable((cntk.FreeDimension, 6), name="x")
    shapes = [
        cntk.reshape(x, (2, 3), 1, 2),
        cntk.reshape(x, (-1,)),
        cntk.reshape(x, (-1, 3)),
        cntk.reshape(x, (1,), 0, 0),
    ]
    return cntk.combine(shapes), [{"x": _random(n, m, 6)} for n, m in ((2, 3), (1, 4))]


def order_of_axes():
    x = cntk.input_variable((2, 3, 4), name="x")
    turned = [
        cntk.transpose(x, (2, 0, 1)),
        cntk.transpose(x, (1, 2, 0)),
        cntk.swapaxes(x, 0, 2),
        cntk.swapaxes(x, -1, -2),
        cntk.transpose(x, (-1, 0, -2)),
    ]
    return cntk.combine(turned), {"x": _random(3, 2, 3, 4)}


def sizes_of_one():
    x = cntk.sequence.input_variable((1, 3, 1), name="x")
    shapes = [
        cntk.squeeze(x),
        cntk.squeeze(x, 0),
        cntk.squeeze(x, -1),
        cntk.squeeze(x, [0, 2]),
        cntk.expand_dims(x, -1),
        cntk.expand_dims(x, 1),
        cntk.flatten(x, 1),
        cntk.flatten(x, 0),
        cntk.flatten(x, 2),
    ]
    return cntk.combine(shapes), {"x": _sequences(1, 3, 1)}


def splices():
    x = cntk.input_variable((2, 3), name="x")
    w = cntk.Constant(_random(4, 1, 3))
    v = cntk.Constant(_random(3))
    both = [
        cntk.splice(x, w, axis=0),
        cntk.splice(x, w, axis=1),
        cntk.splice(v, x, axis=-1),
        cntk.splice(x, axis=0),
        cntk.splice(x, x, axis=-3),
        cntk.splice(x, v, x, axis=-2),
    ]
    return cntk.combine(both), [{"x": _random(n, 2, 3)} for n in (2, 1)]


def splices_of_samples_and_steps():
    x = cntk.sequence.input_variable((2, 3), name="x")
    y = cntk.input_variable(3, name="y")
    spread = cntk.sequence.broadcast_as(y, x)
    w = cntk.Parameter(init=_random(1, 3))
    return cntk.splice(x, spread, w, axis=-2), {"x": _sequences(2, 3), "y": _random(3, 3)}


def blocks_of_depth():
    x = cntk.input_variable((8, 2, 4), name="x")
    y = cntk.input_variable((2, 4, 6), name="y")
    moved = [cntk.depth_to_space(x, 2), cntk.space_to_depth(y, 2)]
    return cntk.combine(moved), {"x": _random(2, 8, 2, 4), "y": _random(2, 2, 4, 6)}


def tensors_like_another():
    x = cntk.input_variable(5, name="x")
    y = cntk.sequence.input_variable((2, 3), name="y")
    made = [cntk.eye_like(x, sparse_output=False), cntk.ones_like(y) + 2 * cntk.zeros_like(y), cntk.ones_like(x)]
    return cntk.combine(made), {"x": _random(3, 5), "y": _sequences(2, 3)}


def halves_and_doubles():
    x = cntk.input_variable((4, 6), name="x", dtype=np.float64)
    y = cntk.cast(x, np.float16)
    made = [
        cntk.slice(y, 1, 0, 0, -2),
        cntk.splice(x, cntk.cast(y, np.float64), axis=0),
        cntk.reshape(y, (-1, 8)),
        cntk.ones_like(y),
    ]
    return cntk.combine(made), {"x": _random(3, 4, 6).astype(np.float64)}


def axes_of_size_one_in_another_place():
    x = cntk.sequence.input_variable((3, 1, 4), name="x")
    return cntk.combine([cntk.swapaxes(x, 0, 1), cntk.transpose(x, (0, 2, 1))]), {"x": _sequences(3, 1, 4)}


def recurrence_in_a_batch_that_the_model_makes():
    x = cntk.input_variable((cntk.FreeDimension, 1, 3), name="x", dynamic_axes=[])
    steps = cntk.to_sequence(cntk.to_batch(cntk.swapaxes(x, 0, 1)))
    h = cntk.placeholder()
    state = cntk.tanh(cntk.times(cntk.sequence.past_value(h), cntk.Constant(_random(3, 3))) + steps)
    y = cntk.unpack_batch(cntk.sequence.unpack(state.replace_placeholders({h: state}), 0, True))
    return cntk.reshape(y, (cntk.FreeDimension, 1, 1, 3)), [{"x": _random(n, 1, 3)} for n in (5, 2)]


def batches_that_the_model_makes_beside_that_of_inputs():
    x, y = cntk.input_variable((2, 3), name="x"), cntk.input_variable(2, name="y")
    total = cntk.to_batch(cntk.reduce_sum(cntk.unpack_batch(x), 0, keepdims=True))
    return cntk.combine([cntk.splice(total, total * 2, axis=0), cntk.splice(y, -y)]), {
        "x": _random(3, 2, 3),
        "y": _random(3, 2),
    }

"""Loops that no ONNX operator is: any body, several states, attention, networks that unfold."""

import cntk
import numpy as np
from cntk import sequence
from cntk.layers import (
    GRU,
    LSTM,
    Dense,
    Embedding,
    Fold,
    For,
    Label,
    LayerNormalization,
    PastValueWindow,
    Recurrence,
    RecurrenceFrom,
    Sequential,
    Stabilizer,
    UnfoldFrom,
    default_options,
)
from cntk.layers.models import AttentionModel

PAST, FUTURE = sequence.past_value, sequence.future_value
LENGTHS = {"x": (5, 2, 4), "y": (3, 2, 4)}
WORDS, SIZE = 6, 5


def _random(*shape):
    return np.random.standard_normal(shape).astype(np.float32)


def _weight(*shape):
    return cntk.Parameter(init=0.5 * _random(*shape))


def _x(shape=3):
    return sequence.input_variable(shape, name="x", sequence_axis=cntk.Axis("sx"))


def _y(shape=2):
    return sequence.input_variable(shape, name="y", sequence_axis=cntk.Axis("sy"))


def _case(function, shapes=None):
    """A function of the sequences x and y, which are on two axes, and of the batch z, with random weights."""
    function = cntk.combine([function]) if isinstance(function, cntk.Function) else cntk.combine(function)
    for weight in function.parameters:
        if weight.shape:
            weight.value = 0.7 * _random(*weight.shape)
    shapes = shapes or {"x": (3,), "y": (2,)}
    feeds = {name: [_random(n, *shapes[name]) for n in LENGTHS[name]] for name in shapes}
    return function, dict(feeds, z=_random(3, 4))


def _loop(step, delay=PAST, initial=0, offset=1):
    h = cntk.placeholder()
    state = step(delay(h, initial, offset))
    return state.replace_placeholders({h: state.output})


def states_with_different_offsets():
    x, p, q = _x(), cntk.placeholder(), cntk.placeholder()
    both = cntk.combine([cntk.tanh(x + FUTURE(q, 0.2, 3)), cntk.tanh(x * FUTURE(p, 0.1, 4))])
    return _case(both.replace_placeholders({p: both.outputs[0], q: both.outputs[1]}))


def delays_of_one_state_and_of_delays():
    x, h = _x(), cntk.placeholder()
    before = PAST(h, 0.1, 1) * 0.5 + PAST(h, 0.2, 2) * 0.3 + PAST(PAST(h, 0.4, 1) + x, 0.3, 1)
    state = cntk.tanh(x + before)
    return _case(state.replace_placeholders({h: state.output}))


def delays_with_a_number():
    """By more steps than some sequences have; of a number for each element, of steps that are like the number."""
    x, y = _x(), _y(())
    numbers = [0, 0.4, cntk.Constant(0.3, (3,)), cntk.Constant(-0.7, (2, 1))]
    delays = [delay(x, number, 1 + 2 * i) for delay in (PAST, FUTURE) for i, number in enumerate(numbers)]
    return _case(delays + [PAST(y, cntk.Constant(0.5, (2,)), 2)], {"x": (3,), "y": ()})


def delays_with_several_numbers():
    x = _x()
    return _case([delay(x, cntk.Constant(_random(3)), n) for delay in (PAST, FUTURE) for n in (1, 3)])


def states_that_are_matrices():
    x, r, s = _x((2, 3)), _weight(3, 3), cntk.Constant(0.3 * _random(3, 2))
    turned = cntk.transpose(
        cntk.reshape(cntk.times(_loop(lambda h: cntk.tanh(x + cntk.times(h, r))), r), (3, 2)), (1, 0)
    )
    return _case(_loop(lambda h: cntk.tanh(turned + h + cntk.transpose(s, (1, 0))), FUTURE, 0.3, 2), {"x": (2, 3)})


def numbers_that_choose():
    x = _x(())
    return _case(_loop(lambda h: cntk.element_select(cntk.greater(x, 0), cntk.sin(x + h), h)), {"x": ()})


def states_from_elsewhere():
    x, y, z = _x(), _y(), cntk.input_variable(4, name="z")
    projected = cntk.times(x, _weight(3, 4))
    wide = cntk.times(y, _weight(2, 4))
    starts = [
        (PAST, z, 2),
        (FUTURE, z, 3),
        (PAST, wide, 2),
        (FUTURE, wide, 2),
        (FUTURE, sequence.last(wide), 1),
        (PAST, _weight(4), 1),
    ]
    return _case([_loop(lambda h: cntk.tanh(projected + h), *start) for start in starts])


def states_like_their_initial_states():
    x = _x(())
    one, three = cntk.Constant(_random(1)), cntk.Constant(_random(1, 3))
    delays = [PAST(x, one), PAST(x, three), FUTURE(x, three, 2)]
    loops = [_loop(lambda h: cntk.sin(x + h), PAST, one), _loop(lambda h: cntk.sin(x + h), FUTURE, three, 2)]
    return _case(delays + loops, {"x": ()})


def doubles_after_a_float():
    x = sequence.input_variable(3, np.float64, name="x")
    return sequence.future_value(x, 0.4, 2), {"x": [np.random.standard_normal((n, 3)) for n in (4, 1)]}


def loops_within_loops():
    x = _x()
    inner = _loop(lambda h: cntk.tanh(x + _loop(lambda g: cntk.tanh(x + h + 0.5 * g)) + 0.1))
    return _case(_loop(lambda h: cntk.tanh(inner + h), FUTURE, 0.4, 2))


def bodies_with_normalization():
    x, w, r = _x(), _weight(3, 4), _weight(4, 4)
    normalized = LayerNormalization()
    return _case(_loop(lambda h: cntk.tanh(normalized(cntk.times(x, w) + cntk.times(h, r)))))


def folds_and_windows():
    x = _x()
    backwards = Fold(lambda s, v: cntk.element_max(s, v), go_backwards=True, initial_state=-3)(x)
    window = PastValueWindow(3, axis=-2)(Recurrence(LSTM(4))(x)).outputs
    return _case([backwards, Fold(GRU(4))(x), Fold(cntk.plus)(x)] + list(window))


def deep_networks():
    x = _x()

    def both(v):
        return cntk.splice(Recurrence(LSTM(3))(v), Recurrence(LSTM(3), go_backwards=True)(v))

    layers = For(range(2), lambda i: Sequential([both, LayerNormalization()]))
    return _case(Sequential([layers, sequence.last, Dense(2)])(x))


def unfolded_until_something_holds():
    x, z = _x(), cntk.input_variable(4, name="z")
    steps = cntk.Constant(np.array([0.3, 0.5, 0.2, 0.6], np.float32))

    def late(s):
        return cntk.greater(cntk.slice(s, -1, 0, 1), 1)

    unfolded = UnfoldFrom(lambda s: s + steps, until_predicate=late, length_increase=3)(z, x)
    return _case(
        [
            unfolded,
            UnfoldFrom(lambda s: cntk.tanh(s + steps), length_increase=1.5)(z, x),
            UnfoldFrom(lambda s: 0.5 * s + 1)(z, x),
        ]
    )


def _translator(attention, layers=2):
    """A model that reads one sequence of words and writes another one."""
    embed = Embedding(4)
    with default_options(enable_self_stabilization=True, go_backwards=not attention):
        last = (Recurrence if attention else Fold)(LSTM(SIZE), return_full_state=True)
        below = For(range(layers - 1), lambda: Recurrence(LSTM(SIZE)))
        encode = Sequential([embed, Stabilizer(), below, last, (Label("h"), Label("c"))])
    with default_options(enable_self_stabilization=True):
        scaled, cells, project = Stabilizer(), [LSTM(SIZE) for _ in range(layers)], Dense(WORDS)
        attend = AttentionModel(4)

    @cntk.Function
    def decode(history, source):
        encoded, result = encode(source), scaled(embed(history))

        @cntk.Function
        def attending(dh, dc, x):
            return cells[0](dh, dc, cntk.splice(x, attend(encoded.outputs[0], dh)))

        for i, cell in enumerate(cells):
            if not attention:
                result = RecurrenceFrom(cell)(*(tuple(encoded.outputs) + (result,)))
            else:
                result = Recurrence(attending if i == 0 else cell)(result)
        return project(result)

    return decode


def _written(model, x):
    """What a model writes if each word is the likeliest one, until one certain word."""
    start = cntk.Constant(np.eye(WORDS, dtype=np.float32)[1])
    axis = sequence.where(sequence.broadcast_as(cntk.Constant(1.5), x))
    h, valid = cntk.placeholder(), cntk.placeholder()
    words = cntk.hardmax(model(PAST(h, start), x))
    words = cntk.combine([cntk.reconcile_dynamic_axes(words.output, axis.output)])
    words = words.replace_placeholders({h: words.output})
    before_end = (1 - PAST(words[..., 2])) * PAST(valid, 1)
    return sequence.gather(words, before_end.replace_placeholders({valid: before_end.output}))


def translation_with_attention():
    x, y = _x(WORDS), _y(WORDS)
    return _case(_translator(attention=True)(y, x), {"x": (WORDS,), "y": (WORDS,)})


def translation_without_attention():
    x, y = _x(WORDS), _y(WORDS)
    return _case(_translator(attention=False)(y, x), {"x": (WORDS,), "y": (WORDS,)})


def greedy_translation_with_attention():
    return _case(_written(_translator(attention=True), _x(WORDS)), {"x": (WORDS,)})


def greedy_translation_without_attention():
    return _case(_written(_translator(attention=False), _x(WORDS)), {"x": (WORDS,)})


def running_sums():
    """Sums of all steps so far, from a start, backwards, of numbers; what they were a step before; the last ones."""
    x, z = _x(), cntk.input_variable(4, name="z")
    ones, before = Recurrence(cntk.plus)(cntk.reduce_sum(x) * 0 + 1), cntk.placeholder()
    total = PAST(before, 2) + x
    total = total.replace_placeholders({before: total.output})
    projected = cntk.times(x, _weight(3, 4))
    sums = [_loop(lambda h: x + h, FUTURE, cntk.Constant(_random(3))), _loop(lambda h: h + projected, PAST, z)]
    wide = _loop(lambda h: h + cntk.reduce_sum(x), PAST, cntk.Constant(_random(2, 1)))
    return _case([ones, wide, total, PAST(total, 0.5), Fold(cntk.plus, go_backwards=True)(x), *sums])


def running_sums_of_double():
    x = sequence.input_variable(3, dtype=np.float64, name="x")
    f = _loop(lambda h: h + x, PAST, cntk.Constant(1, dtype=np.float64))
    return f, {"x": [np.random.standard_normal((n, 3)) for n in (4, 1, 2)]}


def sums_that_are_not_running():
    """Of every other step, of half the state, of the state with itself."""
    x = _x(())
    scaled = _loop(lambda h: 0.5 * h + x)
    return _case([scaled, _loop(lambda h: h + x, FUTURE, 1, 2), _loop(lambda h: h + (h + x))], {"x": ()})


def gated_halves():
    """CNTK makes sequences of halves of a static axis alone."""
    x = cntk.input_variable((cntk.FreeDimension, 3), dtype=np.float16, name="x")
    steps, state = cntk.to_sequence(x), cntk.placeholder(shape=(3,))
    zeros = cntk.Constant(np.zeros(3, np.float16), dtype=np.float16)
    weight = np.random.standard_normal((3, 3)).astype(np.float16)
    past = cntk.sequence.past_value(state, initial_state=zeros)
    gate = cntk.sigmoid(steps + cntk.times(past, cntk.Constant(weight, dtype=np.float16)))
    step = cntk.tanh(steps + cntk.times(gate * past, cntk.Constant(weight.T.copy(), dtype=np.float16)))
    f = cntk.sequence.unpack(step.replace_placeholders({state: step}), 0, no_mask_output=True)
    return f, {"x": np.random.standard_normal((2, 4, 3)).astype(np.float16)}

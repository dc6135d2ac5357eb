"""Recurrent cells, made by CNTK's layers and by hand. A name begins with the ONNX operator that the loop becomes."""

import cntk
import numpy as np
from cntk.layers import GRU, LSTM, Dropout, Fold, Recurrence, RecurrenceFrom, RNNStep, Sequential, Stabilizer

SIZE = 4
PAST, FUTURE = cntk.sequence.past_value, cntk.sequence.future_value


def _random(*shape):
    return np.random.standard_normal(shape).astype(np.float32)


def _weight(*shape):
    return cntk.Parameter(init=0.5 * _random(*shape))


def _x():
    return cntk.sequence.input_variable(3, name="x", sequence_axis=cntk.Axis("sx"))


def _case(function, **more):
    """The function with random weights, and two batches, of which the second one is a single sequence."""
    for weight in function.parameters:
        if weight.shape:
            weight.value = 0.5 * _random(*weight.shape)
        elif weight.name == "alpha":
            weight.value = np.array(np.random.uniform(0.3, 1.2), np.float32)
    batches = []
    for lengths in ([5, 1, 4], [3]):
        feeds = {"x": [_random(n, 3) for n in lengths]}
        feeds.update({name: make(len(lengths)) for name, make in more.items()})
        batches.append(feeds)
    return function, batches


def _layer(cell, **settings):
    return _case(Recurrence(cell, **settings)(_x()))


def lstm_layer():
    return _layer(LSTM(SIZE))


def lstm_with_all_of_it():
    cell = LSTM(SIZE, use_peepholes=True, enable_self_stabilization=True, activation=cntk.relu)
    return _layer(cell, go_backwards=True, initial_state=0.3)


def lstm_with_two_initial_states():
    return _layer(LSTM(SIZE), initial_state=(cntk.Constant(0.2, (SIZE,)), cntk.Constant(-0.4)))


def scan_lstm_with_softplus():
    return _layer(LSTM(SIZE, activation=cntk.softplus))


def scan_lstm_that_gives_its_cell_state():
    return _layer(LSTM(SIZE), return_full_state=True)


def gru_layer():
    return _layer(GRU(SIZE), initial_state=0.3)


def gru_backwards():
    return _layer(GRU(SIZE, activation=cntk.relu), go_backwards=True)


def scan_gru_with_a_scaled_state():
    return _layer(GRU(SIZE, enable_self_stabilization=True))


def rnn_layer():
    return _layer(RNNStep(SIZE, activation=cntk.sigmoid), initial_state=0.7)


def rnn_backwards_with_a_scaled_state():
    return _layer(RNNStep(SIZE, activation=cntk.relu, enable_self_stabilization=True), go_backwards=True)


def lstm_stack():
    layers = [Recurrence(LSTM(SIZE)), Stabilizer(), Dropout(0.5), Recurrence(LSTM(3), go_backwards=True)]
    return _case(cntk.sequence.last(Sequential(layers)(_x())))


def lstm_from_the_states_of_another_one():
    y = cntk.sequence.input_variable(2, name="y", sequence_axis=cntk.Axis("sy"))
    states = [cntk.sequence.last(state) for state in Recurrence(LSTM(SIZE), return_full_state=True)(y).outputs]
    result = RecurrenceFrom(LSTM(SIZE))(*(states + [_x()]))
    return _case(result, y=lambda batch: [_random(i + 2, 2) for i in range(batch)])


def lstm_folded_backwards():
    return _case(cntk.combine(list(Fold(LSTM(SIZE), go_backwards=True, return_full_state=True)(_x()).outputs)))


def _looked_at_once(cell, backwards=False, more=lambda states: []):
    """The hidden state where a loop ends, and other things."""
    end = cntk.sequence.first if backwards else cntk.sequence.last
    states = Recurrence(cell, go_backwards=backwards)(_x())
    return _case(cntk.combine([end(states)] + more(states)))


def lstm_of_which_the_last_step_is_used():
    return _looked_at_once(LSTM(SIZE))


def gru_of_which_the_first_step_is_used():
    return _looked_at_once(GRU(SIZE), backwards=True)


def rnn_of_which_the_last_step_is_used():
    return _looked_at_once(RNNStep(SIZE))


def gru_of_which_all_steps_are_used_as_well():
    return _looked_at_once(GRU(SIZE), more=lambda states: [2 * states, cntk.sequence.first(states)])


def lstm_of_which_other_steps_are_used_as_well():
    ends = [lambda s: cntk.sequence.slice(s, -2, 0), cntk.sequence.last]
    return _looked_at_once(LSTM(SIZE), backwards=True, more=lambda states: [end(states) for end in ends])


def scan_lstm_with_the_first_of_its_cell_states():
    states = Recurrence(LSTM(SIZE), return_full_state=True)(_x()).outputs
    return _case(cntk.combine([states[0], cntk.sequence.first(states[1])]))


def _tied(h, c, state, cell):
    both = cntk.combine([state, cell])
    return cntk.combine([both.replace_placeholders({h: both.outputs[0], c: both.outputs[1]}).outputs[0]])


def _by_hand(order, delay=PAST, initial=0, **more):
    """An LSTM whose gates are parts of one product in this order."""
    x, h, c = _x(), cntk.placeholder(), cntk.placeholder()
    all_gates = cntk.times(x, _weight(3, 4 * SIZE)) + (
        cntk.times(delay(h, initial), _weight(SIZE, 4 * SIZE)) + _weight(4 * SIZE)
    )
    gates = {gate: cntk.slice(all_gates, -1, i * SIZE, (i + 1) * SIZE) for i, gate in enumerate(order)}
    cell = cntk.tanh(gates["g"]) * cntk.sigmoid(gates["i"]) + delay(c, initial) * cntk.sigmoid(gates["f"])
    return _case(_tied(h, c, cntk.tanh(cell) * cntk.sigmoid(gates["o"]), cell), **more)


def lstm_in_another_order():
    return _by_hand("goif")


def lstm_from_a_batch():
    z = cntk.input_variable(SIZE, name="z")
    return _by_hand("ofig", FUTURE, z, z=lambda batch: _random(batch, SIZE))


def lstm_gate_by_gate():
    x, h, c = _x(), cntk.placeholder(), cntk.placeholder()
    before, cell_before = PAST(h, 0.1), PAST(c, 0.2)

    def gate():
        return _weight(SIZE) + cntk.times(x, _weight(3, SIZE)) - cntk.times(before, _weight(SIZE, SIZE))

    forget = cntk.sigmoid(gate() + _weight(SIZE) * cell_before)
    cell = forget * cell_before + cntk.sigmoid(gate()) * cntk.tanh(gate())
    output = cntk.sigmoid(gate() + cell * _weight(SIZE))
    return _case(_tied(h, c, output * cntk.tanh(cell), cell))


def lstm_with_one_sigmoid():
    x, h, c = _x(), cntk.placeholder(), cntk.placeholder()
    before = PAST(h, 0.1)
    both = cntk.splice(x, before)
    gates = cntk.sigmoid(cntk.times(both, _weight(3 + SIZE, 3 * SIZE)) + _weight(3 * SIZE))
    i, f, o = (cntk.slice(gates, -1, k * SIZE, (k + 1) * SIZE) for k in (2, 0, 1))
    cell = f * PAST(c, 0) + i * cntk.tanh(cntk.times(both, _weight(3 + SIZE, SIZE)))
    return _case(_tied(h, c, o * cntk.tanh(cell), cell))


def _gru_by_hand(mix, delay=PAST, linear=False):
    x, h = _x(), cntk.placeholder()
    before = delay(h, 0.3)

    def gate():
        return cntk.times(x, _weight(3, SIZE)) + cntk.times(before, _weight(SIZE, SIZE)) + _weight(SIZE)

    update, reset = cntk.sigmoid(gate()), cntk.sigmoid(gate())
    if linear:
        inner = reset * (cntk.times(before, _weight(SIZE, SIZE)) + _weight(SIZE))
    else:
        inner = cntk.times(reset * before, _weight(SIZE, SIZE))
    state = mix(update, cntk.tanh(cntk.times(x, _weight(3, SIZE)) + inner + _weight(SIZE)), before)
    return _case(state.replace_placeholders({h: state.output}))


def gru_of_two_products():
    return _gru_by_hand(lambda z, c, h: (1 - z) * c + z * h)


def gru_with_the_gate_turned():
    return _gru_by_hand(lambda z, c, h: z * c + (1 - z) * h, FUTURE)


def gru_of_a_difference():
    return _gru_by_hand(lambda z, c, h: h + z * (c - h))


def gru_that_resets_a_product():
    return _gru_by_hand(lambda z, c, h: c + z * (h - c), FUTURE, linear=True)


def _plain(function, inputs=lambda x: [(x, 3)], delay=PAST, initial=0):
    x, h = _x(), cntk.placeholder()
    total = cntk.times(delay(h, initial), _weight(SIZE, SIZE)) + _weight(SIZE)
    for value, size in inputs(x):
        total = total + cntk.times(value, _weight(size, SIZE))
    state = function(total)
    return state.replace_placeholders({h: state.output})


def rnn_of_a_sequence_and_a_batch():
    z = cntk.input_variable(2, name="z")
    result = _plain(cntk.relu, lambda x: [(x, 3), (z, 2), (cntk.sequence.broadcast_as(z, x), 2)])
    return _case(result, z=lambda batch: _random(batch, 2))


def rnn_from_a_sequence():
    y = cntk.sequence.input_variable(SIZE, name="y", sequence_axis=cntk.Axis("sy"))
    return _case(_plain(cntk.tanh, delay=FUTURE, initial=y), y=lambda n: [_random(i + 1, SIZE) for i in range(n)])


def rnn_with_its_state_of_before():
    x, h = _x(), cntk.placeholder()
    before = PAST(h, 0.5)
    state = cntk.tanh(cntk.times(x, _weight(3, SIZE)) + cntk.times(before, _weight(SIZE, SIZE)))
    return _case(cntk.combine([state, 2 * before]).replace_placeholders({h: state.output}))


def scan_of_nearly_lstms():
    def nearly(cell=lambda i, f, g, c: f * c + i * g, out=lambda o, c, h: o * cntk.tanh(c), scale=1, peep=None):
        h, c = cntk.placeholder(), cntk.placeholder()
        before, kept = PAST(h, 0), PAST(c, 0)
        gates = cntk.times(x, _weight(3, 4 * SIZE)) + cntk.times(before, _weight(SIZE, 4 * SIZE))
        i, f, o, g = (cntk.slice(gates, -1, k * SIZE, (k + 1) * SIZE) for k in range(4))
        if peep:
            o, g = peep(o, g, kept)
        state = cell(cntk.sigmoid(i), cntk.sigmoid(f), cntk.tanh(g), scale * kept)
        return _tied(h, c, out(cntk.sigmoid(o), state, before), state)

    x = _x()
    kinds = [
        {"cell": lambda i, f, g, c: f * c - i * g},
        {"cell": lambda i, f, g, c: f * c + (1 - f) * g},
        {"cell": lambda i, f, g, c: c + i * g},
        {"cell": lambda i, f, g, c: f * f * c + i * g},
        {"out": lambda o, c, h: o * c},
        {"out": lambda o, c, h: o * cntk.tanh(2 * c)},
        {"out": lambda o, c, h: 2 * o * cntk.tanh(c)},
        {"out": lambda o, c, h: o * cntk.tanh(c) + h},
        {"scale": 0.5},
        {"peep": lambda o, g, c: (o + _weight(SIZE) * c, g)},
        {"peep": lambda o, g, c: (o, g + _weight(SIZE) * c)},
    ]
    return _case(cntk.combine([nearly(**kind) for kind in kinds]))


def scan_of_nearly_grus():
    def nearly(mix=lambda z, c, h: (1 - z) * c + z * h, inner=lambda r, h: cntk.times(r * h, _weight(SIZE, SIZE))):
        h = cntk.placeholder()
        before = PAST(h, 0.3)
        gates = cntk.times(x, _weight(3, 3 * SIZE))
        parts = [cntk.slice(gates, -1, k * SIZE, (k + 1) * SIZE) for k in range(3)]
        z, r = (cntk.sigmoid(part + cntk.times(before, _weight(SIZE, SIZE))) for part in parts[:2])
        state = mix(z, cntk.tanh(parts[2] + inner(r, before)), before)
        return state.replace_placeholders({h: state.output})

    x = _x()
    kinds = [
        {"mix": lambda z, c, h: z * c + z * h},
        {"mix": lambda z, c, h: (1 + z) * c - z * h},
        {"mix": lambda z, c, h: (1 - z * z) * c + z * z * h},
        {"mix": lambda z, c, h: (1 - z) * c + z * PAST(c, 0.9)},
        {"inner": lambda r, h: cntk.times(h, _weight(SIZE, SIZE))},
        {"inner": lambda r, h: cntk.times(r * r * h, _weight(SIZE, SIZE))},
        {"inner": lambda r, h: 2 * r * (cntk.times(h, _weight(SIZE, SIZE)) + _weight(SIZE))},
        {"inner": lambda r, h: cntk.times((1 - r) * h, _weight(SIZE, SIZE))},
        {"inner": lambda r, h: r * h},
    ]
    return _case(cntk.combine([nearly(**kind) for kind in kinds]))


def scan_of_no_known_function():
    return _case(_plain(cntk.sin))


def scan_of_two_steps():
    return _case(_plain(cntk.tanh, delay=lambda h, initial: PAST(h, initial, 2)))


def scan_of_double():
    x = cntk.sequence.input_variable(3, np.float64, name="x")
    with cntk.default_options(dtype=np.float64):
        return Recurrence(LSTM(SIZE))(x), {"x": [np.random.standard_normal((n, 3)) for n in (4, 2)]}


def rnn_of_matrices():
    x, h = cntk.sequence.input_variable((2, 3), name="x"), cntk.placeholder()
    before = cntk.times(PAST(h, 0), _weight(SIZE, SIZE))
    state = cntk.tanh(cntk.times(x, _weight(2, 3, SIZE)) + before)
    return state.replace_placeholders({h: state.output}), {"x": [_random(n, 2, 3) for n in (4, 2)]}

"""Run by CNTK's own Python: saves recurrences into a folder, with what they give for the sequences in feeds.npz."""

import sys
from pathlib import Path

import cntk
import numpy as np

PAST, FUTURE = cntk.sequence.past_value, cntk.sequence.future_value


def loop(x, delay, steps=1, initial=0):
    state = cntk.placeholder()
    result = cntk.tanh(x + 0.5 * delay(state, initial, steps))
    return result.replace_placeholders({state: result})


def two_states(x):
    p, q = cntk.placeholder(), cntk.placeholder()
    u = cntk.tanh(x + PAST(q, 1, 1))
    v = cntk.tanh(0.5 * u + PAST(p, 0.3, 2))
    both = cntk.combine([u, v])
    return both.replace_placeholders({p: u.output, q: v.output}).outputs[1]


CASES = {
    "past": lambda x, y, z: loop(x, PAST),
    "future_2": lambda x, y, z: loop(x, FUTURE, 2, 0.5),
    "past_2_of_batch": lambda x, y, z: loop(x, PAST, 2, z),
    "past_2_of_sequence": lambda x, y, z: loop(x, PAST, 2, y),
    "future_2_of_sequence": lambda x, y, z: loop(x, FUTURE, 2, y),
    "two_states": lambda x, y, z: two_states(x),
    "both_directions": lambda x, y, z: loop(x, PAST) + loop(x, FUTURE),
    "nested": lambda x, y, z: loop(loop(x, PAST), FUTURE, 2),
    "from_last": lambda x, y, z: loop(x, PAST, 1, cntk.sequence.last(y)),
    "fold": lambda x, y, z: cntk.layers.Fold(lambda s, x: s + x)(x),
    "unfold": lambda x, y, z: cntk.layers.UnfoldFrom(lambda s: 0.5 * s + 1)(z, x),
}

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    feeds = np.load(str(folder / "feeds.npz"))
    values = {n: [feeds[f"{n}{i}"] for i in range(3)] for n in "xy"}
    values["z"] = feeds["z"]
    results = {}
    for name, make in CASES.items():
        x = cntk.sequence.input_variable(2, name="x", sequence_axis=cntk.Axis("sx"))
        y = cntk.sequence.input_variable(2, name="y", sequence_axis=cntk.Axis("sy"))
        f = cntk.combine([make(x, y, cntk.input_variable(2, name="z"))])
        f.save(str(folder / f"{name}.model"))
        for i, result in enumerate(f.eval({a: values[a.name] for a in f.arguments})):
            results[f"{name}-{i}"] = result
    np.savez(str(folder / "results.npz"), **results)

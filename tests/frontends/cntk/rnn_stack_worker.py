"""Run by CNTK's own Python: saves stacks of recurrent layers into a folder, with what they compute.

CNTK evaluates such stacks on GPUs alone; what they compute is what its own conversion to other layers does.
"""

import sys
from pathlib import Path

import cntk
import numpy as np
from cntk.misc.optimized_rnnstack_converter import convert_optimized_rnnstack

CASES = {
    "lstm": (1, False, "lstm"),
    "lstm_both": (2, True, "lstm"),
    "tanh": (2, False, "rnnTanh"),
    "relu_both": (1, True, "rnnReLU"),
    "gru_both": (2, True, "gru"),  # which CNTK does not convert
}

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    feeds = np.load(str(folder / "feeds.npz"))
    sequences = [feeds[f"x{i}"] for i in range(3)]
    np.random.seed(0)
    results = {}
    for name, (layers, both, kind) in CASES.items():
        x = cntk.sequence.input_variable(3, name="x")
        weights = cntk.Parameter((cntk.InferredDimension, 4))
        f = cntk.optimized_rnnstack(x, weights, 4, layers, both, kind, name="stack")
        weights.value = np.random.uniform(-0.5, 0.5, weights.shape).astype(np.float32)
        f.save(str(folder / (name + ".model")))
        results[name + "-weights"] = weights.value
        if kind != "gru":
            converted = convert_optimized_rnnstack(f)
            for i, result in enumerate(converted.eval({converted.arguments[0]: sequences})):
                results[f"{name}-{i}"] = result
    np.savez(str(folder / "results.npz"), **results)

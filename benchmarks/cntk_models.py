"""CNTK models with random weights, and CNTK's own exporter; runs under the Python that has CNTK 2.7.

    $NXCONVERT_CNTK_PYTHON cntk_models.py make cntk-alexnet FILE
    $NXCONVERT_CNTK_PYTHON cntk_models.py export FILE TARGET

AlexNet is that of the paper, in one group.
"""

import sys

import cntk as C
from cntk.layers import LSTM, Convolution2D, Dense, MaxPooling, Recurrence, Sequential


def alexnet():
    layers = Sequential(
        [
            Convolution2D((11, 11), 96, strides=4, pad=False, activation=C.relu),
            lambda x: C.local_response_normalization(x, 2, 1.0, 1e-4, 0.75),
            MaxPooling((3, 3), strides=2),
            Convolution2D((5, 5), 256, pad=True, activation=C.relu),
            lambda x: C.local_response_normalization(x, 2, 1.0, 1e-4, 0.75),
            MaxPooling((3, 3), strides=2),
            Convolution2D((3, 3), 384, pad=True, activation=C.relu),
            Convolution2D((3, 3), 384, pad=True, activation=C.relu),
            Convolution2D((3, 3), 256, pad=True, activation=C.relu),
            MaxPooling((3, 3), strides=2),
            Dense(4096, activation=C.relu),
            Dense(4096, activation=C.relu),
            Dense(1000, name="scores"),
        ]
    )
    return layers(C.input_variable((3, 224, 224), name="data"))


def lstm():
    """Three layers of LSTMs over words of 128 numbers, and a score for each of 5,000 words at each step."""
    layers = [Recurrence(LSTM(1400)) for _ in range(3)]
    return Sequential([*layers, Dense(5000, name="scores")])(C.sequence.input_variable(128, name="words"))


def dense():
    """Dense layers, until it is more than a protocol buffer holds."""
    layers = [Dense(8192, activation=C.relu) for _ in range(9)]
    return Sequential([*layers, Dense(10, name="scores")])(C.input_variable(2048, name="x"))


MODELS = {"cntk-alexnet": alexnet, "cntk-lstm": lstm, "cntk-2.2gb": dense}


def make(name, target):
    C.cntk_py.set_fixed_random_seed(1)
    MODELS[name]().save(target)


def export(source, target):
    C.Function.load(source).save(target, format=C.ModelFormat.ONNX)


if __name__ == "__main__":
    {"make": make, "export": export}[sys.argv[1]](*sys.argv[2:])

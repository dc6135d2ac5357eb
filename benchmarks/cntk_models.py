"""CNTK models with random weights, and CNTK's own exporter; runs under the Python that has CNTK 2.7.

    $NXCONVERT_CNTK_PYTHON cntk_models.py make cntk-alexnet FILE
    $NXCONVERT_CNTK_PYTHON cntk_models.py export FILE TARGET

AlexNet is that of the paper, in one group.
"""

import sys

import cntk
from cntk.layers import LSTM, Convolution2D, Dense, MaxPooling, Recurrence, Sequential


def alexnet():
    layers = Sequential(
        [
            Convolution2D((11, 11), 96, strides=4, pad=False, activation=cntk.relu),
            lambda x: cntk.local_response_normalization(x, 2, 1.0, 1e-4, 0.75),
            MaxPooling((3, 3), strides=2),
            Convolution2D((5, 5), 256, pad=True, activation=cntk.relu),
            lambda x: cntk.local_response_normalization(x, 2, 1.0, 1e-4, 0.75),
            MaxPooling((3, 3), strides=2),
            Convolution2D((3, 3), 384, pad=True, activation=cntk.relu),
            Convolution2D((3, 3), 384, pad=True, activation=cntk.relu),
            Convolution2D((3, 3), 256, pad=True, activation=cntk.relu),
            MaxPooling((3, 3), strides=2),
            Dense(4096, activation=cntk.relu),
            Dense(4096, activation=cntk.relu),
            Dense(1000, name="scores"),
        ]
    )
    return layers(cntk.input_variable((3, 224, 224), name="data"))


def lstm():
    """Three layers of LSTMs over words of 128 numbers, and a score for each of 5,000 words at each step."""
    layers = [Recurrence(LSTM(1400)) for _ in range(3)]
    return Sequential([*layers, Dense(5000, name="scores")])(cntk.sequence.input_variable(128, name="words"))


def dense():
    """Dense layers, until it is more than a protocol buffer holds."""
    layers = [Dense(8192, activation=cntk.relu) for _ in range(9)]
    return Sequential([*layers, Dense(10, name="scores")])(cntk.input_variable(2048, name="x"))


MODELS = {"cntk-alexnet": alexnet, "cntk-lstm": lstm, "cntk-2.2gb": dense}


def make(name, target):
    cntk.cntk_py.set_fixed_random_seed(1)
    MODELS[name]().save(target)


def export(source, target):
    cntk.Function.load(source).save(target, format=cntk.ModelFormat.ONNX)


if __name__ == "__main__":
    {"make": make, "export": export}[sys.argv[1]](*sys.argv[2:])

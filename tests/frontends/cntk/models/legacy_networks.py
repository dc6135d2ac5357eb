"""Whole networks of CNTK 1, as its recipes of NDL and BrainScript built them, in the versions of their time.

Their files are kept as ``NAME.legacy`` beside what CNTK computes with them.
"""

import cntk
import numpy as np
from legacy import LENGTHS, _loaded, _random, _sequences
from legacy_files import Legacy, i32, shape, u64


def _net(version, precision="float", **inputs):
    """A network with inputs; the names of those that are fed sparsely end with an underscore."""
    n = Legacy(version, precision)
    for name, dims in inputs.items():
        kind = "SparseInputValue" if name.endswith("_") else "InputValue"
        n.node(kind, name, [], n.input(dims))
        n.groups["Label" if name.startswith("labels") else "Feature"].append(name)
    return n


def _run(n, *outputs, **feeds):
    """With outputs that the file lists; CNTK has criteria and statistics beside them."""
    n.groups["Output"] = list(outputs)
    model, feeds = _loaded(n, {name: [each.astype(n.dtype) for each in data] for name, data in feeds.items()})
    return cntk.combine([model.find_by_name(name) for name in outputs]), feeds


def _words(size):
    return [np.eye(size, dtype=np.float32)[np.random.randint(size, size=length)] for length in LENGTHS]


def _parameter(n, name, *dims, **options):
    """Small random numbers, of CNTK's own dims."""
    rate = options.get("rate", 1.0)
    return n.node("LearnableParameter", name, [], n.parameter(_random(*dims[::-1]) * 0.4, rate=rate))


def _constant(n, name, number):
    return n.node("LearnableParameter", name, [], n.parameter(np.full((1, 1), number), rate=0))


def _times(n, name, weights, x):
    return n.node("Times", name, [weights, x], n.product())


def _affine(n, name, x, ins, outs):
    """``W x + b``, b with one column."""
    _times(n, name + ".t", _parameter(n, name + ".W", outs, ins), x)
    return n.node("Plus", name, [name + ".t", _parameter(n, name + ".b", outs, 1)])


def _judged(n, labels, z, loss="CrossEntropyWithSoftmax"):
    """With a criterion and, for labels, an error."""
    n.groups["Criterion"] = [n.node(loss, "criterion", [labels, z])]
    if loss == "CrossEntropyWithSoftmax":
        n.groups["Eval"] = [n.node("ErrorPrediction", "error", [labels, z])]


def _sum(n, name, first, *others):
    for i, other in enumerate(others):
        end = i == len(others) - 1
        first = n.node("Plus", name if end else "%s.%d" % (name, i), [first, other])
    return first


# ---- speech ----------------------------------------------------------------------------------------------------------


def _speech(version, precision="float"):
    """Hidden sigmoids of normalised frames; the output is divided by the priors of its classes."""
    n = _net(version, precision, features=(6,), labels=(4,))
    n.node("Mean", "mean", ["features"], n.precomputed(_random(6)))
    n.node("InvStdDev", "deviation", ["features"], n.precomputed(np.abs(_random(6)) + 0.5))
    n.node("Mean", "prior", ["labels"], n.precomputed([0.4, 0.3, 0.2, 0.1]))
    x = n.node("PerDimMeanVarNormalization", "normal", ["features", "mean", "deviation"])
    for i, ins in enumerate((6, 5, 5)):
        x = n.node("Sigmoid", "h%d" % i, [_affine(n, "layer%d" % i, x, ins, 5)])
    z = _affine(n, "z", x, 5, 4)
    _judged(n, "labels", z)
    n.node("Log", "logprior", ["prior"])
    n.node("Minus", "ScaledLogLikelihood", ["z", "logprior"])
    return _run(n, "ScaledLogLikelihood", features=_sequences(6), labels=_words(4))


def speech_1():
    return _speech(1)


def speech_2_in_doubles():
    return _speech(2, "double")


def speech_3():
    return _speech(3)


def speech_7():
    return _speech(7)


def speech_12_in_doubles():
    return _speech(12, "double")


def speech_19():
    return _speech(19)


def speech_31():
    return _speech(31)


def _peephole_gate(n, name, x, h, cell, ins, outs, cells):
    """What goes into a gate: the input, what came out before, and each cell times a number of its own."""
    recurrence = _times(n, name + ".r", _parameter(n, name + ".hidden", cells, outs), h)
    parts = [_affine(n, name + ".x", x, ins, cells), recurrence]
    if cell:
        product = "DiagTimes" if n.version < 4 else "ElementTimes"
        parts.append(n.node(product, name + ".p", [_parameter(n, name + ".peephole", cells, 1), cell]))
    return _sum(n, name, *parts)


def _projected(n, name, x, ins, outs, cells, delay="PastValue"):
    """An LSTM with peepholes whose output is projected."""
    h = n.node(delay, name + ".dh", [name], n.delay(1, (outs,), 0.1))
    c = n.node(delay, name + ".dc", [name + ".c"], n.delay(1, (cells,), 0.1))
    gate = n.node("Sigmoid", name + ".it", [_peephole_gate(n, name + ".i", x, h, c, ins, outs, cells)])
    kept = n.node("Sigmoid", name + ".ft", [_peephole_gate(n, name + ".f", x, h, c, ins, outs, cells)])
    new = n.node("Tanh", name + ".gt", [_peephole_gate(n, name + ".g", x, h, None, ins, outs, cells)])
    n.node("ElementTimes", name + ".new", [gate, new])
    n.node("ElementTimes", name + ".old", [kept, c])
    n.node("Plus", name + ".c", [name + ".old", name + ".new"])
    shown = n.node("Sigmoid", name + ".ot", [_peephole_gate(n, name + ".o", x, h, name + ".c", ins, outs, cells)])
    n.node("Tanh", name + ".ct", [name + ".c"])
    n.node("ElementTimes", name + ".m", [shown, name + ".ct"])
    return _times(n, name, _parameter(n, name + ".W", outs, cells), name + ".m")


def _acoustic(version, precision="float"):
    """Two projected LSTMs, with delayed targets: features are shifted."""
    n = _net(version, precision, features=(4,), labels=(3,))
    n.node("Mean", "prior", ["labels"], n.precomputed([0.5, 0.3, 0.2]))
    x = n.node("FutureValue", "shifted", ["features"], n.delay(1, (4,), 0.0))
    x = _projected(n, "lstm1", x, 4, 3, 5, "Delay" if version < 3 else "PastValue")
    x = _projected(n, "lstm2", x, 3, 3, 4, "PastValue")
    _judged(n, "labels", _affine(n, "z", x, 3, 3))
    n.node("Log", "logprior", ["prior"])
    n.node("Minus", "scaled", ["z", "logprior"])
    return _run(n, "scaled", features=_sequences(4), labels=_words(3))


def acoustic_2():
    return _acoustic(2)


def acoustic_3():
    return _acoustic(3)


def acoustic_4_in_doubles():
    return _acoustic(4, "double")


def acoustic_8():
    return _acoustic(8)


def acoustic_13():
    return _acoustic(13)


def acoustic_31():
    return _acoustic(31)


def _stacked_cell(n, name, x, ins, cells, delay="PastValue"):
    """An LSTM as BrainScript has it: one product for all gates, which are slices of it."""
    h = n.node(delay, name + ".dh", [name], n.delay(1, (cells,), 0.0))
    c = n.node(delay, name + ".dc", [name + ".c"], n.delay(1, (cells,), 0.0))
    all_ = _sum(n, name + ".all", _parameter(n, name + ".B", 4 * cells),
                _times(n, name + ".wx", _parameter(n, name + ".W", 4 * cells, ins), x),
                _times(n, name + ".rh", _parameter(n, name + ".H", 4 * cells, cells), h))  # fmt: skip
    kind = "RowSlice" if n.version < 3 else "Slice"
    parts = [n.node(kind, "%s.s%d" % (name, i), [all_], n.slice((1, i * cells, (i + 1) * cells, 1))) for i in range(4)]
    sigmoid = "Sigmoid" if n.version < 20 else "StableSigmoid"
    i, f, o = (n.node(sigmoid, name + gate, [part]) for gate, part in zip((".i", ".f", ".o"), parts))
    n.node("ElementTimes", name + ".new", [i, n.node("Tanh", name + ".g", [parts[3]])])
    n.node("ElementTimes", name + ".old", [f, c])
    n.node("Plus", name + ".c", [name + ".old", name + ".new"])
    return n.node("ElementTimes", name, [o, n.node("Tanh", name + ".ct", [name + ".c"])])


def _both_ways(version):
    """LSTMs forwards and backwards, one on the other."""
    n = _net(version, features=(3,), labels=(4,))
    forwards = _stacked_cell(n, "forwards", "features", 3, 2)
    backwards = _stacked_cell(n, "backwards", "features", 3, 2, "FutureValue")
    n.node("RowStack", "both", [forwards, backwards], n.stacked(1))
    _judged(n, "labels", _affine(n, "z", _stacked_cell(n, "upper", "both", 4, 3), 3, 4))
    n.node("Softmax", "p", ["z"])
    return _run(n, "p", features=_sequences(3), labels=_words(4))


def both_ways_3():
    return _both_ways(3)


def both_ways_11():
    return _both_ways(11)


def both_ways_22():
    return _both_ways(22)


def both_ways_27():
    return _both_ways(27)


def _stabilized(version):
    """An LSTM whose inputs are multiplied by a learnt number: log(1 + exp(4 b)) / 4."""
    n = _net(version, features=(3,), labels=(2,))
    _constant(n, "four", 4.0)
    _constant(n, "quarter", 0.25)
    _constant(n, "one", 1.0)
    n.node("LearnableParameter", "beta", [], n.parameter([0.3]))
    n.node("ElementTimes", "steep", ["four", "beta"])
    n.node("Plus", "more", ["one", n.node("Exp", "e", ["steep"])])
    n.node("ElementTimes", "factor", ["quarter", n.node("Log", "soft", ["more"])])
    n.node("ElementTimes", "stable", ["factor", "features"])
    _judged(n, "labels", _affine(n, "z", _stacked_cell(n, "cell", "stable", 3, 3), 3, 2))
    return _run(n, "z", features=_sequences(3), labels=_words(2))


def stabilized_10():
    return _stabilized(10)


def stabilized_24():
    return _stabilized(24)


# ---- language --------------------------------------------------------------------------------------------------------


def _tagger(version):
    """Words one by one with their neighbours, embedded, a recurrence, and a tag for each."""
    n = _net(version, words_=(8,), labels=(5,))
    before = n.node("PastValue", "before", ["embedded"], n.delay(1, (4,), 0.1))
    after = n.node("FutureValue", "after", ["embedded"], n.delay(1, (4,), 0.1))
    _times(n, "embedded", _parameter(n, "E", 4, 8), "words_")
    n.node("RowStack", "window", [before, "embedded", after], n.stacked(1))
    n.node("PastValue", "past", ["h"], n.delay(1, (6,), 0.1))
    recurrence = _times(n, "rh", _parameter(n, "R", 6, 6), "past")
    n.node("Sigmoid", "h", [n.node("Plus", "fed", [_affine(n, "wx", "window", 12, 6), recurrence])])
    _judged(n, "labels", _affine(n, "z", "h", 6, 5))
    n.node("LogSoftmax", "logp", ["z"])
    return _run(n, "z", "logp", words_=_words(8), labels=_words(5))


def tagger_2():
    return _tagger(2)


def tagger_4():
    return _tagger(4)


def tagger_8():
    return _tagger(8)


def tagger_12():
    return _tagger(12)


def tagger_31():
    return _tagger(31)


def _language(version):
    """The next word, by a recurrence without biases."""
    n = _net(version, features=(7,), labels=(7,))
    n.node("PastValue" if version > 2 else "Delay", "past", ["h"], n.delay(1, (4,), 0.1))
    x = _times(n, "wx", _parameter(n, "E", 4, 7), "features")
    n.node("Sigmoid", "h", [n.node("Plus", "fed", [x, _times(n, "rh", _parameter(n, "R", 4, 4), "past")])])
    _judged(n, "labels", _times(n, "z", _parameter(n, "W", 7, 4), "h"))
    return _run(n, "z", features=_words(7), labels=_words(7))


def language_1():
    return _language(1)


def language_3():
    return _language(3)


def language_15():
    return _language(15)


def _last(version):
    """A class for a whole sequence: the last step is where a 1 from its end arrives first."""
    n = _net(version, features=(3,), labels=(2,))
    _stacked_cell(n, "cell", "features", 3, 3)
    _constant(n, "zero", 0.0)
    n.node("ReconcileDynamicAxis" if version >= 16 else "ReconcileMBLayout", "zeros", ["zero", "cell"])
    n.node("FutureValue", "end", ["zeros"], n.delay(1, (1, 1), 1.0))
    n.node("Where", "index", ["end"], n.where("last"))
    n.node("PackedIndex", "packed", ["cell", "index"])
    n.node("GatherPacked", "last", ["packed", "cell"])
    _affine(n, "z", "last", 3, 2)
    return _run(n, "z", features=_sequences(3))


def last_11():
    return _last(11)


def last_16():
    return _last(16)


def _normal_layers(version):
    """Layers whose sums are normalised over their elements."""
    n = _net(version, features=(5,), labels=(3,))
    x = _affine(n, "layer", "features", 5, 4)
    n.node("ReduceElements", "mean", [x], n.reduction("Mean", [1]))
    n.node("Minus", "centered", [x, "mean"])
    n.node("ElementTimes", "squares", ["centered", "centered"])
    n.node("ReduceElements", "variance", ["squares"], n.reduction("Mean", [1]))
    n.node("Plus", "safe", ["variance", _constant(n, "epsilon", 1e-3)])
    n.node("ElementTimes", "normal", ["centered", n.node("Reciprocal", "inv", [n.node("Sqrt", "dev", ["safe"])])])
    n.node("RectifiedLinear", "h", ["normal"])
    _judged(n, "labels", _affine(n, "z", "h", 4, 3))
    return _run(n, "z", features=_sequences(5), labels=_words(3))


def normal_layers_11():
    return _normal_layers(11)


def normal_layers_25():
    return _normal_layers(25)


def normal_layers_28():
    return _normal_layers(28)


# ---- the rest --------------------------------------------------------------------------------------------------------


def _autoencoder(version, precision="float"):
    """What is fed comes out again."""
    n = _net(version, precision, features=(6,))
    x = n.node("Sigmoid", "code", [_affine(n, "in", "features", 6, 2)])
    z = n.node("Sigmoid", "z", [_affine(n, "out", x, 2, 6)])
    n.groups["Criterion"] = [n.node("SquareError", "loss", ["features", z])]
    return _run(n, "z", "code", features=_sequences(6))


def autoencoder_1_in_doubles():
    return _autoencoder(1, "double")


def autoencoder_6():
    return _autoencoder(6)


def autoencoder_21():
    return _autoencoder(21)


def _tower(n, name, x, ins):
    first = n.node("Tanh", name + "1", [_times(n, name + "1.t", _parameter(n, name + "1.W", 4, ins), x)])
    return n.node("Tanh", name + "2", [_times(n, name + "2.t", _parameter(n, name + "2.W", 3, 4), first)])


def _similarity(version):
    """A query and a document, on which both towers agree if they belong together."""
    n = _net(version, query=(6,), document=(6,))
    n.node("CosDistance", "score", [_tower(n, "q", "query", 6), _tower(n, "d", "document", 6)])
    n.node("LearnableParameter", "ten", [], n.parameter([[10.0]], rate=0))
    n.node("Scale" if version < 6 else "ElementTimes", "steep", ["ten", "score"])
    return _run(n, "score", "steep", query=_sequences(6), document=_sequences(6))


def similarity_2():
    return _similarity(2)


def similarity_7():
    return _similarity(7)


def similarity_17():
    return _similarity(17)


def _axes_of_images(version):
    """Axes of an image are swapped, joined, and reduced."""
    n = _net(version, features=(4, 3, 2))
    n.node("TransposeDimensions", "turned", ["features"], n.transposition(1, 2))
    n.node("Slice", "part", ["turned"], n.slice((2, 1, 0, 1)))
    n.node("Reshape", "joined", ["part"], i32(2) + i32(0) + shape((6,)))
    n.node("RowStack", "twice", ["joined", "joined"], n.stacked(2))
    n.node("ReduceElements", "most", ["twice"], n.reduction("Max", [1]))
    n.node("Reshape", "z", ["most"], i32(0) + i32(0) + shape((4, 0)))
    return _run(n, "z", features=_sequences(2, 3, 4))


def axes_of_images_11():
    return _axes_of_images(11)


def axes_of_images_25():
    return _axes_of_images(25)


def _gated(version):
    """Recurrent units with gates, and what they choose."""
    n = _net(version, features=(3,), labels=(4,))
    n.node("PastValue", "past", ["h"], n.delay(1, (4,), 0.0))
    z, r = (
        n.node("Sigmoid", gate, [_sum(n, gate + ".s", _affine(n, gate + ".x", "features", 3, 4),
                                      _times(n, gate + ".h", _parameter(n, gate + ".hidden", 4, 4), "past"))])
        for gate in "zr"
    )  # fmt: skip
    n.node("ElementTimes", "reset", [r, "past"])
    new = _sum(n, "s", _affine(n, "c.x", "features", 3, 4), _times(n, "c.h", _parameter(n, "c.hidden", 4, 4), "reset"))
    n.node("Minus", "keep", [_constant(n, "one", 1.0), z])
    n.node("ElementTimes", "first", ["keep", n.node("Tanh", "c", [new])])
    n.node("Plus", "h", ["first", n.node("ElementTimes", "second", [z, "past"])])
    n.node("Hardmax", "chosen", [_affine(n, "out", "h", 4, 4)])
    return _run(n, "out", "chosen", features=_sequences(3))


def gated_4():
    return _gated(4)


def gated_18():
    return _gated(18)


def _with_sizes_of_64_bits(n, name, count):
    """A vector as the first releases wrote it: an image that is one element wide and has one channel."""
    n.node("InputValue", name, [], u64(count) + u64(1) + u64(1) + u64(count) + u64(1))


def _oldest(version):
    """Means have the shape of what they are of; those of a vector were of an image like it."""
    n = Legacy(version)
    _with_sizes_of_64_bits(n, "features", 6)
    _with_sizes_of_64_bits(n, "labels", 4)
    n.node("Mean", "mean", ["features"], n.precomputed(_random(6)))
    n.node("InvStdDev", "deviation", ["features"], n.precomputed(np.abs(_random(6)) + 0.5))
    x = n.node("PerDimMeanVarNormalization", "normal", ["features", "mean", "deviation"])
    _judged(n, "labels", _affine(n, "z", x, 6, 4))
    features = [each.reshape(len(each), 6, 1, 1) for each in _sequences(6)]
    return _run(n, "z", features=features)


def oldest_1():
    return _oldest(1)


def oldest_2():
    return _oldest(2)


def _pictures(version):
    """A mean of images is one."""
    n = _net(version, features=(4, 3, 2))
    n.node("Mean", "mean", ["features"], n.precomputed(_random(24)))
    n.node("InvStdDev", "deviation", ["features"], n.precomputed(np.abs(_random(24)) + 0.5))
    x = n.node("PerDimMeanVarNormalization", "normal", ["features", "mean", "deviation"])
    _affine(n, "z", x, 24, 4)
    return _run(n, "z", features=_sequences(2, 3, 4))


def pictures_3():
    return _pictures(3)


def pictures_18():
    return _pictures(18)

"""Caffe2's nets as messages: what they read and make, and the part that inference needs. Runs under Python 3.6."""

import collections
from pathlib import Path

#: The operators that matter for inference.
INFERENCE = frozenset(Path(__file__).resolve().with_name("caffe2_operators.txt").read_text().split())
#: Operators of nets that make no tensors but that others need to run.
HELPERS = frozenset(["CreateScope", "HasScope", "Print", "EnforceFinite", "NanCheck"])


def inference_part(net):
    """The net up to the first operator that only training has; empty where what comes is of another kind."""
    part = type(net)()
    part.CopyFrom(net)
    del part.op[:]
    for op in net.op:
        if op.is_gradient_op or op.device_option.device_type or op.engine.startswith("DNNLOWP"):
            break
        if not set(types_in(op)) <= INFERENCE | HELPERS:
            break
        part.op.add().CopyFrom(op)
    if not any(op.type in INFERENCE for op in part.op):
        del part.op[:]
    return part


def net_of_plan(plan):
    """The nets of a plan as one, in the order in which they run, up to the first step that is repeated."""
    from caffe2.proto import caffe2_pb2

    nets, whole = {net.name: net for net in plan.network}, caffe2_pb2.NetDef()
    waiting = list(plan.execution_step)
    while waiting:
        step = waiting.pop(0)
        if step.num_iter > 1 or step.HasField("should_stop_blob") or step.concurrent_substeps:
            break
        waiting[:0] = step.substep
        for name in step.network:
            whole.op.extend(nets[name].op)
    return whole


def types_in(op):
    yield op.type
    for argument in op.arg:
        # The step net of the gradient is an argument of the forward operator, too.
        if argument.name.startswith("backward"):
            continue
        for net in ([argument.n] if argument.HasField("n") else []) + list(argument.nets):
            for inner in net.op:
                for each in types_in(inner):
                    yield each


def names_read(net):
    """The blobs that a net reads before it writes them, in order; those that its branches and bodies read as well."""
    written, read = set(), collections.OrderedDict()
    for op in net.op:
        for name in list(op.input) + list(names_read_inside(op)):
            if name not in written:
                read[name] = None
        written.update(op.output)
    return list(read)


def names_read_inside(op):
    if op.type in ("If", "While"):
        for argument in op.arg:
            if argument.HasField("n"):
                for name in names_read(argument.n):
                    yield name


def names_written_inside(op):
    if op.type in ("If", "While"):
        for argument in op.arg:
            if argument.HasField("n"):
                for inner in argument.n.op:
                    for name in list(inner.output) + list(names_written_inside(inner)):
                        yield name


def standalone(net, inputs):
    """The net with its inputs and outputs declared: what it makes and does not read itself, and what it says."""
    alone = type(net)()
    alone.CopyFrom(net)
    del alone.external_input[:], alone.external_output[:]
    alone.external_input.extend(inputs)
    made, wanted = collections.OrderedDict(), set(net.external_output)
    for op in net.op:
        for name in op.input:
            if name in made:
                made[name] = False
        for name in list(op.output) + [n for n in names_written_inside(op) if n in inputs or n in made]:
            made[name] = True
    alone.external_output.extend(name for name, unread in made.items() if unread or name in wanted)
    return alone


def arguments_of(op):
    """What tells one use of an operator from another but for the names and the sizes of its blobs."""
    places = {name: str(index) for index, name in enumerate(op.input)}
    arguments = sorted(argument.SerializeToString() for argument in op.arg)
    outputs = tuple(places.get(name, "") for name in op.output)
    return (op.type,) + tuple(arguments) + outputs

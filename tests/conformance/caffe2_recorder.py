"""Keeps what the real Caffe2 computes, whoever runs it, as cases. Runs under Python 3.6.

A case is a folder with ``predict_net.pb``, ``inputs.npz``, ``outputs.npz`` and ``meta.json``, laid out like those of
the corpus.
"""

import collections
import json

import numpy as np
from caffe2_nets import INFERENCE, arguments_of, inference_part, names_read, net_of_plan, standalone

LARGEST = 1 << 20  # bytes of inputs or outputs
JUNK = 0x7FEDBEEF  # what Caffe2's allocator fills new memory with in its tests


class UnfetchableError(Exception):
    """A blob that is no tensor."""


class Recorder:
    """Keeps the operators and nets that are run.

    Attributes:
        test: the test that runs.
        left_out: how often what was not kept, and why.
    """

    def __init__(self, folder, module, limit):
        self.folder, self.module, self.limit, self.test = folder, module, limit, ""
        self.left_out = collections.Counter()
        self._seen, self._kept, self._number = set(), collections.Counter(), 0
        self._variants = collections.Counter()
        self._run = self._run_operator = None
        self._busy = False

    def install(self):
        """Takes the place of Caffe2's functions that run something."""
        from caffe2.python import workspace

        C = workspace.C
        run_net, run_operator = C.Workspace._run_net, C.Workspace._run_operator
        self._run = lambda own, net: run_net(own, net.SerializeToString())
        self._run_operator = lambda own, op: run_operator(own, op.SerializeToString())

        def seen(run, parse):
            """A function of the current workspace that runs a text; the net in it is seen before."""

            def run_seen(text):
                self.see(parse(text), C.fetch_blob)
                return run(text)

            return run_seen

        def seen_in(run, parse):
            """The same of a method of workspaces."""

            def run_seen(own, text):
                self.see(parse(text), own.fetch_blob)
                return run(own, text)

            return run_seen

        C.run_operator_once, C.run_net_once = (
            seen(C.run_operator_once, parsed_operator),
            seen(C.run_net_once, parsed_net),
        )
        C.run_plan = seen(C.run_plan, parsed_plan)
        C.Workspace._run_operator, C.Workspace._run_net = (
            seen_in(run_operator, parsed_operator),
            seen_in(run_net, parsed_net),
        )
        C.Workspace._run_plan = seen_in(C.Workspace._run_plan, parsed_plan)
        self._see_nets_run_by_name(C)

    def _see_nets_run_by_name(self, C):
        nets, create_net, run_net = {}, C.create_net, C.run_net

        def created(text, overwrite=False):
            nets[parsed_net(text).name] = text
            return create_net(text, overwrite)

        def run_by_name(name, *rest):
            text = nets.get(name if isinstance(name, str) else name.decode())
            if text is not None:
                self.see(parsed_net(text), C.fetch_blob)
            return run_net(name, *rest)

        C.create_net, C.run_net = created, run_by_name

    def see(self, net, fetch):
        """A net is about to run in a workspace whose blobs `fetch` gives."""
        if self._busy:
            return
        self._busy = True
        try:
            self._see(net, fetch)
        except UnfetchableError as error:
            self.left_out["%s: an input that is no tensor" % error] += 1
        finally:
            self._busy = False

    def has_seen(self, op, inputs):
        arrays = {name: np.asarray(value) for name, value in zip(op.input, inputs)}
        return all(isinstance(v, np.ndarray) for v in inputs) and self._identity([op], arrays) in self._seen

    def _see(self, net, fetch):
        cut = inference_part(net)
        if not cut.op:
            for op in net.op[:1]:
                self.left_out["%s: out of scope" % op.type] += 1
            return
        try:
            inputs = collections.OrderedDict((name, tensor(fetch(name))) for name in names_read(cut))
        except (RuntimeError, IndexError):  # no such blob: the run will fail, too
            return
        self._keep(cut, inputs)
        if len(cut.op) > 1:
            self._step_by_step(cut, inputs)

    def _step_by_step(self, net, inputs):
        """Keeps the operators of a net each, those that are rare."""
        if all(self._kept[op.type] >= 4 for op in net.op):
            return
        own = self._workspace(inputs)
        for op in net.op:
            if op.type in INFERENCE and self._kept[op.type] < self.limit:
                try:
                    alone = type(net)()
                    alone.op.add().CopyFrom(op)
                    inputs = ((name, tensor(own.fetch_blob(name))) for name in names_read(alone))
                    self._keep(alone, collections.OrderedDict(inputs))
                except (UnfetchableError, RuntimeError, IndexError):
                    pass
            try:
                self._run_operator(own, op)
            except Exception:
                return

    def _identity(self, ops, inputs):
        arguments = tuple(arguments_of(op) for op in ops)
        return arguments, tuple((value.dtype.kind, value.dtype.itemsize, value.shape) for value in inputs.values())

    def _keep(self, net, inputs):
        kind = net.op[0].type if len(net.op) == 1 else "Net"
        identity = self._identity(net.op, inputs)
        variant = kind, identity[0], tuple(item[:2] for item in identity[1])
        most = 40 if kind == "Net" else 4 * self.limit
        if identity in self._seen or self._kept[kind] >= most or self._variants[variant] >= self.limit:
            return
        self._seen.add(identity)
        if self.keep(net, inputs, kind, [[list(map(str, each)) for each in identity[0]], variant[2]]):
            self._kept[kind] += 1
            self._variants[variant] += 1

    def keep(self, net, inputs, kind, key=None):
        """Runs a net and writes a case: the folder, or None where the net does not run or is too large."""
        net = standalone(net, inputs)
        try:
            first, second = self._outputs(net, inputs), self._outputs(net, inputs)
        except Exception as error:
            self.left_out["%s: %s" % (kind, str(error).replace("\n", " ")[:120])] += 1
            return None
        if not first[0]:
            self.left_out["%s: no output that is a tensor" % kind] += 1
            return None
        if sum(value.nbytes for value in list(inputs.values()) + list(first[0].values())) > LARGEST:
            self.left_out["%s: large" % kind] += 1
            return None
        return self._write(net, inputs, first, second[0], kind, key)

    def _workspace(self, inputs):
        from caffe2.python import workspace

        own = workspace.C.Workspace()
        for name, value in inputs.items():
            own.feed_blob(name, value)
        return own

    def _outputs(self, net, inputs):
        """The tensors that a net makes, what is known about the quantized ones, and the blobs that are no tensors."""
        own = self._workspace(inputs)
        self._run(own, net)
        results, quantized, others = collections.OrderedDict(), {}, []
        for name in net.external_output:
            try:
                value = own.fetch_blob(name)
                if isinstance(value, tuple):
                    quantized[name] = {"int8_scale": float(value[1]), "int8_zero_point": int(value[2])}
                    value = value[0]
                results[name] = tensor(value)
            except (UnfetchableError, RuntimeError, IndexError):
                others.append(name)
        return results, quantized, others

    def _write(self, net, inputs, recorded, again, kind, key):
        outputs, quantized, others = recorded
        folder = self.folder / str(self._number)
        self._number += 1
        folder.mkdir()
        net.name = "%s_%d" % (kind, self._number)
        del net.external_output[:]
        net.external_output.extend(outputs)
        (folder / "predict_net.pb").write_bytes(net.SerializeToString())
        meta = {
            "kind": "op" if kind != "Net" else "net",
            "op_type": kind,
            "source": "%s:%s" % (self.module, self.test),
            "inputs_name_map": save(folder / "inputs.npz", inputs),
            "outputs_name_map": save(folder / "outputs.npz", outputs),
            "output_info": quantized,
            "unfetchable_outputs": others,
            "weight_like_inputs": [],
            "nondeterministic_outputs": [name for name in outputs if is_random(outputs[name], again[name])],
            "key": key,
        }
        (folder / "meta.json").write_text(json.dumps(meta))
        return folder


def parsed_net(text):
    from caffe2.proto import caffe2_pb2

    net = caffe2_pb2.NetDef()
    net.ParseFromString(text)
    return net


def parsed_operator(text):
    """A net of the one operator in a text."""
    from caffe2.proto import caffe2_pb2

    net = caffe2_pb2.NetDef()
    net.op.add().ParseFromString(text)
    return net


def parsed_plan(text):
    """The nets of the plan in a text, as one."""
    from caffe2.proto import caffe2_pb2

    plan = caffe2_pb2.PlanDef()
    plan.ParseFromString(text)
    return net_of_plan(plan)


def is_random(value, again):
    """Whether two runs differ, or memory was left as it was allocated."""
    if value.shape != again.shape or value.tobytes() != again.tobytes():
        return True
    whole = value.dtype.kind in "fi" and value.dtype.itemsize >= 4
    return whole and bool(np.any(np.frombuffer(value.tobytes(), np.int32) == JUNK))


def tensor(value):
    """A fetched blob as an array; strings as bytes of one length, which is how files hold them."""
    if not isinstance(value, np.ndarray):
        raise UnfetchableError(str(value)[:60])
    if value.dtype == object:
        flat = [item if isinstance(item, bytes) else str(item).encode() for item in value.ravel()]
        return np.array(flat, dtype="S" if flat else "S1").reshape(value.shape)
    return value


def save(path, arrays):
    """Writes arrays under their names, or under others where those cannot be: returns what the others stand for."""
    stored, renamed = collections.OrderedDict(), {}
    for index, (name, value) in enumerate(arrays.items()):
        key = "blob_%d" % index if "/" in name or name == "file" else name
        stored[key] = value
        if key != name:
            renamed[key] = name
    np.savez(str(path), **stored)
    return renamed

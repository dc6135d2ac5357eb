"""Runs one Caffe2 model for another process. For the Pythons that Caffe2 has: 3.6 and later.

Requests (see `messages`):

=========== ============================================================== ====================================
``command`` with                                                           the answer
=========== ============================================================== ====================================
``load``    ``net``: the file of the predict net, or of a predictor; ``init``: ``inputs``, ``outputs``, ``version``
            the file of the init net, or of a database of weights, or null;
            ``net_kind``, ``init_kind``: ``net``, ``text`` or ``minidb``
``run``     arrays by blob; ``outputs``: the blobs that are wanted           arrays by blob
=========== ============================================================== ====================================
"""

from typing import Any, Dict, Iterable, Iterator, List, Optional, Set, Tuple

import numpy as np
from messages import serve

_NETS = ("then_net", "else_net", "cond_net", "loop_net")  # that run in the workspace of their operator
_DB_READER = "!!PREDICTOR_DBREADER"


def first_line(error: Exception) -> str:
    """What a message of Caffe2 says, without its stack traces."""
    text = str(error).strip() or type(error).__name__
    return text.split("frame #0")[0].split("\n")[0].strip()


def version() -> str:
    try:
        import torch

        return "torch %s" % torch.__version__
    except ImportError:
        return "built by itself"


class Model:
    """A predict net and what makes its weights.

    Attributes:
        inputs: the blobs that the net reads and that nothing makes, in order.
        outputs: the blobs that are its results, in order.
    """

    def __init__(self, net: Tuple[str, str], init: Tuple[Optional[str], str]) -> None:
        from caffe2.python import workspace

        workspace.GlobalInit(["caffe2", "--caffe2_log_level=2"])
        self._inits = []  # type: List[Any]
        self._reader, self._weights_file = "", ""
        outputs = []  # type: List[str]
        if net[1] == "minidb":
            self._net, self._inits, outputs = predictor(net[0])
            self._reader = net[0]
        else:
            self._net = net_in(net[0], net[1] == "text")
            if init[0] is not None and init[1] == "minidb":
                self._weights_file = init[0]
            elif init[0] is not None:
                self._inits = [net_in(init[0], init[1] == "text")]
        self._fill()
        made = self._weights
        self._overwritten = set(written(self._net)) & made
        needed = read_first(self._net)
        self.outputs = list(outputs or self._net.external_output or unread(self._net))
        needed += [name for name in self.outputs if name not in set(written(self._net)) and name not in needed]
        order = [name for name in self._net.external_input if name in needed]
        order += [name for name in needed if name not in order]
        filled = placeholders(self._inits, made, order)
        self.inputs = [name for name in order if name in filled or name not in made]

    def _fill(self) -> None:
        """A workspace with the weights and nothing else."""
        from caffe2.python import core, workspace

        workspace.ResetWorkspace()
        if self._reader:
            workspace.RunOperatorOnce(
                core.CreateOperator("CreateDB", [], [_DB_READER], db=self._reader, db_type="minidb")
            )
        if self._weights_file:
            arguments = {"db": self._weights_file, "db_type": "minidb", "absolute_path": 1, "load_all": 1}
            workspace.RunOperatorOnce(core.CreateOperator("Load", [], [], **arguments))
        for net in self._inits:
            workspace.RunNetOnce(net)
        self._weights = set(workspace.Blobs())

    def described(self) -> Dict[str, Any]:
        return {"inputs": self.inputs, "outputs": self.outputs, "version": version()}

    def run(self, arrays: Dict[str, Any], wanted: List[str]) -> Tuple[Dict[str, Any], Dict[str, Any]]:
        """The wanted blobs after one run, those that are tensors. The next call sees nothing of this one."""
        from caffe2.python import workspace

        missing = [name for name in self.inputs if name not in arrays]
        if missing:
            raise ValueError("the input %r was not given" % missing[0])
        try:
            for name, value in arrays.items():
                workspace.FeedBlob(name, value)
            workspace.RunNetOnce(self._net)
            return {}, self._fetched(wanted)
        finally:
            if self._overwritten or any(name in self._weights for name in arrays):
                self._fill()
            else:
                for name in workspace.Blobs():
                    if name not in self._weights:
                        workspace.C.Workspace.current.remove_blob(name)

    def _fetched(self, wanted: List[str]) -> Dict[str, Any]:
        from caffe2.python import workspace

        found = {}
        for name in wanted:
            if workspace.HasBlob(name):
                try:
                    value = workspace.C.fetch_blob(name)
                except RuntimeError:  # no NumPy array can hold it
                    continue
                value = value[0] if isinstance(value, tuple) else value  # of a quantized tensor the integers
                if isinstance(value, np.ndarray):
                    found[name] = value
        return found


def net_in(path: str, is_text: bool) -> Any:
    """The net in a file."""
    from caffe2.proto import caffe2_pb2
    from google.protobuf import text_format

    with open(path, "rb") as file:
        data = file.read()
    net = caffe2_pb2.NetDef()
    if is_text:
        text_format.Parse(data.decode("utf-8"), net)
    else:
        net.ParseFromString(data)
    return net


def predictor(path: str) -> Tuple[Any, List[Any], List[str]]:
    """The nets in a database: the one that computes, those that come before it, and the names of the outputs."""
    from caffe2.proto import metanet_pb2
    from caffe2.python import core, workspace
    from caffe2.python.predictor import predictor_constants, serde

    workspace.ResetWorkspace()
    workspace.RunOperatorOnce(core.CreateOperator("CreateDB", [], [_DB_READER], db=path, db_type="minidb"))
    meta_name = predictor_constants.predictor_constants.META_NET_DEF
    workspace.RunOperatorOnce(core.CreateOperator("Load", [_DB_READER], [meta_name]))
    blob = workspace.FetchBlob(meta_name)
    data = blob if isinstance(blob, bytes) else blob.ravel()[0] if isinstance(blob, np.ndarray) else blob.encode()
    meta = serde.deserialize_protobuf_struct(data, metanet_pb2.MetaNetDef)
    nets = {pair.key: pair.value for pair in meta.nets}
    blobs = {pair.key: pair.value for pair in meta.blobs}
    (name,) = [key[len("PREDICT_NET_TYPE") :] for key in nets if key.startswith("PREDICT_NET_TYPE")]
    inits = [nets[key + name] for key in ("GLOBAL_INIT_NET_TYPE", "PREDICT_INIT_NET_TYPE") if key + name in nets]
    outputs = blobs.get("OUTPUTS_BLOB_TYPE" + name, [])
    return nets["PREDICT_NET_TYPE" + name], inits, list(outputs)


def placeholders(inits: Iterable[Any], made: Set[str], order: Iterable[str]) -> List[str]:
    """The inputs that an init net fills only so that they exist, with one 0 of shape [1, 1]: those come first."""
    fills = set()
    for net in inits:
        for op in net.op:
            arguments = {argument.name: argument for argument in op.arg}
            if op.type == "GivenTensorFill" and list(arguments["shape"].ints) == [1, 1]:
                if list(arguments["values"].floats) == [0]:
                    fills.add(op.output[0])
    found = []
    for name in order:
        if name in fills:
            found.append(name)
        elif name in made:
            break
    return found


def nets_inside(op: Any) -> List[Any]:
    return [argument.n for argument in op.arg if argument.name in _NETS and argument.HasField("n")]


def written(net: Any) -> Iterator[str]:
    """The blobs that a net writes, those that its branches and loops write too."""
    for op in net.op:
        for name in op.output:
            yield name
        for inner in nets_inside(op):
            for name in written(inner):
                yield name


def read_first(net: Any) -> List[str]:
    """The blobs that a net reads before it writes them, in order."""
    done = set()  # type: Set[str]
    found = []  # type: List[str]
    for op in net.op:
        names = list(op.input)
        for inner in nets_inside(op):
            names += read_first(inner)
        for name in names:
            if name not in done and name not in found:
                found.append(name)
        done.update(op.output)
    return found


def unread(net: Any) -> List[str]:
    """The blobs that a net writes and does not read after that."""
    left = []  # type: List[str]
    for op in net.op:
        left = [name for name in left if name not in op.input and name not in op.output] + list(op.output)
    return left


if __name__ == "__main__":
    serve(
        lambda header: Model((header["net"], header["net_kind"]), (header["init"], header["init_kind"])),
        first_line,
    )

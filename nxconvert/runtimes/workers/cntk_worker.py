"""Runs models of CNTK for another process. Written for Python 3.6, the last one that CNTK 2.7 came for.

Requests (see `messages`):

=========== ============================================================ ==============================================
``command`` with                                                         the answer
=========== ============================================================ ==============================================
``load``    ``path``                                                     ``inputs``, ``lengths``, ``outputs``: names;
                                                                         ``version``
``run``     arrays by name; ``outputs``: those that are wanted, or null  arrays by name; ``lengths`` of the sequences in
                                                                         those that have them
=========== ============================================================ ==============================================

Arrays are [batch, sequence, *shape] as in converted models: of the inputs on one sequence axis the first, ``x``, has
the lengths in ``x_lengths``, and what follows a sequence does not matter. Without them all sequences are as long as the
axis.
"""

from typing import Any, Dict, List, Optional, Tuple

import numpy as np
from cntk_evaluate import SEQUENCE, evaluate, layout, sequence_axis
from messages import serve

LENGTHS = "_lengths"


def first_line(error: Exception) -> str:
    """What a message of CNTK says, without its stack trace."""
    return str(error).split("[CALL STACK]")[0].strip().split("\n")[0] or type(error).__name__


def numbered(names: List[str]) -> List[str]:
    """The names, with a number after all but the first of those that are equal."""
    found = []  # type: List[str]
    for index, name in enumerate(names):
        count = names[:index].count(name)
        found.append("%s_%d" % (name, count) if count else name)
    return found


class Model:
    """A model, with names for its inputs and outputs: what the user called them, or else CNTK's uids."""

    def __init__(self, path: str) -> None:
        import cntk

        cntk.device.try_set_default_device(cntk.device.cpu())
        self.function = cntk.load_model(path)
        arguments = list(self.function.arguments)
        self.arguments = dict(zip(numbered([each.name or each.uid for each in arguments]), arguments))
        self.names = {argument.uid: name for name, argument in self.arguments.items()}
        outputs = list(self.function.outputs)
        self.outputs = dict(zip(numbered([self._called(each) for each in outputs]), outputs))
        self.first = {}  # type: Dict[str, str]
        for name, argument in self.arguments.items():
            if layout(argument) == SEQUENCE:
                self.first.setdefault(sequence_axis(argument) or "", name)
        self._sizes = {}  # type: Dict[str, int]

    def _called(self, output: Any) -> str:
        """What an output is called; one that is not the first of its function has its number after that."""
        if not output.is_output:
            return str(output.name or output.uid)
        uid, _, index = output.uid.rpartition("_Output_")
        name = output.owner.name
        if not name and len(self.function.outputs) == 1:
            name = self.function.root_function.name
        name = name or uid
        return name if index == "0" else "%s.%s" % (name, index)

    def described(self) -> Dict[str, Any]:
        import cntk

        return {
            "inputs": list(self.arguments),
            "lengths": [name + LENGTHS for name in self.first.values()],
            "outputs": list(self.outputs),
            "version": cntk.__version__.strip(),
        }

    def run(self, arrays: Dict[str, Any], wanted: Optional[List[str]]) -> Tuple[Dict[str, Any], Dict[str, Any]]:
        """The lengths of the sequences in the wanted outputs, and those, padded."""
        outputs = self._computed(arrays, wanted)
        lengths = {name: [len(each) for each in data] for name, data in outputs.items() if isinstance(data, list)}
        return {"lengths": lengths}, {name: self._padded(name, data) for name, data in outputs.items()}

    def _computed(self, arrays: Dict[str, Any], wanted: Optional[List[str]]) -> Dict[str, Any]:
        """The wanted outputs: an array, or the sequences in a list; and the lengths of sequences that are wanted."""
        import cntk

        names = [name for name in wanted or list(self.outputs) if not self._is_lengths(name)]
        function = cntk.combine([self._output(name) for name in names])
        self._sizes, feeds = {}, {}
        for argument in function.arguments:
            name = self.names[argument.uid]
            if name not in arrays:
                raise ValueError("the input %r was not given" % name)
            feeds[argument] = self._sequences(name, arrays) if layout(argument) == SEQUENCE else arrays[name]
        found = dict(zip(names, evaluate(function, feeds)))
        for name in wanted or []:
            if self._is_lengths(name):
                found[name] = np.array([len(each) for each in found[name[: -len(LENGTHS)]]], np.int64)
        return found

    def _is_lengths(self, name: str) -> bool:
        return name not in self.outputs and name.endswith(LENGTHS)

    def _output(self, name: str) -> Any:
        if name in self.outputs:
            return self.outputs[name]
        from cntk.logging import graph

        inner = graph.find_by_uid(self.function, name) or graph.find_by_name(self.function, name)
        if inner is None:
            raise ValueError("the model has no output %r" % name)
        return inner.output

    def _sequences(self, name: str, arrays: Dict[str, Any]) -> List[Any]:
        """The sequences in an array, without what follows them."""
        array, axis = arrays[name], sequence_axis(self.arguments[name]) or ""
        if array.ndim < 2:
            raise ValueError("the input %r is to be [batch, sequence, ...]" % name)
        # They are called like the first input of those that a converted model has kept.
        given = [other + LENGTHS for other, each in self.arguments.items() if (sequence_axis(each) or "") == axis]
        lengths = next((arrays[other] for other in given if other in arrays), [array.shape[1]] * len(array))
        if len(lengths) != len(array) or any(not 1 <= length <= array.shape[1] for length in lengths):
            raise ValueError("%s%s is to be from 1 to %d for each of the batch" % (name, LENGTHS, array.shape[1]))
        self._sizes[axis] = array.shape[1]
        return [row[:length] for row, length in zip(array, lengths)]

    def _padded(self, name: str, data: Any) -> Any:
        """One array of an output: on an input's sequence axis as large as that, else as large as is needed."""
        if not isinstance(data, list):
            return np.ascontiguousarray(data).reshape(np.shape(data))
        size = self._sizes.get(sequence_axis(self._output(name)) or "", max(len(each) for each in data))
        array = np.zeros((len(data), size) + data[0].shape[1:], data[0].dtype)
        for row, each in zip(array, data):
            row[: len(each)] = each
        return array


if __name__ == "__main__":
    serve(lambda header: Model(header["path"]), first_line)

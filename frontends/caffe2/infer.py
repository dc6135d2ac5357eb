"""What the inputs are, where nobody says.

The operator that first uses an input usually says what it is: a convolution takes a tensor of its filter's rank, a
lookup takes a vector of integers (the kinds of :mod:`~nxconvert.frontends.caffe2.table`). Operators that keep dtype and
rank are looked through. What stays open is asked for, never guessed. Sizes are left free, and fixed where an operator
needs it (:mod:`nxconvert.graph.equations`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nxconvert.errors import InputError
from nxconvert.formats.caffe2 import OperatorDef
from nxconvert.frontends.caffe2 import liveness
from nxconvert.frontends.caffe2.machine import NeedInput
from nxconvert.frontends.caffe2.program import Program, Run, kind_at
from nxconvert.frontends.caffe2.table import USUAL
from nxconvert.graph.dims import listening
from nxconvert.graph.equations import Equations, Fixed
from nxconvert.inputs import Dim, InputSpec, spec_of

_IMAGE_AXES: Mapping[int, tuple[Dim, ...]] = {
    3: ("batch", "channels", "length"),
    4: ("batch", "channels", "height", "width"),
    5: ("batch", "channels", "depth", "height", "width"),
}
#: Operators whose first output has the dtype and the rank of their first input.
_KEEPING = frozenset(
    """
    Abs Add AffineChannel Alias AliasWithName AveragePool AveragePool1D AveragePool2D AveragePool3D BatchPermutation
    BatchToSpace Ceil ChannelShuffle Clip Copy CopyCPUToGPU CopyFromCPUInput CopyGPUToCPU CopyOnDeviceLike Cube Div
    Dropout Elu EnsureCPUOutput EnsureDense Exp Floor Gelu GroupNorm HardSigmoid InstanceNorm Int8Add Int8AddRelu
    Int8AveragePool Int8AveragePoolRelu Int8ChannelShuffle Int8LeakyRelu Int8MaxPool Int8MaxPoolRelu Int8Quantize
    Int8Relu Int8ResizeNearest Int8Sigmoid Int8Softmax Int8Sum Int8SumRelu Int8Transpose LRN LayerNorm LeakyRelu Log
    LpPool MaxPool MaxPool1D MaxPool2D MaxPool3D Mul NCHW2NHWC NHWC2NCHW Negative Normalize PRelu PadImage Pow Relu
    ReluN ReplaceNaN ResizeNearest Scale Selu Sigmoid Sign Softmax Softplus Softsign SpaceToBatch SpatialBN Sqr Sqrt
    StopGradient Sub Sum Swish Tanh ThresholdedRelu Transpose UpsampleBilinear WeightedSum
    """.split()  # noqa: SIM905
)


def infer_inputs(
    program: Program, specs: Mapping[str, InputSpec], constants: Mapping[str, Any]
) -> tuple[Run, list[str]]:
    """Runs the program with inputs that fit it.

    Args:
        program: the nets.
        specs: what is declared of its inputs, by name.
        constants: the inputs that are pinned to a value.

    Returns:
        the run, and what the user should know of the inputs.

    Raises:
        InputError: naming every input that has to be declared, and every weight that is missing.
    """
    _refuse_missing(program, {*specs, *constants})
    known = dict(specs)
    taken: dict[str, str] = {}
    for name, spec in specs.items():
        if spec.dtype is None:
            usual = usual_form(program, name, first=False)
            known[name] = InputSpec(usual[0].dtype if usual else "float32", spec.dims)
    while True:
        try:
            run = _settle(program, known, constants)
        except NeedInput as need:
            first = need.name == program.inputs({*specs, *constants})[0]
            usual = usual_form(program, need.name, first=first)
            if usual is None:
                raise _ask(program, known, constants) from None
            known[need.name], taken[need.name] = usual
        else:
            return run, list(_remarks(run, taken))


def _remarks(run: Run, taken: Mapping[str, str]) -> Iterator[str]:
    """What inputs are taken as that an operator usually has in that form, but might have in another one."""
    for value in run.op.inputs:
        operator = taken.get(value.name or "")
        if operator:
            spec = spec_of(value.etype, [d if isinstance(d, int) else str(d) for d in value.dims])
            yield (
                f"the input {value.name} is taken as {spec}, the usual form for {operator}; declare it with --input if "
                "it is another"
            )


def _settle(program: Program, specs: Mapping[str, InputSpec], constants: Mapping[str, Any]) -> Run:
    """Runs the program, fixing sizes until the run needs no more of them to be equal than are."""
    while True:
        names = {dim for spec in specs.values() for dim in spec.free}
        try:
            with listening(Equations(names, {}).hear):
                return program.run(specs, constants)
        except Fixed as fixed:
            specs = _substitute(specs, fixed.found)


def _substitute(specs: Mapping[str, InputSpec], found: Mapping[str, int | str]) -> dict[str, InputSpec]:
    return {
        name: InputSpec(spec.dtype, tuple(found.get(d, d) if isinstance(d, str) else d for d in spec.dims))
        for name, spec in specs.items()
    }


def usual_form(program: Program, name: str, *, first: bool) -> tuple[InputSpec, str] | None:
    """What an input usually is, and the operator that says so (empty where it leaves no doubt); None where none does.

    Args:
        program: the program.
        name: the input.
        first: whether it is the model's first input; the axes of others have its name before theirs.
    """
    for operator, position in _readings(program, name):
        kind = kind_at(operator, position)
        if kind in USUAL:
            axes, sure = _usual_axes(program, operator, position, kind)
            prefix = "" if first else "".join(c if c.isalnum() else "_" for c in name) + "_"
            dims = [f"{prefix}{axis}" if isinstance(axis, str) else axis for axis in axes]
            return spec_of(USUAL[kind].dtype, dims), "" if sure else operator.type
    return None


def _readings(program: Program, name: str) -> Iterator[tuple[OperatorDef, int]]:
    """The operators that read a blob, or what keeps its dtype and rank, each with the position that it is read at."""
    same = {name}
    for operator in liveness.every(program.operators):
        yield from ((operator, position) for position, read in enumerate(operator.inputs) if read in same)
        keeps = operator.type in _KEEPING and bool(operator.inputs) and operator.inputs[0] in same
        if not any(liveness.nets(operator)):  # which come next, and have the blob as it was before
            same.difference_update(operator.outputs)
        if keeps:
            same.add(operator.outputs[0])


def _usual_axes(program: Program, operator: OperatorDef, position: int, kind: str) -> tuple[tuple[Dim, ...], bool]:
    """The axes that an operator's input of a kind usually has, and whether no other number of them would do."""
    axis, kernels = operator.args.get("axis"), operator.args.get("kernels", ())
    axes, sure = USUAL[kind].axes, False
    # What a fully connected layer takes has as many axes before its features as the layer keeps.
    if kind == "Matrix" and axis == 2:
        axes = USUAL["Steps"].axes
    elif kind == "Matrix" and isinstance(axis, int) and axis > 2:
        axes = ("batch", *(f"dim{i}" for i in range(1, axis)), "features")
    elif kind == "Images" and len(kernels) + 2 in _IMAGE_AXES:
        axes, sure = _IMAGE_AXES[len(kernels) + 2], True
    if axes is None:
        rank = program.rank_of(operator.inputs[position + 1]) if position + 1 < len(operator.inputs) else None
        axes, sure = _IMAGE_AXES.get(rank or 4, _IMAGE_AXES[4]), rank is not None
    if operator.args.get("order") == b"NHWC" and len(axes) > 2:
        axes = (axes[0], *axes[2:], axes[1])
    return axes, sure


def _refuse_missing(program: Program, declared: set[str]) -> None:
    """Refuses a model some of whose weights are nowhere."""
    missing = [
        name for name in program.inputs(declared) if name not in declared and program.first_kind(name) == "Weight"
    ]
    if not missing:
        return
    some = ", ".join(missing[:12]) + (f", ... ({len(missing)} in all)" if len(missing) > 12 else "")
    looked = program.files.looked
    places = f" Looked in {', '.join(map(str, looked))}." if looked else ""
    raise InputError(
        f"{program.files.path}: no init net fills the weights {some}.{places} Name the file that holds them with "
        "--init FILE, or declare those that are inputs of the model with --input."
    )


def _ask(program: Program, known: Mapping[str, InputSpec], constants: Mapping[str, Any]) -> InputError:
    """Asks for every input that nothing is known of."""
    names = [name for name in program.inputs({*known, *constants}) if name not in known and name not in constants]
    hints, open_ = [], []
    for name in names:
        usual = usual_form(program, name, first=False)
        open_ += [] if usual else [name]
        hints.append(f"{name}={usual[0] if usual else InputSpec('float32', ('batch', 'dim1'))}")
    return InputError(
        f"{program.files.path}: the net does not say what its input {', '.join(open_ or names)} is. Declare it; a "
        "number fixes a dim, a name leaves it free",
        hints,
    )

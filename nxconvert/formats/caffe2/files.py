"""Which files a Caffe2 model is made of: the net that computes, the net that makes the weights, what is beside them.

A model is a *predict net* and an *init net*, whose names differ by a word: ``predict_net.pb`` and ``init_net.pb``,
``model.pb`` and ``model_init.pb``, ``squeeze_predict_net.pb`` and ``squeeze_init_net.pb``. Either may be in binary or
in text form. A predictor (``.minidb``, ``.mdl``) holds both nets and the weights in one database. Which net is which
is told by what it does: an init net needs no blobs from outside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx_ir as ir

from nxconvert.errors import ReadError, UsageError
from nxconvert.formats.caffe2 import Kind, MetaNet, NetDef, OperatorDef, Tensor, detect, read_minidb, read_net
from nxconvert.inputs import dtype_name

__all__ = ["Files", "find_model", "holds_model"]

Warn = Callable[[str], None]

# The usual one first: of a net that is there in several forms, the first is taken.
_SUFFIXES = (".pb", ".pbtxt", ".prototxt", ".pb.txt", ".minidb", ".mdl")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_INIT_WORDS = {"init", "initial", "initialize", "initializer", "params", "parameters", "weights"}
_PREDICT_WORDS = {"predict", "prediction", "predictor", "pred", "exec", "execute", "deploy", "infer", "inference"}
_EMPTY_WORDS = {"net", "network", "def", "caffe2", "c2"}
_VALUE_INFO = "value_info.json"
_MAX_VALUE_INFO = 1 << 20
_PREDICT, _PREDICT_INIT, _GLOBAL_INIT = "PREDICT_NET_TYPE", "PREDICT_INIT_NET_TYPE", "GLOBAL_INIT_NET_TYPE"
_INPUTS, _OUTPUTS = "INPUTS_BLOB_TYPE", "OUTPUTS_BLOB_TYPE"
_DB_READER = "!!PREDICTOR_DBREADER"


@dataclass(slots=True)
class Files:
    """A model's nets and weights.

    Attributes:
        path: the file that the predict net is in.
        predict: the net that computes.
        inits: nets that make the weights, in the order in which they run before it.
        tensors: blobs that are there before the init nets run, out of a database.
        inputs: the names of the inputs, in order, where the files say them.
        outputs: the names of the outputs, likewise.
        value_info: dtype (as `InputSpec` has it) and dims of inputs, as a ``value_info.json`` beside the net has them.
        init_path: the file that the init net, or the weights, are in; None where there is none.
        looked: where an init net was looked for and is not.
        candidates: files in the same folder that look like init nets, but of another model.
    """

    path: Path
    predict: NetDef
    inits: list[NetDef] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    value_info: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    init_path: Path | None = None
    looked: list[Path] = field(default_factory=list)
    candidates: list[Path] = field(default_factory=list)


def find_model(path: Path, init: Path | None, warn: Warn) -> Files:
    """The model that the file or folder `path` belongs to.

    Args:
        path: the predict net, a predictor, or a folder that holds one model.
        init: the init net, or a database of weights; None to look for one beside the net.
        warn: is told what may not be what was meant.

    Raises:
        ReadError: there is no model, there are several, or a file of it is damaged.
    """
    if path.is_dir():
        path = _in_folder(path)
    if detect(path) is Kind.MINIDB:
        files = _predictor(path, init, warn)
    elif init is not None:
        files = _given_pair(path, init, warn)
    else:
        files = _found_pair(path, warn)
    for net in (files.predict, *files.inits):
        _pass_seed(net)
    files.value_info = _value_info(files.path.with_name(_VALUE_INFO), warn)
    return files


def holds_model(folder: Path) -> bool:
    """Whether a file in `folder` is a net or a database of Caffe2. Never raises."""
    try:
        return any(detect(path) is not None for path in _listed(folder))
    except OSError:
        return False


# Pairs of nets


def _given_pair(path: Path, init: Path, warn: Warn) -> Files:
    """The two files as they were given, or the other way round if that is what they are."""
    if detect(init) is Kind.MINIDB:
        return Files(path, read_net(path), tensors=read_minidb(init).tensors, init_path=init)
    net, weights = read_net(path), read_net(init)
    if not is_self_contained(weights):
        if not is_self_contained(net):
            raise ReadError(
                f"{init} is no init net: it needs blobs that it does not make, {_some(needed(weights))}. "
                "An init net makes the weights out of nothing."
            )
        warn(f"{path} is the init net and {init} the net that computes: they are taken the other way round.")
        path, init, net, weights = init, path, weights, net
    elif is_init(net, path):
        raise ReadError(f"{path} only makes weights, as {init} does: give the net that computes (predict_net.pb).")
    return Files(path, net, [weights], init_path=init)


def _found_pair(path: Path, warn: Warn) -> Files:
    net = read_net(path)
    if is_init(net, path):
        others = _partners(path, init=False)
        if not others:
            raise ReadError(
                f"{path} is an init net: it only makes weights. Give the net that computes (predict_net.pb), "
                f"with --init {path} (init= in Python)."
            )
        warn(f"{path} is an init net; {others[0]} is taken, the net that belongs to it.")
        return Files(others[0], read_net(others[0]), [net], init_path=path)
    partners = _partners(path, init=True)
    if partners and detect(partners[0]) is Kind.MINIDB:
        return Files(path, net, tensors=read_minidb(partners[0]).tensors, init_path=partners[0])
    if partners:
        return _checked(Files(path, net, [read_net(partners[0])], init_path=partners[0]))
    candidates = [other for other in _listed(path.parent) if _role(other)[0] == "init" and detect(other) is not None]
    return Files(path, net, looked=list(_expected(path)), candidates=candidates)


def _checked(files: Files) -> Files:
    if not is_self_contained(files.inits[0]):
        raise ReadError(
            f"{files.init_path} is called like the init net of {files.path}, but needs blobs that it does not make, "
            f"{_some(needed(files.inits[0]))}. Give the init net with --init (init= in Python)."
        )
    return files


def is_self_contained(net: NetDef) -> bool:
    """Whether a net runs without blobs from outside, as an init net does."""
    return not needed(net)


def is_init(net: NetDef, path: Path) -> bool:
    """Whether a net is an init net: it needs nothing and only fills blobs; the name of its file may say it too."""
    if not is_self_contained(net):
        return False
    role = _role(path)[0]
    return role == "init" or (role != "predict" and all(op.type.endswith("Fill") for op in net.ops))


def needed(net: NetDef) -> list[str]:
    """The blobs that a net reads before it makes them, in order."""
    made: set[str] = set()
    found: dict[str, None] = {}
    for op in net.ops:
        found.update(dict.fromkeys(name for name in op.inputs if name not in made))
        made.update(op.outputs)
    return list(found)


def _role(path: Path) -> tuple[str, tuple[str, ...]]:
    """What the name of a file says it is (``init``, ``predict`` or nothing), and the words that name the model."""
    name = path.name
    suffix = max((suffix for suffix in _SUFFIXES if name.lower().endswith(suffix)), key=len, default="")
    words = [word.lower() for word in _WORD.findall(name[: len(name) - len(suffix)])]
    rest = [word for word in words if word not in _INIT_WORDS | _PREDICT_WORDS | _EMPTY_WORDS]
    role = "init" if _INIT_WORDS & set(words) else "predict" if _PREDICT_WORDS & set(words) else ""
    return role, tuple(rest)


def _partners(path: Path, *, init: bool) -> list[Path]:
    """The files beside `path` that are called like its init net (or, of an init net, like its predict net)."""
    words = _role(path)[1]
    found = []
    for other in _listed(path.parent):
        role, rest = _role(other)
        if rest == words and (role == "init") == init and not other.samefile(path) and detect(other) is not None:
            found.append(other)
    # The same form first, then one that says what it is.
    return sorted(found, key=lambda other: (_rank(other) != _rank(path), not _role(other)[0], _rank(other)))


def _expected(path: Path) -> Iterator[Path]:
    """What the init net of `path` would usually be called."""
    name = path.name
    suffix = max((suffix for suffix in _SUFFIXES if name.lower().endswith(suffix)), key=len, default="")
    stem = name[: len(name) - len(suffix)]
    renamed = re.sub("|".join(sorted(_PREDICT_WORDS, key=len, reverse=True)), "init", stem, count=1)
    for candidate in dict.fromkeys((renamed, f"{stem}_init")):
        if candidate != stem:
            yield path.with_name(f"{candidate}{suffix or '.pb'}")


def _listed(folder: Path) -> list[Path]:
    """The files in `folder` whose suffix may be Caffe2's."""
    return sorted(path for path in folder.iterdir() if path.name.lower().endswith(_SUFFIXES) and path.is_file())


def _rank(path: Path) -> int:
    return next((rank for rank, suffix in enumerate(_SUFFIXES) if path.name.lower().endswith(suffix)), len(_SUFFIXES))


# Folders


def _in_folder(folder: Path) -> Path:
    """The predict net, or the predictor, of the one model in `folder`."""
    kinds = {path: kind for path in _listed(folder) if (kind := detect(path)) is not None}
    models: dict[tuple[str, ...], list[Path]] = {}
    for path, kind in kinds.items():
        if kind is not Kind.MINIDB and _role(path)[0] != "init":
            models.setdefault(_role(path)[1], []).append(path)
    databases = [path for path, kind in kinds.items() if kind is Kind.MINIDB]
    if not models and len(databases) == 1:
        return databases[0]
    if len(models) == 1:
        return min(next(iter(models.values())), key=lambda path: (not _role(path)[0], _rank(path)))
    nets = [min(paths, key=_rank) for paths in models.values()] or databases or list(kinds)
    if not nets:
        raise ReadError(f"{folder} holds no Caffe2 model: no file of it is a net or a database of Caffe2.")
    listing = ", ".join(path.name for path in nets)
    what = "several models" if models or databases else "no net that computes, only what makes weights"
    raise ReadError(f"{folder} holds {what}: {listing}. Give the file of the net to be converted.")


# Predictors


def _predictor(path: Path, init: Path | None, warn: Warn) -> Files:
    """The predictor in a database."""
    database = read_minidb(path)
    if database.meta is None:
        if init is not None and detect(init) in (Kind.NET, Kind.TEXT):
            warn(f"{path} holds the weights and {init} is the net that computes: they are taken the other way round.")
            return Files(init, read_net(init), tensors=database.tensors, init_path=path)
        raise ReadError(
            f"{path} is a database of {len(database.tensors)} tensors, without a net. "
            f"Give the net that computes, with --init {path} (init= in Python)."
        )
    if init is not None:
        raise ReadError(f"{path} is a predictor, which holds its weights: leave --init {init} (init= in Python) out.")
    name = _export_name(path, database.meta)
    meta = database.meta
    inits = [meta.nets[key + name] for key in (_GLOBAL_INIT, _PREDICT_INIT) if key + name in meta.nets]
    tensors = dict(database.tensors)
    for net in inits:
        net.ops = [op for op in net.ops if not _loaded(op, tensors, path)]
        net.inputs = [blob for blob in net.inputs if blob != _DB_READER]
    return Files(
        path,
        meta.nets[_PREDICT + name],
        inits,
        tensors,
        inputs=meta.blobs.get(_INPUTS + name, []),
        outputs=meta.blobs.get(_OUTPUTS + name, []),
        init_path=path,
    )


def _export_name(path: Path, meta: MetaNet) -> str:
    """What stands behind every key: nothing, or the name under which the predictor was exported."""
    names = [key[len(_PREDICT) :] for key in meta.nets if key.startswith(_PREDICT)]
    if not names:
        raise ReadError(f"{path} is a predictor without a net that computes; it has {_some(meta.nets)}.")
    if len(names) > 1:
        raise ReadError(f"{path} holds several predictors, {_some(_PREDICT + name for name in names)}: export one.")
    return names[0]


def _loaded(op: OperatorDef, tensors: dict[str, Tensor], path: Path) -> bool:
    """Whether an operator only loads tensors of this very database; `tensors` then has them under the names it uses.

    The semantics are those of ``caffe2/operators/load_save_op.h``.
    """
    if op.type != "Load" or op.inputs != [_DB_READER]:
        return False
    add, strip = _text(op.args.get("add_prefix")), _text(op.args.get("strip_prefix"))
    listed = op.args.get("source_blob_names")
    sources = [_text(name) for name in listed] if isinstance(listed, list) and listed else op.outputs
    stored = {_renamed(name, add, strip): tensor for name, tensor in tensors.items()}
    if len(stored) != len(tensors):
        raise ReadError(f"{path} is ambiguous: without the prefix {strip!r}, several of its tensors have one name.")
    if op.args.get("load_all"):
        tensors.update(stored)
    missing = [source for source in sources if source not in stored]
    if missing and not op.args.get("allow_incomplete"):
        raise ReadError(f"{path} is not complete: it lacks the tensors {_some(missing)}.")
    tensors.update({out: stored[source] for out, source in zip(op.outputs, sources, strict=False) if source in stored})
    return True


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _renamed(name: str, add: str, strip: str) -> str:
    """The name that ``Load`` makes of a key: what ends with `strip` goes, `add` comes in its place."""
    found = name.find(strip) if strip else -1
    return add + (name[found + len(strip) :] if found >= 0 else name)


# What is beside the nets, or around their operators


def _pass_seed(net: NetDef) -> None:
    """Give the seed of a net to those of its operators that have none, as the runtime does it."""
    if net.device is None or net.device.random_seed is None:
        return
    for op in net.ops:
        op.device = op.device or replace(net.device, extra_info=[])
        if op.device.random_seed is None:
            op.device.random_seed = net.device.random_seed


def _value_info(path: Path, warn: Warn) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtypes and dims of inputs: ``{"data": [1, [1, 3, 224, 224]]}``, with ONNX's numbers of dtypes."""
    try:
        if not path.is_file() or path.stat().st_size > _MAX_VALUE_INFO:
            return {}
        listed = json.loads(path.read_bytes())
        found = {}
        for name, (number, dims) in listed.items():
            if not all(type(dim) is int and dim >= 0 for dim in dims):
                raise ValueError(f"the dims of {name} are {dims}")
            found[name] = (dtype_name(ir.DataType(number).name), tuple(dims))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, UsageError) as error:
        warn(f"{path} is left aside, it does not give dtypes and dims of inputs as is usual: {error}.")
        return {}
    return found


def _some(names: Iterable[str], count: int = 5) -> str:
    listed = list(names)
    return ", ".join(listed[:count]) + (f" and {len(listed) - count} more" if len(listed) > count else "") or "none"

"""What many tests use: the corpus, models, a toy format with its own plug-ins, the command line."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from nxconvert import plugins
from nxconvert.cli.main import main
from tests.conformance.summary import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]  # a hook: pytest looks for it here, whichever tests are asked for

ROOT = Path(__file__).parent.parent
TOY = Path(__file__).parent / "toy_plugin.py"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real models with recorded truth, which is too large for this repository."""
    folder = Path(os.environ.get("NXCONVERT_CORPUS", ROOT.parent / "shared" / "corpus"))
    if not folder.is_dir():
        pytest.skip(f"no corpus at {folder}: set NXCONVERT_CORPUS")
    return folder


def classifier() -> onnx.ModelProto:
    """Embeds tokens, adds features to them, maps them: integers with a bound, two free dims, a weight of some size."""
    model = onnx.parser.parse_model("""
        <ir_version: 9, opset_import: ["" : 20]>
        classifier (int64[batch,seq] ids, float[batch,seq,16] x) => (float[batch,seq,300] y, float[batch,seq,300] p) {
          e = Gather(table, ids)
          s = Add(e, x)
          y = MatMul(s, weight)
          p = Softmax<axis=-1>(y)
        }""")
    generator = np.random.default_rng(0)
    table = generator.standard_normal((50, 16)).astype(np.float32)
    weight = generator.standard_normal((16, 300)).astype(np.float32)
    model.graph.initializer.extend([numpy_helper.from_array(table, "table"), numpy_helper.from_array(weight, "weight")])
    return model


@pytest.fixture
def classifier_file(tmp_path: Path) -> Path:
    """`classifier` in a file."""
    path = tmp_path / "classifier.onnx"
    onnx.save(classifier(), path)
    return path


@pytest.fixture
def save_onnx(tmp_path: Path) -> Callable[..., Path]:
    """Saves a model that is written in ONNX's text format."""

    def save(text: str, name: str = "model.onnx") -> Path:
        path = tmp_path / name
        onnx.save(onnx.parser.parse_model(text), path)
        return path

    return save


@pytest.fixture
def forget_plugins() -> Iterator[Callable[[], None]]:
    """Makes nxconvert look for plug-ins again; afterwards too, so that no test's plug-ins outlive it."""

    def forget() -> None:
        plugins._entry_points.cache_clear()
        plugins._load.cache_clear()

    forget()
    yield forget
    forget()


@pytest.fixture
def install_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget_plugins: Callable[[], None]
) -> Callable[..., None]:
    """Installs a package with entry points, as far as Python can tell: a module and its metadata on the path."""

    def install(name: str, code: str, entry_points: str) -> None:
        folder = tmp_path / f"site-{name}"
        metadata = folder / f"{name}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (folder / f"{name}.py").write_text(textwrap.dedent(code))
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(textwrap.dedent(entry_points))
        monkeypatch.syspath_prepend(folder)
        forget_plugins()

    return install


@pytest.fixture
def toy(install_plugin: Callable[..., None]) -> None:
    """A third party's format: see `toy_plugin.py`."""
    entry_points = """
        [nxconvert.frontends]
        toy = toy_plugin:frontend
        [nxconvert.runtimes]
        toy = toy_plugin:runtime
        """
    install_plugin("toy_plugin", TOY.read_text(), entry_points)


@pytest.fixture
def command_line(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `nxconvert` with these words in this process: exit code, stdout, stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run

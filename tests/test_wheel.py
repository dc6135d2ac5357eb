"""The package as users get it: the wheel, in an environment of its own, with nothing but what it says it requires."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
FIXTURE = ROOT / "fixtures" / "resnet_tiny" / "model.pt"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel that is built from it."""
    source, target = tmp_path_factory.mktemp("source") / "nxconvert", tmp_path_factory.mktemp("dist")
    # A copy, since setuptools builds in the tree, where leftovers of other builds and other tests would be in the way.
    leave_out = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")
    shutil.copytree(ROOT, source, ignore=leave_out)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", target, source]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture(scope="module")
def python(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with the wheel and its requirements, borrowed from this environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    interpreter = folder / "bin" / "python"
    site = next(folder.glob("lib/python*/site-packages"))
    for path in required_files("nxconvert"):
        if not (site / path.name).exists():
            (site / path.name).symlink_to(path)
    wheel = next(built.glob("*.whl"))
    install = [sys.executable, "-m", "pip", "--python", interpreter, "install", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True)
    return interpreter


def required_files(name: str) -> Iterator[Path]:
    """What the requirements of a distribution, and theirs, have in site-packages."""
    todo, seen = [name], set()
    while todo:
        distribution = importlib.metadata.distribution(todo.pop())
        for text in distribution.requires or ():
            requirement = Requirement(text)
            if requirement.name not in seen and (not requirement.marker or requirement.marker.evaluate({"extra": ""})):
                seen.add(requirement.name)
                todo.append(requirement.name)
        if distribution.name != name:
            tops = {file.parts[0] for file in distribution.files or () if ".." not in file.parts}
            yield from (Path(str(distribution.locate_file(top))) for top in sorted(tops - {"__pycache__"}))


def run(python: Path, *words: object, folder: Path) -> str:
    done = subprocess.run(
        [str(python.with_name("nxconvert")), *map(str, words)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_the_package_and_nothing_else(built: Path) -> None:
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    modules = {name for name in names if not name.partition("/")[0].endswith(".dist-info")}
    expected = {
        f"{prefix}{path.relative_to(ROOT).as_posix()}"
        for prefix, folder in (("", "nxconvert"), ("nxconvert/", "frontends"), ("nxconvert/", "backends"))
        for path in (ROOT / folder).rglob("*.py")
    }
    assert modules == expected | {"nxconvert/py.typed"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_source_distribution_has_what_builds_and_explains_it(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "setup.py", "README.md", "CHANGELOG.md", "LICENSE", "constraints.txt"} <= names
    assert not {name for name in names if name.startswith(("tests/", "fixtures/", "benchmarks/"))}


def test_it_converts_without_any_framework(python: Path, tmp_path: Path) -> None:
    code = "import importlib.util as u; print([m for m in ('torch', 'onnxruntime', 'pytest') if u.find_spec(m)])"
    assert subprocess.check_output([python, "-c", code], text=True, cwd=tmp_path) == "[]\n"
    out = run(python, FIXTURE, "out.nx", folder=tmp_path)
    assert "free dims: batch" in out
    onnx.checker.check_model(onnx.load(tmp_path / "out.nx"), full_check=True)


def test_it_knows_its_plugins(python: Path, tmp_path: Path) -> None:
    out = run(python, "formats", folder=tmp_path)
    assert "PyTorch is not installed: pip install 'nxconvert[torch]'" in out
    assert "onnxruntime is not installed: pip install 'nxconvert[runtime]'" in out


def test_it_runs_what_it_wrote_with_what_is_there(python: Path, tmp_path: Path) -> None:
    run(python, FIXTURE, "out.nx", folder=tmp_path)
    out = run(python, "check", "out.nx", "out.nx", folder=tmp_path)
    assert "onnx reference evaluator" in out


def test_types_are_for_users_too(python: Path, tmp_path: Path) -> None:
    mypy = pytest.importorskip("mypy.api")
    script = tmp_path / "use.py"
    script.write_text(
        "import nxconvert\n"
        "report = nxconvert.convert('a.pt', 'a.nx', inputs={'x': 'float32[batch,3]'})\n"
        "reveal_type(report)\n"
        "reveal_type(nxconvert.check('a.pt', 'a.nx').ok)\n"
    )
    out, err, _ = mypy.run(["--python-executable", str(python), "--cache-dir", str(tmp_path / "cache"), str(script)])
    assert 'Revealed type is "nxconvert.report.ConversionReport"' in out, out + err
    assert 'Revealed type is "bool"' in out or 'Revealed type is "builtins.bool"' in out

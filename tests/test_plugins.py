"""Finding plug-ins: our own, a third party's, broken ones."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from nxconvert import plugins


def test_ours_are_found(forget_plugins: Callable[[], None]) -> None:
    assert "onnx" in plugins.frontends()
    assert "onnx" in plugins.backends()
    assert list(plugins.runtimes()) == ["caffe2", "cntk", "onnxruntime", "torch", "reference"]


def test_a_third_party_is_found(toy: None) -> None:
    assert plugins.frontends()["toy"].description == "toy models"
    assert "toy" in plugins.runtimes()
    assert "toy" not in plugins.backends()


def test_a_broken_one_is_named_and_left_out(install_plugin: Callable[..., None]) -> None:
    install_plugin("broken_plugin", "import no_such_module", "[nxconvert.frontends]\nbad = broken_plugin:frontend\n")
    with pytest.warns(plugins.PluginWarning, match="plug-in bad.*broken_plugin:frontend.*no_such_module"):
        found = plugins.frontends()
    assert "bad" not in found
    assert "onnx" in found


def test_ours_wins_over_another_of_its_name(install_plugin: Callable[..., None]) -> None:
    install_plugin("squatter", "backend = None", "[nxconvert.backends]\nonnx = squatter:backend\n")
    with pytest.warns(plugins.PluginWarning, match="two nxconvert.backends are called onnx"):
        assert plugins.backends()["onnx"].suffixes[0] == ".nx"


def test_looking_for_plugins_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from nxconvert import plugins\n"
        "plugins.frontends(), plugins.backends()\n"
        "[runtime.available() for runtime in plugins.runtimes().values()]\n"
        "print(*sorted({'numpy', 'onnx', 'onnx_ir', 'torch', 'onnxruntime'} & set(sys.modules)))\n"
    )
    heavy = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert heavy == []

"""The command line: what it prints where, and the exit codes that scripts rely on."""

from __future__ import annotations

import json
import os
import pty
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import nxconvert

CommandLine = Callable[..., tuple[int, str, str]]
NXCONVERT = [sys.executable, "-c", "import sys; from nxconvert.cli.main import main; sys.exit(main())"]


@pytest.fixture
def toy_file(toy: None, tmp_path: Path) -> Callable[[str], Path]:
    def write(facts: str) -> Path:
        path = tmp_path / "model.toy"
        path.write_bytes(b"TOY" + facts.encode())
        return path

    return write


class TestHelp:
    def test_help_shows_the_default_command_and_the_others(self, command_line: CommandLine) -> None:
        code, out, err = command_line("--help")
        assert (code, err) == (0, "")
        assert out.startswith("Usage: nxconvert [OPTIONS] IN OUT\n       nxconvert COMMAND [ARGS]...\n")
        for word in ("--input", "--opset", "--check", "inspect", "formats", "Exit codes"):
            assert word in out

    @pytest.mark.parametrize("name", ["convert", "inspect", "check", "run", "formats"])
    def test_every_command_has_help(self, name: str, command_line: CommandLine) -> None:
        code, out, _ = command_line(name, "--help")
        assert code == 0
        assert out.startswith(f"Usage: nxconvert {name}")

    def test_help_is_quick(self) -> None:
        def seconds() -> float:
            """Of the processor, which a busy machine does not stretch as it does those on the wall."""
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([*NXCONVERT, "--help"], check=True, stdout=subprocess.DEVNULL)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        assert min(seconds() for _ in range(5)) < 0.15

    def test_help_imports_nothing_heavy(self) -> None:
        code = (
            "import sys\n"
            "from nxconvert.cli.main import main\n"
            "main(['--help'])\n"
            "print(*sorted({'numpy', 'onnx', 'onnx_ir', 'rich', 'importlib.metadata'} & set(sys.modules)))"
        )
        assert subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()[-1] == ""

    def test_version(self, command_line: CommandLine) -> None:
        assert command_line("--version") == (0, f"nxconvert {nxconvert.__version__}\n", "")

    @pytest.mark.parametrize(
        "words",
        [(), ("only_one",), ("a", "b", "c"), ("a", "b", "--no-such-option"), ("inspect",), ("a", "b", "--opset", "x")],
    )
    def test_a_command_line_that_makes_no_sense(self, words: tuple[str, ...], command_line: CommandLine) -> None:
        code, _, err = command_line(*words)
        assert code == 2
        assert "Usage:" in err


class TestConvert:
    def test_it_is_the_default(self, command_line: CommandLine, classifier_file: Path, tmp_path: Path) -> None:
        code, out, err = command_line(classifier_file, tmp_path / "out.nx")
        assert (code, err) == (0, "")
        assert "4 nodes, 5.6 k parameters" in out
        assert out.count("\n") == 1
        assert command_line("-q", classifier_file, tmp_path / "out2.nx") == (0, "", "")
        assert command_line("convert", "-q", classifier_file, tmp_path / "out3.nx") == (0, "", "")
        assert len({(tmp_path / name).read_bytes() for name in ("out.nx", "out2.nx", "out3.nx")}) == 1

    def test_a_file_named_like_a_command(
        self, command_line: CommandLine, classifier_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        classifier_file.rename("run")
        assert command_line("./run", "out.nx", "-q") == (0, "", "")

    def test_verbose_says_more(self, command_line: CommandLine, classifier_file: Path, tmp_path: Path) -> None:
        _, out, _ = command_line(classifier_file, tmp_path / "out.nx", "-v")
        for line in ("input   ids: int64[batch,seq]", "output  y: float32[batch,seq,300]", "reading", "total"):
            assert line in out

    def test_json(self, command_line: CommandLine, classifier_file: Path, tmp_path: Path) -> None:
        code, out, err = command_line(classifier_file, tmp_path / "out.nx", "--json", "--check")
        assert (code, err) == (0, "")
        report = json.loads(out)
        assert report["ok"] is True
        assert report["nodes"] == 4
        assert report["check"]["outputs"][0]["name"] == "y"

    def test_options_reach_the_conversion(
        self, command_line: CommandLine, classifier_file: Path, tmp_path: Path
    ) -> None:
        target = tmp_path / "out.bin"
        words = ("--to", "onnx", "--from", "onnx", "--opset", "18", "--input", "ids=int64[2,seq]")
        assert command_line(classifier_file, target, "-q", *words)[0] == 0
        model = onnx.load(target)
        assert model.opset_import[0].version == 18
        assert [dim.dim_value for dim in model.graph.input[1].type.tensor_type.shape.dim] == [2, 0, 16]

    def test_weights_in_a_second_file(self, command_line: CommandLine, toy_file: Callable, tmp_path: Path) -> None:
        source, target, weights = toy_file('{"scale": 3}'), tmp_path / "out.nx", tmp_path / "weights.toy"
        weights.write_bytes(b'TOY{"scale": 7}')
        assert command_line(source, target, "-q", "--init", weights, "--check") == (0, "", "")
        assert command_line("check", source, target, "-q", "--init", weights) == (0, "", "")
        assert command_line("check", source, target, "-q")[0] == 3
        code, out, _ = command_line("run", source, "--init", weights, "--input", "x=[[1.0]]")
        assert (code, out) == (0, "output: float32[1,1]\n[[7.]]\n")

    def test_external_data(self, command_line: CommandLine, classifier_file: Path, tmp_path: Path) -> None:
        target = tmp_path / "out.nx"
        _, out, _ = command_line(classifier_file, target, "--external-data", "--json")
        data = tmp_path / "out.nx.data"
        assert json.loads(out)["target_bytes"] == target.stat().st_size + data.stat().st_size

    @pytest.mark.parametrize(
        ("text", "value"), [("3", 3.0), ("0.5", 0.5), ("True", 1.0), ("false", 0.0), ("[1, 2]", [1, 2])]
    )
    def test_constants(
        self, text: str, value: object, command_line: CommandLine, save_onnx: Callable[..., Path], tmp_path: Path
    ) -> None:
        dims = "[2]" if isinstance(value, list) else ""
        path = save_onnx(
            f'<ir_version: 9, opset_import: ["" : 20]>\ng (float[n,2] x, float{dims} k) => (float[n,2] y) '
            "{ y = Mul(x, k) }"
        )
        assert command_line(path, tmp_path / "out.nx", "-q", "--const", f"k={text}") == (0, "", "")
        result = nxconvert.run(tmp_path / "out.nx", {"x": np.ones((1, 2), np.float32)})["y"]
        np.testing.assert_array_equal(result, np.broadcast_to(np.float32(value), (1, 2)))

    def test_warnings_go_to_stderr(self, command_line: CommandLine, toy_file: Callable, tmp_path: Path) -> None:
        source = toy_file('{"strange": true}')
        code, out, err = command_line(source, tmp_path / "out.nx")
        assert (code, err) == (0, "nxconvert: warning: this toy is strange.\n")
        assert "strange" not in out
        assert command_line(source, tmp_path / "out.nx", "-q") == (0, "", "")

    def test_a_broken_plugin_is_mentioned(
        self, command_line: CommandLine, install_plugin: Callable, classifier_file: Path, tmp_path: Path
    ) -> None:
        install_plugin("broken_plugin", "1 / 0", "[nxconvert.frontends]\nbad = broken_plugin:frontend\n")
        code, _, err = command_line(classifier_file, tmp_path / "out.nx", "-q")
        assert code == 0
        assert err.startswith("nxconvert: warning: the plug-in bad (broken_plugin:frontend) is broken")


class TestFailure:
    """Every failure: one paragraph on stderr, its exit code, nothing on stdout, nothing left behind."""

    def fails(self, command_line: CommandLine, source: Path, *words: object, code: int = 1) -> str:
        target = source.parent / "target" / "out.nx"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(b"old")
        found, out, err = command_line(source, target, *words)
        assert (found, out) == (code, "")
        assert [path.name for path in target.parent.iterdir()] == ["out.nx"]
        assert target.read_bytes() == b"old"
        assert "Traceback" not in err
        return err

    def test_a_missing_file(self, command_line: CommandLine, tmp_path: Path) -> None:
        err = self.fails(command_line, tmp_path / "none.pt")
        assert err == f"nxconvert: {tmp_path}/none.pt does not exist.\n"

    def test_a_file_that_is_no_model(self, command_line: CommandLine, tmp_path: Path) -> None:
        path = tmp_path / "notes.pt"
        path.write_text("just notes")
        assert "it looks like a text file that begins with 'just notes'" in self.fails(command_line, path)

    def test_a_truncated_model(self, command_line: CommandLine, classifier_file: Path) -> None:
        classifier_file.write_bytes(classifier_file.read_bytes()[:3000])
        err = self.fails(command_line, classifier_file)
        assert "is a damaged ONNX model" in err
        assert err.count("\n") == 1

    def test_inputs_that_have_to_be_declared(self, command_line: CommandLine, toy_file: Callable) -> None:
        source = toy_file('{"open": true}')
        err = self.fails(command_line, source)
        assert err.splitlines() == [
            f"nxconvert: {source}: the dims of the argument x cannot be told.",
            "  --input 'x=float32[batch,width]'",
        ]
        hint = err.splitlines()[1].split()
        assert command_line(source, source.parent / "ok.nx", hint[0], hint[1].strip("'"))[0] == 0

    def test_operators_that_are_not_supported(self, command_line: CommandLine, toy_file: Callable) -> None:
        source = toy_file('{"odd": ["a", "b"]}')
        assert self.fails(command_line, source).splitlines() == [
            f"nxconvert: {source}: 2 operators are not supported:",
            "  - toy::a (x2) at toy.py:7",
            "  - toy::b (x2) at toy.py:7",
        ]

    def test_usage(self, command_line: CommandLine, classifier_file: Path) -> None:
        assert "opset 5" in self.fails(command_line, classifier_file, "--opset", 5, code=2)
        assert "no format 'keras'" in self.fails(command_line, classifier_file, "--from", "keras", code=2)
        err = self.fails(command_line, classifier_file, "--input", "ids=float99[a]", code=2)
        assert "'float99' is no dtype" in err

    def test_a_folder_that_does_not_exist(self, command_line: CommandLine, classifier_file: Path) -> None:
        code, _, err = command_line(classifier_file, "/no/such/folder/out.nx")
        assert code == 1
        assert "/no/such/folder does not exist" in err

    def test_a_runtime_that_is_missing_is_noticed_before_the_work(
        self, command_line: CommandLine, toy_file: Callable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = toy_file("{}")
        import toy_plugin

        monkeypatch.setattr(toy_plugin.ToyRuntime, "available", lambda self: "toy is not installed: buy one")
        err = self.fails(command_line, source, "--check", code=4)
        assert "toy is not installed: buy one" in err

    def test_a_mismatch_leaves_the_file_to_look_at(
        self, command_line: CommandLine, toy_file: Callable, tmp_path: Path
    ) -> None:
        code, out, err = command_line(toy_file('{"scale": 2, "runs": 3}'), tmp_path / "out.nx", "--check")
        assert code == 3
        assert "DIFFERS" in out
        assert "does not compute what" in err
        assert (tmp_path / "out.nx").exists()

    def test_json_for_programs(self, command_line: CommandLine, toy_file: Callable, tmp_path: Path) -> None:
        source = toy_file('{"open": true}')
        code, out, err = command_line(source, tmp_path / "out.nx", "--json")
        assert code == 1
        assert json.loads(out) == {
            "ok": False,
            "error": {
                "type": "InputError",
                "message": "the dims of the argument x cannot be told.",
                "source": str(source),
                "hints": ["x=float32[batch,width]"],
            },
        }
        assert err.startswith(f"nxconvert: {source}: the dims")

    def test_traceback_on_request(self, command_line: CommandLine, tmp_path: Path) -> None:
        _, _, err = command_line(tmp_path / "none.pt", tmp_path / "out.nx", "--traceback")
        assert "Traceback (most recent call last)" in err
        assert err.endswith("none.pt does not exist.\n")

    def test_a_bug_is_called_one(
        self, command_line: CommandLine, toy_file: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = toy_file("{}")
        import toy_plugin

        monkeypatch.setattr(toy_plugin.ToyFrontend, "read", lambda *_: 1 / 0)
        code, _, err = command_line(source, tmp_path / "out.nx")
        assert code == 1
        assert (
            err.splitlines()[0] == "nxconvert: internal error, a bug in nxconvert: ZeroDivisionError: division by zero"
        )
        assert "--traceback" in err


class TestOtherCommands:
    def test_inspect(self, command_line: CommandLine, classifier_file: Path) -> None:
        code, out, err = command_line("inspect", classifier_file)
        assert (code, err) == (0, "")
        for fact in ("4 nodes, 5.6 k parameters", "int64[batch,seq]", "Softmax", "free dims: batch, seq"):
            assert fact in out
        facts = json.loads(command_line("inspect", classifier_file, "--json")[1])
        assert facts["operators"] == {"Add": 1, "Gather": 1, "MatMul": 1, "Softmax": 1}
        assert facts["outputs"]["p"] == "float32[batch,seq,300]"
        assert facts["bytes"] == classifier_file.stat().st_size

    def test_inspect_shows_what_is_known(self, command_line: CommandLine, toy_file: Callable) -> None:
        code, out, err = command_line("inspect", toy_file('{"open": true}'))
        assert code == 1
        assert ": toy, 17 B" in out
        assert "--input 'x=float32[batch,width]'" in err

    def test_check(self, command_line: CommandLine, classifier_file: Path, tmp_path: Path) -> None:
        command_line(classifier_file, tmp_path / "out.nx")
        code, out, err = command_line("check", classifier_file, tmp_path / "out.nx")
        assert (code, err) == (0, "")
        assert "4 runs of" in out
        assert command_line("check", classifier_file, tmp_path / "out.nx", "-q") == (0, "", "")
        report = json.loads(command_line("check", classifier_file, tmp_path / "out.nx", "--json")[1])
        assert report["ok"] is True

    def test_check_finds_what_differs(
        self, command_line: CommandLine, toy_file: Callable, classifier_file: Path, tmp_path: Path
    ) -> None:
        source = toy_file('{"scale": 2, "runs": 3, "only": 2}')
        command_line(source, tmp_path / "out.nx")
        code, out, err = command_line("check", source, tmp_path / "out.nx")
        assert code == 3
        assert "DIFFERS" in out
        assert "Not run by the source with batch=3" in out
        assert "elements differ" in err
        assert command_line("check", source, tmp_path / "out.nx", "--rtol", 9)[0] == 0

    def test_run(self, command_line: CommandLine, classifier_file: Path, tmp_path: Path) -> None:
        x = np.ones((1, 2, 16), np.float32)
        np.save(tmp_path / "x.npy", x)
        np.savez(tmp_path / "both.npz", x=x, ids=np.array([[1, 2]]))
        words = ("run", classifier_file, "--input", "ids=[[1, 2]]", "--input", f"x={tmp_path}/x.npy")
        code, out, err = command_line(*words)
        assert (code, err) == (0, "")
        assert "p: float32[1,2,300]" in out
        output = tmp_path / "out.npz"
        assert command_line("run", classifier_file, "--input", tmp_path / "both.npz", "--output", output)[0] == 0
        expected = nxconvert.run(classifier_file, {"x": x, "ids": [[1, 2]]})
        with np.load(output) as saved:
            assert saved.files == ["y", "p"]
            np.testing.assert_array_equal(saved["y"], expected["y"])
        facts = json.loads(command_line(*words, "--json", "--on", "reference")[1])
        assert facts["y"] == {"dtype": "float32", "shape": [1, 2, 300]}

    def test_run_needs_array_files(self, command_line: CommandLine, classifier_file: Path, tmp_path: Path) -> None:
        pickled = tmp_path / "x.npy"
        np.save(pickled, np.array([{}], object), allow_pickle=True)
        for text in (f"x={pickled}", f"x={tmp_path}/none.npy", f"x={classifier_file}"):
            code, _, err = command_line("run", classifier_file, "--input", text)
            assert code == 2
            assert "is no array file that can be read" in err
        np.savez(tmp_path / "both.npz", x=np.zeros(1))
        code, _, err = command_line("run", classifier_file, "--input", f"x={tmp_path}/both.npz")
        assert (code, "without a name" in err) == (2, True)
        code, _, err = command_line("run", classifier_file, "--input", "ids=1", "--output", tmp_path / "no" / "o.npz")
        assert code == 1

    def test_formats(self, command_line: CommandLine, toy: None) -> None:
        code, out, err = command_line("formats")
        assert (code, err) == (0, "")
        facts = json.loads(command_line("formats", "--json")[1])["formats"]
        assert facts["onnx"]["read"]
        assert facts["onnx"]["write"]
        assert "reference" in facts["onnx"]["run"]
        assert (facts["toy"]["read"], facts["toy"]["write"], facts["toy"]["run"]) == (True, False, ["toy"])
        assert "toy models" in out


class TestProcess:
    def test_no_progress_in_a_pipe(self, classifier_file: Path, tmp_path: Path) -> None:
        done = subprocess.run(
            [*NXCONVERT, classifier_file, tmp_path / "out.nx"], capture_output=True, text=True, check=True
        )
        assert done.stderr == ""

    def test_progress_on_a_terminal(self, tmp_path: Path) -> None:
        code = (
            "from nxconvert.cli.terminal import ProgressBar\n"
            "import time\n"
            "with ProgressBar(quiet=False) as bar:\n"
            "    for stage in ('reading', 'lowering', 'writing'):\n"
            "        for fraction in (None, 0.5, 1.0):\n"
            "            bar(stage, fraction); time.sleep(0.15)\n"
        )
        shown = run_on_terminal([sys.executable, "-c", code])
        assert "lowering" in shown
        assert "writing" in shown

    def test_a_reader_that_goes_away(self, classifier_file: Path) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [*NXCONVERT, "inspect", classifier_file], stdout=writer, stderr=subprocess.PIPE, text=True
        )
        os.close(writer)
        assert done.returncode == 141
        assert done.stderr == ""

    def test_names_that_would_write_on_the_terminal(self, command_line: CommandLine, toy_file: Callable) -> None:
        name = "\\u001b[2Jz\\u202e" + "y" * 5000
        code, _, err = command_line(toy_file(f'{{"odd": ["{name}"]}}'), "out.nx")
        assert code == 1
        assert "toy::\\x1b[2Jz\\u202eyyy" in err
        assert len(err) < 500

    @pytest.mark.parametrize("words", [("inspect",), ("formats",), ("convert", "out.nx")])
    def test_no_standard_output(self, words: tuple[str, ...], classifier_file: Path, tmp_path: Path) -> None:
        files = [classifier_file] if words[0] != "formats" else []
        command = [*NXCONVERT, words[0], *files, *words[1:]]
        done = subprocess.run(
            ["sh", "-c", 'exec "$@" >&-', "sh", *command], stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
    def test_an_interruption_leaves_nothing_behind(
        self, number: signal.Signals, code: int, classifier_file: Path, tmp_path: Path
    ) -> None:
        target = tmp_path / "target" / "out.nx"
        target.parent.mkdir()
        script = (
            "import sys, time\n"
            "from nxconvert.fingerprint import Fingerprint\n"
            "def wait(self):\n"
            "    print('writing', flush=True)\n"
            "    time.sleep(30)\n"
            "Fingerprint.hexdigest = wait\n"
            "from nxconvert.cli.main import main\n"
            "sys.exit(main())\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script, classifier_file, target], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        assert list(target.parent.iterdir()), "the temporary file is there while it is being written"
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
        assert process.returncode == code
        assert b"Traceback" not in err
        assert list(target.parent.iterdir()) == []


def run_on_terminal(command: list[str]) -> str:
    """What a program shows on a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 20)[0]:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(ours)
    assert process.wait() == 0, shown
    return shown.decode()

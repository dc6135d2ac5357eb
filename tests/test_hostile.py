"""What people and their disks do to a converter: every failure is one clear paragraph, and leaves everything as it was.

Each command line runs in a process of its own, as a shell would start it, within 4 GB of memory and half a minute.
Damaged archives are in `test_broken_archives.py`.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

SOUND = Path(__file__).parent.parent / "fixtures" / "resnet_tiny" / "model.pt"
NXCONVERT = [sys.executable, "-c", "import sys; from nxconvert.cli.main import main; sys.exit(main())"]
MEMORY = 4 << 30
SECONDS = 30

Shell = Callable[..., subprocess.CompletedProcess[str]]


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Runs `nxconvert` with these words in `tmp_path`."""

    def run(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [*NXCONVERT, *map(str, words)]
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, preexec_fn=_limited, **options
        )

    return run


@pytest.fixture
def fails(shell: Shell, tmp_path: Path) -> Callable[..., str]:
    """Converts over an old target, which has to fail: what stderr says, after "nxconvert: "."""

    def run(source: object, *words: object, code: int = 1) -> str:
        target = tmp_path / "target" / "out.nx"
        target.parent.mkdir()
        target.write_bytes(b"old")
        files = sorted(tmp_path.rglob("*"))
        done = shell(source, target, *words)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert target.read_bytes() == b"old"
        assert sorted(tmp_path.rglob("*")) == files
        return paragraph(done.stderr)

    return run


Fails = Callable[..., str]


def paragraph(stderr: str) -> str:
    """The one paragraph on stderr; nothing of Python's, and no more than a person wants to read."""
    assert stderr.startswith("nxconvert: "), stderr
    message = stderr.removeprefix("nxconvert: ").rstrip("\n")
    assert "\n" not in message, stderr
    assert 20 < len(message) < 700, stderr
    for alien in ("Traceback", "internal error", "Error:", "<class", "0x7f"):
        assert alien not in message
    return message


class TestWhatIsNoModel:
    @pytest.mark.parametrize("suffix", ["pt", "onnx", "nx", "bin", ""])
    def test_random_bytes(self, suffix: str, fails: Fails, tmp_path: Path) -> None:
        path = tmp_path / f"noise.{suffix}"
        path.write_bytes(random.Random(5).randbytes(100_000))
        assert str(path) in fails(path)

    def test_a_picture(self, fails: Fails, tmp_path: Path) -> None:
        pixels = zlib.compress(b"\x00\xff\x00\x00" * 3)
        path = tmp_path / "cat.pt"
        path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x03\x08\x02" + pixels)
        assert "PNG" in fails(path)

    @pytest.mark.parametrize("text", ["just notes\n", "<html><body>404</body></html>", '{"a": 1}', "import torch\n"])
    def test_text(self, text: str, fails: Fails, tmp_path: Path) -> None:
        path = tmp_path / "model.pt"
        path.write_text(text)
        assert "text" in fails(path)

    def test_a_pointer_to_a_file_that_was_not_downloaded(self, fails: Fails, tmp_path: Path) -> None:
        path = tmp_path / "model.pt"
        path.write_text(
            "version https://git-lfs.github.com/spec/v1\n"
            "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
        )
        assert str(path) in fails(path)

    def test_an_empty_file(self, fails: Fails, tmp_path: Path) -> None:
        path = tmp_path / "model.pt"
        path.touch()
        assert "empty" in fails(path)

    @pytest.mark.parametrize("size", [1, 2, 4, 30, 1000])
    @pytest.mark.parametrize("start", [b"PK\x03\x04", b"PK\x05\x06", b"\x80\x02", b"\x08\x08", b"\x00"])
    def test_the_beginning_of_something(self, start: bytes, size: int, fails: Fails, tmp_path: Path) -> None:
        path = tmp_path / "model.pt"
        path.write_bytes((start + bytes(1000))[:size])
        assert str(path) in fails(path)

    def test_a_folder(self, fails: Fails, tmp_path: Path) -> None:
        path = tmp_path / "model"
        path.mkdir()
        assert str(path) in fails(path)

    def test_a_missing_file(self, fails: Fails, tmp_path: Path) -> None:
        assert fails(tmp_path / "none.pt") == f"{tmp_path}/none.pt does not exist."

    def test_below_a_file(self, fails: Fails, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"x")
        assert str(path) in fails(path / "model.pt")

    def test_a_link_to_nothing_and_to_itself(self, fails: Fails, tmp_path: Path) -> None:
        path = tmp_path / "model.pt"
        path.symlink_to(path)
        assert str(path) in fails(path)

    def test_a_device(self, fails: Fails) -> None:
        assert "/dev/null" in fails("/dev/null")

    def test_a_pipe_is_no_file_to_map(self, fails: Fails, tmp_path: Path) -> None:
        path = tmp_path / "pipe.pt"
        os.mkfifo(path)
        assert str(path) in fails(path)

    def test_a_name_in_another_encoding(self, fails: Fails, tmp_path: Path) -> None:
        path = tmp_path / os.fsdecode(b"m\xfcll.pt")
        path.write_bytes(b"x" * 50)
        assert "ll.pt" in fails(path)


class TestWhatCannotBeWritten:
    """Tests run as root at times, so permissions would stop nothing: these cannot be written by anybody."""

    def test_a_folder_in_the_way(self, shell: Shell, tmp_path: Path) -> None:
        target = tmp_path / "out.nx"
        (target / "inside").mkdir(parents=True)
        done = shell(SOUND, target)
        assert (done.returncode, done.stdout) == (1, "")
        assert str(target) in paragraph(done.stderr)
        assert [path.name for path in tmp_path.iterdir()] == ["out.nx"]
        assert [path.name for path in target.iterdir()] == ["inside"]

    def test_below_a_file(self, shell: Shell, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"old")
        done = shell(SOUND, tmp_path / "file" / "out.nx")
        assert (done.returncode, done.stdout) == (1, "")
        assert "out.nx" in paragraph(done.stderr)
        assert (tmp_path / "file").read_bytes() == b"old"

    def test_a_folder_that_does_not_exist(self, shell: Shell, tmp_path: Path) -> None:
        done = shell(SOUND, tmp_path / "none" / "out.nx")
        assert done.returncode == 1
        assert "none" in paragraph(done.stderr)
        assert not list(tmp_path.iterdir())

    def test_a_file_system_that_takes_no_files(self, shell: Shell, tmp_path: Path) -> None:
        if not Path("/proc/self").exists():
            pytest.skip("there is no /proc here")
        done = shell(SOUND, "/proc/out.nx")
        assert done.returncode == 1
        assert "/proc/out.nx" in paragraph(done.stderr)

    @pytest.mark.parametrize("external", [True, False])
    def test_a_full_disk(self, external: bool, shell: Shell, tmp_path: Path) -> None:
        """As a limit on the size of files, which writes run into as they do into the end of a disk."""
        target = tmp_path / "out.nx"
        target.write_bytes(b"old")
        code = (
            "import resource, signal, sys\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
            "from nxconvert.cli.main import main\n"
            "sys.exit(main())\n"
        )
        words = [SOUND, target, "--external-data" if external else "--no-external-data"]
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=SECONDS)
        assert (done.returncode, done.stdout) == (1, "")
        assert "out.nx" in paragraph(done.stderr)
        assert [path.name for path in tmp_path.iterdir()] == ["out.nx"]
        assert target.read_bytes() == b"old"

    def test_the_source_itself(self, shell: Shell, tmp_path: Path) -> None:
        source = tmp_path / "model.nx"
        shutil.copy(SOUND, source)
        done = shell(source, source)
        assert done.returncode == 2
        assert source.read_bytes() == SOUND.read_bytes()
        paragraph(done.stderr)

    def test_a_suffix_that_says_nothing(self, shell: Shell, tmp_path: Path) -> None:
        done = shell(SOUND, tmp_path / "out.xyz")
        assert done.returncode == 2
        assert ".xyz" in paragraph(done.stderr)
        assert not list(tmp_path.iterdir())


class TestWhatIsTooMuch:
    """Archives whose code or whose zip would take forever, or all of the memory."""

    def forward(self, folder: Path, body: str) -> Path:
        """`resnet_tiny` with another `forward`."""
        with zipfile.ZipFile(SOUND) as archive:
            members = {info.filename: archive.read(info) for info in archive.infolist()}
        name = next(name for name, text in members.items() if name.endswith(".py") and b"class ResNetTiny(" in text)
        head = members[name].decode().partition("  def forward(self: __torch__.models.ResNetTiny,")[0]
        lines = "".join(f"    {line}\n" for line in body.split("\n"))
        members[name] = (
            f"{head}  def forward(self: __torch__.models.ResNetTiny,\n    x: Tensor) -> Tensor:\n{lines}".encode()
        )
        path = folder / "model.pt"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path

    @pytest.mark.parametrize(
        "body",
        [
            "return torch.add(x, torch.__lshift__(1, 100000000000))",
            "return torch.add(x, torch.factorial(100000000))",
            "n = 10\nfor i in range(60):\n  n = torch.mul(n, n)\nreturn torch.add(x, n)",
            'return torch.add(x, torch.len(torch.mul("abc", 1000000000000)))',
            "return torch.add(x, torch.len(torch.mul([1], 1000000000000)))",
            's = "ab"\nfor i in range(60):\n  s = torch.add(s, s)\nreturn torch.add(x, torch.len(s))',
            "return (self).forward(x, )",
            f"return torch.add(x, {'(' * 3000}1{')' * 3000})",
            f"return self{'.conv1' * 50000}",
        ],
    )
    def test_code_that_never_ends(self, body: str, fails: Fails, tmp_path: Path) -> None:
        fails(self.forward(tmp_path, body), "--input", "x=float32[n]")

    @pytest.mark.parametrize(
        "body",
        [
            "n = 0\nfor i in range(1000000000000):\n  n = torch.add(n, i)\nreturn torch.add(x, n)",
            "n = 0\nfor i in range(9000):\n  for j in range(9000):\n    for k in range(9000):\n"
            "      n = torch.add(n, 1)\nreturn torch.add(x, n)",
            "n = 0\nwhile True:\n  n = torch.add(n, 1)\nreturn torch.add(x, n)",
            "return torch.add(torch.sum(torch.add(torch.ones([100000, 100000]), 1)), x)",
            "return torch.sum(torch.repeat(x, [1000000, 1000000, 1000000, 1000000]))",
            "return torch.sum(torch.arange(1000000000000))",
            "return torch.add(x, torch.pow(10, 1000000000))",
        ],
    )
    def test_what_only_running_it_would_take(self, body: str, shell: Shell, tmp_path: Path) -> None:
        """Converts: it is the user who asks for such a model to be run, or does not."""
        done = shell(self.forward(tmp_path, body), "out.nx", "--input", "x=float32[n]")
        assert done.returncode == 0, done.stderr

    def test_a_zip_bomb(self, fails: Fails, tmp_path: Path) -> None:
        path = tmp_path / "model.pt"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in ("code/__torch__.py", "data.pkl"):
                with archive.open(f"m/{name}", "w") as member:
                    for _ in range(64):
                        member.write(bytes(8 << 20))
        assert path.stat().st_size < 2 << 20
        assert str(path) in fails(path)

    def test_many_members(self, fails: Fails, tmp_path: Path) -> None:
        path = tmp_path / "model.pt"
        with zipfile.ZipFile(path, "w") as archive:
            for index in range(70_000):
                archive.writestr(f"m/{index}", b"")
        assert str(path) in fails(path)

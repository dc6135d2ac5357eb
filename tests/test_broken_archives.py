"""Archives that are damaged, hostile, or use what is not known: one clear paragraph each, and nothing left behind.

Each is made from a sound archive (`fixtures/resnet_tiny`) by changing one thing.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

SOUND = Path(__file__).parent.parent / "fixtures" / "resnet_tiny" / "model.pt"
#: What a hostile pickle does when it is loaded: it calls `os.system("echo owned > owned")`.
HOSTILE = b"\x80\x02cos\nsystem\nX\x12\x00\x00\x00echo owned > owned.\x85R."


def members() -> dict[str, bytes]:
    with zipfile.ZipFile(SOUND) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def member(name: str) -> str:
    return next(full for full in members() if full.endswith(name))


def main_source() -> str:
    """The name of the file with the root module's code."""
    return next(name for name, content in members().items() if b"class ResNetTiny(" in content and name.endswith(".py"))


@pytest.fixture
def convert(
    command_line: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    """Converts an archive of these members over an old target: exit code and stderr; checks what has to hold always."""

    def run(content: bytes | dict[str, bytes], *words: str) -> tuple[int, str]:
        source, target = tmp_path / "model.pt", tmp_path / "target" / "out.nx"
        if isinstance(content, bytes):
            source.write_bytes(content)
        else:
            with zipfile.ZipFile(source, "w") as archive:
                for name, data in content.items():
                    archive.writestr(name, data)
        target.parent.mkdir()
        target.write_bytes(b"old")
        monkeypatch.chdir(tmp_path)
        code, out, err = command_line(source, target, *words)
        assert out == ""
        assert "Traceback" not in err
        assert "internal error" not in err, err
        assert target.read_bytes() == b"old"
        assert [path.name for path in target.parent.iterdir()] == ["out.nx"]
        assert not (tmp_path / "owned").exists()
        return code, err

    return run


Convert = Callable[..., tuple[int, str]]


@pytest.mark.parametrize("part", [0.1, 0.5, 0.95, 0.999])
def test_a_truncated_archive(part: float, convert: Convert) -> None:
    sound = SOUND.read_bytes()
    code, err = convert(sound[: int(len(sound) * part)])
    assert code == 1
    assert "truncated" in err or "cut off" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["data.pkl", "data/0"])
def test_a_missing_member(name: str, convert: Convert) -> None:
    missing = member(f"/{name}")
    code, err = convert({full: content for full, content in members().items() if full != missing})
    assert code == 1
    assert name in err
    assert err.count("\n") == 1


def test_missing_code(convert: Convert) -> None:
    missing = main_source()
    code, err = convert({full: content for full, content in members().items() if full != missing})
    assert code == 1
    assert "is incomplete: the code of its class __torch__.models.ResNetTiny is missing" in err
    assert err.count("\n") == 1


def test_a_pickle_that_calls_what_it_likes(convert: Convert) -> None:
    code, err = convert(members() | {member("/data.pkl"): HOSTILE})
    assert code == 1
    assert "os.system" in err
    assert err.count("\n") == 1


def test_operators_that_nobody_knows_are_all_listed(convert: Convert) -> None:
    source = main_source()
    code = members()[source].decode()
    changed = code.replace("torch.flatten(_3, 1)", "torch.frobnicate(torch.defenestrate(_3), 1)")
    assert changed != code
    found, err = convert(members() | {source: changed.encode()})
    assert found == 1
    assert "frobnicate" in err
    assert "defenestrate" in err


@pytest.mark.parametrize(
    "code", [b"import os\nos.system('echo owned > owned')\n", b"def (", b"\xff\xfe", b"((((" * 10_000]
)
def test_code_that_is_no_torchscript(code: bytes, convert: Convert) -> None:
    found, err = convert(members() | {main_source(): code})
    assert found == 1
    assert err.count("\n") == 1


def test_a_storage_that_is_too_short(convert: Convert) -> None:
    code, err = convert(members() | {member("/data/0"): b"1234"})
    assert code == 1
    assert "data/0" in err
    assert err.count("\n") == 1


def test_a_zip_of_something_else(convert: Convert) -> None:
    code, err = convert({"a.txt": b"a", "b.txt": b"b"})
    assert code == 1
    assert "a zip archive of 2 members (a.txt, b.txt)" in err


def test_a_folder(command_line: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").touch()
    code, _, err = command_line(tmp_path / "model", tmp_path / "out.nx")
    assert code == 1
    assert "a folder of 1 entries (weights.bin)" in err


def test_a_place_without_room(command_line: Callable[..., tuple[int, str, str]]) -> None:
    """`/proc` is a folder in which nobody can make files, not even root."""
    code, _, err = command_line(SOUND, "/proc/out.nx")
    assert code == 1
    assert "/proc/out.nx cannot be written" in err
    assert err.count("\n") == 1

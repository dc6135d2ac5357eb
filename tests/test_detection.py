"""The format of a source is told by its content, that of a target by its suffix."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from nxconvert.detection import source_frontend, target_backend
from nxconvert.errors import ReadError, UsageError, WriteError


def test_content_tells_not_the_name(classifier_file: Path, tmp_path: Path) -> None:
    disguised = tmp_path / "model.pt"
    shutil.copy(classifier_file, disguised)
    assert source_frontend(disguised)[1].name == "onnx"


def test_a_third_partys_content_tells_too(toy: None, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"TOY{}")
    assert source_frontend(path)[1].name == "toy"


@pytest.mark.parametrize(
    ("content", "look"),
    [
        (b"hello\nworld\n", "a text file that begins with 'hello'"),
        (b"\x1f\x8b\x08\x00", "a gzip file: unpack it first"),
        (b"\x89HDF\r\n\x1a\n1234", "an HDF5 file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\x80\x04\x95\x00", "a Python pickle"),
        (b"PK\x03\x04broken", "a damaged or truncated zip archive"),
        (bytes(4096), "zeros"),
        (bytes(range(1, 200)), "unknown binary data (199 bytes, the first are 01 02 03 04 05 06 07 08)"),
    ],
)
def test_what_is_no_model_is_described(content: bytes, look: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(ReadError, match="is no model that can be read here") as caught:
        source_frontend(path)
    assert look in str(caught.value)
    assert "onnx (ONNX models)" in str(caught.value)


def test_a_zip_of_something_else_is_described(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.txt", "b.txt", "c.txt", "d.txt", "e.txt"):
            archive.writestr(name, "x")
    with pytest.raises(ReadError, match=r"a zip archive of 5 members \(a.txt, b.txt, c.txt, d.txt, ...\)"):
        source_frontend(path)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="does not exist"):
        source_frontend(tmp_path / "none.pt")
    (tmp_path / "empty.pt").touch()
    with pytest.raises(ReadError, match="is empty"):
        source_frontend(tmp_path / "empty.pt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ReadError, match="is an empty folder"):
        source_frontend(tmp_path / "folder")
    (tmp_path / "folder" / "notes.txt").touch()
    with pytest.raises(ReadError, match=r"a folder of 1 entries \(notes.txt\)"):
        source_frontend(tmp_path / "folder")


def test_a_pipe_is_no_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ReadError, match="no ordinary file"):
        source_frontend(tmp_path / "pipe")


def test_fields_that_are_larger_than_files_can_be(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"B" + b"\xff" * 9 + b"\x01" * 10)
    with pytest.raises(ReadError, match="unknown binary data"):
        source_frontend(path)


def test_a_format_can_be_named(classifier_file: Path) -> None:
    assert source_frontend(classifier_file, "onnx")[1].name == "onnx"
    with pytest.raises(UsageError, match="no format 'keras' to read; these can be read: .*onnx"):
        source_frontend(classifier_file, "keras")
    with pytest.raises(UsageError, match="no format 'keras' to write"):
        target_backend(classifier_file, "keras")


@pytest.mark.parametrize("name", ["out.nx", "out.onnx", "OUT.NX"])
def test_the_suffix_tells_the_target(name: str, tmp_path: Path) -> None:
    assert target_backend(tmp_path / name)[1].name == "onnx"


def test_a_suffix_that_says_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"its suffix .xyz is none of .nx \(onnx\), .onnx \(onnx\).*--to"):
        target_backend(tmp_path / "out.xyz")
    with pytest.raises(UsageError, match="it has no suffix"):
        target_backend(tmp_path / "out")
    assert target_backend(tmp_path / "out", "onnx")[1].name == "onnx"


def test_a_place_that_cannot_be_written_is_found_at_once(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="does not exist"):
        target_backend(tmp_path / "none" / "out.nx")
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="is no folder"):
        target_backend(tmp_path / "file" / "out.nx")
    (tmp_path / "out.nx").mkdir()
    with pytest.raises(WriteError, match="is a folder"):
        target_backend(tmp_path / "out.nx")


def test_a_folder_without_write_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root, who runs the tests in containers, may write anywhere
    with pytest.raises(WriteError, match="allows no new files"):
        target_backend(tmp_path / "out.nx")

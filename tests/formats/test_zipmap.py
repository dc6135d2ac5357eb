from __future__ import annotations

import struct
import warnings
import zipfile
from pathlib import Path

import pytest

from nxconvert.errors import ReadError
from nxconvert.formats.tensors import MappedFile
from nxconvert.formats.zipmap import ZipMap
from tests.formats.archives import zip_bytes


def mapped(path: Path, data: bytes) -> ZipMap:
    path.write_bytes(data)
    return ZipMap(MappedFile(path))


def test_members_lie_where_they_are_said_to(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("m/weights")
        info.extra = b"FB" + struct.pack("<H", 40) + bytes(40)
        archive.writestr(info, b"0123456789")
        archive.writestr("m/code.py", b"x = 1\n" * 1000, zipfile.ZIP_DEFLATED)
        archive.comment = b"PK\5\6 in the comment"
    zipped = ZipMap(MappedFile(path))
    offset, size = zipped.stored("m/weights")
    assert path.read_bytes()[offset : offset + size] == b"0123456789"
    assert zipped.read("m/code.py", 10000) == b"x = 1\n" * 1000
    assert list(zipped.members) == ["m/weights", "m/code.py"]
    with pytest.raises(ReadError, match="is compressed"):
        zipped.stored("m/code.py")
    with pytest.raises(ReadError, match="no member 'm/other'"):
        zipped.read("m/other", 10)


def test_zip64(tmp_path: Path) -> None:
    """As PyTorch writes archives of more than 4 GB: sizes and offsets in extra fields, a second end record."""
    name, content = b"m/w", b"0123456789"
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 45, 0, 0, 0, 0, 0x_A684C7C6, 2**32 - 1, 2**32 - 1, len(name), 20)
    local += name + struct.pack("<2H2Q", 1, 16, len(content), len(content)) + content
    extra = struct.pack("<2H3Q", 1, 24, len(content), len(content), 0)
    wide = (2**32 - 1, 2**32 - 1)
    central = struct.pack("<4s6H3L", b"PK\1\2", 45, 45, 0, 0, 0, 0, 0x_A684C7C6, *wide)
    central += struct.pack("<5H2L", len(name), len(extra), 0, 0, 0, 0, 2**32 - 1) + name + extra
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(central), len(local))
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(local) + len(central), 1)
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, *wide, 0)
    zipped = mapped(tmp_path / "a.zip", local + central + end + locator + last)
    assert zipped.read("m/w", 10) == content
    assert zipped.stored("m/w") == (len(local) - 10, 10)
    with pytest.raises(ReadError, match="zip64 record is missing"):
        mapped(tmp_path / "b.zip", local + central + end + last)


def test_truncated(tmp_path: Path) -> None:
    data = zip_bytes({"m/a": b"x" * 1000, "m/b": b"y"})
    for length in (4, 100, len(data) - 30, len(data) - 1):
        with pytest.raises(ReadError, match=r"truncated|damaged"):
            mapped(tmp_path / "a.zip", data[:length])
    with pytest.raises(ReadError, match="damaged"):
        mapped(tmp_path / "a.zip", data[500:])


def test_two_members_of_one_name(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("m/a", b"1")
            archive.writestr("m/a", b"2")
    with pytest.raises(ReadError, match="two members named 'm/a'"):
        ZipMap(MappedFile(tmp_path / "a.zip"))


@pytest.mark.parametrize("name", ["/etc/passwd", "m/../../x", "..\\x"])
def test_names_that_leave_the_archive(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReadError, match="points outside"):
        mapped(tmp_path / "a.zip", zip_bytes({name: b""}))


def test_a_bomb_is_not_inflated(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/a", bytes(10 << 20))
    with pytest.raises(ReadError, match="has 10485760 bytes; no model has more than 1000"):
        ZipMap(MappedFile(path)).read("m/a", 1000)
    # The same, but the directory lies about the size.
    data = path.read_bytes().replace(struct.pack("<L", 10 << 20), struct.pack("<L", 100))
    with pytest.raises(ReadError, match="checksum"):
        mapped(tmp_path / "b.zip", data).read("m/a", 1000)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    data = zip_bytes({"m/a": b"0123456789"}).replace(b"0123456789", b"0123456788")
    with pytest.raises(ReadError, match="checksum"):
        mapped(tmp_path / "a.zip", data).read("m/a", 1000)

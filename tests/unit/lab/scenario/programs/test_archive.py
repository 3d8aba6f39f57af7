"""Archives of strangers."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.scenario.programs import archive, files
from torrentnet.lab.scenario.programs.archive import is_archive, unpack
from torrentnet.lab.scenario.programs.files import ProgramFilesError

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = {"src/tracker.py": b"print()", "src/peer.py": b"import socket\n" * 100}


def make_zip(path: Path, content: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, data in content.items():
            made.writestr(name, data)
    return path


def make_tar(path: Path, content: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as made:  # type: ignore[call-overload]
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
    return path


def tar_of(path: Path, *entries: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as made:
        for entry in entries:
            made.addfile(entry)
    return path


def unpacked(path: Path, tmp_path: Path) -> dict[str, bytes]:
    target = tmp_path / "unpacked"
    target.mkdir(exist_ok=True)
    unpack(path, path.name, target)
    return {str(file.relative_to(target)): file.read_bytes() for file in target.rglob("*") if file.is_file()}


def refused(path: Path, tmp_path: Path) -> str:
    with pytest.raises(ProgramFilesError) as caught:
        unpacked(path, tmp_path)
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_zip_is_unpacked(method: int, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", CONTENT, method)
    assert is_archive(path)
    assert unpacked(path, tmp_path) == CONTENT


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_unpacked(mode: str, tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", CONTENT, mode)
    assert is_archive(path)
    assert unpacked(path, tmp_path) == CONTENT


def test_a_zip_of_windows_has_its_folders(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"src/x": b"1"})
    data = path.read_bytes().replace(b"src/x", b"src\\x")
    path.write_bytes(data)
    assert unpacked(path, tmp_path) == {"src/x": b"1"}


def test_programs_of_an_archive_can_be_run(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("tracker")
    entry.mode = 0o4777
    assert unpacked(tar_of(tmp_path / "a.tar", entry), tmp_path) == {"tracker": b""}
    assert stat.S_IMODE((tmp_path / "unpacked" / "tracker").stat().st_mode) == 0o755


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:\\evil", "..\\evil"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_name_that_leads_out_is_refused(kind: str, name: str, tmp_path: Path) -> None:
    make = make_zip if kind == "zip" else make_tar
    path = make(tmp_path / f"a.{kind}", {name: b"x"})
    message = refused(path, tmp_path)
    assert message in {
        f"a.{kind}: `{name}` leads out of the folder",
        f"a.{kind}: `{name}` is an absolute path",
    }
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "neither a file nor a folder"),
        (tarfile.FIFOTYPE, "neither a file nor a folder"),
    ],
)
def test_special_files_of_a_tar_are_refused(kind: bytes, what: str, tmp_path: Path) -> None:
    entry = tarfile.TarInfo("x")
    entry.type, entry.linkname = kind, "/etc/passwd"
    message = refused(tar_of(tmp_path / "a.tar", entry), tmp_path)
    assert message == f"a.tar: `x` is {what}, which is never unpacked"


def test_a_link_of_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        entry = zipfile.ZipInfo("x")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(entry, "/etc/passwd")
    assert refused(tmp_path / "a.zip", tmp_path) == "a.zip: `x` is a link, which is never unpacked"


def test_a_zip_of_ten_thousand_files_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {f"{number}": b"" for number in range(10_000)}, zipfile.ZIP_STORED)
    assert refused(path, tmp_path) == f"a.zip: there are more than {files.MAX_ENTRIES} files and folders"
    assert not list((tmp_path / "unpacked").iterdir())


def test_a_tar_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_ENTRIES", 100)
    path = make_tar(tmp_path / "a.tar.gz", {f"{number}": b"" for number in range(10_000)})
    assert refused(path, tmp_path) == "a.tar.gz: there are more than 100 files and folders"


def test_a_zip_of_a_gigabyte_of_zeros_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as made, made.open("zeros", "w") as entry:
        for _ in range(80):
            entry.write(bytes(2**20))
    assert "more than 50 MiB" in refused(tmp_path / "a.zip", tmp_path)
    assert (tmp_path / "unpacked" / "zeros").stat().st_size <= files.MAX_BYTES


def test_a_zip_whose_sizes_are_lies_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 2**20)
    path = make_zip(tmp_path / "a.zip", {"zeros": bytes(4 * 2**20)})
    data = path.read_bytes().replace(struct.pack("<I", 4 * 2**20), struct.pack("<I", 1))
    path.write_bytes(data)
    assert refused(path, tmp_path)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_tar_is_not_decompressed_whole(
    compress: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A header of extended attributes that announces 32 MiB, and is read before any file.
    monkeypatch.setattr(archive, "MAX_TAR", 2**23)
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 2**25
    data = header.tobuf() + bytes(2**25)
    assert callable(compress)
    (tmp_path / "a.tar").write_bytes(compress(data))
    del data
    tracemalloc.start()
    try:
        assert refused(tmp_path / "a.tar", tmp_path) == "a.tar: the archive has more than 50 MiB of files, or of names"
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()


def test_a_directory_of_a_zip_that_fills_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_READ", 2**16)
    path = make_zip(tmp_path / "a.zip", {f"{number:0>200}": b"" for number in range(400)}, zipfile.ZIP_STORED)
    assert path.stat().st_size < archive.MAX_ARCHIVE
    assert refused(path, tmp_path) == "a.zip: the archive has more than 50 MiB of files, or of names"


def test_an_archive_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.zip").open("wb") as sparse:
        sparse.write(b"PK")
        sparse.truncate(2**40)
    assert refused(tmp_path / "a.zip", tmp_path) == "a.zip: the archive has more than 64 MiB"


@pytest.mark.parametrize("names", [("x", "x"), ("x", "x/y"), ("x/y", "x")])
def test_entries_in_each_others_place_are_refused(names: tuple[str, str], tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as made:
        for name in names:
            made.addfile(tarfile.TarInfo(name))
    message = refused(tmp_path / "a.tar", tmp_path)
    assert message in {"a.tar: `x` is there twice", "a.tar: `x` is a file and a folder"}


@pytest.mark.parametrize("name", ["a" * 201, "/".join("abcdefghijklmnopqrstu"), "/".join(["b" * 150] * 8)])
def test_long_names_are_refused(name: str, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {name: b""})
    assert refused(path, tmp_path) == f"a.zip: the path `{name[:40]}…` is too long or too deep"


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"x": b"1"}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert refused(path, tmp_path) == "a.zip: `x` is encrypted"


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_damaged_archives_are_refused_or_unpacked(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith("zip"):
        make_zip(path, CONTENT)
    else:
        make_tar(path, CONTENT, "w:" + {"tar": ""}.get(name.rpartition(".")[2], name.rpartition(".")[2]))
    whole = path.read_bytes()
    for number, length in enumerate(range(2, len(whole), max(1, len(whole) // 40))):
        for data in (whole[:length], whole[:length] + b"\xff\x00" + whole[length + 2 :]):
            path.write_bytes(data)
            target = tmp_path / f"{number}-{len(data)}"
            target.mkdir()
            try:
                unpack(path, name, target)
            except ProgramFilesError as error:
                assert error.message.startswith(f"{name}: ")  # noqa: PT017


def test_what_is_no_archive(tmp_path: Path) -> None:
    for content in (b"", b"x", b"print()" * 100, bytes(1000)):
        (tmp_path / "x").write_bytes(content)
        assert not is_archive(tmp_path / "x")


def test_a_zip_that_points_before_its_beginning_is_damaged(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", CONTENT)
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\5\6") + 16
    data[end : end + 4] = (int.from_bytes(data[end : end + 4], "little") + 1000).to_bytes(4, "little")
    path.write_bytes(data)
    assert refused(path, tmp_path) == "a.zip: the archive is damaged: [Errno 22] Invalid argument"

"""A job's archive of result files is not trusted: whoever ran the job packed it."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from covalent_braket_plugin.errors import IntegrityError
from covalent_braket_plugin.history import archive

LIMIT = 1024 * 1024


@pytest.fixture
def packed(tmp_path: Path) -> Callable[..., Path]:
    """Packs files by name; a member that is no file is given as its header."""

    def pack(files: dict[str, bytes], *others: tarfile.TarInfo, **options: int) -> Path:
        path = tmp_path / "model.tar.gz"
        with tarfile.open(path, "w:gz", **options) as tar:  # type: ignore[call-overload]
            for other in others:
                tar.addfile(other)
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return path

    return pack


def member(name: str, kind: bytes, leads_to: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, leads_to
    return made


def test_plain_files_are_listed_read_and_unpacked(
    packed: Callable[..., Path], tmp_path: Path
) -> None:
    path = packed({"a.txt": b"one", "./deep/b.bin": b"four"})
    assert archive.listed(path, LIMIT) == [("a.txt", 3), ("deep/b.bin", 4)]
    assert list(archive.read(path, LIMIT, ["deep/b.bin"])) == [("deep/b.bin", b"four")]
    target = tmp_path / "out"
    assert archive.extract(path, target, LIMIT) == [target / "a.txt", target / "deep/b.bin"]
    assert (target / "deep/b.bin").read_bytes() == b"four"


@pytest.mark.parametrize(
    "hostile",
    [
        member("/etc/cron.d/job", tarfile.REGTYPE),
        member("../outside", tarfile.REGTYPE),
        member("deep/../../outside", tarfile.REGTYPE),
        member("link", tarfile.SYMTYPE, "/etc"),
        member("hard", tarfile.LNKTYPE, "/etc/passwd"),
        member("pipe", tarfile.FIFOTYPE),
        member("disk", tarfile.BLKTYPE),
    ],
    ids=lambda made: made.name,
)
def test_what_is_not_a_plain_file_inside_is_left_out_with_a_warning(
    packed: Callable[..., Path],
    tmp_path: Path,
    hostile: tarfile.TarInfo,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = packed({"good": b"data"}, hostile)
    target = tmp_path / "out"
    assert archive.extract(path, target, LIMIT) == [target / "good"]
    assert os.listdir(target) == ["good"]
    assert not (tmp_path / "outside").exists()
    assert repr(hostile.name) in caplog.text


def test_a_file_is_not_written_through_a_link(packed: Callable[..., Path], tmp_path: Path) -> None:
    path = packed({"deep/file": b"new", "link": b"new"}, member("link", tarfile.SYMTYPE, "deep"))
    outside, target = tmp_path / "elsewhere", tmp_path / "out"
    outside.mkdir()
    target.mkdir()
    (outside / "kept").write_text("old")
    (target / "link").symlink_to(outside / "kept")
    archive.extract(path, target, LIMIT, overwrite=True)
    assert (outside / "kept").read_text() == "old"
    assert (target / "link").read_bytes() == b"new"
    (target / "deep/file").unlink()
    (target / "deep").rmdir()
    (target / "deep").symlink_to(outside)
    with pytest.raises(IntegrityError, match="there is a link on the way"):
        archive.extract(path, target, LIMIT, overwrite=True)
    assert os.listdir(outside) == ["kept"]


def test_a_bomb_is_given_up_before_it_has_gone_off(packed: Callable[..., Path]) -> None:
    path = packed({"zeros": bytes(64 * LIMIT)})
    assert path.stat().st_size < LIMIT
    with pytest.raises(IntegrityError, match="unpacks to more than 1048576 bytes"):
        archive.listed(path, LIMIT)


def test_a_long_header_is_not_read_into_memory(packed: Callable[..., Path]) -> None:
    path = packed({"x" * 200_000: b""}, format=tarfile.GNU_FORMAT)
    with pytest.raises(IntegrityError, match="a header of 200001 bytes"):
        archive.listed(path, LIMIT)


def test_more_files_than_anybody_needs_are_refused(packed: Callable[..., Path]) -> None:
    path = packed({str(number): b"" for number in range(archive.MAX_FILES + 1)})
    with pytest.raises(IntegrityError, match="more than 10000 files"):
        archive.listed(path, 100 * LIMIT)


@pytest.mark.parametrize(
    "data",
    [b"", b"nothing like it", gzip.compress(b"x" * 700, mtime=0)],
    ids=["empty", "text", "gzip of no tar"],
)
def test_what_is_no_archive_is_said_to_be_damaged(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="damaged"):
        archive.listed(path, LIMIT)


def test_a_cut_archive_is_damaged(packed: Callable[..., Path]) -> None:
    path = packed({"a": os.urandom(10_000)})
    path.write_bytes(path.read_bytes()[:5_000])
    with pytest.raises(IntegrityError, match="damaged"):
        list(archive.read(path, LIMIT))


def test_a_file_that_cannot_be_written_whole_is_not_left_in_part(
    packed: Callable[..., Path], tmp_path: Path
) -> None:
    path = packed({"a": os.urandom(100_000)})
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(IntegrityError, match="damaged"):
        archive.extract(path, tmp_path / "there", LIMIT)
    assert os.listdir(tmp_path / "there") == []
    with pytest.raises(IntegrityError, match="damaged"):
        list(archive.read(path, LIMIT))


def test_a_file_that_is_there_is_not_replaced_unasked(
    packed: Callable[..., Path], tmp_path: Path
) -> None:
    path = packed({"a": b"new"})
    target = tmp_path / "out"
    target.mkdir()
    (target / "a").write_text("mine")
    with pytest.raises(FileExistsError):
        archive.extract(path, target, LIMIT)
    assert (target / "a").read_text() == "mine"
    archive.extract(path, target, LIMIT, overwrite=True)
    assert (target / "a").read_text() == "new"


def test_patterns_choose_files_in_any_directory(packed: Callable[..., Path]) -> None:
    path = packed({"a.npy": b"1", "deep/b.npy": b"2", "c.txt": b"3"})
    found = archive.read(path, LIMIT, ["*.npy", "?.txt"])
    assert [name for name, _ in found] == ["a.npy", "deep/b.npy", "c.txt"]


def test_an_archive_is_read_no_further_than_the_last_file_that_is_wanted(
    packed: Callable[..., Path], tmp_path: Path
) -> None:
    size = 4 * LIMIT
    path = packed({"first": b"1", "second": b"2", "rest": os.urandom(size)})
    with path.open("rb") as source:
        assert dict(archive.read(source, LIMIT, ["second", "first"])) == {
            "first": b"1", "second": b"2"
        }  # fmt: skip
        assert source.tell() < size / 4

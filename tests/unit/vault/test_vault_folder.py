from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vault_samples import counted

from luksafe.errors import DamagedInput, NotFound, StoreError
from luksafe.vault.folder import Folder

DAY = 86400


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = Folder(tmp_path, counted())
    yield opened
    opened.close()


def failing(monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    """Let a system call fail from now on."""

    def fail(*args: Any, **options: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)


def test_a_file_is_created_once_and_whole(folder: Folder, tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000
    assert folder.create("a/b.json", data)
    assert not folder.create("a/b.json", b"other")
    assert folder.read("a/b.json", len(data)) == (tmp_path / "a" / "b.json").read_bytes() == data
    assert os.listdir(tmp_path / "a") == ["b.json"]


def test_modes_are_private_under_any_umask(folder: Folder, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder.create("a/b.json", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b.json").stat().st_mode & 0o777 == 0o600


def test_an_empty_file_can_be_kept(folder: Folder) -> None:
    assert folder.create("empty", b"")
    assert folder.read("empty", 0) == b""


def test_a_name_appears_after_its_bytes_are_synced_and_is_synced_itself(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut needs, which killing a process cannot show."""
    log: list[str] = []

    def note(call: str) -> None:
        real = getattr(os, call)

        def noted(*args: Any, **options: Any) -> Any:
            target = os.readlink(f"/proc/self/fd/{args[0]}") if isinstance(args[0], int) else str(args[0])
            log.append(f"{call} {Path(target).name.split('-')[0]}")
            return real(*args, **options)

        monkeypatch.setattr(os, call, noted)

    for call in ("write", "fsync", "link", "unlink", "mkdir", "pread"):
        note(call)
    folder.create("a/b.json", b"data")
    top = tmp_path.name.split("-")[0]
    assert log == [
        "mkdir a",
        f"fsync {top}",
        "write .new",
        "fsync .new",
        "pread .new",
        "pread .new",
        "link .new",
        "unlink .new",
        "fsync a",
    ]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_hard_links_it_renames(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    failing(monkeypatch, "link", number)
    assert folder.create("a/b.json", b"one")
    assert not folder.create("a/b.json", b"two")
    assert folder.read("a/b.json", 10) == b"one"
    assert os.listdir(tmp_path / "a") == ["b.json"]


def test_without_hard_links_a_file_that_appears_meanwhile_stays(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*args: Any, **options: Any) -> None:
        (tmp_path / "b.json").write_bytes(b"theirs")
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", link)
    assert not folder.create("b.json", b"ours")
    assert (tmp_path / "b.json").read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["b.json"]


def test_with_hard_links_a_file_that_appears_meanwhile_stays(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_fsync = os.fsync

    def fsync(fd: int) -> None:
        real_fsync(fd)
        (tmp_path / "b.json").write_bytes(b"theirs")

    monkeypatch.setattr(os, "fsync", fsync)
    assert not folder.create("b.json", b"ours")
    assert (tmp_path / "b.json").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    ("call", "number", "code"),
    [
        ("write", errno.ENOSPC, "store-full"),
        ("write", errno.EDQUOT, "store-full"),
        ("write", errno.EFBIG, "store-full"),
        ("fsync", errno.EIO, "store-failing"),
        ("mkdir", errno.EROFS, "store-read-only"),
        ("mkdir", errno.EACCES, "store-denied"),
        ("link", errno.EIO, "store-failing"),
        ("link", errno.ENOENT, "store-away"),
        ("pread", errno.EIO, "store-failing"),
        ("write", errno.ENODEV, "store"),
    ],
)
def test_trouble_is_named_and_leaves_nothing(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, code: str
) -> None:
    failing(monkeypatch, call, number)
    with pytest.raises(StoreError) as raised:
        folder.create("a/b.json", b"data")
    assert raised.value.code == code
    assert str(tmp_path) in str(raised.value)
    monkeypatch.undo()
    assert folder.files("a") == []


def test_a_medium_that_lies_is_found_out(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, at: real_pread(fd, size, at).replace(b"t", b"T"))
    with pytest.raises(StoreError, match="other bytes than were written"):
        folder.create("a/b.json", b"data")
    assert folder.files("a") == []


def test_a_medium_that_shortens_is_found_out(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    real_pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, at: real_pread(fd, size, at) if at == 0 and size < 2 else b"")
    with pytest.raises(StoreError, match="other bytes than were written"):
        folder.create("a/b.json", b"data")


def test_file_systems_that_cannot_sync_folders_or_forget_pages_are_borne(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_fsync = os.fsync

    def fsync(fd: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            raise OSError(errno.EINVAL, "not here")
        real_fsync(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    failing(monkeypatch, "posix_fadvise", errno.EINVAL)
    assert folder.create("a/b.json", b"data")


def test_a_folder_that_fails_to_sync_is_an_error(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    real_fsync = os.fsync

    def fsync(fd: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            raise OSError(errno.EIO, "broken")
        real_fsync(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreError):
        folder.create("b.json", b"data")


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "A", ".hidden", "a/.x", "x\0y", "a/b\n"]
)
def test_names_that_could_lead_elsewhere_are_refused(folder: Folder, tmp_path: Path, name: str) -> None:
    for act in (lambda: folder.create(name, b""), lambda: folder.read(name, 1), lambda: folder.remove(name)):
        with pytest.raises(StoreError, match="no name of a file"):
            act()
    assert os.listdir(tmp_path) == []


def test_links_are_never_followed(folder: Folder, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.json").write_bytes(b"secret")
    (tmp_path / "linked").symlink_to(outside)
    (tmp_path / "file.json").symlink_to(outside / "secret.json")
    (tmp_path / "dangling.json").symlink_to(outside / "new.json")
    assert folder.files() == folder.folders() == []
    with pytest.raises(StoreError, match="file or link where a folder"):
        folder.create("linked/x.json", b"")
    with pytest.raises(StoreError):
        folder.read("linked/secret.json", 100)
    with pytest.raises(DamagedInput, match="no regular file"):
        folder.read("file.json", 100)
    assert not folder.create("file.json", b"data")
    assert not folder.create("dangling.json", b"data")
    folder.replace("file.json", b"ours")
    assert os.listdir(outside) == ["secret.json"]
    assert (outside / "secret.json").read_bytes() == b"secret"


def test_only_regular_files_are_read(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name in ("sub", "fifo", "socket"):
            with pytest.raises(DamagedInput, match="no regular file"):
                folder.read(name, 100)
    assert folder.files() == []


def test_reading_is_bounded(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "big").write_bytes(bytes(11))
    assert folder.read("big", 11) == bytes(11)
    with pytest.raises(DamagedInput, match="longer than the 10 bytes"):
        folder.read("big", 10)
    real_read = os.read  # a file that grows after it was looked at
    monkeypatch.setattr(os, "read", lambda fd, size: real_read(fd, size) or b"more")
    with pytest.raises(DamagedInput, match="longer than the 11 bytes"):
        folder.read("big", 11)


def test_absent_files_and_folders(folder: Folder) -> None:
    with pytest.raises(NotFound):
        folder.read("a/b.json", 10)
    with pytest.raises(NotFound):
        folder.rename("b.json", "c.json")
    assert not folder.remove("a/b.json")
    assert folder.files("a") == folder.folders("a") == []
    folder.remove_folder("a")


def test_removing_renaming_replacing(folder: Folder, tmp_path: Path) -> None:
    folder.create("a/b.json", b"1")
    folder.rename("a/b.json", "c.json")
    folder.replace("a/c.json", b"2")
    assert (tmp_path / "a" / "c.json").read_bytes() == b"2"
    folder.remove_folder("a")
    assert folder.folders() == ["a"]
    assert folder.remove("a/c.json")
    folder.remove_folder("a")
    assert folder.folders() == []
    with pytest.raises(StoreError):
        folder.rename("x", "../x")


def test_a_folder_that_cannot_be_removed_is_an_error(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.create("a/b.json", b"1")
    failing(monkeypatch, "rmdir", errno.EIO)
    with pytest.raises(StoreError):
        folder.remove_folder("a")


def test_old_leftovers_go_and_young_ones_stay(folder: Folder, tmp_path: Path) -> None:
    old, young = tmp_path / ".new-0000000000000000-a.json", tmp_path / ".new-1111111111111111-a.json"
    for path in (old, young, tmp_path / "kept.json"):
        path.write_bytes(b"part")
    os.utime(old, (1000, 1000))
    os.utime(young, (1000 + DAY, 1000 + DAY))
    assert folder.clean("", 1000 + DAY + 1) == [old.name]
    assert sorted(folder.files()) == [young.name, "kept.json"]
    assert folder.clean("", -5 * DAY) == []  # the clock was set back


def test_it_stays_with_the_folder_that_it_opened(folder: Folder, tmp_path: Path) -> None:
    """As when a stick is pulled out: the path then names an empty folder on another disk."""
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    tmp_path.mkdir()
    folder.create("a.json", b"data")
    assert os.listdir(tmp_path) == []
    assert os.listdir(moved) == ["a.json"]


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as raised:
        Folder(tmp_path / "absent", counted())
    assert raised.value.code == "store-away"
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError) as raised:
        Folder(tmp_path / "file", counted())
    assert raised.value.code == "store-link"


def test_a_lock_is_waited_for_and_done_without_where_there_are_none(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with folder.locked("seen"):
        assert folder.folders() == ["seen"]
    monkeypatch.setattr("fcntl.flock", lambda fd, how: (_ for _ in ()).throw(OSError(errno.ENOLCK, "no locks")))
    with folder.locked("seen"):
        pass

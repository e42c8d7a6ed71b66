"""Copying what a hostile reader of a filesystem could say."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from luksafe.errors import DamagedInput, StoreError
from luksafe.view.files.copying import copy_tree
from luksafe.view.files.isolated import Chunk, FileEnd, Found, Message, Note
from luksafe.view.files.node import Entry, EntryKind

FOLDER = Entry(b"/", EntryKind.FOLDER, 0, 0o755, 0, 2)


def entry(kind: EntryKind = EntryKind.FILE, size: int = 0, mode: int = 0o644, target: bytes = b"") -> Entry:
    return Entry(b"x", kind, size, mode, 10**18, 5, target)


def file(*parts: bytes, content: bytes = b"content") -> list[Message]:
    return [Found(parts, entry(size=len(content))), Chunk(0, content), FileEnd(0)]


@pytest.mark.parametrize("name", [b"..", b".", b"", b"a/b", b"/etc/passwd", b"nul\0"])
def test_names_that_lead_elsewhere_are_not_followed(tmp_path: Path, name: bytes) -> None:
    messages = [Found((), FOLDER), *file(name), *file(b"good"), *file(b"sub", name)]
    report = copy_tree(messages, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(report.notes) == 2
    assert report.files == 1


def test_a_link_in_the_place_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = Found((b"dir",), entry(EntryKind.LINK, target=os.fsencode(outside)))
    folder = Found((b"dir",), entry(EntryKind.FOLDER))
    report = copy_tree([Found((), FOLDER), link, folder, *file(b"dir", b"evil"), *file(b"dir")], tmp_path / "out")
    assert not list(outside.iterdir())
    assert (tmp_path / "out" / "dir").is_symlink()
    assert [why for _, why in report.notes] == [
        "another file of this name stands there already",
        "its folder could not be made",
        "another file of this name stands there already",
    ]


def test_modes_lose_what_gives_power(tmp_path: Path) -> None:
    copy_tree([Found((), entry(mode=0o6755)), FileEnd(0)], tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755


def test_holes_ends_and_failures(tmp_path: Path) -> None:
    big = Found((b"big",), entry(size=10 << 20))
    short = Found((b"short",), entry(size=100))
    messages = [
        Found((), FOLDER),
        big,
        Chunk(5 << 20, b"middle"),
        FileEnd(512),
        short,
        Chunk(0, b"half"),
        FileEnd(0, "the reader failed"),
        Note((b"dir",), "unreadable"),
        Found((b"device",), entry(EntryKind.OTHER)),
    ]
    report = copy_tree(messages, tmp_path / "out")
    assert (tmp_path / "out" / "big").stat().st_size == 10 << 20
    assert (tmp_path / "out" / "big").stat().st_blocks * 512 < 1 << 20
    assert (tmp_path / "out" / "short").read_bytes() == b"half"
    assert report.notes == [
        ("big", "512 bytes of the disk that belong to it are unreadable; zeros stand there"),
        ("short", "not whole: the reader failed"),
        ("dir", "unreadable"),
        ("device", "it is a device, pipe or socket"),
    ]


@pytest.mark.parametrize(
    "messages",
    [
        [Chunk(1000, b"beyond the end"), FileEnd(0)],
        [Chunk(50, b"x" * 10), Chunk(0, b"going back"), FileEnd(0)],
        [Note((), "in the middle of a file")],
        [],
    ],
)
def test_nonsense_in_a_file_ends_it_and_leaves_nothing(tmp_path: Path, messages: list[Message]) -> None:
    with pytest.raises(DamagedInput):
        copy_tree([Found((), entry(size=100)), *messages], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    import resource

    from luksafe.view.process import fork_worker

    def run() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        with pytest.raises(StoreError):
            copy_tree(file(content=b"x" * (2 << 20)), tmp_path / "out")

    assert fork_worker(run).join() == 0
    assert not (tmp_path / "out").exists()


def test_links_and_progress(tmp_path: Path) -> None:
    seen: list[int] = []
    link = Found((b"link",), entry(EntryKind.LINK, target=b"../a"))
    nameless = Found((b"none",), entry(EntryKind.LINK))
    report = copy_tree([Found((), FOLDER), link, nameless, *file(b"f")], tmp_path / "out", seen.append)
    assert (tmp_path / "out" / "link").readlink() == Path("../a")
    assert seen == [7]
    assert (report.files, report.folders, report.links, report.size_bytes) == (1, 1, 2, 7)

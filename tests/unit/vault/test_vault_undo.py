from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vault_samples import LATER, NOW, counted, flip

from luksafe.errors import Busy, DamagedInput, NotFound, StoreError, UsageError
from luksafe.vault.document import encode_document, to_json
from luksafe.vault.folder import Folder
from luksafe.vault.undo import Replacement, UndoEntry, UndoState
from luksafe.vault.undo_log import UndoLog

PARTS = [Replacement(0, b"old header", b"new header"), Replacement(4096, b"old slot", b"new slot")]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[UndoLog]:
    (tmp_path / "home").mkdir()
    folder = Folder(tmp_path / "home", counted())
    yield UndoLog(folder)
    folder.close()


def save(log: UndoLog, target: str = "disk", token: str = "0123abcd", **changes: Any) -> UndoEntry:
    return log.save(target, PARTS, now=NOW, token=token, **changes)


def entry_path(tmp_path: Path, entry: UndoEntry) -> Path:
    return tmp_path / "home" / "undo" / entry.id


def test_both_contents_are_kept_and_found_again(log: UndoLog, tmp_path: Path) -> None:
    entry = save(log, why="restore", facts={"device": "/dev/sdb1", "size": 5})
    assert entry.id == "000001-0123abcd"
    assert log.entries("disk") == [entry]
    assert (entry.state, entry.manifest.why, entry.manifest.facts["size"]) == (UndoState.PENDING, "restore", 5)
    assert log.read(entry) == PARTS
    assert (entry_path(tmp_path, entry) / "old-4096.bin").read_bytes() == b"old slot"
    assert log.entries("other") == []
    assert log.entries() == [entry]


def test_later_entries_come_first_whatever_the_clock(log: UndoLog) -> None:
    first = log.save("disk", PARTS, now=LATER, token="ffffffff")
    second = log.save("disk", PARTS, now=NOW, token="00000000")
    assert log.entries("disk") == [second, first]


def test_states_are_added_never_changed(log: UndoLog, tmp_path: Path) -> None:
    entry = save(log)
    done = log.mark(entry, UndoState.DONE, now=NOW)
    assert log.entries() == [done]
    undone = log.mark(done, UndoState.UNDONE, now=LATER)
    assert log.entries() == [undone]
    assert undone.states == (UndoState.DONE, UndoState.UNDONE)
    with pytest.raises(Busy):
        log.mark(done, UndoState.DROPPED, now=LATER)
    assert log.entries() == [undone]


def test_a_damaged_mark_leaves_it_open(log: UndoLog, tmp_path: Path) -> None:
    entry = log.mark(save(log), UndoState.DONE, now=NOW)
    flip(entry_path(tmp_path, entry) / "mark-1.json")
    (found,) = log.entries()
    assert found.state is UndoState.PENDING
    assert [problem.name for problem in log.problems] == [f"undo/{entry.id}/mark-1.json"]
    assert log.mark(found, UndoState.UNDONE, now=NOW).state is UndoState.UNDONE
    (found,) = log.entries()
    assert found.state is UndoState.UNDONE


def test_a_mark_of_another_entry_says_nothing(log: UndoLog, tmp_path: Path) -> None:
    first, second = log.mark(save(log), UndoState.DONE, now=NOW), save(log)
    mark = (entry_path(tmp_path, first) / "mark-1.json").read_bytes()
    (entry_path(tmp_path, second) / "mark-1.json").write_bytes(mark)
    assert [entry.state for entry in log.entries()] == [UndoState.PENDING, UndoState.DONE]


def test_a_second_place_holds_the_same(log: UndoLog, tmp_path: Path) -> None:
    entry = log.mark(save(log), UndoState.DONE, now=NOW)
    (tmp_path / "usb").mkdir()
    folder = Folder(tmp_path / "usb", counted("usb"))
    second = UndoLog(folder)
    second.copy(entry, log)
    (copy,) = second.entries("disk")
    assert (copy.manifest, copy.state) == (entry.manifest, UndoState.PENDING)
    flip(entry_path(tmp_path, entry) / "old-0.bin")
    with pytest.raises(DamagedInput, match=r"old-0\.bin .*is damaged") as raised:
        log.read(entry)
    assert "second place" in raised.value.hint
    assert second.read(copy) == PARTS
    with pytest.raises(Busy):
        second.copy(entry, second)
    assert second.read(copy) == PARTS
    folder.close()


@pytest.mark.parametrize("change", ["flip", "cut", "grow", "remove"])
@pytest.mark.parametrize("name", ["old-0.bin", "new-4096.bin"])
def test_damaged_contents_are_not_given_out(log: UndoLog, tmp_path: Path, name: str, change: str) -> None:
    entry = save(log)
    path = entry_path(tmp_path, entry) / name
    data = path.read_bytes()
    {
        "flip": lambda: flip(path),
        "cut": lambda: path.write_bytes(data[:-1]),
        "grow": lambda: path.write_bytes(data + b"x"),
        "remove": path.unlink,
    }[change]()
    with pytest.raises((DamagedInput, NotFound), match=name):
        log.read(entry)


def test_damaged_manifests_are_named_and_passed_over(log: UndoLog, tmp_path: Path) -> None:
    good, torn, moved, odd = (save(log, token=f"0000000{number}") for number in range(4))
    flip(entry_path(tmp_path, torn) / "manifest.json")
    (entry_path(tmp_path, moved) / "manifest.json").write_bytes(
        (entry_path(tmp_path, good) / "manifest.json").read_bytes()
    )
    members = to_json(odd.manifest) | {
        "ranges": [{"offset": 9, "length": 0, "old_sha256": "", "new_sha256": ""}],
    }
    (entry_path(tmp_path, odd) / "manifest.json").write_bytes(encode_document(members))
    assert log.entries() == [good]
    assert len(log.problems) == 3
    (tmp_path / "home" / "undo" / "photos").mkdir()
    assert log.entries() == [good]


@pytest.mark.parametrize(
    "parts",
    [
        [Replacement(0, b"a", b"ab")],
        [Replacement(0, b"", b"")],
        [Replacement(5, b"a", b"b"), Replacement(0, b"a", b"b")],
        [Replacement(0, b"aa", b"bb"), Replacement(1, b"a", b"b")],
    ],
)
def test_ranges_that_make_no_sense_are_refused(log: UndoLog, parts: list[Replacement]) -> None:
    with pytest.raises(UsageError):
        log.save("disk", parts, now=NOW, token="0123abcd")
    assert log.entries() == []


@pytest.mark.parametrize("token", ["", "../../..", "0123ABCD", "0123abcd\n"])
def test_tokens_that_are_no_digits_are_refused(log: UndoLog, tmp_path: Path, token: str) -> None:
    with pytest.raises(UsageError):
        save(log, token=token)
    with pytest.raises(UsageError):
        log.remove(f"000001-{token}")
    assert os.listdir(tmp_path / "home") == []


def test_when_saving_fails_there_is_no_entry(log: UndoLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write
    written = 0

    def write(fd: int, data: bytes) -> int:
        nonlocal written
        written += 1
        if written > 3:
            raise OSError(28, "full")
        return real_write(fd, data)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StoreError) as raised:
        save(log)
    assert raised.value.code == "store-full"
    assert os.listdir(tmp_path / "home" / "undo") == []


def test_removing_takes_all_of_it(log: UndoLog, tmp_path: Path) -> None:
    entry = log.mark(save(log), UndoState.DONE, now=NOW)
    log.remove(entry.id)
    assert os.listdir(tmp_path / "home" / "undo") == []
    log.remove(entry.id)


def test_unfinished_entries_go_after_a_day(log: UndoLog, tmp_path: Path) -> None:
    kept, old, young = save(log), save(log), save(log)
    for entry in (old, young):
        (entry_path(tmp_path, entry) / "manifest.json").unlink()
    for path in entry_path(tmp_path, old).iterdir():
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    for path in entry_path(tmp_path, young).iterdir():
        os.utime(path, (LATER.timestamp(), LATER.timestamp()))
    for path in entry_path(tmp_path, kept).iterdir():
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    (tmp_path / "home" / "undo" / "000009-0123abcd").mkdir()
    assert log.entries() == [kept]
    assert log.clean(now=LATER) == [old.id, "000009-0123abcd"]
    assert sorted(os.listdir(tmp_path / "home" / "undo")) == sorted([kept.id, young.id])
    assert log.read(kept) == PARTS

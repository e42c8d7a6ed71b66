"""Trees of nodes: walking and finding within bounds, and the readers behind them in this process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.view.children import children
from unit.view.readers import FaultyReader, noise

from luksafe.errors import DamagedInput, NotFound
from luksafe.reader import BytesReader
from luksafe.view.files import filesystem
from luksafe.view.files.filesystem import MAX_DEPTH, Walk, find, open_filesystem
from luksafe.view.files.isolated import Found, run_isolated
from luksafe.view.files.node import Entry, EntryKind, Node
from luksafe.view.files.reading import ZeroFilling

BIG = noise(300_000)


class Tree:
    """A folder or file in memory."""

    def __init__(self, name: bytes, inode: int, kind: EntryKind = EntryKind.FOLDER, target: bytes = b"") -> None:
        self.entry = Entry(name, kind, 0, 0o755, 0, inode, target)
        self.inside: list[Tree] = []
        self.error: OSError | None = None

    def children(self) -> Iterator[Node]:
        yield from self.inside
        if self.error:
            raise self.error

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        return b""


def tree() -> Tree:
    root, folder = Tree(b"/", 2), Tree(b"Folder", 3)
    link = Tree(b"link", 5, EntryKind.LINK, b"Folder")
    root.inside = [folder, link]
    folder.inside = [Tree(b"file", 4, EntryKind.FILE)]
    return root


def names(walked: Walk) -> list[bytes]:
    return [b"/".join(parts) for parts, _ in walked]


def test_walking_gives_folders_first() -> None:
    assert names(Walk(tree())) == [b"", b"Folder", b"Folder/file", b"link"]


def test_loops_are_not_entered() -> None:
    root = tree()
    root.inside[0].inside.append(Tree(b"up", 2))
    root.inside[0].inside[-1].inside = root.inside
    walked = Walk(root)
    assert names(walked) == [b"", b"Folder", b"Folder/file", b"Folder/up", b"link"]
    assert walked.failed == [((b"Folder", b"up"), "a folder within itself, or too deep")]


def test_depth_is_bounded() -> None:
    root = at = Tree(b"/", 0)
    for inode in range(1, 2 * MAX_DEPTH):
        at.inside = [Tree(b"d", inode)]
        at = at.inside[0]
    walked = Walk(root)
    assert len(names(walked)) == MAX_DEPTH + 1
    assert len(walked.failed) == 1


def test_the_number_of_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "MAX_ENTRIES", 3)
    with pytest.raises(DamagedInput, match="more than"):
        names(Walk(tree()))


def test_folders_that_cannot_be_read_are_noted() -> None:
    root = tree()
    root.inside[0].error = OSError(5, "bad sector")
    walked = Walk(root)
    assert b"link" in names(walked)
    assert walked.failed[0][0] == (b"Folder",)


def test_finding() -> None:
    root = tree()
    assert find(root, "/").entry.name == b"/"
    assert find(root, "Folder//./file").entry.inode == 4
    assert find(root, "/fOLDER/FILE", caseless=True).entry.inode == 4
    with pytest.raises(NotFound):
        find(root, "/folder")
    with pytest.raises(NotFound) as caught:
        find(root, "/link/file")
    assert "Folder" in caught.value.hint


def small_tree(tmp_path: Path) -> Path:
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "big").write_bytes(BIG)
    (tmp_path / "tree" / "link").symlink_to("sub/big")
    return tmp_path / "tree"


def check(root: Node) -> None:
    found = {b"/".join(parts): node for parts, node in Walk(root)}
    big = found[b"sub/big"]
    assert big.entry.kind is EntryKind.FILE
    assert big.read_at(0, 1 << 20) == BIG
    assert big.read_at(100_000, 50) == BIG[100_000:100_050]
    assert big.read_at(len(BIG), 10) == b""
    assert found[b"link"].entry.link_target == b"sub/big"


def test_ext4_in_this_process(tmp_path: Path) -> None:
    if not shutil.which("mkfs.ext4"):
        pytest.skip("mkfs.ext4 is not installed")
    subprocess.run(["mkfs.ext4", "-q", "-d", small_tree(tmp_path), tmp_path / "image", "8M"], check=True)
    check(open_filesystem(BytesReader((tmp_path / "image").read_bytes()), "ext4"))


def test_xfs_in_this_process(tmp_path: Path) -> None:
    if not shutil.which("mkfs.xfs"):
        pytest.skip("mkfs.xfs is not installed")
    big, proto, image = small_tree(tmp_path) / "sub" / "big", tmp_path / "proto", tmp_path / "image"
    proto.write_text(f"x\n0 0\nd--755 0 0\nsub d--755 0 0\nbig ---644 0 0 {big}\n$\nlink l--777 0 0 sub/big\n$\n")
    subprocess.run(["mkfs.xfs", "-q", "-f", "-p", proto, "-d", f"file,name={image},size=300m"], check=True)
    check(open_filesystem(BytesReader(image.read_bytes()), "xfs"))


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 15), max_size=4), st.integers(0, 16 * 512), st.integers(0, 16 * 512))
def test_zeros_stand_for_exactly_the_sectors_that_fail(bad: set[int], offset: int, length: int) -> None:
    data = noise(16 * 512)
    filling = ZeroFilling(FaultyReader(data, [(number * 512, number * 512 + 512) for number in bad]))
    read = filling.read_at(offset // 512 * 512, length)
    expected = bytearray(data)
    for number in bad:
        expected[number * 512 : number * 512 + 512] = bytes(512)
    assert read == expected[offset // 512 * 512 :][:length]
    assert (filling.bad_bytes > 0) == (read != data[offset // 512 * 512 :][:length])


def test_a_crash_in_the_isolated_process_is_damage() -> None:
    def crash() -> Iterator[Found]:
        yield Found((), Entry(b"x", EntryKind.FILE, 0, 0, 0, 0))
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(DamagedInput, match="beyond"):
        list(run_isolated(crash))


def test_a_flood_of_memory_in_the_isolated_process_is_damage() -> None:
    def flood() -> Iterator[Found]:
        held = []
        while True:
            held.append(bytearray(64 << 20))
            yield from ()

    with pytest.raises(DamagedInput):
        list(run_isolated(flood))


def test_leaving_early_ends_the_isolated_process() -> None:
    def endless() -> Iterator[Found]:
        while True:
            yield Found((b"x",), Entry(b"x", EntryKind.FILE, 0, 0, 0, 0))

    before = children()
    messages = run_isolated(endless)
    assert isinstance(next(messages), Found)
    messages.close()  # type: ignore[attr-defined]
    assert children() <= before

"""Files inside volumes: filesystems made by the usual tools, and broken ones."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Corpus
from unit.view.readers import FaultyReader, noise
from unit.view.volumes import decrypted

from luksafe.errors import DamagedInput, LuksafeError, NotFound, Refused, Unsupported
from luksafe.reader import BytesReader
from luksafe.view.files.copying import CopyReport, copy_tree
from luksafe.view.files.isolated import Found
from luksafe.view.files.reading import list_files, read_files
from luksafe.view.inside.volumes import inner_volumes

BIG = noise(3 << 20)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    (root / "dir" / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("hello\n")
    (root / "dir" / "big").write_bytes(BIG)
    (root / "dir" / "sub" / "ü name").write_text("x")
    (root / "dir" / "link").symlink_to("../a.txt")
    (root / "empty").touch()
    os.mkfifo(root / "pipe")
    with (root / "sparse").open("wb") as file:
        file.truncate(5 << 20)
        file.seek(4 << 20)
        file.write(b"end of the hole")
    (root / "a.txt").chmod(0o640)
    os.utime(root / "a.txt", ns=(10**18, 10**18))
    (root / "dir").chmod(0o555)
    return root


def need(*tools: str) -> None:
    for tool in tools:
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")


def make_ext4(tree: Path, image: Path) -> None:
    need("mkfs.ext4")
    subprocess.run(["mkfs.ext4", "-q", "-d", tree, image, "24M"], check=True)


def make_ext2(tree: Path, image: Path) -> None:
    need("mkfs.ext2")
    subprocess.run(["mkfs.ext2", "-q", "-b", "1024", "-d", tree, image, "24M"], check=True)


def make_xfs(tree: Path, image: Path) -> None:
    need("mkfs.xfs")
    big, other, proto = tree / "dir" / "big", image.with_name("other"), image.with_name("proto")
    other.write_text("x")
    proto.write_text(
        f"x\n0 0\nd--755 0 0\na.txt ---640 0 0 {tree / 'a.txt'}\nempty ---644 0 0 {tree / 'empty'}\n"
        f"dir d--555 0 0\nbig ---644 0 0 {big}\nlink l--777 0 0 ../a.txt\n"
        f"sub d--755 0 0\nother ---644 0 0 {other}\n$\n$\n$\n"
    )
    subprocess.run(["mkfs.xfs", "-q", "-f", "-p", proto, "-d", f"file,name={image},size=300m"], check=True)


def reader_of(image: Path) -> BytesReader:
    return BytesReader(image.read_bytes())


@pytest.fixture(scope="module")
def ext4(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = tmp_path_factory.mktemp("ext4") / "image"
    make_ext4(tree, image)
    return image


def listed(
    reader: BytesReader | FaultyReader, content: str, path: str = "/", *, recursive: bool = False
) -> dict[str, Found]:
    found = list_files(reader, content, path, recursive=recursive)
    return {os.fsdecode(b"/".join(item.parts)): item for item in found if isinstance(item, Found)}


@pytest.mark.parametrize(("make", "content"), [(make_ext4, "ext4"), (make_ext2, "ext2"), (make_xfs, "xfs")])
def test_lists_and_copies_trees(make: Callable[[Path, Path], None], content: str, tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    make(tree, image)
    reader = reader_of(image)
    top = listed(reader, content)
    assert {"a.txt", "dir", "empty"} <= set(top)
    assert top["a.txt"].entry.size_bytes == 6
    assert top["a.txt"].entry.mode == 0o640
    everything = listed(reader, content, recursive=True)
    assert everything["dir/link"].entry.link_target == b"../a.txt"
    assert everything["dir/big"].entry.size_bytes == len(BIG)
    report = copy_tree(read_files(reader, content, "/"), tmp_path / "out")
    assert (tmp_path / "out" / "a.txt").read_text() == "hello\n"
    assert (tmp_path / "out" / "dir" / "big").read_bytes() == BIG
    assert (tmp_path / "out" / "dir" / "link").readlink() == Path("../a.txt")
    assert (tmp_path / "out" / "empty").read_bytes() == b""
    assert stat.S_IMODE((tmp_path / "out" / "dir").stat().st_mode) == 0o555
    assert stat.S_IMODE((tmp_path / "out" / "a.txt").stat().st_mode) == 0o640
    assert report.files >= 4


def test_names_times_holes_and_what_is_no_file(ext4: Path, tmp_path: Path) -> None:
    report = copy_tree(read_files(reader_of(ext4), "ext4", "/"), tmp_path / "out")
    out = tmp_path / "out"
    assert (out / "dir" / "sub" / "ü name").read_text() == "x"
    assert (out / "a.txt").stat().st_mtime_ns == 10**18
    assert (out / "sparse").read_bytes() == bytes(4 << 20) + b"end of the hole" + bytes((1 << 20) - 15)
    assert (out / "sparse").stat().st_blocks * 512 < 3 << 20
    assert report.notes == [("pipe", "it is a device, pipe or socket")]
    assert not (out / "pipe").exists()


def test_one_file_and_one_folder(ext4: Path, tmp_path: Path) -> None:
    reader = reader_of(ext4)
    copy_tree(read_files(reader, "ext4", "/dir/big"), tmp_path / "big")
    assert (tmp_path / "big").read_bytes() == BIG
    copy_tree(read_files(reader, "ext4", "dir/sub"), tmp_path / "sub")
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["ü name"]
    assert list(listed(reader, "ext4", "/a.txt")) == ["a.txt"]


def test_paths_that_are_not_there(ext4: Path) -> None:
    reader = reader_of(ext4)
    with pytest.raises(NotFound, match="no such file"):
        list(list_files(reader, "ext4", "/dir/nothing"))
    with pytest.raises(NotFound, match="no folder"):
        list(list_files(reader, "ext4", "/a.txt/x"))
    with pytest.raises(NotFound) as caught:
        list(list_files(reader, "ext4", "/dir/link/x"))
    assert "../a.txt" in caught.value.hint


def test_ntfs(tree: Path, tmp_path: Path) -> None:
    need("mkntfs", "ntfscp")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkntfs", "-q", "-F", "-p", "0", "-H", "0", "-S", "0", image], check=True, capture_output=True)
    subprocess.run(["ntfscp", "-q", image, tree / "dir" / "big", "Big File"], check=True, capture_output=True)
    assert list(listed(reader_of(image), "ntfs")) == ["Big File"]
    copy_tree(read_files(reader_of(image), "ntfs", "/big file"), tmp_path / "big")  # NTFS does not tell case apart
    assert (tmp_path / "big").read_bytes() == BIG


@pytest.mark.parametrize(
    "case_id", ["pl-l1-ext4-essiv", "pl-l2-ext4", "pl-l2-detachable", "pl-l2-vfat", "py-l1-vfat", "py-l2-ext4"]
)
def test_corpus_volumes_hold_the_known_files(corpus: Corpus, tmp_path: Path, case_id: str) -> None:
    (inner,) = inner_volumes(decrypted(corpus, case_id))
    assert inner.content == corpus.cases[case_id]["payload"]["blkid"]["TYPE"]
    assert inner.reader is not None
    for number, (path, sha256) in enumerate(corpus.cases[case_id]["payload"]["files"].items()):
        copy_tree(read_files(inner.reader, inner.content, path), tmp_path / str(number))
        assert hashlib.sha256((tmp_path / str(number)).read_bytes()).hexdigest() == sha256


def test_existing_destinations_are_left_alone(ext4: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(Refused, match="exists"):
        copy_tree(read_files(reader_of(ext4), "ext4", "/a.txt"), tmp_path / "there")
    assert (tmp_path / "there").read_text() == "mine"
    with pytest.raises(NotFound, match="no such folder"):
        copy_tree(read_files(reader_of(ext4), "ext4", "/a.txt"), tmp_path / "no" / "there")


def test_unreadable_sectors_become_zeros_and_are_told(ext4: Path, tmp_path: Path) -> None:
    data = ext4.read_bytes()
    at = data.index(BIG[1 << 20 : (1 << 20) + 512])
    reader = FaultyReader(data, [(at, at + 512)])
    report = copy_tree(read_files(reader, "ext4", "/dir/big"), tmp_path / "big")
    expected = BIG[: 1 << 20] + bytes(512) + BIG[(1 << 20) + 512 :]
    assert (tmp_path / "big").read_bytes() == expected
    assert [text for _, text in report.notes] == [
        "512 bytes of the disk that belong to it are unreadable; zeros stand there"
    ]


def test_other_filesystems_name_the_way_out() -> None:
    for content in ("btrfs", "zfs_member", ""):
        with pytest.raises(Unsupported) as caught:
            list(list_files(BytesReader(bytes(1 << 20)), content))
        assert "mount -o ro,loop" in caught.value.hint


@pytest.mark.parametrize("content", ["ext4", "xfs", "ntfs", "vfat"])
def test_noise_is_damage(content: str) -> None:
    with pytest.raises(DamagedInput):
        list(list_files(BytesReader(noise(1 << 20)), content))


@pytest.mark.parametrize("seed", range(6))
def test_spoiled_filesystems_never_do_worse_than_an_error(ext4: Path, tmp_path: Path, seed: int) -> None:
    picks = random.Random(seed)
    data = bytearray(ext4.read_bytes())
    for _ in range(200):  # in the metadata, which stand at the start
        data[picks.randrange(1024, 600_000)] = picks.randrange(256)
    try:
        report = copy_tree(read_files(BytesReader(bytes(data)), "ext4", "/"), tmp_path / "out")
        assert isinstance(report, CopyReport)
    except LuksafeError as error:
        assert error.hint
    assert [path.name for path in tmp_path.iterdir()] in ([], ["out"])


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, ext4: Path) -> None:
    monkeypatch.setitem(sys.modules, "pytsk3", None)
    monkeypatch.setitem(sys.modules, "pyfsxfs", None)
    for content, name in (("ext4", "pytsk3"), ("xfs", "libfsxfs")):
        with pytest.raises(Unsupported, match=name):
            list(list_files(reader_of(ext4), content))

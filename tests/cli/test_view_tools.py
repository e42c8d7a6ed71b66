"""The data without the kernel, in the hands of the programs that people use on it: fsck, mount, btrfs, qemu-nbd."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from generators.headers import encrypted, luks2_image

MIB = 1 << 20


def need(*tools: str) -> None:
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def need_fuse() -> None:
    need("fusermount3")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs /dev/fuse")
    pytest.importorskip("mfusepy", exc_type=(ImportError, OSError))


def run(*command: str | Path, expected: int = 0) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Forty files in folders."""
    tree = tmp_path / "tree"
    for number in range(40):
        path = tree / f"folder{number % 5}" / f"file{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 5003))
    return tree


@pytest.fixture
def ext4_disk(world: Any, tree: Path) -> Path:
    need("mkfs.ext4", "e2fsck")
    run("mkfs.ext4", "-q", "-d", tree, world.folder / "plain", "16M")
    return world.image(data=luks2_image() + encrypted((world.folder / "plain").read_bytes()))


@contextmanager
def mounted(world: Any, disk: Path) -> Iterator[Path]:
    """The file that ``luksafe mount`` shows."""
    need_fuse()
    folder = world.folder / "mnt"
    folder.mkdir()
    with world.running("mount", disk, folder, "--key-file", world.key_file) as (_, line):
        yield Path(line)
    assert not os.path.ismount(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_fsck_a_loop_mount_and_eight_readers_of_all_files(world, ext4_disk, tree):
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("needs root and loop devices")
    inside = world.folder / "inside"
    inside.mkdir()
    with mounted(world, ext4_disk) as file:
        run("e2fsck", "-f", "-n", file)
        run("mount", "-o", "ro,loop", file, inside)
        try:
            with ThreadPoolExecutor(8) as readers:
                seen = list(readers.map(contents, [inside] * 8))
        finally:
            run("umount", inside)
    assert seen == [contents(tree)] * 8


def test_unmounting_while_it_is_read_is_refused_or_waits_for_the_reader(world, ext4_disk):
    plain = (world.folder / "plain").read_bytes()
    need_fuse()
    folder = world.folder / "mnt"
    folder.mkdir()
    with world.running("mount", ext4_disk, folder, "--key-file", world.key_file) as (process, line):
        with open(line, "rb") as reader:
            assert reader.read(MIB) == plain[:MIB]
            run("fusermount3", "-u", folder, expected=1)
            assert os.path.ismount(folder)
            run("fusermount3", "-u", "-z", folder)
            assert not os.path.ismount(folder)
            assert reader.read() == plain[MIB:]
        assert process.wait(20) == 0


def test_fsck_repairs_what_an_overlay_serves(world, ext4_disk):
    need("nbdfuse", "debugfs")
    need_fuse()
    plain = world.folder / "plain"
    run("debugfs", "-w", "-R", "clri /folder1/file6", plain)
    disk = world.image("broken.img", luks2_image() + encrypted(plain.read_bytes()))
    before = disk.read_bytes()
    folder = world.folder / "nbd"
    folder.mkdir()
    for expected in (1, 0):  # mended; and still so for the next server
        serve = ("serve", disk, "--key-file", world.key_file, "--socket", "s", "--overlay", "overlay")
        with world.running(*serve) as (_, uri):
            client = subprocess.Popen(["nbdfuse", folder / "device", uri])
            try:
                deadline = time.monotonic() + 20
                while not os.path.ismount(folder) and time.monotonic() < deadline:
                    time.sleep(0.02)
                run("e2fsck", "-f", "-y", folder / "device", expected=expected)
                run("e2fsck", "-f", "-n", folder / "device")
            finally:
                run("fusermount3", "-u", folder)
                client.wait(20)
    assert disk.read_bytes() == before


def test_qemu_nbd_serves_it_on(world, ext4_disk):
    need("qemu-nbd", "qemu-img")
    with world.running("serve", ext4_disk, "--key-file", world.key_file, "--socket", "s") as (_, uri):
        onward = world.folder / "onward"
        again = subprocess.Popen(["qemu-nbd", "--read-only", "--format=raw", f"--socket={onward}", uri])
        deadline = time.monotonic() + 20
        while not onward.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        try:
            assert run(
                "qemu-img", "compare", "-f", "raw", "-F", "raw", world.folder / "plain", f"nbd+unix:///?socket={onward}"
            )
        finally:
            again.terminate()
            again.wait(20)


def test_btrfs_names_the_commands_that_read_it_and_they_do(world, tree):
    need("mkfs.btrfs", "btrfs")
    plain = world.folder / "plain"
    with plain.open("wb") as file:
        file.truncate(40 * MIB)
    run("mkfs.btrfs", "-q", "--mixed", "--rootdir", tree, plain)
    disk = world.image(data=luks2_image() + encrypted(plain.read_bytes()))
    for command in (("ls", disk), ("cp", disk, "/folder1", "copy")):
        refused = world.run(*command, "--key-file", world.key_file)
        assert refused.status == 13
        assert "no files of btrfs are read here" in refused.err
        hint = " ".join(refused.err.split())
        assert "luksafe mount TARGET DIR, then btrfs restore DIR/volume FOLDER" in hint
        assert "mount -o ro,loop DIR/volume /mnt" in hint
    restored = world.folder / "restored"
    restored.mkdir()
    with mounted(world, disk) as file:
        run("btrfs", "restore", file, restored)
    assert contents(restored) == contents(tree)

"""Images made by the real tools, and what blkid says of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

MIB = 1 << 20
ENVIRONMENT = {
    **os.environ,
    "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin",
    "LC_ALL": "C",
    # mkfs.xfs refuses less than 300 MiB unless its own test suite asks for it.
    "TEST_DIR": "t",
    "TEST_DEV": "t",
    "QA_CHECK_FS": "t",
}
LUKS_FORMAT = ("cryptsetup", "-q", "luksFormat", "--pbkdf-force-iterations", "1000")
UUID = "6f2b1c3d-0a4e-4b5c-8d7e-9fa0b1c2d3e4"


class FileReader:
    """A Reader over a file, without reading all of it or keeping it open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size_bytes = path.stat().st_size

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(offset_bytes)
            return file.read(length_bytes)


@dataclass(frozen=True)
class Maker:
    """How to make an image: size, command (``IMG`` stands for the file) and what it becomes."""

    id: str
    name: str
    size: int
    command: Sequence[str]
    stdin: str = ""


def run(command: Sequence[str], image: Path, stdin: str = "") -> None:
    """Run a tool on the image; skips the test where the tool is not installed."""
    if shutil.which(command[0], path=ENVIRONMENT["PATH"]) is None:
        pytest.skip(f"{command[0]} is not installed")
    words = [str(image) if word == "IMG" else word for word in command]
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


def make(maker: Maker, path: Path, fill: Callable[[Path, int], None] | None = None) -> Path:
    """An image of ``maker.size`` bytes, sparse or filled by ``fill``, that the tool then worked on."""
    if fill is None:
        with path.open("wb") as out:
            out.truncate(maker.size)
    else:
        fill(path, maker.size)
    run(maker.command, path, maker.stdin)
    return path


def physical_volume(device: Path, folder: Path, *options: str) -> None:
    """pvcreate and vgcreate on one loop device, looking at no other and leaving no trace in the system."""
    devices = f'devices{{use_devicesfile=0 scan="/dev" filter=["a|{device}|","r|.*|"]}}'
    settings = f'{devices} global{{locking_dir="{folder}"}} backup{{backup=0 archive=0}}'
    run(("pvcreate", "-q", "-y", "--config", settings, *options, "IMG"), device)
    run(("vgcreate", "-q", "-y", "--config", settings, "some_group", "IMG"), device)


def blkid(path: Path) -> dict[str, str]:
    """What ``blkid -p`` says, by name."""
    if shutil.which("blkid", path=ENVIRONMENT["PATH"]) is None:
        pytest.skip("blkid is not installed")
    command = ["blkid", "-p", "-o", "export", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    pairs = (line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return {name: value.replace("\\ ", " ") for name, value in pairs}


def _ext(id_: str, kind: str, *options: str, size: int = 32 * MIB) -> Maker:
    return Maker(id_, kind, size, (f"mkfs.{kind}", "-q", "-F", "-L", "label", "-U", UUID, *options, "IMG"))


def _fat(bits: str, size: int, *options: str) -> Maker:
    return Maker(
        f"fat{bits}", "vfat", size, ("mkfs.vfat", "-F", bits, "-n", "LABEL", "-i", "1234abcd", *options, "IMG")
    )


MAKERS = (
    _fat("12", 4 * MIB),
    _fat("16", 16 * MIB),
    _fat("32", 64 * MIB),
    Maker("fat32-4096", "vfat", 300 * MIB, ("mkfs.vfat", "-F", "32", "-S", "4096", "-n", "LABEL", "IMG")),
    Maker("exfat", "exfat", 16 * MIB, ("mkfs.exfat", "-L", "label", "IMG")),
    Maker("ntfs", "ntfs", 16 * MIB, ("mkfs.ntfs", "-F", "-Q", "-L", "label", "IMG")),
    Maker("ntfs-64k", "ntfs", 32 * MIB, ("mkfs.ntfs", "-F", "-Q", "-c", "65536", "-L", "label", "IMG")),
    _ext("ext2", "ext2"),
    _ext("ext2-1k", "ext2", "-b", "1024"),
    _ext("ext3", "ext3"),
    _ext("ext4", "ext4"),
    _ext("ext4-1k", "ext4", "-b", "1024"),
    _ext("ext4-2k-64bit", "ext4", "-b", "2048", "-O", "64bit,metadata_csum"),
    _ext("ext4-no-csum", "ext4", "-O", "^metadata_csum,^64bit,^flex_bg"),
    _ext("ext4-meta-bg", "ext4", "-O", "meta_bg,^resize_inode", size=160 * MIB),
    _ext("ext4-sparse2", "ext4", "-b", "1024", "-O", "sparse_super2,^resize_inode"),
    _ext("ext4-bigalloc", "ext4", "-O", "bigalloc", size=64 * MIB),
    Maker("jbd", "jbd", 8 * MIB, ("mke2fs", "-q", "-F", "-O", "journal_dev", "-U", UUID, "IMG")),
    Maker("xfs-v5", "xfs", 64 * MIB, ("mkfs.xfs", "-q", "-L", "label", "-m", f"uuid={UUID}", "IMG")),
    Maker("xfs-v4", "xfs", 64 * MIB, ("mkfs.xfs", "-q", "-L", "label", "-m", "crc=0", "IMG")),
    Maker("xfs-4k", "xfs", 64 * MIB, ("mkfs.xfs", "-q", "-s", "size=4096", "-b", "size=4096", "IMG")),
    Maker("btrfs", "btrfs", 128 * MIB, ("mkfs.btrfs", "-q", "-L", "label", "-U", UUID, "IMG")),
    Maker("btrfs-sha256", "btrfs", 128 * MIB, ("mkfs.btrfs", "-q", "--csum", "sha256", "IMG")),
    Maker("btrfs-blake2", "btrfs", 128 * MIB, ("mkfs.btrfs", "-q", "--csum", "blake2", "IMG")),
    Maker("btrfs-xxhash-mixed", "btrfs", 64 * MIB, ("mkfs.btrfs", "-q", "-M", "--csum", "xxhash", "IMG")),
    Maker("swap-4k", "swap", MIB, ("mkswap", "-q", "-L", "label", "-U", UUID, "IMG")),
    Maker("swap-64k", "swap", MIB, ("mkswap", "-q", "-f", "-p", "65536", "-L", "label", "-U", UUID, "IMG")),
    Maker("f2fs", "f2fs", 64 * MIB, ("mkfs.f2fs", "-q", "-l", "label", "IMG")),
    Maker("f2fs-csum", "f2fs", 64 * MIB, ("mkfs.f2fs", "-q", "-O", "extra_attr,sb_checksum", "IMG")),
    Maker("udf", "udf", 16 * MIB, ("mkudffs", "-l", "label", "-b", "512", "IMG")),
    Maker("udf-2048", "udf", 16 * MIB, ("mkudffs", "-l", "label", "-b", "2048", "IMG")),
    Maker("udf-4096", "udf", 16 * MIB, ("mkudffs", "-l", "label", "-b", "4096", "IMG")),
    Maker("nilfs2", "nilfs2", 160 * MIB, ("mkfs.nilfs2", "-q", "-L", "label", "IMG")),
    Maker("jfs", "jfs", 16 * MIB, ("mkfs.jfs", "-q", "-L", "label", "IMG")),
    Maker("reiserfs", "reiserfs", 64 * MIB, ("mkreiserfs", "-q", "-f", "-f", "-l", "label", "-u", UUID, "IMG")),
    Maker("apfs", "apfs", 1024 * MIB, ("mkapfs", "IMG")),
    Maker("hfs", "hfs", 4 * MIB, ("hformat", "-l", "label", "IMG")),
    Maker("bcache-backing", "bcache", 4 * MIB, ("make-bcache", "-B", "IMG")),
    Maker("bcache-cache", "bcache", 64 * MIB, ("make-bcache", "-C", "IMG")),
    Maker(
        "luks1",
        "crypto_LUKS",
        8 * MIB,
        (*LUKS_FORMAT, "--type", "luks1", "IMG", "-"),
        "key",
    ),
    Maker(
        "luks2",
        "crypto_LUKS",
        24 * MIB,
        (*LUKS_FORMAT, "--type", "luks2", "--pbkdf", "pbkdf2", "--label", "label", "IMG", "-"),
        "key",
    ),
    Maker("gpt", "gpt", 8 * MIB, ("sgdisk", "-n", "1:2048:8191", "-c", "1:name", "IMG")),
    Maker("gpt-sfdisk", "gpt", 8 * MIB, ("sfdisk", "-q", "IMG"), "label: gpt\n2048,4096,L\n,,L\n"),
    Maker("dos", "dos", 8 * MIB, ("sfdisk", "-q", "IMG"), "label: dos\nlabel-id: 0x1234abcd\n2048,4096,83\n,,82\n"),
    Maker("dos-4", "dos", 8 * MIB, ("sfdisk", "-q", "IMG"), "label: dos\n2048,1024\n,1024\n,1024\n,1024\n"),
    Maker("dos-logical", "dos", 16 * MIB, ("sfdisk", "-q", "IMG"), "label: dos\n2048,2048\n,,E\n,4096\n,8192\n,\n"),
)

"""Accidents by real tools on healthy volumes, and how a diagnosis of them is judged.

What is right is not taken from our own reading: which bytes changed is compared with the image before, and whatever is
called repairable is repaired in memory and opened by cryptsetup.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from compat.probe.probe_images import ENVIRONMENT, MAKERS, MIB, Maker, run

from luksafe.device.source import open_source
from luksafe.luks.inspection import inspect
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.proposal import PatchedReader
from luksafe.luks.repair.volume import propose_repair
from luksafe.ops.diagnosis.facts import gather
from luksafe.ops.diagnosis.judge import diagnose
from luksafe.ops.diagnosis.model import Diagnosis
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace
from luksafe.reader import BytesReader

KEY = "key"
MOST_BYTES = 130 * MIB
SIZES = {"luks1": 24 * MIB, "luks2": 32 * MIB}
OPTIONS = {"luks1": (), "luks2": ("--pbkdf", "pbkdf2")}
NOT_OVER = ("fat32-4096", "apfs", "ext4-meta-bg", "nilfs2", "luks1", "luks2")
"""Too big for a test of every pair, or LUKS itself, which has tests of its own."""
NO_DISCARD = {
    **dict.fromkeys(("mkfs.ext2", "mkfs.ext3", "mkfs.ext4", "mke2fs"), ("-E", "nodiscard")),
    **dict.fromkeys(("mkfs.xfs", "mkfs.btrfs"), ("-K",)),
    "mkfs.f2fs": ("-t", "0"),
}


@dataclass(frozen=True)
class Accident:
    """Something done to an image. ``culprit`` is empty where nothing has to be named; ``size``: least image size."""

    id: str
    culprit: str
    do: Callable[[Path], None]
    size: int = 0


def _made_by(maker: Maker) -> Callable[[Path], None]:
    tool, *rest = maker.command
    force = {"mkfs.xfs": ("-f",), "mkfs.btrfs": ("-f",), "mkfs.f2fs": ("-f",), "mkswap": ("-f",)}.get(tool, ())
    command = (tool, *NO_DISCARD.get(tool, ()), *(f for f in force if f not in rest), *rest)
    if tool == "sfdisk":
        command = (tool, "--force", *rest)

    def work(path: Path) -> None:
        if tool == "make-bcache":  # refuses a device on which it sees something
            run(("wipefs", "-q", "-a", "IMG"), path)
        run(command, path, maker.stdin)

    return work


def _dd(offset: int, data: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("r+b") as out:
            out.seek(offset)
            out.write(data)

    return write


def _noise(length: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


def _command(*words: str, stdin: str = "") -> Callable[[Path], None]:
    return lambda path: run(words, path, stdin)


def _iso(path: Path) -> None:
    tree = path.parent / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(_noise(300_000, 7))
    run(("genisoimage", "-quiet", "-J", "-R", "-o", "IMG", str(tree)), path.parent / "cd.iso")
    _dd(0, (path.parent / "cd.iso").read_bytes())(path)


GRUB = Path("/usr/lib/grub/i386-pc")


def _grub(path: Path) -> None:
    """The boot code alone."""
    if not (GRUB / "boot.img").exists():
        pytest.skip("GRUB's boot.img (package grub-pc-bin) is not installed")
    _dd(0, (GRUB / "boot.img").read_bytes()[:440])(path)


def _grub_install(path: Path) -> None:
    """What grub-install writes to a disk with a DOS table: the boot code, and the core image in the gap behind it."""
    _grub(path)
    core = path.parent / "core.img"
    run(("grub-mkimage", "-O", "i386-pc", "-d", str(GRUB), "-o", "IMG", "-p", "/boot", "biosdisk", "ext2"), core)
    _dd(512, core.read_bytes())(path)


def _zpool(path: Path) -> None:
    """``zpool create`` by the ZFS that needs no kernel module."""
    for tool in ("zfs-fuse", "zpool"):
        if shutil.which(tool, path=ENVIRONMENT["PATH"]) is None or not os.path.exists("/dev/fuse"):
            pytest.skip(f"{tool} is not installed")
    command = ["zfs-fuse", "--no-daemon", "--no-kstat-mount", "-p", str(path.parent / "pid")]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        try:
            for _ in range(50):
                created = subprocess.run(
                    ["zpool", "create", "-f", "-m", "none", "luksafe-test", str(path)],
                    env=ENVIRONMENT,
                    capture_output=True,
                    timeout=60,
                )
                if created.returncode == 0:
                    break
                time.sleep(0.1)
            assert created.returncode == 0, created.stderr
            run(("zpool", "export", "luksafe-test"), path)
        finally:
            daemon.terminate()


def _discard(path: Path) -> None:
    """``blkdiscard`` on a loop device over the image, as TRIM of a whole disk does."""
    if os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
        pytest.skip("loop devices need root and /dev/loop-control")
    node = subprocess.run(["losetup", "--find", "--show", path], check=True, capture_output=True, text=True).stdout
    try:
        run(("blkdiscard", "-f", "-l", str(MIB), "IMG"), Path(node.strip()))
    finally:
        subprocess.run(["losetup", "--detach", node.strip()], check=True)


def _truncate(size: int) -> Callable[[Path], None]:
    def cut(path: Path) -> None:
        with path.open("r+b") as out:
            out.truncate(size)

    return cut


TEXT = b"".join(b"line %d of a log that went to the wrong place\n" % n for n in range(4000))
FORMAT = ("cryptsetup", "-q", "luksFormat", "--pbkdf-force-iterations", "1000")
ACCIDENTS = (
    *(Accident(m.id, m.name, _made_by(m), m.size) for m in MAKERS if m.id not in NOT_OVER and m.size <= MOST_BYTES),
    *(Accident(f"zeros-{length}", "zeros", _dd(0, bytes(length))) for length in (512, 4096, 20480, MIB, 16 * MIB)),
    *(Accident(f"ff-{length}", "ff", _dd(0, b"\xff" * length)) for length in (512, 4096, MIB)),
    *(Accident(f"pattern-{length}", "pattern", _dd(0, b"\xde\xad" * (length // 2))) for length in (4096, 65536)),
    Accident("random-4096", "random", _dd(0, _noise(4096))),
    Accident("text-172k", "text", _dd(0, TEXT)),
    Accident("zero-sector-in-keyslot", "zeros", _dd(65536, bytes(512))),
    Accident("ff-page-in-keyslot", "ff", _dd(65536, b"\xff" * 4096)),
    Accident("text-in-keyslot", "text", _dd(65536, TEXT[:4096])),
    Accident("zeros-from-4k-to-16k", "zeros", _dd(4096, bytes(12288))),
    Accident("wipefs", "zeros", _command("wipefs", "-q", "-a", "IMG")),
    Accident("sgdisk-new", "gpt", _command("sgdisk", "-o", "IMG")),
    Accident("erase", "", _command("cryptsetup", "-q", "luksErase", "IMG")),
    Accident("iso-by-dd", "iso9660", _iso),
    Accident("grub-boot-code", "grub", _grub),
    Accident("grub-install", "grub", _grub_install),
    Accident("zpool", "zfs_member", _zpool, 65 * MIB),
    Accident("blkdiscard-first-mib", "zeros", _discard),
    Accident("cut-in-keyslot", "", _truncate(100_000)),
    Accident("cut-to-4k", "", _truncate(4096)),
    Accident("flip-in-magic", "", _dd(0, b"MUKS")),
)
FORMATS = ("luks1", "luks2")


@dataclass(frozen=True)
class Outcome:
    """What a diagnosis said of an accident, and what it was to say."""

    accident: str
    luks: str
    verdict: str
    allowed: tuple[str, ...]
    named: tuple[str, ...]
    culprit: str
    summary: str = ""

    @property
    def is_right(self) -> bool:
        return self.verdict in self.allowed

    @property
    def is_named(self) -> bool:
        return not self.culprit or self.culprit in self.named

    def row(self) -> dict[str, object]:
        """For the table at the end of a run."""
        return {
            "accident": self.accident,
            "luks": self.luks,
            "verdict": self.verdict + ("" if self.is_right else f" WRONG, not {'/'.join(self.allowed)}"),
            "culprit": (",".join(self.named) or "-") + ("" if self.is_named else f" WRONG, not {self.culprit}"),
            "verdict_right": self.is_right,
            "culprit_right": self.is_named if self.culprit else None,
        }


def healthy_volume(luks: str, folder: Path) -> Callable[[int], bytes]:
    """Makes volumes of a format, of at least the size given, full of what looks like cipher text."""
    path = folder / luks
    path.write_bytes(bytes(SIZES[luks]))
    run((*FORMAT, "--type", luks, *OPTIONS[luks], "IMG", "-"), path, KEY)
    start = path.read_bytes()[: 2 * MIB if luks == "luks1" else 16 * MIB]
    return lambda size: start + _noise(max(size, SIZES[luks]) - len(start), 5)


def judge(accident: str, culprit: str, luks: str, before: bytes, path: Path) -> Outcome:
    """Diagnose the image at ``path``, which read ``before`` until the accident; asserts that nothing is written."""
    after = path.read_bytes()
    digest = hashlib.sha256(after).digest()
    diagnosis = look(path, path.parent)
    assert hashlib.sha256(path.read_bytes()).digest() == digest
    wanted = {"needs-backup"} if accident == "erase" else allowed_verdicts(before, after)
    verdict, named = diagnosis.verdict.value, tuple(diagnosis.overwritten_by)
    return Outcome(accident, luks, verdict, tuple(sorted(wanted)), named, culprit, diagnosis.summary)


def look(path: Path, folder: Path) -> Diagnosis:
    workspace = Workspace(folder / "no-vault", state_folder=folder / "state")
    with open_target(workspace, str(path)) as target:
        return diagnose(gather(workspace, target))


def allowed_verdicts(before: bytes, after: bytes) -> set[str]:
    """The verdicts that the changed bytes allow, whatever we think of them."""
    header = inspect(BytesReader(before)).require_header()
    area = header.keyslots[0].area
    assert area is not None
    end = header.data_offset
    blocks = [(before[at : at + 4096], after[at : at + 4096]) for at in range(0, end, 4096)]
    if not any(old == new for old, new in blocks if any(old)):
        # not one block of the header area is left: only a backup of this device could tell
        return {"needs-backup", "not-luks"}
    key = slice(area.offset, area.offset + header.keyslots[0].key_size * 4000)
    if after[key] != before[key]:
        return {"needs-backup"}
    copies = [slice(0, 592)] if header.format == "luks1" else [slice(0, 16384), slice(16384, 32768)]
    whole = [after[copy] == before[copy] for copy in copies]
    if all(whole):
        return {"healthy"}
    without_magic = [after[copy][6:] == before[copy][6:] for copy in copies]
    return {"repairable"} if any(whole) or any(without_magic) else {"repairable", "needs-backup"}


def opens_after_repair(path: Path, folder: Path) -> bool:
    with open_source(path) as reader:
        outcome = propose_repair(reader, random.Random(3).randbytes, Effort(60))
        data = PatchedReader(reader, outcome.patches).read_at(0, reader.size_bytes)
    mended = folder / "mended.img"
    mended.write_bytes(data)
    # the foreign signature is still there: cryptsetup opens by the header alone
    command = ["cryptsetup", "open", "--test-passphrase", "--key-file", "-", str(mended)]
    return subprocess.run(command, input=KEY.encode(), env=ENVIRONMENT, capture_output=True).returncode == 0

"""What happened to a volume, what a diagnosis may say of it, and whether there is a way back in."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import struct
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from accidents.volumes import FAST, MIB, PASSPHRASE, PBKDF2, Volume, cryptsetup
from compat.accidents import ACCIDENTS as BY_TOOLS
from compat.accidents import Accident as ByTool

Change = Callable[[bytes, Volume], bytes]
ANY, LUKS1, LUKS2, IN_TABLE = "any", "luks1", "luks2", "in-table"


@dataclass(frozen=True)
class Happening:
    """``verdicts`` and ``leads_in``: without a backup in the vault, and with one that was proven.

    ``leads_in`` None: a way in may be found, but nobody promises it. ``culprit``: empty where none has to be named.
    """

    id: str
    change: Change
    verdicts: tuple[frozenset[str], frozenset[str]]
    leads_in: tuple[bool | None, bool | None]
    on: str = ANY
    culprit: str = ""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def happening(
    name: str, change: Change, without: str, with_one: str, leads_in: tuple[bool | None, bool | None], **more: str
) -> Happening:
    return Happening(name, change, (_words(without), _words(with_one)), leads_in, **more)


def put(offset: int, data: bytes) -> Change:
    """Bytes written at an offset of the volume."""
    return lambda disk, v: disk[: v.start + offset] + data + disk[v.start + offset + len(data) :]


def noise(length: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


def both_copies(offset: int, data: bytes) -> Change:
    """Written into both LUKS2 header copies, whose checksums are left alone."""

    def change(disk: bytes, v: Volume) -> bytes:
        size = _header_size(disk, v)
        return put(size + offset, data)(put(offset, data)(disk, v), v)

    return change


def holes(first: int, second: int, length: int, filling: bytes) -> Change:
    """A hole in the JSON of each copy, at different places."""

    def change(disk: bytes, v: Volume) -> bytes:
        size = _header_size(disk, v)
        return put(size + second, filling * length)(put(first, filling * length)(disk, v), v)

    return change


def new_json(edit: Callable[[dict[str, object]], None]) -> Change:
    """The JSON of both LUKS2 copies edited, with checksums that fit: what a faulty tool writes."""

    def change(disk: bytes, v: Volume) -> bytes:
        size = _header_size(disk, v)
        for at in (0, size):
            header = bytearray(disk[v.start + at : v.start + at + size])
            document = json.loads(bytes(header[4096:]).split(b"\0")[0])
            edit(document)
            text = json.dumps(document, separators=(",", ":")).encode()
            header[4096:] = text.ljust(size - 4096, b"\0")
            header[448:512] = bytes(64)
            header[448:480] = hashlib.sha256(header).digest()
            disk = put(at, bytes(header))(disk, v)
        return disk

    return change


def _stripes(document: dict[str, object]) -> None:
    for keyslot in document["keyslots"].values():  # type: ignore[attr-defined]
        keyslot["af"]["stripes"] = 4001


def _header_size(disk: bytes, v: Volume) -> int:
    (size,) = struct.unpack_from(">Q", disk, v.start + 8)
    return int(size)


def in_file(work: Callable[[Path], None], *, suffix: str = ".img") -> Change:
    """Done by tools to a file."""

    def change(disk: bytes, _: Volume) -> bytes:
        with tempfile.TemporaryDirectory(prefix="accident-") as folder:
            path = Path(folder) / f"disk{suffix}"
            path.write_bytes(disk)
            work(path)
            return path.read_bytes()

    return change


def by(tool: ByTool) -> Change:
    def work(path: Path) -> None:
        if path.stat().st_size < tool.size:
            with path.open("r+b") as file:
                file.truncate(tool.size)
        tool.do(path)

    return in_file(work)


def _command(*words: str) -> Callable[[Path], None]:
    def work(path: Path) -> None:
        done = subprocess.run([w.replace("IMG", str(path)) for w in words], input=PASSPHRASE, capture_output=True)
        assert done.returncode == 0, done.stderr

    return work


def _format_again(kind: str) -> Callable[[Path], None]:
    options = PBKDF2 if kind == "luks2" else FAST

    def work(path: Path) -> None:
        other = path.with_suffix(".other")
        other.write_bytes(b"of another volume")
        assert cryptsetup("luksFormat", "--type", kind, *options, str(path), str(other)).returncode == 0

    return work


def _older_primary(disk: bytes, v: Volume) -> bytes:
    """The primary copy of before a keyslot was added; the secondary knows the new one."""

    def add(path: Path) -> None:
        other = path.with_suffix(".other")
        other.write_bytes(b"a third passphrase")
        assert cryptsetup("luksAddKey", *PBKDF2, "--key-file", "-", str(path), str(other)).returncode == 0

    newer = in_file(add)(disk, v)
    size = _header_size(disk, v)
    return put(0, disk[v.start : v.start + size])(newer, v)


def _qemu(kind: str) -> Change:
    def change(disk: bytes, _: Volume) -> bytes:
        with tempfile.TemporaryDirectory(prefix="accident-") as folder:
            raw, out = Path(folder) / "raw", Path(folder) / "out"
            raw.write_bytes(disk)
            command = ["qemu-img", "convert", "-f", "raw", "-O", kind, str(raw), str(out)]
            subprocess.run(command, check=True, capture_output=True)
            return out.read_bytes()

    return change


def _behind(maker: tuple[str, ...], length: int) -> Change:
    """The volume begins where a filesystem of ``length`` bytes ends."""

    def change(disk: bytes, _: Volume) -> bytes:
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(length)
            subprocess.run([*maker, file.name], check=True, capture_output=True)
            return Path(file.name).read_bytes() + disk

    return change


def _in_new_gpt(disk: bytes, _: Volume) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(MIB) + disk + bytes(MIB))
        file.flush()
        table = f"label: gpt\nstart=2048, size={len(disk) // 512}, type=linux\n"
        subprocess.run(["sfdisk", "-q", file.name], input=table, text=True, check=True, capture_output=True)
        return Path(file.name).read_bytes()


def _cut(length: int) -> Change:
    return lambda disk, v: disk[: v.start + length]


def _bit(offset: int, bit: int) -> Change:
    def change(disk: bytes, v: Volume) -> bytes:
        at = v.start + offset
        return disk[:at] + bytes([disk[at] ^ 1 << bit]) + disk[at + 1 :]

    return change


def _secondary(change: Change) -> Change:
    """The same, in the second copy."""

    def shifted(disk: bytes, v: Volume) -> bytes:
        size = _header_size(disk, v)
        return disk[: v.start + size] + change(disk[v.start + size :], replace(v, start=0))

    return shifted


YES, NO, MAYBE = True, False, None
BOTH_IN, WITH_BACKUP, NEVER = (YES, YES), (MAYBE, YES), (NO, NO)
GONE = "needs-backup not-luks lost"


def _of_tools() -> list[Happening]:
    """By tools over the start of a volume; the verdict depends on the bytes that they hit."""
    skipped = ("erase", "cut-in-keyslot", "cut-to-4k")
    return [
        Happening(a.id, by(a), (_words("*"), _words("*")), WITH_BACKUP, ANY, a.culprit)
        for a in BY_TOOLS
        if a.id not in skipped and a.size <= 32 * MIB
    ]


ELSEWHERE = "not-luks"
HAPPENINGS: tuple[Happening, ...] = (
    *_of_tools(),
    happening("nothing", lambda disk, v: disk, "healthy", "healthy", BOTH_IN),
    happening("shifted-512", lambda disk, v: noise(512, 3) + disk, ELSEWHERE, ELSEWHERE, BOTH_IN),
    happening("shifted-mib-zeros", lambda disk, v: bytes(MIB) + disk, ELSEWHERE, ELSEWHERE, BOTH_IN),
    happening("shifted-mib-noise", lambda disk, v: noise(MIB, 4) + disk, ELSEWHERE, ELSEWHERE, BOTH_IN),
    happening("in-a-gpt", _in_new_gpt, ELSEWHERE, ELSEWHERE, BOTH_IN),
    happening("behind-vfat", _behind(("mkfs.vfat", "-F", "12"), 6 * MIB), ELSEWHERE, ELSEWHERE, BOTH_IN),
    happening("behind-ext4", _behind(("mkfs.ext4", "-q", "-F"), 4 * MIB), ELSEWHERE, ELSEWHERE, BOTH_IN),
    happening("table-lost", lambda disk, v: bytes(MIB) + disk[MIB:], ELSEWHERE, ELSEWHERE, BOTH_IN, on=IN_TABLE),
    happening("whole-disk", lambda disk, v: disk, ELSEWHERE, ELSEWHERE, BOTH_IN, on=IN_TABLE),
    happening("gzip", lambda disk, v: gzip.compress(disk, 1), ELSEWHERE, ELSEWHERE, BOTH_IN),
    *(happening(kind, _qemu(kind), ELSEWHERE, ELSEWHERE, BOTH_IN) for kind in ("qcow2", "vmdk", "vpc", "vdi")),
    happening(
        "uuid-noise",
        both_copies(168, noise(40, 5)),
        "repairable needs-backup",
        "repairable needs-backup",
        (YES, YES),
        on=LUKS2,
    ),
    happening(
        "uuid-zeros",
        both_copies(168, bytes(40)),
        "repairable needs-backup",
        "repairable needs-backup",
        (YES, YES),
        on=LUKS2,
    ),
    happening("slot-table-noise", put(256, noise(336, 6)), "needs-backup", "needs-backup", WITH_BACKUP, on=LUKS1),
    happening(
        "slot-table-zeros",
        put(256, bytes(336)),
        "needs-backup healthy repairable",
        "needs-backup repairable",
        WITH_BACKUP,
        on=LUKS1,
    ),
    happening(
        "digest-iterations",
        _bit(165, 3),
        "healthy repairable needs-backup",
        "repairable needs-backup",
        WITH_BACKUP,
        on=LUKS1,
    ),
    happening(
        "digest-salt", _bit(140, 2), "healthy repairable needs-backup", "repairable needs-backup", WITH_BACKUP, on=LUKS1
    ),
    happening(
        "digest", _bit(115, 6), "healthy repairable needs-backup", "repairable needs-backup", WITH_BACKUP, on=LUKS1
    ),
    happening(
        "hash-name", put(72, b"XXX"), "repairable needs-backup", "repairable needs-backup", WITH_BACKUP, on=LUKS1
    ),
    happening(
        # cryptsetup does not use the number, so neither do we
        *("stripes-4001", new_json(_stripes), "repairable healthy", "repairable healthy needs-backup", BOTH_IN),
        on=LUKS2,
    ),
    happening("holes-16", holes(4200, 4400, 16, b"\0"), "repairable", "repairable", BOTH_IN, on=LUKS2),
    happening("holes-100", holes(4300, 4500, 100, b"\xff"), "repairable", "repairable", BOTH_IN, on=LUKS2),
    happening("holes-text", holes(4250, 4600, 64, b"x"), "repairable", "repairable", BOTH_IN, on=LUKS2),
    happening("all-zeros", lambda disk, v: bytes(len(disk)), "not-luks lost", "not-luks lost needs-backup", NEVER),
    happening("all-noise", lambda disk, v: noise(len(disk), 7), "not-luks", "not-luks needs-backup lost", NEVER),
    happening("all-ff", lambda disk, v: b"\xff" * len(disk), "not-luks lost", "not-luks lost needs-backup", NEVER),
    happening(
        "erased", in_file(_command("cryptsetup", "-q", "luksErase", "IMG")), "needs-backup", "needs-backup", WITH_BACKUP
    ),
    happening(
        "area-zeros",
        lambda disk, v: disk[: v.start] + bytes(v.data_offset) + disk[v.start + v.data_offset :],
        GONE,
        "needs-backup",
        WITH_BACKUP,
    ),
    happening(
        "area-noise",
        lambda disk, v: disk[: v.start] + noise(v.data_offset, 8) + disk[v.start + v.data_offset :],
        GONE,
        "needs-backup",
        WITH_BACKUP,
    ),
    happening(
        "data-start-zeros",
        lambda disk, v: disk[: v.start + v.data_offset] + bytes(MIB) + disk[v.start + v.data_offset + MIB :],
        "healthy",
        "healthy",
        NEVER,
    ),
    happening("cut-in-area", _cut(100_000), GONE, GONE, NEVER),
    happening("cut-to-4k", _cut(4096), GONE, GONE, NEVER),
    happening(
        "cut-at-data",
        lambda disk, v: disk[: v.start + v.data_offset],
        "needs-backup lost healthy",
        "needs-backup lost healthy",
        NEVER,
    ),
    *(
        happening(f"formatted-{new}", in_file(_format_again(new)), "healthy", "needs-backup", WITH_BACKUP, on=old)
        for old, new in ((LUKS1, LUKS1), (LUKS2, LUKS1), (LUKS2, LUKS2))
    ),
    # its header area is 16 MiB, over the data of a LUKS1 volume
    happening("luks2-over-luks1", in_file(_format_again(LUKS2)), "healthy", "needs-backup", (NO, MAYBE), on=LUKS1),
    happening("older-primary", _older_primary, "repairable healthy", "repairable healthy", BOTH_IN, on=LUKS2),
    happening("magic-bit", _bit(2, 1), "repairable", "repairable", BOTH_IN),
    happening("version-bit", _bit(7, 4), "repairable unsupported", "repairable", BOTH_IN),
    happening("size-bit", _bit(13, 2), "repairable", "repairable", BOTH_IN, on=LUKS2),
    happening("checksum-bit", _bit(460, 5), "repairable", "repairable", BOTH_IN, on=LUKS2),
    happening("json-bit", _bit(4300, 5), "repairable", "repairable", BOTH_IN, on=LUKS2),
    happening("json-bit-secondary", _secondary(_bit(4300, 5)), "repairable", "repairable", BOTH_IN, on=LUKS2),
    happening("cipher-bit", _bit(9, 3), "repairable needs-backup", "repairable needs-backup", BOTH_IN, on=LUKS1),
    happening("key-bytes-bit", _bit(111, 4), "repairable needs-backup", "repairable needs-backup", BOTH_IN, on=LUKS1),
    happening("slot-mark-bit", _bit(210, 3), "repairable", "repairable", BOTH_IN, on=LUKS1),
    happening("material-zeros", put(36864, bytes(4096)), "needs-backup", "needs-backup", WITH_BACKUP),
    happening("material-noise", put(40960, noise(512, 9)), "healthy", "needs-backup", WITH_BACKUP),
    happening("primary-zeros", put(0, bytes(4096)), "repairable", "repairable", BOTH_IN, on=LUKS2),
    happening(
        "tar-over-it",
        put(0, b"letter.txt".ljust(257, b"\0") + b"ustar\x0000".ljust(255, b"\0")),
        "repairable needs-backup",
        "repairable needs-backup",
        (MAYBE, YES),
    ),
    happening(
        "elf-over-it",
        put(0, b"\x7fELF\x02\x01\x01".ljust(64, b"\0")),
        "repairable needs-backup",
        "repairable needs-backup",
        (MAYBE, YES),
    ),
)

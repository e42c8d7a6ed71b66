"""Boot code in sector 0: blkid has no name for it, so the names here are ours."""

from __future__ import annotations

from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

CODE_BYTES = 440
GRUB_JUMP = b"\xeb\x63\x90"
GRUB_TEXT = b"GRUB \0Geom\0Hard Disk\0Read\0 Error"
KERNEL_SECTOR_AT = 0x5C
SECTOR_BYTES = 512
KNOWN_TEXTS = (
    ("windows-boot", b"Invalid partition table\0Error loading operating system\0Missing operating system"),
    ("syslinux", b"Missing operating system.\r\n"),
    ("syslinux", b"Operating system load error.\r\n"),
    ("syslinux", b"Multiple active partitions\r\n"),
    ("isolinux", b"isolinux.bin missing or corrupt.\r\n"),
)
SAME_BYTE_RUN = 64


def grub(volume: Volume) -> Recognised:
    """GRUB 2's boot.img; it names the sector where its core image begins."""
    s = Structure(volume, 0, CODE_BYTES)
    s.magic(0, GRUB_JUMP, "jump")
    s.check("text 'GRUB Geom Hard Disk Read Error'", GRUB_TEXT in s.data, 8 * len(GRUB_TEXT) - 9)
    return s.recognised(
        "grub", Kind.BOOT_CODE, version="2", geometry={"core_offset": s.u64(KERNEL_SECTOR_AT) * SECTOR_BYTES}
    )


def known_text(volume: Volume) -> Recognised:
    """Boot code that is known by its error messages."""
    s = Structure(volume, 0, CODE_BYTES)
    for name, text in KNOWN_TEXTS:
        if text in s.data:
            s.check(f"text {text.split(b'.')[0].decode().replace(chr(0), ' ')!r}", True, 8 * len(text) - 9)
            return s.recognised(name, Kind.BOOT_CODE)
    raise MismatchError("no known boot code")


def unknown(volume: Volume) -> Recognised:
    """A jump over a parameter block and a long run of one byte: boot code that none of the others names."""
    s = Structure(volume, 0, CODE_BYTES)
    s.among(0, 1, (0xEB,), "jump")
    s.magic(2, b"\x90", "no operation")
    runs = [
        n for n in range(CODE_BYTES - SAME_BYTE_RUN) if s.data.count(s.data[n], n, n + SAME_BYTE_RUN) == SAME_BYTE_RUN
    ]
    s.check(f"{SAME_BYTE_RUN} equal bytes", bool(runs), 8 * (SAME_BYTE_RUN - 1) - 9)
    if s.data[:3] == GRUB_JUMP:
        s.note("the jump is that of GRUB 2")
    return s.recognised("boot-code", Kind.BOOT_CODE)


PROBES = (grub, known_text)
FALLBACKS = (unknown,)

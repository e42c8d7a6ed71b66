"""BitLocker volumes (libbde, "BitLocker Drive Encryption (BDE) format specification", section 3)."""

from __future__ import annotations

from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

SECTOR_BYTES = 512
SIGNATURE = b"-FVE-FS-"
TO_GO_NAME = b"MSWIN4.1"
IDENTIFIER = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")  # 4967d63b-2e29-4ad8-8399-f6a339e3d001
WINDOWS_7_AT, TO_GO_AT = 160, 424
METADATA_BLOCKS = 3
BLOCK_HEADER_BYTES, METADATA_HEADER_BYTES, MOST_METADATA_BYTES = 64, 48, 1 << 16
DESCRIPTION, UNICODE_STRING = 7, 2


def boot_sector(volume: Volume) -> Recognised:
    """The boot sector of Windows Vista, of Windows 7 and later, or of a removable disk (BitLocker To Go)."""
    s = Structure(volume, 0, SECTOR_BYTES)
    s.check("boot signature 55aa", s.data[510:] == b"\x55\xaa", 16)
    s.among(0, 1, (0xEB,), "jump")
    geometry = {"sector_size": s.among(11, 2, (512, 1024, 2048, 4096), "bytes per sector")}
    if s.data[3:11] == TO_GO_NAME:
        s.magic(3, TO_GO_NAME, "name")
        version, offsets = "To Go", _offsets(s, TO_GO_AT)
    else:
        s.magic(3, SIGNATURE, "name")
        seven = s.data[WINDOWS_7_AT : WINDOWS_7_AT + 16] == IDENTIFIER
        version, offsets = (
            ("2", _offsets(s, WINDOWS_7_AT)) if seven else ("1", _vista_offset(s, geometry["sector_size"]))
        )
    for number, offset in enumerate(offsets):
        geometry[f"metadata_{number}_offset"] = offset
    _check_metadata(s, offsets)
    label, uuid = _description(volume, offsets)
    return s.recognised("BitLocker", Kind.CRYPTO, label=label, uuid=uuid, version=version, geometry=geometry)


def _description(volume: Volume, offsets: list[int]) -> tuple[str, str]:
    """The description and the volume's identifier in the first metadata block that can be read."""
    for offset in offsets:
        try:
            head = Structure(volume, offset, BLOCK_HEADER_BYTES + METADATA_HEADER_BYTES)
            if not head.data.startswith(SIGNATURE):
                continue
            size = min(head.u32(BLOCK_HEADER_BYTES), MOST_METADATA_BYTES)
            entries = Structure(volume, offset + BLOCK_HEADER_BYTES, max(size, METADATA_HEADER_BYTES))
        except MismatchError:
            continue
        return _text_entry(entries), head.guid(BLOCK_HEADER_BYTES + 16)
    return "", ""


def _text_entry(s: Structure) -> str:
    at = METADATA_HEADER_BYTES
    while at + 8 <= len(s.data):
        size = s.u16(at)
        if size < 8 or at + size > len(s.data):
            return ""
        if (s.u16(at + 2), s.u16(at + 4)) == (DESCRIPTION, UNICODE_STRING):
            return s.text(at + 8, size - 8, "utf-16-le")
        at += size
    return ""


def _offsets(s: Structure, at: int) -> list[int]:
    s.magic(at, IDENTIFIER, "identifier")
    return [s.u64(at + 16 + 8 * n) for n in range(METADATA_BLOCKS)]


def _vista_offset(s: Structure, sector_size: int) -> list[int]:
    return [s.u64(56) * s.u8(13) * sector_size]


def _check_metadata(s: Structure, offsets: list[int]) -> None:
    for offset in offsets:
        try:
            if s.volume.read(offset, len(SIGNATURE)) == SIGNATURE:
                s.check(f"metadata block at {offset}", True, 64)
        except MismatchError:
            s.note(f"metadata block at {offset} is not there")


PROBES = (boot_sector,)
